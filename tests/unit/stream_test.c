/*
 * Loops that load and store at steady strides, whose pages the JIT looks up once for many turns:
 * forwards, backwards, over each other, at all alignments, out of their pages, and out of memory.
 * All state has to be as the interpreter leaves it.
 */
#include "tests/unit/loop_guest.h"

#define WORDS 18

static const uint32_t loops[][WORDS] = {
    {
        /* pairs, one behind the other */
        0xa9011c66, /* loop: stp x6, x7, [x3, #16] */
        0xa9411c06, /* ldp x6, x7, [x0, #16] */
        0xa9822468, /* stp x8, x9, [x3, #32]! */
        0xa9c22408, /* ldp x8, x9, [x0, #32]! */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff68, /* b.hi loop */
        LOOP_END,   /* out: */
    },
    {
        /* backwards */
        0xadff0400, /* loop: ldp q0, q1, [x0, #-32]! */
        0xadbf0460, /* stp q0, q1, [x3, #-32]! */
        0xd1000421, /* sub x1, x1, #1 */
        0xb5ffffa1, /* cbnz x1, loop */
        LOOP_END,   /* out: */
    },
    {
        /* odd strides, an index */
        0x38403406, /* loop: ldrb w6, [x0], #3 */
        0x78257866, /* strh w6, [x3, x5, lsl #1] */
        0xf9808000, /* prfm pldl1keep, [x0, #256] */
        0x910004a5, /* add x5, x5, #1 */
        0xb89fd008, /* ldrsw x8, [x0, #-3] */
        0xd1000421, /* sub x1, x1, #1 */
        0xb5ffff41, /* cbnz x1, loop */
        LOOP_END,   /* out: */
    },
    {
        /* loads and stores off one base, a way out */
        0xf9400006, /* loop: ldr x6, [x0] */
        0x8b0600e7, /* add x7, x7, x6 */
        0xf8008407, /* str x7, [x0], #8 */
        0xb6f80066, /* tbz x6, #63, skip */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff61, /* b.ne loop */
        0xb4000041, /* skip: cbz x1, out */
        0xd503201f, /* nop */
        LOOP_END,   /* out: */
    },
    {
        /* results that take slow paths, flags */
        0x3cc10400, /* loop: ldr q0, [x0], #16 */
        0xf1000421, /* subs x1, x1, #1 */
        0x4e60d421, /* fadd v1.2d, v1.2d, v0.2d */
        0x6e23dc02, /* fmul v2.4s, v0.4s, v3.4s */
        0x3c810461, /* str q1, [x3], #16 */
        0x3c9f0062, /* stur q2, [x3, #-16] */
        0x1e622000, /* fcmp d0, d2 */
        0x9a87d4e7, /* cinc x7, x7, gt */
        0xb5ffff01, /* cbnz x1, loop */
        0x9a885508, /* cinc x8, x8, mi */
        LOOP_END,   /* out: */
    },
    {
        /* structures */
        0x4cdf2000, /* loop: ld1 {v0.16b-v3.16b}, [x0], #64 */
        0x4c9f0060, /* st4 {v0.16b-v3.16b}, [x3], #64 */
        0x4c404404, /* ld3 {v4.8h-v6.8h}, [x0] */
        0x4e640ce7, /* sqadd v7.8h, v7.8h, v4.8h */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff61, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* the exit first */
        0xb40000e1, /* loop: cbz x1, out */
        0xfc408400, /* ldr d0, [x0], #8 */
        0x0e073c06, /* umov w6, v0.b[3] */
        0xfc008c60, /* str d0, [x3, #8]! */
        0xd1000421, /* sub x1, x1, #1 */
        0x381ff486, /* strb w6, [x4], #-1 */
        0x17fffffa, /* b loop */
        LOOP_END,   /* out: */
    },
    {
        /* a carry across loads whose base and index are in memory, as others are used more */
        0xba0600e7, /* loop: adcs x7, x7, x6 */
        0xf8656806, /* ldr x6, [x0, x5] */
        0xba060108, /* adcs x8, x8, x6 */
        0xba070129, /* adcs x9, x9, x7 */
        0xba08018c, /* adcs x12, x12, x8 */
        0xba0901ad, /* adcs x13, x13, x9 */
        0xba0c01ce, /* adcs x14, x14, x12 */
        0xba0d01ef, /* adcs x15, x15, x13 */
        0xba0e0210, /* adcs x16, x16, x14 */
        0xba0f0231, /* adcs x17, x17, x15 */
        0xba100252, /* adcs x18, x18, x16 */
        0xba110273, /* adcs x19, x19, x17 */
        0xf8008466, /* str x6, [x3], #8 */
        0xd1000421, /* sub x1, x1, #1 */
        0xb5fffe41, /* cbnz x1, loop */
        LOOP_END,   /* out: */
    },
    {
        /* a search */
        0x3cc10c01, /* loop: ldr q1, [x0, #16]! */
        0x6e208c22, /* cmeq v2.16b, v1.16b, v0.16b */
        0x6e213c43, /* cmhs v3.16b, v2.16b, v1.16b */
        0x6e23a463, /* umaxp v3.16b, v3.16b, v3.16b */
        0x9e660066, /* fmov x6, d3 */
        0xb4ffff66, /* cbz x6, loop */
        0x91001000, /* add x0, x0, #4 */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff01, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* a comparison */
        0xf8656807, /* loop: ldr x7, [x0, x5] */
        0xf8408406, /* ldr x6, [x0], #8 */
        0xcb0900c8, /* sub x8, x6, x9 */
        0xaa070108, /* orr x8, x8, x7 */
        0xf201c108, /* ands x8, x8, #0x8080808080808080 */
        0xfa411820, /* ccmp x1, #1, #0, ne */
        0xd1000421, /* sub x1, x1, #1 */
        0x54ffff21, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* the base for an end */
        0x3dc00000, /* loop: ldr q0, [x0] */
        0x91003000, /* add x0, x0, #12 */
        0x3c810460, /* str q0, [x3], #16 */
        0xd1000421, /* sub x1, x1, #1 */
        0xeb0a007f, /* cmp x3, x10 */
        0xfa401824, /* ccmp x1, #0, #4, ne */
        0x54ffff41, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* more streams than there is room for */
        0xf8408406, /* loop: ldr x6, [x0], #8 */
        0xf9400067, /* ldr x7, [x3] */
        0xf9400088, /* ldr x8, [x4] */
        0xf8008566, /* str x6, [x11], #8 */
        0xf81f8547, /* str x7, [x10], #-8 */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff41, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* pairs of which one is read, too */
        0xa8c21c06, /* loop: ldp x6, x7, [x0], #32 */
        0xa97f2408, /* ldp x8, x9, [x0, #-16] */
        0xa9001c66, /* stp x6, x7, [x3] */
        0xa9012468, /* stp x8, x9, [x3, #16] */
        0x91008063, /* add x3, x3, #32 */
        0x8b09018c, /* add x12, x12, x9 */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff21, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* a base that is loaded */
        0xf940006c, /* loop: ldr x12, [x3] */
        0xf8008461, /* str x1, [x3], #8 */
        0x927d218c, /* and x12, x12, #0xff8 */
        0x8b0b018c, /* add x12, x12, x11 */
        0xf9400186, /* ldr x6, [x12] */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff41, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* pairs next to each other, over each other: no streams */
        0xa9401c06, /* loop: ldp x6, x7, [x0] */
        0xa9413c0e, /* ldp x14, x15, [x0, #16] */
        0xd2760000, /* eor x0, x0, #0x400 */
        0xa9001c66, /* stp x6, x7, [x3] */
        0xa9813c6e, /* stp x14, x15, [x3, #16]! */
        0xa97f9c66, /* ldp x6, x7, [x3, #-8] */
        0x910004e7, /* add x7, x7, #0x1 */
        0xa9021c66, /* stp x6, x7, [x3, #32] */
        0xf1000421, /* subs x1, x1, #0x1 */
        0x54fffee1, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* strides that leave pages soon */
        0xf9400006, /* loop: ldr x6, [x0] */
        0x91144000, /* add x0, x0, #1296 */
        0x8b0600e7, /* add x7, x7, x6 */
        0xf9000067, /* str x7, [x3] */
        0x91082063, /* add x3, x3, #520 */
        0xd1000421, /* sub x1, x1, #1 */
        0xb5ffff41, /* cbnz x1, loop */
        LOOP_END,   /* out: */
    },
    {
        /* and backwards, two off one base */
        0x38656806, /* loop: ldrb w6, [x0, x5] */
        0x8b0600e7, /* add x7, x7, x6 */
        0xf940000c, /* ldr x12, [x0] */
        0xca0c00e7, /* eor x7, x7, x12 */
        0xd10b20a5, /* sub x5, x5, #712 */
        0xd1400400, /* sub x0, x0, #4096 */
        0xf1000421, /* subs x1, x1, #1 */
        0x378fff20, /* tbnz x0, #17, loop: from GUEST_DATA on */
        LOOP_END,   /* out: */
    },
    {
        /* and of more bytes */
        0xad400400, /* loop: ldp q0, q1, [x0] */
        0x91100000, /* add x0, x0, #1024 */
        0xad000460, /* stp q0, q1, [x3] */
        0xf9002066, /* str x6, [x3, #64] */
        0x91104063, /* add x3, x3, #1040 */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff41, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* half of a pair comes from elsewhere */
        0xa8c24410, /* loop: ldp x16, x17, [x0], #32 */
        0xa9403c6e, /* ldp x14, x15, [x3] */
        0xd2760000, /* eor x0, x0, #0x400 */
        0xf9000c61, /* str x1, [x3, #24] */
        0xa941406f, /* ldp x15, x16, [x3, #16] */
        0xa8814470, /* stp x16, x17, [x3], #16 */
        0xa900bc6e, /* stp x14, x15, [x3, #8] */
        0xf1000421, /* subs x1, x1, #0x1 */
        0x54ffff01, /* b.ne loop */
        LOOP_END,   /* out: */
    },
};

