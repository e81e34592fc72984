/*
 * Translated arithmetic and logic (DDI 0487 C4.1.92, C4.1.95): A64's three operands become x86's
 * two, with LEA where a sum need not change EFLAGS. Multiplication, bit fields and conditions have
 * files of their own.
 *
 * The emitters tell the forms of an instruction apart by its word: bit 31 is the width, bit 30 a
 * subtraction, bit 29 that it sets flags.
 */
#include "soft/jit/operand.h"

#include "base/bits.h"
#include "soft/jit/vector.h"

/* Constants. */

static void put_constant(jit_t t, unsigned rd, uint64_t value)
{
    if (t->pinned[rd] != X86_NONE)
        x86_mov_ri(&t->hot, (enum x86_reg)t->pinned[rd], value);
    else if ((int64_t)value == (int32_t)value) {
        x86_mov_mi(&t->hot, 1, jit_slot(rd), (int32_t)value);
    } else {
        x86_mov_ri(&t->hot, RAX, value);
        jit_done(t, rd, RAX);
    }
}

/* The same for one that is an address near the instruction's. */
static void put_address(jit_t t, unsigned rd, uint64_t va)
{
    enum x86_reg d = jit_def(t, rd, RAX);

    jit_mov_va(t, &t->hot, d, va);
    jit_done(t, rd, d);
}

static bool is_address(jit_t t, unsigned at);

/* Does `at` only change a constant that the instruction before it made in the same register? An
 * address may only be added to. */
static bool extends_constant(jit_t t, unsigned at)
{
    const struct jit_insn *p = &t->insn[at];

    if (at == 0 || at >= t->count || p->i.rd != t->insn[at - 1].i.rd)
        return false;
    return ((p->op == A64_MOVK_w || p->op == A64_MOVK_x) && !is_address(t, at - 1)) ||
           (p->op == A64_ADD_imm_x && p->i.rn == p->i.rd);
}

/* Is the constant ADR's or ADRP's? */
static bool is_address(jit_t t, unsigned at)
{
    while (extends_constant(t, at))
        at--;
    return t->insn[at].op == A64_ADR || t->insn[at].op == A64_ADRP;
}

/* The constant that the instruction `at` makes of nothing, or of the constant before it. */
static bool known_constant(jit_t t, unsigned at, uint64_t *value)
{
    const struct insn *i = &t->insn[at].i;

    switch (t->insn[at].op) {
    case A64_ADR:
    case A64_ADRP:
        *value = t->page_va + (uint64_t)i->imm;
        return true;
    case A64_MOVZ_w:
    case A64_MOVZ_x:
    case A64_MOVN_w:
    case A64_MOVN_x:
        *value = (uint64_t)i->imm;
        return true;
    default:
        break;
    }
    if (!extends_constant(t, at) || !known_constant(t, at - 1, value))
        return false;
    if (t->insn[at].op == A64_ADD_imm_x)
        *value += (uint64_t)i->imm;
    else
        *value = (*value & ~(0xffffull << i->a)) | (uint64_t)i->imm;
    if (t->insn[at].op == A64_MOVK_w)
        *value = (uint32_t)*value;
    return true;
}

/* The whole constant is made by the last instruction that extends it. */
static bool emit_known_constant(jit_t t, const struct insn *i)
{
    uint64_t value;

    if (!known_constant(t, t->at, &value))
        return false;
    if (i->rd != REG_NONE && !extends_constant(t, t->at + 1))
        is_address(t, t->at) ? put_address(t, i->rd, value) : put_constant(t, i->rd, value);
    return true;
}

/* MOVZ, MOVN, ADR, ADRP */
bool emit_constant(jit_t t, const struct insn *i)
{
    return emit_known_constant(t, i);
}

