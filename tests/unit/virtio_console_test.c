/* virtio-console: bytes both ways, ports that the driver is told of, sizes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "devices/virtio/console.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_device.h"

/* Queues of two ports. */
enum { RX0, TX0, CONTROL_RX, CONTROL_TX, RX1, TX1, QUEUES };
enum { READY, ADD, REMOVE, PORT_READY, CONSOLE_PORT, RESIZE, OPEN, NAME };
#define MULTIPORT 2

/* The host's end of one port. */
static struct end {
    uint8_t sent[200000];
    size_t length;
    unsigned rooms;
} end[2];

static struct vdev v;

static void end_send(void *ctx, const uint8_t *bytes, size_t n)
{
    struct end *p = ctx;
    assert_true(p->length + n <= sizeof p->sent);
    memcpy(p->sent + p->length, bytes, n);
    p->length += n;
}

static void end_room(void *ctx)
{
    ((struct end *)ctx)->rooms++;
}

static int make(unsigned ports, const char *name)
{
    struct virtio_console_config config = { .ports = ports };
    quiet();
    memset(end, 0, sizeof end);
    vdev_init(&v);
    config.irq = vdev_irq(&v);
    config.gmem = &v.gmem;
    for (unsigned i = 0; i < ports; i++)
        config.port[i] =
            (struct virtio_console_port){ .send = end_send, .room = end_room, .ctx = &end[i] };
    strcpy(config.port[ports - 1].name, name);
    return virtio_console_create(&config, &v.dev);
}

static int setup_one(void **state)
{
    (void)state;
    return make(1, "");
}

static int setup_two(void **state)
{
    (void)state;
    return make(2, "org.ireko.test");
}

static int teardown(void **state)
{
    (void)state;
    vdev_fini(&v);
    return 0;
}

static void send(unsigned q, const void *bytes, uint32_t n)
{
    uint32_t head, written;
    memcpy(v.ram + VDEV_BUFFERS, bytes, n);
    vdev_desc(&v, q, 0, VDEV_BUFFERS, n, 0, 0);
    vdev_offer(&v, q, 0);
    vdev_notify(&v, q);
    assert_true(vdev_take(&v, q, &head, &written));
    assert_int_equal(written, 0);
}

static void give(unsigned q, unsigned i, uint32_t size)
{
    vdev_desc(&v, q, i, VDEV_BUFFERS + 0x20000 + 0x1000 * i, size, VDEV_WRITE, 0);
    vdev_offer(&v, q, (uint16_t)i);
}

static const uint8_t *taken(unsigned q, uint32_t length)
{
    uint32_t head = 0, written;
    assert_true(vdev_take(&v, q, &head, &written));
    assert_int_equal(written, length);
    return v.ram + VDEV_BUFFERS + 0x20000 + 0x1000 * head;
}

static void say(uint32_t id, uint16_t event, uint16_t value)
{
    uint8_t m[8];
    st_le32(m, id);
    st_le16(m + 4, event);
    st_le16(m + 6, value);
    send(CONTROL_TX, m, sizeof m);
}

/* The device said this; the rest of its message. */
static const uint8_t *heard(uint32_t id, uint16_t event, uint32_t more)
{
    const uint8_t *m = taken(CONTROL_RX, 8 + more);
    assert_int_equal(ld_le32(m), id);
    assert_int_equal(ld_le16(m + 4), event);
    assert_int_equal(ld_le16(m + 6), 1);
    return m + 8;
}

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vdev_read(&v, 0x008, 4), 3);
    assert_int_equal(vdev_offered(&v) & 7, 5); /* one console needs no control queues */
    assert_int_equal(vdev_bring_up(&v, vdev_offered(&v), 2), 15);
}

static void bytes_to_the_host(void **state)
{
    (void)state;
    static uint8_t text[100000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 13);
    vdev_bring_up(&v, 0, 2);
    send(TX0, text, sizeof text);
    assert_int_equal(end[0].length, sizeof text);
    assert_memory_equal(end[0].sent, text, sizeof text);
    assert_true(v.level);
}

/* What does not fit waits at the host, which is told when there is room. */
static void bytes_to_the_guest(void **state)
{
    (void)state;
    const uint8_t *text = (const uint8_t *)"0123456789";
    assert_int_equal(virtio_console_receive(v.dev, 0, text, 10), 0); /* no driver */
    vdev_bring_up(&v, 0, 2);
    assert_int_equal(end[0].rooms, 1);
    assert_int_equal(virtio_console_receive(v.dev, 0, text, 10), 0);
    give(RX0, 0, 4);
    give(RX0, 1, 3);
    assert_int_equal(end[0].rooms, 1);
    vdev_notify(&v, RX0);
    assert_int_equal(end[0].rooms, 2);
    assert_int_equal(virtio_console_receive(v.dev, 0, text, 10), 7);
    assert_memory_equal(taken(RX0, 4), "0123", 4);
    assert_memory_equal(taken(RX0, 3), "456", 3);
    give(RX0, 2, 100);
    vdev_notify(&v, RX0);
    assert_int_equal(end[0].rooms, 3);
    assert_int_equal(virtio_console_receive(v.dev, 0, text + 7, 3), 3);
    assert_memory_equal(taken(RX0, 3), "789", 3);
    vdev_notify(&v, RX0);
    assert_int_equal(end[0].rooms, 3); /* nobody waits */
}

