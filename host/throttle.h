/*
 * A limit on requests or bytes a second. It is a clock that every request pushes on by what it
 * costs: as long as it is ahead of the time, requests wait. A disk that was idle may catch up on
 * THROTTLE_BURST_NS, and what was let through early has to be waited for later.
 */
#ifndef HOST_THROTTLE_H
#define HOST_THROTTLE_H

#include <stdint.h>

#define THROTTLE_BURST_NS 100000000ull

struct throttle {
    uint64_t rate; /* units a second; 0: no limit */
    uint64_t next; /* when the next request may start, ns */
};

static inline void throttle_charge(struct throttle *t, uint64_t units, uint64_t now)
{
    if (t->rate == 0)
        return;
    if (t->next + THROTTLE_BURST_NS < now)
        t->next = now - THROTTLE_BURST_NS;
    /* In two steps, because a request has fewer than 2^33 units and a second 2^30 ns. */
    t->next += units / t->rate * 1000000000u + units % t->rate * 1000000000u / t->rate;
}

#endif
