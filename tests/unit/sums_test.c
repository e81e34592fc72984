/*
 * Long blocks and loops of integer instructions as big numbers are made of: chains of additions and
 * subtractions with carry, both halves of products, loads and stores between them, more registers
 * than the host has. The programs come from a fixed sequence of random numbers; all state has to be
 * as the interpreter leaves it, also where an access in the middle faults. (Flags that nobody reads
 * are not known then; those that are read are, or going on would show it.)
 */
#include "tests/hv/guest.h"

#include <stdlib.h>
#include <string.h>

#define PROGRAMS 150
#define WORDS    420
#define TABLES   (GUEST_RAM + 0x4000)

/* Registers: x0 to x26 and x29 are anybody's; x27 is a pointer that moves, x28 one that stays, x30
 * counts turns. */
enum { MOVING = 27, STAYS = 28, TURNS = 30 };

static uint64_t state;

static unsigned next(unsigned limit)
{
    return (unsigned)(guest_random(&state) >> 11) % limit;
}

static unsigned any(void)
{
    unsigned reg = next(28);
    return reg == 27 ? 29 : reg;
}

/* Fields that an instruction has: registers where A64 has them, and others. */
enum { RD = 1, RN = 2, RM = 4, RA = 8, SHIFT = 16, IMM6 = 32, COND = 64, IMM12 = 128, W = 256 };

static const struct {
    uint32_t word;
    unsigned fields;
} forms[] = {
    { 0xab000000, RD | RN | RM }, /* adds */
    { 0xba000000, RD | RN | RM }, /* adcs */
    { 0xba000000, RD | RN | RM },
    { 0xba000000, RD | RN | RM },
    { 0xba1f0000, RD | RN },      /* adcs rd, rn, xzr */
    { 0x9a000000, RD | RN | RM }, /* adc */
    { 0x9a1f03e0, RD },           /* adc rd, xzr, xzr */
    { 0xeb000000, RD | RN | RM }, /* subs */
    { 0xfa000000, RD | RN | RM }, /* sbcs */
    { 0xda000000, RD | RN | RM }, /* sbc */
    { 0x3a000000, RD | RN | RM }, /* adcs, of 32 bits */
    { 0xf100001f, RN | IMM12 },   /* cmp */
    { 0xb100041f, RN },           /* cmn rn, #1 */
    { 0x9b007c00, RD | RN | RM }, /* mul */
    { 0x9b007c00, RD | RN | RM },
    { 0x9bc07c00, RD | RN | RM }, /* umulh */
    { 0x9bc07c00, RD | RN | RM },
    { 0x9b407c00, RD | RN | RM },             /* smulh */
    { 0x9b000000, RD | RN | RM | RA | W },    /* madd */
    { 0x9b008000, RD | RN | RM | RA },        /* msub */
    { 0x9ba00000, RD | RN | RM | RA },        /* umaddl */
    { 0x8b000000, RD | RN | RM | SHIFT | W }, /* add, shifted */
    { 0xcb000000, RD | RN | RM | SHIFT | W }, /* sub, shifted */
    { 0x8a000000, RD | RN | RM | SHIFT | W }, /* and */
    { 0xca000000, RD | RN | RM | SHIFT | W }, /* eor */
    { 0xaa2003e0, RD | RM | SHIFT | W },      /* mvn */
    { 0xaa0003e0, RD | RM | W },              /* mov */
    { 0x93c00000, RD | RN | RM | IMM6 },      /* extr */
    { 0xd343fc00, RD | RN },                  /* lsr #3 */
    { 0xd37df000, RD | RN },                  /* lsl #3 */
    { 0x9343fc00, RD | RN },                  /* asr #3 */
    { 0xd3400000, RD | RN | RM | IMM6 },      /* ubfm */
    { 0x93400000, RD | RN | RM | IMM6 },      /* sbfm */
    { 0x33100c00, RD | RN },                  /* bfi */
    { 0x91000000, RD | RN | IMM12 | W },      /* add immediate */
    { 0x9240c800, RD | RN | RM },             /* and, a mask of 51 bits, rotated by that */
    { 0xd240c800, RD | RN | RM },             /* eor */
    { 0xd2800000, RD | IMM12 },               /* movz */
    { 0xf2a00000, RD | IMM12 },               /* movk lsl #16 */
    { 0x9a800000, RD | RN | RM | COND },      /* csel */
    { 0x9a800400, RD | RN | RM | COND },      /* csinc */
    { 0xfa400000, RN | RM | COND },           /* ccmp */
    { 0x9ac02000, RD | RN | RM },             /* lslv */
    { 0x9ac00800, RD | RN | RM | W },         /* udiv */
    { 0xdac01000, RD | RN },                  /* clz */
    { 0xdac00000, RD | RN },                  /* rbit, and perhaps clz of that */
    { 0x9e670000, RN },                       /* fmov d0, xn */
    { 0x9e660000, RD },                       /* fmov xd, d0 */
};

