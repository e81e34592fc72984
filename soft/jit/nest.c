/*
 * Loops of several blocks in warm code: loops with branches inside, and loops in loops.
 *
 * Such a nest is all instructions of a page that the block's first one leads to, and that lead back
 * to it, by direct branches. It is translated as one block with one register map (soft/jit/loop.c):
 * the exchange of host registers, links and ways through memory are at its borders only. The block
 * has one entry; another place of the same nest that is come to from outside has a block of its
 * own.
 *
 * A nest is emitted as parts, in the order of their addresses. A part begins where a branch leads
 * to and goes on behind conditional branches that are not taken, as other blocks do; so whatever
 * looks ahead or keeps something in host registers may do so up to the part's end. Between parts
 * all is in the place that the nest's map says: flags that are read in memory, V registers, too.
 *
 * Words of the first part are the block's; the others are among those that were looked at.
 *
 * What is to be looked at when code changes or somebody wants attention is as elsewhere: branches
 * backwards look at cpu.attention.
 */
#include "soft/jit/translate.h"

#define WORDS (CODE_PAGE_SIZE / 4)
#define SCAN  160 /* instructions that are looked at */
#define DEEP  3   /* loops in loops, as far as they count */

#define NOWHERE UINT16_MAX

/* Instructions of the page by their number, of 1024. */
struct walk {
    uint16_t at[SCAN], next[SCAN][2];
    uint32_t word[SCAN];
    unsigned count;
    uint64_t seen[WORDS / 64], kept[WORDS / 64];
};

static bool is_conditional(uint32_t word)
{
    return ((word & 0xff000010) == 0x54000000 && (word & 15) < 14) ||
           (word & 0x7c000000) == 0x34000000;
}

static bool is_jump(uint32_t word)
{
    return (word & 0xfc000000) == 0x14000000;
}

/* The other branches and what belongs to the system is not part of a nest, but for NOP. */
static bool goes_on(uint32_t word)
{
    return (word & 0x1c000000) != 0x14000000 || word == 0xd503201f || is_conditional(word);
}

/* Where a direct branch at `n` leads to; below zero or too much: to another page. */
static int64_t target_of(uint32_t word, unsigned n)
{
    struct insn i = { .word = word, .offset = (uint16_t)(n * 4) };

    return jit_target(&i) / 4;
}

static uint16_t inside(int64_t n, unsigned low)
{
    return n < (int64_t)low || n >= WORDS ? NOWHERE : (uint16_t)n;
}

/* From the head on, not below `low`. Is there a branch backwards? */
static bool explore(jit_t t, struct walk *w, unsigned low)
{
    bool back = false;

    memset(w->seen, 0, sizeof w->seen);
    w->at[0] = (uint16_t)(t->start / 4);
    w->count = 1;
    set_add(w->seen, w->at[0]);
    for (unsigned k = 0; k < w->count; k++) {
        unsigned n = w->at[k];
        uint32_t word = w->word[k] = ld_le32(t->page + n * 4);
        bool branch = is_conditional(word) || is_jump(word);
        w->next[k][0] = goes_on(word) ? inside(n + 1, low) : NOWHERE;
        w->next[k][1] = branch ? inside(target_of(word, n), low) : NOWHERE;
        back |= branch && w->next[k][1] <= n;
        for (unsigned s = 0; s < 2; s++) {
            unsigned next = w->next[k][s];
            if (next == NOWHERE || set_has(w->seen, next) || w->count == SCAN)
                continue;
            set_add(w->seen, next);
            w->at[w->count++] = (uint16_t)next;
        }
    }
    return back;
}

/* Keep what leads back to the head; how many there are. */
static unsigned keep(struct walk *w)
{
    unsigned count = 0, before;

    memset(w->kept, 0, sizeof w->kept);
    do {
        before = count;
        for (unsigned k = w->count; k-- > 0;) {
            if (set_has(w->kept, w->at[k]))
                continue;
            for (unsigned s = 0; s < 2; s++) {
                unsigned next = w->next[k][s];
                if (next == NOWHERE || (next != w->at[0] && !set_has(w->kept, next)))
                    continue;
                set_add(w->kept, w->at[k]);
                count++;
                break;
            }
        }
    } while (count != before);
    return set_has(w->kept, w->at[0]) ? count : 0;
}

