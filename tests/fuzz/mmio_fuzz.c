/*
 * Every device, driven by bytes: the input is a list of 12-byte records, each one thing that a
 * guest or the outside world can do (access a register, write guest memory, let time pass, type,
 * drive a wire). Whatever the list, the process must live, sanitizers stay silent, and what can be
 * checked from outside must hold.
 *
 * Built twice: as a libFuzzer target (-Dfuzz=true), and with fuzz_main.c as a plain test that
 * replays the corpus and then makes up records of its own.
 *
 * virtio-blk's queue lives at fixed places of a small guest memory, so that a record can build a
 * descriptor, offer a chain, or make a whole well-formed request, besides writing random bytes.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "base/bytes.h"
#include "base/compiler.h"
#include "base/log.h"
#include "devices/pl011.h"
#include "devices/pl031.h"
#include "devices/pl061.h"
#include "devices/virtio/blk.h"
#include "gic/gicv2.h"
#include "host/disk.h"

/* Bytes of one record: kind (4 bits), log2 of the width (2), device (8), offset (16), value (64).
 */
#define RECORD_SIZE 12

#define CPUS      2
#define RAM_BASE  0x40000000ull
#define RAM_SIZE  0x10000u
#define DISK_SIZE 0x20000u

/* Where the queue is, from RAM_BASE. */
#define DESC   0x0000u
#define AVAIL  0x1000u
#define USED   0x2000u
#define HEADER 0x3000u
#define DATA   0x4000u

enum { PL011, PL031, PL061, BLK, DEVICES };

/* Buffers of which the guest gives the same bytes to two requests, or writes while a request is
 * under way, are its own race and not ours. */
#ifdef __SANITIZE_THREAD__
const char *__tsan_default_suppressions(void);
const char *__tsan_default_suppressions(void)
{
    return "race:gmem_\nrace:iov_copy\nrace:disk_transfer\nrace:blk_finish\n";
}
#endif

struct machine {
    struct gicv2 *gic;
    struct device *device[DEVICES];
    struct gmem gmem;
    uint8_t *ram;
    bool irq[CPUS], fiq[CPUS];
    _Atomic bool wire[DEVICES];
    uint64_t now; /* ns; also the wall clock */
    uint64_t deadline[DEVICES];
    uint16_t avail; /* index of the next chain to offer */
};

struct record {
    unsigned kind, width, device;
    uint16_t offset;
    uint64_t value;
};

/* One alarm or wire: which device of which machine. */
struct port {
    struct machine *m;
    unsigned n;
};

static uint64_t machine_now(void *ctx)
{
    return ((struct machine *)ctx)->now;
}

static void port_set_alarm(void *ctx, uint64_t deadline_ns)
{
    struct port *p = ctx;
    p->m->deadline[p->n] = deadline_ns;
}

/* Device n is on SPI n. virtio-blk calls from the disk's thread. */
static void machine_set_wire(void *ctx, unsigned n, bool level)
{
    struct machine *m = ctx;
    m->wire[n] = level;
    gicv2_set_spi(m->gic, n, level);
}

static void machine_signal(void *ctx, unsigned cpu, bool irq, bool fiq)
{
    struct machine *m = ctx;
    assert(cpu < CPUS);
    assert(irq != m->irq[cpu] || fiq != m->fiq[cpu]);
    m->irq[cpu] = irq;
    m->fiq[cpu] = fiq;
}

/* A disk for the whole process: opening one for each input would be most of the time. */
static struct disk *fuzz_disk(void)
{
    static struct disk *disk;
    if (disk)
        return disk;
    char path[] = "/tmp/ireko-fuzz-XXXXXX";
    int fd = mkstemp(path);
    struct err e;
    if (fd < 0 || ftruncate(fd, DISK_SIZE) < 0) {
        perror(path);
        exit(1);
    }
    close(fd);
    struct disk_options options = { .path = path };
    if (disk_open(&options, &disk, &e) < 0) {
        fprintf(stderr, "%s\n", e.text);
        exit(1);
    }
    unlink(path);
    log_set_level(LOG_ERROR);
    return disk;
}

static void must(int rc)
{
    if (rc == 0)
        return;
    fprintf(stderr, "mmio_fuzz: set-up failed: %s\n", strerror(-rc));
    exit(1);
}

