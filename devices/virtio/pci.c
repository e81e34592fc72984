/*
 * virtio over PCI: virtio 1.2, section 4.1.
 *
 * One BAR has everything: a page for each of the structures that the capabilities point to, and the
 * MSI-X table. The common configuration is virtio-mmio's registers at other offsets, so a table
 * says which is which, and the status machine of mmio.c is the only one. What is PCI's own is the
 * vectors, and that a queue has its greatest size until the driver gives another.
 *
 * With MSI-X on, a queue's news is its vector's message; with MSI-X off, the ISR status and INTA.
 */
#include "devices/virtio/pci.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "devices/virtio/device.h"
#include "devices/virtio/mmio.h"
#include "devices/virtio/mmio_regs.h"

#define PCI_VENDOR_VIRTIO 0x1af4
#define PCI_DEVICE_VIRTIO 0x1040 /* and the device ID */
#define PCI_SUBSYSTEM_ID  0x1100

enum { NO_VECTOR = 0xffff };

/* The pages of the BAR. */
enum {
    BAR_COMMON = 0x0000,
    BAR_ISR = 0x1000,
    BAR_DEVICE = 0x2000,
    BAR_NOTIFY = 0x3000,
    BAR_TABLE = 0x4000,
    BAR_PENDING = 0x5000,
    BAR_SIZE = 0x8000,
    BAR_PAGE = 0x1000,
    NOTIFY_MULTIPLIER = 4,
};

/* Types of vendor capabilities (4.1.4), and where the fields of one are, from its start. */
enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_PCI = 5 };
enum { CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_DATA = 16 };

/* Message control of the MSI-X capability. */
enum { MSIX_CONTROL = 2 };

struct virtio_pci {
    struct pci_function function; /* first */
    struct virtio_device *v;
    const struct device_ops *mmio; /* the registers' */
    struct irq_line line;
    bool level; /* of the registers' wire */
    struct msix msix;
    unsigned msix_at, window_at; /* capabilities */
    uint16_t config_vector, queue_vector[VIRTIO_MAX_QUEUES];
};

static struct virtio_pci *pci_of(struct device *d)
{
    return CONTAINER_OF(d, struct virtio_device, device)->transport;
}

/* ------------------------------------------------------------------ interrupts */

static void pci_update_line(struct virtio_pci *p)
{
    uint16_t command = ld_le16(p->function.config.bytes + PCI_COMMAND);
    irq_line_set(&p->line, p->level && !p->msix.enabled && !(command & PCI_COMMAND_INTX_DISABLE));
}

/* The wire of the registers: the ISR status is, or is no more, zero. */
static void pci_set_level(void *ctx, unsigned n, bool level)
{
    struct virtio_pci *p = ctx;
    (void)n;
    p->level = level;
    pci_update_line(p);
}

static bool pci_message(struct virtio_device *v, unsigned queue)
{
    struct virtio_pci *p = v->transport;
    if (!p->msix.enabled)
        return false;
    msix_notify(&p->msix, queue < VIRTIO_MAX_QUEUES ? p->queue_vector[queue] : p->config_vector);
    return true;
}

/* ------------------------------------------------------------------ common configuration */

static uint32_t reg_read(const struct virtio_pci *p, unsigned reg)
{
    return (uint32_t)p->mmio->read(&p->v->device, reg, 4);
}

static void reg_write(const struct virtio_pci *p, unsigned reg, uint32_t value)
{
    p->mmio->write(&p->v->device, reg, 4, value);
}

static struct virtq *pci_queue(const struct virtio_pci *p)
{
    struct virtio_device *v = p->v;
    return v->queue_sel < v->queues ? &v->queue[v->queue_sel] : NULL;
}

