/* The ITS that hvx_gic_config_set_its_base() asks for; and of every hv_gic_*() what it refuses. */
#include "guest.h"

#include <stdlib.h>
#include <string.h>

#define REG_ICC_IAR1  A64_REG(3, 0, 12, 12, 0)
#define REG_ICC_EOIR1 A64_REG(3, 0, 12, 12, 1)

#define ITS        0x0c000000ull
#define TRANSLATER (ITS + 0x10040)
#define SPURIOUS   1023u
#define LPI        8192u
#define VALID      (1ull << 63)

/* Memory of the ITS, apart from the guest's own. */
#define TABLES      0x50000000ull
#define TABLES_SIZE 0x80000u
#define QUEUE       (TABLES + 0x00000)
#define DEVICES     (TABLES + 0x10000)
#define COLLECTIONS (TABLES + 0x20000)
#define ITT         (TABLES + 0x30000)
#define PENDING     (TABLES + 0x40000)
#define CONFIG      (TABLES + 0x50000)

/* --- an ITS, or not --- */

static hv_return_t create_with_its(hv_ipa_t its)
{
    hv_gic_config_t config = hv_gic_config_create();

    CHECK_OK(hv_gic_config_set_distributor_base(config, GUEST_GICD));
    CHECK_OK(hv_gic_config_set_redistributor_base(config, GUEST_GICR));
    CHECK_OK(hvx_gic_config_set_its_base(config, its));

    hv_return_t result = hv_gic_create(config);

    os_release(config);
    return result;
}

static void its_has_its_place(void)
{
    hv_gic_config_t config = hv_gic_config_create();

    CHECK_EQ(hvx_gic_config_set_its_base(NULL, ITS), HV_BAD_ARGUMENT);
    CHECK_EQ(hvx_gic_config_set_its_base(config, ITS + 0x1000), HV_BAD_ARGUMENT);
    CHECK_EQ(hvx_gic_config_set_its_base(config, -0x20000ull), HV_BAD_ARGUMENT);
    CHECK_OK(hvx_gic_config_set_its_base(config, -0x30000ull));
    os_release(config);

    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(create_with_its(GUEST_GICD), HV_BAD_ARGUMENT);
    CHECK_EQ(create_with_its(GUEST_GICD - 0x10000), HV_BAD_ARGUMENT);
    CHECK_EQ(create_with_its(GUEST_GICR + 0x1ff0000), HV_BAD_ARGUMENT);
    CHECK_EQ(create_with_its(1ull << 48), HV_BAD_ARGUMENT);
    CHECK_OK(create_with_its(ITS));
    CHECK_OK(hv_vm_destroy());
}

static void messages_need_a_door(void)
{
    CHECK_EQ(hvx_gic_send_message(0, TRANSLATER, 0), HV_UNSUPPORTED); /* no VM */
    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hvx_gic_send_message(0, TRANSLATER, 0), HV_UNSUPPORTED); /* no GIC */
    CHECK_OK(guest_create_gic());
    CHECK_EQ(hvx_gic_send_message(0, TRANSLATER, 0), HV_BAD_ARGUMENT); /* no ITS */
    CHECK_OK(hvx_gic_send_message(0, GUEST_MSI + 0x40, GUEST_MSI_FIRST));
    CHECK_EQ(hvx_gic_send_message(0, GUEST_MSI + 0x40, GUEST_MSI_FIRST - 1), HV_BAD_ARGUMENT);
    CHECK_EQ(hvx_gic_send_message(0, GUEST_MSI, GUEST_MSI_FIRST), HV_BAD_ARGUMENT);
    CHECK_OK(hv_vm_destroy());
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(create_with_its(ITS));
    CHECK_EQ(hvx_gic_send_message(0, TRANSLATER + 4, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hvx_gic_send_message(0, 0x40, 64), HV_BAD_ARGUMENT); /* no message frame */
    CHECK_OK(hvx_gic_send_message(7, TRANSLATER, 0));             /* not mapped: no effect */
    CHECK_OK(hv_vm_destroy());
}

/* --- messages to a guest --- */

static uint64_t table_word(uint8_t *tables, hv_ipa_t at, uint64_t value)
{
    memcpy(tables + (at - TABLES), &value, sizeof value);
    return at;
}

/* A command for the guest to give: four words at `at`. */
static void put_command(uint8_t *tables, unsigned n, uint64_t w0, uint64_t w1, uint64_t w2)
{
    const uint64_t words[4] = { w0, w1, w2, 0 };

    for (unsigned i = 0; i < 4; i++)
        table_word(tables, QUEUE + 32 * n + 8 * i, words[i]);
}

