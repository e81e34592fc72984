/*
 * Streams: what a loop of one block loads and stores at addresses that move by the same number of
 * bytes each turn. Pages are looked up once for as many turns as stay in them.
 *
 * The loop's body is emitted twice. Before the usual one lies another that looks nothing up, with
 * what is to be added to each stream's addresses in host registers, and the turns that are left in
 * R14. The way into it looks the pages up; where one is not in the TLB, or a turn leaves its page,
 * the usual body executes that turn, slow paths and faults included, and leads back here. So no
 * access of this body faults. What leaves it (exits, slow paths of other instructions, calls) finds
 * R14 as it is elsewhere; what comes back to it has no turns left, so it looks pages up again.
 *
 * Streams with long strides are looked up in places of tlb.page[] (place.c), which hold a window or
 * a region and not only a page; the accesses of the usual body fill them.
 *
 * The turns are as many as stay in that, 4096 at most, and behind the last one is a look at
 * cpu.attention: whoever wants something of this vCPU, such as that it forgets a page, waits for no
 * longer than that.
 */
#include "soft/jit/access.h"

#define TURNS      256 /* where no stream moves, before it looks at attention */
#define SPAN       512 /* bytes of one turn */
#define NEAR       512 /* longer strides leave a page soon */
#define FAR        32768
#define AWAY       (1 << 30) /* from the base: a displacement has 32 bits */
#define WAYS_OUT   24        /* of the block */
#define STRUCTURES 4

/* Of a register, up to an instruction of the body: by how much it has moved. */
struct walk {
    int64_t moved[REG_COUNT];
    uint32_t unsteady; /* changed in another way */
};

/* One load or store of it. */
struct access {
    unsigned rm; /* REG_NONE: an immediate */
    int64_t offset, moves;
    unsigned size, scale;
    bool write;
};

static bool is_structures(const struct jit_insn *n)
{
    return (n->i.word & 0xbf000000) == 0x0c000000;
}

/* Structures that are not shuffled would do, too, but for their number. */
static bool access_of_structures(const struct jit_insn *n, struct access *a)
{
    static const uint8_t registers[16] = { 4, 0, 4, 0, 3, 0, 3, 1, 2, 0, 2 };
    uint32_t w = n->i.word;
    unsigned bytes = registers[bits(w, 15, 12)] * (bit(w, 30) ? 16u : 8u);

    *a = (struct access){ .rm = REG_NONE, .size = bytes, .write = !bit(w, 22) };
    if (bit(w, 23) && n->i.rm != 31)
        return false;
    a->moves = bit(w, 23) ? bytes : 0;
    return true;
}

/* Base and register of 64 bits, of at most 8 bytes as SIB scales no more. */
static bool access_of_register(const struct jit_insn *n, struct access *a)
{
    uint32_t w = n->i.word;
    bool vector = bit(w, 26);

    *a = (struct access){ .rm = n->i.rm, .scale = n->i.a };
    a->size = vector && bit(w, 23) ? 16 : 1u << bits(w, 31, 30);
    a->write = vector ? !bit(w, 22) : bits(w, 23, 22) == 0;
    return n->i.imm == (int64_t)ones(64) && n->i.rm != REG_ZR && n->i.a <= 3;
}

static bool access_of(jit_t t, const struct jit_insn *n, struct access *a)
{
    jit_emitter *e = jit_emitters[n->op];

    if (bit(n->i.word, 26) && !(t->mode & JIT_MODE_FP))
        return false;
    if (e == emit_structures)
        return access_of_structures(n, a);
    if (e == emit_ldst_reg || e == emit_vldst_reg)
        return access_of_register(n, a);
    *a = (struct access){ .rm = REG_NONE };
    return jit_access_of(t, n, &a->offset, &a->moves, &a->size, &a->write);
}

static bool is_access(const struct jit_insn *n)
{
    return (n->i.word & 0x0a000000) == 0x08000000 && jit_emitters[n->op] != emit_nop;
}

/* Go on over one instruction. False: it cannot be in the body. */
static bool step(jit_t t, const struct jit_insn *n, struct walk *w)
{
    const struct insn *i = &n->i;
    struct access a;

    if ((n->op == A64_ADD_imm_x || n->op == A64_SUB_imm_x) && i->rd == i->rn && i->rd < REG_SP) {
        w->moved[i->rd] += n->op == A64_ADD_imm_x ? i->imm : -i->imm;
        return true;
    }
    struct jit_uses u = jit_uses_of(t, n);
    if (!is_access(n)) {
        w->unsteady |= u.writes;
        return u.known || jit_is_vector_only(t, n) || jit_emitters[n->op] == emit_nop;
    }
    if (!access_of(t, n, &a) || !u.known || i->rn >= REG_SP)
        return false;
    bool pair = (i->word & 0x3a000000) == 0x28000000;
    if (a.moves && !bit(i->word, 26) && !a.write && (i->rd == i->rn || (pair && i->ra == i->rn)))
        return false;
    w->unsteady |= u.writes & ~(a.moves ? 1u << i->rn : 0);
    w->moved[i->rn] += a.moves;
    return true;
}

