/*
 * What the files of this folder share: how a function is defined, results of 32 bits, and the base
 * register of loads and stores.
 */
#ifndef SOFT_INTERP_INTERP_H
#define SOFT_INTERP_INTERP_H

#include "soft/cpu.h"
#include "soft/exc.h"
#include "soft/interp/a64_ops.h"

/* Define the function of encoding `name`: INSN(NOP) { return i + 1; } */
#define INSN(name) const struct insn *interp_##name(struct cpu *c, const struct insn *i)

/* Functions that format_bitfield() chooses; the other direction is in a64.decode. */
insn_fn interp_UBFIZ, interp_BFI;

/* soft/interp/branch.c: called by the formats once imm is known; a target inside the page gets a
 * function that need not look for it. */
void branch_specialise(struct insn *i);

/* soft/interp/decode.c */
_Noreturn void interp_sp_misaligned(struct cpu *c, const struct insn *i);

/* The base register of a load or store, CheckSPAlignment() included. */
static inline uint64_t interp_base(struct cpu *c, const struct insn *i)
{
    uint64_t base = c->x[i->rn];

    if (UNLIKELY(i->rn == REG_SP && (base & 15) && c->sp_check))
        interp_sp_misaligned(c, i);
    return base;
}

#endif
