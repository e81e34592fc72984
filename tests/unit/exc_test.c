/* Taking exceptions and returning from them (DDI 0487 D1.3). */
#include "tests/unit/soft_fixture.h"

#define VECTORS (RAM_BASE + 0x8000)
#define CODE    RAM_BASE

#define CPSR_EL1H 0x3c5u
#define CPSR_EL1T 0x3c4u
#define CPSR_EL0T 0x000u

/* BRK n at every vector, n = its offset / 0x80. */
static void vectors(struct fixture *f)
{
    for (unsigned n = 0; n < 16; n++)
        st_le32(f->ram + 0x8000 + n * 0x80, A64_BRK(n));
    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, VECTORS);
}

static uint64_t sys(struct fixture *f, enum sysreg r)
{
    return soft_sysreg_read(f->v, r);
}

static void svc_from_each_mode_takes_its_vector(void **state)
{
    static const struct {
        uint32_t cpsr;
        unsigned vector;
    } modes[] = { { CPSR_EL1T, 0 }, { CPSR_EL1H, 4 }, { CPSR_EL0T, 8 } };
    struct fixture *f = *state;

    vectors(f);
    for (unsigned n = 0; n < ARRAY_LEN(modes); n++) {
        cpu_set_pstate(f->c, modes[n].cpsr | PSTATE_C | PSTATE_N);
        uint64_t s = RUN(f, CODE, A64_SVC(0x123));
        assert_int_equal(s & 0xffff, modes[n].vector);
        assert_int_equal(sys(f, SYSREG_ESR_EL1), 0x56000123);
        assert_int_equal(sys(f, SYSREG_ELR_EL1), CODE + 4);
        assert_int_equal(sys(f, SYSREG_SPSR_EL1), modes[n].cpsr | PSTATE_C | PSTATE_N);
        assert_int_equal(cpu_pstate(f->c) & 0x3ff, CPSR_EL1H);
    }
}

static void an_exception_changes_pstate_as_sctlr_says(void **state)
{
    struct fixture *f = *state;

    vectors(f);
    cpu_set_pstate(f->c, CPSR_EL0T | 1u << 23 | 1u << 12 | 1u << 24 | 2u << 10); /* UAO SSBS DIT */
    RUN(f, CODE, A64_SVC(0));
    assert_false(f->c->uao);
    assert_false(f->c->ssbs);
    assert_true(f->c->dit);
    assert_int_equal(f->c->btype, 0);
    assert_false(f->c->pan); /* SPAN is set after reset */
    soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, (IREKO_V1_SCTLR & ~SCTLR_SPAN) | SCTLR_DSSBS);
    cpu_set_pstate(f->c, CPSR_EL0T);
    RUN(f, CODE, A64_SVC(0));
    assert_true(f->c->pan);
    assert_true(f->c->ssbs);
}

static void stack_pointers_are_banked(void **state)
{
    struct fixture *f = *state;

    vectors(f);
    soft_sysreg_write(f->v, SYSREG_SP_EL0, 0x1000);
    soft_sysreg_write(f->v, SYSREG_SP_EL1, 0x2000);
    cpu_set_pstate(f->c, CPSR_EL0T);
    assert_int_equal(f->c->x[REG_SP], 0x1000);
    RUN(f, CODE, 0x910083ff /* add sp, sp, #32 */, A64_SVC(0));
    assert_int_equal(f->c->x[REG_SP], 0x2000);
    assert_int_equal(sys(f, SYSREG_SP_EL0), 0x1020);
    assert_int_equal(sys(f, SYSREG_SP_EL1), 0x2000);
    cpu_set_pstate(f->c, CPSR_EL1T);
    assert_int_equal(f->c->x[REG_SP], 0x1020);
}

static void eret_restores_everything(void **state)
{
    struct fixture *f = *state;

    vectors(f);
    f->c->excl_valid = true;
    soft_sysreg_write(f->v, SYSREG_ELR_EL1, CODE + 0x100);
    soft_sysreg_write(f->v, SYSREG_SPSR_EL1, CPSR_EL0T | PSTATE_Z | PSTATE_I | 1u << 22 | 1u << 12);
    st_le32(f->ram + 0x100, A64_BRK(0x77));
    assert_int_equal(RUN(f, CODE, A64_ERET) & 0xffff, 0x77);
    assert_int_equal(cpu_pstate(f->c), CPSR_EL0T | PSTATE_Z | PSTATE_I | 1u << 22 | 1u << 12);
    assert_int_equal(f->c->pc, CODE + 0x100);
    assert_false(f->c->excl_valid);
}

static void illegal_returns_set_il(void **state)
{
    /* AArch32, EL2h, EL3h, EL0 with SP_EL1 */
    static const uint32_t modes[] = { 0x10, 0x1f, 0x9, 0xd, 0x1, 0x6 };
    struct fixture *f = *state;

    vectors(f);
    for (unsigned n = 0; n < ARRAY_LEN(modes); n++) {
        cpu_set_pstate(f->c, CPSR_EL1H);
        soft_sysreg_write(f->v, SYSREG_ELR_EL1, CODE + 0x100);
        soft_sysreg_write(f->v, SYSREG_SPSR_EL1, modes[n] | PSTATE_V);
        assert_int_equal(RUN(f, CODE, A64_ERET) & 0xffff, 4);
        assert_int_equal(sys(f, SYSREG_ESR_EL1), (uint64_t)EC_ILLEGAL_STATE << 26 | ESR_IL);
        assert_int_equal(sys(f, SYSREG_ELR_EL1), CODE + 0x100);
        assert_int_equal(sys(f, SYSREG_SPSR_EL1), 1u << 20 | PSTATE_V | 5);
    }
}

