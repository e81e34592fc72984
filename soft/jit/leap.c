/*
 * Leaps: searches go over many turns at once. A loop of streams that only looks for a byte (zero, a
 * given one, or where two strings differ) does the same nothing in each turn but the last. So the
 * bytes of several turns are looked at by AVX2 first. If none of them would end the loop, these
 * turns are over: what the loop moves is moved by so much, and so is the count of turns. Where one
 * of them might, the body executes it as ever, and with it every register gets its value. A leap
 * never takes the last turn that the look-up found pages for, so there is always one to execute.
 *
 * Which loops these are is found out here, by following a turn: each register is what was loaded, a
 * mask of bytes that were found, whether there are any, or something else that the loop does not
 * write. A loop with any other instruction has no leaps, nor one where a value lives from turn to
 * turn but for what moves steadily, and for what is stored in the turn after it was loaded, as
 * strcpy() does. What is asked may be more than what the loop asks, never less.
 */
#include "soft/jit/access.h"

#define SEVENS 0x7f7f7f7f7f7f7f7full

#define ONE 128 /* bytes of one stream at once */
#define TWO 64  /* of each of two that are compared */

#define FARTHEST 4096 /* that a register moves in a turn */

/* What a register has. */
enum kind {
    OTHER,
    PIECE,  /* what was loaded */
    MASK,   /* bytes of ones where it was found, others zero */
    ANY,    /* not zero if it was found */
    LEAST,  /* bytes of which one is zero if a byte loaded is */
    LESS,   /* the piece minus ONES */
    SEVENTH /* the piece or SEVENS */
};

struct value {
    uint8_t kind;
    uint8_t exits;   /* of MASK and ANY: JIT_LEAP_* */
    bool narrow;     /* of ANY and LEAST: the low 8 bytes have it all */
    uint8_t stream;  /* of a piece */
    int32_t offset;  /* from the lowest byte of its turn */
    uint8_t subject; /* the instruction that loaded it */
};

/* What flags say: nothing; LS or EQ ends; NE if a byte is zero; NE if that, or pieces differ. */
enum said { NOTHING, COUNTED, ZERO_FOUND, DIFFERENCE_FOUND };

struct registers {
    struct value is[32];
    uint32_t early, written; /* read before it is written */
};

struct turn {
    jit_t t;
    struct jit_leap *leap;
    unsigned at;
    enum said said;
    struct value subject; /* of ZERO_FOUND */
    struct registers v, x;
};

static struct value read_from(struct registers *r, unsigned n)
{
    r->early |= ~r->written & 1u << n;
    return r->is[n];
}

static bool write_to(struct registers *r, unsigned n, struct value value)
{
    r->written |= 1u << n;
    r->is[n] = value;
    return true;
}

static struct value read_v(struct turn *u, unsigned n)
{
    return read_from(&u->v, n);
}

static bool write_v(struct turn *u, unsigned n, struct value value)
{
    return write_to(&u->v, n, value);
}

static struct value read_x(struct turn *u, unsigned n)
{
    return read_from(&u->x, n);
}

static bool write_x(struct turn *u, unsigned n, struct value value)
{
    return write_to(&u->x, n, value) && n < REG_SP;
}

static unsigned rd(uint32_t w)
{
    return w & 31;
}

static unsigned rn(uint32_t w)
{
    return w >> 5 & 31;
}

static unsigned rm(uint32_t w)
{
    return w >> 16 & 31;
}

/* STR of a Q register that was loaded in the turn before. */
static bool store(struct turn *u, uint32_t w, const struct jit_place *place)
{
    struct jit_leap *leap = u->leap;

    if (place->size != 16 || (w & 0x3a000000) == 0x28000000 || u->v.written >> rd(w) & 1 ||
        leap->exits & JIT_LEAP_COPIES)
        return false;
    leap->exits |= JIT_LEAP_COPIES;
    leap->second = place->stream;
    leap->copy = (uint8_t)rd(w);
    return true;
}