static void machine_create(struct machine *m, struct port port[DEVICES])
{
    *m = (struct machine){ .now = 1000000000 };
    const struct clock clock = { machine_now, machine_now, m };
    for (unsigned n = 0; n < DEVICES; n++) {
        m->deadline[n] = ALARM_OFF;
        port[n] = (struct port){ m, n };
    }
    m->ram = calloc(1, RAM_SIZE);
    if (!m->ram)
        abort();
    must(gmem_add(&m->gmem, RAM_BASE, RAM_SIZE, m->ram));
    struct gicv2_config gic = { .cpus = CPUS, .spis = 64, .signal = machine_signal, .ctx = m };
    must(gicv2_create(&gic, &m->gic));
    struct pl011_config uart = {
        .irq = { machine_set_wire, m, PL011 },
        .clock = clock,
        .alarm = { port_set_alarm, &port[PL011] },
    };
    must(pl011_create(&uart, &m->device[PL011]));
    struct pl031_config rtc = {
        .irq = { machine_set_wire, m, PL031 },
        .clock = clock,
        .alarm = { port_set_alarm, &port[PL031] },
    };
    must(pl031_create(&rtc, &m->device[PL031]));
    struct pl061_config gpio = { .irq = { machine_set_wire, m, PL061 } };
    must(pl061_create(&gpio, &m->device[PL061]));
    struct virtio_blk_config blk = {
        .irq = { machine_set_wire, m, BLK },
        .gmem = &m->gmem,
        .disk = fuzz_disk(),
        .serial = "fuzz",
    };
    must(virtio_blk_create(&blk, &m->device[BLK]));
}

static void machine_destroy(struct machine *m)
{
    for (unsigned n = 0; n < DEVICES; n++)
        m->device[n]->ops->destroy(m->device[n]);
    gicv2_destroy(m->gic);
    free(m->ram);
}

/* What the bus does before it lets a device see an access. */
static bool bus_allows(const struct device *d, uint64_t offset, unsigned width)
{
    return width >= d->ops->min_width && width <= d->ops->max_width && offset % width == 0 &&
           offset < d->ops->size && width <= d->ops->size - offset;
}

static uint64_t device_read(struct machine *m, unsigned n, uint64_t offset, unsigned width)
{
    struct device *d = m->device[n];
    if (!bus_allows(d, offset, width))
        return 0;
    lock_acquire(&d->lock);
    uint64_t value = d->ops->read(d, offset, width);
    lock_release(&d->lock);
    return value;
}

static void device_write(struct machine *m, unsigned n, uint64_t offset, unsigned width,
                         uint64_t value)
{
    struct device *d = m->device[n];
    if (!bus_allows(d, offset, width))
        return;
    lock_acquire(&d->lock);
    d->ops->write(d, offset, width, value);
    lock_release(&d->lock);
}

static void do_read(struct machine *m, const struct record *r)
{
    unsigned n = r->device % (DEVICES + 2);
    unsigned cpu = r->device / (DEVICES + 2) % CPUS;
    if (n < DEVICES)
        device_read(m, n, r->offset, r->width);
    else if (n == DEVICES)
        gicv2_dist_read(m->gic, cpu, r->offset, r->width);
    else
        gicv2_cpu_read(m->gic, cpu, r->offset, r->width);
}

static void do_write(struct machine *m, const struct record *r)
{
    unsigned n = r->device % (DEVICES + 2);
    unsigned cpu = r->device / (DEVICES + 2) % CPUS;
    if (n < DEVICES)
        device_write(m, n, r->offset, r->width, r->value);
    else if (n == DEVICES)
        gicv2_dist_write(m->gic, cpu, r->offset, r->width, r->value);
    else
        gicv2_cpu_write(m->gic, cpu, r->offset, r->width, r->value);
}

/* Time passes, up to 18 minutes, and the alarms that came due ring. */
static void do_wait(struct machine *m, const struct record *r)
{
    m->now += bits(r->value, 39, 0);
    if (m->deadline[PL011] <= m->now) {
        m->deadline[PL011] = ALARM_OFF;
        pl011_alarm(m->device[PL011]);
    }
    if (m->deadline[PL031] <= m->now) {
        m->deadline[PL031] = ALARM_OFF;
        pl031_alarm(m->device[PL031]);
    }
}

