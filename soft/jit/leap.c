/*
 * Leaps: searches go over many turns at once. A loop of streams that only looks for a byte (zero, a
 * given one, or where two strings differ) does the same nothing in each turn but the last. So the
 * bytes of several turns are looked at by AVX2 first. If none of them would end the loop, these
 * turns are over: what the loop moves is moved by so much, and so is the count of turns. Where one
 * of them might, the body executes it as ever, and with it every register gets its value. A leap
 * never takes the last turn that the look-up found pages for, so there is always one to execute.
 *
 * Which loops these are is found out by following a turn: each register is what was loaded, a mask
 * of bytes that were found, whether there are any, or something else that the loop does not write.
 * A loop with any other instruction has no leaps, nor one where a value lives from turn to turn but
 * for what moves steadily. What is asked may be more than what the loop asks, never less.
 */
#include "soft/jit/access.h"
#include "soft/jit/vector.h"

#define ONES   0x0101010101010101ull
#define SEVENS 0x7f7f7f7f7f7f7f7full

#define WIDTH 32  /* bytes of a host register */
#define ONE   128 /* bytes of one stream at once */
#define TWO   64  /* of each of two */

#define FARTHEST 4096 /* that a register moves in a turn */

/* What the code of a leap has in registers: the least of all bytes, which is zero if one of them
 * would end the loop; what was loaded and what was found in it; zero; the byte looked for. */
#define LEAST_OF XMM0
#define LOADED   XMM1
#define FOUND    XMM2
#define ZERO     XMM4
#define BYTE     XMM5

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

struct turn {
    jit_t t;
    struct jit_leap *leap;
    unsigned at;
    enum said said;
    struct value subject; /* of ZERO_FOUND */
    struct value v[32], x[32];
    uint32_t v_early, v_written, x_early, x_written; /* read before it is written */
};

static struct value read_v(struct turn *u, unsigned n)
{
    u->v_early |= ~u->v_written & 1u << n;
    return u->v[n];
}

static bool write_v(struct turn *u, unsigned n, struct value value)
{
    u->v_written |= 1u << n;
    u->v[n] = value;
    return true;
}

static struct value read_x(struct turn *u, unsigned n)
{
    u->x_early |= ~u->x_written & 1u << n;
    return u->x[n];
}

static bool write_x(struct turn *u, unsigned n, struct value value)
{
    u->x_written |= 1u << n;
    u->x[n] = value;
    return n < REG_SP;
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

    if (!place->size || place->write || place->size != whole || (pair && !vector) ||
        (w & 0x3e000000) == 0x0c000000)
        return false;
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
    if (u.v_early & u.v_written || (u.x_early | moved) & u.x_written || u.x_early & moved)
        return;
    unsigned want = leap->exits & JIT_LEAP_DIFFERENCE ? 2 : 1;
    if (want == 2 && u.v_written)
        return;
    if (!(leap->exits & (JIT_LEAP_ZERO | JIT_LEAP_BYTE)) || t->loop.streams != want ||
        !is_dense(&s->at[leap->first]) ||
        (want == 2 && (s->at[leap->second].stride != s->at[leap->first].stride ||
                       !is_dense(&s->at[leap->second]))))
        return;
    leap->bytes = want == 2 ? TWO : ONE;
    leap->turns = (uint8_t)(leap->bytes / s->at[leap->first].stride);
    t->loop.leaps = true;
}

/* Where the next turn's bytes of a stream are. Changes RCX, and `scratch`, which it may need. */
static struct x86_mem bytes_of(jit_t t, const struct jit_stream *s, enum x86_reg scratch)
{
    enum x86_reg base = jit_use(t, s->rn, scratch);

    if (s->rm != REG_NONE) {
        enum x86_reg index = jit_use(t, s->rm, RCX);
        x86_lea(&t->hot, 1, scratch, x86_indexed(base, index, s->scale, 0));
        base = scratch;
    }
    return x86_indexed(base, (enum x86_reg)s->add, 0, (int32_t)s->low);
}

/* The least of LEAST_OF and a register becomes that; the first one is it. */
static void add(struct x86_buf *b, bool *first, enum x86_xmm x)
{
    if (*first)
        x86_avx256_rr(b, SSE_MOVDQU, LEAST_OF, XMM0, x);
    else
        x86_avx256_rr(b, SSE_PMINUB, LEAST_OF, LEAST_OF, x);
    *first = false;
}

