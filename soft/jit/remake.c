/*
 * Flags made again. A look-up in the TLB, or other arithmetic of the translator's own, may come
 * between an instruction that sets NZCV and the branch or selection that reads it. Where what the
 * flags were made of is still there when they are read, they are not stored, but made again by a
 * comparison then: two or three host instructions less, and memory is out of it. Exits that lead to
 * a reader, perhaps, make and store them; so do slow paths, which may raise an exception that saves
 * NZCV.
 *
 * What CMP and TST compared says everything. So does a result, with what was added or subtracted:
 * the other operand is what is left if that is taken back. Of an immediate that is always possible,
 * of a register if it is not the result's own.
 */
#include "soft/jit/translate.h"

enum { NEITHER = 14 }; /* conditions from here on read nothing */

/* Data processing that sets flags: (word & mask) == value; `how` makes them again. */
static const struct {
    uint32_t mask, value;
    enum jit_remaking how;
    bool immediate;
} setters[] = {
    { 0x7f800000, 0x31000000, REMAKE_ADD, true },   /* ADDS, CMN */
    { 0x7f800000, 0x71000000, REMAKE_CMP, true },   /* SUBS, CMP */
    { 0x7f800000, 0x72000000, REMAKE_TEST, true },  /* ANDS, TST */
    { 0x7fe0fc00, 0x6b000000, REMAKE_CMP, false },  /* SUBS, CMP of registers, not shifted */
    { 0x7fe0fc00, 0x6a000000, REMAKE_TEST, false }, /* ANDS, TST */
    { 0x7f000000, 0x6a000000, REMAKE_TEST, false }, /* the same, shifted or inverted */
};

/* What makes the flags of t->insn[at] again. */
static struct jit_remake remake_of(jit_t t, unsigned at)
{
    const struct insn *i = &t->insn[at].i;
    struct jit_remake r = { .how = REMAKE_NONE, .w = i->word >> 31, .n = i->rn, .m = REG_NONE };
    size_t k = 0;

    while (k < ARRAY_LEN(setters) && (i->word & setters[k].mask) != setters[k].value)
        k++;
    if (k == ARRAY_LEN(setters) || t->insn[at].source)
        return r;
    if (setters[k].immediate)
        r.imm = (int32_t)i->imm;
    else
        r.m = i->rm;
    if (i->rd != REG_NONE) { /* from the result */
        r.result = true;
        r.n = i->rd;
        if (setters[k].how == REMAKE_TEST)
            r.m = r.n;
        else if (r.m == r.n)
            return r;
    } else if (setters[k].immediate ? i->imm != r.imm : setters[k].how == REMAKE_TEST) {
        return r; /* TST of a wide mask, of two registers */
    }
    if (r.m != REG_ZR)
        r.how = setters[k].how;
    return r;
}

static bool writes(jit_t t, const struct jit_insn *n, const struct jit_remake *r)
{
    struct jit_uses u = jit_uses_of(t, n);
    uint32_t mask = (r->n <= REG_SP ? 1u << r->n : 0) | (r->m <= REG_SP ? 1u << r->m : 0);

    return !u.known || (u.writes & mask);
}

/* The condition that a reader asks for; NEITHER if it is another kind of reader. */
static unsigned condition_of(const struct jit_insn *n)
{
    if (n->op == A64_B_cond)
        return n->i.word & 15;
    return (n->i.word & 0x1fe00000) == 0x1a800000 ? (unsigned)bits(n->i.word, 15, 12) : NEITHER;
}

/* Branches that end a block or leave it, which call jit_clobber() before they do anything. */
static bool is_end(const struct jit_insn *n)
{
    return (n->i.word & 0x7c000000) == 0x14000000 || (n->i.word & 0xfe000000) == 0xd6000000;
}

