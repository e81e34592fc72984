/* hv_gic_*: what published test suites of the real framework assert, and the GIC as a guest meets
 * it inside of hv_vcpu_run(). */
#include "guest.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define REG_ICC_PMR     A64_REG(3, 0, 4, 6, 0)
#define REG_ICC_IAR1    A64_REG(3, 0, 12, 12, 0)
#define REG_ICC_EOIR1   A64_REG(3, 0, 12, 12, 1)
#define REG_ICC_IGRPEN1 A64_REG(3, 0, 12, 12, 7)
#define REG_CNTP_CTL    A64_REG(3, 3, 14, 2, 1)

#define GICR_WAKER     (GUEST_GICR + 0x14)
#define GIC_SPI        40u
#define SPI_BIT        (1u << GIC_SPI % 32)
#define GROUP1_ENABLED 2u

/* INTIDs that a GIC has, and what GICD_TYPER says of them; KVM has fewer, and LPIs in no place. */
static uint32_t intids(void)
{
    return check_on_kvm() ? 992 : 1020;
}

static uint64_t typer(void)
{
    return check_on_kvm() ? 0x0048001e : 0x0478001f;
}

static void sleep_ms(unsigned ms)
{
    struct timespec t = { .tv_nsec = ms * 1000000l };

    nanosleep(&t, NULL);
}

static uint64_t thread_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* Create a GIC with these bases in a VM of its own. */
static hv_return_t create_at(hv_ipa_t distributor, hv_ipa_t redistributor)
{
    hv_gic_config_t config = hv_gic_config_create();

    CHECK_OK(hv_vm_create(NULL));
    if (distributor)
        CHECK_OK(hv_gic_config_set_distributor_base(config, distributor));
    if (redistributor)
        CHECK_OK(hv_gic_config_set_redistributor_base(config, redistributor));

    hv_return_t result = hv_gic_create(config);

    CHECK_OK(hv_vm_destroy());
    os_release(config);
    return result;
}

static void regions_must_not_overlap(void)
{
    CHECK_EQ(create_at(0, 0), HV_BAD_ARGUMENT);
    CHECK_OK(create_at(0, 0x20000));
    CHECK_OK(create_at(0x2000000, 0));
    CHECK_EQ(create_at(0x1ff0000, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(create_at(0x10000, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(create_at(1ull << 48, 0), HV_BAD_ARGUMENT); /* beyond the VM's addresses */
    CHECK_OK(create_at(0, 0x10000));
}

static void a_vm_has_one_gic_and_before_its_vcpus(void)
{
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    CHECK_EQ(guest_create_gic(), HV_NO_DEVICE);
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(guest_create_gic());
    CHECK(guest_create_gic() != HV_SUCCESS);
    CHECK_OK(hv_vm_destroy());
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vcpu_create(&vcpu, &exit, NULL));
    CHECK(guest_create_gic() != HV_SUCCESS);
    CHECK_OK(hv_vcpu_destroy(vcpu));
    CHECK_OK(hv_vm_destroy());
}

static void without_a_gic_nothing_works(void)
{
    uint64_t value;
    hv_ipa_t base;

    CHECK_OK(hv_vm_create(NULL));
    CHECK_EQ(hv_gic_set_spi(GIC_SPI, true), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_send_msi(0, GIC_SPI), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_reset(), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_get_redistributor_base(0, &base), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_CTLR, &value), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_get_msi_reg(HV_GIC_REG_GICM_TYPER, &value), HV_UNSUPPORTED);
    CHECK_EQ(hv_gic_set_state(&value, sizeof value), HV_UNSUPPORTED);
    CHECK(hv_gic_state_create() == NULL);
    CHECK_OK(hv_vm_destroy());
}

static void state_goes_back_without_a_vcpu(void)
{
    hv_gic_state_t state;
    size_t size = 0;

    if (check_skip_on_kvm("KVM's GIC has no registers before there is a vCPU"))
        return;
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(guest_create_gic());
    state = hv_gic_state_create();
    CHECK(state != NULL);
    CHECK_OK(hv_gic_state_get_size(state, &size));
    CHECK(size > 16);

    uint8_t *data = malloc(size);

    CHECK_OK(hv_gic_state_get_data(state, data));
    CHECK_OK(hv_gic_set_state(data, size));
    CHECK_EQ(hv_gic_set_state(data, size - 16), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_set_state(data, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_set_state(NULL, size), HV_BAD_ARGUMENT);
    data[0] = 0;
    CHECK_EQ(hv_gic_set_state(data, size), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_state_get_size(NULL, &size), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_state_get_data(state, NULL), HV_BAD_ARGUMENT);
    free(data);
    os_release(state);
    CHECK_OK(hv_vm_destroy());
}

static void state_brings_settings_back(void)
{
    uint64_t value = 0;
    size_t size = 0;

    if (check_skip_on_kvm("KVM's GIC has no registers before there is a vCPU"))
        return;
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(guest_create_gic());
    CHECK_OK(hv_gic_set_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_ISENABLER1, SPI_BIT));
    CHECK_OK(hv_gic_set_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR10, 0x40));
    CHECK_OK(hv_gic_set_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER40, 0x10203));
    hv_gic_state_t state = hv_gic_state_create();
    CHECK_OK(hv_gic_state_get_size(state, &size));
    uint8_t *data = malloc(size);
    CHECK_OK(hv_gic_state_get_data(state, data));
    CHECK_OK(hv_gic_reset());
    CHECK_OK(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_ISENABLER1, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(hv_gic_set_state(data, size));
    CHECK_OK(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_ISENABLER1, &value));
    CHECK_EQ(value, SPI_BIT);
    CHECK_OK(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR10, &value));
    CHECK_EQ(value, 0x40);
    CHECK_OK(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER40, &value));
    CHECK_EQ(value, 0x10203);
    free(data);
    os_release(state);
    CHECK_OK(hv_vm_destroy());
}

