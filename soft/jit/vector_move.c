/*
 * Moves of SIMD&FP registers: copies, immediates, permutations, tables (DDI 0487 C4.1.96). No
 * arithmetic, so nothing here can be inexact or change EFLAGS.
 */
#include "soft/interp/simd.h"
#include "soft/jit/vector_fp16.h"

/* Copies. imm5 = index : 1 : zeros, with as many zeros as log2 of the element's bytes. */

static unsigned copy_scale(const struct insn *i)
{
    return (unsigned)__builtin_ctz((unsigned)bits(i->word, 20, 16) | 16);
}

static unsigned copy_offset(const struct insn *i)
{
    unsigned scale = copy_scale(i);

    return (unsigned)bits(i->word, 20, 16) >> (scale + 1) << scale;
}

void vector_element(jit_t t, enum x86_xmm x, unsigned scale, unsigned v, unsigned offset)
{
    struct x86_buf *b = &t->hot;
    enum x86_xmm copy;

    if (scale < 2) {
        vector_element_general(t, scale, RAX, v, offset);
        x86_movd_to(b, 0, x, RAX);
    } else if (!vector_cached(t, v, &copy)) {
        x86_sse_rm(b, scale == 2 ? SSE_MOVSS : SSE_MOVQ, x, vector_byte(t, v, offset));
    } else if (scale == 2) {
        x86_sse_rri(b, SSE_INSERTPS, x, copy, offset >> 2 << 6 | 0x0e);
    } else if (offset) {
        x86_sse_rr(b, SSE_MOVAPS, x, copy);
        x86_sse_shift(b, SSE_SRL_DQ, x, 8);
    } else {
        x86_sse_rr(b, SSE_MOVQ, x, copy);
    }
}

void vector_element_general(jit_t t, unsigned scale, enum x86_reg d, unsigned v, unsigned offset)
{
    struct x86_buf *b = &t->hot;
    enum x86_xmm copy;

    if (vector_cached(t, v, &copy) && scale >= 2 && !offset)
        x86_movd_from(b, scale == 3, d, copy);
    else if (vector_cached(t, v, &copy))
        x86_pextr(b, 1u << scale, d, copy, offset >> scale);
    else if (scale < 2)
        x86_ext_rm(b, scale ? X86_ZX16 : X86_ZX8, 0, d, vector_byte(t, v, offset));
    else
        x86_mov_rm(b, scale == 3, d, vector_byte(t, v, offset));
}

void vector_element_everywhere(jit_t t, enum x86_xmm x, unsigned scale, unsigned v, unsigned offset)
{
    struct x86_buf *b = &t->hot;
    enum x86_xmm copy;
    unsigned k = offset >> scale;

    if (!vector_cached(t, v, &copy)) {
        vector_element(t, x, scale, v, offset);
        vector_replicate(t, x, scale);
    } else if (scale < 2) {
        uint64_t bytes =
            scale ? 0x0100010001000100 + offset * 0x0101010101010101 : offset * 0x0101010101010101;
        x86_sse_rr(b, SSE_MOVAPS, x, copy);
        x86_sse_rip(b, SSE_PSHUFB, x, vector_literal(t, bytes, bytes));
    } else {
        x86_sse_rri(b, SSE_PSHUFD, x, copy, scale == 2 ? k * 0x55 : k ? 0xee : 0x44);
    }
}

bool emit_dup_element(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_element_everywhere(t, XMM0, copy_scale(i), i->rn, copy_offset(i));
    vector_result(t, i, XMM0);
    return true;
}

bool emit_dup_scalar(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_element(t, XMM0, copy_scale(i), i->rn, copy_offset(i));
    vector_store_low(t, i->rd, XMM0, 8);
    return true;
}

static unsigned general(unsigned reg)
{
    return reg == 31 ? REG_ZR : reg;
}

