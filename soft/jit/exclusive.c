/*
 * Load- and store-exclusives of one register (DDI 0487 B2.12), inline while the VM has run one vCPU
 * only: then there is nobody whose stores a monitor has to see, and the value is enough, as in
 * soft/exclusive.c. That is a kernel until its second CPU comes up, which is before it has changed
 * its own code to use LSE. All else is the interpreter's: with several vCPUs monitors are locked.
 *
 * The vCPU that makes it two waits until this one has looked at its request, which it does between
 * blocks (run_share()).
 */
#include "soft/jit/translate.h"

/* excl_valid, excl_watched and excl_size at once. */
#define MONITOR(size) (1 | (int32_t)(size) << 16)

_Static_assert(offsetof(struct cpu, excl_watched) == offsetof(struct cpu, excl_valid) + 1 &&
                   offsetof(struct cpu, excl_size) == offsetof(struct cpu, excl_valid) + 2 &&
                   offsetof(struct cpu, excl_pa) >= offsetof(struct cpu, excl_valid) + 4,
               "the monitor's state is one word");

/* To `other` unless the vCPU is alone. Changes RDX and EFLAGS. */
static uint8_t *unless_alone(jit_t t)
{
    x86_mov_rm(&t->hot, 1, RDX, JIT_CPU(vm));
    x86_test8_mi(&t->hot, x86_at(RDX, offsetof(struct soft_vm, shared)), 1);
    return x86_jcc(&t->hot, CC_NE);
}

/* RCX = the host's address, RAX = the physical one; `other` gets the jumps to the interpreter. A
 * page that may be written is not watched. */
static void address(jit_t t, const struct insn *i, unsigned size, uint8_t *other[2])
{
    jit_copy(t, 1, i->rn, RAX);
    other[0] = NULL;
    if (size > 1) {
        x86_test_ri(&t->hot, 0, RAX, (int32_t)size - 1);
        other[0] = x86_jcc(&t->hot, CC_NE);
    }
    other[1] = jit_look_up(t, size, true);
    x86_lea(&t->hot, 1, RCX, jit_found(t, 0));
    jit_found_physical(t);
}

bool emit_ldxr(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned size = 1u << bits(i->word, 31, 30);
    uint8_t *other[3];

    if (i->rn == REG_SP)
        return false;
    jit_interp_begin(t);
    other[0] = unless_alone(t);
    address(t, i, size, other + 1);
    x86_mov_mr(b, 1, JIT_CPU(excl_pa), RAX);
    if (size < 4)
        x86_ext_rm(b, size == 1 ? X86_ZX8 : X86_ZX16, 0, RAX, x86_at(RCX, 0));
    else
        x86_mov_rm(b, size == 8, RAX, x86_at(RCX, 0));
    x86_mov_mr(b, 1, JIT_CPU(excl_value[0]), RAX);
    x86_mov_mi(b, 1, JIT_CPU(excl_value[1]), 0);
    x86_mov_mi(b, 0, JIT_CPU(excl_valid), MONITOR(size));
    jit_done(t, i->rd, RAX);
    jit_interp_paths(t, i, other, ARRAY_LEN(other));
    return true;
}

bool emit_stxr(jit_t t, const struct insn *i)
{
    struct x86_buf *b = &t->hot;
    unsigned size = 1u << bits(i->word, 31, 30);
    uint8_t *other[5];

    if (i->rn == REG_SP)
        return false;
    jit_interp_begin(t);
    other[0] = unless_alone(t);
    x86_alu_mi(b, 0, X86_CMP, JIT_CPU(excl_valid), MONITOR(size));
    other[1] = x86_jcc(b, CC_NE);
    address(t, i, size, other + 2);
    x86_alu_rm(b, 1, X86_CMP, RAX, JIT_CPU(excl_pa));
    other[4] = x86_jcc(b, CC_NE);
    x86_mov_rm(b, 1, RAX, JIT_CPU(excl_value[0]));
    x86_lock_cmpxchg(b, size, x86_at(RCX, 0), jit_use(t, i->rd, RDX));
    x86_setcc(b, CC_NE, RAX);
    x86_ext_rr(b, X86_ZX8, 0, RAX, RAX);
    x86_mov8_mi(b, JIT_CPU(excl_valid), 0);
    jit_done(t, i->rm, RAX);
    jit_interp_paths(t, i, other, ARRAY_LEN(other));
    return true;
}
