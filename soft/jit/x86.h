/*
 * Emits x86-64 machine code. Source: Intel SDM volume 2 (opcode maps, REX, VEX, ModRM, SIB).
 *
 * One function an instruction form, inline, a few stores each. `w` is 1 for 64-bit operands and 0
 * for 32-bit ones, whose results clear the upper half of a register just as A64's W forms do. The
 * buffer is written through one mapping and executed through another. Nobody looks for its end
 * here: who emits makes sure before that there is room for all that comes next, at most 15 bytes an
 * instruction, and for X86_BEHIND bytes behind it, which may be written as well.
 */
#ifndef SOFT_JIT_X86_H
#define SOFT_JIT_X86_H

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

/* Moves. */

static inline void x86_mov_rr(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0, w, 0x8b, d, s, false);
}

/* The form that any constant fits in, at the end of the instruction. */
static inline void x86_mov_ri64(struct x86_buf *b, enum x86_reg d, uint64_t imm)
{
    x86_op_r(b, 1, 0xb8 | (d & 7), d);
    x86_64(b, imm);
}

/* The shortest form; flags stay. */
static inline void x86_mov_ri(struct x86_buf *b, enum x86_reg d, uint64_t imm)
{
    if (imm <= UINT32_MAX) {
        x86_op_r(b, 0, 0xb8 | (d & 7), d);
        x86_32(b, (uint32_t)imm);
    } else if ((int64_t)imm == (int32_t)imm) {
        x86_op_rr(b, 0, 1, 0xc7, 0, d, false);
        x86_32(b, (uint32_t)imm);
    } else {
        x86_mov_ri64(b, d, imm);
    }
}

static inline void x86_mov_rm(struct x86_buf *b, unsigned w, enum x86_reg d, struct x86_mem m)
{
    x86_op_rm(b, 0, w, 0x8b, d, m, false);
}

/* Store `size` bytes of s: 1, 2, 4 or 8. */
static inline void x86_store(struct x86_buf *b, unsigned size, struct x86_mem m, enum x86_reg s)
{
    x86_op_rm(b, size == 2 ? 0x66 : 0, size == 8, size == 1 ? 0x88 : 0x89, s, m, size == 1);
}

static inline void x86_mov_mr(struct x86_buf *b, unsigned w, struct x86_mem m, enum x86_reg s)
{
    x86_store(b, w ? 8 : 4, m, s);
}

/* imm is sign-extended to 64 bits with w = 1. */
static inline void x86_mov_mi(struct x86_buf *b, unsigned w, struct x86_mem m, int32_t imm)
{
    x86_op_rm(b, 0, w, 0xc7, 0, m, false);
    x86_imm32(b, (uint32_t)imm);
}

/* MOV byte [m], imm8 */
static inline void x86_mov8_mi(struct x86_buf *b, struct x86_mem m, unsigned imm)
{
    x86_op_rm(b, 0, 0, 0xc6, 0, m, false);
    x86_imm8(b, imm);
}

static inline void x86_ext_rr(struct x86_buf *b, enum x86_extend e, unsigned w, enum x86_reg d,
                              enum x86_reg s)
{
    x86_op_rr(b, 0, w, e == X86_SX32 ? 0x63 : 0x0f00 | (e & 0xff), d, s,
              e == X86_ZX8 || e == X86_SX8);
}

static inline void x86_ext_rm(struct x86_buf *b, enum x86_extend e, unsigned w, enum x86_reg d,
                              struct x86_mem m)
{
    x86_op_rm(b, 0, w, e == X86_SX32 ? 0x63 : 0x0f00 | (e & 0xff), d, m, false);
}

static inline void x86_lea(struct x86_buf *b, unsigned w, enum x86_reg d, struct x86_mem m)
{
    x86_op_rm(b, 0, w, 0x8d, d, m, false);
}

static inline void x86_xchg_mr(struct x86_buf *b, unsigned size, struct x86_mem m, enum x86_reg r)
{
    x86_op_rm(b, size == 2 ? 0x66 : 0, size == 8, size == 1 ? 0x86 : 0x87, r, m, size == 1);
}

/* Arithmetic. */

