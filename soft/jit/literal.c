/*
 * Loads from an address that the code has whole: ADRP for the page, LDR with the offset in it, as
 * programs find what the linker keeps for them (AAELF64, the global offset table). In the stubs by
 * which libraries are called an addition to the page follows, and a branch to what was loaded.
 *
 *     adrp x0, page              adrp x16, page
 *     ldr  x0, [x0, #n]          ldr  x17, [x16, #n]
 *                                add  x16, x16, #n
 *
 * They are emitted together. The page is known to be one, and the load not to leave it, so the
 * TLB's tag is compared as it is; and what ADRP makes is not put away only to be loaded again.
 * Nothing is changed before the page was found: the slow path executes all of them.
 */
#include "soft/jit/access.h"

/* Which form is at the one being emitted? So many instructions, or 0. */
static unsigned form_of(jit_t t)
{
    const struct jit_insn *n = &t->insn[t->at];
    unsigned base = n->i.rd, left = t->count - t->at;

    if (t->jit->knobs.unfused || left < 2 || base >= REG_SP || n[1].i.rn != base ||
        (n[1].op != A64_LDR_x_uimm && n[1].op != A64_LDR_w_uimm) || n[1].i.rd >= REG_SP ||
        n[1].i.imm >= CODE_PAGE_SIZE || n[1].done)
        return 0;
    if (n[1].i.rd == base)
        return 2;
    return left > 2 && n[2].op == A64_ADD_imm_x && n[2].i.rd == base && n[2].i.rn == base &&
                   !n[2].done
               ? 3
               : 0;
}

/* The page in RAX is in the TLB: RCX is what is to be added to it. The jump if it is not. */
static uint8_t *look_up(jit_t t, int32_t disp, unsigned size)
{
    struct x86_buf *b = &t->hot;

    jit_looks_up(t, x86_at(RAX, disp), size, false, 0);
    jit_tlb_index(t->jit, b, RCX, RAX);
    x86_alu_rm(b, 1, X86_CMP, RAX, jit_tlb_field(offsetof(struct tlb_entry, rd)));
    uint8_t *slow = x86_jcc(b, CC_NE);
    x86_mov_rm(b, 1, RCX, jit_tlb_field(offsetof(struct tlb_entry, add)));
    t->look_up.end = b->p;
    return slow;
}

/* Straight code looks at each instruction by itself. */
bool emit_adrp(jit_t t, const struct insn *i)
{
    unsigned first = t->at, count = form_of(t);

    if (!count || t->loop.streaming || t->straight)
        return emit_constant(t, i);
    const struct insn *load = &t->insn[first + 1].i;
    unsigned w = bit(load->word, 30), size = w ? 8 : 4;

    jit_clobber(t);
    jit_mov_va(t, &t->hot, RAX, t->page_va + (uint64_t)i->imm);
    uint8_t *miss = look_up(t, (int32_t)load->imm, size);
    if (count == 3) {
        enum x86_reg sum = jit_def(t, i->rd, RDX);
        x86_lea(&t->hot, 1, sum, x86_at(RAX, (int32_t)t->insn[first + 2].i.imm));
        jit_done(t, i->rd, sum);
    }
    enum x86_reg d = jit_def(t, load->rd, RAX);
    x86_mov_rm(&t->hot, w, d, jit_found(t, 0));
    jit_done(t, load->rd, d);
    t->at = first + count - 1;
    t->multiplier = 0;
    jit_slow_look_up(t, first, miss);
    return true;
}
