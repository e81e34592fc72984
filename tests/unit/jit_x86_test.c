/*
 * The x86-64 emitter of the JIT (soft/jit/x86.h) against LLVM's disassembler: every function with
 * registers of all classes (low, high, those that need a SIB byte or a displacement as a base, byte
 * registers that need a REX prefix), all shapes of a memory operand, both widths, short and long
 * immediates. What the text has to be is made from the arguments of the call.
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
#include "soft/jit/x86.h"

#ifdef HAVE_LLVM

static const char *const reg64[16] = { "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                       "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15" };
static const char *const reg32[16] = {
    "eax", "ecx", "edx",  "ebx",  "esp",  "ebp",  "esi",  "edi",
    "r8d", "r9d", "r10d", "r11d", "r12d", "r13d", "r14d", "r15d"
};
static const char *const reg16[16] = {
    "ax",  "cx",  "dx",   "bx",   "sp",   "bp",   "si",   "di",
    "r8w", "r9w", "r10w", "r11w", "r12w", "r13w", "r14w", "r15w"
};
static const char *const reg8[16] = {
    "al",  "cl",  "dl",   "bl",   "spl",  "bpl",  "sil",  "dil",
    "r8b", "r9b", "r10b", "r11b", "r12b", "r13b", "r14b", "r15b"
};
static const char *const cc_name[16] = { "o", "no", "b", "ae", "e", "ne", "be", "a",
                                         "s", "ns", "p", "np", "l", "ge", "le", "g" };
static const char *const alu_name[8] = { "add", "or", "adc", "sbb", "and", "sub", "xor", "cmp" };

static const struct {
    enum x86_shift op;
    const char *name;
} shifts[] = {
    { X86_ROL, "rol" }, { X86_ROR, "ror" }, { X86_SHL, "shl" },
    { X86_SHR, "shr" }, { X86_SAR, "sar" },
};

static const struct {
    enum x86_unary op;
    const char *name;
} unaries[] = {
    { X86_NOT, "not" },   { X86_NEG, "neg" }, { X86_MUL, "mul" },
    { X86_IMUL, "imul" }, { X86_DIV, "div" }, { X86_IDIV, "idiv" },
};

static const struct {
    enum x86_extend op;
    const char *name;
    unsigned size; /* of the source, bytes */
} extensions[] = {
    { X86_ZX8, "movzx", 1 },  { X86_ZX16, "movzx", 2 },  { X86_SX8, "movsx", 1 },
    { X86_SX16, "movsx", 2 }, { X86_SX32, "movsxd", 4 },
};

static const int32_t immediates[] = { 0,    1,    -1,         127,       128,
                                      -128, -129, 0x12345678, INT32_MAX, INT32_MIN };

/* Registers of each class; as operands next to memory. */
static const enum x86_reg some_regs[] = { RAX, RSP, RSI, R8, R13, R15 };

#define MAX_MODES 1024

struct test {
    LLVMDisasmContextRef llvm;
    uint8_t bytes[256];
    struct x86_buf buf;
    struct x86_sites sites;
    unsigned checks;
    struct x86_mem mode[MAX_MODES];
    char mode_text[MAX_MODES][64];
    unsigned modes;
};

static struct test test;

#define B (&test.buf)

static const char *reg_of(unsigned size, unsigned r)
{
    return (size == 8 ? reg64 : size == 4 ? reg32 : size == 2 ? reg16 : reg8)[r];
}

static const char *wide(unsigned w, unsigned r)
{
    return w ? reg64[r] : reg32[r];
}

static const char *ptr(unsigned size)
{
    return size == 8 ? "qword ptr" : size == 4 ? "dword ptr" : size == 2 ? "word ptr" : "byte ptr";
}

/* One instruction as text with single blanks; its length, or 0. */
static size_t disassemble(const uint8_t *p, size_t size, char *text, size_t room)
{
    char line[160];
    size_t length =
        LLVMDisasmInstruction(test.llvm, (uint8_t *)(uintptr_t)p, size, 0, line, sizeof line);
    const char *start = line + strspn(line, " \t");

    snprintf(text, room, "%s", length ? start : "(invalid)");
    for (char *c = text; *c; c++)
        if (*c == '\t')
            *c = ' ';
    return length;
}

