/*
 * The exclusive monitor (DDI 0487 B2.12): a store-exclusive succeeds after its load-exclusive, and
 * fails after CLREX, after an exception return, without a load, a second time, and when another CPU
 * stored to the location, whatever it stored. Two CPUs then count with exclusives, with LSE atomics
 * and under a lock, and wait for each other in WFE.
 */
#include "kit.h"

PROBE(pair, "ldxr x1, [x0]\n add x1, x1, #1\n stxr w2, x1, [x0]");
PROBE(pair_b, "ldxrb w1, [x0]\n stxrb w2, w1, [x0]");
PROBE(pair_h, "ldaxrh w1, [x0]\n stlxrh w2, w1, [x0]");
PROBE(pair_w, "ldxr w1, [x0]\n stxr w2, w1, [x0]");
PROBE(pair_128, "ldxp x1, x3, [x0]\n stxp w2, x3, x1, [x0]");
PROBE(pair_64, "ldxp w1, w3, [x0]\n stxp w2, w3, w1, [x0]");
PROBE(cleared, "ldxr x1, [x0]\n clrex\n stxr w2, x1, [x0]");
PROBE(cleared_15, "ldxr x1, [x0]\n clrex #15\n stxr w2, x1, [x0]");
PROBE(twice, "ldxr x1, [x0]\n stxr w2, x1, [x0]\n stxr w2, x1, [x0]");
PROBE(alone, "clrex\n stxr w2, x1, [x0]");
PROBE(smaller, "ldxr x1, [x0]\n stxr w2, w1, [x0]");
PROBE(elsewhere, "ldxr x1, [x0]\n add x3, x0, #4096\n stxr w2, x1, [x3]");
PROBE(load, "ldxr x1, [x0]");
PROBE(store, "stxr w2, x1, [x0]");
PROBE(zero_status, "ldxr x1, [x0]\n stxr wzr, x1, [x0]");
PROBE(return_to,
      "ldxr x1, [x0]\n adr x3, 1f\n msr elr_el1, x3\n mrs x3, daif\n mov x2, #5\n orr x3, x3, x2\n"
      " msr spsr_el1, x3\n eret\n 1: stxr w2, x1, [x0]");

#define VALUE(n) ((volatile uint64_t *)TARGET)[n]
#define ROUNDS   20000
#define PASSES   1000ul

static void one_cpu(void)
{
    static const struct {
        const char *name;
        const uint32_t *code;
        uint64_t fails;
    } cases[] = {
        { "LDXR, STXR", pair, 0 },
        { "LDXRB, STXRB", pair_b, 0 },
        { "LDAXRH, STLXRH", pair_h, 0 },
        { "LDXR, STXR of a word", pair_w, 0 },
        { "LDXP, STXP of 16 bytes", pair_128, 0 },
        { "LDXP, STXP of 8 bytes", pair_64, 0 },
        { "CLREX", cleared, 1 },
        { "CLREX #15", cleared_15, 1 },
        { "the second STXR", twice, 1 },
        { "STXR alone", alone, 1 },
        { "STXR to another granule", elsewhere, 1 },
        { "ERET between (D1.3)", return_to, 1 },
    };

    for (unsigned i = 0; i < COUNT(cases); i++) {
        VALUE(0) = 41;
        const struct taken *t = run(cases[i].code, EL1, TARGET, 0);
        check("monitor", cases[i].name, t->x[2], cases[i].fails);
    }
    VALUE(0) = 41;
    run(pair, EL1, TARGET, 0);
    check("monitor", "STXR stored", VALUE(0), 42);
    VALUE(0) = 1;
    VALUE(1) = 2;
    run(pair_128, EL1, TARGET, 0);
    check("monitor", "STXP stored both", VALUE(0) << 32 | VALUE(1), 2ul << 32 | 1);
    VALUE(0) = 1ul << 32 | 2;
    run(pair_64, EL1, TARGET, 0);
    check("monitor", "STXP of words stored both", VALUE(0), 2ul << 32 | 1);
    VALUE(0) = 7;
    run(cleared, EL1, TARGET, 0);
    check("monitor", "a failed STXR stores nothing", VALUE(0), 7);
    /* The SVC of the first probe and the return to the second are between load and store. */
    run(load, EL1, TARGET, 0);
    check("monitor", "an exception and its return", run(store, EL1, TARGET, 99)->x[2], 1);
    check("monitor", "stored nothing", VALUE(0), 7);
    check("monitor", "STXR with WZR as status", run(zero_status, EL1, TARGET, 0)->esr, SVC0);
}

