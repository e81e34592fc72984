/*
 * What a monitor needs beyond Apple's API: which engine runs the guest and on which CPU,
 * statistics, and a clock that works the same on every host. On macOS the inline fallbacks at the
 * end stand in, so programs build unchanged.
 */
#ifndef HYPERVISOR_HVX_H
#define HYPERVISOR_HVX_H

#include <Hypervisor/Hypervisor.h>

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Which counters an engine keeps: bits of hvx_vcpu_stats.kept. */
#define HVX_STATS_INSTRUCTIONS 1u /* `instructions` */
#define HVX_STATS_EVENTS       2u /* exits to pages_decoded */
#define HVX_STATS_TRANSLATION  4u /* `translation` and `calls` */

/* Kinds of instructions that are counted one by one, see hvx_instruction_name(). */
#define HVX_STATS_KINDS 1024

/* Counters of one vCPU since it was created. A counter that the engine does not keep is 0. */
struct hvx_vcpu_stats {
    uint64_t instructions; /* guest instructions executed */
    uint64_t exits;        /* returns from hv_vcpu_run */
    uint64_t tlb_misses;   /* of the software TLB, data only: walks of the guest's tables */
    uint64_t pages_decoded;
    uint64_t exceptions;  /* taken by the guest to EL1 */
    uint64_t tlb_refills; /* misses of the TLB's first level that its second level answered */
    uint64_t windows;     /* times that pages of programs were mapped in a row, ... */
    uint64_t window_pages, window_ns; /* ... how many were, and the time it took */
    uint32_t kept;                    /* HVX_STATS_* */

    /* From guest code to host code. */
    struct {
        uint64_t blocks;       /* runs of code translated */
        uint64_t instructions; /* in them */
        uint64_t ns;           /* time it took */
        uint64_t hot_bytes;    /* host code made that runs as a rule ... */
        uint64_t cold_bytes;   /* ... and that of slow paths */
        uint64_t links;        /* exits of blocks made to jump to another block */
        uint64_t cloned;       /* blocks copied for another virtual address */
        uint64_t loaded;       /* blocks of an earlier VM, see hvx_set_code_folder() */
        uint64_t retired;      /* blocks whose guest code changed */
        uint64_t resets;       /* times that all was forgotten: full, or memory was mapped anew */
        uint64_t cache_used, cache_size; /* code memory now, bytes */
    } translation;

    /* How often translated code called the engine, by reason. */
    struct {
        uint64_t link;   /* an exit that is not linked */
        uint64_t lookup; /* an indirect branch that the jump cache does not know */
        uint64_t refill; /* an access that the TLB's first level does not know */
        uint64_t slow;   /* an access or instruction whose fast path does not do */
        uint64_t interp; /* an instruction that is not translated */
        uint64_t vector; /* the same, of SIMD and floating point registers only */
        uint64_t helper; /* a function for a part of an instruction */
        uint64_t svc;    /* SVC */
        uint64_t eret;   /* ERET */
    } calls;

    uint64_t left[HVX_STATS_KINDS]; /* calls.interp, calls.vector and calls.slow, by instruction */
};

/* A feature of the guest's CPU, as the Arm Architecture Reference Manual names it. */
struct hvx_cpu_feature {
    const char *name;        /* "FEAT_LSE" */
    const char *meaning;     /* a few words */
    const char *id_register; /* where the guest finds it, "ID_AA64ISAR0_EL1": a field of 4 bits */
    unsigned lsb;            /* the field's lowest bit */
    unsigned value;          /* at least this */
    const char *option;      /* what asks for it in hvx_set_cpu(); NULL: it is always there */
    bool present;            /* in the CPU that was chosen */
};

/*
 * Features that Apple's API has no word for; a new VM has none of them.
 *
 * HVX_NATIVE_DEBUG_PMU: the guest's OS lock (OSLAR, OSLSR, OSDLR, DBGPRCR, DBGCLAIM*) and its
 * performance monitors (PMUv3p1: six event counters and the cycle counter) work inside of the CPU.
 * Without it their registers exit with EC 0x18, as on a Mac. ID_AA64DFR0_EL1.PMUVer says what the
 * guest has. The monitor connects the overflow interrupt, see hvx_vcpu_get_pmu_irq(). A watchpoint
 * comes before the exit of an access to where no memory is, so that a guest can watch a device.
 */
#define HVX_NATIVE_DEBUG_PMU 1u

/*
 * The host answers HVC (PSCI 1.1, SMCCC, TRNG), since its kernel cannot hand them to us; there is
 * no exit but for SYSTEM_OFF and SYSTEM_RESET, which come as an HVC with that function in X0. vCPU
 * 0 runs; hv_vcpu_run() of the others waits until the guest turns them on (CPU_ON), with the
 * registers of a reset. HV_UNSUPPORTED where HVC exits.
 */
#define HVX_NATIVE_PSCI 2u

/* The engine has a use for what hvx_vm_map_file() tells. */
#define HVX_MEMORY_FILES 4u

