/*
 * TLB maintenance (DDI 0487 D8.14, C5.5): after each form of TLBI that covers an address, and the
 * DSB that completes it, the old mapping is gone: on this CPU, and on the other one for the IS and
 * OS forms. What a form does not have to invalidate must still translate, to the old or the new.
 */
#include "kit.h"

PROBE(ldr, "ldr x1, [x0]");
PROBE(str, "str x1, [x0]");
PROBE(jump, "br x0");
PROBE(ldtr, "ldtr x1, [x0]");
PROBE(ldtr_signed, "mov w2, #0x80\n sttrb w2, [x0, #9]\n ldtrsb w1, [x0, #9]\n"
                   " ldtrsh x2, [x0, #8]\n ldtrb w3, [x0, #9]");
PROBE(pan_load, "ldr x1, [x0]\n msr pan, #1\n ldr x1, [x0]");
PROBE(pan_clear_load, "msr pan, #0\n ldr x1, [x0]");

/* A base that has locality as a rule, and the last byte of a page. */
PROBE(frame, "mov x29, x0\n ldrb w2, [x29, #4095]\n ldr x1, [x29]");
/* The sum of [x0] in x1 pages, three times. */
PROBE(sweep,
      "mov x5, #0\n mov x4, #3\n 1: mov x2, x0\n mov x3, x1\n 2: ldr x6, [x2]\n add x5, x5, x6\n"
      " add x2, x2, #4096\n subs x3, x3, #1\n b.ne 2b\n subs x4, x4, #1\n b.ne 1b\n mov x1, x5");

/* A store to x1 pages, three times. */
PROBE(mark, "mov x4, #3\n 1: mov x2, x0\n mov x3, x1\n 2: str x3, [x2, #8]\n add x2, x2, #4096\n"
            " subs x3, x3, #1\n b.ne 2b\n subs x4, x4, #1\n b.ne 1b");

#define RW0       (NORMAL | AP_EL0 | XN)
#define VALUE(pa) (*(volatile uint64_t *)(pa))
#define ASID      7ul
#define OTHER     9ul
#define VA        0x0000004000600000ul

/* The operands: VA in pages and the ASID; and a range, C5.5 "TLBI RVAE1": TG, SCALE, NUM, base. */
#define OPERAND     (ASID << 48 | VA >> 12)
#define RANGE(s, n) (ASID << 48 | 1ul << 46 | (uint64_t)(s) << 44 | (uint64_t)(n) << 39 | VA >> 12)

