/* GICv3 as a guest drives it (IHI 0069): system registers, the distributor's and redistributors'
 * memory-mapped ones, interrupts by software, PPIs and SPIs, priorities, split end of interrupt. */
    .include "kit.inc"

    .set GICR_STRIDE, 0x20000
    .set SPI, 40                    /* no device has it */

    .set ICC_SGI_SELF, 1            /* affinity 0.0.0.0 */
    .set ICC_SGI_OTHERS, 1 << 40

/* Write a word to the distributor or to the redistributor of CPU 0. */
    .macro DIST offset, value
    ldr     x0, =(GICD + \offset)
    ldr     w1, =\value
    str     w1, [x0]
    .endm

    .macro REDIST offset, value
    ldr     x0, =(GICR + \offset)
    ldr     w1, =\value
    str     w1, [x0]
    .endm

    .macro GET to, address
    ldr     x0, =(\address)
    ldr     \to, [x0]
    .endm

    .macro SGI value
    ldr     x0, =\value
    msr     S3_0_C12_C11_5, x0      /* ICC_SGI1R_EL1 */
    isb
    .endm

/* Let an interrupt in for a moment: x19 is then what was acknowledged, or 0. */
    .macro WINDOW
    mov     x19, #0
    msr     daifclr, #2
    isb
    nop
    msr     daifset, #2
    .endm

