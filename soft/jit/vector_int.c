/*
 * Integer arithmetic, comparison and logic on lanes (DDI 0487 C4.1.96, "Advanced SIMD three same",
 * "two-register miscellaneous", "three different", "across lanes"). Vectors and their scalar forms
 * of 64 bits alike. EFLAGS stay.
 *
 * What x86-64-v2 has for the element size is one instruction, by tables; the rest is a few. Nothing
 * that saturates is here: that would have to set FPSR.QC.
 */
#include "soft/jit/vector.h"

static unsigned scale_of(const struct insn *i)
{
    return (unsigned)bits(i->word, 23, 22);
}

static enum a64_op op_of(jit_t t)
{
    return (enum a64_op)t->insn[t->at].op;
}

static void invert(jit_t t, enum x86_xmm x, enum x86_xmm scratch)
{
    x86_sse_rr(&t->hot, SSE_PCMPEQD, scratch, scratch);
    x86_sse_rr(&t->hot, SSE_PXOR, x, scratch);
}

/* By element size; 0: x86 has none. */
static const enum x86_sse smax[4] = { SSE_PMAXSB, SSE_PMAXSW, SSE_PMAXSD };
static const enum x86_sse smin[4] = { SSE_PMINSB, SSE_PMINSW, SSE_PMINSD };
static const enum x86_sse umax[4] = { SSE_PMAXUB, SSE_PMAXUW, SSE_PMAXUD };
static const enum x86_sse umin[4] = { SSE_PMINUB, SSE_PMINUW, SSE_PMINUD };
static const enum x86_sse multiply[3] = { 0, SSE_PMULLW, SSE_PMULLD };

/* Operations of n and m that x86 has. */
static const struct simple {
    enum a64_op op;
    const enum x86_sse *by_size;
} simple[] = {
    { A64_ADD_v, vector_add },      { A64_ADD_s, vector_add },      { A64_SUB_v, vector_sub },
    { A64_SUB_s, vector_sub },      { A64_CMEQ_v, vector_equal },   { A64_CMEQ_s, vector_equal },
    { A64_CMGT_v, vector_greater }, { A64_CMGT_s, vector_greater }, { A64_SMAX_v, smax },
    { A64_SMIN_v, smin },           { A64_UMAX_v, umax },           { A64_UMIN_v, umin },
};

bool emit_lanes(jit_t t, const struct insn *i)
{
    enum x86_sse op = (enum x86_sse)0;

    for (size_t n = 0; n < ARRAY_LEN(simple); n++)
        if (simple[n].op == op_of(t))
            op = simple[n].by_size[scale_of(i)];
    if (!vector_enabled(t) || !op)
        return false;
    vector_result_op(t, i, op, i->rn, i->rm);
    return true;
}

/* n >= m is not m > n. */
bool emit_cmge(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_binary(t, vector_greater[scale_of(i)], XMM0, i->rm, i->rn);
    x86_sse_rr(&t->hot, SSE_PCMPEQD, XMM1, XMM1);
    vector_result_of(t, i, SSE_PXOR, XMM0, XMM1);
    return true;
}

/* Unsigned: the larger one of both is n; of 64 bits, with the sign bits flipped. */
static void unsigned_at_least(jit_t t, unsigned scale, unsigned n, unsigned m)
{
    struct x86_buf *b = &t->hot;

    if (scale == 3) {
        const uint8_t *sign = vector_literal(t, 1ull << 63, 1ull << 63);
        vector_load(t, XMM0, m);
        vector_load(t, XMM1, n);
        x86_sse_rip(b, SSE_PXOR, XMM0, sign);
        x86_sse_rip(b, SSE_PXOR, XMM1, sign);
        x86_sse_rr(b, SSE_PCMPGTQ, XMM0, XMM1);
        invert(t, XMM0, XMM1);
        return;
    }
    vector_load(t, XMM0, n);
    vector_load(t, XMM1, m);
    x86_sse_rr(b, umax[scale], XMM1, XMM0);
    x86_sse_rr(b, vector_equal[scale], XMM0, XMM1);
}

