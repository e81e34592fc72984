/*
 * What conversions of scalars (vector_convert.c) and of vectors (vector_convert_lanes.c) share.
 */
#ifndef SOFT_JIT_VECTOR_CONVERT_H
#define SOFT_JIT_VECTOR_CONVERT_H

#include "soft/jit/vector_fp.h"

/* How a scalar becomes an integer. */
struct to_integer {
    bool f64, is_unsigned, away;
    unsigned sf;       /* of 64 bits? */
    unsigned rounding; /* to the nearest, up, down, to zero */
};

/* RAX = the scalar XMM0 as an integer; `slow`: jumps if it is out of range. Changes RCX and all
 * scratch xmm registers. */
void vector_to_integer(jit_t t, const struct to_integer *c, uint8_t *slow[3]);
/* The same to zero with `fraction` bits behind the point. */
void vector_to_fixed(jit_t t, const struct to_integer *c, unsigned fraction, uint8_t *slow[3]);

/* FCVT of Advanced SIMD: o2<23> and bit 12, with ties away bit 14. */
static inline struct to_integer vector_to_integer_of(const struct insn *i)
{
    return (struct to_integer){
        .f64 = is_double(i),
        .is_unsigned = bit(i->word, 29),
        .away = bit(i->word, 14),
        .sf = is_double(i),
        .rounding = (unsigned)(bit(i->word, 12) << 1 | bit(i->word, 23)),
    };
}

/* 2 to the power of n, in each place. */
static inline const uint8_t *power_of_two(jit_t t, bool f64, int n)
{
    uint64_t value = f64 ? (uint64_t)(1023 + n) << 52 : (uint64_t)(127 + n) * 0x0080000000800000;

    return vector_literal(t, value, value);
}

#endif
