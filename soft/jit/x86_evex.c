/* EVEX forms of 16 bytes: Intel SDM volume 2, 2.7 and the instructions' pages. */
#include "soft/jit/x86_sse.h"

enum { TEMP = 14, SOURCE = 15 };

/* How EVEX forms differ from those with W = 0, two operands and 16 bytes of memory. */
enum {
    NONE = 1, /* there is none, or it writes a mask */
    W1 = 2,
    ONE = 4,       /* one operand only besides the result */
    ONE_M = 8,     /* likewise, if that is memory */
    AT_2 = 1 << 4, /* bytes of memory: index into access_of()'s */
    AT_4 = 2 << 4,
    AT_8 = 3 << 4,
};

/* clang-format off */
#define X86_EVEX_FACTS(f)                                                                                \
    f(MOVAPS, ONE) f(MOVDQU, ONE) f(MOVSS, ONE_M | AT_4) f(MOVSD, W1 | ONE_M | AT_8)                     \
    f(MOVQ, W1 | ONE | AT_8) f(MOVDDUP, W1 | ONE | AT_8) f(PADDQ, W1) f(PSUBQ, W1) f(PMULUDQ, W1)        \
    f(PMULDQ, W1) f(PCMPEQB, NONE) f(PCMPEQW, NONE) f(PCMPEQD, NONE) f(PCMPEQQ, NONE) f(PCMPGTB, NONE)   \
    f(PCMPGTW, NONE) f(PCMPGTD, NONE) f(PCMPGTQ, NONE) f(PABSB, ONE) f(PABSW, ONE) f(PABSD, ONE)         \
    f(PHADDW, NONE) f(PHADDD, NONE) f(PHMINPOSUW, NONE) f(PUNPCKLQDQ, W1) f(PUNPCKHQDQ, W1)              \
    f(PMOVSXBW, ONE | AT_8) f(PMOVSXWD, ONE | AT_8) f(PMOVSXDQ, ONE | AT_8) f(PMOVSXBD, ONE | AT_4)      \
    f(PMOVSXBQ, ONE | AT_2) f(PMOVZXBW, ONE | AT_8) f(PMOVZXWD, ONE | AT_8) f(PMOVZXDQ, ONE | AT_8)      \
    f(PSRLQ, W1) f(ADDSS, AT_4) f(ADDSD, W1 | AT_8) f(ADDPD, W1) f(SUBSS, AT_4) f(SUBSD, W1 | AT_8)      \
    f(SUBPD, W1) f(MULSS, AT_4) f(MULSD, W1 | AT_8) f(MULPD, W1) f(DIVSS, AT_4) f(DIVSD, W1 | AT_8)      \
    f(DIVPD, W1) f(SQRTSS, AT_4) f(SQRTSD, W1 | AT_8) f(SQRTPS, ONE) f(SQRTPD, W1 | ONE) f(MINSS, AT_4)  \
    f(MINSD, W1 | AT_8) f(MAXSS, AT_4) f(MAXSD, W1 | AT_8) f(MINPD, W1) f(MAXPD, W1)                     \
    f(UCOMISS, ONE | AT_4) f(UCOMISD, W1 | ONE | AT_8) f(COMISS, ONE | AT_4) f(COMISD, W1 | ONE | AT_8)  \
    f(CVTSS2SD, AT_4) f(CVTSD2SS, W1 | AT_8) f(CVTPS2PD, ONE | AT_8) f(CVTPD2PS, W1 | ONE)               \
    f(CVTDQ2PS, ONE) f(CVTTPS2DQ, ONE) f(CVTDQ2PD, ONE | AT_8) f(HADDPS, NONE) f(HADDPD, NONE)           \
    f(AESIMC, NONE) f(SHA1NEXTE, NONE) f(SHA1MSG1, NONE) f(SHA1MSG2, NONE) f(SHA256MSG1, NONE)           \
    f(SHA256MSG2, NONE) f(PSHUFD, ONE) f(PSHUFLW, ONE) f(PSHUFHW, ONE) f(SHUFPD, W1) f(PBLENDW, NONE)    \
    f(ROUNDSS, NONE) f(ROUNDSD, NONE) f(ROUNDPS, NONE) f(ROUNDPD, NONE) f(INSERTPS, AT_4) f(CMPPS, NONE) \
    f(CMPPD, NONE) f(CMPSS, NONE) f(CMPSD, NONE) f(SHA1RNDS4, NONE) f(GF2P8AFFINEQB, W1)
/* clang-format on */

static unsigned facts_of(unsigned op)
{
    switch (op) {
#define X86_EVEX_FACT(name, facts)                                                                 \
    case SSE_##name:                                                                               \
        return facts;
        X86_EVEX_FACTS(X86_EVEX_FACT)
#undef X86_EVEX_FACT
    default:
        return 0;
    }
}

static unsigned access_of(unsigned op)
{
    static const uint8_t bytes[] = { 16, 2, 4, 8 };

    return bytes[facts_of(op) >> 4];
}

static struct x86_evex fields_of(unsigned op)
{
    unsigned prefix = x86_sse_prefix(op), opcode = x86_sse_opcode(op);

    return (struct x86_evex){
        .w = (facts_of(op) & W1) != 0,
        .pp = prefix == 0x66   ? 1
              : prefix == 0xf3 ? 2
              : prefix == 0xf2 ? 3
                               : 0,
        .map = opcode >> 8 == 0x0f     ? 1
               : opcode >> 8 == 0x0f38 ? 2
                                       : 3,
        .op = (uint8_t)opcode,
    };
}

