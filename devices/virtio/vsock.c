/*
 * virtio-vsock: virtio 1.2, section 5.10. Packets between the queues and host/vsock.h, which knows
 * what they mean.
 *
 * As with virtio-net all work is done on a thread of the host's end; a notification only wakes it.
 * A packet is copied with the device's lock held and its chain given back in the same hold, so
 * nothing is in flight when the driver resets the device. Each reset begins an epoch: what the
 * thread still has for an earlier driver is thrown away here.
 */
#include "devices/virtio/vsock.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "devices/virtio/device.h"

#define VSOCK_ID         19
#define VSOCK_QUEUE_SIZE 128

/* The event queue is for a guest that was moved to another host, so nothing comes on it. */
enum { RX, TX, EVENT, QUEUES };

#define VSOCK_F_STREAM (1ull << 0) /* 5.10.3 */

/* struct virtio_vsock_hdr (5.10.6), as offsets into bytes. */
enum {
    HDR_SRC_CID = 0,
    HDR_DST_CID = 8,
    HDR_SRC_PORT = 16,
    HDR_DST_PORT = 20,
    HDR_LEN = 24,
    HDR_TYPE = 28,
    HDR_OP = 30,
    HDR_FLAGS = 32,
    HDR_BUF_ALLOC = 36,
    HDR_FWD_CNT = 40,
    HDR_SIZE = 44,
};

struct virtio_vsock {
    struct virtio_device virtio; /* first */
    struct vsock *vsock;
    uint8_t config[8];
    uint32_t epoch;
    bool begun;          /* the driver came in this epoch */
    bool pushed[QUEUES]; /* since the driver was last told */
    struct virtq_chain chain;
};

static struct virtio_vsock *vsock_of(struct virtio_device *v)
{
    return CONTAINER_OF(v, struct virtio_vsock, virtio);
}

static void vsock_broken(struct virtio_vsock *s, int rc)
{
    virtio_fail(&s->virtio, rc == -EFAULT  ? "a buffer is not RAM"
                            : rc == -E2BIG ? "a receive buffer is too small for a packet"
                                           : "malformed chain");
}

/* The chain's packet. One that is none is of no guest, so nobody answers it. */
static void tx_load(const struct virtq_chain *c, struct vsock_packet *p)
{
    uint8_t raw[HDR_SIZE];
    if (!virtq_chain_read(c, 0, raw, sizeof raw))
        return;
    p->dst_cid = ld_le64(raw + HDR_DST_CID);
    p->src_port = ld_le32(raw + HDR_SRC_PORT);
    p->dst_port = ld_le32(raw + HDR_DST_PORT);
    p->length = ld_le32(raw + HDR_LEN);
    p->type = ld_le16(raw + HDR_TYPE);
    p->op = ld_le16(raw + HDR_OP);
    p->flags = ld_le32(raw + HDR_FLAGS);
    p->buf_alloc = ld_le32(raw + HDR_BUF_ALLOC);
    p->fwd_cnt = ld_le32(raw + HDR_FWD_CNT);
    if (p->length <= VSOCK_PAYLOAD_MAX && virtq_chain_read(c, HDR_SIZE, p->data, p->length))
        p->src_cid = ld_le64(raw + HDR_SRC_CID);
}

/* struct vsock_client */
static bool vsock_transmit(void *ctx, struct vsock_packet *p)
{
    struct virtio_vsock *s = ctx;
    lock_acquire(&s->virtio.device.lock);
    p->epoch = s->epoch;
    int rc = virtio_pop(&s->virtio, TX, &s->chain);
    if (rc > 0) {
        tx_load(&s->chain, p);
        virtio_push(&s->virtio, TX, s->chain.head, 0);
        s->pushed[TX] = true;
    } else if (rc < 0) {
        vsock_broken(s, rc);
    }
    lock_release(&s->virtio.device.lock);
    return rc > 0;
}

