/*
 * virtio-blk: virtio 1.2, section 5.2.
 *
 * The vCPU that notifies takes the chains off the ring, checks them and hands them to the disk; a
 * worker of the disk finishes them and raises the interrupt. Short reads of what the host has in
 * memory, and some writes (disk_run_now()), are done at once: two changes of threads would take
 * longer. One slot per queue entry holds a request while it is under way, and no more can be
 * (queue.c). Reset waits until the slots are empty.
 *
 * Durability: with VIRTIO_BLK_F_FLUSH negotiated and the write cache on, data is stable when a
 * FLUSH completes; otherwise (5.2.6.2) a write only completes once it was flushed.
 */
#include "devices/virtio/blk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/device.h"

#define BLK_ID           2
#define BLK_QUEUE_SIZE   VIRTQ_MAX_SIZE
#define BLK_SECTOR       512u
#define BLK_SECTOR_SHIFT 9
#define BLK_SERIAL_SIZE  20
/* Ranges of one DISCARD or WRITE_ZEROES, and the longest of them: 1 GiB. */
#define BLK_MAX_RANGES        16
#define BLK_MAX_RANGE_SECTORS (1u << 21)
/* The longest read or write that the vCPU does itself, in bytes. */
#define BLK_RUN_NOW (1u << 20)

/* Feature bits (5.2.3). */
#define BLK_F_SEG_MAX      (1ull << 2)
#define BLK_F_RO           (1ull << 5)
#define BLK_F_BLK_SIZE     (1ull << 6)
#define BLK_F_FLUSH        (1ull << 9)
#define BLK_F_TOPOLOGY     (1ull << 10)
#define BLK_F_CONFIG_WCE   (1ull << 11)
#define BLK_F_MQ           (1ull << 12)
#define BLK_F_DISCARD      (1ull << 13)
#define BLK_F_WRITE_ZEROES (1ull << 14)

/* Request types and the status byte (5.2.6). */
enum {
    BLK_T_IN = 0,
    BLK_T_OUT = 1,
    BLK_T_FLUSH = 4,
    BLK_T_GET_ID = 8,
    BLK_T_DISCARD = 11,
    BLK_T_WRITE_ZEROES = 13,

    BLK_S_OK = 0,
    BLK_S_IOERR = 1,
    BLK_S_UNSUPP = 2,
};

/* The configuration space (5.2.4), as offsets into bytes. */
enum {
    CFG_CAPACITY = 0,
    CFG_SEG_MAX = 12,
    CFG_BLK_SIZE = 20,
    CFG_PHYSICAL_BLOCK_EXP = 24,
    CFG_MIN_IO_SIZE = 26,
    CFG_WRITEBACK = 32,
    CFG_NUM_QUEUES = 34,
    CFG_MAX_DISCARD_SECTORS = 36,
    CFG_MAX_DISCARD_SEG = 40,
    CFG_DISCARD_ALIGNMENT = 44,
    CFG_MAX_WRITE_ZEROES_SECTORS = 48,
    CFG_MAX_WRITE_ZEROES_SEG = 52,
    CFG_SIZE = 60,
};

/* struct virtio_blk_req's header and struct virtio_blk_discard_write_zeroes. */
enum {
    HEADER_TYPE = 0,
    HEADER_SECTOR = 8,
    HEADER_SIZE = 16,

    RANGE_SECTOR = 0,
    RANGE_COUNT = 8,
    RANGE_FLAGS = 12,
    RANGE_SIZE = 16,
    RANGE_F_UNMAP = 1,
};

struct blk_range {
    uint64_t offset, length; /* bytes */
};

struct blk_slot {
    struct disk_request request; /* first */
    struct virtio_blk *blk;
    struct blk_slot *next_free;
    struct virtq_chain chain; /* without header and status */
    uint8_t *status;
    uint32_t type;
    uint16_t queue;
    bool flush_after; /* write-through: a flush follows the write */
    unsigned range, ranges;
    struct blk_range todo[BLK_MAX_RANGES];
};

struct virtio_blk {
    struct virtio_device virtio; /* first */
    struct disk *disk;
    char serial[BLK_SERIAL_SIZE];
    uint8_t config[CFG_SIZE];

    pthread_cond_t idle; /* in_flight fell to 0 */
    unsigned in_flight;
    unsigned used;          /* of slot[], so that memory that was never needed is not touched */
    struct blk_slot *free;  /* of those */
    struct blk_slot slot[]; /* one to pop into when all others are in flight */
};

static struct virtio_blk *blk_of(struct virtio_device *v)
{
    return CONTAINER_OF(v, struct virtio_blk, virtio);
}

/* ------------------------------------------------------------------ completion */

