/*
 * The software TLBs: filling, flushing, and which bank is whose.
 *
 * EL1 has one bank. EL0 has one for each of the last few ASIDs, so that switching between processes
 * flushes nothing. EL1's bank also gets pages that belong to an ASID or that are EL1's only while
 * PSTATE.PAN is clear; they are remembered and dropped when either changes.
 *
 * Behind the banks is a second level that they share: a table of more entries, each with the bank
 * and the bank's generation that it belongs to. What leaves a bank leaves it too; a bank that is
 * flushed gets a new generation.
 *
 * Entries are 4 KiB whatever the guest maps. Invalidating one address of a larger leaf has to drop
 * all of its pages, so a bank remembers where it holds pieces of larger leaves. Beside them are
 * entries for 2 MiB at once, and what translated code found last, which leave with any page of
 * theirs.
 */
#include "base/populate.h"
#include "soft/vcpu.h"

#define BLOCK_SHIFT 21
#define GIANT_SHIFT 30

/* Pages that leave the second level one by one; of more the whole bank does. */
#define SECOND_MAX 4096

#define ALL_PAGES UINT64_MAX

static void bank_clear_slot(struct mmu_bank *b, unsigned slot)
{
    b->tlb.e[slot].rd = b->tlb.e[slot].wr = TLB_NEVER(slot);
}

/* Do `count` pages at `va` and `pages` at the other address have one in common, whatever their
 * tags? */
static bool overlaps(uint64_t va, uint64_t count, uint64_t other, uint64_t pages)
{
    return bits((va >> 12) - (other >> 12), 35, 0) < pages ||
           bits((other >> 12) - (va >> 12), 35, 0) < count;
}

#define WIDE_PAGES (1ull << (TLB_WIDE_SHIFT - 12))

static void clear_wides(struct tlb *t, uint64_t va, uint64_t pages)
{
    for (uint64_t used = t->wides_used; used; used &= used - 1) {
        unsigned n = (unsigned)__builtin_ctzll(used);
        struct tlb_wide *w = &t->wide[n];
        if (!overlaps(w->rd, WIDE_PAGES, va, pages))
            continue;
        w->rd = w->wr = TLB_WIDE_NEVER(n);
        t->wides_used &= ~(1ull << n);
    }
}

static uint64_t pages_of(const struct tlb_page *p)
{
    uint64_t limit = p->rd > p->wr ? p->rd : p->wr;

    return (limit + TLB_PAGE_MANY - 1) >> 12;
}

static void drop_page(struct tlb *t, unsigned n, uint64_t va, uint64_t pages)
{
    if (!t->page_used[n] || !overlaps(t->page[n].va, pages_of(&t->page[n]), va, pages))
        return;
    t->page[n] = (struct tlb_page){ 0 };
    t->page_used[n] = 0;
}

void tlb_drop_found(struct tlb *t, uint64_t va, uint64_t pages)
{
    for (unsigned n = 0; n < TLB_PAGES + TLB_ROWS; n += 8) /* few are in use */
        if (ld_le64(&t->page_used[n]))
            for (unsigned k = n; k < n + 8; k++)
                drop_page(t, k, va, pages);
    if (t->wides_used)
        clear_wides(t, va, pages);
}

void tlb_clear_found(struct tlb *t)
{
    tlb_drop_found(t, 0, ALL_PAGES);
}

static void clear_entries(struct tlb *t)
{
    for (unsigned n = 0; n < tlb_entries(t); n++)
        t->e[n].rd = t->e[n].wr = TLB_NEVER(n);
    t->refills = 0;
}

static void set_entries(struct tlb *t, unsigned entries)
{
    t->mask = (entries - 1) * (unsigned)sizeof(struct tlb_entry);
}

void tlb_clear(struct tlb *t)
{
    if (!t->mask) {
        set_entries(t, TLB_ENTRIES);
        t->wide[0].rd = t->wide[0].wr = TLB_WIDE_NEVER(0);
    }
    clear_entries(t);
    tlb_drop_found(t, 0, ALL_PAGES);
}

/* Its entries left for others often: more of them. What it had comes back from the second level. */
static void tlb_grow(struct tlb *t)
{
    set_entries(t, tlb_entries(t) * 2);
    clear_entries(t);
}

/* When it is flushed. */
static void tlb_shrink(struct tlb *t)
{
    if (tlb_entries(t) > TLB_ENTRIES && t->refills < tlb_entries(t) / 4)
        set_entries(t, tlb_entries(t) / 2);
}

