/*
 * Blocks as records: what store.c makes and store_load.c takes.
 */
#ifndef SOFT_JIT_STORE_BLOCK_H
#define SOFT_JIT_STORE_BLOCK_H

#include "base/bytes.h"
#include "base/lock.h"
#include "base/log.h"
#include "soft/jit/runtime.h"
#include "soft/jit/store.h"

/* Bytes of the file that are brought near at once. */
#define STORE_NEAR ((size_t)1 << 20)

/* The VM's. */
struct jit_store {
    int folder;
    uint64_t key;
    struct store_file file;
    bool near[STORE_LIMIT / STORE_NEAR]; /* what was asked for; with the cache's lock */
    struct store_writer writer;          /* once it is begun */
    int err;                             /* why it could not be */
    _Atomic size_t noted;                /* bytes of records */
    _Atomic bool told;                   /* that a record is damaged */
    enum log_level level;                /* of that, and of what else cannot be used */
};

/* What is behind a record's header: this, the words that it was made of, exits, places of the words
 * looked at, the hot part and the cold one, relocations at a multiple of two. */
struct store_block {
    uint64_t va;
    uint32_t code, cold; /* offsets in the cache it was made in */
    uint16_t words;      /* those translated come first */
    uint16_t wide;       /* relocations, of jit_image_sort() */
    uint16_t high, reloc_count, hot_size, cold_size;
    uint8_t mode, is_warm, count, exit_count;
};

/* An exit, by its block's address and places. */
struct store_exit {
    int32_t target;
    uint16_t site; /* STORE_BOUND, STORE_CALLED: as in struct jit_exit */
    uint16_t tail;
};

#define STORE_BOUND  0x8000u
#define STORE_CALLED 0x4000u
#define STORE_SITE   0x1fffu /* parts with relocations are no larger */

/* Where the parts of a record are, in bytes behind its header. */
struct store_parts {
    size_t word, exits, looked, hot, cold, relocs, end;
};

static inline struct store_parts store_parts_of(const struct store_block *s)
{
    struct store_parts p;

    p.word = sizeof *s;
    p.exits = p.word + s->words * sizeof(uint32_t);
    p.looked = p.exits + s->exit_count * sizeof(struct store_exit);
    p.hot = p.looked + (unsigned)(s->words - s->count) * sizeof(uint16_t);
    p.cold = p.hot + s->hot_size;
    p.relocs = align_up(p.cold + s->cold_size, 2);
    p.end = align_up(p.relocs + s->reloc_count * sizeof(uint16_t), 8);
    return p;
}

static inline uint64_t store_mix(uint64_t h, uint64_t value)
{
    h = (h ^ value) * 0x9e3779b97f4a7c15ull;
    return h ^ h >> 32;
}

/* By which a block is found: the place in the page, the mode, and the first words from there on. */
static inline uint64_t store_hash_of(const uint8_t *page, unsigned offset, unsigned mode)
{
    uint64_t h = store_mix(mode, offset);

    for (unsigned n = offset; n < offset + 16 && n < CODE_PAGE_SIZE; n += 4)
        h = store_mix(h, ld_le32(page + n));
    return h;
}

#endif
