/*
 * The GICv3 distributor's registers (IHI 0069H section 12.9), the registers that redistributors
 * have alike, and affinity routing (section 3.2). With affinity routing always on, what GICD has of
 * private interrupts and of GICv2's routing is RAZ/WI, and so are the registers of the Security
 * state that is not there (GICD_IGRPMODR, GICD_NSACR). What no case names is reserved.
 *
 * An interrupt for any CPU (GICD_IROUTER.Interrupt_Routing_Mode) is offered to every participating
 * CPU, and the first to acknowledge takes it: the architecture lets us choose.
 */
#include "gic/gicv3_state.h"

#include "base/bits.h"

#define GICD_CTLR_ENABLES 0x03u
#define GICD_CTLR_FIXED   0x50u /* ARE, DS */

/* ITLinesNumber 31, 16 bits of INTID, range selectors in SGIs, 1-of-N. */
#define GICD_TYPER_VALUE 0x0478001fu
#define GICD_TYPER_LPIS  (1u << 17)

enum {
    GICD_CTLR = 0x0000,
    GICD_TYPER = 0x0004,
    GICD_IIDR = 0x0008,
    GICD_IGROUPR = 0x0080,
    GICD_IPRIORITYR = 0x0400,
    GICD_IPRIORITYR_END = 0x07fc,
    GICD_ICFGR = 0x0c00,
    GICD_ICFGR_END = 0x0d00,
    GICD_IROUTER = 0x6000,
    GICD_IROUTER_END = 0x7fe0,
    GICD_PIDR2 = 0xffe8,
};

uint32_t gicv3_bank_read(struct gicv3 *g, unsigned cpu, unsigned n, enum gicv3_bank_reg reg)
{
    const struct gic_bank *b = gic_dist_bank(&g->dist, cpu, n);

    switch (reg) {
    case GICV3_GROUP:
        return b->group;
    case GICV3_SET_ENABLE:
    case GICV3_CLEAR_ENABLE:
        return b->enabled;
    case GICV3_SET_PENDING:
    case GICV3_CLEAR_PENDING:
        return gic_bank_pending(b);
    case GICV3_SET_ACTIVE:
    case GICV3_CLEAR_ACTIVE:
        return b->active;
    case GICV3_BANK_REGS:
        break;
    }
    return 0;
}

void gicv3_bank_write(struct gicv3 *g, unsigned cpu, unsigned n, enum gicv3_bank_reg reg,
                      uint32_t value)
{
    struct gic_bank *b = gic_dist_bank(&g->dist, cpu, n);

    value &= gic_dist_valid(&g->dist, n);
    switch (reg) {
    case GICV3_GROUP:
        b->group = value;
        break;
    case GICV3_SET_ENABLE:
        b->enabled |= value;
        break;
    case GICV3_CLEAR_ENABLE:
        b->enabled &= ~value;
        break;
    case GICV3_SET_PENDING:
        b->latch |= value;
        break;
    case GICV3_CLEAR_PENDING: /* a level-sensitive one whose wire is high stays pending */
        b->latch &= ~value;
        break;
    case GICV3_SET_ACTIVE:
        b->active |= value;
        break;
    case GICV3_CLEAR_ACTIVE:
        b->active &= ~value;
        break;
    case GICV3_BANK_REGS:
        return;
    }
    if (n > 0 && reg == GICV3_GROUP)
        gicv3_route(g, n); /* who participates depends on the group */
    gic_dist_update(&g->dist, cpu, n);
}

uint32_t gicv3_priority_read(struct gicv3 *g, unsigned cpu, unsigned first, unsigned width)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < width; i++)
        value |=
            (uint32_t)gic_dist_bank(&g->dist, cpu, (first + i) / 32)->priority[(first + i) % 32]
            << 8 * i;
    return value;
}

void gicv3_priority_write(struct gicv3 *g, unsigned cpu, unsigned first, unsigned width,
                          uint32_t value)
{
    struct gic_bank *b = gic_dist_bank(&g->dist, cpu, first / 32);

    for (unsigned i = 0; i < width; i++)
        if (bit(gic_dist_valid(&g->dist, first / 32), (first + i) % 32))
            b->priority[(first + i) % 32] = (uint8_t)(value >> 8 * i & GIC_PRIORITY_MASK);
    gic_dist_update(&g->dist, cpu, first / 32);
}

/* Two bits an interrupt, of which bit 1 is the configuration: 16 interrupts a register. */
uint32_t gicv3_config_read(struct gicv3 *g, unsigned cpu, unsigned n)
{
    uint32_t edge = gic_dist_bank(&g->dist, cpu, n / 2)->edge >> n % 2 * 16;
    uint32_t value = 0;

    for (unsigned k = 0; k < 16; k++)
        value |= (uint32_t)bit(edge, k) << (2 * k + 1);
    return value;
}

void gicv3_config_write(struct gicv3 *g, unsigned cpu, unsigned n, uint32_t value)
{
    struct gic_bank *b = gic_dist_bank(&g->dist, cpu, n / 2);
    uint32_t mask = (0xffffu << n % 2 * 16) & gic_dist_valid(&g->dist, n / 2);
    uint32_t edge = 0;

    for (unsigned k = 0; k < 16; k++)
        edge |= (uint32_t)bit(value, 2 * k + 1) << (n % 2 * 16 + k);
    b->edge = (b->edge & ~mask) | (edge & mask);
    gic_dist_update(&g->dist, cpu, n / 2);
}

