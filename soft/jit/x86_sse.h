/*
 * Emits SSE instructions of x86-64-v2 and, where the host has them, AES-NI, PCLMULQDQ, SHA-NI,
 * GFNI, FMA3, F16C and some of AVX2 and AVX-512. Source: Intel SDM volume 2.
 *
 * An instruction is its mandatory prefix (bits 31:24) and its opcode, named as in the SDM; its
 * destination is also its first source. The legacy encodings are enough: results are made in
 * scratch registers, so a three-operand form would save no instruction. Operands in memory are
 * multiples of 16, but for the moves that say otherwise.
 */
#ifndef SOFT_JIT_X86_SSE_H
#define SOFT_JIT_X86_SSE_H

#include "soft/jit/x86_evex.h"

enum x86_xmm { XMM0, XMM1, XMM2, XMM3, XMM4, XMM5, XMM6, XMM14 = 14, XMM15, XMM16, XMM31 = 31 };

/* Name and encoding of all that have the form xmm, xmm/m; tests/unit/jit_sse_test.c checks them by
 * their names. */
/* clang-format off */
#define X86_SSE_OPS(op)                                                                                       \
    op(MOVAPS, 0x00000f28) op(MOVDQU, 0xf3000f6f) op(MOVSS, 0xf3000f10) op(MOVSD, 0xf2000f10)                 \
    op(MOVQ, 0xf3000f7e) op(MOVLHPS, 0x00000f16) op(MOVHLPS, 0x00000f12) op(MOVDDUP, 0xf2000f12)              \
    op(PAND, 0x66000fdb) op(PANDN, 0x66000fdf) op(POR, 0x66000feb) op(PXOR, 0x66000fef)                       \
    op(PADDB, 0x66000ffc) op(PADDW, 0x66000ffd) op(PADDD, 0x66000ffe) op(PADDQ, 0x66000fd4)                   \
    op(PSUBB, 0x66000ff8) op(PSUBW, 0x66000ff9) op(PSUBD, 0x66000ffa) op(PSUBQ, 0x66000ffb)                   \
    op(PADDSB, 0x66000fec) op(PADDSW, 0x66000fed) op(PSUBSB, 0x66000fe8) op(PSUBSW, 0x66000fe9)               \
    op(PADDUSW, 0x66000fdd) op(PACKSSDW, 0x66000f6b) op(PMULHRSW, 0x660f380b) op(PADDUSB, 0x66000fdc)         \
    op(PSUBUSB, 0x66000fd8) op(PSUBUSW, 0x66000fd9) op(PMULLW, 0x66000fd5) op(PMULLD, 0x660f3840)             \
    op(PMULHW, 0x66000fe5) op(PMULHUW, 0x66000fe4) op(PMULUDQ, 0x66000ff4) op(PMULDQ, 0x660f3828)             \
    op(PMADDUBSW, 0x660f3804) op(PMADDWD, 0x66000ff5) op(PAVGB, 0x66000fe0) op(PAVGW, 0x66000fe3)             \
    op(PSADBW, 0x66000ff6) op(PCMPEQB, 0x66000f74) op(PCMPEQW, 0x66000f75) op(PCMPEQD, 0x66000f76)            \
    op(PCMPEQQ, 0x660f3829) op(PCMPGTB, 0x66000f64) op(PCMPGTW, 0x66000f65) op(PCMPGTD, 0x66000f66)           \
    op(PCMPGTQ, 0x660f3837) op(PMAXSB, 0x660f383c) op(PMAXSW, 0x66000fee) op(PMAXSD, 0x660f383d)              \
    op(PMAXUB, 0x66000fde) op(PMAXUW, 0x660f383e) op(PMAXUD, 0x660f383f) op(PMINSB, 0x660f3838)               \
    op(PMINSW, 0x66000fea) op(PMINSD, 0x660f3839) op(PMINUB, 0x66000fda) op(PMINUW, 0x660f383a)               \
    op(PMINUD, 0x660f383b) op(PABSB, 0x660f381c) op(PABSW, 0x660f381d) op(PABSD, 0x660f381e)                  \
    op(PHADDW, 0x660f3801) op(PHADDD, 0x660f3802) op(PHMINPOSUW, 0x660f3841) op(PUNPCKLBW, 0x66000f60)        \
    op(PUNPCKLWD, 0x66000f61) op(PUNPCKLDQ, 0x66000f62) op(PUNPCKLQDQ, 0x66000f6c) op(PUNPCKHBW, 0x66000f68)  \
    op(PUNPCKHWD, 0x66000f69) op(PUNPCKHDQ, 0x66000f6a) op(PUNPCKHQDQ, 0x66000f6d) op(PACKUSWB, 0x66000f67)   \
    op(PACKSSWB, 0x66000f63) op(PACKUSDW, 0x660f382b) op(PSHUFB, 0x660f3800) op(PMOVSXBW, 0x660f3820)         \
    op(PMOVSXWD, 0x660f3823) op(PMOVSXDQ, 0x660f3825) op(PMOVSXBD, 0x660f3821) op(PMOVSXBQ, 0x660f3822)       \
    op(PMOVZXBW, 0x660f3830) op(PMOVZXWD, 0x660f3833) op(PMOVZXDQ, 0x660f3835) op(PSRLW, 0x66000fd1)          \
    op(PSRLD, 0x66000fd2) op(PSRLQ, 0x66000fd3) op(ADDSS, 0xf3000f58) op(ADDSD, 0xf2000f58)                   \
    op(ADDPS, 0x00000f58) op(ADDPD, 0x66000f58) op(SUBSS, 0xf3000f5c) op(SUBSD, 0xf2000f5c)                   \
    op(SUBPS, 0x00000f5c) op(SUBPD, 0x66000f5c) op(MULSS, 0xf3000f59) op(MULSD, 0xf2000f59)                   \
    op(MULPS, 0x00000f59) op(MULPD, 0x66000f59) op(DIVSS, 0xf3000f5e) op(DIVSD, 0xf2000f5e)                   \
    op(DIVPS, 0x00000f5e) op(DIVPD, 0x66000f5e) op(SQRTSS, 0xf3000f51) op(SQRTSD, 0xf2000f51)                 \
    op(SQRTPS, 0x00000f51) op(SQRTPD, 0x66000f51) op(MINSS, 0xf3000f5d) op(MINSD, 0xf2000f5d)                 \
    op(MAXSS, 0xf3000f5f) op(MAXSD, 0xf2000f5f) op(MINPS, 0x00000f5d) op(MINPD, 0x66000f5d)                   \
    op(MAXPS, 0x00000f5f) op(MAXPD, 0x66000f5f) op(UCOMISS, 0x00000f2e) op(UCOMISD, 0x66000f2e)               \
    op(COMISS, 0x00000f2f) op(COMISD, 0x66000f2f) op(CVTSS2SD, 0xf3000f5a) op(CVTSD2SS, 0xf2000f5a)           \
    op(CVTPS2PD, 0x00000f5a) op(CVTPD2PS, 0x66000f5a) op(CVTDQ2PS, 0x00000f5b) op(CVTTPS2DQ, 0xf3000f5b)      \
    op(CVTDQ2PD, 0xf3000fe6) op(ANDPS, 0x00000f54) op(ANDNPS, 0x00000f55) op(ORPS, 0x00000f56)                \
    op(XORPS, 0x00000f57) op(HADDPS, 0xf2000f7c) op(HADDPD, 0x66000f7c) op(UNPCKLPS, 0x00000f14)              \
    op(AESENC, 0x660f38dc) op(AESENCLAST, 0x660f38dd) op(AESDEC, 0x660f38de) op(AESDECLAST, 0x660f38df)       \
    op(AESIMC, 0x660f38db) op(SHA1NEXTE, 0x000f38c8) op(SHA1MSG1, 0x000f38c9) op(SHA1MSG2, 0x000f38ca)        \
    op(SHA256MSG1, 0x000f38cc) op(SHA256MSG2, 0x000f38cd)

