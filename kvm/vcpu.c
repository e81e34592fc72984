/*
 * A vCPU: made, parked and given out again; its run loop; and how others get it out of the guest.
 *
 * Leaving is `immediate_exit`, which ends the next KVM_RUN, plus a signal for one that is under
 * way. The order that loses nothing: who wants it out sets the reason, then `immediate_exit`, then
 * looks at `in_guest`; the loop clears `immediate_exit`, then looks at the reasons.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kvm/kvm.h"

#define CPSR_INITIAL  0x3c5u
#define SCTLR_INITIAL 0x30d00800u

/* What KVM's first state leaves open and the API's does not. */
static const hv_sys_reg_t zeroed[] = {
    HV_SYS_REG_SP_EL0,        HV_SYS_REG_SP_EL1,         HV_SYS_REG_ELR_EL1,
    HV_SYS_REG_SPSR_EL1,      HV_SYS_REG_AFSR0_EL1,      HV_SYS_REG_AFSR1_EL1,
    HV_SYS_REG_AMAIR_EL1,     HV_SYS_REG_CONTEXTIDR_EL1, HV_SYS_REG_CPACR_EL1,
    HV_SYS_REG_CSSELR_EL1,    HV_SYS_REG_ESR_EL1,        HV_SYS_REG_FAR_EL1,
    HV_SYS_REG_MAIR_EL1,      HV_SYS_REG_MDSCR_EL1,      HV_SYS_REG_MDCCINT_EL1,
    HV_SYS_REG_PAR_EL1,       HV_SYS_REG_TCR_EL1,        HV_SYS_REG_TPIDRRO_EL0,
    HV_SYS_REG_TPIDR_EL0,     HV_SYS_REG_TPIDR_EL1,      HV_SYS_REG_TTBR0_EL1,
    HV_SYS_REG_TTBR1_EL1,     HV_SYS_REG_VBAR_EL1,       HV_SYS_REG_CNTKCTL_EL1,
    HV_SYS_REG_CNTV_CTL_EL0,  HV_SYS_REG_CNTV_CVAL_EL0,  HV_SYS_REG_CNTP_CTL_EL0,
    HV_SYS_REG_CNTP_CVAL_EL0,
};

int kvm_vcpu_init_fd(int kvm, int vm_fd, int vcpu_fd, bool off)
{
    /* What the host has, the guest gets; but SVE, which the API knows nothing of. */
    static const struct {
        unsigned capability, feature;
    } optional[] = {
        { KVM_CAP_ARM_PSCI_0_2, KVM_ARM_VCPU_PSCI_0_2 },
        { KVM_CAP_ARM_PTRAUTH_ADDRESS, KVM_ARM_VCPU_PTRAUTH_ADDRESS },
        { KVM_CAP_ARM_PTRAUTH_GENERIC, KVM_ARM_VCPU_PTRAUTH_GENERIC },
    };
    struct kvm_vcpu_init init = { 0 };
    int err = kvm_call(vm_fd, KVM_ARM_PREFERRED_TARGET, &init);

    if (err)
        return err;
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++)
        if (kvm_call_value(kvm, KVM_CHECK_EXTENSION, optional[i].capability) > 0)
            init.features[0] |= 1u << optional[i].feature;
    if (off)
        init.features[0] |= 1u << KVM_ARM_VCPU_POWER_OFF;
    return kvm_call(vcpu_fd, KVM_ARM_VCPU_INIT, &init);
}

static void set_initial_state(struct kvm_vcpu *v)
{
    struct hv_backend_vcpu *vcpu = (struct hv_backend_vcpu *)(void *)v;

    for (unsigned i = 0; i <= HV_REG_X30; i++)
        (void)kvm_set_reg(vcpu, (hv_reg_t)i, 0);
    for (size_t i = 0; i < sizeof zeroed / sizeof zeroed[0]; i++)
        (void)kvm_set_sys_reg(vcpu, zeroed[i], 0);
    (void)kvm_set_sys_reg(vcpu, HV_SYS_REG_SCTLR_EL1, SCTLR_INITIAL);
    (void)kvm_set_reg(vcpu, HV_REG_PC, 0);
    (void)kvm_set_reg(vcpu, HV_REG_CPSR, CPSR_INITIAL);
    v->vtimer_offset = 0;
    if (!v->vm->vtimer_offset_set) /* else it is that of the others, which may be running */
        kvm_set_vtimer_offset(vcpu, 0);
}

static int vcpu_open(struct kvm_vm *vm, unsigned index, struct kvm_vcpu **out)
{
    struct kvm_vcpu *v = calloc(1, sizeof *v);

    if (!v)
        return -ENOMEM;
    v->vm = vm;
    v->index = index;
    v->fd = kvm_call_value(vm->fd, KVM_CREATE_VCPU, index);
    if (v->fd < 0) {
        int err = v->fd;
        free(v);
        return err;
    }
    v->run = mmap(NULL, vm->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd, 0);
    if (v->run == MAP_FAILED) {
        int err = -errno;
        close(v->fd);
        free(v);
        return err;
    }
    v->parked = true;
    atomic_store(&vm->vcpu[index], v);
    *out = v;
    return 0;
}

