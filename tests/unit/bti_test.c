/* Branch target identification (DDI 0487 D8.4.5): which branch may go where in guarded pages. */
#include "soft/model.h"
#include "tests/unit/soft_fixture.h"

#define CODE    RAM_BASE
#define NEAR    (RAM_BASE + 0x100)   /* in the same page */
#define FAR     (RAM_BASE + 0x5000)  /* in another one */
#define OPEN    (RAM_BASE + 0x10000) /* not guarded; the vectors are there, too */
#define TABLES  (RAM_BASE + 0x100000)
#define VECTORS (OPEN + 0x1000)

/* Words. */
#define A64_NOP    0xd503201fu
#define BTI        0xd503241fu
#define BTI_C      0xd503245fu
#define BTI_J      0xd503249fu
#define BTI_JC     0xd50324dfu
#define PACIASP    0xd503233fu
#define PACIBSP    0xd503237fu
#define A64_HLT    0xd4400000u
#define A64_BR(n)  (0xd61f0000u | (n) << 5)
#define A64_BLR(n) (0xd63f0000u | (n) << 5)
#define A64_RET(n) (0xd65f0000u | (n) << 5)
#define A64_BRAAZ  0xd61f083fu /* x1 */
#define A64_BLRAAZ 0xd63f083fu
#define SCTLR_BT1  (1ull << 36)
#define SPSR_BTYPE 10
#define CPSR_EL1H  0x3c5u

/* Pages of 4 KiB at their own address, guarded below OPEN. */
static void mmu_on(struct fixture *f, uint64_t sctlr)
{
    uint64_t *level1 = (uint64_t *)(void *)(f->ram + (TABLES - RAM_BASE));
    uint64_t *level2 = level1 + 512, *level3 = level1 + 1024;

    level1[1] = (TABLES + 0x1000) | 3;
    level2[0] = (TABLES + 0x2000) | 3;
    for (uint64_t n = 0; n < 32; n++) {
        uint64_t page = RAM_BASE + n * 4096;
        level3[n] = page | 1ull << 10 | 3 | (page < OPEN ? 1ull << 50 : 0);
    }
    soft_sysreg_write(f->v, SYSREG_MAIR_EL1, 0xff);
    soft_sysreg_write(f->v, SYSREG_TCR_EL1, 25 | 25ull << 16 | 2ull << 32);
    soft_sysreg_write(f->v, SYSREG_TTBR0_EL1, TABLES);
    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, VECTORS);
    soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR | SCTLR_M | sctlr);
    for (uint32_t n = 0; n < 16; n++)
        st_le32(f->ram + (VECTORS - RAM_BASE) + 0x80 * n, A64_BRK(0x100 + n));
}

static int setup(void **state)
{
    int r = fixture_setup_cpu(state, "ireko-v1,pauth,bti");

    mmu_on(*state, 0);
    return r;
}

static int setup_off(void **state)
{
    int r = fixture_setup(state);

    mmu_on(*state, 0);
    return r;
}

#define TEST_BTI(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

/* Branch from `from` with `branch` to `to`, where `pad` is: BTYPE of the exception, 0 for none. */
static unsigned go(struct fixture *f, uint64_t from, uint32_t branch, uint64_t to, uint32_t pad)
{
    uint64_t syndrome;

    cpu_set_pstate(f->c, CPSR_EL1H);
    f->c->x[1] = f->c->x[16] = f->c->x[17] = f->c->x[30] = to;
    st_le32(f->ram + (to - RAM_BASE), pad);
    st_le32(f->ram + (to + 4 - RAM_BASE), A64_BRK(1));
    syndrome = RUN(f, from, branch, A64_BRK(2));
    if ((syndrome & 0xffff) == 1) {
        assert_int_equal(cpu_pstate(f->c), CPSR_EL1H);
        return 0;
    }
    assert_int_equal(syndrome & 0xffff, 0x104);
    unsigned btype = f->v->sys[SYSREG_ESR_EL1] & 0x1ffffff;
    assert_int_equal(f->v->sys[SYSREG_ESR_EL1], 0x0dull << 26 | ESR_IL | btype);
    assert_int_equal(f->v->sys[SYSREG_ELR_EL1], to);
    assert_int_equal(f->v->sys[SYSREG_SPSR_EL1], CPSR_EL1H | btype << SPSR_BTYPE);
    return btype;
}

