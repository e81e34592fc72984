/*
 * From KVM's exits to the API's: what a trap to EL2 would have said.
 *
 * KVM finishes an access to a device itself, when it is entered again with the data; in the API the
 * monitor does that, and moves PC. So we let KVM finish at once, without entering the guest, and
 * put the registers back: then the guest stands before the access, and KVM has forgotten it.
 */

#include "base/bits.h"
#include "kvm/access.h"
#include "kvm/kvm.h"

#define EC(class)       ((uint64_t)(class) << 26 | 1u << 25) /* and IL: all instructions are 32 bits */
#define EC_HVC          EC(0x16)
#define EC_SMC          EC(0x17)
#define EC_DABORT       EC(0x24)
#define ISS_ISV         (1u << 24)
#define ISS_SSE         (1u << 21)
#define ISS_SF          (1u << 15)
#define ISS_AR          (1u << 14)
#define ISS_FNV         (1u << 10)
#define ISS_CM          (1u << 8)
#define ISS_WNR         (1u << 6)
#define FSC_LEVEL_3     3u
#define FSC_TRANSLATION (1u << 2 | FSC_LEVEL_3)
#define FSC_PERMISSION  (3u << 2 | FSC_LEVEL_3)

#define PSTATE_SS (1u << 21)

#define HVC_WORD             0xd4000002u
#define SMC_WORD             0xd4000003u
#define CALL_IMMEDIATE(word) ((word) >> 5 & 0xffff)

#define PSCI_SYSTEM_OFF   0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u

static struct hv_backend_vcpu *handle_of(struct kvm_vcpu *v)
{
    return (struct hv_backend_vcpu *)(void *)v;
}

static void set_exception(struct kvm_vcpu *v, uint64_t syndrome, uint64_t va, uint64_t ipa)
{
    v->exit->reason = HV_EXIT_REASON_EXCEPTION;
    v->exit->exception = (hv_vcpu_exit_exception_t){
        .syndrome = syndrome,
        .virtual_address = va,
        .physical_address = ipa,
    };
}

/* --- data aborts --- */

/* KVM tells an access to memory that the guest may not touch like one to nothing. */
static uint64_t fault_status(struct kvm_vcpu *v, uint64_t ipa)
{
    return kvm_memory_is_mapped(v->vm, ipa) ? FSC_PERMISSION : FSC_TRANSLATION;
}

/* FAR not valid, unless the instruction tells the address. */
static void set_abort(struct kvm_vcpu *v, const struct kvm_access *a, uint64_t iss, uint64_t ipa)
{
    set_exception(v, EC_DABORT | iss | (a ? 0 : ISS_FNV), a ? kvm_access_address(v, a) : 0, ipa);
}

static uint64_t iss_of(const struct kvm_access *a)
{
    return ISS_ISV | (uint64_t)(unsigned)__builtin_ctz(a->bytes) << 22 |
           (a->sign_extend ? ISS_SSE : 0) | (uint64_t)a->reg << 16 | (a->is_64 ? ISS_SF : 0) |
           (a->ordered ? ISS_AR : 0);
}

/* Have KVM finish the access, and take it back: PC, and `count` X registers from `first`, one of
 * which a load has changed. */
static void take_back(struct kvm_vcpu *v, unsigned first, unsigned count)
{
    uint64_t pc = kvm_reg(v, HV_REG_PC), x[31];

    for (unsigned i = 0; i < count; i++)
        x[i] = kvm_reg(v, (hv_reg_t)(HV_REG_X0 + first + i));
    __atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
    (void)kvm_call_value(v->fd, KVM_RUN, 0); /* -EINTR */
    for (unsigned i = 0; i < count; i++)
        (void)kvm_set_reg(handle_of(v), (hv_reg_t)(HV_REG_X0 + first + i), x[i]);
    (void)kvm_set_reg(handle_of(v), HV_REG_PC, pc);
}

