/* Pointer authentication (DDI 0487 D8.10): signing, checking, stripping, and what signed pointers
 * look like. */
#include "soft/model.h"
#include "tests/unit/soft_fixture.h"

#define CODE RAM_BASE
#define DATA (RAM_BASE + 0x20000)

/* SCTLR_EL1. */
#define EN_IA  (1ull << 31)
#define EN_IB  (1ull << 30)
#define EN_DA  (1ull << 27)
#define EN_DB  (1ull << 13)
#define EN_ALL (EN_IA | EN_IB | EN_DA | EN_DB)

/* TCR_EL1: 48 bits in both halves; the tags. */
#define TCR_48    (16ull | 16ull << 16)
#define TCR_TBI0  (1ull << 37)
#define TCR_TBI1  (1ull << 38)
#define TCR_TBID0 (1ull << 51)

/* X1 with X2 for modifier. */
#define A64_PAC(key)  (0xdac10041u | (uint32_t)(key) << 10)
#define A64_AUT(key)  (0xdac11041u | (uint32_t)(key) << 10)
#define A64_XPAC(key) (0xdac143e1u | (uint32_t)((key) >> 1) << 10)
#define A64_MOV(d, m) (0xaa0003e0u | (uint32_t)(m) << 16 | (d))

enum { IA, IB, DA, DB, KEYS };

static int setup(void **state)
{
    int r = fixture_setup_cpu(state, "ireko-v1,pauth");
    struct fixture *f = *state;

    for (unsigned n = 0; n < 10; n++)
        f->v->sys[SYSREG_APIAKEYLO_EL1 + n] = 0x0123456789abcdefull * (n + 1);
    soft_sysreg_write(f->v, SYSREG_TCR_EL1, TCR_48);
    soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR | EN_ALL);
    f->c->x[2] = 0x5678;
    return r;
}

#define TEST_PAUTH(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

/* X1 after one instruction that had `x` there. */
static uint64_t apply(struct fixture *f, uint32_t word, uint64_t x)
{
    f->c->x[1] = x;
    RUN(f, CODE, word, A64_BRK(0));
    return f->c->x[1];
}

#define LOWER 0x0000123456789abcull
#define UPPER 0xffff923456789abcull

static void what_was_signed_passes(void **state)
{
    struct fixture *f = *state;

    for (unsigned key = 0; key < KEYS; key++) {
        for (unsigned n = 0; n < 64; n++) {
            uint64_t p = (n & 1 ? UPPER : LOWER) + n * 8;
            uint64_t is_signed = apply(f, A64_PAC(key), p);
            assert_int_equal(is_signed & ones(48), p & ones(48));
            assert_int_equal(bit(is_signed, 55), n & 1);
            assert_int_equal(apply(f, A64_AUT(key), is_signed), p);
            assert_int_equal(apply(f, A64_XPAC(key), is_signed), p);
        }
    }
}

/* 15 bits tell: a different pointer, modifier or key passes rarely. */
static void what_was_not_signed_fails(void **state)
{
    struct fixture *f = *state;
    unsigned passed = 0;

    for (unsigned n = 0; n < 500; n++) {
        unsigned key = n % KEYS;
        uint64_t p = n & 4 ? UPPER : LOWER, error = key & 1 ? 2 : 1;
        uint64_t is_signed = apply(f, A64_PAC(key), p);
        uint64_t wrong =
            apply(f, A64_AUT(key), n & 8 ? is_signed + 16 : is_signed ^ 1ull << (48 + n % 7));
        passed += bits(wrong, 62, 61) != error || bits(wrong, 60, 55) != (n & 4 ? 63 : 0);
        f->c->x[2]++;
        wrong = apply(f, A64_AUT(key), is_signed);
        passed += wrong == p;
        f->c->x[2]--;
        wrong = apply(f, A64_AUT((key + 1) % KEYS), is_signed);
        passed += wrong == p;
        f->c->x[2] += 0x1001;
    }
    assert_true(passed < 3);
}

static void error_codes_name_the_key(void **state)
{
    struct fixture *f = *state;

    for (unsigned key = 0; key < KEYS; key++) {
        uint64_t wrong = apply(f, A64_PAC(key), LOWER) ^ 1ull << 50;
        assert_int_equal(apply(f, A64_AUT(key), wrong), LOWER | (key & 1 ? 2ull : 1ull) << 61);
        wrong = apply(f, A64_PAC(key), UPPER) ^ 1ull << 50;
        assert_int_equal(apply(f, A64_AUT(key), wrong),
                         (UPPER & ~(3ull << 61)) | (key & 1 ? 2ull : 1ull) << 61);
    }
}

