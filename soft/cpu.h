/*
 * Architectural state of one vCPU, and the inline paths that every instruction takes: flags, jumps
 * and memory.
 *
 * Source: Arm ARM DDI 0487, "the manual" in soft/. Everything here belongs to the vCPU's thread,
 * but for `attention`, which others set.
 */
#ifndef SOFT_CPU_H
#define SOFT_CPU_H

#include <setjmp.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "soft/insn.h"

struct jit_jump;
struct soft_vm;
struct exclusive_set;

/* SIMD and FP register; element 0 is the least significant. */
union vreg {
    uint8_t b[16];
    uint16_t h[8];
    uint32_t s[4];
    uint64_t d[2];
    int8_t sb[16];
    int16_t sh[8];
    int32_t ss[4];
    int64_t sd[2];
} __attribute__((aligned(16)));

/* NZCV in PSTATE's place. */
#define PSTATE_N (1u << 31)
#define PSTATE_Z (1u << 30)
#define PSTATE_C (1u << 29)
#define PSTATE_V (1u << 28)

/* PSTATE.BTYPE: how the branch came here (FEAT_BTI). */
enum { BTYPE_NONE, BTYPE_ANY, BTYPE_CALL, BTYPE_JUMP };

/* DAIF in SPSR's place. */
#define PSTATE_D (1u << 9)
#define PSTATE_A (1u << 8)
#define PSTATE_I (1u << 7)
#define PSTATE_F (1u << 6)

/*
 * First-level software TLB: 4 KiB pages whatever the guest's granule, a bank for EL0 and one for
 * EL1. `rd` and `wr` hold the page's virtual address when it may be read or written as plain
 * memory, else TLB_NEVER, which matches no address. Only aligned-or-not normal RAM gets an entry;
 * device memory, MMIO, watched pages and everything while the MMU is off or SCTLR_EL1.A is set take
 * the slow path. A TLB grows with its use, soft/mmu/tlb.c.
 */
#define TLB_ENTRIES     1024
#define TLB_ENTRIES_MAX 32768
/* What no address that maps to this slot matches: a page of the neighbouring slot. */
#define TLB_NEVER(slot) (((uint64_t)(slot) ^ 1) << 12)
/* Bits of tlb_entry.pa: the page may be written, but not unseen (soft/exclusive.c); it is likely to
 * be in a region or a window. */
#define TLB_WATCHED 1u
#define TLB_IN_ROW  2u

struct tlb_entry {
    uint64_t rd, wr;
    uintptr_t add; /* host address = add + virtual address */
    uint64_t pa;   /* of the page, and TLB_WATCHED, TLB_IN_ROW */
};

/*
 * In front of it, for translated code: the page that a site of code found last, or pages that the
 * host has in a row (soft/mmu/window.c). It matches if the address, less `va`, is below the limit
 * for the kind of access; a limit of 0 matches nothing. Limits are made for accesses of up to so
 * many bytes: of few in the first half of all, of many in the second.
 *
 * Behind them, by address, are regions and windows that were found lately, to be copied from.
 */
#define TLB_PAGES     256
#define TLB_PAGE_FEW  16
#define TLB_PAGE_MANY 256
#define TLB_ROWS      64
#define TLB_ROW_SHIFT 18

struct tlb_page {
    uint64_t va;
    uintptr_t add;
    uint64_t rd, wr;
};

static inline unsigned tlb_page_bytes(unsigned n)
{
    return n < TLB_PAGES / 2 || n >= TLB_PAGES ? TLB_PAGE_FEW : TLB_PAGE_MANY;
}

static inline unsigned tlb_row_of(uint64_t va)
{
    return TLB_PAGES + (unsigned)(va >> TLB_ROW_SHIFT) % TLB_ROWS;
}

/*
 * Beside it, for translated code whose accesses go far: 2 MiB that the guest maps by one leaf, to
 * memory that the host has in one piece. Tags as above, of the region.
 */
#define TLB_WIDES            64
#define TLB_WIDE_SHIFT       21
#define TLB_WIDE_NEVER(slot) (((uint64_t)(slot) ^ 1) << TLB_WIDE_SHIFT)

struct tlb_wide {
    uint64_t rd, wr;
    uintptr_t add;
    uint64_t writable; /* 1: the leaf says so; wr may not, if a page of it is watched */
};

struct tlb {
    uint32_t mask;       /* of an entry's offset in `e` */
    uint32_t refills;    /* since it was flushed or grew */
    uint64_t wides_used; /* bit n: wide[n] may match */
    uint8_t unused[48];  /* an entry lies in one line of the host's cache */
    struct tlb_entry e[TLB_ENTRIES_MAX];
    struct tlb_page page[TLB_PAGES + TLB_ROWS];
    uint8_t page_used[TLB_PAGES + TLB_ROWS]; /* 1: it may match */
    struct tlb_wide wide[TLB_WIDES];
};

