/* One process writes, another reads, 4 KiB at a time: the kernel's copies, and sleeping and waking.
 */
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define BLOCK  4096
#define BLOCKS 32768

static void produce(int out)
{
    unsigned char block[BLOCK];
    memset(block, 1, sizeof block);
    for (unsigned i = 0; i < BLOCKS; i++) {
        block[0] = (unsigned char)i;
        if (write(out, block, sizeof block) != sizeof block)
            _exit(1);
    }
    _exit(0);
}

int main(void)
{
    int ends[2];
    if (pipe(ends) != 0)
        bench_fail("pipe");
    uint64_t start = bench_now();
    pid_t child = fork();
    if (child < 0)
        bench_fail("fork");
    if (child == 0)
        produce(ends[1]);
    close(ends[1]);
    static unsigned char block[BLOCK];
    uint64_t bytes = 0, sum = 0;
    ssize_t n;
    /* A read may return less than a block; the first byte is looked at only at the start of one. */
    while ((n = read(ends[0], block, sizeof block)) > 0) {
        if (bytes % BLOCK == 0)
            sum += block[0];
        bytes += (uint64_t)n;
    }
    waitpid(child, NULL, 0);
    return bench_report(start, bytes << 24 ^ sum);
}
