/*
 * Time as devices see it, so that a unit test can hand them a clock of its own.
 *
 * Two readings: `monotonic_ns` never goes back and is what deadlines are in; `realtime_ns` is
 * nanoseconds since 1970-01-01 UTC. An `alarm` is a one-shot deadline that a device owns; whoever
 * made it calls the device back.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>

struct clock {
    uint64_t (*monotonic_ns)(void *ctx);
    uint64_t (*realtime_ns)(void *ctx);
    void *ctx;
};

/* The host's clocks. */
extern const struct clock clock_host;

static inline uint64_t clock_now(const struct clock *c)
{
    return c->monotonic_ns(c->ctx);
}

static inline uint64_t clock_realtime(const struct clock *c)
{
    return c->realtime_ns(c->ctx);
}

/* Nanoseconds of a clock that never goes back and stands still while the host sleeps. Any thread.
 */
uint64_t clock_monotonic_ns(void);

/* The calling thread's processor time. */
uint64_t clock_thread_ns(void);

/* The same in ticks of 24 MHz, the rate of every guest's counter. Any thread. */
static inline uint64_t clock_ticks_24mhz(void)
{
    return clock_monotonic_ns() * 3 / 125; /* overflows after 195 years */
}

#define ALARM_OFF UINT64_MAX

/* A settable deadline. `set` may be called from any thread with any lock up to LOCK_DEVICE held; it
 * replaces the earlier deadline. */
struct alarm {
    void (*set)(void *ctx, uint64_t deadline_ns);
    void *ctx;
};

static inline void alarm_set(const struct alarm *a, uint64_t deadline_ns)
{
    if (a->set)
        a->set(a->ctx, deadline_ns);
}

#endif
