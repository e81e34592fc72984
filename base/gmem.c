#include "base/gmem.h"

#include <errno.h>
#include <string.h>

#include "base/bytes.h"

int gmem_add(struct gmem *m, gpa_t base, uint64_t size, void *host)
{
    if (size == 0 || base + (size - 1) < base)
        return -EINVAL;
    if (m->count == GMEM_MAX_REGIONS)
        return -ENOSPC;
    unsigned at = 0;
    while (at < m->count && m->region[at].base < base)
        at++;
    if (at > 0 && base - m->region[at - 1].base < m->region[at - 1].size)
        return -EINVAL;
    if (at < m->count && m->region[at].base - base < size)
        return -EINVAL;
    memmove(&m->region[at + 1], &m->region[at], (m->count - at) * sizeof m->region[0]);
    m->region[at] = (struct gmem_region){ .base = base, .size = size, .host = host };
    m->count++;
    return 0;
}

static const struct gmem_region *gmem_find(const struct gmem *m, gpa_t a)
{
    for (unsigned i = 0; i < m->count; i++)
        if (a - m->region[i].base < m->region[i].size)
            return &m->region[i];
    return NULL;
}

/* How many of the wanted `n` bytes at `a` lie in one region, and where: 0 and NULL if `a` is not
 * RAM. */
static uint64_t gmem_piece(const struct gmem *m, gpa_t a, uint64_t n, uint8_t **host)
{
    const struct gmem_region *r = gmem_find(m, a);
    *host = NULL;
    if (!r)
        return 0;
    uint64_t offset = a - r->base;
    uint64_t left = r->size - offset;
    *host = r->host + offset;
    return n < left ? n : left;
}

/* The same, to be used. */
static uint64_t gmem_use(const struct gmem *m, gpa_t a, uint64_t n, uint8_t **host)
{
    uint64_t got = gmem_piece(m, a, n, host);
    if (got > 0)
        gmem_touch(m, &(struct iovec){ .iov_base = *host, .iov_len = got });
    return got;
}

bool gmem_contains(const struct gmem *m, gpa_t a, uint64_t n)
{
    while (n > 0) {
        uint8_t *p;
        uint64_t got = gmem_piece(m, a, n, &p);
        if (got == 0)
            return false;
        n -= got;
        a += got;
    }
    return true;
}

int gmem_read(const struct gmem *m, gpa_t a, void *dst, size_t n)
{
    if (!gmem_contains(m, a, n))
        return -EFAULT;
    for (uint8_t *to = dst; n > 0;) {
        uint8_t *p;
        uint64_t got = gmem_use(m, a, n, &p);
        memcpy(to, p, got);
        to += got;
        a += got;
        n -= got;
    }
    return 0;
}

int gmem_write(const struct gmem *m, gpa_t a, const void *src, size_t n)
{
    if (!gmem_contains(m, a, n))
        return -EFAULT;
    for (const uint8_t *from = src; n > 0;) {
        uint8_t *p;
        uint64_t got = gmem_use(m, a, n, &p);
        memcpy(p, from, got);
        from += got;
        a += got;
        n -= got;
    }
    return 0;
}

int gmem_fill(const struct gmem *m, gpa_t a, uint8_t byte, uint64_t n)
{
    if (!gmem_contains(m, a, n))
        return -EFAULT;
    while (n > 0) {
        uint8_t *p;
        uint64_t got = gmem_use(m, a, n, &p);
        memset(p, byte, got);
        a += got;
        n -= got;
    }
    return 0;
}

int gmem_iov(const struct gmem *m, gpa_t a, size_t n, struct iovec *v, int max)
{
    int count = 0;
    while (n > 0) {
        uint8_t *p;
        uint64_t got = gmem_piece(m, a, n, &p);
        if (got == 0)
            return -EFAULT;
        if (count == max)
            return -E2BIG;
        v[count++] = (struct iovec){ .iov_base = p, .iov_len = got };
        a += got;
        n -= got;
    }
    return count;
}

/* The aligned 16-bit cell at `a`, or NULL. */
static uint16_t *gmem_cell16(const struct gmem *m, gpa_t a)
{
    uint8_t *p;
    if (a % 2 || gmem_use(m, a, 2, &p) != 2 || (uintptr_t)p % 2)
        return NULL;
    return (uint16_t *)(void *)p;
}

int gmem_load16(const struct gmem *m, gpa_t a, uint16_t *value)
{
    const uint16_t *cell = gmem_cell16(m, a);
    if (!cell)
        return -EFAULT;
    *value = __atomic_load_n(cell, __ATOMIC_ACQUIRE);
    return 0;
}

int gmem_store16(const struct gmem *m, gpa_t a, uint16_t value)
{
    uint16_t *cell = gmem_cell16(m, a);
    if (!cell)
        return -EFAULT;
    __atomic_store_n(cell, value, __ATOMIC_RELEASE);
    return 0;
}
