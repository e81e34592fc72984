/* virtio-mmio: the registers and the status machine, with a device that only counts its calls. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <libfdt.h>

#include "devices/virtio/device.h"
#include "devices/virtio/mmio.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_driver.h"

enum { MAGIC = 0x00, VERSION = 0x04, DEVICE_ID = 0x08, VENDOR = 0x0c, DEV_FEATURES = 0x10 };
enum { DEV_FEATURES_SEL = 0x14, DRV_FEATURES = 0x20, DRV_FEATURES_SEL = 0x24, QUEUE_SEL = 0x30 };
enum { QUEUE_NUM_MAX = 0x34, QUEUE_NUM = 0x38, QUEUE_READY = 0x44, QUEUE_NOTIFY = 0x50 };
enum { INT_STATUS = 0x60, INT_ACK = 0x64, STATUS = 0x70, DESC = 0x80, AVAIL = 0x90, USED = 0xa0 };
enum { SHM_LEN = 0xb0, QUEUE_RESET = 0xc0, GENERATION = 0xfc, CONFIG = 0x100 };

#define FEATURES (1ull << 3 | 1ull << 41)
#define ACK      VIRTIO_STATUS_ACKNOWLEDGE
#define DRV      VIRTIO_STATUS_DRIVER
#define FEAT     VIRTIO_STATUS_FEATURES_OK
#define OK       VIRTIO_STATUS_DRIVER_OK
#define NEEDS    VIRTIO_STATUS_NEEDS_RESET

static struct {
    struct virtio_device v;
    struct driver driver;
    bool level;
    unsigned notified, drained, resets, destroyed, started;
    bool refuse; /* features */
    unsigned last_queue;
    uint64_t config_offset, config_value;
    unsigned config_width;
} t;

static const uint8_t config[] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66 };

static void fake_notify(struct virtio_device *v, unsigned queue)
{
    assert_ptr_equal(v, &t.v);
    t.notified++;
    t.last_queue = queue;
}

static bool fake_accept(const struct virtio_device *v, uint64_t features)
{
    assert_ptr_equal(v, &t.v);
    assert_true(features & VIRTIO_F_VERSION_1);
    return !t.refuse;
}

static void fake_start(struct virtio_device *v)
{
    assert_true(v->status & OK);
    t.started++;
}

static void fake_config_write(struct virtio_device *v, uint64_t offset, unsigned width,
                              uint64_t value)
{
    (void)v;
    t.config_offset = offset;
    t.config_width = width;
    t.config_value = value;
}

static void fake_drain(struct virtio_device *v)
{
    t.drained++;
    for (unsigned i = 0; i < v->ops->queues; i++)
        if (i == v->queue_sel)
            assert_false(v->queue[i].ready);
    /* Another vCPU comes in while we wait: it changes nothing. */
    uint8_t status = v->status;
    v->device.ops->write(&v->device, STATUS, 4, 0xff);
    assert_int_equal(v->status, status);
    if (!v->resetting)
        return;
    unsigned before = t.notified;
    assert_int_equal(v->device.ops->read(&v->device, QUEUE_RESET, 4), 1);
    v->device.ops->write(&v->device, QUEUE_NOTIFY, 4, 1);
    v->device.ops->write(&v->device, QUEUE_NOTIFY, 4, v->queue_sel);
    v->device.ops->write(&v->device, QUEUE_NOTIFY, 4, UINT32_MAX);
    assert_int_equal(t.notified, before);
}

static void fake_reset(struct virtio_device *v)
{
    (void)v;
    t.resets++;
}

static void fake_destroy(struct virtio_device *v)
{
    t.destroyed++;
    virtio_device_fini(v);
}

static const struct virtio_ops fake_ops = {
    .name = "fake",
    .id = 42,
    .queues = 2,
    .queue_size = 64,
    .accept = fake_accept,
    .start = fake_start,
    .notify = fake_notify,
    .config_write = fake_config_write,
    .drain = fake_drain,
    .reset = fake_reset,
    .destroy = fake_destroy,
};

static void set_irq(void *ctx, unsigned n, bool level)
{
    (void)ctx;
    assert_int_equal(n, 5);
    t.level = level;
}