/* Two CPUs. */
static struct {
    volatile uint64_t turn;
    _Alignas(64) volatile uint64_t counter[4];
    _Alignas(64) volatile uint64_t sized[5][2]; /* by which_size */
    _Alignas(64) volatile uint64_t lock, guarded;
    _Alignas(64) volatile uint64_t arrived, finished;
    _Alignas(64) volatile uint64_t token;
} shared;

/* Between this CPU's load and store the other one stores: by `turn` they take their steps. */
static uint64_t lost(void)
{
    uint64_t status, value, turn;

    __asm__ volatile("ldxr %1, [%3]\n"
                     " mov %2, #1\n"
                     " stlr %2, [%4]\n" /* now you */
                     "1: ldar %2, [%4]\n"
                     " cmp %2, #2\n"
                     " b.ne 1b\n"
                     " stxr %w0, %1, [%3]\n"
                     : "=&r"(status), "=&r"(value), "=&r"(turn)
                     : "r"(&shared.counter[0]), "r"(&shared.turn)
                     : "memory", "cc");
    return status;
}

static void steal(void)
{
    while (shared.turn != 1)
        ;
    shared.counter[0] += 1000;
    DO("dmb ish");
    shared.turn = 2;
}

/* The same, but whatever the other CPU stores, in the end there is what was there before: only a
 * monitor sees that (ABA). `value` is 0. */
PROBE(back_str, "mov x1, #9\n str x1, [x0]\n str xzr, [x0]");
PROBE(back_same, "str xzr, [x0]");
PROBE(back_byte, "mov w1, #9\n strb w1, [x0, #7]\n strb wzr, [x0, #7]");
PROBE(back_stp, "mov x1, #9\n stp x1, x1, [x0]\n stp xzr, xzr, [x0]");
PROBE(back_vector, "movi v0.16b, #9\n str q0, [x0]\n movi v0.16b, #0\n str q0, [x0]");
PROBE(back_split, "mov x1, #-1\n stur x1, [x0, #-4]\n stur xzr, [x0, #-4]");
PROBE(back_stlr, "mov x1, #9\n stlr x1, [x0]\n stlr xzr, [x0]");
PROBE(back_swp, "mov x1, #9\n swp x1, x2, [x0]\n swp xzr, x2, [x0]");
PROBE(back_add, "mov x1, #9\n stadd x1, [x0]\n neg x1, x1\n stadd x1, [x0]");
PROBE(back_cas, "mov x1, #9\n mov x2, #0\n cas x2, x1, [x0]\n cas x1, xzr, [x0]");
PROBE(back_casp, "mov x2, #0\n mov x3, #0\n mov x4, #9\n mov x5, #9\n casp x2, x3, x4, x5, [x0]\n"
                 " casp x4, x5, x2, x3, [x0]");
PROBE(back_stxr, "1: ldxr x1, [x0]\n stxr w2, x0, [x0]\n cbnz w2, 1b\n"
                 "2: ldxr x1, [x0]\n stxr w2, xzr, [x0]\n cbnz w2, 2b");
PROBE(back_stxp, "1: ldxp x1, x3, [x0]\n stxp w2, x0, x0, [x0]\n cbnz w2, 1b\n"
                 "2: ldxp x1, x3, [x0]\n stxp w2, xzr, xzr, [x0]\n cbnz w2, 2b");
PROBE(back_zva, "mov x1, #9\n str x1, [x0]\n dc zva, x0");
PROBE(elsewhere_str, "str x0, [x0, #64]");

