/*
 * Half precision to and from the others (DDI 0487 C7.2 FCVT, FCVTL, FCVTN) by F16C, under the rules
 * of vector_fp.c: NaNs and results of the smallest normal magnitude are the slow path's. From
 * double to half would round twice.
 */
#include "soft/jit/vector_fp.h"

#define SMALLEST 0x0400
#define INFINITE 0x7c00
#define MASK     0x7fff

/* The scalar in XMM1 from single to half precision. */
static bool to_half(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    uint8_t *slow[2];

    x86_cvtps2ph(b, XMM0, XMM1);
    x86_movd_from(b, 0, RAX, XMM0);
    x86_alu_ri(b, 0, X86_AND, RAX, MASK);
    x86_alu_ri(b, 0, X86_CMP, RAX, SMALLEST);
    slow[0] = x86_jcc(b, CC_E);
    x86_alu_ri(b, 0, X86_CMP, RAX, INFINITE);
    slow[1] = x86_jcc(b, CC_A);
    vector_store_low(t, i->rd, XMM0, 4);
    jit_slow_paths(t, slow, 2);
    return true;
}

/* FCVT where one of both is half precision: type<23:22>, opc<16:15> of the result. */
bool vector_fcvt_half(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned type = (unsigned)bits(i->word, 23, 22), opc = (unsigned)bits(i->word, 16, 15);

    if (!fp_enabled(t) || !t->jit->host.f16c || type == 1)
        return false;
    jit_clobber(t);
    if (type == 0) {
        load_scalar(t, XMM1, false, i->rn);
        return to_half(t, i);
    }
    vector_element(t, XMM1, 1, i->rn, 0);
    x86_cvtph2ps(b, XMM0, XMM1);
    uint8_t *slow = unless_number(t, XMM0, false);
    if (opc == 1) {
        x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(b, SSE_CVTSS2SD, XMM1, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM1);
    }
    return finish_scalar(t, i, opc == 1, slow);
}

/* FCVTL: the lower four, or with Q the upper ones. */
bool vector_fcvtl_half(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t) || !t->jit->host.f16c)
        return false;
    jit_clobber(t);
    vector_half(t, XMM0, i->rn, bit(i->word, 30));
    x86_cvtph2ps(&t->hot, XMM0, XMM0);
    return finish(t, i, unless_lanes(t, XMM0, false, false));
}

static void words(jit_t t, enum x86_sse op, enum x86_xmm x, uint64_t value)
{
    value *= 0x0001000100010001;
    x86_sse_rip(&t->hot, op, x, vector_literal(t, value, value));
}

/* FCVTN: to the lower half, or with Q to the upper one. */
bool vector_fcvtn_half(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;

    if (!fp_enabled(t) || !t->jit->host.f16c)
        return false;
    jit_clobber(t);
    x86_cvtps2ph(b, XMM1, vector_use(t, i->rn, XMM0));
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM1);
    words(t, SSE_PAND, XMM2, MASK);
    x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM2);
    words(t, SSE_PCMPEQW, XMM2, SMALLEST);
    words(t, SSE_PCMPGTW, XMM3, INFINITE);
    x86_sse_rr(b, SSE_POR, XMM2, XMM3);
    uint8_t *slow = vector_if_any(t, XMM2);
    if (bit(i->word, 30)) {
        vector_load(t, XMM0, i->rd);
        x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM0, XMM1);
    } else {
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM1);
    }
    return finish(t, i, slow);
}
