/*
 * Packed virtqueue, device side: virtio 1.2, section 2.8.
 *
 * One ring of descriptors that driver and device write in turn. A position is an index and a wrap
 * counter, which changes each time around; a descriptor is the driver's news when its AVAIL bit
 * equals that counter and its USED bit does not, ours when both do. A chain is a row of descriptors
 * and its answer is one descriptor, at the place where the first not yet answered row began, so a
 * used position moves by as many descriptors as the chain had: slots remember that (queue.c).
 */
#include <errno.h>
#include <stdatomic.h>

#include "base/bytes.h"
#include "devices/virtio/queue_layout.h"

enum {
    DESC_F_AVAIL = 1 << 7,
    DESC_F_USED = 1 << 15,
    DESC_LEN = 8,
    DESC_ID = 12,
    DESC_FLAGS = 14,

    /* The event suppression structures (2.8.14). */
    EVENT_DESC = 0,
    EVENT_FLAGS = 2,
    EVENT_SIZE = 4,
    EVENT_WRAP = 1 << 15,
    EVENT_F_ENABLE = 0,
    EVENT_F_DISABLE = 1,
    EVENT_F_DESC = 2,
};

/* A place in the ring. */
struct position {
    uint16_t index;
    bool wrap;
};

static struct position position_after(const struct virtq *q, struct position p, uint16_t n)
{
    unsigned index = p.index + n; /* n is at most the size */
    return index < q->size ? (struct position){ (uint16_t)index, p.wrap }
                           : (struct position){ (uint16_t)(index - q->size), !p.wrap };
}

static gpa_t desc_at(const struct virtq *q, uint16_t index)
{
    return q->desc + (gpa_t)DESC_SIZE * index;
}

int virtq_packed_start(struct virtq *q)
{
    if (q->size == 0 || q->size > q->max_size)
        return -EINVAL;
    if (q->desc % 16 || q->avail % 4 || q->used % 4)
        return -EINVAL;
    if (!gmem_contains(q->gmem, q->desc, (uint64_t)DESC_SIZE * q->size) ||
        !gmem_contains(q->gmem, q->avail, EVENT_SIZE) ||
        !gmem_contains(q->gmem, q->used, EVENT_SIZE))
        return -EINVAL;
    q->avail_wrap = q->used_wrap = true;
    return 0;
}

/* Has the driver made the descriptor available? 1, 0, or negative errno; `*flags` are its. */
static int is_available(const struct virtq *q, struct position p, uint16_t *flags)
{
    if (gmem_load16(q->gmem, desc_at(q, p.index) + DESC_FLAGS, flags) < 0)
        return -EFAULT;
    return !(*flags & DESC_F_AVAIL) == !p.wrap && !(*flags & DESC_F_USED) == p.wrap;
}

/* ------------------------------------------------------------------ chains */

static int virtq_desc_load(const struct virtq *q, gpa_t table, uint16_t index, struct virtq_desc *d)
{
    int rc = virtq_desc_fetch(q, table, index, d);
    uint16_t id = d->flags; /* the other way around than in a split ring */
    d->flags = d->last;
    d->last = id;
    return rc;
}

/* All entries of an indirect table are one chain; only WRITE means something in them (2.8.7). */
static int walk_indirect(const struct virtq *q, struct virtq_chain *c,
                         const struct virtq_desc *table, unsigned room)
{
    int64_t entries = virtq_indirect_entries(q, table);
    if (entries > room)
        return -ELOOP;
    int rc = entries < 0 ? (int)entries : 0;
    for (uint16_t i = 0; rc == 0 && i < entries; i++) {
        struct virtq_desc d;
        rc = virtq_desc_load(q, table->addr, i, &d);
        if (rc == 0 && (d.flags & DESC_F_INDIRECT))
            rc = -EPROTO;
        if (rc == 0)
            rc = virtq_chain_add(q, c, &d);
    }
    return rc;
}

/* The row from the next descriptor on. The driver may use what is not in flight. */
static int walk(const struct virtq *q, struct virtq_chain *c, uint16_t *count)
{
    unsigned room = q->size - q->in_flight;
    uint16_t index = q->next_avail;
    for (uint16_t n = 1; n <= room; n++) {
        struct virtq_desc d;
        int rc = virtq_desc_load(q, q->desc, index, &d);
        if (rc == 0 && (d.flags & DESC_F_INDIRECT))
            rc = walk_indirect(q, c, &d, q->size - n + 1u);
        else if (rc == 0)
            rc = virtq_chain_add(q, c, &d);
        if (rc < 0)
            return rc;
        if (!(d.flags & DESC_F_NEXT)) {
            c->head = d.last; /* the id is in the last one (2.8.6) */
            *count = n;
            return 0;
        }
        index = (uint16_t)(index + 1 < q->size ? index + 1 : 0);
    }
    return -EPROTO;
}

