/* virtio over PCI (virtio 1.2, 4.1): what a driver finds by the capabilities, the common
 * configuration, interrupts by message and by wire; with a device that only counts its calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bits.h"
#include "devices/virtio/device.h"
#include "devices/virtio/pci.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_driver.h"

#define SLOT 5u
#define BAR  0x10008000ull

enum { CAP_COMMON = 1, CAP_NOTIFY, CAP_ISR, CAP_DEVICE, CAP_PCI, CAPS };

static const uint8_t config[] = { 0x11, 0x22, 0x33, 0x44, 0x55, 0x66 };

static struct {
    struct virtio_device *v;
    struct driver driver;
    struct pci_host host;
    unsigned cap[CAPS], msix; /* where they are */
    uint64_t at[CAPS];        /* what they point to */
    bool level;
    unsigned sent;
    uint32_t data;
    unsigned notified, last_queue, destroyed;
    uint64_t config_value;
} t;

static void fake_notify(struct virtio_device *v, unsigned queue)
{
    (void)v;
    t.notified++;
    t.last_queue = queue;
}

static void fake_config_write(struct virtio_device *v, uint64_t offset, unsigned width,
                              uint64_t value)
{
    (void)v;
    t.config_value = value << 16 | width << 8 | offset;
}

static void fake_destroy(struct virtio_device *v)
{
    t.destroyed++;
    virtio_device_fini(v);
    free(v);
}

static const struct virtio_ops fake_ops = {
    .name = "fake",
    .id = 42,
    .queues = 2,
    .queue_size = 64,
    .notify = fake_notify,
    .config_write = fake_config_write,
    .destroy = fake_destroy,
};

static void set_irq(void *ctx, unsigned n, bool level)
{
    (void)ctx;
    (void)n;
    t.level = level;
}

static void send_message(void *ctx, uint32_t requester, uint64_t address, uint32_t data)
{
    (void)ctx;
    assert_int_equal(requester, SLOT << 3);
    assert_int_equal(address, 0x8020040);
    t.sent++;
    t.data = data;
}

static uint32_t cfg(unsigned offset, unsigned width)
{
    return (uint32_t)pci_host_ecam_read(&t.host, SLOT << 15 | offset, width);
}

static void cfg_write(unsigned offset, unsigned width, uint32_t value)
{
    pci_host_ecam_write(&t.host, SLOT << 15 | offset, width, value);
}

static uint64_t get(uint64_t at, unsigned width)
{
    return pci_host_memory_read(&t.host, at - t.host.place.memory, width);
}

static void put(uint64_t at, unsigned width, uint64_t value)
{
    pci_host_memory_write(&t.host, at - t.host.place.memory, width, value);
}

/* As a driver does it: put the BAR somewhere, walk the capabilities. */
static void find_everything(void)
{
    cfg_write(PCI_BAR0, 4, BAR);
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    unsigned steps = 0;
    for (unsigned at = cfg(PCI_CAPABILITIES, 1); at; at = cfg(at + 1, 1)) {
        assert_true(++steps < 10);
        if (cfg(at, 1) == PCI_CAP_MSIX) {
            t.msix = at;
            continue;
        }
        assert_int_equal(cfg(at, 1), PCI_CAP_VENDOR);
        unsigned type = cfg(at + 3, 1);
        assert_in_range(type, CAP_COMMON, CAP_PCI);
        assert_int_equal(t.cap[type], 0);
        assert_int_equal(cfg(at + 2, 1), type == CAP_NOTIFY || type == CAP_PCI ? 20 : 16);
        t.cap[type] = at;
        t.at[type] = BAR + cfg(at + 8, 4);
    }
}

static int setup(void **state)
{
    (void)state;
    quiet();
    memset(&t, 0, sizeof t);
    t.host.place.memory = 0x10000000;
    driver_init(&t.driver, 64);
    t.v = calloc(1, sizeof *t.v);
    virtio_device_init(t.v, &(struct virtio_setup){ .ops = &fake_ops,
                                                    .gmem = &t.driver.m,
                                                    .features = 1ull << 3 | 1ull << 41,
                                                    .config = config,
                                                    .config_size = sizeof config });
    const struct virtio_pci_config c = {
        .slot = SLOT,
        .irq = { .set = set_irq },
        .message = { .send = send_message },
    };
    if (virtio_pci_create(&t.v->device, &t.host, &c) < 0)
        return -1;
    find_everything();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    t.v->device.ops->destroy(&t.v->device);
    assert_int_equal(t.destroyed, 1);
    return 0;
}

