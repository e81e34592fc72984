/*
 * Data processing with registers (DDI 0487 C4.1.95): arithmetic, logic, shifts, conditions. The
 * instructions with one source and the checksums are in dp_bits.c.
 */
#include "soft/interp/interp.h"
#include "soft/interp/alu.h"

/* Addition, subtraction and logic; forms without a shift have functions of their own. */

ALU(ADD, alu_reg, a + b)
ALU(ADD_shift, alu_shifted, a + b)
ALU(ADD_ext, alu_extended, a + b)
ALU(SUB, alu_reg, a - b)
ALU(SUB_shift, alu_shifted, a - b)
ALU(SUB_ext, alu_extended, a - b)
ALU(AND, alu_reg, a &b)
ALU(AND_shift, alu_shifted, a &b)
ALU(BIC, alu_reg, a & ~b)
ALU(BIC_shift, alu_shifted, a & ~b)
ALU(ORR, alu_reg, a | b)
ALU(ORR_shift, alu_shifted, a | b)
ALU(ORN, alu_reg, a | ~b)
ALU(ORN_shift, alu_shifted, a | ~b)
ALU(EOR, alu_reg, a ^ b)
ALU(EOR_shift, alu_shifted, a ^ b)
ALU(EON, alu_reg, a ^ ~b)
ALU(EON_shift, alu_shifted, a ^ ~b)

ALU_FLAGS(ADDS, alu_reg, alu_adds, b)
ALU_FLAGS(ADDS_shift, alu_shifted, alu_adds, b)
ALU_FLAGS(ADDS_ext, alu_extended, alu_adds, b)
ALU_FLAGS(SUBS, alu_reg, alu_subs, b)
ALU_FLAGS(SUBS_shift, alu_shifted, alu_subs, b)
ALU_FLAGS(SUBS_ext, alu_extended, alu_subs, b)
ALU_FLAGS(ANDS, alu_reg, alu_ands, b)
ALU_FLAGS(ANDS_shift, alu_shifted, alu_ands, b)
ALU_FLAGS(BICS, alu_reg, alu_ands, ~b)
ALU_FLAGS(BICS_shift, alu_shifted, alu_ands, ~b)

INSN(MOV_w)
{
    c->x[i->rd] = (uint32_t)c->x[i->rm];
    return interp_next(c, i);
}

INSN(MOV_x)
{
    c->x[i->rd] = c->x[i->rm];
    return interp_next(c, i);
}

/* With carry: a - b is a + ~b + 1. */

static inline unsigned carry(const struct cpu *c)
{
    return c->nzcv >> 29 & 1;
}

ALU(ADC, alu_reg, a + b + carry(c))
ALU(SBC, alu_reg, a + ~b + carry(c))
ALU_FLAGS(ADCS, alu_reg, alu_adcs, b)
ALU_FLAGS(SBCS, alu_reg, alu_adcs, ~b)

/* Variable shifts and division. A quotient by zero is zero; one that overflows wraps. */

ALU(LSLV, alu_reg, a << (b & (sizeof a * 8 - 1)))
ALU(LSRV, alu_reg, a >> (b & (sizeof a * 8 - 1)))
ALU(UDIV, alu_reg, b == 0 ? 0 : a / b)

INSN(ASRV_w)
{
    c->x[i->rd] = alu_shift_w((uint32_t)c->x[i->rn], 2, c->x[i->rm] & 31);
    return interp_next(c, i);
}

INSN(ASRV_x)
{
    c->x[i->rd] = alu_shift_x(c->x[i->rn], 2, c->x[i->rm] & 63);
    return interp_next(c, i);
}

INSN(RORV_w)
{
    c->x[i->rd] = alu_shift_w((uint32_t)c->x[i->rn], 3, c->x[i->rm] & 31);
    return interp_next(c, i);
}

INSN(RORV_x)
{
    c->x[i->rd] = alu_shift_x(c->x[i->rn], 3, c->x[i->rm] & 63);
    return interp_next(c, i);
}

INSN(SDIV_w)
{
    int32_t a = (int32_t)c->x[i->rn], b = (int32_t)c->x[i->rm];

    c->x[i->rd] = b == 0 ? 0 : b == -1 ? -(uint32_t)a : (uint32_t)(a / b);
    return interp_next(c, i);
}

INSN(SDIV_x)
{
    int64_t a = (int64_t)c->x[i->rn], b = (int64_t)c->x[i->rm];

    c->x[i->rd] = b == 0 ? 0 : b == -1 ? -(uint64_t)a : (uint64_t)(a / b);
    return interp_next(c, i);
}

/* Multiplication. */

INSN(MADD_w)
{
    c->x[i->rd] = (uint32_t)(c->x[i->ra] + c->x[i->rn] * c->x[i->rm]);
    return interp_next(c, i);
}

INSN(MADD_x)
{
    c->x[i->rd] = c->x[i->ra] + c->x[i->rn] * c->x[i->rm];
    return interp_next(c, i);
}

INSN(MSUB_w)
{
    c->x[i->rd] = (uint32_t)(c->x[i->ra] - c->x[i->rn] * c->x[i->rm]);
    return interp_next(c, i);
}

INSN(MSUB_x)
{
    c->x[i->rd] = c->x[i->ra] - c->x[i->rn] * c->x[i->rm];
    return interp_next(c, i);
}