/* Loads of whole Q and X registers. */
static bool load(struct turn *u, const struct jit_insn *n)
{
    const struct jit_place *place = &u->t->loop.s->place[u->at];
    const struct jit_stream *s = &u->t->loop.s->at[place->stream];
    uint32_t w = n->i.word;
    bool vector = bit(w, 26), pair = (w & 0x3a000000) == 0x28000000;
    unsigned whole = (vector ? 16u : 8u) << pair;
    struct value value = { .kind = PIECE,
                           .stream = place->stream,
                           .offset = (int32_t)(place->at - s->low),
                           .subject = (uint8_t)u->at };

    if (!place->size || place->size != whole || (pair && !vector) || (w & 0x3e000000) == 0x0c000000)
        return false;
    if (place->write)
        return vector && store(u, w, place);
    if (!vector)
        return write_x(u, rd(w), value);
    if (pair)
        write_v(u, w >> 10 & 31, value);
    return write_v(u, rd(w), value);
}

/* A byte of a V register: the loop does not write it. */
static bool compare_byte(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w)), m = read_v(u, rm(w));
    unsigned byte = n.kind == PIECE ? rm(w) : rn(w);

    if ((n.kind == PIECE) == (m.kind == PIECE) || n.kind + m.kind != PIECE ||
        (u->leap->exits & JIT_LEAP_BYTE && u->leap->byte != byte))
        return false;
    u->leap->exits |= JIT_LEAP_BYTE;
    u->leap->byte = (uint8_t)byte;
    u->leap->first = n.kind == PIECE ? n.stream : m.stream;
    return write_v(u, rd(w), (struct value){ .kind = MASK, .exits = JIT_LEAP_BYTE });
}

static bool compare_zero(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w));
    bool whole = bit(w, 30);

    if (n.kind == PIECE && whole) {
        u->leap->first = n.stream;
        return write_v(u, rd(w), (struct value){ .kind = MASK, .exits = JIT_LEAP_ZERO });
    }
    return n.kind == LEAST && n.narrow &&
           write_v(u, rd(w), (struct value){ .kind = ANY, .exits = JIT_LEAP_ZERO, .narrow = true });
}

/* CMHS: what is not less than its mask is where the mask is, and zero. */
static bool compare_higher(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w)), m = read_v(u, rm(w));

    n.exits |= JIT_LEAP_ZERO;
    return n.kind == MASK && m.kind == PIECE && m.stream == u->leap->first && write_v(u, rd(w), n);
}

static bool unite(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w)), m = read_v(u, rm(w));

    n.exits |= m.exits;
    return n.kind == MASK && m.kind == MASK && write_v(u, rd(w), n);
}

static bool maximum(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w)), m = read_v(u, rm(w));

    if ((n.kind != MASK && n.kind != ANY) || (m.kind != MASK && m.kind != ANY))
        return false;
    return write_v(
        u, rd(w),
        (struct value){ .kind = ANY, .exits = n.exits | m.exits, .narrow = rn(w) == rm(w) });
}

static bool minimum(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w)), m = read_v(u, rm(w));

    if ((n.kind != PIECE && n.kind != LEAST) || (m.kind != PIECE && m.kind != LEAST) ||
        n.stream != m.stream)
        return false;
    u->leap->first = n.stream;
    return write_v(u, rd(w),
                   (struct value){ .kind = LEAST, .stream = n.stream, .narrow = rn(w) == rm(w) });
}

/* SHRN by 4: half of each byte of the mask. */
static bool shrink(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w));

    return n.kind == MASK &&
           write_v(u, rd(w), (struct value){ .kind = ANY, .exits = n.exits, .narrow = true });
}

static bool to_general(struct turn *u, uint32_t w)
{
    struct value n = read_v(u, rn(w));

    return n.kind == ANY && n.narrow && write_x(u, rd(w), n);
}

static bool leads_back(const struct turn *u)
{
    return jit_loops(&u->t->insn[u->at], &u->t->insn[0]);
}

static bool branch_if_any(struct turn *u, uint32_t w)
{
    struct value n = read_x(u, rd(w));
    bool if_any = bit(w, 24);

    u->leap->exits |= n.exits;
    return n.kind == ANY && if_any != leads_back(u);
}

static bool less(struct turn *u, uint32_t w)
{
    struct value n = read_x(u, rn(w)), m = read_x(u, rm(w));

    if (n.kind != PIECE || m.kind != OTHER || rm(w) >= REG_SP ||
        (u->leap->exits & JIT_LEAP_WORD && u->leap->ones != rm(w)))
        return false;
    u->leap->exits |= JIT_LEAP_WORD;
    u->leap->ones = (uint8_t)rm(w);
    n.kind = LESS;
    return write_x(u, rd(w), n);
}

