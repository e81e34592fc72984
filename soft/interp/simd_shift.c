/*
 * Shifts: by register (SSHL, SQRSHL ...) and by immediate, narrowing and widening ones included.
 * DDI 0487 C4.1.96, "Advanced SIMD shift by immediate".
 */
#include "soft/interp/simd.h"

/* No shift needs more than this to have its full effect on 64 bits, rounding included. */
enum { SHIFT_MAX = 66 };

static uint64_t shl_signed(struct cpu *c, unsigned esize, uint64_t a, int shift, bool round,
                           bool sat)
{
    __int128 value = simd_signed(esize, a);

    if (shift >= (int)esize) {
        if (value == 0 || !sat)
            return 0;
        c->fpsr |= FPSR_QC;
        return value < 0 ? 1ull << (esize - 1) : ones(esize - 1);
    }
    if (shift >= 0) {
        value = (__int128)((unsigned __int128)value << shift);
    } else {
        int right = -shift < SHIFT_MAX ? -shift : SHIFT_MAX;
        if (round)
            value += (__int128)1 << (right - 1);
        value >>= right;
    }
    return sat ? simd_sat_signed(c, esize, value) : (uint64_t)value & ones(esize);
}

static uint64_t shl_unsigned(struct cpu *c, unsigned esize, uint64_t a, int shift, bool round,
                             bool sat)
{
    __int128 value = a;

    if (shift >= (int)esize) {
        if (value == 0 || !sat)
            return 0;
        c->fpsr |= FPSR_QC;
        return ones(esize);
    }
    if (shift >= 0) {
        value <<= shift;
    } else {
        int right = -shift < SHIFT_MAX ? -shift : SHIFT_MAX;
        if (round)
            value += (__int128)1 << (right - 1);
        value >>= right;
    }
    return sat ? simd_sat_unsigned(c, esize, value) : (uint64_t)value & ones(esize);
}

/* By register: the low byte of each element of m is a signed shift. */
#define SHIFT_BY_REGISTER(name, function, round, sat)                                              \
    static uint64_t op_##name(struct cpu *c, unsigned esize, uint64_t a, uint64_t b)               \
    {                                                                                              \
        return function(c, esize, a, (int8_t)b, round, sat);                                       \
    }                                                                                              \
    INSN(name)                                                                                     \
    {                                                                                              \
        return simd_map2(c, i, simd_size(i), op_##name);                                           \
    }

SHIFT_BY_REGISTER(SSHL_v, shl_signed, false, false)
SHIFT_BY_REGISTER(USHL_v, shl_unsigned, false, false)
SHIFT_BY_REGISTER(SRSHL_v, shl_signed, true, false)
SHIFT_BY_REGISTER(URSHL_v, shl_unsigned, true, false)
SHIFT_BY_REGISTER(SQSHL_v, shl_signed, false, true)
SHIFT_BY_REGISTER(UQSHL_v, shl_unsigned, false, true)
SHIFT_BY_REGISTER(SQRSHL_v, shl_signed, true, true)
SHIFT_BY_REGISTER(UQRSHL_v, shl_unsigned, true, true)

/* By immediate. */

/* The frequent ones, as loops over lanes; a right shift by the whole width is possible. */
#define SHIFT_LANES(name, m8, m16, m32, m64, amount, expression)                                   \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const union vreg n = c->v[i->rn], m = n, d = c->v[i->rd];                                  \
        const unsigned shift = amount;                                                             \
        union vreg r;                                                                              \
        SIMD_LANE_SWITCH(simd_imm_size(i), m8, m16, m32, m64, expression)                          \
        return simd_write_lanes(c, i, r);                                                          \
    }

SHIFT_LANES(SHL_imm, b, h, s, d, simd_imm_left(i), (uint64_t)a << shift)
SHIFT_LANES(USHR_imm, b, h, s, d, simd_imm_right(i), shift == 64 ? 0 : (uint64_t)a >> shift)
SHIFT_LANES(USRA_imm, b, h, s, d, simd_imm_right(i), acc + (shift == 64 ? 0 : (uint64_t)a >> shift))
SHIFT_LANES(SSHR_imm, sb, sh, ss, sd, simd_imm_right(i), (int64_t)a >> (shift == 64 ? 63 : shift))
SHIFT_LANES(SSRA_imm, sb, sh, ss, sd, simd_imm_right(i),
            (uint64_t)acc + (uint64_t)((int64_t)a >> (shift == 64 ? 63 : shift)))
SHIFT_LANES(SLI_imm, b, h, s, d, simd_imm_left(i),
            ((uint64_t)a << shift) | (acc & (((uint64_t)1 << shift) - 1)))

/* The other ones: with rounding, saturation or insertion, element by element. */
typedef uint64_t shift_op(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a, unsigned shift);

static const struct insn *shift_map(struct cpu *c, const struct insn *i, unsigned shift,
                                    shift_op *op)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn], *d = &c->v[i->rd];
    unsigned size = simd_imm_size(i);
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < simd_elements(i, size); k++)
        simd_set(&r, size, k, op(c, 8u << size, simd_get(d, size, k), simd_get(n, size, k), shift));
    c->v[i->rd] = r;
    return interp_next(c, i);
}

