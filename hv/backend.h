/*
 * What a provider of virtual CPUs offers to hv/. hv/ has checked every argument that Apple's
 * contract lets it check (handles, NULL pointers, alignment, register numbers, the owning thread)
 * before it calls here.
 *
 * Every call returns 0 or a negative errno; hv/ maps these to hv_return_t:
 *   -EINVAL HV_BAD_ARGUMENT   -EBUSY HV_BUSY      -ENOMEM -ENOSPC HV_NO_RESOURCES   -ENODEV
 * HV_NO_DEVICE -ENOTSUP HV_UNSUPPORTED   -EPERM -EACCES HV_DENIED   -EEXIST HV_EXISTS anything else
 * HV_ERROR
 *
 * Threads: `vm_*` from any thread, serialised by hv/. `vcpu_*` from the vCPU's own thread, but for
 * `vcpu_kick`, which may come from any thread at any time between vcpu_create and vcpu_destroy.
 */
#ifndef HV_BACKEND_H
#define HV_BACKEND_H

#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hv_backend_vm;   /* the back end's own */
struct hv_backend_vcpu; /* the back end's own */

struct hv_vm_desc {
    unsigned ipa_bits;
    bool el2;
    const char *cpu;    /* what hvx_set_cpu() asked for, or NULL for the back end's usual CPU */
    const char *engine; /* what hvx_set_engine() asked for, or NULL for the back end's best */
    int trace_fd;       /* what hvx_set_trace() asked for, or 0 */
    int code_folder;    /* what hvx_set_code_folder() asked for, or 0 */
    bool code_quiet;
};

/* Where hv_gic_create() wants the parts; hv/ has checked ranges and overlap. */
struct hv_gic_desc {
    hv_ipa_t distributor, redistributor;
    hv_ipa_t msi;
    uint32_t msi_intid_base, msi_intid_count; /* count 0: no message frame */
    bool its_present;
    hv_ipa_t its;
};

/* The interrupt controller. Any thread, but for `redistributor` and `icc`, which are the vCPU
 * thread's; hv/ makes sure that VM and vCPU stay. Accessors: with `write` from, else to `*value`;
 * -EINVAL for what is not there. */
struct hv_backend_gic {
    int (*create)(struct hv_backend_vm *vm, const struct hv_gic_desc *desc);
    int (*set_spi)(struct hv_backend_vm *vm, uint32_t intid, bool level); /* -EINVAL: not one */
    int (*send_msi)(struct hv_backend_vm *vm, uint32_t intid);            /* -EINVAL: not one */
    void (*message)(struct hv_backend_vm *vm, uint32_t device, uint32_t event); /* NULL: no ITS */
    int (*distributor)(struct hv_backend_vm *vm, uint16_t offset, bool write, uint64_t *value);
    int (*msi)(struct hv_backend_vm *vm, uint16_t offset, bool write, uint64_t *value);
    int (*redistributor)(struct hv_backend_vcpu *vcpu, uint32_t offset, bool write,
                         uint64_t *value);
    int (*icc)(struct hv_backend_vcpu *vcpu, uint16_t reg, bool write, uint64_t *value);
    void (*reset)(struct hv_backend_vm *vm);
    size_t (*state_size)(struct hv_backend_vm *vm);
    void (*state_save)(struct hv_backend_vm *vm, void *data);
    int (*state_restore)(struct hv_backend_vm *vm, const void *data, size_t size); /* -EINVAL */
};

struct hv_backend {
    const char *name;      /* "soft", "kvm" */
    const char *cpu_model; /* the CPU that guests get, without options: "ireko-v2", "host" */

    /* Can this back end run here, with this engine (NULL: its best)? 0, -ENOTSUP (no such engine),
     * -ENODEV. */
    int (*probe)(const char *engine);
    bool (*translates)(const char *engine); /* NULL: none does */
    unsigned (*max_vcpus)(void);
    void (*ipa_bits)(unsigned *standard, unsigned *maximum);

