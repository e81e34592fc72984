/*
 * The performance monitors: DDI 0487 D13 (rules), D13.11 (events), D19.5 (registers).
 */
#include "soft/pmu.h"

#include "base/clock.h"
#include "soft/vcpu.h"

#define CYCLE_BIT    (1u << 31)
#define COUNTER_BITS ((1u << PMU_COUNTERS) - 1)
#define ALL_BITS     (CYCLE_BIT | COUNTER_BITS)

/* PMCR_EL0. LC is RES1 without AArch32, so the cycle counter overflows at 64 bits only. */
enum { PMCR_E = 1 << 0, PMCR_P = 1 << 1, PMCR_C = 1 << 2, PMCR_X = 1 << 4, PMCR_DP = 1 << 5 };
#define PMCR_FIXED (PMU_COUNTERS << 11 | 1u << 6) /* N, LC */

enum { PMUSERENR_EN = 1, PMUSERENR_SW = 2, PMUSERENR_CR = 4, PMUSERENR_ER = 8 };

/* PMEVTYPERn_EL0 and PMCCFILTR_EL0: not at EL1, not at EL0; EL2 and EL3 are not there. */
#define TYPE_P     (1u << 31)
#define TYPE_U     (1u << 30)
#define TYPE_EVENT 0xffffu
#define SELECT_ALL 31 /* PMSELR_EL0: the cycle counter's filter */

enum { EVENT_SW_INCR = 0x00, EVENT_CHAIN = 0x1e };

static const struct event {
    uint16_t number;
    uint8_t source;
    bool slow;
} events[] = {
    { EVENT_SW_INCR, PMU_NOTHING, false }, { 0x05, PMU_TLB_MISSES, false }, /* L1D_TLB_REFILL */
    { 0x08, PMU_INSTRUCTIONS, false },                                      /* INST_RETIRED */
    { 0x09, PMU_EXCEPTIONS, false },                                        /* EXC_TAKEN */
    { 0x0a, PMU_RETURNS, false },                                           /* EXC_RETURN */
    { 0x0c, PMU_TAKEN_BRANCHES, true },                                     /* PC_WRITE_RETIRED */
    { 0x11, PMU_CYCLES, false },                                            /* CPU_CYCLES */
    { 0x12, PMU_BRANCHES, true },                                           /* BR_PRED */
    { 0x13, PMU_ACCESSES, true },                                           /* MEM_ACCESS */
    { EVENT_CHAIN, PMU_NOTHING, false },   { 0x21, PMU_BRANCHES, true },    /* BR_RETIRED */
    { 0x23, PMU_NOTHING, false },                                           /* STALL_FRONTEND */
    { 0x24, PMU_NOTHING, false },                                           /* STALL_BACKEND */
};

static const struct event *event_find(uint64_t type)
{
    for (size_t n = 0; n < ARRAY_LEN(events); n++)
        if (events[n].number == (type & TYPE_EVENT))
            return &events[n];
    return NULL;
}

/* Which of 32 events from `first` there are: PMCEIDn_EL0. */
static uint64_t event_bits(unsigned first)
{
    uint64_t mask = 0;

    for (size_t n = 0; n < ARRAY_LEN(events); n++)
        if (events[n].number / 32 == first / 32)
            mask |= 1ull << events[n].number % 32;
    return mask;
}

static enum sysreg counter_reg(unsigned n)
{
    return (enum sysreg)(SYSREG_PMEVCNTR0_EL0 + n);
}

static enum sysreg type_reg(unsigned n)
{
    return (enum sysreg)(SYSREG_PMEVTYPER0_EL0 + n);
}

static bool counter_is_enabled(const struct soft_vcpu *v, unsigned n)
{
    return bit(v->sys[SYSREG_PMCNTENSET_EL0], n);
}

static bool filter_passes(const struct soft_vcpu *v, uint64_t type)
{
    return !(type & (v->cpu.el ? TYPE_P : TYPE_U));
}

/* --- counting --- */

/* An event counter overflows at 32 bits; an odd one may count that with CHAIN. */
static void counter_add(struct soft_vcpu *v, unsigned n, uint64_t count)
{
    uint64_t sum = v->sys[counter_reg(n)] + count;

    v->sys[counter_reg(n)] = (uint32_t)sum;
    if (!(sum >> 32))
        return;
    v->sys[SYSREG_PMOVSSET_EL0] |= 1u << n;
    if (n % 2 == 0 && counter_is_enabled(v, n + 1) &&
        (v->sys[type_reg(n + 1)] & TYPE_EVENT) == EVENT_CHAIN)
        counter_add(v, n + 1, sum >> 32);
}

