/*
 * The system register table, and the registers that do something when they are read or written
 * (DDI 0487 D19).
 */
#include "soft/sysreg.h"

#include <sys/random.h>

#include "base/clock.h"
#include "soft/model.h"
#include "soft/vcpu.h"

#define VMM_ONLY      0
#define EL1_RO        SYSREG_EL1_READ
#define EL1_WO        SYSREG_EL1_WRITE
#define EL1_RW        (SYSREG_EL1_READ | SYSREG_EL1_WRITE)
#define EL1_PAUTH     SYSREG_EL1_PAUTH
#define EL0_RO        (SYSREG_EL0_READ | SYSREG_EL1_READ)
#define EL0_WO        (SYSREG_EL0_WRITE | SYSREG_EL1_WRITE)
#define EL0_RW        (EL1_RW | SYSREG_EL0_READ | SYSREG_EL0_WRITE)
#define EL0_RO_EL1_RW (EL1_RW | SYSREG_EL0_READ)

const struct sysreg_info soft_sysreg_table[SYSREG_COUNT] = {
#define SYSREG(name_, op0, op1, crn, crm, op2, access_, kind_, reset_)                             \
    [SYSREG_##name_] = {                                                                           \
        .name = #name_,                                                                            \
        .encoding = SYSREG_ENCODE(op0, op1, crn, crm, op2),                                        \
        .access = access_,                                                                         \
        .kind = SYSREG_##kind_,                                                                    \
        .reset = reset_,                                                                           \
    },
#include "soft/sysregs.def"
#undef SYSREG
};

/* By encoding without its top bit, which is set in all; the register's number plus one. */
static const uint16_t sysreg_by_encoding[1 << 15] = {
#define SYSREG(name, op0, op1, crn, crm, op2, access, kind, reset)                                 \
    [SYSREG_ENCODE(op0, op1, crn, crm, op2) & 0x7fff] = SYSREG_##name + 1,
#include "soft/sysregs.def"
#undef SYSREG
};

int soft_sysreg_find(unsigned encoding)
{
    return (encoding & 0x8000) ? sysreg_by_encoding[encoding & 0x7fff] - 1 : -1;
}

/* The smallest one that holds such addresses. */
unsigned soft_sysreg_pa_range(unsigned bits)
{
    static const uint8_t range[] = { 32, 36, 40, 42, 44, 48 };
    unsigned i = 0;

    while (i < ARRAY_LEN(range) - 1 && range[i] < bits)
        i++;
    return i;
}

void soft_sysreg_reset(struct soft_vcpu *v)
{
    const struct soft_vm *vm = v->cpu.vm;
    unsigned options = vm->options | (vm->native_debug_pmu ? MODEL_PMU : MODEL_BASE);

    for (unsigned i = 0; i < SYSREG_COUNT; i++)
        v->sys[i] = soft_sysreg_table[i].reset;
    for (unsigned i = 0; i < SYSREG_COUNT; i++)
        v->sys[i] |= model_register((enum sysreg)i, options);
    v->sys[SYSREG_ID_AA64MMFR0_EL1] |= soft_sysreg_pa_range(vm->ipa_bits);
    debug_write_lock(v, SYSREG_OSLAR_EL1, 1); /* H8.2: a cold reset sets OSLK */
}

/* 32 KiB, 4 ways for both L1; 1 MiB, 16 ways for L2; 64-byte lines (D19.2.26, FEAT_CCIDX). */
uint64_t soft_sysreg_ccsidr(unsigned csselr)
{
    switch (csselr & 0xf) {
    case 0:
    case 1:
        return 127ull << 32 | 3u << 3 | 2;
    case 2:
        return 1023ull << 32 | 15u << 3 | 2;
    default:
        return 0;
    }
}

