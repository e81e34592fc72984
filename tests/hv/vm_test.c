/* The VM, its configuration and its memory. */
#include "guest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define PAGE 0x4000u
#define RWX  (HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC)

static void config_ipa_size_round_trips(void)
{
    uint32_t standard = 0, maximum = 0, got = 0;
    hv_vm_config_t config = hv_vm_config_create();

    CHECK(config != NULL);
    CHECK_OK(hv_vm_config_get_default_ipa_size(&standard));
    CHECK_OK(hv_vm_config_get_max_ipa_size(&maximum));
    CHECK(standard >= 36 && standard <= maximum);

    uint32_t sizes[] = { 0, standard - 1, standard, maximum - 1, maximum };

    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        CHECK_OK(hv_vm_config_set_ipa_size(config, sizes[i]));
        CHECK_OK(hv_vm_config_get_ipa_size(config, &got));
        CHECK_EQ(got, sizes[i]);
    }
    os_release(config);
}

static void config_ipa_size_above_maximum_is_unsupported(void)
{
    uint32_t maximum = 0, got = 1;
    hv_vm_config_t config = hv_vm_config_create();

    CHECK_OK(hv_vm_config_get_max_ipa_size(&maximum));
    CHECK_EQ(hv_vm_config_set_ipa_size(config, maximum + 1), HV_UNSUPPORTED);
    CHECK_EQ(hv_vm_config_set_ipa_size(config, UINT32_MAX), HV_UNSUPPORTED);
    CHECK_OK(hv_vm_config_get_ipa_size(config, &got));
    CHECK_EQ(got, 0);
    os_release(config);
}

static void config_el2_round_trips(void)
{
    bool supported, enabled = true;
    hv_vm_config_t config = hv_vm_config_create();

    CHECK_OK(hv_vm_config_get_el2_supported(&supported));
    CHECK_OK(hv_vm_config_get_el2_enabled(config, &enabled));
    CHECK(!enabled);
    CHECK_OK(hv_vm_config_set_el2_enabled(config, true));
    CHECK_OK(hv_vm_config_get_el2_enabled(config, &enabled));
    CHECK(enabled);
    CHECK_OK(hv_vm_config_set_el2_enabled(config, false));
    CHECK_OK(hv_vm_config_get_el2_enabled(config, &enabled));
    CHECK(!enabled);
    os_release(config);
}

static void config_granule_round_trips(void)
{
    hv_ipa_granule_t granule;
    hv_vm_config_t config = hv_vm_config_create();

    CHECK_OK(hv_vm_config_get_default_ipa_granule(&granule));
    CHECK_OK(hv_vm_config_set_ipa_granule(config, HV_IPA_GRANULE_4KB));
    CHECK_OK(hv_vm_config_get_ipa_granule(config, &granule));
    CHECK_EQ(granule, HV_IPA_GRANULE_4KB);
    CHECK_OK(hv_vm_config_set_ipa_granule(config, HV_IPA_GRANULE_16KB));
    CHECK_OK(hv_vm_config_get_ipa_granule(config, &granule));
    CHECK_EQ(granule, HV_IPA_GRANULE_16KB);
    os_release(config);
}

static void config_is_reference_counted(void)
{
    uint32_t bits;
    hv_vm_config_t config = hv_vm_config_create();

    CHECK(os_retain(config) == config);
    os_release(config);
    CHECK_OK(hv_vm_config_get_ipa_size(config, &bits)); /* still alive */
    os_release(config);
}

static void vm_with_config_outlives_it(void)
{
    hv_vm_config_t config = hv_vm_config_create();
    uint32_t maximum = 0;

    CHECK_OK(hv_vm_config_get_max_ipa_size(&maximum));
    CHECK_OK(hv_vm_config_set_ipa_size(config, maximum));
    CHECK_OK(hv_vm_create(config));
    os_release(config);
    CHECK_OK(hv_vm_destroy());
}

