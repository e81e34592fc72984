/*
 * Loops of several blocks: random parts of random instructions that lead to each other, forwards on
 * any condition and backwards as long as there are turns left, with ways out in between. All state
 * has to be as the interpreter leaves it, also where an access in the middle faults.
 */
#include "tests/unit/loop_guest.h"

#define PROGRAMS 250
#define PARTS    12
#define WORDS    240
#define END      (GUEST_RAM + GUEST_RAM_SIZE)

/* x0 to x26 are anybody's; a pointer that moves, one that stays, what is known of flags, turns. */
enum { MOVING = 27, STAYS = 28, TURNS = 30 };

static uint64_t state;

static unsigned next(unsigned limit)
{
    return (unsigned)(guest_random(&state) >> 11) % limit;
}

/* Fields that an instruction has. */
enum {
    RD = 1,
    RN = 2,
    RM = 4,
    RA = 8,
    COND = 16,
    SHIFT = 32,
    BASE = 64,
    MOVES = 128,
    VECTOR = 256,
    SAME = 512 /* rn is rd */
};

static const struct {
    uint32_t word;
    unsigned fields, scale; /* the last shift of an offset of at most 31 units */
} forms[] = {
    { 0x8b000000, RD | RN | RM, 0 },          /* add */
    { 0xcb000000, RD | RN | RM, 0 },          /* sub */
    { 0x0b000000, RD | RN | RM, 0 },          /* add, of 32 bits */
    { 0xca000000, RD | RN | RM | SHIFT, 0 },  /* eor */
    { 0xab000000, RD | RN | RM, 0 },          /* adds */
    { 0x6b000000, RD | RN | RM, 0 },          /* subs, of 32 bits */
    { 0xeb00001f, RN | RM, 0 },               /* cmp */
    { 0xea00001f, RN | RM | SHIFT, 0 },       /* tst */
    { 0x7100041f, RN, 0 },                    /* cmp wn, #1 */
    { 0x9a000000, RD | RN | RM, 0 },          /* adc */
    { 0xba000000, RD | RN | RM, 0 },          /* adcs */
    { 0x9a800000, RD | RN | RM | COND, 0 },   /* csel */
    { 0x9a800400, RD | RN | RM | COND, 0 },   /* csinc */
    { 0x9b000000, RD | RN | RM | RA, 0 },     /* madd */
    { 0x8b000000, RD | SAME | RM, 0 },        /* add rd, rd, rm */
    { 0x91001c00, RD | SAME, 0 },             /* add rd, rd, #7 */
    { 0xd1001c00, RD | SAME, 0 },             /* sub rd, rd, #7 */
    { 0x9a800000, RD | SAME | RM | COND, 0 }, /* csel rd, rd, rm */
    { 0x1a800000, RD | SAME | RM | COND, 0 }, /* csel, of 32 bits */
    { 0x9ba07c00, RD | RN | RM, 0 },          /* umull */
    { 0x9b207c00, RD | RN | RM, 0 },          /* smull */
    { 0x9b200000, RD | RN | RM | RA, 0 },     /* smaddl */
    { 0xd3452c00, RD | RN, 0 },               /* ubfx #5, #7 */
    { 0x53047c00, RD | RN, 0 },               /* lsr #4, of 32 bits */
    { 0x531c2000, RD | RN, 0 },               /* ubfiz #4, #9, of 32 bits */
    { 0xd36f3800, RD | RN, 0 },               /* ubfiz #17, #15 */
    { 0xb3452c00, RD | RN, 0 },               /* bfxil #5, #7 */
    { 0xd345fc00, RD | RN, 0 },               /* lsr #5 */
    { 0xdac01000, RD | RN, 0 },               /* clz */
    { 0xf9400000, RD | BASE, 10 },            /* ldr */
    { 0xf9000000, RD | BASE, 10 },            /* str */
    { 0x39400000, RD | BASE, 10 },            /* ldrb */
    { 0xb9000000, RD | BASE, 10 },            /* str, of 32 bits */
    { 0xa9400000, RD | RA | BASE, 15 },       /* ldp */
    { 0xf8408400, RD | MOVES, 0 },            /* ldr [], #8 */
    { 0xf8004c00, RD | MOVES, 0 },            /* str [, #4]! */
    { 0x3dc00000, RD | BASE | VECTOR, 10 },   /* ldr q */
    { 0x3d800000, RD | BASE | VECTOR, 10 },   /* str q */
    { 0x4ea08400, RD | RN | RM | VECTOR, 0 }, /* add v.4s */
    { 0x6e20dc00, RD | RN | RM | VECTOR, 0 }, /* fmul v.4s */
    { 0x4e040400, RD | RN | VECTOR, 0 },      /* dup v.4s, v.s[0] */
    { 0x9e660000, RD | RN, 0 },               /* fmov x, d */
};

#define FORMS 42
#define PLAIN 36 /* without V registers, which loops of one block are left alone for */

_Static_assert(sizeof forms / sizeof forms[0] == FORMS, "the last ones are of V registers");

static uint32_t any(unsigned among)
{
    unsigned n = next(among), f = forms[n].fields;
    uint32_t word = forms[n].word;

    word |= f & RD ? next(27) : 0;
    word |= f & RN ? next(27) << 5 : 0;
    word |= f & SAME ? (word & 31) << 5 : 0;
    word |= f & RM ? next(27) << 16 : 0;
    word |= f & COND ? next(14) << 12 : 0;
    word |= f & SHIFT ? next(32) << 10 : 0;
    word |= f & BASE ? (next(3) ? STAYS : MOVING) << 5 | next(8) << forms[n].scale : 0;
    word |= f & MOVES ? MOVING << 5 : 0;
    if (f & RA) { /* of LDP: another register */
        unsigned other = next(27);
        word |= (other == (word & 31) ? (other + 1) % 27 : other) << 10;
    }
    return word;
}