bool emit_cmhs(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    if (scale == 3) {
        unsigned_at_least(t, scale, i->rn, i->rm);
        vector_result(t, i, XMM0);
    } else {
        vector_binary(t, umax[scale], XMM1, i->rn, i->rm);
        vector_result_of(t, i, vector_equal[scale], vector_use(t, i->rn, XMM0), XMM1);
    }
    return true;
}

bool emit_cmhi(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    unsigned_at_least(t, scale_of(i), i->rm, i->rn);
    x86_sse_rr(&t->hot, SSE_PCMPEQD, XMM1, XMM1);
    vector_result_of(t, i, SSE_PXOR, XMM0, XMM1);
    return true;
}

bool emit_cmtst(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_binary(t, SSE_PAND, XMM0, i->rn, i->rm);
    x86_sse_rr(&t->hot, SSE_PXOR, XMM1, XMM1);
    x86_sse_rr(&t->hot, vector_equal[scale_of(i)], XMM0, XMM1);
    invert(t, XMM0, XMM1);
    vector_result(t, i, XMM0);
    return true;
}

/* Comparison with zero: EQ, GT and its opposite LE, LT and its opposite GE. */
bool emit_cm_zero(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    enum a64_op op = op_of(t);
    bool eq = op == A64_CMEQ_zero || op == A64_CMEQ_zero_s;
    bool le = op == A64_CMLE_zero || op == A64_CMLE_zero_s;
    bool ge = op == A64_CMGE_zero || op == A64_CMGE_zero_s;
    bool gt = op == A64_CMGT_zero || op == A64_CMGT_zero_s;

    if (!vector_enabled(t))
        return false;
    x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
    if (eq || gt) {
        vector_result_of(t, i, (eq ? vector_equal : vector_greater)[scale_of(i)],
                         vector_use(t, i->rn, XMM0), XMM1);
        return true;
    }
    if (le) {
        vector_load(t, XMM0, i->rn);
        x86_sse_rr(b, vector_greater[scale_of(i)], XMM0, XMM1);
    } else {
        x86_sse_rr(b, SSE_PXOR, XMM0, XMM0);
        vector_op(t, vector_greater[scale_of(i)], XMM0, i->rn);
    }
    if (le || ge)
        invert(t, XMM0, XMM1);
    vector_result(t, i, XMM0);
    return true;
}

/* Logic. */

bool emit_vlogic(jit_t t, const struct insn *i)
{
    static const enum x86_sse ops[3] = { SSE_PAND, SSE_PANDN, SSE_POR };
    unsigned size = scale_of(i);
    bool eor = bit(i->word, 29);

    if (!vector_enabled(t))
        return false;
    if (vector_sha_copy(t, i))
        return true;
    if (eor) {
        vector_result_op(t, i, SSE_PXOR, i->rm, i->rn);
    } else if (size == 2 && i->rn == i->rm) { /* MOV is ORR with itself */
        vector_load(t, XMM0, i->rm);
        vector_result(t, i, XMM0);
    } else if (size == 3) {
        vector_load(t, XMM0, i->rm);
        invert(t, XMM0, XMM1);
        vector_op(t, SSE_POR, XMM0, i->rn);
        vector_result(t, i, XMM0);
    } else {
        vector_result_op(t, i, ops[size], i->rm, i->rn);
    }
    return true;
}

/* BSL: m where d is 0, n where it is 1; BIT and BIF: n where m is 1 or 0, else d. All are
 * x ^ ((x ^ n) & mask). */
