/*
 * WFI and WFE (DDI 0487 D1.6). A wait looks again and again for a moment, and then sleeps on a
 * condition variable.
 *
 * To wake a thread costs more than most waits of a busy guest last, so looking comes first, for as
 * long as it paid lately: waits that are over soon make the moment longer, others shorter. While
 * more vCPUs are awake than the host has cores nobody looks; who is waited for may need the core.
 * Who looks for an interrupt, which may take longer, gives its core away now and then, to threads
 * that the interrupt is to come from and to others' work; the latter it leaves alone (soft/load.c).
 *
 * A WFE that follows a load-exclusive waits for the monitor to be cleared (B2.12.4), most often in
 * Linux's smp_cond_load_relaxed(). Watching the page for that (soft/exclusive.c) would cost every
 * store to it, so the value is looked at instead. A store of the same value is not seen, and a
 * sleeping vCPU sees none; so WFE sleeps for WAIT_EVENT_TICKS at most, as if there were an event
 * stream.
 *
 * One that sleeps, or looks for an interrupt, has `in_guest` false, so that nobody waits for it to
 * do what it was asked; it does that when it comes back. Who changes anything that ends a wait
 * changes it first and then calls soft_wake(), which looks at `waiting`; the waiter sets `waiting`
 * first and then looks at everything. All of that is sequentially consistent, so one of the two
 * sees the other.
 */
#include "soft/wait.h"

#include <errno.h>
#include <sched.h>

#include "soft/vcpu.h"

#define WAIT_US(us) ((us) * (HVX_COUNTER_HZ / 1000000))

/* How long WFE sleeps at most, in ticks. */
#define WAIT_EVENT_TICKS WAIT_US(50)

/* How long a wait looks before it sleeps, in ticks: at most, and when it begins to; for WFE at
 * least, since a WFE that slept can hardly tell whether it should not have. */
#define WAIT_INTERRUPT_MAX   WAIT_US(200)
#define WAIT_INTERRUPT_FIRST WAIT_US(10)
#define WAIT_VMM_LEAST       WAIT_US(10) /* less than that the VMM has not waited */
#define WAIT_EVENT_MAX       WAIT_US(50)
#define WAIT_EVENT_LEAST     WAIT_US(4)

/* Looks between two readings of the clock. */
#define WAIT_LOOKS 16

static void enter(struct soft_vcpu *v)
{
    atomic_store(&v->in_guest, true);
    jit_await(v);
}

void soft_enter_guest(struct soft_vcpu *v)
{
    atomic_fetch_add(&v->cpu.vm->load.awake, 1);
    enter(v);
}

void soft_leave_guest(struct soft_vcpu *v)
{
    atomic_store(&v->in_guest, false);
    atomic_fetch_sub(&v->cpu.vm->load.awake, 1);
}

void soft_wake(struct soft_vcpu *v)
{
    if (!atomic_load(&v->waiting))
        return;
    lock_acquire(&v->wait_lock); /* it sleeps, or has not looked yet */
    if (atomic_load(&v->waiting) && !v->counted) {
        atomic_fetch_add(&v->cpu.vm->load.awake, 1);
        v->counted = true;
    }
    lock_release(&v->wait_lock);
    pthread_cond_signal(&v->wait_cond);
}

/* --- what is waited for --- */

/* What ends a WFI, whatever PSTATE masks. */
static bool interrupt_is_there(struct soft_vcpu *v)
{
    return (atomic_load(&v->cpu.attention) & ATTENTION_CANCEL) ||
           soft_line(v, HV_INTERRUPT_TYPE_IRQ) || soft_line(v, HV_INTERRUPT_TYPE_FIQ) || v->serror;
}

/* What ends a WFE but a cleared monitor: interrupts only if they will be taken. */
static bool event_is_there(struct soft_vcpu *v)
{
    return atomic_load(&v->event) || soft_interrupt_ready(v) ||
           (atomic_load(&v->cpu.attention) & ATTENTION_CANCEL);
}

/* What the vCPU's load-exclusive read from; NULL if there is no monitor to be cleared, or memory no
 * longer. Valid while the vCPU is in the guest and adopts no map. */
static const uint8_t *monitored(struct soft_vcpu *v)
{
    const struct cpu *c = &v->cpu;
    const struct soft_region *r = c->excl_valid ? soft_region_of(v, c->excl_pa) : NULL;

    return r ? r->host + (c->excl_pa - r->ipa) : NULL;
}

