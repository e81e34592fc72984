/*
 * Neighbouring loads and stores off one base register: prologues, epilogues, members of a
 * structure, a counter. One look-up covers the whole range that they touch, for writing if one of
 * them does, which is for reading too. If it fails the slow path executes all of them, one after
 * the other, so a fault finds everything before it done and nothing after it, as ever.
 *
 * Loops that copy by SIMD registers have a look-up for each access: what spans more bytes leaves
 * its page more often, and a slow path for each page costs more than the look-ups.
 *
 * Between them only instructions may lie that change neither the base nor the scratch registers
 * that hold the address, nor NZCV: `mov x29, sp` and arithmetic of host registers.
 */
#include "soft/jit/access.h"

#define GROUP_SPAN 256 /* bytes */
#define GROUP_MAX  8   /* instructions */

/* One access, relative to its base register as it is before the instruction. */
struct member {
    enum jit_form form;
    int64_t offset, moves; /* where it begins; what it adds to the base */
    unsigned size;
    bool write;
};

/* Of loads and stores that jit_access_begin() is for, by DDI 0487 C4.1.94; FORM_REGISTER: of
 * others. */
static enum jit_form form_of(const struct jit_insn *n)
{
    static const uint8_t pairs[] = { FORM_OFFSET, FORM_POST, FORM_OFFSET, FORM_PRE };
    static const uint8_t singles[] = { FORM_OFFSET, FORM_POST, FORM_REGISTER, FORM_PRE };
    uint32_t w = n->i.word;

    if ((w & 0x2a000000) != 0x28000000 || n->op == A64_UNDEFINED)
        return FORM_REGISTER;
    if (!bit(w, 28)) /* STGP is like a pair */
        return (w & 0xc4400000) == 0x40000000 ? FORM_REGISTER : (enum jit_form)pairs[w >> 23 & 3];
    if ((w & 0xc4c00000) == 0xc0800000) /* PRFM */
        return FORM_REGISTER;
    if (bit(w, 24))
        return FORM_OFFSET;
    return bit(w, 21) ? FORM_REGISTER : (enum jit_form)singles[w >> 10 & 3];
}

static bool is_vector(const struct jit_insn *n)
{
    return bit(n->i.word, 26);
}

/* Is it a load or store at base and immediate? Of SIMD&FP registers, only if they may be used;
 * otherwise the interpreter raises the exception. */
static bool is_member(jit_t t, const struct jit_insn *n, struct member *m)
{
    enum jit_form form = form_of(n);
    uint32_t w = n->i.word;
    bool pair = (w & 0x3a000000) == 0x28000000;

    if (form == FORM_REGISTER || (is_vector(n) && !(t->mode & JIT_MODE_FP)) ||
        (pair && bit(w, 22) && n->i.rd == n->i.ra))
        return false;
    m->form = form;
    m->offset = form == FORM_POST ? 0 : n->i.imm;
    m->moves = jit_writes_back(form) ? n->i.imm : 0;
    if (is_vector(n)) { /* single ones: size<31:30> is extended by opc<23> */
        m->size = pair ? 8u << bits(w, 31, 30) : bit(w, 23) ? 16 : 1u << bits(w, 31, 30);
        m->write = !bit(w, 22);
    } else {
        m->size = pair ? (bits(w, 31, 30) == 2 ? 16 : 8) : 1u << bits(w, 31, 30);
        m->write = pair ? !bit(w, 22) : bits(w, 23, 22) == 0;
    }
    return true;
}

bool jit_access_of(jit_t t, const struct jit_insn *n, int64_t *offset, int64_t *moves,
                   unsigned *size, bool *write)
{
    struct member m;

    if (!is_member(t, n, &m))
        return false;
    *offset = m.offset;
    *moves = m.moves;
    *size = m.size;
    *write = m.write;
    return true;
}

static bool changes_base(const struct jit_insn *n, unsigned base, const struct member *m)
{
    bool pair = (n->i.word & 0x3a000000) == 0x28000000;

    return !is_vector(n) && !m->write && (n->i.rd == base || (pair && n->i.ra == base));
}

static bool has_host(jit_t t, unsigned reg)
{
    return reg == REG_ZR || t->pinned[reg] != X86_NONE;
}

/* Does it change neither the base, nor scratch registers, nor NZCV? Moves, constants, arithmetic of
 * registers that the host has. */
