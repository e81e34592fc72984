/* Stores to a physical page are forbidden wherever a TLB lets them by, and nowhere else. */
#include "tests/unit/soft_fixture.h"

#define PAGE  0x50001000ull
#define OTHER (PAGE + TLB_WRITERS * 4096ull) /* its notes are in the same place */

static void fill(struct fixture *f, struct mmu_bank *b, uint64_t va, uint64_t pa)
{
    const struct mmu_leaf leaf = { .pa = pa, .shift = 12 };

    tlb_fill(f->v, b, va, &leaf, f->ram, MMU_READ | MMU_WRITE);
}

static bool writes(struct fixture *f, struct mmu_bank *b, uint64_t va)
{
    return tlb_find(f->v, b, va, true) != NULL;
}

/* Its entries in the first level are another's, those in the second stay. */
static void evict(struct fixture *f, struct mmu_bank *b, uint64_t va)
{
    fill(f, b, va + TLB_ENTRIES * 4096, PAGE + 0x1000);
}

static int setup(void **state)
{
    int r = fixture_setup(state);
    struct soft_vcpu *v = ((struct fixture *)*state)->v;

    atomic_store(&v->cpu.vm->shared, true);
    while (v->bank_count < SOFT_EL0_BANKS)
        (void)tlb_add_bank(v);
    return r;
}

static void every_entry_of_the_page_loses_the_right(void **state)
{
    struct fixture *f = *state;
    struct soft_vcpu *v = f->v;
    static const uint64_t va[] = { 0xffff000050001000, 0x400000, 0x7fff0000, 0x12345000 };

    /* the places that are noted, and more than that */
    for (unsigned count = 1; count <= ARRAY_LEN(va); count++) {
        tlb_flush_all(v);
        for (unsigned n = 0; n < count; n++) {
            struct mmu_bank *b = n ? &v->bank[n] : &v->kernel;
            fill(f, b, va[n], PAGE);
            fill(f, b, va[n] + 0x1000, PAGE + 0x1000);
            if (n == 1)
                evict(f, b, va[n]);
        }
        tlb_forbid_write(v, PAGE);
        for (unsigned n = 0; n < count; n++) {
            struct mmu_bank *b = n ? &v->bank[n] : &v->kernel;
            assert_false(writes(f, b, va[n]));
            assert_true(writes(f, b, va[n] + 0x1000));
        }
        assert_non_null(tlb_find(v, &v->kernel, va[0], false));
    }
}

static void a_watched_page_is_known_as_such(void **state)
{
    struct fixture *f = *state;
    struct mmu_bank *b = &f->v->kernel;

    fill(f, b, RAM_BASE, PAGE);
    tlb_watch(f->v, PAGE);
    assert_false(writes(f, b, RAM_BASE));
    assert_int_equal(tlb_entry_of(&b->tlb, RAM_BASE)->pa, PAGE | TLB_WATCHED);
}

static void what_was_flushed_takes_no_place(void **state)
{
    struct fixture *f = *state;
    struct soft_vcpu *v = f->v;
    const struct tlb_writers *w = &v->writers[(PAGE >> 12) % TLB_WRITERS];

    fill(f, &v->kernel, 0xffff000050001000, PAGE);
    for (unsigned n = 0; n < 100; n++) {
        fill(f, &v->bank[0], n * 0x1000, PAGE);
        tlb_flush_asid(v, v->bank[0].asid);
    }
    assert_int_equal(w->at[0].bank, 1);
    assert_int_equal(w->at[1].bank, 2);
}

static void a_search_finds_what_is_left(void **state)
{
    struct fixture *f = *state;
    struct soft_vcpu *v = f->v;

    fill(f, &v->bank[0], 0x2000, OTHER);
    evict(f, &v->bank[0], 0x2000);
    fill(f, &v->kernel, 0x3000, OTHER);
    fill(f, &v->bank[1], 0x4000, PAGE);
    tlb_forbid_write(v, PAGE);
    assert_false(writes(f, &v->bank[1], 0x4000));
    assert_true(writes(f, &v->bank[0], 0x2000));
    assert_true(writes(f, &v->kernel, 0x3000));
    tlb_forbid_write(v, OTHER);
    assert_false(writes(f, &v->bank[0], 0x2000));
    assert_false(writes(f, &v->kernel, 0x3000));
}

