/* Reads of 4 KiB at random places by eight processes at once: what the disk does with a queue. */
#include "disk.h"

#include <sys/wait.h>

#define PROCESSES 8
#define READS     4000
#define BLOCK     4096u

static void reads(unsigned process)
{
    int fd = disk_open();
    unsigned char *buffer = disk_buffer(BLOCK);
    uint64_t state = process + 1;
    for (int i = 0; i < READS; i++) {
        off_t at = (off_t)(bench_random(&state) % (DISK_SIZE / BLOCK) * BLOCK);
        if (pread(fd, buffer, BLOCK, at) != BLOCK)
            bench_fail("pread");
    }
    _exit(0);
}

int main(void)
{
    uint64_t start = bench_now(), good = 0;
    for (unsigned i = 0; i < PROCESSES; i++) {
        pid_t pid = fork();
        if (pid < 0)
            bench_fail("fork");
        if (pid == 0)
            reads(i);
    }
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 1;
        good += wait(&status) > 0 && status == 0;
    }
    return bench_report(start, good);
}
