/*
 * Linux drops pages at once; the next access finds a fresh zero page.
 *
 * MADV_COLLAPSE (Linux 6.1) makes a large page of the pages that a piece of a file has so far, and
 * clears the rest. A piece that has none would be refused, so it gets one first. Older kernels
 * leave such memory in small pages, so there it is private.
 */
#include "host/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

/* Also tells whether it can be done at all: other errors are of a moment. */
static bool make_large(void *p, size_t n)
{
    for (size_t at = 0; at < n; at += MEMORY_PIECE)
        (void)*(volatile const uint8_t *)((uint8_t *)p + at);
    return madvise(p, n, MADV_COLLAPSE) == 0 || errno != EINVAL;
}

void memory_make_large(void *p, size_t n)
{
    (void)make_large(p, n);
}

static int map_file(const struct memory *m)
{
    if (ftruncate(m->fd, (off_t)m->size) != 0 ||
        mmap(m->base, m->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
             m->fd, 0) == MAP_FAILED)
        return -errno;
    /* of the second piece, where kernels are loaded to */
    if (m->size < 2 * MEMORY_PIECE || !make_large(m->base + MEMORY_PIECE, MEMORY_PIECE))
        return -ENOTSUP;
    atomic_store_explicit(&m->touched[0], 1u << 1, memory_order_relaxed);
    return 0;
}

int memory_share(struct memory *m)
{
    m->fd = memfd_create("ireko-ram", MFD_CLOEXEC);
    if (m->fd < 0)
        return -errno;
    int r = map_file(m);
    if (r < 0) {
        close(m->fd);
        m->fd = -1;
    }
    return r;
}

int memory_drop(const struct memory *m, void *p, size_t n)
{
    return madvise(p, n, m->fd < 0 ? MADV_DONTNEED : MADV_REMOVE) == 0 ? 0 : -errno;
}

int memory_fill_holes(int fd, uint64_t size)
{
    return -posix_fallocate(fd, 0, (off_t)size);
}
