/*
 * virtio-net: virtio 1.2, section 5.1. One receive and one transmit queue.
 *
 * Work is done on the network's thread (host/net.h), which a notification wakes; but a few short
 * frames, such as acknowledgements, are sent by the vCPU that notifies. A frame is
 * copied out of guest memory, or into it, with the device's lock held, and its chain is given back
 * in the same hold, so that nothing is in flight when the driver resets the device. Checksums and
 * segments are made of the copy, without the lock.
 *
 * Offloads: towards the host, a back end with virtio-net headers gets them as they are; for one
 * without, checksums are completed and TCP segments cut here, which is native code where the
 * guest's would be translated. Towards the guest, frames of a network on this host carry
 * DATA_VALID; segments longer than a frame come only from a back end with headers.
 */
#include "devices/virtio/net.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/device.h"
#include "devices/virtio/net_offload.h"

#define NET_ID         1
#define NET_QUEUE_SIZE 256

enum { RX, TX, QUEUES };

/* Feature bits (5.1.3). */
#define NET_F_CSUM       (1ull << 0)
#define NET_F_GUEST_CSUM (1ull << 1)
#define NET_F_MTU        (1ull << 3)
#define NET_F_MAC        (1ull << 5)
#define NET_F_GUEST_TSO4 (1ull << 7)
#define NET_F_GUEST_TSO6 (1ull << 8)
#define NET_F_GUEST_ECN  (1ull << 9)
#define NET_F_HOST_TSO4  (1ull << 11)
#define NET_F_HOST_TSO6  (1ull << 12)
#define NET_F_HOST_ECN   (1ull << 13)
#define NET_F_MRG_RXBUF  (1ull << 15)
#define NET_F_STATUS     (1ull << 16)

/* The configuration space (5.1.4), as offsets into bytes. */
enum { CFG_MAC = 0, CFG_STATUS = 6, CFG_MTU = 10, CFG_SIZE = 12 };
#define STATUS_LINK_UP 1

#define HEADER_NUM_BUFFERS 10
#define ETHERNET_MIN       14

/* What a vCPU sends itself: so many frames, and so many bytes in each. */
#define TX_NOW_FRAMES 8
#define TX_NOW_BYTES  2048

struct virtio_net {
    struct virtio_device virtio; /* first */
    struct net *net;
    uint8_t config[CFG_SIZE];
    bool pushed[QUEUES]; /* since the driver was last told */

    /* Whose turn it is to move frames (net_claim()). */
    struct virtq_chain first, chain;
    struct virtq_used used[NET_QUEUE_SIZE];
    uint8_t long_frame[NET_FRAME_MAX];
};

static struct virtio_net *net_of(struct virtio_device *v)
{
    return CONTAINER_OF(v, struct virtio_net, virtio);
}

static void net_broken(struct virtio_net *n, int rc)
{
    virtio_fail(&n->virtio, rc == -EFAULT ? "a buffer is not RAM" : "malformed chain");
}

/* ------------------------------------------------------------------ from the guest */

/* What the driver's header may ask for, by what it has negotiated. */
static void tx_mask_header(const struct virtio_net *n, struct net_header *h)
{
    h->flags &= virtio_has(&n->virtio, NET_F_CSUM) ? NET_HDR_NEEDS_CSUM : 0;
    if (!virtio_has(&n->virtio, NET_F_HOST_ECN))
        h->gso_type &= (uint8_t)~NET_GSO_ECN;
}

static bool tx_may_be_long(const struct virtio_net *n, const struct net_header *h)
{
    uint8_t type = h->gso_type & (uint8_t)~NET_GSO_ECN;
    return (type == NET_GSO_TCPV4 && virtio_has(&n->virtio, NET_F_HOST_TSO4)) ||
           (type == NET_GSO_TCPV6 && virtio_has(&n->virtio, NET_F_HOST_TSO6));
}

struct tx_frame {
    struct net_header header;
    uint8_t *bytes, *out_header;
    size_t length; /* 0: there is nothing to send */
};

/* Copy the chain's frame to where it is needed. A chain that is no frame, or asks for what was not
 * negotiated, is dropped. */
