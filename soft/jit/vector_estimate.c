/*
 * Reciprocals and reciprocal square roots (DDI 0487 C7.2 FRECPE, FRSQRTE, FRECPS, FRSQRTS):
 * estimates of 8 bits by tables that UnsignedRecipEstimate() and UnsignedRSqrtEstimate() give, and
 * the steps that refine them, which are fused. Under the rules of vector_fp.c.
 */
#include "soft/jit/vector_fp.h"

/* The estimates' fractions: of 1 / x by the 8 highest bits of a fraction; of 1 / sqrt(x) by these
 * and the lowest bit of the exponent above them. */
static const struct {
    uint8_t recip[256], rsqrt[512];
} tables = {
    .recip = {
        255, 253, 251, 249, 247, 245, 243, 241, 240, 238, 236, 234, 232, 230, 229, 227,
        225, 223, 221, 220, 218, 216, 215, 213, 211, 210, 208, 206, 205, 203, 201, 200,
        198, 197, 195, 194, 192, 191, 189, 188, 186, 185, 183, 182, 180, 179, 177, 176,
        174, 173, 172, 170, 169, 167, 166, 165, 163, 162, 161, 159, 158, 157, 156, 154,
        153, 152, 150, 149, 148, 147, 145, 144, 143, 142, 141, 139, 138, 137, 136, 135,
        134, 132, 131, 130, 129, 128, 127, 126, 124, 123, 122, 121, 120, 119, 118, 117,
        116, 115, 114, 113, 112, 111, 110, 109, 108, 107, 106, 105, 104, 103, 102, 101,
        100, 99, 98, 97, 96, 95, 94, 93, 92, 91, 90, 89, 88, 88, 87, 86,
        85, 84, 83, 82, 81, 81, 80, 79, 78, 77, 76, 75, 75, 74, 73, 72,
        71, 70, 70, 69, 68, 67, 66, 66, 65, 64, 63, 63, 62, 61, 60, 59,
        59, 58, 57, 56, 56, 55, 54, 53, 53, 52, 51, 51, 50, 49, 48, 48,
        47, 46, 46, 45, 44, 44, 43, 42, 42, 41, 40, 40, 39, 38, 38, 37,
        36, 36, 35, 34, 34, 33, 32, 32, 31, 30, 30, 29, 29, 28, 27, 27,
        26, 26, 25, 24, 24, 23, 23, 22, 21, 21, 20, 20, 19, 18, 18, 17,
        17, 16, 16, 15, 15, 14, 13, 13, 12, 12, 11, 11, 10, 10, 9, 9,
        8, 7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0,
    },
    .rsqrt = {
        105, 105, 104, 104, 103, 103, 101, 101, 100, 100, 99, 99, 97, 97, 96, 96,
        95, 95, 93, 93, 92, 92, 91, 91, 90, 90, 88, 88, 87, 87, 86, 86,
        85, 85, 84, 84, 82, 82, 81, 81, 80, 80, 79, 79, 78, 78, 77, 77,
        76, 76, 75, 75, 74, 74, 72, 72, 71, 71, 70, 70, 69, 69, 68, 68,
        67, 67, 66, 66, 65, 65, 64, 64, 63, 63, 62, 62, 61, 61, 60, 60,
        60, 60, 59, 59, 58, 58, 57, 57, 56, 56, 55, 55, 54, 54, 53, 53,
        52, 52, 51, 51, 51, 51, 50, 50, 49, 49, 48, 48, 47, 47, 46, 46,
        46, 46, 45, 45, 44, 44, 43, 43, 42, 42, 42, 42, 41, 41, 40, 40,
        39, 39, 38, 38, 38, 38, 37, 37, 36, 36, 35, 35, 35, 35, 34, 34,
        33, 33, 33, 33, 32, 32, 31, 31, 30, 30, 30, 30, 29, 29, 28, 28,
        28, 28, 27, 27, 26, 26, 26, 26, 25, 25, 24, 24, 24, 24, 23, 23,
        22, 22, 22, 22, 21, 21, 20, 20, 20, 20, 19, 19, 19, 19, 18, 18,
        17, 17, 17, 17, 16, 16, 16, 16, 15, 15, 14, 14, 14, 14, 13, 13,
        13, 13, 12, 12, 11, 11, 11, 11, 10, 10, 10, 10, 9, 9, 9, 9,
        8, 8, 8, 8, 7, 7, 6, 6, 6, 6, 5, 5, 5, 5, 4, 4,
        4, 4, 3, 3, 3, 3, 2, 2, 2, 2, 1, 1, 1, 1, 0, 0,
        255, 255, 253, 253, 251, 251, 249, 249, 247, 247, 245, 245, 243, 243, 242, 242,
        240, 240, 238, 238, 236, 236, 234, 234, 233, 233, 231, 231, 229, 229, 228, 228,
        226, 226, 224, 224, 223, 223, 221, 221, 219, 219, 218, 218, 216, 216, 215, 215,
        213, 213, 212, 212, 210, 210, 209, 209, 207, 207, 206, 206, 204, 204, 203, 203,
        201, 201, 200, 200, 198, 198, 197, 197, 196, 196, 194, 194, 193, 193, 192, 192,
        190, 190, 189, 189, 188, 188, 186, 186, 185, 185, 184, 184, 183, 183, 181, 181,
        180, 180, 179, 179, 178, 178, 176, 176, 175, 175, 174, 174, 173, 173, 172, 172,
        170, 170, 169, 169, 168, 168, 167, 167, 166, 166, 165, 165, 164, 164, 163, 163,
        162, 162, 160, 160, 159, 159, 158, 158, 157, 157, 156, 156, 155, 155, 154, 154,
        153, 153, 152, 152, 151, 151, 150, 150, 149, 149, 148, 148, 147, 147, 146, 146,
        145, 145, 144, 144, 143, 143, 142, 142, 141, 141, 140, 140, 140, 140, 139, 139,
        138, 138, 137, 137, 136, 136, 135, 135, 134, 134, 133, 133, 132, 132, 131, 131,
        131, 131, 130, 130, 129, 129, 128, 128, 127, 127, 126, 126, 126, 126, 125, 125,
        124, 124, 123, 123, 122, 122, 121, 121, 121, 121, 120, 120, 119, 119, 118, 118,
        118, 118, 117, 117, 116, 116, 115, 115, 114, 114, 114, 114, 113, 113, 112, 112,
        111, 111, 111, 111, 110, 110, 109, 109, 109, 109, 108, 108, 107, 107, 106, 106,
    },
};

