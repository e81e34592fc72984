/* LPIs: see lpi.h. Tables in guest memory: IHI 0069H sections 5.1.1 (configuration), 5.1.2. */
#include "gic/lpi.h"

#include <string.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "gic/gicv3_state.h"

#define LPI_NONE UINT16_MAX
#define LPI_IDLE UINT8_MAX
#define LPI_OFF  LPI_LEVELS /* the list of the disabled */

_Static_assert(LPI_COUNT < LPI_NONE && GIC_DIST_MAX_CPUS < LPI_IDLE, "there is a value for none");

#define LPI_CONFIG_ENABLE 0x01u

/* IDbits, cacheability and shareability (kept, without effect), address. */
#define PROPBASER_MASK    0x070fffffffffff9full
#define PROPBASER_ADDRESS 0x000ffffffffff000ull
#define PENDBASER_MASK    0x070fffffffff0f80ull
#define PENDBASER_ADDRESS 0x000fffffffff0000ull
#define PENDBASER_PTZ     (1ull << 62)

/* The pending table is read and written in pieces that lie in one page. */
#define LPI_PIECE 512u

void lpi_reset(struct lpis *l)
{
    memset(l->cpu, 0, sizeof l->cpu);
    for (unsigned c = 0; c < GIC_DIST_MAX_CPUS; c++)
        for (unsigned i = 0; i < LPI_LISTS; i++)
            l->cpu[c].head[i] = LPI_NONE;
    for (unsigned i = 0; i < LPI_COUNT; i++)
        l->lpi[i].cpu = LPI_IDLE;
}

/* The first INTID that `c` does not have. */
static unsigned lpi_limit(const struct lpi_cpu *c)
{
    unsigned id_bits = (unsigned)bits(c->propbaser, 4, 0) + 1;

    return 1u << (id_bits < 16 ? id_bits : 16);
}

/* --- lists --- */

static void lpi_link(struct lpis *l, unsigned n, unsigned cpu, unsigned list)
{
    struct lpi_cpu *c = &l->cpu[cpu];
    struct lpi *i = &l->lpi[n];
    uint16_t head = c->head[list];

    i->cpu = (uint8_t)cpu;
    i->list = (uint8_t)list;
    if (head == LPI_NONE) {
        i->next = i->previous = (uint16_t)n;
        c->head[list] = (uint16_t)n;
    } else {
        i->next = head;
        i->previous = l->lpi[head].previous;
        l->lpi[i->previous].next = l->lpi[head].previous = (uint16_t)n;
    }
    c->pending++;
    if (list < LPI_LEVELS)
        c->levels |= 1u << list;
}

static void lpi_unlink(struct lpis *l, unsigned n)
{
    struct lpi *i = &l->lpi[n];
    struct lpi_cpu *c = &l->cpu[i->cpu];

    l->lpi[i->previous].next = i->next;
    l->lpi[i->next].previous = i->previous;
    if (c->head[i->list] == n)
        c->head[i->list] = i->next == n ? LPI_NONE : i->next;
    if (i->list < LPI_LEVELS && c->head[i->list] == LPI_NONE)
        c->levels &= ~(1u << i->list);
    c->pending--;
    i->cpu = LPI_IDLE;
}

/* --- configuration --- */

/* The list that the guest's table puts LPI `n` of this CPU on. What cannot be read is off. */
static unsigned lpi_configured(const struct gicv3 *g, const struct lpi_cpu *c, unsigned n)
{
    uint8_t config;

    if (n + LPI_FIRST >= lpi_limit(c) ||
        gicv3_guest_read(g, (c->propbaser & PROPBASER_ADDRESS) + n, &config, 1) < 0)
        return LPI_OFF;
    return config & LPI_CONFIG_ENABLE ? config >> (8 - GIC_PRIORITY_BITS) : LPI_OFF;
}

static void lpi_changed(struct gicv3 *g, unsigned cpu)
{
    g->dist.stale |= 1ull << cpu;
}

/* --- one --- */

void lpi_pend(struct gicv3 *g, unsigned cpu, unsigned intid)
{
    struct lpis *l = g->lpis;
    struct lpi_cpu *c = &l->cpu[cpu];
    unsigned n = intid - LPI_FIRST;

    if (!c->enabled || !lpi_exists(intid) || intid >= lpi_limit(c) || l->lpi[n].cpu != LPI_IDLE)
        return;
    lpi_link(l, n, cpu, lpi_configured(g, c, n));
    lpi_changed(g, cpu);
}

void lpi_clear(struct gicv3 *g, unsigned intid)
{
    const struct lpi *i = &g->lpis->lpi[intid - LPI_FIRST];

    if (i->cpu == LPI_IDLE)
        return;
    lpi_changed(g, i->cpu);
    lpi_unlink(g->lpis, intid - LPI_FIRST);
}

void lpi_reload(struct gicv3 *g, unsigned intid)
{
    struct lpis *l = g->lpis;
    unsigned n = intid - LPI_FIRST, cpu = l->lpi[n].cpu;

    if (cpu == LPI_IDLE)
        return;
    unsigned list = lpi_configured(g, &l->cpu[cpu], n);
    if (list == l->lpi[n].list)
        return;
    lpi_unlink(l, n);
    lpi_link(l, n, cpu, list);
    lpi_changed(g, cpu);
}