static void tx_copy(struct virtio_net *n, const struct virtq_chain *c, struct tx_frame *f)
{
    uint8_t raw[NET_HEADER_SIZE];
    f->length = 0;
    if (!virtq_chain_read(c, 0, raw, sizeof raw))
        return;
    uint64_t length = c->readable_bytes - NET_HEADER_SIZE;
    net_header_load(&f->header, raw);
    tx_mask_header(n, &f->header);
    bool is_long = f->header.gso_type != NET_GSO_NONE;
    if (length < ETHERNET_MIN || length > NET_FRAME_MAX ||
        (is_long && !tx_may_be_long(n, &f->header)))
        return;
    f->bytes = net_frame(n->net, &f->out_header);
    if (f->out_header) {
        memcpy(f->out_header, raw, sizeof raw);
        f->out_header[0] = f->header.flags;
        f->out_header[1] = f->header.gso_type;
    } else if (is_long) {
        f->bytes = n->long_frame;
    }
    if (virtq_chain_read(c, NET_HEADER_SIZE, f->bytes, length))
        f->length = length;
}

/* Cut the long frame, straight into the back end's buffer. */
static void tx_segments(struct virtio_net *n, const struct tx_frame *f)
{
    struct net_segmenter s;
    uint8_t *unused;
    size_t length;
    if (!net_segment_init(&s, f->bytes, f->length, &f->header))
        return;
    while ((length = net_segment_next(&s, net_frame(n->net, &unused))) > 0)
        net_frame_done(n->net, length);
}

static void tx_send(struct virtio_net *n, const struct tx_frame *f)
{
    if (f->length == 0)
        return;
    if (!f->out_header && f->header.gso_type != NET_GSO_NONE) {
        tx_segments(n, f);
        return;
    }
    if (!f->out_header && (f->header.flags & NET_HDR_NEEDS_CSUM) &&
        !net_complete_checksum(f->bytes, f->length, &f->header))
        return;
    net_frame_done(n->net, f->length);
}

/* struct net_client */
static bool net_transmit(void *ctx)
{
    struct virtio_net *n = ctx;
    struct virtq *q = &n->virtio.queue[TX];
    struct tx_frame f = { .length = 0 };
    lock_acquire(&n->virtio.device.lock);
    int rc = virtio_queue_runs(&n->virtio, TX) ? virtq_pop(q, &n->chain) : 0;
    if (rc > 0) {
        tx_copy(n, &n->chain, &f);
        virtio_push(&n->virtio, TX, n->chain.head, 0);
        n->pushed[TX] = true;
    } else if (rc == 0 && virtio_queue_runs(&n->virtio, TX)) {
        rc = virtq_rearm(q);
    }
    if (rc < 0)
        net_broken(n, rc);
    lock_release(&n->virtio.device.lock);
    tx_send(n, &f);
    return rc > 0;
}

/* Send what waits, if it is little and it can be done here. False: the thread has to look. The lock
 * is held. */
static bool tx_now(struct virtio_net *n)
{
    struct virtq *q = &n->virtio.queue[TX];
    struct tx_frame f;
    int rc = 1;
    if (!net_claim(n->net))
        return false;
    for (unsigned frames = 0; rc > 0 && frames < TX_NOW_FRAMES; frames++) {
        rc = virtq_pop(q, &n->chain);
        if (rc > 0 && n->chain.readable_bytes > TX_NOW_BYTES) {
            virtq_unpop(q, 1);
            break;
        }
        if (rc > 0) {
            tx_copy(n, &n->chain, &f);
            tx_send(n, &f);
            virtio_push(&n->virtio, TX, n->chain.head, 0);
        } else if (rc == 0) {
            rc = virtq_rearm(q);
        }
    }
    net_release(n->net);
    if (rc < 0)
        net_broken(n, rc);
    virtio_interrupt(&n->virtio, TX);
    return rc <= 0;
}

/* ------------------------------------------------------------------ to the guest */

/* The header of a frame for the guest. False: the driver cannot take this frame. */
static bool rx_header(const struct virtio_net *n, const uint8_t *header,
                      uint8_t out[NET_HEADER_SIZE])
{
    bool csum = virtio_has(&n->virtio, NET_F_GUEST_CSUM);
    memset(out, 0, NET_HEADER_SIZE);
    if (!header) {
        if (csum && net_is_local(n->net))
            out[0] = NET_HDR_DATA_VALID;
        return true;
    }
    memcpy(out, header, NET_HEADER_SIZE);
    if (!csum)
        out[0] = 0;
    /* Frames that were on their way when the driver changed may ask for more than it takes. */
    if (!csum && (header[0] & NET_HDR_NEEDS_CSUM))
        return false;
    switch (out[1] & ~NET_GSO_ECN) {
    case NET_GSO_NONE:
        return true;
    case NET_GSO_TCPV4:
        return virtio_has(&n->virtio, NET_F_GUEST_TSO4);
    case NET_GSO_TCPV6:
        return virtio_has(&n->virtio, NET_F_GUEST_TSO6);
    default:
        return false;
    }
}