bool emit_movk(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);
    uint64_t keep = ~(0xffffull << i->a);

    if (i->rd == REG_NONE || emit_known_constant(t, i))
        return true;
    jit_clobber(t);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    operand_load(t, w, d, operand_guest(t, i->rd));
    if (w && i->a != 0) {
        x86_mov_ri(&t->hot, RCX, keep);
        x86_alu_rr(&t->hot, 1, X86_AND, d, RCX);
    } else {
        x86_alu_ri(&t->hot, w, X86_AND, d, (int32_t)keep);
    }
    if (i->imm == (int32_t)i->imm || !w) {
        x86_alu_ri(&t->hot, w, X86_OR, d, (int32_t)i->imm);
    } else {
        x86_mov_ri(&t->hot, RCX, (uint64_t)i->imm);
        x86_alu_rr(&t->hot, 1, X86_OR, d, RCX);
    }
    jit_done(t, i->rd, d);
    return true;
}

/* Of two operands. */

/* rd = rn op o, EFLAGS as x86 sets them. `o` is not in RAX. */
static void emit_binary(jit_t t, unsigned w, enum x86_alu op, const struct insn *i,
                        struct operand o)
{
    enum x86_reg d = jit_def(t, i->rd, RAX);
    struct operand n = operand_guest(t, i->rn);

    if (w && n.kind == OPERAND_SLOT && i->rd == i->rn && o.kind != OPERAND_SLOT) {
        if (o.kind == OPERAND_CONSTANT)
            x86_alu_mi(&t->hot, 1, op, jit_slot(i->rd), o.constant);
        else
            x86_alu_mr(&t->hot, 1, op, jit_slot(i->rd), o.host);
        return;
    }
    if (operand_is_host(o, RCX) && d == RAX && op != X86_SUB && op != X86_SBB)
        d = RCX; /* which is scratch, too */
    if (operand_is_host(o, d) && !operand_is_host(n, d)) {
        if (op == X86_SUB || op == X86_SBB) {
            d = RAX;
        } else {
            o = n;
            n = operand_host(d);
        }
    }
    operand_load(t, w, d, n);
    operand_apply(t, w, op, d, o);
    jit_done(t, i->rd, d);
}

/* rd = -o; EFLAGS are those of 0 - o. */
static void emit_negate(jit_t t, unsigned w, const struct insn *i, struct operand o)
{
    enum x86_reg d = jit_def(t, i->rd, RAX);

    operand_load(t, w, d, o);
    x86_unary_r(&t->hot, w, X86_NEG, d);
    jit_done(t, i->rd, d);
}

static void emit_compare(jit_t t, unsigned w, const struct insn *i, struct operand o)
{
    struct operand n = operand_guest(t, i->rn);

    if (n.kind == OPERAND_SLOT && o.kind == OPERAND_CONSTANT)
        x86_alu_mi(&t->hot, w, X86_CMP, jit_slot(i->rn), o.constant);
    else if (n.kind == OPERAND_SLOT && o.kind == OPERAND_HOST)
        x86_alu_mr(&t->hot, w, X86_CMP, jit_slot(i->rn), o.host);
    else
        operand_apply(t, w, X86_CMP, jit_use(t, i->rn, RAX), o);
}

/* Flags are about to change: those of before are dead, or somebody may want them. */
static void begin_flags(jit_t t, bool sets)
{
    if (sets)
        t->ef = EF_NONE;
    else
        jit_clobber(t);
}

/* Addition and subtraction, after begin_flags(). */
static void emit_addsub(jit_t t, const struct insn *i, struct operand o)
{
    unsigned w = operand_width(i);
    bool subtracts = bit(i->word, 30), sets = bit(i->word, 29);

    if (subtracts && i->rn == REG_ZR && o.kind != OPERAND_CONSTANT)
        emit_negate(t, w, i, o);
    else if (subtracts && i->rd == REG_NONE)
        emit_compare(t, w, i, o);
    else
        emit_binary(t, w, subtracts ? X86_SUB : X86_ADD, i, o);
    if (sets)
        jit_flags_set(t, subtracts ? EF_SUB : EF_ADD);
}

