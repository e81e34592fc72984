/*
 * The back end's own: one VM, its memory, its vCPUs, and what the files call of each other.
 *
 * KVM keeps a vCPU for as long as its VM, while the API creates and destroys them: a destroyed vCPU
 * is parked and given out again, reset, for the same handle.
 *
 * Threads: `struct kvm_vcpu` is its thread's, but for the atomic fields. The map is read and
 * written under `map_lock`. What needs every vCPU out of the guest (a change of memory that is not
 * one of KVM's, a register of the GIC) brackets itself by vm_pause() and vm_resume().
 */
#ifndef KVM_KVM_H
#define KVM_KVM_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"
#include "hv/backend.h"
#include "kvm/abi.h"

#define KVM_MAX_VCPUS_HERE 64 /* as the software CPU has */
#define KVM_MAX_REGIONS    1024
#define KVM_NO_SLOT        UINT32_MAX
#define KVM_MAX_INTID      992 /* of KVM's GIC; the architecture has 1020 */
#define KVM_ITS_REGISTERS  7

struct kvm_region {
    uint64_t ipa, size;
    uint8_t *host;
    hv_memory_flags_t flags;
    uint32_t slot; /* KVM_NO_SLOT: the guest may not even read it */
};

struct kvm_gic {
    int fd;     /* -1: none */
    int its_fd; /* -1: none */
    struct hv_gic_desc desc;
    atomic_bool ready; /* initialised in the kernel; no vCPU can be added any more */
    atomic_uchar level[KVM_MAX_INTID]; /* of SPIs, as hv_gic_set_spi() left them */
};

struct kvm_vcpu;

struct kvm_vm {
    int kvm, fd;
    size_t run_size;
    bool forwards_calls; /* HVC and SMC come to us: the kernel has the SMCCC filter */
    bool kernel_psci;    /* HVX_NATIVE_PSCI */
    uint64_t vtimer_offset;
    bool vtimer_offset_set;

    struct lock map_lock;
    struct kvm_region region[KVM_MAX_REGIONS]; /* ascending */
    unsigned regions;
    uint64_t slots[KVM_MAX_REGIONS / 64]; /* used ones */

    struct lock gate; /* `paused` falls under it */
    pthread_cond_t opened;
    atomic_uint paused;

    struct kvm_gic gic;
    _Atomic(struct kvm_vcpu *) vcpu[KVM_MAX_VCPUS_HERE]; /* parked ones too; freed with the VM */
};

struct kvm_vcpu {
    struct kvm_vm *vm;
    unsigned index;
    int fd;
    struct kvm_run *run;
    hv_vcpu_exit_t *exit;
    pthread_t thread;
    atomic_bool cancelled; /* by hv_vcpus_exit() */
    atomic_bool in_guest;  /* in KVM_RUN or about to be */
    bool parked;
    bool line[2], kernel_line[2]; /* IRQ, FIQ: wanted for the next run, and what KVM has */
    bool vtimer_masked;
    bool trap_debug;
    uint32_t guest_debug; /* what KVM_SET_GUEST_DEBUG was last told */
    uint64_t vtimer_offset;
    uint64_t exec_ticks;
};

static inline struct kvm_vm *kvm_vm_of(struct hv_backend_vm *vm)
{
    return (struct kvm_vm *)(void *)vm;
}

static inline struct kvm_vcpu *kvm_vcpu_of(struct hv_backend_vcpu *vcpu)
{
    return (struct kvm_vcpu *)(void *)vcpu;
}

/* vm.c. kvm_call: ioctl(), with a negative errno for an error. */
int kvm_call(int fd, unsigned long request, const void *argument);
int kvm_call_value(int fd, unsigned long request, unsigned long value);
int kvm_open(void); /* a descriptor of a usable /dev/kvm, or -ENODEV */
int kvm_vm_create(const struct hv_vm_desc *desc, struct hv_backend_vm **vm);
void kvm_vm_destroy(struct hv_backend_vm *vm);
int kvm_vm_enable(struct hv_backend_vm *vm, uint32_t features);
/* Have every vCPU leave the guest and stay out. Not from within a run. Nests. */
void kvm_vm_pause(struct kvm_vm *vm);
void kvm_vm_resume(struct kvm_vm *vm);

/* memory.c */
int kvm_vm_map(struct hv_backend_vm *vm, void *host, hv_ipa_t ipa, size_t size,
               hv_memory_flags_t flags);
