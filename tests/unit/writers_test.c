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

    atomic_store(&((struct fixture *)*state)->v->cpu.vm->shared, true);
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
    assert_int_equal(w->at[0].bank, SOFT_EL0_BANKS + 1);
    assert_int_equal(w->at[1].bank, 1);
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

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_entry_of_the_page_loses_the_right),
        TEST(a_watched_page_is_known_as_such),
        TEST(what_was_flushed_takes_no_place),
        TEST(a_search_finds_what_is_left),
        TEST(one_vcpu_notes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
