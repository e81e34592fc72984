/*
 * Saturating arithmetic of three same, and the saturating multiplications that several encoding
 * classes share. DDI 0487 C4.1.96, SatQ().
 */
#include "soft/interp/simd.h"

static uint64_t sat_add_signed(struct cpu *c, unsigned esize, uint64_t a, uint64_t b)
{
    return simd_sat_signed(c, esize, (__int128)simd_signed(esize, a) + simd_signed(esize, b));
}

static uint64_t sat_add_unsigned(struct cpu *c, unsigned esize, uint64_t a, uint64_t b)
{
    return simd_sat_unsigned(c, esize, (__int128)a + b);
}

static uint64_t sat_sub_signed(struct cpu *c, unsigned esize, uint64_t a, uint64_t b)
{
    return simd_sat_signed(c, esize, (__int128)simd_signed(esize, a) - simd_signed(esize, b));
}

static uint64_t sat_sub_unsigned(struct cpu *c, unsigned esize, uint64_t a, uint64_t b)
{
    return simd_sat_unsigned(c, esize, (__int128)a - b);
}

INSN(SQADD_v)
{
    return simd_map2(c, i, simd_size(i), sat_add_signed);
}

INSN(UQADD_v)
{
    return simd_map2(c, i, simd_size(i), sat_add_unsigned);
}

INSN(SQSUB_v)
{
    return simd_map2(c, i, simd_size(i), sat_sub_signed);
}

INSN(UQSUB_v)
{
    return simd_map2(c, i, simd_size(i), sat_sub_unsigned);
}

/* High half of 2ab, plus half a unit when rounding. */
static uint64_t double_high(struct cpu *c, unsigned esize, uint64_t a, uint64_t b, bool round)
{
    __int128 product = (__int128)simd_signed(esize, a) * simd_signed(esize, b) * 2;

    product += (__int128)round << (esize - 1);
    return simd_sat_signed(c, esize, product >> esize);
}

uint64_t simd_sqdmulh(struct cpu *c, unsigned esize, uint64_t a, uint64_t b)
{
    return double_high(c, esize, a, b, false);
}

uint64_t simd_sqrdmulh(struct cpu *c, unsigned esize, uint64_t a, uint64_t b)
{
    return double_high(c, esize, a, b, true);
}

/* The accumulator joins before rounding and saturation. */
static uint64_t double_high_accumulate(struct cpu *c, unsigned esize, uint64_t acc,
                                       __int128 product)
{
    __int128 sum = (__int128)simd_signed(esize, acc) * ((__int128)1 << esize);

    sum += product * 2 + ((__int128)1 << (esize - 1));
    return simd_sat_signed(c, esize, sum >> esize);
}

uint64_t simd_sqrdmlah(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a, uint64_t b)
{
    return double_high_accumulate(c, esize, acc,
                                  (__int128)simd_signed(esize, a) * simd_signed(esize, b));
}

uint64_t simd_sqrdmlsh(struct cpu *c, unsigned esize, uint64_t acc, uint64_t a, uint64_t b)
{
    return double_high_accumulate(c, esize, acc,
                                  -(__int128)simd_signed(esize, a) * simd_signed(esize, b));
}

INSN(SQDMULH_v)
{
    return simd_map2(c, i, simd_size(i), simd_sqdmulh);
}

INSN(SQRDMULH_v)
{
    return simd_map2(c, i, simd_size(i), simd_sqrdmulh);
}

INSN(SQRDMLAH_v)
{
    return simd_map3(c, i, simd_size(i), simd_sqrdmlah);
}

INSN(SQRDMLSH_v)
{
    return simd_map3(c, i, simd_size(i), simd_sqrdmlsh);
}
