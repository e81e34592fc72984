/*
 * Floating point of vectors, and comparisons of scalars that make masks (DDI 0487 C4.1.96), under
 * the same rules as that of scalars: vector_fp.c. One lane that the host would do differently has
 * the interpreter do all of the instruction.
 */
#include "soft/jit/vector_fp.h"

/* Vectors: sz<22>. The upper half is zero with Q of 0, so that nothing is raised there. */

static void load_lanes(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v)
{
    if (bit(i->word, 28))
        load_scalar(t, x, is_double(i), v);
    else
        vector_load_low(t, x, v, bit(i->word, 30) ? 16 : 8);
}

/* Jump if a lane of the mask is set. Changes RAX. */
static uint8_t *if_any(jit_t t, enum x86_xmm mask)
{
    if (t->jit->host.avx) {
        x86_vtestps(&t->hot, mask);
        return x86_jcc(&t->hot, CC_NE);
    }
    x86_movmsk(&t->hot, false, RAX, mask);
    x86_test_rr(&t->hot, 0, RAX, RAX);
    return x86_jcc(&t->hot, CC_NE);
}

/* Jump if a lane of x is a NaN, or with `tiny` the smallest normal number. Changes XMM4, XMM5. */
static uint8_t *unless_lanes(jit_t t, enum x86_xmm x, bool f64, bool tiny)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM4, x);
    x86_sse_rri(b, f64 ? SSE_CMPPD : SSE_CMPPS, XMM4, x, 3);
    if (tiny) {
        const uint8_t *mask = magnitude_mask(t, f64);
        const uint8_t *low = vector_literal(t, smallest[f64], smallest[f64]);
        and_literal(t, XMM5, x, mask);
        x86_sse_rip(b, f64 ? SSE_PCMPEQQ : SSE_PCMPEQD, XMM5, low);
        x86_sse_rr(b, SSE_POR, XMM4, XMM5);
    }
    return if_any(t, XMM4);
}

enum operation { ADD, SUB, MUL, DIV };

static const enum x86_sse packed[4][2] = { [ADD] = { SSE_ADDPS, SSE_ADDPD },
                                           [SUB] = { SSE_SUBPS, SSE_SUBPD },
                                           [MUL] = { SSE_MULPS, SSE_MULPD },
                                           [DIV] = { SSE_DIVPS, SSE_DIVPD } };

static bool emit_packed(jit_t t, const struct insn *i, enum operation op)
{
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_lanes(t, i, XMM1, i->rm);
    if (op == DIV && !bit(i->word, 30)) /* 0 / 1 in the upper half */
        x86_sse_rip(&t->hot, SSE_ORPS, XMM1, vector_literal(t, 0, 0x3f8000003f800000));
    x86_sse_rr(&t->hot, packed[op][f64], XMM0, XMM1);
    return finish(t, i, unless_lanes(t, XMM0, f64, op == MUL || op == DIV));
}

bool emit_fadd_v(jit_t t, const struct insn *i)
{
    return emit_packed(t, i, ADD);
}

bool emit_fsub_v(jit_t t, const struct insn *i)
{
    return emit_packed(t, i, SUB);
}

bool emit_fmul_v(jit_t t, const struct insn *i)
{
    return emit_packed(t, i, MUL);
}

bool emit_fdiv_v(jit_t t, const struct insn *i)
{
    return emit_packed(t, i, DIV);
}

/* XMM0 = the greater or lesser lanes of XMM0 and XMM1. Jump if any is a NaN. Changes XMM2. */
static uint8_t *minmax_lanes(jit_t t, bool f64, bool min)
{
    static const enum x86_sse ops[2][2] = { { SSE_MAXPS, SSE_MAXPD }, { SSE_MINPS, SSE_MINPD } };
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_rri(b, f64 ? SSE_CMPPD : SSE_CMPPS, XMM2, XMM1, 3);
    uint8_t *slow = if_any(t, XMM2);
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_rr(b, ops[min][f64], XMM0, XMM1);
    x86_sse_rr(b, ops[min][f64], XMM1, XMM2);
    x86_sse_rr(b, min ? SSE_ORPS : SSE_ANDPS, XMM0, XMM1);
    return slow;
}

