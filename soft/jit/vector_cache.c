/*
 * V registers in XMM6 to XMM15, within one block; and in XMM16 to XMM31, where the host has them.
 *
 * A result stays in a register of the host's, and is written to cpu.v when another one needs the
 * place, when an emitter wants it in memory, and before a branch or C. One that a block only reads
 * is as good an operand in memory. The oldest copy makes room for the next. When all of XMM6 to
 * XMM15 have one, those in XMM14 and XMM15 move to XMM16 and XMM17 between two instructions, since
 * what cannot work on registers beyond XMM15 needs two others (x86_evex.h); from then on until
 * nothing is cached, there are 24.
 *
 * C may change all xmm registers: before functions that are called from hot code all is written,
 * and no copy counts afterwards. Slow paths come back to code that relies on copies, so their
 * thunks keep them (jit.slow_v, refill_v); jit_slow_vector() writes to cpu.v what they had
 * when the instruction began, and loads what they are to have behind it. So until an instruction's
 * last jump to a slow path the registers stay as they were.
 */
#include "soft/jit/vector.h"

static void store(jit_t t, unsigned v)
{
    if (t->cache.dirty >> v & 1)
        x86_movaps_mr(&t->hot, vector_slot(v), (enum x86_xmm)t->cache.host[v]);
    t->cache.dirty &= ~(1u << v);
}

struct x86_mem vector_byte(jit_t t, unsigned v, unsigned offset)
{
    struct x86_mem m = vector_slot(v);

    store(t, v % 32);
    m.disp += (int32_t)offset;
    return m;
}

void vector_op(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v)
{
    enum x86_xmm copy;

    if (vector_cached(t, v, &copy))
        x86_sse_rr(&t->hot, op, x, copy);
    else
        x86_sse_rm(&t->hot, op, x, vector_slot(v));
}

static bool commutes(enum x86_sse op)
{
    switch (op) {
    case SSE_PAND:
    case SSE_POR:
    case SSE_PXOR:
    case SSE_PADDB:
    case SSE_PADDW:
    case SSE_PADDD:
    case SSE_PADDQ:
    case SSE_PCMPEQB:
    case SSE_PCMPEQW:
    case SSE_PCMPEQD:
    case SSE_PMAXUB:
    case SSE_PMINUB:
        return true;
    default:
        return false;
    }
}

/* The operand in memory is better the second one. */
static void put_in_order(jit_t t, enum x86_sse op, unsigned *n, unsigned *m)
{
    enum x86_xmm copy;
    unsigned first = *n;

    if (!commutes(op) || vector_cached(t, *n, &copy) || !vector_cached(t, *m, &copy))
        return;
    *n = *m;
    *m = first;
}

void vector_binary(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned n, unsigned m)
{
    vector_scalar(t, op, x, n, m, 16);
}

void vector_scalar(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned n, unsigned m, unsigned bytes)
{
    enum x86_xmm left, right;

    if (bytes == 16)
        put_in_order(t, op, &n, &m);
    if (!t->jit->host.avx || !vector_cached(t, n, &left) || t->cache.bytes[n % 32] > bytes) {
        vector_load_low(t, x, n, bytes);
        vector_op(t, op, x, m);
    } else if (vector_cached(t, m, &right)) {
        x86_avx_rr(&t->hot, op, x, left, right);
    } else {
        x86_avx_rm(&t->hot, op, x, left, vector_slot(m));
    }
}

enum x86_xmm vector_use(jit_t t, unsigned v, enum x86_xmm scratch)
{
    enum x86_xmm copy;

    if (vector_cached(t, v, &copy))
        return copy;
    vector_load(t, scratch, v);
    return scratch;
}

/* Can the result of i be made where it stays? Not what has to be cleared above its lower half. */
static bool is_direct(jit_t t, const struct insn *i)
{
    return t->jit->host.avx && !t->jit->knobs.uncached && bit(i->word, 30) && !bit(i->word, 28);
}

/* Taking a register for the result may make another one's copy leave its place; but only the result
 * overwrites what is in there, when the operands were read. */
void vector_result_of(jit_t t, const struct insn *i, enum x86_sse op, enum x86_xmm n,
                      enum x86_xmm m)
{
    if (is_direct(t, i)) {
        enum x86_xmm d = vector_begin(t, i->rd);
        x86_avx_rr(&t->hot, op, d, n, m);
        vector_end(t, i->rd, d, 16);
        return;
    }
    if (n != XMM0)
        x86_sse_rr(&t->hot, SSE_MOVAPS, XMM0, n);
    x86_sse_rr(&t->hot, op, XMM0, m);
    vector_result(t, i, XMM0);
}

