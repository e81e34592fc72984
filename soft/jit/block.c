/*
 * The tables behind the code cache: blocks by address and by physical page, exits and what they are
 * linked to. Indices instead of pointers, since the tables grow.
 */
#include <stdlib.h>
#include <string.h>

#include "soft/jit/block.h"
#include "soft/jit/x86.h"

/* A bigger table. False: no memory; then the caller does as if the cache were full. */
static bool table_grow(void **table, uint32_t count, uint32_t *room, size_t size)
{
    if (count < *room)
        return true;
    uint32_t more = *room ? *room * 2 : 4096;
    void *grown = realloc(*table, more * size);
    if (!grown)
        return false;
    *table = grown;
    *room = more;
    return true;
}

static uint32_t *block_bucket(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode)
{
    uint64_t h = (pa >> 2 ^ va >> 12 ^ (uint64_t)mode << 13) * 0x9e3779b97f4a7c15ull;
    return &j->block_hash[h >> 48 & (JIT_BLOCK_HASH - 1)];
}

static uint32_t *page_bucket(struct jit *j, uint64_t pa)
{
    return &j->page_hash[(pa >> 12) & (JIT_PAGE_HASH - 1)];
}

void jit_tables_clear(struct jit *j)
{
    memset(j->block_hash, 0xff, sizeof j->block_hash);
    memset(j->page_hash, 0xff, sizeof j->page_hash);
    memset(j->bind_hash, 0xff, sizeof j->bind_hash);
    j->block_count = j->exit_count = 0;
    j->binding_count = 1; /* id 0 is no binding */
}

void jit_tables_free(struct jit *j)
{
    free(j->block);
    free(j->exit);
    free(j->binding);
}

bool jit_tables_ready(struct jit *j)
{
    return table_grow((void **)&j->block, j->block_count, &j->block_room, sizeof *j->block) &&
           table_grow((void **)&j->exit, j->exit_count + 2 * JIT_BLOCK_EXITS, &j->exit_room,
                      sizeof *j->exit);
}

uint32_t jit_block_add(struct jit *j, const struct jit_block *b)
{
    uint32_t n = j->block_count++;
    uint32_t *hash = block_bucket(j, b->pa, b->va, b->mode), *page = page_bucket(j, b->pa);

    j->block[n] = *b;
    j->block[n].incoming = JIT_NONE;
    j->block[n].hash_next = *hash;
    j->block[n].page_next = *page;
    *hash = *page = n;
    return n;
}

uint32_t jit_block_find(struct jit *j, uint64_t pa, uint64_t va, uint32_t mode)
{
    uint32_t n = *block_bucket(j, pa, va, mode);

    while (n != JIT_NONE && (j->block[n].pa != pa || j->block[n].va != va ||
                             j->block[n].mode != mode || !j->block[n].code))
        n = j->block[n].hash_next;
    return n;
}

uint32_t jit_exit_add(struct jit *j, const struct jit_exit *e)
{
    uint32_t n = j->exit_count++;

    j->exit[n] = *e;
    j->exit[n].block = JIT_NONE;
    return n;
}

void jit_exit_link(struct jit *j, uint32_t exit, uint32_t block, uint32_t binding)
{
    struct jit_exit *e = &j->exit[exit];

    jit_exit_unlink(j, exit);
    e->block = block;
    e->incoming_next = j->block[block].incoming;
    j->block[block].incoming = exit;
    x86_patch(j->rw + e->site, j->rw + j->block[block].code);
    if (e->bind_site)
        memcpy(j->rw + e->bind_site, &binding, 4);
    j->stats.links++;
}

void jit_exit_unlink(struct jit *j, uint32_t exit)
{
    struct jit_exit *e = &j->exit[exit];

    if (e->block == JIT_NONE)
        return;
    uint32_t *link = &j->block[e->block].incoming;
    while (*link != exit)
        link = &j->exit[*link].incoming_next;
    *link = e->incoming_next;
    e->block = JIT_NONE;
    x86_patch(j->rw + e->site, j->rw + e->tail);
}

/* Nothing leads to the block any more, but for what the caller forgets: the jump cache. */
static void block_retire(struct jit *j, uint32_t n)
{
    while (j->block[n].incoming != JIT_NONE)
        jit_exit_unlink(j, j->block[n].incoming);
    j->block[n].code = 0;
    j->stats.retired++;
}

uint32_t jit_checksum(const uint8_t *p, size_t n)
{
    uint64_t h = n;

    for (; n >= 4; n -= 4, p += 4) {
        uint32_t word;
        memcpy(&word, p, 4);
        h = (h ^ word) * 0x9e3779b97f4a7c15ull;
        h ^= h >> 29;
    }
    return (uint32_t)(h >> 32);
}

bool jit_blocks_retire(struct jit *j, uint64_t pa, uint64_t bytes)
{
    uint64_t page = pa & ~4095ull;
    bool any = false;

    for (uint32_t *link = page_bucket(j, pa); *link != JIT_NONE;) {
        struct jit_block *b = &j->block[*link];
        if ((b->pa & ~4095ull) == page && b->low < pa + bytes && pa < b->high) {
            uint32_t n = *link;
            *link = b->page_next;
            block_retire(j, n);
            any = true;
        } else {
            link = &b->page_next;
        }
    }
    return any;
}
