/* The ITS and LPIs (IHI 0069H chapter 5): each command, tables flat and in two levels, and guests
 * that write nonsense into all of it. */
#include "gic/gicv3.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/gmem.h"

#define GITS_CTLR    0x0000
#define GITS_TYPER   0x0008
#define GITS_CBASER  0x0080
#define GITS_CWRITER 0x0088
#define GITS_CREADR  0x0090
#define GITS_BASER0  0x0100
#define GITS_BASER1  0x0108
#define GITS_PIDR2   0xffe8

#define GICD_CTLR      0x0000
#define GICD_TYPER     0x0004
#define GICD_ISENABLER 0x0100
#define GICR_CTLR      0x00000
#define GICR_TYPER     0x00008
#define GICR_WAKER     0x00014
#define GICR_PROPBASER 0x00070
#define GICR_PENDBASER 0x00078

#define VALID    (1ull << 63)
#define INDIRECT (1ull << 62)
#define PTZ      (1ull << 62)
#define SPURIOUS 1023

/* Guest memory, and what is where in it. */
#define RAM         0x40000000ull
#define RAM_SIZE    0x400000ull
#define QUEUE       (RAM + 0x000000)
#define QUEUE_PAGES 16u
#define DEVICES     (RAM + 0x010000)
#define COLLECTIONS (RAM + 0x020000)
#define CONFIG      (RAM + 0x030000)
#define PENDING     (RAM + 0x100000) /* 64 KiB for each CPU */
#define LEVEL2      (RAM + 0x200000)
#define ITT         (RAM + 0x210000) /* of device 1; each following one has 4 KiB more */

#define LPI     8192u
#define DEVICE  1u
#define ITS_CPU GICV3_ITS_CPU_DEVICE

struct bench {
    struct gicv3 *g;
    struct gmem memory;
    uint8_t *ram;
    uint32_t written; /* GITS_CWRITER */
    unsigned cpus;
    bool irq[GICV3_MAX_CPUS];
};

static void bench_signal(void *ctx, unsigned cpu, bool irq, bool fiq)
{
    struct bench *b = ctx;
    (void)fiq;
    b->irq[cpu] = irq;
}

static int bench_read(void *ctx, uint64_t address, void *to, size_t size)
{
    const struct bench *b = ctx;
    return gmem_read(&b->memory, address, to, size);
}

static int bench_write(void *ctx, uint64_t address, const void *from, size_t size)
{
    const struct bench *b = ctx;
    return gmem_write(&b->memory, address, from, size);
}

static uint8_t *at(struct bench *b, uint64_t address)
{
    return b->ram + (address - RAM);
}

static void iw(struct bench *b, uint64_t offset, uint64_t value)
{
    gicv3_its_write(b->g, offset, 8, value);
}

static uint64_t ir(struct bench *b, uint64_t offset)
{
    return gicv3_its_read(b->g, offset, 8);
}

static void rw(struct bench *b, unsigned cpu, uint64_t offset, unsigned width, uint64_t value)
{
    gicv3_redist_write(b->g, cpu, offset, width, value);
}

static uint64_t rr(struct bench *b, unsigned cpu, uint64_t offset, unsigned width)
{
    return gicv3_redist_read(b->g, cpu, offset, width);
}

static unsigned ack(struct bench *b, unsigned cpu)
{
    return (unsigned)gicv3_icc_read(b->g, cpu, GICV3_ICC_IAR1);
}

static void eoi(struct bench *b, unsigned cpu, unsigned intid)
{
    gicv3_icc_write(b->g, cpu, GICV3_ICC_EOIR1, intid);
}

/* Acknowledge and complete. */
static unsigned take(struct bench *b, unsigned cpu)
{
    unsigned intid = ack(b, cpu);
    if (intid != SPURIOUS)
        eoi(b, cpu, intid);
    return intid;
}

/* --- commands --- */

static void put(struct bench *b, uint64_t w0, uint64_t w1, uint64_t w2, uint64_t w3)
{
    const uint64_t words[4] = { w0, w1, w2, w3 };
    memcpy(at(b, QUEUE + b->written), words, sizeof words);
    b->written = (b->written + 32) % (QUEUE_PAGES * 4096);
}

static void go(struct bench *b)
{
    iw(b, GITS_CWRITER, b->written);
    assert_int_equal(ir(b, GITS_CREADR), b->written);
}

static void movi(struct bench *b, uint64_t device, uint64_t event, uint64_t collection)
{
    put(b, device << 32 | 0x01, event, collection, 0);
    go(b);
}

static void interrupt(struct bench *b, uint64_t device, uint64_t event)
{
    put(b, device << 32 | 0x03, event, 0, 0);
    go(b);
}

static void clear(struct bench *b, uint64_t device, uint64_t event)
{
    put(b, device << 32 | 0x04, event, 0, 0);
    go(b);
}

static void sync_(struct bench *b, uint64_t cpu)
{
    put(b, 0x05, 0, cpu << 16, 0);
    go(b);
}

static void mapd(struct bench *b, uint64_t device, uint64_t event_bits, uint64_t itt, bool valid)
{
    put(b, device << 32 | 0x08, event_bits - 1, itt | (valid ? VALID : 0), 0);
    go(b);
}

static void mapc(struct bench *b, uint64_t collection, uint64_t cpu, bool valid)
{
    put(b, 0x09, 0, collection | cpu << 16 | (valid ? VALID : 0), 0);
    go(b);
}

