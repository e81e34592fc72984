/*
 * The MMIO bus: from a guest physical address to the device that answers.
 *
 * Built once, then frozen before the first vCPU runs; from then on the map is constant and lookup
 * takes no lock. The bus is the one place that checks width and alignment and that takes a device's
 * lock, so handlers see only what they declared.
 *
 * Threads: bus_add*() and bus_freeze() from the thread that builds the machine, accesses from any.
 */
#ifndef VMM_BUS_H
#define VMM_BUS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/gmem.h"
#include "devices/device.h"

/* What answers in a window. `cpu` is the index of the vCPU that asks: the GIC banks by it. */
struct bus_ops {
    const char *name;
    uint8_t min_width, max_width; /* bytes */
    uint64_t (*read)(void *ctx, unsigned cpu, uint64_t offset, unsigned width);
    void (*write)(void *ctx, unsigned cpu, uint64_t offset, unsigned width, uint64_t value);
};

struct bus_window {
    gpa_t base;
    uint64_t size;
    const struct bus_ops *ops;
    void *ctx;
    struct device *device; /* or NULL; then `ops` is set */
};

#define BUS_MAX_WINDOWS 64

/* Pages nobody answers at, of which the log has spoken. */
#define BUS_MISSES 16

struct bus {
    struct bus_window window[BUS_MAX_WINDOWS]; /* ascending, not overlapping */
    unsigned count;
    bool frozen;
    _Atomic uint64_t miss[BUS_MISSES]; /* page number + 1, or 0 */
    atomic_bool silent;                /* the log knows that there are more */
};

/* Add a window. -EINVAL if it is empty, wraps or overlaps; -ENOSPC if the table is full; -EBUSY
 * when the bus is frozen. */
int bus_add(struct bus *b, gpa_t base, uint64_t size, const struct bus_ops *ops,
            void *ctx) MUST_CHECK;
int bus_add_device(struct bus *b, gpa_t base, struct device *d) MUST_CHECK;
void bus_freeze(struct bus *b);

/* One access of `width` (1, 2, 4 or 8) bytes by vCPU `cpu`. Where nobody answers, or not in this
 * width or alignment, reads are zero and writes are ignored; an unmapped page is logged once. */
uint64_t bus_read(struct bus *b, unsigned cpu, gpa_t a, unsigned width);
void bus_write(struct bus *b, unsigned cpu, gpa_t a, unsigned width, uint64_t value);

#endif