static void size_of_one(void **state)
{
    (void)state;
    virtio_console_resize(v.dev, 0, 80, 25);
    vdev_bring_up(&v, 1, 2);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 2), 80);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 2, 2), 25);
    assert_false(v.level);
    send(TX0, "$ ", 2); /* now it has a console that it can tell */
    assert_int_equal(vdev_read(&v, VDEV_REG_INT_STATUS, 4), 3);
    vdev_write(&v, VDEV_REG_INT_ACK, 3);
    send(TX0, "$ ", 2);
    assert_int_equal(vdev_read(&v, VDEV_REG_INT_STATUS, 4), 1);
    vdev_write(&v, VDEV_REG_INT_ACK, 3);
    uint64_t generation = vdev_read(&v, VDEV_REG_GENERATION, 4);
    virtio_console_resize(v.dev, 0, 132, 50);
    assert_true(v.level);
    assert_int_equal(vdev_read(&v, VDEV_REG_INT_STATUS, 4), 2);
    assert_int_not_equal(vdev_read(&v, VDEV_REG_GENERATION, 4), generation);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 4), 132 | 50 << 16);
}

/* Before there is a driver. */
static void emergency_write(void **state)
{
    (void)state;
    vdev_write(&v, VDEV_REG_CONFIG + 8, 'A');
    vdev_write(&v, VDEV_REG_CONFIG + 4, 'B');
    assert_int_equal(end[0].length, 1);
    assert_int_equal(end[0].sent[0], 'A');
}

static void ports_are_announced(void **state)
{
    (void)state;
    assert_int_equal(vdev_offered(&v) & 7, 7);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 4, 4), 2);
    virtio_console_resize(v.dev, 0, 100, 30);
    vdev_bring_up(&v, vdev_offered(&v), QUEUES);
    say(UINT32_MAX, READY, 1); /* before there are buffers */
    for (unsigned i = 0; i < 16; i++)
        give(CONTROL_RX, i, 64);
    vdev_notify(&v, CONTROL_RX);
    heard(0, ADD, 0);
    heard(1, ADD, 0);
    say(0, PORT_READY, 1);
    heard(0, CONSOLE_PORT, 0);
    const uint8_t *size = heard(0, RESIZE, 4);
    assert_int_equal(ld_le16(size), 100);
    assert_int_equal(ld_le16(size + 2), 30);
    heard(0, OPEN, 0);
    say(1, PORT_READY, 1);
    heard(1, OPEN, 0);
    assert_memory_equal(heard(1, NAME, 14), "org.ireko.test", 14);
    say(7, PORT_READY, 1); /* there is none */
    say(0, PORT_READY, 0);
    say(UINT32_MAX, READY, 0);
    uint32_t head, written;
    assert_false(vdev_take(&v, CONTROL_RX, &head, &written));
    say(0, OPEN, 1);
    virtio_console_resize(v.dev, 0, 101, 31);
    assert_int_equal(ld_le16(heard(0, RESIZE, 4)), 101);
}

/* Bytes for a port wait until somebody in the guest has opened it. */
static void ports_are_opened(void **state)
{
    (void)state;
    const uint8_t *text = (const uint8_t *)"hello";
    vdev_bring_up(&v, MULTIPORT, QUEUES);
    give(RX1, 0, 100);
    vdev_notify(&v, RX1);
    assert_int_equal(virtio_console_receive(v.dev, 1, text, 5), 0);
    say(1, OPEN, 1);
    assert_int_equal(end[1].rooms, 1);
    assert_int_equal(virtio_console_receive(v.dev, 1, text, 5), 5);
    assert_memory_equal(taken(RX1, 5), "hello", 5);
    send(TX1, "answer", 6);
    assert_int_equal(end[0].length, 0);
    assert_memory_equal(end[1].sent, "answer", 6);
    say(1, OPEN, 0);
    give(RX1, 1, 100);
    vdev_notify(&v, RX1);
    assert_int_equal(virtio_console_receive(v.dev, 1, text, 5), 0);
}

/* A driver that knows one port only has the first. */
static void old_driver(void **state)
{
    (void)state;
    const uint8_t *text = (const uint8_t *)"hello";
    vdev_bring_up(&v, 0, QUEUES);
    give(RX0, 0, 100);
    give(RX1, 1, 100);
    vdev_notify(&v, RX0);
    vdev_notify(&v, RX1);
    assert_int_equal(virtio_console_receive(v.dev, 0, text, 5), 5);
    assert_int_equal(virtio_console_receive(v.dev, 1, text, 5), 0);
    vdev_desc(&v, TX1, 0, VDEV_BUFFERS, 4, 0, 0);
    vdev_offer(&v, TX1, 0);
    vdev_notify(&v, TX1);
    assert_int_equal(end[1].length, 0);
}

static void bad_chains(void **state)
{
    (void)state;
    const uint32_t needs_reset = 15 | VIRTIO_STATUS_NEEDS_RESET;
    vdev_bring_up(&v, MULTIPORT, QUEUES); /* no room for a message */
    give(CONTROL_RX, 0, 7);
    say(0, READY, 1);
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), needs_reset);
    vdev_bring_up(&v, MULTIPORT, QUEUES); /* no room for a byte */
    say(1, OPEN, 1);
    vdev_desc(&v, RX1, 0, VDEV_BUFFERS, 4, 0, 0);
    vdev_offer(&v, RX1, 0);
    assert_int_equal(virtio_console_receive(v.dev, 1, (const uint8_t *)"x", 1), 0);
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), needs_reset);
    vdev_bring_up(&v, MULTIPORT, QUEUES); /* half a message is none */
    send(CONTROL_TX, "\0\0\0\0\0\0\1", 7);
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15);
}

#define ONE(name) cmocka_unit_test_setup_teardown(name, setup_one, teardown)
#define TWO(name) cmocka_unit_test_setup_teardown(name, setup_two, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ONE(identity),         ONE(bytes_to_the_host), ONE(bytes_to_the_guest),
        ONE(size_of_one),      ONE(emergency_write),   TWO(ports_are_announced),
        TWO(ports_are_opened), TWO(old_driver),        TWO(bad_chains),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
