/* The C library's string functions, which are SIMD code: lengths, searches, comparisons, copies of
 * 1 to 4095 bytes. */
#include <string.h>

#include "bench.h"

#define SIZE   4096
#define ROUNDS 80

int main(void)
{
    static char from[SIZE], to[SIZE];
    uint64_t sum = 0;
    memset(from, 'a', SIZE - 1);
    uint64_t start = bench_now();
    for (int round = 0; round < ROUNDS; round++)
        for (size_t n = 1; n < SIZE; n += 7) {
            from[n] = '\0';
            sum += strlen(from);
            from[n - 1] = (char)('b' + round % 20);
            sum += (size_t)(strchr(from, from[n - 1]) - from);
            strcpy(to, from);
            sum += (unsigned)strcmp(to, from) + (unsigned)(memchr(to, 'z', n) != NULL);
            from[n - 1] = from[n] = 'a';
        }
    return bench_report(start, sum);
}
