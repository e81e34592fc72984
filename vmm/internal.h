/* The VM's own state, and what vcpu.c and exit.c may ask of vm.c. */
#ifndef VMM_INTERNAL_H
#define VMM_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/gmem.h"
#include "base/lock.h"
#include "host/memory.h"
#include "vmm/loader.h"
#include "vmm/machine.h"
#include "vmm/sysreg.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* What somebody wants of the VM; a higher one replaces a lower one. */
enum vm_wish { VM_WISH_NONE, VM_WISH_RESET, VM_WISH_POWEROFF, VM_WISH_QUIT, VM_WISH_ERROR };

struct vm {
    struct vm_config config; /* its strings are the caller's and outlive the VM */
    bool hv_created;
    bool pmu;             /* the CPUs have performance monitors, and an OS lock of their own */
    bool gicv3;           /* in the hypervisor; else the machine's GICv2 */
    bool psci;            /* in the hypervisor; else ours */
    struct gmem gmem;     /* RAM and the files of --pmem */
    struct gmem ram_gmem; /* RAM */
    void *stolen;         /* a page at MEMMAP_STOLEN, or NULL */
    struct memory ram;
    struct pmem *pmem[VM_MAX_PMEMS];
    gpa_t pmem_base[VM_MAX_PMEMS];
    unsigned pmem_count;  /* open ones */
    unsigned pmem_mapped; /* those that the guest has */
    bool ram_mapped;
    uint64_t tick_offset; /* of the guest's counter to the host's; see vm_choose_gic() */
    uint64_t counter_hz;

    struct machine machine;
    struct loader_image kernel;
    struct loader_places places;
    struct loader_blob user_tree; /* of --dtb */
    struct loader_blob dtb;       /* what the guest gets */
    uint64_t initrd_size;

    struct vcpu vcpu[MEMMAP_CPUS_MAX];
    unsigned vcpu_count; /* initialised ones */
    struct sysreg_log sysreg_log;
    _Atomic uint64_t start_ns; /* when the first guest instruction was about to run, or 0 */
    int trace_fd;              /* of config.trace, or 0 */
    int code_fd;               /* of config.code, or 0 */

    /* Written under `lock` (LOCK_VM), with release; read by vCPU threads with acquire. */
    _Atomic enum vm_wish wish;
    struct lock lock;
    pthread_cond_t wished;
    struct err error; /* under `lock`: why, for VM_WISH_ERROR */
};

/* Ask vm_run() for something. Any thread, no lock held. */
void vm_request(struct vm *vm, enum vm_wish wish);

/* The VM cannot go on: VM_WISH_ERROR with a sentence; the first one stays. */
void vm_fail(struct vm *vm, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* vm_host.c, in this order: is the configuration one that can be; the engine; the trace; where code
 * is kept (code.c); the hypervisor's VM; whether its GICv3 is wanted, and the interrupt controller.
 */
int vm_check_config(const struct vm_config *c, struct err *e) MUST_CHECK;
int vm_choose_engine(const struct vm_config *c, struct err *e) MUST_CHECK;
int vm_open_trace(struct vm *vm, struct err *e) MUST_CHECK;
int vm_open_code(struct vm *vm, struct err *e) MUST_CHECK;
int vm_create_hv(struct vm *vm, struct err *e) MUST_CHECK;
bool vm_wants_gicv3(const struct vm *vm);
int vm_choose_gic(struct vm *vm, struct err *e) MUST_CHECK;

/* clock.c: the host's time in nanoseconds since 1970 UTC and the guest's counter at one moment.
 * `ctx` is the VM. Any thread. */
void vm_clock(void *ctx, uint64_t *realtime_ns, uint64_t *count);

/* pmem.c: open the files of --pmem and place them; where the guest's memory ends then; give them to
 * the guest, when RAM is; and take all of that back. */
int vm_open_pmem(struct vm *vm, struct err *e) MUST_CHECK;
gpa_t vm_memory_end(const struct vm *vm);
int vm_map_pmem(struct vm *vm, struct err *e) MUST_CHECK;
void vm_close_pmem(struct vm *vm);

/* memory.c: RAM for the guest to see; none for it any more; all of it zero again at the same place,
 * which also makes the engine forget code that it knows. */
int vm_make_ram(struct vm *vm, struct err *e) MUST_CHECK;
void vm_unmap_ram(struct vm *vm);
int vm_renew_ram(struct vm *vm, struct err *e) MUST_CHECK;
/* Files that were loaded into it are read, while the guest runs. */
void vm_finish_loading(struct vm *vm);
/* memory_give_back() (host/memory.h) of RAM, with the guest's mapping out of its way. `ctx` is the
 * VM. Any thread. */
void vm_give_back(void *ctx, void *p, size_t n);

/* stolen.c: the memory that CPUs find their stolen time in; and for the vCPU's own thread, once it
 * has its vCPU: is it kept there? */
#define VM_STOLEN_SIZE 64u /* of each CPU (DEN 0057 3.2.2) */
int vm_map_stolen(struct vm *vm, struct err *e) MUST_CHECK;
void vm_unmap_stolen(struct vm *vm);
bool vm_publish_stolen(struct vm *vm, unsigned cpu, hv_vcpu_t handle);

/* Must the vCPU threads end? Any thread. */
static inline bool vm_is_stopping(struct vm *vm)
{
    return atomic_load_explicit(&vm->wish, memory_order_acquire) != VM_WISH_NONE;
}

/* The guest's counter now, CNTVCT_EL0 and CNTPCT_EL0, in ticks of counter_hz; with GICv2 since the
 * VM was made. */
uint64_t vm_count(const struct vm *vm);

#endif
