/* Performance monitors (DDI 0487 D13): exact counts of known code, filters, chains, EL0's rights,
 * and the overflow interrupt. A CPU without them (ID_AA64DFR0_EL1.PMUVer 0) has nothing to test. */
    .include "kit.inc"

/* Count `event` (with filter bits) in counter 0 over what follows, up to COUNT_END. The MSR that
 * starts counting is counted, the one that stops it is not. */
    .macro COUNT event
    msr     pmcr_el0, x27           /* E, P: counters 0 */
    ldr     x0, =\event
    msr     pmevtyper0_el0, x0
    mov     x16, #1
    msr     pmcntenset_el0, x16
    .endm

    .macro COUNT_END
    msr     pmcntenclr_el0, x16
    mrs     x19, pmevcntr0_el0
    .endm

    .set HANDLER_LENGTH, 8          /* of on_sync in kit.inc, with the vector's branch */
    .set EL1_NOT, 1 << 31
    .set EL0_NOT, 1 << 30

main:
    mov     x26, x30
    mrs     x0, id_aa64dfr0_el1
    ubfx    x0, x0, #8, #4
    cbnz    x0, 1f
    ret     x26
1:  CHECK   x0, 4, "D19.2: PMUVer says PMUv3p1"
    adr     x0, own_vectors
    msr     vbar_el1, x0
    mov     x27, #3
    mrs     x19, pmcr_el0
    CHECK   x19, (6 << 11 | 1 << 6), "D19.5: PMCR_EL0 after reset: six counters, LC"
    mrs     x19, pmceid0_el0
    CHECK   x19, 0x400e1721, "D13.11: PMCEID0_EL0"
    mrs     x19, pmceid1_el0
    CHECK   x19, 0x1a, "D13.11: PMCEID1_EL0, with the stall events PMUv3p1 requires"

    /* Registers */
    mov     x0, #-1
    msr     pmcntenset_el0, x0
    mrs     x19, pmcntenclr_el0
    CHECK   x19, 0x8000003f, "D19.5: PMCNTENSET_EL0 has a bit for each counter"
    mov     x0, #-1
    msr     pmcntenclr_el0, x0
    mrs     x19, pmcntenset_el0
    CHECK   x19, 0, "D19.5: PMCNTENCLR_EL0 clears them"
    mov     x0, #3
    msr     pmselr_el0, x0
    mov     x0, #0x11
    msr     pmxevtyper_el0, x0
    mrs     x19, pmevtyper3_el0
    CHECK   x19, 0x11, "D19.5: PMXEVTYPER_EL0 is the selected counter's"
    ldr     x0, =0x123456789
    msr     pmevcntr3_el0, x0
    mrs     x19, pmxevcntr_el0
    CHECK   x19, 0x23456789, "D19.5: PMXEVCNTR_EL0 is the selected counter, 32 bits"
    mov     x0, #31
    msr     pmselr_el0, x0
    ldr     x0, =EL1_NOT
    msr     pmxevtyper_el0, x0
    mrs     x19, pmccfiltr_el0
    CHECK   x19, EL1_NOT, "D19.5: PMSELR_EL0 31 selects PMCCFILTR_EL0"
    msr     pmccfiltr_el0, xzr

    /* Exact counts */
    COUNT   0x08
    mov     x0, #1000
1:  subs    x0, x0, #1
    b.ne    1b
    COUNT_END
    CHECK   x19, 2002, "D13.11: INST_RETIRED of a loop of 1000, exactly"

    COUNT   0x08
    mov     x24, #0
    adr     x24, 2f
    udf     #0                      /* not retired; its handler is nine instructions */
2:  nop
    COUNT_END
    sub     x19, x19, #(4 + HANDLER_LENGTH)
    CHECK   x19, 0, "D13.11: INST_RETIRED over an undefined instruction"

    COUNT   0x08
    mov     x0, #100
1:  msr     tpidr_el1, x0
    dsb     sy
    isb
    msr     daifset, #2
    mrs     x1, tpidr_el1
    subs    x0, x0, #1
    b.ne    1b
    COUNT_END
    CHECK   x19, 702, "D13.11: INST_RETIRED of system instructions"

    COUNT   0x21
    mov     x0, #1000
1:  subs    x0, x0, #1
    cbz     x0, 2f
    b.ne    1b
2:  bl      nothing
    COUNT_END
    CHECK   x19, 2001, "D13.11: BR_RETIRED, taken and not"

    COUNT   0x0c
    mov     x0, #1000
1:  subs    x0, x0, #1
    b.ne    1b
    COUNT_END
    CHECK   x19, 999, "D13.11: PC_WRITE_RETIRED, taken only"

    COUNT   0x13
    mov     x0, #500
    mov     x1, sp
