/* Base64, twelve bytes at a time in the compiler's vectors: shuffles, shifts, comparisons. */
#include <string.h>

#include "bench.h"

#ifdef __x86_64__ /* the shuffles would not be instructions */
#pragma GCC target("ssse3")
#endif

#define SIZE   (12 * 4096)
#define ROUNDS 160

typedef uint8_t bytes __attribute__((vector_size(16)));
typedef uint32_t words __attribute__((vector_size(16)));

static uint8_t in[SIZE + 4], out[SIZE / 3 * 4];

static bytes encode(bytes x)
{
    /* each word: a byte triple, the first one highest */
    words w = (words)__builtin_shuffle(
        x, (bytes){ 2, 1, 0, 12, 5, 4, 3, 12, 8, 7, 6, 12, 11, 10, 9, 12 });
    words six = (w >> 18 & 63) | (w >> 4 & 63 << 8) | (w << 10 & 63 << 16) | (w << 24 & 63u << 24);
    bytes s = (bytes)six;
    bytes upper = (bytes)(s < 26), lower = (bytes)(s < 52) & ~upper, digit = (bytes)(s < 62);
    bytes offset = (upper & 65) | (lower & 71) | (digit & ~(upper | lower) & 252) |
                   ((bytes)(s == 62) & 237) | ((bytes)(s == 63) & 240);
    return s + offset;
}

int main(void)
{
    uint64_t state = 88172645463325252u, answer = 0;
    for (size_t i = 0; i < SIZE; i++)
        in[i] = (uint8_t)bench_random(&state);
    uint64_t start = bench_now();
    for (int round = 0; round < ROUNDS; round++) {
        in[round] ^= 1;
        for (size_t i = 0; i < SIZE / 12; i++) {
            bytes x;
            memcpy(&x, in + i * 12, sizeof x);
            x = encode(x);
            memcpy(out + i * 16, &x, sizeof x);
        }
        answer = answer * 31 + out[round];
    }
    for (size_t i = 0; i < sizeof out; i++)
        answer = answer * 31 + out[i];
    return bench_report(start, answer);
}
