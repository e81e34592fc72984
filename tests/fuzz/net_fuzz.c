/*
 * virtio-net, driven by bytes from both sides: a driver that sends any frame behind any header in
 * any chain, a network that brings any frame. The input is a list of records: a kind, four bytes,
 * and as many bytes of data as the second of them says in eights.
 *
 * What must hold: what the device sends is no longer than a frame, and all that it makes of one
 * chain fits into the room that the network has for it (NET_ROOM).
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "devices/virtio/net.h"
#include "tests/unit/virtio_device.h"

enum { RX, TX, QUEUES };

#define TX_BUFFER VDEV_BUFFERS
#define RX_BUFFER (VDEV_BUFFERS + 0x40000)

struct net {
    struct net_client client;
    bool headers;
    unsigned turns;
    size_t made; /* bytes, since the client was asked */
    uint8_t frame[NET_HEADER_SIZE + NET_FRAME_MAX];
};

int net_start(struct net *n, const struct net_client *client)
{
    n->client = *client;
    return 0;
}

void net_stop(struct net *n)
{
    (void)n;
}

void net_begin(struct net *n)
{
    (void)n;
}

void net_wake(struct net *n)
{
    (void)n;
}

bool net_claim(struct net *n)
{
    n->made = 0;
    n->turns++;
    return n->turns % 3 > 0;
}

void net_release(struct net *n)
{
    (void)n;
}

bool net_has_headers(const struct net *n)
{
    return n->headers;
}

bool net_is_local(const struct net *n)
{
    return !n->headers;
}

void net_set_offload(struct net *n, unsigned offload)
{
    (void)n;
    assert(offload <= 15);
}

uint8_t *net_frame(struct net *n, uint8_t **header)
{
    *header = n->headers ? n->frame : NULL;
    return n->frame + NET_HEADER_SIZE;
}

void net_frame_done(struct net *n, size_t length)
{
    assert(length > 0 && length <= NET_FRAME_MAX);
    n->made += 4 + length;
    assert(n->made <= NET_ROOM);
}

struct world {
    struct vdev v;
    struct net *net;
};

/* One record. */
struct step {
    uint8_t kind, a, b, c, d;
    const uint8_t *data;
    size_t size;
};

static void transmit(struct world *w)
{
    for (unsigned i = 0; i < 2 * VDEV_SIZE; i++) {
        w->net->made = 0;
        if (!w->net->client.transmit(w->net->client.ctx))
            break;
    }
    w->net->client.pause(w->net->client.ctx);
}

/* Features from the record, mostly a whole set. */
static void do_bring_up(struct world *w, const struct step *s)
{
    uint64_t features = (uint64_t)s->a | (uint64_t)s->c << 8 | (uint64_t)(s->d & 1) << 16 |
                        (uint64_t)(s->d >> 1 & 3) << 28;
    if (s->b & 1)
        features = vdev_offered(&w->v) & ~(uint64_t)s->c;
    vdev_bring_up(&w->v, features, QUEUES);
}

/* A frame whose first bytes, virtio-net header included, are the record's, repeated to a length. */
static void do_send(struct world *w, const struct step *s)
{
    uint32_t length = 12 + (uint32_t)(s->c << 8 | s->d);
    if (s->size == 0)
        return;
    for (uint32_t i = 0; i < length && i < 0x20000; i++)
        w->v.ram[TX_BUFFER + i] = s->data[i < s->size ? i : s->size - 1];
    uint32_t first = s->a % 100 < length ? s->a % 100 : length;
    vdev_desc(&w->v, TX, 0, TX_BUFFER, first, VDEV_NEXT, 1);
    vdev_desc(&w->v, TX, 1, TX_BUFFER + first, length - first, 0, 0);
    vdev_offer(&w->v, TX, 0);
    transmit(w);
}

static void do_buffers(struct world *w, const struct step *s)
{
    for (unsigned i = 0; i < s->a % VDEV_SIZE; i++) {
        vdev_desc(&w->v, RX, i, RX_BUFFER + 0x1000 * i, (uint32_t)(s->c << 8 | s->d), VDEV_WRITE,
                  0);
        vdev_offer(&w->v, RX, (uint16_t)i);
    }
    vdev_notify(&w->v, RX);
}

static void do_receive(struct world *w, const struct step *s)
{
    static uint8_t frame[NET_FRAME_MAX];
    uint8_t header[NET_HEADER_SIZE] = { 0 };
    memcpy(header, s->data, s->size < sizeof header ? s->size : sizeof header);
    size_t length = (size_t)(s->c << 8 | s->d) + 1;
    w->net->client.receive(w->net->client.ctx, w->net->headers ? header : NULL, frame, length);
    w->net->client.pause(w->net->client.ctx);
}

