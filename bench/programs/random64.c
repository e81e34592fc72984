/* Reads at random places of 64 MiB, independent of each other: more pages than a TLB holds. */
#include "bench.h"

#define WORDS (8u << 20)
#define READS 6000000u

static uint64_t words[WORDS];

int main(void)
{
    for (uint32_t i = 0; i < WORDS; i++)
        words[i] = i * 0x9e3779b97f4a7c15u;
    uint64_t state = 88172645463325252u, sum = 0;
    uint64_t start = bench_now();
    for (uint32_t i = 0; i < READS; i++)
        sum += words[bench_random(&state) % WORDS];
    return bench_report(start, sum);
}
