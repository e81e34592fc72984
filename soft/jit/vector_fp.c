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
#include "soft/jit/vector_fp.h"

/* Scalars: type<23:22> is 0 or 1, the rest of a register zero. */

static bool is_scalar(jit_t t, const struct insn *i)
{
    return fp_enabled(t) && !bit(i->word, 23);
}

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

    if (!is_scalar(t, i) || opc > 1)
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
    bool f64 = is_double(i), signals = bit(i->word, 4);
    enum x86_sse op = signals ? (f64 ? SSE_COMISD : SSE_COMISS) : (f64 ? SSE_UCOMISD : SSE_UCOMISS);
    struct x86_buf *b = &t->hot;

    load_scalar(t, XMM0, f64, i->rn);
    if (zero) {
        x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(b, op, XMM0, XMM1);
    } else {
        vector_op(t, op, XMM0, i->rm);
    }
    uint8_t *unordered = x86_jcc(b, CC_P);
    x86_setcc(b, CC_A, RAX);
    x86_setcc(b, CC_B, RCX);
    x86_cmp8_rr(b, RAX, RCX);
    x86_to(b, unordered, t->cold.p);
    jit_flags_immediate(t, 3, EF_SUB);
    uint8_t *back = x86_jmp(&t->cold);
    x86_to(&t->cold, back, b->p);
}

bool emit_fcmp(jit_t t, const struct insn *i)
{
    if (!is_scalar(t, i))
        return false;
    t->ef = EF_NONE;
    compare(t, i, bit(i->word, 3));
    jit_flags_set(t, EF_SUB);
    return true;
}

bool emit_fccmp(jit_t t, const struct insn *i)
{
    unsigned cond = (unsigned)bits(i->word, 15, 12);

    if (!is_scalar(t, i))
        return false;
    if (cond >= 14) {
        t->ef = EF_NONE;
        compare(t, i, false);
    } else {
        enum x86_cc cc = jit_condition(t, cond);
        uint8_t *out = x86_jcc(&t->hot, (enum x86_cc)(cc ^ 1));
        x86_to(&t->hot, out, t->cold.p);
        jit_flags_immediate(t, i->word & 15, EF_SUB);
        uint8_t *back = x86_jmp(&t->cold);
        compare(t, i, false);
        x86_to(&t->cold, back, t->hot.p);
    }
    jit_flags_set(t, EF_SUB);
    return true;
}

/* Integers. */

/* To the nearest, ties away from zero: the integer part, and one more if half is left. All of that
 * is exact; infinities and NaNs are not for it, which is the jump returned. x = XMM0, which stays.
 * Changes RAX, XMM1, XMM3 to XMM5. */
static uint8_t *round_away(jit_t t, enum x86_xmm x, bool f64)
{
    static const uint64_t half[2] = { 0x3f000000, 0x3fe0000000000000 };
    static const uint64_t one[2] = { 0x3f800000, 0x3ff0000000000000 };
    struct x86_buf *b = &t->hot;
    const uint8_t *mask = magnitude_mask(t, f64);

    x86_movd_from(b, f64, RAX, XMM0);
    x86_alu_rr(b, f64, X86_ADD, RAX, RAX);
    x86_shift_ri(b, f64, X86_SHR, RAX, f64 ? 53 : 24);
    x86_alu_ri(b, 0, X86_CMP, RAX, f64 ? 0x7ff : 0xff);
    uint8_t *slow = x86_jcc(b, CC_E);
    x86_sse_rri(b, f64 ? SSE_ROUNDSD : SSE_ROUNDSS, XMM1, XMM0, 11);
    x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM0);
    x86_sse_rr(b, f64 ? SSE_SUBSD : SSE_SUBSS, XMM3, XMM1);
    x86_sse_rip(b, SSE_ANDPS, XMM3, mask);
    x86_sse_rip(b, SSE_MOVAPS, XMM4, vector_literal(t, half[f64], 0));
    x86_sse_rri(b, f64 ? SSE_CMPSD : SSE_CMPSS, XMM4, XMM3, 2);
    x86_sse_rip(b, SSE_ANDPS, XMM4, vector_literal(t, one[f64], 0));
    x86_sse_rip(b, SSE_MOVAPS, XMM5, mask);
    x86_sse_rr(b, SSE_ANDNPS, XMM5, XMM0);
    x86_sse_rr(b, SSE_ORPS, XMM4, XMM5);
    x86_sse_rr(b, f64 ? SSE_ADDSD : SSE_ADDSS, XMM1, XMM4);
    x86_sse_rr(b, f64 ? SSE_MOVSD : SSE_MOVSS, x, XMM1);
    return slow;
}

bool emit_frinta(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    uint8_t *slow = round_away(t, XMM2, f64);
    vector_load_low(t, XMM0, i->rn, f64 ? 8 : 4);
    x86_sse_rr(&t->hot, f64 ? SSE_MOVSD : SSE_MOVSS, XMM0, XMM2);
    return finish_scalar(t, i, f64, slow);
}

/* To 32 bits, modulo 2^32 out of range, which is the slow path's; Z says that it is the same
 * number.
 */
