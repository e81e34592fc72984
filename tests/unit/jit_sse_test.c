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
    { { RAX, X86_NONE, 0, 0 }, "[rax]" },
    { { R15, X86_NONE, 0, 400 }, "[r15 + 400]" },
    { { R12, RCX, 3, -8 }, "[r12 + 8*rcx - 8]" },
    { { RBP, R9, 0, 0 }, "[rbp + r9]" },
};

/* What was emitted is one instruction: its text, blanks for tabs, without the size of a memory
 * operand, has to be `want`. */
static void expect(const char *want)
{
    char line[160], got[160];
    size_t size = (size_t)(test.buf.p - test.bytes), n = 0;
    size_t length = LLVMDisasmInstruction(test.llvm, test.bytes, size, 0, line, sizeof line);
    const char *from = line + strspn(line, " \t"), *ptr = strstr(from, " ptr [");

    assert_int_equal(length, size);
    if (ptr) {
        const char *word = ptr;
        while (word > from && word[-1] != ' ' && word[-1] != '\t')
            word--;
        n = (size_t)(word - from);
        memcpy(got, from, n);
        from = ptr + 5;
    }
    snprintf(got + n, sizeof got - n, "%s", from);
    for (char *c = got; *c; c++)
        if (*c == '\t')
            *c = ' ';
    assert_string_equal(got, want);
    test.buf = (struct x86_buf){ .p = test.bytes, .sites = &test.sites };
}

#define EXPECT(...)                                                                                \
    do {                                                                                           \
        char want[128];                                                                            \
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
        cmocka_unit_test(test_table),      cmocka_unit_test(test_avx),
        cmocka_unit_test(test_immediates), cmocka_unit_test(test_shifts),
        cmocka_unit_test(test_moves),      cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests_name("jit_sse", compared, set_up, tear_down);
#else
    static const struct CMUnitTest bounds[] = { cmocka_unit_test(test_bounds) };
    print_message("# LLVM 14's C API is not installed: nothing is compared\n");
    return cmocka_run_group_tests_name("jit_sse", bounds, NULL, NULL);
#endif
}
