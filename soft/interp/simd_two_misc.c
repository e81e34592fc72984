/*
 * Advanced SIMD two-register miscellaneous, integer: reversal, counting, absolute value, compare
 * with zero, pairwise widening sums, narrowing. DDI 0487 C4.1.96.
 */
#include "soft/interp/simd.h"

SIMD_SIGNED_LANES(CMGT_zero, a > 0 ? -1 : 0)
SIMD_SIGNED_LANES(CMGE_zero, a >= 0 ? -1 : 0)
SIMD_SIGNED_LANES(CMEQ_zero, a == 0 ? -1 : 0)
SIMD_SIGNED_LANES(CMLE_zero, a <= 0 ? -1 : 0)
SIMD_SIGNED_LANES(CMLT_zero, a < 0 ? -1 : 0)
SIMD_LANES(NEG_v, -(uint64_t)a)
SIMD_SIGNED_LANES(ABS_v, a < 0 ? -(uint64_t)a : (uint64_t)a)

INSN(NOT_v)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    return simd_write(c, i, (union vreg){ .d = { ~n->d[0], ~n->d[1] } });
}

INSN(CNT_v)
{
    fp_check(c, i);
    union vreg r = c->v[i->rn];
    for (unsigned k = 0; k < 2; k++) {
        uint64_t a = r.d[k];
        a -= a >> 1 & 0x5555555555555555;
        a = (a & 0x3333333333333333) + (a >> 2 & 0x3333333333333333);
        r.d[k] = (a + (a >> 4)) & 0x0f0f0f0f0f0f0f0f;
    }
    return simd_write(c, i, r);
}

static uint64_t leading_zeros(struct cpu *c, unsigned esize, uint64_t a)
{
    (void)c;
    return a == 0 ? esize : (uint64_t)__builtin_clzll(a) - (64 - esize);
}

/* Bits after the sign that equal it. */
static uint64_t leading_signs(struct cpu *c, unsigned esize, uint64_t a)
{
    uint64_t changes = (a ^ a >> 1) & ones(esize - 1);

    return leading_zeros(c, esize - 1, changes);
}

static uint64_t reverse_bits(struct cpu *c, unsigned esize, uint64_t a)
{
    uint64_t r = 0;

    (void)c;
    for (unsigned k = 0; k < esize; k++)
        r |= (uint64_t)bit(a, k) << (esize - 1 - k);
    return r;
}

INSN(CLZ_v)
{
    return simd_map1(c, i, simd_size(i), leading_zeros);
}

INSN(CLS_v)
{
    return simd_map1(c, i, simd_size(i), leading_signs);
}

INSN(RBIT_v)
{
    return simd_map1(c, i, 0, reverse_bits);
}

/* Reverse the elements within containers of 1 << container bytes. */
ALWAYS_INLINE union vreg reverse_elements(const union vreg *n, unsigned size, unsigned container)
{
    unsigned flip = ((1u << container) - 1) >> size;
    union vreg r;

    for (unsigned k = 0; k < 16u >> size; k++)
        simd_set(&r, size, k, simd_get(n, size, k ^ flip));
    return r;
}

ALWAYS_INLINE const struct insn *reverse(struct cpu *c, const struct insn *i, unsigned container)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];

    switch (simd_size(i)) {
    case 0:
        return simd_write(c, i, reverse_elements(n, 0, container));
    case 1:
        return simd_write(c, i, reverse_elements(n, 1, container));
    default:
        return simd_write(c, i, reverse_elements(n, 2, container));
    }
}

INSN(REV64_v)
{
    return reverse(c, i, 3);
}

INSN(REV32_v)
{
    return reverse(c, i, 2);
}

INSN(REV16_v)
{
    return reverse(c, i, 1);
}

/* Saturating absolute value and negation, and sums of a signed and an unsigned operand. */

static uint64_t sat_abs(struct cpu *c, unsigned esize, uint64_t a)
{
    __int128 value = simd_signed(esize, a);

    return simd_sat_signed(c, esize, value < 0 ? -value : value);
}

