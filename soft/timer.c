/*
 * The virtual timer (DDI 0487 D12.2) as Apple's framework shows it: CNTVCT_EL0 is the host's
 * counter minus an offset, and a timer that fires in the guest is an exit that masks the timer for
 * the VMM until it unmasks it. Where the VM has a GIC the timer is wired to that, soft/gic.c.
 */
#include "base/clock.h"
#include "soft/vcpu.h"

enum { CNT_CTL_ENABLE = 1, CNT_CTL_IMASK = 2, CNT_CTL_ISTATUS = 4 };

uint64_t soft_ticks(void)
{
    return clock_ticks_24mhz();
}

uint64_t timer_deadline_ns(uint64_t ticks)
{
    uint64_t now = soft_ticks();

    if (ticks <= now)
        return 0;
    if (ticks - now > 1ull << 54) /* 20 years */
        return UINT64_MAX;
    return clock_monotonic_ns() + (ticks - now) * 125 / 3 + 1;
}

static bool timer_condition(const struct soft_vcpu *v)
{
    return (v->sys[SYSREG_CNTV_CTL_EL0] & CNT_CTL_ENABLE) &&
           timer_count(v) >= v->sys[SYSREG_CNTV_CVAL_EL0];
}

uint64_t timer_control(const struct soft_vcpu *v)
{
    uint64_t ctl = v->sys[SYSREG_CNTV_CTL_EL0] & (CNT_CTL_ENABLE | CNT_CTL_IMASK);
    return ctl | (timer_condition(v) ? CNT_CTL_ISTATUS : 0);
}

bool timer_fires(const struct soft_vcpu *v)
{
    uint64_t ctl = v->sys[SYSREG_CNTV_CTL_EL0];
    if (v->vtimer_masked || v->cpu.vm->gic || !(ctl & CNT_CTL_ENABLE) || (ctl & CNT_CTL_IMASK))
        return false;
    return timer_condition(v);
}

void timer_note(struct soft_vcpu *v)
{
    if (!v->hot.jit)
        return;
    uint64_t due = soft_gic_deadline(v, soft_ticks());
    atomic_store(&v->timer_due, due);
    ticker_hurry(v->cpu.vm, due);
}
