/*
 * The life of one vCPU thread:
 *
 *   look at timers -> IRQ and FIQ lines -> hv_vcpu_run -> handle the exit -> again
 *
 * Apple's interrupt inputs are levels for one run (they fall when hv_vcpu_run returns), and its
 * virtual timer fires once and masks itself; so both are recomputed before every run.
 *
 * Nothing can get lost between looking and running or waiting: whoever changes something sets
 * `kicked` under the lock and, when `in_guest` is set, calls hv_vcpus_exit(), which is sticky. The
 * loop clears `kicked` first and looks afterwards, and neither runs nor waits while it is set.
 */
#include "vmm/vcpu.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#ifdef __APPLE__
#include <pthread/qos.h>
#endif
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include <Hypervisor/hvx.h>

#include "base/log.h"
#include "base/thread.h"
#include "vmm/exit.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"

/* How long WFE waits at most, as a part of a second: SEV of another CPU makes no exit, so nothing
 * wakes us; and the loop around a WFE must not be held up. */
#define VCPU_WFE_PART 20000

#define VCPU_NEVER UINT64_MAX

/* --- trapped registers --- */

static uint64_t vcpu_sysreg_now(void *ctx)
{
    const struct vcpu *v = ctx;
    return vm_count(v->vm);
}

static uint64_t vcpu_sysreg_read(void *ctx, uint16_t encoding)
{
    return vcpu_get_sys(ctx, encoding);
}

static void vcpu_sysreg_write(void *ctx, uint16_t encoding, uint64_t value)
{
    vcpu_set_sys(ctx, encoding, value);
}

/* --- talking to a vCPU from anywhere --- */

static void vcpu_kick_locked(struct vcpu *v)
{
    v->kicked = true;
    pthread_cond_broadcast(&v->wake);
    if (v->in_guest)
        hv_vcpus_exit(&v->handle, 1);
}

void vcpu_kick(struct vcpu *v)
{
    lock_acquire(&v->lock);
    vcpu_kick_locked(v);
    lock_release(&v->lock);
}

/* A line that falls needs no kick: the guest finds no interrupt to acknowledge, as on hardware. */
void vcpu_set_lines(struct vcpu *v, bool irq, bool fiq)
{
    lock_acquire(&v->lock);
    bool rises = (irq && !v->irq) || (fiq && !v->fiq);
    v->irq = irq;
    v->fiq = fiq;
    if (rises)
        vcpu_kick_locked(v);
    lock_release(&v->lock);
}

int vcpu_power_on(struct vcpu *v, uint64_t entry, uint64_t context)
{
    int r = PSCI_SUCCESS;
    lock_acquire(&v->lock);
    if (v->power == PSCI_STATE_ON) {
        r = PSCI_ALREADY_ON;
    } else if (v->power == PSCI_STATE_ON_PENDING) {
        r = PSCI_ON_PENDING;
    } else {
        v->power = PSCI_STATE_ON_PENDING;
        v->entry = entry;
        v->context = context;
        vcpu_kick_locked(v);
    }
    lock_release(&v->lock);
    return r;
}

enum psci_state vcpu_power_state(struct vcpu *v)
{
    lock_acquire(&v->lock);
    enum psci_state s = v->power;
    lock_release(&v->lock);
    return s;
}

void vcpu_ask_stats(struct vcpu *v)
{
    lock_acquire(&v->lock);
    if (v->alive) {
        v->asked = true;
        vcpu_kick_locked(v);
    }
    lock_release(&v->lock);
}

void vcpu_read_stats(struct vcpu *v, uint64_t deadline, struct stats_cpu *out)
{
    lock_acquire(&v->lock);
    while (v->asked && lock_wait(&v->lock, &v->wake, deadline) != ETIMEDOUT)
        ;
    *out = v->told;
    lock_release(&v->lock);
}

static void vcpu_alarm_fire(void *arg)
{
    vcpu_kick(arg);
}

/* --- timers --- */

/* Host time at which the guest's counter reaches `count`; 0 when it has, UINT64_MAX for times
 * beyond 20 years. */
