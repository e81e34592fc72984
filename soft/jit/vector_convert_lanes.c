/*
 * Conversions of vectors between floating point and integers, fixed-point numbers and other
 * precisions (DDI 0487 C4.1.96), under the rules of vector_fp.c. Those of 32 bits are done all at
 * once, those of 64 bits one by one. One lane that is out of range has the interpreter do all of
 * the instruction.
 */
#include "soft/interp/simd.h"
#include "soft/jit/vector_convert.h"

/* To the nearest, ties away from zero, as round_away() has it: XMM2 = XMM0 rounded. Jump if a lane
 * is no number or infinite. Changes XMM1, XMM3 to XMM5, RAX. */
static uint8_t *round_lanes_away(jit_t t, bool f64)
{
    static const uint64_t largest[2] = { 0x7f7fffff7f7fffff, 0x7fefffffffffffff };
    static const uint64_t half[2] = { 0x3f0000003f000000, 0x3fe0000000000000 };
    static const uint64_t one[2] = { 0x3f8000003f800000, 0x3ff0000000000000 };
    struct x86_buf *b = &t->hot;
    const uint8_t *mask = magnitude_mask(t, f64);

    and_literal(t, XMM1, XMM0, mask);
    x86_sse_rip(b, f64 ? SSE_PCMPGTQ : SSE_PCMPGTD, XMM1,
                vector_literal(t, largest[f64], largest[f64]));
    uint8_t *slow = if_any(t, XMM1);
    x86_sse_rri(b, f64 ? SSE_ROUNDPD : SSE_ROUNDPS, XMM2, XMM0, 11);
    x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM0);
    x86_sse_rr(b, f64 ? SSE_SUBPD : SSE_SUBPS, XMM3, XMM2);
    x86_sse_rip(b, SSE_ANDPS, XMM3, mask);
    x86_sse_rip(b, SSE_MOVAPS, XMM4, vector_literal(t, half[f64], half[f64]));
    x86_sse_rri(b, f64 ? SSE_CMPPD : SSE_CMPPS, XMM4, XMM3, 2);
    x86_sse_rip(b, SSE_ANDPS, XMM4, vector_literal(t, one[f64], one[f64]));
    x86_sse_rip(b, SSE_MOVAPS, XMM5, mask);
    x86_sse_rr(b, SSE_ANDNPS, XMM5, XMM0);
    x86_sse_rr(b, SSE_ORPS, XMM4, XMM5);
    x86_sse_rr(b, f64 ? SSE_ADDPD : SSE_ADDPS, XMM2, XMM4);
    return slow;
}

bool emit_frinta_v(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    uint8_t *slow = round_lanes_away(t, is_double(i));
    x86_sse_rr(&t->hot, SSE_MOVAPS, XMM0, XMM2);
    return finish(t, i, slow);
}

/* UCVTF of 32 bits: below the exponent of 2^52 each is a double, of which 2^52 is taken away; only
 * the last step can be inexact. */
static void ucvtf_words(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    const uint8_t *high = vector_literal(t, 0x4330000043300000, 0x4330000043300000);
    const uint8_t *bias = vector_literal(t, 0x4330000000000000, 0x4330000000000000);

    load_lanes(t, i, XMM0, i->rn);
    x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
    x86_sse_rip(b, SSE_PUNPCKLDQ, XMM0, high);
    x86_sse_rip(b, SSE_PUNPCKHDQ, XMM1, high);
    x86_sse_rip(b, SSE_SUBPD, XMM0, bias);
    x86_sse_rip(b, SSE_SUBPD, XMM1, bias);
    x86_sse_rr(b, SSE_CVTPD2PS, XMM0, XMM0);
    x86_sse_rr(b, SSE_CVTPD2PS, XMM1, XMM1);
    x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM0, XMM1);
}

/* XMM0 = lanes of n, which are integers: of 64 bits one by one, of which unsigned ones from 2^63 on
 * are the slow path's. Changes RAX, XMM1. */
static void from_integers(jit_t t, const struct insn *i, uint8_t *slow[2])
{
    struct x86_buf *b = &t->hot;
    bool is_unsigned = bit(i->word, 29), f64 = is_double(i);

    if (!f64 && is_unsigned) {
        ucvtf_words(t, i);
        return;
    }
    if (!f64) {
        load_lanes(t, i, XMM0, i->rn);
        x86_sse_rr(b, SSE_CVTDQ2PS, XMM0, XMM0);
        return;
    }
    for (unsigned k = 0; k < 2; k++) {
        enum x86_xmm x = k ? XMM1 : XMM0;
        vector_element_general(t, 3, RAX, i->rn, k * 8);
        if (is_unsigned) {
            x86_test_rr(b, 1, RAX, RAX);
            slow[k] = x86_jcc(b, CC_S);
        }
        x86_sse_rr(b, SSE_PXOR, x, x);
        x86_cvtsi2f(b, true, 1, x, RAX);
    }
    x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM0, XMM1);
}

/* SCVTF, UCVTF (U<29>) */
bool emit_cvtf_v(jit_t t, const struct insn *i)
{
    uint8_t *slow[2] = { NULL, NULL };

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    from_integers(t, i, slow);
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 2);
    return true;
}

