/*
 * LDTR and STTR (DDI 0487 C3.2.5): EL0's view of memory, so EL0's TLB. With PSTATE.UAO it is
 * EL1's, which is left to the interpreter.
 */
#include "soft/jit/translate.h"

_Static_assert(offsetof(struct mmu_bank, tlb) == 0, "a bank is where its TLB is");
_Static_assert(sizeof(struct tlb_entry) == 32, "the index is a shift");

/* As jit_look_up(). */
static uint8_t *look_up_user(jit_t t, unsigned size, bool write)
{
    struct x86_buf *b = &t->hot;
    int32_t tag = offsetof(struct tlb, e) +
                  (write ? offsetof(struct tlb_entry, wr) : offsetof(struct tlb_entry, rd));

    x86_mov_rr(b, 0, RCX, RAX);
    x86_shift_ri(b, 0, X86_SHR, RCX, 12 - 5);
    x86_mov_rm(b, 1, RDX, JIT_VCPU(user));
    x86_alu_rm(b, 0, X86_AND, RCX, x86_at(RDX, offsetof(struct tlb, mask)));
    x86_alu_rr(b, 1, X86_ADD, RCX, RDX);
    x86_mov_rm(b, 1, RDX, x86_at(RCX, tag));
    x86_alu_rr(b, 1, X86_XOR, RDX, RAX);
    x86_alu_ri(b, 1, X86_CMP, RDX, (int32_t)(4096 - size));
    uint8_t *slow = x86_jcc(b, CC_A);
    t->look_up.found = RAX;
    t->look_up.add = RCX;
    t->look_up.disp = 0;
    x86_mov_rm(b, 1, RCX, x86_at(RCX, offsetof(struct tlb, e) + offsetof(struct tlb_entry, add)));
    return slow;
}

/* opc: 1 zero extends, 2 sign extends to 64 bits, 3 to 32. */
static void load(jit_t t, const struct insn *i, unsigned size, unsigned opc)
{
    static const enum x86_extend extend[2][2] = { { X86_ZX8, X86_ZX16 }, { X86_SX8, X86_SX16 } };
    enum x86_reg d = jit_def(t, i->rd, RAX);

    if (size == 4 && opc == 2)
        x86_ext_rm(&t->hot, X86_SX32, 1, d, jit_found(t, 0));
    else if (size >= 4)
        x86_mov_rm(&t->hot, size == 8, d, jit_found(t, 0));
    else
        x86_ext_rm(&t->hot, extend[opc > 1][size - 1], opc == 2, d, jit_found(t, 0));
    jit_done(t, i->rd, d);
}

bool emit_ldst_unprivileged(jit_t t, const struct insn *i)
{
    unsigned size = 1u << bits(i->word, 31, 30), opc = (unsigned)bits(i->word, 23, 22);
    uint8_t *slow[2];

    if (i->rn == REG_SP || !(t->mode & JIT_MODE_EL1))
        return false;
    jit_clobber(t);
    x86_test8_mi(&t->hot, JIT_CPU(uao), 1);
    slow[0] = x86_jcc(&t->hot, CC_NE);
    jit_copy(t, 1, i->rn, RAX);
    if (i->imm)
        x86_lea(&t->hot, 1, RAX, x86_at(RAX, (int32_t)i->imm));
    slow[1] = look_up_user(t, size, opc == 0);
    if (opc == 0)
        x86_store(&t->hot, size, jit_found(t, 0), jit_use(t, i->rd, RDX));
    else
        load(t, i, size, opc);
    jit_slow_paths(t, slow, 2);
    return true;
}
