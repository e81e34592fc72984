/* Milestone: WFI sleeps and the timer wakes it. */
    .include "kit.inc"

    .set SLEEP, 480000              /* 20 ms */

main:
    mov     x26, x30
    adr     x23, on_irq
    GIC_ENABLE 27
    GIC_ENABLE 30

    /* With interrupts masked WFI still wakes up for one; nothing is taken. */
    mov     x19, #0
    mrs     x27, cntvct_el0
    ldr     x0, =SLEEP
    add     x18, x27, x0
    msr     cntv_cval_el0, x18
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    mov     x17, #0
1:  wfi
    add     x17, x17, #1
    mrs     x0, cntvct_el0
    cmp     x0, x18
    b.lo    1b
    CHECK   x19, 0, "masked, the interrupt is not taken"
    cmp     x17, #100
    CHECK_TRUE lo, "the CPU slept: it did not spin through WFI"
    msr     daifclr, #2
    isb
    msr     daifset, #2
    CHECK   x19, 27, "unmasked, it is"

    /* Unmasked, the handler runs before the instruction behind WFI; here for the physical timer. */
    mov     x19, #0
    ldr     x0, =SLEEP
    mrs     x27, cntvct_el0
    msr     cntp_tval_el0, x0
    mov     x0, #1
    msr     cntp_ctl_el0, x0
    msr     daifclr, #2
    mov     x17, #0
1:  wfi
    add     x17, x17, #1
    cbz     x19, 1b
    msr     daifset, #2
    mrs     x18, cntvct_el0
    CHECK   x19, 30, "the physical timer wakes a WFI"
    sub     x18, x18, x27
    ldr     x0, =SLEEP
    cmp     x18, x0
    CHECK_TRUE hs, "not before its time"
    cmp     x17, #100
    CHECK_TRUE lo, "and the CPU slept"

    /* An event that is there already: WFE goes on at once. */
    sev
    wfe
    cmp     xzr, xzr
    CHECK_TRUE eq, "SEV ends a WFE"
    ret     x26

on_irq:
    GIC_ACK 19
    msr     cntv_ctl_el0, xzr
    msr     cntp_ctl_el0, xzr
    GIC_EOI 19
    eret
    .ltorg
