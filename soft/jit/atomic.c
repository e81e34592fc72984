/*
 * Atomic instructions (FEAT_LSE, DDI 0487 C3.2.12) as one locked operation of x86 each, which
 * satisfies every acquire and release variant. A TLB entry that lets write lets read as well.
 * Misaligned ones and those that x86 has no instruction for are the interpreter's.
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
    jit_slow_paths(t, i, slow, 2);
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
    jit_slow_paths(t, i, slow, 2);
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
    jit_slow_paths(t, i, slow, 2);
    return true;
}
