/*
 * The JIT at run time: code memory, blocks and how they are found and linked, thunks between
 * translated code and C.
 */
#ifndef SOFT_JIT_RUNTIME_H
#define SOFT_JIT_RUNTIME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bits.h"
#include "base/lock.h"
#include "soft/cpu.h"
#include "soft/insn.h"
#include "soft/interp/a64_ops.h"
#include "soft/jit/jit.h"
#include "soft/jit/store.h"
#include "soft/jit/x86.h"
#include "soft/mmu/mmu.h"

struct cpu;
struct jit_store;
struct soft_vcpu;

/* What code depends on besides its address. */
enum jit_mode {
    JIT_MODE_EL1 = 1,
    JIT_MODE_FP = 2,       /* SIMD&FP registers do not trap */
    JIT_MODE_SP_CHECK = 4, /* SP has to be aligned where it is a base */
    JIT_MODE_FPCR = 8,     /* FPCR asks for nothing but round to nearest */
};

#define JIT_NONE 0 /* no block, exit or binding: tables of zeros are empty */

/* A block: the translation of guest code from `pa`, mapped at `va`, in one mode. */
struct jit_block {
    uint64_t pa, va;
    uint8_t mode;
    bool is_clone : 1, is_warm : 1;
    uint8_t maker : 6; /* of a clone, the index of its vCPU, which may use its place again */
    uint8_t count;     /* instructions */
    uint8_t exit_count;
    uint32_t code;             /* offset in the cache; 0: retired */
    uint32_t incoming;         /* first exit that is linked to this block; or JIT_GONE */
    const uint8_t *page;       /* the guest's bytes */
    uint64_t checksum;         /* of the words that were translated, and of those looked at */
    uint32_t high : 13;        /* end, as an offset in the page */
    uint32_t reloc_count : 12; /* 0: it cannot be cloned */
    uint32_t looked : 7;       /* words looked at besides those translated */
    uint16_t hot_size, cold_size;
    uint32_t cold; /* offset of the cold part */
    uint32_t exit_first;
    union {
        uint32_t page_next; /* originals of the same page bucket */
        uint32_t gone;      /* of a clone that is gone: the time, for jit_all_saw() */
    };
    uint32_t clones; /* of an original, which form a ring */
    union {
        uint32_t last_clone; /* of an original */
        uint32_t next_clone; /* of a clone */
    };
} __attribute__((packed, aligned(4))); /* there are many */

/* In place of its first exit: nothing leads to the clone, and nothing is to lead there. */
#define JIT_GONE UINT32_MAX

/* Of a table: entries that there is memory for, and that have addresses. Tables do not move, as
 * vCPUs read them while others add to them. */
struct jit_room {
    uint32_t made, mapped;
};

/* How blocks are found, apart from them, since those of other addresses need not be touched then.
 */
struct jit_chain {
    uint32_t tag;  /* of the block's physical address and mode */
    uint32_t next; /* originals, or clones, of the same bucket */
};

/* Offset of what is behind the cold part: places of the words looked at; relocations, which a clone
 * has none of (soft/jit/clone.c). */
static inline uint32_t jit_block_lists(const struct jit_block *b)
{
    return (b->cold + b->cold_size + 1) & ~1u;
}

/* Of an offset in the cache. */
#define JIT_OFFSET_BITS 30
#define JIT_OFFSET      ((1u << JIT_OFFSET_BITS) - 1)

/* A direct exit of a block: a jump that leads to its cold tail until it is linked. */
struct jit_exit {
    uint64_t target;
    uint32_t site : JIT_OFFSET_BITS; /* offset of the jump's displacement */
    uint32_t bound : 1;              /* to another page: the slot is compared with a binding's id */
    uint32_t called : 1;             /* by CALL */
    uint32_t tail;                   /* offset of the cold tail */
    uint32_t block;                  /* linked to, or JIT_NONE */
    uint32_t incoming_next;          /* of what it is linked to; else when its id was taken away */
} __attribute__((packed, aligned(4)));

/* The id of none. */
#define JIT_NO_BINDING UINT32_MAX

/* Where that id is: in front of JE, or of JNE, PUSH R12, CALL. */
static inline uint32_t jit_exit_bind_site(const struct jit_exit *e)
{
    return e->site - (e->called ? 13 : 6);
}

#define JIT_BLOCK_EXITS 66

/* Code that others may be executing: 32 bits that lie in 8 aligned bytes change at once (AMD64
 * manual, volume 2, 7.6.1). */
