/*
 * Translated conditional selection and comparison (DDI 0487 C4.1.95).
 *
 * Conditional moves and what prepares their operands (LEA, NOT, MOV) leave EFLAGS, so a comparison
 * serves any number of selections.
 *
 * A conditional comparison is a jump over the comparison to cold code that makes the immediate
 * NZCV in EFLAGS, of the same kind as the comparison would have: SAHF sets all but the overflow
 * flag, which an addition before it does. So nothing is stored, and what follows finds its flags in
 * EFLAGS either way.
 */
#include "soft/jit/operand.h"

#include "base/bits.h"

enum { CARRY_CLEAR = 3, CONDITION_ALWAYS = 14 /* and 15 */ };

enum { NZCV_V = 1, NZCV_C = 2, NZCV_Z = 4, NZCV_N = 8 };

enum selection { SELECT_PLAIN, SELECT_INCREMENT, SELECT_INVERT, SELECT_NEGATE };

static enum selection selection_of(const struct insn *i)
{
    return (enum selection)(bit(i->word, 30) << 1 | bit(i->word, 10));
}

/* d = what is selected if the condition is false; flags stay. */
static void load_otherwise(jit_t t, const struct insn *i, enum x86_reg d)
{
    unsigned w = operand_width(i);
    enum selection s = selection_of(i);

    if (s == SELECT_INCREMENT) {
        x86_lea(&t->hot, w, d, x86_at(jit_use(t, i->rm, d), 1));
        return;
    }
    operand_load(t, w, d, operand_guest(t, i->rm));
    if (s != SELECT_PLAIN)
        x86_unary_r(&t->hot, w, X86_NOT, d);
    if (s == SELECT_NEGATE)
        x86_lea(&t->hot, w, d, x86_at(d, 1));
}

/* CSET and CSETM: of the zero register twice. */
static void emit_cset(jit_t t, const struct insn *i, enum x86_cc cc)
{
    bool mask = selection_of(i) == SELECT_INVERT;
    unsigned w = operand_width(i);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    /* 0 if the condition holds, else 1 or -1. */
    x86_setcc(&t->hot, mask ? cc : cc ^ 1, RAX);
    x86_ext_rr(&t->hot, X86_ZX8, 0, d, RAX);
    if (mask)
        x86_lea(&t->hot, w, d, x86_at(d, -1));
    jit_done(t, i->rd, d);
}

/* CSEL, CSINC, CSINV, CSNEG */
bool emit_csel(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);
    struct operand n = operand_guest(t, i->rn);
    enum selection s = selection_of(i);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    if (i->rd == REG_NONE)
        return true;
    if (i->a >= CONDITION_ALWAYS) {
        jit_copy(t, w, i->rn, d);
        jit_done(t, i->rd, d);
        return true;
    }
    bool adds_carry = i->a == CARRY_CLEAR && i->rn == i->rm && i->rn != REG_ZR &&
                      s == SELECT_INCREMENT && t->remake.how == REMAKE_NONE &&
                      !t->insn[t->at].flags_live;
    if (adds_carry) { /* CINC of CS */
        jit_carry(t, false);
        operand_load(t, w, d, n);
        x86_alu_ri(&t->hot, w, X86_ADC, d, 0);
        t->ef = EF_NONE;
        jit_done(t, i->rd, d);
        return true;
    }
    enum x86_cc cc = jit_condition(t, i->a);

    if (i->rn == REG_ZR && i->rm == REG_ZR && (s == SELECT_INCREMENT || s == SELECT_INVERT)) {
        emit_cset(t, i, cc);
        return true;
    }
    struct operand m = operand_guest(t, i->rm);

    if (operand_is_host(n, d) && s == SELECT_PLAIN && m.kind == OPERAND_HOST) {
        x86_cmov_rr(&t->hot, w, cc ^ 1, d, m.host);
    } else if (operand_is_host(n, d) && s == SELECT_PLAIN && m.kind == OPERAND_SLOT) {
        x86_cmov_rm(&t->hot, w, cc ^ 1, d, jit_slot(m.slot));
    } else if (operand_is_host(n, d)) {
        load_otherwise(t, i, RCX);
        x86_cmov_rr(&t->hot, w, cc ^ 1, d, RCX);
    } else {
        load_otherwise(t, i, d);
        if (n.kind == OPERAND_SLOT)
            x86_cmov_rm(&t->hot, w, cc, d, jit_slot(n.slot));
        else
            x86_cmov_rr(&t->hot, w, cc, d, jit_use(t, i->rn, RCX));
    }
    jit_done(t, i->rd, d);
    return true;
}

/* The comparison itself: EFLAGS are those of rn - o, or of rn + o. Changes RAX and RCX. */
static void compare(jit_t t, const struct insn *i, struct operand o)
{
    unsigned w = operand_width(i);

    if (bit(i->word, 30)) {
        operand_apply(t, w, X86_CMP, jit_use(t, i->rn, RAX), o);
    } else {
        jit_copy(t, w, i->rn, RAX);
        operand_apply(t, w, X86_ADD, RAX, o);
    }
}

void jit_flags_immediate(jit_t t, unsigned nzcv, enum jit_eflags ef)
{
    bool carry = (nzcv & NZCV_C) != 0;
    unsigned ah =
        (nzcv & NZCV_N ? 0x80 : 0) | (nzcv & NZCV_Z ? 0x40 : 0) | (carry == (ef == EF_ADD) ? 1 : 0);
    unsigned al = nzcv & NZCV_V ? 1 : 0;

    x86_mov_ri(&t->cold, RAX, ah << 8 | al);
    x86_add_al(&t->cold, 0x7f);
    x86_sahf(&t->cold);
}

static bool emit_conditional_compare(jit_t t, const struct insn *i, struct operand o)
{
    enum jit_eflags ef = bit(i->word, 30) ? EF_SUB : EF_ADD;

    if (i->a >= CONDITION_ALWAYS) {
        compare(t, i, o);
        jit_flags_set(t, ef);
        return true;
    }
    enum x86_cc cc = jit_condition(t, i->a);
    uint8_t *out = x86_jcc(&t->hot, cc ^ 1);

    x86_patch(out, t->cold.p);
    jit_flags_immediate(t, i->b, ef);
    uint8_t *back = x86_jmp(&t->cold);

    compare(t, i, o);
    x86_patch(back, t->hot.p);
    jit_flags_set(t, ef);
    return true;
}

/* CCMP, CCMN of registers */
bool emit_ccmp(jit_t t, const struct insn *i)
{
    return emit_conditional_compare(t, i, operand_guest(t, i->rm));
}

bool emit_ccmp_imm(jit_t t, const struct insn *i)
{
    return emit_conditional_compare(t, i, operand_constant((int32_t)i->imm));
}
