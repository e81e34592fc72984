/* Windows hold what the guest's translations say, for as long as they say it. */
#include "tests/unit/soft_fixture.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define FILE_BASE     0x60000000ull
#define FILE_PAGES    64u
#define FIRST         0x5ff000ull /* the window begins one page before a piece of 2 MiB ends */
#define PAGES         12u
#define PLACE         3u
#define PLACE_OF_MANY (TLB_PAGES / 2 + PLACE)

struct window_fixture {
    struct fixture *f;
    int fd, unwritable;
    uint8_t *file;
};

static struct window_fixture w;

static struct soft_vcpu *vcpu(void)
{
    return w.f->v;
}

static struct mmu_bank *bank(void)
{
    return &vcpu()->bank[2];
}

static void map_file(int fd, uint64_t ipa)
{
    const struct hvx_memory file = { .fd = fd, .offset = 0x4000 };

    assert_int_equal(hv_backend_soft.vm_map_file(w.f->vm, w.file + 0x4000, ipa,
                                                 (FILE_PAGES - 4) * 4096,
                                                 HV_MEMORY_READ | HV_MEMORY_WRITE, &file),
                     0);
    soft_map_adopt(vcpu());
}

static int setup(void **state)
{
    fixture_setup(state);
    w.f = *state;
    while (vcpu()->bank_count < SOFT_EL0_BANKS)
        (void)tlb_add_bank(vcpu());
    char path[] = "/tmp/ireko-window-XXXXXX";
    w.fd = mkstemp(path);
    w.unwritable = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(w.fd >= 0 && w.unwritable >= 0);
    unlink(path);
    assert_int_equal(ftruncate(w.fd, FILE_PAGES * 4096), 0);
    w.file = mmap(NULL, FILE_PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, w.fd, 0);
    assert_ptr_not_equal(w.file, MAP_FAILED);
    map_file(w.fd, FILE_BASE);
    for (unsigned n = 0; n < FILE_PAGES; n++)
        memset(w.file + n * 4096, (int)n, 4096);
    bank()->asid = 7;
    vcpu()->hot.open = true; /* at any cost in time, which a busy host may take */
    return 0;
}

static int teardown(void **state)
{
    munmap(w.file, FILE_PAGES * 4096);
    close(w.fd);
    close(w.unwritable);
    return fixture_teardown(state);
}

/* The memory's page number `n` at `va`. */
static void fill_in(struct mmu_bank *b, uint64_t va, unsigned n, unsigned allowed)
{
    const struct mmu_leaf leaf = { .pa = FILE_BASE + (n - 4) * 4096ull, .shift = 12 };

    tlb_fill(vcpu(), b, va, &leaf, w.file + n * 4096, allowed);
}

static void fill(uint64_t va, unsigned n)
{
    fill_in(bank(), va, n, MMU_READ | MMU_WRITE);
}

/* Which page of the memory is the `k`th of the window: no order, three of them in a row. */
static unsigned page_of(unsigned k)
{
    static const uint8_t pages[PAGES] = { 9, 40, 41, 42, 8, 63, 20, 19, 4, 30, 5, 50 };

    return pages[k];
}

static void fill_all(void)
{
    for (unsigned k = 0; k < PAGES; k++)
        fill(FIRST + k * 4096, page_of(k));
}

/* What translated code finds at `va`, its place filled. */
static const struct tlb_page *look(uint64_t va)
{
    const struct tlb_entry *e = tlb_find(vcpu(), bank(), va, false);

    assert_non_null(e);
    tlb_fill_page(vcpu(), bank(), PLACE, va, e);
    tlb_fill_page(vcpu(), bank(), PLACE_OF_MANY, va, e);
    return &bank()->tlb.page[PLACE];
}

/* Where the bank's entry for the page leads: to the `k`th one's bytes, in the window or not. */
static void leads(uint64_t va, unsigned n, bool in_window)
{
    const struct tlb_entry *e = tlb_find(vcpu(), bank(), va, false);

    assert_non_null(e);
    const uint8_t *host = (const uint8_t *)(e->add + va); /* NOLINT: as translated code does */
    assert_memory_equal(host, w.file + n * 4096, 4096);
    assert_int_equal(host != w.file + n * 4096, in_window);
}

