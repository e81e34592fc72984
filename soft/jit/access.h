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

#define JIT_TLB_SHIFT 5

_Static_assert(sizeof(struct tlb_entry) == 1u << JIT_TLB_SHIFT, "the index is a shift");

/* `to` = where in the TLB the entry for the address in `at` would be; its fields if that is RCX. */
static inline void jit_tlb_index(const struct jit *j, struct x86_buf *b, enum x86_reg to,
                                 enum x86_reg at)
{
    if (j->host.bmi2) {
        x86_rorx(b, 0, to, at, 12 - JIT_TLB_SHIFT);
    } else {
        x86_mov_rr(b, 0, to, at);
        x86_shift_ri(b, 0, X86_SHR, to, 12 - JIT_TLB_SHIFT);
    }
    x86_alu_rm(b, 0, X86_AND, to, x86_at(JIT_TLB, offsetof(struct tlb, mask)));
}
static inline struct x86_mem jit_tlb_field(size_t offset)
{
    return x86_indexed(JIT_TLB, RCX, 0, (int32_t)(offsetof(struct tlb, e) + offset));
}

/* A field of one of tlb.page[]. */
static inline struct x86_mem jit_place_field(unsigned n, size_t offset)
{
    return x86_at(JIT_TLB,
                  (int32_t)(offsetof(struct tlb, page) + n * sizeof(struct tlb_page) + offset));
}

/* What is looked up is `at`; what is to be added to it will be in RCX. `page`: as in struct
 * jit_slow. */
static inline void jit_looks_up(jit_t t, struct x86_mem at, unsigned size, bool write,
                                unsigned page)
{
    t->look_up.address = at;
    t->look_up.size = size;
    t->look_up.write = write;
    t->look_up.page = page;
    t->look_up.found = (enum x86_reg)at.base;
    t->look_up.add = RCX;
    t->look_up.disp = at.disp;
}

/* soft/jit/place.c: which of tlb.page[] an access of `size` bytes looks at, or -1; the look-up
 * there, which returns the jump of a miss; and in cold code, with the address in RCX, what the miss
 * does first. */
int jit_place_of(jit_t t, unsigned base, unsigned size, unsigned site);
int jit_place_of_far(jit_t t, unsigned stream, unsigned size); /* jit_place_is_far() */
uint8_t *jit_look_up_place(jit_t t, enum x86_reg at, int32_t disp, unsigned n, unsigned size,
                           bool write);
void jit_place_missed(jit_t t);

/* rn += imm, flags stay. */
void jit_write_back(jit_t t, const struct insn *i);

#endif
