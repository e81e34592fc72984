/*
 * PSCI (DEN 0022, 5.1.4 and 6.6) when several CPUs switch the same one on, while it switches itself
 * off: every CPU_ON that succeeds starts it exactly once, with the context of that call, and the
 * others are told what it is.
 *
 * The last CPU is the victim, all others race. A racer's context is a struct cpu of its own, by
 * which the victim knows who started it.
 */
#include "kit.h"

enum { SUCCESS = 0, ALREADY_ON = -4, ON_PENDING = -5 };
enum { ON = 0, OFF = 1, PENDING = 2 };

#define ROUNDS 200u
#define STARTS 600u
#define RACERS 4u /* at most: contexts 4 to 7 */

static unsigned racers, victim;
static volatile uint32_t won[RACERS], lived[RACERS], refused[RACERS], errors;
static volatile uint32_t arrived, left, release;

static uint32_t add(volatile uint32_t *p, uint32_t n)
{
    return __atomic_add_fetch(p, n, __ATOMIC_SEQ_CST);
}

static unsigned self(void)
{
    return READ(mpidr_el1) & 0xff;
}

static unsigned context(void)
{
    return (unsigned)((struct cpu *)READ(tpidr_el1) - kit_cpus) - RACERS;
}

/* All racers come here before one goes on. */
static void meet(volatile uint32_t *count, uint32_t round)
{
    add(count, 1);
    while (*count < round * racers)
        DO("wfe");
}

/* The victim's lives: count, and CPU_OFF by returning. */

static void short_life(void)
{
    if (self() != victim)
        add(&errors, 1);
    add(&lived[context()], 1);
}

static void life_until_released(void)
{
    short_life();
    while (!release)
        DO("wfe");
}

/* At the same time, while it is off and stays on once it is: one succeeds. */
static void race_for_one(void)
{
    unsigned me = self();

    for (uint32_t round = 1; round <= ROUNDS; round++) {
        meet(&arrived, round);
        int64_t r = cpu_on(victim, me + RACERS, life_until_released);
        if (r == SUCCESS)
            won[me]++;
        else if (r == ALREADY_ON || r == ON_PENDING)
            refused[me]++;
        else
            add(&errors, 1);
        if (hvc(AFFINITY_INFO, victim, 0, 0) == OFF) /* somebody has started it */
            add(&errors, 1);
        meet(&left, round);
        if (me == 0) {
            release = 1;
            while (hvc(AFFINITY_INFO, victim, 0, 0) != OFF)
                DO("wfe");
            release = 0;
        }
    }
}

/* As fast as each can, while it goes off again and again. */
static volatile uint32_t starts;

static void race_for_many(void)
{
    unsigned me = self();

    while (starts < STARTS) {
        int64_t r = cpu_on(victim, me + RACERS, short_life);
        if (r == SUCCESS) {
            won[me]++;
            add(&starts, 1);
        } else if (r == ALREADY_ON || r == ON_PENDING) {
            refused[me]++;
        } else {
            add(&errors, 1);
        }
        int64_t state = hvc(AFFINITY_INFO, victim, 0, 0);
        if (state != ON && state != OFF && state != PENDING)
            add(&errors, 1);
    }
}

static void run_race(void (*race)(void))
{
    for (unsigned n = 0; n < racers; n++)
        won[n] = lived[n] = refused[n] = 0;
    arrived = left = errors = 0;
    for (unsigned n = 1; n < racers; n++)
        cpu_start(n, race);
    race();
    for (unsigned n = 1; n <= racers; n++)
        while (hvc(AFFINITY_INFO, n, 0, 0) != OFF)
            DO("wfe");
}

static uint32_t sum(volatile uint32_t *of)
{
    uint32_t s = 0;

    for (unsigned n = 0; n < racers; n++)
        s += of[n];
    return s;
}

static unsigned not_each_once(void)
{
    unsigned different = 0;

    for (unsigned n = 0; n < racers; n++)
        different += won[n] != lived[n];
    return different;
}

void test(void)
{
    unsigned count = kit_cpu_count();

    racers = count - 1 < RACERS ? count - 1 : RACERS;
    victim = racers;
    note("CPUs that race", racers);

    run_race(race_for_one);
    check("off, then on", "one CPU_ON of each round succeeds", sum(won), ROUNDS);
    check("off, then on", "the others are refused", sum(refused), ROUNDS * (racers - 1));
    check("off, then on", "each success starts it once, with its context", not_each_once(), 0);
    check("off, then on", "nothing else happens", errors, 0);

    run_race(race_for_many);
    check("on and off", "each success starts it once, with its context", not_each_once(), 0);
    check("on and off", "as often as was counted", sum(lived), starts);
    check("on and off", "nothing else happens", errors, 0);
}
