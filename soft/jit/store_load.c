/*
 * Blocks out of the file of kept translations.
 *
 * With a block come those that its exits lead to, and so on, as far as a fetch would find their
 * pages, and all are linked before any of them runs. One by one each would cost two calls of C, one
 * that asks for it and one that links it, locks, and patched code that has just run.
 *
 * Nothing of it is in the host's caches, neither the file nor where a block would be found. So what
 * an exit leads to is first wanted, and what will be looked at for it is prefetched. That the
 * host's tables of pages have the file is seen to by the thread that makes memory.
 */
#include <x86intrin.h>

#include "base/log.h"
#include "base/populate.h"
#include "soft/jit/store_block.h"
#include "soft/jit/translate.h"

/* Blocks at once. More of them saved no more calls. */
#define LOADED 64

static bool is_sound(struct jit_store *s, const struct store_record *r)
{
    if (LIKELY(store_record_is_sound(&s->file, r)))
        return true;
    if (!atomic_exchange(&s->told, true))
        log_message(s->level, "jit",
                    "the file of kept translations is damaged; what can be used is");
    return false;
}

/* Is it what was made of these bytes? A record is looked at before it is known to be sound. */
static bool is_of(const struct store_record *r, const struct store_block *s,
                  const struct store_parts *p, const uint8_t *page, unsigned offset, uint32_t mode)
{
    const uint8_t *from = (const uint8_t *)(r + 1);
    const uint32_t *word = (const void *)(from + p->word);
    const uint16_t *looked = (const void *)(from + p->looked);

    if ((s->va & 4095) != offset || s->mode != mode || s->count > s->words || r->size != p->end ||
        s->words - s->count > JIT_LOOKED || s->exit_count > JIT_BLOCK_EXITS)
        return false;
    for (unsigned n = 0; n < s->count; n++, word++) {
        if (offset > CODE_PAGE_SIZE - 4 || ld_le32(page + offset) != *word)
            return false;
        offset = jit_block_next(*word, offset);
    }
    for (unsigned n = s->count; n < s->words; n++, word++, looked++)
        if (*looked > CODE_PAGE_SIZE - 4 || ld_le32(page + *looked) != *word)
            return false;
    return true;
}

static void read_exits(struct jit_exit *exit, const struct store_block *s,
                       const struct store_exit *from)
{
    for (unsigned n = 0; n < s->exit_count; n++)
        exit[n] = (struct jit_exit){
            .target = s->va + (uint64_t)(int64_t)from[n].target,
            .site = (s->code + (from[n].site & STORE_SITE)) & JIT_OFFSET,
            .bound = (from[n].site & STORE_BOUND) != 0,
            .called = (from[n].site & STORE_CALLED) != 0,
            .tail = s->cold + from[n].tail,
        };
}

/* Records lie in the order they were made in, so what is behind a piece is likely to be next. */
static void come_near(struct jit *j, const struct store_record *r)
{
    struct jit_store *s = j->store;
    size_t piece = (size_t)((const uint8_t *)r - s->file.map) / STORE_NEAR;

    for (size_t n = piece; n < piece + 2 && n * STORE_NEAR < s->file.size; n++) {
        size_t left = s->file.size - n * STORE_NEAR;
        if (!s->near[n])
            s->near[n] = jit_ahead_ask(&j->cache->ahead, populate_read,
                                       (void *)(uintptr_t)(s->file.map + n * STORE_NEAR),
                                       left < STORE_NEAR ? left : STORE_NEAR);
    }
}

/* Of the file, if it is there: an original. The lock is held. */
static uint32_t load(struct jit *j, uint64_t hash, uint64_t pa, uint64_t va, const uint8_t *page,
                     uint32_t mode)
{
    const struct store_record *r;
    uint32_t probe = 0;

    while ((r = store_file_find(&j->store->file, hash, &probe))) {
        const uint8_t *from = (const uint8_t *)(r + 1);
        struct store_block s;
        if (r->size < sizeof s)
            continue;
        memcpy(&s, from, sizeof s);
        struct store_parts p = store_parts_of(&s);
        if (!is_of(r, &s, &p, page, va & 4095, mode) || !is_sound(j->store, r))
            continue;
        struct jit_block o = {
            .va = s.va,
            .mode = s.mode,
            .is_warm = s.is_warm,
            .count = s.count,
            .exit_count = s.exit_count,
            .high = s.high & 0x1fff,
            .reloc_count = s.reloc_count & 0xfff,
            .looked = (s.words - s.count) & JIT_LOOKED,
            .hot_size = s.hot_size,
            .cold_size = s.cold_size,
            .code = s.code,
            .cold = s.cold,
        };
        for (unsigned n = 0; n < s.words; n++)
            o.checksum = jit_checksum_add(j, o.checksum, ld_le32(from + p.word + n * 4));
        struct jit_exit exit[JIT_BLOCK_EXITS];
        read_exits(exit, &s, (const void *)(from + p.exits));
        struct jit_image image = {
            .block = &o,
            .hot = from + p.hot,
            .cold = from + p.cold,
            .looked = (const void *)(from + p.looked),
            .relocs = (const void *)(from + p.relocs),
            .exit = exit,
            .sorted = true,
            .wide = s.wide,
        };
        if (jit_is_other(j, &image, pa) || !jit_image_fits(&image, va) || !jit_cache_holds(j, &o))
            continue;
        jit_image_copy(j, &image, pa, va, page, &j->block[j->cache->block_count]);
        uint32_t n = jit_block_put(j);
        come_near(j, r);
        if (UNLIKELY(j->trace))
            jit_trace_write(j, n);
        j->stats.loaded++;
        return n;
    }
    return JIT_NONE;
}

