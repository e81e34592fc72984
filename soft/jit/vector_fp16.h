/*
 * Half precision: what vector_fp16.c and vector_fp16_convert.c share, and what emitters of all
 * types hand to them. All that return bool are emitters.
 */
#ifndef SOFT_JIT_VECTOR_FP16_H
#define SOFT_JIT_VECTOR_FP16_H

#include "soft/jit/vector_fp.h"

/* The same number of single precision in each place. */
static inline const uint8_t *fp16_singles(jit_t t, uint64_t value)
{
    return vector_literal(t, value << 32 | value, value << 32 | value);
}

/* XMM2 = the greater or lesser lanes of XMM2 and XMM3, in single precision, both ways for the signs
 * of zeros. Changes XMM3, XMM4. */
void fp16_pick(jit_t t, bool min);

/* Has the host what these need, and is FPCR as at reset? */
bool fp16_enabled(jit_t t);
/* x = the lanes of v that count, zero above them: one of a scalar (bit 28). Changes RAX. */
void fp16_load(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v);
/* Jump if a lane of one of n registers is infinite or a NaN. Changes RAX, XMM4, XMM5. */
uint8_t *fp16_unless_finite(jit_t t, const enum x86_xmm *x, unsigned n);

/* Scalars of any type<23:22>: half precision (3) is worked on as single. */
static inline bool is_half(const struct insn *i)
{
    return bit(i->word, 23);
}

static inline bool is_any_double(const struct insn *i)
{
    return bits(i->word, 23, 22) == 1;
}

static inline bool is_any_scalar(jit_t t, const struct insn *i)
{
    return is_half(i) ? fp16_enabled(t) : fp_enabled(t);
}

static inline void load_any_scalar(jit_t t, const struct insn *i, enum x86_xmm x, unsigned v)
{
    if (is_half(i)) {
        vector_element(t, x, 1, v, 0);
        x86_cvtph2ps(&t->hot, x, x);
    } else {
        load_scalar(t, x, is_any_double(i), v);
    }
}

bool vector_half_binary(jit_t t, const struct insn *i);
bool vector_half_fmadd(jit_t t, const struct insn *i);
bool vector_half_element(jit_t t, const struct insn *i);
bool vector_half_fcadd(jit_t t, const struct insn *i);
bool vector_half_fcmla(jit_t t, const struct insn *i);
bool vector_half_fcsel(jit_t t, const struct insn *i);
bool vector_half_frint(jit_t t, const struct insn *i);

#endif
