/* THREADS threads do the same work each, with nothing in common: with as many CPUs it takes as long
 * as with one. */
#include <pthread.h>

#include "bench.h"

#ifndef THREADS
#define THREADS 1
#endif

#define ROUNDS 300000000

static void *work(void *arg)
{
    uint64_t state = 88172645463325252u, sum = 0;

    for (int i = 0; i < ROUNDS; i++)
        sum += bench_random(&state) >> 60;
    *(uint64_t *)arg = sum;
    return NULL;
}

int main(void)
{
    pthread_t thread[THREADS];
    uint64_t sum[THREADS], start = bench_now();

    for (int i = 0; i < THREADS; i++)
        if (pthread_create(&thread[i], NULL, work, &sum[i]) != 0)
            bench_fail("pthread_create");
    for (int i = 0; i < THREADS; i++)
        pthread_join(thread[i], NULL);
    return bench_report(start, sum[0] + sum[THREADS - 1]);
}
