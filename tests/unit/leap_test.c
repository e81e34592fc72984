/*
 * Searches, of which the JIT goes over many turns at once where nothing is found: the byte at all
 * distances and alignments, in the last byte of memory, behind it, and not there; and loops that
 * look like one, but keep something from turn to turn. All state has to be as the interpreter
 * leaves it.
 */
#include "tests/unit/loop_guest.h"

#define WORDS 15

static const uint32_t loops[][WORDS] = {
    {
        /* strlen */
        0xadc10801, /* loop: ldp q1, q2, [x0, #32]! */
        0x6e22ac20, /* uminp v0.16b, v1.16b, v2.16b */
        0x6e20ac00, /* uminp v0.16b, v0.16b, v0.16b */
        0x0e209800, /* cmeq v0.8b, v0.8b, #0 */
        0x9e660006, /* fmov x6, d0 */
        0xb4ffff66, /* cbz x6, loop */
        LOOP_END,   /* out: */
    },
    {
        /* strchr */
        0x3cc10c01, /* loop: ldr q1, [x0, #16]! */
        0x6e288c23, /* cmeq v3.16b, v1.16b, v8.16b */
        0x6e213c62, /* cmhs v2.16b, v3.16b, v1.16b */
        0x6e22a444, /* umaxp v4.16b, v2.16b, v2.16b */
        0x9e660086, /* fmov x6, d4 */
        0xb4ffff66, /* cbz x6, loop */
        LOOP_END,   /* out: */
    },
    {
        /* memchr: two pieces, a count */
        0x3cc10c01, /* loop: ldr q1, [x0, #16]! */
        0x6e288c22, /* cmeq v2.16b, v1.16b, v8.16b */
        0x6e22a443, /* umaxp v3.16b, v2.16b, v2.16b */
        0x9e660066, /* fmov x6, d3 */
        0xb5000106, /* cbnz x6, out */
        0x3cc10c01, /* ldr q1, [x0, #16]! */
        0xf1000421, /* subs x1, x1, #1 */
        0x6e218d02, /* cmeq v2.16b, v8.16b, v1.16b */
        0x54000089, /* b.ls out */
        0x6e22a443, /* umaxp v3.16b, v2.16b, v2.16b */
        0x9e660066, /* fmov x6, d3 */
        0xb4fffea6, /* cbz x6, loop */
        LOOP_END,   /* out: */
    },
    {
        /* strcmp: words off a base and an index */
        0xf86a6807, /* loop: ldr x7, [x0, x10] */
        0xf8408406, /* ldr x6, [x0], #8 */
        0xcb0900cb, /* sub x11, x6, x9 */
        0xb200d8cc, /* orr x12, x6, #0x7f7f7f7f7f7f7f7f */
        0xea2c016b, /* bics x11, x11, x12 */
        0xfa4700c0, /* ccmp x6, x7, #0, eq */
        0x54ffff40, /* b.eq loop */
        LOOP_END,   /* out: */
    },
    {
        /* the end in front, a branch back, something that moves along */
        0xf1000c21, /* loop: subs x1, x1, #3 */
        0x54000143, /* b.lo out */
        0x3cc10401, /* ldr q1, [x0], #16 */
        0x9100a1ad, /* add x13, x13, #40 */
        0x6e288c22, /* cmeq v2.16b, v1.16b, v8.16b */
        0x4e209823, /* cmeq v3.16b, v1.16b, #0 */
        0x4ea31c42, /* orr v2.16b, v2.16b, v3.16b */
        0x0f0c8442, /* shrn v2.8b, v2.8h, #4 */
        0x9e660046, /* fmov x6, d2 */
        0xb5000046, /* cbnz x6, out */
        0x17fffff6, /* b loop */
        LOOP_END,   /* out: */
    },
    {
        /* a value that lives from turn to turn */
        0x9e660006, /* loop: fmov x6, d0 */
        0xb50000a6, /* cbnz x6, out */
        0x3cc10c01, /* ldr q1, [x0, #16]! */
        0x4e209820, /* cmeq v0.16b, v1.16b, #0 */
        0x6e20a400, /* umaxp v0.16b, v0.16b, v0.16b */
        0x17fffffb, /* b loop */
        LOOP_END,   /* out: */
    },
    {
        /* half of the mask only */
        0x3cc10c01, /* loop: ldr q1, [x0, #16]! */
        0x6e288c22, /* cmeq v2.16b, v1.16b, v8.16b */
        0x6e22a503, /* umaxp v3.16b, v8.16b, v2.16b */
        0x6e23a443, /* umaxp v3.16b, v2.16b, v3.16b */
        0x6e28a463, /* umaxp v3.16b, v3.16b, v8.16b */
        0x9e660066, /* fmov x6, d3 */
        0xb4ffff46, /* cbz x6, loop */
        LOOP_END,   /* out: */
    },
    {
        /* the byte is written */
        0x3cc10c01, /* loop: ldr q1, [x0, #16]! */
        0x6e288c22, /* cmeq v2.16b, v1.16b, v8.16b */
        0x6e22a443, /* umaxp v3.16b, v2.16b, v2.16b */
        0x9e660066, /* fmov x6, d3 */
        0xb50000e6, /* cbnz x6, out */
        0x6e22a448, /* umaxp v8.16b, v2.16b, v2.16b */
        0x3cc10409, /* ldr q9, [x0], #16 */
        0x6e288d22, /* cmeq v2.16b, v9.16b, v8.16b */
        0x0f0c8443, /* shrn v3.8b, v2.8h, #4 */
        0x9e660066, /* fmov x6, d3 */
        0xb4fffec6, /* cbz x6, loop */
        LOOP_END,   /* out: */
    },
    {
        /* words alone, and a gap */
        0xf8410406, /* loop: ldr x6, [x0], #16 */
        0xcb0900cb, /* sub x11, x6, x9 */
        0xb200d8cc, /* orr x12, x6, #0x7f7f7f7f7f7f7f7f */
        0xea2c017f, /* bics xzr, x11, x12 */
        0x54000061, /* b.ne out */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff41, /* b.ne loop */
        LOOP_END,   /* out: */
    },
    {
        /* words alone */
        0xf8408406, /* loop: ldr x6, [x0], #8 */
        0xcb0900cb, /* sub x11, x6, x9 */
        0xb200d8cc, /* orr x12, x6, #0x7f7f7f7f7f7f7f7f */
        0xea2c016b, /* bics x11, x11, x12 */
        0x54000061, /* b.ne out */
        0xf1000421, /* subs x1, x1, #1 */
        0x54ffff48, /* b.hi loop */
        LOOP_END,   /* out: */
    },
    {
        /* strcpy */
        0x3c810460, /* loop: str q0, [x3], #16 */
        0x3cc10c00, /* ldr q0, [x0, #16]! */
        0x4e209801, /* cmeq v1.16b, v0.16b, #0 */
        0x6e21a422, /* umaxp v2.16b, v1.16b, v1.16b */
        0x9e660044, /* fmov x4, d2 */
        0xb4ffff64, /* cbz x4, loop */
        LOOP_END,   /* out: */
    },
    {
        /* what is stored is written, too */
        0x3c810460, /* loop: str q0, [x3], #16 */
        0x3cc10c00, /* ldr q0, [x0, #16]! */
        0x4e209800, /* cmeq v0.16b, v0.16b, #0 */
        0x6e20a402, /* umaxp v2.16b, v0.16b, v0.16b */
        0x9e660044, /* fmov x4, d2 */
        0xb4ffff64, /* cbz x4, loop */
        LOOP_END,   /* out: */
    },
    {
        /* stored at once */
        0x3cc10c00, /* loop: ldr q0, [x0, #16]! */
        0x4e209801, /* cmeq v1.16b, v0.16b, #0 */
        0x3c810c60, /* str q0, [x3, #16]! */
        0x6e21a422, /* umaxp v2.16b, v1.16b, v1.16b */
        0x9e660044, /* fmov x4, d2 */
        0xb4ffff64, /* cbz x4, loop */
        LOOP_END,   /* out: */
    },
    {
        /* what is stored is another one */
        0x3cc10c00, /* loop: ldr q0, [x0, #16]! */
        0x3c810465, /* str q5, [x3], #16 */
        0x4e209801, /* cmeq v1.16b, v0.16b, #0 */
        0x6e21a422, /* umaxp v2.16b, v1.16b, v1.16b */
        0x9e660044, /* fmov x4, d2 */
        0xb4ffff64, /* cbz x4, loop */
        LOOP_END,   /* out: */
    },
};

