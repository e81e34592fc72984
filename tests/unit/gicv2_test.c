/* The GICv2 through its registers and wires, as a guest and the monitor see it. */
#include "gic/gicv2.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/compiler.h"

#define GICD_CTLR       0x000
#define GICD_TYPER      0x004
#define GICD_IGROUPR    0x080
#define GICD_ISENABLER  0x100
#define GICD_ICENABLER  0x180
#define GICD_ISPENDR    0x200
#define GICD_ICPENDR    0x280
#define GICD_ISACTIVER  0x300
#define GICD_ICACTIVER  0x380
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR  0x800
#define GICD_ICFGR      0xc00
#define GICD_PPISR      0xd00
#define GICD_SPISR      0xd04
#define GICD_SGIR       0xf00
#define GICD_CPENDSGIR  0xf10
#define GICD_SPENDSGIR  0xf20

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

struct bench {
    struct gicv2 *g;
    bool irq[GICV2_MAX_CPUS], fiq[GICV2_MAX_CPUS];
    unsigned signals;
};

static void bench_signal(void *ctx, unsigned cpu, bool irq, bool fiq)
{
    struct bench *b = ctx;
    b->irq[cpu] = irq;
    b->fiq[cpu] = fiq;
    b->signals++;
}

static void dw(struct bench *b, unsigned cpu, uint64_t offset, uint32_t value)
{
    gicv2_dist_write(b->g, cpu, offset, 4, value);
}

static uint32_t dr(struct bench *b, unsigned cpu, uint64_t offset)
{
    return (uint32_t)gicv2_dist_read(b->g, cpu, offset, 4);
}

static void cw(struct bench *b, unsigned cpu, uint64_t offset, uint32_t value)
{
    gicv2_cpu_write(b->g, cpu, offset, 4, value);
}

static uint32_t cr(struct bench *b, unsigned cpu, uint64_t offset)
{
    return (uint32_t)gicv2_cpu_read(b->g, cpu, offset, 4);
}

static void bench_create(struct bench *b, unsigned cpus, unsigned spis)
{
    *b = (struct bench){ 0 };
    struct gicv2_config c = { .cpus = cpus, .spis = spis, .signal = bench_signal, .ctx = b };
    assert_int_equal(gicv2_create(&c, &b->g), 0);
}

/* Everything on, as Linux leaves it: group 0, no mask, all SPIs enabled at CPU 0. */
static void bench_open(struct bench *b, unsigned cpus)
{
    bench_create(b, cpus, 64);
    dw(b, 0, GICD_CTLR, 3);
    for (unsigned c = 0; c < cpus; c++) {
        cw(b, c, GICC_CTLR, 1);
        cw(b, c, GICC_PMR, 0xff);
        dw(b, c, GICD_ISENABLER, 0xffff0000);
    }
    for (unsigned n = 1; n <= 2; n++)
        dw(b, 0, GICD_ISENABLER + 4 * n, 0xffffffff);
    for (unsigned i = 32; i < 96; i++)
        gicv2_dist_write(b->g, 0, GICD_ITARGETSR + i, 1, 1);
}

static void priority(struct bench *b, unsigned intid, uint8_t value)
{
    gicv2_dist_write(b->g, 0, GICD_IPRIORITYR + intid, 1, value);
}