/* And with an immediate byte: xmm, xmm/m, imm8. */
#define X86_SSE_IMM_OPS(op)                                                                           \
    op(PSHUFD, 0x66000f70) op(PSHUFLW, 0xf2000f70) op(PSHUFHW, 0xf3000f70) op(SHUFPS, 0x00000fc6)     \
    op(SHUFPD, 0x66000fc6) op(PALIGNR, 0x660f3a0f) op(PBLENDW, 0x660f3a0e) op(ROUNDSS, 0x660f3a0a)    \
    op(ROUNDSD, 0x660f3a0b) op(ROUNDPS, 0x660f3a08) op(ROUNDPD, 0x660f3a09) op(INSERTPS, 0x660f3a21)  \
    op(PCLMULQDQ, 0x660f3a44) op(CMPPS, 0x00000fc2) op(CMPPD, 0x66000fc2) op(CMPSS, 0xf3000fc2)       \
    op(CMPSD, 0xf2000fc2) op(SHA1RNDS4, 0x000f3acc) op(GF2P8AFFINEQB, 0x660f3ace)
/* clang-format on */

enum x86_sse {
#define X86_SSE_NAME(name, value) SSE_##name = (int)(value),
    X86_SSE_OPS(X86_SSE_NAME) X86_SSE_IMM_OPS(X86_SSE_NAME)
#undef X86_SSE_NAME
};