static inline uint64_t product_signed(const struct cpu *c, const struct insn *i)
{
    return (uint64_t)((int64_t)(int32_t)c->x[i->rn] * (int32_t)c->x[i->rm]);
}

static inline uint64_t product_unsigned(const struct cpu *c, const struct insn *i)
{
    return (uint64_t)(uint32_t)c->x[i->rn] * (uint32_t)c->x[i->rm];
}

INSN(SMADDL)
{
    c->x[i->rd] = c->x[i->ra] + product_signed(c, i);
    return interp_next(c, i);
}

INSN(SMSUBL)
{
    c->x[i->rd] = c->x[i->ra] - product_signed(c, i);
    return interp_next(c, i);
}

INSN(UMADDL)
{
    c->x[i->rd] = c->x[i->ra] + product_unsigned(c, i);
    return interp_next(c, i);
}

INSN(UMSUBL)
{
    c->x[i->rd] = c->x[i->ra] - product_unsigned(c, i);
    return interp_next(c, i);
}

INSN(SMULH)
{
    __int128 product = (__int128)(int64_t)c->x[i->rn] * (int64_t)c->x[i->rm];

    c->x[i->rd] = (uint64_t)(product >> 64);
    return interp_next(c, i);
}

INSN(UMULH)
{
    unsigned __int128 product = (unsigned __int128)c->x[i->rn] * c->x[i->rm];

    c->x[i->rd] = (uint64_t)(product >> 64);
    return interp_next(c, i);
}

/* Conditional select: `otherwise` is made of b. */
#define SELECT(name, otherwise)                                                                    \
    INSN(name##_w)                                                                                 \
    {                                                                                              \
        uint32_t a = (uint32_t)c->x[i->rn], b = (uint32_t)c->x[i->rm];                             \
        b = (otherwise);                                                                           \
        c->x[i->rd] = cpu_condition(c->nzcv, i->a) ? a : b;                                        \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_x)                                                                                 \
    {                                                                                              \
        uint64_t a = c->x[i->rn], b = c->x[i->rm];                                                 \
        b = (otherwise);                                                                           \
        c->x[i->rd] = cpu_condition(c->nzcv, i->a) ? a : b;                                        \
        return interp_next(c, i);                                                                  \
    }

SELECT(CSEL, b)
SELECT(CSINC, b + 1)
SELECT(CSINV, ~b)
SELECT(CSNEG, -b)

/* Conditional compare: flags of a comparison, or an immediate. */
#define COMPARE(name, operand, function)                                                           \
    INSN(name##_w)                                                                                 \
    {                                                                                              \
        if (cpu_condition(c->nzcv, i->a))                                                          \
            function##_w(c, (uint32_t)c->x[i->rn], operand##_w(c, i));                             \
        else                                                                                       \
            c->nzcv = (uint32_t)i->b << 28;                                                        \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_x)                                                                                 \
    {                                                                                              \
        if (cpu_condition(c->nzcv, i->a))                                                          \
            function##_x(c, c->x[i->rn], operand##_x(c, i));                                       \
        else                                                                                       \
            c->nzcv = (uint32_t)i->b << 28;                                                        \
        return interp_next(c, i);                                                                  \
    }

COMPARE(CCMN, alu_reg, alu_adds)
COMPARE(CCMN_imm, alu_imm, alu_adds)
COMPARE(CCMP, alu_reg, alu_subs)
COMPARE(CCMP_imm, alu_imm, alu_subs)

/* Flag manipulation: FEAT_FlagM and FEAT_FlagM2. */

INSN(RMIF)
{
    uint32_t flags = (uint32_t)alu_shift_x(c->x[i->rn], 3, i->a) & i->b;

    c->nzcv = (c->nzcv & ~((uint32_t)i->b << 28)) | flags << 28;
    return interp_next(c, i);
}

/* N, Z and V as if bit `top` were the sign; C stays. */
static inline void set_flags(struct cpu *c, uint64_t value, unsigned top)
{
    uint32_t v = (uint32_t)value & (uint32_t)ones(top + 1);
    uint32_t overflow = (uint32_t)(value >> (top + 1) ^ value >> top) & 1;

    c->nzcv = (c->nzcv & PSTATE_C) | v >> top << 31 | (uint32_t)(v == 0) << 30 | overflow << 28;
}

INSN(SETF8)
{
    set_flags(c, c->x[i->rn], 7);
    return interp_next(c, i);
}

INSN(SETF16)
{
    set_flags(c, c->x[i->rn], 15);
    return interp_next(c, i);
}

INSN(CFINV)
{
    c->nzcv ^= PSTATE_C;
    return interp_next(c, i);
}

/* From the x86 form of a floating-point comparison to Arm's, and back. */
INSN(XAFLAG)
{
    bool z = c->nzcv & PSTATE_Z, cc = c->nzcv & PSTATE_C;

    c->nzcv = (!cc && !z ? PSTATE_N : 0) | (z && cc ? PSTATE_Z : 0) | (cc || z ? PSTATE_C : 0) |
              (!cc && z ? PSTATE_V : 0);
    return interp_next(c, i);
}

INSN(AXFLAG)
{
    bool z = c->nzcv & PSTATE_Z, cc = c->nzcv & PSTATE_C, v = c->nzcv & PSTATE_V;

    c->nzcv = (z || v ? PSTATE_Z : 0) | (cc && !v ? PSTATE_C : 0);
    return interp_next(c, i);
}
