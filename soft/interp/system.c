/*
 * Exception generation and return, hints, barriers (DDI 0487 C4.1.93). What would go to EL2 is an
 * exit of hv_vcpu_run, with Apple's rules for the PC: after HVC, at everything else.
 */
#include <sched.h>

#include "soft/interp/interp.h"
#include "soft/vcpu.h"

enum wfx { WFX_WFI, WFX_WFE, WFX_WFIT, WFX_WFET };

#define WFX_CONDITION (1u << 24 | 0xeu << 20) /* CV, COND = always */

static const struct insn *exit_at(struct cpu *c, const struct insn *i, enum exc_class ec,
                                  uint32_t iss, uint64_t pc)
{
    (void)i;
    soft_exit_exception(vcpu_of(c), (uint64_t)ec << 26 | ESR_IL | iss, 0, 0, pc);
    return NULL;
}

static void undefined_at_el0(struct cpu *c, const struct insn *i)
{
    if (c->el == 0)
        exc_undefined(c, i);
}

INSN(SVC)
{
    exc_enter_sync(c, EC_SVC64, (uint32_t)i->imm, cpu_pc(c, i) + 4);
    return NULL;
}

INSN(HVC)
{
    undefined_at_el0(c, i);
    return exit_at(c, i, EC_HVC64, (uint32_t)i->imm, cpu_pc(c, i) + 4);
}

INSN(SMC)
{
    undefined_at_el0(c, i);
    return exit_at(c, i, EC_SMC64, (uint32_t)i->imm, cpu_pc(c, i));
}

INSN(BRK)
{
    if (vcpu_of(c)->trap_debug_exceptions)
        return exit_at(c, i, EC_BRK64, (uint32_t)i->imm, cpu_pc(c, i));
    exc_enter_sync(c, EC_BRK64, (uint32_t)i->imm, cpu_pc(c, i));
    return NULL;
}

INSN(ERET)
{
    undefined_at_el0(c, i);
    cpu_end_run(c, cpu_pc(c, i) + 4);
    exc_return(c);
    return NULL;
}

/* There is no external debugger: HLT and DCPS are undefined, and so is DRPS outside debug state. */
INSN(HLT)
{
    exc_undefined(c, i);
}

INSN(DCPS1)
{
    exc_undefined(c, i);
}

INSN(DCPS2)
{
    exc_undefined(c, i);
}

INSN(DCPS3)
{
    exc_undefined(c, i);
}

INSN(DRPS)
{
    exc_undefined(c, i);
}

INSN(UDF)
{
    exc_undefined(c, i);
}

INSN(NOP)
{
    (void)c;
    return i + 1;
}

/* Who spins waits for another vCPU, which may wait for a host core. */
INSN(YIELD)
{
    if (c->vm->shared && ++vcpu_of(c)->yields % 8 == 0)
        sched_yield();
    return i + 1;
}

/* EL0 needs SCTLR_EL1.nTWI or nTWE; else the wait is EL1's to see. */
static const struct insn *wait_for(struct cpu *c, const struct insn *i, enum wfx kind,
                                   uint32_t timeout)
{
    bool event = kind == WFX_WFE || kind == WFX_WFET;
    uint64_t enable = event ? SCTLR_NTWE : SCTLR_NTWI;
    uint32_t iss = WFX_CONDITION | timeout | kind;

    if (c->el == 0 && !(vcpu_of(c)->sys[SYSREG_SCTLR_EL1] & enable)) {
        exc_enter_sync(c, EC_WFX, iss, cpu_pc(c, i));
        return NULL;
    }
    uint64_t deadline = timeout ? c->x[i->rn] : UINT64_MAX;
    if (c->vm->gic) {
        (event ? soft_wait_event : soft_wait_interrupt)(vcpu_of(c), deadline);
        return soft_resume(c, cpu_pc(c, i) + 4);
    }
    if (event && c->vm->shared && soft_spin_event(vcpu_of(c)))
        return soft_resume(c, cpu_pc(c, i) + 4);
    if (!event)
        soft_look_interrupt(vcpu_of(c), deadline);
    return exit_at(c, i, EC_WFX, iss, cpu_pc(c, i));
}

/* ISS.RN and RV of the forms with a timeout. */
static uint32_t timeout_register(const struct insn *i)
{
    return (uint32_t)bits(i->word, 4, 0) << 5 | 1u << 2;
}

INSN(WFI)
{
    return wait_for(c, i, WFX_WFI, 0);
}

INSN(WFE)
{
    if (vcpu_of(c)->event) {
        vcpu_of(c)->event = false;
        return i + 1;
    }
    return wait_for(c, i, WFX_WFE, 0);
}

INSN(WFIT)
{
    return wait_for(c, i, WFX_WFIT, timeout_register(i));
}

INSN(WFET)
{
    if (vcpu_of(c)->event) {
        vcpu_of(c)->event = false;
        return i + 1;
    }
    return wait_for(c, i, WFX_WFET, timeout_register(i));
}

/* Without a GIC a WFE is an exit, and the VMM does not wait for long; so only this vCPU's event is
 * kept. */
INSN(SEV)
{
    if (c->vm->gic)
        soft_send_event(vcpu_of(c));
    vcpu_of(c)->event = true;
    return i + 1;
}

INSN(SEVL)
{
    vcpu_of(c)->event = true;
    return i + 1;
}

INSN(CLREX)
{
    c->excl_valid = false;
    return i + 1;
}

INSN(DMB)
{
    (void)c;
    atomic_thread_fence(memory_order_seq_cst);
    return i + 1;
}

/* Completes what other vCPUs were asked to invalidate; meanwhile they may have asked this one. */
INSN(DSB)
{
    atomic_thread_fence(memory_order_seq_cst);
    if (!vcpu_of(c)->barrier_needed)
        return i + 1;
    soft_barrier(vcpu_of(c));
    return soft_resume(c, cpu_pc(c, i) + 4);
}

/* Every change of context takes effect where it is made. */
INSN(ISB)
{
    (void)c;
    return i + 1;
}

INSN(SB)
{
    (void)c;
    return i + 1;
}
