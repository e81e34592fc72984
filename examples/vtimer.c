/*
 * The virtual timer: the guest sets it to 10 ms and spins. When it expires the run ends, once, with
 * the timer masked; that it becomes an interrupt is up to the program, which is the interrupt
 * controller. Build it as hello.c says.
 */
#include <Hypervisor/Hypervisor.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUEST_BASE 0x40000000u
#define GUEST_SIZE 0x4000u
#define IRQ_VECTOR 0x280u /* of the exception level itself */

static const uint32_t guest_code[] = {
    0xd53be000, /* mrs x0, CNTFRQ_EL0 */
    0xd2800c81, /* mov x1, #100 */
    0x9ac10800, /* udiv x0, x0, x1 */
    0xd53be042, /* mrs x2, CNTVCT_EL0 */
    0xd51be300, /* msr CNTV_TVAL_EL0, x0 */
    0xd2800021, /* mov x1, #1 */
    0xd51be321, /* msr CNTV_CTL_EL0, x1 */
    0x14000000, /* b 0x1c <$x.0+0x1c> */
};

/* The guest's interrupt handler: look at the counter and call. */
static const uint32_t guest_handler[] = {
    0xd53be043, /* mrs x3, CNTVCT_EL0 */
    0xd4000002, /* hvc #0 */
};

static void check(hv_return_t result, const char *call)
{
    if (result != HV_SUCCESS) {
        fprintf(stderr, "vtimer: %s failed: 0x%08x\n", call, (unsigned)result);
        exit(1);
    }
}

#define CHECK(call) check(call, #call)

/* Run until an exit that is not just somebody's hv_vcpus_exit(). */
static void run(hv_vcpu_t vcpu, const hv_vcpu_exit_t *vcpu_exit, bool irq)
{
    do {
        CHECK(hv_vcpu_set_pending_interrupt(vcpu, HV_INTERRUPT_TYPE_IRQ, irq)); /* for one run */
        CHECK(hv_vcpu_run(vcpu));
    } while (vcpu_exit->reason == HV_EXIT_REASON_CANCELED);
}

int main(void)
{
    uint8_t *memory;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *vcpu_exit;
    uint64_t from, to;
    bool masked;

    CHECK(hv_vm_create(NULL));
    CHECK(hv_vm_allocate((void **)&memory, GUEST_SIZE, HV_ALLOCATE_DEFAULT));
    memcpy(memory, guest_code, sizeof guest_code);
    memcpy(memory + 0x800 + IRQ_VECTOR, guest_handler, sizeof guest_handler);
    CHECK(hv_vm_map(memory, GUEST_BASE, GUEST_SIZE, HV_MEMORY_READ | HV_MEMORY_EXEC));
    CHECK(hv_vcpu_create(&vcpu, &vcpu_exit, NULL));
    CHECK(hv_vcpu_set_reg(vcpu, HV_REG_CPSR, 0x345)); /* EL1h; IRQ is not masked */
    CHECK(hv_vcpu_set_reg(vcpu, HV_REG_PC, GUEST_BASE));
    CHECK(hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_VBAR_EL1, GUEST_BASE + 0x800));

    run(vcpu, vcpu_exit, false);
    CHECK(hv_vcpu_get_vtimer_mask(vcpu, &masked));
    printf("exit reason %u, the timer is %smasked\n", (unsigned)vcpu_exit->reason,
           masked ? "" : "not ");
    if (vcpu_exit->reason != HV_EXIT_REASON_VTIMER_ACTIVATED)
        return 1;

    run(vcpu, vcpu_exit, true);
    CHECK(hv_vcpu_get_reg(vcpu, HV_REG_X2, &from));
    CHECK(hv_vcpu_get_reg(vcpu, HV_REG_X3, &to));
    printf("exception class 0x%02x, 10 ms passed: %s\n",
           (unsigned)(vcpu_exit->exception.syndrome >> 26),
           to - from >= 240000 ? "yes" : "no"); /* a guest's counter counts 24 MHz */

    CHECK(hv_vcpu_destroy(vcpu));
    CHECK(hv_vm_unmap(GUEST_BASE, GUEST_SIZE));
    CHECK(hv_vm_destroy());
    CHECK(hv_vm_deallocate(memory, GUEST_SIZE));
    return to - from >= 240000 ? 0 : 1;
}
