/*
 * Integer operations across lanes, and sums of neighbours (DDI 0487 C4.1.96, "Advanced SIMD across
 * lanes", SADDLP and its kin). EFLAGS stay.
 */
#include "soft/jit/vector.h"

static unsigned scale_of(const struct insn *i)
{
    return (unsigned)bits(i->word, 23, 22);
}

/* Across lanes: halves, and halves of these, down to one element. */

static void keep_element(jit_t t, enum x86_xmm x, unsigned scale)
{
    if (scale == 3)
        x86_sse_rr(&t->hot, SSE_MOVQ, x, x);
    else
        x86_sse_rip(&t->hot, SSE_PAND, x, vector_literal(t, ones(8u << scale), 0));
}

static void reduce(jit_t t, enum x86_sse op, unsigned scale, bool q)
{
    struct x86_buf *b = &t->hot;

    if (q) {
        x86_sse_rri(b, SSE_PSHUFD, XMM1, XMM0, 0x4e);
        x86_sse_rr(b, op, XMM0, XMM1);
    }
    if (scale < 3) {
        x86_sse_rri(b, SSE_PSHUFD, XMM1, XMM0, 0xb1);
        x86_sse_rr(b, op, XMM0, XMM1);
    }
    if (scale < 2) {
        x86_sse_rri(b, SSE_PSHUFLW, XMM1, XMM0, 0xb1);
        x86_sse_rr(b, op, XMM0, XMM1);
    }
    if (scale < 1) {
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
        x86_sse_shift(b, SSE_SRL_W, XMM1, 8);
        x86_sse_rr(b, op, XMM0, XMM1);
    }
}

static const struct {
    enum a64_op op;
    enum x86_sse by_size[3];
} across[] = {
    { A64_ADDV, { SSE_PADDB, SSE_PADDW, SSE_PADDD } },
    { A64_SMAXV, { SSE_PMAXSB, SSE_PMAXSW, SSE_PMAXSD } },
    { A64_SMINV, { SSE_PMINSB, SSE_PMINSW, SSE_PMINSD } },
    { A64_UMAXV, { SSE_PMAXUB, SSE_PMAXUW, SSE_PMAXUD } },
    { A64_UMINV, { SSE_PMINUB, SSE_PMINUW, SSE_PMINUD } },
};

bool emit_across(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);
    enum x86_sse op = (enum x86_sse)0;

    for (size_t n = 0; n < ARRAY_LEN(across); n++)
        if (across[n].op == (enum a64_op)t->insn[t->at].op)
            op = across[n].by_size[scale];
    if (!vector_enabled(t) || !op)
        return false;
    vector_load(t, XMM0, i->rn);
    reduce(t, op, scale, bit(i->word, 30));
    keep_element(t, XMM0, scale);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* XMM0 = sums of neighbours in elements of twice the size. Changes XMM1. */
static void add_neighbours(jit_t t, unsigned scale, bool is_signed)
{
    static const enum x86_sse_shift right[3] = { SSE_SRL_W, SSE_SRL_D, SSE_SRL_Q };
    static const uint64_t evens[3] = { 0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0xffffffff };
    static const uint64_t one[3] = { 0x0101010101010101, 0x0001000100010001, 1 };
    struct x86_buf *b = &t->hot;

    if (is_signed && scale == 0) { /* its first operand is unsigned */
        x86_sse_rip(b, SSE_MOVAPS, XMM1, vector_literal(t, one[0], one[0]));
        x86_sse_rr(b, SSE_PMADDUBSW, XMM1, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM1);
        return;
    }
    if (is_signed && scale == 1) {
        x86_sse_rip(b, SSE_PMADDWD, XMM0, vector_literal(t, one[1], one[1]));
        return;
    }
    x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
    x86_sse_shift(b, right[scale], XMM1, 8u << scale);
    if (is_signed) {
        x86_sse_rip(b, SSE_PMULDQ, XMM0, vector_literal(t, one[2], one[2]));
        x86_sse_rip(b, SSE_PMULDQ, XMM1, vector_literal(t, one[2], one[2]));
    } else {
        x86_sse_rip(b, SSE_PAND, XMM0, vector_literal(t, evens[scale], evens[scale]));
    }
    x86_sse_rr(b, vector_add[scale + 1], XMM0, XMM1);
}

/* SADDLV, UADDLV (U<29>) */
bool emit_addlv(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    if (scale == 0 && bit(i->word, 29)) {
        x86_sse_rr(&t->hot, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(&t->hot, SSE_PSADBW, XMM0, XMM1);
        reduce(t, SSE_PADDQ, 3, bit(i->word, 30));
    } else {
        add_neighbours(t, scale, !bit(i->word, 29));
        reduce(t, vector_add[scale + 1], scale + 1, bit(i->word, 30));
    }
    keep_element(t, XMM0, scale + 1);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* SADDLP, UADDLP (U<29>), and with bit 14 SADALP, UADALP */
bool emit_addlp(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    add_neighbours(t, scale, !bit(i->word, 29));
    if (bit(i->word, 14))
        vector_op(t, vector_add[scale + 1], XMM0, i->rd);
    vector_result(t, i, XMM0);
    return true;
}
