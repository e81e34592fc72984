/*
 * Litmus tests of the memory model (DDI 0487 B2.3): short programs that race, each with the one
 * outcome that the barriers, acquires, releases or dependencies in them forbid. Names are those of
 * the literature: MP message passing, SB store buffering, LB load buffering, IRIW independent reads
 * of independent writes, WRC write to read causality.
 *
 * CPUs meet, and then go through a batch of instances, each with variables of its own, as fast as
 * they can; CPU 0 looks at what came out. RUNS is the number of instances of each test, but after
 * MILLISECONDS it is enough (a busy host seldom lets all CPUs run at once). Built with RELAXED, the
 * program asserts instead that store buffering without barriers is seen: a host of two cores has
 * that, and if the races never happened, the other tests would prove nothing.
 */
#include "kit.h"

#ifndef RUNS
#define RUNS 20000
#endif

#ifndef MILLISECONDS
#define MILLISECONDS 100
#endif

#ifdef RELAXED
#define BATCH 8 /* CPUs have just met */
#else
#define BATCH 256
#endif
#define THREADS 4

/* x and y in lines of their own */
struct instance {
    _Alignas(64) volatile uint64_t x;
    _Alignas(64) volatile uint64_t y;
    _Alignas(64) volatile uint64_t z;
    struct {
        _Alignas(64) volatile uint64_t a, b;
    } out[THREADS];
};

typedef void body(struct instance *i, unsigned self);

/* A thread: `text` has x, y, z (addresses), one, two (values), a, b (results), s, t (scratch). */
#define BODY(name, text)                                                                           \
    static void name(struct instance *i, unsigned self)                                            \
    {                                                                                              \
        uint64_t a = 0, b = 0, s, t;                                                               \
        __asm__ volatile(                                                                          \
            ".arch armv8.5-a+lse+rcpc\n" text                                                      \
            : [a] "+&r"(a), [b] "+&r"(b), [s] "=&r"(s), [t] "=&r"(t)                               \
            : [x] "r"(&i->x), [y] "r"(&i->y), [z] "r"(&i->z), [one] "r"(1ul), [two] "r"(2ul)       \
            : "memory", "cc");                                                                     \
        i->out[self].a = a;                                                                        \
        i->out[self].b = b;                                                                        \
    }

/* Parts. */
#define ST(v, at)    "str %[" #v "], [%[" #at "]]\n"
#define STL(v, at)   "stlr %[" #v "], [%[" #at "]]\n"
#define LD(r, at)    "ldr %[" #r "], [%[" #at "]]\n"
#define LDA(r, at)   "ldar %[" #r "], [%[" #at "]]\n"
#define LDAPR(r, at) "ldapr %[" #r "], [%[" #at "]]\n"
#define SWPL(v, at)  "swpl %[" #v "], %[t], [%[" #at "]]\n"
#define SWPAL(v, at) "swpal %[" #v "], %[t], [%[" #at "]]\n"
/* a store-exclusive and a load by load-exclusive */
#define STLX(v, at)                                                                                \
    "1: ldxr %[t], [%[" #at "]]\n stlxr %w[s], %[" #v "], [%[" #at "]]\n cbnz %w[s], 1b\n"
#define LDAX(r, at) "ldaxr %[" #r "], [%[" #at "]]\n clrex\n"
/* A load whose address depends on r, a store whose value does. */
#define LD_DEP(r2, at, r) "eor %[t], %[" #r "], %[" #r "]\n ldr %[" #r2 "], [%[" #at "], %[t]]\n"
#define ST_DEP(at, r)                                                                              \
    "eor %[t], %[" #r "], %[" #r "]\n add %[t], %[t], #1\n str %[t], [%[" #at "]]\n"
#define CTRL(r) "cbnz %[" #r "], 2f\n 2:\n"
#define DMB     "dmb ish\n"
#define DMB_SY  "dmb sy\n"
#define DMB_LD  "dmb ishld\n"
#define DMB_ST  "dmb ishst\n"
#define DMB_0   ".inst 0xd50330bf\n" /* a reserved kind: a full one */
#define DSB     "dsb ish\n"
#define AMO     "ldaddal xzr, %[t], [%[z]]\n"