/* Shifts by an immediate: opcode in the high byte, operation in the low one. */
enum x86_sse_shift {
    SSE_SRL_W = 0x7102,
    SSE_SRA_W = 0x7104,
    SSE_SLL_W = 0x7106,
    SSE_SRL_D = 0x7202,
    SSE_SRA_D = 0x7204,
    SSE_SLL_D = 0x7206,
    SSE_SRL_Q = 0x7302,
    SSE_SRL_DQ = 0x7303, /* by bytes */
    SSE_SLL_Q = 0x7306,
    SSE_SLL_DQ = 0x7307,
};

static inline unsigned x86_sse_prefix(unsigned op)
{
    return op >> 24;
}

static inline unsigned x86_sse_opcode(unsigned op)
{
    return op & 0xffffff;
}

/* d = d op s */
static inline void x86_sse_rr(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, enum x86_xmm s)
{
    if (x86_is_high(d | s)) {
        x86_high_rr(b, op, d, d, s, X86_NO_IMM);
        return;
    }
    x86_op_rr(b, x86_sse_prefix(op), 0, x86_sse_opcode(op), d, s, false);
}

static inline void x86_sse_rm(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, struct x86_mem m)
{
    if (x86_is_high(d)) {
        x86_high_rm(b, op, d, d, m, X86_NO_IMM);
        return;
    }
    x86_op_rm(b, x86_sse_prefix(op), 0, x86_sse_opcode(op), d, m, false);
}

static inline void x86_sse_rri(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, enum x86_xmm s,
                               unsigned imm)
{
    if (x86_is_high(d | s)) {
        x86_high_rr(b, op, d, d, s, imm);
        return;
    }
    x86_sse_rr(b, op, d, s);
    x86_imm8(b, imm);
}

static inline void x86_sse_rmi(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, struct x86_mem m,
                               unsigned imm)
{
    if (x86_is_high(d)) {
        x86_high_rm(b, op, d, d, m, imm);
        return;
    }
    x86_sse_rm(b, op, d, m);
    x86_imm8(b, imm);
}

/* d = d op [to], data in the code cache; `behind` bytes follow the displacement. d is one of XMM0
 * to XMM7. */
static inline void x86_sse_rip_before(struct x86_buf *b, enum x86_sse op, enum x86_xmm d,
                                      const uint8_t *to, unsigned behind)
{
    x86_op_rip(b, x86_sse_prefix(op), 0, x86_sse_opcode(op), d, 0);
    x86_rip_to(b, to, behind);
}

static inline void x86_sse_rip(struct x86_buf *b, enum x86_sse op, enum x86_xmm d,
                               const uint8_t *to)
{
    if (x86_is_high(d)) {
        x86_high_rip(b, op, d, d, to, X86_NO_IMM);
        return;
    }
    x86_sse_rip_before(b, op, d, to, 0);
}

static inline void x86_sse_rip_imm(struct x86_buf *b, enum x86_sse op, enum x86_xmm d,
                                   const uint8_t *to, unsigned imm)
{
    if (x86_is_high(d)) {
        x86_high_rip(b, op, d, d, to, imm);
        return;
    }
    x86_sse_rip_before(b, op, d, to, 1);
    x86_imm8(b, imm);
}

