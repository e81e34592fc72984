/*
 * How an x86-64 instruction is put: prefixes, REX, opcode, ModRM, SIB, displacement. Source: Intel
 * SDM volume 2 (instruction format, opcode maps).
 *
 * The buffer is written through one mapping and executed through another. Nobody looks for its end
 * here: who emits makes sure before that there is room for all that comes next, at most 15 bytes an
 * instruction, and for X86_BEHIND bytes behind it, which may be written as well.
 */
#ifndef SOFT_JIT_X86_ENCODE_H
#define SOFT_JIT_X86_ENCODE_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum x86_reg {
    RAX,
    RCX,
    RDX,
    RBX,
    RSP,
    RBP,
    RSI,
    RDI,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
    X86_NONE = -1,
};

/* Operations of the first eight opcode rows; shifts and rotates; group 3. */
enum x86_alu { X86_ADD, X86_OR, X86_ADC, X86_SBB, X86_AND, X86_SUB, X86_XOR, X86_CMP };
enum x86_shift { X86_ROL = 0, X86_ROR = 1, X86_SHL = 4, X86_SHR = 5, X86_SAR = 7 };
enum x86_unary { X86_NOT = 2, X86_NEG, X86_MUL, X86_IMUL, X86_DIV, X86_IDIV };

/* Conditions, as Jcc, SETcc and CMOVcc encode them. The lowest bit negates. */
enum x86_cc {
    CC_O,
    CC_NO,
    CC_B,
    CC_AE,
    CC_E,
    CC_NE,
    CC_BE,
    CC_A,
    CC_S,
    CC_NS,
    CC_P,
    CC_NP,
    CC_L,
    CC_GE,
    CC_LE,
    CC_G
};

/* Widening moves: second opcode bytes after 0f, and MOVSXD. */
enum x86_extend {
    X86_ZX8 = 0xb6,
    X86_ZX16 = 0xb7,
    X86_SX8 = 0xbe,
    X86_SX16 = 0xbf,
    X86_SX32 = 0x63
};

/* [base + index * 2^scale + disp] */
struct x86_mem {
    int8_t base, index;
    uint8_t scale;
    int32_t disp;
};

/* Where displacements from the instruction pointer are, of one or more buffers: offsets from each
 * buffer's `start`. `count` may be more than there is room, then the first ones are lost. */
#define X86_SITES 2048

struct x86_sites {
    unsigned count;
    uint16_t at[X86_SITES];
};

#define X86_BEHIND 8

/* What constants make most of the arguments of: a call would leave them all to be looked at. */
#define X86_INLINE static inline __attribute__((always_inline))

struct x86_buf {
    uint8_t *p;
    const uint8_t *limit; /* who emits looks at it */
    struct x86_sites *sites;
    const uint8_t *start; /* what sites are offsets from */
};

static inline struct x86_mem x86_at(enum x86_reg base, int32_t disp)
{
    return (struct x86_mem){ .base = (int8_t)base, .index = X86_NONE, .disp = disp };
}

static inline struct x86_mem x86_indexed(enum x86_reg base, enum x86_reg index, unsigned scale,
                                         int32_t disp)
{
    return (struct x86_mem){
        .base = (int8_t)base, .index = (int8_t)index, .scale = (uint8_t)scale, .disp = disp
    };
}

/* A displacement from the instruction pointer is here. */
static inline void x86_note_site(struct x86_buf *b, const uint8_t *at)
{
    struct x86_sites *s = b->sites;

    s->at[s->count++ % X86_SITES] = (uint16_t)(at - b->start);
}

static inline void x86_8(struct x86_buf *b, unsigned v)
{
    *b->p++ = (uint8_t)v;
}

static inline void x86_32(struct x86_buf *b, uint32_t v)
{
    memcpy(b->p, &v, 4);
    b->p += 4;
}

static inline void x86_64(struct x86_buf *b, uint64_t v)
{
    memcpy(b->p, &v, 8);
    b->p += 8;
}

/* The next bytes, eight at most, the first one lowest. Eight are written whatever `size` is: what
 * is behind the instruction is free. So no byte of an instruction is a store or a branch of its
 * own. */
X86_INLINE void x86_put(struct x86_buf *b, uint64_t bytes, unsigned size)
{
    memcpy(b->p, &bytes, 8);
    b->p += size;
}

/* Bytes of an instruction, the first one lowest. */
struct x86_bytes {
    uint64_t bytes;
    unsigned size;
};

/* Put a byte in front, if it is there. */
X86_INLINE struct x86_bytes x86_before(bool there, unsigned byte, struct x86_bytes v)
{
    v.bytes = there ? v.bytes << 8 | byte : v.bytes;
    v.size += there;
    return v;
}

/* An opcode of one byte, 0x0fXX for two, 0x0f38XX for three: how many, and behind a byte for REX.
 */
X86_INLINE unsigned x86_opcode_size(unsigned op)
{
    return op > 0xffff ? 3 : op > 0xff ? 2 : 1;
}

X86_INLINE uint64_t x86_opcode(unsigned op)
{
    uint64_t last = (uint64_t)(op & 0xff) << 8 * x86_opcode_size(op);

    if (op > 0xffff)
        return last | (op & 0xff00) << 8 | (op >> 16) << 8;
    return op > 0xff ? last | op >> 8 << 8 : last;
}

/* REX with W, in the lowest byte. */
X86_INLINE uint64_t x86_rex(unsigned w)
{
    return 0x40 | w << 3;
}

