/* The CPU's system registers: the table, access from EL0 and EL1, what is an exit. */
#include "soft/model.h"
#include "tests/unit/soft_fixture.h"

#define CODE      RAM_BASE
#define CPSR_EL1H 0x3c5u
#define CPSR_EL0T 0x000u

static void every_encoding_is_found_and_none_twice(void **state)
{
    (void)state;
    for (unsigned n = 0; n < SYSREG_COUNT; n++)
        assert_int_equal(soft_sysreg_find(soft_sysreg_table[n].encoding), n);
    assert_int_equal(soft_sysreg_find(0), -1);
    assert_int_equal(soft_sysreg_find(SYSREG_ENCODE(3, 7, 15, 15, 7)), -1);
}

/* What a guest may write it reads back, unless the register says otherwise. */
static void plain_registers_keep_their_value(void **state)
{
    struct fixture *f = *state;

    for (unsigned n = 0; n < SYSREG_COUNT; n++) {
        const struct sysreg_info *r = &soft_sysreg_table[n];
        if ((r->kind != SYSREG_PLAIN && r->kind != SYSREG_DEBUG) ||
            !(r->access & SYSREG_EL1_WRITE) || n == SYSREG_MDSCR_EL1 ||
            (r->kind == SYSREG_DEBUG && debug_is_beyond((enum sysreg)n)))
            continue;
        f->c->x[1] = 0x123456789abcdef0ull + n;
        RUN(f, CODE, A64_MSR(r->encoding, 1), A64_MRS(2, r->encoding), A64_BRK(0));
        assert_int_equal(f->c->x[2], f->c->x[1]);
    }
}

static void registers_of_the_vmm_are_exits(void **state)
{
    struct fixture *f = *state;

    for (unsigned n = 0; n < SYSREG_COUNT; n++) {
        const struct sysreg_info *r = &soft_sysreg_table[n];
        if (r->kind != SYSREG_TRAP && r->kind != SYSREG_OPTION)
            continue;
        bool read = r->access & SYSREG_EL1_READ;
        uint64_t s = RUN(f, CODE, read ? A64_MRS(7, r->encoding) : A64_MSR(r->encoding, 7));
        assert_int_equal(SYNDROME_EC(s), EC_SYSREG);
        assert_int_equal(f->c->pc, CODE);
        unsigned e = r->encoding;
        assert_int_equal(s & 0x1ffffff, bits(e, 15, 14) << 20 | bits(e, 2, 0) << 17 |
                                            bits(e, 13, 11) << 14 | bits(e, 10, 7) << 10 | 7 << 5 |
                                            bits(e, 6, 3) << 1 | read);
    }
    /* What nobody knows, too. */
    assert_int_equal(SYNDROME_EC(RUN(f, CODE, A64_MRS(0, SYSREG_ENCODE(3, 0, 0, 4, 7)))),
                     EC_SYSREG);
    assert_int_equal(SYNDROME_EC(RUN(f, CODE, A64_MSR(SYSREG_ENCODE(3, 1, 15, 0, 0), 3))),
                     EC_SYSREG);
}

static void el0_needs_el1s_leave(void **state)
{
    static const struct {
        uint32_t word;
        enum sysreg control;
        uint64_t bit;
        bool when_clear; /* allowed when the bit is clear */
    } cases[] = {
        { A64_MRS(0, SYSREG_ENCODE(3, 3, 0, 0, 1)), SYSREG_SCTLR_EL1, SCTLR_UCT, false },
        { A64_MRS(0, SYSREG_ENCODE(3, 3, 4, 2, 1)), SYSREG_SCTLR_EL1, SCTLR_UMA, false },
        { 0xd50342df, SYSREG_SCTLR_EL1, SCTLR_UMA, false }, /* msr daifset, #2 */
        { 0xd50b7421, SYSREG_SCTLR_EL1, SCTLR_DZE, false }, /* dc zva, x1 */
        { 0xd50b7521, SYSREG_SCTLR_EL1, SCTLR_UCI, false }, /* ic ivau, x1 */
        { 0xd50b7b21, SYSREG_SCTLR_EL1, SCTLR_UCI, false }, /* dc cvau, x1 */
        { A64_MRS(0, HV_SYS_REG_SCXTNUM_EL0), SYSREG_SCTLR_EL1, SCTLR_TSCXT, true },
        { A64_MRS(0, SYSREG_ENCODE(3, 3, 14, 0, 2)), SYSREG_CNTKCTL_EL1, 1 << 1, false },
        { A64_MRS(0, SYSREG_ENCODE(3, 3, 14, 0, 6)), SYSREG_CNTKCTL_EL1, 1 << 1, false },
        { A64_MRS(0, SYSREG_ENCODE(3, 3, 14, 0, 0)), SYSREG_CNTKCTL_EL1, 1 << 0, false },
        { A64_MRS(0, HV_SYS_REG_CNTV_CTL_EL0), SYSREG_CNTKCTL_EL1, 1 << 8, false },
    };
    struct fixture *f = *state;

    /* Normal memory, so that DC ZVA works; EL1's vectors where EL0 may not write. */
    st_le64(f->ram + 0x100000 + 8, RAM_BASE | 0x440 | 1 << 2 | 1);
    st_le64(f->ram + 0x100000 + 16, RAM_BASE | 0x400 | 1 << 2 | 1);
    soft_sysreg_write(f->v, SYSREG_MAIR_EL1, 0xff00);
    soft_sysreg_write(f->v, SYSREG_TCR_EL1, 2ull << 32 | 25);
    soft_sysreg_write(f->v, SYSREG_TTBR0_EL1, RAM_BASE + 0x100000);
    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, (2ull << 30) + 0x8000);
    st_le32(f->ram + 0x8400, A64_BRK(8));
    for (unsigned n = 0; n < ARRAY_LEN(cases); n++)
        for (unsigned on = 0; on < 2; on++) {
            uint64_t base = cases[n].control == SYSREG_SCTLR_EL1 ? IREKO_V1_SCTLR : 0;
            soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR);
            base = on ? base | cases[n].bit : base & ~cases[n].bit;
            soft_sysreg_write(f->v, cases[n].control, base);
            soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, f->v->sys[SYSREG_SCTLR_EL1] | SCTLR_M);
            cpu_set_pstate(f->c, CPSR_EL0T);
            f->c->x[1] = RAM_BASE + 0x3000;
            uint64_t s = RUN(f, CODE, cases[n].word, A64_BRK(0x55));
            bool allowed = on != cases[n].when_clear;
            if ((s & 0xffff) != (allowed ? 0x55 : 8))
                fail_msg("case %u, bit %u", n, on);
            if (!allowed)
                assert_int_equal(f->v->sys[SYSREG_ESR_EL1] >> 26, EC_SYSREG);
        }
}