/* rd = n + (m << scale); flags stay. */
static void emit_lea(jit_t t, const struct insn *i, enum x86_reg n, enum x86_reg m, unsigned scale)
{
    enum x86_reg d = jit_def(t, i->rd, RAX);

    /* RBP and R13 as base need a displacement, and three terms are slow. */
    if (scale == 0 && (n & 7) == RBP) {
        enum x86_reg swap = n;
        n = m;
        m = swap;
    }
    x86_lea(&t->hot, operand_width(i), d, x86_indexed(n, m, scale, 0));
    jit_done(t, i->rd, d);
}

/* rd = rn + rm where two of them are in memory, which an addition takes as it is. False: not of
 * these operands, or flags are to stay. */
static bool emit_add_slots(jit_t t, const struct insn *i)
{
    struct operand n = operand_guest(t, i->rn), m = operand_guest(t, i->rm);
    struct insn sum = *i;

    if (n.kind == OPERAND_SLOT && m.kind == OPERAND_HOST && i->rd == i->rn) {
        /* into memory */
    } else if (m.kind == OPERAND_SLOT && n.kind == OPERAND_HOST && i->rd == i->rm) {
        sum.rn = i->rm;
        m = n;
    } else if (n.kind != OPERAND_SLOT || m.kind != OPERAND_SLOT || i->rn == i->rm) {
        return false;
    }
    if (jit_flags_held(t))
        return false;
    jit_clobber(t);
    emit_binary(t, operand_width(i), X86_ADD, &sum, m);
    return true;
}

/* rd = rn - rm = rn + ~rm + 1, which leaves EFLAGS alone. */
static void emit_sub_lea(jit_t t, const struct insn *i)
{
    enum x86_reg n = jit_use(t, i->rn, RCX), d = jit_def(t, i->rd, RAX);
    enum x86_reg inverse = d == n ? RAX : d;

    operand_load(t, operand_width(i), inverse, operand_guest(t, i->rm));
    x86_unary_r(&t->hot, operand_width(i), X86_NOT, inverse);
    x86_lea(&t->hot, operand_width(i), d, x86_indexed(inverse, n, 0, 1));
    jit_done(t, i->rd, d);
}

bool emit_addsub_imm(jit_t t, const struct insn *i)
{
    bool subtracts = bit(i->word, 30), sets = bit(i->word, 29);

    if (sets) {
        t->ef = EF_NONE;
        emit_addsub(t, i, operand_constant((int32_t)i->imm));
        return true;
    }
    if (emit_known_constant(t, i))
        return true;
    int32_t imm = subtracts ? -(int32_t)i->imm : (int32_t)i->imm;
    if (i->rd == i->rn && operand_width(i) && t->pinned[i->rd] == X86_NONE && !jit_flags_held(t)) {
        jit_clobber(t);
        x86_alu_mi(&t->hot, 1, X86_ADD, jit_slot(i->rd), imm);
        return true;
    }
    enum x86_reg n = jit_use(t, i->rn, RAX), d = jit_def(t, i->rd, RAX);

    if (imm == 0 && operand_width(i))
        d = n;
    else if (imm == 0)
        x86_mov_rr(&t->hot, operand_width(i), d, n);
    else
        x86_lea(&t->hot, operand_width(i), d, x86_at(n, imm));
    jit_done(t, i->rd, d);
    return true;
}

/* Shifted registers. */

struct shift {
    unsigned type, amount;
};

static struct shift shift_of(const struct insn *i)
{
    return (struct shift){ (unsigned)bits(i->word, 23, 22), (unsigned)bits(i->word, 15, 10) };
}

/* d = m, shifted */
static void load_shifted(jit_t t, unsigned w, enum x86_reg d, const struct insn *i)
{
    static const enum x86_shift ops[4] = { X86_SHL, X86_SHR, X86_SAR, X86_ROR };
    struct shift s = shift_of(i);

    if (s.type == 3 && t->jit->host.bmi2) {
        x86_rorx(&t->hot, w, d, jit_use(t, i->rm, d), s.amount);
    } else {
        operand_load(t, w, d, operand_guest(t, i->rm));
        x86_shift_ri(&t->hot, w, ops[s.type], d, s.amount);
    }
}

