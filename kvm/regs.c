/*
 * Registers, through KVM_GET_ONE_REG and KVM_SET_ONE_REG. An identifier of a system register ends
 * in op0, op1, CRn, CRm and op2 just as Apple's enumerants do, so nearly all of them need no table;
 * those that are part of KVM's core registers, and the timers', do.
 *
 * What a kernel does not have, or does not let us change (identification registers before Linux
 * 6.7), is -ENOTSUP; a write of the value that is there succeeds.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "kvm/kvm.h"

#define CORE(size, name)                                                                           \
    (KVM_REG_ARM64 | KVM_REG_SIZE_##size | KVM_REG_ARM_CORE | KVM_REG_ARM_CORE_REG(name))

#define SYS(reg)                                                                                   \
    (KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM64_SYSREG | ((uint64_t)(reg) & 0xffff))

int kvm_get_one(int vcpu_fd, uint64_t id, void *value)
{
    const struct kvm_one_reg one = { .id = id, .addr = (uintptr_t)value };

    return kvm_call(vcpu_fd, KVM_GET_ONE_REG, &one);
}

int kvm_set_one(int vcpu_fd, uint64_t id, const void *value)
{
    const struct kvm_one_reg one = { .id = id, .addr = (uintptr_t)value };

    return kvm_call(vcpu_fd, KVM_SET_ONE_REG, &one);
}

/* --- general and floating-point registers --- */

static uint64_t reg_id(hv_reg_t reg)
{
    switch (reg) {
    case HV_REG_PC:
        return CORE(U64, regs.pc);
    case HV_REG_CPSR:
        return CORE(U64, regs.pstate);
    case HV_REG_FPCR:
        return CORE(U32, fp_regs.fpcr);
    case HV_REG_FPSR:
        return CORE(U32, fp_regs.fpsr);
    default:
        return CORE(U64, regs.regs[0]) + 2 * (uint64_t)(reg - HV_REG_X0);
    }
}

/* Little-endian: a 32-bit register fills the lower half. */
int kvm_get_reg(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t *value)
{
    uint64_t got = 0;
    int err = kvm_get_one(kvm_vcpu_of(vcpu)->fd, reg_id(reg), &got);

    if (!err)
        *value = got;
    return err;
}

int kvm_set_reg(struct hv_backend_vcpu *vcpu, hv_reg_t reg, uint64_t value)
{
    return kvm_set_one(kvm_vcpu_of(vcpu)->fd, reg_id(reg), &value);
}

static uint64_t simd_id(unsigned reg)
{
    return CORE(U128, fp_regs.vregs[0]) + 4 * (uint64_t)reg;
}

int kvm_get_simd(struct hv_backend_vcpu *vcpu, unsigned reg, uint8_t value[16])
{
    return kvm_get_one(kvm_vcpu_of(vcpu)->fd, simd_id(reg), value);
}

int kvm_set_simd(struct hv_backend_vcpu *vcpu, unsigned reg, const uint8_t value[16])
{
    return kvm_set_one(kvm_vcpu_of(vcpu)->fd, simd_id(reg), value);
}

uint64_t kvm_reg(const struct kvm_vcpu *v, hv_reg_t reg)
{
    uint64_t value = 0;

    return kvm_get_one(v->fd, reg_id(reg), &value) ? 0 : value;
}

/* --- system registers --- */

/* Where Apple's enumerant and KVM's identifier differ. */
static uint64_t sys_id(hv_sys_reg_t reg)
{
    switch (reg) {
    case HV_SYS_REG_SP_EL0:
        return CORE(U64, regs.sp);
    case HV_SYS_REG_SP_EL1:
        return CORE(U64, sp_el1);
    case HV_SYS_REG_ELR_EL1:
        return CORE(U64, elr_el1);
    case HV_SYS_REG_SPSR_EL1:
        return CORE(U64, spsr[KVM_SPSR_EL1]);
    case HV_SYS_REG_CNTV_CTL_EL0:
        return KVM_REG_ARM_TIMER_CTL;
    case HV_SYS_REG_CNTV_CVAL_EL0:
        return KVM_REG_ARM_TIMER_CVAL;
    case HV_SYS_REG_CNTP_CTL_EL0:
        return KVM_REG_ARM_PTIMER_CTL;
    case HV_SYS_REG_CNTP_CVAL_EL0:
        return KVM_REG_ARM_PTIMER_CVAL;
    default:
        return SYS(reg);
    }
}

/* KVM keeps CNTP_TVAL_EL0 as what it is, a view of the compare value and the counter. */
static int get_tval(int fd, uint64_t *value)
{
    uint64_t cval, count;
    int err = kvm_get_one(fd, KVM_REG_ARM_PTIMER_CVAL, &cval);

    if (!err)
        err = kvm_get_one(fd, KVM_REG_ARM_PTIMER_CNT, &count);
    if (!err)
        *value = (uint32_t)(cval - count);
    return err;
}

static int set_tval(int fd, uint64_t value)
{
    uint64_t count;
    int err = kvm_get_one(fd, KVM_REG_ARM_PTIMER_CNT, &count);

    if (err)
        return err;
    count += (uint64_t)(int64_t)(int32_t)(uint32_t)value;
    return kvm_set_one(fd, KVM_REG_ARM_PTIMER_CVAL, &count);
}