/* The same with AVX: d = n op s, for operations that have two operands of equal right. The rest of
 * a scalar's register is as in n. */
static inline struct x86_bytes x86_vex_op(unsigned op, unsigned d, unsigned n, unsigned rm,
                                          unsigned index, struct x86_bytes rest)
{
    unsigned prefix = x86_sse_prefix(op), opcode = x86_sse_opcode(op);
    unsigned pp = prefix == 0x66 ? 1 : prefix == 0xf3 ? 2 : prefix == 0xf2 ? 3 : 0;
    unsigned map = opcode >> 8 == 0x0f ? 1 : opcode >> 8 == 0x0f38 ? 2 : 3;

    if (map != 1 || (rm & 8) || (index & 8))
        return x86_vex_bytes(0, pp, map, opcode & 0xff, d, n, index, rm, rest);
    unsigned vex = 0xc5 | ((~d >> 3 & 1) << 7 | (~n & 15) << 3 | pp) << 8 | (opcode & 0xff) << 16;
    return (struct x86_bytes){ rest.bytes << 24 | vex, rest.size + 3 };
}

static inline void x86_avx_rr(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, enum x86_xmm n,
                              enum x86_xmm s)
{
    struct x86_bytes modrm = { 0xc0 | (d & 7) << 3 | (s & 7), 1 };

    if (x86_is_high(d | n | s)) {
        x86_high_rr(b, op, d, n, s, X86_NO_IMM);
        return;
    }
    struct x86_bytes v = x86_vex_op(op, d, n, s, 0, modrm);
    x86_put(b, v.bytes, v.size);
}

static inline void x86_avx_rm(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, enum x86_xmm n,
                              struct x86_mem m)
{
    unsigned index = m.index == X86_NONE ? 0 : (unsigned)m.index, disp_size;

    if (x86_is_high(d | n)) {
        x86_high_rm(b, op, d, n, m, X86_NO_IMM);
        return;
    }
    struct x86_bytes v = x86_modrm_mem(d, m, &disp_size);
    x86_put_mem(b, x86_vex_op(op, d, n, (unsigned)m.base, index, v), m.disp, disp_size);
}

static inline void x86_avx_rip(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, enum x86_xmm n,
                               const uint8_t *to)
{
    if (x86_is_high(d | n)) {
        x86_high_rip(b, op, d, n, to, X86_NO_IMM);
        return;
    }
    struct x86_bytes v = x86_vex_op(op, d, n, 0, 0, x86_modrm_rip(d));
    x86_put_mem(b, v, 0, 4);
    x86_rip_to(b, to, 0);
}

static inline void x86_avx_shift(struct x86_buf *b, enum x86_sse_shift op, enum x86_xmm d,
                                 enum x86_xmm s, unsigned count)
{
    struct x86_bytes modrm = { 0xc0 | (op & 7) << 3 | (s & 7), 1 };

    if (x86_is_high(d | s)) {
        x86_high_shift(b, op, d, s, count);
        return;
    }
    struct x86_bytes v = x86_vex_op(0x66000f00 | op >> 8, op & 7, d, s, 0, modrm);
    x86_put(b, v.bytes, v.size);
    x86_imm8(b, count);
}

/* AVX2: all of a register of 32 bytes, by the operations of 16; n is XMM0 where there is none. */
static inline unsigned x86_avx256_pp(enum x86_sse op)
{
    unsigned prefix = x86_sse_prefix(op);

    return (prefix == 0x66 ? 1u : 2u) | 4;
}

static inline void x86_avx256_rr(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, enum x86_xmm n,
                                 enum x86_xmm s)
{
    x86_vex(b, 0, x86_avx256_pp(op), 1, x86_sse_opcode(op) & 0xff, (enum x86_reg)d, (enum x86_reg)n,
            (enum x86_reg)s);
}

static inline void x86_avx256_rm(struct x86_buf *b, enum x86_sse op, enum x86_xmm d, enum x86_xmm n,
                                 struct x86_mem m)
{
    x86_vex_rm(b, 0, x86_avx256_pp(op), 1, x86_sse_opcode(op) & 0xff, (enum x86_reg)d,
               (enum x86_reg)n, m);
}

