/* The scratch disk twice from end to end, 1 MiB at a time. */
#include "disk.h"

#define BLOCK (1u << 20)

int main(void)
{
    int fd = disk_open();
    unsigned char *buffer = disk_buffer(BLOCK);
    uint64_t sum = 0, start = bench_now();
    for (int pass = 0; pass < 2; pass++)
        for (off_t at = 0; at < (off_t)DISK_SIZE; at += BLOCK) {
            if (pread(fd, buffer, BLOCK, at) != (ssize_t)BLOCK)
                bench_fail("pread");
            sum += buffer[0];
        }
    return bench_report(start, sum);
}
