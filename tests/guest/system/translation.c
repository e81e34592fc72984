/*
 * Translation that succeeds: each granule, level and size of the address space, contiguous entries,
 * both halves, ASIDs and global pages (DDI 0487 D8.2, D8.13); the access flag and dirty state that
 * hardware updates (D8.5); AT and PAR_EL1 (C5.4, D19.2).
 */
#include "kit.h"

PROBE(ldr, "ldr x1, [x0]");
PROBE(str, "str x1, [x0]");
PROBE(ldtr, "ldtr x1, [x0]");
PROBE(cas_fails, "mov x1, #-1\n mov x2, #5\n cas x1, x2, [x0]");
PROBE(jump, "br x0");
PROBE(dc_civac, "dc civac, x0");
PROBE(dc_ivac, "dc ivac, x0");
PROBE(dc_zva, "dc zva, x0");
PROBE(prfm, "prfm pstl1keep, [x0]");

#define RW0        (NORMAL | AP_EL0 | XN)
#define UP(va)     (~0ul << 48 | (va))
#define VALUE(pa)  (*(volatile uint64_t *)(pa))
#define DATA0(iss) ESR(0x24, iss)

/* Shapes of the upper half: granule, T1SZ, level of the leaf. */
static const struct {
    const char *name;
    uint64_t tg1;
    unsigned granule, tsz, level;
} shapes[] = {
    { "4K granule, 48 bits, page", TCR_TG1_4K, 12, 16, 3 },
    { "4K granule, 48 bits, 2M block", TCR_TG1_4K, 12, 16, 2 },
    { "4K granule, 48 bits, 1G block", TCR_TG1_4K, 12, 16, 1 },
    { "4K granule, 39 bits, page", TCR_TG1_4K, 12, 25, 3 },
    { "4K granule, 39 bits, 1G block", TCR_TG1_4K, 12, 25, 1 },
    { "4K granule, 30 bits, page", TCR_TG1_4K, 12, 34, 3 },
    { "4K granule, 25 bits, page", TCR_TG1_4K, 12, 39, 3 },
    { "4K granule, 16 bits (FEAT_TTST), page", TCR_TG1_4K, 12, 48, 3 },
    { "16K granule, 48 bits, page", TCR_TG1_16K, 14, 16, 3 },
    { "16K granule, 47 bits, page", TCR_TG1_16K, 14, 17, 3 },
    { "16K granule, 47 bits, 32M block", TCR_TG1_16K, 14, 17, 2 },
    { "16K granule, 36 bits, page", TCR_TG1_16K, 14, 28, 3 },
    { "16K granule, 25 bits, page", TCR_TG1_16K, 14, 39, 3 },
    { "64K granule, 48 bits, page", TCR_TG1_64K, 16, 16, 3 },
    { "64K granule, 42 bits, page", TCR_TG1_64K, 16, 22, 3 },
    { "64K granule, 42 bits, 512M block", TCR_TG1_64K, 16, 22, 2 },
    { "64K granule, 25 bits, page", TCR_TG1_64K, 16, 39, 3 },
};

#define TCR_1 (TCR_T1SZ(63) | 3ul << 30)

static void granules(void)
{
    for (unsigned i = 0; i < COUNT(shapes); i++) {
        unsigned granule = shapes[i].granule, bits = 64 - shapes[i].tsz;
        unsigned shift = granule + (3 - shapes[i].level) * (granule - 3);
        struct space up = space_new(granule, bits);
        uint64_t size = 1ul << shift, base = ~0ul << bits;
        uint64_t va = base | (0x123456789abcdef0 & ((1ul << bits) - 1) & -size);
        uint64_t pa = TARGET & -size, at = 0x238 & (size - 1);
        if (va + size < base)
            va -= size;

        *slot(&up, va, shapes[i].level) = pa | RW0 | (shapes[i].level == 3 ? PAGE : BLOCK);
        WRITE(ttbr1_el1, up.root);
        WRITE(tcr_el1, (KIT_TCR & ~TCR_1) | TCR_T1SZ(shapes[i].tsz) | shapes[i].tg1);
        flush();
        at += TARGET - pa;
        VALUE(TARGET + 0x238) = i + 1000;
        const struct taken *t = run(ldr, EL0, va + at, 0);
        check("granule", shapes[i].name, t->esr == SVC0 ? t->x[1] : t->esr, i + 1000);
        check(shapes[i].name, "not below", run(ldr, EL0, va - 8, 0)->esr,
              DATA0(TRANSLATION | (va > base ? shapes[i].level : 0)));
        if (bits < 48)
            check(shapes[i].name, "not beyond T1SZ", run(ldr, EL0, base - 8, 0)->esr,
                  DATA0(TRANSLATION | 0));
    }
    WRITE(tcr_el1, (KIT_TCR & ~TCR_1) | TCR_T1SZ(48) | TCR_TG1_64K);
    flush();
    check("64K granule", "T1SZ 48 is out of range", run(ldr, EL0, -8ul, 0)->esr,
          DATA0(TRANSLATION));
    kit_reset();
}