/* What was emitted since the last call is exactly this, prefixes on their own. */
__attribute__((format(printf, 1, 2))) static void expect(const char *format, ...)
{
    char want[192], got[192] = "";
    size_t size = (size_t)(test.buf.p - test.bytes), used = 0, at = 0;
    va_list args;

    va_start(args, format);
    vsnprintf(want, sizeof want, format, args);
    va_end(args);
    while (at < size && used < sizeof got - 8) {
        size_t length;

        if (at)
            used += (size_t)snprintf(got + used, sizeof got - used, "; ");
        length = disassemble(test.bytes + at, size - at, got + used, sizeof got - used);
        used += strlen(got + used);
        if (!length)
            break;
        at += length;
    }
    if (strcmp(want, got) != 0)
        fail_msg("%zu bytes, first 0x%02x%02x%02x: '%s', not '%s'", size, test.bytes[0],
                 test.bytes[1], test.bytes[2], got, want);
    test.checks++;
    test.buf = (struct x86_buf){ .p = test.bytes, .sites = &test.sites };
}

/* Memory operands. */

static void add_mode(struct x86_mem m)
{
    assert_true(test.modes < MAX_MODES);
    char *text = test.mode_text[test.modes];
    int n = snprintf(text, 64, "[%s", reg64[m.base]);

    if (m.index != X86_NONE && m.scale == 0)
        n += snprintf(text + n, 64 - (size_t)n, " + %s", reg64[m.index]);
    else if (m.index != X86_NONE)
        n += snprintf(text + n, 64 - (size_t)n, " + %d*%s", 1 << m.scale, reg64[m.index]);
    if (m.disp)
        n += snprintf(text + n, 64 - (size_t)n, " %c %lld", m.disp < 0 ? '-' : '+',
                      m.disp < 0 ? -(long long)m.disp : (long long)m.disp);
    snprintf(text + n, 64 - (size_t)n, "]");
    test.mode[test.modes++] = m;
}

static int set_up(void **state)
{
    static const int32_t disps[] = { 0, 1, 127, -128, 128, -129, INT32_MAX, INT32_MIN };
    static const enum x86_reg bases[] = { RAX, RSP, RBP, RSI, R8, R12, R13, R15 };
    static const enum x86_reg indices[] = { RCX, RBP, RDI, R8, R12, R13, R15 };
    static const int32_t index_disps[] = { 0, -8, 4096 };
    (void)state;

    LLVMInitializeX86TargetInfo();
    LLVMInitializeX86TargetMC();
    LLVMInitializeX86Disassembler();
    test.llvm = LLVMCreateDisasm("x86_64-unknown-linux-gnu", NULL, 0, NULL, NULL);
    if (!test.llvm || !LLVMSetDisasmOptions(test.llvm, LLVMDisassembler_Option_AsmPrinterVariant))
        return -1;
    test.buf = (struct x86_buf){ .p = test.bytes, .sites = &test.sites };
    for (unsigned base = 0; base < 16; base++)
        for (unsigned d = 0; d < ARRAY_LEN(disps); d++)
            add_mode(x86_at((enum x86_reg)base, disps[d]));
    for (unsigned b = 0; b < ARRAY_LEN(bases); b++)
        for (unsigned i = 0; i < ARRAY_LEN(indices); i++)
            for (unsigned scale = 0; scale < 4; scale++)
                for (unsigned d = 0; d < ARRAY_LEN(index_disps); d++)
                    add_mode(x86_indexed(bases[b], indices[i], scale, index_disps[d]));
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    LLVMDisasmDispose(test.llvm);
    return 0;
}

/* Loops: both widths; two registers; a register and memory. */
#define EACH_W for (unsigned w = 0; w < 2; w++)
#define EACH_R for (unsigned rn = 0; rn < 16; rn++)
#define EACH_D_S                                                                                   \
    for (unsigned dn = 0; dn < 16; dn++)                                                           \
        for (unsigned sn = 0; sn < 16; sn++)
