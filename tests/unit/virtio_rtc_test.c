/* virtio-rtc: each request as Linux' driver makes it, and those that nobody should make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/virtio/rtc.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_device.h"

#define TIME   0x18f1234567890abcull
#define COUNT  0x00abcdef01234567ull
#define ANSWER (VDEV_BUFFERS + 0x1000)

enum { READ = 1, READ_CROSS = 2, CONFIG = 0x1000, CLOCK_CAP = 0x1001, CROSS_CAP = 0x1002 };
enum { OK = 0, NOT_SUPPORTED = 2, NO_CLOCK = 3, INVALID = 4 };

static struct vdev v;

static void fake_clock(void *ctx, uint64_t *realtime_ns, uint64_t *count)
{
    assert_ptr_equal(ctx, &v);
    *realtime_ns = TIME;
    *count = COUNT;
}

static int setup(void **state)
{
    (void)state;
    quiet();
    vdev_init(&v);
    const struct virtio_rtc_config config = {
        .irq = vdev_irq(&v), .gmem = &v.gmem, .clock = fake_clock, .ctx = &v
    };
    int r = virtio_rtc_create(&config, &v.dev);
    if (r == 0)
        vdev_bring_up(&v, 0, 1);
    return r;
}

static int teardown(void **state)
{
    (void)state;
    vdev_fini(&v);
    return 0;
}

/* A request of `length` bytes with room for `room` in return; how many came. */
static uint32_t ask(uint16_t type, uint16_t clock, uint8_t counter, uint32_t length, uint32_t room)
{
    uint32_t head, written = 0;
    uint8_t *in = v.ram + VDEV_BUFFERS;
    memset(in, 0, 32);
    st_le16(in, type);
    st_le16(in + 8, clock);
    in[10] = counter;
    memset(v.ram + ANSWER, 0xee, 64);
    vdev_desc(&v, 0, 0, VDEV_BUFFERS, length, VDEV_NEXT, 1);
    vdev_desc(&v, 0, 1, ANSWER, room, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 0);
    vdev_notify(&v, 0);
    assert_true(vdev_take(&v, 0, &head, &written));
    assert_int_equal(v.ram[ANSWER + written], 0xee);
    return written;
}

static void answered(uint32_t length, uint32_t expected, uint8_t status)
{
    assert_int_equal(length, expected);
    assert_int_equal(v.ram[ANSWER], status);
    for (unsigned i = 1; i < 8; i++)
        assert_int_equal(v.ram[ANSWER + i], 0);
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vdev_read(&v, 0x008, 4), 17);
    assert_int_equal(vdev_offered(&v) & 0xffffff, 0);
}

static void capabilities(void **state)
{
    (void)state;
    answered(ask(CONFIG, 0, 0, 8, 16), 16, OK);
    assert_int_equal(ld_le64(v.ram + ANSWER + 8), 1); /* one clock */
    answered(ask(CLOCK_CAP, 0, 0, 16, 16), 16, OK);
    assert_int_equal(ld_le64(v.ram + ANSWER + 8), 0); /* UTC, not smeared */
    answered(ask(CROSS_CAP, 0, 0, 16, 16), 16, OK);
    assert_int_equal(ld_le64(v.ram + ANSWER + 8), 1);
    answered(ask(CROSS_CAP, 0, 1, 16, 16), 16, OK); /* an x86's TSC */
    assert_int_equal(ld_le64(v.ram + ANSWER + 8), 0);
}

static void readings(void **state)
{
    (void)state;
    answered(ask(READ, 0, 0, 16, 16), 16, OK);
    assert_true(ld_le64(v.ram + ANSWER + 8) == TIME);
    answered(ask(READ_CROSS, 0, 0, 16, 24), 24, OK);
    assert_true(ld_le64(v.ram + ANSWER + 8) == TIME);
    assert_true(ld_le64(v.ram + ANSWER + 16) == COUNT);
    assert_true(v.level);
}

static void errors(void **state)
{
    (void)state;
    answered(ask(READ, 1, 0, 16, 16), 8, NO_CLOCK);
    answered(ask(CLOCK_CAP, 0xffff, 0, 16, 16), 8, NO_CLOCK);
    answered(ask(READ_CROSS, 0, 1, 16, 24), 8, NOT_SUPPORTED);
    answered(ask(0x1003, 0, 0, 16, 64), 8, NOT_SUPPORTED); /* alarms */
    answered(ask(0, 0, 0, 16, 16), 8, NOT_SUPPORTED);
    answered(ask(READ, 0, 0, 15, 16), 8, INVALID);
    answered(ask(READ, 0, 0, 7, 16), 8, INVALID);
    answered(ask(READ_CROSS, 0, 0, 16, 23), 8, INVALID);
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15);
}

/* Not even a status fits. */
static void no_room(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_desc(&v, 0, 0, VDEV_BUFFERS, 16, VDEV_NEXT, 1);
    vdev_desc(&v, 0, 1, ANSWER, 7, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 0);
    vdev_notify(&v, 0);
    assert_false(vdev_take(&v, 0, &head, &written));
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(capabilities, setup, teardown),
        cmocka_unit_test_setup_teardown(readings, setup, teardown),
        cmocka_unit_test_setup_teardown(errors, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