BODY(set_x, ST(one, x))
BODY(set_y, ST(one, y))

BODY(mp_w_dmb, ST(one, x) DMB ST(one, y))
BODY(mp_w_st, ST(one, x) DMB_ST ST(one, y))
BODY(mp_w_rel, ST(one, x) STL(one, y))
BODY(mp_w_swpl, ST(one, x) SWPL(one, y))
BODY(mp_w_stlx, ST(one, x) STLX(one, y))
BODY(mp_r_dmb, LD(a, y) DMB LD(b, x))
BODY(mp_r_ld, LD(a, y) DMB_LD LD(b, x))
BODY(mp_r_acq, LDA(a, y) LD(b, x))
BODY(mp_r_acqpc, LDAPR(a, y) LD(b, x))
BODY(mp_r_ldax, LDAX(a, y) LD(b, x))
BODY(mp_r_dep, LD(a, y) LD_DEP(b, x, a))
BODY(mp_r_amo, "ldadda xzr, %[a], [%[y]]\n" LD(b, x))

BODY(sb0_dmb, ST(one, x) DMB LD(a, y))
BODY(sb1_dmb, ST(one, y) DMB LD(a, x))
BODY(sb0_sy, ST(one, x) DMB_SY LD(a, y))
BODY(sb1_sy, ST(one, y) DMB_SY LD(a, x))
BODY(sb0_any, ST(one, x) DMB_0 LD(a, y))
BODY(sb1_any, ST(one, y) DMB_0 LD(a, x))
BODY(sb0_dsb, ST(one, x) DSB LD(a, y))
BODY(sb1_dsb, ST(one, y) DSB LD(a, x))
BODY(sb0_sc, STL(one, x) LDA(a, y))
BODY(sb1_sc, STL(one, y) LDA(a, x))
BODY(sb0_swp, SWPAL(one, x) LDA(a, y))
BODY(sb1_swp, SWPAL(one, y) LDA(a, x))
BODY(sb0_stlx, STLX(one, x) LDA(a, y))
BODY(sb1_stlx, STLX(one, y) LDA(a, x))
BODY(sb0_amo, ST(one, x) AMO LD(a, y))
BODY(sb1_amo, ST(one, y) AMO LD(a, x))
BODY(sb0_bare, ST(one, x) LD(a, y))
BODY(sb1_bare, ST(one, y) LD(a, x))

BODY(lb0_dmb, LD(a, x) DMB ST(one, y))
BODY(lb1_dmb, LD(a, y) DMB ST(one, x))
BODY(lb0_acq, LDA(a, x) ST(one, y))
BODY(lb1_acq, LDA(a, y) ST(one, x))
BODY(lb0_rel, LD(a, x) STL(one, y))
BODY(lb1_rel, LD(a, y) STL(one, x))
BODY(lb0_dep, LD(a, x) ST_DEP(y, a))
BODY(lb1_dep, LD(a, y) ST_DEP(x, a))
BODY(lb0_ctrl, LD(a, x) CTRL(a) ST(one, y))
BODY(lb1_ctrl, LD(a, y) CTRL(a) ST(one, x))
BODY(lb0_stlx, LD(a, x) STLX(one, y))
BODY(lb1_stlx, LD(a, y) STLX(one, x))

BODY(ri0_dmb, LD(a, x) DMB LD(b, y))
BODY(ri1_dmb, LD(a, y) DMB LD(b, x))
BODY(ri0_acq, LDA(a, x) LDA(b, y))
BODY(ri1_acq, LDA(a, y) LDA(b, x))
BODY(ri0_dep, LD(a, x) LD_DEP(b, y, a))
BODY(ri1_dep, LD(a, y) LD_DEP(b, x, a))