#define EACH_M for (unsigned mn = 0; mn < test.modes; mn++)
#define EACH_R_M                                                                                   \
    for (unsigned k = 0; k < ARRAY_LEN(some_regs); k++)                                            \
    EACH_M
#define EACH(name, table) for (unsigned name = 0; name < ARRAY_LEN(table); name++)
#define EACH_SIZE         for (unsigned size = 1; size <= 8; size *= 2)

#define D  ((enum x86_reg)dn)
#define S  ((enum x86_reg)sn)
#define R  ((enum x86_reg)rn)
#define RK some_regs[k]
#define M  test.mode[mn]
#define MT test.mode_text[mn]

static void test_moves(void **state)
{
    (void)state;
    EACH_W EACH_D_S
    {
        x86_mov_rr(B, w, D, S);
        expect("mov %s, %s", wide(w, dn), wide(w, sn));
    }
    EACH_W EACH_R_M
    {
        x86_mov_rm(B, w, RK, M);
        expect("mov %s, %s %s", wide(w, RK), ptr(w ? 8 : 4), MT);
        x86_mov_mr(B, w, M, RK);
        expect("mov %s %s, %s", ptr(w ? 8 : 4), MT, wide(w, RK));
        x86_lea(B, w, RK, M);
        expect("lea %s, %s", wide(w, RK), MT);
    }
    EACH_SIZE EACH_R_M
    {
        x86_store(B, size, M, RK);
        expect("mov %s %s, %s", ptr(size), MT, reg_of(size, RK));
        x86_xchg_mr(B, size, M, RK);
        expect("xchg %s %s, %s", ptr(size), MT, reg_of(size, RK));
    }
}

static void test_widening(void **state)
{
    (void)state;
    EACH(e, extensions) EACH_W
    {
        if (extensions[e].op == X86_SX32 && !w)
            continue;
        EACH_D_S
        {
            x86_ext_rr(B, extensions[e].op, w, D, S);
            expect("%s %s, %s", extensions[e].name, wide(w, dn), reg_of(extensions[e].size, sn));
        }
        EACH_R_M
        {
            x86_ext_rm(B, extensions[e].op, w, RK, M);
            expect("%s %s, %s %s", extensions[e].name, wide(w, RK), ptr(extensions[e].size), MT);
        }
    }
}

static void test_constants(void **state)
{
    static const uint64_t values[] = {
        0,          1,       0x7fffffff, 0x80000000,         0xffffffff,         0x100000000,
        UINT64_MAX, -129ull, INT64_MIN,  0xffffffff80000000, 0xffffffff7fffffff, 0x123456789abc,
    };
    (void)state;

    EACH_R EACH(v, values)
    {
        bool is_short = values[v] <= UINT32_MAX;
        bool is_signed = (int64_t)values[v] == (int32_t)values[v];

        x86_mov_ri(B, R, values[v]);
        expect("%s %s, %lld", is_short || is_signed ? "mov" : "movabs", wide(!is_short, rn),
               (long long)values[v]);
    }
    EACH_W EACH(v, immediates) EACH_M
    {
        long long value = w ? immediates[v] : (long long)(uint32_t)immediates[v];

        if (mn % 7)
            continue;
        x86_mov_mi(B, w, M, immediates[v]);
        expect("mov %s %s, %lld", ptr(w ? 8 : 4), MT, value);
    }
}

/* An immediate of 32 bits in a 32-bit operation is shown without its sign. */
static long long shown(unsigned w, int32_t imm)
{
    return w || (imm >= -128 && imm < 128) ? imm : (long long)(uint32_t)imm;
}