/* Header and as much of the payload as the chain holds. */
static long rx_store(const struct virtq_chain *c, const struct vsock_packet *p)
{
    uint8_t raw[HDR_SIZE];
    if (c->writable_bytes < HDR_SIZE + (p->length > 0))
        return -E2BIG;
    uint64_t room = c->writable_bytes - HDR_SIZE;
    uint32_t n = p->length < room ? p->length : (uint32_t)room;
    st_le64(raw + HDR_SRC_CID, p->src_cid);
    st_le64(raw + HDR_DST_CID, p->dst_cid);
    st_le32(raw + HDR_SRC_PORT, p->src_port);
    st_le32(raw + HDR_DST_PORT, p->dst_port);
    st_le32(raw + HDR_LEN, n);
    st_le16(raw + HDR_TYPE, p->type);
    st_le16(raw + HDR_OP, p->op);
    st_le32(raw + HDR_FLAGS, p->flags);
    st_le32(raw + HDR_BUF_ALLOC, p->buf_alloc);
    st_le32(raw + HDR_FWD_CNT, p->fwd_cnt);
    if (!virtq_chain_write(c, 0, raw, sizeof raw) || !virtq_chain_write(c, HDR_SIZE, p->data, n))
        return -E2BIG;
    return (long)n;
}

/* Give the driver a packet. Bytes of its payload, -EAGAIN, or what is wrong. */
static long rx_deliver(struct virtio_vsock *s, const struct vsock_packet *p)
{
    int rc = virtio_pop(&s->virtio, RX, &s->chain);
    if (rc <= 0)
        return rc < 0 ? rc : -EAGAIN;
    long n = rx_store(&s->chain, p);
    if (n < 0)
        return n;
    virtio_push(&s->virtio, RX, s->chain.head, HDR_SIZE + (uint32_t)n);
    s->pushed[RX] = true;
    return n;
}

/* struct vsock_client */
static long vsock_receive(void *ctx, const struct vsock_packet *p)
{
    struct virtio_vsock *s = ctx;
    long n = -EAGAIN;
    lock_acquire(&s->virtio.device.lock);
    if (p->epoch != s->epoch)
        n = (long)p->length;
    else
        n = rx_deliver(s, p);
    if (n < 0 && n != -EAGAIN)
        vsock_broken(s, (int)n);
    lock_release(&s->virtio.device.lock);
    return n < 0 ? -1 : n;
}

/* struct vsock_client */
static void vsock_pause(void *ctx)
{
    struct virtio_vsock *s = ctx;
    lock_acquire(&s->virtio.device.lock);
    for (unsigned q = 0; q < QUEUES; q++) {
        if (s->pushed[q])
            virtio_interrupt(&s->virtio, q);
        s->pushed[q] = false;
    }
    lock_release(&s->virtio.device.lock);
}

static void vsock_driver_came(struct virtio_device *v)
{
    struct virtio_vsock *s = vsock_of(v);
    s->begun = true;
    if (s->vsock)
        vsock_wake(s->vsock);
}

static void vsock_notify(struct virtio_device *v, unsigned queue)
{
    struct virtio_vsock *s = vsock_of(v);
    if (s->vsock && queue != EVENT)
        vsock_wake(s->vsock);
}

/* A driver that only looks for the device resets it first; that ends nothing. */
static void vsock_device_reset(struct virtio_device *v)
{
    struct virtio_vsock *s = vsock_of(v);
    if (!s->begun)
        return;
    s->begun = false;
    s->epoch++;
    if (s->vsock)
        vsock_reset(s->vsock, s->epoch);
}

static void vsock_destroy(struct virtio_device *v)
{
    struct virtio_vsock *s = vsock_of(v);
    if (s->vsock)
        vsock_stop(s->vsock);
    virtio_device_fini(v);
    free(s);
}

static const struct virtio_ops vsock_ops = {
    .name = "virtio-vsock",
    .id = VSOCK_ID,
    .queues = QUEUES,
    .queue_size = VSOCK_QUEUE_SIZE,
    .start = vsock_driver_came,
    .notify = vsock_notify,
    .reset = vsock_device_reset,
    .destroy = vsock_destroy,
};

int virtio_vsock_create(const struct virtio_vsock_config *config, struct device **out)
{
    struct virtio_vsock *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    s->vsock = config->vsock;
    st_le64(s->config, config->cid);
    virtio_device_init(&s->virtio, &(struct virtio_setup){ .ops = &vsock_ops,
                                                           .gmem = config->gmem,
                                                           .irq = config->irq,
                                                           .features = VSOCK_F_STREAM,
                                                           .config = s->config,
                                                           .config_size = sizeof s->config });
    const struct vsock_client client = {
        .transmit = vsock_transmit, .receive = vsock_receive, .pause = vsock_pause, .ctx = s
    };
    int r = s->vsock ? vsock_start(s->vsock, &client) : 0;
    if (r < 0) {
        virtio_device_fini(&s->virtio);
        free(s);
        return r;
    }
    *out = &s->virtio.device;
    return 0;
}
