/*
 * hv_gic_* on the kernel's GICv3 (Documentation/virt/kvm/devices/arm-vgic-v3.rst).
 *
 * KVM wants every vCPU to be there before its GIC is initialised; the API lets a monitor create
 * them at any time. So the GIC starts with the first run of a vCPU, or the first access to a
 * register while there is one, and from then on no further vCPU can be had. Levels that come
 * earlier are kept until then.
 *
 * Registers can be read and written only while no vCPU is in the kernel: the VM is paused for it.
 * The frame for messages (GICv2m) is not KVM's; its few registers are here.
 */
#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/bits.h"
#include "kvm/kvm.h"

#define GIC_SPI_FIRST 32u

#define GICM_SIZE 0x1000u

#define GICD_IROUTER   0x6000u
#define GICR_CTLR      0x0000u
#define GICR_TYPER     0x0008u
#define GICR_PROPBASER 0x0070u
#define GICR_SGI       0x10000u

/* Of both frames, from their start. */
#define GIC_ISPENDR    0x200u
#define GIC_ICPENDR    0x280u
#define GIC_PENDR_SIZE 0x80u

#define ICC_CTLR_SETTABLE 3u /* CBPR, EOImode; the rest says what there is */
#define ICC_RPR_IDLE      0xffu

static int attr_call(int fd, bool write, uint32_t group, uint64_t attr, void *value)
{
    const struct kvm_device_attr a = { .group = group, .attr = attr, .addr = (uintptr_t)value };

    return kvm_call(fd, write ? KVM_SET_DEVICE_ATTR : KVM_GET_DEVICE_ATTR, &a);
}

/* A vCPU's thread may be in a call on its registers for a moment: -EBUSY. */
int kvm_gic_attr(int fd, bool write, uint32_t group, uint64_t attr, void *value)
{
    int err;

    do {
        err = attr_call(fd, write, group, attr, value);
        if (err == -EBUSY)
            sched_yield();
    } while (err == -EBUSY);
    return err;
}

static int attr_access(struct kvm_vm *vm, bool write, uint32_t group, uint64_t attr, void *value)
{
    return kvm_gic_attr(vm->gic.fd, write, group, attr, value);
}

/* --- create and start --- */

static int gic_create(struct hv_backend_vm *vm, const struct hv_gic_desc *desc)
{
    struct kvm_vm *m = kvm_vm_of(vm);
    struct kvm_create_device device = { .type = KVM_DEV_TYPE_ARM_VGIC_V3 };
    uint32_t intids = KVM_MAX_INTID;
    uint64_t distributor = desc->distributor, redistributor = desc->redistributor;

    if (desc->its_present && !kvm_its_exists(m))
        return -ENOTSUP;
    if (kvm_call(m->fd, KVM_CREATE_DEVICE, &device) < 0)
        return -ENOTSUP; /* the host has a GICv2, say */
    m->gic.fd = (int)device.fd;
    m->gic.desc = *desc;
    int err = attr_access(m, true, KVM_DEV_ARM_VGIC_GRP_NR_IRQS, 0, &intids);
    if (!err)
        err = attr_access(m, true, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_DIST,
                          &distributor);
    if (!err)
        err = attr_access(m, true, KVM_DEV_ARM_VGIC_GRP_ADDR, KVM_VGIC_V3_ADDR_TYPE_REDIST,
                          &redistributor);
    if (!err && desc->its_present)
        err = kvm_its_create(m, desc->its);
    return err;
}

static int spi_line(struct kvm_vm *vm, uint32_t intid, bool level)
{
    const struct kvm_irq_level line = {
        .irq = KVM_ARM_IRQ_TYPE_SPI << KVM_ARM_IRQ_TYPE_SHIFT | intid,
        .level = level,
    };

    return kvm_call(vm->fd, KVM_IRQ_LINE, &line);
}

int kvm_gic_start(struct kvm_vm *vm)
{
    if (atomic_load(&vm->gic.ready))
        return 0;
    int err = attr_access(vm, true, KVM_DEV_ARM_VGIC_GRP_CTRL, KVM_DEV_ARM_VGIC_CTRL_INIT, NULL);
    if (err)
        return err;
    atomic_store(&vm->gic.ready, true); /* from now on set_spi() does it itself */
    for (uint32_t i = GIC_SPI_FIRST; i < KVM_MAX_INTID; i++)
        if (atomic_load(&vm->gic.level[i]))
            (void)spi_line(vm, i, true);
    return 0;
}