static void test_arithmetic_registers(void **state)
{
    (void)state;
    EACH_W EACH_D_S
    {
        for (unsigned op = 0; op < 8; op++) {
            x86_alu_rr(B, w, (enum x86_alu)op, D, S);
            expect("%s %s, %s", alu_name[op], wide(w, dn), wide(w, sn));
        }
        x86_test_rr(B, w, D, S);
        expect("test %s, %s", wide(w, dn), wide(w, sn));
        x86_imul_rr(B, w, D, S);
        expect("imul %s, %s", wide(w, dn), wide(w, sn));
        x86_bsr(B, w, D, S);
        expect("bsr %s, %s", wide(w, dn), wide(w, sn));
        x86_bsf(B, w, D, S);
        expect("bsf %s, %s", wide(w, dn), wide(w, sn));
        x86_tzcnt(B, w, D, S);
        expect("tzcnt %s, %s", wide(w, dn), wide(w, sn));
        x86_lzcnt(B, w, D, S);
        expect("lzcnt %s, %s", wide(w, dn), wide(w, sn));
        x86_shrd_ri(B, w, D, S, 9 + dn);
        expect("shrd %s, %s, %u", wide(w, dn), wide(w, sn), 9 + dn);
        x86_shld_ri(B, w, D, S, 9 + dn);
        expect("shld %s, %s, %u", wide(w, dn), wide(w, sn), 9 + dn);
    }
    EACH_SIZE EACH_D_S
    {
        x86_crc32(B, size, D, S);
        expect("crc32 %s, %s", wide(size == 8, dn), reg_of(size, sn));
    }
    EACH_W EACH_R
    {
        EACH(u, unaries)
        {
            x86_unary_r(B, w, unaries[u].op, R);
            expect("%s %s", unaries[u].name, wide(w, rn));
        }
        x86_bswap(B, w, R);
        expect("bswap %s", wide(w, rn));
    }
    x86_sign_rdx(B, 0);
    expect("cdq");
    x86_sign_rdx(B, 1);
    expect("cqo");
}

static void test_arithmetic_memory(void **state)
{
    (void)state;
    EACH_W EACH_R_M
    {
        unsigned op = (k + mn) % 8;

        x86_alu_rm(B, w, (enum x86_alu)op, RK, M);
        expect("%s %s, %s %s", alu_name[op], wide(w, RK), ptr(w ? 8 : 4), MT);
        x86_alu_mr(B, w, (enum x86_alu)op, M, RK);
        expect("%s %s %s, %s", alu_name[op], ptr(w ? 8 : 4), MT, wide(w, RK));
        x86_imul_rm(B, w, RK, M);
        expect("imul %s, %s %s", wide(w, RK), ptr(w ? 8 : 4), MT);
    }
    EACH_W EACH_M EACH(u, unaries)
    {
        x86_unary_m(B, w, unaries[u].op, M);
        expect("%s %s %s", unaries[u].name, ptr(w ? 8 : 4), MT);
    }
}

static void test_immediates(void **state)
{
    (void)state;
    EACH_W EACH(v, immediates)
    {
        EACH_R
        {
            for (unsigned op = 0; op < 8; op++) {
                x86_alu_ri(B, w, (enum x86_alu)op, R, immediates[v]);
                expect("%s %s, %lld", alu_name[op], wide(w, rn), shown(w, immediates[v]));
            }
            x86_test_ri(B, w, R, immediates[v]);
            expect("test %s, %lld", wide(w, rn),
                   w ? immediates[v] : (long long)(uint32_t)immediates[v]);
        }
        EACH_M
        {
            unsigned op = (v + mn) % 8;

            if (mn % 5)
                continue;
            x86_alu_mi(B, w, (enum x86_alu)op, M, immediates[v]);
            expect("%s %s %s, %lld", alu_name[op], ptr(w ? 8 : 4), MT, shown(w, immediates[v]));
        }
    }
    EACH_M
    {
        x86_cmp8_mi(B, M, mn % 128);
        expect("cmp byte ptr %s, %u", MT, mn % 128);
        x86_and8_mi(B, M, mn % 128);
        expect("and byte ptr %s, %u", MT, mn % 128);
        x86_test8_mi(B, M, mn % 256);
        expect("test byte ptr %s, %d", MT, (int8_t)(mn % 256));
        x86_mov8_mi(B, M, mn % 128);
        expect("mov byte ptr %s, %u", MT, mn % 128);
    }
    for (unsigned imm = 0; imm < 128; imm++) {
        x86_add_al(B, imm);
        expect("add al, %u", imm);
    }
}