static int setup(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    quiet();
    driver_init(&t.driver, 8);
    virtio_device_init(&t.v, &(struct virtio_setup){ .ops = &fake_ops,
                                                     .gmem = &t.driver.m,
                                                     .irq = { .set = set_irq, .n = 5 },
                                                     .features = FEATURES,
                                                     .config = config,
                                                     .config_size = sizeof config });
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    if (!t.destroyed)
        virtio_device_fini(&t.v);
    return 0;
}

static uint64_t rd_width(uint64_t offset, unsigned width)
{
    lock_acquire(&t.v.device.lock);
    uint64_t value = t.v.device.ops->read(&t.v.device, offset, width);
    lock_release(&t.v.device.lock);
    return value;
}

static uint32_t rd(uint64_t offset)
{
    return (uint32_t)rd_width(offset, 4);
}

static void wr_width(uint64_t offset, unsigned width, uint64_t value)
{
    lock_acquire(&t.v.device.lock);
    t.v.device.ops->write(&t.v.device, offset, width, value);
    lock_release(&t.v.device.lock);
}

static void wr(uint64_t offset, uint32_t value)
{
    wr_width(offset, 4, value);
}

static void accept(uint64_t features)
{
    for (unsigned i = 0; i < 2; i++) {
        wr(DRV_FEATURES_SEL, i);
        wr(DRV_FEATURES, (uint32_t)(features >> (32 * i)));
    }
}

static void set_queue(unsigned queue, uint32_t size)
{
    wr(QUEUE_SEL, queue);
    wr(QUEUE_NUM, size);
    wr(DESC, (uint32_t)RAM + RING_DESC);
    wr(DESC + 4, 0);
    wr(AVAIL, (uint32_t)RAM + RING_AVAIL);
    wr(USED, (uint32_t)RAM + RING_USED);
}

/* Up to, but without, DRIVER_OK. */
static void bring_up_with(uint64_t features)
{
    wr(STATUS, ACK);
    wr(STATUS, ACK | DRV);
    accept(VIRTIO_F_VERSION_1 | features);
    wr(STATUS, ACK | DRV | FEAT);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT);
    set_queue(0, 8);
    wr(QUEUE_READY, 1);
    assert_int_equal(rd(QUEUE_READY), 1);
}

static void bring_up(void)
{
    bring_up_with(0);
}

static void run_up(void)
{
    bring_up();
    wr(STATUS, ACK | DRV | FEAT | OK);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT | OK);
}

/* ------------------------------------------------------------------ registers */

static void identity(void **state)
{
    (void)state;
    assert_int_equal(rd(MAGIC), 0x74726976);
    assert_int_equal(rd(VERSION), 2);
    assert_int_equal(rd(DEVICE_ID), 42);
    assert_int_equal(rd(VENDOR), 0x4b455249);
    assert_int_equal(rd(STATUS), 0);
    assert_int_equal(rd(INT_STATUS), 0);
    assert_int_equal(rd(GENERATION), 0);
    for (unsigned i = 0; i < 16; i += 4)
        assert_int_equal(rd(SHM_LEN + i), UINT32_MAX);
    assert_int_equal(rd(0xd0), 0);
    /* Control registers have one width. */
    assert_int_equal(rd_width(MAGIC, 1), 0);
    assert_int_equal(rd_width(MAGIC, 2), 0);
    assert_int_equal(rd_width(MAGIC, 8), 0);
    wr_width(STATUS, 1, ACK);
    assert_int_equal(rd(STATUS), 0);
    /* Writing what is read-only changes nothing. */
    for (unsigned offset = 0; offset <= 0x10; offset += 4)
        wr(offset, UINT32_MAX);
    assert_int_equal(rd(MAGIC), 0x74726976);
}

static void offered_features(void **state)
{
    (void)state;
    uint64_t all = FEATURES | VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX |
                   VIRTIO_F_RING_PACKED | VIRTIO_F_IN_ORDER | VIRTIO_F_RING_RESET;
    assert_int_equal(rd(DEV_FEATURES), (uint32_t)all);
    wr(DEV_FEATURES_SEL, 1);
    assert_int_equal(rd(DEV_FEATURES), (uint32_t)(all >> 32));
    wr(DEV_FEATURES_SEL, 2);
    assert_int_equal(rd(DEV_FEATURES), 0);
    wr(DEV_FEATURES_SEL, UINT32_MAX);
    assert_int_equal(rd(DEV_FEATURES), 0);
}

