/* Milestone: a timer interrupt reaches the guest's vector; first the virtual timer's, which the CPU
 * has, then the physical one's, which the monitor keeps. */
    .include "kit.inc"

main:
    mov     x26, x30
    adr     x23, on_irq
    mov     x19, #0

    GIC_ENABLE 27
    mov     x0, #24000              /* 1 ms */
    msr     cntv_tval_el0, x0
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    msr     daifclr, #2
1:  cbz     x19, 1b
    msr     daifset, #2
    CHECK   x19, 27, "the virtual timer's interrupt is taken"
    CHECK   x18, 5, "its status says that it fired"
    bl      end_of_interrupt

    mov     x19, #0
    GIC_ENABLE 30
    mov     x0, #24000
    msr     cntp_tval_el0, x0
    mov     x0, #1
    msr     cntp_ctl_el0, x0
    msr     daifclr, #2
1:  cbz     x19, 1b
    msr     daifset, #2
    CHECK   x19, 30, "the physical timer's interrupt is taken"
    CHECK   x17, 5, "its status says that it fired"
    bl      end_of_interrupt

    /* Ten in a row: each must be masked, acknowledged and armed again. */
    mov     x27, #10
2:  mov     x19, #0
    mov     x0, #2400
    msr     cntv_tval_el0, x0
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    msr     daifclr, #2
1:  cbz     x19, 1b
    msr     daifset, #2
    bl      end_of_interrupt
    subs    x27, x27, #1
    b.ne    2b
    CHECK   x27, 0, "ten timer interrupts in a row"

    GIC_ACK 27
    CHECK   x27, 1023, "then there is none to acknowledge"
    ret     x26

/* Acknowledge, note, disable both timers; the EOI is end_of_interrupt's. */
on_irq:
    mrs     x18, cntv_ctl_el0
    mrs     x17, cntp_ctl_el0
    GIC_ACK 19
    msr     cntv_ctl_el0, xzr
    msr     cntp_ctl_el0, xzr
    eret

end_of_interrupt:
    GIC_EOI 19
    ret
    .ltorg
