/*
 * Integer instructions on the software CPU, through the API: results at the edges, with values from
 * DDI 0487 C6.2 rather than from another CPU; and what faults leave behind.
 */
#include "tests/hv/guest.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define MIN64 0x8000000000000000u
#define ALL64 0xffffffffffffffffu
#define DIGIT 0x3837363534333231u /* the text 12345678 */

/* NZCV, as four digits. */
enum { NONE = 0, V = 1, C = 2, CV = 3, Z = 4, ZV = 5, ZC = 6, N = 8, NC = 10 };

struct value {
    const char *text;
    uint32_t word;
    uint64_t x0, x1, x2;
    unsigned flags;
    uint64_t result; /* in X0 */
    unsigned result_flags;
};

/* clang-format off */
static const struct value values[] = {
    { "adcs x0, x1, x2", 0xba020020, 0, ALL64, 0, C, 0, ZC },
    { "adc w0, w1, w2", 0x1a020020, 0, 0xffffffff7fffffff, 0, C, 0x80000000, C },
    { "sbcs w0, w1, w2", 0x7a020020, 0, 0, 0, NONE, 0xffffffff, N },
    { "sbc x0, x1, x2", 0xda020020, 0, 5, 3, C, 2, C },
    { "sdiv x0, x1, x2: overflow", 0x9ac20c20, 0, MIN64, ALL64, NONE, MIN64, NONE },
    { "sdiv x0, x1, x2: by zero", 0x9ac20c20, 1, MIN64, 0, NONE, 0, NONE },
    { "sdiv w0, w1, w2: overflow", 0x1ac20c20, 0, 0x80000000, 0xffffffff, NONE, 0x80000000, NONE },
    { "sdiv w0, w1, w2: toward zero", 0x1ac20c20, 0, 0xfffffff9, 2, NONE, 0xfffffffd, NONE },
    { "udiv x0, x1, x2: by zero", 0x9ac20820, 1, 7, 0, NONE, 0, NONE },
    { "asr x0, x1, x2: modulo 64", 0x9ac22820, 0, MIN64, 65, NONE, 0xc000000000000000, NONE },
    { "lsl w0, w1, w2: modulo 32", 0x1ac22020, 0, 0xffffffff00000001, 33, NONE, 2, NONE },
    { "ror w0, w1, #4", 0x13811020, 0, 0x12345678, 0, NONE, 0x81234567, NONE },
    { "extr x0, x1, x2, #0", 0x93c20020, 0, 5, 9, NONE, 9, NONE },
    { "bfi w0, w1, #28, #4", 0x33040c20, 0xffffffff01234567, 10, 0, NONE, 0xa1234567, NONE },
    { "bfxil x0, x1, #60, #4", 0xb37cfc20, 0xfff0, 0x9000000000000000, 0, NONE, 0xfff9, NONE },
    { "sbfiz x0, x1, #4, #8", 0x937c1c20, 0, 0x80, 0, NONE, 0xfffffffffffff800, NONE },
    { "lsl x0, x1, #60", 0xd3440c20, 0, 0x1f, 0, NONE, 0xf000000000000000, NONE },
    { "smulh x0, x1, x2", 0x9b427c20, 0, ALL64, 2, NONE, ALL64, NONE },
    { "umulh x0, x1, x2", 0x9bc27c20, 0, ALL64, ALL64, NONE, ALL64 - 1, NONE },
    { "smsubl x0, w1, w2, x0", 0x9b228020, 10, 0xffffffff, 5, NONE, 15, NONE },
    { "umull x0, w1, w2", 0x9ba27c20, 0, ALL64, ALL64, NONE, 0xfffffffe00000001, NONE },
    { "cls w0, w1", 0x5ac01420, 0, 0xffff0000, 0, NONE, 15, NONE },
    { "clz x0, xzr", 0xdac013e0, 0, 0, 0, NONE, 64, NONE },
    { "rbit w0, w1", 0x5ac00020, 0, 1, 0, NONE, 0x80000000, NONE },
    { "rev16 x0, x1", 0xdac00420, 0, 0x0102030405060708, 0, NONE, 0x0201040306050807, NONE },
    { "rev32 x0, x1", 0xdac00820, 0, 0x0102030405060708, 0, NONE, 0x0403020108070605, NONE },
    { "rev w0, w1", 0x5ac00820, 0, 0xffffffff01020304, 0, NONE, 0x04030201, NONE },
    { "csneg x0, x1, x2, ne", 0xda821420, 0, 5, 1, Z, ALL64, Z },
    { "csinv w0, w1, w2, hi", 0x5a828020, 0, ALL64, 1, C, 0xffffffff, C },
    { "ccmp x1, x2, #5, ge: false", 0xfa42a025, 0, 1, 1, N, 0, ZV },
    { "ccmn x1, #1, #0, lt: true", 0xba41b820, 0, ALL64, 0, N, 0, ZC },
    { "cmp x1, x2: overflow", 0xeb02003f, 0, MIN64, 1, NONE, 0, CV },
    { "cmp w1, w2: low halves equal", 0x6b02003f, 0, 0x100000005, 5, NONE, 0, ZC },
    { "adds x0, x1, w2, sxtb #2", 0xab228820, 1, 4, 0xff, NONE, 0, ZC },
    { "sub x0, x1, w2, uxth", 0xcb222020, 0, 0x10000, 0xabcdffff, NONE, 1, NONE },
    { "bics w0, w1, w2, lsr #4", 0x6a621020, 0, 0xff, 0xf0, CV, 0xf0, NONE },
    { "mvn x0, x1", 0xaa2103e0, 0, 0, 0, NONE, ALL64, NONE },
    { "eon w0, w1, w2", 0x4a220020, 0, 0, 0, NONE, 0xffffffff, NONE },
    { "movk x0, #0xbeef, lsl #48", 0xf2f7dde0, 1, 0, 0, NONE, 0xbeef000000000001, NONE },
    { "tst x1, #0x8000000000000000", 0xf241003f, 0, ALL64, 0, CV, 0, N },
    { "negs w0, w1", 0x6b0103e0, 1, 0, 0, NONE, 0, ZC },
    { "add w0, w1, w2", 0x0b020020, 0, 0xffffffff, 1, NONE, 0, NONE },
    { "rmif x1, #3, #15", 0xba01842f, 0, 0x50, 0, ZV, 0, NC },
    { "setf8 w1", 0x3a00082d, 0, 0x180, 0, C, 0, NC },
    { "setf16 w1", 0x3a00482d, 0, 0x10000, 0, NONE, 0, ZV },
    { "cfinv", 0xd500401f, 0, 0, 0, C, 0, NONE },
    { "axflag: unordered", 0xd500405f, 0, 0, 0, CV, 0, Z },
    { "xaflag: unordered", 0xd500403f, 0, 0, 0, Z, 0, CV },
    /* The check value of a checksum is that of 123456789, inverted at the end. */
    { "crc32x w0, w0, x1", 0x9ac14c00, 0xffffffff, DIGIT, 0, NONE, 0x651f2550, NONE },
    { "crc32b w0, w0, w1", 0x1ac14000, 0x651f2550, '9', 0, NONE, 0xffffffff ^ 0xcbf43926, NONE },
    { "crc32cx w0, w0, x1", 0x9ac15c00, 0xffffffff, DIGIT, 0, NONE, 0x9f787f65, NONE },
    { "crc32cb w0, w0, w1", 0x1ac15000, 0x9f787f65, '9', 0, NONE, 0xffffffff ^ 0xe3069283, NONE },
};
/* clang-format on */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* Every word is followed by a BRK. */
static void results(void)
{
    uint32_t code[2 * COUNT(values)];
    struct guest g;

    for (size_t n = 0; n < COUNT(values); n++) {
        code[2 * n] = values[n].word;
        code[2 * n + 1] = A64_BRK(0);
    }
    GUEST_OPEN(&g, code);
    for (size_t n = 0; n < COUNT(values); n++) {
        const struct value *v = &values[n];

        guest_set_reg(&g, HV_REG_X0, v->x0);
        guest_set_reg(&g, HV_REG_X1, v->x1);
        guest_set_reg(&g, HV_REG_X2, v->x2);
        guest_set_reg(&g, HV_REG_PC, GUEST_CODE + 8 * n);
        guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H_MASKED | v->flags << 28);
        bool good = guest_run_brk(&g, 0) && CHECK_EQ(guest_reg(&g, HV_REG_X0), v->result) &&
                    CHECK_EQ(guest_reg(&g, HV_REG_CPSR) >> 28, v->result_flags);
        if (!good)
            printf("# in: %s\n", v->text);
    }
    guest_close(&g);
}

