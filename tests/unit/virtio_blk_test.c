/*
 * virtio-blk against a disk that is held by the test: it keeps requests until the test completes
 * them, in any order, with any result.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/blk.h"
#include "devices/virtio/device.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_driver.h"

enum { QUEUE_SEL = 0x30, QUEUE_NUM = 0x38, QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50 };
enum { DEV_FEATURES = 0x10, DEV_FEATURES_SEL = 0x14, DRV_FEATURES = 0x20, DRV_FEATURES_SEL = 0x24 };
enum { INT_STATUS = 0x60, INT_ACK = 0x64, STATUS = 0x70, DESC = 0x80, AVAIL = 0x90, USED = 0xa0 };
enum { CONFIG = 0x100 };

enum { T_IN = 0, T_OUT = 1, T_FLUSH = 4, T_GET_ID = 8, T_DISCARD = 11, T_WRITE_ZEROES = 13 };
enum { S_OK = 0, S_IOERR = 1, S_UNSUPP = 2, S_NONE = 0xee };

#define F_RO           (1ull << 5)
#define F_FLUSH        (1ull << 9)
#define F_CONFIG_WCE   (1ull << 11)
#define F_DISCARD      (1ull << 13)
#define F_WRITE_ZEROES (1ull << 14)
#define F_MQ           (1ull << 12)
#define F_ALL          (F_FLUSH | F_CONFIG_WCE | F_DISCARD | F_WRITE_ZEROES)

#define SECTORS 64u

/* ------------------------------------------------------------------ the fake disk */

struct disk {
    uint8_t bytes[SECTORS * 512];
    bool read_only, write_through;
    bool cached;    /* reads and writes are done at once */
    unsigned hurry; /* calls of disk_hurry(true) that were not taken back */
    struct disk_request *held[512];
    unsigned count; /* held, oldest first */
};

static struct disk the_disk;

uint64_t disk_size(const struct disk *d)
{
    (void)d;
    return SECTORS * 512;
}

bool disk_read_only(const struct disk *d)
{
    return d->read_only;
}

bool disk_write_through(const struct disk *d)
{
    return d->write_through;
}

void disk_drain(struct disk *d)
{
    (void)d;
}

void disk_hurry(struct disk *d, bool hurry)
{
    d->hurry += hurry ? 1 : -1u;
}

/* Move the bytes of a read or write. */
static void transfer(struct disk *d, const struct disk_request *r)
{
    uint64_t at = r->offset;
    for (int k = 0; k < r->iov_count; k++) {
        if (r->op == DISK_READ)
            memcpy(r->iov[k].iov_base, d->bytes + at, r->iov[k].iov_len);
        else if (r->op == DISK_WRITE)
            memcpy(d->bytes + at, r->iov[k].iov_base, r->iov[k].iov_len);
        at += r->iov[k].iov_len;
    }
}

int disk_run_now(struct disk *d, const struct disk_request *r)
{
    if (!d->cached)
        return -EAGAIN;
    transfer(d, r);
    return 0;
}

void disk_submit(struct disk *d, struct disk_request *r)
{
    assert_true(d->count < 512);
    d->held[d->count++] = r;
}

/* Do what the request at `i` asks for, and answer it. */
static void complete(unsigned i, int result)
{
    struct disk_request *r = the_disk.held[i];
    memmove(&the_disk.held[i], &the_disk.held[i + 1],
            (--the_disk.count - i) * sizeof the_disk.held[0]);
    if (result == 0)
        transfer(&the_disk, r);
    r->done(r, result);
}

static void complete_all(void)
{
    while (the_disk.count > 0)
        complete(0, 0);
}

/* ------------------------------------------------------------------ the guest's driver */

static struct {
    struct driver driver;
    struct device *dev;
    atomic_bool level;
} t;

static void set_irq(void *ctx, unsigned n, bool level)
{
    (void)ctx;
    (void)n;
    atomic_store(&t.level, level);
}

static uint32_t rd(uint64_t offset)
{
    lock_acquire(&t.dev->lock);
    uint64_t value = t.dev->ops->read(t.dev, offset, 4);
    lock_release(&t.dev->lock);
    return (uint32_t)value;
}

static void wr_width(uint64_t offset, unsigned width, uint64_t value)
{
    lock_acquire(&t.dev->lock);
    t.dev->ops->write(t.dev, offset, width, value);
    lock_release(&t.dev->lock);
}