/* To integers of 32 bits: all at once. */
static void to_words(jit_t t, const struct insn *i, const struct to_integer *c, uint8_t *slow[3])
{
    static const uint8_t mode[3] = { 8, 10, 9 };
    const uint64_t limit = 0x4f0000004f000000;
    struct x86_buf *b = &t->hot;

    load_lanes(t, i, XMM0, i->rn);
    if (c->is_unsigned) { /* from 2^31 on, and below zero */
        x86_sse_rip(b, SSE_MOVAPS, XMM1, vector_literal(t, limit, limit));
        x86_sse_rri(b, SSE_CMPPS, XMM1, XMM0, 2);
        x86_sse_rr(b, SSE_ORPS, XMM1, XMM0);
        slow[0] = if_any(t, XMM1);
    }
    if (c->away) {
        slow[2] = round_lanes_away(t, false);
        x86_sse_rr(b, SSE_CVTTPS2DQ, XMM1, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
    } else if (c->rounding < 3) {
        x86_sse_rr(b, SSE_CVTTPS2DQ, XMM2, XMM0);
        x86_sse_rri(b, SSE_ROUNDPS, XMM0, XMM0, mode[c->rounding]);
    }
    x86_sse_rr(b, SSE_CVTTPS2DQ, XMM0, XMM0);
    if (c->is_unsigned) {
        slow[1] = if_any(t, XMM0);
    } else {
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
        x86_sse_rip(b, SSE_PCMPEQD, XMM1, vector_literal(t, sign_mask[0], sign_mask[0]));
        slow[1] = if_any(t, XMM1);
    }
}

/* XMM0 = both of two integers of 64 bits, which `convert` makes one by one. */
typedef void convert_one(jit_t t, const struct insn *i, uint8_t *slow[3]);

static void convert_both(jit_t t, const struct insn *i, convert_one *convert, uint8_t *slow[6])
{
    struct x86_buf *b = &t->hot;

    for (unsigned k = 0; k < 2; k++) {
        vector_element(t, XMM0, 3, i->rn, 8 * k);
        convert(t, i, slow + 3 * k);
        if (k == 0)
            x86_mov_rr(b, 1, RDX, RAX);
    }
    x86_movd_to(b, 1, XMM0, RDX);
    x86_movd_to(b, 1, XMM1, RAX);
    x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM0, XMM1);
}

static void to_doubleword(jit_t t, const struct insn *i, uint8_t *slow[3])
{
    struct to_integer c = vector_to_integer_of(i);

    vector_to_integer(t, &c, slow);
}

bool emit_fcvt_v(jit_t t, const struct insn *i)
{
    struct to_integer c = vector_to_integer_of(i);
    uint8_t *slow[6] = { NULL };

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    if (c.f64)
        convert_both(t, i, to_doubleword, slow);
    else
        to_words(t, i, &c, slow);
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 6);
    return true;
}

/* Fixed-point numbers, of single or double precision by immh. */

bool emit_cvtf_fixed_v(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);
    uint8_t *slow[2] = { NULL, NULL };

    if (!fp_enabled(t) || simd_imm_size(i) < 2)
        return false;
    jit_clobber(t);
    from_integers(t, i, slow);
    x86_sse_rip(&t->hot, f64 ? SSE_MULPD : SSE_MULPS, XMM0,
                power_of_two(t, f64, -(int)simd_imm_right(i)));
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 2);
    return true;
}

static void to_fixed_doubleword(jit_t t, const struct insn *i, uint8_t *slow[3])
{
    struct to_integer c = vector_to_integer_of(i);

    vector_to_fixed(t, &c, simd_imm_right(i), slow);
}

bool emit_fcvtz_fixed_v(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    uint8_t *slow[6] = { NULL };

    if (!fp_enabled(t) || simd_imm_size(i) < 2)
        return false;
    jit_clobber(t);
    if (is_double(i)) {
        convert_both(t, i, to_fixed_doubleword, slow);
    } else { /* below 2^31 when it is shifted, as words all at once are; not negative if unsigned */
        uint64_t last = (uint64_t)(127 + 31 - (int)simd_imm_right(i)) * 0x0080000000800000;
        last -= 0x0000000100000001;
        load_lanes(t, i, XMM0, i->rn);
        and_literal(t, XMM1, XMM0, magnitude_mask(t, false));
        x86_sse_rip(b, SSE_PCMPGTD, XMM1, vector_literal(t, last, last));
        if (bit(i->word, 29))
            x86_sse_rr(b, SSE_POR, XMM1, XMM0);
        slow[0] = if_any(t, XMM1);
        x86_sse_rip(b, SSE_MULPS, XMM0, power_of_two(t, false, (int)simd_imm_right(i)));
        x86_sse_rr(b, SSE_CVTTPS2DQ, XMM0, XMM0);
    }
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 6);
    return true;
}

/* Other precisions. */

/* FCVTL: single to double precision, of the lower half or with Q of the upper one. */
bool emit_fcvtl(jit_t t, const struct insn *i)
{
    if (!bit(i->word, 22))
        return vector_fcvtl_half(t, i);
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    vector_half(t, XMM0, i->rn, bit(i->word, 30));
    x86_sse_rr(&t->hot, SSE_CVTPS2PD, XMM0, XMM0);
    return finish(t, i, unless_lanes(t, XMM0, true, false));
}

/* FCVTN: double to single precision, to the lower half or with Q to the upper one. */
bool emit_fcvtn(jit_t t, const struct insn *i)
{
    if (!bit(i->word, 22))
        return vector_fcvtn_half(t, i);
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    vector_op(t, SSE_CVTPD2PS, XMM1, i->rn);
    uint8_t *slow = unless_lanes(t, XMM1, false, true);
    if (bit(i->word, 30)) {
        vector_load(t, XMM0, i->rd);
        x86_sse_rr(&t->hot, SSE_PUNPCKLQDQ, XMM0, XMM1);
    } else {
        x86_sse_rr(&t->hot, SSE_MOVAPS, XMM0, XMM1);
    }
    return finish(t, i, slow);
}
