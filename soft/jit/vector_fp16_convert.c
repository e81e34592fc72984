/*
 * Half precision beside arithmetic: rounding to integers and conversions, the greatest and least of
 * a vector, products that are added to single precision (DDI 0487 C4.1.96). Every number of half
 * precision is one of single, and so is every integer of 16 bits; numbers that have a fraction are
 * less than 2048, so what does not fit into 16 bits is exact.
 */
#include "soft/jit/vector_convert.h"
#include "soft/jit/vector_fp16.h"

/* XMM0 = all of the operand's lanes; jump if one is infinite or a NaN. */
static uint8_t *load(jit_t t, const struct insn *i)
{
    static const enum x86_xmm operand = XMM0;

    fp16_load(t, i, XMM0, i->rn);
    return fp16_unless_finite(t, &operand, 1);
}

/* The result of a vector or scalar in XMM0, zero above it. */
static bool store(jit_t t, const struct insn *i, uint8_t **slow, unsigned n)
{
    vector_store_low(t, i->rd, XMM0, bit(i->word, 28) ? 4 : bit(i->word, 30) ? 16 : 8);
    jit_slow_paths(t, slow, n);
    return true;
}

static bool has_two(const struct insn *i)
{
    return bit(i->word, 30) && !bit(i->word, 28);
}

/* How ROUNDPS rounds: to the nearest, down, up, to zero, as MXCSR says; not to signal what is
 * inexact. Ties away from zero are none of x86's. */
enum { NEAREST, DOWN, UP, TO_ZERO, SILENT = 8, AWAY = 16 };

/* x, four lanes in single precision, rounded to integers. Changes XMM4. */
static void round_lanes(jit_t t, enum x86_xmm x, unsigned how)
{
    struct x86_buf *b = &t->hot;

    if (!(how & AWAY)) {
        x86_sse_rri(b, SSE_ROUNDPS, x, x, how);
        return;
    }
    if (!(how & SILENT)) /* signal only */
        x86_sse_rri(b, SSE_ROUNDPS, XMM4, x, NEAREST);
    and_literal(t, XMM4, x, fp16_singles(t, 0x80000000));
    x86_sse_rip(b, SSE_ORPS, XMM4, fp16_singles(t, 0x3f000000));
    x86_sse_rr(b, SSE_ADDPS, x, XMM4); /* exact: one half has no more digits */
    x86_sse_rri(b, SSE_ROUNDPS, x, x, TO_ZERO | SILENT);
}

static bool round_all(jit_t t, const struct insn *i, unsigned how)
{
    struct x86_buf *b = &t->hot;

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    uint8_t *slow = load(t, i);
    x86_cvtph2ps(b, XMM2, XMM0);
    round_lanes(t, XMM2, how);
    x86_cvtps2ph(b, XMM2, XMM2);
    if (has_two(i)) {
        x86_sse_rri(b, SSE_PSHUFD, XMM0, XMM0, 0xee);
        x86_cvtph2ps(b, XMM0, XMM0);
        round_lanes(t, XMM0, how);
        x86_cvtps2ph(b, XMM0, XMM0);
        x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM2, XMM0);
    }
    x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
    return store(t, i, &slow, 1);
}

/* FRINTN, P, M, Z, A, -, X, I: opcode<17:15>. */
bool vector_half_frint(jit_t t, const struct insn *i)
{
    static const uint8_t how[8] = {
        NEAREST | SILENT, UP | SILENT, DOWN | SILENT, TO_ZERO | SILENT,
        AWAY | SILENT,    0,           NEAREST,       NEAREST | SILENT
    };

    return round_all(t, i, how[bits(i->word, 17, 15)]);
}

/* The same of vectors: U<29>, o2<23>, o1<12>: N, M, P, Z, A, X, -, I. */
bool emit_half_frint(jit_t t, const struct insn *i)
{
    static const uint8_t how[8] = {
        NEAREST | SILENT, DOWN | SILENT, UP | SILENT, TO_ZERO | SILENT,
        AWAY | SILENT,    NEAREST,       0,           NEAREST | SILENT
    };

    return round_all(t, i, how[bit(i->word, 29) << 2 | bit(i->word, 23) << 1 | bit(i->word, 12)]);
}

