/*
 * soft/fp against three judges: cases that follow from the manual's rules, the host's FPU in each
 * rounding mode, and, for half precision, all values against double-precision arithmetic, which is
 * exact there. And the host path of soft/fp against its integer path, flags included.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fenv.h>
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "soft/fp/fp.h"

/* Shorthands of the tables. */
enum { N16 = 16, N32 = 32, N64 = 64 };

#define S_QNAN 0x7fc00000u
#define S_INF  0x7f800000u
#define S_MAX  0x7f7fffffu
#define S_MIN  0x00800000u /* the smallest normal number */
#define S_ONE  0x3f800000u
#define S_NEG  0x80000000u

#define RP (1u << FPCR_RMODE_SHIFT)
#define RM (2u << FPCR_RMODE_SHIFT)
#define RZ (3u << FPCR_RMODE_SHIFT)

#define IOC FPSR_IOC
#define DZC FPSR_DZC
#define OFC FPSR_OFC
#define UFC FPSR_UFC
#define IXC FPSR_IXC
#define IDC FPSR_IDC

typedef uint64_t binary_fn(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
typedef uint64_t unary_fn(const struct fp_env *e, unsigned n, uint64_t a);

struct binary_case {
    binary_fn *fn;
    unsigned n;
    uint32_t fpcr;
    uint64_t a, b, result;
    uint32_t flags;
};

/* clang-format off */
static const struct binary_case binary_cases[] = {
    /* FPProcessNaNs: a signalling NaN before a quiet one, the first before the second; quieted. */
    { fp_add, N32, 0, 0x7f800001, S_ONE, 0x7fc00001, IOC },
    { fp_add, N32, 0, 0x7fc00001, 0x7f800002, 0x7fc00002, IOC },
    { fp_add, N32, 0, 0x7f800003, 0x7f800002, 0x7fc00003, IOC },
    { fp_add, N32, 0, 0x7fc00001, 0xffc00002, 0x7fc00001, 0 },
    { fp_add, N32, 0, S_ONE, 0xffc00002, 0xffc00002, 0 },
    { fp_mul, N64, 0, 0x7ff0000000000001, 0, 0x7ff8000000000001, IOC },
    { fp_div, N16, 0, 0x3c00, 0xfe01, 0xfe01, 0 },
    /* FPCR.DN. */
    { fp_add, N32, FPCR_DN, 0xffc00001, S_ONE, S_QNAN, 0 },
    { fp_sub, N32, FPCR_DN, 0xff800001, S_ONE, S_QNAN, IOC },
    /* Invalid operations give the positive default NaN. */
    { fp_add, N32, 0, S_INF, S_INF | S_NEG, S_QNAN, IOC },
    { fp_sub, N32, 0, S_INF, S_INF, S_QNAN, IOC },
    { fp_mul, N32, 0, S_INF | S_NEG, 0, S_QNAN, IOC },
    { fp_div, N32, 0, 0, S_NEG, S_QNAN, IOC },
    { fp_div, N32, 0, S_INF, S_INF, S_QNAN, IOC },
    { fp_div, N32, 0, S_ONE, S_NEG, S_INF | S_NEG, DZC },
    { fp_div, N32, 0, S_INF, 0, S_INF, 0 },
    /* FPMulX. */
    { fp_mulx, N32, 0, S_INF | S_NEG, 0, 0xc0000000, 0 },
    { fp_mulx, N64, 0, 0, 0x7ff0000000000000, 0x4000000000000000, 0 },
    /* The sign of an exact zero. */
    { fp_sub, N32, 0, S_ONE, S_ONE, 0, 0 },
    { fp_sub, N32, RM, S_ONE, S_ONE, S_NEG, 0 },
    { fp_add, N32, 0, S_NEG, S_NEG, S_NEG, 0 },
    { fp_add, N32, RM, 0, S_NEG, S_NEG, 0 },
    /* Overflow, by rounding mode. */
    { fp_add, N32, 0, S_MAX, S_MAX, S_INF, OFC | IXC },
    { fp_add, N32, RZ, S_MAX, S_MAX, S_MAX, OFC | IXC },
    { fp_add, N32, RM, S_MAX, S_MAX, S_MAX, OFC | IXC },
    { fp_add, N32, RP, S_MAX, S_MAX, S_INF, OFC | IXC },
    { fp_add, N32, RM, S_MAX | S_NEG, S_MAX | S_NEG, S_INF | S_NEG, OFC | IXC },
    /* Tininess before rounding: this product rounds up to the smallest normal number. */
    { fp_mul, N32, 0, 0x00ffffff, 0x3f000000, S_MIN, UFC | IXC },
    { fp_mul, N32, RZ, 0x00ffffff, 0x3f000000, 0x007fffff, UFC | IXC },
    /* A subnormal result that is exact is not an underflow. */
    { fp_mul, N32, 0, S_MIN, 0x3f000000, 0x00400000, 0 },
    { fp_mul, N32, RP, 1, 1, 1, UFC | IXC },
    { fp_mul, N32, 0, 1, 1, 0, UFC | IXC },
    /* FZ flushes operands (IDC) and tiny results (UFC alone). */
    { fp_add, N32, FPCR_FZ, 1, S_ONE, S_ONE, IDC },
    { fp_mul, N32, FPCR_FZ, S_MIN | S_NEG, 0x3f000000, S_NEG, UFC },
    { fp_mul, N32, FPCR_FZ, 0x00ffffff, 0x3f000000, 0, UFC },
    { fp_add, N16, FPCR_FZ, 1, 0, 1, 0 },
    /* FZ16 is silent on operands. */
    { fp_add, N16, FPCR_FZ16, 1, 0x3c00, 0x3c00, 0 },
    { fp_mul, N16, FPCR_FZ16, 0x0400, 0x3800, 0, UFC },
    { fp_add, N32, FPCR_FZ16, 1, 0, 1, 0 },
    /* Maximum and minimum: of zeros by sign, NaNs propagate. */
    { fp_max, N32, 0, S_NEG, 0, 0, 0 },
    { fp_min, N32, 0, 0, S_NEG, S_NEG, 0 },
    { fp_max, N32, 0, S_QNAN, S_ONE, S_QNAN, 0 },
    { fp_max, N32, FPCR_FZ, 1, S_NEG, 0, IDC },
    { fp_min, N32, 0, S_ONE, 0xbf800000, 0xbf800000, 0 },
    /* ... but maxNum prefers numbers to quiet NaNs. */
    { fp_maxnum, N32, 0, S_QNAN, S_ONE, S_ONE, 0 },
    { fp_minnum, N32, 0, S_INF | S_NEG, S_QNAN, S_INF | S_NEG, 0 },
    { fp_maxnum, N32, 0, S_QNAN, 0x7f800001, 0x7fc00001, IOC },
    { fp_maxnum, N32, 0, S_QNAN, 0xffc00001, S_QNAN, 0 },
    /* Newton steps: the NaN of the first operand changes its sign. */
    { fp_recip_step, N32, 0, S_INF, 0, 0x40000000, 0 },
    { fp_rsqrt_step, N32, 0, 0, S_INF, 0x3fc00000, 0 },
    { fp_recip_step, N32, 0, S_ONE, S_ONE, S_ONE, 0 },
    { fp_rsqrt_step, N32, 0, S_ONE, S_ONE, S_ONE, 0 },
    { fp_recip_step, N32, 0, S_QNAN, S_ONE, 0xffc00000, 0 },
    { fp_recip_step, N32, 0, S_INF, S_ONE, S_INF | S_NEG, 0 },
};

struct unary_case {
    unary_fn *fn;
    unsigned n;
    uint32_t fpcr;
    uint64_t a, result;
    uint32_t flags;
};

static const struct unary_case unary_cases[] = {
    { fp_sqrt, N32, 0, S_NEG, S_NEG, 0 },
    { fp_sqrt, N32, 0, S_NEG | S_ONE, S_QNAN, IOC },
    { fp_sqrt, N32, 0, S_INF, S_INF, 0 },
    { fp_sqrt, N64, 0, 0x4010000000000000, 0x4000000000000000, 0 },
    { fp_sqrt, N64, 0, 1, 0x1e60000000000000, 0 },
    { fp_recip_estimate, N32, 0, S_ONE, 0x3f7f8000, 0 },
    { fp_recip_estimate, N32, 0, S_NEG, S_INF | S_NEG, DZC },
    { fp_recip_estimate, N32, 0, S_INF | S_NEG, S_NEG, 0 },
    { fp_recip_estimate, N32, 0, 0x001fffff, S_INF, OFC | IXC },
    { fp_recip_estimate, N32, RZ, 0x001fffff, S_MAX, OFC | IXC },
    { fp_recip_estimate, N32, 0, S_MAX, 0x00200000, 0 },
    { fp_recip_estimate, N32, FPCR_FZ, S_MAX, 0, UFC },
    { fp_recip_estimate, N32, 0, 0x7f800001, 0x7fc00001, IOC },
    { fp_rsqrt_estimate, N32, 0, S_ONE, 0x3f7f8000, 0 },
    { fp_rsqrt_estimate, N32, 0, 0x40800000, 0x3eff8000, 0 },
    { fp_rsqrt_estimate, N32, 0, S_NEG, S_INF | S_NEG, DZC },
    { fp_rsqrt_estimate, N32, 0, S_NEG | S_ONE, S_QNAN, IOC },
    { fp_recip_exponent, N32, 0, S_ONE, 0x40000000, 0 },
    { fp_recip_exponent, N32, 0, S_NEG | 1, 0xff000000, 0 },
    { fp_recip_exponent, N32, 0, S_INF, 0, 0 },
};

struct muladd_case {
    unsigned n;
    uint32_t fpcr;
    uint64_t addend, a, b, result;
    uint32_t flags;
};

static const struct muladd_case muladd_cases[] = {
    /* One rounding: (1 + 2^-23)^2 - (1 + 2^-22) = 2^-46. */
    { N32, 0, 0xbf800002, 0x3f800001, 0x3f800001, 0x28800000, 0 },
    /* NaNs: signalling first, in the order addend, a, b. */
    { N32, 0, 0x7fc00001, 0x7fc00002, 0x7f800003, 0x7fc00003, IOC },
    { N32, 0, 0x7fc00001, 0x7fc00002, 0x7fc00003, 0x7fc00001, 0 },
    { N32, 0, S_ONE, 0x7fc00002, 0x7fc00003, 0x7fc00002, 0 },
    /* Zero times infinity is invalid even with a quiet NaN as addend. */
    { N32, 0, 0x7fc00001, 0, S_INF, S_QNAN, IOC },
    { N32, 0, 0x7f800001, 0, S_INF, 0x7fc00001, IOC },
    { N32, 0, S_INF, S_INF | S_NEG, S_ONE, S_QNAN, IOC },
    { N32, 0, S_NEG, 0, S_NEG | S_ONE, S_NEG, 0 },
    { N32, RM, S_NEG | S_ONE, S_ONE, S_ONE, S_NEG, 0 },
};

struct fixed_case {
    unsigned n, width, fbits;
    bool is_unsigned;
    enum fp_rounding rounding;
    uint64_t a, result;
    uint32_t flags;
};

static const struct fixed_case fixed_cases[] = {
    { N32, 32, 0, false, FP_TOZERO, 0x7fc00000, 0, IOC },
    { N32, 32, 0, false, FP_TOZERO, S_INF, 0x7fffffff, IOC },
    { N32, 32, 0, false, FP_TOZERO, S_INF | S_NEG, 0x80000000, IOC },
    { N32, 32, 0, false, FP_TOZERO, 0xcf000000, 0x80000000, 0 },
    { N32, 32, 0, true, FP_TOZERO, 0xbf800000, 0, IOC },
    { N32, 32, 0, true, FP_TOZERO, 0xbf000000, 0, IXC },
    { N32, 32, 0, true, FP_NEGINF, 0xbf000000, 0, IOC },
    { N32, 64, 0, true, FP_TOZERO, 0x5f800000, UINT64_MAX, IOC },
    { N64, 64, 0, false, FP_TOZERO, 0xc3e0000000000000, 1ull << 63, 0 },
    { N64, 64, 0, false, FP_TOZERO, 0x43e0000000000000, INT64_MAX, IOC },
    { N32, 32, 0, false, FP_TIEEVEN, 0x40200000, 2, IXC },          /* 2.5 */
    { N32, 32, 0, false, FP_TIEAWAY, 0x40200000, 3, IXC },
    { N32, 32, 0, false, FP_TIEAWAY, 0xc0200000, 0xfffffffd, IXC },
    { N32, 32, 0, false, FP_POSINF, 0x3f800001, 2, IXC },
    { N32, 32, 0, false, FP_NEGINF, 0xbf800001, 0xfffffffe, IXC },
    { N32, 32, 8, false, FP_TOZERO, 0x3fc00000, 0x180, 0 },
    { N16, 16, 0, false, FP_TOZERO, 0x7bff, 0x7fff, IOC },
    { N16, 16, 0, true, FP_TOZERO, 0x7bff, 0xffe0, 0 },
    { N64, 32, 0, false, FP_TIEEVEN, 1, 0, IXC },
};
/* clang-format on */

static struct fp_env env(uint32_t fpcr, uint32_t *fpsr)
{
    *fpsr = 0;
    return (struct fp_env){ .fpcr = fpcr, .fpsr = fpsr };
}

/* Every case both ways: with the host's FPU, and without. */
static void test_binary_cases(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2 * ARRAY_LEN(binary_cases); k++) {
        const struct binary_case *t = &binary_cases[k / 2];
        uint32_t fpsr;
        struct fp_env e = env(t->fpcr, &fpsr);
        e.no_host = k % 2;
        uint64_t r = t->fn(&e, t->n, t->a, t->b);
        if (r != t->result || fpsr != t->flags)
            fail_msg("binary case %zu: 0x%llx flags 0x%x", k / 2, (unsigned long long)r, fpsr);
    }
}

