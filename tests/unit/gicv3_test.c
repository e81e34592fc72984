/* The GICv3 through its registers and wires, as a guest and the hypervisor see it. */
#include "gic/gicv3.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define GICD_CTLR       0x0000
#define GICD_TYPER      0x0004
#define GICD_IGROUPR    0x0080
#define GICD_ISENABLER  0x0100
#define GICD_ICENABLER  0x0180
#define GICD_ISPENDR    0x0200
#define GICD_ICPENDR    0x0280
#define GICD_ISACTIVER  0x0300
#define GICD_ICACTIVER  0x0380
#define GICD_IPRIORITYR 0x0400
#define GICD_ITARGETSR  0x0800
#define GICD_ICFGR      0x0c00
#define GICD_IGRPMODR   0x0d00
#define GICD_SGIR       0x0f00
#define GICD_IROUTER    0x6000
#define GICD_PIDR2      0xffe8

#define GICR_TYPER      0x00008
#define GICR_WAKER      0x00014
#define GICR_PIDR2      0x0ffe8
#define GICR_IGROUPR0   0x10080
#define GICR_ISENABLER0 0x10100
#define GICR_ICENABLER0 0x10180
#define GICR_ISPENDR0   0x10200
#define GICR_ICPENDR0   0x10280
#define GICR_ISACTIVER0 0x10300
#define GICR_ICACTIVER0 0x10380
#define GICR_IPRIORITYR 0x10400
#define GICR_ICFGR0     0x10c00
#define GICR_ICFGR1     0x10c04

#define ROUTER_ANY (1ull << 31)
#define SPURIOUS   1023

struct bench {
    struct gicv3 *g;
    bool irq[GICV3_MAX_CPUS], fiq[GICV3_MAX_CPUS];
};

static void bench_signal(void *ctx, unsigned cpu, bool irq, bool fiq)
{
    struct bench *b = ctx;
    b->irq[cpu] = irq;
    b->fiq[cpu] = fiq;
}

static void dw(struct bench *b, uint64_t offset, uint32_t value)
{
    gicv3_dist_write(b->g, offset, 4, value);
}

static uint32_t dr(struct bench *b, uint64_t offset)
{
    return (uint32_t)gicv3_dist_read(b->g, offset, 4);
}

static void rw(struct bench *b, unsigned cpu, uint64_t offset, uint32_t value)
{
    gicv3_redist_write(b->g, cpu, offset, 4, value);
}

static uint32_t rr(struct bench *b, unsigned cpu, uint64_t offset)
{
    return (uint32_t)gicv3_redist_read(b->g, cpu, offset, 4);
}

static void cw(struct bench *b, unsigned cpu, enum gicv3_icc reg, uint64_t value)
{
    gicv3_icc_write(b->g, cpu, reg, value);
}

static uint64_t cr(struct bench *b, unsigned cpu, enum gicv3_icc reg)
{
    return gicv3_icc_read(b->g, cpu, reg);
}

/* CPU n has affinity n/16.n%16; messages are INTIDs 64 to 95. */
static void bench_create(struct bench *b, unsigned cpus)
{
    *b = (struct bench){ 0 };
    const struct gicv3_config config = {
        .msi_base = 64,
        .msi_count = 32,
        .signal = bench_signal,
        .ctx = b,
    };
    assert_int_equal(gicv3_create(&config, &b->g), 0);
    for (unsigned c = 0; c < cpus; c++)
        gicv3_attach(b->g, c, (uint64_t)(c / 16) << 8 | c % 16);
}

