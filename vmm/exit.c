#include "vmm/exit.h"

#include <inttypes.h>

#include <Hypervisor/Hypervisor.h>

#include "base/bits.h"
#include "base/log.h"
#include "vmm/internal.h"
#include "vmm/psci.h"
#include "vmm/sysreg.h"
#include "vmm/vcpu.h"

#define EXIT_ISS_IL    (1u << 25)
#define EXIT_ISS_CM    8
#define EXIT_ISS_S1PTW 7
#define EXIT_ISS_WNR   6

/* Fault status codes: external abort, and the one of a walk, of level 0. */
#define EXIT_FSC_EXTERNAL      0x10u
#define EXIT_FSC_EXTERNAL_WALK 0x14u

#define EXIT_PSTATE_EL          0xcu
#define EXIT_PSTATE_SP          0x1u
#define EXIT_PSTATE_PAN         (1u << 22)
#define EXIT_PSTATE_KEPT        0xf1000000u /* NZCV and DIT */
#define EXIT_PSTATE_SSBS        (1u << 12)
#define EXIT_PSTATE_EL1H_MASKED 0x3c5u

#define EXIT_SCTLR_SPAN  23
#define EXIT_SCTLR_DSSBS 44

/* --- aborts --- */

static bool exit_is_from_el0(const struct vcpu *v)
{
    return (vcpu_get_reg(v, HV_REG_CPSR) & EXIT_PSTATE_EL) == 0;
}

/*
 * Take a synchronous external abort in the guest's EL1 (DDI 0487 D1.3.4), for an access that nobody
 * can carry out. The syndrome tells its class and direction; `fsc` is the fault status code.
 */
static void exit_inject_abort(struct vcpu *v, uint64_t syndrome, uint32_t fsc)
{
    uint64_t cpsr = vcpu_get_reg(v, HV_REG_CPSR);
    bool from_el0 = exit_is_from_el0(v);
    uint64_t vector = from_el0 ? 0x400 : cpsr & EXIT_PSTATE_SP ? 0x200 : 0x000;
    /* Aborts have a class for the exception level below and the next for the same. */
    uint64_t ec = bits(syndrome, 31, 26) + (from_el0 ? 0 : 1);
    uint64_t sctlr = vcpu_get_sys(v, HV_SYS_REG_SCTLR_EL1);
    uint64_t pstate = (cpsr & EXIT_PSTATE_KEPT) | EXIT_PSTATE_EL1H_MASKED;
    pstate |= bit(sctlr, EXIT_SCTLR_SPAN) ? cpsr & EXIT_PSTATE_PAN : EXIT_PSTATE_PAN;
    pstate |= bit(sctlr, EXIT_SCTLR_DSSBS) ? EXIT_PSTATE_SSBS : 0;
    vcpu_set_sys(v, HV_SYS_REG_ESR_EL1,
                 ec << 26 | EXIT_ISS_IL | (syndrome & 1u << EXIT_ISS_WNR) | fsc);
    vcpu_set_sys(v, HV_SYS_REG_FAR_EL1, v->exit->exception.virtual_address);
    vcpu_set_sys(v, HV_SYS_REG_ELR_EL1, vcpu_get_reg(v, HV_REG_PC));
    vcpu_set_sys(v, HV_SYS_REG_SPSR_EL1, cpsr);
    vcpu_set_reg(v, HV_REG_CPSR, pstate);
    vcpu_set_reg(v, HV_REG_PC, vcpu_get_sys(v, HV_SYS_REG_VBAR_EL1) + vector);
}

/* The guest's own page tables are where no memory is. */
static void exit_inject_walk_abort(struct vcpu *v, uint64_t syndrome)
{
    log_limited(LOG_WARN, "vcpu",
                "CPU %u: the guest has page tables at 0x%" PRIx64 ", which is not memory", v->index,
                v->exit->exception.physical_address);
    exit_inject_abort(v, syndrome, EXIT_FSC_EXTERNAL_WALK | (uint32_t)bits(syndrome, 1, 0));
}

/* A program gets what hardware would give it. A kernel that fetches from nowhere has no vectors to
 * go to or is lost; each would only loop, so the VM stops and says where. */
static enum exit_next exit_instruction_abort(struct vcpu *v, uint64_t syndrome)
{
    if (machine_show_flash(&v->vm->machine, v->exit->exception.physical_address))
        return EXIT_RUN;
    bool walk = bit(syndrome, EXIT_ISS_S1PTW);
    if (!exit_is_from_el0(v)) {
        vcpu_dump(v);
        vm_fail(v->vm,
                "the guest %s 0x%" PRIx64 ", where there is no memory (CPU %u, pc 0x%" PRIx64 ")",
                walk ? "has page tables at" : "ran off into", v->exit->exception.physical_address,
                v->index, vcpu_get_reg(v, HV_REG_PC));
        return EXIT_STOP;
    }
    if (walk)
        exit_inject_walk_abort(v, syndrome);
    else
        exit_inject_abort(v, syndrome, EXIT_FSC_EXTERNAL);
    return EXIT_RUN;
}

