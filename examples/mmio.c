/*
 * A device made by the program: where the guest has no memory, each load and store comes out as a
 * data abort, and what it reads and writes is up to us. The guest greets by storing letters at
 * DEVICE, then stores 0 to end. Build it as hello.c says.
 */
#include <Hypervisor/Hypervisor.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_BASE 0x40000000u
#define GUEST_SIZE 0x4000u
#define DEVICE     0x09000000u

static const uint32_t guest_code[] = {
    0xd2a12001, /* mov x1, #DEVICE */
    0x10000102, /* adr x2, text */
    0x38401443, /* next: ldrb w3, [x2], #1 */
    0xb9000023, /* str w3, [x1] */
    0x35ffffc3, /* cbnz w3, next */
    0x14000000, /* b . */
    0xd503201f, 0xd503201f, 0xd503201f, 0x6c6c6548,
    0x6f77206f, 0x0a646c72, 0, /* text: "Hello world\n" */
};

static void check(hv_return_t result, const char *call)
{
    if (result != HV_SUCCESS) {
        fprintf(stderr, "mmio: %s failed: 0x%08x\n", call, (unsigned)result);
        exit(1);
    }
}

#define CHECK(call) check(call, #call)

/* The store that exited: its value. The syndrome names the register; 31 is the zero register, not
 * HV_REG_PC. */
static uint64_t stored(hv_vcpu_t vcpu, const hv_vcpu_exit_exception_t *e)
{
    unsigned reg = e->syndrome >> 16 & 31;
    uint64_t value = 0;

    if (e->syndrome >> 26 != 0x24 || !(e->syndrome >> 24 & 1) || !(e->syndrome >> 6 & 1) ||
        e->physical_address != DEVICE) {
        fprintf(stderr, "mmio: the guest did something else: 0x%llx\n",
                (unsigned long long)e->syndrome);
        exit(1);
    }
    if (reg != 31)
        CHECK(hv_vcpu_get_reg(vcpu, (hv_reg_t)(HV_REG_X0 + reg), &value));
    return value;
}

int main(void)
{
    void *memory;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *vcpu_exit;
    uint64_t value = 1, pc;

    CHECK(hv_vm_create(NULL));
    CHECK(hv_vm_allocate(&memory, GUEST_SIZE, HV_ALLOCATE_DEFAULT));
    memcpy(memory, guest_code, sizeof guest_code);
    CHECK(hv_vm_map(memory, GUEST_BASE, GUEST_SIZE, HV_MEMORY_READ | HV_MEMORY_EXEC));
    CHECK(hv_vcpu_create(&vcpu, &vcpu_exit, NULL));
    CHECK(hv_vcpu_set_reg(vcpu, HV_REG_CPSR, 0x3c5));
    CHECK(hv_vcpu_set_reg(vcpu, HV_REG_PC, GUEST_BASE));

    while (value) {
        CHECK(hv_vcpu_run(vcpu));
        if (vcpu_exit->reason == HV_EXIT_REASON_CANCELED)
            continue;
        value = stored(vcpu, &vcpu_exit->exception);
        if (value)
            putchar((int)value);
        /* An abort leaves PC at the instruction; it is done now. */
        CHECK(hv_vcpu_get_reg(vcpu, HV_REG_PC, &pc));
        CHECK(hv_vcpu_set_reg(vcpu, HV_REG_PC, pc + 4));
    }

    CHECK(hv_vcpu_destroy(vcpu));
    CHECK(hv_vm_unmap(GUEST_BASE, GUEST_SIZE));
    CHECK(hv_vm_destroy());
    CHECK(hv_vm_deallocate(memory, GUEST_SIZE));
    return 0;
}