void kvm_vcpu_free(struct kvm_vcpu *v)
{
    munmap(v->run, v->vm->run_size);
    close(v->fd);
    free(v);
}

int kvm_vcpu_create(struct hv_backend_vm *vm, unsigned index, hv_vcpu_exit_t *exit,
                    struct hv_backend_vcpu **vcpu)
{
    struct kvm_vm *m = kvm_vm_of(vm);
    struct kvm_vcpu *v = atomic_load(&m->vcpu[index]);
    sigset_t kick;
    int err = 0;

    if (!v)
        err = vcpu_open(m, index, &v);
    if (!err)
        err = kvm_vcpu_init_fd(m->kvm, m->fd, v->fd, m->kernel_psci && index > 0);
    if (err)
        return err;
    v->exit = exit;
    v->thread = pthread_self();
    v->line[0] = v->line[1] = false;
    v->kernel_line[0] = v->kernel_line[1] = false; /* KVM_ARM_VCPU_INIT has done that */
    v->vtimer_masked = false;
    v->trap_debug = false;
    v->exec_ticks = 0;
    v->parked = false;
    atomic_store(&v->cancelled, false);
    sigemptyset(&kick);
    sigaddset(&kick, SIGURG);
    pthread_sigmask(SIG_UNBLOCK, &kick, NULL);
    set_initial_state(v);
    *vcpu = (struct hv_backend_vcpu *)(void *)v;
    return 0;
}

void kvm_vcpu_destroy(struct hv_backend_vcpu *vcpu)
{
    kvm_vcpu_of(vcpu)->parked = true;
}

/* --- out of the guest --- */

void kvm_vcpu_interrupt(struct kvm_vcpu *v)
{
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    if (atomic_load(&v->in_guest))
        pthread_kill(v->thread, SIGURG);
}

void kvm_vcpu_kick(struct hv_backend_vcpu *vcpu)
{
    struct kvm_vcpu *v = kvm_vcpu_of(vcpu);

    atomic_store(&v->cancelled, true);
    kvm_vcpu_interrupt(v);
}

/* --- run --- */

/* Without a GIC in the kernel the two lines are the vCPU's own. */
static void sync_lines(struct kvm_vcpu *v)
{
    for (unsigned n = 0; n < 2; n++) {
        if (v->line[n] == v->kernel_line[n])
            continue;
        const struct kvm_irq_level level = {
            .irq = KVM_ARM_IRQ_TYPE_CPU << KVM_ARM_IRQ_TYPE_SHIFT |
                   v->index << KVM_ARM_IRQ_VCPU_SHIFT |
                   (n == HV_INTERRUPT_TYPE_FIQ ? KVM_ARM_IRQ_CPU_FIQ : KVM_ARM_IRQ_CPU_IRQ),
            .level = v->line[n],
        };

        if (kvm_call(v->vm->fd, KVM_IRQ_LINE, &level) == 0)
            v->kernel_line[n] = v->line[n];
    }
}

/* Be in the guest, unless somebody has paused the VM: then wait. */
static void pass_gate(struct kvm_vcpu *v)
{
    struct kvm_vm *vm = v->vm;

    atomic_store(&v->in_guest, true);
    while (atomic_load(&vm->paused)) {
        atomic_store(&v->in_guest, false);
        lock_acquire(&vm->gate);
        while (atomic_load(&vm->paused))
            lock_wait(&vm->gate, &vm->opened, UINT64_MAX);
        lock_release(&vm->gate);
        atomic_store(&v->in_guest, true);
    }
}

/* A reason to be out that lies with us. */
static bool leave_now(struct kvm_vcpu *v)
{
    if (atomic_exchange(&v->cancelled, false)) {
        v->exit->reason = HV_EXIT_REASON_CANCELED;
        return true;
    }
    if (v->vm->gic.fd < 0 && !v->vtimer_masked && kvm_vtimer_is_due(v)) {
        v->vtimer_masked = true;
        v->exit->reason = HV_EXIT_REASON_VTIMER_ACTIVATED;
        return true;
    }
    return false;
}

static int run_loop(struct kvm_vcpu *v)
{
    for (;;) {
        __atomic_store_n(&v->run->immediate_exit, 0, __ATOMIC_SEQ_CST);
        if (leave_now(v))
            return 0;
        pass_gate(v);
        uint64_t start = kvm_counter();
        int err = kvm_call_value(v->fd, KVM_RUN, 0);
        v->exec_ticks += kvm_counter() - start;
        atomic_store(&v->in_guest, false);
        if (err == -EINTR || err == -EAGAIN)
            continue;
        if (err < 0)
            return err;
        if (kvm_exit_handle(v))
            return 0;
    }
}

int kvm_vcpu_run(struct hv_backend_vcpu *vcpu)
{
    struct kvm_vcpu *v = kvm_vcpu_of(vcpu);
    int err = 0;

    *v->exit = (hv_vcpu_exit_t){ .reason = HV_EXIT_REASON_UNKNOWN };
    if (v->vm->gic.fd < 0)
        sync_lines(v);
    else
        err = kvm_gic_start(v->vm);
    if (!err && !kvm_debug_enter(v))
        err = run_loop(v);
    v->line[0] = v->line[1] = false;
    return err;
}
