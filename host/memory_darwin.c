/*
 * macOS takes pages that are marked as reusable when it needs them, and counts them as free until
 * they are written again; MADV_DONTNEED would only be advice about paging. A reusable page keeps
 * its contents until it is taken, so they are zeroed first, without making pages that are not
 * there.
 */
#include "host/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/log.h"

void memory_give_back(void *p, size_t n)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t start = align_up((uintptr_t)p, page), end = align_down((uintptr_t)p + n, page);
    if (start >= end)
        return;
    void *at = (uint8_t *)p + (start - (uintptr_t)p);
    if (madvise(at, end - start, MADV_ZERO) < 0 || madvise(at, end - start, MADV_FREE_REUSABLE) < 0)
        log_limited(LOG_WARN, "memory", "the host does not take memory back");
}

/* There is no call for it: a full disk is found when the guest writes. */
int memory_fill_holes(int fd, uint64_t size)
{
    (void)fd;
    (void)size;
    return 0;
}
