/*
 * One VM and one vCPU of the software CPU: everything that is not needed by every instruction
 * (that part is soft/cpu.h), and what the files of soft/ call of each other.
 *
 * Threads. A vCPU belongs to the thread that runs it. Others reach it in three ways only: they set
 * `cancel` or post requests (TLB and instruction cache maintenance of another vCPU), both announced
 * through `cpu.attention`, and they publish a new memory map in the VM. The vCPU looks at these
 * when its branch budget runs out and before it enters the guest; whoever needs it done before
 * going on waits for the attention bit to clear, or for the vCPU to leave the guest, since it looks
 * again before it enters.
 */
#ifndef SOFT_VCPU_H
#define SOFT_VCPU_H

#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "soft/cpu.h"
#include "soft/debug.h"
#include "soft/exc.h"
#include "soft/exclusive.h"
#include "soft/gic.h"
#include "soft/jit/check.h"
#include "soft/jit/jit.h"
#include "soft/load.h"
#include "soft/mmu/mmu.h"
#include "soft/pmu.h"
#include "soft/request.h"
#include "soft/stolen.h"
#include "soft/sysreg.h"
#include "soft/wait.h"

#define SOFT_MAX_VCPUS 64

/* A piece of guest memory. A map never changes once it is published; a change makes a new one. */
struct soft_region {
    uint64_t ipa, size;
    uint8_t *host;
    unsigned flags; /* HV_MEMORY_* */
    int fd;         /* of the file that it is a shared mapping of, or -1 */
    uint64_t offset;
    void (*touch)(void *ctx, void *addr, size_t size); /* as in struct hvx_memory, or NULL */
    void *ctx;
};

struct soft_map {
    uint64_t number; /* of the VM's maps, from 1 on */
    unsigned count;
    struct soft_region region[]; /* ascending, not overlapping */
};

/* soft/ticker.c: makes vCPUs that run look at their timers. */
struct ticker {
    pthread_t thread;
    bool started, stop;
    bool hurry;            /* it is to look earlier than it thought */
    unsigned quiet;        /* looks since code was found that is not warm */
    _Atomic bool warming;  /* such code was found since the last one */
    _Atomic uint64_t next; /* soft_ticks() at which it looks */
    _Atomic bool idle;     /* waits for somebody to run */
    struct lock lock;
    pthread_cond_t cond;
};

struct soft_vm {
    struct lock lock; /* the list of vCPUs; the map's writers */
    _Atomic(struct soft_map *) map;
    struct soft_vcpu *vcpu[SOFT_MAX_VCPUS]; /* by handle; NULL for none */
    unsigned vcpu_end;                      /* no vCPU at or above this one */
    unsigned ipa_bits;
    unsigned options;       /* enum model_option: what the CPU has beyond its base */
    bool native_debug_pmu;  /* HVX_NATIVE_DEBUG_PMU; not changed once there are vCPUs */
    bool jit;               /* engine jit, not the interpreter */
    bool check;             /* both: the engine check */
    int trace_fd;           /* where the JIT writes what it translates, or 0 */
    int code_folder;        /* where translations are kept, or 0 */
    bool code_quiet;        /* what is wrong with it is no warning */
    struct lock check_lock; /* one vCPU at a time is compared; it may wake the ticker */
    struct ticker ticker;   /* for the JIT, which does not count branches */
    struct soft_gic *gic;   /* or NULL; set before there are vCPUs */
    struct exclusives *exclusives;
    _Atomic(struct soft_vcpu *) first; /* to run; */
    _Atomic bool shared;               /* and another one did */
    struct load load;
    _Atomic unsigned mappings; /* of all vCPUs: soft/mmu/window.c */
    struct jit_cache *cache;   /* of translations, or NULL */
    struct jit_track *track;   /* used, and so in memory, with the knob `track` only */
};

/* Bits of cpu.attention. */
enum {
    ATTENTION_CANCEL = 1,
    ATTENTION_REQUEST = 2,
    ATTENTION_MAP = 4,
    ATTENTION_LOOK = 8, /* at timers and interrupts */
};

/* Banks for EL0, one for each recently used ASID, so that a process switch keeps everything. */
#define SOFT_EL0_BANKS 8

/* Pages decoded at most, 32 KiB each, when nothing else is asked for. */
#define SOFT_CODE_PAGES 4096
#define SOFT_CODE_HASH  4096

struct soft_vcpu {
    struct cpu cpu;
    struct jit_hot hot;
    struct check *check; /* or NULL */
    unsigned index;      /* in vm->vcpu */
    uint64_t sys[SYSREG_COUNT];
    unsigned slow; /* enum debug_slow */
    struct debug debug;
    struct pmu pmu;