static bool seventh(struct turn *u, uint32_t w)
{
    struct value n = read_x(u, rn(w));
    bool is_it = n.kind == PIECE && (uint64_t)u->t->insn[u->at].i.imm == SEVENS;

    n.kind = SEVENTH;
    return is_it && write_x(u, rd(w), n);
}

/* BICS of both: zero if no byte is. */
static bool zero_in_word(struct turn *u, uint32_t w)
{
    struct value n = read_x(u, rn(w)), m = read_x(u, rm(w));

    if (n.kind != LESS || m.kind != SEVENTH || n.subject != m.subject)
        return false;
    u->said = ZERO_FOUND;
    u->subject = n;
    u->leap->first = n.stream;
    return rd(w) == REG_ZR || write_x(u, rd(w), (struct value){ .kind = OTHER });
}

/* CCMP a, b, #0, EQ */
static bool difference(struct turn *u, uint32_t w)
{
    struct value n = read_x(u, rn(w)), m = read_x(u, rm(w));

    if (u->said != ZERO_FOUND || n.kind != PIECE || m.kind != PIECE || n.stream == m.stream ||
        n.offset != m.offset ||
        (n.subject != u->subject.subject && m.subject != u->subject.subject))
        return false;
    u->said = DIFFERENCE_FOUND;
    u->leap->second = n.stream == u->subject.stream ? m.stream : n.stream;
    return true;
}

/* SUBS of what counts down. */
static bool count(struct turn *u, uint32_t w)
{
    const struct insn *i = &u->t->insn[u->at].i;

    if (rd(w) != rn(w) || rd(w) >= REG_SP || u->leap->counter != REG_NONE || i->imm <= 0)
        return false;
    u->leap->counter = (uint8_t)rd(w);
    u->leap->take = (int32_t)i->imm;
    u->said = COUNTED;
    return write_x(u, rd(w), (struct value){ .kind = OTHER });
}

/* As long as more is left than all turns take, LS, EQ and LO do not hold, and HI, NE and HS do. */
static bool branch(struct turn *u, uint32_t w)
{
    unsigned cond = w & 15, loops = cond ^ (leads_back(u) ? 0 : 1);

    switch (u->said) {
    case COUNTED:
        return loops == 8 || loops == 1 || loops == 2;
    case ZERO_FOUND:
        u->leap->exits |= JIT_LEAP_ZERO;
        return loops == 0;
    case DIFFERENCE_FOUND:
        u->leap->exits |= JIT_LEAP_ZERO | JIT_LEAP_DIFFERENCE;
        return loops == 0;
    default:
        return false;
    }
}

/* What a turn may consist of besides loads: (word & mask) == value. */
static const struct {
    uint32_t mask, value;
    bool (*follow)(struct turn *u, uint32_t w);
} steps[] = {
    { 0xffe0fc00, 0x6e208c00, compare_byte },   /* CMEQ .16b */
    { 0xbffffc00, 0x0e209800, compare_zero },   /* CMEQ #0, bytes */
    { 0xffe0fc00, 0x6e203c00, compare_higher }, /* CMHS .16b */
    { 0xffe0fc00, 0x4ea01c00, unite },          /* ORR .16b */
    { 0xffe0fc00, 0x6e20a400, maximum },        /* UMAXP .16b */
    { 0xffe0fc00, 0x6e20ac00, minimum },        /* UMINP .16b */
    { 0xfffffc00, 0x0f0c8400, shrink },         /* SHRN .8b, #4 */
    { 0xfffffc00, 0x9e660000, to_general },     /* FMOV X, D */
    { 0xfe000000, 0xb4000000, branch_if_any },  /* CBZ, CBNZ of X */
    { 0xffe0fc00, 0xcb000000, less },           /* SUB of X */
    { 0xff800000, 0xb2000000, seventh },        /* ORR immediate of X */
    { 0xffe0fc00, 0xea200000, zero_in_word },   /* BICS of X */
    { 0xffe0fc1f, 0xfa400000, difference },     /* CCMP of X, #0, EQ */
    { 0xff800000, 0xf1000000, count },          /* SUBS immediate of X */
    { 0xff000010, 0x54000000, branch },         /* B.cond */
};

