/*
 * The GICv2 distributor's registers (IHI 0048B.b section 4.3), one table: an offset range, the
 * unit its handlers work in (a word, or a byte where the architecture allows byte accesses), and
 * the handlers. What the table does not have is reserved: it reads as zero and ignores writes.
 *
 * Choices where the architecture leaves one: no Security Extensions, so both groups belong to the
 * guest; 5 priority bits; SGIs are always enabled; PPIs may be configured as edge-triggered.
 */
#include "gic/gicv2_state.h"

#include "base/bits.h"

#define GICD_CTLR_GRP0 0x1u
#define GICD_CTLR_GRP1 0x2u

/* A register range. `i` counts units from the start of the range. */
struct dist_reg {
    uint16_t start, end;
    uint8_t unit; /* 1 or 4 bytes */
    uint32_t (*read)(struct gicv2 *g, unsigned cpu, unsigned i);
    void (*write)(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value);
};

static uint32_t dist_read_ctlr(struct gicv2 *g, unsigned cpu, unsigned i)
{
    (void)cpu, (void)i;
    return (g->dist.group_enabled[0] ? GICD_CTLR_GRP0 : 0) |
           (g->dist.group_enabled[1] ? GICD_CTLR_GRP1 : 0);
}

static void dist_write_ctlr(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    (void)cpu, (void)i;
    g->dist.group_enabled[0] = value & GICD_CTLR_GRP0;
    g->dist.group_enabled[1] = value & GICD_CTLR_GRP1;
    gic_dist_update_all(&g->dist);
}

static uint32_t dist_read_typer(struct gicv2 *g, unsigned cpu, unsigned i)
{
    (void)cpu, (void)i;
    return (g->dist.cpus - 1) << 5 | (g->dist.banks - 1);
}

static uint32_t dist_read_iidr(struct gicv2 *g, unsigned cpu, unsigned i)
{
    (void)g, (void)cpu, (void)i;
    return GICV2_PRODUCT << 24 | GICV2_IMPLEMENTER;
}

static uint32_t dist_read_group(struct gicv2 *g, unsigned cpu, unsigned i)
{
    return gic_dist_bank(&g->dist, cpu, i)->group;
}

static void dist_write_group(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    gic_dist_bank(&g->dist, cpu, i)->group = value & gic_dist_valid(&g->dist, i);
    gic_dist_update(&g->dist, cpu, i);
}

static uint32_t dist_read_enable(struct gicv2 *g, unsigned cpu, unsigned i)
{
    return gic_dist_bank(&g->dist, cpu, i)->enabled;
}

/* The interrupts of bank `i` that a write to a set/clear register may change. */
static uint32_t dist_writable(const struct gicv2 *g, unsigned i, uint32_t value)
{
    return value & gic_dist_valid(&g->dist, i) & (i == 0 ? GIC_PPIS : UINT32_MAX);
}

static void dist_set_enable(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    gic_dist_bank(&g->dist, cpu, i)->enabled |= dist_writable(g, i, value);
    gic_dist_update(&g->dist, cpu, i);
}

static void dist_clear_enable(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    gic_dist_bank(&g->dist, cpu, i)->enabled &= ~dist_writable(g, i, value);
    gic_dist_update(&g->dist, cpu, i);
}

static uint32_t dist_read_pending(struct gicv2 *g, unsigned cpu, unsigned i)
{
    return gic_bank_pending(gic_dist_bank(&g->dist, cpu, i));
}

/* SGIs are made pending by GICD_SGIR and GICD_SPENDSGIR only. */
static void dist_set_pending(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    gic_dist_bank(&g->dist, cpu, i)->latch |= dist_writable(g, i, value);
    gic_dist_update(&g->dist, cpu, i);
}

/* A level-sensitive interrupt whose wire is high stays pending. */
static void dist_clear_pending(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    gic_dist_bank(&g->dist, cpu, i)->latch &= ~dist_writable(g, i, value);
    gic_dist_update(&g->dist, cpu, i);
}

static uint32_t dist_read_active(struct gicv2 *g, unsigned cpu, unsigned i)
{
    return gic_dist_bank(&g->dist, cpu, i)->active;
}

static void dist_set_active(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    gic_dist_bank(&g->dist, cpu, i)->active |= value & gic_dist_valid(&g->dist, i);
    gic_dist_update(&g->dist, cpu, i);
}

static void dist_clear_active(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    gic_dist_bank(&g->dist, cpu, i)->active &= ~value;
    gic_dist_update(&g->dist, cpu, i);
}