static void distributor_and_msi_registers(void)
{
    static const hv_gic_distributor_reg_t regs[] = {
        HV_GIC_DISTRIBUTOR_REG_GICD_CTLR,        HV_GIC_DISTRIBUTOR_REG_GICD_TYPER,
        HV_GIC_DISTRIBUTOR_REG_GICD_IGROUPR0,    HV_GIC_DISTRIBUTOR_REG_GICD_ISENABLER0,
        HV_GIC_DISTRIBUTOR_REG_GICD_ICENABLER0,  HV_GIC_DISTRIBUTOR_REG_GICD_ISPENDR0,
        HV_GIC_DISTRIBUTOR_REG_GICD_ICPENDR0,    HV_GIC_DISTRIBUTOR_REG_GICD_ISACTIVER0,
        HV_GIC_DISTRIBUTOR_REG_GICD_ICACTIVER0,  HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR0,
        HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR7, HV_GIC_DISTRIBUTOR_REG_GICD_ICFGR0,
        HV_GIC_DISTRIBUTOR_REG_GICD_ICFGR1,      HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER32,
        HV_GIC_DISTRIBUTOR_REG_GICD_IROUTER1019, HV_GIC_DISTRIBUTOR_REG_GICD_PIDR2,
    };
    static const hv_gic_msi_reg_t msi[] = { HV_GIC_REG_GICM_TYPER, HV_GIC_REG_GICM_SET_SPI_NSR };
    struct guest g;
    uint64_t value = 0;

    GUEST_OPEN_GIC(&g, ((const uint32_t[]){ A64_BRK(0) }));
    CHECK_OK(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_CTLR, &value));
    CHECK_EQ(value, 0x50);
    CHECK_OK(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_TYPER, &value));
    CHECK_EQ(value, typer());
    for (unsigned i = 0; i < sizeof regs / sizeof regs[0]; i++) {
        CHECK_OK(hv_gic_get_distributor_reg(regs[i], &value));
        CHECK_OK(hv_gic_set_distributor_reg(regs[i], value + 1));
    }
    CHECK_OK(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_TYPER, &value));
    CHECK_EQ(value, typer());
    for (unsigned i = 0; i < 2; i++) {
        CHECK_OK(hv_gic_get_msi_reg(msi[i], &value));
        CHECK_OK(hv_gic_set_msi_reg(msi[i], value + 1));
    }
    CHECK_OK(hv_gic_get_msi_reg(HV_GIC_REG_GICM_TYPER, &value));
    CHECK_EQ(value, GUEST_MSI_FIRST << 16 | GUEST_MSI_COUNT);
    CHECK_EQ(hv_gic_get_distributor_reg((hv_gic_distributor_reg_t)0x8, &value), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_distributor_reg((hv_gic_distributor_reg_t)0x82, &value), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_CTLR, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_msi_reg((hv_gic_msi_reg_t)0x4, &value), HV_BAD_ARGUMENT);
    guest_close(&g);
}