/* The same with everything on: group 1, awake, mask open. */
static void bench_open(struct bench *b, unsigned cpus)
{
    bench_create(b, cpus);
    dw(b, GICD_CTLR, 3);
    for (unsigned n = 1; n < 32; n++)
        dw(b, GICD_IGROUPR + 4 * n, UINT32_MAX);
    for (unsigned c = 0; c < cpus; c++) {
        rw(b, c, GICR_WAKER, 0);
        rw(b, c, GICR_IGROUPR0, UINT32_MAX);
        rw(b, c, GICR_ISENABLER0, UINT32_MAX);
        cw(b, c, GICV3_ICC_PMR, 0xff);
        cw(b, c, GICV3_ICC_IGRPEN0, 1);
        cw(b, c, GICV3_ICC_IGRPEN1, 1);
    }
}

static void bench_close(struct bench *b)
{
    gicv3_destroy(b->g);
}

/* Enable SPI `intid`, edge-triggered, to `router`. */
static void open_spi(struct bench *b, unsigned intid, uint64_t router, uint8_t priority)
{
    gicv3_dist_write(b->g, GICD_IROUTER + 8 * intid, 8, router);
    gicv3_dist_write(b->g, GICD_IPRIORITYR + intid, 1, priority);
    uint32_t config = dr(b, GICD_ICFGR + intid / 16 * 4);
    dw(b, GICD_ICFGR + intid / 16 * 4, config | 2u << intid % 16 * 2);
    dw(b, GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
}

static void pulse(struct bench *b, unsigned intid)
{
    assert_int_equal(gicv3_set_spi(b->g, intid, true), 0);
    assert_int_equal(gicv3_set_spi(b->g, intid, false), 0);
}

static void test_reset_values(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 2);
    assert_int_equal(dr(&b, GICD_CTLR), 0x50);
    assert_int_equal(dr(&b, GICD_TYPER), 0x0478001f);
    assert_int_equal(dr(&b, GICD_PIDR2) >> 4 & 15, 3);
    assert_int_equal(rr(&b, 0, GICR_PIDR2) >> 4 & 15, 3);
    assert_int_equal(rr(&b, 0, GICR_WAKER), 0);
    assert_int_equal(rr(&b, 0, GICR_ISENABLER0), 0);
    assert_int_equal(rr(&b, 0, GICR_ICFGR0), 0xaaaaaaaa);
    assert_int_equal(rr(&b, 0, GICR_ICFGR1), 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_SRE), 7);
    assert_int_equal(cr(&b, 0, GICV3_ICC_PMR), 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0xff);
    assert_int_equal(cr(&b, 0, GICV3_ICC_BPR0), 2);
    assert_int_equal(cr(&b, 0, GICV3_ICC_BPR1), 3);
    assert_int_equal(cr(&b, 0, GICV3_ICC_CTLR), 4 << 8 | 1 << 18);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IGRPEN0), 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IGRPEN1), 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR0), SPURIOUS);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), SPURIOUS);
    bench_close(&b);
}

static void test_create_refuses(void **state)
{
    (void)state;
    struct gicv3 *g;
    struct gicv3_config config = { .msi_base = 31, .msi_count = 1, .signal = bench_signal };
    assert_int_equal(gicv3_create(&config, &g), -EINVAL);
    config.msi_base = 1019, config.msi_count = 2;
    assert_int_equal(gicv3_create(&config, &g), -EINVAL);
    config.msi_count = UINT32_MAX;
    assert_int_equal(gicv3_create(&config, &g), -EINVAL);
    config.msi_count = 1, config.signal = NULL;
    assert_int_equal(gicv3_create(&config, &g), -EINVAL);
}

static void test_redistributor_typer(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 18);
    assert_int_equal(gicv3_redist_read(b.g, 0, GICR_TYPER, 8), 0);
    assert_true(gicv3_redist_read(b.g, 16, GICR_TYPER, 8) == (0x100ull << 32 | 16 << 8));
    assert_true(gicv3_redist_read(b.g, 17, GICR_TYPER, 8) == (0x101ull << 32 | 17 << 8 | 1 << 4));
    assert_int_equal(rr(&b, 17, GICR_TYPER + 4), 0x101);
    gicv3_detach(b.g, 17);
    assert_int_equal(rr(&b, 16, GICR_TYPER), 16 << 8 | 1 << 4);
    gicv3_set_affinity(b.g, 16, 0x8100020304ull);
    assert_true(gicv3_redist_read(b.g, 16, GICR_TYPER, 8) >> 32 == 0x81020304);
    bench_close(&b);
}

