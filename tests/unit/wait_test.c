/* What ends a WFE before it sleeps (DDI 0487 D1.6.1), and when the host has a core for waiting. */
#include "tests/unit/soft_fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PLACE 0x10000

/* A load-exclusive of `size` bytes has just been done. No look takes longer than one. */
static void open_monitor(struct fixture *f, unsigned size)
{
    f->c->excl_valid = true;
    f->c->excl_watched = false;
    f->c->excl_pa = RAM_BASE + PLACE;
    f->c->excl_size = (uint8_t)size;
    memcpy(f->c->excl_value, f->ram + PLACE, 16);
    f->v->spin_event = 0;
    atomic_store(&f->c->attention, 0);
}

static void an_event_ends_it_once(void **state)
{
    struct fixture *f = *state;

    open_monitor(f, 8);
    atomic_store(&f->v->event, true);
    assert_true(soft_spin_event(f->v));
    assert_false(soft_spin_event(f->v));
    soft_send_event(f->v);
    assert_true(soft_spin_event(f->v));
    assert_false(soft_spin_event(f->v));
}

static void a_store_ends_it(void **state)
{
    struct fixture *f = *state;

    for (unsigned size = 1; size <= 16; size *= 2)
        for (unsigned byte = 0; byte < 17; byte++) {
            open_monitor(f, size);
            assert_false(soft_spin_event(f->v));
            f->ram[PLACE + byte] ^= 0x80;
            assert_int_equal(soft_spin_event(f->v), byte < size);
        }
    open_monitor(f, 8);
    f->c->excl_valid = false;
    f->ram[PLACE] ^= 1;
    assert_false(soft_spin_event(f->v));
}

/* The value is the old one, but the page is watched. */
static void a_cleared_monitor_ends_it(void **state)
{
    struct fixture *f = *state;

    open_monitor(f, 8);
    f->c->excl_watched = true;
    exclusive_set(f->v, f->c->excl_pa + 1);
    assert_false(soft_spin_event(f->v));
    exclusive_set(f->v, 0);
    assert_true(soft_spin_event(f->v));
}

/* A monitor for what is memory no longer has nothing to look at. */
static void memory_may_be_gone(void **state)
{
    struct fixture *f = *state;

    open_monitor(f, 8);
    f->c->excl_pa = RAM_BASE + RAM_SIZE;
    assert_false(soft_spin_event(f->v));
}

static void only_an_interrupt_that_is_taken_ends_it(void **state)
{
    struct fixture *f = *state;

    open_monitor(f, 8);
    f->c->daif = PSTATE_I | PSTATE_F | PSTATE_A;
    f->v->irq[HV_INTERRUPT_TYPE_IRQ] = true;
    assert_false(soft_spin_event(f->v));
    f->c->daif = PSTATE_F | PSTATE_A;
    assert_true(soft_spin_event(f->v));
}

static void whatever_is_asked_ends_it(void **state)
{
    struct fixture *f = *state;

    open_monitor(f, 8);
    soft_kick(f->v, ATTENTION_LOOK);
    assert_true(soft_spin_event(f->v));
}

/* The average of a steady host, in threads. */
static unsigned others_beside(struct load *l, unsigned ready, const char *text)
{
    FILE *file = tmpfile();

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0 && fflush(file) == 0);
    l->fd = fileno(file);
    for (unsigned n = 0; n < 100; n++)
        load_sample(l, ready);
    assert_int_equal(fclose(file), 0);
    return (atomic_load(&l->others) + LOAD_ONE / 2) / LOAD_ONE;
}

static unsigned others_after(struct load *l, const char *text)
{
    return others_beside(l, 0, text);
}

static void others_are_counted(void **state)
{
    struct load l = { .cores = 2, .awake = 2 };

    (void)state;
    assert_int_equal(others_after(&l, "0.10 0.20 0.30 8/345 4711\n"), 5); /* and the ticker */
    assert_int_equal(others_after(&l, "0.10 0.20 0.30 3/345 4711\n"), 0);
    assert_int_equal(others_after(&l, "0.10 0.20 0.30 1/345 4711\n"), 0);
    assert_int_equal(others_after(&l, "0.10 0.20 0.30 5/345 4711\n"), 2);
    assert_int_equal(others_beside(&l, 1, "0.10 0.20 0.30 6/345 4711\n"), 2);
    assert_int_equal(others_after(&l, "nothing"), 2);
    assert_int_equal(others_after(&l, ""), 2);
    l.fd = -1;
    load_sample(&l, 0);
    assert_int_equal(l.others, 2 * LOAD_ONE);
}

static void a_thread_is_ready_while_it_runs(void **state)
{
    (void)state;
#ifdef __linux__
    assert_true(load_thread_is_ready(load_thread()));
#endif
    assert_false(load_thread_is_ready(0));
}

/* Work that is over does not count for ever. */
static void others_are_forgotten(void **state)
{
    struct load l = { .cores = 2, .awake = 2 };

    (void)state;
    assert_int_equal(others_after(&l, "0.10 0.20 0.30 5/345 4711\n"), 2);
    assert_false(load_leaves_cores(&l, 2));
    assert_int_equal(others_after(&l, "0.10 0.20 0.30 3/345 4711\n"), 0);
    assert_true(load_leaves_cores(&l, 2));
}

static void everybody_needs_a_core(void **state)
{
    static const struct {
        unsigned cores, awake, others, least;
        bool fit, leaves;
    } cases[] = {
        { 2, 1, 0, 1, true, true },   { 2, 1, 0, 2, true, true },  { 2, 2, 0, 2, true, true },
        { 2, 1, 1, 1, true, true },   { 2, 1, 1, 2, true, false }, { 2, 2, 1, 2, true, false },
        { 2, 3, 0, 2, false, false }, { 1, 1, 0, 2, true, false }, { 8, 4, 4, 2, true, true },
        { 8, 4, 5, 2, true, false },
    };

    (void)state;
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        const struct load l = { .cores = cases[n].cores,
                                .awake = cases[n].awake,
                                .others = cases[n].others * LOAD_ONE };
        assert_int_equal(load_awake_fit(&l), cases[n].fit);
        assert_int_equal(load_leaves_cores(&l, cases[n].least), cases[n].leaves);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_event_ends_it_once),
        TEST(a_store_ends_it),
        TEST(a_cleared_monitor_ends_it),
        TEST(memory_may_be_gone),
        TEST(only_an_interrupt_that_is_taken_ends_it),
        TEST(whatever_is_asked_ends_it),
        cmocka_unit_test(others_are_counted),
        cmocka_unit_test(a_thread_is_ready_while_it_runs),
        cmocka_unit_test(others_are_forgotten),
        cmocka_unit_test(everybody_needs_a_core),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