/* XMM2, four lanes in single precision, to integers of 32 bits that have to fit into 16. Changes
 * RAX, XMM3, XMM4. */
static uint8_t *to_integers(jit_t t, unsigned how, bool is_unsigned)
{
    struct x86_buf *b = &t->hot;

    round_lanes(t, XMM2, how);
    x86_sse_rr(b, SSE_CVTTPS2DQ, XMM2, XMM2);
    x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM2);
    x86_sse_rr(b, is_unsigned ? SSE_PACKUSDW : SSE_PACKSSDW, XMM2, XMM2);
    x86_sse_rr(b, is_unsigned ? SSE_PMOVZXWD : SSE_PMOVSXWD, XMM4, XMM2);
    x86_sse_rr(b, SSE_PCMPEQD, XMM4, XMM3);
    return vector_unless_all(t, XMM4);
}

/* FCVTNS and its kin, scalars and vectors: U<29>, with ties away bit 14, or by bit 12 and o2<23>. A
 * negative number that is to be unsigned is the slow path's, before it could signal. */
bool emit_half_fcvt(jit_t t, const struct insn *i)
{
    static const uint8_t hows[4] = { NEAREST, DOWN, UP, TO_ZERO };
    struct x86_buf *b = &t->hot;
    bool is_unsigned = bit(i->word, 29);
    unsigned how = bit(i->word, 14) ? AWAY : hows[bit(i->word, 23) << 1 | bit(i->word, 12)];
    uint8_t *slow[4];
    unsigned n = 0;

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    slow[n++] = load(t, i);
    if (is_unsigned) {
        and_literal(t, XMM4, XMM0, vector_literal(t, 0x8000800080008000, 0x8000800080008000));
        slow[n++] = vector_if_any(t, XMM4);
    }
    x86_cvtph2ps(b, XMM2, XMM0);
    slow[n++] = to_integers(t, how, is_unsigned);
    if (has_two(i)) {
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM2);
        x86_sse_rri(b, SSE_PSHUFD, XMM0, XMM0, 0xee);
        x86_cvtph2ps(b, XMM2, XMM0);
        slow[n++] = to_integers(t, how, is_unsigned);
        x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM1, XMM2);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM1);
    } else {
        x86_sse_rr(b, SSE_MOVQ, XMM0, XMM2);
    }
    return store(t, i, slow, n);
}

/* SCVTF, or with U<29> UCVTF, scalars and vectors. */
bool emit_half_cvtf(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    enum x86_sse widen = bit(i->word, 29) ? SSE_PMOVZXWD : SSE_PMOVSXWD;

    if (!fp16_enabled(t))
        return false;
    fp16_load(t, i, XMM0, i->rn);
    x86_sse_rr(b, widen, XMM2, XMM0);
    x86_sse_rr(b, SSE_CVTDQ2PS, XMM2, XMM2);
    x86_cvtps2ph(b, XMM2, XMM2);
    if (has_two(i)) {
        x86_sse_rri(b, SSE_PSHUFD, XMM0, XMM0, 0xee);
        x86_sse_rr(b, widen, XMM0, XMM0);
        x86_sse_rr(b, SSE_CVTDQ2PS, XMM0, XMM0);
        x86_cvtps2ph(b, XMM0, XMM0);
        x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM2, XMM0);
    }
    x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
    return store(t, i, NULL, 0);
}

bool vector_half_fcsel(jit_t t, const struct insn *i)
{
    unsigned cond = (unsigned)bits(i->word, 15, 12);

    if (cond >= 14) {
        vector_element_general(t, 1, RDX, i->rn, 0);
    } else {
        enum x86_cc cc = jit_condition(t, cond);
        vector_element_general(t, 1, RCX, i->rm, 0);
        vector_element_general(t, 1, RDX, i->rn, 0);
        x86_cmov_rr(&t->hot, 0, (enum x86_cc)(cc ^ 1), RDX, RCX);
    }
    x86_movd_to(&t->hot, 0, XMM0, RDX);
    vector_store_low(t, i->rd, XMM0, 4);
    return true;
}

