/*
 * A memory-mapped device, as the bus sees it: a description, not an object system.
 *
 * The bus checks width and alignment against the description and takes `lock` before it calls read
 * or write, so a handler sees only offsets and widths that it declared, one call at a time.
 * Host-side entries of a device (a byte typed, a disk request done) take the lock themselves.
 */
#ifndef DEVICES_DEVICE_H
#define DEVICES_DEVICE_H

#include <stdint.h>

#include "base/gmem.h"
#include "base/lock.h"

struct device;

/* Where the monitor put a device: what its device tree node needs. */
struct device_place {
    gpa_t base;
    uint32_t spi;           /* interrupt, counted from SPI 0 */
    uint32_t clock_phandle; /* the fixed 24 MHz "apb_pclk" clock */
};

struct device_ops {
    const char *name; /* for logs: "pl011" */
    uint64_t size;    /* bytes of the MMIO window */
    uint8_t min_width,
        max_width; /* 1, 2, 4 or 8; wider or narrower accesses read as zero, writes are ignored */

    uint64_t (*read)(struct device *d, uint64_t offset, unsigned width);
    void (*write)(struct device *d, uint64_t offset, unsigned width, uint64_t value);
    /* Back to the state after creation; the connection to the host stays. Lock held. */
    void (*reset)(struct device *d);
    /* Append the device's node to the tree under construction (libfdt sequential write). 0 or
     * negative errno. */
    int (*fdt)(const struct device *d, void *fdt, const struct device_place *place);
    /* Stops host activity, then frees. No lock held. */
    void (*destroy)(struct device *d);
};

struct device {
    const struct device_ops *ops;
    struct lock lock; /* LOCK_DEVICE */
};

#endif