static const struct back {
    const char *name;
    const uint32_t *code;
    uint64_t fails;
} backs[] = {
    { "nothing", load, 0 },
    { "STR to the next granule", elsewhere_str, 0 },
    { "STR", back_str, 1 },
    { "STR of the same value", back_same, 1 },
    { "STRB of another byte", back_byte, 1 },
    { "STP", back_stp, 1 },
    { "STR Q", back_vector, 1 },
    { "STUR over the beginning", back_split, 1 },
    { "STLR", back_stlr, 1 },
    { "SWP", back_swp, 1 },
    { "STADD", back_add, 1 },
    { "CAS", back_cas, 1 },
    { "CASP", back_casp, 1 },
    { "STXR", back_stxr, 1 },
    { "STXP", back_stxp, 1 },
    { "DC ZVA", back_zva, 1 },
};

/* Granules whose neighbours are nobody's; in the middle of one, so that stores can begin before. */
#define BACK(n) (TARGET + 0x10000 + (n) * 0x100 + 16)

static void go_back(void)
{
    for (unsigned n = 0; n < COUNT(backs); n++) {
        while (shared.turn != 1)
            ;
        run(backs[n].code, EL1, BACK(n), 0);
        DO("dmb ish");
        shared.turn = 2;
        while (shared.turn == 2)
            ;
    }
}

/* May fail the first time, as it is somebody's first. */
static void settle(uint64_t address)
{
    uint64_t v, s;

    __asm__ volatile("1: ldxr %0, [%2]\n stxr %w1, %0, [%2]\n cbnz %w1, 1b"
                     : "=&r"(v), "=&r"(s)
                     : "r"(address)
                     : "memory");
}

static void check_back(void)
{
    for (unsigned n = 0; n < COUNT(backs); n++) {
        uint64_t status, value, turn, address = BACK(n);
        settle(address);
        __asm__ volatile("ldxr %1, [%3]\n"
                         " mov %2, #1\n"
                         " stlr %2, [%4]\n"
                         "1: ldar %2, [%4]\n"
                         " cmp %2, #2\n"
                         " b.ne 1b\n"
                         " stxr %w0, %1, [%3]\n"
                         : "=&r"(status), "=&r"(value), "=&r"(turn)
                         : "r"(address), "r"(&shared.turn)
                         : "memory", "cc");
        check("back again", backs[n].name, status, backs[n].fails);
        shared.turn = 0;
    }
}

/* Exclusives of every size. */
enum which_size { BYTE, HALF, WORD, WORDS, PAIR };

#define ADD_SIZED(load, r, store, which)                                                           \
    __asm__ volatile("1: " load " %" r "0, [%2]\n add %0, %0, #1\n " store " %w1, %" r             \
                     "0, [%2]\n cbnz %w1, 1b"                                                      \
                     : "=&r"(v), "=&r"(s)                                                          \
                     : "r"(shared.sized[which])                                                    \
                     : "memory")

#define ADD_PAIR(r, which)                                                                         \
    __asm__ volatile("1: ldaxp %" r "0, %" r "1, [%3]\n add %0, %0, #1\n add %1, %1, #2\n"         \
                     " stlxp %w2, %" r "0, %" r "1, [%3]\n cbnz %w2, 1b"                           \
                     : "=&r"(v), "=&r"(high), "=&r"(s)                                             \
                     : "r"(shared.sized[which])                                                    \
                     : "memory")

