/* A guest's driver for one split virtqueue in a little RAM, for the tests of virtio. */
#ifndef TESTS_UNIT_VIRTIO_DRIVER_H
#define TESTS_UNIT_VIRTIO_DRIVER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/gmem.h"
#include "devices/virtio/queue.h"

#define RAM      0x40000000ull
#define RAM_SIZE 0x40000u

/* Where the rings are, from the start of RAM. */
#define RING_DESC  0x0000u
#define RING_AVAIL 0x1000u
#define RING_USED  0x2000u
#define BUFFERS    0x4000u /* free for the tests, to the end of RAM */

#define F_NEXT     1
#define F_WRITE    2
#define F_INDIRECT 4

struct driver {
    struct gmem m;
    uint8_t ram[RAM_SIZE] __attribute__((aligned(4096)));
    uint16_t size;
    uint16_t avail_idx;
};

static inline void driver_init(struct driver *d, uint16_t size)
{
    memset(d, 0, sizeof *d);
    d->size = size;
    if (gmem_add(&d->m, RAM, RAM_SIZE, d->ram) < 0)
        __builtin_trap();
}

/* Write a descriptor into the table at `table` (an offset into RAM). */
static inline void driver_desc_at(struct driver *d, uint32_t table, unsigned i, uint64_t addr,
                                  uint32_t len, uint16_t flags, uint16_t next)
{
    uint8_t *p = d->ram + table + 16 * i;
    st_le64(p, addr);
    st_le32(p + 8, len);
    st_le16(p + 12, flags);
    st_le16(p + 14, next);
}

static inline void driver_desc(struct driver *d, unsigned i, uint64_t addr, uint32_t len,
                               uint16_t flags, uint16_t next)
{
    driver_desc_at(d, RING_DESC, i, addr, len, flags, next);
}

static inline void driver_set_avail_idx(struct driver *d, uint16_t idx)
{
    d->avail_idx = idx;
    __atomic_store_n((uint16_t *)(void *)(d->ram + RING_AVAIL + 2), idx, __ATOMIC_SEQ_CST);
}

/* Make the chain at `head` available. */
static inline void driver_offer(struct driver *d, uint16_t head)
{
    st_le16(d->ram + RING_AVAIL + 4 + 2 * (d->avail_idx % d->size), head);
    driver_set_avail_idx(d, (uint16_t)(d->avail_idx + 1));
}

static inline void driver_set_avail_flags(struct driver *d, uint16_t flags)
{
    st_le16(d->ram + RING_AVAIL, flags);
}

static inline void driver_set_used_event(struct driver *d, uint16_t event)
{
    st_le16(d->ram + RING_AVAIL + 4 + 2 * d->size, event);
}

static inline uint16_t driver_avail_event(const struct driver *d)
{
    return ld_le16(d->ram + RING_USED + 4 + 8 * d->size);
}

static inline uint16_t driver_used_idx(const struct driver *d)
{
    return __atomic_load_n((const uint16_t *)(const void *)(d->ram + RING_USED + 2),
                           __ATOMIC_SEQ_CST);
}

static inline uint32_t driver_used_id(const struct driver *d, unsigned i)
{
    return ld_le32(d->ram + RING_USED + 4 + 8 * (i % d->size));
}

static inline uint32_t driver_used_len(const struct driver *d, unsigned i)
{
    return ld_le32(d->ram + RING_USED + 8 + 8 * (i % d->size));
}

/* Rings at these places, and what comes of starting a queue that was reset with them. */
struct driver_start {
    uint16_t size;
    gpa_t desc, avail, used;
    int rc;
};

static inline void driver_start(struct virtq *q, const struct driver_start *s)
{
    q->size = s->size;
    q->desc = s->desc;
    q->avail = s->avail;
    q->used = s->used;
    assert_int_equal(virtq_start(q), s->rc);
    assert_int_equal(q->ready, s->rc == 0);
}

#endif
