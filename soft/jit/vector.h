/*
 * V registers in translated code: cpu.v always has their values; XMM6 to XMM15 have copies of those
 * that the block wrote last (vector_cache.c), so that a chain of instructions does not go through
 * memory. XMM0 to XMM5 are scratch, and nothing is kept in them from one instruction to the next.
 */
#ifndef SOFT_JIT_VECTOR_H
#define SOFT_JIT_VECTOR_H

#include "soft/jit/translate.h"
#include "soft/jit/x86_sse.h"

/* May the block use V registers? If not, the interpreter raises the exception. */
static inline bool vector_enabled(jit_t t)
{
    return t->mode & JIT_MODE_FP;
}

static inline struct x86_mem vector_slot(unsigned v)
{
    struct x86_mem m = JIT_CPU(v);
    m.disp += (int32_t)(v % 32 * sizeof(union vreg));
    return m;
}

/* Byte `offset` of a V register. */
static inline struct x86_mem vector_byte(unsigned v, unsigned offset)
{
    struct x86_mem m = vector_slot(v);
    m.disp += (int32_t)offset;
    return m;
}

/* soft/jit/vector_cache.c */

/* Is there a copy of v in an xmm register, and in which? */
static inline bool vector_cached(jit_t t, unsigned v, enum x86_xmm *x)
{
    *x = (enum x86_xmm)t->cache.host[v % 32];
    return *x != XMM0;
}

/* x = x op V register: all of its 16 bytes are an operand. */
void vector_op(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v);
void vector_op_imm(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v, unsigned imm);
/* x = the low `bytes` (4, 8, 16) of a V register, zero above them. */
void vector_load_low(jit_t t, enum x86_xmm x, unsigned v, unsigned bytes);
/* x = a half of a V register, or a widening `op` of it; only the lower half of x counts. */
void vector_half(jit_t t, enum x86_xmm x, unsigned v, bool upper);
void vector_widen(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v, bool upper);
/* General register = the low `bytes` (4, 8) of a V register. */
void vector_to_general(jit_t t, unsigned bytes, enum x86_reg d, unsigned v);
/* V register = x, which is known to be zero above its low `bytes`. */
void vector_store_low(jit_t t, unsigned v, enum x86_xmm x, unsigned bytes);

static inline void vector_load(jit_t t, enum x86_xmm x, unsigned v)
{
    vector_load_low(t, x, v, 16);
}

static inline void vector_store(jit_t t, unsigned v, enum x86_xmm x)
{
    vector_store_low(t, v, x, 16);
}

/* The result of an Advanced SIMD instruction in x: all of it, or the lower half and zero above it
 * when Q is 0 or it is a scalar of 64 bits. */
static inline void vector_result(jit_t t, const struct insn *i, enum x86_xmm x)
{
    bool low = !bit(i->word, 30) || bit(i->word, 28);

    if (low)
        x86_sse_rr(&t->hot, SSE_MOVQ, x, x);
    vector_store_low(t, i->rd, x, low ? 8 : 16);
}

/* soft/jit/vector.c: 16 bytes in the cold part, for x86_sse_rip(). */
const uint8_t *vector_literal(jit_t t, uint64_t low, uint64_t high);
/* x = the constant. */
void vector_constant(jit_t t, enum x86_xmm x, uint64_t low, uint64_t high);
/* All elements of 1 << scale bytes become as element 0. */
void vector_replicate(jit_t t, enum x86_xmm x, unsigned scale);

/* soft/jit/vector_move.c: d = the even or the odd elements of n and m, one after the other; with Q
 * of 0, in the lower half. d is XMM0 (changes XMM2) or XMM1 (changes XMM3). */
void vector_unzip(jit_t t, const struct insn *i, unsigned scale, enum x86_xmm d, bool odd);

#endif
