/*
 * The GICv2 CPU interface (IHI 0048B.b section 4.4): priority mask and grouping, preemption,
 * acknowledge and completion.
 *
 * An active priority is one bit in a 32-bit word for each group (GICC_APR0, GICC_NSAPR0): 5
 * priority bits make 32 levels, so that the running priority is a count of trailing zeroes. A
 * priority drop clears the most urgent bit.
 *
 * Choices where the architecture leaves one (all UNPREDICTABLE for a guest): completion through
 * the register of the other group is ignored, and so is GICC_DIR while EOImode is 0.
 */
#include "gic/gicv2_state.h"

#include "base/bits.h"

#define GICC_CTLR_GRP0    0x001u
#define GICC_CTLR_GRP1    0x002u
#define GICC_CTLR_ACKCTL  0x004u
#define GICC_CTLR_FIQEN   0x008u
#define GICC_CTLR_CBPR    0x010u
#define GICC_CTLR_EOIMODE 0x200u
#define GICC_CTLR_MASK    0x3ffu /* with the bypass-disable bits, which are stored only */

#define GICC_INTID_GROUP1 1022 /* what is pending belongs to the other register */

#define GICC_BPR_MIN  2 /* groups of bits <7:3>: every level preempts */
#define GICC_ABPR_MIN 3

#define GICC_CTLR   0x0000
#define GICC_PMR    0x0004
#define GICC_BPR    0x0008
#define GICC_IAR    0x000c
#define GICC_EOIR   0x0010
#define GICC_RPR    0x0014
#define GICC_HPPIR  0x0018
#define GICC_ABPR   0x001c
#define GICC_AIAR   0x0020
#define GICC_AEOIR  0x0024
#define GICC_AHPPIR 0x0028
#define GICC_APR0   0x00d0
#define GICC_NSAPR0 0x00e0
#define GICC_IIDR   0x00fc
#define GICC_DIR    0x1000

void gicv2_cpu_reset(struct gicv2_cpu *c)
{
    bool irq = c->irq, fiq = c->fiq; /* so that the update after a reset reports the change */
    *c = (struct gicv2_cpu){
        .bpr = GICC_BPR_MIN,
        .abpr = GICC_ABPR_MIN,
        .irq = irq,
        .fiq = fiq,
    };
}

static unsigned cpu_group(struct gicv2 *g, unsigned cpu, unsigned intid)
{
    return bit(gic_dist_bank(&g->dist, cpu, intid / 32)->group, intid % 32);
}

/* The part of a priority that decides about preemption (section 3.3.3). */
static uint8_t cpu_group_priority(const struct gicv2_cpu *c, unsigned group, uint8_t priority)
{
    unsigned low = group == 0 || (c->ctlr & GICC_CTLR_CBPR) ? c->bpr + 1u : c->abpr;
    return (uint8_t)(priority & (0xffu << low));
}

static uint8_t cpu_running_priority(const struct gicv2_cpu *c)
{
    uint32_t active = c->active[0] | c->active[1];
    return active ? (uint8_t)(__builtin_ctz(active) << (8 - GIC_PRIORITY_BITS)) : GIC_PRIORITY_IDLE;
}

/* The INTID that this CPU would take now, or GIC_INTID_SPURIOUS. */
static unsigned cpu_deliverable(struct gicv2 *g, unsigned cpu)
{
    const struct gicv2_cpu *c = &g->cpu[cpu];
    const struct gic_dist_cpu *d = &g->dist.cpu[cpu];
    if (d->best == GIC_INTID_SPURIOUS || d->best_priority >= c->pmr)
        return GIC_INTID_SPURIOUS;
    unsigned group = cpu_group(g, cpu, d->best);
    if (!(c->ctlr & (group ? GICC_CTLR_GRP1 : GICC_CTLR_GRP0)))
        return GIC_INTID_SPURIOUS;
    if (cpu_group_priority(c, group, d->best_priority) >= cpu_running_priority(c))
        return GIC_INTID_SPURIOUS;
    return d->best;
}

void gicv2_cpu_update(struct gicv2 *g, unsigned cpu)
{
    struct gicv2_cpu *c = &g->cpu[cpu];
    unsigned intid = cpu_deliverable(g, cpu);
    bool some = intid != GIC_INTID_SPURIOUS;
    bool fiq = some && cpu_group(g, cpu, intid) == 0 && (c->ctlr & GICC_CTLR_FIQEN);
    bool irq = some && !fiq;
    if (irq == c->irq && fiq == c->fiq)
        return;
    c->irq = irq;
    c->fiq = fiq;
    g->config.signal(g->config.ctx, cpu, irq, fiq);
}

/* What a pending INTID looks like through the plain (`alias` false) or the aliased registers. */
static unsigned cpu_seen_through(struct gicv2 *g, unsigned cpu, unsigned intid, bool alias)
{
    if (intid == GIC_INTID_SPURIOUS)
        return intid;
    unsigned group = cpu_group(g, cpu, intid);
    if (alias)
        return group == 1 ? intid : GIC_INTID_SPURIOUS;
    if (group == 1 && !(g->cpu[cpu].ctlr & GICC_CTLR_ACKCTL))
        return GICC_INTID_GROUP1;
    return intid;
}

/* The INTID as registers show it: an SGI with its source CPU in <12:10>. */
static uint32_t cpu_with_source(const struct gicv2_cpu *c, unsigned intid)
{
    if (intid >= 16 || c->sgi_source[intid] == 0)
        return intid;
    return (uint32_t)__builtin_ctz(c->sgi_source[intid]) << 10 | intid;
}

