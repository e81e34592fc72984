/*
 * Windows: pages of a program, mapped once more so that they lie in the host's address space as in
 * the guest's, next to each other. Then one place of translated code (tlb.page[]) serves what goes
 * all over a heap or a table, where it would serve one page else.
 *
 * The pages are those that a bank of EL0 has entries for; the memory has to be a shared mapping of
 * a file, which a page is mapped from. A vCPU has room for WINDOW_PAGES. Where in it a page lies
 * follows from its virtual address, so neighbours are neighbours; a piece of the room, 2 MiB,
 * belongs to one bank and one range of addresses at a time.
 *
 * A bit for each page says that its bank's translation is the one that is mapped, and may be read;
 * or written, if the entry could be. Translated code compares every access with its place, as it
 * always does, and a place holds a run of pages with such bits only. So nothing that the guest does
 * to its tables needs the host's mappings changed, and no access faults in the host: what drops a
 * page from a bank clears its bits (window_drop()) and the places that hold it (clear_found() in
 * tlb.c). When the same page is found at the address again, its bits come back; another one is
 * mapped over it.
 *
 * Entries of the bank lead to the window as well, as long as their page is mapped there. A host
 * forwards what was just stored to a load at the same address of its own; at another one of the
 * same page, the load waits until the store is done. But memory's own pages are larger, so that is
 * for the first LED pages of a program only.
 *
 * Of an entry whose page has a window, the bit TLB_IN_ROW says so, as that of a region does:
 * translated code that fills a place by itself then looks for what was found there last
 * (soft/jit/place.c).
 *
 * To map costs some microseconds for each run of pages that is one in the memory, so it is done
 * for sites that miss often, and there is a budget of time; and a limit to mappings, since the host
 * has one for the process. At the limit the vCPU gives its room back, and begins anew.
 */
#include <stdlib.h>
#include <sys/mman.h>

#include "base/bits.h"
#include "base/clock.h"
#include "soft/vcpu.h"

#ifndef MAP_POPULATE
#define MAP_POPULATE 0
#endif

#define PIECE_PAGES  512u
#define PIECES       (WINDOW_PAGES / PIECE_PAGES)
#define PIECE_SIZE   (PIECE_PAGES * 4096ull)
#define WINDOW_SPACE (WINDOW_PAGES * 4096ull)

/* Pages on each side of an access that it may get a window of. The first level of the host's TLB
 * has 64 to 96 entries for pages of 4 KiB; for what is larger, memory's own pages of 2 MiB are
 * worth more: columns over 100 pages (the row matmul) took 1.2 times as long in a window. */
#define REACH 32u

/* A mapping made splits one of the host's in three. Of 65530 (vm.max_map_count) most are left. */
#define MAPPINGS 8192

/* One part in 50 of the time may be spent, so much at once, and as much before it is saved. */
#define BUDGET_PART 50
#define BUDGET_NS   4000000

#define LED 128u

#define MAPPED 1u

/* Whose entries may lead there; `open`: bits count. */
struct piece {
    const struct mmu_bank *bank; /* NULL: nobody's so far */
    uint64_t va;
    bool open;
};

/* How many pages entries of a bank led to since it was flushed last. */
struct led {
    uint32_t life;
    unsigned pages;
};

struct windows {
    uint8_t *host; /* WINDOW_SPACE bytes of address space */
    struct piece piece[PIECES];
    uint64_t read[WINDOW_PAGES / 64], write[WINDOW_PAGES / 64];
    uint64_t pa[WINDOW_PAGES]; /* of what is mapped there, and MAPPED; or 0 */
    struct led led[SOFT_EL0_BANKS];
    unsigned mappings;
    int64_t budget; /* nanoseconds left, as of: */
    uint64_t time;
};

static unsigned number_of(uint64_t va)
{
    return (va >> 12) % WINDOW_PAGES;
}

static struct piece *piece_of(struct windows *w, uint64_t va)
{
    return &w->piece[number_of(va) / PIECE_PAGES];
}

static bool is_in(const struct piece *p, const struct mmu_bank *b, uint64_t va)
{
    return p->open && p->bank == b && p->va == align_down(va, PIECE_SIZE);
}