BODY(ww0_dmb, ST(one, x) DMB ST(two, y))
BODY(ww1_dmb, ST(one, y) DMB ST(two, x))
BODY(ww0_st, ST(one, x) DMB_ST ST(two, y))
BODY(ww1_st, ST(one, y) DMB_ST ST(two, x))
BODY(ww0_rel, ST(one, x) STL(two, y))
BODY(ww1_rel, ST(one, y) STL(two, x))
BODY(ww0_swpl, ST(one, x) SWPL(two, y))
BODY(ww1_swpl, ST(one, y) SWPL(two, x))
BODY(ww0_stlx, ST(one, x) STLX(two, y))
BODY(ww1_stlx, ST(one, y) STLX(two, x))

BODY(r1_dmb, ST(two, y) DMB LD(a, x))
BODY(r1_sc, STL(two, y) LDA(a, x))
BODY(wrc1_dep, LD(a, x) ST_DEP(y, a))
BODY(wrc1_rel, LD(a, x) STL(one, y))
BODY(corr, LD(a, x) LD(b, x))

/* What must not come out: values of a and b of each thread, and of x and y at the end. */
enum { ANY = 255 };
#define T(a_, b_)   { a_, b_ }
#define NOTHING     T(ANY, ANY)
#define END(x_, y_) x_, y_

