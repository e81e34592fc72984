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
    uint8_t count; /* instructions */
    uint8_t exit_count;
    uint32_t code;             /* offset in the cache; 0: retired */
    uint32_t incoming;         /* first exit that is linked to this block */
    const uint8_t *page;       /* the guest's bytes */
    uint64_t checksum;         /* of the words that were translated, and of those looked at */
    uint32_t high : 13;        /* end, as an offset in the page */
    uint32_t reloc_count : 12; /* 0: it cannot be cloned */
    uint32_t looked : 7;       /* words looked at besides those translated */
    uint16_t hot_size, cold_size;
    uint32_t cold; /* offset of the cold part */
    uint32_t exit_first;
    uint32_t page_next; /* originals of the same page bucket */
    uint32_t clones;    /* of an original, which form a ring */
    union {
        uint32_t last_clone; /* of an original */
        uint32_t next_clone; /* of a clone */
    };
} __attribute__((packed, aligned(4))); /* there are many */

/* Of a table: entries that there is memory for, and that have addresses. */
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
    uint32_t incoming_next;
} __attribute__((packed, aligned(4)));

/* Where that id is: in front of JE, or of JNE, PUSH R12, CALL. */
static inline uint32_t jit_exit_bind_site(const struct jit_exit *e)
{
    return e->site - (e->called ? 13 : 6);
}

#define JIT_BLOCK_EXITS 66

/* Blocks that are copied from another vCPU at once: soft/jit/import.c. */
#define JIT_BATCH 16

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

struct jit_host {
    bool bmi1, bmi2, lzcnt;
    bool avx, avx2, avx512, f16c, fma, aes, pclmul, sha, gfni; /* avx512: F and VL */
    bool xmm32; /* all of 32 registers, for all but a few operations: x86_evex.h */
};

/* IREKO_JIT: switches for tests and measurements. */
struct jit_knobs {
    uint64_t cache_size;
    bool baseline;    /* use nothing beyond x86-64-v2 */
    bool count;       /* count instructions in cpu.instructions */
    bool strict;      /* NZCV is right at every fault, also where nobody reads it */
    bool ungrouped;   /* a look-up for each access */
    bool unmixed;     /* loads and stores share none */
    bool uncached;    /* no copies of V registers in host registers */
    bool eager;       /* V registers are always right in memory */
    bool ungrown;     /* TLBs stay as small as they begin */
    bool narrow;      /* no look-ups of 2 MiB at once */
    bool shut;        /* no windows */
    bool aliased;     /* entries of the TLB lead to none */
    bool open;        /* windows wherever a page found last misses */
    bool unpaged;     /* every access looks into the TLB */
    bool unfilled;    /* C fills the places of pages found last */
    bool unspread;    /* nests have none but for the stack */
    bool uncrossed;   /* an access of two pages takes the slow path */
    bool sixteen;     /* xmm registers, where the host has more */
    bool high;        /* of those the ones beyond XMM15 first */
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
    bool unimported;  /* each vCPU has translations of its own */
    bool unjumped;    /* indirect branches find nothing */
    bool unpredicted; /* returns are not paired with calls */
    bool near;        /* every exit is where its branch is */
    bool small;       /* code memory has no large pages */
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
    uint64_t cloned, imported, loaded;
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
 * The lock is held when what other vCPUs look at changes, and by them while they do: originals, the
 * tables that lead to them, their code, exits and relocations. The vCPU's own thread looks without.
 */
struct jit {
    struct lock lock;
    struct jit_host host;
    struct jit_knobs knobs;
    struct soft_vcpu *v;
    int fd;
    uint8_t *rw, *rx; /* the same memory, for writing and for executing */
    size_t size;
    uint8_t *arena; /* the mapping that both lie in */
    size_t arena_size;
    uint32_t hot_large, cold_large; /* where the next piece begins that is to be a large page */
    uint32_t hot_made, cold_made;   /* and where the next small ones do that are to be made */
    uint32_t start;                 /* where blocks begin, behind the thunks */
    uint32_t hot, cold;             /* next free byte */
    uint32_t hot_end, cold_end;

