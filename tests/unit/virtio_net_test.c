/*
 * virtio-net against a network that is the test: what the device sends is kept, what it receives
 * comes from here, and the test is the network's thread.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/net.h"
#include "tests/harness/quiet.h"
#include "tests/unit/virtio_device.h"

#define F_CSUM       (1ull << 0)
#define F_GUEST_CSUM (1ull << 1)
#define F_MTU        (1ull << 3)
#define F_MAC        (1ull << 5)
#define F_GUEST_TSO4 (1ull << 7)
#define F_HOST_TSO4  (1ull << 11)
#define F_HOST_ECN   (1ull << 13)
#define F_MRG        (1ull << 15)
#define F_STATUS     (1ull << 16)

enum { RX, TX };
#define HEADER 12

/* ------------------------------------------------------------------ the network */

struct net {
    struct net_client client;
    bool headers, local, started, begun;
    bool rests, claimed; /* whose turn it is */
    unsigned woken, offload;
    uint8_t sent[64][70000], header[64][NET_HEADER_SIZE];
    size_t length[64];
    unsigned count;
};

static struct net net;

int net_start(struct net *n, const struct net_client *client)
{
    n->client = *client;
    n->started = true;
    return 0;
}

void net_stop(struct net *n)
{
    n->started = false;
}

void net_begin(struct net *n)
{
    n->begun = true;
}

void net_wake(struct net *n)
{
    n->woken++;
}

bool net_claim(struct net *n)
{
    assert_false(n->claimed);
    n->claimed = n->rests;
    return n->claimed;
}

void net_release(struct net *n)
{
    assert_true(n->claimed);
    n->claimed = false;
}

bool net_has_headers(const struct net *n)
{
    return n->headers;
}

bool net_is_local(const struct net *n)
{
    return n->local;
}

void net_set_offload(struct net *n, unsigned offload)
{
    n->offload = offload;
}

uint8_t *net_frame(struct net *n, uint8_t **header)
{
    assert_true(n->count < 64);
    *header = n->headers ? n->header[n->count] : NULL;
    return n->sent[n->count];
}

void net_frame_done(struct net *n, size_t length)
{
    n->length[n->count++] = length;
}

/* What the network's thread does: ask until there is no more. */
static void transmit_all(void)
{
    while (net.client.transmit(net.client.ctx))
        ;
    net.client.pause(net.client.ctx);
}

static bool receive(const uint8_t *header, const uint8_t *frame, size_t n)
{
    bool taken = net.client.receive(net.client.ctx, header, frame, n);
    net.client.pause(net.client.ctx);
    return taken;
}

/* ------------------------------------------------------------------ the guest */

static struct vdev v;

static int create(bool headers)
{
    quiet();
    memset(&net, 0, sizeof net);
    net.headers = headers;
    net.local = !headers;
    vdev_init(&v);
    const struct virtio_net_config config = { .irq = vdev_irq(&v),
                                              .gmem = &v.gmem,
                                              .net = &net,
                                              .mac = { 0x52, 1, 2, 3, 4, 5 },
                                              .mtu = headers ? 0 : 9000 };
    return virtio_net_create(&config, &v.dev);
}

static int setup(void **state)
{
    (void)state;
    return create(false);
}

static int setup_headers(void **state)
{
    (void)state;
    return create(true);
}

static int teardown(void **state)
{
    (void)state;
    vdev_fini(&v);
    assert_false(net.started);
    return 0;
}

/* Send `n` bytes of a frame behind a header of `flags` and so on, in two buffers. */
static void send_frame(const uint8_t header[HEADER], const uint8_t *frame, size_t n)
{
    memcpy(v.ram + VDEV_BUFFERS, header, HEADER);
    memcpy(v.ram + VDEV_BUFFERS + 0x100, frame, n);
    vdev_desc(&v, TX, 0, VDEV_BUFFERS, HEADER, VDEV_NEXT, 1);
    vdev_desc(&v, TX, 1, VDEV_BUFFERS + 0x100, (uint32_t)n, 0, 0);
    vdev_offer(&v, TX, 0);
    vdev_notify(&v, TX);
    transmit_all();
}