/* Bring up with both queues. Vector n + 1 has data 100 + n. */
static void bring_up_with(bool msix, uint64_t features)
{
    uint64_t c = t.at[CAP_COMMON];
    if (msix) {
        cfg_write(t.msix + 2, 2, 1 << 15);
        for (unsigned i = 0; i < 3; i++) {
            put(BAR + 0x4000 + 16 * i, 8, 0x8020040);
            put(BAR + 0x4008 + 16 * i, 8, 100 + i);
        }
        put(c + 0x10, 2, 0);
    }
    put(c + 0x14, 1, 3);
    put(c + 0x08, 4, 1);
    put(c + 0x0c, 4, (VIRTIO_F_VERSION_1 | features) >> 32);
    put(c + 0x14, 1, 11);
    assert_int_equal(get(c + 0x14, 1), 11);
    for (unsigned q = 0; q < 2; q++) {
        put(c + 0x16, 2, q);
        put(c + 0x1a, 2, msix ? q + 1 : 0xffff);
        put(c + 0x20, 8, RAM + RING_DESC + 0x8000 * q);
        put(c + 0x28, 8, RAM + RING_AVAIL + 0x8000 * q);
        put(c + 0x30, 4, RAM + RING_USED + 0x8000 * q);
        put(c + 0x34, 4, 0);
        put(c + 0x1c, 2, 1);
        assert_int_equal(get(c + 0x1c, 2), 1);
    }
    put(c + 0x14, 1, 15);
    assert_int_equal(get(c + 0x14, 1), 15);
}

static void bring_up(bool msix)
{
    bring_up_with(msix, 0);
}

/* One chain comes back on queue 0. */
static void finish_one(void)
{
    lock_acquire(&t.v->device.lock);
    virtio_push(t.v, 0, 0, 0);
    virtio_interrupt(t.v, 0);
    lock_release(&t.v->device.lock);
}

static void change_config(void)
{
    lock_acquire(&t.v->device.lock);
    virtio_config_changed(t.v);
    lock_release(&t.v->device.lock);
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(cfg(PCI_REVISION, 4), 0xff000001); /* of no class */
    assert_int_equal(cfg(0, 4), 0x106a1af4);
    for (unsigned i = CAP_COMMON; i < CAPS; i++)
        assert_true(t.cap[i] != 0);
    assert_int_equal(cfg(t.cap[CAP_COMMON] + 12, 4), 0x3c);
    assert_int_equal(cfg(t.cap[CAP_DEVICE] + 12, 4), sizeof config);
    assert_int_equal(cfg(t.cap[CAP_NOTIFY] + 16, 4), 4);
    assert_int_equal(cfg(t.cap[CAP_NOTIFY] + 12, 4), 8);
    assert_int_equal(cfg(t.msix + 2, 2), 2); /* three vectors */
}

static void common_configuration(void **state)
{
    (void)state;
    uint64_t c = t.at[CAP_COMMON];
    put(c, 4, 0);
    assert_int_equal(get(c + 4, 4), 1u << 3 | 1u << 28 | 1u << 29);
    put(c, 4, 1);
    assert_int_equal(get(c + 4, 4), 1u << 9 | 1u << 8 | 1u << 3 | 1u << 2 | 1u);
    put(c, 4, 2);
    assert_int_equal(get(c, 4), 2);
    assert_int_equal(get(c + 4, 4), 0);
    assert_int_equal(get(c + 0x12, 2), 2);
    assert_int_equal(get(c + 0x18, 2), 64);
    assert_int_equal(get(c + 0x1e, 2), 0);
    put(c + 0x16, 2, 1);
    assert_int_equal(get(c + 0x1e, 2), 1);
    put(c + 0x18, 2, 16);
    assert_int_equal(get(c + 0x18, 2), 16);
    put(c + 0x16, 2, 2); /* there is no such queue */
    assert_int_equal(get(c + 0x18, 2), 0);
    assert_int_equal(get(c + 0x1a, 2), 0xffff);
    put(c + 0x1c, 2, 1);
    assert_int_equal(get(c + 0x1c, 2), 0);
    /* 4.1.3.1: a field in another width than its own is nothing. */
    put(c + 0x14, 4, 3);
    assert_int_equal(get(c + 0x14, 1), 0);
    assert_int_equal(get(c + 0x14, 4), 0);
    assert_int_equal(get(c + 0x12, 1), 0);
    bring_up(false);
    assert_int_equal(get(c + 0x20, 8), RAM + RING_DESC + 0x8000);
    assert_int_equal(get(c + 0x30, 4), RAM + RING_USED + 0x8000);
    assert_int_equal(get(c + 0x18, 2), 16);
    put(c + 0x1c, 2, 0); /* a queue stops by reset only */
    assert_int_equal(get(c + 0x1c, 2), 1);
    put(c + 0x14, 1, 0);
    assert_int_equal(get(c + 0x14, 1), 0);
    assert_int_equal(get(c + 0x1c, 2), 0);
    assert_int_equal(get(c + 0x18, 2), 64);
}