/* Memory. X3 is the base; the MMU is on, since atomic accesses need normal memory. */

#define RAM_END (GUEST_RAM + GUEST_RAM_SIZE)

static void open_mmu(struct guest *g, const uint32_t *code, unsigned count)
{
    guest_open(g, code, count);
    if (!g->good)
        return;
    guest_write_tables(g->ram + (GUEST_DATA - GUEST_RAM) + 0x4000, GUEST_DATA + 0x4000);
    guest_mmu_on(g->vcpu, GUEST_DATA + 0x4000);
    guest_set_reg(g, HV_REG_X3, GUEST_DATA);
}

#define OPEN_MMU(g, code) open_mmu(g, code, COUNT(code))

static uint64_t load(const struct guest *g, uint64_t address)
{
    uint64_t v;

    memcpy(&v, g->ram + (address - GUEST_RAM), sizeof v);
    return v;
}

static void store(const struct guest *g, uint64_t address, uint64_t v)
{
    memcpy(g->ram + (address - GUEST_RAM), &v, sizeof v);
}

static void pair_load_that_faults_changes_nothing(void)
{
    static const uint32_t code[] = { 0xa8c10460 /* ldp x0, x1, [x3], #16 */ };
    struct guest g;

    OPEN_MMU(&g, code);
    store(&g, RAM_END - 8, 7);
    guest_set_reg(&g, HV_REG_X0, 1);
    guest_set_reg(&g, HV_REG_X1, 2);
    guest_set_reg(&g, HV_REG_X3, RAM_END - 8);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 1);
    CHECK_EQ(guest_reg(&g, HV_REG_X1), 2);
    CHECK_EQ(guest_reg(&g, HV_REG_X3), RAM_END - 8);
    guest_close(&g);
}