static void mapti(struct bench *b, uint64_t device, uint64_t event, uint64_t intid,
                  uint64_t collection)
{
    put(b, device << 32 | 0x0a, intid << 32 | event, collection, 0);
    go(b);
}

static void mapi(struct bench *b, uint64_t device, uint64_t event, uint64_t collection)
{
    put(b, device << 32 | 0x0b, event, collection, 0);
    go(b);
}

static void inv(struct bench *b, uint64_t device, uint64_t event)
{
    put(b, device << 32 | 0x0c, event, 0, 0);
    go(b);
}

static void invall(struct bench *b, uint64_t collection)
{
    put(b, 0x0d, 0, collection, 0);
    go(b);
}

static void movall(struct bench *b, uint64_t from, uint64_t to)
{
    put(b, 0x0e, 0, from << 16, to << 16);
    go(b);
}

static void discard(struct bench *b, uint64_t device, uint64_t event)
{
    put(b, device << 32 | 0x0f, event, 0, 0);
    go(b);
}

/* --- the bench --- */

static void bench_create(struct bench *b, unsigned cpus)
{
    *b = (struct bench){ .cpus = cpus };
    const struct gicv3_config config = {
        .signal = bench_signal,
        .ctx = b,
        .its = true,
        .guest_read = bench_read,
        .guest_write = bench_write,
    };
    b->ram = calloc(1, RAM_SIZE);
    assert_non_null(b->ram);
    assert_int_equal(gmem_add(&b->memory, RAM, RAM_SIZE, b->ram), 0);
    assert_int_equal(gicv3_create(&config, &b->g), 0);
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        gicv3_attach(b->g, cpu, cpu);
}

/* As Linux sets it up: everything on, all LPIs enabled at 0xa0, collection n to CPU n. */
static void bench_open(struct bench *b, unsigned cpus)
{
    bench_create(b, cpus);
    memset(at(b, CONFIG), 0xa1, 65536 - LPI);
    gicv3_dist_write(b->g, GICD_CTLR, 4, 2);
    for (unsigned cpu = 0; cpu < cpus; cpu++) {
        rw(b, cpu, GICR_PROPBASER, 8, CONFIG | 15);
        rw(b, cpu, GICR_PENDBASER, 8, (PENDING + cpu * 0x10000ull) | PTZ);
        rw(b, cpu, GICR_CTLR, 4, 1);
        rw(b, cpu, GICR_WAKER, 4, 0);
        gicv3_icc_write(b->g, cpu, GICV3_ICC_PMR, 0xf8);
        gicv3_icc_write(b->g, cpu, GICV3_ICC_IGRPEN1, 1);
    }
    iw(b, GITS_CBASER, QUEUE | (QUEUE_PAGES - 1) | VALID);
    iw(b, GITS_BASER0, DEVICES | VALID | 15);     /* 16 pages of 4 KiB: 8192 devices */
    iw(b, GITS_BASER1, COLLECTIONS | VALID | 15); /* the same */
    iw(b, GITS_CTLR, 1);
    for (unsigned cpu = 0; cpu < cpus; cpu++)
        mapc(b, cpu, cpu, true);
    mapd(b, DEVICE, 5, ITT, true);
}

static void bench_close(struct bench *b)
{
    gicv3_destroy(b->g);
    free(b->ram);
}

/* --- registers --- */

static void test_identification(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 2);
    assert_true(ir(&b, GITS_TYPER) == (1ull | 7 << 4 | 15 << 8 | 15 << 13 | 31ull << 32));
    assert_int_equal(gicv3_its_read(b.g, GITS_TYPER, 4), 1 | 7 << 4 | 15 << 8 | 15 << 13);
    assert_int_equal(gicv3_its_read(b.g, GITS_TYPER + 4, 4), 31);
    assert_int_equal(gicv3_its_read(b.g, 4, 4), 0x4900043b);
    assert_int_equal(gicv3_its_read(b.g, GITS_PIDR2, 4), 0x3b);
    assert_int_equal(gicv3_its_read(b.g, GITS_CTLR, 4), 1u << 31);
    assert_int_equal(gicv3_dist_read(b.g, GICD_TYPER, 4), 0x047a001f);
    assert_int_equal(rr(&b, 0, GICR_TYPER, 8) & 0xff, 1);
    assert_int_equal(rr(&b, 1, GICR_TYPER, 4), 0x111);
    assert_int_equal(rr(&b, 0, GICR_CTLR, 4), 2);
    bench_close(&b);
}

