/*
 * Advanced SIMD three different (widening and narrowing arithmetic), multiplication by element, and
 * dot products. DDI 0487 C4.1.96.
 *
 * By element, the chosen element of m is replicated to a whole register first, and the vector
 * operation does the rest.
 */
#include "soft/interp/simd.h"

/* One element of a widening operation: narrow operands, extended to 64 bits by U; the accumulator
 * and the result have 2 * esize bits. */
typedef uint64_t long_op(struct cpu *c, unsigned esize, uint64_t acc, int64_t a, int64_t b);

/* Narrow operands come from the lower halves of n and m, or with Q from the upper ones. */
ALWAYS_INLINE const struct insn *long_map(struct cpu *c, const struct insn *i, const union vreg *m,
                                          long_op *op)
{
    const union vreg *n = &c->v[i->rn], *d = &c->v[i->rd];
    unsigned size = simd_size(i), esize = 8u << size;
    unsigned elements = simd_scalar(i) ? 1 : 8u >> size;
    unsigned first = !simd_scalar(i) && simd_q(i) ? elements : 0;
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < elements; k++) {
        uint64_t a = simd_get(n, size, first + k), b = simd_get(m, size, first + k);
        if (!simd_u(i)) {
            a = (uint64_t)simd_signed(esize, a);
            b = (uint64_t)simd_signed(esize, b);
        }
        simd_set(&r, size + 1, k, op(c, esize, simd_get(d, size + 1, k), (int64_t)a, (int64_t)b));
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

#define LONG_OP(name, expression)                                                                  \
    static uint64_t op_##name(struct cpu *c, unsigned esize, uint64_t acc, int64_t a, int64_t b)   \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)esize;                                                                               \
        (void)acc;                                                                                 \
        return expression;                                                                         \
    }                                                                                              \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        return long_map(c, i, &c->v[i->rm], op_##name);                                            \
    }

static uint64_t difference(int64_t a, int64_t b)
{
    return (uint64_t)(a > b ? a - b : b - a);
}

/* 2ab saturates; then, separately, the sum with the accumulator does. */
static uint64_t double_product(struct cpu *c, unsigned esize, int64_t a, int64_t b)
{
    return simd_sat_signed(c, 2 * esize, (__int128)a * b * 2);
}

static uint64_t double_accumulate(struct cpu *c, unsigned esize, uint64_t acc, uint64_t product,
                                  int sign)
{
    return simd_sat_signed(c, 2 * esize,
                           (__int128)simd_signed(2 * esize, acc) +
                               (__int128)simd_signed(2 * esize, product) * sign);
}

LONG_OP(ADDL_v, (uint64_t)(a + b))
LONG_OP(SUBL_v, (uint64_t)(a - b))
LONG_OP(ABDL_v, difference(a, b))
LONG_OP(ABAL_v, acc + difference(a, b))
LONG_OP(MULL_v, ((uint64_t)a * (uint64_t)b))
LONG_OP(MLAL_v, acc + (uint64_t)a * (uint64_t)b)
LONG_OP(MLSL_v, acc - (uint64_t)a * (uint64_t)b)
LONG_OP(SQDMULL_v, double_product(c, esize, a, b))
LONG_OP(SQDMLAL_v, double_accumulate(c, esize, acc, double_product(c, esize, a, b), 1))
LONG_OP(SQDMLSL_v, double_accumulate(c, esize, acc, double_product(c, esize, a, b), -1))

/* ADDW, SUBW: n is wide already. */
static const struct insn *wide_add(struct cpu *c, const struct insn *i, bool subtract)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm];
    unsigned size = simd_size(i), elements = 8u >> size, first = simd_q(i) ? elements : 0;
    union vreg r;

    for (unsigned k = 0; k < elements; k++) {
        uint64_t a = simd_get(n, size + 1, k), b = simd_get(m, size, first + k);
        if (!simd_u(i))
            b = (uint64_t)simd_signed(8u << size, b);
        simd_set(&r, size + 1, k, subtract ? a - b : a + b);
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(ADDW_v)
{
    return wide_add(c, i, false);
}

INSN(SUBW_v)
{
    return wide_add(c, i, true);
}

/* ADDHN, SUBHN: the high halves of wide sums, rounded with U. */
static const struct insn *narrow_add(struct cpu *c, const struct insn *i, bool subtract)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm];
    unsigned size = simd_size(i), esize = 8u << size;
    uint64_t round = (uint64_t)simd_u(i) << (esize - 1);
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < 8u >> size; k++) {
        uint64_t a = simd_get(n, size + 1, k), b = simd_get(m, size + 1, k);
        simd_set(&r, size, k, ((subtract ? a - b : a + b) + round) >> esize);
    }
    return simd_write_half(c, i, r.d[0]);
}

INSN(ADDHN_v)
{
    return narrow_add(c, i, false);
}

INSN(SUBHN_v)
{
    return narrow_add(c, i, true);
}

