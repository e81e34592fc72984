/* Reads of 4 KiB at random places, one after the other: what a request costs. */
#include "disk.h"

#define READS 20000
#define BLOCK 4096u

int main(void)
{
    int fd = disk_open();
    unsigned char *buffer = disk_buffer(BLOCK);
    uint64_t state = 1, sum = 0;
    uint64_t start = bench_now();
    for (int i = 0; i < READS; i++) {
        off_t at = (off_t)(bench_random(&state) % (DISK_SIZE / BLOCK) * BLOCK);
        if (pread(fd, buffer, BLOCK, at) != BLOCK)
            bench_fail("pread");
        sum += buffer[0];
    }
    return bench_report(start, sum);
}
