/*
 * The software CPU as a back end of hv/ (hv/backend.h): one VM, its vCPUs, their registers.
 *
 * Initial state, where Apple documents none: all registers 0, CPSR EL1h with DAIF masked,
 * SCTLR_EL1 its RES1 bits, the timer unmasked, no offset.
 */
#include "hv/backend.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/populate.h"
#include "soft/interp/a64_ops.h"
#include "soft/model.h"
#include "soft/vcpu.h"
#include "soft/vm.h"

#define SOFT_IPA_STANDARD 40
#define SOFT_IPA_MAXIMUM  48
#define SOFT_CPSR_INITIAL 0x3c5

static struct soft_vm *vm_of(struct hv_backend_vm *vm)
{
    return (struct soft_vm *)(void *)vm;
}

static struct soft_vcpu *soft_of(struct hv_backend_vcpu *vcpu)
{
    return (struct soft_vcpu *)(void *)vcpu;
}

static int soft_probe(const char *engine)
{
    if (engine && (strcmp(engine, "jit") == 0 || strcmp(engine, "check") == 0))
        return jit_host_is_able() ? 0 : -ENOTSUP;
    return !engine || strcmp(engine, "interp") == 0 ? 0 : -ENOTSUP;
}

static bool soft_translates(const char *engine)
{
    return strcmp(engine, "jit") == 0 || strcmp(engine, "check") == 0;
}

static unsigned soft_max_vcpus(void)
{
    return SOFT_MAX_VCPUS;
}

static void soft_ipa_bits(unsigned *standard, unsigned *maximum)
{
    *standard = SOFT_IPA_STANDARD;
    *maximum = SOFT_IPA_MAXIMUM;
}

static int backend_vm_create(const struct hv_vm_desc *desc, struct hv_backend_vm **vm)
{
    struct soft_vm *made;
    unsigned options;
    if (desc->el2)
        return -ENOTSUP;
    int err = model_parse(desc->cpu, &options);
    if (!err)
        err = soft_vm_create(desc->ipa_bits, options, &made);
    if (err)
        return err;
    made->check = desc->engine && strcmp(desc->engine, "check") == 0;
    made->trace_fd = desc->trace_fd;
    made->code_folder = desc->code_folder;
    made->code_quiet = desc->code_quiet;
    made->jit = made->check || (desc->engine && strcmp(desc->engine, "jit") == 0);
    *vm = (struct hv_backend_vm *)(void *)made;
    return 0;
}

static void backend_vm_destroy(struct hv_backend_vm *vm)
{
    soft_vm_destroy(vm_of(vm));
}

static int backend_vm_map(struct hv_backend_vm *vm, void *host, hv_ipa_t ipa, size_t size,
                          hv_memory_flags_t flags)
{
    return soft_vm_map(vm_of(vm), host, ipa, size, (unsigned)flags, NULL);
}

static int backend_vm_map_file(struct hv_backend_vm *vm, void *host, hv_ipa_t ipa, size_t size,
                               hv_memory_flags_t flags, const struct hvx_memory *memory)
{
    return soft_vm_map(vm_of(vm), host, ipa, size, (unsigned)flags, memory);
}

static void backend_vm_touch_again(struct hv_backend_vm *vm)
{
    soft_request_all(vm_of(vm), &(struct request){ .kind = REQUEST_TLB_ALL });
}

static int backend_vm_unmap(struct hv_backend_vm *vm, hv_ipa_t ipa, size_t size)
{
    return soft_vm_unmap(vm_of(vm), ipa, size);
}

static int backend_vm_protect(struct hv_backend_vm *vm, hv_ipa_t ipa, size_t size,
                              hv_memory_flags_t flags)
{
    return soft_vm_protect(vm_of(vm), ipa, size, (unsigned)flags);
}

static int backend_vm_enable(struct hv_backend_vm *vm, uint32_t features)
{
    if (features & ~(HVX_NATIVE_DEBUG_PMU | HVX_MEMORY_FILES))
        return -ENOTSUP;
    if (features & HVX_NATIVE_DEBUG_PMU)
        vm_of(vm)->native_debug_pmu = true;
    return 0;
}

static int soft_cpu_feature(const char *cpu, unsigned index, struct hvx_cpu_feature *feature)
{
    unsigned options;
    int err = model_parse(cpu, &options);

    return err ? err : model_feature(index, options, feature);
}

