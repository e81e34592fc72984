#include "base/lock.h"

#include <assert.h>
#include <errno.h>
#include <time.h>

#include "base/clock.h"

#ifdef LOCK_CHECK
/* Bit r is set while this thread holds a lock of rank r. */
static _Thread_local unsigned held;

static void held_add(const struct lock *l)
{
    assert(held >> l->rank == 0 && "locks are taken in rank order");
    held |= 1u << l->rank;
}

static void held_remove(const struct lock *l)
{
    assert(held >> l->rank & 1);
    held &= ~(1u << l->rank);
}
#else
static void held_add(const struct lock *l)
{
    (void)l;
}

static void held_remove(const struct lock *l)
{
    (void)l;
}
#endif

void lock_init(struct lock *l, enum lock_rank rank)
{
    pthread_mutexattr_t a;
    int rc = pthread_mutexattr_init(&a);
    assert(rc == 0);
#ifdef PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP /* looks some times before it sleeps; may fail */
    (void)pthread_mutexattr_settype(&a, PTHREAD_MUTEX_ADAPTIVE_NP);
#endif
    rc = pthread_mutex_init(&l->mutex, &a);
    assert(rc == 0);
    (void)rc;
    pthread_mutexattr_destroy(&a);
    l->rank = rank;
}

void lock_fini(struct lock *l)
{
    pthread_mutex_destroy(&l->mutex);
}

void lock_acquire(struct lock *l)
{
    held_add(l);
    int rc = pthread_mutex_lock(&l->mutex);
    assert(rc == 0);
    (void)rc;
}

bool lock_try(struct lock *l)
{
    if (pthread_mutex_trylock(&l->mutex) != 0)
        return false;
    held_add(l);
    return true;
}

void lock_release(struct lock *l)
{
    held_remove(l);
    pthread_mutex_unlock(&l->mutex);
}

#ifdef __APPLE__
void cond_init(pthread_cond_t *c)
{
    pthread_cond_init(c, NULL);
}

int lock_wait(struct lock *l, pthread_cond_t *c, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return pthread_cond_wait(c, &l->mutex);
    uint64_t now = clock_monotonic_ns();
    if (deadline_ns <= now)
        return ETIMEDOUT;
    uint64_t left = deadline_ns - now;
    struct timespec ts = { (time_t)(left / 1000000000), (long)(left % 1000000000) };
    return pthread_cond_timedwait_relative_np(c, &l->mutex, &ts);
}
#else
void cond_init(pthread_cond_t *c)
{
    pthread_condattr_t a;
    pthread_condattr_init(&a);
    pthread_condattr_setclock(&a, CLOCK_MONOTONIC);
    pthread_cond_init(c, &a);
    pthread_condattr_destroy(&a);
}

int lock_wait(struct lock *l, pthread_cond_t *c, uint64_t deadline_ns)
{
    if (deadline_ns == UINT64_MAX)
        return pthread_cond_wait(c, &l->mutex);
    struct timespec ts = { (time_t)(deadline_ns / 1000000000), (long)(deadline_ns % 1000000000) };
    return pthread_cond_timedwait(c, &l->mutex, &ts);
}
#endif
