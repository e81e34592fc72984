/*
 * hv_vm_config_* and hv_vcpu_config_*. A configuration only remembers; what cannot be had is
 * refused when the VM is created, but for an address width, which Apple refuses when it is set.
 */
#include "hv/apple.h"
#include "hv/config.h"
#include "hv/process.h"

static hv_return_t ipa_bits(unsigned *standard, unsigned *maximum)
{
    const struct hv_backend *backend;
    const char *engine;

    pthread_mutex_lock(&hv_process.vm_lock);
    int err = hv_process_choose(&backend, &engine);
    pthread_mutex_unlock(&hv_process.vm_lock);
    if (err)
        return hv_return_of(err);
    backend->ipa_bits(standard, maximum);
    if (hv_apple())
        hv_apple_ipa_bits(hv_apple(), standard, maximum);
    return HV_SUCCESS;
}

hv_vm_config_t hv_vm_config_create(void)
{
    struct hv_vm_config_s *c = hv_object_create(HV_OBJECT_VM_CONFIG, sizeof *c);

    if (c)
        c->granule = HV_IPA_GRANULE_16KB;
    return c;
}

hv_return_t hv_vm_config_get_max_ipa_size(uint32_t *ipa_bit_length)
{
    unsigned standard, maximum;

    if (!ipa_bit_length)
        return HV_BAD_ARGUMENT;

    hv_return_t result = ipa_bits(&standard, &maximum);

    if (result == HV_SUCCESS)
        *ipa_bit_length = maximum;
    return result;
}

hv_return_t hv_vm_config_get_default_ipa_size(uint32_t *ipa_bit_length)
{
    unsigned standard, maximum;

    if (!ipa_bit_length)
        return HV_BAD_ARGUMENT;

    hv_return_t result = ipa_bits(&standard, &maximum);

    if (result == HV_SUCCESS)
        *ipa_bit_length = standard;
    return result;
}

hv_return_t hv_vm_config_set_ipa_size(hv_vm_config_t config, uint32_t ipa_bit_length)
{
    unsigned standard, maximum;

    if (!hv_object_is(config, HV_OBJECT_VM_CONFIG))
        return HV_BAD_ARGUMENT;

    hv_return_t result = ipa_bits(&standard, &maximum);

    if (result != HV_SUCCESS)
        return result;
    if (ipa_bit_length > maximum)
        return HV_UNSUPPORTED;
    config->ipa_bits = ipa_bit_length;
    return HV_SUCCESS;
}

hv_return_t hv_vm_config_get_ipa_size(hv_vm_config_t config, uint32_t *ipa_bit_length)
{
    if (!hv_object_is(config, HV_OBJECT_VM_CONFIG) || !ipa_bit_length)
        return HV_BAD_ARGUMENT;
    *ipa_bit_length = config->ipa_bits;
    return HV_SUCCESS;
}

hv_return_t hv_vm_config_get_el2_supported(bool *el2_supported)
{
    if (!hvx_since(15.0))
        return HV_UNSUPPORTED;
    if (!el2_supported)
        return HV_BAD_ARGUMENT;
    *el2_supported = false;
    return HV_SUCCESS;
}

hv_return_t hv_vm_config_get_el2_enabled(hv_vm_config_t config, bool *el2_enabled)
{
    if (!hvx_since(15.0))
        return HV_UNSUPPORTED;
    if (!hv_object_is(config, HV_OBJECT_VM_CONFIG) || !el2_enabled)
        return HV_BAD_ARGUMENT;
    *el2_enabled = config->el2;
    return HV_SUCCESS;
}

hv_return_t hv_vm_config_set_el2_enabled(hv_vm_config_t config, bool el2_enabled)
{
    if (!hvx_since(15.0))
        return HV_UNSUPPORTED;
    if (!hv_object_is(config, HV_OBJECT_VM_CONFIG))
        return HV_BAD_ARGUMENT;
    config->el2 = el2_enabled;
    return HV_SUCCESS;
}

hv_return_t hv_vm_config_get_default_ipa_granule(hv_ipa_granule_t *granule)
{
    if (!hvx_since(26.0))
        return HV_UNSUPPORTED;
    if (!granule)
        return HV_BAD_ARGUMENT;
    *granule = HV_IPA_GRANULE_16KB;
    return HV_SUCCESS;
}

hv_return_t hv_vm_config_get_ipa_granule(hv_vm_config_t config, hv_ipa_granule_t *granule)
{
    if (!hvx_since(26.0))
        return HV_UNSUPPORTED;
    if (!hv_object_is(config, HV_OBJECT_VM_CONFIG) || !granule)
        return HV_BAD_ARGUMENT;
    *granule = config->granule;
    return HV_SUCCESS;
}

