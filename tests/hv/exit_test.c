/*
 * What makes a guest exit, where the PC is then, and what the syndrome says: instructions, system
 * registers, debug events. Aborts are in abort_test.c.
 */
#include "guest.h"

#include <string.h>

/* One word at GUEST_CODE, then a BRK that says the guest got past it. */
static void open_word(struct guest *g, uint32_t word)
{
    const uint32_t code[] = { word, A64_BRK(0xd0) };

    GUEST_OPEN(g, code);
}

struct instruction {
    const char *name;
    uint32_t word;
    unsigned ec;
    uint32_t iss;
    unsigned pc_step; /* where PC is at the exit, from the instruction */
};

static const struct instruction instructions[] = {
    { "wfi", A64_WFI, EC_WFX, 0x1e00000, 0 },
    { "wfe", A64_WFE, EC_WFX, 0x1e00001, 0 },
    { "hvc #0", A64_HVC(0), EC_HVC64, 0, 4 },
    { "hvc #0xffff", A64_HVC(0xffff), EC_HVC64, 0xffff, 4 },
    { "smc #0", A64_SMC(0), EC_SMC64, 0, 0 },
    { "smc #0x1234", A64_SMC(0x1234), EC_SMC64, 0x1234, 0 },
    { "brk #0", A64_BRK(0), EC_BRK64, 0, 0 },
    { "brk #0xabcd", A64_BRK(0xabcd), EC_BRK64, 0xabcd, 0 },
};

static void instruction_exits(const struct instruction *t)
{
    struct guest g;

    if (t->ec == EC_WFX && check_skip_on_kvm("KVM waits itself"))
        return;
    if (t->ec == EC_SMC64 && t->iss && check_skip_on_kvm("KVM answers it: SMC #0 alone is a call"))
        return;
    open_word(&g, t->word);

    uint64_t syndrome = guest_run_exception(&g, t->ec);

    /* CV and COND of WFx are what the architecture leaves open for A64: not compared. */
    uint32_t mask = t->ec == EC_WFX ? 3 : 0xffff;

    CHECK_EQ(SYNDROME_ISS(syndrome) & mask, t->iss & mask);
    CHECK_EQ(SYNDROME_IL(syndrome), 1);
    CHECK_EQ(syndrome >> 32, 0);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + t->pc_step);
    if (t->pc_step == 0)
        guest_skip(&g);
    CHECK(guest_run_brk(&g, 0xd0)); /* and on from there */
    guest_close(&g);
}

/* Registers whose accesses the monitor must emulate. Rt is 7 in the test. */
struct trapped {
    const char *name;
    uint8_t op0, op1, crn, crm, op2;
    bool read, write;
};

