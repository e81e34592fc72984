/* virtio-console (virtio 1.2, 5.3): consoles (hvc0, ...) and named ports between host and guest. */
#ifndef DEVICES_VIRTIO_CONSOLE_H
#define DEVICES_VIRTIO_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"

#define CONSOLE_MAX_PORTS 7
#define CONSOLE_MAX_NAME  31

struct virtio_console_port {
    char name[CONSOLE_MAX_NAME + 1]; /* of a port for programs of the guest; "": it is a console */
    /* As of struct vm_serial and host/serial.h; called with the device's lock held. NULL: what the
     * guest sends goes nowhere. */
    void (*send)(void *ctx, const uint8_t *bytes, size_t n);
    void (*room)(void *ctx); /* virtio_console_receive() takes bytes again */
    void *ctx;
};

struct virtio_console_config {
    struct irq_line irq;
    const struct gmem *gmem; /* outlives the device */
    struct virtio_console_port port[CONSOLE_MAX_PORTS];
    unsigned ports; /* 1 or more */
};

int virtio_console_create(const struct virtio_console_config *config,
                          struct device **out) MUST_CHECK;

/* Bytes for the guest: how many it took; if not all, the port's `room` says when to try again. Any
 * thread, no lock held. */
size_t virtio_console_receive(struct device *d, unsigned port, const uint8_t *bytes, size_t n);

/* The host's terminal of that port has this size. Any thread, no lock held. */
void virtio_console_resize(struct device *d, unsigned port, uint16_t cols, uint16_t rows);

#endif
