/*
 * SHA-256 (DDI 0487 C7.2) on hosts with SHA-NI (Intel SDM volume 2).
 *
 * SHA256H has A to D in rd and E to H in rn, lowest elements first; SHA256H2 the other way around,
 * and each writes its rd. Four rounds are the two of them, of the same words, with a copy of A to D
 * for the second one. SHA256RNDS2 works on (F, E, B, A) and (H, G, D, C), two rounds at a time, and
 * leaves the new first in place of the second, whose new value is the old first.
 *
 * Between pairs the state stays in the order that SHA256RNDS2 wants (jit_vector_cache.sha), as the
 * shuffles would take as long as the rounds: the xmm registers that belong to the two V registers
 * have both halves of it, and it is put into A64's order by the next instruction that could look
 * at them, or on the way to C. Copies of A to D are made of it.
 */
#include "soft/jit/vector.h"

#include "base/bits.h"

#define BACK     4    /* instructions, to a copy of the state */
#define REVERSED 0x1b /* PSHUFD: 32-bit elements the other way around */
#define SWAPPED  0xb1 /* PSHUFD: in each half */

/* Does v[x] have what v[of] has before instruction `at`? */
static bool is_copy(jit_t t, unsigned at, unsigned x, unsigned of)
{
    for (unsigned n = at; n-- > 0 && at - n <= BACK;) {
        const struct jit_insn *k = &t->insn[n];
        bool mov = k->op == A64_ORR_v && bit(k->i.word, 30) && k->i.rn == k->i.rm;
        if (mov && k->i.rd == x)
            return k->i.rn == of;
        if ((k->i.word & 0x0e000000) != 0x0e000000 || k->i.rd == x || k->i.rd == of)
            return false;
    }
    return false;
}

/* SHA256H at `at` and SHA256H2 behind it, of the same state and words. */
static bool is_pair(jit_t t, unsigned at)
{
    const struct jit_insn *a = &t->insn[at], *b = &t->insn[at + 1];

    if (t->jit->knobs.uncached || t->jit->knobs.eager)
        return false;
    return at + 1 < t->count && a->op == A64_SHA256H && b->op == A64_SHA256H2 &&
           b->i.rd == a->i.rn && b->i.rm == a->i.rm && a->i.rd != a->i.rn && a->i.rd != a->i.rm &&
           a->i.rn != a->i.rm && b->i.rn != a->i.rd && b->i.rn != a->i.rn &&
           is_copy(t, at, b->i.rn, a->i.rd);
}

/* Either half of (F, E, B, A) and (H, G, D, C), lowest elements first, as a V register has it:
 * d = A to D, or E to H. The same makes (F, E, B, A) of E to H and A to D, or (H, G, D, C). */
static void reorder(struct x86_buf *b, enum x86_xmm d, enum x86_xmm first, enum x86_xmm second,
                    bool high)
{
    x86_sse_rr(b, SSE_MOVAPS, d, first);
    x86_sse_rr(b, high ? SSE_PUNPCKHQDQ : SSE_PUNPCKLQDQ, d, second);
    x86_sse_rri(b, SSE_PSHUFD, d, d, SWAPPED);
}

static enum x86_xmm host_of(const struct jit_vector_cache *c, unsigned v)
{
    return (enum x86_xmm)c->host[v];
}

void vector_sha_settle(jit_t t)
{
    struct jit_vector_cache *c = &t->cache;

    if (!c->sha.on)
        return;
    enum x86_xmm first = host_of(c, c->sha.abcd), second = host_of(c, c->sha.efgh);
    reorder(&t->hot, XMM0, first, second, true);
    reorder(&t->hot, XMM1, first, second, false);
    x86_sse_rr(&t->hot, SSE_MOVAPS, first, XMM0);
    x86_sse_rr(&t->hot, SSE_MOVAPS, second, XMM1);
    c->sha.on = false;
}

void vector_sha_write(jit_t t, struct x86_buf *b)
{
    const struct jit_vector_cache *c = &t->before;

    if (!c->sha.on)
        return;
    enum x86_xmm first = host_of(c, c->sha.abcd), second = host_of(c, c->sha.efgh);
    reorder(b, XMM0, first, second, true);
    x86_movaps_mr(b, vector_slot(c->sha.abcd), XMM0);
    reorder(b, XMM0, first, second, false);
    x86_movaps_mr(b, vector_slot(c->sha.efgh), XMM0);
}

/* The V registers of an instruction that is known, as bits; none for general ones that leave the
 * block alone. */
static bool known_vectors(jit_t t, const struct jit_insn *n, uint32_t *v)
{
    static const uint8_t loaded[16] = { [2] = 4, [6] = 3, [7] = 1, [10] = 2 }; /* LD1, by opcode */
    const struct insn *i = &n->i;
    uint64_t first = 1ull << i->rd % 32;

    *v = 0;
    switch (n->op) {
    case A64_LD_multiple:
    case A64_LD_multiple_post:
        first = ones(loaded[bits(i->word, 15, 12)]) << i->rd % 32;
        *v = (uint32_t)(first | first >> 32);
        return loaded[bits(i->word, 15, 12)] != 0;
    case A64_ADD_v:
    case A64_SHA256SU1:
    case A64_SHA256H:
    case A64_SHA256H2:
    case A64_ORR_v:
        *v = (uint32_t)first | 1u << i->rn % 32 | 1u << i->rm % 32;
        return true;
    case A64_SHA256SU0:
    case A64_REV32_v:
        *v = (uint32_t)first | 1u << i->rn % 32;
        return true;
    default:
        return jit_uses_of(t, n).plain && (i->word & 0x1c000000) != 0x14000000;
    }
}

