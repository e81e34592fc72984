/*
 * Rotations of elements. A64 has none, so programs shift into another register what is to be at one
 * end, and insert the rest of the same register behind it: USHR and SLI, or SHL and SRI, by shifts
 * that are the element's width together (DDI 0487 C4.1.96). Several such pairs are often done side
 * by side, so the second half may come some instructions later. Both are made where the first one
 * is: by one instruction of AVX-512, by a shuffle if it is whole bytes, or by two shifts.
 *
 * This may be if nothing in between looks at the result, changes what is shifted, faults or leaves
 * the block.
 */
#include "base/bits.h"
#include "soft/interp/simd.h"
#include "soft/jit/vector.h"

#define NEAR 16 /* instructions */

/* Does it touch general registers only, neither faulting nor branching? Or only V registers, of
 * which it reads and writes those that its fields name, or those that follow rn? */
static bool is_simple(jit_t t, const struct jit_insn *n)
{
    bool table = (n->i.word & 0xbfe08c00) == 0x0e000000; /* TBL, TBX */

    return jit_uses_of(t, n).plain || (jit_is_vector_only(t, n) && !table);
}

/* Is `v` in one of its fields, whatever that means? */
static bool names(const struct jit_insn *n, unsigned v)
{
    uint32_t w = n->i.word;

    return bits(w, 4, 0) == v || bits(w, 9, 5) == v || bits(w, 14, 10) == v || bits(w, 20, 16) == v;
}

/* The other half of the shift being emitted, or NULL. */
static struct jit_insn *find_other(jit_t t)
{
    const struct insn *first = &t->insn[t->at].i;
    unsigned d = bits(first->word, 4, 0), s = bits(first->word, 9, 5);
    bool is_right = t->insn[t->at].op == A64_USHR_imm;
    unsigned sum = is_right ? simd_imm_right(first) : simd_imm_left(first);

    if (d == s)
        return NULL;
    for (unsigned n = t->at + 1; n < t->count && n <= t->at + NEAR; n++) {
        struct jit_insn *other = &t->insn[n];
        const struct insn *i = &other->i;
        bool same = ((i->word ^ first->word) & 0x400003ff) == 0;
        if (same && other->op == (is_right ? A64_SLI_imm : A64_SRI_imm) &&
            simd_imm_size(i) == simd_imm_size(first)) {
            sum += is_right ? simd_imm_left(i) : simd_imm_right(i);
            return sum == 8u << simd_imm_size(i) ? other : NULL;
        }
        if (!is_simple(t, other))
            return NULL;
        if (jit_uses_of(t, other).plain)
            continue;
        if (names(other, d) || bits(i->word, 4, 0) == s)
            return NULL;
    }
    return NULL;
}

/* Whole bytes: by a shuffle. */
static void rotate_bytes(jit_t t, const struct insn *i, unsigned scale, unsigned left)
{
    uint64_t order[2] = { 0, 0 };
    unsigned last = (1u << scale) - 1;

    for (unsigned k = 0; k < 16; k++)
        order[k / 8] |= (uint64_t)((k & ~last) | ((k - left / 8) & last)) << (k % 8 * 8);
    vector_result_literal(t, i, SSE_PSHUFB, i->rn, vector_literal(t, order[0], order[1]));
}

bool vector_rotation(jit_t t, const struct insn *i)
{
    static const enum x86_sse_shift lefts[4] = { 0, SSE_SLL_W, SSE_SLL_D, SSE_SLL_Q };
    static const enum x86_sse_shift rights[4] = { 0, SSE_SRL_W, SSE_SRL_D, SSE_SRL_Q };
    unsigned scale = simd_imm_size(i);
    enum a64_op op = (enum a64_op)t->insn[t->at].op;
    bool is_right = op == A64_USHR_imm;

    if (scale == 0 || !(is_right || op == A64_SHL_imm) || !bit(i->word, 30) ||
        t->jit->knobs.unrotated)
        return false;
    unsigned width = 8u << scale, left = is_right ? width - simd_imm_right(i) : simd_imm_left(i);
    struct jit_insn *other = left % width ? find_other(t) : NULL;
    if (!other)
        return false;
    other->done = true;
    if (scale > 1 && t->jit->host.avx512 && !t->jit->knobs.uncached) {
        enum x86_xmm s = vector_use(t, i->rn, XMM0), d = vector_begin(t, i->rd);
        x86_vprol(&t->hot, scale == 3, d, s, left);
        vector_end(t, i->rd, d, 16);
    } else if (left % 8 == 0) {
        rotate_bytes(t, i, scale, left);
    } else {
        vector_load(t, XMM1, i->rn);
        x86_sse_shift(&t->hot, rights[scale], XMM1, width - left);
        vector_load(t, XMM0, i->rn);
        x86_sse_shift(&t->hot, lefts[scale], XMM0, left);
        vector_result_of(t, i, SSE_POR, XMM0, XMM1);
    }
    return true;
}