/* Write as much of header and frame as the chain holds, from byte `from` of both on. */
static size_t rx_write(const struct virtq_chain *c, const uint8_t *header, const uint8_t *frame,
                       size_t total, size_t from)
{
    size_t n = total - from < c->writable_bytes ? total - from : (size_t)c->writable_bytes;
    size_t head = from < NET_HEADER_SIZE ? NET_HEADER_SIZE - from : 0;
    if (head > n)
        head = n;
    if (head > 0 && !virtq_chain_write(c, 0, header + from, head))
        return 0;
    if (n > head && !virtq_chain_write(c, head, frame + from + head - NET_HEADER_SIZE, n - head))
        return 0;
    return n;
}

/* Spread the frame over chains. The number of chains taken, of which the frame fills all; 0 when
 * there are not enough (`*seen` are); -E2BIG when there can never be, or negative errno. */
static int rx_spread(struct virtio_net *n, const uint8_t *header, const uint8_t *frame,
                     size_t total, unsigned *seen)
{
    struct virtq *q = &n->virtio.queue[RX];
    bool mergeable = virtio_has(&n->virtio, NET_F_MRG_RXBUF);
    size_t done = 0;
    unsigned count = 0;
    int rc = 1;
    while (done < total && count < (mergeable ? q->size : 1u)) {
        struct virtq_chain *c = count == 0 ? &n->first : &n->chain;
        rc = virtq_pop(q, c);
        if (rc <= 0)
            break;
        size_t put = rx_write(c, header, frame, total, done);
        n->used[count++] = (struct virtq_used){ c->head, (uint32_t)put };
        done += put;
    }
    if (rc > 0 && done == total)
        return (int)count;
    virtq_unpop(q, count);
    *seen = count;
    return rc < 0 ? rc : rc > 0 ? -E2BIG : 0;
}

/* Give the driver a frame. 1, 0 when it has no room yet, or negative errno. */
static int rx_deliver(struct virtio_net *n, const uint8_t *header, const uint8_t *frame,
                      size_t total)
{
    uint8_t buffers[2];
    unsigned seen = 0;
    int count;
    while ((count = rx_spread(n, header, frame, total, &seen)) == 0) {
        int more = virtq_rearm_beyond(&n->virtio.queue[RX], seen);
        if (more <= 0)
            return more;
    }
    if (count < 0)
        return count;
    st_le16(buffers, (uint16_t)count);
    if (!virtq_chain_write(&n->first, HEADER_NUM_BUFFERS, buffers, sizeof buffers))
        return -EPROTO; /* 5.1.6.3.1: a buffer holds at least the header */
    virtio_push_all(&n->virtio, RX, n->used, (unsigned)count);
    n->pushed[RX] = true;
    return 1;
}

/* struct net_client. A frame is lost when there is no driver, or it can never take it. */
static bool net_receive(void *ctx, const uint8_t *header, const uint8_t *frame, size_t length)
{
    struct virtio_net *n = ctx;
    uint8_t out[NET_HEADER_SIZE];
    int rc = 1;
    lock_acquire(&n->virtio.device.lock);
    if (virtio_queue_runs(&n->virtio, RX) && rx_header(n, header, out))
        rc = rx_deliver(n, out, frame, NET_HEADER_SIZE + length);
    if (rc < 0 && rc != -E2BIG)
        net_broken(n, rc);
    lock_release(&n->virtio.device.lock);
    return rc != 0;
}

/* ------------------------------------------------------------------ the cable */

/* struct net_client */
static void net_pause(void *ctx)
{
    struct virtio_net *n = ctx;
    lock_acquire(&n->virtio.device.lock);
    for (unsigned q = 0; q < QUEUES; q++) {
        if (n->pushed[q])
            virtio_interrupt(&n->virtio, q);
        n->pushed[q] = false;
    }
    lock_release(&n->virtio.device.lock);
}

/* struct net_client */
static void net_link(void *ctx, bool up)
{
    struct virtio_net *n = ctx;
    lock_acquire(&n->virtio.device.lock);
    st_le16(n->config + CFG_STATUS, up ? STATUS_LINK_UP : 0);
    virtio_config_changed(&n->virtio);
    lock_release(&n->virtio.device.lock);
}

