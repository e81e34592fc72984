/*
 * The SSE instructions of the JIT's emitter (soft/jit/x86_sse.h) against LLVM's disassembler: every
 * name of the tables has to be the mnemonic of its encoding, with registers and with each shape of
 * an operand in memory; and every function that is not in a table.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#ifdef HAVE_LLVM
#include <llvm-c/Disassembler.h>
#include <llvm-c/Target.h>
#endif

#include "base/compiler.h"
#include "soft/jit/x86_sse.h"

#ifdef HAVE_LLVM

static struct test {
    LLVMDisasmContextRef llvm;
    uint8_t bytes[64];
    struct x86_buf buf;
    struct x86_sites sites;
} test;

#define B (&test.buf)

static const struct {
    struct x86_mem m;
    const char *text;
} modes[] = {
    { { RAX, X86_NONE, 0, 0 }, "[rax]" },           { { R15, X86_NONE, 0, 400 }, "[r15 + 400]" },
    { { R12, RCX, 3, -8 }, "[r12 + 8*rcx - 8]" },   { { RBP, R9, 0, 0 }, "[rbp + r9]" },
    { { R15, X86_NONE, 0, 2032 }, "[r15 + 2032]" }, { { R13, X86_NONE, 0, -2064 }, "[r13 - 2064]" },
};

/* The text of an instruction: blanks for tabs, without the size of a memory operand. */
static size_t disassemble(size_t at, char *got, size_t room)
{
    char line[160];
    size_t size = (size_t)(test.buf.p - test.bytes) - at, n = 0;
    size_t length = LLVMDisasmInstruction(test.llvm, test.bytes + at, size, 0, line, sizeof line);
    const char *from = line + strspn(line, " \t"), *ptr = strstr(from, " ptr [");

    if (!length)
        return 0;
    if (ptr) {
        const char *word = ptr;
        while (word > from && word[-1] != ' ' && word[-1] != '\t')
            word--;
        n = (size_t)(word - from);
        memcpy(got, from, n);
        from = ptr + 5;
    }
    snprintf(got + n, room - n, "%s", from);
    for (char *c = got; *c; c++)
        if (*c == '\t')
            *c = ' ';
    return length;
}

/* What was emitted has to be `want`: one instruction, or several with "; " between them. */
static void expect(const char *want)
{
    char got[1024] = "";
    size_t size = (size_t)(test.buf.p - test.bytes), at = 0, length;

    for (size_t n = 0; at < size; at += length) {
        if (at)
            n += (size_t)snprintf(got + n, sizeof got - n, "; ");
        length = disassemble(at, got + n, sizeof got - n);
        if (!length)
            fail_msg("no instruction behind '%s', for '%s'", got, want);
        n += strlen(got + n);
    }
    assert_int_equal(at, size);
    assert_string_equal(got, want);
    test.buf = (struct x86_buf){ .p = test.bytes, .sites = &test.sites };
}

#define EXPECT(...)                                                                                \
    do {                                                                                           \
        char want[256];                                                                            \
        snprintf(want, sizeof want, __VA_ARGS__);                                                  \
        expect(want);                                                                              \
    } while (0)

static const struct op {
    const char *name;
    enum x86_sse op;
} ops[] = {
#define OP(name, value) { #name, SSE_##name },
    X86_SSE_OPS(OP)
},
  imm_ops[] = { X86_SSE_IMM_OPS(OP) };

static const char *lower(const char *name)
{
    static char text[32];
    size_t n = 0;

    for (; name[n]; n++)
        text[n] = (char)(name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32 : name[n]);
    text[n] = 0;
    return text;
}

static void test_table(void **state)
{
    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(ops); n++) {
        for (unsigned d = 0; d < 6; d++) {
            x86_sse_rr(B, ops[n].op, (enum x86_xmm)d, (enum x86_xmm)(5 - d));
            EXPECT("%s xmm%u, xmm%u", lower(ops[n].name), d, 5 - d);
        }
        if (ops[n].op == SSE_MOVLHPS || ops[n].op == SSE_MOVHLPS) /* of registers only */
            continue;
        for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
            x86_sse_rm(B, ops[n].op, XMM3, modes[m].m);
            EXPECT("%s xmm3, %s", lower(ops[n].name), modes[m].text);
        }
        x86_sse_rip(B, ops[n].op, XMM2, test.bytes + 48);
        ptrdiff_t rel = test.bytes + 48 - test.buf.p;
        EXPECT("%s xmm2, [rip + %d]", lower(ops[n].name), (int)rel);
    }
}

