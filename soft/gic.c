/*
 * The GICv3 of the VM: where its registers are, its inputs from the timers and the PMU, its outputs
 * to the vCPUs (reference: Apple's hv_gic_*). A vCPU that runs sees `gic_lines` when its branch
 * budget ends; one that waits (soft/wait.c) is woken.
 */
#include "soft/gic.h"

#include <errno.h>
#include <stdlib.h>

#include "base/gmem.h"
#include "gic/gicv3.h"
#include "hv/backend.h"
#include "soft/mmu/abort.h"
#include "soft/vcpu.h"

enum { CNT_CTL_ENABLE = 1, CNT_CTL_IMASK = 2, CNT_CTL_ISTATUS = 4 };

_Static_assert(SOFT_MAX_VCPUS <= GICV3_MAX_CPUS, "every vCPU has a redistributor");

struct soft_gic {
    struct gicv3 *model;
    struct hv_gic_desc at;
    _Atomic uint64_t present; /* bit n: vCPU n has its redistributor */
};

/* --- outputs --- */

static void gic_signal(void *ctx, unsigned cpu, bool irq, bool fiq)
{
    const struct soft_vm *vm = ctx;
    struct soft_vcpu *v = vm->vcpu[cpu];

    atomic_store(&v->gic_lines,
                 (uint8_t)(irq << HV_INTERRUPT_TYPE_IRQ | fiq << HV_INTERRUPT_TYPE_FIQ));
    if (irq || fiq)
        soft_kick(v, ATTENTION_LOOK);
}

/* --- guest memory, for the ITS --- */

/*
 * The memory at `address`, if it is all there and allows what `flag` says. The caller holds the
 * VM's lock: while it does, no map that it sees is freed, nor the memory behind it given back
 * (map_publish()).
 */
static bool gic_guest_range(const struct soft_vm *vm, uint64_t address, size_t size, uint64_t flag,
                            struct gmem *m)
{
    const struct soft_region *r = soft_map_find_slow(atomic_load(&vm->map), address);

    *m = (struct gmem){ .touch = r ? r->touch : NULL, .ctx = r ? r->ctx : NULL };
    return r && (r->flags & flag) && gmem_add(m, r->ipa, r->size, r->host) == 0 &&
           gmem_contains(m, address, size);
}

static int gic_guest_read(void *ctx, uint64_t address, void *to, size_t size)
{
    struct soft_vm *vm = ctx;
    struct gmem m;
    int err = -EFAULT;

    lock_acquire(&vm->lock);
    if (gic_guest_range(vm, address, size, HV_MEMORY_READ, &m))
        err = gmem_read(&m, address, to, size);
    lock_release(&vm->lock);
    return err;
}

static int gic_guest_write(void *ctx, uint64_t address, const void *from, size_t size)
{
    struct soft_vm *vm = ctx;
    struct gmem m;
    int err = -EFAULT;

    lock_acquire(&vm->lock);
    if (gic_guest_range(vm, address, size, HV_MEMORY_WRITE, &m))
        err = gmem_write(&m, address, from, size);
    lock_release(&vm->lock);
    return err;
}

/* --- life --- */

static struct soft_vm *gic_vm(struct hv_backend_vm *vm)
{
    return (struct soft_vm *)(void *)vm;
}

static struct soft_vcpu *gic_vcpu(struct hv_backend_vcpu *vcpu)
{
    return (struct soft_vcpu *)(void *)vcpu;
}

static int gic_create(struct hv_backend_vm *vm, const struct hv_gic_desc *desc)
{
    struct soft_gic *gic = calloc(1, sizeof *gic);
    const struct gicv3_config config = {
        .msi_base = desc->msi_intid_base,
        .msi_count = desc->msi_intid_count,
        .signal = gic_signal,
        .ctx = vm,
        .its = desc->its_present,
        .guest_read = gic_guest_read,
        .guest_write = gic_guest_write,
    };

    if (!gic)
        return -ENOMEM;
    gic->at = *desc;
    int err = gicv3_create(&config, &gic->model);
    if (err)
        free(gic);
    else
        gic_vm(vm)->gic = gic;
    return err;
}