static void test_create(void **state)
{
    (void)state;
    static const struct {
        unsigned cpus, spis;
        int rc;
    } cases[] = {
        { 0, 64, -EINVAL },  { 9, 64, -EINVAL }, { 1, 31, -EINVAL },
        { 1, 989, -EINVAL }, { 1, 32, 0 },       { 8, 988, 0 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct gicv2 *g = NULL;
        struct gicv2_config c = { .cpus = cases[i].cpus,
                                  .spis = cases[i].spis,
                                  .signal = bench_signal };
        assert_int_equal(gicv2_create(&c, &g), cases[i].rc);
        gicv2_destroy(g);
    }
}

static void test_identification(void **state)
{
    (void)state;
    static const struct {
        uint16_t offset;
        uint32_t value;
    } ids[] = {
        { GICD_TYPER, 2u << 5 | 31 },
        { 0x008, 0x4900043b },
        { 0xfd0, 0x04 },
        { 0xfe0, 0x90 },
        { 0xfe4, 0xb4 },
        { 0xfe8, 0x2b },
        { 0xff0, 0x0d },
        { 0xff4, 0xf0 },
        { 0xff8, 0x05 },
        { 0xffc, 0xb1 },
    };
    struct bench b;
    bench_create(&b, 3, 988);
    for (unsigned i = 0; i < ARRAY_LEN(ids); i++) {
        dw(&b, 0, ids[i].offset, 0xffffffff);
        assert_int_equal(dr(&b, 0, ids[i].offset), ids[i].value);
    }
    assert_int_equal(cr(&b, 0, GICC_IIDR), 0x4902043b);
    gicv2_destroy(b.g);
}

/* What each register of a bank keeps of all ones: the last bank has 28 interrupts only. */
static void test_register_masks(void **state)
{
    (void)state;
    static const struct {
        uint16_t offset;
        uint32_t value;
    } masks[] = {
        { GICD_CTLR, 3 },
        { GICD_IGROUPR, 0xffffffff },
        { GICD_IGROUPR + 4 * 31, 0x0fffffff },
        { GICD_ISENABLER, 0xffffffff },
        { GICD_ISENABLER + 4 * 31, 0x0fffffff },
        { GICD_ISPENDR, 0xffff0000 },
        { GICD_ISPENDR + 4 * 31, 0x0fffffff },
        { GICD_ISACTIVER, 0xffffffff },
        { GICD_ISACTIVER + 4 * 31, 0x0fffffff },
        { GICD_IPRIORITYR, 0xf8f8f8f8 },
        { GICD_IPRIORITYR + 1016, 0xf8f8f8f8 },
        { GICD_IPRIORITYR + 1020, 0 },
        { GICD_ITARGETSR, 0x01010101 },
        { GICD_ITARGETSR + 32, 0x03030303 },
        { GICD_ITARGETSR + 1020, 0 },
        { GICD_ICFGR, 0xaaaaaaaa },
        { GICD_ICFGR + 4, 0xaaaaaaaa },
        { GICD_ICFGR + 4 * 63, 0x00aaaaaa },
        { GICD_SPENDSGIR, 0x03030303 },
        { 0x00c, 0 },
        { 0xe00, 0 },
        { 0x1000, 0 },
        { 0xfffc, 0 },
    };
    struct bench b;
    bench_create(&b, 2, 988);
    for (unsigned i = 0; i < ARRAY_LEN(masks); i++) {
        dw(&b, 0, masks[i].offset, 0xffffffff);
        assert_int_equal(dr(&b, 0, masks[i].offset), masks[i].value);
    }
    /* The clearing halves read the same and clear. */
    dw(&b, 0, GICD_ICENABLER, 0xffffffff);
    assert_int_equal(dr(&b, 0, GICD_ICENABLER), 0x0000ffff);
    dw(&b, 0, GICD_ICPENDR, 0xffffffff);
    assert_int_equal(dr(&b, 0, GICD_ICPENDR), 0x0000000f); /* SGIs of GICD_SPENDSGIR stay */
    dw(&b, 0, GICD_ICACTIVER, 0xffffffff);
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER), 0);
    gicv2_destroy(b.g);
}

static void test_interrupts_that_do_not_exist(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 1, 32);
    assert_int_equal(dr(&b, 0, GICD_TYPER) & 31, 1);
    for (uint64_t o = GICD_ISENABLER + 8; o < GICD_ICENABLER; o += 4) {
        dw(&b, 0, o, 0xffffffff);
        assert_int_equal(dr(&b, 0, o), 0);
    }
    gicv2_dist_write(b.g, 0, GICD_IPRIORITYR + 64, 1, 0xff);
    assert_int_equal(dr(&b, 0, GICD_IPRIORITYR + 64), 0);
    gicv2_set_spi(b.g, 32, true); /* out of range: nothing happens */
    gicv2_set_spi(b.g, UINT32_MAX, true);
    gicv2_set_ppi(b.g, 1, 27, true);
    gicv2_set_ppi(b.g, 0, 15, true);
    gicv2_set_ppi(b.g, 0, 32, true);
    assert_int_equal(dr(&b, 0, GICD_PPISR), 0);
    assert_int_equal(dr(&b, 0, GICD_SPISR), 0);
    assert_int_equal(gicv2_dist_read(b.g, 1, GICD_TYPER, 4), 0); /* no such CPU */
    assert_int_equal(gicv2_cpu_read(b.g, 1, GICC_IIDR, 4), 0);
    gicv2_destroy(b.g);
}

