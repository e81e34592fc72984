/*
 * What codecs are made of (DDI 0487 C4.1.96): differences and sums that are widened, halved,
 * rounded or of which the high half stays, and dot products of bytes. EFLAGS stay.
 */
#include "soft/interp/simd.h"
#include "soft/jit/vector.h"

static unsigned scale_of(const struct insn *i)
{
    return (unsigned)bits(i->word, 23, 22);
}

/* ABDL, and ABAL (opcode<15:12> 7, 5): of the lower half, or with Q of the upper one. */
bool emit_abd_long(jit_t t, const struct insn *i)
{
    static const enum x86_sse widen[2][2] = { { SSE_PMOVSXBW, SSE_PMOVSXWD },
                                              { SSE_PMOVZXBW, SSE_PMOVZXWD } };
    static const enum x86_sse absolute[2] = { SSE_PABSW, SSE_PABSD };
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    if (scale == 2) { /* the larger one less the smaller one, which has no sign */
        bool u = bit(i->word, 29);
        vector_binary(t, u ? SSE_PMAXUD : SSE_PMAXSD, XMM0, i->rn, i->rm);
        vector_binary(t, u ? SSE_PMINUD : SSE_PMINSD, XMM1, i->rn, i->rm);
        x86_sse_rr(&t->hot, SSE_PSUBD, XMM0, XMM1);
        if (bit(i->word, 30))
            x86_sse_rri(&t->hot, SSE_PSHUFD, XMM0, XMM0, 0xee);
        x86_sse_rr(&t->hot, SSE_PMOVZXDQ, XMM0, XMM0);
    } else {
        vector_widen(t, widen[bit(i->word, 29)][scale], XMM0, i->rn, bit(i->word, 30));
        vector_widen(t, widen[bit(i->word, 29)][scale], XMM1, i->rm, bit(i->word, 30));
        x86_sse_rr(&t->hot, vector_sub[scale + 1], XMM0, XMM1);
        x86_sse_rr(&t->hot, absolute[scale], XMM0, XMM0);
    }
    if (!bit(i->word, 13))
        vector_op(t, vector_add[scale + 1], XMM0, i->rd);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* ADDHN, SUBHN (bit 13), and with U<29> rounded. */
bool emit_add_high(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    vector_binary(t, (bit(i->word, 13) ? vector_sub : vector_add)[scale + 1], XMM0, i->rn, i->rm);
    vector_narrow_high(t, i, scale, 8u << scale, bit(i->word, 29));
    return true;
}

bool emit_rshrn(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    vector_narrow_high(t, i, simd_imm_size(i), simd_imm_right(i), true);
    return true;
}

/* Half of a sum: what both have, and half of what one has. Of a difference: half of what one has
 * without what only m has. URHADD and SRHADD: what one has without half of that. U<29>;
 * opcode<15:11> 0 HADD, 2 RHADD, 4 HSUB. */
bool emit_halving(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned scale = scale_of(i), opcode = (unsigned)bits(i->word, 15, 11);

    if (!vector_enabled(t))
        return false;
    if (opcode == 2 && bit(i->word, 29) && scale < 2) {
        vector_binary(t, scale ? SSE_PAVGW : SSE_PAVGB, XMM0, i->rn, i->rm);
        vector_result(t, i, XMM0);
        return true;
    }
    vector_binary(t, SSE_PXOR, XMM0, i->rn, i->rm);
    vector_shift_right(t, XMM0, scale, 1, !bit(i->word, 29));
    if (opcode == 0) {
        vector_binary(t, SSE_PAND, XMM1, i->rn, i->rm);
        x86_sse_rr(b, vector_add[scale], XMM0, XMM1);
    } else if (opcode == 4) {
        vector_binary(t, SSE_PANDN, XMM1, i->rn, i->rm);
        x86_sse_rr(b, vector_sub[scale], XMM0, XMM1);
    } else {
        vector_binary(t, SSE_POR, XMM1, i->rn, i->rm);
        x86_sse_rr(b, vector_sub[scale], XMM1, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM1);
    }
    vector_result(t, i, XMM0);
    return true;
}

/* SDOT, UDOT (U<29>): sums of four products of bytes, even ones and odd ones as halfwords. */
static bool dot(jit_t t, const struct insn *i, bool element)
{
    struct x86_buf *b = &t->hot;
    bool is_signed = !bit(i->word, 29);
    const uint64_t evens = 0x00ff00ff00ff00ff;

    if (!vector_enabled(t))
        return false;
    const uint8_t *mask = vector_literal(t, evens, evens);
    vector_load(t, XMM0, i->rn);
    if (element)
        vector_by_element(t, i, 2, XMM1);
    else
        vector_load(t, XMM1, i->rm);
    for (unsigned k = 0; k < 2; k++) {
        enum x86_xmm x = k ? XMM1 : XMM0, even = k ? XMM3 : XMM2;
        x86_sse_rr(b, SSE_MOVAPS, even, x);
        if (is_signed) {
            x86_sse_shift(b, SSE_SLL_W, even, 8);
            x86_sse_shift(b, SSE_SRA_W, even, 8);
        } else {
            x86_sse_rip(b, SSE_PAND, even, mask);
        }
        x86_sse_shift(b, is_signed ? SSE_SRA_W : SSE_SRL_W, x, 8);
    }
    x86_sse_rr(b, SSE_PMADDWD, XMM0, XMM1);
    x86_sse_rr(b, SSE_PMADDWD, XMM2, XMM3);
    x86_sse_rr(b, SSE_PADDD, XMM0, XMM2);
    vector_op(t, SSE_PADDD, XMM0, i->rd);
    vector_result(t, i, XMM0);
    return true;
}

bool emit_dot(jit_t t, const struct insn *i)
{
    return dot(t, i, false);
}

bool emit_dot_element(jit_t t, const struct insn *i)
{
    return dot(t, i, true);
}
