/*
 * Checksums (DDI 0487 C6.2, CRC32 and CRC32C). SSE4.2 has the one of Castagnoli's polynomial. That
 * of IEEE 802.3 is made of two products without carries: both are defined on reflected values, so
 * the lowest bits go first. The multiple of the polynomial P, reflected 0x1db710641, that has the
 * low 64 bits of a value v is v / P modulo x^64, and P has an inverse there; what that multiple has
 * beyond 64 bits is the remainder.
 */
#include "soft/jit/operand.h"
#include "soft/jit/vector.h"

/* CRC32C: SSE4.2 has the very function, and leaves the flags. */
bool emit_crc32c(jit_t t, const struct insn *i)
{
    unsigned size = 1u << bits(i->word, 11, 10);
    struct operand n = operand_guest(t, i->rn);

    if (i->rd == REG_NONE)
        return true;
    enum x86_reg m = jit_use(t, i->rm, RCX), d = jit_def(t, i->rd, RAX);

    if (d == m)
        d = RAX;
    operand_load(t, 0, d, n);
    x86_crc32(&t->hot, size, d, m);
    jit_done(t, i->rd, d);
    return true;
}

#define POLYNOMIAL         0x00000001db710641
#define POLYNOMIAL_INVERSE 0xb4e5b025f7011641

/* Fewer bytes than 8 are the highest ones, so that the product loses what is above them; of fewer
 * than 4, the rest of the checksum joins in the end. */
bool emit_crc32(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned size = 1u << bits(i->word, 11, 10);

    if (!t->jit->host.pclmul)
        return false;
    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    const uint8_t *constants = vector_literal(t, POLYNOMIAL_INVERSE, POLYNOMIAL);
    jit_copy(t, 0, i->rn, RAX);
    if (size < 4) {
        x86_mov_rr(b, 0, RDX, RAX);
        x86_shift_ri(b, 0, X86_SHR, RDX, 8 * size);
    }
    x86_alu_rr(b, 1, X86_XOR, RAX, jit_use(t, i->rm, RCX));
    if (size < 8)
        x86_shift_ri(b, 1, X86_SHL, RAX, 64 - 8 * size);
    x86_movd_to(b, 1, XMM0, RAX);
    x86_sse_rip_imm(b, SSE_PCLMULQDQ, XMM0, constants, 0);
    x86_sse_rip_imm(b, SSE_PCLMULQDQ, XMM0, constants, 0x10);
    enum x86_reg d = jit_def(t, i->rd, RAX);
    x86_pextr(b, 4, d, XMM0, 2);
    if (size < 4)
        x86_alu_rr(b, 0, X86_XOR, d, RDX);
    jit_done(t, i->rd, d);
    return true;
}
