#include "devices/pci/host.h"

#include <assert.h>
#include <errno.h>
#include <libfdt.h>
#include <stdio.h>

#include "base/bits.h"

#define ECAM_BUS_SHIFT 20
#define ECAM_SHIFT     12 /* of device and function */

void pci_host_add(struct pci_host *h, unsigned slot, struct pci_function *f)
{
    assert(slot < PCI_SLOTS && !h->slot[slot]);
    h->slot[slot] = f;
    atomic_store_explicit(&f->base, PCI_NOWHERE, memory_order_relaxed);
}

/* Relaxed: whoever finds the function by its base takes its lock before anything else. */
void pci_function_place(struct pci_function *f)
{
    uint64_t base;
    bool on = pci_config_bar(&f->config, &base);
    atomic_store_explicit(&f->base, on ? base : PCI_NOWHERE, memory_order_relaxed);
}

/* ------------------------------------------------------------------ configuration space */

/* The function that an offset into the ECAM is about, or NULL. */
static struct pci_function *host_function(const struct pci_host *h, uint64_t offset)
{
    uint64_t function = offset >> ECAM_SHIFT; /* bus 8, device 5, function 3 bits */
    return function < 8 * PCI_SLOTS && function % 8 == 0 ? h->slot[function / 8] : NULL;
}

uint64_t pci_host_ecam_read(struct pci_host *h, uint64_t offset, unsigned width)
{
    struct pci_function *f = host_function(h, offset);
    if (!f)
        return ones(8 * width);
    unsigned at = (unsigned)bits(offset, ECAM_SHIFT - 1, 0);
    lock_acquire(&f->device->lock);
    if (f->config_before_read)
        f->config_before_read(f, at, width);
    uint32_t value = pci_config_read(&f->config, at, width);
    lock_release(&f->device->lock);
    return value;
}

void pci_host_ecam_write(struct pci_host *h, uint64_t offset, unsigned width, uint64_t value)
{
    struct pci_function *f = host_function(h, offset);
    if (!f)
        return;
    unsigned at = (unsigned)bits(offset, ECAM_SHIFT - 1, 0);
    lock_acquire(&f->device->lock);
    pci_config_write(&f->config, at, width, (uint32_t)value);
    pci_function_place(f);
    if (f->config_after_write)
        f->config_after_write(f, at, width, (uint32_t)value);
    lock_release(&f->device->lock);
}

/* ------------------------------------------------------------------ memory */

/* The function whose BAR has all of the access, and where in it; NULL: none. BARs that software put
 * on top of each other are the first one's. */
static struct pci_function *host_bar(const struct pci_host *h, uint64_t address, unsigned width,
                                     uint64_t *offset)
{
    for (unsigned i = 0; i < PCI_SLOTS; i++) {
        struct pci_function *f = h->slot[i];
        if (!f)
            continue;
        *offset = address - atomic_load_explicit(&f->base, memory_order_relaxed);
        if (*offset < f->device->ops->size && width <= f->device->ops->size - *offset)
            return f;
    }
    return NULL;
}

uint64_t pci_host_memory_read(struct pci_host *h, uint64_t offset, unsigned width)
{
    uint64_t at;
    struct pci_function *f = host_bar(h, h->place.memory + offset, width, &at);
    if (!f)
        return ones(8 * width);
    lock_acquire(&f->device->lock);
    uint64_t value = f->device->ops->read(f->device, at, width);
    lock_release(&f->device->lock);
    return value;
}

void pci_host_memory_write(struct pci_host *h, uint64_t offset, unsigned width, uint64_t value)
{
    uint64_t at;
    struct pci_function *f = host_bar(h, h->place.memory + offset, width, &at);
    if (!f)
        return;
    lock_acquire(&f->device->lock);
    f->device->ops->write(f->device, at, width, value);
    lock_release(&f->device->lock);
}

/* ------------------------------------------------------------------ device tree */

/* IEEE 1275 PCI bus binding, "ranges"; Linux, bindings/pci/host-generic-pci.yaml and pci-msi.txt.
 */
enum { FDT_PCI_IO = 0x01000000, FDT_PCI_MEMORY = 0x02000000, FDT_PCI_DEVICE_SHIFT = 11 };
enum { FDT_GIC_SPI = 0, FDT_IRQ_LEVEL_HIGH = 4 };

#define FDT_CELLS_MAX (PCI_SLOTS * 10)