static void config_space(void **state)
{
    (void)state;
    assert_int_equal(rd_width(CONFIG, 1), 0x11);
    assert_int_equal(rd_width(CONFIG + 5, 1), 0x66);
    assert_int_equal(rd_width(CONFIG + 2, 2), 0x4433);
    assert_int_equal(rd_width(CONFIG, 4), 0x44332211);
    assert_int_equal(rd_width(CONFIG, 8), 0x665544332211);
    assert_int_equal(rd_width(CONFIG + 4, 4), 0x6655);
    assert_int_equal(rd_width(CONFIG + 6, 2), 0);
    assert_int_equal(rd_width(CONFIG + 0xf8, 8), 0);
    wr_width(CONFIG + 4, 2, 0xabcd);
    assert_int_equal(t.config_offset, 4);
    assert_int_equal(t.config_width, 2);
    assert_int_equal(t.config_value, 0xabcd);
}

/* ------------------------------------------------------------------ status */

static void status_machine(void **state)
{
    (void)state;
    wr(STATUS, ACK | OK); /* no FEATURES_OK, no DRIVER_OK */
    assert_int_equal(rd(STATUS), ACK);
    wr(STATUS, DRV); /* bits stay */
    assert_int_equal(rd(STATUS), ACK | DRV);
    wr(STATUS, ACK | DRV | NEEDS | 0x30); /* not the driver's to set */
    assert_int_equal(rd(STATUS), ACK | DRV);
    wr(STATUS, ACK | DRV | FEAT); /* without VERSION_1 */
    assert_int_equal(rd(STATUS), ACK | DRV);
    accept(VIRTIO_F_VERSION_1 | 1); /* not offered */
    wr(STATUS, ACK | DRV | FEAT);
    assert_int_equal(rd(STATUS), ACK | DRV);
    accept(VIRTIO_F_VERSION_1 | FEATURES);
    wr(STATUS, ACK | DRV | FEAT);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT);
    accept(0); /* frozen */
    assert_true(virtio_has(&t.v, FEATURES));
    assert_false(virtio_has(&t.v, VIRTIO_F_EVENT_IDX));
    wr(STATUS, ACK | DRV | FEAT | OK);
    wr(STATUS, VIRTIO_STATUS_FAILED);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT | OK | VIRTIO_STATUS_FAILED);
    wr(STATUS, 0);
    assert_int_equal(rd(STATUS), 0);
    assert_int_equal(t.resets, 1);
    assert_int_equal(t.drained, 1);
    assert_false(virtio_has(&t.v, 1ull << 3));
}

static void features_the_device_refuses(void **state)
{
    (void)state;
    t.refuse = true;
    wr(STATUS, ACK | DRV);
    accept(VIRTIO_F_VERSION_1);
    wr(STATUS, ACK | DRV | FEAT);
    assert_int_equal(rd(STATUS), ACK | DRV);
    t.refuse = false; /* the driver may try others */
    wr(STATUS, ACK | DRV | FEAT);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT);
}

/* The device hears of DRIVER_OK once, and not if a queue is broken. */
static void start_at_driver_ok(void **state)
{
    (void)state;
    wr(STATUS, ACK | DRV | OK);
    assert_int_equal(t.started, 0);
    run_up();
    assert_int_equal(t.started, 1);
    wr(STATUS, ACK | DRV | FEAT | OK);
    assert_int_equal(t.started, 1);
    wr(STATUS, 0);
    bring_up();
    set_queue(1, 3);
    wr(QUEUE_READY, 1);
    wr(STATUS, ACK | DRV | FEAT | OK);
    assert_int_equal(t.started, 1);
}

static void features_beyond(void **state)
{
    (void)state;
    wr(STATUS, ACK | DRV);
    accept(VIRTIO_F_VERSION_1);
    wr(DRV_FEATURES_SEL, 2);
    wr(DRV_FEATURES, 0); /* harmless */
    wr(DRV_FEATURES, 1);
    wr(STATUS, ACK | DRV | FEAT);
    assert_int_equal(rd(STATUS), ACK | DRV);
}

/* ------------------------------------------------------------------ queues */

static void queue_registers(void **state)
{
    (void)state;
    assert_int_equal(rd(QUEUE_NUM_MAX), 64);
    wr(QUEUE_SEL, 1);
    assert_int_equal(rd(QUEUE_NUM_MAX), 64);
    static const uint32_t none[] = { 2, 3, 4, 255, UINT32_MAX };
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        wr(QUEUE_SEL, none[i]);
        assert_int_equal(rd(QUEUE_NUM_MAX), 0);
        wr(QUEUE_NUM, 8);
        wr(QUEUE_READY, 1);
        assert_int_equal(rd(QUEUE_READY), 0);
    }
    assert_int_equal(rd(STATUS), 0);
}

