/*
 * One table from function identifier to handler. FEATURES answers from the same table, so it cannot
 * name a call that is not there.
 */
#include "vmm/psci.h"

#include <stdbool.h>
#include <stddef.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include "base/bits.h"
#include "base/bytes.h"
#include "base/compiler.h"

/* Function identifier <30>: 64-bit calling convention (DEN 0028, 2.5). */
#define SMCCC_64 (1u << 30)

#define PSCI_VERSION_1_1  0x00010001u
#define SMCCC_VERSION_1_1 0x00010001u
#define TRNG_VERSION_1_0  0x00010000u

/* MIGRATE_INFO_TYPE: no trusted OS, nothing to migrate. */
#define PSCI_NO_TRUSTED_OS 2

#define TRNG_SUCCESS            0
#define TRNG_INVALID_PARAMETERS (-2)
#define TRNG_NO_ENTROPY         (-3)

/* Affinity fields of an MPIDR value: Aff3 <39:32>, Aff2 to Aff0 <23:0>. */
#define MPIDR_AFFINITY 0xff00ffffffull

/* With GICv3 an interrupt between CPUs names up to 16 of one cluster. */
#define PSCI_CLUSTER 16u

uint64_t psci_affinity(unsigned cpu)
{
    return (uint64_t)(cpu / PSCI_CLUSTER) << 8 | cpu % PSCI_CLUSTER;
}

/* The CPU with this affinity, or a number that no CPU has. */
static unsigned psci_cpu(const struct psci_platform *p, uint64_t affinity)
{
    unsigned cpu = (unsigned)bits(affinity, 15, 8) * PSCI_CLUSTER + (unsigned)bits(affinity, 7, 0);
    return cpu < p->cpus && psci_affinity(cpu) == affinity ? cpu : p->cpus;
}

struct psci_function {
    uint32_t id; /* of the 32-bit form */
    bool wide;   /* there is a 64-bit form as well */
    enum psci_action (*call)(const struct psci_platform *p, bool wide, uint64_t x[4]);
};

static bool psci_has(const struct psci_platform *p, uint32_t id);

static enum psci_action psci_answer(uint64_t x[4], int64_t value)
{
    x[0] = (uint64_t)value;
    return PSCI_RETURN;
}

static enum psci_action psci_version(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    return psci_answer(x, PSCI_VERSION_1_1);
}

/* Every power state is entered as standby (5.4): the CPU comes back here. */
static enum psci_action psci_cpu_suspend(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    x[0] = PSCI_SUCCESS;
    return PSCI_SUSPEND;
}

static enum psci_action psci_cpu_off(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    (void)x;
    return PSCI_CPU_OFF;
}

static enum psci_action psci_cpu_on(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)wide;
    unsigned cpu = psci_cpu(p, x[1]);
    if (cpu == p->cpus)
        return psci_answer(x, PSCI_INVALID_PARAMETERS);
    if (x[2] % 4 || !gmem_contains(p->gmem, x[2], 4))
        return psci_answer(x, PSCI_INVALID_ADDRESS);
    return psci_answer(x, p->cpu_on(p->ctx, cpu, x[2], x[3]));
}

/* Level 1 to 3 ask for a group: on when any CPU of it is (5.7). */
static enum psci_action psci_affinity_info(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)wide;
    uint64_t target = x[1], level = x[2];
    if (target & ~MPIDR_AFFINITY || level > 3)
        return psci_answer(x, PSCI_INVALID_PARAMETERS);
    if (level == 0) {
        unsigned cpu = psci_cpu(p, target);
        if (cpu == p->cpus)
            return psci_answer(x, PSCI_INVALID_PARAMETERS);
        return psci_answer(x, p->cpu_state(p->ctx, cpu));
    }
    unsigned ignored = level == 3 ? 32 : (unsigned)level * 8;
    bool exists = false;
    enum psci_state group = PSCI_STATE_OFF;
    for (unsigned i = 0; i < p->cpus; i++) {
        if (psci_affinity(i) >> ignored != target >> ignored)
            continue;
        exists = true;
        enum psci_state s = p->cpu_state(p->ctx, i);
        if (s == PSCI_STATE_ON)
            group = s;
        else if (s == PSCI_STATE_ON_PENDING && group == PSCI_STATE_OFF)
            group = s;
    }
    return psci_answer(x, exists ? (int64_t)group : PSCI_INVALID_PARAMETERS);
}

static enum psci_action psci_migrate_info_type(const struct psci_platform *p, bool wide,
                                               uint64_t x[4])
{
    (void)p;
    (void)wide;
    return psci_answer(x, PSCI_NO_TRUSTED_OS);
}

static enum psci_action psci_system_off(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    (void)x;
    return PSCI_SYSTEM_OFF;
}

static enum psci_action psci_system_reset(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    (void)x;
    return PSCI_SYSTEM_RESET;
}

/* Type 0 is a warm reset, <31> set is the vendor's own; everything else is reserved (5.12). */
static enum psci_action psci_system_reset2(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    if ((uint32_t)x[1] != 0)
        return psci_answer(x, PSCI_INVALID_PARAMETERS);
    return PSCI_SYSTEM_RESET;
}

/* PSCI_FEATURES, SMCCC_ARCH_FEATURES and TRNG_FEATURES: 0 for what is there. */
static enum psci_action psci_features(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)wide;
    return psci_answer(x, psci_has(p, (uint32_t)x[1]) ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED);
}

static enum psci_action smccc_version(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    return psci_answer(x, SMCCC_VERSION_1_1);
}