void lpi_move(struct gicv3 *g, unsigned intid, unsigned from, unsigned to)
{
    if (g->lpis->lpi[intid - LPI_FIRST].cpu != from || from == to)
        return;
    lpi_clear(g, intid);
    lpi_pend(g, to, intid);
}

unsigned lpi_best(const struct lpis *l, unsigned cpu, uint8_t *priority)
{
    const struct lpi_cpu *c = &l->cpu[cpu];

    if (!c->levels)
        return GIC_INTID_SPURIOUS;
    unsigned level = (unsigned)__builtin_ctz(c->levels);
    *priority = (uint8_t)(level << (8 - GIC_PRIORITY_BITS));
    return LPI_FIRST + c->head[level];
}

/* --- all of a CPU --- */

unsigned lpi_reload_all(struct gicv3 *g, unsigned cpu)
{
    unsigned done = 0, all = g->lpis->cpu[cpu].pending;

    for (unsigned n = 0; all && n < LPI_COUNT; n++)
        if (g->lpis->lpi[n].cpu == cpu) {
            lpi_reload(g, n + LPI_FIRST);
            if (++done == all)
                break;
        }
    return all ? LPI_COUNT : 0;
}

unsigned lpi_move_all(struct gicv3 *g, unsigned from, unsigned to)
{
    struct lpi_cpu *c = &g->lpis->cpu[from];
    unsigned all = c->pending;

    if (from == to)
        return 0;
    for (unsigned list = 0; list < LPI_LISTS; list++)
        while (c->head[list] != LPI_NONE)
            lpi_move(g, c->head[list] + LPI_FIRST, from, to);
    return all;
}

/* --- a CPU's tables --- */

static void lpi_read_pending(struct gicv3 *g, unsigned cpu)
{
    const struct lpi_cpu *c = &g->lpis->cpu[cpu];
    uint64_t table = c->pendbaser & PENDBASER_ADDRESS;
    uint8_t piece[LPI_PIECE];

    for (unsigned at = LPI_FIRST / 8; at < lpi_limit(c) / 8; at += LPI_PIECE) {
        if (gicv3_guest_read(g, table + at, piece, sizeof piece) < 0)
            continue;
        for (unsigned i = 0; i < LPI_PIECE * 8; i++)
            if (bit(piece[i / 8], i % 8))
                lpi_pend(g, cpu, at * 8 + i);
    }
}

/* What is pending goes from here to the table. */
static void lpi_write_pending(struct gicv3 *g, unsigned cpu)
{
    const struct lpi_cpu *c = &g->lpis->cpu[cpu];
    uint64_t table = c->pendbaser & PENDBASER_ADDRESS;

    for (unsigned at = LPI_FIRST / 8; at < lpi_limit(c) / 8; at += LPI_PIECE) {
        uint8_t piece[LPI_PIECE] = { 0 };

        for (unsigned i = 0; i < LPI_PIECE * 8; i++) {
            unsigned intid = at * 8 + i;

            if (g->lpis->lpi[intid - LPI_FIRST].cpu != cpu)
                continue;
            piece[i / 8] |= (uint8_t)(1u << i % 8);
            lpi_clear(g, intid);
        }
        (void)gicv3_guest_write(g, table + at, piece, sizeof piece); /* no memory: lost */
    }
}

void lpi_enable(struct gicv3 *g, unsigned cpu, bool on)
{
    struct lpi_cpu *c = &g->lpis->cpu[cpu];

    if (on == c->enabled)
        return;
    c->enabled = on;
    if (!on)
        lpi_write_pending(g, cpu);
    else if (!(c->pendbaser & PENDBASER_PTZ))
        lpi_read_pending(g, cpu);
}

void lpi_set_propbaser(struct lpi_cpu *c, uint64_t value)
{
    if (!c->enabled)
        c->propbaser = value & PROPBASER_MASK;
}

void lpi_set_pendbaser(struct lpi_cpu *c, uint64_t value)
{
    if (!c->enabled)
        c->pendbaser = value & (PENDBASER_MASK | PENDBASER_PTZ);
}

/* --- state --- */

uint8_t *lpi_save(const struct lpis *l, uint8_t *p)
{
    for (unsigned c = 0; c < GIC_DIST_MAX_CPUS; c++, p += 24) {
        st_le64(p, l->cpu[c].enabled);
        st_le64(p + 8, l->cpu[c].propbaser);
        st_le64(p + 16, l->cpu[c].pendbaser);
    }
    for (unsigned n = 0; n < LPI_COUNT; n++)
        *p++ = l->lpi[n].cpu;
    return p;
}

const uint8_t *lpi_restore(struct gicv3 *g, const uint8_t *p)
{
    struct lpis *l = g->lpis;

    lpi_reset(l);
    for (unsigned c = 0; c < GIC_DIST_MAX_CPUS; c++, p += 24) {
        lpi_set_propbaser(&l->cpu[c], ld_le64(p + 8));
        lpi_set_pendbaser(&l->cpu[c], ld_le64(p + 16));
        l->cpu[c].enabled = p[0] & 1;
    }
    for (unsigned n = 0; n < LPI_COUNT; n++)
        if (p[n] < GIC_DIST_MAX_CPUS)
            lpi_pend(g, p[n], n + LPI_FIRST);
    return p + LPI_COUNT;
}
