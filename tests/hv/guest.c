/* See guest.h. */
#include "guest.h"

#include <string.h>

#define SCTLR_EL1_RES1 0x30d00800u

void *guest_memory(size_t size)
{
    void *memory = NULL;

    CHECK_OK(hv_vm_allocate(&memory, size, HV_ALLOCATE_DEFAULT));
    return memory;
}

static void guest_reset(struct guest *g)
{
    for (unsigned i = 0; i <= 30; i++)
        guest_set_reg(g, (hv_reg_t)(HV_REG_X0 + i), 0);
    guest_set_reg(g, HV_REG_PC, GUEST_CODE);
    guest_set_reg(g, HV_REG_CPSR, CPSR_EL1H_MASKED);
    guest_set_sys(g, HV_SYS_REG_SCTLR_EL1, SCTLR_EL1_RES1);
    guest_set_sys(g, HV_SYS_REG_VBAR_EL1, GUEST_VECTORS);
    guest_set_sys(g, HV_SYS_REG_MPIDR_EL1, 0x80000000u);
    guest_set_sys(g, HV_SYS_REG_CPACR_EL1, 3u << 20); /* FP and SIMD do not trap */
    guest_set_sys(g, HV_SYS_REG_SP_EL1, GUEST_STACK);
    CHECK_OK(hv_vcpu_set_trap_debug_exceptions(g->vcpu, true));
}

hv_return_t guest_create_gic(void)
{
    hv_gic_config_t config = hv_gic_config_create();

    CHECK_OK(hv_gic_config_set_distributor_base(config, GUEST_GICD));
    CHECK_OK(hv_gic_config_set_redistributor_base(config, GUEST_GICR));
    CHECK_OK(hv_gic_config_set_msi_region_base(config, GUEST_MSI));
    CHECK_OK(hv_gic_config_set_msi_interrupt_range(config, GUEST_MSI_FIRST, GUEST_MSI_COUNT));

    hv_return_t result = hv_gic_create(config);

    os_release(config);
    return result;
}

static void guest_open_features(struct guest *g, const uint32_t *code, unsigned count,
                                uint32_t features, bool gic)
{
    *g = (struct guest){ 0 };
    if (!CHECK_OK(hv_vm_create(NULL)))
        return;
    if (hvx_vm_enable(features) != HV_SUCCESS)
        return;
    if (gic && !CHECK_OK(guest_create_gic()))
        return;
    g->ram = guest_memory(GUEST_RAM_SIZE);
    if (!g->ram)
        return;
    if (count)
        memcpy(g->ram + (GUEST_CODE - GUEST_RAM), code, count * sizeof *code);
    for (unsigned i = 0; i < 16; i++) {
        uint32_t word = A64_BRK(VECTOR_BRK(i));

        memcpy(g->ram + (GUEST_VECTORS - GUEST_RAM) + 0x80 * i, &word, sizeof word);
    }
    if (!CHECK_OK(hv_vm_map(g->ram, GUEST_RAM, GUEST_RAM_SIZE,
                            HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC)))
        return;
    if (!CHECK_OK(hv_vcpu_create(&g->vcpu, &g->exit, NULL)))
        return;
    g->good = true;
    guest_reset(g);
}

void guest_open(struct guest *g, const uint32_t *code, unsigned count)
{
    guest_open_features(g, code, count, 0, false);
}

void guest_open_native(struct guest *g, const uint32_t *code, unsigned count)
{
    guest_open_features(g, code, count, HVX_NATIVE_DEBUG_PMU, false);
}

void guest_open_files(struct guest *g, const uint32_t *code, unsigned count)
{
    guest_open_features(g, code, count, HVX_MEMORY_FILES, false);
}

void guest_open_gic(struct guest *g, const uint32_t *code, unsigned count)
{
    guest_open_features(g, code, count, 0, true);
}

void guest_close(struct guest *g)
{
    if (g->good)
        CHECK_OK(hv_vcpu_destroy(g->vcpu));
    if (g->good)
        CHECK_OK(hv_vm_unmap(GUEST_RAM, GUEST_RAM_SIZE));
    CHECK_OK(hv_vm_destroy());
    if (g->ram)
        CHECK_OK(hv_vm_deallocate(g->ram, GUEST_RAM_SIZE));
}