1:  ldr     x2, [x1, #-16]
    stp     x2, x2, [x1, #-16]
    prfm    pldl1keep, [x1]
    subs    x0, x0, #1
    b.ne    1b
    COUNT_END
    CHECK   x19, 1000, "D13.11: MEM_ACCESS"

    COUNT   0x09
    adr     x24, 1f
    svc     #0
1:  adr     x24, 1f
    svc     #0
1:  COUNT_END
    CHECK   x19, 2, "D13.11: EXC_TAKEN"

    COUNT   0x0a
    adr     x24, 1f
    svc     #0
1:  COUNT_END
    CHECK   x19, 1, "D13.11: EXC_RETURN"

    COUNT   0x00
    mov     x0, #1
    msr     pmswinc_el0, x0
    msr     pmswinc_el0, x0
    mov     x0, #2
    msr     pmswinc_el0, x0
    COUNT_END
    CHECK   x19, 2, "D13.11: SW_INCR"

    COUNT   0x23
    mov     x0, #100
1:  subs    x0, x0, #1
    b.ne    1b
    COUNT_END
    CHECK   x19, 0, "D13.11: STALL_FRONTEND: nothing waits for instructions"
    COUNT   0x24
    ldr     x0, [sp, #-16]
    COUNT_END
    CHECK   x19, 0, "D13.11: STALL_BACKEND: nor for anything else"

    COUNT   (0x08 | EL1_NOT)
    nop
    COUNT_END
    CHECK   x19, 0, "D13.7: P keeps a counter from counting at EL1"

    COUNT   (0x08 | EL1_NOT)
    adr     x0, at_el0
    bl      visit_el0
    COUNT_END
    CHECK   x19, 202, "D13.7: and only EL0 is counted"

    COUNT   (0x08 | EL0_NOT)
    adr     x0, at_el0
    bl      visit_el0
    COUNT_END
    CHECK   x19, 14, "D13.7: U keeps a counter from counting at EL0"

    COUNT   0x08
    msr     pmcr_el0, xzr
    nop
    msr     pmcntenclr_el0, x16
    mrs     x19, pmevcntr0_el0
    CHECK   x19, 1, "D13.1: PMCR_EL0.E clear stops everything"

    /* Chain: counter 1 counts the overflows of counter 0 */
    msr     pmcr_el0, x27
    msr     pmevtyper0_el0, xzr
    mov     x0, #0x1e
    msr     pmevtyper1_el0, x0
    mov     x0, #-2
    msr     pmevcntr0_el0, x0
    mov     x0, #-1
    msr     pmovsclr_el0, x0
    mov     x0, #3
    msr     pmcntenset_el0, x0
    mov     x0, #1
    msr     pmswinc_el0, x0
    msr     pmswinc_el0, x0
    msr     pmswinc_el0, x0
    mrs     x19, pmevcntr0_el0
    CHECK   x19, 1, "D13.11: CHAIN: the low counter wraps"
    mrs     x19, pmevcntr1_el0
    CHECK   x19, 1, "D13.11: CHAIN: the high counter counts it"
    mrs     x19, pmovsset_el0
    CHECK   x19, 1, "D13.4: the overflow is noted"
    mov     x0, #-1
    msr     pmcntenclr_el0, x0
    msr     pmovsclr_el0, x0
    mrs     x19, pmovsset_el0
    CHECK   x19, 0, "D13.4: PMOVSCLR_EL0 forgets it"

    /* Cycles */
    mov     x0, #5
    msr     pmcr_el0, x0            /* E, C */
    ldr     x16, =1 << 31
    msr     pmcntenset_el0, x16
    mrs     x17, pmccntr_el0
    mov     x0, #10000
1:  subs    x0, x0, #1
    b.ne    1b
    mrs     x18, pmccntr_el0
    cmp     x18, x17
    CHECK_TRUE hi, "D13.2: the cycle counter counts"
    msr     pmcntenclr_el0, x16
    mrs     x17, pmccntr_el0
    mov     x0, #10000
1:  subs    x0, x0, #1
    b.ne    1b
    mrs     x18, pmccntr_el0
    cmp     x18, x17
    CHECK_TRUE eq, "D13.2: disabled it stands"

    /* EL0's rights; x19 is ESR_EL1 */
    adr     x0, read_cycles
    bl      visit_el0
    lsr     x19, x19, #26
    CHECK   x19, 0x18, "D19.5: EL0 may not read PMCCNTR_EL0"
    mov     x0, #4
    msr     pmuserenr_el0, x0       /* CR */
    adr     x0, read_cycles
    bl      visit_el0
    lsr     x19, x19, #26
    CHECK   x19, 0x15, "D19.5: with PMUSERENR_EL0.CR it may"
    adr     x0, read_counter
    bl      visit_el0
    lsr     x19, x19, #26
    CHECK   x19, 0x18, "D19.5: but no event counter"
    mov     x0, #8
    msr     pmuserenr_el0, x0       /* ER */
    adr     x0, read_counter
    bl      visit_el0
    lsr     x19, x19, #26
    CHECK   x19, 0x15, "D19.5: with ER it may"
    adr     x0, write_control
    bl      visit_el0
    lsr     x19, x19, #26
    CHECK   x19, 0x18, "D19.5: PMCR_EL0 needs EN"
    mov     x0, #1
    msr     pmuserenr_el0, x0
    adr     x0, write_control
    bl      visit_el0
    lsr     x19, x19, #26
    CHECK   x19, 0x15, "D19.5: with EN everything"
    msr     pmuserenr_el0, xzr

    /* The overflow interrupt */
    adr     x23, on_irq
    GIC_ENABLE 23
    msr     pmcr_el0, x27
    mov     x0, #8
    msr     pmevtyper0_el0, x0
    mov     x0, #-10000
    msr     pmevcntr0_el0, x0
    mov     x16, #1
    msr     pmintenset_el1, x16
    msr     pmcntenset_el0, x16
    mov     x19, #0
    ldr     x0, =10000000
    msr     daifclr, #2
1:  sub     x0, x0, #1
    cbz     x0, 2f
    cbz     x19, 1b
2:  msr     daifset, #2
    msr     pmcntenclr_el0, x16
    mov     x17, x0
    CHECK   x19, 23, "D13.4: the overflow interrupt is taken"
    CHECK   x18, 1, "D13.4: PMOVSSET_EL0 says whose it is"
    ldr     x0, =10000000 - 3333
    cmp     x17, x0
    CHECK_TRUE lo, "D13.4: not before the overflow"
    ldr     x0, =10000000 - 20000
    cmp     x17, x0
    CHECK_TRUE hi, "D13.4: and soon after it"
    bl      end_of_interrupt
    GIC_ACK 27
    CHECK   x27, 1023, "D13.4: cleared, there is none any more"

    /* Of the cycle counter */
    mov     x27, #3
    mov     x0, #-10000
    msr     pmccntr_el0, x0
    ldr     x16, =1 << 31
    msr     pmintenset_el1, x16
    msr     pmcntenset_el0, x16
    mov     x19, #0
    msr     daifclr, #2
1:  cbz     x19, 1b
    msr     daifset, #2
    msr     pmcntenclr_el0, x16
    CHECK   x19, 23, "D13.4: the cycle counter's interrupt is taken"
    CHECK   x18, 0x80000000, "D13.4: and is its own"
    bl      end_of_interrupt

    /* By software */
    mov     x19, #0
    mov     x0, #1
    msr     daifclr, #2
    msr     pmovsset_el0, x0
1:  cbz     x19, 1b
    msr     daifset, #2
    CHECK   x19, 23, "D19.5: PMOVSSET_EL0 raises it, too"
    bl      end_of_interrupt
    ret     x26

nothing:
    ret

/* Acknowledge, note, clear the overflow; the EOI is end_of_interrupt's. */
on_irq:
    mov     x15, x16
    GIC_ACK 19
    mov     x16, x15
    mrs     x18, pmovsset_el0
    msr     pmovsclr_el0, x18
    eret

end_of_interrupt:
    mov     x15, x16
    GIC_EOI 19
    mov     x16, x15
    ret

/* Run x0 at EL0 until its first exception; its syndrome to x19. With ADR and BL of the caller and the
 * vector's branch these are 13 instructions at EL1. */
visit_el0:
    msr     elr_el1, x0
    mov     x0, #0x3c0
    msr     spsr_el1, x0
    mov     x17, x30
    isb
    eret
back_from_el0:
    mrs     x19, esr_el1
    mov     x0, #0x3c5
    msr     spsr_el1, x0
    ret     x17

at_el0:
    mov     x1, #100
1:  subs    x1, x1, #1
    b.ne    1b
    svc     #0
read_cycles:
    mrs     x1, pmccntr_el0
    svc     #0
read_counter:
    mrs     x1, pmevcntr0_el0
    svc     #0
write_control:
    msr     pmcr_el0, xzr
    svc     #0
    .ltorg

    .balign 0x800
own_vectors:
    .rept 4
    VECTOR  b, on_unexpected
    .endr
    VECTOR  b, on_sync
    VECTOR  br, x23
    VECTOR  b, on_unexpected
    VECTOR  b, on_unexpected
    VECTOR  b, back_from_el0
    .rept 7
    VECTOR  b, on_unexpected
    .endr
    .balign 0x80