/* Loads and stores off the register that stays, then off the one that moves. */
static const uint32_t near[] = {
    0xf9400000, 0xf9000000, 0xf9400000, /* ldr, str, ldr at an offset */
    0xa9400000, 0xa9000000, 0xa9410000, /* ldp, stp at an offset */
    0xb9400000, 0x39000000,             /* ldr w, strb */
}, moving[] = {
    0xf8408400, 0xf8008400, 0xf8008c00, /* ldr, str post, str pre */
    0xa8c10000, 0xa8810000,             /* ldp, stp post */
};

static uint32_t access(void)
{
    unsigned rt = next(3) ? any() : 6 + next(12), rt2 = (rt + 1 + next(20)) % 27;
    bool moves = next(3) == 0;
    unsigned n = next(moves ? sizeof moving / 4 : sizeof near / 4);
    uint32_t word = moves ? moving[n] : near[n];

    if ((word & 0x38000000) == 0x28000000)
        word |= rt2 << 10;
    else if (!moves)
        word |= next(8) << 10;
    return word | rt | (moves ? MOVING : STAYS) << 5;
}

/* As long multiplication has them: products to few registers, each of which is added once, mostly,
 * before it gets the next one. */
static uint32_t product_or_sum(void)
{
    static const uint32_t sums[] = { 0xab000000, 0xba000000, 0xba000000, 0x9a000000 };
    unsigned place = 14 + next(4), sum = 19 + next(8), other = next(4) ? sum : 19 + next(8);

    if (next(2))
        return (next(2) ? 0x9b007c00 : 0x9bc07c00) | (next(2) ? 6 : 7) << 5 |
               (next(6) ? 8 + next(2) : 14 + next(4)) << 16 | place;
    if (next(4) == 0)
        return sums[next(4)] | place << 5 | other << 16 | sum;
    return sums[next(4)] | other << 5 | place << 16 | (next(16) ? sum : 6 + next(4));
}

static uint32_t data_processing(const uint32_t *before, unsigned count)
{
    unsigned n = next(sizeof forms / sizeof forms[0]), f = forms[n].fields;
    uint32_t word = forms[n].word;

    word |= f & RD ? any() : 0;
    word |= f & RN ? any() << 5 : 0;
    word |= f & RM ? any() << 16 : 0;
    word |= f & RA ? any() << 10 : 0;
    word |= f & SHIFT && next(2) ? next(32) << 10 : 0;
    word |= f & IMM6 ? next(64) << 10 : 0;
    word |= f & IMM12 ? next(2048) << 10 : 0;
    word |= f & COND ? next(14) << 12 : 0;
    if (f & RD && f & RM && next(4) == 0) /* into an operand */
        word = (word & ~31u) | (word >> (next(2) ? 5 : 16) & 31);
    word &= f & W && next(2) ? ~(1u << 31) : UINT32_MAX;
    if (count && (before[count - 1] & 0xfffffc00) == 0xdac00000 && next(2))
        return 0xdac01000 | (before[count - 1] & 31) << 5 | any();
    /* a product's other half: the same factors as before */
    for (unsigned back = 1; back < 8 && back <= count && next(2); back++) {
        uint32_t other = before[count - back];
        if ((word & 0xff60fc00) == 0x9b407c00 && (other & 0xffe0fc00) == 0x9b007c00)
            return 0x9bc07c00 | (other & 0x1f03e0) | any();
    }
    return word;
}

/* What may lie between accesses that share a look-up, of registers that mostly have host registers.
 */
static uint32_t between(void)
{
    static const uint32_t words[] = { 0x8b000000, 0xcb000000, 0x8a000000, 0xaa000000, 0xca000000,
                                      0x8b000800, 0x8b401000, 0x4b000000, 0xd3410000, 0x92400000 };
    unsigned n = next(sizeof words / sizeof words[0]);
    uint32_t word = words[n] | next(6) << 5 | next(6);

    return n < 8 ? word | next(6) << 16 : word | next(60) << 10;
}