static void test_access_widths(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 2, 64);
    gicv2_dist_write(b.g, 0, GICD_IPRIORITYR + 33, 1, 0x48);
    assert_int_equal(dr(&b, 0, GICD_IPRIORITYR + 32), 0x00004800);
    assert_int_equal(gicv2_dist_read(b.g, 0, GICD_IPRIORITYR + 33, 1), 0x48);
    gicv2_dist_write(b.g, 0, GICD_IPRIORITYR + 32, 2, 0xffff);
    gicv2_dist_write(b.g, 0, GICD_IPRIORITYR + 32, 8, ~0ull);
    gicv2_dist_write(b.g, 0, GICD_IPRIORITYR + 33, 4, ~0u);
    assert_int_equal(dr(&b, 0, GICD_IPRIORITYR + 32), 0x00004800);
    gicv2_dist_write(b.g, 0, GICD_ISENABLER + 4, 1, 0xff);
    assert_int_equal(dr(&b, 0, GICD_ISENABLER + 4), 0);
    assert_int_equal(gicv2_dist_read(b.g, 0, GICD_ISENABLER, 1), 0);
    gicv2_cpu_write(b.g, 0, GICC_PMR, 1, 0xf8);
    assert_int_equal(cr(&b, 0, GICC_PMR), 0);
    gicv2_destroy(b.g);
}

static void test_cpu_register_masks(void **state)
{
    (void)state;
    static const struct {
        uint16_t offset;
        uint32_t reset, zeroes, ones;
    } regs[] = {
        { GICC_CTLR, 0, 0, 0x3ff },
        { GICC_PMR, 0, 0, 0xf8 },
        { GICC_BPR, 2, 2, 7 },
        { GICC_ABPR, 3, 3, 7 },
        { GICC_RPR, 0xff, 0xff, 0xff },
        { GICC_APR0, 0, 0, 0xffffffff },
        { GICC_NSAPR0, 0, 0, 0xffffffff },
        { 0xd4, 0, 0, 0 },
        { GICC_EOIR, 0, 0, 0 },
        { GICC_DIR, 0, 0, 0 },
    };
    struct bench b;
    bench_create(&b, 1, 32);
    for (unsigned i = 0; i < ARRAY_LEN(regs); i++) {
        assert_int_equal(cr(&b, 0, regs[i].offset), regs[i].reset);
        cw(&b, 0, regs[i].offset, 0);
        assert_int_equal(cr(&b, 0, regs[i].offset), regs[i].zeroes);
        cw(&b, 0, regs[i].offset, 0xffffffff);
        assert_int_equal(cr(&b, 0, regs[i].offset), regs[i].ones);
        gicv2_reset(b.g);
    }
    gicv2_destroy(b.g);
}

static void test_level_interrupt(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    gicv2_set_spi(b.g, 1, true);
    assert_true(b.irq[0]);
    assert_false(b.fiq[0]);
    assert_int_equal(dr(&b, 0, GICD_SPISR), 2);
    assert_int_equal(dr(&b, 0, GICD_ISPENDR + 4), 2);
    dw(&b, 0, GICD_ICPENDR + 4, 2); /* the wire is still high */
    assert_int_equal(dr(&b, 0, GICD_ISPENDR + 4), 2);
    assert_int_equal(cr(&b, 0, GICC_HPPIR), 33);
    assert_int_equal(cr(&b, 0, GICC_IAR), 33);
    assert_false(b.irq[0]);
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER + 4), 2);
    assert_int_equal(dr(&b, 0, GICD_ISPENDR + 4), 2); /* active and pending */
    assert_int_equal(cr(&b, 0, GICC_IAR), 1023);
    cw(&b, 0, GICC_EOIR, 33); /* not served: it comes again */
    assert_true(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICC_IAR), 33);
    gicv2_set_spi(b.g, 1, false);
    cw(&b, 0, GICC_EOIR, 33);
    assert_false(b.irq[0]);
    assert_int_equal(dr(&b, 0, GICD_ISPENDR + 4), 0);
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER + 4), 0);
    gicv2_destroy(b.g);
}