static int64_t moved(const struct walk *w, unsigned rn, const struct access *a)
{
    return w->moved[rn] + (a->rm == REG_NONE ? 0 : w->moved[a->rm] * (1 << a->scale));
}

/* The stream of an access off base rn, or the next that is free. */
static unsigned find(const struct jit_loop *l, unsigned rn, const struct access *a)
{
    unsigned n = 0;

    while (n < l->streams &&
           (l->s->at[n].rn != rn || l->s->at[n].rm != a->rm || l->s->at[n].scale != a->scale))
        n++;
    return n;
}

/* The instruction `at` of the body, of which `w` is before it and `all` behind its end. */
static bool add(jit_t t, unsigned at, const struct walk *w, const struct walk *all)
{
    const struct jit_insn *n = &t->insn[at];
    struct jit_loop *l = &t->loop;
    struct access a;

    l->s->place[at].size = 0;
    if (!is_access(n))
        return true;
    if (!access_of(t, n, &a) || all->unsteady >> n->i.rn & 1 ||
        (a.rm != REG_NONE && (a.rm >= REG_SP || all->unsteady >> a.rm & 1)))
        return false;
    unsigned found = find(l, n->i.rn, &a);
    if (found == JIT_STREAMS)
        return false;
    int64_t low = moved(w, n->i.rn, &a) + a.offset, high = low + a.size;
    if (low < -AWAY || high > AWAY)
        return false;
    struct jit_stream *s = &l->s->at[found];
    if (found == l->streams) {
        *s = (struct jit_stream){ .rn = n->i.rn, .rm = (uint8_t)a.rm, .scale = (uint8_t)a.scale };
        s->low = low;
        s->high = high;
        s->stride = moved(all, n->i.rn, &a);
        l->streams++;
    }
    s->low = low < s->low ? low : s->low;
    s->high = high > s->high ? high : s->high;
    s->write |= a.write;
    s->read |= !a.write;
    l->s->place[at] = (struct jit_place){
        .stream = (uint8_t)found, .size = (uint8_t)a.size, .write = a.write, .at = (int32_t)low
    };
    return s->high - s->low <= SPAN && s->stride <= FAR && s->stride >= -FAR;
}

/* One that leaves its page soon is looked up in the place of tlb.page[] that the accesses of the
 * usual body fill, unless one of them is known to miss it often. */
static bool choose_place(jit_t t, unsigned stream)
{
    struct jit_streams *l = t->loop.s;
    struct jit_stream *s = &l->at[stream];
    unsigned bytes = (unsigned)(s->high - s->low);

    s->page = 0;
    if (s->stride <= NEAR && s->stride >= -NEAR)
        return true;
    for (unsigned n = 0; n <= t->loop.end; n++) {
        const struct jit_insn *insn = &t->insn[n];
        if (l->place[n].size && l->place[n].stream == stream &&
            (is_structures(insn) ||
             jit_is_site(t->jit->far, jit_site(t->page_pa + insn->i.offset))))
            return false;
    }
    int page = jit_place_of_far(t, stream, bytes);
    s->page = (uint16_t)(page + 1);
    return page >= 0 && bytes <= TLB_PAGE_MANY && !t->jit->knobs.unstrided;
}

static bool find_all(jit_t t)
{
    struct walk all = { 0 }, w = { 0 };
    unsigned conditional = 0, structures = 0;

    for (unsigned n = 0; n < t->count; n++)
        conditional += !!(jit_facts[t->insn[n].op] & FACT_CONDITIONAL);
    if (t->loop.end >= JIT_STREAM_BODY || conditional > WAYS_OUT)
        return false;
    for (unsigned n = 0; n <= t->loop.end; n++) {
        structures += is_structures(&t->insn[n]);
        if (!step(t, &t->insn[n], &all) || structures > STRUCTURES ||
            (n < t->loop.end && n && jit_loops(&t->insn[n], &t->insn[0])))
            return false;
    }
    for (unsigned n = 0; n <= t->loop.end; n++) {
        if (!add(t, n, &w, &all))
            return false;
        step(t, &t->insn[n], &w);
    }
    for (unsigned n = 0; n < t->loop.streams; n++)
        if (!choose_place(t, n))
            return false;
    for (unsigned reg = 0; reg < REG_SP; reg++)
        t->loop.s->moved[reg] = all.unsteady >> reg & 1 ? 0 : all.moved[reg];
    return true;
}