bool emit_vselect(jit_t t, const struct insn *i)
{
    unsigned size = scale_of(i);
    unsigned x = size == 1 ? i->rm : i->rd, mask = size == 1 ? i->rd : i->rm;

    if (!vector_enabled(t))
        return false;
    vector_binary(t, SSE_PXOR, XMM2, i->rn, x);
    vector_load(t, XMM0, mask);
    x86_sse_rr(&t->hot, size == 3 ? SSE_PANDN : SSE_PAND, XMM0, XMM2);
    vector_result_of(t, i, SSE_PXOR, XMM0, vector_use(t, x, XMM1));
    return true;
}

/* XMM1 = n * m: even bytes in halfwords, odd ones in the upper halves of them. Changes XMM0, XMM2,
 * XMM3. */
static void multiply_bytes(jit_t t, unsigned n, unsigned m)
{
    struct x86_buf *b = &t->hot;
    const uint8_t *even = vector_literal(t, 0x00ff00ff00ff00ff, 0x00ff00ff00ff00ff);

    vector_binary(t, SSE_PMULLW, XMM1, n, m);
    vector_load(t, XMM0, n);
    x86_sse_rip(b, SSE_MOVAPS, XMM2, even);
    x86_sse_rr(b, SSE_PAND, XMM1, XMM2);
    vector_op(t, SSE_PANDN, XMM2, m);
    x86_sse_shift(b, SSE_SRL_W, XMM0, 8);
    x86_sse_rr(b, SSE_PMULLW, XMM0, XMM2);
    x86_sse_rr(b, SSE_POR, XMM1, XMM0);
}

/* MUL; MLA, or with U<29> MLS. */
bool emit_mul(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    if (scale == 0)
        multiply_bytes(t, i->rn, i->rm);
    else
        vector_binary(t, multiply[scale], XMM1, i->rn, i->rm);
    if (op_of(t) == A64_MUL_v)
        vector_result(t, i, XMM1);
    else
        vector_result_of(t, i, (bit(i->word, 29) ? vector_sub : vector_add)[scale],
                         vector_use(t, i->rd, XMM0), XMM1);
    return true;
}

/* MUL, MLA, MLS by element: opcode<15:12> 8, 0, 4. */
bool emit_mul_element(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i), opcode = (unsigned)bits(i->word, 15, 12);

    if (!vector_enabled(t))
        return false;
    vector_by_element(t, i, scale_of(i), XMM0);
    vector_op(t, multiply[scale], XMM0, i->rn);
    if (opcode != 8) {
        vector_load(t, XMM1, i->rd);
        x86_sse_rr(&t->hot, (opcode ? vector_sub : vector_add)[scale], XMM1, XMM0);
        x86_sse_rr(&t->hot, SSE_MOVAPS, XMM0, XMM1);
    }
    vector_result(t, i, XMM0);
    return true;
}

/* Pairs: of n then m. */
static const struct simple pairwise[] = {
    { A64_ADDP_v, vector_add }, { A64_SMAXP_v, smax }, { A64_SMINP_v, smin },
    { A64_UMAXP_v, umax },      { A64_UMINP_v, umin },
};

/* x = pairs of bytes of V register n in the low byte of their halfword, by an operation in which
 * the high bytes do no harm; zero above it. Changes `scratch`. */
static void pair_bytes(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned n, enum x86_xmm scratch)
{
    const uint64_t low = 0x00ff00ff00ff00ff;

    if (t->jit->host.avx) {
        enum x86_xmm from = vector_use(t, n, x);
        x86_avx_shift(&t->hot, SSE_SRL_W, scratch, from, 8);
        x86_avx_rr(&t->hot, op, x, from, scratch);
    } else {
        vector_load(t, x, n);
        x86_sse_rr(&t->hot, SSE_MOVAPS, scratch, x);
        x86_sse_shift(&t->hot, SSE_SRL_W, scratch, 8);
        x86_sse_rr(&t->hot, op, x, scratch);
    }
    x86_sse_rip(&t->hot, SSE_PAND, x, vector_literal(t, low, low));
}

/* Pairs of one register, twice, as searches of C libraries do: even bytes then odd ones, and the
 * same with its halves exchanged. */
