/*
 * Translated multiplication and division (DDI 0487 C4.1.95). A64 divides without faults: by zero
 * is zero, and the lowest number by minus one is itself; x86 would raise #DE for both, so these
 * divisors never reach DIV and IDIV. Long multiplication has a file of its own, products.c.
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

/* MADD, MSUB */
bool emit_madd(jit_t t, const struct insn *i)
{
    unsigned w = operand_width(i);
    bool subtracts = bit(i->word, 15);

    if (i->rd == REG_NONE)
        return true;
    if (w && jit_product(t))
        return true;
    if (t->jit->host.bmi2 && !subtracts && jit_flags_held(t)) {
        enum x86_reg d = i->ra == REG_ZR ? jit_def(t, i->rd, RCX) : RCX;

        jit_multiply_long(t, w, RAX, d, i->rn, i->rm);
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
    bool is_signed = !bit(i->word, 23), subtracts = bit(i->word, 15);

    if (i->rd == REG_NONE)
        return true;
    jit_clobber(t);
    /* SMULL and UMULL into a host register need no other one for the product. */
    if (i->ra == REG_ZR && !subtracts && t->pinned[i->rd] != X86_NONE) {
        enum x86_reg d = (enum x86_reg)t->pinned[i->rd];
        bool swap = i->rd == i->rm;

        load_half(t, is_signed, RAX, swap ? i->rn : i->rm);
        load_half(t, is_signed, d, swap ? i->rm : i->rn);
        x86_imul_rr(&t->hot, 1, d, RAX);
        return true;
    }
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

        if (jit_product(t))
            return true;
        jit_multiply_long(t, 1, d, RAX, i->rn, i->rm);
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

    x86_patch(out, t->cold.p);
    x86_imul_rr(&t->cold, w, RAX, by);
    return x86_jmp(&t->cold);
}

static void cold_return(jit_t t, uint8_t *at)
{
    x86_patch(at, t->hot.p);
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
