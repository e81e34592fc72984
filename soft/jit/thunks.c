/*
 * The code between translated code and C, made once at the start of the cache.
 *
 * `enter` is called from C as void (*)(struct cpu *, const uint8_t *code) and returns when some
 * code jumps to `leave`. The others put the pinned guest registers into cpu.x, call a C function,
 * load them again and go on at the address that the function returned. Between `enter` and `leave`
 * the host's stack pointer is a multiple of 16.
 */
#include "soft/jit/translate.h"
#include "soft/jit/x86_sse.h"

const int8_t jit_pinned[REG_COUNT] = {
    [0] = RBX,
    [1] = RBP,
    [2] = RSI,
    [3] = RDI,
    [4] = R8,
    [5] = R9,
    [6] = X86_NONE,
    [7] = X86_NONE,
    [8] = X86_NONE,
    [9] = X86_NONE,
    [10] = X86_NONE,
    [11] = X86_NONE,
    [12] = X86_NONE,
    [13] = X86_NONE,
    [14] = X86_NONE,
    [15] = X86_NONE,
    [16] = X86_NONE,
    [17] = X86_NONE,
    [18] = X86_NONE,
    [19] = R10,
    [20] = R11,
    [21] = X86_NONE,
    [22] = X86_NONE,
    [23] = X86_NONE,
    [24] = X86_NONE,
    [25] = X86_NONE,
    [26] = X86_NONE,
    [27] = X86_NONE,
    [28] = X86_NONE,
    [29] = X86_NONE,
    [30] = R12,
    [REG_SP] = R13,
    [REG_ZR] = X86_NONE,
    [REG_NONE] = X86_NONE,
};

/* Those that a C function may change (System V ABI). */
static bool is_clobbered(int reg)
{
    return reg == RSI || reg == RDI || (reg >= R8 && reg <= R11);
}

static void spill(struct x86_buf *b, bool all)
{
    for (unsigned reg = 0; reg < REG_COUNT; reg++)
        if (jit_pinned[reg] != X86_NONE && (all || is_clobbered(jit_pinned[reg])))
            x86_mov_mr(b, 1, jit_slot(reg), (enum x86_reg)jit_pinned[reg]);
}

static void fill(struct x86_buf *b, bool all)
{
    for (unsigned reg = 0; reg < REG_COUNT; reg++)
        if (jit_pinned[reg] != X86_NONE && (all || is_clobbered(jit_pinned[reg])))
            x86_mov_rm(b, 1, (enum x86_reg)jit_pinned[reg], jit_slot(reg));
    if (all)
        x86_mov_rm(b, 1, JIT_TLB, JIT_CPU(tlb));
}

/* function(cpu, RAX); the stack pointer is aligned. */
static void call(struct x86_buf *b, const void *function)
{
    x86_mov_rr(b, 1, RSI, RAX);
    x86_lea(b, 1, RDI, x86_at(JIT_STATE, -JIT_BIAS));
    x86_mov_ri(b, RAX, (uintptr_t)function);
    x86_call_r(b, RAX);
}

/* Spill, function(cpu, RAX), go on where it says. */
static void go_through(struct x86_buf *b, const void *function)
{
    spill(b, true);
    call(b, function);
    fill(b, true);
    x86_jmp_r(b, RAX);
}

/* XMM6 to XMM15, which may hold copies of V registers, on the stack. */

static struct x86_mem copy_slot(unsigned k)
{
    return x86_at(RSP, (int32_t)(k * 16));
}

static void save_copies(struct x86_buf *b)
{
    x86_alu_ri(b, 1, X86_SUB, RSP, JIT_VECTOR_COPIES * 16);
    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        x86_movaps_mr(b, copy_slot(k), (enum x86_xmm)(XMM6 + k));
}

static void restore_copies(struct x86_buf *b)
{
    for (unsigned k = 0; k < JIT_VECTOR_COPIES; k++)
        x86_sse_rm(b, SSE_MOVAPS, (enum x86_xmm)(XMM6 + k), copy_slot(k));
    x86_alu_ri(b, 1, X86_ADD, RSP, JIT_VECTOR_COPIES * 16);
}

/* The slow path, called with a record behind the call. */
static void slow(struct x86_buf *b, bool copies)
{
    x86_pop(b, RAX);
    spill(b, true);
    if (copies) {
        save_copies(b);
        x86_mov_rr(b, 1, RDX, RSP);
        call(b, (const void *)jit_slow_vector);
        restore_copies(b);
    } else {
        call(b, (const void *)jit_slow);
    }
    fill(b, true);
    x86_jmp_r(b, RAX);
}

