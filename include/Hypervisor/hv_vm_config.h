/*
 * What hv_vm_create() takes. Any thread, one at a time per object.
 */
#ifndef IREKO_HYPERVISOR_HV_VM_CONFIG_H
#define IREKO_HYPERVISOR_HV_VM_CONFIG_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_vm_config.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vm_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A new configuration with default values, or NULL when memory is short. macOS 13.0 */
hv_vm_config_t hv_vm_config_create(void);

/* Width of guest physical addresses in bits. 0 stands for the default; a width above the largest is
 * HV_UNSUPPORTED. macOS 13.0 */
hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *ipa_bit_length);
hv_return_t hv_vm_config_get_default_ipa_size(uint32_t *ipa_bit_length);
hv_return_t hv_vm_config_set_ipa_size(hv_vm_config_t config, uint32_t ipa_bit_length);
hv_return_t hv_vm_config_get_ipa_size(hv_vm_config_t config, uint32_t *ipa_bit_length);

/* Does the guest have an EL2 of its own? macOS 15.0 */
hv_return_t hv_vm_config_get_el2_supported(bool *el2_supported);
hv_return_t hv_vm_config_get_el2_enabled(hv_vm_config_t config, bool *el2_enabled);
hv_return_t hv_vm_config_set_el2_enabled(hv_vm_config_t config, bool el2_enabled);

/* Page size of stage 2. macOS 26.0 */
hv_return_t hv_vm_config_get_default_ipa_granule(hv_ipa_granule_t *granule);
hv_return_t hv_vm_config_get_ipa_granule(hv_vm_config_t config, hv_ipa_granule_t *granule);
hv_return_t hv_vm_config_set_ipa_granule(hv_vm_config_t config, hv_ipa_granule_t granule);

#ifdef __cplusplus
}
#endif

#endif

#endif
