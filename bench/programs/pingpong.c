/* Two processes pass a byte to and fro through two pipes: each pass is a context switch to another
 * address space. TWO_CPUS: each has a CPU of its own, which sleeps meanwhile. */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 15000

static void pin(int cpu)
{
#ifdef TWO_CPUS
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        bench_fail("sched_setaffinity");
#else
    (void)cpu;
#endif
}

static void echo(int in, int out)
{
    unsigned char c;
    while (read(in, &c, 1) == 1) {
        c++;
        if (write(out, &c, 1) != 1)
            break;
    }
    _exit(0);
}

int main(void)
{
    int to[2], from[2];
    if (pipe(to) != 0 || pipe(from) != 0)
        bench_fail("pipe");
    pid_t child = fork();
    if (child < 0)
        bench_fail("fork");
    if (child == 0) {
        close(to[1]);
        pin(1);
        echo(to[0], from[1]);
    }
    pin(0);
    uint64_t start = bench_now();
    uint64_t sum = 0;
    unsigned char c = 0;
    for (int i = 0; i < ROUNDS; i++) {
        if (write(to[1], &c, 1) != 1 || read(from[0], &c, 1) != 1)
            bench_fail("pipe");
        sum += c;
    }
    int r = bench_report(start, sum);
    close(to[1]);
    waitpid(child, NULL, 0);
    return r;
}