/* With AVX, where the two operands are alike. */
static void test_avx(void **state)
{
    static const enum x86_sse alike[] = {
        SSE_ADDSD, SSE_MULSS, SSE_SUBPD, SSE_DIVPS,  SSE_ANDPS,   SSE_XORPS,     SSE_PADDB,
        SSE_PSUBQ, SSE_POR,   SSE_PANDN, SSE_PMULLD, SSE_PCMPEQQ, SSE_PUNPCKHBW,
    };
    (void)state;

    for (size_t n = 0; n < ARRAY_LEN(ops); n++)
        for (size_t k = 0; k < ARRAY_LEN(alike); k++) {
            if (ops[n].op != alike[k])
                continue;
            x86_avx_rr(B, ops[n].op, XMM1, (enum x86_xmm)12, XMM3);
            EXPECT("v%s xmm1, xmm12, xmm3", lower(ops[n].name));
            x86_avx_rr(B, ops[n].op, (enum x86_xmm)9, XMM2, (enum x86_xmm)13);
            EXPECT("v%s xmm9, xmm2, xmm13", lower(ops[n].name));
            for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
                x86_avx_rm(B, ops[n].op, (enum x86_xmm)10, XMM3, modes[m].m);
                EXPECT("v%s xmm10, xmm3, %s", lower(ops[n].name), modes[m].text);
            }
            x86_avx_rip(B, ops[n].op, XMM2, XMM4, test.bytes + 48);
            ptrdiff_t rel = test.bytes + 48 - test.buf.p;
            EXPECT("v%s xmm2, xmm4, [rip + %d]", lower(ops[n].name), (int)rel);
        }
}

/* XMM16 to XMM31: what has no EVEX form takes copies; some have other names there. */
static bool is_low(enum x86_sse op)
{
    static const enum x86_sse low[] = {
        SSE_PCMPEQB,    SSE_PCMPEQW, SSE_PCMPEQD,   SSE_PCMPEQQ,  SSE_PCMPGTB,   SSE_PCMPGTW,
        SSE_PCMPGTD,    SSE_PCMPGTQ, SSE_PHADDW,    SSE_PHADDD,   SSE_HADDPS,    SSE_HADDPD,
        SSE_PHMINPOSUW, SSE_AESIMC,  SSE_SHA1NEXTE, SSE_SHA1MSG1, SSE_SHA1MSG2,  SSE_SHA256MSG1,
        SSE_SHA256MSG2, SSE_PBLENDW, SSE_ROUNDSS,   SSE_ROUNDSD,  SSE_ROUNDPS,   SSE_ROUNDPD,
        SSE_CMPPS,      SSE_CMPPD,   SSE_CMPSS,     SSE_CMPSD,    SSE_SHA1RNDS4,
    };

    for (size_t n = 0; n < ARRAY_LEN(low); n++)
        if (low[n] == op)
            return true;
    return false;
}

static const char *high_name(const struct op *o)
{
    static char text[40];
    bool bits = o->op == SSE_PAND || o->op == SSE_PANDN || o->op == SSE_POR || o->op == SSE_PXOR;

    snprintf(text, sizeof text, "v%s%s", lower(o->name),
             bits                  ? "d"
             : o->op == SSE_MOVDQU ? "32"
                                   : "");
    return text;
}

