/*
 * Translated multiplication and division (DDI 0487 C4.1.95). A64 divides without faults: by zero
 * is zero, and the lowest number by minus one is itself; x86 would raise #DE for both, so these
 * divisors never reach DIV and IDIV.
 *
 * Long multiplication is MUL and UMULH of the same factors, and chains of additions with carry
 * between them. MULX makes both halves at once and leaves EFLAGS alone.
 */
#include "soft/jit/operand.h"

#include "base/bits.h"

/* d = d * o; `o` may be memory. */
static void multiply(jit_t t, unsigned w, enum x86_reg d, struct operand o)
{
    if (o.kind == OPERAND_SLOT)
        x86_imul_rm(&t->hot, w, d, jit_slot(o.slot));
    else
        x86_imul_rr(&t->hot, w, d, o.host);
}

/* The zero register in a multiplication is rare enough to be loaded. */
static struct operand factor(jit_t t, unsigned reg, enum x86_reg scratch)
{
    struct operand o = operand_guest(t, reg);

    return o.kind == OPERAND_CONSTANT ? operand_host(jit_use(t, reg, scratch)) : o;
}

/* rd = ra + product, or ra - product. `product` may be changed; it is no guest register. */
static void accumulate(jit_t t, const struct insn *i, enum x86_reg product)
{
    unsigned w = operand_width(i);
    bool subtracts = bit(i->word, 15);
    enum x86_reg d = jit_def(t, i->rd, RAX);

    if (i->ra == REG_ZR) {
        if (subtracts)
            x86_unary_r(&t->hot, w, X86_NEG, product);
        d = product;
    } else if (!subtracts) {
        enum x86_reg a = jit_use(t, i->ra, RAX);

        x86_lea(&t->hot, w, d, x86_indexed(product, a, 0, 0));
    } else {
        operand_load(t, w, d, operand_guest(t, i->ra));
        x86_alu_rr(&t->hot, w, X86_SUB, d, product);
    }
    jit_done(t, i->rd, d);
}

#define COMMON_NEAR 5 /* instructions */

/* Is `reg` a factor of the next product, too? */
static bool is_common(jit_t t, unsigned reg)
{
    for (unsigned n = t->at + 1; n < t->count && n <= t->at + COMMON_NEAR; n++) {
        const struct jit_insn *i = &t->insn[n];
        if (!i->done && (i->op == A64_MADD_x || i->op == A64_UMULH))
            return i->i.rn == reg || i->i.rm == reg;
    }
    return false;
}

/* The factor to be in RDX: one that is there, or will serve the next product, or is in a host
 * register while the other is not. */
static bool is_second_better(jit_t t, unsigned n, unsigned m)
{
    if (t->multiplier == n + 1 || t->multiplier == m + 1)
        return t->multiplier == m + 1;
    if (is_common(t, n) != is_common(t, m))
        return is_common(t, m);
    return operand_guest(t, n).kind == OPERAND_SLOT && operand_guest(t, m).kind == OPERAND_HOST;
}

/* high:low = n * m, flags stay. Changes RDX; RCX too if m is no register. */
static void multiply_long(jit_t t, unsigned w, enum x86_reg high, enum x86_reg low, unsigned n,
                          unsigned m)
{
    if (is_second_better(t, n, m)) {
        unsigned swap = n;
        n = m;
        m = swap;
    }
    struct operand o = operand_guest(t, m);

    if (!w || t->multiplier != n + 1)
        jit_copy(t, w, n, RDX);
    t->multiplier = w && !t->jit->knobs.count ? n + 1 : 0;
    if (o.kind == OPERAND_SLOT)
        x86_mulx_rm(&t->hot, w, high, low, jit_slot(m));
    else
        x86_mulx(&t->hot, w, high, low, jit_use(t, m, RCX));
}

static void written(jit_t t, unsigned reg)
{
    if (t->multiplier == reg + 1)
        t->multiplier = 0;
}

