/*
 * Advanced SIMD across lanes, and scalar pairwise. DDI 0487 C4.1.96, Reduce().
 */
#include "soft/interp/simd.h"

/* The sum of all elements, in 64 bits. */
ALWAYS_INLINE uint64_t sum_elements(unsigned size, const union vreg *n, unsigned elements,
                                    bool is_signed)
{
    uint64_t sum = 0;

    for (unsigned k = 0; k < elements; k++) {
        uint64_t a = simd_get(n, size, k);
        sum += is_signed ? (uint64_t)simd_signed(8u << size, a) : a;
    }
    return sum;
}

static uint64_t sum(const struct cpu *c, const struct insn *i, bool is_signed)
{
    unsigned size = simd_size(i);

    SIMD_BY_SIZE(size, sum_elements, &c->v[i->rn], simd_elements(i, size), is_signed);
}

INSN(ADDV)
{
    fp_check(c, i);
    return simd_write_scalar(c, i, sum(c, i, false) & ones(8u << simd_size(i)));
}

/* The sum is twice as wide as the elements. */
INSN(SADDLV)
{
    fp_check(c, i);
    return simd_write_scalar(c, i, sum(c, i, true) & ones(16u << simd_size(i)));
}

INSN(UADDLV)
{
    fp_check(c, i);
    return simd_write_scalar(c, i, sum(c, i, false));
}

ALWAYS_INLINE const struct insn *reduce_elements(unsigned size, struct cpu *c, const struct insn *i,
                                                 bool is_signed, bool larger)
{
    unsigned esize = 8u << size;
    /* Flipping the sign bit orders signed numbers like unsigned ones. */
    uint64_t flip = is_signed ? 1ull << (esize - 1) : 0;
    uint64_t best = simd_get(&c->v[i->rn], size, 0) ^ flip;

    for (unsigned k = 1; k < simd_elements(i, size); k++) {
        uint64_t a = simd_get(&c->v[i->rn], size, k) ^ flip;
        if (larger ? a > best : a < best)
            best = a;
    }
    return simd_write_scalar(c, i, best ^ flip);
}

ALWAYS_INLINE const struct insn *reduce(struct cpu *c, const struct insn *i, bool is_signed,
                                        bool larger)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_size(i), reduce_elements, c, i, is_signed, larger);
}

INSN(SMAXV)
{
    return reduce(c, i, true, true);
}

INSN(SMINV)
{
    return reduce(c, i, true, false);
}

INSN(UMAXV)
{
    return reduce(c, i, false, true);
}

INSN(UMINV)
{
    return reduce(c, i, false, false);
}

INSN(ADDP_scalar)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    return simd_write_scalar(c, i, n->d[0] + n->d[1]);
}

typedef uint64_t fp_binary(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);

/* Reduce(): halves are reduced first, then combined, so the NaN and rounding order is fixed. */
static uint64_t fp_reduce(const struct fp_env *e, fp_binary *op, const union vreg *n, unsigned size,
                          unsigned first, unsigned count)
{
    if (count == 1)
        return simd_get(n, size, first);
    uint64_t low = fp_reduce(e, op, n, size, first, count / 2);
    uint64_t high = fp_reduce(e, op, n, size, first + count / 2, count / 2);
    return op(e, 8u << size, low, high);
}

/* FMAXV and its kind: half precision, or single precision with U set. */
static const struct insn *fp_across(struct cpu *c, const struct insn *i, fp_binary *op)
{
    fp_check(c, i);
    struct fp_env e = simd_fp_env(c);
    unsigned size = simd_u(i) ? 2 : 1;
    return simd_write_fp(c, i, fp_reduce(&e, op, &c->v[i->rn], size, 0, simd_elements(i, size)));
}

INSN(FMAXV)
{
    return fp_across(c, i, fp_max);
}

INSN(FMINV)
{
    return fp_across(c, i, fp_min);
}

INSN(FMAXNMV)
{
    return fp_across(c, i, fp_maxnum);
}

INSN(FMINNMV)
{
    return fp_across(c, i, fp_minnum);
}

/* Scalar pairwise: half precision with U clear, else by bit 22. */
static const struct insn *fp_pair(struct cpu *c, const struct insn *i, fp_binary *op)
{
    fp_check(c, i);
    struct fp_env e = simd_fp_env(c);
    unsigned size = !simd_u(i) ? 1 : bit(i->word, 22) ? 3 : 2;
    return simd_write_fp(c, i, fp_reduce(&e, op, &c->v[i->rn], size, 0, 2));
}

INSN(FADDP_scalar)
{
    return fp_pair(c, i, fp_add);
}

INSN(FMAXP_scalar)
{
    return fp_pair(c, i, fp_max);
}

INSN(FMINP_scalar)
{
    return fp_pair(c, i, fp_min);
}

INSN(FMAXNMP_scalar)
{
    return fp_pair(c, i, fp_maxnum);
}

INSN(FMINNMP_scalar)
{
    return fp_pair(c, i, fp_minnum);
}
