/* hv_vcpu_run() over time: interrupts, the virtual timer, cancelling, several vCPUs. */
#include "guest.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define CTL_ENABLE  1u
#define CTL_IMASK   2u
#define CTL_ISTATUS 4u

static const uint32_t spin[] = { A64_B_SELF };

/* Milliseconds in ticks of the guest's counter. */
static uint64_t ticks(unsigned ms)
{
    return hvx_counter_hz() / 1000 * ms;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = { .tv_nsec = ms * 1000000l };

    nanosleep(&t, NULL);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Interrupts. */

static void pending_irq_reaches_the_vector(void)
{
    struct guest g;
    bool pending = true;

    GUEST_OPEN(&g, spin);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_IRQ_EL1)));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_SPSR_EL1), CPSR_EL1H);
    CHECK_EQ(guest_reg(&g, HV_REG_CPSR), CPSR_EL1H_MASKED);
    CHECK_OK(hv_vcpu_get_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, &pending));
    CHECK(!pending); /* cleared when the run returned */
    guest_close(&g);
}

static void pending_fiq_reaches_its_vector(void)
{
    struct guest g;

    GUEST_OPEN(&g, spin);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_FIQ, true));
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_FIQ_EL1)));
    guest_close(&g);
}

static void masked_irq_waits_until_unmasked(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 1), A64_DAIFCLR(2), A64_MOVZ(0, 2), A64_BRK(0) };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_IRQ_EL1)));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 1);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ELR_EL1), GUEST_CODE + 8);
    guest_close(&g);
}

static void irq_line_drops_when_the_run_returns(void)
{
    static const uint32_t code[] = { A64_HVC(0), A64_DAIFCLR(2), A64_BRK(0xd0) };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK(guest_run_brk(&g, 0xd0)); /* not the vector */
    guest_close(&g);
}

static void irq_is_a_level_during_a_run(void)
{
    /* The handler counts and returns; after three times it exits. */
    static const uint32_t handler[] = {
        A64_ADD_IMM(0, 1), 0xf1000c1f /* cmp x0, #3 */, A64_B_NE(2), A64_BRK(0xd1), A64_ERET,
    };
    struct guest g;

    GUEST_OPEN(&g, spin);
    memcpy(g.ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * VECTOR_IRQ_EL1, handler, sizeof handler);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    CHECK(guest_run_brk(&g, 0xd1));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 3);
    guest_close(&g);
}

static void isr_el1_shows_the_lines(void)
{
    static const uint32_t code[] = { A64_MRS(0, A64_REG(3, 0, 12, 1, 0)), A64_BRK(0) };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0x80);
    guest_close(&g);
}

static void wfi_exits_with_an_interrupt_pending(void)
{
    static const uint32_t code[] = { A64_WFI, A64_BRK(0) };
    struct guest g;

    if (check_skip_on_kvm("KVM waits itself"))
        return;
    GUEST_OPEN(&g, code);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    CHECK(guest_run_wfi(&g));
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE);
    guest_close(&g);
}

/* The virtual timer. */

static void counter_runs_at_its_frequency(void)
{
    static const uint32_t code[] = {
        A64_MRS(0, REG_CNTFRQ_EL0),
        A64_MRS(1, REG_CNTVCT_EL0),
        A64_HVC(0),
        A64_MRS(2, REG_CNTVCT_EL0),
        A64_BRK(0),
    };
    struct guest g;

    GUEST_OPEN(&g, code);
    uint64_t before = now_ns();
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    uint64_t after_first = now_ns(), before_second = after_first;
    while (before_second < after_first + 2000000)
        before_second = now_ns();
    CHECK(guest_run_brk(&g, 0));
    uint64_t after = now_ns();
    CHECK_EQ(guest_reg(&g, HV_REG_X0), hvx_counter_hz());

    uint64_t counted = guest_reg(&g, HV_REG_X2) - guest_reg(&g, HV_REG_X1);
    uint64_t khz = hvx_counter_hz() / 1000, slack = 1 + khz / 1000;

    CHECK(counted + slack >= (before_second - after_first) * khz / 1000000); /* what lay between, */
    CHECK(counted <= (after - before) * khz / 1000000 + slack);              /* at most all of it */
    guest_close(&g);
}