static inline void x86_alu_rr(struct x86_buf *b, unsigned w, enum x86_alu op, enum x86_reg d,
                              enum x86_reg s)
{
    x86_op_rr(b, 0, w, (op & 7) << 3 | 3, d, s, false);
}

static inline void x86_alu_rm(struct x86_buf *b, unsigned w, enum x86_alu op, enum x86_reg d,
                              struct x86_mem m)
{
    x86_op_rm(b, 0, w, (op & 7) << 3 | 3, d, m, false);
}

static inline void x86_alu_mr(struct x86_buf *b, unsigned w, enum x86_alu op, struct x86_mem m,
                              enum x86_reg s)
{
    x86_op_rm(b, 0, w, (op & 7) << 3 | 1, s, m, false);
}

static inline void x86_alu_ri(struct x86_buf *b, unsigned w, enum x86_alu op, enum x86_reg d,
                              int32_t imm)
{
    bool small = imm >= -128 && imm < 128;

    x86_op_rr(b, 0, w, small ? 0x83 : 0x81, op, d, false);
    if (small)
        x86_imm8(b, (uint8_t)imm);
    else
        x86_imm32(b, (uint32_t)imm);
}

static inline void x86_alu_mi(struct x86_buf *b, unsigned w, enum x86_alu op, struct x86_mem m,
                              int32_t imm)
{
    bool small = imm >= -128 && imm < 128;

    x86_op_rm(b, 0, w, small ? 0x83 : 0x81, op, m, false);
    if (small)
        x86_imm8(b, (uint8_t)imm);
    else
        x86_imm32(b, (uint32_t)imm);
}

static inline void x86_test_rr(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0, w, 0x85, s, d, false);
}

static inline void x86_test_ri(struct x86_buf *b, unsigned w, enum x86_reg d, int32_t imm)
{
    x86_op_rr(b, 0, w, 0xf7, 0, d, false);
    x86_imm32(b, (uint32_t)imm);
}

/* TEST byte [m], imm8 */
static inline void x86_test8_mi(struct x86_buf *b, struct x86_mem m, unsigned imm)
{
    x86_op_rm(b, 0, 0, 0xf6, 0, m, false);
    x86_imm8(b, imm);
}

/* CMP of the low bytes. */
static inline void x86_cmp8_mi(struct x86_buf *b, struct x86_mem m, unsigned imm)
{
    x86_op_rm(b, 0, 0, 0x80, X86_CMP, m, false);
    x86_imm8(b, imm);
}

static inline void x86_cmp8_rr(struct x86_buf *b, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0, 0, 0x3a, d, s, d >= 4 || s >= 4);
}

/* BT: CF is the bit. */
static inline void x86_bt_ri(struct x86_buf *b, unsigned w, enum x86_reg d, unsigned bit)
{
    x86_op_rr(b, 0, w, 0x0fba, 4, d, false);
    x86_imm8(b, bit);
}

static inline void x86_bt_mi(struct x86_buf *b, unsigned w, struct x86_mem m, unsigned bit)
{
    x86_op_rm(b, 0, w, 0x0fba, 4, m, false);
    x86_imm8(b, bit);
}

static inline void x86_shift_ri(struct x86_buf *b, unsigned w, enum x86_shift op, enum x86_reg d,
                                unsigned count)
{
    x86_op_rr(b, 0, w, 0xc1, op, d, false);
    x86_imm8(b, count);
}

/* By CL. */
static inline void x86_shift_rcl(struct x86_buf *b, unsigned w, enum x86_shift op, enum x86_reg d)
{
    x86_op_rr(b, 0, w, 0xd3, op, d, false);
}

/* d = d:s shifted right by count, the low half. */
static inline void x86_shrd_ri(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s,
                               unsigned count)
{
    x86_op_rr(b, 0, w, 0x0fac, s, d, false);
    x86_imm8(b, count);
}

/* NOT, NEG; MUL, IMUL, DIV, IDIV of RDX:RAX. */
static inline void x86_unary_r(struct x86_buf *b, unsigned w, enum x86_unary op, enum x86_reg r)
{
    x86_op_rr(b, 0, w, 0xf7, op, r, false);
}

