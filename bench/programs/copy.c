/* memcpy of SIZE bytes, to and from changing places. */
#include <string.h>

#include "bench.h"

#ifndef SIZE
#define SIZE 40
#endif
#define TOTAL (SIZE < 4096 ? (size_t)SIZE * 4000000 : (size_t)1 << 30)
#define ROOM  (SIZE + 8192)

static unsigned char from[ROOM], to[ROOM];
static volatile size_t given = SIZE; /* so that memcpy is called */

int main(void)
{
    uint64_t state = 88172645463325252u, sum = 0;
    for (size_t i = 0; i < ROOM; i++)
        from[i] = (unsigned char)bench_random(&state);
    size_t size = given;
    uint64_t start = bench_now();
    for (size_t moved = 0, at = 0; moved < TOTAL; moved += SIZE, at = (at + 88) % 4096) {
        memcpy(to + at, from + 4096 - at, size);
        sum += to[at + SIZE / 2];
    }
    return bench_report(start, sum);
}