/* For an access to a register: -EBUSY before there is a vCPU. */
static int start_for_access(struct kvm_vm *vm)
{
    return atomic_load(&vm->vcpu[0]) ? kvm_gic_start(vm) : -EBUSY;
}

/* --- inputs --- */

static bool is_message(const struct kvm_vm *vm, uint32_t intid)
{
    return intid - vm->gic.desc.msi_intid_base < vm->gic.desc.msi_intid_count;
}

static int gic_set_spi(struct hv_backend_vm *vm, uint32_t intid, bool level)
{
    struct kvm_vm *m = kvm_vm_of(vm);

    if (intid < GIC_SPI_FIRST || intid >= KVM_MAX_INTID || is_message(m, intid))
        return -EINVAL;
    atomic_store(&m->gic.level[intid], level);
    return atomic_load(&m->gic.ready) ? spi_line(m, intid, level) : 0;
}

/* Messages are edges. */
static int gic_send_msi(struct hv_backend_vm *vm, uint32_t intid)
{
    struct kvm_vm *m = kvm_vm_of(vm);

    if (!is_message(m, intid))
        return -EINVAL;
    if (!atomic_load(&m->gic.ready))
        return 0; /* no guest has enabled it */
    int err = spi_line(m, intid, true);
    return err ? err : spi_line(m, intid, false);
}

static int gic_msi(struct hv_backend_vm *vm, uint16_t offset, bool write, uint64_t *value)
{
    const struct hv_gic_desc *d = &kvm_vm_of(vm)->gic.desc;

    if (write) {
        if (offset == HV_GIC_REG_GICM_SET_SPI_NSR)
            (void)gic_send_msi(vm, (uint32_t)*value & 0x3ff);
        return 0;
    }
    *value = offset == HV_GIC_REG_GICM_TYPER ? d->msi_intid_base << 16 | d->msi_intid_count : 0;
    return 0;
}

bool kvm_gic_frame_access(struct kvm_vm *vm, struct kvm_run *run)
{
    uint64_t offset = run->mmio.phys_addr - vm->gic.desc.msi, value = 0;

    if (vm->gic.fd < 0 || vm->gic.desc.msi_intid_count == 0 || offset >= GICM_SIZE)
        return false;
    if (run->mmio.is_write)
        memcpy(&value, run->mmio.data, run->mmio.len);
    (void)gic_msi((struct hv_backend_vm *)(void *)vm, (uint16_t)offset, run->mmio.is_write, &value);
    if (!run->mmio.is_write)
        memcpy(run->mmio.data, &value, run->mmio.len);
    return true;
}

/* --- registers --- */

static int access_32(struct kvm_vm *vm, uint32_t group, uint64_t attr, bool write, uint64_t *value)
{
    uint32_t word = (uint32_t)*value;
    int err = attr_access(vm, write, group, attr, &word);

    if (!err && !write)
        *value = word;
    return err;
}

/* Registers of 64 bits are two words. */
static int access_64(struct kvm_vm *vm, uint32_t group, uint64_t attr, bool write, uint64_t *value)
{
    uint64_t low = *value & UINT32_MAX, high = *value >> 32;
    int err = access_32(vm, group, attr, write, &low);

    if (!err)
        err = access_32(vm, group, attr + 4, write, &high);
    if (!err && !write)
        *value = high << 32 | low;
    return err;
}

/* To KVM the register of pending interrupts is what its latches become, and that which clears them
 * does not exist; to the API they set and clear. */
static int write_pending(struct kvm_vm *vm, uint32_t group, uint64_t attr, bool clear,
                         uint64_t value)
{
    uint64_t set = clear ? attr - (GIC_ICPENDR - GIC_ISPENDR) : attr, is = 0;
    int err = access_32(vm, group, set, false, &is);

    if (err)
        return err;
    is = clear ? is & ~value : is | value;
    return access_32(vm, group, set, true, &is);
}

