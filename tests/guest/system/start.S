/*
 * Entry of all CPUs, and kit_run(): the code under test runs until its first exception, which is
 * recorded and brings C back. The record is at TPIDR_EL1, see struct cpu of kit.h; TPIDR_EL0 and
 * TPIDRRO_EL0 are the vectors' scratch registers.
 */
    .arch   armv8.2-a
    .section .head, "ax"
    .global kit_start
kit_start:
    b       1f
    .word   0
    .quad   0x80000                 /* text_offset */
    .quad   kit_end - kit_start     /* image_size */
    .quad   0xa                     /* 4K pages, anywhere in memory */
    .quad   0, 0, 0
    .ascii  "ARM\x64"
    .word   0
1:  adr     x0, kit_cpus            /* 16 bytes of struct cpu are the stack's end */
    bl      set_up
    b       kit_main

    .global kit_start_other
kit_start_other:                   /* x0: its struct cpu */
    bl      set_up
    mrs     x0, tpidr_el1
    b       kit_main_other

set_up:
    msr     tpidr_el1, x0
    ldr     x1, [x0, #8]
    mov     sp, x1
    adr     x1, kit_vectors
    msr     vbar_el1, x1
    mov     x1, #3 << 20
    msr     cpacr_el1, x1
    isb
    ret

/* void kit_run(const void *code, uint64_t spsr, const uint64_t x[4]) */
    .global kit_run
kit_run:
    stp     x19, x20, [sp, #-96]!
    stp     x21, x22, [sp, #16]
    stp     x23, x24, [sp, #32]
    stp     x25, x26, [sp, #48]
    stp     x27, x28, [sp, #64]
    stp     x29, x30, [sp, #80]
    mrs     x9, tpidr_el1
    mov     x10, sp
    str     x10, [x9]
    msr     elr_el1, x0
    msr     spsr_el1, x1
    mov     x9, x2
    ldp     x0, x1, [x9]
    ldp     x2, x3, [x9, #16]
    eret

    .macro  VECTOR n
    .balign 128
    msr     tpidr_el0, x0
    mov     x0, #\n
    b       taken
    .endm

taken:
    msr     tpidrro_el0, x1
    mrs     x1, tpidr_el1
    str     x0, [x1, #16]           /* vector */
    mrs     x0, tpidr_el0
    str     x0, [x1, #56]           /* x[0] */
    mrs     x0, tpidrro_el0
    str     x0, [x1, #64]
    stp     x2, x3, [x1, #72]
    mrs     x0, esr_el1
    str     x0, [x1, #24]
    mrs     x0, far_el1
    str     x0, [x1, #32]
    mrs     x0, elr_el1
    str     x0, [x1, #40]
    mrs     x0, spsr_el1
    str     x0, [x1, #48]
    mrs     x0, spsel
    str     x0, [x1, #88]
    mrs     x0, s3_0_c4_c2_3        /* PAN */
    str     x0, [x1, #96]
    mrs     x0, daif
    str     x0, [x1, #104]
    msr     pan, #0
    ldr     x0, [x1]
    mov     sp, x0
    ldp     x21, x22, [sp, #16]
    ldp     x23, x24, [sp, #32]
    ldp     x25, x26, [sp, #48]
    ldp     x27, x28, [sp, #64]
    ldp     x29, x30, [sp, #80]
    ldp     x19, x20, [sp], #96
    ret

    .balign 2048
    .global kit_vectors
kit_vectors:
    .irp    n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    VECTOR  \n
    .endr
