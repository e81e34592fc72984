/*
 * The CPU model: what soft/features.def promises executes, what it does not name is undefined, and
 * the identification registers say the same.
 */
#include <errno.h>

#include "soft/model.h"
#include "tests/unit/soft_fixture.h"

#define CODE        RAM_BASE
#define VECTORS     (RAM_BASE + 0x10000)
#define DATA        (RAM_BASE + 0x20000)
#define VECTOR_SYNC 0x200 /* from EL1 with SP_EL1 */
#define ALL         "ireko-v2,pauth,bti"

static int setup_all(void **state)
{
    return fixture_setup_cpu(state, ALL);
}

static int setup_v1(void **state)
{
    return fixture_setup_cpu(state, "ireko-v1");
}

#define TEST_ALL(name) cmocka_unit_test_setup_teardown(name, setup_all, fixture_teardown)

struct sample {
    const char *feature; /* NULL: the same as above */
    const char *text;
    uint32_t word;
};

/* clang-format off */
static const struct sample present[] = {
    { "FEAT_FP", "fadd d0, d1, d2", 0x1e622820 },
    { "FEAT_AdvSIMD", "add v0.4s, v1.4s, v2.4s", 0x4ea28420 },
    { "FEAT_FP16", "fadd v0.8h, v1.8h, v2.8h", 0x4e421420 },
    { "FEAT_DIT", "msr dit, #1", 0xd503415f },
    { "FEAT_CSV2_2", "mrs x1, scxtnum_el0", 0xd53bd0e1 },
    { "FEAT_SSBS2", "msr ssbs, #0", 0xd503403f },
    { NULL, "mrs x1, ssbs", 0xd53b42c1 },
    { "FEAT_AES", "aese v0.16b, v1.16b", 0x4e284820 },
    { "FEAT_PMULL", "pmull2 v0.1q, v1.2d, v2.2d", 0x4ee2e020 },
    { "FEAT_SHA1", "sha1c q0, s1, v2.4s", 0x5e020020 },
    { "FEAT_SHA256", "sha256h q0, q1, v2.4s", 0x5e024020 },
    { "FEAT_SHA512", "sha512h q0, q1, v2.2d", 0xce628020 },
    { "FEAT_CRC32", "crc32cx w1, w2, x3", 0x9ac35c41 },
    { "FEAT_LSE", "ldaddal x1, x2, [x0]", 0xf8e10002 },
    { NULL, "casp x2, x3, x4, x5, [x0]", 0x48227c04 },
    { "FEAT_RDM", "sqrdmlah v0.4s, v1.4s, v2.4s", 0x6e828420 },
    { "FEAT_SHA3", "eor3 v0.16b, v1.16b, v2.16b, v3.16b", 0xce020c20 },
    { "FEAT_DotProd", "udot v0.4s, v1.16b, v2.16b", 0x6e829420 },
    { "FEAT_FHM", "fmlal v0.4s, v1.4h, v2.4h", 0x4e22ec20 },
    { "FEAT_FlagM", "rmif x1, #3, #5", 0xba018425 },
    { "FEAT_FlagM2", "axflag", 0xd500405f },
    { "FEAT_TLBIOS", "tlbi vmalle1os", 0xd508811f },
    { "FEAT_TLBIRANGE", "tlbi rvae1, x1", 0xd5088621 },
    { "FEAT_RNG", "mrs x1, rndr", 0xd53b2401 },
    { NULL, "mrs x1, rndrrs", 0xd53b2421 },
    { "FEAT_DPB", "dc cvap, x0", 0xd50b7c20 },
    { "FEAT_DPB2", "dc cvadp, x0", 0xd50b7d20 },
    { "FEAT_JSCVT", "fjcvtzs w1, d0", 0x1e7e0001 },
    { "FEAT_FCMA", "fcmla v0.4s, v1.4s, v2.4s, #90", 0x6e82cc20 },
    { "FEAT_LRCPC", "ldapr x1, [x0]", 0xf8bfc001 },
    { "FEAT_LRCPC2", "ldapur x1, [x0, #8]", 0xd9408001 },
    { "FEAT_FRINTTS", "frint64x d0, d1", 0x1e69c020 },
    { "FEAT_SB", "sb", 0xd50330ff },
    { "FEAT_WFxT", "wfit x1", 0xd5031021 },
    { "FEAT_MOPS", "cpyfp [x1]!, [x2]!, x3!", 0x19020461 },
    { NULL, "setp [x1]!, x2!, x3", 0x19c30441 },
    { "FEAT_ECV", "mrs x1, cntvctss_el0", 0xd53be0c1 },
    { NULL, "mrs x1, cntpctss_el0", 0xd53be0a1 },
    { "FEAT_PAN", "msr pan, #1", 0xd500419f },
    { "FEAT_PAN2", "at s1e1rp, x0", 0xd5087900 },
    { "FEAT_UAO", "msr uao, #1", 0xd500417f },
};