static void pair_store_that_faults_changes_nothing(void)
{
    static const uint32_t code[] = { 0xa9bf0460 /* stp x0, x1, [x3, #-16]! */ };
    struct guest g;

    OPEN_MMU(&g, code);
    store(&g, RAM_END - 8, 7);
    guest_set_reg(&g, HV_REG_X3, RAM_END + 8);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    CHECK_EQ(load(&g, RAM_END - 8), 7);
    CHECK_EQ(guest_reg(&g, HV_REG_X3), RAM_END + 8);
    guest_close(&g);
}

static void base_stays_when_the_access_faults(void)
{
    static const uint32_t code[] = { 0xf8408c60 /* ldr x0, [x3, #8]! */ };
    struct guest g;

    OPEN_MMU(&g, code);
    guest_set_reg(&g, HV_REG_X3, RAM_END);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_X3), RAM_END);
    guest_close(&g);
}

/* A guest exception shows as the BRK of its vector; its class is in ESR_EL1. */
static uint64_t taken_by_the_guest(struct guest *g)
{
    if (!guest_run_brk(g, VECTOR_BRK(VECTOR_SYNC_EL1)))
        return 0;
    CHECK_EQ(guest_sys(g, HV_SYS_REG_ELR_EL1), GUEST_CODE);
    return guest_sys(g, HV_SYS_REG_ESR_EL1);
}

static void stack_pointer_alignment(void)
{
    static const uint32_t code[] = { 0xf94003e0 /* ldr x0, [sp] */, A64_BRK(0) };
    struct guest g;

    OPEN_MMU(&g, code);
    guest_set_sys(&g, HV_SYS_REG_SP_EL1, GUEST_STACK + 8);
    CHECK(guest_run_brk(&g, 0));
    guest_set_sys(&g, HV_SYS_REG_SCTLR_EL1, guest_sys(&g, HV_SYS_REG_SCTLR_EL1) | 1u << 3);
    guest_set_reg(&g, HV_REG_PC, GUEST_CODE);
    CHECK_EQ(SYNDROME_EC(taken_by_the_guest(&g)), 0x26);
    guest_close(&g);
}

