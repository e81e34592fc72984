/* Two CPUs that sleep in WFI and wake each other by SGI, many times: one lost wake-up and the guest
 * hangs. */
    .include "kit.inc"

    .set ROUNDS, 5000
    .set SGI, 3

/* Tell the other CPU; w27 is its target mask, shifted for GICD_SGIR. */
    .macro SEND
    ldr     x1, =GICD
    str     w27, [x1, #0xf00]
    .endm

/* Sleep until the handler counted one more than x19 in x18. The check and the sleep are one step:
 * with IRQs masked WFI still wakes. */
    .macro RECEIVE
7:  msr     daifset, #2
    cmp     x18, x19
    b.ne    8f
    wfi
    msr     daifclr, #2
    isb
    b       7b
8:  msr     daifclr, #2
    add     x19, x19, #1
    .endm

main:
    mov     x26, x30
    adr     x23, on_irq
    mov     x18, #0
    mov     x19, #0
    ldr     w27, =(1 << 17 | SGI)
    GIC_ENABLE SGI
    mov     x1, #1
    adr     x2, second
    mov     x3, #0
    CALL    0xc4000003
    CHECK   x0, 0, "CPU_ON"
    RECEIVE                         /* the second is ready */
    ldr     x17, =ROUNDS
1:  SEND
    RECEIVE
    subs    x17, x17, #1
    b.ne    1b
    CHECK   x18, ROUNDS + 1, "each message was answered once"
    ret     x26

second:
    adr     x0, vectors
    msr     vbar_el1, x0
    adr     x23, on_irq
    mov     x18, #0
    mov     x19, #0
    ldr     w27, =(1 << 16 | SGI)
    GIC_ENABLE SGI
    SEND
2:  RECEIVE
    SEND
    b       2b

on_irq:
    ldr     x0, =GICC
    ldr     w1, [x0, #0xc]
    str     w1, [x0, #0x10]
    add     x18, x18, #1
    eret