static void pair_same_bytes(jit_t t, const struct insn *i, enum x86_sse op)
{
    const uint8_t *order = vector_literal(t, 0x0e0c0a0806040200, 0x0f0d0b0907050301);

    if (t->jit->host.avx) {
        x86_avx_rip(&t->hot, SSE_PSHUFB, XMM0, vector_use(t, i->rn, XMM0), order);
    } else {
        vector_load(t, XMM0, i->rn);
        x86_sse_rip(&t->hot, SSE_PSHUFB, XMM0, order);
    }
    x86_sse_rri(&t->hot, SSE_PSHUFD, XMM1, XMM0, 0x4e);
    vector_result_of(t, i, op, XMM0, XMM1);
}

bool emit_pairwise(jit_t t, const struct insn *i)
{
    unsigned scale = scale_of(i);
    enum x86_sse op = (enum x86_sse)0;

    for (size_t n = 0; n < ARRAY_LEN(pairwise); n++)
        if (pairwise[n].op == op_of(t))
            op = pairwise[n].by_size[scale];
    if (!vector_enabled(t) || !op)
        return false;
    if (scale == 0 && i->rm == i->rn && bit(i->word, 30)) {
        pair_same_bytes(t, i, op);
        return true;
    }
    if (scale == 0) {
        pair_bytes(t, op, XMM0, i->rn, XMM1);
        pair_bytes(t, op, XMM2, i->rm, XMM1);
        bool q = bit(i->word, 30);
        if (!q)
            x86_sse_rr(&t->hot, SSE_PUNPCKLQDQ, XMM0, XMM2);
        vector_result_of(t, i, SSE_PACKUSWB, XMM0, q ? XMM2 : XMM0);
        return true;
    }
    vector_unzip(t, i, scale, XMM0, false);
    vector_unzip(t, i, scale, XMM1, true);
    x86_sse_rr(&t->hot, op, XMM0, XMM1);
    vector_result(t, i, XMM0);
    return true;
}

bool emit_addp_scalar(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_half(t, XMM0, i->rn, true);
    vector_op(t, SSE_PADDQ, XMM0, i->rn);
    x86_sse_rr(&t->hot, SSE_MOVQ, XMM0, XMM0);
    vector_store_low(t, i->rd, XMM0, 8);
    return true;
}

/* Of one register. */

bool emit_abs(jit_t t, const struct insn *i)
{
    static const enum x86_sse by_size[3] = { SSE_PABSB, SSE_PABSW, SSE_PABSD };
    unsigned scale = scale_of(i);

    if (!vector_enabled(t))
        return false;
    if (scale < 3) {
        vector_op(t, by_size[scale], XMM0, i->rn);
    } else { /* (n ^ sign) - sign */
        vector_load(t, XMM0, i->rn);
        x86_sse_rr(&t->hot, SSE_PXOR, XMM1, XMM1);
        x86_sse_rr(&t->hot, SSE_PCMPGTQ, XMM1, XMM0);
        x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM1);
        x86_sse_rr(&t->hot, SSE_PSUBQ, XMM0, XMM1);
    }
    vector_result(t, i, XMM0);
    return true;
}

bool emit_vneg(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM0);
    vector_op(t, vector_sub[scale_of(i)], XMM0, i->rn);
    vector_result(t, i, XMM0);
    return true;
}

bool emit_vnot(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    invert(t, XMM0, XMM1);
    vector_result(t, i, XMM0);
    return true;
}

/* Absolute difference, and with accumulation. */
bool emit_abd(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned scale = scale_of(i);
    bool is_unsigned = bit(i->word, 29);

    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM0, i->rn);
    x86_sse_rr(b, SSE_MOVAPS, XMM1, XMM0);
    vector_load(t, XMM2, i->rm);
    x86_sse_rr(b, (is_unsigned ? umax : smax)[scale], XMM0, XMM2);
    x86_sse_rr(b, (is_unsigned ? umin : smin)[scale], XMM1, XMM2);
    x86_sse_rr(b, vector_sub[scale], XMM0, XMM1);
    if (op_of(t) == A64_SABA_v || op_of(t) == A64_UABA_v)
        vector_op(t, vector_add[scale], XMM0, i->rd);
    vector_result(t, i, XMM0);
    return true;
}

