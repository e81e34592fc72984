/*
 * A virtio device, whatever its transport: the device status machine (virtio 1.2, 2.1, 3.1.1), its
 * features and its queues.
 *
 * A device embeds `struct virtio_device` as its first member and describes itself with `struct
 * virtio_ops`. How the driver reaches it is mmio.c, or pci.c on top of that.
 */
#ifndef DEVICES_VIRTIO_DEVICE_H
#define DEVICES_VIRTIO_DEVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/gmem.h"
#include "base/irq.h"
#include "devices/device.h"
#include "devices/virtio/queue.h"

#define VIRTIO_MAX_QUEUES 16
#define VIRTIO_NO_QUEUE   UINT32_MAX

/* Feature bits of every device (6); those of the rings are in queue.h. */
#define VIRTIO_F_VERSION_1  (1ull << 32)
#define VIRTIO_F_RING_RESET (1ull << 40)

/* Device status (2.1). */
enum virtio_status {
    VIRTIO_STATUS_ACKNOWLEDGE = 1,
    VIRTIO_STATUS_DRIVER = 2,
    VIRTIO_STATUS_DRIVER_OK = 4,
    VIRTIO_STATUS_FEATURES_OK = 8,
    VIRTIO_STATUS_NEEDS_RESET = 64,
    VIRTIO_STATUS_FAILED = 128,
};

struct virtio_device;

/* What a device is. All calls with the device's lock held. */
struct virtio_ops {
    const char *name;    /* for logs: "virtio-blk" */
    uint32_t id;         /* 5: device ID */
    unsigned queues;     /* at most VIRTIO_MAX_QUEUES; see also struct virtio_setup */
    uint16_t queue_size; /* at most VIRTQ_MAX_SIZE */
    bool any_order;      /* it gains by giving buffers back as they are done: no IN_ORDER */
    bool unwritten;      /* it writes into no buffer */

    /* Can the device work with just `features` of what it offers? NULL: with any of them. What
     * is wanted and cannot be had makes FEATURES_OK not stick (3.1.1). */
    bool (*accept)(const struct virtio_device *v, uint64_t features);
    /* DRIVER_OK was set: buffers may be used from now on, also those that came before it. NULL: the
     * device waits for a notification. */
    void (*start)(struct virtio_device *v);
    /* The driver has new buffers in `queue`, which is ready; DRIVER_OK is set. */
    void (*notify)(struct virtio_device *v, unsigned queue);
    /* The driver wrote the device's configuration space. NULL: it is read-only. */
    void (*config_write)(struct virtio_device *v, uint64_t offset, unsigned width, uint64_t value);
    /* Return when the device touches guest memory no more. May drop and retake the lock; the
     * queues already count as stopped. */
    void (*drain)(struct virtio_device *v);
    /* Back to the state after creation; drained before. */
    void (*reset)(struct virtio_device *v);
    /* Drained; frees the device, `v` included. No lock held. */
    void (*destroy)(struct virtio_device *v);
};

struct virtio_device {
    struct device device; /* first: what the bus sees, with the transport's ops */
    const struct virtio_ops *ops;
    const struct gmem *gmem;
    struct irq_line irq;
    /* Where the transport has messages (pci.c): send that of `queue`, or with VIRTIO_NO_QUEUE that
     * of the configuration. False: the wire tells it. NULL: there is just the wire. */
    bool (*message)(struct virtio_device *v, unsigned queue);
    void *transport;  /* that message() belongs to */
    uint64_t offered; /* features */
    bool driven;      /* a driver has set DRIVER_OK, once */
    unsigned queues;
    const uint8_t *config;
    unsigned config_size;
    uint32_t config_generation;

