/*
 * The code of a leap (leap.c): look at the bytes of several turns; if none of them would end the
 * loop, move what the loop moves. It lies between the look-up of the loop's pages and the body that
 * relies on it.
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

/* LEAST = the least of the bytes that are looked at, those that would end the loop made zero. */
static void look_for(jit_t t)
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
    uint8_t *ones = NULL, *count = NULL, *overlap = NULL;

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
    x86_here(b, found);
    if (count)
        x86_here(b, count);
    x86_vzeroupper(b);
    x86_here(b, few);
    if (ones)
        x86_here(b, ones);
    if (overlap)
        x86_here(b, overlap);
}