/* ------------------------------------------------------------------ the transport's calls */

/* 5.1.3.1: what needs what. */
static bool net_accept(const struct virtio_device *v, uint64_t features)
{
    static const struct {
        uint64_t feature, needs_one_of;
    } rules[] = {
        { NET_F_GUEST_TSO4, NET_F_GUEST_CSUM },
        { NET_F_GUEST_TSO6, NET_F_GUEST_CSUM },
        { NET_F_GUEST_ECN, NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 },
        { NET_F_HOST_TSO4, NET_F_CSUM },
        { NET_F_HOST_TSO6, NET_F_CSUM },
        { NET_F_HOST_ECN, NET_F_HOST_TSO4 | NET_F_HOST_TSO6 },
    };
    (void)v;
    for (size_t i = 0; i < ARRAY_LEN(rules); i++)
        if ((features & rules[i].feature) && !(features & rules[i].needs_one_of))
            return false;
    return true;
}

static void net_start_driver(struct virtio_device *v)
{
    static const struct {
        uint64_t feature;
        unsigned offload;
    } map[] = {
        { NET_F_GUEST_CSUM, NET_OFFLOAD_CSUM },
        { NET_F_GUEST_TSO4, NET_OFFLOAD_TSO4 },
        { NET_F_GUEST_TSO6, NET_OFFLOAD_TSO6 },
        { NET_F_GUEST_ECN, NET_OFFLOAD_ECN },
    };
    struct virtio_net *n = net_of(v);
    unsigned offload = 0;
    for (size_t i = 0; i < ARRAY_LEN(map); i++)
        if (virtio_has(v, map[i].feature))
            offload |= map[i].offload;
    if (n->net) {
        net_set_offload(n->net, offload);
        net_begin(n->net);
    }
}

static void net_notify(struct virtio_device *v, unsigned queue)
{
    struct virtio_net *n = net_of(v);
    /* Room to receive, or something to send: the thread looks for both. */
    if (n->net && !(queue == TX && tx_now(n)))
        net_wake(n->net);
}

static void net_reset(struct virtio_device *v)
{
    struct virtio_net *n = net_of(v);
    if (n->net)
        net_set_offload(n->net, 0);
}

static void net_destroy(struct virtio_device *v)
{
    struct virtio_net *n = net_of(v);
    if (n->net)
        net_stop(n->net);
    virtio_device_fini(v);
    free(n);
}

static const struct virtio_ops net_ops = {
    .name = "virtio-net",
    .id = NET_ID,
    .queues = QUEUES,
    .queue_size = NET_QUEUE_SIZE,
    .accept = net_accept,
    .start = net_start_driver,
    .notify = net_notify,
    .reset = net_reset,
    .destroy = net_destroy,
};

int virtio_net_create(const struct virtio_net_config *config, struct device **out)
{
    struct virtio_net *n = malloc(sizeof *n);
    if (!n)
        return -ENOMEM;
    memset(n, 0, offsetof(struct virtio_net, long_frame)); /* which is written before it is read */
    n->net = config->net;
    memcpy(n->config + CFG_MAC, config->mac, sizeof config->mac);
    st_le16(n->config + CFG_STATUS, n->net ? STATUS_LINK_UP : 0);
    st_le16(n->config + CFG_MTU, config->mtu);
    uint64_t features = NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MAC | NET_F_HOST_TSO4 |
                        NET_F_HOST_TSO6 | NET_F_HOST_ECN | NET_F_MRG_RXBUF | NET_F_STATUS;
    if (config->mtu)
        features |= NET_F_MTU;
    if (n->net && net_has_headers(n->net))
        features |= NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN;
    virtio_device_init(&n->virtio, &(struct virtio_setup){ .ops = &net_ops,
                                                           .gmem = config->gmem,
                                                           .irq = config->irq,
                                                           .features = features,
                                                           .config = n->config,
                                                           .config_size = sizeof n->config });
    const struct net_client client = { .receive = net_receive,
                                       .transmit = net_transmit,
                                       .pause = net_pause,
                                       .link = net_link,
                                       .ctx = n };
    int r = n->net ? net_start(n->net, &client) : 0;
    if (r < 0) {
        virtio_device_fini(&n->virtio);
        free(n);
        return r;
    }
    *out = &n->virtio.device;
    return 0;
}
