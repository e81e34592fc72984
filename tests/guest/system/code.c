/*
 * Code that is written while it exists (DDI 0487 B2, "Synchronization and coherency issues
 * between data and instruction accesses"): after DC CVAU and IC IVAU or IC IALLU, DSB and ISB the
 * new instructions are executed: in the page that does it, in another page, through another mapping
 * than the one that was written, at EL0 and EL1, and on the other CPU. And what code makes of its
 * own address is right wherever the same page is mapped.
 */
#include "kit.h"

PROBE(jump, "br x0");

#define X       (NORMAL | AP_RO | AP_EL0)
#define RW1     (NORMAL | XN)
#define CODE    V                /* where it runs */
#define ALIAS   (V + 0x10000000) /* where else it runs */
#define WRITTEN (V + 0x20000000) /* where it is written */
#define SVC(n)  (0xd4000001u | (uint32_t)(n) << 5)

enum { BY_VA, BY_ALIAS, BY_PHYSICAL, ALL_LOCAL, ALL_SHARED, FORMS };
static const char *const form_names[FORMS] = {
    "IC IVAU of the address that runs",
    "IC IVAU of the one that was written",
    "IC IVAU of a third one",
    "IC IALLU",
    "IC IALLUIS",
};

static void write_word(uint64_t offset, uint32_t word, unsigned form)
{
    *(volatile uint32_t *)(WRITTEN + offset) = word;
    SYS("dc cvau", WRITTEN + offset);
    DO("dsb ish");
    switch (form) {
    case BY_VA:
        SYS("ic ivau", CODE + offset);
        break;
    case BY_ALIAS:
        SYS("ic ivau", WRITTEN + offset);
        break;
    case BY_PHYSICAL:
        SYS("ic ivau", TARGET + offset);
        break;
    case ALL_LOCAL:
        DO("ic iallu");
        break;
    default:
        DO("ic ialluis");
        break;
    }
    DO("dsb ish\n isb");
}

static void map_code(void)
{
    for (uint64_t n = 0; n < 0x4000; n += 4096) {
        *slot(&kit_low, CODE + n, 3) = (TARGET + n) | PAGE | X;
        *slot(&kit_low, ALIAS + n, 3) = (TARGET + n) | PAGE | X;
        *slot(&kit_low, WRITTEN + n, 3) = (TARGET + n) | PAGE | RW1;
    }
    flush();
}

static void other_page(void)
{
    static const uint64_t offsets[] = { 0, 4, 0x3c, 0x40, 0xffc, 0x1000, 0x2ff8 };

    for (unsigned form = 0; form < FORMS; form++)
        for (unsigned i = 0; i < COUNT(offsets); i++) {
            uint64_t o = offsets[i];
            bool good = true;
            for (unsigned n = 1; n < 20; n++) {
                write_word(o, SVC(n * 3 + form), form);
                uint64_t want = ESR(0x15, n * 3 + form);
                good &= run(jump, EL0, CODE + o, 0)->esr == want;
                good &= run(jump, EL1, CODE + o, 0)->esr == want;
                good &= run(jump, EL0, ALIAS + o, 0)->esr == want;
            }
            check(form_names[form], "19 times the new instruction, at EL0, EL1 and an alias", good,
                  1);
        }
}

/*
 * In its own page: a program, writable and executable by EL1, that writes the word behind it and
 * then runs into it. x0: where, x1: the word; written first with NOP.
 */
static void same_page(bool all)
{
    const uint32_t program[] = {
        0xb9000001,                    /* str w1, [x0] */
        0xd50b7b20,                    /* dc cvau, x0 */
        0xd5033b9f,                    /* dsb ish */
        all ? 0xd508751f : 0xd50b7520, /* ic iallu; ic ivau, x0 */
        0xd5033b9f,                    /* dsb ish */
        0xd5033fdf,                    /* isb */
        SVC(0xbad),                    /* what is replaced: [x0] */
        SVC(0xbad),
    };

    for (unsigned n = 0; n < COUNT(program); n++)
        write_word(n * 4, program[n], BY_VA);
    map(&kit_low, CODE, 3, TARGET | PAGE | NORMAL);
    bool good = true;
    for (unsigned n = 1; n < 40; n++)
        good &= run((const void *)CODE, EL1, CODE + 6 * 4, SVC(n))->esr == ESR(0x15, n);
    check("same page", all ? "IC IALLU" : "IC IVAU", good, 1);
    map(&kit_low, CODE, 3, TARGET | PAGE | X);
}

/* Two pages of code that say where they are; they go to and fro between each other. */
#define WHERE 0x1e00

