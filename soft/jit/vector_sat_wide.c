/*
 * Saturating arithmetic that x86 does not have: of 32 and 64 bits, and what is the slow path's if
 * it saturates at all, by one shift back or one comparison (DDI 0487 C4.1.96).
 */
#include "soft/interp/simd.h"
#include "soft/jit/vector_sat.h"

static void load_low(jit_t t, enum x86_xmm x, unsigned v, unsigned scale)
{
    vector_load_low(t, x, v, scale == 3 ? 8 : 4);
    if (scale < 2)
        x86_sse_rip(&t->hot, SSE_PAND, x, vector_literal(t, ones(8u << scale), 0));
}

void vector_load_elements(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v, unsigned scale)
{
    if (bit(i->word, 28))
        load_low(t, x, v, scale);
    else
        vector_load_low(t, x, v, bit(i->word, 30) ? 16 : 8);
}

void vector_load_source(jit_t t, const struct insn *i, enum x86_xmm x, unsigned scale)
{
    if (bit(i->word, 28))
        load_low(t, x, i->rn, scale + 1);
    else
        vector_load(t, x, i->rn);
}

static bool result(jit_t t, const struct insn *i, enum x86_xmm x, uint8_t *slow)
{
    vector_result(t, i, x);
    jit_slow_path(t, slow, t->hot.p);
    return true;
}

/* Signed: the sign that both have (of a difference: n and not m) is not the result's. Unsigned: a
 * sum is less than n, n is less than what is taken away. */
bool vector_sat_add_wide(jit_t t, const struct insn *i, unsigned scale)
{
    struct x86_buf *b = &t->hot;
    bool subtracts = bit(i->word, 13);
    uint8_t *slow;

    jit_clobber(t);
    vector_load_elements(t, i, XMM0, i->rn, scale);
    vector_load_elements(t, i, XMM1, i->rm, scale);
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_rr(b, (subtracts ? vector_sub : vector_add)[scale], XMM2, XMM1);
    if (!bit(i->word, 29)) {
        if (subtracts) { /* (n ^ m) & (n ^ result) */
            x86_sse_rr(b, SSE_PXOR, XMM1, XMM0);
            x86_sse_rr(b, SSE_PXOR, XMM0, XMM2);
        } else { /* (n ^ result) & (m ^ result) */
            x86_sse_rr(b, SSE_PXOR, XMM0, XMM2);
            x86_sse_rr(b, SSE_PXOR, XMM1, XMM2);
        }
        x86_sse_rr(b, SSE_PAND, XMM0, XMM1);
        x86_movmsk(b, scale == 3, RAX, XMM0);
        x86_test_rr(b, 0, RAX, RAX);
        slow = x86_jcc(b, CC_NE);
    } else { /* the greater one of n and XMM1 has to be this */
        enum x86_xmm greater = subtracts ? XMM0 : XMM2, less = subtracts ? XMM1 : XMM0;
        if (scale == 2) {
            x86_sse_rr(b, SSE_PMAXUD, less, greater);
            x86_sse_rr(b, SSE_PCMPEQD, less, greater);
            slow = vector_unless_all(t, less);
        } else {
            const uint8_t *sign = vector_literal(t, 1ull << 63, 1ull << 63);
            x86_sse_rip(b, SSE_MOVAPS, XMM3, sign);
            x86_sse_rr(b, SSE_PXOR, less, XMM3);
            x86_sse_rr(b, SSE_PXOR, XMM3, greater);
            x86_sse_rr(b, SSE_PCMPGTQ, less, XMM3);
            x86_movmsk(b, true, RAX, less);
            x86_test_rr(b, 0, RAX, RAX);
            slow = x86_jcc(b, CC_NE);
        }
    }
    return result(t, i, XMM2, slow);
}

/* SQABS, SQNEG (U<29>): all but the least number, which is its own opposite. */
bool emit_sat_abs(jit_t t, const struct insn *i)
{
    static const enum x86_sse absolute[3] = { SSE_PABSB, SSE_PABSW, SSE_PABSD };
    struct x86_buf *b = &t->hot;
    unsigned scale = (unsigned)bits(i->word, 23, 22);

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    vector_load_elements(t, i, XMM0, i->rn, scale);
    x86_sse_rip(b, SSE_MOVAPS, XMM1, vector_literal(t, vector_least[scale], vector_least[scale]));
    x86_sse_rr(b, vector_equal[scale], XMM1, XMM0);
    uint8_t *slow = vector_if_any(t, XMM1);
    x86_sse_rr(b, SSE_PXOR, XMM2, XMM2);
    if (bit(i->word, 29)) {
        x86_sse_rr(b, vector_sub[scale], XMM2, XMM0);
    } else if (scale < 3) {
        x86_sse_rr(b, absolute[scale], XMM2, XMM0);
    } else { /* (n ^ sign) - sign */
        x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(b, SSE_PCMPGTQ, XMM1, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
        x86_sse_rr(b, SSE_PXOR, XMM2, XMM1);
        x86_sse_rr(b, SSE_PSUBQ, XMM2, XMM1);
    }
    return result(t, i, XMM2, slow);
}

#define EVEN_WORDS 0x08 /* of PSHUFD: elements 0 and 2 to the lower half */

bool vector_sat_narrow_wide(jit_t t, const struct insn *i, bool is_signed)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rri(b, SSE_PSHUFD, XMM1, XMM0, EVEN_WORDS);
    x86_sse_rr(b, is_signed ? SSE_PMOVSXDQ : SSE_PMOVZXDQ, XMM2, XMM1);
    x86_sse_rr(b, SSE_PCMPEQQ, XMM2, XMM0);
    uint8_t *slow = vector_unless_all(t, XMM2);
    if (bit(i->word, 30) && !bit(i->word, 28)) {
        vector_load(t, XMM0, i->rd);
        x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM0, XMM1);
    } else {
        x86_sse_rr(b, SSE_MOVQ, XMM0, XMM1);
    }
    vector_store(t, i->rd, XMM0);
    jit_slow_path(t, slow, t->hot.p);
    return true;
}

bool vector_sat_shift_narrow_wide(jit_t t, const struct insn *i, unsigned n, bool is_unsigned,
                                  bool to_signed)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
    vector_shift_right(t, XMM0, 3, n, !is_unsigned);
    if (bit(i->word, 11)) { /* the highest bit that is lost */
        x86_sse_shift(b, SSE_SLL_Q, XMM1, 64 - n);
        x86_sse_shift(b, SSE_SRL_Q, XMM1, 63);
        x86_sse_rr(b, SSE_PADDQ, XMM0, XMM1);
    }
    return vector_sat_narrow_wide(t, i, to_signed);
}

/* SQSHL, UQSHL (U<29>), and with bit 12 clear SQSHLU: shifted back it has to be the same, of SQSHLU
 * as if it had no sign, and there must be none. */
bool emit_sat_shl(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned scale = simd_imm_size(i), n = simd_imm_left(i);
    bool is_signed = !bit(i->word, 29);

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    vector_load_elements(t, i, XMM0, i->rn, scale);
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
    vector_shift_left(t, XMM2, scale, n);
    x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM2);
    if (n)
        vector_shift_right(t, XMM3, scale, n, is_signed);
    x86_sse_rr(b, vector_equal[scale], XMM3, XMM0);
    if (!is_signed && !bit(i->word, 12)) { /* and it is not negative */
        x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(b, vector_greater[scale], XMM1, XMM0);
        x86_sse_rr(b, SSE_PANDN, XMM1, XMM3);
        x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM1);
    }
    return result(t, i, XMM2, vector_unless_all(t, XMM3));
}
