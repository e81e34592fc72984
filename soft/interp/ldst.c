/*
 * Loads and stores of one register, general or SIMD&FP, in every addressing form (DDI 0487
 * C4.1.94). The access comes first, then the register, then the base: an access that faults does
 * not return and has changed nothing. When a load's register is also the base that it writes back
 * (CONSTRAINED UNPREDICTABLE), the base wins.
 */
#include "soft/interp/interp.h"
#include "soft/interp/alu.h"

/* The addressing forms. */

static inline uint64_t address_imm(struct cpu *c, const struct insn *i)
{
    return interp_base(c, i) + (uint64_t)i->imm;
}

static inline uint64_t address_reg(struct cpu *c, const struct insn *i)
{
    return interp_base(c, i) + alu_extended_x(c, i);
}

static inline uint64_t address_literal(const struct cpu *c, const struct insn *i)
{
    return c->page_va + (uint64_t)i->imm;
}

/* All forms of an instruction from `access`, which moves i->rd from or to a virtual address. */
#define FORMS(name, access)                                                                        \
    INSN(name##_imm)                                                                               \
    {                                                                                              \
        access(c, i, address_imm(c, i));                                                           \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_reg)                                                                               \
    {                                                                                              \
        access(c, i, address_reg(c, i));                                                           \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_post)                                                                              \
    {                                                                                              \
        uint64_t va = interp_base(c, i);                                                           \
        access(c, i, va);                                                                          \
        c->x[i->rn] = va + (uint64_t)i->imm;                                                       \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_pre)                                                                               \
    {                                                                                              \
        uint64_t va = address_imm(c, i);                                                           \
        access(c, i, va);                                                                          \
        c->x[i->rn] = va;                                                                          \
        return interp_next(c, i);                                                                  \
    }

#define LITERAL(name, access)                                                                      \
    INSN(name##_lit)                                                                               \
    {                                                                                              \
        access(c, i, address_literal(c, i));                                                       \
        return interp_next(c, i);                                                                  \
    }

/* General registers: `extended` makes the register's value of the `width` bits read, v. */
#define LOAD(name, width, extended)                                                                \
    static inline void load_##name(struct cpu *c, const struct insn *i, uint64_t va)               \
    {                                                                                              \
        uint##width##_t v = mem_ld##width(c, i, va);                                               \
        c->x[i->rd] = (extended);                                                                  \
    }                                                                                              \
    FORMS(name, load_##name)                                                                       \
    INSN(name##_unpriv)                                                                            \
    {                                                                                              \
        uint64_t va = address_imm(c, i);                                                           \
        uint##width##_t v = (uint##width##_t)mem_load_slow(c, i, va, width / 8, MEM_UNPRIV);       \
        c->x[i->rd] = (extended);                                                                  \
        return interp_next(c, i);                                                                  \
    }

#define STORE(name, width)                                                                         \
    static inline void store_##name(struct cpu *c, const struct insn *i, uint64_t va)              \
    {                                                                                              \
        mem_st##width(c, i, va, (uint##width##_t)c->x[i->rd]);                                     \
    }                                                                                              \
    FORMS(name, store_##name)                                                                      \
    INSN(name##_unpriv)                                                                            \
    {                                                                                              \
        uint64_t va = address_imm(c, i);                                                           \
        mem_store_slow(c, i, va, width / 8, (uint##width##_t)c->x[i->rd], MEM_UNPRIV);             \
        return interp_next(c, i);                                                                  \
    }

LOAD(LDRB, 8, v)
LOAD(LDRH, 16, v)
LOAD(LDR_w, 32, v)
LOAD(LDR_x, 64, v)
LOAD(LDRSB_w, 8, (uint32_t)(int8_t)v)
LOAD(LDRSB_x, 8, (uint64_t)(int8_t)v)
LOAD(LDRSH_w, 16, (uint32_t)(int16_t)v)
LOAD(LDRSH_x, 16, (uint64_t)(int16_t)v)
LOAD(LDRSW, 32, (uint64_t)(int32_t)v)
STORE(STRB, 8)
STORE(STRH, 16)
STORE(STR_w, 32)
STORE(STR_x, 64)
LITERAL(LDR_w, load_LDR_w)
LITERAL(LDR_x, load_LDR_x)
LITERAL(LDRSW, load_LDRSW)

/* SIMD&FP registers: a load clears the rest of the register. */
#define VECTOR(letter, width)                                                                      \
    static inline void vload_##letter(struct cpu *c, const struct insn *i, uint64_t va)            \
    {                                                                                              \
        uint64_t v = mem_ld##width(c, i, va);                                                      \
        c->v[i->rd].d[0] = v;                                                                      \
        c->v[i->rd].d[1] = 0;                                                                      \
    }                                                                                              \
    static inline void vstore_##letter(struct cpu *c, const struct insn *i, uint64_t va)           \
    {                                                                                              \
        mem_st##width(c, i, va, (uint##width##_t)c->v[i->rd].d[0]);                                \
    }

VECTOR(b, 8)
VECTOR(h, 16)
VECTOR(s, 32)
VECTOR(d, 64)

static inline void vload_q(struct cpu *c, const struct insn *i, uint64_t va)
{
    uint64_t low, high;

    if (!interp_readable(c, va, 16))
        mem_probe(c, i, va, 16, 16, false, 0);
    interp_ld64_pair(c, i, va, &low, &high);
    c->v[i->rd].d[0] = low;
    c->v[i->rd].d[1] = high;
}

static inline void vstore_q(struct cpu *c, const struct insn *i, uint64_t va)
{
    if (!interp_writable(c, va, 16))
        mem_probe(c, i, va, 16, 16, true, 0);
    interp_st64_pair(c, i, va, c->v[i->rd].d[0], c->v[i->rd].d[1]);
}

/* The trap on SIMD&FP registers comes before the stack pointer's alignment. */
#define VECTOR_FORM(name, access, address)                                                         \
    INSN(name)                                                                                     \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        access(c, i, address(c, i));                                                               \
        return interp_next(c, i);                                                                  \
    }

#define VECTOR_FORMS(name, access)                                                                 \
    VECTOR_FORM(name##_imm, access, address_imm)                                                   \
    VECTOR_FORM(name##_reg, access, address_reg)                                                   \
    INSN(name##_post)                                                                              \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        uint64_t va = interp_base(c, i);                                                           \
        access(c, i, va);                                                                          \
        c->x[i->rn] = va + (uint64_t)i->imm;                                                       \
        return interp_next(c, i);                                                                  \
    }                                                                                              \
    INSN(name##_pre)                                                                               \
    {                                                                                              \
        fp_check(c, i);                                                                            \
        uint64_t va = address_imm(c, i);                                                           \
        access(c, i, va);                                                                          \
        c->x[i->rn] = va;                                                                          \
        return interp_next(c, i);                                                                  \
    }

VECTOR_FORMS(LDR_b, vload_b)
VECTOR_FORMS(LDR_h, vload_h)
VECTOR_FORMS(LDR_s, vload_s)
VECTOR_FORMS(LDR_d, vload_d)
VECTOR_FORMS(LDR_q, vload_q)
VECTOR_FORMS(STR_b, vstore_b)
VECTOR_FORMS(STR_h, vstore_h)
VECTOR_FORMS(STR_s, vstore_s)
VECTOR_FORMS(STR_d, vstore_d)
VECTOR_FORMS(STR_q, vstore_q)
VECTOR_FORM(LDR_s_lit, vload_s, address_literal)
VECTOR_FORM(LDR_d_lit, vload_d, address_literal)
VECTOR_FORM(LDR_q_lit, vload_q, address_literal)
