/*
 * The formats of soft/a64.decode: from the fields of a word to the operands of a struct insn, once
 * per word. What register 31 means is settled here (the stack pointer, zero, or a result that
 * nobody reads), immediates are expanded and displacements made relative to the page, so that the
 * functions which execute are as short as they can be.
 *
 * Source: DDI 0487 C4.1 (fields), C6.2 (what they mean), shared pseudocode DecodeBitMasks().
 */
#include "soft/interp/interp.h"

#include "base/bits.h"

static uint8_t source(unsigned reg)
{
    return reg == 31 ? REG_ZR : (uint8_t)reg;
}

static uint8_t destination(unsigned reg)
{
    return reg == 31 ? REG_NONE : (uint8_t)reg;
}

static unsigned field_rd(const struct insn *i)
{
    return i->word & 31;
}

static unsigned field_rn(const struct insn *i)
{
    return i->word >> 5 & 31;
}

static unsigned field_rm(const struct insn *i)
{
    return i->word >> 16 & 31;
}

static unsigned field_ra(const struct insn *i)
{
    return i->word >> 10 & 31;
}

/* 64 or 32, by the bit that is `sf` in most encodings. */
static unsigned field_width(const struct insn *i)
{
    return bit(i->word, 31) ? 64 : 32;
}

/* Register numbers as they are: 31 is the stack pointer or a SIMD&FP register. */
void format_raw(struct insn *i)
{
    i->rd = (uint8_t)field_rd(i);
    i->rn = (uint8_t)field_rn(i);
    i->rm = (uint8_t)field_rm(i);
    i->ra = (uint8_t)field_ra(i);
}

/* Three general registers, none of them the stack pointer. */
void format_rrr(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->rn = source(field_rn(i));
    i->rm = source(field_rm(i));
}

void format_rrrr(struct insn *i)
{
    format_rrr(i);
    i->ra = source(field_ra(i));
}

/* a: amount, b: LSL, LSR, ASR or ROR. */
void format_rrr_shift(struct insn *i)
{
    format_rrr(i);
    i->a = (uint8_t)bits(i->word, 15, 10);
    i->b = (uint8_t)bits(i->word, 23, 22);
}

/*
 * The second operand is extended from imm, a mask of its low bits; b: as a signed value; a: then
 * shifted left.
 */
static void set_extension(struct insn *i, unsigned option, unsigned shift)
{
    unsigned width = 8u << (option & 3);

    i->imm = (int64_t)ones(width);
    i->b = option >= 4 && width < 64;
    i->a = (uint8_t)shift;
}

void format_addsub_ext(struct insn *i)
{
    i->rd = (uint8_t)field_rd(i);
    i->rn = (uint8_t)field_rn(i);
    i->rm = source(field_rm(i));
    set_extension(i, (unsigned)bits(i->word, 15, 13), (unsigned)bits(i->word, 12, 10));
}

void format_addsubs_ext(struct insn *i)
{
    format_addsub_ext(i);
    i->rd = destination(field_rd(i));
}

/* Immediates. */

void format_adr(struct insn *i)
{
    uint64_t imm = bits(i->word, 23, 5) << 2 | bits(i->word, 30, 29);

    i->rd = destination(field_rd(i));
    i->imm = sign_extend(imm, 21) + i->offset;
}

void format_adrp(struct insn *i)
{
    uint64_t imm = bits(i->word, 23, 5) << 2 | bits(i->word, 30, 29);

    i->rd = destination(field_rd(i));
    i->imm = sign_extend(imm << 12, 33);
}

void format_addsub_imm(struct insn *i)
{
    i->rd = (uint8_t)field_rd(i);
    i->rn = (uint8_t)field_rn(i);
    i->imm = (int64_t)(bits(i->word, 21, 10) << (bit(i->word, 22) ? 12 : 0));
}

void format_addsubs_imm(struct insn *i)
{
    format_addsub_imm(i);
    i->rd = destination(field_rd(i));
}

