/*
 * LPIs: interrupts that only messages make, INTID 8192 and up (IHI 0069H chapter 5). They have no
 * active state and are always edge-triggered and of group 1. Priority and enable bit are a byte in
 * guest memory (GICR_PROPBASER), read when the interrupt becomes pending and when an INV or INVALL
 * says that it changed. What is pending is kept here; the guest's pending table (GICR_PENDBASER) is
 * read when a CPU's LPIs are switched on and written when they are switched off.
 *
 * An LPI is pending on one CPU at most: of a guest that maps one INTID to two CPUs, the
 * architecture promises nothing. So each is a node of one list: of a CPU and a priority, or of a
 * CPU's LPIs that are not enabled. Everything is done in constant time but what concerns all of a
 * CPU's LPIs.
 *
 * No lock here: the caller holds the GIC's.
 */
#ifndef GIC_LPI_H
#define GIC_LPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gic/dist.h"

#define LPI_FIRST 8192u
#define LPI_COUNT (65536u - LPI_FIRST) /* 16 bits of INTID */

struct gicv3;

/* A list for each priority level, and one of the disabled. */
#define LPI_LEVELS (1u << GIC_PRIORITY_BITS)
#define LPI_LISTS  (LPI_LEVELS + 1)

struct lpi {
    uint16_t next, previous; /* in a ring */
    uint8_t cpu;             /* that it is pending on, or LPI_IDLE */
    uint8_t list;
};

struct lpi_cpu {
    bool enabled; /* GICR_CTLR.EnableLPIs */
    uint64_t propbaser, pendbaser;
    uint32_t levels;          /* bit n: list n is not empty */
    unsigned pending;         /* on all lists */
    uint16_t head[LPI_LISTS]; /* or LPI_NONE */
};

struct lpis {
    struct lpi_cpu cpu[GIC_DIST_MAX_CPUS];
    struct lpi lpi[LPI_COUNT];
};

/* Nothing is pending, everything off. */
void lpi_reset(struct lpis *l);

/* Is there such an LPI, as far as the controller is concerned? */
static inline bool lpi_exists(uint64_t intid)
{
    return intid >= LPI_FIRST && intid - LPI_FIRST < LPI_COUNT;
}

/* A message came for `cpu`. Nothing, if it has no such LPI or its LPIs are off. */
void lpi_pend(struct gicv3 *g, unsigned cpu, unsigned intid);

/* No longer pending, whatever it was. `intid` exists. */
void lpi_clear(struct gicv3 *g, unsigned intid);

/* Read the configuration anew, of one that exists, and of all that are pending on a CPU; the latter
 * returns how many that were. */
void lpi_reload(struct gicv3 *g, unsigned intid);
unsigned lpi_reload_all(struct gicv3 *g, unsigned cpu);

/* What is pending on `from` is pending on `to`: this one, or all; the latter returns how many. */
void lpi_move(struct gicv3 *g, unsigned intid, unsigned from, unsigned to);
unsigned lpi_move_all(struct gicv3 *g, unsigned from, unsigned to);

/* The most urgent enabled LPI of `cpu`, or GIC_INTID_SPURIOUS; what came first, of equals. */
unsigned lpi_best(const struct lpis *l, unsigned cpu, uint8_t *priority);

/* GICR_CTLR.EnableLPIs, and the table registers, which are constant while it is set. */
void lpi_enable(struct gicv3 *g, unsigned cpu, bool on);
void lpi_set_propbaser(struct lpi_cpu *c, uint64_t value);
void lpi_set_pendbaser(struct lpi_cpu *c, uint64_t value);

/* As bytes, LPI_SAVE_SIZE of them: see gicv3_save.c. */
#define LPI_SAVE_SIZE (GIC_DIST_MAX_CPUS * 24u + LPI_COUNT)
uint8_t *lpi_save(const struct lpis *l, uint8_t *p);
const uint8_t *lpi_restore(struct gicv3 *g, const uint8_t *p);

#endif