static void test_unary_cases(void **state)
{
    (void)state;
    for (size_t k = 0; k < 2 * ARRAY_LEN(unary_cases); k++) {
        const struct unary_case *t = &unary_cases[k / 2];
        uint32_t fpsr;
        struct fp_env e = env(t->fpcr, &fpsr);
        e.no_host = k % 2;
        uint64_t r = t->fn(&e, t->n, t->a);
        if (r != t->result || fpsr != t->flags)
            fail_msg("unary case %zu: 0x%llx flags 0x%x", k / 2, (unsigned long long)r, fpsr);
    }
}

static void test_muladd_cases(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(muladd_cases); k++) {
        const struct muladd_case *t = &muladd_cases[k];
        uint32_t fpsr;
        struct fp_env e = env(t->fpcr, &fpsr);
        uint64_t r = fp_muladd(&e, t->n, t->addend, t->a, t->b);
        if (r != t->result || fpsr != t->flags)
            fail_msg("muladd case %zu: 0x%llx flags 0x%x", k, (unsigned long long)r, fpsr);
    }
}

static void test_fixed_cases(void **state)
{
    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(fixed_cases); k++) {
        const struct fixed_case *t = &fixed_cases[k];
        uint32_t fpsr;
        struct fp_env e = env(0, &fpsr);
        uint64_t r = fp_to_fixed(&e, t->n, t->a, t->width, t->fbits, t->is_unsigned, t->rounding);
        if (r != t->result || fpsr != t->flags)
            fail_msg("fixed case %zu: 0x%llx flags 0x%x", k, (unsigned long long)r, fpsr);
    }
}

