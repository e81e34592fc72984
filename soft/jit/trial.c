/*
 * Is a place of tlb.page[] worth it for the sites of code that look there? A hit is not seen, so
 * that a site misses often says little: it may be what executes all the time. So for a while the
 * place is kept empty. Every access to it asks C then (refill.c), which counts those that would
 * have been hits, site by site. Sites that miss too many leave: their blocks are translated anew,
 * and look into the TLB. The others are left alone for longer.
 */
#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

#define ACCESSES 96  /* that are counted */
#define CALLS    384 /* of C, whatever place they are for: then it is over anyway */
#define WORTH    6   /* a miss takes the time that so many hits save */
#define ENOUGH   4   /* accesses, to say something of a site */

void jit_trial_begin(struct jit *j, const struct mmu_bank *b, unsigned place)
{
    if (!jit_trial_is_on(j))
        j->trial =
            (struct jit_trial){ .bank = b, .place = place, .left = ACCESSES, .calls = CALLS };
}

static void note_site(struct jit_trial *t, uint64_t pa, bool missed)
{
    unsigned n = 0;

    while (n < t->sites && t->site[n].pa != pa)
        n++;
    if (n == ARRAY_LEN(t->site) || !pa)
        return;
    t->sites += n == t->sites;
    t->site[n].pa = pa;
    t->site[n].seen++;
    t->site[n].missed += missed;
}

static void judge(struct jit *j)
{
    const struct jit_trial *t = &j->trial;

    for (unsigned n = 0; n < t->sites; n++) {
        uint64_t pa = t->site[n].pa;
        if (t->site[n].seen < ENOUGH)
            continue;
        if (t->site[n].missed * WORTH > t->site[n].seen)
            jit_site_leaves(j, pa);
        else
            jit_note(j->near, jit_site(pa));
        j->stray[jit_site(pa)] = 0;
    }
}

void jit_trial_step(struct jit *j, struct mmu_bank *b, unsigned place, uint64_t va, uint64_t pa)
{
    struct jit_trial *t = &j->trial;
    struct tlb_page *p = &b->tlb.page[place];
    bool on = t->bank == b && t->place == place, missed = va - t->va >= t->size;

    if (on) {
        note_site(t, pa, missed);
        if (missed) {
            t->va = p->va;
            t->size = p->rd;
        }
        t->left--;
    }
    if (!--t->calls)
        t->left = 0;
    if (!t->left)
        judge(j);
    else if (on)
        p->rd = p->wr = 0;
}