/* XMM2, of which the lowest lane counts, to half precision. */
static bool finish_lowest(jit_t t, const struct insn *i, uint8_t *slow)
{
    x86_cvtps2ph(&t->hot, XMM2, XMM2);
    x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM0);
    x86_sse_rri(&t->hot, SSE_PBLENDW, XMM0, XMM2, 1);
    vector_store_low(t, i->rd, XMM0, 4);
    jit_slow_paths(t, &slow, 1);
    return true;
}

/* FMAXV, FMAXNMV, and with bit 23 FMINV, FMINNMV: halves, and halves of these. */
bool emit_half_minmaxv(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    bool min = bit(i->word, 23);

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    uint8_t *slow = load(t, i);
    x86_cvtph2ps(b, XMM2, XMM0);
    if (bit(i->word, 30)) {
        x86_sse_rri(b, SSE_PSHUFD, XMM0, XMM0, 0xee);
        x86_cvtph2ps(b, XMM3, XMM0);
        fp16_pick(t, min);
    }
    x86_sse_rri(b, SSE_PSHUFD, XMM3, XMM2, 0x4e);
    fp16_pick(t, min);
    x86_sse_rri(b, SSE_PSHUFD, XMM3, XMM2, 0xb1);
    fp16_pick(t, min);
    return finish_lowest(t, i, slow);
}

/* Of the two lowest elements: FADDP (opcode<16:12> 13), FMAXP, FMAXNMP, and with bit 23 FMINP and
 * FMINNMP. */
bool emit_half_pair(jit_t t, const struct insn *i)
{
    static const enum x86_xmm operand = XMM0;
    struct x86_buf *b = &t->hot;

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    vector_load_low(t, XMM0, i->rn, 4);
    uint8_t *slow = fp16_unless_finite(t, &operand, 1);
    x86_cvtph2ps(b, XMM2, XMM0);
    x86_sse_rri(b, SSE_PSHUFD, XMM3, XMM2, 0xb1);
    if (bits(i->word, 16, 12) == 13)
        x86_sse_rr(b, SSE_ADDSS, XMM2, XMM3);
    else
        fp16_pick(t, bit(i->word, 23));
    return finish_lowest(t, i, slow);
}

/* Products of halves, exact in single precision, added to that or taken away: of the lower half of
 * what there is, with `upper` of the upper one. */
static bool multiply_long(jit_t t, const struct insn *i, bool element, bool upper, bool subtracts)
{
    struct x86_buf *b = &t->hot;

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    for (unsigned k = 0; k < 2; k++) {
        enum x86_xmm x = k ? XMM1 : XMM0;
        unsigned v = k ? i->rm : i->rn;
        if (k && element) {
            vector_by_element(t, i, 1, x);
        } else if (bit(i->word, 30)) {
            vector_half(t, x, v, upper);
        } else { /* nothing else may signal */
            vector_load_low(t, x, v, upper ? 8 : 4);
            if (upper)
                x86_sse_shift(b, SSE_SRL_Q, x, 32);
        }
        x86_cvtph2ps(b, x, x);
        if (!bit(i->word, 30))
            x86_sse_rr(b, SSE_MOVQ, x, x);
    }
    load_lanes(t, i, XMM2, i->rd);
    x86_fma(b, subtracts ? X86_FNMADD : X86_FMADD, false, false, XMM0, XMM1, XMM2);
    return finish(t, i, unless_lanes(t, XMM0, false, true));
}

/* FMLAL, FMLSL (bit 23); with U<29> FMLAL2 and FMLSL2. */
bool emit_fmlal(jit_t t, const struct insn *i)
{
    return multiply_long(t, i, false, bit(i->word, 29), bit(i->word, 23));
}

/* By element: FMLSL has bit 14. */
bool emit_fmlal_element(jit_t t, const struct insn *i)
{
    return multiply_long(t, i, true, bit(i->word, 29), bit(i->word, 14));
}
