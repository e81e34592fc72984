/*
 * What is in code memory, and the tables of it.
 *
 * Blocks lie in two parts, the hot one with the code that usually runs and the cold one with slow
 * paths, so that hot code is dense. Each vCPU has a piece of both to itself, and another one when
 * that is full.
 *
 * Tables have addresses for all that code memory can hold, and grow in place. When anything is
 * full, all is forgotten: translating again is cheap, and nothing that points into the cache can be
 * left over.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/log.h"
#include "base/populate.h"
#include "soft/jit/translate.h"
#include "soft/vcpu.h"

/* What one block may need at most: its instructions, each with slow path and exit. */
#define BLOCK_HOT_MAX  32768u
#define BLOCK_COLD_MAX 32768u

/* Bytes of code memory for each entry of a table, less than all that were seen take; and ids. */
#define BLOCK_LEAST 256
#define EXIT_LEAST  64
#define BINDINGS    (1u << 18)

/* Bytes of a table that are made at once: as many as it has, within these. */
#define CHUNK_LEAST (64u << 10)
#define CHUNK_MOST  (256u << 10)

/* Of exits, a vCPU has so many to itself. */
#define EXIT_RUN 1024u

/* Of code memory, so much; more of a large one, as half a block's most may be left of each. */
#define PIECE_LEAST (64u << 10)
#define PIECE_MOST  (256u << 10)

#define HASH_SIZE(buckets) ((size_t)(buckets) * 2 * sizeof(uint32_t)) /* clones and originals */

static void table_free(void *table, struct jit_room room, size_t size)
{
    if (room.mapped)
        munmap(table, room.mapped * size);
}

