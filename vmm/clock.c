/* The host's time against the guest's counter, for the firmware call and the device that tell it.
 */
#include "base/clock.h"
#include "vmm/internal.h"

/* A busy host may take the core away between two readings: the closest ones are taken. */
#define CLOCK_TRIES 3

void vm_clock(void *ctx, uint64_t *realtime_ns, uint64_t *count)
{
    const struct vm *vm = ctx;
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < CLOCK_TRIES; i++) {
        uint64_t before = vm_count(vm), now = clock_realtime(&clock_host);
        uint64_t took = vm_count(vm) - before;
        if (took >= least)
            continue;
        least = took;
        *realtime_ns = now;
        *count = before + took / 2;
    }
}