const uint8_t *jit_estimates(void)
{
    return (const uint8_t *)&tables;
}

/* RCX = the estimate of RAX, if that and the estimate are normal numbers, and for a square root
 * there is no sign; else jump. Changes RAX, RDX. */
static uint8_t *estimate(jit_t t, bool f64, bool rsqrt)
{
    struct x86_buf *b = &t->hot;
    unsigned fraction = f64 ? 52 : 23;
    int32_t mask = f64 ? 0x7ff : 0xff;

    x86_mov_rr(b, f64, RCX, RAX);
    x86_shift_ri(b, f64, X86_SHR, RCX, fraction); /* exponent and sign */
    x86_mov_rr(b, 0, RDX, RCX);
    if (!rsqrt)
        x86_alu_ri(b, 0, X86_AND, RDX, mask);
    x86_alu_ri(b, 0, X86_SUB, RDX, 1);
    x86_alu_ri(b, 0, X86_CMP, RDX, rsqrt ? mask - 1 : mask - 3);
    uint8_t *slow = x86_jcc(b, CC_AE);
    if (rsqrt) {
        x86_unary_r(b, 0, X86_NEG, RCX);
        x86_alu_ri(b, 0, X86_ADD, RCX, f64 ? 3 * 1023 - 1 : 3 * 127 - 1);
        x86_shift_ri(b, 0, X86_SHR, RCX, 1);
    } else {
        x86_alu_ri(b, 0, X86_XOR, RCX, mask);
        x86_alu_ri(b, 0, X86_SUB, RCX, 2);
    }
    x86_shift_ri(b, f64, X86_SHR, RAX, fraction - 8);
    x86_alu_ri(b, 0, X86_AND, RAX, rsqrt ? 0x1ff : 0xff);
    x86_mov_rm(b, 1, RDX, JIT_CPU(jit_estimates));
    x86_ext_rm(b, X86_ZX8, 0, RAX,
               (struct x86_mem){ RDX, RAX, 0, rsqrt ? sizeof tables.recip : 0 });
    x86_shift_ri(b, 0, X86_SHL, RCX, 8);
    x86_alu_rr(b, 0, X86_OR, RCX, RAX);
    x86_shift_ri(b, f64, X86_SHL, RCX, fraction - 8);
    return slow;
}

