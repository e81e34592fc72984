/*
 * GICv3: life time, locking, CPUs and wires. The registers are in gicv3_dist.c, gicv3_redist.c,
 * gicv3_cpu.c and its.c, the interrupt state in dist.c and lpi.c.
 */
#include "gic/gicv3_state.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bits.h"

/* Of the distributor and the redistributors, but for input levels and what CPUs there are. */
static void gicv3_reset_locked(struct gicv3 *g)
{
    unsigned cpus = g->dist.cpus;

    g->dist.cpus = GICV3_MAX_CPUS;
    gic_dist_reset(&g->dist);
    for (unsigned c = 0; c < GICV3_MAX_CPUS; c++) {
        g->dist.private[c].enabled = 0;
        /* Awake, as firmware of EL3 leaves it: a guest of EL1 need not know of GICR_WAKER, and
         * UEFI does not. */
        g->cpu[c].asleep = false;
        gicv3_cpu_reset(&g->cpu[c]);
    }
    for (unsigned i = 0; i < GIC_DIST_MAX_BANKS * 32; i++)
        g->router[i] = 0;
    g->dist.cpus = cpus;
    its_reset(&g->its);
    if (g->lpis)
        lpi_reset(g->lpis);
    for (unsigned c = 0; c < cpus; c++)
        gicv3_participate(g, c);
    gicv3_route_all(g);
}

int gicv3_create(const struct gicv3_config *config, struct gicv3 **out)
{
    unsigned end = GICV3_SPI_BASE + GICV3_SPI_COUNT;

    if (!config->signal || (config->its && (!config->guest_read || !config->guest_write)) ||
        (config->msi_count && (config->msi_base < GICV3_SPI_BASE || config->msi_base >= end ||
                               config->msi_count > end - config->msi_base)))
        return -EINVAL;
    struct gicv3 *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    if (config->its && !(g->lpis = malloc(sizeof *g->lpis))) {
        free(g);
        return -ENOMEM;
    }
    g->config = *config;
    lock_init(&g->lock, LOCK_GIC);
    g->dist.banks = GIC_DIST_MAX_BANKS;
    gicv3_reset_locked(g);
    *out = g;
    return 0;
}

void gicv3_destroy(struct gicv3 *g)
{
    if (!g)
        return;
    lock_fini(&g->lock);
    free(g->lpis);
    free(g);
}

void gicv3_reset(struct gicv3 *g)
{
    lock_acquire(&g->lock);
    gicv3_reset_locked(g);
    gicv3_update(g);
    lock_release(&g->lock);
}

void gicv3_attach(struct gicv3 *g, unsigned cpu, uint64_t mpidr)
{
    lock_acquire(&g->lock);
    g->cpu[cpu].present = true;
    g->cpu[cpu].affinity = gicv3_affinity(mpidr);
    gicv3_cpu_reset(&g->cpu[cpu]);
    if (g->dist.cpus <= cpu)
        g->dist.cpus = cpu + 1;
    gicv3_participate(g, cpu);
    gicv3_route_all(g);
    gicv3_update(g);
    lock_release(&g->lock);
}

void gicv3_detach(struct gicv3 *g, unsigned cpu)
{
    lock_acquire(&g->lock);
    g->cpu[cpu].present = false;
    g->dist.private[cpu].wire = 0;
    gicv3_participate(g, cpu);
    gicv3_route_all(g);
    gicv3_update(g); /* takes its outputs back */
    while (g->dist.cpus > 0 && !g->cpu[g->dist.cpus - 1].present)
        g->dist.cpus--;
    lock_release(&g->lock);
}

void gicv3_set_affinity(struct gicv3 *g, unsigned cpu, uint64_t mpidr)
{
    lock_acquire(&g->lock);
    g->cpu[cpu].affinity = gicv3_affinity(mpidr);
    gicv3_route_all(g);
    gicv3_update(g);
    lock_release(&g->lock);
}

int gicv3_set_spi(struct gicv3 *g, unsigned intid, bool level)
{
    const struct gicv3_config *c = &g->config;

    if (intid < GICV3_SPI_BASE || intid >= GIC_INTID_LIMIT || intid - c->msi_base < c->msi_count)
        return -EINVAL;
    lock_acquire(&g->lock);
    bool edge = bit(g->dist.shared[intid / 32].edge, intid % 32);
    bool changed = gic_dist_set_wire(&g->dist, 0, intid, level);
    if (edge && level && !changed)
        gicv3_bank_write(g, 0, intid / 32, GICV3_SET_PENDING, 1u << intid % 32);
    gicv3_update(g);
    lock_release(&g->lock);
    return 0;
}

void gicv3_set_ppi(struct gicv3 *g, unsigned cpu, unsigned intid, bool level)
{
    lock_acquire(&g->lock);
    if (gic_dist_set_wire(&g->dist, cpu, intid, level))
        gicv3_update(g);
    lock_release(&g->lock);
}