void jit_streams_find(jit_t t)
{
    t->loop.streams = 0;
    if (t->jit->knobs.unstreamed || !find_all(t))
        t->loop.streams = 0;
    jit_pairs_find(t);
    jit_leap_find(t);
}

/* RAX = the lowest address of the turn. Changes RCX. */
static void address(jit_t t, const struct jit_stream *s)
{
    struct x86_buf *b = &t->hot;

    if (s->rm == REG_NONE) {
        enum x86_reg base = jit_use(t, s->rn, RAX);
        x86_lea(b, 1, RAX, x86_at(base, (int32_t)s->low));
        return;
    }
    enum x86_reg base = jit_use(t, s->rn, RAX), index = jit_use(t, s->rm, RCX);
    x86_lea(b, 1, RAX, x86_indexed(base, index, s->scale, (int32_t)s->low));
}

/* d = the turns behind this one that stay in the page; EDX is the offset in it, of at most `last`,
 * and is changed. Rounded down. */
static void count_turns(struct x86_buf *b, const struct jit_stream *s, unsigned last,
                        enum x86_reg d)
{
    unsigned stride = (unsigned)(s->stride < 0 ? -s->stride : s->stride), shift = 0;

    if (!stride) {
        x86_mov_ri(b, d, TURNS);
        return;
    }
    if (s->stride < 0) {
        x86_mov_rr(b, 0, d, RDX);
    } else {
        x86_mov_ri(b, d, last);
        x86_alu_rr(b, 0, X86_SUB, d, RDX);
    }
    while (1u << shift < stride)
        shift++;
    if (1u << shift == stride) {
        if (shift)
            x86_shift_ri(b, 0, X86_SHR, d, shift);
        return;
    }
    x86_mov_ri(b, RDX, 65536 / stride);
    x86_imul_rr(b, 0, d, RDX);
    x86_shift_ri(b, 0, X86_SHR, d, 16);
}

/* The same of what a place holds: RAX is the offset in it, and RDX what is left of it. */
static void count_far_turns(struct x86_buf *b, const struct jit_stream *s, enum x86_reg d)
{
    unsigned stride = (unsigned)(s->stride < 0 ? -s->stride : s->stride);
    enum x86_reg bytes = s->stride < 0 ? RAX : RDX;

    if (s->stride > 0)
        x86_alu_ri(b, 1, X86_SUB, RDX, 1);
    x86_mov_ri(b, RCX, (1ull << 32) / stride);
    x86_imul_rr(b, 1, bytes, RCX);
    x86_shift_ri(b, 1, X86_SHR, bytes, 32);
    if (d != bytes)
        x86_mov_rr(b, 0, d, bytes);
}

_Static_assert(1u << TLB_WIDE_SHIFT <= 4096 * NEAR, "a place has 4096 turns at most");

static void count(struct x86_buf *b, const struct jit_stream *s, unsigned last, enum x86_reg d)
{
    if (s->page)
        count_far_turns(b, s, d);
    else
        count_turns(b, s, last, d);
}

/* The jump if the address in RAX is not what the place holds. */
static uint8_t *match_place(struct x86_buf *b, const struct jit_stream *s)
{
    size_t limit = s->write ? offsetof(struct tlb_page, wr) : offsetof(struct tlb_page, rd);

    x86_alu_rm(b, 1, X86_SUB, RAX, jit_place_field(s->page - 1u, offsetof(struct tlb_page, va)));
    x86_mov_rm(b, 1, RDX, jit_place_field(s->page - 1u, limit));
    x86_alu_rr(b, 1, X86_SUB, RDX, RAX);
    return x86_jcc(b, CC_BE);
}

/* The same of the TLB, where its entry is at RCX afterwards, and in EDX the offset in the page. */
static uint8_t *match_entry(jit_t t, const struct jit_stream *s, unsigned last, uint8_t **both)
{
    struct x86_buf *b = &t->hot;
    size_t tag = s->write ? offsetof(struct tlb_entry, wr) : offsetof(struct tlb_entry, rd);

    jit_tlb_index(t->jit, b, RCX, RAX);
    x86_mov_rm(b, 1, RDX, jit_tlb_field(tag));
    if (s->read && s->write) {
        x86_alu_rm(b, 1, X86_CMP, RDX, jit_tlb_field(offsetof(struct tlb_entry, rd)));
        *both = x86_jcc(b, CC_NE);
    }
    x86_alu_rr(b, 1, X86_XOR, RDX, RAX);
    x86_alu_ri(b, 1, X86_CMP, RDX, (int32_t)last);
    return x86_jcc(b, CC_A);
}

