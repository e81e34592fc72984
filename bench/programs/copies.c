/* memcpy and memset: a few bytes, pages, and a megabyte. */
#include <string.h>

#include "bench.h"

#define SIZE (1u << 20)

static unsigned char from[SIZE], to[SIZE];

/* Each size as often as moves `total` bytes. */
static uint64_t copy(size_t size, size_t total)
{
    uint64_t sum = 0;
    for (size_t moved = 0, at = 0; moved < total;
         moved += size, at = (at + 4096 + 8) % (SIZE - size + 1)) {
        memcpy(to + at, from + SIZE - size - at, size);
        sum += to[at + size / 2];
        memset(from + at, (int)(sum & 0xff), size / 4 + 1);
    }
    return sum;
}

int main(void)
{
    uint64_t state = 88172645463325252u, sum = 0;
    for (size_t i = 0; i < SIZE; i++)
        from[i] = (unsigned char)bench_random(&state);
    uint64_t start = bench_now();
    sum += copy(40, 40u << 20);
    sum += copy(4096, 200u << 20);
    sum += copy(SIZE - 4096, 200u << 20);
    return bench_report(start, sum);
}
