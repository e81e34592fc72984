/*
 * Virtqueues, device side: virtio 1.2, section 2.7 (split) here, 2.8 (packed) in queue_packed.c,
 * and what is common to both.
 *
 * In flight are at most `size` chains, because a driver that makes more available reuses ring
 * entries it does not own; so callers may size their tables by the queue.
 *
 * A split ring's used entry names the chain's first descriptor, so nothing has to be remembered of
 * a chain that is under way. A packed ring's moves by as many descriptors as the chain had, and
 * with VIRTIO_F_IN_ORDER chains are given back as they came: then each chain has a slot, whose
 * number is what the device knows as its head, and `order` is the row of slots as they were popped.
 */
#include "devices/virtio/queue.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/queue_layout.h"

enum {
    AVAIL_FLAGS = 0,
    AVAIL_IDX = 2,
    AVAIL_RING = 4,
    AVAIL_F_NO_INTERRUPT = 1,

    USED_IDX = 2,
    USED_RING = 4,
    USED_ELEM_SIZE = 8,
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
    *q = (struct virtq){
        .gmem = q->gmem, .max_size = q->max_size, .unwritten = q->unwritten, .slots = q->slots
    };
}

static int split_start(const struct virtq *q)
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
    return 0;
}

void virtq_negotiate(struct virtq *q, uint64_t features)
{
    q->indirect = features & VIRTIO_F_INDIRECT_DESC;
    q->event_idx = features & VIRTIO_F_EVENT_IDX;
    q->packed = features & VIRTIO_F_RING_PACKED;
    q->in_order = features & VIRTIO_F_IN_ORDER;
}

static bool has_slots(const struct virtq *q)
{
    return q->packed || q->in_order;
}

static int slots_start(struct virtq *q)
{
    if (!q->slots)
        q->slots = malloc(sizeof *q->slots);
    if (!q->slots)
        return -ENOMEM;
    for (uint16_t i = 0; i < VIRTQ_MAX_SIZE; i++)
        q->slots->free[i] = i;
    q->slots->free_count = VIRTQ_MAX_SIZE;
    return 0;
}

void virtq_fini(struct virtq *q)
{
    free(q->slots);
}

int virtq_start(struct virtq *q)
{
    int rc = q->packed ? virtq_packed_start(q) : split_start(q);
    if (rc == 0 && has_slots(q))
        rc = slots_start(q);
    if (rc < 0)
        return rc;
    q->next_avail = q->next_used = q->signalled = 0;
    q->in_flight = q->popped = q->given = 0;
    q->unsignalled = 0;
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

int virtq_desc_fetch(const struct virtq *q, gpa_t table, uint16_t index, struct virtq_desc *d)
{
    uint8_t raw[DESC_SIZE];
    if (gmem_read(q->gmem, table + (gpa_t)DESC_SIZE * index, raw, sizeof raw) < 0)
        return -EFAULT;
    *d = (struct virtq_desc){
        .addr = ld_le64(raw),
        .len = ld_le32(raw + 8),
        .flags = ld_le16(raw + 12),
        .last = ld_le16(raw + 14),
    };
    return 0;
}

int virtq_chain_add(const struct virtq *q, struct virtq_chain *c, const struct virtq_desc *d)
{
    bool writable = d->flags & DESC_F_WRITE;
    if (!writable && c->writable > 0)
        return -EPROTO;
    int used = c->readable + c->writable;
    int pieces = gmem_iov(q->gmem, d->addr, d->len, c->iov + used, VIRTQ_MAX_IOV - used);
    if (pieces < 0)
        return pieces;
    for (int n = used; writable && !q->unwritten && n < used + pieces; n++)
        gmem_touch(q->gmem, &c->iov[n]);
    *(writable ? &c->writable : &c->readable) += pieces;
    *(writable ? &c->writable_bytes : &c->readable_bytes) += d->len;
    return c->readable_bytes + c->writable_bytes > UINT32_MAX ? -EPROTO : 0;
}

int64_t virtq_indirect_entries(const struct virtq *q, const struct virtq_desc *d)
{
    if (!q->indirect || (d->flags & DESC_F_NEXT))
        return -EPROTO;
    if (d->len == 0 || d->len % DESC_SIZE || !gmem_contains(q->gmem, d->addr, d->len))
        return -EPROTO;
    return d->len / DESC_SIZE;
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
    int64_t entries = w->indirect ? -EPROTO : virtq_indirect_entries(q, d);
    if (entries < 0)
        return (int)entries;
    *w = (struct walk){ .table = d->addr, .entries = (uint32_t)entries, .indirect = true };
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
        int rc = virtq_desc_fetch(q, w.table, index, &d);
        if (rc < 0)
            return rc;
        if (d.flags & DESC_F_INDIRECT) {
            rc = walk_enter(q, &w, &d);
            if (rc < 0)
                return rc;
            index = 0;
            continue;
        }
        rc = virtq_chain_add(q, c, &d);
        if (rc < 0)
            return rc;
        if (!(d.flags & DESC_F_NEXT))
            return 0;
        index = d.last;
        steps++;
    }
    return -ELOOP;
}

