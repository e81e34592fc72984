/*
 * SHA-512 (DDI 0487 C7.2 SHA512H, SHA512H2, SHA512SU0, SHA512SU1). Each of the two rounds of an
 * instruction needs the other one's result, so they are made in general registers; operands are in
 * memory.
 */
#include "soft/jit/vector.h"

static struct x86_mem half_of(jit_t t, unsigned v, unsigned k)
{
    return vector_byte(t, v, 8 * k);
}

/* d = x rotated right by a, b and c, and all three added without carries. */
static void sigma(jit_t t, enum x86_reg d, enum x86_reg x, unsigned a, unsigned b, unsigned c)
{
    x86_mov_rr(&t->hot, 1, d, x);
    x86_shift_ri(&t->hot, 1, X86_ROR, d, c - b);
    x86_alu_rr(&t->hot, 1, X86_XOR, d, x);
    x86_shift_ri(&t->hot, 1, X86_ROR, d, b - a);
    x86_alu_rr(&t->hot, 1, X86_XOR, d, x);
    x86_shift_ri(&t->hot, 1, X86_ROR, d, a);
}

/* RAX = d.d[k] + S1(RAX) + (RAX ? yes : no). Changes RCX, RDX. */
static void choose(jit_t t, const struct insn *i, unsigned k, struct x86_mem yes, struct x86_mem no)
{
    struct x86_buf *b = &t->hot;

    x86_mov_rm(b, 1, RDX, yes);
    x86_alu_rm(b, 1, X86_XOR, RDX, no);
    x86_alu_rr(b, 1, X86_AND, RDX, RAX);
    x86_alu_rm(b, 1, X86_XOR, RDX, no);
    sigma(t, RCX, RAX, 14, 18, 41);
    x86_mov_rr(b, 1, RAX, RCX);
    x86_alu_rr(b, 1, X86_ADD, RAX, RDX);
    x86_alu_rm(b, 1, X86_ADD, RAX, half_of(t, i->rd, k));
}

/* The results are in XMM1 and RAX, which is the first element. */
static bool finish(jit_t t, const struct insn *i)
{
    x86_movd_to(&t->hot, 1, XMM0, RAX);
    x86_sse_rr(&t->hot, SSE_PUNPCKLQDQ, XMM0, XMM1);
    vector_store(t, i->rd, XMM0);
    return true;
}

bool emit_sha512h(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    struct x86_mem x0 = half_of(t, i->rn, 0), x1 = half_of(t, i->rn, 1), y1 = half_of(t, i->rm, 1);
    x86_mov_rm(&t->hot, 1, RAX, y1);
    choose(t, i, 1, x0, x1);
    x86_movd_to(&t->hot, 1, XMM1, RAX);
    x86_alu_rm(&t->hot, 1, X86_ADD, RAX, half_of(t, i->rm, 0));
    choose(t, i, 0, y1, x0);
    return finish(t, i);
}

/* RAX = d.d[k] + S0(RAX) + the majority of RAX, m and n. Changes RCX, RDX. */
static void majority(jit_t t, const struct insn *i, unsigned k, struct x86_mem m, struct x86_mem n)
{
    struct x86_buf *b = &t->hot;

    x86_mov_rm(b, 1, RDX, m);
    x86_alu_rm(b, 1, X86_XOR, RDX, n);
    x86_mov_rr(b, 1, RCX, RAX);
    x86_alu_rm(b, 1, X86_XOR, RCX, n);
    x86_alu_rr(b, 1, X86_AND, RDX, RCX);
    x86_alu_rm(b, 1, X86_XOR, RDX, n);
    sigma(t, RCX, RAX, 28, 34, 39);
    x86_mov_rr(b, 1, RAX, RCX);
    x86_alu_rr(b, 1, X86_ADD, RAX, RDX);
    x86_alu_rm(b, 1, X86_ADD, RAX, half_of(t, i->rd, k));
}

bool emit_sha512h2(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    jit_clobber(t);
    struct x86_mem x0 = half_of(t, i->rn, 0), y0 = half_of(t, i->rm, 0), y1 = half_of(t, i->rm, 1);
    x86_mov_rm(&t->hot, 1, RAX, y0);
    majority(t, i, 1, x0, y1);
    x86_movd_to(&t->hot, 1, XMM1, RAX);
    majority(t, i, 0, y0, y1);
    return finish(t, i);
}

/* XMM0 = d + XMM1 rotated right by a and by b, and shifted by c, all three added without carries.
 * Changes XMM1 to XMM3. */
static void schedule(jit_t t, const struct insn *i, unsigned a, unsigned b, unsigned c)
{
    const unsigned rotations[2] = { a, b };

    x86_sse_rr(&t->hot, SSE_MOVAPS, XMM0, XMM1);
    x86_sse_shift(&t->hot, SSE_SRL_Q, XMM0, c);
    for (unsigned k = 0; k < 2; k++) {
        x86_sse_rr(&t->hot, SSE_MOVAPS, XMM2, XMM1);
        x86_sse_rr(&t->hot, SSE_MOVAPS, XMM3, XMM1);
        x86_sse_shift(&t->hot, SSE_SRL_Q, XMM2, rotations[k]);
        x86_sse_shift(&t->hot, SSE_SLL_Q, XMM3, 64 - rotations[k]);
        x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM2);
        x86_sse_rr(&t->hot, SSE_PXOR, XMM0, XMM3);
    }
    vector_op(t, SSE_PADDQ, XMM0, i->rd);
}

bool emit_sha512su0(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM1, i->rd);
    vector_op_imm(t, SSE_SHUFPD, XMM1, i->rn, 1);
    schedule(t, i, 1, 8, 7);
    vector_store(t, i->rd, XMM0);
    return true;
}

bool emit_sha512su1(jit_t t, const struct insn *i)
{
    if (!vector_enabled(t))
        return false;
    vector_load(t, XMM1, i->rn);
    schedule(t, i, 19, 61, 6);
    vector_op(t, SSE_PADDQ, XMM0, i->rm);
    vector_store(t, i->rd, XMM0);
    return true;
}
