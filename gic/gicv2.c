/*
 * GICv2: life time, locking and wires. The registers are in gicv2_dist.c and gicv2_cpu.c, the
 * interrupt state in dist.c.
 */
#include "gic/gicv2_state.h"

#include <errno.h>
#include <stdlib.h>

#include "gic/msi.h"

static bool gicv2_config_is_valid(const struct gicv2_config *c)
{
    if (c->cpus < 1 || c->cpus > GICV2_MAX_CPUS || c->spis < 32 || c->spis > GIC_INTID_LIMIT - 32 ||
        !c->signal)
        return false;
    return c->msi_count == 0 || (c->msi_base >= 32 && c->msi_count <= c->spis &&
                                 c->msi_base - 32 <= c->spis - c->msi_count);
}

int gicv2_create(const struct gicv2_config *config, struct gicv2 **out)
{
    if (!gicv2_config_is_valid(config))
        return -EINVAL;
    struct gicv2 *g = calloc(1, sizeof *g);
    if (!g)
        return -ENOMEM;
    g->config = *config;
    lock_init(&g->lock, LOCK_GIC);
    gic_dist_init(&g->dist, config->cpus, 1 + (config->spis + 31) / 32);
    for (unsigned c = 0; c < config->cpus; c++)
        gicv2_cpu_reset(&g->cpu[c]);
    g->dist.stale = 0;
    *out = g;
    return 0;
}

void gicv2_destroy(struct gicv2 *g)
{
    if (!g)
        return;
    lock_fini(&g->lock);
    free(g);
}

void gicv2_update(struct gicv2 *g)
{
    uint64_t stale = g->dist.stale;
    g->dist.stale = 0;
    for (; stale; stale &= stale - 1)
        gicv2_cpu_update(g, (unsigned)__builtin_ctzll(stale));
}

void gicv2_reset(struct gicv2 *g)
{
    lock_acquire(&g->lock);
    gic_dist_reset(&g->dist);
    for (unsigned c = 0; c < g->dist.cpus; c++)
        gicv2_cpu_reset(&g->cpu[c]);
    gicv2_update(g);
    lock_release(&g->lock);
}

static void gicv2_set_wire(struct gicv2 *g, unsigned cpu, unsigned intid, bool level)
{
    lock_acquire(&g->lock);
    if (gic_dist_set_wire(&g->dist, cpu, intid, level))
        gicv2_update(g);
    lock_release(&g->lock);
}

void gicv2_set_spi(struct gicv2 *g, unsigned spi, bool level)
{
    unsigned limit = g->dist.banks * 32;
    if (limit > GIC_INTID_LIMIT)
        limit = GIC_INTID_LIMIT;
    if (spi < limit - 32)
        gicv2_set_wire(g, 0, 32 + spi, level);
}

void gicv2_set_ppi(struct gicv2 *g, unsigned cpu, unsigned ppi, bool level)
{
    if (cpu < g->dist.cpus && ppi >= 16 && ppi < 32)
        gicv2_set_wire(g, cpu, ppi, level);
}

uint64_t gicv2_msi_read(struct gicv2 *g, uint64_t offset, unsigned width)
{
    return msi_read(g->config.msi_base, g->config.msi_count, offset, width);
}

void gicv2_msi_write(struct gicv2 *g, uint64_t offset, unsigned width, uint64_t value)
{
    unsigned intid;

    if (!msi_write(offset, width, value, &intid) || intid < g->config.msi_base ||
        intid - g->config.msi_base >= g->config.msi_count)
        return;
    lock_acquire(&g->lock);
    g->dist.shared[intid / 32].latch |= 1u << intid % 32;
    gic_dist_update(&g->dist, 0, intid / 32);
    gicv2_update(g);
    lock_release(&g->lock);
}

void gicv2_levels(struct gicv2 *g, unsigned cpu, bool *irq, bool *fiq)
{
    lock_acquire(&g->lock);
    *irq = cpu < g->dist.cpus && g->cpu[cpu].irq;
    *fiq = cpu < g->dist.cpus && g->cpu[cpu].fiq;
    lock_release(&g->lock);
}
