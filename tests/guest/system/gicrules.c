/*
 * What one CPU sees of the GIC, version 2 and 3: registers (what is fixed, what sticks, which
 * widths there are), priorities, preemption, pending and active, both ways to end an interrupt,
 * groups. Sections are of IHI 0048B (v2) and IHI 0069H (v3).
 */
#include "gickit.h"

enum { V2 = 1, V3 = 2, BOTH = 3 };

static unsigned version(void)
{
    return gic_v3() ? V3 : V2;
}

/* --- registers: 4.3, 4.4 (v2); 12.9 to 12.11 (v3) --- */

/* A register to which everything and nothing is written: what it reads afterwards. */
struct reg_row {
    const char *name;
    unsigned versions;
    uint64_t address;
    uint32_t ones, zeroes;
};

#define RD(offset) (GICR + (offset))
#define FIXED(v)   (v), (v)
#define RAZ        FIXED(0)

static const struct reg_row regs[] = {
    { "GICD_CTLR keeps the group enables", V2, GICD + CTLR, 3, 0 },
    { "GICD_CTLR keeps the group enables, ARE and DS stay", V3, GICD + CTLR, 0x53, 0x50 },
    { "GICD_PIDR2", V2, GICD + 0xfe8, FIXED(0x2b) },
    { "GICD_PIDR2", V3, GICD + 0xffe8, FIXED(0x3b) },
    { "reserved 0x00c", BOTH, GICD + 0x00c, RAZ },
    { "reserved 0x030", BOTH, GICD + 0x030, RAZ },
    { "GICD_SETSPI_NSR, of which GICD_TYPER.MBIS says it is not there", V3, GICD + 0x040, RAZ },
    { "GICD_IGROUPR0 of private interrupts is GICR_IGROUPR0", V3, GICD + IGROUPR, RAZ },
    { "GICD_ISENABLER0 likewise", V3, GICD + ISENABLER, RAZ },
    { "GICD_ISPENDR0 likewise", V3, GICD + ISPENDR, RAZ },
    { "GICD_ISACTIVER0 likewise", V3, GICD + ISACTIVER, RAZ },
    { "GICD_IPRIORITYR0 likewise", V3, GICD + IPRIORITYR, RAZ },
    { "GICD_ICFGR0 likewise", V3, GICD + ICFGR, RAZ },
    { "GICD_ICFGR1 likewise", V3, GICD + ICFGR + 4, RAZ },
    { "GICD_ITARGETSR10", V3, GICD + ITARGETSR + SPI, RAZ },
    { "GICD_IGRPMODR1", V3, GICD + 0xd04, RAZ },
    { "GICD_NSACR2", V3, GICD + 0xe08, RAZ },
    { "GICD_CPENDSGIR0", V3, GICD + 0xf10, RAZ },
    { "GICD_IROUTER0 of an SGI", V3, GICD + IROUTER, RAZ },
    { "GICD_IROUTER40", V3, GICD + IROUTER + 8 * SPI, 0x80ffffff, 0 },
    { "GICD_IROUTER40, upper half: GICD_TYPER.A3V is 0", V3, GICD + IROUTER + 8 * SPI + 4, RAZ },
    { "GICD_IROUTER of 1020", V3, GICD + IROUTER + 8 * 1020, RAZ },
    { "GICD_ISENABLER31 has no 1020 to 1023", V3, GICD + ISENABLER + 124, 0x0fffffff, 0x0fffffff },
    { "GICD_ISENABLER31", V2, GICD + ISENABLER + 124, RAZ },
    { "GICD_IGROUPR31", V2, GICD + IGROUPR + 124, RAZ },
    { "GICD_IGROUPR31 has no 1020 to 1023", V3, GICD + IGROUPR + 124, 0x0fffffff, 0 },
    { "GICD_IPRIORITYR254 has five bits", V3, GICD + IPRIORITYR + 1016, 0xf8f8f8f8, 0 },
    { "GICD_IPRIORITYR255", BOTH, GICD + IPRIORITYR + 1020, RAZ },
    { "GICD_IPRIORITYR10 has five bits", BOTH, GICD + IPRIORITYR + SPI, 0xf8f8f8f8, 0 },
    { "GICD_ICFGR2 has the upper bit of two", BOTH, GICD + ICFGR + 8, 0xaaaaaaaa, 0 },
    { "GICD_ICFGR0: SGIs are edge-triggered", V2, GICD + ICFGR, FIXED(0xaaaaaaaa) },
    { "GICR_ICFGR0: SGIs are edge-triggered", V3, RD(0x10c00), FIXED(0xaaaaaaaa) },
    { "GICR_CTLR: no LPIs", V3, RD(0), RAZ },
    { "GICR_STATUSR", V3, RD(0x10), RAZ },
    { "GICR_WAKER", V3, RD(0x14), 6, 0 },
    { "GICR_PROPBASER", V3, RD(0x70), RAZ },
    { "GICR_PENDBASER", V3, RD(0x78), RAZ },
    { "GICR_PIDR2", V3, RD(0xffe8), FIXED(0x3b) },
    { "GICR_IGROUPR0", V3, RD(0x10080), UINT32_MAX, 0 },
    { "GICR_IGROUPR1, of what GICR_TYPER does not have", V3, RD(0x10084), RAZ },
    { "GICR_IPRIORITYR7 has five bits", V3, RD(0x1041c), 0xf8f8f8f8, 0 },
    { "GICR, past the last priority", V3, RD(0x10420), RAZ },
    { "GICR_IGRPMODR0", V3, RD(0x10d00), RAZ },
    { "GICR_NSACR", V3, RD(0x10e00), RAZ },
    { "GICC_CTLR", V2, GICC + C_CTLR, 0x3ff, 0 },
    { "GICC_PMR has five bits", V2, GICC + C_PMR, 0xf8, 0 },
    { "GICC_BPR is at least 2", V2, GICC + C_BPR, 7, 2 },
    { "GICC_ABPR is at least 3", V2, GICC + C_ABPR, 7, 3 },
    { "GICC_RPR", V2, GICC + C_RPR, FIXED(0xff) },
    { "GICC_HPPIR", V2, GICC + C_HPPIR, FIXED(SPURIOUS) },
    { "GICC_APR0", V2, GICC + C_APR0, UINT32_MAX, 0 },
    { "GICC_APR1: five bits need one", V2, GICC + C_APR0 + 4, RAZ },
    { "GICC, reserved 0x040", V2, GICC + 0x40, RAZ },
    { "MSI_TYPER: 64 messages from 96", BOTH, GICM + 0x008, FIXED(96 << 16 | 64) },
    { "MSI_SETSPI_NS", BOTH, GICM + 0x040, RAZ },
    { "MSI_IIDR", BOTH, GICM + 0xfcc, FIXED(0x0490043b) },
    { "GICM, reserved 0x000", BOTH, GICM, RAZ },
};