/* What each landing pad lets in, by BTYPE: 1 any, 2 call, 3 jump. */
static const struct {
    uint32_t word;
    bool lets_in[4];
} pads[] = {
    { A64_NOP, { true, false, false, false } }, { BTI, { true, false, false, false } },
    { BTI_C, { true, true, true, false } },     { BTI_J, { true, true, false, true } },
    { BTI_JC, { true, true, true, true } },     { PACIASP, { true, true, true, true } },
    { PACIBSP, { true, true, true, true } },
};

static const struct {
    uint32_t word;
    unsigned guarded, open; /* BTYPE from such a page */
} branches[] = {
    { A64_BR(1), 3, 1 },   { A64_BR(16), 1, 1 },  { A64_BR(17), 1, 1 },
    { A64_BLR(1), 2, 2 },  { A64_BLR(16), 2, 2 }, { A64_RET(1), 0, 0 },
    { A64_RET(30), 0, 0 }, { A64_BRAAZ, 3, 1 },   { A64_BLRAAZ, 2, 2 },
};

static void branches_and_pads(void **state)
{
    static const uint64_t targets[] = { NEAR, FAR };
    struct fixture *f = *state;

    for (size_t b = 0; b < ARRAY_LEN(branches); b++)
        for (size_t p = 0; p < ARRAY_LEN(pads); p++)
            for (size_t t = 0; t < ARRAY_LEN(targets); t++) {
                unsigned in = branches[b].guarded, out = branches[b].open;
                uint32_t word = branches[b].word, pad = pads[p].word;
                assert_int_equal(go(f, CODE, word, targets[t], pad), pads[p].lets_in[in] ? 0 : in);
                assert_int_equal(go(f, OPEN, word, targets[t], pad),
                                 pads[p].lets_in[out] ? 0 : out);
                assert_int_equal(go(f, CODE, word, OPEN + 0x100, pad), 0);
            }
}

/* With SCTLR_EL1.BT1, PACIASP is no place for jumps. */
static void pacisp_as_a_pad(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(go(f, CODE, A64_BR(1), NEAR, PACIASP), 0);
    mmu_on(f, SCTLR_BT1);
    assert_int_equal(go(f, CODE, A64_BR(1), NEAR, PACIASP), 3);
    assert_int_equal(go(f, CODE, A64_BLR(1), NEAR, PACIBSP), 0);
    assert_int_equal(go(f, CODE, A64_BR(16), NEAR, PACIASP), 0);
}

/* BRK at the target is its own exception. */
static void breakpoints_are_pads(void **state)
{
    struct fixture *f = *state;

    f->c->x[1] = NEAR;
    st_le32(f->ram + (NEAR - RAM_BASE), A64_BRK(7));
    assert_int_equal(RUN(f, CODE, A64_BR(1)) & 0xffff, 7);
    st_le32(f->ram + (NEAR - RAM_BASE), A64_HLT);
    assert_int_equal(RUN(f, CODE, A64_BR(1)) & 0xffff, 0x104);
    assert_int_equal(f->v->sys[SYSREG_ESR_EL1] >> 26, EC_UNKNOWN);
}