/* How many pages it holds, for reading. */
static unsigned pages_found(const struct tlb_page *p)
{
    return (unsigned)((p->rd + TLB_PAGE_FEW - 1) / 4096);
}

static bool matches(const struct tlb_page *p, uint64_t va, bool write)
{
    return va - p->va < (write ? p->wr : p->rd);
}

static uint8_t *host_of(const struct tlb_page *p, uint64_t va)
{
    return (uint8_t *)(p->add + va); /* NOLINT: as translated code does */
}

static void covers(const struct tlb_page *p, unsigned from, unsigned to, bool write)
{
    const uint64_t begin = FIRST + from * 4096, end = FIRST + to * 4096;

    for (unsigned many = 0; many < 2; many++) {
        const struct tlb_page *q = many ? &bank()->tlb.page[PLACE_OF_MANY] : p;
        unsigned size = many ? TLB_PAGE_MANY : TLB_PAGE_FEW;
        assert_true(matches(q, begin, write));
        assert_false(matches(q, begin - 1, write));
        assert_true(matches(q, end - size, write));
        assert_false(matches(q, end - size + 1, write));
    }
    for (unsigned k = from; k < to; k++)
        assert_memory_equal(host_of(p, FIRST + k * 4096), w.file + page_of(k) * 4096, 4096);
}

static void pages_lie_in_a_row(void **state)
{
    (void)state;
    fill_all();
    assert_int_equal(pages_found(look(FIRST)), 1);
    (void)window_build(vcpu(), bank(), FIRST + 5 * 4096, false);
    for (unsigned k = 0; k < PAGES; k++) {
        covers(look(FIRST + k * 4096 + 5), 0, PAGES, false);
        covers(look(FIRST + k * 4096 + 5), 0, PAGES, true);
    }
    assert_int_equal(vcpu()->stats.windows, 1);
    assert_int_equal(vcpu()->stats.window_pages, PAGES);

    /* over the end of a page, and of a piece */
    uint64_t value = 0x0123456789abcdef;
    memcpy(host_of(look(FIRST), FIRST + 4093), &value, 8);
    assert_memory_equal(w.file + 9 * 4096 + 4093, (uint8_t *)&value, 3);
    assert_memory_equal(w.file + 40 * 4096, (uint8_t *)&value + 3, 5);
}

/* As long as the page is mapped there: loads and stores of both kinds are to be at one address. */
static void entries_lead_there(void **state)
{
    struct mmu_bank *other = &vcpu()->bank[4];
    const uint64_t va = FIRST + WINDOW_PAGES * 4096ull;

    (void)state;
    fill_all();
    leads(FIRST, 9, false);
    (void)window_build(vcpu(), bank(), FIRST, false);
    for (unsigned k = 0; k < PAGES; k++)
        leads(FIRST + k * 4096, page_of(k), true);
    fill_in(bank(), FIRST, page_of(0), MMU_READ); /* again */
    leads(FIRST, page_of(0), true);
    fill(FIRST + 4096, 60); /* another one */
    leads(FIRST + 4096, 60, false);
    (void)window_build(vcpu(), bank(), FIRST, false);
    leads(FIRST + 4096, 60, true);

    /* what leaves the first level comes back from the second */
    tlb_clear(&bank()->tlb);
    for (unsigned k = 0; k < PAGES; k++)
        leads(FIRST + k * 4096, k == 1 ? 60 : page_of(k), true);

    /* not any more, when another bank has the place; those of the other piece stay */
    for (unsigned k = 1; k < 4; k++)
        fill_in(other, va + k * 4096, 32 + k, MMU_READ | MMU_WRITE);
    (void)window_build(vcpu(), other, va + 4096, false);
    leads(FIRST, page_of(0), true);
    for (unsigned k = 1; k < PAGES; k++)
        leads(FIRST + k * 4096, k == 1 ? 60 : page_of(k), false);
    (void)window_build(vcpu(), bank(), FIRST, false);
    for (unsigned k = 2; k < PAGES; k++)
        leads(FIRST + k * 4096, page_of(k), true);
    window_forget(vcpu());
    for (unsigned k = 2; k < PAGES; k++)
        leads(FIRST + k * 4096, page_of(k), false);

    vcpu()->hot.aliased = true;
    (void)window_build(vcpu(), bank(), FIRST, false);
    assert_true(pages_found(look(FIRST + 2 * 4096)) >= PAGES - 1);
    leads(FIRST + 2 * 4096, page_of(2), false);
}

