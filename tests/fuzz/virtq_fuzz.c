/*
 * A virtqueue of either layout between a hostile driver and a device that does what devices may:
 * the input is a list of 8-byte records. What a device relies on must hold after each: a chain's
 * pieces are RAM, no more chains are in flight than the queue has entries, no two have one name.
 */
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/queue.h"

#define RECORD_SIZE 8

#define RAM_BASE 0x40000000ull
#define RAM_SIZE 0x10000u
#define DESC     0x0000u
#define AVAIL    0x1000u
#define USED     0x2000u
#define TABLE    0x3000u
#define MAX_SIZE 64

enum { DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4, DESC_AVAIL = 0x80, DESC_USED = 0x8000 };

struct world {
    struct gmem gmem;
    uint8_t ram[RAM_SIZE];
    struct virtq q;
    struct virtq_chain chain;
    uint16_t avail_idx;
    uint16_t flying[MAX_SIZE]; /* heads, as popped */
    unsigned flying_count;
    unsigned run; /* pops since the last push: those may be taken back */
};

struct record {
    unsigned kind, a;
    uint16_t b;
    uint32_t c;
};

/* The driver broke the rules: as a transport does, no more until it starts anew. */
static bool good(struct world *w, int rc)
{
    if (rc < 0)
        w->q.ready = false;
    return rc > 0;
}

/* ------------------------------------------------------------------ the driver */

static void do_start(struct world *w, const struct record *r)
{
    static const uint64_t features[] = { VIRTIO_F_INDIRECT_DESC, VIRTIO_F_EVENT_IDX,
                                         VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER };
    uint64_t accepted = 0;
    for (unsigned i = 0; i < 4; i++)
        if (r->a >> i & 1)
            accepted |= features[i];
    virtq_reset(&w->q);
    virtq_negotiate(&w->q, accepted);
    w->q.size = r->b % (MAX_SIZE + 2);
    if (!(accepted & VIRTIO_F_RING_PACKED) && !(r->a & 16))
        w->q.size = (uint16_t)(1u << r->b % 7);
    w->q.desc = RAM_BASE + (r->a & 32 ? r->c : DESC);
    w->q.avail = RAM_BASE + AVAIL;
    w->q.used = RAM_BASE + USED;
    memset(w->ram, 0, TABLE);
    w->avail_idx = 0;
    w->flying_count = w->run = 0;
    if (virtq_start(&w->q) < 0)
        assert(!w->q.ready);
}

static void put(struct world *w, uint32_t at, uint64_t addr, uint32_t len, uint16_t third,
                uint16_t fourth)
{
    uint8_t *p = w->ram + at;
    st_le64(p, addr);
    st_le32(p + 8, len);
    st_le16(p + 12, third);
    st_le16(p + 14, fourth);
}

/* A descriptor near the truth, at the place where the device looks next, or a little behind; or in
 * an indirect table. */
static void do_descriptor(struct world *w, const struct record *r)
{
    const struct virtq *q = &w->q;
    uint16_t flags = r->a & (DESC_NEXT | DESC_WRITE | DESC_INDIRECT);
    uint64_t addr = RAM_BASE + (flags & DESC_INDIRECT ? TABLE : r->c & 0xffff);
    uint32_t len = flags & DESC_INDIRECT ? 16 * (r->b % (MAX_SIZE + 2)) : r->c >> 16;
    unsigned size = q->size ? q->size : 1u;
    unsigned index = (q->next_avail + (r->a >> 3 & 7)) % size;
    if (r->a & 0x80) {
        put(w, TABLE + 16 * (r->b % MAX_SIZE), addr, len, q->packed ? r->b : flags,
            q->packed ? flags : r->b % MAX_SIZE);
    } else if (q->packed) {
        bool wrap = index < q->next_avail ? !q->avail_wrap : q->avail_wrap;
        flags |= wrap ? DESC_AVAIL : DESC_USED;
        put(w, DESC + 16 * index, addr, len, r->b, flags);
    } else {
        put(w, DESC + 16 * index, addr, len, flags, (uint16_t)(r->b % size));
        st_le16(w->ram + AVAIL + 4 + 2 * (w->avail_idx++ % size), (uint16_t)index);
        st_le16(w->ram + AVAIL + 2, w->avail_idx);
    }
}

static void do_poke(struct world *w, const struct record *r)
{
    uint32_t at = r->b & 0x8000 ? AVAIL + r->b % 16 : r->b % (TABLE + 0x400);
    for (unsigned i = 0; i < 1 + r->a % 4; i++)
        w->ram[at + i] = (uint8_t)(r->c >> 8 * i);
}

