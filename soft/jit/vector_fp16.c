/*
 * Arithmetic and comparisons of half precision (DDI 0487 C4.1.96, FEAT_FP16) in the host's single
 * precision, by F16C, under the rules of vector_fp.c. Four lanes at a time: XMM0 and XMM1 have all
 * of the operands, XMM2 and XMM3 what is worked on.
 *
 * Single precision has more than twice the digits of half, so what is rounded to it and then to
 * half is right, and inexact if one of the two is. Exceptions are products and quotients that may
 * become subnormal, and sums with products that are half way between two numbers: these are the
 * slow path's, as is every operand that is infinite or a NaN.
 */
#include "soft/jit/vector_fp16.h"

#define HALVES(x) ((x) * 0x0001000100010001ull)
#define INFINITE  0x7c00
#define SIGN      0x8000

/* Singles: infinity, the smallest normal half, the digits that half has not and half of these. */
#define SINGLE_INFINITE 0x7f800000u
#define SINGLE_SMALLEST 0x38800000u
#define SINGLE_BEYOND   0x00001fffu
#define SINGLE_MIDDLE   0x00001000u

static const uint8_t *halves(jit_t t, uint64_t value)
{
    return vector_literal(t, HALVES(value), HALVES(value));
}

bool fp16_enabled(jit_t t)
{
    return fp_enabled(t) && t->jit->host.f16c && t->jit->host.fma;
}

void fp16_load(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v)
{
    if (bit(i->word, 28))
        vector_element(t, x, 1, v, 0);
    else
        vector_load_low(t, x, v, bit(i->word, 30) ? 16 : 8);
}

uint8_t *fp16_unless_finite(jit_t t, const enum x86_xmm *x, unsigned n)
{
    const uint8_t *infinite = halves(t, INFINITE);

    for (unsigned k = 0; k < n; k++) {
        enum x86_xmm to = k ? XMM5 : XMM4;
        and_literal(t, to, x[k], infinite);
        x86_sse_rip(&t->hot, SSE_PCMPEQW, to, infinite);
        if (k)
            x86_sse_rr(&t->hot, SSE_POR, XMM4, XMM5);
    }
    return vector_if_any(t, XMM4);
}

void fp16_pick(jit_t t, bool min)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM4, XMM2);
    x86_sse_rr(b, min ? SSE_MINPS : SSE_MAXPS, XMM2, XMM3);
    x86_sse_rr(b, min ? SSE_MINPS : SSE_MAXPS, XMM3, XMM4);
    x86_sse_rr(b, min ? SSE_ORPS : SSE_ANDPS, XMM2, XMM3);
}

/* Jump if rounding a lane of x to half could be wrong, or would be tiny before it is rounded and
 * not after. Changes XMM4, XMM5. */
static uint8_t *if_risky(jit_t t, enum x86_xmm x, bool middle)
{
    struct x86_buf *b = &t->hot;

    /* Not zero, and at most the smallest: one less has no sign then. */
    and_literal(t, XMM4, x, fp16_singles(t, SINGLE_INFINITE | 0x7fffff));
    x86_sse_rr(b, SSE_PCMPEQD, XMM5, XMM5);
    x86_sse_rr(b, SSE_PADDD, XMM4, XMM5);
    x86_sse_rip(b, SSE_MOVAPS, XMM5, fp16_singles(t, SINGLE_SMALLEST - 1));
    x86_sse_rr(b, SSE_PMINUD, XMM5, XMM4);
    x86_sse_rr(b, SSE_PCMPEQD, XMM4, XMM5);
    if (middle) {
        and_literal(t, XMM5, x, fp16_singles(t, SINGLE_BEYOND));
        x86_sse_rip(b, SSE_PCMPEQD, XMM5, fp16_singles(t, SINGLE_MIDDLE));
        x86_sse_rr(b, SSE_POR, XMM4, XMM5);
    }
    return vector_if_any(t, XMM4);
}

/* What is done with XMM2, XMM3 and, of accumulating ones, the four lanes of Vd in XMM4. */
enum half_kind {
    BINARY,   /* XMM2 op XMM3 */
    DIVIDE,   /* the same; 0 / 0 is no number */
    MINMAX,   /* both ways */
    DISTANCE, /* the magnitude of the difference */
    FUSED,    /* plus or minus the product */
    STEP,     /* of which a constant is the sum's other part */
    COMPARE,  /* XMM3 with XMM2: a mask */
    ROOT,     /* of XMM2 */
};

struct half {
    enum half_kind kind;
    uint8_t op;    /* of `ops`, enum x86_fma, predicate of CMPPS; of STEP whether it is FRSQRTS */
    bool tiny;     /* may be a product or quotient that is */
    bool absolute; /* operands without signs */
    bool negates;  /* the result */
    unsigned acc;  /* what a product is added to */
};

