/* The PL031 with a clock that the test turns. */
#include "devices/pl031.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "tests/unit/test_device.h"

#define RTCDR   0x00
#define RTCMR   0x04
#define RTCLR   0x08
#define RTCCR   0x0c
#define RTCIMSC 0x10
#define RTCRIS  0x14
#define RTCMIS  0x18
#define RTCICR  0x1c

#define SECOND 1000000000ull

static struct device *bench_create(struct test_bench *b)
{
    *b = (struct test_bench){
        .monotonic = 5 * SECOND,
        .realtime = 1700000000 * SECOND + SECOND / 4,
        .deadline = ALARM_OFF,
    };
    struct pl031_config c = { test_wire(b), test_clock(b), test_alarm(b) };
    struct device *d;
    assert_int_equal(pl031_create(&c, &d), 0);
    return d;
}

static void pass(struct test_bench *b, uint64_t ns)
{
    b->monotonic += ns;
    b->realtime += ns;
}

static void test_counts_seconds(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    assert_int_equal(rd(d, RTCDR), 1700000000);
    pass(&b, 3 * SECOND);
    assert_int_equal(rd(d, RTCDR), 1700000003);
    wr(d, RTCDR, 7); /* read-only */
    wr(d, RTCCR, 0); /* cannot be stopped */
    assert_int_equal(rd(d, RTCCR), 1);
    assert_int_equal(rd(d, RTCDR), 1700000003);
    d->ops->destroy(d);
}

static void test_load(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, RTCLR, 0xffffffff);
    assert_int_equal(rd(d, RTCLR), 0xffffffff);
    assert_int_equal(rd(d, RTCDR), 0xffffffff);
    pass(&b, SECOND);
    assert_int_equal(rd(d, RTCDR), 0);
    assert_int_equal(rd(d, RTCLR), 0xffffffff);
    d->ops->destroy(d);
}

static void test_alarm_fires(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, RTCIMSC, 1);
    wr(d, RTCMR, 1700000010);
    assert_int_equal(rd(d, RTCMR), 1700000010);
    assert_int_equal(b.deadline, 15 * SECOND - SECOND / 4);
    pass(&b, SECOND);
    pl031_alarm(d); /* too early: armed again for the same moment */
    assert_int_equal(rd(d, RTCRIS), 0);
    assert_int_equal(b.deadline, 15 * SECOND - SECOND / 4);
    pass(&b, 9 * SECOND);
    pl031_alarm(d);
    assert_true(b.level);
    assert_int_equal(rd(d, RTCRIS), 1);
    assert_int_equal(rd(d, RTCMIS), 1);
    wr(d, RTCIMSC, 0);
    assert_false(b.level);
    assert_int_equal(rd(d, RTCRIS), 1);
    assert_int_equal(rd(d, RTCMIS), 0);
    wr(d, RTCIMSC, 1);
    wr(d, RTCICR, 0);
    assert_true(b.level);
    wr(d, RTCICR, 1);
    assert_false(b.level);
    assert_int_equal(rd(d, RTCRIS), 0);
    pl031_alarm(d); /* once only */
    assert_int_equal(rd(d, RTCRIS), 0);
    d->ops->destroy(d);
}

static void test_match_now_and_in_the_past(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, RTCMR, 1700000000);
    assert_int_equal(rd(d, RTCRIS), 1);
    wr(d, RTCICR, 1);
    wr(d, RTCMR, 1699999999); /* one turn of the counter away */
    assert_int_equal(rd(d, RTCRIS), 0);
    assert_int_equal(b.deadline, 5 * SECOND + 0xffffffffull * SECOND - SECOND / 4);
    wr(d, RTCLR, 1699999990); /* the load brings it near */
    assert_int_equal(b.deadline, 14 * SECOND - SECOND / 4);
    d->ops->destroy(d);
}

static void test_host_clock_set_back(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, RTCMR, 1700000002);
    b.monotonic += 2 * SECOND;
    b.realtime -= 100 * SECOND;
    pl031_alarm(d);
    assert_int_equal(rd(d, RTCRIS), 0);
    assert_int_equal(b.deadline, 7 * SECOND + 102 * SECOND - SECOND / 4);
    d->ops->destroy(d);
}

static void test_identification(void **state)
{
    (void)state;
    static const uint8_t id[8] = { 0x31, 0x10, 0x04, 0x00, 0x0d, 0xf0, 0x05, 0xb1 };
    struct test_bench b;
    struct device *d = bench_create(&b);
    for (unsigned i = 0; i < 8; i++) {
        wr(d, 0xfe0 + 4 * i, 0xff);
        assert_int_equal(rd(d, 0xfe0 + 4 * i), id[i]);
    }
    for (uint64_t o = 0x20; o < 0xfe0; o += 4) {
        wr(d, o, 0xffffffff);
        assert_int_equal(rd(d, o), 0);
    }
    wr(d, RTCMR, 0x11223344); /* narrower: the register's low bits; writes do nothing */
    test_write(d, RTCMR, 1, 0x55);
    test_write(d, RTCMR, 2, 0x5555);
    assert_int_equal(rd(d, RTCMR), 0x11223344);
    assert_int_equal(test_read(d, 0xff0, 1), 0x0d);
    assert_int_equal(d->ops->min_width, 1);
    assert_int_equal(d->ops->max_width, 4);
    d->ops->destroy(d);
}

static void test_reset(void **state)
{
    (void)state;
    struct test_bench b;
    struct device *d = bench_create(&b);
    wr(d, RTCIMSC, 1);
    wr(d, RTCLR, 50);
    wr(d, RTCMR, 50);
    assert_true(b.level);
    wr(d, RTCMR, 60);
    test_reset_device(d);
    assert_false(b.level);
    assert_int_equal(b.deadline, ALARM_OFF);
    assert_int_equal(rd(d, RTCDR), 1700000000);
    assert_int_equal(rd(d, RTCMR), 0);
    assert_int_equal(rd(d, RTCIMSC), 0);
    d->ops->destroy(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_seconds),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_alarm_fires),
        cmocka_unit_test(test_match_now_and_in_the_past),
        cmocka_unit_test(test_host_clock_set_back),
        cmocka_unit_test(test_identification),
        cmocka_unit_test(test_reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
