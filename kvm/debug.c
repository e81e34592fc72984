/*
 * Debug exceptions to the monitor: KVM_SET_GUEST_DEBUG has them all trapped, and leaves the guest's
 * own breakpoints and watchpoints in place. KVM hides MDSCR_EL1.SS of the guest then, so a step
 * that the monitor has set up is asked of KVM instead.
 */
#include <errno.h>

#include "kvm/kvm.h"

#define MDSCR_SS  1u
#define PSTATE_SS (1u << 21)

/* EC 0x32, IL; ISV and EX clear, IFSC "debug" (DDI 0487 D24.2.40). */
#define SYNDROME_STEP 0xca000022u

int kvm_set_trap_debug_exceptions(struct hv_backend_vcpu *vcpu, bool on)
{
    kvm_vcpu_of(vcpu)->trap_debug = on;
    return 0;
}

/* KVM handles these accesses itself. */
int kvm_set_trap_debug_reg_accesses(struct hv_backend_vcpu *vcpu, bool on)
{
    (void)vcpu;
    return on ? -ENOTSUP : 0;
}

bool kvm_debug_enter(struct kvm_vcpu *v)
{
    uint32_t control = v->trap_debug ? KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_USE_SW_BP : 0;

    if (v->trap_debug && kvm_sys(v, HV_SYS_REG_MDSCR_EL1) & MDSCR_SS) {
        if (!(kvm_reg(v, HV_REG_CPSR) & PSTATE_SS)) { /* active and pending, D2.12 */
            v->exit->reason = HV_EXIT_REASON_EXCEPTION;
            v->exit->exception = (hv_vcpu_exit_exception_t){ .syndrome = SYNDROME_STEP };
            return true;
        }
        control |= KVM_GUESTDBG_SINGLESTEP;
    }
    if (control != v->guest_debug) {
        const struct kvm_guest_debug debug = { .control = control };

        if (kvm_call(v->fd, KVM_SET_GUEST_DEBUG, &debug) == 0)
            v->guest_debug = control;
    }
    return false;
}