static void wr(uint64_t offset, uint32_t value)
{
    wr_width(offset, 4, value);
}

static void create_with(bool read_only, bool write_through, unsigned queues)
{
    memset(&t, 0, sizeof t);
    memset(&the_disk, 0, sizeof the_disk);
    the_disk.read_only = read_only;
    the_disk.write_through = write_through;
    for (unsigned i = 0; i < sizeof the_disk.bytes; i++)
        the_disk.bytes[i] = (uint8_t)(i ^ (i >> 7));
    quiet();
    driver_init(&t.driver, 16);
    const struct virtio_blk_config config = { .irq = { .set = set_irq },
                                              .gmem = &t.driver.m,
                                              .disk = &the_disk,
                                              .serial = "0123456789abcdefghij",
                                              .queues = queues };
    assert_int_equal(virtio_blk_create(&config, &t.dev), 0);
}

static void create(bool read_only)
{
    create_with(read_only, false, 1);
}

static void bring_up(uint64_t features)
{
    driver_init(&t.driver, 16);
    features |= VIRTIO_F_VERSION_1;
    wr(STATUS, 3);
    for (unsigned i = 0; i < 2; i++) {
        wr(DRV_FEATURES_SEL, i);
        wr(DRV_FEATURES, (uint32_t)(features >> (32 * i)));
    }
    wr(STATUS, 11);
    wr(QUEUE_SEL, 0);
    wr(QUEUE_NUM, 16);
    wr(DESC, (uint32_t)RAM + RING_DESC);
    wr(AVAIL, (uint32_t)RAM + RING_AVAIL);
    wr(USED, (uint32_t)RAM + RING_USED);
    wr(QUEUE_READY, 1);
    wr(STATUS, 15);
    assert_int_equal(rd(STATUS), 15);
}