/* Those that change behaviour, but add no instruction; mmu_test.c and bti_test.c have some. */
static const char *const without_instructions[] = {
    "FEAT_CSV2", "FEAT_CSV2_3", "FEAT_CSV3", "FEAT_BTI", "FEAT_SSBS", "FEAT_ASID16",
    "FEAT_HAFDBS", "FEAT_HPDS", "FEAT_PAN3", "FEAT_ETS", "FEAT_ECBHB", "FEAT_TTCNP",
    "FEAT_PMUv3", "FEAT_PMUv3p1", "FEAT_CCIDX", "FEAT_TTST", "FEAT_IDST", "FEAT_TTL", "FEAT_BBM", "FEAT_E0PD",
};

static const struct sample pauth[] = {
    { "FEAT_PAuth", "pacia x1, x2", 0xdac10041 },
    { NULL, "autda x1, x2", 0xdac11841 },
    { NULL, "pacga x1, x2, x3", 0x9ac33041 },
    { NULL, "xpaci x1", 0xdac143e1 },
    { NULL, "retaa", 0xd65f0bff },
    { NULL, "braa x1, x2", 0xd71f0822 },
    { NULL, "blraaz x1", 0xd63f083f },
    { NULL, "eretaa", 0xd69f0bff },
    { NULL, "ldraa x1, [x0]", 0xf8200401 },
};

static const struct sample absent[] = {
    { "FEAT_SVE", "add z0.b, z1.b, z2.b", 0x04220020 },
    { NULL, "mrs x1, zcr_el1", 0xd5381201 },
    { NULL, "mrs x1, tpidr2_el0", 0xd53bd0a1 },
    { "FEAT_RAS", "mrs x1, erridr_el1", 0xd5385301 },
    { "FEAT_TRF", "mrs x1, trfcr_el1", 0xd5381221 },
    { "FEAT_MPAM", "mrs x1, mpam1_el1", 0xd538a501 },
    { "FEAT_SPE", "mrs x1, pmscr_el1", 0xd5389901 },
    { "FEAT_NMI", "mrs x1, allint", 0xd5384301 },
    { "FEAT_ETE", "mrs x1, trctraceidr", 0xd5310021 },
    { NULL, "msr id_aa64pfr0_el1, x1", 0xd5180401 },
    { NULL, "ptrue p0.b", 0x2518e3e0 },
    { NULL, "rdvl x1, #1", 0x04bf5021 },
    { "FEAT_SME", "rdsvl x1, #1", 0x04bf5821 },
    { NULL, "zero {za}", 0xc00800ff },
    { NULL, "smstart", 0xd503477f },
    { "FEAT_MTE", "irg x1, x2", 0x9adf1041 },
    { NULL, "mrs x1, rgsr_el1", 0xd53810a1 },
    { NULL, "addg x1, x2, #16, #1", 0x91810441 },
    { NULL, "stg x0, [x0]", 0xd9200800 },
    { NULL, "ldg x1, [x0]", 0xd9600001 },
    { NULL, "subp x1, x2, x3", 0x9ac30041 },
    { NULL, "stgp x1, x2, [x0]", 0x69000801 },
    { "FEAT_SM3", "sm3partw1 v0.4s, v1.4s, v2.4s", 0xce62c020 },
    { "FEAT_SM4", "sm4e v0.4s, v1.4s", 0xcec08420 },
    { "FEAT_I8MM", "smmla v0.4s, v1.16b, v2.16b", 0x4e82a420 },
    { NULL, "usdot v0.4s, v1.16b, v2.16b", 0x4e829c20 },
    { "FEAT_BF16", "bfdot v0.4s, v1.8h, v2.8h", 0x6e42fc20 },
    { NULL, "bfcvt h0, s1", 0x1e634020 },
    { NULL, "bfmmla v0.4s, v1.8h, v2.8h", 0x6e42ec20 },
    { "FEAT_LS64", "ld64b x2, [x0]", 0xf83fd002 },
    { NULL, "st64bv x1, x2, [x0]", 0xf821b002 },
    { "FEAT_TME", "tstart x1", 0xd5233061 },
    { NULL, "ttest x1", 0xd5233161 },
    { "FEAT_XS", "dsb synxs", 0xd5033e3f },
    { NULL, "tlbi vmalle1nxs", 0xd508971f },
    { "FEAT_SPECRES", "cfp rctx, x1", 0xd50b7381 },
    { "FEAT_MTE2", "dc gva, x0", 0xd50b7460 },
    { NULL, "dc igvac, x0", 0xd5087660 },
    { "EL2", "at s1e2r, x0", 0xd50c7800 },
    { NULL, "tlbi alle2", 0xd50c871f },
    { "FEAT_HBC", "bc.eq .", 0x54000010 },
    { "FEAT_CSSC", "abs x1, x2", 0xdac02041 },
    { NULL, "ctz x1, x2", 0xdac01841 },
    { "FEAT_LRCPC3", "stilp x1, x2, [x0]", 0xd9021801 },
    { "FEAT_LSE128", "swpp x1, x2, [x0]", 0x19228001 },
};
/* clang-format on */

