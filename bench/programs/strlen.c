/* strlen of 4 KiB, and of words. */
#include <string.h>

#include "bench.h"

#define SIZE  4096
#define WORDS 512

int main(void)
{
    static char text[SIZE], words[WORDS][40];
    uint64_t state = 88172645463325252u, sum = 0;
    memset(text, 'a', SIZE - 1);
    for (int i = 0; i < WORDS; i++)
        memset(words[i], 'b', bench_random(&state) % 39);
    uint64_t start = bench_now();
    for (int round = 0; round < 40000; round++) {
        text[SIZE - 1 - round % 64] = '\0';
        sum += strlen(text);
        text[SIZE - 1 - round % 64] = 'a';
        text[SIZE - 1] = '\0';
    }
    for (int round = 0; round < 2000; round++)
        for (int i = 0; i < WORDS; i++)
            sum += strlen(words[i]);
    return bench_report(start, sum);
}