static const struct trapped trapped[] = {
    { "CNTPCT_EL0", 3, 3, 14, 0, 1, true, false },
    { "CNTP_TVAL_EL0", 3, 3, 14, 2, 0, true, true },
    { "CNTP_CTL_EL0", 3, 3, 14, 2, 1, true, true },
    { "CNTP_CVAL_EL0", 3, 3, 14, 2, 2, true, true },
    { "OSLAR_EL1", 2, 0, 1, 0, 4, false, true },
    { "OSLSR_EL1", 2, 0, 1, 1, 4, true, false },
    { "OSDLR_EL1", 2, 0, 1, 3, 4, true, true },
    { "PMCR_EL0", 3, 3, 9, 12, 0, true, true },
    { "PMCNTENSET_EL0", 3, 3, 9, 12, 1, true, true },
    { "PMCNTENCLR_EL0", 3, 3, 9, 12, 2, true, true },
    { "PMOVSCLR_EL0", 3, 3, 9, 12, 3, true, true },
    { "PMSELR_EL0", 3, 3, 9, 12, 5, true, true },
    { "PMCEID0_EL0", 3, 3, 9, 12, 6, true, false },
    { "PMCEID1_EL0", 3, 3, 9, 12, 7, true, false },
    { "PMCCNTR_EL0", 3, 3, 9, 13, 0, true, true },
    { "PMXEVTYPER_EL0", 3, 3, 9, 13, 1, true, true },
    { "PMXEVCNTR_EL0", 3, 3, 9, 13, 2, true, true },
    { "PMUSERENR_EL0", 3, 3, 9, 14, 0, true, true },
    { "PMINTENSET_EL1", 3, 0, 9, 14, 1, true, true },
    { "PMINTENCLR_EL1", 3, 0, 9, 14, 2, true, true },
    { "PMCCFILTR_EL0", 3, 3, 14, 15, 7, true, true },
    { "ICC_PMR_EL1", 3, 0, 4, 6, 0, true, true },
    { "ICC_IAR0_EL1", 3, 0, 12, 8, 0, true, false },
    { "ICC_EOIR0_EL1", 3, 0, 12, 8, 1, false, true },
    { "ICC_DIR_EL1", 3, 0, 12, 11, 1, false, true },
    { "ICC_RPR_EL1", 3, 0, 12, 11, 3, true, false },
    { "ICC_SGI1R_EL1", 3, 0, 12, 11, 5, false, true },
    { "ICC_IAR1_EL1", 3, 0, 12, 12, 0, true, false },
    { "ICC_EOIR1_EL1", 3, 0, 12, 12, 1, false, true },
    { "ICC_HPPIR1_EL1", 3, 0, 12, 12, 2, true, false },
    { "ICC_BPR1_EL1", 3, 0, 12, 12, 3, true, true },
    { "ICC_CTLR_EL1", 3, 0, 12, 12, 4, true, true },
    { "ICC_SRE_EL1", 3, 0, 12, 12, 5, true, true },
    { "ICC_IGRPEN1_EL1", 3, 0, 12, 12, 7, true, true },
    { "LORC_EL1", 3, 0, 10, 4, 3, true, true },
    { "CNTPCTSS_EL0", 3, 3, 14, 0, 5, true, false },
    { "PMOVSSET_EL0", 3, 3, 9, 14, 3, true, true },
    { "LORSA_EL1", 3, 0, 10, 4, 0, true, true },
    { "S3_5_C15_C0_1", 3, 5, 15, 0, 1, true, true },
    { "S3_7_C11_C8_7", 3, 7, 11, 8, 7, true, true },
};

static void sysreg_exits(const struct trapped *t, bool read)
{
    uint32_t reg = A64_REG(t->op0, t->op1, t->crn, t->crm, t->op2);
    uint32_t iss = (uint32_t)t->op0 << 20 | (uint32_t)t->op2 << 17 | (uint32_t)t->op1 << 14 |
                   (uint32_t)t->crn << 10 | 7u << 5 | (uint32_t)t->crm << 1 | read;
    struct guest g;

    if (check_skip_on_kvm("KVM answers for system registers itself"))
        return;
    open_word(&g, read ? A64_MRS(7, reg) : A64_MSR(reg, 7));
    guest_set_reg(&g, HV_REG_X7, 0x5555);

    uint64_t syndrome = guest_run_exception(&g, EC_SYSREG);

    CHECK_EQ(SYNDROME_ISS(syndrome), iss);
    CHECK_EQ(SYNDROME_IL(syndrome), 1);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE);
    CHECK_EQ(guest_reg(&g, HV_REG_X7), 0x5555);
    guest_set_reg(&g, HV_REG_X7, 0x1234);
    guest_skip(&g);
    CHECK(guest_run_brk(&g, 0xd0));
    CHECK_EQ(guest_reg(&g, HV_REG_X7), 0x1234);
    guest_close(&g);
}

static void sysreg_access_of_xzr_names_register_31(void)
{
    struct guest g;

    if (check_skip_on_kvm("KVM answers for system registers itself"))
        return;
    open_word(&g, A64_MSR(A64_REG(3, 3, 14, 2, 1), 31));

    uint64_t syndrome = guest_run_exception(&g, EC_SYSREG);

    CHECK_EQ(syndrome >> 5 & 31, 31);
    guest_close(&g);
}

/* What a guest may do without the monitor noticing. */
struct native {
    const char *name;
    uint32_t word;
};

