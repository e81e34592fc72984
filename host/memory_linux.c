/* Linux drops the pages at once; the next access finds a fresh zero page. */
#include "host/memory.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"

void memory_give_back(void *p, size_t n)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = align_up((uintptr_t)p, page), end = align_down((uintptr_t)p + n, page);
    if (start < end &&
        madvise((uint8_t *)p + (start - (uintptr_t)p), end - start, MADV_DONTNEED) < 0)
        log_limited(LOG_WARN, "memory", "the host does not take memory back");
}

int memory_fill_holes(int fd, uint64_t size)
{
    return -posix_fallocate(fd, 0, (off_t)size);
}