static inline void jit_put_32(uint8_t *at, uint32_t value)
{
    __asm__ volatile("movl %1, %0" : "=m"(*(uint8_t(*)[4])at) : "r"(value) : "memory");
}

/* As x86_patch(). */
static inline void jit_patch(uint8_t *at, const uint8_t *to)
{
    jit_put_32(at, (uint32_t)(to - (at + 4)));
}

/* In an exit's tail: its number, behind the call of thunk `link`. */
#define JIT_TAIL_NUMBER 5

/* Of blocks in the cache, the constants of vector code in mind. */
#define JIT_ALIGN 16

/* (virtual page, physical page, exception level) that has code. */
struct jit_binding {
    uint64_t va, pa;
    const uint8_t *host;
    uint32_t el;
    uint32_t next; /* of the same bucket */
};

/* In the code cache, behind the call of thunk `interp`: an instruction for the interpreter's
 * function, which is at `offset` in the page. `next` is the offset of the code to go on with. There
 * is no address of this process in it, as it may be kept for another one. */
struct jit_call {
    uint64_t page_va;
    uint32_t next;
    uint32_t word;
    uint32_t op, offset; /* no padding: what is kept has all bytes of it */
};

/* The same behind the call of thunk `slow`, for instructions that seldom need it, `count` of them
 * from `offset` in the page on. There are many, and most are never looked at, so they say as little
 * as will do; what all of a block have in common is in one place of its cold part. Behind it are
 * the instructions' words, 32 bits each. Neither is aligned. */
struct jit_slow {
    uint16_t common; /* so many bytes before this: struct jit_slow_common */
    uint16_t next,
        found; /* code to go on with; of thunk `refill`, behind the look-up: JIT_SLOW_* */
    uint16_t offset;
    uint32_t size : 10; /* bytes looked up */
    uint32_t write : 1, count : 8;
    uint32_t page : 13; /* tlb.page[page - 1] was looked at; 0: the TLB */
};

/* A place in the hot part; or in the cold one, from the common record on. */
#define JIT_SLOW_COLD 0x8000u

struct jit_slow_common {
    uint64_t page_va;
    uint32_t code; /* offset of the hot part */
} __attribute__((packed));

/* Copies of V registers: in XMM6 to XMM15, and where the host has 32 of them, XMM16 to XMM31. */
#define JIT_COPIES_LOW    10
#define JIT_VECTOR_COPIES 26

/* Behind the instructions of a slow path that is taken by thunk `slow_v` or `refill_v`: for each
 * copy that there may be the V register that it has in memory's stead, or 0xff, and then the one
 * that it is to have afterwards (soft/jit/vector_cache.c). */
struct jit_slow_copies {
    uint8_t store[JIT_VECTOR_COPIES], load[JIT_VECTOR_COPIES];
};

/* While a block is translated: what its code says of where it lies. */
struct jit_relocs {
    struct x86_sites sites;
    bool failed; /* it cannot be cloned */
};

/* A look-up in the TLB as code: where the size of the access and the jump of a miss are. */
struct jit_look_up {
    uint8_t code[48];
    uint8_t size, limit, jump;
};

/* Sites of code that look at a place of tlb.page[], while it is found out whether that is worth it:
 * soft/jit/trial.c. */
struct jit_trial {
    const struct mmu_bank *bank;
    unsigned place, left, calls; /* 0 left: there is none */
    uint64_t va, size;           /* what the place would hold */
    unsigned sites;
    struct {
        uint64_t pa;
        unsigned seen, missed;
    } site[8];
};

#define JIT_LOOKED 127

/* While a block is translated: words of the page that were looked at besides those translated
 * (soft/jit/flags.c), as they were at the first look, as a guest may change them meanwhile. */
struct jit_looked {
    unsigned count;
    uint16_t at[JIT_LOOKED]; /* offsets */
    uint64_t seen[CODE_PAGE_SIZE / 4 / 64];
    uint32_t word[CODE_PAGE_SIZE / 4];
};

#define JIT_PAGE_HASH 16384
#define JIT_BIND_HASH 32768
#define JIT_SITES     65536
#define JIT_REGION    1024 /* bytes of code that are warm together */
#define JIT_REGIONS   16384
#define JIT_BUCKETS   (1u << 20) /* of blocks, at most */

struct jit_host {
    bool bmi1, bmi2, lzcnt;
    bool avx, avx2, avx512, f16c, fma, aes, pclmul, sha, gfni; /* avx512: F and VL */
    bool xmm32; /* all of 32 registers, for all but a few operations: x86_evex.h */
};