/* "xmmD, ", which is the first operand of most. */
static const char *first(const struct op *o, unsigned n, bool memory)
{
    static const char *const unary[] = {
        "MOVAPS",   "MOVDQU",   "MOVQ",      "MOVDDUP",  "PABSB",    "PABSW",
        "PABSD",    "PMOVSXBW", "PMOVSXWD",  "PMOVSXDQ", "PMOVSXBD", "PMOVSXBQ",
        "PMOVZXBW", "PMOVZXWD", "PMOVZXDQ",  "SQRTPS",   "SQRTPD",   "UCOMISS",
        "UCOMISD",  "COMISS",   "COMISD",    "CVTPS2PD", "CVTPD2PS", "CVTDQ2PS",
        "CVTDQ2PD", "PSHUFD",   "CVTTPS2DQ", "PSHUFLW",  "PSHUFHW",
    };
    static char text[16];

    if (memory && (o->op == SSE_MOVSS || o->op == SSE_MOVSD))
        return "";
    for (size_t k = 0; k < ARRAY_LEN(unary); k++)
        if (strcmp(unary[k], o->name) == 0)
            return "";
    snprintf(text, sizeof text, "xmm%u, ", n);
    return text;
}

static void test_high(void **state)
{
    static const unsigned pairs[][2] = { { 17, 30 }, { 24, 3 }, { 9, 23 }, { 31, 16 } };
    (void)state;

    for (size_t n = 0; n < ARRAY_LEN(ops); n++) {
        const struct op *o = &ops[n];
        bool registers = o->op == SSE_MOVLHPS || o->op == SSE_MOVHLPS;
        if (is_low(o->op))
            continue;
        for (size_t k = 0; k < ARRAY_LEN(pairs); k++) {
            unsigned d = pairs[k][0], s = pairs[k][1];
            x86_sse_rr(B, o->op, (enum x86_xmm)d, (enum x86_xmm)s);
            EXPECT("%s xmm%u, %sxmm%u", high_name(o), d, first(o, d, false), s);
        }
        for (size_t m = 0; !registers && m < ARRAY_LEN(modes); m++) {
            x86_sse_rm(B, o->op, XMM16, modes[m].m);
            EXPECT("%s xmm16, %s%s", high_name(o), first(o, 16, true), modes[m].text);
        }
        if (*first(o, 0, false) == 0 || registers)
            continue;
        x86_avx_rr(B, o->op, XMM1, (enum x86_xmm)21, XMM3);
        EXPECT("%s xmm1, xmm21, xmm3", high_name(o));
        if (*first(o, 0, true) == 0)
            continue;
        x86_avx_rm(B, o->op, (enum x86_xmm)9, (enum x86_xmm)28, modes[2].m);
        EXPECT("%s xmm9, xmm28, %s", high_name(o), modes[2].text);
        x86_avx_rip(B, o->op, (enum x86_xmm)29, XMM4, test.bytes + 48);
        ptrdiff_t rel = test.bytes + 48 - test.buf.p;
        EXPECT("%s xmm29, xmm4, [rip + %d]", high_name(o), (int)rel);
    }
    for (size_t n = 0; n < ARRAY_LEN(imm_ops); n++) {
        const struct op *o = &imm_ops[n];
        if (is_low(o->op) || o->op == SSE_PCLMULQDQ) /* it is an alias, too */
            continue;
        x86_sse_rri(B, o->op, (enum x86_xmm)17, (enum x86_xmm)30, 3);
        EXPECT("%s xmm17, %sxmm30, 3", high_name(o), first(o, 17, false));
        x86_sse_rmi(B, o->op, (enum x86_xmm)17, modes[1].m, 3);
        EXPECT("%s xmm17, %s%s, 3", high_name(o), first(o, 17, true), modes[1].text);
    }
    x86_sse_rri(B, SSE_PCLMULQDQ, (enum x86_xmm)17, (enum x86_xmm)30, 2);
    EXPECT("vpclmulqdq xmm17, xmm17, xmm30, 2");
}

