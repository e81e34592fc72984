/*
 * The state behind the API. Apple's API has no handle for a VM: a process has at most one. So this
 * is the one place of ireko with process-wide state, and everything else hangs on it.
 *
 * Locks: `vm_lock` serialises hv_vm_*; `slots_lock` makes a vCPU's creation and destruction atomic
 * for hv_vcpus_exit(). vm_lock is taken first. Both are plain mutexes below every ranked lock of
 * the monitor, because a program may call the API with any lock held; nothing is called back under
 * them but the back end. Calls on a vCPU take no lock: its slot carries the number of the thread
 * that owns it, which only that thread writes.
 */
#ifndef HV_PROCESS_H
#define HV_PROCESS_H

#include <pthread.h>
#include <stdatomic.h>

#include "hv/backend.h"

/* The host page of a Mac: the unit of hv_vm_map() and friends everywhere. */
#define HV_PAGE_SIZE 0x4000u

#define HV_MAX_VCPUS 256

struct hv_slot {
    _Atomic uint64_t owner; /* number of the thread, 0: free */
    struct hv_backend_vcpu *vcpu;
    hv_vcpu_exit_t exit;
    uint32_t random; /* never 0; for hv/apple.c */
    bool trap_debug_exceptions;
    bool trap_debug_reg_accesses;
};

struct hv_apple;

struct hv_process {
    pthread_mutex_t vm_lock, slots_lock;
    const char *wanted_engine; /* of hvx_set_engine(), or NULL */
    char cpu_name[64];
    const char *wanted_cpu; /* of hvx_set_cpu(): cpu_name, or NULL */
    int wanted_trace;       /* of hvx_set_trace(), or 0 */
    int wanted_folder;      /* of hvx_set_code_folder(), or 0 */
    bool folder_quiet;

    /* The VM. `vm` is written under both locks, the others before it. */
    struct hv_backend_vm *vm;
    const struct hv_backend *backend;
    const char *engine;
    unsigned ipa_bits;
    bool el2;
    const struct hv_apple *apple;     /* the Mac that this is to look like, or NULL */
    uint32_t features;                /* HVX_* that are on */
    const struct hv_backend_gic *gic; /* or NULL: the VM has none; written as `vm` is */
    struct hv_gic_desc gic_desc;
    _Atomic(uint64_t (*)(void)) counter, counter_hz; /* of the back end; NULL: 24 MHz */

    struct hv_slot slot[HV_MAX_VCPUS];
    uint32_t vcpus_made; /* under slots_lock */

    /* apple_cancel.c, under vm_lock but for the thread's own look at the flag */
    pthread_t canceller;
    atomic_bool cancelling;
};

extern struct hv_process hv_process;

/* The best back end that has the engine asked for; its name goes to `*engine`. -ENOTSUP if there is
 * none. */
int hv_process_choose(const struct hv_backend **backend, const char **engine);

/* A number for the calling thread that no other thread of the process ever gets. */
uint64_t hv_process_thread(void);

/* The vCPU's slot if the calling thread owns it, else NULL: HV_BAD_ARGUMENT. */
struct hv_slot *hv_process_slot(hv_vcpu_t vcpu);

/* errors.c: what the API answers for 0 or a negative errno. */
hv_return_t hv_return_of(int err);

/* sysregs.c: what an enumerant of hv_sys_reg_t needs. */
enum hv_sys_reg_needs { HV_NEEDS_NOTHING, HV_NEEDS_GIC, HV_NEEDS_EL2, HV_NEEDS_UNKNOWN };
enum hv_sys_reg_needs hv_sys_reg_needs(hv_sys_reg_t reg);

/* The macOS that brought it; 11.0 for what there is not. */
double hv_sys_reg_since(hv_sys_reg_t reg);

#endif
