/*
 * virtio-mmio, version 2: virtio 1.2, section 4.2.2 (register layout) and 2.1, 3.1.1 (status).
 *
 * Rules kept here, so that no device has to: the driver cannot clear status bits except by reset;
 * FEATURES_OK sticks only for a subset of what was offered that includes VERSION_1; features are
 * frozen from then on; a queue's size and addresses are frozen while it is ready, and no queue
 * becomes ready after DRIVER_OK. A driver that breaks a queue gets DEVICE_NEEDS_RESET and is not
 * listened to until it resets.
 *
 * Stopping a queue, or all of them, waits for the requests in flight, because the driver may reuse
 * their memory at once (Linux does not poll the status after a reset). The lock is free while
 * waiting; `stopping` keeps other vCPUs from changing anything meanwhile.
 */
#include "devices/virtio/mmio.h"

#include <assert.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/log.h"
#include "devices/virtio/mmio_regs.h"

enum {
    MAGIC = 0x74726976, /* "virt" */
    VERSION = 2,
    VENDOR = 0x4b455249, /* "IREK" */

    INTERRUPT_USED = 1,
    INTERRUPT_CONFIG = 2,
};

/* How often the ring's size is served in one notification. */
#define SERVE_ROUNDS 8

/* Device tree interrupt cells (Linux, bindings/interrupt-controller/arm,gic.yaml). */
enum { FDT_GIC_SPI = 0, FDT_IRQ_LEVEL_HIGH = 4 };

static struct virtio_mmio *mmio_of(struct device *d)
{
    return CONTAINER_OF(d, struct virtio_mmio, device);
}

/* ------------------------------------------------------------------ interrupts and failure */

static void mmio_set_interrupt(struct virtio_mmio *v, uint32_t status)
{
    v->interrupt_status = status;
    irq_line_set(&v->irq, status != 0);
}

/* Tell the driver of news of `queue`, or of the configuration. */
static void mmio_raise(struct virtio_mmio *v, uint32_t interrupt, unsigned queue)
{
    if (!v->message || !v->message(v, queue) || interrupt == INTERRUPT_CONFIG)
        mmio_set_interrupt(v, v->interrupt_status | interrupt);
}

void virtio_mmio_fail(struct virtio_mmio *v, const char *what)
{
    if (v->status & VIRTIO_STATUS_NEEDS_RESET)
        return;
    log_limited(LOG_WARN, v->ops->name,
                "the guest's driver broke the rules: %s; stopped until it "
                "resets the device",
                what);
    v->status |= VIRTIO_STATUS_NEEDS_RESET;
    if (v->status & VIRTIO_STATUS_DRIVER_OK)
        mmio_raise(v, INTERRUPT_CONFIG, VIRTIO_NO_QUEUE);
}

/* May the device use its rings? */
static bool mmio_running(const struct virtio_mmio *v)
{
    return (v->status & VIRTIO_STATUS_DRIVER_OK) && !(v->status & VIRTIO_STATUS_NEEDS_RESET);
}

bool virtio_mmio_queue_runs(const struct virtio_mmio *v, unsigned queue)
{
    return mmio_running(v) && v->queue[queue].ready;
}

int virtio_mmio_pop(struct virtio_mmio *v, unsigned queue, struct virtq_chain *chain)
{
    struct virtq *q = &v->queue[queue];
    int rc = 0;
    while (virtio_mmio_queue_runs(v, queue) && (rc = virtq_pop(q, chain)) == 0) {
        rc = virtq_rearm(q);
        if (rc <= 0)
            break;
    }
    return rc;
}

void virtio_mmio_serve(struct virtio_mmio *v, unsigned queue, struct virtq_chain *chain,
                       int (*serve)(struct virtio_mmio *v, unsigned queue))
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
        virtio_mmio_fail(v,
                         rc == -EFAULT ? "a buffer is not RAM" : "malformed or endless requests");
    virtio_mmio_interrupt(v, queue);
}