/* Has it another value, or has its monitor been cleared? */
static bool monitor_is_cleared(const struct soft_vcpu *v, const uint8_t *host)
{
    const struct cpu *c = &v->cpu;

    if (c->excl_watched && !exclusive_get(v))
        return true;
    switch (c->excl_size) {
    case 1:
        return __atomic_load_n(host, __ATOMIC_ACQUIRE) != (uint8_t)c->excl_value[0];
    case 2:
        return __atomic_load_n((const uint16_t *)(const void *)host, __ATOMIC_ACQUIRE) !=
               (uint16_t)c->excl_value[0];
    case 4:
        return __atomic_load_n((const uint32_t *)(const void *)host, __ATOMIC_ACQUIRE) !=
               (uint32_t)c->excl_value[0];
    default:
        return __atomic_load_n((const uint64_t *)(const void *)host, __ATOMIC_ACQUIRE) !=
                   c->excl_value[0] ||
               (c->excl_size == 16 && __atomic_load_n((const uint64_t *)(const void *)host + 1,
                                                      __ATOMIC_ACQUIRE) != c->excl_value[1]);
    }
}

/* --- looking --- */

/* May the vCPU look for an interrupt, rather than sleep? */
static bool may_spin(struct soft_vcpu *v, uint64_t now)
{
    struct soft_vm *vm = v->cpu.vm;

    return crowd_is_over(&v->crowd, now) &&
           load_awake_fit(&vm->load, atomic_load(&vm->shared) ? 2 : 1);
}

/* Look for an interrupt until `end`. */
static bool spin_interrupt(struct soft_vcpu *v, uint64_t end)
{
    uint64_t now = soft_ticks(), last;

    while (now < end) {
        for (unsigned n = 0; n < WAIT_LOOKS; n++) {
            if (interrupt_is_there(v))
                return true;
            wait_pause();
        }
        (void)sched_yield();
        last = now;
        now = soft_ticks();
        if (crowd_note(&v->crowd, now, now - last))
            break;
    }
    return false;
}

/* Look for an event until `end`. The vCPU is in the guest: it goes on when it is asked for
 * anything.
 */
static bool spin_event(struct soft_vcpu *v, uint64_t end)
{
    const uint8_t *host = monitored(v);

    do {
        for (unsigned n = 0; n < WAIT_LOOKS; n++) {
            if (event_is_there(v) || atomic_load(&v->cpu.attention) ||
                (host && monitor_is_cleared(v, host)))
                return true;
            wait_pause();
        }
    } while (soft_ticks() < end);
    return false;
}

/* The next moment, if this one has paid or would have; and if not. */
static uint32_t longer(uint32_t ticks, uint32_t first, uint32_t most)
{
    ticks = ticks < first ? first : ticks * 2;
    return ticks < most ? ticks : most;
}

static uint32_t shorter(uint32_t ticks, uint32_t least)
{
    return ticks / 2 > least ? ticks / 2 : least;
}

/* --- sleeping --- */

/*
 * Sleep until `is_there`, or at `deadline`, a host counter value. Not in the guest.
 *
 * A thread wants a core from when it is woken, which may be long before it has one; so who wakes it
 * counts it as awake.
 */
static void sleep_until(struct soft_vcpu *v, uint64_t deadline,
                        bool (*is_there)(struct soft_vcpu *))
{
    _Atomic unsigned *awake = &v->cpu.vm->load.awake;
    uint64_t ns = timer_deadline_ns(deadline);
    int err = 0;

    lock_acquire(&v->wait_lock);
    atomic_store(&v->waiting, true);
    while (err != ETIMEDOUT && !is_there(v)) {
        v->counted = false;
        atomic_fetch_sub(awake, 1);
        err = lock_wait(&v->wait_lock, &v->wait_cond, ns);
        if (!v->counted)
            atomic_fetch_add(awake, 1);
        v->counted = true;
    }
    atomic_store(&v->waiting, false);
    lock_release(&v->wait_lock);
}

/* `deadline`, counter of the guest, as a host counter value. */
static uint64_t host_ticks(const struct soft_vcpu *v, uint64_t deadline)
{
    return deadline == UINT64_MAX ? UINT64_MAX : deadline + v->vtimer_offset;
}