void soft_gic_destroy(struct soft_gic *gic)
{
    if (!gic)
        return;
    gicv3_destroy(gic->model);
    free(gic);
}

void soft_gic_attach(struct soft_vcpu *v)
{
    struct soft_gic *gic = v->cpu.vm->gic;

    if (!gic)
        return;
    v->sys[SYSREG_ID_AA64PFR0_EL1] |= 1ull << 24; /* GIC: system registers */
    gicv3_attach(gic->model, v->index, v->sys[SYSREG_MPIDR_EL1]);
    atomic_fetch_or(&gic->present, 1ull << v->index);
}

void soft_gic_detach(struct soft_vcpu *v)
{
    struct soft_gic *gic = v->cpu.vm->gic;

    if (!gic)
        return;
    atomic_fetch_and(&gic->present, ~(1ull << v->index));
    gicv3_detach(gic->model, v->index);
}

void soft_gic_set_affinity(struct soft_vcpu *v)
{
    gicv3_set_affinity(v->cpu.vm->gic->model, v->index, v->sys[SYSREG_MPIDR_EL1]);
}

/* --- memory-mapped registers --- */

static bool gic_read(struct soft_gic *gic, uint64_t ipa, unsigned width, uint64_t *value)
{
    uint64_t redist = ipa - gic->at.redistributor;

    if (ipa - gic->at.distributor < GICV3_DIST_SIZE)
        *value = gicv3_dist_read(gic->model, ipa - gic->at.distributor, width);
    else if (redist / GICV3_REDIST_SIZE < SOFT_MAX_VCPUS &&
             bit(atomic_load(&gic->present), (unsigned)(redist / GICV3_REDIST_SIZE)))
        *value = gicv3_redist_read(gic->model, (unsigned)(redist / GICV3_REDIST_SIZE),
                                   redist % GICV3_REDIST_SIZE, width);
    else if (gic->at.msi_intid_count && ipa - gic->at.msi < GICV3_MSI_SIZE)
        *value = gicv3_msi_read(gic->model, ipa - gic->at.msi, width);
    else if (gic->at.its_present && ipa - gic->at.its < GICV3_ITS_SIZE)
        *value = gicv3_its_read(gic->model, ipa - gic->at.its, width);
    else
        return false;
    return true;
}

static bool gic_write(struct soft_gic *gic, uint64_t ipa, unsigned width, uint64_t value)
{
    uint64_t redist = ipa - gic->at.redistributor;

    if (ipa - gic->at.distributor < GICV3_DIST_SIZE)
        gicv3_dist_write(gic->model, ipa - gic->at.distributor, width, value);
    else if (redist / GICV3_REDIST_SIZE < SOFT_MAX_VCPUS &&
             bit(atomic_load(&gic->present), (unsigned)(redist / GICV3_REDIST_SIZE)))
        gicv3_redist_write(gic->model, (unsigned)(redist / GICV3_REDIST_SIZE),
                           redist % GICV3_REDIST_SIZE, width, value);
    else if (gic->at.msi_intid_count && ipa - gic->at.msi < GICV3_MSI_SIZE)
        gicv3_msi_write(gic->model, ipa - gic->at.msi, width, value);
    else if (gic->at.its_present && ipa - gic->at.its < GICV3_ITS_SIZE)
        gicv3_its_write(gic->model, ipa - gic->at.its, width, value);
    else
        return false;
    return true;
}

bool soft_gic_access(struct cpu *c, const struct insn *i, uint64_t ipa, uint32_t iss)
{
    struct soft_gic *gic = c->vm->gic;
    unsigned width = 1u << bits(iss, 23, 22), reg = (unsigned)bits(iss, 20, 16);
    uint64_t value;

    (void)i;
    if (!(iss & ISS_ISV))
        return false;
    if (iss & ISS_WNR)
        return gic_write(gic, ipa, width, (reg == 31 ? 0 : c->x[reg]) & ones(width * 8));
    if (!gic_read(gic, ipa, width, &value))
        return false;
    value &= ones(width * 8);
    if (bit(iss, 21)) /* SSE */
        value = (uint64_t)sign_extend(value, width * 8);
    if (!bit(iss, 15)) /* SF */
        value = (uint32_t)value;
    if (reg != 31)
        c->x[reg] = value;
    return true;
}

