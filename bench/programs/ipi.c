/* Round trips of interrupts between CPUs: an expedited membarrier interrupts the CPU that another
 * thread of the process runs on, and waits until it has answered. */
#define _GNU_SOURCE
#include <linux/membarrier.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 20000

static atomic_int running, stop;

static void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        bench_fail("sched_setaffinity");
}

static void *spin(void *arg)
{
    (void)arg;
    pin(1);
    atomic_store(&running, 1);
    while (!atomic_load_explicit(&stop, memory_order_relaxed))
        ;
    return NULL;
}

int main(void)
{
    pthread_t thread;

    pin(0);
    if (syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) != 0)
        bench_fail("membarrier");
    if (pthread_create(&thread, NULL, spin, NULL) != 0)
        bench_fail("pthread_create");
    while (!atomic_load(&running))
        ;
    uint64_t start = bench_now();
    for (int i = 0; i < ROUNDS; i++)
        if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
            bench_fail("membarrier");
    int r = bench_report(start, ROUNDS);
    atomic_store(&stop, 1);
    pthread_join(thread, NULL);
    return r;
}