    struct soft_map *map; /* the map this vCPU uses; kept alive by soft_map_publish() */
    const struct soft_region *last_region;
    struct mmu_regime regime;
    struct mmu_bank kernel __attribute__((aligned(64)));
    struct mmu_bank *user; /* the bank of the current ASID */
    unsigned bank_count;   /* of bank[] were used */
    struct mmu_bank bank[SOFT_EL0_BANKS] __attribute__((aligned(64)));
    struct tlb_second second[TLB_SECOND_ENTRIES];
    struct tlb_writers writers[TLB_WRITERS];
    struct windows *windows; /* or NULL */
    uint64_t bank_clock;
    /* Pages in `kernel` that belong to an ASID or that PAN protects: they go when the ASID changes
     * or PAN is set. */
    unsigned guarded_count;
    uint64_t guarded[64];

    struct code_page *code_hash[SOFT_CODE_HASH];
    struct code_page *code_newest, *code_oldest;
    unsigned code_count, code_limit;
    uint32_t code_epoch; /* pages of an older epoch are compared with memory before use */

    /* hv_vcpu_run's side. */
    hv_vcpu_exit_t *exit;
    bool exiting; /* `exit` is filled: leave */
    bool failed;  /* the engine check found a difference: the run has failed */

    /* What may interrupt, next to each other since translated code looks at all at once: levels for
     * this run by hv_interrupt_type_t, what the GIC asserts (bits by the same), and an SError. */
    bool irq[2];
    _Atomic uint8_t gic_lines;
    bool serror;
    bool vtimer_masked;
    uint64_t vtimer_offset;
    _Atomic uint64_t timer_due; /* what soft_gic_deadline() last said; for the ticker */
    bool trap_debug_exceptions, trap_debug_regs;
    _Atomic bool event;  /* the event register, set by SEV and SEVL */
    bool stepping;       /* an instruction is being stepped: one that faults will be again */
    bool cpsr_raw_valid; /* the VMM wrote a CPSR that has not been executed yet: */
    uint32_t cpsr_raw;
    uint64_t exec_ticks;
    uint32_t yields; /* YIELD instructions */
    struct hvx_vcpu_stats stats;
    unsigned random_left;
    uint64_t random[32];

    /* With a GIC: the levels that it knows of the virtual timer, the physical timer and the PMU. */
    bool gic_input[3];

    struct stolen stolen;

    /* soft/wait.c */
    _Atomic bool waiting; /* in WFI or WFE, on wait_cond */
    struct lock wait_lock;
    bool counted; /* in load.awake: no longer asleep; with wait_lock */
    pthread_cond_t wait_cond;
    uint32_t spin_interrupt, spin_event; /* ticks to look before sleeping */
    struct crowd crowd;                  /* on the core that it looks on */
    uint64_t wait_start;                 /* of a WFI that the VMM waits for; */
    uint64_t wait_exit;                  /* 0: of none */

    _Atomic bool in_guest;
    /* But it waits for others between blocks, and looks at everything afterwards. */
    _Atomic bool aside;
    _Atomic bool has_run;
    _Atomic uint32_t in_use; /* the current ASID; IN_USE_GLOBAL */
    struct requests requests;
    bool barrier_needed;     /* this vCPU posted requests since its last DSB, */
    int barrier_asid;        /* which only concern who uses that one; or any */
    _Atomic bool at_barrier; /* it waits there for others */
};

/* TLBs may have entries for the lower half of the address space that belong to every ASID. */
#define IN_USE_GLOBAL (1u << 16)

static inline struct soft_vcpu *vcpu_of(struct cpu *c)
{
    return c->vcpu;
}

static inline struct tlb_second *tlb_second_of(struct soft_vcpu *v, uint64_t va)
{
    return &v->second[(va >> 12) % TLB_SECOND_ENTRIES];
}

/* soft/run.c */

/* BranchAddr(): a tagged address loses its tag (DDI 0487 D8.8). */
uint64_t soft_branch_address(const struct soft_vcpu *v, uint64_t target);

/* Enter the guest until there is something for the VMM, which is then in v->exit. */
void soft_run(struct soft_vcpu *v);

/* What executes next, between instructions; exceptions before it do not return. */
const struct insn *soft_next(struct cpu *c);

/* End the current run with an exception exit. `pc` is what the VMM finds in HV_REG_PC. The caller
 * returns NULL to the inner loop, or calls soft_unwind(). */
void soft_exit_exception(struct soft_vcpu *v, uint64_t syndrome, uint64_t va, uint64_t ipa,
                         uint64_t pc);

/* Out of any depth, back to the loop; cpu.pc says where to go on. */
_Noreturn void soft_unwind(struct cpu *c);

/* Go on at `pc` after anything that may have changed how code is fetched or what is pending:
 * returns NULL for the inner loop. */
const struct insn *soft_resume(struct cpu *c, uint64_t pc);

/* Is the IRQ or FIQ input high, by the VMM or by the GIC? */
static inline bool soft_line(const struct soft_vcpu *v, hv_interrupt_type_t type)
{
    return v->irq[type] || (atomic_load_explicit(&v->gic_lines, memory_order_relaxed) >> type & 1);
}