/* IREKO_JIT: switches for tests and measurements. */
struct jit_knobs {
    uint64_t cache_size, cache_most; /* for each vCPU; for all */
    bool baseline;                   /* use nothing beyond x86-64-v2 */
    bool count;                      /* count instructions in cpu.instructions */
    bool strict;                     /* NZCV is right at every fault, also where nobody reads it */
    bool ungrouped;                  /* a look-up for each access */
    bool unmixed;                    /* loads and stores share none */
    bool uncached;                   /* no copies of V registers in host registers */
    bool eager;                      /* V registers are always right in memory */
    bool ungrown;                    /* TLBs stay as small as they begin */
    bool narrow;                     /* no look-ups of 2 MiB at once */
    bool shut;                       /* no windows */
    bool aliased;                    /* entries of the TLB lead to none */
    bool open;                       /* windows wherever a page found last misses */
    bool unpaged;                    /* every access looks into the TLB */
    bool unfilled;                   /* C fills the places of pages found last */
    bool unspread;                   /* nests have none but for the stack */
    bool uncrossed;                  /* an access of two pages takes the slow path */
    bool sixteen;                    /* xmm registers, where the host has more */
    bool high;                       /* of those the ones beyond XMM15 first */
    bool unstraight;  /* all blocks are short, and have the registers that all code has */
    bool unrotated;   /* rotations of elements are two shifts */
    bool unfused;     /* ADRP and a load from there are two instructions */
    bool uncopied;    /* memory copy and memory set are the interpreter's */
    bool unjoined;    /* LDP and STP are two accesses */
    bool unpaired;    /* MUL and UMULH of the same factors are two multiplications */
    bool undelayed;   /* products are made where their instructions are */
    bool unlooped;    /* loops have the registers that all code has */
    bool unleaped;    /* searches execute every turn */
    bool unended;     /* or those from the last leap on */
    bool unnested;    /* only loops of one block have registers of their own */
    bool unmerged;    /* pairs of registers that streams move stay two registers */
    bool unstreamed;  /* loops look every access up */
    bool unstrided;   /* and those whose strides leave pages soon */
    bool unremade;    /* flags that are needed again are stored, not made again */
    bool unlinked;    /* no direct links */
    bool uncloned;    /* each virtual address has a translation of its own */
    bool cloned;      /* every block is the clone of one at another address */
    bool unjumped;    /* indirect branches find nothing */
    bool unpredicted; /* returns are not paired with calls */
    bool near;        /* every exit is where its branch is */
    bool small;       /* code memory has no large pages */
    bool late;        /* no memory is made before it is needed */
    bool polls;       /* a poll at every exit */
    bool tlb;         /* one entry in a TLB */
    bool slow;        /* no entry: every access takes the slow path */
    bool checksum;    /* a block is compared with the guest's bytes before C leads to it */
    bool track;       /* stores to code are seen */
    bool check;       /* back to C at the end of each block: soft/jit/check.c */
    bool wrong;       /* RBIT is translated wrongly, for tests of the engine `check` */
    unsigned max;     /* instructions in a block */
    unsigned warm;    /* how often code has to be found running to be warm; 0: it always is */
    struct jit_host without; /* what the host has, and is not to be used */
    char trace[256];         /* a file that every block is appended to, or empty */
    char keep[256];          /* a folder that keeps translations for the next run, or empty */
};

/* soft/jit/host.c */
struct jit_host jit_host_read(const struct jit_host *without);

/* From the text of IREKO_JIT (NULL for none), soft/jit/knobs.c. */
struct jit_knobs jit_knobs_read(const char *text);

/* hvx_vcpu_get_stats() says what they are: soft/jit/stats.c. */
struct jit_stats {
    uint64_t blocks, instructions, hot_bytes, cold_bytes, resets, links, retired;
    uint64_t cloned, loaded;
    uint64_t translate_ticks; /* of the TSC */
    uint64_t link_calls, miss_calls, refill_calls, slow_calls, interp_calls, vector_calls;
    uint64_t svc_calls, eret_calls;
    uint64_t left[A64_OP_COUNT];
};

/* An exception level's stack of returns: what it begins at, where it was left, and the bank and
 * mode that its entries are of. */
struct jit_returns {
    uintptr_t base, at;
    const struct mmu_bank *bank;
    uint32_t mode;
};

/*
 * Of the cache, what does not change as long as it is there: code memory, twice the same, for
 * writing and for executing; thunks, which are offsets in it; where the tables are. Each vCPU has a
 * copy.
 */
