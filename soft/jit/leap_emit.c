/*
 * The code of a leap (leap.c): look at the bytes of several turns; if none of them would end the
 * loop, move what the loop moves. If one of them might, all is moved by the turns before it, so the
 * body has that turn to execute, and no other. It lies between the look-up of the loop's pages and
 * the body that relies on it.
 *
 * A loop that copies stores in each turn what it loaded in the one before. So a leap stores what
 * its register has, behind it all that it loaded but for the last 16 bytes, and these stay in the
 * register. That is the same as turn by turn if what is loaded and what is stored do not overlap,
 * on the host.
 */
#include "soft/jit/access.h"
#include "soft/jit/vector.h"

#define ONES 0x0101010101010101ull

#define WIDTH 32 /* bytes of a host register */

/* What is in registers: the least of all bytes, which is zero if one of them would end the loop;
 * what was loaded and what was found in it; zero; the byte looked for. Where all that is loaded is
 * to be stored, that is in PIECES. */
#define LEAST  XMM0
#define LOADED XMM1
#define FOUND  XMM2
#define ZERO   XMM4
#define BYTE   XMM5

#define PIECES 4
static const enum x86_xmm pieces[PIECES] = { XMM1, XMM2, XMM3, XMM5 };

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

/* The least of LEAST and a register becomes that; the first one is it. */
static void add(struct x86_buf *b, bool *first, enum x86_xmm x)
{
    if (*first)
        x86_avx256_rr(b, SSE_MOVDQU, LEAST, XMM0, x);
    else
        x86_avx256_rr(b, SSE_PMINUB, LEAST, LEAST, x);
    *first = false;
}

/* The bytes that a leap looks at, of the one stream or of both. */
struct places {
    struct x86_mem one, two;
};

/* Changes RCX; RAX, and RDX if there are two, may be in them. */
static struct places places_of(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    struct places p;

    p.one = p.two = bytes_of(t, &t->loop.s->at[leap->first], RAX);
    if (leap->exits & JIT_LEAP_DIFFERENCE)
        p.two = bytes_of(t, &t->loop.s->at[leap->second], RDX);
    return p;
}

/* Add the next bytes to LEAST, those that would end the loop made zero. */
static void look_at(jit_t t, struct places *p, bool *first)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    struct x86_buf *b = &t->hot;

    x86_avx256_rm(b, SSE_MOVDQU, LOADED, XMM0, p->one);
    if (leap->exits & JIT_LEAP_ZERO)
        add(b, first, LOADED);
    if (leap->exits & JIT_LEAP_BYTE) {
        x86_avx256_rr(b, SSE_PXOR, FOUND, LOADED, BYTE);
        add(b, first, FOUND);
    }
    if (leap->exits & JIT_LEAP_DIFFERENCE) {
        x86_avx256_rm(b, SSE_PCMPEQB, FOUND, LOADED, p->two);
        add(b, first, FOUND);
    }
    p->one.disp += WIDTH;
    p->two.disp += WIDTH;
}

/* LEAST = the least of all. */
static void look_for(jit_t t)
{
    struct places p = places_of(t);
    bool first = true;

    for (unsigned at = 0; at < t->loop.s->leap.bytes; at += WIDTH)
        look_at(t, &p, &first);
}

/* The same, for zero, where all that is loaded is to be stored. */
static void look_and_keep(jit_t t)
{
    struct x86_mem from = bytes_of(t, &t->loop.s->at[t->loop.s->leap.first], RAX);
    bool first = true;

    for (unsigned n = 0; n < PIECES; n++) {
        x86_avx256_rm(&t->hot, SSE_MOVDQU, pieces[n], XMM0, from);
        add(&t->hot, &first, pieces[n]);
        from.disp += WIDTH;
    }
}

/* EFLAGS: NE if one of the turns might end the loop. */
static void look(jit_t t)
{
    if (t->loop.s->leap.exits & JIT_LEAP_COPIES)
        look_and_keep(t);
    else
        look_for(t);
    x86_avx256_rr(&t->hot, SSE_PCMPEQB, LEAST, LEAST, ZERO);
    x86_vptest256(&t->hot, LEAST);
}