static const struct native natives[] = {
    { "mrs CNTVCT_EL0", A64_MRS(0, REG_CNTVCT_EL0) },
    { "mrs CNTFRQ_EL0", A64_MRS(0, REG_CNTFRQ_EL0) },
    { "mrs CNTV_CTL_EL0", A64_MRS(0, REG_CNTV_CTL) },
    { "msr CNTV_CVAL_EL0", A64_MSR(REG_CNTV_CVAL, 0) },
    { "msr CNTV_TVAL_EL0", A64_MSR(REG_CNTV_TVAL, 0) },
    { "msr CNTKCTL_EL1", A64_MSR(A64_REG(3, 0, 14, 1, 0), 0) },
    { "mrs ID_AA64ISAR0_EL1", A64_MRS(0, A64_REG(3, 0, 0, 6, 0)) },
    { "mrs ID_AA64DFR0_EL1", A64_MRS(0, A64_REG(3, 0, 0, 5, 0)) },
    { "mrs CTR_EL0", A64_MRS(0, A64_REG(3, 3, 0, 0, 1)) },
    { "mrs DCZID_EL0", A64_MRS(0, A64_REG(3, 3, 0, 0, 7)) },
    { "mrs CLIDR_EL1", A64_MRS(0, A64_REG(3, 1, 0, 0, 1)) },
    { "mrs CurrentEL", A64_MRS(0, A64_REG(3, 0, 4, 2, 2)) },
    { "msr MDSCR_EL1", A64_MSR(A64_REG(2, 0, 0, 2, 2), 0) },
    { "msr DBGBCR0_EL1", A64_MSR(A64_REG(2, 0, 0, 0, 5), 0) },
    { "tlbi vmalle1", 0xd508871f },
    { "tlbi vmalle1is", 0xd508831f },
    { "ic iallu", 0xd508751f },
    { "ic ivau, x1", 0xd50b7521 },
    { "dc cvau, x1", 0xd50b7b21 },
    { "dc civac, x1", 0xd50b7e21 },
    { "at s1e1r, x1", 0xd5087801 },
    { "yield", 0xd503203f },
    { "sev", 0xd503209f },
    { "isb", A64_ISB },
    { "dsb sy", A64_DSB_SY },
    { "paciasp, a hint without PAC", 0xd503233f },
    { "bti c, a hint without BTI", 0xd503245f },
};

static void native_does_not_exit(const struct native *t)
{
    struct guest g;

    open_word(&g, t->word);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    CHECK(guest_run_brk(&g, 0xd0));
    guest_close(&g);
}

/* What EL0 may not do is between it and its kernel. SCTLR_EL1 and CNTKCTL_EL1 permit nothing. */
static const struct native el0_traps[] = {
    { "hvc", A64_HVC(0) },
    { "smc", A64_SMC(0) },
    { "eret", A64_ERET },
    { "wfi", A64_WFI },
    { "wfe", A64_WFE },
    { "msr daifset", A64_DAIFSET(2) },
    { "tlbi vmalle1", 0xd508871f },
    { "mrs CTR_EL0", A64_MRS(0, A64_REG(3, 3, 0, 0, 1)) },
    { "mrs MIDR_EL1", A64_MRS(0, A64_REG(3, 0, 0, 0, 0)) },
    { "mrs CNTVCT_EL0", A64_MRS(0, REG_CNTVCT_EL0) },
    { "mrs CNTPCT_EL0", A64_MRS(0, REG_CNTPCT_EL0) },
    { "mrs CNTV_CTL_EL0", A64_MRS(0, REG_CNTV_CTL) },
    { "mrs PMCCNTR_EL0", A64_MRS(0, A64_REG(3, 3, 9, 13, 0)) },
    { "mrs ICC_IAR1_EL1", A64_MRS(0, A64_REG(3, 0, 12, 12, 0)) },
    { "msr TTBR0_EL1", A64_MSR(A64_REG(3, 0, 2, 0, 0), 0) },
};