static void *create_from_thread(void *result)
{
    *(hv_return_t *)result = hv_vm_create(NULL);
    return NULL;
}

static void second_vm_is_busy(void)
{
    pthread_t thread;
    hv_return_t result = HV_ERROR;

    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(hv_vm_create(NULL));
        CHECK_EQ(hv_vm_create(NULL), HV_BUSY);
        pthread_create(&thread, NULL, create_from_thread, &result);
        pthread_join(thread, NULL);
        CHECK_EQ(result, HV_BUSY);
        CHECK_OK(hv_vm_destroy());
    }
}

static void without_a_vm_calls_fail(void)
{
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    void *memory = guest_memory(PAGE);

    CHECK(hv_vm_destroy() != HV_SUCCESS);
    CHECK(hv_vm_map(memory, GUEST_RAM, PAGE, RWX) != HV_SUCCESS);
    CHECK(hv_vcpu_create(&vcpu, &exit, NULL) != HV_SUCCESS);
    hv_vm_deallocate(memory, PAGE);
}

static void vm_with_a_vcpu_is_not_destroyed(void)
{
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vcpu_create(&vcpu, &exit, NULL));
    CHECK(hv_vm_destroy() != HV_SUCCESS);
    CHECK_OK(hv_vcpu_destroy(vcpu));
    CHECK_OK(hv_vm_destroy());
}

static void map_wants_16_kib_alignment(void)
{
    uint8_t *memory = guest_memory(4 * PAGE);

    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hv_vm_map(memory + 0x1000, GUEST_RAM, PAGE, RWX), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_map(memory, GUEST_RAM + 0x1000, PAGE, RWX), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_map(memory, GUEST_RAM, 0x1000, RWX), HV_BAD_ARGUMENT);
    CHECK_OK(hv_vm_map(memory, GUEST_RAM, PAGE, RWX));
    CHECK_OK(hv_vm_unmap(GUEST_RAM, PAGE));
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(memory, 4 * PAGE);
}

static void map_beyond_the_address_width_fails(void)
{
    uint8_t *memory = guest_memory(2 * PAGE);
    uint32_t bits = 0;

    CHECK_OK(hv_vm_config_get_default_ipa_size(&bits));
    CHECK_OK(hv_vm_create(NULL));
    CHECK(hv_vm_map(memory, 1ull << bits, PAGE, RWX) != HV_SUCCESS);
    CHECK(hv_vm_map(memory, (1ull << bits) - PAGE, 2 * PAGE, RWX) != HV_SUCCESS);
    CHECK(hv_vm_map(memory, -(uint64_t)PAGE, 2 * PAGE, RWX) != HV_SUCCESS);
    CHECK_OK(hv_vm_map(memory, (1ull << bits) - PAGE, PAGE, RWX));
    CHECK_OK(hv_vm_unmap((1ull << bits) - PAGE, PAGE));
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(memory, 2 * PAGE);
}

static void overlapping_map_fails_and_changes_nothing(void)
{
    uint8_t *memory = guest_memory(8 * PAGE);

    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vm_map(memory, GUEST_RAM + 2 * PAGE, 2 * PAGE, RWX));
    CHECK(hv_vm_map(memory, GUEST_RAM + 2 * PAGE, 2 * PAGE, RWX) != HV_SUCCESS);
    CHECK(hv_vm_map(memory, GUEST_RAM + PAGE, 2 * PAGE, RWX) != HV_SUCCESS);
    CHECK(hv_vm_map(memory, GUEST_RAM + 3 * PAGE, 2 * PAGE, RWX) != HV_SUCCESS);
    CHECK(hv_vm_map(memory, GUEST_RAM, 8 * PAGE, RWX) != HV_SUCCESS);
    CHECK_OK(hv_vm_map(memory, GUEST_RAM + PAGE, PAGE, RWX));     /* touches below */
    CHECK_OK(hv_vm_map(memory, GUEST_RAM + 4 * PAGE, PAGE, RWX)); /* touches above */
    CHECK_OK(hv_vm_unmap(GUEST_RAM + PAGE, 4 * PAGE));            /* all three at once */
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(memory, 8 * PAGE);
}