enum { ADD, SUB, MUL, DIV, MAX, MIN };

static const enum x86_sse ops[4][2] = {
    [ADD] = { SSE_ADDPS, SSE_ADDSS },
    [SUB] = { SSE_SUBPS, SSE_SUBSS },
    [MUL] = { SSE_MULPS, SSE_MULSS },
    [DIV] = { SSE_DIVPS, SSE_DIVSS },
};

/* XMM2 = the result of four lanes, in single precision. */
static void operate(jit_t t, const struct insn *i, const struct half *h, bool upper)
{
    struct x86_buf *b = &t->hot;
    bool scalar = bit(i->word, 28);

    switch (h->kind) {
    case BINARY:
    case DIVIDE:
        x86_sse_rr(b, ops[h->op][scalar], XMM2, XMM3);
        break;
    case DISTANCE:
        x86_sse_rr(b, ops[SUB][scalar], XMM2, XMM3);
        x86_sse_rip(b, SSE_ANDPS, XMM2, fp16_singles(t, 0x7fffffff));
        break;
    case MINMAX:
        fp16_pick(t, h->op == MIN);
        break;
    case FUSED:
        if (scalar)
            vector_element(t, XMM4, 1, h->acc, 0);
        else
            vector_half(t, XMM4, h->acc, upper);
        x86_cvtph2ps(b, XMM4, XMM4);
        x86_fma(b, (enum x86_fma)h->op, false, scalar, XMM2, XMM3, XMM4);
        break;
    case STEP: /* 2 - nm, or 1.5 - n / 2 * m */
        if (h->op)
            x86_sse_rip(b, SSE_MULPS, XMM2, fp16_singles(t, 0x3f000000));
        x86_sse_rip(b, SSE_MOVAPS, XMM4, fp16_singles(t, h->op ? 0x3fc00000 : 0x40000000));
        x86_fma(b, X86_FNMADD, false, scalar, XMM2, XMM3, XMM4);
        break;
    case COMPARE:
        x86_sse_rri(b, scalar ? SSE_CMPSS : SSE_CMPPS, XMM3, XMM2, h->op);
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM3);
        break;
    case ROOT:
        x86_sse_rr(b, scalar ? SSE_SQRTSS : SSE_SQRTPS, XMM2, XMM2);
        break;
    }
}

#define FIRST_TO_UPPER 1 /* of SHUFPD: the upper half of the one, the lower half of the other */

/* XMM0 and, but for ROOT, XMM1, with all lanes, to the result. */
static bool all_lanes(jit_t t, const struct insn *i, const struct half *h)
{
    static const enum x86_xmm operands[3] = { XMM0, XMM1, XMM2 };
    struct x86_buf *b = &t->hot;
    bool both = bit(i->word, 30) && !bit(i->word, 28), unary = h->kind == ROOT;
    uint8_t *slow[5];
    unsigned n = 0;

    if (h->kind == FUSED)
        fp16_load(t, i, XMM2, h->acc);
    slow[n++] = fp16_unless_finite(t, operands, unary ? 1 : h->kind == FUSED ? 3 : 2);
    if (h->absolute) {
        x86_sse_rip(b, SSE_PAND, XMM0, halves(t, SIGN - 1));
        x86_sse_rip(b, SSE_PAND, XMM1, halves(t, SIGN - 1));
    }
    for (unsigned k = 0; k < 1u + both; k++) {
        x86_cvtph2ps(b, XMM2, XMM0);
        if (!unary)
            x86_cvtph2ps(b, XMM3, XMM1);
        operate(t, i, h, k);
        if (h->kind == DIVIDE || h->kind == ROOT) {
            x86_sse_rr(b, SSE_MOVAPS, XMM4, XMM2);
            x86_sse_rri(b, SSE_CMPPS, XMM4, XMM2, 3);
            slow[n++] = if_any(t, XMM4);
        }
        if (h->tiny)
            slow[n++] = if_risky(t, XMM2, h->kind == FUSED || h->kind == STEP);
        if (h->kind == COMPARE)
            x86_sse_rr(b, SSE_PACKSSDW, XMM2, XMM2);
        else
            x86_cvtps2ph(b, XMM2, XMM2);
        if (both) { /* what is left, and the first result above it; both results */
            x86_sse_rri(b, SSE_SHUFPD, XMM0, XMM2, FIRST_TO_UPPER);
            if (!unary)
                x86_sse_rri(b, SSE_PSHUFD, XMM1, XMM1, 0xee);
        }
    }
    if (!both)
        x86_sse_rr(b, SSE_MOVQ, XMM0, XMM2);
    if (h->negates)
        x86_sse_rip(b, SSE_PXOR, XMM0, vector_literal(t, SIGN, 0));
    if (bit(i->word, 28))
        vector_store_low(t, i->rd, XMM0, 4);
    else
        vector_result(t, i, XMM0);
    jit_slow_paths(t, slow, n);
    return true;
}

