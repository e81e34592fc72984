/*
 * Straight code: warm code that goes on for long without branches, as ciphers and long arithmetic
 * do. Its block has more instructions than others, so what is kept in registers and known of flags
 * and products has fewer borders to cross.
 *
 * From its first instruction to a call, a system instruction or its end, guest registers have no
 * fixed places. It begins with the usual map; before each instruction, a register that it uses and
 * that is in memory may take the host register of one that is used less by the instructions that
 * come next. Between two instructions each is right in its place as the map says then, so slow
 * paths and ways out lead back to the usual map as those of loops do (soft/jit/loop.c).
 */
#include "soft/jit/translate.h"

#define LEAST  24 /* instructions */
#define BRANCH 24 /* instructions for each branch of a block that gets longer */
#define LEAVES 12 /* and of one whose registers move */
#define AHEAD  40 /* instructions that count */
#define WORTH  6  /* by how many more uses a register is worth an exchange; a load is one */

static bool is_branchy(jit_t t)
{
    unsigned branches = 0;

    for (unsigned n = 0; n < t->count; n++)
        branches += (jit_facts[t->insn[n].op] & (FACT_CONDITIONAL | FACT_ENDS)) != 0;
    return branches * BRANCH > t->count;
}

unsigned jit_straight_decode(jit_t t, unsigned offset, unsigned high)
{
    const struct jit_knobs *k = &t->jit->knobs;

    if (!t->warm || k->unstraight || t->count != JIT_BLOCK_MAX || offset + 4 * t->count != high)
        return high;
    high = jit_decode(t, offset, JIT_STRAIGHT_MAX);
    return is_branchy(t) ? jit_decode(t, offset, JIT_BLOCK_MAX) : high;
}

static uint32_t mask_of(unsigned reg)
{
    return reg <= REG_SP ? 1u << reg : 0;
}

/* What the code of an instruction uses, where products are made elsewhere (soft/jit/products.c). */
static struct jit_uses uses_of(jit_t t, const struct jit_insn *n)
{
    struct jit_uses u = jit_uses_of(t, n);

    if (n->sum)
        u.reads = u.writes = 0;
    if (n->source) {
        const struct jit_insn *p = &t->insn[n->source - 1];
        if (p->half != HALF_EARLY)
            u.reads &= ~mask_of(p->i.rd);
        if (p->half == HALF_MADE)
            u.reads |= mask_of(p->i.rn) | mask_of(p->i.rm);
    }
    return u;
}

/* Results count twice, as they are written and, mostly, read. */
static void count(jit_t t, unsigned n, unsigned sign)
{
    struct jit_straight *s = t->straight;

    if (n >= s->count)
        return;
    for (uint32_t m = s->uses[n].reads; m; m &= m - 1)
        s->weight[__builtin_ctz(m)] += sign;
    for (uint32_t m = s->uses[n].writes; m; m &= m - 1)
        s->weight[__builtin_ctz(m)] += 2 * sign;
}

bool jit_straight_begin(jit_t t, struct jit_straight *s)
{
    const struct jit_knobs *k = &t->jit->knobs;
    const unsigned stop = FACT_ENDS | FACT_SYSTEM | FACT_JUMPS;

    if (!t->warm || k->unlooped || k->unstraight)
        return false;
    unsigned branches = 0;
    s->count = 0;
    for (unsigned n = 0; n < t->count && !(jit_facts[t->insn[n].op] & stop); n++) {
        s->uses[n] = uses_of(t, &t->insn[n]);
        if (!s->uses[n].known)
            break;
        branches += (jit_facts[t->insn[n].op] & FACT_CONDITIONAL) != 0;
        s->count++;
    }
    if (s->count < LEAST || branches * LEAVES > s->count)
        return false;
    t->straight = s;
    s->dirty = 0;
    memset(s->weight, 0, sizeof s->weight);
    for (unsigned n = 0; n < AHEAD; n++)
        count(t, n, 1);
    memcpy(t->loop.map, jit_pinned, sizeof t->loop.map);
    for (unsigned reg = 0; reg <= REG_SP; reg++)
        s->dirty |= jit_pinned[reg] != X86_NONE ? mask_of(reg) : 0;
    t->loop.end = s->count - 1;
    return true;
}

/* Has `reg` another value before anybody can look at the one that it has before instruction n?
 * Halves of products, and what was emitted along with another instruction, may be there already. */