/* What the host happens to have in a row needs no window. */
static void neighbours_are_one(void **state)
{
    (void)state;
    fill_all();
    assert_int_equal(pages_found(look(FIRST)), 1);
    for (unsigned k = 1; k < 4; k++)
        covers(look(FIRST + k * 4096), 1, 4, true);
    fill_in(bank(), FIRST + 3 * 4096, page_of(3), MMU_READ); /* it may be written no longer */
    tlb_flush_va(vcpu(), FIRST + 3 * 4096, 4096, 7);
    assert_int_equal(bank()->tlb.page[PLACE].rd, 0);
    fill_in(bank(), FIRST + 3 * 4096, page_of(3), MMU_READ);
    covers(look(FIRST + 4096), 1, 3, true);
    covers(look(FIRST + 3 * 4096), 3, 4, false);
    assert_int_equal(bank()->tlb.page[PLACE].wr, 0);
    assert_int_equal(tlb_entry_of(&bank()->tlb, FIRST)->pa & TLB_IN_ROW, 0);
}

/* Translated code copies windows from where they were found last, which goes with their pages. */
static void windows_are_kept_for_others(void **state)
{
    struct tlb_page *kept = &bank()->tlb.page[tlb_row_of(FIRST)];

    (void)state;
    fill_all();
    (void)look(FIRST);
    assert_int_equal(kept->rd, 0);
    (void)window_build(vcpu(), bank(), FIRST, false);
    for (unsigned k = 0; k < PAGES; k++)
        assert_int_equal(tlb_entry_of(&bank()->tlb, FIRST + k * 4096)->pa & TLB_IN_ROW, TLB_IN_ROW);
    const struct tlb_page *p = look(FIRST);
    assert_int_equal(kept->va, p->va);
    assert_int_equal(kept->add, p->add);
    assert_int_equal(kept->rd, p->rd);
    assert_int_equal(kept->wr, p->wr);
    tlb_flush_va(vcpu(), FIRST + 5 * 4096, 4096, 7);
    assert_int_equal(kept->rd, 0);
    assert_int_equal(kept->wr, 0);
}

static void a_page_that_is_dropped_divides_it(void **state)
{
    (void)state;
    fill_all();
    (void)window_build(vcpu(), bank(), FIRST, false);
    covers(look(FIRST), 0, PAGES, true);
    tlb_flush_va(vcpu(), FIRST + 4 * 4096, 4096, 7);
    assert_int_equal(bank()->tlb.page[PLACE].rd, 0);
    covers(look(FIRST), 0, 4, true);
    covers(look(FIRST + 5 * 4096), 5, PAGES, true);

    fill(FIRST + 4 * 4096, page_of(4)); /* it comes back */
    covers(look(FIRST + 4 * 4096), 0, PAGES, true);
    assert_int_equal(vcpu()->stats.window_pages, PAGES);

    tlb_flush_va(vcpu(), FIRST + 4 * 4096, 4096, 7);
    fill(FIRST + 4 * 4096, 60); /* another one does */
    covers(look(FIRST), 0, 4, true);
    assert_int_equal(pages_found(look(FIRST + 4 * 4096)), 1);
    (void)window_build(vcpu(), bank(), FIRST, false);
    assert_int_equal(vcpu()->stats.window_pages, PAGES + 1);
    assert_memory_equal(host_of(look(FIRST), FIRST + 4 * 4096), w.file + 60 * 4096, 4096);
    assert_int_equal(pages_found(look(FIRST)), PAGES);
}

