/*
 * The JIT as the rest of soft/ sees it. Each vCPU has a translator of its own, and all of a VM one
 * cache of code; everything is called on the vCPU's thread but for cpu_attend().
 * docs/jit.md has the design and its invariants.
 */
#ifndef SOFT_JIT_JIT_H
#define SOFT_JIT_JIT_H

#include <stdbool.h>
#include <stdint.h>

struct cpu;
struct hvx_vcpu_stats;
struct jit;
struct jit_cache;
struct mmu_bank;
struct soft_vcpu;
struct tlb;

/* Where code of a virtual address is: what indirect branches look up inline, in the table of the
 * bank. One of zeros would only match address 0, so the first one is never that. */
struct jit_jump {
    uint64_t pc;
    const uint8_t *code;
};

#define JIT_JUMPS 32768

/* Validated code pages of a bank: slot jit_bind_slot(va) holds the id of the binding (virtual page,
 * physical page, exception level) that is current, or 0. */
#define JIT_BINDS 4096

static inline unsigned jit_bind_slot(uint64_t va)
{
    return (unsigned)((va >> 12 ^ va >> 24) & (JIT_BINDS - 1));
}

/* With the knob `track`: pages that were written, until the instruction is done. */
#define JIT_WRITTEN 4

/* In struct soft_vcpu, as translated code reaches it from the state pointer. */
struct jit_hot {
    struct jit *jit;   /* NULL: the interpreter runs */
    bool running;      /* translated code was entered */
    struct tlb *empty; /* in place of every bank's, or NULL */
    bool one_entry;    /* keep one entry in each bank */
    bool ungrown;      /* TLBs stay as small as they begin */
    bool narrow;       /* they have no regions */
    bool shut;         /* there are no windows: soft/mmu/window.c */
    bool aliased;      /* only the pages found last lead to them */
    bool open;         /* there is all time for them */
    bool track;        /* stores to code are seen: soft/jit/track.c */
    unsigned written_count;
    uint64_t written[JIT_WRITTEN];
    uint64_t helpers; /* calls by the thunk `helper` */
    int32_t fills;    /* until C is asked again to fill a place: soft/jit/place.c */
    /* The stack pointer of C that translated code calls; that of translated code meanwhile, and
     * when there are no returns: soft/jit/returns.c. */
    uintptr_t c_stack, returns, returns_base;
    uintptr_t stream[4]; /* what is to be added to addresses: soft/jit/stream.c */
};

/* Which virtual pages of a bank were ever executed since it forgot all: a filter of hashes. */
#define JIT_FILTER_BITS 65536

/* jump[] in 64 pieces, a bit each for those that are in use. */
#define JIT_JUMP_PIECE (JIT_JUMPS / 64)

struct jit_bank {
    uint32_t bind[JIT_BINDS];
    uint64_t filter[JIT_FILTER_BITS / 64];
    uint32_t mode;    /* of the code that jump[] leads to: JIT_MODE_* */
    unsigned strange; /* lookups in other modes since */
    uint64_t used;    /* pieces of jump[] */
    struct jit_jump jump[JIT_JUMPS];
};

/* Of a VM: pages (modulo the bits) that translated code was made of, and that some TLB had an entry
 * for writing of. */
#define JIT_TRACK_BITS (1u << 20)

struct jit_track {
    _Atomic uint64_t code[JIT_TRACK_BITS / 64], written[JIT_TRACK_BITS / 64];
};

/* x86-64-v2, and not told otherwise by IREKO_JIT=off. */
bool jit_host_is_able(void);

/* -ENOMEM, or 0 with v->jit filled. */
int jit_create(struct soft_vcpu *v);
void jit_destroy(struct soft_vcpu *v);

/* The VM ends, and its vCPUs are gone. What they translated goes to its folder, if it has one. */
void jit_cache_close(struct jit_cache *c);

/* v->in_guest was set: code memory may be about to become free, which has to be waited for. */
void jit_await(struct soft_vcpu *v);
bool jit_is_awaited(const struct soft_vcpu *v); /* is it? */

/* Fill in what the JIT counts. The vCPU has one. */
void jit_read_stats(const struct soft_vcpu *v, struct hvx_vcpu_stats *stats);

/* Run from cpu.pc until something needs the loop of soft/run.c. Faults leave by cpu.unwind. */
void jit_run(struct soft_vcpu *v);

/* Behind jit_run(), also when a fault left it: FPSR is right again. */
void jit_end_run(struct soft_vcpu *v);

/* FPCR, the exception level, the bank or anything else that code depends on changed. */
void jit_update_context(struct cpu *c);

/* Virtual pages of a bank may mean something else from now on; the whole bank; every bank. */
void jit_forget_pages(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, uint64_t pages);
void jit_forget_bank(struct soft_vcpu *v, struct mmu_bank *b);
void jit_forget_all(struct soft_vcpu *v);

/* If v->hot.track: may a TLB have an entry for writing of this page? And somebody is about to write
 * to it. */
bool jit_track_may_write(struct soft_vcpu *v, uint64_t pa);
void jit_track_write(struct soft_vcpu *v, uint64_t pa);
/* If v->hot.written_count, between instructions: blocks of what was written are retired if they
 * differ from it, those of other vCPUs soon. */
void jit_track_settle(struct soft_vcpu *v);

/* Guest code changed: one line of IREKO_V1_CODE_LINE bytes, perhaps a page, or anything; for all
 * vCPUs, when each of them has called jit_hear_changes(). */
void jit_invalidate_line(struct soft_vcpu *v, uint64_t pa);
void jit_invalidate_page(struct soft_vcpu *v, uint64_t pa);
void jit_invalidate_all(struct soft_vcpu *v);
void jit_hear_changes(struct soft_vcpu *v);
/* The vCPU has a new memory map. */
void jit_adopt_map(struct soft_vcpu *v);
/* Free all translations, of all vCPUs. */
void jit_drop_all(struct soft_vcpu *v);

#endif
