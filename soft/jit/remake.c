/*
 * Flags made again. A look-up in the TLB, or other arithmetic of the translator's own, may come
 * between an instruction that sets NZCV and the branch or selection that reads it. Where what the
 * flags were made of is still there when they are read, they are not stored, but made again by a
 * comparison then: two host instructions less, and memory is out of it.
 *
 * A result says N and Z, so it serves the conditions that are made of these. Operands of CMP and
 * TST say everything. Slow paths in between, which may raise an exception that saves NZCV, make and
 * store them before they leave.
 */
#include "soft/jit/translate.h"

/* Data processing that sets flags of a result, or of two operands: (word & mask) == value. */
static const struct {
    uint32_t mask, value;
    enum jit_remaking compare; /* what makes the flags of its operands again, if it has no result */
    bool immediate;
} setters[] = {
    { 0x7f800000, 0x31000000, REMAKE_NONE, true },  /* ADDS, CMN */
    { 0x7f800000, 0x71000000, REMAKE_CMP, true },   /* SUBS, CMP */
    { 0x7f800000, 0x72000000, REMAKE_TEST, true },  /* ANDS, TST */
    { 0x7fe0fc00, 0x6b000000, REMAKE_CMP, false },  /* SUBS, CMP of registers, not shifted */
    { 0x7fe0fc00, 0x6a000000, REMAKE_TEST, false }, /* ANDS, TST */
    { 0x7f000000, 0x6a000000, REMAKE_NONE, false }, /* the same, shifted or inverted */
    { 0x1f000000, 0x0b000000, REMAKE_NONE, false }, /* ADDS, SUBS in their other forms */
};

/* What makes the flags of t->insn[at] again. */
static struct jit_remake remake_of(jit_t t, unsigned at)
{
    const struct insn *i = &t->insn[at].i;
    struct jit_remake r = { .how = REMAKE_NONE };

    for (size_t n = 0; n < ARRAY_LEN(setters); n++) {
        if ((i->word & setters[n].mask) != setters[n].value)
            continue;
        r.w = i->word >> 31;
        r.m = REG_NONE;
        if (i->rd != REG_NONE) {
            r.how = REMAKE_TEST;
            r.n = r.m = i->rd;
            r.sign_zero = true;
        } else if (!setters[n].immediate) {
            bool other = i->rm == REG_ZR || (setters[n].compare == REMAKE_TEST && i->rm != i->rn);
            r.how = other ? REMAKE_NONE : setters[n].compare;
            r.n = i->rn;
            r.m = i->rm;
        } else if (i->imm == (int32_t)i->imm) {
            r.how = setters[n].compare;
            r.n = i->rn;
            r.imm = (int32_t)i->imm;
        }
        break;
    }
    return r;
}

/* May the instruction change a register? Yes, if it is none of those that are known. */
static bool may_write(const struct insn *i, unsigned reg)
{
    uint32_t w = i->word;
    bool loads = i->rd == reg && !bit(w, 26);

    if ((w & 0x1c000000) == 0x10000000 || (w & 0x0e000000) == 0x0a000000)
        return i->rd == reg;
    if ((w & 0x3b000000) == 0x39000000 || (w & 0x3b200c00) == 0x38200800)
        return loads;
    if ((w & 0x3b200000) == 0x38000000 || (w & 0x3a000000) == 0x28000000)
        return i->rd == reg || i->ra == reg || i->rn == reg;
    return (w & 0xfc000000) != 0x14000000 && (w & 0xff000010) != 0x54000000 &&
           (w & 0x7c000000) != 0x34000000 && w != 0xd503201f; /* B, B.cond, CBZ and TBZ, NOP */
}

/* The condition that a reader asks for; -1 if it is another kind of reader. */
static int condition_of(const struct jit_insn *n)
{
    if (n->op == A64_B_cond)
        return (int)(n->i.word & 15);
    return (n->i.word & 0x1fe00000) == 0x1a800000 ? (int)bits(n->i.word, 15, 12) : -1;
}

static bool is_readable(const struct jit_remake *r, int condition)
{
    unsigned sign_zero = 1u << 0 | 1u << 1 | 1u << 4 | 1u << 5; /* EQ, NE, MI, PL */

    return condition >= 0 && condition < 14 && (!r->sign_zero || sign_zero >> condition & 1);
}

bool jit_remake_later(jit_t t)
{
    struct jit_remake r = remake_of(t, t->set_at);

    if (r.how == REMAKE_NONE || t->jit->knobs.unremade)
        return false;
    for (unsigned n = t->set_at + 1; n < t->count; n++) {
        const struct jit_insn *i = &t->insn[n];
        unsigned f = jit_flags_of(t, i);
        if (n >= t->at) {
            if ((f & FLAGS_READ) && !is_readable(&r, condition_of(i)))
                return false;
            if (f & FLAGS_WRITE || (!i->flags_live && !i->target_live)) {
                t->remake = r;
                return true;
            }
            if (i->target_live)
                return false;
        }
        if (may_write(&i->i, r.n) || (r.m != REG_NONE && may_write(&i->i, r.m)))
            return false;
    }
    return false;
}

/* The comparison. Changes RAX. */
static enum jit_eflags emit(jit_t t, struct x86_buf *b)
{
    const struct jit_remake *r = &t->remake;
    enum x86_reg n = RAX;

    if (t->pinned[r->n] != X86_NONE)
        n = (enum x86_reg)t->pinned[r->n];
    else
        x86_mov_rm(b, 1, RAX, jit_slot(r->n));
    if (r->how == REMAKE_TEST && r->m == r->n)
        x86_test_rr(b, r->w, n, n);
    else if (r->how == REMAKE_TEST && r->m == REG_NONE)
        x86_test_ri(b, r->w, n, r->imm);
    else if (r->m == REG_NONE)
        x86_alu_ri(b, r->w, X86_CMP, n, r->imm);
    else if (t->pinned[r->m] != X86_NONE)
        x86_alu_rr(b, r->w, X86_CMP, n, (enum x86_reg)t->pinned[r->m]);
    else
        x86_alu_rm(b, r->w, X86_CMP, n, jit_slot(r->m));
    return r->how == REMAKE_TEST ? EF_ADD : EF_SUB;
}

void jit_remake(jit_t t)
{
    if (t->remake.how == REMAKE_NONE)
        return;
    t->ef = emit(t, &t->hot);
    t->ef_stored = false;
    t->remake.how = REMAKE_NONE;
}

void jit_remake_store(jit_t t, struct x86_buf *b)
{
    if (t->remake.how == REMAKE_NONE)
        return;
    x86_push(b, RAX);
    jit_flags_save(b, emit(t, b));
    x86_pop(b, RAX);
}
