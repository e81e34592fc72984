/*
 * The two banks of NOR flash that firmware runs from and keeps its variables in, side by side from
 * the start of the window. Bank 0 cannot be changed.
 *
 * As long as a bank gives its contents (read array mode) it can be memory of the guest: `show` says
 * when. A command hides it, so that reads come to the device; nobody shows it again before somebody
 * reads, because commands come in runs.
 */
#ifndef DEVICES_FLASH_H
#define DEVICES_FLASH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "devices/device.h"

#define FLASH_BANKS     2u
#define FLASH_BANK_SIZE (64u << 20)

struct flash_config {
    uint8_t *memory[FLASH_BANKS]; /* FLASH_BANK_SIZE bytes each; they outlive the device */
    /* The guest may read and execute the bank as memory, or no more. False: it cannot be shown. The
     * device's lock is held. */
    bool (*show)(void *ctx, unsigned bank, bool on);
    /* Bytes of bank 1 changed; keep them. 0 or negative errno. The device's lock is held. */
    int (*store)(void *ctx, uint64_t offset, uint64_t size);
    void *ctx;
};

/* The banks are hidden. 0 or -ENOMEM. */
int flash_create(const struct flash_config *config, struct device **out) MUST_CHECK;

/* The guest could not read at `offset` of the window, as the bank is hidden. True: it is shown now,
 * so try again. False: reads are the device's to answer. Any thread. */
bool flash_show(struct device *d, uint64_t offset);

#endif
