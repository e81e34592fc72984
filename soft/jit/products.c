/*
 * Long multiplication: MUL and UMULH, and chains of additions with carry between them. MULX makes
 * both halves of a product at once and leaves EFLAGS alone.
 *
 * Code for CPUs with many registers has the products first and adds them later, each of them once.
 * Here they would go through memory meanwhile. So in warm code such a product is put off: it is
 * made by the instruction that adds it, in a scratch register or that of the sum, and its own
 * register is never written. This may be if the factors are the same there, nothing else reads the
 * product before its register gets another value, and no branch up to there leaves the block. Slow
 * paths of loads and stores in between make it first, so that faults find it.
 */
#include "soft/jit/operand.h"

#include "base/bits.h"

static bool is_half(const struct jit_insn *n, enum a64_op op)
{
    return n->op == op && n->i.rd != REG_NONE && n->i.rn != REG_ZR && n->i.rm != REG_ZR &&
           (op == A64_UMULH || (n->i.ra == REG_ZR && !bit(n->i.word, 15)));
}

static uint32_t mask_of(unsigned reg)
{
    return reg <= REG_SP ? 1u << reg : 0;
}

static uint32_t factors_of(const struct jit_insn *n)
{
    return mask_of(n->i.rn) | mask_of(n->i.rm);
}

/* CSEL and its kin: flags may be made again of registers. */
static bool selects(const struct jit_insn *n)
{
    return (n->i.word & 0x1fe00000) == 0x1a800000;
}

/* Which are put off. */

/* The uses of the block's instructions; as far as nothing leaves it. */
struct region {
    struct jit_uses uses[JIT_STRAIGHT_MAX];
};

/* ADDS, ADCS and ADC, of 64 bits and not shifted. */
static bool is_sum(const struct jit_insn *n)
{
    uint32_t form = n->i.word & 0xffe0fc00;

    return form == 0xab000000 || form == 0xba000000 || form == 0x9a000000;
}

/* Loads and stores of general registers. */
static bool is_access(const struct jit_insn *n)
{
    uint32_t form = n->i.word & 0x3e000000;

    return form == 0x28000000 || form == 0x38000000;
}

/* Put the product `at` off to its sum, if it may be made there. */
static void put_off(jit_t t, const struct region *r, unsigned at)
{
    struct jit_insn *p = &t->insn[at];
    uint32_t result = mask_of(p->i.rd), factors = factors_of(p), changed = 0;
    unsigned sum = 0;
    bool past_access = false;

    for (unsigned n = at + 1; n < t->count; n++) {
        const struct jit_uses *u = &r->uses[n];
        struct jit_insn *i = &t->insn[n];
        if (!u->known || (!u->plain && (!is_access(i) || (changed | result) & factors)))
            return;
        past_access |= !u->plain;
        if (u->reads & result) {
            if (sum || !is_sum(i) || i->i.rn == i->i.rm || i->source)
                return;
            sum = n;
        }
        changed |= u->writes;
        if (!sum && changed & factors)
            return;
        if (!(u->writes & result))
            continue;
        if (sum) {
            t->puts_off |= past_access;
            p->sum = (uint8_t)sum;
            p->end = (uint8_t)n;
            t->insn[sum].source = (uint8_t)(at + 1);
        }
        return;
    }
}

/* Where the product is made. */
static unsigned place_of(jit_t t, const struct jit_insn *p)
{
    return p->sum ? p->sum : (unsigned)(p - t->insn);
}

/* Registers that the code of instruction n has to do with, which makes a half of a product early
 * if it is `first`. What is put off has to do with none, and its register is not read by the sum,
 * but for halves that are early. */
static uint32_t touched_by(jit_t t, const struct region *r, unsigned n, bool first)
{
    const struct jit_insn *i = &t->insn[n];
    uint32_t reads = r->uses[n].reads;

    if (i->sum)
        return 0;
    if (i->source) {
        const struct jit_insn *p = &t->insn[i->source - 1];
        if (p->half != HALF_EARLY)
            reads &= ~mask_of(p->i.rd);
        if (!first)
            reads |= factors_of(p);
    } else if (first) {
        reads = 0; /* a product may change its factors */
    }
    return r->uses[n].writes | reads;
}

/* Is the register that of another half which is early meanwhile? */
static bool is_taken(jit_t t, const struct jit_insn *half, unsigned from)
{
    for (unsigned n = 0; n < t->count; n++) {
        const struct jit_insn *early = &t->insn[n];
        if (early->half == HALF_EARLY && early->i.rd == half->i.rd &&
            place_of(t, &t->insn[early->partner - 1]) <= place_of(t, half) &&
            from <= place_of(t, early))
            return true;
    }
    return false;
}