/* What works on copies. */
static void test_low(void **state)
{
    (void)state;

    for (size_t n = 0; n < ARRAY_LEN(ops); n++) {
        const struct op *o = &ops[n];
        const char *name = lower(o->name);
        if (!is_low(o->op))
            continue;
        x86_sse_rr(B, o->op, XMM3, (enum x86_xmm)22);
        EXPECT("vmovaps xmm15, xmm22; %s xmm3, xmm15", name);
        x86_sse_rr(B, o->op, (enum x86_xmm)18, XMM2);
        EXPECT("vmovaps xmm14, xmm18; %s xmm14, xmm2; vmovaps xmm18, xmm14", name);
        x86_sse_rr(B, o->op, (enum x86_xmm)18, (enum x86_xmm)22);
        EXPECT("vmovaps xmm15, xmm22; vmovaps xmm14, xmm18; %s xmm14, xmm15; vmovaps xmm18, xmm14",
               name);
        x86_sse_rm(B, o->op, XMM16, modes[1].m);
        EXPECT("vmovaps xmm14, xmm16; %s xmm14, [r15 + 400]; vmovaps xmm16, xmm14", name);
        x86_avx_rr(B, o->op, XMM1, (enum x86_xmm)21, XMM3);
        EXPECT("vmovaps xmm14, xmm21; %s xmm14, xmm3; vmovaps xmm1, xmm14", name);
        x86_avx_rr(B, o->op, (enum x86_xmm)20, XMM4, XMM3);
        EXPECT("vmovaps xmm14, xmm4; %s xmm14, xmm3; vmovaps xmm20, xmm14", name);
        x86_sse_rip(B, o->op, (enum x86_xmm)18, test.bytes + 48);
        ptrdiff_t rel = test.bytes + 48 - test.buf.p + 6;
        EXPECT("vmovaps xmm14, xmm18; %s xmm14, [rip + %d]; vmovaps xmm18, xmm14", name, (int)rel);
    }
    x86_sse_rri(B, SSE_ROUNDPD, (enum x86_xmm)18, (enum x86_xmm)22, 3);
    expect("vmovaps xmm15, xmm22; vmovaps xmm14, xmm18; roundpd xmm14, xmm15, 3; "
           "vmovaps xmm18, xmm14");
    x86_sse_rmi(B, SSE_PBLENDW, (enum x86_xmm)18, modes[0].m, 3);
    expect("vmovaps xmm14, xmm18; pblendw xmm14, [rax], 3; vmovaps xmm18, xmm14");
    x86_sse_rri(B, SSE_CMPPS, XMM0, (enum x86_xmm)17, 1);
    expect("vmovaps xmm15, xmm17; cmpltps xmm0, xmm15");
    x86_sha256rnds2(B, (enum x86_xmm)18, (enum x86_xmm)22);
    expect("vmovaps xmm15, xmm22; vmovaps xmm14, xmm18; sha256rnds2 xmm14, xmm15, xmm0; "
           "vmovaps xmm18, xmm14");
    x86_pmovmskb(B, R10, (enum x86_xmm)18);
    expect("vmovaps xmm15, xmm18; pmovmskb r10d, xmm15");
    x86_movmsk(B, true, RCX, (enum x86_xmm)31);
    expect("vmovaps xmm15, xmm31; movmskpd ecx, xmm15");
    x86_avx_store(B, false, x86_at(R8, 16), (enum x86_xmm)19);
    expect("vmovaps xmm15, xmm19; vmovdqu [r8 + 16], xmm15");
    x86_vextracti128(B, (enum x86_xmm)19, XMM5);
    expect("vextracti128 xmm15, ymm5, 1; vmovaps xmm19, xmm15");
    x86_vinserti128(B, XMM5, (enum x86_xmm)19, (enum x86_xmm)19);
    expect("vmovaps xmm14, xmm19; vmovaps xmm15, xmm19; vinserti128 ymm5, ymm14, xmm15, 1");
}