#define LOOPS (sizeof loops / sizeof loops[0])
#define END   (GUEST_RAM + GUEST_RAM_SIZE)

#define FAR_STEPS 17

/* What a loop is run with: x0, x3, and turns at most. */
static const struct setting {
    uint64_t from, to, count;
} settings[] = {
    { GUEST_DATA, GUEST_STACK, 1 },
    { GUEST_DATA + 0x5000, GUEST_STACK + 0x5000, 300 },
    { GUEST_DATA + 0x5ffc, GUEST_STACK + 0x5001, 300 }, /* out of its page at once */
    { GUEST_DATA + 0x5007, GUEST_DATA + 0x5017, 270 },  /* over each other */
    { GUEST_DATA + 0x5017, GUEST_DATA + 0x5000, 270 },
    { GUEST_DATA + 0x5000, GUEST_DATA + 0x5000, 270 },
    { GUEST_DATA + 0x5000, END - 0x1008, 600 }, /* out of memory: a store, a load */
    { END - 0x1004, GUEST_DATA + 0x5000, 600 },
    { GUEST_DATA + 0x5000, GUEST_MMIO_HIGH + 0x1000, 20 }, /* no memory */
};

/* Run to the first exit: the load from a device behind the loop, or an access before it. */
static void run(const char *engine, const uint32_t *code, const struct setting *s,
                struct loop_result *r)
{
    struct guest g;

