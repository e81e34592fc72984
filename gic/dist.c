/* The distributor core: see dist.h. Pending and active follow IHI 0048B.b section 3.2.4. */
#include "gic/dist.h"

#include <string.h>

static void dist_reset_bank(struct gic_bank *b)
{
    uint32_t wire = b->wire;
    memset(b, 0, sizeof *b);
    b->wire = wire;
}

void gic_dist_reset(struct gic_dist *d)
{
    d->group_enabled[0] = d->group_enabled[1] = false;
    for (unsigned c = 0; c < d->cpus; c++) {
        dist_reset_bank(&d->private[c]);
        d->private[c].enabled = GIC_SGIS;
        d->private[c].edge = GIC_SGIS;
        memset(&d->cpu[c], 0, sizeof d->cpu[c]);
        d->cpu[c].target[0] = UINT32_MAX;
    }
    if (d->cpus == 1) /* no choice, and no registers to make it with */
        memset(d->cpu[0].target, 0xff, sizeof d->cpu[0].target);
    for (unsigned n = 1; n < d->banks; n++)
        dist_reset_bank(&d->shared[n]);
    gic_dist_update_all(d);
}

void gic_dist_init(struct gic_dist *d, unsigned cpus, unsigned banks)
{
    d->cpus = cpus;
    d->banks = banks;
    gic_dist_reset(d);
}

uint32_t gic_dist_valid(const struct gic_dist *d, unsigned n)
{
    if (n >= d->banks)
        return 0;
    return n == GIC_INTID_LIMIT / 32 ? (1u << GIC_INTID_LIMIT % 32) - 1 : UINT32_MAX;
}

/* Choose the most urgent ready interrupt; the lowest INTID among equals. */
static void dist_choose(struct gic_dist *d, unsigned cpu)
{
    struct gic_dist_cpu *c = &d->cpu[cpu];
    c->best = GIC_INTID_SPURIOUS;
    c->best_priority = GIC_PRIORITY_IDLE;
    for (uint32_t left = c->ready_banks; left; left &= left - 1) {
        unsigned n = (unsigned)__builtin_ctz(left);
        const struct gic_bank *b = gic_dist_bank(d, cpu, n);
        for (uint32_t ready = c->ready[n]; ready; ready &= ready - 1) {
            unsigned i = (unsigned)__builtin_ctz(ready);
            if (b->priority[i] < c->best_priority) {
                c->best_priority = b->priority[i];
                c->best = (uint16_t)(n * 32 + i);
            }
        }
    }
    d->stale |= 1ull << cpu;
}

/* Recompute one CPU's ready word. True if `best` may have changed. */
static bool dist_refresh(struct gic_dist *d, unsigned cpu, unsigned n)
{
    struct gic_dist_cpu *c = &d->cpu[cpu];
    const struct gic_bank *b = gic_dist_bank(d, cpu, n);
    uint32_t forwarded = (d->group_enabled[0] && !c->refused[0] ? ~b->group : 0) |
                         (d->group_enabled[1] && !c->refused[1] ? b->group : 0);
    uint32_t before = c->ready[n];
    c->ready[n] = gic_bank_pending(b) & b->enabled & ~b->active & forwarded & c->target[n];
    if (c->ready[n])
        c->ready_banks |= 1u << n;
    else
        c->ready_banks &= ~(1u << n);
    return before || c->ready[n];
}

void gic_dist_update(struct gic_dist *d, unsigned cpu, unsigned n)
{
    unsigned first = n == 0 ? cpu : 0;
    unsigned end = n == 0 ? cpu + 1 : d->cpus;
    for (unsigned c = first; c < end; c++)
        if (dist_refresh(d, c, n))
            dist_choose(d, c);
}

void gic_dist_update_all(struct gic_dist *d)
{
    for (unsigned c = 0; c < d->cpus; c++) {
        for (unsigned n = 0; n < d->banks; n++)
            dist_refresh(d, c, n);
        dist_choose(d, c);
    }
}

bool gic_dist_set_wire(struct gic_dist *d, unsigned cpu, unsigned intid, bool level)
{
    struct gic_bank *b = gic_dist_bank(d, cpu, intid / 32);
    uint32_t mask = 1u << intid % 32;
    if (!(b->wire & mask) == !level)
        return false;
    b->wire ^= mask;
    if (level)
        b->latch |= mask & b->edge;
    gic_dist_update(d, cpu, intid / 32);
    return true;
}

void gic_dist_activate(struct gic_dist *d, unsigned cpu, unsigned intid, bool still_pending)
{
    struct gic_bank *b = gic_dist_bank(d, cpu, intid / 32);
    uint32_t mask = 1u << intid % 32;
    b->active |= mask;
    if (!still_pending)
        b->latch &= ~mask;
    gic_dist_update(d, cpu, intid / 32);
}

void gic_dist_deactivate(struct gic_dist *d, unsigned cpu, unsigned intid)
{
    struct gic_bank *b = gic_dist_bank(d, cpu, intid / 32);
    uint32_t mask = 1u << intid % 32;
    if (!(b->active & mask))
        return;
    b->active &= ~mask;
    gic_dist_update(d, cpu, intid / 32);
}