hv_return_t hv_vm_config_set_ipa_granule(hv_vm_config_t config, hv_ipa_granule_t granule)
{
    if (!hvx_since(26.0))
        return HV_UNSUPPORTED;
    if (!hv_object_is(config, HV_OBJECT_VM_CONFIG) || granule > HV_IPA_GRANULE_16KB)
        return HV_BAD_ARGUMENT;
    config->granule = granule;
    return HV_SUCCESS;
}

hv_vcpu_config_t hv_vcpu_config_create(void)
{
    return hv_object_create(HV_OBJECT_VCPU_CONFIG, sizeof(struct hv_vcpu_config_s));
}

/* The back end that the queries are about; NULL if there is none. */
static const struct hv_backend *query_backend_locked(void)
{
    const struct hv_backend *backend;
    const char *engine;

    if (hv_process.vm)
        return hv_process.backend;
    return hv_process_choose(&backend, &engine) ? NULL : backend;
}

/* The system register of the same name. */
static const hv_sys_reg_t feature_sys_regs[] = {
    [HV_FEATURE_REG_ID_AA64DFR0_EL1] = HV_SYS_REG_ID_AA64DFR0_EL1,
    [HV_FEATURE_REG_ID_AA64DFR1_EL1] = HV_SYS_REG_ID_AA64DFR1_EL1,
    [HV_FEATURE_REG_ID_AA64ISAR0_EL1] = HV_SYS_REG_ID_AA64ISAR0_EL1,
    [HV_FEATURE_REG_ID_AA64ISAR1_EL1] = HV_SYS_REG_ID_AA64ISAR1_EL1,
    [HV_FEATURE_REG_ID_AA64MMFR0_EL1] = HV_SYS_REG_ID_AA64MMFR0_EL1,
    [HV_FEATURE_REG_ID_AA64MMFR1_EL1] = HV_SYS_REG_ID_AA64MMFR1_EL1,
    [HV_FEATURE_REG_ID_AA64MMFR2_EL1] = HV_SYS_REG_ID_AA64MMFR2_EL1,
    [HV_FEATURE_REG_ID_AA64PFR0_EL1] = HV_SYS_REG_ID_AA64PFR0_EL1,
    [HV_FEATURE_REG_ID_AA64PFR1_EL1] = HV_SYS_REG_ID_AA64PFR1_EL1,
};

static hv_return_t feature_reg_locked(hv_feature_reg_t reg, uint64_t *value)
{
    const struct hv_apple *apple = hv_apple();
    const struct hv_backend *backend = query_backend_locked();

    if (!backend)
        return HV_UNSUPPORTED;
    /* wanted_cpu is the VM's CPU: it cannot change while there is one */
    const char *cpu = apple ? hv_apple_cpu(apple, backend) : hv_process.wanted_cpu;
    hv_return_t result = hv_return_of(backend->feature_reg(cpu, reg, value));

    if (result == HV_SUCCESS && apple && reg < sizeof feature_sys_regs / sizeof *feature_sys_regs)
        *value = hv_apple_id_register(apple, feature_sys_regs[reg], *value);
    return result;
}

hv_return_t hv_vcpu_config_get_feature_reg(hv_vcpu_config_t config, hv_feature_reg_t feature_reg,
                                           uint64_t *value)
{
    if (!hv_object_is(config, HV_OBJECT_VCPU_CONFIG) || !value ||
        feature_reg > HV_FEATURE_REG_ID_AA64ZFR0_EL1 ||
        (feature_reg >= HV_FEATURE_REG_ID_AA64SMFR0_EL1 && !hvx_since(15.2)))
        return HV_BAD_ARGUMENT;

    pthread_mutex_lock(&hv_process.vm_lock);
    hv_return_t result = feature_reg_locked(feature_reg, value);

    pthread_mutex_unlock(&hv_process.vm_lock);
    return result;
}

hv_return_t hv_vcpu_config_get_ccsidr_el1_sys_reg_values(hv_vcpu_config_t config,
                                                         hv_cache_type_t cache_type,
                                                         uint64_t *values)
{
    if (!hv_object_is(config, HV_OBJECT_VCPU_CONFIG) || !values ||
        cache_type > HV_CACHE_TYPE_INSTRUCTION)
        return HV_BAD_ARGUMENT;

    pthread_mutex_lock(&hv_process.vm_lock);
    const struct hv_backend *backend = query_backend_locked();
    hv_return_t result =
        backend ? hv_return_of(backend->ccsidr(cache_type, values)) : HV_UNSUPPORTED;

    pthread_mutex_unlock(&hv_process.vm_lock);
    return result;
}
