/*
 * Parts of the kernel's KVM interface that are newer than the headers a build may have (Debian 12's
 * are of Linux 6.1). Documentation/virt/kvm/api.rst and devices/vm.rst of Linux 6.4.
 */
#ifndef KVM_ABI_H
#define KVM_ABI_H

#include <linux/kvm.h>

/* KVM_SET_DEVICE_ATTR on a VM: who handles a range of SMCCC function identifiers. */
#ifndef KVM_ARM_VM_SMCCC_CTRL
#define KVM_ARM_VM_SMCCC_CTRL        0
#define KVM_ARM_VM_SMCCC_FILTER      0
#define KVM_SMCCC_FILTER_FWD_TO_USER 2

struct kvm_smccc_filter {
    __u32 base;
    __u32 nr_functions;
    __u8 action;
    __u8 pad[15];
};
#endif

/* At KVM_EXIT_HYPERCALL, in hypercall.flags, whose lower half older headers call longmode. */
#ifndef KVM_HYPERCALL_EXIT_SMC
#define KVM_HYPERCALL_EXIT_SMC (1u << 0)
#endif

#endif
