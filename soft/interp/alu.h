/*
 * Arithmetic in both widths: results with flags (DDI 0487 shared pseudocode AddWithCarry() and the
 * logical instructions), second operands, and the two macros that make the functions of an
 * instruction's 32-bit and 64-bit forms of them.
 */
#ifndef SOFT_INTERP_ALU_H
#define SOFT_INTERP_ALU_H

#include "soft/interp/interp.h"

/* N and Z of a result. */
#define ALU_NZ(width)                                                                              \
    static inline uint32_t alu_nz##width(uint##width##_t r)                                        \
    {                                                                                              \
        return (uint32_t)(r >> (width - 1)) << 31 | (uint32_t)(r == 0) << 30;                      \
    }

ALU_NZ(32)
ALU_NZ(64)
#undef ALU_NZ

/* The three kinds that nearly all flags come from. */
#define ALU_RESULTS(width, suffix)                                                                 \
    static inline uint##width##_t alu_adds_##suffix(struct cpu *c, uint##width##_t a,              \
                                                    uint##width##_t b)                             \
    {                                                                                              \
        uint##width##_t r = a + b;                                                                 \
        uint32_t carry = r < a, overflow = (uint32_t)(((a ^ r) & (b ^ r)) >> (width - 1));         \
        c->nzcv = alu_nz##width(r) | carry << 29 | overflow << 28;                                 \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##width##_t alu_subs_##suffix(struct cpu *c, uint##width##_t a,              \
                                                    uint##width##_t b)                             \
    {                                                                                              \
        uint##width##_t r = a - b;                                                                 \
        uint32_t carry = a >= b, overflow = (uint32_t)(((a ^ b) & (a ^ r)) >> (width - 1));        \
        c->nzcv = alu_nz##width(r) | carry << 29 | overflow << 28;                                 \
        return r;                                                                                  \
    }                                                                                              \
    static inline uint##width##_t alu_ands_##suffix(struct cpu *c, uint##width##_t a,              \
                                                    uint##width##_t b)                             \
    {                                                                                              \
        uint##width##_t r = a & b;                                                                 \
        c->nzcv = alu_nz##width(r);                                                                \
        return r;                                                                                  \
    }                                                                                              \
    /* AddWithCarry() with flags; a subtraction passes ~b. */                                      \
    static inline uint##width##_t alu_adcs_##suffix(struct cpu *c, uint##width##_t a,              \
                                                    uint##width##_t b)                             \
    {                                                                                              \
        uint32_t carry_in = c->nzcv >> 29 & 1;                                                     \
        uint##width##_t r = a + b + carry_in;                                                      \
        uint32_t carry = carry_in ? r <= a : r < a;                                                \
        uint32_t overflow = (uint32_t)(((a ^ r) & (b ^ r)) >> (width - 1));                        \
        c->nzcv = alu_nz##width(r) | carry << 29 | overflow << 28;                                 \
        return r;                                                                                  \
    }

ALU_RESULTS(32, w)
ALU_RESULTS(64, x)
#undef ALU_RESULTS

/* Second operands, from what the formats leave in a slot. */

static inline uint32_t alu_imm_w(const struct cpu *c, const struct insn *i)
{
    (void)c;
    return (uint32_t)i->imm;
}

static inline uint64_t alu_imm_x(const struct cpu *c, const struct insn *i)
{
    (void)c;
    return (uint64_t)i->imm;
}

static inline uint32_t alu_reg_w(const struct cpu *c, const struct insn *i)
{
    return (uint32_t)c->x[i->rm];
}

static inline uint64_t alu_reg_x(const struct cpu *c, const struct insn *i)
{
    return c->x[i->rm];
}

/* ShiftReg(); `type` LSL, LSR, ASR or ROR, `amount` below the width. */
#define ALU_SHIFTED(width, suffix)                                                                 \
    static inline uint##width##_t alu_shift_##suffix(uint##width##_t v, unsigned type,             \
                                                     unsigned amount)                              \
    {                                                                                              \
        switch (type) {                                                                            \
        case 0:                                                                                    \
            return v << amount;                                                                    \
        case 1:                                                                                    \
            return v >> amount;                                                                    \
        case 2:                                                                                    \
            return (uint##width##_t)((int##width##_t)v >> amount);                                 \
        default:                                                                                   \
            return v >> amount | v << (-amount & (width - 1));                                     \
        }                                                                                          \
    }                                                                                              \
    static inline uint##width##_t alu_shifted_##suffix(const struct cpu *c, const struct insn *i)  \
    {                                                                                              \
        return alu_shift_##suffix((uint##width##_t)c->x[i->rm], i->b, i->a);                       \
    }

ALU_SHIFTED(32, w)
ALU_SHIFTED(64, x)
#undef ALU_SHIFTED

/* ExtendReg(): imm is the mask of the register's bits, b whether the highest is a sign, a the shift
 * that follows. */
static inline uint64_t alu_extended_x(const struct cpu *c, const struct insn *i)
{
    uint64_t mask = (uint64_t)i->imm;
    uint64_t sign = ((mask >> 1) + 1) & -(uint64_t)i->b;

    return (((c->x[i->rm] & mask) ^ sign) - sign) << i->a;
}

static inline uint32_t alu_extended_w(const struct cpu *c, const struct insn *i)
{
    return (uint32_t)alu_extended_x(c, i);
}

/* `value` is made of a, the first operand, and b, the second one, `operand`_w or _x. */
#define ALU(name, operand, value)                                                                  \
    INSN(name##_w)                                                                                 \
    {                                                                                              \
        uint32_t a = (uint32_t)c->x[i->rn], b = operand##_w(c, i);                                 \
        c->x[i->rd] = (uint32_t)(value);                                                           \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_x)                                                                                 \
    {                                                                                              \
        uint64_t a = c->x[i->rn], b = operand##_x(c, i);                                           \
        c->x[i->rd] = (value);                                                                     \
        return interp_next(c, i);                                                                  \
    }

/* `function`_w or _x makes the value of a and `second`, which is made of b, and sets the flags. */
#define ALU_FLAGS(name, operand, function, second)                                                 \
    INSN(name##_w)                                                                                 \
    {                                                                                              \
        uint32_t a = (uint32_t)c->x[i->rn], b = operand##_w(c, i);                                 \
        c->x[i->rd] = function##_w(c, a, second);                                                  \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_x)                                                                                 \
    {                                                                                              \
        uint64_t a = c->x[i->rn], b = operand##_x(c, i);                                           \
        c->x[i->rd] = function##_x(c, a, second);                                                  \
        return interp_next(c, i);                                                                  \
    }

#endif
