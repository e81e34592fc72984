/* virtio-rng, the entropy device (virtio 1.2, 5.4): random bytes from the host's generator. */
#ifndef DEVICES_VIRTIO_RNG_H
#define DEVICES_VIRTIO_RNG_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"

struct virtio_rng_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
};

int virtio_rng_create(const struct virtio_rng_config *config, struct device **out) MUST_CHECK;

#endif
