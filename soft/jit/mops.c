/*
 * Memory copy and memory set (FEAT_MOPS, soft/interp/mops.c). Prologue, main part and epilogue in a
 * row are emitted together, as a C library has them: where what is read and what is written stay in
 * a page each that the TLB has, and nothing is overwritten before it is read, a thunk moves the
 * bytes and all three are done. Anything else is the slow path, which executes one after the other.
 */
#include "soft/jit/access.h"
#include "soft/jit/operand.h"
#include "soft/jit/state.h"
#include "soft/jit/x86_sse.h"

static bool is_set(uint32_t word)
{
    return (word & 0x07c00000) == 0x01c00000;
}

/* Are all three there, in a form that is executed here: registers that differ, and accesses as
 * those of other instructions? */
static bool is_whole(jit_t t, const struct insn *i)
{
    const struct jit_insn *n = &t->insn[t->at];
    bool set = is_set(i->word);
    uint32_t stage = set ? 1u << 14 : 1u << 22, as_el0 = set ? 1u << 12 : 3u << 12;
    unsigned d = i->rd, s = i->rm, size = i->rn;

    if (t->jit->knobs.uncopied || t->count - t->at < 3 || d == s || d == size || s == size ||
        d == REG_NONE || size == REG_ZR || (s == REG_ZR && !set) ||
        (t->mode & JIT_MODE_EL1 && i->word & as_el0))
        return false;
    for (unsigned k = 1; k < 3; k++)
        if (n[k].i.word != i->word + k * stage || n[k].i.offset != i->offset + 4 * k)
            return false;
    return true;
}

/* RAX = the bytes at guest register `reg` on the host; RDX: how far from the beginning of a page
 * they may begin. The jump if they are not found. Changes RCX. */
static uint8_t *find(jit_t t, unsigned reg, bool write)
{
    size_t tag = write ? offsetof(struct tlb_entry, wr) : offsetof(struct tlb_entry, rd);
    struct x86_buf *b = &t->hot;

    jit_copy(t, 1, reg, RAX);
    jit_tlb_index(t->jit, b, RCX, RAX);
    x86_alu_rm(b, 1, X86_XOR, RAX, jit_tlb_field(tag));
    x86_alu_rr(b, 1, X86_CMP, RAX, RDX);
    uint8_t *miss = x86_jcc(b, CC_A);
    x86_alu_rm(b, 1, X86_ADD, RAX, jit_tlb_field(tag));
    x86_alu_rm(b, 1, X86_ADD, RAX, jit_tlb_field(offsetof(struct tlb_entry, add)));
    return miss;
}

/* For the thunk: RAX = where to, RCX = where from. The jumps to the slow path. */
static void find_both(jit_t t, const struct insn *i, struct operand size, uint8_t *slow[3])
{
    struct x86_buf *b = &t->hot;

    slow[0] = find(t, i->rm, false);
    x86_movd_to(b, 1, XMM0, RAX);
    slow[1] = find(t, i->rd, true);
    x86_movd_from(b, 1, RCX, XMM0);
    x86_mov_rr(b, 1, RDX, RAX);
    x86_alu_rr(b, 1, X86_SUB, RDX, RCX);
    operand_apply(t, 1, X86_CMP, RDX, size);
    slow[2] = x86_jcc(b, CC_B);
}

/* RAX = where to, XMM0 = what with. */
static void find_one(jit_t t, const struct insn *i, uint8_t *slow[3])
{
    struct x86_buf *b = &t->hot;

    slow[0] = find(t, i->rd, true);
    slow[1] = slow[2] = NULL;
    x86_movd_to(b, 0, XMM0, jit_use(t, i->rm, RCX));
    x86_sse_rr(b, SSE_PXOR, XMM1, XMM1);
    x86_sse_rr(b, SSE_PSHUFB, XMM0, XMM1);
}

