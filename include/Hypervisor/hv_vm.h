/*
 * The virtual machine: one per process, so there is no handle. Any thread.
 */
#ifndef IREKO_HYPERVISOR_HV_VM_H
#define IREKO_HYPERVISOR_HV_VM_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_vm.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vm_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How many vCPUs a VM can have. */
hv_return_t hv_vm_get_max_vcpu_count(uint32_t *max_vcpu_count);

/* Create the VM of this process; NULL asks for the defaults. HV_BUSY if there is one. */
hv_return_t hv_vm_create(hv_vm_config_t config);

/* Destroy it. Every vCPU must have been destroyed. */
hv_return_t hv_vm_destroy(void);

/*
 * Guest memory: [addr, addr + size) of this process is what the guest finds at `ipa`. All three are
 * multiples of 16 KiB. Both sides see each other's writes; `flags` bind the guest only. The caller
 * keeps the memory mapped for as long as the guest has it.
 */
hv_return_t hv_vm_map(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags);
hv_return_t hv_vm_unmap(hv_ipa_t ipa, size_t size);
hv_return_t hv_vm_protect(hv_ipa_t ipa, size_t size, hv_memory_flags_t flags);

#ifdef __cplusplus
}
#endif

#endif

#endif
