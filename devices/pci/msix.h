/*
 * MSI-X (PCI Local Bus 3.0, section 6.8.2): a table of messages, one for each vector, and what
 * waits because it is masked. A message is a write of 32 bits by the device, to an address that the
 * driver chose; only an interrupt controller's frame is a place to write to here.
 *
 * Threads: the device's lock is held.
 */
#ifndef DEVICES_PCI_MSIX_H
#define DEVICES_PCI_MSIX_H

#include <stdbool.h>
#include <stdint.h>

#define MSIX_MAX_VECTORS 32u
#define MSIX_ENTRY_SIZE  16u

/* Who carries messages. `requester` is bus, device and function of the sender. May take locks of a
 * higher rank than LOCK_DEVICE. */
struct msix_bus {
    void (*send)(void *ctx, uint32_t requester, uint64_t address, uint32_t data);
    void *ctx;
};

struct msix {
    struct msix_bus bus;
    uint32_t requester;
    unsigned count;
    uint8_t table[MSIX_MAX_VECTORS * MSIX_ENTRY_SIZE];
    uint32_t pending;     /* bit n: vector n */
    bool enabled, masked; /* of the capability's control word */
};

/* `m` is zeroed; `count` vectors, up to MSIX_MAX_VECTORS. */
void msix_init(struct msix *m, unsigned count, const struct msix_bus *bus, uint32_t requester);
void msix_reset(struct msix *m);

/* Message control, as the driver wrote it. */
#define MSIX_CONTROL_ENABLE (1u << 15)
#define MSIX_CONTROL_MASK   (1u << 14)
void msix_set_control(struct msix *m, uint16_t control);

/* Send the message of `vector`, or remember it. One that is not there is ignored. */
void msix_notify(struct msix *m, unsigned vector);

/* The table: 4 or 8 bytes, aligned. The pending bits are read only. */
uint64_t msix_table_read(const struct msix *m, uint64_t offset, unsigned width);
void msix_table_write(struct msix *m, uint64_t offset, unsigned width, uint64_t value);
uint64_t msix_pending_read(const struct msix *m, uint64_t offset, unsigned width);

#endif