static int split_pop(struct virtq *q, struct virtq_chain *c, uint16_t *count)
{
    uint16_t waiting, head;
    int rc = virtq_waiting(q, &waiting);
    if (rc < 0 || waiting == 0)
        return rc;
    if (gmem_load16(q->gmem, avail_entry(q, q->next_avail), &head) < 0)
        return -EFAULT;
    c->head = head;
    *count = 1;
    rc = chain_walk(q, c);
    if (rc < 0)
        return rc;
    q->next_avail++;
    return 1;
}

/* ------------------------------------------------------------------ slots */

static uint16_t *order_at(struct virtq *q, uint16_t n)
{
    return &q->slots->order[n % VIRTQ_MAX_SIZE];
}

/* There is a free one, as no more chains are in flight than the queue has entries. */
static uint16_t slot_take(struct virtq *q, uint16_t id, uint16_t count)
{
    struct virtq_slots *s = q->slots;
    uint16_t slot = s->free[--s->free_count];
    s->slot[slot] = (struct virtq_slot){ .id = id, .count = count };
    *order_at(q, q->popped++) = slot;
    return slot;
}

static void slot_free(struct virtq *q, uint16_t slot)
{
    q->slots->free[q->slots->free_count++] = slot;
}

int virtq_pop(struct virtq *q, struct virtq_chain *c)
{
    uint16_t count;
    if (!q->ready)
        return 0;
    c->readable = c->writable = 0;
    c->readable_bytes = c->writable_bytes = 0;
    int rc = q->packed ? virtq_packed_pop(q, c, &count) : split_pop(q, c, &count);
    if (rc > 0 && has_slots(q))
        c->head = slot_take(q, c->head, count);
    return rc;
}

void virtq_unpop(struct virtq *q, unsigned n)
{
    if (!q->packed)
        q->next_avail = (uint16_t)(q->next_avail - n);
    for (; has_slots(q) && n > 0; n--) {
        uint16_t slot = *order_at(q, --q->popped);
        if (q->packed)
            virtq_packed_unpop(q, q->slots->slot[slot].count);
        slot_free(q, slot);
    }
}

/* ------------------------------------------------------------------ giving back */

/* Used entry `i` of those that split_publish() shows to the driver. */
static int split_write(const struct virtq *q, unsigned i, uint16_t id, uint32_t written)
{
    uint8_t elem[USED_ELEM_SIZE];
    unsigned entry = (q->next_used + i) & (q->size - 1u);
    st_le32(elem, id);
    st_le32(elem + 4, written);
    return gmem_write(q->gmem, q->used + USED_RING + (gpa_t)USED_ELEM_SIZE * entry, elem,
                      sizeof elem);
}

static int split_publish(struct virtq *q, unsigned n)
{
    q->next_used = (uint16_t)(q->next_used + n);
    return gmem_store16(q->gmem, q->used + USED_IDX, q->next_used);
}

static int give(struct virtq *q, const uint16_t *slots, unsigned n)
{
    int rc = 0;
    for (unsigned i = 0; !q->packed && rc == 0 && i < n; i++)
        rc = split_write(q, i, q->slots->slot[slots[i]].id, q->slots->slot[slots[i]].written);
    if (rc == 0)
        rc = q->packed ? virtq_packed_give(q, slots, n) : split_publish(q, n);
    for (unsigned i = 0; i < n; i++)
        slot_free(q, slots[i]);
    return rc;
}

/* The slots from the oldest on that the device is done with (2.7.9, 2.8.15). */
static unsigned done_in_order(struct virtq *q, uint16_t *slots)
{
    unsigned n = 0;
    while (q->given != q->popped && q->slots->slot[*order_at(q, q->given)].done)
        slots[n++] = *order_at(q, q->given++);
    return n;
}

int virtq_push_all(struct virtq *q, const struct virtq_used *used, unsigned n)
{
    uint16_t slots[VIRTQ_MAX_SIZE];
    if (!has_slots(q)) {
        for (unsigned i = 0; i < n; i++)
            if (split_write(q, i, used[i].head, used[i].written) < 0)
                return -EFAULT;
        return split_publish(q, n);
    }
    for (unsigned i = 0; i < n; i++) {
        slots[i] = used[i].head;
        q->slots->slot[slots[i]].written = used[i].written;
        q->slots->slot[slots[i]].done = true;
    }
    if (q->in_order)
        n = done_in_order(q, slots);
    return n > 0 ? give(q, slots, n) : 0;
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
    if (q->packed)
        return virtq_packed_rearm(q, enough);
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
    if (q->packed)
        return virtq_packed_needs_interrupt(q);
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
