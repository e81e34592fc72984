/*
 * Decoded pages, by physical page. A vCPU has its own, so decoding needs no locks; there are at
 * most `code_limit` of them, and the one that was looked up longest ago makes room.
 *
 * A guest has to tell when it changed code (CTR_EL0.DIC is 0). Slots of a line that differ from
 * memory go back to undecoded. For everything, IC IALLU, pages are only marked: each is compared
 * with memory when it is looked up next, which is far cheaper than decoding all again.
 */
#include <stdlib.h>

#include "soft/vcpu.h"

struct code_node {
    struct code_page page;
    uint32_t epoch;
};

static struct code_node *code_node_of(struct code_page *p)
{
    return CONTAINER_OF(p, struct code_node, page);
}

static struct code_page **code_bucket(struct soft_vcpu *v, uint64_t pa)
{
    return &v->code_hash[(pa >> CODE_PAGE_SHIFT) % SOFT_CODE_HASH];
}

static void code_unlink_lru(struct soft_vcpu *v, struct code_page *p)
{
    *(p->lru_prev ? &p->lru_prev->lru_next : &v->code_newest) = p->lru_next;
    *(p->lru_next ? &p->lru_next->lru_prev : &v->code_oldest) = p->lru_prev;
}

static void code_link_newest(struct soft_vcpu *v, struct code_page *p)
{
    p->lru_prev = NULL;
    p->lru_next = v->code_newest;
    *(v->code_newest ? &v->code_newest->lru_prev : &v->code_oldest) = p;
    v->code_newest = p;
}

static struct code_page *code_find(struct soft_vcpu *v, uint64_t pa)
{
    struct code_page *p = *code_bucket(v, pa);
    while (p && p->pa != pa)
        p = p->hash_next;
    return p;
}

/* Take `p` out of everything that leads to it. */
static void code_remove(struct soft_vcpu *v, struct code_page *p)
{
    struct code_page **link = code_bucket(v, p->pa);
    while (*link != p)
        link = &(*link)->hash_next;
    *link = p->hash_next;
    code_unlink_lru(v, p);
    v->code_count--;
}

void code_init(struct soft_vcpu *v)
{
    v->code_limit = SOFT_CODE_PAGES;
}

void code_drop_all(struct soft_vcpu *v)
{
    tlb_flush_fetch(v);
    while (v->code_newest) {
        struct code_page *p = v->code_newest;
        code_remove(v, p);
        free(code_node_of(p));
    }
    v->cpu.page = NULL;
}

/* Forget those of `count` slots whose word is no longer what memory holds. */
static void code_verify(struct code_page *p, unsigned first, unsigned count)
{
    for (unsigned n = first; n < first + count; n++)
        if (p->slot[n].fn != interp_decode_slot && p->slot[n].word != ld_le32(p->host + n * 4))
            p->slot[n].fn = interp_decode_slot;
}

/* A node for a new page: a fresh one, or the oldest page's. */
static struct code_node *code_new_node(struct soft_vcpu *v)
{
    if (v->code_count < v->code_limit) {
        struct code_node *n = aligned_alloc(64, align_up(sizeof *n, 64));
        if (n || v->code_count == 0)
            return n;
    }
    struct code_page *oldest = v->code_oldest;
    code_remove(v, oldest);
    tlb_flush_fetch(v);
    return code_node_of(oldest);
}

struct code_page *code_get(struct soft_vcpu *v, uint64_t pa, const uint8_t *host)
{
    struct code_page *p = code_find(v, pa);
    if (p) {
        if (UNLIKELY(code_node_of(p)->epoch != v->code_epoch)) {
            code_verify(p, 0, CODE_PAGE_SLOTS);
            code_node_of(p)->epoch = v->code_epoch;
        }
        code_unlink_lru(v, p);
        code_link_newest(v, p);
        return p;
    }
    struct code_node *n = code_new_node(v);
    if (!n)
        return NULL;
    p = &n->page;
    interp_reset_page(p);
    n->epoch = v->code_epoch;
    p->pa = pa;
    p->host = host;
    struct code_page **bucket = code_bucket(v, pa);
    p->hash_next = *bucket;
    *bucket = p;
    code_link_newest(v, p);
    v->code_count++;
    v->stats.pages_decoded++;
    return p;
}

void code_invalidate_line(struct soft_vcpu *v, uint64_t pa)
{
    struct code_page *p = code_find(v, align_down(pa, CODE_PAGE_SIZE));
    if (!p)
        return;
    unsigned first = (unsigned)(align_down(pa, IREKO_V1_CODE_LINE) % CODE_PAGE_SIZE / 4);
    code_verify(p, first, IREKO_V1_CODE_LINE / 4);
}

void code_invalidate_all(struct soft_vcpu *v)
{
    v->code_epoch++;
    tlb_flush_fetch(v);
}