static inline void x86_unary_m(struct x86_buf *b, unsigned w, enum x86_unary op, struct x86_mem m)
{
    x86_op_rm(b, 0, w, 0xf7, op, m, false);
}

static inline void x86_imul_rr(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0, w, 0x0faf, d, s, false);
}

static inline void x86_imul_rm(struct x86_buf *b, unsigned w, enum x86_reg d, struct x86_mem m)
{
    x86_op_rm(b, 0, w, 0x0faf, d, m, false);
}

/* CDQ, CQO */
static inline void x86_sign_rdx(struct x86_buf *b, unsigned w)
{
    x86_op_r(b, w, 0x99, 0);
}

static inline void x86_bswap(struct x86_buf *b, unsigned w, enum x86_reg r)
{
    x86_op_r(b, w, 0x0fc8 | (r & 7), r);
}

static inline void x86_bsr(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0, w, 0x0fbd, d, s, false);
}

static inline void x86_bsf(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0, w, 0x0fbc, d, s, false);
}

static inline void x86_tzcnt(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0xf3, w, 0x0fbc, d, s, false);
}

static inline void x86_lzcnt(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s)
{
    x86_op_rr(b, 0xf3, w, 0x0fbd, d, s, false);
}

/* CRC32C of `size` bytes of s into d. */
static inline void x86_crc32(struct x86_buf *b, unsigned size, enum x86_reg d, enum x86_reg s)
{
    if (size == 2)
        x86_8(b, 0x66);
    x86_op_rr(b, 0xf2, size == 8, size == 1 ? 0x0f38f0 : 0x0f38f1, d, s, size == 1);
}

/* A VEX prefix of three bytes, and what follows it. */
static inline struct x86_bytes x86_vex_bytes(unsigned w, unsigned pp, unsigned map, unsigned op,
                                             unsigned reg, unsigned vvvv, unsigned index,
                                             unsigned rm, struct x86_bytes rest)
{
    unsigned top = (~reg >> 3 & 1) << 7 | (~index >> 3 & 1) << 6 | (~rm >> 3 & 1) << 5 | map;
    unsigned vex = 0xc4 | top << 8 | (w << 7 | (~vvvv & 15) << 3 | pp) << 16 | op << 24;

    return (struct x86_bytes){ rest.bytes << 32 | vex, rest.size + 4 };
}

/* BMI2 and BMI1, VEX-encoded; flags stay with all but ANDN. */
static inline void x86_vex(struct x86_buf *b, unsigned w, unsigned pp, unsigned map, unsigned op,
                           enum x86_reg reg, enum x86_reg vvvv, enum x86_reg rm)
{
    struct x86_bytes modrm = { 0xc0 | (reg & 7) << 3 | (rm & 7), 1 };

    struct x86_bytes v = x86_vex_bytes(w, pp, map, op, reg, (unsigned)vvvv, 0, (unsigned)rm, modrm);
    x86_put(b, v.bytes, v.size);
}

static inline void x86_vex_rm(struct x86_buf *b, unsigned w, unsigned pp, unsigned map, unsigned op,
                              enum x86_reg reg, enum x86_reg vvvv, struct x86_mem m)
{
    unsigned index = m.index == X86_NONE ? 0 : (unsigned)m.index, disp_size;

    struct x86_bytes v = x86_modrm_mem(reg, m, &disp_size);
    v = x86_vex_bytes(w, pp, map, op, reg, (unsigned)vvvv, index, (unsigned)m.base, v);
    x86_put_mem(b, v, m.disp, disp_size);
}

/* SHLX, SHRX, SARX: d = s shifted by count, a register. */
static inline void x86_shiftx(struct x86_buf *b, unsigned w, enum x86_shift op, enum x86_reg d,
                              enum x86_reg s, enum x86_reg count)
{
    x86_vex(b, w, op == X86_SHL ? 1 : op == X86_SHR ? 3 : 2, 2, 0xf7, d, count, s);
}

static inline void x86_rorx(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s,
                            unsigned count)
{
    x86_vex(b, w, 3, 3, 0xf0, d, RAX, s);
    x86_imm8(b, count);
}