/* A tag stays, and the code has fewer bits. */
static void tagged_pointers(void **state)
{
    struct fixture *f = *state;
    const uint64_t tagged = LOWER | 0xa5ull << 56;

    soft_sysreg_write(f->v, SYSREG_TCR_EL1, TCR_48 | TCR_TBI0 | TCR_TBI1);
    for (unsigned key = 0; key < KEYS; key++) {
        uint64_t is_signed = apply(f, A64_PAC(key), tagged);
        assert_int_equal(is_signed >> 55, tagged >> 55);
        assert_int_equal(apply(f, A64_AUT(key), is_signed), tagged);
        assert_int_equal(apply(f, A64_XPAC(key), is_signed), tagged);
        assert_int_equal(apply(f, A64_AUT(key), is_signed ^ 1ull << 49),
                         tagged | (key & 1 ? 2ull : 1ull) << 53);
    }
    /* TBID: only data pointers have tags. */
    soft_sysreg_write(f->v, SYSREG_TCR_EL1, TCR_48 | TCR_TBI0 | TCR_TBID0);
    assert_int_equal(apply(f, A64_XPAC(IA), tagged), LOWER);
    assert_int_equal(apply(f, A64_XPAC(DA), tagged), tagged);
}

/* What is no address to begin with gets a code that does not pass. */
static void bad_pointers_stay_bad(void **state)
{
    struct fixture *f = *state;

    for (unsigned key = 0; key < KEYS; key++)
        assert_int_not_equal(apply(f, A64_AUT(key), apply(f, A64_PAC(key), LOWER | 1ull << 52)),
                             LOWER);
}

static void disabled_keys_do_nothing(void **state)
{
    static const uint64_t enable[KEYS] = { EN_IA, EN_IB, EN_DA, EN_DB };
    struct fixture *f = *state;

    for (unsigned off = 0; off < KEYS; off++) {
        soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR | (EN_ALL & ~enable[off]));
        for (unsigned key = 0; key < KEYS; key++) {
            assert_int_equal(apply(f, A64_PAC(key), LOWER) == LOWER, key == off);
            assert_int_equal(apply(f, A64_AUT(key), LOWER) == LOWER, key == off);
        }
    }
}

static void generic_code(void **state)
{
    struct fixture *f = *state;

    f->c->x[3] = 1;
    uint64_t code = apply(f, 0x9ac33021, LOWER); /* pacga x1, x1, x3 */
    assert_int_equal(code & ones(32), 0);
    assert_int_not_equal(code, 0);
    f->v->sys[SYSREG_APGAKEYHI_EL1] ^= 1;
    assert_int_not_equal(apply(f, 0x9ac33021, LOWER), code);
}

/* The hints are the same operations on registers of their own. */
static void hints(void **state)
{
    static const struct {
        uint32_t pac, aut;
        unsigned reg, key;
        uint64_t modifier;
    } forms[] = {
        { 0xd503211f, 0xd503219f, 17, IA, 0x16 }, /* pacia1716 */
        { 0xd503215f, 0xd50321df, 17, IB, 0x16 }, /* pacib1716 */
        { 0xd503231f, 0xd503239f, 30, IA, 0 },    /* paciaz */
        { 0xd503235f, 0xd50323df, 30, IB, 0 },    /* pacibz */
        { 0xd503233f, 0xd50323bf, 30, IA, DATA }, /* paciasp */
        { 0xd503237f, 0xd50323ff, 30, IB, DATA }, /* pacibsp */
    };
    struct fixture *f = *state;

    f->c->x[REG_SP] = DATA;
    f->c->x[16] = 0x16;
    for (size_t n = 0; n < ARRAY_LEN(forms); n++) {
        f->c->x[2] = forms[n].modifier;
        uint64_t want = apply(f, A64_PAC(forms[n].key), UPPER);
        f->c->x[forms[n].reg] = UPPER;
        RUN(f, CODE, forms[n].pac, A64_BRK(0));
        assert_int_equal(f->c->x[forms[n].reg], want);
        RUN(f, CODE, forms[n].aut, A64_BRK(0));
        assert_int_equal(f->c->x[forms[n].reg], UPPER);
    }
    f->c->x[30] = apply(f, A64_PAC(IA), UPPER);
    RUN(f, CODE, 0xd50320ff, A64_BRK(0)); /* xpaclri */
    assert_int_equal(f->c->x[30], UPPER);
}

