/*
 * Advanced SIMD floating point with one operand: two-register miscellaneous in all precisions, and
 * conversions to and from fixed point (shift by immediate). DDI 0487 C4.1.96.
 */
#include "soft/interp/simd.h"

typedef uint64_t fp_lane(const struct fp_env *e, unsigned n, uint64_t a, unsigned fbits);

/* The half-precision class has bit 20 set. */
static unsigned misc_size(const struct insn *i)
{
    return bit(i->word, 20) ? 1 : bit(i->word, 22) ? 3 : 2;
}

ALWAYS_INLINE const struct insn *fp_map(struct cpu *c, const struct insn *i, unsigned size,
                                        unsigned fbits, fp_lane *op)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    const union vreg *n = &c->v[i->rn];
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < simd_elements(i, size); k++)
        simd_set(&r, size, k, op(&e, 8u << size, simd_get(n, size, k), fbits));
    c->v[i->rd] = r;
    return i + 1;
}

#define FP_LANE(name, expression)                                                                  \
    static uint64_t op_##name(const struct fp_env *e, unsigned n, uint64_t a, unsigned fbits)      \
    {                                                                                              \
        (void)e;                                                                                   \
        (void)fbits;                                                                               \
        return expression;                                                                         \
    }

#define FP_LANES(name, expression)                                                                 \
    FP_LANE(name, expression)                                                                      \
    INSN(name)                                                                                     \
    {                                                                                              \
        return fp_map(c, i, misc_size(i), 0, op_##name);                                           \
    }

/* The same with fixed point: immh says the size, the rest the bits of the fraction. */
#define FP_FIXED(name, op)                                                                         \
    INSN(name)                                                                                     \
    {                                                                                              \
        return fp_map(c, i, simd_imm_size(i), simd_imm_right(i), op);                              \
    }

FP_LANES(FABS_v, fp_abs(n, a))
FP_LANES(FNEG_v, fp_neg(n, a))
FP_LANES(FSQRT_v, fp_sqrt(e, n, a))
FP_LANES(FRECPE_v, fp_recip_estimate(e, n, a))
FP_LANES(FRSQRTE_v, fp_rsqrt_estimate(e, n, a))
FP_LANES(FRECPX_v, fp_recip_exponent(e, n, a))

FP_LANES(FRINTN_v, fp_round_int(e, n, a, FP_TIEEVEN, false))
FP_LANES(FRINTP_v, fp_round_int(e, n, a, FP_POSINF, false))
FP_LANES(FRINTM_v, fp_round_int(e, n, a, FP_NEGINF, false))
FP_LANES(FRINTZ_v, fp_round_int(e, n, a, FP_TOZERO, false))
FP_LANES(FRINTA_v, fp_round_int(e, n, a, FP_TIEAWAY, false))
FP_LANES(FRINTX_v, fp_round_int(e, n, a, fp_rounding_mode(e), true))
FP_LANES(FRINTI_v, fp_round_int(e, n, a, fp_rounding_mode(e), false))
FP_LANES(FRINT32Z_v, fp_round_int_n(e, n, a, FP_TOZERO, 32))
FP_LANES(FRINT32X_v, fp_round_int_n(e, n, a, fp_rounding_mode(e), 32))
FP_LANES(FRINT64Z_v, fp_round_int_n(e, n, a, FP_TOZERO, 64))
FP_LANES(FRINT64X_v, fp_round_int_n(e, n, a, fp_rounding_mode(e), 64))

FP_LANES(FCVTNS_v, fp_to_fixed(e, n, a, n, fbits, false, FP_TIEEVEN))
FP_LANES(FCVTNU_v, fp_to_fixed(e, n, a, n, fbits, true, FP_TIEEVEN))
FP_LANES(FCVTPS_v, fp_to_fixed(e, n, a, n, fbits, false, FP_POSINF))
FP_LANES(FCVTPU_v, fp_to_fixed(e, n, a, n, fbits, true, FP_POSINF))
FP_LANES(FCVTMS_v, fp_to_fixed(e, n, a, n, fbits, false, FP_NEGINF))
FP_LANES(FCVTMU_v, fp_to_fixed(e, n, a, n, fbits, true, FP_NEGINF))
FP_LANES(FCVTZS_v, fp_to_fixed(e, n, a, n, fbits, false, FP_TOZERO))
FP_LANES(FCVTZU_v, fp_to_fixed(e, n, a, n, fbits, true, FP_TOZERO))
FP_LANES(FCVTAS_v, fp_to_fixed(e, n, a, n, fbits, false, FP_TIEAWAY))
FP_LANES(FCVTAU_v, fp_to_fixed(e, n, a, n, fbits, true, FP_TIEAWAY))
FP_LANES(SCVTF_v,
         fp_from_fixed(e, n, (uint64_t)sign_extend(a, n), fbits, false, fp_rounding_mode(e)))
FP_LANES(UCVTF_v, fp_from_fixed(e, n, a, fbits, true, fp_rounding_mode(e)))

FP_FIXED(SCVTF_vfix, op_SCVTF_v)
FP_FIXED(UCVTF_vfix, op_UCVTF_v)
FP_FIXED(FCVTZS_vfix, op_FCVTZS_v)
FP_FIXED(FCVTZU_vfix, op_FCVTZU_v)

/* Comparisons with zero; only the one for equality is quiet. */
static uint64_t compare_zero(const struct fp_env *e, unsigned n, uint64_t a, enum fp_relation r,
                             enum fp_relation or_r)
{
    enum fp_relation relation = fp_compare(e, n, a, 0, r != FP_EQUAL || or_r != FP_EQUAL);

    return relation == r || relation == or_r ? ones(n) : 0;
}

FP_LANES(FCMGT_zero_v, compare_zero(e, n, a, FP_GREATER, FP_GREATER))
FP_LANES(FCMGE_zero_v, compare_zero(e, n, a, FP_GREATER, FP_EQUAL))
FP_LANES(FCMEQ_zero_v, compare_zero(e, n, a, FP_EQUAL, FP_EQUAL))
FP_LANES(FCMLE_zero_v, compare_zero(e, n, a, FP_LESS, FP_EQUAL))
FP_LANES(FCMLT_zero_v, compare_zero(e, n, a, FP_LESS, FP_LESS))

/* Precision: bit 22 says double and single, else single and half. */

static uint64_t narrow(struct cpu *c, unsigned esize, uint64_t a)
{
    const struct fp_env e = simd_fp_env(c);

    return fp_convert(&e, esize, 2 * esize, a, fp_rounding_mode(&e));
}

INSN(FCVTN_v)
{
    return simd_narrow(c, i, bit(i->word, 22) ? 2 : 1, narrow);
}

static uint64_t narrow_to_odd(struct cpu *c, unsigned esize, uint64_t a)
{
    const struct fp_env e = simd_fp_env(c);

    return fp_convert(&e, esize, 2 * esize, a, FP_ODD);
}

INSN(FCVTXN_v)
{
    return simd_narrow(c, i, 2, narrow_to_odd);
}

INSN(FCVTL_v)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    const union vreg *n = &c->v[i->rn];
    unsigned size = bit(i->word, 22) ? 2 : 1, elements = 8u >> size;
    union vreg r;

    for (unsigned k = 0; k < elements; k++)
        simd_set(&r, size + 1, k,
                 fp_convert(&e, 16u << size, 8u << size,
                            simd_get(n, size, k + (simd_q(i) ? elements : 0)),
                            fp_rounding_mode(&e)));
    c->v[i->rd] = r;
    return i + 1;
}