/* Is there a loop of one block inside that is better left alone? Then all around it is, too, or it
 * would be left and entered for each run of that loop. */
static bool has_apart(jit_t t, const struct walk *w)
{
    uint64_t asked[WORDS / 64] = { 0 };

    for (unsigned k = 0; k < w->count; k++) {
        unsigned n = w->at[k], head = w->next[k][1];
        if (!set_has(w->kept, n) || head == NOWHERE || head >= n || head == w->at[0] ||
            n - head >= JIT_BLOCK_MAX || set_has(asked, head))
            continue;
        set_add(asked, head);
        jit_decode(t, head * 4, JIT_BLOCK_MAX);
        if (jit_loop_is_apart(t))
            return true;
    }
    return false;
}

/* Of how many instructions is it? */
static unsigned walk(jit_t t, struct walk *w, unsigned low)
{
    return explore(t, w, low) ? keep(w) : 0;
}

/* By number, or 0. */
struct by_number {
    uint32_t word[WORDS];
    uint16_t last[WORDS];        /* the last branch back to it, + 1 */
    uint64_t target[WORDS / 64]; /* of a branch, or the head */
};

static unsigned index_of(const struct walk *w, struct by_number *b)
{
    unsigned branches = 0;

    memset(b->last, 0, sizeof b->last);
    memset(b->target, 0, sizeof b->target);
    set_add(b->target, w->at[0]);
    for (unsigned k = 0; k < w->count; k++) {
        unsigned n = w->at[k], next = w->next[k][1];
        if (!set_has(w->kept, n))
            continue;
        b->word[n] = w->word[k];
        branches += is_conditional(w->word[k]) || is_jump(w->word[k]);
        if (next == NOWHERE || (next != w->at[0] && !set_has(w->kept, next)))
            continue;
        set_add(b->target, next);
        if (next <= n && b->last[next] <= n)
            b->last[next] = (uint16_t)(n + 1);
    }
    return branches;
}

/* Instructions and parts, in the order of addresses; how often registers are used. */
static bool fill(jit_t t, struct jit_nest *nest, const struct walk *w, const struct by_number *b,
                 unsigned uses[REG_COUNT])
{
    uint16_t ends[DEEP] = { 0 }; /* of the loops around */
    bool ended = true;

    nest->count = nest->parts = nest->jumps = 0;
    for (unsigned n = 0; n < WORDS; n++) {
        if (!set_has(w->kept, n)) {
            ended = true;
            continue;
        }
        if (ended || set_has(b->target, n)) {
            if (nest->parts == JIT_NEST_PARTS)
                return false;
            if (n == w->at[0])
                nest->head = nest->parts;
            nest->part[nest->parts++] = (struct jit_nest_part){ .first = (uint8_t)nest->count };
        }
        unsigned deep = 0, free = 0;
        for (unsigned k = 0; k < DEEP; k++) {
            deep += ends[k] > n;
            free = ends[k] > n ? free : k;
        }
        if (b->last[n] && deep < DEEP) {
            ends[free] = b->last[n];
            deep++;
        }
        struct jit_insn *i = &nest->insn[nest->count++];
        nest->part[nest->parts - 1].count++;
        jit_decode_one(t, i, b->word[n], n * 4);
        if (jit_ends_block(i))
            return false;
        jit_loop_count(i, 1u << 2 * deep, uses);
        ended = i->op == A64_B;
    }
    return true;
}

/* The words are looked at but for those of the first part, which are the block's. */
static void note_words(jit_t t, const struct jit_nest *nest)
{
    struct jit_looked *l = &t->jit->looked;
    const struct jit_nest_part *head = &nest->part[nest->head];

    for (unsigned k = 0; k < nest->count; k++) {
        const struct insn *i = &nest->insn[k].i;
        set_add(l->seen, i->offset / 4u);
        l->word[i->offset / 4] = i->word;
        if (k - head->first >= head->count)
            l->at[l->count++] = i->offset;
        else
            t->checksum = jit_checksum_add(t->jit, t->checksum, i->word);
    }
}

