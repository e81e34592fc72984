/* Signals from a process to itself: the kernel builds a frame, the handler runs, sigreturn takes
 * the frame down. */
#include <signal.h>
#include <unistd.h>

#include "bench.h"

#define SIGNALS 100000

static volatile sig_atomic_t caught;

static void handler(int signal)
{
    caught += signal == SIGUSR1;
}

int main(void)
{
    struct sigaction action = { .sa_handler = handler };
    if (sigaction(SIGUSR1, &action, NULL) != 0)
        bench_fail("sigaction");
    pid_t self = getpid();
    uint64_t start = bench_now();
    for (int i = 0; i < SIGNALS; i++)
        kill(self, SIGUSR1);
    return bench_report(start, (uint64_t)caught);
}
