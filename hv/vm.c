/*
 * hv_vm_*: create, destroy, and guest memory. Alignment is a Mac's 16 KiB on every host, or a
 * program would work here and fail there.
 */
#include <errno.h>

#include "hv/apple.h"
#include "hv/config.h"
#include "hv/process.h"

static hv_return_t vm_create_locked(const struct hv_vm_config_s *config)
{
    struct hv_process *p = &hv_process;
    const struct hv_backend *backend;
    const char *engine;
    unsigned standard, maximum;
    struct hv_backend_vm *vm;

    const struct hv_apple *apple = hv_apple();

    if (p->vm)
        return HV_BUSY;
    if (apple && apple->is_wrong)
        return HV_ERROR;
    if (apple && apple->is_unsigned)
        return HV_DENIED;
    if (config && config->el2)
        return HV_UNSUPPORTED;

    int err = hv_process_choose(&backend, &engine);

    if (err)
        return hv_return_of(err);
    backend->ipa_bits(&standard, &maximum);
    if (apple)
        hv_apple_ipa_bits(apple, &standard, &maximum);

    struct hv_vm_desc desc = {
        .ipa_bits = config && config->ipa_bits ? config->ipa_bits : standard,
        .cpu = apple ? hv_apple_cpu(apple, backend) : p->wanted_cpu,
        .engine = engine,
        .trace_fd = p->wanted_trace,
        .code_folder = p->wanted_folder,
        .code_quiet = p->folder_quiet,
    };

    if (desc.ipa_bits > maximum) /* set for another engine */
        return HV_UNSUPPORTED;
    err = backend->vm_create(&desc, &vm);
    if (err)
        return hv_return_of(err);

    p->backend = backend;
    p->engine = engine;
    p->ipa_bits = desc.ipa_bits;
    p->el2 = desc.el2;
    p->apple = apple;
    p->features = 0;
    atomic_store(&p->counter, backend->counter);
    atomic_store(&p->counter_hz, backend->counter_hz);
    pthread_mutex_lock(&p->slots_lock);
    p->vm = vm;
    pthread_mutex_unlock(&p->slots_lock);
    if (apple && apple->cancels)
        hv_apple_cancel_start();
    return HV_SUCCESS;
}

hv_return_t hv_vm_create(hv_vm_config_t config)
{
    if (config && !hv_object_is(config, HV_OBJECT_VM_CONFIG))
        return HV_BAD_ARGUMENT;

    pthread_mutex_lock(&hv_process.vm_lock);
    hv_return_t result = vm_create_locked(config);
    pthread_mutex_unlock(&hv_process.vm_lock);
    return result;
}

/* Take the VM away, so that no vCPU can be created any more. */
static hv_return_t vm_detach_locked(struct hv_backend_vm **vm)
{
    struct hv_process *p = &hv_process;

    if (!p->vm)
        return HV_NO_DEVICE;
    for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
        if (atomic_load_explicit(&p->slot[i].owner, memory_order_relaxed))
            return HV_BUSY;
    *vm = p->vm;
    p->vm = NULL;
    p->gic = NULL;
    return HV_SUCCESS;
}

hv_return_t hv_vm_destroy(void)
{
    struct hv_process *p = &hv_process;
    struct hv_backend_vm *vm;

    pthread_mutex_lock(&p->vm_lock);
    pthread_mutex_lock(&p->slots_lock);
    hv_return_t result = vm_detach_locked(&vm);
    pthread_mutex_unlock(&p->slots_lock);
    if (result == HV_SUCCESS) {
        hv_apple_cancel_stop();
        p->backend->vm_destroy(vm);
    }
    pthread_mutex_unlock(&p->vm_lock);
    return result;
}

hv_return_t hv_vm_get_max_vcpu_count(uint32_t *max_vcpu_count)
{
    const struct hv_backend *backend;
    const char *engine;

    if (!max_vcpu_count)
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&hv_process.vm_lock);
    int err = hv_process_choose(&backend, &engine);
    pthread_mutex_unlock(&hv_process.vm_lock);
    if (err)
        return hv_return_of(err);

    unsigned n = backend->max_vcpus();

    *max_vcpu_count = n < HV_MAX_VCPUS ? n : HV_MAX_VCPUS;
    return HV_SUCCESS;
}