/* BTYPE survives what comes between branch and target: an exception return, or the VMM. */
static void btype_is_state(void **state)
{
    struct fixture *f = *state;

    for (unsigned btype = 0; btype < 4; btype++)
        for (size_t p = 0; p < ARRAY_LEN(pads); p++) {
            unsigned want = pads[p].lets_in[btype] ? 1 : 0x104;
            soft_sysreg_write(f->v, SYSREG_ELR_EL1, NEAR);
            soft_sysreg_write(f->v, SYSREG_SPSR_EL1, CPSR_EL1H | btype << SPSR_BTYPE);
            st_le32(f->ram + (NEAR - RAM_BASE), pads[p].word);
            st_le32(f->ram + (NEAR + 4 - RAM_BASE), A64_BRK(1));
            assert_int_equal(RUN(f, CODE, A64_ERET) & 0xffff, want);
            cpu_set_pstate(f->c, CPSR_EL1H | btype << SPSR_BTYPE);
            assert_int_equal(RUN(f, NEAR, pads[p].word, A64_BRK(1)) & 0xffff, want);
        }
}

/* An interrupt taken at the target saves BTYPE; the step exception comes before the check. */
static void interrupted_branches(void **state)
{
    struct fixture *f = *state;

    f->c->x[1] = NEAR;
    cpu_set_pstate(f->c, (CPSR_EL1H & ~PSTATE_D) | 1u << 21);
    soft_sysreg_write(f->v, SYSREG_MDSCR_EL1, 1);
    uint64_t syndrome = RUN(f, CODE, A64_BLR(1), A64_BRK(2));
    assert_int_equal(SYNDROME_EC(syndrome), EC_STEP_LOWER);
    assert_int_equal(f->c->pc, NEAR);
    assert_int_equal(cpu_pstate(f->c) >> SPSR_BTYPE & 3, 2);
    soft_sysreg_write(f->v, SYSREG_MDSCR_EL1, 0);
    f->v->irq[HV_INTERRUPT_TYPE_IRQ] = true;
    cpu_set_pstate(f->c, (cpu_pstate(f->c) & ~PSTATE_I));
    assert_int_equal(hv_backend_soft.vcpu_run(f->handle), 0);
    assert_int_equal(f->exit.exception.syndrome & 0xffff, 0x105);
    assert_int_equal(f->v->sys[SYSREG_SPSR_EL1] >> SPSR_BTYPE & 3, 2);
    assert_int_equal(cpu_pstate(f->c) >> SPSR_BTYPE & 3, 0);
}

/* A call in a loop gets along with the budget. */
static void many_calls(void **state)
{
    static const uint32_t loop[] = { A64_BLR(1), 0xf1000442u, 0x54ffffc1u, A64_BRK(3) };
    static const uint32_t callee[] = { BTI_C, 0x91000463u, A64_RET(30) };
    struct fixture *f = *state;

    f->c->x[1] = FAR;
    f->c->x[2] = 5000; /* subs x2, x2, #1; b.ne loop */
    f->c->x[3] = 0;    /* add x3, x3, #1 */
    memcpy(f->ram + (FAR - RAM_BASE), callee, sizeof callee);
    assert_int_equal(fixture_run(f, CODE, loop, 4) & 0xffff, 3);
    assert_int_equal(f->c->x[3], 5000);
}

static void nothing_is_checked_when_off(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(go(f, CODE, A64_BR(1), NEAR, A64_NOP), 0);
    assert_int_equal(go(f, CODE, A64_BLR(1), FAR, A64_NOP), 0);
    cpu_set_pstate(f->c, CPSR_EL1H | 3u << SPSR_BTYPE);
    assert_int_equal(cpu_pstate(f->c), CPSR_EL1H);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_BTI(branches_and_pads),
        TEST_BTI(pacisp_as_a_pad),
        TEST_BTI(breakpoints_are_pads),
        TEST_BTI(btype_is_state),
        TEST_BTI(interrupted_branches),
        TEST_BTI(many_calls),
        cmocka_unit_test_setup_teardown(nothing_is_checked_when_off, setup_off, fixture_teardown),
    };
    return cmocka_run_group_tests_name("bti", tests, NULL, NULL);
}
