/*
 * Comparison, maximum and minimum.
 * DDI 0487 FPCompare(), FPMax(), FPMin(), FPMaxNum(), FPMinNum().
 */
#include "soft/fp/fp_number.h"

/* Order two operands that are no NaNs: negative, zero or positive like a - b. */
static int fp_order(const struct fp_num *a, const struct fp_num *b)
{
    if (a->type == FP_TYPE_ZERO && b->type == FP_TYPE_ZERO)
        return 0;
    if (a->type == FP_TYPE_ZERO)
        return b->sign ? 1 : -1;
    if (b->type == FP_TYPE_ZERO || a->sign != b->sign)
        return a->sign ? -1 : 1;

    int magnitude;
    if (a->type != b->type)
        magnitude = a->type == FP_TYPE_INFINITY ? 1 : -1;
    else if (a->exp != b->exp)
        magnitude = a->exp > b->exp ? 1 : -1;
    else
        magnitude = (a->sig > b->sig) - (a->sig < b->sig);
    return a->sign ? -magnitude : magnitude;
}

/* A number as an integer of the same order; false for NaNs, and for what may be flushed. */
static bool fp_key(const struct fp_env *e, unsigned n, uint64_t a, int64_t *key)
{
    uint64_t magnitude = fp_abs(n, a);

    *key = a == magnitude ? (int64_t)magnitude : -(int64_t)magnitude;
    return magnitude <= fp_infinity(n, false) && !fp_flushes(e, n);
}

enum fp_relation fp_compare(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b,
                            bool signal_nans)
{
    int64_t key_a, key_b;

    if (fp_key(e, n, a, &key_a) && fp_key(e, n, b, &key_b))
        return key_a < key_b ? FP_LESS : key_a > key_b ? FP_GREATER : FP_EQUAL;

    struct fp_num na = fp_unpack(e, n, a), nb = fp_unpack(e, n, b);
    if (fp_is_nan(&na) || fp_is_nan(&nb)) {
        if (signal_nans || na.type == FP_TYPE_SNAN || nb.type == FP_TYPE_SNAN)
            fp_raise(e, FPSR_IOC);
        return FP_UNORDERED;
    }
    int order = fp_order(&na, &nb);
    return order < 0 ? FP_LESS : order > 0 ? FP_GREATER : FP_EQUAL;
}

/* The larger of two, or the smaller; of two zeros the one whose sign fits. */
static uint64_t fp_select(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b, bool larger)
{
    int64_t key_a, key_b;

    if (fp_key(e, n, a, &key_a) && fp_key(e, n, b, &key_b) && key_a != key_b)
        return (key_a > key_b) == larger ? a : b;

    struct fp_num na = fp_unpack(e, n, a), nb = fp_unpack(e, n, b);
    uint64_t result;
    if (fp_process_nans(e, n, &na, &nb, a, b, &result))
        return result;

    int order = fp_order(&na, &nb);
    const struct fp_num *r = (order > 0) == larger ? &na : &nb;
    if (r->type == FP_TYPE_INFINITY)
        return fp_infinity(n, r->sign);
    if (r->type == FP_TYPE_ZERO)
        return fp_zero(n, order != 0 ? r->sign : larger ? na.sign && nb.sign : na.sign || nb.sign);
    return r == &na ? a : b;
}

/* A quiet NaN counts as missing when the other operand is a number. */
static uint64_t fp_select_num(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b,
                              bool larger)
{
    bool qnan_a = fp_unpack(e, n, a).type == FP_TYPE_QNAN;
    bool qnan_b = fp_unpack(e, n, b).type == FP_TYPE_QNAN;

    if (qnan_a && !qnan_b)
        a = fp_infinity(n, larger);
    else if (qnan_b && !qnan_a)
        b = fp_infinity(n, larger);
    return fp_select(e, n, a, b, larger);
}

uint64_t fp_max(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    return fp_select(e, n, a, b, true);
}

uint64_t fp_min(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    return fp_select(e, n, a, b, false);
}

uint64_t fp_maxnum(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    return fp_select_num(e, n, a, b, true);
}

uint64_t fp_minnum(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    return fp_select_num(e, n, a, b, false);
}