static void test_compare(void **state)
{
    uint32_t fpsr;
    struct fp_env e = env(0, &fpsr);

    (void)state;
    assert_int_equal(fp_compare(&e, 32, 0, S_NEG, false), FP_EQUAL);
    assert_int_equal(fp_compare(&e, 32, S_NEG | 1, 1, false), FP_LESS);
    assert_int_equal(fp_compare(&e, 32, S_INF, S_MAX, false), FP_GREATER);
    assert_int_equal(fp_compare(&e, 32, S_QNAN, S_ONE, false), FP_UNORDERED);
    assert_int_equal(fpsr, 0);
    assert_int_equal(fp_compare(&e, 32, S_QNAN, S_ONE, true), FP_UNORDERED);
    assert_int_equal(fpsr, IOC);
    e = env(0, &fpsr);
    assert_int_equal(fp_compare(&e, 32, S_ONE, 0x7f800001, false), FP_UNORDERED);
    assert_int_equal(fpsr, IOC);
    e = env(FPCR_FZ, &fpsr);
    assert_int_equal(fp_compare(&e, 64, 1, 0, false), FP_EQUAL);
    assert_int_equal(fpsr, IDC);
}

static void test_formats(void **state)
{
    uint32_t fpsr;
    struct fp_env e = env(0, &fpsr);

    (void)state;
    /* Payloads keep their upper bits. */
    assert_int_equal(fp_convert(&e, 16, 32, 0x7fc02000, FP_TIEEVEN), 0x7e01);
    assert_int_equal(fp_convert(&e, 64, 32, 0xffc00001, FP_TIEEVEN), 0xfff8000020000000);
    assert_int_equal(fpsr, 0);
    assert_int_equal(fp_convert(&e, 16, 64, 0x7ff0000000000001, FP_TIEEVEN), 0x7e00);
    assert_int_equal(fpsr, IOC);

    /* The alternative half-precision format has neither infinities nor NaNs. */
    e = env(FPCR_AHP, &fpsr);
    assert_int_equal(fp_convert(&e, 32, 16, 0x7c00, FP_TIEEVEN), 0x47800000);
    assert_int_equal(fp_convert(&e, 16, 32, 0x47800000, FP_TIEEVEN), 0x7c00);
    assert_int_equal(fpsr, 0);
    assert_int_equal(fp_convert(&e, 16, 32, 0x48000000, FP_TIEEVEN), 0x7fff);
    assert_int_equal(fpsr, IOC);
    e = env(FPCR_AHP, &fpsr);
    assert_int_equal(fp_convert(&e, 16, 32, S_QNAN | S_NEG, FP_TIEEVEN), 0x8000);
    assert_int_equal(fpsr, IOC);
    e = env(FPCR_AHP, &fpsr);
    assert_int_equal(fp_convert(&e, 16, 32, S_INF | S_NEG, FP_TIEEVEN), 0xffff);
    assert_int_equal(fpsr, IOC);

    /* Conversions ignore FZ16, and FZ on their half-precision side. */
    e = env(FPCR_FZ16 | FPCR_FZ, &fpsr);
    assert_int_equal(fp_convert(&e, 32, 16, 1, FP_TIEEVEN), 0x33800000);
    assert_int_equal(fp_convert(&e, 16, 32, 0x33800000, FP_TIEEVEN), 1);
    assert_int_equal(fpsr, 0);

    /* Round to odd never hides a discarded bit. */
    e = env(0, &fpsr);
    assert_int_equal(fp_convert(&e, 32, 64, 0x3ff0000000000001, FP_ODD), 0x3f800001);
    assert_int_equal(fp_convert(&e, 32, 64, 0x7fefffffffffffff, FP_ODD), S_MAX);
}