static void whatever_drops_pages_drops_it(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 6; how++) {
        fill_all();
        (void)window_build(vcpu(), bank(), FIRST, false);
        covers(look(FIRST), 0, PAGES, true);
        switch (how) {
        case 0:
            tlb_flush_all(vcpu());
            break;
        case 1:
            tlb_flush_asid(vcpu(), 7);
            break;
        case 2:
            tlb_flush_va(vcpu(), FIRST - 4096, PAGES * 4096, -1);
            break;
        case 3:
            tlb_flush_va(vcpu(), 0, 1ull << 40, 7);
            break;
        case 4:
            tlb_flush_va(vcpu(), FIRST & ~0x1fffffull, 1ull << 21, 7);
            break;
        default:
            soft_map_adopt(vcpu());
            assert_null(vcpu()->windows);
            assert_int_equal(atomic_load(&w.f->v->cpu.vm->mappings), 0);
            break;
        }
        assert_int_equal(bank()->tlb.page[PLACE].rd, 0);
        bank()->asid = 7;
        fill(FIRST, page_of(0));
        assert_int_equal(pages_found(look(FIRST)), how == 2 ? 1 : how == 4 ? PAGES : 1);
        tlb_flush_all(vcpu());
        bank()->asid = 7;
    }
}

static void an_address_has_a_tag(void **state)
{
    const uint64_t tag = 0x5500000000000000;

    (void)state;
    for (unsigned k = 0; k < PAGES; k++)
        fill(tag + FIRST + k * 4096, page_of(k));
    (void)window_build(vcpu(), bank(), tag + FIRST, false);
    assert_int_equal(pages_found(look(tag + FIRST)), PAGES);
    assert_false(matches(look(tag + FIRST), FIRST, false));
    tlb_flush_va(vcpu(), FIRST + 4096, 4096, 7);
    assert_int_equal(bank()->tlb.page[PLACE].rd, 0);
    assert_int_equal(pages_found(look(tag + FIRST)), 1);
}

static void what_may_only_be_read_is_not_written(void **state)
{
    (void)state;
    fill_all();
    fill_in(bank(), FIRST + 6 * 4096, page_of(6), MMU_READ);
    (void)window_build(vcpu(), bank(), FIRST, false);
    covers(look(FIRST), 0, 6, true);
    covers(look(FIRST + 7 * 4096), 7, PAGES, true);
    const struct tlb_page *p = look(FIRST + 6 * 4096);
    covers(p, 0, PAGES, false);
    assert_int_equal(p->wr, 0);

    /* the guest takes the right away, and does not say so */
    covers(look(FIRST), 0, 6, true);
    fill_in(bank(), FIRST + 2 * 4096, page_of(2), MMU_READ);
    assert_int_equal(look(FIRST + 2 * 4096)->wr, 0);
    covers(look(FIRST), 0, 2, true);
}

static void a_page_is_watched(void **state)
{
    (void)state;
    for (unsigned shared = 0; shared < 2; shared++) {
        atomic_store(&vcpu()->cpu.vm->shared, shared);
        tlb_flush_all(vcpu());
        bank()->asid = 7;
        fill_all();
        (void)window_build(vcpu(), bank(), FIRST, false);
        covers(look(FIRST), 0, PAGES, true);
        tlb_watch(vcpu(), FILE_BASE + (page_of(3) - 4) * 4096ull);
        assert_int_equal(bank()->tlb.page[PLACE].wr, 0);
        look(FIRST);
        assert_false(matches(&bank()->tlb.page[PLACE], FIRST + 3 * 4096, true));
        (void)window_build(vcpu(), bank(), FIRST, false);
        covers(look(FIRST), 0, 3, true);
        covers(look(FIRST + 4 * 4096), 4, PAGES, true);
    }
}

/* The same place in the room. */
static void another_bank_takes_it(void **state)
{
    struct mmu_bank *other = &vcpu()->bank[4];
    const uint64_t va = FIRST + WINDOW_PAGES * 4096ull;

    (void)state;
    fill_all();
    (void)window_build(vcpu(), bank(), FIRST, false);
    covers(look(FIRST), 0, PAGES, true);
    for (unsigned k = 0; k < 2; k++)
        fill_in(other, va + k * 4096, 32 + k, MMU_READ | MMU_WRITE);
    (void)window_build(vcpu(), other, va, false);
    assert_int_equal(bank()->tlb.page[PLACE].rd, 0);
    assert_int_equal(pages_found(look(FIRST)), 1);
    (void)window_build(vcpu(), bank(), FIRST, false);
    covers(look(FIRST), 0, PAGES, true);
}