static void test_register_fields(void **state)
{
    (void)state;
    struct bench b;
    bench_create(&b, 1);
    iw(&b, GITS_TYPER, ~0ull);
    assert_int_equal(ir(&b, GITS_TYPER) >> 32, 31);
    iw(&b, GITS_BASER0, ~0ull); /* the reserved page size reads as 64 KiB */
    assert_true(ir(&b, GITS_BASER0) == 0xf9e7fffffffffeffull);
    iw(&b, GITS_BASER1, ~0ull);
    assert_true(ir(&b, GITS_BASER1) == 0xfce7fffffffffeffull);
    iw(&b, GITS_BASER1 + 8, ~0ull);
    assert_true(ir(&b, GITS_BASER1 + 8) == 0);
    iw(&b, GITS_CBASER, ~0ull);
    assert_true(ir(&b, GITS_CBASER) == 0xb8effffffffffcffull);
    /* halves */
    gicv3_its_write(b.g, GITS_CBASER, 4, 0x40001001);
    gicv3_its_write(b.g, GITS_CBASER + 4, 4, 1u << 31);
    assert_true(ir(&b, GITS_CBASER) == (VALID | 0x40001001));
    /* the queue has two pages: an offset beyond is ignored */
    iw(&b, GITS_CWRITER, 0x1fe0 | 0x1f);
    assert_int_equal(ir(&b, GITS_CWRITER), 0x1fe0);
    iw(&b, GITS_CWRITER, 0x2000);
    assert_int_equal(ir(&b, GITS_CWRITER), 0x1fe0);
    iw(&b, GITS_CREADR, 0x20);
    assert_int_equal(ir(&b, GITS_CREADR), 0);
    iw(&b, GITS_CBASER, VALID | QUEUE);
    assert_int_equal(ir(&b, GITS_CWRITER), 0);
    /* widths and places that are none */
    assert_int_equal(gicv3_its_read(b.g, GITS_CBASER, 2), 0);
    assert_int_equal(gicv3_its_read(b.g, GITS_CBASER + 4, 8), 0);
    gicv3_its_write(b.g, GITS_CBASER, 1, 0xff);
    assert_true(ir(&b, GITS_CBASER) == (VALID | QUEUE));
    assert_int_equal(gicv3_its_read(b.g, GICV3_ITS_TRANSLATER, 4), 0);

    /* while the ITS is enabled, tables and queue stay */
    iw(&b, GITS_CTLR, 1);
    assert_int_equal(ir(&b, GITS_CTLR) & 0xffffffff, 1);
    iw(&b, GITS_CBASER, 0);
    iw(&b, GITS_BASER1, 0);
    assert_true(ir(&b, GITS_CBASER) == (VALID | QUEUE));
    assert_true(ir(&b, GITS_BASER1) == 0xfce7fffffffffeffull);

    rw(&b, 0, GICR_PROPBASER, 8, ~0ull);
    assert_true(rr(&b, 0, GICR_PROPBASER, 8) == 0x070fffffffffff9full);
    rw(&b, 0, GICR_PENDBASER, 8, ~0ull); /* PTZ reads as zero */
    assert_true(rr(&b, 0, GICR_PENDBASER, 8) == 0x070fffffffff0f80ull);
    rw(&b, 0, GICR_PENDBASER, 4, 0x40100000);
    rw(&b, 0, GICR_PENDBASER + 4, 4, 1u << 30);
    assert_int_equal(rr(&b, 0, GICR_PENDBASER, 4), 0x40100000);
    assert_int_equal(rr(&b, 0, GICR_PENDBASER + 4, 4), 0);
    rw(&b, 0, GICR_CTLR, 4, 1);
    rw(&b, 0, GICR_PROPBASER, 8, 0);
    rw(&b, 0, GICR_PENDBASER, 8, 0);
    assert_true(rr(&b, 0, GICR_PROPBASER, 8) == 0x070fffffffffff9full);
    assert_int_equal(rr(&b, 0, GICR_PENDBASER, 4), 0x40100000);
    assert_int_equal(rr(&b, 0, GICR_CTLR, 4), 3);
    bench_close(&b);
}

static void test_without_its(void **state)
{
    (void)state;
    struct bench b = { .cpus = 1 };
    struct gicv3_config config = { .signal = bench_signal, .ctx = &b };
    assert_int_equal(gicv3_create(&config, &b.g), 0);
    gicv3_attach(b.g, 0, 0);
    rw(&b, 0, GICR_CTLR, 4, 1);
    rw(&b, 0, GICR_PROPBASER, 8, ~0ull);
    rw(&b, 0, GICR_PENDBASER, 8, ~0ull);
    assert_int_equal(rr(&b, 0, GICR_CTLR, 4), 0);
    assert_true(rr(&b, 0, GICR_PROPBASER, 8) == 0);
    assert_true(rr(&b, 0, GICR_PENDBASER, 8) == 0);
    gicv3_icc_write(b.g, 0, GICV3_ICC_EOIR1, LPI);
    gicv3_icc_write(b.g, 0, GICV3_ICC_DIR, LPI);
    gicv3_destroy(b.g);
    config.its = true;
    assert_int_equal(gicv3_create(&config, &b.g), -EINVAL); /* no memory for its tables */
}

/* --- commands --- */