static int access_frame(struct kvm_vm *vm, uint32_t group, uint64_t attr, uint32_t offset,
                        bool write, uint64_t *value)
{
    if (write && offset - GIC_ISPENDR < 2 * GIC_PENDR_SIZE)
        return write_pending(vm, group, attr, offset >= GIC_ICPENDR, *value);
    return access_32(vm, group, attr, write, value);
}

static int gic_distributor(struct hv_backend_vm *vm, uint16_t offset, bool write, uint64_t *value)
{
    struct kvm_vm *m = kvm_vm_of(vm);
    int err = start_for_access(m);

    if (err)
        return err;
    kvm_vm_pause(m);
    err = offset >= GICD_IROUTER && offset < 0x8000
              ? access_64(m, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, write, value)
              : access_frame(m, KVM_DEV_ARM_VGIC_GRP_DIST_REGS, offset, offset, write, value);
    kvm_vm_resume(m);
    return err;
}

/* The kernel names a vCPU by its affinity: Aff3 to Aff0 as 32 bits, in the upper half. */
static uint64_t affinity_attr(const struct kvm_vcpu *v)
{
    uint64_t mpidr = kvm_sys(v, HV_SYS_REG_MPIDR_EL1);

    return (bits(mpidr, 39, 32) << 24 | bits(mpidr, 23, 0)) << KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT;
}

static int gic_redistributor(struct hv_backend_vcpu *vcpu, uint32_t offset, bool write,
                             uint64_t *value)
{
    struct kvm_vcpu *v = kvm_vcpu_of(vcpu);
    int err = start_for_access(v->vm);

    if (err)
        return err;

    uint64_t attr = affinity_attr(v) | offset;

    kvm_vm_pause(v->vm);
    err = offset == GICR_TYPER
              ? access_64(v->vm, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, attr, write, value)
              : access_frame(v->vm, KVM_DEV_ARM_VGIC_GRP_REDIST_REGS, attr,
                             offset >= GICR_SGI ? offset - GICR_SGI : 0, write, value);
    kvm_vm_resume(v->vm);
    return err;
}

static int icc_access(struct kvm_vcpu *v, uint16_t reg, bool write, uint64_t *value)
{
    return attr_access(v->vm, write, KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS, affinity_attr(v) | reg,
                       value);
}

/* The highest active priority; five bits of them are implemented. KVM does not have the register.
 */
static int running_priority(struct kvm_vcpu *v, uint64_t *value)
{
    uint64_t group0 = 0, group1 = 0;
    int err = icc_access(v, HV_GIC_ICC_REG_AP0R0_EL1, false, &group0);

    if (!err)
        err = icc_access(v, HV_GIC_ICC_REG_AP1R0_EL1, false, &group1);
    if (!err)
        *value = group0 | group1 ? (uint64_t)__builtin_ctzll(group0 | group1) << 3 : ICC_RPR_IDLE;
    return err;
}

/* KVM refuses a CTLR that claims other than the host's, and an SRE that is off. */
static int icc_write(struct kvm_vcpu *v, uint16_t reg, uint64_t value)
{
    uint64_t is = 0;

    if (reg == HV_GIC_ICC_REG_SRE_EL1)
        return 0;
    if (reg == HV_GIC_ICC_REG_CTLR_EL1) {
        int err = icc_access(v, reg, false, &is);

        if (err)
            return err;
        value = (is & ~(uint64_t)ICC_CTLR_SETTABLE) | (value & ICC_CTLR_SETTABLE);
    }
    return icc_access(v, reg, true, &value);
}

static int gic_icc(struct hv_backend_vcpu *vcpu, uint16_t reg, bool write, uint64_t *value)
{
    struct kvm_vcpu *v = kvm_vcpu_of(vcpu);
    int err = start_for_access(v->vm);

    if (err)
        return err;
    kvm_vm_pause(v->vm);
    if (write)
        err = icc_write(v, reg, *value);
    else if (reg == HV_GIC_ICC_REG_RPR_EL1)
        err = running_priority(v, value);
    else
        err = icc_access(v, reg, false, value);
    kvm_vm_resume(v->vm);
    return err;
}

/* --- reset and state --- */

struct bank {
    uint32_t group;
    uint32_t first;
    uint32_t count; /* words */
    uint32_t step;
    uint32_t clear; /* set and clear are two registers: the one that clears; else 0 */
};

