/*
 * One table: encoding, name, what a read and a write do. NULL reads as zero or ignores the write,
 * which is what an optional register that the ID registers do not announce may do.
 *
 * Facts: DDI 0487 D24 (registers), D12 (generic timer), H8 (OS lock).
 */
#include "vmm/sysreg.h"

#include <stddef.h>

#include <Hypervisor/hvx.h>

#include "base/bits.h"
#include "base/compiler.h"
#include "base/log.h"

struct sysreg {
    uint16_t encoding, mask; /* the entry holds where (encoding & mask) is equal */
    const char *name;
    uint64_t (*read)(struct sysreg_cpu *s, uint16_t encoding);
    void (*write)(struct sysreg_cpu *s, uint16_t encoding, uint64_t value);
};

static uint64_t sysreg_native_read(struct sysreg_cpu *s, uint16_t encoding)
{
    return s->native_read(s->ctx, encoding);
}

static void sysreg_native_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    s->native_write(s->ctx, encoding, value);
}

static uint64_t sysreg_counter_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)encoding;
    return s->now(s->ctx);
}

static uint64_t sysreg_cntfrq_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)s;
    (void)encoding;
    return HVX_COUNTER_HZ;
}

static bool sysreg_ptimer_fired(const struct sysreg_cpu *s, uint64_t now)
{
    return s->cntp_ctl & TIMER_ENABLE && now >= s->cntp_cval;
}

static uint64_t sysreg_cntp_ctl_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)encoding;
    return s->cntp_ctl | (sysreg_ptimer_fired(s, s->now(s->ctx)) ? TIMER_ISTATUS : 0);
}

static void sysreg_cntp_ctl_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    (void)encoding;
    s->cntp_ctl = value & (TIMER_ENABLE | TIMER_IMASK);
}

static uint64_t sysreg_cntp_cval_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)encoding;
    return s->cntp_cval;
}

static void sysreg_cntp_cval_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    (void)encoding;
    s->cntp_cval = value;
}

/* TVAL is a 32-bit signed view: compare value minus counter. */
static uint64_t sysreg_cntp_tval_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)encoding;
    return (uint32_t)(s->cntp_cval - s->now(s->ctx));
}

static void sysreg_cntp_tval_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    (void)encoding;
    s->cntp_cval = s->now(s->ctx) + (uint64_t)sign_extend(value, 32);
}

static uint64_t sysreg_cntv_tval_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)encoding;
    return (uint32_t)(s->native_read(s->ctx, SYSREG_CNTV_CVAL) - s->now(s->ctx));
}

static void sysreg_cntv_tval_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    (void)encoding;
    s->native_write(s->ctx, SYSREG_CNTV_CVAL, s->now(s->ctx) + (uint64_t)sign_extend(value, 32));
}

static void sysreg_oslar_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    (void)encoding;
    s->os_locked = value & 1;
}

/* OSLM = 0b10: the OS lock is implemented; OSLK <1>. */
static uint64_t sysreg_oslsr_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)encoding;
    return 1u << 3 | (s->os_locked ? 1u << 1 : 0);
}

static uint64_t sysreg_osdlr_read(struct sysreg_cpu *s, uint16_t encoding)
{
    (void)encoding;
    return s->os_double_locked;
}

static void sysreg_osdlr_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    (void)encoding;
    s->os_double_locked = value & 1;
}

/* With GICv2 there is no system register interface: SRE reads as zero and says so. */

#define ANY_CRM  (0xfu << 3)
#define ANY_CRM2 (0x3u << 3 | 7)
#define R(op0, op1, crn, crm, op2, name, read, write)                                              \
    { SYSREG(op0, op1, crn, crm, op2), 0xffff, name, read, write }
#define GROUP(op0, op1, crn, crm, op2, any, name, read, write)                                     \
    { SYSREG(op0, op1, crn, crm, op2), 0xffff & ~(any), name, read, write }