static void bank_clear_fetch(struct mmu_bank *b)
{
    for (unsigned n = 0; n < FETCH_ENTRIES; n++)
        b->fetch[n].va = TLB_NEVER(n);
}

static void bank_flush(struct soft_vcpu *v, struct mmu_bank *b)
{
    if (b->empty)
        return;
    tlb_shrink(&b->tlb);
    tlb_clear(&b->tlb);
    window_drop(v, b, 0, ALL_PAGES);
    bank_clear_fetch(b);
    b->empty = true;
    b->global = b->half[0] = b->half[1] = false;
    b->generation++;
    b->lives++;
    b->blocks[0] = b->blocks[1] = b->giants = 0;
    jit_forget_bank(v, b);
}

/* Drop what may belong to the `pages` pages at `va`. */
static void bank_flush_pages(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, uint64_t pages)
{
    uint64_t page = va >> 12;
    unsigned entries = tlb_entries(&b->tlb);

    tlb_drop_found(&b->tlb, va, pages);
    window_drop(v, b, va, pages);
    for (uint64_t n = 0; n < pages && n < entries; n++)
        bank_clear_slot(b, (unsigned)((page + n) % entries));
    if (pages > SECOND_MAX)
        b->generation++;
    else
        for (uint64_t n = 0; n < pages; n++)
            tlb_second_of(v, va + (n << 12))->owner = 0;
    for (uint64_t n = 0; n < pages && n < FETCH_ENTRIES; n++)
        b->fetch[(page + n) % FETCH_ENTRIES].va = TLB_NEVER((page + n) % FETCH_ENTRIES);
    jit_forget_pages(v, b, va, pages);
}

/* The pieces of larger leaves in the half of the address space that `va` is in: EL1 maps memory by
 * large leaves in its own half, and programs' pages should not be taken for them. */
static uint64_t *blocks_of(struct mmu_bank *b, uint64_t va)
{
    return &b->blocks[bit(va, 55)];
}

/* Is a bit set for any unit of 1 << shift in [va, end]? */
static bool bank_filter(uint64_t filter, uint64_t va, uint64_t end, unsigned shift)
{
    uint64_t first = va >> shift, count = (end >> shift) - first + 1;

    for (uint64_t n = 0; n < count && n < 64; n++)
        if (bit(filter, (first + n) % 64))
            return true;
    return false;
}

static void bank_flush_va(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, uint64_t size)
{
    uint64_t end = va + (size - 1);

    if (b->empty || (!b->half[bit(va, 55)] && !b->half[bit(end, 55)]))
        return;
    if (bank_filter(b->giants, va, end, GIANT_SHIFT)) {
        bank_flush(v, b);
        return;
    }
    if (bank_filter(*blocks_of(b, va), va, end, BLOCK_SHIFT)) {
        va = align_down(va, 1ull << BLOCK_SHIFT);
        end |= ones(BLOCK_SHIFT);
    }
    bank_flush_pages(v, b, va, (end >> 12) - (va >> 12) + 1);
}

/* Of zeroed memory, without touching more of it than needed: a zero matches the first page of
 * addresses only, which is slot 0's. */
static void bank_init(struct mmu_bank *b)
{
    set_entries(&b->tlb, TLB_ENTRIES);
    bank_clear_slot(b, 0);
    b->tlb.wide[0].rd = b->tlb.wide[0].wr = TLB_WIDE_NEVER(0);
    b->fetch[0].va = TLB_NEVER(0);
    b->asid = -1;
    b->empty = true;
}

/* What code at random addresses looks at. */
static void bank_populate(struct mmu_bank *b)
{
    (void)populate(b->tlb.e, TLB_ENTRIES * sizeof b->tlb.e[0]);
    (void)populate(&b->jit, sizeof b->jit);
}

void tlb_populate(struct soft_vcpu *v)
{
    bank_populate(&v->kernel);
    (void)populate(v->second, sizeof v->second);
    tlb_populate_writers(v);
}

void tlb_populate_writers(struct soft_vcpu *v)
{
    (void)populate(v->writers, sizeof v->writers);
}

struct mmu_bank *tlb_add_bank(struct soft_vcpu *v)
{
    struct mmu_bank *b = &v->bank[v->bank_count++];

    bank_init(b);
    jit_forget_bank(v, b);
    return b;
}