static void one_vcpu_notes_nothing(void **state)
{
    struct fixture *f = *state;
    struct soft_vcpu *v = f->v;

    atomic_store(&v->cpu.vm->shared, false);
    fill(f, &v->kernel, RAM_BASE, PAGE);
    assert_int_equal(v->writers[(PAGE >> 12) % TLB_WRITERS].at[0].bank, 0);
    tlb_forbid_write(v, PAGE); /* for the safety net `track` */
    assert_false(writes(f, &v->kernel, RAM_BASE));
}

/* Of a leaf of 2 MiB, by its entry for all of it, and by a page found last. */
static void fill_region(struct fixture *f, struct mmu_bank *b, uint64_t va, uint64_t pa)
{
    const struct soft_region r = { .ipa = 0x50000000, .size = 1ull << 30, .host = f->ram };
    const struct mmu_leaf leaf = { .pa = pa, .shift = TLB_WIDE_SHIFT };

    tlb_fill(f->v, b, va, &leaf, f->ram, MMU_READ | MMU_WRITE);
    tlb_fill_wide(f->v, b, va, &leaf, &r, MMU_READ | MMU_WRITE);
    tlb_fill_page(f->v, b, 3, va, tlb_entry_of(&b->tlb, va));
}

static void so_does_a_region_that_has_it(void **state)
{
    struct fixture *f = *state;
    struct mmu_bank *b = &f->v->bank[2];
    const uint64_t va = 0x7fff00203000, next = va + ((uint64_t)TLB_WIDES << TLB_WIDE_SHIFT);

    fill_region(f, b, va, PAGE + 0x2000);
    assert_non_null(tlb_find_wide(b, va ^ 0x1ff000, true));
    assert_int_equal(b->tlb.page[3].va, va & ~0x1fffffull);
    tlb_forbid_write(f->v, PAGE); /* which has no entry of its own */
    assert_null(tlb_find_wide(b, va, true));
    assert_int_equal(b->tlb.page[3].wr, 0);

    fill_region(f, b, va, PAGE + 0x2000);
    tlb_fill_page(f->v, b, 5, va, tlb_entry_of(&b->tlb, va));
    fill_region(f, b, next, PAGE + 0x200000);
    assert_null(tlb_find_wide(b, va, true));
    assert_int_equal(b->tlb.page[5].wr, 0);
    tlb_flush_va(f->v, next ^ 0x1ff000, 4096, -1);
    assert_null(tlb_find_wide(b, next, false));
    assert_int_equal(b->tlb.page[3].rd, 0);
}

static void what_drops_a_page_drops_its_region(void **state)
{
    struct fixture *f = *state;
    struct mmu_bank *b = &f->v->bank[2];
    const uint64_t va = 0x7fff00203000;
    const struct soft_region half = { .ipa = PAGE, .size = 0x100000, .host = f->ram };
    const struct mmu_leaf leaf = { .pa = PAGE, .shift = TLB_WIDE_SHIFT };

    b->asid = 7;
    for (unsigned how = 0; how < 4; how++) {
        fill_region(f, b, va, PAGE + 0x2000);
        assert_non_null(tlb_find_wide(b, va, false));
        if (how == 0)
            tlb_flush_all(f->v); /* other memory, too: soft_map_adopt() */
        else if (how == 1)
            tlb_flush_asid(f->v, 7);
        else if (how == 2)
            tlb_flush_va(f->v, va - 0x3000, 4096, 7);
        else
            tlb_flush_va(f->v, va - 0x10000000, 0x20000000, 7);
        assert_null(tlb_find_wide(b, va, false));
        assert_int_equal(b->tlb.page[3].rd, 0);
        assert_int_equal(b->tlb.wides_used, 0);
        b->asid = 7;
    }
    tlb_fill(f->v, b, va, &leaf, f->ram, MMU_READ);
    tlb_fill_wide(f->v, b, va, &leaf, &half, MMU_READ); /* memory of which is not all there */
    assert_null(tlb_find_wide(b, va, false));
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_entry_of_the_page_loses_the_right),
        TEST(so_does_a_region_that_has_it),
        TEST(what_drops_a_page_drops_its_region),
        TEST(a_watched_page_is_known_as_such),
        TEST(what_was_flushed_takes_no_place),
        TEST(a_search_finds_what_is_left),
        TEST(one_vcpu_notes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