static void test_round_int(void **state)
{
    uint32_t fpsr;
    struct fp_env e = env(0, &fpsr);

    (void)state;
    assert_int_equal(fp_round_int(&e, 32, 0xbf000000, FP_TIEEVEN, false), S_NEG);
    assert_int_equal(fp_round_int(&e, 32, 0x40200000, FP_TIEEVEN, false), 0x40000000);
    assert_int_equal(fp_round_int(&e, 32, 0x40200000, FP_TIEAWAY, false), 0x40400000);
    assert_int_equal(fpsr, 0);
    assert_int_equal(fp_round_int(&e, 32, 0x40200000, FP_POSINF, true), 0x40400000);
    assert_int_equal(fpsr, IXC);

    /* FRINT32: what does not fit, and a NaN, is the most negative integer. */
    e = env(0, &fpsr);
    assert_int_equal(fp_round_int_n(&e, 64, 0x41dfffffffc00000, FP_TOZERO, 32), 0x41dfffffffc00000);
    assert_int_equal(fp_round_int_n(&e, 32, 0xcf000000, FP_TOZERO, 32), 0xcf000000);
    assert_int_equal(fpsr, 0);
    assert_int_equal(fp_round_int_n(&e, 64, 0x41e0000000000000, FP_TOZERO, 32), 0xc1e0000000000000);
    assert_int_equal(fpsr, IOC);
    e = env(0, &fpsr);
    assert_int_equal(fp_round_int_n(&e, 32, S_QNAN, FP_TOZERO, 64), 0xdf000000);
    assert_int_equal(fpsr, IOC);
}