/* The second operand of instructions with a shifted register; in RCX if it is shifted. Changes
 * EFLAGS. */
static struct operand shifted_operand(jit_t t, const struct insn *i)
{
    struct operand m = operand_guest(t, i->rm);

    if (shift_of(i).amount == 0 || m.kind == OPERAND_CONSTANT)
        return m;
    load_shifted(t, operand_width(i), RCX, i);
    return operand_host(RCX);
}

/* rd = rn op (rm shifted), where the order of the operands does not matter: rm is shifted where the
 * result is made, which saves a copy. Of `x ^= x << n` it is the old value that is copied, so that
 * the copy is not waited for. False: not of these operands. */
static bool emit_shifted_first(jit_t t, enum x86_alu op, const struct insn *i)
{
    unsigned w = operand_width(i);
    enum x86_reg d = jit_def(t, i->rd, RAX);
    struct operand n = operand_guest(t, i->rn);

    if (shift_of(i).amount == 0 || i->rd == REG_NONE || i->rn == REG_ZR || i->rm == REG_ZR)
        return false;
    if (i->rd == i->rn) {
        if (i->rm != i->rn || n.kind != OPERAND_HOST)
            return false;
        x86_mov_rr(&t->hot, w, RCX, d);
        n = operand_host(RCX);
    }
    load_shifted(t, w, d, i);
    operand_apply(t, w, op, d, n);
    jit_done(t, i->rd, d);
    return true;
}

/* ADD, SUB and their S forms, of a register that may be shifted. */
bool emit_addsub_shift(jit_t t, const struct insn *i)
{
    bool subtracts = bit(i->word, 30), sets = bit(i->word, 29);
    struct shift s = shift_of(i);

    if (!sets && i->rd == REG_NONE)
        return true;
    if (!sets && !subtracts && s.type == 0 && s.amount <= 3) {
        if (s.amount == 0 && emit_add_slots(t, i))
            return true;
        enum x86_reg m = jit_use(t, i->rm, RCX);
        emit_lea(t, i, i->rn == i->rm ? m : jit_use(t, i->rn, RAX), m, s.amount);
        return true;
    }
    if (!sets && subtracts && s.amount == 0 && i->rm != REG_ZR && jit_flags_held(t)) {
        emit_sub_lea(t, i);
        return true;
    }
    begin_flags(t, sets);
    if (UNLIKELY(t->insn[t->at].source)) {
        struct insn sum = *i;
        struct operand product = jit_product_operand(t, &sum);
        emit_addsub(t, &sum, product);
    } else if (subtracts || !emit_shifted_first(t, X86_ADD, i)) {
        emit_addsub(t, i, shifted_operand(t, i));
    } else if (sets) {
        jit_flags_set(t, EF_ADD);
    }
    return true;
}

/* Extended registers: i->imm is the mask of the bits taken, b that their highest is a sign, a the
 * shift that follows. */

/* In RCX unless it is all of a guest register; flags stay. */
static struct operand extended_operand(jit_t t, const struct insn *i)
{
    struct operand m = operand_guest(t, i->rm);
    unsigned w = operand_width(i);
    enum x86_extend how;

    if (i->imm == -1 || (!w && i->imm == UINT32_MAX) || m.kind == OPERAND_CONSTANT)
        return m;
    if (i->imm == UINT32_MAX && !i->b) {
        operand_load(t, 0, RCX, m);
        return operand_host(RCX);
    }
    if (i->imm == UINT32_MAX)
        how = X86_SX32;
    else if (i->imm == 0xffff)
        how = i->b ? X86_SX16 : X86_ZX16;
    else
        how = i->b ? X86_SX8 : X86_ZX8;
    if (m.kind == OPERAND_SLOT)
        x86_ext_rm(&t->hot, how, i->b, RCX, jit_slot(i->rm));
    else
        x86_ext_rr(&t->hot, how, i->b, RCX, m.host);
    return operand_host(RCX);
}