bool emit_dup_general(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    x86_movd_to(&t->hot, 1, XMM0, jit_use(t, general(i->rn), RAX));
    vector_replicate(t, XMM0, copy_scale(i));
    vector_result(t, i, XMM0);
    return true;
}

bool emit_ins_general(jit_t t, const struct insn *i)
{
    unsigned scale = copy_scale(i);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rd);
    x86_pinsr(&t->hot, 1u << scale, XMM0, jit_use(t, general(i->rn), RAX), copy_offset(i) >> scale);
    vector_store(t, i->rd, XMM0);
    return true;
}

bool emit_ins_element(jit_t t, const struct insn *i)
{
    unsigned scale = copy_scale(i), from = (unsigned)bits(i->word, 14, 11) >> scale << scale;
    enum x86_xmm copy;

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rd);
    if (vector_cached(t, i->rn, &copy) && scale == 2) {
        x86_sse_rri(&t->hot, SSE_INSERTPS, XMM0, copy, from >> 2 << 6 | copy_offset(i) >> 2 << 4);
    } else if (vector_cached(t, i->rn, &copy)) {
        vector_element_general(t, scale, RAX, i->rn, from);
        x86_pinsr(&t->hot, 1u << scale, XMM0, RAX, copy_offset(i) >> scale);
    } else {
        x86_pinsr_m(&t->hot, 1u << scale, XMM0, vector_byte(t, i->rn, from),
                    copy_offset(i) >> scale);
    }
    vector_store(t, i->rd, XMM0);
    return true;
}

/* UMOV and SMOV: X86_* extension of the element; 64 bits for SMOV with Q. */
static bool move_to_general(jit_t t, const struct insn *i, bool is_signed)
{
    static const enum x86_extend extend[3] = { X86_SX8, X86_SX16, X86_SX32 };
    unsigned scale = copy_scale(i), rd = i->rd == 31 ? REG_NONE : i->rd;
    enum x86_reg d = jit_def(t, rd, RAX);

    if (!vector_enabled(t))
        return false;
    vector_element_general(t, scale, d, i->rn, copy_offset(i));
    if (is_signed)
        x86_ext_rr(&t->hot, extend[scale], bit(i->word, 30), d, d);
    jit_done(t, rd, d);
    return true;
}

bool emit_umov(jit_t t, const struct insn *i)
{
    return move_to_general(t, i, false);
}

bool emit_smov(jit_t t, const struct insn *i)
{
    return move_to_general(t, i, true);
}

/* FMOV to and from general registers: type<23:22> 0 single, 1 double, 2 the upper half, 3 half. */
bool emit_fmov_to_general(jit_t t, const struct insn *i)
{
    unsigned type = (unsigned)bits(i->word, 23, 22), rd = i->rd == 31 ? REG_NONE : i->rd;
    enum x86_reg d = jit_def(t, rd, RAX);

    if (!vector_enabled(t))
        return false;
    if (type == 3)
        vector_element_general(t, 1, d, i->rn, 0);
    else if (type == 2)
        vector_element_general(t, 3, d, i->rn, 8);
    else
        vector_to_general(t, type ? 8 : 4, d, i->rn);
    jit_done(t, rd, d);
    return true;
}

bool emit_fmov_from_general(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned type = (unsigned)bits(i->word, 23, 22);

    if (!vector_enabled(t))
        return false;
    enum x86_reg n = jit_use(t, general(i->rn), RAX);
    if (type == 2) {
        vector_load(t, XMM0, i->rd);
        x86_pinsr(b, 8, XMM0, n, 1);
    } else if (type == 3) {
        x86_ext_rr(b, X86_ZX16, 0, RAX, n);
        x86_movd_to(b, 0, XMM0, RAX);
    } else {
        x86_movd_to(b, type, XMM0, n);
    }
    vector_store_low(t, i->rd, XMM0, type == 2 ? 16 : 8);
    return true;
}

