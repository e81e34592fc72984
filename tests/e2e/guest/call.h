/* Programs for the guest on system calls alone, so that no C library for arm64 is needed. */
#ifndef TESTS_E2E_GUEST_CALL_H
#define TESTS_E2E_GUEST_CALL_H

static inline long call4(long nr, long a, long b, long c, long d)
{
    register long x8 __asm__("x8") = nr;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = 0;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4) : "memory");
    return x0;
}

static inline long call(long nr, long a, long b, long c)
{
    return call4(nr, a, b, c, 0);
}

static _Noreturn void quit(long status)
{
    for (;;)
        call(93, status, 0, 0);
}

/* The program itself. */
_Noreturn void program(long argc, const char *const *argv);

/* The stack has argc, then argv. */
__attribute__((used)) static _Noreturn void start(long *stack)
{
    program(stack[0], (const char *const *)(stack + 1));
}

__asm__(".globl _start\n"
        "_start: mov x0, sp\n"
        "b start\n");

#endif