    int (*vm_create)(const struct hv_vm_desc *desc, struct hv_backend_vm **vm);
    void (*vm_destroy)(struct hv_backend_vm *vm);
    /* Ranges are 16 KiB aligned, do not wrap and lie below 1 << ipa_bits. */
    int (*vm_map)(struct hv_backend_vm *vm, void *host, hv_ipa_t ipa, size_t size,
                  hv_memory_flags_t flags); /* -EEXIST: overlaps */
    int (*vm_map_file)(struct hv_backend_vm *vm, void *host, hv_ipa_t ipa, size_t size,
                       hv_memory_flags_t flags,
                       const struct hvx_memory *memory); /* with HVX_MEMORY_FILES */
    void (*vm_touch_again)(struct hv_backend_vm *vm);    /* the same */
    int (*vm_unmap)(struct hv_backend_vm *vm, hv_ipa_t ipa,
                    size_t size); /* -ENOENT: not all mapped */
    int (*vm_protect)(struct hv_backend_vm *vm, hv_ipa_t ipa, size_t size,
                      hv_memory_flags_t flags); /* -ENOENT: not all mapped */

    /* Without a VM or a vCPU. `cpu` as in struct hv_vm_desc; -ENOTSUP: there is no such CPU. */
    int (*cpu_feature)(const char *cpu, unsigned index,
                       struct hvx_cpu_feature *feature); /* -EINVAL: there are fewer */
    int (*feature_reg)(const char *cpu, hv_feature_reg_t reg, uint64_t *value);
    int (*ccsidr)(hv_cache_type_t type, uint64_t values[8]);

    /* `index` is the handle (lowest free from 0). `exit` stays valid until vcpu_destroy; vcpu_run
     * fills it. */
    int (*vcpu_create)(struct hv_backend_vm *vm, unsigned index, hv_vcpu_exit_t *exit,
                       struct hv_backend_vcpu **vcpu);
    void (*vcpu_destroy)(struct hv_backend_vcpu *vcpu);
    int (*vcpu_run)(struct hv_backend_vcpu *vcpu);
    void (*vcpu_kick)(struct hv_backend_vcpu *vcpu);

    int (*get_reg)(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t *value);
    int (*set_reg)(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t value);
    int (*get_simd)(struct hv_backend_vcpu *vcpu, unsigned reg, uint8_t value[16]);
    int (*set_simd)(struct hv_backend_vcpu *vcpu, unsigned reg, const uint8_t value[16]);
    /* `reg` is one of Apple's enumerants; -ENOTSUP for those that need EL2, a GIC or SME that is
     * not there. */
    int (*get_sys_reg)(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t *value);
    int (*set_sys_reg)(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t value);

    /* Levels for the next run only: the back end clears them when a run returns. */
    bool (*get_pending)(struct hv_backend_vcpu *vcpu, hv_interrupt_type_t type);
    void (*set_pending)(struct hv_backend_vcpu *vcpu, hv_interrupt_type_t type, bool pending);

    bool (*get_vtimer_mask)(struct hv_backend_vcpu *vcpu);
    void (*set_vtimer_mask)(struct hv_backend_vcpu *vcpu, bool masked);
    uint64_t (*get_vtimer_offset)(struct hv_backend_vcpu *vcpu);
    void (*set_vtimer_offset)(struct hv_backend_vcpu *vcpu, uint64_t offset);

    int (*set_trap_debug_exceptions)(struct hv_backend_vcpu *vcpu, bool on);
    int (*set_trap_debug_reg_accesses)(struct hv_backend_vcpu *vcpu, bool on);

    uint64_t (*exec_time)(struct hv_backend_vcpu *vcpu); /* ticks of `counter` inside the guest */
    /* What a guest's counter is without an offset, and its ticks per second. Any thread. NULL: the
     * host's monotonic clock at 24 MHz. */
    uint64_t (*counter)(void);
    uint64_t (*counter_hz)(void);
    void (*stats)(struct hv_backend_vcpu *vcpu, struct hvx_vcpu_stats *stats);
    const char *(*instruction_name)(unsigned kind); /* NULL: nothing is counted by instruction */

    /* hvx_vm_enable() and what belongs to it; NULL: HV_UNSUPPORTED. vm_enable: before vCPUs. */
    int (*vm_enable)(struct hv_backend_vm *vm, uint32_t features);
    bool (*get_pmu_irq)(struct hv_backend_vcpu *vcpu);
    /* hvx_vcpu_publish_stolen_time(); NULL: HV_UNSUPPORTED. */
    int (*publish_stolen)(struct hv_backend_vcpu *vcpu, uint64_t *place);
    const struct hv_backend_gic *gic; /* NULL: there is none */
};

/* The back ends of this build, best first, ending with NULL. */
extern const struct hv_backend *const hv_backends[];

extern const struct hv_backend hv_backend_soft;
extern const struct hv_backend hv_backend_kvm;

#endif