/* What belongs to the redistributors, to GICv2 and to the other Security state is RAZ/WI. */
static void test_distributor_raz_wi(void **state)
{
    (void)state;
    static const uint16_t raz[] = {
        GICD_IGROUPR,
        GICD_ISENABLER,
        GICD_ISPENDR,
        GICD_ISACTIVER,
        GICD_IPRIORITYR,
        GICD_ICFGR,
        GICD_ICFGR + 4,
        GICD_ITARGETSR + 32,
        GICD_IGRPMODR + 4,
        GICD_SGIR,
        GICD_IROUTER + 248,
        GICD_IROUTER + 8 * 1020,
        GICD_IPRIORITYR + 28,
        0xe04,
        0x40,
        0x0c,
    };
    struct bench b;
    bench_create(&b, 1);
    for (size_t i = 0; i < sizeof raz / sizeof raz[0]; i++) {
        dw(&b, raz[i], UINT32_MAX);
        assert_int_equal(dr(&b, raz[i]), 0);
    }
    dw(&b, GICD_TYPER, 0);
    assert_int_equal(dr(&b, GICD_TYPER), 0x0478001f);
    dw(&b, GICD_CTLR, UINT32_MAX);
    assert_int_equal(dr(&b, GICD_CTLR), 0x53);
    dw(&b, GICD_CTLR, 0);
    assert_int_equal(dr(&b, GICD_CTLR), 0x50);
    dw(&b, GICD_ISENABLER + 124, UINT32_MAX); /* 992 to 1019 */
    assert_int_equal(dr(&b, GICD_ISENABLER + 124), 0x0fffffff);
    dw(&b, GICD_ICENABLER + 124, 1);
    assert_int_equal(dr(&b, GICD_ICENABLER + 124), 0x0ffffffe);
    rw(&b, 0, GICR_ICFGR0, 0);
    assert_int_equal(rr(&b, 0, GICR_ICFGR0), 0xaaaaaaaa);
    rw(&b, 0, GICR_ICFGR1, UINT32_MAX);
    assert_int_equal(rr(&b, 0, GICR_ICFGR1), 0xaaaaaaaa);
    rw(&b, 0, GICR_TYPER, UINT32_MAX);
    assert_int_equal(rr(&b, 0, GICR_TYPER), 1 << 4);
    rw(&b, 0, 0x0070, UINT32_MAX); /* GICR_PROPBASER: no LPIs */
    assert_int_equal(rr(&b, 0, 0x0070), 0);
    rw(&b, 0, 0x0000, UINT32_MAX);
    assert_int_equal(rr(&b, 0, 0x0000), 0);
    bench_close(&b);
}

