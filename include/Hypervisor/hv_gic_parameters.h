/*
 * Sizes and numbers of the interrupt controller, the same for every VM.
 */
#ifndef IREKO_HYPERVISOR_HV_GIC_PARAMETERS_H
#define IREKO_HYPERVISOR_HV_GIC_PARAMETERS_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_gic_parameters.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_gic_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes and alignments in bytes. macOS 15.0 */
hv_return_t hv_gic_get_distributor_size(size_t *distributor_size);
hv_return_t hv_gic_get_distributor_base_alignment(size_t *distributor_base_alignment);
hv_return_t hv_gic_get_redistributor_region_size(size_t *redistributor_region_size);
hv_return_t hv_gic_get_redistributor_size(size_t *redistributor_size); /* of one vCPU */
hv_return_t hv_gic_get_redistributor_base_alignment(size_t *redistributor_base_alignment);
hv_return_t hv_gic_get_msi_region_size(size_t *msi_region_size);
hv_return_t hv_gic_get_msi_region_base_alignment(size_t *msi_region_base_alignment);

hv_return_t hv_gic_get_spi_interrupt_range(uint32_t *spi_intid_base, uint32_t *spi_intid_count);
hv_return_t hv_gic_get_intid(hv_gic_intid_t interrupt, uint32_t *intid);

#ifdef __cplusplus
}
#endif

#endif

#endif
