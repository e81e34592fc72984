/*
 * hv_vcpu_* and hv_vcpus_exit(). A vCPU belongs to the thread that created it, and a call from
 * another thread is HV_BAD_ARGUMENT: on a Mac such calls are not refused but act on the caller's
 * vCPU, so a program that makes them is wrong and learns it here.
 */
#include <string.h>

#include "hv/apple.h"
#include "hv/config.h"
#include "hv/process.h"

/* SDKs 15.x have this value for HV_SYS_REG_MDCR_EL2. */
#define SYS_REG_MDCR_EL2_SDK15 0xe019

static struct hv_slot *free_slot_locked(hv_vcpu_t *handle, unsigned limit)
{
    for (unsigned i = 0; i < limit; i++) {
        if (!atomic_load_explicit(&hv_process.slot[i].owner, memory_order_relaxed)) {
            *handle = i;
            return &hv_process.slot[i];
        }
    }
    return NULL;
}

static bool thread_has_vcpu_locked(uint64_t thread)
{
    for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
        if (atomic_load_explicit(&hv_process.slot[i].owner, memory_order_relaxed) == thread)
            return true;
    return false;
}

static hv_return_t vcpu_create_locked(hv_vcpu_t *vcpu, hv_vcpu_exit_t **exit)
{
    struct hv_process *p = &hv_process;
    uint64_t thread = hv_process_thread();
    hv_vcpu_t handle;

    if (!p->vm)
        return HV_NO_DEVICE;
    if (thread_has_vcpu_locked(thread))
        return HV_BUSY;

    unsigned limit = p->backend->max_vcpus();
    struct hv_slot *s = free_slot_locked(&handle, limit < HV_MAX_VCPUS ? limit : HV_MAX_VCPUS);

    if (!s)
        return HV_NO_RESOURCES;
    memset(&s->exit, 0, sizeof s->exit);
    s->trap_debug_exceptions = false;
    s->trap_debug_reg_accesses = false;

    int err = p->backend->vcpu_create(p->vm, (unsigned)handle, &s->exit, &s->vcpu);

    if (!err && p->apple) {
        s->random = ++p->vcpus_made * 2654435761u | 1;
        err = hv_apple_vcpu_create(p->apple, p->backend, s->vcpu);
        if (err)
            p->backend->vcpu_destroy(s->vcpu);
    }
    if (err)
        return hv_return_of(err);
    atomic_store_explicit(&s->owner, thread, memory_order_relaxed);
    *vcpu = handle;
    *exit = &s->exit;
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_create(hv_vcpu_t *vcpu, hv_vcpu_exit_t **exit, hv_vcpu_config_t config)
{
    /* Nothing in a configuration can be set. */
    if (!vcpu || !exit || (config && !hv_object_is(config, HV_OBJECT_VCPU_CONFIG)))
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&hv_process.slots_lock);
    hv_return_t result = vcpu_create_locked(vcpu, exit);
    pthread_mutex_unlock(&hv_process.slots_lock);
    return result;
}

hv_return_t hv_vcpu_destroy(hv_vcpu_t vcpu)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s)
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&hv_process.slots_lock);
    hv_process.backend->vcpu_destroy(s->vcpu);
    s->vcpu = NULL;
    atomic_store_explicit(&s->owner, 0, memory_order_relaxed);
    pthread_mutex_unlock(&hv_process.slots_lock);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_run(hv_vcpu_t vcpu)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s)
        return HV_BAD_ARGUMENT;
    if (hv_process.apple)
        return hv_apple_run(hv_process.apple, s);
    return hv_return_of(hv_process.backend->vcpu_run(s->vcpu));
}

static bool all_exist_locked(const hv_vcpu_t *vcpus, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (vcpus[i] >= HV_MAX_VCPUS ||
            !atomic_load_explicit(&hv_process.slot[vcpus[i]].owner, memory_order_relaxed))
            return false;
    return true;
}

hv_return_t hv_vcpus_exit(hv_vcpu_t *vcpus, uint32_t vcpu_count)
{
    hv_return_t result = HV_SUCCESS;

    if (vcpu_count == 0)
        return HV_SUCCESS;
    if (!vcpus)
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&hv_process.slots_lock);
    if (all_exist_locked(vcpus, vcpu_count)) {
        for (uint32_t i = 0; i < vcpu_count; i++)
            hv_process.backend->vcpu_kick(hv_process.slot[vcpus[i]].vcpu);
    } else {
        result = HV_BAD_ARGUMENT;
    }
    pthread_mutex_unlock(&hv_process.slots_lock);
    return result;
}

hv_return_t hv_vcpu_get_exec_time(hv_vcpu_t vcpu, uint64_t *time)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !time)
        return HV_BAD_ARGUMENT;
    *time = hv_process.backend->exec_time(s->vcpu);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_get_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t *value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || reg > HV_REG_CPSR || !value)
        return HV_BAD_ARGUMENT;
    return hv_return_of(hv_process.backend->get_reg(s->vcpu, reg, value));
}

hv_return_t hv_vcpu_set_reg(hv_vcpu_t vcpu, hv_reg_t reg, uint64_t value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || reg > HV_REG_CPSR)
        return HV_BAD_ARGUMENT;
    return hv_return_of(hv_process.backend->set_reg(s->vcpu, reg, value));
}