static void use_part(jit_t t, unsigned part)
{
    t->insn = t->nest->insn + t->nest->part[part].first;
    t->count = t->nest->part[part].count;
    t->at = 0;
    t->stays = jit_loops(&t->insn[t->count - 1], &t->insn[0]);
}

static bool find(jit_t t, struct jit_nest *nest)
{
    struct walk w = { .count = 0 };
    struct by_number b;
    unsigned count = walk(t, &w, 0), uses[REG_COUNT] = { 0 };

    if (count > JIT_NEST_MAX)
        count = walk(t, &w, t->start / 4);
    if (!count || count > JIT_NEST_MAX || has_apart(t, &w) ||
        index_of(&w, &b) > JIT_NEST_BRANCHES || !fill(t, nest, &w, &b, uses))
        return false;
    if (nest->parts == 1 && nest->count <= JIT_BLOCK_MAX)
        return false; /* of one block */
    (void)jit_loop_choose(t, uses);
    return true;
}

bool jit_nest_find(jit_t t, struct jit_nest *nest)
{
    const struct jit_knobs *k = &t->jit->knobs;

    if (k->unnested || k->unlooped || k->unlinked || k->check || k->max < JIT_BLOCK_MAX)
        return false;
    const struct jit_translation before = *t;
    t->insn = nest->insn;
    if (!find(t, nest)) {
        *t = before;
        return false;
    }
    t->nest = nest;
    t->checksum = 0;
    t->loop.end = t->loop.streams = t->loop.pairs = 0;
    jit_flags_begin(t);
    note_words(t, nest);
    for (unsigned n = 0; n < nest->parts; n++) {
        use_part(t, n);
        jit_flags_analyse(t);
        jit_products_find(t);
    }
    jit_flags_end(t);
    return true;
}

unsigned jit_nest_part(jit_t t, uint64_t target)
{
    const struct jit_nest *nest = t->nest;

    for (unsigned n = 0; n < nest->parts; n++)
        if (jit_pc(t, &nest->insn[nest->part[n].first].i) == target)
            return n;
    return JIT_NEST_PARTS;
}

void jit_nest_jump(jit_t t, uint8_t *from, unsigned part)
{
    struct jit_nest *nest = t->nest;

    if (nest->part[part].code) {
        x86_patch(from, nest->part[part].code);
        return;
    }
    nest->jump[nest->jumps].from = from;
    nest->jump[nest->jumps++].part = part;
}

/* Nothing is known of what came before. */
static void begin_part(jit_t t, unsigned part)
{
    use_part(t, part);
    t->nest->part[part].code = t->hot.p;
    t->ended = t->ef_stored = t->carry_stored = t->sp_aligned = false;
    t->ef = EF_NONE;
    t->remake.how = REMAKE_NONE;
    t->multiplier = 0;
    t->before = (struct jit_vector_cache){ .used = 0 };
}

/* The part behind it is the next one, or it is left. */
static void end_part(jit_t t, unsigned part)
{
    uint64_t next = jit_pc(t, &t->insn[t->count - 1].i) + 4;

    vector_cache_forget(t);
    if (t->ended)
        return;
    if (jit_nest_part(t, next) == part + 1)
        jit_clobber(t);
    else
        jit_exit_direct(t, next);
}

void jit_nest_emit(jit_t t)
{
    struct jit_nest *nest = t->nest;

    t->loop.inside = true;
    jit_loop_enter(t, &t->hot);
    t->pinned = t->loop.map;
    if (nest->head)
        jit_nest_jump(t, x86_jmp(&t->hot), nest->head);
    for (unsigned n = 0; n < nest->parts; n++) {
        begin_part(t, n);
        for (; t->at < t->count && !t->ended; t->at++)
            jit_emit_one(t);
        end_part(t, n);
    }
    use_part(t, nest->head);
    jit_exits_end(t);
    for (unsigned n = 0; n < nest->jumps; n++)
        x86_patch(nest->jump[n].from, nest->part[nest->jump[n].part].code);
    t->loop.inside = false;
    t->pinned = jit_pinned;
}
