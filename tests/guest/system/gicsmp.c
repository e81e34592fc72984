/*
 * The GIC between CPUs, version 2 and 3: who gets a software interrupt, a shared one and a private
 * one, and that none is lost and none comes twice when all CPUs send at once. Sections are of
 * IHI 0048B (v2) and IHI 0069H (v3).
 *
 * CPU 0 runs the tests; the others do what it asks them to.
 */
#include "gickit.h"

enum { PPI = 20 }; /* no device has it */

static unsigned cpus;

/* --- doing something on another CPU --- */

static struct {
    uint64_t (*volatile what)(uint64_t);
    volatile uint64_t arg, result;
} mailbox[KIT_CPUS];

static void serve(void)
{
    unsigned me = cpu_number();

    gic_open_cpu();
    for (;;) {
        uint64_t (*what)(uint64_t);
        while (!(what = mailbox[me].what))
            DO("wfe");
        DO("dmb sy");
        mailbox[me].result = what(mailbox[me].arg);
        DO("dmb sy");
        mailbox[me].what = 0;
        DO("dsb sy\n sev");
    }
}

static void ask(unsigned cpu, uint64_t (*what)(uint64_t), uint64_t arg)
{
    mailbox[cpu].arg = arg;
    DO("dmb sy");
    mailbox[cpu].what = what;
    DO("dsb sy\n sev");
}

static uint64_t answer(unsigned cpu)
{
    while (mailbox[cpu].what)
        DO("wfe");
    DO("dmb sy");
    return mailbox[cpu].result;
}

static uint64_t on(unsigned cpu, uint64_t (*what)(uint64_t), uint64_t arg)
{
    if (cpu == 0)
        return what(arg);
    ask(cpu, what, arg);
    return answer(cpu);
}

static uint64_t take(uint64_t arg)
{
    uint32_t value = gic_ack();

    (void)arg;
    if ((value & 0x3ff) < 1020)
        gic_eoi(value);
    return value;
}

static uint64_t take_and_keep(uint64_t arg)
{
    (void)arg;
    return gic_ack();
}

static uint64_t finish(uint64_t value)
{
    gic_eoi((uint32_t)value);
    return 0;
}

/* A line that another CPU let fall may be seen late, but not beyond the next access to the GIC. */
static uint64_t line(uint64_t arg)
{
    (void)arg;
    (void)gic_running();
    return irq_line();
}

static uint64_t send_to(uint64_t arg)
{
    gic_send(arg >> 8 & 15, arg & 0xff);
    return 0;
}

static uint64_t send_others(uint64_t id)
{
    gic_send_others((unsigned)id);
    return 0;
}

static uint64_t set_mask(uint64_t priority)
{
    gic_mask((uint8_t)priority);
    return 0;
}

static uint64_t set_split_end(uint64_t arg)
{
    gic_split_end(arg);
    return 0;
}

static uint64_t open_cpu(uint64_t arg)
{
    (void)arg;
    gic_open_cpu();
    return 0;
}

static void reopen(void)
{
    gic_open();
    for (unsigned n = 1; n < cpus; n++)
        on(n, open_cpu, 0);
}

/* The CPUs with the IRQ line up. */
static unsigned lines(void)
{
    unsigned mask = 0;

    for (unsigned n = 0; n < cpus; n++)
        mask |= (unsigned)on(n, line, 0) << n;
    return mask;
}

/* The CPUs that take exactly `value`; anything but that and nothing is an error. */
static unsigned takers(uint32_t value, unsigned *errors)
{
    unsigned mask = 0;

    for (unsigned n = 0; n < cpus; n++) {
        uint32_t got = (uint32_t)on(n, take, 0);
        if (got == value)
            mask |= 1u << n;
        else if (got != SPURIOUS)
            ++*errors;
    }
    return mask;
}

/* How GICC_IAR has an SGI of this CPU. GICv3 does not say who sent it. */
static uint32_t from(unsigned cpu, unsigned id)
{
    return gic_v3() ? id : cpu << 10 | id;
}

/* --- software interrupts: 2.2.1, 4.3.15 (v2); 12.1.10 (v3) --- */

