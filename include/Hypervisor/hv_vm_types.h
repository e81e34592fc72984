/*
 * Types of virtual machines.
 */
#ifndef IREKO_HYPERVISOR_HV_VM_TYPES_H
#define IREKO_HYPERVISOR_HV_VM_TYPES_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_vm_types.h>
#else

#include <Hypervisor/hv_base.h>

typedef uint64_t hv_ipa_t; /* guest physical (intermediate physical) address */

/* macOS 26.0 */
typedef enum hv_ipa_granule {
    HV_IPA_GRANULE_4KB = 0,
    HV_IPA_GRANULE_16KB = 1,
} hv_ipa_granule_t;

typedef struct hv_vm_config_s *hv_vm_config_t; /* released with os_release() */

typedef uint64_t hv_allocate_flags_t;

enum {
    HV_ALLOCATE_DEFAULT = 0,
};

#endif

#endif