/* The first five bytes: 62, three with fields of which most are the ones' complement, opcode. */
static struct x86_bytes evex(struct x86_evex e, unsigned reg, unsigned vvvv, unsigned x, unsigned b,
                             struct x86_bytes rest)
{
    uint64_t p0 =
        (~reg >> 3 & 1) << 7 | (~x & 1) << 6 | (~b & 1) << 5 | (~reg >> 4 & 1) << 4 | e.map;
    uint64_t p1 = (unsigned)e.w << 7 | (~vvvv & 15) << 3 | 4 | e.pp, p2 = (~vvvv >> 4 & 1) << 3;

    return (struct x86_bytes){ rest.bytes << 40 | (uint64_t)e.op << 32 | p2 << 24 | p1 << 16 |
                                   p0 << 8 | 0x62,
                               rest.size + 5 };
}

void x86_evex_rr(struct x86_buf *b, struct x86_evex e, unsigned reg, unsigned vvvv, unsigned rm)
{
    struct x86_bytes modrm = { 0xc0 | (reg & 7) << 3 | (rm & 7), 1 };
    struct x86_bytes v = evex(e, reg, vvvv, rm >> 4, rm >> 3, modrm);

    x86_put(b, v.bytes, v.size);
}

/* A displacement of one byte counts in units of what the operation accesses (2.7.5). */
void x86_evex_rm(struct x86_buf *b, struct x86_evex e, unsigned size, unsigned reg, unsigned vvvv,
                 struct x86_mem m)
{
    unsigned index = m.index == X86_NONE ? 0 : (unsigned)m.index, disp_size;
    int32_t disp = m.disp, units = disp / (int32_t)size;

    if (units * (int32_t)size == disp && units == (int8_t)units)
        m.disp = disp = units;
    else
        m.disp = INT32_MAX; /* so that it has four */
    struct x86_bytes v = x86_modrm_mem(reg, m, &disp_size);
    x86_put_mem(b, evex(e, reg, vvvv, index >> 3, (unsigned)m.base >> 3, v), disp, disp_size);
}

static void put_imm(struct x86_buf *b, unsigned imm)
{
    if (imm != X86_NO_IMM)
        x86_imm8(b, imm);
}

void x86_high_move(struct x86_buf *b, unsigned d, unsigned s)
{
    x86_evex_rr(b, fields_of(SSE_MOVAPS), d, 0, s);
}

unsigned x86_low_copy(struct x86_buf *b, unsigned scratch, unsigned s)
{
    if (s < 16)
        return s;
    x86_high_move(b, scratch, s);
    return scratch;
}

/* An operation without an EVEX form: XMM14 = n, which becomes the result. */
static unsigned begin_low(struct x86_buf *b, unsigned d, unsigned n)
{
    if (d == n && d < 16)
        return d;
    x86_high_move(b, TEMP, n);
    return TEMP;
}

static void end_low(struct x86_buf *b, unsigned d, unsigned result, unsigned imm)
{
    put_imm(b, imm);
    if (d != result)
        x86_high_move(b, d, result);
}

void x86_high_rr(struct x86_buf *b, unsigned op, unsigned d, unsigned n, unsigned s, unsigned imm)
{
    if (!(facts_of(op) & NONE)) {
        x86_evex_rr(b, fields_of(op), d, facts_of(op) & ONE ? 0 : n, s);
        put_imm(b, imm);
        return;
    }
    unsigned source = x86_low_copy(b, SOURCE, s), result = begin_low(b, d, n);
    x86_op_rr(b, x86_sse_prefix(op), 0, x86_sse_opcode(op), result, source, false);
    end_low(b, d, result, imm);
}

void x86_high_rm(struct x86_buf *b, unsigned op, unsigned d, unsigned n, struct x86_mem m,
                 unsigned imm)
{
    if (!(facts_of(op) & NONE)) {
        x86_evex_rm(b, fields_of(op), access_of(op), d, facts_of(op) & (ONE | ONE_M) ? 0 : n, m);
        put_imm(b, imm);
        return;
    }
    unsigned result = begin_low(b, d, n);
    x86_op_rm(b, x86_sse_prefix(op), 0, x86_sse_opcode(op), result, m, false);
    end_low(b, d, result, imm);
}

void x86_high_rip(struct x86_buf *b, unsigned op, unsigned d, unsigned n, const uint8_t *to,
                  unsigned imm)
{
    unsigned behind = imm != X86_NO_IMM;

    if (!(facts_of(op) & NONE)) {
        unsigned vvvv = facts_of(op) & (ONE | ONE_M) ? 0 : n;
        x86_put_mem(b, evex(fields_of(op), d, vvvv, 0, 0, x86_modrm_rip(d)), 0, 4);
        x86_rip_to(b, to, behind);
        put_imm(b, imm);
        return;
    }
    unsigned result = begin_low(b, d, n);
    x86_op_rip(b, x86_sse_prefix(op), 0, x86_sse_opcode(op), result, 0);
    x86_rip_to(b, to, behind);
    end_low(b, d, result, imm);
}

void x86_high_shift(struct x86_buf *b, unsigned op, unsigned d, unsigned s, unsigned count)
{
    struct x86_evex e = { .w = op >> 8 == 0x73, .pp = 1, .map = 1, .op = (uint8_t)(op >> 8) };

    x86_evex_rr(b, e, op & 7, d, s);
    x86_imm8(b, count);
}