static void redistributor_registers(void)
{
    static const hv_gic_redistributor_reg_t regs[] = {
        HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER,       HV_GIC_REDISTRIBUTOR_REG_GICR_PIDR2,
        HV_GIC_REDISTRIBUTOR_REG_GICR_IGROUPR0,    HV_GIC_REDISTRIBUTOR_REG_GICR_ISENABLER0,
        HV_GIC_REDISTRIBUTOR_REG_GICR_ICENABLER0,  HV_GIC_REDISTRIBUTOR_REG_GICR_ISPENDR0,
        HV_GIC_REDISTRIBUTOR_REG_GICR_ICPENDR0,    HV_GIC_REDISTRIBUTOR_REG_GICR_ISACTIVER0,
        HV_GIC_REDISTRIBUTOR_REG_GICR_ICACTIVER0,  HV_GIC_REDISTRIBUTOR_REG_GICR_IPRIORITYR0,
        HV_GIC_REDISTRIBUTOR_REG_GICR_IPRIORITYR7, HV_GIC_REDISTRIBUTOR_REG_GICR_ICFGR0,
        HV_GIC_REDISTRIBUTOR_REG_GICR_ICFGR1,
    };
    struct guest g;
    uint64_t value = 0;
    hv_ipa_t base = 0;

    GUEST_OPEN_GIC(&g, ((const uint32_t[]){ A64_BRK(0) }));
    guest_set_sys(&g, HV_SYS_REG_MPIDR_EL1, 1);
    CHECK_OK(hv_gic_get_redistributor_base(g.vcpu, &base));
    CHECK_EQ(base, GUEST_GICR); /* by the handle, not by Aff0 */
    CHECK_OK(hv_gic_get_redistributor_reg(g.vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER, &value));
    CHECK_EQ(value, 1ull << 32 | 1 << 4);
    for (unsigned i = 0; i < sizeof regs / sizeof regs[0]; i++) {
        CHECK_OK(hv_gic_get_redistributor_reg(g.vcpu, regs[i], &value));
        CHECK_OK(hv_gic_set_redistributor_reg(g.vcpu, regs[i], value + 1));
    }
    CHECK_EQ(hv_gic_get_redistributor_reg(g.vcpu, (hv_gic_redistributor_reg_t)0x14, &value),
             HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_redistributor_base(g.vcpu + 1, &base), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_redistributor_base(g.vcpu, NULL), HV_BAD_ARGUMENT);
    guest_close(&g);
}

