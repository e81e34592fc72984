/*
 * Conversions: between precisions, to and from integers and fixed point, to integral values.
 * DDI 0487 FPConvert(), FPToFixed(), FixedToFP(), FPRoundInt(), FPRoundIntN(), FPToFixedJS().
 */
#include "soft/fp/fp_number.h"

#include "base/bits.h"
#include "soft/fp/fp_host.h"

uint64_t fp_convert(const struct fp_env *e, unsigned to, unsigned from, uint64_t a,
                    enum fp_rounding rounding)
{
    uint64_t result;

    if (fp_host_convert(e, to, from, a, rounding, &result))
        return result;

    struct fp_num na = fp_unpack_cv(e, from, a);
    bool alt_half = to == 16 && (e->fpcr & FPCR_AHP);
    if (fp_is_nan(&na)) {
        if (na.type == FP_TYPE_SNAN || alt_half)
            fp_raise(e, FPSR_IOC);
        if (alt_half)
            return fp_zero(to, na.sign);
        return e->fpcr & FPCR_DN ? fp_default_nan(to) : fp_convert_nan(to, from, a);
    }
    if (na.type == FP_TYPE_INFINITY) {
        if (!alt_half)
            return fp_infinity(to, na.sign);
        fp_raise(e, FPSR_IOC);
        return (uint64_t)na.sign << (to - 1) | ones(to - 1);
    }
    if (na.type == FP_TYPE_ZERO)
        return fp_zero(to, na.sign);
    return fp_round_cv(e, to, na.sign, na.exp, na.sig, rounding);
}

/* The magnitude of nonzero sig * 2^(exp - 63) as integer and fraction / 2^64 (bit 0 sticky); exp
 * at most 63. */
static uint64_t split(int exp, uint64_t sig, uint64_t *frac)
{
    int shift = 63 - exp;

    if (shift == 0) {
        *frac = 0;
        return sig;
    }
    if (shift < 64) {
        *frac = sig << (64 - shift);
        return sig >> shift;
    }
    *frac = shift == 64 ? sig : 1;
    return 0;
}

uint64_t fp_to_fixed(const struct fp_env *e, unsigned n, uint64_t a, unsigned width, unsigned fbits,
                     bool is_unsigned, enum fp_rounding rounding)
{
    uint64_t result;

    if (rounding == FP_TOZERO && fbits == 0 &&
        fp_host_truncate(e, n, a, width, is_unsigned, &result))
        return result;

    struct fp_num na = fp_unpack(e, n, a);
    uint64_t limit = is_unsigned ? (na.sign ? 0 : ones(width))
                                 : (1ull << (width - 1)) - !na.sign; /* largest magnitude */
    uint64_t magnitude, frac = 0;

    if (fp_is_nan(&na)) {
        fp_raise(e, FPSR_IOC);
        return 0;
    }
    if (na.type == FP_TYPE_ZERO)
        return 0;

    int exp = na.exp + (int)fbits;
    bool overflow = na.type == FP_TYPE_INFINITY || exp > 63;
    if (!overflow) {
        magnitude = split(exp, na.sig, &frac);
        magnitude += fp_rounds_up(rounding, na.sign, magnitude & 1, frac);
        overflow = magnitude > limit;
    }
    if (overflow) {
        fp_raise(e, FPSR_IOC);
        magnitude = limit;
    } else if (frac != 0) {
        fp_raise(e, FPSR_IXC);
    }
    return (na.sign ? -magnitude : magnitude) & ones(width);
}

uint64_t fp_from_fixed(const struct fp_env *e, unsigned n, uint64_t value, unsigned fbits,
                       bool is_unsigned, enum fp_rounding rounding)
{
    uint64_t result;

    if (value == 0)
        return fp_zero(n, false);
    if (fbits == 0 && fp_host_from_integer(e, n, value, is_unsigned, &result))
        return result;
    bool sign = !is_unsigned && value >> 63;
    if (sign)
        value = -value;
    int shift = __builtin_clzll(value);
    return fp_round(e, n, sign, 63 - shift - (int)fbits, value << shift, rounding);
}

/* A number with an integral value. */
static uint64_t from_magnitude(const struct fp_env *e, unsigned n, bool sign, uint64_t magnitude)
{
    if (magnitude == 0)
        return fp_zero(n, sign);
    int shift = __builtin_clzll(magnitude);
    return fp_round(e, n, sign, 63 - shift, magnitude << shift, FP_TOZERO);
}

uint64_t fp_round_int(const struct fp_env *e, unsigned n, uint64_t a, enum fp_rounding rounding,
                      bool exact)
{
    struct fp_num na = fp_unpack(e, n, a);

    if (fp_is_nan(&na))
        return fp_process_nan(e, n, na.type, a);
    if (na.type == FP_TYPE_INFINITY)
        return fp_infinity(n, na.sign);
    if (na.type == FP_TYPE_ZERO)
        return fp_zero(n, na.sign);
    if (na.exp >= fp_format(n)->frac_bits)
        return a;

    uint64_t frac;
    uint64_t magnitude = split(na.exp, na.sig, &frac);
    magnitude += fp_rounds_up(rounding, na.sign, magnitude & 1, frac);
    if (frac != 0 && exact)
        fp_raise(e, FPSR_IXC);
    return from_magnitude(e, n, na.sign, magnitude);
}

uint64_t fp_round_int_n(const struct fp_env *e, unsigned n, uint64_t a, enum fp_rounding rounding,
                        unsigned width)
{
    struct fp_num na = fp_unpack(e, n, a);
    uint64_t limit = (1ull << (width - 1)) - !na.sign;
    uint64_t magnitude = 0, frac = 0;
    bool overflow = fp_is_nan(&na) || na.type == FP_TYPE_INFINITY;

    if (na.type == FP_TYPE_ZERO)
        return fp_zero(n, na.sign);
    if (!overflow)
        overflow = na.exp > 63;
    if (!overflow) {
        magnitude = split(na.exp, na.sig, &frac);
        magnitude += fp_rounds_up(rounding, na.sign, magnitude & 1, frac);
        overflow = magnitude > limit;
    }
    if (overflow) {
        /* The most negative integer, as a number. */
        fp_raise(e, FPSR_IOC);
        return from_magnitude(e, n, true, 1ull << (width - 1));
    }
    if (frac != 0)
        fp_raise(e, FPSR_IXC);
    return from_magnitude(e, n, na.sign, magnitude);
}

uint32_t fp_to_int32_js(const struct fp_env *e, uint64_t a, bool *exact)
{
    struct fp_num na = fp_unpack(e, 64, a);

    *exact = false;
    if (fp_is_nan(&na) || na.type == FP_TYPE_INFINITY) {
        fp_raise(e, FPSR_IOC);
        return 0;
    }
    if (na.type == FP_TYPE_ZERO) {
        *exact = !na.sign;
        return 0;
    }

    /* Modulo 2^32 of the truncated value; 53 bits of significand end above bit 84. */
    uint64_t frac = 0, magnitude = 0;
    bool overflow = true;
    if (na.exp <= 63) {
        magnitude = split(na.exp, na.sig, &frac);
        overflow = magnitude > (1ull << 31) - !na.sign;
    } else if (na.exp <= 63 + 31) {
        magnitude = na.sig << (na.exp - 63);
    }
    if (overflow)
        fp_raise(e, FPSR_IOC);
    else if (frac != 0)
        fp_raise(e, FPSR_IXC);
    else
        *exact = true;
    return (uint32_t)(na.sign ? -magnitude : magnitude);
}
