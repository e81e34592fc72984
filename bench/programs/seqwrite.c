/*
 * The scratch disk twice from end to end, 1 MiB at a time. Not flushed within the measured time:
 * that would measure the host's storage.
 */
#include "disk.h"

#define BLOCK (1u << 20)

int main(void)
{
    int fd = disk_open();
    unsigned char *buffer = disk_buffer(BLOCK);
    memset(buffer, 0x5a, BLOCK); /* what is there already */
    uint64_t start = bench_now();
    for (int pass = 0; pass < 2; pass++)
        for (off_t at = 0; at < (off_t)DISK_SIZE; at += BLOCK)
            if (pwrite(fd, buffer, BLOCK, at) != (ssize_t)BLOCK)
                bench_fail("pwrite");
    return bench_report(start, DISK_SIZE / BLOCK);
}