static void write_where(void)
{
    static const struct {
        uint32_t offset, word;
    } program[] = {
        { WHERE + 0x00, 0x18000402 },                               /* ldr w2, WHERE + 0x80 */
        { WHERE + 0x04, 0x100001e2 },                               /* adr x2, WHERE + 0x40 */
        { WHERE + 0x08, 0xb0000003 },                               /* adrp x3, 0x2000 */
        { WHERE + 0x0c, 0x91006063 },                               /* add x3, x3, #0x18 */
        { WHERE + 0x10, 0x58000384 },                               /* ldr x4, WHERE + 0x80 */
        { WHERE + 0x14, 0x940000bb },                               /* bl 0x2100 */
        { WHERE + 0x18, 0xaa1e03e6 },                               /* mov x6, x30 */
        { WHERE + 0x1c, 0xd2800007 },                               /* mov x7, #0 */
        { WHERE + 0x20, 0x910004e7 },                               /* add x7, x7, #1 */
        { WHERE + 0x24, 0xf10190ff },                               /* cmp x7, #100 */
        { WHERE + 0x28, 0x54001ec1 },                               /* b.ne 0x2200 */
        { WHERE + 0x2c, 0x9e670080 },                               /* fmov d0, x4 */
        { WHERE + 0x30, 0x5c000281 },                               /* ldr d1, WHERE + 0x80 */
        { WHERE + 0x34, 0x14000023 },                               /* b WHERE + 0xc0 */
        { WHERE + 0x80, 0x33333333 },                               /* a literal */
        { WHERE + 0x84, 0x44444444 }, { WHERE + 0xc0, 0xca030040 }, /* eor x0, x2, x3 */
        { WHERE + 0xc4, 0x8b0000a5 },                               /* add x5, x5, x0 */
        { WHERE + 0xc8, 0x9e660020 },                               /* fmov x0, d1 */
        { WHERE + 0xcc, 0xcb040000 },                               /* sub x0, x0, x4 */
        { WHERE + 0xd0, 0x8b070000 },                               /* add x0, x0, x7 */
        { WHERE + 0xd4, 0xaa0503e1 },                               /* mov x1, x5 */
        { WHERE + 0xd8, 0xaa0603e2 },                               /* mov x2, x6 */
        { WHERE + 0xdc, 0xd4000001 },                               /* svc #0 */
        { 0x2100, 0x10000005 },                                     /* adr x5, . */
        { 0x2104, 0xd65f03c0 },                                     /* ret */
        { 0x2200, 0x17ffff08 },                                     /* b WHERE + 0x20 */
    };

    for (unsigned n = 0; n < COUNT(program); n++)
        write_word(program[n].offset, program[n].word, BY_VA);
}

/* `change`: what the word at 0x2100 adds to its address. */
static bool says_where(uint64_t base, uint64_t el, uint64_t change)
{
    const struct taken *t = run(jump, el, base + WHERE, 0);
    uint64_t xored = (base + WHERE + 0x40) ^ (base + 0x2018);

    return t->esr == SVC0 && t->x[0] == 100 && t->x[1] == base + 0x2100 + change + xored &&
           t->x[2] == base + WHERE + 0x18 && t->x[3] == base + 0x2018;
}

static void two_addresses(void)
{
    bool good = true;

    write_where();
    for (unsigned n = 0; n < 20; n++) {
        good &= says_where(CODE, EL0, 0) && says_where(ALIAS, EL0, 0);
        good &= says_where(ALIAS, EL1, 0) && says_where(CODE, EL1, 0);
    }
    check("two addresses", "each says where it is", good, 1);
    for (unsigned form = 0; form < FORMS; form++)
        for (unsigned n = 1; n < 5; n++) {
            write_word(0x2100, 0x10000005 | n << 5, form); /* adr x5, . + 4n */
            good = says_where(CODE, EL0, n * 4) && says_where(ALIAS, EL0, n * 4) &&
                   says_where(ALIAS, EL1, n * 4) && says_where(CODE, EL1, n * 4);
            check("two addresses", form_names[form], good, 1);
        }
}

/* Mappings that come and go, as programs do. */
static void many_addresses(void)
{
    bool good = true;

    write_where();
    for (unsigned n = 1; n < 100; n++) {
        uint64_t base = ALIAS + (n % 25 + 1) * 0x10000, pages[] = { 0x1000, 0x2000 };
        uint64_t el = n & 1 ? EL1 : EL0;
        for (unsigned i = 0; i < COUNT(pages); i++)
            *slot(&kit_low, base + pages[i], 3) = (TARGET + pages[i]) | PAGE | X;
        flush();
        good &= says_where(base, el, 0) && says_where(CODE, el, 0) && says_where(base, el, 0);
        for (unsigned i = 0; n % 3 && i < COUNT(pages); i++)
            *slot(&kit_low, base + pages[i], 3) = 0;
        flush();
    }
    check("many addresses", "each says where it is", good, 1);
}