/* The fields of struct virtio_pci_common_cfg (4.1.4.3). */
enum field {
    FIELD_OFFERED_SEL = 0x00,
    FIELD_OFFERED = 0x04,
    FIELD_ACCEPTED_SEL = 0x08,
    FIELD_ACCEPTED = 0x0c,
    FIELD_CONFIG_VECTOR = 0x10,
    FIELD_QUEUES = 0x12,
    FIELD_STATUS = 0x14,
    FIELD_GENERATION = 0x15,
    FIELD_QUEUE_SEL = 0x16,
    FIELD_QUEUE_SIZE = 0x18,
    FIELD_QUEUE_VECTOR = 0x1a,
    FIELD_QUEUE_ENABLE = 0x1c,
    FIELD_QUEUE_NOTIFY = 0x1e,
    FIELD_QUEUE_DESC = 0x20,
    FIELD_QUEUE_DRIVER = 0x28,
    FIELD_QUEUE_DEVICE = 0x30,
    FIELD_NOTIFY_DATA = 0x38,
    FIELD_QUEUE_RESET = 0x3a,
    COMMON_SIZE = 0x3c,
};

/* `reg` is where a write goes, or 0. */
static const struct {
    uint8_t offset, width;
    uint16_t reg;
} fields[] = {
    { FIELD_OFFERED_SEL, 4, REG_DEVICE_FEATURES_SEL },
    { FIELD_OFFERED, 4, 0 },
    { FIELD_ACCEPTED_SEL, 4, REG_DRIVER_FEATURES_SEL },
    { FIELD_ACCEPTED, 4, REG_DRIVER_FEATURES },
    { FIELD_CONFIG_VECTOR, 2, 0 },
    { FIELD_QUEUES, 2, 0 },
    { FIELD_STATUS, 1, REG_STATUS },
    { FIELD_GENERATION, 1, 0 },
    { FIELD_QUEUE_SEL, 2, REG_QUEUE_SEL },
    { FIELD_QUEUE_SIZE, 2, REG_QUEUE_NUM },
    { FIELD_QUEUE_VECTOR, 2, 0 },
    { FIELD_QUEUE_ENABLE, 2, 0 },
    { FIELD_QUEUE_NOTIFY, 2, 0 },
    { FIELD_QUEUE_DESC, 4, REG_QUEUE_DESC_LOW },
    { FIELD_QUEUE_DESC + 4, 4, REG_QUEUE_DESC_HIGH },
    { FIELD_QUEUE_DRIVER, 4, REG_QUEUE_DRIVER_LOW },
    { FIELD_QUEUE_DRIVER + 4, 4, REG_QUEUE_DRIVER_HIGH },
    { FIELD_QUEUE_DEVICE, 4, REG_QUEUE_DEVICE_LOW },
    { FIELD_QUEUE_DEVICE + 4, 4, REG_QUEUE_DEVICE_HIGH },
    { FIELD_NOTIFY_DATA, 2, 0 },
    { FIELD_QUEUE_RESET, 2, 0 },
};

/* The row of a field that is accessed in its own width, or -1: all other accesses are the driver's
 * mistake (4.1.3.1). */
static int field_find(uint64_t offset, unsigned width)
{
    for (unsigned i = 0; i < ARRAY_LEN(fields); i++)
        if (fields[i].offset == offset && fields[i].width == width)
            return (int)i;
    return -1;
}

static uint32_t queue_size(const struct virtq *q)
{
    return q->size ? q->size : q->max_size;
}

/* A field of the selected queue. */
static uint32_t queue_field(const struct virtio_pci *p, const struct virtq *q, uint64_t offset)
{
    switch (offset) {
    case FIELD_QUEUE_SIZE:
        return queue_size(q);
    case FIELD_QUEUE_VECTOR:
        return p->queue_vector[p->v->queue_sel];
    case FIELD_QUEUE_ENABLE:
        return q->ready;
    case FIELD_QUEUE_NOTIFY:
        return p->v->queue_sel;
    case FIELD_QUEUE_DESC:
        return (uint32_t)q->desc;
    case FIELD_QUEUE_DESC + 4:
        return (uint32_t)(q->desc >> 32);
    case FIELD_QUEUE_DRIVER:
        return (uint32_t)q->avail;
    case FIELD_QUEUE_DRIVER + 4:
        return (uint32_t)(q->avail >> 32);
    case FIELD_QUEUE_DEVICE:
        return (uint32_t)q->used;
    case FIELD_QUEUE_DEVICE + 4:
        return (uint32_t)(q->used >> 32);
    case FIELD_QUEUE_RESET:
        return q == p->v->resetting;
    default:
        return 0;
    }
}