static void add_rdx(jit_t t, unsigned reg)
{
    if (t->pinned[reg] != X86_NONE)
        x86_alu_rr(&t->hot, 1, X86_ADD, (enum x86_reg)t->pinned[reg], RDX);
    else
        x86_alu_mr(&t->hot, 1, X86_ADD, jit_slot(reg), RDX);
}

/* Registers and NZCV as the epilogue leaves them. */
static void finish(jit_t t, const struct insn *i, struct operand size)
{
    struct x86_buf *b = &t->hot;

    operand_load(t, 1, RDX, size);
    add_rdx(t, i->rd);
    if (!is_set(i->word))
        add_rdx(t, i->rm);
    if (t->pinned[i->rn] != X86_NONE)
        x86_mov_ri(b, (enum x86_reg)t->pinned[i->rn], 0);
    else
        x86_mov_mi(b, 1, jit_slot(i->rn), 0);
    if (!t->insn[t->at].flags_live)
        return;
    x86_mov_ri(b, RDX, jit_flags_from_nzcv(0));
    x86_store(b, 2, JIT_CPU(jit_flags), RDX);
}

bool emit_mops(jit_t t, const struct insn *i)
{
    const struct jit *j = t->jit;
    struct x86_buf *b = &t->hot;
    unsigned first = t->at;
    uint8_t *slow[5] = { NULL };
    bool set = is_set(i->word);

    if (!is_whole(t, i))
        return false;
    jit_clobber(t);
    if (!(t->mode & JIT_MODE_EL1))
        slow[0] = jit_unless_set(t, SYSREG_SCTLR_EL1, 33); /* MSCEn */
    struct operand size = operand_guest(t, i->rn);
    x86_mov_ri(b, RDX, CODE_PAGE_SIZE);
    operand_apply(t, 1, X86_SUB, RDX, size);
    slow[1] = x86_jcc(b, CC_B);
    if (set)
        find_one(t, i, slow + 2);
    else
        find_both(t, i, size, slow + 2);
    operand_load(t, 1, RDX, size);
    x86_call_to(b, j->rw + (set ? j->set : j->copy));
    t->at = first + 2;
    finish(t, i, size);
    jit_slow_group(t, first, slow, ARRAY_LEN(slow));
    t->remake.how = REMAKE_NONE;
    t->carry_stored = false;
    t->multiplier = 0;
    return true;
}

/* The thunks: RDX bytes at RAX. What is read is read before that place is written, if it is not
 * below it. */

/* Where RCX, or RAX, says, or behind all bytes, and so many bytes further on. */
static struct x86_mem from(bool behind, int32_t disp)
{
    return x86_indexed(RCX, behind ? RDX : X86_NONE, 0, disp);
}

static struct x86_mem to(bool behind, int32_t disp)
{
    return x86_indexed(RAX, behind ? RDX : X86_NONE, 0, disp);
}

static uint8_t *unless_below(struct x86_buf *b, int32_t size)
{
    x86_alu_ri(b, 1, X86_CMP, RDX, size);
    return x86_jcc(b, CC_AE);
}

static void load(struct x86_buf *b, unsigned size, enum x86_xmm x, struct x86_mem m)
{
    if (size == 4)
        x86_movd_to_m(b, x, m);
    else
        x86_sse_rm(b, size == 8 ? SSE_MOVQ : SSE_MOVDQU, x, m);
}

/* From `size` bytes to twice as many: the first ones, which XMM0 has, and the last ones. */
static void store_ends(struct x86_buf *b, unsigned size, enum x86_xmm last)
{
    x86_sse_store(b, size, to(false, 0), XMM0);
    x86_sse_store(b, size, to(true, -(int32_t)size), last);
    x86_ret(b);
}

static void copy_ends(struct x86_buf *b, unsigned size)
{
    load(b, size, XMM0, from(false, 0));
    load(b, size, XMM1, from(true, -(int32_t)size));
    store_ends(b, size, XMM1);
}

static void set_ends(struct x86_buf *b, unsigned size)
{
    store_ends(b, size, XMM0);
}

