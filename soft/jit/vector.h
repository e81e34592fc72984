/*
 * V registers in translated code: XMM6 to XMM15, and XMM16 to XMM31, have those that the block
 * wrote last, cpu.v has the others (vector_cache.c). XMM0 to XMM5 are scratch, and nothing is kept
 * in them from one instruction to the next.
 */
#ifndef SOFT_JIT_VECTOR_H
#define SOFT_JIT_VECTOR_H

#include "soft/jit/translate.h"
#include "soft/jit/x86_sse.h"

/* The register of copy k of a V register: jit_copies(). */
static inline enum x86_xmm vector_copy(unsigned k)
{
    return (enum x86_xmm)(k < JIT_COPIES_LOW ? XMM6 + k : XMM16 + k - JIT_COPIES_LOW);
}

/* May the block use V registers? If not, the interpreter raises the exception. */
static inline bool vector_enabled(jit_t t)
{
    return t->mode & JIT_MODE_FP;
}

/* Where cpu.v has it: for what vector_cached() does not know, and vector_byte() otherwise. */
static inline struct x86_mem vector_slot(unsigned v)
{
    struct x86_mem m = JIT_CPU(v);
    m.disp += (int32_t)(v % 32 * sizeof(union vreg));
    return m;
}

/* soft/jit/vector_cache.c */

/* Is there a copy of v in an xmm register, and in which? */
static inline bool vector_cached(jit_t t, unsigned v, enum x86_xmm *x)
{
    *x = (enum x86_xmm)t->cache.host[v % 32];
    return *x != XMM0;
}

/* Byte `offset` of a V register in memory, which is written there first if need be. */
struct x86_mem vector_byte(jit_t t, unsigned v, unsigned offset);
/* x = x op V register: all of its 16 bytes are an operand. */
void vector_op(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v);
void vector_op_imm(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v, unsigned imm);
/* x = n op m, of V registers; of scalars of 4 or 8 bytes, zero above them. */
void vector_binary(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned n, unsigned m);
void vector_scalar(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned n, unsigned m,
                   unsigned bytes);
/* The result of instruction i, as vector_result(): n op m of V registers, or of xmm registers of
 * which n is XMM0 or a V register's copy; a shift of one. In the register that it is to stay in
 * where the host has three operands. Changes XMM0; m may be anything but that. */
void vector_result_op(jit_t t, const struct insn *i, enum x86_sse op, unsigned n, unsigned m);
void vector_result_of(jit_t t, const struct insn *i, enum x86_sse op, enum x86_xmm n,
                      enum x86_xmm m);
void vector_result_shift(jit_t t, const struct insn *i, enum x86_sse_shift op, unsigned n,
                         unsigned count);
/* The same of n and a constant, vector_literal(). */
void vector_result_literal(jit_t t, const struct insn *i, enum x86_sse op, unsigned n,
                           const uint8_t *literal);
/* A register with all of a V register: its copy, or `scratch` filled. Not to be changed. */
enum x86_xmm vector_use(jit_t t, unsigned v, enum x86_xmm scratch);
/* The same where it is likely to be used again: it stays in a register. */
enum x86_xmm vector_keep(jit_t t, unsigned v);
/* x = the low `bytes` (4, 8, 16) of a V register, zero above them. */
void vector_load_low(jit_t t, enum x86_xmm x, unsigned v, unsigned bytes);
/* x = a half of a V register, or a widening `op` of it; only the lower half of x counts. */
void vector_half(jit_t t, enum x86_xmm x, unsigned v, bool upper);
void vector_widen(jit_t t, enum x86_sse op, enum x86_xmm x, unsigned v, bool upper);
/* General register = the low `bytes` (4, 8) of a V register. */
void vector_to_general(jit_t t, unsigned bytes, enum x86_reg d, unsigned v);
/* V register = x, which is known to be zero above its low `bytes`. */
void vector_store_low(jit_t t, unsigned v, enum x86_xmm x, unsigned bytes);
/* The same in two steps, for an instruction that takes no slow path after the first: the register
 * to make the result in; it is made. */
enum x86_xmm vector_begin(jit_t t, unsigned v);
void vector_end(jit_t t, unsigned v, enum x86_xmm x, unsigned bytes);

static inline void vector_load(jit_t t, enum x86_xmm x, unsigned v)
{
    vector_load_low(t, x, v, 16);
}

static inline void vector_store(jit_t t, unsigned v, enum x86_xmm x)
{
    vector_store_low(t, v, x, 16);
}