static void unmap_and_protect_want_mapped_memory(void)
{
    uint8_t *memory = guest_memory(2 * PAGE);

    CHECK_OK(hv_vm_create(NULL));
    CHECK(hv_vm_protect(GUEST_RAM, PAGE, HV_MEMORY_READ) != HV_SUCCESS);
    CHECK_OK(hv_vm_map(memory, GUEST_RAM, PAGE, RWX));
    CHECK(hv_vm_protect(GUEST_RAM, 2 * PAGE, HV_MEMORY_READ) != HV_SUCCESS);
    CHECK_OK(hv_vm_protect(GUEST_RAM, PAGE, HV_MEMORY_READ));
    CHECK_OK(hv_vm_unmap(GUEST_RAM, PAGE));
    CHECK(hv_vm_unmap(GUEST_RAM, PAGE) != HV_SUCCESS);
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(memory, 2 * PAGE);
}

static void unmap_can_split_a_range(void)
{
    uint8_t *memory = guest_memory(4 * PAGE);

    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vm_map(memory, GUEST_RAM, 4 * PAGE, RWX));
    CHECK_OK(hv_vm_unmap(GUEST_RAM + PAGE, PAGE));
    CHECK_OK(hv_vm_map(memory, GUEST_RAM + PAGE, PAGE, RWX));
    CHECK_OK(hv_vm_unmap(GUEST_RAM, 4 * PAGE));
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(memory, 4 * PAGE);
}

static void vm_is_destroyed_with_its_mappings(void)
{
    uint8_t *memory = guest_memory(PAGE);

    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(hv_vm_create(NULL));
        CHECK_OK(hv_vm_map(memory, GUEST_RAM, PAGE, RWX));
        CHECK_OK(hv_vm_destroy());
    }
    memory[0] = 1; /* ours, still there */
    hv_vm_deallocate(memory, PAGE);
}

static void allocate_gives_aligned_zeroed_memory(void)
{
    uint8_t *memory = guest_memory(3 * PAGE);
    bool zero = true;

    CHECK_EQ((uintptr_t)memory % PAGE, 0);
    for (unsigned i = 0; i < 3 * PAGE; i++)
        zero &= memory[i] == 0;
    CHECK(zero);
    CHECK_OK(hv_vm_deallocate(memory, 3 * PAGE));
}

static void allocate_wants_whole_pages(void)
{
    void *memory;

    CHECK(hv_vm_allocate(&memory, PAGE + 1, HV_ALLOCATE_DEFAULT) != HV_SUCCESS);
}

static void max_vcpu_count_is_positive(void)
{
    uint32_t count = 0;

    CHECK_OK(hv_vm_get_max_vcpu_count(&count));
    CHECK(count >= 1);
}

static void sme_is_there_or_unsupported(void)
{
    size_t bytes = 0;
    hv_return_t result = hv_sme_config_get_max_svl_bytes(&bytes);

    CHECK(result == HV_UNSUPPORTED || (result == HV_SUCCESS && bytes >= 16));
}