static void count(void)
{
    uint64_t v, high, s;

    for (unsigned i = 0; i < ROUNDS; i++) {
        ADD_SIZED("ldxrb", "w", "stxrb", BYTE);
        ADD_SIZED("ldaxrh", "w", "stlxrh", HALF);
        ADD_SIZED("ldxr", "w", "stlxr", WORD);
        ADD_PAIR("w", WORDS);
        ADD_PAIR("x", PAIR);
        __asm__ volatile("1: ldxr %0, [%2]\n add %0, %0, #1\n stxr %w1, %0, [%2]\n cbnz %w1, 1b"
                         : "=&r"(v), "=&r"(s)
                         : "r"(&shared.counter[1])
                         : "memory");
        __asm__ volatile("ldadd %1, %0, [%2]"
                         : "=r"(v)
                         : "r"(1ul), "r"(&shared.counter[2])
                         : "memory");
        __asm__ volatile("1: ldr %0, [%2]\n add %1, %0, #1\n mov x9, %0\n"
                         " casal %0, %1, [%2]\n cmp %0, x9\n b.ne 1b"
                         : "=&r"(v), "=&r"(s)
                         : "r"(&shared.counter[3])
                         : "memory", "cc", "x9");
        __asm__ volatile("1: ldaxr %w0, [%1]\n cbnz %w0, 1b\n stxr %w0, %w2, [%1]\n cbnz %w0, 1b"
                         : "=&r"(v)
                         : "r"(&shared.lock), "r"(1ul)
                         : "memory");
        shared.guarded++;
        __asm__ volatile("stlr wzr, [%0]" ::"r"(&shared.lock) : "memory");
    }
    __asm__ volatile("staddl %0, [%1]" ::"r"(1ul), "r"(&shared.finished) : "memory");
}

/* Pass a token to and fro; each waits for it as Linux's smp_cond_load_relaxed() does, in WFE with
 * the monitor open, which the other's store clears. `me` is 0 or 1. */
static void pass(uint64_t me)
{
    uint64_t seen;

    for (uint64_t n = me; n < 2 * PASSES; n += 2) {
        __asm__ volatile(" sevl\n wfe\n"
                         "1: ldaxr %0, [%1]\n cmp %0, %2\n b.eq 2f\n wfe\n b 1b\n 2:"
                         : "=&r"(seen)
                         : "r"(&shared.token), "r"(n)
                         : "memory", "cc");
        __asm__ volatile("stlr %0, [%1]" ::"r"(n + 1), "r"(&shared.token) : "memory");
    }
}

static void second(void)
{
    for (unsigned i = 0; i < 8; i++) {
        steal();
        while (shared.turn == 2)
            ;
    }
    go_back();
    shared.arrived = 1;
    count();
    pass(1);
    for (;;)
        DO("wfi");
}

void test(void)
{
    one_cpu();
    second_start(second);
    for (unsigned i = 0; i < 8; i++) {
        shared.counter[0] = i;
        DO("dmb ish");
        check("two CPUs", "another's store between", lost(), 1);
        check("two CPUs", "whose value stays", shared.counter[0], 1000 + i);
        shared.turn = 0;
    }
    check_back();
    while (!shared.arrived)
        ;
    count();
    while (shared.finished != 2)
        ;
    check("two CPUs", "LDXR and STXR lose no count", shared.counter[1], 2 * ROUNDS);
    check("two CPUs", "of bytes", shared.sized[BYTE][0], 2 * ROUNDS % 256);
    check("two CPUs", "of halfwords", shared.sized[HALF][0], 2 * ROUNDS % 65536);
    check("two CPUs", "of words", shared.sized[WORD][0], (uint32_t)(2 * ROUNDS));
    check("two CPUs", "of pairs of words", shared.sized[WORDS][0],
          (4ul * ROUNDS << 32) + 2 * ROUNDS);
    check("two CPUs", "of pairs, low", shared.sized[PAIR][0], 2 * ROUNDS);
    check("two CPUs", "of pairs, high", shared.sized[PAIR][1], 4 * ROUNDS);
    check("two CPUs", "LDADD loses no count", shared.counter[2], 2 * ROUNDS);
    check("two CPUs", "CASAL loses no count", shared.counter[3], 2 * ROUNDS);
    check("two CPUs", "a lock of LDAXR, STXR and STLR holds", shared.guarded, 2 * ROUNDS);
    pass(0);
    while (shared.token != 2 * PASSES)
        ;
    check("two CPUs", "a token goes to and fro by WFE", shared.token, 2 * PASSES);
}