static enum exit_next exit_data_abort(struct vcpu *v, uint64_t syndrome)
{
    gpa_t a = v->exit->exception.physical_address;
    struct bus *bus = &v->vm->machine.bus;
    if (!bit(syndrome, EXIT_ISS_WNR) && machine_show_flash(&v->vm->machine, a))
        return EXIT_RUN;
    if (bit(syndrome, EXIT_ISS_S1PTW)) {
        exit_inject_walk_abort(v, syndrome);
        return EXIT_RUN;
    }
    if (bit(syndrome, EXIT_ISS_CM)) { /* cache maintenance: devices are not cached */
        vcpu_advance(v);
        return EXIT_RUN;
    }
    struct exit_mmio m;
    if (!exit_decode_mmio(syndrome, &m)) {
        log_limited(LOG_WARN, "vcpu",
                    "CPU %u: the guest accesses 0x%" PRIx64
                    " with an instruction other than a plain "
                    "load or store (pc 0x%" PRIx64 ")",
                    v->index, a, vcpu_get_reg(v, HV_REG_PC));
        exit_inject_abort(v, syndrome, EXIT_FSC_EXTERNAL);
        return EXIT_RUN;
    }
    if (m.write)
        bus_write(bus, v->index, a, m.width, vcpu_get_x(v, m.reg));
    else
        vcpu_set_x(v, m.reg, exit_extend(&m, bus_read(bus, v->index, a, m.width)));
    vcpu_advance(v);
    return EXIT_RUN;
}

/* --- the rest --- */

static int exit_cpu_on(void *ctx, unsigned cpu, uint64_t entry, uint64_t context)
{
    struct vm *vm = ctx;
    return vcpu_power_on(&vm->vcpu[cpu], entry, context);
}

static enum psci_state exit_cpu_state(void *ctx, unsigned cpu)
{
    struct vm *vm = ctx;
    return vcpu_power_state(&vm->vcpu[cpu]);
}

static enum exit_next exit_firmware_call(struct vcpu *v)
{
    struct vm *vm = v->vm;
    const struct psci_platform platform = {
        .cpus = vm->config.cpus,
        .gmem = &vm->gmem,
        .cpu_on = exit_cpu_on,
        .cpu_state = exit_cpu_state,
        .clock = vm_clock,
        .stolen = v->steals ? MEMMAP_STOLEN + v->index * VM_STOLEN_SIZE : 0,
        .ctx = vm,
    };
    uint64_t x[4];
    for (unsigned i = 0; i < 4; i++)
        x[i] = vcpu_get_x(v, i);
    enum psci_action action = psci_call(&platform, x);
    if (action == PSCI_RETURN || action == PSCI_SUSPEND)
        for (unsigned i = 0; i < 4; i++)
            vcpu_set_x(v, i, x[i]);
    switch (action) {
    case PSCI_RETURN:
        break;
    case PSCI_SUSPEND:
        return EXIT_WAIT_INTERRUPT;
    case PSCI_CPU_OFF:
        return EXIT_CPU_OFF;
    case PSCI_SYSTEM_OFF:
        vm_request(vm, VM_WISH_POWEROFF);
        return EXIT_STOP;
    case PSCI_SYSTEM_RESET:
        vm_request(vm, VM_WISH_RESET);
        return EXIT_STOP;
    }
    return EXIT_RUN;
}

/* TI <1:0>: WFI, WFE, WFIT, WFET; the last two name the register with the deadline (RV, RN). */
static enum exit_next exit_wfx(struct vcpu *v, uint64_t syndrome, uint64_t *deadline)
{
    unsigned ti = (unsigned)bits(syndrome, 1, 0);
    if (ti >= 2 && bit(syndrome, 2))
        *deadline = vcpu_get_x(v, (unsigned)bits(syndrome, 9, 5));
    vcpu_advance(v);
    return ti % 2 == 0 ? EXIT_WAIT_INTERRUPT : EXIT_WAIT_EVENT;
}

static enum exit_next exit_system_register(struct vcpu *v, uint64_t syndrome)
{
    struct exit_sysreg s = exit_decode_sysreg(syndrome);
    if (s.read)
        vcpu_set_x(v, s.reg, sysreg_read(&v->sys, s.encoding));
    else
        sysreg_write(&v->sys, s.encoding, vcpu_get_x(v, s.reg));
    vcpu_advance(v);
    return EXIT_RUN;
}

enum exit_next exit_handle(struct vcpu *v, uint64_t *deadline)
{
    uint64_t syndrome = v->exit->exception.syndrome;
    switch (bits(syndrome, 31, 26)) {
    case EXIT_EC_WFX:
        return exit_wfx(v, syndrome, deadline);
    case EXIT_EC_HVC: /* PC is behind it already */
        return exit_firmware_call(v);
    case EXIT_EC_SMC:
        vcpu_advance(v);
        return exit_firmware_call(v);
    case EXIT_EC_SYSREG:
        return exit_system_register(v, syndrome);
    case EXIT_EC_DATA_ABORT:
        return exit_data_abort(v, syndrome);
    case EXIT_EC_INSTRUCTION_ABORT:
        return exit_instruction_abort(v, syndrome);
    default:
        vcpu_dump(v);
        vm_fail(v->vm,
                "CPU %u stopped with exception class 0x%02x, which the monitor does not know",
                v->index, (unsigned)bits(syndrome, 31, 26));
        return EXIT_STOP;
    }
}
