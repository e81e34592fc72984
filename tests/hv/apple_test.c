/*
 * What IREKO_APPLE makes libHypervisor do, beyond what it does anyway: each difference of
 * docs/hypervisor-api.md, "Apple mode". The mode is the one in the environment.
 */
#include "guest.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static bool mode_has(const char *word)
{
    const char *mode = getenv("IREKO_APPLE");

    return mode && strstr(mode, word);
}

static const uint32_t no_code[] = { A64_BRK(0) };

static void the_cpu_is_the_chips(void)
{
    struct guest g;
    bool m4 = mode_has("m4");

    GUEST_OPEN(&g, no_code);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_MIDR_EL1), 0x610f0000);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ID_AA64PFR1_EL1) & 0xff, m4 ? 0x01 : 0x20); /* BTI, SSBS */
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ID_AA64MMFR0_EL1) & 0xf, m4 ? 2 : 1);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ID_AA64MMFR0_EL1) >> 24 & 0xf, 0xf);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ID_AA64MMFR1_EL1) & 0xf, 0);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ID_AA64DFR0_EL1) >> 8 & 0xf, 0);
    CHECK(guest_sys(&g, HV_SYS_REG_ID_AA64ISAR1_EL1) >> 8 & 0xf); /* PAuth */
    guest_close(&g);
}

static void a_configuration_tells_what_the_vcpu_has(void)
{
    hv_vcpu_config_t config = hv_vcpu_config_create();
    struct guest g;
    uint64_t value = 0;

    CHECK_OK(hv_vcpu_config_get_feature_reg(config, HV_FEATURE_REG_ID_AA64MMFR1_EL1, &value));
    GUEST_OPEN(&g, no_code);
    CHECK_EQ(value, guest_sys(&g, HV_SYS_REG_ID_AA64MMFR1_EL1));
    guest_close(&g);
    os_release(config);
}

static void addresses_are_as_wide_as_there(void)
{
    uint32_t standard = 0, most = 0;

    CHECK_OK(hv_vm_config_get_default_ipa_size(&standard));
    CHECK_OK(hv_vm_config_get_max_ipa_size(&most));
    CHECK_EQ(standard, 36);
    CHECK_EQ(most, mode_has("m4") && !mode_has("macos13") ? 40 : 36);
}

static void ireko_cpus_and_features_are_not_there(void)
{
    CHECK_EQ(hvx_set_cpu("ireko-v1"), HV_UNSUPPORTED);
    CHECK_OK(hvx_set_cpu(NULL));
    CHECK(strcmp(hvx_cpu_model(), "host") == 0);
    CHECK(hvx_is_mac());
    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hvx_vm_enable(HVX_NATIVE_DEBUG_PMU), HV_UNSUPPORTED);
    CHECK_OK(hv_vm_destroy());
}

static void memory_that_is_not_there_is_not_mapped(void)
{
    uint8_t *memory = guest_memory(0x8000);

    munmap(memory + 0x4000, 0x4000);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hv_vm_map(memory, GUEST_RAM, 0x8000, HV_MEMORY_READ), HV_ERROR);
    CHECK_OK(hv_vm_map(memory, GUEST_RAM, 0x4000, HV_MEMORY_READ));
    CHECK_OK(hv_vm_destroy());
    munmap(memory, 0x4000);
}

static void the_framework_keeps_some_calls(void)
{
    static const uint32_t code[] = { A64_HVC(0), A64_HVC(1) };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X0, 0xc1000003);
    CHECK_EQ(guest_run_exception(&g, EC_HVC64) & 0xffff, 1);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0xffffffff);
    guest_close(&g);
}

static void addresses_are_stale_where_there_are_none(void)
{
    static const uint32_t code[] = { A64_LDR_X(0, 1), A64_WFI };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_MMIO + 8);
    CHECK(guest_run_exception(&g, EC_DABORT) != 0);
    CHECK_EQ(g.exit->exception.physical_address, GUEST_MMIO + 8);
    guest_skip(&g);
    CHECK(guest_run_wfi(&g));
    CHECK(g.exit->exception.physical_address > 1ull << 48);
    guest_close(&g);
}

