/* virtio-balloon: what the driver gives away reads as zeroes, and nothing else changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "devices/virtio/balloon.h"
#include "host/memory.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_device.h"

#define BALLOON_QUEUES 5
#define REPORTING_BIT  (1ull << 5)
#define LIST           VDEV_BUFFERS             /* where page numbers are */
#define PAGES          (VDEV_BUFFERS + 0x10000) /* where the pages are that they name */

static struct vdev v;
static struct memory memory; /* what it gives back of */
static uint32_t page;        /* of the host, at most 64 KiB */

static void give_back(void *ctx, void *p, size_t n)
{
    memory_give_back(ctx, p, n);
}

static int setup(void **state)
{
    (void)state;
    quiet();
    vdev_init(&v);
    page = (uint32_t)sysconf(_SC_PAGESIZE);
    memset(v.ram + LIST, 0xaa, VDEV_RAM_SIZE - LIST);
    const struct virtio_balloon_config config = {
        .irq = vdev_irq(&v),
        .ram = &v.gmem,
        .gmem = &v.gmem,
        .pages = 1000,
        .give_back = give_back,
        .ctx = &memory,
    };
    memory = (struct memory){ .base = v.ram, .size = VDEV_RAM_SIZE, .fd = -1 };
    return virtio_balloon_create(&config, &v.dev);
}

static int teardown(void **state)
{
    (void)state;
    vdev_fini(&v);
    return 0;
}

/* [start, end) of RAM is zero, and a byte on either side is not. */
static void is_hole(uint32_t start, uint32_t end)
{
    for (uint32_t i = start; i < end; i++)
        assert_int_equal(v.ram[i], 0);
    assert_int_equal(v.ram[start - 1], 0xaa);
    assert_int_equal(v.ram[end], 0xaa);
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vdev_read(&v, 0x008, 4), 5);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 4), 1000);
    assert_int_equal(vdev_bring_up(&v, vdev_offered(&v), BALLOON_QUEUES), 15);
}

/* The driver says how much it gave; num_pages is ours. */
static void actual_is_the_drivers(void **state)
{
    (void)state;
    vdev_bring_up(&v, 0, 2);
    vdev_write(&v, VDEV_REG_CONFIG, 7);
    vdev_write(&v, VDEV_REG_CONFIG + 4, 0x12345);
    vdev_write(&v, VDEV_REG_CONFIG + 8, 9);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 4), 1000);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 4, 4), 0x12345);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 8, 4), 0);
    vdev_write(&v, VDEV_REG_STATUS, 0);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 4, 4), 0);
}

/* Reported buffers are rounded inwards to whole pages of the host. Linux' queue is 2, the
 * specification's is 4. */
static void reported_pages_are_zero(void **state)
{
    (void)state;
    uint32_t head, written;
    static const unsigned queues[] = { 2, 4 };
    vdev_bring_up(&v, REPORTING_BIT, BALLOON_QUEUES);
    for (unsigned i = 0; i < 2; i++) {
        uint32_t at = PAGES + i * 5 * page;
        vdev_desc(&v, queues[i], 0, at + 1, 3 * page, VDEV_WRITE | VDEV_NEXT, 1);
        vdev_desc(&v, queues[i], 1, at + 4 * page, page, VDEV_WRITE, 0);
        vdev_offer(&v, queues[i], 0);
        vdev_notify(&v, queues[i]);
        assert_true(vdev_take(&v, queues[i], &head, &written));
        assert_int_equal(written, 0);
        is_hole(at + page, at + 3 * page);
        is_hole(at + 4 * page, at + 5 * page);
    }
    assert_true(v.level);
}

/* Without the feature the queue gives nothing back. */
static void reporting_is_negotiated(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_bring_up(&v, 0, BALLOON_QUEUES);
    vdev_desc(&v, 2, 0, PAGES, page, VDEV_WRITE, 0);
    vdev_offer(&v, 2, 0);
    vdev_notify(&v, 2);
    assert_true(vdev_take(&v, 2, &head, &written));
    assert_int_equal(v.ram[PAGES], 0xaa);
}

static void inflate(const uint32_t *numbers, unsigned n)
{
    uint32_t head, written;
    for (unsigned i = 0; i < n; i++)
        st_le32(v.ram + LIST + 4 * i, numbers[i]);
    vdev_desc(&v, 0, 0, LIST, 4 * n, 0, 0);
    vdev_offer(&v, 0, 0);
    vdev_notify(&v, 0);
    assert_true(vdev_take(&v, 0, &head, &written));
}

/* Page numbers upwards, downwards and in between, each run as one: a host page may be larger. */
static void inflated_pages_are_zero(void **state)
{
    (void)state;
    uint32_t numbers[48], n = 0;
    uint32_t each = page / BALLOON_PAGE, number = (uint32_t)((VDEV_RAM + PAGES) / BALLOON_PAGE);
    vdev_bring_up(&v, 0, 2);
    for (uint32_t i = 0; i < 2 * each; i++)
        numbers[n++] = number + i;
    for (uint32_t i = each; i > 0; i--)
        numbers[n++] = number + 4 * each + i - 1;
    inflate(numbers, n);
    is_hole(PAGES, PAGES + 2 * page);
    is_hole(PAGES + 4 * page, PAGES + 5 * page);
}

/* What is not RAM, and a list that is cut off, are no error; a page comes back by itself. */
static void odd_numbers(void **state)
{
    (void)state;
    uint32_t head, written;
    const uint32_t nowhere[] = { 0, UINT32_MAX, UINT32_MAX - 1, 0x10 };
    vdev_bring_up(&v, 0, 2);
    inflate(nowhere, 4);
    vdev_desc(&v, 0, 0, LIST, 7, 0, 0);
    vdev_offer(&v, 0, 0);
    vdev_desc(&v, 0, 1, LIST, 64, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 1);
    vdev_notify(&v, 0);
    assert_true(vdev_take(&v, 0, &head, &written));
    assert_true(vdev_take(&v, 0, &head, &written));
    vdev_desc(&v, 1, 0, LIST, 4, 0, 0);
    vdev_offer(&v, 1, 0);
    vdev_notify(&v, 1);
    assert_true(vdev_take(&v, 1, &head, &written));
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15);
    for (uint32_t i = PAGES; i < VDEV_RAM_SIZE; i++)
        assert_int_equal(v.ram[i], 0xaa);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(actual_is_the_drivers, setup, teardown),
        cmocka_unit_test_setup_teardown(reported_pages_are_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(reporting_is_negotiated, setup, teardown),
        cmocka_unit_test_setup_teardown(inflated_pages_are_zero, setup, teardown),
        cmocka_unit_test_setup_teardown(odd_numbers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
