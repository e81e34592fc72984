/* What the files of the GICv3 share. */
#ifndef GIC_GICV3_STATE_H
#define GIC_GICV3_STATE_H

#include "base/lock.h"
#include "gic/dist.h"
#include "gic/gicv3.h"
#include "gic/its.h"
#include "gic/lpi.h"

/* Arm's JEP106 code: we have none of our own. Product 0x49 is ours. */
#define GICV3_IIDR  (0x49u << 24 | 0x43bu)
#define GICV3_PIDR2 0x3bu /* ArchRev 3, JEP106 */

/* Affinity as GICR_TYPER<63:32> has it: Aff3.Aff2.Aff1.Aff0, a byte each. */
static inline uint32_t gicv3_affinity(uint64_t mpidr)
{
    return (uint32_t)(mpidr >> 32 & 0xff) << 24 | ((uint32_t)mpidr & 0xffffff);
}

#define GICV3_ROUTER_MASK 0x80ffffffu /* IRM, Aff2 to Aff0: GICD_TYPER.A3V is 0 */
#define GICV3_ROUTER_ANY  0x80000000u /* IRM: to any participating CPU */

/* A CPU interface (IHI 0069H chapter 12.2). */
struct gicv3_cpu {
    bool present;
    bool asleep; /* GICR_WAKER.ProcessorSleep */
    uint32_t affinity;
    uint8_t ctlr; /* CBPR, EOImode */
    uint8_t pmr;
    uint8_t bpr[2];
    bool enabled[2];    /* ICC_IGRPEN<n> */
    uint32_t active[2]; /* ICC_AP<n>R0: active priorities */
    bool irq;
    bool fiq;
};

struct gicv3 {
    struct gicv3_config config;
    struct lock lock; /* LOCK_GIC */
    struct gic_dist dist;
    uint32_t router[GIC_DIST_MAX_BANKS * 32]; /* GICD_IROUTER<n>, by INTID */
    struct gicv3_cpu cpu[GICV3_MAX_CPUS];
    struct lpis *lpis; /* NULL: no ITS either */
    struct its its;
};

/* See struct gicv3_config. */
static inline int gicv3_guest_read(const struct gicv3 *g, uint64_t address, void *to, size_t size)
{
    return g->config.guest_read(g->config.ctx, address, to, size);
}

static inline int gicv3_guest_write(const struct gicv3 *g, uint64_t address, const void *from,
                                    size_t size)
{
    return g->config.guest_write(g->config.ctx, address, from, size);
}

/* Registers that the distributor and the redistributors have in common, for bank `n` (`cpu`'s, for
 * bank 0). `mask` has the interrupts that a write may change. gicv3_dist.c. */
enum gicv3_bank_reg {
    GICV3_GROUP,
    GICV3_SET_ENABLE,
    GICV3_CLEAR_ENABLE,
    GICV3_SET_PENDING,
    GICV3_CLEAR_PENDING,
    GICV3_SET_ACTIVE,
    GICV3_CLEAR_ACTIVE,
    GICV3_BANK_REGS,
};

uint32_t gicv3_bank_read(struct gicv3 *g, unsigned cpu, unsigned n, enum gicv3_bank_reg reg);
void gicv3_bank_write(struct gicv3 *g, unsigned cpu, unsigned n, enum gicv3_bank_reg reg,
                      uint32_t value);

/* GICD_IPRIORITYR and GICR_IPRIORITYR, `width` 1 or 4 from INTID `first`. */
uint32_t gicv3_priority_read(struct gicv3 *g, unsigned cpu, unsigned first, unsigned width);
void gicv3_priority_write(struct gicv3 *g, unsigned cpu, unsigned first, unsigned width,
                          uint32_t value);

/* GICD_ICFGR<n> and GICR_ICFGR<n>. */
uint32_t gicv3_config_read(struct gicv3 *g, unsigned cpu, unsigned n);
void gicv3_config_write(struct gicv3 *g, unsigned cpu, unsigned n, uint32_t value);

/* Which CPUs the shared interrupts of bank `n` go to, from their routers. */
void gicv3_route(struct gicv3 *g, unsigned n);
void gicv3_route_all(struct gicv3 *g);

/* Which groups reach `cpu` changed: ICC_IGRPEN<n>, GICR_WAKER, or the CPU came or went. */
void gicv3_participate(struct gicv3 *g, unsigned cpu);

/* The state after reset of one CPU interface. */
void gicv3_cpu_reset(struct gicv3_cpu *c);

/* Report the outputs that changed. */
void gicv3_update(struct gicv3 *g);

#endif
