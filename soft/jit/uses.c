/*
 * Which general registers an instruction reads and writes, by its class (DDI 0487 C4.1), for what
 * moves values from one place to another: exact in what is written; what is read may be more than
 * is needed.
 */
#include "soft/jit/translate.h"

#include "base/bits.h"

enum { RD = 1, RN = 2, RM = 4, RA = 8 };

/* Data processing: words with (word & mask) == value, by the latter's bits 28:24. */
static const struct {
    uint32_t mask, value;
    unsigned reads, writes;
} classes[] = {
    { 0x1f000000, 0x10000000, 0, RD },            /* ADR, ADRP */
    { 0x1f800000, 0x11000000, RN, RD },           /* ADD, SUB immediate */
    { 0x1f800000, 0x12000000, RN, RD },           /* logical immediate */
    { 0x7f800000, 0x72800000, RD, RD },           /* MOVK */
    { 0x1f800000, 0x12800000, 0, RD },            /* MOVN, MOVZ */
    { 0x7f800000, 0x33000000, RD | RN, RD },      /* BFM */
    { 0x1f800000, 0x13000000, RN, RD },           /* SBFM, UBFM */
    { 0x1f800000, 0x13800000, RN | RM, RD },      /* EXTR */
    { 0x1f000000, 0x0a000000, RN | RM, RD },      /* logical, of registers */
    { 0x1f000000, 0x0b000000, RN | RM, RD },      /* ADD, SUB, of registers */
    { 0x1fe0fc00, 0x1a000000, RN | RM, RD },      /* ADC, SBC */
    { 0x1fe00410, 0x1a400000, RN | RM, 0 },       /* CCMP, CCMN */
    { 0x1fe00000, 0x1a800000, RN | RM, RD },      /* CSEL and its kin */
    { 0x7fe00000, 0x1ac00000, RN | RM, RD },      /* two sources: shifts, divisions, CRC32 */
    { 0x7fff0000, 0x5ac00000, RN, RD },           /* one source: REV, CLZ */
    { 0x1f000000, 0x1b000000, RN | RM | RA, RD }, /* three sources: MADD and its kin */
};

/* Those of bits 28:24: from the first on, so many. */
static const struct {
    uint8_t first, count;
} of_top[32] = {
    [0x0a] = { 8, 1 }, [0x0b] = { 9, 1 }, [0x10] = { 0, 1 },  [0x11] = { 1, 1 },
    [0x12] = { 2, 3 }, [0x13] = { 5, 3 }, [0x1a] = { 10, 5 }, [0x1b] = { 15, 1 },
};

/* Between general and V registers. */
static const struct {
    uint32_t mask, value;
    unsigned reads, writes;
} between[] = {
    { 0x7f37fc00, 0x1e260000, 0, RD }, /* FMOV to general, halves of Q as well */
    { 0xbfe0fc00, 0x0e003c00, 0, RD }, /* UMOV */
    { 0xbfe0fc00, 0x0e002c00, 0, RD }, /* SMOV */
};

static uint32_t bit_of(unsigned reg)
{
    return reg <= REG_SP ? 1u << reg : 0;
}

static uint32_t mask_of(const struct insn *i, unsigned fields)
{
    return (fields & RD ? bit_of(i->rd) : 0) | (fields & RN ? bit_of(i->rn) : 0) |
           (fields & RM ? bit_of(i->rm) : 0) | (fields & RA ? bit_of(i->ra) : 0);
}

static struct jit_uses uses(const struct insn *i, unsigned reads, unsigned writes, bool plain)
{
    return (struct jit_uses){
        .reads = mask_of(i, reads),
        .writes = mask_of(i, writes),
        .known = true,
        .plain = plain,
    };
}

/* V registers have the numbers in rd and ra of loads and stores with bit 26. */
static struct jit_uses uses_of_pair(const struct insn *i)
{
    uint32_t w = i->word;
    unsigned base = bit(w, 23) ? RN : 0, both = bit(w, 26) ? 0 : RD | RA;

    if (!bit(w, 22) && !bit(w, 26) && bits(w, 31, 30) == 1)
        return (struct jit_uses){ 0 }; /* STGP */
    return bit(w, 22) ? uses(i, RN, base | both, false) : uses(i, RN | both, base, false);
}

static struct jit_uses uses_of_single(const struct insn *i)
{
    uint32_t w = i->word;
    unsigned opc = (unsigned)bits(w, 23, 22), form = (unsigned)bits(w, 11, 10);
    unsigned index = 0, base = 0, reg = bit(w, 26) ? 0 : RD;

    if (!bit(w, 24) && bit(w, 21)) {
        if (form != 2)
            return (struct jit_uses){ 0 }; /* atomics, authenticated loads */
        index = RM;
    } else if (!bit(w, 24)) {
        base = form == 1 || form == 3 ? RN : 0;
    }
    if (!bit(w, 26) && bits(w, 31, 30) == 3 && opc == 2)
        return uses(i, RN | index, 0, false); /* PRFM */
    return opc == 0 ? uses(i, RN | index | reg, base, false)
                    : uses(i, RN | index, base | reg, false);
}

static bool is_crc32(uint32_t word)
{
    return (word & 0x7fe0f000) == 0x1ac04000;
}

struct jit_uses jit_uses_of(jit_t t, const struct jit_insn *n)
{
    const struct insn *i = &n->i;
    uint32_t w = i->word;

    if (!jit_emitters[n->op] || (is_crc32(w) && !t->jit->host.pclmul))
        return (struct jit_uses){ 0 };
    unsigned k = of_top[w >> 24 & 31].first, end = k + of_top[w >> 24 & 31].count;
    for (; k < end; k++)
        if ((w & classes[k].mask) == classes[k].value)
            return uses(i, classes[k].reads, classes[k].writes, true);
    if ((w & 0x3a000000) == 0x28000000)
        return uses_of_pair(i);
    if ((w & 0x3a000000) == 0x38000000)
        return uses_of_single(i);
    if ((w & 0xbe000000) == 0x0c000000) /* LD1 to LD4, ST1 to ST4 */
        return bit(w, 23) ? uses(i, RN | RM, RN, false) : uses(i, RN, 0, false);
    for (k = 0; k < ARRAY_LEN(between); k++)
        if ((w & between[k].mask) == between[k].value)
            return uses(i, between[k].reads, between[k].writes, false);
    if (jit_is_vector_only(t, n) || (w & 0xff000010) == 0x54000000) /* B.cond */
        return uses(i, 0, 0, false);
    if ((w & 0x7c000000) == 0x34000000) /* CBZ, CBNZ, TBZ, TBNZ */
        return uses(i, RN, 0, false);
    if ((w & 0xfc000000) == 0x14000000 || w == 0xd503201f) /* B, NOP */
        return uses(i, 0, 0, true);
    return (struct jit_uses){ 0 };
}