void tlb_init(struct soft_vcpu *v)
{
    bank_init(&v->kernel);
    tlb_add_bank(v)->asid = 0;
    v->user = &v->bank[0];
}

void tlb_flush_all(struct soft_vcpu *v)
{
    bank_flush(v, &v->kernel);
    for (unsigned n = 0; n < v->bank_count; n++)
        bank_flush(v, &v->bank[n]);
    v->guarded_count = 0;
    tlb_switch_asid(v);
    atomic_fetch_and(&v->in_use, ~IN_USE_GLOBAL);
}

void tlb_flush_asid(struct soft_vcpu *v, int asid)
{
    for (unsigned n = 0; n < v->bank_count; n++)
        if (v->bank[n].asid == asid)
            bank_flush(v, &v->bank[n]);
    if (asid == v->regime.asid)
        tlb_flush_guarded(v);
}

void tlb_flush_va(struct soft_vcpu *v, uint64_t va, uint64_t size, int asid)
{
    bank_flush_va(v, &v->kernel, va, size);
    for (unsigned n = 0; n < v->bank_count; n++) {
        struct mmu_bank *b = &v->bank[n];
        if (asid < 0 || b->asid == asid || b->global)
            bank_flush_va(v, b, va, size);
    }
}

void tlb_flush_fetch(struct soft_vcpu *v)
{
    bank_clear_fetch(&v->kernel);
    for (unsigned n = 0; n < v->bank_count; n++)
        if (!v->bank[n].empty)
            bank_clear_fetch(&v->bank[n]);
}

void tlb_flush_guarded(struct soft_vcpu *v)
{
    if (v->guarded_count > ARRAY_LEN(v->guarded))
        bank_flush(v, &v->kernel);
    else
        for (unsigned n = 0; n < v->guarded_count; n++)
            bank_flush_pages(v, &v->kernel, v->guarded[n], 1);
    v->guarded_count = 0;
}

/* Is `b` the better one to take for another ASID? An empty one has nothing to lose (Linux flushes a
 * process's when that ends), and of those the one that was used last is in the host's caches. */
static bool is_better(const struct mmu_bank *b, const struct mmu_bank *than)
{
    if (b->empty != than->empty)
        return b->empty;
    return b->empty ? b->used > than->used : b->used < than->used;
}

/* The bank of the current ASID: its own if it still has one, else an empty one, else one that was
 * never used, else the one that rested longest. */
static struct mmu_bank *tlb_bank_of(struct soft_vcpu *v, int asid)
{
    struct mmu_bank *best = &v->bank[0];

    for (unsigned n = 0; n < v->bank_count; n++) {
        if (v->bank[n].asid == asid)
            return &v->bank[n];
        if (is_better(&v->bank[n], best))
            best = &v->bank[n];
    }
    if (!best->empty && v->bank_count < SOFT_EL0_BANKS)
        best = tlb_add_bank(v);
    bank_flush(v, best);
    if (best->asid < 0 && v->hot.jit && atomic_load(&v->cpu.vm->shared))
        bank_populate(best);
    best->asid = asid;
    return best;
}

/*
 * What another vCPU says of an ASID only concerns who uses that, so it does not wait for others
 * (soft/request.c). It changes tables, asks, and then looks at `in_use`; so that changes before
 * anything is read of tables that another ASID, or every one, may hang on.
 */

void tlb_note_asid(struct soft_vcpu *v)
{
    uint32_t now = atomic_load_explicit(&v->in_use, memory_order_relaxed);

    if ((now & ~IN_USE_GLOBAL) != v->regime.asid)
        atomic_store(&v->in_use, (now & IN_USE_GLOBAL) | v->regime.asid);
}

bool tlb_note_global(struct soft_vcpu *v)
{
    if (atomic_load_explicit(&v->in_use, memory_order_relaxed) & IN_USE_GLOBAL)
        return false;
    atomic_fetch_or(&v->in_use, IN_USE_GLOBAL);
    atomic_thread_fence(memory_order_seq_cst);
    return true;
}

void tlb_switch_asid(struct soft_vcpu *v)
{
    if (v->user->asid != v->regime.asid) {
        v->user = tlb_bank_of(v, v->regime.asid);
        v->user->used = ++v->bank_clock;
        tlb_flush_guarded(v);
    }
    cpu_update_context(&v->cpu);
}