/* Offer a buffer of `n` bytes to receive into, the i-th. */
static void offer_buffer(unsigned i, uint32_t n)
{
    vdev_desc(&v, RX, i, VDEV_BUFFERS + 0x20000 + 0x1000 * i, n, VDEV_WRITE, 0);
    vdev_offer(&v, RX, (uint16_t)i);
}

static const uint8_t *buffer(unsigned i)
{
    return v.ram + VDEV_BUFFERS + 0x20000 + 0x1000 * i;
}

static const uint8_t no_header[HEADER];

static void fill(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(i * 5 + (i >> 8));
}

/* ------------------------------------------------------------------ tests */

static void configuration(void **state)
{
    (void)state;
    uint64_t offered = vdev_offered(&v);
    assert_int_equal(vdev_read(&v, 0x008, 4), 1);
    assert_true(offered & F_MTU);
    assert_true((offered & F_MAC) && (offered & F_STATUS) && (offered & F_MRG));
    assert_true((offered & F_CSUM) && (offered & F_HOST_TSO4));
    assert_false(offered & F_GUEST_TSO4); /* only from a network that makes long frames */
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG, 4), 0x03020152);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 4, 2), 0x0504);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 6, 2), 1);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 10, 2), 9000);
}

static void features_need_each_other(void **state)
{
    (void)state;
    assert_int_equal(vdev_bring_up(&v, F_HOST_TSO4, 2) & 8, 0);
    assert_int_equal(vdev_bring_up(&v, F_HOST_ECN | F_CSUM, 2) & 8, 0);
    assert_int_equal(vdev_bring_up(&v, F_GUEST_TSO4 | F_GUEST_CSUM, 2) & 8, 0); /* not offered */
    assert_int_equal(vdev_bring_up(&v, F_HOST_TSO4 | F_CSUM | F_HOST_ECN, 2), 15);
}

static void sends_a_frame(void **state)
{
    (void)state;
    uint8_t frame[600];
    uint32_t head, written;
    fill(frame, sizeof frame);
    assert_false(net.begun);
    vdev_bring_up(&v, 0, 2);
    assert_true(net.begun);
    unsigned woken = net.woken;
    send_frame(no_header, frame, sizeof frame);
    assert_int_equal(net.woken, woken + 1);
    assert_int_equal(net.count, 1);
    assert_int_equal(net.length[0], sizeof frame);
    assert_memory_equal(net.sent[0], frame, sizeof frame);
    assert_true(vdev_take(&v, TX, &head, &written));
    assert_int_equal(head, 0);
    assert_int_equal(written, 0);
    assert_true(v.level);
}

/* Short frames leave with the notification while the thread rests; a long one is the thread's. */
static void sends_at_once(void **state)
{
    (void)state;
    uint8_t frame[3000];
    uint32_t head, written;
    fill(frame, sizeof frame);
    vdev_bring_up(&v, 0, 2);
    unsigned woken = net.woken;
    net.rests = true;
    memcpy(v.ram + VDEV_BUFFERS + 0x100, frame, sizeof frame);
    vdev_desc(&v, TX, 0, VDEV_BUFFERS, HEADER, VDEV_NEXT, 1);
    vdev_desc(&v, TX, 1, VDEV_BUFFERS + 0x100, 66, 0, 0);
    vdev_offer(&v, TX, 0);
    vdev_notify(&v, TX);
    assert_int_equal(net.woken, woken);
    assert_int_equal(net.count, 1);
    assert_int_equal(net.length[0], 66);
    assert_memory_equal(net.sent[0], frame, 66);
    assert_true(vdev_take(&v, TX, &head, &written));
    assert_true(v.level);
    assert_false(net.claimed);
    vdev_desc(&v, TX, 2, VDEV_BUFFERS, HEADER, VDEV_NEXT, 3);
    vdev_desc(&v, TX, 3, VDEV_BUFFERS + 0x100, sizeof frame, 0, 0);
    vdev_offer(&v, TX, 0);
    vdev_offer(&v, TX, 2);
    vdev_notify(&v, TX);
    assert_int_equal(net.count, 2);
    assert_int_equal(net.woken, woken + 1);
    transmit_all();
    assert_int_equal(net.count, 3);
    assert_int_equal(net.length[2], sizeof frame);
    assert_memory_equal(net.sent[2], frame, sizeof frame);
    /* No more than a few; and a driver that breaks the rules is found out here, too. */
    for (unsigned i = 0; i < 12; i++)
        vdev_offer(&v, TX, 0);
    vdev_notify(&v, TX);
    assert_int_equal(net.count, 3 + 8);
    assert_int_equal(net.woken, woken + 2);
    transmit_all();
    assert_int_equal(net.count, 3 + 12);
    vdev_desc(&v, TX, 0, VDEV_RAM_SIZE - 4, 0x1000, 0, 0);
    vdev_offer(&v, TX, 0);
    vdev_notify(&v, TX);
    assert_false(net.claimed);
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
}

