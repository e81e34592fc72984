/* hv_gic_*: inputs and messages as the guest sees them, and a GIC's state taken to another VM. */
#include "guest.h"

#include <stdlib.h>
#include <string.h>

#define REG_ICC_IAR1  A64_REG(3, 0, 12, 12, 0)
#define REG_ICC_EOIR1 A64_REG(3, 0, 12, 12, 1)
#define REG_ICC_RPR   A64_REG(3, 0, 12, 11, 3)

#define SPURIOUS        1023u
#define SPI             40u
#define MSI             (GUEST_MSI_FIRST + 3)
#define BANK_BIT(intid) (1u << (intid) % 32)

/* A distributor register of the bank of `intid`. */
#define BANK(reg, intid) ((hv_gic_distributor_reg_t)((reg) + (intid) / 32 * 4))

static void set_dist(hv_gic_distributor_reg_t reg, uint64_t value)
{
    CHECK_OK(hv_gic_set_distributor_reg(reg, value));
}

static uint64_t get_dist(hv_gic_distributor_reg_t reg)
{
    uint64_t value = UINT64_MAX;

    CHECK_OK(hv_gic_get_distributor_reg(reg, &value));
    return value;
}

/* Enable `intid`, edge-triggered, group 1, for the CPU of affinity 0. */
static void open_spi(unsigned intid)
{
    set_dist(BANK(HV_GIC_DISTRIBUTOR_REG_GICD_IGROUPR0, intid), UINT32_MAX);
    set_dist((hv_gic_distributor_reg_t)(HV_GIC_DISTRIBUTOR_REG_GICD_ICFGR0 + intid / 16 * 4),
             0xaaaaaaaa);
    set_dist(BANK(HV_GIC_DISTRIBUTOR_REG_GICD_ISENABLER0, intid), BANK_BIT(intid));
}

static void open_interface(struct guest *g)
{
    CHECK_OK(hv_gic_set_icc_reg(g->vcpu, HV_GIC_ICC_REG_PMR_EL1, 0xff));
    CHECK_OK(hv_gic_set_icc_reg(g->vcpu, HV_GIC_ICC_REG_IGRPEN1_EL1, 1));
}

static void open_all(struct guest *g)
{
    set_dist(HV_GIC_DISTRIBUTOR_REG_GICD_CTLR, 2);
    open_spi(SPI);
    open_spi(MSI);
    open_interface(g);
}

/* Wake the redistributor; then at each run: take one, say which. */
static const uint32_t take[] = {
    A64_STR_W(31, 1), A64_MRS(0, REG_ICC_IAR1), A64_MSR(REG_ICC_EOIR1, 0), A64_BRK(0), A64_B(-3),
};

static void open_taker(struct guest *g)
{
    GUEST_OPEN_GIC(g, take);
    guest_set_reg(g, HV_REG_X1, GUEST_GICR + 0x14);
}

static uint64_t taken(struct guest *g)
{
    if (!guest_run_brk(g, 0))
        return UINT64_MAX;
    guest_skip(g);
    return guest_reg(g, HV_REG_X0);
}

static void every_true_is_an_edge(void)
{
    struct guest g;

    open_taker(&g);
    open_all(&g);
    CHECK_OK(hv_gic_set_spi(SPI, false));
    CHECK_EQ(taken(&g), SPURIOUS);
    CHECK_OK(hv_gic_set_spi(SPI, true));
    CHECK_EQ(taken(&g), SPI);
    CHECK_EQ(taken(&g), SPURIOUS);
    CHECK_OK(hv_gic_set_spi(SPI, true));
    CHECK_EQ(taken(&g), SPI);
    CHECK_EQ(taken(&g), SPURIOUS);
    guest_close(&g);
}

static void a_level_comes_until_it_falls(void)
{
    struct guest g;

    open_taker(&g);
    open_all(&g);
    set_dist((hv_gic_distributor_reg_t)(HV_GIC_DISTRIBUTOR_REG_GICD_ICFGR0 + SPI / 16 * 4), 0);
    CHECK_OK(hv_gic_set_spi(SPI, true));
    CHECK_EQ(taken(&g), SPI);
    CHECK_EQ(taken(&g), SPI);
    CHECK_OK(hv_gic_set_spi(SPI, false));
    CHECK_EQ(taken(&g), SPURIOUS);
    guest_close(&g);
}