/* The guest's stores: an address, a value. It ends with the address 0. */
static const uint64_t writes[][2] = {
    { GUEST_GICD, 2 },
    { GUEST_GICR + 0x70, CONFIG | 15 },
    { GUEST_GICR + 0x78, PENDING | 1ull << 62 },
    { GUEST_GICR, 1 },
    { GUEST_GICR + 0x14, 0 },
    { ITS + 0x80, QUEUE | VALID },
    { ITS + 0x100, DEVICES | VALID | 15 },
    { ITS + 0x108, COLLECTIONS | VALID | 15 },
    { ITS, 1 },
    { ITS + 0x88, 4 * 32 },
};

/* x1 is where, x0 what: 32 bits where the register has 32. Then take one interrupt at each run. */
static const uint32_t code[] = {
    A64_STR_X(0, 1),           A64_BRK(0), A64_STR_W(0, 1), A64_BRK(0), A64_MRS(0, REG_ICC_IAR1),
    A64_MSR(REG_ICC_EOIR1, 0), A64_BRK(0), A64_B(-3),
};

struct its_guest {
    uint8_t *tables;
    struct guest g;
};

static void its_close(struct its_guest *s)
{
    CHECK_OK(hv_vcpu_destroy(s->g.vcpu));
    CHECK_OK(hv_vm_destroy());
    CHECK_OK(hv_vm_deallocate(s->g.ram, GUEST_RAM_SIZE));
    CHECK_OK(hv_vm_deallocate(s->tables, TABLES_SIZE));
}

/* One CPU, device 5 with the events 0 and 1 mapped to LPI and LPI + 1. */
static bool its_open(struct its_guest *s)
{
    *s = (struct its_guest){ .tables = guest_memory(TABLES_SIZE) };
    s->g.ram = guest_memory(GUEST_RAM_SIZE);
    if (!s->tables || !s->g.ram)
        return false;
    memset(s->tables, 0, TABLES_SIZE);
    memset(s->tables + (CONFIG - TABLES), 0xa1, 0x10000);
    memcpy(s->g.ram, code, sizeof code);
    put_command(s->tables, 0, 5ull << 32 | 0x08, 4, ITT | VALID);         /* MAPD */
    put_command(s->tables, 1, 0x09, 0, VALID);                            /* MAPC */
    put_command(s->tables, 2, 5ull << 32 | 0x0a, (uint64_t)LPI << 32, 0); /* MAPTI */
    put_command(s->tables, 3, 5ull << 32 | 0x0a, (uint64_t)(LPI + 1) << 32 | 1, 0);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(create_with_its(ITS));
    CHECK_OK(hv_vm_map(s->g.ram, GUEST_RAM, GUEST_RAM_SIZE,
                       HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC));
    CHECK_OK(hv_vm_map(s->tables, TABLES, TABLES_SIZE, HV_MEMORY_READ | HV_MEMORY_WRITE));
    CHECK_OK(hv_vcpu_create(&s->g.vcpu, &s->g.exit, NULL));
    s->g.good = true;
    guest_set_reg(&s->g, HV_REG_CPSR, CPSR_EL1H_MASKED);
    guest_set_sys(&s->g, HV_SYS_REG_MPIDR_EL1, 1u << 31);
    CHECK_OK(hv_vcpu_set_trap_debug_exceptions(s->g.vcpu, true));
    CHECK_OK(hv_gic_set_icc_reg(s->g.vcpu, HV_GIC_ICC_REG_PMR_EL1, 0xff));
    CHECK_OK(hv_gic_set_icc_reg(s->g.vcpu, HV_GIC_ICC_REG_IGRPEN1_EL1, 1));
    for (unsigned i = 0; i < sizeof writes / sizeof writes[0]; i++) {
        bool narrow = writes[i][0] == GUEST_GICD || writes[i][0] % 0x10000 == 0 ||
                      writes[i][0] == GUEST_GICR + 0x14;

        guest_set_reg(&s->g, HV_REG_PC, GUEST_CODE + (narrow ? 8 : 0));
        guest_set_reg(&s->g, HV_REG_X0, writes[i][1]);
        guest_set_reg(&s->g, HV_REG_X1, writes[i][0]);
        if (!guest_run_brk(&s->g, 0))
            return false;
    }
    guest_set_reg(&s->g, HV_REG_PC, GUEST_CODE + 16);
    return true;
}

static uint64_t its_take(struct its_guest *s)
{
    if (!guest_run_brk(&s->g, 0))
        return 0;
    guest_skip(&s->g);
    return guest_reg(&s->g, HV_REG_X0);
}