#define JIT_CODE                                                                                   \
    uint8_t *rw, *rx;                                                                              \
    size_t size;                                                                                   \
    uint32_t start; /* where blocks begin, behind the thunks */                                    \
    uint32_t enter, leave, bottom, link, miss, interp, slow, slow_v[2], refill, refill_v[2];       \
    uint32_t vector, helper, svc, eret;                                                            \
    uint32_t fill[2][2];         /* soft/jit/place.c: for writing; of many bytes */                \
    uint32_t copy, set;          /* soft/jit/mops.c */                                             \
    struct jit_block *block;     /* by number */                                                   \
    struct jit_chain *chain;     /* the same */                                                    \
    struct jit_exit *exit;       /* by number */                                                   \
    struct jit_binding *binding; /* by id; 0 is none */                                            \
    uint64_t checksum_key;                                                                         \
    /* By jit_region(): code that runs often. */                                                   \
    uint64_t *warm;                                                                                \
    /* By jit_site(): sites that do not find their last page often enough; those that look for     \
     * regions first; those that find it often enough, as far as is known. */                      \
    uint64_t *far, *wide, *near;                                                                   \
    struct jit_store *store; /* or NULL */

struct jit_code {
    JIT_CODE
};

/* Memory that is made before it is needed: soft/jit/ahead.c. Any thread may be the one that makes
 * it. */
typedef bool jit_ahead_maker(void *at, size_t size);

struct jit_ahead_job {
    jit_ahead_maker *make;
    void *at;
    size_t size;
};

#define JIT_AHEAD_JOBS 64

struct jit_ahead {
    bool off; /* all is made when it is needed */
    struct lock lock;
    pthread_cond_t cond;
    pthread_t thread;
    bool started, failed, stop;
    unsigned first, count;
    struct jit_ahead_job job[JIT_AHEAD_JOBS];
};

/* A block that leads nowhere any more: soft/jit/share.c. */
struct jit_retired {
    uint64_t va;
    uint32_t code;
    bool el1;
};

#define JIT_RETIRED 1024 /* the last ones are known */
#define JIT_MEMBERS 64

/*
 * All translations of a VM. With the lock, blocks, exits and bindings are added, linked and
 * retired, and pieces of code memory and runs of exits are given to vCPUs, which fill them without.
 * They find blocks without it, too.
 */
struct jit_cache {
    union {
        struct jit_code code;
        struct {
            JIT_CODE
        };
    };
    uint32_t *clone_hash, *origin_hash; /* both in one mapping */
    _Atomic uint32_t buckets;           /* of each */
    int fd;
    uint64_t warm_bits[JIT_REGIONS / 64];
    uint64_t site_bits[3][JIT_SITES / 64];
    /* What is above seldom changes. */
    struct lock lock;
    uint8_t *arena; /* the mapping that code memory lies in, twice */
    size_t arena_size;
    uint32_t hot_made, cold_made; /* where what is to be made next begins */
    bool small;                   /* no large pages */
    struct jit_ahead ahead;
    uint32_t hot, cold; /* behind what vCPUs have */
    uint32_t hot_end, cold_start, cold_end;
    uint32_t piece; /* bytes that a vCPU gets at once */

    _Atomic uint32_t block_count;
    uint32_t exit_count, binding_count;
    struct jit_room block_room, chain_room, exit_room, binding_room;
    uint32_t page_hash[JIT_PAGE_HASH], bind_hash[JIT_BIND_HASH];
    struct store_list noted;   /* of blocks in the cache */
    struct store_list waiting; /* records of those that were before a reset */

    /* soft/jit/share.c */
    struct jit *member[JIT_MEMBERS]; /* or NULL */
    unsigned member_end;
    uint64_t resets;                     /* all was forgotten so often */
    uint64_t map;                        /* the number of the memory map that blocks are of */
    _Atomic uint64_t changes;            /* times that blocks were compared with memory */
    _Atomic uint32_t time;               /* of jit_all_saw() */
    _Atomic uint64_t retired;            /* blocks, ever */
    _Atomic(struct soft_vcpu *) stopper; /* who has all others out of translated code, or NULL */
    struct jit_retired last[JIT_RETIRED];
};

