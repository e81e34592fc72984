/*
 * The GICv3 CPU interface, as system registers (IHI 0069H section 12.2; handling and prioritisation
 * chapter 4): priority mask and grouping, preemption, acknowledge and completion, SGIs.
 *
 * 5 priority bits make 32 levels, so that the active priorities of a group are one 32-bit word
 * (ICC_AP<n>R0_EL1) and the running priority is a count of trailing zeroes. A priority drop clears
 * the most urgent bit. Group 0 is FIQ, group 1 is IRQ.
 *
 * Choices where the architecture leaves one (all UNPREDICTABLE for a guest): completion through
 * the register of the other group is ignored, and so is ICC_DIR_EL1 while EOImode is 0.
 */
#include "gic/gicv3_state.h"

#include "base/bits.h"

#define ICC_CTLR_CBPR    0x1u
#define ICC_CTLR_EOIMODE 0x2u
/* 5 priority bits, 16 bits of INTID, range selectors in SGIs. */
#define ICC_CTLR_FIXED ((GIC_PRIORITY_BITS - 1u) << 8 | 1u << 18)

#define ICC_SRE_VALUE 0x7u /* system registers only, no bypass: RAO/WI */

static const uint8_t cpu_bpr_min[2] = { 2, 3 }; /* every level preempts */

void gicv3_cpu_reset(struct gicv3_cpu *c)
{
    *c = (struct gicv3_cpu){
        .present = c->present,
        .affinity = c->affinity,
        .asleep = c->asleep, /* the redistributor's */
        .bpr = { cpu_bpr_min[0], cpu_bpr_min[1] },
        .irq = c->irq, /* so that the update after a reset reports the change */
        .fiq = c->fiq,
    };
}

/* An LPI is always of group 1. */
static unsigned cpu_group(struct gicv3 *g, unsigned cpu, unsigned intid)
{
    return intid >= LPI_FIRST || bit(gic_dist_bank(&g->dist, cpu, intid / 32)->group, intid % 32);
}

/* The part of a priority that decides about preemption (section 4.8). */
static uint8_t cpu_group_priority(const struct gicv3_cpu *c, unsigned group, uint8_t priority)
{
    unsigned low = group == 0 || (c->ctlr & ICC_CTLR_CBPR) ? c->bpr[0] + 1u : c->bpr[1];

    return (uint8_t)(priority & (0xffu << low));
}

static uint8_t cpu_running_priority(const struct gicv3_cpu *c)
{
    uint32_t active = c->active[0] | c->active[1];

    return active ? (uint8_t)(__builtin_ctz(active) << (8 - GIC_PRIORITY_BITS)) : GIC_PRIORITY_IDLE;
}

/* The most urgent pending interrupt, or GIC_INTID_SPURIOUS: the distributor's, unless an LPI is
 * more urgent. */
static unsigned cpu_best(const struct gicv3 *g, unsigned cpu, uint8_t *priority)
{
    const struct gic_dist_cpu *d = &g->dist.cpu[cpu];
    uint8_t lpi_priority;

    *priority = d->best_priority;
    if (!g->lpis || !g->dist.group_enabled[1] || d->refused[1])
        return d->best;
    unsigned lpi = lpi_best(g->lpis, cpu, &lpi_priority);
    if (lpi == GIC_INTID_SPURIOUS || lpi_priority >= d->best_priority)
        return d->best;
    *priority = lpi_priority;
    return lpi;
}

/* The INTID that this CPU would take now, or GIC_INTID_SPURIOUS. */
static unsigned cpu_deliverable(struct gicv3 *g, unsigned cpu, uint8_t *priority)
{
    const struct gicv3_cpu *c = &g->cpu[cpu];
    unsigned best = cpu_best(g, cpu, priority);

    if (best == GIC_INTID_SPURIOUS || *priority >= c->pmr)
        return GIC_INTID_SPURIOUS;
    unsigned group = cpu_group(g, cpu, best);
    if (cpu_group_priority(c, group, *priority) >= cpu_running_priority(c))
        return GIC_INTID_SPURIOUS;
    return best;
}