static void test_shifts_and_bits(void **state)
{
    (void)state;
    EACH_W EACH_R
    {
        unsigned width = w ? 64 : 32;

        EACH(n, shifts)
        {
            for (unsigned count = 1; count < width; count += 5) {
                x86_shift_ri(B, w, shifts[n].op, R, count);
                expect("%s %s, %u", shifts[n].name, wide(w, rn), count);
            }
            x86_shift_rcl(B, w, shifts[n].op, R);
            expect("%s %s, cl", shifts[n].name, wide(w, rn));
        }
        for (unsigned bit = 0; bit < width; bit += 3) {
            x86_bt_ri(B, w, R, bit);
            expect("bt %s, %u", wide(w, rn), bit);
        }
    }
    EACH_W EACH_M
    {
        x86_bt_mi(B, w, M, mn % 32);
        expect("bt %s %s, %u", ptr(w ? 8 : 4), MT, mn % 32);
    }
}

static void test_bmi(void **state)
{
    (void)state;
    EACH_W EACH_D_S EACH_R
    {
        if ((dn + sn + rn) % 3)
            continue;
        x86_shiftx(B, w, X86_SHL, D, S, R);
        expect("shlx %s, %s, %s", wide(w, dn), wide(w, sn), wide(w, rn));
        x86_shiftx(B, w, X86_SHR, D, S, R);
        expect("shrx %s, %s, %s", wide(w, dn), wide(w, sn), wide(w, rn));
        x86_shiftx(B, w, X86_SAR, D, S, R);
        expect("sarx %s, %s, %s", wide(w, dn), wide(w, sn), wide(w, rn));
        x86_andn(B, w, D, S, R);
        expect("andn %s, %s, %s", wide(w, dn), wide(w, sn), wide(w, rn));
        x86_mulx(B, w, D, S, R);
        expect("mulx %s, %s, %s", wide(w, dn), wide(w, sn), wide(w, rn));
    }
    EACH_W EACH_D_S
    {
        x86_rorx(B, w, D, S, dn + sn);
        expect("rorx %s, %s, %u", wide(w, dn), wide(w, sn), dn + sn);
    }
}

static void test_conditions(void **state)
{
    (void)state;
    for (unsigned cc = 0; cc < 16; cc++) {
        EACH_R
        {
            x86_setcc(B, (enum x86_cc)cc, R);
            expect("set%s %s", cc_name[cc], reg8[rn]);
        }
        EACH_W EACH_D_S
        {
            x86_cmov_rr(B, w, (enum x86_cc)cc, D, S);
            expect("cmov%s %s, %s", cc_name[cc], wide(w, dn), wide(w, sn));
        }
    }
    EACH_W EACH_R_M
    {
        unsigned cc = (mn + k) % 16;

        x86_setcc_m(B, (enum x86_cc)cc, M);
        expect("set%s byte ptr %s", cc_name[cc], MT);
        x86_mulx_rm(B, w, (enum x86_reg)cc, RK, M);
        expect("mulx %s, %s, %s %s", wide(w, cc), wide(w, RK), ptr(w ? 8 : 4), MT);
        x86_rorx_rm(B, w, RK, M, mn % 32);
        expect("rorx %s, %s %s, %u", wide(w, RK), ptr(w ? 8 : 4), MT, mn % 32);
        x86_cmov_rm(B, w, (enum x86_cc)cc, RK, M);
        expect("cmov%s %s, %s %s", cc_name[cc], wide(w, RK), ptr(w ? 8 : 4), MT);
    }
    x86_lahf(B);
    expect("lahf");
    x86_sahf(B);
    expect("sahf");
    x86_cmc(B);
    expect("cmc");
    x86_stc(B);
    expect("stc");
    static const char *const nops[] = {
        "nop",
        "nop",
        "nop dword ptr [rax]",
        "nop dword ptr [rax]",
        "nop dword ptr [rax + rax]",
        "nop word ptr [rax + rax]",
        "nop dword ptr [rax]",
    };
    for (unsigned n = 1; n <= 7; n++) {
        x86_nop(B, n);
        assert_int_equal(B->p - test.bytes, n);
        expect("%s", nops[n - 1]);
    }
}

