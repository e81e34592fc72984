/*
 * Advanced SIMD copy (DUP, INS, SMOV, UMOV) and modified immediate (MOVI, MVNI, ORR, BIC, FMOV).
 * DDI 0487 C4.1.96, AdvSIMDExpandImm().
 */
#include "soft/interp/simd.h"

/* imm5 = index : 1 : zeros, with as many zeros as log2 of the element's bytes. */
static unsigned copy_size(const struct insn *i)
{
    return (unsigned)__builtin_ctz((unsigned)bits(i->word, 20, 16) | 16);
}

static unsigned copy_index(const struct insn *i)
{
    return (unsigned)bits(i->word, 20, 16) >> (copy_size(i) + 1);
}

static uint64_t replicate(uint64_t value, unsigned size)
{
    static const uint64_t ones_at[4] = { 0x0101010101010101, 0x0001000100010001, 0x0000000100000001,
                                         1 };

    return (value & ones(8u << size)) * ones_at[size];
}

static uint64_t general_register(const struct cpu *c, unsigned reg)
{
    return c->x[reg == 31 ? REG_ZR : reg];
}

INSN(DUP_element)
{
    fp_check(c, i);
    unsigned size = copy_size(i);
    uint64_t value = replicate(simd_get(&c->v[i->rn], size, copy_index(i)), size);
    return simd_write(c, i, (union vreg){ .d = { value, value } });
}

INSN(DUP_scalar)
{
    fp_check(c, i);
    return simd_write_scalar(c, i, simd_get(&c->v[i->rn], copy_size(i), copy_index(i)));
}

INSN(DUP_general)
{
    fp_check(c, i);
    uint64_t value = replicate(general_register(c, i->rn), copy_size(i));
    return simd_write(c, i, (union vreg){ .d = { value, value } });
}

INSN(INS_general)
{
    fp_check(c, i);
    simd_set(&c->v[i->rd], copy_size(i), copy_index(i), general_register(c, i->rn));
    return interp_next(c, i);
}

INSN(INS_element)
{
    fp_check(c, i);
    unsigned size = copy_size(i);
    unsigned from = (unsigned)bits(i->word, 14, 11) >> size;
    simd_set(&c->v[i->rd], size, copy_index(i), simd_get(&c->v[i->rn], size, from));
    return interp_next(c, i);
}

INSN(UMOV)
{
    fp_check(c, i);
    c->x[i->rd == 31 ? REG_NONE : i->rd] = simd_get(&c->v[i->rn], copy_size(i), copy_index(i));
    return interp_next(c, i);
}

INSN(SMOV)
{
    fp_check(c, i);
    unsigned size = copy_size(i);
    int64_t value = sign_extend(simd_get(&c->v[i->rn], size, copy_index(i)), 8u << size);
    c->x[i->rd == 31 ? REG_NONE : i->rd] = simd_q(i) ? (uint64_t)value : (uint32_t)value;
    return interp_next(c, i);
}

/* VFPExpandImm(): the 8-bit immediate as a number of n bits. */
static uint64_t expand_fp(unsigned imm8, unsigned n)
{
    unsigned exp_bits = n == 16 ? 5 : n == 32 ? 8 : 11;
    unsigned frac_bits = n - 1 - exp_bits;
    uint64_t sign = imm8 >> 7, high = imm8 >> 6 & 1;
    uint64_t exp =
        (high ^ 1) << (exp_bits - 1) | (high ? ones(exp_bits - 3) << 2 : 0) | (imm8 >> 4 & 3);

    return sign << (n - 1) | exp << frac_bits | (uint64_t)(imm8 & 15) << (frac_bits - 4);
}

/* AdvSIMDExpandImm() for everything but FMOV. */
static uint64_t expand_immediate(bool op, unsigned cmode, unsigned imm8)
{
    if (cmode < 8)
        return replicate((uint64_t)imm8 << (cmode >> 1) * 8, 2);
    if (cmode < 12)
        return replicate((uint64_t)imm8 << (cmode >> 1 & 1) * 8, 1);
    if (cmode == 12)
        return replicate((uint64_t)imm8 << 8 | 0xff, 2);
    if (cmode == 13)
        return replicate((uint64_t)imm8 << 16 | 0xffff, 2);
    if (!op)
        return replicate(imm8, 0);

    uint64_t mask = 0;
    for (unsigned k = 0; k < 8; k++)
        mask |= bit(imm8, k) ? 0xffull << (8 * k) : 0;
    return mask;
}

static unsigned modified_imm8(const struct insn *i)
{
    return (unsigned)(bits(i->word, 18, 16) << 5 | bits(i->word, 9, 5));
}

uint64_t simd_modified_immediate(const struct insn *i)
{
    return expand_immediate(simd_u(i), (unsigned)bits(i->word, 15, 12), modified_imm8(i));
}

INSN(MOVI)
{
    fp_check(c, i);
    uint64_t imm = simd_modified_immediate(i);
    return simd_write(c, i, (union vreg){ .d = { imm, imm } });
}

INSN(MVNI)
{
    fp_check(c, i);
    uint64_t imm = ~simd_modified_immediate(i);
    return simd_write(c, i, (union vreg){ .d = { imm, imm } });
}

INSN(ORR_vimm)
{
    fp_check(c, i);
    uint64_t imm = simd_modified_immediate(i);
    const union vreg *d = &c->v[i->rd];
    return simd_write(c, i, (union vreg){ .d = { d->d[0] | imm, d->d[1] | imm } });
}

INSN(BIC_vimm)
{
    fp_check(c, i);
    uint64_t imm = ~simd_modified_immediate(i);
    const union vreg *d = &c->v[i->rd];
    return simd_write(c, i, (union vreg){ .d = { d->d[0] & imm, d->d[1] & imm } });
}

/* Bit 11 (o2) says half, op double. */
uint64_t simd_fp_immediate(const struct insn *i)
{
    unsigned size = bit(i->word, 11) ? 1 : simd_u(i) ? 3 : 2;
    return replicate(expand_fp(modified_imm8(i), 8u << size), size);
}

INSN(FMOV_vimm)
{
    fp_check(c, i);
    uint64_t imm = simd_fp_immediate(i);
    return simd_write(c, i, (union vreg){ .d = { imm, imm } });
}

/* Scalar FMOV: the type is in bits 23:22, the immediate in bits 20:13. */
uint64_t simd_fp_scalar_immediate(const struct insn *i)
{
    static const uint8_t width[4] = { 32, 64, 0, 16 };
    return expand_fp((unsigned)bits(i->word, 20, 13), width[simd_size(i)]);
}

INSN(FMOV_imm)
{
    fp_check(c, i);
    return simd_write_scalar(c, i, simd_fp_scalar_immediate(i));
}
