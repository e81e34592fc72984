/*
 * Floating point in single and double precision (DDI 0487 C4.1.96), by the host's instructions, in
 * blocks where FPCR asks for round to nearest without flushing and default NaNs.
 *
 * Values are exact: both sides follow IEEE 754, and differ only in which NaN comes out. So a result
 * that is a NaN, and a conversion to an integer that is out of range, leave for the slow path,
 * where the interpreter's function does all of the instruction again.
 *
 * Cumulative flags gather in MXCSR until C looks (jit_fp_collect()). They are the same but for
 * underflow: the manual detects tininess before rounding, x86 after it. The two differ if the
 * result is the smallest normal number, so what could have been rounded to that is the slow path's
 * as well. A sum is never rounded when it is tiny. What the host raised before the slow path, the
 * interpreter raises too.
 */
#include "soft/jit/vector_fp16.h"

/* Scalars: type<23:22> is 0 or 1, the rest of a register zero. */

/* Jump if x is a NaN or the smallest normal number: both leave ZF. Changes XMM5. */
static uint8_t *unless_plain(jit_t t, enum x86_xmm x, bool f64)
{
    const uint8_t *mask = magnitude_mask(t, f64), *low = vector_literal(t, smallest[f64], 0);

    and_literal(t, XMM5, x, mask);
    x86_sse_rip(&t->hot, f64 ? SSE_UCOMISD : SSE_UCOMISS, XMM5, low);
    return x86_jcc(&t->hot, CC_E);
}

/* FADD, FSUB: opcode<15:12> 2, 3; FMUL, FDIV, FNMUL: 0, 1, 8. */
bool emit_fp_binary(jit_t t, const struct insn *i)
{
    static const enum x86_sse ops[4][2] = { { SSE_MULSS, SSE_MULSD },
                                            { SSE_DIVSS, SSE_DIVSD },
                                            { SSE_ADDSS, SSE_ADDSD },
                                            { SSE_SUBSS, SSE_SUBSD } };
    unsigned opcode = (unsigned)bits(i->word, 15, 12);
    bool f64 = is_double(i);

    if (is_half(i))
        return vector_half_binary(t, i);
    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    vector_scalar(t, ops[opcode & 3][f64], XMM0, i->rn, i->rm, f64 ? 8 : 4);
    uint8_t *slow = opcode & 2 ? unless_number(t, XMM0, f64) : unless_plain(t, XMM0, f64);
    if (opcode == 8)
        x86_sse_rip(&t->hot, SSE_XORPS, XMM0,
                    vector_literal(t, f64 ? sign_mask[1] : 0x80000000, 0));
    return finish_scalar(t, i, f64, slow);
}

/* FMAX, FMIN, FMAXNM, FMINNM of numbers, which are all the same but for the signs of zeros: x86
 * gives its second operand then, and both ways together have the right sign. */
