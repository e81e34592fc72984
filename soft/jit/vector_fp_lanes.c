/*
 * Floating point of vectors, and comparisons of scalars that make masks (DDI 0487 C4.1.96), under
 * the same rules as that of scalars: vector_fp.c. One lane that the host would do differently has
 * the interpreter do all of the instruction.
 */
#include "soft/jit/vector_fp16.h"

/* Vectors: sz<22>. The upper half is zero with Q of 0, so that nothing is raised there. */

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

/* XMM0 = the greater or lesser lanes of XMM0 and XMM1, none of which is a NaN: the signs of zeros
 * are right if x86 is asked both ways. Changes XMM1, XMM2. */
static void pick_lanes(jit_t t, bool f64, bool min)
{
    static const enum x86_sse ops[2][2] = { { SSE_MAXPS, SSE_MAXPD }, { SSE_MINPS, SSE_MINPD } };
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_rr(b, ops[min][f64], XMM0, XMM1);
    x86_sse_rr(b, ops[min][f64], XMM1, XMM2);
    x86_sse_rr(b, min ? SSE_ORPS : SSE_ANDPS, XMM0, XMM1);
}

/* The same; jump if any is a NaN. */
static uint8_t *minmax_lanes(jit_t t, bool f64, bool min)
{
    x86_sse_rr(&t->hot, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_rri(&t->hot, f64 ? SSE_CMPPD : SSE_CMPPS, XMM2, XMM1, 3);
    uint8_t *slow = if_any(t, XMM2);
    pick_lanes(t, f64, min);
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

/* XMM0, XMM1 = the two lowest elements of n. */
static void load_two(jit_t t, const struct insn *i, bool f64)
{
    load_scalar(t, XMM0, f64, i->rn);
    vector_element(t, XMM1, f64 ? 3 : 2, i->rn, f64 ? 8 : 4);
}

/* FMAXP, FMINP, FMAXNMP, FMINNMP of the two elements of a register. */
bool emit_fminmaxp_scalar(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_two(t, i, f64);
    return finish_scalar(t, i, f64, minmax_lanes(t, f64, bit(i->word, 23)));
}

#define KEEP_LOWEST 0x0e /* of INSERTPS: the other elements become zero */

/* FMAXV, FMINV, FMAXNMV, FMINNMV: halves, then halves of these. */
bool emit_fminmaxv(jit_t t, const struct insn *i)
{
    bool min = bit(i->word, 23);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    vector_load(t, XMM0, i->rn);
    x86_sse_rri(&t->hot, SSE_PSHUFD, XMM1, XMM0, 0x4e);
    uint8_t *slow = minmax_lanes(t, false, min);
    x86_sse_rri(&t->hot, SSE_PSHUFD, XMM1, XMM0, 0xb1);
    pick_lanes(t, false, min);
    x86_sse_rri(&t->hot, SSE_INSERTPS, XMM0, XMM0, KEEP_LOWEST);
    return finish_scalar(t, i, false, slow);
}

/* The element of a by-element form (size<23:22> 2 or 3; 0 is half precision) in all places. */
static void load_by_element(jit_t t, const struct insn *i, enum x86_xmm x)
{
    fp_by_element(t, i, is_double(i) ? 3 : 2, x);
}

/* XMM0 times XMM1: FMUL, and FMULX, of which infinity times zero is 2. */
static bool multiply(jit_t t, const struct insn *i, bool extended)
{
    bool f64 = is_double(i);
    uint8_t *slow[2] = { NULL, NULL };

    if (extended)
        slow[0] = if_infinite(t, f64);
    x86_sse_rr(&t->hot, packed[MUL][f64], XMM0, XMM1);
    slow[1] = unless_lanes(t, XMM0, f64, true);
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 2);
    return true;
}

/* FMUL, FMULX (U<29>) */
bool emit_fmul_element(jit_t t, const struct insn *i)
{
    if (!bit(i->word, 23))
        return vector_half_element(t, i);
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_by_element(t, i, XMM1);
    return multiply(t, i, bit(i->word, 29));
}

bool emit_fmulx(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_lanes(t, i, XMM1, i->rm);
    return multiply(t, i, true);
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
    if (!bit(i->word, 23))
        return vector_half_element(t, i);
    return fp_enabled(t) && t->jit->host.fma && multiply_add(t, i, true, bit(i->word, 14));
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
    load_two(t, i, f64);
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

/* Of each pair, a real and an imaginary part: XMM1 the other way around if `swaps`, and the signs
 * of even and odd elements changed. */
static void turn(jit_t t, bool f64, bool swaps, bool even, bool odd)
{
    uint64_t sign = f64 ? sign_mask[1] : 0x80000000;
    uint64_t low = f64 ? even * sign : even * sign | (odd * sign) << 32;
    uint64_t high = f64 ? odd * sign : low;

    if (swaps)
        x86_sse_rri(&t->hot, SSE_PSHUFD, XMM1, XMM1, f64 ? 0x4e : 0xb1);
    if (even || odd)
        x86_sse_rip(&t->hot, SSE_XORPS, XMM1, vector_literal(t, low, high));
}

/* FCADD: n plus m turned by 90 degrees, or with rot<12> by 270. */
bool emit_fcadd(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i), rot = bit(i->word, 12);

    if (bits(i->word, 23, 22) == 1)
        return vector_half_fcadd(t, i);
    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_lanes(t, i, XMM1, i->rm);
    turn(t, f64, true, !rot, rot);
    x86_sse_rr(&t->hot, packed[ADD][f64], XMM0, XMM1);
    return finish(t, i, unless_lanes(t, XMM0, f64, false));
}

/* XMM1, pairs of m, times the real parts of n, or with odd `rot` the imaginary ones, added to d. */
static bool complex_multiply(jit_t t, const struct insn *i, bool f64, unsigned rot)
{
    unsigned parts = rot & 1 ? (f64 ? 0xee : 0xf5) : (f64 ? 0x44 : 0xa0);

    turn(t, f64, rot & 1, rot == 1 || rot == 2, rot >= 2);
    load_lanes(t, i, XMM0, i->rn);
    x86_sse_rri(&t->hot, SSE_PSHUFD, XMM0, XMM0, parts);
    load_lanes(t, i, XMM2, i->rd);
    x86_fma(&t->hot, X86_FMADD, f64, false, XMM0, XMM1, XMM2);
    return finish(t, i, unless_lanes(t, XMM0, f64, true));
}

bool emit_fcmla(jit_t t, const struct insn *i)
{
    if (bits(i->word, 23, 22) == 1)
        return vector_half_fcmla(t, i);
    if (!fp_enabled(t) || !t->jit->host.fma)
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM1, i->rm);
    return complex_multiply(t, i, is_double(i), (unsigned)bits(i->word, 12, 11));
}

/* By element: of single precision, the pair H<11>. */
bool emit_fcmla_element(jit_t t, const struct insn *i)
{
    if (!fp_enabled(t) || !t->jit->host.fma)
        return false;
    jit_clobber(t);
    vector_element_everywhere(t, XMM1, 3, i->rm, bit(i->word, 11) ? 8 : 0);
    return complex_multiply(t, i, false, (unsigned)bits(i->word, 14, 13));
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
