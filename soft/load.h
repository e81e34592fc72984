/* How busy the host is with other work: soft/load.c. */
#ifndef SOFT_LOAD_H
#define SOFT_LOAD_H

#include <stdatomic.h>
#include <stdbool.h>

#define LOAD_ONE 1024

struct load {
    unsigned cores;          /* of the host, that the process may use */
    _Atomic unsigned awake;  /* vCPUs whose threads do not sleep */
    _Atomic unsigned others; /* average of threads of others that run or want to, times LOAD_ONE */
    int fd;                  /* /proc/loadavg, or -1 */
};

void load_init(struct load *l);
void load_fini(struct load *l);

/* Look at the host: a few microseconds, every LOAD_PERIOD ticks (soft/ticker.c). `ready` vCPUs are
 * ready to run, though not awake. One thread. */
#define LOAD_PERIOD 8
void load_sample(struct load *l, unsigned ready);

/* A number for this thread, and does that thread run or want to? False where nothing is known. */
int load_thread(void);
bool load_thread_is_ready(int thread);

/* Has the host a core for each vCPU that is awake? Any thread. */
static inline bool load_awake_fit(const struct load *l)
{
    return atomic_load_explicit(&l->awake, memory_order_relaxed) <= l->cores;
}

/* And for others' work too, if at least `least` vCPUs are awake? Any thread. */
bool load_leaves_cores(const struct load *l, unsigned least);

#endif