bool guest_run(struct guest *g, hv_exit_reason_t reason)
{
    bool irq = false, fiq = false;

    if (!g->good)
        return false;
    hv_vcpu_get_pending_interrupt(g->vcpu, HV_INTERRUPT_TYPE_IRQ, &irq);
    hv_vcpu_get_pending_interrupt(g->vcpu, HV_INTERRUPT_TYPE_FIQ, &fiq);
    for (;;) {
        if (!CHECK_OK(hv_vcpu_run(g->vcpu)))
            return false;
        if (g->exit->reason != HV_EXIT_REASON_CANCELED || reason == HV_EXIT_REASON_CANCELED ||
            !check_cancels())
            return CHECK_EQ(g->exit->reason, reason);
        hv_vcpu_set_pending_interrupt(g->vcpu, HV_INTERRUPT_TYPE_IRQ, irq); /* fell with the run */
        hv_vcpu_set_pending_interrupt(g->vcpu, HV_INTERRUPT_TYPE_FIQ, fiq);
    }
}

uint64_t guest_run_exception(struct guest *g, unsigned exception_class)
{
    if (!guest_run(g, HV_EXIT_REASON_EXCEPTION))
        return 0;

    uint64_t syndrome = g->exit->exception.syndrome;

    if (!CHECK_EQ(SYNDROME_EC(syndrome), exception_class)) {
        CHECK_EQ(syndrome, 0); /* shows it */
        CHECK_EQ(guest_reg(g, HV_REG_PC), 0);
        return 0;
    }
    return syndrome;
}

bool guest_run_brk(struct guest *g, unsigned comment)
{
    uint64_t syndrome = guest_run_exception(g, EC_BRK64);

    return syndrome && CHECK_EQ(syndrome & 0xffff, comment);
}

bool guest_run_wfi(struct guest *g)
{
    return guest_run_exception(g, EC_WFX) != 0;
}

uint64_t guest_reg(struct guest *g, hv_reg_t reg)
{
    uint64_t value = 0;

    CHECK_OK(hv_vcpu_get_reg(g->vcpu, reg, &value));
    return value;
}

void guest_set_reg(struct guest *g, hv_reg_t reg, uint64_t value)
{
    CHECK_OK(hv_vcpu_set_reg(g->vcpu, reg, value));
}

uint64_t guest_sys(struct guest *g, hv_sys_reg_t reg)
{
    uint64_t value = 0;

    CHECK_OK(hv_vcpu_get_sys_reg(g->vcpu, reg, &value));
    return value;
}

void guest_set_sys(struct guest *g, hv_sys_reg_t reg, uint64_t value)
{
    CHECK_OK(hv_vcpu_set_sys_reg(g->vcpu, reg, value));
}

void guest_skip(struct guest *g)
{
    guest_set_reg(g, HV_REG_PC, guest_reg(g, HV_REG_PC) + 4);
}

void guest_write_tables(uint8_t *host, hv_ipa_t ipa)
{
    uint64_t *level1 = (uint64_t *)(void *)host;
    uint64_t *level2 = level1 + 512, *level2_high = level1 + 1024;

    _Static_assert(GUEST_MMIO % 0x200000 == 0, "mapped as a block");
    level1[1] = (ipa + 0x1000) | 3;
    level1[2] = (ipa + 0x2000) | 3;
    level2[0] = GUEST_RAM | 1u << 10 | 3u << 8 | 1;       /* AF, inner shareable, MAIR 0 */
    level2_high[0] = GUEST_MMIO | 1u << 10 | 1u << 2 | 1; /* AF, MAIR 1 */
}

void guest_mmu_on(hv_vcpu_t vcpu, hv_ipa_t tables)
{
    /* T0SZ 25, write-back, inner shareable, no TTBR1. */
    uint64_t tcr = 25u | 1u << 8 | 1u << 10 | 3u << 12 | 1u << 23 | 2ull << 32;

    CHECK_OK(hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_MAIR_EL1, 0x00ff));
    CHECK_OK(hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_TCR_EL1, tcr));
    CHECK_OK(hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_TTBR0_EL1, tables));
    CHECK_OK(hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_SCTLR_EL1,
                                 SCTLR_EL1_RES1 | 1u << 12 | 1u << 2 | 1u)); /* I, C, M */
}
