/*
 * Shifts of each element by the other register's (DDI 0487 C7.2 SSHL, USHL, SRSHL, URSHL, SQSHL,
 * UQSHL, SQRSHL, UQRSHL): the low byte of each element of m says how far to the left, or if it is
 * negative to the right. What saturates is the slow path's.
 *
 * AVX2 has such shifts of 32 and 64 bits, in which a count that is too large leaves nothing. For 8
 * and 16 bits a shift is a product with a power of two, and these come out of a table of bytes:
 * PSHUFB gives zero for an index from 0x80 on, so all counts but 0 to 15 are made such ones.
 */
#include "soft/jit/vector.h"

#define BYTES(value) ((uint64_t)(value) * 0x0101010101010101)
#define WORDS(value) ((uint64_t)(value) * 0x0001000100010001)

static void load_every(jit_t t, enum x86_sse op, enum x86_xmm x, uint64_t value)
{
    x86_sse_rip(&t->hot, op, x, vector_literal(t, value, value));
}

/* Words of x = 2 to the power of the counts in the words of `index`, each of which has its count in
 * both bytes; 0 unless that + `plus` is 0 to 15. Changes index. */
static void powers(jit_t t, enum x86_xmm x, enum x86_xmm index, unsigned plus)
{
    load_every(t, SSE_PADDB, index, WORDS(plus | ((plus - 8) & 0xff) << 8));
    load_every(t, SSE_PADDUSB, index, BYTES(0x70));
    x86_sse_rip(&t->hot, SSE_MOVAPS, x, vector_literal(t, 0x8040201008040201, 0));
    x86_sse_rr(&t->hot, SSE_PSHUFB, x, index);
}

/* What is shifted: a V register, or from here on an xmm register. */
enum { SOURCE_XMM = 32 };

static void source_op(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned n)
{
    if (n < SOURCE_XMM)
        vector_op(t, op, x, n);
    else
        x86_sse_rr(&t->hot, op, x, (enum x86_xmm)(n - SOURCE_XMM));
}

/* XMM0 = n shifted by XMM4: bytes in the upper halves of words are multiplied by 256 times the
 * power, so that the result is in the lower byte of the upper half of the product. */
static void shift_bytes(jit_t t, unsigned n, bool is_signed)
{
    struct x86_buf *b = &t->hot;

    if (is_signed) /* further to the right than by 8 is by 8 */
        load_every(t, SSE_PMAXSB, XMM4, BYTES(0xf8));
    for (unsigned half = 0; half < 2; half++) {
        enum x86_sse unpack = half ? SSE_PUNPCKHBW : SSE_PUNPCKLBW;
        enum x86_xmm x = half ? XMM5 : XMM0;
        x86_sse_rr(b, SSE_PXOR, x, x);
        source_op(t, unpack, x, n);
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM4);
        x86_sse_rr(b, unpack, XMM2, XMM2);
        powers(t, XMM1, XMM2, 8);
        x86_sse_rr(b, is_signed ? SSE_PMULHW : SSE_PMULHUW, x, XMM1);
        load_every(t, SSE_PAND, x, WORDS(0xff));
    }
    x86_sse_rr(b, SSE_PACKUSWB, XMM0, XMM5);
}

/* The same of 16 bits: the lower half of a product with 2^s, or the upper half of one with 2^(16+s)
 * where s is negative; of signed ones, of what differs from the sign. */
static void shift_words(jit_t t, unsigned n, bool is_signed)
{
    struct x86_buf *b = &t->hot;

    x86_sse_rip(b, SSE_PSHUFB, XMM4, vector_literal(t, 0x0606040402020000, 0x0e0e0c0c0a0a0808));
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM4);
    powers(t, XMM0, XMM2, 0);
    source_op(t, SSE_PMULLW, XMM0, n);
    x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM4);
    powers(t, XMM1, XMM2, 16);
    source_op(t, SSE_MOVAPS, XMM5, n);
    if (is_signed) {
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM5);
        x86_sse_shift(b, SSE_SRA_W, XMM2, 15);
        x86_sse_rr(b, SSE_PXOR, XMM5, XMM2);
        x86_sse_shift(b, SSE_SRA_W, XMM4, 15);
        x86_sse_rr(b, SSE_PAND, XMM2, XMM4);
    }
    x86_sse_rr(b, SSE_PMULHUW, XMM5, XMM1);
    if (is_signed)
        x86_sse_rr(b, SSE_PXOR, XMM5, XMM2);
    x86_sse_rr(b, SSE_POR, XMM0, XMM5);
}

/* Of 32 and 64 bits. There is no arithmetic shift of 64 bits: what differs from the sign is
 * shifted. */