/* --- timers and PMU --- */

static bool timer_is_armed(const struct soft_vcpu *v, enum sysreg ctl)
{
    return (v->sys[ctl] & (CNT_CTL_ENABLE | CNT_CTL_IMASK)) == CNT_CTL_ENABLE;
}

static void gic_set_input(struct soft_vcpu *v, unsigned intid, bool level, bool *now)
{
    if (level == *now)
        return;
    *now = level;
    gicv3_set_ppi(v->cpu.vm->gic->model, v->index, intid, level);
}

/* Reading the clock is what this costs: once, and only for a timer that is armed. */
void soft_gic_sync_inputs(struct soft_vcpu *v)
{
    bool virtual = timer_is_armed(v, SYSREG_CNTV_CTL_EL0);
    bool physical = timer_is_armed(v, SYSREG_CNTP_CTL_EL0);
    uint64_t now = virtual || physical ? soft_ticks() : 0;

    gic_set_input(v, HV_GIC_INT_EL1_VIRTUAL_TIMER,
                  virtual && now - v->vtimer_offset >= v->sys[SYSREG_CNTV_CVAL_EL0],
                  &v->gic_input[0]);
    gic_set_input(v, HV_GIC_INT_EL1_PHYSICAL_TIMER, physical && now >= v->sys[SYSREG_CNTP_CVAL_EL0],
                  &v->gic_input[1]);
    gic_set_input(v, HV_GIC_INT_PERFORMANCE_MONITOR, v->cpu.vm->native_debug_pmu && pmu_irq(v),
                  &v->gic_input[2]);
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Host counter value at which this timer will raise its line; UINT64_MAX for never, or if it is
 * up. */
static uint64_t timer_deadline(const struct soft_vcpu *v, enum sysreg ctl, enum sysreg cval,
                               uint64_t offset, uint64_t now)
{
    uint64_t count = now - offset;

    if (!timer_is_armed(v, ctl) || count >= v->sys[cval])
        return UINT64_MAX;
    uint64_t left = v->sys[cval] - count;
    return left > UINT64_MAX - now ? UINT64_MAX : now + left;
}

uint64_t soft_gic_deadline(const struct soft_vcpu *v, uint64_t now)
{
    return sooner(
        timer_deadline(v, SYSREG_CNTV_CTL_EL0, SYSREG_CNTV_CVAL_EL0, v->vtimer_offset, now),
        timer_deadline(v, SYSREG_CNTP_CTL_EL0, SYSREG_CNTP_CVAL_EL0, 0, now));
}

/* --- system registers --- */

/* CNTP_CTL_EL0 with ISTATUS. */
static uint64_t gic_physical_control(const struct soft_vcpu *v)
{
    uint64_t ctl = v->sys[SYSREG_CNTP_CTL_EL0];
    bool fired = (ctl & CNT_CTL_ENABLE) && soft_ticks() >= v->sys[SYSREG_CNTP_CVAL_EL0];

    return ctl | (fired ? CNT_CTL_ISTATUS : 0);
}

uint64_t soft_gic_sysreg_read(struct soft_vcpu *v, enum sysreg r)
{
    switch (r) {
    case SYSREG_CNTPCT_EL0:
    case SYSREG_CNTPCTSS_EL0:
        return soft_ticks();
    case SYSREG_CNTP_TVAL_EL0:
        return (uint32_t)(v->sys[SYSREG_CNTP_CVAL_EL0] - soft_ticks());
    case SYSREG_CNTP_CTL_EL0:
        return gic_physical_control(v);
    case SYSREG_CNTP_CVAL_EL0:
        return v->sys[r];
    default:
        return gicv3_icc_read(v->cpu.vm->gic->model, v->index,
                              (enum gicv3_icc)soft_sysreg_table[r].encoding);
    }
}

void soft_gic_sysreg_write(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    switch (r) {
    case SYSREG_CNTP_TVAL_EL0:
        v->sys[SYSREG_CNTP_CVAL_EL0] = soft_ticks() + (uint64_t)(int64_t)(int32_t)value;
        break;
    case SYSREG_CNTP_CTL_EL0:
        v->sys[r] = value & (CNT_CTL_ENABLE | CNT_CTL_IMASK);
        break;
    case SYSREG_CNTP_CVAL_EL0:
        v->sys[r] = value;
        break;
    default:
        gicv3_icc_write(v->cpu.vm->gic->model, v->index,
                        (enum gicv3_icc)soft_sysreg_table[r].encoding, value);
        return;
    }
    soft_gic_sync_inputs(v);
    timer_note(v);
}

/* --- the VMM's side --- */

static int gic_set_spi(struct hv_backend_vm *vm, uint32_t intid, bool level)
{
    return gicv3_set_spi(gic_vm(vm)->gic->model, intid, level);
}

static int gic_send_msi(struct hv_backend_vm *vm, uint32_t intid)
{
    return gicv3_send_msi(gic_vm(vm)->gic->model, intid);
}

static void gic_message(struct hv_backend_vm *vm, uint32_t device, uint32_t event)
{
    gicv3_its_message(gic_vm(vm)->gic->model, device, event);
}

static int gic_distributor(struct hv_backend_vm *vm, uint16_t offset, bool write, uint64_t *value)
{
    struct gicv3 *model = gic_vm(vm)->gic->model;
    unsigned width = offset >= HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER32 &&
                             offset <= HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER1019
                         ? 8
                         : 4;

    if (write)
        gicv3_dist_write(model, offset, width, *value);
    else
        *value = gicv3_dist_read(model, offset, width);
    return 0;
}

static int gic_msi(struct hv_backend_vm *vm, uint16_t offset, bool write, uint64_t *value)
{
    const struct soft_gic *gic = gic_vm(vm)->gic;

    if (!gic->at.msi_intid_count)
        return -EINVAL;
    if (write)
        gicv3_msi_write(gic->model, offset, 4, *value);
    else
        *value = gicv3_msi_read(gic->model, offset, 4);
    return 0;
}

static int gic_redistributor(struct hv_backend_vcpu *vcpu, uint32_t offset, bool write,
                             uint64_t *value)
{
    const struct soft_vcpu *v = gic_vcpu(vcpu);
    struct gicv3 *model = v->cpu.vm->gic->model;
    unsigned width = offset == HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER ? 8 : 4;

    if (write)
        gicv3_redist_write(model, v->index, offset, width, *value);
    else
        *value = gicv3_redist_read(model, v->index, offset, width);
    return 0;
}

static int gic_icc(struct hv_backend_vcpu *vcpu, uint16_t reg, bool write, uint64_t *value)
{
    const struct soft_vcpu *v = gic_vcpu(vcpu);
    struct gicv3 *model = v->cpu.vm->gic->model;

    if (write)
        gicv3_icc_write(model, v->index, reg, *value);
    else
        *value = gicv3_icc_read(model, v->index, reg);
    return 0;
}

static void gic_reset(struct hv_backend_vm *vm)
{
    gicv3_reset(gic_vm(vm)->gic->model);
}

static size_t gic_state_size(struct hv_backend_vm *vm)
{
    return gicv3_state_size(gic_vm(vm)->gic->model);
}

static void gic_state_save(struct hv_backend_vm *vm, void *data)
{
    gicv3_state_save(gic_vm(vm)->gic->model, data);
}

static int gic_state_restore(struct hv_backend_vm *vm, const void *data, size_t size)
{
    return gicv3_state_restore(gic_vm(vm)->gic->model, data, size);
}

const struct hv_backend_gic soft_gic_backend = {
    .create = gic_create,
    .set_spi = gic_set_spi,
    .send_msi = gic_send_msi,
    .message = gic_message,
    .distributor = gic_distributor,
    .msi = gic_msi,
    .redistributor = gic_redistributor,
    .icc = gic_icc,
    .reset = gic_reset,
    .state_size = gic_state_size,
    .state_save = gic_state_save,
    .state_restore = gic_state_restore,
};
