/*
 * Unpacking, NaN processing and rounding: the part of floating point that every operation shares.
 * DDI 0487 shared/functions/float: FPUnpackBase, FPProcessNaN, FPProcessNaNs, FPRoundBase.
 *
 * The manual computes with real numbers; here a number is a 64-bit significand whose lowest bit is
 * sticky, which is enough: the widest result keeps 53 bits.
 */
#include "soft/fp/fp_number.h"

#include "base/bits.h"

const struct fp_format fp_formats[3] = {
    { .frac_bits = 10, .exp_bits = 5, .min_exp = -14 },
    { .frac_bits = 23, .exp_bits = 8, .min_exp = -126 },
    { .frac_bits = 52, .exp_bits = 11, .min_exp = -1022 },
};

static uint64_t fp_pack(unsigned n, bool sign, uint64_t exp, uint64_t frac)
{
    return (uint64_t)sign << (n - 1) | exp << fp_format(n)->frac_bits | frac;
}

uint64_t fp_zero(unsigned n, bool sign)
{
    return fp_pack(n, sign, 0, 0);
}

uint64_t fp_infinity(unsigned n, bool sign)
{
    return fp_pack(n, sign, ones(fp_format(n)->exp_bits), 0);
}

uint64_t fp_max_normal(unsigned n, bool sign)
{
    return fp_infinity(n, sign) - 1;
}

uint64_t fp_default_nan(unsigned n)
{
    return fp_infinity(n, false) | 1ull << (fp_format(n)->frac_bits - 1);
}

uint64_t fp_invalid(const struct fp_env *e, unsigned n)
{
    fp_raise(e, FPSR_IOC);
    return fp_default_nan(n);
}

static struct fp_num fp_unpack_base(const struct fp_env *e, unsigned n, uint64_t a, bool alt_half,
                                    bool flush)
{
    const struct fp_format *f = fp_format(n);
    uint64_t frac = a & ones(f->frac_bits);
    unsigned exp = (unsigned)bits(a, n - 2, f->frac_bits);
    struct fp_num r = { .type = FP_TYPE_NONZERO, .sign = bit(a, n - 1) };

    if (exp == ones(f->exp_bits) && !alt_half) {
        if (frac == 0)
            r.type = FP_TYPE_INFINITY;
        else
            r.type = bit(frac, f->frac_bits - 1u) ? FP_TYPE_QNAN : FP_TYPE_SNAN;
    } else if (exp != 0) {
        r.exp = (int)exp - 1 + f->min_exp;
        r.sig = 1ull << 63 | frac << (63 - f->frac_bits);
    } else if (frac == 0 || flush) {
        r.type = FP_TYPE_ZERO;
        if (frac != 0 && n != 16)
            fp_raise(e, FPSR_IDC);
    } else {
        int shift = __builtin_clzll(frac);
        r.exp = f->min_exp + 63 - f->frac_bits - shift;
        r.sig = frac << shift;
    }
    return r;
}

struct fp_num fp_unpack(const struct fp_env *e, unsigned n, uint64_t a)
{
    return fp_unpack_base(e, n, a, false, fp_flushes(e, n));
}

struct fp_num fp_unpack_cv(const struct fp_env *e, unsigned n, uint64_t a)
{
    return fp_unpack_base(e, n, a, n == 16 && (e->fpcr & FPCR_AHP), n != 16 && fp_flushes(e, n));
}

uint64_t fp_process_nan(const struct fp_env *e, unsigned n, enum fp_type type, uint64_t a)
{
    if (type == FP_TYPE_SNAN) {
        a |= 1ull << (fp_format(n)->frac_bits - 1);
        fp_raise(e, FPSR_IOC);
    }
    return e->fpcr & FPCR_DN ? fp_default_nan(n) : a;
}

bool fp_process_nans(const struct fp_env *e, unsigned n, const struct fp_num *na,
                     const struct fp_num *nb, uint64_t a, uint64_t b, uint64_t *result)
{
    if (na->type == FP_TYPE_SNAN)
        *result = fp_process_nan(e, n, na->type, a);
    else if (nb->type == FP_TYPE_SNAN)
        *result = fp_process_nan(e, n, nb->type, b);
    else if (na->type == FP_TYPE_QNAN)
        *result = fp_process_nan(e, n, na->type, a);
    else if (nb->type == FP_TYPE_QNAN)
        *result = fp_process_nan(e, n, nb->type, b);
    else
        return false;
    return true;
}

uint64_t fp_convert_nan(unsigned to, unsigned from, uint64_t a)
{
    unsigned from_frac = fp_format(from)->frac_bits, to_frac = fp_format(to)->frac_bits;
    uint64_t frac = a & ones(from_frac);

    if (to_frac >= from_frac)
        frac <<= to_frac - from_frac;
    else
        frac >>= from_frac - to_frac;
    return fp_pack(to, bit(a, from - 1), ones(fp_format(to)->exp_bits),
                   frac | 1ull << (to_frac - 1));
}

bool fp_rounds_up(enum fp_rounding rounding, bool sign, bool odd, uint64_t frac)
{
    const uint64_t half = 1ull << 63;

    switch (rounding) {
    case FP_TIEEVEN:
        return frac > half || (frac == half && odd);
    case FP_TIEAWAY:
        return frac >= half;
    case FP_POSINF:
        return frac != 0 && !sign;
    case FP_NEGINF:
        return frac != 0 && sign;
    default:
        return false;
    }
}