/* DecodeBitMasks() for a value that it accepts: the immediate of logical instructions. */
static uint64_t expand_bitmask(unsigned n, unsigned immr, unsigned imms, unsigned width)
{
    unsigned size = 64;

    if (!n)
        for (size = 32; imms & size; size >>= 1)
            continue;
    unsigned levels = size - 1;
    unsigned rotate = immr & levels;
    uint64_t element = ones((imms & levels) + 1);

    if (rotate)
        element = (element >> rotate | element << (size - rotate)) & ones(size);
    for (; size < 64; size *= 2)
        element |= element << size;
    return element & ones(width);
}

void format_logicals_imm(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->rn = source(field_rn(i));
    i->imm = (int64_t)expand_bitmask(bit(i->word, 22), (unsigned)bits(i->word, 21, 16),
                                     (unsigned)bits(i->word, 15, 10), field_width(i));
}

void format_logical_imm(struct insn *i)
{
    format_logicals_imm(i);
    i->rd = (uint8_t)field_rd(i);
}

void format_movz(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->imm = (int64_t)(bits(i->word, 20, 5) << (16 * bits(i->word, 22, 21)));
}

void format_movn(struct insn *i)
{
    format_movz(i);
    i->imm = (int64_t)(~(uint64_t)i->imm & ones(field_width(i)));
}

/* a: where the 16 bits go. */
void format_movk(struct insn *i)
{
    format_movz(i);
    i->a = (uint8_t)(16 * bits(i->word, 22, 21));
}

/*
 * SBFM, BFM and UBFM move a field either down to bit 0 or up from it; which one is known here. Down
 * (UBFX, LSR ...): a is the shift and imm the mask after it. Up (UBFIZ, LSL ...): the same with a
 * shift left. BFM: b clears the high half of a 32-bit result. Signed: shift left by a, then right
 * by b, arithmetically.
 */
void format_bitfield(struct insn *i)
{
    unsigned width = field_width(i);
    unsigned immr = (unsigned)bits(i->word, 21, 16), imms = (unsigned)bits(i->word, 15, 10);
    unsigned opc = (unsigned)bits(i->word, 30, 29);
    bool down = imms >= immr;

    i->rd = destination(field_rd(i));
    i->rn = source(field_rn(i));
    if (opc == 0) {
        i->a = (uint8_t)(63 - imms);
        i->b = (uint8_t)(63 - imms + immr - (down ? 0 : width));
        return;
    }
    i->a = (uint8_t)(down ? immr : width - immr);
    i->imm = (int64_t)(down ? ones(imms - immr + 1) : ones(imms + 1) << i->a);
    i->b = (uint8_t)(64 - width);
    if (!down)
        i->fn = opc == 1 ? interp_BFI : interp_UBFIZ;
}

void format_extr(struct insn *i)
{
    format_rrr(i);
    i->a = (uint8_t)bits(i->word, 15, 10);
}

/* Conditional instructions and flags: a is the condition, b the immediate NZCV. */

void format_csel(struct insn *i)
{
    format_rrr(i);
    i->a = (uint8_t)bits(i->word, 15, 12);
}

void format_ccmp(struct insn *i)
{
    format_csel(i);
    i->b = (uint8_t)bits(i->word, 3, 0);
}

void format_ccmp_imm(struct insn *i)
{
    format_ccmp(i);
    i->imm = (int64_t)bits(i->word, 20, 16);
}

/* RMIF and SETF: a is the rotation, b the mask of flags. */
void format_flags(struct insn *i)
{
    i->rn = source(field_rn(i));
    i->a = (uint8_t)bits(i->word, 20, 15);
    i->b = (uint8_t)bits(i->word, 3, 0);
}

/* Branches: imm is the target relative to the page. */

void format_branch26(struct insn *i)
{
    i->imm = sign_extend(bits(i->word, 25, 0) << 2, 28) + i->offset;
    branch_specialise(i);
}

/* a: the condition of B.cond. */
void format_branch19(struct insn *i)
{
    i->rn = source(field_rd(i));
    i->a = (uint8_t)bits(i->word, 3, 0);
    i->imm = sign_extend(bits(i->word, 23, 5) << 2, 21) + i->offset;
    branch_specialise(i);
}

