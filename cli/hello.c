/*
 * `ireko hello`: the two-instruction guest of examples/hello.c, one step at a time, with what each
 * call of the Hypervisor API is for and the exit record taken apart field by field.
 */
#include "cli/cli.h"

#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/bits.h"
#include "base/compiler.h"

#define GUEST_BASE 0x40000000u
#define GUEST_SIZE 0x4000u

/* PSTATE: EL1 with its own stack pointer, debug exceptions, SErrors, IRQs and FIQs masked. */
#define CPSR_EL1H_MASKED 0x3c5u

#define EC_BRK 0x3cu

static const uint32_t guest_code[] = { 0xd2800540, 0xd4200000 };
static const char *const guest_text[] = { "mov x0, #42", "brk #0" };

struct hello {
    void *memory;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    unsigned steps;
    bool has_vm, is_mapped, has_vcpu;
};

struct code_name {
    hv_return_t code;
    const char *name;
};

static const struct code_name code_names[] = {
    { HV_ERROR, "HV_ERROR" },
    { HV_BUSY, "HV_BUSY" },
    { HV_BAD_ARGUMENT, "HV_BAD_ARGUMENT" },
    { HV_NO_RESOURCES, "HV_NO_RESOURCES: the host is short of memory" },
    { HV_NO_DEVICE, "HV_NO_DEVICE" },
    { HV_DENIED, "HV_DENIED: on macOS, sign the program with the hypervisor entitlement" },
    { HV_UNSUPPORTED, "HV_UNSUPPORTED: nothing on this host can run a guest" },
};

static const char *const reason_names[] = { "CANCELED", "EXCEPTION", "VTIMER_ACTIVATED",
                                            "UNKNOWN" };

/* Say what the next call does, then what it answered. */
static bool step(struct hello *h, const char *call, const char *why, hv_return_t result)
{
    const char *name = "HV_SUCCESS";

    if (result != HV_SUCCESS) {
        name = "an unknown code";
        for (size_t i = 0; i < ARRAY_LEN(code_names); i++)
            if (code_names[i].code == result)
                name = code_names[i].name;
    }
    printf("%2u. %s\n    %s\n", ++h->steps, call, why);
    if (result != HV_SUCCESS)
        printf("    It failed: %s (0x%08x).\n", name, (unsigned)result);
    printf("\n");
    return result == HV_SUCCESS;
}

static bool make_machine(struct hello *h)
{
    hv_return_t r;

    r = hv_vm_create(NULL);
    h->has_vm = r == HV_SUCCESS;
    if (!step(h, "hv_vm_create(NULL)",
              "An empty machine: no memory, no processor. A process has at most one.", r))
        return false;

    r = hv_vm_allocate(&h->memory, GUEST_SIZE, HV_ALLOCATE_DEFAULT);
    if (!step(h, "hv_vm_allocate(&memory, 16 KiB)",
              "Memory of ours. 16 KiB is a Mac's page, so everything is in units of it.", r))
        return false;

    memcpy(h->memory, guest_code, sizeof guest_code);
    printf("    The guest, two instructions that we write there:\n");
    for (size_t i = 0; i < ARRAY_LEN(guest_code); i++)
        printf("      0x%08zx  %08" PRIx32 "  %s\n", GUEST_BASE + 4 * i, guest_code[i],
               guest_text[i]);
    printf("\n");

    r = hv_vm_map(h->memory, GUEST_BASE, GUEST_SIZE, HV_MEMORY_READ | HV_MEMORY_EXEC);
    h->is_mapped = r == HV_SUCCESS;
    return step(h, "hv_vm_map(memory, 0x40000000, 16 KiB, READ | EXEC)",
                "The guest sees it as physical memory at 0x40000000, and cannot write it.", r);
}

