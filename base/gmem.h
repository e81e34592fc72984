/*
 * The only door from a guest physical address to host memory, for devices and loaders. (The
 * software MMU's TLB fill is the one other place, behind the Hypervisor API.)
 *
 * The guest is hostile: addresses and lengths come from it, and the bytes may change at any time.
 * So every call checks the whole range before it touches the first byte, and callers fetch each
 * field once into a local. A range may be empty, may end exactly at the end of RAM, and may span
 * regions that touch.
 *
 * Threads: the regions are set before the first vCPU runs and are constant from then on; all calls
 * may be made from any thread.
 */
#ifndef BASE_GMEM_H
#define BASE_GMEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/compiler.h"

typedef uint64_t gpa_t;

#define GMEM_MAX_REGIONS 8

struct gmem_region {
    gpa_t base;
    uint64_t size; /* bytes */
    uint8_t *host;
};

struct gmem {
    struct gmem_region region[GMEM_MAX_REGIONS]; /* ascending, not overlapping */
    unsigned count;
    void (*touch)(void *ctx, void *host,
                  size_t n); /* called before [host, host + n) is used; NULL */
    /* Read a file into [host, host + n) when it is used. 0, or a negative errno; NULL. */
    int (*fill_later)(void *ctx, int fd, uint64_t offset, void *host, size_t n);
    void *ctx;
};

/* Add a region. -EINVAL if it is empty, wraps, or overlaps; -ENOSPC if the table is full. */
int gmem_add(struct gmem *m, gpa_t base, uint64_t size, void *host) MUST_CHECK;

/* Is the whole range RAM? */
bool gmem_contains(const struct gmem *m, gpa_t a, uint64_t n);

/* Copy out of, into, and fill guest memory. 0 or -EFAULT; all or nothing. */
int gmem_read(const struct gmem *m, gpa_t a, void *dst, size_t n) MUST_CHECK;
int gmem_write(const struct gmem *m, gpa_t a, const void *src, size_t n) MUST_CHECK;
int gmem_fill(const struct gmem *m, gpa_t a, uint8_t byte, uint64_t n) MUST_CHECK;

/* The range as at most `max` host pieces. Returns the number of pieces, -EFAULT, or -E2BIG. The
 * bytes may change under the caller: hand them to read/write/memcpy, never parse them in place. */
int gmem_iov(const struct gmem *m, gpa_t a, size_t n, struct iovec *v, int max) MUST_CHECK;

/* A piece of gmem_iov() will be used. The other calls do this themselves. */
static inline void gmem_touch(const struct gmem *m, const struct iovec *piece)
{
    if (m->touch && piece->iov_len > 0)
        m->touch(m->ctx, piece->iov_base, piece->iov_len);
}

/* Naturally aligned 16-bit ring indices, acquire and release. 0 or -EFAULT (also when misaligned).
 */
int gmem_load16(const struct gmem *m, gpa_t a, uint16_t *value) MUST_CHECK;
int gmem_store16(const struct gmem *m, gpa_t a, uint16_t value) MUST_CHECK;

#endif
