/*
 * Guest state between translated code and C: NZCV and FPSR, which code has in its own way.
 */
#ifndef SOFT_JIT_STATE_H
#define SOFT_JIT_STATE_H

#include <immintrin.h>

#include "soft/jit/runtime.h"
#include "soft/vcpu.h"

static inline struct jit *jit_of(struct cpu *c)
{
    return vcpu_of(c)->hot.jit;
}

/* The stored format of flags: N 15, Z 14, not C 8, V 0. */
static inline uint32_t jit_flags_to_nzcv(uint16_t f)
{
    return (uint32_t)(f >> 14 & 3) << 30 | (uint32_t)(~f >> 8 & 1) << 29 | (uint32_t)(f & 1) << 28;
}

static inline uint16_t jit_flags_from_nzcv(uint32_t nzcv)
{
    return (uint16_t)((nzcv >> 30) << 14 | (~nzcv >> 29 & 1) << 8 | (nzcv >> 28 & 1));
}

static inline void jit_enter_c(struct cpu *c)
{
    c->nzcv = jit_flags_to_nzcv(c->jit_flags);
}

/*
 * FPSR's cumulative flags. Translated code leaves them in MXCSR, where they are OR-ed from when
 * somebody may look at FPSR, or when C code that computes in floating point itself is to run.
 */
#define MXCSR_FLAGS  0x3fu
#define MXCSR_MASKED 0x1f80u

static inline void jit_fp_collect(struct cpu *c)
{
    uint32_t m = _mm_getcsr(); /* IE, DE, ZE, OE, UE, PE; the manual has no DE here */

    c->fpsr |= (m & 1) | (m >> 1 & 0x1e);
}

static inline void jit_fp_clear(void)
{
    if (_mm_getcsr() & MXCSR_FLAGS)
        _mm_setcsr(MXCSR_MASKED);
}

#endif
