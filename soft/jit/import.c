/*
 * Copies of what other vCPUs translated, as the scheduler moves programs between CPUs (clone.c has
 * how a block is copied).
 *
 * A copy becomes an original of this vCPU's. Only memory says whether it is still right, not what
 * the other vCPU was asked to forget. `jit_origins` tells whom to ask, the one that translated it
 * last, so that there is no search.
 *
 * A program goes here the ways that it went there, mostly. So with a block come those that its
 * exits are linked to there, and so on, as far as they are in pages that this vCPU knows, and all
 * are linked at once. One by one each would cost a call of C, two locks, patched code that has just
 * run, and what it takes to bring the other vCPU's tables here.
 */
#include <sched.h>

#include "soft/jit/translate.h"

static _Atomic uint8_t *origin_of(struct soft_vcpu *v, uint64_t pa, uint32_t mode)
{
    uint64_t h = (pa >> 2 ^ (uint64_t)mode << 60) * 0x9e3779b97f4a7c15ull;
    return &v->cpu.vm->origins->vcpu[h >> 48 & (JIT_ORIGINS - 1)];
}

void jit_export(struct soft_vcpu *v, uint64_t pa, uint32_t mode)
{
    atomic_store_explicit(origin_of(v, pa, mode), (uint8_t)(v->index + 1), memory_order_relaxed);
}

static struct jit_owner *owner_of(const struct soft_vcpu *v)
{
    return &v->cpu.vm->origins->owner[v->index];
}

void jit_open(struct soft_vcpu *v)
{
    atomic_store(&owner_of(v)->jit, v->hot.jit);
}

void jit_close(struct soft_vcpu *v)
{
    struct jit_owner *o = owner_of(v);

    atomic_store(&o->jit, NULL);
    while (atomic_load(&o->readers)) /* a reader counts itself first, and looks then */
        sched_yield();
}

/* The vCPU that may have a translation, with its cache locked. NULL: none has. */
static struct jit *lock_other(struct soft_vcpu *v, uint64_t pa, uint32_t mode)
{
    unsigned index = atomic_load_explicit(origin_of(v, pa, mode), memory_order_relaxed);

    if (!index || index - 1 == v->index)
        return NULL;
    struct jit_owner *o = &v->cpu.vm->origins->owner[index - 1];
    atomic_fetch_add(&o->readers, 1);
    struct jit *other = atomic_load(&o->jit);
    if (other) {
        lock_acquire(&other->lock);
        return other;
    }
    atomic_fetch_sub(&o->readers, 1);
    return NULL;
}

static void unlock_other(struct jit *other)
{
    struct jit_owner *o = owner_of(other->v);

    lock_release(&other->lock);
    atomic_fetch_sub(&o->readers, 1);
}

/* Exits to be linked to a block that was here, or to the copy `member` of the batch. */
#define BATCH_LINKS (2 * JIT_BATCH)

struct batch {
    struct jit *from; /* locked */
    const struct mmu_bank *bank;
    unsigned count, links;
    uint32_t origin[JIT_BATCH]; /* in `from` */
    struct jit_block copy[JIT_BATCH];
    struct {
        uint32_t exit, binding, block;
        unsigned member;
    } link[BATCH_LINKS];
};

/* Copy the block `origin`, unless it is not what memory has at `page`, or would not be the same
 * here. */
static bool take(struct jit *j, struct batch *b, uint32_t origin, uint64_t pa, uint64_t va,
                 const uint8_t *page)
{
    const struct jit_block *o = &b->from->block[origin];
    const struct jit_image image = jit_image_of(b->from, o);

    if (origin == JIT_NONE || b->count == JIT_BATCH || !o->reloc_count ||
        !jit_cache_holds(j, o, b->count) || !jit_block_matches(b->from, o, page) ||
        !jit_image_fits(&image, va) || jit_is_other(j, &image, pa))
        return false;
    b->origin[b->count] = origin;
    jit_image_copy(j, &image, pa, va, page, &b->copy[b->count++]);
    return true;
}

static unsigned member_of(const struct batch *b, uint64_t pa, uint64_t va)
{
    unsigned n = 0;

    while (n < b->count && (b->copy[n].pa != pa || b->copy[n].va != va))
        n++;
    return n;
}

/* What an exit of a copy is to lead to, at `va` here: the block that is `there` in the other cache.
 */
static void lead(struct jit *j, struct batch *b, uint32_t exit, uint32_t there, uint64_t va)
{
    const struct jit_block *t = &b->from->block[there];
    uint32_t binding = b->bank->jit.bind[jit_bind_slot(va)];
    const struct jit_binding *page = &j->binding[binding];

    if (b->links == BATCH_LINKS || !binding || page->va != (va & ~4095ull) ||
        page->pa != (t->pa & ~4095ull) || t->mode != b->copy[0].mode)
        return;
    unsigned member = member_of(b, t->pa, va);
    uint32_t block = member < b->count ? JIT_NONE : jit_block_find(j, t->pa, va, t->mode);
    if (t->is_clone)
        there = jit_block_find_origin(b->from, t->pa, t->mode);
    if (member == b->count && block == JIT_NONE && !take(j, b, there, t->pa, va, page->host))
        return;
    b->link[b->links].exit = exit;
    b->link[b->links].binding = binding;
    b->link[b->links].block = block;
    b->link[b->links++].member = member;
}

static void follow(struct jit *j, struct batch *b, unsigned member)
{
    const struct jit_block *o = &b->from->block[b->origin[member]], *copy = &b->copy[member];
    const struct jit_exit *e = &b->from->exit[o->exit_first];

    for (uint32_t n = 0; n < o->exit_count; n++)
        if (e[n].block != JIT_NONE)
            lead(j, b, copy->exit_first + n, e[n].block, e[n].target + (copy->va - o->va));
}

uint32_t jit_import(struct soft_vcpu *v, uint64_t pa, uint64_t va, const uint8_t *page,
                    uint32_t mode)
{
    struct jit *j = v->hot.jit;
    struct batch b;

    if (j->knobs.unimported || j->knobs.check || !jit_cache_ready(j))
        return JIT_NONE;
    b.from = lock_other(v, pa, mode);
    if (!b.from)
        return JIT_NONE;
    b.bank = v->cpu.el ? &v->kernel : v->user;
    b.count = b.links = 0;
    if (b.from->start == j->start)
        (void)take(j, &b, jit_block_find_origin(b.from, pa, mode), pa, va, page);
    for (unsigned n = 0; n < b.count && !j->knobs.unlinked; n++)
        follow(j, &b, n);
    unlock_other(b.from);
    uint32_t number[JIT_BATCH];
    for (unsigned n = 0; n < b.count; n++)
        number[n] = jit_image_enter(j, &b.copy[n]);
    for (unsigned n = 0; n < b.links; n++)
        jit_exit_link(j, b.link[n].exit,
                      b.link[n].block != JIT_NONE ? b.link[n].block : number[b.link[n].member],
                      b.link[n].binding);
    j->stats.imported += b.count;
    return b.count ? number[0] : JIT_NONE;
}
