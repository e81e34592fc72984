/*
 * Blocks: how they are found, and how they go.
 *
 * Who looks for a block without the lock may do so while chains change: it reads what was written
 * before the block became part of one, walks for so many steps at most, and may fail to find what
 * is there. A block that is found stays what it is until the vCPU is between blocks (share.c).
 */
#include <limits.h>
#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/populate.h"
#include "soft/jit/translate.h"
#include "soft/vcpu.h"

#define HASH_FIRST 4096u /* buckets */

/* Steps of who looks without the lock. */
#define STEPS 256

/* Neighbouring instructions have neighbouring buckets. */
static uint32_t bucket_of(const struct jit *j, uint64_t page, uint64_t pa)
{
    uint32_t buckets = atomic_load_explicit(&j->cache->buckets, memory_order_relaxed);

    return (uint32_t)((page * 0x9e3779b97f4a7c15ull >> 40) + (pa >> 2)) & (buckets - 1);
}

static uint32_t *clone_bucket(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode)
{
    return &j->cache
                ->clone_hash[bucket_of(j, pa >> 12 ^ va >> 12 << 20 ^ (uint64_t)mode << 60, pa)];
}

static uint32_t *origin_bucket(struct jit *j, uint64_t pa, uint32_t mode)
{
    return &j->cache->origin_hash[bucket_of(j, pa >> 12 ^ (uint64_t)mode << 60, pa)];
}

static uint32_t *bucket_of_block(struct jit *j, const struct jit_block *b)
{
    return b->is_clone ? clone_bucket(j, b->pa, b->va, b->mode) : origin_bucket(j, b->pa, b->mode);
}

static uint32_t tag_of(uint64_t pa, uint32_t mode)
{
    return (uint32_t)(pa >> 2) ^ mode << 28;
}

static void chain(uint32_t *bucket, uint32_t n, uint32_t *next)
{
    jit_put(next, *bucket);
    jit_put(bucket, n);
}

/* The next block from `n` on that is at `pa`, going by its chain. */
static uint32_t seek(const struct jit *j, uint32_t n, uint64_t pa, uint32_t mode, unsigned *steps)
{
    const uint32_t tag = tag_of(pa, mode);

    while (n != JIT_NONE &&
           (jit_get(&j->chain[n].tag) != tag || j->block[n].pa != pa || j->block[n].mode != mode))
        n = *steps && --*steps ? jit_get(&j->chain[n].next) : JIT_NONE;
    return n;
}

static void clear(uint32_t *hash, uint32_t buckets)
{
    for (uint32_t n = 0; n < buckets; n++)
        jit_put(&hash[n], JIT_NONE);
}

/* Both tables of hashes grow with the table of blocks, seldom, as all blocks are put into them
 * again. */
static void hash_grow(struct jit *j)
{
    struct jit_cache *c = j->cache;
    uint32_t buckets = c->buckets ? 4 * c->buckets : HASH_FIRST;

    clear(c->clone_hash, c->buckets);
    clear(c->origin_hash, c->buckets);
    (void)populate(c->clone_hash, buckets * sizeof(uint32_t));
    (void)populate(c->origin_hash, buckets * sizeof(uint32_t));
    c->buckets = buckets;
    for (uint32_t n = 1; n < c->block_count; n++) {
        struct jit_block *b = &j->block[n];
        if (b->code && b->incoming != JIT_GONE)
            chain(bucket_of_block(j, b), n, &j->chain[n].next);
    }
}

bool jit_blocks_grow(struct jit *j)
{
    struct jit_cache *c = j->cache;
    const uint32_t blocks = c->block_count;

    if (!jit_table_grow(c, j->block, blocks, 1, &c->block_room, sizeof *j->block) ||
        !jit_table_grow(c, j->chain, blocks, 1, &c->chain_room, sizeof *j->chain))
        return false;
    if (blocks >= c->buckets && c->buckets < JIT_BUCKETS)
        hash_grow(j);
    return true;
}

/* Blocks. */

static uint32_t *page_bucket(struct jit *j, uint64_t pa)
{
    return &j->cache->page_hash[pa >> 12 & (JIT_PAGE_HASH - 1)];
}

uint32_t jit_block_put(struct jit *j)
{
    uint32_t n = j->cache->block_count++;
    struct jit_block *b = &j->block[n];

    b->is_clone = false;
    b->clones = 0;
    chain(page_bucket(j, b->pa), n, &b->page_next);
    jit_block_enter(j, n);
    return n;
}

