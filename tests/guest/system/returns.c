/*
 * Calls and returns (DDI 0487 C6.2: BL, BLR, RET): RET goes to where its register says, whatever
 * was called before, and executes what is there then: at any depth, after frames were left out,
 * after code, mappings, the address space or FPCR changed between call and return, and at EL0 and
 * EL1 at the same addresses.
 */
#include "kit.h"

#define X      (NORMAL | AP_RO | AP_EL0)
#define CODE   V
#define STACK  (V + 0x40000000)
#define TOP    (STACK + 0x100000)
#define TOP1   (STACK + 0x200000)
#define STACKS ((TARGET + 0x200000) | BLOCK | NORMAL | AP_EL0 | XN)
#define OTHER  (TARGET + 0x1000) /* the other version of the code */

/* x0 calls deep, each with a frame on the stack at x1; x2 counts the returns. */
PROBE(deep, "mov x2, #0\n bl 1f\n svc #0\n"
            "1: str x30, [x1, #-16]!\n cbz x0, 2f\n sub x0, x0, #1\n bl 1b\n add x2, x2, #1\n"
            "2: ldr x30, [x1], #16\n ret");
PROBE(deep_blr, "mov x2, #0\n adr x3, 1f\n blr x3\n svc #0\n"
                "1: str x30, [x1, #-16]!\n cbz x0, 2f\n sub x0, x0, #1\n blr x3\n add x2, x2, #1\n"
                "2: ldr x30, [x1], #16\n ret");

static void depths(void)
{
    static const uint64_t depth[] = { 0, 1, 2, 17, 4094, 4095, 4096, 4097, 8192, 20000 };

    for (unsigned n = 0; n < COUNT(depth); n++) {
        bool good = true;
        for (unsigned i = 0; i < 8; i++) {
            const struct taken *t = run(i & 2 ? deep_blr : deep, i & 1 ? EL1 : EL0, depth[n], TOP);
            good &= t->esr == SVC0 && t->x[2] == depth[n] && t->x[1] == TOP;
        }
        check("depth", "each call returns", good, 1);
    }
}

/* x2 times: x0 calls deep, then straight back to the first caller. */
PROBE(jump_out, "mov x7, x0\n mov x5, x1\n mov x3, #0\n"
                "1: mov x0, x7\n bl 2f\n add x3, x3, #1\n subs x2, x2, #1\n b.ne 1b\n svc #0\n"
                "2: mov x4, x30\n"
                "3: str x30, [x1, #-16]!\n cbz x0, 4f\n sub x0, x0, #1\n bl 3b\n"
                "add x3, x3, #100\n ldr x30, [x1], #16\n ret\n"
                "4: mov x1, x5\n mov x30, x4\n ret");
/* Behind the instruction after the call; by another register; two that give each other turns. */
PROBE(skip, "mov x2, #0\n mov x3, #200\n"
            "1: bl 2f\n svc #1\n add x2, x2, #1\n subs x3, x3, #1\n b.ne 1b\n svc #0\n"
            "2: mov x5, x30\n bl 3f\n add x30, x5, #4\n ret\n 3: ret");
PROBE(by_other, "mov x2, #0\n mov x3, #200\n"
                "1: bl 2f\n add x2, x2, #1\n subs x3, x3, #1\n b.ne 1b\n svc #0\n"
                "2: mov x5, x30\n bl 3f\n mov x30, #0\n ret x5\n 3: ret");
PROBE(turns, "mov x2, #0\n mov x3, #100\n adr x4, 3f\n"
             "1: bl 2f\n add x2, x2, #1\n subs x3, x3, #1\n b.ne 1b\n svc #0\n"
             "2: mov x5, x4\n mov x4, x30\n mov x30, x5\n ret\n"
             "3: add x2, x2, #1000\n bl 2b\n b 3b");