static bool make_vcpu(struct hello *h)
{
    hv_return_t r;

    r = hv_vcpu_create(&h->vcpu, &h->exit, NULL);
    h->has_vcpu = r == HV_SUCCESS;
    return step(h, "hv_vcpu_create(&vcpu, &exit, NULL)",
                "A processor that belongs to this thread, and the record of its exits.", r) &&
           step(h, "hv_vcpu_set_reg(vcpu, CPSR, 0x3c5)",
                "It starts at EL1, where a kernel runs, with interrupts masked.",
                hv_vcpu_set_reg(h->vcpu, HV_REG_CPSR, CPSR_EL1H_MASKED)) &&
           step(h, "hv_vcpu_set_reg(vcpu, PC, 0x40000000)",
                "The program counter: at the first of the two instructions.",
                hv_vcpu_set_reg(h->vcpu, HV_REG_PC, GUEST_BASE)) &&
           step(h, "hv_vcpu_set_trap_debug_exceptions(vcpu, true)",
                "BRK shall come to us. Otherwise the guest's own kernel would get it.",
                hv_vcpu_set_trap_debug_exceptions(h->vcpu, true));
}

static void show_exit(const hv_vcpu_exit_t *e)
{
    uint64_t syndrome = e->exception.syndrome;
    unsigned ec = (unsigned)bits(syndrome, 31, 26);
    unsigned reason = (unsigned)e->reason;

    printf("    The exit record:\n");
    printf("      reason    %u            %s\n", reason,
           reason < ARRAY_LEN(reason_names) ? reason_names[reason] : "?");
    printf("      syndrome  0x%08" PRIx64 "\n", syndrome);
    printf("        EC  [31:26]  0x%02x     %s\n", ec,
           ec == EC_BRK ? "a BRK instruction" : "not what we wait for");
    printf("        IL  [25]     %u        the instruction is 32 bits long\n",
           (unsigned)bit(syndrome, 25));
    printf("        ISS [15:0]   0x%04x   the number after `brk`\n\n",
           (unsigned)bits(syndrome, 15, 0));
}

static bool run_guest(struct hello *h)
{
    uint64_t x0 = 0, pc = 0;

    if (!step(h, "hv_vcpu_run(vcpu)", "The guest runs until something needs us: here, the BRK.",
              hv_vcpu_run(h->vcpu)))
        return false;
    show_exit(h->exit);
    if (!step(h, "hv_vcpu_get_reg(vcpu, X0, &x0)", "What the guest computed.",
              hv_vcpu_get_reg(h->vcpu, HV_REG_X0, &x0)))
        return false;
    printf("      x0 = %" PRIu64 "\n\n", x0);
    if (!step(h, "hv_vcpu_get_reg(vcpu, PC, &pc)",
              "A BRK leaves it at the BRK itself: whoever goes on decides where.",
              hv_vcpu_get_reg(h->vcpu, HV_REG_PC, &pc)))
        return false;
    printf("      pc = 0x%08" PRIx64 "\n\n", pc);
    return x0 == 42 && h->exit->reason == HV_EXIT_REASON_EXCEPTION &&
           bits(h->exit->exception.syndrome, 31, 26) == EC_BRK;
}

static void take_apart(struct hello *h)
{
    if (h->has_vcpu)
        hv_vcpu_destroy(h->vcpu);
    if (h->is_mapped)
        hv_vm_unmap(GUEST_BASE, GUEST_SIZE);
    if (h->has_vm)
        hv_vm_destroy();
    if (h->memory)
        hv_vm_deallocate(h->memory, GUEST_SIZE);
}

int cli_hello(int argc, char **argv)
{
    struct hello h = { 0 };

    if (cli_has_arguments(argc, argv))
        return CLI_USAGE;
    printf("The smallest guest, step by step. Engine: %s.\n\n", hvx_engine());

    bool good = make_machine(&h) && make_vcpu(&h) && run_guest(&h);

    take_apart(&h);
    printf("%s\n", good ? "Hello from the guest: it said 42." : "The guest did not say 42.");
    return good ? CLI_OK : CLI_ERROR;
}