static void *use_from_thread(void *arg)
{
    const struct guest *g = arg;
    uint64_t value;

    CHECK_EQ(hv_gic_get_icc_reg(g->vcpu, HV_GIC_ICC_REG_PMR_EL1, &value), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_set_icc_reg(g->vcpu, HV_GIC_ICC_REG_PMR_EL1, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_get_redistributor_reg(g->vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_TYPER, &value),
             HV_BAD_ARGUMENT);
    return NULL;
}

static void cpu_interface_registers(void)
{
    static const hv_gic_icc_reg_t regs[] = {
        HV_GIC_ICC_REG_PMR_EL1,   HV_GIC_ICC_REG_BPR0_EL1,    HV_GIC_ICC_REG_AP0R0_EL1,
        HV_GIC_ICC_REG_AP1R0_EL1, HV_GIC_ICC_REG_BPR1_EL1,    HV_GIC_ICC_REG_CTLR_EL1,
        HV_GIC_ICC_REG_SRE_EL1,   HV_GIC_ICC_REG_IGRPEN0_EL1, HV_GIC_ICC_REG_IGRPEN1_EL1,
    };
    static const uint16_t others[] = { 0xc640, 0xc641, 0xc642, 0xc645, 0xc649, 0xc659,
                                       0xc65d, 0xc660, 0xc661, 0xc662, 0 };
    struct guest g;
    uint64_t value = 0;
    pthread_t thread;

    GUEST_OPEN_GIC(&g, ((const uint32_t[]){ A64_BRK(0) }));
    for (unsigned i = 0; i < sizeof regs / sizeof regs[0]; i++) {
        CHECK_OK(hv_gic_get_icc_reg(g.vcpu, regs[i], &value));
        CHECK_OK(hv_gic_set_icc_reg(g.vcpu, regs[i], value));
    }
    CHECK_OK(hv_gic_set_icc_reg(g.vcpu, HV_GIC_ICC_REG_PMR_EL1, 0xf0));
    CHECK_OK(hv_gic_get_icc_reg(g.vcpu, HV_GIC_ICC_REG_PMR_EL1, &value));
    CHECK_EQ(value, 0xf0);
    CHECK_OK(hv_gic_get_icc_reg(g.vcpu, HV_GIC_ICC_REG_RPR_EL1, &value));
    CHECK_EQ(value, 0xff);
    CHECK(hv_gic_set_icc_reg(g.vcpu, HV_GIC_ICC_REG_RPR_EL1, 0) != HV_SUCCESS);
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK_EQ(hv_gic_get_icc_reg(g.vcpu, (hv_gic_icc_reg_t)others[i], &value), HV_BAD_ARGUMENT);
    CHECK(hv_gic_get_ich_reg(g.vcpu, HV_GIC_ICH_REG_HCR_EL2, &value) != HV_SUCCESS);
    CHECK(hv_gic_get_icv_reg(g.vcpu, HV_GIC_ICV_REG_PMR_EL1, &value) != HV_SUCCESS);
    CHECK_EQ(pthread_create(&thread, NULL, use_from_thread, &g), 0);
    pthread_join(thread, NULL);
    guest_close(&g);
}

static void physical_timer_registers_exist(void)
{
    struct guest g;

    GUEST_OPEN_GIC(&g, ((const uint32_t[]){ A64_BRK(0) }));
    guest_set_sys(&g, HV_SYS_REG_CNTP_CVAL_EL0, 0x123456789abcull);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_CNTP_CVAL_EL0), 0x123456789abcull);
    guest_set_sys(&g, HV_SYS_REG_CNTP_CTL_EL0, 3);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_CNTP_CTL_EL0) & 3, 3);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_ID_AA64PFR0_EL1) >> 24 & 15, 1);
    guest_close(&g);
}

/* No vCPU; the lower half of the SPIs are messages. */
static void messages_and_spis_share_the_numbers(void)
{
    hv_gic_config_t config = hv_gic_config_create();
    const uint32_t first = 32, count = 494;

    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_gic_config_set_distributor_base(config, GUEST_GICD));
    CHECK_OK(hv_gic_config_set_redistributor_base(config, GUEST_GICR));
    CHECK_OK(hv_gic_config_set_msi_region_base(config, GUEST_MSI));
    CHECK_OK(hv_gic_config_set_msi_interrupt_range(config, first, count));
    CHECK_OK(hv_gic_create(config));
    CHECK_OK(hv_gic_reset());
    CHECK_EQ(hv_gic_send_msi(GUEST_MSI + 0x40, first - 1), HV_BAD_ARGUMENT);
    for (uint32_t i = first; i < first + count; i++)
        CHECK_OK(hv_gic_send_msi(GUEST_MSI + 0x40, i));
    CHECK_EQ(hv_gic_send_msi(GUEST_MSI + 0x40, first + count), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_send_msi(GUEST_MSI + 0x44, first), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_set_spi(first + count - 1, false), HV_BAD_ARGUMENT);
    for (uint32_t i = first + count; i < intids(); i++)
        CHECK_OK(hv_gic_set_spi(i, false));
    CHECK_EQ(hv_gic_set_spi(1020, true), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_set_spi(31, true), HV_BAD_ARGUMENT);
    CHECK_OK(hv_vm_destroy());
    os_release(config);
}