/* To memory, wherever: all of it, or the lower half. */
static inline void x86_avx_store(struct x86_buf *b, bool wide, struct x86_mem m, enum x86_xmm s)
{
    s = (enum x86_xmm)x86_low_copy(b, XMM15, s); /* then it is not wide */
    x86_vex_rm(b, 0, wide ? 6 : 2, 1, 0x7f, (enum x86_reg)s, (enum x86_reg)0, m);
}

/* d = the upper half. */
static inline void x86_vextracti128(struct x86_buf *b, enum x86_xmm d, enum x86_xmm s)
{
    x86_vex(b, 0, 5, 3, 0x39, (enum x86_reg)s, (enum x86_reg)0,
            (enum x86_reg)(x86_is_high(d) ? XMM15 : d));
    x86_imm8(b, 1);
    if (x86_is_high(d))
        x86_high_move(b, d, XMM15);
}

/* ZF unless a bit of x is set. */
static inline void x86_vptest256(struct x86_buf *b, enum x86_xmm x)
{
    x86_vex(b, 0, 5, 2, 0x17, (enum x86_reg)x, (enum x86_reg)0, (enum x86_reg)x);
}

/* d = the highest bits of all bytes. */
static inline void x86_vpmovmskb256(struct x86_buf *b, enum x86_reg d, enum x86_xmm s)
{
    x86_vex(b, 0, 5, 1, 0xd7, d, (enum x86_reg)0, (enum x86_reg)s);
}

/* Both halves of d = 16 bytes; the lower half of n, and s above it. */
static inline void x86_vbroadcasti128(struct x86_buf *b, enum x86_xmm d, struct x86_mem m)
{
    x86_vex_rm(b, 0, 5, 2, 0x5a, (enum x86_reg)d, (enum x86_reg)0, m);
}

static inline void x86_vinserti128(struct x86_buf *b, enum x86_xmm d, enum x86_xmm n,
                                   enum x86_xmm s)
{
    n = (enum x86_xmm)x86_low_copy(b, XMM14, n);
    s = (enum x86_xmm)x86_low_copy(b, XMM15, s);
    x86_vex(b, 0, 5, 3, 0x38, (enum x86_reg)d, (enum x86_reg)n, (enum x86_reg)s);
    x86_imm8(b, 1);
}

/* Before what has operands of 16 bytes and leaves the upper halves alone. */
static inline void x86_vzeroupper(struct x86_buf *b)
{
    x86_put(b, 0x77f8c5, 3);
}

/* VTESTPS: ZF unless a sign of x is set. */
static inline void x86_vtestps(struct x86_buf *b, enum x86_xmm x)
{
    x86_vex(b, 0, 1, 2, 0x0e, (enum x86_reg)x, (enum x86_reg)0, (enum x86_reg)x);
}

static inline void x86_sse_shift(struct x86_buf *b, enum x86_sse_shift op, enum x86_xmm d,
                                 unsigned count)
{
    if (x86_is_high(d)) {
        x86_high_shift(b, op, d, d, count);
        return;
    }
    x86_op_rr(b, 0x66, 0, 0x0f00 | op >> 8, op & 7, d, false);
    x86_imm8(b, count);
}

/* EVEX forms of what is not in a table, by its fields: x86_evex.h. */
#define X86_EVEX(w, pp, map, op)                                                                   \
    (struct x86_evex)                                                                              \
    {                                                                                              \
        (uint8_t)(w), pp, map, (uint8_t)(op)                                                       \
    }

/* Stores: of 4, 8 or 16 bytes, wherever; and to a multiple of 16. */
static inline void x86_sse_store(struct x86_buf *b, unsigned size, struct x86_mem m, enum x86_xmm s)
{
    unsigned op = size == 16 ? 0x7f : size == 8 ? 0xd6 : 0x7e;

    if (x86_is_high(s))
        x86_evex_rm(b, X86_EVEX(size == 8, size == 16 ? 2 : 1, 1, op), size, s, 0, m);
    else
        x86_op_rm(b, size == 16 ? 0xf3 : 0x66, 0, 0x0f00 | op, s, m, false);
}

