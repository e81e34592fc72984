/*
 * Look-ups of translated code that found nothing: the second level of the TLB may have it.
 *
 * Where a site of code looks is learnt here. The page that it found last serves accesses that stay
 * in one (place.c). A site that misses often within a short time gets a window, and then a trial
 * (trial.c): if it has more misses than hits make up for, it looks into the TLB from then on, and
 * its block is translated anew. If it misses there what lies in regions of 2 MiB, it looks among
 * these first.
 */
#include <string.h>

#include "base/clock.h"
#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

#define STRAYS_OF_SITE   128
#define STRAYS_OF_WINDOW 32   /* each time so many it is tried to have one */
#define STRAYS           4096 /* of all sites; these count for one of them if they came within: */
#define STRAYS_NS        (STRAYS * 2000ull)
#define STRAYS_OF_FILLS  4 /* what JIT_FILLS misses that did not take C count */
/* Instructions on each side of a site that leaves: */
#define NEIGHBOURS 64

/* The block is made anew, so others of it that will have to leave do so at once. */
static void change_neighbours(struct jit *j, uint64_t pa)
{
    uint64_t first = pa - (pa % 4096 < 4 * NEIGHBOURS ? pa % 4096 : 4 * NEIGHBOURS);

    for (unsigned n = 0; n < 2 * NEIGHBOURS; n++) {
        unsigned site = jit_site(first + 4 * n);
        if (j->stray[site] >= STRAYS_OF_SITE / 4 && !jit_is_site(j->near, site)) {
            j->stray[site] = 0;
            jit_note(j->far, site);
        }
    }
}

static void change_site(struct jit *j, uint64_t pa, uint64_t *sites)
{
    unsigned site = jit_site(pa);

    j->stray[site] = 0;
    if (sites == j->wide && jit_is_site(sites, site))
        return;
    jit_note(sites, site);
    if (sites == j->far)
        change_neighbours(j, pa);
    jit_blocks_retire(j, pa, 4);
    cpu_attend(&j->v->cpu, ATTENTION_LOOK); /* out of a loop that is the block's own */
}

void jit_site_leaves(struct jit *j, uint64_t pa)
{
    change_site(j, pa, j->far);
}

struct jit_slow_common jit_slow_common_of(const uint8_t *record, const struct jit_slow *s)
{
    struct jit_slow_common common;

    memcpy(&common, record - s->common, sizeof common);
    return common;
}

const uint8_t *jit_slow_place(const struct jit *j, const uint8_t *record, const struct jit_slow *s,
                              unsigned place)
{
    if (place & JIT_SLOW_COLD)
        return record - s->common + (place & ~JIT_SLOW_COLD);
    return j->rx + jit_slow_common_of(record, s).code + place;
}

/* The physical address of a site, or 0: it is not known. */
static uint64_t pa_of(const struct jit *j, const struct mmu_bank *b, const uint8_t *record,
                      const struct jit_slow *s)
{
    uint64_t page_va = jit_slow_common_of(record, s).page_va;
    const struct jit_binding *page = &j->binding[b->jit.bind[jit_bind_slot(page_va)]];

    return page == j->binding || page->va != page_va ? 0 : page->pa + s->offset;
}

/* Something was not found by a site; it counts `weight` times. How often before? */
static unsigned note_stray(struct jit *j, uint64_t pa, unsigned weight)
{
    j->strays += weight;
    if (j->strays >= STRAYS) {
        uint64_t now = clock_monotonic_ns();
        if (now - j->strays_since > STRAYS_NS)
            memset(j->stray, 0, sizeof j->stray);
        j->strays = 0;
        j->strays_since = now;
    }
    if (!pa)
        return 0;
    unsigned before = j->stray[jit_site(pa)];
    j->stray[jit_site(pa)] = (uint8_t)(before + weight);
    return before;
}

/* A site missed its place, `count` times by now and `before` these: it gets a window, perhaps.
 * Streams that go far do where there is none so far. False: that has to wait. */
static bool ask_for_window(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, unsigned place,
                           const struct tlb_entry *e, unsigned before, unsigned count)
{
    struct tlb_page p;

    if (jit_place_is_far(place) && (count >= STRAYS_OF_WINDOW || v->hot.open))
        return window_find(v, b, va, e, &p) || window_build(v, b, va, true);
    if (before / STRAYS_OF_WINDOW != count / STRAYS_OF_WINDOW || v->hot.open)
        (void)window_build(v, b, va, false);
    return true;
}