static void test_access_widths(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 1);
    dw(&b, GICD_IPRIORITYR + 40, 0x18ff2730);
    assert_int_equal(dr(&b, GICD_IPRIORITYR + 40), 0x18f82030);
    assert_int_equal(gicv3_dist_read(b.g, GICD_IPRIORITYR + 42, 1), 0xf8);
    gicv3_dist_write(b.g, GICD_IPRIORITYR + 42, 1, 0x40);
    assert_int_equal(dr(&b, GICD_IPRIORITYR + 40), 0x18402030);
    gicv3_dist_write(b.g, GICD_IPRIORITYR + 40, 2, 0); /* no half words */
    gicv3_dist_write(b.g, GICD_IPRIORITYR + 40, 8, 0);
    assert_int_equal(dr(&b, GICD_IPRIORITYR + 40), 0x18402030);
    assert_int_equal(gicv3_dist_read(b.g, GICD_IPRIORITYR + 40, 2), 0);
    assert_int_equal(gicv3_dist_read(b.g, GICD_TYPER, 1), 0);
    assert_int_equal(gicv3_dist_read(b.g, GICD_TYPER + 1, 4), 0);
    gicv3_redist_write(b.g, 0, GICR_IPRIORITYR + 27, 1, 0xab);
    assert_int_equal(rr(&b, 0, GICR_IPRIORITYR + 24), 0xa8000000);
    gicv3_dist_write(b.g, GICD_IROUTER + 8 * 40, 8, UINT64_MAX);
    assert_true(gicv3_dist_read(b.g, GICD_IROUTER + 8 * 40, 8) == 0x80ffffff);
    assert_int_equal(dr(&b, GICD_IROUTER + 8 * 40 + 4), 0);
    dw(&b, GICD_IROUTER + 8 * 40, 0x010203);
    dw(&b, GICD_IROUTER + 8 * 40 + 4, 0xff);
    assert_true(gicv3_dist_read(b.g, GICD_IROUTER + 8 * 40, 8) == 0x010203);
    bench_close(&b);
}

static void test_spi_life(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    open_spi(&b, 40, 0, 0x80);
    pulse(&b, 40);
    assert_true(b.irq[0]);
    assert_false(b.fiq[0]);
    assert_int_equal(dr(&b, GICD_ISPENDR + 4), 1 << 8);
    assert_int_equal(cr(&b, 0, GICV3_ICC_HPPIR1), 40);
    assert_int_equal(cr(&b, 0, GICV3_ICC_HPPIR0), SPURIOUS);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR0), SPURIOUS);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 40);
    assert_false(b.irq[0]);
    assert_int_equal(dr(&b, GICD_ISPENDR + 4), 0);
    assert_int_equal(dr(&b, GICD_ISACTIVER + 4), 1 << 8);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0x80);
    assert_int_equal(cr(&b, 0, GICV3_ICC_AP1R0), 1 << 16);
    pulse(&b, 40); /* active and pending: not taken twice */
    assert_false(b.irq[0]);
    cw(&b, 0, GICV3_ICC_EOIR1, 40);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0xff);
    assert_true(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 40);
    cw(&b, 0, GICV3_ICC_EOIR0, 40); /* the wrong one */
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0x80);
    cw(&b, 0, GICV3_ICC_EOIR1, 1021);
    cw(&b, 0, GICV3_ICC_EOIR1, 8192);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0x80);
    cw(&b, 0, GICV3_ICC_EOIR1, 40);
    assert_int_equal(dr(&b, GICD_ISACTIVER + 4), 0);
    bench_close(&b);
}

static void test_level_and_edge(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    dw(&b, GICD_ISENABLER + 4, 1);
    assert_int_equal(gicv3_set_spi(b.g, 32, true), 0);
    dw(&b, GICD_ICPENDR + 4, 1); /* the wire is high */
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 32);
    assert_int_equal(dr(&b, GICD_ISPENDR + 4), 1);
    cw(&b, 0, GICV3_ICC_EOIR1, 32);
    assert_true(b.irq[0]);
    gicv3_set_spi(b.g, 32, false);
    assert_false(b.irq[0]);
    dw(&b, GICD_ISPENDR + 4, 1); /* a write holds until it is taken or cleared */
    assert_true(b.irq[0]);
    dw(&b, GICD_ICPENDR + 4, 1);
    assert_false(b.irq[0]);
    gicv3_set_ppi(b.g, 0, 27, true);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 27);
    gicv3_set_ppi(b.g, 0, 27, false);
    cw(&b, 0, GICV3_ICC_EOIR1, 27);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), SPURIOUS);
    assert_int_equal(gicv3_set_spi(b.g, 31, true), -EINVAL);
    assert_int_equal(gicv3_set_spi(b.g, 1020, true), -EINVAL);
    assert_int_equal(gicv3_set_spi(b.g, 64, true), -EINVAL); /* a message */
    bench_close(&b);
}