static void sample(const struct soft_vcpu *v, uint64_t value[PMU_SOURCES])
{
    value[PMU_NOTHING] = 0;
    value[PMU_INSTRUCTIONS] = v->cpu.instructions;
    value[PMU_CYCLES] = clock_monotonic_ns();
    value[PMU_EXCEPTIONS] = v->stats.exceptions;
    value[PMU_RETURNS] = v->pmu.returns;
    value[PMU_TLB_MISSES] = v->stats.tlb_misses;
    value[PMU_BRANCHES] = v->pmu.branches;
    value[PMU_TAKEN_BRANCHES] = v->pmu.taken;
    value[PMU_ACCESSES] = v->pmu.accesses;
}

void pmu_sync_active(struct soft_vcpu *v)
{
    uint64_t now[PMU_SOURCES];

    sample(v, now);
    for (unsigned n = 0; n < PMU_COUNTERS; n++) {
        uint64_t type = v->sys[type_reg(n)];
        const struct event *e = event_find(type);
        if (e && counter_is_enabled(v, n) && filter_passes(v, type))
            counter_add(v, n, now[e->source] - v->pmu.seen[e->source]);
    }
    if (counter_is_enabled(v, 31) && filter_passes(v, v->sys[SYSREG_PMCCFILTR_EL0])) {
        uint64_t before = v->sys[SYSREG_PMCCNTR_EL0];
        v->sys[SYSREG_PMCCNTR_EL0] += now[PMU_CYCLES] - v->pmu.seen[PMU_CYCLES];
        if (v->sys[SYSREG_PMCCNTR_EL0] < before)
            v->sys[SYSREG_PMOVSSET_EL0] |= CYCLE_BIT;
    }
    memcpy(v->pmu.seen, now, sizeof now);
}

static void pmu_sync(struct soft_vcpu *v)
{
    if (v->pmu.active)
        pmu_sync_active(v);
}

void pmu_enter(struct soft_vcpu *v)
{
    if (v->pmu.active)
        sample(v, v->pmu.seen);
}

void pmu_leave(struct soft_vcpu *v)
{
    pmu_sync(v);
    v->pmu.irq_told = pmu_irq(v);
}

/* C4.1: branches but for exception generation and return; loads and stores but for prefetches. */
static bool is_branch(uint32_t w)
{
    return (w & 0x7c000000) == 0x14000000 ||  /* B, BL */
           (w & 0x7c000000) == 0x34000000 ||  /* CBZ, CBNZ, TBZ, TBNZ */
           (w & 0xff000000) == 0x54000000 ||  /* B.cond */
           ((w & 0xfe000000) == 0xd6000000 && /* BR, BLR, RET */
            (w >> 21 & 7) != 4 && (w >> 21 & 7) != 5);
}

static bool is_access(uint32_t w)
{
    bool prefetch = (w & 0xffc00000) == 0xf9800000 || /* PRFM: offset, */
                    (w & 0xff000000) == 0xd8000000 || /* literal, */
                    (w & 0xffe00c00) == 0xf8a00800 || /* register, */
                    (w & 0xffe00c00) == 0xf8800000;   /* unscaled */

    return (w & 0x0a000000) == 0x08000000 && !prefetch;
}

void pmu_count(struct soft_vcpu *v, uint32_t word, bool taken)
{
    if (is_branch(word)) {
        v->pmu.branches++;
        v->pmu.taken += taken;
    } else if (is_access(word)) {
        v->pmu.accesses++;
    }
}

bool pmu_irq(const struct soft_vcpu *v)
{
    return (v->sys[SYSREG_PMCR_EL0] & PMCR_E) &&
           (v->sys[SYSREG_PMOVSSET_EL0] & v->sys[SYSREG_PMINTENSET_EL1]);
}

/* --- registers --- */

/* After a write: what counts now, and has the interrupt risen? */
static void pmu_update(struct soft_vcpu *v)
{
    bool slow = false;

    v->pmu.active = (v->sys[SYSREG_PMCR_EL0] & PMCR_E) && v->sys[SYSREG_PMCNTENSET_EL0];
    for (unsigned n = 0; v->pmu.active && n < PMU_COUNTERS; n++) {
        const struct event *e = event_find(v->sys[type_reg(n)]);
        slow |= e && e->slow && counter_is_enabled(v, n);
    }
    v->slow = (v->slow & ~(unsigned)SLOW_COUNT) | (slow ? SLOW_COUNT : 0u);
    if (v->pmu.active)
        sample(v, v->pmu.seen);
    if (pmu_irq(v))
        v->cpu.budget = -1;
}

static void write_control(struct soft_vcpu *v, uint64_t value)
{
    v->sys[SYSREG_PMCR_EL0] = value & (PMCR_E | PMCR_X | PMCR_DP);
    for (unsigned n = 0; (value & PMCR_P) && n < PMU_COUNTERS; n++)
        v->sys[counter_reg(n)] = 0;
    if (value & PMCR_C)
        v->sys[SYSREG_PMCCNTR_EL0] = 0;
}