/* What is behind memory that a guest gets: see hvx_vm_map_file(). */
struct hvx_memory {
    int fd;          /* of a file, open as long as the memory is mapped, that it is a shared ... */
    uint64_t offset; /* ... mapping of from here on, a multiple of the host's page */
    /* Called before a vCPU uses the `size` bytes at `addr` for the first time, and maybe often
     * later; the vCPU waits meanwhile. From vCPUs' threads; NULL: it is not. */
    void (*touch)(void *ctx, void *addr, size_t size);
    void *ctx;
};

/* Ticks per second of the counter of a Mac, and of the software CPU. */
#define HVX_COUNTER_HZ 24000000u

/*
 * Is there what macOS brought with `version`: hv_gic_* with 15.0, say? Ask as `if
 * (HVX_SINCE(15.0))`, alone, around what uses it or around the call of a function marked
 * HVX_NEEDS(15.0): then Apple's compiler knows, and the program starts on an older macOS, too.
 */
#if defined(__APPLE__) && defined(__arm64__)
#define HVX_SINCE(version) __builtin_available(macOS version, *)
#define HVX_NEEDS(version) __attribute__((availability(macos, introduced = version)))
#else
#define HVX_SINCE(version) hvx_since(version)
#define HVX_NEEDS(version)
#endif

#if defined(__APPLE__) && defined(__arm64__)

#include <mach/mach_time.h>

static inline hv_return_t hvx_set_engine(const char *engine)
{
    return engine ? HV_UNSUPPORTED : HV_SUCCESS;
}
static inline const char *hvx_engine(void)
{
    return "hvf";
}
static inline hv_return_t hvx_set_cpu(const char *cpu)
{
    return cpu ? HV_UNSUPPORTED : HV_SUCCESS;
}
static inline bool hvx_is_mac(void)
{
    return true;
}
static inline const char *hvx_cpu_model(void)
{
    return "host";
}
static inline hv_return_t hvx_cpu_feature(unsigned index, struct hvx_cpu_feature *feature)
{
    (void)index;
    *feature = (struct hvx_cpu_feature){ 0 };
    return HV_UNSUPPORTED;
}
static inline hv_return_t hvx_vcpu_get_stats(hv_vcpu_t vcpu, struct hvx_vcpu_stats *stats)
{
    (void)vcpu;
    *stats = (struct hvx_vcpu_stats){ 0 };
    return HV_UNSUPPORTED;
}
static inline const char *hvx_instruction_name(unsigned kind)
{
    (void)kind;
    return NULL;
}
static inline hv_return_t hvx_set_trace(int fd)
{
    return fd > 0 ? HV_UNSUPPORTED : HV_SUCCESS;
}
static inline hv_return_t hvx_set_code_folder(int fd, bool quiet)
{
    (void)quiet;
    return fd > 0 ? HV_UNSUPPORTED : HV_SUCCESS;
}
static inline uint64_t hvx_absolute_time(void)
{
    return mach_absolute_time();
}
static inline uint64_t hvx_counter_hz(void)
{
    return HVX_COUNTER_HZ;
}
static inline hv_return_t hvx_vm_enable(uint32_t features)
{
    return features ? HV_UNSUPPORTED : HV_SUCCESS;
}
static inline hv_return_t hvx_vm_map_file(void *addr, hv_ipa_t ipa, size_t size,
                                          hv_memory_flags_t flags, const struct hvx_memory *memory)
{
    (void)addr, (void)ipa, (void)size, (void)flags, (void)memory;
    return HV_UNSUPPORTED;
}
static inline hv_return_t hvx_vm_touch_again(void)
{
    return HV_UNSUPPORTED;
}
static inline hv_return_t hvx_vcpu_get_pmu_irq(hv_vcpu_t vcpu, bool *level)
{
    (void)vcpu;
    *level = false;
    return HV_UNSUPPORTED;
}
static inline hv_return_t hvx_vcpu_publish_stolen_time(hv_vcpu_t vcpu, uint64_t *place)
{
    (void)vcpu, (void)place;
    return HV_UNSUPPORTED;
}

HVX_NEEDS(15.0)
static inline hv_return_t hvx_gic_config_set_its_base(hv_gic_config_t config, hv_ipa_t base)
{
    (void)config, (void)base;
    return HV_UNSUPPORTED;
}
HVX_NEEDS(15.0)
static inline hv_return_t hvx_gic_send_message(uint32_t device, hv_ipa_t address, uint32_t data)
{
    (void)device;
    return hv_gic_send_msi(address, data);
}

#else

/* Choose the engine of the next hv_vm_create: "interp", "jit", "check", "kvm", or NULL for the best
 * there is. HV_UNSUPPORTED if this build or host has no such engine. */
hv_return_t hvx_set_engine(const char *engine);

/* The engine that runs (or would run) the VM: "interp", "kvm", ... */
const char *hvx_engine(void);

/* Choose the CPU of the next hv_vm_create: a model, and its options after commas, as in
 * "ireko-v2,pauth,bti"; NULL for the usual one. HV_UNSUPPORTED if the engine has no such CPU,
 * HV_BUSY while there is a VM. */
hv_return_t hvx_set_cpu(const char *cpu);