/* Of an edge-triggered one every "true" is an edge, "false" is nothing. */
static void test_edges_by_call(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    open_spi(&b, 40, 0, 0x80);
    assert_int_equal(gicv3_set_spi(b.g, 40, false), 0);
    assert_false(b.irq[0]);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(gicv3_set_spi(b.g, 40, true), 0);
        assert_true(b.irq[0]);
        assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 40);
        cw(&b, 0, GICV3_ICC_EOIR1, 40);
        assert_false(b.irq[0]);
    }
    bench_close(&b);
}

static void test_priorities(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    open_spi(&b, 40, 0, 0xa0);
    open_spi(&b, 41, 0, 0x80);
    open_spi(&b, 42, 0, 0x80);
    cw(&b, 0, GICV3_ICC_PMR, 0x80);
    pulse(&b, 40);
    pulse(&b, 41);
    pulse(&b, 42);
    assert_false(b.irq[0]); /* 0x80 is not below 0x80 */
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), SPURIOUS);
    cw(&b, 0, GICV3_ICC_PMR, 0xff);
    assert_int_equal(cr(&b, 0, GICV3_ICC_PMR), 0xf8);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 41); /* lowest INTID of equals */
    assert_false(b.irq[0]);                          /* equals do not preempt */
    open_spi(&b, 43, 0, 0x78);
    pulse(&b, 43);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 43);
    assert_int_equal(cr(&b, 0, GICV3_ICC_AP1R0), 1 << 16 | 1 << 15);
    cw(&b, 0, GICV3_ICC_EOIR1, 43);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0x80);
    cw(&b, 0, GICV3_ICC_EOIR1, 41);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 42);
    cw(&b, 0, GICV3_ICC_EOIR1, 42);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 40);
    bench_close(&b);
}

static void test_binary_point(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    cw(&b, 0, GICV3_ICC_BPR0, 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_BPR0), 2);
    cw(&b, 0, GICV3_ICC_BPR1, 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_BPR1), 3);
    cw(&b, 0, GICV3_ICC_BPR1, 6); /* groups of 0x40 */
    open_spi(&b, 40, 0, 0x70);
    open_spi(&b, 41, 0, 0x48);
    open_spi(&b, 42, 0, 0x38);
    pulse(&b, 40);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 40);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0x40);
    pulse(&b, 41);
    assert_false(b.irq[0]); /* the same group */
    pulse(&b, 42);
    assert_true(b.irq[0]);
    cw(&b, 0, GICV3_ICC_CTLR, 1); /* CBPR */
    assert_int_equal(cr(&b, 0, GICV3_ICC_BPR1), 3);
    cw(&b, 0, GICV3_ICC_BPR1, 7); /* ignored */
    cw(&b, 0, GICV3_ICC_BPR0, 7);
    assert_int_equal(cr(&b, 0, GICV3_ICC_BPR1), 7);
    cw(&b, 0, GICV3_ICC_CTLR, 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_BPR1), 6);
    bench_close(&b);
}

static void test_split_completion(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    cw(&b, 0, GICV3_ICC_CTLR, 2);
    assert_int_equal(cr(&b, 0, GICV3_ICC_CTLR) & 3, 2);
    open_spi(&b, 40, 0, 0x80);
    pulse(&b, 40);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 40);
    cw(&b, 0, GICV3_ICC_EOIR1, 40);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0xff);
    assert_int_equal(dr(&b, GICD_ISACTIVER + 4), 1 << 8);
    pulse(&b, 40);
    assert_false(b.irq[0]);
    cw(&b, 0, GICV3_ICC_DIR, 40);
    assert_int_equal(dr(&b, GICD_ISACTIVER + 4), 0);
    assert_true(b.irq[0]);
    cw(&b, 0, GICV3_ICC_CTLR, 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 40);
    cw(&b, 0, GICV3_ICC_DIR, 40); /* not with EOImode 0 */
    assert_int_equal(dr(&b, GICD_ISACTIVER + 4), 1 << 8);
    dw(&b, GICD_ICACTIVER + 4, 1 << 8);
    assert_int_equal(dr(&b, GICD_ISACTIVER + 4), 0);
    bench_close(&b);
}