/* Three different: elements of the lower half, or with Q of the upper half, widened. */

static void widen(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v)
{
    static const enum x86_sse ops[2][3] = { { SSE_PMOVSXBW, SSE_PMOVSXWD, SSE_PMOVSXDQ },
                                            { SSE_PMOVZXBW, SSE_PMOVZXWD, SSE_PMOVZXDQ } };

    vector_widen(t, ops[bit(i->word, 29)][scale_of(i)], x, v, bit(i->word, 30));
}

/* ADDL, ADDW, SUBL, SUBW: opcode<15:12> 0 to 3. */
bool emit_add_long(jit_t t, const struct insn *i)
{
    unsigned opcode = (unsigned)bits(i->word, 15, 12);

    if (!vector_enabled(t))
        return false;
    if (opcode & 1)
        vector_load(t, XMM0, i->rn);
    else
        widen(t, i, XMM0, i->rn);
    widen(t, i, XMM1, i->rm);
    x86_sse_rr(&t->hot, (opcode & 2 ? vector_sub : vector_add)[scale_of(i) + 1], XMM0, XMM1);
    vector_store(t, i->rd, XMM0);
    return true;
}

/* XMM0 = XMM0 * XMM1, widened. */
static void multiply_long(jit_t t, const struct insn *i)
{
    static const enum x86_sse ops[3] = { SSE_PMULLW, SSE_PMULLD, SSE_PMULDQ };
    bool is_unsigned = bit(i->word, 29);
    unsigned scale = scale_of(i);

    x86_sse_rr(&t->hot, scale == 2 && is_unsigned ? SSE_PMULUDQ : ops[scale], XMM0, XMM1);
}

static void accumulate_long(jit_t t, const struct insn *i, bool subtracts)
{
    unsigned scale = scale_of(i) + 1;

    if (subtracts) {
        vector_load(t, XMM1, i->rd);
        x86_sse_rr(&t->hot, vector_sub[scale], XMM1, XMM0);
        vector_store(t, i->rd, XMM1);
    } else {
        vector_op(t, vector_add[scale], XMM0, i->rd);
        vector_store(t, i->rd, XMM0);
    }
}

/* MLAL, MLSL, MULL: opcode<15:12> 8, 10, 12. */
bool emit_mul_long(jit_t t, const struct insn *i)
{
    unsigned opcode = (unsigned)bits(i->word, 15, 12);

    if (!vector_enabled(t))
        return false;
    widen(t, i, XMM0, i->rn);
    widen(t, i, XMM1, i->rm);
    multiply_long(t, i);
    if (opcode == 12)
        vector_store(t, i->rd, XMM0);
    else
        accumulate_long(t, i, opcode == 10);
    return true;
}

/* The same by element: opcode<15:12> 2, 6, 10. */
bool emit_mul_long_element(jit_t t, const struct insn *i)
{
    unsigned opcode = (unsigned)bits(i->word, 15, 12);
    bool is_unsigned = bit(i->word, 29);

    if (!vector_enabled(t))
        return false;
    widen(t, i, XMM0, i->rn);
    vector_by_element(t, i, scale_of(i), XMM1);
    if (scale_of(i) == 1)
        x86_sse_rr(&t->hot, is_unsigned ? SSE_PMOVZXWD : SSE_PMOVSXWD, XMM1, XMM1);
    multiply_long(t, i);
    if (opcode == 10)
        vector_store(t, i->rd, XMM0);
    else
        accumulate_long(t, i, opcode == 6);
    return true;
}