/* The lower half by T0SZ, which the kit itself lives in: its last page, and what is beyond. */
static void lower_sizes(void)
{
    static const unsigned bits[] = { 31, 36, 39, 40, 42, 47, 48 };

    for (unsigned i = 0; i < COUNT(bits); i++) {
        uint64_t end = 1ul << bits[i];
        kit_reset_bits(bits[i]);
        map(&kit_low, end - 4096, 3, TARGET | PAGE | RW0);
        VALUE(TARGET + 0xff8) = bits[i];
        check("T0SZ", "last page", run(ldr, EL0, end - 8, 0)->x[1], bits[i]);
        check("T0SZ", "over its end", run(ldr, EL0, end - 4, 0)->esr, DATA0(TRANSLATION | 0));
        check("T0SZ", "FAR_EL1 is the first byte beyond", run(ldr, EL0, end - 4, 0)->far, end);
        check("T0SZ", "far beyond", run(str, EL0, 1ul << 54, 0)->esr, DATA0(WNR | TRANSLATION | 0));
        check("T0SZ", "a branch beyond", run(jump, EL0, end, 0)->esr, ESR(0x20, TRANSLATION | 0));
    }
    kit_reset();
}

/* Sixteen contiguous pages, of which one is looked up at a time. */
static void contiguous(void)
{
    for (unsigned n = 0; n < 16; n++) {
        *slot(&kit_low, V + n * 4096, 3) = (TARGET + n * 4096) | PAGE | RW0 | CONTIG;
        VALUE(TARGET + n * 4096) = n + 77;
    }
    flush();
    for (unsigned n = 0; n < 16; n += 5)
        check("contiguous", "page", run(ldr, EL0, V + n * 4096, 0)->x[1], n + 77);
}

/* ASIDs: nG pages are their ASID's, at EL0 and EL1; a switch needs no TLBI (D8.13). */
static void asids(bool a1)
{
    static const uint64_t asid[] = { 1, 2, 0x101, 0x8001, 0xffff };
    struct space space[COUNT(asid)];
    const char *area = a1 ? "ASID in TTBR1_EL1" : "ASID in TTBR0_EL1";
    const uint64_t va = UP(V), shared = UP(V + 0x200000);

    WRITE(tcr_el1, KIT_TCR | (a1 ? TCR_A1 : 0));
    for (unsigned i = 0; i < COUNT(asid); i++) {
        space[i] = space_new(12, 48);
        *slot(&space[i], va, 3) = (TARGET + i * 4096) | PAGE | RW0 | NG;
        *slot(&space[i], shared, 3) = (TARGET + 0x10000) | PAGE | RW0;
        VALUE(TARGET + i * 4096) = 500 + i;
    }
    VALUE(TARGET + 0x10000) = 400;
    flush();
    for (unsigned round = 0; round < 3; round++)
        for (unsigned i = 0; i < COUNT(asid); i++) {
            uint64_t tag = asid[i] << 48;
            WRITE(ttbr1_el1, space[i].root | (a1 ? tag : 0xabcdul << 48));
            WRITE(ttbr0_el1, kit_low.root | (a1 ? 0xabcdul << 48 : tag));
            uint64_t got = run(ldr, EL0, va, 0)->x[1];
            got = got << 16 | run(ldr, EL1, va, 0)->x[1];
            got = got << 16 | run(ldtr, EL1, va, 0)->x[1];
            got = got << 16 | run(ldr, EL0, shared, 0)->x[1];
            check(area, "each sees its own, all see the global page", got,
                  (500ul + i) * 0x1000100010000 + 400);
        }
    kit_reset();
    WRITE(ttbr0_el1, kit_low.root);
}