static void unallocated_words_are_undefined(void)
{
    static const uint32_t words[] = { 0x00000000, 0x54000010, 0xdac10060, 0x08207c60 | 1 };

    for (size_t n = 0; n < COUNT(words); n++) {
        struct guest g;

        guest_open(&g, &words[n], 1);
        CHECK_EQ(taken_by_the_guest(&g), 1u << 25);
        guest_close(&g);
    }
}

static void ordered_and_atomic_accesses_are_aligned(void)
{
    static const uint32_t words[] = {
        0xc8dffc60, /* ldar x0, [x3] */
        0xc89ffc60, /* stlr x0, [x3] */
        0xb8bfc060, /* ldapr w0, [x3] */
        0xc85f7c60, /* ldxr x0, [x3] */
        0x48a07c61, /* cash w0, w1, [x3] */
        0xf8208061, /* swp x0, x1, [x3] */
        0x48207c64, /* casp x0, x1, x4, x5, [x3] */
    };

    for (size_t n = 0; n < COUNT(words); n++) {
        struct guest g;

        open_mmu(&g, &words[n], 1);
        guest_set_reg(&g, HV_REG_X3, GUEST_DATA + 1);
        uint64_t esr = taken_by_the_guest(&g);
        CHECK_EQ(SYNDROME_EC(esr), 0x25);
        CHECK_EQ(esr & 0x3f, 0x21);
        CHECK_EQ(guest_sys(&g, HV_SYS_REG_FAR_EL1), GUEST_DATA + 1);
        guest_close(&g);
    }
}

/* What comes between LDXR and STXR, and whether the store happens. */
static void exclusives(void)
{
    static const struct {
        uint32_t between;
        uint64_t status;
    } cases[] = {
        { A64_NOP, 0 },
        { 0xd5033f5f /* clrex */, 1 },
        { 0xf9000062 /* str x2, [x3] */, 1 },
        { 0x91004063 /* add x3, x3, #16 */, 1 },
        { 0xc8017c62 /* stxr w1, x2, [x3] */, 1 },
    };

    for (size_t n = 0; n < COUNT(cases); n++) {
        const uint32_t code[] = { 0xc85f7c60 /* ldxr x0, [x3] */, cases[n].between,
                                  0xc8017c62 /* stxr w1, x2, [x3] */, A64_BRK(0) };
        struct guest g;

        OPEN_MMU(&g, code);
        store(&g, GUEST_DATA, 5);
        guest_set_reg(&g, HV_REG_X2, 6);
        CHECK(guest_run_brk(&g, 0));
        CHECK_EQ(guest_reg(&g, HV_REG_X0), 5);
        CHECK_EQ(guest_reg(&g, HV_REG_X1), cases[n].status);
        if (n == 0)
            CHECK_EQ(load(&g, GUEST_DATA), 6);
        guest_close(&g);
    }
}

static void exclusive_pair(void)
{
    static const uint32_t code[] = { 0xc87f1860 /* ldxp x0, x6, [x3] */,
                                     0xc8211464 /* stxp w1, x4, x5, [x3] */, A64_BRK(0) };
    struct guest g;

    OPEN_MMU(&g, code);
    store(&g, GUEST_DATA, 1);
    store(&g, GUEST_DATA + 8, 2);
    guest_set_reg(&g, HV_REG_X4, 3);
    guest_set_reg(&g, HV_REG_X5, 4);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 1);
    CHECK_EQ(guest_reg(&g, HV_REG_X6), 2);
    CHECK_EQ(guest_reg(&g, HV_REG_X1), 0);
    CHECK_EQ(load(&g, GUEST_DATA), 3);
    CHECK_EQ(load(&g, GUEST_DATA + 8), 4);
    guest_close(&g);
}