static void test_registers(void)
{
    uint32_t typer = rd(GICD + TYPER), iidr = rd(GICD + 8);

    for (unsigned i = 0; i < COUNT(regs); i++) {
        const struct reg_row *r = &regs[i];
        if (!(r->versions & version()))
            continue;
        gic_open();
        wr(r->address, 0);
        wr(r->address, UINT32_MAX);
        check("all ones", r->name, rd(r->address), r->ones);
        wr(r->address, 0);
        check("zero", r->name, rd(r->address), r->zeroes);
    }
    wr(GICD + TYPER, ~typer);
    wr(GICD + 8, ~iidr);
    check("GICD_TYPER", "is read-only", rd(GICD + TYPER), typer);
    check("GICD_IIDR", "is read-only", rd(GICD + 8), iidr);
    check("GICD_IIDR", "names an implementer", iidr & 0xfff, 0x43b);
    gic_open();
}

/* ICC_* that have a value: what all ones and zeroes leave. 12.2. */
#define ICC_ROW(reg, ones, zeroes)                                                                 \
    do {                                                                                           \
        WRITE(reg, UINT64_MAX);                                                                    \
        check("all ones", #reg, READ(reg), ones);                                                  \
        WRITE(reg, 0);                                                                             \
        check("zero", #reg, READ(reg), zeroes);                                                    \
    } while (0)

static void test_icc(void)
{
    ICC_ROW(icc_pmr_el1, 0xf8, 0);
    ICC_ROW(icc_bpr0_el1, 7, 2);
    ICC_ROW(icc_bpr1_el1, 7, 3);
    ICC_ROW(icc_sre_el1, 7, 7);
    ICC_ROW(icc_igrpen0_el1, 1, 0);
    ICC_ROW(icc_igrpen1_el1, 1, 0);
    ICC_ROW(icc_ap0r0_el1, UINT32_MAX, 0);
    ICC_ROW(icc_ap1r0_el1, UINT32_MAX, 0);
    ICC_ROW(icc_ctlr_el1, 0x40403, 0x40400);
    /* CBPR: BPR1 is BPR0 + 1, at most 7, and cannot be written */
    WRITE(icc_bpr1_el1, 5);
    WRITE(icc_bpr0_el1, 2);
    WRITE(icc_ctlr_el1, 1);
    check("ICC_CTLR_EL1.CBPR", "BPR1 reads BPR0 + 1", READ(icc_bpr1_el1), 3);
    WRITE(icc_bpr1_el1, 7);
    check("ICC_CTLR_EL1.CBPR", "BPR1 ignores writes", READ(icc_bpr1_el1), 3);
    WRITE(icc_bpr0_el1, 7);
    check("ICC_CTLR_EL1.CBPR", "BPR1 is at most 7", READ(icc_bpr1_el1), 7);
    WRITE(icc_ctlr_el1, 0);
    check("ICC_CTLR_EL1.CBPR", "BPR1 of its own is back", READ(icc_bpr1_el1), 5);
    WRITE(icc_bpr0_el1, 2);
    gic_open();
}

/* Widths: 4.1.4 (v2), 12.1.3 (v3). Priorities and targets have bytes, the rest only words. */
static void test_widths(void)
{
    const uint64_t priority = GICD + IPRIORITYR + SPI, enable = GICD + ISENABLER + SPI / 32 * 4;

    wr(priority, 0x80604020);
    check("byte", "a priority read", rd8(priority + 2), 0x60);
    wr8(priority + 1, 0xff);
    check("byte", "a priority written, the others stay", rd(priority), 0x8060f820);
    *(volatile uint16_t *)priority = 0;
    check("half-word", "of a priority: ignored", rd(priority), 0x8060f820);
    check("half-word", "of a priority: zero", *(volatile uint16_t *)priority, 0);
    wr(enable, 1u << SPI % 32);
    check("byte", "of an enable: zero", rd8(enable + 1), 0);
    wr8(GICD + ICENABLER + SPI / 32 * 4 + SPI % 32 / 8, 1u << SPI % 8);
    check("byte", "of an enable: ignored", rd(enable), 1u << SPI % 32);
    check("double word", "of enables: zero", *(volatile uint64_t *)(GICD + ISENABLER), 0);
    if (gic_v3()) {
        *(volatile uint64_t *)(GICD + IROUTER + 8 * SPI) = 0xff80030201;
        check("double word", "a router", *(volatile uint64_t *)(GICD + IROUTER + 8 * SPI),
              0x80030201);
        check("byte", "a private priority", rd8(gic_private() + IPRIORITYR + 20), 0xa0);
    } else {
        check("byte", "of GICC_PMR: zero", rd8(GICC + C_PMR), 0);
        wr8(GICC + C_PMR, 0);
        check("byte", "of GICC_PMR: ignored", rd(GICC + C_PMR), 0xf8);
    }
    gic_open();
}

/* --- priorities --- */

static void pend(unsigned intid, uint8_t priority)
{
    gic_priority(intid, priority);
    gic_set(ISENABLER, intid);
    gic_set(ISPENDR, intid);
}

static void end(uint32_t value)
{
    if (value < 1020)
        gic_eoi(value);
}

static void wrong(const char *what, unsigned a, unsigned b)
{
    note(what, (uint64_t)a << 32 | b);
}

/* Taken if and only if more urgent than the mask: every priority against every mask. */
static void test_mask(void)
{
    unsigned errors = 0;

    for (unsigned mask = 0; mask < 256; mask += 8)
        for (unsigned priority = 0; priority < 256; priority += 8) {
            gic_mask((uint8_t)(mask | 3)); /* the low bits do not exist */
            pend(SPI, (uint8_t)(priority | 5));
            bool want = priority < mask, line = irq_line();
            uint32_t got = gic_ack();
            if (line != want || got != (want ? SPI : SPURIOUS)) {
                errors++;
                wrong("mask and priority", mask, priority);
            }
            end(got);
            gic_set(ICPENDR, SPI);
        }
    check("priority mask", "every mask, every priority", errors, 0);
    gic_open();
}

/* Two pending: the more urgent first, of equals the lower INTID, whatever came first. */
static void test_order(void)
{
    static const struct {
        uint8_t a, b; /* of SPI and SPI + 1 */
        unsigned first;
    } rows[] = {
        { 0x80, 0x88, SPI }, { 0x88, 0x80, SPI + 1 }, { 0x80, 0x80, SPI },
        { 0x00, 0xf0, SPI }, { 0xf0, 0x00, SPI + 1 }, { 0x83, 0x85, SPI }, /* equal: 5 bits */
        { 0x87, 0x81, SPI },
    };
    unsigned errors = 0;

    for (unsigned i = 0; i < 2 * COUNT(rows); i++) {
        unsigned r = i / 2;
        if (i & 1)
            pend(SPI + 1, rows[r].b);
        pend(SPI, rows[r].a);
        pend(SPI + 1, rows[r].b);
        uint32_t highest = gic_highest(), first = gic_ack();
        end(first);
        uint32_t second = gic_ack();
        end(second);
        if (highest != rows[r].first || first != rows[r].first || second != 2 * SPI + 1 - first ||
            gic_ack() != SPURIOUS) {
            errors++;
            wrong("row, first", i, first);
        }
    }
    check("two pending", "order", errors, 0);
    gic_open();
}

/* Preemption: bits <7:low> of the priority must be lower than the running ones. 3.3.3; 4.8.3. */
static void test_preemption(void)
{
    unsigned errors = 0;

    for (unsigned low = 3; low <= 7; low++)
        for (unsigned running = 0; running < 0xf8; running += 8)
            for (unsigned next = 0; next < 0xf8; next += 8) {
                unsigned mask = 0xff & 0xff << low;
                gic_binary_point(low);
                pend(SPI, (uint8_t)running);
                uint32_t outer = gic_ack();
                uint32_t rpr = gic_running();
                pend(SPI + 1, (uint8_t)next);
                bool want = (next & mask) < (running & mask), line = irq_line();
                uint32_t inner = gic_ack();
                if (outer != SPI || rpr != (running & mask) || line != want ||
                    inner != (want ? SPI + 1 : SPURIOUS)) {
                    errors++;
                    wrong("running, next", low << 16 | running, next);
                }
                end(inner);
                end(outer);
                gic_set(ICPENDR, SPI + 1);
            }
    check("preemption", "every binary point and pair of priorities", errors, 0);
    check("preemption", "idle afterwards", gic_running(), 0xff);
    gic_open();
}

/* A deep nest: running priority and active priorities at each step, and on the way back. */
static void test_nest(void)
{
    unsigned errors = 0;

    for (unsigned depth = 0; depth < 8; depth++) {
        uint8_t priority = (uint8_t)(0xe0 - 0x20 * depth);
        pend(SPI + depth, priority);
        if (gic_ack() != SPI + depth || gic_running() != priority ||
            gic_active_priorities() != (0x11111111u & UINT32_MAX << (28 - 4 * depth)))
            errors++;
        gic_set(ISPENDR, SPI + depth); /* active and pending: not again */
        if (gic_ack() != SPURIOUS)
            errors++;
    }
    check("nest", "eight deep", errors, 0);
    for (unsigned depth = 8; depth-- > 0;) {
        gic_eoi(SPI + depth);
        if (gic_running() != (depth ? 0xe0 - 0x20 * (depth - 1) : 0xff))
            errors++;
        uint32_t again = gic_ack(); /* the one that ended is pending */
        if (again != SPI + depth)
            errors++;
        end(again);
    }
    check("nest", "and back", errors, 0);
    gic_open();
}

/* --- pending and active: 3.2.4 (v2), 4.1.2 (v3) --- */

static unsigned state(unsigned intid)
{
    return (unsigned)gic_get(ISPENDR, intid) | (unsigned)gic_get(ISACTIVER, intid) << 1 |
           (unsigned)gic_get(ICPENDR, intid) << 2 | (unsigned)gic_get(ICACTIVER, intid) << 3;
}

enum { INACTIVE = 0, PENDING = 5, ACTIVE = 10, ACTIVE_PENDING = 15 };

static void test_edge(void)
{
    gic_set(ISPENDR, SPI);
    check("edge", "pending while disabled", state(SPI), PENDING);
    check("edge", "and not taken", gic_ack(), SPURIOUS);
    gic_set(ISENABLER, SPI);
    check("edge", "taken when enabled", gic_ack(), SPI);
    check("edge", "active", state(SPI), ACTIVE);
    gic_set(ISPENDR, SPI);
    check("edge", "active and pending", state(SPI), ACTIVE_PENDING);
    check("edge", "not taken while active", gic_ack(), SPURIOUS);
    gic_eoi(SPI);
    check("edge", "pending at the end", state(SPI), PENDING);
    check("edge", "taken again", gic_ack(), SPI);
    gic_eoi(SPI);
    check("edge", "inactive", state(SPI), INACTIVE);
    gic_set(ISPENDR, SPI);
    gic_set(ICPENDR, SPI);
    check("edge", "cleared", state(SPI), INACTIVE);
    gic_set(ISPENDR, SPI);
    gic_set(ISACTIVER, SPI);
    check("edge", "made active by software: not taken", gic_ack(), SPURIOUS);
    gic_set(ICACTIVER, SPI);
    check("edge", "no longer: taken", gic_ack(), SPI);
    gic_set(ICENABLER, SPI);
    check("edge", "disabling leaves it active", state(SPI), ACTIVE);
    gic_eoi(SPI);
    check("edge", "and it can end", state(SPI), INACTIVE);
    wr(GICD + CTLR, 0);
    pend(SPI, 0xa0);
    check("edge", "distributor off: pending and not taken", gic_ack(), SPURIOUS);
    wr(GICD + CTLR, gic_v3() ? 2 : 1);
    check("edge", "on: taken", gic_ack(), SPI);
    gic_eoi(SPI);
    gic_open();
}

/* The timer's line. The monitor may see it late, but at most until the guest has exited. */
static void timer(bool on)
{
    uint64_t until = READ(cntvct_el0) + READ(cntfrq_el0);

    WRITE(cntv_cval_el0, 0);
    WRITE(cntv_ctl_el0, on);
    while (gic_get(ISPENDR, VIRTUAL_TIMER) != on && READ(cntvct_el0) < until)
        ;
}

static void test_level(void)
{
    const unsigned id = VIRTUAL_TIMER;

    gic_set(ISENABLER, id);
    timer(true);
    check("level", "pending while high", state(id), PENDING);
    gic_set(ICPENDR, id);
    check("level", "clearing changes nothing", state(id), PENDING);
    check("level", "taken", gic_ack(), id);
    check("level", "active and pending while high", state(id), ACTIVE_PENDING);
    check("level", "not taken while active", gic_ack(), SPURIOUS);
    timer(false);
    check("level", "low: active", state(id), ACTIVE);
    gic_eoi(id);
    check("level", "inactive", state(id), INACTIVE);
    timer(true);
    check("level", "high again: taken", gic_ack(), id);
    gic_eoi(id);
    check("level", "ended while high: taken again", gic_ack(), id);
    timer(false);
    gic_eoi(id);
    gic_set(ISPENDR, id);
    check("level", "pending by software", state(id), PENDING);
    gic_set(ICPENDR, id);
    check("level", "and cleared, as the line is low", state(id), INACTIVE);
    gic_set(ISPENDR, id);
    check("level", "pending by software: taken", gic_ack(), id);
    check("level", "once", state(id), ACTIVE);
    gic_eoi(id);
    timer(true);
    timer(false);
    check("level", "a line that falls before it is taken: nothing", gic_ack(), SPURIOUS);
    gic_open();
}

/* --- ends --- */

static void test_ends(void)
{
    pend(SPI, 0xa0);
    uint32_t id = gic_ack();
    gic_dir(id); /* EOImode 0: ignored (UNPREDICTABLE) */
    check("EOImode 0", "DIR does nothing", state(SPI), ACTIVE);
    for (unsigned special = 1020; special < 1024; special++)
        gic_eoi(special);
    check("EOImode 0", "the end of a special INTID does nothing", gic_running(), 0xa0);
    gic_eoi(id);
    check("EOImode 0", "EOIR deactivates", state(SPI), INACTIVE);
    check("EOImode 0", "and drops the priority", gic_running(), 0xff);

    gic_split_end(true);
    pend(SPI, 0xa0);
    id = gic_ack();
    gic_eoi(id);
    check("EOImode 1", "EOIR drops the priority", gic_running(), 0xff);
    check("EOImode 1", "and leaves it active", state(SPI), ACTIVE);
    gic_set(ISPENDR, SPI);
    check("EOImode 1", "it is not taken again", gic_ack(), SPURIOUS);
    pend(SPI + 1, 0xc0);
    check("EOImode 1", "but one that is less urgent is", gic_ack(), SPI + 1);
    gic_dir(SPI); /* not in the order of their acknowledges */
    check("EOImode 1", "DIR deactivates, in any order", state(SPI), PENDING);
    check("EOImode 1", "and does not touch priorities", gic_running(), 0xc0);
    check("EOImode 1", "so it preempts", gic_ack(), SPI);
    gic_eoi(SPI);
    gic_eoi(SPI + 1);
    gic_dir(SPI + 1);
    gic_dir(SPI);
    gic_dir(SPURIOUS);
    check("EOImode 1", "all ended", state(SPI) | state(SPI + 1), INACTIVE);
    gic_open();
}

/* --- groups: 2.2.3, 3.9 (v2 without Security Extensions); 4.6 (v3 with one Security state) --- */

static void test_groups_v2(void)
{
    wr(GICD + CTLR, 3);
    wr(GICC + C_CTLR, 3);
    wr(GICD + IGROUPR + 4, 2u << SPI % 32);
    pend(SPI + 1, 0x80);
    check("group 1", "is an IRQ", irq_line() * 2 + fiq_line(), 2);
    check("group 1", "GICC_IAR says 1022", gic_ack(), 1022);
    check("group 1", "GICC_HPPIR says 1022", gic_highest(), 1022);
    check("group 1", "GICC_AHPPIR names it", rd(GICC + C_AHPPIR), SPI + 1);
    check("group 1", "GICC_AIAR acknowledges it", rd(GICC + C_AIAR), SPI + 1);
    check("group 1", "its active priority is GICC_NSAPR0's", rd(GICC + C_NSAPR0), 1u << 16);
    wr(GICC + C_AEOIR, SPI + 1);
    check("group 1", "GICC_AEOIR ends it", state(SPI + 1), INACTIVE);
    pend(SPI, 0x80);
    check("group 0", "GICC_AIAR says 1023", rd(GICC + C_AIAR), SPURIOUS);
    check("group 0", "is an IRQ", irq_line() * 2 + fiq_line(), 2);
    wr(GICC + C_CTLR, 0xb); /* FIQEn */
    check("group 0", "is a FIQ with FIQEn", irq_line() * 2 + fiq_line(), 1);
    pend(SPI + 1, 0x40);
    check("FIQEn", "the more urgent of group 1: an IRQ", irq_line() * 2 + fiq_line(), 2);
    check("FIQEn", "and group 0 is not acknowledged before it", gic_ack(), 1022);
    wr(GICC + C_CTLR, 0xf); /* AckCtl */
    check("AckCtl", "GICC_IAR acknowledges group 1", gic_ack(), SPI + 1);
    gic_eoi(SPI + 1);
    check("AckCtl", "GICC_EOIR ends it", state(SPI + 1), INACTIVE);
    check("FIQEn", "then group 0", gic_ack(), SPI);
    gic_eoi(SPI);
    wr(GICC + C_CTLR, 1);
    pend(SPI + 1, 0xa0);
    check("GICC_CTLR", "group 1 off: not signalled", irq_line(), 0);
    wr(GICC + C_CTLR, 3);
    check("GICC_CTLR", "on: signalled", irq_line(), 1);
    wr(GICD + CTLR, 1);
    check("GICD_CTLR", "group 1 off: not signalled", irq_line(), 0);
    pend(SPI, 0xe0);
    check("GICD_CTLR", "and not in the way of group 0", gic_ack(), SPI);
    gic_eoi(SPI);
    /* Group 1 by GICC_ABPR, or by GICC_BPR with CBPR */
    gic_open();
    wr(GICD + CTLR, 3);
    wr(GICC + C_CTLR, 7);
    wr(GICD + IGROUPR + 4, 3u << SPI % 32);
    wr(GICC + C_ABPR, 6); /* <7:6> */
    pend(SPI, 0xb8);
    (void)gic_ack();
    check("GICC_ABPR", "groups priorities of group 1", gic_running(), 0x80);
    pend(SPI + 1, 0x80);
    check("GICC_ABPR", "so no preemption", gic_ack(), SPURIOUS);
    wr(GICC + C_CTLR, 0x17); /* CBPR: <7:3> */
    check("CBPR", "GICC_BPR decides", irq_line(), 0);
    gic_priority(SPI + 1, 0x78);
    check("CBPR", "a lower one preempts", gic_ack(), SPI + 1);
    gic_eoi(SPI + 1);
    gic_eoi(SPI);
    wr(GICD + IGROUPR + 4, 0);
    gic_open();
}

static void test_groups_v3(void)
{
    const uint32_t none = SPURIOUS;

    wr(GICD + CTLR, 3);
    WRITE(icc_igrpen0_el1, 1);
    wr(GICD + IGROUPR + 4, ~(1u << SPI % 32));
    pend(SPI, 0x80);
    check("group 0", "is a FIQ", irq_line() * 2 + fiq_line(), 1);
    check("group 0", "ICC_IAR1 says 1023", READ(icc_iar1_el1), none);
    check("group 0", "ICC_HPPIR1 says 1023", READ(icc_hppir1_el1), none);
    check("group 0", "ICC_HPPIR0 names it", READ(icc_hppir0_el1), SPI);
    check("group 0", "ICC_IAR0 acknowledges it", READ(icc_iar0_el1), SPI);
    check("group 0", "its active priority is ICC_AP0R0's", READ(icc_ap0r0_el1), 1u << 16);
    pend(SPI + 1, 0x40);
    check("group 1", "preempts it", irq_line() * 2 + fiq_line(), 2);
    check("group 1", "ICC_IAR0 says 1023", READ(icc_iar0_el1), none);
    check("group 1", "ICC_IAR1 acknowledges it", READ(icc_iar1_el1), SPI + 1);
    WRITE(icc_eoir1_el1, SPI + 1);
    WRITE(icc_eoir0_el1, SPI);
    check("groups", "both ended", state(SPI) | state(SPI + 1), INACTIVE);
    WRITE(icc_igrpen1_el1, 0);
    pend(SPI + 1, 0x40);
    pend(SPI, 0x80);
    check("ICC_IGRPEN1", "off: group 1 is not in the way", READ(icc_iar0_el1), SPI);
    WRITE(icc_eoir0_el1, SPI);
    WRITE(icc_igrpen1_el1, 1);
    check("ICC_IGRPEN1", "on: signalled", irq_line(), 1);
    wr(GICD + CTLR, 1);
    check("GICD_CTLR", "group 1 off: not signalled", irq_line(), 0);
    wr(GICD + CTLR, 3);
    wr(RD(0x14), 2); /* GICR_WAKER */
    check("GICR_WAKER", "asleep: not signalled", irq_line(), 0);
    wr(RD(0x14), 0);
    check("GICR_WAKER", "awake: taken", gic_ack(), SPI + 1);
    gic_eoi(SPI + 1);
    /* Group 0 by BPR0 is <7:BPR0 + 1> */
    WRITE(icc_bpr0_el1, 5);
    pend(SPI, 0xb8);
    (void)READ(icc_iar0_el1);
    check("ICC_BPR0", "groups priorities of group 0", gic_running(), 0x80);
    WRITE(icc_eoir0_el1, SPI);
    WRITE(icc_ctlr_el1, 1);
    pend(SPI + 1, 0xb8);
    (void)gic_ack();
    check("CBPR", "and of group 1", gic_running(), 0x80);
    gic_eoi(SPI + 1);
    WRITE(icc_bpr0_el1, 2);
    gic_open();
}

/* SGIs to itself: pending, taken, and what registers show. */
static void test_sgi(void)
{
    unsigned errors = 0;

    for (unsigned id = 0; id < 16; id++) {
        gic_send(id, 1);
        gic_send(id, 1);
        if (state(id) != PENDING || gic_ack() != id || state(id) != ACTIVE)
            errors++;
        gic_send(id, 1);
        if (state(id) != ACTIVE_PENDING || gic_ack() != SPURIOUS)
            errors++;
        gic_eoi(id);
        if (gic_ack() != id)
            errors++;
        gic_eoi(id);
        if (state(id) != INACTIVE || gic_ack() != SPURIOUS)
            errors++;
    }
    check("SGI", "sent twice, taken once; sent while active, taken again", errors, 0);
    gic_send_others(3);
    check("SGI", "to all others is not to itself", state(3), INACTIVE);
    gic_open();
}

/* Messages: GICv2m, Arm BSA appendix. */
static void test_messages(void)
{
    static const uint32_t not_there[] = { 0, 15, 31, SPI, 95, 160, 1023 };
    unsigned errors = 0;

    for (unsigned id = 96; id < 160; id++) {
        gic_edge(id, true);
        gic_route(id, 0);
        gic_priority(id, 0xa0);
        wr(gic_word(IGROUPR, id), gic_v3() ? UINT32_MAX : 0);
        gic_set(ISENABLER, id);
        wr(GICM + 0x40, id);
        if (state(id) != PENDING || gic_ack() != id)
            errors++;
        wr(GICM + 0x40, id);
        if (state(id) != ACTIVE_PENDING)
            errors++;
        gic_eoi(id);
        if (gic_ack() != id)
            errors++;
        gic_eoi(id);
        if (state(id) != INACTIVE || gic_ack() != SPURIOUS)
            errors++;
    }
    check("message", "each of the frame's is an edge", errors, 0);
    *(volatile uint16_t *)(GICM + 0x40) = 100;
    check("message", "by half-word", gic_ack(), 100);
    gic_eoi(100);
    gic_set(ISENABLER, SPI);
    for (unsigned i = 0; i < COUNT(not_there); i++)
        wr(GICM + 0x40, not_there[i]);
    check("message", "that is not the frame's: ignored", gic_ack(), SPURIOUS);
    for (unsigned id = 96; id < 160; id++)
        gic_set(ICENABLER, id);
    gic_open();
}

void test(void)
{
    note(gic_v3() ? "GICv3, GICD_TYPER" : "GICv2, GICD_TYPER", rd(GICD + TYPER));
    gic_open();
    test_registers();
    if (gic_v3())
        test_icc();
    test_widths();
    test_mask();
    test_order();
    test_preemption();
    test_nest();
    test_edge();
    test_level();
    test_ends();
    test_sgi();
    test_messages();
    if (gic_v3())
        test_groups_v3();
    else
        test_groups_v2();
}