/* A vCPU's. */
struct jit {
    union {
        struct jit_code code;
        struct {
            JIT_CODE
        };
    };
    struct jit_cache *cache;
    struct jit_host host;
    struct jit_knobs knobs;
    struct soft_vcpu *v;
    /* Its piece of each part, and its run of exits. */
    uint32_t hot, cold;
    uint32_t hot_end, cold_end;
    uint32_t exit_next, exit_end;
    uint64_t taken; /* bytes of code memory */
    bool full;      /* there was no room */
    bool begun;     /* it has run */
    /* soft/jit/share.c */
    _Atomic uint32_t seen;     /* cache.time when it was last between blocks */
    uint64_t told;             /* cache.retired that its jump tables know of */
    uint64_t resets;           /* of the cache, that it knows of */
    uint64_t reused;           /* clones that became other ones */
    uint8_t heat[JIT_REGIONS]; /* how often the ticker found it running */
    unsigned heated;           /* the region found last */
    struct jit_trial trial;
    /* How often sites lately did not find what they should. All of them, and the time when they
     * began to be counted. */
    uint8_t stray[JIT_SITES];
    unsigned strays;
    unsigned place; /* of tlb.page[], that a base of a loop got last */
    uint64_t strays_since;
    struct jit_relocs relocs;
    struct jit_looked looked;
    struct jit_insn *insn;             /* JIT_STRAIGHT_MAX: of the block being translated */
    struct jit_look_up look_up[2][16]; /* for reading and writing, by the register of the address */

    struct jit_stats stats;
    uint64_t since_ns, since_ticks; /* both clocks, read at one time */
    FILE *trace;
    uint8_t *returns; /* soft/jit/returns.c: memory of both levels' */
    struct jit_returns level[2];
    struct mmu_bank empty; /* no code to jump to; for the knob `slow` no entry and no binding */
};

static inline struct jit_jump *jit_jump_of(struct jit_jump *table, uint64_t pc)
{
    return &table[(pc >> 2) % JIT_JUMPS];
}

/* Of an instruction at a physical address. */
static inline unsigned jit_site(uint64_t pa)
{
    return (unsigned)(pa >> 2) % JIT_SITES;
}

/* Of what is known of sites and regions, which all vCPUs add to. */
static inline bool jit_is_noted(const uint64_t *set, unsigned n)
{
    return __atomic_load_n(&set[n / 64], __ATOMIC_RELAXED) >> n % 64 & 1;
}

static inline void jit_note(uint64_t *set, unsigned n)
{
    __atomic_fetch_or(&set[n / 64], 1ull << n % 64, __ATOMIC_RELAXED);
}

static inline bool jit_is_site(const uint64_t *sites, unsigned site)
{
    return jit_is_noted(sites, site);
}

static inline unsigned jit_region(uint64_t pa)
{
    return (unsigned)(pa / JIT_REGION) % JIT_REGIONS;
}

/* Does the code at a physical address run often? */
static inline bool jit_is_warm(const struct jit *j, uint64_t pa)
{
    return jit_is_noted(j->warm, jit_region(pa));
}

/* soft/jit/ahead.c */
void jit_ahead_init(struct jit_ahead *a);
void jit_ahead_end(struct jit_ahead *a);
/* Have that made by and by, with whatever lock but those of memory held. False: who asks has to. */
bool jit_ahead_ask(struct jit_ahead *a, jit_ahead_maker *make, void *at, size_t size);

/* soft/jit/arena.c: code memory. What a failure leaves is the caller's to destroy. */
int jit_arena_create(struct jit_cache *c, size_t size);
void jit_arena_destroy(struct jit_cache *c);
/* Hot code lies below an offset, cold code behind it; `small`: in small pages only. */
void jit_arena_split(struct jit_cache *c, uint32_t at, bool small);
/* Pages for what lies before cache.hot and cache.cold. */
void jit_arena_extend(struct jit_cache *c);

/* soft/jit/cache.c: the VM's cache, made by its first vCPU. */
int jit_cache_open(struct jit *j);
/* Room for `more` entries of a table. False: there is none. */
bool jit_table_grow(struct jit_cache *c, void *table, uint32_t count, uint32_t more,
                    struct jit_room *room, size_t size);
/* Forget every block, exit and binding; code memory is free behind the thunks. No vCPU is in
 * translated code. The lock is held. */
void jit_cache_reset(struct jit *j);
/* What parts of code memory may be used, by how many vCPUs have joined: they run different
 * programs, so there is more for several. It never becomes less. The lock is held. */
void jit_cache_limit(const struct jit *j, struct jit_cache *c);
/* Has the vCPU room in memory, and exits, for one more block? */
bool jit_cache_ready(struct jit *j);
/* And for a block like this one? The lock is held. */
bool jit_cache_holds(struct jit *j, const struct jit_block *b);

/* What others read while it is written. */
static inline uint32_t jit_get(const uint32_t *p)
{
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}

static inline void jit_put(uint32_t *p, uint32_t value)
{
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}

