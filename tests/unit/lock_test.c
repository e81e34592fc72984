/* Locks: the order check, and waiting with a deadline. */
#include "base/lock.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/clock.h"

#ifdef LOCK_CHECK
/* Take two locks in a child, where a wrong order may abort. True if it lived. */
static bool takes(enum lock_rank first, enum lock_rank second)
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct lock a, b;
        lock_init(&a, first);
        lock_init(&b, second);
        signal(SIGABRT, SIG_DFL);
        if (!freopen("/dev/null", "w", stderr))
            _exit(1);
        lock_acquire(&a);
        lock_acquire(&b);
        lock_release(&a); /* released in any order */
        lock_release(&b);
        lock_acquire(&a);
        lock_release(&a);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void test_order(void **state)
{
    (void)state;
    for (int first = LOCK_VM; first <= LOCK_HOST; first++)
        for (int second = LOCK_VM; second <= LOCK_HOST; second++)
            assert_int_equal(takes((enum lock_rank)first, (enum lock_rank)second), second > first);
}
#endif

struct bench {
    struct lock lock;
    pthread_cond_t cond;
    bool ready;
};

static void *bench_wake(void *arg)
{
    struct bench *b = arg;
    lock_acquire(&b->lock);
    b->ready = true;
    pthread_cond_signal(&b->cond);
    lock_release(&b->lock);
    return NULL;
}

static void test_wait(void **state)
{
    (void)state;
    struct bench b = { .ready = false };
    pthread_t thread;
    lock_init(&b.lock, LOCK_VCPU);
    cond_init(&b.cond);
    lock_acquire(&b.lock);
    assert_int_equal(lock_wait(&b.lock, &b.cond, 0), ETIMEDOUT);
    uint64_t start = clock_monotonic_ns();
    int rc;
    do
        rc = lock_wait(&b.lock, &b.cond, start + 2000000);
    while (rc == 0);
    assert_int_equal(rc, ETIMEDOUT);
    assert_true(clock_monotonic_ns() >= start + 2000000);
    assert_int_equal(pthread_create(&thread, NULL, bench_wake, &b), 0);
    while (!b.ready)
        assert_int_equal(lock_wait(&b.lock, &b.cond, UINT64_MAX), 0);
    lock_release(&b.lock);
    pthread_join(thread, NULL);
    pthread_cond_destroy(&b.cond);
    lock_fini(&b.lock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#ifdef LOCK_CHECK
        cmocka_unit_test(test_order),
#endif
        cmocka_unit_test(test_wait),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