/* Without a call; to what no code can be at. */
PROBE(uncalled, "mov x2, #0\n adr x30, 1f\n ret\n svc #1\n 1: mov x2, #1");
PROBE(nowhere, "mov x30, x0\n ret");

static void mismatches(uint64_t el)
{
    uint64_t x[4] = { 30, TOP, 50, 0 };

    kit_run(jump_out, el, x);
    check("mismatch", "frames left out", kit_cpus[0].taken.x[3], 50);
    check("mismatch", "skips an instruction", run(skip, el, 0, 0)->x[2], 200);
    check("mismatch", "RET of another register", run(by_other, el, 0, 0)->x[2], 200);
    check("mismatch", "coroutines", run(turns, el, 0, 0)->x[2], 100100);
    check("mismatch", "without a call", run(uncalled, el, 0, 0)->x[2], 1);
    for (uint64_t to = 1; to < 4; to++) {
        const struct taken *t = run(nowhere, el, to, 0);
        check("mismatch", "to a misaligned address", t->esr, ESR(0x22, 0));
        check("mismatch", "ELR_EL1", t->elr, to);
    }
}

/*
 * As `deep`, but it looks in at EL1 (SVC #7) before it comes back. There it has all that it needs
 * in x0 to x2, or on its stack. x3: what FPCR makes of 1 + 2^-60, as the last return found it.
 */
PROBE(climb, "bl 1f\n svc #0\n"
             "1: str x30, [x1, #-16]!\n cbz x0, 2f\n sub x0, x0, #1\n bl 1b\n add x2, x2, #1\n"
             "b 3f\n 2: svc #7\n"
             "3: ldr x30, [x1], #16\n fadd d2, d0, d1\n fmov x3, d2\n ret");
#define CLIMB     13 /* words */
#define CLIMB_ADD 6  /* of them: the ADD */
PROBE(numbers, "fmov d0, #1.0\n mov x0, #0x3c30000000000000\n fmov d1, x0");

static void write_page(uint64_t pa, const uint32_t *code, unsigned count)
{
    for (unsigned n = 0; n < count; n++)
        ((volatile uint32_t *)pa)[n] = code[n];
    DO("dsb ish\n ic ialluis\n dsb ish\n isb");
}

/* Up to SVC #7; then x[] is what it goes on with. */
static uint64_t climb_to(uint64_t el, uint64_t depth, uint64_t stack, uint64_t x[4])
{
    const uint64_t start[4] = { depth, stack, 0, 0 };

    kit_run((const void *)CODE, el, start);
    const struct taken *t = &kit_cpus[0].taken;
    for (unsigned n = 0; n < 4; n++)
        x[n] = t->x[n];
    return t->esr == ESR(0x15, 7) ? t->elr : 0;
}

/* The returns that count 1 each, or 3 each. */
static void come_down(const char *name, uint64_t el, uint64_t from, const uint64_t x[4],
                      uint64_t each, uint64_t sum)
{
    kit_run((const void *)from, el, x);
    const struct taken *t = &kit_cpus[0].taken;
    bool good = from && t->esr == SVC0 && t->x[2] == each * 40 && t->x[3] == sum;
    check(name, el == EL0 ? "EL0" : "EL1", good, 1);
}

#define NEAREST 0x3ff0000000000000ul
#define UP      0x3ff0000000000001ul

/* All but V as it is here, with an ASID of its own. */
static struct space space_like_this(void)
{
    struct space space = space_new(12, 48);
    uint64_t *from = (uint64_t *)(kit_low.root & 0xffffffffffff), *to = (uint64_t *)space.root;

    for (unsigned n = 0; n < 512; n++)
        to[n] = n == (V >> 39) ? 0 : from[n];
    space.root |= 1ul << 48;
    return space;
}