static int soft_feature_reg(const char *cpu, hv_feature_reg_t reg, uint64_t *value)
{
    static const enum sysreg which[] = {
        [HV_FEATURE_REG_ID_AA64DFR0_EL1] = SYSREG_ID_AA64DFR0_EL1,
        [HV_FEATURE_REG_ID_AA64DFR1_EL1] = SYSREG_ID_AA64DFR1_EL1,
        [HV_FEATURE_REG_ID_AA64ISAR0_EL1] = SYSREG_ID_AA64ISAR0_EL1,
        [HV_FEATURE_REG_ID_AA64ISAR1_EL1] = SYSREG_ID_AA64ISAR1_EL1,
        [HV_FEATURE_REG_ID_AA64MMFR0_EL1] = SYSREG_ID_AA64MMFR0_EL1,
        [HV_FEATURE_REG_ID_AA64MMFR1_EL1] = SYSREG_ID_AA64MMFR1_EL1,
        [HV_FEATURE_REG_ID_AA64MMFR2_EL1] = SYSREG_ID_AA64MMFR2_EL1,
        [HV_FEATURE_REG_ID_AA64PFR0_EL1] = SYSREG_ID_AA64PFR0_EL1,
        [HV_FEATURE_REG_ID_AA64PFR1_EL1] = SYSREG_ID_AA64PFR1_EL1,
        [HV_FEATURE_REG_CTR_EL0] = SYSREG_CTR_EL0,
        [HV_FEATURE_REG_CLIDR_EL1] = SYSREG_CLIDR_EL1,
        [HV_FEATURE_REG_DCZID_EL0] = SYSREG_DCZID_EL0,
        [HV_FEATURE_REG_ID_AA64SMFR0_EL1] = SYSREG_ID_AA64SMFR0_EL1,
        [HV_FEATURE_REG_ID_AA64ZFR0_EL1] = SYSREG_ID_AA64ZFR0_EL1,
    };
    unsigned options;
    int err = model_parse(cpu, &options);

    if (err)
        return err;
    if ((unsigned)reg >= ARRAY_LEN(which))
        return -EINVAL;
    *value = soft_sysreg_table[which[reg]].reset | model_register(which[reg], options);
    if (reg == HV_FEATURE_REG_ID_AA64MMFR0_EL1)
        *value |= soft_sysreg_pa_range(SOFT_IPA_STANDARD);
    return 0;
}

static int soft_ccsidr(hv_cache_type_t type, uint64_t values[8])
{
    for (unsigned level = 0; level < 8; level++)
        values[level] = soft_sysreg_ccsidr(level << 1 | (type == HV_CACHE_TYPE_INSTRUCTION));
    return 0;
}

static void vcpu_reset(struct soft_vcpu *v)
{
    struct cpu *c = &v->cpu;

    soft_sysreg_reset(v);
    code_init(v);
    tlb_init(v);
    mmu_update_regime(v);
    cpu_set_pstate(c, SOFT_CPSR_INITIAL);
    atomic_store(&c->attention, ATTENTION_MAP);
}

static void vcpu_free(struct soft_vcpu *v)
{
    code_drop_all(v);
    window_destroy(v);
    check_destroy(v);
    jit_destroy(v);
    pthread_cond_destroy(&v->wait_cond);
    lock_fini(&v->wait_lock);
    lock_fini(&v->requests.lock);
    munmap(v, sizeof *v);
}

static int backend_vcpu_create(struct hv_backend_vm *vm, unsigned index, hv_vcpu_exit_t *exit,
                               struct hv_backend_vcpu **vcpu)
{
    struct soft_vm *m = vm_of(vm);
    struct soft_vcpu *v;

    if (index >= SOFT_MAX_VCPUS)
        return -ENOSPC;
    v = map_zero(sizeof *v); /* most of it are banks of the TLB, many of them never used */
    if (!v)
        return -ENOMEM;
    v->cpu.vm = m;
    v->cpu.vcpu = v;
    v->index = index;
    v->exit = exit;
    lock_init(&v->requests.lock, LOCK_HOST);
    lock_init(&v->wait_lock, LOCK_HOST);
    cond_init(&v->wait_cond);
    vcpu_reset(v);
    int err = m->jit ? jit_create(v) : 0;
    if (!err && m->check)
        err = check_create(v);
    if (!err && m->jit)
        err = ticker_start(m);
    if (err) {
        vcpu_free(v);
        return err;
    }