void vector_result_op(jit_t t, const struct insn *i, enum x86_sse op, unsigned n, unsigned m)
{
    enum x86_xmm right;

    if (!is_direct(t, i)) {
        vector_binary(t, op, XMM0, n, m);
        vector_result(t, i, XMM0);
        return;
    }
    put_in_order(t, op, &n, &m);
    enum x86_xmm left = vector_use(t, n, XMM0);
    if (vector_cached(t, m, &right)) {
        vector_result_of(t, i, op, left, right);
        return;
    }
    struct x86_mem from = vector_slot(m);
    enum x86_xmm d = vector_begin(t, i->rd);
    x86_avx_rm(&t->hot, op, d, left, from);
    vector_end(t, i->rd, d, 16);
}

void vector_result_literal(jit_t t, const struct insn *i, enum x86_sse op, unsigned n,
                           const uint8_t *literal)
{
    if (!is_direct(t, i)) {
        vector_load(t, XMM0, n);
        x86_sse_rip(&t->hot, op, XMM0, literal);
        vector_result(t, i, XMM0);
        return;
    }
    enum x86_xmm left = vector_use(t, n, XMM0), d = vector_begin(t, i->rd);
    x86_avx_rip(&t->hot, op, d, left, literal);
    vector_end(t, i->rd, d, 16);
}

void vector_result_shift(jit_t t, const struct insn *i, enum x86_sse_shift op, unsigned n,
                         unsigned count)
{
    if (!is_direct(t, i)) {
        vector_load(t, XMM0, n);
        x86_sse_shift(&t->hot, op, XMM0, count);
        vector_result(t, i, XMM0);
        return;
    }
    enum x86_xmm left = vector_use(t, n, XMM0), d = vector_begin(t, i->rd);
    x86_avx_shift(&t->hot, op, d, left, count);
    vector_end(t, i->rd, d, 16);
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
        x86_sse_rm(&t->hot, SSE_MOVQ, x, vector_byte(t, v, upper ? 8 : 0));
    else if (upper)
        x86_sse_rri(&t->hot, SSE_PSHUFD, x, copy, UPPER_HALF);
    else
        x86_sse_rr(&t->hot, SSE_MOVAPS, x, copy);
}