struct cells {
    fdt32_t cell[FDT_CELLS_MAX];
    unsigned count;
};

static void cells_add(struct cells *c, uint32_t value)
{
    assert(c->count < FDT_CELLS_MAX);
    c->cell[c->count++] = cpu_to_fdt32(value);
}

static void cells_add64(struct cells *c, uint64_t value)
{
    cells_add(c, (uint32_t)(value >> 32));
    cells_add(c, (uint32_t)value);
}

static int cells_write(void *fdt, const char *name, const struct cells *c)
{
    return fdt_property(fdt, name, c->cell, (int)(c->count * sizeof c->cell[0]));
}

static int fdt_reg(const struct pci_host *h, void *fdt)
{
    struct cells c = { .count = 0 };
    cells_add64(&c, h->place.ecam);
    cells_add64(&c, h->place.ecam_size);
    return cells_write(fdt, "reg", &c);
}

static int fdt_buses(const struct pci_host *h, void *fdt)
{
    struct cells c = { .count = 0 };
    cells_add(&c, 0);
    cells_add(&c, (uint32_t)(h->place.ecam_size >> ECAM_BUS_SHIFT) - 1);
    return cells_write(fdt, "bus-range", &c);
}

static int fdt_ranges(const struct pci_host *h, void *fdt)
{
    const struct pci_host_place *p = &h->place;
    struct cells c = { .count = 0 };
    cells_add(&c, FDT_PCI_IO);
    cells_add64(&c, 0);
    cells_add64(&c, p->io);
    cells_add64(&c, p->io_size);
    cells_add(&c, FDT_PCI_MEMORY);
    cells_add64(&c, p->memory);
    cells_add64(&c, p->memory);
    cells_add64(&c, p->memory_size);
    return cells_write(fdt, "ranges", &c);
}

static int fdt_interrupts(const struct pci_host *h, void *fdt)
{
    struct cells mask = { .cell = { cpu_to_fdt32((PCI_SLOTS - 1) << FDT_PCI_DEVICE_SHIFT), 0, 0,
                                    cpu_to_fdt32(7) },
                          .count = 4 };
    struct cells c = { .count = 0 };
    for (unsigned i = 0; i < PCI_SLOTS; i++) {
        if (!h->slot[i])
            continue;
        cells_add(&c, i << FDT_PCI_DEVICE_SHIFT);
        cells_add64(&c, 0);
        cells_add(&c, 1); /* INTA */
        cells_add(&c, h->place.gic_phandle);
        cells_add64(&c, 0);
        cells_add(&c, FDT_GIC_SPI);
        cells_add(&c, h->place.spi + i);
        cells_add(&c, FDT_IRQ_LEVEL_HIGH);
    }
    int r = cells_write(fdt, "interrupt-map-mask", &mask);
    return r < 0 ? r : cells_write(fdt, "interrupt-map", &c);
}

/* A message to a frame is the same from everyone; to an ITS the sender is part of it. */
static int fdt_messages(const struct pci_host *h, void *fdt)
{
    if (!h->place.its)
        return fdt_property_u32(fdt, "msi-parent", h->place.msi_phandle);
    struct cells c = { .count = 0 };
    cells_add(&c, 0);
    cells_add(&c, h->place.msi_phandle);
    cells_add(&c, 0);
    cells_add(&c, 0x10000);
    return cells_write(fdt, "msi-map", &c);
}

int pci_host_fdt(const struct pci_host *h, void *fdt)
{
    char name[40];
    snprintf(name, sizeof name, "pcie@%llx", (unsigned long long)h->place.ecam);
    if (fdt_begin_node(fdt, name) ||
        fdt_property_string(fdt, "compatible", "pci-host-ecam-generic") ||
        fdt_property_string(fdt, "device_type", "pci") || fdt_reg(h, fdt) || fdt_buses(h, fdt) ||
        fdt_property_u32(fdt, "linux,pci-domain", 0) ||
        fdt_property_u32(fdt, "#address-cells", 3) || fdt_property_u32(fdt, "#size-cells", 2) ||
        fdt_ranges(h, fdt) || fdt_property_u32(fdt, "#interrupt-cells", 1) ||
        fdt_interrupts(h, fdt) || fdt_messages(h, fdt) ||
        fdt_property(fdt, "dma-coherent", NULL, 0) || fdt_end_node(fdt))
        return -ENOSPC;
    return 0;
}
