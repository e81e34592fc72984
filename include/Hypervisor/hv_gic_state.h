/*
 * Snapshots of the interrupt controller.
 */
#ifndef IREKO_HYPERVISOR_HV_GIC_STATE_H
#define IREKO_HYPERVISOR_HV_GIC_STATE_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_gic_state.h>
#else

#include <Hypervisor/hv_base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct hv_gic_state_s *hv_gic_state_t; /* released with os_release() */

/* A snapshot of everything but the vCPUs' interface registers; NULL without an interrupt
 * controller. macOS 15.0 */
hv_gic_state_t hv_gic_state_create(void);
hv_return_t hv_gic_state_get_size(hv_gic_state_t state, size_t *gic_state_size);
hv_return_t hv_gic_state_get_data(hv_gic_state_t state, void *gic_state_data);

#ifdef __cplusplus
}
#endif

#endif

#endif