static void test_message(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    mapti(&b, DEVICE, 3, LPI + 7, 0);
    gicv3_its_message(b.g, DEVICE, 3);
    assert_true(b.irq[0]);
    assert_int_equal(gicv3_icc_read(b.g, 0, GICV3_ICC_HPPIR1), LPI + 7);
    assert_int_equal(gicv3_icc_read(b.g, 0, GICV3_ICC_HPPIR0), SPURIOUS);
    assert_int_equal(gicv3_icc_read(b.g, 0, GICV3_ICC_IAR0), SPURIOUS);
    assert_int_equal(ack(&b, 0), LPI + 7);
    assert_false(b.irq[0]);
    assert_int_equal(gicv3_icc_read(b.g, 0, GICV3_ICC_RPR), 0xa0);
    gicv3_its_message(b.g, DEVICE, 3); /* never active: pending again at once, but not preempting */
    gicv3_its_message(b.g, DEVICE, 3); /* and once only */
    assert_int_equal(ack(&b, 0), SPURIOUS);
    gicv3_icc_write(b.g, 0, GICV3_ICC_DIR, LPI + 7);
    assert_false(b.irq[0]);
    eoi(&b, 0, LPI + 7);
    assert_int_equal(gicv3_icc_read(b.g, 0, GICV3_ICC_RPR), 0xff);
    assert_int_equal(take(&b, 0), LPI + 7);
    assert_int_equal(ack(&b, 0), SPURIOUS);

    /* not mapped: an event, a device, a DeviceID beyond the table or its 16 bits */
    gicv3_its_message(b.g, DEVICE, 4);
    gicv3_its_message(b.g, DEVICE, 32);
    gicv3_its_message(b.g, DEVICE, 0x80000003);
    gicv3_its_message(b.g, 2, 3);
    gicv3_its_message(b.g, 8192, 3);
    gicv3_its_message(b.g, 0x10001, 3);
    assert_false(b.irq[0]);

    /* by a CPU it is device 0 */
    mapd(&b, ITS_CPU, 2, ITT + 0x1000, true);
    mapti(&b, ITS_CPU, 1, LPI + 8, 0);
    gicv3_its_write(b.g, GICV3_ITS_TRANSLATER, 4, 1);
    assert_int_equal(take(&b, 0), LPI + 8);
    gicv3_its_write(b.g, GICV3_ITS_TRANSLATER, 2, 1);
    assert_int_equal(take(&b, 0), LPI + 8);
    gicv3_its_write(b.g, GICV3_ITS_TRANSLATER, 1, 1);
    gicv3_its_write(b.g, GICV3_ITS_TRANSLATER, 8, 1);
    gicv3_its_write(b.g, GICV3_ITS_TRANSLATER + 4, 4, 1);
    assert_int_equal(ack(&b, 0), SPURIOUS);

    /* switched off, the ITS translates nothing */
    iw(&b, GITS_CTLR, 0);
    gicv3_its_message(b.g, DEVICE, 3);
    assert_int_equal(ack(&b, 0), SPURIOUS);
    bench_close(&b);
}

static void test_priorities(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    for (unsigned i = 0; i < 4; i++)
        mapti(&b, DEVICE, i, LPI + i, 0);
    at(&b, CONFIG)[1] = 0x41;
    at(&b, CONFIG)[2] = 0x40; /* not enabled */
    at(&b, CONFIG)[3] = 0xff; /* bits 2 and 1 are none: 0xf8, which the mask does not let through */
    for (unsigned i = 0; i < 4; i++)
        gicv3_its_message(b.g, DEVICE, i);
    assert_int_equal(ack(&b, 0), LPI + 1);
    assert_int_equal(ack(&b, 0), SPURIOUS);
    eoi(&b, 0, LPI + 1);
    assert_int_equal(take(&b, 0), LPI + 0);
    assert_int_equal(take(&b, 0), SPURIOUS);
    gicv3_icc_write(b.g, 0, GICV3_ICC_PMR, 0xff);
    assert_false(b.irq[0]);

    /* an LPI preempts, and is preempted; an SPI or SGI of its priority comes first */
    gicv3_dist_write(b.g, 0x84, 4, 2);
    gicv3_dist_write(b.g, 0x400 + 33, 1, 0xa0);
    gicv3_dist_write(b.g, GICD_ISENABLER + 4, 4, 2);
    gicv3_its_message(b.g, DEVICE, 0);
    gicv3_dist_write(b.g, 0x204, 4, 2);
    assert_int_equal(ack(&b, 0), 33);
    gicv3_its_message(b.g, DEVICE, 1);
    assert_int_equal(ack(&b, 0), LPI + 1);
    eoi(&b, 0, LPI + 1);
    assert_int_equal(ack(&b, 0), SPURIOUS);
    eoi(&b, 0, 33);
    assert_int_equal(take(&b, 0), LPI + 0);

    /* group 1 switched off, at the distributor and at the CPU; asleep */
    gicv3_its_message(b.g, DEVICE, 0);
    assert_true(b.irq[0]);
    gicv3_dist_write(b.g, GICD_CTLR, 4, 0);
    assert_false(b.irq[0]);
    gicv3_dist_write(b.g, GICD_CTLR, 4, 2);
    assert_true(b.irq[0]);
    gicv3_icc_write(b.g, 0, GICV3_ICC_IGRPEN1, 0);
    assert_false(b.irq[0]);
    gicv3_icc_write(b.g, 0, GICV3_ICC_IGRPEN1, 1);
    rw(&b, 0, GICR_WAKER, 4, 2);
    assert_false(b.irq[0]);
    rw(&b, 0, GICR_WAKER, 4, 0);
    assert_int_equal(take(&b, 0), LPI + 0);
    bench_close(&b);
}

static void test_equals_come_in_order(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    const unsigned order[] = { 5, 2, 9, 0, 31 };
    for (unsigned i = 0; i < 32; i++)
        mapti(&b, DEVICE, i, LPI + i, 0);
    for (unsigned i = 0; i < 5; i++)
        gicv3_its_message(b.g, DEVICE, order[i]);
    clear(&b, DEVICE, 9);
    gicv3_its_message(b.g, DEVICE, 9);
    assert_int_equal(take(&b, 0), LPI + 5);
    assert_int_equal(take(&b, 0), LPI + 2);
    assert_int_equal(take(&b, 0), LPI + 0);
    assert_int_equal(take(&b, 0), LPI + 31);
    assert_int_equal(take(&b, 0), LPI + 9);
    assert_int_equal(take(&b, 0), SPURIOUS);
    bench_close(&b);
}