static void test_javascript(void **state)
{
    static const struct {
        uint64_t a;
        uint32_t result;
        bool exact;
        uint32_t flags;
    } cases[] = {
        { 0x3ff0000000000000, 1, true, 0 },
        { 0, 0, true, 0 },
        { 1ull << 63, 0, false, 0 },
        { 0xbff8000000000000, 0xffffffff, false, IXC }, /* -1.5 */
        { 0x41e0000000000000, 0x80000000, false, IOC }, /* 2^31 */
        { 0xc1e0000000000000, 0x80000000, true, 0 },    /* -2^31 */
        { 0x41f0000000100000, 1, false, IOC },          /* 2^32 + 1 */
        { 0x4340000000000001, 2, false, IOC },          /* 2^53 + 2 */
        { 0x4530000000000001, 0, false, IOC },          /* 2^84 + 2^32 */
        { 0x4520000000000001, 1u << 31, false, IOC },   /* 2^83 + 2^31 */
        { 0x7ff0000000000000, 0, false, IOC },
        { 0x7ff8000000000000, 0, false, IOC },
    };

    (void)state;
    for (size_t k = 0; k < ARRAY_LEN(cases); k++) {
        uint32_t fpsr;
        struct fp_env e = env(0, &fpsr);
        bool exact;
        uint32_t r = fp_to_int32_js(&e, cases[k].a, &exact);
        if (r != cases[k].result || exact != cases[k].exact || fpsr != cases[k].flags)
            fail_msg("case %zu: 0x%x exact %d flags 0x%x", k, r, exact, fpsr);
    }
}

