/*
 * virtio-rng: virtio 1.2, section 5.4. The smallest virtio device: one queue, no configuration, no
 * features. Read it first.
 *
 * A buffer is filled while the driver's notification is served, because the host's generator never
 * blocks once the host is up. How much of a long buffer is filled is ours to say (5.4.6.2), so the
 * time that one takes is bounded.
 */
#include "devices/virtio/rng.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "devices/virtio/device.h"

#define RNG_ID         4
#define RNG_QUEUE_SIZE 64
#define RNG_CHUNK      256 /* what getentropy() gives at most */
#define RNG_BUFFER_MAX 4096

struct virtio_rng {
    struct virtio_device virtio; /* first */
    struct virtq_chain chain;
};

/* Returns how many bytes were written to the chain. */
static uint32_t rng_fill(const struct virtq_chain *c)
{
    uint32_t filled = 0;
    while (filled < c->writable_bytes && filled < RNG_BUFFER_MAX) {
        uint8_t bytes[RNG_CHUNK];
        uint64_t left = c->writable_bytes - filled;
        uint32_t n = left < sizeof bytes ? (uint32_t)left : sizeof bytes;
        if (getentropy(bytes, n) != 0 || !virtq_chain_write(c, filled, bytes, n))
            break;
        filled += n;
    }
    return filled;
}

static int rng_serve(struct virtio_device *v, unsigned queue)
{
    const struct virtq_chain *c = &CONTAINER_OF(v, struct virtio_rng, virtio)->chain;
    virtio_push(v, queue, c->head, rng_fill(c));
    return 1;
}

static void rng_notify(struct virtio_device *v, unsigned queue)
{
    virtio_serve(v, queue, &CONTAINER_OF(v, struct virtio_rng, virtio)->chain, rng_serve);
}

static void rng_destroy(struct virtio_device *v)
{
    virtio_device_fini(v);
    free(CONTAINER_OF(v, struct virtio_rng, virtio));
}

static const struct virtio_ops rng_ops = {
    .name = "virtio-rng",
    .id = RNG_ID,
    .queues = 1,
    .queue_size = RNG_QUEUE_SIZE,
    .notify = rng_notify,
    .destroy = rng_destroy,
};

int virtio_rng_create(const struct virtio_rng_config *config, struct device **out)
{
    struct virtio_rng *r = calloc(1, sizeof *r);
    if (!r)
        return -ENOMEM;
    virtio_device_init(&r->virtio, &(struct virtio_setup){
                                       .ops = &rng_ops, .gmem = config->gmem, .irq = config->irq });
    *out = &r->virtio.device;
    return 0;
}
