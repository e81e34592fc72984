/*
 * The API's binary interface: values, widths and layouts as Apple's arm64 SDK has them. Everything
 * is checked when this file is compiled; the program only says how much that was. It compiles
 * against Apple's headers too, so a Mac proves the checks themselves.
 */
#include <Hypervisor/Hypervisor.h>

#include <stdio.h>

#include "layout_checks.h"

#define SIZE(type, n)          _Static_assert(sizeof(type) == (n), #type)
#define ALIGNED(type, n)       _Static_assert(_Alignof(type) == (n), #type)
#define OFFSET(type, field, n) _Static_assert(offsetof(type, field) == (n), #type "." #field)
#define IS_UNSIGNED(type)      _Static_assert((type) - 1 > 0, #type)
#define VALUE(name, n)         _Static_assert((name) == (n), #name)
#define SAME_TYPE(a, b)        _Static_assert(__builtin_types_compatible_p(a, b), #a)
#define CODE(name, low)        VALUE(name, (int)(0xfae94000u + (low)))
#define UNSIGNED_OF(type, n)                                                                       \
    SIZE(type, n);                                                                                 \
    IS_UNSIGNED(type)

/* Results: mach_error_t, subsystem 0xba5. */
SAME_TYPE(hv_return_t, int);
VALUE(HV_SUCCESS, 0);
CODE(HV_ERROR, 1);
CODE(HV_BUSY, 2);
CODE(HV_BAD_ARGUMENT, 3);
CODE(HV_ILLEGAL_GUEST_STATE, 4);
CODE(HV_NO_RESOURCES, 5);
CODE(HV_NO_DEVICE, 6);
CODE(HV_DENIED, 7);
CODE(HV_EXISTS, 8);
CODE(HV_UNSUPPORTED, 15);
VALUE(HV_ERROR, -85377023);
VALUE(HV_UNSUPPORTED, -85377009);

/* Scalars. */
SAME_TYPE(hv_ipa_t, uint64_t);
SAME_TYPE(hv_vcpu_t, uint64_t);
SAME_TYPE(hv_memory_flags_t, uint64_t);
SAME_TYPE(hv_allocate_flags_t, uint64_t);
SAME_TYPE(hv_exception_syndrome_t, uint64_t);
SAME_TYPE(hv_exception_address_t, uint64_t);
VALUE(HV_MEMORY_READ, 1);
VALUE(HV_MEMORY_WRITE, 2);
VALUE(HV_MEMORY_EXEC, 4);
VALUE(HV_ALLOCATE_DEFAULT, 0);

/* Widths of the enumerations. */
UNSIGNED_OF(hv_exit_reason_t, 4);
UNSIGNED_OF(hv_reg_t, 4);
UNSIGNED_OF(hv_simd_fp_reg_t, 4);
UNSIGNED_OF(hv_sme_z_reg_t, 4);
UNSIGNED_OF(hv_sme_p_reg_t, 4);
UNSIGNED_OF(hv_interrupt_type_t, 4);
UNSIGNED_OF(hv_cache_type_t, 4);
UNSIGNED_OF(hv_feature_reg_t, 4);
UNSIGNED_OF(hv_ipa_granule_t, 4);
UNSIGNED_OF(hv_gic_redistributor_reg_t, 4);
UNSIGNED_OF(hv_sys_reg_t, 2);
UNSIGNED_OF(hv_gic_intid_t, 2);
UNSIGNED_OF(hv_gic_distributor_reg_t, 2);
UNSIGNED_OF(hv_gic_icc_reg_t, 2);
UNSIGNED_OF(hv_gic_ich_reg_t, 2);
UNSIGNED_OF(hv_gic_icv_reg_t, 2);
UNSIGNED_OF(hv_gic_msi_reg_t, 2);

