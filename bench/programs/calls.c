/* Calls and returns: Fibonacci, Ackermann and Takeuchi, each as its definition has it. */
#include "bench.h"

static __attribute__((noinline)) uint64_t fibonacci(unsigned n)
{
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

static __attribute__((noinline)) uint64_t ackermann(uint64_t m, uint64_t n)
{
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

static __attribute__((noinline)) int takeuchi(int x, int y, int z)
{
    if (y >= x)
        return z;
    return takeuchi(takeuchi(x - 1, y, z), takeuchi(y - 1, z, x), takeuchi(z - 1, x, y));
}

int main(void)
{
    uint64_t start = bench_now();
    uint64_t sum = fibonacci(36);
    for (uint64_t i = 0; i < 4; i++)
        sum += ackermann(2, 1000 + i);
    for (int i = 0; i < 12; i++)
        sum += (uint64_t)takeuchi(18 + (i & 1), 12, 6);
    return bench_report(start, sum);
}