/* May the half that comes later have its register where the other one is made, at `from`? */
static bool may_be_early(jit_t t, const struct region *r, const struct jit_insn *half,
                         unsigned from)
{
    uint32_t result = mask_of(half->i.rd);
    unsigned at = (unsigned)(half - t->insn);

    for (unsigned n = from; n < at; n++)
        if (!r->uses[n].plain || selects(&t->insn[n]) || touched_by(t, r, n, n == from) & result)
            return false;
    return !is_taken(t, half, from);
}

/* Does the sum `to` directly follow the place `from` in the host's code? */
static bool follows(jit_t t, unsigned from, unsigned to)
{
    unsigned n = from + 1;

    while (n < to && t->insn[n].sum)
        n++;
    return n == to && !t->jit->knobs.count;
}

/* The place in memory for a half between `from` and `to`, if there is one: none of the others that
 * are in use meanwhile. */
static int free_place(jit_t t, unsigned from, unsigned to)
{
    uint32_t taken = 0;

    for (unsigned n = 0; n < t->count; n++) {
        const struct jit_insn *late = &t->insn[n];
        if (late->half != HALF_KEPT)
            continue;
        unsigned begin = place_of(t, &t->insn[late->partner - 1]), end = place_of(t, late);
        if (begin < to && from < end)
            taken |= 1u << late->kept;
    }
    for (int k = 0; k < JIT_HALVES; k++)
        if (!(taken >> k & 1))
            return k;
    return -1;
}

/* The two halves are made at once; where the one that comes later is meanwhile. */
static void join(jit_t t, const struct region *r, struct jit_insn *p, struct jit_insn *q)
{
    bool swap = place_of(t, q) < place_of(t, p);
    struct jit_insn *first = swap ? q : p, *late = swap ? p : q;
    unsigned from = place_of(t, first), to = place_of(t, late);
    int kept = free_place(t, from, to);

    if (late->sum && follows(t, from, to))
        late->half = HALF_FOLLOWS;
    else if (late->sum && kept >= 0)
        late->half = HALF_KEPT; /* its register is free for one that is not put off */
    else if (may_be_early(t, r, late, from))
        late->half = HALF_EARLY;
    else if (kept < 0)
        return;
    else
        late->half = HALF_KEPT;
    late->kept = (uint8_t)kept;
    first->partner = (uint8_t)(late - t->insn + 1);
    late->partner = (uint8_t)(first - t->insn + 1);
}

#define PARTNER_NEAR 40 /* instructions */

static void find_partner(jit_t t, const struct region *r, unsigned at)
{
    struct jit_insn *p = &t->insn[at];
    enum a64_op op = p->op == A64_UMULH ? A64_MADD_x : A64_UMULH;

    if (p->partner || !(is_half(p, A64_MADD_x) || is_half(p, A64_UMULH)))
        return;
    for (unsigned n = at + 1; n < t->count && n < at + PARTNER_NEAR; n++) {
        struct jit_insn *q = &t->insn[n];
        if (!r->uses[n - 1].known || r->uses[n - 1].writes & factors_of(p))
            return;
        if (is_half(q, op) && !q->partner && factors_of(q) == factors_of(p)) {
            join(t, r, p, q);
            return;
        }
    }
}

void jit_products_find(jit_t t)
{
    const struct jit_knobs *k = &t->jit->knobs;
    struct region r;
    unsigned count = 0;

    if (!t->multiplies)
        return;
    for (unsigned n = 0; n < t->count; n++)
        count += t->insn[n].op == A64_MADD_x || t->insn[n].op == A64_UMULH;
    if (count < 2 || !t->jit->host.bmi2)
        return;
    for (unsigned n = 0; n < t->count; n++)
        r.uses[n] = jit_uses_of(t, &t->insn[n]);
    for (unsigned n = 0; n < t->count && t->warm && !k->undelayed; n++) {
        if (is_half(&t->insn[n], A64_MADD_x) || is_half(&t->insn[n], A64_UMULH))
            put_off(t, &r, n);
    }
    for (unsigned n = 0; n < t->count && !k->unpaired; n++)
        find_partner(t, &r, n);
}

/* How they are made. */

#define COMMON_NEAR 5 /* instructions */