/* The CPU model of the engine, without options: "ireko-v2", or "host" for the host's own cores. */
const char *hvx_cpu_model(void);

/* The features of the chosen CPU and of the options it could have, by number from 0.
 * HV_BAD_ARGUMENT beyond the last. The strings live on. */
hv_return_t hvx_cpu_feature(unsigned index, struct hvx_cpu_feature *feature);

/* Owner thread of the vCPU. */
hv_return_t hvx_vcpu_get_stats(hv_vcpu_t vcpu, struct hvx_vcpu_stats *stats);

/* What the counters of hvx_vcpu_stats by instruction count at index `kind`: the software CPU's name
 * of an encoding, "FRECPE_v". NULL: nothing. */
const char *hvx_instruction_name(unsigned kind);

/* Have the next VM write each piece of code that it translates to the open descriptor `fd`, as
 * text: the guest's instructions by name and the host's code. 0: no more. The descriptor stays the
 * caller's and has to outlive the VM. HV_UNSUPPORTED: the chosen engine translates nothing. */
hv_return_t hvx_set_trace(int fd);

/*
 * Have the next VM keep the code that it translates in the folder that is open as `fd`, and use
 * what earlier ones kept there. 0: no more. Such code is run without a doubt, so the folder has to
 * be the user's, with no rights for anybody else, or it is HV_DENIED. The descriptor stays the
 * caller's, and has to be open until there is a vCPU; the folder is written to when the VM ends.
 * A file there that cannot be used, or written, is a warning in the log, `quiet` only information:
 * the VM runs all the same. HV_UNSUPPORTED: the chosen engine translates nothing.
 */
hv_return_t hvx_set_code_folder(int fd, bool quiet);

/* Is this a Mac, or is the library to look like one (IREKO_APPLE)? For what a program does there
 * only, and wants to see done elsewhere. */
bool hvx_is_mac(void);

/* Is there what this macOS brought? Always, unless IREKO_APPLE names an older one; write
 * HVX_SINCE(). */
bool hvx_since(double version);

/* What mach_absolute_time() is to a guest: a guest's CNTVCT_EL0 is this minus its vtimer offset.
 * hvx_counter_hz() is its ticks per second, CNTFRQ_EL0: 24 MHz, but on the host's own cores theirs.
 * Both belong to the VM there is, or was last. */
uint64_t hvx_absolute_time(void);
uint64_t hvx_counter_hz(void);

/* Switch features (HVX_*, or-ed) of the VM on, before its first vCPU. HV_UNSUPPORTED: this engine
 * does not have them, nothing changed; HV_NO_DEVICE: no VM; HV_BUSY: there is a vCPU. */
hv_return_t hvx_vm_enable(uint32_t features);

/*
 * hv_vm_map() of memory that is a shared mapping of a file, which the engine may map a second time,
 * with small pages of the guest in another order. HV_UNSUPPORTED without HVX_MEMORY_FILES. `memory`
 * is read during the call.
 */
hv_return_t hvx_vm_map_file(void *addr, hv_ipa_t ipa, size_t size, hv_memory_flags_t flags,
                            const struct hvx_memory *memory);

/* Call `touch` again for all such memory, before a vCPU uses it next: some was cut out of the file.
 * HV_UNSUPPORTED without HVX_MEMORY_FILES. Any thread. */
hv_return_t hvx_vm_touch_again(void);

/*
 * The level of the vCPU's PMU overflow interrupt, for the monitor to pass to its interrupt
 * controller (PPI 23 by convention) after each run. When it rises the run ends with
 * HV_EXIT_REASON_CANCELED; when it falls no run ends. Owner thread. HV_UNSUPPORTED without
 * HVX_NATIVE_DEBUG_PMU.
 */
hv_return_t hvx_vcpu_get_pmu_irq(hv_vcpu_t vcpu, bool *level);

/*
 * Keep in `place` (8 bytes, aligned) how many nanoseconds from now on the vCPU was ready to execute
 * while the host ran others: written now, and every few milliseconds while it executes, until it is
 * destroyed. Owner thread. HV_UNSUPPORTED where the host does not tell.
 */
hv_return_t hvx_vcpu_publish_stolen_time(hv_vcpu_t vcpu, uint64_t *place);

/*
 * Have hv_gic_create() make an interrupt translation service (ITS) too, and LPIs: 128 KiB at
 * `base`, which is a multiple of 64 KiB. Its tables are memory of hv_vm_map(). Where the back end
 * has none, hv_gic_create() answers HV_UNSUPPORTED.
 */
hv_return_t hvx_gic_config_set_its_base(hv_gic_config_t config, hv_ipa_t base);

/*
 * What the write of `data` by a device does at `address`: GITS_TRANSLATER of the ITS, where
 * `device` is its DeviceID and `data` its EventID and what the guest did not map has no effect; or
 * the message frame's register, as hv_gic_send_msi(). HV_BAD_ARGUMENT: neither is there. Any
 * thread.
 */
hv_return_t hvx_gic_send_message(uint32_t device, hv_ipa_t address, uint32_t data);

#endif

#ifdef __cplusplus
}
#endif

#endif