/* An exit, and where it leads to. */
struct want {
    uint64_t pa, va, hash;
    const uint8_t *page;
    uint32_t exit, binding;
};

#define WANTS 256

struct batch {
    struct soft_vcpu *v;
    uint32_t mode;
    unsigned left; /* blocks that may come */
    unsigned head, near, tail;
    struct want want[WANTS];
};

/* The binding of the page of `va`. A page may have to be made for it, so nobody waits meanwhile. */
static uint32_t bind(struct batch *b, uint64_t va)
{
    struct jit *j = b->v->hot.jit;
    uint32_t binding = jit_bound(b->v, va);

    if (binding || !b->left)
        return binding;
    lock_release(&j->cache->lock);
    binding = jit_bind(b->v, va);
    lock_acquire(&j->cache->lock);
    return binding;
}

/* What the exits of a block lead to is wanted, and what tells where it is comes near meanwhile. */
static void want_exits(struct batch *b, uint32_t block)
{
    struct jit *j = b->v->hot.jit;
    const struct jit_block *from = &j->block[block];

    for (uint32_t n = 0; n < from->exit_count && b->tail < WANTS; n++) {
        uint64_t va = j->exit[from->exit_first + n].target;
        uint32_t binding = bind(b, va);
        if (!binding)
            continue;
        struct want *w = &b->want[b->tail++];
        w->exit = from->exit_first + n;
        w->binding = binding;
        w->va = va;
        w->pa = j->binding[binding].pa | (va & 4095);
        w->page = j->binding[binding].host;
        w->hash = store_hash_of(w->page, va & 4095, b->mode);
        jit_block_near(j, w->pa, b->mode);
        store_file_near(&j->store->file, w->hash);
    }
}

static void serve(struct batch *b, const struct want *w)
{
    struct jit *j = b->v->hot.jit;
    uint32_t to = jit_block_find(j, w->pa, w->va, b->mode);

    if (to == JIT_NONE && b->left && jit_map_is_current(j) &&
        jit_block_find_origin(j, w->pa, b->mode) == JIT_NONE) {
        to = load(j, w->hash, w->pa, w->va, w->page, b->mode);
        if (to != JIT_NONE) {
            b->left--;
            want_exits(b, to);
        }
    }
    if (to != JIT_NONE)
        jit_exit_lead(j, w->exit, to, w->binding);
}

#define AHEAD 6

static void follow(struct batch *b, uint32_t block)
{
    struct jit *j = b->v->hot.jit;

    want_exits(b, block);
    for (; b->head < b->tail; b->head++) {
        for (; b->near < b->tail && b->near < b->head + AHEAD; b->near++) {
            const struct want *w = &b->want[b->near];
            store_file_nearer(&j->store->file, w->hash);
            jit_block_nearer(j, w->pa, b->mode);
        }
        serve(b, &b->want[b->head]);
    }
}

uint32_t jit_store_load(struct soft_vcpu *v, uint64_t pa, uint64_t va, const uint8_t *page,
                        uint32_t mode)
{
    struct jit *j = v->hot.jit;
    struct batch b;

    if (!j->store->file.map || !jit_map_is_current(j))
        return JIT_NONE;
    uint64_t start = __rdtsc();
    uint32_t n = load(j, store_hash_of(page, va & 4095, mode), pa, va, page, mode);
    if (n != JIT_NONE && !j->knobs.unlinked && !j->knobs.check && !v->hot.track) {
        b.v = v;
        b.mode = mode;
        b.left = LOADED - 1;
        b.head = b.near = b.tail = 0;
        follow(&b, n);
    }
    j->stats.translate_ticks += __rdtsc() - start;
    return n;
}
