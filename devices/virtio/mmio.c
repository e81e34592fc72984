/*
 * virtio-mmio, version 2: the register window of virtio 1.2, section 4.2.2. What the registers mean
 * is device.c's.
 */
#include "devices/virtio/mmio.h"

#include <errno.h>
#include <libfdt.h>
#include <stdio.h>

#include "devices/virtio/device.h"
#include "devices/virtio/mmio_regs.h"

enum {
    MAGIC = 0x74726976, /* "virt" */
    VERSION = 2,
    VENDOR = 0x4b455249, /* "IREK" */
};

/* Device tree interrupt cells (Linux, bindings/interrupt-controller/arm,gic.yaml). */
enum { FDT_GIC_SPI = 0, FDT_IRQ_LEVEL_HIGH = 4 };

static struct virtio_device *mmio_of(struct device *d)
{
    return CONTAINER_OF(d, struct virtio_device, device);
}

/* ------------------------------------------------------------------ registers */

static void set_half(uint64_t *value, bool high, uint32_t half)
{
    unsigned shift = high ? 32 : 0;
    *value = (*value & ~(0xffffffffull << shift)) | ((uint64_t)half << shift);
}

/* A register of the selected queue. */
static void mmio_write_queue(struct virtio_device *v, uint64_t offset, uint32_t value)
{
    struct virtq *q = virtio_device_queue(v);
    if (!virtio_device_queue_is_open(v))
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

static uint64_t mmio_read_config(const struct virtio_device *v, uint64_t offset, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        if (offset + i < v->config_size)
            value |= (uint64_t)v->config[offset + i] << (8 * i);
    return value;
}

static uint64_t mmio_read(struct device *d, uint64_t offset, unsigned width)
{
    struct virtio_device *v = mmio_of(d);
    if (offset >= REG_CONFIG)
        return mmio_read_config(v, offset - REG_CONFIG, width);
    if (width != 4)
        return 0;
    const struct virtq *q = virtio_device_queue(v);
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
        return virtio_device_offered(v);
    case REG_QUEUE_NUM_MAX:
        return q ? q->max_size : 0;
    case REG_QUEUE_READY:
        return q && q->ready;
    case REG_INTERRUPT_STATUS:
        return v->interrupt_status;
    case REG_STATUS:
        return v->status;
    case REG_QUEUE_RESET:
        return q && q == v->resetting;
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
    struct virtio_device *v = mmio_of(d);
    if (v->stopping && offset != REG_QUEUE_NOTIFY && offset != REG_INTERRUPT_ACK)
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
        virtio_device_accept(v, word);
        break;
    case REG_DRIVER_FEATURES_SEL:
        v->accepted_sel = word;
        break;
    case REG_QUEUE_SEL:
        v->queue_sel = word;
        break;
    case REG_QUEUE_NOTIFY:
        virtio_device_notify(v, word);
        break;
    case REG_QUEUE_READY:
        virtio_device_set_ready(v, word & 1);
        break;
    case REG_QUEUE_RESET:
        if (word == 1)
            (void)virtio_device_reset_queue(v);
        break;
    case REG_INTERRUPT_ACK:
        virtio_device_ack(v, word);
        break;
    case REG_STATUS:
        virtio_device_set_status(v, word);
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

static void mmio_reset(struct device *d)
{
    virtio_device_reset(mmio_of(d));
}

static void mmio_destroy(struct device *d)
{
    struct virtio_device *v = mmio_of(d);
    lock_acquire(&d->lock);
    virtio_device_reset(v);
    lock_release(&d->lock);
    v->ops->destroy(v);
}

const struct device_ops virtio_mmio_ops = {
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
