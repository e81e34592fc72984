#include "devices/pci/config.h"

#include <assert.h>
#include <string.h>

#include "base/bytes.h"

#define CONFIG_FIRST_CAPABILITY 0x40

/* The bits of a type 0 header that software can change, but for BARs. Bus mastering is remembered
 * and asks for nothing: what a device may do is told to it by its driver. */
static const struct {
    uint8_t offset, size;
    uint32_t writable;
} config_writable[] = {
    { PCI_COMMAND, 2, PCI_COMMAND_MEMORY | 1 << 2 | 1 << 6 | 1 << 8 | PCI_COMMAND_INTX_DISABLE },
    { 0x0c, 1, 0xff }, /* cache line size */
    { PCI_INTERRUPT_LINE, 1, 0xff },
};

void pci_config_init(struct pci_config *c, const struct pci_identity *identity)
{
    memset(c, 0, sizeof *c);
    st_le16(c->initial + PCI_VENDOR, identity->vendor);
    st_le16(c->initial + PCI_DEVICE, identity->device);
    st_le16(c->initial + PCI_STATUS, PCI_STATUS_CAPABILITIES);
    st_le32(c->initial + PCI_REVISION, identity->class_code << 8 | identity->revision);
    st_le16(c->initial + PCI_SUBSYSTEM_VENDOR, identity->vendor);
    st_le16(c->initial + PCI_SUBSYSTEM, identity->subsystem);
    c->initial[PCI_INTERRUPT_PIN] = 1; /* INTA */
    for (size_t i = 0; i < ARRAY_LEN(config_writable); i++)
        memcpy(c->writable + config_writable[i].offset, &config_writable[i].writable,
               config_writable[i].size);
    st_le32(c->writable + PCI_BAR0, ~(identity->bar_size - 1));
    c->link = PCI_CAPABILITIES;
    c->end = CONFIG_FIRST_CAPABILITY;
    pci_config_reset(c);
}

unsigned pci_config_add(struct pci_config *c, uint8_t id, const void *body, const void *writable,
                        unsigned size)
{
    unsigned at = c->end;
    assert(at + 2 + size <= PCI_CONFIG_SIZE);
    c->initial[c->link] = (uint8_t)at;
    c->initial[at] = id;
    memcpy(c->initial + at + 2, body, size);
    if (writable)
        memcpy(c->writable + at + 2, writable, size);
    c->link = at + 1;
    c->end = (at + 2 + size + 3) & ~3u;
    pci_config_reset(c);
    return at;
}

void pci_config_reset(struct pci_config *c)
{
    memcpy(c->bytes, c->initial, sizeof c->bytes);
}

uint32_t pci_config_read(const struct pci_config *c, unsigned offset, unsigned width)
{
    uint8_t word[4] = { 0 };
    if (offset < PCI_CONFIG_SIZE && width <= PCI_CONFIG_SIZE - offset)
        memcpy(word, c->bytes + offset, width);
    return ld_le32(word);
}

void pci_config_write(struct pci_config *c, unsigned offset, unsigned width, uint32_t value)
{
    for (unsigned i = 0; i < width && offset + i < PCI_CONFIG_SIZE; i++) {
        uint8_t mask = c->writable[offset + i];
        uint8_t *byte = &c->bytes[offset + i];
        *byte = (uint8_t)((*byte & ~mask) | ((value >> (8 * i)) & mask));
    }
}

bool pci_config_bar(const struct pci_config *c, uint64_t *base)
{
    *base = ld_le32(c->bytes + PCI_BAR0);
    return ld_le16(c->bytes + PCI_COMMAND) & PCI_COMMAND_MEMORY;
}
