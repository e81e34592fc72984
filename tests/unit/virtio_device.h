/* A guest's driver for a whole virtio-mmio device with some queues, over its registers, for the
 * tests of devices. Each queue has its own rings; buffers are the test's. */
#ifndef TESTS_UNIT_VIRTIO_DEVICE_H
#define TESTS_UNIT_VIRTIO_DEVICE_H

#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"
#include "devices/virtio/device.h"
#include "devices/virtio/mmio.h"

#define VDEV_RAM      0x40000000ull
#define VDEV_RAM_SIZE 0x100000u
#define VDEV_QUEUES   6
#define VDEV_SIZE     64       /* entries of each ring */
#define VDEV_BUFFERS  0x10000u /* free for the test, from here to the end of RAM */

#define VDEV_NEXT  1
#define VDEV_WRITE 2

struct vdev {
    struct gmem gmem;
    struct device *dev;
    uint8_t *ram;
    atomic_bool level; /* of the interrupt wire */
    uint16_t avail[VDEV_QUEUES], used[VDEV_QUEUES];
};

static inline void vdev_set_irq(void *ctx, unsigned n, bool level)
{
    (void)n;
    atomic_store(&((struct vdev *)ctx)->level, level);
}

static inline struct irq_line vdev_irq(struct vdev *v)
{
    return (struct irq_line){ .set = vdev_set_irq, .ctx = v };
}

static inline void vdev_init(struct vdev *v)
{
    memset(v, 0, sizeof *v);
    void *ram; /* aligned as pages of any host are */
    if (posix_memalign(&ram, 0x10000, VDEV_RAM_SIZE) != 0)
        abort();
    v->ram = memset(ram, 0, VDEV_RAM_SIZE);
    if (gmem_add(&v->gmem, VDEV_RAM, VDEV_RAM_SIZE, v->ram) < 0)
        abort();
}

static inline void vdev_fini(struct vdev *v)
{
    if (v->dev)
        v->dev->ops->destroy(v->dev);
    free(v->ram);
}

static inline uint64_t vdev_read(struct vdev *v, uint64_t offset, unsigned width)
{
    lock_acquire(&v->dev->lock);
    uint64_t value = v->dev->ops->read(v->dev, offset, width);
    lock_release(&v->dev->lock);
    return value;
}

static inline void vdev_write(struct vdev *v, uint64_t offset, uint32_t value)
{
    lock_acquire(&v->dev->lock);
    v->dev->ops->write(v->dev, offset, 4, value);
    lock_release(&v->dev->lock);
}

enum {
    VDEV_REG_FEATURES = 0x10,
    VDEV_REG_FEATURES_SEL = 0x14,
    VDEV_REG_ACCEPT = 0x20,
    VDEV_REG_ACCEPT_SEL = 0x24,
    VDEV_REG_QUEUE_SEL = 0x30,
    VDEV_REG_QUEUE_NUM = 0x38,
    VDEV_REG_QUEUE_READY = 0x44,
    VDEV_REG_NOTIFY = 0x50,
    VDEV_REG_INT_STATUS = 0x60,
    VDEV_REG_INT_ACK = 0x64,
    VDEV_REG_STATUS = 0x70,
    VDEV_REG_DESC = 0x80,
    VDEV_REG_AVAIL = 0x90,
    VDEV_REG_USED = 0xa0,
    VDEV_REG_QUEUE_RESET = 0xc0,
    VDEV_REG_GENERATION = 0xfc,
    VDEV_REG_CONFIG = 0x100,
};

/* What the device offers of what this driver can do: its rings are split. */
static inline uint64_t vdev_offered(struct vdev *v)
{
    vdev_write(v, VDEV_REG_FEATURES_SEL, 1);
    uint64_t high = vdev_read(v, VDEV_REG_FEATURES, 4);
    vdev_write(v, VDEV_REG_FEATURES_SEL, 0);
    return (high << 32 | vdev_read(v, VDEV_REG_FEATURES, 4)) & ~VIRTIO_F_RING_PACKED;
}