/* Random operands, of which many are special or near to each other. */
static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static uint64_t nasty(uint64_t *seed, unsigned n)
{
    unsigned frac_bits = n == 16 ? 10 : n == 32 ? 23 : 52, exp_bits = n - 1 - frac_bits;
    uint64_t top = (1ull << exp_bits) - 1, r = next_random(seed), frac = next_random(seed), exp;

    switch (r >> 8 & 7) {
    case 0:
        exp = r >> 16 & 1;
        break;
    case 1:
        exp = top - (r >> 16 & 3);
        break;
    case 2:
        exp = r >> 16 & top;
        break;
    default:
        exp = top / 2 + (r >> 16) % (2 * frac_bits) - frac_bits;
        break;
    }
    if (r >> 12 & 1)
        frac &= ~0ull << (frac_bits - 4);
    if (r >> 13 & 1)
        frac = (r >> 14 & 1) ? 0 : ~0ull;
    return (r & 1) << (n - 1) | (exp & top) << frac_bits | (frac & ((1ull << frac_bits) - 1));
}

static bool is_nan(unsigned n, uint64_t a)
{
    uint64_t infinity = n == 64 ? 0x7ffull << 52 : S_INF;

    return fp_abs(n, a) > infinity;
}

static float to_float(uint64_t a)
{
    uint32_t w = (uint32_t)a;
    float f;
    memcpy(&f, &w, sizeof f);
    return f;
}

static double to_double(uint64_t a)
{
    double d;
    memcpy(&d, &a, sizeof d);
    return d;
}

static uint64_t from_float(float f)
{
    uint32_t w;
    memcpy(&w, &f, sizeof w);
    return w;
}

static uint64_t from_double(double d)
{
    uint64_t a;
    memcpy(&a, &d, sizeof a);
    return a;
}

enum { OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_SQRT, OP_FMA, OP_COUNT };

static uint64_t host_compute(unsigned op, unsigned n, uint64_t a, uint64_t b, uint64_t addend)
{
    volatile double x = to_double(a), y = to_double(b), z = to_double(addend), r = 0;
    volatile float xf = to_float(a), yf = to_float(b), zf = to_float(addend), rf = 0;

    switch (op) {
    case OP_ADD:
        n == 64 ? (r = x + y) : (rf = xf + yf);
        break;
    case OP_SUB:
        n == 64 ? (r = x - y) : (rf = xf - yf);
        break;
    case OP_MUL:
        n == 64 ? (r = x * y) : (rf = xf * yf);
        break;
    case OP_DIV:
        n == 64 ? (r = x / y) : (rf = xf / yf);
        break;
    case OP_SQRT:
        n == 64 ? (r = sqrt(x)) : (rf = sqrtf(xf));
        break;
    default:
        n == 64 ? (r = fma(x, y, z)) : (rf = fmaf(xf, yf, zf));
        break;
    }
    return n == 64 ? from_double(r) : from_float(rf);
}