static inline void x86_movaps_mr(struct x86_buf *b, struct x86_mem m, enum x86_xmm s)
{
    if (x86_is_high(s))
        x86_evex_rm(b, X86_EVEX(0, 0, 1, 0x29), 16, s, 0, m);
    else
        x86_op_rm(b, 0, 0, 0x0f29, s, m, false);
}

/* To and from general registers; the rest of an xmm register is cleared. */
static inline void x86_movd_to(struct x86_buf *b, unsigned w, enum x86_xmm d, enum x86_reg s)
{
    if (x86_is_high(d))
        x86_evex_rr(b, X86_EVEX(w, 1, 1, 0x6e), d, 0, s);
    else
        x86_op_rr(b, 0x66, w, 0x0f6e, d, s, false);
}

static inline void x86_movd_to_m(struct x86_buf *b, enum x86_xmm d, struct x86_mem m)
{
    if (x86_is_high(d))
        x86_evex_rm(b, X86_EVEX(0, 1, 1, 0x6e), 4, d, 0, m);
    else
        x86_op_rm(b, 0x66, 0, 0x0f6e, d, m, false);
}

static inline void x86_movd_from(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_xmm s)
{
    if (x86_is_high(s))
        x86_evex_rr(b, X86_EVEX(w, 1, 1, 0x7e), s, 0, d);
    else
        x86_op_rr(b, 0x66, w, 0x0f7e, s, d, false);
}

/* PINSRB, PINSRW; PINSRD, which REX.W makes PINSRQ. */
static inline unsigned x86_pinsr_opcode(unsigned size)
{
    return size == 1 ? 0x0f3a20 : size == 2 ? 0x0fc4 : 0x0f3a22;
}

static inline struct x86_evex x86_pinsr_evex(unsigned size)
{
    return X86_EVEX(size == 8, 1, size == 2 ? 1 : 3, x86_pinsr_opcode(size));
}

/* Put the low `size` (1, 2, 4, 8) bytes of s into element k. */
static inline void x86_pinsr(struct x86_buf *b, unsigned size, enum x86_xmm d, enum x86_reg s,
                             unsigned k)
{
    if (x86_is_high(d))
        x86_evex_rr(b, x86_pinsr_evex(size), d, d, s);
    else
        x86_op_rr(b, 0x66, size == 8, x86_pinsr_opcode(size), d, s, false);
    x86_imm8(b, k);
}

static inline void x86_pinsr_m(struct x86_buf *b, unsigned size, enum x86_xmm d, struct x86_mem m,
                               unsigned k)
{
    if (x86_is_high(d))
        x86_evex_rm(b, x86_pinsr_evex(size), size, d, d, m);
    else
        x86_op_rm(b, 0x66, size == 8, x86_pinsr_opcode(size), d, m, false);
    x86_imm8(b, k);
}

/* The lower `size` (1, 2, 4, 8) bytes of d = element k of s, zero above them. */
static inline void x86_pextr(struct x86_buf *b, unsigned size, enum x86_reg d, enum x86_xmm s,
                             unsigned k)
{
    unsigned op = size == 1 ? 0x14 : size == 2 ? 0x15 : 0x16;

    if (x86_is_high(s))
        x86_evex_rr(b, X86_EVEX(size == 8, 1, 3, op), s, 0, d);
    else
        x86_op_rr(b, 0x66, size == 8, 0x0f3a00 | op, s, d, false);
    x86_imm8(b, k);
}

static inline void x86_pmovmskb(struct x86_buf *b, enum x86_reg d, enum x86_xmm s)
{
    x86_op_rr(b, 0x66, 0, 0x0fd7, d, x86_low_copy(b, XMM15, s), false);
}

static inline void x86_movmsk(struct x86_buf *b, bool f64, enum x86_reg d, enum x86_xmm s)
{
    x86_op_rr(b, f64 ? 0x66 : 0, 0, 0x0f50, d, x86_low_copy(b, XMM15, s), false);
}

