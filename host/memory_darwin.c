/*
 * macOS takes pages that are marked as reusable when it needs them, and counts them as free until
 * they are written again; MADV_DONTNEED would only be advice about paging. A reusable page keeps
 * its contents until it is taken, so they are zeroed first, without making pages that are not
 * there.
 */
#include "host/memory.h"

#include <errno.h>
#include <sys/mman.h>

int memory_share(struct memory *m)
{
    (void)m;
    return -ENOTSUP;
}

int memory_drop(const struct memory *m, void *p, size_t n)
{
    (void)m;
    return madvise(p, n, MADV_ZERO) == 0 && madvise(p, n, MADV_FREE_REUSABLE) == 0 ? 0 : -errno;
}

/* There is no call for it: a full disk is found when the guest writes. */
int memory_fill_holes(int fd, uint64_t size)
{
    (void)fd;
    (void)size;
    return 0;
}