#define SHIFT_OP(name, amount, expression)                                                         \
    static uint64_t op_##name(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a,             \
                              unsigned shift)                                                      \
    {                                                                                              \
        (void)acc;                                                                                 \
        (void)c;                                                                                   \
        return expression;                                                                         \
    }                                                                                              \
    INSN(name)                                                                                     \
    {                                                                                              \
        return shift_map(c, i, amount, op_##name);                                                 \
    }

SHIFT_OP(SRSHR_imm, simd_imm_right(i), shl_signed(c, esize, a, -(int)shift, true, false))
SHIFT_OP(URSHR_imm, simd_imm_right(i), shl_unsigned(c, esize, a, -(int)shift, true, false))
SHIFT_OP(SRSRA_imm, simd_imm_right(i), acc + shl_signed(c, esize, a, -(int)shift, true, false))
SHIFT_OP(URSRA_imm, simd_imm_right(i), acc + shl_unsigned(c, esize, a, -(int)shift, true, false))
SHIFT_OP(SRI_imm, simd_imm_right(i),
         (acc & ~ones(esize - shift)) | (shift == esize ? 0 : a >> shift))
SHIFT_OP(SQSHL_imm, simd_imm_left(i), shl_signed(c, esize, a, (int)shift, false, true))
SHIFT_OP(UQSHL_imm, simd_imm_left(i), shl_unsigned(c, esize, a, (int)shift, false, true))
SHIFT_OP(SQSHLU_imm, simd_imm_left(i),
         simd_sat_unsigned(c, esize,
                           (__int128)((unsigned __int128)(__int128)simd_signed(esize, a) << shift)))

/* Narrowing right shifts: the source has elements of twice the size. */
typedef uint64_t narrow_op(struct cpu *c, unsigned esize, uint64_t a, unsigned shift);

static const struct insn *shift_narrow(struct cpu *c, const struct insn *i, narrow_op *op)
{
    fp_check(c, i);
    const union vreg *n = &c->v[i->rn];
    unsigned size = simd_imm_size(i), shift = simd_imm_right(i);
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < (simd_scalar(i) ? 1 : 8u >> size); k++)
        simd_set(&r, size, k, op(c, 8u << size, simd_get(n, size + 1, k), shift));
    return simd_write_half(c, i, r.d[0]);
}

/* The rounding constant is 1 << (shift - 1), and the sum has a bit more than the element. */
static __int128 right_signed(unsigned esize, uint64_t a, unsigned shift, bool round)
{
    return ((__int128)simd_signed(2 * esize, a) + ((__int128)round << (shift - 1))) >> shift;
}

static __int128 right_unsigned(uint64_t a, unsigned shift, bool round)
{
    return ((__int128)a + ((__int128)round << (shift - 1))) >> shift;
}

#define NARROW_OP(name, expression)                                                                \
    static uint64_t op_##name(struct cpu *c, unsigned esize, uint64_t a, unsigned shift)           \
    {                                                                                              \
        (void)c;                                                                                   \
        (void)esize;                                                                               \
        return expression;                                                                         \
    }                                                                                              \
    INSN(name)                                                                                     \
    {                                                                                              \
        return shift_narrow(c, i, op_##name);                                                      \
    }

NARROW_OP(RSHRN_imm, (uint64_t)right_unsigned(a, shift, true))
NARROW_OP(SQSHRN_imm, simd_sat_signed(c, esize, right_signed(esize, a, shift, false)))
NARROW_OP(SQRSHRN_imm, simd_sat_signed(c, esize, right_signed(esize, a, shift, true)))
NARROW_OP(UQSHRN_imm, simd_sat_unsigned(c, esize, right_unsigned(a, shift, false)))
NARROW_OP(UQRSHRN_imm, simd_sat_unsigned(c, esize, right_unsigned(a, shift, true)))
NARROW_OP(SQSHRUN_imm, simd_sat_unsigned(c, esize, right_signed(esize, a, shift, false)))
NARROW_OP(SQRSHRUN_imm, simd_sat_unsigned(c, esize, right_signed(esize, a, shift, true)))

/* SHRN and the widening shifts are frequent: loops that compilers turn into vector code. */

INSN(SHRN_imm)
{
    fp_check(c, i);
    const union vreg n = c->v[i->rn];
    unsigned shift = simd_imm_right(i);
    union vreg r;

    switch (simd_imm_size(i)) {
    case 0:
        for (unsigned k = 0; k < 8; k++)
            r.b[k] = (uint8_t)(n.h[k] >> shift);
        break;
    case 1:
        for (unsigned k = 0; k < 4; k++)
            r.h[k] = (uint16_t)(n.s[k] >> shift);
        break;
    default:
        for (unsigned k = 0; k < 2; k++)
            r.s[k] = (uint32_t)(n.d[k] >> shift);
        break;
    }
    return simd_write_half(c, i, r.d[0]);
}

/* Widen the lower half, or with Q the upper one, and shift left. */
ALWAYS_INLINE const struct insn *shift_long(unsigned size, struct cpu *c, const struct insn *i,
                                            bool is_signed)
{
    const union vreg n = { .d = { c->v[i->rn].d[simd_q(i)] } };
    unsigned shift = simd_imm_left(i);
    union vreg r;

    for (unsigned k = 0; k < 8u >> size; k++) {
        uint64_t a = simd_get(&n, size, k);
        if (is_signed)
            a = (uint64_t)simd_signed(8u << size, a);
        simd_set(&r, size + 1, k, a << shift);
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(SSHLL_imm)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_imm_size(i), shift_long, c, i, true);
}

INSN(USHLL_imm)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_imm_size(i), shift_long, c, i, false);
}