/* Where a branch goes with a good pointer, and X30. */
static void branches(void **state)
{
    static const struct {
        uint32_t word;
        unsigned reg, key;
        uint64_t modifier;
        bool link;
    } forms[] = {
        { 0xd71f0822, 1, IA, 0x5678, false }, /* braa x1, x2 */
        { 0xd71f0c22, 1, IB, 0x5678, false }, /* brab */
        { 0xd73f0822, 1, IA, 0x5678, true },  /* blraa x1, x2 */
        { 0xd61f083f, 1, IA, 0, false },      /* braaz x1 */
        { 0xd63f0c3f, 1, IB, 0, true },       /* blrabz x1 */
        { 0xd65f0bff, 30, IA, DATA, false },  /* retaa */
        { 0xd65f0fff, 30, IB, DATA, false },  /* retab */
        { 0xd73f09df, 14, IA, DATA, true },   /* blraa x14, sp */
    };
    struct fixture *f = *state;

    for (size_t n = 0; n < ARRAY_LEN(forms); n++) {
        f->c->x[REG_SP] = DATA;
        f->c->x[2] = forms[n].modifier;
        uint64_t target = apply(f, A64_PAC(forms[n].key), CODE + 8);
        f->c->x[2] = 0x5678;
        f->c->x[30] = 0;
        f->c->x[forms[n].reg] = target;
        assert_int_equal(RUN(f, CODE, forms[n].word, A64_BRK(1), A64_BRK(2)) & 0xffff, 2);
        assert_int_equal(f->c->x[30], forms[n].link ? CODE + 4 : forms[n].reg == 30 ? target : 0);
    }
    /* A bad pointer is an abort where it points. */
    static const uint32_t vector = A64_BRK(0x100);
    memcpy(f->ram + 0x10000 + 0x200, &vector, 4);
    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, RAM_BASE + 0x10000);
    f->c->x[1] = CODE + 8;
    assert_int_equal(RUN(f, CODE, 0xd71f0822, A64_BRK(1), A64_BRK(2)) & 0xffff, 0x100);
    assert_int_equal(f->v->sys[SYSREG_ESR_EL1] >> 26, EC_IABORT_SAME);
    assert_int_equal(f->v->sys[SYSREG_FAR_EL1], (CODE + 8) | 1ull << 61);
}

static void exception_return(void **state)
{
    struct fixture *f = *state;

    f->c->x[REG_SP] = f->c->x[2] = DATA;
    uint64_t target = apply(f, A64_PAC(IB), CODE + 8);
    soft_sysreg_write(f->v, SYSREG_ELR_EL1, target);
    soft_sysreg_write(f->v, SYSREG_SPSR_EL1, 0x3c4);                                /* EL1t */
    assert_int_equal(RUN(f, CODE, 0xd69f0fff, A64_BRK(1), A64_BRK(2)) & 0xffff, 2); /* eretab */
    assert_int_equal(cpu_pstate(f->c) & 0xf, 4);
}

static void loads(void **state)
{
    struct fixture *f = *state;

    f->c->x[2] = 0; /* the modifier of LDRAA */
    st_le64(f->ram + 0x20008, 0x1111);
    st_le64(f->ram + 0x1fff8, 0x2222);
    f->c->x[4] = apply(f, A64_PAC(DA), DATA);
    RUN(f, CODE, 0xf8201483, A64_BRK(0)); /* ldraa x3, [x4, #8] */
    assert_int_equal(f->c->x[3], 0x1111);
    assert_int_not_equal(f->c->x[4], DATA);
    f->c->x[4] = apply(f, A64_PAC(DB), DATA);
    RUN(f, CODE, 0xf8fffc83, A64_BRK(0)); /* ldrab x3, [x4, #-8]! */
    assert_int_equal(f->c->x[3], 0x2222);
    assert_int_equal(f->c->x[4], DATA - 8);
}

/* The keys are EL1's, and only there when the CPU has the feature. */
static void keys_are_registers(void **state)
{
    static const uint32_t vector = A64_BRK(0x100);
    struct fixture *f = *state;

    memcpy(f->ram + 0x10000 + 0x200, &vector, 4);
    memcpy(f->ram + 0x10000 + 0x400, &vector, 4);
    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, RAM_BASE + 0x10000);
    for (unsigned r = SYSREG_APIAKEYLO_EL1; r <= SYSREG_APGAKEYHI_EL1; r++) {
        uint16_t encoding = soft_sysreg_table[r].encoding;
        bool there = f->v->cpu.vm->options & MODEL_PAUTH;
        cpu_set_pstate(f->c, 0x3c5);
        f->c->x[1] = 0x1234 + r;
        uint64_t syndrome = RUN(f, CODE, A64_MSR(encoding, 1), A64_MRS(2, encoding), A64_BRK(0));
        assert_int_equal(syndrome & 0xffff, there ? 0 : 0x100);
        if (there)
            assert_int_equal(f->c->x[2], f->c->x[1]);
        cpu_set_pstate(f->c, 0);
        assert_int_equal(RUN(f, CODE, A64_MRS(2, encoding), A64_BRK(0)) & 0xffff, 0x100);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST_PAUTH(what_was_signed_passes),
        TEST_PAUTH(what_was_not_signed_fails),
        TEST_PAUTH(error_codes_name_the_key),
        TEST_PAUTH(tagged_pointers),
        TEST_PAUTH(bad_pointers_stay_bad),
        TEST_PAUTH(disabled_keys_do_nothing),
        TEST_PAUTH(generic_code),
        TEST_PAUTH(hints),
        TEST_PAUTH(branches),
        TEST_PAUTH(exception_return),
        TEST_PAUTH(loads),
        TEST_PAUTH(keys_are_registers),
        TEST(keys_are_registers),
    };
    return cmocka_run_group_tests_name("pauth", tests, NULL, NULL);
}