static void do_type(struct machine *m, const struct record *r)
{
    uint8_t bytes[64];
    memset(bytes, (int)(r->value & 0xff), sizeof bytes);
    pl011_receive(m->device[PL011], bytes, r->offset % sizeof bytes);
}

static void do_wire(struct machine *m, const struct record *r)
{
    bool level = r->value & 1;
    if (r->device & 1)
        pl061_set_pin(m->device[PL061], r->offset % 10, level);
    else if (r->device & 2)
        gicv2_set_ppi(m->gic, r->device >> 2, r->offset % 40, level);
    else /* not one of the devices' own */
        gicv2_set_spi(m->gic, DEVICES + r->offset % 80, level);
}

static void do_reset(struct machine *m, const struct record *r)
{
    unsigned n = r->device % (DEVICES + 1);
    if (n == DEVICES) {
        gicv2_reset(m->gic);
        return;
    }
    lock_acquire(&m->device[n]->lock);
    m->device[n]->ops->reset(m->device[n]);
    lock_release(&m->device[n]->lock);
}

static void put(struct machine *m, uint32_t at, const uint8_t *bytes, size_t n)
{
    if (at < RAM_SIZE && n <= RAM_SIZE - at)
        must(gmem_write(&m->gmem, RAM_BASE + at, bytes, n));
}

static void do_poke(struct machine *m, const struct record *r)
{
    uint8_t bytes[8];
    st_le64(bytes, r->value);
    put(m, r->offset, bytes, r->width);
}

static void put_descriptor(struct machine *m, unsigned i, uint64_t address, uint32_t length,
                           uint16_t flags, uint16_t next)
{
    uint8_t d[16];
    st_le64(d, address);
    st_le32(d + 8, length);
    st_le16(d + 12, flags);
    st_le16(d + 14, next);
    put(m, DESC + i % 64 * 16, d, sizeof d);
}

/* A descriptor near the truth: inside RAM or a little outside, flags and next from the record. */
static void do_descriptor(struct machine *m, const struct record *r)
{
    uint64_t address = RAM_BASE + bits(r->value, 16, 0);
    if (r->device & 0x80)
        address = r->value << 16;
    put_descriptor(m, r->device, address, (uint32_t)bits(r->value, 39, 20) >> (r->width * 2),
                   (uint16_t)bits(r->value, 43, 40), (uint16_t)bits(r->value, 51, 44));
}

/* Bring the queue up in the legal order; the record chooses the features and the size. */
static void do_start_queue(struct machine *m, const struct record *r)
{
    uint16_t size = (uint16_t)(1u << r->offset % 8);
    const struct {
        uint16_t offset;
        uint32_t value;
    } steps[] = {
        { 0x070, 0 }, /* Status: reset */
        { 0x070, 1 }, /* ACKNOWLEDGE */
        { 0x070, 3 }, /* DRIVER */
        { 0x024, 0 }, /* DriverFeaturesSel */
        { 0x020, (uint32_t)r->value },
        { 0x024, 1 },
        { 0x020, 1 | (r->device & 4u) }, /* VERSION_1, at times RING_PACKED */
        { 0x070, 11 },                   /* FEATURES_OK */
        { 0x030, 0 },                    /* QueueSel */
        { 0x038, size },                 /* QueueNum */
        { 0x080, (uint32_t)RAM_BASE + DESC },
        { 0x084, 0 },
        { 0x090, (uint32_t)RAM_BASE + AVAIL },
        { 0x094, 0 },
        { 0x0a0, (uint32_t)RAM_BASE + USED },
        { 0x0a4, 0 },
        { 0x044, 1 },  /* QueueReady */
        { 0x070, 15 }, /* DRIVER_OK */
    };
    for (unsigned i = 0; i < ARRAY_LEN(steps); i++)
        device_write(m, BLK, steps[i].offset, 4, steps[i].value);
    m->avail = 0;
}

/* Offer `head` and notify. The entry goes to every slot, so that the queue's size does not
 * matter. */
static void offer(struct machine *m, uint16_t head)
{
    uint8_t entry[2];
    st_le16(entry, head);
    for (unsigned i = 0; i < 128; i++)
        put(m, AVAIL + 4 + 2 * i, entry, 2);
    st_le16(entry, ++m->avail);
    put(m, AVAIL + 2, entry, 2);
    device_write(m, BLK, 0x050, 4, 0);
}

