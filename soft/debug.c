/*
 * Breakpoints, watchpoints, software step and the OS lock: DDI 0487 D2, H8.2 and the shared
 * pseudocode in aarch64/debug and shared/debug that the comments name.
 */
#include "soft/debug.h"

#include "soft/vcpu.h"

/* MDSCR_EL1 (D19.3.20). */
enum { MDSCR_SS = 1 << 0, MDSCR_KDE = 1 << 13, MDSCR_MDE = 1 << 15 };

/* OSLSR_EL1: OSLM = 0b10, the OS lock is implemented; OSLK. */
enum { OSLSR_OSLM = 1 << 3, OSLSR_OSLK = 1 << 1 };

#define DBGPRCR_CORENPDRQ 1u
#define CLAIM_TAGS        0xffu
#define ISS_DEBUG         0x22u /* IFSC and DFSC of debug exceptions */
#define STEP_ISV          (1u << 24)
#define STEP_EX           (1u << 6)
#define ADDRESS_MASK      ones(49) /* of virtual addresses: bits above 48 are not compared */

#define CONTROL_E(r)   ((r) & 1)
#define CONTROL_PXC(r) ((unsigned)bits(r, 2, 1))
#define CONTROL_HMC(r) ((unsigned)bit(r, 13))
#define CONTROL_SSC(r) ((unsigned)bits(r, 15, 14))
#define CONTROL_LBN(r) ((unsigned)bits(r, 19, 16))
#define BREAK_TYPE(r)  ((unsigned)bits(r, 23, 20))
#define WATCH_LSC(r)   ((unsigned)bits(r, 4, 3))
#define WATCH_BAS(r)   ((unsigned)bits(r, 12, 5))
#define WATCH_WT(r)    bit(r, 20)
#define WATCH_MASK(r)  ((unsigned)bits(r, 28, 24))

enum { TYPE_ADDRESS, TYPE_ADDRESS_LINKED, TYPE_CONTEXT, TYPE_CONTEXT_LINKED };

static const enum sysreg break_value[DEBUG_BREAKPOINTS] = {
    SYSREG_DBGBVR0_EL1, SYSREG_DBGBVR1_EL1, SYSREG_DBGBVR2_EL1,
    SYSREG_DBGBVR3_EL1, SYSREG_DBGBVR4_EL1, SYSREG_DBGBVR5_EL1,
};
static const enum sysreg break_control[DEBUG_BREAKPOINTS] = {
    SYSREG_DBGBCR0_EL1, SYSREG_DBGBCR1_EL1, SYSREG_DBGBCR2_EL1,
    SYSREG_DBGBCR3_EL1, SYSREG_DBGBCR4_EL1, SYSREG_DBGBCR5_EL1,
};
static const enum sysreg watch_value[DEBUG_WATCHPOINTS] = {
    SYSREG_DBGWVR0_EL1,
    SYSREG_DBGWVR1_EL1,
    SYSREG_DBGWVR2_EL1,
    SYSREG_DBGWVR3_EL1,
};
static const enum sysreg watch_control[DEBUG_WATCHPOINTS] = {
    SYSREG_DBGWCR0_EL1,
    SYSREG_DBGWCR1_EL1,
    SYSREG_DBGWCR2_EL1,
    SYSREG_DBGWCR3_EL1,
};

/* --- which exceptions can happen --- */

/* OSLSR_EL1.OSLK, or DoubleLockStatus(). A VMM that debugs the guest is not locked out. */
static bool debug_is_locked(const struct soft_vcpu *v)
{
    if (!v->cpu.vm->native_debug_pmu || v->trap_debug_exceptions)
        return false;
    return v->sys[SYSREG_OSLSR_EL1] & OSLSR_OSLK ||
           (v->sys[SYSREG_OSDLR_EL1] & 1 && !(v->sys[SYSREG_DBGPRCR_EL1] & DBGPRCR_CORENPDRQ));
}

/* AArch64.GenerateDebugExceptionsFrom(); trapped ones go to a higher exception level. */
static bool debug_is_enabled_at(const struct soft_vcpu *v, unsigned el, bool masked)
{
    if (debug_is_locked(v))
        return false;
    if (v->trap_debug_exceptions || el == 0)
        return true;
    return (v->sys[SYSREG_MDSCR_EL1] & MDSCR_KDE) && !masked;
}

