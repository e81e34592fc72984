/*
 * Advanced SIMD permutations: ZIP, UZP, TRN, EXT, TBL and TBX. DDI 0487 C4.1.96.
 */
#include "soft/interp/simd.h"

/* Even elements of n then m with part 0, odd ones with part 1. */
ALWAYS_INLINE const struct insn *unzip(unsigned size, struct cpu *c, const struct insn *i,
                                       unsigned part)
{
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm];
    unsigned elements = simd_elements(i, size);
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < elements; k++) {
        unsigned from = 2 * k + part;
        simd_set(&r, size, k,
                 from < elements ? simd_get(n, size, from) : simd_get(m, size, from - elements));
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(UZP1)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_size(i), unzip, c, i, 0);
}

INSN(UZP2)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_size(i), unzip, c, i, 1);
}

/* The lower halves (part 0) or upper halves of n and m, interleaved. */
ALWAYS_INLINE const struct insn *zip(unsigned size, struct cpu *c, const struct insn *i,
                                     unsigned part)
{
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm];
    unsigned half = simd_elements(i, size) / 2;
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < half; k++) {
        simd_set(&r, size, 2 * k, simd_get(n, size, k + part * half));
        simd_set(&r, size, 2 * k + 1, simd_get(m, size, k + part * half));
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(ZIP1)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_size(i), zip, c, i, 0);
}

INSN(ZIP2)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_size(i), zip, c, i, 1);
}

/* Even (part 0) or odd elements of n and m, interleaved. */
ALWAYS_INLINE const struct insn *transpose(unsigned size, struct cpu *c, const struct insn *i,
                                           unsigned part)
{
    const union vreg *n = &c->v[i->rn], *m = &c->v[i->rm];
    unsigned elements = simd_elements(i, size);
    union vreg r = { .d = { 0, 0 } };

    for (unsigned k = 0; k < elements; k += 2) {
        simd_set(&r, size, k, simd_get(n, size, k + part));
        simd_set(&r, size, k + 1, simd_get(m, size, k + part));
    }
    c->v[i->rd] = r;
    return interp_next(c, i);
}

INSN(TRN1)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_size(i), transpose, c, i, 0);
}

INSN(TRN2)
{
    fp_check(c, i);
    SIMD_BY_SIZE(simd_size(i), transpose, c, i, 1);
}

INSN(EXT)
{
    fp_check(c, i);
    unsigned bytes = simd_q(i) ? 16 : 8, from = (unsigned)bits(i->word, 14, 11);
    uint8_t both[32];
    union vreg r = { .d = { 0, 0 } };

    memcpy(both, c->v[i->rn].b, bytes);
    memcpy(both + bytes, c->v[i->rm].b, bytes);
    memcpy(r.b, both + from, bytes);
    c->v[i->rd] = r;
    return interp_next(c, i);
}

/* Bytes of a table of 1 to 4 registers; an index outside takes the byte of `r`. */
static const struct insn *table(struct cpu *c, const struct insn *i, union vreg r)
{
    const union vreg index = c->v[i->rm];
    unsigned registers = (unsigned)bits(i->word, 14, 13) + 1;
    uint8_t bytes[64];

    for (unsigned k = 0; k < registers; k++)
        memcpy(bytes + 16 * k, c->v[(i->rn + k) % 32].b, 16);
    for (unsigned k = 0; k < 16; k++)
        if (index.b[k] < 16 * registers)
            r.b[k] = bytes[index.b[k]];
    return simd_write(c, i, r);
}

INSN(TBL)
{
    fp_check(c, i);
    return table(c, i, (union vreg){ .d = { 0, 0 } });
}

INSN(TBX)
{
    fp_check(c, i);
    return table(c, i, c->v[i->rd]);
}
