/*
 * XMM16 to XMM31, which EVEX forms of 16 bytes reach: AVX-512 F, VL, BW and DQ, VAES, VPCLMULQDQ.
 * What x86_sse.h emits comes here if one of its registers is among them. An instruction without
 * such a form works on copies in XMM14 and XMM15, which nobody else has then.
 */
#ifndef SOFT_JIT_X86_EVEX_H
#define SOFT_JIT_X86_EVEX_H

#include "soft/jit/x86.h"

/* Is one of these numbers of registers, or of several ORed, beyond 15? */
static inline bool x86_is_high(unsigned registers)
{
    return __builtin_expect(registers > 15, false);
}

/* Of tables in x86_sse.h: d = n op s, the same of memory, and of data in the code cache; n is d in
 * forms of two operands. `imm`: a byte that comes last, or X86_NO_IMM. */
#define X86_NO_IMM 0x100

void x86_high_rr(struct x86_buf *b, unsigned op, unsigned d, unsigned n, unsigned s, unsigned imm);
void x86_high_rm(struct x86_buf *b, unsigned op, unsigned d, unsigned n, struct x86_mem m,
                 unsigned imm);
void x86_high_rip(struct x86_buf *b, unsigned op, unsigned d, unsigned n, const uint8_t *to,
                  unsigned imm);

/* enum x86_sse_shift. */
void x86_high_shift(struct x86_buf *b, unsigned op, unsigned d, unsigned s, unsigned count);

/* By the fields of an encoding: `pp` and `map` as in VEX; vvvv is 0 where there is none. `size`:
 * what is accessed in memory, in bytes. */
struct x86_evex {
    uint8_t w, pp, map, op;
};

void x86_evex_rr(struct x86_buf *b, struct x86_evex e, unsigned reg, unsigned vvvv, unsigned rm);
void x86_evex_rm(struct x86_buf *b, struct x86_evex e, unsigned size, unsigned reg, unsigned vvvv,
                 struct x86_mem m);

/* d = s, all 16 bytes. */
void x86_high_move(struct x86_buf *b, unsigned d, unsigned s);

/* A copy of s among XMM0 to XMM15, in XMM14 or XMM15 if need be. */
unsigned x86_low_copy(struct x86_buf *b, unsigned scratch, unsigned s);

#endif