static size_t find_step(uint32_t w)
{
    size_t k = 0;

    while (k < ARRAY_LEN(steps) && (w & steps[k].mask) != steps[k].value)
        k++;
    return k;
}

static bool is_access(const struct jit_insn *n)
{
    return (n->i.word & 0x0a000000) == 0x08000000 && jit_emitters[n->op] != emit_nop;
}

/* Does it change no register but those that move steadily? */
static bool goes_on(const struct jit_insn *n)
{
    return n->op == A64_B || jit_emitters[n->op] == emit_nop ||
           ((n->op == A64_ADD_imm_x || n->op == A64_SUB_imm_x) && n->i.rd == n->i.rn);
}

static bool follow(struct turn *u, const struct jit_insn *n)
{
    uint32_t w = n->i.word;

    if (is_access(n))
        return load(u, n);
    if (goes_on(n))
        return n->i.rd >= REG_SP || n->op == A64_B || u->t->loop.s->moved[n->i.rd];
    size_t k = find_step(w);
    return k < ARRAY_LEN(steps) && steps[k].follow(u, w);
}

bool jit_leap_likely(jit_t t)
{
    for (unsigned n = 0; n < t->count; n++) {
        const struct jit_insn *i = &t->insn[n];
        if (n && jit_loops(i, &t->insn[0]))
            return true;
        if (!is_access(i) && !goes_on(i) && find_step(i->i.word) == ARRAY_LEN(steps))
            return false;
    }
    return false;
}

/* Bytes of all turns lie next to each other, and pointers go up. */
static bool is_dense(const struct jit_stream *s)
{
    return s->stride > 0 && s->high - s->low == s->stride && TWO % s->stride == 0;
}

/* Do two streams belong together, one value of them in a turn? */
static bool are_two(const struct turn *u)
{
    const struct jit_leap *leap = u->leap;
    const struct jit_stream *s = u->t->loop.s->at;

    return u->t->loop.streams == 2 && leap->first != leap->second && is_dense(&s[leap->second]) &&
           s[leap->second].stride == s[leap->first].stride;
}

static bool is_search(const struct turn *u)
{
    const struct jit_leap *leap = u->leap;
    const struct jit_stream *s = u->t->loop.s->at;
    const struct value *copy = &u->v.is[leap->copy];

    if (!(leap->exits & (JIT_LEAP_ZERO | JIT_LEAP_BYTE)) || !is_dense(&s[leap->first]))
        return false;
    if (leap->exits & JIT_LEAP_DIFFERENCE)
        return are_two(u) && !u->v.written && !s[leap->second].write;
    if (leap->exits & JIT_LEAP_COPIES)
        return are_two(u) && leap->exits == (JIT_LEAP_COPIES | JIT_LEAP_ZERO) &&
               s[leap->first].stride == 16 && copy->kind == PIECE && copy->stream == leap->first &&
               !s[leap->first].write && !s[leap->second].read;
    return u->t->loop.streams == 1 && !s->write;
}

void jit_leap_find(jit_t t)
{
    struct jit_streams *s = t->loop.s;
    struct jit_leap *leap = &s->leap;
    struct turn u = { .t = t, .leap = leap };
    uint32_t moved = 0;

    t->loop.leaps = false;
    *leap = (struct jit_leap){ .counter = REG_NONE };
    if (!t->loop.streams || t->loop.pairs || t->loop.streams > 2 || !t->jit->host.avx2 ||
        t->jit->knobs.unleaped || t->jit->knobs.count)
        return;
    for (u.at = 0; u.at <= t->loop.end; u.at++)
        if (!follow(&u, &t->insn[u.at]))
            return;
    for (unsigned reg = 0; reg < REG_SP; reg++) {
        moved |= s->moved[reg] ? 1u << reg : 0;
        if (s->moved[reg] > FARTHEST || s->moved[reg] < -FARTHEST)
            return;
    }
    if (u.v.early & u.v.written || (u.x.early | moved) & u.x.written || u.x.early & moved)
        return;
    if (!is_search(&u))
        return;
    leap->bytes = leap->exits & JIT_LEAP_DIFFERENCE ? TWO : ONE;
    leap->turns = (uint8_t)(leap->bytes / s->at[leap->first].stride);
    t->loop.leaps = true;
}