/* Scalar FMOV, FABS, FNEG: opcode<20:15> 0, 1, 2. */
bool emit_fmov(jit_t t, const struct insn *i)
{
    static const uint64_t sign_of[4] = { 1ull << 31, 1ull << 63, 0, 1ull << 15 };
    unsigned type = (unsigned)bits(i->word, 23, 22), opcode = (unsigned)bits(i->word, 20, 15);
    uint64_t sign = sign_of[type];

    if (!vector_enabled(t))
        return false;
    if (type == 3)
        vector_element(t, XMM0, 1, i->rn, 0);
    else
        vector_load_low(t, XMM0, i->rn, type ? 8 : 4);
    if (opcode == 1)
        x86_sse_rip(&t->hot, SSE_PAND, XMM0, vector_literal(t, sign - 1, 0));
    else if (opcode == 2)
        x86_sse_rip(&t->hot, SSE_PXOR, XMM0, vector_literal(t, sign, 0));
    vector_store_low(t, i->rd, XMM0, type == 1 ? 8 : 4);
    return true;
}

/* The moves are of general registers, by CMOV. Flags stay. */
bool emit_fcsel(jit_t t, const struct insn *i)
{
    unsigned type = (unsigned)bits(i->word, 23, 22), cond = (unsigned)bits(i->word, 15, 12);

    if (!vector_enabled(t))
        return false;
    if (type == 3)
        return vector_half_fcsel(t, i);
    if (cond >= 14) {
        vector_load_low(t, XMM0, i->rn, type ? 8 : 4);
        vector_store_low(t, i->rd, XMM0, type ? 8 : 4);
        return true;
    }
    enum x86_cc cc = jit_condition(t, cond);
    vector_to_general(t, type ? 8 : 4, RCX, i->rm);
    vector_to_general(t, type ? 8 : 4, RDX, i->rn);
    x86_cmov_rr(&t->hot, type, cc, RCX, RDX);
    x86_movd_to(&t->hot, type, XMM0, RCX);
    vector_store_low(t, i->rd, XMM0, type ? 8 : 4);
    return true;
}

/* Immediates. */

static void write_constant(jit_t t, const struct insn *i, uint64_t low, uint64_t high)
{
    vector_constant(t, XMM0, low, high);
    vector_store(t, i->rd, XMM0);
}

bool emit_movi(jit_t t, const struct insn *i)
{
    uint64_t imm = simd_modified_immediate(i);

    if (!vector_enabled(t))
        return false;
    write_constant(t, i, imm, bit(i->word, 30) ? imm : 0);
    return true;
}

bool emit_mvni(jit_t t, const struct insn *i)
{
    uint64_t imm = ~simd_modified_immediate(i);

    if (!vector_enabled(t))
        return false;
    write_constant(t, i, imm, bit(i->word, 30) ? imm : 0);
    return true;
}

/* ORR, or with op<29> BIC. */
bool emit_vlogic_imm(jit_t t, const struct insn *i)
{
    uint64_t imm = simd_modified_immediate(i);
    bool clears = bit(i->word, 29);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rd);
    if (clears)
        x86_sse_rip(&t->hot, SSE_PAND, XMM0, vector_literal(t, ~imm, ~imm));
    else
        x86_sse_rip(&t->hot, SSE_POR, XMM0, vector_literal(t, imm, imm));
    vector_result(t, i, XMM0);
    return true;
}

bool emit_fmov_vimm(jit_t t, const struct insn *i)
{
    uint64_t imm = simd_fp_immediate(i);

    if (!vector_enabled(t))
        return false;
    write_constant(t, i, imm, bit(i->word, 30) ? imm : 0);
    return true;
}

bool emit_fmov_imm(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    write_constant(t, i, simd_fp_scalar_immediate(i), 0);
    return true;
}

/* Permutations. */

static unsigned permute_scale(const struct insn *i)
{
    return (unsigned)bits(i->word, 23, 22);
}