static void completes_a_checksum(void **state)
{
    (void)state;
    uint8_t frame[100];
    const uint8_t header[HEADER] = { 1, 0, 0, 0, 0, 0, 34, 0, 6, 0 };
    fill(frame, sizeof frame);
    vdev_bring_up(&v, F_CSUM, 2);
    send_frame(header, frame, sizeof frame);
    assert_int_equal(net.count, 1);
    assert_memory_equal(net.sent[0], frame, 40);
    assert_memory_not_equal(net.sent[0] + 40, frame + 40, 2);
    assert_memory_equal(net.sent[0] + 42, frame + 42, 58);
    /* The guest's own bytes stay. */
    assert_memory_equal(v.ram + VDEV_BUFFERS + 0x100, frame, sizeof frame);
    /* A field outside of the frame: dropped. Not negotiated: not looked at. */
    const uint8_t beyond[HEADER] = { 1, 0, 0, 0, 0, 0, 34, 0, 200, 0 };
    send_frame(beyond, frame, sizeof frame);
    assert_int_equal(net.count, 1);
    vdev_bring_up(&v, 0, 2);
    send_frame(beyond, frame, sizeof frame);
    assert_int_equal(net.count, 2);
    assert_memory_equal(net.sent[1], frame, sizeof frame);
}

/* A TCP segment of 5000 bytes over IPv4, to be cut at 1448. */
static size_t long_frame(uint8_t *frame, uint8_t header[HEADER])
{
    size_t n = 14 + 20 + 20 + 5000;
    fill(frame, n);
    memcpy(frame + 12, "\x08\x00\x45", 3);
    frame[14 + 9] = 6;
    frame[14 + 20 + 12] = 0x50;
    memcpy(header, (const uint8_t[HEADER]){ 1, 1, 54, 0, 1448 & 255, 1448 >> 8, 34, 0, 16, 0 },
           HEADER);
    return n;
}

static void cuts_segments(void **state)
{
    (void)state;
    uint8_t frame[6000], header[HEADER];
    size_t n = long_frame(frame, header);
    vdev_bring_up(&v, F_CSUM | F_HOST_TSO4, 2);
    send_frame(header, frame, n);
    assert_int_equal(net.count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(net.length[i], 54 + (i < 3 ? 1448 : 5000 - 3 * 1448));
        assert_memory_equal(net.sent[i] + 54, frame + 54 + 1448 * i, net.length[i] - 54);
    }
    /* Not negotiated, or another kind: dropped. */
    net.count = 0;
    vdev_bring_up(&v, F_CSUM, 2);
    send_frame(header, frame, n);
    vdev_bring_up(&v, F_CSUM | F_HOST_TSO4, 2);
    header[1] = 4;
    send_frame(header, frame, n);
    header[1] = 3;
    send_frame(header, frame, n);
    assert_int_equal(net.count, 0);
}