/* Everything open for the CPU whose redistributor is at x0. */
    .macro OPEN
    str     wzr, [x0, #0x14]        /* GICR_WAKER */
1:  ldr     w1, [x0, #0x14]
    cbnz    w1, 1b
    add     x0, x0, #0x10000
    mov     w1, #-1
    str     w1, [x0, #0x80]         /* GICR_IGROUPR0 */
    str     w1, [x0, #0x100]        /* GICR_ISENABLER0 */
    mov     x1, #0xf0
    msr     S3_0_C4_C6_0, x1        /* ICC_PMR_EL1 */
    mov     x1, #1
    msr     S3_0_C12_C12_7, x1      /* ICC_IGRPEN1_EL1 */
    isb
    .endm

main:
    mov     x26, x30
    adr     x23, on_irq

    mrs     x19, id_aa64pfr0_el1
    ubfx    x19, x19, #24, #4
    CHECK   x19, 1, "ID_AA64PFR0_EL1 says there is a GICv3"
    mrs     x19, S3_0_C12_C12_5
    CHECK   x19, 7, "ICC_SRE_EL1: system registers only"
    GET     w19, GICD
    CHECK   x19, 0x50, "GICD_CTLR: affinity routing, one Security state"
    GET     w19, GICD + 0xffe8
    ubfx    x19, x19, #4, #4
    CHECK   x19, 3, "GICD_PIDR2 says GICv3"
    GET     w19, GICR + 0x14
    CHECK   x19, 0, "the redistributor is awake"
    GET     x19, GICR + 8
    mrs     x18, mpidr_el1
    ubfx    x18, x18, #0, #8
    lsr     x17, x19, #32
    cmp     x17, x18
    CHECK_TRUE eq, "GICR_TYPER has the CPU's affinity"
    DIST    0, 2
    ldr     x0, =GICR
    OPEN

    /* To this CPU */
    SGI     5 << 24 | ICC_SGI_SELF
    GET     w19, GICR + 0x10200
    CHECK   x19, 0x20, "a software interrupt is pending"
    WINDOW
    CHECK   x19, 5, "and taken"
    GET     w19, GICR + 0x10200
    CHECK   x19, 0, "then it is not pending"
    WINDOW
    CHECK   x19, 0, "nor taken again"

    /* Priorities */
    REDIST  0x10404, 0x0080a000     /* of 5 0xa0, of 6 0x80 */
    mov     x0, #0xa0
    msr     S3_0_C4_C6_0, x0
    SGI     5 << 24 | ICC_SGI_SELF
    WINDOW
    CHECK   x19, 0, "the priority mask holds it back"
    mrs     x19, S3_0_C12_C12_0
    CHECK   x19, 1023, "nothing to acknowledge meanwhile"
    mov     x0, #0xf0
    msr     S3_0_C4_C6_0, x0
    SGI     6 << 24 | ICC_SGI_SELF
    mrs     x19, S3_0_C12_C12_2
    CHECK   x19, 6, "ICC_HPPIR1 names the more urgent"
    mrs     x19, S3_0_C12_C12_0
    mrs     x18, S3_0_C12_C11_3     /* ICC_RPR_EL1 */
    mrs     x17, S3_0_C12_C12_0
    msr     S3_0_C12_C12_1, x19
    stp     x17, x18, [sp, #-16]!
    CHECK   x19, 6, "which comes first"
    ldp     x17, x18, [sp], #16
    CHECK   x18, 0x80, "ICC_RPR is its priority"
    CHECK   x17, 1023, "the less urgent does not preempt"
    WINDOW
    CHECK   x19, 5, "it comes afterwards"

    /* A shared interrupt, by its pending bit */
    DIST    0xc00 + SPI / 16 * 4, 0x20000       /* GICD_ICFGR: edge */
    DIST    0x80 + SPI / 32 * 4, 1 << (SPI % 32)
    ldr     x0, =(GICD + 0x6000 + SPI * 8)
    str     xzr, [x0]                           /* GICD_IROUTER: to CPU 0 */
    DIST    0x100 + SPI / 32 * 4, 1 << (SPI % 32)
    DIST    0x200 + SPI / 32 * 4, 1 << (SPI % 32)
    WINDOW
    CHECK   x19, SPI, "a shared interrupt set pending by software"
    DIST    0x180 + SPI / 32 * 4, 1 << (SPI % 32)
    DIST    0x200 + SPI / 32 * 4, 1 << (SPI % 32)
    WINDOW
    CHECK   x19, 0, "a disabled one is pending and not taken"
    DIST    0x100 + SPI / 32 * 4, 1 << (SPI % 32)
    WINDOW
    CHECK   x19, SPI, "until it is enabled"

    /* The timers: levels, and native */
    msr     cntv_cval_el0, xzr
    mov     x0, #1
    msr     cntv_ctl_el0, x0
    GET     w19, GICR + 0x10200
    CHECK   x19, 1 << 27, "the virtual timer is pending at once"
    REDIST  0x10280, 1 << 27
    GET     w19, GICR + 0x10200
    CHECK   x19, 1 << 27, "clearing the bit does not clear the level"
    mrs     x19, S3_0_C12_C12_0
    msr     cntv_ctl_el0, xzr
    msr     S3_0_C12_C12_1, x19
    CHECK   x19, 27, "it is taken"
    GET     w19, GICR + 0x10200
    CHECK   x19, 0, "stopping the timer takes the line down"
    mrs     x0, cntpct_el0
    ldr     x1, =240000
    add     x0, x0, x1
    msr     cntp_cval_el0, x0
    mov     x0, #1
    msr     cntp_ctl_el0, x0
1:  wfi                                         /* may end for no reason */
    mrs     x19, S3_0_C12_C12_0
    cmp     x19, #1023
    b.eq    1b
    msr     cntp_ctl_el0, xzr
    msr     S3_0_C12_C12_1, x19
    CHECK   x19, 30, "the physical timer ends WFI"

    /* Priority drop and deactivation apart */
    mov     x0, #2
    msr     S3_0_C12_C12_4, x0                  /* ICC_CTLR_EL1.EOImode */
    SGI     5 << 24 | ICC_SGI_SELF
    mrs     x19, S3_0_C12_C12_0
    msr     S3_0_C12_C12_1, x19
    mrs     x18, S3_0_C12_C11_3
    CHECK   x18, 0xff, "ICC_EOIR1 drops the priority"
    GET     w19, GICR + 0x10300
    CHECK   x19, 0x20, "and leaves it active"
    SGI     5 << 24 | ICC_SGI_SELF
    mrs     x19, S3_0_C12_C12_0
    CHECK   x19, 1023, "so it is not taken again"
    mov     x0, #5
    msr     S3_0_C12_C11_1, x0                  /* ICC_DIR_EL1 */
    GET     w19, GICR + 0x10300
    CHECK   x19, 0, "ICC_DIR deactivates it"
    msr     S3_0_C12_C12_4, xzr
    WINDOW
    CHECK   x19, 5, "and the next is taken"

    /* To the other CPU, if there is one, many times and back */
    mov     x1, #1
    mov     x2, #0
    CALL    0xc4000004                          /* AFFINITY_INFO */
    cmp     x0, #1
    b.ne    done                                /* there is none */
    mov     x1, #1
    adr     x2, second
    mov     x3, #0
    CALL    0xc4000003                          /* CPU_ON */
    CHECK   x0, 0, "CPU_ON"
    mov     x27, #2000
1:  wfi                                         /* masked: wakes without a vector */
    mrs     x0, S3_0_C12_C12_0
    cmp     x0, #1023
    b.eq    1b
    msr     S3_0_C12_C12_1, x0
    cmp     x0, #8
    b.ne    1b
    subs    x27, x27, #1
    b.eq    2f
    SGI     7 << 24 | ICC_SGI_OTHERS
    b       1b
2:  adr     x18, answers
    ldr     w19, [x18]
    CHECK   x19, 1999, "each message was answered once"
done:
    ret     x26
    .ltorg

second:
    adr     x0, STACK2
    mov     sp, x0
    ldr     x0, =(GICR + GICR_STRIDE)
    OPEN
    adr     x18, answers
    mov     w17, #0
    SGI     8 << 24 | 1                         /* ready: to CPU 0 */
2:  wfi
    mrs     x0, S3_0_C12_C12_0
    cmp     x0, #1023
    b.eq    2b
    msr     S3_0_C12_C12_1, x0
    add     w17, w17, #1
    str     w17, [x18]
    dsb     sy
    SGI     8 << 24 | 1
    b       2b
    .ltorg

answers:
    .word   0

on_irq:
    mrs     x19, S3_0_C12_C12_0
    msr     S3_0_C12_C12_1, x19
    eret
    .ltorg
