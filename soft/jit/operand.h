/*
 * Second operands of translated arithmetic: a guest register where it is (a host register or its
 * place in memory, which most x86 instructions take as well), a scratch register, or a constant.
 */
#ifndef SOFT_JIT_OPERAND_H
#define SOFT_JIT_OPERAND_H

#include "soft/jit/translate.h"

enum operand_kind { OPERAND_HOST, OPERAND_SLOT, OPERAND_CONSTANT };

struct operand {
    enum operand_kind kind;
    enum x86_reg host;
    unsigned slot;
    int32_t constant;
};

static inline struct operand operand_host(enum x86_reg r)
{
    return (struct operand){ .kind = OPERAND_HOST, .host = r };
}

static inline struct operand operand_constant(int32_t v)
{
    return (struct operand){ .kind = OPERAND_CONSTANT, .constant = v };
}

static inline struct operand operand_slot(unsigned slot)
{
    return (struct operand){ .kind = OPERAND_SLOT, .slot = slot };
}

/* A guest register; the zero register is memory that nobody writes, or better the constant. */
static inline struct operand operand_guest(jit_t t, unsigned reg)
{
    if (reg == REG_ZR)
        return operand_constant(0);
    if (t->pinned[reg] != X86_NONE)
        return operand_host((enum x86_reg)t->pinned[reg]);
    return operand_slot(reg);
}

static inline bool operand_is_host(struct operand o, enum x86_reg r)
{
    return o.kind == OPERAND_HOST && o.host == r;
}

/* d = o; flags stay. A 32-bit move of a register to itself is left out: only for a result of
 * another instruction after it. */
static inline void operand_load(jit_t t, unsigned w, enum x86_reg d, struct operand o)
{
    if (o.kind == OPERAND_CONSTANT)
        x86_mov_ri(&t->hot, d, w ? (uint64_t)(int64_t)o.constant : (uint32_t)o.constant);
    else if (o.kind == OPERAND_SLOT)
        x86_mov_rm(&t->hot, w, d, jit_slot(o.slot));
    else if (o.host != d)
        x86_mov_rr(&t->hot, w, d, o.host);
}

/* d = d op o */
static inline void operand_apply(jit_t t, unsigned w, enum x86_alu op, enum x86_reg d,
                                 struct operand o)
{
    if (o.kind == OPERAND_CONSTANT)
        x86_alu_ri(&t->hot, w, op, d, o.constant);
    else if (o.kind == OPERAND_SLOT)
        x86_alu_rm(&t->hot, w, op, d, jit_slot(o.slot));
    else
        x86_alu_rr(&t->hot, w, op, d, o.host);
}

/* soft/jit/products.c */

/* high:low = n * m, flags stay. Changes RDX; RCX too if m is no register. */
void jit_multiply_long(jit_t t, unsigned w, enum x86_reg high, enum x86_reg low, unsigned n,
                       unsigned m);
/* The instruction being emitted is MUL or UMULH: make it, with its other half, or put it off.
 * False: it remains to be done. */
bool jit_product(jit_t t);
/* The second operand of a sum whose jit_insn.source was put off, which changes RAX, RCX and RDX;
 * `sum` is made to have it as that. */
struct operand jit_product_operand(jit_t t, struct insn *sum);

/* The width bit of nearly all data processing instructions. */
static inline unsigned operand_width(const struct insn *i)
{
    return i->word >> 31;
}

#endif
