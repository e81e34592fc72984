/*
 * virtio-balloon under a driver that does anything (virtio_script.h).
 *
 * What must hold: a byte that the device changes outside of the used rings belongs to what the
 * driver gave away, so it is zero.
 */
#include "base/log.h"
#include "devices/virtio/balloon.h"
#include "host/memory.h"
#include "tests/fuzz/virtio_script.h"

#include <assert.h>
#include <stdlib.h>

#define WITNESS (VDEV_RAM_SIZE - 0x10000) /* from here on bytes are 0x5a, or were given away */

static void after(void *ctx)
{
    const struct vdev *v = ctx;
    for (uint32_t i = WITNESS; i < VDEV_RAM_SIZE; i++)
        assert(v->ram[i] == 0x5a || v->ram[i] == 0);
}

static void give_back(void *ctx, void *p, size_t n)
{
    const struct vdev *v = ctx;
    struct memory m = { .base = (uint8_t *)v->ram, .size = VDEV_RAM_SIZE, .fd = -1 };
    memory_give_back(&m, p, n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vdev v;
    log_set_level(LOG_ERROR);
    vdev_init(&v);
    const struct virtio_balloon_config config = {
        .irq = vdev_irq(&v),
        .ram = &v.gmem,
        .gmem = &v.gmem,
        .pages = 100,
        .give_back = give_back,
        .ctx = &v,
    };
    if (virtio_balloon_create(&config, &v.dev) < 0)
        abort();
    memset(v.ram + WITNESS, 0x5a, VDEV_RAM_SIZE - WITNESS);
    const struct script script = { .v = &v, .queues = 5, .after = after, .ctx = &v };
    script_run(&script, data, size);
    vdev_fini(&v);
    return 0;
}

/* Page numbers in RAM, mostly in runs. */
static unsigned numbers(uint64_t *state, uint8_t *p)
{
    uint64_t r = fuzz_random(state);
    uint32_t page = (uint32_t)(VDEV_RAM / BALLOON_PAGE) + (uint32_t)(r >> 8) % 0x101;
    unsigned eights = 1 + r % 4;
    for (unsigned i = 0; i < 2 * eights; i++) {
        st_le32(p + 4 * i, r >> 63 ? page + i : page - i);
        if (fuzz_random(state) % 16 == 0)
            page = (uint32_t)fuzz_random(state);
    }
    return eights;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    return script_make(seed, data, numbers);
}
