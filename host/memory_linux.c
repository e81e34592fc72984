/*
 * Linux drops pages at once; the next access finds a fresh zero page.
 *
 * Kernels before 6.1 leave the memory of files in small pages, so there it is private.
 */
#include "host/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/populate.h"

static int map_file(const struct memory *m)
{
    if (ftruncate(m->fd, (off_t)m->size) != 0 ||
        mmap(m->base, m->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED,
             m->fd, 0) == MAP_FAILED)
        return -errno;
    /* of the second piece, where kernels are loaded to */
    if (m->size < 2 * MEMORY_PIECE || !enlarge(m->base + MEMORY_PIECE, MEMORY_PIECE))
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