/* a: the bit that TBZ and TBNZ test. */
void format_branch14(struct insn *i)
{
    i->rn = source(field_rd(i));
    i->a = (uint8_t)(bit(i->word, 31) << 5 | bits(i->word, 23, 19));
    i->imm = sign_extend(bits(i->word, 18, 5) << 2, 16) + i->offset;
    branch_specialise(i);
}

void format_branch_reg(struct insn *i)
{
    i->rn = source(field_rn(i));
}

/* Pointer authentication: soft/interp/pauth.c says what it expects. */

static void pac_operands(struct insn *i, unsigned pointer, uint8_t modifier, unsigned key)
{
    i->rd = destination(pointer);
    i->rm = source(pointer);
    i->rn = modifier;
    i->a = (uint8_t)key;
}

/* PACIA and its kin have the stack pointer for 31; their Z forms and XPAC have no modifier. */
void format_pac(struct insn *i)
{
    pac_operands(i, field_rd(i), (uint8_t)field_rn(i), i->word >> 10 & 3);
}

void format_pac_zero(struct insn *i)
{
    pac_operands(i, field_rd(i), REG_ZR, i->word >> 10 & 3);
}

void format_pacga(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->rn = source(field_rn(i));
    i->rm = (uint8_t)field_rm(i);
}

/* CRm 1: X17 with X16. Others: X30 with SP, if the lowest bit of op2 is set, or with nothing. */
void format_pac_hint(struct insn *i)
{
    unsigned b = i->word >> 6 & 1;

    if ((i->word >> 8 & 15) == 1)
        pac_operands(i, 17, 16, b);
    else if ((i->word >> 8 & 15) == 3)
        pac_operands(i, 30, bit(i->word, 5) ? REG_SP : REG_ZR, b);
    else /* XPACLRI: a code pointer */
        pac_operands(i, 30, REG_ZR, 0);
}

/* BRAA, BLRAA, RETAA and their Z and B forms; RETAA has SP for modifier and X30 for target. */
void format_branch_auth(struct insn *i)
{
    bool is_return = (i->word >> 21 & 15) == 2;

    i->rn = is_return ? REG_LR : source(field_rn(i));
    i->rm = bit(i->word, 24) || is_return ? (uint8_t)field_rd(i) : REG_ZR;
    i->a = i->word >> 10 & 1;
}

void format_load_auth(struct insn *i)
{
    uint64_t offset = bits(i->word, 22, 22) << 9 | bits(i->word, 20, 12);

    i->rd = destination(field_rd(i));
    i->rn = (uint8_t)field_rn(i);
    i->imm = sign_extend(offset, 10) * 8;
    i->a = bit(i->word, 23) ? 3 : 2; /* keys DA and DB */
}

/* System. */

void format_exception(struct insn *i)
{
    i->imm = (int64_t)bits(i->word, 20, 5);
}

/* rd: where a read goes; rn: what a write takes. */
void format_sysreg(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->rn = source(field_rd(i));
}

/*
 * Loads and stores. rd is the register transferred, rn the base, which register 31 makes the stack
 * pointer; imm is in bytes.
 */

static void set_uimm(struct insn *i, unsigned scale)
{
    i->rn = (uint8_t)field_rn(i);
    i->imm = (int64_t)(bits(i->word, 21, 10) << scale);
}

static void set_imm9(struct insn *i)
{
    i->rn = (uint8_t)field_rn(i);
    i->imm = sign_extend(bits(i->word, 20, 12), 9);
}

static void set_reg(struct insn *i, unsigned scale)
{
    i->rn = (uint8_t)field_rn(i);
    i->rm = source(field_rm(i));
    set_extension(i, (unsigned)bits(i->word, 15, 13), bit(i->word, 12) ? scale : 0);
}

/* log2 of the bytes of a general or a SIMD&FP register transfer. */
static unsigned scale_general(const struct insn *i)
{
    return (unsigned)bits(i->word, 31, 30);
}

static unsigned scale_vector(const struct insn *i)
{
    return (unsigned)(bit(i->word, 23) << 2 | bits(i->word, 31, 30));
}

void format_load_uimm(struct insn *i)
{
    i->rd = destination(field_rd(i));
    set_uimm(i, scale_general(i));
}