static bool debug_is_enabled(const struct soft_vcpu *v)
{
    return debug_is_enabled_at(v, v->cpu.el, v->cpu.daif & PSTATE_D);
}

/* For breakpoints and watchpoints. */
static bool debug_is_monitoring(const struct soft_vcpu *v)
{
    return (v->sys[SYSREG_MDSCR_EL1] & MDSCR_MDE) && debug_is_enabled(v);
}

static void debug_raise(struct soft_vcpu *v, enum exc_class ec, uint32_t iss, uint64_t va,
                        uint64_t pc)
{
    struct cpu *c = &v->cpu;

    if (v->trap_debug_exceptions) {
        soft_exit_exception(v, (uint64_t)ec << 26 | ESR_IL | iss, va, 0, pc);
        c->ss = v->stepping; /* the instruction is still to be stepped */
        soft_unwind(c);
    }
    if (ec == EC_WATCHPOINT_LOWER)
        v->sys[SYSREG_FAR_EL1] = va;
    exc_sync(c, ec, iss, pc);
}

/* --- conditions that breakpoints and watchpoints share --- */

/*
 * SSC:HMC:PxC that no version of the architecture allocates (D2.9, D2.10). A VM is in
 * Non-secure state below a hypervisor.
 */
static bool state_is_reserved(uint64_t control)
{
    unsigned key = CONTROL_HMC(control) << 4 | CONTROL_SSC(control) << 2 | CONTROL_PXC(control);

    return (key & 0x1c) == 0x0c || /* HMC 0, SSC 3 */
           (key & 0x1d) == 0x10 || /* HMC 1, SSC 0, PxC x0 */
           (key & 0x1d) == 0x14 || /* HMC 1, SSC 1, PxC x0 */
           key == 0x1a || (key & 0x1e) == 0x1e;
}

/* BreakpointValueMatch() of one that others may be linked to. */
static bool context_matches(const struct soft_vcpu *v, unsigned n, unsigned type)
{
    if (n < DEBUG_BREAKPOINTS - DEBUG_CONTEXTS || n >= DEBUG_BREAKPOINTS)
        return false;
    uint64_t control = v->sys[break_control[n]];
    return CONTROL_E(control) && BREAK_TYPE(control) == type &&
           (uint32_t)v->sys[SYSREG_CONTEXTIDR_EL1] == (uint32_t)v->sys[break_value[n]];
}

/* StateMatch(). */
static bool state_matches(const struct soft_vcpu *v, uint64_t control, bool privileged, bool linked)
{
    const unsigned secure_only = 2;

    if (state_is_reserved(control) || CONTROL_SSC(control) == secure_only)
        return false;
    if (!bit(CONTROL_PXC(control), privileged ? 0 : 1))
        return false;
    return !linked || context_matches(v, CONTROL_LBN(control), TYPE_CONTEXT_LINKED);
}

/* --- breakpoints --- */

static bool break_is_here(const struct soft_vcpu *v, unsigned n, uint64_t va, uint64_t mask)
{
    return ((v->sys[break_value[n]] ^ va) & ADDRESS_MASK & mask) == 0;
}

bool debug_breaks_in(const struct soft_vcpu *v, uint64_t va)
{
    if (v->debug.everywhere)
        return true;
    for (unsigned n = 0; n < DEBUG_BREAKPOINTS; n++)
        if (bit(v->debug.breaks, n) && break_is_here(v, n, va, ~(uint64_t)(CODE_PAGE_SIZE - 1)))
            return true;
    return false;
}

/* AArch64.BreakpointMatch(). DBGBCR.BAS is RES1 without AArch32. */
static bool break_matches(const struct soft_vcpu *v, unsigned n)
{
    uint64_t control = v->sys[break_control[n]];
    unsigned type = BREAK_TYPE(control);

    if (!state_matches(v, control, v->cpu.el != 0, type == TYPE_ADDRESS_LINKED))
        return false;
    if (type == TYPE_CONTEXT)
        return context_matches(v, n, TYPE_CONTEXT);
    return break_is_here(v, n, v->cpu.pc, ~3ull);
}

