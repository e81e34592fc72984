/*
 * Emits x86-64 machine code. Source: Intel SDM volume 2.
 *
 * One function an instruction form, inline, a few stores each. `w` is 1 for 64-bit operands and 0
 * for 32-bit ones, whose results clear the upper half of a register just as A64's W forms do.
 */
#ifndef SOFT_JIT_X86_H
#define SOFT_JIT_X86_H

#include "soft/jit/x86_encode.h"

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

/* AND of the low bytes */
static inline void x86_and8_mi(struct x86_buf *b, struct x86_mem m, unsigned imm)
{
    x86_op_rm(b, 0, 0, 0x80, X86_AND, m, false);
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

/* d = d:s shifted left by count, the high half. */
static inline void x86_shld_ri(struct x86_buf *b, unsigned w, enum x86_reg d, enum x86_reg s,
                               unsigned count)
{
    x86_op_rr(b, 0, w, 0x0fa4, s, d, false);
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

/* So many bytes that do nothing, 7 at most. */
static inline void x86_nop(struct x86_buf *b, unsigned size)
{
    static const uint64_t nop[8] = { 0,
                                     0x90,
                                     0x9066,
                                     0x1f0f | 0x00ull << 16,
                                     0x1f0f | 0x40ull << 16,
                                     0x1f0f | 0x44ull << 16,
                                     0x1f0f66 | 0x44ull << 24,
                                     0x1f0f | 0x80ull << 16 };

    x86_put(b, nop[size & 7], size);
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

/* d = d op [to], 64 bits in the code cache. */
static inline void x86_alu_rip(struct x86_buf *b, enum x86_alu op, enum x86_reg d,
                               const uint8_t *to)
{
    x86_op_rip(b, 0, 1, 0x03 | op << 3, d, 0);
    x86_rip_to(b, to, 0);
}

/* LEA d, [rip + (to - here)]: the address at which `to`, as written, executes. */
static inline void x86_lea_rip(struct x86_buf *b, enum x86_reg d, const uint8_t *to)
{
    x86_op_rip(b, 0, 1, 0x8d, d, 0);
    x86_rip_to(b, to, 0);
}

#endif