bool emit_addsub_ext(jit_t t, const struct insn *i)
{
    bool subtracts = bit(i->word, 30), sets = bit(i->word, 29);
    unsigned w = operand_width(i);

    if (!sets && !subtracts && i->a <= 3) {
        struct operand m = extended_operand(t, i);

        if (m.kind != OPERAND_HOST) {
            operand_load(t, w, RCX, m);
            m = operand_host(RCX);
        }
        emit_lea(t, i, jit_use(t, i->rn, RAX), m.host, i->a);
        return true;
    }
    begin_flags(t, sets);
    struct operand m = extended_operand(t, i);

    if (i->a && m.kind != OPERAND_CONSTANT) {
        operand_load(t, w, RCX, m);
        x86_shift_ri(&t->hot, w, X86_SHL, RCX, i->a);
        m = operand_host(RCX);
    }
    emit_addsub(t, i, m);
    return true;
}

/* Logic. */

/* MOV of a register */
bool emit_mov(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);

    if (i->rd == REG_NONE)
        return true;
    if (i->rm == REG_ZR)
        put_constant(t, i->rd, 0);
    else if (w)
        jit_done(t, i->rd, jit_use(t, i->rm, jit_def(t, i->rd, RAX)));
    else
        jit_done(t, i->rd, jit_copy(t, 0, i->rm, jit_def(t, i->rd, RAX)));
    return true;
}

static enum x86_alu logical_op(const struct insn *i)
{
    static const enum x86_alu ops[4] = { X86_AND, X86_OR, X86_XOR, X86_AND };

    return ops[bits(i->word, 30, 29)];
}

/* rd = ~rm: flags stay. */
static void emit_mvn(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    operand_load(t, w, d, operand_guest(t, i->rm));
    x86_unary_r(&t->hot, w, X86_NOT, d);
    jit_done(t, i->rd, d);
}

/* rd = rn op ~o */
static void emit_inverted(jit_t t, const struct insn *i, struct operand o)
{
    unsigned w = operand_width(i);

    if (logical_op(i) == X86_AND && t->jit->host.bmi1) {
        enum x86_reg n = jit_use(t, i->rn, RAX), d = jit_def(t, i->rd, RAX);

        if (o.kind != OPERAND_HOST) {
            operand_load(t, w, RCX, o);
            o = operand_host(RCX);
        }
        x86_andn(&t->hot, w, d, o.host, n);
        jit_done(t, i->rd, d);
        return;
    }
    operand_load(t, w, RCX, o);
    x86_unary_r(&t->hot, w, X86_NOT, RCX);
    emit_binary(t, w, logical_op(i), i, operand_host(RCX));
}

/* AND, BIC, ORR, ORN, EOR, EON, ANDS, BICS of a register that may be shifted. */
bool emit_logical_shift(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i), opc = (unsigned)bits(i->word, 30, 29);
    bool inverts = bit(i->word, 21), sets = opc == 3;

    if (!sets && i->rd == REG_NONE)
        return true;
    if (opc == 1 && inverts && i->rn == REG_ZR && shift_of(i).amount == 0) {
        emit_mvn(t, i);
        return true;
    }
    begin_flags(t, sets);
    if (!inverts && emit_shifted_first(t, logical_op(i), i)) {
        if (sets)
            jit_flags_set(t, EF_ADD);
        return true;
    }
    struct operand o = shifted_operand(t, i);

    if (inverts) {
        emit_inverted(t, i, o);
    } else if (sets && i->rd == REG_NONE && o.kind != OPERAND_CONSTANT) {
        if (o.kind == OPERAND_SLOT)
            o = operand_host(jit_use(t, i->rm, RCX));
        x86_test_rr(&t->hot, w, jit_use(t, i->rn, RAX), o.host);
    } else {
        emit_binary(t, w, logical_op(i), i, o);
    }
    if (sets)
        jit_flags_set(t, EF_ADD);
    return true;
}

