/*
 * Private to soft/fp: the same results from the host's FPU, where that is provable.
 *
 * Under round to nearest without flushing, a host operation on zeros and normal numbers whose
 * result is a normal number above the smallest one (so neither tiny before rounding nor
 * overflowed) has the Arm result, and Inexact is the only flag it can raise. When FPSR.IXC is set
 * already, that is all there is to know. Else the rounding error is computed, which is exact for
 * these operations away from the underflow range: zero means no flag. Whatever does not fit takes
 * the integer path. Relies on IEEE 754 hosts in the default rounding mode without excess precision.
 */
#ifndef SOFT_FP_FP_HOST_H
#define SOFT_FP_FP_HOST_H

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/compiler.h"
#include "soft/fp/fp_number.h"

_Static_assert(FLT_EVAL_METHOD == 0, "the host must round each operation to its type");

/* The operation and the width are constants where these are called. */
#define FP_HOST_INLINE static inline __attribute__((always_inline))

enum fp_host_op { FP_HOST_ADD, FP_HOST_SUB, FP_HOST_MUL, FP_HOST_DIV };

/* Errors of products and quotients above this magnitude do not underflow. */
#define FP_HOST_SAFE 0x1p-900

static inline bool fp_host_usable(const struct fp_env *e, unsigned n)
{
    return n != 16 && !(e->fpcr & (FPCR_RMODE | FPCR_FZ)) && !e->no_host;
}

static inline double fp_host_f64(uint64_t a)
{
    double d;
    memcpy(&d, &a, sizeof d);
    return d;
}

static inline float fp_host_f32(uint64_t a)
{
    uint32_t w = (uint32_t)a;
    float f;
    memcpy(&f, &w, sizeof f);
    return f;
}

static inline uint64_t fp_host_bits64(double d)
{
    uint64_t a;
    memcpy(&a, &d, sizeof a);
    return a;
}

static inline uint64_t fp_host_bits32(float f)
{
    uint32_t a;
    memcpy(&a, &f, sizeof a);
    return a;
}

/* Zero or normal. */
static inline bool fp_host_plain64(uint64_t a)
{
    return (((a >> 52) + 1) & 0x7ff) > 1 || a << 1 == 0;
}

static inline bool fp_host_plain32(uint64_t a)
{
    return (((a >> 23) + 1) & 0xff) > 1 || (uint32_t)a << 1 == 0;
}

/* Whether s, which is a + b rounded, is the exact sum (Knuth's TwoSum). */
static inline bool fp_host_sum_exact64(double a, double b, double s)
{
    double bb = s - a;
    return a - (s - bb) + (b - bb) == 0;
}

static inline bool fp_host_sum_exact32(float a, float b, float s)
{
    float bb = s - a;
    return a - (s - bb) + (b - bb) == 0;
}

static inline bool fp_host_exact64(enum fp_host_op op, double a, double b, double r)
{
    switch (op) {
    case FP_HOST_ADD:
        return fp_host_sum_exact64(a, b, r);
    case FP_HOST_SUB:
        return fp_host_sum_exact64(a, -b, r);
    case FP_HOST_MUL:
        return fabs(r) > FP_HOST_SAFE && fma(a, b, -r) == 0;
    default:
        return fabs(a) > FP_HOST_SAFE && fma(-r, b, a) == 0;
    }
}

static inline bool fp_host_exact32(enum fp_host_op op, float a, float b, float r)
{
    switch (op) {
    case FP_HOST_ADD:
        return fp_host_sum_exact32(a, b, r);
    case FP_HOST_SUB:
        return fp_host_sum_exact32(a, -b, r);
    case FP_HOST_MUL:
        return (double)a * b == r;
    default:
        return (double)r * b == a;
    }
}

/* A sum, or a product with zero, that is zero without rounding. */
static inline bool fp_host_exact_zero(enum fp_host_op op, double a, double b, double r)
{
    return r == 0 && (op == FP_HOST_ADD || op == FP_HOST_SUB || a == 0 || b == 0);
}

FP_HOST_INLINE bool fp_host_binary64(const struct fp_env *e, enum fp_host_op op, uint64_t a,
                                     uint64_t b, uint64_t *result)
{
    if (UNLIKELY(!fp_host_plain64(a) || !fp_host_plain64(b)))
        return false;
    double x = fp_host_f64(a), y = fp_host_f64(b), r;
    switch (op) {
    case FP_HOST_ADD:
        r = x + y;
        break;
    case FP_HOST_SUB:
        r = x - y;
        break;
    case FP_HOST_MUL:
        r = x * y;
        break;
    default:
        if (y == 0)
            return false;
        r = x / y;
        break;
    }
    if (UNLIKELY(!(fabs(r) > DBL_MIN && fabs(r) <= DBL_MAX)) && !fp_host_exact_zero(op, x, y, r))
        return false;
    if (UNLIKELY(!(*e->fpsr & FPSR_IXC)) && !fp_host_exact64(op, x, y, r))
        return false;
    *result = fp_host_bits64(r);
    return true;
}