/* By turns, so that each has to map what the other had mapped over. */
static bool build_turn(unsigned n, bool worth)
{
    return n % 2 ? window_build(vcpu(), &vcpu()->bank[4], FIRST + WINDOW_PAGES * 4096ull, worth)
                 : window_build(vcpu(), bank(), FIRST, worth);
}

static void time_is_limited(void **state)
{
    unsigned n = 0;

    (void)state;
    vcpu()->hot.open = false;
    fill_all();
    for (unsigned k = 0; k < PAGES; k++)
        fill_in(&vcpu()->bank[4], FIRST + (WINDOW_PAGES + k) * 4096ull, page_of(k), MMU_READ);
    while (build_turn(n, false))
        n++;
    uint64_t before = vcpu()->stats.windows;
    assert_true(build_turn(n++, true));
    assert_int_equal(vcpu()->stats.windows, before + 1);
    while (build_turn(n, true))
        n++;
    assert_false(build_turn(n, false));
}

static void not_everything_gets_one(void **state)
{
    struct mmu_bank *kernel = &vcpu()->kernel;
    const struct mmu_leaf leaf = { .pa = RAM_BASE, .shift = 12 };

    (void)state;
    fill(FIRST, 9); /* one page */
    (void)window_build(vcpu(), bank(), FIRST, false);
    for (unsigned k = 0; k < 3; k++) { /* EL1's */
        fill_in(kernel, FIRST + k * 4096, 9 + k, MMU_READ | MMU_WRITE);
        (void)window_build(vcpu(), kernel, FIRST, false);
    }
    for (unsigned k = 0; k < 3; k++) /* memory without a file */
        tlb_fill(vcpu(), bank(), 0x900000 + k * 4096, &leaf, w.f->ram, MMU_READ);
    (void)window_build(vcpu(), bank(), 0x900000, false);
    assert_int_equal(pages_found(look(0x900000)), 1);
    assert_int_equal(vcpu()->stats.window_pages, 0);

    fill_all();
    atomic_store(&vcpu()->cpu.vm->mappings, 60000); /* of other vCPUs */
    (void)window_build(vcpu(), bank(), FIRST, false);
    assert_int_equal(pages_found(look(FIRST)), 1);
    assert_null(vcpu()->windows);
    atomic_store(&vcpu()->cpu.vm->mappings, 0);
    vcpu()->hot.shut = true;
    (void)window_build(vcpu(), bank(), FIRST, false);
    assert_null(vcpu()->windows);
}

/* A file that may not be written, as one example. */
static void the_host_refuses(void **state)
{
    (void)state;
    fill_all();
    (void)window_build(vcpu(), bank(), FIRST, false);
    covers(look(FIRST), 0, PAGES, true);
    assert_int_equal(hv_backend_soft.vm_unmap(w.f->vm, FILE_BASE, (FILE_PAGES - 4) * 4096), 0);
    map_file(w.unwritable, FILE_BASE);
    bank()->asid = 7;
    fill_all();
    (void)window_build(vcpu(), bank(), FIRST, false);
    assert_int_equal(pages_found(look(FIRST)), 1);
    leads(FIRST + 4096, page_of(1), false);
    assert_true(vcpu()->hot.shut);
    assert_int_equal(atomic_load(&vcpu()->cpu.vm->mappings), 0);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(pages_lie_in_a_row),
        TEST(entries_lead_there),
        TEST(neighbours_are_one),
        TEST(windows_are_kept_for_others),
        TEST(a_page_that_is_dropped_divides_it),
        TEST(whatever_drops_pages_drops_it),
        TEST(an_address_has_a_tag),
        TEST(what_may_only_be_read_is_not_written),
        TEST(a_page_is_watched),
        TEST(another_bank_takes_it),
        TEST(time_is_limited),
        TEST(not_everything_gets_one),
        TEST(the_host_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
