/* hvx_*: engine, statistics and the clock. */
#include <Hypervisor/hvx.h>

#include <string.h>

#include "base/clock.h"
#include "hv/process.h"

/* Kept by name, so that the caller's string need not live on. */
static const char *const engine_names[] = { "interp", "jit", "check", "kvm" };

static const char *known_engine(const char *engine)
{
    for (size_t i = 0; i < sizeof engine_names / sizeof engine_names[0]; i++)
        if (strcmp(engine, engine_names[i]) == 0)
            return engine_names[i];
    return NULL;
}

hv_return_t hvx_set_engine(const char *engine)
{
    const char *name = engine ? known_engine(engine) : NULL;
    const struct hv_backend *backend;

    if (engine && !name)
        return HV_UNSUPPORTED;

    pthread_mutex_lock(&hv_process.vm_lock);
    const char *before = hv_process.wanted_engine;
    hv_process.wanted_engine = name;
    int err = hv_process_choose(&backend, &name);
    if (err)
        hv_process.wanted_engine = before;
    pthread_mutex_unlock(&hv_process.vm_lock);
    return hv_return_of(err);
}

const char *hvx_engine(void)
{
    const struct hv_backend *backend;
    const char *engine;

    pthread_mutex_lock(&hv_process.vm_lock);
    if (hv_process.vm)
        engine = hv_process.engine;
    else if (hv_process_choose(&backend, &engine))
        engine = "none";
    pthread_mutex_unlock(&hv_process.vm_lock);
    return engine;
}

hv_return_t hvx_vcpu_get_stats(hv_vcpu_t vcpu, struct hvx_vcpu_stats *stats)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !stats)
        return HV_BAD_ARGUMENT;
    *stats = (struct hvx_vcpu_stats){ 0 };
    hv_process.backend->stats(s->vcpu, stats);
    return HV_SUCCESS;
}

uint64_t hvx_absolute_time(void)
{
    /* 24 MHz from nanoseconds. Overflows when the host has been up for 195 years. */
    return clock_monotonic_ns() * 3 / 125;
}
