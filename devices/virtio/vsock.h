/* virtio-vsock, the socket device (virtio 1.2, 5.10), on host/vsock.h. */
#ifndef DEVICES_VIRTIO_VSOCK_H
#define DEVICES_VIRTIO_VSOCK_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"
#include "host/vsock.h"

struct virtio_vsock_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    struct vsock *vsock; /* outlives the device, which starts and stops its thread; NULL: nobody is
                            there */
    uint32_t cid;        /* the guest's */
};

int virtio_vsock_create(const struct virtio_vsock_config *config, struct device **out) MUST_CHECK;

#endif