hv_return_t hv_vcpu_get_simd_fp_reg(hv_vcpu_t vcpu, hv_simd_fp_reg_t reg,
                                    hv_simd_fp_uchar16_t *value)
{
    struct hv_slot *s = hv_process_slot(vcpu);
    uint8_t bytes[16];

    if (!s || reg > HV_SIMD_FP_REG_Q31 || !value)
        return HV_BAD_ARGUMENT;

    int err = hv_process.backend->get_simd(s->vcpu, reg, bytes);

    if (!err)
        memcpy(value, bytes, sizeof bytes);
    return hv_return_of(err);
}

hv_return_t hv_vcpu_set_simd_fp_reg(hv_vcpu_t vcpu, hv_simd_fp_reg_t reg,
                                    hv_simd_fp_uchar16_t value)
{
    struct hv_slot *s = hv_process_slot(vcpu);
    uint8_t bytes[16];

    if (!s || reg > HV_SIMD_FP_REG_Q31)
        return HV_BAD_ARGUMENT;
    memcpy(bytes, &value, sizeof bytes);
    return hv_return_of(hv_process.backend->set_simd(s->vcpu, reg, bytes));
}

/* What both accessors check; `*reg` gets its one true value. */
static hv_return_t check_sys_reg(hv_sys_reg_t *reg)
{
    if ((unsigned)*reg == SYS_REG_MDCR_EL2_SDK15)
        *reg = HV_SYS_REG_MDCR_EL2;
    if (!hvx_since(hv_sys_reg_since(*reg)))
        return HV_BAD_ARGUMENT;
    switch (hv_sys_reg_needs(*reg)) {
    case HV_NEEDS_NOTHING:
        return HV_SUCCESS;
    case HV_NEEDS_EL2:
        return hv_process.el2 ? HV_SUCCESS : HV_UNSUPPORTED;
    case HV_NEEDS_GIC:
        return hv_process.gic ? HV_SUCCESS : HV_UNSUPPORTED;
    case HV_NEEDS_UNKNOWN:
        break;
    }
    return HV_BAD_ARGUMENT;
}

hv_return_t hv_vcpu_get_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t *value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !value)
        return HV_BAD_ARGUMENT;

    hv_return_t result = check_sys_reg(&reg);

    if (result != HV_SUCCESS)
        return result;
    return hv_return_of(hv_process.backend->get_sys_reg(s->vcpu, reg, value));
}

hv_return_t hv_vcpu_set_sys_reg(hv_vcpu_t vcpu, hv_sys_reg_t reg, uint64_t value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s)
        return HV_BAD_ARGUMENT;

    hv_return_t result = check_sys_reg(&reg);

    if (result != HV_SUCCESS)
        return result;
    return hv_return_of(hv_process.backend->set_sys_reg(s->vcpu, reg, value));
}

hv_return_t hv_vcpu_get_pending_interrupt(hv_vcpu_t vcpu, hv_interrupt_type_t type, bool *pending)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || type > HV_INTERRUPT_TYPE_FIQ || !pending)
        return HV_BAD_ARGUMENT;
    *pending = hv_process.backend->get_pending(s->vcpu, type);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_pending_interrupt(hv_vcpu_t vcpu, hv_interrupt_type_t type, bool pending)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || type > HV_INTERRUPT_TYPE_FIQ)
        return HV_BAD_ARGUMENT;
    hv_process.backend->set_pending(s->vcpu, type, pending);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_get_trap_debug_exceptions(hv_vcpu_t vcpu, bool *value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !value)
        return HV_BAD_ARGUMENT;
    *value = s->trap_debug_exceptions;
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_trap_debug_exceptions(hv_vcpu_t vcpu, bool value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s)
        return HV_BAD_ARGUMENT;

    int err = hv_process.backend->set_trap_debug_exceptions(s->vcpu, value);

    if (!err)
        s->trap_debug_exceptions = value;
    return hv_return_of(err);
}

hv_return_t hv_vcpu_get_trap_debug_reg_accesses(hv_vcpu_t vcpu, bool *value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !value)
        return HV_BAD_ARGUMENT;
    *value = s->trap_debug_reg_accesses;
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_trap_debug_reg_accesses(hv_vcpu_t vcpu, bool value)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s)
        return HV_BAD_ARGUMENT;

    int err = hv_process.backend->set_trap_debug_reg_accesses(s->vcpu, value);

    if (!err)
        s->trap_debug_reg_accesses = value;
    return hv_return_of(err);
}

hv_return_t hv_vcpu_get_vtimer_mask(hv_vcpu_t vcpu, bool *vtimer_is_masked)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !vtimer_is_masked)
        return HV_BAD_ARGUMENT;
    *vtimer_is_masked = hv_process.backend->get_vtimer_mask(s->vcpu);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_vtimer_mask(hv_vcpu_t vcpu, bool vtimer_is_masked)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s)
        return HV_BAD_ARGUMENT;
    hv_process.backend->set_vtimer_mask(s->vcpu, vtimer_is_masked);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_get_vtimer_offset(hv_vcpu_t vcpu, uint64_t *vtimer_offset)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s || !vtimer_offset)
        return HV_BAD_ARGUMENT;
    *vtimer_offset = hv_process.backend->get_vtimer_offset(s->vcpu);
    return HV_SUCCESS;
}

hv_return_t hv_vcpu_set_vtimer_offset(hv_vcpu_t vcpu, uint64_t vtimer_offset)
{
    struct hv_slot *s = hv_process_slot(vcpu);

    if (!s)
        return HV_BAD_ARGUMENT;
    hv_process.backend->set_vtimer_offset(s->vcpu, vtimer_offset);
    return HV_SUCCESS;
}
