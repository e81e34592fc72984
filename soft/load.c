/*
 * How much of the host is busy with other work than this VM's vCPUs: a vCPU that looks for what it
 * waits for uses up a core, which it may only do if nobody else wants that (soft/wait.c).
 *
 * Linux says in the fourth field of /proc/loadavg how many threads run or want to run now. Others'
 * are what is left of them without the ticker, whose thread reads it, and the vCPUs that are awake
 * or were just woken; their average over about 100 ms counts. Elsewhere nothing is known, and
 * others have no threads.
 */
#include "soft/load.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
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

int load_thread(void)
{
#ifdef __linux__
    return gettid();
#else
    return 0;
#endif
}

bool load_thread_is_ready(int thread)
{
    char path[64], text[128];

    snprintf(path, sizeof path, "/proc/self/task/%d/stat", thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    const char *name_ends = strrchr(text, ')'); /* the name may have any character */
    return name_ends && strncmp(name_ends, ") R", 3) == 0;
}

void load_sample(struct load *l, unsigned ready)
{
    char text[128];
    unsigned runnable;

    if (l->fd < 0)
        return;
    unsigned ours = atomic_load(&l->awake) + ready + 1;
    ssize_t n = pread(l->fd, text, sizeof text - 1, 0);
    if (n <= 0)
        return;
    text[n] = 0;
    if (sscanf(text, "%*s %*s %*s %u/", &runnable) != 1)
        return;
    unsigned others = runnable > ours ? runnable - ours : 0;
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