static void test_sgi_lists(void)
{
    unsigned errors = 0, all = (1u << cpus) - 1;
    unsigned step = cpus > 4 ? 37 : 1; /* 255 lists take long */

    for (unsigned sender = 0; sender < cpus; sender++)
        for (unsigned mask = 0; mask <= all; mask += step) {
            unsigned id = mask & 15;
            on(sender, send_to, id << 8 | mask);
            if (takers(from(sender, id), &errors) != mask)
                errors++;
        }
    check("SGI", "by a list of CPUs", errors, 0);
    for (unsigned sender = 0; sender < cpus; sender++) {
        on(sender, send_others, 9);
        if (takers(from(sender, 9), &errors) != (all & ~(1u << sender)))
            errors++;
    }
    check("SGI", "to all but itself", errors, 0);
    gic_send(3, 0xff & ~all);
    check("SGI", "to CPUs that are not there", takers(3, &errors), 0);
}

static void test_sgi_v2(void)
{
    unsigned errors = 0, sources = ((1u << cpus) - 1) & ~1u;

    for (unsigned n = cpus; n-- > 1;)
        on(n, send_to, 5 << 8 | 1);
    check("SGI sources", "GICD_SPENDSGIR has them", rd8(GICD + 0xf25), sources);
    check("SGI sources", "GICD_CPENDSGIR, too", rd8(GICD + 0xf15), sources);
    for (unsigned n = 1; n < cpus; n++)
        if (take(0) != from(n, 5))
            errors++;
    check("SGI sources", "each is an interrupt, the lowest CPU first", errors, 0);
    check("SGI sources", "and then there is none", take(0), SPURIOUS);
    wr8(GICD + 0xf26, 3); /* GICD_SPENDSGIR: 6 from CPU 0 and 1 */
    wr8(GICD + 0xf16, 1);
    check("GICD_SPENDSGIR", "less GICD_CPENDSGIR", take(0), from(1, 6));
    wr8(GICD + 0xf26, 0x80);
    check("GICD_SPENDSGIR", "of a CPU that is not there", take(0),
          cpus == 8 ? from(7, 6) : SPURIOUS);
    wr(GICD + SGIR, 3u << 24 | 7);
    check("GICD_SGIR", "reserved filter", take(0), SPURIOUS);
    wr(GICD + ISPENDR, 1);
    check("GICD_ISPENDR0", "does not make an SGI pending", take(0), SPURIOUS);
    wr(GICD + ICENABLER, 0xffff);
    check("GICD_ICENABLER0", "SGIs stay enabled", rd(GICD + ISENABLER) & 0xffff, 0xffff);
}

static void sgi1r(uint64_t value)
{
    DO("dsb sy");
    WRITE(icc_sgi1r_el1, value);
}

static void test_sgi_v3(void)
{
    const uint64_t all = 0xffff;
    unsigned errors = 0;

    sgi1r(5ul << 24 | 1ul << 16 | all);
    check("ICC_SGI1R_EL1", "another Aff1: nobody", takers(5, &errors), 0);
    sgi1r(5ul << 24 | 1ul << 32 | all);
    check("ICC_SGI1R_EL1", "another Aff2: nobody", takers(5, &errors), 0);
    sgi1r(5ul << 24 | 1ul << 48 | all);
    check("ICC_SGI1R_EL1", "another Aff3: nobody", takers(5, &errors), 0);
    sgi1r(5ul << 24 | 1ul << 44 | all);
    check("ICC_SGI1R_EL1", "another range: nobody", takers(5, &errors), 0);
    for (unsigned n = 1; n < cpus; n++)
        on(n, send_to, 5 << 8 | 1);
    check("SGI", "of several CPUs are one", take(0), 5);
    check("SGI", "and then there is none", take(0), SPURIOUS);
    DO("dsb sy");
    WRITE(icc_sgi0r_el1, 5ul << 24 | all);
    check("ICC_SGI0R_EL1", "not to group 1", takers(5, &errors), 0);
    WRITE(icc_asgi1r_el1, 5ul << 24 | all);
    check("ICC_ASGI1R_EL1", "not to group 1", takers(5, &errors), 0);
    wr(gic_private() + ISPENDR, 1u << 4);
    check("GICR_ISPENDR0", "makes an SGI pending", take(0), 4);
    wr(gic_private() + ICENABLER, 1u << 4);
    gic_send(4, 1);
    check("GICR_ICENABLER0", "disables an SGI", take(0), SPURIOUS);
    wr(gic_private() + ISENABLER, 1u << 4);
    check("GICR_ISENABLER0", "enables it", take(0), 4);
    for (unsigned n = 0; n < cpus; n++) {
        uint64_t typer = *(volatile uint64_t *)(GICR + n * GICR_STRIDE + 8);
        if (typer != ((uint64_t)n << 32 | n << 8 | (n == cpus - 1) << 4))
            errors++;
    }
    check("GICR_TYPER", "affinity, number, the last", errors, 0);
}