static void a_message_comes_once(void)
{
    struct guest g;

    open_taker(&g);
    open_all(&g);
    CHECK_OK(hv_gic_send_msi(GUEST_MSI + 0x40, MSI));
    CHECK_EQ(get_dist(BANK(HV_GIC_DISTRIBUTOR_REG_GICD_ISPENDR0, MSI)), BANK_BIT(MSI));
    CHECK_EQ(taken(&g), MSI);
    CHECK_EQ(taken(&g), SPURIOUS);
    CHECK_OK(hv_gic_set_msi_reg(HV_GIC_REG_GICM_SET_SPI_NSR, MSI)); /* as the guest writes it */
    CHECK_EQ(taken(&g), MSI);
    CHECK_EQ(taken(&g), SPURIOUS);
    guest_close(&g);
}

static void the_guest_writes_messages(void)
{
    static const uint32_t code[] = {
        A64_STR_W(31, 1),          /* GICR_WAKER */
        A64_STR_W(3, 2),           /* GICM_SET_SPI_NSR */
        A64_MRS(0, REG_ICC_IAR1),  /* */
        A64_MSR(REG_ICC_EOIR1, 0), /* */
        A64_STR_W(4, 2),           /* one that is not a message's */
        A64_MRS(5, REG_ICC_IAR1),  /* */
        A64_BRK(0),
    };
    struct guest g;

    GUEST_OPEN_GIC(&g, code);
    open_all(&g);
    guest_set_reg(&g, HV_REG_X1, GUEST_GICR + 0x14);
    guest_set_reg(&g, HV_REG_X2, GUEST_MSI + 0x40);
    guest_set_reg(&g, HV_REG_X3, MSI);
    guest_set_reg(&g, HV_REG_X4, SPI);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), MSI);
    CHECK_EQ(guest_reg(&g, HV_REG_X5), SPURIOUS);
    guest_close(&g);
}

/* --- state --- */

static uint8_t *save(size_t *size)
{
    hv_gic_state_t state = hv_gic_state_create();
    uint8_t *data = NULL;

    CHECK(state != NULL);
    CHECK_OK(hv_gic_state_get_size(state, size));
    data = malloc(*size);
    CHECK_OK(hv_gic_state_get_data(state, data));
    os_release(state);
    return data;
}

/* The CPU interface is not in the state; its enables last. */
static const hv_gic_icc_reg_t icc[] = {
    HV_GIC_ICC_REG_PMR_EL1,     HV_GIC_ICC_REG_BPR0_EL1,    HV_GIC_ICC_REG_BPR1_EL1,
    HV_GIC_ICC_REG_AP0R0_EL1,   HV_GIC_ICC_REG_AP1R0_EL1,   HV_GIC_ICC_REG_CTLR_EL1,
    HV_GIC_ICC_REG_IGRPEN0_EL1, HV_GIC_ICC_REG_IGRPEN1_EL1,
};
enum { ICC_COUNT = sizeof icc / sizeof icc[0] };

static void save_interface(struct guest *g, uint64_t *values)
{
    for (unsigned i = 0; i < ICC_COUNT; i++)
        CHECK_OK(hv_gic_get_icc_reg(g->vcpu, icc[i], &values[i]));
}

static void restore_interface(struct guest *g, const uint64_t *values)
{
    for (unsigned i = 0; i < ICC_COUNT; i++)
        CHECK_OK(hv_gic_set_icc_reg(g->vcpu, icc[i], values[i]));
}