/* Does [ipa, ipa + size) make sense as guest memory? */
static bool range_is_valid(hv_ipa_t ipa, size_t size)
{
    uint64_t limit = 1ull << hv_process.ipa_bits;

    return size > 0 && ipa % HV_PAGE_SIZE == 0 && size % HV_PAGE_SIZE == 0 && size <= limit &&
           ipa <= limit - size;
}

static bool flags_are_valid(hv_memory_flags_t flags)
{
    return !(flags & ~(hv_memory_flags_t)(HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC));
}

static hv_return_t vm_map_locked(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags,
                                 const struct hvx_memory *memory)
{
    struct hv_process *p = &hv_process;

    if (!p->vm)
        return HV_NO_DEVICE;
    if (!addr || (uintptr_t)addr % HV_PAGE_SIZE || (uintptr_t)addr > UINTPTR_MAX - size ||
        !range_is_valid(ipa, size) || !flags_are_valid(flags))
        return HV_BAD_ARGUMENT;
    if (p->apple && !hv_apple_is_mapped(addr, size))
        return HV_ERROR;
    if (!memory)
        return hv_return_of(p->backend->vm_map(p->vm, addr, ipa, size, flags));
    if (!(p->features & HVX_MEMORY_FILES))
        return HV_UNSUPPORTED;
    return hv_return_of(p->backend->vm_map_file(p->vm, addr, ipa, size, flags, memory));
}

hv_return_t hv_vm_map(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
{
    pthread_mutex_lock(&hv_process.vm_lock);
    hv_return_t result = vm_map_locked(addr, ipa, size, flags, NULL);
    pthread_mutex_unlock(&hv_process.vm_lock);
    return result;
}

hv_return_t hvx_vm_map_file(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags,
                            const struct hvx_memory *memory)
{
    if (!memory || memory->fd < 0)
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&hv_process.vm_lock);
    hv_return_t result = vm_map_locked(addr, ipa, size, flags, memory);
    pthread_mutex_unlock(&hv_process.vm_lock);
    return result;
}

hv_return_t hvx_vm_touch_again(void)
{
    struct hv_process *p = &hv_process;
    hv_return_t result = HV_SUCCESS;

    pthread_mutex_lock(&p->vm_lock);
    if (!p->vm)
        result = HV_NO_DEVICE;
    else if (!(p->features & HVX_MEMORY_FILES))
        result = HV_UNSUPPORTED;
    else
        p->backend->vm_touch_again(p->vm);
    pthread_mutex_unlock(&p->vm_lock);
    return result;
}

hv_return_t hv_vm_unmap(hv_ipa_t ipa, size_t size)
{
    struct hv_process *p = &hv_process;
    hv_return_t result;

    pthread_mutex_lock(&p->vm_lock);
    if (!p->vm)
        result = HV_NO_DEVICE;
    else if (!range_is_valid(ipa, size))
        result = HV_BAD_ARGUMENT;
    else
        result = hv_return_of(p->backend->vm_unmap(p->vm, ipa, size));
    pthread_mutex_unlock(&p->vm_lock);
    return result;
}

hv_return_t hv_vm_protect(hv_ipa_t ipa, size_t size, hv_memory_flags_t flags)
{
    struct hv_process *p = &hv_process;
    hv_return_t result;

    pthread_mutex_lock(&p->vm_lock);
    if (!p->vm)
        result = HV_NO_DEVICE;
    else if (!range_is_valid(ipa, size) || !flags_are_valid(flags))
        result = HV_BAD_ARGUMENT;
    else
        result = hv_return_of(p->backend->vm_protect(p->vm, ipa, size, flags));
    pthread_mutex_unlock(&p->vm_lock);
    return result;
}
