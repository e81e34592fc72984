/*
 * Atomic instructions (FEAT_LSE, DDI 0487 C3.2.12) as locked operations of x86, which satisfies
 * every acquire and release variant. A TLB entry that lets write lets read as well. Misaligned ones
 * and those of minimum and maximum are the interpreter's.
 */
#include "soft/jit/translate.h"

static unsigned size_of(const struct insn *i)
{
    return 1u << bits(i->word, 31, 30);
}

/* The address of `size` bytes is in RAX + RCX; `slow` gets the jumps to the slow path. */
static void address(jit_t t, const struct insn *i, unsigned size, uint8_t *slow[2])
{
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    slow[0] = NULL;
    if (size > 1) {
        x86_test_ri(&t->hot, 0, RAX, (int32_t)size - 1);
        slow[0] = x86_jcc(&t->hot, CC_NE);
    }
    slow[1] = jit_look_up(t, size, true);
}

/* The bytes in `r` are the result for `reg`. */
static void result(jit_t t, unsigned reg, unsigned size, enum x86_reg r)
{
    if (size < 4)
        x86_ext_rr(&t->hot, size == 1 ? X86_ZX8 : X86_ZX16, 0, r, r);
    jit_done(t, reg, r);
}

bool emit_ldadd(jit_t t, const struct insn *i)
{
    unsigned size = size_of(i);
    uint8_t *slow[2];

    if (i->rn == REG_SP)
        return false;
    address(t, i, size, slow);
    jit_copy(t, size == 8, i->rm, RDX);
    x86_lock_xadd(&t->hot, size, jit_found(t, 0), RDX);
    result(t, i->rd, size, RDX);
    jit_slow_paths(t, slow, 2);
    return true;
}

bool emit_swp(jit_t t, const struct insn *i)
{
    unsigned size = size_of(i);
    uint8_t *slow[2];

    if (i->rn == REG_SP)
        return false;
    address(t, i, size, slow);
    jit_copy(t, size == 8, i->rm, RDX);
    x86_xchg_mr(&t->hot, size, jit_found(t, 0), RDX);
    result(t, i->rd, size, RDX);
    jit_slow_paths(t, slow, 2);
    return true;
}

bool emit_cas(jit_t t, const struct insn *i)
{
    unsigned size = size_of(i);
    uint8_t *slow[2];

    if (i->rn == REG_SP)
        return false;
    address(t, i, size, slow);
    x86_lea(&t->hot, 1, RCX, jit_found(t, 0));
    jit_copy(t, size == 8, i->rm, RAX);
    x86_lock_cmpxchg(&t->hot, size, x86_at(RCX, 0), jit_use(t, i->rd, RDX));
    result(t, i->b, size, RAX);
    jit_slow_paths(t, slow, 2);
    return true;
}

/* LDSET, LDEOR, LDCLR. Without a use for the old value, one instruction, else a loop. */
static bool emit_logical(jit_t t, const struct insn *i, enum x86_alu op, bool invert)
{
    struct x86_buf *b = &t->hot;
    unsigned size = size_of(i), w = size == 8;
    uint8_t *slow[2];

    if (i->rn == REG_SP)
        return false;
    address(t, i, size, slow);
    if (i->rd == REG_NONE) {
        jit_copy(t, w, i->rm, RDX);
        if (invert)
            x86_unary_r(b, w, X86_NOT, RDX);
        x86_lock_alu_mr(b, size, op, jit_found(t, 0), RDX);
    } else {
        x86_lea(b, 1, RCX, jit_found(t, 0));
        if (size < 4)
            x86_ext_rm(b, size == 1 ? X86_ZX8 : X86_ZX16, 0, RAX, x86_at(RCX, 0));
        else
            x86_mov_rm(b, w, RAX, x86_at(RCX, 0));
        const uint8_t *again = b->p;
        jit_copy(t, w, i->rm, RDX);
        if (invert)
            x86_unary_r(b, w, X86_NOT, RDX);
        x86_alu_rr(b, w, op, RDX, RAX);
        x86_lock_cmpxchg(b, size, x86_at(RCX, 0), RDX);
        x86_patch(x86_jcc(b, CC_NE), again);
        result(t, i->rd, size, RAX);
    }
    jit_slow_paths(t, slow, 2);
    return true;
}

bool emit_ldset(jit_t t, const struct insn *i)
{
    return emit_logical(t, i, X86_OR, false);
}

bool emit_ldeor(jit_t t, const struct insn *i)
{
    return emit_logical(t, i, X86_XOR, false);
}

bool emit_ldclr(jit_t t, const struct insn *i)
{
    return emit_logical(t, i, X86_AND, true);
}

/*
 * CASP of 16 bytes. CMPXCHG16B wants RBX, and the address a register that is left: both are put
 * into the slots of the guest registers that they hold, which nobody else uses.
 */
enum { IN_RBX = 0, IN_RDI = 3 };

static void pair_operand(jit_t t, unsigned reg, enum x86_reg d)
{
    if (reg == IN_RDI)
        x86_mov_rm(&t->hot, 1, d, jit_slot(IN_RDI));
    else
        jit_copy(t, 1, reg, d);
}

bool emit_casp(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    uint8_t *slow[2];

    if (i->rn == REG_SP || i->a != 8 || t->pinned[IN_RBX] != RBX || t->pinned[IN_RDI] != RDI)
        return false;
    address(t, i, 16, slow);
    x86_mov_mr(b, 1, jit_slot(IN_RBX), RBX);
    x86_mov_mr(b, 1, jit_slot(IN_RDI), RDI);
    x86_lea(b, 1, RDI, jit_found(t, 0));
    pair_operand(t, i->rm, RAX);
    pair_operand(t, (unsigned)i->imm, RDX);
    pair_operand(t, i->ra, RCX);
    if (i->rd != IN_RBX)
        pair_operand(t, i->rd, RBX);
    x86_lock_cmpxchg16b(b, x86_at(RDI, 0));
    x86_mov_rm(b, 1, RBX, jit_slot(IN_RBX));
    x86_mov_rm(b, 1, RDI, jit_slot(IN_RDI));
    jit_done(t, i->rm, RAX);
    jit_done(t, i->b, RDX);
    jit_slow_paths(t, slow, 2);
    return true;
}
