/*
 * A lock-free stack by load-exclusive and store-exclusive alone, without tags: right only if a
 * store-exclusive fails when the head went away and came back meanwhile (ABA). Each CPU takes two
 * of a few nodes, is their owner, and puts them back in the other order, for SECONDS.
 */
#include "kit.h"

#ifndef SECONDS
#define SECONDS 1
#endif

#define NODES 5

static struct node {
    _Alignas(64) struct node *volatile next;
    volatile uint64_t owner;
    volatile uint64_t taken;
} nodes[NODES];

static _Alignas(64) struct node *volatile head;
static _Alignas(64) volatile uint64_t rounds, wrong, finished, stop;

/* The longer it takes from load to store, the more can happen. */
static struct node *pop(void)
{
    struct node *n, *next;
    uint64_t failed;

    __asm__ volatile("1: ldaxr %0, [%3]\n"
                     " cbz %0, 3f\n"
                     " ldr %1, [%0]\n"
                     " mov %2, #40\n"
                     "2: sub %2, %2, #1\n"
                     " cbnz %2, 2b\n"
                     " stxr %w2, %1, [%3]\n"
                     " cbnz %w2, 1b\n"
                     "3:"
                     : "=&r"(n), "=&r"(next), "=&r"(failed)
                     : "r"(&head)
                     : "memory");
    return n;
}

static void push(struct node *n)
{
    struct node *old;
    uint64_t failed;

    __asm__ volatile("1: ldxr %0, [%2]\n"
                     " str %0, [%3]\n"
                     " stlxr %w1, %3, [%2]\n"
                     " cbnz %w1, 1b"
                     : "=&r"(old), "=&r"(failed)
                     : "r"(&head), "r"(n)
                     : "memory");
}

static struct node *take(uint64_t self)
{
    struct node *n = pop();

    if (n && __atomic_exchange_n(&n->owner, self, __ATOMIC_SEQ_CST) != 0)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    if (n)
        n->taken++;
    return n;
}

static void put(struct node *n, uint64_t self)
{
    if (!n)
        return;
    if (__atomic_exchange_n(&n->owner, 0, __ATOMIC_SEQ_CST) != self)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_SEQ_CST);
    push(n);
}

static void work(void)
{
    uint64_t self = (READ(mpidr_el1) & 0xff) + 1, mine = 0;

    while (!stop) {
        struct node *first = take(self), *second = take(self);
        put(first, self);
        put(second, self);
        mine += !!first + !!second;
    }
    __atomic_add_fetch(&rounds, mine, __ATOMIC_SEQ_CST);
    __atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
}

/* CPU 0 has a look at the clock now and then. */
static void work_until(uint64_t end)
{
    uint64_t mine = 0;

    while (READ(cntvct_el0) < end)
        for (unsigned n = 0; n < 100; n++) {
            struct node *first = take(1), *second = take(1);
            put(first, 1);
            put(second, 1);
            mine += !!first + !!second;
        }
    __atomic_add_fetch(&rounds, mine, __ATOMIC_SEQ_CST);
}

void test(void)
{
    unsigned cpus = kit_cpu_count(), left = 0;
    uint64_t taken = 0;

    for (unsigned n = 0; n < NODES; n++)
        push(&nodes[n]);
    for (unsigned n = 1; n < cpus; n++)
        cpu_start(n, work);
    work_until(READ(cntvct_el0) + SECONDS * READ(cntfrq_el0));
    stop = 1;
    while (finished < cpus - 1)
        DO("yield");
    note("nodes taken", rounds);
    check("stack", "no node has two owners", wrong, 0);
    for (struct node *n = head; n && left <= NODES; n = n->next)
        left++;
    check("stack", "all nodes are on it at the end", left, NODES);
    for (unsigned n = 0; n < NODES; n++)
        taken += nodes[n].taken;
    check("stack", "each was taken as often as counted", taken, rounds);
    check("stack", "CPUs took nodes", rounds > 0, true);
}