/* What the bank has to know about a leaf that a piece of was filled from. */
static void bank_note_leaf(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                           const struct mmu_leaf *leaf)
{
    b->empty = false;
    b->half[bit(va, 55)] = true;
    if (leaf->shift > GIANT_SHIFT)
        b->giants = ~0ull;
    else if (leaf->shift > BLOCK_SHIFT)
        b->giants |= 1ull << (va >> GIANT_SHIFT) % 64;
    else if (leaf->shift > 12)
        *blocks_of(b, va) |= 1ull << (va >> BLOCK_SHIFT) % 64;
    if (b != &v->kernel) {
        b->global |= leaf->global;
    } else if (!leaf->global || leaf->guarded) {
        if (v->guarded_count < ARRAY_LEN(v->guarded))
            v->guarded[v->guarded_count] = va;
        if (v->guarded_count <= ARRAY_LEN(v->guarded))
            v->guarded_count++;
    }
}

void tlb_fill(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, const struct mmu_leaf *leaf,
              uint8_t *host_page, unsigned allowed)
{
    unsigned slot = (va >> 12) % tlb_entries(&b->tlb);
    struct tlb_entry *e = &b->tlb.e[slot];
    uint64_t page = align_down(va, 4096);

    bank_note_leaf(v, b, va, leaf);
    if (UNLIKELY(v->hot.track) && !jit_track_may_write(v, leaf->pa))
        allowed &= ~(unsigned)MMU_WRITE;
    if (UNLIKELY(v->hot.one_entry))
        tlb_clear(&b->tlb);
    /* atomic instructions look at `wr` only */
    bool write = (allowed & MMU_READ) && (allowed & MMU_WRITE);
    bool watched = write && exclusive_watches(v->cpu.vm->exclusives, leaf->pa);
    e->rd = allowed & MMU_READ ? page : TLB_NEVER(slot);
    e->wr = write && !watched ? page : TLB_NEVER(slot);
    uintptr_t window = window_add(v, b, va, leaf->pa);
    e->add = window ? window : (uintptr_t)host_page - page;
    e->pa = align_down(leaf->pa, 4096) | (watched ? TLB_WATCHED : 0) |
            (window || leaf->shift >= TLB_WIDE_SHIFT ? TLB_IN_ROW : 0);
    if (e->wr == page)
        tlb_note_writer(v, b, va, leaf->pa);
    *tlb_second_of(v, va) = (struct tlb_second){ .e = *e, .owner = tlb_owner(b) };
}

/* Is the page among those whose stores exclusive_hold() has to see? */
static bool watches_any(struct soft_vcpu *v, uint64_t pa)
{
    for (uint64_t n = 0; n < WIDE_PAGES; n++)
        if (exclusive_watches(v->cpu.vm->exclusives, pa + (n << 12)))
            return true;
    return false;
}

void tlb_fill_wide(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                   const struct mmu_leaf *leaf, const struct soft_region *r, unsigned allowed)
{
    struct tlb_wide *w = tlb_wide_of(&b->tlb, va);
    unsigned slot = (unsigned)(w - b->tlb.wide);
    uint64_t size = 1ull << TLB_WIDE_SHIFT, region = align_down(va, size);
    uint64_t pa = align_down(leaf->pa, size);
    bool read = allowed & MMU_READ, write = read && (allowed & MMU_WRITE);

    if (leaf->shift < TLB_WIDE_SHIFT || v->hot.narrow || v->hot.one_entry || v->hot.track ||
        !read || (w->rd == region && write <= w->writable) || pa < r->ipa ||
        pa - r->ipa + size > r->size)
        return;
    if (b->tlb.wides_used >> slot & 1) /* before another region, what was found in this one */
        tlb_drop_found(&b->tlb, w->rd, WIDE_PAGES);
    w->rd = region;
    w->wr = write && !watches_any(v, pa) ? region : TLB_WIDE_NEVER(slot);
    w->add = (uintptr_t)r->host + (pa - r->ipa) - region;
    w->writable = write;
    b->tlb.wides_used |= 1ull << slot;
}

