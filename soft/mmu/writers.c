/*
 * To forbid stores to a physical page: its entries in the TLBs are found by it, not by an address.
 * The exclusive monitor asks for that when a page's first store-exclusive comes (soft/exclusive.c),
 * which each new process is good for, and the tables are larger than the host's caches.
 *
 * So it is noted where entries for writing go. An entry's place follows from low bits of its
 * virtual address; what is noted counts until its bank is flushed. Most pages are written at one
 * address, or two: a program's and that of the kernel's linear map. Of more nothing is known, and
 * all entries are looked at, which also finds out which of the others are still there.
 *
 * A guest with one vCPU notes nothing; when the second one runs, TLBs are flushed (soft/run.c).
 */
#include "soft/vcpu.h"

/* In the place of the first bank: there are entries at more places than can be noted. */
#define BANK_ANY 15u

_Static_assert(SOFT_EL0_BANKS + 1 < BANK_ANY, "the bank has 4 bits");

static struct tlb_writers *writers_of(struct soft_vcpu *v, uint64_t pa)
{
    return &v->writers[(pa >> 12) % TLB_WRITERS];
}

/* From 1 to bank_count + 1. */
static struct mmu_bank *bank_at(struct soft_vcpu *v, unsigned number)
{
    return number == 1 ? &v->kernel : &v->bank[number - 2];
}

static unsigned number_of(const struct soft_vcpu *v, const struct mmu_bank *b)
{
    return b == &v->kernel ? 1 : (unsigned)(b - v->bank) + 2;
}

/* What is noted of an entry of bank `number`. */
static struct tlb_writer writer(struct soft_vcpu *v, unsigned number, uint64_t va)
{
    return (struct tlb_writer){
        .slot = (va >> 12) % TLB_SECOND_ENTRIES,
        .bank = number,
        .life = bank_at(v, number)->lives & ones(13),
    };
}

static bool is_same(struct tlb_writer a, struct tlb_writer b)
{
    return a.slot == b.slot && a.bank == b.bank && a.life == b.life;
}

static bool is_there(struct soft_vcpu *v, struct tlb_writer w)
{
    if (!w.bank)
        return false;
    const struct mmu_bank *b = bank_at(v, w.bank);
    return !b->empty && w.life == (b->lives & ones(13));
}

static void note(struct soft_vcpu *v, struct tlb_writers *w, struct tlb_writer one)
{
    if (is_same(w->at[0], one) || is_same(w->at[1], one) || w->at[0].bank == BANK_ANY)
        return;
    for (unsigned n = 0; n < ARRAY_LEN(w->at); n++)
        if (!is_there(v, w->at[n])) {
            w->at[n] = one;
            return;
        }
    w->at[0].bank = BANK_ANY;
}

void tlb_note_writer(struct soft_vcpu *v, const struct mmu_bank *b, uint64_t va, uint64_t pa)
{
    if (atomic_load_explicit(&v->cpu.vm->shared, memory_order_relaxed))
        note(v, writers_of(v, pa), writer(v, number_of(v, b), va));
}

/* What may be written has the same tag for reading. */
static void entry_forbid(struct tlb *t, unsigned n, uint64_t pa, bool watch)
{
    struct tlb_entry *e = &t->e[n];

    if (align_down(e->pa, 4096) != pa || e->wr != e->rd)
        return;
    e->wr = TLB_NEVER(n);
    e->pa |= watch ? TLB_WATCHED : 0;
}

static void second_forbid(struct tlb_second *s, uint64_t pa)
{
    if (align_down(s->e.pa, 4096) == pa)
        s->owner = 0;
}

/* The number of the bank that has the entry; 0: none. */
static unsigned owner_of(struct soft_vcpu *v, const struct tlb_second *s)
{
    for (unsigned number = 1; number <= v->bank_count + 1; number++)
        if (s->owner == tlb_owner(bank_at(v, number)))
            return number;
    return 0;
}

/* In all entries; `w` learns where those are that are left, of other pages with its number. */
static void forbid_anywhere(struct soft_vcpu *v, struct tlb_writers *w, uint64_t pa, bool watch)
{
    *w = (struct tlb_writers){ 0 };
    window_forbid_all(v);
    for (unsigned number = 1; number <= v->bank_count + 1; number++) {
        struct mmu_bank *b = bank_at(v, number);
        if (b->empty)
            continue;
        tlb_clear_found(&b->tlb);
        for (unsigned n = 0; n < tlb_entries(&b->tlb); n++) {
            const struct tlb_entry *e = &b->tlb.e[n];
            entry_forbid(&b->tlb, n, pa, watch);
            if (writers_of(v, e->pa) == w && e->wr != TLB_NEVER(n))
                note(v, w, writer(v, number, e->wr));
        }
    }
    for (unsigned n = 0; n < TLB_SECOND_ENTRIES; n++) {
        struct tlb_second *s = &v->second[n];
        second_forbid(s, pa);
        if (s->owner && writers_of(v, s->e.pa) == w && owner_of(v, s))
            note(v, w, writer(v, owner_of(v, s), (uint64_t)n << 12));
    }
}

static void forbid_at(struct soft_vcpu *v, struct tlb_writer w, uint64_t pa, bool watch)
{
    struct mmu_bank *b = bank_at(v, w.bank);

    tlb_clear_found(&b->tlb);
    entry_forbid(&b->tlb, w.slot % tlb_entries(&b->tlb), pa, watch);
    second_forbid(&v->second[w.slot], pa);
    window_forbid(v, b, w.slot, pa);
}

static void forbid(struct soft_vcpu *v, uint64_t pa, bool watch)
{
    struct tlb_writers *w = writers_of(v, pa);

    for (unsigned number = 1; number <= v->bank_count + 1; number++)
        if (bank_at(v, number)->tlb.wides_used) /* nothing is noted of their pages */
            tlb_clear_found(&bank_at(v, number)->tlb);
    if (w->at[0].bank == BANK_ANY || !atomic_load(&v->cpu.vm->shared)) {
        forbid_anywhere(v, w, pa, watch);
        return;
    }
    for (unsigned n = 0; n < ARRAY_LEN(w->at); n++)
        if (is_there(v, w->at[n]))
            forbid_at(v, w->at[n], pa, watch);
}

void tlb_forbid_write(struct soft_vcpu *v, uint64_t pa)
{
    forbid(v, pa, false);
}

void tlb_watch(struct soft_vcpu *v, uint64_t pa)
{
    forbid(v, pa, true);
}
