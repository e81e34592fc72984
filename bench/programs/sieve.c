/* The sieve of Eratosthenes, a byte for each number: stores with a stride over 2 MiB. */
#include <string.h>

#include "bench.h"

#define N      (2u << 20)
#define ROUNDS 12

static unsigned char composite[N];

int main(void)
{
    uint64_t start = bench_now();
    uint64_t sum = 0;
    for (int round = 0; round < ROUNDS; round++) {
        memset(composite, 0, sizeof composite);
        for (uint32_t i = 2; i * i < N; i++)
            for (uint32_t j = i * i; !composite[i] && j < N; j += i)
                composite[j] = 1;
        for (uint32_t i = 2; i < N; i++)
            sum += !composite[i];
    }
    return bench_report(start, sum);
}
