/* virtio-vsock: packets between the queues and a host's end that is this test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/virtio/vsock.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_device.h"

enum { RX, TX, EVENT, QUEUES };
#define HEADER 44

struct vsock {
    struct vsock_client client;
    unsigned wakes;
    uint32_t epoch;
};

static struct vdev v;
static struct vsock host;

int vsock_start(struct vsock *s, const struct vsock_client *client)
{
    s->client = *client;
    return 0;
}

void vsock_stop(struct vsock *s)
{
    (void)s;
}

void vsock_wake(struct vsock *s)
{
    s->wakes++;
}

void vsock_reset(struct vsock *s, uint32_t epoch)
{
    s->epoch = epoch;
}

static int setup(void **state)
{
    (void)state;
    quiet();
    host = (struct vsock){ .epoch = 0 };
    vdev_init(&v);
    const struct virtio_vsock_config config = {
        .irq = vdev_irq(&v), .gmem = &v.gmem, .vsock = &host, .cid = 0x12345678
    };
    return virtio_vsock_create(&config, &v.dev);
}

static int teardown(void **state)
{
    (void)state;
    vdev_fini(&v);
    return 0;
}

static bool transmit(struct vsock_packet *p, uint8_t *data)
{
    *p = (struct vsock_packet){ .data = data };
    return host.client.transmit(host.client.ctx, p);
}

static void put_header(uint8_t *h, uint32_t length)
{
    st_le64(h, 3);
    st_le64(h + 8, 2);
    st_le32(h + 16, 0x1001);
    st_le32(h + 20, 0x2002);
    st_le32(h + 24, length);
    st_le16(h + 28, 1);
    st_le16(h + 30, VSOCK_OP_RW);
    st_le32(h + 32, 0xf1);
    st_le32(h + 36, 0xa1);
    st_le32(h + 40, 0xc1);
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vdev_read(&v, 0x008, 4), 19);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 4), 0x12345678);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 4, 4), 0);
    assert_int_equal(vdev_offered(&v) & 0xffffff, 1);
    assert_int_equal(vdev_bring_up(&v, vdev_offered(&v), QUEUES), 15);
    assert_true(host.wakes > 0);
}

/* Header and payload in any pieces. */
static void packets_from_the_driver(void **state)
{
    (void)state;
    static uint8_t data[VSOCK_PAYLOAD_MAX];
    struct vsock_packet p;
    uint32_t head, written;
    vdev_bring_up(&v, 0, QUEUES);
    assert_false(transmit(&p, data));
    put_header(v.ram + VDEV_BUFFERS, 1000);
    memset(v.ram + VDEV_BUFFERS + HEADER, 0x77, 1000);
    vdev_desc(&v, TX, 0, VDEV_BUFFERS, 10, VDEV_NEXT, 1);
    vdev_desc(&v, TX, 1, VDEV_BUFFERS + 10, 500, VDEV_NEXT, 2);
    vdev_desc(&v, TX, 2, VDEV_BUFFERS + 510, HEADER + 1000 - 510, 0, 0);
    vdev_offer(&v, TX, 0);
    unsigned wakes = host.wakes;
    vdev_notify(&v, TX);
    assert_int_equal(host.wakes, wakes + 1);
    assert_true(transmit(&p, data));
    assert_int_equal(p.src_cid, 3);
    assert_int_equal(p.dst_cid, 2);
    assert_int_equal(p.src_port, 0x1001);
    assert_int_equal(p.dst_port, 0x2002);
    assert_int_equal(p.length, 1000);
    assert_int_equal(p.type, 1);
    assert_int_equal(p.op, VSOCK_OP_RW);
    assert_int_equal(p.flags, 0xf1);
    assert_int_equal(p.buf_alloc, 0xa1);
    assert_int_equal(p.fwd_cnt, 0xc1);
    assert_int_equal(data[999], 0x77);
    assert_int_equal(data[1000], 0);
    assert_true(vdev_take(&v, TX, &head, &written));
    assert_false(v.level);
    host.client.pause(host.client.ctx);
    assert_true(v.level);
}

/* A header without its payload, half a header, a payload beyond what a packet may have: no one's.
 */
static void packets_that_are_none(void **state)
{
    (void)state;
    static uint8_t data[VSOCK_PAYLOAD_MAX];
    static const uint32_t cases[][2] = {
        { 100, HEADER + 99 }, { 0, HEADER - 1 }, { 70000, HEADER + 70000 }, { UINT32_MAX, HEADER }
    };
    struct vsock_packet p;
    vdev_bring_up(&v, 0, QUEUES);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_header(v.ram + VDEV_BUFFERS, cases[i][0]);
        vdev_desc(&v, TX, 0, VDEV_BUFFERS, cases[i][1], 0, 0);
        vdev_offer(&v, TX, 0);
        assert_true(transmit(&p, data));
        assert_int_equal(p.src_cid, 0);
    }
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15);
}