static void test_mapd(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    mapti(&b, DEVICE, 0, LPI, 0);
    mapd(&b, DEVICE, 5, ITT, false);
    gicv3_its_message(b.g, DEVICE, 0);
    mapti(&b, DEVICE, 0, LPI, 0);
    assert_false(b.irq[0]);
    mapd(&b, DEVICE, 1, ITT + 0x1000, true); /* two events, in another table */
    gicv3_its_message(b.g, DEVICE, 0);
    assert_false(b.irq[0]);
    mapti(&b, DEVICE, 1, LPI + 1, 0);
    mapti(&b, DEVICE, 2, LPI + 2, 0); /* beyond */
    gicv3_its_message(b.g, DEVICE, 2);
    assert_false(b.irq[0]);
    gicv3_its_message(b.g, DEVICE, 1);
    assert_int_equal(take(&b, 0), LPI + 1);
    /* a device that the table does not have, and more bits of EventID than there are */
    mapd(&b, 8192, 5, ITT + 0x2000, true);
    mapti(&b, 8192, 0, LPI, 0);
    mapd(&b, 2, 17, ITT + 0x2000, true);
    mapti(&b, 2, 0, LPI, 0);
    gicv3_its_message(b.g, 8192, 0);
    gicv3_its_message(b.g, 2, 0);
    assert_false(b.irq[0]);
    mapd(&b, 8191, 16, ITT + 0x2000, true);
    mapti(&b, 8191, 65535, LPI, 0);
    gicv3_its_message(b.g, 8191, 65535);
    assert_int_equal(take(&b, 0), LPI);
    bench_close(&b);
}

static void test_mapc(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    mapti(&b, DEVICE, 0, LPI, 77); /* a collection may be mapped later */
    gicv3_its_message(b.g, DEVICE, 0);
    assert_false(b.irq[0] || b.irq[1]);
    mapc(&b, 77, 1, true);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_int_equal(take(&b, 1), LPI);
    mapc(&b, 77, 0, true);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_int_equal(take(&b, 0), LPI);
    mapc(&b, 77, 0, false);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_false(b.irq[0] || b.irq[1]);
    /* no such CPU, one that is not there, no such collection */
    mapc(&b, 77, 64, true);
    gicv3_its_message(b.g, DEVICE, 0);
    mapc(&b, 77, 63, true);
    gicv3_its_message(b.g, DEVICE, 0);
    mapc(&b, 8192, 0, true);
    mapti(&b, DEVICE, 0, LPI, 8192);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_false(b.irq[0] || b.irq[1]);
    bench_close(&b);
}

static void test_mapti_and_mapi(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    mapti(&b, DEVICE, 0, LPI - 1, 0);
    mapti(&b, DEVICE, 1, 65536, 0);
    mapti(&b, DEVICE, 2, 0xffffffff, 0);
    mapti(&b, DEVICE, 32, LPI, 0);
    mapti(&b, 2, 0, LPI, 0);
    mapi(&b, DEVICE, 3, 0);
    for (unsigned i = 0; i < 33; i++)
        gicv3_its_message(b.g, DEVICE, i);
    gicv3_its_message(b.g, 2, 0);
    assert_false(b.irq[0]);
    mapti(&b, DEVICE, 31, 65535, 0);
    gicv3_its_message(b.g, DEVICE, 31);
    assert_int_equal(take(&b, 0), 65535);
    mapd(&b, DEVICE, 16, ITT, true);
    mapi(&b, DEVICE, LPI + 5, 0); /* the event is the interrupt */
    gicv3_its_message(b.g, DEVICE, LPI + 5);
    assert_int_equal(take(&b, 0), LPI + 5);
    bench_close(&b);
}

static void test_movi(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 3);
    mapti(&b, DEVICE, 0, LPI, 0);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_true(b.irq[0]);
    movi(&b, DEVICE, 0, 2); /* what is pending goes with it */
    assert_false(b.irq[0]);
    assert_int_equal(take(&b, 2), LPI);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_int_equal(take(&b, 2), LPI);
    movi(&b, DEVICE, 0, 99); /* not mapped: it stays */
    movi(&b, DEVICE, 1, 1);
    movi(&b, 2, 0, 1);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_int_equal(take(&b, 2), LPI);
    movi(&b, DEVICE, 0, 2);
    gicv3_its_message(b.g, DEVICE, 0);
    movi(&b, DEVICE, 0, 2);
    assert_int_equal(take(&b, 2), LPI);
    bench_close(&b);
}

static void test_movall(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    at(&b, CONFIG)[5] = 0;
    for (unsigned i = 0; i < 32; i++) {
        mapti(&b, DEVICE, i, LPI + i, 0);
        gicv3_its_message(b.g, DEVICE, i);
    }
    movall(&b, 0, 64);
    movall(&b, 64, 0);
    movall(&b, 0, 0);
    assert_true(b.irq[0]);
    movall(&b, 0, 1);
    assert_false(b.irq[0]);
    for (unsigned i = 0; i < 31; i++)
        assert_int_equal(take(&b, 1), LPI + i + (i >= 5));
    assert_int_equal(take(&b, 1), SPURIOUS);
    at(&b, CONFIG)[5] = 1; /* the disabled one is there too */
    invall(&b, 1);
    assert_int_equal(take(&b, 1), LPI + 5);
    bench_close(&b);
}