/* Execute `word` at EL1: was it an instruction? Waits and the VMM's registers are exits. */
static bool executes(struct fixture *f, const struct sample *s)
{
    static const uint32_t vector = A64_BRK(0x100);
    struct soft_vcpu *v = f->v;

    memcpy(f->ram + (VECTORS + VECTOR_SYNC - RAM_BASE), &vector, 4);
    soft_sysreg_write(v, SYSREG_VBAR_EL1, VECTORS);
    soft_sysreg_write(v, SYSREG_CPACR_EL1, 3u << 20);
    soft_sysreg_write(v, SYSREG_ELR_EL1, CODE + 4);
    soft_sysreg_write(v, SYSREG_SPSR_EL1, 0x3c5);
    v->sys[SYSREG_ESR_EL1] = ~0ull;
    cpu_set_pstate(f->c, 0x3c5);
    for (unsigned r = 0; r <= 30; r++)
        f->c->x[r] = r == 1 || r == 30 ? CODE + 4 : DATA; /* branches go on */
    uint64_t syndrome = RUN(f, CODE, s->word, A64_BRK(1));
    if (SYNDROME_EC(syndrome) == EC_WFX || SYNDROME_EC(syndrome) == EC_SYSREG)
        return true;
    assert_int_equal(SYNDROME_EC(syndrome), EC_BRK64);
    if ((syndrome & 0xffff) == 1)
        return true;
    if (v->sys[SYSREG_ESR_EL1] != ESR_IL)
        fail_msg("%s: ESR 0x%llx", s->text, (unsigned long long)v->sys[SYSREG_ESR_EL1]);
    return false;
}

#define EXECUTES(f, samples, want)                                                                 \
    for (size_t n = 0; n < ARRAY_LEN(samples); n++)                                                \
        if (executes(f, &(samples)[n]) != (want))                                                  \
            fail_msg("%s: %s", (samples)[n].text, (want) ? "undefined" : "executed");

static void what_is_promised_executes(void **state)
{
    EXECUTES(*state, present, true)
}

static void what_is_not_promised_is_undefined(void **state)
{
    EXECUTES(*state, absent, false)
}

/* What ireko-v2 brought. */
static void the_first_model_is_without(void **state)
{
    static const struct sample mops[] = {
        { "FEAT_MOPS", "cpyfp [x1]!, [x2]!, x3!", 0x19020461 },
        { NULL, "setp [x1]!, x2!, x3", 0x19c30441 },
    };
    EXECUTES(*state, mops, false)
}

static void options_are_undefined_when_off(void **state)
{
    EXECUTES(*state, pauth, false)
}

static void options_execute_when_on(void **state)
{
    EXECUTES(*state, pauth, true)
}

/* Hints do nothing, whatever they are on other CPUs. */
static void hints_do_nothing_when_off(void **state)
{
    struct fixture *f = *state;

    f->c->x[17] = f->c->x[30] = 0x1234;
    soft_sysreg_write(f->v, SYSREG_SCTLR_EL1, IREKO_V1_SCTLR | 0xc8002000u); /* EnIA and so on */
    for (unsigned hint = 6; hint < 128; hint++) {
        uint64_t syndrome = RUN(f, CODE, 0xd503201fu | hint << 5, A64_BRK(1));
        assert_int_equal(SYNDROME_EC(syndrome), EC_BRK64);
        assert_int_equal(f->c->x[17], 0x1234);
        assert_int_equal(f->c->x[30], 0x1234);
    }
}

