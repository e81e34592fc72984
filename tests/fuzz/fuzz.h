/* What libFuzzer and fuzz_main.c call in a target (a file named *_fuzz.c). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Returns 0; dies if something is wrong. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_INPUT_MAX 4096

/* An input made up from `seed`; returns its size, at most FUZZ_INPUT_MAX. */
size_t fuzz_make_input(uint64_t seed, uint8_t *data);

/* The next of a sequence of random numbers (SplitMix64). */
static inline uint64_t fuzz_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

#endif