static void counter_is_absolute_time_minus_offset(void)
{
    static const uint32_t code[] = { A64_MRS(0, REG_CNTVCT_EL0), A64_HVC(0), A64_B(-2) };
    static const uint64_t offsets[] = { 0, 1000000000000ull, -5ull };
    struct guest g;

    GUEST_OPEN(&g, code);
    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(hv_vcpu_set_vtimer_offset(g.vcpu, offsets[i]));

        uint64_t before = hvx_absolute_time();

        CHECK(guest_run_exception(&g, EC_HVC64) != 0);

        uint64_t after = hvx_absolute_time();
        uint64_t seen = guest_reg(&g, HV_REG_X0) + offsets[i];

        CHECK(before <= seen && seen <= after);
    }
    guest_close(&g);
}

static void expired_timer_exits_and_is_masked(void)
{
    struct guest g;
    bool masked = false;

    GUEST_OPEN(&g, spin);
    guest_set_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0, hvx_absolute_time() + ticks(1)); /* 1 ms */
    guest_set_sys(&g, HV_SYS_REG_CNTV_CTL_EL0, CTL_ENABLE);
    CHECK(guest_run(&g, HV_EXIT_REASON_VTIMER_ACTIVATED));
    CHECK(hvx_absolute_time() >= guest_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0));
    CHECK_OK(hv_vcpu_get_vtimer_mask(g.vcpu, &masked));
    CHECK(masked);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_CNTV_CTL_EL0), CTL_ENABLE | CTL_ISTATUS);
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE);
    guest_close(&g);
}

static void guest_sets_its_own_timer(void)
{
    static const uint32_t code[] = {
        A64_MOVZ(0, 24000), A64_MSR(REG_CNTV_TVAL, 0), A64_MOVZ(0, 1), A64_MSR(REG_CNTV_CTL, 0),
        A64_B_SELF,
    };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK(guest_run(&g, HV_EXIT_REASON_VTIMER_ACTIVATED));
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 16);
    guest_close(&g);
}

/* Long before the loop ends, and not by a tick: the first time around the timer is off. */
static void timer_set_to_the_past_exits_soon(void)
{
    static const uint32_t code[] = {
        A64_MSR(REG_CNTV_CTL, 0), A64_MOVZ(1, 100), A64_SUBS_IMM(1, 1), A64_B_NE(-1), A64_BRK(0xd0),
    };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK(guest_run_brk(&g, 0xd0));
    guest_set_reg(&g, HV_REG_PC, GUEST_CODE);
    guest_set_reg(&g, HV_REG_X0, 1);
    CHECK(guest_run(&g, HV_EXIT_REASON_VTIMER_ACTIVATED));
    CHECK(guest_reg(&g, HV_REG_PC) < GUEST_CODE + 16);
    guest_close(&g);
}

static void masked_timer_does_not_exit(void)
{
    /* Waits until the timer's ISTATUS is set, then exits by BRK. */
    static const uint32_t code[] = {
        A64_MRS(0, REG_CNTV_CTL),
        0x3617ffe0 /* tbz w0, #2, .-4 */,
        A64_BRK(0xd0),
    };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK_OK(hv_vcpu_set_vtimer_mask(g.vcpu, true));
    guest_set_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0, hvx_absolute_time() + ticks(1));
    guest_set_sys(&g, HV_SYS_REG_CNTV_CTL_EL0, CTL_ENABLE);
    CHECK(guest_run_brk(&g, 0xd0));
    guest_close(&g);
}