static bool is_in(const char *name, const struct sample *samples, size_t count)
{
    for (size_t n = 0; n < count; n++)
        if (samples[n].feature && strcmp(samples[n].feature, name) == 0)
            return true;
    return false;
}

/* No feature without a word or a place among those that have none; none twice or misplaced. */
static void every_feature_is_tested(void **state)
{
    struct hvx_cpu_feature feature;
    unsigned count = 0;

    (void)state;
    for (; model_feature(count, MODEL_BASE, &feature) == 0; count++) {
        const char *name = feature.name;
        bool found =
            is_in(name, present, ARRAY_LEN(present)) || is_in(name, pauth, ARRAY_LEN(pauth));
        for (size_t n = 0; n < ARRAY_LEN(without_instructions); n++)
            if (strcmp(without_instructions[n], name) == 0) {
                assert_false(found);
                found = true;
            }
        if (!found)
            fail_msg("%s has no test", name);
        assert_false(is_in(name, absent, ARRAY_LEN(absent)));
        assert_true(!feature.present || !feature.option);
        assert_true(feature.meaning[0] && strncmp(feature.id_register, "ID_AA64", 7) == 0);
    }
    assert_int_equal(model_feature(count, MODEL_BASE, &feature), -EINVAL);
}

/* A guest reads what the list says. */
static void registers_say_the_same(void **state)
{
    struct fixture *f = *state;
    unsigned options = f->v->cpu.vm->options;
    struct hvx_cpu_feature feature;

    for (unsigned n = 0; model_feature(n, options, &feature) == 0; n++) {
        unsigned r = 0;
        while (strcmp(soft_sysreg_table[r].name, feature.id_register) != 0)
            r++;
        RUN(f, CODE, A64_MRS(0, soft_sysreg_table[r].encoding), A64_BRK(0));
        if (feature.present)
            assert_true((f->c->x[0] >> feature.lsb & 0xf) >= feature.value);
        else
            assert_int_equal(f->c->x[0] >> feature.lsb & 0xf, 0);
    }
    assert_int_equal(bits(f->v->sys[SYSREG_ID_AA64ISAR1_EL1], 31, 28),
                     options & MODEL_PAUTH ? 1 : 0); /* GPI */
}

/* ireko-v1 and ireko-v2 are the same CPUs for ever: who changes this makes a new model. */
static void base_model_never_changes(void **state)
{
    static const struct {
        enum sysreg r;
        uint64_t value;
    } v1[] = {
        { SYSREG_ID_AA64PFR0_EL1, 0x1301000000110011 },
        { SYSREG_ID_AA64PFR1_EL1, 0x0000000000000020 },
        { SYSREG_ID_AA64ISAR0_EL1, 0x1221100110212120 },
        { SYSREG_ID_AA64ISAR1_EL1, 0x0000001100211002 },
        { SYSREG_ID_AA64ISAR2_EL1, 0x0000000000000002 },
        { SYSREG_ID_AA64MMFR0_EL1, 0x1000000000100020 },
        { SYSREG_ID_AA64MMFR1_EL1, 0x1000001000301002 },
        { SYSREG_ID_AA64MMFR2_EL1, 0x1021001010100011 },
        { SYSREG_ID_AA64ZFR0_EL1, 0 },
        { SYSREG_ID_AA64SMFR0_EL1, 0 },
    };

    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(v1); n++) {
        uint64_t mops = v1[n].r == SYSREG_ID_AA64ISAR2_EL1 ? 1u << 16 : 0;
        assert_int_equal(model_register(v1[n].r, MODEL_BASE), v1[n].value);
        assert_int_equal(model_register(v1[n].r, MODEL_MOPS), v1[n].value | mops);
    }
}

static void names_of_models(void **state)
{
    static const char *const bad[] = { "",           "ireko",       "ireko-v1,",     "ireko-v3",
                                       "ireko-v1,x", "ireko-v1bti", "ireko-v1,bti,", "max" };
    unsigned options;

    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(bad); n++)
        assert_int_equal(model_parse(bad[n], &options), -ENOTSUP);
    assert_int_equal(model_parse(NULL, &options), 0);
    assert_int_equal(options, MODEL_MOPS);
    assert_int_equal(model_parse("ireko-v2", &options), 0);
    assert_int_equal(options, MODEL_MOPS);
    assert_int_equal(model_parse("ireko-v1", &options), 0);
    assert_int_equal(options, MODEL_BASE);
    assert_int_equal(model_parse("ireko-v1,bti", &options), 0);
    assert_int_equal(options, MODEL_BTI);
    assert_int_equal(model_parse(ALL, &options), 0);
    assert_int_equal(options, MODEL_PAUTH | MODEL_BTI | MODEL_MOPS);
}

