/*
 * Loops of one block in warm code have registers of their own: guest registers that the loop uses
 * often and that have no host register get one, in place of those that it uses less. From the
 * block's first instruction to the last branch back to it, code is emitted with that map.
 *
 * Whatever else there is knows the usual map only, so host registers are exchanged where control
 * enters the loop and wherever it leaves: by exits, slow paths and calls. A guest register without
 * a host register is right in memory, in either map; so the exchange is stores and loads only, and
 * EFLAGS, scratch and vector registers stay.
 *
 * The branch back leads to the code behind the entry, past a look at cpu.attention. It is no exit
 * that could be led elsewhere: a block that is retired while it runs is left by attention.
 */
#include "soft/jit/translate.h"

/* Up to the first branch back, where the loop is most of the time, a use counts as several. */
#define INNER 4

/* By how many more uses a register is worth the exchange. */
#define WORTH (2 * INNER)

/* More uses than a register has in any block. */
#define BODY_USES (4 * INNER * JIT_BLOCK_MAX)

/* Which of its register fields an instruction has, besides rn: words with (word & mask) == value
 * (DDI 0487 C4.1). A guess will do: it decides what is fast, not what is right. */
enum { RD = 1, RM = 2, RA = 4 };

static const struct {
    uint32_t mask, value;
    unsigned fields;
} fields[] = {
    { 0x1f800000, 0x13800000, RD | RM },      /* EXTR */
    { 0x1c000000, 0x10000000, RD },           /* immediates */
    { 0x1f000000, 0x1b000000, RD | RM | RA }, /* MADD and its kin */
    { 0x0e000000, 0x0a000000, RD | RM },      /* registers */
    { 0x3e000000, 0x28000000, RD | RA },      /* pairs */
    { 0x3f200c00, 0x38200800, RD | RM },      /* register offset */
    { 0x3f200c00, 0x3c200800, RM },           /* the same of V registers */
    { 0x0e000000, 0x08000000, RD },           /* other loads and stores */
};

static unsigned fields_of(uint32_t word)
{
    for (size_t n = 0; n < ARRAY_LEN(fields); n++)
        if ((word & fields[n].mask) == fields[n].value)
            return fields[n].fields;
    return 0;
}

/* ADC, SBC: their results wait for each other, which takes longer through memory. */
static bool is_with_carry(uint32_t word)
{
    return (word & 0x1fe0fc00) == 0x1a000000;
}

/* Of general registers; results count twice, or more. */
void jit_loop_count(const struct jit_insn *n, unsigned weight, unsigned uses[REG_COUNT])
{
    const struct insn *i = &n->i;
    unsigned f = fields_of(i->word);

    uses[i->rn] += weight;
    uses[i->rd] += f & RD ? (is_with_carry(i->word) ? 3 : 2) * weight : 0;
    uses[i->rm] += f & RM ? weight : 0;
    uses[i->ra] += f & RA ? weight : 0;
    if (n->sum) /* what is put off has no register, neither there nor in its sum */
        uses[i->rd] -= 3 * weight;
}

/* Of instructions [0, end]. */
static void count_uses(jit_t t, unsigned end, unsigned uses[REG_COUNT])
{
    unsigned weight = INNER;

    memset(uses, 0, REG_COUNT * sizeof uses[0]);
    for (unsigned n = 0; n <= end; n++) {
        jit_loop_count(&t->insn[n], weight, uses);
        if (n && jit_loops(&t->insn[n], &t->insn[0]))
            weight = 1;
    }
}

/* The last branch back to the head, or 0. System instructions and calls are left alone. */
static unsigned loop_end(jit_t t)
{
    unsigned end = 0;

    for (unsigned n = 0; n < t->count; n++) {
        uint32_t word = t->insn[n].i.word;
        if ((word & 0xff000000) == 0xd5000000 && word != 0xd503201f)
            break;
        if (t->insn[n].op == A64_BL || t->insn[n].op == A64_BLR)
            break;
        if (n && jit_loops(&t->insn[n], &t->insn[0]))
            end = n;
    }
    return end;
}

/* The register that is used most (or least) among those that have no (or a) host register. */
static unsigned extreme(const int8_t *map, const unsigned *uses, bool pinned)
{
    unsigned best = REG_NONE;

    for (unsigned reg = 0; reg <= REG_SP; reg++) {
        if ((map[reg] != X86_NONE) != pinned)
            continue;
        if (best == REG_NONE || (pinned ? uses[reg] < uses[best] : uses[reg] > uses[best]))
            best = reg;
    }
    return best;
}

static bool has_vectors(jit_t t, unsigned end)
{
    for (unsigned n = 0; n <= end; n++)
        if ((t->insn[n].i.word >> 26 & 3) == 3)
            return true;
    return false;
}

