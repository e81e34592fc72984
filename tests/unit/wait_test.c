/* What ends a WFE before it sleeps (DDI 0487 D1.6.1), and when the host has a core for waiting. */
#include "tests/unit/soft_fixture.h"

#include <string.h>

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

static void everybody_needs_a_core(void **state)
{
    static const struct {
        unsigned cores, awake, least;
        bool fit;
    } cases[] = {
        { 2, 1, 1, true },  { 2, 1, 2, true }, { 2, 2, 2, true }, { 2, 3, 2, false },
        { 1, 1, 2, false }, { 1, 1, 1, true }, { 8, 8, 2, true }, { 8, 9, 1, false },
    };

    (void)state;
    for (size_t n = 0; n < sizeof cases / sizeof *cases; n++) {
        const struct load l = { .cores = cases[n].cores, .awake = cases[n].awake };
        assert_int_equal(load_awake_fit(&l, cases[n].least), cases[n].fit);
    }
}

#define MS (HVX_COUNTER_HZ / 1000)

/* Threads that give the core back soon are no crowd. */
static void others_work_is_left_alone(void **state)
{
    struct crowd c = { 0 };

    (void)state;
    assert_true(crowd_is_over(&c, 0));
    assert_false(crowd_note(&c, 1000 * MS, MS / 4));
    assert_true(crowd_is_over(&c, 1000 * MS));
    assert_true(crowd_note(&c, 1000 * MS, MS));
    assert_false(crowd_is_over(&c, 1000 * MS + 10 * MS - 1));
    assert_true(crowd_is_over(&c, 1000 * MS + 10 * MS));
}

/* For longer while they stay, but never for good. */
static void it_may_have_gone(void **state)
{
    struct crowd c = { 0 };
    uint64_t now = 1000 * MS;

    (void)state;
    for (unsigned pause = 10; pause < 1000; pause *= 2) {
        assert_true(crowd_note(&c, now, 3 * MS));
        now = c.until;
        assert_int_equal(c.pause, (pause < 320 ? pause : 320) * MS);
    }
    assert_true(crowd_note(&c, now + 320 * MS, 3 * MS));
    assert_int_equal(c.pause, 10 * MS);
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
        cmocka_unit_test(everybody_needs_a_core),
        cmocka_unit_test(others_work_is_left_alone),
        cmocka_unit_test(it_may_have_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