void format_store_uimm(struct insn *i)
{
    i->rd = source(field_rd(i));
    set_uimm(i, scale_general(i));
}

void format_vldst_uimm(struct insn *i)
{
    i->rd = (uint8_t)field_rd(i);
    set_uimm(i, scale_vector(i));
}

void format_load_imm9(struct insn *i)
{
    i->rd = destination(field_rd(i));
    set_imm9(i);
}

void format_store_imm9(struct insn *i)
{
    i->rd = source(field_rd(i));
    set_imm9(i);
}

void format_vldst_imm9(struct insn *i)
{
    i->rd = (uint8_t)field_rd(i);
    set_imm9(i);
}

void format_load_reg(struct insn *i)
{
    i->rd = destination(field_rd(i));
    set_reg(i, scale_general(i));
}

void format_store_reg(struct insn *i)
{
    i->rd = source(field_rd(i));
    set_reg(i, scale_general(i));
}

void format_vldst_reg(struct insn *i)
{
    i->rd = (uint8_t)field_rd(i);
    set_reg(i, scale_vector(i));
}

void format_load_literal(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->imm = sign_extend(bits(i->word, 23, 5) << 2, 21) + i->offset;
}

void format_vload_literal(struct insn *i)
{
    format_load_literal(i);
    i->rd = (uint8_t)field_rd(i);
}

/* Pairs: ra is the second register. */

static void set_pair(struct insn *i, unsigned scale)
{
    i->rn = (uint8_t)field_rn(i);
    i->imm = sign_extend(bits(i->word, 21, 15), 7) * (1 << scale);
}

void format_load_pair(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->ra = destination(field_ra(i));
    set_pair(i, bit(i->word, 31) ? 3 : 2);
}

void format_store_pair(struct insn *i)
{
    i->rd = source(field_rd(i));
    i->ra = source(field_ra(i));
    set_pair(i, bit(i->word, 31) ? 3 : 2);
}

void format_vldst_pair(struct insn *i)
{
    i->rd = (uint8_t)field_rd(i);
    i->ra = (uint8_t)field_ra(i);
    set_pair(i, 2 + (unsigned)bits(i->word, 31, 30));
}

/* Exclusive, ordered and atomic: a is the number of bytes of one register, imm the displacement. */

static void set_ordered(struct insn *i)
{
    i->rn = (uint8_t)field_rn(i);
    i->a = (uint8_t)(1 << bits(i->word, 31, 30));
}

void format_load_ordered(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->ra = destination(field_ra(i));
    set_ordered(i);
}

void format_store_ordered(struct insn *i)
{
    i->rd = source(field_rd(i));
    set_ordered(i);
}

/* b: LDAPURS writes this many bits. */
void format_load_ordered9(struct insn *i)
{
    format_load_ordered(i);
    i->b = bits(i->word, 23, 22) == 3 ? 32 : 64;
    i->imm = sign_extend(bits(i->word, 20, 12), 9);
}

void format_store_ordered9(struct insn *i)
{
    format_store_ordered(i);
    i->imm = sign_extend(bits(i->word, 20, 12), 9);
}

/* rm: the status. */
void format_stxr(struct insn *i)
{
    i->rd = source(field_rd(i));
    i->ra = source(field_ra(i));
    i->rm = destination(field_rm(i));
    set_ordered(i);
}

/* rm: the operand; rd: where the old value goes. */
void format_atomic(struct insn *i)
{
    i->rd = destination(field_rd(i));
    i->rm = source(field_rm(i));
    set_ordered(i);
}

/* Compare and swap. rd: the new value; rm: the value compared with; b: where the old value goes. */
void format_cas(struct insn *i)
{
    i->rd = source(field_rd(i));
    i->rm = source(field_rm(i));
    i->b = destination(field_rm(i));
    set_ordered(i);
}

/* Of a pair: the registers that follow. ra: new; imm: compared with; b: where the old value goes.
 * The first ones are even, so they are not register 31. */
void format_casp(struct insn *i)
{
    format_raw(i);
    i->a = bit(i->word, 30) ? 8 : 4;
    i->ra = source(i->rd + 1u);
    i->imm = source(i->rm + 1u);
    i->b = destination(i->rm + 1u);
}