static void gic_parameters(void)
{
    size_t size = 0;
    uint32_t base = 0, count = 0, intid = 0;
    static const hv_gic_intid_t known[] = {
        HV_GIC_INT_PERFORMANCE_MONITOR, HV_GIC_INT_MAINTENANCE,
        HV_GIC_INT_EL2_PHYSICAL_TIMER,  HV_GIC_INT_EL1_VIRTUAL_TIMER,
        HV_GIC_INT_EL1_PHYSICAL_TIMER,
    };

    CHECK_OK(hv_gic_get_distributor_size(&size));
    CHECK_EQ(size, 0x10000);
    CHECK_OK(hv_gic_get_distributor_base_alignment(&size));
    CHECK_EQ(size, 0x10000);
    CHECK_OK(hv_gic_get_redistributor_region_size(&size));
    CHECK_EQ(size, 0x2000000);
    CHECK_OK(hv_gic_get_redistributor_size(&size));
    CHECK_EQ(size, 0x20000);
    CHECK_OK(hv_gic_get_redistributor_base_alignment(&size));
    CHECK_EQ(size, 0x10000);
    CHECK_OK(hv_gic_get_msi_region_size(&size));
    CHECK_EQ(size, 0x10000);
    CHECK_OK(hv_gic_get_msi_region_base_alignment(&size));
    CHECK_EQ(size, 0x1000);
    CHECK_OK(hv_gic_get_spi_interrupt_range(&base, &count));
    CHECK_EQ(base, 32);
    CHECK_EQ(count, 988);
    for (unsigned i = 0; i < sizeof known / sizeof known[0]; i++) {
        CHECK_OK(hv_gic_get_intid(known[i], &intid));
        CHECK_EQ(intid, known[i]);
    }
}

static void gic_config_checks_bases(void)
{
    hv_gic_config_t config = hv_gic_config_create();

    CHECK(config != NULL);
    CHECK_EQ(hv_gic_config_set_distributor_base(config, -0x10000ull), HV_BAD_ARGUMENT);
    CHECK_OK(hv_gic_config_set_distributor_base(config, -0x20000ull));
    CHECK_EQ(hv_gic_config_set_redistributor_base(config, -0x2000000ull), HV_BAD_ARGUMENT);
    CHECK_OK(hv_gic_config_set_redistributor_base(config, -0x2010000ull));
    CHECK_EQ(hv_gic_config_set_msi_region_base(config, -0x10000ull), HV_BAD_ARGUMENT);
    CHECK_OK(hv_gic_config_set_msi_region_base(config, -0x11000ull));
    CHECK_EQ(hv_gic_config_set_msi_interrupt_range(config, 0, UINT32_MAX), HV_BAD_ARGUMENT);
    CHECK_OK(hv_gic_config_set_msi_interrupt_range(config, 32, 988));
    CHECK_OK(hv_gic_config_set_msi_interrupt_range(config, 32, 494));
    os_release(config);
}

static void gic_without_bases_is_not_created(void)
{
    hv_gic_config_t config = hv_gic_config_create();

    CHECK_OK(hv_vm_create(NULL));

    hv_return_t result = hv_gic_create(config);

    CHECK(result == HV_BAD_ARGUMENT || result == HV_UNSUPPORTED);
    CHECK_OK(hv_vm_destroy());
    os_release(config);
}

static void vcpu_config_queries(void)
{
    hv_vcpu_config_t config = hv_vcpu_config_create();
    uint64_t value = 0, ccsidr[8] = { 0 };

    CHECK(config != NULL);
    for (unsigned i = 0; i <= HV_FEATURE_REG_DCZID_EL0; i++)
        CHECK_OK(hv_vcpu_config_get_feature_reg(config, (hv_feature_reg_t)i, &value));
    CHECK_OK(hv_vcpu_config_get_feature_reg(config, HV_FEATURE_REG_CTR_EL0, &value));
    CHECK(value & 1u << 31); /* RES1 */
    CHECK_OK(hv_vcpu_config_get_ccsidr_el1_sys_reg_values(config, HV_CACHE_TYPE_DATA, ccsidr));
    CHECK(ccsidr[0] != 0);
    CHECK_OK(
        hv_vcpu_config_get_ccsidr_el1_sys_reg_values(config, HV_CACHE_TYPE_INSTRUCTION, ccsidr));
    CHECK(ccsidr[0] != 0);
    os_release(config);
}