/* RNDR: NZCV says 0100 and the value is 0 when there is no number (D19.2.112). */
static uint64_t sysreg_random(struct soft_vcpu *v)
{
    v->cpu.nzcv = 0;
    if (v->random_left == 0) {
        if (getrandom(v->random, sizeof v->random, 0) != (ssize_t)sizeof v->random) {
            v->cpu.nzcv = PSTATE_Z;
            return 0;
        }
        v->random_left = ARRAY_LEN(v->random);
    }
    return v->random[--v->random_left];
}

static uint64_t *sysreg_stack(struct cpu *c, unsigned el)
{
    bool current = el == (c->el == 1 && c->sp_sel);
    return current ? &c->x[REG_SP] : &c->sp_el[el];
}

static uint64_t sysreg_read_special(struct soft_vcpu *v, enum sysreg r)
{
    struct cpu *c = &v->cpu;
    switch (r) {
    case SYSREG_CCSIDR_EL1:
        return soft_sysreg_ccsidr((unsigned)v->sys[SYSREG_CSSELR_EL1]);
    case SYSREG_DCZID_EL0: {
        bool prohibited = c->el == 0 && !(v->sys[SYSREG_SCTLR_EL1] & SCTLR_DZE);
        return v->sys[r] | (uint64_t)prohibited << 4;
    }
    case SYSREG_SP_EL0:
        return *sysreg_stack(c, 0);
    case SYSREG_SP_EL1:
        return *sysreg_stack(c, 1);
    case SYSREG_ISR_EL1:
        return (uint64_t)v->serror << 8 | (uint64_t)soft_line(v, HV_INTERRUPT_TYPE_IRQ) << 7 |
               (uint64_t)soft_line(v, HV_INTERRUPT_TYPE_FIQ) << 6;
    case SYSREG_SPSel:
        return c->sp_sel;
    case SYSREG_CurrentEL:
        return (uint64_t)c->el << 2;
    case SYSREG_PAN:
        return (uint64_t)c->pan << 22;
    case SYSREG_UAO:
        return (uint64_t)c->uao << 23;
    case SYSREG_NZCV:
        return c->nzcv;
    case SYSREG_DAIF:
        return c->daif;
    case SYSREG_DIT:
        return (uint64_t)c->dit << 24;
    case SYSREG_SSBS:
        return (uint64_t)c->ssbs << 12;
    case SYSREG_FPCR:
        return c->fpcr;
    case SYSREG_FPSR:
        return c->fpsr;
    case SYSREG_RNDR:
    case SYSREG_RNDRRS:
        return sysreg_random(v);
    case SYSREG_CNTVCT_EL0:
    case SYSREG_CNTVCTSS_EL0:
        return timer_count(v);
    case SYSREG_CNTV_TVAL_EL0:
        return (uint32_t)(v->sys[SYSREG_CNTV_CVAL_EL0] - timer_count(v));
    case SYSREG_CNTV_CTL_EL0:
        return timer_control(v);
    default:
        return v->sys[r];
    }
}

static void sysreg_write_stack(struct cpu *c, unsigned el, uint64_t value)
{
    *sysreg_stack(c, el) = value;
}

/* A register of the translation regime: nothing that was cached holds any more. */
static void sysreg_write_regime(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    if (v->sys[r] == value)
        return;
    v->sys[r] = value;
    mmu_update_regime(v);
    tlb_flush_all(v);
}

/*
 * TTBRn_EL1. Software that changes a base without changing the ASID has to invalidate by itself
 * (D8.14), so only the ASID matters here. What others said of the new one nobody has waited for; it
 * is done before the next instruction, as MSR looks at `attention` then.
 */
static void sysreg_write_ttbr(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    v->sys[r] = value;
    mmu_update_bases(v);
    if (v->user->asid != v->regime.asid)
        tlb_switch_asid(v);
}

/* The timer's line follows at once, so that no interrupt of it is taken twice. Without a GIC it may
 * be an exit now: the interpreter looks at its budget, translated code at `attention`. */
static void sysreg_timer_changed(struct soft_vcpu *v)
{
    if (v->cpu.vm->gic)
        soft_gic_sync_inputs(v);
    timer_note(v);
    v->cpu.budget = -1;
    if (timer_fires(v))
        cpu_attend(&v->cpu, ATTENTION_LOOK);
}

