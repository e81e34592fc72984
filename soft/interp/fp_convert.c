/*
 * Scalar conversions: between precisions, to and from general registers, FMOV to and from them.
 * DDI 0487 C4.1.96, "Conversion between floating-point and integer" and "... fixed-point".
 */
#include "soft/interp/simd.h"

static const uint8_t type_width[4] = { 32, 64, 0, 16 };

static unsigned fp_width(const struct insn *i)
{
    return type_width[i->word >> 22 & 3];
}

static unsigned general_width(const struct insn *i)
{
    return bit(i->word, 31) ? 64 : 32;
}

static uint64_t *general_destination(struct cpu *c, const struct insn *i)
{
    return &c->x[i->rd == 31 ? REG_NONE : i->rd];
}

static uint64_t general_source(const struct cpu *c, const struct insn *i)
{
    return c->x[i->rn == 31 ? REG_ZR : i->rn];
}

/* Bits of the fraction: 0 in the integer forms, which have bit 21 set. */
static unsigned fraction_bits(const struct insn *i)
{
    return bit(i->word, 21) ? 0 : 64 - (unsigned)bits(i->word, 15, 10);
}

INSN(FCVT)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    unsigned from = fp_width(i), to = type_width[i->word >> 15 & 3];
    return simd_write_fp(
        c, i, fp_convert(&e, to, from, c->v[i->rn].d[0] & ones(from), fp_rounding_mode(&e)));
}

/* rmode is the rounding, but bit 18 says ties away; bit 16 says unsigned. */
INSN(FCVT_to_general)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    unsigned n = fp_width(i);
    enum fp_rounding rounding =
        bit(i->word, 18) ? FP_TIEAWAY : (enum fp_rounding)(i->word >> 19 & 3);

    *general_destination(c, i) = fp_to_fixed(&e, n, c->v[i->rn].d[0] & ones(n), general_width(i),
                                             fraction_bits(i), bit(i->word, 16), rounding);
    return i + 1;
}

INSN(CVTF_general)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    bool is_unsigned = bit(i->word, 16);
    uint64_t value = general_source(c, i);

    if (general_width(i) == 32)
        value = is_unsigned ? (uint32_t)value : (uint64_t)(int32_t)value;
    return simd_write_fp(
        c, i,
        fp_from_fixed(&e, fp_width(i), value, fraction_bits(i), is_unsigned, fp_rounding_mode(&e)));
}

INSN(FMOV_to_general)
{
    fp_check(c, i);
    *general_destination(c, i) = c->v[i->rn].d[0] & ones(fp_width(i));
    return interp_next(c, i);
}

INSN(FMOV_from_general)
{
    fp_check(c, i);
    return simd_write_scalar(c, i, general_source(c, i) & ones(fp_width(i)));
}

INSN(FMOV_to_x_high)
{
    fp_check(c, i);
    *general_destination(c, i) = c->v[i->rn].d[1];
    return interp_next(c, i);
}

INSN(FMOV_from_x_high)
{
    fp_check(c, i);
    c->v[i->rd].d[1] = general_source(c, i);
    return interp_next(c, i);
}

INSN(FJCVTZS)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    bool exact;

    *general_destination(c, i) = fp_to_int32_js(&e, c->v[i->rn].d[0], &exact);
    c->nzcv = exact ? PSTATE_Z : 0;
    return i + 1;
}