void gicv3_update(struct gicv3 *g)
{
    uint64_t stale = g->dist.stale;

    g->dist.stale = 0;
    for (; stale; stale &= stale - 1) {
        unsigned cpu = (unsigned)__builtin_ctzll(stale);
        struct gicv3_cpu *c = &g->cpu[cpu];
        uint8_t priority;
        unsigned intid = c->present ? cpu_deliverable(g, cpu, &priority) : GIC_INTID_SPURIOUS;
        bool some = intid != GIC_INTID_SPURIOUS;
        bool irq = some && cpu_group(g, cpu, intid) == 1, fiq = some && !irq;

        if (irq == c->irq && fiq == c->fiq)
            continue;
        c->irq = irq;
        c->fiq = fiq;
        g->config.signal(g->config.ctx, cpu, irq, fiq);
    }
}

/* `intid` if it is of this group, as the group's register shows it. */
static unsigned cpu_of_group(struct gicv3 *g, unsigned cpu, unsigned intid, unsigned group)
{
    return intid != GIC_INTID_SPURIOUS && cpu_group(g, cpu, intid) == group ? intid
                                                                            : GIC_INTID_SPURIOUS;
}

static uint32_t cpu_acknowledge(struct gicv3 *g, unsigned cpu, unsigned group)
{
    struct gicv3_cpu *c = &g->cpu[cpu];
    uint8_t priority;
    unsigned intid = cpu_of_group(g, cpu, cpu_deliverable(g, cpu, &priority), group);

    if (intid == GIC_INTID_SPURIOUS)
        return intid;
    priority = cpu_group_priority(c, group, priority);
    c->active[group] |= 1u << (priority >> (8 - GIC_PRIORITY_BITS));
    if (intid >= LPI_FIRST)
        lpi_clear(g, intid);
    else
        gic_dist_activate(&g->dist, cpu, intid, false);
    return intid;
}

/* An LPI is never active: its completion is the priority drop alone. */
static bool cpu_intid_activates(uint64_t intid)
{
    return intid < GIC_INTID_LIMIT;
}

static void cpu_complete(struct gicv3 *g, unsigned cpu, uint64_t value, unsigned group)
{
    struct gicv3_cpu *c = &g->cpu[cpu];
    unsigned intid = value & 0xffffff;

    if (!(cpu_intid_activates(intid) || (g->lpis && lpi_exists(intid))) ||
        cpu_group(g, cpu, intid) != group)
        return;
    c->active[group] &= c->active[group] - 1;
    if (cpu_intid_activates(intid) && !(c->ctlr & ICC_CTLR_EOIMODE))
        gic_dist_deactivate(&g->dist, cpu, intid);
}

/*
 * ICC_SGI<n>R_EL1, ICC_ASGI1R_EL1 (section 12.1.10): a list of sixteen CPUs under Aff3.Aff2.Aff1,
 * or all but the own. ICC_SGI1R_EL1 makes what the target has in either group, the others only what
 * it has in group 0.
 */
static void cpu_send_sgi(struct gicv3 *g, unsigned cpu, uint64_t value, bool group1)
{
    unsigned id = (unsigned)bits(value, 27, 24);
    bool all = bit(value, 40);
    uint32_t above = (uint32_t)(bits(value, 55, 48) << 24 | bits(value, 39, 32) << 16 |
                                bits(value, 23, 16) << 8);
    unsigned first = (unsigned)bits(value, 47, 44) * 16;

    for (unsigned c = 0; c < g->dist.cpus; c++) {
        uint32_t affinity = g->cpu[c].affinity;
        unsigned place = (affinity & 0xff) - first;
        bool listed = (affinity & ~0xffu) == above && place < 16 && bit(value, place);

        if (!g->cpu[c].present || !(all ? c != cpu : listed))
            continue;
        if (group1 || cpu_group(g, c, id) == 0)
            gicv3_bank_write(g, c, 0, GICV3_SET_PENDING, 1u << id);
    }
}

