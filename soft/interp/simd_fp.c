/*
 * Advanced SIMD floating point with two operands: three same in single, double and half precision,
 * pairwise, by element, complex numbers (FCADD, FCMLA) and FMLAL. DDI 0487 C4.1.96.
 *
 * The scalar forms have bit 28 set and run the same functions.
 */
#include "soft/interp/simd.h"

typedef uint64_t fp_lane(const struct fp_env *e, unsigned n, uint64_t acc, uint64_t a, uint64_t b);

/* The half-precision class of three same has bit 21 clear. */
static unsigned same_size(const struct insn *i)
{
    return !bit(i->word, 21) ? 1 : bit(i->word, 22) ? 3 : 2;
}

ALWAYS_INLINE const struct insn *fp_map(struct cpu *c, const struct insn *i, unsigned size,
                                        const union vreg *m, fp_lane *op)
{
    const struct fp_env e = simd_fp_env(c);
    const union vreg *n = &c->v[i->rn], *d = &c->v[i->rd];
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < simd_elements(i, size); k++)
        simd_set(
            &r, size, k,
            op(&e, 8u << size, simd_get(d, size, k), simd_get(n, size, k), simd_get(m, size, k)));
    c->v[i->rd] = r;
    return i + 1;
}

#define FP_LANE(name, expression)                                                                  \
    static uint64_t op_##name(const struct fp_env *e, unsigned n, uint64_t acc, uint64_t a,        \
                              uint64_t b)                                                          \
    {                                                                                              \
        (void)acc;                                                                                 \
        return expression;                                                                         \
    }

#define FP_LANES(name, expression)                                                                 \
    FP_LANE(name, expression)                                                                      \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        return fp_map(c, i, same_size(i), &c->v[i->rm], op_##name);                                \
    }

FP_LANES(FADD_v, fp_add(e, n, a, b))
FP_LANES(FSUB_v, fp_sub(e, n, a, b))
FP_LANES(FMUL_v, fp_mul(e, n, a, b))
FP_LANES(FMULX_v, fp_mulx(e, n, a, b))
FP_LANES(FDIV_v, fp_div(e, n, a, b))
FP_LANES(FMLA_v, fp_muladd(e, n, acc, a, b))
FP_LANES(FMLS_v, fp_muladd(e, n, acc, fp_neg(n, a), b))
FP_LANES(FABD_v, fp_abs(n, fp_sub(e, n, a, b)))
FP_LANES(FMAX_v, fp_max(e, n, a, b))
FP_LANES(FMIN_v, fp_min(e, n, a, b))
FP_LANES(FMAXNM_v, fp_maxnum(e, n, a, b))
FP_LANES(FMINNM_v, fp_minnum(e, n, a, b))
FP_LANES(FRECPS_v, fp_recip_step(e, n, a, b))
FP_LANES(FRSQRTS_v, fp_rsqrt_step(e, n, a, b))

/* Comparisons give all ones or zero; only the one for equality is quiet. */
static uint64_t mask(unsigned n, bool holds)
{
    return holds ? ones(n) : 0;
}

/* FP_GREATER and FP_EQUAL have the C flag, as FP_UNORDERED has; so compare by name. */
static bool greater_or_equal(enum fp_relation r)
{
    return r == FP_GREATER || r == FP_EQUAL;
}

FP_LANES(FCMEQ_v, mask(n, fp_compare(e, n, a, b, false) == FP_EQUAL))
FP_LANES(FCMGE_v, mask(n, greater_or_equal(fp_compare(e, n, a, b, true))))
FP_LANES(FCMGT_v, mask(n, fp_compare(e, n, a, b, true) == FP_GREATER))
FP_LANES(FACGE_v, mask(n, greater_or_equal(fp_compare(e, n, fp_abs(n, a), fp_abs(n, b), true))))
FP_LANES(FACGT_v, mask(n, fp_compare(e, n, fp_abs(n, a), fp_abs(n, b), true) == FP_GREATER))

/* Pairs of adjacent elements of n, then of m. */
typedef uint64_t fp_binary(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);

static const struct insn *fp_pairs(struct cpu *c, const struct insn *i, fp_binary *op)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    unsigned size = same_size(i), half = simd_elements(i, size) / 2;
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < 2 * half; k++) {
        const union vreg *v = &c->v[k < half ? i->rn : i->rm];
        unsigned at = 2 * (k % half);
        simd_set(&r, size, k, op(&e, 8u << size, simd_get(v, size, at), simd_get(v, size, at + 1)));
    }
    c->v[i->rd] = r;
    return i + 1;
}

INSN(FADDP_v)
{
    return fp_pairs(c, i, fp_add);
}

INSN(FMAXP_v)
{
    return fp_pairs(c, i, fp_max);
}

