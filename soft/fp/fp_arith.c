/*
 * Add, subtract, multiply, divide, square root and fused multiply-add.
 * DDI 0487 FPAdd(), FPSub(), FPMul(), FPMulX(), FPDiv(), FPSqrt(), FPMulAdd(), FPMulAddH().
 */
#include "soft/fp/fp_number.h"

#include "soft/fp/fp_host.h"

/* What the host cannot do stays out of the way of what it can. */
#define NOINLINE __attribute__((noinline))

/* Addends of which at least one is a number other than zero. */
static uint64_t fp_sum_numbers(const struct fp_env *e, unsigned n, const struct fp_num *a,
                               const struct fp_num *b)
{
    enum fp_rounding rounding = fp_rounding_mode(e);

    if (a->type == FP_TYPE_ZERO)
        return fp_round(e, n, b->sign, b->exp, b->sig, rounding);
    if (b->type == FP_TYPE_ZERO)
        return fp_round(e, n, a->sign, a->exp, a->sig, rounding);
    return fp_round_sum(e, n, fp_widen(a), fp_widen(b), rounding);
}

static NOINLINE uint64_t fp_add_signed(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b,
                                       bool negate_b)
{
    struct fp_num na = fp_unpack(e, n, a), nb = fp_unpack(e, n, b);
    uint64_t result;

    if (fp_process_nans(e, n, &na, &nb, a, b, &result))
        return result;
    nb.sign ^= negate_b;

    bool inf_a = na.type == FP_TYPE_INFINITY, inf_b = nb.type == FP_TYPE_INFINITY;
    if (inf_a && inf_b && na.sign != nb.sign)
        return fp_invalid(e, n);
    if (inf_a || inf_b)
        return fp_infinity(n, inf_a ? na.sign : nb.sign);
    if (na.type == FP_TYPE_ZERO && nb.type == FP_TYPE_ZERO)
        return fp_zero(n, na.sign == nb.sign ? na.sign : fp_rounding_mode(e) == FP_NEGINF);
    return fp_sum_numbers(e, n, &na, &nb);
}

uint64_t fp_add(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    uint64_t result;

    if (fp_host_binary(e, n, FP_HOST_ADD, a, b, &result))
        return result;
    return fp_add_signed(e, n, a, b, false);
}

uint64_t fp_sub(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    uint64_t result;

    if (fp_host_binary(e, n, FP_HOST_SUB, a, b, &result))
        return result;
    return fp_add_signed(e, n, a, b, true);
}

static uint64_t fp_round_product(const struct fp_env *e, unsigned n, const struct fp_num *a,
                                 const struct fp_num *b)
{
    uint128_t p = (uint128_t)a->sig * b->sig;
    int exp = a->exp + b->exp + 1;

    if (!(p >> 127)) {
        p <<= 1;
        exp--;
    }
    return fp_round(e, n, a->sign != b->sign, exp, (uint64_t)(p >> 64) | ((uint64_t)p != 0),
                    fp_rounding_mode(e));
}

/* `extended`: FMULX, where zero times infinity is two. */
static NOINLINE uint64_t fp_multiply(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b,
                                     bool extended)
{
    struct fp_num na = fp_unpack(e, n, a), nb = fp_unpack(e, n, b);
    uint64_t result;

    if (fp_process_nans(e, n, &na, &nb, a, b, &result))
        return result;

    bool inf = na.type == FP_TYPE_INFINITY || nb.type == FP_TYPE_INFINITY;
    bool zero = na.type == FP_TYPE_ZERO || nb.type == FP_TYPE_ZERO;
    bool sign = na.sign != nb.sign;
    if (inf && zero)
        return extended ? fp_zero(n, sign) | 1ull << (n - 2) : fp_invalid(e, n);
    if (inf)
        return fp_infinity(n, sign);
    if (zero)
        return fp_zero(n, sign);
    return fp_round_product(e, n, &na, &nb);
}

uint64_t fp_mul(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    uint64_t result;

    if (fp_host_binary(e, n, FP_HOST_MUL, a, b, &result))
        return result;
    return fp_multiply(e, n, a, b, false);
}

uint64_t fp_mulx(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    return fp_multiply(e, n, a, b, true);
}

static NOINLINE uint64_t fp_divide(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    uint64_t result;
    struct fp_num na = fp_unpack(e, n, a), nb = fp_unpack(e, n, b);
    if (fp_process_nans(e, n, &na, &nb, a, b, &result))
        return result;

    bool inf_a = na.type == FP_TYPE_INFINITY, inf_b = nb.type == FP_TYPE_INFINITY;
    bool zero_a = na.type == FP_TYPE_ZERO, zero_b = nb.type == FP_TYPE_ZERO;
    bool sign = na.sign != nb.sign;
    if ((inf_a && inf_b) || (zero_a && zero_b))
        return fp_invalid(e, n);
    if (inf_a || zero_b) {
        if (!inf_a)
            fp_raise(e, FPSR_DZC);
        return fp_infinity(n, sign);
    }
    if (zero_a || inf_b)
        return fp_zero(n, sign);

    int exp = na.exp - nb.exp;
    uint128_t num = (uint128_t)na.sig << 63;
    if (na.sig < nb.sig) {
        num <<= 1;
        exp--;
    }
    uint64_t q = (uint64_t)(num / nb.sig);
    uint128_t rem = num - (uint128_t)q * nb.sig;
    return fp_round(e, n, sign, exp, q | (rem != 0), fp_rounding_mode(e));
}