/* FRECPE, and with U<29> FRSQRTE, one by one. */
bool emit_festimate(jit_t t, const struct insn *i)
{
    bool f64 = is_double(i);
    unsigned scale = f64 ? 3 : 2;
    unsigned count = bit(i->word, 28) ? 1 : (bit(i->word, 30) ? 16u : 8u) >> scale;
    uint8_t *slow[4] = { NULL };

    if (!fp_enabled(t))
        return false;
    jit_clobber(t);
    for (unsigned k = 0; k < count; k++) {
        vector_element_general(t, scale, RAX, i->rn, k << scale);
        slow[k] = estimate(t, f64, bit(i->word, 29));
        if (k == 0)
            x86_movd_to(&t->hot, f64, XMM0, RCX);
        else
            x86_pinsr(&t->hot, 1u << scale, XMM0, RCX, k);
    }
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 4);
    return true;
}

/* A constant in the elements that the instruction has. */
static const uint8_t *lanes_literal(jit_t t, const struct insn *i, uint64_t f32, uint64_t f64)
{
    bool scalar = bit(i->word, 28);
    uint64_t low = is_double(i) ? f64 : scalar ? f32 : f32 << 32 | f32;

    return vector_literal(t, low, bit(i->word, 30) && !scalar ? low : 0);
}

/* FRECPS: 2 - n * m. FRSQRTS (bit 23): (3 - n * m) / 2 as 1.5 - n / 2 * m, where n / 2 is exact. */
bool emit_fstep(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    bool f64 = is_double(i), rsqrt = bit(i->word, 23);
    uint8_t *slow[3] = { NULL, NULL, NULL };

    if (!fp_enabled(t) || !t->jit->host.fma)
        return false;
    jit_clobber(t);
    load_lanes(t, i, XMM0, i->rn);
    load_lanes(t, i, XMM1, i->rm);
    slow[2] = if_infinite(t, f64);
    if (rsqrt) {
        and_literal(t, XMM3, XMM0, magnitude_mask(t, f64));
        x86_sse_rip(b, SSE_MOVAPS, XMM4, lanes_literal(t, i, 0x01000000, 0x0020000000000000));
        x86_sse_rr(b, f64 ? SSE_PCMPGTQ : SSE_PCMPGTD, XMM4, XMM3);
        slow[0] = if_any(t, XMM4);
        x86_sse_rip(b, f64 ? SSE_MULPD : SSE_MULPS, XMM0,
                    lanes_literal(t, i, 0x3f000000, 0x3fe0000000000000));
        x86_sse_rip(b, SSE_MOVAPS, XMM2, lanes_literal(t, i, 0x3fc00000, 0x3ff8000000000000));
    } else {
        x86_sse_rip(b, SSE_MOVAPS, XMM2, lanes_literal(t, i, 0x40000000, 0x4000000000000000));
    }
    x86_fma(b, X86_FNMADD, f64, false, XMM0, XMM1, XMM2);
    slow[1] = unless_lanes(t, XMM0, f64, false);
    vector_store(t, i->rd, XMM0);
    jit_slow_paths(t, slow, 3);
    return true;
}
