/*
 * Pairs of general registers that a loop of streams does nothing with but load and store them
 * together, as loops that copy memory do. While its body runs that looks no pages up, both are in
 * one xmm register, so each LDP and STP is one access of 16 bytes. Order is as the guest has it.
 *
 * They are registers that have no host register, next to each other: elsewhere they are in memory,
 * 16 bytes in a row. Loops that use V registers have no such pairs.
 */
#include "soft/jit/access.h"
#include "soft/jit/x86_sse.h"

/* LDP or STP of X registers. */
static bool is_pair(const struct insn *i)
{
    return (i->word & 0xfe000000) == 0xa8000000;
}

static bool can_be(const struct insn *i)
{
    return is_pair(i) && i->ra == i->rd + 1 && i->ra < REG_SP && jit_pinned[i->rd] == X86_NONE &&
           jit_pinned[i->ra] == X86_NONE;
}

/* Registers that something else is done with. */
static uint32_t other_uses(jit_t t, const struct jit_insn *n)
{
    if (can_be(&n->i))
        return 1u << n->i.rn;
    struct jit_uses u = jit_uses_of(t, n);
    return u.reads | u.writes;
}

void jit_pairs_find(jit_t t)
{
    uint32_t first = 0, other = 0;

    t->loop.pairs = 0;
    if (t->jit->knobs.unmerged || !t->loop.streams)
        return;
    for (unsigned n = 0; n <= t->loop.end; n++) {
        const struct insn *i = &t->insn[n].i;
        if ((i->word >> 26 & 3) == 3)
            return; /* V registers */
        other |= other_uses(t, &t->insn[n]);
        first |= can_be(i) ? 1u << i->rd : 0;
    }
    /* nor may either be half of another pair */
    first &= ~(other | other >> 1 | first << 1 | first >> 1);
    for (unsigned rd = 0; rd < REG_SP && t->loop.pairs < JIT_PAIRS; rd++)
        if (first >> rd & 1)
            t->loop.s->pair[t->loop.pairs++] = (uint8_t)rd;
}

static enum x86_xmm xmm_of(unsigned pair)
{
    return (enum x86_xmm)(XMM6 + pair);
}

void jit_pairs_enter(jit_t t, struct x86_buf *b)
{
    for (unsigned n = 0; n < t->loop.pairs; n++)
        x86_sse_rm(b, SSE_MOVDQU, xmm_of(n), jit_slot(t->loop.s->pair[n]));
}

void jit_pairs_leave(jit_t t, struct x86_buf *b)
{
    for (unsigned n = 0; n < t->loop.pairs; n++)
        x86_sse_store(b, 16, jit_slot(t->loop.s->pair[n]), xmm_of(n));
}

bool jit_pair_moved(jit_t t, const struct insn *i)
{
    unsigned n = 0;

    if (!t->loop.streaming || !is_pair(i))
        return false;
    while (n < t->loop.pairs && t->loop.s->pair[n] != i->rd)
        n++;
    if (n == t->loop.pairs)
        return false;
    unsigned offset = jit_access_begin(t, i);
    if (bit(i->word, 22))
        x86_sse_rm(&t->hot, SSE_MOVDQU, xmm_of(n), jit_found(t, offset));
    else
        x86_sse_store(&t->hot, 16, jit_found(t, offset), xmm_of(n));
    jit_access_end(t, i);
    return true;
}
