/* virtio-balloon, the memory balloon (virtio 1.2, 5.5): the guest's free memory goes back to the
 * host. */
#ifndef DEVICES_VIRTIO_BALLOON_H
#define DEVICES_VIRTIO_BALLOON_H

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"

/* The unit of the balloon, whatever the guest's pages are (5.5.6). */
#define BALLOON_PAGE 4096u

struct virtio_balloon_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    const struct gmem *ram;  /* what of it can be given back; outlives the device */
    uint32_t pages; /* of BALLOON_PAGE, that the guest is to give away for as long as it does
                       not run out of memory */
    /* Gives [p, p + n) of RAM back, as memory_give_back(). Any thread. */
    void (*give_back)(void *ctx, void *p, size_t n);
    void *ctx;
};

int virtio_balloon_create(const struct virtio_balloon_config *config,
                          struct device **out) MUST_CHECK;

#endif
