/* Bit fields of integers, written as the manuals write them: <hi:lo>. */
#ifndef BASE_BITS_H
#define BASE_BITS_H

#include <stdbool.h>
#include <stdint.h>

/* value<hi:lo>, right-aligned. 63 >= hi >= lo. */
static inline uint64_t bits(uint64_t value, unsigned hi, unsigned lo)
{
    return (value >> lo) & (~0ull >> (63 - (hi - lo)));
}

static inline bool bit(uint64_t value, unsigned n)
{
    return (value >> n) & 1;
}

/* A set of small numbers, bit n % 64 of word n / 64. */
static inline bool set_has(const uint64_t *set, uint64_t n)
{
    return set[n / 64] >> n % 64 & 1;
}

static inline void set_add(uint64_t *set, uint64_t n)
{
    set[n / 64] |= 1ull << n % 64;
}

/* The low `width` (1 to 64) bits of `value`, sign-extended. */
static inline int64_t sign_extend(uint64_t value, unsigned width)
{
    return (int64_t)(value << (64 - width)) >> (64 - width);
}

/* `width` low ones; width 0 to 64. */
static inline uint64_t ones(unsigned width)
{
    return width == 0 ? 0 : ~0ull >> (64 - width);
}

static inline uint64_t align_down(uint64_t value, uint64_t power_of_two)
{
    return value & ~(power_of_two - 1);
}

static inline uint64_t align_up(uint64_t value, uint64_t power_of_two)
{
    return align_down(value + power_of_two - 1, power_of_two);
}

#endif
