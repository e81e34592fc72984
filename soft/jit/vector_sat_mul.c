/*
 * Products that saturate beyond vector_sat.c's, sums of signed and unsigned elements that do, and
 * polynomial products of bytes (DDI 0487 C4.1.96). What saturates at all is the slow path's: of
 * doubled products only the square of the least number does, and nothing else gives the least.
 */
#include "soft/jit/vector_sat.h"

static unsigned scale_of(const struct insn *i)
{
    return (unsigned)bits(i->word, 23, 22);
}

/* XMM0 and XMM1 = the operands, by element with bit 24; zero above them in one of them. */
static void load_operands(jit_t t, const struct insn *i, unsigned scale)
{
    if (bit(i->word, 24))
        vector_by_element(t, i, scale, XMM1);
    else
        vector_load_elements(t, i, XMM1, i->rm, scale);
    vector_load_elements(t, i, XMM0, i->rn, scale);
}

/* Jump if an element of x is the least number. Changes XMM5. */
static uint8_t *if_least(jit_t t, enum x86_xmm x, unsigned scale)
{
    x86_sse_rip(&t->hot, SSE_MOVAPS, XMM5,
                vector_literal(t, vector_least[scale], vector_least[scale]));
    x86_sse_rr(&t->hot, vector_equal[scale], XMM5, x);
    return vector_if_any(t, XMM5);
}

/* XMM0 = acc + x, or acc - x. Jump if that overflows: the sign of x or its opposite and that of
 * acc are not the result's. Elements of 2, 4 or 8 bytes. Changes all three. */
static uint8_t *accumulate(jit_t t, bool subtracts, unsigned scale, enum x86_xmm acc,
                           enum x86_xmm x)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM0, acc);
    if (subtracts) { /* (acc ^ x) & (acc ^ result) */
        x86_sse_rr(b, vector_sub[scale], XMM0, x);
        x86_sse_rr(b, SSE_PXOR, x, acc);
    } else { /* (x ^ result) & (acc ^ result) */
        x86_sse_rr(b, vector_add[scale], XMM0, x);
        x86_sse_rr(b, SSE_PXOR, x, XMM0);
    }
    x86_sse_rr(b, SSE_PXOR, acc, XMM0);
    x86_sse_rr(b, SSE_PAND, x, acc);
    if (scale > 1) {
        x86_movmsk(b, scale == 3, RAX, x);
        x86_test_rr(b, 0, RAX, RAX);
        return x86_jcc(b, CC_NE);
    }
    x86_sse_shift(b, SSE_SRA_W, x, 15);
    return vector_if_any(t, x);
}

#define ODD 0xf5 /* of PSHUFD: elements 1 and 3 to 0 and 2 */

/* XMM0 = the high half of 2 * XMM0 * XMM1, rounded or not. Jump if that saturates. 16 bits changes
 * XMM2, 32 bits XMM2 and XMM3. */
static uint8_t *double_high(jit_t t, unsigned scale, bool rounds)
{
    struct x86_buf *b = &t->hot;

    if (scale == 1 && rounds) {
        x86_sse_rr(b, SSE_PMULHRSW, XMM0, XMM1);
    } else if (scale == 1) {
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
        x86_sse_rr(b, SSE_PMULHW, XMM0, XMM1);
        x86_sse_rr(b, SSE_PMULLW, XMM2, XMM1);
        x86_sse_shift(b, SSE_SLL_W, XMM0, 1);
        x86_sse_shift(b, SSE_SRL_W, XMM2, 15);
        x86_sse_rr(b, SSE_POR, XMM0, XMM2);
    } else {
        x86_sse_rri(b, SSE_PSHUFD, XMM2, XMM0, ODD);
        x86_sse_rri(b, SSE_PSHUFD, XMM3, XMM1, ODD);
        x86_sse_rr(b, SSE_PMULDQ, XMM0, XMM1);
        x86_sse_rr(b, SSE_PMULDQ, XMM2, XMM3);
        if (rounds) {
            const uint8_t *half = vector_literal(t, 1u << 30, 1u << 30);
            x86_sse_rip(b, SSE_PADDQ, XMM0, half);
            x86_sse_rip(b, SSE_PADDQ, XMM2, half);
        }
        x86_sse_shift(b, SSE_SRL_Q, XMM0, 31);
        x86_sse_rr(b, SSE_PADDQ, XMM2, XMM2);
        x86_sse_rri(b, SSE_PBLENDW, XMM0, XMM2, 0xcc);
    }
    return if_least(t, XMM0, scale);
}

/* SQDMULH; SQRDMULH: U<29>, by element opcode<12>. */
bool emit_sat_mul_high(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    load_operands(t, i, scale);
    uint8_t *slow = double_high(t, scale, bit(i->word, bit(i->word, 24) ? 12 : 29));
    vector_result(t, i, XMM0);
    jit_slow_path(t, slow, t->hot.p);
    return true;
}

/* SQRDMLAH, and SQRDMLSH (bit 11, by element bit 13), whose product is that of -n: what is rounded
 * is added to whole units of the result, so it can be rounded first. */
bool emit_sat_mul_high_add(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned scale = scale_of(i), n = 0;
    uint8_t *slow[3];

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    load_operands(t, i, scale);
    if (bit(i->word, bit(i->word, 24) ? 13 : 11)) {
        slow[n++] = if_least(t, XMM0, scale);
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
        x86_sse_rr(b, SSE_PXOR, XMM0, XMM0);
        x86_sse_rr(b, vector_sub[scale], XMM0, XMM2);
    }
    slow[n++] = double_high(t, scale, true);
    x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
    vector_load_elements(t, i, XMM2, i->rd, scale);
    slow[n++] = accumulate(t, false, scale, XMM2, XMM1);
    vector_result(t, i, XMM0);
    jit_slow_paths(t, slow, n);
    return true;
}