static void test_atomics(void **state)
{
    (void)state;
    EACH_SIZE EACH_R_M
    {
        x86_lock_xadd(B, size, M, RK);
        expect("lock; xadd %s %s, %s", ptr(size), MT, reg_of(size, RK));
        x86_lock_cmpxchg(B, size, M, RK);
        expect("lock; cmpxchg %s %s, %s", ptr(size), MT, reg_of(size, RK));
        x86_lock_alu_mr(B, size, X86_OR, M, RK);
        expect("lock; or %s %s, %s", ptr(size), MT, reg_of(size, RK));
        x86_lock_alu_mr(B, size, X86_AND, M, RK);
        expect("lock; and %s %s, %s", ptr(size), MT, reg_of(size, RK));
    }
    EACH_M
    {
        x86_lock_or_mi(B, M, mn % 128);
        expect("lock; or dword ptr %s, %u", MT, mn % 128);
        x86_lock_cmpxchg16b(B, M);
        expect("lock; cmpxchg16b xmmword ptr %s", MT);
    }
}

/* Displacements count from the end of the jump. */
static void test_jumps(void **state)
{
    uint8_t *at;
    (void)state;

    for (unsigned cc = 0; cc < 16; cc++) {
        at = x86_jcc(B, (enum x86_cc)cc);
        x86_cmc(B);
        x86_cmc(B);
        x86_here(B, at);
        expect("j%s 2; cmc; cmc", cc_name[cc]);
        at = x86_jcc8(B, (enum x86_cc)cc);
        x86_cmc(B);
        x86_here8(B, at);
        expect("j%s 1; cmc", cc_name[cc]);
        at = x86_jcc(B, (enum x86_cc)cc);
        x86_patch(at, test.bytes);
        expect("j%s -6", cc_name[cc]);
    }
    x86_ret(B);
    expect("ret");
    at = x86_jmp(B);
    x86_patch(at, test.bytes + 0x1234);
    expect("jmp %d", 0x1234 - 5);
    at = x86_call(B);
    x86_patch(at, test.bytes);
    expect("call -5");
    EACH_R
    {
        x86_jmp_r(B, R);
        expect("jmp %s", reg64[rn]);
        x86_call_r(B, R);
        expect("call %s", reg64[rn]);
        x86_push(B, R);
        expect("push %s", reg64[rn]);
        x86_pop(B, R);
        expect("pop %s", reg64[rn]);
        x86_lea_rip(B, R, test.bytes);
        expect("lea %s, [rip - 7]", reg64[rn]);
        x86_alu_rip(B, X86_AND, R, test.bytes + 0x1234);
        expect("and %s, qword ptr [rip + %d]", reg64[rn], 0x1234 - 7);
        x86_lea_rip(B, R, test.bytes + 0x1234);
        expect("lea %s, [rip + %d]", reg64[rn], 0x1234 - 7);
    }
    EACH_M
    {
        x86_jmp_m(B, M);
        expect("jmp qword ptr %s", MT);
        x86_call_m(B, M);
        expect("call qword ptr %s", MT);
    }
}

/* The forms that are chosen because they are short, by their bytes. */
static void test_lengths(void **state)
{
    static const struct {
        struct x86_mem m;
        ptrdiff_t length;
    } modes[] = {
        { { RAX, X86_NONE, 0, 0 }, 3 },    { { RSP, X86_NONE, 0, 0 }, 4 },
        { { RBP, X86_NONE, 0, 0 }, 4 },    { { R12, X86_NONE, 0, 0 }, 4 },
        { { R13, X86_NONE, 0, 0 }, 4 },    { { RAX, X86_NONE, 0, 127 }, 4 },
        { { RAX, X86_NONE, 0, -128 }, 4 }, { { RAX, X86_NONE, 0, 128 }, 7 },
        { { RAX, RCX, 3, 0 }, 4 },         { { RBP, RCX, 3, 0 }, 5 },
        { { R13, R12, 3, -129 }, 8 },
    };
    (void)state;

    EACH(n, modes)
    {
        uint8_t *start = test.buf.p;

        x86_mov_rm(B, 1, RDX, modes[n].m);
        assert_int_equal(test.buf.p - start, modes[n].length);
    }
    uint8_t *start = test.buf.p;

    x86_mov_rr(B, 0, RAX, RCX);
    assert_int_equal(test.buf.p - start, 2);
    x86_mov_ri(B, RAX, UINT32_MAX);
    assert_int_equal(test.buf.p - start, 2 + 5);
    x86_mov_ri(B, RAX, UINT64_MAX);
    assert_int_equal(test.buf.p - start, 2 + 5 + 7);
    test.buf.p = test.bytes;
}

