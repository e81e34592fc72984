// setjmp, signals (also on their own stack and out of faults), variable-length arrays, computed
// goto, recursion.
#include <alloca.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static jmp_buf back;
static sigjmp_buf out;
static volatile sig_atomic_t caught;
static char *page;

static double deep(int n, double x)
{
    double local = x * 1.5 + n;
    if (n == 0)
        longjmp(back, (int)local);
    return deep(n - 1, local / 2) + local;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
    (void)context;
    caught = number * 1000 + (int)((char *)info->si_addr - page);
    siglongjmp(out, 1);
}

static void on_protect(int number, siginfo_t *info, void *context)
{
    (void)number, (void)info, (void)context;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
    caught++;
}

static void on_usr(int number)
{
    volatile double spoil[32];
    for (int i = 0; i < 32; i++)
        spoil[i] = i * 1.25 + number;
    caught += spoil[31] > 0;
}

static void handle(int number, void (*fn)(int, siginfo_t *, void *))
{
    struct sigaction sa = { .sa_sigaction = fn, .sa_flags = SA_SIGINFO | SA_ONSTACK };
    sigaction(number, &sa, NULL);
}

static long compute(const unsigned char *program)
{
    static const void *const ops[] = { &&add, &&mul, &&xor, &&shift, &&done };
    long acc = 1;
    goto *ops[*program++];
add:
    acc += 7;
    goto *ops[*program++];
mul:
    acc *= 3;
    goto *ops[*program++];
    xor : acc ^= 0x5a5a;
    goto *ops[*program++];
shift:
    acc = (long)((unsigned long)acc >> 1);
    goto *ops[*program++];
done:
    return acc;
}

int main(void)
{
    static char stack[65536];
    sigaltstack(&(stack_t){ .ss_sp = stack, .ss_size = sizeof(stack) }, NULL);
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (volatile int i = 0; i < 50; i++) {
        int r = setjmp(back);
        if (r == 0)
            deep(i, i);
        printf("%d ", r);
    }
    puts("");
    handle(SIGSEGV, on_fault);
    for (int i = 0; i < 4000; i += 997) {
        if (sigsetjmp(out, 1) == 0)
            page[i] = 1;
        printf("fault %d\n", caught);
    }
    if (sigsetjmp(out, 1) == 0)
        caught = ((volatile char *)page)[4095];
    printf("fault %d\n", caught);
    handle(SIGSEGV, on_protect);
    caught = 0;
    for (int i = 0; i < 100; i++) {
        mprotect(page, 4096, PROT_NONE);
        memset(page + i, i, 100);
    }
    printf("protected %d, %d\n", caught, page[150]);
    caught = 0;
    signal(SIGUSR1, on_usr);
    double x = 1;
    for (int i = 0; i < 2000; i++) {
        x = x * 1.000001 + i;
        raise(SIGUSR1);
    }
    printf("signals %d %a\n", caught, x);
    long total = 0;
    for (int n = 1; n < 3000; n += 13) {
        int vla[n];
        char *a = alloca((size_t)n);
        memset(a, n, (size_t)n);
        for (int i = 0; i < n; i++)
            vla[i] = a[i] * i;
        for (int i = 0; i < n; i++)
            total += vla[n - 1 - i];
    }
    printf("arrays %ld\n", total);
    unsigned char program[1001];
    for (int i = 0; i < 1000; i++)
        program[i] = (unsigned char)(i * i / 3 % 4);
    program[1000] = 4;
    printf("goto %ld\n", compute(program));
    return 0;
}