static uint64_t vcpu_deadline_ns(const struct vcpu *v, uint64_t count)
{
    uint64_t now = vm_count(v->vm);
    if (count <= now)
        return 0;
    uint64_t ticks = count - now;
    if (ticks > 1ull << 54)
        return UINT64_MAX;
    uint64_t hz = v->vm->counter_hz;
    return clock_monotonic_ns() + ticks / hz * 1000000000 + ticks % hz * 1000000000 / hz + 1;
}

/* Drive PPI 27 and 30 to the timers' levels, unmask the virtual timer when the guest has dealt with
 * it, and set the alarm for the physical one, which fires while the guest runs, too. */
static void vcpu_sync_timers(struct vcpu *v)
{
    struct gicv2 *gic = v->vm->machine.gic;
    if (!gic) /* the timers are wired to the hypervisor's */
        return;
    if (v->vtimer_masked) {
        uint64_t ctl = vcpu_get_sys(v, SYSREG_CNTV_CTL);
        if ((ctl & (TIMER_ENABLE | TIMER_IMASK | TIMER_ISTATUS)) !=
            (TIMER_ENABLE | TIMER_ISTATUS)) {
            gicv2_set_ppi(gic, v->index, MEMMAP_PPI_VTIMER, false);
            hv_vcpu_set_vtimer_mask(v->handle, false);
            v->vtimer_masked = false;
        }
    }
    uint64_t want = VCPU_NEVER;
    bool level = false;
    if ((v->sys.cntp_ctl & (TIMER_ENABLE | TIMER_IMASK)) == TIMER_ENABLE) {
        level = sysreg_ptimer_level(&v->sys, vm_count(v->vm));
        if (!level)
            want = v->sys.cntp_cval;
    }
    if (level != v->ptimer_level) {
        v->ptimer_level = level;
        gicv2_set_ppi(gic, v->index, MEMMAP_PPI_PHYS_TIMER, level);
    }
    if (want != v->alarm_count) {
        v->alarm_count = want;
        alarm_set(&v->alarm, vcpu_deadline_ns(v, want));
    }
}

/* Drive PPI 23 to the level that the run has left. */
static void vcpu_sync_pmu(struct vcpu *v)
{
    bool level;
    if (!v->vm->pmu || v->vm->gicv3 || hvx_vcpu_get_pmu_irq(v->handle, &level) != HV_SUCCESS ||
        level == v->pmu_level)
        return;
    v->pmu_level = level;
    gicv2_set_ppi(v->vm->machine.gic, v->index, MEMMAP_PPI_PMU, level);
}

/* The counter value at which the next timer interrupt of a waiting vCPU is due. */
static uint64_t vcpu_next_timer(const struct vcpu *v)
{
    uint64_t next = v->alarm_count;
    if (!v->vtimer_masked &&
        (vcpu_get_sys(v, SYSREG_CNTV_CTL) & (TIMER_ENABLE | TIMER_IMASK)) == TIMER_ENABLE) {
        uint64_t cval = vcpu_get_sys(v, SYSREG_CNTV_CVAL);
        if (cval < next)
            next = cval;
    }
    return next;
}

/* Wait until an interrupt line is high, somebody kicks, or the counter reaches `count`. */
static void vcpu_wait(struct vcpu *v, uint64_t count)
{
    if (v->vm->gicv3) /* only the hypervisor knows what ends a wait: end it at once */
        return;
    vcpu_sync_timers(v);
    uint64_t timer = vcpu_next_timer(v);
    uint64_t deadline = vcpu_deadline_ns(v, timer < count ? timer : count);
    lock_acquire(&v->lock);
    while (!v->irq && !v->fiq && !v->kicked)
        if (lock_wait(&v->lock, &v->wake, deadline) == ETIMEDOUT)
            break;
    lock_release(&v->lock);
}

/* --- power --- */

/* Wait while the CPU is powered off. Returns with it on, or with the VM stopping. */
static void vcpu_wait_power(struct vcpu *v)
{
    bool starts = false;
    uint64_t entry = 0, context = 0;
    lock_acquire(&v->lock);
    while (v->power == PSCI_STATE_OFF && !v->asked && !vm_is_stopping(v->vm))
        lock_wait(&v->lock, &v->wake, UINT64_MAX);
    if (v->power == PSCI_STATE_ON_PENDING) {
        v->power = PSCI_STATE_ON;
        entry = v->entry;
        context = v->context;
        starts = true;
    }
    lock_release(&v->lock);
    if (!starts)
        return;
    vcpu_reset_registers(v, entry, context);
    uint64_t never = 0;
    (void)atomic_compare_exchange_strong(&v->vm->start_ns, &never, clock_monotonic_ns());
}

