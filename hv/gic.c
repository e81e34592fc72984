/*
 * hv_gic_*: the interrupt controller of the VM, which the back end has (hv/backend.h); checks are
 * here. Without one in the VM, or in the back end, HV_UNSUPPORTED: a monitor falls back to its own
 * interrupt controller, as it must on macOS 14.
 *
 * hv_gic_set_spi() and its like come from any thread at any time, so they hold `slots_lock`, which
 * keeps VM and vCPUs where they are.
 */
#include "hv/gic.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "hv/process.h"

struct hv_gic_state_s {
    struct hv_object object;
    size_t size;
    uint8_t data[];
};

/* --- create --- */

struct area {
    hv_ipa_t base;
    uint64_t size;
};

static bool areas_overlap(const struct area *a, const struct area *b)
{
    return a->base < b->base + b->size && b->base < a->base + a->size;
}

/* All below the VM's address width, and apart from each other. */
static bool areas_are_valid(const struct area *areas, unsigned count)
{
    uint64_t limit = 1ull << hv_process.ipa_bits;

    for (unsigned i = 0; i < count; i++) {
        if (areas[i].size > limit || areas[i].base > limit - areas[i].size)
            return false;
        for (unsigned k = 0; k < i; k++)
            if (areas_overlap(&areas[i], &areas[k]))
                return false;
    }
    return true;
}

static bool any_vcpu_locked(void)
{
    for (unsigned i = 0; i < HV_MAX_VCPUS; i++)
        if (atomic_load_explicit(&hv_process.slot[i].owner, memory_order_relaxed))
            return true;
    return false;
}

static hv_return_t gic_create_locked(const struct hv_gic_config_s *config)
{
    struct hv_process *p = &hv_process;

    if (!p->vm)
        return HV_NO_DEVICE;
    if (!p->backend->gic)
        return HV_UNSUPPORTED;
    if (p->gic)
        return HV_EXISTS;
    if (any_vcpu_locked())
        return HV_BUSY;

    if (config->its_set && !p->backend->gic->message)
        return HV_UNSUPPORTED;

    /* Messages exist only if both their region and their interrupts were set. */
    bool msi = config->msi_set && config->msi_intid_count > 0;
    struct area areas[4] = {
        { config->distributor, GIC_DISTRIBUTOR_SIZE },
        { config->redistributor, GIC_REDISTRIBUTOR_REGION_SIZE },
    };
    unsigned count = 2;

    if (msi)
        areas[count++] = (struct area){ config->msi, GIC_MSI_REGION_SIZE };
    if (config->its_set)
        areas[count++] = (struct area){ config->its, GIC_ITS_SIZE };
    if (!areas_are_valid(areas, count))
        return HV_BAD_ARGUMENT;
    p->gic_desc = (struct hv_gic_desc){
        .distributor = config->distributor,
        .redistributor = config->redistributor,
        .msi = config->msi,
        .msi_intid_base = msi ? config->msi_intid_base : 0,
        .msi_intid_count = msi ? config->msi_intid_count : 0,
        .its_present = config->its_set,
        .its = config->its,
    };

    int err = p->backend->gic->create(p->vm, &p->gic_desc);

    if (!err)
        p->gic = p->backend->gic;
    return hv_return_of(err);
}

hv_return_t hv_gic_create(hv_gic_config_t gic_config)
{
    if (!hv_object_is(gic_config, HV_OBJECT_GIC_CONFIG))
        return HV_BAD_ARGUMENT;
    pthread_mutex_lock(&hv_process.vm_lock);
    pthread_mutex_lock(&hv_process.slots_lock);
    hv_return_t result = gic_create_locked(gic_config);
    pthread_mutex_unlock(&hv_process.slots_lock);
    pthread_mutex_unlock(&hv_process.vm_lock);
    return result;
}

/* --- inputs --- */

/* The GIC, with slots_lock held; NULL, without the lock, if the VM has none. */
static const struct hv_backend_gic *gic_lock(void)
{
    pthread_mutex_lock(&hv_process.slots_lock);
    if (hv_process.gic)
        return hv_process.gic;
    pthread_mutex_unlock(&hv_process.slots_lock);
    return NULL;
}

