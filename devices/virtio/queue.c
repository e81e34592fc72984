/*
 * Split virtqueue, device side: virtio 1.2, section 2.7.
 *
 * In flight are at most `size` chains, because a driver that makes more available reuses ring
 * entries it does not own; so callers may size their tables by the queue.
 */
#include "devices/virtio/queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

#include "base/bytes.h"

enum {
    DESC_F_NEXT = 1,
    DESC_F_WRITE = 2,
    DESC_F_INDIRECT = 4,
    DESC_SIZE = 16,

    AVAIL_FLAGS = 0,
    AVAIL_IDX = 2,
    AVAIL_RING = 4,
    AVAIL_F_NO_INTERRUPT = 1,

    USED_IDX = 2,
    USED_RING = 4,
    USED_ELEM_SIZE = 8,
};

struct virtq_desc {
    gpa_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
};

/* ------------------------------------------------------------------ the rings */

static gpa_t avail_entry(const struct virtq *q, uint16_t index)
{
    return q->avail + AVAIL_RING + 2u * (index & (q->size - 1u));
}

/* Behind the last available entry: where the driver wants its next interrupt. */
static gpa_t used_event(const struct virtq *q)
{
    return q->avail + AVAIL_RING + 2u * q->size;
}

/* Behind the last used entry: where we want the next notification. */
static gpa_t avail_event(const struct virtq *q)
{
    return q->used + USED_RING + (gpa_t)USED_ELEM_SIZE * q->size;
}

void virtq_reset(struct virtq *q)
{
    *q = (struct virtq){ .gmem = q->gmem, .max_size = q->max_size };
}

int virtq_start(struct virtq *q)
{
    const uint64_t n = q->size;
    if (n == 0 || n > q->max_size || (n & (n - 1)))
        return -EINVAL;
    if (q->desc % 16 || q->avail % 2 || q->used % 4)
        return -EINVAL;
    if (!gmem_contains(q->gmem, q->desc, DESC_SIZE * n) ||
        !gmem_contains(q->gmem, q->avail, AVAIL_RING + 2 * n + 2) ||
        !gmem_contains(q->gmem, q->used, USED_RING + USED_ELEM_SIZE * n + 2))
        return -EINVAL;
    q->next_avail = q->next_used = q->signalled = 0;
    q->ready = true;
    return 0;
}

/* How many chains wait: avail->idx is the driver's, so it may say anything. */
static int virtq_waiting(const struct virtq *q, uint16_t *waiting)
{
    uint16_t index;
    if (gmem_load16(q->gmem, q->avail + AVAIL_IDX, &index) < 0)
        return -EFAULT;
    *waiting = (uint16_t)(index - q->next_avail);
    uint16_t in_flight = (uint16_t)(q->next_avail - q->next_used);
    return *waiting + in_flight > q->size ? -EPROTO : 0;
}

/* ------------------------------------------------------------------ chains */

static int desc_fetch(const struct virtq *q, gpa_t table, uint16_t index, struct virtq_desc *d)
{
    uint8_t raw[DESC_SIZE];
    if (gmem_read(q->gmem, table + (gpa_t)DESC_SIZE * index, raw, sizeof raw) < 0)
        return -EFAULT;
    *d = (struct virtq_desc){
        .addr = ld_le64(raw),
        .len = ld_le32(raw + 8),
        .flags = ld_le16(raw + 12),
        .next = ld_le16(raw + 14),
    };
    return 0;
}

/* Add the buffer of `d` to the chain: readable ones come first (2.7.4.2). */
static int chain_add(const struct virtq *q, struct virtq_chain *c, const struct virtq_desc *d)
{
    bool writable = d->flags & DESC_F_WRITE;
    if (!writable && c->writable > 0)
        return -EPROTO;
    int used = c->readable + c->writable;
    int pieces = gmem_iov(q->gmem, d->addr, d->len, c->iov + used, VIRTQ_MAX_IOV - used);
    if (pieces < 0)
        return pieces;
    *(writable ? &c->writable : &c->readable) += pieces;
    *(writable ? &c->writable_bytes : &c->readable_bytes) += d->len;
    return c->readable_bytes + c->writable_bytes > UINT32_MAX ? -EPROTO : 0;
}

/* Where a walk is: the ring's own table, or the one indirect table at its end. */
struct walk {
    gpa_t table;
    uint32_t entries;
    bool indirect;
};

/* `d` names an indirect table (2.7.5.3): go on there. */
static int walk_enter(const struct virtq *q, struct walk *w, const struct virtq_desc *d)
{
    if (!q->indirect || w->indirect || (d->flags & DESC_F_NEXT))
        return -EPROTO;
    if (d->len == 0 || d->len % DESC_SIZE || !gmem_contains(q->gmem, d->addr, d->len))
        return -EPROTO;
    *w = (struct walk){ .table = d->addr, .entries = d->len / DESC_SIZE, .indirect = true };
    return 0;
}

/* Collect the chain that starts at `c->head`. The pointer to an indirect table is not counted: the
 * table may hold as many buffers as the queue has entries. */