/* FMAX, FMIN, FMAXNM, FMINNM: o1<23> is the smaller one. */
bool emit_fminmax_v(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_lanes(t, i, XMM1, i->rm);
    return finish(t, i, minmax_lanes(t, is_double(i), bit(i->word, 23)));
}

/* Pairs, of n and then of m: their first lanes to XMM0, their second ones to XMM1. */
static void load_pairs(jit_t t, const struct insn *i)
{
    unsigned scale = is_double(i) ? 3 : 2;

    vector_unzip(t, i, scale, XMM0, false);
    vector_unzip(t, i, scale, XMM1, true);
    if (!bit(i->word, 30)) {
        x86_sse_rr(&t->hot, SSE_MOVQ, XMM0, XMM0);
        x86_sse_rr(&t->hot, SSE_MOVQ, XMM1, XMM1);
    }
}

/* The same of pairs. */
bool emit_fminmaxp_v(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_pairs(t, i);
    return finish(t, i, minmax_lanes(t, is_double(i), bit(i->word, 23)));
}

/* By element: size<23:22> 2 or 3; 0 is half precision. */
static bool is_element_size(jit_t t, const struct insn *i)
{
    return fp_enabled(t) && bit(i->word, 23);
}

/* The element of a by-element form in all places: H:L of 32 bits, H of 64. */
static void load_by_element(jit_t t, const struct insn *i, enum x86_xmm x)
{
    bool f64 = is_double(i);
    unsigned index = (unsigned)(bit(i->word, 11) << 1 | bit(i->word, 21)), rm = i->rm;
    unsigned offset = f64 ? index >> 1 << 3 : index << 2;

    if (bit(i->word, 28)) {
        vector_element(t, x, f64 ? 3 : 2, rm, offset);
        return;
    }
    vector_element_everywhere(t, x, f64 ? 3 : 2, rm, offset);
    if (!bit(i->word, 30))
        x86_sse_rr(&t->hot, SSE_MOVQ, x, x);
}

bool emit_fmul_element(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!is_element_size(t, i))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_by_element(t, i, XMM1);
    x86_sse_rr(&t->hot, packed[MUL][f64], XMM0, XMM1);
    return finish(t, i, unless_lanes(t, XMM0, f64, true));
}

static bool multiply_add(jit_t t, const struct insn *i, bool element, bool subtracts)
{
    bool f64 = is_double(i);

    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    if (element)
        load_by_element(t, i, XMM1);
    else
        load_lanes(t, i, XMM1, i->rm);
    load_lanes(t, i, XMM2, i->rd);
    x86_fma(&t->hot, subtracts ? X86_FNMADD : X86_FMADD, f64, false, XMM0, XMM1, XMM2);
    return finish(t, i, unless_lanes(t, XMM0, f64, true));
}

/* FMLA, or with bit 23 FMLS. */
bool emit_fmla_v(jit_t t, const struct insn *i)
{
    return fp_enabled(t) && t->jit->host.fma && multiply_add(t, i, false, bit(i->word, 23));
}

/* FMLA, or with bit 14 FMLS. */
bool emit_fmla_element(jit_t t, const struct insn *i)
{
    return is_element_size(t, i) && t->jit->host.fma && multiply_add(t, i, true, bit(i->word, 14));
}

/* FADDP */
bool emit_faddp_v(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_pairs(t, i);
    x86_sse_rr(&t->hot, packed[ADD][f64], XMM0, XMM1);
    return finish(t, i, unless_lanes(t, XMM0, f64, false));
}

bool emit_faddp_scalar(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    vector_element(t, XMM1, f64 ? 3 : 2, i->rn, f64 ? 8 : 4);
    x86_sse_rr(&t->hot, f64 ? SSE_ADDSD : SSE_ADDSS, XMM0, XMM1);
    return finish_scalar(t, i, f64, unless_number(t, XMM0, f64));
}