/* From and to integers: w is the integer's width. */
static inline void x86_cvtsi2f(struct x86_buf *b, bool f64, unsigned w, enum x86_xmm d,
                               enum x86_reg s)
{
    if (x86_is_high(d))
        x86_evex_rr(b, X86_EVEX(w, f64 ? 3 : 2, 1, 0x2a), d, d, s);
    else
        x86_op_rr(b, f64 ? 0xf2 : 0xf3, w, 0x0f2a, d, s, false);
}

static inline void x86_cvttf2si(struct x86_buf *b, bool f64, unsigned w, enum x86_reg d,
                                enum x86_xmm s)
{
    if (x86_is_high(s))
        x86_evex_rr(b, X86_EVEX(w, f64 ? 3 : 2, 1, 0x2c), d, 0, s);
    else
        x86_op_rr(b, f64 ? 0xf2 : 0xf3, w, 0x0f2c, d, s, false);
}

/* SHA256RNDS2: XMM0 is the third operand. */
static inline void x86_sha256rnds2(struct x86_buf *b, enum x86_xmm d, enum x86_xmm s)
{
    unsigned source = x86_low_copy(b, XMM15, s), result = x86_low_copy(b, XMM14, d);

    x86_op_rr(b, 0, 0, 0x0f38cb, result, source, false);
    if (x86_is_high(d))
        x86_high_move(b, d, result);
}

/* An operation by its fields as VEX has them, or EVEX if it must. */
static inline void x86_vex_or_evex(struct x86_buf *b, unsigned w, unsigned pp, unsigned map,
                                   unsigned op, unsigned reg, unsigned vvvv, unsigned rm)
{
    if (x86_is_high(reg | vvvv | rm))
        x86_evex_rr(b, X86_EVEX(w, (uint8_t)pp, (uint8_t)map, op), reg, vvvv, rm);
    else
        x86_vex(b, w, pp, map, op, (enum x86_reg)reg, (enum x86_reg)vvvv, (enum x86_reg)rm);
}

/* FMA3: d = d * c + s with one rounding (VFMADD213), or with d * c and s negated. */
enum x86_fma { X86_FMADD = 0xa8, X86_FMSUB = 0xaa, X86_FNMADD = 0xac, X86_FNMSUB = 0xae };

static inline void x86_fma(struct x86_buf *b, enum x86_fma op, bool f64, bool scalar,
                           enum x86_xmm d, enum x86_xmm c, enum x86_xmm s)
{
    x86_vex_or_evex(b, f64, 1, 2, op | scalar, d, c, s);
}

/* AVX2: each element of 4 bytes, or with w of 8, of s shifted by that of count; by its width or
 * more leaves nothing, or the sign. */
enum x86_shift_each { X86_SRL_EACH = 0x45, X86_SRA_EACH = 0x46, X86_SLL_EACH = 0x47 };

static inline void x86_shift_each(struct x86_buf *b, enum x86_shift_each op, unsigned w,
                                  enum x86_xmm d, enum x86_xmm s, enum x86_xmm count)
{
    x86_vex_or_evex(b, w, 1, 2, op, d, s, count);
}

/* F16C: half to single precision, of the lower four; and back, as MXCSR rounds. */
static inline void x86_cvtph2ps(struct x86_buf *b, enum x86_xmm d, enum x86_xmm s)
{
    x86_vex_or_evex(b, 0, 1, 2, 0x13, d, 0, s);
}

static inline void x86_cvtps2ph(struct x86_buf *b, enum x86_xmm d, enum x86_xmm s)
{
    x86_vex_or_evex(b, 0, 1, 3, 0x1d, s, 0, d);
    x86_imm8(b, 4);
}

/* AVX-512: elements of 4 bytes, or with w of 8, rotated to the left. */
static inline void x86_vprol(struct x86_buf *b, unsigned w, enum x86_xmm d, enum x86_xmm s,
                             unsigned count)
{
    x86_evex_rr(b, X86_EVEX(w, 1, 1, 0x72), 1, d, s);
    x86_imm8(b, count);
}

static inline void x86_stmxcsr(struct x86_buf *b, struct x86_mem m)
{
    x86_op_rm(b, 0, 0, 0x0fae, 3, m, false);
}

static inline void x86_ldmxcsr(struct x86_buf *b, struct x86_mem m)
{
    x86_op_rm(b, 0, 0, 0x0fae, 2, m, false);
}

#endif
