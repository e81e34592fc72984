/*
 * The code between translated code and C, made once at the start of the cache.
 *
 * `enter` is called from C as void (*)(struct cpu *, const uint8_t *code) and returns when some
 * code jumps to `leave`. The others put the pinned guest registers into cpu.x, call a C function,
 * load them again and go on at the address that the function returned. Translated code has a stack
 * of its own (returns.c), so they change stacks, too.
 */
#include "soft/jit/translate.h"
#include "soft/jit/vector.h"

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

/* C has a stack of its own; this one is of returns (returns.c), which C may have forgotten. */
static void to_c(struct x86_buf *b)
{
    x86_mov_mr(b, 1, JIT_VCPU(hot.returns), RSP);
    x86_mov_rm(b, 1, RSP, JIT_VCPU(hot.c_stack));
}

static void from_c(struct x86_buf *b)
{
    x86_mov_rm(b, 1, RSP, JIT_VCPU(hot.returns));
}

/* function(cpu, RAX), on the stack of C. */
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
    to_c(b);
    call(b, function);
    from_c(b);
    fill(b, true);
    x86_jmp_r(b, RAX);
}

/* Registers that may hold copies of V registers, on the stack. */

static struct x86_mem copy_slot(unsigned k)
{
    return x86_at(RSP, (int32_t)(k * 16));
}

static void save_copies(struct x86_buf *b, unsigned copies)
{
    x86_alu_ri(b, 1, X86_SUB, RSP, (int32_t)copies * 16);
    for (unsigned k = 0; k < copies; k++)
        x86_movaps_mr(b, copy_slot(k), vector_copy(k));
}

static void restore_copies(struct x86_buf *b, unsigned copies)
{
    for (unsigned k = 0; k < copies; k++)
        x86_sse_rm(b, SSE_MOVAPS, vector_copy(k), copy_slot(k));
    x86_alu_ri(b, 1, X86_ADD, RSP, (int32_t)copies * 16);
}

/* The slow path, with its record's address in RAX. */
static void slow(struct x86_buf *b, unsigned copies)
{
    spill(b, true);
    to_c(b);
    if (copies) {
        save_copies(b, copies);
        x86_mov_rr(b, 1, RDX, RSP);
        x86_mov_ri(b, RCX, copies);
        call(b, (const void *)jit_slow_vector);
        restore_copies(b, copies);
    } else {
        call(b, (const void *)jit_slow);
    }
    from_c(b);
    fill(b, true);
    x86_jmp_r(b, RAX);
}

/* The same, in RDX, with the address of a memory access in RCX: perhaps C knows it. RAX is kept
 * then. */
static void refill(struct x86_buf *b, unsigned copies)
{
    spill(b, false);
    to_c(b);
    x86_push(b, RAX);
    x86_push(b, RDX);
    if (copies)
        save_copies(b, copies);
    x86_mov_rr(b, 1, RSI, RCX);
    x86_lea(b, 1, RDI, x86_at(JIT_STATE, -JIT_BIAS));
    x86_mov_ri(b, RAX, (uintptr_t)jit_refill);
    x86_call_r(b, RAX);
    if (copies)
        restore_copies(b, copies);
    fill(b, false);
    x86_mov_rr(b, 1, RCX, RDX);
    x86_mov_rr(b, 1, RDX, RAX);
    x86_test_rr(b, 1, RDX, RDX);
    uint8_t *none = x86_jcc8(b, CC_E);
    x86_pop(b, RAX);
    x86_pop(b, RAX);
    from_c(b);
    x86_jmp_r(b, RDX);
    x86_here8(b, none);
    x86_pop(b, RAX);
    from_c(b);
    slow(b, copies);
}

/* A call that returns: the place is put away on C's stack, RDX is not kept. */
static void begin_call(struct x86_buf *b)
{
    spill(b, false);
    x86_pop(b, RDX);
    to_c(b);
    x86_push(b, RDX);
    x86_alu_ri(b, 1, X86_SUB, RSP, 8);
}