static uint32_t field_read(const struct virtio_pci *p, uint64_t offset)
{
    const struct virtio_device *v = p->v;
    const struct virtq *q = pci_queue(p);
    switch (offset) {
    case FIELD_OFFERED_SEL:
        return v->offered_sel;
    case FIELD_OFFERED:
        return reg_read(p, REG_DEVICE_FEATURES);
    case FIELD_ACCEPTED_SEL:
        return v->accepted_sel;
    case FIELD_ACCEPTED:
        return v->accepted_sel < 2 ? (uint32_t)(v->accepted >> (32 * v->accepted_sel)) : 0;
    case FIELD_CONFIG_VECTOR:
        return p->config_vector;
    case FIELD_QUEUES:
        return v->queues;
    case FIELD_STATUS:
        return v->status;
    case FIELD_GENERATION:
        return v->config_generation & 0xff;
    case FIELD_QUEUE_SEL:
        return v->queue_sel;
    default:
        return q                              ? queue_field(p, q, offset)
               : offset == FIELD_QUEUE_VECTOR ? NO_VECTOR
                                              : 0; /* 4.1.4.3.1: a queue that is not there */
    }
}

static uint16_t pci_vector(const struct virtio_pci *p, uint32_t value)
{
    return value < p->msix.count ? (uint16_t)value : NO_VECTOR;
}

static void pci_forget_vectors(struct virtio_pci *p)
{
    p->config_vector = NO_VECTOR;
    for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
        p->queue_vector[i] = NO_VECTOR;
}

static void pci_reset_queue(struct virtio_pci *p, uint32_t value)
{
    if (value == 1 && !p->v->stopping && virtio_device_reset_queue(p->v))
        p->queue_vector[p->v->queue_sel] = NO_VECTOR;
}

/* A queue cannot be disabled but by reset (4.1.4.3.2). */
static void pci_enable_queue(const struct virtio_pci *p, uint32_t value)
{
    const struct virtq *q = pci_queue(p);
    if (value != 1 || !q)
        return;
    reg_write(p, REG_QUEUE_NUM, queue_size(q));
    reg_write(p, REG_QUEUE_READY, 1);
}

static void field_write(struct virtio_pci *p, int field, uint32_t value)
{
    switch (fields[field].offset) {
    case FIELD_CONFIG_VECTOR:
        p->config_vector = pci_vector(p, value);
        break;
    case FIELD_QUEUE_VECTOR:
        if (pci_queue(p))
            p->queue_vector[p->v->queue_sel] = pci_vector(p, value);
        break;
    case FIELD_QUEUE_ENABLE:
        pci_enable_queue(p, value);
        break;
    case FIELD_QUEUE_RESET:
        pci_reset_queue(p, value);
        break;
    case FIELD_STATUS:
        reg_write(p, REG_STATUS, value);
        if (value == 0 && !p->v->stopping)
            pci_forget_vectors(p);
        break;
    default:
        if (fields[field].reg)
            reg_write(p, fields[field].reg, value);
        break;
    }
}

static uint64_t common_read(const struct virtio_pci *p, uint64_t offset, unsigned width)
{
    if (width == 8)
        return common_read(p, offset, 4) | common_read(p, offset + 4, 4) << 32;
    return field_find(offset, width) < 0 ? 0 : field_read(p, offset);
}

static void common_write(struct virtio_pci *p, uint64_t offset, unsigned width, uint64_t value)
{
    if (width == 8) {
        common_write(p, offset, 4, (uint32_t)value);
        common_write(p, offset + 4, 4, value >> 32);
        return;
    }
    int field = field_find(offset, width);
    if (field >= 0)
        field_write(p, field, (uint32_t)value);
}

/* ------------------------------------------------------------------ the BAR */

/* Reading the ISR status clears it (4.1.4.5). */
static uint64_t isr_read(const struct virtio_pci *p)
{
    uint32_t status = p->v->interrupt_status;
    if (status)
        reg_write(p, REG_INTERRUPT_ACK, status);
    return status;
}