static uint64_t sat_neg(struct cpu *c, unsigned esize, uint64_t a)
{
    return simd_sat_signed(c, esize, -(__int128)simd_signed(esize, a));
}

INSN(SQABS_v)
{
    return simd_map1(c, i, simd_size(i), sat_abs);
}

INSN(SQNEG_v)
{
    return simd_map1(c, i, simd_size(i), sat_neg);
}

/* The destination is the other operand, so these are maps of three with m unused. */
static uint64_t sat_add_unsigned(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a,
                                 uint64_t b)
{
    (void)b;
    return simd_sat_signed(c, esize, (__int128)simd_signed(esize, acc) + a);
}

static uint64_t sat_add_signed(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a, uint64_t b)
{
    (void)b;
    return simd_sat_unsigned(c, esize, (__int128)acc + simd_signed(esize, a));
}

INSN(SUQADD_v)
{
    return simd_map3(c, i, simd_size(i), sat_add_unsigned);
}

INSN(USQADD_v)
{
    return simd_map3(c, i, simd_size(i), sat_add_signed);
}

/* Sums of adjacent elements, twice as wide; added to the destination or not. */
static const struct insn *add_pairs_long(struct cpu *c, const struct insn *i, bool accumulate)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    unsigned size = simd_size(i), esize = 8u << size;
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < simd_elements(i, size + 1); k++) {
        uint64_t a = simd_get(n, size, 2 * k), b = simd_get(n, size, 2 * k + 1);
        uint64_t sum =
            simd_u(i) ? a + b : (uint64_t)simd_signed(esize, a) + (uint64_t)simd_signed(esize, b);
        if (accumulate)
            sum += simd_get(&c->v[i->rd], size + 1, k);
        simd_set(&r, size + 1, k, sum);
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(ADDLP_v)
{
    return add_pairs_long(c, i, false);
}

INSN(ADALP_v)
{
    return add_pairs_long(c, i, true);
}

static uint64_t narrow_plain(struct cpu *c, unsigned esize, uint64_t a)
{
    (void)c;
    return a & ones(esize);
}

static uint64_t narrow_signed(struct cpu *c, unsigned esize, uint64_t a)
{
    return simd_sat_signed(c, esize, simd_signed(2 * esize, a));
}

static uint64_t narrow_unsigned(struct cpu *c, unsigned esize, uint64_t a)
{
    return simd_sat_unsigned(c, esize, a);
}

static uint64_t narrow_signed_to_unsigned(struct cpu *c, unsigned esize, uint64_t a)
{
    return simd_sat_unsigned(c, esize, simd_signed(2 * esize, a));
}

INSN(XTN_v)
{
    return simd_narrow(c, i, simd_size(i), narrow_plain);
}

INSN(SQXTN_v)
{
    return simd_narrow(c, i, simd_size(i), narrow_signed);
}

INSN(UQXTN_v)
{
    return simd_narrow(c, i, simd_size(i), narrow_unsigned);
}

INSN(SQXTUN_v)
{
    return simd_narrow(c, i, simd_size(i), narrow_signed_to_unsigned);
}

/* Widen and shift left by the element's width. */
INSN(SHLL_v)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    unsigned size = simd_size(i), elements = 8u >> size;
    union vreg r;

    for (unsigned k = 0; k < elements; k++)
        simd_set(&r, size + 1, k,
                 simd_get(n, size, k + (simd_q(i) ? elements : 0)) << (8u << size));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

/* URECPE and URSQRTE. */

INSN(URECPE_v)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    union vreg r;
    for (unsigned k = 0; k < 4; k++)
        r.s[k] = fp_unsigned_recip_estimate(n->s[k]);
    return simd_write(c, i, r);
}

INSN(URSQRTE_v)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    union vreg r;
    for (unsigned k = 0; k < 4; k++)
        r.s[k] = fp_unsigned_rsqrt_estimate(n->s[k]);
    return simd_write(c, i, r);
}
