/* The bus: what it finds, what it filters, what it logs. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "vmm/bus.h"

/* Remembers the last access. */
struct recorder {
    struct device device;
    unsigned cpu, width, calls;
    uint64_t offset, value;
};

static uint64_t recorder_read(struct device *d, uint64_t offset, unsigned width)
{
    struct recorder *r = CONTAINER_OF(d, struct recorder, device);
    r->offset = offset;
    r->width = width;
    r->calls++;
    return 0x1122334455667788;
}

static void recorder_write(struct device *d, uint64_t offset, unsigned width, uint64_t value)
{
    struct recorder *r = CONTAINER_OF(d, struct recorder, device);
    r->offset = offset;
    r->width = width;
    r->value = value;
    r->calls++;
}

static const struct device_ops recorder_ops = {
    .name = "recorder",
    .size = 0x100,
    .min_width = 2,
    .max_width = 4,
    .read = recorder_read,
    .write = recorder_write,
};

static void recorder_init(struct recorder *r)
{
    *r = (struct recorder){ .device.ops = &recorder_ops };
    lock_init(&r->device.lock, LOCK_DEVICE);
}

static uint64_t banked_read(void *ctx, unsigned cpu, uint64_t offset, unsigned width)
{
    struct recorder *r = ctx;
    r->cpu = cpu;
    r->offset = offset;
    r->width = width;
    return cpu + 100;
}

static void banked_write(void *ctx, unsigned cpu, uint64_t offset, unsigned width, uint64_t value)
{
    (void)banked_read(ctx, cpu, offset, width);
    ((struct recorder *)ctx)->value = value;
}

static const struct bus_ops banked_ops = {
    .name = "banked",
    .min_width = 1,
    .max_width = 8,
    .read = banked_read,
    .write = banked_write,
};

static void test_adds_only_sound_windows(void **state)
{
    (void)state;
    struct bus b = { 0 };
    assert_int_equal(bus_add(&b, 0x1000, 0x100, &banked_ops, NULL), 0);
    assert_int_equal(bus_add(&b, 0x1000, 0x100, &banked_ops, NULL), -EINVAL);
    assert_int_equal(bus_add(&b, 0x10ff, 1, &banked_ops, NULL), -EINVAL);
    assert_int_equal(bus_add(&b, 0xfff, 2, &banked_ops, NULL), -EINVAL);
    assert_int_equal(bus_add(&b, 0x2000, 0, &banked_ops, NULL), -EINVAL);
    assert_int_equal(bus_add(&b, UINT64_MAX, 2, &banked_ops, NULL), -EINVAL);
    assert_int_equal(bus_add(&b, 0x1100, 1, &banked_ops, NULL), 0);
    assert_int_equal(bus_add(&b, 0xfff, 1, &banked_ops, NULL), 0);
    assert_int_equal(bus_add(&b, UINT64_MAX, 1, &banked_ops, NULL), 0);
    bus_freeze(&b);
    assert_int_equal(bus_add(&b, 0x3000, 1, &banked_ops, NULL), -EBUSY);
}

static void test_refuses_more_than_it_holds(void **state)
{
    (void)state;
    struct bus b = { 0 };
    for (unsigned i = 0; i < BUS_MAX_WINDOWS; i++)
        assert_int_equal(bus_add(&b, 0x1000 * i, 1, &banked_ops, NULL), 0);
    assert_int_equal(bus_add(&b, 0x100000, 1, &banked_ops, NULL), -ENOSPC);
}

static void test_finds_each_window(void **state)
{
    (void)state;
    struct bus b = { 0 };
    struct recorder r[9];
    for (unsigned i = 0; i < 9; i++) {
        recorder_init(&r[i]);
        /* Added in another order than ascending. */
        assert_int_equal(bus_add_device(&b, 0x1000 * ((i * 5) % 9), &r[i].device), 0);
    }
    bus_freeze(&b);
    for (unsigned i = 0; i < 9; i++) {
        gpa_t base = 0x1000 * ((i * 5) % 9);
        bus_write(&b, 0, base, 4, 0xabcdef);
        assert_int_equal(r[i].offset, 0);
        assert_int_equal(r[i].value, 0xabcdef);
        assert_int_equal(bus_read(&b, 0, base + 0xfc, 4), 0x55667788);
        assert_int_equal(r[i].offset, 0xfc);
        assert_int_equal(r[i].calls, 2);
        assert_int_equal(bus_read(&b, 0, base + 0x100, 4), 0);
        assert_int_equal(r[i].calls, 2);
    }
}

