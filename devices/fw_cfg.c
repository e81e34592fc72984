#include "devices/fw_cfg.h"

#include <assert.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"

/* The window. Selector and address are big-endian, data is bytes in their order. */
enum { REG_DATA = 0x00, REG_SELECTOR = 0x08, REG_DMA = 0x10, WINDOW_SIZE = 0x18 };

enum { ID_TRADITIONAL = 1, ID_DMA = 2 };

/* A descriptor in guest memory: control and length of 32 bits, an address of 64. */
enum { DMA_ERROR = 1, DMA_READ = 2, DMA_SKIP = 4, DMA_SELECT = 8, DMA_WRITE = 16 };
enum { DMA_SIZE = 16 };

#define DMA_SIGNATURE "QEMU CFG"

#define KEYS 0x20u

struct item {
    const uint8_t *bytes;
    size_t size;
};

struct fw_cfg {
    struct device device; /* first */
    const struct gmem *gmem;
    struct item item[KEYS];
    uint8_t number[KEYS][4]; /* items that are a number */
    uint16_t selected;
    uint64_t at; /* in the selected item; may be behind its end */
    uint32_t dma_high;
};

static struct fw_cfg *fw_cfg_of(struct device *d)
{
    return CONTAINER_OF(d, struct fw_cfg, device);
}

/* ------------------------------------------------------------------ items */

static void fw_cfg_select(struct fw_cfg *f, uint16_t key)
{
    f->selected = key;
    f->at = 0;
}

/* What is left of the selected item. */
static struct item fw_cfg_rest(const struct fw_cfg *f)
{
    struct item i = { 0 };
    if (f->selected < KEYS && f->at < f->item[f->selected].size) {
        i.bytes = f->item[f->selected].bytes + f->at;
        i.size = f->item[f->selected].size - f->at;
    }
    return i;
}

static uint64_t fw_cfg_take(struct fw_cfg *f, unsigned width)
{
    const struct item rest = fw_cfg_rest(f);
    uint8_t bytes[8] = { 0 };
    if (rest.size > 0)
        memcpy(bytes, rest.bytes, rest.size < width ? rest.size : width);
    f->at += width;
    return ld_le64(bytes);
}

static void fw_cfg_put_number(struct fw_cfg *f, enum fw_cfg_key key, uint32_t value)
{
    st_le32(f->number[key], value);
    f->item[key] = (struct item){ f->number[key], 4 };
}

void fw_cfg_set(struct device *d, enum fw_cfg_key key, enum fw_cfg_key size_key, const void *bytes,
                size_t size)
{
    struct fw_cfg *f = fw_cfg_of(d);
    assert(key < KEYS && size_key < KEYS && size <= UINT32_MAX);
    f->item[key] = (struct item){ bytes, size };
    if (size_key)
        fw_cfg_put_number(f, size_key, (uint32_t)size);
}

/* ------------------------------------------------------------------ copies to guest memory */

/* Behind its end an item is zeroes. */
static int fw_cfg_copy(const struct fw_cfg *f, gpa_t to, uint32_t length)
{
    const struct item rest = fw_cfg_rest(f);
    uint64_t n = rest.size < length ? rest.size : length;
    if (!gmem_contains(f->gmem, to, length))
        return -EFAULT;
    int r = n > 0 ? gmem_write(f->gmem, to, rest.bytes, n) : 0;
    return r < 0 || n == length ? r : gmem_fill(f->gmem, to + n, 0, length - n);
}

/* One operation; the guest's control word is where its result goes, 0 or an error. */
static void fw_cfg_dma(struct fw_cfg *f, gpa_t at)
{
    uint8_t raw[DMA_SIZE], result[4];
    if (gmem_read(f->gmem, at, raw, sizeof raw) < 0)
        return; /* nowhere to say so */
    uint32_t control = ld_be32(raw), length = ld_be32(raw + 4);
    int r = 0;
    if (control & DMA_SELECT)
        fw_cfg_select(f, (uint16_t)(control >> 16));
    if (control & DMA_READ)
        r = fw_cfg_copy(f, ld_be64(raw + 8), length);
    else if (control & DMA_WRITE)
        r = -EROFS;
    if (r == 0 && control & (DMA_READ | DMA_SKIP))
        f->at += length;
    st_be32(result, r < 0 ? DMA_ERROR : 0);
    if (gmem_write(f->gmem, at, result, sizeof result) < 0)
        return; /* it was readable, so it is RAM */
}