void virtio_mmio_push_all(struct virtio_mmio *v, unsigned queue, const struct virtq_used *used,
                          unsigned n)
{
    if (virtio_mmio_queue_runs(v, queue) && virtq_push_all(&v->queue[queue], used, n) < 0)
        virtio_mmio_fail(v, "the used ring is not RAM");
}

void virtio_mmio_push(struct virtio_mmio *v, unsigned queue, uint16_t head, uint32_t written)
{
    virtio_mmio_push_all(v, queue, &(struct virtq_used){ head, written }, 1);
}

void virtio_mmio_interrupt(struct virtio_mmio *v, unsigned queue)
{
    if (!virtio_mmio_queue_runs(v, queue))
        return;
    int wanted = virtq_needs_interrupt(&v->queue[queue]);
    if (wanted < 0)
        virtio_mmio_fail(v, "the available ring is not RAM");
    else if (wanted)
        mmio_raise(v, INTERRUPT_USED, queue);
}

void virtio_mmio_config_changed(struct virtio_mmio *v)
{
    v->config_generation++;
    if (mmio_running(v))
        mmio_raise(v, INTERRUPT_CONFIG, VIRTIO_NO_QUEUE);
}

/* ------------------------------------------------------------------ reset and status */

/* Wait for the device's requests in flight; the lock may be free meanwhile. */
static void mmio_drain(struct virtio_mmio *v)
{
    v->stopping = true;
    if (v->ops->drain)
        v->ops->drain(v);
    v->stopping = false;
}

/* Reset, with lock held. The status reads zero only when all is done (2.4.1). */
static void mmio_reset(struct device *d)
{
    struct virtio_mmio *v = mmio_of(d);
    for (unsigned i = 0; i < v->queues; i++)
        v->queue[i].ready = false;
    mmio_drain(v);
    for (unsigned i = 0; i < v->queues; i++)
        virtq_reset(&v->queue[i]);
    v->accepted = 0;
    v->offered_sel = v->accepted_sel = v->queue_sel = 0;
    v->status = 0;
    if (v->ops->reset)
        v->ops->reset(v);
    mmio_set_interrupt(v, 0);
}

static bool mmio_features_are_good(const struct virtio_mmio *v)
{
    return !(v->accepted & ~v->offered) && virtio_mmio_has(v, VIRTIO_F_VERSION_1) &&
           (!v->ops->accept || v->ops->accept(v, v->accepted));
}

static void mmio_write_status(struct virtio_mmio *v, uint32_t value)
{
    if (value == 0) {
        mmio_reset(&v->device);
        return;
    }
    uint32_t added = value & ~(uint32_t)v->status &
                     (VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK |
                      VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED);
    if ((added & VIRTIO_STATUS_FEATURES_OK) && !mmio_features_are_good(v))
        added &= ~(uint32_t)VIRTIO_STATUS_FEATURES_OK;
    if (!((v->status | added) & VIRTIO_STATUS_FEATURES_OK))
        added &= ~(uint32_t)VIRTIO_STATUS_DRIVER_OK;
    v->status |= (uint8_t)added;
    v->driven |= (added & VIRTIO_STATUS_DRIVER_OK) != 0;
    /* A queue broken before DRIVER_OK has had no one to tell it to. */
    if ((added & VIRTIO_STATUS_DRIVER_OK) && (v->status & VIRTIO_STATUS_NEEDS_RESET))
        mmio_raise(v, INTERRUPT_CONFIG, VIRTIO_NO_QUEUE);
    else if ((added & VIRTIO_STATUS_DRIVER_OK) && v->ops->start)
        v->ops->start(v);
}

/* ------------------------------------------------------------------ features and queues */

static void set_half(uint64_t *value, bool high, uint32_t half)
{
    unsigned shift = high ? 32 : 0;
    *value = (*value & ~(0xffffffffull << shift)) | ((uint64_t)half << shift);
}

static void mmio_write_features(struct virtio_mmio *v, uint32_t value)
{
    if (v->status & VIRTIO_STATUS_FEATURES_OK)
        return;
    if (v->accepted_sel < 2)
        set_half(&v->accepted, v->accepted_sel == 1, value);
    else if (value)
        v->accepted |= 1ull << 63; /* a bit beyond what we offer: FEATURES_OK will not stick */
}