static void test_filters_width_and_alignment(void **state)
{
    (void)state;
    struct bus b = { 0 };
    struct recorder r;
    recorder_init(&r);
    assert_int_equal(bus_add_device(&b, 0x1000, &r.device), 0);
    bus_freeze(&b);
    assert_int_equal(bus_read(&b, 0, 0x1000, 1), 0);
    assert_int_equal(bus_read(&b, 0, 0x1000, 8), 0);
    assert_int_equal(bus_read(&b, 0, 0x1002, 4), 0);
    assert_int_equal(bus_read(&b, 0, 0x1001, 2), 0);
    bus_write(&b, 0, 0x1001, 2, 1);
    bus_write(&b, 0, 0x1000, 8, 1);
    assert_int_equal(r.calls, 0);
    assert_int_equal(bus_read(&b, 0, 0x1002, 2), 0x7788);
    assert_int_equal(r.width, 2);
    bus_write(&b, 0, 0x1004, 2, 0x12345678);
    assert_int_equal(r.value, 0x5678);
}

static void test_access_does_not_reach_over_the_end(void **state)
{
    (void)state;
    struct bus b = { 0 };
    struct recorder r = { 0 };
    assert_int_equal(bus_add(&b, 0x1000, 6, &banked_ops, &r), 0);
    bus_freeze(&b);
    assert_int_equal(bus_read(&b, 1, 0x1004, 4), 0);
    assert_int_equal(r.width, 0);
    assert_int_equal(bus_read(&b, 1, 0x1004, 2), 101);
}

static void test_passes_the_cpu(void **state)
{
    (void)state;
    struct bus b = { 0 };
    struct recorder r = { 0 };
    assert_int_equal(bus_add(&b, 0x8000000, 0x1000, &banked_ops, &r), 0);
    bus_freeze(&b);
    assert_int_equal(bus_read(&b, 3, 0x8000010, 8), 103);
    assert_int_equal(r.cpu, 3);
    bus_write(&b, 7, 0x8000020, 1, 0xfff);
    assert_int_equal(r.cpu, 7);
    assert_int_equal(r.offset, 0x20);
    assert_int_equal(r.value, 0xff);
}

struct lines {
    unsigned misses, silent;
};

static void count_line(void *ctx, const char *line)
{
    struct lines *lines = ctx;
    lines->misses += strstr(line, "no device") != NULL;
    lines->silent += strstr(line, "not shown") != NULL;
}

static void test_unmapped_is_zero_and_logged_once(void **state)
{
    (void)state;
    struct bus b = { 0 };
    struct lines lines = { 0 };
    bus_freeze(&b);
    log_set_sink(count_line, &lines);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(bus_read(&b, 0, 0x5000 + 8 * i, 8), 0);
        bus_write(&b, 0, 0x5100, 4, 1);
    }
    assert_int_equal(lines.misses, 1);
    assert_int_equal(bus_read(&b, 0, 0x6000, 4), 0);
    assert_int_equal(lines.misses, 2);
    assert_int_equal(lines.silent, 0);
    /* A guest that walks through the address space cannot fill the log. */
    for (unsigned i = 0; i < 1000; i++)
        assert_int_equal(bus_read(&b, 0, 0x100000 + 0x1000ull * i, 4), 0);
    assert_int_equal(lines.misses, BUS_MISSES);
    assert_int_equal(lines.silent, 1);
    log_set_sink(NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_adds_only_sound_windows),
        cmocka_unit_test(test_refuses_more_than_it_holds),
        cmocka_unit_test(test_finds_each_window),
        cmocka_unit_test(test_filters_width_and_alignment),
        cmocka_unit_test(test_access_does_not_reach_over_the_end),
        cmocka_unit_test(test_passes_the_cpu),
        cmocka_unit_test(test_unmapped_is_zero_and_logged_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
