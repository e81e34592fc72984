/*
 * Rotations of elements, which A64 makes of two shifts and the JIT of one instruction: USHR and SLI
 * or SHL and SRI of the same registers, with other instructions between them that may touch these
 * registers, fault or leave; and shifts that only look like a pair. The programs come from a fixed
 * sequence of random numbers; all state has to be as the interpreter leaves it.
 */
#include "tests/unit/loop_guest.h"

#define PROGRAMS 120
#define WORDS    150

static uint64_t state;

static unsigned next(unsigned limit)
{
    return (unsigned)(guest_random(&state) >> 11) % limit;
}

/* One half: by `left` to the left, or by width - left to the right, which have the same immediate;
 * the second one inserts. */
static uint32_t half(bool right, bool second, unsigned q, unsigned width, unsigned left, unsigned d,
                     unsigned n)
{
    uint32_t word = right ? (second ? 0x2f004400 : 0x2f000400) : (second ? 0x2f005400 : 0x0f005400);

    return word | q << 30 | (width + left) << 16 | n << 5 | d;
}

enum { RD = 1, RN = 2, RM = 4, LOAD = 8, STORE = 16 };

static const struct {
    uint32_t word;
    unsigned fields;
} forms[] = {
    { 0x4ea08400, RD | RN | RM }, /* add v.4s */
    { 0x6e201c00, RD | RN | RM }, /* eor v.16b */
    { 0x2e201c00, RD | RN | RM }, /* eor v.8b */
    { 0x4e000000, RD | RN | RM }, /* tbl v.16b, { v.16b }, v.16b */
    { 0x4e002000, RD | RN | RM }, /* tbl v.16b, { v.16b, the next one }, v.16b */
    { 0x4e20d400, RD | RN | RM }, /* fadd v.4s */
    { 0x4ea09400, RD | RN | RM }, /* mla v.4s */
    { 0x4e205800, RD | RN },      /* cnt v.16b */
    { 0x6e200800, RD | RN },      /* rev32 v.16b */
    { 0x6e600800, RD | RN },      /* rev32 v.8h */
    { 0x2e200800, RD | RN },      /* rev32 v.8b */
    { 0x4e183c08, RD | RN },      /* umov x8 to x13, v.d[1] */
    { 0x3cc00000, RD | LOAD },    /* ldur q, [x0] */
    { 0x3c800000, RD | STORE },   /* stur q, [x4] */
    { 0x8b080108, RD | RN | RM }, /* add x8 to x13 */
    { 0x138a1948, RD },           /* ror w10, w10, #6 */
    { 0xb4000068, RD },           /* cbz x8 to x13, over two */
};

/* What lies between the halves: few registers, so that it is often one of them. */
static uint32_t other(void)
{
    unsigned k = next(sizeof forms / sizeof forms[0]), f = forms[k].fields;
    uint32_t word = forms[k].word;

    word += f & RD ? next(6) : 0;
    word += f & RN ? next(6) << 5 : 0;
    word += f & RM ? next(6) << 16 : 0;
    word += f & (LOAD | STORE) ? next(64) << 12 | (f & LOAD ? 0 : 4u << 5) : 0;
    return word;
}

/* Pairs of shifts, one of them begun before the other is done, or not quite pairs. */
static unsigned make(uint32_t *code)
{
    unsigned count = 0, body = 10 + next(WORDS - 40);

    while (count < body) {
        unsigned width = 8u << next(4), left = next(width), q = next(8) != 0 || width == 64;
        unsigned d = next(6), n = next(6), e = 6 + next(4), k = next(5);
        bool right = next(2), both = next(2), odd = next(8) == 0;
        code[count++] = half(right, false, q, width, left, d, n);
        if (both)
            code[count++] = half(right, false, q, width, left, e, n);
        while (k--)
            code[count++] = other();
        if (both)
            code[count++] = half(!right, true, q, width, left, e, n);
        code[count++] = half(!right, true, q, width, odd ? next(width) : left, d, n);
        if (next(3) == 0)
            code[count++] = other();
    }
    code[count++] = 0xd503201f; /* nop, over which branches lead */
    code[count++] = 0xd503201f;
    code[count++] = 0x91001000; /* add x0, x0, #4 */
    code[count++] = 0x91001084; /* add x4, x4, #4 */
    code[count++] = 0xd1000421; /* sub x1, x1, #1 */
    code[count] = 0xb5000001 | (0x7ffffu & -count) << 5;
    count++; /* cbnz x1, the first one */
    code[count++] = 0xd503201f;
    code[count++] = 0xb9400046; /* ldr w6, [x2], of a device */
    code[count++] = 0xd42000e0; /* brk #7 */
    return count;
}

static void run(const char *engine, const uint32_t *code, unsigned count, uint64_t store_at,
                struct loop_result *r)
{
    struct guest g;

    CHECK_OK(hvx_set_engine(engine));
    guest_open(&g, code, count);
    loop_memory(&g, 0x8000);
    loop_vectors(&g);
    guest_set_reg(&g, HV_REG_X0, GUEST_DATA + 4);
    guest_set_reg(&g, HV_REG_X1, 40);
    guest_set_reg(&g, HV_REG_X2, GUEST_MMIO_HIGH);
    guest_set_reg(&g, HV_REG_X4, store_at);
    for (unsigned n = 8; n < 14; n++)
        guest_set_reg(&g, HV_REG_X0 + n, n < 10 ? 0 : n);
    loop_run(&g, r);
}

static void compare(uint64_t store_at)
{
    static struct loop_result want, got;

    state = GUEST_RANDOM;
    for (unsigned n = 0; n < PROGRAMS; n++) {
        uint32_t code[WORDS + 20];
        unsigned count = make(code);
        run("interp", code, count, store_at, &want);
        run(getenv("IREKO_ENGINE"), code, count, store_at, &got);
        loop_compare(&want, &got);
    }
}

static void to_the_end(void)
{
    compare(GUEST_DATA + 0x4000);
}

static void until_a_store_faults(void)
{
    compare(GUEST_RAM + GUEST_RAM_SIZE - 100);
}

int main(void)
{
    RUN(to_the_end);
    RUN(until_a_store_faults);
    return check_finish();
}
