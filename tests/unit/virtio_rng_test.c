/* virtio-rng: buffers come back full, up to what one is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/virtio/rng.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_device.h"

static struct vdev v;

static int setup(void **state)
{
    (void)state;
    quiet();
    vdev_init(&v);
    return virtio_rng_create(&(struct virtio_rng_config){ vdev_irq(&v), &v.gmem }, &v.dev);
}

static int teardown(void **state)
{
    (void)state;
    vdev_fini(&v);
    return 0;
}

static unsigned different_bytes(const uint8_t *p, unsigned n)
{
    bool seen[256] = { false };
    unsigned count = 0;
    for (unsigned i = 0; i < n; i++) {
        count += !seen[p[i]];
        seen[p[i]] = true;
    }
    return count;
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vdev_read(&v, 0x008, 4), 4);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 4), 0);
    assert_int_equal(vdev_bring_up(&v, 0, 1), 15);
}

/* A chain of two buffers of odd sizes: full, and nothing beyond it touched. */
static void fills_a_chain(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_bring_up(&v, 0, 1);
    vdev_desc(&v, 0, 3, VDEV_BUFFERS, 301, VDEV_WRITE | VDEV_NEXT, 5);
    vdev_desc(&v, 0, 5, VDEV_BUFFERS + 0x1000, 700, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 3);
    assert_false(vdev_take(&v, 0, &head, &written));
    vdev_notify(&v, 0);
    assert_true(vdev_take(&v, 0, &head, &written));
    assert_int_equal(head, 3);
    assert_int_equal(written, 1001);
    assert_true(v.level);
    assert_true(different_bytes(v.ram + VDEV_BUFFERS, 301) > 100);
    assert_true(different_bytes(v.ram + VDEV_BUFFERS + 0x1000, 700) > 150);
    assert_int_equal(v.ram[VDEV_BUFFERS + 301], 0);
    assert_int_equal(v.ram[VDEV_BUFFERS + 0x1000 + 700], 0);
}

static void long_buffer_is_filled_in_part(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_bring_up(&v, 0, 1);
    vdev_desc(&v, 0, 0, VDEV_BUFFERS, 0x80000, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 0);
    vdev_notify(&v, 0);
    assert_true(vdev_take(&v, 0, &head, &written));
    assert_int_equal(written, 4096);
    assert_true(different_bytes(v.ram + VDEV_BUFFERS + 2048, 2048) > 240);
    assert_int_equal(different_bytes(v.ram + VDEV_BUFFERS + 4096, 4096), 1);
}

static void many_at_once(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_bring_up(&v, VIRTIO_F_EVENT_IDX, 1);
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < VDEV_SIZE; i++) {
            vdev_desc(&v, 0, i, VDEV_BUFFERS + 64 * i, 64, VDEV_WRITE, 0);
            vdev_offer(&v, 0, (uint16_t)i);
        }
        vdev_notify(&v, 0);
        for (unsigned i = 0; i < VDEV_SIZE; i++) {
            assert_true(vdev_take(&v, 0, &head, &written));
            assert_int_equal(head, i);
            assert_int_equal(written, 64);
        }
    }
}

/* A buffer that cannot be written comes back empty; one outside of RAM stops the device. */
static void bad_buffers(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_bring_up(&v, 0, 1);
    vdev_desc(&v, 0, 0, VDEV_BUFFERS, 64, 0, 0);
    vdev_offer(&v, 0, 0);
    vdev_notify(&v, 0);
    assert_true(vdev_take(&v, 0, &head, &written));
    assert_int_equal(written, 0);
    vdev_desc(&v, 0, 1, VDEV_RAM_SIZE - 8, 64, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 1);
    vdev_notify(&v, 0);
    assert_false(vdev_take(&v, 0, &head, &written));
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
    assert_int_equal(vdev_bring_up(&v, 0, 1), 15); /* as good as new */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(fills_a_chain, setup, teardown),
        cmocka_unit_test_setup_teardown(long_buffer_is_filled_in_part, setup, teardown),
        cmocka_unit_test_setup_teardown(many_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_buffers, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