/* Loads from a page that ADRP names: what they find, where they are, and what faults of them find
 * done. */
#define LITERALS 0x1400
#define DATA     0x2000

static void write_literals(void)
{
    static const uint32_t program[] = {
        0xb0000001, /* adrp x1, DATA */
        0xf9440021, /* ldr x1, [x1, #0x800] */
        0xb0000002, /* adrp x2, DATA */
        0xf9440443, /* ldr x3, [x2, #0x808] */
        0x91202042, /* add x2, x2, #0x808 */
        SVC(0),     /* svc #0 */
        0xb0000010, /* adrp x16, DATA */
        0xb94ffe11, /* ldr w17, [x16, #0xffc] */
        0x913ff210, /* add x16, x16, #0xffc */
        0xaa1003e2, /* mov x2, x16 */
        0xaa1103e3, /* mov x3, x17 */
        SVC(0),     /* svc #0 */
        0xb0000002, /* adrp x2, DATA */
        0xf9480043, /* ldr x3, [x2, #0x1000], which is in the next page */
        SVC(0),     /* svc #0 */
    };

    for (unsigned n = 0; n < COUNT(program); n++)
        write_word(LITERALS + n * 4, program[n], BY_VA);
}

static bool finds(uint64_t base, uint64_t el, uint64_t n)
{
    bool good = true;
    const struct taken *t = run(jump, el, base + LITERALS, 0);

    good &= t->esr == SVC0 && t->x[1] == (n << 32) + 1 && t->x[2] == base + DATA + 0x808;
    good &= t->x[3] == (n << 32) + 3;
    t = run(jump, el, base + LITERALS + 6 * 4, 0);
    good &= t->esr == SVC0 && t->x[2] == base + DATA + 0xffc && t->x[3] == n;
    t = run(jump, el, base + LITERALS + 12 * 4, 0);
    return good && t->esr == SVC0 && t->x[2] == base + DATA && t->x[3] == (n << 32) + 5;
}

static void literals(void)
{
    static const uint64_t old[4] = { CODE + LITERALS, 11, 12, 13 };
    bool good = true;

    write_literals();
    for (uint64_t n = 1; n < 20; n++) {
        *(volatile uint64_t *)(WRITTEN + DATA + 0x800) = (n << 32) + 1;
        *(volatile uint64_t *)(WRITTEN + DATA + 0x808) = (n << 32) + 3;
        *(volatile uint32_t *)(WRITTEN + DATA + 0xffc) = (uint32_t)n;
        *(volatile uint64_t *)(WRITTEN + DATA + 0x1000) = (n << 32) + 5;
        good &= finds(CODE, EL0, n) && finds(CODE, EL1, n) && finds(ALIAS, EL0, n);
        if (n % 3 == 0)
            flush();
    }
    check("literals", "loaded", good, 1);

    *slot(&kit_low, CODE + DATA, 3) = 0;
    flush();
    for (uint64_t el = 0; el < 2; el++)
        for (uint64_t n = 0; n < 2; n++) {
            const uint64_t x[4] = { CODE + LITERALS + n * 8, old[1], old[2], old[3] };
            kit_run(jump, el ? EL1 : EL0, x);
            const struct taken *t = &kit_cpus[0].taken;
            check("literals", "a fault", t->esr, ESR(el ? 0x25 : 0x24, TRANSLATION | 3));
            check("literals", "its FAR", t->far, CODE + DATA + 0x800 + n * 8);
            check("literals", "its ELR", t->elr, CODE + LITERALS + n * 8 + 4);
            check("literals", "what ADRP made", t->x[1 + n], CODE + DATA);
            check("literals", "nothing more", t->x[3], old[3]);
        }
    map_code();
    check("literals", "loaded afterwards", finds(CODE, EL0, 19), 1);
}

/* A loop, already hot, is patched to its end. */
static void hot_loop(void)
{
    write_word(0x100, 0x91000400, BY_VA); /* add x0, x0, #1 */
    write_word(0x104, 0xf1000421, BY_VA); /* subs x1, x1, #1 */
    write_word(0x108, 0x54ffffc1, BY_VA); /* b.ne 0x100 */
    write_word(0x10c, SVC(0), BY_VA);
    for (unsigned n = 1; n < 5; n++) {
        write_word(0x100, 0x91000000 | n << 10, n & 1 ? BY_ALIAS : ALL_LOCAL); /* add x0, x0, #n */
        check("hot loop", "patched", run((const void *)(CODE + 0x100), EL0, 0, 30000)->x[0],
              30000ul * n);
    }
}