static void unmasked_expired_timer_exits_at_once(void)
{
    struct guest g;

    GUEST_OPEN(&g, spin);
    guest_set_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0, 0);
    guest_set_sys(&g, HV_SYS_REG_CNTV_CTL_EL0, CTL_ENABLE);
    for (unsigned i = 0; i < 3; i++) {
        CHECK(guest_run(&g, HV_EXIT_REASON_VTIMER_ACTIVATED));
        CHECK_OK(hv_vcpu_set_vtimer_mask(g.vcpu, false));
    }
    guest_close(&g);
}

static void disabled_or_imasked_timer_does_not_exit(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 0xffff), A64_SUBS_IMM(0, 1), A64_B_NE(-1),
                                     A64_BRK(0xd0) };
    static const unsigned control[] = { 0, CTL_ENABLE | CTL_IMASK };

    for (unsigned i = 0; i < 2; i++) {
        struct guest g;

        GUEST_OPEN(&g, code);
        guest_set_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0, 0);
        guest_set_sys(&g, HV_SYS_REG_CNTV_CTL_EL0, control[i]);
        CHECK(guest_run_brk(&g, 0xd0));
        guest_close(&g);
    }
}

static void timer_follows_the_offset(void)
{
    struct guest g;

    GUEST_OPEN(&g, spin);

    uint64_t offset = hvx_absolute_time(); /* the guest's clock starts about now */

    CHECK_OK(hv_vcpu_set_vtimer_offset(g.vcpu, offset));
    guest_set_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0, ticks(2));
    guest_set_sys(&g, HV_SYS_REG_CNTV_CTL_EL0, CTL_ENABLE);
    CHECK(guest_run(&g, HV_EXIT_REASON_VTIMER_ACTIVATED));

    uint64_t passed = hvx_absolute_time() - offset;

    CHECK(passed >= ticks(2) && passed < ticks(1000));
    guest_close(&g);
}

/* Cancelling. */

static void cancel_before_a_run_ends_it_at_once(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 1), A64_BRK(0xd0) };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK_OK(hv_vcpus_exit(&g.vcpu, 1));
    CHECK_OK(hv_vcpus_exit(&g.vcpu, 1)); /* several are one */
    CHECK(guest_run(&g, HV_EXIT_REASON_CANCELED));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0); /* nothing was executed */
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE);
    CHECK(guest_run_brk(&g, 0xd0)); /* and only once */
    guest_close(&g);
}

/* The first word of GUEST_DATA, which a running vCPU sets. */
static _Atomic uint64_t *guest_mark(const struct guest *g)
{
    return (_Atomic uint64_t *)(void *)(g->ram + (GUEST_DATA - GUEST_RAM));
}

static void *cancel_when_marked(void *arg)
{
    struct guest *g = arg;

    while (!atomic_load(guest_mark(g)))
        sched_yield();
    CHECK_OK(hv_vcpus_exit(&g->vcpu, 1));
    return NULL;
}

static void cancel_from_another_thread_ends_a_run(void)
{
    static const uint32_t code[] = { A64_STR_X(2, 1), A64_B_SELF };
    struct guest g;
    pthread_t thread;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    guest_set_reg(&g, HV_REG_X2, 1);
    for (unsigned i = 0; i < 3; i++) {
        atomic_store(guest_mark(&g), 0);
        guest_set_reg(&g, HV_REG_PC, GUEST_CODE);
        pthread_create(&thread, NULL, cancel_when_marked, &g);
        CHECK(guest_run(&g, HV_EXIT_REASON_CANCELED));
        pthread_join(thread, NULL);
        CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 4);
    }
    guest_close(&g);
}

static void cancel_ends_a_guest_that_only_takes_interrupts(void)
{
    static const uint32_t handler[] = { A64_STR_X(2, 1), A64_ERET };
    struct guest g;
    pthread_t thread;

    GUEST_OPEN(&g, spin);
    memcpy(g.ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * VECTOR_IRQ_EL1, handler, sizeof handler);
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    guest_set_reg(&g, HV_REG_X2, 1);
    pthread_create(&thread, NULL, cancel_when_marked, &g);
    CHECK(guest_run(&g, HV_EXIT_REASON_CANCELED));
    pthread_join(thread, NULL);
    guest_close(&g);
}

