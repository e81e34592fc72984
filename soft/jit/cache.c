/*
 * What is in code memory, and the tables of it.
 *
 * Blocks lie in two parts, the hot one with the code that usually runs and the cold one with slow
 * paths, so that hot code is dense.
 *
 * The tables grow, hence indices instead of pointers. When anything is full, all is forgotten:
 * translating again is cheap, and nothing that points into the cache can be left over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/populate.h"
#include "soft/jit/translate.h"
#include "soft/vcpu.h"

/* What one block may need at most: its instructions, each with slow path and exit. */
#define BLOCK_HOT_MAX  32768u
#define BLOCK_COLD_MAX 32768u

/* Entries to begin with, in addresses, which cost nothing: to move a table costs a page's fault
 * once more for each, at least on hosts that are virtual machines. */
#define TABLE_MAPPED (1u << 18)

/* Bytes of a table that are made at once. */
#define TABLE_CHUNK (64u << 10)

#define HASH_FIRST 4096u /* buckets */

#define HASH_SIZE(buckets) ((size_t)(buckets) * 2 * sizeof(uint32_t)) /* clones and originals */

static void table_free(void *table, struct jit_room room, size_t size)
{
    if (room.mapped)
        munmap(table, room.mapped * size);
}

/* Pages are moved, not copied. */
static bool table_map(void **table, struct jit_room *room, size_t size)
{
    uint32_t wanted = room->mapped ? room->mapped * 2 : TABLE_MAPPED;
    void *mapped = room->mapped ? mremap(*table, room->mapped * size, wanted * size, MREMAP_MAYMOVE)
                                : mmap(NULL, wanted * size, PROT_READ | PROT_WRITE,
                                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return false;
    (void)madvise(mapped, wanted * size, MADV_NOHUGEPAGE); /* of which most would be for nothing */
    *table = mapped;
    room->mapped = wanted;
    return true;
}

/* Room for `more` entries. False: no memory; then the caller does as if the cache were full. The
 * first ones are made by faults, as many a vCPU never runs. */
static bool table_grow(void **table, uint32_t count, uint32_t more, struct jit_room *room,
                       size_t size)
{
    const uint32_t step = (uint32_t)(TABLE_CHUNK / size);

    while (count + more > room->made) {
        if (room->made + step > room->mapped && !table_map(table, room, size))
            return false;
        if (room->made)
            (void)populate((uint8_t *)*table + room->made * size, step * size);
        room->made += step;
    }
    return true;
}

/* Neighbouring instructions have neighbouring buckets. */
static uint32_t bucket_of(const struct jit *j, uint64_t page, uint64_t pa)
{
    return (uint32_t)((page * 0x9e3779b97f4a7c15ull >> 40) + (pa >> 2)) & (j->buckets - 1);
}

static uint32_t *clone_bucket(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode)
{
    return &j->clone_hash[bucket_of(j, pa >> 12 ^ va >> 12 << 20 ^ (uint64_t)mode << 60, pa)];
}

static uint32_t *origin_bucket(struct jit *j, uint64_t pa, uint32_t mode)
{
    return &j->origin_hash[bucket_of(j, pa >> 12 ^ (uint64_t)mode << 60, pa)];
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
    *next = *bucket;
    *bucket = n;
}

/* The next block from `n` on that is at `pa`, going by its chain. */
static uint32_t seek(const struct jit *j, uint32_t n, uint64_t pa, uint32_t mode)
{
    const uint32_t tag = tag_of(pa, mode);

    while (n != JIT_NONE &&
           (j->chain[n].tag != tag || j->block[n].pa != pa || j->block[n].mode != mode))
        n = j->chain[n].next;
    return n;
}

/* Both tables of hashes grow with the table of blocks, seldom, as all blocks are put into them
 * again. No memory: their chains grow. */
static void hash_grow(struct jit *j)
{
    uint32_t buckets = j->buckets ? 4 * j->buckets : HASH_FIRST;
    uint32_t *hash =
        mmap(NULL, HASH_SIZE(buckets), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (hash == MAP_FAILED)
        return;
    (void)populate(hash, HASH_SIZE(buckets));
    if (j->buckets)
        munmap(j->clone_hash, HASH_SIZE(j->buckets));
    j->buckets = buckets;
    j->clone_hash = hash;
    j->origin_hash = hash + j->buckets;
    for (uint32_t n = 1; n < j->block_count; n++) {
        struct jit_block *b = &j->block[n];
        if (b->code)
            chain(bucket_of_block(j, b), n, &j->chain[n].next);
    }
}

/* Room for one more block, or a batch of small ones. */
#define BATCH       64
#define BATCH_EXITS (4 * BATCH)

_Static_assert(BATCH_EXITS >= JIT_BLOCK_EXITS, "one more block");

static bool tables_grow(struct jit *j)
{
    const uint32_t blocks = j->block_count + BATCH, exits = j->exit_count + BATCH_EXITS;

    if (blocks <= j->block_room.made && blocks <= j->chain_room.made && blocks <= j->buckets &&
        exits <= j->exit_room.made)
        return true;
    lock_acquire(&j->lock);
    bool ok =
        table_grow((void **)&j->block, j->block_count, BATCH, &j->block_room, sizeof *j->block) &&
        table_grow((void **)&j->chain, j->block_count, BATCH, &j->chain_room, sizeof *j->chain) &&
        table_grow((void **)&j->exit, j->exit_count, BATCH_EXITS, &j->exit_room, sizeof *j->exit);
    if (ok && blocks > j->buckets)
        hash_grow(j);
    lock_release(&j->lock);
    return ok && j->buckets;
}

int jit_cache_create(struct jit *j, size_t size)
{
    int err = jit_arena_create(j, size);

    j->insn = malloc(JIT_STRAIGHT_MAX * sizeof *j->insn);
    if (!err && (!j->insn || !tables_grow(j)))
        err = -ENOMEM;
    if (err)
        return err;
    jit_arena_split(j, (uint32_t)(size / 8 * 5));
    jit_thunks_emit(j);
    jit_look_ups_make(j);
    jit_cache_reset(j);
    return 0;
}

void jit_populate(struct soft_vcpu *v)
{
    struct jit *j = v->hot.jit;

    (void)populate(j->page_hash, offsetof(struct jit, relocs) - offsetof(struct jit, page_hash));
}

void jit_cache_destroy(struct jit *j)
{
    jit_arena_destroy(j);
    free(j->insn);
    if (j->buckets)
        munmap(j->clone_hash, HASH_SIZE(j->buckets));
    table_free(j->block, j->block_room, sizeof *j->block);
    table_free(j->chain, j->chain_room, sizeof *j->chain);
    table_free(j->exit, j->exit_room, sizeof *j->exit);
    table_free(j->binding, j->binding_room, sizeof *j->binding);
}

void jit_cache_reset(struct jit *j)
{
    jit_returns_forget(j);
    if (UNLIKELY(j->noted.size))
        jit_store_reset(j);
    lock_acquire(&j->lock);
    if (j->block_count > 1 || j->binding_count > 1) {
        memset(j->clone_hash, 0, HASH_SIZE(j->buckets));
        memset(j->page_hash, 0, sizeof j->page_hash);
        memset(j->bind_hash, 0, sizeof j->bind_hash);
    }
    j->stats.resets += j->block_count > 1;
    j->block_count = j->exit_count = j->binding_count = 1; /* behind JIT_NONE */
    j->hot = j->start;
    j->cold = j->hot_end;
    lock_release(&j->lock);
}

bool jit_cache_ready(struct jit *j)
{
    jit_arena_extend(j);
    return j->hot + BLOCK_HOT_MAX <= j->hot_end && j->cold + BLOCK_COLD_MAX <= j->cold_end &&
           tables_grow(j);
}

bool jit_cache_holds(const struct jit *j, const struct jit_block *b, unsigned more)
{
    uint32_t lists = (b->looked + b->reloc_count) * (uint32_t)sizeof(uint16_t);

    return j->hot + b->hot_size + JIT_ALIGN <= j->hot_end &&
           j->cold + b->cold_size + 2 + lists + JIT_ALIGN <= j->cold_end &&
           j->block_count + more < j->block_room.made &&
           j->exit_count + b->exit_count <= j->exit_room.made;
}

/* Blocks. */

static uint32_t *page_bucket(struct jit *j, uint64_t pa)
{
    return &j->page_hash[pa >> 12 & (JIT_PAGE_HASH - 1)];
}

uint32_t jit_block_put(struct jit *j)
{
    uint32_t n = j->block_count++;
    struct jit_block *b = &j->block[n];

    b->is_clone = false;
    b->clones = 0;
    chain(page_bucket(j, b->pa), n, &b->page_next);
    jit_block_enter(j, n);
    return n;
}

uint32_t jit_block_add(struct jit *j, const struct jit_block *b)
{
    lock_acquire(&j->lock);
    j->block[j->block_count] = *b;
    uint32_t n = jit_block_put(j);
    lock_release(&j->lock);
    return n;
}

uint32_t jit_block_add_clone(struct jit *j, const struct jit_block *b, uint32_t origin)
{
    uint32_t n = j->block_count++;
    struct jit_block *o = &j->block[origin];

    j->block[n] = *b;
    j->block[n].is_clone = true;
    j->block[n].next_clone = n;
    if (o->clones++) {
        struct jit_block *last = &j->block[o->last_clone];
        j->block[n].next_clone = last->next_clone;
        last->next_clone = n;
    }
    return o->last_clone = n;
}

void jit_block_enter(struct jit *j, uint32_t n)
{
    struct jit_block *b = &j->block[n];

    b->incoming = JIT_NONE;
    j->chain[n].tag = tag_of(b->pa, b->mode);
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

uint32_t jit_block_find(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode)
{
    bool cloned = false;
    uint32_t n = *origin_bucket(j, pa, mode);

    while ((n = seek(j, n, pa, mode)) != JIT_NONE) {
        if (j->block[n].va == va)
            return n;
        cloned |= j->block[n].clones != 0;
        n = j->chain[n].next;
    }
    if (!cloned)
        return JIT_NONE;
    n = *clone_bucket(j, pa, va, mode);
    while ((n = seek(j, n, pa, mode)) != JIT_NONE && j->block[n].va != va)
        n = j->chain[n].next;
    return n;
}

uint32_t jit_block_find_origin(struct jit *j, uint64_t pa, uint32_t mode)
{
    return seek(j, *origin_bucket(j, pa, mode), pa, mode);
}

static void jump_remove(struct mmu_bank *b, uint64_t va, const uint8_t *code)
{
    struct jit_jump *jump = jit_jump_of(b->jit.jump, va);

    if (jump->code == code) /* an address that is looked up elsewhere */
        *jump = (struct jit_jump){ .pc = jump == b->jit.jump ? UINT64_MAX : 0 };
}

/* Nothing leads to the block any more. */
static void block_leave(struct jit *j, uint32_t n)
{
    struct jit_block *b = &j->block[n];

    jit_returns_forget(j);
    while (b->incoming != JIT_NONE) {
        struct jit_exit *e = &j->exit[b->incoming];
        b->incoming = e->incoming_next;
        e->block = JIT_NONE;
        x86_patch(j->rw + e->site, j->rw + e->tail);
    }
    if (b->mode & JIT_MODE_EL1)
        jump_remove(&j->v->kernel, b->va, j->rx + b->code);
    else
        for (unsigned k = 0; k < SOFT_EL0_BANKS; k++)
            jump_remove(&j->v->bank[k], b->va, j->rx + b->code);
    uint32_t *link = bucket_of_block(j, b);
    while (*link != n)
        link = &j->chain[*link].next;
    *link = j->chain[n].next;
}

static void exit_unlink(struct jit *j, uint32_t exit)
{
    struct jit_exit *e = &j->exit[exit];

    if (e->block == JIT_NONE)
        return;
    uint32_t *link = &j->block[e->block].incoming;
    while (*link != exit)
        link = &j->exit[*link].incoming_next;
    *link = e->incoming_next;
    e->block = JIT_NONE;
}

void jit_block_release(struct jit *j, uint32_t n)
{
    const struct jit_block *b = &j->block[n];

    lock_acquire(&j->lock);
    block_leave(j, n);
    for (uint32_t k = 0; k < b->exit_count; k++)
        exit_unlink(j, b->exit_first + k);
    lock_release(&j->lock);
}

/* The same of an original and its clones. Their code stays, as it may be what runs now. */
static void block_retire(struct jit *j, uint32_t n)
{
    struct jit_block *b = &j->block[n];

    lock_acquire(&j->lock);
    for (uint32_t k = 0, clone = b->last_clone; k < b->clones; k++) {
        block_leave(j, clone);
        j->block[clone].code = 0;
        clone = j->block[clone].next_clone;
    }
    block_leave(j, n);
    b->code = 0;
    lock_release(&j->lock);
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

static void retire_range(struct jit *j, uint64_t pa, uint64_t size, enum which which)
{
    uint32_t *link = page_bucket(j, pa);

    while (*link != JIT_NONE) {
        uint32_t n = *link;
        struct jit_block *b = &j->block[n];
        if (is_of(j, b, pa, size) && goes(j, n, which)) {
            *link = b->page_next;
            block_retire(j, n);
        } else {
            link = &b->page_next;
        }
    }
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

static void bucket_verify(struct jit *j, uint32_t *link)
{
    while (*link != JIT_NONE) {
        uint32_t n = *link;
        struct jit_block *b = &j->block[n];
        if (!jit_block_matches(j, b, b->page)) {
            *link = b->page_next;
            block_retire(j, n);
        } else {
            link = &b->page_next;
        }
    }
}

void jit_blocks_verify(struct jit *j)
{
    for (uint32_t bucket = 0; bucket < JIT_PAGE_HASH; bucket++)
        bucket_verify(j, &j->page_hash[bucket]);
}

void jit_blocks_verify_page(struct jit *j, uint64_t pa)
{
    bucket_verify(j, page_bucket(j, pa));
}

/* Exits. */

void jit_exit_lead(struct jit *j, uint32_t exit, uint32_t block, uint32_t binding)
{
    struct jit_exit *e = &j->exit[exit];

    exit_unlink(j, exit);
    e->block = block;
    e->incoming_next = j->block[block].incoming;
    j->block[block].incoming = exit;
    x86_patch(j->rw + e->site, j->rw + j->block[block].code);
    if (e->bound)
        memcpy(j->rw + jit_exit_bind_site(e), &binding, 4);
    j->stats.links++;
}

/* Code that is as it is to be is better left alone: the host would fetch it anew. */
static bool leads_to(const struct jit *j, const struct jit_exit *e, uint32_t block,
                     uint32_t binding)
{
    return e->block == block && (!e->bound || ld_le32(j->rw + jit_exit_bind_site(e)) == binding);
}

void jit_exit_link(struct jit *j, uint32_t exit, uint32_t block, uint32_t binding)
{
    if (leads_to(j, &j->exit[exit], block, binding)) /* its page's slot was empty */
        return;
    lock_acquire(&j->lock);
    jit_exit_lead(j, exit, block, binding);
    lock_release(&j->lock);
}

/* Bindings. */

uint32_t jit_binding_id(struct jit *j, uint64_t va, uint64_t pa, const uint8_t *host, uint32_t el)
{
    uint64_t h = (va >> 12 ^ pa << 8 ^ el) * 0x9e3779b97f4a7c15ull;
    uint32_t *bucket = &j->bind_hash[h >> 48 & (JIT_BIND_HASH - 1)];

    for (uint32_t n = *bucket; n != JIT_NONE; n = j->binding[n].next)
        if (j->binding[n].va == va && j->binding[n].pa == pa && j->binding[n].el == el)
            return n;
    if (!table_grow((void **)&j->binding, j->binding_count, 1, &j->binding_room,
                    sizeof *j->binding))
        return 0;
    uint32_t n = j->binding_count++;
    j->binding[n] =
        (struct jit_binding){ .va = va, .pa = pa, .host = host, .el = el, .next = *bucket };
    return *bucket = n;
}