    lock_acquire(&m->lock);
    m->vcpu[index] = v;
    if (m->vcpu_end <= index)
        m->vcpu_end = index + 1;
    lock_release(&m->lock);
    soft_gic_attach(v);
    *vcpu = (struct hv_backend_vcpu *)(void *)v;
    return 0;
}

static void backend_vcpu_destroy(struct hv_backend_vcpu *vcpu)
{
    struct soft_vcpu *v = soft_of(vcpu);
    struct soft_vm *m = v->cpu.vm;

    soft_gic_detach(v);
    stolen_end(v);
    lock_acquire(&m->lock);
    m->vcpu[v->index] = NULL;
    lock_release(&m->lock);
    vcpu_free(v);
}

static int backend_vcpu_run(struct hv_backend_vcpu *vcpu)
{
    struct soft_vcpu *v = soft_of(vcpu);

    v->cpsr_raw_valid = false;
    soft_run(v);
    v->irq[HV_INTERRUPT_TYPE_IRQ] = v->irq[HV_INTERRUPT_TYPE_FIQ] = false;
    return v->failed ? -EIO : 0;
}

static void backend_vcpu_kick(struct hv_backend_vcpu *vcpu)
{
    soft_kick(soft_of(vcpu), ATTENTION_CANCEL);
}

static int backend_get_reg(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t *value)
{
    struct soft_vcpu *v = soft_of(vcpu);
    const struct cpu *c = &v->cpu;

    if (reg <= HV_REG_X30)
        *value = c->x[reg];
    else if (reg == HV_REG_PC)
        *value = c->pc;
    else if (reg == HV_REG_FPCR)
        *value = c->fpcr;
    else if (reg == HV_REG_FPSR)
        *value = c->fpsr;
    else if (reg == HV_REG_CPSR)
        *value = v->cpsr_raw_valid ? v->cpsr_raw : cpu_pstate(c);
    else
        return -EINVAL;
    return 0;
}

static int backend_set_reg(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t value)
{
    struct soft_vcpu *v = soft_of(vcpu);
    struct cpu *c = &v->cpu;

    if (reg <= HV_REG_X30) {
        c->x[reg] = value;
    } else if (reg == HV_REG_PC) {
        c->pc = value;
    } else if (reg == HV_REG_FPCR) {
        c->fpcr = (uint32_t)value;
    } else if (reg == HV_REG_FPSR) {
        c->fpsr = (uint32_t)value;
    } else if (reg == HV_REG_CPSR) {
        cpu_set_pstate(c, (uint32_t)value);
        v->cpsr_raw = (uint32_t)value;
        v->cpsr_raw_valid = true;
    } else {
        return -EINVAL;
    }
    return 0;
}

static int backend_get_simd(struct hv_backend_vcpu *vcpu, unsigned reg, uint8_t value[16])
{
    if (reg > 31)
        return -EINVAL;
    memcpy(value, &soft_of(vcpu)->cpu.v[reg], 16);
    return 0;
}

static int backend_set_simd(struct hv_backend_vcpu *vcpu, unsigned reg, const uint8_t value[16])
{
    if (reg > 31)
        return -EINVAL;
    memcpy(&soft_of(vcpu)->cpu.v[reg], value, 16);
    return 0;
}

/* The physical timer is the VMM's own without a GIC. */
static int backend_sys_reg(const struct soft_vcpu *v, hv_sys_reg_t reg, enum sysreg *r)
{
    int found = soft_sysreg_find(reg);

    if (found < 0 || (soft_sysreg_table[found].kind == SYSREG_GIC && !v->cpu.vm->gic))
        return -ENOTSUP;
    *r = (enum sysreg)found;
    return 0;
}

static int backend_get_sys_reg(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t *value)
{
    enum sysreg r;
    int err = backend_sys_reg(soft_of(vcpu), reg, &r);

    if (!err)
        *value = soft_sysreg_read(soft_of(vcpu), r);
    return err;
}

static int backend_set_sys_reg(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t value)
{
    struct soft_vcpu *v = soft_of(vcpu);
    enum sysreg r;
    int err = backend_sys_reg(v, reg, &r);

    if (!err) {
        soft_sysreg_write(v, r, value);
        mmu_update_regime(v); /* the identification registers have a say in it */
        if (r == SYSREG_MPIDR_EL1 && v->cpu.vm->gic)
            soft_gic_set_affinity(v);
    }
    return err;
}

static bool backend_get_pending(struct hv_backend_vcpu *vcpu, hv_interrupt_type_t type)
{
    return soft_of(vcpu)->irq[type];
}

