/* The interrupt controller as a guest drives it (IHI 0048B): interrupts that software makes, to
 * itself and to the other CPU, priorities, pending and active bits, split end of interrupt. */
    .include "kit.inc"

    .set SGIR_SELF, 2 << 24
    .set SGIR_OTHERS, 1 << 24
    .set SPI, 40                    /* no device has it */

/* Write w\value to the distributor's or the interface's register. */
    .macro DIST offset, value
    ldr     x0, =GICD
    ldr     w1, =\value
    str     w1, [x0, #\offset]
    .endm

    .macro IFACE offset, value
    ldr     x0, =GICC
    ldr     w1, =\value
    str     w1, [x0, #\offset]
    .endm

    .macro GET to, base, offset
    ldr     x0, =\base
    ldr     \to, [x0, #\offset]
    .endm

/* Let an interrupt in for a moment: x19 is then what was acknowledged, or 0. */
    .macro WINDOW
    mov     x19, #0
    msr     daifclr, #2
    isb
    nop
    msr     daifset, #2
    .endm

main:
    mov     x26, x30
    adr     x23, on_irq

    GET     w19, GICD, 4
    ubfx    x19, x19, #5, #3
    CHECK   x19, 1, "GICD_TYPER says two CPUs"
    GET     w19, GICD, 0xfe8
    ubfx    x19, x19, #4, #4
    CHECK   x19, 2, "GICD_PIDR2 says GICv2"
    GIC_ENABLE 5
    GIC_ENABLE 6
    GIC_ENABLE 8

    /* To this CPU */
    DIST    0xf00, SGIR_SELF | 5
    GET     w19, GICD, 0x200
    CHECK   x19, 0x20, "a software interrupt is pending"
    WINDOW
    CHECK   x19, 5, "and taken"
    GET     w19, GICD, 0x200
    CHECK   x19, 0, "then it is not pending"
    WINDOW
    CHECK   x19, 0, "nor taken again"

    /* Priority mask: 0x80 is not below 0x80 */
    ldr     x0, =GICD
    mov     w1, #0x80
    strb    w1, [x0, #0x405]
    IFACE   4, 0x80
    DIST    0xf00, SGIR_SELF | 5
    WINDOW
    CHECK   x19, 0, "the priority mask holds it back"
    GET     w19, GICC, 0xc
    CHECK   x19, 1023, "nothing to acknowledge meanwhile"
    IFACE   4, 0xf0
    WINDOW
    CHECK   x19, 5, "until it is raised"

    /* Of two, the more urgent first */
    ldr     x0, =GICD
    mov     w1, #0xa0
    strb    w1, [x0, #0x406]
    DIST    0xf00, SGIR_SELF | 6
    DIST    0xf00, SGIR_SELF | 5
    GET     w19, GICC, 0x18
    CHECK   x19, 5, "GICC_HPPIR names the more urgent"
    WINDOW
    mov     x18, x19
    WINDOW
    CHECK   x18, 6, "one window takes both, the less urgent last"
    CHECK   x19, 0, "and then there is none"

    /* A shared interrupt, by its pending bit */
    DIST    0xc00 + SPI / 16 * 4, 0x20000       /* GICD_ICFGR: edge */
    ldr     x0, =GICD
    mov     w1, #1
    strb    w1, [x0, #(0x800 + SPI)]            /* to CPU 0 */
    DIST    0x100 + SPI / 32 * 4, 1 << (SPI % 32)
    DIST    0x200 + SPI / 32 * 4, 1 << (SPI % 32)
    WINDOW
    CHECK   x19, SPI, "a shared interrupt set pending by software"
    DIST    0x200 + SPI / 32 * 4, 1 << (SPI % 32)
    DIST    0x280 + SPI / 32 * 4, 1 << (SPI % 32)
    WINDOW
    CHECK   x19, 0, "and cleared again"
    DIST    0x180 + SPI / 32 * 4, 1 << (SPI % 32)
    DIST    0x200 + SPI / 32 * 4, 1 << (SPI % 32)
    WINDOW
    CHECK   x19, 0, "a disabled one is pending and not taken"
    DIST    0x100 + SPI / 32 * 4, 1 << (SPI % 32)
    WINDOW
    CHECK   x19, SPI, "until it is enabled"

    /* A level: the timer's stays pending as long as the timer says so */
    GIC_ENABLE 27
    IFACE   4, 0xf0
    msr     cntv_cval_el0, xzr
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    bl      wait_for_timer_line
    GET     w19, GICD, 0x200
    CHECK   x19, 1 << 27, "a level interrupt is pending"
    DIST    0x280, 1 << 27
    GET     w19, GICD, 0x200
    CHECK   x19, 1 << 27, "clearing the bit does not clear the level"
    msr     cntv_ctl_el0, xzr
    bl      wait_for_no_timer_line
    GET     w19, GICD, 0x200
    CHECK   x19, 0, "stopping the timer does"

    /* Priority drop and deactivation apart */
    IFACE   0, 0x201                            /* split ends, group 0 */
    DIST    0xf00, SGIR_SELF | 5
    GET     w18, GICC, 0xc
    GET     w17, GICD, 0x300
    GET     w16, GICC, 0x14
    ldr     x0, =GICC
    str     w18, [x0, #0x10]                    /* GICC_EOIR */
    GET     w27, GICC, 0x14
    GET     w19, GICD, 0x300
    stp     x19, x27, [sp, #-16]!
    CHECK   x18, 5, "GICC_IAR acknowledges it"
    CHECK   x17, 0x20, "which makes it active"
    CHECK   x16, 0x80, "GICC_RPR is its priority"
    ldp     x19, x27, [sp], #16
    CHECK   x27, 0xff, "GICC_EOIR drops the priority"
    GET     w19, GICD, 0x300
    CHECK   x19, 0x20, "and leaves it active"
    DIST    0xf00, SGIR_SELF | 5
    GET     w19, GICC, 0xc
    CHECK   x19, 1023, "so it is not taken again"
    ldr     x0, =GICC + 0x1000
    mov     w1, #5
    str     w1, [x0]                            /* GICC_DIR */
    GET     w19, GICD, 0x300
    CHECK   x19, 0, "GICC_DIR deactivates it"
    IFACE   0, 1
    WINDOW
    CHECK   x19, 5, "and the next is taken"

    /* To the other CPU, which sleeps in WFI, and back */
    mov     x1, #1
    adr     x2, second
    mov     x3, #0
    CALL    0xc4000003                          /* CPU_ON */
    adr     x18, mailbox
1:  ldr     w19, [x18]
    cbz     w19, 1b                             /* it is about to sleep */
    mov     x19, #0
    DIST    0xf00, SGIR_OTHERS | 7
    msr     daifclr, #2
2:  cbz     x19, 2b                             /* its answer */
    msr     daifset, #2
    adr     x18, mailbox
    ldr     w17, [x18, #4]
    CHECK   x17, 7, "the other CPU wakes up and takes it, from CPU 0"
    CHECK   x19, 0x408, "its answer says that it came from CPU 1"
    ret     x26
    .ltorg

second:
    adr     x0, STACK2
    mov     sp, x0
    GIC_ENABLE 7
    adr     x18, mailbox
    mov     w0, #1
    str     w0, [x18]
1:  wfi                                         /* masked: it wakes up without a vector */
    ldr     x0, =GICC
    ldr     w1, [x0, #0xc]
    cmp     w1, #1023
    b.eq    1b
    str     w1, [x0, #0x10]
    str     w1, [x18, #4]
    dmb     sy
    ldr     x0, =GICD
    ldr     w1, =(1 << 16 | 8)                  /* GICD_SGIR: to CPU 0 */
    str     w1, [x0, #0xf00]
2:  wfi
    b       2b
    .ltorg

mailbox:                                        /* ready; what was acknowledged */
    .word   0, 0

/* The monitor sees the timer's line when the guest exits; so exit until it has. At most a second. */
wait_for_timer_line:
    mrs     x2, cntvct_el0
    ldr     x3, =24000000
    add     x2, x2, x3
1:  ldr     x0, =GICD
    ldr     w1, [x0, #0x200]
    tbnz    w1, #27, 2f
    mrs     x3, cntvct_el0
    cmp     x3, x2
    b.lo    1b
2:  ret

wait_for_no_timer_line:
    mrs     x2, cntvct_el0
    ldr     x3, =24000000
    add     x2, x2, x3
1:  ldr     x0, =GICD
    ldr     w1, [x0, #0x200]
    tbz     w1, #27, 2f
    mrs     x3, cntvct_el0
    cmp     x3, x2
    b.lo    1b
2:  ret

on_irq:
    ldr     x16, =GICC
    ldr     w19, [x16, #0xc]
    str     w19, [x16, #0x10]
    eret
    .ltorg
