/*
 * virtio-console with three ports under a driver that does anything (virtio_script.h), and a host
 * that types and resizes.
 *
 * What must hold: a port takes no more than it is offered, and no host's end is called with more
 * than a chunk of bytes.
 */
#include "base/log.h"
#include "devices/virtio/console.h"
#include "tests/fuzz/virtio_script.h"

#include <assert.h>
#include <stdlib.h>

#define PORTS 3

static void end_send(void *ctx, const uint8_t *bytes, size_t n)
{
    volatile uint8_t last = 0;
    assert(n > 0 && n <= 65536);
    last = bytes[n - 1]; /* it is there */
    (void)last;
    (*(unsigned *)ctx)++;
}

static void end_room(void *ctx)
{
    (*(unsigned *)ctx)++;
}

static void host(void *ctx, const struct step *s)
{
    const struct vdev *v = ctx;
    unsigned port = s->a % PORTS;
    if (s->kind & 1)
        virtio_console_resize(v->dev, port, s->c, s->d);
    else
        assert(virtio_console_receive(v->dev, port, s->data, s->size) <= s->size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vdev v;
    unsigned calls = 0;
    if (size == 0)
        return 0;
    log_set_level(LOG_ERROR);
    vdev_init(&v);
    struct virtio_console_config config = { .irq = vdev_irq(&v), .gmem = &v.gmem, .ports = PORTS };
    for (unsigned i = 0; i < PORTS; i++)
        config.port[i] =
            (struct virtio_console_port){ .send = end_send, .room = end_room, .ctx = &calls };
    memcpy(config.port[2].name, "port", 5);
    if (virtio_console_create(&config, &v.dev) < 0)
        abort();
    const struct script script = { .v = &v, .queues = VDEV_QUEUES, .own = host, .ctx = &v };
    script_run(&script, data, size);
    vdev_fini(&v);
    return 0;
}

/* Mostly control messages. */
static unsigned message(uint64_t *state, uint8_t *p)
{
    uint64_t r = fuzz_random(state);
    memset(p, 0, 8);
    st_le32(p, r >> 60 ? (uint32_t)r % (PORTS + 1) : (uint32_t)r);
    st_le16(p + 4, (uint16_t)(r >> 32) % 9);
    st_le16(p + 6, (uint16_t)(r >> 40 & 1));
    return 1;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    return script_make(seed, data, message);
}