/* soft/jit/blocks.c: room for one more. The lock is held. */
bool jit_blocks_grow(struct jit *j);
/* The lock is held; JIT_NONE: the table is full. */
uint32_t jit_block_add(struct jit *j, const struct jit_block *b);
/* The same of one that is at block[block_count] already, where jit_cache_holds() made room. */
uint32_t jit_block_put(struct jit *j);
/* The youngest clone of `origin`, with the same results; jit_block_enter() has it found. */
uint32_t jit_block_add_clone(struct jit *j, const struct jit_block *b, uint32_t origin);
void jit_block_enter(struct jit *j, uint32_t block);
/* Nothing leads to the clone any more; it leads nowhere, so that, once no vCPU is in it, its code
 * and exits may be others'. The lock is held. */
void jit_block_release(struct jit *j, uint32_t block);
void jit_block_cut(struct jit *j, uint32_t block);
/* A block of the same physical code, translated at any virtual address. */
uint32_t jit_block_find_origin(struct jit *j, uint64_t pa, uint32_t mode);
/* The lock is held; or not, and then what is there may not be found. */
uint32_t jit_block_find(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode);
uint32_t jit_block_glance(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode);
/* Where its code is, as an offset; 0: it was retired. */
static inline uint32_t jit_block_code(const struct jit *j, uint32_t block)
{
    return jit_get(&j->block[block].code);
}
/* Somebody will look for a block there soon; and sooner. */
void jit_block_near(struct jit *j, uint64_t pa, uint32_t mode);
void jit_block_nearer(struct jit *j, uint64_t pa, uint32_t mode);
/* Retire the blocks that have bytes of [pa, pa + size), which lies in one page. */
void jit_blocks_retire(struct jit *j, uint64_t pa, uint64_t size);
/* Of these, those that were not translated as warm code. */
void jit_blocks_retire_cold(struct jit *j, uint64_t pa, uint64_t size);
/* Retire the blocks whose bytes are no longer what was translated. */
void jit_blocks_verify(struct jit *j);
void jit_blocks_verify_page(struct jit *j, uint64_t pa);
/* The same of blocks that have bytes of [pa, pa + size), which lies in one page. */
void jit_blocks_verify_line(struct jit *j, uint64_t pa, uint64_t size);
/* Is the block still what memory holds? And what a page of bytes holds? */
bool jit_block_is_current(const struct jit *j, uint32_t block);
bool jit_block_matches(const struct jit *j, const struct jit_block *b, const uint8_t *page);
/* Room for it was made by jit_cache_ready(). */
static inline uint32_t jit_exit_add(struct jit *j, const struct jit_exit *e)
{
    uint32_t n = j->exit_next++;

    j->exit[n] = *e;
    j->exit[n].block = JIT_NONE;
    return n;
}
/* soft/jit/exits.c: it is linked to nothing, as far as tables say. The lock is held. */
void jit_exit_unlink(struct jit *j, uint32_t exit);
/* Link, unless the block is gone, or the exit was for another binding that somebody may still look
 * at. The lock is held. */
void jit_exit_lead(struct jit *j, uint32_t exit, uint32_t block, uint32_t binding);
/* The id of a binding, new or old; 0: there is no room, or the memory map is an old one. */
uint32_t jit_binding_id(struct jit *j, uint64_t va, uint64_t pa, const uint8_t *host, uint32_t el);
/* One more word of a block's checksum; it begins with 0. The key is secret, so that a guest's
 * program cannot make code that is taken for another's. */
static inline uint64_t jit_checksum_add(const struct jit *j, uint64_t sum, uint32_t word)
{
    sum = (sum ^ word) * j->checksum_key;
    return sum ^ sum >> 29;
}
/* What follows an instruction in a block: the next one, or the target of B. */
unsigned jit_block_next(uint32_t word, unsigned offset);

/* soft/jit/share.c: the vCPU has a part in the cache; and no longer. */
void jit_join(struct jit *j);
void jit_part(struct jit *j);
/* A block is retired: jump tables of all are to forget it. The lock is held. */
void jit_tell_retired(struct jit *j, const struct jit_block *b);
/* This vCPU's do; the lock is held, or taken if there is anything. */
void jit_hear_retired(struct jit *j);
void jit_hear(struct jit *j);
/* Later than whatever any vCPU looks at now; has each been between blocks since? This one is. The
 * lock is held. */
uint32_t jit_time_next(struct jit *j);
bool jit_all_saw(const struct jit *j, uint32_t time);
/* Of the memory map that the cache is of? The lock is held. */
bool jit_map_is_current(const struct jit *j);