    CHECK_OK(hvx_set_engine(engine));
    guest_open(&g, code, WORDS);
    loop_memory(&g, 0x20000);
    loop_vectors(&g);
    for (unsigned n = 5; n < 29; n++)
        guest_set_reg(&g, HV_REG_X0 + n, n * 16);
    guest_set_reg(&g, HV_REG_X0, s->from);
    guest_set_reg(&g, HV_REG_X1, s->count);
    guest_set_reg(&g, HV_REG_X2, GUEST_MMIO_HIGH);
    guest_set_reg(&g, HV_REG_X3, s->to);
    guest_set_reg(&g, HV_REG_X4, GUEST_DATA + 0x3001);
    guest_set_reg(&g, HV_REG_X10, s->to + 0x800);
    guest_set_reg(&g, HV_REG_X11, GUEST_DATA + 0x1000);
    loop_run(&g, r);
}

static void compare(const uint32_t *code, const struct setting *s)
{
    static struct loop_result want, got;

    run("interp", code, s, &want);
    run(getenv("IREKO_ENGINE"), code, s, &got);
    loop_compare(&want, &got);
}

static void every_loop(void)
{
    for (unsigned n = 0; n < LOOPS; n++)
        for (unsigned s = 0; s < sizeof settings / sizeof settings[0]; s++)
            compare(loops[n], &settings[s]);
}

