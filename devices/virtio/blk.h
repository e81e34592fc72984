/* virtio-blk (virtio 1.2, 5.2) over virtio-mmio version 2 (4.2). */
#ifndef DEVICES_VIRTIO_BLK_H
#define DEVICES_VIRTIO_BLK_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"
#include "host/disk.h"

#define BLK_MAX_QUEUES 4

struct virtio_blk_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    struct disk *disk;       /* outlives the device */
    char serial[21];         /* answer to GET_ID, at most 20 bytes */
    unsigned queues;         /* one for each vCPU is best; 0 is 1, more than BLK_MAX_QUEUES that */
};

/* A complete virtio-mmio device: the transport and the block device behind it. */
int virtio_blk_create(const struct virtio_blk_config *config, struct device **out) MUST_CHECK;

#endif
