/*
 * Private to soft/fp: numbers taken apart, and put together again with rounding.
 * DDI 0487 FPUnpackBase(), FPRoundBase(), FPProcessNaN() and what stands around them.
 */
#ifndef SOFT_FP_FP_NUMBER_H
#define SOFT_FP_FP_NUMBER_H

#include "soft/fp/fp.h"

typedef unsigned __int128 uint128_t;

enum fp_type { FP_TYPE_ZERO, FP_TYPE_NONZERO, FP_TYPE_INFINITY, FP_TYPE_QNAN, FP_TYPE_SNAN };

/* (-1)^sign * sig * 2^(exp - 63); a nonzero number has bit 63 of `sig` set. */
struct fp_num {
    enum fp_type type;
    bool sign;
    int exp;
    uint64_t sig;
};

/* A product or sum on its way: value = sig * 2^(exp - 126), bit 126 or 127 the highest one. */
struct fp_wide {
    bool sign;
    int exp;
    uint128_t sig;
};

struct fp_format {
    uint8_t frac_bits, exp_bits;
    int min_exp; /* of normal numbers */
};

extern const struct fp_format fp_formats[3];

static inline const struct fp_format *fp_format(unsigned n)
{
    return &fp_formats[n / 32];
}

static inline void fp_raise(const struct fp_env *e, uint32_t flags)
{
    *e->fpsr |= flags;
}

static inline bool fp_is_nan(const struct fp_num *a)
{
    return a->type >= FP_TYPE_QNAN;
}

static inline bool fp_flushes(const struct fp_env *e, unsigned n)
{
    return e->fpcr & (n == 16 ? FPCR_FZ16 : FPCR_FZ);
}

/* FPZero(), FPInfinity(), FPMaxNormal(), FPDefaultNaN() */
uint64_t fp_zero(unsigned n, bool sign);
uint64_t fp_infinity(unsigned n, bool sign);
uint64_t fp_max_normal(unsigned n, bool sign);
uint64_t fp_default_nan(unsigned n);

/* Raise Invalid Operation and return the default NaN. */
uint64_t fp_invalid(const struct fp_env *e, unsigned n);

/* FPUnpack(), and FPUnpackCV() of format conversions: AHP counts, FZ16 does not. */
struct fp_num fp_unpack(const struct fp_env *e, unsigned n, uint64_t a);
struct fp_num fp_unpack_cv(const struct fp_env *e, unsigned n, uint64_t a);

/* FPProcessNaN(): the quiet NaN that `a` gives. */
uint64_t fp_process_nan(const struct fp_env *e, unsigned n, enum fp_type type, uint64_t a);

/* FPProcessNaNs(): whether an operand is a NaN, and then the result. */
bool fp_process_nans(const struct fp_env *e, unsigned n, const struct fp_num *na,
                     const struct fp_num *nb, uint64_t a, uint64_t b, uint64_t *result);

/* FPConvertNaN(): the payload of quiet or signalling NaN `a` in another width, quiet. */
uint64_t fp_convert_nan(unsigned to, unsigned from, uint64_t a);

/* FPRound() of (-1)^sign * sig * 2^(exp - 63), bit 63 of `sig` set, bit 0 also sticky for whatever
 * lies below; and FPRoundCV(). */
uint64_t fp_round(const struct fp_env *e, unsigned n, bool sign, int exp, uint64_t sig,
                  enum fp_rounding rounding);
uint64_t fp_round_cv(const struct fp_env *e, unsigned n, bool sign, int exp, uint64_t sig,
                     enum fp_rounding rounding);

/* Whether a magnitude with integer part parity `odd` and fraction `frac` / 2^64 rounds up. */
bool fp_rounds_up(enum fp_rounding rounding, bool sign, bool odd, uint64_t frac);

/* Whether a result too large becomes infinity, else the largest normal number. */
bool fp_overflows_to_infinity(enum fp_rounding rounding, bool sign);

/* a + b, rounded; an exact zero has the sign that the rounding mode asks for. */
uint64_t fp_round_sum(const struct fp_env *e, unsigned n, struct fp_wide a, struct fp_wide b,
                      enum fp_rounding rounding);

/* A nonzero number as fp_wide; the exact product of two nonzero numbers. */
struct fp_wide fp_widen(const struct fp_num *a);
struct fp_wide fp_product(const struct fp_num *a, const struct fp_num *b);

#endif
