/* virtio-pmem, persistent memory (virtio 1.2, 5.19), on a file of host/pmem.h. */
#ifndef DEVICES_VIRTIO_PMEM_H
#define DEVICES_VIRTIO_PMEM_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"
#include "host/pmem.h"

struct virtio_pmem_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    struct pmem *pmem;       /* outlives the device; NULL: there is no guest to use it */
    gpa_t base;              /* where the guest finds it */
};

int virtio_pmem_create(const struct virtio_pmem_config *config, struct device **out) MUST_CHECK;

#endif