static void test_edge_interrupt(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    dw(&b, 0, GICD_ICFGR + 8, 2u << 2); /* INTID 33 by edge */
    gicv2_set_spi(b.g, 1, true);
    gicv2_set_spi(b.g, 1, false);
    assert_true(b.irq[0]); /* latched */
    assert_int_equal(cr(&b, 0, GICC_IAR), 33);
    assert_int_equal(dr(&b, 0, GICD_ISPENDR + 4), 0);
    gicv2_set_spi(b.g, 1, true); /* another edge while active */
    assert_false(b.irq[0]);
    cw(&b, 0, GICC_EOIR, 33);
    assert_true(b.irq[0]);
    dw(&b, 0, GICD_ICPENDR + 4, 2); /* an edge can be withdrawn, whatever the wire */
    assert_false(b.irq[0]);
    gicv2_destroy(b.g);
}

static void test_pending_by_software(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    dw(&b, 0, GICD_ISPENDR + 4, 4); /* level-sensitive, wire low */
    assert_true(b.irq[0]);
    dw(&b, 0, GICD_ICPENDR + 4, 4);
    assert_false(b.irq[0]);
    dw(&b, 0, GICD_ISPENDR + 4, 4);
    assert_int_equal(cr(&b, 0, GICC_IAR), 34);
    cw(&b, 0, GICC_EOIR, 34); /* once only */
    assert_false(b.irq[0]);
    gicv2_destroy(b.g);
}

static void test_ppi_is_banked(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    gicv2_set_ppi(b.g, 1, 27, true);
    assert_false(b.irq[0]);
    assert_true(b.irq[1]);
    assert_int_equal(dr(&b, 0, GICD_PPISR), 0);
    assert_int_equal(dr(&b, 1, GICD_PPISR), 1 << 11);
    dw(&b, 1, GICD_ICENABLER, 1 << 27);
    assert_false(b.irq[1]);
    dw(&b, 0, GICD_ISENABLER, 1 << 27); /* the other bank */
    assert_false(b.irq[1]);
    dw(&b, 1, GICD_ISENABLER, 1 << 27);
    assert_int_equal(cr(&b, 0, GICC_IAR), 1023);
    assert_int_equal(cr(&b, 1, GICC_IAR), 27);
    bool irq, fiq;
    gicv2_levels(b.g, 1, &irq, &fiq);
    assert_false(irq || fiq);
    gicv2_destroy(b.g);
}

static void test_targets(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 4);
    assert_int_equal(dr(&b, 2, GICD_ITARGETSR + 28), 0x04040404); /* a CPU finds out who it is */
    dw(&b, 2, GICD_ITARGETSR + 28, 0xffffffff);
    assert_int_equal(dr(&b, 2, GICD_ITARGETSR + 28), 0x04040404);
    gicv2_dist_write(b.g, 0, GICD_ITARGETSR + 40, 1, 0x0a); /* CPUs 1 and 3 */
    gicv2_set_spi(b.g, 8, true);
    assert_false(b.irq[0] || b.irq[2]);
    assert_true(b.irq[1] && b.irq[3]);
    assert_int_equal(cr(&b, 3, GICC_IAR), 40); /* one of them gets it */
    assert_false(b.irq[1]);
    assert_int_equal(cr(&b, 1, GICC_IAR), 1023);
    gicv2_set_spi(b.g, 8, false);
    cw(&b, 3, GICC_EOIR, 40);
    gicv2_set_spi(b.g, 8, true);
    gicv2_dist_write(b.g, 0, GICD_ITARGETSR + 40, 1, 0x04); /* moved while pending */
    assert_false(b.irq[1] || b.irq[3]);
    assert_true(b.irq[2]);
    gicv2_destroy(b.g);
    bench_create(&b, 1, 32); /* one CPU: the registers read as zero, delivery needs... */
    dw(&b, 0, GICD_ITARGETSR + 32, 0x01010101);
    assert_int_equal(dr(&b, 0, GICD_ITARGETSR + 32), 0);
    assert_int_equal(dr(&b, 0, GICD_ITARGETSR), 0);
    gicv2_destroy(b.g);
}

static void test_one_cpu_needs_no_targets(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 1, 32);
    dw(&b, 0, GICD_CTLR, 1);
    cw(&b, 0, GICC_CTLR, 1);
    cw(&b, 0, GICC_PMR, 0xff);
    dw(&b, 0, GICD_ISENABLER + 4, 1);
    gicv2_set_spi(b.g, 0, true);
    assert_true(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICC_IAR), 32);
    gicv2_destroy(b.g);
}