/* The highest bit of a register's number goes to REX, the others to ModRM, which is byte `at`: as
 * its field reg, or rm. */
X86_INLINE uint64_t x86_reg_at(unsigned reg, unsigned at)
{
    return ((uint64_t)reg << (8 * at + 4) | reg) >> 1 & (7ull << (8 * at + 3) | 4);
}

X86_INLINE uint64_t x86_rm_at(unsigned rm, unsigned at)
{
    return ((uint64_t)rm << (8 * at + 3) | rm) >> 3 & (7ull << 8 * at | 1);
}

/* ModRM and SIB; the displacement, which may be shorter than four bytes, comes behind them. */
X86_INLINE struct x86_bytes x86_modrm_mem(unsigned reg, struct x86_mem m, unsigned *disp_size)
{
    unsigned base = (unsigned)m.base & 7, index = (unsigned)m.index & 7;
    bool sib = m.index != X86_NONE || base == 4;
    unsigned mod = m.disp == 0 && base != 5 ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;
    unsigned modrm = mod << 6 | (reg & 7) << 3 | (sib ? 4 : base);
    unsigned scale = (unsigned)m.scale << 6 | (m.index == X86_NONE ? 4 : index) << 3 | base;

    *disp_size = mod + (mod & 2); /* 0, 1, 4 */
    return (struct x86_bytes){ modrm | scale << 8, 1u + sib };
}

/* ModRM of a displacement from the instruction pointer, which comes behind it. */
static inline struct x86_bytes x86_modrm_rip(unsigned reg)
{
    return (struct x86_bytes){ (reg & 7) << 3 | 5, 1 };
}

X86_INLINE void x86_put_mem(struct x86_buf *b, struct x86_bytes v, int32_t disp, unsigned disp_size)
{
    uint8_t *p = b->p;

    memcpy(p, &v.bytes, 8);
    memcpy(p + v.size, &disp, 4);
    b->p = p + v.size + disp_size;
}

/* A prefix (0: none) and what begins with a REX, which is left out when it says nothing; but with
 * `byte` it says that registers 4 to 7 are SPL to DIL. */
X86_INLINE struct x86_bytes x86_insn(unsigned prefix, bool byte, struct x86_bytes v)
{
    bool bare = (v.bytes & 0xff) == 0x40 && !byte;

    v.bytes = bare ? v.bytes >> 8 : v.bytes;
    v.size -= bare;
    return x86_before(prefix, prefix, v);
}

/* The shapes that everything else is made of: an opcode alone, which may have the low bits of
 * register `r`; with two registers; with a register and memory, or what is `disp` bytes behind the
 * instruction's end. `prefix` 0, 0x66, 0xf2 or 0xf3. */
X86_INLINE void x86_op_r(struct x86_buf *b, unsigned w, unsigned op, unsigned r)
{
    uint64_t bytes = x86_rex(w) | r >> 3 | x86_opcode(op);
    struct x86_bytes v = x86_insn(0, false, (struct x86_bytes){ bytes, 1 + x86_opcode_size(op) });

    x86_put(b, v.bytes, v.size);
}

X86_INLINE void x86_op_rr(struct x86_buf *b, unsigned prefix, unsigned w, unsigned op, unsigned reg,
                          unsigned rm, bool byte)
{
    unsigned at = 1 + x86_opcode_size(op);
    uint64_t bytes =
        x86_rex(w) | x86_opcode(op) | 0xc0ull << 8 * at | x86_reg_at(reg, at) | x86_rm_at(rm, at);
    struct x86_bytes v = x86_insn(prefix, byte, (struct x86_bytes){ bytes, at + 1 });

    x86_put(b, v.bytes, v.size);
}

X86_INLINE void x86_op_rm(struct x86_buf *b, unsigned prefix, unsigned w, unsigned op, unsigned reg,
                          struct x86_mem m, bool byte)
{
    unsigned at = 1 + x86_opcode_size(op), disp_size;
    unsigned index = m.index == X86_NONE ? 0 : (unsigned)m.index;
    struct x86_bytes rest = x86_modrm_mem(0, m, &disp_size);
    uint64_t bytes = x86_rex(w) | x86_opcode(op) | x86_reg_at(reg, at) | (index >> 3 & 1) << 1 |
                     ((unsigned)m.base >> 3 & 1) | rest.bytes << 8 * at;

    x86_put_mem(b, x86_insn(prefix, byte, (struct x86_bytes){ bytes, at + rest.size }), m.disp,
                disp_size);
}

X86_INLINE void x86_op_rip(struct x86_buf *b, unsigned prefix, unsigned w, unsigned op,
                           unsigned reg, int32_t disp)
{
    unsigned at = 1 + x86_opcode_size(op);
    uint64_t bytes = x86_rex(w) | x86_opcode(op) | 5ull << 8 * at | x86_reg_at(reg, at);

    x86_put_mem(b, x86_insn(prefix, false, (struct x86_bytes){ bytes, at + 1 }), disp, 4);
}

/* The displacement just put leads to `to`, as written; `behind` bytes follow it. */
static inline void x86_rip_to(struct x86_buf *b, const uint8_t *to, unsigned behind)
{
    int32_t rel = (int32_t)(to - (b->p + behind));

    memcpy(b->p - 4, &rel, 4);
    x86_note_site(b, b->p - 4);
}

static inline void x86_imm8(struct x86_buf *b, unsigned imm)
{
    x86_8(b, imm);
}

static inline void x86_imm32(struct x86_buf *b, uint32_t imm)
{
    x86_32(b, imm);
}

#endif