static void headers_go_through(void **state)
{
    (void)state;
    uint8_t frame[6000], header[HEADER];
    size_t n = long_frame(frame, header);
    assert_true(vdev_offered(&v) & F_GUEST_TSO4);
    vdev_bring_up(&v, F_CSUM | F_HOST_TSO4 | F_GUEST_CSUM | F_GUEST_TSO4 | F_MRG, 2);
    assert_int_equal(net.offload, NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4);
    send_frame(header, frame, n);
    assert_int_equal(net.count, 1);
    assert_int_equal(net.length[0], n);
    assert_memory_equal(net.header[0], header, HEADER);
    assert_memory_equal(net.sent[0], frame, n);

    offer_buffer(0, 0x1000);
    offer_buffer(1, 0x1000);
    assert_true(receive(header, frame, n));
    uint32_t head, written;
    assert_true(vdev_take(&v, RX, &head, &written));
    assert_int_equal(written, 0x1000);
    assert_memory_equal(buffer(0), header, 10);
    assert_int_equal(ld_le16(buffer(0) + 10), 2);
    assert_true(vdev_take(&v, RX, &head, &written));
    assert_int_equal(written, HEADER + n - 0x1000);
    assert_memory_equal(buffer(1), frame + 0x1000 - HEADER, written);
    /* A driver without these features is not given such frames. */
    vdev_bring_up(&v, F_MRG, 2);
    assert_int_equal(net.offload, 0);
    offer_buffer(0, 0x1000);
    offer_buffer(1, 0x1000);
    assert_true(receive(header, frame, n));
    assert_false(vdev_take(&v, RX, &head, &written));
}

static void receives_a_frame(void **state)
{
    (void)state;
    uint8_t frame[600];
    uint32_t head, written;
    fill(frame, sizeof frame);
    assert_true(receive(NULL, frame, sizeof frame)); /* nobody there: lost */
    for (unsigned csum = 0; csum < 2; csum++) {
        vdev_bring_up(&v, csum ? F_GUEST_CSUM : 0, 2);
        offer_buffer(3, 0x800);
        assert_true(receive(NULL, frame, sizeof frame));
        assert_true(vdev_take(&v, RX, &head, &written));
        assert_int_equal(head, 3);
        assert_int_equal(written, HEADER + sizeof frame);
        assert_int_equal(buffer(3)[0], csum ? 2 : 0); /* DATA_VALID */
        assert_int_equal(ld_le16(buffer(3) + 10), 1);
        assert_memory_equal(buffer(3) + HEADER, frame, sizeof frame);
        assert_true(v.level);
    }
}

/* Without room a frame waits; when there is some it fills as many buffers as it needs. */
static void waits_for_room(void **state)
{
    (void)state;
    static uint8_t frame[9000];
    uint32_t head, written;
    fill(frame, sizeof frame);
    vdev_bring_up(&v, F_MRG | VIRTIO_F_EVENT_IDX, 2);
    assert_false(receive(NULL, frame, sizeof frame));
    offer_buffer(0, 0x1000);
    offer_buffer(1, 0x1000);
    assert_false(receive(NULL, frame, sizeof frame));
    assert_false(vdev_take(&v, RX, &head, &written));
    /* The driver is asked to tell about the third. */
    assert_int_equal(ld_le16(v.ram + vdev_ring(RX) + 0x1000 + 4 + 8 * VDEV_SIZE), 2);
    unsigned woken = net.woken;
    offer_buffer(2, 0x1000);
    offer_buffer(3, 0x1000);
    vdev_notify(&v, RX);
    assert_int_equal(net.woken, woken + 1);
    assert_true(receive(NULL, frame, sizeof frame));
    size_t done = 0;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(vdev_take(&v, RX, &head, &written));
        size_t skip = i == 0 ? HEADER : 0;
        assert_memory_equal(buffer(i) + skip, frame + done, written - skip);
        done += written - skip;
    }
    assert_int_equal(done, sizeof frame);
    assert_int_equal(ld_le16(buffer(0) + 10), 3);
    /* The fourth buffer takes the next. */
    assert_true(receive(NULL, frame, 100));
    assert_true(vdev_take(&v, RX, &head, &written));
    assert_int_equal(head, 3);
}

