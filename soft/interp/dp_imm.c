/* Data processing with an immediate (DDI 0487 C4.1.92). Operands as soft/interp/formats.c leaves
 * them. */
#include "soft/interp/interp.h"
#include "soft/interp/alu.h"

INSN(ADR)
{
    c->x[i->rd] = c->page_va + (uint64_t)i->imm;
    return interp_next(c, i);
}

INSN(ADRP)
{
    c->x[i->rd] = c->page_va + (uint64_t)i->imm;
    return interp_next(c, i);
}

ALU(ADD_imm, alu_imm, a + b)
ALU(SUB_imm, alu_imm, a - b)
ALU(AND_imm, alu_imm, a &b)
ALU(ORR_imm, alu_imm, a | b)
ALU(EOR_imm, alu_imm, a ^ b)
ALU_FLAGS(ADDS_imm, alu_imm, alu_adds, b)
ALU_FLAGS(SUBS_imm, alu_imm, alu_subs, b)
ALU_FLAGS(ANDS_imm, alu_imm, alu_ands, b)

/* MOVZ and MOVN. */
INSN(MOV_imm)
{
    c->x[i->rd] = (uint64_t)i->imm;
    return interp_next(c, i);
}

INSN(MOVK_w)
{
    c->x[i->rd] = (uint32_t)((c->x[i->rd] & ~(0xffffull << i->a)) | (uint64_t)i->imm);
    return interp_next(c, i);
}

INSN(MOVK_x)
{
    c->x[i->rd] = (c->x[i->rd] & ~(0xffffull << i->a)) | (uint64_t)i->imm;
    return interp_next(c, i);
}

/* Bit fields: see format_bitfield(). No mask reaches a bit that the register's width lacks. */

INSN(SBFM_w)
{
    c->x[i->rd] = (uint32_t)((int64_t)(c->x[i->rn] << i->a) >> i->b);
    return interp_next(c, i);
}

INSN(SBFM_x)
{
    c->x[i->rd] = (uint64_t)((int64_t)(c->x[i->rn] << i->a) >> i->b);
    return interp_next(c, i);
}

INSN(UBFX)
{
    c->x[i->rd] = c->x[i->rn] >> i->a & (uint64_t)i->imm;
    return interp_next(c, i);
}

INSN(UBFIZ)
{
    c->x[i->rd] = c->x[i->rn] << i->a & (uint64_t)i->imm;
    return interp_next(c, i);
}

/* The bits of `from` that imm selects, in the old value of rd. */
static inline void insert(struct cpu *c, const struct insn *i, uint64_t from)
{
    uint64_t mask = (uint64_t)i->imm;

    c->x[i->rd] = ((c->x[i->rd] & ~mask) | (from & mask)) << i->b >> i->b;
}

INSN(BFXIL)
{
    insert(c, i, c->x[i->rn] >> i->a);
    return interp_next(c, i);
}

INSN(BFI)
{
    insert(c, i, c->x[i->rn] << i->a);
    return interp_next(c, i);
}

INSN(EXTR_w)
{
    uint64_t both = c->x[i->rn] << 32 | (uint32_t)c->x[i->rm];

    c->x[i->rd] = (uint32_t)(both >> i->a);
    return interp_next(c, i);
}

INSN(EXTR_x)
{
    uint64_t high = c->x[i->rn], low = c->x[i->rm];

    c->x[i->rd] = i->a == 0 ? low : low >> i->a | high << (64 - i->a);
    return interp_next(c, i);
}