void debug_check_break(struct soft_vcpu *v)
{
    if (!debug_is_monitoring(v))
        return;
    for (unsigned n = 0; n < DEBUG_BREAKPOINTS; n++)
        if (bit(v->debug.breaks, n) && break_matches(v, n))
            debug_raise(v, EC_BREAKPOINT_LOWER, ISS_DEBUG, 0, v->cpu.pc);
}

/* --- watchpoints --- */

/* What watchpoint n watches: 1 << shift bytes, of which BAS chooses some if there are at most 8. */
struct watch_range {
    uint64_t base;
    unsigned shift;
    unsigned bas;
};

/* WatchpointByteMatch(). Its reserved values: a MASK of 1 or 2 is none, and with a MASK BAS counts
 * as all ones. */
static struct watch_range watch_range_of(const struct soft_vcpu *v, unsigned n)
{
    uint64_t value = v->sys[watch_value[n]] & ADDRESS_MASK, control = v->sys[watch_control[n]];
    unsigned mask = WATCH_MASK(control), shift = bit(value, 2) ? 2 : 3;
    struct watch_range w = { .shift = shift,
                             .bas = WATCH_BAS(control) & ((1u << (1u << shift)) - 1) };

    if (mask >= 3) {
        w.shift = mask;
        w.bas = 0xff;
    }
    w.base = align_down(value, 1ull << w.shift);
    return w;
}

bool debug_watches_in(const struct soft_vcpu *v, uint64_t va)
{
    for (unsigned n = 0; n < DEBUG_WATCHPOINTS; n++) {
        if (!bit(v->debug.watches, n))
            continue;
        struct watch_range w = watch_range_of(v, n);
        unsigned shift = w.shift > 12 ? w.shift : 12;
        if (((w.base ^ va) & ADDRESS_MASK) >> shift == 0)
            return true;
    }
    return false;
}

static bool watch_matches_byte(const struct watch_range *w, uint64_t va)
{
    if (((w->base ^ va) & ADDRESS_MASK) >> w->shift != 0)
        return false;
    return w->shift > 3 || bit(w->bas, va & ((1u << w->shift) - 1));
}

/* AArch64.WatchpointMatch(); `hit` gets the lowest watched address of the access. */
static bool watch_matches(const struct soft_vcpu *v, unsigned n, const struct debug_access *a,
                          uint64_t *hit)
{
    uint64_t control = v->sys[watch_control[n]];
    struct watch_range w = watch_range_of(v, n);

    if (!bit(WATCH_LSC(control), a->write) ||
        !state_matches(v, control, v->cpu.el != 0 && !a->unprivileged, WATCH_WT(control)))
        return false;
    for (unsigned k = 0; k < a->size; k++)
        if (watch_matches_byte(&w, a->va + k)) {
            *hit = a->va + k;
            return true;
        }
    return false;
}

void debug_check_watch(struct cpu *c, const struct insn *i, const struct debug_access *a)
{
    struct soft_vcpu *v = vcpu_of(c);
    uint64_t hit;

    if (!debug_is_monitoring(v))
        return;
    for (unsigned n = 0; n < DEBUG_WATCHPOINTS; n++)
        if (bit(v->debug.watches, n) && watch_matches(v, n, a, &hit))
            debug_raise(v, EC_WATCHPOINT_LOWER, ISS_DEBUG | a->iss | (a->write ? ISS_WNR : 0u), hit,
                        cpu_pc(c, i));
}

/* --- software step (D2.12) --- */

bool debug_is_stepping(const struct soft_vcpu *v)
{
    return (v->slow & SLOW_STEP) && debug_is_enabled(v);
}

void debug_raise_step(struct soft_vcpu *v)
{
    static const uint32_t iss[] = {
        [LAST_NOT_STEPPED] = ISS_DEBUG,
        [LAST_STEPPED] = STEP_ISV | ISS_DEBUG,
        [LAST_STEPPED_EXCLUSIVE] = STEP_ISV | STEP_EX | ISS_DEBUG,
    };
    debug_raise(v, EC_STEP_LOWER, iss[v->debug.last], 0, v->cpu.pc);
}

