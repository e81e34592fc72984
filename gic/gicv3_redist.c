/*
 * The redistributors' registers (IHI 0069H sections 12.10 and 12.11): RD_base at 0, SGI_base at
 * 0x10000; and the message frame (msi.h).
 *
 * GICR_CTLR and the table registers are for LPIs: without an ITS they are RAZ/WI.
 */
#include "gic/gicv3_state.h"

#include <errno.h>

#include "base/bits.h"
#include "gic/msi.h"

enum {
    GICR_CTLR = 0x0000,
    GICR_IIDR = 0x0004,
    GICR_TYPER = 0x0008,
    GICR_WAKER = 0x0014,
    GICR_PROPBASER = 0x0070,
    GICR_PENDBASER = 0x0078,
    GICR_PIDR2 = 0xffe8,
    GICR_SGI = 0x10000,
    GICR_IGROUPR0 = GICR_SGI + 0x080,
    GICR_IPRIORITYR = GICR_SGI + 0x400,
    GICR_IPRIORITYR_END = GICR_SGI + 0x420,
    GICR_ICFGR0 = GICR_SGI + 0xc00,
    GICR_ICFGR1 = GICR_SGI + 0xc04,
};

#define GICR_CTLR_ENABLE_LPIS      (1u << 0)
#define GICR_CTLR_CES              (1u << 1) /* they can be switched off again */
#define GICR_TYPER_PLPIS           (1u << 0)
#define GICR_TYPER_LAST            (1u << 4)
#define GICR_PENDBASER_PTZ         (1ull << 62)
#define GICR_WAKER_PROCESSOR_SLEEP (1u << 1)
#define GICR_WAKER_CHILDREN_ASLEEP (1u << 2)

void gicv3_participate(struct gicv3 *g, unsigned cpu)
{
    const struct gicv3_cpu *c = &g->cpu[cpu];
    struct gic_dist_cpu *d = &g->dist.cpu[cpu];

    for (unsigned group = 0; group < 2; group++)
        d->refused[group] = !c->present || c->asleep || !c->enabled[group];
}

/* Last is the one of the highest CPU there is. */
static uint64_t redist_typer(const struct gicv3 *g, unsigned cpu)
{
    uint32_t low = cpu << 8 | (cpu + 1 == g->dist.cpus ? GICR_TYPER_LAST : 0) |
                   (g->lpis ? GICR_TYPER_PLPIS : 0);

    return (uint64_t)g->cpu[cpu].affinity << 32 | low;
}

/* GICR_TYPER, GICR_PROPBASER and GICR_PENDBASER: in one access or two. */
static bool redist_is_long(uint64_t offset, unsigned width)
{
    return (width == 4 || width == 8) &&
           (offset - GICR_TYPER < 8 || offset - GICR_PROPBASER < 8 || offset - GICR_PENDBASER < 8);
}

static uint64_t redist_read_long(const struct gicv3 *g, unsigned cpu, uint64_t offset)
{
    if (offset == GICR_TYPER)
        return redist_typer(g, cpu);
    if (!g->lpis)
        return 0;
    const struct lpi_cpu *c = &g->lpis->cpu[cpu];
    return offset == GICR_PROPBASER ? c->propbaser : c->pendbaser & ~GICR_PENDBASER_PTZ;
}

static void redist_write_long(struct gicv3 *g, unsigned cpu, uint64_t offset, unsigned width,
                              uint64_t value)
{
    uint64_t place = offset & ~7ull;
    unsigned low = 8 * (offset % 8);

    if (!g->lpis)
        return;
    struct lpi_cpu *c = &g->lpis->cpu[cpu];
    if (width == 4) { /* the other half stays as it is */
        uint64_t before = place == GICR_PROPBASER ? c->propbaser : c->pendbaser;
        value = (before & ~(0xffffffffull << low)) | (value & 0xffffffff) << low;
    }
    if (place == GICR_PROPBASER)
        lpi_set_propbaser(c, value);
    else if (place == GICR_PENDBASER)
        lpi_set_pendbaser(c, value);
}