static uint64_t pa_of(const struct tlb_entry *e)
{
    return align_down(e->pa, 4096);
}

static bool is_mapped(const struct windows *w, uint64_t va, uint64_t pa)
{
    return w->pa[number_of(va)] == (pa | MAPPED);
}

/* --- what entries lead to --- */

/* What is to be added to addresses of the page. */
static uintptr_t add_of(const struct windows *w, uint64_t va)
{
    return (uintptr_t)w->host + number_of(va) * (uintptr_t)4096 - align_down(va, 4096);
}

/* The bank's entry for the page of `va` in the first level, and in the second; or NULL. */
static struct tlb_entry *first_of(struct mmu_bank *b, uint64_t va)
{
    struct tlb_entry *e = tlb_entry_of(&b->tlb, va);

    return (e->rd ^ va) < 4096 ? e : NULL;
}

static struct tlb_second *second_of(struct soft_vcpu *v, const struct mmu_bank *b, uint64_t va)
{
    struct tlb_second *s = tlb_second_of(v, va);

    return s->owner == tlb_owner(b) && (s->e.rd ^ va) < 4096 ? s : NULL;
}

/* Of the bank, which has a piece. */
static struct led *led_of(const struct soft_vcpu *v, const struct mmu_bank *b)
{
    struct led *l = &v->windows->led[b - v->bank];

    if (l->life != b->lives)
        *l = (struct led){ .life = b->lives };
    return l;
}

static bool may_lead(const struct soft_vcpu *v, const struct mmu_bank *b)
{
    return !v->hot.aliased && led_of(v, b)->pages < LED;
}

uintptr_t window_add(const struct soft_vcpu *v, const struct mmu_bank *b, uint64_t va, uint64_t pa)
{
    struct windows *w = v->windows;

    if (!w || !is_in(piece_of(w, va), b, va) || !is_mapped(w, va, align_down(pa, 4096)) ||
        !may_lead(v, b))
        return 0;
    return add_of(w, va);
}

/* The page is mapped: its entries lead here. */
static void lead_here(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va)
{
    struct tlb_entry *e = first_of(b, va);
    struct tlb_second *s = second_of(v, b, va);
    uintptr_t add = add_of(v->windows, va);

    if ((e && e->add == add) || !may_lead(v, b))
        return;
    led_of(v, b)->pages++;
    if (e)
        e->add = add;
    if (s)
        s->e.add = add;
}

static bool leads_here(const struct windows *w, const struct tlb_entry *e)
{
    return e->add + e->rd - (uintptr_t)w->host < WINDOW_SPACE;
}

/* It leads to the memory itself again. False: there is none. */
static bool lead_home(struct soft_vcpu *v, struct tlb_entry *e)
{
    const struct soft_region *r = soft_region_of(v, pa_of(e));

    if (r)
        e->add = (uintptr_t)soft_region_host(r, pa_of(e)) - e->rd;
    return r != NULL;
}

static void leave_slot(struct soft_vcpu *v, struct mmu_bank *b, unsigned slot)
{
    struct tlb_entry *e = &b->tlb.e[slot];

    if (e->rd != TLB_NEVER(slot) && leads_here(v->windows, e) && !lead_home(v, e))
        e->rd = e->wr = TLB_NEVER(slot);
}

static void leave_second(struct soft_vcpu *v, struct tlb_second *s)
{
    if (s->owner && leads_here(v->windows, &s->e) && !lead_home(v, &s->e))
        s->owner = 0;
}

/* Entries of its bank that lead to the piece, before it is another one's. */
static void leave_piece(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va)
{
    for (uint64_t end = va + PIECE_SIZE; va != end; va += 4096) {
        struct tlb_entry *e = first_of(b, va);
        struct tlb_second *s = second_of(v, b, va);
        if (e)
            leave_slot(v, b, (unsigned)(e - b->tlb.e));
        if (s)
            leave_second(v, s);
    }
}