/* What is in no table. */
static void test_high_others(void **state)
{
    const enum x86_xmm h = (enum x86_xmm)26;
    static const unsigned sizes[] = { 1, 2, 4, 8 };
    (void)state;

    for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
        x86_sse_store(B, 4, modes[m].m, h);
        EXPECT("vmovd %s, xmm26", modes[m].text);
        x86_sse_store(B, 8, modes[m].m, h);
        EXPECT("vmovq %s, xmm26", modes[m].text);
        x86_sse_store(B, 16, modes[m].m, h);
        EXPECT("vmovdqu32 %s, xmm26", modes[m].text);
        x86_movaps_mr(B, modes[m].m, h);
        EXPECT("vmovaps %s, xmm26", modes[m].text);
        x86_movd_to_m(B, h, modes[m].m);
        EXPECT("vmovd xmm26, %s", modes[m].text);
        for (size_t n = 0; n < ARRAY_LEN(sizes); n++) {
            x86_pinsr_m(B, sizes[n], h, modes[m].m, 1);
            EXPECT("vpinsr%c xmm26, xmm26, %s, 1", "bwdq"[n], modes[m].text);
        }
    }
    for (size_t n = 0; n < ARRAY_LEN(sizes); n++) {
        x86_pinsr(B, sizes[n], h, R9, 1);
        EXPECT("vpinsr%c xmm26, xmm26, r9%s, 1", "bwdq"[n], n < 3 ? "d" : "");
        x86_pextr(B, sizes[n], R9, h, 1);
        EXPECT("vpextr%c r9%s, xmm26, 1", "bwdq"[n], n < 3 ? "d" : "");
    }
    x86_movd_to(B, 0, h, R9);
    expect("vmovd xmm26, r9d");
    x86_movd_to(B, 1, h, RBX);
    expect("vmovq xmm26, rbx");
    x86_movd_from(B, 0, R9, h);
    expect("vmovd r9d, xmm26");
    x86_movd_from(B, 1, RCX, h);
    expect("vmovq rcx, xmm26");
    x86_cvtsi2f(B, true, 1, h, R9);
    expect("vcvtsi2sd xmm26, xmm26, r9");
    x86_cvtsi2f(B, false, 0, h, RDX);
    expect("vcvtsi2ss xmm26, xmm26, edx");
    x86_cvttf2si(B, true, 0, R8, h);
    expect("vcvttsd2si r8d, xmm26");
    x86_cvttf2si(B, false, 1, RAX, h);
    expect("vcvttss2si rax, xmm26");
    x86_fma(B, X86_FMADD, true, true, XMM0, h, XMM2);
    expect("vfmadd213sd xmm0, xmm26, xmm2");
    x86_fma(B, X86_FNMADD, false, false, h, XMM4, XMM31);
    expect("vfnmadd213ps xmm26, xmm4, xmm31");
    x86_fma(B, X86_FNMSUB, true, false, XMM3, XMM4, h);
    expect("vfnmsub213pd xmm3, xmm4, xmm26");
    x86_shift_each(B, X86_SRA_EACH, 0, XMM1, h, XMM3);
    expect("vpsravd xmm1, xmm26, xmm3");
    x86_shift_each(B, X86_SLL_EACH, 1, h, XMM2, XMM16);
    expect("vpsllvq xmm26, xmm2, xmm16");
    x86_vprol(B, 0, h, (enum x86_xmm)9, 7);
    expect("vprold xmm26, xmm9, 7");
    x86_vprol(B, 1, XMM2, h, 63);
    expect("vprolq xmm2, xmm26, 63");
    x86_cvtph2ps(B, XMM1, h);
    expect("vcvtph2ps xmm1, xmm26");
    x86_cvtps2ph(B, h, (enum x86_xmm)9);
    expect("vcvtps2ph xmm26, xmm9, 4");
}

/* LLVM prints these with the immediate as part of the name. */
static bool is_alias(enum x86_sse op)
{
    return op == SSE_CMPPS || op == SSE_CMPPD || op == SSE_CMPSS || op == SSE_CMPSD;
}

static void test_immediates(void **state)
{
    (void)state;
    for (size_t n = 0; n < ARRAY_LEN(imm_ops); n++) {
        if (is_alias(imm_ops[n].op))
            continue;
        x86_sse_rri(B, imm_ops[n].op, XMM1, XMM4, 3);
        EXPECT("%s xmm1, xmm4, 3", lower(imm_ops[n].name));
        for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
            x86_sse_rmi(B, imm_ops[n].op, XMM5, modes[m].m, 3);
            EXPECT("%s xmm5, %s, 3", lower(imm_ops[n].name), modes[m].text);
        }
    }
    x86_sse_rri(B, SSE_CMPPS, XMM0, XMM1, 1);
    EXPECT("cmpltps xmm0, xmm1");
    x86_sse_rri(B, SSE_CMPPD, XMM0, XMM1, 2);
    EXPECT("cmplepd xmm0, xmm1");
    x86_sse_rri(B, SSE_CMPSS, XMM0, XMM1, 3);
    EXPECT("cmpunordss xmm0, xmm1");
    x86_sse_rri(B, SSE_CMPSD, XMM0, XMM1, 0);
    EXPECT("cmpeqsd xmm0, xmm1");
}

