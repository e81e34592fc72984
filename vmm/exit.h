/*
 * Why the guest came out, and what to do about it: exception syndromes (DDI 0487 D24.2.40) and
 * Apple's rules for the PC after each.
 */
#ifndef VMM_EXIT_H
#define VMM_EXIT_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

/* Exception classes, ESR_ELx<31:26>. */
enum {
    EXIT_EC_WFX = 0x01,
    EXIT_EC_HVC = 0x16,
    EXIT_EC_SMC = 0x17,
    EXIT_EC_SYSREG = 0x18,
    EXIT_EC_INSTRUCTION_ABORT = 0x20,
    EXIT_EC_DATA_ABORT = 0x24,
};

/* A data abort that one plain load or store made. */
struct exit_mmio {
    bool write;
    unsigned width;   /* bytes */
    unsigned reg;     /* 0 to 30, or 31 for XZR */
    bool sign_extend; /* a load fills the register with its sign ... */
    bool wide;        /* ... up to 64 bits, else 32 */
};

/* From ISS bits; false when they do not describe the access (ISV = 0). Pure. */
bool exit_decode_mmio(uint64_t syndrome, struct exit_mmio *out);

/* What a load of `value` (already `width` bytes) leaves in the register. Pure. */
uint64_t exit_extend(const struct exit_mmio *m, uint64_t value);

/* A trapped MSR, MRS or system instruction. */
struct exit_sysreg {
    uint16_t encoding; /* hv_sys_reg_t's packing */
    unsigned reg;      /* 0 to 30, or 31 for XZR */
    bool read;
};

/* Pure. */
struct exit_sysreg exit_decode_sysreg(uint64_t syndrome);

/* What the vCPU's loop does next. */
enum exit_next {
    EXIT_RUN,
    EXIT_WAIT_INTERRUPT, /* WFI */
    EXIT_WAIT_EVENT,     /* WFE */
    EXIT_CPU_OFF,
    EXIT_STOP, /* the VM was asked to stop or failed */
};

/* Handle the exception exit in v->exit. `*deadline` is the counter value at which a wait ends at
 * the latest (WFIT, WFET), else UINT64_MAX. Owner thread, no lock held. */
enum exit_next exit_handle(struct vcpu *v, uint64_t *deadline);

#endif
