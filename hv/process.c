/* The process-wide state, and who may touch which part of it; see hv/process.h. */
#include "hv/process.h"

#include <errno.h>
#include <string.h>

struct hv_process hv_process = {
    .vm_lock = PTHREAD_MUTEX_INITIALIZER,
    .slots_lock = PTHREAD_MUTEX_INITIALIZER,
};

/* Best first. "check" runs two engines side by side: only who asks for it gets it. */
static const char *const default_engines[] = { "kvm", "jit", "interp" };

static const struct hv_backend *backend_of(const char *engine)
{
    for (const struct hv_backend *const *b = hv_backends; *b; b++)
        if ((*b)->probe(engine) == 0)
            return *b;
    return NULL;
}

int hv_process_choose(const struct hv_backend **backend, const char **engine)
{
    const struct hv_backend *b;

    if (hv_process.wanted_engine) {
        b = backend_of(hv_process.wanted_engine);
        if (!b)
            return -ENOTSUP;
        *backend = b;
        *engine = hv_process.wanted_engine;
        return 0;
    }
    for (size_t i = 0; i < sizeof default_engines / sizeof default_engines[0]; i++) {
        b = backend_of(default_engines[i]);
        if (b) {
            *backend = b;
            *engine = default_engines[i];
            return 0;
        }
    }
    return -ENOTSUP;
}

uint64_t hv_process_thread(void)
{
    static _Atomic uint64_t last;
    static _Thread_local uint64_t mine;

    if (!mine)
        mine = atomic_fetch_add_explicit(&last, 1, memory_order_relaxed) + 1;
    return mine;
}

struct hv_slot *hv_process_slot(hv_vcpu_t vcpu)
{
    if (vcpu >= HV_MAX_VCPUS)
        return NULL;

    struct hv_slot *s = &hv_process.slot[vcpu];

    /* Equal only if this very thread stored it: its own writes need no ordering. */
    if (atomic_load_explicit(&s->owner, memory_order_relaxed) != hv_process_thread())
        return NULL;
    return s;
}
