/*
 * The VM: its descriptor, what the kernel can do for it, and how to get every vCPU out of the
 * guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "kvm/kvm.h"

int kvm_call(int fd, unsigned long request, const void *argument)
{
    int r = ioctl(fd, request, argument);

    return r < 0 ? -errno : r;
}

int kvm_call_value(int fd, unsigned long request, unsigned long value)
{
    int r = ioctl(fd, request, value);

    return r < 0 ? -errno : r;
}

/* What we cannot do without: all of it is in every arm64 kernel since Linux 4.13. */
static const unsigned needed[] = {
    KVM_CAP_USER_MEMORY,    KVM_CAP_ONE_REG,      KVM_CAP_READONLY_MEM,
    KVM_CAP_IMMEDIATE_EXIT, KVM_CAP_ARM_USER_IRQ, KVM_CAP_ARM_PSCI_0_2,
};

int kvm_open(void)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -ENODEV;
    bool good = kvm_call_value(fd, KVM_GET_API_VERSION, 0) == KVM_API_VERSION;
    for (size_t i = 0; good && i < sizeof needed / sizeof needed[0]; i++)
        good = kvm_call_value(fd, KVM_CHECK_EXTENSION, needed[i]) > 0;
    if (good)
        return fd;
    close(fd);
    return -ENODEV;
}

/* --- calls to firmware --- */

/* Every function but those of the architecture, which the kernel keeps for itself (SMCCC 1.1,
 * workarounds). Linux 6.4. */
static bool forward_calls(int fd)
{
    static const struct {
        uint32_t base, count;
    } ranges[] = { { 0, 0x80000000u }, { 0x81000000u, 0x3f000000u }, { 0xc1000000u, 0x3f000000u } };

    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const struct kvm_smccc_filter filter = {
            .base = ranges[i].base,
            .nr_functions = ranges[i].count,
            .action = KVM_SMCCC_FILTER_FWD_TO_USER,
        };
        const struct kvm_device_attr attr = {
            .group = KVM_ARM_VM_SMCCC_CTRL,
            .attr = KVM_ARM_VM_SMCCC_FILTER,
            .addr = (uintptr_t)&filter,
        };

        if (kvm_call(fd, KVM_SET_DEVICE_ATTR, &attr) < 0)
            return false;
    }
    return true;
}

/* --- create and destroy --- */

static void on_kick(int signal)
{
    (void)signal; /* it is there to end KVM_RUN */
}

/* A program that uses the signal itself has a handler, which serves as well. */
static void install_kick(void)
{
    struct sigaction now;

    if (sigaction(SIGURG, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
        (now.sa_handler == SIG_DFL || now.sa_handler == SIG_IGN))
        (void)sigaction(SIGURG,
                        &(struct sigaction){ .sa_handler = on_kick, .sa_flags = SA_RESTART }, NULL);
}

/* The kernel's types of VM are widths of addresses, from 32; 0 is 40 bits, and the only one of
 * kernels before 4.20. */
static unsigned long vm_type(unsigned ipa_bits)
{
    if (ipa_bits == 40)
        return 0;
    return KVM_VM_TYPE_ARM_IPA_SIZE(ipa_bits < 32 ? 32 : ipa_bits);
}

static void enable(int fd, unsigned capability)
{
    const struct kvm_enable_cap cap = { .cap = capability };

    (void)kvm_call(fd, KVM_ENABLE_CAP, &cap); /* without it the guest gets an abort */
}

static int vm_open(struct kvm_vm *vm, unsigned ipa_bits)
{
    vm->kvm = kvm_open();
    if (vm->kvm < 0)
        return vm->kvm;
    int size = kvm_call_value(vm->kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < 0)
        return size;
    vm->run_size = (size_t)size;
    vm->fd = kvm_call_value(vm->kvm, KVM_CREATE_VM, vm_type(ipa_bits));
    if (vm->fd < 0)
        return vm->fd;
    enable(vm->fd, KVM_CAP_ARM_NISV_TO_USER);
    vm->forwards_calls = forward_calls(vm->fd);
    return 0;
}

int kvm_vm_create(const struct hv_vm_desc *desc, struct hv_backend_vm **out)
{
    struct kvm_vm *vm = calloc(1, sizeof *vm);

    if (!vm)
        return -ENOMEM;
    vm->kvm = vm->fd = vm->gic.fd = vm->gic.its_fd = -1;
    lock_init(&vm->map_lock, LOCK_HOST);
    lock_init(&vm->gate, LOCK_HOST);
    cond_init(&vm->opened);
    install_kick();
    *out = (struct hv_backend_vm *)(void *)vm;
    int err = vm_open(vm, desc->ipa_bits);
    if (err)
        kvm_vm_destroy(*out);
    return err;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void kvm_vm_destroy(struct hv_backend_vm *vm)
{
    struct kvm_vm *m = kvm_vm_of(vm);

    for (unsigned i = 0; i < KVM_MAX_VCPUS_HERE; i++)
        if (atomic_load(&m->vcpu[i]))
            kvm_vcpu_free(atomic_load(&m->vcpu[i]));
    close_if_open(m->gic.its_fd);
    close_if_open(m->gic.fd);
    close_if_open(m->fd);
    close_if_open(m->kvm);
    pthread_cond_destroy(&m->opened);
    lock_fini(&m->gate);
    lock_fini(&m->map_lock);
    free(m);
}

int kvm_vm_enable(struct hv_backend_vm *vm, uint32_t features)
{
    struct kvm_vm *m = kvm_vm_of(vm);

    /* Where calls can be forwarded, the monitor's firmware is the one to have. */
    if (features & ~HVX_NATIVE_PSCI || (features && m->forwards_calls))
        return -ENOTSUP;
    if (features)
        m->kernel_psci = true;
    return 0;
}

/* --- all out --- */

static bool any_in_guest(struct kvm_vm *vm)
{
    for (unsigned i = 0; i < KVM_MAX_VCPUS_HERE; i++) {
        struct kvm_vcpu *v = atomic_load(&vm->vcpu[i]);

        if (v && atomic_load(&v->in_guest))
            return true;
    }
    return false;
}

void kvm_vm_pause(struct kvm_vm *vm)
{
    atomic_fetch_add(&vm->paused, 1);
    for (unsigned i = 0; i < KVM_MAX_VCPUS_HERE; i++)
        if (atomic_load(&vm->vcpu[i]))
            kvm_vcpu_interrupt(atomic_load(&vm->vcpu[i]));
    while (any_in_guest(vm))
        sched_yield();
}

void kvm_vm_resume(struct kvm_vm *vm)
{
    lock_acquire(&vm->gate);
    if (atomic_fetch_sub(&vm->paused, 1) == 1)
        pthread_cond_broadcast(&vm->opened);
    lock_release(&vm->gate);
}