static void test_groups(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    open_spi(&b, 40, 0, 0x40);
    open_spi(&b, 41, 0, 0x80);
    dw(&b, GICD_IGROUPR + 4, ~(1u << 8)); /* 40 in group 0 */
    pulse(&b, 40);
    pulse(&b, 41);
    assert_true(b.fiq[0]);
    assert_false(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), SPURIOUS);
    cw(&b, 0, GICV3_ICC_IGRPEN0, 0); /* does not stand in group 1's way */
    assert_false(b.fiq[0]);
    assert_true(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 41);
    cw(&b, 0, GICV3_ICC_IGRPEN0, 1);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR0), 40);
    assert_int_equal(cr(&b, 0, GICV3_ICC_AP0R0), 1 << 8);
    assert_int_equal(cr(&b, 0, GICV3_ICC_RPR), 0x40);
    cw(&b, 0, GICV3_ICC_EOIR0, 40);
    cw(&b, 0, GICV3_ICC_EOIR1, 41);
    pulse(&b, 41);
    assert_true(b.irq[0]);
    dw(&b, GICD_CTLR, 1);
    assert_false(b.irq[0]);
    dw(&b, GICD_CTLR, 3);
    rw(&b, 0, GICR_WAKER, 2);
    assert_int_equal(rr(&b, 0, GICR_WAKER), 6);
    assert_false(b.irq[0]);
    rw(&b, 0, GICR_WAKER, 0);
    assert_int_equal(rr(&b, 0, GICR_WAKER), 0);
    assert_true(b.irq[0]);
    bench_close(&b);
}

static void test_affinity_routing(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 20);
    open_spi(&b, 40, 0x103, 0x80); /* CPU 19 */
    pulse(&b, 40);
    for (unsigned c = 0; c < 20; c++)
        assert_int_equal(b.irq[c], c == 19);
    gicv3_dist_write(b.g, GICD_IROUTER + 8 * 40, 8, 2); /* what is pending moves */
    assert_false(b.irq[19]);
    assert_true(b.irq[2]);
    gicv3_dist_write(b.g, GICD_IROUTER + 8 * 40, 8, 0x777); /* nobody */
    assert_false(b.irq[2]);
    gicv3_set_affinity(b.g, 5, 0x777);
    assert_true(b.irq[5]);
    gicv3_detach(b.g, 5);
    gicv3_attach(b.g, 5, 0x777);
    assert_false(b.irq[5]); /* its interface is off */
    cw(&b, 5, GICV3_ICC_PMR, 0xff);
    cw(&b, 5, GICV3_ICC_IGRPEN1, 1);
    assert_true(b.irq[5]);
    bench_close(&b);
}

static void test_one_of_n(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 3);
    cw(&b, 0, GICV3_ICC_IGRPEN1, 0); /* does not take part */
    open_spi(&b, 40, ROUTER_ANY | 0, 0x80);
    pulse(&b, 40);
    assert_false(b.irq[0]);
    assert_true(b.irq[1] && b.irq[2]);
    assert_int_equal(cr(&b, 2, GICV3_ICC_IAR1), 40);
    assert_false(b.irq[1] || b.irq[2]);
    assert_int_equal(cr(&b, 1, GICV3_ICC_IAR1), SPURIOUS);
    cw(&b, 2, GICV3_ICC_EOIR1, 40);
    rw(&b, 1, GICR_WAKER, 2);
    cw(&b, 0, GICV3_ICC_IGRPEN1, 1);
    pulse(&b, 40);
    assert_true(b.irq[0] && b.irq[2]);
    assert_false(b.irq[1]);
    bench_close(&b);
}