/* All that lead to the room. */
static void leave_room(struct soft_vcpu *v)
{
    for (unsigned n = 0; n < v->bank_count; n++)
        for (unsigned slot = 0; !v->bank[n].empty && slot < tlb_entries(&v->bank[n].tlb); slot++)
            leave_slot(v, &v->bank[n], slot);
    for (unsigned n = 0; n < TLB_SECOND_ENTRIES; n++)
        leave_second(v, &v->second[n]);
}

/* --- the room --- */

static bool create(struct soft_vcpu *v)
{
    struct windows *w = calloc(1, sizeof *w);

    if (!w)
        return false;
    void *room =
        mmap(NULL, WINDOW_SPACE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (room == MAP_FAILED) {
        free(w);
        return false;
    }
    w->host = room;
    w->budget = BUDGET_NS;
    w->time = clock_monotonic_ns();
    v->windows = w;
    return true;
}

static void clear_places(struct soft_vcpu *v)
{
    for (unsigned n = 0; n < v->bank_count; n++)
        if (!v->bank[n].empty)
            tlb_clear_found(&v->bank[n].tlb);
}

void window_destroy(struct soft_vcpu *v)
{
    struct windows *w = v->windows;

    if (!w)
        return;
    atomic_fetch_sub(&v->cpu.vm->mappings, w->mappings);
    munmap(w->host, WINDOW_SPACE);
    free(w);
    v->windows = NULL;
}

void window_forget(struct soft_vcpu *v)
{
    if (!v->windows)
        return;
    clear_places(v);
    leave_room(v);
    window_destroy(v);
}

/* The host refused a mapping, and what was at its place may be gone: by now it may be another
 * thread's. So this is not ours any more, and there are no windows from now on. */
static void give_up(struct soft_vcpu *v, unsigned n, unsigned pages)
{
    struct windows *w = v->windows;
    size_t start = n * (size_t)4096, end = start + pages * (size_t)4096;

    clear_places(v);
    leave_room(v);
    if (start)
        munmap(w->host, start);
    if (end < WINDOW_SPACE)
        munmap(w->host + end, WINDOW_SPACE - end);
    atomic_fetch_sub(&v->cpu.vm->mappings, w->mappings);
    free(w);
    v->windows = NULL;
    v->hot.shut = true;
}

/* --- what is dropped --- */

static void clear_bits(struct windows *w, unsigned first, unsigned count)
{
    for (unsigned n = first; n < first + count;) {
        unsigned end = n / 64 * 64 + 64 < first + count ? n / 64 * 64 + 64 : first + count;
        uint64_t mask = ones(end - n) << n % 64;
        w->read[n / 64] &= ~mask;
        w->write[n / 64] &= ~mask;
        n = end;
    }
}

void window_drop(struct soft_vcpu *v, const struct mmu_bank *b, uint64_t va, uint64_t pages)
{
    struct windows *w = v->windows;
    uint64_t page = va >> 12;

    if (!w)
        return;
    if (pages > WINDOW_PAGES - PIECE_PAGES) {
        for (unsigned n = 0; n < PIECES; n++)
            if (w->piece[n].bank == b)
                w->piece[n].open = false;
        return;
    }
    while (pages) {
        const struct piece *p = piece_of(w, page << 12);
        unsigned first = page % PIECE_PAGES, left = PIECE_PAGES - first;
        unsigned count = pages < left ? (unsigned)pages : left;
        /* whatever their tags */
        if (p->bank == b && bits(p->va >> 12, 35, 0) == bits(page - first, 35, 0))
            clear_bits(w, number_of(page << 12), count);
        page += count;
        pages -= count;
    }
}

void window_forbid(struct soft_vcpu *v, const struct mmu_bank *b, unsigned slot, uint64_t pa)
{
    struct windows *w = v->windows;

    for (unsigned n = slot; w && n < WINDOW_PAGES; n += TLB_SECOND_ENTRIES)
        if (w->pa[n] == (pa | MAPPED) && w->piece[n / PIECE_PAGES].bank == b)
            clear_bits(w, n, 1);
}

void window_forbid_all(struct soft_vcpu *v)
{
    if (v->windows)
        for (unsigned n = 0; n < PIECES; n++)
            v->windows->piece[n].open = false;
}

/* --- what a place gets --- */

/* Do the bits of this page say what the entry does? They are made so if the page is mapped. */
static bool agree(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, const struct tlb_entry *e)
{
    struct windows *w = v->windows;
    unsigned n = number_of(va);
    uint64_t one = 1ull << n % 64;
    bool mapped = is_mapped(w, va, pa_of(e));
    bool writes = (e->wr ^ va) < 4096;

    if ((set_has(w->read, n) && !mapped) || (set_has(w->write, n) && !writes)) {
        tlb_drop_found(&b->tlb, va, 1); /* the guest did not say so */
        clear_bits(w, n, 1);
    }
    if (!mapped)
        return false;
    w->read[n / 64] |= one;
    w->write[n / 64] |= writes ? one : 0;
    lead_here(v, b, va);
    return true;
}

/* Is the piece before this one what the guest has before it? */
static bool goes_on(const struct windows *w, unsigned piece)
{
    const struct piece *p = &w->piece[piece - 1], *next = p + 1;

    return p->open && next->open && p->bank == next->bank && p->va + PIECE_SIZE == next->va;
}

/* The end of the run that page `n` is in, and its beginning. */
static unsigned run_end(const struct windows *w, const uint64_t *bits, unsigned n)
{
    unsigned max = n + REACH;

    while (n < WINDOW_PAGES && n < max) {
        if (n % PIECE_PAGES == 0 && n && !goes_on(w, n / PIECE_PAGES))
            break;
        uint64_t absent = ~bits[n / 64] >> n % 64;
        if (absent)
            return n + (unsigned)__builtin_ctzll(absent);
        n += 64 - n % 64;
    }
    return n;
}

static unsigned run_begin(const struct windows *w, const uint64_t *bits, unsigned n)
{
    unsigned min = n > REACH ? n - REACH : 0;

    while (n > min) {
        if (n % PIECE_PAGES == 0 && !goes_on(w, n / PIECE_PAGES))
            break;
        unsigned last = (n - 1) % 64;
        uint64_t absent = ~bits[(n - 1) / 64] << (63 - last);
        if (absent)
            return n - (unsigned)__builtin_clzll(absent);
        n -= last + 1;
    }
    return n;
}

uint64_t window_find(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                     const struct tlb_entry *e, struct tlb_page *p)
{
    struct windows *w = v->windows;

    if (!w || (e->rd ^ va) >= 4096 || !is_in(piece_of(w, va), b, va) || !agree(v, b, va, e))
        return 0;
    unsigned n = number_of(va);
    const uint64_t *bits = set_has(w->write, n) ? w->write : w->read;
    /* from the page's own piece on, which does not begin a run by itself */
    unsigned end = run_end(w, bits, n + 1), begin = run_begin(w, bits, n);
    p->va = align_down(va, 4096) - (uint64_t)(n - begin) * 4096;
    p->add = (uintptr_t)w->host + begin * (uintptr_t)4096 - p->va;
    return (uint64_t)(end - begin) * 4096;
}

/* --- what is mapped --- */

static const struct tlb_entry *entry_of(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va)
{
    const struct tlb_entry *e = first_of(b, va);
    const struct tlb_second *s = e ? NULL : second_of(v, b, va);

    return s ? &s->e : e;
}

/* Map the page of `va`, and those before `end` behind it that lie behind it in the memory as well.
 * Returns false if the host refuses. */
static bool map_run(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, uint64_t end)
{
    struct windows *w = v->windows;
    uint64_t pa = pa_of(entry_of(v, b, va)), size = 4096;
    const struct soft_region *r = soft_region_of(v, pa);
    unsigned n = number_of(va);

    if (!r || r->fd < 0)
        return true;
    uint64_t max = r->size - (pa - r->ipa);
    while (va + size < end && size < max && pa_of(entry_of(v, b, va + size)) == pa + size &&
           !is_mapped(w, va + size, pa + size))
        size += 4096;
    tlb_drop_found(&b->tlb, va, size / 4096);
    clear_bits(w, n, (unsigned)(size / 4096));
    w->mappings++;
    atomic_fetch_add(&v->cpu.vm->mappings, 1);
    if (mmap(w->host + n * (size_t)4096, size, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED | MAP_POPULATE, r->fd,
             (off_t)(r->offset + (pa - r->ipa))) == MAP_FAILED) {
        give_up(v, n, (unsigned)(size / 4096));
        return false;
    }
    for (unsigned k = 0; k < size / 4096; k++)
        w->pa[n + k] = (pa + k * 4096ull) | MAPPED;
    v->stats.window_pages += size / 4096;
    return true;
}

/* The piece is the bank's from now on. */
static void claim(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va)
{
    struct windows *w = v->windows;
    struct piece *p = piece_of(w, va);

    if (is_in(p, b, va))
        return;
    for (unsigned n = 0; p->bank && n < SOFT_EL0_BANKS; n++)
        if (p->bank == &v->bank[n]) {
            tlb_drop_found(&v->bank[n].tlb, p->va, PIECE_PAGES);
            if (p->bank != b || p->va != align_down(va, PIECE_SIZE))
                leave_piece(v, &v->bank[n], p->va);
        }
    clear_bits(w, (unsigned)(p - w->piece) * PIECE_PAGES, PIECE_PAGES);
    *p = (struct piece){ .bank = b, .va = align_down(va, PIECE_SIZE), .open = true };
}

/* Translated code is not to fill a place from the page's entry (soft/jit/place.c). */
static void note_row(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va)
{
    struct tlb_entry *e = first_of(b, va);
    struct tlb_second *s = second_of(v, b, va);

    if (e)
        e->pa |= TLB_IN_ROW;
    if (s)
        s->e.pa |= TLB_IN_ROW;
}

/* All of [va, end) have entries. */
static void map_all(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, uint64_t end)
{
    for (; va < end; va += 4096) {
        const struct tlb_entry *e = entry_of(v, b, va);
        uint64_t piece_end = align_down(va, PIECE_SIZE) + PIECE_SIZE;
        claim(v, b, va);
        if (!is_mapped(v->windows, va, pa_of(e)) &&
            !map_run(v, b, va, end < piece_end ? end : piece_end))
            return;
        (void)agree(v, b, va, e);
        note_row(v, b, va);
    }
}

/* Time that is saved counts up to a limit, and so does what is spent before it is saved. */
static bool can_afford(struct windows *w, bool worth)
{
    uint64_t now = clock_monotonic_ns();

    w->budget += (int64_t)((now - w->time) / BUDGET_PART);
    w->time = now;
    if (w->budget > BUDGET_NS)
        w->budget = BUDGET_NS;
    return w->budget > (worth ? -BUDGET_NS : 0);
}

static bool is_wanted(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va)
{
    return !v->hot.shut && b != &v->kernel && !v->hot.track && !v->hot.one_entry &&
           !tlb_find_wide(b, va, false);
}

static bool has_room(struct soft_vcpu *v)
{
    if (v->windows && atomic_load(&v->cpu.vm->mappings) > MAPPINGS)
        window_forget(v);
    return atomic_load(&v->cpu.vm->mappings) <= MAPPINGS && (v->windows || create(v));
}

bool window_build(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, bool worth)
{
    uint64_t first = align_down(va, 4096), end = first + 4096;

    if (!is_wanted(v, b, va) || !has_room(v))
        return true;
    if (!can_afford(v->windows, worth) && !v->hot.open)
        return false;
    for (unsigned n = 1; n < REACH && number_of(first) && entry_of(v, b, first - 4096); n++)
        first -= 4096;
    for (unsigned n = 1; n < REACH && number_of(end) && entry_of(v, b, end); n++)
        end += 4096;
    if (end - first <= 4096 || !entry_of(v, b, va))
        return true;
    uint64_t start = clock_thread_ns(); /* the host may be busy */
    v->stats.windows++;
    map_all(v, b, first, end);
    uint64_t took = clock_thread_ns() - start;
    v->stats.window_ns += took;
    if (v->windows)
        v->windows->budget -= (int64_t)took;
    return true;
}
