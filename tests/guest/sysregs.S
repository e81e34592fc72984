/* Every system register that leaves the guest: the monitor's table answers, and the guest goes on
 * behind the access with nothing else changed. */
    .include "kit.inc"

/* Reads as `value`; a write is accepted. Both leave the other registers alone. */
    .macro FIXED reg, value, name
    mov     x19, #-1
    mov     x18, #0x55
    mrs     x19, \reg
    CHECK   x19, \value, "\name reads"
    msr     \reg, x18
    CHECK   x18, 0x55, "\name is written"
    .endm

    .macro READ_ONLY reg, value, name
    mov     x19, #-1
    mrs     x19, \reg
    CHECK   x19, \value, "\name reads"
    .endm

    .macro WRITE_ONLY reg, name
    mov     x18, #0x55
    msr     \reg, x18
    CHECK   x18, 0x55, "\name is written"
    .endm

/* Reads back what was written. */
    .macro KEEPS reg, value, name
    ldr     x18, =\value
    msr     \reg, x18
    mov     x19, #-1
    mrs     x19, \reg
    CHECK   x19, \value, "\name keeps its value"
    .endm

main:
    mov     x26, x30

    /* Generic timer */
    KEEPS   s3_3_c14_c2_2, 0x123456789abcdef0, "CNTP_CVAL_EL0"
    KEEPS   s3_3_c14_c2_1, 3, "CNTP_CTL_EL0"
    mov     x0, #0
    msr     cntp_cval_el0, x0
    mrs     x19, cntp_ctl_el0
    CHECK   x19, 7, "CNTP_CTL_EL0.ISTATUS of a timer in the past"
    ldr     x0, =1000000
    msr     cntp_tval_el0, x0
    mrs     x19, cntp_tval_el0
    sub     x19, x19, #1
    ldr     x0, =1000000
    cmp     x19, x0
    CHECK_TRUE lo, "CNTP_TVAL_EL0 counts down"
    mrs     x19, cntp_ctl_el0
    CHECK   x19, 3, "CNTP_CTL_EL0.ISTATUS of a timer in the future"
    mov     x0, #-24
    msr     cntp_tval_el0, x0
    mrs     x19, cntp_ctl_el0
    CHECK   x19, 7, "a negative CNTP_TVAL_EL0 is in the past"
    msr     cntp_ctl_el0, xzr

    /* OS lock */
    mov     x0, #1
    msr     oslar_el1, x0
    mrs     x19, oslsr_el1
    CHECK   x19, 0xa, "OSLSR_EL1 after locking"
    msr     oslar_el1, xzr
    mrs     x19, oslsr_el1
    CHECK   x19, 0x8, "OSLSR_EL1 after unlocking"
    KEEPS   osdlr_el1, 1, "OSDLR_EL1"
    KEEPS   osdlr_el1, 0, "OSDLR_EL1, cleared,"

    /* Performance monitors: none, or pmu.S has them */
    mrs     x0, id_aa64dfr0_el1
    ubfx    x0, x0, #8, #4
    cbnz    x0, no_pmu_end
    FIXED   s3_3_c9_c12_0, 0, "PMCR_EL0"
    FIXED   s3_3_c9_c12_1, 0, "PMCNTENSET_EL0"
    FIXED   s3_3_c9_c12_2, 0, "PMCNTENCLR_EL0"
    FIXED   s3_3_c9_c12_3, 0, "PMOVSCLR_EL0"
    WRITE_ONLY s3_3_c9_c12_4, "PMSWINC_EL0"
    FIXED   s3_3_c9_c12_5, 0, "PMSELR_EL0"
    READ_ONLY s3_3_c9_c12_6, 0, "PMCEID0_EL0"
    READ_ONLY s3_3_c9_c12_7, 0, "PMCEID1_EL0"
    FIXED   s3_3_c9_c13_0, 0, "PMCCNTR_EL0"
    FIXED   s3_3_c9_c13_1, 0, "PMXEVTYPER_EL0"
    FIXED   s3_3_c9_c13_2, 0, "PMXEVCNTR_EL0"
    FIXED   s3_3_c9_c14_0, 0, "PMUSERENR_EL0"
    FIXED   s3_3_c9_c14_3, 0, "PMOVSSET_EL0"
    FIXED   s3_0_c9_c14_1, 0, "PMINTENSET_EL1"
    FIXED   s3_0_c9_c14_2, 0, "PMINTENCLR_EL1"
    FIXED   s3_3_c14_c8_0, 0, "PMEVCNTR0_EL0"
    FIXED   s3_3_c14_c11_6, 0, "PMEVCNTR30_EL0"
    FIXED   s3_3_c14_c12_0, 0, "PMEVTYPER0_EL0"
    FIXED   s3_3_c14_c15_7, 0, "PMCCFILTR_EL0"