static struct virtq *mmio_selected(struct virtio_mmio *v)
{
    return v->queue_sel < v->queues ? &v->queue[v->queue_sel] : NULL;
}

static void mmio_write_ready(struct virtio_mmio *v, struct virtq *q, uint32_t value)
{
    if (!(value & 1)) {
        bool was_ready = q->ready;
        q->ready = false;
        if (was_ready)
            mmio_drain(v);
        return;
    }
    if (q->ready || !(v->status & VIRTIO_STATUS_FEATURES_OK) ||
        (v->status & VIRTIO_STATUS_DRIVER_OK))
        return;
    virtq_negotiate(q, v->accepted);
    if (virtq_start(q) < 0)
        virtio_mmio_fail(v, "bad queue size or ring addresses");
}

static void mmio_write_queue(struct virtio_mmio *v, uint64_t offset, uint32_t value)
{
    struct virtq *q = mmio_selected(v);
    if (!q)
        return;
    if (offset == REG_QUEUE_READY) {
        mmio_write_ready(v, q, value);
        return;
    }
    if (q->ready || (v->status & VIRTIO_STATUS_DRIVER_OK))
        return;
    switch (offset) {
    case REG_QUEUE_NUM:
        q->size = value <= q->max_size ? (uint16_t)value : 0;
        break;
    case REG_QUEUE_DESC_LOW:
    case REG_QUEUE_DESC_HIGH:
        set_half(&q->desc, offset == REG_QUEUE_DESC_HIGH, value);
        break;
    case REG_QUEUE_DRIVER_LOW:
    case REG_QUEUE_DRIVER_HIGH:
        set_half(&q->avail, offset == REG_QUEUE_DRIVER_HIGH, value);
        break;
    case REG_QUEUE_DEVICE_LOW:
    case REG_QUEUE_DEVICE_HIGH:
        set_half(&q->used, offset == REG_QUEUE_DEVICE_HIGH, value);
        break;
    default:
        break;
    }
}

static void mmio_notify(struct virtio_mmio *v, uint32_t queue)
{
    if (queue < v->queues && virtio_mmio_queue_runs(v, queue))
        v->ops->notify(v, queue);
}

/* ------------------------------------------------------------------ registers */

static uint64_t mmio_read_config(const struct virtio_mmio *v, uint64_t offset, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        if (offset + i < v->config_size)
            value |= (uint64_t)v->config[offset + i] << (8 * i);
    return value;
}

static uint64_t mmio_read(struct device *d, uint64_t offset, unsigned width)
{
    struct virtio_mmio *v = mmio_of(d);
    if (offset >= REG_CONFIG)
        return mmio_read_config(v, offset - REG_CONFIG, width);
    if (width != 4)
        return 0;
    const struct virtq *q = mmio_selected(v);
    switch (offset) {
    case REG_MAGIC:
        return MAGIC;
    case REG_VERSION:
        return VERSION;
    case REG_DEVICE_ID:
        return v->ops->id;
    case REG_VENDOR_ID:
        return VENDOR;
    case REG_DEVICE_FEATURES:
        return v->offered_sel < 2 ? (uint32_t)(v->offered >> (32 * v->offered_sel)) : 0;
    case REG_QUEUE_NUM_MAX:
        return q ? q->max_size : 0;
    case REG_QUEUE_READY:
        return q && q->ready;
    case REG_INTERRUPT_STATUS:
        return v->interrupt_status;
    case REG_STATUS:
        return v->status;
    case REG_SHM_LEN_LOW:
    case REG_SHM_LEN_HIGH:
    case REG_SHM_BASE_LOW:
    case REG_SHM_BASE_HIGH:
        return UINT32_MAX; /* no shared memory region has this id */
    case REG_CONFIG_GENERATION:
        return v->config_generation;
    default:
        return 0;
    }
}