/* A loop of `turns` with a way out in the middle, then `brk #7`. */
static unsigned make(uint32_t *code)
{
    unsigned body = 6 + next(next(2)   ? 40
                             : next(2) ? 140
                                       : WORDS - 20),
             count = 0, out = next(body);
    bool multiplies = next(2), groups = next(4) == 0;

    if (next(3) == 0) /* a carry around the loop */
        code[count++] = (next(2) ? 0xba000000 : 0x9a000000) | any() << 16 | any() << 5 | any();
    while (count < body) {
        if (count == out)
            code[count++] = 0xb4000000 | (body + 3 - out) << 5 | any(); /* cbz, to the end */
        else if (groups && next(8))
            code[count++] = next(2) ? access() : between();
        else if (multiplies && next(8))
            code[count++] = product_or_sum();
        else if (next(multiplies ? 2 : 6) == 0)
            code[count++] = access();
        else
            code[count] = data_processing(code, count), count++;
    }
    code[count++] = 0xd1000400 | TURNS << 5 | TURNS;             /* sub x30, x30, #1 */
    code[count] = 0xb5000000 | (0x7ffffu & -count) << 5 | TURNS; /* cbnz x30, the first one */
    count++;
    code[count++] = 0xd503201f;
    code[count++] = 0xd42000e0; /* brk #7 */
    return count;
}

struct result {
    uint64_t faulted[31], x[31], pc, cpsr;
    uint32_t class;
    uint8_t ram[GUEST_RAM_SIZE];
};

static void run(const char *engine, const uint32_t *code, unsigned count, uint64_t seed,
                uint64_t moving_at, struct result *r)
{
    struct guest g;

    CHECK_OK(hvx_set_engine(engine));
    guest_open(&g, code, count);
    state = seed;
    for (unsigned n = 0; n < 0x8000; n++)
        g.ram[GUEST_DATA - GUEST_RAM + n] = (uint8_t)next(256);
    guest_write_tables(g.ram + (TABLES - GUEST_RAM), TABLES);
    guest_mmu_on(g.vcpu, TABLES);
    guest_set_sys(&g, HV_SYS_REG_CPACR_EL1, 3u << 20);
    for (unsigned n = 0; n < 30; n++)
        guest_set_reg(&g, HV_REG_X0 + n, next(4) ? state : next(2) ? ~0ull : n);
    guest_set_reg(&g, HV_REG_X0 + MOVING, moving_at);
    guest_set_reg(&g, HV_REG_X0 + STAYS, GUEST_DATA);
    guest_set_reg(&g, HV_REG_X0 + TURNS, 40);
    CHECK(guest_run(&g, HV_EXIT_REASON_EXCEPTION));
    for (unsigned n = 0; n < 31; n++)
        r->faulted[n] = guest_reg(&g, HV_REG_X0 + n);
    if (g.exit->exception.syndrome >> 26 == EC_DABORT) {
        guest_set_reg(&g, HV_REG_X0 + MOVING, GUEST_DATA + 0x1000);
        CHECK(guest_run(&g, HV_EXIT_REASON_EXCEPTION));
    }
    r->class = (uint32_t)(g.exit->exception.syndrome >> 26);
    for (unsigned n = 0; n < 31; n++)
        r->x[n] = guest_reg(&g, HV_REG_X0 + n);
    r->pc = guest_reg(&g, HV_REG_PC);
    r->cpsr = guest_reg(&g, HV_REG_CPSR);
    memcpy(r->ram, g.ram, sizeof r->ram);
    guest_close(&g);
}

static void compare(uint64_t moving_at)
{
    static struct result want, got;

    for (unsigned n = 0; n < PROGRAMS; n++) {
        uint32_t code[WORDS];
        uint64_t seed = GUEST_RANDOM + n * 0x9e3779b97f4a7c15u;
        state = seed;
        unsigned count = make(code);
        run("interp", code, count, seed, moving_at, &want);
        run(getenv("IREKO_ENGINE"), code, count, seed, moving_at, &got);
        for (unsigned k = 0; k < 31; k++) {
            CHECK_EQ(got.faulted[k], want.faulted[k]);
            CHECK_EQ(got.x[k], want.x[k]);
        }
        CHECK_EQ(got.pc, want.pc);
        CHECK_EQ(got.cpsr, want.cpsr);
        CHECK_EQ(got.class, want.class);
        CHECK(memcmp(want.ram, got.ram, sizeof want.ram) == 0);
    }
}

static void to_the_end(void)
{
    compare(GUEST_DATA + 0x1000);
}

static void until_an_access_faults(void)
{
    compare(GUEST_RAM + GUEST_RAM_SIZE - 500);
}

int main(void)
{
    RUN(to_the_end);
    RUN(until_an_access_faults);
    return check_finish();
}