/* Three registers: U<29>, a<23>, opcode<13:11>. FMAXNM and its kin are FMAX where there are no
 * NaNs. Pairs have bit 29 and no name of a scalar. */
bool emit_half_three(jit_t t, const struct insn *i)
{
    enum { LESS_THAN = 1, AT_MOST = 2 };
    static const struct half table[2][2][8] = {
        { { { .kind = MINMAX, .op = MAX },
            { .kind = FUSED, .op = X86_FMADD, .tiny = true },
            { .kind = BINARY, .op = ADD },
            { .kind = BINARY, .op = MUL, .tiny = true }, /* FMULX: nothing is infinite */
            { .kind = COMPARE },
            { 0 },
            { .kind = MINMAX, .op = MAX },
            { .kind = STEP, .tiny = true } },
          { { .kind = MINMAX, .op = MIN },
            { .kind = FUSED, .op = X86_FNMADD, .tiny = true },
            { .kind = BINARY, .op = SUB },
            { 0 },
            { 0 },
            { 0 },
            { .kind = MINMAX, .op = MIN },
            { .kind = STEP, .op = 1, .tiny = true } } },
        { { { .kind = MINMAX, .op = MAX },
            { 0 },
            { .kind = BINARY, .op = ADD },
            { .kind = BINARY, .op = MUL, .tiny = true },
            { .kind = COMPARE, .op = AT_MOST },
            { .kind = COMPARE, .op = AT_MOST, .absolute = true },
            { .kind = MINMAX, .op = MAX },
            { .kind = DIVIDE, .op = DIV, .tiny = true } },
          { { .kind = MINMAX, .op = MIN },
            { 0 },
            { .kind = DISTANCE },
            { 0 },
            { .kind = COMPARE, .op = LESS_THAN },
            { .kind = COMPARE, .op = LESS_THAN, .absolute = true },
            { .kind = MINMAX, .op = MIN },
            { 0 } } },
    };
    unsigned u = bit(i->word, 29), a = bit(i->word, 23), opcode = (unsigned)bits(i->word, 13, 11);
    struct half h = table[u][a][opcode];
    bool pairs = u && (h.kind == MINMAX || (h.kind == BINARY && h.op == ADD));

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    h.acc = i->rd;
    if (pairs) {
        vector_unzip(t, i, 1, XMM0, false);
        vector_unzip(t, i, 1, XMM1, true);
        if (!bit(i->word, 30)) {
            x86_sse_rr(&t->hot, SSE_MOVQ, XMM0, XMM0);
            x86_sse_rr(&t->hot, SSE_MOVQ, XMM1, XMM1);
        }
    } else {
        fp16_load(t, i, XMM0, i->rn);
        fp16_load(t, i, XMM1, i->rm);
    }
    return all_lanes(t, i, &h);
}

/* By element H:L:M of one of the first 16 registers: FMLA, FMLS, FMUL (opcode<15:12> 1, 5, 9),
 * FMULX. */
bool vector_half_element(jit_t t, const struct insn *i)
{
    unsigned opcode = (unsigned)bits(i->word, 15, 12);
    struct half h = { .kind = FUSED, .op = X86_FMADD, .tiny = true, .acc = i->rd };

    if (!fp16_enabled(t))
        return false;
    if (opcode == 9)
        h.kind = BINARY, h.op = MUL;
    else if (opcode == 5)
        h.op = X86_FNMADD;
    jit_clobber(t);
    fp_by_element(t, i, 1, XMM1);
    fp16_load(t, i, XMM0, i->rn);
    return all_lanes(t, i, &h);
}

/* Scalars of type<23:22> 3: FMUL, FDIV, FADD, FSUB, FMAX, FMIN, FMAXNM, FMINNM, FNMUL by
 * opcode<15:12>. */
bool vector_half_binary(jit_t t, const struct insn *i)
{
    static const struct half table[9] = {
        { .kind = BINARY, .op = MUL, .tiny = true },
        { .kind = DIVIDE, .op = DIV, .tiny = true },
        { .kind = BINARY, .op = ADD },
        { .kind = BINARY, .op = SUB },
        { .kind = MINMAX, .op = MAX },
        { .kind = MINMAX, .op = MIN },
        { .kind = MINMAX, .op = MAX },
        { .kind = MINMAX, .op = MIN },
        { .kind = BINARY, .op = MUL, .tiny = true, .negates = true },
    };

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    fp16_load(t, i, XMM0, i->rn);
    fp16_load(t, i, XMM1, i->rm);
    return all_lanes(t, i, &table[bits(i->word, 15, 12)]);
}