static void end_call(struct x86_buf *b)
{
    x86_alu_ri(b, 1, X86_ADD, RSP, 8);
    x86_pop(b, RDX);
    from_c(b);
    x86_push(b, RDX);
    fill(b, false);
    x86_ret(b);
}

static uint32_t here(struct jit *j, const struct x86_buf *b)
{
    return (uint32_t)(b->p - j->rw);
}

static const enum x86_reg saved[] = { RBX, RBP, R12, R13, R14, R15 };

void jit_thunks_emit(struct jit *j)
{
    struct x86_buf buf = { .p = j->rw, .sites = &j->relocs.sites }, *b = &buf;

    x86_plain(b, 0xcc); /* offset 0 is no code */

    j->enter = here(j, b);
    for (unsigned n = 0; n < ARRAY_LEN(saved); n++)
        x86_push(b, saved[n]);
    x86_alu_ri(b, 1, X86_SUB, RSP, 8);
    x86_lea(b, 1, JIT_STATE, x86_at(RDI, JIT_BIAS));
    x86_mov_rr(b, 1, RAX, RSI);
    x86_mov_mr(b, 1, JIT_VCPU(hot.c_stack), RSP);
    from_c(b);
    fill(b, true);
    x86_jmp_r(b, RAX);

    j->leave = here(j, b);
    x86_mov_rm(b, 1, RSP, JIT_VCPU(hot.c_stack));
    x86_alu_ri(b, 1, X86_ADD, RSP, 8);
    for (unsigned n = ARRAY_LEN(saved); n-- > 0;)
        x86_pop(b, saved[n]);
    x86_ret(b);

    /* Called with a record behind the call. */
    j->link = here(j, b);
    x86_pop(b, RAX);
    go_through(b, (const void *)jit_link);

    /* Jumped to with the address of a record in RAX, or RDX for `refill`. */
    j->slow = here(j, b);
    slow(b, 0);
    j->refill = here(j, b);
    refill(b, 0);
    for (unsigned wide = 0; wide <= j->host.xmm32; wide++) {
        j->slow_v[wide] = here(j, b);
        slow(b, jit_copies(wide));
        j->refill_v[wide] = here(j, b);
        refill(b, jit_copies(wide));
    }
    j->interp = here(j, b);
    go_through(b, (const void *)jit_interp);

    /* The bottom of the returns: X30 is no address that can be there, but here it was. */
    j->bottom = here(j, b);
    x86_mov_rm(b, 1, RSP, JIT_VCPU(hot.returns_base));
    x86_mov_rr(b, 1, RAX, (enum x86_reg)jit_pinned[REG_LR]);

    /* Jumped to with an address of the guest in RAX; SVC's number is in EDX. */
    j->miss = here(j, b);
    go_through(b, (const void *)jit_miss);
    j->svc = here(j, b);
    go_through(b, (const void *)jit_svc);
    j->eret = here(j, b);
    go_through(b, (const void *)jit_eret);

    /* Called with the address of a record in RAX; returns. */
    j->vector = here(j, b);
    begin_call(b);
    call(b, (const void *)jit_vector);
    end_call(b);

    /* Called with the function's address in RCX, as the distance from jit_slow(), and its argument
     * in RAX; returns its result. */
    j->helper = here(j, b);
    x86_alu_mi(b, 1, X86_ADD, JIT_VCPU(hot.helpers), 1);
    begin_call(b);
    x86_mov_rr(b, 1, RSI, RAX);
    x86_lea(b, 1, RDI, x86_at(JIT_STATE, -JIT_BIAS));
    x86_mov_ri(b, RDX, (uintptr_t)jit_slow);
    x86_alu_rr(b, 1, X86_ADD, RCX, RDX);
    x86_call_r(b, RCX);
    end_call(b);

    /* Called with an address in RCX and a place in EDX; return. */
    for (unsigned n = 0; n < 4; n++) {
        j->fill[n / 2][n % 2] = here(j, b);
        jit_fill_emit(j, b, n / 2, n % 2);
    }

    /* Called with a place in RAX, where to copy from in RCX or what to put there in XMM0, and the
     * size in RDX; return. */
    jit_mops_emit(j, b);

    j->start = (here(j, b) + 63) & ~63u;
}