static enum psci_action trng_version(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    return psci_answer(x, TRNG_VERSION_1_0);
}

/* Ours: 5e1f3a64-0b6d-4c8a-9d27-6972656b6f31. */
static enum psci_action trng_get_uuid(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    static const uint8_t uuid[16] = { 0x5e, 0x1f, 0x3a, 0x64, 0x0b, 0x6d, 0x4c, 0x8a,
                                      0x9d, 0x27, 0x69, 0x72, 0x65, 0x6b, 0x6f, 0x31 };
    (void)p;
    (void)wide;
    for (unsigned i = 0; i < 4; i++)
        x[i] = ld_le32(uuid + 4 * i);
    return PSCI_RETURN;
}

/* x[1] bits of entropy, in x[3] upwards to x[1] (DEN 0098, 2.4): 192 at most, 96 in the 32-bit
 * form. Unasked bits are zero. */
static enum psci_action trng_rnd(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    unsigned word = wide ? 64 : 32;
    uint64_t want = x[1];
    if (want == 0 || want > 3 * word)
        return psci_answer(x, TRNG_INVALID_PARAMETERS);
    uint64_t r[3];
    if (getentropy(r, sizeof r) != 0)
        return psci_answer(x, TRNG_NO_ENTROPY);
    for (unsigned i = 0; i < 3; i++) {
        unsigned n = want < word ? (unsigned)want : word;
        x[3 - i] = r[i] & ones(n);
        want -= n;
    }
    return psci_answer(x, TRNG_SUCCESS);
}

/* Linux knows the calls of the vendor's range by the vendor. These two words have to be KVM's, so
 * that the driver in every kernel finds the clock; the bits of hyp_features() say that there is
 * nothing else of KVM. */
static enum psci_action hyp_get_uid(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    static const uint32_t kvm[4] = { 0xb66fb428, 0xe911c52e, 0x564bcaa9, 0x743a004d };
    (void)p;
    (void)wide;
    for (unsigned i = 0; i < 4; i++)
        x[i] = kvm[i];
    return PSCI_RETURN;
}

/* Bit n: call n of the vendor's range. */
static enum psci_action hyp_features(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    x[1] = x[2] = x[3] = 0;
    return psci_answer(x, 1 << 0 | 1 << 1);
}

/* The time for the driver ptp_kvm, against the virtual (0) or physical (1) counter; they are one.
 */
static enum psci_action hyp_clock(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    uint64_t time, count;
    (void)wide;
    if (x[1] > 1)
        return psci_answer(x, PSCI_NOT_SUPPORTED);
    p->clock(p->ctx, &time, &count);
    x[0] = time >> 32;
    x[1] = (uint32_t)time;
    x[2] = count >> 32;
    x[3] = (uint32_t)count;
    return PSCI_RETURN;
}

/* Stolen time (DEN 0057 3.2). These have the 64-bit form only, and are there where the host tells.
 */
#define PV_TIME_FEATURES 0xc5000020
#define PV_TIME_ST       0xc5000021

static enum psci_action pv_time_features(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)p;
    (void)wide;
    uint32_t id = (uint32_t)x[1];
    bool known = id == PV_TIME_FEATURES || id == PV_TIME_ST;
    return psci_answer(x, known ? PSCI_SUCCESS : PSCI_NOT_SUPPORTED);
}

static enum psci_action pv_time_st(const struct psci_platform *p, bool wide, uint64_t x[4])
{
    (void)wide;
    return psci_answer(x, (int64_t)p->stolen);
}

static const struct psci_function psci_functions[] = {
    { 0x80000000, false, smccc_version },     { 0x80000001, false, psci_features },
    { 0x84000000, false, psci_version },      { 0x84000001, true, psci_cpu_suspend },
    { 0x84000002, false, psci_cpu_off },      { 0x84000003, true, psci_cpu_on },
    { 0x84000004, true, psci_affinity_info }, { 0x84000006, false, psci_migrate_info_type },
    { 0x84000008, false, psci_system_off },   { 0x84000009, false, psci_system_reset },
    { 0x8400000a, false, psci_features },     { 0x84000012, true, psci_system_reset2 },
    { 0x84000050, false, trng_version },      { 0x84000051, false, psci_features },
    { 0x84000052, false, trng_get_uuid },     { 0x84000053, true, trng_rnd },
    { 0x86000000, false, hyp_features },      { 0x86000001, false, hyp_clock },
    { 0x8600ff01, false, hyp_get_uid },       { PV_TIME_FEATURES, false, pv_time_features },
    { PV_TIME_ST, false, pv_time_st },
};

static const struct psci_function *psci_find(const struct psci_platform *p, uint32_t id)
{
    if ((id == PV_TIME_FEATURES || id == PV_TIME_ST) && !p->stolen)
        return NULL;

    for (size_t i = 0; i < ARRAY_LEN(psci_functions); i++) {
        const struct psci_function *f = &psci_functions[i];
        if (id == f->id || (f->wide && id == (f->id | SMCCC_64)))
            return f;
    }
    return NULL;
}

static bool psci_has(const struct psci_platform *p, uint32_t id)
{
    return psci_find(p, id) != NULL;
}

enum psci_action psci_call(const struct psci_platform *p, uint64_t x[4])
{
    uint32_t id = (uint32_t)x[0];
    const struct psci_function *f = psci_find(p, id);
    if (!f)
        return psci_answer(x, PSCI_NOT_SUPPORTED);
    bool wide = id & SMCCC_64;
    if (!wide)
        for (unsigned i = 1; i < 4; i++)
            x[i] = (uint32_t)x[i];
    return f->call(p, wide, x);
}