int kvm_vm_unmap(struct hv_backend_vm *vm, hv_ipa_t ipa, size_t size);
int kvm_vm_protect(struct hv_backend_vm *vm, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags);
/* Copy `size` bytes out of guest memory, within one region. -EFAULT. */
int kvm_memory_read(struct kvm_vm *vm, uint64_t ipa, void *to, size_t size);
bool kvm_memory_is_mapped(struct kvm_vm *vm, uint64_t ipa);

/* regs.c */
int kvm_get_one(int vcpu_fd, uint64_t id, void *value);
int kvm_set_one(int vcpu_fd, uint64_t id, const void *value);
int kvm_get_reg(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t *value);
int kvm_set_reg(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t value);
int kvm_get_simd(struct hv_backend_vcpu *vcpu, unsigned reg, uint8_t value[16]);
int kvm_set_simd(struct hv_backend_vcpu *vcpu, unsigned reg, const uint8_t value[16]);
int kvm_get_sys_reg(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t *value);
int kvm_set_sys_reg(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t value);
int kvm_feature_reg(const char *cpu, hv_feature_reg_t reg, uint64_t *value);
int kvm_ccsidr(hv_cache_type_t type, uint64_t values[8]);
/* For the other files: what cannot fail on a vCPU that exists; 0 if it does. */
uint64_t kvm_reg(const struct kvm_vcpu *v, hv_reg_t reg);
uint64_t kvm_sys(const struct kvm_vcpu *v, hv_sys_reg_t reg);

/* vcpu.c */
int kvm_vcpu_init_fd(int kvm, int vm_fd, int vcpu_fd, bool off);
int kvm_vcpu_create(struct hv_backend_vm *vm, unsigned index, hv_vcpu_exit_t *exit,
                    struct hv_backend_vcpu **vcpu);
void kvm_vcpu_destroy(struct hv_backend_vcpu *vcpu);
void kvm_vcpu_free(struct kvm_vcpu *v);
int kvm_vcpu_run(struct hv_backend_vcpu *vcpu);
void kvm_vcpu_kick(struct hv_backend_vcpu *vcpu);
/* Make the vCPU leave KVM_RUN, or not enter it. Any thread. */
void kvm_vcpu_interrupt(struct kvm_vcpu *v);

/* timer.c */
uint64_t kvm_counter(void);
uint64_t kvm_counter_hz(void);
bool kvm_get_vtimer_mask(struct hv_backend_vcpu *vcpu);
void kvm_set_vtimer_mask(struct hv_backend_vcpu *vcpu, bool masked);
uint64_t kvm_get_vtimer_offset(struct hv_backend_vcpu *vcpu);
void kvm_set_vtimer_offset(struct hv_backend_vcpu *vcpu, uint64_t offset);
/* Has the virtual timer expired, enabled and unmasked by the guest? */
bool kvm_vtimer_is_due(const struct kvm_vcpu *v);

/* exit.c: after KVM_RUN has returned 0. True: `exit` is filled; false: run on. */
bool kvm_exit_handle(struct kvm_vcpu *v);

/* debug.c */
int kvm_set_trap_debug_exceptions(struct hv_backend_vcpu *vcpu, bool on);
int kvm_set_trap_debug_reg_accesses(struct hv_backend_vcpu *vcpu, bool on);
/* Before a run. True: a step is due before any instruction, and `exit` is filled. */
bool kvm_debug_enter(struct kvm_vcpu *v);

/* gic.c */
extern const struct hv_backend_gic kvm_gic_backend;
int kvm_gic_start(struct kvm_vm *vm); /* before a run; -errno */
/* An access of the guest to the message frame? Then it is done. */
bool kvm_gic_frame_access(struct kvm_vm *vm, struct kvm_run *run);
/* Read or write an attribute of one of its devices in the kernel; -errno. */
int kvm_gic_attr(int fd, bool write, uint32_t group, uint64_t attr, void *value);

/* its.c; all but the message with the VM paused */
bool kvm_its_exists(struct kvm_vm *vm);
int kvm_its_create(struct kvm_vm *vm, uint64_t base);
void kvm_its_message(struct hv_backend_vm *vm, uint32_t device, uint32_t event);
void kvm_its_reset(struct kvm_vm *vm);
void kvm_its_save(struct kvm_vm *vm, uint64_t values[KVM_ITS_REGISTERS]);
int kvm_its_restore(struct kvm_vm *vm, const uint64_t values[KVM_ITS_REGISTERS]); /* -EINVAL */

#endif
