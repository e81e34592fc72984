/*
 * What every GIC distributor keeps and decides, whatever its register map: the state of each
 * interrupt, and which one each CPU should see next.
 *
 * State is held in banks of 32 interrupts, because the registers are: most accesses are then one
 * word operation. Bank 0 (SGIs and PPIs) exists once for each CPU. A CPU's `ready` words say which
 * interrupts could be forwarded to it now and `best` is the most urgent of them; both are brought
 * up to date by gic_dist_update() when a bank changes, so that acknowledging an interrupt looks at
 * pending interrupts only and never scans the rest.
 *
 * No lock here: the front (gicv2.c, gicv3.c) owns one.
 */
#ifndef GIC_DIST_H
#define GIC_DIST_H

#include <stdbool.h>
#include <stdint.h>

#define GIC_DIST_MAX_CPUS  64
#define GIC_DIST_MAX_BANKS 32

#define GIC_INTID_LIMIT    1020 /* 1020 to 1023 are special */
#define GIC_INTID_SPURIOUS 1023

#define GIC_SGIS 0x0000ffffu /* of bank 0 */
#define GIC_PPIS 0xffff0000u

#define GIC_PRIORITY_BITS 5
#define GIC_PRIORITY_MASK 0xf8 /* the other bits read as zero */
#define GIC_PRIORITY_IDLE 0xff

/* 32 interrupts, one bit each. */
struct gic_bank {
    uint32_t group; /* 1: group 1 */
    uint32_t enabled;
    uint32_t latch; /* made pending by an edge or by a write */
    uint32_t wire;  /* level of the input */
    uint32_t active;
    uint32_t edge; /* 1: edge-triggered */
    uint8_t priority[32];
};

struct gic_dist_cpu {
    uint32_t target[GIC_DIST_MAX_BANKS]; /* interrupts of each bank routed to this CPU */
    uint32_t ready[GIC_DIST_MAX_BANKS];
    uint32_t ready_banks; /* bit n: ready[n] is not zero */
    bool refused[2];      /* groups that the CPU does not take now (GICv3's ICC_IGRPEN<n>) */
    uint16_t best;        /* INTID, or GIC_INTID_SPURIOUS */
    uint8_t best_priority;
};

struct gic_dist {
    unsigned cpus;  /* no CPU at or above this one; with GICv2 constant and read without the lock */
    unsigned banks; /* with bank 0; constant */
    bool group_enabled[2];
    uint64_t stale; /* bit n: CPU n's `best` was computed anew; its front clears it */
    struct gic_bank private[GIC_DIST_MAX_CPUS];
    struct gic_bank shared[GIC_DIST_MAX_BANKS]; /* [0] unused, so that the index is the bank */
    struct gic_dist_cpu cpu[GIC_DIST_MAX_CPUS];
};

/* Fill the zeroed `d` for this many CPUs and banks, in the reset state. */
void gic_dist_init(struct gic_dist *d, unsigned cpus, unsigned banks);

/* The reset state. Input levels are kept. */
void gic_dist_reset(struct gic_dist *d);

/* The interrupts of bank `n` that exist. */
uint32_t gic_dist_valid(const struct gic_dist *d, unsigned n);

static inline struct gic_bank *gic_dist_bank(struct gic_dist *d, unsigned cpu, unsigned n)
{
    return n == 0 ? &d->private[cpu] : &d->shared[n];
}

static inline uint32_t gic_bank_pending(const struct gic_bank *b)
{
    return b->latch | (b->wire & ~b->edge);
}

/* Call after any change to bank `n` (of `cpu`, for bank 0) or to its targets. */
void gic_dist_update(struct gic_dist *d, unsigned cpu, unsigned n);

/* Call after a change to group_enabled. */
void gic_dist_update_all(struct gic_dist *d);

/* An input changed. False if nothing came of it. */
bool gic_dist_set_wire(struct gic_dist *d, unsigned cpu, unsigned intid, bool level);

/* Pending becomes active. `still_pending` keeps the latch (an SGI with another source). */
void gic_dist_activate(struct gic_dist *d, unsigned cpu, unsigned intid, bool still_pending);

void gic_dist_deactivate(struct gic_dist *d, unsigned cpu, unsigned intid);

#endif
