/* A program at EL0 that fetches from a device or uses one in a way that cannot be carried out: the
 * guest's EL1 gets an external abort, and everybody lives. */
    .include "kit.inc"

    .set SPSR_EL0T, 0x3c0
    .set SPSR_EL1H, 0x3c5

/* Run at `address` in EL0 until it aborts. */
    .macro EL0_AT address
    adr     x24, 7f
    \address
    msr     elr_el1, x1
    mov     x1, #SPSR_EL0T
    msr     spsr_el1, x1
    isb
    eret
7:
    .endm

/* Exception class, fault status, ELR and the PSTATE it came from. */
    .macro ABORTED name, ec
    lsr     x0, x20, #26
    CHECK   x0, \ec, "\name: class"
    and     x0, x20, #0x3f
    CHECK   x0, 0x10, "\name: external abort"
    cmp     x21, x17
    CHECK_TRUE eq, "\name: ELR is at it"
    and     x0, x19, #0xf
    CHECK   x0, 0, "\name: SPSR says EL0"
    cmp     x22, x18
    CHECK_TRUE eq, "\name: FAR"
    .endm

main:
    mov     x26, x30
    adr     x0, el0_vectors
    msr     vbar_el1, x0
    isb

    ldr     x17, =UART
    mov     x18, x17
    EL0_AT  "mov x1, x17"
    ABORTED "fetch from a device", 0x20

    adr     x17, load_pair
    ldr     x18, =RTC
    mov     x0, x18
    EL0_AT  "mov x1, x17"
    ABORTED "load of a pair", 0x24
    tst     x20, #(1 << 6)
    CHECK_TRUE eq, "load of a pair: WnR is clear"

    adr     x17, store_pair
    mov     x0, x18
    EL0_AT  "mov x1, x17"
    ABORTED "store of a pair", 0x24
    tst     x20, #(1 << 6)
    CHECK_TRUE ne, "store of a pair: WnR is set"

    ret     x26

load_pair:
    ldp     w1, w2, [x0]
    b       .
store_pair:
    stp     w1, w2, [x0]
    b       .

/* Back to EL1 at x24. */
on_el0:
    mrs     x20, esr_el1
    mrs     x21, elr_el1
    mrs     x22, far_el1
    mrs     x19, spsr_el1
    msr     elr_el1, x24
    mov     x24, #SPSR_EL1H
    msr     spsr_el1, x24
    mov     x24, #0
    eret

    .balign 0x800
el0_vectors:
    .rept 8
    VECTOR  b, on_unexpected
    .endr
    VECTOR  b, on_el0
    .rept 7
    VECTOR  b, on_unexpected
    .endr
    .balign 0x80