static void queue_needs_features(void **state)
{
    (void)state;
    wr(STATUS, ACK | DRV);
    set_queue(0, 8);
    wr(QUEUE_READY, 1);
    assert_int_equal(rd(QUEUE_READY), 0);
}

static void bad_queues(void **state)
{
    (void)state;
    static const uint32_t sizes[] = { 0, 3, 65, 128, 0x10008, UINT32_MAX };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        bring_up();
        assert_int_equal(rd(QUEUE_READY), 1);
        set_queue(1, sizes[i]);
        wr(QUEUE_READY, 1);
        assert_int_equal(rd(QUEUE_READY), 0);
        assert_int_equal(rd(STATUS), ACK | DRV | FEAT | NEEDS);
        assert_false(t.level);
        wr(STATUS, ACK | DRV | FEAT | OK); /* now there is someone to tell */
        assert_true(t.level);
        assert_int_equal(rd(INT_STATUS), 2);
        wr(QUEUE_NOTIFY, 0);
        assert_int_equal(t.notified, 0);
        wr(STATUS, 0);
        assert_false(t.level);
        assert_int_equal(rd(INT_STATUS), 0);
    }
    bring_up();
    set_queue(1, 8);
    wr(USED + 4, 1); /* no RAM there */
    wr(QUEUE_READY, 1);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT | NEEDS);
}

static void queue_is_frozen(void **state)
{
    (void)state;
    run_up();
    wr(QUEUE_NUM, 16);
    wr(DESC, 0);
    wr(AVAIL + 4, 7);
    wr(USED, 0);
    assert_int_equal(t.v.queue[0].size, 8);
    assert_int_equal(t.v.queue[0].desc, RAM + RING_DESC);
    assert_int_equal(t.v.queue[0].avail, RAM + RING_AVAIL);
    assert_int_equal(t.v.queue[0].used, RAM + RING_USED);
    set_queue(1, 8); /* not ready, but DRIVER_OK came */
    wr(QUEUE_READY, 1);
    assert_int_equal(rd(QUEUE_READY), 0);
    assert_int_equal(t.v.queue[1].size, 0);
    /* Stopping one waits for its requests; it does not start again. */
    wr(QUEUE_SEL, 0);
    wr(QUEUE_READY, 0);
    assert_int_equal(rd(QUEUE_READY), 0);
    assert_int_equal(t.drained, 1);
    wr(QUEUE_READY, 1);
    assert_int_equal(rd(QUEUE_READY), 0);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(t.notified, 0);
}

/* 2.6.1: a queue by itself, which starts again in another size and place; the others go on. */
static void reset_of_a_queue(void **state)
{
    (void)state;
    bring_up_with(VIRTIO_F_RING_RESET);
    set_queue(1, 16);
    wr(QUEUE_READY, 1);
    wr(QUEUE_SEL, 0);
    wr(QUEUE_RESET, 1); /* not before DRIVER_OK */
    assert_int_equal(rd(QUEUE_READY), 1);
    wr(STATUS, ACK | DRV | FEAT | OK);
    lock_acquire(&t.v.device.lock);
    virtio_push(&t.v, 0, 3, 77);
    lock_release(&t.v.device.lock);
    assert_int_equal(driver_used_idx(&t.driver), 1);

    wr(QUEUE_RESET, 0);
    wr(QUEUE_RESET, 2);
    assert_int_equal(rd(QUEUE_READY), 1);
    wr(QUEUE_RESET, 1);
    assert_int_equal(rd(QUEUE_READY), 0);
    assert_int_equal(rd(QUEUE_RESET), 0);
    assert_int_equal(t.drained, 1);
    assert_int_equal(t.notified, 1); /* of the other queue, by another vCPU meanwhile */
    assert_int_equal(t.last_queue, 1);
    assert_int_equal(t.v.queue[0].size, 0);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(t.notified, 1);

    memset(t.driver.ram, 0, RAM_SIZE);
    set_queue(0, 4);
    wr(DESC, (uint32_t)RAM + BUFFERS);
    wr(QUEUE_READY, 1);
    assert_int_equal(rd(QUEUE_READY), 1);
    assert_int_equal(t.v.queue[0].size, 4);
    assert_int_equal(t.v.queue[0].desc, RAM + BUFFERS);
    wr(QUEUE_NUM, 8); /* frozen again */
    assert_int_equal(t.v.queue[0].size, 4);
    lock_acquire(&t.v.device.lock);
    virtio_push(&t.v, 0, 2, 5);
    lock_release(&t.v.device.lock);
    assert_int_equal(driver_used_idx(&t.driver), 1); /* from the start */
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(t.notified, 2);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT | OK);

    wr(QUEUE_SEL, 2); /* there is none */
    wr(QUEUE_RESET, 1);
    assert_int_equal(rd(QUEUE_RESET), 0);
    assert_int_equal(t.drained, 1);
    wr(QUEUE_SEL, 0);
    wr(QUEUE_RESET, 1);
    set_queue(0, 3);
    wr(QUEUE_READY, 1); /* of a size that cannot be */
    assert_int_equal(rd(QUEUE_READY), 0);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT | OK | NEEDS);
}

