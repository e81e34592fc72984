/*
 * Saturating arithmetic and narrowing of 8 and 16 bits (DDI 0487 C4.1.96), where x86 saturates the
 * same way. A result that is not the one without saturation sets FPSR.QC, in the cold part. Wider
 * elements are vector_sat_wide.c's.
 */
#include "soft/interp/simd.h"
#include "soft/jit/vector_sat.h"

/* XMM4 is all ones where nothing saturated. Changes RAX. */
static void note_saturation(jit_t t)
{
    uint8_t *out = vector_unless_all(t, XMM4);
    x86_patch(out, t->cold.p);
    x86_alu_mi(&t->cold, 0, X86_OR, JIT_CPU(fpsr), (int32_t)FPSR_QC);
    uint8_t *back = x86_jmp(&t->cold);
    x86_patch(back, t->hot.p);
}

/* SQADD, UQADD, SQSUB, UQSUB: U<29>, bit 13 is SUB. */
bool emit_sat_add(jit_t t, const struct insn *i)
{
    static const enum x86_sse saturating[2][2][2] = {
        { { SSE_PADDSB, SSE_PADDSW }, { SSE_PSUBSB, SSE_PSUBSW } },
        { { SSE_PADDUSB, SSE_PADDUSW }, { SSE_PSUBUSB, SSE_PSUBUSW } },
    };
    static const enum x86_sse plain[2][2] = { { SSE_PADDB, SSE_PADDW }, { SSE_PSUBB, SSE_PSUBW } };
    struct x86_buf *b = &t->hot;
    unsigned scale = (unsigned)bits(i->word, 23, 22);

    if (!vector_enabled(t))
        return false;
    if (scale > 1)
        return vector_sat_add_wide(t, i, scale);
    jit_clobber(t);
    vector_load_elements(t, i, XMM0, i->rn, scale);
    vector_load_elements(t, i, XMM1, i->rm, scale);
    x86_sse_rr(b, SSE_MOVAPS, XMM4, XMM0);
    x86_sse_rr(b, saturating[bit(i->word, 29)][bit(i->word, 13)][scale], XMM0, XMM1);
    x86_sse_rr(b, plain[bit(i->word, 13)][scale], XMM4, XMM1);
    x86_sse_rr(b, SSE_PCMPEQB, XMM4, XMM0);
    note_saturation(t);
    vector_result(t, i, XMM0);
    return true;
}

enum narrowing { SIGNED, UNSIGNED, SIGNED_TO_UNSIGNED };

/* To the upper half? */
static bool is_upper(const struct insn *i)
{
    return bit(i->word, 30) && !bit(i->word, 28);
}

/* XMM0, elements of twice the size, narrowed: to the lower half, or with Q the upper one. */
static void narrow(jit_t t, const struct insn *i, unsigned scale, enum narrowing how)
{
    static const enum x86_sse pack[2][2] = { { SSE_PACKSSWB, SSE_PACKSSDW },
                                             { SSE_PACKUSWB, SSE_PACKUSDW } };
    static const enum x86_sse widen[2][2] = { { SSE_PMOVSXBW, SSE_PMOVSXWD },
                                              { SSE_PMOVZXBW, SSE_PMOVZXWD } };
    struct x86_buf *b = &t->hot;
    uint64_t top = scale ? 0x0000ffff0000ffff : 0x00ff00ff00ff00ff;

    x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
    if (how == UNSIGNED) /* x86 takes signed ones */
        x86_sse_rip(b, scale ? SSE_PMINUD : SSE_PMINUW, XMM1, vector_literal(t, top, top));
    x86_sse_rr(b, pack[how != SIGNED][scale], XMM1, XMM1);
    x86_sse_rr(b, widen[how != SIGNED][scale], XMM4, XMM1);
    x86_sse_rr(b, SSE_PCMPEQB, XMM4, XMM0);
    note_saturation(t);
    if (is_upper(i)) {
        vector_load(t, XMM0, i->rd);
        x86_sse_rr(b, SSE_PUNPCKLQDQ, XMM0, XMM1);
    } else {
        x86_sse_rr(b, SSE_MOVQ, XMM0, XMM1);
    }
    vector_store(t, i->rd, XMM0);
}

/* SQXTN, UQXTN (U<29>), and SQXTUN (U, bit 14 clear). */
bool emit_sat_narrow(jit_t t, const struct insn *i)
{
    unsigned scale = (unsigned)bits(i->word, 23, 22);

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    vector_load_source(t, i, XMM0, scale);
    if (scale > 1)
        return vector_sat_narrow_wide(t, i, !bit(i->word, 29));
    narrow(t, i, scale,
           !bit(i->word, 14)  ? SIGNED_TO_UNSIGNED
           : bit(i->word, 29) ? UNSIGNED
                              : SIGNED);
    return true;
}

/* The same behind a right shift, with bit 11 rounded: SQSHRN, UQSHRN (U<29>), SQSHRUN (U, bit 12
 * clear), SQRSHRN ... The rounding bit is added behind the shift, where it cannot overflow. */
bool emit_sat_shift_narrow(jit_t t, const struct insn *i)
{
    static const enum x86_sse_shift right[2][2] = { { SSE_SRA_W, SSE_SRA_D },
                                                    { SSE_SRL_W, SSE_SRL_D } };
    struct x86_buf *b = &t->hot;
    unsigned scale = simd_imm_size(i), n = simd_imm_right(i);
    enum narrowing how = !bit(i->word, 12)  ? SIGNED_TO_UNSIGNED
                         : bit(i->word, 29) ? UNSIGNED
                                            : SIGNED;

    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    vector_load_source(t, i, XMM0, scale);
    if (scale > 1)
        return vector_sat_shift_narrow_wide(t, i, n, how == UNSIGNED, how == SIGNED);
    if (bit(i->word, 11)) {
        x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
        x86_sse_shift(b, scale ? SSE_SLL_D : SSE_SLL_W, XMM1, (16u << scale) - n);
        x86_sse_shift(b, scale ? SSE_SRL_D : SSE_SRL_W, XMM1, (16u << scale) - 1);
    }
    x86_sse_shift(b, right[how == UNSIGNED][scale], XMM0, n);
    if (bit(i->word, 11))
        x86_sse_rr(b, scale ? SSE_PADDD : SSE_PADDW, XMM0, XMM1);
    narrow(t, i, scale, how);
    return true;
}