static void identification_is_ireko_v1(void **state)
{
    struct fixture *f = *state;

    RUN(f, CODE, A64_MRS(0, HV_SYS_REG_ID_AA64PFR0_EL1), A64_MRS(1, HV_SYS_REG_ID_AA64MMFR0_EL1),
        A64_MRS(2, HV_SYS_REG_MIDR_EL1), A64_MRS(3, SYSREG_ENCODE(3, 0, 0, 1, 0)),
        A64_MRS(4, SYSREG_ENCODE(3, 3, 0, 0, 1)), A64_BRK(0));
    assert_int_equal(f->c->x[0], model_register(SYSREG_ID_AA64PFR0_EL1, MODEL_BASE));
    assert_int_equal(f->c->x[1],
                     model_register(SYSREG_ID_AA64MMFR0_EL1, MODEL_BASE) | 2); /* 40 bits */
    assert_int_equal(f->c->x[2] >> 24, 0);
    assert_int_equal(f->c->x[3], 0); /* no AArch32 */
    assert_int_equal(f->c->x[4], IREKO_V1_CTR);
    /* A vCPU's identity is the VMM's to set. */
    assert_int_equal(hv_backend_soft.set_sys_reg(f->handle, HV_SYS_REG_MPIDR_EL1, 0x80000003), 0);
    RUN(f, CODE, A64_MRS(0, HV_SYS_REG_MPIDR_EL1), A64_BRK(0));
    assert_int_equal(f->c->x[0], 0x80000003);
}

static void random_numbers_clear_the_flags(void **state)
{
    struct fixture *f = *state;
    uint64_t first;

    f->c->nzcv = PSTATE_Z | PSTATE_C;
    RUN(f, CODE, A64_MRS(0, SYSREG_ENCODE(3, 3, 2, 4, 0)), A64_BRK(0));
    first = f->c->x[0];
    assert_int_equal(f->c->nzcv, 0);
    RUN(f, CODE, A64_MRS(0, SYSREG_ENCODE(3, 3, 2, 4, 1)), A64_BRK(0));
    assert_int_not_equal(f->c->x[0], first);
}

static void dc_zva_clears_its_line_only(void **state)
{
    struct fixture *f = *state;

    st_le64(f->ram + 0x100000 + 8, RAM_BASE | 0x400 | 1 << 2 | 1);
    soft_sysreg_write(f->v, SYSREG_MAIR_EL1, 0xff00);
    soft_sysreg_write(f->v, SYSREG_TCR_EL1, 2ull << 32 | 25);
    soft_sysreg_write(f->v, SYSREG_TTBR0_EL1, RAM_BASE + 0x100000);
    soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR | SCTLR_M);
    memset(f->ram + 0x3000, 0xee, 256);
    f->c->x[1] = RAM_BASE + 0x3047;
    RUN(f, CODE, 0xd50b7421, A64_BRK(0));
    for (unsigned n = 0; n < 256; n++)
        assert_int_equal(f->ram[0x3000 + n], n / 64 == 1 ? 0 : 0xee);
}

/* Code that changes under the CPU is seen after IC IVAU, or IC IALLU. */
static void ic_makes_new_code_visible(void **state)
{
    static const uint32_t ic[] = { 0xd50b7521 /* ic ivau, x1 */, 0xd508751f /* ic iallu */ };
    struct fixture *f = *state;

    for (unsigned n = 0; n < ARRAY_LEN(ic); n++) {
        f->c->x[1] = RAM_BASE + 0x3000;
        f->c->x[3] = 0xd2800de0;              /* mov x0, #111 */
        st_le32(f->ram + 0x3000, 0xd2800160); /* mov x0, #11 */
        st_le32(f->ram + 0x3004, 0xd65f03c0); /* ret */
        /* bl; mov x4, x0; str w3, [x1]; ic; dsb; isb; bl; brk */
        RUN(f, CODE, 0x94000c00, 0xaa0003e4, 0xb9000023, ic[n], 0xd5033f9f, 0xd5033fdf, 0x94000bfa,
            A64_BRK(0));
        assert_int_equal(f->c->x[4], 11);
        assert_int_equal(f->c->x[0], 111);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_encoding_is_found_and_none_twice),
        TEST(plain_registers_keep_their_value),
        TEST(registers_of_the_vmm_are_exits),
        TEST(el0_needs_el1s_leave),
        TEST(identification_is_ireko_v1),
        TEST(random_numbers_clear_the_flags),
        TEST(dc_zva_clears_its_line_only),
        TEST(ic_makes_new_code_visible),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