/* The result of an Advanced SIMD instruction in x: all of it, or the lower half and zero above it
 * when Q is 0 or it is a scalar of 64 bits. */
static inline void vector_result(jit_t t, const struct insn *i, enum x86_xmm x)
{
    bool low = !bit(i->word, 30) || bit(i->word, 28);

    if (low) {
        enum x86_xmm d = vector_begin(t, i->rd);
        x86_sse_rr(&t->hot, SSE_MOVQ, d, x);
        vector_end(t, i->rd, d, 8);
    } else {
        vector_store(t, i->rd, x);
    }
}

/* soft/jit/vector.c: operations by the size of elements, 1 << n bytes, and the least number of a
 * signed one in all places. */
extern const enum x86_sse vector_add[4], vector_sub[4], vector_equal[4], vector_greater[4];
extern const uint64_t vector_least[4];

/* Jump if a byte of the mask is set, unless all are. Changes RAX. */
static inline uint8_t *vector_if_any(jit_t t, enum x86_xmm mask)
{
    x86_pmovmskb(&t->hot, RAX, mask);
    x86_test_rr(&t->hot, 0, RAX, RAX);
    return x86_jcc(&t->hot, CC_NE);
}

static inline uint8_t *vector_unless_all(jit_t t, enum x86_xmm mask)
{
    x86_pmovmskb(&t->hot, RAX, mask);
    x86_alu_ri(&t->hot, 0, X86_CMP, RAX, 0xffff);
    return x86_jcc(&t->hot, CC_NE);
}

/* By element: its register and its offset there, of 1 << scale bytes. H<11>:L<21>:M<20> is the
 * index of 16 bits, H:L of 32, H of 64. */
static inline unsigned vector_element_of(const struct insn *i, unsigned scale, unsigned *v)
{
    unsigned hlm = (unsigned)(bit(i->word, 11) << 2 | bits(i->word, 21, 20));

    *v = scale == 1 ? i->rm & 15 : i->rm;
    return hlm >> (scale - 1) << scale;
}

/* soft/jit/vector_move.c: element at byte `offset`, of 1 << scale bytes: zero-extended (changes
 * RAX), in a general register, in all places. */
void vector_element(jit_t t, enum x86_xmm x, unsigned scale, unsigned v, unsigned offset);
void vector_element_general(jit_t t, unsigned scale, enum x86_reg d, unsigned v, unsigned offset);
void vector_element_everywhere(jit_t t, enum x86_xmm x, unsigned scale, unsigned v,
                               unsigned offset);

/* The same of a by-element form; the upper half is not cleared with Q of 0. */
static inline void vector_by_element(jit_t t, const struct insn *i, unsigned scale, enum x86_xmm x)
{
    unsigned v, offset = vector_element_of(i, scale, &v);

    vector_element_everywhere(t, x, scale, v, offset);
}

/* soft/jit/vector_shift.c: x = its elements shifted. */
void vector_shift_left(jit_t t, enum x86_xmm x, unsigned scale, unsigned n);
void vector_shift_right(jit_t t, enum x86_xmm x, unsigned scale, unsigned n, bool is_signed);
/* The result of an instruction that narrows: elements of twice the size in XMM0, shifted right,
 * with half of what is lost added before if it is rounded. Changes XMM1. */
void vector_narrow_high(jit_t t, const struct insn *i, unsigned scale, unsigned n, bool rounds);

/* soft/jit/vector_rotate.c: is the shift, USHR or SHL, half of a rotation? Then all of it is made.
 */
bool vector_rotation(jit_t t, const struct insn *i);

/* soft/jit/vector_sha256.c: MOV of a V register that is in the host's order. */
bool vector_sha_copy(jit_t t, const struct insn *i);

/* soft/jit/vector.c: 16 bytes in the cold part, for x86_sse_rip(). */
const uint8_t *vector_literal(jit_t t, uint64_t low, uint64_t high);
/* x = the constant. */
void vector_constant(jit_t t, enum x86_xmm x, uint64_t low, uint64_t high);
/* All elements of 1 << scale bytes become as element 0. */
void vector_replicate(jit_t t, enum x86_xmm x, unsigned scale);

/* soft/jit/vector_move.c: d = the even or the odd elements of n and m, one after the other; with Q
 * of 0, in the lower half. d is XMM0 (changes XMM2) or XMM1 (changes XMM3). */
void vector_unzip(jit_t t, const struct insn *i, unsigned scale, enum x86_xmm d, bool odd);

#endif
