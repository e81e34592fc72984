/* The event loop: stop, signals, alarms. */
#include "host/loop.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define MS 1000000ull

static void *stop_thread(void *loop)
{
    loop_stop(loop);
    return NULL;
}

static void test_stop(void **state)
{
    (void)state;
    struct loop *l;
    assert_int_equal(loop_create(&l), 0);
    loop_stop(l); /* before it runs */
    loop_run(l);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, stop_thread, l), 0);
    loop_run(l);
    pthread_join(t, NULL);
    loop_destroy(l);
    loop_destroy(NULL);
}

struct seen {
    struct loop *loop;
    struct alarm alarm;
    int count;
    int signum;
    uint64_t at;
};

static void on_signal(void *ctx, int signum)
{
    struct seen *seen = ctx;
    seen->signum = signum;
    seen->count++;
    loop_stop(seen->loop);
}

static void test_signal(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    assert_int_equal(loop_create(&seen.loop), 0);
    assert_int_equal(loop_on_signal(seen.loop, SIGTERM, on_signal, &seen), 0);
    assert_int_equal(loop_on_signal(seen.loop, SIGHUP, on_signal, &seen), 0);
    kill(getpid(), SIGTERM);
    loop_run(seen.loop);
    assert_int_equal(seen.signum, SIGTERM);
    kill(getpid(), SIGHUP);
    loop_run(seen.loop);
    assert_int_equal(seen.signum, SIGHUP);
    assert_int_equal(seen.count, 2);
    loop_destroy(seen.loop);
}

static void on_alarm(void *arg)
{
    struct seen *seen = arg;
    seen->at = clock_monotonic_ns();
    seen->count++;
    loop_stop(seen->loop);
}

static void on_early_alarm(void *arg)
{
    struct seen *seen = arg;
    if (++seen->count < 3)
        alarm_set(&seen->alarm, clock_monotonic_ns());
}

static void test_alarms(void **state)
{
    (void)state;
    struct seen last = { 0 }, early = { 0 }, never = { 0 };
    assert_int_equal(loop_create(&last.loop), 0);
    assert_int_equal(loop_alarm_create(last.loop, on_alarm, &last, &last.alarm), 0);
    assert_int_equal(loop_alarm_create(last.loop, on_early_alarm, &early, &early.alarm), 0);
    assert_int_equal(loop_alarm_create(last.loop, on_alarm, &never, &never.alarm), 0);
    uint64_t start = clock_monotonic_ns();
    alarm_set(&never.alarm, start + MS);
    alarm_set(&last.alarm, start + 1000000 * MS);
    alarm_set(&last.alarm, start + 20 * MS); /* replaces */
    alarm_set(&early.alarm, start + 5 * MS);
    alarm_set(&never.alarm, ALARM_OFF);
    loop_run(last.loop);
    assert_int_equal(last.count, 1);
    assert_true(last.at >= start + 20 * MS);
    assert_int_equal(early.count, 3); /* set again from its own call */
    assert_int_equal(never.count, 0);
    loop_destroy(last.loop);
}

static void *set_thread(void *arg)
{
    struct seen *seen = arg;
    alarm_set(&seen->alarm, clock_monotonic_ns() + 2 * MS);
    return NULL;
}

static void test_alarm_from_another_thread(void **state)
{
    (void)state;
    struct seen seen = { 0 };
    pthread_t t;
    assert_int_equal(loop_create(&seen.loop), 0);
    assert_int_equal(loop_alarm_create(seen.loop, on_alarm, &seen, &seen.alarm), 0);
    assert_int_equal(pthread_create(&t, NULL, set_thread, &seen), 0);
    loop_run(seen.loop);
    assert_int_equal(seen.count, 1);
    pthread_join(t, NULL);
    loop_destroy(seen.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_alarms),
        cmocka_unit_test(test_alarm_from_another_thread),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
