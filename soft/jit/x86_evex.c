/* EVEX forms of 16 bytes: Intel SDM volume 2, 2.7 and the instructions' pages. */
#include "soft/jit/x86_sse.h"

enum { TEMP = 14, SOURCE = 15 };

/* What an operation's EVEX form is like: W is 0 or 1, or there is none. */
enum form { FORM_W0, FORM_W1, FORM_NONE };

static enum form form_of(unsigned op)
{
    switch (op) {
    case SSE_PCMPEQB:
    case SSE_PCMPEQW:
    case SSE_PCMPEQD:
    case SSE_PCMPEQQ:
    case SSE_PCMPGTB:
    case SSE_PCMPGTW:
    case SSE_PCMPGTD:
    case SSE_PCMPGTQ:
    case SSE_CMPPS:
    case SSE_CMPPD:
    case SSE_CMPSS:
    case SSE_CMPSD: /* these write masks */
    case SSE_PHADDW:
    case SSE_PHADDD:
    case SSE_PHMINPOSUW:
    case SSE_HADDPS:
    case SSE_HADDPD:
    case SSE_PBLENDW:
    case SSE_ROUNDSS:
    case SSE_ROUNDSD:
    case SSE_ROUNDPS:
    case SSE_ROUNDPD:
    case SSE_AESIMC:
    case SSE_SHA1NEXTE:
    case SSE_SHA1MSG1:
    case SSE_SHA1MSG2:
    case SSE_SHA1RNDS4:
    case SSE_SHA256MSG1:
    case SSE_SHA256MSG2:
        return FORM_NONE;
    case SSE_MOVSD:
    case SSE_MOVQ:
    case SSE_MOVDDUP:
    case SSE_PADDQ:
    case SSE_PSUBQ:
    case SSE_PMULUDQ:
    case SSE_PMULDQ:
    case SSE_PUNPCKLQDQ:
    case SSE_PUNPCKHQDQ:
    case SSE_PSRLQ:
    case SSE_ADDSD:
    case SSE_ADDPD:
    case SSE_SUBSD:
    case SSE_SUBPD:
    case SSE_MULSD:
    case SSE_MULPD:
    case SSE_DIVSD:
    case SSE_DIVPD:
    case SSE_SQRTSD:
    case SSE_SQRTPD:
    case SSE_MINSD:
    case SSE_MINPD:
    case SSE_MAXSD:
    case SSE_MAXPD:
    case SSE_UCOMISD:
    case SSE_COMISD:
    case SSE_CVTSD2SS:
    case SSE_CVTPD2PS:
    case SSE_SHUFPD:
    case SSE_GF2P8AFFINEQB:
        return FORM_W1;
    default:
        return FORM_W0;
    }
}

/* Has it one operand only besides its result? */
static bool is_unary(unsigned op, bool memory)
{
    switch (op) {
    case SSE_MOVSS:
    case SSE_MOVSD:
        return memory;
    case SSE_MOVAPS:
    case SSE_MOVDQU:
    case SSE_MOVQ:
    case SSE_MOVDDUP:
    case SSE_PABSB:
    case SSE_PABSW:
    case SSE_PABSD:
    case SSE_PMOVSXBW:
    case SSE_PMOVSXWD:
    case SSE_PMOVSXDQ:
    case SSE_PMOVSXBD:
    case SSE_PMOVSXBQ:
    case SSE_PMOVZXBW:
    case SSE_PMOVZXWD:
    case SSE_PMOVZXDQ:
    case SSE_SQRTPS:
    case SSE_SQRTPD:
    case SSE_UCOMISS:
    case SSE_UCOMISD:
    case SSE_COMISS:
    case SSE_COMISD:
    case SSE_CVTPS2PD:
    case SSE_CVTPD2PS:
    case SSE_CVTDQ2PS:
    case SSE_CVTTPS2DQ:
    case SSE_CVTDQ2PD:
    case SSE_PSHUFD:
    case SSE_PSHUFLW:
    case SSE_PSHUFHW:
        return true;
    default:
        return false;
    }
}

/* How many bytes of memory does it access? */
static unsigned access_of(unsigned op)
{
    switch (op) {
    case SSE_PMOVSXBQ:
        return 2;
    case SSE_MOVSS:
    case SSE_PMOVSXBD:
    case SSE_ADDSS:
    case SSE_SUBSS:
    case SSE_MULSS:
    case SSE_DIVSS:
    case SSE_SQRTSS:
    case SSE_MINSS:
    case SSE_MAXSS:
    case SSE_UCOMISS:
    case SSE_COMISS:
    case SSE_CVTSS2SD:
    case SSE_INSERTPS:
        return 4;
    case SSE_MOVSD:
    case SSE_MOVQ:
    case SSE_MOVDDUP:
    case SSE_PMOVSXBW:
    case SSE_PMOVSXWD:
    case SSE_PMOVSXDQ:
    case SSE_PMOVZXBW:
    case SSE_PMOVZXWD:
    case SSE_PMOVZXDQ:
    case SSE_ADDSD:
    case SSE_SUBSD:
    case SSE_MULSD:
    case SSE_DIVSD:
    case SSE_SQRTSD:
    case SSE_MINSD:
    case SSE_MAXSD:
    case SSE_UCOMISD:
    case SSE_COMISD:
    case SSE_CVTSD2SS:
    case SSE_CVTPS2PD:
    case SSE_CVTDQ2PD:
        return 8;
    default:
        return 16;
    }
}

static struct x86_evex fields_of(unsigned op)
{
    unsigned prefix = x86_sse_prefix(op), opcode = x86_sse_opcode(op);

    return (struct x86_evex){
        .w = form_of(op) == FORM_W1,
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
    if (form_of(op) != FORM_NONE) {
        x86_evex_rr(b, fields_of(op), d, is_unary(op, false) ? 0 : n, s);
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
    if (form_of(op) != FORM_NONE) {
        x86_evex_rm(b, fields_of(op), access_of(op), d, is_unary(op, true) ? 0 : n, m);
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

    if (form_of(op) != FORM_NONE) {
        unsigned vvvv = is_unary(op, true) ? 0 : n;
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