static uint32_t cpu_acknowledge(struct gicv2 *g, unsigned cpu, bool alias)
{
    struct gicv2_cpu *c = &g->cpu[cpu];
    unsigned intid = cpu_seen_through(g, cpu, cpu_deliverable(g, cpu), alias);
    if (intid >= GIC_INTID_LIMIT)
        return intid;
    unsigned group = cpu_group(g, cpu, intid);
    uint8_t priority = cpu_group_priority(c, group, g->dist.cpu[cpu].best_priority);
    c->active[group] |= 1u << (priority >> (8 - GIC_PRIORITY_BITS));
    uint32_t result = cpu_with_source(c, intid);
    bool more = false;
    if (intid < 16) {
        c->sgi_source[intid] &= (uint8_t)(c->sgi_source[intid] - 1);
        more = c->sgi_source[intid] != 0;
    }
    gic_dist_activate(&g->dist, cpu, intid, more);
    g->dist.stale |= 1ull << cpu;
    return result;
}

static uint32_t cpu_highest_pending(struct gicv2 *g, unsigned cpu, bool alias)
{
    unsigned intid = cpu_seen_through(g, cpu, g->dist.cpu[cpu].best, alias);
    return cpu_with_source(&g->cpu[cpu], intid);
}

/* Is it an interrupt that this distributor has? */
static bool cpu_intid_exists(const struct gicv2 *g, unsigned intid)
{
    return intid < GIC_INTID_LIMIT && bit(gic_dist_valid(&g->dist, intid / 32), intid % 32);
}

static void cpu_complete(struct gicv2 *g, unsigned cpu, uint32_t value, bool alias)
{
    struct gicv2_cpu *c = &g->cpu[cpu];
    unsigned intid = value & 0x3ff;
    if (!cpu_intid_exists(g, intid))
        return;
    unsigned group = cpu_group(g, cpu, intid);
    if (alias ? group == 0 : group == 1 && !(c->ctlr & GICC_CTLR_ACKCTL))
        return;
    c->active[group] &= c->active[group] - 1;
    if (!(c->ctlr & GICC_CTLR_EOIMODE))
        gic_dist_deactivate(&g->dist, cpu, intid);
    g->dist.stale |= 1ull << cpu;
}

static void cpu_write_dir(struct gicv2 *g, unsigned cpu, uint32_t value)
{
    unsigned intid = value & 0x3ff;
    if ((g->cpu[cpu].ctlr & GICC_CTLR_EOIMODE) && cpu_intid_exists(g, intid))
        gic_dist_deactivate(&g->dist, cpu, intid);
}

static uint32_t cpu_read_locked(struct gicv2 *g, unsigned cpu, uint64_t offset)
{
    const struct gicv2_cpu *c = &g->cpu[cpu];
    switch (offset) {
    case GICC_CTLR:
        return c->ctlr;
    case GICC_PMR:
        return c->pmr;
    case GICC_BPR:
        return c->bpr;
    case GICC_IAR:
        return cpu_acknowledge(g, cpu, false);
    case GICC_RPR:
        return cpu_running_priority(c);
    case GICC_HPPIR:
        return cpu_highest_pending(g, cpu, false);
    case GICC_ABPR:
        return c->abpr;
    case GICC_AIAR:
        return cpu_acknowledge(g, cpu, true);
    case GICC_AHPPIR:
        return cpu_highest_pending(g, cpu, true);
    case GICC_APR0:
        return c->active[0];
    case GICC_NSAPR0:
        return c->active[1];
    case GICC_IIDR:
        return GICV2_PRODUCT << 24 | 2u << 16 | GICV2_IMPLEMENTER;
    default:
        return 0;
    }
}

static uint8_t cpu_binary_point(uint32_t value, unsigned min)
{
    unsigned field = value & 7;
    return (uint8_t)(field < min ? min : field);
}

static void cpu_write_locked(struct gicv2 *g, unsigned cpu, uint64_t offset, uint32_t value)
{
    struct gicv2_cpu *c = &g->cpu[cpu];
    switch (offset) {
    case GICC_CTLR:
        c->ctlr = value & GICC_CTLR_MASK;
        break;
    case GICC_PMR:
        c->pmr = value & GIC_PRIORITY_MASK;
        break;
    case GICC_BPR:
        c->bpr = cpu_binary_point(value, GICC_BPR_MIN);
        break;
    case GICC_EOIR:
        cpu_complete(g, cpu, value, false);
        break;
    case GICC_ABPR:
        c->abpr = cpu_binary_point(value, GICC_ABPR_MIN);
        break;
    case GICC_AEOIR:
        cpu_complete(g, cpu, value, true);
        break;
    case GICC_APR0:
        c->active[0] = value;
        break;
    case GICC_NSAPR0:
        c->active[1] = value;
        break;
    case GICC_DIR:
        cpu_write_dir(g, cpu, value);
        break;
    default:
        return;
    }
    g->dist.stale |= 1ull << cpu;
}

uint64_t gicv2_cpu_read(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width)
{
    if (width != 4 || cpu >= g->dist.cpus)
        return 0;
    lock_acquire(&g->lock);
    uint32_t value = cpu_read_locked(g, cpu, offset);
    gicv2_update(g);
    lock_release(&g->lock);
    return value;
}

void gicv2_cpu_write(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width, uint64_t value)
{
    if (width != 4 || cpu >= g->dist.cpus)
        return;
    lock_acquire(&g->lock);
    cpu_write_locked(g, cpu, offset, (uint32_t)value);
    gicv2_update(g);
    lock_release(&g->lock);
}
