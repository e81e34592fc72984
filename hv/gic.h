/* Apple's GIC as hv/gic_config.c and hv/gic.c know it. */
#ifndef HV_GIC_H
#define HV_GIC_H

#include <Hypervisor/Hypervisor.h>

#include "hv/object.h"

#define GIC_DISTRIBUTOR_SIZE          0x10000u
#define GIC_DISTRIBUTOR_ALIGNMENT     0x10000u
#define GIC_REDISTRIBUTOR_SIZE        0x20000u /* two frames of 64 KiB */
#define GIC_REDISTRIBUTOR_REGION_SIZE (256u * GIC_REDISTRIBUTOR_SIZE)
#define GIC_REDISTRIBUTOR_ALIGNMENT   0x10000u
#define GIC_MSI_REGION_SIZE           0x10000u
#define GIC_MSI_REGION_ALIGNMENT      0x1000u
#define GIC_ITS_SIZE                  0x20000u
#define GIC_ITS_ALIGNMENT             0x10000u
#define GIC_ITS_TRANSLATER            0x10040u /* GITS_TRANSLATER */
#define GIC_SPI_BASE                  32u
#define GIC_SPI_COUNT                 988u

struct hv_gic_config_s {
    struct hv_object object;
    hv_ipa_t distributor, redistributor, msi;
    bool msi_set;
    hv_ipa_t its;
    bool its_set;
    uint32_t msi_intid_base, msi_intid_count;
};

#endif