/* Sums leave RDX alone, and products say themselves what they leave there. */
void jit_multiplier_after(jit_t t, const struct jit_insn *n)
{
    bool sum = (n->i.word & 0x1f000000) == 0x0b000000 || (n->i.word & 0x1fe0fc00) == 0x1a000000;

    written(t, n->i.rd);
    if (!sum && n->op != A64_MADD_x && n->op != A64_UMULH)
        t->multiplier = 0;
}

#define PARTNER_NEAR 16 /* instructions */

static bool is_half(const struct jit_insn *n, enum a64_op op)
{
    return n->op == op && n->i.rd != REG_NONE && n->i.rn != REG_ZR && n->i.rm != REG_ZR &&
           (op == A64_UMULH || (n->i.ra == REG_ZR && !bit(n->i.word, 15)));
}

static uint32_t both(unsigned a, unsigned b)
{
    return (a <= REG_SP ? 1u << a : 0) | (b <= REG_SP ? 1u << b : 0);
}

/* The other half of the product that the instruction being emitted makes one half of (UMULH of
 * MUL, or MUL of UMULH), if its result may be there early: nothing between them reads or writes it,
 * changes a factor, or may leave; or selects, as flags may be made again of registers. */
static struct jit_insn *other_half(jit_t t, const struct insn *i, enum a64_op op)
{
    uint32_t factors = both(i->rn, i->rm);

    if (!t->jit->host.bmi2 || t->jit->knobs.unpaired)
        return NULL;
    for (unsigned n = t->at; n + 1 < t->count && n - t->at < PARTNER_NEAR; n++) {
        struct jit_uses u = jit_uses_of(t, &t->insn[n]);
        bool selects = (t->insn[n].i.word & 0x1fe00000) == 0x1a800000;
        if (!u.plain || u.writes & factors || selects)
            return NULL;
        struct jit_insn *other = &t->insn[n + 1];
        if (!is_half(other, op) || both(other->i.rn, other->i.rm) != factors || other->done)
            continue;
        for (unsigned k = t->at; k <= n; k++) {
            u = jit_uses_of(t, &t->insn[k]);
            uint32_t touched = u.writes | (k == t->at ? 0 : u.reads);
            if (touched & both(other->i.rd, REG_NONE))
                return NULL;
        }
        return other;
    }
    return NULL;
}

/* Make both halves at once if there is the other one. */
static bool emit_halves(jit_t t, const struct insn *i, bool high)
{
    struct jit_insn *other = other_half(t, i, high ? A64_MADD_x : A64_UMULH);

    if (!other)
        return false;
    unsigned rd_high = high ? i->rd : other->i.rd, rd_low = high ? other->i.rd : i->rd;
    enum x86_reg h = jit_def(t, rd_high, RCX), l = jit_def(t, rd_low, RAX);
    multiply_long(t, 1, h, l, i->rn, i->rm);
    jit_done(t, rd_high, h);
    jit_done(t, rd_low, l);
    written(t, other->i.rd);
    other->done = true;
    return true;
}

/* MADD, MSUB */
bool emit_madd(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);
    bool subtracts = bit(i->word, 15);

    if (i->rd == REG_NONE)
        return true;
    if (w && is_half(&t->insn[t->at], A64_MADD_x) && emit_halves(t, i, false))
        return true;
    if (t->jit->host.bmi2 && !subtracts && jit_flags_held(t)) {
        enum x86_reg d = i->ra == REG_ZR ? jit_def(t, i->rd, RCX) : RCX;

        multiply_long(t, w, RAX, d, i->rn, i->rm);
        if (i->ra == REG_ZR)
            jit_done(t, i->rd, d);
        else
            accumulate(t, i, RCX);
        return true;
    }
    jit_clobber(t);
    t->multiplier = 0;
    struct operand n = factor(t, i->rn, RAX), m = factor(t, i->rm, RDX);

    /* MUL into a host register needs no scratch. */
    if (i->ra == REG_ZR && !subtracts && t->pinned[i->rd] != X86_NONE) {
        enum x86_reg d = (enum x86_reg)t->pinned[i->rd];

        if (operand_is_host(m, d)) {
            m = n;
            n = operand_host(d);
        }
        operand_load(t, w, d, n);
        multiply(t, w, d, m);
        return true;
    }
    operand_load(t, w, RCX, n);
    multiply(t, w, RCX, m);
    accumulate(t, i, RCX);
    return true;
}