    struct jit_block *block;
    struct jit_chain *chain; /* by the block's number */
    uint32_t block_count;
    struct jit_room block_room, chain_room;
    struct jit_exit *exit;
    uint32_t exit_count;
    struct jit_room exit_room;
    struct jit_binding *binding; /* by id; 0 is none */
    uint32_t binding_count;
    struct jit_room binding_room;
    uint32_t *clone_hash, *origin_hash; /* both in one mapping */
    uint32_t buckets;                   /* of each */
    uint32_t page_hash[JIT_PAGE_HASH], bind_hash[JIT_BIND_HASH];
    uint64_t checksum_key;
    uint64_t reused; /* clones that became other ones */
    /* By jit_region(): code that runs often; how often the ticker found it running. */
    uint64_t warm[JIT_REGIONS / 64];
    uint8_t heat[JIT_REGIONS];
    unsigned heated; /* the region found last */
    /* By jit_site(): sites that do not find their last page often enough; those that look for
     * regions first; how often they lately did not find what they should. All of the latter, and
     * the time when they began to be counted. */
    uint64_t far[JIT_SITES / 64], wide[JIT_SITES / 64];
    uint64_t near[JIT_SITES / 64]; /* those that find it often enough, as far as is known */
    struct jit_trial trial;
    uint8_t stray[JIT_SITES];
    unsigned strays;
    unsigned place; /* of tlb.page[], that a base of a loop got last */
    uint64_t strays_since;
    struct jit_relocs relocs;
    struct jit_store *store;   /* the VM's, or NULL; what this vCPU adds to it: */
    struct store_list noted;   /* of blocks in the cache */
    struct store_list waiting; /* records of those that were before a reset */
    struct jit *next_left;     /* of those of vCPUs that ended */
    struct jit_looked looked;
    struct jit_insn *insn;             /* JIT_STRAIGHT_MAX: of the block being translated */
    struct jit_look_up look_up[2][16]; /* for reading and writing, by the register of the address */

    /* Thunks, offsets in the cache. */
    uint32_t enter, leave, bottom, link, miss, interp, slow, slow_v[2], refill, refill_v[2], vector,
        helper, svc, eret;
    uint32_t fill[2][2]; /* soft/jit/place.c: for writing; of many bytes */
    uint32_t copy, set;  /* soft/jit/mops.c */

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

static inline bool jit_is_site(const uint64_t *sites, unsigned site)
{
    return set_has(sites, site);
}

static inline unsigned jit_region(uint64_t pa)
{
    return (unsigned)(pa / JIT_REGION) % JIT_REGIONS;
}

/* Does the code at a physical address run often? */
static inline bool jit_is_warm(const struct jit *j, uint64_t pa)
{
    return set_has(j->warm, jit_region(pa));
}

/* soft/jit/arena.c: code memory. What a failure leaves is the caller's to destroy. */
int jit_arena_create(struct jit *j, size_t size);
void jit_arena_destroy(struct jit *j);
/* Hot code lies below an offset, cold code behind it. */
void jit_arena_split(struct jit *j, uint32_t at);
/* Pages for what lies at the next free bytes. */
void jit_arena_extend(struct jit *j);

/* soft/jit/cache.c: the tables of what is in it. */
int jit_cache_create(struct jit *j, size_t size); /* the same of a failure */
void jit_cache_destroy(struct jit *j);
/* Forget every block, exit and binding; code memory is free behind the thunks. */
void jit_cache_reset(struct jit *j);
/* Is there room in the tables and in memory for one more block? */
bool jit_cache_ready(struct jit *j);
/* And for a block like this one, behind `more` others that are in memory but not in the tables? */
bool jit_cache_holds(const struct jit *j, const struct jit_block *b, unsigned more);
uint32_t jit_block_add(struct jit *j, const struct jit_block *b);
/* The same of one that is at block[block_count] already. The lock is held. */
uint32_t jit_block_put(struct jit *j);
/* The youngest clone of `origin`; jit_block_enter() has it found. */
uint32_t jit_block_add_clone(struct jit *j, const struct jit_block *b, uint32_t origin);
void jit_block_enter(struct jit *j, uint32_t block);
/* Nothing leads to the block any more, and it leads nowhere: its code and exits may be others'. */
void jit_block_release(struct jit *j, uint32_t block);
/* A block of the same physical code, translated at any virtual address. */
uint32_t jit_block_find_origin(struct jit *j, uint64_t pa, uint32_t mode);
uint32_t jit_block_find(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode);
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
    uint32_t n = j->exit_count++;