/* AND with a mask of the low 8, 16 or 32 bits is a widening move, which leaves the flags. */
static bool emit_low_bits(jit_t t, const struct insn *i)
{
    enum x86_reg d = jit_def(t, i->rd, RAX);
    enum x86_extend how = i->imm == 0xff ? X86_ZX8 : X86_ZX16;

    if (i->rn == REG_ZR || (i->imm != 0xff && i->imm != 0xffff && i->imm != UINT32_MAX))
        return false;
    if (i->imm == UINT32_MAX)
        jit_copy(t, 0, i->rn, d);
    else if (t->pinned[i->rn] != X86_NONE)
        x86_ext_rr(&t->hot, how, 0, d, (enum x86_reg)t->pinned[i->rn]);
    else
        x86_ext_rm(&t->hot, how, 0, d, jit_slot(i->rn));
    jit_done(t, i->rd, d);
    return true;
}

/* Is the mask taken from memory? That is one instruction less where the result is the operand. */
static bool is_literal(jit_t t, const struct insn *i)
{
    return t->warm && i->rd == i->rn && t->pinned[i->rd] != X86_NONE && i->imm != (int32_t)i->imm;
}

bool emit_logical_imm(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i), opc = (unsigned)bits(i->word, 30, 29);
    uint64_t imm = (uint64_t)i->imm;
    bool sets = opc == 3;
    struct operand o = operand_host(RCX);

    /* MOV of a bit mask. */
    if (opc == 1 && i->rn == REG_ZR) {
        put_constant(t, i->rd, imm);
        return true;
    }
    if (opc == 0 && emit_low_bits(t, i))
        return true;
    begin_flags(t, sets);
    /* The high half of a mask of 32 bits is clear; so is that of a 32-bit result. */
    if (opc == 0 && imm <= UINT32_MAX)
        w = 0;
    if (w && !sets && is_literal(t, i)) {
        enum x86_reg d = (enum x86_reg)t->pinned[i->rd];
        x86_alu_rip(&t->hot, logical_op(i), d, vector_literal(t, imm, imm));
        return true;
    }
    if (!w || (int64_t)imm == (int32_t)imm) {
        o = operand_constant((int32_t)imm);
    } else {
        o = operand_host(i->rd == i->rn ? RCX : jit_def(t, i->rd, RCX));
        x86_mov_ri(&t->hot, o.host, imm);
    }
    if (sets && i->rd == REG_NONE) {
        enum x86_reg n = jit_use(t, i->rn, RAX);

        if (o.kind == OPERAND_CONSTANT)
            x86_test_ri(&t->hot, w, n, o.constant);
        else
            x86_test_rr(&t->hot, w, n, RCX);
    } else {
        emit_binary(t, w, logical_op(i), i, o);
    }
    if (sets)
        jit_flags_set(t, EF_ADD);
    return true;
}

/* With carry. */

/* ADC, SBC and their S forms. */
bool emit_carry(jit_t t, const struct insn *i)
{
    bool subtracts = bit(i->word, 30), sets = bit(i->word, 29);

    if (!sets && i->rd == REG_NONE)
        return true;
    /* EFLAGS may be what the carry comes from, so they are kept until it is used. */
    if (!sets && t->insn[t->at].flags_live)
        jit_flags_store(t, t->insn[t->at].flags_live);
    jit_carry(t, subtracts);
    struct insn sum = *i;
    struct operand o =
        UNLIKELY(t->insn[t->at].source) ? jit_product_operand(t, &sum) : operand_guest(t, i->rm);
    emit_binary(t, operand_width(i), subtracts ? X86_SBB : X86_ADC, &sum, o);
    jit_flags_set(t, !sets ? EF_NONE : subtracts ? EF_SUB : EF_ADD);
    return true;
}