/* What is to be added to addresses of streams gets the registers that are used least. */
static void choose_for_streams(jit_t t, unsigned *uses)
{
    for (unsigned n = 0; n < t->loop.streams; n++)
        uses[t->loop.s->at[n].rn] += BODY_USES;
    for (unsigned n = 0; n < t->loop.streams; n++) {
        unsigned out = extreme(t->loop.map, uses, true);
        t->loop.s->at[n].add = t->loop.map[out];
        t->loop.map[out] = X86_NONE;
    }
}

bool jit_loop_choose(jit_t t, unsigned uses[REG_COUNT])
{
    bool any = false;

    memcpy(t->loop.map, jit_pinned, sizeof t->loop.map);
    for (;;) {
        unsigned in = extreme(t->loop.map, uses, false), out = extreme(t->loop.map, uses, true);
        if (uses[in] < uses[out] + WORTH)
            return any;
        t->loop.map[in] = t->loop.map[out];
        t->loop.map[out] = X86_NONE;
        any = true;
    }
}

static void store_other(struct x86_buf *b, const int8_t *map, const int8_t *other)
{
    for (unsigned reg = 0; reg <= REG_SP; reg++)
        if (map[reg] != X86_NONE && map[reg] != other[reg])
            x86_mov_mr(b, 1, jit_slot(reg), (enum x86_reg)map[reg]);
}

static void load_other(struct x86_buf *b, const int8_t *map, const int8_t *other)
{
    for (unsigned reg = 0; reg <= REG_SP; reg++)
        if (map[reg] != X86_NONE && map[reg] != other[reg])
            x86_mov_rm(b, 1, (enum x86_reg)map[reg], jit_slot(reg));
}

void jit_loop_enter_inside(jit_t t, struct x86_buf *b)
{
    store_other(b, jit_pinned, t->loop.map);
    load_other(b, t->loop.map, jit_pinned);
    jit_streams_enter(t, b);
}

void jit_loop_leave_inside(jit_t t, struct x86_buf *b)
{
    store_other(b, t->loop.map, jit_pinned);
    load_other(b, jit_pinned, t->loop.map);
    jit_streams_leave(t, b);
}

const uint8_t *jit_loop_return_at(jit_t t, const uint8_t *to)
{
    const uint8_t *start = t->cold.p;
    jit_loop_enter(t, &t->cold);
    x86_jmp_to(&t->cold, to);
    return start;
}

/* Is there one? */
static bool find(jit_t t)
{
    if (t->warm && !t->jit->knobs.unlooped)
        t->loop.end = loop_end(t);
    return t->loop.end;
}

static unsigned first_branch_back(jit_t t)
{
    unsigned n = 1;

    while (!jit_loops(&t->insn[n], &t->insn[0]))
        n++;
    return n;
}

unsigned jit_loop_alone(jit_t t)
{
    unsigned last = find(t) ? t->loop.end : 0;

    if (!last)
        return 0;
    jit_streams_find(t);
    if (!t->loop.streams) { /* in a loop around it that begins at the same place, perhaps */
        t->loop.end = first_branch_back(t);
        jit_streams_find(t);
        if (!t->loop.streams)
            t->loop.end = last;
    }
    return t->loop.streams ? t->loop.end + 1 : 0;
}

bool jit_loop_is_apart(jit_t t)
{
    return jit_loop_alone(t) || (t->loop.end && has_vectors(t, t->loop.end));
}

void jit_loop_begin(jit_t t, struct jit_straight *s)
{
    const struct jit_knobs *k = &t->jit->knobs;
    unsigned uses[REG_COUNT];

    if (!find(t)) {
        t->loop.inside = jit_straight_begin(t, s);
        if (t->loop.inside)
            t->pinned = t->loop.map;
        return;
    }
    count_uses(t, t->loop.end, uses);
    jit_streams_find(t);
    for (unsigned n = 0; n < t->loop.pairs; n++)
        uses[t->loop.s->pair[n]] = uses[t->loop.s->pair[n] + 1] = 0;
    bool chosen = jit_loop_choose(t, uses);
    choose_for_streams(t, uses);
    if (!chosen && !t->loop.streams && !has_vectors(t, t->loop.end))
        return;
    t->loop.inside = true;
    jit_loop_enter(t, &t->hot);
    t->pinned = t->loop.map;
    vector_cache_carry(t);
    t->loop.carry_only = t->read_first == JIT_FLAG_C;
    if (t->loop.carry_only)
        jit_flags_only_carry(t);
    if (!k->unlinked && !k->check)
        t->loop.head = t->hot.p;
}

void jit_loop_end(jit_t t)
{
    if (!t->loop.inside || t->at < t->loop.end)
        return;
    if (!t->ended)
        t->straight ? jit_straight_end(t) : jit_loop_leave(t, &t->hot);
    t->loop.inside = false;
    t->straight = NULL;
    t->pinned = jit_pinned;
}