/* Small enumerations. */
VALUE(HV_EXIT_REASON_CANCELED, 0);
VALUE(HV_EXIT_REASON_EXCEPTION, 1);
VALUE(HV_EXIT_REASON_VTIMER_ACTIVATED, 2);
VALUE(HV_EXIT_REASON_UNKNOWN, 3);
VALUE(HV_REG_FP, 29);
VALUE(HV_REG_LR, 30);
VALUE(HV_REG_PC, 31);
VALUE(HV_REG_FPCR, 32);
VALUE(HV_REG_FPSR, 33);
VALUE(HV_REG_CPSR, 34);
VALUE(HV_INTERRUPT_TYPE_IRQ, 0);
VALUE(HV_INTERRUPT_TYPE_FIQ, 1);
VALUE(HV_CACHE_TYPE_DATA, 0);
VALUE(HV_CACHE_TYPE_INSTRUCTION, 1);
VALUE(HV_IPA_GRANULE_4KB, 0);
VALUE(HV_IPA_GRANULE_16KB, 1);
VALUE(HV_FEATURE_REG_ID_AA64DFR0_EL1, 0);
VALUE(HV_FEATURE_REG_ID_AA64DFR1_EL1, 1);
VALUE(HV_FEATURE_REG_ID_AA64ISAR0_EL1, 2);
VALUE(HV_FEATURE_REG_ID_AA64ISAR1_EL1, 3);
VALUE(HV_FEATURE_REG_ID_AA64MMFR0_EL1, 4);
VALUE(HV_FEATURE_REG_ID_AA64MMFR1_EL1, 5);
VALUE(HV_FEATURE_REG_ID_AA64MMFR2_EL1, 6);
VALUE(HV_FEATURE_REG_ID_AA64PFR0_EL1, 7);
VALUE(HV_FEATURE_REG_ID_AA64PFR1_EL1, 8);
VALUE(HV_FEATURE_REG_CTR_EL0, 9);
VALUE(HV_FEATURE_REG_CLIDR_EL1, 10);
VALUE(HV_FEATURE_REG_DCZID_EL0, 11);
VALUE(HV_FEATURE_REG_ID_AA64SMFR0_EL1, 12);
VALUE(HV_FEATURE_REG_ID_AA64ZFR0_EL1, 13);
VALUE(HV_GIC_INT_PERFORMANCE_MONITOR, 23);
VALUE(HV_GIC_INT_MAINTENANCE, 25);
VALUE(HV_GIC_INT_EL2_PHYSICAL_TIMER, 26);
VALUE(HV_GIC_INT_EL1_VIRTUAL_TIMER, 27);
VALUE(HV_GIC_INT_EL1_PHYSICAL_TIMER, 30);
VALUE(HV_GIC_REG_GICM_TYPER, 8);
VALUE(HV_GIC_REG_GICM_SET_SPI_NSR, 0x40);

/* Structures. */
SIZE(hv_vcpu_exit_exception_t, 24);
ALIGNED(hv_vcpu_exit_exception_t, 8);
OFFSET(hv_vcpu_exit_exception_t, syndrome, 0);
OFFSET(hv_vcpu_exit_exception_t, virtual_address, 8);
OFFSET(hv_vcpu_exit_exception_t, physical_address, 16);
SIZE(hv_vcpu_exit_t, 32);
ALIGNED(hv_vcpu_exit_t, 8);
OFFSET(hv_vcpu_exit_t, reason, 0);
OFFSET(hv_vcpu_exit_t, exception, 8);
SIZE(hv_vcpu_sme_state_t, 2);
ALIGNED(hv_vcpu_sme_state_t, 1);
OFFSET(hv_vcpu_sme_state_t, streaming_sve_mode_enabled, 0);
OFFSET(hv_vcpu_sme_state_t, za_storage_enabled, 1);
SIZE(hv_simd_fp_uchar16_t, 16);
ALIGNED(hv_simd_fp_uchar16_t, 16);
SIZE(hv_sme_zt0_uchar64_t, 64);
ALIGNED(hv_sme_zt0_uchar64_t, 64);
SIZE(hv_vm_config_t, sizeof(void *));
SIZE(hv_vcpu_config_t, sizeof(void *));
SIZE(hv_gic_config_t, sizeof(void *));
SIZE(hv_gic_state_t, sizeof(void *));

int main(void)
{
    printf("1..1\nok 1 - %d enumerants, the types of %d functions, every width and layout hold\n",
           LAYOUT_CHECKS, LAYOUT_FUNCTIONS);
    return 0;
}