static void test_inv_and_invall(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    for (unsigned i = 0; i < 4; i++)
        mapti(&b, DEVICE, i, LPI + i, i % 2);
    memset(at(&b, CONFIG), 0xa0, 4);
    for (unsigned i = 0; i < 4; i++)
        gicv3_its_message(b.g, DEVICE, i);
    assert_false(b.irq[0] || b.irq[1]);
    memset(at(&b, CONFIG), 0xa1, 4);
    assert_false(b.irq[0]); /* until it is told */
    inv(&b, DEVICE, 2);
    inv(&b, DEVICE, 9);
    inv(&b, 3, 0);
    assert_int_equal(take(&b, 0), LPI + 2);
    assert_int_equal(take(&b, 0), SPURIOUS);
    invall(&b, 99);
    invall(&b, 0xffff);
    assert_false(b.irq[0] || b.irq[1]);
    invall(&b, 1);
    assert_false(b.irq[0]);
    assert_int_equal(take(&b, 1), LPI + 1);
    assert_int_equal(take(&b, 1), LPI + 3);
    invall(&b, 0);
    assert_true(b.irq[0]);
    at(&b, CONFIG)[0] = 0xa0; /* and off again */
    inv(&b, DEVICE, 0);
    assert_false(b.irq[0]);
    at(&b, CONFIG)[0] = 0x11; /* another priority */
    inv(&b, DEVICE, 0);
    assert_int_equal(ack(&b, 0), LPI);
    assert_int_equal(gicv3_icc_read(b.g, 0, GICV3_ICC_RPR), 0x10);
    bench_close(&b);
}

static void test_clear_discard_int_sync(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    mapti(&b, DEVICE, 0, LPI, 0);
    interrupt(&b, DEVICE, 0);
    assert_true(b.irq[0]);
    clear(&b, DEVICE, 0);
    assert_false(b.irq[0]);
    clear(&b, DEVICE, 0); /* not pending */
    clear(&b, DEVICE, 1); /* not mapped */
    interrupt(&b, DEVICE, 0);
    discard(&b, DEVICE, 1);
    assert_true(b.irq[0]);
    sync_(&b, 0);
    sync_(&b, 99);
    discard(&b, DEVICE, 0);
    assert_false(b.irq[0]);
    interrupt(&b, DEVICE, 0);
    interrupt(&b, DEVICE, 40);
    interrupt(&b, 9, 0);
    assert_false(b.irq[0]);
    bench_close(&b);
}

/* --- queue and tables --- */

static void test_queue_wraps(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    mapti(&b, DEVICE, 0, LPI, 0);
    for (unsigned i = 0; i < 3 * QUEUE_PAGES * 128 + 5; i++)
        interrupt(&b, DEVICE, 0);
    assert_int_equal(take(&b, 0), LPI);
    /* nothing is done while the ITS is off, all of it when it is on again */
    iw(&b, GITS_CTLR, 0);
    uint32_t before = b.written;
    put(&b, (uint64_t)DEVICE << 32 | 3, 0, 0, 0);
    iw(&b, GITS_CWRITER, b.written);
    assert_int_equal(ir(&b, GITS_CREADR), before);
    assert_false(b.irq[0]);
    iw(&b, GITS_CTLR, 1);
    assert_int_equal(ir(&b, GITS_CREADR), b.written);
    assert_int_equal(take(&b, 0), LPI);
    bench_close(&b);
}

/* Commands that the architecture does not have are passed over. */
static void test_unknown_commands(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    mapti(&b, DEVICE, 0, LPI, 0);
    for (unsigned n = 0; n < 256; n++)
        if (n != 0x04 && n != 0x08 && n != 0x0f && n != 0x09 && n != 0x01)
            put(&b, n, ~0ull, ~0ull, ~0ull);
    go(&b);
    interrupt(&b, DEVICE, 0);
    assert_int_equal(take(&b, 0), LPI);
    bench_close(&b);
}

/* Both tables in two levels, in pages of each size. */
static void test_indirect_tables(void **state)
{
    (void)state;
    for (unsigned size = 0; size < 3; size++) {
        uint64_t page = 4096ull << 2 * size, device = 3 * page / 8 + 11;
        struct bench b;
        bench_open(&b, 1);
        iw(&b, GITS_CTLR, 0);
        memset(at(&b, DEVICES), 0, 0x20000);
        iw(&b, GITS_BASER0, DEVICES | VALID | INDIRECT | (uint64_t)size << 8);
        iw(&b, GITS_BASER1, COLLECTIONS | VALID | INDIRECT | (uint64_t)size << 8);
        iw(&b, GITS_CTLR, 1);
        mapd(&b, device, 5, ITT, true); /* the second level is not there */
        mapti(&b, device, 0, LPI, 0);
        gicv3_its_message(b.g, device, 0);
        assert_false(b.irq[0]);
        const uint64_t level1 = LEVEL2 | VALID, other = (LEVEL2 + 0x10000) | VALID;
        memcpy(at(&b, DEVICES + 3 * 8), &level1, 8);
        memcpy(at(&b, COLLECTIONS), &other, 8);
        mapd(&b, device, 5, LEVEL2 + 0x20000, true);
        mapc(&b, 4, 0, true);
        mapti(&b, device, 0, LPI, 4);
        gicv3_its_message(b.g, device, 0);
        assert_int_equal(take(&b, 0), LPI);
        gicv3_its_message(b.g, device - 3 * page / 8, 0); /* not in the page that is there */
        assert_false(b.irq[0]);
        bench_close(&b);
    }
}

/* --- the tables of the redistributors --- */