static void between(uint64_t el)
{
    static uint32_t other[CLIMB];
    uint64_t x[4], y[4];

    for (unsigned n = 0; n < CLIMB; n++)
        other[n] = n == CLIMB_ADD ? 0x91000c42 : climb[n]; /* add x2, x2, #3 */
    write_page(TARGET, climb, CLIMB);
    write_page(OTHER, other, CLIMB);
    map(&kit_low, CODE, 3, TARGET | PAGE | X);

    for (unsigned n = 0; n < 20; n++) {
        uint64_t from = climb_to(el, 40, TOP, x);
        come_down("nothing between", el, from, x, 1, NEAREST);
    }

    uint64_t from = climb_to(el, 40, TOP, x);
    climb_to(EL0, 50, TOP1, y);
    climb_to(EL1, 60, TOP1, y);
    come_down("others between", el, from, x, 1, NEAREST);

    from = climb_to(el, 40, TOP, x);
    map(&kit_low, CODE, 3, OTHER | PAGE | X);
    come_down("another page", el, from, x, 3, NEAREST);

    from = climb_to(el, 40, TOP, x);
    write_page(OTHER, climb, CLIMB);
    come_down("other code", el, from, x, 1, NEAREST);
    write_page(OTHER, other, CLIMB);

    from = climb_to(el, 40, TOP, x);
    WRITE(fpcr, 1ul << 22); /* towards plus infinity */
    come_down("other rounding", el, from, x, 3, UP);
    from = climb_to(el, 40, TOP, x);
    WRITE(fpcr, 0);
    come_down("usual rounding", el, from, x, 3, NEAREST);

    /* another address space, that has the first version */
    struct space space = space_like_this();
    *slot(&kit_low, CODE, 3) = OTHER | PAGE | X | NG;
    *slot(&space, CODE, 3) = TARGET | PAGE | X | NG;
    *slot(&space, STACK, 2) = STACKS;
    flush();
    from = climb_to(el, 40, TOP, x);
    WRITE(ttbr0_el1, space.root);
    come_down("another address space", el, from, x, 1, NEAREST);
    from = climb_to(el, 40, TOP, x);
    WRITE(ttbr0_el1, kit_low.root);
    uint64_t there = climb_to(el, 40, TOP1, y);
    WRITE(ttbr0_el1, space.root);
    come_down("another one between", el, from, x, 1, NEAREST);
    WRITE(ttbr0_el1, kit_low.root);
    come_down("back in the first", el, there, y, 3, NEAREST);
}

/* A function at 0x100 that changes the instruction that it returns to. EL1 may write here. */
static void changes_its_caller(void)
{
    static const struct {
        uint32_t offset, word;
    } program[] = {
        { 0x000, 0x94000040 }, /* bl 0x100 */
        { 0x004, 0xd2817dc2 }, /* mov x2, #0xbee; replaced */
        { 0x008, 0xd4000001 }, /* svc #0 */
        { 0x100, 0xb9000001 }, /* str w1, [x0] */
        { 0x104, 0xd50b7b20 }, /* dc cvau, x0 */
        { 0x108, 0xd5033b9f }, /* dsb ish */
        { 0x10c, 0xd50b7520 }, /* ic ivau, x0 */
        { 0x110, 0xd5033b9f }, /* dsb ish */
        { 0x114, 0xd5033fdf }, /* isb */
        { 0x118, 0xd65f03c0 }, /* ret */
    };
    bool good = true;

    for (unsigned n = 0; n < COUNT(program); n++)
        write_page(TARGET + program[n].offset, &program[n].word, 1);
    map(&kit_low, CODE, 3, TARGET | PAGE | NORMAL);
    for (uint32_t n = 1; n < 60; n++)
        good &= run((const void *)CODE, EL1, CODE + 4, 0xd2800002 | n << 5)->x[2] == n;
    check("changes its caller", "59 times", good, 1);
}

void test(void)
{
    map(&kit_low, STACK, 2, STACKS);
    run(numbers, EL0, 0, 0);
    depths();
    mismatches(EL0);
    mismatches(EL1);
    between(EL0);
    between(EL1);
    changes_its_caller();
}