static void sysreg_write_special(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    struct cpu *c = &v->cpu;
    switch (r) {
    case SYSREG_SP_EL0:
        sysreg_write_stack(c, 0, value);
        break;
    case SYSREG_SP_EL1:
        sysreg_write_stack(c, 1, value);
        break;
    case SYSREG_SCTLR_EL1:
    case SYSREG_TCR_EL1:
    case SYSREG_MAIR_EL1:
        sysreg_write_regime(v, r, value);
        break;
    case SYSREG_TTBR0_EL1:
    case SYSREG_TTBR1_EL1:
        sysreg_write_ttbr(v, r, value);
        break;
    case SYSREG_ACTLR_EL1:
        v->sys[r] = value & 2; /* EnTSO: the host is as strong anyway */
        break;
    case SYSREG_CPACR_EL1:
        v->sys[r] = value;
        cpu_update_context(c);
        break;
    case SYSREG_SPSel:
        cpu_set_sp_sel(c, value & 1);
        break;
    case SYSREG_PAN:
        cpu_set_pan(c, bit(value, 22));
        break;
    case SYSREG_UAO:
        c->uao = bit(value, 23);
        break;
    case SYSREG_NZCV:
        c->nzcv = (uint32_t)value & 0xf0000000u;
        break;
    case SYSREG_DAIF:
        c->daif = (uint32_t)value & (PSTATE_D | PSTATE_A | PSTATE_I | PSTATE_F);
        break;
    case SYSREG_DIT:
        c->dit = bit(value, 24);
        break;
    case SYSREG_SSBS:
        c->ssbs = bit(value, 12);
        break;
    case SYSREG_FPCR:
        c->fpcr = (uint32_t)value & 0x07c80000u;
        jit_update_context(c);
        break;
    case SYSREG_FPSR:
        c->fpsr = (uint32_t)value & 0x0800009fu;
        break;
    case SYSREG_CNTV_TVAL_EL0:
        v->sys[SYSREG_CNTV_CVAL_EL0] = timer_count(v) + (uint64_t)(int64_t)(int32_t)value;
        sysreg_timer_changed(v);
        break;
    case SYSREG_CNTV_CTL_EL0:
        v->sys[r] = value & 3;
        sysreg_timer_changed(v);
        break;
    case SYSREG_CNTV_CVAL_EL0:
        v->sys[r] = value;
        sysreg_timer_changed(v);
        break;
    default:
        v->sys[r] = value;
        break;
    }
}

/* Of the kind OPTION: op0 2 is debug. */
static bool sysreg_is_pmu(enum sysreg r)
{
    return soft_sysreg_table[r].encoding >> 14 == 3;
}

uint64_t soft_sysreg_read(struct soft_vcpu *v, enum sysreg r)
{
    switch (soft_sysreg_table[r].kind) {
    case SYSREG_SPECIAL:
        return sysreg_read_special(v, r);
    case SYSREG_OPTION:
        return sysreg_is_pmu(r) ? pmu_read(v, r) : debug_read_lock(v, r);
    case SYSREG_GIC:
        return soft_gic_sysreg_read(v, r);
    default:
        return v->sys[r];
    }
}

void soft_sysreg_write(struct soft_vcpu *v, enum sysreg r, uint64_t value)
{
    switch (soft_sysreg_table[r].kind) {
    case SYSREG_SPECIAL:
        sysreg_write_special(v, r, value);
        break;
    case SYSREG_DEBUG:
        debug_write(v, r, value);
        break;
    case SYSREG_OPTION:
        if (sysreg_is_pmu(r)) {
            pmu_write(v, r, value);
            if (v->cpu.vm->gic)
                soft_gic_sync_inputs(v);
        } else {
            debug_write_lock(v, r, value);
        }
        break;
    case SYSREG_GIC:
        soft_gic_sysreg_write(v, r, value);
        break;
    default:
        v->sys[r] = value;
        break;
    }
}