static void cancels_come_when_asked_for(void)
{
    static const uint32_t code[] = { A64_HVC(0), A64_B(-1) };
    struct guest g;
    unsigned cancels = 0, calls = 0;

    GUEST_OPEN(&g, code);
    for (unsigned i = 0; i < 400; i++) {
        CHECK_OK(hv_vcpu_run(g.vcpu));
        cancels += g.exit->reason == HV_EXIT_REASON_CANCELED;
        calls += g.exit->reason == HV_EXIT_REASON_EXCEPTION;
    }
    CHECK_EQ(cancels + calls, 400);
    if (mode_has("cancel"))
        CHECK(cancels > 50 && cancels < 200);
    else
        CHECK_EQ(cancels, 0);
    guest_close(&g);
}

/* A guest that only counts: a run ends where it has counted, now and then. */
static void cancels_come_in_the_middle_of_a_run(void)
{
    static const uint32_t code[] = { A64_ADD_IMM(0, 1), A64_B(-1) };
    struct guest g;

    if (!mode_has("cancel")) {
        check_skip("no cancels in this mode");
        return;
    }
    GUEST_OPEN(&g, code);
    for (unsigned middle = 0; g.good && middle < 3;) {
        uint64_t before = guest_reg(&g, HV_REG_X0);

        if (!CHECK_OK(hv_vcpu_run(g.vcpu)) || !CHECK_EQ(g.exit->reason, HV_EXIT_REASON_CANCELED))
            break;
        middle += guest_reg(&g, HV_REG_X0) > before;
    }
    guest_close(&g);
}

static void what_came_later_is_not_there(void)
{
    hv_vm_config_t config = hv_vm_config_create();
    hv_gic_config_t gic = hv_gic_config_create();
    struct guest g;
    uint64_t value;
    size_t size;

    CHECK_EQ(gic == NULL, !hvx_since(15.0));
    CHECK_EQ(hv_gic_get_distributor_size(&size), hvx_since(15.0) ? HV_SUCCESS : HV_UNSUPPORTED);
    CHECK_EQ(hv_vm_config_set_el2_enabled(config, false),
             hvx_since(15.0) ? HV_SUCCESS : HV_UNSUPPORTED);
    CHECK_EQ(hv_vm_config_set_ipa_granule(config, HV_IPA_GRANULE_16KB),
             hvx_since(26.0) ? HV_SUCCESS : HV_UNSUPPORTED);
    GUEST_OPEN(&g, no_code);
    CHECK_EQ(hv_vcpu_get_sys_reg(g.vcpu, HV_SYS_REG_ACTLR_EL1, &value),
             hvx_since(15.0) ? HV_SUCCESS : HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_sys_reg(g.vcpu, HV_SYS_REG_TPIDR2_EL0, &value),
             hvx_since(15.2) ? HV_SUCCESS : HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_sys_reg(g.vcpu, HV_SYS_REG_CNTP_CTL_EL0, &value),
             hvx_since(15.0) ? HV_UNSUPPORTED : HV_BAD_ARGUMENT);
    guest_close(&g);
    CHECK_EQ(hvx_since(15.0), !mode_has("macos13"));
    CHECK_EQ(hvx_since(26.0), mode_has("macos26"));
    if (gic)
        os_release(gic);
    os_release(config);
}

int main(void)
{
    RUN(the_cpu_is_the_chips);
    RUN(a_configuration_tells_what_the_vcpu_has);
    RUN(addresses_are_as_wide_as_there);
    RUN(ireko_cpus_and_features_are_not_there);
    RUN(memory_that_is_not_there_is_not_mapped);
    RUN(the_framework_keeps_some_calls);
    RUN(addresses_are_stale_where_there_are_none);
    RUN(cancels_come_when_asked_for);
    RUN(cancels_come_in_the_middle_of_a_run);
    RUN(what_came_later_is_not_there);
    return check_finish();
}
