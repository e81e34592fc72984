/* Milestone: `mrs x0, cntpct_el0` returns a running counter. On a Mac and in the software CPU alike
 * that read leaves the guest, and the monitor answers. */
    .include "kit.inc"

main:
    mov     x26, x30
    mrs     x19, cntpct_el0
    mov     x0, #10000
1:  subs    x0, x0, #1
    b.ne    1b
    mrs     x27, cntpct_el0
    cmp     x27, x19
    CHECK_TRUE hi, "the physical counter runs"

    mrs     x19, cntvct_el0
    mrs     x18, cntpct_el0
    mrs     x27, cntvct_el0
    cmp     x18, x19
    CHECK_TRUE hs, "it is not behind the virtual one"
    cmp     x27, x18
    CHECK_TRUE hs, "nor ahead of it"
    mrs     x19, cntfrq_el0
    CHECK   x19, 24000000, "it says 24 MHz"
    ret     x26
    .ltorg