static void do_offer(struct machine *m, const struct record *r)
{
    offer(m, r->offset);
}

/* A whole request: header, data, status, mostly well-formed. */
static void do_request(struct machine *m, const struct record *r)
{
    static const uint32_t types[] = { 0, 1, 4, 8, 11, 13, 0xffffffff };
    uint8_t header[16];
    st_le32(header, types[r->device % ARRAY_LEN(types)]);
    st_le32(header + 4, 0);
    st_le64(header + 8, r->device & 0x80 ? r->value : bits(r->value, 8, 0));
    put(m, HEADER, header, sizeof header);
    bool reads = types[r->device % ARRAY_LEN(types)] % 2 == 0;
    put_descriptor(m, 0, RAM_BASE + HEADER, 16, 1, 1);
    put_descriptor(m, 1, RAM_BASE + DATA, (uint32_t)r->offset, reads ? 3 : 1, 2);
    put_descriptor(m, 2, RAM_BASE + HEADER + 16, 1, 2, 0);
    offer(m, 0);
}

/* What must hold after anything. The device's lock keeps its registers and its wire together. */
static void check(struct machine *m)
{
    static const uint16_t masked_status[] = { [PL011] = 0x040, [PL031] = 0x018, [PL061] = 0x418 };
    for (unsigned n = 0; n < ARRAY_LEN(masked_status); n++)
        assert((device_read(m, n, masked_status[n], 4) != 0) == m->wire[n]);
}

static void act(struct machine *m, const struct record *r)
{
    static void (*const kinds[16])(struct machine *m, const struct record *r) = {
        do_write, do_write, do_write, do_write, do_read,       do_read,  do_wait,    do_type,
        do_wire,  do_reset, do_poke,  do_poke,  do_descriptor, do_offer, do_request, do_start_queue,
    };
    kinds[r->kind](m, r);
    check(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct machine m;
    struct port port[DEVICES];
    machine_create(&m, port);
    for (; size >= RECORD_SIZE; data += RECORD_SIZE, size -= RECORD_SIZE) {
        const struct record r = {
            .kind = data[0] & 15,
            .width = 1u << (data[0] >> 4 & 3),
            .device = data[1],
            .offset = ld_le16(data + 2),
            .value = ld_le64(data + 4),
        };
        act(&m, &r);
    }
    machine_destroy(&m);
    return 0;
}

/* ------------------------------------------------------------------ made-up inputs */

/* Offsets mostly where registers are: random ones seldom hit any. */
static uint16_t random_offset(uint64_t r)
{
    static const uint16_t hot[][2] = {
        { 0x000, 0x04c }, { 0x400, 0x424 }, { 0x000, 0x100 }, { 0x080, 0xd00 },  { 0xd00, 0xf30 },
        { 0x100, 0x140 }, { 0x000, 0x02c }, { 0x0d0, 0x100 }, { 0xfd0, 0x1004 },
    };
    unsigned i = (unsigned)(r % (ARRAY_LEN(hot) + 1));
    if (i == ARRAY_LEN(hot))
        return (uint16_t)(r >> 16);
    uint16_t offset = (uint16_t)(hot[i][0] + (r >> 16) % (uint16_t)(hot[i][1] - hot[i][0]));
    return r >> 60 ? offset & 0xfffc : offset;
}

/* Values mostly small, or a few bits: registers are made of fields. */
static uint64_t random_value(uint64_t r)
{
    switch (r >> 62) {
    case 0:
        return 1ull << (r & 63);
    case 1:
        return r & 0x3ff;
    case 2:
        return r & r << 7 & 0xffffffff;
    default:
        return r;
    }
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    uint64_t state = seed;
    size_t records = 1 + fuzz_random(&state) % (FUZZ_INPUT_MAX / RECORD_SIZE);
    for (size_t i = 0; i < records; i++) {
        uint8_t *p = data + i * RECORD_SIZE;
        uint64_t r = fuzz_random(&state);
        /* Words twice as often as they would be. */
        uint8_t width = r & 0x100 ? 2 : (r >> 9 & 3);
        p[0] = (uint8_t)((r & 15) | (unsigned)width << 4);
        p[1] = (uint8_t)(r >> 16);
        st_le16(p + 2, random_offset(fuzz_random(&state)));
        st_le64(p + 4, random_value(fuzz_random(&state)));
    }
    return records * RECORD_SIZE;
}