/* The registers that a guest would find. */
static uint64_t feature_reg(hv_feature_reg_t reg)
{
    hv_vcpu_config_t config = hv_vcpu_config_create();
    uint64_t value = 0;

    CHECK_OK(hv_vcpu_config_get_feature_reg(config, reg, &value));
    os_release(config);
    return value;
}

static void cpu_models_and_their_features(void)
{
    struct hvx_cpu_feature f;
    bool lse = false;

    CHECK_EQ(hvx_set_cpu("pdp-11"), HV_UNSUPPORTED);
    if (strcmp(hvx_cpu_model(), "ireko-v2") != 0) {
        check_skip("this engine's guests have the host's CPU");
        return;
    }
    CHECK_EQ(hvx_set_cpu("ireko-v1,pdp11"), HV_UNSUPPORTED);
    CHECK_EQ(hvx_set_cpu("ireko-v1,bti,bti,bti,bti,bti,bti,bti,bti,bti,bti,bti,bti,bti,bti,bti"),
             HV_UNSUPPORTED); /* too long */
    CHECK_EQ(hvx_cpu_feature(0, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hvx_cpu_feature(1000, &f), HV_BAD_ARGUMENT);
    for (unsigned pass = 0; pass < 2; pass++) {
        CHECK_OK(hvx_set_cpu(pass ? "ireko-v1,bti" : NULL));
        CHECK_EQ(feature_reg(HV_FEATURE_REG_ID_AA64PFR1_EL1) & 0xf, pass);
        for (unsigned n = 0; hvx_cpu_feature(n, &f) == HV_SUCCESS; n++) {
            if (strcmp(f.name, "FEAT_BTI") == 0)
                CHECK(f.present == (pass == 1) && strcmp(f.option, "bti") == 0);
            if (strcmp(f.name, "FEAT_PAuth") == 0)
                CHECK(!f.present);
            lse |= strcmp(f.name, "FEAT_LSE") == 0 && f.present && !f.option;
        }
    }
    CHECK(lse);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hvx_set_cpu(NULL), HV_BUSY);
    CHECK_OK(hv_vm_destroy());
    CHECK_OK(hvx_set_cpu(NULL));
}

static void engine_has_a_name(void)
{
    CHECK(hvx_engine() != NULL && strcmp(hvx_engine(), "none") != 0);
    CHECK_EQ(hvx_is_mac(), strcmp(hvx_engine(), "hvf") == 0 || getenv("IREKO_APPLE"));
    CHECK_EQ(hvx_set_engine("steam"), HV_UNSUPPORTED);
    CHECK_OK(hvx_set_engine(NULL));
}

int main(void)
{
    RUN(config_ipa_size_round_trips);
    RUN(config_ipa_size_above_maximum_is_unsupported);
    RUN_SINCE(15.0, config_el2_round_trips);
    RUN_SINCE(26.0, config_granule_round_trips);
    RUN(config_is_reference_counted);
    RUN(vm_with_config_outlives_it);
    RUN(second_vm_is_busy);
    RUN(without_a_vm_calls_fail);
    RUN(vm_with_a_vcpu_is_not_destroyed);
    RUN(map_wants_16_kib_alignment);
    RUN(map_beyond_the_address_width_fails);
    RUN(overlapping_map_fails_and_changes_nothing);
    RUN(unmap_and_protect_want_mapped_memory);
    RUN(unmap_can_split_a_range);
    RUN(vm_is_destroyed_with_its_mappings);
    RUN(allocate_gives_aligned_zeroed_memory);
    RUN(allocate_wants_whole_pages);
    RUN(max_vcpu_count_is_positive);
    RUN_SINCE(15.2, sme_is_there_or_unsupported);
    RUN_SINCE(15.0, gic_parameters);
    RUN_SINCE(15.0, gic_config_checks_bases);
    RUN_SINCE(15.0, gic_without_bases_is_not_created);
    RUN(vcpu_config_queries);
    RUN(cpu_models_and_their_features);
    RUN(engine_has_a_name);
    return check_finish();
}
