/*
 * What every micro-kernel shares: the clock, a random sequence, and the two lines that it prints.
 *
 *     time 123456789         nanoseconds of CLOCK_MONOTONIC that the measured part took
 *     answer 0123456789abcdef  a checksum, the same on every machine
 */
#ifndef BENCH_PROGRAMS_BENCH_H
#define BENCH_PROGRAMS_BENCH_H

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline uint64_t bench_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* xorshift64 (Marsaglia 2003); the state must not be 0. */
static inline uint64_t bench_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* Returns what main() returns. */
static inline int bench_report(uint64_t start, uint64_t answer)
{
    printf("time %" PRIu64 "\n", bench_now() - start);
    printf("answer %016" PRIx64 "\n", answer);
    return 0;
}

static inline _Noreturn void bench_fail(const char *what)
{
    perror(what);
    exit(1);
}

#endif