/* ------------------------------------------------------------------ the device */

static void check_chain(struct world *w)
{
    struct virtq_chain *c = &w->chain;
    uint8_t bytes[16];
    uint64_t total = 0;
    for (int i = 0; i < c->readable + c->writable; i++) {
        const uint8_t *p = c->iov[i].iov_base;
        assert(p >= w->ram && c->iov[i].iov_len <= (size_t)(w->ram + RAM_SIZE - p));
        total += c->iov[i].iov_len;
    }
    assert(total == c->readable_bytes + c->writable_bytes);
    assert(virtq_chain_read(c, 0, bytes, sizeof bytes) == (c->readable_bytes >= sizeof bytes));
    if (c->writable_bytes > 0)
        assert(virtq_chain_take_last(c));
}

static void do_pop(struct world *w, const struct record *r)
{
    (void)r;
    if (!good(w, virtq_pop(&w->q, &w->chain)))
        return;
    check_chain(w);
    assert(w->flying_count < w->q.size);
    for (unsigned i = 0; i < w->flying_count && (w->q.packed || w->q.in_order); i++)
        assert(w->flying[i] != w->chain.head);
    w->flying[w->flying_count++] = w->chain.head;
    w->run++;
}

static void do_push(struct world *w, const struct record *r)
{
    struct virtq_used used[MAX_SIZE];
    unsigned n = r->a % 4 ? 1 : r->a / 4u;
    if (n > w->flying_count)
        n = w->flying_count;
    if (!w->q.ready || n == 0)
        return;
    for (unsigned i = 0; i < n; i++) {
        unsigned k = (r->b + i * 7u) % w->flying_count;
        used[i] = (struct virtq_used){ w->flying[k], r->c };
        memmove(w->flying + k, w->flying + k + 1, (--w->flying_count - k) * sizeof w->flying[0]);
    }
    w->run = 0;
    good(w, virtq_push_all(&w->q, used, n));
}

static void do_unpop(struct world *w, const struct record *r)
{
    unsigned n = r->a % (w->run + 1);
    if (!w->q.ready)
        return;
    virtq_unpop(&w->q, n);
    w->flying_count -= n;
    w->run -= n;
}

static void do_ask(struct world *w, const struct record *r)
{
    if (r->a % 4 == 0)
        good(w, virtq_needs_interrupt(&w->q));
    else if (r->a % 4 == 1)
        good(w, virtq_rearm_beyond(&w->q, r->b % 100));
    else
        good(w, virtq_rearm(&w->q));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const kinds[])(struct world *w, const struct record *r) = {
        do_descriptor, do_descriptor, do_descriptor, do_descriptor, do_poke, do_pop,   do_pop,
        do_pop,        do_push,       do_push,       do_unpop,      do_ask,  do_start,
    };
    struct world *w = calloc(1, sizeof *w);
    if (!w || gmem_add(&w->gmem, RAM_BASE, RAM_SIZE, w->ram) < 0)
        abort();
    w->q = (struct virtq){ .gmem = &w->gmem, .max_size = MAX_SIZE };
    for (; size >= RECORD_SIZE; data += RECORD_SIZE, size -= RECORD_SIZE) {
        const struct record r = { data[0] % (sizeof kinds / sizeof kinds[0]), data[1],
                                  ld_le16(data + 2), ld_le32(data + 4) };
        kinds[r.kind](w, &r);
        assert(!w->q.ready || !w->q.packed ||
               (w->q.next_avail < w->q.size && w->q.next_used < w->q.size &&
                w->q.in_flight <= w->q.size));
    }
    virtq_fini(&w->q);
    free(w);
    return 0;
}

/* Starts are rare, and of lengths most are short. */
size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    uint64_t state = seed;
    size_t records = 2 + fuzz_random(&state) % (FUZZ_INPUT_MAX / RECORD_SIZE - 1);
    for (size_t i = 0; i < records; i++) {
        uint8_t *p = data + i * RECORD_SIZE;
        uint64_t r = fuzz_random(&state);
        st_le64(p, r);
        p[0] = i == 0 || r % 97 == 0 ? 12 : (uint8_t)(r % 12);
        if (p[0] < 4 && r >> 60)
            p[7] = 0;
        if (p[0] < 4 && r >> 59 & 1)
            p[1] &= 0x3a; /* whole chains */
    }
    return records * RECORD_SIZE;
}