static uint32_t redist_read_word(struct gicv3 *g, unsigned cpu, uint64_t offset)
{
    if (offset >= GICR_IGROUPR0 && offset < GICR_IPRIORITYR)
        return offset % 0x80
                   ? 0
                   : gicv3_bank_read(g, cpu, 0, (unsigned)(offset - GICR_IGROUPR0) / 0x80);
    switch (offset) {
    case GICR_CTLR:
        if (!g->lpis)
            return 0;
        return GICR_CTLR_CES | (g->lpis->cpu[cpu].enabled ? GICR_CTLR_ENABLE_LPIS : 0);
    case GICR_IIDR:
        return GICV3_IIDR;
    case GICR_WAKER:
        return g->cpu[cpu].asleep ? GICR_WAKER_PROCESSOR_SLEEP | GICR_WAKER_CHILDREN_ASLEEP : 0;
    case GICR_PIDR2:
        return GICV3_PIDR2;
    case GICR_ICFGR0:
        return gicv3_config_read(g, cpu, 0);
    case GICR_ICFGR1:
        return gicv3_config_read(g, cpu, 1);
    default:
        return 0;
    }
}

static void redist_write_word(struct gicv3 *g, unsigned cpu, uint64_t offset, uint32_t value)
{
    if (offset >= GICR_IGROUPR0 && offset < GICR_IPRIORITYR) {
        if (offset % 0x80 == 0)
            gicv3_bank_write(g, cpu, 0, (unsigned)(offset - GICR_IGROUPR0) / 0x80, value);
    } else if (offset == GICR_CTLR) {
        if (g->lpis)
            lpi_enable(g, cpu, value & GICR_CTLR_ENABLE_LPIS);
    } else if (offset == GICR_WAKER) {
        g->cpu[cpu].asleep = value & GICR_WAKER_PROCESSOR_SLEEP;
        gicv3_participate(g, cpu);
        gicv3_route_all(g);
    } else if (offset == GICR_ICFGR1) { /* SGIs, GICR_ICFGR0, are always edge-triggered */
        gicv3_config_write(g, cpu, 1, value);
    }
}

static bool redist_is_priority(uint64_t offset, unsigned width)
{
    return (width == 1 || width == 4) && offset >= GICR_IPRIORITYR && offset < GICR_IPRIORITYR_END;
}

uint64_t gicv3_redist_read(struct gicv3 *g, unsigned cpu, uint64_t offset, unsigned width)
{
    uint64_t value = 0;

    if (offset % width)
        return 0;
    lock_acquire(&g->lock);
    if (redist_is_priority(offset, width))
        value = gicv3_priority_read(g, cpu, (unsigned)(offset - GICR_IPRIORITYR), width);
    else if (redist_is_long(offset, width))
        value = redist_read_long(g, cpu, offset & ~7ull) >> 8 * (offset % 8);
    else if (width == 4)
        value = redist_read_word(g, cpu, offset);
    lock_release(&g->lock);
    return width == 8 ? value : (uint32_t)value;
}

void gicv3_redist_write(struct gicv3 *g, unsigned cpu, uint64_t offset, unsigned width,
                        uint64_t value)
{
    if (offset % width)
        return;
    lock_acquire(&g->lock);
    if (redist_is_priority(offset, width))
        gicv3_priority_write(g, cpu, (unsigned)(offset - GICR_IPRIORITYR), width, (uint32_t)value);
    else if (redist_is_long(offset, width))
        redist_write_long(g, cpu, offset, width, value);
    else if (width == 4)
        redist_write_word(g, cpu, offset, (uint32_t)value);
    gicv3_update(g);
    lock_release(&g->lock);
}

/* --- messages --- */

int gicv3_send_msi(struct gicv3 *g, uint32_t intid)
{
    if (intid < g->config.msi_base || intid - g->config.msi_base >= g->config.msi_count)
        return -EINVAL;
    lock_acquire(&g->lock);
    gicv3_bank_write(g, 0, intid / 32, GICV3_SET_PENDING, 1u << intid % 32);
    gicv3_update(g);
    lock_release(&g->lock);
    return 0;
}

uint64_t gicv3_msi_read(struct gicv3 *g, uint64_t offset, unsigned width)
{
    return msi_read(g->config.msi_base, g->config.msi_count, offset, width);
}

void gicv3_msi_write(struct gicv3 *g, uint64_t offset, unsigned width, uint64_t value)
{
    unsigned intid;

    if (msi_write(offset, width, value, &intid))
        (void)gicv3_send_msi(g, intid); /* others than the frame's are ignored */
}