void vector_unzip(jit_t t, const struct insn *i, unsigned scale, enum x86_xmm d, bool odd)
{
    struct x86_buf *b = &t->hot;
    enum x86_xmm other = d == XMM0 ? XMM2 : XMM3;

    vector_load(t, d, i->rn);
    if (bit(i->word, 30)) {
        vector_load(t, other, i->rm);
    } else {
        vector_op(t, SSE_PUNPCKLQDQ, d, i->rm);
        x86_sse_rr(b, SSE_MOVAPS, other, d);
    }
    if (scale < 2) {
        static const enum x86_sse_shift shift[2] = { SSE_SRL_W, SSE_SRL_D };
        uint64_t mask = scale ? 0x0000ffff0000ffff : 0x00ff00ff00ff00ff;
        if (odd) {
            x86_sse_shift(b, shift[scale], d, 8u << scale);
            x86_sse_shift(b, shift[scale], other, 8u << scale);
        } else {
            x86_sse_rip(b, SSE_PAND, d, vector_literal(t, mask, mask));
            x86_sse_rip(b, SSE_PAND, other, vector_literal(t, mask, mask));
        }
        x86_sse_rr(b, scale ? SSE_PACKUSDW : SSE_PACKUSWB, d, other);
    } else if (scale == 2) {
        x86_sse_rri(b, SSE_SHUFPS, d, other, odd ? 0xdd : 0x88);
    } else {
        x86_sse_rr(b, odd ? SSE_PUNPCKHQDQ : SSE_PUNPCKLQDQ, d, other);
    }
}

/* UZP1, or with bit 14 UZP2. */
bool emit_uzp(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_unzip(t, i, permute_scale(i), XMM0, bit(i->word, 14));
    vector_result(t, i, XMM0);
    return true;
}

/* ZIP1, or with bit 14 ZIP2. Of 64-bit registers both come from the interleaved lower halves. */
bool emit_zip(jit_t t, const struct insn *i)
{
    static const enum x86_sse low[4] = { SSE_PUNPCKLBW, SSE_PUNPCKLWD, SSE_PUNPCKLDQ,
                                         SSE_PUNPCKLQDQ };
    static const enum x86_sse high[4] = { SSE_PUNPCKHBW, SSE_PUNPCKHWD, SSE_PUNPCKHDQ,
                                          SSE_PUNPCKHQDQ };
    bool second = bit(i->word, 14), q = bit(i->word, 30);

    if (!vector_enabled(t))
        return false;
    enum x86_sse op = (second && q ? high : low)[permute_scale(i)];
    if (q || !second) {
        vector_result_op(t, i, op, i->rn, i->rm);
        return true;
    }
    vector_binary(t, op, XMM0, i->rn, i->rm);
    x86_sse_shift(&t->hot, SSE_SRL_DQ, XMM0, 8);
    vector_result(t, i, XMM0);
    return true;
}

/* TRN1, or with bit 14 TRN2: halves of elements of twice the size. */
bool emit_trn(jit_t t, const struct insn *i)
{
    static const enum x86_sse_shift left[3] = { SSE_SLL_W, SSE_SLL_D, SSE_SLL_Q };
    static const enum x86_sse_shift right[3] = { SSE_SRL_W, SSE_SRL_D, SSE_SRL_Q };
    static const uint64_t evens[3] = { 0x00ff00ff00ff00ff, 0x0000ffff0000ffff, 0xffffffff };
    struct x86_buf *b = &t->hot;
    unsigned scale = permute_scale(i);
    bool second = bit(i->word, 14);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    vector_load(t, XMM1, i->rm);
    if (scale == 3) {
        x86_sse_rr(b, second ? SSE_PUNPCKHQDQ : SSE_PUNPCKLQDQ, XMM0, XMM1);
    } else {
        uint64_t even = evens[scale];
        if (second) {
            x86_sse_shift(b, right[scale], XMM0, 8u << scale);
            x86_sse_rip(b, SSE_PAND, XMM1, vector_literal(t, ~even, ~even));
        } else {
            x86_sse_rip(b, SSE_PAND, XMM0, vector_literal(t, even, even));
            x86_sse_shift(b, left[scale], XMM1, 8u << scale);
        }
        x86_sse_rr(b, SSE_POR, XMM0, XMM1);
    }
    vector_result(t, i, XMM0);
    return true;
}