/* FMADD, FMSUB, FNMADD, FNMSUB of half precision: o1<21>, o0<15>. */
bool vector_half_fmadd(jit_t t, const struct insn *i)
{
    static const enum x86_fma fused[2][2] = { { X86_FMADD, X86_FNMADD },
                                              { X86_FNMSUB, X86_FMSUB } };
    struct half h = { .kind = FUSED, .tiny = true, .acc = i->ra };

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    h.op = (uint8_t)fused[bit(i->word, 21)][bit(i->word, 15)];
    fp16_load(t, i, XMM0, i->rn);
    fp16_load(t, i, XMM1, i->rm);
    return all_lanes(t, i, &h);
}

/* FSQRT, scalar and vector. */
bool emit_half_sqrt(jit_t t, const struct insn *i)
{
    static const struct half h = { .kind = ROOT };

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    fp16_load(t, i, XMM0, i->rn);
    return all_lanes(t, i, &h);
}

/* Comparisons with zero: op<13:12> 0, 1, 2 are FCMGT, FCMEQ, FCMLT, with U<29> FCMGE and FCMLE. */
bool emit_half_zero(jit_t t, const struct insn *i)
{
    unsigned op = (unsigned)bits(i->word, 13, 12);
    struct half h = { .kind = COMPARE, .op = bit(i->word, 29) ? 2 : op == 1 ? 0 : 1 };

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    fp16_load(t, i, op == 0 ? XMM0 : XMM1, i->rn);
    x86_sse_rr(&t->hot, SSE_PXOR, op == 0 ? XMM1 : XMM0, op == 0 ? XMM1 : XMM0);
    return all_lanes(t, i, &h);
}

/* FABS, or with U<29> FNEG, of vectors: bits only. */
bool emit_half_sign(jit_t t, const struct insn *i)
{
    bool negates = bit(i->word, 29);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    x86_sse_rip(&t->hot, negates ? SSE_PXOR : SSE_PAND, XMM0, halves(t, negates ? SIGN : SIGN - 1));
    vector_result(t, i, XMM0);
    return true;
}

/* Complex numbers, pairs of a real and an imaginary part: XMM1 with the parts of each swapped, and
 * the signs of the real and the imaginary ones changed. */
static void turn(jit_t t, bool swaps, bool real, bool imaginary)
{
    struct x86_buf *b = &t->hot;
    uint64_t signs = (real ? 0x0000800000008000 : 0) | (imaginary ? 0x8000000080000000 : 0);

    if (swaps) {
        x86_sse_rri(b, SSE_PSHUFLW, XMM1, XMM1, 0xb1);
        x86_sse_rri(b, SSE_PSHUFHW, XMM1, XMM1, 0xb1);
    }
    if (signs)
        x86_sse_rip(b, SSE_PXOR, XMM1, vector_literal(t, signs, signs));
}

/* FCADD: n plus m turned by 90 degrees, or with rot<12> by 270. */
bool vector_half_fcadd(jit_t t, const struct insn *i)
{
    static const struct half h = { .kind = BINARY, .op = ADD };
    bool rot = bit(i->word, 12);

    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    fp16_load(t, i, XMM0, i->rn);
    fp16_load(t, i, XMM1, i->rm);
    turn(t, true, !rot, rot);
    return all_lanes(t, i, &h);
}

/* FCMLA of m in XMM1: its pairs times the real parts of n, or with odd `rot` the imaginary ones. */
static bool complex_multiply(jit_t t, const struct insn *i, unsigned rot)
{
    struct half h = { .kind = FUSED, .op = X86_FMADD, .tiny = true, .acc = i->rd };
    unsigned parts = rot & 1 ? 0xf5 : 0xa0;

    turn(t, rot & 1, rot == 1 || rot == 2, rot >= 2);
    fp16_load(t, i, XMM0, i->rn);
    x86_sse_rri(&t->hot, SSE_PSHUFLW, XMM0, XMM0, parts);
    x86_sse_rri(&t->hot, SSE_PSHUFHW, XMM0, XMM0, parts);
    return all_lanes(t, i, &h);
}

bool vector_half_fcmla(jit_t t, const struct insn *i)
{
    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    fp16_load(t, i, XMM1, i->rm);
    return complex_multiply(t, i, (unsigned)bits(i->word, 12, 11));
}

/* By element: the pair H:L. */
bool emit_half_fcmla_element(jit_t t, const struct insn *i)
{
    if (!fp16_enabled(t))
        return false;
    jit_clobber(t);
    fp_by_element(t, i, 2, XMM1);
    return complex_multiply(t, i, (unsigned)bits(i->word, 14, 13));
}
