/*
 * The status machine of virtio devices (virtio 1.2, 2.1, 3.1.1), their features and queues.
 *
 * Rules kept here, so that no device has to: the driver cannot clear status bits except by reset;
 * FEATURES_OK sticks only for a subset of what was offered that includes VERSION_1; features are
 * frozen from then on; a queue's size and addresses are frozen while it is ready, and after
 * DRIVER_OK none becomes ready but one that was reset by itself (2.6.1). A driver that breaks a
 * queue gets DEVICE_NEEDS_RESET and is not listened to until it resets.
 *
 * Stopping a queue, or all of them, waits for the requests in flight, because the driver may reuse
 * their memory at once (Linux does not poll the status after a reset). The lock is free while
 * waiting; `stopping` keeps other vCPUs from changing anything meanwhile, and what they notify of
 * is remembered.
 */
#include "devices/virtio/device.h"

#include <assert.h>
#include <errno.h>

#include "base/log.h"
#include "devices/virtio/mmio.h"

enum { INTERRUPT_USED = 1, INTERRUPT_CONFIG = 2 };

/* How often the ring's size is served in one notification. */
#define SERVE_ROUNDS 8

/* ------------------------------------------------------------------ interrupts and failure */

static void set_interrupt(struct virtio_device *v, uint32_t status)
{
    v->interrupt_status = status;
    irq_line_set(&v->irq, status != 0);
}

void virtio_device_ack(struct virtio_device *v, uint32_t bits)
{
    set_interrupt(v, v->interrupt_status & ~bits);
}

/* Tell the driver of news of `queue`, or of the configuration. */
static void tell(struct virtio_device *v, uint32_t interrupt, unsigned queue)
{
    if (!v->message || !v->message(v, queue) || interrupt == INTERRUPT_CONFIG)
        set_interrupt(v, v->interrupt_status | interrupt);
}