/* Answer the driver, `data` bytes of whose buffer were filled, and free the slot. Does not raise
 * the interrupt. */
static void blk_finish(struct virtio_blk *b, struct blk_slot *s, uint8_t status, uint32_t data)
{
    *s->status = status;
    /* What counts is what was written without a gap from the start (2.7.8.2). */
    virtio_push(&b->virtio, s->queue, s->chain.head,
                data == s->chain.writable_bytes ? data + 1 : data);
    s->next_free = b->free;
    b->free = s;
    if (--b->in_flight == 0)
        pthread_cond_broadcast(&b->idle);
}

/* Is there more to do for this request? Then start it. */
static bool blk_continue(struct virtio_blk *b, struct blk_slot *s)
{
    if (++s->range < s->ranges) {
        s->request.offset = s->todo[s->range].offset;
        s->request.length = s->todo[s->range].length;
    } else if (s->flush_after) {
        s->flush_after = false;
        s->request.op = DISK_FLUSH;
    } else {
        return false;
    }
    disk_submit(b->disk, &s->request);
    return true;
}

/* On the disk's worker thread. */
static void blk_done(struct disk_request *r, int result)
{
    struct blk_slot *s = CONTAINER_OF(r, struct blk_slot, request);
    struct virtio_blk *b = s->blk;
    struct lock *lock = &b->virtio.device.lock;
    lock_acquire(lock);
    unsigned queue = s->queue;
    if (result < 0 || !blk_continue(b, s)) {
        bool filled = result == 0 && s->type == BLK_T_IN;
        blk_finish(b, s, result < 0 ? BLK_S_IOERR : BLK_S_OK,
                   filled ? (uint32_t)s->chain.writable_bytes : 0);
        virtio_interrupt(&b->virtio, queue);
    }
    lock_release(lock);
}

/* ------------------------------------------------------------------ requests */

/* The byte range of `bytes` from `sector` on, if the disk has it. */
static bool blk_range(const struct virtio_blk *b, uint64_t sector, uint64_t bytes,
                      struct blk_range *out)
{
    uint64_t size = disk_size(b->disk);
    if (sector > size >> BLK_SECTOR_SHIFT || bytes > size - (sector << BLK_SECTOR_SHIFT))
        return false;
    *out = (struct blk_range){ .offset = sector << BLK_SECTOR_SHIFT, .length = bytes };
    return true;
}

static bool blk_write_through(const struct virtio_blk *b)
{
    if (virtio_has(&b->virtio, BLK_F_CONFIG_WCE))
        return b->config[CFG_WRITEBACK] == 0;
    return !virtio_has(&b->virtio, BLK_F_FLUSH);
}

/* Fill in the disk's request for the slot's first range. */
static void blk_prepare(struct virtio_blk *b, struct blk_slot *s, enum disk_op op)
{
    bool writes = op == DISK_WRITE || op == DISK_WRITE_ZEROES;
    s->flush_after = writes && blk_write_through(b);
    s->range = 0;
    s->request = (struct disk_request){
        .op = op,
        .offset = s->todo[0].offset,
        .length = s->todo[0].length,
        .iov = s->chain.iov,
        .iov_count = s->chain.readable + s->chain.writable,
        .done = blk_done,
    };
}

/* Hand the slot's ranges to the disk. */
static void blk_submit(struct virtio_blk *b, struct blk_slot *s, enum disk_op op)
{
    blk_prepare(b, s, op);
    disk_submit(b->disk, &s->request);
}

/* Each of the following takes a request over and returns BLK_TAKEN, or returns the error status
 * that answers it at once. */
#define BLK_TAKEN (-1)

static int blk_transfer(struct virtio_blk *b, struct blk_slot *s, uint64_t sector)
{
    bool in = s->type == BLK_T_IN;
    uint64_t bytes = in ? s->chain.writable_bytes : s->chain.readable_bytes;
    uint64_t other = in ? s->chain.readable_bytes : s->chain.writable_bytes;
    if (other > 0 || bytes % BLK_SECTOR || !blk_range(b, sector, bytes, &s->todo[0]))
        return BLK_S_IOERR;
    if (!in && disk_read_only(b->disk))
        return BLK_S_IOERR;
    s->ranges = 1;
    blk_prepare(b, s, in ? DISK_READ : DISK_WRITE);
    if (bytes <= BLK_RUN_NOW && !s->flush_after && disk_run_now(b->disk, &s->request) == 0)
        blk_finish(b, s, BLK_S_OK, in ? (uint32_t)bytes : 0);
    else
        disk_submit(b->disk, &s->request);
    return BLK_TAKEN;
}

