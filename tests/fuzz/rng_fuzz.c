/* virtio-rng under a driver that does anything (virtio_script.h). */
#include "base/log.h"
#include "devices/virtio/rng.h"
#include "tests/fuzz/virtio_script.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vdev v;
    log_set_level(LOG_ERROR);
    vdev_init(&v);
    const struct virtio_rng_config config = { .irq = vdev_irq(&v), .gmem = &v.gmem };
    if (virtio_rng_create(&config, &v.dev) < 0)
        abort();
    const struct script script = { .v = &v, .queues = 1 };
    script_run(&script, data, size);
    vdev_fini(&v);
    return 0;
}

/* Nothing is asked but how much: a driver that sends something has it ignored. */
static unsigned nothing(uint64_t *state, uint8_t *p)
{
    st_le64(p, fuzz_random(state));
    return fuzz_random(state) % 4 == 0;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    return script_make(seed, data, nothing);
}