INSN(FMINP_v)
{
    return fp_pairs(c, i, fp_min);
}

INSN(FMAXNMP_v)
{
    return fp_pairs(c, i, fp_maxnum);
}

INSN(FMINNMP_v)
{
    return fp_pairs(c, i, fp_minnum);
}

/* By element: size 0 says half precision, 2 single, 3 double. */
#define FP_BY_ELEMENT(name, op)                                                                    \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        unsigned size = simd_size(i) ? simd_size(i) : 1;                                           \
        const union vreg m = simd_by_element(c, i, size);                                          \
        return fp_map(c, i, size, &m, op);                                                         \
    }

FP_BY_ELEMENT(FMUL_e, op_FMUL_v)
FP_BY_ELEMENT(FMULX_e, op_FMULX_v)
FP_BY_ELEMENT(FMLA_e, op_FMLA_v)
FP_BY_ELEMENT(FMLS_e, op_FMLS_v)

/* FMLAL and FMLSL: single-precision sums of products of halves. U takes the upper halves. */
static const struct insn *fp_muladd_long(struct cpu *c, const struct insn *i, const union vreg *m,
                                         bool subtract)
{
    const struct fp_env e = simd_fp_env(c);
    const union vreg *n = &c->v[i->rn], *d = &c->v[i->rd];
    unsigned elements = simd_elements(i, 2), first = simd_u(i) ? elements : 0;
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < elements; k++) {
        uint64_t a = n->h[first + k];
        r.s[k] =
            (uint32_t)fp_muladd_half(&e, d->s[k], subtract ? fp_neg(16, a) : a, m->h[first + k]);
    }
    c->v[i->rd] = r;
    return i + 1;
}

INSN(FMLAL_v)
{
    fp_check(c, i);
    return fp_muladd_long(c, i, &c->v[i->rm], bit(i->word, 23));
}

INSN(FMLAL_e)
{
    fp_check(c, i);
    const union vreg m = simd_by_element(c, i, 1);
    return fp_muladd_long(c, i, &m, bit(i->word, 14));
}

/* Complex numbers are pairs, the real part first; `rot` counts quarter turns of the second one. */

INSN(FCADD_v)
{
    fp_check(c, i);
    const struct fp_env e = simd_fp_env(c);
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm];
    unsigned size = simd_size(i), esize = 8u << size;
    bool three_quarters = bit(i->word, 12);
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < simd_elements(i, size); k += 2) {
        uint64_t real = simd_get(m, size, k + 1), imaginary = simd_get(m, size, k);
        if (three_quarters)
            imaginary = fp_neg(esize, imaginary);
        else
            real = fp_neg(esize, real);
        simd_set(&r, size, k, fp_add(&e, esize, simd_get(n, size, k), real));
        simd_set(&r, size, k + 1, fp_add(&e, esize, simd_get(n, size, k + 1), imaginary));
    }
    c->v[i->rd] = r;
    return i + 1;
}

/* `m` holds a complex number for each pair; half of the product is added. */
static const struct insn *complex_muladd(struct cpu *c, const struct insn *i, const union vreg *m,
                                         unsigned rot)
{
    const struct fp_env e = simd_fp_env(c);
    const union vreg *n = &c->v[i->rn], *d = &c->v[i->rd];
    unsigned size = simd_size(i), esize = 8u << size;
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < simd_elements(i, size); k += 2) {
        uint64_t a = simd_get(n, size, k + (rot & 1));
        uint64_t real = simd_get(m, size, k + (rot & 1));
        uint64_t imaginary = simd_get(m, size, k + !(rot & 1));
        if (rot == 1 || rot == 2)
            real = fp_neg(esize, real);
        if (rot >= 2)
            imaginary = fp_neg(esize, imaginary);
        simd_set(&r, size, k, fp_muladd(&e, esize, simd_get(d, size, k), a, real));
        simd_set(&r, size, k + 1, fp_muladd(&e, esize, simd_get(d, size, k + 1), a, imaginary));
    }
    c->v[i->rd] = r;
    return i + 1;
}

INSN(FCMLA_v)
{
    fp_check(c, i);
    return complex_muladd(c, i, &c->v[i->rm], (unsigned)bits(i->word, 12, 11));
}

/* The element is a complex number: index H:L for halves, H for singles. */
INSN(FCMLA_e)
{
    fp_check(c, i);
    const union vreg *v = &c->v[i->rm];
    unsigned h = bit(i->word, 11), l = bit(i->word, 21);
    union vreg m;

    if (simd_size(i) == 1)
        for (unsigned k = 0; k < 4; k++)
            m.s[k] = v->s[h << 1 | l];
    else
        m = (union vreg){ .d = { v->d[h], v->d[h] } };
    return complex_muladd(c, i, &m, (unsigned)bits(i->word, 14, 13));
}