static void test_sgi_filters(void **state)
{
    (void)state;
    static const struct {
        uint32_t sgir;
        uint8_t cpus;
    } cases[] = {
        { 0u << 24 | 0x06 << 16 | 5, 0x6 }, /* the list */
        { 0u << 24 | 0xff << 16 | 5, 0xf }, /* CPUs that are not there are ignored */
        { 1u << 24 | 5, 0xd },              /* all others */
        { 2u << 24 | 5, 0x2 },              /* self */
        { 3u << 24 | 0xff << 16 | 5, 0 },   /* reserved */
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_open(&b, 4);
        dw(&b, 1, GICD_SGIR, cases[i].sgir);
        for (unsigned c = 0; c < 4; c++) {
            bool hit = cases[i].cpus >> c & 1;
            assert_int_equal(b.irq[c], hit);
            assert_int_equal(cr(&b, c, GICC_IAR), hit ? 1u << 10 | 5 : 1023);
        }
        gicv2_destroy(b.g);
    }
}

static void test_sgi_sources(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 3);
    dw(&b, 2, GICD_SGIR, 1u << 16 | 7);
    dw(&b, 1, GICD_SGIR, 1u << 16 | 7);
    assert_int_equal(gicv2_dist_read(b.g, 0, GICD_SPENDSGIR + 7, 1), 6);
    assert_int_equal(cr(&b, 0, GICC_HPPIR), 1u << 10 | 7);
    assert_int_equal(cr(&b, 0, GICC_IAR), 1u << 10 | 7);
    assert_int_equal(dr(&b, 0, GICD_ISPENDR), 1 << 7); /* the other source */
    cw(&b, 0, GICC_EOIR, 1u << 10 | 7);
    assert_int_equal(cr(&b, 0, GICC_IAR), 2u << 10 | 7);
    cw(&b, 0, GICC_EOIR, 2u << 10 | 7);
    assert_int_equal(cr(&b, 0, GICC_IAR), 1023);
    /* Set and clear by source. */
    gicv2_dist_write(b.g, 0, GICD_SPENDSGIR + 3, 1, 0x06);
    gicv2_dist_write(b.g, 0, GICD_CPENDSGIR + 3, 1, 0x02);
    assert_int_equal(gicv2_dist_read(b.g, 0, GICD_CPENDSGIR + 3, 1), 4);
    assert_true(b.irq[0]);
    gicv2_dist_write(b.g, 0, GICD_CPENDSGIR + 3, 1, 0xff);
    assert_false(b.irq[0]);
    gicv2_destroy(b.g);
}

static void test_priority_order(void **state)
{
    (void)state;
    static const struct {
        uint8_t intid, priority;
    } in[] = { { 40, 0xa0 }, { 41, 0x20 }, { 42, 0x20 }, { 70, 0x08 }, { 95, 0xf8 } };
    static const uint32_t out[] = { 70, 41, 42, 40, 1023 };
    struct bench b;
    bench_open(&b, 1);
    cw(&b, 0, GICC_PMR, 0xf8); /* 0xf8 itself is masked */
    for (unsigned i = 0; i < ARRAY_LEN(in); i++)
        priority(&b, in[i].intid, in[i].priority);
    for (unsigned i = 0; i < ARRAY_LEN(in); i++)
        gicv2_set_spi(b.g, in[i].intid - 32, true);
    for (unsigned i = 0; i < ARRAY_LEN(out); i++) {
        uint32_t got = cr(&b, 0, GICC_IAR);
        assert_int_equal(got, out[i]);
        if (got < 1020) {
            gicv2_set_spi(b.g, got - 32, false);
            cw(&b, 0, GICC_EOIR, got);
        }
    }
    assert_int_equal(cr(&b, 0, GICC_HPPIR), 95); /* not subject to the mask */
    gicv2_destroy(b.g);
}

static void test_priority_changes_while_pending(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    cw(&b, 0, GICC_PMR, 0x80);
    priority(&b, 40, 0x80);
    gicv2_set_spi(b.g, 8, true);
    assert_false(b.irq[0]);
    priority(&b, 40, 0x78);
    assert_true(b.irq[0]);
    cw(&b, 0, GICC_PMR, 0x40);
    assert_false(b.irq[0]);
    gicv2_destroy(b.g);
}