bool emit_fjcvtzs(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned rd = i->rd == 31 ? REG_NONE : i->rd;

    if (!fp_enabled(t))
        return false;
    t->ef = EF_NONE;
    load_scalar(t, XMM0, true, i->rn);
    x86_cvttf2si(b, true, 0, RAX, XMM0);
    x86_alu_ri(b, 0, X86_CMP, RAX, 1);
    uint8_t *slow = x86_jcc(b, CC_O);
    x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
    x86_cvtsi2f(b, true, 0, XMM1, RAX);
    x86_movd_from(b, 1, RCX, XMM0);
    x86_movd_from(b, 1, RDX, XMM1);
    jit_done(t, rd, RAX);
    x86_alu_rr(b, 1, X86_XOR, RCX, RDX);
    x86_setcc(b, CC_NE, RCX);
    x86_ext_rr(b, X86_ZX8, 0, RCX, RCX);
    x86_test_rr(b, 0, RCX, RCX);
    jit_flags_set(t, EF_ADD);
    jit_flags_store(t, JIT_FLAG_C | JIT_FLAGS_NZV);
    t->ef = EF_NONE; /* the slow path has them in memory only */
    jit_slow_path(t, slow, b->p);
    return true;
}

/* FCVT to an integer in a general register, to the nearest, up, down, to zero (rmode<20:19>), or
 * with ties away (bit 18). What is out of range, and with unsigned forms below zero, is the slow
 * path's; x86 says so by the smallest integer. Rounding first signals nothing; converting the
 * operand itself then raises what is inexact. */
bool emit_fcvt_general(jit_t t, const struct insn *i)
{
    static const uint8_t mode[3] = { 8, 10, 9 };
    struct x86_buf *b = &t->hot;
    bool f64 = is_double(i), is_unsigned = bit(i->word, 16);
    unsigned sf = i->word >> 31, rd = i->rd == 31 ? REG_NONE : i->rd;
    unsigned rounding = (unsigned)bits(i->word, 20, 19);
    uint8_t *slow[3] = { NULL, NULL, NULL };
    bool away = bit(i->word, 18);

    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    if (away) {
        slow[2] = round_away(t, XMM2, f64);
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM1);
    } else if (rounding < 3) {
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
        x86_sse_rri(b, f64 ? SSE_ROUNDSD : SSE_ROUNDSS, XMM0, XMM0, mode[rounding]);
    }
    if (is_unsigned) {
        enum x86_sse op = f64 ? SSE_UCOMISD : SSE_UCOMISS;
        uint64_t limit =
            f64 ? (sf ? 0x43e0000000000000 : 0x41f0000000000000) : (sf ? 0x5f000000 : 0x4f800000);
        const uint8_t *literal = vector_literal(t, limit, 0);
        x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(b, op, XMM0, XMM1);
        slow[0] = x86_jcc(b, CC_B);
        x86_sse_rip(b, op, XMM0, literal);
        slow[1] = x86_jcc(b, CC_AE);
        x86_cvttf2si(b, f64, 1, RAX, XMM0);
    } else {
        x86_cvttf2si(b, f64, sf, RAX, XMM0);
        x86_alu_ri(b, sf, X86_CMP, RAX, 1);
        slow[0] = x86_jcc(b, CC_O);
    }
    if (away || rounding < 3)
        x86_cvttf2si(b, f64, sf | is_unsigned, RCX, XMM2);
    jit_done(t, rd, RAX);
    jit_slow_paths(t, slow, 3);
    return true;
}

/* SCVTF, UCVTF from a general register. */
bool emit_cvtf_general(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    bool is_unsigned = bit(i->word, 16);
    unsigned sf = i->word >> 31;
    uint8_t *slow = NULL;

    if (!is_scalar(t, i))
        return false;
    jit_clobber(t);
    jit_copy(t, sf, i->rn == 31 ? REG_ZR : i->rn, RAX);
    if (is_unsigned && sf) {
        x86_test_rr(b, 1, RAX, RAX);
        slow = x86_jcc(b, CC_S);
    }
    x86_sse_rr(b, SSE_PXOR, XMM0, XMM0);
    x86_cvtsi2f(b, is_double(i), sf | is_unsigned, XMM0, RAX);
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, &slow, 1);
    return true;
}

/* SCVTF, or with U<29> UCVTF, of a scalar in a SIMD register: sz<22>. */
bool emit_cvtf_scalar(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i), is_unsigned = bit(i->word, 29);
    uint8_t *slow = NULL;

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    vector_to_general(t, f64 ? 8 : 4, RAX, i->rn);
    if (is_unsigned && f64) {
        x86_test_rr(&t->hot, 1, RAX, RAX);
        slow = x86_jcc(&t->hot, CC_S);
    }
    x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM0);
    x86_cvtsi2f(&t->hot, f64, f64 | is_unsigned, XMM0, RAX);
    vector_store_low(t, i->rd, XMM0, f64 ? 8 : 4);
    jit_slow_paths(t, &slow, 1);
    return true;
}

bool emit_fcvtzs_scalar(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, f64, i->rn);
    x86_cvttf2si(&t->hot, f64, f64, RAX, XMM0);
    x86_alu_ri(&t->hot, f64, X86_CMP, RAX, 1);
    uint8_t *slow = x86_jcc(&t->hot, CC_O);
    x86_movd_to(&t->hot, f64, XMM0, RAX);
    return finish(t, i, slow);
}