#define FORM(name_, value_)                                                                        \
    static void do_##name_(void)                                                                   \
    {                                                                                              \
        SYS("tlbi " #name_, value_);                                                               \
    }
#define FORM_ALL(name_)                                                                            \
    static void do_##name_(void)                                                                   \
    {                                                                                              \
        DO("tlbi " #name_);                                                                        \
    }
FORM_ALL(vmalle1)
FORM(vae1, OPERAND)
FORM(aside1, ASID << 48)
FORM(vaae1, OPERAND & ~(0xfffful << 48))
FORM(vale1, OPERAND)
FORM(vaale1, OPERAND & ~(0xfffful << 48))
FORM(rvae1, RANGE(0, 1))
FORM(rvaae1, RANGE(1, 0))
FORM(rvale1, RANGE(2, 3))
FORM(rvaale1, RANGE(3, 31))
FORM_ALL(vmalle1is)
FORM(vae1is, OPERAND)
FORM(aside1is, ASID << 48)
FORM(vaae1is, OPERAND & ~(0xfffful << 48))
FORM(vale1is, OPERAND)
FORM(vaale1is, OPERAND & ~(0xfffful << 48))
FORM(rvae1is, RANGE(0, 0))
FORM(rvaae1is, RANGE(1, 5))
FORM(rvale1is, RANGE(0, 31))
FORM(rvaale1is, RANGE(3, 0))
FORM_ALL(vmalle1os)
FORM(vae1os, OPERAND)
FORM(aside1os, ASID << 48)
FORM(vaae1os, OPERAND & ~(0xfffful << 48))
FORM(vale1os, OPERAND)
FORM(vaale1os, OPERAND & ~(0xfffful << 48))
FORM(rvae1os, RANGE(0, 0))
FORM(rvaae1os, RANGE(1, 5))
FORM(rvale1os, RANGE(0, 31))
FORM(rvaale1os, RANGE(3, 0))

static const struct form {
    const char *name;
    void (*invalidate)(void);
    bool shared;
    bool global; /* has to drop global entries too */
} forms[] = {
    { "VMALLE1", do_vmalle1, false, true },    { "VAE1", do_vae1, false, true },
    { "ASIDE1", do_aside1, false, false },     { "VAAE1", do_vaae1, false, true },
    { "VALE1", do_vale1, false, true },        { "VAALE1", do_vaale1, false, true },
    { "RVAE1", do_rvae1, false, true },        { "RVAAE1", do_rvaae1, false, true },
    { "RVALE1", do_rvale1, false, true },      { "RVAALE1", do_rvaale1, false, true },
    { "VMALLE1IS", do_vmalle1is, true, true }, { "VAE1IS", do_vae1is, true, true },
    { "ASIDE1IS", do_aside1is, true, false },  { "VAAE1IS", do_vaae1is, true, true },
    { "VALE1IS", do_vale1is, true, true },     { "VAALE1IS", do_vaale1is, true, true },
    { "RVAE1IS", do_rvae1is, true, true },     { "RVAAE1IS", do_rvaae1is, true, true },
    { "RVALE1IS", do_rvale1is, true, true },   { "RVAALE1IS", do_rvaale1is, true, true },
    { "VMALLE1OS", do_vmalle1os, true, true }, { "VAE1OS", do_vae1os, true, true },
    { "ASIDE1OS", do_aside1os, true, false },  { "VAAE1OS", do_vaae1os, true, true },
    { "VALE1OS", do_vale1os, true, true },     { "VAALE1OS", do_vaale1os, true, true },
    { "RVAE1OS", do_rvae1os, true, true },     { "RVAAE1OS", do_rvaae1os, true, true },
    { "RVALE1OS", do_rvale1os, true, true },   { "RVAALE1OS", do_rvaale1os, true, true },
};

static void asid_set(uint64_t asid)
{
    WRITE(ttbr0_el1, kit_low.root | asid << 48);
}

static uint64_t load(uint64_t spsr, uint64_t va)
{
    const struct taken *t = run(ldr, spsr, va, 0);
    return t->esr == SVC0 ? t->x[1] : t->esr;
}

/* Loads [x0] while the generation at [x1] stays even and the same: SVC #1 if it is not that value.
 */
PROBE(race, "1: ldar x3, [x1]\n ldr x4, [x0]\n dmb ish\n ldr x5, [x1]\n cmp x3, x5\n b.ne 2f\n"
            " tbnz x3, #0, 2f\n cmp x4, x3\n b.ne 3f\n 2: subs x2, x2, #1\n b.ne 1b\n svc #0\n"
            " 3: svc #1");

/* The other CPU loads what it is told, in the same tables and ASID. */
static struct {
    volatile uint64_t command, answer; /* command: the address, then 0 */
    volatile uint64_t generation, wrong, rounds, faults;
    volatile bool racing;
} shared;

static void second_race(void)
{
    while (shared.racing) {
        const struct taken *t = run(race, EL1, VA, (uint64_t)&shared.generation);
        shared.wrong += t->esr == (SVC0 | 1);
        shared.faults += t->esr == ESR(0x25, TRANSLATION | 3);
        shared.rounds++;
    }
}

static void second(void)
{
    asid_set(ASID);
    for (;;) {
        uint64_t va = shared.command;
        if (shared.racing)
            second_race();
        if (!va)
            continue;
        DO("dsb ish\n isb");
        shared.answer = load(EL0, va);
        DO("dmb ish");
        shared.command = 0;
    }
}

static uint64_t second_load(uint64_t va)
{
    shared.command = va;
    while (shared.command)
        ;
    DO("dmb ish");
    return shared.answer;
}

/* One form over one kind of mapping. */
static void check_form(const struct form *f, const char *what, uint64_t attributes)
{
    volatile uint64_t *d = slot(&kit_low, VA, 3);

    *d = TARGET | PAGE | attributes;
    flush();
    load(EL0, VA);
    load(EL1, VA);
    load(EL0, VA + 0x5000);
    if (f->shared)
        second_load(VA);
    *d = (TARGET + 0x1000) | PAGE | attributes;
    DO("dsb ishst");
    f->invalidate();
    DO("dsb ish\n isb");
    uint64_t got = load(EL0, VA) << 8 | load(EL1, VA);
    check(f->name, what, got, 0x2222);
    if (f->shared)
        check(f->name, "on the other CPU", second_load(VA), 0x22);
    check(f->name, "another page stays", load(EL0, VA + 0x5000), 0x33);
}

static void every_form(void)
{
    VALUE(TARGET) = 0x11;
    VALUE(TARGET + 0x1000) = 0x22;
    VALUE(TARGET + 0x5000) = 0x33;
    *slot(&kit_low, VA + 0x5000, 3) = (TARGET + 0x5000) | PAGE | RW0 | NG;
    for (unsigned i = 0; i < COUNT(forms); i++) {
        check_form(&forms[i], "a page of the ASID", RW0 | NG);
        if (forms[i].global)
            check_form(&forms[i], "a global page", RW0);
    }
}

/* Another ASID's entry is dropped by the forms for all ASIDs. */
static void other_asid(void)
{
    volatile uint64_t *d = slot(&kit_low, VA, 3);
    void (*const f[])(
        void) = { do_vaae1, do_vaale1, do_vmalle1, do_rvaae1, do_rvaale1, do_vaae1is };

    for (unsigned i = 0; i < COUNT(f); i++) {
        *d = TARGET | PAGE | RW0 | NG;
        flush();
        asid_set(OTHER);
        load(EL0, VA);
        asid_set(ASID);
        *d = (TARGET + 0x1000) | PAGE | RW0 | NG;
        DO("dsb ishst");
        f[i]();
        DO("dsb ish\n isb");
        asid_set(OTHER);
        check("all ASIDs", "the other one's entry is gone", load(EL0, VA), 0x22);
        asid_set(ASID);
    }
}

/* More pages than an implementation may keep at hand, again and again, and the last page of a stack
 * frame: TLBI finds each of them. */
static void many(void)
{
    enum { PAGES = 3000 };

    for (unsigned n = 0; n < PAGES; n++)
        map(&kit_low, VA + n * 4096ul, 3, TARGET | PAGE | RW0 | NG);
    flush();
    check("many pages", "before", run(sweep, EL0, VA, PAGES)->x[1], 3ul * PAGES * 0x11);
    for (unsigned n = 0; n < PAGES; n += 500) {
        *slot(&kit_low, VA + n * 4096ul, 3) = (TARGET + 0x1000) | PAGE | RW0 | NG;
        DO("dsb ishst");
        SYS("tlbi vae1is", ASID << 48 | (VA + n * 4096ul) >> 12);
    }
    DO("dsb ish\n isb");
    check("many pages", "six of them changed", run(sweep, EL0, VA, PAGES)->x[1],
          3ul * (PAGES * 0x11 + 6 * 0x11));
    for (unsigned el = 0; el < 2; el++)
        for (unsigned n = 0; n < 4; n++) {
            *slot(&kit_low, VA, 3) = (TARGET + (n & 1) * 0x1000) | PAGE | RW0 | NG;
            DO("dsb ishst");
            do_vae1();
            DO("dsb ish\n isb");
            check("frame", "after TLBI", run(frame, el ? EL1 : EL0, VA, 0)->x[1],
                  n & 1 ? 0x22 : 0x11);
        }
    for (unsigned n = 0; n < PAGES; n++)
        map(&kit_low, VA + n * 4096ul, 3, 0);
    flush();
}

/* A block and a contiguous run go as a whole, whichever of their addresses is named. */
static void large(void)
{
    *slot(&kit_low, VA, 2) = TARGET | BLOCK | RW0 | NG;
    flush();
    load(EL0, VA + 0x1000);
    load(EL1, VA + 0x1000);
    *slot(&kit_low, VA, 2) = 0;
    DO("dsb ishst");
    SYS("tlbi vale1is", ASID << 48 | (VA + 0x100000) >> 12);
    DO("dsb ish\n isb");
    check("block", "gone by another of its addresses, EL0", load(EL0, VA + 0x1000),
          ESR(0x24, TRANSLATION | 2));
    check("block", "gone, EL1", load(EL1, VA + 0x1000), ESR(0x25, TRANSLATION | 2));

    const uint64_t giant = 0x0000004040000000ul;
    *slot(&kit_low, giant, 1) = 0x40000000 | BLOCK | RW0;
    flush();
    check("1G block", "is there", load(EL0, giant + TARGET - 0x40000000 + 0x1000), 0x22);
    *slot(&kit_low, giant, 1) = 0;
    DO("dsb ishst");
    SYS("tlbi vaae1is", giant >> 12);
    DO("dsb ish\n isb");
    check("1G block", "gone", load(EL0, giant + TARGET - 0x40000000 + 0x1000),
          ESR(0x24, TRANSLATION | 1));

    for (unsigned n = 0; n < 16; n++)
        *slot(&kit_low, VA + n * 4096, 3) = (TARGET + n * 4096) | PAGE | RW0 | NG | CONTIG;
    flush();
    load(EL0, VA + 0x1000);
    for (unsigned n = 0; n < 16; n++)
        *slot(&kit_low, VA + n * 4096, 3) = 0;
    DO("dsb ishst");
    for (unsigned n = 0; n < 16; n++)
        SYS("tlbi vale1is", ASID << 48 | (VA + n * 4096) >> 12);
    DO("dsb ish\n isb");
    check("contiguous", "gone", load(EL0, VA + 0x1000), ESR(0x24, TRANSLATION | 3));
}

/* Blocks of which more pages are used, again and again, than an implementation may keep at hand. */
static uint64_t sum(uint64_t pa)
{
    uint64_t s = 0;

    for (unsigned n = 0; n < 512; n++)
        s += VALUE(pa + n * 4096ul);
    return s;
}

static void change_block(uint64_t va, uint64_t descriptor)
{
    *slot(&kit_low, va, 2) = 0;
    DO("dsb ishst");
    SYS("tlbi vae1is", ASID << 48 | (va + 0x155000) >> 12);
    DO("dsb ish\n isb");
    *slot(&kit_low, va, 2) = descriptor;
    DO("dsb ishst\n isb");
}

static void blocks(void)
{
    enum { BLOCKS = 8, PAGES = BLOCKS * 512 };
    const uint64_t va = 0x0000005000000000ul, size = 0x200000, other = TARGET + size;

    for (unsigned n = 0; n < BLOCKS; n++)
        *slot(&kit_low, va + n * size, 2) = TARGET | BLOCK | RW0 | NG;
    flush();
    for (unsigned round = 0; round < 2; round++)
        check("blocks", "before", run(sweep, EL0, va, PAGES)->x[1], 3 * BLOCKS * sum(TARGET));
    change_block(va + 3 * size, other | BLOCK | RW0 | NG);
    check("blocks", "one is others' memory", run(sweep, EL0, va, PAGES)->x[1],
          3 * ((BLOCKS - 1) * sum(TARGET) + sum(other)));
    check("blocks", "also at EL1", run(sweep, EL1, va, PAGES)->x[1],
          3 * ((BLOCKS - 1) * sum(TARGET) + sum(other)));
    check("blocks", "stores", run(mark, EL0, va, PAGES)->esr, SVC0);
    check("blocks", "the last one is there", VALUE(TARGET + 511 * 4096 + 8), 1);
    check("blocks", "in the other one", VALUE(other + 511 * 4096 + 8), 4 * 512 + 1);
    change_block(va + 5 * size, TARGET | BLOCK | RW0 | AP_RO | NG);
    const struct taken *t = run(mark, EL0, va, PAGES);
    check("blocks", "one is read-only", t->esr, ESR(0x24, WNR | PERMISSION | 2));
    check("blocks", "FAR_EL1", t->far, va + 5 * size + 8);
    check("blocks", "which can be read", run(sweep, EL0, va, PAGES)->x[1],
          3 * ((BLOCKS - 1) * sum(TARGET) + sum(other)));
    change_block(va + 2 * size, 0);
    for (unsigned n = 0; n < 512; n++)
        *slot(&kit_low, va + 2 * size + n * 4096, 3) =
            n == 77 ? 0 : (TARGET + n * 4096) | PAGE | RW0 | NG;
    DO("dsb ishst\n isb");
    t = run(sweep, EL0, va, PAGES);
    check("blocks", "one is pages, of which one is missing", t->esr, ESR(0x24, TRANSLATION | 3));
    check("blocks", "FAR_EL1 of that", t->far, va + 2 * size + 77 * 4096);
    for (unsigned n = 0; n < BLOCKS; n++)
        *slot(&kit_low, va + n * size, 2) = 0;
    flush();
}

/* Each form drops a block of which other pages are used than the one that it names. */
static void block_forms(void)
{
    enum { PAGES = 16 };
    const uint64_t at = VA + 0x1f0000, other = TARGET + 0x200000;

    for (unsigned n = 512 - PAGES; n < 512; n++) {
        VALUE(TARGET + n * 4096ul) = 1;
        VALUE(other + n * 4096ul) = 2;
    }
    for (unsigned i = 0; i < 2 * COUNT(forms); i++) {
        const struct form *f = &forms[i / 2];
        uint64_t attributes = BLOCK | RW0 | (i % 2 && f->global ? 0 : NG);
        *slot(&kit_low, VA, 2) = TARGET | attributes;
        flush();
        check(f->name, "a block at EL0", run(sweep, EL0, at, PAGES)->x[1], 3 * PAGES);
        check(f->name, "a block at EL1", run(sweep, EL1, at, PAGES)->x[1], 3 * PAGES);
        *slot(&kit_low, VA, 2) = 0;
        DO("dsb ishst");
        f->invalidate();
        DO("dsb ish\n isb");
        check(f->name, "broken", run(sweep, EL0, at, PAGES)->esr, ESR(0x24, TRANSLATION | 2));
        check(f->name, "at EL1", run(sweep, EL1, at, PAGES)->esr, ESR(0x25, TRANSLATION | 2));
        *slot(&kit_low, VA, 2) = other | attributes;
        DO("dsb ishst\n isb");
        check(f->name, "made", run(sweep, EL0, at, PAGES)->x[1], 6 * PAGES);
        check(f->name, "at EL1", run(sweep, EL1, at, PAGES)->x[1], 6 * PAGES);
    }
    *slot(&kit_low, VA, 2) = 0;
    flush();
}

/* The operand's hints: the level (FEAT_TTL) of VA forms, granule and level of range forms, which
 * count in pages of their granule; in the upper half the address is sign-extended. */
static void hints(void)
{
    static const struct {
        const char *name;
        uint64_t tcr;
        unsigned granule, tg;
    } cases[] = {
        { "4K granule", TCR_TG1_4K, 12, 1 },
        { "16K granule", TCR_TG1_16K, 14, 2 },
        { "64K granule", TCR_TG1_64K, 16, 3 },
    };

    for (unsigned i = 0; i < COUNT(cases); i++) {
        unsigned granule = cases[i].granule;
        struct space up = space_new(granule, 48);
        uint64_t va = ~0ul << 48 | VA, size = 1ul << granule, base = va >> granule & 0x1ffffffffful;
        uint64_t tg = (uint64_t)cases[i].tg;
        WRITE(ttbr1_el1, up.root);
        WRITE(tcr_el1, (KIT_TCR & ~(3ul << 30)) | cases[i].tcr);
        for (unsigned how = 0; how < 4; how++) {
            uint64_t at = va + (how == 3 ? 3 * size : 0) + 0x10;
            VALUE(TARGET + 0x10) = 0x44;
            VALUE(TARGET + size + 0x10) = 0x55;
            *slot(&up, at, 3) = TARGET | PAGE | RW0;
            flush();
            check(cases[i].name, "before", load(EL0, at), 0x44);
            *slot(&up, at, 3) = (TARGET + size) | PAGE | RW0;
            DO("dsb ishst");
            switch (how) {
            case 0: /* TTL: granule and level 3 */
                SYS("tlbi vaae1is", tg << 46 | 3ul << 44 | (va >> 12 & 0xffffffffffful));
                break;
            case 1:
                SYS("tlbi rvaae1is", tg << 46 | base);
                break;
            case 2: /* TTL level 3 */
                SYS("tlbi rvaale1is", tg << 46 | 3ul << 37 | base);
                break;
            default: /* the last of four pages: NUM 1 */
                SYS("tlbi rvaae1is", tg << 46 | 1ul << 39 | base);
                break;
            }
            DO("dsb ish\n isb");
            static const char *const names[] = { "VAAE1IS with TTL", "RVAAE1IS",
                                                 "RVAALE1IS with TTL", "RVAAE1IS of four pages" };
            check(cases[i].name, names[how], load(EL0, at), 0x55);
        }
    }
    WRITE(tcr_el1, KIT_TCR);
    flush();
    VALUE(TARGET + 0x1000) = 0x22;
}

/* A table's entry: the forms that are not for the leaf only drop what was cached of it. */
static void tables(void)
{
    uint64_t other = VA + 0x10000000;

    *slot(&kit_low, VA, 3) = TARGET | PAGE | RW0 | NG;
    *slot(&kit_low, other, 3) = (TARGET + 0x1000) | PAGE | RW0 | NG;
    flush();
    check("table", "before", load(EL0, VA), 0x11);
    uint64_t kept = *slot(&kit_low, VA, 2);
    *slot(&kit_low, VA, 2) = *slot(&kit_low, other, 2);
    DO("dsb ishst");
    SYS("tlbi vae1is", OPERAND);
    DO("dsb ish\n isb");
    check("table", "after", load(EL0, VA), 0x22);
    map(&kit_low, VA, 2, kept);
}

/* Permissions, and invalid entries, which are never cached. */
static void changes(void)
{
    map(&kit_low, VA, 3, 0);
    check("no entry", "before", load(EL0, VA), ESR(0x24, TRANSLATION | 3));
    *slot(&kit_low, VA, 3) = TARGET | PAGE | RW0 | NG;
    DO("dsb ishst\n isb");
    check("no entry", "made valid needs no TLBI (D8.13)", load(EL0, VA), 0x11);
    check("read-only", "before", run(str, EL0, VA, 0x11)->esr, SVC0);
    *slot(&kit_low, VA, 3) = TARGET | PAGE | RW0 | NG | AP_RO;
    DO("dsb ishst");
    do_vae1is();
    DO("dsb ish\n isb");
    check("read-only", "after TLBI", run(str, EL0, VA, 0)->esr, ESR(0x24, WNR | PERMISSION | 3));
    check("read-only", "still readable", load(EL0, VA), 0x11);
    *slot(&kit_low, VA, 3) = TARGET | PAGE | (RW0 & ~(XN | AF)) | NG | AP_RO;
    DO("dsb ishst");
    do_vae1is();
    DO("dsb ish\n isb");
    check("access flag", "a fault", run(jump, EL0, VA, 0)->esr, ESR(0x20, ACCESS_FLAG | 3));
    *slot(&kit_low, VA, 3) |= AF;
    DO("dsb ishst\n isb");
    check("access flag", "set needs no TLBI (D8.13)", load(EL0, VA), 0x11);
}

/*
 * What is cached for one access is no permission for another: of the other exception level, with
 * PAN, unprivileged, misaligned with SCTLR_EL1.A, a store after a load. Nor does a register that is
 * written for this need a TLBI.
 */
static void permissions(void)
{
    const uint64_t p3 = PERMISSION | 3;

    map(&kit_low, VA, 3, TARGET | PAGE | RW0 | NG);
    for (unsigned round = 0; round < 2; round++) {
        check("cached", "EL1 loads EL0's", load(EL1, VA), 0x11);
        check("cached", "not with PAN", load(EL1 | SPSR_PAN, VA), ESR(0x25, p3));
        check("cached", "EL0 does", load(EL0, VA), 0x11);
        check("cached", "LDTR does", run(ldtr, EL1 | SPSR_PAN, VA, 0)->x[1], 0x11);
        const struct taken *t = run(ldtr_signed, EL1 | SPSR_PAN, VA, 0);
        check("cached", "LDTRSB of STTRB's byte", t->x[1], 0xffffff80);
        check("cached", "LDTRSH", t->x[2] & ~0xfful, 0xffffffffffff8000);
        check("cached", "LDTRB", t->x[3], 0x80);
        check("cached", "LDTR with UAO does not", run(ldtr, EL1 | SPSR_PAN | SPSR_UAO, VA, 0)->esr,
              ESR(0x25, p3));
        check("cached", "misaligned", run(ldr, EL0, VA + 1, 0)->esr, SVC0);
        WRITE(sctlr_el1, KIT_SCTLR | SCTLR_A);
        check("cached", "misaligned with SCTLR_EL1.A", run(ldr, EL0, VA + 1, 0)->esr,
              ESR(0x24, ALIGNMENT));
        WRITE(sctlr_el1, KIT_SCTLR);
        check("cached", "PAN set by MSR", run(pan_load, EL1, VA, 0)->esr, ESR(0x25, p3));
        check("cached", "and cleared", run(pan_clear_load, EL1 | SPSR_PAN, VA, 0)->x[1], 0x11);
    }
    map(&kit_low, VA, 3, TARGET | PAGE | NORMAL | XN | NG);
    check("cached", "EL1's own", load(EL1 | SPSR_PAN, VA), 0x11);
    check("cached", "not EL0's", load(EL0, VA), ESR(0x24, p3));
    check("cached", "nor LDTR's", run(ldtr, EL1, VA, 0)->esr, ESR(0x25, p3));
    map(&kit_low, VA, 3, TARGET | PAGE | RW0 | AP_RO | NG);
    check("cached", "a load of a read-only page", load(EL0, VA), 0x11);
    check("cached", "then a store", run(str, EL0, VA, 0)->esr, ESR(0x24, WNR | p3));
    map(&kit_low, VA, 3, TARGET | PAGE | (RW0 & ~XN) | AP_RO | PXN | NG);
    *(volatile uint32_t *)(TARGET + 0x40) = 0xd4000001;
    DO("dsb ish\n ic iallu\n dsb ish\n isb");
    check("cached", "fetch at EL0", run(jump, EL0, VA + 0x40, 0)->esr, SVC0);
    check("cached", "not at EL1: PXN", run(jump, EL1, VA + 0x40, 0)->esr, ESR(0x21, p3));
    *(volatile uint32_t *)(TARGET + 0x40) = 0;
}

/* Code: the fetch of an unmapped page faults, also on its own page's neighbours' entries. */
static void code(void)
{
    *(volatile uint32_t *)(TARGET + 0x2000) = 0xd4000001; /* SVC #0 */
    *(volatile uint32_t *)(TARGET + 0x3000) = 0xd4000021; /* SVC #1 */
    DO("dsb ish\n ic iallu\n dsb ish\n isb");
    map(&kit_low, VA, 3, (TARGET + 0x2000) | PAGE | (RW0 & ~XN) | AP_RO | NG);
    check("code", "before", run(jump, EL0, VA, 0)->esr, SVC0);
    *slot(&kit_low, VA, 3) = (TARGET + 0x3000) | PAGE | (RW0 & ~XN) | AP_RO | NG;
    DO("dsb ishst");
    do_vae1();
    DO("dsb ish\n isb");
    check("code", "after", run(jump, EL0, VA, 0)->esr, SVC0 | 1);
    check("code", "after, at EL1", run(jump, EL1, VA, 0)->esr, SVC0 | 1);
    map(&kit_low, VA, 3, 0);
    check("code", "gone", run(jump, EL0, VA, 0)->esr, ESR(0x20, TRANSLATION | 3));
}

/* The other CPU never sees an old page once the DSB behind the TLBI is done, without stopping. */
static void racing(void)
{
    volatile uint64_t *d = slot(&kit_low, VA, 3);

    map(&kit_low, VA, 3, TARGET | PAGE | RW0 | NG);
    VALUE(TARGET) = 0;
    DO("dsb ish");
    shared.racing = true;
    while (!shared.rounds)
        ;
    for (uint64_t g = 2; g < 1000; g += 2) {
        uint64_t page = TARGET + (g & 2 ? 0x1000 : 0);
        shared.generation = g - 1;
        DO("dmb ish");
        VALUE(page) = g;
        *d = 0; /* break before make (D8.14) */
        DO("dsb ishst");
        SYS("tlbi vae1is", OPERAND);
        DO("dsb ish");
        *d = page | PAGE | RW0 | NG;
        DO("dsb ish");
        shared.generation = g;
        DO("dmb ish");
    }
    uint64_t rounds = shared.rounds;
    while (shared.rounds == rounds)
        ;
    shared.racing = false;
    check("racing", "the other CPU never loads the old page", shared.wrong, 0);
    note("rounds of the other CPU", shared.rounds);
    note("of which faults between break and make", shared.faults);
}

void test(void)
{
    *slot(&kit_low, VA, 3) = 0; /* the second CPU sees these tables from the start */
    *slot(&kit_low, VA + 0x10000000, 3) = 0;
    asid_set(ASID);
    second_start(second);
    every_form();
    other_asid();
    many();
    large();
    blocks();
    block_forms();
    tables();
    hints();
    changes();
    permissions();
    code();
    racing();
}