/* Both halves of a product may be made by the first of their instructions: soft/jit/products.c. */
static bool comes_early(jit_t t, unsigned from, const struct jit_remake *r)
{
    for (unsigned n = from; n < t->count; n++)
        if ((t->insn[n].i.word & 0x1f000000) == 0x1b000000 && writes(t, &t->insn[n], r))
            return true;
    return false;
}

bool jit_remake_later(jit_t t)
{
    struct jit_remake r = remake_of(t, t->set_at);

    if (r.how == REMAKE_NONE || t->jit->knobs.unremade || jit_remake_ends(t, t->at))
        return false;
    for (unsigned n = t->set_at + 1; n < t->count; n++) {
        const struct jit_insn *i = &t->insn[n];
        unsigned f = jit_flags_of(t, i);
        bool reads = f & FLAGS_READ;
        if (n >= t->at) {
            if (reads ? condition_of(i) >= NEITHER : i->target_live)
                return false;
            bool last = jit_remake_ends(t, n) && (is_end(i) || !writes(t, i, &r));
            if (f & FLAGS_WRITE || (!i->flags_live && !i->target_live) || last) {
                t->remake = r;
                return !comes_early(t, n, &r);
            }
        }
        if (writes(t, i, &r))
            return false;
    }
    return false;
}

/* A host register with the value of guest register `reg`, RAX if it has none. */
static enum x86_reg value(jit_t t, struct x86_buf *b, unsigned w, unsigned reg)
{
    if (t->pinned[reg] != X86_NONE)
        return (enum x86_reg)t->pinned[reg];
    x86_mov_rm(b, w, RAX, jit_slot(reg));
    return RAX;
}

/* RAX = RAX op what was added, subtracted or compared with. */
static void apply(jit_t t, struct x86_buf *b, enum x86_alu op, enum x86_reg d)
{
    const struct jit_remake *r = &t->remake;

    if (r->m == REG_NONE)
        x86_alu_ri(b, r->w, op, d, r->imm);
    else if (t->pinned[r->m] != X86_NONE)
        x86_alu_rr(b, r->w, op, d, (enum x86_reg)t->pinned[r->m]);
    else
        x86_alu_rm(b, r->w, op, d, jit_slot(r->m));
}

/* The comparison. Changes RAX. */
static enum jit_eflags emit(jit_t t, struct x86_buf *b)
{
    const struct jit_remake *r = &t->remake;
    enum x86_reg n = value(t, b, r->w, r->n);

    if (r->how == REMAKE_TEST) {
        if (r->m == r->n)
            x86_test_rr(b, r->w, n, n);
        else
            x86_test_ri(b, r->w, n, r->imm);
        return EF_ADD;
    }
    if (n != RAX && (r->result || r->how == REMAKE_ADD)) {
        x86_mov_rr(b, r->w, RAX, n);
        n = RAX;
    }
    if (r->result)
        apply(t, b, r->how == REMAKE_CMP ? X86_ADD : X86_SUB, RAX);
    apply(t, b, r->how == REMAKE_CMP ? X86_CMP : X86_ADD, n);
    return r->how == REMAKE_CMP ? EF_SUB : EF_ADD;
}

bool jit_remake_test(jit_t t, unsigned cond)
{
    const struct jit_remake *r = &t->remake;
    unsigned sign_zero = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5; /* EQ, NE, MI, PL */

    if (r->how == REMAKE_NONE || !r->result || !(sign_zero >> cond & 1) ||
        t->insn[t->at].target_live)
        return false;
    enum x86_reg n = value(t, &t->hot, r->w, r->n);
    x86_test_rr(&t->hot, r->w, n, n);
    return true;
}

void jit_remake(jit_t t)
{
    if (t->remake.how == REMAKE_NONE)
        return;
    t->ef = emit(t, &t->hot);
    t->ef_stored = false;
    t->remake.how = REMAKE_NONE;
}

void jit_remake_and_store(jit_t t, struct x86_buf *b)
{
    x86_push(b, RAX);
    jit_flags_save(b, emit(t, b));
    x86_pop(b, RAX);
}