/* What can never fit is lost and holds nothing up: one small buffer, or a whole ring of them. */
static void too_long_is_lost(void **state)
{
    (void)state;
    uint8_t frame[3000] = { 0 };
    uint32_t head, written;
    vdev_bring_up(&v, 0, 2);
    offer_buffer(0, 0x600);
    assert_true(receive(NULL, frame, sizeof frame));
    assert_false(vdev_take(&v, RX, &head, &written));
    assert_true(receive(NULL, frame, 1000));
    assert_true(vdev_take(&v, RX, &head, &written));
    vdev_bring_up(&v, F_MRG, 2);
    for (unsigned i = 0; i < VDEV_SIZE; i++)
        offer_buffer(i, 20);
    assert_true(receive(NULL, frame, sizeof frame));
    assert_false(vdev_take(&v, RX, &head, &written));
    assert_true(receive(NULL, frame, 500));
    assert_true(vdev_take(&v, RX, &head, &written));
}

static void bad_chains(void **state)
{
    (void)state;
    uint8_t frame[3000] = { 0 };
    uint32_t head, written;
    /* Shorter than the header, no frame behind it, too long: given back, not sent. */
    static const uint32_t lengths[] = { 0, 11, 12, 25, HEADER + NET_FRAME_MAX + 1 };
    vdev_bring_up(&v, 0, 2);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        vdev_desc(&v, TX, 0, VDEV_BUFFERS, lengths[i], 0, 0);
        vdev_offer(&v, TX, 0);
        transmit_all();
        assert_true(vdev_take(&v, TX, &head, &written));
    }
    assert_int_equal(net.count, 0);
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15);
    /* A receive buffer without room for the header, or outside of RAM: the driver is broken. */
    vdev_bring_up(&v, F_MRG, 2);
    offer_buffer(0, 8);
    offer_buffer(1, 0x1000);
    assert_true(receive(NULL, frame, 100));
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
    vdev_bring_up(&v, 0, 2);
    vdev_desc(&v, RX, 0, VDEV_RAM_SIZE - 4, 0x1000, VDEV_WRITE, 0);
    vdev_offer(&v, RX, 0);
    assert_true(receive(NULL, frame, 100));
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
    assert_true(receive(NULL, frame, 100)); /* is lost */
    vdev_bring_up(&v, 0, 2);
    vdev_desc(&v, TX, 0, VDEV_RAM_SIZE - 4, 0x1000, 0, 0);
    vdev_offer(&v, TX, 0);
    transmit_all();
    assert_int_equal(vdev_read(&v, VDEV_REG_STATUS, 4), 15 | VIRTIO_STATUS_NEEDS_RESET);
}

static void unplugged(void **state)
{
    (void)state;
    vdev_bring_up(&v, F_STATUS, 2);
    uint32_t generation = (uint32_t)vdev_read(&v, VDEV_REG_GENERATION, 4);
    net.client.link(net.client.ctx, false);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 6, 2), 0);
    assert_true(vdev_read(&v, VDEV_REG_GENERATION, 4) != generation);
    assert_int_equal(vdev_read(&v, VDEV_REG_INT_STATUS, 4), 2);
    assert_true(v.level);
    net.client.link(net.client.ctx, true);
    assert_int_equal(vdev_read(&v, VDEV_REG_CONFIG + 6, 2), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(configuration, setup, teardown),
        cmocka_unit_test_setup_teardown(features_need_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(sends_a_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(sends_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(completes_a_checksum, setup, teardown),
        cmocka_unit_test_setup_teardown(cuts_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(headers_go_through, setup_headers, teardown),
        cmocka_unit_test_setup_teardown(receives_a_frame, setup, teardown),
        cmocka_unit_test_setup_teardown(waits_for_room, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long_is_lost, setup, teardown),
        cmocka_unit_test_setup_teardown(bad_chains, setup, teardown),
        cmocka_unit_test_setup_teardown(unplugged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
