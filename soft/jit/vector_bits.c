/*
 * Bits of lanes (DDI 0487 C4.1.96, "Advanced SIMD two-register miscellaneous"): counts of ones and
 * of leading zeros, bytes the other way around. EFLAGS stay.
 */
#include "soft/jit/vector.h"

/* XMM0 = `op` of a table's entries for both halves of each byte of XMM2. Changes XMM1 to XMM3. */
static void look_up_nibbles(jit_t t, enum x86_sse op, const uint8_t *low, const uint8_t *high)
{
    struct x86_buf *b = &t->hot;
    const uint8_t *mask = vector_literal(t, 0x0f0f0f0f0f0f0f0f, 0x0f0f0f0f0f0f0f0f);

    x86_sse_rr(b, SSE_MOVAPS, XMM3, XMM2);
    x86_sse_shift(b, SSE_SRL_W, XMM3, 4);
    x86_sse_rip(b, SSE_PAND, XMM2, mask);
    x86_sse_rip(b, SSE_PAND, XMM3, mask);
    x86_sse_rip(b, SSE_MOVAPS, XMM0, low);
    x86_sse_rip(b, SSE_MOVAPS, XMM1, high);
    x86_sse_rr(b, SSE_PSHUFB, XMM0, XMM2);
    x86_sse_rr(b, SSE_PSHUFB, XMM1, XMM3);
    x86_sse_rr(b, op, XMM0, XMM1);
}

bool emit_cnt(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    const uint8_t *counts = vector_literal(t, 0x0302020102010100, 0x0403030203020201);
    vector_load(t, XMM2, i->rn);
    look_up_nibbles(t, SSE_PADDB, counts, counts);
    vector_result(t, i, XMM0);
    return true;
}

bool emit_rbit_v(jit_t t, const struct insn *i)
{
    const uint64_t reversed = 0x8040201008040201;

    if (!vector_enabled(t))
        return false;
    if (t->jit->host.gfni) {
        const uint8_t *matrix = vector_literal(t, reversed, reversed);
        vector_load(t, XMM0, i->rn);
        x86_sse_rip_imm(&t->hot, SSE_GF2P8AFFINEQB, XMM0, matrix, 0);
    } else {
        const uint8_t *low = vector_literal(t, 0xe060a020c0408000, 0xf070b030d0509010);
        const uint8_t *high = vector_literal(t, 0x0e060a020c040800, 0x0f070b030d050901);
        vector_load(t, XMM2, i->rn);
        look_up_nibbles(t, SSE_PADDB, low, high);
    }
    vector_result(t, i, XMM0);
    return true;
}

/* CLZ, and CLS without U<29>: where the bits differ from the next higher one, the first one not
 * counted. Of a byte: of its upper half if that is not 0, which says less than 4, or else 4 and
 * that of its lower half. Of what is twice as wide: of its upper half, and if that is all zero that
 * of its lower half. */
bool emit_clz_v(jit_t t, const struct insn *i)
{
    static const enum x86_sse_shift shift[2] = { SSE_SRL_W, SSE_SRL_D };
    static const enum x86_sse equal[2] = { SSE_PCMPEQW, SSE_PCMPEQD };
    static const uint64_t low_half[2] = { 0x00ff00ff00ff00ff, 0x0000ffff0000ffff };
    static const uint64_t one[3] = { 0x0101010101010101, 0x0001000100010001, 0x0000000100000001 };
    static const uint64_t width[2] = { 0x0008000800080008, 0x0000001000000010 };
    struct x86_buf *b = &t->hot;
    unsigned scale = (unsigned)bits(i->word, 23, 22);

    if (!vector_enabled(t))
        return false;
    const uint8_t *low = vector_literal(t, 0x0505050506060708, 0x0404040404040404);
    const uint8_t *high = vector_literal(t, 0x0101010102020308, 0);
    vector_load(t, XMM2, i->rn);
    if (!bit(i->word, 29)) {
        x86_sse_rr(b, SSE_MOVAPS, XMM0, XMM2);
        vector_shift_right(t, XMM0, scale, 1, true);
        x86_sse_rr(b, SSE_PXOR, XMM2, XMM0);
    }
    look_up_nibbles(t, SSE_PMINUB, low, high);
    for (unsigned k = 0; k < scale; k++) {
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
        x86_sse_shift(b, shift[k], XMM1, 8u << k);
        x86_sse_rip(b, SSE_MOVAPS, XMM2, vector_literal(t, width[k], width[k]));
        x86_sse_rr(b, equal[k], XMM2, XMM1);
        x86_sse_rip(b, SSE_PAND, XMM0, vector_literal(t, low_half[k], low_half[k]));
        x86_sse_rr(b, SSE_PAND, XMM0, XMM2);
        x86_sse_rr(b, k ? SSE_PADDD : SSE_PADDW, XMM0, XMM1);
    }
    if (!bit(i->word, 29)) /* no element is 0, so nothing is borrowed */
        x86_sse_rip(b, SSE_PSUBB, XMM0, vector_literal(t, one[scale], one[scale]));
    vector_result(t, i, XMM0);
    return true;
}
