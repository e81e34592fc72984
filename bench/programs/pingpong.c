/* Two processes pass a byte to and fro through two pipes: each pass is a context switch to another
 * address space. */
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define ROUNDS 15000

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
        echo(to[0], from[1]);
    }
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