/* Look one up. The turns that are left by those before it are where its addend is to be; the next
 * one's find theirs in the same way, behind the last one they are in R14. */
static void look_up(jit_t t, unsigned n, uint8_t *miss[2])
{
    const struct jit_stream *s = &t->loop.s->at[n];
    unsigned last = 4096 - (unsigned)(s->high - s->low);
    enum x86_reg add = (enum x86_reg)s->add;
    struct x86_buf *b = &t->hot;
    bool is_last = n + 1 == t->loop.streams;
    enum x86_reg turns = is_last ? JIT_TLB : (enum x86_reg)t->loop.s->at[n + 1].add;

    miss[1] = NULL;
    address(t, s);
    miss[0] = s->page ? match_place(b, s) : match_entry(t, s, last, &miss[1]);
    if (n) {
        count(b, s, last, RAX);
        x86_alu_rr(b, 0, X86_CMP, RAX, add);
        x86_cmov_rr(b, 0, CC_A, RAX, add);
    }
    x86_mov_rm(b, 1, add,
               s->page ? jit_place_field(s->page - 1u, offsetof(struct tlb_page, add))
                       : jit_tlb_field(offsetof(struct tlb_entry, add)));
    x86_mov_mr(b, 1, JIT_VCPU(hot.stream[n]), add);
    if (n)
        x86_mov_rr(b, 0, turns, RAX);
    else
        count(b, s, last, turns);
}

_Static_assert(ARRAY_LEN(((struct jit_hot *)0)->stream) == JIT_STREAMS, "an addend for each");

bool jit_streams_begin(jit_t t)
{
    struct jit_loop *l = &t->loop;

    if (!l->inside || !l->streams)
        return false;
    for (unsigned n = 0; n < l->streams; n++)
        look_up(t, n, &l->s->miss[2 * n]);
    l->s->before = t->cache;
    jit_pairs_enter(t, &t->hot);
    if (l->leaps)
        jit_leap(t);
    l->streaming = true;
    l->s->body = t->hot.p;
    return true;
}

/* The way on from the last branch back is an exit. The usual body begins as this one did. */
void jit_streams_end(jit_t t)
{
    struct jit_loop *l = &t->loop;
    const struct jit_insn *last = &t->insn[l->end];

    if (!t->ended) {
        if (last->flags_live) {
            if (t->ef == EF_NONE)
                jit_remake(t);
            jit_flags_store(t, JIT_FLAG_C | JIT_FLAGS_NZV);
        }
        t->ef = EF_NONE;
        vector_cache_store(t);
        jit_exit_direct(t, jit_pc(t, &last->i) + 4);
    }
    for (unsigned n = 0; n < 2 * l->streams; n++)
        if (l->s->miss[n])
            x86_here(&t->hot, l->s->miss[n]);
    l->streaming = t->ended = false;
    t->ef = EF_NONE;
    t->ef_stored = t->sp_aligned = false;
    t->carry_stored = l->carry_only;
    t->remake.how = REMAKE_NONE;
    t->cache = l->s->before;
    t->before = (struct jit_vector_cache){ 0 };
}

void jit_streams_turn(jit_t t)
{
    struct x86_buf *b = &t->hot;

    if (!t->loop.streaming)
        return;
    x86_alu_ri(b, 0, X86_SUB, JIT_TLB, 1);
    x86_patch(x86_jcc(b, CC_AE), t->loop.s->body);
    jit_streams_leave(t, b);
}

void jit_streams_enter(jit_t t, struct x86_buf *b)
{
    if (!t->loop.streaming)
        return;
    for (unsigned n = 0; n < t->loop.streams; n++)
        x86_mov_rm(b, 1, (enum x86_reg)t->loop.s->at[n].add, JIT_VCPU(hot.stream[n]));
    x86_mov_ri(b, JIT_TLB, 0);
    jit_pairs_enter(t, b);
}

void jit_streams_leave(jit_t t, struct x86_buf *b)
{
    if (!t->loop.streaming)
        return;
    jit_pairs_leave(t, b);
    x86_mov_rm(b, 1, JIT_TLB, JIT_CPU(tlb));
}

int jit_stream_place(jit_t t)
{
    const struct jit_place *p = &t->loop.s->place[t->at];

    return p->size ? (int)t->loop.s->at[p->stream].page - 1 : -1;
}

enum x86_reg jit_stream_found(jit_t t)
{
    const struct jit_insn *n = &t->insn[t->at];
    struct access a;

    (void)access_of(t, n, &a);
    return (enum x86_reg)t->loop.s->at[find(&t->loop, n->i.rn, &a)].add;
}