static void pending_moves_to_another_vm(void)
{
    uint64_t interface[ICC_COUNT];
    struct guest g;
    size_t size = 0;

    open_taker(&g);
    open_all(&g);
    CHECK_EQ(taken(&g), SPURIOUS); /* the redistributor is awake */
    set_dist(HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR0 + MSI / 4 * 4, 0x20u << MSI % 4 * 8);
    CHECK_OK(hv_gic_set_spi(SPI, true));
    CHECK_OK(hv_gic_send_msi(GUEST_MSI + 0x40, MSI));
    CHECK_OK(hv_gic_set_redistributor_reg(g.vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_IGROUPR0, 1 << 5));
    CHECK_OK(
        hv_gic_set_redistributor_reg(g.vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_ISENABLER0, 1 << 5));
    CHECK_OK(
        hv_gic_set_redistributor_reg(g.vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_IPRIORITYR1, 0x40 << 8));
    CHECK_OK(hv_gic_set_redistributor_reg(g.vcpu, HV_GIC_REDISTRIBUTOR_REG_GICR_ISPENDR0, 1 << 5));
    save_interface(&g, interface);
    uint8_t *state = save(&size);
    guest_close(&g);

    open_taker(&g);
    CHECK_OK(hv_gic_set_state(state, size));
    restore_interface(&g, interface);
    size_t again = 0;
    uint8_t *copy = save(&again);
    CHECK_EQ(again, size);
    CHECK(memcmp(state, copy, size) == 0);
    CHECK_EQ(taken(&g), SPI); /* priority 0 */
    CHECK_EQ(taken(&g), MSI);
    CHECK_EQ(taken(&g), 5);
    CHECK_EQ(taken(&g), SPURIOUS);
    guest_close(&g);
    free(state);
    free(copy);
}

static void active_moves_to_another_vm(void)
{
    static const uint32_t begin[] = {
        A64_STR_W(31, 1),
        A64_MRS(0, REG_ICC_IAR1),
        A64_MRS(2, REG_ICC_RPR),
        A64_BRK(0),
    };
    static const uint32_t end[] = {
        A64_MRS(2, REG_ICC_RPR), A64_MRS(3, REG_ICC_IAR1), A64_MSR(REG_ICC_EOIR1, 0),
        A64_MRS(4, REG_ICC_RPR), A64_MRS(5, REG_ICC_IAR1), A64_BRK(0),
    };
    uint64_t interface[ICC_COUNT];
    struct guest g;
    size_t size = 0;

    GUEST_OPEN_GIC(&g, begin);
    guest_set_reg(&g, HV_REG_X1, GUEST_GICR + 0x14);
    open_all(&g);
    set_dist(HV_GIC_DISTRIBUTOR_REG_GICD_IPRIORITYR0 + SPI / 4 * 4, 0x60u << SPI % 4 * 8);
    CHECK_OK(hv_gic_set_spi(SPI, true));
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), SPI);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0x60);
    CHECK_OK(hv_gic_set_spi(SPI, true)); /* active and pending */
    save_interface(&g, interface);
    uint8_t *state = save(&size);
    guest_close(&g);

    GUEST_OPEN_GIC(&g, end);
    CHECK_OK(hv_gic_set_state(state, size));
    restore_interface(&g, interface);
    guest_set_reg(&g, HV_REG_X0, SPI);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0x60);
    CHECK_EQ(guest_reg(&g, HV_REG_X3), SPURIOUS);
    CHECK_EQ(guest_reg(&g, HV_REG_X4), 0xff);
    CHECK_EQ(guest_reg(&g, HV_REG_X5), SPI);
    guest_close(&g);
    free(state);
}

/* Every byte wrong, one at a time: an error or a state that a guest can run with. On KVM, where
 * each trial is thousands of calls to the kernel, some bytes. */
static void damaged_state_does_no_harm(void)
{
    struct guest g;
    size_t size = 0;

    open_taker(&g);
    open_all(&g);
    uint8_t *state = save(&size);
    for (size_t i = 0; i < size; i += check_on_kvm() ? 997 : 1) {
        state[i] ^= 0xff;
        (void)hv_gic_set_state(state, size);
        state[i] ^= 0xff;
    }
    CHECK_OK(hv_gic_reset());
    CHECK_EQ(get_dist(HV_GIC_DISTRIBUTOR_REG_GICD_CTLR), 0x50);
    open_all(&g);
    CHECK_OK(hv_gic_set_spi(SPI, true));
    CHECK_EQ(taken(&g), SPI);
    guest_close(&g);
    free(state);
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
    RUN(every_true_is_an_edge);
    RUN(a_level_comes_until_it_falls);
    RUN(a_message_comes_once);
    RUN(the_guest_writes_messages);
    RUN(pending_moves_to_another_vm);
    RUN(active_moves_to_another_vm);
    RUN(damaged_state_does_no_harm);
    return check_finish();
}
