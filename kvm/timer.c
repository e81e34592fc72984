/*
 * The virtual timer and its counter. Without a GIC in the kernel KVM tells the timer's level in
 * `device_irq_level` and leaves KVM_RUN when that changes; the API's exit and mask are made of it.
 * With one, the timer is wired to it inside of the kernel.
 *
 * KVM has one offset for the VM where the API has one for each vCPU: the last one set holds for
 * all.
 */
#include "kvm/kvm.h"

#define CTL_ENABLE  1u
#define CTL_IMASK   2u
#define CTL_ISTATUS 4u

uint64_t kvm_counter(void)
{
    uint64_t count;

    __asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(count)::"memory");
    return count;
}

uint64_t kvm_counter_hz(void)
{
    uint64_t hz;

    __asm__("mrs %0, cntfrq_el0" : "=r"(hz));
    return hz;
}

bool kvm_get_vtimer_mask(struct hv_backend_vcpu *vcpu)
{
    return kvm_vcpu_of(vcpu)->vtimer_masked;
}

void kvm_set_vtimer_mask(struct hv_backend_vcpu *vcpu, bool masked)
{
    kvm_vcpu_of(vcpu)->vtimer_masked = masked;
}

uint64_t kvm_get_vtimer_offset(struct hv_backend_vcpu *vcpu)
{
    return kvm_vcpu_of(vcpu)->vtimer_offset;
}

/* KVM takes the counter's value and makes the offset of it a moment later, so that the guest's
 * clock is late by that moment; setting the same offset again would change it a little. */
void kvm_set_vtimer_offset(struct hv_backend_vcpu *vcpu, uint64_t offset)
{
    struct kvm_vcpu *v = kvm_vcpu_of(vcpu);

    v->vtimer_offset = offset;
    if (v->vm->vtimer_offset_set && v->vm->vtimer_offset == offset)
        return;
    v->vm->vtimer_offset = offset;
    v->vm->vtimer_offset_set = true;
    uint64_t count = kvm_counter() - offset;
    (void)kvm_set_one(v->fd, KVM_REG_ARM_TIMER_CNT, &count);
}

/* The level that KVM told last may be old; the register is not. */
bool kvm_vtimer_is_due(const struct kvm_vcpu *v)
{
    if (!(v->run->s.regs.device_irq_level & KVM_ARM_DEV_EL1_VTIMER))
        return false;
    return (kvm_sys(v, HV_SYS_REG_CNTV_CTL_EL0) & (CTL_ENABLE | CTL_IMASK | CTL_ISTATUS)) ==
           (CTL_ENABLE | CTL_ISTATUS);
}