static void gic_unlock(void)
{
    pthread_mutex_unlock(&hv_process.slots_lock);
}

hv_return_t hv_gic_set_spi(uint32_t intid, bool level)
{
    const struct hv_backend_gic *gic = gic_lock();

    if (!gic)
        return HV_UNSUPPORTED;
    int err = gic->set_spi(hv_process.vm, intid, level);
    gic_unlock();
    return hv_return_of(err);
}

hv_return_t hv_gic_send_msi(hv_ipa_t address, uint32_t intid)
{
    const struct hv_backend_gic *gic = gic_lock();
    int err = -EINVAL;

    if (!gic)
        return HV_UNSUPPORTED;
    if (hv_process.gic_desc.msi_intid_count > 0 &&
        address == hv_process.gic_desc.msi + HV_GIC_REG_GICM_SET_SPI_NSR)
        err = gic->send_msi(hv_process.vm, intid);
    gic_unlock();
    return hv_return_of(err);
}

hv_return_t hvx_gic_send_message(uint32_t device, hv_ipa_t address, uint32_t data)
{
    const struct hv_gic_desc *at = &hv_process.gic_desc;
    const struct hv_backend_gic *gic = gic_lock();
    int err = -EINVAL;

    if (!gic)
        return HV_UNSUPPORTED;
    if (at->its_present && address == at->its + GIC_ITS_TRANSLATER) {
        gic->message(hv_process.vm, device, data);
        err = 0;
    } else if (at->msi_intid_count > 0 && address == at->msi + HV_GIC_REG_GICM_SET_SPI_NSR) {
        err = gic->send_msi(hv_process.vm, data);
    }
    gic_unlock();
    return hv_return_of(err);
}

/* --- registers of the VM --- */

struct range {
    uint32_t first, last, step;
};

