/* KVM as a back end of hv/ (hv/backend.h): what it offers, and the small calls. */
#include "hv/backend.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kvm/kvm.h"

static int probe(const char *engine)
{
    if (engine && strcmp(engine, "kvm") != 0)
        return -ENOTSUP;
    int fd = kvm_open();
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

/* The answer of the kernel to one question; 0 if there is no KVM. */
static unsigned capability(unsigned which)
{
    int fd = kvm_open();
    if (fd < 0)
        return 0;
    int value = kvm_call_value(fd, KVM_CHECK_EXTENSION, which);
    close(fd);
    return value > 0 ? (unsigned)value : 0;
}

static unsigned max_vcpus(void)
{
    unsigned n = capability(KVM_CAP_MAX_VCPUS);

    return n < KVM_MAX_VCPUS_HERE ? n : KVM_MAX_VCPUS_HERE;
}

static void ipa_bits(unsigned *standard, unsigned *maximum)
{
    unsigned most = capability(KVM_CAP_ARM_VM_IPA_SIZE);

    *maximum = most ? most : 40;
    *standard = *maximum < 40 ? *maximum : 40;
}

/* The features of the host's CPU are not listed. */
static int cpu_feature(const char *cpu, unsigned index, struct hvx_cpu_feature *feature)
{
    (void)index, (void)feature;
    return cpu ? -ENOTSUP : -EINVAL;
}

static bool get_pending(struct hv_backend_vcpu *vcpu, hv_interrupt_type_t type)
{
    return kvm_vcpu_of(vcpu)->line[type];
}

static void set_pending(struct hv_backend_vcpu *vcpu, hv_interrupt_type_t type, bool pending)
{
    kvm_vcpu_of(vcpu)->line[type] = pending;
}

static uint64_t exec_time(struct hv_backend_vcpu *vcpu)
{
    return kvm_vcpu_of(vcpu)->exec_ticks;
}

/* Nothing is counted. */
static void stats(struct hv_backend_vcpu *vcpu, struct hvx_vcpu_stats *stats)
{
    (void)vcpu;
    *stats = (struct hvx_vcpu_stats){ 0 };
}

const struct hv_backend hv_backend_kvm = {
    .name = "kvm",
    .cpu_model = "host",
    .probe = probe,
    .max_vcpus = max_vcpus,
    .ipa_bits = ipa_bits,
    .vm_create = kvm_vm_create,
    .vm_destroy = kvm_vm_destroy,
    .vm_map = kvm_vm_map,
    .vm_unmap = kvm_vm_unmap,
    .vm_protect = kvm_vm_protect,
    .cpu_feature = cpu_feature,
    .feature_reg = kvm_feature_reg,
    .ccsidr = kvm_ccsidr,
    .vcpu_create = kvm_vcpu_create,
    .vcpu_destroy = kvm_vcpu_destroy,
    .vcpu_run = kvm_vcpu_run,
    .vcpu_kick = kvm_vcpu_kick,
    .get_reg = kvm_get_reg,
    .set_reg = kvm_set_reg,
    .get_simd = kvm_get_simd,
    .set_simd = kvm_set_simd,
    .get_sys_reg = kvm_get_sys_reg,
    .set_sys_reg = kvm_set_sys_reg,
    .get_pending = get_pending,
    .set_pending = set_pending,
    .get_vtimer_mask = kvm_get_vtimer_mask,
    .set_vtimer_mask = kvm_set_vtimer_mask,
    .get_vtimer_offset = kvm_get_vtimer_offset,
    .set_vtimer_offset = kvm_set_vtimer_offset,
    .set_trap_debug_exceptions = kvm_set_trap_debug_exceptions,
    .set_trap_debug_reg_accesses = kvm_set_trap_debug_reg_accesses,
    .exec_time = exec_time,
    .counter = kvm_counter,
    .counter_hz = kvm_counter_hz,
    .stats = stats,
    .vm_enable = kvm_vm_enable,
    .gic = &kvm_gic_backend,
};
