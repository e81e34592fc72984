/*
 * Scalar floating-point data processing, compare, conditional compare and select.
 * DDI 0487 C4.1.96, "Floating-point data-processing (1 source)" and the classes after it.
 */
#include "soft/interp/simd.h"

/* Width of the operands, from the field `type`. */
static unsigned fp_width(const struct insn *i)
{
    static const uint8_t width[4] = { 32, 64, 0, 16 };

    return width[i->word >> 22 & 3];
}

static uint64_t fp_operand(const struct cpu *c, unsigned reg, unsigned n)
{
    return c->v[reg].d[0] & ones(n);
}

/* Two sources. */
#define FP_BINARY(name, expression)                                                                \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const struct fp_env e = simd_fp_env(c);                                                    \
        unsigned n = fp_width(i);                                                                  \
        uint64_t a = fp_operand(c, i->rn, n), b = fp_operand(c, i->rm, n);                         \
        return simd_write_fp(c, i, expression);                                                    \
    }

FP_BINARY(FADD, fp_add(&e, n, a, b))
FP_BINARY(FSUB, fp_sub(&e, n, a, b))
FP_BINARY(FMUL, fp_mul(&e, n, a, b))
FP_BINARY(FNMUL, fp_neg(n, fp_mul(&e, n, a, b)))
FP_BINARY(FDIV, fp_div(&e, n, a, b))
FP_BINARY(FMAX, fp_max(&e, n, a, b))
FP_BINARY(FMIN, fp_min(&e, n, a, b))
FP_BINARY(FMAXNM, fp_maxnum(&e, n, a, b))
FP_BINARY(FMINNM, fp_minnum(&e, n, a, b))

/* One source. */
#define FP_UNARY(name, expression)                                                                 \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const struct fp_env e = simd_fp_env(c);                                                    \
        unsigned n = fp_width(i);                                                                  \
        uint64_t a = fp_operand(c, i->rn, n);                                                      \
        return simd_write_fp(c, i, expression);                                                    \
    }

FP_UNARY(FSQRT, fp_sqrt(&e, n, a))
FP_UNARY(FRINTN, fp_round_int(&e, n, a, FP_TIEEVEN, false))
FP_UNARY(FRINTP, fp_round_int(&e, n, a, FP_POSINF, false))
FP_UNARY(FRINTM, fp_round_int(&e, n, a, FP_NEGINF, false))
FP_UNARY(FRINTZ, fp_round_int(&e, n, a, FP_TOZERO, false))
FP_UNARY(FRINTA, fp_round_int(&e, n, a, FP_TIEAWAY, false))
FP_UNARY(FRINTX, fp_round_int(&e, n, a, fp_rounding_mode(&e), true))
FP_UNARY(FRINTI, fp_round_int(&e, n, a, fp_rounding_mode(&e), false))
FP_UNARY(FRINT32Z, fp_round_int_n(&e, n, a, FP_TOZERO, 32))
FP_UNARY(FRINT32X, fp_round_int_n(&e, n, a, fp_rounding_mode(&e), 32))
FP_UNARY(FRINT64Z, fp_round_int_n(&e, n, a, FP_TOZERO, 64))
FP_UNARY(FRINT64X, fp_round_int_n(&e, n, a, fp_rounding_mode(&e), 64))

/* One source, as bits. */
#define FP_BITS(name, expression)                                                                  \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        unsigned n = fp_width(i);                                                                  \
        uint64_t a = fp_operand(c, i->rn, n);                                                      \
        return simd_write_scalar(c, i, expression);                                                \
    }

FP_BITS(FMOV, a)
FP_BITS(FABS, fp_abs(n, a))
FP_BITS(FNEG, fp_neg(n, a))

/* addend + a * b. */
#define FP_FUSED(name, expression)                                                                 \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const struct fp_env e = simd_fp_env(c);                                                    \
        unsigned n = fp_width(i);                                                                  \
        uint64_t a = fp_operand(c, i->rn, n), b = fp_operand(c, i->rm, n);                         \
        uint64_t addend = fp_operand(c, i->ra, n);                                                 \
        return simd_write_fp(c, i, expression);                                                    \
    }

/* Format @raw puts bits 14:10 into ra. */
FP_FUSED(FMADD, fp_muladd(&e, n, addend, a, b))
FP_FUSED(FMSUB, fp_muladd(&e, n, addend, fp_neg(n, a), b))
FP_FUSED(FNMADD, fp_muladd(&e, n, fp_neg(n, addend), fp_neg(n, a), b))
FP_FUSED(FNMSUB, fp_muladd(&e, n, fp_neg(n, addend), a, b))

/* FCMP and FCMPE (bit 4), with a register or with zero (bit 3). */
INSN(FCMP)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    unsigned n = fp_width(i);
    uint64_t b = bit(i->word, 3) ? 0 : fp_operand(c, i->rm, n);

    c->nzcv = (uint32_t)fp_compare(&e, n, fp_operand(c, i->rn, n), b, bit(i->word, 4)) << 28;
    return i + 1;
}

INSN(FCCMP)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    unsigned n = fp_width(i);

    if (cpu_condition(c->nzcv, i->word >> 12 & 15))
        c->nzcv = (uint32_t)fp_compare(&e, n, fp_operand(c, i->rn, n), fp_operand(c, i->rm, n),
                                       bit(i->word, 4))
                  << 28;
    else
        c->nzcv = i->word << 28;
    return i + 1;
}

INSN(FCSEL)
{
    fp_check(c, i);
    bool holds = cpu_condition(c->nzcv, i->word >> 12 & 15);
    return simd_write_scalar(c, i, fp_operand(c, holds ? i->rn : i->rm, fp_width(i)));
}
