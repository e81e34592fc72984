/*
 * Apple mode: what differs on a Mac, for programs that want to meet it here. IREKO_APPLE names a
 * Mac: words between commas, in any order.
 *
 * - m1, m4: the CPU, what it has, and how wide guest physical addresses can be
 * - macos13, macos15, macos26: which functions and registers there are
 * - cancel: runs end with CANCELED at random, as any program has to expect
 * - unsigned: hv_vm_create() is denied, as it is to a program without the entitlement
 *
 * What is not said is m1 and macos15. docs/hypervisor-api.md has the list of differences.
 */
#ifndef HV_APPLE_H
#define HV_APPLE_H

#include "hv/process.h"

enum hv_apple_chip { HV_APPLE_M1, HV_APPLE_M4 };

struct hv_apple {
    enum hv_apple_chip chip;
    double macos;
    bool cancels;
    bool is_unsigned;
    bool is_wrong; /* IREKO_APPLE has a word that we do not know; stderr has been told */
};

/* The mode, or NULL. The environment is read once, at the first call. Any thread. */
const struct hv_apple *hv_apple(void);

/* The CPU for struct hv_vm_desc, from what the back end has; NULL: its usual one. */
const char *hv_apple_cpu(const struct hv_apple *a, const struct hv_backend *backend);

/* Make the addresses of a back end those of this Mac. */
void hv_apple_ipa_bits(const struct hv_apple *a, unsigned *standard, unsigned *maximum);

/* The value of an identification register on this Mac; `value` is the back end's. */
uint64_t hv_apple_id_register(const struct hv_apple *a, hv_sys_reg_t reg, uint64_t value);

/* Give a new vCPU this Mac's identification registers. Its thread. 0 or a negative errno. */
int hv_apple_vcpu_create(const struct hv_apple *a, const struct hv_backend *backend,
                         struct hv_backend_vcpu *vcpu);

/* hv_vcpu_run(). The vCPU's thread. */
hv_return_t hv_apple_run(const struct hv_apple *a, struct hv_slot *s);

/* Marsaglia's xorshift of 32 bits: the next number, never 0 behind one that is not. */
uint32_t hv_apple_random(uint32_t last);

/* apple_cancel.c: begin and end to cancel vCPUs in the middle of their runs. Under vm_lock; the end
 * without slots_lock, and even if it never began. */
void hv_apple_cancel_start(void);
void hv_apple_cancel_stop(void);

/* Is every byte of the range mapped in this process? A Mac refuses to map what is not. */
bool hv_apple_is_mapped(const void *addr, size_t size);

#endif
