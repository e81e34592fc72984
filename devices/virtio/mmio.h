/*
 * The virtio-mmio transport, version 2 (virtio 1.2, 4.2.2): a window of registers, which virtio-pci
 * uses as well.
 */
#ifndef DEVICES_VIRTIO_MMIO_H
#define DEVICES_VIRTIO_MMIO_H

#include "devices/device.h"

#define VIRTIO_MMIO_SIZE 0x200

/* Of the `device` in a struct virtio_device. */
extern const struct device_ops virtio_mmio_ops;

#endif