/* With the running interrupt at 0x50, does one at `priority` preempt, for a binary point? */
static void test_preemption(void **state)
{
    (void)state;
    static const struct {
        uint8_t bpr, priority;
        bool preempts;
        uint8_t running; /* GICC_RPR after the first acknowledge */
    } cases[] = {
        { 2, 0x48, true, 0x50 },  { 2, 0x50, false, 0x50 }, { 3, 0x48, true, 0x50 },
        { 4, 0x40, false, 0x40 }, { 4, 0x38, true, 0x40 },  { 5, 0x40, false, 0x40 },
        { 5, 0x38, true, 0x40 },  { 6, 0x00, false, 0x00 }, { 7, 0x00, false, 0x00 },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_open(&b, 1);
        cw(&b, 0, GICC_BPR, cases[i].bpr);
        priority(&b, 40, 0x50);
        priority(&b, 41, cases[i].priority);
        gicv2_set_spi(b.g, 8, true);
        assert_int_equal(cr(&b, 0, GICC_IAR), 40);
        assert_int_equal(cr(&b, 0, GICC_RPR), cases[i].running);
        gicv2_set_spi(b.g, 9, true);
        assert_int_equal(b.irq[0], cases[i].preempts);
        assert_int_equal(cr(&b, 0, GICC_HPPIR), 41);
        assert_int_equal(cr(&b, 0, GICC_IAR), cases[i].preempts ? 41 : 1023);
        gicv2_destroy(b.g);
    }
}

static void test_nesting(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    for (unsigned i = 0; i < 3; i++) {
        priority(&b, 40 + i, (uint8_t)(0x90 - 0x30 * i));
        dw(&b, 0, GICD_ISPENDR + 4, 1u << (8 + i));
        assert_int_equal(cr(&b, 0, GICC_IAR), 40 + i);
    }
    assert_int_equal(cr(&b, 0, GICC_APR0), 1u << 18 | 1u << 12 | 1u << 6);
    cw(&b, 0, GICC_EOIR, 42);
    assert_int_equal(cr(&b, 0, GICC_RPR), 0x60);
    cw(&b, 0, GICC_EOIR, 41);
    assert_int_equal(cr(&b, 0, GICC_RPR), 0x90);
    cw(&b, 0, GICC_EOIR, 40);
    assert_int_equal(cr(&b, 0, GICC_RPR), 0xff);
    cw(&b, 0, GICC_EOIR, 40); /* one too many, and IDs that are none */
    cw(&b, 0, GICC_EOIR, 1023);
    cw(&b, 0, GICC_EOIR, 1000);
    assert_int_equal(cr(&b, 0, GICC_RPR), 0xff);
    gicv2_destroy(b.g);
}

static void test_split_completion(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    dw(&b, 0, GICD_ISPENDR + 4, 1);
    assert_int_equal(cr(&b, 0, GICC_IAR), 32);
    cw(&b, 0, GICC_DIR, 32); /* not while EOImode is 0 */
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER + 4), 1);
    cw(&b, 0, GICC_CTLR, 0x201);
    cw(&b, 0, GICC_EOIR, 32); /* priority drop only */
    assert_int_equal(cr(&b, 0, GICC_RPR), 0xff);
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER + 4), 1);
    dw(&b, 0, GICD_ISPENDR + 4, 1); /* active: not delivered again */
    assert_false(b.irq[0]);
    cw(&b, 0, GICC_DIR, 32);
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER + 4), 0);
    assert_true(b.irq[0]);
    gicv2_destroy(b.g);
}