int kvm_get_sys_reg(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t *value)
{
    int fd = kvm_vcpu_of(vcpu)->fd;
    uint64_t got;
    int err =
        reg == HV_SYS_REG_CNTP_TVAL_EL0 ? get_tval(fd, &got) : kvm_get_one(fd, sys_id(reg), &got);

    if (err)
        return err == -ENOENT ? -ENOTSUP : err;
    *value = got;
    return 0;
}

int kvm_set_sys_reg(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t value)
{
    int fd = kvm_vcpu_of(vcpu)->fd;
    uint64_t is;

    if (reg == HV_SYS_REG_CNTP_TVAL_EL0)
        return set_tval(fd, value);
    int err = kvm_set_one(fd, sys_id(reg), &value);
    if (!err || (kvm_get_one(fd, sys_id(reg), &is) == 0 && is == value))
        return 0;
    return -ENOTSUP;
}

uint64_t kvm_sys(const struct kvm_vcpu *v, hv_sys_reg_t reg)
{
    uint64_t value = 0;

    return kvm_get_one(v->fd, sys_id(reg), &value) ? 0 : value;
}

/* --- without a VM --- */

/* A vCPU of a VM that is there for the question. Closes everything again. */
static int ask_scratch(uint64_t id, void *value)
{
    int kvm = kvm_open();
    if (kvm < 0)
        return kvm;
    int vm = kvm_call_value(kvm, KVM_CREATE_VM, 0);
    int vcpu = vm < 0 ? vm : kvm_call_value(vm, KVM_CREATE_VCPU, 0);
    int err = vcpu < 0 ? vcpu : kvm_vcpu_init_fd(kvm, vm, vcpu, false);

    if (!err)
        err = kvm_get_one(vcpu, id, value);
    if (vcpu >= 0)
        close(vcpu);
    if (vm >= 0)
        close(vm);
    close(kvm);
    return err;
}

#define ENCODING(op0, op1, crn, crm, op2)                                                          \
    ((op0) << 14 | (op1) << 11 | (crn) << 7 | (crm) << 3 | (op2))

int kvm_feature_reg(const char *cpu, hv_feature_reg_t reg, uint64_t *value)
{
    /* By hv_feature_reg_t. */
    static const uint16_t encodings[] = {
        [HV_FEATURE_REG_ID_AA64DFR0_EL1] = HV_SYS_REG_ID_AA64DFR0_EL1,
        [HV_FEATURE_REG_ID_AA64DFR1_EL1] = HV_SYS_REG_ID_AA64DFR1_EL1,
        [HV_FEATURE_REG_ID_AA64ISAR0_EL1] = HV_SYS_REG_ID_AA64ISAR0_EL1,
        [HV_FEATURE_REG_ID_AA64ISAR1_EL1] = HV_SYS_REG_ID_AA64ISAR1_EL1,
        [HV_FEATURE_REG_ID_AA64MMFR0_EL1] = HV_SYS_REG_ID_AA64MMFR0_EL1,
        [HV_FEATURE_REG_ID_AA64MMFR1_EL1] = HV_SYS_REG_ID_AA64MMFR1_EL1,
        [HV_FEATURE_REG_ID_AA64MMFR2_EL1] = HV_SYS_REG_ID_AA64MMFR2_EL1,
        [HV_FEATURE_REG_ID_AA64PFR0_EL1] = HV_SYS_REG_ID_AA64PFR0_EL1,
        [HV_FEATURE_REG_ID_AA64PFR1_EL1] = HV_SYS_REG_ID_AA64PFR1_EL1,
        [HV_FEATURE_REG_CTR_EL0] = ENCODING(3, 3, 0, 0, 1),
        [HV_FEATURE_REG_CLIDR_EL1] = ENCODING(3, 1, 0, 0, 1),
        [HV_FEATURE_REG_ID_AA64SMFR0_EL1] = HV_SYS_REG_ID_AA64SMFR0_EL1,
        [HV_FEATURE_REG_ID_AA64ZFR0_EL1] = HV_SYS_REG_ID_AA64ZFR0_EL1,
    };

    (void)cpu;                             /* there is one: the host's */
    if (reg == HV_FEATURE_REG_DCZID_EL0) { /* not KVM's: the guest reads the host's */
        __asm__("mrs %0, dczid_el0" : "=r"(*value));
        return 0;
    }
    return ask_scratch(SYS(encodings[reg]), value);
}

/* CCSIDR_EL1 of levels 1 to 7; KVM has one for each cache there is. */
int kvm_ccsidr(hv_cache_type_t type, uint64_t values[8])
{
    for (unsigned level = 0; level < 8; level++) {
        uint32_t value = 0;
        unsigned selector = level << 1 | (type == HV_CACHE_TYPE_INSTRUCTION);
        int err = level == 7 ? -ENOENT
                             : ask_scratch(KVM_REG_ARM64 | KVM_REG_SIZE_U32 | KVM_REG_ARM_DEMUX |
                                               KVM_REG_ARM_DEMUX_ID_CCSIDR | selector,
                                           &value);

        if (err && err != -ENOENT)
            return err;
        values[level] = err ? 0 : value;
    }
    return 0;
}