static void test_shifts(void **state)
{
    static const struct {
        enum x86_sse_shift op;
        const char *name;
    } shifts[] = {
        { SSE_SRL_W, "psrlw" },   { SSE_SRA_W, "psraw" }, { SSE_SLL_W, "psllw" },
        { SSE_SRL_D, "psrld" },   { SSE_SRA_D, "psrad" }, { SSE_SLL_D, "pslld" },
        { SSE_SRL_Q, "psrlq" },   { SSE_SLL_Q, "psllq" }, { SSE_SRL_DQ, "psrldq" },
        { SSE_SLL_DQ, "pslldq" },
    };
    (void)state;

    for (size_t n = 0; n < ARRAY_LEN(shifts); n++) {
        x86_sse_shift(B, shifts[n].op, XMM4, 5);
        EXPECT("%s xmm4, 5", shifts[n].name);
        x86_avx_shift(B, shifts[n].op, (enum x86_xmm)9, (enum x86_xmm)12, 5);
        EXPECT("v%s xmm9, xmm12, 5", shifts[n].name);
        x86_avx_shift(B, shifts[n].op, XMM1, XMM3, 7);
        EXPECT("v%s xmm1, xmm3, 7", shifts[n].name);
        x86_avx_shift(B, shifts[n].op, XMM1, (enum x86_xmm)19, 7);
        EXPECT("v%s xmm1, xmm19, 7", shifts[n].name);
        x86_sse_shift(B, shifts[n].op, XMM16, 7);
        EXPECT("v%s xmm16, xmm16, 7", shifts[n].name);
    }
}

static void test_moves(void **state)
{
    (void)state;
    for (size_t m = 0; m < ARRAY_LEN(modes); m++) {
        x86_sse_store(B, 4, modes[m].m, XMM3);
        EXPECT("movd %s, xmm3", modes[m].text);
        x86_sse_store(B, 8, modes[m].m, XMM3);
        EXPECT("movq %s, xmm3", modes[m].text);
        x86_sse_store(B, 16, modes[m].m, XMM3);
        EXPECT("movdqu %s, xmm3", modes[m].text);
        x86_movaps_mr(B, modes[m].m, XMM5);
        EXPECT("movaps %s, xmm5", modes[m].text);
        x86_movd_to_m(B, XMM5, modes[m].m);
        EXPECT("movd xmm5, %s", modes[m].text);
        x86_pinsr_m(B, 1, XMM1, modes[m].m, 9);
        EXPECT("pinsrb xmm1, %s, 9", modes[m].text);
        x86_pinsr_m(B, 2, XMM1, modes[m].m, 7);
        EXPECT("pinsrw xmm1, %s, 7", modes[m].text);
        x86_pinsr_m(B, 4, XMM1, modes[m].m, 3);
        EXPECT("pinsrd xmm1, %s, 3", modes[m].text);
        x86_pinsr_m(B, 8, XMM1, modes[m].m, 1);
        EXPECT("pinsrq xmm1, %s, 1", modes[m].text);
        x86_stmxcsr(B, modes[m].m);
        EXPECT("stmxcsr %s", modes[m].text);
        x86_ldmxcsr(B, modes[m].m);
        EXPECT("ldmxcsr %s", modes[m].text);
    }
    x86_movd_to(B, 0, XMM2, R9);
    EXPECT("movd xmm2, r9d");
    x86_movd_to(B, 1, XMM2, RBX);
    EXPECT("movq xmm2, rbx");
    x86_movd_from(B, 0, R9, XMM2);
    EXPECT("movd r9d, xmm2");
    x86_movd_from(B, 1, RCX, XMM2);
    EXPECT("movq rcx, xmm2");
    x86_pinsr(B, 1, XMM0, RSI, 15);
    EXPECT("pinsrb xmm0, esi, 15");
    x86_pinsr(B, 2, XMM0, R8, 1);
    EXPECT("pinsrw xmm0, r8d, 1");
    x86_pinsr(B, 4, XMM0, R8, 2);
    EXPECT("pinsrd xmm0, r8d, 2");
    x86_pinsr(B, 8, XMM0, R8, 1);
    EXPECT("pinsrq xmm0, r8, 1");
    x86_pmovmskb(B, R10, XMM3);
    EXPECT("pmovmskb r10d, xmm3");
    x86_movmsk(B, false, RCX, XMM3);
    EXPECT("movmskps ecx, xmm3");
    x86_movmsk(B, true, RCX, XMM3);
    EXPECT("movmskpd ecx, xmm3");
}