/* --- private interrupts --- */

static uint64_t private_pend(uint64_t priority)
{
    gic_priority(PPI, (uint8_t)priority);
    gic_edge(PPI, true);
    gic_set(ISENABLER, PPI);
    gic_set(ISPENDR, PPI);
    return 0;
}

static uint64_t private_state(uint64_t arg)
{
    (void)arg;
    return (uint64_t)gic_get(ISPENDR, PPI) << 16 | (uint64_t)gic_get(ISENABLER, PPI) << 8 |
           rd8(gic_private() + IPRIORITYR + PPI);
}

static void test_private(void)
{
    unsigned errors = 0;

    for (unsigned n = 0; n < cpus; n++) {
        on(n, private_pend, 0x40 + 8 * n);
        for (unsigned other = 0; other < cpus; other++)
            if (on(other, private_state, 0) != (other == n  ? 0x10140 + 8 * n
                                                : other < n ? 0x140 + 8 * other
                                                            : 0xa0))
                errors++;
        if (lines() != 1u << n || takers(PPI, &errors) != 1u << n)
            errors++;
    }
    check("PPI", "each CPU has its own", errors, 0);
    reopen();
}

/* --- shared interrupts --- */

static void pend(unsigned intid)
{
    gic_set(ISENABLER, intid);
    gic_set(ISPENDR, intid);
}

static void test_routes(void)
{
    unsigned errors = 0;

    for (unsigned n = 0; n < cpus; n++) {
        gic_route(SPI, n);
        pend(SPI);
        if (lines() != 1u << n)
            errors++;
        gic_route(SPI, (n + 1) % cpus);
        if (lines() != 1u << (n + 1) % cpus)
            errors++;
        if (takers(SPI, &errors) != 1u << (n + 1) % cpus)
            errors++;
    }
    check("SPI", "goes where it is routed, also when pending already", errors, 0);
    if (gic_v3())
        *(volatile uint64_t *)(GICD + IROUTER + 8 * SPI) = 0x010000;
    else
        wr8(GICD + ITARGETSR + SPI, 0);
    pend(SPI);
    check("SPI", "to nobody", lines(), 0);
    check("SPI", "stays pending", gic_get(ISPENDR, SPI), 1);
    gic_route(SPI, cpus - 1);
    check("SPI", "until somebody is there", takers(SPI, &errors), 1u << (cpus - 1));
    if (!gic_v3()) {
        wr8(GICD + ITARGETSR + SPI, 0xff);
        check("GICD_ITARGETSR", "has the CPUs that are there", rd8(GICD + ITARGETSR + SPI),
              (1u << cpus) - 1);
        check("GICD_ITARGETSR0", "names the CPU that reads", rd(GICD + ITARGETSR), 0x01010101);
    }
    reopen();
}

/* 1 of N: one CPU takes it, whoever comes first: 1.4.3 (v2), 3.2.3 (v3). */
static void test_one_of_n(void)
{
    unsigned errors = 0;

    gic_route_any(SPI, cpus);
    for (unsigned first = 0; first < cpus; first++) {
        pend(SPI);
        if (on(first, take_and_keep, 0) != SPI)
            errors++;
        if (lines() || takers(SPI, &errors)) /* active: nobody's */
            errors++;
        gic_set(ISPENDR, SPI);
        if (lines())
            errors++;
        on(first, finish, SPI);
        unsigned again = takers(SPI, &errors);
        if (!again || again & (again - 1))
            errors++;
    }
    check("1 of N", "one takes it, the others get nothing", errors, 0);
    for (unsigned n = 0; n + 1 < cpus; n++)
        on(n, set_mask, 0);
    pend(SPI);
    check("1 of N", "masked by all but the last", lines(), 1u << (cpus - 1));
    check("1 of N", "which takes it", takers(SPI, &errors), 1u << (cpus - 1));
    reopen();
}