static void backend_set_pending(struct hv_backend_vcpu *vcpu, hv_interrupt_type_t type,
                                bool pending)
{
    soft_of(vcpu)->irq[type] = pending;
}

static bool backend_get_vtimer_mask(struct hv_backend_vcpu *vcpu)
{
    return soft_of(vcpu)->vtimer_masked;
}

static void backend_set_vtimer_mask(struct hv_backend_vcpu *vcpu, bool masked)
{
    soft_of(vcpu)->vtimer_masked = masked;
}

static uint64_t backend_get_vtimer_offset(struct hv_backend_vcpu *vcpu)
{
    return soft_of(vcpu)->vtimer_offset;
}

static void backend_set_vtimer_offset(struct hv_backend_vcpu *vcpu, uint64_t offset)
{
    soft_of(vcpu)->vtimer_offset = offset;
}

static int backend_set_trap_debug_exceptions(struct hv_backend_vcpu *vcpu, bool on)
{
    soft_of(vcpu)->trap_debug_exceptions = on;
    return 0;
}

static int backend_set_trap_debug_regs(struct hv_backend_vcpu *vcpu, bool on)
{
    soft_of(vcpu)->trap_debug_regs = on;
    return 0;
}

static uint64_t backend_exec_time(struct hv_backend_vcpu *vcpu)
{
    return soft_of(vcpu)->exec_ticks;
}

static bool backend_get_pmu_irq(struct hv_backend_vcpu *vcpu)
{
    return pmu_irq(soft_of(vcpu));
}

static int backend_publish_stolen(struct hv_backend_vcpu *vcpu, uint64_t *place)
{
    return stolen_begin(soft_of(vcpu), place);
}

static void backend_stats(struct hv_backend_vcpu *vcpu, struct hvx_vcpu_stats *stats)
{
    struct soft_vcpu *v = soft_of(vcpu);

    *stats = v->stats;
    stats->kept = HVX_STATS_EVENTS;
    if (v->hot.jit) {
        jit_read_stats(v, stats);
    } else {
        stats->kept |= HVX_STATS_INSTRUCTIONS;
        stats->instructions = v->cpu.instructions;
    }
}

_Static_assert(A64_OP_COUNT <= HVX_STATS_KINDS, "each instruction has its counter");

static const char *backend_instruction_name(unsigned kind)
{
    return kind < A64_OP_COUNT ? a64_ops[kind].name : NULL;
}

const struct hv_backend hv_backend_soft = {
    .name = "soft",
    .cpu_model = MODEL_NAME,
    .probe = soft_probe,
    .translates = soft_translates,
    .max_vcpus = soft_max_vcpus,
    .ipa_bits = soft_ipa_bits,
    .vm_create = backend_vm_create,
    .vm_destroy = backend_vm_destroy,
    .vm_map = backend_vm_map,
    .vm_map_file = backend_vm_map_file,
    .vm_touch_again = backend_vm_touch_again,
    .vm_unmap = backend_vm_unmap,
    .vm_protect = backend_vm_protect,
    .cpu_feature = soft_cpu_feature,
    .feature_reg = soft_feature_reg,
    .ccsidr = soft_ccsidr,
    .vcpu_create = backend_vcpu_create,
    .vcpu_destroy = backend_vcpu_destroy,
    .vcpu_run = backend_vcpu_run,
    .vcpu_kick = backend_vcpu_kick,
    .get_reg = backend_get_reg,
    .set_reg = backend_set_reg,
    .get_simd = backend_get_simd,
    .set_simd = backend_set_simd,
    .get_sys_reg = backend_get_sys_reg,
    .set_sys_reg = backend_set_sys_reg,
    .get_pending = backend_get_pending,
    .set_pending = backend_set_pending,
    .get_vtimer_mask = backend_get_vtimer_mask,
    .set_vtimer_mask = backend_set_vtimer_mask,
    .get_vtimer_offset = backend_get_vtimer_offset,
    .set_vtimer_offset = backend_set_vtimer_offset,
    .set_trap_debug_exceptions = backend_set_trap_debug_exceptions,
    .set_trap_debug_reg_accesses = backend_set_trap_debug_regs,
    .exec_time = backend_exec_time,
    .stats = backend_stats,
    .instruction_name = backend_instruction_name,
    .vm_enable = backend_vm_enable,
    .get_pmu_irq = backend_get_pmu_irq,
    .publish_stolen = backend_publish_stolen,
    .gic = &soft_gic_backend,
};
