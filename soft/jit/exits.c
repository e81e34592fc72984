/*
 * Direct exits of blocks, and bindings of pages.
 *
 * An exit is linked and cut while others execute it. To another page it has two parts, the id that
 * is compared and the jump, and a vCPU may be between them for as long as the host likes: so the
 * jump may lead elsewhere at any time, as the tail is always right, but the id becomes another one
 * only when every vCPU has been elsewhere since it was taken away.
 */
#include "base/bytes.h"
#include "soft/jit/translate.h"

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
    e->incoming_next = 0;
}

/* The comparison in front of the exit is to be with another id. A vCPU may be between it and the
 * jump, so the jump leads to the tail and no id is compared until each has been elsewhere. */
static bool may_bind(struct jit *j, struct jit_exit *e, uint32_t binding)
{
    uint8_t *id = j->rw + jit_exit_bind_site(e);

    if (ld_le32(id) == binding)
        return true;
    if (ld_le32(id) != JIT_NO_BINDING) {
        jit_patch(j->rw + e->site, j->rw + e->tail);
        jit_put_32(id, JIT_NO_BINDING);
        e->incoming_next = jit_time_next(j);
    }
    return !e->incoming_next || jit_all_saw(j, e->incoming_next);
}

/* Code that is as it is to be is better left alone: the host would fetch it anew. */
static bool leads_to(const struct jit *j, const struct jit_exit *e, uint32_t block,
                     uint32_t binding)
{
    return e->block == block && (!e->bound || ld_le32(j->rw + jit_exit_bind_site(e)) == binding);
}

void jit_exit_lead(struct jit *j, uint32_t exit, uint32_t block, uint32_t binding)
{
    struct jit_exit *e = &j->exit[exit];
    struct jit_block *b = &j->block[block];

    if (!b->code || b->incoming == JIT_GONE || leads_to(j, e, block, binding))
        return;
    jit_exit_unlink(j, exit);
    if (e->bound && !may_bind(j, e, binding))
        return;
    e->block = block;
    e->incoming_next = b->incoming;
    b->incoming = exit;
    jit_patch(j->rw + e->site, j->rw + b->code);
    if (e->bound)
        jit_put_32(j->rw + jit_exit_bind_site(e), binding);
    j->stats.links++;
}

/* Bindings. */

static uint32_t find_binding(const struct jit *j, uint32_t n, uint64_t va, uint64_t pa, uint32_t el)
{
    while (n != JIT_NONE &&
           (j->binding[n].va != va || j->binding[n].pa != pa || j->binding[n].el != el))
        n = j->binding[n].next;
    return n;
}

uint32_t jit_binding_id(struct jit *j, uint64_t va, uint64_t pa, const uint8_t *host, uint32_t el)
{
    struct jit_cache *c = j->cache;
    uint64_t h = (va >> 12 ^ pa << 8 ^ el) * 0x9e3779b97f4a7c15ull;
    uint32_t *bucket = &c->bind_hash[h >> 48 & (JIT_BIND_HASH - 1)];
    uint32_t n = find_binding(j, jit_get(bucket), va, pa, el); /* they stay */

    if (n != JIT_NONE)
        return n;
    lock_acquire(&c->lock);
    n = find_binding(j, *bucket, va, pa, el);
    if (n == JIT_NONE && jit_map_is_current(j)) {
        if (jit_table_grow(c, c->binding, c->binding_count, 1, &c->binding_room,
                           sizeof *c->binding)) {
            n = c->binding_count++;
            j->binding[n] =
                (struct jit_binding){ .va = va, .pa = pa, .host = host, .el = el, .next = *bucket };
            jit_put(bucket, n);
        } else {
            j->full = true;
        }
    }
    lock_release(&c->lock);
    return n;
}