static void test_amount(void **state)
{
    (void)state;
    print_message("# %u instructions compared\n", test.checks);
    assert_true(test.checks > 100000);
}

#endif

/* One of each kind of function, so that each way to write is met at the end of the buffer. */
static void emit_all(struct x86_buf *b)
{
    struct x86_mem m = x86_indexed(R13, R12, 3, INT32_MIN);
    uint8_t *at, *at8;

    x86_mov_ri(b, R9, INT64_MIN);
    x86_mov_mi(b, 1, m, INT32_MIN);
    x86_mov8_mi(b, m, 3);
    x86_alu_mi(b, 1, X86_ADD, m, INT32_MIN);
    x86_store(b, 2, m, R8);
    x86_bt_mi(b, 1, m, 3);
    x86_crc32(b, 2, R8, R9);
    x86_rorx(b, 1, R8, R9, 3);
    x86_sign_rdx(b, 1);
    x86_bswap(b, 1, R8);
    x86_add_al(b, 3);
    x86_lock_xadd(b, 2, m, R8);
    x86_lock_cmpxchg(b, 2, m, R8);
    x86_lock_or_mi(b, m, 3);
    x86_push(b, R8);
    x86_lea_rip(b, R8, b->p);
    at = x86_jcc(b, CC_E);
    at8 = x86_jcc8(b, CC_E);
    x86_call_m(b, m);
    x86_jmp_m(b, m);
    x86_here(b, at);
    x86_here8(b, at8);
    x86_patch(x86_jmp(b), b->p);
}

/* No more than X86_BEHIND bytes are written behind what is put, and none before it. */
static void test_bounds(void **state)
{
    uint8_t bytes[400];
    struct x86_sites sites = { 0 };
    struct x86_buf b = { .p = bytes + 8, .sites = &sites };
    (void)state;

    memset(bytes, 0xcc, sizeof bytes);
    emit_all(&b);
    assert_true(b.p + X86_BEHIND < bytes + sizeof bytes);
    for (const uint8_t *p = b.p + X86_BEHIND; p < bytes + sizeof bytes; p++)
        assert_int_equal(*p, 0xcc);
    for (unsigned n = 0; n < 8; n++)
        assert_int_equal(bytes[n], 0xcc);
}

int main(void)
{
    static const struct CMUnitTest bounds[] = { cmocka_unit_test(test_bounds) };
#ifdef HAVE_LLVM
    static const struct CMUnitTest compared[] = {
        cmocka_unit_test(test_moves),
        cmocka_unit_test(test_widening),
        cmocka_unit_test(test_constants),
        cmocka_unit_test(test_arithmetic_registers),
        cmocka_unit_test(test_arithmetic_memory),
        cmocka_unit_test(test_immediates),
        cmocka_unit_test(test_shifts_and_bits),
        cmocka_unit_test(test_bmi),
        cmocka_unit_test(test_conditions),
        cmocka_unit_test(test_atomics),
        cmocka_unit_test(test_jumps),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_amount),
        cmocka_unit_test(test_bounds),
    };
    (void)bounds;
    return cmocka_run_group_tests_name("jit_x86", compared, set_up, tear_down);
#else
    print_message("# LLVM 14's C API is not installed: nothing is compared\n");
    return cmocka_run_group_tests_name("jit_x86", bounds, NULL, NULL);
#endif
}
