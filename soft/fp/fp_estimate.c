/*
 * Reciprocal and reciprocal square root: 8-bit estimates and the fused steps that refine them.
 * DDI 0487 FPRecipEstimate(), FPRSqrtEstimate(), RecipEstimate(), RecipSqrtEstimate(),
 * FPRecipStepFused(), FPRSqrtStepFused(), FPRecpX(), UnsignedRecipEstimate().
 */
#include "soft/fp/fp_number.h"

#include "base/bits.h"

/* 256 to 511 for `a` from 256 to 511, which stand for 1.0 / [0.5, 1.0). */
static unsigned recip_estimate(unsigned a)
{
    unsigned b = (1u << 19) / (a * 2 + 1);
    return (b + 1) / 2;
}

/* 256 to 511 for `a` from 128 to 511, which stand for 1.0 / sqrt([0.25, 1.0)). */
static unsigned rsqrt_estimate(unsigned a)
{
    if (a < 256)
        a = a * 2 + 1;
    else
        a = (a | 1) * 2;
    unsigned b = 512;
    while (a * (b + 1) * (b + 1) < 1u << 28)
        b++;
    return (b + 1) / 2;
}

uint64_t fp_recip_estimate(const struct fp_env *e, unsigned n, uint64_t a)
{
    const struct fp_format *f = fp_format(n);
    struct fp_num na = fp_unpack(e, n, a);

    if (fp_is_nan(&na))
        return fp_process_nan(e, n, na.type, a);
    if (na.type == FP_TYPE_INFINITY)
        return fp_zero(n, na.sign);
    if (na.type == FP_TYPE_ZERO) {
        fp_raise(e, FPSR_DZC);
        return fp_infinity(n, na.sign);
    }
    /* 1/a is too large: |a| < 2^(min_exp - 2). */
    if (na.exp < f->min_exp - 2) {
        fp_raise(e, FPSR_OFC | FPSR_IXC);
        return fp_overflows_to_infinity(fp_rounding_mode(e), na.sign) ? fp_infinity(n, na.sign)
                                                                      : fp_max_normal(n, na.sign);
    }
    /* 1/a is tiny: |a| >= 2^-min_exp. */
    if (fp_flushes(e, n) && na.exp >= -f->min_exp) {
        fp_raise(e, FPSR_UFC);
        return fp_zero(n, na.sign);
    }

    /* 2^-(x+1) * 1.estimate; a subnormal result keeps 8 of its bits or fewer. */
    int exp = -f->min_exp - na.exp;
    uint64_t frac = (uint64_t)(recip_estimate((unsigned)(na.sig >> 55)) & 0xff)
                    << (f->frac_bits - 8);
    if (exp <= 0) {
        frac = (1ull << f->frac_bits | frac) >> (1 - exp);
        exp = 0;
    }
    return (uint64_t)na.sign << (n - 1) | (uint64_t)exp << f->frac_bits | frac;
}

uint64_t fp_rsqrt_estimate(const struct fp_env *e, unsigned n, uint64_t a)
{
    const struct fp_format *f = fp_format(n);
    struct fp_num na = fp_unpack(e, n, a);

    if (fp_is_nan(&na))
        return fp_process_nan(e, n, na.type, a);
    if (na.type == FP_TYPE_ZERO) {
        fp_raise(e, FPSR_DZC);
        return fp_infinity(n, na.sign);
    }
    if (na.sign)
        return fp_invalid(e, n);
    if (na.type == FP_TYPE_INFINITY)
        return fp_zero(n, false);

    /* a = [0.25, 1.0) * 2^even. */
    int bias = 1 - f->min_exp;
    int biased = na.exp + bias;
    unsigned scaled = (unsigned)(biased & 1 ? na.sig >> 56 : na.sig >> 55);
    int exp = (3 * bias - 1 - biased) >> 1;
    uint64_t frac = (uint64_t)(rsqrt_estimate(scaled) & 0xff) << (f->frac_bits - 8);
    return (uint64_t)exp << f->frac_bits | frac;
}

/* 2.0 - a * b, or (3.0 - a * b) / 2 with `rsqrt`; one rounding. */
static uint64_t fp_step(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b, bool rsqrt)
{
    a = fp_neg(n, a);
    struct fp_num na = fp_unpack(e, n, a), nb = fp_unpack(e, n, b);
    uint64_t result;

    if (fp_process_nans(e, n, &na, &nb, a, b, &result))
        return result;

    const struct fp_format *f = fp_format(n);
    bool inf = na.type == FP_TYPE_INFINITY || nb.type == FP_TYPE_INFINITY;
    bool zero = na.type == FP_TYPE_ZERO || nb.type == FP_TYPE_ZERO;
    if (zero) /* 1.5 or 2.0, also for zero times infinity */
        return rsqrt ? (2ull * (uint64_t)(1 - f->min_exp) + 1) << (f->frac_bits - 1)
                     : 1ull << (n - 2);
    if (inf)
        return fp_infinity(n, na.sign != nb.sign);

    /* 2.0 or 1.5, and the product halved for the latter. */
    struct fp_num constant = {
        .type = FP_TYPE_NONZERO,
        .exp = rsqrt ? 0 : 1,
        .sig = rsqrt ? 3ull << 62 : 1ull << 63,
    };
    struct fp_wide product = fp_product(&na, &nb);
    product.exp -= rsqrt;
    return fp_round_sum(e, n, fp_widen(&constant), product, fp_rounding_mode(e));
}

uint64_t fp_recip_step(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    return fp_step(e, n, a, b, false);
}

uint64_t fp_rsqrt_step(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    return fp_step(e, n, a, b, true);
}

uint64_t fp_recip_exponent(const struct fp_env *e, unsigned n, uint64_t a)
{
    const struct fp_format *f = fp_format(n);
    struct fp_num na = fp_unpack(e, n, a);

    if (fp_is_nan(&na))
        return fp_process_nan(e, n, na.type, a);
    uint64_t max = ones(f->exp_bits), exp = a >> f->frac_bits & max;
    return (uint64_t)na.sign << (n - 1) | (exp == 0 ? max - 1 : exp ^ max) << f->frac_bits;
}

uint32_t fp_unsigned_recip_estimate(uint32_t a)
{
    return a >> 31 ? recip_estimate(a >> 23) << 23 : UINT32_MAX;
}

uint32_t fp_unsigned_rsqrt_estimate(uint32_t a)
{
    return a >> 30 ? rsqrt_estimate(a >> 23) << 23 : UINT32_MAX;
}