/* XMM0 = the products of the lower elements of XMM0 and XMM1, in twice the size. Changes XMM2. */
static void multiply_long(jit_t t, unsigned scale)
{
    struct x86_buf *b = &t->hot;

    if (scale == 1) {
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
        x86_sse_rr(b, SSE_PMULHW, XMM0, XMM1);
        x86_sse_rr(b, SSE_PMULLW, XMM2, XMM1);
        x86_sse_rr(b, SSE_PUNPCKLWD, XMM2, XMM0);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
    } else {
        x86_sse_rr(b, SSE_PMOVZXDQ, XMM0, XMM0);
        x86_sse_rr(b, SSE_PMOVZXDQ, XMM1, XMM1);
        x86_sse_rr(b, SSE_PMULDQ, XMM0, XMM1);
    }
}

/* SQDMULL, SQDMLAL, SQDMLSL: of the lower half, or with Q of the upper one; scalars. */
static bool double_long(jit_t t, const struct insn *i, bool adds, bool subtracts)
{
    unsigned scale = scale_of(i), n = 0;
    bool scalar = bit(i->word, 28), upper = bit(i->word, 30) && !scalar;
    uint8_t *slow[2];

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    if (scalar) {
        load_operands(t, i, scale);
    } else {
        if (bit(i->word, 24))
            vector_by_element(t, i, scale, XMM1);
        else
            vector_half(t, XMM1, i->rm, upper);
        vector_half(t, XMM0, i->rn, upper);
    }
    multiply_long(t, scale);
    x86_sse_rr(&t->hot, vector_add[scale + 1], XMM0, XMM0);
    slow[n++] = if_least(t, XMM0, scale + 1);
    if (adds) {
        x86_sse_rr(&t->hot, SSE_MOVAPS, XMM1, XMM0);
        vector_load_low(t, XMM2, i->rd, scalar ? 2u << scale : 16);
        slow[n++] = accumulate(t, subtracts, scale + 1, XMM2, XMM1);
    }
    if (scalar)
        vector_store_low(t, i->rd, XMM0, 2u << scale);
    else
        vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, n);
    return true;
}

bool emit_sqdmull(jit_t t, const struct insn *i)
{
    return double_long(t, i, false, false);
}

bool emit_sqdmlal(jit_t t, const struct insn *i)
{
    return double_long(t, i, true, false);
}

bool emit_sqdmlsl(jit_t t, const struct insn *i)
{
    return double_long(t, i, true, true);
}

/* SUQADD: a signed accumulator and an unsigned number; the sum is less only if it wraps. USQADD
 * (U<29>): unsigned and signed; less than before if and only if the number is negative. */
bool emit_sat_accumulate(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    vector_load_elements(t, i, XMM1, i->rn, scale);
    vector_load_elements(t, i, XMM2, i->rd, scale);
    x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
    x86_sse_rr(b, vector_add[scale], XMM0, XMM1);
    x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM0);
    if (bit(i->word, 29)) {
        const uint8_t *sign = vector_literal(t, vector_least[scale], vector_least[scale]);
        x86_sse_rip(b, SSE_PXOR, XMM2, sign);
        x86_sse_rip(b, SSE_PXOR, XMM3, sign);
    }
    x86_sse_rr(b, vector_greater[scale], XMM2, XMM3);
    if (bit(i->word, 29)) {
        x86_sse_rr(b, SSE_PXOR, XMM3, XMM3);
        x86_sse_rr(b, vector_greater[scale], XMM3, XMM1);
        x86_sse_rr(b, SSE_PXOR, XMM2, XMM3);
    }
    uint8_t *slow = vector_if_any(t, XMM2);
    vector_result(t, i, XMM0);
    jit_slow_path(t, slow, t->hot.p);
    return true;
}

/* XMM0 = the sum without carries of XMM0 shifted left by the bits that XMM1 has, of which each
 * element's are its upper 8: from the highest on, what there is doubles. Changes XMM2 to XMM4. */
static void polynomial(jit_t t, unsigned scale)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM0);
    x86_sse_rr(b, SSE_PXOR, XMM0, XMM0);
    for (unsigned k = 0; k < 8; k++) {
        if (k)
            x86_sse_rr(b, vector_add[scale], XMM0, XMM0);
        x86_sse_rr(b, SSE_PXOR, XMM3, XMM3);
        x86_sse_rr(b, vector_greater[scale], XMM3, XMM1);
        x86_sse_rr(b, SSE_PAND, XMM3, XMM2);
        x86_sse_rr(b, SSE_PXOR, XMM0, XMM3);
        if (k < 7)
            x86_sse_rr(b, vector_add[scale], XMM1, XMM1);
    }
}

bool emit_pmul(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    vector_load(t, XMM1, i->rm);
    polynomial(t, 0);
    vector_result(t, i, XMM0);
    return true;
}

bool vector_pmull_bytes(jit_t t, const struct insn *i)
{
    vector_widen(t, SSE_PMOVZXBW, XMM0, i->rn, bit(i->word, 30));
    vector_widen(t, SSE_PMOVZXBW, XMM1, i->rm, bit(i->word, 30));
    x86_sse_shift(&t->hot, SSE_SLL_W, XMM1, 8);
    polynomial(t, 1);
    vector_store(t, i->rd, XMM0);
    return true;
}