/* --- the guest's side --- */

/* Group 1 on everywhere, the mask open; PPIs `ppis` and GIC_SPI enabled. */
static void open_gic(struct guest *g, uint32_t ppis)
{
    CHECK_OK(hv_gic_set_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_CTLR, GROUP1_ENABLED));
    CHECK_OK(hv_gic_set_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_IGROUPR1, UINT32_MAX));
    CHECK_OK(hv_gic_set_distributor_reg(HV_GIC_DISTRIBUTOR_REG_GICD_ISENABLER1, SPI_BIT));
    CHECK_OK(
        hv_gic_set_redistributor_reg(g->vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_IGROUPR0, UINT32_MAX));
    CHECK_OK(hv_gic_set_redistributor_reg(g->vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_ISENABLER0, ppis));
    CHECK_OK(hv_gic_set_icc_reg(g->vcpu, HV_GIC_ICC_REG_PMR_EL1, 0xff));
    CHECK_OK(hv_gic_set_icc_reg(g->vcpu, HV_GIC_ICC_REG_IGRPEN1_EL1, 1));
    guest_set_reg(g, HV_REG_X1, GICR_WAKER);
}

/* cmp x0, #1023; b.eq: a WFI may end before there is an interrupt, as it does when a cancel ends
 * the run. */
#define AGAIN_IF_SPURIOUS(words) 0xf10ffc1fu, (0x54000000u | ((uint32_t)(words) & 0x7ffff) << 5)

/* Wake the redistributor, wait, and say what there is. */
static const uint32_t wait_and_acknowledge[] = {
    A64_STR_W(31, 1),          /* GICR_WAKER */
    A64_WFI,                   /* */
    A64_MRS(0, REG_ICC_IAR1),  /* */
    AGAIN_IF_SPURIOUS(-3),     /* */
    A64_MSR(REG_ICC_EOIR1, 0), /* */
    A64_BRK(0),
};

static void guest_reads_and_writes_registers_inside(void)
{
    static const uint32_t code[] = {
        A64_LDR_X(0, 1),         /* GICD_CTLR and TYPER: no such access */
        0xb9400442u,             /* ldr w2, [x2, #4] */
        A64_MRS(3, REG_ICC_PMR), /* */
        A64_MOVZ(4, 0xa0),       /* */
        A64_MSR(REG_ICC_PMR, 4), /* */
        A64_MRS(4, REG_ICC_PMR), /* */
        0xb94000a5u,             /* ldr w5, [x5] */
        A64_BRK(0),
    };
    struct guest g;

    GUEST_OPEN_GIC(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_GICD);
    guest_set_reg(&g, HV_REG_X2, GUEST_GICD);
    guest_set_reg(&g, HV_REG_X5, GUEST_MSI + 8);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), typer());
    CHECK_EQ(guest_reg(&g, HV_REG_X3), 0);
    CHECK_EQ(guest_reg(&g, HV_REG_X4), 0xa0);
    CHECK_EQ(guest_reg(&g, HV_REG_X5), GUEST_MSI_FIRST << 16 | GUEST_MSI_COUNT);
    guest_close(&g);
}

/* What no vCPU has is the VMM's. */
static void other_redistributors_exit(void)
{
    static const uint32_t code[] = { A64_STR_W(31, 1) };
    struct guest g;

    GUEST_OPEN_GIC(&g, code);
    guest_set_reg(&g, HV_REG_X1, GUEST_GICR + 0x20014);
    CHECK(guest_run_exception(&g, EC_DABORT));
    CHECK_EQ(g.exit->exception.physical_address, GUEST_GICR + 0x20014);
    guest_close(&g);
}

static void spi_is_taken_as_irq(void)
{
    static const uint32_t code[] = { A64_STR_W(31, 1), A64_B_SELF };
    struct guest g;

    GUEST_OPEN_GIC(&g, code);
    open_gic(&g, 0);
    CHECK_OK(hv_gic_set_spi(GIC_SPI, true));
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H);
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_IRQ_EL1)));
    CHECK_OK(hv_gic_set_spi(GIC_SPI, false));
    guest_close(&g);
}

