/*
 * What emitters of SIMD and FP code share: operations by the size of elements; constants, in the
 * cold part near what uses them, each once in a block.
 */
#include "soft/jit/vector.h"

const enum x86_sse vector_add[4] = { SSE_PADDB, SSE_PADDW, SSE_PADDD, SSE_PADDQ };
const enum x86_sse vector_sub[4] = { SSE_PSUBB, SSE_PSUBW, SSE_PSUBD, SSE_PSUBQ };
const enum x86_sse vector_equal[4] = { SSE_PCMPEQB, SSE_PCMPEQW, SSE_PCMPEQD, SSE_PCMPEQQ };
const enum x86_sse vector_greater[4] = { SSE_PCMPGTB, SSE_PCMPGTW, SSE_PCMPGTD, SSE_PCMPGTQ };
const uint64_t vector_least[4] = { 0x8080808080808080, 0x8000800080008000, 0x8000000080000000,
                                   0x8000000000000000 };

const uint8_t *vector_literal(jit_t t, uint64_t low, uint64_t high)
{
    struct x86_buf *b = &t->cold;
    uint64_t value[2] = { low, high };

    for (unsigned n = 0; n < t->literals; n++)
        if (memcmp(t->literal[n], value, sizeof value) == 0)
            return t->literal[n];
    while ((uintptr_t)b->p % sizeof value)
        x86_8(b, 0xcc);
    memcpy(b->p, value, sizeof value);
    if (t->literals < JIT_LITERALS)
        t->literal[t->literals++] = b->p;
    b->p += sizeof value;
    return b->p - sizeof value;
}

void vector_constant(jit_t t, enum x86_xmm x, uint64_t low, uint64_t high)
{
    if (!(low | high))
        x86_sse_rr(&t->hot, SSE_PXOR, x, x);
    else if (!(~low | ~high))
        x86_sse_rr(&t->hot, SSE_PCMPEQD, x, x);
    else
        x86_sse_rip(&t->hot, SSE_MOVAPS, x, vector_literal(t, low, high));
}

void vector_replicate(jit_t t, enum x86_xmm x, unsigned scale)
{
    struct x86_buf *b = &t->hot;

    switch (scale) {
    case 0:
        x86_sse_rip(b, SSE_PSHUFB, x, vector_literal(t, 0, 0));
        break;
    case 1:
        x86_sse_rri(b, SSE_PSHUFLW, x, x, 0);
        x86_sse_rr(b, SSE_PUNPCKLQDQ, x, x);
        break;
    case 2:
        x86_sse_rri(b, SSE_PSHUFD, x, x, 0);
        break;
    default:
        x86_sse_rr(b, SSE_PUNPCKLQDQ, x, x);
        break;
    }
}