/* Is `reg` a factor of the next product that is made, too? */
static bool is_common(jit_t t, unsigned reg)
{
    for (unsigned n = t->at + 1; n < t->count && n <= t->at + COMMON_NEAR; n++) {
        const struct jit_insn *i = &t->insn[n];
        if (i->source)
            i = &t->insn[i->source - 1];
        else if (i->sum)
            continue;
        if (!i->half && (i->op == A64_MADD_x || i->op == A64_UMULH))
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

void jit_multiply_long(jit_t t, unsigned w, enum x86_reg high, enum x86_reg low, unsigned n,
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
    bool kept = w && high != RDX && low != RDX && !t->jit->knobs.count;
    t->multiplier = kept ? n + 1 : 0;
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

static struct x86_mem place(unsigned kept)
{
    return x86_at(JIT_STATE, JIT_CPU(jit_halves).disp + (int32_t)(8 * kept));
}

/* Make the product, whose half is to be in `own`: what of the other one is needed later is put
 * where that is expected. Changes RAX and RDX. */
static void make(jit_t t, const struct jit_insn *p, enum x86_reg own)
{
    struct jit_insn *other = p->partner ? &t->insn[p->partner - 1] : NULL;
    enum jit_half half = other ? (enum jit_half)other->half : HALF_MADE;
    enum x86_reg rest = half == HALF_FOLLOWS ? RDX
                        : half == HALF_EARLY ? jit_def(t, other->i.rd, RAX)
                                             : RAX;
    bool high = p->op == A64_UMULH;

    jit_multiply_long(t, 1, high ? own : rest, high ? rest : own, p->i.rn, p->i.rm);
    if (half == HALF_KEPT)
        x86_mov_mr(&t->hot, 1, place(other->kept), RAX);
    if (half != HALF_EARLY)
        return;
    jit_done(t, other->i.rd, rest);
    written(t, other->i.rd);
    other->done = !other->sum;
}

bool jit_product(jit_t t)
{
    const struct jit_insn *n = &t->insn[t->at];

    if (n->sum)
        return true;
    if (!n->partner)
        return false;
    enum x86_reg d = jit_def(t, n->i.rd, RCX);
    if (n->half == HALF_KEPT)
        x86_mov_rm(&t->hot, 1, d, place(n->kept));
    else
        make(t, n, d);
    jit_done(t, n->i.rd, d);
    return true;
}

struct operand jit_product_operand(jit_t t, struct insn *sum)
{
    const struct jit_insn *p = &t->insn[t->insn[t->at].source - 1];

    if (sum->rm != p->i.rd)
        sum->rn = sum->rm;
    switch ((enum jit_half)p->half) {
    case HALF_FOLLOWS:
        return operand_host(RDX);
    case HALF_EARLY:
        return operand_guest(t, p->i.rd);
    case HALF_KEPT:
        return operand_slot(offsetof(struct cpu, jit_halves) / 8 + p->kept);
    case HALF_MADE:
        break;
    }
    bool other = p->partner && t->insn[p->partner - 1].i.rd == sum->rd;
    enum x86_reg own = sum->rd == sum->rn || other ? RCX : jit_def(t, sum->rd, RCX);
    make(t, p, own);
    return operand_host(own);
}

/* Put what the product would have made where it belongs. Changes RDX and EFLAGS. */
static void restore(jit_t t, struct x86_buf *b, const struct jit_insn *p, unsigned at)
{
    unsigned from = p->half ? place_of(t, &t->insn[p->partner - 1]) : at;
    struct operand n = operand_guest(t, p->i.rn), m = operand_guest(t, p->i.rm);

    if (from < at && at < p->sum && p->half == HALF_EARLY)
        return;
    if (from < at && at < p->sum && p->half == HALF_KEPT) {
        x86_mov_rm(b, 1, RDX, place(p->kept));
    } else {
        if (n.kind == OPERAND_HOST)
            x86_mov_rr(b, 1, RDX, n.host);
        else
            x86_mov_rm(b, 1, RDX, jit_slot(n.slot));
        if (p->op == A64_UMULH && m.kind == OPERAND_HOST)
            x86_mulx(b, 1, RDX, RDX, m.host);
        else if (p->op == A64_UMULH)
            x86_mulx_rm(b, 1, RDX, RDX, jit_slot(m.slot));
        else if (m.kind == OPERAND_HOST)
            x86_imul_rr(b, 1, RDX, m.host);
        else
            x86_imul_rm(b, 1, RDX, jit_slot(m.slot));
    }
    if (t->pinned[p->i.rd] != X86_NONE)
        x86_mov_rr(b, 1, (enum x86_reg)t->pinned[p->i.rd], RDX);
    else
        x86_mov_mr(b, 1, jit_slot(p->i.rd), RDX);
}

void jit_products_restore_at(jit_t t, struct x86_buf *b, unsigned at)
{
    for (unsigned n = 0; n < at; n++)
        if (t->insn[n].sum && at <= t->insn[n].end)
            restore(t, b, &t->insn[n], at);
}