/* Between PMR and what follows it, and the guest's registers are where they were. */
static void opening_the_mask_lets_an_interrupt_in(void)
{
    static const uint32_t code[] = {
        A64_STR_W(31, 1),  A64_MOVZ(2, 0xff),  A64_MOVZ(3, 7),
        A64_MOVZ(4, 0),    A64_SUBS_IMM(4, 0), A64_MSR(REG_ICC_PMR, 2),
        A64_ADD_IMM(3, 1), A64_B_NE(-1),       A64_B_SELF,
    };
    struct guest g;

    GUEST_OPEN_GIC(&g, code);
    open_gic(&g, 0);
    CHECK_OK(hv_gic_set_icc_reg(g.vcpu, HV_GIC_ICC_REG_PMR_EL1, 0));
    CHECK_OK(hv_gic_set_spi(GIC_SPI, true));
    guest_set_reg(&g, HV_REG_CPSR, CPSR_EL1H);
    CHECK(guest_run_brk(&g, VECTOR_BRK(VECTOR_IRQ_EL1)));
    CHECK(guest_sys(&g, HV_SYS_REG_ELR_EL1) >= GUEST_CODE + 6 * 4);
    CHECK(guest_sys(&g, HV_SYS_REG_SPSR_EL1) >> 30 & 1); /* Z */
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0xff);
    CHECK_OK(hv_gic_set_spi(GIC_SPI, false));
    guest_close(&g);
}

/* An engine that translates has no need of its interpreter for what an interrupt takes. */
static void the_interface_is_translated(void)
{
    enum { ROUNDS = 1000 };
    static const uint32_t code[] = {
        A64_MOVZ(2, 0xf0),
        A64_MOVZ(17, ROUNDS),
        A64_MSR(REG_ICC_PMR, 2),
        A64_MRS(3, REG_ICC_PMR),
        A64_MRS(0, REG_ICC_IAR1),
        A64_MSR(REG_ICC_EOIR1, 0),
        A64_SUBS_IMM(17, 1),
        A64_B_NE(-5),
        A64_BRK(0),
    };
    struct hvx_vcpu_stats stats;
    struct guest g;

    GUEST_OPEN_GIC(&g, code);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 1023);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0xf0);
    CHECK_EQ(guest_reg(&g, HV_REG_X3), 0xf0);
    if (strcmp(hvx_engine(), "jit") == 0) {
        CHECK_OK(hvx_vcpu_get_stats(g.vcpu, &stats));
        CHECK(stats.calls.interp < ROUNDS);
    }
    guest_close(&g);
}

static void *raise_soon(void *arg)
{
    (void)arg;
    sleep_ms(100);
    CHECK_OK(hv_gic_set_spi(GIC_SPI, true));
    return NULL;
}

static void wfi_waits_inside_and_costs_nothing(void)
{
    struct guest g;
    pthread_t thread;

    GUEST_OPEN_GIC(&g, wait_and_acknowledge);
    open_gic(&g, 0);
    CHECK_EQ(pthread_create(&thread, NULL, raise_soon, NULL), 0);
    uint64_t cpu = thread_cpu_ns(), start = hvx_absolute_time();
    CHECK(guest_run_brk(&g, 0));
    cpu = thread_cpu_ns() - cpu;
    CHECK(hvx_absolute_time() - start > hvx_counter_hz() / 20); /* 50 ms */
    CHECK(cpu < 30000000);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), GIC_SPI);
    pthread_join(thread, NULL);
    guest_close(&g);
}

static void *cancel_soon(void *arg)
{
    struct guest *g = arg;

    sleep_ms(50);
    CHECK_OK(hv_vcpus_exit(&g->vcpu, 1));
    return NULL;
}

static void cancel_ends_a_wfi(void)
{
    struct guest g;
    pthread_t thread;

    GUEST_OPEN_GIC(&g, wait_and_acknowledge);
    open_gic(&g, 0);
    CHECK_EQ(pthread_create(&thread, NULL, cancel_soon, &g), 0);
    CHECK(guest_run(&g, HV_EXIT_REASON_CANCELED));
    CHECK_EQ(guest_reg(&g, HV_REG_PC), GUEST_CODE + 8);
    pthread_join(thread, NULL);
    guest_close(&g);
}