static bool exit_mmio(struct kvm_vcpu *v)
{
    uint64_t ipa = v->run->mmio.phys_addr;
    bool write = v->run->mmio.is_write;
    struct kvm_access a;
    uint32_t word;

    if (kvm_gic_frame_access(v->vm, v->run))
        return false;
    bool known = kvm_fetch(v, kvm_reg(v, HV_REG_PC), &word) == 0 && kvm_access_decode(word, &a);
    /* Another vCPU may have written over the instruction. */
    bool fits = known && a.single && a.bytes == v->run->mmio.len && a.write == write;
    if (write || (fits && a.reg == 31))
        take_back(v, 0, 0);
    else if (fits)
        take_back(v, a.reg, 1);
    else
        take_back(v, 0, 31);
    set_abort(v, known ? &a : NULL,
              (fits ? iss_of(&a) : 0) | (write ? ISS_WNR : 0) | fault_status(v, ipa), ipa);
    return true;
}

/* An access that no syndrome describes. */
static bool exit_nisv(struct kvm_vcpu *v)
{
    uint64_t ipa = v->run->arm_nisv.fault_ipa;
    uint64_t iss = v->run->arm_nisv.esr_iss & (ISS_WNR | ISS_CM);
    struct kvm_access a;
    uint32_t word;
    bool known = kvm_fetch(v, kvm_reg(v, HV_REG_PC), &word) == 0 && kvm_access_decode(word, &a);

    set_abort(v, known ? &a : NULL, iss | fault_status(v, ipa), ipa);
    return true;
}

/* --- calls --- */

/* KVM leaves with PC behind either instruction; the API has it at an SMC. */
static bool exit_call(struct kvm_vcpu *v)
{
    uint64_t pc = kvm_reg(v, HV_REG_PC) - 4;
    bool smc = v->run->hypercall.longmode & KVM_HYPERCALL_EXIT_SMC;
    uint32_t word, kind = smc ? SMC_WORD : HVC_WORD;
    unsigned immediate = 0;

    if (kvm_fetch(v, pc, &word) == 0 && (word & 0xffe0001f) == kind)
        immediate = CALL_IMMEDIATE(word);
    if (smc)
        (void)kvm_set_reg(handle_of(v), HV_REG_PC, pc);
    set_exception(v, (smc ? EC_SMC : EC_HVC) | immediate, 0, 0);
    return true;
}

/* The end of a guest whose firmware is in the kernel: as if the call had come to the monitor. */
static bool exit_system_event(struct kvm_vcpu *v)
{
    uint32_t type = v->run->system_event.type;

    if (type != KVM_SYSTEM_EVENT_SHUTDOWN && type != KVM_SYSTEM_EVENT_RESET)
        return true; /* HV_EXIT_REASON_UNKNOWN */
    (void)kvm_set_reg(handle_of(v), HV_REG_X0,
                      type == KVM_SYSTEM_EVENT_RESET ? PSCI_SYSTEM_RESET : PSCI_SYSTEM_OFF);
    set_exception(v, EC_HVC, 0, 0);
    return true;
}

/* --- all --- */

/* KVM gives PSTATE.SS back as the monitor had set it; the step has used it up. */
static bool exit_debug(struct kvm_vcpu *v)
{
    if (v->run->debug.arch.hsr >> 26 == 0x32)
        (void)kvm_set_reg(handle_of(v), HV_REG_CPSR,
                          kvm_reg(v, HV_REG_CPSR) & ~(uint64_t)PSTATE_SS);
    set_exception(v, v->run->debug.arch.hsr, v->run->debug.arch.far, 0);
    return true;
}

bool kvm_exit_handle(struct kvm_vcpu *v)
{
    switch (v->run->exit_reason) {
    case KVM_EXIT_INTR:
        return false;
    case KVM_EXIT_MMIO:
        return exit_mmio(v);
    case KVM_EXIT_ARM_NISV:
        return exit_nisv(v);
    case KVM_EXIT_HYPERCALL:
        return exit_call(v);
    case KVM_EXIT_SYSTEM_EVENT:
        return exit_system_event(v);
    case KVM_EXIT_DEBUG:
        return exit_debug(v);
    default:
        return true; /* HV_EXIT_REASON_UNKNOWN: the run has failed in the kernel */
    }
}