/* ------------------------------------------------------------------ registers */

static uint64_t fw_cfg_read(struct device *d, uint64_t offset, unsigned width)
{
    struct fw_cfg *f = fw_cfg_of(d);
    uint8_t bytes[8] = { 0 };
    if (offset < REG_SELECTOR)
        return fw_cfg_take(f, width);
    if (offset >= REG_DMA)
        memcpy(bytes, &DMA_SIGNATURE[offset - REG_DMA], width);
    return ld_le64(bytes);
}

static void fw_cfg_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct fw_cfg *f = fw_cfg_of(d);
    uint8_t bytes[8];
    st_le64(bytes, value);
    if (offset == REG_SELECTOR && width == 2) {
        fw_cfg_select(f, ld_be16(bytes));
    } else if (offset == REG_DMA && width == 8) {
        fw_cfg_dma(f, ld_be64(bytes));
    } else if (offset == REG_DMA && width == 4) {
        f->dma_high = ld_be32(bytes);
    } else if (offset == REG_DMA + 4 && width == 4) {
        gpa_t at = (gpa_t)f->dma_high << 32 | ld_be32(bytes);
        f->dma_high = 0;
        fw_cfg_dma(f, at);
    }
}

/* ------------------------------------------------------------------ the device */

static void fw_cfg_reset(struct device *d)
{
    struct fw_cfg *f = fw_cfg_of(d);
    fw_cfg_select(f, 0);
    f->dma_high = 0;
}

static int fw_cfg_fdt(const struct device *d, void *fdt, const struct device_place *place)
{
    (void)d;
    char name[32];
    const fdt32_t reg[] = { cpu_to_fdt32((uint32_t)(place->base >> 32)),
                            cpu_to_fdt32((uint32_t)place->base), 0, cpu_to_fdt32(WINDOW_SIZE) };
    snprintf(name, sizeof name, "fw-cfg@%llx", (unsigned long long)place->base);
    if (fdt_begin_node(fdt, name) || fdt_property_string(fdt, "compatible", "qemu,fw-cfg-mmio") ||
        fdt_property(fdt, "reg", reg, sizeof reg) || fdt_property(fdt, "dma-coherent", NULL, 0) ||
        fdt_end_node(fdt))
        return -ENOSPC;
    return 0;
}

static void fw_cfg_destroy(struct device *d)
{
    lock_fini(&d->lock);
    free(fw_cfg_of(d));
}

static const struct device_ops fw_cfg_ops = {
    .name = "fw_cfg",
    .size = WINDOW_SIZE,
    .min_width = 1,
    .max_width = 8,
    .read = fw_cfg_read,
    .write = fw_cfg_write,
    .reset = fw_cfg_reset,
    .fdt = fw_cfg_fdt,
    .destroy = fw_cfg_destroy,
};

int fw_cfg_create(const struct fw_cfg_config *config, struct device **out)
{
    struct fw_cfg *f = calloc(1, sizeof *f);
    if (!f)
        return -ENOMEM;
    f->device.ops = &fw_cfg_ops;
    lock_init(&f->device.lock, LOCK_DEVICE);
    f->gmem = config->gmem;
    fw_cfg_set(&f->device, FW_CFG_SIGNATURE, 0, "QEMU", 4);
    fw_cfg_put_number(f, FW_CFG_ID, ID_TRADITIONAL | ID_DMA);
    fw_cfg_put_number(f, FW_CFG_CPUS, config->cpus);
    fw_cfg_put_number(f, FW_CFG_DIRECTORY, 0); /* no named items */
    *out = &f->device;
    return 0;
}
