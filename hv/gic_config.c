/* hv_gic_config_* and the parameter queries, with Apple's sizes and checks. */
#include "hv/gic.h"

#include <Hypervisor/hvx.h>

#include "hv/apple.h"
#include "hv/process.h"

hv_gic_config_t hv_gic_config_create(void)
{
    if (!hvx_since(15.0))
        return NULL;
    return hv_object_create(HV_OBJECT_GIC_CONFIG, sizeof(struct hv_gic_config_s));
}

/* The last byte must have an address below 2^64 - 1: a region that ends at 2^64 is refused. */
static bool base_is_valid(hv_ipa_t base, uint64_t size, uint64_t alignment)
{
    return base % alignment == 0 && base < -size;
}

hv_return_t hv_gic_config_set_distributor_base(hv_gic_config_t config,
                                               hv_ipa_t distributor_base_address)
{
    if (!hv_object_is(config, HV_OBJECT_GIC_CONFIG) ||
        !base_is_valid(distributor_base_address, GIC_DISTRIBUTOR_SIZE, GIC_DISTRIBUTOR_ALIGNMENT))
        return HV_BAD_ARGUMENT;
    config->distributor = distributor_base_address;
    return HV_SUCCESS;
}

hv_return_t hv_gic_config_set_redistributor_base(hv_gic_config_t config,
                                                 hv_ipa_t redistributor_base_address)
{
    if (!hv_object_is(config, HV_OBJECT_GIC_CONFIG) ||
        !base_is_valid(redistributor_base_address, GIC_REDISTRIBUTOR_REGION_SIZE,
                       GIC_REDISTRIBUTOR_ALIGNMENT))
        return HV_BAD_ARGUMENT;
    config->redistributor = redistributor_base_address;
    return HV_SUCCESS;
}

hv_return_t hv_gic_config_set_msi_region_base(hv_gic_config_t config,
                                              hv_ipa_t msi_region_base_address)
{
    if (!hv_object_is(config, HV_OBJECT_GIC_CONFIG) ||
        !base_is_valid(msi_region_base_address, GIC_MSI_REGION_SIZE, GIC_MSI_REGION_ALIGNMENT))
        return HV_BAD_ARGUMENT;
    config->msi = msi_region_base_address;
    config->msi_set = true;
    return HV_SUCCESS;
}

hv_return_t hv_gic_config_set_msi_interrupt_range(hv_gic_config_t config, uint32_t msi_intid_base,
                                                  uint32_t msi_intid_count)
{
    if (!hv_object_is(config, HV_OBJECT_GIC_CONFIG) || msi_intid_base < GIC_SPI_BASE ||
        msi_intid_count > GIC_SPI_COUNT ||
        msi_intid_base - GIC_SPI_BASE > GIC_SPI_COUNT - msi_intid_count)
        return HV_BAD_ARGUMENT;
    config->msi_intid_base = msi_intid_base;
    config->msi_intid_count = msi_intid_count;
    return HV_SUCCESS;
}

hv_return_t hvx_gic_config_set_its_base(hv_gic_config_t config, hv_ipa_t its_base_address)
{
    if (hv_apple())
        return HV_UNSUPPORTED;
    if (!hv_object_is(config, HV_OBJECT_GIC_CONFIG) ||
        !base_is_valid(its_base_address, GIC_ITS_SIZE, GIC_ITS_ALIGNMENT))
        return HV_BAD_ARGUMENT;
    config->its = its_base_address;
    config->its_set = true;
    return HV_SUCCESS;
}

static hv_return_t answer(size_t *out, size_t value)
{
    if (!hvx_since(15.0))
        return HV_UNSUPPORTED;
    if (!out)
        return HV_BAD_ARGUMENT;
    *out = value;
    return HV_SUCCESS;
}

hv_return_t hv_gic_get_distributor_size(size_t *distributor_size)
{
    return answer(distributor_size, GIC_DISTRIBUTOR_SIZE);
}

hv_return_t hv_gic_get_distributor_base_alignment(size_t *distributor_base_alignment)
{
    return answer(distributor_base_alignment, GIC_DISTRIBUTOR_ALIGNMENT);
}

hv_return_t hv_gic_get_redistributor_region_size(size_t *redistributor_region_size)
{
    return answer(redistributor_region_size, GIC_REDISTRIBUTOR_REGION_SIZE);
}

hv_return_t hv_gic_get_redistributor_size(size_t *redistributor_size)
{
    return answer(redistributor_size, GIC_REDISTRIBUTOR_SIZE);
}

hv_return_t hv_gic_get_redistributor_base_alignment(size_t *redistributor_base_alignment)
{
    return answer(redistributor_base_alignment, GIC_REDISTRIBUTOR_ALIGNMENT);
}

hv_return_t hv_gic_get_msi_region_size(size_t *msi_region_size)
{
    return answer(msi_region_size, GIC_MSI_REGION_SIZE);
}

hv_return_t hv_gic_get_msi_region_base_alignment(size_t *msi_region_base_alignment)
{
    return answer(msi_region_base_alignment, GIC_MSI_REGION_ALIGNMENT);
}

hv_return_t hv_gic_get_spi_interrupt_range(uint32_t *spi_intid_base, uint32_t *spi_intid_count)
{
    if (!hvx_since(15.0))
        return HV_UNSUPPORTED;
    if (!spi_intid_base || !spi_intid_count)
        return HV_BAD_ARGUMENT;
    *spi_intid_base = GIC_SPI_BASE;
    *spi_intid_count = GIC_SPI_COUNT;
    return HV_SUCCESS;
}

hv_return_t hv_gic_get_intid(hv_gic_intid_t interrupt, uint32_t *intid)
{
    if (!hvx_since(15.0))
        return HV_UNSUPPORTED;
    if (!intid)
        return HV_BAD_ARGUMENT;
    switch (interrupt) {
    case HV_GIC_INT_PERFORMANCE_MONITOR:
    case HV_GIC_INT_MAINTENANCE:
    case HV_GIC_INT_EL2_PHYSICAL_TIMER:
    case HV_GIC_INT_EL1_VIRTUAL_TIMER:
    case HV_GIC_INT_EL1_PHYSICAL_TIMER:
        *intid = interrupt;
        return HV_SUCCESS;
    default:
        return HV_BAD_ARGUMENT;
    }
}