static inline unsigned tlb_entries(const struct tlb *t)
{
    return t->mask / sizeof(struct tlb_entry) + 1;
}

static inline struct tlb_entry *tlb_entry_of(struct tlb *t, uint64_t va)
{
    return &t->e[(va >> 12) % tlb_entries(t)];
}

static inline struct tlb_wide *tlb_wide_of(struct tlb *t, uint64_t va)
{
    return &t->wide[(va >> TLB_WIDE_SHIFT) % TLB_WIDES];
}

/* Fetch TLB: virtual page to decoded page, for the current exception level. */
#define FETCH_ENTRIES 512

struct fetch_entry {
    uint64_t va; /* of the page, or TLB_NEVER */
    struct code_page *page;
};

/* Instructions that a budget lasts for at most: a taken branch costs one unit. Bounds the latency
 * of cancel and timer checks. */
#define CPU_BUDGET 1024

#define JIT_HALVES 12

struct cpu {
    uint64_t x[REG_COUNT]; /* X0-X30, current SP, zero, and a place for results nobody reads */
    uint64_t pc;           /* valid outside the inner loop; inside it see cpu_pc() */
    uint32_t nzcv;         /* PSTATE_N..V only */
    int32_t budget;        /* taken branches until the next look at attention and timers */
    struct code_page *page;
    uint64_t page_va;       /* virtual address at which `page` runs */
    const struct insn *run; /* where execution last went on: the run of straight-line code since,
                               NULL between instructions */
    uint64_t instructions;  /* executed in runs that ended */
    struct tlb *tlb;        /* the bank of the current exception level */
    struct fetch_entry *fetch;

    union vreg v[32];
    uint32_t fpcr, fpsr;

    /* PSTATE beyond NZCV. */
    uint8_t el; /* 0 or 1 */
    bool sp_sel, pan, uao, dit, ssbs, ss, il;
    bool fp_enabled; /* CPACR_EL1.FPEN at the current exception level, see fp_check() */
    bool sp_check;   /* SCTLR_EL1.SA or SA0, whichever the current exception level obeys */
    uint8_t btype;
    uint32_t daif;     /* PSTATE_D..F */
    uint64_t sp_el[2]; /* the bank that x[REG_SP] does not hold now is valid here */

    /* Local exclusive monitor; the global one is soft/exclusive.c's. */
    bool excl_valid;
    bool excl_watched; /* what exclusive_load() said */
    uint8_t excl_size; /* bytes: 1, 2, 4, 8, 16 */
    uint64_t excl_pa;
    uint64_t excl_value[2];
    uint64_t excl_desired[2]; /* translated code's, for a store-exclusive by soft/jit/exclusive.c */
    struct exclusive_set *excl_held; /* by mem_atomic(), or NULL */

    /* The JIT's: where indirect branches look their target up (nothing is found in jit_no_jumps,
     * which cpu_attend() leaves here), and NZCV while translated code runs. */
    _Atomic(struct jit_jump *) jit_jumps;
    struct jit_jump *jit_no_jumps;
    uint16_t jit_flags;
    uint64_t jit_halves[JIT_HALVES];   /* of products that are used later: soft/jit/products.c */
    _Atomic uintptr_t jit_returns_end; /* calls look at this, too: soft/jit/returns.c */
    const uint8_t *jit_estimates;      /* soft/jit/vector_estimate.c; code holds no addresses */

    jmp_buf unwind; /* deep code leaves the instruction through this; see soft/exc.h */
    _Atomic uint32_t attention;
    struct soft_vm *vm;
    struct soft_vcpu *vcpu; /* the rest of the state: system registers, timers, exit record */
};

/* Have the vCPU look at `attention` soon: set bits of it. Any thread. */
static inline void cpu_attend(struct cpu *c, uint32_t why)
{
    atomic_fetch_or(&c->attention, why);
    atomic_store(&c->jit_jumps, c->jit_no_jumps);
    atomic_store_explicit(&c->jit_returns_end, UINTPTR_MAX, memory_order_relaxed);
}

/* The run ends before the instruction at `pc`, which did not execute yet: count what did. */
static inline void cpu_end_run(struct cpu *c, uint64_t pc)
{
    if (c->run)
        c->instructions += (pc - c->page_va - c->run->offset) / 4;
    c->run = NULL;
}

/* `i` looks at `instructions`: make them right up to it. */
static inline void cpu_count_run(struct cpu *c, const struct insn *i)
{
    c->instructions += (uint64_t)(i - c->run);
    c->run = i;
}

/* The address of `i` while it executes. */
static inline uint64_t cpu_pc(const struct cpu *c, const struct insn *i)
{
    return c->page_va + i->offset;
}

/* Out of line part of cpu_jump: look the page up, or leave the loop (NULL) when the budget is used
 * up, the target is misaligned or its page has no entry. soft/run.c. */
const struct insn *cpu_jump_slow(struct cpu *c, uint64_t target);