static void test_groups(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    dw(&b, 0, GICD_IGROUPR + 4, 1u << 8); /* INTID 40 in group 1 */
    gicv2_set_spi(b.g, 8, true);
    assert_false(b.irq[0]); /* group 1 is off at the CPU interface */
    assert_int_equal(cr(&b, 0, GICC_IAR), 1023);
    assert_int_equal(cr(&b, 0, GICC_HPPIR), 1022);
    assert_int_equal(cr(&b, 0, GICC_AHPPIR), 40);
    cw(&b, 0, GICC_CTLR, 0x3);
    assert_true(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICC_IAR), 1022); /* through the other register, please */
    assert_int_equal(cr(&b, 0, GICC_AIAR), 40);
    assert_int_equal(cr(&b, 0, GICC_NSAPR0), 1);
    cw(&b, 0, GICC_EOIR, 40); /* wrong register, ignored */
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER + 4), 1u << 8);
    cw(&b, 0, GICC_AEOIR, 40);
    assert_int_equal(dr(&b, 0, GICD_ISACTIVER + 4), 0);
    cw(&b, 0, GICC_CTLR, 0x7); /* AckCtl */
    assert_int_equal(cr(&b, 0, GICC_HPPIR), 40);
    assert_int_equal(cr(&b, 0, GICC_IAR), 40);
    cw(&b, 0, GICC_EOIR, 40);
    assert_int_equal(cr(&b, 0, GICC_NSAPR0), 0);
    dw(&b, 0, GICD_CTLR, 1); /* group 1 off at the distributor */
    assert_false(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICC_HPPIR), 1023);
    gicv2_set_spi(b.g, 9, true); /* group 0 */
    assert_true(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICC_AIAR), 1023);
    assert_int_equal(cr(&b, 0, GICC_AHPPIR), 1023);
    cw(&b, 0, GICC_AEOIR, 41); /* wrong register again */
    cw(&b, 0, GICC_CTLR, 0xb); /* FIQEn: group 0 as FIQ */
    assert_true(b.fiq[0]);
    assert_false(b.irq[0]);
    assert_int_equal(cr(&b, 0, GICC_IAR), 41);
    assert_false(b.fiq[0]);
    gicv2_destroy(b.g);
}

/* Group 1 preempts by GICC_ABPR, or by GICC_BPR with CBPR. */
static void test_group1_binary_point(void **state)
{
    (void)state;
    static const struct {
        uint32_t ctlr;
        uint8_t bpr, abpr;
        bool preempts; /* 0x40 over 0x50 */
    } cases[] = {
        { 0x07, 2, 4, true },
        { 0x07, 2, 5, false },
        { 0x17, 2, 5, true },
        { 0x17, 4, 3, false },
    };
    for (unsigned i = 0; i < ARRAY_LEN(cases); i++) {
        struct bench b;
        bench_open(&b, 1);
        cw(&b, 0, GICC_CTLR, cases[i].ctlr);
        cw(&b, 0, GICC_BPR, cases[i].bpr);
        cw(&b, 0, GICC_ABPR, cases[i].abpr);
        dw(&b, 0, GICD_IGROUPR + 4, 3u << 8);
        priority(&b, 40, 0x50);
        priority(&b, 41, 0x40);
        gicv2_set_spi(b.g, 8, true);
        assert_int_equal(cr(&b, 0, GICC_AIAR), 40);
        gicv2_set_spi(b.g, 9, true);
        assert_int_equal(b.irq[0], cases[i].preempts);
        gicv2_destroy(b.g);
    }
}

static void test_active_by_software(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    gicv2_set_spi(b.g, 0, true);
    dw(&b, 0, GICD_ISACTIVER + 4, 1);
    assert_false(b.irq[0]);
    dw(&b, 0, GICD_ICACTIVER + 4, 1);
    assert_true(b.irq[0]);
    gicv2_destroy(b.g);
}

