/*
 * The virtio-pci transport, without the legacy one (virtio 1.2, 4.1). It is the registers of
 * virtio-mmio at other offsets, with a message for each queue.
 */
#ifndef DEVICES_VIRTIO_PCI_H
#define DEVICES_VIRTIO_PCI_H

#include "base/irq.h"
#include "devices/device.h"
#include "devices/pci/host.h"
#include "devices/pci/msix.h"

struct virtio_pci_config {
    unsigned slot;           /* of the host bridge */
    struct irq_line irq;     /* INTA */
    struct msix_bus message; /* who carries messages */
};

/* Make the virtio device `d`, as its virtio_x_create() left it, a function of `host`; from now on
 * its window is BAR 0. `d` owns what is made: its destroy() frees all. -ENOMEM. */
int virtio_pci_create(struct device *d, struct pci_host *host,
                      const struct virtio_pci_config *config) MUST_CHECK;

#endif