static void a_device_interrupts_by_the_its(void)
{
    struct its_guest s;

    if (CHECK(its_open(&s))) {
        CHECK_EQ(its_take(&s), SPURIOUS);
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 1));
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 1));
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 0));
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 2)); /* not mapped */
        CHECK_OK(hvx_gic_send_message(6, TRANSLATER, 0));
        CHECK_EQ(its_take(&s), LPI + 1);
        CHECK_EQ(its_take(&s), LPI);
        CHECK_EQ(its_take(&s), SPURIOUS);
    }
    its_close(&s);
}

/* The tables' memory goes away, comes back read-only, comes back. */
static void its_memory_may_go(void)
{
    struct its_guest s;

    if (check_skip_on_kvm("KVM keeps a copy of what the tables say"))
        return;
    if (CHECK(its_open(&s))) {
        CHECK_OK(hv_vm_unmap(TABLES, TABLES_SIZE));
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 0));
        CHECK_EQ(its_take(&s), SPURIOUS);
        CHECK_OK(hv_vm_map(s.tables, TABLES, TABLES_SIZE, HV_MEMORY_READ));
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 0));
        CHECK_EQ(its_take(&s), LPI);
        put_command(s.tables, 4, 5ull << 32 | 0x0f, 0, 0); /* DISCARD: cannot be written */
        guest_set_reg(&s.g, HV_REG_PC, GUEST_CODE);
        guest_set_reg(&s.g, HV_REG_X0, 5 * 32);
        guest_set_reg(&s.g, HV_REG_X1, ITS + 0x88);
        CHECK(guest_run_brk(&s.g, 0));
        guest_set_reg(&s.g, HV_REG_PC, GUEST_CODE + 16);
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 0));
        CHECK_EQ(its_take(&s), LPI);
    }
    its_close(&s);
}

static void its_state_goes_to_another_vm(void)
{
    struct its_guest s, t;
    size_t size = 0;
    uint8_t *data = NULL, *tables = malloc(TABLES_SIZE);

    if (CHECK(its_open(&s))) {
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 1));
        hv_gic_state_t state = hv_gic_state_create();
        CHECK_OK(hv_gic_state_get_size(state, &size));
        data = malloc(size);
        CHECK_OK(hv_gic_state_get_data(state, data));
        os_release(state);
        memcpy(tables, s.tables, TABLES_SIZE);
    }
    its_close(&s);
    if (data && CHECK(its_open(&t))) {
        CHECK_OK(hv_gic_reset());
        memcpy(t.tables, tables, TABLES_SIZE);
        CHECK_OK(hv_gic_set_state(data, size));
        CHECK_EQ(hv_gic_set_state(data, size - 1), HV_BAD_ARGUMENT);
        CHECK_OK(hv_gic_set_icc_reg(t.g.vcpu, HV_GIC_ICC_REG_PMR_EL1, 0xff));
        CHECK_OK(hv_gic_set_icc_reg(t.g.vcpu, HV_GIC_ICC_REG_IGRPEN1_EL1, 1));
        CHECK_EQ(its_take(&t), LPI + 1);
        CHECK_OK(hvx_gic_send_message(5, TRANSLATER, 0));
        CHECK_EQ(its_take(&t), LPI);
        its_close(&t);
    }
    /* a GIC without an ITS does not take it */
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(guest_create_gic());
    CHECK_EQ(hv_gic_set_state(data, size), HV_BAD_ARGUMENT);
    CHECK_OK(hv_vm_destroy());
    free(data);
    free(tables);
}

/* --- what is refused --- */