static void compare_and_swap_pair(void)
{
    static const uint32_t code[] = { 0x48207c64 /* casp x0, x1, x4, x5, [x3] */,
                                     0x48207c64 /* the same */, A64_BRK(0) };
    struct guest g;

    OPEN_MMU(&g, code);
    store(&g, GUEST_DATA, 1);
    store(&g, GUEST_DATA + 8, 2);
    guest_set_reg(&g, HV_REG_X0, 1);
    guest_set_reg(&g, HV_REG_X1, 2);
    guest_set_reg(&g, HV_REG_X4, 3);
    guest_set_reg(&g, HV_REG_X5, 4);
    CHECK(guest_run_brk(&g, 0));
    /* The first one swapped, the second one found something else. */
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 3);
    CHECK_EQ(guest_reg(&g, HV_REG_X1), 4);
    CHECK_EQ(load(&g, GUEST_DATA), 3);
    CHECK_EQ(load(&g, GUEST_DATA + 8), 4);
    guest_close(&g);
}

/* A loop of more registers than the host has, over several pages: by its count, out of its middle,
 * and into a fault. X6 to X15 are what the model below makes of them. */

struct loop {
    uint64_t x[16];
};

static uint64_t loop_word(unsigned n)
{
    return (n + 1) * 0x9e3779b97f4a7c15u;
}

/* Iterations until X15 is 0, a word is 0 (`zero`), or one that stores at RAM_END. */
static void loop_model(struct loop *l, uint64_t zero)
{
    for (unsigned n = 0;; n++) {
        l->x[8] = n == zero ? 0 : loop_word(n);
        l->x[6] += 8;
        if (!l->x[8])
            return;
        l->x[9] ^= l->x[8];
        l->x[9] = l->x[9] >> 7 | l->x[9] << 57;
        l->x[10] += l->x[9];
        if (l->x[7] + l->x[11]++ * 8 == RAM_END) {
            l->x[11]--;
            return;
        }
        if (l->x[10] & 1)
            l->x[12] = l->x[9];
        l->x[13] = 0;
        for (unsigned k = 0; k < 64; k++)
            l->x[13] |= (l->x[12] >> k & 1) << (63 - k);
        l->x[14] += l->x[13];
        if (!--l->x[15])
            return;
    }
}

#define LOOP_SOURCE (GUEST_DATA + 0x8000)

static void loop_case(uint64_t store_at, uint64_t count, uint64_t zero)
{
    static const uint32_t code[] = {
        0xf84084c8, /* ldr x8, [x6], #8 */
        0xb4000188, /* cbz x8, out */
        0xca080129, /* eor x9, x9, x8 */
        0x93c91d29, /* ror x9, x9, #7 */
        0x8b09014a, /* add x10, x10, x9 */
        0xf82b78ea, /* str x10, [x7, x11, lsl #3] */
        0x9100056b, /* add x11, x11, #1 */
        0xf240015f, /* tst x10, #1 */
        0x9a8c112c, /* csel x12, x9, x12, ne */
        0xdac0018d, /* rbit x13, x12 */
        0x8b0d01ce, /* add x14, x14, x13 */
        0xf10005ef, /* subs x15, x15, #1 */
        0x54fffe81, /* b.ne loop */
        A64_BRK(0), /* out: */
    };
    struct loop l = { .x = { [6] = LOOP_SOURCE, [7] = store_at, [15] = count } };
    struct guest g;

    OPEN_MMU(&g, code);
    for (unsigned n = 0; n < 1500; n++)
        store(&g, LOOP_SOURCE + 8 * n, n == zero ? 0 : loop_word(n));
    for (unsigned r = 0; r < 31; r++)
        guest_set_reg(&g, HV_REG_X0 + r, r < 16 && r > 5 ? l.x[r] : r);
    loop_model(&l, zero);
    if (store_at + 8 * count > RAM_END)
        CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    else
        CHECK(guest_run_brk(&g, 0));
    for (unsigned r = 0; r < 31; r++)
        CHECK_EQ(guest_reg(&g, HV_REG_X0 + r), r < 16 && r > 5 ? l.x[r] : r);
    guest_close(&g);
}

static void loops(void)
{
    loop_case(GUEST_DATA + 0xc000, 1500, 1500);
    loop_case(GUEST_DATA + 0xc000, 1500, 1100);
    loop_case(GUEST_DATA + 0xc000, 1, 1500);
    loop_case(RAM_END - 8 * 700, 1500, 1500);
}