static void packets_to_the_driver(void **state)
{
    (void)state;
    static uint8_t data[5000];
    uint32_t head, written;
    memset(data, 0x66, sizeof data);
    struct vsock_packet p = { .src_cid = 2,
                              .dst_cid = 3,
                              .src_port = 9,
                              .dst_port = 8,
                              .type = 1,
                              .op = VSOCK_OP_RW,
                              .flags = 7,
                              .buf_alloc = 6,
                              .fwd_cnt = 5,
                              .length = sizeof data,
                              .data = data };
    assert_int_equal(host.client.receive(host.client.ctx, &p), -1); /* no driver */
    vdev_bring_up(&v, 0, QUEUES);
    assert_int_equal(host.client.receive(host.client.ctx, &p), -1); /* no buffer */
    vdev_desc(&v, RX, 0, VDEV_BUFFERS, HEADER, VDEV_WRITE | VDEV_NEXT, 1);
    vdev_desc(&v, RX, 1, VDEV_BUFFERS + 0x1000, 4096, VDEV_WRITE, 0);
    vdev_offer(&v, RX, 0);
    assert_int_equal(host.client.receive(host.client.ctx, &p), 4096);
    assert_true(vdev_take(&v, RX, &head, &written));
    assert_int_equal(written, HEADER + 4096);
    const uint8_t *h = v.ram + VDEV_BUFFERS;
    assert_int_equal(ld_le64(h), 2);
    assert_int_equal(ld_le64(h + 8), 3);
    assert_int_equal(ld_le32(h + 16), 9);
    assert_int_equal(ld_le32(h + 20), 8);
    assert_int_equal(ld_le32(h + 24), 4096);
    assert_int_equal(ld_le16(h + 28), 1);
    assert_int_equal(ld_le16(h + 30), VSOCK_OP_RW);
    assert_int_equal(ld_le32(h + 32), 7);
    assert_int_equal(ld_le32(h + 36), 6);
    assert_int_equal(ld_le32(h + 40), 5);
    assert_int_equal(v.ram[VDEV_BUFFERS + 0x1fff], 0x66);
    assert_int_equal(v.ram[VDEV_BUFFERS + 0x2000], 0);
    host.client.pause(host.client.ctx);
    assert_true(v.level);
}

/* A buffer that holds no packet is the driver's fault. */
static void small_buffers(void **state)
{
    (void)state;
    uint8_t data[1] = { 0 };
    const struct vsock_packet p = { .op = VSOCK_OP_RW, .length = 1, .data = data };
    static const uint32_t sizes[] = { HEADER - 1, HEADER };
    for (unsigned i = 0; i < 2; i++) {
        vdev_bring_up(&v, 0, QUEUES);
        struct vsock_packet now = p;
        now.epoch = host.epoch;
        vdev_desc(&v, RX, 0, VDEV_BUFFERS, sizes[i], VDEV_WRITE, 0);
        vdev_offer(&v, RX, 0);
        assert_int_equal(host.client.receive(host.client.ctx, &now), -1);
        assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
    }
}

/* Looking for the device is no reset; the end of a driver is, and its packets go nowhere. */
static void epochs(void **state)
{
    (void)state;
    uint8_t data[4] = { 0 };
    vdev_write(&v, VDEV_REG_STATUS, 0);
    assert_int_equal(host.epoch, 0);
    vdev_bring_up(&v, 0, QUEUES);
    vdev_bring_up(&v, 0, QUEUES);
    assert_int_equal(host.epoch, 1);
    struct vsock_packet p = { .op = VSOCK_OP_RW, .length = 4, .data = data };
    vdev_desc(&v, RX, 0, VDEV_BUFFERS, 4096, VDEV_WRITE, 0);
    vdev_offer(&v, RX, 0);
    assert_int_equal(host.client.receive(host.client.ctx, &p), 4);
    uint32_t head, written;
    assert_false(vdev_take(&v, RX, &head, &written));
    p.epoch = 1;
    assert_int_equal(host.client.receive(host.client.ctx, &p), 4);
    assert_true(vdev_take(&v, RX, &head, &written));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(identity, setup, teardown),
        cmocka_unit_test_setup_teardown(packets_from_the_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(packets_that_are_none, setup, teardown),
        cmocka_unit_test_setup_teardown(packets_to_the_driver, setup, teardown),
        cmocka_unit_test_setup_teardown(small_buffers, setup, teardown),
        cmocka_unit_test_setup_teardown(epochs, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
