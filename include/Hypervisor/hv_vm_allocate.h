/*
 * Memory to give to a guest. Any thread.
 */
#ifndef IREKO_HYPERVISOR_HV_VM_ALLOCATE_H
#define IREKO_HYPERVISOR_HV_VM_ALLOCATE_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_vm_allocate.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vm_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Zeroed memory for hv_vm_map(); `size` is a multiple of 16 KiB. macOS 12.1 */
hv_return_t hv_vm_allocate(void **uvap, size_t size, hv_allocate_flags_t flags);
hv_return_t hv_vm_deallocate(void *uva, size_t size);

#ifdef __cplusplus
}
#endif

#endif

#endif
