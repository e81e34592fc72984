#include "base/clock.h"

#include <time.h>

/* On a Mac the clock that stops while the host sleeps: guests' counters follow it
 * (mach_absolute_time), and so must the deadlines that are computed from them. Linux'
 * CLOCK_MONOTONIC does so by itself. */
#ifdef __APPLE__
#define CLOCK_HOST CLOCK_UPTIME_RAW
#else
#define CLOCK_HOST CLOCK_MONOTONIC
#endif

static uint64_t clock_read(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return clock_read(CLOCK_HOST);
}

uint64_t clock_thread_ns(void)
{
    return clock_read(CLOCK_THREAD_CPUTIME_ID);
}

static uint64_t clock_host_monotonic(void *ctx)
{
    (void)ctx;
    return clock_read(CLOCK_HOST);
}

static uint64_t clock_host_realtime(void *ctx)
{
    (void)ctx;
    return clock_read(CLOCK_REALTIME);
}

const struct clock clock_host = {
    .monotonic_ns = clock_host_monotonic,
    .realtime_ns = clock_host_realtime,
};