static void undefined_words_and_el0_privileges(void **state)
{
    static const uint32_t words[] = {
        0x00000000,                                /* udf #0 */
        A64_ERET,                                  /* at EL0 */
        0xd4000002,                                /* hvc, at EL0 */
        0xd4000003,                                /* smc, at EL0 */
        A64_TLBI_VMALLE1,                          /* at EL0 */
        A64_MRS(0, HV_SYS_REG_SCTLR_EL1),          /* at EL0 */
        A64_MSR(HV_SYS_REG_TPIDRRO_EL0, 0),        /* at EL0 */
        A64_MRS(0, HV_SYS_REG_TPIDR2_EL0),         /* no SME */
        A64_MRS(0, HV_SYS_REG_DBGBVR0_EL1),        /* at EL0 */
        A64_MRS(0, SYSREG_ENCODE(3, 3, 15, 0, 0)), /* unknown, at EL0 */
        0xd4400000,                                /* hlt */
    };
    struct fixture *f = *state;

    vectors(f);
    for (unsigned n = 0; n < ARRAY_LEN(words); n++) {
        cpu_set_pstate(f->c, CPSR_EL0T);
        assert_int_equal(RUN(f, CODE, words[n]) & 0xffff, 8);
        assert_int_equal(sys(f, SYSREG_ESR_EL1), ESR_IL);
        assert_int_equal(sys(f, SYSREG_ELR_EL1), CODE);
    }
}

static void a_misaligned_pc_is_its_own_exception(void **state)
{
    struct fixture *f = *state;

    vectors(f);
    f->c->x[1] = CODE + 0x102;
    assert_int_equal(RUN(f, CODE, 0xd61f0020 /* br x1 */) & 0xffff, 4);
    assert_int_equal(sys(f, SYSREG_ESR_EL1), (uint64_t)EC_PC_ALIGNMENT << 26 | ESR_IL);
    assert_int_equal(sys(f, SYSREG_FAR_EL1), CODE + 0x102);
    assert_int_equal(sys(f, SYSREG_ELR_EL1), CODE + 0x102);
}

static void fp_traps_when_cpacr_says(void **state)
{
    static const struct {
        unsigned fpen;
        bool el0, el1;
    } cases[] = { { 0, true, true }, { 1, true, false }, { 2, true, true }, { 3, false, false } };
    struct fixture *f = *state;

    vectors(f);
    for (unsigned n = 0; n < ARRAY_LEN(cases); n++)
        for (unsigned el = 0; el < 2; el++) {
            soft_sysreg_write(f->v, SYSREG_CPACR_EL1, (uint64_t)cases[n].fpen << 20);
            cpu_set_pstate(f->c, el ? CPSR_EL1H : CPSR_EL0T);
            uint64_t s = RUN(f, CODE, 0x1e602820 /* fadd d0, d1, d0 */, A64_BRK(0x55));
            bool trapped = el ? cases[n].el1 : cases[n].el0;
            assert_int_equal(s & 0xffff, trapped ? (el ? 4 : 8) : 0x55);
            if (trapped)
                assert_int_equal(sys(f, SYSREG_ESR_EL1), 0x1fe00000);
        }
}

static void interrupts_wait_for_their_mask(void **state)
{
    struct fixture *f = *state;

    vectors(f);
    hv_backend_soft.set_pending(f->handle, HV_INTERRUPT_TYPE_IRQ, true);
    assert_int_equal(RUN(f, CODE, A64_BRK(0x55)) & 0xffff, 0x55);
    assert_false(hv_backend_soft.get_pending(f->handle, HV_INTERRUPT_TYPE_IRQ));
    /* daifclr #2 lets it in at once */
    hv_backend_soft.set_pending(f->handle, HV_INTERRUPT_TYPE_IRQ, true);
    assert_int_equal(RUN(f, CODE, 0xd50342ff, A64_BRK(0x55)) & 0xffff, 5);
    assert_int_equal(sys(f, SYSREG_ELR_EL1), CODE + 4);
    assert_int_equal(sys(f, SYSREG_SPSR_EL1), CPSR_EL1H & ~PSTATE_I);
    /* FIQ goes first */
    cpu_set_pstate(f->c, CPSR_EL0T);
    hv_backend_soft.set_pending(f->handle, HV_INTERRUPT_TYPE_IRQ, true);
    hv_backend_soft.set_pending(f->handle, HV_INTERRUPT_TYPE_FIQ, true);
    assert_int_equal(RUN(f, CODE, A64_BRK(0x55)) & 0xffff, 10);
    assert_int_equal(sys(f, SYSREG_ELR_EL1), CODE);
}

static void a_cancelled_run_executes_nothing(void **state)
{
    struct fixture *f = *state;

    st_le32(f->ram, A64_BRK(0));
    f->c->pc = CODE;
    hv_backend_soft.vcpu_kick(f->handle);
    hv_backend_soft.vcpu_kick(f->handle);
    assert_int_equal(hv_backend_soft.vcpu_run(f->handle), 0);
    assert_int_equal(f->exit.reason, HV_EXIT_REASON_CANCELED);
    assert_int_equal(f->c->pc, CODE);
    assert_int_equal(RUN(f, CODE, A64_BRK(3)) & 0xffff, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(svc_from_each_mode_takes_its_vector),
        TEST(an_exception_changes_pstate_as_sctlr_says),
        TEST(stack_pointers_are_banked),
        TEST(eret_restores_everything),
        TEST(illegal_returns_set_il),
        TEST(undefined_words_and_el0_privileges),
        TEST(a_misaligned_pc_is_its_own_exception),
        TEST(fp_traps_when_cpacr_says),
        TEST(interrupts_wait_for_their_mask),
        TEST(a_cancelled_run_executes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