void vector_sha_before(jit_t t, const struct jit_insn *n)
{
    const struct jit_vector_cache *c = &t->cache;
    uint32_t state, v;

    if (!c->sha.on)
        return;
    state = 1u << c->sha.abcd | 1u << c->sha.efgh;
    bool copies = n->op == A64_ORR_v && bit(n->i.word, 30) && n->i.rn == c->sha.abcd &&
                  n->i.rm == c->sha.abcd && !(state >> n->i.rd % 32 & 1);
    bool goes_on = (n->op == A64_SHA256H && is_pair(t, t->at) && n->i.rd == c->sha.abcd &&
                    n->i.rn == c->sha.efgh) ||
                   (n->op == A64_SHA256H2 && t->at > 0 && is_pair(t, t->at - 1));
    if (!copies && !goes_on && (!known_vectors(t, n, &v) || (v & state)))
        vector_sha_settle(t);
}

bool vector_sha_copy(jit_t t, const struct insn *i)
{
    const struct jit_vector_cache *c = &t->cache;

    if (!c->sha.on || i->rn != c->sha.abcd)
        return false;
    enum x86_xmm d = vector_begin(t, i->rd);
    reorder(&t->hot, d, host_of(c, c->sha.abcd), host_of(c, c->sha.efgh), true);
    vector_end(t, i->rd, d, 16);
    return true;
}

/* Four rounds at once, in the host's order. */
static void emit_pair(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    struct jit_vector_cache *c = &t->cache;

    if (c->sha.on && (c->sha.abcd != i->rd || c->sha.efgh != i->rn))
        vector_sha_settle(t);
    if (!c->sha.on) {
        enum x86_xmm abcd = vector_use(t, i->rd, XMM1), efgh = vector_use(t, i->rn, XMM2);
        reorder(b, XMM3, efgh, abcd, false);
        reorder(b, XMM4, efgh, abcd, true);
        vector_store(t, i->rd, XMM3);
        c->sha.on = true; /* so that the other one does not take its place */
        c->sha.abcd = i->rd;
        c->sha.efgh = i->rn;
        vector_store(t, i->rn, XMM4);
    }
    enum x86_xmm first = host_of(c, i->rd), second = host_of(c, i->rn);
    vector_load(t, XMM0, i->rm);
    x86_sha256rnds2(b, second, first);
    x86_sse_rri(b, SSE_PSHUFD, XMM0, XMM0, 0x0e);
    x86_sha256rnds2(b, first, second);
}

bool emit_sha256_rounds(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    bool second = bit(i->word, 12);

    if (!vector_enabled(t) || !t->jit->host.sha)
        return false;
    if (second && t->at > 0 && is_pair(t, t->at - 1))
        return true;
    if (is_pair(t, t->at)) {
        emit_pair(t, i);
        return true;
    }
    vector_op_imm(t, SSE_PSHUFD, XMM1, second ? i->rd : i->rn, REVERSED);
    vector_op_imm(t, SSE_PSHUFD, XMM3, second ? i->rn : i->rd, REVERSED);
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM1);
    x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM1, XMM3);
    x86_sse_rr(b, SSE_PUNPCKHQDQ, XMM2, XMM3);
    vector_load(t, XMM0, i->rm);
    x86_sha256rnds2(b, XMM1, XMM2);
    x86_sse_rri(b, SSE_PSHUFD, XMM0, XMM0, 0x0e);
    x86_sha256rnds2(b, XMM2, XMM1);
    x86_sse_rr(b, second ? SSE_PUNPCKLQDQ : SSE_PUNPCKHQDQ, XMM1, XMM2);
    x86_sse_rri(b, SSE_PSHUFD, XMM1, XMM1, REVERSED);
    vector_store(t, i->rd, XMM1);
    return true;
}

bool emit_sha256su0(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t) || !t->jit->host.sha)
        return false;
    /* It has no form with three operands. */
    vector_load(t, XMM0, i->rd);
    vector_op(t, SSE_SHA256MSG1, XMM0, i->rn);
    vector_store(t, i->rd, XMM0);
    return true;
}

bool emit_sha256su1(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;

    if (!vector_enabled(t) || !t->jit->host.sha)
        return false;
    vector_load(t, XMM1, i->rm);
    x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM1);
    vector_op_imm(t, SSE_PALIGNR, XMM0, i->rn, 4);
    vector_op(t, SSE_PADDD, XMM0, i->rd);
    x86_sse_rr(b, SSE_SHA256MSG2, XMM0, XMM1);
    vector_store(t, i->rd, XMM0);
    return true;
}