bool emit_fsqrt_v(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    x86_sse_rr(&t->hot, f64 ? SSE_SQRTPD : SSE_SQRTPS, XMM0, XMM0);
    return finish(t, i, unless_lanes(t, XMM0, f64, false));
}

/* FABS, or with U<29> FNEG: bits only. */
bool emit_fsign_v(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!vector_enabled(t))
        return false;
    load_lanes(t, i, XMM0, i->rn);
    if (bit(i->word, 29))
        x86_sse_rip(&t->hot, SSE_XORPS, XMM0, vector_literal(t, sign_mask[f64], sign_mask[f64]));
    else
        x86_sse_rip(&t->hot, SSE_ANDPS, XMM0, magnitude_mask(t, f64));
    vector_result(t, i, XMM0);
    return true;
}

/* Comparisons make masks; a NaN compares as false, and raises the same flag. Predicates of CMPPS.
 */
enum predicate { EQUAL, LESS, LESS_EQUAL };

static void compare_lanes(jit_t t, const struct insn *i, enum predicate p)
{
    static const enum x86_sse ops[2][2] = { { SSE_CMPPS, SSE_CMPPD }, { SSE_CMPSS, SSE_CMPSD } };

    x86_sse_rri(&t->hot, ops[bit(i->word, 28)][is_double(i)], XMM0, XMM1, p);
    if (bit(i->word, 28))
        vector_store(t, i->rd, XMM0);
    else
        vector_result(t, i, XMM0);
}

/* FCMEQ (U<29> 0), FCMGE (E<23> 0), FCMGT; with ac<11> of magnitudes. */
bool emit_fcm_v(jit_t t, const struct insn *i)
{
    bool absolute = bit(i->word, 11);

    if (!fp_enabled(t))
        return false;
    load_lanes(t, i, XMM0, i->rm);
    load_lanes(t, i, XMM1, i->rn);
    if (absolute) {
        x86_sse_rip(&t->hot, SSE_ANDPS, XMM0, magnitude_mask(t, is_double(i)));
        x86_sse_rip(&t->hot, SSE_ANDPS, XMM1, magnitude_mask(t, is_double(i)));
    }
    compare_lanes(t, i, !bit(i->word, 29) ? EQUAL : bit(i->word, 23) ? LESS : LESS_EQUAL);
    return true;
}

/* FCMGT, FCMEQ, FCMLT with zero (op<13:12> 0, 1, 2), and with U<29> FCMGE, FCMLE. */
bool emit_fcm_zero(jit_t t, const struct insn *i)
{
    unsigned op = (unsigned)bits(i->word, 13, 12);
    bool u = bit(i->word, 29), swap = op == 0;

    if (!fp_enabled(t))
        return false;
    load_lanes(t, i, swap ? XMM1 : XMM0, i->rn);
    x86_sse_rr(&t->hot, SSE_PXOR, swap ? XMM0 : XMM1, swap ? XMM0 : XMM1);
    compare_lanes(t, i, u ? LESS_EQUAL : op == 1 ? EQUAL : LESS);
    return true;
}

/* SCVTF of 64 bits one by one, of 32 bits all at once. */
bool emit_scvtf_v(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;

    if (!fp_enabled(t))
        return false;
    if (is_double(i)) {
        for (unsigned k = 0; k < 2; k++) {
            enum x86_xmm x = k ? XMM1 : XMM0;
            vector_element_general(t, 3, RAX, i->rn, k * 8);
            x86_sse_rr(b, SSE_PXOR, x, x);
            x86_cvtsi2f(b, true, 1, x, RAX);
        }
        x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM0, XMM1);
    } else {
        load_lanes(t, i, XMM0, i->rn);
        x86_sse_rr(b, SSE_CVTDQ2PS, XMM0, XMM0);
    }
    vector_store(t, i->rd, XMM0);
    return true;
}

