/* hvx_*: engine, CPU model, statistics and the clock. */
#include <Hypervisor/hvx.h>

#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "hv/apple.h"
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

hv_return_t hvx_set_cpu(const char *cpu)
{
    struct hv_process *p = &hv_process;
    const struct hv_backend *backend;
    struct hvx_cpu_feature first;
    const char *engine;

    if (cpu && (hv_apple() || strlen(cpu) >= sizeof p->cpu_name))
        return HV_UNSUPPORTED;

    pthread_mutex_lock(&p->vm_lock);
    int err = p->vm ? -EBUSY : hv_process_choose(&backend, &engine);
    if (!err && cpu)
        err = backend->cpu_feature(cpu, 0, &first);
    if (!err && cpu)
        memcpy(p->cpu_name, cpu, strlen(cpu) + 1);
    if (!err)
        p->wanted_cpu = cpu ? p->cpu_name : NULL;
    pthread_mutex_unlock(&p->vm_lock);
    return hv_return_of(err);
}

const char *hvx_cpu_model(void)
{
    const struct hv_backend *backend;
    const char *engine;

    pthread_mutex_lock(&hv_process.vm_lock);
    int err = hv_process_choose(&backend, &engine);
    pthread_mutex_unlock(&hv_process.vm_lock);
    return err ? "none" : hv_apple() ? "host" : backend->cpu_model;
}

hv_return_t hvx_cpu_feature(unsigned index, struct hvx_cpu_feature *feature)
{
    const struct hv_backend *backend;
    const char *engine;

    if (!feature)
        return HV_BAD_ARGUMENT;
    if (hv_apple())
        return HV_UNSUPPORTED;
    pthread_mutex_lock(&hv_process.vm_lock);
    int err = hv_process_choose(&backend, &engine);
    if (!err)
        err = backend->cpu_feature(hv_process.wanted_cpu, index, feature);
    pthread_mutex_unlock(&hv_process.vm_lock);
    return hv_return_of(err);
}

/* A descriptor for an engine that translates, into `wanted`. */
static hv_return_t set_descriptor(int *wanted, int fd)
{
    struct hv_process *p = &hv_process;
    const struct hv_backend *backend;
    const char *engine;

    if (fd < 0)
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&p->vm_lock);
    int err = hv_process_choose(&backend, &engine);
    if (!err && fd && !(backend->translates && backend->translates(engine)))
        err = -ENOTSUP;
    if (!err)
        *wanted = fd;
    pthread_mutex_unlock(&p->vm_lock);
    return hv_return_of(err);
}

hv_return_t hvx_set_trace(int fd)
{
    return set_descriptor(&hv_process.wanted_trace, fd);
}

hv_return_t hvx_set_code_folder(int fd, bool quiet)
{
    struct stat st;

    if (fd > 0 && fstat(fd, &st) != 0)
        return HV_BAD_ARGUMENT;
    bool denied = fd > 0 && (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || st.st_mode & 077);
    hv_return_t result = set_descriptor(&hv_process.wanted_folder, denied ? 0 : fd);
    pthread_mutex_lock(&hv_process.vm_lock);
    hv_process.folder_quiet = quiet;
    pthread_mutex_unlock(&hv_process.vm_lock);
    return result == HV_SUCCESS && denied ? HV_DENIED : result;
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

const char *hvx_instruction_name(unsigned kind)
{
    const struct hv_backend *b = hv_process.backend;

    return b && b->instruction_name ? b->instruction_name(kind) : NULL;
}

static hv_return_t vm_enable_locked(uint32_t features)
{
    struct hv_process *p = &hv_process;

    if (!p->vm)
        return HV_NO_DEVICE;
    for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
        if (atomic_load_explicit(&p->slot[i].owner, memory_order_relaxed))
            return HV_BUSY;
    if (!p->backend->vm_enable || p->apple)
        return features ? HV_UNSUPPORTED : HV_SUCCESS;

    int err = p->backend->vm_enable(p->vm, features);

    if (!err)
        p->features |= features;
    return hv_return_of(err);
}

hv_return_t hvx_vm_enable(uint32_t features)
{
    pthread_mutex_lock(&hv_process.vm_lock);
    pthread_mutex_lock(&hv_process.slots_lock);
    hv_return_t result = vm_enable_locked(features);
    pthread_mutex_unlock(&hv_process.slots_lock);
    pthread_mutex_unlock(&hv_process.vm_lock);
    return result;
}

hv_return_t hvx_vcpu_get_pmu_irq(hv_vcpu_t vcpu, bool *level)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !level)
        return HV_BAD_ARGUMENT;
    *level = false;
    if (!(hv_process.features & HVX_NATIVE_DEBUG_PMU))
        return HV_UNSUPPORTED;
    *level = hv_process.backend->get_pmu_irq(s->vcpu);
    return HV_SUCCESS;
}

hv_return_t hvx_vcpu_publish_stolen_time(hv_vcpu_t vcpu, uint64_t *place)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !place || (uintptr_t)place % 8)
        return HV_BAD_ARGUMENT;
    if (hvx_is_mac() || !hv_process.backend->publish_stolen)
        return HV_UNSUPPORTED;
    return hv_return_of(hv_process.backend->publish_stolen(s->vcpu, place));
}

bool hvx_is_mac(void)
{
    return hv_apple() != NULL;
}

bool hvx_since(double version)
{
    const struct hv_apple *apple = hv_apple();

    return !apple || apple->macos >= version;
}

uint64_t hvx_absolute_time(void)
{
    uint64_t (*counter)(void) = atomic_load(&hv_process.counter);

    return counter ? counter() : clock_ticks_24mhz();
}

uint64_t hvx_counter_hz(void)
{
    uint64_t (*counter_hz)(void) = atomic_load(&hv_process.counter_hz);

    return counter_hz ? counter_hz() : HVX_COUNTER_HZ;
}