static bool is_dead(jit_t t, unsigned reg, unsigned n)
{
    const struct jit_straight *s = t->straight;

    for (; n < s->count && s->uses[n].plain; n++) {
        const struct jit_insn *i = &t->insn[n];
        if (s->uses[n].reads >> reg & 1 || (i->i.rd == reg && (i->partner || i->done)))
            return false;
        if (s->uses[n].writes >> reg & 1)
            return true;
    }
    return false;
}

/* Registers that the code of instruction n may write, halves of products that it makes included. */
static uint32_t changed_by(jit_t t, const struct jit_insn *n)
{
    const struct jit_insn *p = n->source ? &t->insn[n->source - 1] : n;
    uint32_t changed = jit_uses_of(t, n).writes | mask_of(p->i.rd);

    return changed | (p->partner ? mask_of(t->insn[p->partner - 1].i.rd) : 0);
}

/* Does memory have it, as far as it is needed? */
static bool is_stored(jit_t t, unsigned reg)
{
    return !(t->straight->dirty >> reg & 1) || is_dead(t, reg, t->at);
}

/* The register that the next instructions use least, of those that the next one does not use. */
static unsigned least(jit_t t)
{
    const struct jit_straight *s = t->straight;
    uint32_t used = s->uses[t->at].reads | s->uses[t->at].writes;
    unsigned best = REG_NONE;

    for (unsigned reg = 0; reg <= REG_SP; reg++)
        if (t->loop.map[reg] != X86_NONE && !(used >> reg & 1) &&
            (best == REG_NONE || s->weight[reg] < s->weight[best]))
            best = reg;
    return best;
}

/* Is what the next instruction leaves in `reg` read soon? */
static bool is_read_soon(jit_t t, unsigned reg)
{
    const struct jit_straight *s = t->straight;

    for (unsigned n = t->at + 1; n < s->count && n < t->at + AHEAD; n++) {
        if (s->uses[n].reads >> reg & 1)
            return true;
        if (s->uses[n].writes >> reg & 1)
            return false;
    }
    return false;
}

/* Give `reg`, which the next instruction uses, a host register if that is worth it: most
 * instructions read memory as well, so few uses are not, and results that nobody reads never. */
static void take(jit_t t, unsigned reg)
{
    const struct jit_straight *s = t->straight;
    const struct jit_uses *u = &s->uses[t->at];
    bool reads = u->reads >> reg & 1, loads = reads || !u->plain || t->insn[t->at].partner;
    unsigned out = least(t);

    if (out == REG_NONE || s->weight[reg] < s->weight[out] + WORTH + loads ||
        !(reads || is_read_soon(t, reg)))
        return;
    enum x86_reg host = (enum x86_reg)t->loop.map[out];
    if (!is_stored(t, out))
        x86_mov_mr(&t->hot, 1, jit_slot(out), host);
    if (loads)
        x86_mov_rm(&t->hot, 1, host, jit_slot(reg));
    t->straight->dirty &= ~mask_of(reg);
    t->loop.map[out] = X86_NONE;
    t->loop.map[reg] = (int8_t)host;
}

void jit_straight_before(jit_t t)
{
    struct jit_straight *s = t->straight;
    const struct jit_uses *u = &s->uses[t->at];

    if (!t->group.open && !t->insn[t->at].done)
        for (uint32_t m = u->reads | u->writes; m; m &= m - 1)
            if (t->loop.map[__builtin_ctz(m)] == X86_NONE)
                take(t, (unsigned)__builtin_ctz(m));
    s->dirty |= changed_by(t, &t->insn[t->at]);
    count(t, t->at, -1u);
    count(t, t->at + AHEAD, 1);
}

void jit_straight_end(jit_t t)
{
    const int8_t *map = t->loop.map;

    for (unsigned reg = 0; reg <= REG_SP; reg++)
        if (map[reg] != X86_NONE && map[reg] != jit_pinned[reg] && t->straight->dirty >> reg & 1)
            x86_mov_mr(&t->hot, 1, jit_slot(reg), (enum x86_reg)map[reg]);
    for (unsigned reg = 0; reg <= REG_SP; reg++)
        if (jit_pinned[reg] != X86_NONE && map[reg] != jit_pinned[reg])
            x86_mov_rm(&t->hot, 1, (enum x86_reg)jit_pinned[reg], jit_slot(reg));
}