bool fp_overflows_to_infinity(enum fp_rounding rounding, bool sign)
{
    switch (rounding) {
    case FP_TIEEVEN:
    case FP_TIEAWAY:
        return true;
    case FP_POSINF:
        return !sign;
    case FP_NEGINF:
        return sign;
    default:
        return false;
    }
}

/* `alt_half`: the alternative half-precision format, without infinities and NaNs. */
static uint64_t fp_round_base(const struct fp_env *e, unsigned n, bool sign, int exp, uint64_t sig,
                              enum fp_rounding rounding, bool alt_half, bool flush)
{
    const struct fp_format *f = fp_format(n);

    if (flush && exp < f->min_exp) {
        fp_raise(e, FPSR_UFC);
        return fp_zero(n, sign);
    }

    /* sig splits into `mant`, the bits that the format keeps, and `frac` below them. */
    int biased = exp - f->min_exp + 1;
    unsigned shift = 63u - f->frac_bits;
    if (biased <= 0) {
        unsigned down = (unsigned)(1 - biased);
        shift = down > 64 ? 128 : shift + down;
        biased = 0;
    }
    uint64_t mant = shift < 64 ? sig >> shift : 0;
    uint64_t frac = shift < 64 ? sig << (64 - shift) : shift == 64 ? sig : 1;

    if (biased == 0 && frac != 0)
        fp_raise(e, FPSR_UFC);
    if (fp_rounds_up(rounding, sign, mant & 1, frac)) {
        mant++;
        if (mant == 1ull << f->frac_bits)
            biased = 1;
        if (mant == 2ull << f->frac_bits) {
            biased++;
            mant >>= 1;
        }
    }
    if (frac != 0 && rounding == FP_ODD)
        mant |= 1;

    int max_biased = (int)ones(f->exp_bits);
    if (alt_half) {
        if (biased > max_biased) {
            fp_raise(e, FPSR_IOC);
            return (uint64_t)sign << (n - 1) | ones(n - 1);
        }
    } else if (biased >= max_biased) {
        fp_raise(e, FPSR_OFC | FPSR_IXC);
        return fp_overflows_to_infinity(rounding, sign) ? fp_infinity(n, sign)
                                                        : fp_max_normal(n, sign);
    }
    if (frac != 0)
        fp_raise(e, FPSR_IXC);
    return fp_pack(n, sign, (uint64_t)biased, mant & ones(f->frac_bits));
}

uint64_t fp_round(const struct fp_env *e, unsigned n, bool sign, int exp, uint64_t sig,
                  enum fp_rounding rounding)
{
    return fp_round_base(e, n, sign, exp, sig, rounding, false, fp_flushes(e, n));
}

uint64_t fp_round_cv(const struct fp_env *e, unsigned n, bool sign, int exp, uint64_t sig,
                     enum fp_rounding rounding)
{
    return fp_round_base(e, n, sign, exp, sig, rounding, n == 16 && (e->fpcr & FPCR_AHP),
                         n != 16 && fp_flushes(e, n));
}

static uint128_t shift_right_sticky(uint128_t v, unsigned by)
{
    if (by == 0)
        return v;
    if (by >= 128)
        return v != 0;
    return v >> by | ((v << (128 - by)) != 0);
}

/* Bring the highest one of `v` (not zero) to bit 63, dropped bits sticky. */
static uint64_t narrow(uint128_t v, int *exp)
{
    uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;
    int shift = high ? __builtin_clzll(high) : 64 + __builtin_clzll(low);

    v <<= shift;
    *exp += 1 - shift;
    return (uint64_t)(v >> 64) | ((uint64_t)v != 0);
}

/*
 * Sticky bits are safe in the subtraction: a significand has 53 bits and a product 106, so bits are
 * only lost when the exponents differ by two or more, and then at most one leading bit cancels.
 */
uint64_t fp_round_sum(const struct fp_env *e, unsigned n, struct fp_wide a, struct fp_wide b,
                      enum fp_rounding rounding)
{
    if (a.exp < b.exp) {
        struct fp_wide t = a;
        a = b;
        b = t;
    }
    /* One bit of room for the carry. Products have 22 zeros at the bottom, so nothing is lost. */
    a.sig >>= 1;
    b.sig >>= 1;
    b.sig = shift_right_sticky(b.sig, (unsigned)(a.exp - b.exp));

    struct fp_wide r = { .sign = a.sign, .exp = a.exp + 1 };
    if (a.sign == b.sign) {
        r.sig = a.sig + b.sig;
    } else if (a.sig >= b.sig) {
        r.sig = a.sig - b.sig;
    } else {
        r.sig = b.sig - a.sig;
        r.sign = b.sign;
    }
    if (r.sig == 0)
        return fp_zero(n, rounding == FP_NEGINF);
    uint64_t sig = narrow(r.sig, &r.exp);
    return fp_round(e, n, r.sign, r.exp, sig, rounding);
}

struct fp_wide fp_widen(const struct fp_num *a)
{
    return (struct fp_wide){ .sign = a->sign, .exp = a->exp, .sig = (uint128_t)a->sig << 63 };
}

struct fp_wide fp_product(const struct fp_num *a, const struct fp_num *b)
{
    return (struct fp_wide){ .sign = a->sign != b->sign,
                             .exp = a->exp + b->exp,
                             .sig = (uint128_t)a->sig * b->sig };
}
