/*
 * A decoded instruction, and how one follows another.
 *
 * Guest code is decoded lazily, word by word, into a `struct code_page`: one slot for each of the
 * 1024 words of a 4 KiB physical page. A slot that was not reached yet has `fn =
 * interp_decode_slot`, which decodes the word in place and goes on with it; so nothing is decoded
 * twice and there is no separate block table. An instruction's function returns the slot to run
 * next: `i + 1`, a slot of the same page for a branch inside it, or whatever cpu_jump() finds; NULL
 * leaves the inner loop (exit, attention), with cpu->pc valid. Slot 1024 runs off the end of the
 * page into the next one. Nobody may rely on one call being one instruction: a function may go on
 * with those that follow, up to the next taken branch, before it returns.
 *
 * A slot's meaning depends on nothing but the word, so a page serves every virtual address and
 * exception level.
 */
#ifndef SOFT_INSN_H
#define SOFT_INSN_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct insn;

/* Execute `i` and return the next slot, or NULL to leave the inner loop. */
typedef const struct insn *insn_fn(struct cpu *c, const struct insn *i);

struct insn {
    insn_fn *fn;
    int64_t imm;     /* immediate, branch displacement in bytes, or expanded bit mask */
    uint32_t word;   /* the instruction itself, for functions that take fields from it */
    uint16_t offset; /* byte offset in the page */
    /* Indices into cpu->x: 0 to 30, REG_SP, REG_ZR (source 31) or REG_NONE (destination 31). */
    uint8_t rd, rn, rm, ra;
    uint8_t a, b; /* small operands: shift type and amount, condition, access size ... */
};

_Static_assert(sizeof(struct insn) == 32, "one slot is half a cache line");

/* What cpu->x holds beyond X0 to X30. */
enum { REG_LR = 30, REG_SP = 31, REG_ZR = 32, REG_NONE = 33, REG_COUNT = 34 };

#define CODE_PAGE_SHIFT 12
#define CODE_PAGE_SIZE  4096u
#define CODE_PAGE_SLOTS (CODE_PAGE_SIZE / 4)

struct code_page {
    struct insn slot[CODE_PAGE_SLOTS + 1];
    const uint8_t *host; /* the guest's bytes */
    uint64_t pa;         /* of the page */
    struct code_page *hash_next, *lru_next, *lru_prev;
};

/* soft/interp/decode.c: `fn` of a slot that was not decoded yet, and of the slot after the last. */
insn_fn interp_decode_slot;
insn_fn interp_page_end;

/* soft/interp/decode.c: execute exactly one instruction, a slot of the current page; cpu->pc says
 * where to go on. Leaves like the instruction if that faults or exits. True: it is the next slot
 * because the instruction just went on. */
bool interp_step(struct cpu *c, const struct insn *i);

/* soft/interp/bti.c: cpu->btype is not BTYPE_NONE and `i` is next: may it be? Clears btype, or
 * raises the branch target exception. */
void interp_check_target(struct cpu *c, const struct insn *i);

/* soft/interp/decode.c: fill every slot of a page with interp_decode_slot. */
void interp_reset_page(struct code_page *page);

#endif