/* The low half of a register, widened to 64 bits. */
static void load_half(jit_t t, bool is_signed, enum x86_reg d, unsigned reg)
{
    struct operand o = operand_guest(t, reg);

    if (!is_signed || o.kind == OPERAND_CONSTANT)
        jit_copy(t, 0, reg, d);
    else if (o.kind == OPERAND_SLOT)
        x86_ext_rm(&t->hot, X86_SX32, 1, d, jit_slot(reg));
    else
        x86_ext_rr(&t->hot, X86_SX32, 1, d, o.host);
}

/* SMADDL, SMSUBL, UMADDL, UMSUBL */
bool emit_madd_long(jit_t t, const struct insn *i)
{
    bool is_signed = !bit(i->word, 23);

    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    load_half(t, is_signed, RCX, i->rn);
    load_half(t, is_signed, RAX, i->rm);
    x86_imul_rr(&t->hot, 1, RCX, RAX);
    accumulate(t, i, RCX);
    return true;
}

bool emit_umulh(jit_t t, const struct insn *i)
{
    if (i->rd == REG_NONE)
        return true;
    if (t->jit->host.bmi2) {
        enum x86_reg d = jit_def(t, i->rd, RCX);

        if (emit_halves(t, i, true))
            return true;
        multiply_long(t, 1, d, RAX, i->rn, i->rm);
        jit_done(t, i->rd, d);
        return true;
    }
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    x86_unary_r(&t->hot, 1, X86_MUL, jit_use(t, i->rm, RCX));
    jit_done(t, i->rd, RDX);
    return true;
}

bool emit_smulh(jit_t t, const struct insn *i)
{
    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    jit_copy(t, 1, i->rn, RAX);
    x86_unary_r(&t->hot, 1, X86_IMUL, jit_use(t, i->rm, RCX));
    jit_done(t, i->rd, RDX);
    return true;
}

/* Go on in the cold code if `cc`, multiply RAX by `by` there, and come back to where the hot code
 * is when cold_return() gets what this returns. */
static uint8_t *cold_multiply(jit_t t, unsigned w, enum x86_cc cc, enum x86_reg by)
{
    uint8_t *out = x86_jcc(&t->hot, cc);

    x86_to(&t->hot, out, t->cold.p);
    x86_imul_rr(&t->cold, w, RAX, by);
    return x86_jmp(&t->cold);
}

static void cold_return(jit_t t, uint8_t *at)
{
    x86_to(&t->cold, at, t->hot.p);
}

/* UDIV and SDIV. For the divisors 0 and -1 the quotient is the product with them. */
bool emit_div(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);
    bool is_signed = bit(i->word, 10);
    uint8_t *back;

    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    jit_copy(t, w, i->rn, RAX);
    jit_copy(t, w, i->rm, RCX);
    if (is_signed) {
        x86_lea(&t->hot, w, RDX, x86_at(RCX, 1));
        x86_alu_ri(&t->hot, w, X86_CMP, RDX, 1);
        back = cold_multiply(t, w, CC_BE, RCX);
        x86_sign_rdx(&t->hot, w);
    } else {
        x86_test_rr(&t->hot, w, RCX, RCX);
        back = cold_multiply(t, w, CC_E, RCX);
        x86_mov_ri(&t->hot, RDX, 0);
    }
    x86_unary_r(&t->hot, w, is_signed ? X86_IDIV : X86_DIV, RCX);
    cold_return(t, back);
    jit_done(t, i->rd, RAX);
    return true;
}
