/*
 * Whether the host has a core for a vCPU that only looks for what it waits for: it may use one up
 * only if nobody else wants it (soft/wait.c).
 *
 * How many threads want to run is something that the host tells late and roughly, and of a guest
 * that goes to sleep and wakes all the time it counts the threads that it has just woken; so that
 * is not asked. A vCPU that looks gives its core away every microsecond. Threads that it waits for
 * itself, such as a network's, have it back within a few of them; if it takes as long as a slice of
 * the host's scheduler, others compute there. Then the vCPU sleeps for some time when it waits, for
 * twice as long if that happens again soon.
 */
#include "soft/load.h"

#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#include "soft/vcpu.h"

#define LOAD_MS(ms) ((ms) * (HVX_COUNTER_HZ / 1000))

/* So long only work takes that nobody of ours does. Linux's shortest slice is 0.7 ms. */
#define CROWD_TICKS (LOAD_MS(1) / 2)

/* How long the core is others', first and at most. */
#define CROWD_FIRST LOAD_MS(10)
#define CROWD_MOST  LOAD_MS(320)

static unsigned host_cores(void)
{
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (unsigned)CPU_COUNT(&set);
#endif
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    return cores > 0 ? (unsigned)cores : 1;
}

void load_init(struct load *l)
{
    l->cores = host_cores();
}

bool crowd_note(struct crowd *c, uint64_t now, uint64_t ticks)
{
    if (ticks < CROWD_TICKS)
        return false;
    bool again = now - c->until < c->pause;
    c->pause = again ? 2 * c->pause : CROWD_FIRST;
    if (c->pause > CROWD_MOST)
        c->pause = CROWD_MOST;
    c->until = now + c->pause;
    return true;
}