#define LOOPS (sizeof loops / sizeof loops[0])
#define END   (GUEST_RAM + GUEST_RAM_SIZE)
#define BYTE  0xa5
#define ONES  0x0101010101010101ull

/* What a loop is run with: where it begins, and the string that it is compared with; where what it
 * looks for is, from there on; turns at most. */
static const struct setting {
    uint64_t from, to;
    unsigned zero, byte, differs;
    uint64_t count, ones;
} settings[] = {
    { GUEST_DATA, GUEST_STACK, 0, 900, 900, 1000, ONES },
    { GUEST_DATA, GUEST_STACK, 400, 31, 900, 1000, ONES },
    { GUEST_DATA + 1, GUEST_STACK + 3, 127, 128, 129, 1000, ONES },
    { GUEST_DATA + 8, GUEST_STACK, 144, 159, 130, 1000, ONES },
    { GUEST_DATA + 0x1000, GUEST_STACK + 0x1000, 5000, 3000, 4095, 1000, ONES },
    { GUEST_DATA + 0x1008, GUEST_STACK + 0x1010, 4090, 4070, 9000, 1000, ONES },
    { GUEST_DATA + 0x1ff0, GUEST_STACK + 0x1ff7, 9000, 300, 301, 1000, ONES },
    { GUEST_DATA + 0x100d, GUEST_STACK + 0x1005, 9000, 9000, 2222, 1000, ONES },
    { GUEST_DATA, GUEST_STACK, 9000, 9000, 9000, 17, ONES }, /* the count ends it */
    { GUEST_DATA, GUEST_STACK, 9000, 9000, 9000, 128, ONES },
    { GUEST_DATA, GUEST_STACK, 9000, 9000, 9000, 0, ONES },
    { GUEST_DATA + 8, GUEST_STACK, 9000, 9000, 9000, 1000, ONES << 1 }, /* ones are found */
    { GUEST_DATA, GUEST_STACK, 600, 9000, 9000, 1000, 0 },
    { END - 0x1010, GUEST_DATA, 0x100f, 0x1007, 9000, 1000, ONES }, /* the end of memory */
    { END - 0x1010, GUEST_DATA, 9000, 9000, 9000, 1000, ONES },
    { GUEST_DATA, END - 0x808, 9000, 9000, 9000, 1000, ONES },
    { GUEST_DATA, GUEST_DATA + 16, 9000, 9000, 9000, 1000, ONES }, /* over each other */
    { GUEST_DATA, GUEST_DATA + 143, 9000, 9000, 9000, 1000, ONES },
    { GUEST_DATA, GUEST_DATA + 144, 8000, 9000, 9000, 1000, ONES },
    { GUEST_DATA + 0x200, GUEST_DATA + 0x191, 9000, 9000, 9000, 1000, ONES },
    { GUEST_DATA + 0x200, GUEST_DATA + 0x190, 8000, 9000, 9000, 1000, ONES },
    { GUEST_DATA + 0x200, GUEST_DATA + 0x100, 8000, 9000, 9000, 1000, ONES },
    { GUEST_DATA, GUEST_MMIO_HIGH, 700, 700, 700, 1000, ONES }, /* no memory */
};

