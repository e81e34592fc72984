/* System calls that do next to nothing: the way into the kernel and out of it. */
#include <sys/syscall.h>
#include <unistd.h>

#include "bench.h"

#define CALLS 500000

int main(void)
{
    uint64_t start = bench_now();
    uint64_t parents = 0;
    for (int i = 0; i < CALLS; i++)
        parents += syscall(SYS_getppid) > 0;
    return bench_report(start, parents);
}