/* clang-format off */
static const struct sysreg sysregs[] = {
    /* Generic timer */
    R(3, 3, 14,  0, 1, "CNTPCT_EL0",        sysreg_counter_read,   NULL),
    R(3, 3, 14,  0, 5, "CNTPCTSS_EL0",      sysreg_counter_read,   NULL),
    R(3, 3, 14,  2, 0, "CNTP_TVAL_EL0",     sysreg_cntp_tval_read, sysreg_cntp_tval_write),
    R(3, 3, 14,  2, 1, "CNTP_CTL_EL0",      sysreg_cntp_ctl_read,  sysreg_cntp_ctl_write),
    R(3, 3, 14,  2, 2, "CNTP_CVAL_EL0",     sysreg_cntp_cval_read, sysreg_cntp_cval_write),
    R(3, 3, 14,  0, 0, "CNTFRQ_EL0",        sysreg_cntfrq_read,    NULL),
    R(3, 3, 14,  0, 2, "CNTVCT_EL0",        sysreg_counter_read,   NULL),
    R(3, 3, 14,  0, 6, "CNTVCTSS_EL0",      sysreg_counter_read,   NULL),
    R(3, 3, 14,  3, 0, "CNTV_TVAL_EL0",     sysreg_cntv_tval_read, sysreg_cntv_tval_write),
    R(3, 3, 14,  3, 1, "CNTV_CTL_EL0",      sysreg_native_read,    sysreg_native_write),
    R(3, 3, 14,  3, 2, "CNTV_CVAL_EL0",     sysreg_native_read,    sysreg_native_write),
    R(3, 0, 14,  1, 0, "CNTKCTL_EL1",       sysreg_native_read,    sysreg_native_write),

    /* Debug */
    R(2, 0,  1,  0, 4, "OSLAR_EL1",         NULL,                  sysreg_oslar_write),
    R(2, 0,  1,  1, 4, "OSLSR_EL1",         sysreg_oslsr_read,     NULL),
    R(2, 0,  1,  3, 4, "OSDLR_EL1",         sysreg_osdlr_read,     sysreg_osdlr_write),
    R(2, 0,  1,  4, 4, "DBGPRCR_EL1",       NULL,                  NULL),
    R(2, 0,  0,  2, 0, "MDCCINT_EL1",       NULL,                  NULL),
    R(2, 0,  0,  2, 2, "MDSCR_EL1",         sysreg_native_read,    sysreg_native_write),
    R(2, 0,  0,  0, 2, "OSDTRRX_EL1",       NULL,                  NULL),
    R(2, 0,  0,  3, 2, "OSDTRTX_EL1",       NULL,                  NULL),
    R(2, 0,  0,  6, 2, "OSECCR_EL1",        NULL,                  NULL),
    R(2, 3,  0,  1, 0, "MDCCSR_EL0",        NULL,                  NULL),
    R(2, 3,  0,  4, 0, "DBGDTR_EL0",        NULL,                  NULL),
    R(2, 3,  0,  5, 0, "DBGDTRRX_EL0",      NULL,                  NULL),
    R(2, 0,  1,  0, 0, "MDRAR_EL1",         NULL,                  NULL),
    R(2, 0,  7,  8, 6, "DBGCLAIMSET_EL1",   NULL,                  NULL),
    R(2, 0,  7,  9, 6, "DBGCLAIMCLR_EL1",   NULL,                  NULL),
    R(2, 0,  7, 14, 6, "DBGAUTHSTATUS_EL1", NULL,                  NULL),
    GROUP(2, 0, 0, 0, 4, ANY_CRM, "DBGBVR<n>_EL1", sysreg_native_read, sysreg_native_write),
    GROUP(2, 0, 0, 0, 5, ANY_CRM, "DBGBCR<n>_EL1", sysreg_native_read, sysreg_native_write),
    GROUP(2, 0, 0, 0, 6, ANY_CRM, "DBGWVR<n>_EL1", sysreg_native_read, sysreg_native_write),
    GROUP(2, 0, 0, 0, 7, ANY_CRM, "DBGWCR<n>_EL1", sysreg_native_read, sysreg_native_write),

    /* Performance monitors: none */
    R(3, 3,  9, 12, 0, "PMCR_EL0",          NULL, NULL),
    R(3, 3,  9, 12, 1, "PMCNTENSET_EL0",    NULL, NULL),
    R(3, 3,  9, 12, 2, "PMCNTENCLR_EL0",    NULL, NULL),
    R(3, 3,  9, 12, 3, "PMOVSCLR_EL0",      NULL, NULL),
    R(3, 3,  9, 12, 4, "PMSWINC_EL0",       NULL, NULL),
    R(3, 3,  9, 12, 5, "PMSELR_EL0",        NULL, NULL),
    R(3, 3,  9, 12, 6, "PMCEID0_EL0",       NULL, NULL),
    R(3, 3,  9, 12, 7, "PMCEID1_EL0",       NULL, NULL),
    R(3, 3,  9, 13, 0, "PMCCNTR_EL0",       NULL, NULL),
    R(3, 3,  9, 13, 1, "PMXEVTYPER_EL0",    NULL, NULL),
    R(3, 3,  9, 13, 2, "PMXEVCNTR_EL0",     NULL, NULL),
    R(3, 3,  9, 14, 0, "PMUSERENR_EL0",     NULL, NULL),
    R(3, 3,  9, 14, 3, "PMOVSSET_EL0",      NULL, NULL),
    R(3, 0,  9, 14, 1, "PMINTENSET_EL1",    NULL, NULL),
    R(3, 0,  9, 14, 2, "PMINTENCLR_EL1",    NULL, NULL),
    R(3, 0,  9, 14, 6, "PMMIR_EL1",         NULL, NULL),
    GROUP(3, 3, 14,  8, 0, ANY_CRM2, "PMEVCNTR<n>_EL0",  NULL, NULL),
    GROUP(3, 3, 14, 12, 0, ANY_CRM2, "PMEVTYPER<n>_EL0", NULL, NULL),

    /* Limited ordering regions: none */
    R(3, 0, 10,  4, 0, "LORSA_EL1",         NULL, NULL),
    R(3, 0, 10,  4, 1, "LOREA_EL1",         NULL, NULL),
    R(3, 0, 10,  4, 2, "LORN_EL1",          NULL, NULL),
    R(3, 0, 10,  4, 3, "LORC_EL1",          NULL, NULL),
    R(3, 0, 10,  4, 7, "LORID_EL1",         NULL, NULL),

    /* GIC CPU interface as registers: not with GICv2 */
    R(3, 0,  4,  6, 0, "ICC_PMR_EL1",       NULL, NULL),
    R(3, 0, 12,  8, 0, "ICC_IAR0_EL1",      NULL, NULL),
    R(3, 0, 12,  8, 1, "ICC_EOIR0_EL1",     NULL, NULL),
    R(3, 0, 12,  8, 2, "ICC_HPPIR0_EL1",    NULL, NULL),
    R(3, 0, 12,  8, 3, "ICC_BPR0_EL1",      NULL, NULL),
    GROUP(3, 0, 12, 8, 4, 3, "ICC_AP0R<n>_EL1", NULL, NULL),
    GROUP(3, 0, 12, 9, 0, 3, "ICC_AP1R<n>_EL1", NULL, NULL),
    R(3, 0, 12, 11, 1, "ICC_DIR_EL1",       NULL, NULL),
    R(3, 0, 12, 11, 3, "ICC_RPR_EL1",       NULL, NULL),
    R(3, 0, 12, 11, 5, "ICC_SGI1R_EL1",     NULL, NULL),
    R(3, 0, 12, 11, 6, "ICC_ASGI1R_EL1",    NULL, NULL),
    R(3, 0, 12, 11, 7, "ICC_SGI0R_EL1",     NULL, NULL),
    R(3, 0, 12, 12, 0, "ICC_IAR1_EL1",      NULL, NULL),
    R(3, 0, 12, 12, 1, "ICC_EOIR1_EL1",     NULL, NULL),
    R(3, 0, 12, 12, 2, "ICC_HPPIR1_EL1",    NULL, NULL),
    R(3, 0, 12, 12, 3, "ICC_BPR1_EL1",      NULL, NULL),
    R(3, 0, 12, 12, 4, "ICC_CTLR_EL1",      NULL, NULL),
    R(3, 0, 12, 12, 5, "ICC_SRE_EL1",       NULL, NULL),
    R(3, 0, 12, 12, 6, "ICC_IGRPEN0_EL1",   NULL, NULL),
    R(3, 0, 12, 12, 7, "ICC_IGRPEN1_EL1",   NULL, NULL),

    /* Others that some host traps */
    R(3, 0,  1,  0, 1, "ACTLR_EL1",         NULL, NULL),
    R(1, 0,  7,  6, 2, "DC ISW",            NULL, NULL),
    R(1, 0,  7, 10, 2, "DC CSW",            NULL, NULL),
    R(1, 0,  7, 14, 2, "DC CISW",           NULL, NULL),
    /* The rest of the ID space is reserved and reads as zero (D24.3.1, Table D24-2). */
    GROUP(3, 0, 0, 0, 0, 7u << 3 | 7, "ID space", NULL, NULL),
};
/* clang-format on */