/* EFLAGS: NE if one of the turns might end the loop. A byte that would is made zero. */
static void look(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    struct x86_mem one = bytes_of(t, &t->loop.s->at[leap->first], RAX), two = one;
    struct x86_buf *b = &t->hot;
    bool first = true;

    if (leap->exits & JIT_LEAP_DIFFERENCE)
        two = bytes_of(t, &t->loop.s->at[leap->second], RDX);
    for (unsigned at = 0; at < leap->bytes; at += WIDTH) {
        x86_avx256_rm(b, SSE_MOVDQU, LOADED, XMM0, one);
        if (leap->exits & JIT_LEAP_ZERO)
            add(b, &first, LOADED);
        if (leap->exits & JIT_LEAP_BYTE) {
            x86_avx256_rr(b, SSE_PXOR, FOUND, LOADED, BYTE);
            add(b, &first, FOUND);
        }
        if (leap->exits & JIT_LEAP_DIFFERENCE) {
            x86_avx256_rm(b, SSE_PCMPEQB, FOUND, LOADED, two);
            add(b, &first, FOUND);
        }
        one.disp += WIDTH;
        two.disp += WIDTH;
    }
    x86_avx256_rr(b, SSE_PCMPEQB, LEAST_OF, LEAST_OF, ZERO);
    x86_vptest256(b, LEAST_OF);
}

static void move(jit_t t, unsigned reg, int32_t by)
{
    if (t->pinned[reg] != X86_NONE) {
        enum x86_reg r = (enum x86_reg)t->pinned[reg];
        x86_lea(&t->hot, 1, r, x86_at(r, by));
    } else {
        x86_alu_mi(&t->hot, 1, X86_ADD, jit_slot(reg), by);
    }
}

static void move_all(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;

    for (unsigned reg = 0; reg < REG_SP; reg++)
        if (t->loop.s->moved[reg])
            move(t, reg, (int32_t)t->loop.s->moved[reg] * leap->turns);
    if (leap->counter != REG_NONE)
        move(t, leap->counter, -leap->take * leap->turns);
}

static void compare(jit_t t, unsigned reg, int32_t imm)
{
    if (t->pinned[reg] != X86_NONE)
        x86_alu_ri(&t->hot, 1, X86_CMP, (enum x86_reg)t->pinned[reg], imm);
    else
        x86_alu_mi(&t->hot, 1, X86_CMP, jit_slot(reg), imm);
}

/* BYTE = the V register, twice. */
static void load_byte(jit_t t, unsigned v)
{
    enum x86_xmm copy;

    if (vector_cached(t, v, &copy))
        x86_vinserti128(&t->hot, BYTE, copy, copy);
    else
        x86_vbroadcasti128(&t->hot, BYTE, vector_slot(v));
}

void jit_leap(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    struct x86_buf *b = &t->hot;
    uint8_t *ones = NULL, *count = NULL;

    if (!t->loop.head)
        return;
    x86_alu_ri(b, 0, X86_CMP, JIT_TLB, leap->turns);
    uint8_t *few = x86_jcc(b, CC_B);
    if (leap->exits & JIT_LEAP_WORD) {
        x86_mov_ri(b, RAX, ONES);
        if (t->pinned[leap->ones] != X86_NONE)
            x86_alu_rr(b, 1, X86_CMP, RAX, (enum x86_reg)t->pinned[leap->ones]);
        else
            x86_alu_rm(b, 1, X86_CMP, RAX, jit_slot(leap->ones));
        ones = x86_jcc(b, CC_NE);
    }
    if (leap->exits & JIT_LEAP_BYTE)
        load_byte(t, leap->byte);
    x86_avx256_rr(b, SSE_PXOR, ZERO, ZERO, ZERO);
    const uint8_t *again = b->p;
    if (leap->counter != REG_NONE) {
        compare(t, leap->counter, leap->take * leap->turns);
        count = x86_jcc(b, CC_BE);
    }
    look(t);
    uint8_t *found = x86_jcc(b, CC_NE);
    move_all(t);
    x86_alu_ri(b, 0, X86_SUB, JIT_TLB, leap->turns);
    x86_alu_ri(b, 0, X86_CMP, JIT_TLB, leap->turns);
    x86_to(b, x86_jcc(b, CC_AE), again);
    x86_here(b, found);
    if (count)
        x86_here(b, count);
    x86_vzeroupper(b);
    x86_here(b, few);
    if (ones)
        x86_here(b, ones);
}