/* Hardware updates: the page before, what is done, the page after; HD implies HA here. */
static void updates(void)
{
#define CLEAN (RW0 | DBM | AP_RO)
    static const struct {
        const char *name;
        uint64_t tcr, before;
        const uint32_t *code;
        uint64_t spsr, esr, after;
    } cases[] = {
        { "HA: a load sets AF", TCR_HA, RW0 & ~AF, ldr, EL0, SVC0, RW0 },
        { "HA: a store sets AF", TCR_HA, RW0 & ~AF, str, EL1, SVC0, RW0 },
        { "HA: a fetch sets AF", TCR_HA, (RW0 | AP_RO) & ~(AF | XN), jump, EL0, SVC0,
          (RW0 | AP_RO) & ~XN },
        { "HA: cache maintenance may, and does", TCR_HA, RW0 & ~AF, dc_civac, EL1, SVC0, RW0 },
        { "HA without HD: DBM means nothing", TCR_HA, CLEAN, str, EL0, DATA0(WNR | PERMISSION | 3),
          CLEAN },
        { "HD without HA: DBM means nothing", TCR_HD, CLEAN, str, EL0, DATA0(WNR | PERMISSION | 3),
          CLEAN },
        { "HD: a store makes it dirty", TCR_HA | TCR_HD, CLEAN, str, EL0, SVC0, CLEAN & ~AP_RO },
        { "HD: and sets AF", TCR_HA | TCR_HD, CLEAN & ~AF, str, EL0, SVC0, CLEAN & ~AP_RO },
        { "HD: a load leaves it clean", TCR_HA | TCR_HD, CLEAN, ldr, EL0, SVC0, CLEAN },
        { "HD: DC ZVA makes it dirty", TCR_HA | TCR_HD, CLEAN, dc_zva, EL1, SVC0, CLEAN & ~AP_RO },
        { "HD: DC IVAC leaves it clean", TCR_HA | TCR_HD, CLEAN, dc_ivac, EL1, SVC0, CLEAN },
        { "HD: DC CIVAC leaves it clean", TCR_HA | TCR_HD, CLEAN, dc_civac, EL1, SVC0, CLEAN },
        { "HD: PRFM leaves it clean", TCR_HA | TCR_HD, CLEAN, prfm, EL0, SVC0, CLEAN },
        { "HD without DBM: read-only is read-only", TCR_HA | TCR_HD, RW0 | AP_RO, str, EL0,
          DATA0(WNR | PERMISSION | 3), RW0 | AP_RO },
        { "HD: EL1's page stays EL1's", TCR_HA | TCR_HD, CLEAN & ~AP_EL0, str, EL0,
          DATA0(WNR | PERMISSION | 3), CLEAN & ~AP_EL0 },
    };

    for (unsigned i = 0; i < COUNT(cases); i++) {
        VALUE(TARGET) = 0xd4000001; /* SVC #0 */
        map(&kit_low, V, 3, TARGET | PAGE | cases[i].before);
        WRITE(tcr_el1, KIT_TCR | cases[i].tcr);
        check("HAFDBS (D8.5)", cases[i].name, run(cases[i].code, cases[i].spsr, V, 0)->esr,
              cases[i].esr);
        check(cases[i].name, "descriptor", *slot(&kit_low, V, 3), TARGET | PAGE | cases[i].after);
        WRITE(tcr_el1, KIT_TCR);
    }
    WRITE(tcr_el1, KIT_TCR | TCR_HA | TCR_HD);
    map(&kit_low, V, 3, TARGET | PAGE | CLEAN);
    run(ldr, EL0, V, 0);
    run(str, EL0, V, 0);
    check("HAFDBS (D8.5)", "a store after a load makes it dirty", *slot(&kit_low, V, 3),
          TARGET | PAGE | (CLEAN & ~AP_RO));
    map(&kit_low, V, 3, 0);
    map(&kit_low, V, 2, TARGET | BLOCK | (CLEAN & ~AF));
    run(str, EL1, V + 0x12340, 0);
    check("HAFDBS (D8.5)", "a block", *slot(&kit_low, V, 2), TARGET | BLOCK | (CLEAN & ~AP_RO));
    run(cas_fails, EL1, V, 0);
    kit_reset();
}

/* AT: the answer for a page, by instruction. PAR_EL1 of a fault has FST in bits 6:1 (D19.2). */
enum at { E1R, E1W, E0R, E0W, E1RP, E1WP };

static uint64_t at(enum at how, uint64_t va)
{
    switch (how) {
    case E1R:
        SYS("at s1e1r", va);
        break;
    case E1W:
        SYS("at s1e1w", va);
        break;
    case E0R:
        SYS("at s1e0r", va);
        break;
    case E0W:
        SYS("at s1e0w", va);
        break;
    case E1RP:
        SYS("at s1e1rp", va);
        break;
    default:
        SYS("at s1e1wp", va);
        break;
    }
    DO("isb");
    return READ(par_el1);
}

#define FAULT(fsc)     (1ul << 11 | (uint64_t)(fsc) << 1 | 1)
#define GOOD(attr, sh) (((uint64_t)(attr) << 56 | (TARGET + 0x3000) | 1ul << 11 | (sh) << 7))
#define P3             FAULT(PERMISSION | 3)
#define OK             GOOD(0xff, 3)