static void do_descriptor(struct world *w, const struct step *s)
{
    unsigned q = s->a & 1;
    uint32_t at = s->b & 0x80 ? (uint32_t)s->c << 24 : TX_BUFFER + (uint32_t)s->c * 16;
    vdev_desc(&w->v, q, s->d % VDEV_SIZE, at, (uint32_t)s->size * s->d * 37, s->a >> 1 & 7,
              s->b % VDEV_SIZE);
    vdev_offer(&w->v, q, s->d % VDEV_SIZE);
    vdev_notify(&w->v, q);
    transmit(w);
}

static void do_link(struct world *w, const struct step *s)
{
    w->net->client.link(w->net->client.ctx, s->a & 1);
}

static void do_register(struct world *w, const struct step *s)
{
    vdev_write(&w->v, (uint64_t)(s->a * 4 % VIRTIO_MMIO_SIZE),
               (uint32_t)s->b | (uint32_t)s->c << 16 | (uint32_t)s->d << 24);
    (void)vdev_read(&w->v, VDEV_REG_CONFIG + s->d % 0x40, 1);
}

static void do_poke(struct world *w, const struct step *s)
{
    uint32_t at = (uint32_t)(s->c << 8 | s->d) % 0x4000;
    memcpy(w->v.ram + at, s->data, s->size);
    transmit(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[8])(struct world *w, const struct step *s) = {
        do_bring_up, do_send, do_buffers, do_receive, do_descriptor, do_link, do_register, do_poke,
    };
    struct world w;
    if (size == 0)
        return 0;
    log_set_level(LOG_ERROR);
    w.net = calloc(1, sizeof *w.net);
    if (!w.net)
        abort();
    w.net->headers = data[0] & 1;
    vdev_init(&w.v);
    const struct virtio_net_config config = {
        .irq = vdev_irq(&w.v), .gmem = &w.v.gmem, .net = w.net, .mtu = 1500
    };
    if (virtio_net_create(&config, &w.v.dev) < 0)
        abort();
    for (data++, size--; size >= 5;) {
        struct step s = { data[0] & 7, data[1], data[2], data[3], data[4], data + 5, 0 };
        s.size = (size_t)(s.b & 0x7f) * 8 < size - 5 ? (size_t)(s.b & 0x7f) * 8 : size - 5;
        kinds[s.kind](&w, &s);
        data += 5 + s.size;
        size -= 5 + s.size;
    }
    vdev_fini(&w.v);
    free(w.net);
    return 0;
}

/* ------------------------------------------------------------------ made-up inputs */

/* A TCP frame to be cut, or something near it. */
static size_t random_frame(uint64_t *state, uint8_t *p)
{
    static const uint8_t good[] = {
        1,    1,  54, 0,  0xa0, 5, 34,   0, 16, 0, 0, 0, /* virtio-net: TCPv4, 1440 bytes each */
        0x52, 0,  0,  0,  0,    1, 0x52, 0, 0,  0, 0, 2, 8,    0, /* Ethernet, IPv4, TCP */
        0x45, 0,  0,  0,  0,    0, 0,    0, 64, 6, 0, 0, 10,   0,    2, 15, 10, 0, 2, 2,
        0,    22, 0,  22, 0,    0, 0,    0, 0,  0, 0, 0, 0x50, 0x18, 1, 0,  0,  0, 0, 0,
    };
    memset(p, 0, 72);
    memcpy(p, good, sizeof good);
    for (unsigned i = (unsigned)(fuzz_random(state) % 4); i > 0; i--)
        p[fuzz_random(state) % sizeof good] = (uint8_t)fuzz_random(state);
    return 72;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    uint64_t state = seed;
    size_t n = 0;
    data[n++] = (uint8_t)fuzz_random(&state);
    data[n++] = 0; /* bring up all that is offered */
    data[n++] = 0;
    data[n++] = 1;
    data[n++] = 0;
    data[n++] = 0;
    for (unsigned i = 0; i < 8; i++) /* the record's data */
        data[n++] = 0;
    while (n + 5 + 72 < FUZZ_INPUT_MAX) {
        uint64_t r = fuzz_random(&state);
        data[n] = (uint8_t)r & 7;
        data[n + 1] = (uint8_t)(r >> 8);
        data[n + 2] = (uint8_t)(r >> 16) % 10;
        data[n + 3] = (uint8_t)(r >> 24);
        data[n + 4] = (uint8_t)(r >> 32);
        size_t size = (size_t)data[n + 2] * 8;
        if (data[n] == 1) {
            data[n + 2] = 9;
            size = 72;
            random_frame(&state, data + n + 5);
        } else {
            for (size_t i = 0; i < size; i++)
                data[n + 5 + i] = (uint8_t)fuzz_random(&state);
        }
        n += 5 + size;
    }
    return n;
}
