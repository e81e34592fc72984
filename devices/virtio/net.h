/* virtio-net (virtio 1.2, 5.1) on a network of host/net.h. */
#ifndef DEVICES_VIRTIO_NET_H
#define DEVICES_VIRTIO_NET_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"
#include "host/net.h"

struct virtio_net_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    struct net *net; /* outlives the device, which starts and stops its thread; NULL: a cable
                        that is plugged in nowhere */
    uint8_t mac[6];
    uint16_t mtu; /* what the driver is told; 0: nothing */
};

int virtio_net_create(const struct virtio_net_config *config, struct device **out) MUST_CHECK;

#endif