/* Its index goes so far and comes back that what is loaded lies 2 GiB and more from the base: not
 * where the same 32 bits lead to, though there is memory there as well. */
static void run_far(const char *engine, struct loop_result *r)
{
    uint32_t code[64];
    unsigned n = 0;
    struct guest g;

    for (unsigned k = 0; k < FAR_STEPS; k++)
        code[n++] = 0x917ffca5; /* loop: add x5, x5, #0xfff000 */
    code[n++] = 0xf8657806;     /* ldr x6, [x0, x5, lsl #3] */
    code[n++] = 0x8b0600e7;     /* add x7, x7, x6 */
    code[n++] = 0xf9400068;     /* ldr x8, [x3]: there is an entry for what is there */
    for (unsigned k = 0; k < FAR_STEPS; k++)
        code[n++] = 0xd17ffca5;                       /* sub x5, x5, #0xfff000 */
    code[n++] = 0xf1000421;                           /* subs x1, x1, #1 */
    code[n] = 0x54000001 | ((0u - n) & 0x7ffff) << 5; /* b.ne loop */
    memcpy(&code[n + 1], (const uint32_t[]){ LOOP_END }, 12);

    CHECK_OK(hvx_set_engine(engine));
    guest_open(&g, code, n + 4);
    loop_memory(&g, 0x20000);
    uint64_t *level1 = (uint64_t *)(void *)(g.ram + (LOOP_TABLES - GUEST_RAM));
    level1[5] = level1[1]; /* RAM, 4 GiB further on */
    for (unsigned reg = 0; reg < 29; reg++)
        guest_set_reg(&g, HV_REG_X0 + reg, reg);
    guest_set_reg(&g, HV_REG_X0, GUEST_DATA + (4ull << 30) - FAR_STEPS * 0xfff000ull * 8);
    guest_set_reg(&g, HV_REG_X1, 300);
    guest_set_reg(&g, HV_REG_X2, GUEST_MMIO_HIGH);
    guest_set_reg(&g, HV_REG_X3, GUEST_DATA);
    loop_run(&g, r);
}

static void far_from_the_base(void)
{
    static struct loop_result want, got;

    run_far("interp", &want);
    run_far(getenv("IREKO_ENGINE"), &got);
    loop_compare(&want, &got);
}

/* One that never leaves its page looks at what others want all the same. */
static void an_endless_one_is_left(void)
{
    static const uint32_t code[] = {
        0xf9400006, /* loop: ldr x6, [x0] */
        0xf9000406, /* str x6, [x0, #8] */
        0x17fffffe, /* b loop */
    };
    struct guest g;

    CHECK_OK(hvx_set_engine(getenv("IREKO_ENGINE")));
    GUEST_OPEN(&g, code);
    loop_memory(&g, 0x20000);
    guest_set_reg(&g, HV_REG_X0, GUEST_DATA);
    loop_run_until_asked(&g);
    CHECK(guest_reg(&g, HV_REG_PC) < GUEST_CODE + sizeof code);
    guest_close(&g);
}

int main(void)
{
    RUN(every_loop);
    RUN(far_from_the_base);
    RUN(an_endless_one_is_left);
    return check_finish();
}