static uint64_t cpu_read_locked(struct gicv3 *g, unsigned cpu, enum gicv3_icc reg)
{
    const struct gicv3_cpu *c = &g->cpu[cpu];
    uint8_t priority;

    switch (reg) {
    case GICV3_ICC_PMR:
        return c->pmr;
    case GICV3_ICC_IAR0:
        return cpu_acknowledge(g, cpu, 0);
    case GICV3_ICC_IAR1:
        return cpu_acknowledge(g, cpu, 1);
    case GICV3_ICC_HPPIR0:
        return cpu_of_group(g, cpu, cpu_best(g, cpu, &priority), 0);
    case GICV3_ICC_HPPIR1:
        return cpu_of_group(g, cpu, cpu_best(g, cpu, &priority), 1);
    case GICV3_ICC_BPR0:
        return c->bpr[0];
    case GICV3_ICC_BPR1: /* with CBPR group 0's plus one, at most 7 */
        if (c->ctlr & ICC_CTLR_CBPR)
            return c->bpr[0] < 7 ? c->bpr[0] + 1 : 7;
        return c->bpr[1];
    case GICV3_ICC_AP0R0:
        return c->active[0];
    case GICV3_ICC_AP1R0:
        return c->active[1];
    case GICV3_ICC_RPR:
        return cpu_running_priority(c);
    case GICV3_ICC_CTLR:
        return ICC_CTLR_FIXED | c->ctlr;
    case GICV3_ICC_SRE:
        return ICC_SRE_VALUE;
    case GICV3_ICC_IGRPEN0:
        return c->enabled[0];
    case GICV3_ICC_IGRPEN1:
        return c->enabled[1];
    default: /* write only */
        return 0;
    }
}

static void cpu_enable_group(struct gicv3 *g, unsigned cpu, unsigned group, bool on)
{
    g->cpu[cpu].enabled[group] = on;
    gicv3_participate(g, cpu);
    gicv3_route_all(g);
}

static uint8_t cpu_binary_point(uint64_t value, unsigned group)
{
    unsigned field = value & 7;

    return (uint8_t)(field < cpu_bpr_min[group] ? cpu_bpr_min[group] : field);
}

static void cpu_write_locked(struct gicv3 *g, unsigned cpu, enum gicv3_icc reg, uint64_t value)
{
    struct gicv3_cpu *c = &g->cpu[cpu];

    switch (reg) {
    case GICV3_ICC_PMR:
        c->pmr = value & GIC_PRIORITY_MASK;
        break;
    case GICV3_ICC_EOIR0:
        cpu_complete(g, cpu, value, 0);
        break;
    case GICV3_ICC_EOIR1:
        cpu_complete(g, cpu, value, 1);
        break;
    case GICV3_ICC_BPR0:
        c->bpr[0] = cpu_binary_point(value, 0);
        break;
    case GICV3_ICC_BPR1:
        if (!(c->ctlr & ICC_CTLR_CBPR))
            c->bpr[1] = cpu_binary_point(value, 1);
        break;
    case GICV3_ICC_AP0R0:
        c->active[0] = (uint32_t)value;
        break;
    case GICV3_ICC_AP1R0:
        c->active[1] = (uint32_t)value;
        break;
    case GICV3_ICC_DIR:
        if ((c->ctlr & ICC_CTLR_EOIMODE) && cpu_intid_activates(value & 0xffffff))
            gic_dist_deactivate(&g->dist, cpu, value & 0xffffff);
        break;
    case GICV3_ICC_SGI1R:
        cpu_send_sgi(g, cpu, value, true);
        break;
    case GICV3_ICC_ASGI1R:
    case GICV3_ICC_SGI0R:
        cpu_send_sgi(g, cpu, value, false);
        break;
    case GICV3_ICC_CTLR:
        c->ctlr = value & (ICC_CTLR_CBPR | ICC_CTLR_EOIMODE);
        break;
    case GICV3_ICC_IGRPEN0:
        cpu_enable_group(g, cpu, 0, value & 1);
        break;
    case GICV3_ICC_IGRPEN1:
        cpu_enable_group(g, cpu, 1, value & 1);
        break;
    default: /* read only */
        return;
    }
}

uint64_t gicv3_icc_read(struct gicv3 *g, unsigned cpu, enum gicv3_icc reg)
{
    lock_acquire(&g->lock);
    uint64_t value = cpu_read_locked(g, cpu, reg);
    g->dist.stale |= 1ull << cpu;
    gicv3_update(g);
    lock_release(&g->lock);
    return value;
}

void gicv3_icc_write(struct gicv3 *g, unsigned cpu, enum gicv3_icc reg, uint64_t value)
{
    lock_acquire(&g->lock);
    cpu_write_locked(g, cpu, reg, value);
    g->dist.stale |= 1ull << cpu;
    gicv3_update(g);
    lock_release(&g->lock);
}
