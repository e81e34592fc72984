/*
 * GICv2: a distributor and one CPU interface per CPU, as a non-secure guest without security
 * extensions sees it (IHI 0048B.b). No CPU and no bus here: the caller routes MMIO in and interrupt
 * levels out.
 *
 * Threads: every call from any thread. One lock inside, LOCK_GIC; `signal` is called with it held
 * and may only take locks of a higher rank.
 */
#ifndef GIC_GICV2_H
#define GIC_GICV2_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"

#define GICV2_MAX_CPUS  8
#define GICV2_DIST_SIZE 0x10000
#define GICV2_CPU_SIZE  0x2000
#define GICV2_MSI_SIZE  0x1000 /* GICv2m */

struct gicv2;

struct gicv2_config {
    unsigned cpus;                /* 1 to 8 */
    unsigned spis;                /* shared interrupts, 32 to 988, rounded up to a multiple of 32 */
    unsigned msi_base, msi_count; /* INTIDs that the message frame makes pending; count 0: none */
    /* The IRQ or FIQ input of `cpu` changed its level. */
    void (*signal)(void *ctx, unsigned cpu, bool irq, bool fiq);
    void *ctx;
};

/* 0, -EINVAL or -ENOMEM. */
int gicv2_create(const struct gicv2_config *config, struct gicv2 **out) MUST_CHECK;
void gicv2_destroy(struct gicv2 *g);
void gicv2_reset(struct gicv2 *g);

/* MMIO by `cpu`; width 1, 2 or 4 bytes, offset aligned to it. Widths and offsets that the
 * architecture does not allow read as zero and are ignored when written. */
uint64_t gicv2_dist_read(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width);
void gicv2_dist_write(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width,
                      uint64_t value);
uint64_t gicv2_cpu_read(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width);
void gicv2_cpu_write(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width,
                     uint64_t value);

/* The message frame, which any CPU and any device may write. */
uint64_t gicv2_msi_read(struct gicv2 *g, uint64_t offset, unsigned width);
void gicv2_msi_write(struct gicv2 *g, uint64_t offset, unsigned width, uint64_t value);

/* Input wires. `spi` counts from 0 (INTID 32); `ppi` is the INTID, 16 to 31. Out of range is
 * ignored. */
void gicv2_set_spi(struct gicv2 *g, unsigned spi, bool level);
void gicv2_set_ppi(struct gicv2 *g, unsigned cpu, unsigned ppi, bool level);

/* The output levels now. */
void gicv2_levels(struct gicv2 *g, unsigned cpu, bool *irq, bool *fiq);

#endif
