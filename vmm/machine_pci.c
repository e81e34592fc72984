/*
 * The machine's PCI host bridge: its three areas on the bus, and the way of its messages to the
 * interrupt controller. Slot n of the bridge has the interrupt that slot n of virtio-mmio would
 * have.
 */
#include <errno.h>
#include <string.h>

#include <Hypervisor/hvx.h>

#include "devices/virtio/pci.h"
#include "gic/msi.h"
#include "vmm/machine.h"

static uint64_t pci_ecam_read(void *ctx, unsigned cpu, uint64_t offset, unsigned width)
{
    (void)cpu;
    return pci_host_ecam_read(ctx, offset, width);
}

static void pci_ecam_write(void *ctx, unsigned cpu, uint64_t offset, unsigned width, uint64_t value)
{
    (void)cpu;
    pci_host_ecam_write(ctx, offset, width, value);
}

static uint64_t pci_memory_read(void *ctx, unsigned cpu, uint64_t offset, unsigned width)
{
    (void)cpu;
    return pci_host_memory_read(ctx, offset, width);
}

static void pci_memory_write(void *ctx, unsigned cpu, uint64_t offset, unsigned width,
                             uint64_t value)
{
    (void)cpu;
    pci_host_memory_write(ctx, offset, width, value);
}

static uint64_t pci_io_read(void *ctx, unsigned cpu, uint64_t offset, unsigned width)
{
    (void)ctx;
    (void)cpu;
    (void)offset;
    (void)width;
    return UINT64_MAX; /* no function has I/O ports */
}

static void pci_io_write(void *ctx, unsigned cpu, uint64_t offset, unsigned width, uint64_t value)
{
    (void)ctx;
    (void)cpu;
    (void)offset;
    (void)width;
    (void)value;
}

static const struct {
    uint64_t base, size;
    struct bus_ops ops;
} pci_areas[] = {
    { MEMMAP_PCI_ECAM,
      MEMMAP_PCI_ECAM_SIZE,
      { .name = "pci configuration",
        .min_width = 1,
        .max_width = 4,
        .read = pci_ecam_read,
        .write = pci_ecam_write } },
    { MEMMAP_PCI_MEMORY,
      MEMMAP_PCI_MEMORY_SIZE,
      { .name = "pci memory",
        .min_width = 1,
        .max_width = 8,
        .read = pci_memory_read,
        .write = pci_memory_write } },
    { MEMMAP_PCI_IO,
      MEMMAP_PCI_IO_SIZE,
      { .name = "pci ports",
        .min_width = 1,
        .max_width = 4,
        .read = pci_io_read,
        .write = pci_io_write } },
};

/* A message of a device. One to where no interrupt controller listens is lost. */
static void pci_send(void *ctx, uint32_t requester, uint64_t address, uint32_t data)
{
    const struct machine *m = ctx;
    if (m->gic) {
        if (address == MEMMAP_GIC_MSI + MSI_SET_SPI)
            gicv2_msi_write(m->gic, MSI_SET_SPI, 4, data);
        return;
    }
    if (HVX_SINCE(15.0))
        (void)hvx_gic_send_message(requester, address, data);
}

int machine_add_pci_host(struct machine *m, const struct machine_config *config, struct err *e)
{
    bool its = config->gicv3 && config->vm->its;
    m->pci.place = (struct pci_host_place){
        .ecam = MEMMAP_PCI_ECAM,
        .ecam_size = MEMMAP_PCI_ECAM_SIZE,
        .memory = MEMMAP_PCI_MEMORY,
        .memory_size = MEMMAP_PCI_MEMORY_SIZE,
        .io = MEMMAP_PCI_IO,
        .io_size = MEMMAP_PCI_IO_SIZE,
        .spi = MEMMAP_SPI_VIRTIO,
        .gic_phandle = MACHINE_PHANDLE_GIC,
        .msi_phandle = its ? MACHINE_PHANDLE_ITS : MACHINE_PHANDLE_MSI,
        .its = its,
    };
    m->has_pci = true;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(pci_areas); i++)
        r = bus_add(&m->bus, pci_areas[i].base, pci_areas[i].size, &pci_areas[i].ops, &m->pci);
    if (r < 0)
        return err_set(e, r, "cannot place the PCI host bridge in the machine: %s", strerror(-r));
    return 0;
}

int machine_add_pci(struct machine *m, struct device *d, unsigned slot, struct err *e)
{
    const struct virtio_pci_config config = {
        .slot = slot,
        .irq = machine_spi(m, MEMMAP_SPI_VIRTIO + slot),
        .message = { .send = pci_send, .ctx = m },
    };
    machine_own_device(m, d, (struct device_place){ .spi = MEMMAP_SPI_VIRTIO + slot });
    int r = virtio_pci_create(d, &m->pci, &config);
    return r < 0 ? machine_device_error(e, r, "PCI") : 0;
}