static int setup(void **state)
{
    (void)state;
    create(false);
    bring_up(F_ALL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    t.dev->ops->destroy(t.dev);
    return 0;
}

/* Request `n` uses descriptors 4n..4n+3 and 8 KiB of buffers. */
#define REQUEST_ROOM 0x2000u
static uint32_t header_of(unsigned n)
{
    return BUFFERS + n * REQUEST_ROOM;
}
static uint32_t status_of(unsigned n)
{
    return header_of(n) + 16;
}
static uint32_t data_of(unsigned n)
{
    return header_of(n) + 0x200;
}

/* Put request `n` into the ring without a notification: header, `length` bytes of data, status. */
static void offer(unsigned n, uint32_t type, uint64_t sector, uint32_t length, bool writable)
{
    struct driver *d = &t.driver;
    uint16_t i = (uint16_t)(4 * n);
    st_le32(d->ram + header_of(n), type);
    st_le64(d->ram + header_of(n) + 8, sector);
    d->ram[status_of(n)] = S_NONE;
    driver_desc(d, i, RAM + header_of(n), 16, F_NEXT, (uint16_t)(length ? i + 1 : i + 2));
    driver_desc(d, i + 1u, RAM + data_of(n), length, F_NEXT | (writable ? F_WRITE : 0),
                (uint16_t)(i + 2));
    driver_desc(d, i + 2u, RAM + status_of(n), 1, F_WRITE, 0);
    driver_offer(d, i);
}

static uint8_t status(unsigned n)
{
    return t.driver.ram[status_of(n)];
}

/* Run request 0 to its end; its status must be `want`, and `length` what the used ring says. */
static void request(uint32_t type, uint64_t sector, uint32_t length, bool writable, uint8_t want,
                    uint32_t used)
{
    uint16_t before = driver_used_idx(&t.driver);
    offer(0, type, sector, length, writable);
    wr(QUEUE_NOTIFY, 0);
    complete_all();
    assert_int_equal(status(0), want);
    assert_int_equal(driver_used_idx(&t.driver), (uint16_t)(before + 1));
    assert_int_equal(driver_used_id(&t.driver, before), 0);
    assert_int_equal(driver_used_len(&t.driver, before), used);
    assert_true(t.level);
    wr(INT_ACK, 3);
    assert_int_equal(rd(STATUS), 15);
}

/* ------------------------------------------------------------------ configuration */

static uint64_t offered(void)
{
    wr(DEV_FEATURES_SEL, 0);
    return rd(DEV_FEATURES);
}

static void configuration(void **state)
{
    (void)state;
    assert_int_equal(rd(0x08), 2);
    assert_int_equal(rd(CONFIG), SECTORS);
    assert_int_equal(rd(CONFIG + 4), 0);
    assert_int_equal(rd(CONFIG + 12), 510);
    assert_int_equal(rd(CONFIG + 20), 512);
    assert_int_equal(rd(CONFIG + 24), 0x00080003);
    assert_true((offered() & F_ALL) == F_ALL && !(offered() & F_RO));
    assert_int_equal(rd(CONFIG + 32) & 0xff, 1);
    wr_width(CONFIG + 32, 1, 0);
    assert_int_equal(rd(CONFIG + 32) & 0xff, 0);
    wr_width(CONFIG, 4, 7); /* the rest is read-only */
    wr_width(CONFIG + 32, 4, 0xff);
    assert_int_equal(rd(CONFIG), SECTORS);
    assert_int_equal(rd(CONFIG + 32) & 0xff, 0);
    wr(STATUS, 0);
    assert_int_equal(rd(CONFIG + 32) & 0xff, 1);
}

static void read_only(void **state)
{
    teardown(state);
    create(true);
    assert_true((offered() & F_RO) && !(offered() & (F_DISCARD | F_WRITE_ZEROES)));
    bring_up(F_FLUSH | F_RO);
    request(T_IN, 0, 512, true, S_OK, 513);
    request(T_FLUSH, 0, 0, false, S_OK, 1);
    request(T_OUT, 0, 512, false, S_IOERR, 1);
    request(T_DISCARD, 0, 16, false, S_UNSUPP, 1);
    request(T_WRITE_ZEROES, 0, 16, false, S_UNSUPP, 1);
}

/* ------------------------------------------------------------------ requests */

static void in_and_out(void **state)
{
    (void)state;
    request(T_IN, 3, 1024, true, S_OK, 1025);
    assert_memory_equal(t.driver.ram + data_of(0), the_disk.bytes + 3 * 512, 1024);
    memset(t.driver.ram + data_of(0), 0x5a, 1024);
    request(T_OUT, SECTORS - 2, 1024, false, S_OK, 1); /* the last sectors */
    assert_int_equal(the_disk.bytes[SECTORS * 512 - 1024], 0x5a);
    assert_int_equal(the_disk.bytes[SECTORS * 512 - 1], 0x5a);
    request(T_IN, SECTORS, 0, true, S_OK, 1);
    request(T_FLUSH, 0, 0, false, S_OK, 1);
}

static void refused(void **state)
{
    (void)state;
    request(T_IN, SECTORS - 1, 1024, true, S_IOERR, 0); /* beyond the end */
    request(T_IN, SECTORS, 512, true, S_IOERR, 0);
    request(T_IN, UINT64_MAX, 512, true, S_IOERR, 0);
    request(T_IN, 1ull << 55, 512, true, S_IOERR, 0); /* sector * 512 wraps to 0 */
    request(T_IN, 0, 511, true, S_IOERR, 0);
    request(T_IN, 0, 512, false, S_IOERR, 1); /* wrong direction */
    request(T_OUT, 0, 512, true, S_IOERR, 0);
    request(T_OUT, UINT64_MAX, 512, false, S_IOERR, 1);
    request(T_OUT, 0, 513, false, S_IOERR, 1);
    request(2, 0, 0, false, S_UNSUPP, 1);
    request(UINT32_MAX, 0, 512, true, S_UNSUPP, 0);
    assert_int_equal(the_disk.count, 0);
}

static void get_id(void **state)
{
    (void)state;
    request(T_GET_ID, 0, 20, true, S_OK, 21);
    assert_memory_equal(t.driver.ram + data_of(0), "0123456789abcdefghij", 20);
    request(T_GET_ID, 0, 40, true, S_OK, 20);
    request(T_GET_ID, 0, 19, true, S_IOERR, 0);
    request(T_GET_ID, 0, 20, false, S_IOERR, 1);
}

static void host_errors(void **state)
{
    (void)state;
    offer(0, T_IN, 0, 512, true);
    offer(1, T_OUT, 0, 512, false);
    offer(2, T_FLUSH, 0, 0, false);
    wr(QUEUE_NOTIFY, 0);
    complete(0, -EIO);
    complete(0, -ENOSPC);
    complete(0, -EIO);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(status(i), S_IOERR);
    assert_int_equal(driver_used_len(&t.driver, 0), 0);
    assert_int_equal(driver_used_len(&t.driver, 1), 1);
    assert_int_equal(rd(STATUS), 15);
}

/* Any split of a request into descriptors is the same request (2.7.4.1). */
static void odd_framing(void **state)
{
    (void)state;
    struct driver *d = &t.driver;
    st_le32(d->ram + BUFFERS, T_IN);
    st_le64(d->ram + BUFFERS + 8, 5);
    driver_desc(d, 0, RAM + BUFFERS, 3, F_NEXT, 1);
    driver_desc(d, 1, RAM + BUFFERS + 3, 13, F_NEXT, 2);
    driver_desc(d, 2, RAM + BUFFERS + 0x100, 500, F_NEXT | F_WRITE, 3);
    driver_desc(d, 3, RAM + BUFFERS + 0x1000, 13, F_WRITE, 0); /* 12 of data, and the status */
    driver_offer(d, 0);
    wr(QUEUE_NOTIFY, 0);
    complete_all();
    assert_memory_equal(d->ram + BUFFERS + 0x100, the_disk.bytes + 5 * 512, 500);
    assert_memory_equal(d->ram + BUFFERS + 0x1000, the_disk.bytes + 5 * 512 + 500, 12);
    assert_int_equal(d->ram[BUFFERS + 0x1000 + 12], S_OK);
    assert_int_equal(driver_used_len(d, 0), 513);
}

static void out_of_order(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3; i++)
        offer(i, T_IN, i, 512, true);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(the_disk.count, 3);
    complete(1, 0);
    complete(1, 0);
    complete(0, 0);
    assert_int_equal(driver_used_id(&t.driver, 0), 4);
    assert_int_equal(driver_used_id(&t.driver, 1), 8);
    assert_int_equal(driver_used_id(&t.driver, 2), 0);
}