static void test_numbers(void **state)
{
    (void)state;
    x86_cvtsi2f(B, true, 1, XMM1, R9);
    EXPECT("cvtsi2sd xmm1, r9");
    x86_cvtsi2f(B, false, 0, XMM1, RDX);
    EXPECT("cvtsi2ss xmm1, edx");
    x86_cvttf2si(B, true, 0, R8, XMM2);
    EXPECT("cvttsd2si r8d, xmm2");
    x86_cvttf2si(B, false, 1, RAX, XMM2);
    EXPECT("cvttss2si rax, xmm2");
    x86_vtestps(B, (enum x86_xmm)9);
    EXPECT("vtestps xmm9, xmm9");
    x86_avx256_rr(B, SSE_PMINUB, XMM0, XMM1, (enum x86_xmm)9);
    EXPECT("vpminub ymm0, ymm1, ymm9");
    x86_avx256_rr(B, SSE_MOVDQU, (enum x86_xmm)9, XMM0, XMM1);
    EXPECT("vmovdqu ymm9, ymm1");
    x86_avx256_rm(B, SSE_MOVDQU, XMM1, XMM0, x86_indexed(RBX, R9, 0, 32));
    EXPECT("vmovdqu ymm1, [rbx + r9 + 32]");
    x86_avx256_rm(B, SSE_PCMPEQB, XMM2, XMM1, x86_at(R8, 0));
    EXPECT("vpcmpeqb ymm2, ymm1, [r8]");
    x86_avx_store(B, true, x86_at(R8, 16), (enum x86_xmm)9);
    EXPECT("vmovdqu [r8 + 16], ymm9");
    x86_avx_store(B, false, x86_indexed(RBX, R9, 0, 32), XMM1);
    EXPECT("vmovdqu [rbx + r9 + 32], xmm1");
    x86_vextracti128(B, (enum x86_xmm)9, XMM5);
    EXPECT("vextracti128 xmm9, ymm5, 1");
    x86_vptest256(B, XMM3);
    EXPECT("vptest ymm3, ymm3");
    x86_vpmovmskb256(B, R9, (enum x86_xmm)9);
    EXPECT("vpmovmskb r9d, ymm9");
    x86_vbroadcasti128(B, XMM5, x86_at(R15, 208));
    EXPECT("vbroadcasti128 ymm5, [r15 + 208]");
    x86_vinserti128(B, XMM5, (enum x86_xmm)9, (enum x86_xmm)9);
    EXPECT("vinserti128 ymm5, ymm9, xmm9, 1");
    x86_vzeroupper(B);
    EXPECT("vzeroupper");
    x86_pextr(B, 1, RAX, (enum x86_xmm)9, 15);
    EXPECT("pextrb eax, xmm9, 15");
    x86_pextr(B, 2, R9, XMM1, 7);
    EXPECT("pextrw r9d, xmm1, 7");
    x86_pextr(B, 4, RCX, XMM1, 3);
    EXPECT("pextrd ecx, xmm1, 3");
    x86_pextr(B, 8, R10, XMM1, 1);
    EXPECT("pextrq r10, xmm1, 1");
    x86_fma(B, X86_FMADD, true, true, XMM0, XMM1, XMM2);
    EXPECT("vfmadd213sd xmm0, xmm1, xmm2");
    x86_fma(B, X86_FMSUB, false, true, XMM0, XMM1, XMM2);
    EXPECT("vfmsub213ss xmm0, xmm1, xmm2");
    x86_fma(B, X86_FNMADD, false, false, XMM3, XMM4, XMM5);
    EXPECT("vfnmadd213ps xmm3, xmm4, xmm5");
    x86_fma(B, X86_FNMSUB, true, false, XMM3, XMM4, XMM5);
    EXPECT("vfnmsub213pd xmm3, xmm4, xmm5");
    x86_shift_each(B, X86_SRL_EACH, 0, XMM1, XMM2, XMM3);
    EXPECT("vpsrlvd xmm1, xmm2, xmm3");
    x86_shift_each(B, X86_SRA_EACH, 0, XMM1, (enum x86_xmm)9, XMM3);
    EXPECT("vpsravd xmm1, xmm9, xmm3");
    x86_shift_each(B, X86_SLL_EACH, 1, XMM4, XMM2, (enum x86_xmm)12);
    EXPECT("vpsllvq xmm4, xmm2, xmm12");
    x86_vprol(B, 0, XMM1, (enum x86_xmm)9, 7);
    EXPECT("vprold xmm1, xmm9, 7");
    x86_vprol(B, 1, (enum x86_xmm)12, XMM2, 63);
    EXPECT("vprolq xmm12, xmm2, 63");
    x86_cvtph2ps(B, XMM1, (enum x86_xmm)9);
    EXPECT("vcvtph2ps xmm1, xmm9");
    x86_cvtps2ph(B, XMM1, (enum x86_xmm)9);
    EXPECT("vcvtps2ph xmm1, xmm9, 4");
    x86_cmp8_rr(B, RAX, RCX);
    EXPECT("cmp al, cl");
    x86_cmp8_rr(B, RSI, R8);
    EXPECT("cmp sil, r8b");
    x86_sha256rnds2(B, XMM1, XMM2);
    EXPECT("sha256rnds2 xmm1, xmm2, xmm0");
}