/* 4.1.4.3.2: a queue by itself, which takes its vector along. */
static void reset_of_a_queue(void **state)
{
    (void)state;
    uint64_t c = t.at[CAP_COMMON];
    bring_up_with(true, VIRTIO_F_RING_RESET);
    put(c + 0x16, 2, 0);
    put(c + 0x18, 2, 16); /* frozen */
    assert_int_equal(get(c + 0x18, 2), 64);
    put(c + 0x3a, 2, 1);
    assert_int_equal(get(c + 0x3a, 2), 0);
    assert_int_equal(get(c + 0x1c, 2), 0);
    assert_int_equal(get(c + 0x1a, 2), 0xffff);
    assert_int_equal(get(c + 0x18, 2), 64);
    put(t.at[CAP_NOTIFY], 2, 0);
    assert_int_equal(t.notified, 0);
    put(c + 0x18, 2, 16);
    put(c + 0x1a, 2, 1);
    put(c + 0x20, 8, RAM + RING_DESC);
    put(c + 0x28, 8, RAM + RING_AVAIL);
    put(c + 0x30, 8, RAM + RING_USED);
    put(c + 0x1c, 2, 1);
    assert_int_equal(get(c + 0x1c, 2), 1);
    assert_int_equal(get(c + 0x18, 2), 16);
    put(t.at[CAP_NOTIFY], 2, 0);
    assert_int_equal(t.notified, 1);
    finish_one();
    assert_int_equal(t.data, 101);
    put(c + 0x14, 1, 0);
    bring_up(true); /* without the feature */
    put(c + 0x16, 2, 0);
    put(c + 0x3a, 2, 1);
    assert_int_equal(get(c + 0x1c, 2), 1);
    assert_int_equal(get(c + 0x1a, 2), 1);
    assert_int_equal(get(c + 0x38, 2), 0); /* no data with notifications */
}

static void notifications(void **state)
{
    (void)state;
    put(t.at[CAP_NOTIFY], 2, 0);
    assert_int_equal(t.notified, 0); /* not yet */
    bring_up(true);
    put(t.at[CAP_NOTIFY] + 4, 2, 1);
    assert_int_equal(t.notified, 1);
    assert_int_equal(t.last_queue, 1);
    put(t.at[CAP_NOTIFY], 4, 0);
    assert_int_equal(t.last_queue, 0);
    put(t.at[CAP_NOTIFY] + 8, 4, 2);
    put(t.at[CAP_NOTIFY] + 0xffc, 4, 0);
    assert_int_equal(t.notified, 2);
}

static void device_configuration(void **state)
{
    (void)state;
    assert_int_equal(get(t.at[CAP_DEVICE], 4), 0x44332211);
    assert_int_equal(get(t.at[CAP_DEVICE] + 4, 4), 0x6655);
    assert_int_equal(get(t.at[CAP_DEVICE] + 0xf8, 8), 0);
    assert_int_equal(get(t.at[CAP_DEVICE] + 0x100, 4), 0);
    put(t.at[CAP_DEVICE] + 3, 1, 0x77);
    assert_int_equal(t.config_value, 0x77 << 16 | 1 << 8 | 3);
    put(t.at[CAP_DEVICE] + 0x100, 4, 1);
    assert_int_equal(t.config_value, 0x77 << 16 | 1 << 8 | 3);
    uint32_t before = (uint32_t)get(t.at[CAP_COMMON] + 0x15, 1);
    change_config();
    assert_int_equal(get(t.at[CAP_COMMON] + 0x15, 1), before + 1);
}

static void interrupts_by_message(void **state)
{
    (void)state;
    bring_up(true);
    finish_one();
    assert_int_equal(t.sent, 1);
    assert_int_equal(t.data, 101);
    assert_false(t.level);
    assert_int_equal(get(t.at[CAP_ISR], 1), 0);
    change_config();
    assert_int_equal(t.sent, 2);
    assert_int_equal(t.data, 100);
    assert_false(t.level);
    assert_int_equal(get(t.at[CAP_ISR], 1), 2); /* 4.1.4.5.1 */

    cfg_write(t.msix + 2, 2, 3 << 14); /* masked: it waits */
    finish_one();
    assert_int_equal(t.sent, 2);
    assert_int_equal(get(BAR + 0x5000, 4), 2);
    cfg_write(t.msix + 2, 2, 1 << 15);
    assert_int_equal(t.sent, 3);

    put(t.at[CAP_COMMON] + 0x16, 2, 0);
    put(t.at[CAP_COMMON] + 0x1a, 2, 3); /* there are three vectors */
    assert_int_equal(get(t.at[CAP_COMMON] + 0x1a, 2), 0xffff);
    finish_one();
    assert_int_equal(t.sent, 3);
    put(t.at[CAP_COMMON] + 0x14, 1, 0);
    assert_int_equal(get(t.at[CAP_COMMON] + 0x10, 2), 0xffff);
}