/* ------------------------------------------------------------------ durability */

static void expect_ops(const enum disk_op *ops, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(the_disk.count, 1);
        assert_int_equal(the_disk.held[0]->op, ops[i]);
        assert_int_equal(status(0), S_NONE);
        complete(0, 0);
    }
    assert_int_equal(the_disk.count, 0);
    assert_int_equal(status(0), S_OK);
}

static void write_through(void **state)
{
    (void)state;
    static const enum disk_op cached[] = { DISK_WRITE };
    static const enum disk_op through[] = { DISK_WRITE, DISK_FLUSH };
    offer(0, T_OUT, 0, 512, false);
    wr(QUEUE_NOTIFY, 0);
    expect_ops(cached, 1);
    wr_width(CONFIG + 32, 1, 0); /* the cache off */
    offer(0, T_OUT, 0, 512, false);
    wr(QUEUE_NOTIFY, 0);
    expect_ops(through, 2);
    offer(0, T_OUT, 0, 512, false); /* a flush that fails, fails the write */
    wr(QUEUE_NOTIFY, 0);
    complete(0, 0);
    complete(0, -EIO);
    assert_int_equal(status(0), S_IOERR);
    wr(STATUS, 0);
    bring_up(0); /* a driver that cannot flush */
    offer(0, T_OUT, 0, 512, false);
    wr(QUEUE_NOTIFY, 0);
    expect_ops(through, 2);
}

/* A disk without a write cache offers none, and its writes complete once they were flushed. */
static void no_write_cache(void **state)
{
    static const enum disk_op through[] = { DISK_WRITE, DISK_FLUSH };
    teardown(state);
    create_with(false, true, 1);
    assert_int_equal(offered() & F_ALL, F_DISCARD | F_WRITE_ZEROES);
    assert_int_equal(rd(CONFIG + 32) & 0xff, 0);
    bring_up(F_DISCARD | F_WRITE_ZEROES);
    wr_width(CONFIG + 32, 1, 1); /* cannot be turned on */
    offer(0, T_OUT, 0, 512, false);
    wr(QUEUE_NOTIFY, 0);
    expect_ops(through, 2);
    wr(STATUS, 0);
    assert_int_equal(rd(CONFIG + 32) & 0xff, 0);
}

