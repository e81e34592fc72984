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

/*
 * Optimised builds do not return to the loop after each instruction: they call the next one's
 * function, which the compiler turns into a jump, as caller and callee have the same arguments and
 * nothing of the caller is left. Functions with locals whose address is taken return `i + 1`
 * instead, as do those that are rare. Taken branches return as well, so even a compiler that called
 * would need no more stack than one page of slots.
 */
#if defined(__has_feature)
#define INTERP_FEATURE(name) __has_feature(name)
#else
#define INTERP_FEATURE(name) 0
#endif
#if defined(__OPTIMIZE__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&    \
    !INTERP_FEATURE(address_sanitizer) && !INTERP_FEATURE(thread_sanitizer)
#define INTERP_CHAIN 1
#else
#define INTERP_CHAIN 0
#endif

/* Go on with the slot after `i`. */
static inline const struct insn *interp_next(struct cpu *c, const struct insn *i)
{
    return INTERP_CHAIN ? i[1].fn(c, i + 1) : i + 1;
}

/* Functions that format_bitfield() chooses; the other direction is in a64.decode. */
insn_fn interp_UBFIZ, interp_BFI;

/* soft/interp/branch.c: called by the formats once imm is known; a target inside the page gets a
 * function that need not look for it. */
void branch_specialise(struct insn *i);

/* soft/interp/bti.c: branch from `i` to `target` with PSTATE.BTYPE = `btype`, which is ignored on a
 * CPU without BTI; what a BR from `i` has there; and what becomes of BR and BLR on a CPU with it.
 */
const struct insn *interp_branch_indirect(struct cpu *c, const struct insn *i, uint64_t target,
                                          unsigned btype);
unsigned interp_branch_type(struct cpu *c, const struct insn *i);
insn_fn *interp_with_bti(insn_fn *fn);

/* soft/interp/ldst_excl.c: a load-exclusive of `size` bytes at `pa`, which are at `host`: what it
 * reads is in cpu.excl_value. A store-exclusive of cpu.excl_size bytes, while there is a local
 * monitor; true: it has stored. */
void interp_load_exclusive(struct cpu *c, const void *host, uint64_t pa, unsigned size);
bool interp_store_exclusive(struct cpu *c, void *host, uint64_t pa, const uint64_t desired[2]);

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

/* The host's bytes at [va, va + size) if they are plain memory in one page, else NULL. */
static inline const uint8_t *interp_readable(const struct cpu *c, uint64_t va, unsigned size)
{
    const struct tlb_entry *e = mem_entry(c, va);

    return LIKELY((e->rd ^ va) <= 4096 - size) ? (const uint8_t *)(e->add + va) : NULL;
}

static inline uint8_t *interp_writable(const struct cpu *c, uint64_t va, unsigned size)
{
    const struct tlb_entry *e = mem_entry(c, va);

    return LIKELY((e->wr ^ va) <= 4096 - size) ? (uint8_t *)(e->add + va) : NULL;
}

/* Two adjacent registers: both are read before the caller changes one, and a store that would fault
 * stores nothing. */
#define INTERP_PAIR(width)                                                                         \
    static inline void interp_ld##width##_pair(struct cpu *c, const struct insn *i, uint64_t va,   \
                                               uint64_t *first, uint64_t *second)                  \
    {                                                                                              \
        const uint8_t *host = interp_readable(c, va, width / 4);                                   \
        if (host) {                                                                                \
            *first = ld_le##width(host);                                                           \
            *second = ld_le##width(host + width / 8);                                              \
        } else {                                                                                   \
            *first = mem_ld##width(c, i, va);                                                      \
            *second = mem_ld##width(c, i, va + width / 8);                                         \
        }                                                                                          \
    }                                                                                              \
    static inline void interp_st##width##_pair(struct cpu *c, const struct insn *i, uint64_t va,   \
                                               uint64_t first, uint64_t second)                    \
    {                                                                                              \
        uint8_t *host = interp_writable(c, va, width / 4);                                         \
        if (host) {                                                                                \
            st_le##width(host, (uint##width##_t)first);                                            \
            st_le##width(host + width / 8, (uint##width##_t)second);                               \
        } else {                                                                                   \
            mem_probe(c, i, va, width / 4, width / 8, true, 0);                                    \
            mem_st##width(c, i, va, (uint##width##_t)first);                                       \
            mem_st##width(c, i, va + width / 8, (uint##width##_t)second);                          \
        }                                                                                          \
    }

INTERP_PAIR(32)
INTERP_PAIR(64)
#undef INTERP_PAIR

#endif
