/*
 * What saturating operations share: vector_sat.c has those of 8 and 16 bits, and hands wider ones
 * to vector_sat_wide.c; vector_sat_mul.c has products.
 */
#ifndef SOFT_JIT_VECTOR_SAT_H
#define SOFT_JIT_VECTOR_SAT_H

#include "soft/jit/vector.h"

/* x = what the instruction works on of v, zero above it: elements of 1 << scale bytes. */
void vector_load_elements(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v,
                          unsigned scale);
/* x = the source of an instruction that narrows to such elements: all of it, or one of twice the
 * size. */
void vector_load_source(jit_t t, const struct insn *i, enum x86_xmm x, unsigned scale);

/* SQADD and its kin of 32 and 64 bits; narrowing of 64 bits, in XMM0, to signed or unsigned 32
 * bits, also behind a right shift by n of signed or unsigned ones. EFLAGS are stored; true. */
bool vector_sat_add_wide(jit_t t, const struct insn *i, unsigned scale);
bool vector_sat_narrow_wide(jit_t t, const struct insn *i, bool is_signed);
bool vector_sat_shift_narrow_wide(jit_t t, const struct insn *i, unsigned n, bool is_unsigned,
                                  bool to_signed);

/* PMULL, PMULL2 of bytes. */
bool vector_pmull_bytes(jit_t t, const struct insn *i);

#endif