/* RBIT and CLZ, which the JIT makes one instruction of where it can: at once and with another one
 * in between, of the same register and of two. */

#define RBIT_X(d, n) (0xdac00000u | (n) << 5 | (d))
#define CLZ_X(d, n)  (0xdac01000u | (n) << 5 | (d))
#define RBIT_W(d, n) (0x5ac00000u | (n) << 5 | (d))
#define CLZ_W(d, n)  (0x5ac01000u | (n) << 5 | (d))

static uint64_t reversed(uint64_t value, unsigned width)
{
    uint64_t r = 0;

    for (unsigned k = 0; k < width; k++)
        r |= (value >> k & 1) << (width - 1 - k);
    return r;
}

static void trailing_zeros(void)
{
    static const uint64_t numbers[] = { 0, 1, MIN64, ALL64, 0x10, 0x100000000, 0xf0f0000000000000 };
    static const uint32_t code[] = {
        RBIT_X(0, 1),
        0xcb040023 /* sub x3, x1, x4 */,
        CLZ_X(0, 0),
        RBIT_X(5, 1),
        CLZ_X(6, 5),
        RBIT_W(7, 1),
        CLZ_W(7, 7),
        RBIT_X(8, 1),
        0x91000509 /* add x9, x8, #1 */,
        CLZ_X(8, 8),
        0xaa0103ea /* mov x10, x1 */,
        RBIT_X(10, 10),
        CLZ_X(11, 10),
        RBIT_W(12, 1),
        0xaa0303ed /* mov x13, x3 */,
        CLZ_W(14, 12),
        RBIT_X(15, 1),
        0xd280000f /* mov x15, #0 */,
        CLZ_X(15, 15),
        RBIT_X(16, 31),
        CLZ_X(16, 16),
        A64_BRK(0),
    };

    for (size_t n = 0; n < sizeof numbers / sizeof *numbers; n++) {
        uint64_t value = numbers[n], low = (uint32_t)value;
        uint64_t zeros = value ? (uint64_t)__builtin_ctzll(value) : 64;
        uint64_t zeros_w = low ? (uint64_t)__builtin_ctz((unsigned)low) : 32;
        struct guest g;

        GUEST_OPEN(&g, code);
        guest_set_reg(&g, HV_REG_X1, value);
        guest_set_reg(&g, HV_REG_X4, 7);
        CHECK(guest_run_brk(&g, 0));
        CHECK_EQ(guest_reg(&g, HV_REG_X0), zeros);
        CHECK_EQ(guest_reg(&g, HV_REG_X3), value - 7);
        CHECK_EQ(guest_reg(&g, HV_REG_X5), reversed(value, 64));
        CHECK_EQ(guest_reg(&g, HV_REG_X6), zeros);
        CHECK_EQ(guest_reg(&g, HV_REG_X7), zeros_w);
        CHECK_EQ(guest_reg(&g, HV_REG_X8), zeros);
        CHECK_EQ(guest_reg(&g, HV_REG_X9), reversed(value, 64) + 1);
        CHECK_EQ(guest_reg(&g, HV_REG_X10), reversed(value, 64));
        CHECK_EQ(guest_reg(&g, HV_REG_X11), zeros);
        CHECK_EQ(guest_reg(&g, HV_REG_X12), reversed(low, 32));
        CHECK_EQ(guest_reg(&g, HV_REG_X14), zeros_w);
        CHECK_EQ(guest_reg(&g, HV_REG_X15), 64);
        CHECK_EQ(guest_reg(&g, HV_REG_X16), 64);
        guest_close(&g);
    }
}

int main(void)
{
    RUN(results);
    RUN(trailing_zeros);
    RUN(pair_load_that_faults_changes_nothing);
    RUN(pair_store_that_faults_changes_nothing);
    RUN(base_stays_when_the_access_faults);
    RUN(stack_pointer_alignment);
    RUN(unallocated_words_are_undefined);
    RUN(ordered_and_atomic_accesses_are_aligned);
    RUN(exclusives);
    RUN(exclusive_pair);
    RUN(compare_and_swap_pair);
    RUN(loops);
    return check_finish();
}