bool emit_ext(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned from = (unsigned)bits(i->word, 14, 11);

    if (!vector_enabled(t))
        return false;
    if (bit(i->word, 30)) {
        vector_load(t, XMM0, i->rm);
        vector_op_imm(t, SSE_PALIGNR, XMM0, i->rn, from);
    } else {
        vector_binary(t, SSE_PUNPCKLQDQ, XMM0, i->rn, i->rm);
        x86_sse_shift(b, SSE_SRL_DQ, XMM0, from);
    }
    vector_result(t, i, XMM0);
    return true;
}

/* TBL, or with bit 12 TBX, of 1 to 4 registers. PSHUFB gives zero for an index with bit 7, and
 * adding 0x70 with saturation sets that of every index from 16. The index less 16 k is for the
 * register k; one below wraps and has bit 7, also after the addition. */
bool emit_tbl(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned registers = (unsigned)bits(i->word, 14, 13) + 1;
    uint64_t top = 0x7070707070707070, step = 0x1010101010101010;

    if (!vector_enabled(t))
        return false;
    if (registers == 1 && !bit(i->word, 12)) {
        vector_load(t, XMM2, i->rm);
        x86_sse_rip(b, SSE_PADDUSB, XMM2, vector_literal(t, top, top));
        vector_result_of(t, i, SSE_PSHUFB, vector_use(t, i->rn, XMM0), XMM2);
        return true;
    }
    vector_load(t, XMM1, i->rm);
    if (bit(i->word, 12)) {
        uint64_t end = registers * step;
        x86_sse_rip(b, SSE_MOVAPS, XMM0, vector_literal(t, end, end));
        x86_sse_rr(b, SSE_PMAXUB, XMM0, XMM1);
        x86_sse_rr(b, SSE_PCMPEQB, XMM0, XMM1);
        vector_op(t, SSE_PAND, XMM0, i->rd);
    } else {
        x86_sse_rr(b, SSE_PXOR, XMM0, XMM0);
    }
    for (unsigned k = 0; k < registers; k++) {
        if (k)
            x86_sse_rip(b, SSE_PSUBB, XMM1, vector_literal(t, step, step));
        x86_sse_rr(b, SSE_MOVAPS, XMM2, XMM1);
        x86_sse_rip(b, SSE_PADDUSB, XMM2, vector_literal(t, top, top));
        vector_load(t, XMM3, i->rn + k);
        x86_sse_rr(b, SSE_PSHUFB, XMM3, XMM2);
        x86_sse_rr(b, SSE_POR, XMM0, XMM3);
    }
    vector_result(t, i, XMM0);
    return true;
}

/* REV64, REV32, REV16: bytes of elements of 1 << scale in containers of 8, 4 or 2 bytes. */
static bool reverse(jit_t t, const struct insn *i, unsigned container)
{
    uint64_t order[2] = { 0, 0 };
    unsigned flip = (container - 1) & ~((1u << permute_scale(i)) - 1);

    if (!vector_enabled(t))
        return false;
    for (unsigned k = 0; k < 16; k++)
        order[k / 8] |= (uint64_t)(k ^ flip) << (k % 8 * 8);
    vector_result_literal(t, i, SSE_PSHUFB, i->rn, vector_literal(t, order[0], order[1]));
    return true;
}

bool emit_rev64(jit_t t, const struct insn *i)
{
    return reverse(t, i, 8);
}

bool emit_rev32(jit_t t, const struct insn *i)
{
    return reverse(t, i, 4);
}

bool emit_rev16_v(jit_t t, const struct insn *i)
{
    return reverse(t, i, 2);
}
