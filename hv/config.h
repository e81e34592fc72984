/* Configuration objects as hv_vm_create() sees them. */
#ifndef HV_CONFIG_H
#define HV_CONFIG_H

#include <Hypervisor/Hypervisor.h>

#include "hv/object.h"

struct hv_vm_config_s {
    struct hv_object object;
    uint32_t ipa_bits; /* 0: the default */
    bool el2;
    hv_ipa_granule_t granule;
};

struct hv_vcpu_config_s {
    struct hv_object object;
};

#endif