int virtq_packed_pop(struct virtq *q, struct virtq_chain *c, uint16_t *count)
{
    const struct position p = { q->next_avail, q->avail_wrap };
    uint16_t flags;
    int rc = is_available(q, p, &flags);
    if (rc <= 0)
        return rc;
    rc = walk(q, c, count);
    if (rc < 0)
        return rc;
    const struct position next = position_after(q, p, *count);
    q->next_avail = next.index;
    q->avail_wrap = next.wrap;
    q->in_flight = (uint16_t)(q->in_flight + *count);
    return 1;
}

void virtq_packed_unpop(struct virtq *q, uint16_t count)
{
    if (q->next_avail < count) {
        q->next_avail = (uint16_t)(q->next_avail + q->size);
        q->avail_wrap = !q->avail_wrap;
    }
    q->next_avail = (uint16_t)(q->next_avail - count);
    q->in_flight = (uint16_t)(q->in_flight - count);
}

/* ------------------------------------------------------------------ used descriptors */

static uint16_t used_flags(const struct virtq_slot *s, bool wrap)
{
    uint16_t flags = wrap ? DESC_F_AVAIL | DESC_F_USED : 0;
    return s->written ? flags | DESC_F_WRITE : flags;
}

/* All but the flags, which make it the driver's. */
static int write_used(const struct virtq *q, uint16_t index, const struct virtq_slot *s)
{
    uint8_t bytes[DESC_FLAGS - DESC_LEN];
    st_le32(bytes, s->written);
    st_le16(bytes + (DESC_ID - DESC_LEN), s->id);
    return gmem_write(q->gmem, desc_at(q, index) + DESC_LEN, bytes, sizeof bytes);
}

int virtq_packed_give(struct virtq *q, const uint16_t *slots, unsigned n)
{
    const struct position first = { q->next_used, q->used_wrap };
    struct position p = first;
    for (unsigned i = 0; i < n; i++) {
        const struct virtq_slot *s = &q->slots->slot[slots[i]];
        if (write_used(q, p.index, s) < 0)
            return -EFAULT;
        /* The driver looks at them in turn, so the first one's flags publish all. */
        if (i > 0 &&
            gmem_store16(q->gmem, desc_at(q, p.index) + DESC_FLAGS, used_flags(s, p.wrap)) < 0)
            return -EFAULT;
        p = position_after(q, p, s->count);
        q->in_flight = (uint16_t)(q->in_flight - s->count);
        q->unsignalled += s->count;
    }
    q->next_used = p.index;
    q->used_wrap = p.wrap;
    return gmem_store16(q->gmem, desc_at(q, first.index) + DESC_FLAGS,
                        used_flags(&q->slots->slot[slots[0]], first.wrap));
}

/* ------------------------------------------------------------------ notifications */

/* Behind `enough` chains that wait; sooner if fewer do. */
static int position_beyond(const struct virtq *q, unsigned enough, struct position *p)
{
    unsigned steps = q->size; /* the guest may write all the time */
    uint16_t flags;
    *p = (struct position){ q->next_avail, q->avail_wrap };
    while (enough > 0 && steps-- > 0) {
        if (gmem_load16(q->gmem, desc_at(q, p->index) + DESC_FLAGS, &flags) < 0)
            return -EFAULT;
        *p = position_after(q, *p, 1);
        enough -= !(flags & DESC_F_NEXT);
    }
    return 0;
}

int virtq_packed_rearm(struct virtq *q, unsigned enough)
{
    struct position p;
    uint16_t flags;
    int rc = position_beyond(q, enough, &p);
    if (rc < 0)
        return rc;
    uint16_t event = p.index | (p.wrap ? EVENT_WRAP : 0);
    if (q->event_idx && gmem_store16(q->gmem, q->used + EVENT_DESC, event) < 0)
        return -EFAULT;
    if (gmem_store16(q->gmem, q->used + EVENT_FLAGS, q->event_idx ? EVENT_F_DESC : EVENT_F_ENABLE) <
        0)
        return -EFAULT;
    /* As in a split ring: the driver makes a descriptor available and then reads our event. */
    atomic_thread_fence(memory_order_seq_cst);
    return is_available(q, p, &flags);
}

/* The distance from the start of the wrap counter's two rounds. */
static unsigned turn(const struct virtq *q, unsigned index, bool wrap)
{
    return index + (wrap ? 0u : q->size);
}

int virtq_packed_needs_interrupt(struct virtq *q)
{
    uint16_t flags, event;
    unsigned fresh = q->unsignalled, rounds = 2u * q->size;
    q->unsignalled = 0;
    atomic_thread_fence(memory_order_seq_cst);
    if (gmem_load16(q->gmem, q->avail + EVENT_FLAGS, &flags) < 0 ||
        gmem_load16(q->gmem, q->avail + EVENT_DESC, &event) < 0)
        return -EFAULT;
    if (fresh == 0 || flags == EVENT_F_DISABLE)
        return 0;
    if (flags != EVENT_F_DESC || !q->event_idx || fresh >= q->size)
        return 1;
    /* Is the event one of the descriptors that we have just gone past? */
    unsigned at = turn(q, event & ~(unsigned)EVENT_WRAP, event & EVENT_WRAP) % rounds;
    unsigned back = (turn(q, q->next_used, q->used_wrap) + rounds - at - 1) % rounds;
    return back < fresh;
}