    j->exit[n] = *e;
    j->exit[n].block = JIT_NONE;
    return n;
}
void jit_exit_link(struct jit *j, uint32_t exit, uint32_t block, uint32_t binding);
void jit_exit_lead(struct jit *j, uint32_t exit, uint32_t block, uint32_t binding); /* the same */
/* The id of a binding, new or old; 0 without memory. */
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
 * guest. JIT_NONE: no room. */
uint32_t jit_translate(struct soft_vcpu *v, uint64_t va, uint64_t pa, const uint8_t *page,
                       unsigned mode);

/* soft/jit/trace.c: where blocks are written to as text: a descriptor, or a file by name that is
 * appended to. NULL and a warning if it cannot be. */
FILE *jit_trace_open(int fd, const char *path);
/* Write a block to it. */
void jit_trace_write(struct jit *j, uint32_t block);

/* soft/jit/clone.c: the same by copying a block of the same physical code. JIT_NONE: there is none,
 * or no room. */
uint32_t jit_clone(struct soft_vcpu *v, uint64_t pa, uint64_t va, uint32_t mode);

/* soft/jit/import.c: the same by copying what another vCPU translated, and perhaps what that leads
 * to; the page's bytes are at `page`, and the page is bound. */
uint32_t jit_import(struct soft_vcpu *v, uint64_t pa, uint64_t va, const uint8_t *page,
                    uint32_t mode);

/* This vCPU's cache may be looked at by others from now on; and no longer, when it returns. */
void jit_open(struct soft_vcpu *v);
void jit_close(struct soft_vcpu *v);
/* This vCPU has a translation that others may copy. */
void jit_export(struct soft_vcpu *v, uint64_t pa, uint32_t mode);

/* A block wherever it is: in a cache, or in a file. */
struct jit_image {
    const struct jit_block *block;
    const uint8_t *hot, *cold;
    const uint16_t *looked, *relocs;
    const struct jit_exit *exit;
    bool sorted;   /* relocations are as jit_image_sort() has them, */
    uint16_t wide; /* with so many first */
};

struct jit_image jit_image_of(const struct jit *j, const struct jit_block *b);
/* The relocations that copies of it need, sorted by what they do. Returns how many; `wide` of them
 * come first. No exit is linked, and there is room for all relocations. */
unsigned jit_image_sort(const struct jit *j, const struct jit_image *from, uint16_t *relocs,
                        unsigned *wide);
/* Can its constants be those of `va`? */
bool jit_image_fits(const struct jit_image *from, uint64_t va);
/* Copy it to the free memory of the cache, which is ready, as a block `b`; and make an original of
 * that. */
void jit_image_copy(struct jit *j, const struct jit_image *from, uint64_t pa, uint64_t va,
                    const uint8_t *page, struct jit_block *b);
uint32_t jit_image_enter(struct jit *j, const struct jit_block *b);
/* Would this vCPU translate it at `pa` in another way: is it warm here only, or has it an access
 * that is known here to look elsewhere (soft/jit/refill.c)? */
bool jit_is_other(const struct jit *j, const struct jit_image *from, uint64_t pa);

/* soft/jit/store.c: j->store, if the VM keeps translations. */
void jit_store_open(struct jit *j);
/* soft/jit/store_load.c: a block out of its file, and perhaps what that leads to; its page is
 * bound. JIT_NONE: it is not there. */
uint32_t jit_store_load(struct soft_vcpu *v, uint64_t pa, uint64_t va, const uint8_t *page,
                        uint32_t mode);
/* soft/jit/store.c: before the cache forgets what is in it. */
void jit_store_reset(struct jit *j);
/* The vCPU ends: all of its cache is the store's, if it has something to keep, or false. */
bool jit_store_leave(struct jit *j);
/* soft/jit/runtime.c: what is left of a vCPU's that ended. */
void jit_free(struct jit *j);

/* soft/jit/branch.c: the comparison of a slot with a binding whose constant is at `at` becomes that
 * of the page of `target`, with no binding. */
void jit_bind_patch(uint8_t *at, uint64_t target);

/* soft/jit/runtime.c: the block at cpu.pc, translated if need be (faults leave by cpu.unwind); run
 * it alone, from where its code begins. */
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