/* Which CPUs have SGI `id` pending. */
static uint64_t sgi_pending(struct bench *b, unsigned cpus, unsigned id)
{
    uint64_t mask = 0;
    for (unsigned c = 0; c < cpus; c++)
        mask |= (uint64_t)(rr(b, c, GICR_ISPENDR0) >> id & 1) << c;
    for (unsigned c = 0; c < cpus; c++)
        rw(b, c, GICR_ICPENDR0, 1u << id);
    return mask;
}

static void test_sgi_targets(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 40);
    gicv3_set_affinity(b.g, 39, 0x11); /* 0.0.0.17: beyond the list of range 0 */
    cw(&b, 3, GICV3_ICC_SGI1R, 5ull << 24 | 0x8009);
    assert_true(sgi_pending(&b, 40, 5) == 0x8009);
    cw(&b, 3, GICV3_ICC_SGI1R, 5ull << 24 | 1ull << 16 | 0x3);
    assert_true(sgi_pending(&b, 40, 5) == 3ull << 16);
    cw(&b, 3, GICV3_ICC_SGI1R, 6ull << 24 | 1ull << 44 | 0x2); /* range selector */
    assert_true(sgi_pending(&b, 40, 6) == 1ull << 39);
    cw(&b, 3, GICV3_ICC_SGI1R, 7ull << 24 | 1ull << 40 | 0xffff);
    assert_true(sgi_pending(&b, 40, 7) == (((1ull << 40) - 1) & ~8ull));
    cw(&b, 3, GICV3_ICC_SGI1R, 8ull << 24 | 1ull << 32 | 1); /* Aff2 1: nobody */
    assert_true(sgi_pending(&b, 40, 8) == 0);
    bench_close(&b);
}

static void test_sgi_groups(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    rw(&b, 1, GICR_IGROUPR0, ~(1u << 4));
    cw(&b, 0, GICV3_ICC_SGI0R, 4ull << 24 | 3);
    assert_true(sgi_pending(&b, 2, 4) == 2); /* only where it is in group 0 */
    cw(&b, 0, GICV3_ICC_ASGI1R, 4ull << 24 | 3);
    assert_true(sgi_pending(&b, 2, 4) == 2);
    cw(&b, 0, GICV3_ICC_SGI1R, 4ull << 24 | 3);
    assert_true(b.irq[0] && b.fiq[1]);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 4);
    assert_int_equal(cr(&b, 1, GICV3_ICC_IAR0), 4);
    cw(&b, 0, GICV3_ICC_EOIR1, 4);
    cw(&b, 0, GICV3_ICC_SGI1R, 4ull << 24 | 1); /* one sent twice is one */
    cw(&b, 0, GICV3_ICC_SGI1R, 4ull << 24 | 1);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 4);
    cw(&b, 0, GICV3_ICC_EOIR1, 4);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), SPURIOUS);
    rw(&b, 0, GICR_ISPENDR0, 1 << 9);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 9);
    bench_close(&b);
}

static void test_messages(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    open_spi(&b, 64, 0, 0x80);
    open_spi(&b, 95, 0, 0x80);
    assert_int_equal(gicv3_msi_read(b.g, 8, 4), 64 << 16 | 32);
    assert_int_equal(gicv3_msi_read(b.g, 0x40, 4), 0);
    gicv3_msi_write(b.g, 0x40, 4, 64);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 64);
    cw(&b, 0, GICV3_ICC_EOIR1, 64);
    gicv3_msi_write(b.g, 0x40, 4, 96);
    gicv3_msi_write(b.g, 0x40, 1, 64);
    gicv3_msi_write(b.g, 0x44, 4, 64);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), SPURIOUS);
    assert_int_equal(gicv3_send_msi(b.g, 63), -EINVAL);
    assert_int_equal(gicv3_send_msi(b.g, 96), -EINVAL);
    assert_int_equal(gicv3_send_msi(b.g, 95), 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_IAR1), 95);
    bench_close(&b);
}