static uint64_t pci_read(struct device *d, uint64_t offset, unsigned width)
{
    struct virtio_pci *p = pci_of(d);
    uint64_t at = offset % BAR_PAGE;
    switch (offset - at) {
    case BAR_COMMON:
        return common_read(p, at, width);
    case BAR_ISR:
        return at == 0 ? isr_read(p) : 0;
    case BAR_DEVICE:
        return at + width <= VIRTIO_MMIO_SIZE - REG_CONFIG
                   ? p->mmio->read(d, REG_CONFIG + at, width)
                   : 0;
    case BAR_TABLE:
        return msix_table_read(&p->msix, at, width);
    case BAR_PENDING:
        return msix_pending_read(&p->msix, at, width);
    default:
        return 0;
    }
}

static void pci_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct virtio_pci *p = pci_of(d);
    uint64_t at = offset % BAR_PAGE;
    switch (offset - at) {
    case BAR_COMMON:
        common_write(p, at, width, value);
        break;
    case BAR_DEVICE:
        if (at + width <= VIRTIO_MMIO_SIZE - REG_CONFIG)
            p->mmio->write(d, REG_CONFIG + at, width, value);
        break;
    case BAR_NOTIFY:
        reg_write(p, REG_QUEUE_NOTIFY, (uint32_t)at / NOTIFY_MULTIPLIER);
        break;
    case BAR_TABLE:
        msix_table_write(&p->msix, at, width, value);
        break;
    default:
        break;
    }
}

/* ------------------------------------------------------------------ configuration space */

/* What the window of VIRTIO_PCI_CAP_PCI_CFG looks at (4.1.4.9); false: nothing, or not as one
 * access of that width may. */
static bool window_target(const struct virtio_pci *p, unsigned offset, unsigned width, uint32_t *at)
{
    const uint8_t *cap = p->function.config.bytes + p->window_at;
    *at = ld_le32(cap + CAP_OFFSET);
    return offset == p->window_at + CAP_DATA && cap[CAP_BAR] == 0 &&
           ld_le32(cap + CAP_LENGTH) == width && *at % width == 0 && *at < BAR_SIZE;
}

static struct virtio_pci *pci_of_function(struct pci_function *f)
{
    return CONTAINER_OF(f, struct virtio_pci, function);
}

static void pci_before_read(struct pci_function *f, unsigned offset, unsigned width)
{
    struct virtio_pci *p = pci_of_function(f);
    uint32_t at;
    uint8_t *status = f->config.bytes + PCI_STATUS;
    *status = (uint8_t)((*status & ~PCI_STATUS_INTERRUPT) | (p->level ? PCI_STATUS_INTERRUPT : 0));
    if (window_target(p, offset, width, &at))
        st_le32(f->config.bytes + p->window_at + CAP_DATA,
                (uint32_t)pci_read(f->device, at, width));
}

static void pci_after_write(struct pci_function *f, unsigned offset, unsigned width, uint32_t value)
{
    struct virtio_pci *p = pci_of_function(f);
    uint32_t at;
    if (window_target(p, offset, width, &at))
        pci_write(f->device, at, width, value & ones(8 * width));
    msix_set_control(&p->msix, ld_le16(f->config.bytes + p->msix_at + MSIX_CONTROL));
    pci_update_line(p);
}

static void pci_add_capability(struct virtio_pci *p, uint8_t type, uint32_t offset, uint32_t length)
{
    /* Without ID and link. */
    uint8_t body[18] = { 0 }, writable[18] = { 0 };
    bool notify = type == CAP_NOTIFY, window = type == CAP_PCI;
    unsigned size = window || notify ? 18 : 14;
    body[0] = (uint8_t)(size + 2);
    body[1] = type;
    st_le32(body + CAP_OFFSET - 2, offset);
    st_le32(body + CAP_LENGTH - 2, length);
    if (notify)
        st_le32(body + CAP_DATA - 2, NOTIFY_MULTIPLIER);
    if (window) {
        writable[CAP_BAR - 2] = 0xff;
        for (unsigned i = CAP_OFFSET; i < CAP_DATA; i++)
            writable[i - 2] = 0xff;
        p->window_at = pci_config_add(&p->function.config, PCI_CAP_VENDOR, body, writable, size);
        return;
    }
    (void)pci_config_add(&p->function.config, PCI_CAP_VENDOR, body, NULL, size);
}

