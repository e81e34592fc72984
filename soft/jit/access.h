/*
 * What loads and stores are made of, for those of general and of SIMD&FP registers, besides
 * jit_look_up(): memory.c.
 */
#ifndef SOFT_JIT_ACCESS_H
#define SOFT_JIT_ACCESS_H

#include "soft/jit/translate.h"

/* Addressing: base and offset, base with write-back behind or before, base and register. */
enum jit_form { FORM_OFFSET, FORM_POST, FORM_PRE, FORM_REGISTER };

static inline bool jit_writes_back(enum jit_form form)
{
    return form == FORM_POST || form == FORM_PRE;
}

/* CheckSPAlignment(): `slow` gets the jump to the slow path, or NULL; the interpreter raises the
 * exception. Clobbers EFLAGS. */
void jit_check_base(jit_t t, const struct insn *i, uint8_t **slow);

/* RAX = the address. */
void jit_address(jit_t t, const struct insn *i, enum jit_form form);

/* Access with base and immediate: RAX + RCX + the offset returned is the host's address
 * (jit_found(t, )); may be one of a group. jit_access_end() writes the base back. Changes RDX and
 * EFLAGS. */
unsigned jit_access_begin(jit_t t, const struct insn *i);
void jit_access_end(jit_t t, const struct insn *i);

/* Is it a load or store with base and immediate? Where it begins, relative to the base as it is
 * before the instruction, and what it adds to that. */
bool jit_access_of(jit_t t, const struct jit_insn *n, int64_t *offset, int64_t *moves,
                   unsigned *size, bool *write);

/* rn += imm, flags stay. */
void jit_write_back(jit_t t, const struct insn *i);

#endif
