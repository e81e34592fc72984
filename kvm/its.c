/*
 * The ITS: the kernel's (Documentation/virt/kvm/devices/arm-vgic-its.rst), asked for by
 * hvx_gic_config_set_its_base(). A device's message is KVM_SIGNAL_MSI with its DeviceID.
 *
 * The kernel keeps what the guest's commands mapped, and which LPIs are pending, in structures of
 * its own; a state of the GIC has the registers, and the kernel writes the rest to where the guest
 * gave it memory: the tables, and each redistributor's pending table. So memory belongs to a state,
 * and is to be copied after it was saved and to be there before it is restored.
 */
#include <errno.h>

#include "kvm/kvm.h"

#define GITS_CTLR       0x0000u
#define GITS_IIDR       0x0004u
#define GITS_CBASER     0x0080u
#define GITS_CWRITER    0x0088u
#define GITS_CREADR     0x0090u
#define GITS_BASER      0x0100u
#define GITS_TRANSLATER 0x10040u

/* In the order in which the kernel wants them back; the tables come before the last. */
static const uint32_t registers[KVM_ITS_REGISTERS] = {
    GITS_IIDR,    GITS_CBASER,    GITS_CREADR,
    GITS_CWRITER, GITS_BASER + 0, GITS_BASER + 8, /* devices, collections: all that KVM has */
    GITS_CTLR,
};

bool kvm_its_exists(struct kvm_vm *vm)
{
    struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_ITS,
                                        .flags = KVM_CREATE_DEVICE_TEST };

    return kvm_call(vm->fd, KVM_CREATE_DEVICE, &device) == 0;
}

int kvm_its_create(struct kvm_vm *vm, uint64_t base)
{
    struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_ITS };
    int err = kvm_call(vm->fd, KVM_CREATE_DEVICE, &device);

    if (err < 0)
        return err;
    vm->gic.its_fd = (int)device.fd;
    return kvm_gic_attr(vm->gic.its_fd, true, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_ITS_ADDR_TYPE,
                        &base);
}

void kvm_its_message(struct hv_backend_vm *vm, uint32_t device, uint32_t event)
{
    struct kvm_vm *m = kvm_vm_of(vm);
    uint64_t address = m->gic.desc.its + GITS_TRANSLATER;
    const struct kvm_msi msi = {
        .address_lo = (uint32_t)address,
        .address_hi = (uint32_t)(address >> 32),
        .data = event,
        .flags = KVM_MSI_VALID_DEVID,
        .devid = device,
    };

    (void)kvm_call(m->fd, KVM_SIGNAL_MSI, &msi); /* fails where the guest mapped nothing */
}

static int its_control(struct kvm_vm *vm, uint64_t what)
{
    return kvm_gic_attr(vm->gic.its_fd, true, KVM_DEV_ARM_VGIC_GRP_CTRL, what, NULL);
}

void kvm_its_reset(struct kvm_vm *vm)
{
    (void)its_control(vm, KVM_DEV_ARM_ITS_CTRL_RESET);
}

/* Tables that the guest put nowhere have nothing to keep. */
void kvm_its_save(struct kvm_vm *vm, uint64_t values[KVM_ITS_REGISTERS])
{
    (void)its_control(vm, KVM_DEV_ARM_ITS_SAVE_TABLES);
    (void)kvm_gic_attr(vm->gic.fd, true, KVM_DEV_ARM_VGIC_GRP_CTRL,
                       KVM_DEV_ARM_VGIC_SAVE_PENDING_TABLES, NULL);
    for (unsigned i = 0; i < KVM_ITS_REGISTERS; i++) {
        values[i] = 0;
        (void)kvm_gic_attr(vm->gic.its_fd, false, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, registers[i],
                           &values[i]);
    }
}

int kvm_its_restore(struct kvm_vm *vm, const uint64_t values[KVM_ITS_REGISTERS])
{
    int err = 0;

    for (unsigned i = 0; !err && i < KVM_ITS_REGISTERS; i++) {
        uint64_t value = values[i];

        if (registers[i] == GITS_CTLR)
            err = its_control(vm, KVM_DEV_ARM_ITS_RESTORE_TABLES);
        if (!err)
            err = kvm_gic_attr(vm->gic.its_fd, true, KVM_DEV_ARM_VGIC_GRP_ITS_REGS, registers[i],
                               &value);
    }
    if (err)
        kvm_its_reset(vm);
    return err ? -EINVAL : 0;
}