#define DIST   KVM_DEV_ARM_VGIC_GRP_DIST_REGS
#define REDIST KVM_DEV_ARM_VGIC_GRP_REDIST_REGS
#define LEVEL  KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO

/* In the order in which they are written: what becomes pending while CTLR says off, KVM does not
 * forward later either. */
static const struct bank distributor_banks[] = {
    { DIST, 0x0000, 1, 4, 0 },       /* CTLR */
    { DIST, 0x0084, 30, 4, 0 },      /* IGROUPR */
    { DIST, 0x0104, 30, 4, 0x0184 }, /* ISENABLER */
    { DIST, 0x0420, 240, 4, 0 },     /* IPRIORITYR */
    { DIST, 0x0c08, 60, 4, 0 },      /* ICFGR */
    { DIST, 0x6100, 2 * 960, 4, 0 }, /* IROUTER */
    { DIST, 0x0204, 30, 4, 0 },      /* ISPENDR */
    { DIST, 0x0304, 30, 4, 0x0384 }, /* ISACTIVER */
    { LEVEL, 32, 30, 32, 0 },        /* */
};
static const struct bank redistributor_banks[] = {
    { REDIST, 0x10080, 1, 4, 0 }, { REDIST, 0x10100, 1, 4, 0x10180 },
    { REDIST, 0x10400, 8, 4, 0 }, { REDIST, 0x10c04, 1, 4, 0 },
    { REDIST, 0x10200, 1, 4, 0 }, { REDIST, 0x10300, 1, 4, 0x10380 },
    { LEVEL, 0, 1, 32, 0 },
};
/* With an ITS: PROPBASER and PENDBASER, while CTLR says off; CTLR. */
static const struct bank lpi_banks[] = {
    { REDIST, GICR_PROPBASER, 4, 4, 0 },
    { REDIST, GICR_CTLR, 1, 4, 0 },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Behind it the ITS, if there is one, and the banks. */
struct state_header {
    uint32_t magic, version, vcpus, has_its;
    uint64_t its[KVM_ITS_REGISTERS];
};

#define STATE_MAGIC   0x6b676963u /* "cigk" */
#define STATE_VERSION 2u

static uint32_t words_in(const struct bank *banks, size_t count)
{
    uint32_t n = 0;

    for (size_t i = 0; i < count; i++)
        n += banks[i].count;
    return n;
}

/* vCPUs of a GIC that has started, 0 before. */
static uint32_t gic_vcpus(struct kvm_vm *vm)
{
    uint32_t n = 0;

    if (!atomic_load(&vm->gic.ready))
        return 0;
    while (n < KVM_MAX_VCPUS_HERE && atomic_load(&vm->vcpu[n]))
        n++;
    return n;
}

static uint32_t state_words(const struct kvm_vm *vm, uint32_t vcpus)
{
    if (vcpus == 0)
        return 0;
    return words_in(distributor_banks, COUNT(distributor_banks)) +
           vcpus * (words_in(redistributor_banks, COUNT(redistributor_banks)) +
                    (vm->gic.desc.its_present ? words_in(lpi_banks, COUNT(lpi_banks)) : 0));
}

static uint64_t bank_attr(const struct bank *b, uint32_t offset)
{
    return offset | (b->group == LEVEL ? (uint64_t)VGIC_LEVEL_INFO_LINE_LEVEL
                                             << KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT
                                       : 0);
}

/* Read the banks to `words`, or write them from there; NULL: zeros. The next word. */
static uint32_t *access_banks(struct kvm_vm *vm, const struct bank *banks, size_t count,
                              uint64_t affinity, bool write, uint32_t *words)
{
    for (size_t i = 0; i < count; i++)
        for (uint32_t n = 0; n < banks[i].count; n++) {
            const struct bank *b = &banks[i];
            uint32_t all = UINT32_MAX, zero = 0, *word = words ? words : &zero;

            if (write && b->clear)
                (void)attr_access(vm, true, b->group, affinity | (b->clear + n * b->step), &all);
            (void)attr_access(vm, write, b->group, affinity | bank_attr(b, b->first + n * b->step),
                              word);
            words = words ? words + 1 : NULL;
        }
    return words;
}

/* LPIs off: with them on, the kernel keeps the tables where they are. */
static void stop_lpis(struct kvm_vm *vm, uint32_t vcpus)
{
    uint32_t off = 0;

    for (uint32_t n = 0; n < vcpus; n++)
        (void)attr_access(vm, true, REDIST, affinity_attr(atomic_load(&vm->vcpu[n])) | GICR_CTLR,
                          &off);
}

/* Of a paused VM. */
static void access_all(struct kvm_vm *vm, bool write, uint32_t *words)
{
    bool lpis = vm->gic.desc.its_present;
    uint32_t vcpus = gic_vcpus(vm);

    if (write && lpis)
        stop_lpis(vm, vcpus);
    words = access_banks(vm, distributor_banks, COUNT(distributor_banks), 0, write, words);
    for (uint32_t n = 0; n < vcpus; n++) {
        uint64_t affinity = affinity_attr(atomic_load(&vm->vcpu[n]));

        words = access_banks(vm, redistributor_banks, COUNT(redistributor_banks), affinity, write,
                             words);
        if (lpis)
            words = access_banks(vm, lpi_banks, COUNT(lpi_banks), affinity, write, words);
    }
}

static void gic_reset(struct hv_backend_vm *vm)
{
    struct kvm_vm *m = kvm_vm_of(vm);

    for (uint32_t i = 0; i < KVM_MAX_INTID; i++)
        atomic_store(&m->gic.level[i], 0);
    if (!atomic_load(&m->gic.ready))
        return;
    kvm_vm_pause(m);
    if (m->gic.desc.its_present)
        kvm_its_reset(m);
    access_all(m, true, NULL);
    kvm_vm_resume(m);
}

static size_t gic_state_size(struct hv_backend_vm *vm)
{
    return sizeof(struct state_header) +
           4 * (size_t)state_words(kvm_vm_of(vm), gic_vcpus(kvm_vm_of(vm)));
}

static void gic_state_save(struct hv_backend_vm *vm, void *data)
{
    struct kvm_vm *m = kvm_vm_of(vm);
    struct state_header *h = data;

    *h = (struct state_header){
        STATE_MAGIC, STATE_VERSION, gic_vcpus(m), m->gic.desc.its_present, { 0 }
    };
    if (h->vcpus == 0)
        return;
    kvm_vm_pause(m);
    if (h->has_its)
        kvm_its_save(m, h->its);
    access_all(m, false, (uint32_t *)(h + 1));
    kvm_vm_resume(m);
}

/* The redistributors' tables have to be known when the ITS maps its LPIs. */
static int restore_all(struct kvm_vm *vm, const struct state_header *h, uint32_t *words)
{
    int err = 0;

    kvm_vm_pause(vm);
    if (h->has_its)
        kvm_its_reset(vm);
    access_all(vm, true, words);
    if (h->has_its)
        err = kvm_its_restore(vm, h->its);
    kvm_vm_resume(vm);
    return err;
}

static int gic_state_restore(struct hv_backend_vm *vm, const void *data, size_t size)
{
    struct kvm_vm *m = kvm_vm_of(vm);
    struct state_header h;

    if (size < sizeof h)
        return -EINVAL;
    memcpy(&h, data, sizeof h);
    if (h.magic != STATE_MAGIC || h.version != STATE_VERSION || h.vcpus > KVM_MAX_VCPUS_HERE ||
        h.has_its != m->gic.desc.its_present ||
        size != sizeof h + 4 * (size_t)state_words(m, h.vcpus))
        return -EINVAL;
    if (h.vcpus == 0) {
        gic_reset(vm);
        return 0;
    }
    if (start_for_access(m) < 0 || gic_vcpus(m) != h.vcpus)
        return -EINVAL;

    size_t length = size - sizeof h;
    uint32_t *words = malloc(length);

    if (!words)
        return -ENOMEM;
    memcpy(words, (const uint8_t *)data + sizeof h, length);
    int err = restore_all(m, &h, words);
    free(words);
    return err;
}

const struct hv_backend_gic kvm_gic_backend = {
    .create = gic_create,
    .set_spi = gic_set_spi,
    .send_msi = gic_send_msi,
    .message = kvm_its_message,
    .distributor = gic_distributor,
    .msi = gic_msi,
    .redistributor = gic_redistributor,
    .icc = gic_icc,
    .reset = gic_reset,
    .state_size = gic_state_size,
    .state_save = gic_state_save,
    .state_restore = gic_state_restore,
};