const struct tlb_entry *tlb_find(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va, bool write)
{
    struct tlb_entry *e = tlb_entry_of(&b->tlb, va);
    const struct tlb_second *s = tlb_second_of(v, va);

    if (((write ? e->wr : e->rd) ^ va) < 4096)
        return e;
    if (s->owner != tlb_owner(b) || ((write ? s->e.wr : s->e.rd) ^ va) >= 4096)
        return NULL;
    if (UNLIKELY(++b->tlb.refills > tlb_entries(&b->tlb) * 2) &&
        tlb_entries(&b->tlb) < TLB_ENTRIES_MAX && !v->hot.ungrown)
        tlb_grow(&b->tlb);
    v->stats.tlb_refills++;
    e = tlb_entry_of(&b->tlb, va);
    *e = s->e;
    /* what matches nothing in a slot of the second level might in this one */
    unsigned slot = (unsigned)(e - b->tlb.e);
    e->rd = (e->rd ^ va) < 4096 ? e->rd : TLB_NEVER(slot);
    e->wr = (e->wr ^ va) < 4096 ? e->wr : TLB_NEVER(slot);
    return e;
}

const struct tlb_wide *tlb_find_wide(struct mmu_bank *b, uint64_t va, bool write)
{
    const struct tlb_wide *w = tlb_wide_of(&b->tlb, va);

    return ((write ? w->wr : w->rd) ^ va) >> TLB_WIDE_SHIFT == 0 ? w : NULL;
}

#define RUN 8 /* pages on each side */

static void put_page(struct tlb *t, unsigned n, struct tlb_page p, uint64_t size, bool read,
                     bool write)
{
    uint64_t limit = size + 1 - tlb_page_bytes(n);

    p.rd = read ? limit : 0;
    p.wr = write ? limit : 0;
    t->page[n] = p;
    t->page_used[n] = 1;
}

/* Does the bank let `va`'s page be accessed as that of `e`, and the host have it as far from there?
 */
static bool is_alike(const struct tlb *t, const struct tlb_entry *e, bool write, uint64_t va)
{
    const struct tlb_entry *other = &t->e[(va >> 12) % tlb_entries(t)];

    return other->rd == va && other->add == e->add && (other->wr == va) == write;
}

/* The run of pages around that of `e` that lie in the host's memory as in the guest's, as va of
 * `p`. Returns its bytes. */
static uint64_t find_run(struct tlb *t, uint64_t va, const struct tlb_entry *e, struct tlb_page *p)
{
    uint64_t first = align_down(va, 4096), end = first + 4096;
    bool write = (e->wr ^ va) < 4096;

    if (e->rd != first)
        return 4096;
    for (unsigned n = 0; n < RUN && is_alike(t, e, write, end); n++)
        end += 4096;
    for (unsigned n = 0; n < RUN && is_alike(t, e, write, first - 4096); n++)
        first -= 4096;
    p->va = first;
    return end - first;
}

void tlb_fill_page(struct soft_vcpu *v, struct mmu_bank *b, unsigned n, uint64_t va,
                   const struct tlb_entry *e)
{
    const struct tlb_wide *w = tlb_find_wide(b, va, false);
    bool read = (e->rd ^ va) < 4096, write = (e->wr ^ va) < 4096;
    uint64_t size, *pa = &tlb_entry_of(&b->tlb, va)->pa;
    struct tlb_page p = { .va = align_down(va, 4096), .add = e->add };
    bool in_row = true;

    if (w && write <= ((w->wr ^ va) >> TLB_WIDE_SHIFT == 0)) {
        size = 1ull << TLB_WIDE_SHIFT;
        p.va = w->rd;
        p.add = w->add;
    } else if ((size = window_find(v, b, va, e, &p)) == 0) {
        size = find_run(&b->tlb, va, e, &p); /* short, as it happens to be */
        in_row = false;
    }
    put_page(&b->tlb, n, p, size, read, write);
    if (in_row)
        put_page(&b->tlb, tlb_row_of(va), p, size, read, write);
    *pa = in_row ? *pa | TLB_IN_ROW : *pa & ~(uint64_t)TLB_IN_ROW;
}

void tlb_note_fetch(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                    const struct mmu_leaf *leaf)
{
    bank_note_leaf(v, b, va, leaf);
}

void tlb_fill_fetch(struct soft_vcpu *v, struct mmu_bank *b, uint64_t va,
                    const struct mmu_leaf *leaf, struct code_page *page)
{
    struct fetch_entry *f = &b->fetch[(va >> CODE_PAGE_SHIFT) % FETCH_ENTRIES];

    bank_note_leaf(v, b, va, leaf);
    f->va = align_down(va, CODE_PAGE_SIZE);
    f->page = page;
    b->fetch_gp[f - b->fetch] = leaf->gp;
}
