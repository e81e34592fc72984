/*
 * A PCI host bridge with one bus, whose configuration space is memory (ECAM, PCI Express 6.0
 * section 7.2.2), and functions that have one memory BAR each. Linux calls it
 * pci-host-ecam-generic.
 *
 * There is no bridge function: device n of bus 0 is what was plugged in at n. Where nothing is,
 * reads are ones and writes do nothing. Device n has INTA only, on a wire of its own.
 *
 * Threads: the functions are constant from before the first vCPU runs. A function's lock is its
 * device's, taken here for each access; where a BAR is, is atomic, so that finding it takes none.
 */
#ifndef DEVICES_PCI_HOST_H
#define DEVICES_PCI_HOST_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/compiler.h"
#include "devices/device.h"
#include "devices/pci/config.h"

#define PCI_SLOTS 32u

/* The requester of the function of `slot`: bus 0, function 0. */
#define PCI_REQUESTER(slot) ((uint32_t)(slot) << 3)

struct pci_function {
    /* Its `read` and `write` are those of BAR 0, which has ops->size bytes. */
    struct device *device;
    struct pci_config config;
    /* Before a read of the configuration space, and after a write. NULL: there is nothing to do.
     * The device's lock is held. */
    void (*config_before_read)(struct pci_function *f, unsigned offset, unsigned width);
    void (*config_after_write)(struct pci_function *f, unsigned offset, unsigned width,
                               uint32_t value);
    _Atomic uint64_t base; /* of BAR 0, or PCI_NOWHERE */
};

#define PCI_NOWHERE UINT64_MAX

/* Where the bridge is, for its own use and for its node. Memory has the same addresses on the bus
 * and for a CPU. */
struct pci_host_place {
    uint64_t ecam, ecam_size; /* 1 MiB for each bus */
    uint64_t memory, memory_size;
    uint64_t io, io_size; /* nothing is ever there, but firmware wants to see it */
    uint32_t spi;         /* device n has SPI spi + n */
    uint32_t gic_phandle, msi_phandle;
    bool its; /* messages name their sender */
};

struct pci_host {
    struct pci_host_place place;
    struct pci_function *slot[PCI_SLOTS];
};

/* Plug in at `slot`, which is free. */
void pci_host_add(struct pci_host *h, unsigned slot, struct pci_function *f);

/* The BAR moved, or memory accesses went on or off. The device's lock is held. */
void pci_function_place(struct pci_function *f);

/* Accesses by a CPU: `offset` from the start of the area, aligned to the width. */
uint64_t pci_host_ecam_read(struct pci_host *h, uint64_t offset, unsigned width);
void pci_host_ecam_write(struct pci_host *h, uint64_t offset, unsigned width, uint64_t value);
uint64_t pci_host_memory_read(struct pci_host *h, uint64_t offset, unsigned width);
void pci_host_memory_write(struct pci_host *h, uint64_t offset, unsigned width, uint64_t value);

/* Append the bridge's node to the tree under construction. 0 or negative errno. */
int pci_host_fdt(const struct pci_host *h, void *fdt) MUST_CHECK;

#endif
