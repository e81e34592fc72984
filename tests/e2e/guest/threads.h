/*
 * Threads of a guest program: processes that share all memory, one stack each, and what they wait
 * and print with. Nothing of it needs a C library.
 */
#ifndef TESTS_E2E_GUEST_THREADS_H
#define TESTS_E2E_GUEST_THREADS_H

#include "call.h"

enum {
    NR_WRITE = 64,
    NR_FUTEX = 98,
    NR_NANOSLEEP = 101,
    NR_CLOCK_GETTIME = 113,
    NR_SCHED_SETSCHEDULER = 119,
    NR_SCHED_SETAFFINITY = 122,
    NR_SCHED_YIELD = 124,
    NR_GETTID = 178,
    NR_WAIT4 = 260,

    FUTEX_WAIT = 128, /* all of them private */
    FUTEX_WAKE = 129,
    FUTEX_LOCK_PI = 134,
    FUTEX_UNLOCK_PI = 135,

    SCHED_FIFO = 1,
    THREADS_MAX = 64,
    STACK = 16384,
};

static struct {
    _Alignas(16) char stack[THREADS_MAX][STACK];
} threads;

/* clone(CLONE_VM | CLONE_FS | CLONE_FILES | SIGCHLD): the child calls `run(number)` and ends. */
static long thread_start(long number, void (*run)(long))
{
    register long x8 __asm__("x8") = 220;
    register long x0 __asm__("x0") = 0x100 | 0x200 | 0x400 | 17;
    register long x1 __asm__("x1") = (long)threads.stack[number + 1];
    register long x2 __asm__("x2") = 0;
    register long x3 __asm__("x3") = 0;
    register long x4 __asm__("x4") = 0;
    register long x19 __asm__("x19") = number;
    register void (*x20)(long) __asm__("x20") = run;
    __asm__ volatile("svc #0\n"
                     "cbnz x0, 1f\n"
                     "mov x0, x19\n"
                     "blr x20\n"
                     "mov x0, #0\n"
                     "mov x8, #93\n"
                     "svc #0\n"
                     "1:"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x19), "r"(x20)
                     : "memory", "cc");
    return x0;
}

/* All children; false if one ended in another way than by returning. */
static int threads_join(long count)
{
    int good = 1;

    while (count--) {
        int status = -1;
        if (call4(NR_WAIT4, -1, (long)&status, 0, 0) < 0 || status)
            good = 0;
    }
    return good;
}

static long futex(int *at, long operation, long value)
{
    return call4(NR_FUTEX, (long)at, operation, value, 0);
}

static void sleep_ms(long ms)
{
    long time[2] = { ms / 1000, ms % 1000 * 1000000 };
    call(NR_NANOSLEEP, (long)time, 0, 0);
}

static void print(const char *text)
{
    long n = 0;
    while (text[n])
        n++;
    call(NR_WRITE, 1, (long)text, n);
}

static void print_number(unsigned long n)
{
    char text[24];
    char *p = text + sizeof text - 1;

    *p = 0;
    do
        *--p = (char)('0' + n % 10);
    while (n /= 10);
    print(p);
}

static long number_of(const char *text)
{
    long n = 0;
    while (*text)
        n = 10 * n + (*text++ - '0');
    return n;
}

#endif