/* Up to three: the last one and the first ones. */
static void copy_few(struct x86_buf *b)
{
    x86_alu_ri(b, 1, X86_CMP, RDX, 1);
    uint8_t *more = x86_jcc8(b, CC_A), *none = x86_jcc8(b, CC_B);
    x86_ext_rm(b, X86_ZX8, 0, RCX, from(false, 0));
    x86_store(b, 1, to(false, 0), RCX);
    x86_here8(b, none);
    x86_ret(b);
    x86_here8(b, more);
    x86_pinsr_m(b, 2, XMM0, from(false, 0), 0);
    x86_ext_rm(b, X86_ZX8, 0, RCX, from(true, -1));
    x86_store(b, 1, to(true, -1), RCX);
    x86_movd_from(b, 0, RCX, XMM0);
    x86_store(b, 2, to(false, 0), RCX);
    x86_ret(b);
}

static void set_few(struct x86_buf *b)
{
    x86_test_rr(b, 1, RDX, RDX);
    uint8_t *none = x86_jcc8(b, CC_E);
    x86_movd_from(b, 0, RCX, XMM0);
    x86_store(b, 1, to(false, 0), RCX);
    x86_store(b, 1, to(true, -1), RCX);
    x86_shift_ri(b, 1, X86_SHR, RDX, 1);
    x86_store(b, 1, to(true, 0), RCX);
    x86_here8(b, none);
    x86_ret(b);
}

/* More than 32: 32 at a time, and the last 32 again, which RDX says the place of; XMM0 and `last`
 * have these. */
static void end_many(struct x86_buf *b, const uint8_t *loop, enum x86_xmm last)
{
    x86_alu_ri(b, 1, X86_ADD, RAX, 32);
    x86_alu_rr(b, 1, X86_CMP, RAX, RDX);
    x86_patch(x86_jcc(b, CC_B), loop);
    x86_sse_store(b, 16, x86_at(RDX, 0), XMM0);
    x86_sse_store(b, 16, x86_at(RDX, 16), last);
    x86_ret(b);
}

static void copy_many(struct x86_buf *b)
{
    load(b, 16, XMM0, from(true, -32));
    load(b, 16, XMM1, from(true, -16));
    x86_lea(b, 1, RDX, to(true, -32));
    x86_alu_rr(b, 1, X86_SUB, RCX, RAX);
    const uint8_t *loop = b->p;
    load(b, 16, XMM2, x86_indexed(RAX, RCX, 0, 0));
    load(b, 16, XMM3, x86_indexed(RAX, RCX, 0, 16));
    x86_sse_store(b, 16, to(false, 0), XMM2);
    x86_sse_store(b, 16, to(false, 16), XMM3);
    end_many(b, loop, XMM1);
}

static void set_many(struct x86_buf *b)
{
    x86_lea(b, 1, RDX, to(true, -32));
    const uint8_t *loop = b->p;
    x86_sse_store(b, 16, to(false, 0), XMM0);
    x86_sse_store(b, 16, to(false, 16), XMM0);
    end_many(b, loop, XMM0);
}

static void by_size(struct x86_buf *b, void (*few)(struct x86_buf *),
                    void (*ends)(struct x86_buf *, unsigned), void (*many)(struct x86_buf *))
{
    uint8_t *from_33 = unless_below(b, 33), *from_16 = unless_below(b, 16);
    uint8_t *from_8 = unless_below(b, 8), *from_4 = unless_below(b, 4);

    few(b);
    x86_here(b, from_4);
    ends(b, 4);
    x86_here(b, from_8);
    ends(b, 8);
    x86_here(b, from_16);
    ends(b, 16);
    x86_here(b, from_33);
    many(b);
}

void jit_mops_emit(struct jit *j, struct x86_buf *b)
{
    j->copy = (uint32_t)(b->p - j->rw);
    by_size(b, copy_few, copy_ends, copy_many);
    j->set = (uint32_t)(b->p - j->rw);
    by_size(b, set_few, set_ends, set_many);
}