static void cancel_of_nothing_succeeds(void)
{
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vcpus_exit(NULL, 0));
    CHECK_OK(hv_vm_destroy());
}

static void cancel_of_a_bad_handle_is_refused(void)
{
    hv_vcpu_t none = 100000;

    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hv_vcpus_exit(&none, 1), HV_BAD_ARGUMENT);
    CHECK_OK(hv_vm_destroy());
}

/* Time in the guest. */

static void exec_time_grows_with_work(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 0xffff), A64_SUBS_IMM(0, 1), A64_B_NE(-1),
                                     A64_HVC(0), A64_B(-4) };
    struct guest g;
    uint64_t first = 0, second = 0;

    GUEST_OPEN(&g, code);

    uint64_t before = hvx_absolute_time();

    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK_OK(hv_vcpu_get_exec_time(g.vcpu, &first));
    CHECK(first > 0);
    CHECK(guest_run_exception(&g, EC_HVC64) != 0);
    CHECK_OK(hv_vcpu_get_exec_time(g.vcpu, &second));
    CHECK(second > first);
    CHECK(second <= hvx_absolute_time() - before + 24);
    guest_close(&g);
}

/* Several vCPUs. */

#define CROWD_MAX 1024

struct crowd {
    _Atomic unsigned next, ready, done;
    unsigned count;
    hv_exit_reason_t reason_wanted;
    hv_vcpu_t vcpu[CROWD_MAX];
    hv_return_t created[CROWD_MAX], ran[CROWD_MAX], destroyed[CROWD_MAX];
    hv_exit_reason_t reason[CROWD_MAX];
    uint64_t x1[CROWD_MAX];
};

/* Wait until `count` threads came here. */
static void meet(_Atomic unsigned *place, unsigned count)
{
    atomic_fetch_add(place, 1);
    while (atomic_load(place) < count)
        sleep_ms(1);
}

static void *crowd_member(void *arg)
{
    struct crowd *c = arg;
    unsigned i = atomic_fetch_add(&c->next, 1);
    hv_vcpu_exit_t *exit;
    hv_vcpu_t vcpu;

    c->created[i] = hv_vcpu_create(&vcpu, &exit, NULL);
    if (c->created[i] == HV_SUCCESS) {
        c->vcpu[i] = vcpu;
        hv_vcpu_set_reg(vcpu, HV_REG_CPSR, CPSR_EL1H_MASKED);
        hv_vcpu_set_reg(vcpu, HV_REG_PC, GUEST_CODE);
        hv_vcpu_set_reg(vcpu, HV_REG_X0, vcpu);
    }
    meet(&c->ready, c->count + 1);
    if (c->created[i] == HV_SUCCESS) {
        do {
            c->ran[i] = hv_vcpu_run(vcpu);
            c->reason[i] = exit->reason;
        } while (c->ran[i] == HV_SUCCESS && exit->reason == HV_EXIT_REASON_CANCELED &&
                 c->reason_wanted != HV_EXIT_REASON_CANCELED && check_cancels());
        hv_vcpu_get_reg(vcpu, HV_REG_X1, &c->x1[i]);
    }
    meet(&c->done, c->count);
    if (c->created[i] == HV_SUCCESS)
        c->destroyed[i] = hv_vcpu_destroy(vcpu);
    return NULL;
}

static void check_crowd(const struct crowd *c, hv_exit_reason_t reason, bool check_x1)
{
    static bool seen[CROWD_MAX];

    memset(seen, 0, sizeof seen);
    for (unsigned i = 0; i < c->count; i++) {
        if (!CHECK_OK(c->created[i]))
            continue;
        CHECK_OK(c->ran[i]);
        CHECK_EQ(c->reason[i], reason);
        CHECK_OK(c->destroyed[i]);
        if (check_x1)
            CHECK_EQ(c->x1[i], c->vcpu[i]);
        if (CHECK(c->vcpu[i] < c->count)) /* the lowest free ones */
            CHECK(!seen[c->vcpu[i]]);
        seen[c->vcpu[i] % CROWD_MAX] = true;
    }
}