static int blk_flush(struct virtio_blk *b, struct blk_slot *s)
{
    s->ranges = 1;
    s->todo[0] = (struct blk_range){ 0 };
    blk_submit(b, s, DISK_FLUSH);
    return BLK_TAKEN;
}

static int blk_get_id(struct virtio_blk *b, struct blk_slot *s)
{
    if (!virtq_chain_write(&s->chain, 0, b->serial, sizeof b->serial))
        return BLK_S_IOERR;
    blk_finish(b, s, BLK_S_OK, sizeof b->serial);
    return BLK_TAKEN;
}

/* DISCARD and WRITE_ZEROES carry their ranges as data (5.2.6.1). All are checked before the first
 * is started. */
static int blk_ranges(struct virtio_blk *b, struct blk_slot *s)
{
    bool discard = s->type == BLK_T_DISCARD;
    uint64_t bytes = s->chain.readable_bytes;
    if (!virtio_has(&b->virtio, discard ? BLK_F_DISCARD : BLK_F_WRITE_ZEROES))
        return BLK_S_UNSUPP;
    if (bytes == 0 || bytes % RANGE_SIZE || bytes > BLK_MAX_RANGES * RANGE_SIZE)
        return BLK_S_IOERR;
    s->ranges = (unsigned)(bytes / RANGE_SIZE);
    for (unsigned i = 0; i < s->ranges; i++) {
        uint8_t raw[RANGE_SIZE];
        if (!virtq_chain_read(&s->chain, (uint64_t)i * RANGE_SIZE, raw, sizeof raw))
            return BLK_S_IOERR;
        uint32_t count = ld_le32(raw + RANGE_COUNT);
        uint32_t flags = ld_le32(raw + RANGE_FLAGS);
        if (flags & (discard ? ~0u : ~(uint32_t)RANGE_F_UNMAP))
            return BLK_S_UNSUPP;
        if (count == 0 || count > BLK_MAX_RANGE_SECTORS ||
            !blk_range(b, ld_le64(raw + RANGE_SECTOR), (uint64_t)count << BLK_SECTOR_SHIFT,
                       &s->todo[i]))
            return BLK_S_IOERR;
    }
    blk_submit(b, s, discard ? DISK_DISCARD : DISK_WRITE_ZEROES);
    return BLK_TAKEN;
}

/* Act on the chain in `s`. Returns false when it is no block request at all. */
static bool blk_start(struct virtio_blk *b, struct blk_slot *s)
{
    uint8_t header[HEADER_SIZE];
    if (!virtq_chain_read(&s->chain, 0, header, sizeof header))
        return false;
    s->status = virtq_chain_take_last(&s->chain);
    if (!s->status)
        return false;
    virtq_chain_skip(&s->chain, HEADER_SIZE);
    s->type = ld_le32(header + HEADER_TYPE);
    uint64_t sector = ld_le64(header + HEADER_SECTOR);
    s->flush_after = false;
    b->in_flight++;

    int status;
    switch (s->type) {
    case BLK_T_IN:
    case BLK_T_OUT:
        status = blk_transfer(b, s, sector);
        break;
    case BLK_T_FLUSH:
        status = blk_flush(b, s);
        break;
    case BLK_T_GET_ID:
        status = blk_get_id(b, s);
        break;
    case BLK_T_DISCARD:
    case BLK_T_WRITE_ZEROES:
        status = blk_ranges(b, s);
        break;
    default:
        status = BLK_S_UNSUPP;
        break;
    }
    if (status != BLK_TAKEN)
        blk_finish(b, s, (uint8_t)status, 0);
    return true;
}

/* ------------------------------------------------------------------ the transport's calls */

/* A slot that nothing uses. At most the queue's size can be in flight (queue.c), so there is one.
 */
static struct blk_slot *blk_slot(struct virtio_blk *b)
{
    struct blk_slot *s = b->free;
    if (s) {
        b->free = s->next_free;
    } else {
        s = &b->slot[b->used++];
        s->blk = b;
    }
    return s;
}

/* Take everything that is available, and ask to be told about more. */
static void blk_notify(struct virtio_device *v, unsigned queue)
{
    struct virtio_blk *b = blk_of(v);
    struct virtq *q = &v->queue[queue];
    int rc;
    do {
        struct blk_slot *s = blk_slot(b);
        s->queue = (uint16_t)queue;
        rc = virtq_pop(q, &s->chain);
        bool taken = rc > 0 && blk_start(b, s);
        if (rc > 0 && !taken)
            rc = -EPROTO;
        if (!taken) {
            s->next_free = b->free;
            b->free = s;
        }
        if (rc == 0)
            rc = virtq_rearm(q);
    } while (rc > 0);
    if (rc < 0)
        virtio_fail(v, rc == -EFAULT ? "a buffer is not RAM" : "malformed request");
    virtio_interrupt(v, queue);
}

