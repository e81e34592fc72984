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

/* A scalar of single or double precision, type<23:22>? */
static inline bool is_scalar(jit_t t, const struct insn *i)
{
    return fp_enabled(t) && !bit(i->word, 23);
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

/* Vectors: the upper half is zero with Q of 0. Scalars with bit 28. */
static inline void load_lanes(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v)
{
    if (bit(i->word, 28))
        load_scalar(t, x, is_double(i), v);
    else
        vector_load_low(t, x, v, bit(i->word, 30) ? 16 : 8);
}

/* By element: in all places, zero in the upper half with Q of 0; of a scalar once. */
static inline void fp_by_element(jit_t t, const struct insn *i, unsigned scale, enum x86_xmm x)
{
    unsigned v, offset = vector_element_of(i, scale, &v);

    if (bit(i->word, 28)) {
        vector_element(t, x, scale, v, offset);
        return;
    }
    vector_element_everywhere(t, x, scale, v, offset);
    if (!bit(i->word, 30))
        x86_sse_rr(&t->hot, SSE_MOVQ, x, x);
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

/* Jump if a lane of the mask is set. Changes RAX. */
static inline uint8_t *if_any(jit_t t, enum x86_xmm mask)
{
    if (t->jit->host.avx) {
        x86_vtestps(&t->hot, mask);
        return x86_jcc(&t->hot, CC_NE);
    }
    x86_movmsk(&t->hot, false, RAX, mask);
    x86_test_rr(&t->hot, 0, RAX, RAX);
    return x86_jcc(&t->hot, CC_NE);
}

/* Jump if a lane of x is a NaN, or with `tiny` the smallest normal number. Changes XMM4, XMM5. */
static inline uint8_t *unless_lanes(jit_t t, enum x86_xmm x, bool f64, bool tiny)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM4, x);
    x86_sse_rri(b, f64 ? SSE_CMPPD : SSE_CMPPS, XMM4, x, 3);
    if (tiny) {
        const uint8_t *mask = magnitude_mask(t, f64);
        const uint8_t *low = vector_literal(t, smallest[f64], smallest[f64]);
        and_literal(t, XMM5, x, mask);
        x86_sse_rip(b, f64 ? SSE_PCMPEQQ : SSE_PCMPEQD, XMM5, low);
        x86_sse_rr(b, SSE_POR, XMM4, XMM5);
    }
    return if_any(t, XMM4);
}

/* Jump if a lane of XMM0 or XMM1 is infinite: where infinity times zero is a number, x86 must not
 * raise that it is none. Changes XMM4, XMM5. */
static inline uint8_t *if_infinite(jit_t t, bool f64)
{
    static const uint64_t infinity[2] = { 0x7f8000007f800000, 0x7ff0000000000000 };
    enum x86_sse equal = f64 ? SSE_PCMPEQQ : SSE_PCMPEQD;
    const uint8_t *mask = magnitude_mask(t, f64);
    const uint8_t *literal = vector_literal(t, infinity[f64], infinity[f64]);

    and_literal(t, XMM4, XMM0, mask);
    and_literal(t, XMM5, XMM1, mask);
    x86_sse_rip(&t->hot, equal, XMM4, literal);
    x86_sse_rip(&t->hot, equal, XMM5, literal);
    x86_sse_rr(&t->hot, SSE_POR, XMM4, XMM5);
    return if_any(t, XMM4);
}

/* Jump if x is a NaN. */
static inline uint8_t *unless_number(jit_t t, enum x86_xmm x, bool f64)
{
    x86_sse_rr(&t->hot, f64 ? SSE_UCOMISD : SSE_UCOMISS, x, x);
    return x86_jcc(&t->hot, CC_P);
}

/* soft/jit/vector_half.c: FCVT, FCVTL, FCVTN where one side is half precision. */
bool vector_fcvt_half(jit_t t, const struct insn *i);
bool vector_fcvtl_half(jit_t t, const struct insn *i);
bool vector_fcvtn_half(jit_t t, const struct insn *i);

/* The result is in XMM0, unless `slow`, which may be NULL, was taken. */
static inline bool finish(jit_t t, const struct insn *i, uint8_t *slow)
{
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, &slow, 1);
    return true;
}

/* The same for a scalar, with zero above it. */
static inline bool finish_scalar(jit_t t, const struct insn *i, bool f64, uint8_t *slow)
{
    vector_store_low(t, i->rd, XMM0, f64 ? 8 : 4);
    jit_slow_paths(t, &slow, 1);
    return true;
}

#endif