static bool is_neutral(jit_t t, const struct jit_insn *n, unsigned base)
{
    const struct insn *i = &n->i;
    bool pinned = i->rd < REG_SP && t->pinned[i->rd] != X86_NONE;
    bool wide = i->imm != (int32_t)i->imm;

    if (i->rd == base)
        return false;
    switch (n->op) {
    case A64_ADD_imm_x:
        return t->pinned[i->rn] != X86_NONE && (i->imm == 0 || pinned);
    case A64_ADD_imm_w:
    case A64_SUB_imm_w:
    case A64_SUB_imm_x:
    case A64_UBFM_w:
    case A64_UBFM_x:
        return t->pinned[i->rn] != X86_NONE && pinned;
    case A64_AND_imm_w:
    case A64_AND_imm_x:
    case A64_ORR_imm_x:
    case A64_EOR_imm_x:
        return has_host(t, i->rn) && pinned && (!wide || i->rd != i->rn || t->warm);
    case A64_ADD_w:
    case A64_ADD_x:
        return t->pinned[i->rn] != X86_NONE && t->pinned[i->rm] != X86_NONE && pinned;
    case A64_SUB_w:
    case A64_SUB_x:
        return has_host(t, i->rn) && t->pinned[i->rm] != X86_NONE && pinned && i->rd != i->rm;
    case A64_ADD_shift_x:
        return t->pinned[i->rn] != X86_NONE && t->pinned[i->rm] != X86_NONE && pinned &&
               i->rd != i->rn;
    case A64_AND_w:
    case A64_AND_x:
    case A64_ORR_w:
    case A64_ORR_x:
    case A64_EOR_w:
    case A64_EOR_x:
        return has_host(t, i->rn) && has_host(t, i->rm) && pinned;
    case A64_MOV_x:
        return t->pinned[i->rm] != X86_NONE && i->rd < REG_SP;
    case A64_MOV_w:
        return t->pinned[i->rm] != X86_NONE && pinned;
    case A64_MOVZ_w:
    case A64_MOVZ_x:
    case A64_MOVN_w:
    case A64_MOVN_x:
        return pinned || (i->rd < REG_SP && i->imm == (int32_t)i->imm);
    default:
        return false;
    }
}

/* The bytes of the group that begins at t->at with `m`; t->group.last, low and write. */
static unsigned group_extent(jit_t t, struct member m)
{
    struct jit_group *g = &t->group;
    unsigned base = t->insn[t->at].i.rn, members = 1;
    int64_t moved = 0, low = m.offset, high = m.offset + m.size;

    g->last = t->at;
    g->write = m.write;
    for (unsigned n = t->at; !t->jit->knobs.ungrouped;) {
        if (is_vector(&t->insn[n]) && t->stays)
            break;
        if (changes_base(&t->insn[n], base, &m) || (base == REG_SP && m.moves % 16))
            break;
        moved += m.moves;
        do
            n++;
        while (n < t->count && is_neutral(t, &t->insn[n], base));
        if (n >= t->count || members == GROUP_MAX || t->insn[n].i.rn != base ||
            !is_member(t, &t->insn[n], &m) || (m.write != g->write && t->jit->knobs.unmixed) ||
            t->insn[n].i.offset != t->insn[t->at].i.offset + 4 * (n - t->at) ||
            (m.moves && changes_base(&t->insn[n], base, &m)))
            break;
        int64_t from = moved + m.offset < low ? moved + m.offset : low;
        int64_t to = moved + m.offset + m.size > high ? moved + m.offset + m.size : high;
        if (to - from > GROUP_SPAN)
            break;
        low = from;
        high = to;
        g->write |= m.write;
        members++;
        g->last = n;
    }
    g->low = low;
    return (unsigned)(high - low);
}

unsigned jit_access_begin(jit_t t, const struct insn *i)
{
    struct jit_group *g = &t->group;
    struct member m;

    (void)is_member(t, &t->insn[t->at], &m);
    g->writes_back = jit_writes_back(m.form);
    if (t->loop.streaming) {
        t->look_up.found = jit_use(t, i->rn, RAX);
        t->look_up.add = jit_stream_found(t);
        t->look_up.disp = 0;
        return (unsigned)m.offset;
    }
    if (!g->open) {
        jit_clobber(t);
        unsigned span = group_extent(t, m);
        jit_check_base(t, i, &g->slow[0]);
        g->slow[1] = jit_look_up_page(t, i->rn, i->rn, (int32_t)g->low, span, g->write);
        g->disp = t->look_up.disp;
        g->open = true;
        g->first = t->at;
        g->moved = 0;
    }
    unsigned offset = (unsigned)(g->moved + m.offset - g->low);
    /* what was found is relative to the base itself, which has moved */
    if (t->look_up.found != RAX)
        t->look_up.disp = g->disp - (int32_t)g->moved;
    g->moved += m.moves;
    return offset;
}

void jit_access_end(jit_t t, const struct insn *i)
{
    struct jit_group *g = &t->group;

    if (g->writes_back)
        jit_write_back(t, i);
    if (t->loop.streaming || t->at < g->last)
        return;
    g->open = false;
    jit_slow_group(t, g->first, &g->slow[0], 1);
    jit_slow_look_up(t, g->first, g->slow[1]);
}