static inline void x86_rorx_rm(struct x86_buf *b, unsigned w, enum x86_reg d, struct x86_mem m,
                               unsigned count)
{
    x86_vex_rm(b, w, 3, 3, 0xf0, d, RAX, m);
    x86_imm8(b, count);
}

/* d = ~a & c */
static inline void x86_andn(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg a,
                            enum x86_reg c)
{
    x86_vex(b, w, 0, 2, 0xf2, d, a, c);
}

/* high:low = RDX * s */
static inline void x86_mulx(struct x86_buf *b, unsigned w, enum x86_reg high, enum x86_reg low,
                            enum x86_reg s)
{
    x86_vex(b, w, 3, 2, 0xf6, high, low, s);
}

static inline void x86_mulx_rm(struct x86_buf *b, unsigned w, enum x86_reg high, enum x86_reg low,
                               struct x86_mem m)
{
    x86_vex_rm(b, w, 3, 2, 0xf6, high, low, m);
}

/* Flags. */

static inline void x86_setcc(struct x86_buf *b, enum x86_cc cc, enum x86_reg d)
{
    x86_op_rr(b, 0, 0, 0x0f90 | (cc & 15), 0, d, d >= 4);
}

static inline void x86_setcc_m(struct x86_buf *b, enum x86_cc cc, struct x86_mem m)
{
    x86_op_rm(b, 0, 0, 0x0f90 | (cc & 15), 0, m, false);
}

static inline void x86_cmov_rr(struct x86_buf *b, unsigned w, enum x86_cc cc, enum x86_reg d,
                               enum x86_reg s)
{
    x86_op_rr(b, 0, w, 0x0f40 | (cc & 15), d, s, false);
}

static inline void x86_cmov_rm(struct x86_buf *b, unsigned w, enum x86_cc cc, enum x86_reg d,
                               struct x86_mem m)
{
    x86_op_rm(b, 0, w, 0x0f40 | (cc & 15), d, m, false);
}

static inline void x86_plain(struct x86_buf *b, unsigned op)
{
    x86_8(b, op);
}

static inline void x86_lahf(struct x86_buf *b)
{
    x86_plain(b, 0x9f);
}

static inline void x86_sahf(struct x86_buf *b)
{
    x86_plain(b, 0x9e);
}

static inline void x86_cmc(struct x86_buf *b)
{
    x86_plain(b, 0xf5);
}

static inline void x86_stc(struct x86_buf *b)
{
    x86_plain(b, 0xf9);
}

/* ADD AL, imm8 */
static inline void x86_add_al(struct x86_buf *b, unsigned imm)
{
    x86_plain(b, 0x04);
    x86_imm8(b, imm);
}

/* Atomics; `size` 1, 2, 4 or 8. */

static inline void x86_lock_xadd(struct x86_buf *b, unsigned size, struct x86_mem m, enum x86_reg r)
{
    x86_8(b, 0xf0);
    x86_op_rm(b, size == 2 ? 0x66 : 0, size == 8, size == 1 ? 0x0fc0 : 0x0fc1, r, m, size == 1);
}

/* If [m] equals RAX, [m] = r, else RAX = [m]; ZF says which. */
static inline void x86_lock_cmpxchg(struct x86_buf *b, unsigned size, struct x86_mem m,
                                    enum x86_reg r)
{
    x86_8(b, 0xf0);
    x86_op_rm(b, size == 2 ? 0x66 : 0, size == 8, size == 1 ? 0x0fb0 : 0x0fb1, r, m, size == 1);
}

/* [m] = [m] op r */
static inline void x86_lock_alu_mr(struct x86_buf *b, unsigned size, enum x86_alu op,
                                   struct x86_mem m, enum x86_reg r)
{
    x86_8(b, 0xf0);
    x86_op_rm(b, size == 2 ? 0x66 : 0, size == 8, (unsigned)op << 3 | (size != 1), r, m, size == 1);
}

/* If [m] equals RDX:RAX, [m] = RCX:RBX, else RDX:RAX = [m]. */
static inline void x86_lock_cmpxchg16b(struct x86_buf *b, struct x86_mem m)
{
    x86_8(b, 0xf0);
    x86_op_rm(b, 0, 1, 0x0fc7, 1, m, false);
}

