/* Whether the host has a core for a vCPU that only looks: soft/load.c. */
#ifndef SOFT_LOAD_H
#define SOFT_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct load {
    unsigned cores;         /* of the host, that the process may use */
    _Atomic unsigned awake; /* vCPUs whose threads do not sleep */
};

void load_init(struct load *l);

/* Has the host a core for each vCPU that is awake, at least `least` of them? Any thread. */
static inline bool load_awake_fit(const struct load *l, unsigned least)
{
    unsigned awake = atomic_load_explicit(&l->awake, memory_order_relaxed);
    return (awake > least ? awake : least) <= l->cores;
}

/* What a thread that gives its core away now and then has seen of others who want it. In ticks of
 * the host's counter; all zero to begin with. Its own thread's. */
struct crowd {
    uint64_t until; /* the core is theirs */
    uint32_t pause; /* how long it was theirs */
};

/* Giving the core away took `ticks`. True if others have work for it: then leave it to them. */
bool crowd_note(struct crowd *c, uint64_t now, uint64_t ticks);
static inline bool crowd_is_over(const struct crowd *c, uint64_t now)
{
    return now >= c->until;
}

#endif