void vector_widen(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v, bool upper)
{
    enum x86_xmm copy;

    if (!vector_cached(t, v, &copy)) {
        x86_sse_rm(&t->hot, op, x, vector_byte(t, v, upper ? 8 : 0));
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

/* Has register k a half of SHA-256's state, in the host's order? */
static bool is_state(const struct jit_vector_cache *c, unsigned k)
{
    return c->sha.on && (c->owner[k] == c->sha.abcd || c->owner[k] == c->sha.efgh);
}

static bool is_scratch(const struct jit_vector_cache *c, unsigned k)
{
    return c->wide && vector_copy(k) >= XMM14 && vector_copy(k) <= XMM15;
}

/* The xmm register for a copy of v: its own, or the one that was taken longest ago. */
static enum x86_xmm take(jit_t t, unsigned v)
{
    struct jit_vector_cache *c = &t->cache;

    if (c->host[v])
        return (enum x86_xmm)c->host[v];
    if (t->jit->knobs.high && t->jit->host.xmm32 && !c->used && !t->before.used) {
        c->wide = true;
        c->next = JIT_COPIES_LOW;
    }
    unsigned k = c->next;
    while ((c->used >> k & 1 && is_state(c, k)) || is_scratch(c, k))
        k = (k + 1) % jit_copies(c->wide);
    c->next = (uint8_t)((k + 1) % jit_copies(c->wide));
    if (c->used >> k & 1) {
        store(t, c->owner[k]);
        c->host[c->owner[k]] = 0;
    }
    c->used |= 1u << k;
    c->owner[k] = (uint8_t)v;
    c->host[v] = (uint8_t)vector_copy(k);
    return (enum x86_xmm)c->host[v];
}

/* A copy moves to another register. */
static void move(jit_t t, unsigned from, unsigned to)
{
    struct jit_vector_cache *c = &t->cache;

    x86_sse_rr(&t->hot, SSE_MOVAPS, vector_copy(to), vector_copy(from));
    c->used ^= 1u << from | 1u << to;
    c->owner[to] = c->owner[from];
    c->host[c->owner[to]] = (uint8_t)vector_copy(to);
}

void vector_cache_widen(jit_t t)
{
    struct jit_vector_cache *c = &t->cache;

    if (c->used != (1u << JIT_COPIES_LOW) - 1 || c->wide || c->sha.on || !t->jit->host.xmm32)
        return;
    c->next = JIT_COPIES_LOW;
    for (unsigned from = XMM14 - XMM6; from < JIT_COPIES_LOW; from++)
        move(t, from, c->next++);
    c->wide = true;
}

enum x86_xmm vector_begin(jit_t t, unsigned v)
{
    return t->jit->knobs.uncached ? XMM0 : take(t, v % 32);
}

enum x86_xmm vector_keep(jit_t t, unsigned v)
{
    enum x86_xmm copy;

    if (t->jit->knobs.uncached || vector_cached(t, v, &copy))
        return vector_use(t, v, XMM0);
    copy = take(t, v % 32);
    x86_sse_rm(&t->hot, SSE_MOVAPS, copy, vector_slot(v));
    t->cache.bytes[v % 32] = 16;
    return copy;
}

void vector_end(jit_t t, unsigned v, enum x86_xmm x, unsigned bytes)
{
    v %= 32;
    if (t->jit->knobs.uncached || t->jit->knobs.eager)
        x86_movaps_mr(&t->hot, vector_slot(v), x);
    if (t->jit->knobs.uncached)
        return;
    t->cache.bytes[v] = (uint8_t)bytes;
    if (!t->jit->knobs.eager)
        t->cache.dirty |= 1u << v;
}

void vector_store_low(jit_t t, unsigned v, enum x86_xmm x, unsigned bytes)
{
    enum x86_xmm copy = t->jit->knobs.uncached ? x : vector_begin(t, v);

    if (copy != x)
        x86_sse_rr(&t->hot, SSE_MOVAPS, copy, x);
    vector_end(t, v, copy, bytes);
}

void vector_cache_store(jit_t t)
{
    if (!t->cache.used)
        return;
    vector_sha_settle(t);
    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        if (t->cache.used >> k & 1)
            store(t, t->cache.owner[k]);
}

void vector_cache_write(jit_t t, struct x86_buf *b)
{
    const struct jit_vector_cache *c = &t->cache;

    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        if (c->used >> k & 1 && c->dirty >> c->owner[k] & 1)
            x86_movaps_mr(b, vector_slot(c->owner[k]), vector_copy(k));
}

static bool is_carried(const struct jit_vector_cache *c, const struct jit_vector_cache *carry,
                       unsigned k)
{
    return c->used >> k & carry->used >> k & 1 && c->owner[k] == carry->owner[k];
}

static void load_carried(jit_t t, const struct jit_vector_cache *from)
{
    const struct jit_vector_cache *carry = t->loop.carry;

    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        if (carry->used >> k & 1 && !is_carried(from, carry, k))
            x86_sse_rm(&t->hot, SSE_MOVAPS, vector_copy(k), vector_slot(carry->owner[k]));
}

void vector_cache_carry(jit_t t)
{
    if (!t->loop.carry->used)
        return;
    load_carried(t, &t->cache);
    t->cache = *t->loop.carry;
}

void vector_cache_loop(jit_t t)
{
    const struct jit_vector_cache *carry = t->loop.carry;
    struct jit_vector_cache *c = &t->cache;

    if (!carry->used) {
        *t->loop.seen = *c;
        memset(t->loop.seen->bytes, 16, sizeof t->loop.seen->bytes);
        vector_cache_store(t);
        return;
    }
    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        if (c->used >> k & 1 && !(is_carried(c, carry, k) && carry->dirty >> c->owner[k] & 1))
            store(t, c->owner[k]);
    load_carried(t, c);
    *c = *carry;
}

void vector_cache_forget(jit_t t)
{
    if (!t->cache.used)
        return;
    vector_cache_store(t);
    memset(&t->cache, 0, sizeof t->cache);
}

struct jit_slow_copies vector_cache_record(jit_t t)
{
    const struct jit_vector_cache *before = &t->before, *after = &t->cache;
    struct jit_slow_copies r;

    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++) {
        bool store = before->used >> k & 1 && before->dirty >> before->owner[k] & 1;
        r.store[k] = store && !is_state(before, k) ? before->owner[k] : 0xff;
        r.load[k] = after->used >> k & 1 && !is_state(after, k) ? after->owner[k] : 0xff;
    }
    return r;
}