static void put(struct guest *g, uint64_t at, uint8_t byte)
{
    if (at >= GUEST_DATA && at < END)
        g->ram[at - GUEST_RAM] = byte;
}

/* Run to the first exit: the load from a device behind the loop, or an access before it. */
static void run(const char *engine, const uint32_t *code, const struct setting *s,
                struct loop_result *r)
{
    struct guest g;
    hv_simd_fp_uchar16_t byte;

    CHECK_OK(hvx_set_engine(engine));
    guest_open(&g, code, WORDS);
    loop_memory(&g, 0x20000);
    for (unsigned n = 0; n < 0x20000; n++)
        g.ram[GUEST_DATA - GUEST_RAM + n] = (uint8_t)(1 + n % 7 + n % 0x100 / 2);
    if (s->to - GUEST_DATA < 0x20000 && s->to > s->from + 0x1000)
        memcpy(g.ram + (s->to - GUEST_RAM), g.ram + (s->from - GUEST_RAM),
               END - s->to < 8000 ? END - s->to : 8000);
    put(&g, s->from + s->zero, 0);
    put(&g, s->to + s->zero, 0);
    put(&g, s->from + s->byte, BYTE);
    put(&g, s->to + s->byte, BYTE);
    put(&g, s->to + s->differs, 0xee);
    loop_vectors(&g);
    memset(&byte, BYTE, sizeof byte);
    CHECK_OK(hv_vcpu_set_simd_fp_reg(g.vcpu, HV_SIMD_FP_REG_Q8, byte));
    memset(&byte, 0x3c, sizeof byte); /* stored by a copy's first turn */
    CHECK_OK(hv_vcpu_set_simd_fp_reg(g.vcpu, HV_SIMD_FP_REG_Q0, byte));
    for (unsigned n = 5; n < 29; n++)
        guest_set_reg(&g, HV_REG_X0 + n, n * 16);
    guest_set_reg(&g, HV_REG_X0, s->from);
    guest_set_reg(&g, HV_REG_X1, s->count);
    guest_set_reg(&g, HV_REG_X2, GUEST_MMIO_HIGH);
    guest_set_reg(&g, HV_REG_X3, s->to);
    guest_set_reg(&g, HV_REG_X9, s->ones);
    guest_set_reg(&g, HV_REG_X10, s->to - s->from);
    loop_run(&g, r);
}

static void every_search(void)
{
    static struct loop_result want, got;

    for (unsigned n = 0; n < LOOPS; n++)
        for (unsigned k = 0; k < sizeof settings / sizeof settings[0]; k++) {
            run("interp", loops[n], &settings[k], &want);
            run(getenv("IREKO_ENGINE"), loops[n], &settings[k], &got);
            loop_compare(&want, &got);
        }
}

/* What is looked for at each of the bytes that one leap looks at, and around them. */
static void every_distance(void)
{
    static struct loop_result want, got;

    for (unsigned n = 0; n < 4; n++)
        for (unsigned at = 90; at < 290; at += 3) {
            struct setting s = { GUEST_DATA + 5, GUEST_STACK + 11, at, at + 1, 9000, 1000, ONES };
            if (at & 1)
                s.differs = at - 1;
            if (at & 2)
                s.byte = at / 2;
            run("interp", loops[n], &s, &want);
            run(getenv("IREKO_ENGINE"), loops[n], &s, &got);
            loop_compare(&want, &got);
        }
}

int main(void)
{
    RUN(every_search);
    RUN(every_distance);
    return check_finish();
}