static bool in_ranges(uint32_t value, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (value >= ranges[i].first && value <= ranges[i].last &&
            (value - ranges[i].first) % ranges[i].step == 0)
            return true;
    return false;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool distributor_has(hv_gic_distributor_reg_t reg)
{
    static const struct range ranges[] = {
        { HV_GIC_DISTRIBUTOR_REG_GICD_CTLR, HV_GIC_DISTRIBUTOR_REG_GICD_TYPER, 4 },
        { HV_GIC_DISTRIBUTOR_REG_GICD_IGROUPR0, HV_GIC_DISTRIBUTOR_REG_GICD_ICACTIVER31, 4 },
        { HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR0, HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR254, 4 },
        { HV_GIC_DISTRIBUTOR_REG_GICD_ICFGR0, HV_GIC_DISTRIBUTOR_REG_GICD_ICFGR63, 4 },
        { HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER32, HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER1019, 8 },
        { HV_GIC_DISTRIBUTOR_REG_GICD_PIDR2, HV_GIC_DISTRIBUTOR_REG_GICD_PIDR2, 4 },
    };

    return in_ranges(reg, ranges, COUNT(ranges));
}

static hv_return_t distributor_reg(hv_gic_distributor_reg_t reg, bool write, uint64_t *value)
{
    const struct hv_backend_gic *gic = gic_lock();
    int err = -EINVAL;

    if (!gic)
        return HV_UNSUPPORTED;
    if (value && distributor_has(reg))
        err = gic->distributor(hv_process.vm, reg, write, value);
    gic_unlock();
    return hv_return_of(err);
}

hv_return_t hv_gic_get_distributor_reg(hv_gic_distributor_reg_t reg, uint64_t *value)
{
    return distributor_reg(reg, false, value);
}

hv_return_t hv_gic_set_distributor_reg(hv_gic_distributor_reg_t reg, uint64_t value)
{
    return distributor_reg(reg, true, &value);
}

static hv_return_t msi_reg(hv_gic_msi_reg_t reg, bool write, uint64_t *value)
{
    const struct hv_backend_gic *gic = gic_lock();
    int err = -EINVAL;

    if (!gic)
        return HV_UNSUPPORTED;
    if (value && (reg == HV_GIC_REG_GICM_TYPER || reg == HV_GIC_REG_GICM_SET_SPI_NSR))
        err = gic->msi(hv_process.vm, reg, write, value);
    gic_unlock();
    return hv_return_of(err);
}

hv_return_t hv_gic_get_msi_reg(hv_gic_msi_reg_t reg, uint64_t *value)
{
    return msi_reg(reg, false, value);
}

hv_return_t hv_gic_set_msi_reg(hv_gic_msi_reg_t reg, uint64_t value)
{
    return msi_reg(reg, true, &value);
}

/* --- registers of a vCPU, for the thread that owns it --- */

/* A thread that owns a vCPU sees no change of `gic`: that is written only while there are none. */
static hv_return_t vcpu_slot(hv_vcpu_t vcpu, struct hv_slot **slot)
{
    *slot = hv_process_slot(vcpu);
    if (!*slot)
        return HV_BAD_ARGUMENT;
    return hv_process.gic ? HV_SUCCESS : HV_UNSUPPORTED;
}

/* By its handle, the lowest free number when it was created. */
hv_return_t hv_gic_get_redistributor_base(hv_vcpu_t vcpu, hv_ipa_t *redistributor_base_address)
{
    hv_return_t result = HV_BAD_ARGUMENT;

    if (!gic_lock())
        return HV_UNSUPPORTED;
    if (redistributor_base_address && vcpu < HV_MAX_VCPUS &&
        atomic_load_explicit(&hv_process.slot[vcpu].owner, memory_order_relaxed)) {
        *redistributor_base_address =
            hv_process.gic_desc.redistributor + vcpu * GIC_REDISTRIBUTOR_SIZE;
        result = HV_SUCCESS;
    }
    gic_unlock();
    return result;
}

static bool redistributor_has(hv_gic_redistributor_reg_t reg)
{
    static const struct range ranges[] = {
        { HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER, HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER, 4 },
        { HV_GIC_REDISTRIBUTOR_REG_GICR_PIDR2, HV_GIC_REDISTRIBUTOR_REG_GICR_PIDR2, 4 },
        { HV_GIC_REDISTRIBUTOR_REG_GICR_IGROUPR0, HV_GIC_REDISTRIBUTOR_REG_GICR_ICACTIVER0, 0x80 },
        { HV_GIC_REDISTRIBUTOR_REG_GICR_IPRIORITYR0, HV_GIC_REDISTRIBUTOR_REG_GICR_IPRIORITYR7, 4 },
        { HV_GIC_REDISTRIBUTOR_REG_GICR_ICFGR0, HV_GIC_REDISTRIBUTOR_REG_GICR_ICFGR1, 4 },
    };

    return in_ranges(reg, ranges, COUNT(ranges));
}

static hv_return_t redistributor_reg(hv_vcpu_t vcpu, hv_gic_redistributor_reg_t reg, bool write,
                                     uint64_t *value)
{
    struct hv_slot *s;
    hv_return_t result = vcpu_slot(vcpu, &s);

    if (result != HV_SUCCESS)
        return result;
    if (!value || !redistributor_has(reg))
        return HV_BAD_ARGUMENT;
    return hv_return_of(hv_process.gic->redistributor(s->vcpu, reg, write, value));
}

hv_return_t hv_gic_get_redistributor_reg(hv_vcpu_t vcpu, hv_gic_redistributor_reg_t reg,
                                         uint64_t *value)
{
    return redistributor_reg(vcpu, reg, false, value);
}

hv_return_t hv_gic_set_redistributor_reg(hv_vcpu_t vcpu, hv_gic_redistributor_reg_t reg,
                                         uint64_t value)
{
    return redistributor_reg(vcpu, reg, true, &value);
}

/* 0, -EINVAL for what is no enumerant, -ENOTSUP for what needs EL2. The running priority is what
 * the active priorities make it. */
static int icc_check(hv_gic_icc_reg_t reg, bool write)
{
    switch (reg) {
    case HV_GIC_ICC_REG_PMR_EL1:
    case HV_GIC_ICC_REG_BPR0_EL1:
    case HV_GIC_ICC_REG_AP0R0_EL1:
    case HV_GIC_ICC_REG_AP1R0_EL1:
    case HV_GIC_ICC_REG_BPR1_EL1:
    case HV_GIC_ICC_REG_CTLR_EL1:
    case HV_GIC_ICC_REG_SRE_EL1:
    case HV_GIC_ICC_REG_IGRPEN0_EL1:
    case HV_GIC_ICC_REG_IGRPEN1_EL1:
        return 0;
    case HV_GIC_ICC_REG_RPR_EL1:
        return write ? -EINVAL : 0;
    case HV_GIC_ICC_REG_SRE_EL2:
        return -ENOTSUP;
    default:
        return -EINVAL;
    }
}

static hv_return_t icc_reg(hv_vcpu_t vcpu, hv_gic_icc_reg_t reg, bool write, uint64_t *value)
{
    struct hv_slot *s;
    hv_return_t result = vcpu_slot(vcpu, &s);

    if (result != HV_SUCCESS)
        return result;
    int err = value ? icc_check(reg, write) : -EINVAL;
    if (!err)
        err = hv_process.gic->icc(s->vcpu, reg, write, value);
    return hv_return_of(err);
}

hv_return_t hv_gic_get_icc_reg(hv_vcpu_t vcpu, hv_gic_icc_reg_t reg, uint64_t *value)
{
    return icc_reg(vcpu, reg, false, value);
}

hv_return_t hv_gic_set_icc_reg(hv_vcpu_t vcpu, hv_gic_icc_reg_t reg, uint64_t value)
{
    return icc_reg(vcpu, reg, true, &value);
}

/* These need EL2, which no VM has. */

hv_return_t hv_gic_get_ich_reg(hv_vcpu_t vcpu, hv_gic_ich_reg_t reg, uint64_t *value)
{
    (void)vcpu, (void)reg, (void)value;
    return HV_UNSUPPORTED;
}

hv_return_t hv_gic_set_ich_reg(hv_vcpu_t vcpu, hv_gic_ich_reg_t reg, uint64_t value)
{
    (void)vcpu, (void)reg, (void)value;
    return HV_UNSUPPORTED;
}

hv_return_t hv_gic_get_icv_reg(hv_vcpu_t vcpu, hv_gic_icv_reg_t reg, uint64_t *value)
{
    (void)vcpu, (void)reg, (void)value;
    return HV_UNSUPPORTED;
}

hv_return_t hv_gic_set_icv_reg(hv_vcpu_t vcpu, hv_gic_icv_reg_t reg, uint64_t value)
{
    (void)vcpu, (void)reg, (void)value;
    return HV_UNSUPPORTED;
}

/* --- all of it --- */

hv_return_t hv_gic_reset(void)
{
    const struct hv_backend_gic *gic = gic_lock();

    if (!gic)
        return HV_UNSUPPORTED;
    gic->reset(hv_process.vm);
    gic_unlock();
    return HV_SUCCESS;
}

hv_return_t hv_gic_set_state(const void *gic_state_data, size_t gic_state_size)
{
    const struct hv_backend_gic *gic = gic_lock();
    int err = -EINVAL;

    if (!gic)
        return HV_UNSUPPORTED;
    if (gic_state_data)
        err = gic->state_restore(hv_process.vm, gic_state_data, gic_state_size);
    gic_unlock();
    return hv_return_of(err);
}

hv_gic_state_t hv_gic_state_create(void)
{
    const struct hv_backend_gic *gic = gic_lock();

    if (!gic)
        return NULL;
    size_t size = gic->state_size(hv_process.vm);
    struct hv_gic_state_s *state = hv_object_create(HV_OBJECT_GIC_STATE, sizeof *state + size);
    if (state) {
        state->size = size;
        gic->state_save(hv_process.vm, state->data);
    }
    gic_unlock();
    return state;
}

hv_return_t hv_gic_state_get_size(hv_gic_state_t state, size_t *gic_state_size)
{
    if (!hv_object_is(state, HV_OBJECT_GIC_STATE) || !gic_state_size)
        return HV_BAD_ARGUMENT;
    *gic_state_size = state->size;
    return HV_SUCCESS;
}

hv_return_t hv_gic_state_get_data(hv_gic_state_t state, void *gic_state_data)
{
    if (!hv_object_is(state, HV_OBJECT_GIC_STATE) || !gic_state_data)
        return HV_BAD_ARGUMENT;
    memcpy(gic_state_data, state->data, state->size);
    return HV_SUCCESS;
}
