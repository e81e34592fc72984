/*
 * The device's side of a virtqueue, split (virtio 1.2, 2.7) or packed (2.8), with indirect
 * descriptors, event index, and buffers given back in order. A device does not see which it is.
 *
 * Everything in the rings is the guest's word. A chain is walked once, each descriptor is fetched
 * once, the walk is bounded by the queue size, and what comes out is a list of host pieces inside
 * RAM. Whatever breaks the rules of the specification makes the call fail; the transport then
 * stops the device until the driver resets it.
 *
 * Threads: the caller holds the device's lock.
 */
#ifndef DEVICES_VIRTIO_QUEUE_H
#define DEVICES_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "base/compiler.h"
#include "base/gmem.h"

/* Feature bits of the rings (6). */
#define VIRTIO_F_INDIRECT_DESC (1ull << 28)
#define VIRTIO_F_EVENT_IDX     (1ull << 29)
#define VIRTIO_F_RING_PACKED   (1ull << 34)
#define VIRTIO_F_IN_ORDER      (1ull << 35)

/* More than the 256 pages of the longest request that Linux makes of one bio. */
#define VIRTQ_MAX_SIZE 512
/* A descriptor that crosses two regions of RAM makes two pieces. */
#define VIRTQ_MAX_IOV (VIRTQ_MAX_SIZE + GMEM_MAX_REGIONS)

/* What a packed or in-order queue remembers of a chain until it is given back. */
struct virtq_slot {
    uint16_t id;    /* the driver's */
    uint16_t count; /* descriptors in a packed ring */
    uint32_t written;
    bool done;
};

struct virtq_slots {
    uint16_t order[VIRTQ_MAX_SIZE]; /* as they were popped */
    uint16_t free[VIRTQ_MAX_SIZE], free_count;
    struct virtq_slot slot[VIRTQ_MAX_SIZE];
};

struct virtq {
    const struct gmem *gmem;
    uint16_t max_size; /* what the device offers */
    bool unwritten;    /* the device does not write into buffers that it may write into */

    /* Set by the driver, through the transport. */
    uint16_t size;
    gpa_t desc, avail, used; /* packed: the ring, the driver's and the device's event */
    bool indirect, event_idx, packed, in_order; /* negotiated features */
    bool ready;

    uint16_t next_avail; /* the next available entry to take; packed: its index */
    uint16_t next_used;  /* the next used entry to fill; packed: its index */
    uint16_t signalled;  /* split: next_used when virtq_needs_interrupt() was last asked */

    bool avail_wrap, used_wrap; /* packed: the wrap counters of the two indices */
    uint16_t in_flight;         /* packed: descriptors */
    uint32_t unsignalled;       /* packed: descriptors used since the driver was last told */

    /* Packed or in order. */
    uint16_t popped, given;    /* chains: order[given % ...] is the oldest in order */
    struct virtq_slots *slots; /* ours; NULL until such a queue starts */
};

/* One request of the driver. */
struct virtq_chain {
    uint16_t head;          /* its name for virtq_push() */
    int readable, writable; /* pieces: iov[0..readable), then `writable` more */
    uint64_t readable_bytes, writable_bytes;
    struct iovec iov[VIRTQ_MAX_IOV];
};

/* Forget what the driver set. */
void virtq_reset(struct virtq *q);

/* Which of the features above the driver has accepted. */
void virtq_negotiate(struct virtq *q, uint64_t features);

/* Start the queue as configured. -EINVAL when the size is not within max_size (split: and a power
 * of two), or a ring is misaligned or not RAM; -ENOMEM. */
int virtq_start(struct virtq *q) MUST_CHECK;

/* Free what virtq_start() made. */
void virtq_fini(struct virtq *q);

/* Take the next chain. 1, or 0 when there is none, or a negative errno when the driver broke the
 * rules. */
int virtq_pop(struct virtq *q, struct virtq_chain *c) MUST_CHECK;

/* Put the last `n` chains taken back, as if they had not been; none of them was pushed. */
void virtq_unpop(struct virtq *q, unsigned n);

/* A chain to give back: `written` bytes from the start of its writable part were written. */
struct virtq_used {
    uint16_t head;
    uint32_t written;
};

int virtq_push(struct virtq *q, uint16_t head, uint32_t written) MUST_CHECK;
/* Give `n` chains back at once: the driver sees all of them or none. */
int virtq_push_all(struct virtq *q, const struct virtq_used *used, unsigned n) MUST_CHECK;

/* Ask the driver to notify us about the next available buffer. 1 when there is one already (go on
 * popping), 0, or a negative errno. */
int virtq_rearm(struct virtq *q) MUST_CHECK;
/* The same when `enough` waiting chains do not suffice: ask for, and look for, one more. */
int virtq_rearm_beyond(struct virtq *q, unsigned enough) MUST_CHECK;

/* Does the driver want an interrupt for what was pushed since the last call? 1, 0, or a negative
 * errno. */
int virtq_needs_interrupt(struct virtq *q) MUST_CHECK;

/* Copy from the readable part: `n` bytes at `offset`. All or nothing; false if it is too short. */
bool virtq_chain_read(const struct virtq_chain *c, uint64_t offset, void *dst,
                      uint64_t n) MUST_CHECK;
/* The same into the writable part. */
bool virtq_chain_write(const struct virtq_chain *c, uint64_t offset, const void *src,
                       uint64_t n) MUST_CHECK;

/* Cut the first `n` bytes off the readable part; it must have them. */
void virtq_chain_skip(struct virtq_chain *c, uint64_t n);
/* Cut the last byte off the writable part and return where it is; NULL if there is none. Only
 * write to it. */
uint8_t *virtq_chain_take_last(struct virtq_chain *c);

#endif