static void test_pending_table(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    for (unsigned i = 0; i < 4; i++)
        mapti(&b, DEVICE, i, LPI + 500 * i, 0);
    for (unsigned i = 0; i < 4; i++)
        gicv3_its_message(b.g, DEVICE, i);
    assert_int_equal(take(&b, 0), LPI);
    memset(at(&b, PENDING + 1024), 0xff, 7168);
    rw(&b, 0, GICR_CTLR, 4, 0); /* off: what is pending goes to the table */
    assert_false(b.irq[0]);
    assert_int_equal(rr(&b, 0, GICR_CTLR, 4), 2);
    unsigned set = 0;
    for (unsigned i = 8192; i < 65536; i++)
        if (at(&b, PENDING)[i / 8] >> i % 8 & 1) {
            assert_true(i == LPI + 500 || i == LPI + 1000 || i == LPI + 1500);
            set++;
        }
    assert_int_equal(set, 3);
    gicv3_its_message(b.g, DEVICE, 0); /* lost */
    rw(&b, 0, GICR_PENDBASER, 8, PENDING);
    rw(&b, 0, GICR_CTLR, 4, 1); /* on: it comes from there */
    assert_int_equal(take(&b, 0), LPI + 500);
    assert_int_equal(take(&b, 0), LPI + 1000);
    assert_int_equal(take(&b, 0), LPI + 1500);
    assert_int_equal(take(&b, 0), SPURIOUS);
    rw(&b, 0, GICR_CTLR, 4, 0);
    memset(at(&b, PENDING + 1024), 0xff, 7168);
    rw(&b, 0, GICR_PENDBASER, 8, PENDING | PTZ); /* zero, it is said: not read */
    rw(&b, 0, GICR_CTLR, 4, 1);
    assert_int_equal(take(&b, 0), SPURIOUS);

    /* fewer bits of INTID: neither configured nor pending beyond */
    rw(&b, 0, GICR_CTLR, 4, 0);
    rw(&b, 0, GICR_PROPBASER, 8, CONFIG | 13); /* 16384 */
    rw(&b, 0, GICR_PENDBASER, 8, PENDING);
    memset(at(&b, PENDING + 1024), 0xff, 7168);
    rw(&b, 0, GICR_CTLR, 4, 1);
    for (unsigned i = 8192; i < 16384; i++)
        assert_int_equal(take(&b, 0), i);
    assert_int_equal(take(&b, 0), SPURIOUS);
    mapti(&b, DEVICE, 0, 16384, 0);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_int_equal(take(&b, 0), SPURIOUS);
    rw(&b, 0, GICR_CTLR, 4, 0);
    rw(&b, 0, GICR_PROPBASER, 8, CONFIG | 5); /* none at all */
    rw(&b, 0, GICR_CTLR, 4, 1);
    mapti(&b, DEVICE, 0, 8192, 0);
    gicv3_its_message(b.g, DEVICE, 0);
    assert_int_equal(take(&b, 0), SPURIOUS);
    bench_close(&b);
}

static void test_reset(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    mapti(&b, DEVICE, 0, LPI, 0);
    gicv3_its_message(b.g, DEVICE, 0);
    gicv3_reset(b.g);
    assert_false(b.irq[0]);
    assert_int_equal(ir(&b, GITS_CTLR) & 0xffffffff, 1u << 31);
    assert_true(ir(&b, GITS_CBASER) == 0);
    assert_int_equal(rr(&b, 0, GICR_CTLR, 4), 2);
    assert_true(rr(&b, 0, GICR_PROPBASER, 8) == 0);
    bench_close(&b);
}

static void test_state(void **state)
{
    (void)state;
    struct bench b, c;
    bench_open(&b, 2);
    bench_create(&c, 2);
    size_t size = gicv3_state_size(b.g);
    uint8_t *data = malloc(size), *again = malloc(size);
    for (unsigned i = 0; i < 4; i++)
        mapti(&b, DEVICE, i, LPI + i, i % 2);
    at(&b, CONFIG)[2] = 0;
    for (unsigned i = 0; i < 4; i++)
        gicv3_its_message(b.g, DEVICE, i);
    gicv3_state_save(b.g, data);
    memcpy(c.ram, b.ram, RAM_SIZE);
    assert_int_equal(gicv3_state_restore(c.g, data, size), 0);
    gicv3_state_save(c.g, again);
    assert_memory_equal(data, again, size);
    c.written = b.written;
    for (unsigned cpu = 0; cpu < 2; cpu++) {
        gicv3_icc_write(c.g, cpu, GICV3_ICC_PMR, 0xf8);
        gicv3_icc_write(c.g, cpu, GICV3_ICC_IGRPEN1, 1);
    }
    assert_int_equal(take(&c, 0), LPI);
    assert_int_equal(take(&c, 0), SPURIOUS);
    assert_int_equal(take(&c, 1), LPI + 1);
    assert_int_equal(take(&c, 1), LPI + 3);
    at(&c, CONFIG)[2] = 1;
    inv(&c, DEVICE, 2);
    assert_int_equal(take(&c, 0), LPI + 2);

    /* nonsense becomes a state that registers could have */
    memset(again + 16, 0xff, size - 16);
    assert_int_equal(gicv3_state_restore(c.g, again, size), 0);
    assert_true(ir(&c, GITS_CBASER) == 0xb8effffffffffcffull);
    assert_true(ir(&c, GITS_CWRITER) < 0x100000);
    srand(1);
    for (unsigned n = 0; n < 20; n++) {
        for (size_t i = 16; i < size; i++)
            again[i] = (uint8_t)rand();
        assert_int_equal(gicv3_state_restore(c.g, again, size), 0);
        for (unsigned i = 0; i < 100; i++)
            take(&c, 0);
    }
    assert_int_equal(gicv3_state_restore(c.g, data, size - 1), -EINVAL);
    bench_close(&b);
    bench_close(&c);
    free(data);
    free(again);
}