/* The same with the address of a memory access in RCX: perhaps C knows it. RAX is kept then. */
static void refill(struct x86_buf *b, bool copies)
{
    x86_pop(b, RDX);
    spill(b, false);
    x86_push(b, RAX);
    x86_push(b, RDX);
    if (copies)
        save_copies(b);
    x86_mov_rr(b, 1, RSI, RCX);
    x86_lea(b, 1, RDI, x86_at(JIT_STATE, -JIT_BIAS));
    x86_mov_ri(b, RAX, (uintptr_t)jit_refill);
    x86_call_r(b, RAX);
    if (copies)
        restore_copies(b);
    fill(b, false);
    x86_mov_rr(b, 1, RCX, RDX);
    x86_mov_rr(b, 1, RDX, RAX);
    x86_test_rr(b, 1, RDX, RDX);
    uint8_t *none = x86_jcc8(b, CC_E);
    x86_pop(b, RAX);
    x86_pop(b, RAX);
    x86_jmp_r(b, RDX);
    x86_here8(b, none);
    x86_pop(b, RDX);
    x86_pop(b, RAX);
    x86_push(b, RDX);
    slow(b, copies);
}

static uint32_t here(struct jit *j, const struct x86_buf *b)
{
    return (uint32_t)(b->p - j->rw);
}

static const enum x86_reg saved[] = { RBX, RBP, R12, R13, R14, R15 };

void jit_thunks_emit(struct jit *j)
{
    struct x86_buf buf = { .p = j->rw, .limit = j->rw + j->hot_end }, *b = &buf;

    x86_plain(b, 0xcc); /* offset 0 is no code */

    j->enter = here(j, b);
    for (unsigned n = 0; n < ARRAY_LEN(saved); n++)
        x86_push(b, saved[n]);
    x86_alu_ri(b, 1, X86_SUB, RSP, 8);
    x86_lea(b, 1, JIT_STATE, x86_at(RDI, JIT_BIAS));
    x86_mov_rr(b, 1, RAX, RSI);
    fill(b, true);
    x86_jmp_r(b, RAX);

    j->leave = here(j, b);
    x86_alu_ri(b, 1, X86_ADD, RSP, 8);
    for (unsigned n = ARRAY_LEN(saved); n-- > 0;)
        x86_pop(b, saved[n]);
    x86_ret(b);

    /* Called with a record behind the call. */
    j->link = here(j, b);
    x86_pop(b, RAX);
    go_through(b, (const void *)jit_link);
    j->slow = here(j, b);
    slow(b, false);
    j->refill = here(j, b);
    refill(b, false);
    j->slow_v = here(j, b);
    slow(b, true);
    j->refill_v = here(j, b);
    refill(b, true);
    j->interp = here(j, b);
    x86_pop(b, RAX);
    go_through(b, (const void *)jit_interp);

    /* Jumped to with an address of the guest in RAX; SVC's number is in EDX. */
    j->miss = here(j, b);
    go_through(b, (const void *)jit_miss);
    j->svc = here(j, b);
    go_through(b, (const void *)jit_svc);
    j->eret = here(j, b);
    go_through(b, (const void *)jit_eret);

    /* Called with the address of a record in RAX; returns. */
    j->vector = here(j, b);
    spill(b, false);
    x86_alu_ri(b, 1, X86_SUB, RSP, 8);
    call(b, (const void *)jit_vector);
    x86_alu_ri(b, 1, X86_ADD, RSP, 8);
    fill(b, false);
    x86_ret(b);

    /* Called with the function's address in RCX and its argument in RAX; returns its result. */
    j->helper = here(j, b);
    x86_alu_mi(b, 1, X86_ADD, JIT_VCPU(hot.helpers), 1);
    spill(b, false);
    x86_alu_ri(b, 1, X86_SUB, RSP, 8);
    x86_mov_rr(b, 1, RSI, RAX);
    x86_lea(b, 1, RDI, x86_at(JIT_STATE, -JIT_BIAS));
    x86_call_r(b, RCX);
    x86_alu_ri(b, 1, X86_ADD, RSP, 8);
    fill(b, false);
    x86_ret(b);

    j->start = (here(j, b) + 63) & ~63u;
}