static int set_up(void **state)
{
    (void)state;
    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86Disassembler();
    test.llvm = LLVMCreateDisasm("x86_64-unknown-linux-gnu", NULL, 0, NULL, NULL);
    test.buf = (struct x86_buf){ .p = test.bytes, .sites = &test.sites };
    return test.llvm && LLVMSetDisasmOptions(test.llvm, LLVMDisassembler_Option_AsmPrinterVariant)
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    LLVMDisasmDispose(test.llvm);
    return 0;
}

#endif

/* No more than X86_BEHIND bytes are written behind what is put, and none before it. */
static void test_bounds(void **state)
{
    uint8_t bytes[64];
    struct x86_sites sites = { 0 };
    struct x86_buf b = { .p = bytes + 8, .sites = &sites };
    (void)state;

    memset(bytes, 0xcc, sizeof bytes);
    x86_sse_rr(&b, SSE_PADDB, XMM0, XMM1);
    x86_sse_rri(&b, SSE_PSHUFD, XMM0, XMM1, 1);
    x86_sse_rip(&b, SSE_PADDB, XMM0, bytes);
    x86_vzeroupper(&b);
    assert_true(b.p + X86_BEHIND < bytes + sizeof bytes);
    for (const uint8_t *p = b.p + X86_BEHIND; p < bytes + sizeof bytes; p++)
        assert_int_equal(*p, 0xcc);
    for (unsigned n = 0; n < 8; n++)
        assert_int_equal(bytes[n], 0xcc);
}

int main(void)
{
#ifdef HAVE_LLVM
    static const struct CMUnitTest compared[] = {
        cmocka_unit_test(test_table),       cmocka_unit_test(test_avx),
        cmocka_unit_test(test_immediates),  cmocka_unit_test(test_shifts),
        cmocka_unit_test(test_moves),       cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_high),        cmocka_unit_test(test_low),
        cmocka_unit_test(test_high_others), cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("jit_sse", compared, set_up, tear_down);
#else
    static const struct CMUnitTest bounds[] = { cmocka_unit_test(test_bounds) };
    print_message("# LLVM 14's C API is not installed: nothing is compared\n");
    return cmocka_run_group_tests_name("jit_sse", bounds, NULL, NULL);
#endif
}