static bool table_map(void **table, struct jit_room *room, uint32_t entries, size_t size)
{
    void *mapped = mmap(NULL, entries * size, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (mapped == MAP_FAILED)
        return false;
    (void)madvise(mapped, entries * size, MADV_NOHUGEPAGE); /* of which most would be for nothing */
    *table = mapped;
    room->mapped = entries;
    return true;
}

static uint32_t chunk(const struct jit_room *room, size_t size)
{
    const uint32_t least = (uint32_t)(CHUNK_LEAST / size), most = (uint32_t)(CHUNK_MOST / size);

    return room->made < least ? least : room->made > most ? most : room->made;
}

/* Room for `more` entries. False: there is none. The first ones are made by faults, as many a VM
 * never runs code. */
bool jit_table_grow(struct jit_cache *c, void *table, uint32_t count, uint32_t more,
                    struct jit_room *room, size_t size)
{
    while (UNLIKELY(count + more + chunk(room, size) / 2 > room->made)) {
        uint32_t left = room->mapped - room->made, next = chunk(room, size);
        next = next < left ? next : left;
        uint8_t *at = (uint8_t *)table + room->made * size;
        bool soon = count + more <= room->made;
        if (!next || (soon && !jit_ahead_ask(&c->ahead, populate, at, next * size)))
            return soon;
        if (!soon && room->made)
            (void)populate(at, next * size);
        room->made += next;
    }
    return true;
}

/* Of code memory; the rest is cold. */
#define HOT_PART(size) ((uint32_t)((size) / 8 * 5))

void jit_cache_limit(const struct jit *j, struct jit_cache *c)
{
    size_t size = j->knobs.cache_size * c->member_end;

    if (size > c->size)
        size = c->size;
    c->hot_end = HOT_PART(size);
    c->cold_end = (uint32_t)(c->cold_start + size - HOT_PART(size));
}

static int cache_fill(struct jit *j, struct jit_cache *c)
{
    size_t size = j->knobs.cache_most;
    void *hash;
    int err = jit_arena_create(c, size);

    if (err)
        return err;
    if (!table_map((void **)&c->block, &c->block_room, (uint32_t)(size / BLOCK_LEAST),
                   sizeof *c->block) ||
        !table_map((void **)&c->chain, &c->chain_room, (uint32_t)(size / BLOCK_LEAST),
                   sizeof *c->chain) ||
        !table_map((void **)&c->exit, &c->exit_room, (uint32_t)(size / EXIT_LEAST),
                   sizeof *c->exit) ||
        !table_map((void **)&c->binding, &c->binding_room, BINDINGS, sizeof *c->binding))
        return -ENOMEM;
    hash = mmap(NULL, HASH_SIZE(JIT_BUCKETS), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (hash == MAP_FAILED)
        return -ENOMEM;
    c->clone_hash = hash;
    c->origin_hash = c->clone_hash + JIT_BUCKETS;
    c->warm = c->warm_bits;
    c->far = c->site_bits[0];
    c->wide = c->site_bits[1];
    c->near = c->site_bits[2];
    size_t piece = align_down(size / 512, PIECE_LEAST);
    c->piece = piece < PIECE_LEAST  ? PIECE_LEAST
               : piece > PIECE_MOST ? PIECE_MOST
                                    : (uint32_t)piece;
    jit_arena_split(c, HOT_PART(size), j->knobs.small);
    if (getentropy(&c->checksum_key, sizeof c->checksum_key) != 0)
        log_warn("jit", "no random numbers from the host: %s", strerror(errno));
    c->checksum_key |= 1;
    return 0;
}

static void cache_free(struct jit_cache *c)
{
    jit_ahead_end(&c->ahead);
    jit_arena_destroy(c);
    if (c->clone_hash)
        munmap(c->clone_hash, HASH_SIZE(JIT_BUCKETS));
    table_free(c->block, c->block_room, sizeof *c->block);
    table_free(c->chain, c->chain_room, sizeof *c->chain);
    table_free(c->exit, c->exit_room, sizeof *c->exit);
    table_free(c->binding, c->binding_room, sizeof *c->binding);
    lock_fini(&c->lock);
    munmap(c, sizeof *c);
}

static int cache_new(struct jit *j, struct jit_cache **made)
{
    struct jit_cache *c = map_zero(sizeof *c);

    if (!c)
        return -ENOMEM;
    lock_init(&c->lock, LOCK_CODE);
    jit_ahead_init(&c->ahead);
    c->ahead.off = j->knobs.late;
    c->fd = -1;
    int err = cache_fill(j, c);
    if (err) {
        cache_free(c);
        return err;
    }
    j->cache = c;
    j->code = c->code;
    jit_thunks_emit(j);
    j->store = jit_store_open(j);
    c->code = j->code;
    jit_cache_reset(j);
    if (!jit_blocks_grow(j)) {
        cache_free(c);
        return -ENOMEM;
    }
    *made = c;
    return 0;
}

int jit_cache_open(struct jit *j)
{
    struct soft_vm *vm = j->v->cpu.vm;
    int err = 0;

    lock_acquire(&vm->lock);
    if (!vm->cache)
        err = cache_new(j, &vm->cache);
    j->cache = vm->cache;
    lock_release(&vm->lock);
    if (!err)
        j->code = j->cache->code;
    return err;
}

void jit_cache_close(struct jit_cache *c)
{
    if (!c)
        return;
    jit_store_close(c);
    cache_free(c);
}

void jit_cache_reset(struct jit *j)
{
    struct jit_cache *c = j->cache;

    if (UNLIKELY(c->noted.size))
        jit_store_reset(c);
    if (c->block_count > 1 || c->binding_count > 1) {
        memset(c->clone_hash, 0, c->buckets * sizeof(uint32_t));
        memset(c->origin_hash, 0, c->buckets * sizeof(uint32_t));
        memset(c->page_hash, 0, sizeof c->page_hash);
        memset(c->bind_hash, 0, sizeof c->bind_hash);
    }
    j->stats.resets += c->block_count > 1;
    c->resets++;
    c->block_count = c->exit_count = c->binding_count = 1; /* behind JIT_NONE */
    c->hot = c->start;
    c->cold = c->cold_start;
}

/* One more piece of a part, whose bytes before `next` are in use: behind what the vCPU has, if
 * nobody took that. */
static bool take_piece(struct jit *j, uint32_t *next, uint32_t limit, uint32_t *at, uint32_t *end)
{
    uint32_t piece = j->cache->piece;

    if (*next + piece > limit)
        return false;
    if (*end != *next)
        *at = *next;
    *next = *end = *next + piece;
    j->taken += piece;
    return true;
}

static bool take_exits(struct jit *j)
{
    struct jit_cache *c = j->cache;

    if (!jit_table_grow(c, c->exit, c->exit_count, EXIT_RUN, &c->exit_room, sizeof *c->exit))
        return false;
    if (j->exit_end != c->exit_count)
        j->exit_next = c->exit_count;
    c->exit_count = j->exit_end = c->exit_count + EXIT_RUN;
    return true;
}

static bool has_hot(const struct jit *j)
{
    return j->hot + BLOCK_HOT_MAX <= j->hot_end;
}

static bool has_cold(const struct jit *j)
{
    return j->cold + BLOCK_COLD_MAX <= j->cold_end;
}

/* Of exits, room for a batch of small blocks. */
#define BATCH_EXITS 256

_Static_assert(BATCH_EXITS >= JIT_BLOCK_EXITS && EXIT_RUN >= BATCH_EXITS, "one more block");

static bool has_exits(const struct jit *j)
{
    return j->exit_next + BATCH_EXITS <= j->exit_end;
}

bool jit_cache_ready(struct jit *j)
{
    struct jit_cache *c = j->cache;

    if (LIKELY(has_hot(j) && has_cold(j) && has_exits(j)))
        return true;
    lock_acquire(&c->lock);
    bool ok = (has_hot(j) || take_piece(j, &c->hot, c->hot_end, &j->hot, &j->hot_end)) &&
              (has_cold(j) || take_piece(j, &c->cold, c->cold_end, &j->cold, &j->cold_end)) &&
              (has_exits(j) || take_exits(j));
    jit_arena_extend(c);
    lock_release(&c->lock);
    j->full |= !ok;
    return ok;
}

bool jit_cache_holds(struct jit *j, const struct jit_block *b)
{
    uint32_t lists = (b->looked + b->reloc_count) * (uint32_t)sizeof(uint16_t);

    return j->hot + b->hot_size + JIT_ALIGN <= j->hot_end &&
           j->cold + b->cold_size + 2 + lists + JIT_ALIGN <= j->cold_end &&
           j->exit_next + b->exit_count <= j->exit_end && jit_blocks_grow(j);
}
