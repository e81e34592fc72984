/*
 * Advanced SIMD three same (DDI 0487 C4.1.96), integer operations without saturation; each line is
 * the manual's operation on one element. Logical operations, and pairs.
 */
#include "soft/interp/simd.h"

/* Add, subtract, compare. Sums and differences in uint64_t keep C's overflow rules out. */
SIMD_LANES(ADD_v, (uint64_t)a + b)
SIMD_LANES(SUB_v, (uint64_t)a - b)
SIMD_LANES(CMEQ_v, a == b ? -1 : 0)
SIMD_LANES(CMHI_v, a > b ? -1 : 0)
SIMD_LANES(CMHS_v, a >= b ? -1 : 0)
SIMD_LANES(CMTST_v, (a & b) != 0 ? -1 : 0)
SIMD_SIGNED_LANES(CMGT_v, a > b ? -1 : 0)
SIMD_SIGNED_LANES(CMGE_v, a >= b ? -1 : 0)
SIMD_LANES(UMAX_v, a > b ? a : b)
SIMD_LANES(UMIN_v, a < b ? a : b)
SIMD_SIGNED_LANES(SMAX_v, a > b ? a : b)
SIMD_SIGNED_LANES(SMIN_v, a < b ? a : b)

/* Halving: a + b = 2(a & b) + (a ^ b) = 2(a | b) - (a ^ b). */
SIMD_LANES(UHADD_v, (uint64_t)(a &b) + ((a ^ b) >> 1))
SIMD_SIGNED_LANES(SHADD_v, (uint64_t)(a &b) + (uint64_t)((a ^ b) >> 1))
SIMD_LANES(URHADD_v, (uint64_t)(a | b) - ((a ^ b) >> 1))
SIMD_SIGNED_LANES(SRHADD_v, (uint64_t)(a | b) - (uint64_t)((a ^ b) >> 1))
SIMD_LANES(UHSUB_v, (uint64_t)(a >> 1) - (b >> 1) - (~a & b & 1))
SIMD_SIGNED_LANES(SHSUB_v, (uint64_t)(a >> 1) - (uint64_t)(b >> 1) - (uint64_t)(~a & b & 1))

/* Absolute difference, and accumulated. */
SIMD_LANES(UABD_v, a > b ? (uint64_t)a - b : (uint64_t)b - a)
SIMD_SIGNED_LANES(SABD_v, a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a)
SIMD_LANES(UABA_v, acc + (a > b ? (uint64_t)a - b : (uint64_t)b - a))
SIMD_SIGNED_LANES(SABA_v,
                  (uint64_t)acc + (a > b ? (uint64_t)a - (uint64_t)b : (uint64_t)b - (uint64_t)a))

SIMD_LANES(MUL_v, ((uint64_t)a * b))
SIMD_LANES(MLA_v, acc + (uint64_t)a * b)
SIMD_LANES(MLS_v, acc - (uint64_t)a * b)

/* Logical operations: a word of each operand at a time. */
#define SIMD_LOGICAL(name, expression)                                                             \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const union vreg n = c->v[i->rn], m = c->v[i->rm], d = c->v[i->rd];                        \
        union vreg r;                                                                              \
        SIMD_LANE_LOOP(d, expression)                                                              \
        return simd_write(c, i, r);                                                                \
    }

SIMD_LOGICAL(AND_v, (a & b))
SIMD_LOGICAL(BIC_v, a & ~b)
SIMD_LOGICAL(ORR_v, a | b)
SIMD_LOGICAL(ORN_v, a | ~b)
SIMD_LOGICAL(EOR_v, a ^ b)
SIMD_LOGICAL(BSL_v, (a & acc) | (b & ~acc))
SIMD_LOGICAL(BIT_v, (a & b) | (acc & ~b))
SIMD_LOGICAL(BIF_v, (a & ~b) | (acc & b))

/* Carry-less product of bytes, low half. */
SIMD_LANES(PMUL_v, ((b & 1 ? a : 0) ^ (b & 2 ? a << 1 : 0) ^ (b & 4 ? a << 2 : 0) ^
                    (b & 8 ? a << 3 : 0) ^ (b & 16 ? a << 4 : 0) ^ (b & 32 ? a << 5 : 0) ^
                    (b & 64 ? a << 6 : 0) ^ (b & 128 ? a << 7 : 0)))

/*
 * Pairs: the elements of n, then those of m, are taken two by two. The result of each pair of n
 * goes to the lower half, of m to the upper one.
 */
#define SIMD_PAIR_LOOP(member, expression)                                                         \
    for (unsigned k = 0; k < half_bytes / sizeof r.member[0]; k++) {                               \
        __auto_type a = n.member[2 * k];                                                           \
        __auto_type b = n.member[2 * k + 1];                                                       \
        r.member[k] = (__typeof__(r.member[0]))(expression);                                       \
        a = m.member[2 * k];                                                                       \
        b = m.member[2 * k + 1];                                                                   \
        r.member[k + half_bytes / sizeof r.member[0]] = (__typeof__(r.member[0]))(expression);     \
    }

#define SIMD_PAIRS(name, m8, m16, m32, m64, expression)                                            \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        const union vreg n = c->v[i->rn], m = c->v[i->rm];                                         \
        union vreg r = { .d = { 0, 0 } };                                                          \
        unsigned half_bytes = simd_q(i) ? 8 : 4;                                                   \
        switch (simd_size(i)) {                                                                    \
        case 0:                                                                                    \
            SIMD_PAIR_LOOP(m8, expression)                                                         \
            break;                                                                                 \
        case 1:                                                                                    \
            SIMD_PAIR_LOOP(m16, expression)                                                        \
            break;                                                                                 \
        case 2:                                                                                    \
            SIMD_PAIR_LOOP(m32, expression)                                                        \
            break;                                                                                 \
        default:                                                                                   \
            SIMD_PAIR_LOOP(m64, expression)                                                        \
            break;                                                                                 \
        }                                                                                          \
        c->v[i->rd] = r;                                                                           \
        return interp_next(c, i);                                                                  \
    }

SIMD_PAIRS(ADDP_v, b, h, s, d, (uint64_t)a + b)
SIMD_PAIRS(UMAXP_v, b, h, s, d, a > b ? a : b)
SIMD_PAIRS(UMINP_v, b, h, s, d, a < b ? a : b)
SIMD_PAIRS(SMAXP_v, sb, sh, ss, sd, a > b ? a : b)
SIMD_PAIRS(SMINP_v, sb, sh, ss, sd, a < b ? a : b)
