/*
 * Results with flags (DDI 0487 shared pseudocode AddWithCarry() and the logical instructions).
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
#define ALU_FLAGS(width, suffix)                                                                   \
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

ALU_FLAGS(32, w)
ALU_FLAGS(64, x)
#undef ALU_FLAGS

#endif
