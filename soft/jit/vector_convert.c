/*
 * Conversions of scalars between floating point and integers (DDI 0487 C4.1.96), in general
 * registers or not, and fixed-point numbers; rounding with ties away, which x86 does not have.
 * Under the rules of vector_fp.c: what is out of range is the slow path's, before x86 could raise
 * what the manual does not.
 */
#include "soft/interp/simd.h"
#include "soft/jit/vector_convert.h"
#include "soft/jit/vector_fp16.h"

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

    if (is_half(i))
        return vector_half_frint(t, i);
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

/* RAX = XMM0 as an integer. What is out of range, and with unsigned forms below zero, is the slow
 * path's; x86 says so by the smallest integer. Rounding first signals nothing; converting the
 * operand itself then raises what is inexact. Changes RCX, and all scratch xmm registers. */
void vector_to_integer(jit_t t, const struct to_integer *c, uint8_t *slow[3])
{
    static const uint8_t mode[3] = { 8, 10, 9 };
    struct x86_buf *b = &t->hot;
    bool f64 = c->f64, rounds = c->away || c->rounding < 3;
    unsigned sf = c->sf;

    if (c->away) {
        slow[2] = round_away(t, XMM2, f64);
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM1);
    } else if (rounds) {
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
        x86_sse_rri(b, f64 ? SSE_ROUNDSD : SSE_ROUNDSS, XMM0, XMM0, mode[c->rounding]);
    }
    if (c->is_unsigned) {
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
    if (rounds)
        x86_cvttf2si(b, f64, sf | c->is_unsigned, RCX, XMM2);
}

/* FCVT to a general register: rmode<20:19>, with ties away bit 18. */
bool emit_fcvt_general(jit_t t, const struct insn *i)
{
    struct to_integer c = {
        .f64 = is_any_double(i),
        .is_unsigned = bit(i->word, 16),
        .away = bit(i->word, 18),
        .sf = i->word >> 31,
        .rounding = (unsigned)bits(i->word, 20, 19),
    };
    uint8_t *slow[3] = { NULL, NULL, NULL };

    if (!is_any_scalar(t, i))
        return false;
    jit_clobber(t);
    load_any_scalar(t, i, XMM0, i->rn);
    vector_to_integer(t, &c, slow);
    jit_done(t, i->rd == 31 ? REG_NONE : i->rd, RAX);
    jit_slow_paths(t, slow, 3);
    return true;
}

bool emit_fcvt_scalar(jit_t t, const struct insn *i)
{
    struct to_integer c = vector_to_integer_of(i);
    uint8_t *slow[3] = { NULL, NULL, NULL };

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, c.f64, i->rn);
    vector_to_integer(t, &c, slow);
    x86_movd_to(&t->hot, c.sf, XMM0, RAX);
    vector_store_low(t, i->rd, XMM0, c.f64 ? 8 : 4);
    jit_slow_paths(t, slow, 3);
    return true;
}

/* XMM0 = the integer in general register n, of sf<31>, signed unless bit 16 says otherwise; to the
 * slow path with what is beyond the host's. */
static uint8_t *from_general(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    bool is_unsigned = bit(i->word, 16);
    unsigned sf = i->word >> 31;
    uint8_t *slow = NULL;

    jit_clobber(t);
    jit_copy(t, sf, i->rn == 31 ? REG_ZR : i->rn, RAX);
    if (is_unsigned && sf) {
        x86_test_rr(b, 1, RAX, RAX);
        slow = x86_jcc(b, CC_S);
    }
    x86_sse_rr(b, SSE_PXOR, XMM0, XMM0);
    x86_cvtsi2f(b, is_any_double(i), sf | is_unsigned, XMM0, RAX);
    return slow;
}