/* A conditional branch that does not depend on the turns that are left. */
static uint32_t any_branch(void)
{
    switch (next(9)) {
    case 0:
    case 1:
    case 2:
    case 3:
        return 0x54000000 | next(14);
    case 4:
    case 5:
        return (next(2) ? 0xb4000000 : 0x35000000) | next(27);
    case 6:
    case 7:
        return 0x36000000 | next(2) << 24 | next(32) << 19 | next(27);
    default:
        return 0x14000000;
    }
}

static uint32_t with_offset(uint32_t word, int words)
{
    if (word >> 26 == 5)
        return word | ((uint32_t)words & 0x3ffffff);
    unsigned bits = (word & 0x7e000000) == 0x36000000 ? 14 : 19;
    return word | ((uint32_t)words & ((1u << bits) - 1)) << 5;
}

/* Parts, each with a branch behind it: to a later one, to an earlier one while there are turns, or
 * none. Behind them flags are read, and the end is an access to a device. */
static void make(uint32_t *code, unsigned among)
{
    unsigned parts = 3 + next(PARTS - 2), at = 0, start[PARTS + 1];
    struct {
        unsigned at, part;
    } branch[PARTS];

    for (unsigned n = 0; n < parts; n++) {
        start[n] = at;
        for (unsigned left = next(11) + 1; left; left--)
            code[at++] = any(among);
        if (n + 1 == parts || next(5) < 2) {
            bool flags = next(2); /* sub, tbz leave them */
            code[at++] = flags ? 0xf10007de : 0xd10007de;
            code[at] = flags ? 0x54000005 : 0xb6f8001e;
            branch[n].part = n + 1 == parts ? 0 : next(n + 1);
        } else {
            code[at] = any_branch();
            branch[n].part = n + 1 + next(parts - n);
        }
        branch[n].at = at++;
    }
    start[parts] = at;
    for (unsigned n = 0; n < parts; n++) {
        int to = (int)start[branch[n].part] - (int)branch[n].at;
        code[branch[n].at] = with_offset(code[branch[n].at], to);
    }
    code[at++] = 0xd53b421c; /* mrs x28, nzcv */
    code[at++] = 0xb94003a6; /* ldr w6, [x29] */
    while (at < WORDS)
        code[at++] = 0xd42000e0; /* brk #7 */
}

static void run(const char *engine, const uint32_t *code, uint64_t moving, struct loop_result *r)
{
    struct guest g;

    CHECK_OK(hvx_set_engine(engine));
    guest_open(&g, code, WORDS);
    loop_memory(&g, 0x20000);
    loop_vectors(&g);
    for (unsigned n = 0; n < 27; n++)
        guest_set_reg(&g, HV_REG_X0 + n, (uint64_t)n * n * n * 0x1234567 << n % 5 * 11);
    guest_set_reg(&g, HV_REG_X0 + MOVING, moving);
    guest_set_reg(&g, HV_REG_X0 + STAYS, GUEST_DATA + 0x3fc0);
    guest_set_reg(&g, HV_REG_X0 + 29, GUEST_MMIO_HIGH);
    guest_set_reg(&g, HV_REG_X0 + TURNS, 150);
    loop_run(&g, r);
}

static void every_nest(void)
{
    static struct loop_result want, got;
    uint32_t code[WORDS];

    state = GUEST_RANDOM;
    for (unsigned n = 0; n < PROGRAMS; n++) {
        make(code, n % 4 ? PLAIN : FORMS);
        /* in one page, over pages, out of memory */
        uint64_t moving = n % 3 == 0   ? GUEST_DATA + 0x5000
                          : n % 3 == 1 ? GUEST_DATA + 0x8fe0
                                       : END - 0x200;
        run("interp", code, moving, &want);
        run(getenv("IREKO_ENGINE"), code, moving, &got);
        loop_compare(&want, &got);
    }
}

/* What never ends is left when somebody asks, with all registers where they should be. */
static void an_endless_one_is_left(void)
{
    static const uint32_t code[] = {
        0x91000529, /* head: add x9, x9, #1 */
        0xf100053f, /* cmp x9, #1 */
        0x54000043, /* b.cc skip */
        0x9100056b, /* add x11, x11, #1 */
        0xf240013f, /* skip: tst x9, #1 */
        0x54ffff61, /* b.ne head */
        0x9100058c, /* add x12, x12, #1 */
        0x17fffff9, /* b head */
    };
    struct guest g;

    CHECK_OK(hvx_set_engine(getenv("IREKO_ENGINE")));
    GUEST_OPEN(&g, code);
    loop_run_until_asked(&g);
    uint64_t pc = guest_reg(&g, HV_REG_PC), turns = guest_reg(&g, HV_REG_X0 + 9);
    CHECK(pc < GUEST_CODE + sizeof code);
    CHECK(turns > 1);
    CHECK(turns - guest_reg(&g, HV_REG_X0 + 11) <= 1);
    CHECK(turns / 2 - guest_reg(&g, HV_REG_X0 + 12) <= 1);
    guest_close(&g);
}

int main(void)
{
    RUN(every_nest);
    RUN(an_endless_one_is_left);
    return check_finish();
}
