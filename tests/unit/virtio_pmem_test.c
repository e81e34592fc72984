/* virtio-pmem: flushes, on a file that is this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/virtio/pmem.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_device.h"

#define ANSWER (VDEV_BUFFERS + 0x1000)

struct pmem {
    struct pmem_flush *waiting[64];
    unsigned count;
};

static struct vdev v;
static struct pmem file;

uint64_t pmem_size(const struct pmem *p)
{
    (void)p;
    return 0x1234500000;
}

void pmem_submit(struct pmem *p, struct pmem_flush *f)
{
    assert_true(p->count < 64);
    p->waiting[p->count++] = f;
}

void pmem_drain(struct pmem *p)
{
    (void)p;
}

static int setup(void **state)
{
    (void)state;
    quiet();
    file.count = 0;
    vdev_init(&v);
    const struct virtio_pmem_config config = {
        .irq = vdev_irq(&v), .gmem = &v.gmem, .pmem = &file, .base = 0x280000000
    };
    return virtio_pmem_create(&config, &v.dev);
}

static int teardown(void **state)
{
    (void)state;
    vdev_fini(&v);
    return 0;
}

/* The n-th request, of `type`, whose answer is at ANSWER + 16 * n. */
static void ask(unsigned n, uint32_t type)
{
    st_le32(v.ram + VDEV_BUFFERS + 4 * n, type);
    memset(v.ram + ANSWER + 16 * n, 0xee, 16);
    vdev_desc(&v, 0, 2 * n, VDEV_BUFFERS + 4 * n, 4, VDEV_NEXT, (uint16_t)(2 * n + 1));
    vdev_desc(&v, 0, 2 * n + 1, ANSWER + 16 * n, 4, VDEV_WRITE, 0);
    vdev_offer(&v, 0, (uint16_t)(2 * n));
    vdev_notify(&v, 0);
}

static void answered(unsigned n, uint32_t result)
{
    uint32_t head, written;
    assert_true(vdev_take(&v, 0, &head, &written));
    assert_int_equal(head, 2 * n);
    assert_int_equal(written, 4);
    assert_int_equal(ld_le32(v.ram + ANSWER + 16 * n), result);
    assert_int_equal(v.ram[ANSWER + 16 * n + 4], 0xee);
}

static void finish(unsigned i, int result)
{
    file.waiting[i]->done(file.waiting[i], result);
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vdev_read(&v, 0x008, 4), 27);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 8), 0x280000000);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 8, 8), 0x1234500000);
    assert_int_equal(vdev_bring_up(&v, vdev_offered(&v), 1), 15);
}

/* Answered when it is done, in whatever order. */
static void flushes(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_bring_up(&v, 0, 1);
    ask(0, 0);
    ask(1, 0);
    assert_false(vdev_take(&v, 0, &head, &written));
    assert_int_equal(file.count, 2);
    finish(1, 0);
    answered(1, 0);
    assert_true(v.level);
    finish(0, -5);
    answered(0, UINT32_MAX);
}

static void unknown_request(void **state)
{
    (void)state;
    vdev_bring_up(&v, 0, 1);
    ask(0, 1);
    answered(0, UINT32_MAX);
    assert_int_equal(file.count, 0);
}

static void no_room_for_the_answer(void **state)
{
    (void)state;
    vdev_bring_up(&v, 0, 1);
    vdev_desc(&v, 0, 0, VDEV_BUFFERS, 4, VDEV_NEXT, 1);
    vdev_desc(&v, 0, 1, ANSWER, 3, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 0);
    vdev_notify(&v, 0);
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
    vdev_bring_up(&v, 0, 1);
    ask(0, 0);
    finish(0, 0);
    answered(0, 0);
}

/* An answer in pieces, with room behind it. */
static void answer_in_pieces(void **state)
{
    (void)state;
    uint32_t head, written;
    vdev_bring_up(&v, 0, 1);
    st_le32(v.ram + VDEV_BUFFERS, 0);
    memset(v.ram + ANSWER, 0xee, 64);
    vdev_desc(&v, 0, 0, VDEV_BUFFERS, 4, VDEV_NEXT, 1);
    vdev_desc(&v, 0, 1, ANSWER, 1, VDEV_WRITE | VDEV_NEXT, 2);
    vdev_desc(&v, 0, 2, ANSWER + 16, 30, VDEV_WRITE, 0);
    vdev_offer(&v, 0, 0);
    vdev_notify(&v, 0);
    finish(0, -1);
    assert_true(vdev_take(&v, 0, &head, &written));
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(v.ram[i == 0 ? ANSWER : ANSWER + 15 + i], 0xff);
    assert_int_equal(v.ram[ANSWER + 1], 0xee);
    assert_int_equal(v.ram[ANSWER + 19], 0xee);
}

/* As many as the ring has, and again. */
static void full_ring(void **state)
{
    (void)state;
    vdev_bring_up(&v, 0, 1);
    for (unsigned round = 0; round < 3; round++) {
        file.count = 0;
        for (unsigned n = 0; n < VDEV_SIZE / 2; n++)
            ask(n, 0);
        assert_int_equal(file.count, VDEV_SIZE / 2);
        for (unsigned n = 0; n < VDEV_SIZE / 2; n++)
            finish(n, 0);
        for (unsigned n = 0; n < VDEV_SIZE / 2; n++)
            answered(n, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(flushes, setup, teardown),
        cmocka_unit_test_setup_teardown(unknown_request, setup, teardown),
        cmocka_unit_test_setup_teardown(no_room_for_the_answer, setup, teardown),
        cmocka_unit_test_setup_teardown(answer_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(full_ring, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