/* SCVTF, UCVTF from a general register. */
bool emit_cvtf_general(jit_t t, const struct insn *i)
{
    if (!is_any_scalar(t, i))
        return false;
    uint8_t *slow = from_general(t, i);
    if (is_half(i)) /* what single precision rounds is beyond half's range */
        x86_cvtps2ph(&t->hot, XMM0, XMM0);
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

/* Fixed-point numbers: with so many bits behind the point. */

static unsigned fraction(const struct insn *i)
{
    return 64 - (unsigned)bits(i->word, 15, 10);
}

/* A product of a number that is an integer's with a power of two is exact, and so is one that is
 * known to stay within 64 bits. */
bool emit_cvtf_fixed(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);

    if (!is_scalar(t, i))
        return false;
    uint8_t *slow = from_general(t, i);
    x86_sse_rip(&t->hot, f64 ? SSE_MULSD : SSE_MULSS, XMM0,
                power_of_two(t, f64, -(int)fraction(i)));
    return finish_scalar(t, i, f64, slow);
}

/* RAX = the scalar XMM0 with `fraction` bits behind the point. What is too large, or negative and
 * is to be unsigned, is the slow path's, before the product could overflow. */
void vector_to_fixed(jit_t t, const struct to_integer *c, unsigned fraction, uint8_t *slow[3])
{
    struct x86_buf *b = &t->hot;
    int limit = (c->sf ? 63 : c->is_unsigned ? 32 : 31) - (int)fraction;
    uint64_t least = c->f64 ? (uint64_t)(1023 + limit) << 53 : (uint64_t)(127 + limit) << 24;

    x86_movd_from(b, c->f64, RAX, XMM0);
    if (c->is_unsigned) {
        x86_test_rr(b, c->f64, RAX, RAX);
        slow[0] = x86_jcc(b, CC_S);
    }
    x86_alu_rr(b, c->f64, X86_ADD, RAX, RAX);
    x86_mov_ri(b, RCX, least);
    x86_alu_rr(b, c->f64, X86_CMP, RAX, RCX);
    slow[1] = x86_jcc(b, CC_AE);
    x86_sse_rip(b, c->f64 ? SSE_MULSD : SSE_MULSS, XMM0, power_of_two(t, c->f64, (int)fraction));
    x86_cvttf2si(b, c->f64, c->sf | c->is_unsigned, RAX, XMM0);
}

bool emit_fcvtz_fixed(jit_t t, const struct insn *i)
{
    struct to_integer c = {
        .f64 = is_any_double(i),
        .is_unsigned = bit(i->word, 16),
        .sf = i->word >> 31,
    };
    uint8_t *slow[3] = { NULL };

    if (!is_any_scalar(t, i))
        return false;
    jit_clobber(t);
    load_any_scalar(t, i, XMM0, i->rn);
    vector_to_fixed(t, &c, fraction(i), slow);
    jit_done(t, i->rd == 31 ? REG_NONE : i->rd, RAX);
    jit_slow_paths(t, slow, 3);
    return true;
}

/* The same of scalars in a SIMD register, of single or double precision by immh. */
bool emit_cvtf_fixed_scalar(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    bool is_unsigned = bit(i->word, 29), f64 = is_double(i);
    uint8_t *slow = NULL;

    if (!fp_enabled(t) || simd_imm_size(i) < 2)
        return false;
    jit_clobber(t);
    vector_to_general(t, f64 ? 8 : 4, RAX, i->rn);
    if (is_unsigned && f64) {
        x86_test_rr(b, 1, RAX, RAX);
        slow = x86_jcc(b, CC_S);
    }
    x86_sse_rr(b, SSE_PXOR, XMM0, XMM0);
    x86_cvtsi2f(b, f64, f64 | is_unsigned, XMM0, RAX);
    x86_sse_rip(b, f64 ? SSE_MULSD : SSE_MULSS, XMM0,
                power_of_two(t, f64, -(int)simd_imm_right(i)));
    return finish_scalar(t, i, f64, slow);
}

bool emit_fcvtz_fixed_scalar(jit_t t, const struct insn *i)
{
    struct to_integer c = vector_to_integer_of(i);
    uint8_t *slow[3] = { NULL };

    if (!fp_enabled(t) || simd_imm_size(i) < 2)
        return false;
    jit_clobber(t);
    load_scalar(t, XMM0, c.f64, i->rn);
    vector_to_fixed(t, &c, simd_imm_right(i), slow);
    x86_movd_to(&t->hot, c.sf, XMM0, RAX);
    vector_store_low(t, i->rd, XMM0, c.f64 ? 8 : 4);
    jit_slow_paths(t, slow, 3);
    return true;
}
