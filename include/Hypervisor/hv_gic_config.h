/*
 * What hv_gic_create() takes.
 */
#ifndef IREKO_HYPERVISOR_HV_GIC_CONFIG_H
#define IREKO_HYPERVISOR_HV_GIC_CONFIG_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_gic_config.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vm_types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hv_gic_config_s *hv_gic_config_t; /* released with os_release() */

/* macOS 15.0, like everything here. */
hv_gic_config_t hv_gic_config_create(void);

/* Guest physical addresses, aligned as hv_gic_parameters.h says. */
hv_return_t hv_gic_config_set_distributor_base(hv_gic_config_t config,
                                               hv_ipa_t distributor_base_address);
hv_return_t hv_gic_config_set_redistributor_base(hv_gic_config_t config,
                                                 hv_ipa_t redistributor_base_address);
hv_return_t hv_gic_config_set_msi_region_base(hv_gic_config_t config,
                                              hv_ipa_t msi_region_base_address);

/* SPIs that messages raise. */
hv_return_t hv_gic_config_set_msi_interrupt_range(hv_gic_config_t config, uint32_t msi_intid_base,
                                                  uint32_t msi_intid_count);

#ifdef __cplusplus
}
#endif

#endif

#endif