/* Go on at `target`. The last thing an instruction does. */
static inline const struct insn *cpu_jump(struct cpu *c, uint64_t target)
{
    if (LIKELY(--c->budget > 0)) {
        if (LIKELY((target ^ c->page_va) < CODE_PAGE_SIZE && !(target & 3)))
            return &c->page->slot[(target & (CODE_PAGE_SIZE - 1)) >> 2];
        const struct fetch_entry *f = &c->fetch[(target >> CODE_PAGE_SHIFT) % FETCH_ENTRIES];
        if (LIKELY((f->va ^ target) < CODE_PAGE_SIZE && !(target & 3))) {
            c->page = f->page;
            c->page_va = f->va;
            return &f->page->slot[(target & (CODE_PAGE_SIZE - 1)) >> 2];
        }
    }
    return cpu_jump_slow(c, target);
}

/* ConditionHolds(), the manual's shared pseudocode; `cond` 0 to 15. */
static inline bool cpu_condition(uint32_t nzcv, unsigned cond)
{
    static const uint16_t holds[16] = {
        /* bit n is set when the condition holds for NZCV = n */
        0xf0f0, 0x0f0f, 0xcccc, 0x3333, 0xff00, 0x00ff, 0xaaaa, 0x5555,
        0x0c0c, 0xf3f3, 0xaa55, 0x55aa, 0x0a05, 0xf5fa, 0xffff, 0xffff,
    };
    return holds[cond] >> (nzcv >> 28) & 1;
}

/*
 * Memory as instructions see it. Every access goes through one of these: little-endian, of the
 * current exception level, or of EL0 with MEM_UNPRIV. Faults and exits do not return (they leave
 * through cpu->unwind), so a function does its accesses before it changes a register.
 */
enum mem_flags {
    MEM_UNPRIV = 1,  /* LDTR and STTR */
    MEM_ALIGNED = 2, /* misaligned is an alignment fault: exclusives, ordered and atomic accesses */
    MEM_NO_DEVICE = 4, /* device memory is an alignment fault: DC ZVA */
};

/* soft/mmu/access.c. `size` 1, 2, 4 or 8; flags of enum mem_flags. */
uint64_t mem_load_slow(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                       unsigned flags);
void mem_store_slow(struct cpu *c, const struct insn *i, uint64_t va, unsigned size, uint64_t value,
                    unsigned flags);

/*
 * The host address of `size` naturally aligned bytes for an atomic read-modify-write (LSE, CAS):
 * checked for both reading and writing, alignment enforced. Does not return for device memory. The
 * access is followed by mem_atomic_end().
 */
void *mem_atomic(struct cpu *c, const struct insn *i, uint64_t va, unsigned size);
void mem_atomic_end(struct cpu *c);

/* The same for a load-exclusive and a store-exclusive, checked for what they do; `pa` gets the
 * physical address. */
const void *mem_load_exclusive(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                               uint64_t *pa);
void *mem_store_exclusive(struct cpu *c, const struct insn *i, uint64_t va, unsigned size,
                          uint64_t *pa);

/* Make sure that [va, va + size) can be accessed, before an instruction of several accesses does
 * the first: LDP, STP, LD1 to LD4, DC ZVA. size 1 to 64; `element` is what has to be aligned. */
void mem_probe(struct cpu *c, const struct insn *i, uint64_t va, unsigned size, unsigned element,
               bool write, unsigned flags);

static inline const struct tlb_entry *mem_entry(const struct cpu *c, uint64_t va)
{
    size_t offset = va / (4096 / sizeof(struct tlb_entry)) & c->tlb->mask;
    return (const struct tlb_entry *)((const char *)c->tlb->e + offset);
}

#define MEM_ACCESSORS(width)                                                                       \
    static inline uint##width##_t mem_ld##width(struct cpu *c, const struct insn *i, uint64_t va)  \
    {                                                                                              \
        const struct tlb_entry *e = mem_entry(c, va);                                              \
        if (LIKELY((e->rd ^ va) <= 4096 - width / 8)) {                                            \
            uint##width##_t v;                                                                     \
            memcpy(&v, (const void *)(e->add + va), sizeof v);                                     \
            return v;                                                                              \
        }                                                                                          \
        return (uint##width##_t)mem_load_slow(c, i, va, width / 8, 0);                             \
    }                                                                                              \
    static inline void mem_st##width(struct cpu *c, const struct insn *i, uint64_t va,             \
                                     uint##width##_t v)                                            \
    {                                                                                              \
        const struct tlb_entry *e = mem_entry(c, va);                                              \
        if (LIKELY((e->wr ^ va) <= 4096 - width / 8))                                              \
            memcpy((void *)(e->add + va), &v, sizeof v);                                           \
        else                                                                                       \
            mem_store_slow(c, i, va, width / 8, v, 0);                                             \
    }

MEM_ACCESSORS(8)
MEM_ACCESSORS(16)
MEM_ACCESSORS(32)
MEM_ACCESSORS(64)
#undef MEM_ACCESSORS

#endif