static void shift_wide(jit_t t, unsigned scale, unsigned n, bool is_signed)
{
    struct x86_buf *b = &t->hot;
    bool w = scale == 3;

    x86_sse_rip(b, SSE_PSHUFB, XMM4, vector_literal(t, w ? 0x0800 : 0x0c080400, 0));
    x86_sse_rr(b, w ? SSE_PMOVSXBQ : SSE_PMOVSXBD, XMM4, XMM4);
    source_op(t, SSE_MOVAPS, XMM0, n);
    x86_shift_each(b, X86_SLL_EACH, w, XMM1, XMM0, XMM4);
    x86_sse_rr(b, SSE_PXOR, XMM2, XMM2);
    x86_sse_rr(b, w ? SSE_PSUBQ : SSE_PSUBD, XMM2, XMM4);
    if (w && is_signed) {
        x86_sse_rr(b, SSE_PXOR, XMM5, XMM5);
        x86_sse_rr(b, SSE_PCMPGTQ, XMM5, XMM0);
        x86_sse_rr(b, SSE_PXOR, XMM0, XMM5);
    }
    x86_shift_each(b, is_signed && !w ? X86_SRA_EACH : X86_SRL_EACH, w, XMM0, XMM0, XMM2);
    if (w && is_signed)
        x86_sse_rr(b, SSE_PXOR, XMM0, XMM5);
    if (is_signed) { /* only where the count is negative */
        x86_sse_rr(b, SSE_PXOR, XMM2, XMM2);
        x86_sse_rr(b, w ? SSE_PCMPGTQ : SSE_PCMPGTD, XMM2, XMM4);
        x86_sse_rr(b, SSE_PAND, XMM0, XMM2);
    }
    x86_sse_rr(b, SSE_POR, XMM0, XMM1);
}

/* XMM0 = n shifted by the low bytes of XMM4. Changes all scratch registers but XMM3. */
static void shift(jit_t t, unsigned scale, unsigned n, bool is_signed)
{
    if (scale == 0)
        shift_bytes(t, n, is_signed);
    else if (scale == 1)
        shift_words(t, n, is_signed);
    else
        shift_wide(t, scale, n, is_signed);
}

/* XMM3 = the highest bit that a shift to the right loses, which rounding adds. */
static void lost_bit(jit_t t, const struct insn *i, unsigned scale, bool is_signed)
{
    static const enum x86_sse_shift up[4] = { 0, SSE_SLL_W, SSE_SLL_D, SSE_SLL_Q };
    static const enum x86_sse_shift down[4] = { SSE_SRL_W, SSE_SRL_W, SSE_SRL_D, SSE_SRL_Q };
    struct x86_buf *b = &t->hot;
    unsigned width = 8u << scale;

    vector_load(t, XMM4, i->rm);
    load_every(t, SSE_PADDSB, XMM4, BYTES(1));
    shift(t, scale, i->rn, is_signed);
    vector_load(t, XMM3, i->rm); /* the sign of the count, as a number */
    if (scale > 0)
        x86_sse_shift(b, up[scale], XMM3, width - 8);
    x86_sse_shift(b, down[scale], XMM3, width - 1);
    if (scale == 0)
        load_every(t, SSE_PAND, XMM3, BYTES(1));
    x86_sse_rr(b, SSE_PAND, XMM3, XMM0);
}

/* Jump if the result, XMM3, shifted back is not what it was, where the count is not negative. */
static uint8_t *unless_same(jit_t t, const struct insn *i, unsigned scale, bool is_signed)
{
    static const uint64_t low_byte[4][2] = { { 0x0706050403020100, 0x0f0e0d0c0b0a0908 },
                                             { 0x0606040402020000, 0x0e0e0c0c0a0a0808 },
                                             { 0x0404040400000000, 0x0c0c0c0c08080808 },
                                             { 0, 0x0808080808080808 } };
    struct x86_buf *b = &t->hot;
    unsigned bytes = bit(i->word, 28) ? 1u << scale : bit(i->word, 30) ? 16 : 8;

    x86_sse_rr(b, SSE_PXOR, XMM4, XMM4);
    vector_op(t, SSE_PSUBSB, XMM4, i->rm);
    shift(t, scale, SOURCE_XMM + XMM3, is_signed);
    vector_op(t, vector_equal[scale], XMM0, i->rn);
    vector_load(t, XMM4, i->rm);
    if (scale)
        x86_sse_rip(b, SSE_PSHUFB, XMM4, vector_literal(t, low_byte[scale][0], low_byte[scale][1]));
    x86_sse_rr(b, SSE_POR, XMM0, XMM4); /* signs are all that count */
    x86_pmovmskb(b, RAX, XMM0);
    x86_alu_ri(b, 0, X86_OR, RAX, (int32_t)(0xffff & ~ones(bytes)));
    x86_alu_ri(b, 0, X86_CMP, RAX, 0xffff);
    return x86_jcc(b, CC_NE);
}

/* U<29>; R<12> rounds, S<11> saturates. */
bool emit_shift_each(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned scale = (unsigned)bits(i->word, 23, 22);
    bool is_signed = !bit(i->word, 29), rounds = bit(i->word, 12), saturates = bit(i->word, 11);
    uint8_t *slow = NULL;

    if (!vector_enabled(t) || (scale > 1 && !t->jit->host.avx2))
        return false;
    if (saturates)
        jit_clobber(t);
    if (rounds)
        lost_bit(t, i, scale, is_signed);
    vector_load(t, XMM4, i->rm);
    shift(t, scale, i->rn, is_signed);
    if (rounds)
        x86_sse_rr(b, vector_add[scale], XMM0, XMM3);
    if (saturates) {
        x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM0);
        slow = unless_same(t, i, scale, is_signed);
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM3);
    }
    if (bit(i->word, 28) && scale < 3)
        x86_sse_rip(b, SSE_PAND, XMM0, vector_literal(t, ones(8u << scale), 0));
    vector_result(t, i, XMM0);
    jit_slow_paths(t, &slow, 1);
    return true;
}
