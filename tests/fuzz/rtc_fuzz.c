/* virtio-rtc under a driver that does anything (virtio_script.h). */
#include "base/log.h"
#include "devices/virtio/rtc.h"
#include "tests/fuzz/virtio_script.h"

#include <stdlib.h>

static void fixed_clock(void *ctx, uint64_t *realtime_ns, uint64_t *count)
{
    (void)ctx;
    *realtime_ns = *count = 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vdev v;
    log_set_level(LOG_ERROR);
    vdev_init(&v);
    const struct virtio_rtc_config config = { .irq = vdev_irq(&v),
                                              .gmem = &v.gmem,
                                              .clock = fixed_clock };
    if (virtio_rtc_create(&config, &v.dev) < 0)
        abort();
    const struct script script = { .v = &v, .queues = 1 };
    script_run(&script, data, size);
    vdev_fini(&v);
    return 0;
}

static unsigned clock_request(uint64_t *state, uint8_t *p)
{
    static const uint16_t types[] = { 1, 2, 0x1000, 0x1001, 0x1002, 0x1003 };
    uint64_t r = fuzz_random(state);
    memset(p, 0, 24);
    st_le16(p, types[r % 6]);
    st_le16(p + 8, r >> 8 & 15 ? 0 : (uint16_t)(r >> 16));
    p[10] = r >> 32 & 7 ? 0 : (uint8_t)(r >> 40);
    return 1 + (r >> 60) % 3;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    return script_make(seed, data, clock_request);
}