uint32_t jit_block_add(struct jit *j, const struct jit_block *b)
{
    if (!jit_blocks_grow(j)) {
        j->full = true;
        return JIT_NONE;
    }
    j->block[j->cache->block_count] = *b;
    return jit_block_put(j);
}

uint32_t jit_block_add_clone(struct jit *j, const struct jit_block *b, uint32_t origin)
{
    if (!jit_blocks_grow(j)) {
        j->full = true;
        return JIT_NONE;
    }
    uint32_t n = j->cache->block_count++;
    struct jit_block *o = &j->block[origin];

    j->block[n] = *b;
    j->block[n].is_clone = true;
    j->block[n].maker = j->v->index & (JIT_MEMBERS - 1);
    j->block[n].clones = 0;
    j->block[n].next_clone = n;
    if (o->clones) {
        struct jit_block *last = &j->block[o->last_clone];
        j->block[n].next_clone = last->next_clone;
        last->next_clone = n;
    }
    jit_put(&o->clones, o->clones + 1);
    return o->last_clone = n;
}

void jit_block_enter(struct jit *j, uint32_t n)
{
    struct jit_block *b = &j->block[n];

    b->incoming = JIT_NONE;
    jit_put(&j->chain[n].tag, tag_of(b->pa, b->mode));
    chain(bucket_of_block(j, b), n, &j->chain[n].next);
}

void jit_block_near(struct jit *j, uint64_t pa, uint32_t mode)
{
    __builtin_prefetch(origin_bucket(j, pa, mode));
}

void jit_block_nearer(struct jit *j, uint64_t pa, uint32_t mode)
{
    uint32_t n = *origin_bucket(j, pa, mode);

    if (j->chain[n].tag == tag_of(pa, mode))
        __builtin_prefetch(&j->block[n]);
}

static uint32_t find(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode, unsigned steps)
{
    bool cloned = false;
    uint32_t n = jit_get(origin_bucket(j, pa, mode));

    while ((n = seek(j, n, pa, mode, &steps)) != JIT_NONE) {
        if (j->block[n].va == va)
            return n;
        cloned |= jit_get(&j->block[n].clones) != 0;
        n = jit_get(&j->chain[n].next);
    }
    if (!cloned)
        return JIT_NONE;
    n = jit_get(clone_bucket(j, pa, va, mode));
    while ((n = seek(j, n, pa, mode, &steps)) != JIT_NONE && j->block[n].va != va)
        n = jit_get(&j->chain[n].next);
    return n;
}

uint32_t jit_block_find(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode)
{
    return find(j, pa, va, mode, UINT_MAX);
}

uint32_t jit_block_glance(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode)
{
    return find(j, pa, va, mode, STEPS);
}

uint32_t jit_block_find_origin(struct jit *j, uint64_t pa, uint32_t mode)
{
    unsigned steps = UINT_MAX;

    return seek(j, jit_get(origin_bucket(j, pa, mode)), pa, mode, &steps);
}

/* Nothing leads to the block any more. */
static void block_leave(struct jit *j, uint32_t n)
{
    struct jit_block *b = &j->block[n];

    while (b->incoming != JIT_NONE) {
        struct jit_exit *e = &j->exit[b->incoming];
        b->incoming = e->incoming_next;
        e->block = JIT_NONE;
        e->incoming_next = 0;
        jit_patch(j->rw + e->site, j->rw + e->tail);
    }
    uint32_t *link = bucket_of_block(j, b);
    while (*link != n)
        link = &j->chain[*link].next;
    jit_put(link, j->chain[n].next);
    jit_tell_retired(j, b);
}

void jit_block_release(struct jit *j, uint32_t n)
{
    block_leave(j, n);
    j->block[n].incoming = JIT_GONE;
    j->block[n].gone = jit_time_next(j);
}

void jit_block_cut(struct jit *j, uint32_t n)
{
    const struct jit_block *b = &j->block[n];

    for (uint32_t k = 0; k < b->exit_count; k++)
        jit_exit_unlink(j, b->exit_first + k);
}