static void el0_trap_reaches_the_kernel(const struct native *t)
{
    const uint32_t code[] = { A64_ERET, t->word };
    struct guest g;

    if (t->word == A64_WFE && check_skip_on_kvm("a host that QEMU emulates does not trap WFE"))
        return;
    if (t->word == A64_MRS(0, A64_REG(3, 3, 9, 13, 0)) &&
        check_skip_on_kvm("KVM answers for performance monitors itself"))
        return;
    GUEST_OPEN(&g, code);
    guest_set_sys(&g, HV_SYS_REG_ELR_EL1, GUEST_CODE + 4);
    guest_set_sys(&g, HV_SYS_REG_SPSR_EL1, CPSR_EL0);
    CHECK(guest_run_brk(&g, VECTOR_BRK(8))); /* synchronous, from EL0 */
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + 4);
    guest_close(&g);
}

static void undefined_goes_to_the_guest(void)
{
    struct guest g;

    open_word(&g, 0); /* udf #0 */
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_SYNC_EL1)));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1), 0x02000000);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_SPSR_EL1), CPSR_EL1H_MASKED);
    guest_close(&g);
}

static void svc_goes_to_the_guest(void)
{
    struct guest g;

    open_word(&g, A64_SVC(7));
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_SYNC_EL1)));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1), 0x15u << 26 | 1u << 25 | 7);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + 4);
    guest_close(&g);
}

static void brk_goes_to_the_guest_unless_asked_for(void)
{
    struct guest g;

    open_word(&g, A64_BRK(5));

    /* The vector's first instruction is a BRK too: replace it by an HVC that tells. */
    uint32_t word = A64_HVC(0x77);

    memcpy(g.ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * VECTOR_SYNC_EL1, &word, sizeof word);
    CHECK_OK(hv_vcpu_set_trap_debug_exceptions(g.vcpu, false));

    uint64_t syndrome = guest_run_exception(&g, EC_HVC64);

    CHECK_EQ(syndrome & 0xffff, 0x77);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1), 0x3cu << 26 | 1u << 25 | 5);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE);
    guest_close(&g);
}

static void el0_svc_reaches_the_kernels_vector(void)
{
    static const uint32_t code[] = { A64_ERET, A64_SVC(1) };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_sys(&g, HV_SYS_REG_ELR_EL1, GUEST_CODE + 4);
    guest_set_sys(&g, HV_SYS_REG_SPSR_EL1, CPSR_EL0);
    CHECK(guest_run_brk(&g, VECTOR_BRK(8)));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1), 0x15u << 26 | 1u << 25 | 1);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_SPSR_EL1), CPSR_EL0);
    CHECK_EQ(guest_reg(&g, HV_REG_CPSR), CPSR_EL1H_MASKED);
    guest_close(&g);
}

static void debug_register_access_exits_when_asked_for(void)
{
    static const struct native words[] = {
        { "msr DBGBVR0_EL1", A64_MSR(A64_REG(2, 0, 0, 0, 4), 7) },
        { "mrs DBGBCR5_EL1", A64_MRS(7, A64_REG(2, 0, 0, 5, 5)) },
        { "msr DBGWVR0_EL1", A64_MSR(A64_REG(2, 0, 0, 0, 6), 7) },
        { "mrs DBGWCR1_EL1", A64_MRS(7, A64_REG(2, 0, 0, 1, 7)) },
        { "mrs MDSCR_EL1", A64_MRS(7, A64_REG(2, 0, 0, 2, 2)) },
    };

    if (check_skip_on_kvm("KVM handles accesses to debug registers itself"))
        return;
    for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct guest g;

        open_word(&g, words[i].word);
        CHECK_OK(hv_vcpu_set_trap_debug_reg_accesses(g.vcpu, true));
        CHECK(guest_run_exception(&g, EC_SYSREG) != 0);
        CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE);
        guest_close(&g);
    }
}

static void single_step_exits_at_the_next_instruction(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 1), A64_MOVZ(0, 2), A64_BRK(0) };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, 1);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | 1u << 21);
    CHECK(guest_run_exception(&g, EC_STEP) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 4);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 1);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | 1u << 21);
    CHECK(guest_run_exception(&g, EC_STEP) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 8);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 2);
    guest_close(&g);
}

