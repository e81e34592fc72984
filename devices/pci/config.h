/*
 * The configuration space of one PCI function (PCI Local Bus 3.0, chapter 6): a type 0 header, one
 * memory BAR and a list of capabilities, as three byte arrays: what is there, which bits software
 * may change, and what a reset brings back.
 */
#ifndef DEVICES_PCI_CONFIG_H
#define DEVICES_PCI_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

/* There are no capabilities of PCI Express, so nothing is behind these. */
#define PCI_CONFIG_SIZE 256u

enum pci_config_offset {
    PCI_VENDOR = 0x00,
    PCI_DEVICE = 0x02,
    PCI_COMMAND = 0x04,
    PCI_STATUS = 0x06,
    PCI_REVISION = 0x08, /* and the class, three bytes, behind it */
    PCI_BAR0 = 0x10,
    PCI_SUBSYSTEM_VENDOR = 0x2c,
    PCI_SUBSYSTEM = 0x2e,
    PCI_CAPABILITIES = 0x34,
    PCI_INTERRUPT_LINE = 0x3c,
    PCI_INTERRUPT_PIN = 0x3d,
};

enum {
    PCI_COMMAND_MEMORY = 1 << 1,
    PCI_COMMAND_INTX_DISABLE = 1 << 10,
    PCI_STATUS_INTERRUPT = 1 << 3,
    PCI_STATUS_CAPABILITIES = 1 << 4,
    PCI_CAP_VENDOR = 0x09,
    PCI_CAP_MSIX = 0x11,
};

struct pci_identity {
    uint16_t vendor, device, subsystem;
    uint8_t revision;
    uint32_t class_code; /* class, subclass and interface: 0x020000 is Ethernet */
    uint32_t bar_size;   /* bytes of BAR 0, a power of two from 16 */
};

struct pci_config {
    uint8_t bytes[PCI_CONFIG_SIZE], writable[PCI_CONFIG_SIZE], initial[PCI_CONFIG_SIZE];
    unsigned end;  /* of the last capability */
    unsigned link; /* where its offset is to be written */
};

void pci_config_init(struct pci_config *c, const struct pci_identity *identity);

/* Append a capability: its ID, then `size` bytes of `body`, of which the bits of `writable` (or
 * NULL: none) can be changed. Returns the capability's offset. Before the first reset. */
unsigned pci_config_add(struct pci_config *c, uint8_t id, const void *body, const void *writable,
                        unsigned size);

/* Back to what was initialised and added. */
void pci_config_reset(struct pci_config *c);

/* `width` is 1, 2 or 4, `offset` aligned to it. Behind the end reads are zero. */
uint32_t pci_config_read(const struct pci_config *c, unsigned offset, unsigned width);
void pci_config_write(struct pci_config *c, unsigned offset, unsigned width, uint32_t value);

/* Where BAR 0 is; false: memory accesses are off. */
bool pci_config_bar(const struct pci_config *c, uint64_t *base);

#endif