static uint64_t our_compute(const struct fp_env *e, unsigned op, unsigned n, uint64_t a, uint64_t b,
                            uint64_t addend)
{
    switch (op) {
    case OP_ADD:
        return fp_add(e, n, a, b);
    case OP_SUB:
        return fp_sub(e, n, a, b);
    case OP_MUL:
        return fp_mul(e, n, a, b);
    case OP_DIV:
        return fp_div(e, n, a, b);
    case OP_SQRT:
        return fp_sqrt(e, n, a);
    default:
        return fp_muladd(e, n, addend, a, b);
    }
}

/* The host's flags as FPSR has them. Its underflow is another one: tininess after rounding. */
static uint32_t host_flags(void)
{
    int x = fetestexcept(FE_ALL_EXCEPT);

    return (x & FE_INVALID ? IOC : 0) | (x & FE_DIVBYZERO ? DZC : 0) | (x & FE_OVERFLOW ? OFC : 0) |
           (x & FE_INEXACT ? IXC : 0);
}

/* Results and flags of the integer path, in every rounding mode. */
static void test_against_host_fpu(void **state)
{
    static const int mode[4] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    uint64_t seed = 0x9e3779b97f4a7c15;

    (void)state;
    for (unsigned k = 0; k < 400000; k++) {
        unsigned op = k % OP_COUNT, n = k & 8 ? 64 : 32, rm = k >> 4 & 3;
        uint64_t a = nasty(&seed, n), b = nasty(&seed, n), addend = nasty(&seed, n);
        if (is_nan(n, a) || is_nan(n, b) || is_nan(n, addend))
            continue;

        fesetround(mode[rm]);
        feclearexcept(FE_ALL_EXCEPT);
        uint64_t want = host_compute(op, n, a, b, addend);
        uint32_t want_flags = host_flags();
        fesetround(FE_TONEAREST);

        uint32_t fpsr;
        struct fp_env e = env(rm << FPCR_RMODE_SHIFT, &fpsr);
        e.no_host = true;
        uint64_t r = our_compute(&e, op, n, a, b, addend);
        if (is_nan(n, r) && is_nan(n, want))
            want = r;
        if (r != want || (fpsr & ~(uint32_t)UFC) != want_flags)
            fail_msg("op %u of %u bits, mode %u, 0x%llx 0x%llx 0x%llx: 0x%llx not 0x%llx, flags "
                     "0x%x not 0x%x",
                     op, n, rm, (unsigned long long)a, (unsigned long long)b,
                     (unsigned long long)addend, (unsigned long long)r, (unsigned long long)want,
                     fpsr, want_flags);
    }
}

/* The host path never differs from the integer path, whatever FPSR and FPCR were before. */
static void test_host_path(void **state)
{
    static const uint32_t modes[] = { 0, 0, 0, 0, RP, RZ, FPCR_FZ, FPCR_DN };
    uint64_t seed = 0x2545f4914f6cdd1d;

    (void)state;
    for (unsigned k = 0; k < 400000; k++) {
        unsigned op = k % (OP_COUNT + 2), n = k & 8 ? 64 : 32;
        uint64_t a = nasty(&seed, n), b = nasty(&seed, n), addend = nasty(&seed, n);
        uint32_t before = k & 16 ? FPSR_IXC : 0, fpsr[2] = { before, before };
        uint64_t r[2];

        for (unsigned way = 0; way < 2; way++) {
            struct fp_env e = { .fpcr = modes[k >> 5 & 7], .fpsr = &fpsr[way], .no_host = way };
            if (op < OP_COUNT)
                r[way] = our_compute(&e, op, n, a, b, addend);
            else
                r[way] = fp_convert(&e, 96 - n, n, a, fp_rounding_mode(&e));
        }
        if (r[0] != r[1] || fpsr[0] != fpsr[1])
            fail_msg("op %u of %u bits, 0x%llx 0x%llx 0x%llx: 0x%llx flags 0x%x, not 0x%llx 0x%x",
                     op, n, (unsigned long long)a, (unsigned long long)b,
                     (unsigned long long)addend, (unsigned long long)r[0], fpsr[0],
                     (unsigned long long)r[1], fpsr[1]);
    }
}