/* Without the feature it is no register. */
static void no_reset_of_a_queue(void **state)
{
    (void)state;
    run_up();
    wr(QUEUE_RESET, 1);
    assert_int_equal(rd(QUEUE_READY), 1);
    assert_int_equal(t.drained, 0);
}

static void notify(void **state)
{
    (void)state;
    wr(QUEUE_NOTIFY, 0); /* before anything */
    bring_up();
    wr(QUEUE_NOTIFY, 0); /* before DRIVER_OK */
    assert_int_equal(t.notified, 0);
    wr(STATUS, ACK | DRV | FEAT | OK);
    wr(QUEUE_NOTIFY, 1); /* not ready */
    wr(QUEUE_NOTIFY, 2); /* not there */
    wr(QUEUE_NOTIFY, UINT32_MAX);
    assert_int_equal(t.notified, 0);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(t.notified, 1);
    assert_int_equal(t.last_queue, 0);
}

/* ------------------------------------------------------------------ interrupts */

static void interrupts(void **state)
{
    (void)state;
    run_up();
    lock_acquire(&t.v.device.lock);
    virtio_interrupt(&t.v, 0); /* nothing pushed */
    assert_false(t.level);
    virtio_push(&t.v, 0, 3, 77);
    virtio_interrupt(&t.v, 0);
    lock_release(&t.v.device.lock);
    assert_true(t.level);
    assert_int_equal(driver_used_idx(&t.driver), 1);
    assert_int_equal(driver_used_id(&t.driver, 0), 3);
    assert_int_equal(driver_used_len(&t.driver, 0), 77);
    assert_int_equal(rd(INT_STATUS), 1);
    wr(INT_ACK, 2); /* the other one */
    assert_true(t.level);
    wr(INT_ACK, 1);
    assert_int_equal(rd(INT_STATUS), 0);
    assert_false(t.level);
}

/* 2.5.2, 4.2.2: a new generation with each change, an interrupt if there is a driver. */
static void config_changes(void **state)
{
    (void)state;
    lock_acquire(&t.v.device.lock);
    virtio_config_changed(&t.v);
    lock_release(&t.v.device.lock);
    assert_int_equal(rd(GENERATION), 1);
    assert_false(t.level);
    run_up();
    lock_acquire(&t.v.device.lock);
    virtio_config_changed(&t.v);
    lock_release(&t.v.device.lock);
    assert_int_equal(rd(GENERATION), 2);
    assert_int_equal(rd(INT_STATUS), 2);
    assert_true(t.level);
    wr(INT_ACK, 2);
    assert_false(t.level);
}

static void more_queues_than_described(void **state)
{
    (void)state;
    virtio_device_fini(&t.v);
    memset(&t.v, 0, sizeof t.v);
    virtio_device_init(&t.v, &(struct virtio_setup){ .ops = &fake_ops,
                                                     .gmem = &t.driver.m,
                                                     .irq = { .set = set_irq, .n = 5 },
                                                     .queues = VIRTIO_MAX_QUEUES });
    wr(QUEUE_SEL, VIRTIO_MAX_QUEUES - 1);
    assert_int_equal(rd(QUEUE_NUM_MAX), 64);
    wr(QUEUE_SEL, VIRTIO_MAX_QUEUES);
    assert_int_equal(rd(QUEUE_NUM_MAX), 0);
}

