#include "base/clock.h"

#include <time.h>

static uint64_t clock_read(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint64_t clock_monotonic_ns(void)
{
    return clock_read(CLOCK_MONOTONIC);
}

static uint64_t clock_host_monotonic(void *ctx)
{
    (void)ctx;
    return clock_read(CLOCK_MONOTONIC);
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