/* PCI 3.0, 6.8.2: message control, then where table and pending bits are, with the BAR's number. */
static void pci_add_msix(struct virtio_pci *p)
{
    uint8_t body[10] = { 0 };
    const uint8_t writable[10] = { [1] = (MSIX_CONTROL_ENABLE | MSIX_CONTROL_MASK) >> 8 };
    st_le16(body, (uint16_t)(p->msix.count - 1));
    st_le32(body + 2, BAR_TABLE);
    st_le32(body + 6, BAR_PENDING);
    p->msix_at = pci_config_add(&p->function.config, PCI_CAP_MSIX, body, writable, sizeof body);
}

/* By virtio's device ID; the others are of none of PCI's classes. */
static const struct {
    uint32_t id, class_code;
} classes[] = {
    { 1, 0x020000 },  /* network: Ethernet */
    { 2, 0x010000 },  /* block: SCSI storage */
    { 3, 0x078000 },  /* console: other communication */
    { 19, 0x078000 }, /* vsock: other communication */
    { 25, 0x040100 }, /* sound: audio */
    { 26, 0x018000 }, /* file system: other mass storage */
    { 27, 0x058000 }, /* pmem: other memory */
};

static uint32_t pci_class(uint32_t id)
{
    for (unsigned i = 0; i < ARRAY_LEN(classes); i++)
        if (classes[i].id == id)
            return classes[i].class_code;
    return 0xff0000;
}

static void pci_init_config(struct virtio_pci *p)
{
    uint32_t id = p->v->ops->id;
    const struct pci_identity identity = {
        .vendor = PCI_VENDOR_VIRTIO,
        .device = (uint16_t)(PCI_DEVICE_VIRTIO + id),
        .subsystem = PCI_SUBSYSTEM_ID,
        .revision = 1,
        .class_code = pci_class(id),
        .bar_size = BAR_SIZE,
    };
    pci_config_init(&p->function.config, &identity);
    pci_add_msix(p);
    pci_add_capability(p, CAP_COMMON, BAR_COMMON, COMMON_SIZE);
    pci_add_capability(p, CAP_NOTIFY, BAR_NOTIFY, NOTIFY_MULTIPLIER * p->v->queues);
    pci_add_capability(p, CAP_ISR, BAR_ISR, 1);
    if (p->v->config_size > 0)
        pci_add_capability(p, CAP_DEVICE, BAR_DEVICE, p->v->config_size);
    pci_add_capability(p, CAP_PCI, 0, 0);
}

/* ------------------------------------------------------------------ the device */

static void pci_reset(struct device *d)
{
    struct virtio_pci *p = pci_of(d);
    p->mmio->reset(d);
    pci_config_reset(&p->function.config);
    pci_function_place(&p->function);
    msix_reset(&p->msix);
    pci_forget_vectors(p);
    pci_update_line(p);
}

static void pci_destroy(struct device *d)
{
    struct virtio_pci *p = pci_of(d);
    p->mmio->destroy(d); /* waits for requests, which may have messages to send */
    free(p);
}

static const struct device_ops pci_ops = {
    .name = "virtio-pci",
    .size = BAR_SIZE,
    .min_width = 1,
    .max_width = 8,
    .read = pci_read,
    .write = pci_write,
    .reset = pci_reset,
    .destroy = pci_destroy,
};

int virtio_pci_create(struct device *d, struct pci_host *host,
                      const struct virtio_pci_config *config)
{
    struct virtio_device *v = CONTAINER_OF(d, struct virtio_device, device);
    struct virtio_pci *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->v = v;
    p->mmio = d->ops;
    p->line = config->irq;
    p->function.device = d;
    p->function.config_before_read = pci_before_read;
    p->function.config_after_write = pci_after_write;
    msix_init(&p->msix, v->queues + 1, &config->message, PCI_REQUESTER(config->slot));
    pci_forget_vectors(p);
    pci_init_config(p);
    pci_host_add(host, config->slot, &p->function);
    v->irq = (struct irq_line){ .set = pci_set_level, .ctx = p };
    v->message = pci_message;
    v->transport = p;
    d->ops = &pci_ops;
    return 0;
}