void debug_note_step(struct soft_vcpu *v, uint32_t word)
{
    /* LDXR, LDAXR; with bit 21 LDXP and LDAXP, but of 8 and 16 bits that is CASP. */
    bool exclusive = (word & 0x3fc00000) == 0x08400000 && ((word >> 31) || !(word >> 21 & 1));

    v->debug.last = exclusive ? LAST_STEPPED_EXCLUSIVE : LAST_STEPPED;
}

bool debug_return_step(const struct soft_vcpu *v, uint32_t spsr, unsigned el)
{
    return (v->slow & SLOW_STEP) && !debug_is_enabled(v) &&
           debug_is_enabled_at(v, el, spsr & PSTATE_D) && bit(spsr, 21);
}

/* --- registers --- */

bool debug_is_beyond(enum sysreg r)
{
    unsigned encoding = soft_sysreg_table[r].encoding, op2 = encoding & 7, n = encoding >> 3 & 15;

    if (r == SYSREG_MDSCR_EL1 || op2 < 4)
        return false;
    return n >= (op2 < 6 ? DEBUG_BREAKPOINTS : DEBUG_WATCHPOINTS);
}

/* Breakpoints that raise exceptions: those that are not only there to be linked to. */
static void debug_update(struct soft_vcpu *v)
{
    struct debug *d = &v->debug;

    d->breaks = d->watches = 0;
    d->everywhere = false;
    for (unsigned n = 0; n < DEBUG_BREAKPOINTS; n++) {
        uint64_t control = v->sys[break_control[n]];
        unsigned type = BREAK_TYPE(control);
        bool context = type == TYPE_CONTEXT && n >= DEBUG_BREAKPOINTS - DEBUG_CONTEXTS;
        if (!CONTROL_E(control) || (type > TYPE_ADDRESS_LINKED && !context))
            continue;
        d->breaks |= (uint8_t)(1u << n);
        d->everywhere |= context;
    }
    for (unsigned n = 0; n < DEBUG_WATCHPOINTS; n++)
        d->watches |= (uint8_t)(CONTROL_E(v->sys[watch_control[n]]) << n);
    v->slow &= ~(unsigned)(SLOW_STEP | SLOW_BREAK);
    v->slow |= v->sys[SYSREG_MDSCR_EL1] & MDSCR_SS ? SLOW_STEP : 0u;
    v->slow |= d->breaks ? SLOW_BREAK : 0u;
}

void debug_write(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    struct debug before = v->debug;
    unsigned op2 = soft_sysreg_table[r].encoding & 7;

    v->sys[r] = value;
    debug_update(v);
    v->debug.last = LAST_NOT_STEPPED;
    if (op2 >= 6 && (before.watches || v->debug.watches))
        tlb_flush_all(v);
    else if (op2 >= 4 && (before.breaks || v->debug.breaks))
        tlb_flush_fetch(v);
}

uint64_t debug_read_lock(struct soft_vcpu *v, enum sysreg r)
{
    switch (r) {
    case SYSREG_OSLSR_EL1:
        return OSLSR_OSLM | (v->sys[r] & OSLSR_OSLK);
    case SYSREG_DBGCLAIMSET_EL1: /* the tags that exist */
        return CLAIM_TAGS;
    case SYSREG_DBGCLAIMCLR_EL1: /* those that are set */
        return v->sys[SYSREG_DBGCLAIMSET_EL1];
    default:
        return v->sys[r];
    }
}

void debug_write_lock(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    switch (r) {
    case SYSREG_OSLAR_EL1:
        v->sys[SYSREG_OSLSR_EL1] = value & 1 ? OSLSR_OSLK : 0;
        break;
    case SYSREG_OSDLR_EL1:
    case SYSREG_DBGPRCR_EL1:
        v->sys[r] = value & 1;
        break;
    case SYSREG_DBGCLAIMSET_EL1:
        v->sys[r] |= value & CLAIM_TAGS;
        break;
    case SYSREG_DBGCLAIMCLR_EL1:
        v->sys[SYSREG_DBGCLAIMSET_EL1] &= ~value;
        break;
    default: /* no external debugger: nothing behind the communication channel */
        break;
    }
}
