/*
 * AES, PMULL, SHA-1 and the three-way operations of SHA-3 (DDI 0487 C7.2) on hosts that
 * have instructions for them: AES-NI, PCLMULQDQ, SHA-NI (Intel SDM volume 2).
 */
#include "soft/jit/vector_sat.h"

/* AESE and AESD are the last round with the key first: of the state added to the key, with a key of
 * zero. AESMC after AESE on the same register makes a whole round of both. */
static bool is_round(jit_t t, unsigned at)
{
    const struct jit_insn *a = &t->insn[at], *b = &t->insn[at + 1];

    return at + 1 < t->count && b->i.rd == a->i.rd && b->i.rn == a->i.rd &&
           ((a->op == A64_AESE && b->op == A64_AESMC) ||
            (a->op == A64_AESD && b->op == A64_AESIMC));
}

bool emit_aes_round(jit_t t, const struct insn *i)
{
    static const enum x86_sse ops[2][2] = { { SSE_AESENCLAST, SSE_AESENC },
                                            { SSE_AESDECLAST, SSE_AESDEC } };
    struct x86_buf *b = &t->hot;

    if (!vector_enabled(t) || !t->jit->host.aes)
        return false;
    vector_binary(t, SSE_PXOR, XMM0, i->rd, i->rn);
    x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
    x86_sse_rr(b, ops[bit(i->word, 12)][is_round(t, t->at)], XMM0, XMM1);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* MixColumns alone: a round behind its inverse without MixColumns. */
bool emit_aesmc(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;

    if (!vector_enabled(t) || !t->jit->host.aes)
        return false;
    if (t->at > 0 && is_round(t, t->at - 1))
        return true;
    if (bit(i->word, 12)) {
        vector_op(t, SSE_AESIMC, XMM0, i->rn);
    } else {
        vector_load(t, XMM0, i->rn);
        x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(b, SSE_AESDECLAST, XMM0, XMM1);
        x86_sse_rr(b, SSE_AESENC, XMM0, XMM1);
    }
    vector_store(t, i->rd, XMM0);
    return true;
}

/* Of 64 bits; Q says which half. */
bool emit_pmull(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    if (bits(i->word, 23, 22) != 3)
        return vector_pmull_bytes(t, i);
    if (!t->jit->host.pclmul)
        return false;
    vector_load(t, XMM0, i->rn);
    vector_op_imm(t, SSE_PCLMULQDQ, XMM0, i->rm, bit(i->word, 30) ? 0x11 : 0);
    vector_store(t, i->rd, XMM0);
    return true;
}

#define REVERSED 0x1b /* PSHUFD: 32-bit elements the other way around */

/* SHA1C, SHA1P, SHA1M (opcode<13:12>). SHA1RNDS4 has A in the highest element, adds the round's
 * constant itself, and takes E added to the first word. */
bool emit_sha1_rounds(jit_t t, const struct insn *i)
{
    static const uint64_t constant[3] = { 0x5a8279995a827999, 0x6ed9eba16ed9eba1,
                                          0x8f1bbcdc8f1bbcdc };
    struct x86_buf *b = &t->hot;
    unsigned function = (unsigned)bits(i->word, 13, 12);

    if (!vector_enabled(t) || !t->jit->host.sha)
        return false;
    vector_load(t, XMM1, i->rm);
    x86_sse_rip(b, SSE_PSUBD, XMM1, vector_literal(t, constant[function], constant[function]));
    vector_load_low(t, XMM2, i->rn, 4);
    x86_sse_rr(b, SSE_PADDD, XMM1, XMM2);
    x86_sse_rri(b, SSE_PSHUFD, XMM1, XMM1, REVERSED);
    vector_op_imm(t, SSE_PSHUFD, XMM0, i->rd, REVERSED);
    x86_sse_rri(b, SSE_SHA1RNDS4, XMM0, XMM1, function);
    x86_sse_rri(b, SSE_PSHUFD, XMM0, XMM0, REVERSED);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* x = each of its 32-bit elements rotated left. Changes `scratch`. */
static void rotate_left(jit_t t, enum x86_xmm x, unsigned n, enum x86_xmm scratch)
{
    x86_sse_rr(&t->hot, SSE_MOVAPS, scratch, x);
    x86_sse_shift(&t->hot, SSE_SLL_D, x, n);
    x86_sse_shift(&t->hot, SSE_SRL_D, scratch, 32 - n);
    x86_sse_rr(&t->hot, SSE_POR, x, scratch);
}

bool emit_sha1h(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load_low(t, XMM0, i->rn, 4);
    rotate_left(t, XMM0, 30, XMM1);
    vector_store_low(t, i->rd, XMM0, 4);
    return true;
}

bool emit_sha1su0(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rd);
    vector_op_imm(t, SSE_SHUFPD, XMM0, i->rn, 1);
    vector_op(t, SSE_PXOR, XMM0, i->rd);
    vector_op(t, SSE_PXOR, XMM0, i->rm);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* The last element takes the first one of the result, rotated once more. */
bool emit_sha1su1(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    x86_sse_shift(b, SSE_SRL_DQ, XMM0, 4);
    vector_op(t, SSE_PXOR, XMM0, i->rd);
    rotate_left(t, XMM0, 1, XMM1);
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_shift(b, SSE_SLL_DQ, XMM2, 12);
    rotate_left(t, XMM2, 1, XMM1);
    x86_sse_rr(b, SSE_PXOR, XMM0, XMM2);
    vector_store(t, i->rd, XMM0);
    return true;
}

bool emit_eor3(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_binary(t, SSE_PXOR, XMM0, (unsigned)bits(i->word, 14, 10), i->rm);
    vector_op(t, SSE_PXOR, XMM0, i->rn);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* n ^ (m & ~a) */
bool emit_bcax(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_binary(t, SSE_PANDN, XMM0, (unsigned)bits(i->word, 14, 10), i->rm);
    vector_op(t, SSE_PXOR, XMM0, i->rn);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* x = each of its 64-bit elements rotated left. Changes `scratch`. */
static void rotate_left_64(jit_t t, enum x86_xmm x, unsigned n, enum x86_xmm scratch)
{
    x86_sse_rr(&t->hot, SSE_MOVAPS, scratch, x);
    x86_sse_shift(&t->hot, SSE_SLL_Q, x, n);
    x86_sse_shift(&t->hot, SSE_SRL_Q, scratch, 64 - n);
    x86_sse_rr(&t->hot, SSE_POR, x, scratch);
}

bool emit_rax1(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rm);
    rotate_left_64(t, XMM0, 1, XMM1);
    vector_op(t, SSE_PXOR, XMM0, i->rn);
    vector_store(t, i->rd, XMM0);
    return true;
}

bool emit_xar(jit_t t, const struct insn *i)
{
    unsigned n = (unsigned)bits(i->word, 15, 10);

    if (!vector_enabled(t))
        return false;
    vector_binary(t, SSE_PXOR, XMM0, i->rn, i->rm);
    if (n)
        rotate_left_64(t, XMM0, 64 - n, XMM1);
    vector_store(t, i->rd, XMM0);
    return true;
}
