/*
 * A driver of one virtio device that does what the input says: a list of records, each a kind, four
 * bytes, and as many bytes of data as the second of them says in eights. The kinds are whole
 * requests in legal order, and everything that breaks the order; a target has its own on top.
 */
#ifndef TESTS_FUZZ_VIRTIO_SCRIPT_H
#define TESTS_FUZZ_VIRTIO_SCRIPT_H

#include <string.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/virtio_device.h"

#define SCRIPT_OUT (VDEV_BUFFERS)           /* what the driver sends */
#define SCRIPT_IN  (VDEV_BUFFERS + 0x40000) /* where it gets answers */

enum script_kind {
    SCRIPT_BRING_UP,
    SCRIPT_REQUEST,
    SCRIPT_BUFFERS,
    SCRIPT_DESCRIPTOR,
    SCRIPT_REGISTER,
    SCRIPT_POKE,
    SCRIPT_OWN, /* and SCRIPT_OWN + 1 */
};

struct step {
    uint8_t kind, a, b, c, d;
    const uint8_t *data;
    size_t size;
};

struct script {
    struct vdev *v;
    unsigned queues; /* at most VDEV_QUEUES */
    /* The target's records, and what it does after every one; or NULL. */
    void (*own)(void *ctx, const struct step *s);
    void (*after)(void *ctx);
    void *ctx;
};

/* Mostly all that is offered, at times less, at times what is not; or one queue anew. */
static inline void script_bring_up(const struct script *p, const struct step *s)
{
    if (s->a & 4) {
        vdev_restart_queue(p->v, s->d % p->queues);
        return;
    }
    uint64_t features = vdev_offered(p->v);
    if (s->a & 1)
        features &= ~(1ull << (s->c & 63));
    if (s->a & 2)
        features = s->d;
    vdev_bring_up(p->v, features, p->queues);
}

/* A chain that sends the data, and has room for an answer of up to 64 KiB. */
static inline void script_request(const struct script *p, const struct step *s)
{
    unsigned q = s->a % p->queues;
    uint32_t room = (uint32_t)(s->c << 8 | s->d);
    memcpy(p->v->ram + SCRIPT_OUT, s->data, s->size);
    if (s->size > 0)
        vdev_desc(p->v, q, 0, SCRIPT_OUT, (uint32_t)s->size, room ? VDEV_NEXT : 0, 1);
    if (room)
        vdev_desc(p->v, q, 1, SCRIPT_IN, room, VDEV_WRITE, 0);
    vdev_offer(p->v, q, s->size > 0 ? 0 : 1);
    vdev_notify(p->v, q);
}

/* Some buffers of the same size. */
static inline void script_buffers(const struct script *p, const struct step *s)
{
    unsigned q = s->a % p->queues, n = s->a / VDEV_QUEUES % 16;
    for (unsigned i = 0; i < n; i++) {
        vdev_desc(p->v, q, 8 + i, SCRIPT_IN + 0x1000 * i, (uint32_t)(s->c << 8 | s->d), VDEV_WRITE,
                  0);
        vdev_offer(p->v, q, (uint16_t)(8 + i));
    }
    vdev_notify(p->v, q);
}

static inline void script_descriptor(const struct script *p, const struct step *s)
{
    unsigned q = s->a % p->queues;
    uint32_t at = s->b & 0x40 ? (uint32_t)s->c << 24 : SCRIPT_OUT + (uint32_t)s->c * 16;
    vdev_desc(p->v, q, s->d % VDEV_SIZE, at, (uint32_t)s->size * s->d * 37, s->a >> 4 & 7,
              s->b % VDEV_SIZE);
    vdev_offer(p->v, q, s->d % VDEV_SIZE);
    vdev_notify(p->v, q);
}

static inline void script_register(const struct script *p, const struct step *s)
{
    static const unsigned widths[] = { 1, 2, 4, 8 };
    unsigned width = widths[s->b >> 5 & 3];
    vdev_write(p->v, (uint64_t)(s->a * 4 % VIRTIO_MMIO_SIZE),
               (uint32_t)s->b | (uint32_t)s->c << 16 | (uint32_t)s->d << 24);
    (void)vdev_read(p->v, VDEV_REG_CONFIG + s->d % 0x40 / width * width, width);
}

static inline void script_poke(const struct script *p, const struct step *s)
{
    memcpy(p->v->ram + (uint32_t)(s->c << 8 | s->d) % (0x2000 * VDEV_QUEUES), s->data, s->size);
}

static inline void script_run(const struct script *p, const uint8_t *data, size_t size)
{
    static void (*const kinds[])(const struct script *p, const struct step *s) = {
        [SCRIPT_BRING_UP] = script_bring_up, [SCRIPT_REQUEST] = script_request,
        [SCRIPT_BUFFERS] = script_buffers,   [SCRIPT_DESCRIPTOR] = script_descriptor,
        [SCRIPT_REGISTER] = script_register, [SCRIPT_POKE] = script_poke,
    };
    while (size >= 5) {
        struct step s = { data[0] & 7, data[1], data[2], data[3], data[4], data + 5, 0 };
        s.size = (size_t)(s.b & 0x1f) * 8 < size - 5 ? (size_t)(s.b & 0x1f) * 8 : size - 5;
        if (s.kind < SCRIPT_OWN)
            kinds[s.kind](p, &s);
        else if (p->own)
            p->own(p->ctx, &s);
        if (p->after)
            p->after(p->ctx);
        data += 5 + s.size;
        size -= 5 + s.size;
    }
}

/* An input that begins with a whole bring-up; `request` fills the data of a record, up to 248
 * bytes, and returns how many eights they are. */
static inline size_t script_make(uint64_t seed, uint8_t *data,
                                 unsigned (*request)(uint64_t *state, uint8_t *p))
{
    uint64_t state = seed;
    size_t n = 5;
    memset(data, 0, n); /* bring up all that is offered */
    while (n + 5 + 248 <= FUZZ_INPUT_MAX) {
        uint64_t r = fuzz_random(&state);
        for (unsigned i = 0; i < 5; i++)
            data[n + i] = (uint8_t)(r >> (8 * i));
        if ((data[n] & 7) == SCRIPT_BRING_UP && r >> 60)
            data[n] = SCRIPT_REQUEST; /* seldom */
        unsigned eights = 0;
        if ((data[n] & 7) == SCRIPT_POKE) {
            eights = 1;
            memcpy(data + n + 5, &r, 8);
        } else if ((data[n] & 7) == SCRIPT_REQUEST || (data[n] & 7) >= SCRIPT_OWN) {
            eights = request(&state, data + n + 5);
        }
        data[n + 2] = (uint8_t)((data[n + 2] & 0xe0) | eights);
        n += 5 + 8 * (size_t)eights;
    }
    return n;
}

#endif