    uint64_t accepted; /* features */
    uint32_t offered_sel, accepted_sel, queue_sel;
    uint32_t interrupt_status;
    uint8_t status;
    bool stopping;           /* inside ops->drain: what the driver sets is ignored, and */
    uint32_t missed;         /* bit n: queue n is to be served afterwards */
    uint32_t may_restart;    /* bit n: queue n was reset by itself (2.6.1), and may become ready */
    struct virtq *resetting; /* the one that is being reset */
    struct virtq queue[VIRTIO_MAX_QUEUES];
};

struct virtio_setup {
    const struct virtio_ops *ops;
    const struct gmem *gmem; /* outlives the device */
    struct irq_line irq;
    uint64_t features;     /* the device's own; the transport adds its part */
    unsigned queues;       /* when the number is not the description's; 0: it is */
    const uint8_t *config; /* configuration space, little-endian; the device's own memory */
    unsigned config_size;
};

/* `v` is zeroed memory. Its transport is virtio-mmio, unless virtio_pci_create() follows. */
void virtio_device_init(struct virtio_device *v, const struct virtio_setup *setup);
void virtio_device_fini(struct virtio_device *v);

/* The device's name if no driver has ever set DRIVER_OK, else NULL. No vCPU runs. */
const char *virtio_device_unused(const struct device *d);

/* The rest: lock held. */

/* Is `feature` (a mask) negotiated? */
static inline bool virtio_has(const struct virtio_device *v, uint64_t feature)
{
    return (v->accepted & feature) == feature;
}

/* May buffers of `queue` be used: DRIVER_OK, not broken, the queue ready? */
bool virtio_queue_runs(const struct virtio_device *v, unsigned queue);
/* Take the next chain of `queue`: 1; 0 if there is none, and the driver will notify us of one, or
 * if the queue does not run; or negative errno. */
int virtio_pop(struct virtio_device *v, unsigned queue, struct virtq_chain *chain);
/* Take the chains of `queue`, which runs, one by one, while the driver's notification is served:
 * `serve` gives each one back and returns 1, or negative errno. Then raise the interrupt. */
void virtio_serve(struct virtio_device *v, unsigned queue, struct virtq_chain *chain,
                  int (*serve)(struct virtio_device *v, unsigned queue));
/* Give a chain back to the driver. A no-op once the queue was stopped or the driver broke it. */
void virtio_push(struct virtio_device *v, unsigned queue, uint16_t head, uint32_t written);
/* The same for several chains, which the driver sees at once. */
void virtio_push_all(struct virtio_device *v, unsigned queue, const struct virtq_used *used,
                     unsigned n);
/* Raise the interrupt if the driver wants one for what was pushed. */
void virtio_interrupt(struct virtio_device *v, unsigned queue);
/* The device changed its configuration space on its own: tell the driver. Call it after the change,
 * in the same hold of the lock, so that the driver sees the new generation with the new bytes. */
void virtio_config_changed(struct virtio_device *v);
/* The driver broke the rules, `what` says how: stop until it resets us (2.1.2). */
void virtio_fail(struct virtio_device *v, const char *what);

/* What the driver does, for the transports. Lock held. */

void virtio_device_reset(struct virtio_device *v);
void virtio_device_set_status(struct virtio_device *v, uint32_t value);
/* The half of the features that is selected: what is offered; accept `value`. */
uint32_t virtio_device_offered(const struct virtio_device *v);
void virtio_device_accept(struct virtio_device *v, uint32_t value);
/* The selected queue, or NULL. */
struct virtq *virtio_device_queue(struct virtio_device *v);
/* May size and addresses of the selected queue be set? */
bool virtio_device_queue_is_open(struct virtio_device *v);
/* Start the selected queue, or stop it. */
void virtio_device_set_ready(struct virtio_device *v, bool ready);
/* Reset just the selected queue (2.6.1). False: that is not negotiated. */
bool virtio_device_reset_queue(struct virtio_device *v);
void virtio_device_notify(struct virtio_device *v, uint32_t queue);
/* Interrupt status (4.2.2): clear these bits. */
void virtio_device_ack(struct virtio_device *v, uint32_t bits);

#endif