static void interrupts_by_wire(void **state)
{
    (void)state;
    bring_up(false);
    finish_one();
    assert_true(t.level);
    assert_int_equal(t.sent, 0);
    assert_int_equal(cfg(PCI_STATUS, 2), PCI_STATUS_INTERRUPT | PCI_STATUS_CAPABILITIES);
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE);
    assert_false(t.level);
    cfg_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
    assert_true(t.level);
    assert_int_equal(get(t.at[CAP_ISR], 1), 1);
    assert_false(t.level);
    assert_int_equal(get(t.at[CAP_ISR], 1), 0);
    assert_int_equal(cfg(PCI_STATUS, 2), PCI_STATUS_CAPABILITIES);
    change_config();
    assert_true(t.level);
    cfg_write(t.msix + 2, 2, 1 << 15); /* no wire with messages */
    assert_false(t.level);
}

/* 4.1.4.9: for firmware that cannot reach BARs. */
static void window_in_configuration_space(void **state)
{
    (void)state;
    unsigned w = t.cap[CAP_PCI];
    cfg_write(PCI_COMMAND, 2, 0); /* works without memory accesses */
    cfg_write(w + 8, 4, 0x12);
    cfg_write(w + 12, 4, 2);
    assert_int_equal(cfg(w + 16, 2), 2);
    cfg_write(w + 8, 4, 0x14);
    cfg_write(w + 12, 4, 1);
    cfg_write(w + 16, 1, 3);
    assert_int_equal(cfg(w + 16, 1), 3);
    assert_int_equal(t.v->status, 3);
    cfg_write(w + 16, 4, 0); /* not the length that was set */
    assert_int_equal(t.v->status, 3);
    static const struct {
        uint32_t offset, length, bar;
    } bad[] = { { 0x14, 0, 0 },          { 0x14, 3, 0 },       { 0x14, 4, 1 },
                { 0x8000, 4, 0 },        { 0xfffffffc, 4, 0 }, { 0x16, 4, 0 },
                { 0x14, 0xffffffff, 0 }, { 0x7fffffff, 1, 0 }, { 0x8000, 1, 0 } };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        cfg_write(w + 4, 1, bad[i].bar);
        cfg_write(w + 8, 4, bad[i].offset);
        cfg_write(w + 12, 4, bad[i].length);
        for (unsigned width = 1; width <= 4; width *= 2) {
            (void)cfg(w + 16, width);
            cfg_write(w + 16, width, 0);
        }
        assert_int_equal(t.v->status, 3);
    }
}

static void reset_takes_all_back(void **state)
{
    (void)state;
    bring_up(true);
    lock_acquire(&t.v->device.lock);
    t.v->device.ops->reset(&t.v->device);
    lock_release(&t.v->device.lock);
    assert_int_equal(cfg(PCI_BAR0, 4), 0);
    assert_int_equal(cfg(PCI_COMMAND, 2), 0);
    assert_int_equal(cfg(t.msix + 2, 2), 2);
    assert_int_equal(get(t.at[CAP_COMMON] + 0x14, 1), 0xff);
    assert_int_equal(t.v->status, 0);
    memset(t.cap, 0, sizeof t.cap);
    find_everything();
    bring_up(true);
    finish_one();
    assert_int_equal(t.sent, 1);
}

/* Every offset of the BAR and of the space in every width, with few bits and with all. */
static void nothing_is_out_of_bounds(void **state)
{
    (void)state;
    bring_up(true);
    for (uint64_t at = 0; at < 0x8000; at++) {
        for (unsigned width = 1; width <= 8; width *= 2) {
            if (at % width)
                continue;
            put(BAR + at, width, at % 3 ? UINT64_MAX : at);
            (void)get(BAR + at, width);
        }
    }
    for (unsigned at = 0; at < 0x1000; at++) {
        for (unsigned width = 1; width <= 4; width *= 2) {
            if (at % width)
                continue;
            cfg_write(at, width, UINT32_MAX);
            (void)cfg(at, width);
        }
    }
    assert_int_equal(cfg(0, 4), 0x106a1af4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(common_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_of_a_queue, setup, teardown),
        cmocka_unit_test_setup_teardown(notifications, setup, teardown),
        cmocka_unit_test_setup_teardown(device_configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(interrupts_by_message, setup, teardown),
        cmocka_unit_test_setup_teardown(interrupts_by_wire, setup, teardown),
        cmocka_unit_test_setup_teardown(window_in_configuration_space, setup, teardown),
        cmocka_unit_test_setup_teardown(reset_takes_all_back, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_is_out_of_bounds, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