static uint64_t sooner(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The wait from `start` is over. */
static void wait_ends(struct soft_vcpu *v, uint64_t start)
{
    v->cpu.budget = 0;
    v->exec_ticks -= soft_ticks() - start; /* soft_run() adds the whole run */
}

/* --- WFI --- */

/* Was it soon enough to be looked for? */
static void interrupt_came(struct soft_vcpu *v, bool soon)
{
    v->spin_interrupt = soon ? longer(v->spin_interrupt, WAIT_INTERRUPT_FIRST, WAIT_INTERRUPT_MAX)
                             : shorter(v->spin_interrupt, 0);
}

/* A timer whose interrupt is not enabled raises its line and wakes nobody: sleep on. */
void soft_wait_interrupt(struct soft_vcpu *v, uint64_t deadline)
{
    struct soft_vm *vm = v->cpu.vm;
    uint64_t until = host_ticks(v, deadline), start = soft_ticks(), now = start;
    bool first = true;

    for (;;) {
        soft_gic_sync_inputs(v);
        if (now >= until || interrupt_is_there(v))
            break;
        uint64_t end = sooner(until, soft_gic_deadline(v, now));
        pmu_leave(v); /* its clock stops */
        atomic_store(&v->in_guest, false);
        if (!first || !may_spin(v, now) ||
            !spin_interrupt(v, sooner(end, start + v->spin_interrupt)))
            sleep_until(v, end, interrupt_is_there);
        enter(v);
        pmu_enter(v);
        first = false;
        now = soft_ticks();
    }
    if (v->hot.jit)
        ticker_wake(vm);
    interrupt_came(v, now - start < WAIT_INTERRUPT_MAX);
    wait_ends(v, start);
}

/* Without a GIC the VMM knows of interrupts, and cancels the run for one. It sleeps after the exit,
 * so whether it was for long is seen when it runs the vCPU again. */
void soft_look_interrupt(struct soft_vcpu *v, uint64_t deadline)
{
    uint64_t start = soft_ticks(),
             end = sooner(sooner(host_ticks(v, deadline), soft_gic_deadline(v, start)),
                          start + v->spin_interrupt);

    if (interrupt_is_there(v) || timer_fires(v))
        return;
    if (v->spin_interrupt && may_spin(v, start)) {
        pmu_leave(v);
        atomic_store(&v->in_guest, false);
        bool came = spin_interrupt(v, end);
        enter(v);
        pmu_enter(v);
        wait_ends(v, start);
        if (came) {
            interrupt_came(v, true);
            return;
        }
    }
    v->wait_start = start;
    v->wait_exit = soft_ticks();
}

void soft_waited(struct soft_vcpu *v)
{
    uint64_t now = soft_ticks();

    interrupt_came(v, now - v->wait_exit >= WAIT_VMM_LEAST &&
                          now - v->wait_start < WAIT_INTERRUPT_MAX);
    v->wait_exit = 0;
}

/* --- WFE --- */

bool soft_spin_event(struct soft_vcpu *v)
{
    if (atomic_exchange(&v->event, false)) /* SEVL; WFE begins every wait for a lock */
        return true;
    uint64_t start = soft_ticks();
    if (!spin_event(v, load_awake_fit(&v->cpu.vm->load, 1) ? start + v->spin_event : 0))
        return false;
    v->spin_event = longer(v->spin_event, WAIT_EVENT_LEAST, WAIT_EVENT_MAX);
    atomic_store(&v->event, false);
    wait_ends(v, start);
    return true;
}

void soft_wait_event(struct soft_vcpu *v, uint64_t deadline)
{
    if (soft_spin_event(v))
        return;

    uint64_t start = soft_ticks(),
             until = sooner(host_ticks(v, deadline), start + WAIT_EVENT_TICKS);

    soft_gic_sync_inputs(v);
    pmu_leave(v);
    atomic_store(&v->in_guest, false);
    sleep_until(v, sooner(until, soft_gic_deadline(v, start)), event_is_there);
    enter(v);
    pmu_enter(v);
    if (v->hot.jit)
        ticker_wake(v->cpu.vm);
    /* Was it worth it? If the map changed meanwhile, the value cannot be looked at yet. */
    const uint8_t *host = atomic_load(&v->cpu.attention) ? NULL : monitored(v);
    v->spin_event = host && monitor_is_cleared(v, host)
                        ? longer(v->spin_event, WAIT_EVENT_LEAST, WAIT_EVENT_MAX)
                        : shorter(v->spin_event, WAIT_EVENT_LEAST);
    atomic_store(&v->event, false);
    wait_ends(v, start);
}

void soft_send_event(struct soft_vcpu *v)
{
    struct soft_vm *vm = v->cpu.vm;

    lock_acquire(&vm->lock);
    for (unsigned n = 0; n < vm->vcpu_end; n++)
        if (vm->vcpu[n]) {
            atomic_store(&vm->vcpu[n]->event, true);
            soft_wake(vm->vcpu[n]);
        }
    lock_release(&vm->lock);
}
