/*
 * How much of the host is busy with other work than this VM's vCPUs: a vCPU that looks for what it
 * waits for uses up a core, which it may only do if nobody else wants that (soft/wait.c).
 *
 * Linux says in the fourth field of /proc/loadavg how many threads run or want to run now. Others'
 * are what is left of them without the ticker, whose thread reads it, and the vCPUs that are awake;
 * their average over about 100 ms counts. Elsewhere nothing is known, and others have no threads.
 */
#include "soft/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#ifdef __linux__
#include <sched.h>
#endif

#include "soft/vcpu.h"

/* One sample is worth 1 / 8 of the average. It is rounded up, so a host at rest is one of 7. */
#define LOAD_WEIGHT 8

/* The average may be this much above what the cores can do: others run for a moment, too. */
#define LOAD_SLACK (LOAD_ONE / 4)

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
    l->fd = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
}

void load_fini(struct load *l)
{
    if (l->fd >= 0)
        close(l->fd);
}

void load_sample(struct load *l)
{
    char text[128];
    unsigned runnable;

    if (l->fd < 0)
        return;
    unsigned awake = atomic_load(&l->awake);
    ssize_t n = pread(l->fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return;
    text[n] = 0;
    if (sscanf(text, "%*s %*s %*s %u/", &runnable) != 1)
        return;
    unsigned others = runnable > awake + 1 ? runnable - awake - 1 : 0;
    unsigned average = atomic_load(&l->others);
    average = (average * (LOAD_WEIGHT - 1) + others * LOAD_ONE + LOAD_WEIGHT - 1) / LOAD_WEIGHT;
    atomic_store(&l->others, average);
}

bool load_leaves_cores(const struct load *l, unsigned least)
{
    unsigned awake = atomic_load_explicit(&l->awake, memory_order_relaxed);
    unsigned others = atomic_load_explicit(&l->others, memory_order_relaxed);

    return (awake > least ? awake : least) * LOAD_ONE + others <= l->cores * LOAD_ONE + LOAD_SLACK;
}
