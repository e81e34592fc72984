/*
 * The hostile guest's first instructions: an arm64 Image header (Linux's booting.rst), a stack for each
 * CPU, and vectors that step over whatever faults.
 */
    .section .head, "ax"
    .global _start
_start:
    b       1f
    .word   0
    .quad   0x80000                 /* text_offset */
    .quad   _end - _start           /* image_size */
    .quad   0xa                     /* 4K pages, anywhere in memory */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0

1:  adr     x1, stack_top
    mov     sp, x1
    bl      set_up
    b       hostile_main            /* x0: the device tree */

    .global hostile_second_entry
hostile_second_entry:               /* x0: what PSCI CPU_ON was given */
    adr     x1, second_stack_top
    mov     sp, x1
    bl      set_up
    b       hostile_second

/* Vectors, and the FP registers for the one access that uses them. */
set_up:
    adr     x1, vectors
    msr     vbar_el1, x1
    mov     x1, #3 << 20
    msr     cpacr_el1, x1
    isb
    ret

/* unsigned long hostile_hvc(x0 function, x1, x2, x3) */
    .global hostile_hvc
hostile_hvc:
    hvc     #0
    ret

/* A synchronous exception steps over its instruction; any other returns with interrupts masked. */
    .macro  vector target
    .balign 128
    sub     sp, sp, #16
    str     x0, [sp]
    b       \target
    .endm

    .balign 2048
vectors:
    .rept   4
    vector  step_over
    vector  mask
    vector  mask
    vector  mask
    .endr

step_over:
    mrs     x0, elr_el1
    add     x0, x0, #4
    msr     elr_el1, x0
mask:
    mrs     x0, spsr_el1
    orr     x0, x0, #0x3c0
    msr     spsr_el1, x0
    ldr     x0, [sp]
    add     sp, sp, #16
    eret

    .bss
    .balign 16
    .space  0x2000
stack_top:
    .space  0x2000
second_stack_top:
