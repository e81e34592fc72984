/*
 * Copies of V registers in XMM6 to XMM15, within one block.
 *
 * Every result goes to cpu.v at once, so what leaves the block, faults or calls C finds all V
 * registers in memory. The copy is for the instructions behind it: they need not wait for the
 * store. A copy is made only when a register is written; one that a block only reads is as good an
 * operand in memory. The oldest copy makes room for the next.
 *
 * C may change all xmm registers: functions that are called from hot code end all copies. Slow
 * paths come back to code that relies on them, so their thunks keep XMM6 to XMM15 (jit.slow_v,
 * refill_v), and what the interpreter wrote meanwhile is loaded again (vector_cache_reload()).
 */
#include "soft/jit/vector.h"

void vector_op(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v)
{
    enum x86_xmm copy;

    if (vector_cached(t, v, &copy))
        x86_sse_rr(&t->hot, op, x, copy);
    else
        x86_sse_rm(&t->hot, op, x, vector_slot(v));
}

void vector_op_imm(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v, unsigned imm)
{
    enum x86_xmm copy;

    if (vector_cached(t, v, &copy))
        x86_sse_rri(&t->hot, op, x, copy, imm);
    else
        x86_sse_rmi(&t->hot, op, x, vector_slot(v), imm);
}

#define INSERT_LOWEST 0x0e /* of INSERTPS: element 0 to element 0, the others become zero */

void vector_load_low(jit_t t, enum x86_xmm x, unsigned v, unsigned bytes)
{
    struct x86_buf *b = &t->hot;
    enum x86_xmm copy;

    if (!vector_cached(t, v, &copy))
        x86_sse_rm(b,
                   bytes == 16  ? SSE_MOVAPS
                   : bytes == 8 ? SSE_MOVQ
                                : SSE_MOVSS,
                   x, vector_slot(v));
    else if (t->cache.bytes[v % 32] <= bytes)
        x86_sse_rr(b, SSE_MOVAPS, x, copy);
    else if (bytes == 8)
        x86_sse_rr(b, SSE_MOVQ, x, copy);
    else
        x86_sse_rri(b, SSE_INSERTPS, x, copy, INSERT_LOWEST);
}

#define UPPER_HALF 0xee /* of PSHUFD: elements 2 and 3, twice */

void vector_half(jit_t t, enum x86_xmm x, unsigned v, bool upper)
{
    enum x86_xmm copy;

    if (!vector_cached(t, v, &copy))
        x86_sse_rm(&t->hot, SSE_MOVQ, x, vector_byte(v, upper ? 8 : 0));
    else if (upper)
        x86_sse_rri(&t->hot, SSE_PSHUFD, x, copy, UPPER_HALF);
    else
        x86_sse_rr(&t->hot, SSE_MOVAPS, x, copy);
}

void vector_widen(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v, bool upper)
{
    enum x86_xmm copy;

    if (!vector_cached(t, v, &copy)) {
        x86_sse_rm(&t->hot, op, x, vector_byte(v, upper ? 8 : 0));
    } else if (upper) {
        x86_sse_rri(&t->hot, SSE_PSHUFD, x, copy, UPPER_HALF);
        x86_sse_rr(&t->hot, op, x, x);
    } else {
        x86_sse_rr(&t->hot, op, x, copy);
    }
}

void vector_to_general(jit_t t, unsigned bytes, enum x86_reg d, unsigned v)
{
    enum x86_xmm copy;

    if (vector_cached(t, v, &copy))
        x86_movd_from(&t->hot, bytes == 8, d, copy);
    else
        x86_mov_rm(&t->hot, bytes == 8, d, vector_slot(v));
}

/* The xmm register for a copy of v: its own, or the one that was taken longest ago. */
static enum x86_xmm take(struct jit_vector_cache *c, unsigned v)
{
    if (c->host[v])
        return (enum x86_xmm)c->host[v];
    unsigned k = c->next;
    c->next = (uint8_t)((k + 1) % JIT_VECTOR_COPIES);
    if (c->used >> k & 1)
        c->host[c->owner[k]] = 0;
    c->used |= (uint16_t)(1u << k);
    c->owner[k] = (uint8_t)v;
    c->host[v] = (uint8_t)(XMM6 + k);
    return (enum x86_xmm)c->host[v];
}

void vector_store_low(jit_t t, unsigned v, enum x86_xmm x, unsigned bytes)
{
    struct jit_vector_cache *c = &t->cache;

    v %= 32;
    x86_movaps_mr(&t->hot, vector_slot(v), x);
    if (t->jit->knobs.uncached)
        return;
    x86_sse_rr(&t->hot, SSE_MOVAPS, take(c, v), x);
    c->bytes[v] = (uint8_t)bytes;
    c->written |= 1u << v;
}

void vector_cache_forget(jit_t t)
{
    memset(&t->cache, 0, sizeof t->cache);
}

const uint8_t *vector_cache_reload(jit_t t, const uint8_t *after)
{
    uint32_t written = t->cache.written;

    if (!written)
        return after;
    const uint8_t *start = t->cold.p;
    for (; written; written &= written - 1) {
        unsigned v = (unsigned)__builtin_ctz(written);
        enum x86_xmm copy;
        if (vector_cached(t, v, &copy))
            x86_sse_rm(&t->cold, SSE_MOVAPS, copy, vector_slot(v));
    }
    x86_to(&t->cold, x86_jmp(&t->cold), after);
    return start;
}