/* SYS with CRn 11 or 15 is the VMM's business, but not at EL0. */
static void implementation_defined_is_an_exit(void **state)
{
    static const uint32_t words[] = { 0xd508b001, 0xd508f001, 0xd528b001 };
    static const uint32_t vector = A64_BRK(0x100);
    struct fixture *f = *state;

    memcpy(f->ram + 0x10000 + 0x400, &vector, 4);
    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, VECTORS);
    for (size_t n = 0; n < ARRAY_LEN(words); n++) {
        cpu_set_pstate(f->c, 0x3c5);
        assert_int_equal(SYNDROME_EC(RUN(f, CODE, words[n])), EC_SYSREG);
        cpu_set_pstate(f->c, 0);
        assert_int_equal(RUN(f, CODE, words[n]) & 0xffff, 0x100);
    }
}

/* FEAT_IDST: EL0 that reads an identification register is told apart from nonsense. */
static void el0_identification_reads_have_a_class(void **state)
{
    static const struct {
        uint32_t word;
        unsigned ec;
    } cases[] = {
        { A64_MRS(0, SYSREG_ENCODE(3, 0, 0, 0, 0)), EC_SYSREG },  /* MIDR_EL1 */
        { A64_MRS(0, SYSREG_ENCODE(3, 0, 0, 4, 0)), EC_SYSREG },  /* ID_AA64PFR0_EL1 */
        { A64_MRS(0, SYSREG_ENCODE(3, 0, 0, 7, 7)), EC_SYSREG },  /* reserved, but of the space */
        { A64_MRS(0, SYSREG_ENCODE(3, 1, 0, 0, 1)), EC_SYSREG },  /* CLIDR_EL1 */
        { A64_MRS(0, SYSREG_ENCODE(3, 2, 0, 0, 0)), EC_UNKNOWN }, /* CSSELR_EL1 is not of it */
        { A64_MRS(0, SYSREG_ENCODE(3, 0, 1, 0, 0)), EC_UNKNOWN }, /* SCTLR_EL1 */
        { A64_MSR(SYSREG_ENCODE(3, 0, 0, 4, 0), 0), EC_UNKNOWN },
    };
    struct fixture *f = *state;
    static const uint32_t vector = A64_BRK(0x100);

    memcpy(f->ram + 0x10000 + 0x400, &vector, 4);
    soft_sysreg_write(f->v, SYSREG_VBAR_EL1, VECTORS);
    for (size_t n = 0; n < ARRAY_LEN(cases); n++) {
        cpu_set_pstate(f->c, 0);
        assert_int_equal(RUN(f, CODE, cases[n].word, A64_BRK(1)) & 0xffff, 0x100);
        assert_int_equal(f->v->sys[SYSREG_ESR_EL1] >> 26, cases[n].ec);
    }
}

/* RNDR: never the same twice in a row, and NZCV says that it worked. */
static void random_numbers(void **state)
{
    struct fixture *f = *state;

    for (unsigned n = 0; n < 100; n++) {
        f->c->nzcv = PSTATE_N | PSTATE_Z | PSTATE_C | PSTATE_V;
        RUN(f, CODE, A64_MRS(1, SYSREG_ENCODE(3, 3, 2, 4, 0)),
            A64_MRS(2, SYSREG_ENCODE(3, 3, 2, 4, 1)), A64_MRS(3, SYSREG_ENCODE(3, 3, 4, 2, 0)),
            A64_BRK(0));
        assert_int_not_equal(f->c->x[1], f->c->x[2]);
        assert_int_equal(f->c->x[3], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_promised_executes),
        TEST(what_is_not_promised_is_undefined),
        TEST_ALL(what_is_promised_executes),
        TEST_ALL(what_is_not_promised_is_undefined),
        cmocka_unit_test_setup_teardown(the_first_model_is_without, setup_v1, fixture_teardown),
        TEST(options_are_undefined_when_off),
        TEST_ALL(options_execute_when_on),
        TEST(hints_do_nothing_when_off),
        cmocka_unit_test(every_feature_is_tested),
        TEST(registers_say_the_same),
        TEST_ALL(registers_say_the_same),
        cmocka_unit_test(base_model_never_changes),
        cmocka_unit_test(names_of_models),
        TEST(implementation_defined_is_an_exit),
        TEST(el0_identification_reads_have_a_class),
        TEST(random_numbers),
    };
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
