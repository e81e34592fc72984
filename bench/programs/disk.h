/*
 * The scratch disk: a raw disk that every guest of the benchmark has a copy of. It is found by its
 * size, as its name depends on what else the guest has. With O_DIRECT, because the guest's page
 * cache is not what is measured.
 */
#ifndef BENCH_PROGRAMS_DISK_H
#define BENCH_PROGRAMS_DISK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* O_DIRECT; so this is the first header */
#endif

#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/fs.h>

#include "bench.h"

/* Must be what machines.py makes. */
#define DISK_SIZE (256u << 20)

static inline int disk_open(void)
{
    for (char letter = 'a'; letter <= 'z'; letter++) {
        char path[] = { '/', 'd', 'e', 'v', '/', 'v', 'd', letter, 0 };
        uint64_t size = 0;
        int fd = open(path, O_RDWR | O_DIRECT);
        if (fd >= 0 && ioctl(fd, BLKGETSIZE64, &size) == 0 && size == DISK_SIZE)
            return fd;
        if (fd >= 0)
            close(fd);
    }
    fprintf(stderr, "no scratch disk\n");
    exit(127);
}

static inline unsigned char *disk_buffer(size_t size)
{
    void *buffer;
    if (posix_memalign(&buffer, 4096, size) != 0)
        bench_fail("memory");
    return buffer;
}

#endif