/* The GICv2m frame. */
static void test_messages(void **state)
{
    (void)state;
    struct bench b = { 0 };
    struct gicv2_config c = {
        .cpus = 2,
        .spis = 64,
        .msi_base = 64,
        .msi_count = 32,
        .signal = bench_signal,
        .ctx = &b,
    };
    assert_int_equal(gicv2_create(&c, &b.g), 0);
    assert_int_equal(gicv2_msi_read(b.g, 0x008, 4), 64 << 16 | 32);
    assert_int_equal(gicv2_msi_read(b.g, 0xfcc, 4) & 0xfff, 0x43b);
    assert_int_equal(gicv2_msi_read(b.g, 0x040, 4), 0);
    assert_int_equal(gicv2_msi_read(b.g, 0x008, 2), 0);
    dw(&b, 0, GICD_CTLR, 1);
    dw(&b, 0, GICD_ISENABLER + 8, UINT32_MAX);
    cw(&b, 1, GICC_CTLR, 1);
    cw(&b, 1, GICC_PMR, 0xff);
    gicv2_dist_write(b.g, 0, GICD_ITARGETSR + 64, 4, 0x02020202);
    gicv2_dist_write(b.g, 0, GICD_ITARGETSR + 92, 4, 0x02020202);
    gicv2_msi_write(b.g, 0x040, 4, 64);
    gicv2_msi_write(b.g, 0x040, 2, 95);
    assert_int_equal(cr(&b, 1, GICC_IAR), 64);
    cw(&b, 1, GICC_EOIR, 64);
    assert_int_equal(cr(&b, 1, GICC_IAR), 95);
    cw(&b, 1, GICC_EOIR, 95);
    assert_int_equal(cr(&b, 1, GICC_IAR), 1023);
    static const struct {
        uint64_t offset, value;
        unsigned width;
    } ignored[] = { { 0x40, 63, 4 }, { 0x40, 96, 4 }, { 0x40, 0, 4 },  { 0x40, 64, 1 },
                    { 0x44, 64, 4 }, { 0x08, 64, 4 }, { 0x40, 64, 8 }, { 0x42, 64, 2 } };
    for (unsigned i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        gicv2_msi_write(b.g, ignored[i].offset, ignored[i].width, ignored[i].value);
    for (unsigned n = 1; n <= 2; n++)
        assert_int_equal(dr(&b, 0, GICD_ISPENDR + 4 * n), 0);
    assert_int_equal(gicv2_msi_read(b.g, 0x008, 4), 64 << 16 | 32);
    gicv2_destroy(b.g);
    static const unsigned bad[][2] = { { 31, 2 },  { 0, 1 },          { 64, 33 },        { 96, 1 },
                                       { 32, 65 }, { UINT32_MAX, 1 }, { 32, UINT32_MAX } };
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        c.msi_base = bad[i][0];
        c.msi_count = bad[i][1];
        assert_int_equal(gicv2_create(&c, &b.g), -EINVAL);
    }
}

static void test_reset(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    gicv2_set_spi(b.g, 0, true);
    assert_true(b.irq[0]);
    dw(&b, 1, GICD_SGIR, 1u << 16 | 7);
    gicv2_reset(b.g);
    assert_false(b.irq[0]);
    assert_int_equal(dr(&b, 0, GICD_CTLR), 0);
    assert_int_equal(dr(&b, 0, GICD_ISENABLER), 0xffff);
    assert_int_equal(dr(&b, 0, GICD_ISENABLER + 4), 0);
    assert_int_equal(dr(&b, 0, GICD_SPENDSGIR + 4), 0);
    assert_int_equal(dr(&b, 0, GICD_ISPENDR), 0);
    assert_int_equal(dr(&b, 0, GICD_SPISR), 1); /* the outside did not change */
    gicv2_destroy(b.g);
}

/* The monitor hears of changes only. */
static void test_signals_changes_only(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    unsigned before = b.signals;
    gicv2_set_spi(b.g, 0, true);
    gicv2_set_spi(b.g, 0, true);
    gicv2_set_spi(b.g, 1, true);
    assert_int_equal(b.signals, before + 1);
    gicv2_set_spi(b.g, 0, false);
    assert_int_equal(b.signals, before + 1);
    gicv2_set_spi(b.g, 1, false);
    assert_int_equal(b.signals, before + 2);
    gicv2_destroy(b.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_identification),
        cmocka_unit_test(test_register_masks),
        cmocka_unit_test(test_interrupts_that_do_not_exist),
        cmocka_unit_test(test_access_widths),
        cmocka_unit_test(test_cpu_register_masks),
        cmocka_unit_test(test_level_interrupt),
        cmocka_unit_test(test_edge_interrupt),
        cmocka_unit_test(test_pending_by_software),
        cmocka_unit_test(test_ppi_is_banked),
        cmocka_unit_test(test_targets),
        cmocka_unit_test(test_one_cpu_needs_no_targets),
        cmocka_unit_test(test_sgi_filters),
        cmocka_unit_test(test_sgi_sources),
        cmocka_unit_test(test_priority_order),
        cmocka_unit_test(test_priority_changes_while_pending),
        cmocka_unit_test(test_preemption),
        cmocka_unit_test(test_nesting),
        cmocka_unit_test(test_split_completion),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_group1_binary_point),
        cmocka_unit_test(test_active_by_software),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_signals_changes_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
