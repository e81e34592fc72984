/* What the three files of the GICv2 share: gicv2.c, gicv2_dist.c, gicv2_cpu.c. */
#ifndef GIC_GICV2_STATE_H
#define GIC_GICV2_STATE_H

#include "base/lock.h"
#include "gic/dist.h"
#include "gic/gicv2.h"

/* Arm's JEP106 code: we have none of our own. Product 0x49 is ours. */
#define GICV2_IMPLEMENTER 0x43bu
#define GICV2_PRODUCT     0x49u

/* A CPU interface (IHI 0048B.b section 4.4). */
struct gicv2_cpu {
    uint32_t ctlr;
    uint8_t pmr;
    uint8_t bpr;
    uint8_t abpr;
    uint32_t active[2]; /* GICC_APR0 and GICC_NSAPR0: active priorities of group 0 and group 1 */
    uint8_t sgi_source[16]; /* CPUs that asked for each SGI of this CPU */
    bool irq;
    bool fiq;
};

struct gicv2 {
    struct gicv2_config config;
    struct lock lock; /* LOCK_GIC */
    struct gic_dist dist;
    struct gicv2_cpu cpu[GICV2_MAX_CPUS];
};

/* The state after reset of one CPU interface. */
void gicv2_cpu_reset(struct gicv2_cpu *c);

/* Compute the outputs of `cpu` anew and report what changed. */
void gicv2_cpu_update(struct gicv2 *g, unsigned cpu);

/* The same for every CPU whose best interrupt may have changed. */
void gicv2_update(struct gicv2 *g);

#endif