/* Does this CPU take part in the choice for an interrupt of this group that may go anywhere? */
static bool dist_participates(const struct gicv3 *g, unsigned cpu, unsigned group)
{
    const struct gicv3_cpu *c = &g->cpu[cpu];

    return c->present && !c->asleep && c->enabled[group];
}

static bool dist_is_target(const struct gicv3 *g, unsigned cpu, unsigned intid)
{
    uint32_t router = g->router[intid];
    unsigned group = bit(g->dist.shared[intid / 32].group, intid % 32);

    if (router & GICV3_ROUTER_ANY)
        return dist_participates(g, cpu, group);
    return g->cpu[cpu].present && g->cpu[cpu].affinity == router;
}

void gicv3_route(struct gicv3 *g, unsigned n)
{
    for (unsigned c = 0; c < g->dist.cpus; c++) {
        uint32_t target = 0;

        for (unsigned i = 0; i < 32; i++)
            target |= (uint32_t)dist_is_target(g, c, n * 32 + i) << i;
        g->dist.cpu[c].target[n] = target;
    }
}

void gicv3_route_all(struct gicv3 *g)
{
    for (unsigned n = 1; n < g->dist.banks; n++)
        gicv3_route(g, n);
    gic_dist_update_all(&g->dist);
}

static uint64_t dist_read_word(struct gicv3 *g, uint64_t offset)
{
    if (offset >= GICD_IGROUPR && offset < GICD_IPRIORITYR) {
        unsigned n = (unsigned)offset % 0x80 / 4;
        return n == 0 ? 0 : gicv3_bank_read(g, 0, n, (unsigned)(offset - GICD_IGROUPR) / 0x80);
    }
    if (offset >= GICD_ICFGR + 8 && offset < GICD_ICFGR_END)
        return gicv3_config_read(g, 0, (unsigned)(offset - GICD_ICFGR) / 4);
    switch (offset) {
    case GICD_CTLR:
        return GICD_CTLR_FIXED | (uint32_t)g->dist.group_enabled[1] << 1 | g->dist.group_enabled[0];
    case GICD_TYPER:
        return GICD_TYPER_VALUE | (g->lpis ? GICD_TYPER_LPIS : 0);
    case GICD_IIDR:
        return GICV3_IIDR;
    case GICD_PIDR2:
        return GICV3_PIDR2;
    default:
        return 0;
    }
}

static void dist_write_word(struct gicv3 *g, uint64_t offset, uint32_t value)
{
    if (offset >= GICD_IGROUPR && offset < GICD_IPRIORITYR) {
        unsigned n = (unsigned)offset % 0x80 / 4;
        if (n > 0)
            gicv3_bank_write(g, 0, n, (unsigned)(offset - GICD_IGROUPR) / 0x80, value);
    } else if (offset >= GICD_ICFGR + 8 && offset < GICD_ICFGR_END) {
        gicv3_config_write(g, 0, (unsigned)(offset - GICD_ICFGR) / 4, value);
    } else if (offset == GICD_CTLR) {
        g->dist.group_enabled[0] = value & 1;
        g->dist.group_enabled[1] = value & 2;
        gic_dist_update_all(&g->dist);
    }
}

/* Priorities of the shared interrupts, which have byte access; of the private ones RAZ/WI. */
static bool dist_is_priority(uint64_t offset, unsigned width)
{
    return (width == 1 || width == 4) && offset >= GICD_IPRIORITYR + 32 &&
           offset < GICD_IPRIORITYR_END;
}

static bool dist_is_router(uint64_t offset, unsigned width)
{
    return (width == 4 || width == 8) && offset >= GICD_IROUTER + 32 * 8 &&
           offset < GICD_IROUTER_END;
}

uint64_t gicv3_dist_read(struct gicv3 *g, uint64_t offset, unsigned width)
{
    uint64_t value = 0;

    if (offset % width)
        return 0;
    lock_acquire(&g->lock);
    if (dist_is_priority(offset, width))
        value = gicv3_priority_read(g, 0, (unsigned)(offset - GICD_IPRIORITYR), width);
    else if (dist_is_router(offset, width)) /* the upper half is 0 */
        value = offset % 8 ? 0 : g->router[(offset - GICD_IROUTER) / 8];
    else if (width == 4)
        value = dist_read_word(g, offset);
    lock_release(&g->lock);
    return value;
}

void gicv3_dist_write(struct gicv3 *g, uint64_t offset, unsigned width, uint64_t value)
{
    if (offset % width)
        return;
    lock_acquire(&g->lock);
    if (dist_is_priority(offset, width)) {
        gicv3_priority_write(g, 0, (unsigned)(offset - GICD_IPRIORITYR), width, (uint32_t)value);
    } else if (dist_is_router(offset, width)) {
        if (offset % 8 == 0) {
            unsigned intid = (unsigned)(offset - GICD_IROUTER) / 8;
            g->router[intid] = (uint32_t)value & GICV3_ROUTER_MASK;
            gicv3_route(g, intid / 32);
            gic_dist_update(&g->dist, 0, intid / 32);
        }
    } else if (width == 4) {
        dist_write_word(g, offset, (uint32_t)value);
    }
    gicv3_update(g);
    lock_release(&g->lock);
}