no_pmu_end:

    /* Limited ordering regions: none */
    FIXED   s3_0_c10_c4_0, 0, "LORSA_EL1"
    FIXED   s3_0_c10_c4_1, 0, "LOREA_EL1"
    FIXED   s3_0_c10_c4_2, 0, "LORN_EL1"
    FIXED   s3_0_c10_c4_3, 0, "LORC_EL1"
    READ_ONLY s3_0_c10_c4_7, 0, "LORID_EL1"

    /* The GIC's CPU interface as registers: not with GICv2 */
    FIXED   s3_0_c4_c6_0, 0, "ICC_PMR_EL1"
    READ_ONLY s3_0_c12_c8_0, 0, "ICC_IAR0_EL1"
    WRITE_ONLY s3_0_c12_c8_1, "ICC_EOIR0_EL1"
    READ_ONLY s3_0_c12_c8_2, 0, "ICC_HPPIR0_EL1"
    FIXED   s3_0_c12_c8_3, 0, "ICC_BPR0_EL1"
    FIXED   s3_0_c12_c8_4, 0, "ICC_AP0R0_EL1"
    FIXED   s3_0_c12_c9_0, 0, "ICC_AP1R0_EL1"
    WRITE_ONLY s3_0_c12_c11_1, "ICC_DIR_EL1"
    READ_ONLY s3_0_c12_c11_3, 0, "ICC_RPR_EL1"
    WRITE_ONLY s3_0_c12_c11_5, "ICC_SGI1R_EL1"
    WRITE_ONLY s3_0_c12_c11_6, "ICC_ASGI1R_EL1"
    WRITE_ONLY s3_0_c12_c11_7, "ICC_SGI0R_EL1"
    READ_ONLY s3_0_c12_c12_0, 0, "ICC_IAR1_EL1"
    WRITE_ONLY s3_0_c12_c12_1, "ICC_EOIR1_EL1"
    READ_ONLY s3_0_c12_c12_2, 0, "ICC_HPPIR1_EL1"
    FIXED   s3_0_c12_c12_3, 0, "ICC_BPR1_EL1"
    FIXED   s3_0_c12_c12_4, 0, "ICC_CTLR_EL1"
    FIXED   s3_0_c12_c12_5, 0, "ICC_SRE_EL1"
    FIXED   s3_0_c12_c12_6, 0, "ICC_IGRPEN0_EL1"
    FIXED   s3_0_c12_c12_7, 0, "ICC_IGRPEN1_EL1"

    /* Implementation-defined and unknown: read as zero, logged once, never fatal */
    FIXED   s3_5_c15_c0_1, 0, "an implementation-defined register"
    FIXED   s3_7_c15_c15_7, 0, "another one"

    /* Rt 31: a write of zero, a read that goes nowhere */
    ldr     x18, =0x77
    msr     cntp_cval_el0, x18
    msr     cntp_cval_el0, xzr
    mrs     x19, cntp_cval_el0
    CHECK   x19, 0, "xzr writes zero"
    mrs     xzr, cntp_cval_el0
    cmp     xzr, xzr
    CHECK_TRUE eq, "a read into xzr changes nothing"

    /* Native ones, for contrast */
    KEEPS   tpidr_el0, 0x1122334455667788, "TPIDR_EL0"
    KEEPS   contextidr_el1, 0x12345678, "CONTEXTIDR_EL1"
    KEEPS   cntv_cval_el0, 0x123456789abcdef0, "CNTV_CVAL_EL0"
    mrs     x19, mpidr_el1
    CHECK   x19, 0x80000000, "MPIDR_EL1 of the first CPU"
    ret     x26
    .ltorg