static void vcpu_power_off(struct vcpu *v)
{
    lock_acquire(&v->lock);
    v->power = PSCI_STATE_OFF;
    lock_release(&v->lock);
    sysreg_reset(&v->sys);
    vcpu_set_sys(v, SYSREG_CNTV_CTL, 0);
    vcpu_reset_interface(v);
    vcpu_sync_timers(v);
}

/* --- counters --- */

static uint64_t vcpu_processor_ns(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t) == 0
               ? (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec
               : 0;
}

/* Tell the counters to whoever asked. At the end of the thread they become those of the past, whose
 * code memory is gone. */
static void vcpu_tell_stats(struct vcpu *v, bool ends)
{
    struct stats_cpu now = { .cpu_ns = vcpu_processor_ns() };
    memcpy(now.exits, v->exits, sizeof now.exits);
    (void)hvx_vcpu_get_stats(v->handle, &now.engine); /* all zero where there are none */
    stats_add(&now, &v->past);
    lock_acquire(&v->lock);
    v->told = now;
    v->asked = false;
    v->alive = !ends;
    pthread_cond_broadcast(&v->wake);
    lock_release(&v->lock);
    if (!ends)
        return;
    v->past = now;
    memset(v->past.exits, 0, sizeof v->past.exits);
    v->past.engine.translation.cache_used = v->past.engine.translation.cache_size = 0;
}

/* --- the loop --- */

/* Last look before the guest: false when something new is to be looked at. */
static bool vcpu_enter(struct vcpu *v)
{
    lock_acquire(&v->lock);
    bool go = !v->kicked;
    bool irq = v->irq, fiq = v->fiq;
    v->in_guest = go;
    lock_release(&v->lock);
    if (go && !v->vm->gicv3) {
        hv_vcpu_set_pending_interrupt(v->handle, HV_INTERRUPT_TYPE_IRQ, irq);
        hv_vcpu_set_pending_interrupt(v->handle, HV_INTERRUPT_TYPE_FIQ, fiq);
    }
    return go;
}

static void vcpu_leave(struct vcpu *v)
{
    lock_acquire(&v->lock);
    v->in_guest = false;
    lock_release(&v->lock);
}

static void vcpu_handle_exception(struct vcpu *v)
{
    uint64_t deadline = VCPU_NEVER;
    switch (exit_handle(v, &deadline)) {
    case EXIT_RUN:
    case EXIT_STOP:
        break;
    case EXIT_WAIT_INTERRUPT:
        vcpu_wait(v, deadline);
        break;
    case EXIT_WAIT_EVENT: {
        uint64_t soon = vm_count(v->vm) + v->vm->counter_hz / VCPU_WFE_PART;
        vcpu_wait(v, soon < deadline ? soon : deadline);
        break;
    }
    case EXIT_CPU_OFF:
        vcpu_power_off(v);
        break;
    }
}

static void vcpu_handle_exit(struct vcpu *v)
{
    v->exits[stats_exit_of(v->exit)]++;
    switch (v->exit->reason) {
    case HV_EXIT_REASON_CANCELED:
        break;
    case HV_EXIT_REASON_EXCEPTION:
        vcpu_handle_exception(v);
        break;
    case HV_EXIT_REASON_VTIMER_ACTIVATED:
        v->vtimer_masked = true;
        if (v->vm->gicv3) /* said never to happen; the interrupt is there by itself */
            break;
        gicv2_set_ppi(v->vm->machine.gic, v->index, MEMMAP_PPI_VTIMER, true);
        break;
    default:
        vcpu_dump(v);
        vm_fail(v->vm, "CPU %u stopped for a reason that the host does not tell", v->index);
        break;
    }
}