/* Store the V register and the pieces; what is left of them is its new value. */
static void copy(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    struct x86_mem to = bytes_of(t, &t->loop.s->at[leap->second], RAX);
    struct x86_mem slot = vector_slot(leap->copy);
    struct x86_buf *b = &t->hot;
    enum x86_xmm x;
    bool cached = vector_cached(t, leap->copy, &x);

    if (!cached)
        x86_avx_rm(b, SSE_MOVAPS, x = LEAST, XMM0, slot);
    x86_avx_store(b, false, to, x);
    to.disp += WIDTH / 2;
    for (unsigned n = 0; n < PIECES; n++) {
        x86_avx_store(b, n + 1 < PIECES, to, pieces[n]);
        to.disp += WIDTH;
    }
    x86_vextracti128(b, x, pieces[PIECES - 1]);
    if (!cached || !(t->cache.dirty >> leap->copy & 1))
        x86_avx_store(b, false, slot, x);
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

/* Which of the next bytes would end the loop, as bits of `mask`. */
static void find_in(jit_t t, struct places *p, enum x86_reg mask)
{
    bool first = true;

    look_at(t, p, &first);
    x86_avx256_rr(&t->hot, SSE_PCMPEQB, LEAST, LEAST, ZERO);
    x86_vpmovmskb256(&t->hot, mask, LEAST);
}

/* RAX = how many bytes come before the first that would end the loop; there is one. */
static void find_first(jit_t t)
{
    struct places p = places_of(t);
    struct x86_buf *b = &t->hot;

    find_in(t, &p, RCX);
    if (t->loop.s->leap.bytes == 2 * WIDTH) {
        find_in(t, &p, RAX);
        x86_shift_ri(b, 1, X86_SHL, RAX, WIDTH);
        x86_alu_rr(b, 1, X86_OR, RCX, RAX);
        x86_bsf(b, 1, RAX, RCX);
        return;
    }
    find_in(t, &p, RDX);
    x86_shift_ri(b, 1, X86_SHL, RDX, WIDTH);
    x86_alu_rr(b, 1, X86_OR, RCX, RDX);
    find_in(t, &p, RDX);
    find_in(t, &p, RAX);
    x86_shift_ri(b, 1, X86_SHL, RAX, WIDTH);
    x86_alu_rr(b, 1, X86_OR, RDX, RAX);
    x86_bsf(b, 1, RAX, RDX);
    x86_alu_ri(b, 0, X86_ADD, RAX, 2 * WIDTH);
    x86_bsf(b, 1, RDX, RCX);
    x86_cmov_rr(b, 0, CC_NE, RAX, RDX);
}

static void move_by(jit_t t, enum x86_alu op, unsigned reg, enum x86_reg by)
{
    if (t->pinned[reg] != X86_NONE)
        x86_alu_rr(&t->hot, 1, op, (enum x86_reg)t->pinned[reg], by);
    else
        x86_alu_mr(&t->hot, 1, op, jit_slot(reg), by);
}

/* The register moves by so much in each of RCX turns, which take RAX bytes. Changes RDX. */
static void move_turns(jit_t t, unsigned reg, int64_t each, int64_t stride)
{
    if (each == stride) {
        move_by(t, X86_ADD, reg, RAX);
        return;
    }
    x86_mov_ri(&t->hot, RDX, (uint64_t)each);
    x86_imul_rr(&t->hot, 1, RDX, RCX);
    move_by(t, X86_ADD, reg, RDX);
}

/* One of the turns that were looked at might end the loop: go over those before it. */
static void move_to_last(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    int64_t stride = t->loop.s->at[leap->first].stride;
    struct x86_buf *b = &t->hot;

    find_first(t);
    x86_mov_rr(b, 0, RCX, RAX);
    x86_alu_ri(b, 0, X86_AND, RAX, (int32_t)-stride);
    x86_shift_ri(b, 0, X86_SHR, RCX, (unsigned)__builtin_ctzll((uint64_t)stride));
    for (unsigned reg = 0; reg < REG_SP; reg++)
        if (t->loop.s->moved[reg])
            move_turns(t, reg, t->loop.s->moved[reg], stride);
    if (leap->counter != REG_NONE)
        move_turns(t, leap->counter, -(int64_t)leap->take, stride);
    x86_alu_rr(b, 0, X86_SUB, JIT_TLB, RCX);
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

/* Stores and loads of the turns would not be what they are in order if they overlapped. The
 * jump if they do. Changes RAX, RCX and RDX. */
static uint8_t *compare_places(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    struct x86_buf *b = &t->hot;

    x86_lea(b, 1, RAX, bytes_of(t, &t->loop.s->at[leap->first], RAX));
    x86_lea(b, 1, RDX, bytes_of(t, &t->loop.s->at[leap->second], RDX));
    x86_alu_rr(b, 1, X86_SUB, RDX, RAX);
    x86_alu_ri(b, 1, X86_ADD, RDX, leap->bytes - 1);
    x86_alu_ri(b, 1, X86_CMP, RDX, 2 * (leap->bytes - 1));
    return x86_jcc(b, CC_BE);
}

void jit_leap(jit_t t)
{
    const struct jit_leap *leap = &t->loop.s->leap;
    struct x86_buf *b = &t->hot;
    uint8_t *ones = NULL, *count = NULL, *overlap = NULL, *over = NULL;

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
    if (leap->exits & JIT_LEAP_COPIES)
        overlap = compare_places(t);
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
    if (leap->exits & JIT_LEAP_COPIES)
        copy(t);
    move_all(t);
    x86_alu_ri(b, 0, X86_SUB, JIT_TLB, leap->turns);
    x86_alu_ri(b, 0, X86_CMP, JIT_TLB, leap->turns);
    x86_patch(x86_jcc(b, CC_AE), again);
    if (!(leap->exits & JIT_LEAP_COPIES) && !t->jit->knobs.unended) {
        over = x86_jmp(b);
        x86_here(b, found);
        move_to_last(t);
        x86_here(b, over);
    } else {
        x86_here(b, found);
    }
    if (count)
        x86_here(b, count);
    x86_vzeroupper(b);
    x86_here(b, few);
    if (ones)
        x86_here(b, ones);
    if (overlap)
        x86_here(b, overlap);
}
