/*
 * Self-hosted debug (DDI 0487 D2): breakpoints, watchpoints, software step, the OS lock.
 *
 * Nothing is checked while nothing is enabled. Once there is something to look for, `slow` says so:
 * code pages that hold an enabled breakpoint never get a fetch TLB entry and run one instruction at
 * a time (soft/run.c), and data pages that hold an enabled watchpoint never get a TLB entry, so
 * that every access takes the slow path (soft/mmu/access.c).
 */
#ifndef SOFT_DEBUG_H
#define SOFT_DEBUG_H

#include <stdbool.h>
#include <stdint.h>

#include "soft/cpu.h"
#include "soft/sysreg.h"

struct soft_vcpu;

/* As IREKO_V1_DFR0 tells. The last DEBUG_CONTEXTS breakpoints can compare CONTEXTIDR_EL1. */
#define DEBUG_BREAKPOINTS 6
#define DEBUG_WATCHPOINTS 4
#define DEBUG_CONTEXTS    2

/* Why the vCPU may have to execute one instruction at a time; 0: it need not. */
enum debug_slow {
    SLOW_STEP = 1,  /* MDSCR_EL1.SS */
    SLOW_BREAK = 2, /* a breakpoint is enabled; only its page is slow */
    SLOW_COUNT = 4, /* soft/pmu.c has an event that needs a look at every instruction */
};

struct debug {
    uint8_t breaks;  /* bit n: DBGBCRn_EL1.E of one that raises exceptions by itself */
    bool everywhere; /* one of them matches a context, at any address */
    uint8_t watches; /* bit n: DBGWCRn_EL1.E */
    uint8_t last;    /* what the previous instruction was to software step */
};

enum debug_last { LAST_NOT_STEPPED, LAST_STEPPED, LAST_STEPPED_EXCLUSIVE };

/* A write to a register of kind DEBUG, or to the OS lock. The caller leaves the inner loop. */
void debug_write(struct soft_vcpu *v, enum sysreg r, uint64_t value);

/* Registers that are the monitor's unless the VM has HVX_NATIVE_DEBUG_PMU. */
uint64_t debug_read_lock(struct soft_vcpu *v, enum sysreg r);
void debug_write_lock(struct soft_vcpu *v, enum sysreg r, uint64_t value);

/* Is `r` a breakpoint or watchpoint register that the CPU does not have? */
bool debug_is_beyond(enum sysreg r);

/* May the page at this virtual address hold an enabled breakpoint, or watchpoint? */
bool debug_breaks_in(const struct soft_vcpu *v, uint64_t va);
bool debug_watches_in(const struct soft_vcpu *v, uint64_t va);

/* Raise the exception if a breakpoint matches at cpu.pc. Between instructions. */
void debug_check_break(struct soft_vcpu *v);

/* Raise it if a watchpoint matches the access, which stage 1 allows. `iss` has CM. */
struct debug_access {
    uint64_t va;
    unsigned size;
    bool write, unprivileged;
    uint32_t iss;
};
void debug_check_watch(struct cpu *c, const struct insn *i, const struct debug_access *a);

/* Software step: is it on for the code that runs now? */
bool debug_is_stepping(const struct soft_vcpu *v);
/* Raise the exception: active-pending. */
void debug_raise_step(struct soft_vcpu *v);
/* `word` was stepped. */
void debug_note_step(struct soft_vcpu *v, uint32_t word);
/* DebugExceptionReturnSS(): PSTATE.SS after an exception return by this SPSR. */
bool debug_return_step(const struct soft_vcpu *v, uint32_t spsr, unsigned el);

#endif