static void guest_steps_its_own_program(void)
{
    static const uint32_t code[] = { A64_ERET, A64_MOVZ(0, 1), A64_MOVZ(0, 2), A64_MOVZ(0, 3) };
    const uint32_t handler[] = { A64_HVC(0x55), A64_ERET };
    struct guest g;

    GUEST_OPEN(&g, code);
    memcpy(g.ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * 8, handler, sizeof handler);
    CHECK_OK(hv_vcpu_set_trap_debug_exceptions(g.vcpu, false));
    guest_set_sys(&g, HV_SYS_REG_MDSCR_EL1, 1);
    guest_set_sys(&g, HV_SYS_REG_ELR_EL1, GUEST_CODE + 4);
    guest_set_sys(&g, HV_SYS_REG_SPSR_EL1, CPSR_EL0 | 1u << 21);
    for (unsigned n = 1; n <= 2; n++) {
        CHECK(guest_run_exception(&g, EC_HVC64) != 0);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1) >> 26, 0x32);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_ESR_EL1) & 0x3f, 0x22);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + 4 + 4 * n);
        CHECK_EQ(guest_reg(&g, HV_REG_X0), n);
        guest_set_sys(&g, HV_SYS_REG_SPSR_EL1, CPSR_EL0 | 1u << 21);
    }
    guest_close(&g);
}

static void exit_record_stays_in_place(void)
{
    static const uint32_t code[] = { A64_HVC(1), A64_HVC(2), A64_BRK(3) };
    struct guest g;

    GUEST_OPEN(&g, code);

    hv_vcpu_exit_t *record = g.exit;

    CHECK_EQ(guest_run_exception(&g, EC_HVC64) & 0xffff, 1);
    CHECK_EQ(record->exception.syndrome & 0xffff, 1);
    CHECK_EQ(guest_run_exception(&g, EC_HVC64) & 0xffff, 2);
    CHECK_EQ(record->exception.syndrome & 0xffff, 2);
    CHECK(guest_run_brk(&g, 3));
    guest_close(&g);
}

static void code_written_by_the_host_is_seen_after_ic_ivau(void)
{
    static const uint32_t code[] = {
        A64_MOVZ(0, 1), A64_HVC(0), 0xd50b7521, /* ic ivau, x1 */
        A64_DSB_SY,     A64_ISB,    A64_B(-5),
    };
    uint32_t patch = A64_MOVZ(0, 2);
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_CODE);
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 1);
    memcpy(g.ram, &patch, sizeof patch);
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 2);
    guest_close(&g);
}

int main(void)
{
    for (unsigned i = 0; i < sizeof instructions / sizeof instructions[0]; i++) {
        check_start("exit: %s", instructions[i].name);
        instruction_exits(&instructions[i]);
        check_end();
    }
    for (unsigned i = 0; i < sizeof trapped / sizeof trapped[0]; i++) {
        for (int read = 0; read < 2; read++) {
            if (!(read ? trapped[i].read : trapped[i].write))
                continue;
            check_start("exit: %s %s", read ? "mrs" : "msr", trapped[i].name);
            sysreg_exits(&trapped[i], read);
            check_end();
        }
    }
    for (unsigned i = 0; i < sizeof natives / sizeof natives[0]; i++) {
        check_start("no exit: %s", natives[i].name);
        native_does_not_exit(&natives[i]);
        check_end();
    }
    for (unsigned i = 0; i < sizeof el0_traps / sizeof el0_traps[0]; i++) {
        check_start("no exit from EL0: %s", el0_traps[i].name);
        el0_trap_reaches_the_kernel(&el0_traps[i]);
        check_end();
    }
    RUN(sysreg_access_of_xzr_names_register_31);
    RUN(undefined_goes_to_the_guest);
    RUN(svc_goes_to_the_guest);
    RUN(brk_goes_to_the_guest_unless_asked_for);
    RUN(el0_svc_reaches_the_kernels_vector);
    RUN(debug_register_access_exits_when_asked_for);
    RUN(single_step_exits_at_the_next_instruction);
    RUN(guest_steps_its_own_program);
    RUN(exit_record_stays_in_place);
    RUN(code_written_by_the_host_is_seen_after_ic_ivau);
    return check_finish();
}