/* Between blocks: the vCPU goes on by its PC. */
static inline void jit_note_between(struct jit *j)
{
    struct jit_cache *c = j->cache;
    uint32_t time = atomic_load_explicit(&c->time, memory_order_acquire);

    if (UNLIKELY(atomic_load_explicit(&c->retired, memory_order_acquire) != j->told))
        jit_hear(j);
    atomic_store_explicit(&j->seen, time, memory_order_release);
}

/* soft/jit/returns.c: the stack of returns. */
int jit_returns_create(struct jit *j);
void jit_returns_destroy(struct jit *j);
/* Code, or what an address means, may change: no entry counts any more. */
void jit_returns_forget(struct jit *j);
/* The context is one of the current exception level, `bank` and `mode`; nobody wants attention. */
void jit_returns_update(struct soft_vcpu *v, const struct mmu_bank *bank, uint32_t mode);
bool jit_returns_are_full(const struct soft_vcpu *v);

/* How many copies of V registers there may be; `wide`: those beyond XMM15, too. */
static inline unsigned jit_copies(bool wide)
{
    return wide ? JIT_VECTOR_COPIES : JIT_COPIES_LOW;
}

/* soft/jit/thunks.c: emit the thunks at the start of the cache. */
void jit_thunks_emit(struct jit *j);
/* soft/jit/place.c: one of them, which fills places; C is asked after so many times, no multiple of
 * what sites may take turns by. */
#define JIT_FILLS 31
/* Of tlb.page[]: so many twice, of few bytes and of many, of which the last ones are for streams
 * with long strides (stream.c). */
#define JIT_PLACES     (TLB_PAGES / 2)
#define JIT_FAR_PLACES 32
static inline bool jit_place_is_far(unsigned n)
{
    return n % JIT_PLACES >= JIT_PLACES - JIT_FAR_PLACES;
}
struct x86_buf;
void jit_fill_emit(const struct jit *j, struct x86_buf *b, bool write, bool many);
/* soft/jit/mops.c: those that copy and set memory. */
void jit_mops_emit(struct jit *j, struct x86_buf *b);
/* soft/jit/memory.c: fill jit.look_up. */
void jit_look_ups_make(struct jit *j);

/* soft/jit/translate.c: the block at `va`, whose page's bytes are at `page` and at `pa` for the
 * guest. JIT_NONE: no room (jit.full), or the code, or what is known of it, changed meanwhile. */
uint32_t jit_translate(struct soft_vcpu *v, uint64_t va, uint64_t pa, const uint8_t *page,
                       unsigned mode);

/* soft/jit/trace.c: where blocks are written to as text: a descriptor, or a file by name that is
 * appended to. NULL and a warning if it cannot be. */
FILE *jit_trace_open(int fd, const char *path);
/* Write a block to it. */
void jit_trace_write(struct jit *j, uint32_t block);

/* soft/jit/clone.c: the same by copying a block of the same physical code. JIT_NONE: there is none,
 * or no room. jit_cache_ready() was asked, and the lock is held. */
uint32_t jit_clone(struct soft_vcpu *v, uint64_t pa, uint64_t va, uint32_t mode);

/* A block wherever it is: in a cache, or in a file. */
struct jit_image {
    const struct jit_block *block;
    const uint8_t *hot, *cold;
    const uint16_t *looked, *relocs;
    const struct jit_exit *exit;
    bool sorted;   /* relocations are as jit_image_sort() has them, */
    uint16_t wide; /* with so many first */
};

struct jit_image jit_image_of(const struct jit_code *c, const struct jit_block *b);
/* The relocations that copies of it need, sorted by what they do. Returns how many; `wide` of them
 * come first. No exit is linked, and there is room for all relocations. */
unsigned jit_image_sort(const struct jit_code *c, const struct jit_image *from, uint16_t *relocs,
                        unsigned *wide);
/* Can its constants be those of `va`? */
bool jit_image_fits(const struct jit_image *from, uint64_t va);
/* Copy it to the vCPU's free memory, which is ready, as a block `b`. */
void jit_image_copy(struct jit *j, const struct jit_image *from, uint64_t pa, uint64_t va,
                    const uint8_t *page, struct jit_block *b);
/* Would this vCPU translate it at `pa` in another way: is it warm here only, or has it an access
 * that is known here to look elsewhere (soft/jit/refill.c)? */
bool jit_is_other(const struct jit *j, const struct jit_image *from, uint64_t pa);