/* A place missed: fill it. Did translated code fill places by itself since the last time? */
static void refill_place(struct jit *j, struct mmu_bank *b, uint64_t va, uint64_t pa,
                         unsigned place, const struct tlb_entry *e)
{
    struct soft_vcpu *v = j->v;
    bool filled = v->hot.fills < 0, near = jit_is_site(j->near, jit_site(pa));

    if (!jit_trial_is_on(j)) {
        unsigned weight = filled && !near ? STRAYS_OF_FILLS : 1;
        unsigned before = note_stray(j, pa, weight), count = before + weight;
        if (filled)
            v->hot.fills = JIT_FILLS;
        bool may_begin = ask_for_window(v, b, va, place, e, before, count);
        if (!may_begin || count >= STRAYS_OF_SITE)
            j->stray[jit_site(pa)] = 0;
        if (may_begin && count >= STRAYS_OF_SITE)
            jit_trial_begin(j, b, place);
    }
    tlb_fill_page(v, b, place, va, e);
    if (!jit_trial_is_on(j))
        return;
    jit_trial_step(j, b, place, va, pa);
    v->hot.fills = jit_trial_is_on(j) ? 0 : JIT_FILLS;
}

/* The TLB missed what a region has. */
static void note_wide(struct jit *j, uint64_t pa)
{
    if (note_stray(j, pa, 1) + 1 >= STRAYS_OF_SITE)
        change_site(j, pa, j->wide);
}

/* A site goes over the end of a page. What is to be added to the address, which is in `*add`, is
 * the same for both pages if the host has them in a row, perhaps in a window. */
static bool find_both(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                      const struct jit_slow *s, uintptr_t *add)
{
    uint64_t next = align_down(va, 4096) + 4096;
    struct tlb_page p = { 0 };

    const struct tlb_entry *e = tlb_find(v, b, next, s->write);
    if (!e)
        return false;
    *add = e->add;
    (void)window_find(v, b, next, e, &p); /* it notes what the entry says */
    e = tlb_find(v, b, va, s->write);
    if (!e)
        return false;
    if (e->add == *add)
        return true;
    uint64_t size = window_find(v, b, va, e, &p);
    *add = p.add;
    return size && va - p.va + s->size <= size;
}

/* It does so often: a window may help. */
static bool try_window(struct jit *j, struct mmu_bank *b, uint64_t va, const uint8_t *record,
                       const struct jit_slow *s)
{
    uint64_t pa = pa_of(j, b, record, s);

    if (!pa || (++j->stray[jit_site(pa)] < STRAYS_OF_WINDOW && !j->v->hot.open))
        return false;
    j->stray[jit_site(pa)] = 0;
    (void)window_build(j->v, b, va, false);
    return true;
}

static struct jit_refilled refill_both(struct jit *j, struct mmu_bank *b, uint64_t va,
                                       const uint8_t *record, const struct jit_slow *s)
{
    uintptr_t add;

    if (j->knobs.uncrossed ||
        (!find_both(j->v, b, va, s, &add) &&
         !(try_window(j, b, va, record, s) && find_both(j->v, b, va, s, &add))))
        return (struct jit_refilled){ 0 };
    if (s->page)
        tlb_fill_page(j->v, b, s->page - 1u, va, tlb_entry_of(&b->tlb, va));
    return (struct jit_refilled){ jit_slow_place(j, record, s, s->found), add };
}

struct jit_refilled jit_refill(struct cpu *c, uint64_t va, const uint8_t *record)
{
    struct soft_vcpu *v = vcpu_of(c);
    struct jit *j = v->hot.jit;
    struct mmu_bank *b = c->el ? &v->kernel : v->user;
    struct jit_slow s;

    j->stats.refill_calls++;
    memcpy(&s, record, sizeof s);
    if (c->tlb != &b->tlb || v->hot.one_entry)
        return (struct jit_refilled){ 0 };
    if ((va & 4095) + s.size > 4096)
        return refill_both(j, b, va, record, &s);
    const struct tlb_entry *e = tlb_find(v, b, va, s.write);
    if (!e)
        return (struct jit_refilled){ 0 };
    if (s.page)
        refill_place(j, b, va, pa_of(j, b, record, &s), s.page - 1u, e);
    else if (tlb_find_wide(b, va, s.write))
        note_wide(j, pa_of(j, b, record, &s));
    return (struct jit_refilled){ jit_slow_place(j, record, &s, s.found), e->add };
}