static void virtual_timer_is_ppi_27(void)
{
    struct guest g;

    GUEST_OPEN_GIC(&g, wait_and_acknowledge);
    open_gic(&g, 1u << HV_GIC_INT_EL1_VIRTUAL_TIMER);
    guest_set_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0, hvx_absolute_time() + hvx_counter_hz() / 100);
    guest_set_sys(&g, HV_SYS_REG_CNTV_CTL_EL0, 1);
    CHECK(guest_run_brk(&g, 0)); /* and not HV_EXIT_REASON_VTIMER_ACTIVATED */
    CHECK_EQ(guest_reg(&g, HV_REG_X0), HV_GIC_INT_EL1_VIRTUAL_TIMER);
    CHECK(hvx_absolute_time() >= guest_sys(&g, HV_SYS_REG_CNTV_CVAL_EL0));
    guest_close(&g);
}

static void physical_timer_is_ppi_30(void)
{
    static const uint32_t code[] = {
        A64_STR_W(31, 1),           /* GICR_WAKER */
        A64_MRS(2, REG_CNTPCT_EL0), /* */
        A64_MSR(REG_CNTP_CTL, 3),   /* */
        A64_WFI,                    /* */
        A64_MRS(0, REG_ICC_IAR1),   /* */
        AGAIN_IF_SPURIOUS(-3),      /* */
        A64_MRS(4, REG_CNTP_CTL),   /* */
        A64_MSR(REG_CNTP_CTL, 31),  /* the line falls */
        A64_MSR(REG_ICC_EOIR1, 0),  /* */
        A64_MRS(5, REG_ICC_IAR1),   /* */
        A64_BRK(0),
    };
    struct guest g;

    GUEST_OPEN_GIC(&g, code);
    open_gic(&g, 1u << HV_GIC_INT_EL1_PHYSICAL_TIMER);
    guest_set_sys(&g, HV_SYS_REG_CNTP_CVAL_EL0, hvx_absolute_time() + hvx_counter_hz() / 100);
    guest_set_reg(&g, HV_REG_X3, 1);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), HV_GIC_INT_EL1_PHYSICAL_TIMER);
    CHECK(guest_reg(&g, HV_REG_X2) != 0);
    CHECK_EQ(guest_reg(&g, HV_REG_X4), 5); /* ENABLE, ISTATUS */
    CHECK_EQ(guest_reg(&g, HV_REG_X5), 1023);
    guest_close(&g);
}

int main(void)
{
    hv_return_t result = HV_UNSUPPORTED;

    if (HVX_SINCE(15.0)) {
        CHECK_OK(hv_vm_create(NULL));
        result = guest_create_gic();
        CHECK_OK(hv_vm_destroy());
    }
    if (result == HV_UNSUPPORTED) {
        check_start("hv_gic_create");
        check_skip("no GIC here");
        check_end();
        return check_finish();
    }
    RUN(regions_must_not_overlap);
    RUN(a_vm_has_one_gic_and_before_its_vcpus);
    RUN(without_a_gic_nothing_works);
    RUN(state_goes_back_without_a_vcpu);
    RUN(state_brings_settings_back);
    RUN(distributor_and_msi_registers);
    RUN(redistributor_registers);
    RUN(cpu_interface_registers);
    RUN(physical_timer_registers_exist);
    RUN(messages_and_spis_share_the_numbers);
    RUN(guest_reads_and_writes_registers_inside);
    RUN(other_redistributors_exit);
    RUN(spi_is_taken_as_irq);
    RUN(opening_the_mask_lets_an_interrupt_in);
    RUN(the_interface_is_translated);
    RUN(wfi_waits_inside_and_costs_nothing);
    RUN_CANCEL(cancel_ends_a_wfi);
    RUN(virtual_timer_is_ppi_27);
    RUN(physical_timer_is_ppi_30);
    return check_finish();
}