static void software_increment(struct soft_vcpu *v, uint64_t mask)
{
    if (!(v->sys[SYSREG_PMCR_EL0] & PMCR_E))
        return;
    for (unsigned n = 0; n < PMU_COUNTERS; n++) {
        uint64_t type = v->sys[type_reg(n)];
        if (bit(mask, n) && counter_is_enabled(v, n) && (type & TYPE_EVENT) == EVENT_SW_INCR &&
            filter_passes(v, type))
            counter_add(v, n, 1);
    }
}

/* What PMXEVCNTR_EL0 and PMXEVTYPER_EL0 stand for; itself if PMSELR_EL0 selects nothing. */
static enum sysreg selected(const struct soft_vcpu *v, enum sysreg r)
{
    unsigned n = (unsigned)v->sys[SYSREG_PMSELR_EL0];

    if (r == SYSREG_PMXEVCNTR_EL0 && n < PMU_COUNTERS)
        return counter_reg(n);
    if (r == SYSREG_PMXEVTYPER_EL0 && n < PMU_COUNTERS)
        return type_reg(n);
    if (r == SYSREG_PMXEVTYPER_EL0 && n == SELECT_ALL)
        return SYSREG_PMCCFILTR_EL0;
    return r;
}

uint64_t pmu_read(struct soft_vcpu *v, enum sysreg r)
{
    pmu_sync(v);
    r = selected(v, r);
    switch (r) {
    case SYSREG_PMCR_EL0:
        return v->sys[r] | PMCR_FIXED;
    case SYSREG_PMCNTENCLR_EL0:
        return v->sys[SYSREG_PMCNTENSET_EL0];
    case SYSREG_PMINTENCLR_EL1:
        return v->sys[SYSREG_PMINTENSET_EL1];
    case SYSREG_PMOVSCLR_EL0:
        return v->sys[SYSREG_PMOVSSET_EL0];
    case SYSREG_PMCEID0_EL0:
        return event_bits(0);
    case SYSREG_PMCEID1_EL0:
        return event_bits(32);
    default:
        return v->sys[r];
    }
}

static void write_register(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    switch (r) {
    case SYSREG_PMCR_EL0:
        write_control(v, value);
        break;
    case SYSREG_PMSWINC_EL0:
        software_increment(v, value);
        break;
    case SYSREG_PMSELR_EL0:
        v->sys[r] = value & 31;
        break;
    case SYSREG_PMUSERENR_EL0:
        v->sys[r] = value & 15;
        break;
    case SYSREG_PMCNTENSET_EL0:
    case SYSREG_PMINTENSET_EL1:
    case SYSREG_PMOVSSET_EL0:
        v->sys[r] |= value & ALL_BITS;
        break;
    case SYSREG_PMCNTENCLR_EL0:
        v->sys[SYSREG_PMCNTENSET_EL0] &= ~value;
        break;
    case SYSREG_PMINTENCLR_EL1:
        v->sys[SYSREG_PMINTENSET_EL1] &= ~value;
        break;
    case SYSREG_PMOVSCLR_EL0:
        v->sys[SYSREG_PMOVSSET_EL0] &= ~value;
        break;
    case SYSREG_PMCCFILTR_EL0:
        v->sys[r] = value & (TYPE_P | TYPE_U);
        break;
    case SYSREG_PMCCNTR_EL0:
        v->sys[r] = value;
        break;
    default:
        if (r >= SYSREG_PMEVCNTR0_EL0 && r < SYSREG_PMEVCNTR0_EL0 + PMU_COUNTERS)
            v->sys[r] = (uint32_t)value;
        else if (r >= SYSREG_PMEVTYPER0_EL0 && r < SYSREG_PMEVTYPER0_EL0 + PMU_COUNTERS)
            v->sys[r] = value & (TYPE_P | TYPE_U | TYPE_EVENT);
        break;
    }
}

void pmu_write(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    pmu_sync(v);
    write_register(v, selected(v, r), value);
    pmu_update(v);
}

bool pmu_el0_may(const struct soft_vcpu *v, enum sysreg r, bool write)
{
    uint64_t enable = v->sys[SYSREG_PMUSERENR_EL0];

    if (enable & PMUSERENR_EN)
        return !(r == SYSREG_PMUSERENR_EL0 && write);
    switch (r) {
    case SYSREG_PMUSERENR_EL0:
        return !write;
    case SYSREG_PMSWINC_EL0:
        return enable & PMUSERENR_SW;
    case SYSREG_PMCCNTR_EL0:
        return !write && (enable & PMUSERENR_CR);
    case SYSREG_PMSELR_EL0:
        return enable & PMUSERENR_ER;
    case SYSREG_PMXEVCNTR_EL0:
        return !write && (enable & PMUSERENR_ER);
    default:
        return !write && (enable & PMUSERENR_ER) && r >= SYSREG_PMEVCNTR0_EL0 &&
               r < SYSREG_PMEVCNTR0_EL0 + PMU_COUNTERS;
    }
}