/* What needs no waiting is done when the notification returns; what has to be flushed does. */
static void done_at_once(void **state)
{
    (void)state;
    the_disk.cached = true;
    offer(0, T_IN, 3, 512, true);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(the_disk.count, 0);
    assert_int_equal(status(0), S_OK);
    assert_int_equal(driver_used_len(&t.driver, 0), 513);
    assert_memory_equal(t.driver.ram + data_of(0), the_disk.bytes + 3 * 512, 512);
    assert_true(t.level);
    offer(1, T_OUT, 4, 512, false);
    memset(t.driver.ram + data_of(1), 0x77, 512);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(the_disk.count, 0);
    assert_int_equal(status(1), S_OK);
    assert_int_equal(driver_used_len(&t.driver, 1), 1);
    assert_memory_equal(t.driver.ram + data_of(1), the_disk.bytes + 4 * 512, 512);
    wr_width(CONFIG + 32, 1, 0); /* the cache off */
    offer(2, T_OUT, 3, 512, false);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(the_disk.count, 1);
    complete_all();
}

/* Each queue is answered in its own ring, whatever the others do. */
static void several_queues(void **state)
{
    enum { OTHER = 0x8000 }; /* where the rings of queue 3 are */
    teardown(state);
    create_with(false, false, 9);
    assert_true(offered() & F_MQ);
    assert_int_equal(rd(CONFIG + 34) & 0xffff, BLK_MAX_QUEUES);
    driver_init(&t.driver, 16);
    const uint64_t features = F_ALL | F_MQ | VIRTIO_F_VERSION_1;
    wr(STATUS, 3);
    for (unsigned i = 0; i < 2; i++) {
        wr(DRV_FEATURES_SEL, i);
        wr(DRV_FEATURES, (uint32_t)(features >> (32 * i)));
    }
    wr(STATUS, 11);
    for (unsigned q = 0; q <= 3; q += 3) {
        uint32_t at = (uint32_t)RAM + (q ? OTHER : 0);
        wr(QUEUE_SEL, q);
        wr(QUEUE_NUM, 16);
        wr(DESC, at + RING_DESC);
        wr(AVAIL, at + RING_AVAIL);
        wr(USED, at + RING_USED);
        wr(QUEUE_READY, 1);
    }
    wr(QUEUE_SEL, BLK_MAX_QUEUES);
    assert_int_equal(rd(0x34), 0);
    wr(STATUS, 15);
    assert_int_equal(rd(STATUS), 15);

    offer(0, T_IN, 1, 512, true); /* on queue 0; the same chain on queue 3 */
    memcpy(t.driver.ram + OTHER, t.driver.ram, 0x2000);
    wr(QUEUE_NOTIFY, 3);
    wr(QUEUE_NOTIFY, 1); /* not ready */
    assert_int_equal(the_disk.count, 1);
    complete(0, 0);
    assert_int_equal(driver_used_idx(&t.driver), 0);
    assert_int_equal(ld_le16(t.driver.ram + OTHER + RING_USED + 2), 1);
    assert_true(t.level);
    wr(QUEUE_NOTIFY, 0);
    complete(0, 0);
    assert_int_equal(driver_used_idx(&t.driver), 1);
    assert_int_equal(ld_le16(t.driver.ram + OTHER + RING_USED + 2), 1);
}

/* ------------------------------------------------------------------ discard, write zeroes */

static void put_range(unsigned i, uint64_t sector, uint32_t count, uint32_t flags)
{
    uint8_t *p = t.driver.ram + data_of(0) + 16 * i;
    st_le64(p, sector);
    st_le32(p + 8, count);
    st_le32(p + 12, flags);
}

static void ranges(void **state)
{
    (void)state;
    put_range(0, 0, 8, 0);
    put_range(1, SECTORS - 1, 1, 0);
    put_range(2, 16, 4, 0);
    offer(0, T_DISCARD, 0, 48, false);
    wr(QUEUE_NOTIFY, 0);
    static const uint64_t want[3][2] = { { 0, 4096 },
                                         { (SECTORS - 1) * 512, 512 },
                                         { 8192, 2048 } };
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(the_disk.count, 1);
        assert_int_equal(the_disk.held[0]->op, DISK_DISCARD);
        assert_int_equal(the_disk.held[0]->offset, want[i][0]);
        assert_int_equal(the_disk.held[0]->length, want[i][1]);
        complete(0, 0);
    }
    assert_int_equal(status(0), S_OK);
    /* The second of three fails: the third is not tried. */
    offer(0, T_DISCARD, 0, 48, false);
    wr(QUEUE_NOTIFY, 0);
    complete(0, 0);
    complete(0, -EIO);
    assert_int_equal(the_disk.count, 0);
    assert_int_equal(status(0), S_IOERR);

    put_range(0, 0, 8, 1);
    request(T_DISCARD, 0, 16, false, S_UNSUPP, 1);
    request(T_WRITE_ZEROES, 0, 16, false, S_OK, 1);
    put_range(0, 0, 8, 2);
    request(T_WRITE_ZEROES, 0, 16, false, S_UNSUPP, 1);
}