static void addresses(void)
{
    static const struct {
        const char *name;
        uint64_t page; /* attributes; 0: none */
        uint64_t par[6];
        uint64_t tcr;
        bool pan;
    } cases[] = {
        { "EL0's page", RW0, { OK, OK, OK, OK, OK, OK }, 0, false },
        { "EL0's page, PAN", RW0, { OK, OK, OK, OK, P3, P3 }, 0, true },
        { "EL0's read-only page", RW0 | AP_RO, { OK, P3, OK, P3, OK, P3 }, 0, false },
        { "EL1's page, PAN", NORMAL, { OK, OK, P3, P3, OK, OK }, 0, true },
        { "EL1's read-only page", NORMAL | AP_RO, { OK, P3, P3, P3, OK, P3 }, 0, false },
        { "no page", 0, { FAULT(7), FAULT(7), FAULT(7), FAULT(7), FAULT(7), FAULT(7) }, 0, false },
        { "no access flag",
          RW0 & ~AF,
          { FAULT(11), FAULT(11), FAULT(11), FAULT(11), FAULT(11), FAULT(11) },
          0,
          false },
        { "device nGnRnE: outer shareable",
          (RW0 & ~(MEMORY | SH_IN)),
          { GOOD(0, 2), GOOD(0, 2), GOOD(0, 2), GOOD(0, 2), GOOD(0, 2), GOOD(0, 2) },
          0,
          false },
        { "device nGnRE",
          (RW0 & ~(MEMORY | SH_IN)) | DEV_RE,
          { GOOD(4, 2), GOOD(4, 2), GOOD(4, 2), GOOD(4, 2), GOOD(4, 2), GOOD(4, 2) },
          0,
          false },
        { "non-cacheable: outer shareable",
          (RW0 & ~(MEMORY | SH_IN)) | NONCACH,
          { GOOD(0x44, 2), GOOD(0x44, 2), GOOD(0x44, 2), GOOD(0x44, 2), GOOD(0x44, 2),
            GOOD(0x44, 2) },
          0,
          false },
        { "not shareable",
          RW0 & ~SH_IN,
          { GOOD(0xff, 0), GOOD(0xff, 0), GOOD(0xff, 0), GOOD(0xff, 0), GOOD(0xff, 0),
            GOOD(0xff, 0) },
          0,
          false },
        { "a clean page with HD", CLEAN, { OK, OK, OK, OK, OK, OK }, TCR_HA | TCR_HD, false },
    };
    static const char *const names[] = { "S1E1R", "S1E1W", "S1E0R", "S1E0W", "S1E1RP", "S1E1WP" };

    for (unsigned i = 0; i < COUNT(cases); i++) {
        map(&kit_low, V, 3, cases[i].page ? (TARGET + 0x3000) | PAGE | cases[i].page : 0);
        WRITE(tcr_el1, KIT_TCR | cases[i].tcr);
        if (cases[i].pan)
            DO("msr pan, #1");
        uint64_t par[6];
        for (unsigned how = 0; how < 6; how++)
            par[how] = at((enum at)how, V + 0x18);
        DO("msr pan, #0");
        /* NS is UNKNOWN for a result from Non-secure state, bits of a fault beyond FST are not. */
        for (unsigned how = 0; how < 6; how++)
            check(cases[i].name, names[how], par[how] & ~(par[how] & 1 ? 0 : 0x600),
                  cases[i].par[how]);
        if (cases[i].tcr)
            check(cases[i].name, "is not made dirty (D8.5)", *slot(&kit_low, V, 3) & AP_RO, AP_RO);
        WRITE(tcr_el1, KIT_TCR);
    }
    check("AT", "level of a translation fault", at(E1R, 0x555500000000), FAULT(TRANSLATION | 0));
    check("AT", "beyond T0SZ and T1SZ", at(E0W, 1ul << 52), FAULT(TRANSLATION | 0));
    map(&kit_low, V, 3, 1ul << 44 | PAGE | RW0);
    check("AT", "address size", at(E1W, V), FAULT(ADDRESS_SIZE | 3));
    WRITE(tcr_el1, KIT_TCR | TCR_TBI0);
    map(&kit_low, V, 3, (TARGET + 0x3000) | PAGE | RW0);
    check("AT", "of a tagged address", at(E1R, V | 0x7ful << 56) & ~0x600ul, OK);
    WRITE(tcr_el1, KIT_TCR);
}

void test(void)
{
    granules();
    lower_sizes();
    contiguous();
    asids(false);
    asids(true);
    updates();
    addresses();
}
