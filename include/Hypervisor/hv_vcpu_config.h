/*
 * What hv_vcpu_create() takes; it serves queries only. Any thread.
 */
#ifndef IREKO_HYPERVISOR_HV_VCPU_CONFIG_H
#define IREKO_HYPERVISOR_HV_VCPU_CONFIG_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_vcpu_config.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_vcpu_types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hv_vcpu_config_s *hv_vcpu_config_t; /* released with os_release() */

hv_vcpu_config_t hv_vcpu_config_create(void);

/* The value that a vCPU would show its guest. */
hv_return_t hv_vcpu_config_get_feature_reg(hv_vcpu_config_t config, hv_feature_reg_t feature_reg,
                                           uint64_t *value);

/* Writes eight values: CCSIDR_EL1 for each level of the data (or unified) or instruction caches. */
hv_return_t hv_vcpu_config_get_ccsidr_el1_sys_reg_values(hv_vcpu_config_t config,
                                                         hv_cache_type_t cache_type,
                                                         uint64_t *values);

#ifdef __cplusplus
}
#endif

#endif

#endif