static void vcpu_loop(struct vcpu *v)
{
    for (;;) {
        lock_acquire(&v->lock);
        v->kicked = false;
        bool on = v->power == PSCI_STATE_ON, asked = v->asked;
        lock_release(&v->lock);
        if (vm_is_stopping(v->vm))
            return;
        if (asked)
            vcpu_tell_stats(v, false);
        if (!on) {
            vcpu_wait_power(v);
            continue;
        }
        vcpu_sync_timers(v);
        if (!vcpu_enter(v))
            continue;
        hv_return_t r = hv_vcpu_run(v->handle);
        vcpu_leave(v);
        if (r != HV_SUCCESS) {
            vm_fail(v->vm, "running CPU %u failed: %s", v->index, hvcall_text(r));
            return;
        }
        vcpu_sync_pmu(v);
        vcpu_handle_exit(v);
    }
}

static int vcpu_create_here(struct vcpu *v, struct err *e)
{
    int r = hvcall_check(e, hv_vcpu_create(&v->handle, &v->exit, NULL), "creating a virtual CPU");
    if (r < 0)
        return r;
    v->vtimer_masked = false;
    v->ptimer_level = false;
    v->pmu_level = false;
    v->alarm_count = VCPU_NEVER;
    sysreg_reset(&v->sys);
    hv_vcpu_set_vtimer_offset(v->handle, v->vm->tick_offset);
    vcpu_set_identity(v);
    v->steals = vm_publish_stolen(v->vm, v->index, v->handle);
    return 0;
}

/* Guests are work that somebody waits for: without a class macOS may put it on the slow cores, and
 * Linux ends waits up to 50 us late, which a guest's timers would have on top of their own. */
static void vcpu_prepare_thread(const struct vcpu *v)
{
    char name[16];
    snprintf(name, sizeof name, "vcpu %u", v->index);
    thread_name(name);
#ifdef __APPLE__
    (void)pthread_set_qos_class_self_np(QOS_CLASS_USER_INITIATED, 0);
#endif
#ifdef __linux__
    (void)prctl(PR_SET_TIMERSLACK, 1000); /* ns */
#endif
}

static void *vcpu_thread(void *arg)
{
    struct vcpu *v = arg;
    vcpu_prepare_thread(v);
    struct err e;
    int r = vcpu_create_here(v, &e);
    lock_acquire(&v->lock);
    v->ready = true;
    v->alive = r == 0;
    pthread_cond_broadcast(&v->wake);
    lock_release(&v->lock);
    if (r < 0) {
        vm_fail(v->vm, "%s", e.text);
        return NULL;
    }
    vcpu_loop(v);
    alarm_set(&v->alarm, ALARM_OFF);
    vcpu_tell_stats(v, true);
    hv_vcpu_destroy(v->handle);
    return NULL;
}

/* --- life --- */

int vcpu_init(struct vcpu *v, struct vm *vm, unsigned index)
{
    v->vm = vm;
    v->index = index;
    v->power = PSCI_STATE_OFF;
    v->sys = (struct sysreg_cpu){
        .now = vcpu_sysreg_now,
        .native_read = vcpu_sysreg_read,
        .native_write = vcpu_sysreg_write,
        .ctx = v,
        .log = &vm->sysreg_log,
    };
    lock_init(&v->lock, LOCK_VCPU);
    cond_init(&v->wake);
    if (!vm->config.alarm_create)
        return 0;
    return vm->config.alarm_create(vm->config.alarm_ctx, vcpu_alarm_fire, v, &v->alarm);
}

void vcpu_fini(struct vcpu *v)
{
    pthread_cond_destroy(&v->wake);
    lock_fini(&v->lock);
}

int vcpu_start(struct vcpu *v, struct err *e)
{
    v->ready = false;
    int r = pthread_create(&v->thread, NULL, vcpu_thread, v);
    if (r != 0)
        return err_set(e, -r, "cannot start a thread for CPU %u: %s", v->index, strerror(r));
    lock_acquire(&v->lock);
    while (!v->ready)
        lock_wait(&v->lock, &v->wake, UINT64_MAX);
    lock_release(&v->lock);
    return 0;
}

void vcpu_join(struct vcpu *v)
{
    pthread_join(v->thread, NULL);
    v->power = PSCI_STATE_OFF;
}