static uint32_t dist_read_priority(struct gicv2 *g, unsigned cpu, unsigned i)
{
    return gic_dist_bank(&g->dist, cpu, i / 32)->priority[i % 32];
}

static void dist_write_priority(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    if (!bit(gic_dist_valid(&g->dist, i / 32), i % 32))
        return;
    gic_dist_bank(&g->dist, cpu, i / 32)->priority[i % 32] = value & GIC_PRIORITY_MASK;
    gic_dist_update(&g->dist, cpu, i / 32);
}

/* A private interrupt targets the CPU that reads; with one CPU the registers are RAZ/WI. */
static uint32_t dist_read_target(struct gicv2 *g, unsigned cpu, unsigned i)
{
    if (g->dist.cpus == 1)
        return 0;
    if (i < 32)
        return 1u << cpu;
    uint32_t value = 0;
    for (unsigned c = 0; c < g->dist.cpus; c++)
        value |= (uint32_t)bit(g->dist.cpu[c].target[i / 32], i % 32) << c;
    return value;
}

static void dist_write_target(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    if (g->dist.cpus == 1 || i < 32 || !bit(gic_dist_valid(&g->dist, i / 32), i % 32))
        return;
    for (unsigned c = 0; c < g->dist.cpus; c++) {
        uint32_t *target = &g->dist.cpu[c].target[i / 32];
        *target = (*target & ~(1u << i % 32)) | (uint32_t)bit(value, c) << i % 32;
    }
    gic_dist_update(&g->dist, cpu, i / 32);
}

/* Two bits an interrupt, of which bit 1 is the configuration: 16 interrupts a register. */
static uint32_t dist_read_config(struct gicv2 *g, unsigned cpu, unsigned i)
{
    uint32_t edge = gic_dist_bank(&g->dist, cpu, i / 2)->edge >> (i % 2 * 16);
    uint32_t value = 0;
    for (unsigned k = 0; k < 16; k++)
        value |= (uint32_t)bit(edge, k) << (2 * k + 1);
    return value;
}

static void dist_write_config(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    struct gic_bank *b = gic_dist_bank(&g->dist, cpu, i / 2);
    uint32_t edge = 0;
    for (unsigned k = 0; k < 16; k++)
        edge |= (uint32_t)bit(value, 2 * k + 1) << (i % 2 * 16 + k);
    uint32_t mask = dist_writable(g, i / 2, 0xffffu << (i % 2 * 16));
    b->edge = (b->edge & ~mask) | (edge & mask);
    gic_dist_update(&g->dist, cpu, i / 2);
}

/* Make SGI `id` of `cpu` pending from the CPUs of `sources`, or no longer. */
static void dist_change_sgi(struct gicv2 *g, unsigned cpu, unsigned id, uint32_t set,
                            uint32_t clear)
{
    uint8_t *source = &g->cpu[cpu].sgi_source[id % 16];
    struct gic_bank *b = gic_dist_bank(&g->dist, cpu, 0);
    *source = (uint8_t)((*source | (set & ones(g->dist.cpus))) & ~clear);
    b->latch = (b->latch & ~(1u << id)) | (uint32_t)(*source != 0) << id;
    gic_dist_update(&g->dist, cpu, 0);
}

static uint32_t dist_read_sgi(struct gicv2 *g, unsigned cpu, unsigned i)
{
    return g->cpu[cpu].sgi_source[i];
}

static void dist_set_sgi(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    dist_change_sgi(g, cpu, i, value, 0);
}

static void dist_clear_sgi(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    dist_change_sgi(g, cpu, i, 0, value);
}

/* GICD_SGIR: the target list filter is <25:24>, the list <23:16>, the INTID <3:0>. */
static void dist_write_sgir(struct gicv2 *g, unsigned cpu, unsigned i, uint32_t value)
{
    (void)i;
    uint32_t all = (uint32_t)ones(g->dist.cpus);
    const uint32_t targets[4] = {
        [0] = (uint32_t)bits(value, 23, 16),
        [1] = ~(1u << cpu),
        [2] = 1u << cpu,
        [3] = 0, /* reserved
                  */
    };
    uint32_t left = targets[bits(value, 25, 24)] & all;
    for (; left; left &= left - 1)
        dist_change_sgi(g, (unsigned)__builtin_ctz(left), value & 15, 1u << cpu, 0);
}

static uint32_t dist_read_ppisr(struct gicv2 *g, unsigned cpu, unsigned i)
{
    (void)i;
    return gic_dist_bank(&g->dist, cpu, 0)->wire >> 16;
}