static void bad_ranges(void **state)
{
    (void)state;
    static const struct {
        uint64_t sector;
        uint32_t count;
    } cases[] = { { 0, 0 },          { 0, SECTORS + 1 }, { SECTORS, 1 }, { UINT64_MAX, 1 },
                  { 1ull << 55, 1 }, { 0, UINT32_MAX },  { 0, 1u << 23 } };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put_range(0, 0, 1, 0); /* a good one before it is not done either */
        put_range(1, cases[i].sector, cases[i].count, 0);
        offer(0, T_WRITE_ZEROES, 0, 32, false);
        wr(QUEUE_NOTIFY, 0);
        assert_int_equal(the_disk.count, 0);
        assert_int_equal(status(0), S_IOERR);
    }
    put_range(0, 0, 1, 0);
    request(T_DISCARD, 0, 0, false, S_IOERR, 1);
    request(T_DISCARD, 0, 15, false, S_IOERR, 1);
    request(T_DISCARD, 0, 17 * 16, false, S_IOERR, 1);
}

/* ------------------------------------------------------------------ a driver gone wrong */

static void malformed(void **state)
{
    (void)state;
    struct driver *d = &t.driver;
    for (unsigned i = 0; i < 5; i++) {
        bring_up(F_ALL);
        switch (i) {
        case 0: /* a header of 15 bytes */
            driver_desc(d, 0, RAM + BUFFERS, 15, F_NEXT, 1);
            driver_desc(d, 1, RAM + BUFFERS, 1, F_WRITE, 0);
            break;
        case 1: /* no status byte */
            driver_desc(d, 0, RAM + BUFFERS, 16, 0, 0);
            break;
        case 2: /* nothing at all */
            driver_desc(d, 0, RAM + BUFFERS, 0, 0, 0);
            break;
        case 3:
            driver_desc(d, 0, 0x1000, 16, 0, 0);
            break;
        case 4:
            driver_desc(d, 0, RAM, 16, F_NEXT, 0);
            break;
        }
        driver_offer(d, 0);
        wr(QUEUE_NOTIFY, 0);
        assert_int_equal(rd(STATUS), 15 | VIRTIO_STATUS_NEEDS_RESET);
        assert_int_equal(rd(INT_STATUS), 2);
        assert_int_equal(the_disk.count, 0);
        wr(STATUS, 0);
    }
    bring_up(F_ALL);
    request(T_IN, 0, 512, true, S_OK, 513);
}

static void broken_in_flight(void **state)
{
    (void)state;
    offer(0, T_IN, 0, 512, true);
    wr(QUEUE_NOTIFY, 0);
    driver_set_avail_idx(&t.driver, 100);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(rd(STATUS), 15 | VIRTIO_STATUS_NEEDS_RESET);
    complete(0, 0); /* ends quietly */
    assert_int_equal(driver_used_idx(&t.driver), 0);
    wr(STATUS, 0);
    bring_up(F_ALL);
    request(T_IN, 0, 512, true, S_OK, 513);
}

static void full_ring(void **state)
{
    (void)state;
    wr(STATUS, 0);
    bring_up(F_ALL | VIRTIO_F_EVENT_IDX);
    /* Sixteen requests that share one chain. */
    offer(0, T_IN, 0, 512, true);
    for (unsigned i = 1; i < 16; i++)
        driver_offer(&t.driver, 0);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(the_disk.count, 16);
    assert_int_equal(driver_avail_event(&t.driver), 16); /* we want to hear about more */
    complete_all();
    assert_int_equal(driver_used_idx(&t.driver), 16);
}

/* ------------------------------------------------------------------ reset under load */

