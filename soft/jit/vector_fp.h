/*
 * What the emitters of floating point share: vector_fp.c has scalars, vector_fp_lanes.c vectors.
 */
#ifndef SOFT_JIT_VECTOR_FP_H
#define SOFT_JIT_VECTOR_FP_H

#include "soft/jit/vector.h"

/* Constants of single and double precision. */
static const uint64_t sign_mask[2] = { 0x8000000080000000, 0x8000000000000000 };
static const uint64_t smallest[2] = { 0x0080000000800000, 0x0010000000000000 };

static inline bool fp_enabled(jit_t t)
{
    return vector_enabled(t) && (t->mode & JIT_MODE_FPCR);
}

static inline const uint8_t *magnitude_mask(jit_t t, bool f64)
{
    return vector_literal(t, ~sign_mask[f64], ~sign_mask[f64]);
}

static inline bool is_double(const struct insn *i)
{
    return bit(i->word, 22);
}

static inline void load_scalar(jit_t t, enum x86_xmm x, bool f64, unsigned v)
{
    vector_load_low(t, x, v, f64 ? 8 : 4);
}

/* d = x & [literal] */
static inline void and_literal(jit_t t, enum x86_xmm d, enum x86_xmm x, const uint8_t *literal)
{
    if (t->jit->host.avx) {
        x86_avx_rip(&t->hot, SSE_ANDPS, d, x, literal);
    } else {
        x86_sse_rr(&t->hot, SSE_MOVAPS, d, x);
        x86_sse_rip(&t->hot, SSE_ANDPS, d, literal);
    }
}

/* Jump if x is a NaN. */
static inline uint8_t *unless_number(jit_t t, enum x86_xmm x, bool f64)
{
    x86_sse_rr(&t->hot, f64 ? SSE_UCOMISD : SSE_UCOMISS, x, x);
    return x86_jcc(&t->hot, CC_P);
}

/* The result is in XMM0, unless `slow` was taken. */
static inline bool finish(jit_t t, const struct insn *i, uint8_t *slow)
{
    vector_store(t, i->rd, XMM0);
    jit_slow_path(t, slow, t->hot.p);
    return true;
}

/* The same for a scalar, with zero above it. */
static inline bool finish_scalar(jit_t t, const struct insn *i, bool f64, uint8_t *slow)
{
    vector_store_low(t, i->rd, XMM0, f64 ? 8 : 4);
    jit_slow_path(t, slow, t->hot.p);
    return true;
}

#endif