/* The same of an original and its clones. Their code stays, as it may be what runs now. */
static void block_retire(struct jit *j, uint32_t n)
{
    struct jit_block *b = &j->block[n];

    for (uint32_t k = 0, clone = b->last_clone; k < b->clones; k++) {
        if (j->block[clone].incoming != JIT_GONE)
            block_leave(j, clone);
        jit_put(&j->block[clone].code, 0);
        clone = j->block[clone].next_clone;
    }
    block_leave(j, n);
    jit_put(&b->code, 0);
    j->stats.retired += b->clones + 1;
}

unsigned jit_block_next(uint32_t word, unsigned offset)
{
    if (word >> 26 == 5)
        return (unsigned)((int64_t)offset + sign_extend((word & 0x3ffffff) << 2, 28));
    return offset + 4;
}

bool jit_block_matches(const struct jit *j, const struct jit_block *b, const uint8_t *page)
{
    unsigned offset = b->pa & 4095;
    const uint16_t *looked = (const void *)(j->rw + jit_block_lists(b));
    uint64_t sum = 0;

    for (unsigned n = 0; n < b->count && offset < CODE_PAGE_SIZE; n++) {
        uint32_t word = ld_le32(page + offset);
        sum = jit_checksum_add(j, sum, word);
        offset = jit_block_next(word, offset);
    }
    for (unsigned n = 0; n < b->looked; n++)
        sum = jit_checksum_add(j, sum, ld_le32(page + looked[n]));
    return sum == b->checksum;
}

bool jit_block_is_current(const struct jit *j, uint32_t block)
{
    return jit_block_matches(j, &j->block[block], j->block[block].page);
}

/* Does it have bytes of [pa, pa + size), or depend on some that are looked at only? */
static bool is_of(const struct jit *j, const struct jit_block *b, uint64_t pa, uint64_t size)
{
    const uint16_t *looked = (const void *)(j->rw + jit_block_lists(b));
    uint64_t page = pa & ~4095ull;

    if ((b->pa & ~4095ull) != page)
        return false;
    if (b->pa < pa + size && pa < page + b->high)
        return true;
    for (unsigned n = 0; n < b->looked; n++)
        if (page + looked[n] - pa < size)
            return true;
    return false;
}

/* Of such blocks those that go: */
enum which { ALL, CHANGED, COLD };

static bool goes(const struct jit *j, uint32_t n, enum which which)
{
    if (which == CHANGED)
        return !jit_block_is_current(j, n);
    return which == ALL || !j->block[n].is_warm;
}

/* What is translated now is compared with memory once more before it becomes a block. */
static void retire_begin(struct jit *j)
{
    lock_acquire(&j->cache->lock);
    atomic_fetch_add(&j->cache->changes, 1);
}

static void retire_end(struct jit *j)
{
    jit_hear_retired(j);
    lock_release(&j->cache->lock);
}

/* Of a bucket's blocks; with `size` 0 of whatever addresses. */
static void retire_in(struct jit *j, uint32_t *link, uint64_t pa, uint64_t size, enum which which)
{
    while (*link != JIT_NONE) {
        uint32_t n = *link;
        struct jit_block *b = &j->block[n];
        if ((!size || is_of(j, b, pa, size)) && goes(j, n, which)) {
            *link = b->page_next;
            block_retire(j, n);
        } else {
            link = &b->page_next;
        }
    }
}

static void retire_range(struct jit *j, uint64_t pa, uint64_t size, enum which which)
{
    retire_begin(j);
    retire_in(j, page_bucket(j, pa), pa, size, which);
    retire_end(j);
}

void jit_blocks_retire(struct jit *j, uint64_t pa, uint64_t size)
{
    retire_range(j, pa, size, ALL);
}

void jit_blocks_retire_cold(struct jit *j, uint64_t pa, uint64_t size)
{
    retire_range(j, pa, size, COLD);
}

void jit_blocks_verify_line(struct jit *j, uint64_t pa, uint64_t size)
{
    retire_range(j, pa, size, CHANGED);
}

void jit_blocks_verify(struct jit *j)
{
    retire_begin(j);
    bool any = j->cache->block_count > 1; /* if not, the hashes need not come into memory */
    for (uint32_t bucket = 0; any && bucket < JIT_PAGE_HASH; bucket++)
        retire_in(j, &j->cache->page_hash[bucket], 0, 0, CHANGED);
    retire_end(j);
}

void jit_blocks_verify_page(struct jit *j, uint64_t pa)
{
    retire_range(j, pa, 0, CHANGED);
}