static const struct sysreg *sysreg_find(uint16_t encoding)
{
    for (size_t i = 0; i < ARRAY_LEN(sysregs); i++)
        if ((encoding & sysregs[i].mask) == sysregs[i].encoding)
            return &sysregs[i];
    return NULL;
}

/* Say once that the guest used a register we do not know. Relaxed: the bits order nothing. */
static void sysreg_log_unknown(struct sysreg_log *log, uint16_t encoding, const char *verb)
{
    uint32_t mask = 1u << (encoding % 32);
    if (atomic_fetch_or_explicit(&log->seen[encoding / 32], mask, memory_order_relaxed) & mask)
        return;
    log_limited(LOG_WARN, "sysreg",
                "the guest %s S%u_%u_C%u_C%u_%u, which is not known; it reads as zero", verb,
                encoding >> 14, encoding >> 11 & 7, encoding >> 7 & 15, encoding >> 3 & 15,
                encoding & 7);
}

void sysreg_reset(struct sysreg_cpu *s)
{
    s->cntp_ctl = 0;
    s->cntp_cval = 0;
    s->os_locked = true; /* H8.1: OSLK resets to 1 */
    s->os_double_locked = false;
}

uint64_t sysreg_read(struct sysreg_cpu *s, uint16_t encoding)
{
    const struct sysreg *r = sysreg_find(encoding);
    if (!r)
        sysreg_log_unknown(s->log, encoding, "read");
    return r && r->read ? r->read(s, encoding) : 0;
}

void sysreg_write(struct sysreg_cpu *s, uint16_t encoding, uint64_t value)
{
    const struct sysreg *r = sysreg_find(encoding);
    if (!r)
        sysreg_log_unknown(s->log, encoding, "wrote");
    if (r && r->write)
        r->write(s, encoding, value);
}

bool sysreg_ptimer_level(const struct sysreg_cpu *s, uint64_t now)
{
    return sysreg_ptimer_fired(s, now) && !(s->cntp_ctl & TIMER_IMASK);
}