static void several_chains_at_once(void **state)
{
    (void)state;
    const struct virtq_used used[] = { { 3, 77 }, { 1, 0 }, { 2, 5 } };
    run_up();
    lock_acquire(&t.v.device.lock);
    assert_true(virtio_queue_runs(&t.v, 0));
    assert_false(virtio_queue_runs(&t.v, 1));
    virtio_push_all(&t.v, 1, used, 3); /* not ready: nothing happens */
    virtio_push_all(&t.v, 0, used, 3);
    virtio_interrupt(&t.v, 0);
    lock_release(&t.v.device.lock);
    assert_int_equal(driver_used_idx(&t.driver), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(driver_used_id(&t.driver, i), used[i].head);
        assert_int_equal(driver_used_len(&t.driver, i), used[i].written);
    }
    assert_true(t.level);
}

static void failure(void **state)
{
    (void)state;
    run_up();
    lock_acquire(&t.v.device.lock);
    virtio_fail(&t.v, "test");
    lock_release(&t.v.device.lock);
    assert_int_equal(rd(STATUS), ACK | DRV | FEAT | OK | NEEDS);
    assert_int_equal(rd(INT_STATUS), 2);
    assert_true(t.level);
    wr(INT_ACK, 2);
    lock_acquire(&t.v.device.lock);
    virtio_fail(&t.v, "once is enough");
    virtio_push(&t.v, 0, 3, 77); /* no more */
    virtio_interrupt(&t.v, 0);
    lock_release(&t.v.device.lock);
    assert_false(t.level);
    assert_int_equal(driver_used_idx(&t.driver), 0);
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(t.notified, 0);
    wr(STATUS, 0);
    run_up(); /* as good as new */
    wr(QUEUE_NOTIFY, 0);
    assert_int_equal(t.notified, 1);
}

static void destroy(void **state)
{
    (void)state;
    run_up();
    t.v.device.ops->destroy(&t.v.device);
    assert_int_equal(t.drained, 1);
    assert_int_equal(t.destroyed, 1);
}

static void fdt_node(void **state)
{
    (void)state;
    char fdt[1024];
    const struct device_place place = { .base = 0xa000200, .spi = 17 };
    assert_int_equal(fdt_create(fdt, sizeof fdt), 0);
    assert_int_equal(fdt_finish_reservemap(fdt), 0);
    assert_int_equal(fdt_begin_node(fdt, ""), 0);
    assert_int_equal(t.v.device.ops->fdt(&t.v.device, fdt, &place), 0);
    assert_int_equal(fdt_end_node(fdt), 0);
    assert_int_equal(fdt_finish(fdt), 0);
    int node = fdt_path_offset(fdt, "/virtio@a000200"), len;
    assert_true(node >= 0);
    assert_string_equal(fdt_getprop(fdt, node, "compatible", &len), "virtio,mmio");
    assert_non_null(fdt_getprop(fdt, node, "dma-coherent", &len));
    assert_memory_equal(fdt_getprop(fdt, node, "reg", &len), "\0\0\0\0\x0a\0\2\0\0\0\0\0\0\0\2\0",
                        16);
    assert_memory_equal(fdt_getprop(fdt, node, "interrupts", &len), "\0\0\0\0\0\0\0\x11\0\0\0\4",
                        12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(offered_features, setup, teardown),
        cmocka_unit_test_setup_teardown(config_space, setup, teardown),
        cmocka_unit_test_setup_teardown(status_machine, setup, teardown),
        cmocka_unit_test_setup_teardown(features_the_device_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(start_at_driver_ok, setup, teardown),
        cmocka_unit_test_setup_teardown(features_beyond, setup, teardown),
        cmocka_unit_test_setup_teardown(config_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(more_queues_than_described, setup, teardown),
        cmocka_unit_test_setup_teardown(several_chains_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(queue_registers, setup, teardown),
        cmocka_unit_test_setup_teardown(queue_needs_features, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_queues, setup, teardown),
        cmocka_unit_test_setup_teardown(queue_is_frozen, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_of_a_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(no_reset_of_a_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(notify, setup, teardown),
        cmocka_unit_test_setup_teardown(interrupts, setup, teardown),
        cmocka_unit_test_setup_teardown(failure, setup, teardown),
        cmocka_unit_test_setup_teardown(destroy, setup, teardown),
        cmocka_unit_test_setup_teardown(fdt_node, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