static const struct litmus {
    const char *family, *name;
    body *thread[THREADS]; /* up to the first NULL */
    uint8_t out[THREADS][2];
    uint8_t x, y;
} tests[] = {
#define MP(name, w, r) { "MP", name, { w, r }, { NOTHING, T(1, 0) }, END(ANY, ANY) }
    MP("DMB, DMB", mp_w_dmb, mp_r_dmb),
    MP("DMB ST, DMB LD", mp_w_st, mp_r_ld),
    MP("STLR, LDAR", mp_w_rel, mp_r_acq),
    MP("STLR, LDAPR", mp_w_rel, mp_r_acqpc),
    MP("STLXR, LDAXR", mp_w_stlx, mp_r_ldax),
    MP("SWPL, LDADDA", mp_w_swpl, mp_r_amo),
    MP("DMB, address", mp_w_dmb, mp_r_dep),
#define SB(name, v) { "SB", name, { sb0_##v, sb1_##v }, { T(0, ANY), T(0, ANY) }, END(ANY, ANY) }
    SB("DMB ISH", dmb),
    SB("DMB SY", sy),
    SB("DMB of a reserved kind", any),
    SB("DSB", dsb),
    SB("STLR, LDAR", sc),
    SB("SWPAL, LDAR", swp),
    SB("STLXR, LDAR", stlx),
    SB("LDADDAL between", amo),
#define LB(name, v) { "LB", name, { lb0_##v, lb1_##v }, { T(1, ANY), T(1, ANY) }, END(ANY, ANY) }
    LB("DMB", dmb),
    LB("LDAR", acq),
    LB("STLR", rel),
    LB("data", dep),
    LB("control", ctrl),
    LB("STLXR", stlx),
#define IRIW(name, v)                                                                              \
    { "IRIW",                                                                                      \
      name,                                                                                        \
      { set_x, set_y, ri0_##v, ri1_##v },                                                          \
      { NOTHING, NOTHING, T(1, 0), T(1, 0) },                                                      \
      END(ANY, ANY) }
    IRIW("DMB", dmb),
    IRIW("LDAR", acq),
    IRIW("address", dep),
#define WW(name, v) { "2+2W", name, { ww0_##v, ww1_##v }, { NOTHING, NOTHING }, END(1, 1) }
    WW("DMB", dmb),
    WW("DMB ST", st),
    WW("STLR", rel),
    WW("SWPL", swpl),
    WW("STLXR", stlx),
    { "R", "DMB", { mp_w_dmb, r1_dmb }, { NOTHING, T(0, ANY) }, END(ANY, 2) },
    { "R", "STLR, LDAR", { mp_w_rel, r1_sc }, { NOTHING, T(0, ANY) }, END(ANY, 2) },
    { "WRC",
      "data, address",
      { set_x, wrc1_dep, mp_r_dep },
      { NOTHING, T(1, ANY), T(1, 0) },
      END(ANY, ANY) },
    { "WRC",
      "STLR, LDAR",
      { set_x, wrc1_rel, mp_r_acq },
      { NOTHING, T(1, ANY), T(1, 0) },
      END(ANY, ANY) },
    { "CoRR", "coherence", { set_x, corr }, { NOTHING, T(1, 0) }, END(ANY, ANY) },
};

static const struct litmus relaxed = SB("without barriers", bare);

/* --- running --- */

static struct instance batch[BATCH];
static const struct litmus *volatile current;
static volatile uint64_t threads;
static uint64_t runs;
static _Alignas(64) volatile uint64_t arrived, left, over;

/* Whoever yields comes back late: not at once, so that CPUs go on at the same time. */
static void meet(volatile uint64_t *count, uint64_t target)
{
    __atomic_add_fetch(count, 1, __ATOMIC_SEQ_CST);
    for (unsigned n = 0; __atomic_load_n(count, __ATOMIC_ACQUIRE) < target; n++)
        if (n > 2000)
            DO("yield");
}

/* One batch; CPU 0 may have said that there is none. */
static bool play(const struct litmus *t, unsigned self, uint64_t round)
{
    uint64_t all = round * threads;

    meet(&arrived, all);
    if (over)
        return false;
    for (unsigned n = 0; n < BATCH; n++)
        t->thread[self](&batch[n], self);
    meet(&left, all);
    return true;
}

static bool matches(const struct litmus *t, const struct instance *i)
{
    for (unsigned n = 0; n < threads; n++)
        if ((t->out[n][0] != ANY && t->out[n][0] != i->out[n].a) ||
            (t->out[n][1] != ANY && t->out[n][1] != i->out[n].b))
            return false;
    return (t->x == ANY || t->x == i->x) && (t->y == ANY || t->y == i->y);
}

static void other(void)
{
    unsigned self = READ(mpidr_el1) & 0xff;
    const struct litmus *t = current;

    for (uint64_t round = 1; play(t, self, round); round++)
        ;
}

/* How many instances came out as `t` says. */
static uint64_t run_litmus(const struct litmus *t)
{
    uint64_t seen = 0, round = 0;
    uint64_t end = READ(cntvct_el0) + READ(cntfrq_el0) / 1000 * MILLISECONDS;

    for (threads = 0; threads < THREADS && t->thread[threads];)
        threads++;
    arrived = left = over = 0;
    current = t;
    for (unsigned n = 1; n < threads; n++)
        cpu_start(n, other);
    do {
        over = round * BATCH >= RUNS || READ(cntvct_el0) > end;
        for (unsigned k = 0; k < BATCH; k++)
            batch[k].x = batch[k].y = batch[k].z = 0;
        if (play(t, 0, ++round))
            for (unsigned k = 0; k < BATCH; k++)
                seen += matches(t, &batch[k]);
    } while (!over);
    for (unsigned n = 1; n < threads; n++)
        while (hvc(AFFINITY_INFO, n, 0, 0) != 1) /* off */
            DO("yield");
    runs += (round - 1) * BATCH;
    return seen;
}

void test(void)
{
    unsigned cpus = kit_cpu_count();

#ifdef RELAXED
    uint64_t seen = 0;
    for (unsigned n = 0; n < 60 && !seen; n++)
        seen = run_litmus(&relaxed);
    note("SB without barriers, seen", seen);
    check("SB", "without barriers is seen", seen > 0, true);
    (void)tests, (void)cpus;
#else
    (void)relaxed;
    for (unsigned n = 0; n < COUNT(tests); n++)
        if (cpus >= 4 || !tests[n].thread[cpus])
            check(tests[n].family, tests[n].name, run_litmus(&tests[n]), 0);
#endif
    note("instances that were run", runs);
}