static void mmio_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_mmio *v = mmio_of(d);
    if (v->stopping)
        return;
    if (offset >= REG_CONFIG) {
        if (v->ops->config_write)
            v->ops->config_write(v, offset - REG_CONFIG, width, value);
        return;
    }
    if (width != 4)
        return;
    uint32_t word = (uint32_t)value;
    switch (offset) {
    case REG_DEVICE_FEATURES_SEL:
        v->offered_sel = word;
        break;
    case REG_DRIVER_FEATURES:
        mmio_write_features(v, word);
        break;
    case REG_DRIVER_FEATURES_SEL:
        v->accepted_sel = word;
        break;
    case REG_QUEUE_SEL:
        v->queue_sel = word;
        break;
    case REG_QUEUE_NOTIFY:
        mmio_notify(v, word);
        break;
    case REG_INTERRUPT_ACK:
        mmio_set_interrupt(v, v->interrupt_status & ~word);
        break;
    case REG_STATUS:
        mmio_write_status(v, word);
        break;
    default:
        mmio_write_queue(v, offset, word);
        break;
    }
}

/* ------------------------------------------------------------------ the device */

static int mmio_fdt(const struct device *d, void *fdt, const struct device_place *place)
{
    (void)d;
    char name[48];
    snprintf(name, sizeof name, "virtio@%llx", (unsigned long long)place->base);
    const fdt32_t reg[] = { cpu_to_fdt32((uint32_t)(place->base >> 32)),
                            cpu_to_fdt32((uint32_t)place->base), 0,
                            cpu_to_fdt32(VIRTIO_MMIO_SIZE) };
    const fdt32_t interrupts[] = { cpu_to_fdt32(FDT_GIC_SPI), cpu_to_fdt32(place->spi),
                                   cpu_to_fdt32(FDT_IRQ_LEVEL_HIGH) };
    if (fdt_begin_node(fdt, name) || fdt_property_string(fdt, "compatible", "virtio,mmio") ||
        fdt_property(fdt, "reg", reg, sizeof reg) ||
        fdt_property(fdt, "interrupts", interrupts, sizeof interrupts) ||
        fdt_property(fdt, "dma-coherent", NULL, 0) || fdt_end_node(fdt))
        return -ENOSPC;
    return 0;
}

static void mmio_destroy(struct device *d)
{
    struct virtio_mmio *v = mmio_of(d);
    lock_acquire(&d->lock);
    mmio_reset(d);
    lock_release(&d->lock);
    v->ops->destroy(v);
}

static const struct device_ops mmio_ops = {
    .name = "virtio-mmio",
    .size = VIRTIO_MMIO_SIZE,
    .min_width = 1,
    .max_width = 8,
    .read = mmio_read,
    .write = mmio_write,
    .reset = mmio_reset,
    .fdt = mmio_fdt,
    .destroy = mmio_destroy,
};

void virtio_mmio_init(struct virtio_mmio *v, const struct virtio_mmio_setup *setup)
{
    v->queues = setup->queues ? setup->queues : setup->ops->queues;
    assert(v->queues <= VIRTIO_MAX_QUEUES && setup->ops->queue_size <= VIRTQ_MAX_SIZE);
    v->device.ops = &mmio_ops;
    lock_init(&v->device.lock, LOCK_DEVICE);
    v->ops = setup->ops;
    v->gmem = setup->gmem;
    v->irq = setup->irq;
    v->offered = setup->features | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC |
                 VIRTIO_F_EVENT_IDX | VIRTIO_F_RING_PACKED;
    if (!v->ops->any_order)
        v->offered |= VIRTIO_F_IN_ORDER;
    v->config = setup->config;
    v->config_size = setup->config_size;
    for (unsigned i = 0; i < v->queues; i++)
        v->queue[i] = (struct virtq){ .gmem = v->gmem, .max_size = v->ops->queue_size };
}

const char *virtio_mmio_unused(const struct device *d)
{
    const struct virtio_mmio *v = (const struct virtio_mmio *)d; /* its first member */
    return v->driven ? NULL : v->ops->name;
}

void virtio_mmio_fini(struct virtio_mmio *v)
{
    lock_fini(&v->device.lock);
}