/* EOImode 1: another CPU may deactivate. */
static void test_split(void)
{
    on(1, set_split_end, 1);
    gic_split_end(true);
    gic_route(SPI, 1);
    pend(SPI);
    check("DIR", "CPU 1 takes it", on(1, take, 0), SPI);
    check("DIR", "and leaves it active", gic_get(ISACTIVER, SPI), 1);
    gic_dir(SPI);
    check("DIR", "CPU 0 deactivates it", gic_get(ISACTIVER, SPI), 0);
    reopen();
}

/* --- storms --- */

#define ROUNDS 1000u
#define LAPS   2000u

static volatile uint32_t sent[KIT_CPUS][KIT_CPUS], got[KIT_CPUS][KIT_CPUS];
static volatile uint32_t done[KIT_CPUS];
static volatile uint64_t deadline;

static bool late(void)
{
    return READ(cntvct_el0) > deadline;
}

static void start_clock(unsigned seconds)
{
    deadline = READ(cntvct_el0) + seconds * READ(cntfrq_el0);
}

/* Take one if there is one; who it is from is known by the INTID or the source. */
static unsigned storm_take(void)
{
    unsigned me = cpu_number();
    uint32_t value = gic_ack();

    if (value == SPURIOUS)
        return 0;
    unsigned source = gic_v3() ? value : value >> 10;
    unsigned error = source >= cpus || got[source][me] >= sent[source][me];
    if (!error)
        got[source][me] = sent[source][me];
    gic_eoi(value);
    DO("dsb sy\n sev");
    return error;
}

/* Each CPU sends to all others, and again when all have taken it. Returns the errors. */
static uint64_t storm(uint64_t arg)
{
    unsigned me = cpu_number(), errors = 0, id = gic_v3() ? me : 7;

    (void)arg;
    for (uint32_t round = 1; round <= ROUNDS && !late(); round++) {
        for (unsigned n = 0; n < cpus; n++)
            sent[me][n] = round;
        if (round & 1)
            gic_send_others(id);
        else
            gic_send(id, ((1u << cpus) - 1) & ~(1u << me));
        for (unsigned n = 0; n < cpus; n++)
            while (n != me && got[me][n] != round && !late()) {
                errors += storm_take();
                DO("wfe");
            }
    }
    done[me] = 1;
    DO("dsb sy\n sev");
    for (unsigned n = 0; n < cpus; n++)
        while (!done[n] && !late()) {
            errors += storm_take();
            DO("wfe");
        }
    return errors;
}

static void everywhere(uint64_t (*what)(uint64_t), uint64_t *sum)
{
    for (unsigned n = 1; n < cpus; n++)
        ask(n, what, 0);
    *sum = what(0);
    for (unsigned n = 1; n < cpus; n++)
        *sum += answer(n);
}

static void test_storm(void)
{
    uint64_t errors;
    unsigned lost = 0;

    start_clock(60);
    everywhere(storm, &errors);
    for (unsigned n = 0; n < cpus; n++)
        for (unsigned m = 0; m < cpus; m++)
            lost += n != m ? ROUNDS - got[n][m] : 0;
    check("storm", "none comes twice or from nowhere", errors, 0);
    check("storm", "none is lost", lost, 0);
    check("storm", "in time", late(), 0);
    for (unsigned n = 0; n < cpus; n++)
        lost += on(n, take, 0) != SPURIOUS;
    check("storm", "none is left", lost, 0);
}

PROBE(sleep, "1: wfi\n b 1b");

/* Wait for an interrupt: in turn masked, and by its vector. The timer ends it, should it be lost.
 */
