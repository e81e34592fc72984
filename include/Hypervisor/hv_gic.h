/*
 * The interrupt controller, a GICv3. Calls that take a vCPU belong to its thread.
 */
#ifndef IREKO_HYPERVISOR_HV_GIC_H
#define IREKO_HYPERVISOR_HV_GIC_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_gic.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_gic_config.h>
#include <Hypervisor/hv_gic_types.h>
#include <Hypervisor/hv_vcpu_types.h>
#include <Hypervisor/hv_vm_types.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Once per VM, before the first vCPU. macOS 15.0, like everything here. */
hv_return_t hv_gic_create(hv_gic_config_t gic_config);

/* Drive a shared interrupt's line. Any thread. */
hv_return_t hv_gic_set_spi(uint32_t intid, bool level);

/* What a device's write of `intid` to `address` does. */
hv_return_t hv_gic_send_msi(hv_ipa_t address, uint32_t intid);

hv_return_t hv_gic_get_distributor_reg(hv_gic_distributor_reg_t reg, uint64_t *value);
hv_return_t hv_gic_set_distributor_reg(hv_gic_distributor_reg_t reg, uint64_t value);

/* After the vCPU's MPIDR_EL1 was set. */
hv_return_t hv_gic_get_redistributor_base(hv_vcpu_t vcpu, hv_ipa_t *redistributor_base_address);

hv_return_t hv_gic_get_redistributor_reg(hv_vcpu_t vcpu, hv_gic_redistributor_reg_t reg,
                                         uint64_t *value);
hv_return_t hv_gic_set_redistributor_reg(hv_vcpu_t vcpu, hv_gic_redistributor_reg_t reg,
                                         uint64_t value);

hv_return_t hv_gic_get_icc_reg(hv_vcpu_t vcpu, hv_gic_icc_reg_t reg, uint64_t *value);
hv_return_t hv_gic_set_icc_reg(hv_vcpu_t vcpu, hv_gic_icc_reg_t reg, uint64_t value);

hv_return_t hv_gic_get_ich_reg(hv_vcpu_t vcpu, hv_gic_ich_reg_t reg, uint64_t *value);
hv_return_t hv_gic_set_ich_reg(hv_vcpu_t vcpu, hv_gic_ich_reg_t reg, uint64_t value);

hv_return_t hv_gic_get_icv_reg(hv_vcpu_t vcpu, hv_gic_icv_reg_t reg, uint64_t *value);
hv_return_t hv_gic_set_icv_reg(hv_vcpu_t vcpu, hv_gic_icv_reg_t reg, uint64_t value);

hv_return_t hv_gic_get_msi_reg(hv_gic_msi_reg_t reg, uint64_t *value);
hv_return_t hv_gic_set_msi_reg(hv_gic_msi_reg_t reg, uint64_t value);

/* Restore a snapshot: after the vCPUs were created, before the first runs. */
hv_return_t hv_gic_set_state(const void *gic_state_data, size_t gic_state_size);

hv_return_t hv_gic_reset(void);

#ifdef __cplusplus
}
#endif

#endif

#endif