bool emit_fp_minmax(jit_t t, const struct insn *i)
{
    static const enum x86_sse ops[2][2] = { { SSE_MAXSS, SSE_MAXSD }, { SSE_MINSS, SSE_MINSD } };
    bool f64 = is_double(i), min = bit(i->word, 12);

    if (is_half(i))
        return vector_half_binary(t, i);
    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    load_scalar(t, XMM1, f64, i->rm);
    x86_sse_rr(&t->hot, f64 ? SSE_UCOMISD : SSE_UCOMISS, XMM0, XMM1);
    uint8_t *slow = x86_jcc(&t->hot, CC_P);
    x86_sse_rr(&t->hot, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_rr(&t->hot, ops[min][f64], XMM0, XMM1);
    x86_sse_rr(&t->hot, ops[min][f64], XMM1, XMM2);
    x86_sse_rr(&t->hot, min ? SSE_ORPS : SSE_ANDPS, XMM0, XMM1);
    return finish_scalar(t, i, f64, slow);
}

bool emit_fsqrt(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (is_half(i))
        return emit_half_sqrt(t, i);
    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    x86_sse_rr(&t->hot, f64 ? SSE_SQRTSD : SSE_SQRTSS, XMM0, XMM0);
    return finish_scalar(t, i, f64, unless_number(t, XMM0, f64));
}

/* FMADD, FMSUB, FNMADD, FNMSUB: o1<21>, o0<15>. */
bool emit_fmadd(jit_t t, const struct insn *i)
{
    static const enum x86_fma ops[2][2] = { { X86_FMADD, X86_FNMADD }, { X86_FNMSUB, X86_FMSUB } };
    bool f64 = is_double(i);

    if (is_half(i))
        return vector_half_fmadd(t, i);
    if (!is_scalar(t, i) || !t->jit->host.fma)
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    enum x86_xmm m = vector_use(t, i->rm, XMM1), a = vector_use(t, i->ra, XMM2);
    x86_fma(&t->hot, ops[bit(i->word, 21)][bit(i->word, 15)], f64, true, XMM0, m, a);
    return finish_scalar(t, i, f64, unless_plain(t, XMM0, f64));
}

/* FRINTN, P, M, Z, -, -, X, I: opcode<17:15>, as ROUNDSD has it; bit 3 there is not to signal what
 * is inexact, which only X does. */
bool emit_frint(jit_t t, const struct insn *i)
{
    static const uint8_t mode[8] = { 8, 10, 9, 11, 0, 0, 0, 8 };
    unsigned opcode = (unsigned)bits(i->word, 17, 15);
    bool f64 = is_double(i);

    if (is_half(i))
        return vector_half_frint(t, i);
    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    x86_sse_rri(&t->hot, f64 ? SSE_ROUNDSD : SSE_ROUNDSS, XMM0, XMM0, mode[opcode]);
    return finish_scalar(t, i, f64, unless_number(t, XMM0, f64));
}

/* Between single and double precision: opc<16:15> is the result's type. */
bool emit_fcvt(jit_t t, const struct insn *i)
{
    unsigned opc = (unsigned)bits(i->word, 16, 15);
    bool f64 = is_double(i);

    if (is_half(i) || opc == 3)
        return vector_fcvt_half(t, i);
    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM1, f64, i->rn);
    x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM0);
    x86_sse_rr(&t->hot, f64 ? SSE_CVTSD2SS : SSE_CVTSS2SD, XMM0, XMM1);
    return finish_scalar(t, i, !f64,
                         f64 ? unless_plain(t, XMM0, false) : unless_number(t, XMM0, true));
}

/* Comparisons. EFLAGS as after a subtraction of integers: the difference of `above` and `below`.
 * Unordered is C and V. */
static void compare(jit_t t, const struct insn *i, bool zero)
{
    bool f64 = is_any_double(i), signals = bit(i->word, 4);
    enum x86_sse op = signals ? (f64 ? SSE_COMISD : SSE_COMISS) : (f64 ? SSE_UCOMISD : SSE_UCOMISS);
    struct x86_buf *b = &t->hot;

    load_any_scalar(t, i, XMM0, i->rn);
    if (zero) {
        x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(b, op, XMM0, XMM1);
    } else if (is_half(i)) {
        load_any_scalar(t, i, XMM1, i->rm);
        x86_sse_rr(b, op, XMM0, XMM1);
    } else {
        vector_op(t, op, XMM0, i->rm);
    }
    uint8_t *unordered = x86_jcc(b, CC_P);
    x86_setcc(b, CC_A, RAX);
    x86_setcc(b, CC_B, RCX);
    x86_cmp8_rr(b, RAX, RCX);
    x86_patch(unordered, t->cold.p);
    jit_flags_immediate(t, 3, EF_SUB);
    uint8_t *back = x86_jmp(&t->cold);
    x86_patch(back, b->p);
}

bool emit_fcmp(jit_t t, const struct insn *i)
{
    if (!is_any_scalar(t, i))
        return false;
    t->ef = EF_NONE;
    compare(t, i, bit(i->word, 3));
    jit_flags_set(t, EF_SUB);
    return true;
}

bool emit_fccmp(jit_t t, const struct insn *i)
{
    unsigned cond = (unsigned)bits(i->word, 15, 12);

    if (!is_any_scalar(t, i))
        return false;
    if (cond >= 14) {
        t->ef = EF_NONE;
        compare(t, i, false);
    } else {
        enum x86_cc cc = jit_condition(t, cond);
        uint8_t *out = x86_jcc(&t->hot, (enum x86_cc)(cc ^ 1));
        x86_patch(out, t->cold.p);
        jit_flags_immediate(t, i->word & 15, EF_SUB);
        uint8_t *back = x86_jmp(&t->cold);
        compare(t, i, false);
        x86_patch(back, t->hot.p);
    }
    jit_flags_set(t, EF_SUB);
    return true;
}