static uint32_t dist_read_spisr(struct gicv2 *g, unsigned cpu, unsigned i)
{
    return gic_dist_bank(&g->dist, cpu, i + 1)->wire;
}

/* Peripheral and component identification, from 0xfd0: those of a GIC-400. */
static uint32_t dist_read_id(struct gicv2 *g, unsigned cpu, unsigned i)
{
    static const uint8_t id[] = { 0x04, 0, 0, 0, 0x90, 0xb4, 0x2b, 0, 0x0d, 0xf0, 0x05, 0xb1 };
    (void)g, (void)cpu;
    return id[i];
}

/* clang-format off */
static const struct dist_reg dist_regs[] = {
    { 0x000, 0x004, 4, dist_read_ctlr,     dist_write_ctlr },     /* GICD_CTLR */
    { 0x004, 0x008, 4, dist_read_typer,    NULL },                /* GICD_TYPER */
    { 0x008, 0x00c, 4, dist_read_iidr,     NULL },                /* GICD_IIDR */
    { 0x080, 0x100, 4, dist_read_group,    dist_write_group },    /* GICD_IGROUPRn */
    { 0x100, 0x180, 4, dist_read_enable,   dist_set_enable },     /* GICD_ISENABLERn */
    { 0x180, 0x200, 4, dist_read_enable,   dist_clear_enable },   /* GICD_ICENABLERn */
    { 0x200, 0x280, 4, dist_read_pending,  dist_set_pending },    /* GICD_ISPENDRn */
    { 0x280, 0x300, 4, dist_read_pending,  dist_clear_pending },  /* GICD_ICPENDRn */
    { 0x300, 0x380, 4, dist_read_active,   dist_set_active },     /* GICD_ISACTIVERn */
    { 0x380, 0x400, 4, dist_read_active,   dist_clear_active },   /* GICD_ICACTIVERn */
    { 0x400, 0x7fc, 1, dist_read_priority, dist_write_priority }, /* GICD_IPRIORITYRn */
    { 0x800, 0xbfc, 1, dist_read_target,   dist_write_target },   /* GICD_ITARGETSRn */
    { 0xc00, 0xd00, 4, dist_read_config,   dist_write_config },   /* GICD_ICFGRn */
    { 0xd00, 0xd04, 4, dist_read_ppisr,    NULL },                /* GICD_PPISR */
    { 0xd04, 0xd80, 4, dist_read_spisr,    NULL },                /* GICD_SPISRn */
    { 0xf00, 0xf04, 4, NULL,               dist_write_sgir },     /* GICD_SGIR */
    { 0xf10, 0xf20, 1, dist_read_sgi,      dist_clear_sgi },      /* GICD_CPENDSGIRn */
    { 0xf20, 0xf30, 1, dist_read_sgi,      dist_set_sgi },        /* GICD_SPENDSGIRn */
    { 0xfd0, 0x1000, 4, dist_read_id,      NULL },                /* identification */
};
/* clang-format on */

/* The table line for an access, or NULL if there is none that allows it. */
static const struct dist_reg *dist_find(uint64_t offset, unsigned width)
{
    if (width == 2 || width > 4 || offset % width)
        return NULL;
    for (unsigned i = 0; i < sizeof dist_regs / sizeof dist_regs[0]; i++) {
        const struct dist_reg *r = &dist_regs[i];
        if (offset >= r->start && offset < r->end)
            return width >= r->unit ? r : NULL;
    }
    return NULL;
}

uint64_t gicv2_dist_read(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width)
{
    const struct dist_reg *r = dist_find(offset, width);
    if (!r || !r->read || cpu >= g->dist.cpus)
        return 0;
    uint32_t value = 0;
    unsigned i = (unsigned)(offset - r->start) / r->unit;
    lock_acquire(&g->lock);
    for (unsigned n = 0; n < width / r->unit; n++)
        value |= r->read(g, cpu, i + n) << 8 * n;
    lock_release(&g->lock);
    return value;
}

void gicv2_dist_write(struct gicv2 *g, unsigned cpu, uint64_t offset, unsigned width,
                      uint64_t value)
{
    const struct dist_reg *r = dist_find(offset, width);
    if (!r || !r->write || cpu >= g->dist.cpus)
        return;
    unsigned i = (unsigned)(offset - r->start) / r->unit;
    lock_acquire(&g->lock);
    for (unsigned n = 0; n < width / r->unit; n++)
        r->write(g, cpu, i + n, (uint32_t)value >> 8 * n & (r->unit == 1 ? 0xff : UINT32_MAX));
    gicv2_update(g);
    lock_release(&g->lock);
}
