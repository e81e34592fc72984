/*
 * Floating point by the Arm rules: half, single and double precision, bit-exact, with cumulative
 * exception flags.
 *
 * Source: DDI 0487, shared/functions/float pseudocode, for FPCR.{AH, FIZ, NEP} = 0 and untrapped
 * exceptions. No state of its own: control and status come with every call, so any thread may call
 * any function. `n` is the width in bits: 16, 32 or 64. Values are bit patterns, right-aligned in
 * a uint64_t; bits above `n` are zero on return and must be zero in arguments.
 */
#ifndef SOFT_FP_FP_H
#define SOFT_FP_FP_H

#include <stdbool.h>
#include <stdint.h>

/* FPCR, DDI 0487 C5.2.7. */
#define FPCR_AHP         (1u << 26)
#define FPCR_DN          (1u << 25)
#define FPCR_FZ          (1u << 24)
#define FPCR_RMODE_SHIFT 22
#define FPCR_RMODE       (3u << FPCR_RMODE_SHIFT)
#define FPCR_FZ16        (1u << 19)

/* FPSR, DDI 0487 C5.2.8. */
#define FPSR_QC  (1u << 27)
#define FPSR_IDC (1u << 7)
#define FPSR_IXC (1u << 4)
#define FPSR_UFC (1u << 3)
#define FPSR_OFC (1u << 2)
#define FPSR_DZC (1u << 1)
#define FPSR_IOC (1u << 0)

/* The first four in the order of FPCR.RMode. */
enum fp_rounding { FP_TIEEVEN, FP_POSINF, FP_NEGINF, FP_TOZERO, FP_TIEAWAY, FP_ODD };

struct fp_env {
    uint32_t fpcr;
    uint32_t *fpsr; /* flags are ORed in */
    bool no_host;   /* never use the host's FPU: for tests of one way against the other */
};

static inline enum fp_rounding fp_rounding_mode(const struct fp_env *e)
{
    return (enum fp_rounding)(e->fpcr >> FPCR_RMODE_SHIFT & 3);
}

/* NZCV of a comparison, in the low four bits. */
enum fp_relation { FP_LESS = 8, FP_EQUAL = 6, FP_GREATER = 2, FP_UNORDERED = 3 };

/* Arithmetic: fp_arith.c. */
uint64_t fp_add(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_sub(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_mul(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_mulx(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_div(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_sqrt(const struct fp_env *e, unsigned n, uint64_t a);
/* addend + a * b with one rounding. */
uint64_t fp_muladd(const struct fp_env *e, unsigned n, uint64_t addend, uint64_t a, uint64_t b);
/* The same with a single-precision addend and result, and half-precision factors (FMLAL). */
uint64_t fp_muladd_half(const struct fp_env *e, uint64_t addend, uint64_t a, uint64_t b);

static inline uint64_t fp_sign_bit(unsigned n)
{
    return 1ull << (n - 1);
}

static inline uint64_t fp_neg(unsigned n, uint64_t a)
{
    return a ^ fp_sign_bit(n);
}

static inline uint64_t fp_abs(unsigned n, uint64_t a)
{
    return a & ~fp_sign_bit(n);
}

/* Comparison and selection: fp_compare.c. */
enum fp_relation fp_compare(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b,
                            bool signal_nans);
uint64_t fp_max(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_min(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_maxnum(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_minnum(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);

/* Conversions: fp_convert.c. */
/* Precision `from` to precision `to`. */
uint64_t fp_convert(const struct fp_env *e, unsigned to, unsigned from, uint64_t a,
                    enum fp_rounding rounding);
/* To an integer of `width` (16, 32, 64) bits, scaled by 2^fbits; saturates; a NaN gives 0. */
uint64_t fp_to_fixed(const struct fp_env *e, unsigned n, uint64_t a, unsigned width, unsigned fbits,
                     bool is_unsigned, enum fp_rounding rounding);
/* From a 64-bit integer, divided by 2^fbits. Signed narrower integers come sign-extended. */
uint64_t fp_from_fixed(const struct fp_env *e, unsigned n, uint64_t value, unsigned fbits,
                       bool is_unsigned, enum fp_rounding rounding);
/* To an integer in floating point. `exact` raises Inexact (FRINTX). */
uint64_t fp_round_int(const struct fp_env *e, unsigned n, uint64_t a, enum fp_rounding rounding,
                      bool exact);
/* The same, limited to a signed integer of `width` bits (FRINT32Z and its family). */
uint64_t fp_round_int_n(const struct fp_env *e, unsigned n, uint64_t a, enum fp_rounding rounding,
                        unsigned width);
/* JavaScript's double to int32; `exact` gets the Z flag. */
uint32_t fp_to_int32_js(const struct fp_env *e, uint64_t a, bool *exact);

/* Estimates and Newton steps: fp_estimate.c. */
uint64_t fp_recip_estimate(const struct fp_env *e, unsigned n, uint64_t a);
uint64_t fp_recip_step(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint64_t fp_recip_exponent(const struct fp_env *e, unsigned n, uint64_t a);
uint64_t fp_rsqrt_estimate(const struct fp_env *e, unsigned n, uint64_t a);
uint64_t fp_rsqrt_step(const struct fp_env *e, unsigned n, uint64_t a, uint64_t b);
uint32_t fp_unsigned_recip_estimate(uint32_t a);
uint32_t fp_unsigned_rsqrt_estimate(uint32_t a);

#endif