/* --- hostile guests --- */

/* The tables are the guest's memory: it may write there what it likes. */
static void test_tables_of_nonsense(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    srand(2);
    for (unsigned round = 0; round < 12; round++) {
        for (uint64_t i = 0x10000; i < RAM_SIZE; i += 8) {
            /* half of the addresses in it are of this memory */
            uint64_t word = (uint64_t)rand() << 32 ^ (uint64_t)rand() << 48 ^ (uint64_t)rand();
            if (word & 1)
                word = VALID | RAM | (word & (RAM_SIZE - 1));
            memcpy(b.ram + i, &word, 8);
        }
        for (unsigned i = 0; i < 2000; i++) {
            put(&b, (uint64_t)(rand() % 9000) << 32 | rand() % 16,
                (uint64_t)rand() << 32 | rand() % 64, (uint64_t)rand() << 33 ^ (uint64_t)rand(),
                (uint64_t)(rand() % 70) << 16);
            gicv3_its_message(b.g, (uint32_t)rand() % 9000, (uint32_t)rand() % 64);
        }
        iw(&b, GITS_CWRITER, b.written);
        for (unsigned i = 0; i < 1000 && ir(&b, GITS_CREADR) != b.written; i++)
            ;
        assert_int_equal(ir(&b, GITS_CREADR), b.written);
        iw(&b, GITS_CTLR, 0);
        iw(&b, GITS_BASER0,
           (uint64_t)rand() << 33 ^ (uint64_t)rand() << 48 ^ (RAM | (rand() & 0x3fffff)));
        iw(&b, GITS_BASER1, VALID | (uint64_t)(rand() & 3) << 62 | (RAM | (rand() & 0x3ff3ff)));
        iw(&b, GITS_CTLR, 1);
        for (unsigned cpu = 0; cpu < 2; cpu++)
            for (unsigned i = 0; i < 100; i++)
                take(&b, cpu);
    }
    bench_close(&b);
}

/* Everything points to where no memory is. */
static void test_tables_of_nothing(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 1);
    iw(&b, GITS_CTLR, 0);
    iw(&b, GITS_BASER0, VALID | 0x80000000);
    iw(&b, GITS_BASER1, VALID | INDIRECT | (RAM + RAM_SIZE));
    iw(&b, GITS_CTLR, 1);
    mapd(&b, DEVICE, 5, ITT, true);
    mapc(&b, 0, 0, true);
    mapti(&b, DEVICE, 0, LPI, 0);
    gicv3_its_message(b.g, DEVICE, 0);
    iw(&b, GITS_CTLR, 0);
    iw(&b, GITS_CBASER, VALID | 0x80000000 | 255); /* a queue of nothing is passed over */
    iw(&b, GITS_CTLR, 1);
    iw(&b, GITS_CWRITER, 0xfffe0);
    assert_int_equal(ir(&b, GITS_CREADR), 0xfffe0);
    rw(&b, 0, GICR_CTLR, 4, 0);
    rw(&b, 0, GICR_PROPBASER, 8, 0x80000000 | 15);
    rw(&b, 0, GICR_PENDBASER, 8, 0x80000000);
    rw(&b, 0, GICR_CTLR, 4, 1);
    rw(&b, 0, GICR_CTLR, 4, 0);
    assert_false(b.irq[0]);
    bench_close(&b);
}

/* The dearest queue: every LPI pending, then nothing but INVALL and MOVALL. Each access does its
 * share, and the queue comes to its end. */
static void test_share(void **state)
{
    (void)state;
    struct bench b;
    bench_open(&b, 2);
    rw(&b, 0, GICR_CTLR, 4, 0);
    memset(at(&b, PENDING + 1024), 0xff, 7168);
    rw(&b, 0, GICR_PENDBASER, 8, PENDING);
    rw(&b, 0, GICR_CTLR, 4, 1);
    for (unsigned i = 0; i < 50; i++) {
        put(&b, 0x0d, 0, i % 2, 0);
        put(&b, 0x0e, 0, (uint64_t)(i % 2) << 16, (uint64_t)(1 - i % 2) << 16);
    }
    iw(&b, GITS_CWRITER, b.written);
    uint64_t before = ir(&b, GITS_CREADR);
    unsigned accesses = 2;
    assert_true(before != b.written);
    for (; ir(&b, GITS_CREADR) != b.written; accesses++)
        ;
    assert_in_range(accesses, 20, 101);
    assert_int_equal(take(&b, 0), LPI);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identification),
        cmocka_unit_test(test_register_fields),
        cmocka_unit_test(test_without_its),
        cmocka_unit_test(test_message),
        cmocka_unit_test(test_priorities),
        cmocka_unit_test(test_equals_come_in_order),
        cmocka_unit_test(test_mapd),
        cmocka_unit_test(test_mapc),
        cmocka_unit_test(test_mapti_and_mapi),
        cmocka_unit_test(test_movi),
        cmocka_unit_test(test_movall),
        cmocka_unit_test(test_inv_and_invall),
        cmocka_unit_test(test_clear_discard_int_sync),
        cmocka_unit_test(test_queue_wraps),
        cmocka_unit_test(test_unknown_commands),
        cmocka_unit_test(test_indirect_tables),
        cmocka_unit_test(test_pending_table),
        cmocka_unit_test(test_reset),
        cmocka_unit_test(test_state),
        cmocka_unit_test(test_tables_of_nonsense),
        cmocka_unit_test(test_tables_of_nothing),
        cmocka_unit_test(test_share),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