FP_HOST_INLINE bool fp_host_binary32(const struct fp_env *e, enum fp_host_op op, uint64_t a,
                                     uint64_t b, uint64_t *result)
{
    if (UNLIKELY(!fp_host_plain32(a) || !fp_host_plain32(b)))
        return false;
    float x = fp_host_f32(a), y = fp_host_f32(b), r;
    switch (op) {
    case FP_HOST_ADD:
        r = x + y;
        break;
    case FP_HOST_SUB:
        r = x - y;
        break;
    case FP_HOST_MUL:
        r = x * y;
        break;
    default:
        if (y == 0)
            return false;
        r = x / y;
        break;
    }
    if (UNLIKELY(!(fabsf(r) > FLT_MIN && fabsf(r) <= FLT_MAX)) && !fp_host_exact_zero(op, x, y, r))
        return false;
    if (UNLIKELY(!(*e->fpsr & FPSR_IXC)) && !fp_host_exact32(op, x, y, r))
        return false;
    *result = fp_host_bits32(r);
    return true;
}

/* Each of these returns whether it found the result. */
FP_HOST_INLINE bool fp_host_binary(const struct fp_env *e, unsigned n, enum fp_host_op op,
                                   uint64_t a, uint64_t b, uint64_t *result)
{
    if (!fp_host_usable(e, n))
        return false;
    return n == 64 ? fp_host_binary64(e, op, a, b, result) : fp_host_binary32(e, op, a, b, result);
}

FP_HOST_INLINE bool fp_host_sqrt(const struct fp_env *e, unsigned n, uint64_t a, uint64_t *result)
{
    if (!fp_host_usable(e, n))
        return false;
    bool inexact_known = *e->fpsr & FPSR_IXC;
    if (n == 64) {
        double x = fp_host_f64(a);
        if (!(x > FP_HOST_SAFE && x <= DBL_MAX))
            return false;
        double r = sqrt(x);
        *result = fp_host_bits64(r);
        return inexact_known || fma(-r, r, x) == 0;
    }
    float x = fp_host_f32(a);
    if (!(x >= FLT_MIN && x <= FLT_MAX))
        return false;
    float r = sqrtf(x);
    *result = fp_host_bits32(r);
    return inexact_known || (double)r * r == x;
}

FP_HOST_INLINE bool fp_host_muladd(const struct fp_env *e, unsigned n, uint64_t addend, uint64_t a,
                                   uint64_t b, uint64_t *result)
{
    if (!fp_host_usable(e, n) || !(*e->fpsr & FPSR_IXC))
        return false;
    if (n == 64) {
        if (!fp_host_plain64(addend) || !fp_host_plain64(a) || !fp_host_plain64(b))
            return false;
        double r = fma(fp_host_f64(a), fp_host_f64(b), fp_host_f64(addend));
        *result = fp_host_bits64(r);
        return (fabs(r) > DBL_MIN && fabs(r) <= DBL_MAX) ||
               (r == 0 && (a << 1 == 0 || b << 1 == 0));
    }
    if (!fp_host_plain32(addend) || !fp_host_plain32(a) || !fp_host_plain32(b))
        return false;
    float r = fmaf(fp_host_f32(a), fp_host_f32(b), fp_host_f32(addend));
    *result = fp_host_bits32(r);
    return (fabsf(r) > FLT_MIN && fabsf(r) <= FLT_MAX) ||
           (r == 0 && ((uint32_t)a << 1 == 0 || (uint32_t)b << 1 == 0));
}

/* Truncation to an integer of `width` bits, when it is in range of int64_t and neither zero nor
 * subnormal; in every mode of FPCR. */
static inline bool fp_host_truncate(const struct fp_env *e, unsigned n, uint64_t a, unsigned width,
                                    bool is_unsigned, uint64_t *result)
{
    if (n == 16 || width < 32 || e->no_host)
        return false;
    double x = n == 64 ? fp_host_f64(a) : fp_host_f32(a);
    double limit = width == 32 ? 0x1p31 : 0x1p62;
    if (!(fabs(x) >= 1 && fabs(x) < limit) || (is_unsigned && x < 0))
        return false;
    int64_t r = (int64_t)x;
    if ((double)r != x)
        *e->fpsr |= FPSR_IXC;
    *result = width == 32 ? (uint32_t)r : (uint64_t)r;
    return true;
}

/* Integers that the format has exactly, in every mode of FPCR. */
static inline bool fp_host_from_integer(const struct fp_env *e, unsigned n, uint64_t value,
                                        bool is_unsigned, uint64_t *result)
{
    uint64_t limit = 1ull << (n == 64 ? 53 : 24);

    if (n == 16 || e->no_host || (is_unsigned ? value > limit : value + limit > 2 * limit))
        return false;
    *result =
        n == 64 ? fp_host_bits64((double)(int64_t)value) : fp_host_bits32((float)(int64_t)value);
    return true;
}

static inline bool fp_host_convert(const struct fp_env *e, unsigned to, unsigned from, uint64_t a,
                                   enum fp_rounding rounding, uint64_t *result)
{
    if (rounding != FP_TIEEVEN || (e->fpcr & FPCR_FZ) || e->no_host)
        return false;
    if (to == 64 && from == 32) {
        *result = fp_host_bits64(fp_host_f32(a));
        return fp_host_plain32(a);
    }
    if (to == 32 && from == 64) {
        double x = fp_host_f64(a);
        float r = (float)x;
        *result = fp_host_bits32(r);
        return fabsf(r) > FLT_MIN && fabsf(r) <= FLT_MAX && ((*e->fpsr & FPSR_IXC) || r == x);
    }
    return false;
}

#endif