static void blk_config_write(struct virtio_device *v, uint64_t offset, unsigned width,
                             uint64_t value)
{
    struct virtio_blk *b = blk_of(v);
    if (offset == CFG_WRITEBACK && width == 1 && virtio_has(v, BLK_F_CONFIG_WCE))
        b->config[CFG_WRITEBACK] = value & 1;
}

static void blk_drain(struct virtio_device *v)
{
    struct virtio_blk *b = blk_of(v);
    disk_hurry(b->disk, true);
    while (b->in_flight > 0)
        lock_wait(&v->device.lock, &b->idle, UINT64_MAX);
    disk_hurry(b->disk, false);
}

static void blk_reset(struct virtio_device *v)
{
    struct virtio_blk *b = blk_of(v);
    b->config[CFG_WRITEBACK] = !disk_write_through(b->disk);
}

static void blk_destroy(struct virtio_device *v)
{
    struct virtio_blk *b = blk_of(v);
    disk_drain(b->disk); /* the worker has left blk_done() */
    pthread_cond_destroy(&b->idle);
    virtio_device_fini(v);
    free(b);
}

static const struct virtio_ops blk_ops = {
    .name = "virtio-blk",
    .id = BLK_ID,
    .queues = 1,
    .queue_size = BLK_QUEUE_SIZE,
    .any_order = true, /* a read does not wait for a flush */
    .notify = blk_notify,
    .config_write = blk_config_write,
    .drain = blk_drain,
    .reset = blk_reset,
    .destroy = blk_destroy,
};

static void blk_fill_config(struct virtio_blk *b, unsigned queues)
{
    uint8_t *c = b->config;
    st_le64(c + CFG_CAPACITY, disk_size(b->disk) >> BLK_SECTOR_SHIFT);
    st_le32(c + CFG_SEG_MAX, BLK_QUEUE_SIZE - 2); /* header and status take one each */
    st_le32(c + CFG_BLK_SIZE, BLK_SECTOR);
    c[CFG_PHYSICAL_BLOCK_EXP] = 3; /* 4 KiB, what host file systems use */
    st_le16(c + CFG_MIN_IO_SIZE, 8);
    c[CFG_WRITEBACK] = !disk_write_through(b->disk);
    st_le16(c + CFG_NUM_QUEUES, (uint16_t)queues);
    st_le32(c + CFG_MAX_DISCARD_SECTORS, BLK_MAX_RANGE_SECTORS);
    st_le32(c + CFG_MAX_DISCARD_SEG, BLK_MAX_RANGES);
    st_le32(c + CFG_DISCARD_ALIGNMENT, 8);
    st_le32(c + CFG_MAX_WRITE_ZEROES_SECTORS, BLK_MAX_RANGE_SECTORS);
    st_le32(c + CFG_MAX_WRITE_ZEROES_SEG, BLK_MAX_RANGES);
}

int virtio_blk_create(const struct virtio_blk_config *config, struct device **out)
{
    unsigned queues = config->queues < 1                ? 1
                      : config->queues > BLK_MAX_QUEUES ? BLK_MAX_QUEUES
                                                        : config->queues;
    size_t slots = (size_t)queues * BLK_QUEUE_SIZE + 1;
    struct virtio_blk *b = calloc(1, sizeof *b + slots * sizeof b->slot[0]);
    if (!b)
        return -ENOMEM;
    b->disk = config->disk;
    memcpy(b->serial, config->serial, strnlen(config->serial, sizeof b->serial));
    blk_fill_config(b, queues);
    cond_init(&b->idle);
    uint64_t features = BLK_F_SEG_MAX | BLK_F_BLK_SIZE | BLK_F_TOPOLOGY;
    if (queues > 1)
        features |= BLK_F_MQ;
    if (!disk_write_through(b->disk))
        features |= BLK_F_FLUSH;
    if (disk_read_only(b->disk))
        features |= BLK_F_RO;
    else
        features |= BLK_F_DISCARD | BLK_F_WRITE_ZEROES;
    if (!disk_read_only(b->disk) && !disk_write_through(b->disk))
        features |= BLK_F_CONFIG_WCE;
    virtio_device_init(&b->virtio, &(struct virtio_setup){ .ops = &blk_ops,
                                                           .gmem = config->gmem,
                                                           .irq = config->irq,
                                                           .features = features,
                                                           .config = b->config,
                                                           .config_size = sizeof b->config,
                                                           .queues = queues });
    *out = &b->virtio.device;
    return 0;
}