/* Run `code` on `count` vCPUs at once; cancel them all if asked to. */
static void run_crowd(unsigned count, const uint32_t *code, size_t size, hv_exit_reason_t reason,
                      bool cancel)
{
    static struct crowd c;
    static pthread_t thread[CROWD_MAX];
    uint8_t *ram = guest_memory(0x4000);

    memset(&c, 0, sizeof c);
    c.count = count;
    c.reason_wanted = reason;
    memcpy(ram, code, size);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vm_map(ram, GUEST_CODE, 0x4000, HV_MEMORY_READ | HV_MEMORY_EXEC));
    for (unsigned i = 0; i < count; i++)
        pthread_create(&thread[i], NULL, crowd_member, &c);
    meet(&c.ready, count + 1);
    if (cancel)
        CHECK_OK(hv_vcpus_exit(c.vcpu, count)); /* maybe before they run */
    for (unsigned i = 0; i < count; i++)
        pthread_join(thread[i], NULL);
    check_crowd(&c, reason, !cancel);
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(ram, 0x4000);
}

static void four_vcpus_are_cancelled_together(void)
{
    run_crowd(4, spin, sizeof spin, HV_EXIT_REASON_CANCELED, true);
}

static void as_many_vcpus_as_promised_run_at_once(void)
{
    static const uint32_t code[] = { A64_MOV(1, 0), A64_HVC(0) };
    uint32_t count = 0;

    CHECK_OK(hv_vm_get_max_vcpu_count(&count));
    if (CHECK(count <= CROWD_MAX))
        run_crowd(count, code, sizeof code, HV_EXIT_REASON_EXCEPTION, false);
}

static void *protect_when_marked(void *arg)
{
    while (!atomic_load(guest_mark(arg)))
        sched_yield();
    CHECK_OK(hv_vm_protect(GUEST_DATA, 0x4000, HV_MEMORY_READ));
    return NULL;
}

static void protection_reaches_a_running_vcpu(void)
{
    static const uint32_t code[] = { A64_STR_X(2, 1), A64_B(-1) };
    struct guest g;
    pthread_t thread;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_DATA);
    guest_set_reg(&g, HV_REG_X2, 1);
    pthread_create(&thread, NULL, protect_when_marked, &g);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    CHECK_EQ(g.exit->exception.physical_address, GUEST_DATA);
    pthread_join(thread, NULL);
    guest_close(&g);
}

int main(void)
{
    RUN(pending_irq_reaches_the_vector);
    RUN(pending_fiq_reaches_its_vector);
    RUN(masked_irq_waits_until_unmasked);
    RUN(irq_line_drops_when_the_run_returns);
    RUN(irq_is_a_level_during_a_run);
    RUN(isr_el1_shows_the_lines);
    RUN(wfi_exits_with_an_interrupt_pending);
    RUN(counter_runs_at_its_frequency);
    RUN(counter_is_absolute_time_minus_offset);
    RUN(expired_timer_exits_and_is_masked);
    RUN(guest_sets_its_own_timer);
    RUN(timer_set_to_the_past_exits_soon);
    RUN(masked_timer_does_not_exit);
    RUN(unmasked_expired_timer_exits_at_once);
    RUN(disabled_or_imasked_timer_does_not_exit);
    RUN(timer_follows_the_offset);
    RUN(cancel_before_a_run_ends_it_at_once);
    RUN_CANCEL(cancel_from_another_thread_ends_a_run);
    RUN_CANCEL(cancel_ends_a_guest_that_only_takes_interrupts);
    RUN(cancel_of_nothing_succeeds);
    RUN(cancel_of_a_bad_handle_is_refused);
    RUN(exec_time_grows_with_work);
    RUN_CANCEL(four_vcpus_are_cancelled_together);
    RUN(as_many_vcpus_as_promised_run_at_once);
    RUN(protection_reaches_a_running_vcpu);
    return check_finish();
}