/* soft/jit/store.c: what the VM keeps translations in, or NULL. */
struct jit_store *jit_store_open(const struct jit *j);
/* soft/jit/store_load.c: a block out of its file, and perhaps what that leads to; its page is
 * bound. JIT_NONE: it is not there. jit_cache_ready() was asked, and the lock is held, but not all
 * the time. */
uint32_t jit_store_load(struct soft_vcpu *v, uint64_t pa, uint64_t va, const uint8_t *page,
                        uint32_t mode);
/* soft/jit/store.c: before the cache forgets what is in it. */
void jit_store_reset(struct jit_cache *c);
/* The VM ends: write what is to be kept. */
void jit_store_close(struct jit_cache *c);

/* soft/jit/branch.c: the comparison of a slot with a binding whose constant is at `at` becomes that
 * of the page of `target`, with no binding. */
void jit_bind_patch(uint8_t *at, uint64_t target);

/* soft/jit/runtime.c: jump tables of a bank, or all, lead nowhere. */
void jit_clear_jumps(struct mmu_bank *b);
void jit_clear_all_jumps(struct soft_vcpu *v);

/* soft/jit/runtime.c: the block at cpu.pc, translated if need be (faults leave by cpu.unwind;
 * JIT_NONE: try again later); run it alone, from where its code begins. */
uint32_t jit_find_block(struct soft_vcpu *v);
void jit_run_block(struct soft_vcpu *v, uint32_t block);

/* soft/jit/runtime.c: the binding of the page of `va`; 0: it has none. The other one makes it, if a
 * fetch would find the page and no other one has its slot. */
uint32_t jit_bound(struct soft_vcpu *v, uint64_t va);
uint32_t jit_bind(struct soft_vcpu *v, uint64_t va);

/* soft/jit/track.c: code of the page is about to be translated. True: it was not known to have
 * code, and other vCPUs' requests may have been done meanwhile. */
bool jit_track_code(struct soft_vcpu *v, uint64_t pa);

/* soft/jit/check.c: an instruction that cannot be executed twice. */
bool jit_is_alone(uint32_t word);

/* soft/jit/trace.c: a block as text, line by line. */
typedef void jit_trace_sink(void *ctx, const char *line);
void jit_trace_block(const struct jit *j, uint32_t block, jit_trace_sink *sink, void *ctx);
jit_trace_sink jit_trace_to_log; /* ctx: nothing */

/* soft/jit/runtime.c: where to go on, code for cpu.pc or out of translated code. */
const uint8_t *jit_resume(struct cpu *c);

/* soft/jit/runtime.c and execute.c, called by thunks with all guest state in memory. They return
 * the address to go on at. */
const uint8_t *jit_link(struct cpu *c, const uint8_t *record);
const uint8_t *jit_miss(struct cpu *c, uint64_t pc);
const uint8_t *jit_interp(struct cpu *c, const struct jit_call *call);
const uint8_t *jit_slow(struct cpu *c, const uint8_t *record);
/* The same with the copies of V registers. */
const uint8_t *jit_slow_vector(struct cpu *c, const uint8_t *record, union vreg *copy,
                               size_t copies);
/* soft/jit/refill.c. What a slow path's record refers to; a place that it names, as an address. */
struct jit_slow_common jit_slow_common_of(const uint8_t *record, const struct jit_slow *s);
const uint8_t *jit_slow_place(const struct jit *j, const uint8_t *record, const struct jit_slow *s,
                              unsigned place);
/* A look-up did not find `va`: where to go on and what to add to addresses, or
 * NULL for the slow path. */
struct jit_refilled {
    const uint8_t *code;
    uintptr_t add;
};
struct jit_refilled jit_refill(struct cpu *c, uint64_t va, const uint8_t *record);
/* The site looks into the TLB from now on. */
void jit_site_leaves(struct jit *j, uint64_t pa);

/* soft/jit/trial.c. Begin; every miss of a place is for C as long as it is on. The place, which the
 * site at `pa` missed, or 0, was filled. */
void jit_trial_begin(struct jit *j, const struct mmu_bank *b, unsigned place);
void jit_trial_step(struct jit *j, struct mmu_bank *b, unsigned place, uint64_t va, uint64_t pa);
static inline bool jit_trial_is_on(const struct jit *j)
{
    return j->trial.left > 0;
}

insn_fn jit_stop; /* of insn[1] */
/* SVC that returns to `pc`; ERET from EL1. */
const uint8_t *jit_svc(struct cpu *c, uint64_t pc, uint32_t imm);
const uint8_t *jit_eret(struct cpu *c);
/* With only those guest registers in memory that a call clobbers. */
void jit_vector(struct cpu *c, const struct jit_call *call);

#endif
