/* Page faults: map 16 MiB, touch each 4 KiB page, unmap; again and again. */
#include <sys/mman.h>

#include "bench.h"

#define SIZE   (16u << 20)
#define PAGE   4096
#define ROUNDS 16

int main(void)
{
    uint64_t start = bench_now();
    uint64_t sum = 0;
    for (unsigned round = 0; round < ROUNDS; round++) {
        unsigned char *p =
            mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (p == MAP_FAILED)
            bench_fail("mmap");
        /* One huge page would take the place of 512 faults. */
        madvise(p, SIZE, MADV_NOHUGEPAGE);
        for (unsigned at = 0; at < SIZE; at += PAGE) {
            p[at] = (unsigned char)(at / PAGE + round);
            sum += p[at];
        }
        munmap(p, SIZE);
    }
    return bench_report(start, sum);
}