/* All half-precision values: exact in double, where sums and products of two are exact as well and
 * roots have enough bits for the second rounding to be harmless. */
static void test_all_halves(void **state)
{
    uint64_t seed = 88172645463325252ull;

    (void)state;
    for (unsigned a = 0; a < 0x10000; a++) {
        for (unsigned rm = 0; rm < 4; rm++) {
            uint32_t fpsr, want_fpsr;
            struct fp_env e = env(rm << FPCR_RMODE_SHIFT, &fpsr);
            uint64_t b = nasty(&seed, 16);
            uint64_t wide_a = fp_convert(&e, 64, 16, a, FP_TIEEVEN);
            uint64_t wide_b = fp_convert(&e, 64, 16, b, FP_TIEEVEN);
            if (is_nan(64, wide_a) || is_nan(64, wide_b))
                continue;
            assert_int_equal(fp_convert(&e, 16, 64, wide_a, FP_TIEEVEN), a);
            assert_int_equal(fpsr, 0);

            struct fp_env w = env(rm << FPCR_RMODE_SHIFT, &want_fpsr);
            uint64_t want = fp_convert(&w, 16, 64, fp_mul(&w, 64, wide_a, wide_b), rm);
            uint64_t r = fp_mul(&e, 16, a, b);
            if (r != want || fpsr != want_fpsr)
                fail_msg("0x%x * 0x%llx mode %u", a, (unsigned long long)b, rm);

            w = env(rm << FPCR_RMODE_SHIFT, &want_fpsr);
            e = env(rm << FPCR_RMODE_SHIFT, &fpsr);
            want = fp_convert(&w, 16, 64, fp_add(&w, 64, wide_a, wide_b), rm);
            r = fp_add(&e, 16, a, b);
            if (r != want || fpsr != want_fpsr)
                fail_msg("0x%x + 0x%llx mode %u", a, (unsigned long long)b, rm);

            if (rm == 0) {
                want = fp_convert(&w, 16, 64, fp_sqrt(&w, 64, wide_a), rm);
                if (fp_sqrt(&e, 16, a) != want)
                    fail_msg("sqrt 0x%x", a);
            }
        }
    }
}

/* DDI 0487 promises 8 bits of the estimates. */
static void test_estimates(void **state)
{
    (void)state;
    for (uint32_t k = 0; k < 0x400; k++) {
        uint32_t fpsr, a = (k >> 9 ? 0x3f000000 : 0x3f800000) | (k & 0x1ff) << 14;
        struct fp_env e = env(0, &fpsr);
        double x = to_float(a);
        double recip = to_float(fp_recip_estimate(&e, 32, a)) * x;
        double rsqrt = to_float(fp_rsqrt_estimate(&e, 32, a)) * sqrt(x);
        if (fabs(recip - 1) > 1.0 / 256 || fabs(rsqrt - 1) > 1.0 / 256 || fpsr)
            fail_msg("0x%x: %f %f", a, recip, rsqrt);
    }
    assert_int_equal(fp_unsigned_recip_estimate(0x7fffffff), UINT32_MAX);
    assert_int_equal(fp_unsigned_recip_estimate(0x80000000), 0xff800000);
    assert_int_equal(fp_unsigned_rsqrt_estimate(0x3fffffff), UINT32_MAX);
    assert_int_equal(fp_unsigned_rsqrt_estimate(0x40000000), 0xff800000);
    assert_int_equal(fp_unsigned_rsqrt_estimate(0xffffffff), 0x80000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary_cases),     cmocka_unit_test(test_unary_cases),
        cmocka_unit_test(test_muladd_cases),     cmocka_unit_test(test_fixed_cases),
        cmocka_unit_test(test_compare),          cmocka_unit_test(test_formats),
        cmocka_unit_test(test_round_int),        cmocka_unit_test(test_javascript),
        cmocka_unit_test(test_against_host_fpu), cmocka_unit_test(test_host_path),
        cmocka_unit_test(test_all_halves),       cmocka_unit_test(test_estimates),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