static void *reset_thread(void *arg)
{
    wr(STATUS, 0);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void reset_waits(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_bool done = false;
    offer(0, T_IN, 0, 512, true);
    offer(1, T_OUT, 1, 512, false);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(pthread_create(&thread, NULL, reset_thread, &done), 0);
    /* The reset has begun when the queue is stopped; the registers answer meanwhile. */
    while (rd(QUEUE_READY))
        sched_yield();
    assert_int_not_equal(rd(STATUS), 0);
    assert_false(atomic_load(&done));
    assert_int_equal(the_disk.hurry, 1);
    complete(0, 0);
    assert_int_not_equal(rd(STATUS), 0);
    complete(0, 0);
    pthread_join(thread, NULL);
    assert_int_equal(the_disk.hurry, 0);
    assert_int_equal(rd(STATUS), 0);
    assert_int_equal(driver_used_idx(&t.driver), 0); /* the driver heard of none */
    assert_false(t.level);
    bring_up(F_ALL);
    request(T_IN, 0, 512, true, S_OK, 513);
}

static void *destroy_thread(void *arg)
{
    t.dev->ops->destroy(t.dev);
    atomic_store((atomic_bool *)arg, true);
    return NULL;
}

static void destroy_waits(void **state)
{
    (void)state;
    pthread_t thread;
    atomic_bool done = false;
    offer(0, T_OUT, 1, 512, false);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(pthread_create(&thread, NULL, destroy_thread, &done), 0);
    /* It has begun, by a reset, when the queue is stopped; the request keeps the device alive. */
    while (rd(QUEUE_READY))
        sched_yield();
    assert_false(atomic_load(&done));
    complete(0, 0);
    pthread_join(thread, NULL);
    assert_true(atomic_load(&done));
    create(false); /* for teardown */
}

/* ------------------------------------------------------------------ noise */

/* Random registers and random rings: the device must survive, and come back after a reset. */
static void noise(void **state)
{
    (void)state;
    srand(2);
    for (unsigned round = 0; round < 3000; round++) {
        uint8_t *ram = t.driver.ram;
        if (round % 4 == 0)
            bring_up((uint64_t)rand() & offered());
        for (unsigned i = 0; i < 40; i++) {
            /* Plausible descriptors, most of the time. */
            unsigned k = (unsigned)rand() % 16;
            driver_desc(&t.driver, k, RAM + (unsigned)rand() % (RAM_SIZE + 64),
                        (unsigned)rand() % 2048, (uint16_t)(rand() % 8), (uint16_t)(rand() % 17));
            ram[(unsigned)rand() % RAM_SIZE] = (uint8_t)rand();
            st_le32(ram + BUFFERS, (uint32_t)(rand() % 14));
        }
        driver_set_avail_idx(&t.driver, (uint16_t)(t.driver.avail_idx + rand() % 3));
        wr(QUEUE_NOTIFY, 0);
        for (unsigned i = 0; i < 4; i++) {
            unsigned offset = (unsigned)rand() % 0x180 & ~3u;
            /* Stopping waits for requests in flight, and only this thread completes them. */
            if (the_disk.count == 0 || (offset != STATUS && offset != QUEUE_READY))
                wr_width(offset, 1u << (rand() % 4),
                         rand() % 2 ? (unsigned)rand() : (unsigned)rand() % 16);
        }
        while (the_disk.count > 0)
            complete((unsigned)rand() % the_disk.count, rand() % 8 ? 0 : -EIO);
        if (round % 4 == 3)
            wr(STATUS, 0);
    }
    wr(STATUS, 0);
    bring_up(F_ALL);
    request(T_IN, 0, 512, true, S_OK, 513);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only, setup, teardown),
        cmocka_unit_test_setup_teardown(in_and_out, setup, teardown),
        cmocka_unit_test_setup_teardown(refused, setup, teardown),
        cmocka_unit_test_setup_teardown(get_id, setup, teardown),
        cmocka_unit_test_setup_teardown(host_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_framing, setup, teardown),
        cmocka_unit_test_setup_teardown(out_of_order, setup, teardown),
        cmocka_unit_test_setup_teardown(write_through, setup, teardown),
        cmocka_unit_test_setup_teardown(no_write_cache, setup, teardown),
        cmocka_unit_test_setup_teardown(done_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(several_queues, setup, teardown),
        cmocka_unit_test_setup_teardown(ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_ranges, setup, teardown),
        cmocka_unit_test_setup_teardown(malformed, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_in_flight, setup, teardown),
        cmocka_unit_test_setup_teardown(full_ring, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(destroy_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(noise, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