/*
 * A function that compares and goes on at a word that does not look at the flags, until it does.
 * Nothing of the function itself changes, and it may be in another line of the instruction cache.
 */
static void reader_of_flags(void)
{
    static const uint64_t functions[] = { 0x200, 0x900 };
    const uint64_t reader = 0x100;

    for (unsigned form = 0; form < FORMS; form++)
        for (unsigned i = 0; i < COUNT(functions); i++) {
            uint64_t f = functions[i];
            bool good = true;
            write_word(f, 0xf100143f, BY_VA); /* cmp x1, #5 */
            write_word(f + 4, 0x14000000 | ((reader - f - 4) >> 2 & 0x3ffffff), BY_VA); /* b */
            write_word(reader, 0xd28000e0, BY_VA);     /* mov x0, #7 */
            write_word(reader + 4, 0xeb1f03ff, BY_VA); /* cmp xzr, xzr */
            write_word(reader + 8, SVC(0), BY_VA);
            for (unsigned n = 0; n < 4; n++)
                good &= run((const void *)(CODE + f), EL0, 0, n)->x[0] == 7;
            write_word(reader, 0x9a9f17e0, form); /* cset x0, eq */
            for (uint64_t n = 4; n < 7; n++)
                good &= run((const void *)(CODE + f), EL0, 9, n)->x[0] == (n == 5);
            check(form_names[form], "what follows begins to look at flags", good, 1);
        }
}

/* The other CPU runs the code in a loop; each word is its answer. */
static struct {
    volatile uint64_t round, done, answer;
    volatile uint64_t generation, wrong, rounds;
    volatile bool racing, inside; /* wanted by this CPU; done by the other */
} shared;

/* Calls the function at x0, which gives its number in x4, while the generation at [x1] stays even
 * and the same: SVC #1 if the number is another. */
PROBE(race, "1: ldar x3, [x1]\n isb\n blr x0\n dmb ish\n ldr x5, [x1]\n cmp x3, x5\n b.ne 2f\n"
            " tbnz x3, #0, 2f\n cmp x4, x3\n b.ne 3f\n 2: subs x2, x2, #1\n b.ne 1b\n svc #0\n"
            " 3: svc #1");
#define FUNCTION 0x2100

static void second_race(void)
{
    shared.inside = true;
    while (shared.racing) {
        const struct taken *t = run(race, EL1, CODE + FUNCTION, (uint64_t)&shared.generation);
        shared.wrong += t->esr != SVC0;
        shared.rounds++;
    }
    shared.inside = false;
}

static void second(void)
{
    for (uint64_t n = 0;; n++) {
        while (shared.round == n)
            if (shared.racing)
                second_race();
        DO("dmb ish\n isb");
        shared.answer = run(jump, EL0, CODE + 0x3000, 0)->esr;
        DO("dmb ish");
        shared.done = n + 1;
    }
}

static void other_cpu(void)
{
    static const unsigned forms[] = { BY_VA, BY_ALIAS, BY_PHYSICAL, ALL_SHARED };

    for (unsigned i = 0; i < COUNT(forms); i++) {
        bool good = true;
        for (unsigned n = 0; n < 50; n++) {
            write_word(0x3000, SVC(n + 1), forms[i]);
            DO("dmb ish");
            shared.round++;
            while (shared.done != shared.round)
                ;
            DO("dmb ish");
            good &= shared.answer == ESR(0x15, n + 1);
        }
        check("other CPU", form_names[forms[i]], good, 1);
    }
}

/* The other CPU calls a function that is rewritten meanwhile; it only synchronises itself by ISB.
 */
static void racing(unsigned form)
{
    write_word(FUNCTION, 0xd2800004, form);     /* mov x4, #0 */
    write_word(FUNCTION + 4, 0xd65f03c0, form); /* ret */
    shared.generation = shared.wrong = shared.rounds = 0;
    DO("dsb ish");
    shared.racing = true;
    while (!shared.rounds)
        ;
    for (uint32_t g = 2; g < 600; g += 2) {
        shared.generation = g - 1;
        DO("dmb ish");
        write_word(FUNCTION, 0xd2800004 | g << 5, form);
        shared.generation = g;
        DO("dmb ish");
    }
    shared.racing = false;
    while (shared.inside)
        ;
    check("racing", form_names[form], shared.wrong, 0);
    note("rounds of the other CPU", shared.rounds);
}

void test(void)
{
    map_code();
    literals();
    second_start(second);
    other_page();
    same_page(false);
    same_page(true);
    hot_loop();
    reader_of_flags();
    two_addresses();
    many_addresses();
    other_cpu();
    racing(BY_ALIAS);
    racing(ALL_SHARED);
}