/* Carry-less product of two 64-bit polynomials, by four bits of b at a time. */
static union vreg polynomial_multiply(uint64_t a, uint64_t b)
{
    unsigned __int128 multiple[16] = { 0, a }, r = 0;

    for (unsigned k = 2; k < 16; k += 2) {
        multiple[k] = multiple[k / 2] << 1;
        multiple[k + 1] = multiple[k] ^ a;
    }
    for (int shift = 60; shift >= 0; shift -= 4)
        r = r << 4 ^ multiple[b >> shift & 15];
    return (union vreg){ .d = { (uint64_t)r, (uint64_t)(r >> 64) } };
}

static uint16_t polynomial_multiply_bytes(uint8_t a, uint8_t b)
{
    unsigned r = 0;

    for (unsigned k = 0; k < 8; k++)
        r ^= (b >> k & 1u) * a << k;
    return (uint16_t)r;
}

/* Of bytes, or of one doubleword each. */
INSN(PMULL_v)
{
    fp_check(c, i);
    const union vreg n = c->v[i->rn], m = c->v[i->rm];
    union vreg r = { .d = { 0, 0 } };
    bool upper = simd_q(i);

    if (simd_size(i) == 3) {
        r = polynomial_multiply(n.d[upper], m.d[upper]);
    } else {
        for (unsigned k = 0; k < 8; k++)
            r.h[k] = polynomial_multiply_bytes(n.b[k + 8 * upper], m.b[k + 8 * upper]);
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

/* By element. */

union vreg simd_by_element(const struct cpu *c, const struct insn *i, unsigned size)
{
    unsigned h = bit(i->word, 11), l = bit(i->word, 21), m = bit(i->word, 20);
    unsigned reg = size == 1 ? i->rm & 15u : i->rm;
    unsigned index = size == 1 ? h << 2 | l << 1 | m : size == 2 ? h << 1 | l : h;
    uint64_t value = simd_get(&c->v[reg], size, index);
    union vreg r;

    for (unsigned k = 0; k < 16u >> size; k++)
        simd_set(&r, size, k, value);
    return r;
}

ALWAYS_INLINE const struct insn *element_map(struct cpu *c, const struct insn *i, simd_op3 *op)
{
    fp_check(c, i);
    unsigned size = simd_size(i);
    const union vreg *n = &c->v[i->rn], *d = &c->v[i->rd], m = simd_by_element(c, i, size);
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < simd_elements(i, size); k++)
        simd_set(
            &r, size, k,
            op(c, 8u << size, simd_get(d, size, k), simd_get(n, size, k), simd_get(&m, size, k)));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

#define ELEMENT_OP(name, expression)                                                               \
    static uint64_t op_##name(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a, uint64_t b) \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)esize;                                                                               \
        (void)acc;                                                                                 \
        return expression;                                                                         \
    }                                                                                              \
    INSN(name)                                                                                     \
    {                                                                                              \
        return element_map(c, i, op_##name);                                                       \
    }

ELEMENT_OP(MUL_e, (a * b))
ELEMENT_OP(MLA_e, acc + a * b)
ELEMENT_OP(MLS_e, acc - a * b)
ELEMENT_OP(SQDMULH_e, simd_sqdmulh(c, esize, a, b))
ELEMENT_OP(SQRDMULH_e, simd_sqrdmulh(c, esize, a, b))
ELEMENT_OP(SQRDMLAH_e, simd_sqrdmlah(c, esize, acc, a, b))
ELEMENT_OP(SQRDMLSH_e, simd_sqrdmlsh(c, esize, acc, a, b))

#define LONG_BY_ELEMENT(name, op)                                                                  \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const union vreg m = simd_by_element(c, i, simd_size(i));                                  \
        return long_map(c, i, &m, op);                                                             \
    }

LONG_BY_ELEMENT(MULL_e, op_MULL_v)
LONG_BY_ELEMENT(MLAL_e, op_MLAL_v)
LONG_BY_ELEMENT(MLSL_e, op_MLSL_v)
LONG_BY_ELEMENT(SQDMULL_e, op_SQDMULL_v)
LONG_BY_ELEMENT(SQDMLAL_e, op_SQDMLAL_v)
LONG_BY_ELEMENT(SQDMLSL_e, op_SQDMLSL_v)

/* Dot products of four bytes each, added to words. */
static const struct insn *dot(struct cpu *c, const struct insn *i, const union vreg *m)
{
    const union vreg *n = &c->v[i->rn];
    union vreg r = c->v[i->rd];

    for (unsigned k = 0; k < 16; k++) {
        int product = simd_u(i) ? n->b[k] * m->b[k] : n->sb[k] * m->sb[k];
        r.s[k / 4] += (uint32_t)product;
    }
    return simd_write(c, i, r);
}

INSN(DOT_v)
{
    fp_check(c, i);
    return dot(c, i, &c->v[i->rm]);
}

INSN(DOT_e)
{
    fp_check(c, i);
    const union vreg m = simd_by_element(c, i, 2);
    return dot(c, i, &m);
}