uint64_t fp_div(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b)
{
    uint64_t result;

    if (fp_host_binary(e, n, FP_HOST_DIV, a, b, &result))
        return result;
    return fp_divide(e, n, a, b);
}

/* Floor of the square root of `v`, bit by bit; `v` has bit 127 or 126 set. */
static uint64_t sqrt_floor(uint128_t v, bool *exact)
{
    uint64_t root = 0;

    for (int k = 63; k >= 0; k--) {
        uint64_t t = root | 1ull << k;
        if ((uint128_t)t * t <= v)
            root = t;
    }
    *exact = (uint128_t)root * root == v;
    return root;
}

uint64_t fp_sqrt(const struct fp_env *e, unsigned n, uint64_t a)
{
    uint64_t result;

    if (fp_host_sqrt(e, n, a, &result))
        return result;

    struct fp_num na = fp_unpack(e, n, a);
    if (fp_is_nan(&na))
        return fp_process_nan(e, n, na.type, a);
    if (na.type == FP_TYPE_ZERO)
        return fp_zero(n, na.sign);
    if (na.sign)
        return fp_invalid(e, n);
    if (na.type == FP_TYPE_INFINITY)
        return fp_infinity(n, false);

    /* sqrt(s * 2^(x - 63)) with x even: sqrt(s * 2^63) * 2^(x/2 - 63). */
    uint128_t v = (uint128_t)na.sig << 63;
    if (na.exp & 1) {
        v <<= 1;
        na.exp--;
    }
    bool exact;
    uint64_t root = sqrt_floor(v, &exact);
    return fp_round(e, n, false, na.exp / 2, root | !exact, fp_rounding_mode(e));
}

/* The rest of a fused multiply-add when no operand is a NaN. */
static uint64_t fp_muladd_numbers(const struct fp_env *e, unsigned n, const struct fp_num *addend,
                                  const struct fp_num *a, const struct fp_num *b)
{
    bool sign = a->sign != b->sign;
    bool inf_p = a->type == FP_TYPE_INFINITY || b->type == FP_TYPE_INFINITY;
    bool zero_p = a->type == FP_TYPE_ZERO || b->type == FP_TYPE_ZERO;
    bool inf_addend = addend->type == FP_TYPE_INFINITY;

    if ((inf_p && zero_p) || (inf_addend && inf_p && addend->sign != sign))
        return fp_invalid(e, n);
    if (inf_addend || inf_p)
        return fp_infinity(n, inf_addend ? addend->sign : sign);

    enum fp_rounding rounding = fp_rounding_mode(e);
    if (addend->type == FP_TYPE_ZERO) {
        if (zero_p)
            return fp_zero(n, addend->sign == sign ? sign : rounding == FP_NEGINF);
        return fp_round_product(e, n, a, b);
    }
    if (zero_p)
        return fp_round(e, n, addend->sign, addend->exp, addend->sig, rounding);
    return fp_round_sum(e, n, fp_widen(addend), fp_product(a, b), rounding);
}

static bool fp_is_zero_times_infinity(const struct fp_num *a, const struct fp_num *b)
{
    return (a->type == FP_TYPE_ZERO && b->type == FP_TYPE_INFINITY) ||
           (a->type == FP_TYPE_INFINITY && b->type == FP_TYPE_ZERO);
}

/* FPProcessNaNs3() and its sibling for half-precision factors (`m` bits wide). */
static bool fp_process_nans3(const struct fp_env *e, unsigned n, unsigned m,
                             const struct fp_num *num[3], const uint64_t value[3], uint64_t *result)
{
    for (enum fp_type type = FP_TYPE_SNAN; type >= FP_TYPE_QNAN; type--) {
        for (unsigned k = 0; k < 3; k++) {
            if (num[k]->type != type)
                continue;
            unsigned width = k == 0 ? n : m;
            uint64_t nan = fp_process_nan(e, width, type, value[k]);
            *result = width == n ? nan : fp_convert_nan(n, width, nan);
            return true;
        }
    }
    return false;
}

static NOINLINE uint64_t fp_muladd_mixed(const struct fp_env *e, unsigned n, unsigned m,
                                         uint64_t addend, uint64_t a, uint64_t b)
{
    struct fp_num nadd = fp_unpack(e, n, addend);
    struct fp_num na = fp_unpack(e, m, a), nb = fp_unpack(e, m, b);
    const struct fp_num *num[3] = { &nadd, &na, &nb };
    const uint64_t value[3] = { addend, a, b };
    uint64_t result;

    bool nan = fp_process_nans3(e, n, m, num, value, &result);
    if (nadd.type == FP_TYPE_QNAN && fp_is_zero_times_infinity(&na, &nb))
        return fp_invalid(e, n);
    return nan ? result : fp_muladd_numbers(e, n, &nadd, &na, &nb);
}

uint64_t fp_muladd(const struct fp_env *e, unsigned n, uint64_t addend, uint64_t a, uint64_t b)
{
    uint64_t result;

    if (fp_host_muladd(e, n, addend, a, b, &result))
        return result;
    return fp_muladd_mixed(e, n, n, addend, a, b);
}

uint64_t fp_muladd_half(const struct fp_env *e, uint64_t addend, uint64_t a, uint64_t b)
{
    return fp_muladd_mixed(e, 32, 16, addend, a, b);
}