static int chain_walk(const struct virtq *q, struct virtq_chain *c)
{
    struct walk w = { .table = q->desc, .entries = q->size };
    uint16_t index = c->head;
    for (unsigned steps = 0; steps < q->size;) {
        struct virtq_desc d;
        if (index >= w.entries)
            return -EPROTO;
        int rc = desc_fetch(q, w.table, index, &d);
        if (rc < 0)
            return rc;
        if (d.flags & DESC_F_INDIRECT) {
            rc = walk_enter(q, &w, &d);
            if (rc < 0)
                return rc;
            index = 0;
            continue;
        }
        rc = chain_add(q, c, &d);
        if (rc < 0)
            return rc;
        if (!(d.flags & DESC_F_NEXT))
            return 0;
        index = d.next;
        steps++;
    }
    return -ELOOP;
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
    uint16_t waiting, head;
    if (!q->ready)
        return 0;
    int rc = virtq_waiting(q, &waiting);
    if (rc < 0 || waiting == 0)
        return rc;
    if (gmem_load16(q->gmem, avail_entry(q, q->next_avail), &head) < 0)
        return -EFAULT;
    c->head = head;
    c->readable = c->writable = 0;
    c->readable_bytes = c->writable_bytes = 0;
    rc = chain_walk(q, c);
    if (rc < 0)
        return rc;
    q->next_avail++;
    return 1;
}

void virtq_unpop(struct virtq *q, unsigned n)
{
    q->next_avail = (uint16_t)(q->next_avail - n);
}

int virtq_push_all(struct virtq *q, const struct virtq_used *used, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        uint8_t elem[USED_ELEM_SIZE];
        unsigned entry = (q->next_used + i) & (q->size - 1u);
        st_le32(elem, used[i].head);
        st_le32(elem + 4, used[i].written);
        if (gmem_write(q->gmem, q->used + USED_RING + (gpa_t)USED_ELEM_SIZE * entry, elem,
                       sizeof elem) < 0)
            return -EFAULT;
    }
    q->next_used = (uint16_t)(q->next_used + n);
    return gmem_store16(q->gmem, q->used + USED_IDX, q->next_used);
}

int virtq_push(struct virtq *q, uint16_t head, uint32_t written)
{
    return virtq_push_all(q, &(struct virtq_used){ head, written }, 1);
}

/* ------------------------------------------------------------------ notifications */

int virtq_rearm_beyond(struct virtq *q, unsigned enough)
{
    uint16_t waiting, event = (uint16_t)(q->next_avail + enough);
    if (!q->ready)
        return 0;
    if (q->event_idx && gmem_store16(q->gmem, avail_event(q), event) < 0)
        return -EFAULT;
    /* The driver writes avail->idx and then reads avail_event; we do the reverse. One of us sees
     * the other's write. */
    atomic_thread_fence(memory_order_seq_cst);
    int rc = virtq_waiting(q, &waiting);
    return rc < 0 ? rc : waiting > enough;
}

int virtq_rearm(struct virtq *q)
{
    return virtq_rearm_beyond(q, 0);
}

int virtq_needs_interrupt(struct virtq *q)
{
    uint16_t value, old = q->signalled;
    if (!q->ready)
        return 0;
    q->signalled = q->next_used;
    atomic_thread_fence(memory_order_seq_cst);
    if (!q->event_idx) {
        if (gmem_load16(q->gmem, q->avail + AVAIL_FLAGS, &value) < 0)
            return -EFAULT;
        return q->next_used != old && !(value & AVAIL_F_NO_INTERRUPT);
    }
    if (gmem_load16(q->gmem, used_event(q), &value) < 0)
        return -EFAULT;
    /* 2.7.7.1: has used->idx just moved past used_event? */
    return (uint16_t)(q->next_used - value - 1) < (uint16_t)(q->next_used - old);
}

/* ------------------------------------------------------------------ bytes of a chain */

/* Copy `n` bytes at `offset` of the pieces, to or from `buffer`. */
static bool iov_copy(const struct iovec *v, int count, uint64_t offset, uint8_t *to,
                     const uint8_t *from, uint64_t n)
{
    for (int i = 0; i < count && n > 0; i++) {
        uint64_t len = v[i].iov_len;
        if (offset >= len) {
            offset -= len;
            continue;
        }
        uint8_t *piece = (uint8_t *)v[i].iov_base + offset;
        uint64_t now = len - offset < n ? len - offset : n;
        if (to) {
            memcpy(to, piece, now);
            to += now;
        } else {
            memcpy(piece, from, now);
            from += now;
        }
        n -= now;
        offset = 0;
    }
    return n == 0;
}

bool virtq_chain_read(const struct virtq_chain *c, uint64_t offset, void *dst, uint64_t n)
{
    if (offset > c->readable_bytes || n > c->readable_bytes - offset)
        return false;
    return iov_copy(c->iov, c->readable, offset, dst, NULL, n);
}

bool virtq_chain_write(const struct virtq_chain *c, uint64_t offset, const void *src, uint64_t n)
{
    if (offset > c->writable_bytes || n > c->writable_bytes - offset)
        return false;
    return iov_copy(c->iov + c->readable, c->writable, offset, NULL, src, n);
}

void virtq_chain_skip(struct virtq_chain *c, uint64_t n)
{
    int gone = 0;
    c->readable_bytes -= n;
    while (n > 0) {
        struct iovec *v = &c->iov[gone];
        if (v->iov_len > n) {
            v->iov_base = (uint8_t *)v->iov_base + n;
            v->iov_len -= n;
            break;
        }
        n -= v->iov_len;
        gone++;
    }
    c->readable -= gone;
    memmove(c->iov, c->iov + gone, (size_t)(c->readable + c->writable) * sizeof c->iov[0]);
}

uint8_t *virtq_chain_take_last(struct virtq_chain *c)
{
    if (c->writable_bytes == 0)
        return NULL;
    struct iovec *v = &c->iov[c->readable + c->writable - 1];
    v->iov_len--;
    c->writable_bytes--;
    if (v->iov_len == 0)
        c->writable--;
    return (uint8_t *)v->iov_base + v->iov_len;
}