static void queries_need_a_place_for_the_answer(void)
{
    uint32_t base;

    CHECK_EQ(hv_gic_get_distributor_size(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_distributor_base_alignment(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_redistributor_region_size(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_redistributor_size(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_redistributor_base_alignment(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_msi_region_size(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_msi_region_base_alignment(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_spi_interrupt_range(&base, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_spi_interrupt_range(NULL, &base), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_intid(HV_GIC_INT_EL1_VIRTUAL_TIMER, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_intid(0, &base), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_intid(32, &base), HV_BAD_ARGUMENT);
}

static void configuration_is_checked(void)
{
    hv_gic_config_t config = hv_gic_config_create();

    CHECK(config != NULL);
    CHECK_EQ(hv_gic_config_set_distributor_base(NULL, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_redistributor_base(NULL, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_msi_region_base(NULL, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_msi_interrupt_range(NULL, 64, 32), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_distributor_base(config, 0x8000), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_redistributor_base(config, 0x8000), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_msi_region_base(config, 0x800), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_msi_interrupt_range(config, 31, 1), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_config_set_msi_interrupt_range(config, 1019, 2), HV_BAD_ARGUMENT);
    CHECK_OK(hv_gic_config_set_msi_interrupt_range(config, 1019, 1));
    CHECK_EQ(hv_gic_create(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_create(config), HV_NO_DEVICE);
    os_release(config);
}

static void accessors_refuse_what_is_no_register(void)
{
    static const uint32_t none[] = { A64_BRK(0) };
    uint64_t value = 0;
    hv_ipa_t base;
    struct guest g;

    GUEST_OPEN_GIC(&g, none);
    if (!g.good)
        return;
    CHECK(hv_gic_set_distributor_reg(0x000c, 0) != HV_SUCCESS);
    CHECK(hv_gic_set_distributor_reg(0x0081, 0) != HV_SUCCESS);
    CHECK(hv_gic_get_distributor_reg(0x7fe0, &value) != HV_SUCCESS);
    CHECK(hv_gic_set_msi_reg(0x0044, 0) != HV_SUCCESS);
    CHECK(hv_gic_get_msi_reg(0x0044, &value) != HV_SUCCESS);
    CHECK(hv_gic_get_redistributor_reg(g.vcpu, 0x10084, &value) != HV_SUCCESS);
    CHECK(hv_gic_set_redistributor_reg(g.vcpu, 0x10084, 0) != HV_SUCCESS);
    CHECK(hv_gic_get_redistributor_reg(g.vcpu + 1, HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER, &value) !=
          HV_SUCCESS);
    CHECK(hv_gic_set_redistributor_reg(g.vcpu + 1, HV_GIC_REDISTRIBUTOR_REG_GICR_ICFGR1, 0) !=
          HV_SUCCESS);
    CHECK(hv_gic_get_redistributor_base(g.vcpu + 1, &base) != HV_SUCCESS);
    CHECK(hv_gic_get_redistributor_base(g.vcpu, NULL) != HV_SUCCESS);
    CHECK_OK(hv_gic_get_redistributor_base(g.vcpu, &base));
    CHECK(hv_gic_get_icc_reg(g.vcpu, 0xc660, &value) != HV_SUCCESS); /* IAR1 acknowledges */
    CHECK(hv_gic_set_icc_reg(g.vcpu, HV_GIC_ICC_REG_RPR_EL1, 0) != HV_SUCCESS);
    /* these need EL2 */
    CHECK_EQ(hv_gic_get_ich_reg(g.vcpu, HV_GIC_ICH_REG_HCR_EL2, &value), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_set_ich_reg(g.vcpu, HV_GIC_ICH_REG_HCR_EL2, 0), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_get_icv_reg(g.vcpu, HV_GIC_ICV_REG_PMR_EL1, &value), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_set_icv_reg(g.vcpu, HV_GIC_ICV_REG_PMR_EL1, 0), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_state_get_data(NULL, &value), HV_BAD_ARGUMENT);
    guest_close(&g);
}

/* What a VM without a GIC, or no VM at all, has to say to the setters. */
static void setters_need_a_gic(void)
{
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    uint64_t value;

    CHECK_EQ(hv_gic_set_spi(40, true), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_reset(), HV_UNSUPPORTED);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vcpu_create(&vcpu, &exit, NULL));
    CHECK_EQ(hv_gic_set_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_CTLR, 2), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_set_msi_reg(HV_GIC_REG_GICM_TYPER, 0), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_get_redistributor_reg(vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER, &value),
             HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_set_redistributor_reg(vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_ICFGR1, 0),
             HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_get_icc_reg(vcpu, HV_GIC_ICC_REG_PMR_EL1, &value), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_set_icc_reg(vcpu, HV_GIC_ICC_REG_PMR_EL1, 0), HV_UNSUPPORTED);
    CHECK_OK(hv_vcpu_destroy(vcpu));
    CHECK_OK(hv_vm_destroy());
}

int main(void)
{
    bool has_its = false;

    if (HVX_SINCE(15.0)) {
        hv_gic_config_t config = hv_gic_config_create();
        has_its = hvx_gic_config_set_its_base(config, ITS) != HV_UNSUPPORTED;
        os_release(config);
    }
    if (has_its) {
        RUN(its_has_its_place);
        RUN(messages_need_a_door);
        RUN(a_device_interrupts_by_the_its);
        RUN(its_memory_may_go);
        RUN(its_state_goes_to_another_vm);
    }
    RUN_SINCE(15.0, queries_need_a_place_for_the_answer);
    RUN_SINCE(15.0, configuration_is_checked);
    RUN_SINCE(15.0, accessors_refuse_what_is_no_register);
    RUN_SINCE(15.0, setters_need_a_gic);
    return check_finish();
}
