/*
 * The smallest guest there is: two instructions, `mov x0, #42` and `brk #0`. Build it
 *
 *   on Linux    cc hello.c $(pkg-config --cflags --libs hypervisor)
 *   on macOS    clang hello.c -framework Hypervisor
 *               codesign --sign - --entitlements ../tools/entitlements.plist --force a.out
 *
 * The source is the same. `ireko hello` explains each step.
 */
#include <Hypervisor/Hypervisor.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_BASE 0x40000000u
#define GUEST_SIZE 0x4000u /* one page of a Mac: the smallest piece of guest memory */

static const uint32_t guest_code[] = {
    0xd2800540, /* mov x0, #42 */
    0xd4200000, /* brk #0 */
};

/* Stop with the name of the call that failed. */
static void check(hv_return_t result, const char *call)
{
    if (result != HV_SUCCESS) {
        fprintf(stderr, "hello: %s failed: 0x%08x\n", call, (unsigned)result);
        exit(1);
    }
}

#define CHECK(call) check(call, #call)

int main(void)
{
    void *memory;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *vcpu_exit;
    uint64_t x0;

    /* A machine with one page of memory that holds the guest. */
    CHECK(hv_vm_create(NULL));
    CHECK(hv_vm_allocate(&memory, GUEST_SIZE, HV_ALLOCATE_DEFAULT));
    memcpy(memory, guest_code, sizeof guest_code);
    CHECK(hv_vm_map(memory, GUEST_BASE, GUEST_SIZE, HV_MEMORY_READ | HV_MEMORY_EXEC));

    /* A processor at EL1 with interrupts masked, about to execute the first instruction. BRK is to
     * come to us, not to the guest's own debugger. */
    CHECK(hv_vcpu_create(&vcpu, &vcpu_exit, NULL));
    CHECK(hv_vcpu_set_reg(vcpu, HV_REG_CPSR, 0x3c5));
    CHECK(hv_vcpu_set_reg(vcpu, HV_REG_PC, GUEST_BASE));
    CHECK(hv_vcpu_set_trap_debug_exceptions(vcpu, true));

    CHECK(hv_vcpu_run(vcpu));

    CHECK(hv_vcpu_get_reg(vcpu, HV_REG_X0, &x0));
    printf("exit reason %u, exception class 0x%02x, x0 = %" PRIu64 "\n",
           (unsigned)vcpu_exit->reason, (unsigned)(vcpu_exit->exception.syndrome >> 26 & 0x3f), x0);

    CHECK(hv_vcpu_destroy(vcpu));
    CHECK(hv_vm_unmap(GUEST_BASE, GUEST_SIZE));
    CHECK(hv_vm_destroy());
    CHECK(hv_vm_deallocate(memory, GUEST_SIZE));
    return x0 == 42 ? 0 : 1;
}