/* LOCK OR dword [m], imm8: a full barrier with imm 0. */
static inline void x86_lock_or_mi(struct x86_buf *b, struct x86_mem m, unsigned imm)
{
    x86_8(b, 0xf0);
    x86_op_rm(b, 0, 0, 0x83, X86_OR, m, false);
    x86_imm8(b, imm);
}

/* Control. Jumps are forward: they return where their 32-bit displacement is, for x86_here() or
 * x86_patch(). */

static inline uint8_t *x86_jump(struct x86_buf *b, unsigned op)
{
    x86_op_r(b, 0, op, 0);
    x86_note_site(b, b->p);
    x86_32(b, 0);
    return b->p - 4;
}

static inline uint8_t *x86_jcc(struct x86_buf *b, enum x86_cc cc)
{
    return x86_jump(b, 0x0f80 | (cc & 15));
}

static inline uint8_t *x86_jmp(struct x86_buf *b)
{
    return x86_jump(b, 0xe9);
}

static inline uint8_t *x86_call(struct x86_buf *b)
{
    return x86_jump(b, 0xe8);
}

/* Make the displacement at `at` lead to `to`, both as written. */
static inline void x86_patch(uint8_t *at, const uint8_t *to)
{
    int32_t rel = (int32_t)(to - (at + 4));

    memcpy(at, &rel, 4);
}

/* JMP, CALL to what is known. */
static inline void x86_jump_to(struct x86_buf *b, unsigned op, const uint8_t *to)
{
    uint8_t *at = b->p + 1;

    x86_put(b, op | (uint64_t)(uint32_t)(to - (at + 4)) << 8, 5);
    x86_note_site(b, at);
}

static inline void x86_jmp_to(struct x86_buf *b, const uint8_t *to)
{
    x86_jump_to(b, 0xe9, to);
}

static inline void x86_call_to(struct x86_buf *b, const uint8_t *to)
{
    x86_jump_to(b, 0xe8, to);
}

static inline void x86_here(struct x86_buf *b, uint8_t *at)
{
    x86_patch(at, b->p);
}

/* A short forward jump over at most 127 bytes: where its displacement is, for x86_here8(). */
static inline uint8_t *x86_jcc8(struct x86_buf *b, enum x86_cc cc)
{
    x86_put(b, 0x70 | cc, 2);
    return b->p - 1;
}

static inline void x86_here8(struct x86_buf *b, uint8_t *at)
{
    *at = (uint8_t)(b->p - (at + 1));
}

static inline void x86_jmp_r(struct x86_buf *b, enum x86_reg r)
{
    x86_op_rr(b, 0, 0, 0xff, 4, r, false);
}

static inline void x86_jmp_m(struct x86_buf *b, struct x86_mem m)
{
    x86_op_rm(b, 0, 0, 0xff, 4, m, false);
}

static inline void x86_call_m(struct x86_buf *b, struct x86_mem m)
{
    x86_op_rm(b, 0, 0, 0xff, 2, m, false);
}

static inline void x86_call_r(struct x86_buf *b, enum x86_reg r)
{
    x86_op_rr(b, 0, 0, 0xff, 2, r, false);
}

static inline void x86_ret(struct x86_buf *b)
{
    x86_plain(b, 0xc3);
}

static inline void x86_push(struct x86_buf *b, enum x86_reg r)
{
    x86_op_r(b, 0, 0x50 | (r & 7), r);
}

static inline void x86_pop(struct x86_buf *b, enum x86_reg r)
{
    x86_op_r(b, 0, 0x58 | (r & 7), r);
}

/* LEA d, [rip + ahead]: an address in the same part of a block, so it is no site. */
static inline void x86_lea_ahead(struct x86_buf *b, enum x86_reg d, uint32_t ahead)
{
    x86_op_rip(b, 0, 1, 0x8d, d, (int32_t)ahead);
}

/* LEA d, [rip + (to - here)]: the address at which `to`, as written, executes. */
static inline void x86_lea_rip(struct x86_buf *b, enum x86_reg d, const uint8_t *to)
{
    x86_op_rip(b, 0, 1, 0x8d, d, 0);
    x86_rip_to(b, to, 0);
}

#endif