void virtio_fail(struct virtio_device *v, const char *what)
{
    if (v->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    log_limited(LOG_WARN, v->ops->name,
                "the guest's driver broke the rules: %s; stopped until it "
                "resets the device",
                what);
    v->status |= VIRTIO_STATUS_NEEDS_RESET;
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        tell(v, INTERRUPT_CONFIG, VIRTIO_NO_QUEUE);
}

/* May the device use its rings? */
static bool is_running(const struct virtio_device *v)
{
    return (v->status & VIRTIO_STATUS_DRIVER_OK) && !(v->status & VIRTIO_STATUS_NEEDS_RESET);
}

bool virtio_queue_runs(const struct virtio_device *v, unsigned queue)
{
    return is_running(v) && v->queue[queue].ready;
}

int virtio_pop(struct virtio_device *v, unsigned queue, struct virtq_chain *chain)
{
    struct virtq *q = &v->queue[queue];
    int rc = 0;
    while (virtio_queue_runs(v, queue) && (rc = virtq_pop(q, chain)) == 0) {
        rc = virtq_rearm(q);
        if (rc <= 0)
            break;
    }
    return rc;
}

void virtio_serve(struct virtio_device *v, unsigned queue, struct virtq_chain *chain,
                  int (*serve)(struct virtio_device *v, unsigned queue))
{
    struct virtq *q = &v->queue[queue];
    /* A driver that adds buffers as fast as they are served must not keep this vCPU for ever; one
     * that waits for its interrupt has no more than the ring holds. */
    unsigned budget = SERVE_ROUNDS * q->size;
    int rc;
    do {
        rc = virtq_pop(q, chain);
        if (rc > 0)
            rc = serve(v, queue);
        else if (rc == 0)
            rc = virtq_rearm(q);
    } while (rc > 0 && budget-- > 0);
    if (rc != 0)
        virtio_fail(v, rc == -EFAULT ? "a buffer is not RAM" : "malformed or endless requests");
    virtio_interrupt(v, queue);
}

void virtio_push_all(struct virtio_device *v, unsigned queue, const struct virtq_used *used,
                     unsigned n)
{
    if (virtio_queue_runs(v, queue) && virtq_push_all(&v->queue[queue], used, n) < 0)
        virtio_fail(v, "the used ring is not RAM");
}

void virtio_push(struct virtio_device *v, unsigned queue, uint16_t head, uint32_t written)
{
    virtio_push_all(v, queue, &(struct virtq_used){ head, written }, 1);
}

void virtio_interrupt(struct virtio_device *v, unsigned queue)
{
    if (!virtio_queue_runs(v, queue))
        return;
    int wanted = virtq_needs_interrupt(&v->queue[queue]);
    if (wanted < 0)
        virtio_fail(v, "the available ring is not RAM");
    else if (wanted)
        tell(v, INTERRUPT_USED, queue);
}

void virtio_config_changed(struct virtio_device *v)
{
    v->config_generation++;
    if (is_running(v))
        tell(v, INTERRUPT_CONFIG, VIRTIO_NO_QUEUE);
}

/* ------------------------------------------------------------------ reset and status */

void virtio_device_notify(struct virtio_device *v, uint32_t queue)
{
    if (v->stopping && queue < v->queues)
        v->missed |= 1u << queue;
    else if (queue < v->queues && virtio_queue_runs(v, queue))
        v->ops->notify(v, queue);
}

/* Wait for the device's requests in flight; the lock may be free meanwhile. */
static void drain(struct virtio_device *v)
{
    v->stopping = true;
    if (v->ops->drain)
        v->ops->drain(v);
    v->stopping = false;
    uint32_t missed = v->missed;
    v->missed = 0;
    for (unsigned i = 0; i < v->queues; i++)
        if (missed & 1u << i)
            virtio_device_notify(v, i);
}

/* The status reads zero only when all is done (2.4.1). */
void virtio_device_reset(struct virtio_device *v)
{
    for (unsigned i = 0; i < v->queues; i++)
        v->queue[i].ready = false;
    drain(v);
    for (unsigned i = 0; i < v->queues; i++)
        virtq_reset(&v->queue[i]);
    v->accepted = 0;
    v->offered_sel = v->accepted_sel = v->queue_sel = 0;
    v->status = 0;
    v->may_restart = 0;
    if (v->ops->reset)
        v->ops->reset(v);
    set_interrupt(v, 0);
}

static bool features_are_good(const struct virtio_device *v)
{
    return !(v->accepted & ~v->offered) && virtio_has(v, VIRTIO_F_VERSION_1) &&
           (!v->ops->accept || v->ops->accept(v, v->accepted));
}

void virtio_device_set_status(struct virtio_device *v, uint32_t value)
{
    if (value == 0) {
        virtio_device_reset(v);
        return;
    }
    uint32_t added = value & ~(uint32_t)v->status &
                     (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                      VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED);
    if ((added & VIRTIO_STATUS_FEATURES_OK) && !features_are_good(v))
        added &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
    if (!((v->status | added) & VIRTIO_STATUS_FEATURES_OK))
        added &= ~(uint32_t)VIRTIO_STATUS_DRIVER_OK;
    v->status |= (uint8_t)added;
    v->driven |= (added & VIRTIO_STATUS_DRIVER_OK) != 0;
    /* A queue broken before DRIVER_OK has had no one to tell it to. */
    if ((added & VIRTIO_STATUS_DRIVER_OK) && (v->status & VIRTIO_STATUS_NEEDS_RESET))
        tell(v, INTERRUPT_CONFIG, VIRTIO_NO_QUEUE);
    else if ((added & VIRTIO_STATUS_DRIVER_OK) && v->ops->start)
        v->ops->start(v);
}

/* ------------------------------------------------------------------ features and queues */

uint32_t virtio_device_offered(const struct virtio_device *v)
{
    return v->offered_sel < 2 ? (uint32_t)(v->offered >> (32 * v->offered_sel)) : 0;
}

void virtio_device_accept(struct virtio_device *v, uint32_t value)
{
    unsigned shift = v->accepted_sel == 1 ? 32 : 0;
    if (v->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    if (v->accepted_sel < 2)
        v->accepted = (v->accepted & ~(0xffffffffull << shift)) | (uint64_t)value << shift;
    else if (value)
        v->accepted |= 1ull << 63; /* a bit beyond what we offer: FEATURES_OK will not stick */
}

struct virtq *virtio_device_queue(struct virtio_device *v)
{
    return v->queue_sel < v->queues ? &v->queue[v->queue_sel] : NULL;
}

bool virtio_device_queue_is_open(struct virtio_device *v)
{
    const struct virtq *q = virtio_device_queue(v);
    return q && !q->ready &&
           (!(v->status & VIRTIO_STATUS_DRIVER_OK) || v->may_restart & 1u << v->queue_sel);
}

static void stop_queue(struct virtio_device *v, struct virtq *q)
{
    bool was_ready = q->ready;
    q->ready = false;
    if (was_ready)
        drain(v);
}

void virtio_device_set_ready(struct virtio_device *v, bool ready)
{
    struct virtq *q = virtio_device_queue(v);
    if (q && !ready)
        stop_queue(v, q);
    if (!ready || !virtio_device_queue_is_open(v) || !(v->status & VIRTIO_STATUS_FEATURES_OK))
        return;
    virtq_negotiate(q, v->accepted);
    if (virtq_start(q) < 0)
        virtio_fail(v, "bad queue size or ring addresses, or no memory");
    v->may_restart &= ~(1u << v->queue_sel);
}

bool virtio_device_reset_queue(struct virtio_device *v)
{
    struct virtq *q = virtio_device_queue(v);
    if (!q || !virtio_has(v, VIRTIO_F_RING_RESET) || !(v->status & VIRTIO_STATUS_DRIVER_OK))
        return false;
    v->resetting = q;
    stop_queue(v, q);
    v->resetting = NULL;
    virtq_reset(q);
    v->may_restart |= 1u << v->queue_sel;
    return true;
}

/* ------------------------------------------------------------------ life */

void virtio_device_init(struct virtio_device *v, const struct virtio_setup *setup)
{
    v->queues = setup->queues ? setup->queues : setup->ops->queues;
    assert(v->queues <= VIRTIO_MAX_QUEUES && setup->ops->queue_size <= VIRTQ_MAX_SIZE);
    v->device.ops = &virtio_mmio_ops;
    lock_init(&v->device.lock, LOCK_DEVICE);
    v->ops = setup->ops;
    v->gmem = setup->gmem;
    v->irq = setup->irq;
    v->offered = setup->features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
                 VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED | VIRTIO_F_RING_RESET;
    if (!v->ops->any_order)
        v->offered |= VIRTIO_F_IN_ORDER;
    v->config = setup->config;
    v->config_size = setup->config_size;
    for (unsigned i = 0; i < v->queues; i++)
        v->queue[i] = (struct virtq){ .gmem = v->gmem,
                                      .max_size = v->ops->queue_size,
                                      .unwritten = v->ops->unwritten };
}

const char *virtio_device_unused(const struct device *d)
{
    const struct virtio_device *v = (const struct virtio_device *)d; /* its first member */
    return v->driven ? NULL : v->ops->name;
}

void virtio_device_fini(struct virtio_device *v)
{
    for (unsigned i = 0; i < v->queues; i++)
        virtq_fini(&v->queue[i]);
    lock_fini(&v->device.lock);
}
