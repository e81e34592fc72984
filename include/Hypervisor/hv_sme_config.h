/*
 * The scalable matrix extension of this host.
 */
#ifndef IREKO_HYPERVISOR_HV_SME_CONFIG_H
#define IREKO_HYPERVISOR_HV_SME_CONFIG_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_sme_config.h>
#else

#include <Hypervisor/hv_base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Bytes of the longest streaming vector. HV_UNSUPPORTED without SME. macOS 15.2 */
hv_return_t hv_sme_config_get_max_svl_bytes(size_t *value);

#ifdef __cplusplus
}
#endif

#endif

#endif
