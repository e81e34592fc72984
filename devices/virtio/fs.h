/* virtio-fs (virtio 1.2, 5.11): a folder of the host, by FUSE requests, over virtio-mmio. */
#ifndef DEVICES_VIRTIO_FS_H
#define DEVICES_VIRTIO_FS_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"
#include "host/share.h"

struct virtio_fs_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    struct share *share;     /* outlives the device */
    const char *tag;         /* at most SHARE_TAG_MAX bytes */
};

int virtio_fs_create(const struct virtio_fs_config *config, struct device **out) MUST_CHECK;

#endif