static void test_reset_keeps_wires(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    dw(&b, GICD_ISENABLER + 4, 1);
    gicv3_set_spi(b.g, 32, true);
    assert_true(b.irq[0]);
    gicv3_reset(b.g);
    assert_false(b.irq[0]);
    assert_int_equal(dr(&b, GICD_CTLR), 0x50);
    assert_int_equal(dr(&b, GICD_ISENABLER + 4), 0);
    assert_int_equal(dr(&b, GICD_ISPENDR + 4), 1);
    assert_int_equal(rr(&b, 0, GICR_WAKER), 0);
    assert_int_equal(cr(&b, 0, GICV3_ICC_PMR), 0);
    bench_close(&b);
}

static void test_state(void **state)
{
    (void)state;
    struct bench b, c;
    bench_open(&b, 2);
    size_t size = gicv3_state_size(b.g);
    uint8_t *data = malloc(size), *again = malloc(size);
    open_spi(&b, 40, 1, 0x58);
    open_spi(&b, 1019, ROUTER_ANY, 0x60);
    pulse(&b, 40);
    rw(&b, 1, GICR_ISPENDR0, 4);
    gicv3_redist_write(b.g, 1, GICR_IPRIORITYR + 2, 1, 0x70);
    gicv3_state_save(b.g, data);
    bench_create(&c, 2);
    assert_int_equal(gicv3_state_restore(c.g, data, size), 0);
    gicv3_state_save(c.g, again);
    assert_memory_equal(data, again, size);
    assert_false(c.irq[1]); /* the interface is not part of it */
    cw(&c, 1, GICV3_ICC_PMR, 0xff);
    cw(&c, 1, GICV3_ICC_IGRPEN1, 1);
    assert_int_equal(cr(&c, 1, GICV3_ICC_IAR1), 40);
    cw(&c, 1, GICV3_ICC_EOIR1, 40);
    assert_int_equal(cr(&c, 1, GICV3_ICC_IAR1), 2);

    assert_int_equal(gicv3_state_restore(c.g, data, size - 16), -EINVAL);
    assert_int_equal(gicv3_state_restore(c.g, data, size + 1), -EINVAL);
    for (unsigned i = 0; i < 16; i++) {
        memcpy(again, data, size);
        again[i] ^= 0xff;
        assert_int_equal(gicv3_state_restore(c.g, again, size), -EINVAL);
    }
    /* Whatever follows the header gives a state that the registers could have. */
    memcpy(again, data, 16);
    memset(again + 16, 0xff, size - 16);
    assert_int_equal(gicv3_state_restore(c.g, again, size), 0);
    assert_int_equal(dr(&c, GICD_CTLR), 0x53);
    assert_int_equal(dr(&c, GICD_IPRIORITYR + 40), 0xf8f8f8f8);
    assert_int_equal(dr(&c, GICD_ISENABLER + 124), 0x0fffffff);
    assert_true(gicv3_dist_read(c.g, GICD_IROUTER + 8 * 40, 8) == 0x80ffffff);
    assert_int_equal(rr(&c, 0, GICR_WAKER), 6);
    bench_close(&b);
    bench_close(&c);
    free(data);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reset_values),
        cmocka_unit_test(test_create_refuses),
        cmocka_unit_test(test_redistributor_typer),
        cmocka_unit_test(test_distributor_raz_wi),
        cmocka_unit_test(test_access_widths),
        cmocka_unit_test(test_spi_life),
        cmocka_unit_test(test_level_and_edge),
        cmocka_unit_test(test_edges_by_call),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_binary_point),
        cmocka_unit_test(test_split_completion),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_affinity_routing),
        cmocka_unit_test(test_one_of_n),
        cmocka_unit_test(test_sgi_targets),
        cmocka_unit_test(test_sgi_groups),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_reset_keeps_wires),
        cmocka_unit_test(test_state),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