/* Where the rings of queue `q` are, from the start of RAM. */
static inline uint32_t vdev_ring(unsigned q)
{
    return 0x2000 * q;
}

/* Start queue `q` with empty rings. */
static inline void vdev_start_queue(struct vdev *v, unsigned q)
{
    uint32_t ring = (uint32_t)VDEV_RAM + vdev_ring(q);
    memset(v->ram + vdev_ring(q), 0, vdev_ring(1));
    v->avail[q] = v->used[q] = 0;
    vdev_write(v, VDEV_REG_QUEUE_SEL, q);
    vdev_write(v, VDEV_REG_QUEUE_NUM, VDEV_SIZE);
    vdev_write(v, VDEV_REG_DESC, ring);
    vdev_write(v, VDEV_REG_AVAIL, ring + 0x800);
    vdev_write(v, VDEV_REG_USED, ring + 0x1000);
    vdev_write(v, VDEV_REG_QUEUE_READY, 1);
}

/* Reset just queue `q`, and start it again. */
static inline void vdev_restart_queue(struct vdev *v, unsigned q)
{
    vdev_write(v, VDEV_REG_QUEUE_SEL, q);
    vdev_write(v, VDEV_REG_QUEUE_RESET, 1);
    vdev_start_queue(v, q);
}

/* Reset, negotiate, start `queues` queues, DRIVER_OK. Returns the status. */
static inline uint32_t vdev_bring_up(struct vdev *v, uint64_t features, unsigned queues)
{
    features |= VIRTIO_F_VERSION_1;
    memset(v->ram, 0, VDEV_BUFFERS);
    memset(v->avail, 0, sizeof v->avail);
    memset(v->used, 0, sizeof v->used);
    vdev_write(v, VDEV_REG_STATUS, 0);
    vdev_write(v, VDEV_REG_STATUS, 3);
    for (unsigned i = 0; i < 2; i++) {
        vdev_write(v, VDEV_REG_ACCEPT_SEL, i);
        vdev_write(v, VDEV_REG_ACCEPT, (uint32_t)(features >> (32 * i)));
    }
    vdev_write(v, VDEV_REG_STATUS, 11);
    for (unsigned q = 0; q < queues; q++)
        vdev_start_queue(v, q);
    vdev_write(v, VDEV_REG_STATUS, 15);
    return (uint32_t)vdev_read(v, VDEV_REG_STATUS, 4);
}

static inline void vdev_desc(struct vdev *v, unsigned q, unsigned i, uint32_t at, uint32_t len,
                             uint16_t flags, uint16_t next)
{
    uint8_t *p = v->ram + vdev_ring(q) + 16 * i;
    st_le64(p, VDEV_RAM + at);
    st_le32(p + 8, len);
    st_le16(p + 12, flags);
    st_le16(p + 14, next);
}

/* Make the chain at `head` available, without a notification. */
static inline void vdev_offer(struct vdev *v, unsigned q, uint16_t head)
{
    uint8_t *avail = v->ram + vdev_ring(q) + 0x800;
    st_le16(avail + 4 + 2 * (v->avail[q] % VDEV_SIZE), head);
    v->avail[q]++;
    __atomic_store_n((uint16_t *)(void *)(avail + 2), v->avail[q], __ATOMIC_SEQ_CST);
}

static inline void vdev_notify(struct vdev *v, unsigned q)
{
    vdev_write(v, VDEV_REG_NOTIFY, q);
}

/* Take the next chain that the device gave back; false if there is none. */
static inline bool vdev_take(struct vdev *v, unsigned q, uint32_t *head, uint32_t *written)
{
    const uint8_t *used = v->ram + vdev_ring(q) + 0x1000;
    uint16_t idx = __atomic_load_n((const uint16_t *)(const void *)(used + 2), __ATOMIC_SEQ_CST);
    if (idx == v->used[q])
        return false;
    const uint8_t *elem = used + 4 + 8 * (v->used[q]++ % VDEV_SIZE);
    *head = ld_le32(elem);
    *written = ld_le32(elem + 4);
    return true;
}

#endif