/* UCVTF of 32 bits: below the exponent of 2^52 each is a double, of which 2^52 is taken away; only
 * the last step can be inexact. */
bool emit_ucvtf_v(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;

    if (!fp_enabled(t) || is_double(i))
        return false;
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
    vector_store(t, i->rd, XMM0);
    return true;
}

/* To integers of 32 bits, to the nearest, down, up, to zero (o2<23> and bit 12), signed or with
 * U<29> unsigned. Rounding first signals nothing; converting the operand itself then raises what is
 * inexact. From 2^31, and with unsigned forms below zero, it is the slow path's: before x86 raises
 * what unsigned forms do not. */
bool emit_fcvt_v(jit_t t, const struct insn *i)
{
    static const uint8_t mode[4] = { 8, 9, 10, 11 };
    unsigned how = (unsigned)(bit(i->word, 23) << 1 | bit(i->word, 12));
    const uint64_t limit = 0x4f0000004f000000;
    struct x86_buf *b = &t->hot;
    bool is_unsigned = bit(i->word, 29);
    uint8_t *slow[2] = { NULL, NULL };

    if (!fp_enabled(t) || is_double(i))
        return false;
    jit_clobber(t);
    const uint8_t *bound = vector_literal(t, limit, limit);
    const uint8_t *indefinite = vector_literal(t, sign_mask[0], sign_mask[0]);
    load_lanes(t, i, XMM0, i->rn);
    if (is_unsigned) {
        x86_sse_rip(b, SSE_MOVAPS, XMM1, bound);
        x86_sse_rri(b, SSE_CMPPS, XMM1, XMM0, 2);
        x86_sse_rr(b, SSE_ORPS, XMM1, XMM0);
        slow[0] = if_any(t, XMM1);
    }
    if (how < 3) {
        x86_sse_rr(b, SSE_CVTTPS2DQ, XMM2, XMM0);
        x86_sse_rri(b, SSE_ROUNDPS, XMM0, XMM0, mode[how]);
    }
    x86_sse_rr(b, SSE_CVTTPS2DQ, XMM0, XMM0);
    if (is_unsigned) {
        slow[1] = if_any(t, XMM0);
    } else {
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
        x86_sse_rip(b, SSE_PCMPEQD, XMM1, indefinite);
        slow[1] = if_any(t, XMM1);
    }
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 2);
    return true;
}

/* FCVTL: single to double precision, of the lower half or with Q of the upper one. */
bool emit_fcvtl(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t) || !bit(i->word, 22))
        return false;
    jit_clobber(t);
    vector_half(t, XMM0, i->rn, bit(i->word, 30));
    x86_sse_rr(&t->hot, SSE_CVTPS2PD, XMM0, XMM0);
    return finish(t, i, unless_lanes(t, XMM0, true, false));
}

/* FCVTN: double to single precision, to the lower half or with Q to the upper one. */
bool emit_fcvtn(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t) || !bit(i->word, 22))
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

/* FABD */
bool emit_fabd(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_lanes(t, i, XMM1, i->rm);
    x86_sse_rr(&t->hot, packed[SUB][f64], XMM0, XMM1);
    uint8_t *slow = unless_lanes(t, XMM0, f64, false);
    x86_sse_rip(&t->hot, SSE_ANDPS, XMM0, magnitude_mask(t, f64));
    return finish(t, i, slow);
}

/* FRINT of lanes: the same modes as of scalars, by U<29>, o2<23>, o1<12>. */
bool emit_frint_v(jit_t t, const struct insn *i)
{
    static const uint8_t mode[8] = { 8, 9, 10, 11, 0, 0, 0, 8 };
    unsigned how = (unsigned)(bit(i->word, 29) << 2 | bit(i->word, 23) << 1 | bit(i->word, 12));
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    x86_sse_rri(&t->hot, f64 ? SSE_ROUNDPD : SSE_ROUNDPS, XMM0, XMM0, mode[how]);
    return finish(t, i, unless_lanes(t, XMM0, f64, false));
}