static uint32_t sleep_until_interrupt(bool vector)
{
    uint32_t value;

    while ((value = gic_ack()) == SPURIOUS) {
        if (vector)
            run(sleep, EL1 & ~(uint64_t)SPSR_I, 0, 0);
        else
            DO("wfi");
    }
    return value;
}

/* A token goes round. Every CPU sleeps until it comes. */
static uint64_t ring(uint64_t arg)
{
    unsigned me = cpu_number(), errors = 0;

    (void)arg;
    WRITE(cntv_cval_el0, deadline);
    WRITE(cntv_ctl_el0, 1);
    gic_set(ISENABLER, VIRTUAL_TIMER);
    for (unsigned lap = 0; lap < LAPS && !errors; lap++) {
        if (me == 0)
            gic_send(2, 1u << 1);
        uint32_t value = sleep_until_interrupt(lap & 1);
        errors += value != from((me + cpus - 1) % cpus, 2);
        gic_eoi(value);
        if (me != 0 && !errors)
            gic_send(2, 1u << (me + 1) % cpus);
    }
    WRITE(cntv_ctl_el0, 0);
    return errors;
}

static void test_ring(void)
{
    uint64_t errors;

    reopen();
    start_clock(60);
    everywhere(ring, &errors);
    check("ring", "a token between sleeping CPUs is never lost", errors, 0);
}

static volatile uint32_t taken[KIT_CPUS], handed;

static uint64_t worker(uint64_t arg)
{
    unsigned me = cpu_number(), errors = 0;

    (void)arg;
    while (handed < LAPS && !late()) {
        uint32_t value = gic_ack();
        if (value != SPURIOUS) {
            errors += value != SPI;
            gic_eoi(value);
            taken[me]++;
            __atomic_fetch_add(&handed, 1, __ATOMIC_SEQ_CST);
            if (handed < LAPS)
                gic_set(ISPENDR, SPI);
            else
                DO("dsb sy\n sev");
        } else {
            DO("wfe");
        }
    }
    return errors;
}

/* One shared interrupt that any CPU may take, each time made pending by who took it. */
static void test_shared_storm(void)
{
    uint64_t errors, sum = 0;

    reopen();
    gic_route_any(SPI, cpus);
    pend(SPI);
    start_clock(60);
    everywhere(worker, &errors);
    for (unsigned n = 0; n < cpus; n++)
        sum += taken[n];
    check("shared storm", "nothing else comes", errors, 0);
    check("shared storm", "each is taken once", sum, LAPS);
    check("shared storm", "none is left", lines(), 0);
}

/* A timer for each CPU, as fast as it goes: as many interrupts as times it was set. */
static uint64_t ticks(uint64_t arg)
{
    unsigned errors = 0;

    (void)arg;
    gic_set(ISENABLER, VIRTUAL_TIMER);
    for (unsigned i = 0; i < ROUNDS && !late(); i++) {
        WRITE(cntv_tval_el0, 240 + i % 7 * 100); /* 10 us and more */
        WRITE(cntv_ctl_el0, 1);
        uint32_t value = sleep_until_interrupt(i & 1);
        errors += value != VIRTUAL_TIMER || READ(cntvct_el0) < READ(cntv_cval_el0);
        WRITE(cntv_ctl_el0, 0);
        gic_eoi(value);
        errors += gic_ack() != SPURIOUS;
    }
    return errors;
}

static void test_ticks(void)
{
    uint64_t errors;

    reopen();
    start_clock(60);
    everywhere(ticks, &errors);
    check("timers", "one interrupt for each time one is set", errors, 0);
    check("timers", "in time", late(), 0);
}

void test(void)
{
    cpus = kit_cpu_count();
    note(gic_v3() ? "GICv3, CPUs" : "GICv2, CPUs", cpus);
    gic_open();
    for (unsigned n = 1; n < cpus; n++)
        cpu_start(n, serve);
    reopen();
    test_sgi_lists();
    if (gic_v3())
        test_sgi_v3();
    else
        test_sgi_v2();
    test_private();
    test_routes();
    test_one_of_n();
    test_split();
    test_storm();
    test_ring();
    test_shared_storm();
    test_ticks();
}