/* Is an interrupt waiting that PSTATE lets through? */
static inline bool soft_interrupt_ready(const struct soft_vcpu *v)
{
    return (soft_line(v, HV_INTERRUPT_TYPE_IRQ) && !(v->cpu.daif & PSTATE_I)) ||
           (soft_line(v, HV_INTERRUPT_TYPE_FIQ) && !(v->cpu.daif & PSTATE_F)) ||
           (v->serror && !(v->cpu.daif & PSTATE_A));
}

/* Make the vCPU look at `attention` soon. Any thread. */
void soft_kick(struct soft_vcpu *v, uint32_t why);

/* soft/page.c: decoded pages, by physical page, private to the vCPU. */
void code_init(struct soft_vcpu *v);
void code_drop_all(struct soft_vcpu *v); /* not while one executes */
/* The page at `pa` (page-aligned), whose bytes are at `host`; decodes nothing yet. NULL: no memory
 * on the host. */
struct code_page *code_get(struct soft_vcpu *v, uint64_t pa, const uint8_t *host);
void code_invalidate_line(struct soft_vcpu *v, uint64_t pa); /* IC IVAU */
void code_invalidate_all(struct soft_vcpu *v);               /* IC IALLU */

/* soft/vm.c */
const struct soft_region *soft_map_find_slow(const struct soft_map *map, uint64_t ipa);

static inline const struct soft_region *soft_region_of(struct soft_vcpu *v, uint64_t ipa)
{
    const struct soft_region *r = v->last_region;
    if (LIKELY(r && ipa - r->ipa < r->size))
        return r;
    return v->last_region = soft_map_find_slow(v->map, ipa);
}

/* Where `pa` is, which is in the region, for the guest to use the page. */
static inline uint8_t *soft_region_host(const struct soft_region *r, uint64_t pa)
{
    uint8_t *host = r->host + (pa - r->ipa);
    if (r->touch)
        r->touch(r->ctx, host, 1);
    return host;
}

/* Take over the VM's current map; drops everything that was derived from the old one. */
void soft_map_adopt(struct soft_vcpu *v);

/* Does it execute something, or may it go on with a block without looking at what it was asked? */
static inline bool soft_is_inside(const struct soft_vcpu *v)
{
    return atomic_load(&v->in_guest) && !atomic_load(&v->aside);
}

/* soft/exc.c */

/* Change PSTATE, the stack pointer and the PC as an exception to EL1 at vector `offset` does, with
 * SPSR and ELR saved; cpu.pc is the vector then. */
void exc_enter(struct cpu *c, unsigned offset, uint64_t return_pc);

/* The same for a synchronous exception, without unwinding: for instructions that only raise one. */
void exc_enter_sync(struct cpu *c, enum exc_class ec, uint32_t iss, uint64_t return_pc);

/* A stage 1 abort (or PC alignment): FAR too. `ec` is the _LOWER one. */
_Noreturn void exc_abort(struct cpu *c, enum exc_class ec, uint32_t iss, uint64_t far_value,
                         uint64_t return_pc);

/* Take the interrupt that soft_interrupt_ready() saw. */
void exc_interrupt(struct soft_vcpu *v);

/* ERET to ELR_EL1 with SPSR_EL1. */
void exc_return(struct cpu *c);

/* PSTATE in SPSR's layout, and back. cpu_set_pstate() switches stack pointer and bank. */
uint32_t cpu_pstate(const struct cpu *c);
void cpu_set_pstate(struct cpu *c, uint32_t spsr);

/* Change what the current stack pointer is. */
void cpu_set_sp_sel(struct cpu *c, bool sel);

/* PSTATE.PAN was or may have been set: what EL1 may no longer reach leaves its bank. */
void cpu_set_pan(struct cpu *c, bool pan);

/* Follow the exception level, CPACR_EL1 and the ASID: bank, fetch TLB, fp_enabled. */
void cpu_update_context(struct cpu *c);

/* soft/ticker.c */
int ticker_start(struct soft_vm *vm); /* if it does not run yet */
void ticker_stop(struct soft_vm *vm);
void ticker_wake(struct soft_vm *vm); /* a vCPU of it runs */
/* A timer of a vCPU is due at host counter value `due`; a vCPU runs code that is not warm. */
void ticker_hurry(struct soft_vm *vm, uint64_t due);
void ticker_note_warming(struct soft_vm *vm);

/* soft/timer.c */
uint64_t soft_ticks(void);                  /* 24 MHz, CLOCK_MONOTONIC */
uint64_t timer_deadline_ns(uint64_t ticks); /* CLOCK_MONOTONIC at that count; 0: it is over */
static inline uint64_t timer_count(const struct soft_vcpu *v)
{
    return (v->check ? check_ticks(v->check) : soft_ticks()) - v->vtimer_offset;
}
uint64_t timer_control(const struct soft_vcpu *v); /* CNTV_CTL_EL0 with ISTATUS */
bool timer_fires(const struct soft_vcpu *v);       /* a VTIMER_ACTIVATED exit is due */
void timer_note(struct soft_vcpu *v); /* for the ticker: timers, or the counter, may have changed */

#endif
