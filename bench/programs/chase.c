/* A chain of loads, each with its address from the one before, around a ring of 64 KiB in random
 * order. */
#include "bench.h"

#define N     8192u
#define STEPS 120000000u

static void *ring[N];

int main(void)
{
    static uint32_t order[N];
    uint64_t state = 88172645463325252u;
    for (uint32_t i = 0; i < N; i++)
        order[i] = i;
    for (uint32_t i = N - 1; i > 0; i--) {
        uint32_t j = (uint32_t)(bench_random(&state) % (i + 1)), t = order[i];
        order[i] = order[j];
        order[j] = t;
    }
    for (uint32_t i = 0; i < N; i++)
        ring[order[i]] = &ring[order[(i + 1) % N]];
    uint64_t start = bench_now();
    void **p = &ring[0];
    for (uint32_t i = 0; i < STEPS; i++)
        p = *p;
    return bench_report(start, (uint64_t)((void **)p - ring));
}
