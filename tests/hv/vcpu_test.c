/* A vCPU's registers and switches, and which thread may use them. */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const uint32_t no_code[] = { A64_BRK(0) };

static void handles_start_at_zero_and_are_reused(void)
{
    hv_vcpu_t vcpu = 77;
    hv_vcpu_exit_t *exit = NULL;

    CHECK_OK(hv_vm_create(NULL));
    for (unsigned i = 0; i < 3; i++) {
        CHECK_OK(hv_vcpu_create(&vcpu, &exit, NULL));
        CHECK_EQ(vcpu, 0);
        CHECK(exit != NULL);
        CHECK_OK(hv_vcpu_destroy(vcpu));
    }
    CHECK_OK(hv_vm_destroy());
}

static void create_takes_a_config(void)
{
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    hv_vcpu_config_t config = hv_vcpu_config_create();

    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vcpu_create(&vcpu, &exit, config));
    os_release(config);
    CHECK_OK(hv_vcpu_destroy(vcpu));
    CHECK_OK(hv_vm_destroy());
}

static void a_thread_has_one_vcpu(void)
{
    struct guest g;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    GUEST_OPEN(&g, no_code);
    CHECK(hv_vcpu_create(&vcpu, &exit, NULL) != HV_SUCCESS);
    guest_close(&g);
}

static void destroyed_vcpu_is_gone(void)
{
    struct guest g;
    uint64_t value;

    GUEST_OPEN(&g, no_code);
    CHECK_OK(hv_vcpu_destroy(g.vcpu));
    CHECK(hv_vcpu_get_reg(g.vcpu, HV_REG_PC, &value) != HV_SUCCESS);
    CHECK(hv_vcpu_run(g.vcpu) != HV_SUCCESS);
    CHECK(hv_vcpu_destroy(g.vcpu) != HV_SUCCESS);
    CHECK_OK(hv_vcpu_create(&g.vcpu, &g.exit, NULL));
    guest_close(&g);
}

static void fresh_state(void)
{
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    bool flag = true;
    uint64_t value = 1;

    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vcpu_create(&vcpu, &exit, NULL));
    CHECK_OK(hv_vcpu_get_pending_interrupt(vcpu, HV_INTERRUPT_TYPE_IRQ, &flag));
    CHECK(!flag);
    flag = true;
    CHECK_OK(hv_vcpu_get_pending_interrupt(vcpu, HV_INTERRUPT_TYPE_FIQ, &flag));
    CHECK(!flag);
    flag = true;
    CHECK_OK(hv_vcpu_get_trap_debug_exceptions(vcpu, &flag));
    CHECK(!flag);
    flag = true;
    CHECK_OK(hv_vcpu_get_trap_debug_reg_accesses(vcpu, &flag));
    CHECK(!flag);
    flag = true;
    CHECK_OK(hv_vcpu_get_vtimer_mask(vcpu, &flag));
    CHECK(!flag);
    CHECK_OK(hv_vcpu_get_vtimer_offset(vcpu, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(hv_vcpu_get_sys_reg(vcpu, HV_SYS_REG_SCTLR_EL1, &value));
    CHECK(!(value & 1)); /* MMU off */
    CHECK_OK(hv_vcpu_destroy(vcpu));
    CHECK_OK(hv_vm_destroy());
}

static void x_registers_and_pc_hold_64_bits(void)
{
    struct guest g;

    GUEST_OPEN(&g, no_code);
    for (unsigned i = HV_REG_X0; i <= HV_REG_PC; i++)
        guest_set_reg(&g, (hv_reg_t)i, 0xfedcba9876543210ull + 4 * i);
    for (unsigned i = HV_REG_X0; i <= HV_REG_PC; i++)
        CHECK_EQ(guest_reg(&g, (hv_reg_t)i), 0xfedcba9876543210ull + 4 * i);
    guest_close(&g);
}

static void fpcr_and_fpsr_hold_32_bits(void)
{
    static const hv_reg_t regs[] = { HV_REG_FPCR, HV_REG_FPSR };
    struct guest g;

    GUEST_OPEN(&g, no_code);
    for (unsigned i = 0; i < 2; i++) {
        guest_set_reg(&g, regs[i], 0xdeadbeef);
        CHECK_EQ(guest_reg(&g, regs[i]), 0xdeadbeef);
    }
    guest_close(&g);
}

static void cpsr_holds_32_bits(void)
{
    struct guest g;

    if (check_skip_on_kvm("KVM takes only a PSTATE that its guest can have"))
        return;
    GUEST_OPEN(&g, no_code);
    guest_set_reg(&g, HV_REG_CPSR, 0xdeadbeef);
    CHECK_EQ(guest_reg(&g, HV_REG_CPSR), 0xdeadbeef);
    guest_close(&g);
}

static void q_registers_hold_128_bits(void)
{
    struct guest g;
    hv_simd_fp_uchar16_t value = { 0 }, got;

    GUEST_OPEN(&g, no_code);
    for (unsigned i = 0; i < 32; i++) {
        for (unsigned k = 0; k < 16; k++)
            value[k] = (uint8_t)(i * 16 + k);
        CHECK_OK(hv_vcpu_set_simd_fp_reg(g.vcpu, (hv_simd_fp_reg_t)i, value));
    }
    for (unsigned i = 0; i < 32; i++) {
        memset(&got, 0, sizeof got);
        CHECK_OK(hv_vcpu_get_simd_fp_reg(g.vcpu, (hv_simd_fp_reg_t)i, &got));
        for (unsigned k = 0; k < 16; k++)
            CHECK_EQ(got[k], (uint8_t)(i * 16 + k));
    }
    guest_close(&g);
}

static void q_register_bytes_are_in_guest_order(void)
{
    static const uint32_t code[] = {
        0x9e660000, /* fmov x0, d0 */
        0x9eae0001, /* fmov x1, v0.d[1] */
        A64_BRK(0),
    };
    struct guest g;
    hv_simd_fp_uchar16_t value = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };

    GUEST_OPEN(&g, code);
    CHECK_OK(hv_vcpu_set_simd_fp_reg(g.vcpu, HV_SIMD_FP_REG_Q0, value));
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0x0807060504030201ull);
    CHECK_EQ(guest_reg(&g, HV_REG_X1), 0x100f0e0d0c0b0a09ull);
    guest_close(&g);
}

static void bad_register_numbers_are_refused(void)
{
    struct guest g;
    uint64_t value;
    hv_simd_fp_uchar16_t q = { 0 };
    bool flag;

    GUEST_OPEN(&g, no_code);
    CHECK_EQ(hv_vcpu_get_reg(g.vcpu, (hv_reg_t)35, &value), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_set_reg(g.vcpu, (hv_reg_t)35, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_simd_fp_reg(g.vcpu, (hv_simd_fp_reg_t)32, &q), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_set_simd_fp_reg(g.vcpu, (hv_simd_fp_reg_t)32, q), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_sys_reg(g.vcpu, (hv_sys_reg_t)0xdf00, &value), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_set_sys_reg(g.vcpu, (hv_sys_reg_t)0xffff, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_pending_interrupt(g.vcpu, (hv_interrupt_type_t)2, &flag), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_set_pending_interrupt(g.vcpu, (hv_interrupt_type_t)2, true), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_vtimer_mask(g.vcpu, NULL), HV_BAD_ARGUMENT);
    guest_close(&g);
}

/* Every register that needs neither EL2 nor a GIC. */
static const uint16_t plain_regs[] = {
    0x8010, 0x8012, 0xc000, 0xc005, 0xc020, 0xc021, 0xc028, 0xc029, 0xc030, 0xc031, 0xc038, 0xc039,
    0xc03a, 0xc080, 0xc082, 0xc100, 0xc101, 0xc102, 0xc108, 0xc109, 0xc10a, 0xc10b, 0xc110, 0xc111,
    0xc112, 0xc113, 0xc118, 0xc119, 0xc200, 0xc201, 0xc208, 0xc288, 0xc289, 0xc290, 0xc300, 0xc3a0,
    0xc510, 0xc518, 0xc600, 0xc681, 0xc684, 0xc708, 0xd000, 0xde82, 0xde83, 0xdf19, 0xdf1a, 0xe208,
};
/* The same, of macOS 15.2 (ACTLR_EL1: 15.0). */
static const uint16_t newer_regs[] = {
    HV_SYS_REG_ID_AA64ZFR0_EL1, HV_SYS_REG_ID_AA64SMFR0_EL1, HV_SYS_REG_ACTLR_EL1,
    HV_SYS_REG_SMPRI_EL1,       HV_SYS_REG_SMCR_EL1,         HV_SYS_REG_SCXTNUM_EL1,
    HV_SYS_REG_TPIDR2_EL0,      HV_SYS_REG_SCXTNUM_EL0,
};

/* Pointer authentication, SME, TPIDR2, SCXTNUM: a host's CPU may not have them. */
static bool may_be_absent(unsigned reg)
{
    return check_on_kvm() && ((reg >= 0xc108 && reg <= 0xc119) || reg == 0xc094 || reg == 0xc096 ||
                              reg == 0xc025 || reg == 0xc687 || reg == 0xde85 || reg == 0xde87);
}

static void check_reg(const struct guest *g, unsigned reg)
{
    uint64_t value = 0;

    if (may_be_absent(reg) &&
        hv_vcpu_get_sys_reg(g->vcpu, (hv_sys_reg_t)reg, &value) == HV_UNSUPPORTED)
        return;
    if (!CHECK_OK(hv_vcpu_get_sys_reg(g->vcpu, (hv_sys_reg_t)reg, &value)) ||
        !CHECK_OK(hv_vcpu_set_sys_reg(g->vcpu, (hv_sys_reg_t)reg, value)))
        CHECK_EQ(reg, 0); /* shows which */
}

static void every_plain_system_register_can_be_read_and_written_back(void)
{
    struct guest g;

    GUEST_OPEN(&g, no_code);
    for (unsigned i = 0; i < sizeof plain_regs / sizeof plain_regs[0]; i++)
        check_reg(&g, plain_regs[i]);
    for (unsigned n = 0; n < 16; n++)
        for (unsigned op2 = 4; op2 < 8; op2++)
            check_reg(&g, 0x8000 | n << 3 | op2);
    guest_close(&g);
}

static void every_newer_system_register_can_be_read_and_written_back(void)
{
    struct guest g;

    GUEST_OPEN(&g, no_code);
    for (unsigned i = 0; i < sizeof newer_regs / sizeof newer_regs[0]; i++)
        check_reg(&g, newer_regs[i]);
    guest_close(&g);
}

static void registers_without_el2_or_gic_are_unsupported(void)
{
    static const hv_sys_reg_t regs[] = {
        HV_SYS_REG_CNTP_CTL_EL0,   HV_SYS_REG_CNTP_CVAL_EL0, HV_SYS_REG_CNTP_TVAL_EL0,
        HV_SYS_REG_CNTHCTL_EL2,    HV_SYS_REG_CNTHP_CTL_EL2, HV_SYS_REG_CNTHP_CVAL_EL2,
        HV_SYS_REG_CNTHP_TVAL_EL2, HV_SYS_REG_CNTVOFF_EL2,   HV_SYS_REG_CPTR_EL2,
        HV_SYS_REG_ELR_EL2,        HV_SYS_REG_ESR_EL2,       HV_SYS_REG_FAR_EL2,
        HV_SYS_REG_HCR_EL2,        HV_SYS_REG_HPFAR_EL2,     HV_SYS_REG_MAIR_EL2,
        HV_SYS_REG_MDCR_EL2,       HV_SYS_REG_SCTLR_EL2,     HV_SYS_REG_SPSR_EL2,
        HV_SYS_REG_SP_EL2,         HV_SYS_REG_TCR_EL2,       HV_SYS_REG_TPIDR_EL2,
        HV_SYS_REG_TTBR0_EL2,      HV_SYS_REG_TTBR1_EL2,     HV_SYS_REG_VBAR_EL2,
        HV_SYS_REG_VMPIDR_EL2,     HV_SYS_REG_VPIDR_EL2,     HV_SYS_REG_VTCR_EL2,
        HV_SYS_REG_VTTBR_EL2,
    };
    struct guest g;
    uint64_t value;

    _Static_assert(sizeof regs / sizeof regs[0] == 28, "as a probe of macOS 15.5 counted");
    GUEST_OPEN(&g, no_code);
    for (unsigned i = 0; i < 28; i++) {
        CHECK_EQ(hv_vcpu_get_sys_reg(g.vcpu, regs[i], &value), HV_UNSUPPORTED);
        CHECK_EQ(hv_vcpu_set_sys_reg(g.vcpu, regs[i], 0), HV_UNSUPPORTED);
    }
    guest_close(&g);
}

static void guest_reads_the_identity_that_was_set(void)
{
    static const uint32_t code[] = {
        A64_MRS(0, A64_REG(3, 0, 0, 0, 0)), /* MIDR_EL1 */
        A64_MRS(1, A64_REG(3, 0, 0, 0, 5)), /* MPIDR_EL1 */
        A64_MRS(2, A64_REG(3, 0, 0, 4, 0)), /* ID_AA64PFR0_EL1 */
        A64_MRS(3, A64_REG(3, 0, 0, 7, 0)), /* ID_AA64MMFR0_EL1 */
        A64_BRK(0),
    };
    struct guest g;

    if (check_skip_on_kvm("KVM shows a guest the host's identification registers"))
        return;
    GUEST_OPEN(&g, code);
    guest_set_sys(&g, HV_SYS_REG_MIDR_EL1, 0x414fd0c1);
    guest_set_sys(&g, HV_SYS_REG_MPIDR_EL1, 0x80010100);
    guest_set_sys(&g, HV_SYS_REG_ID_AA64PFR0_EL1, 0x0000000001000011ull);
    guest_set_sys(&g, HV_SYS_REG_ID_AA64MMFR0_EL1, 0x0000000000001122ull);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_X0), 0x414fd0c1);
    CHECK_EQ(guest_reg(&g, HV_REG_X1), 0x80010100);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0x0000000001000011ull);
    CHECK_EQ(guest_reg(&g, HV_REG_X3), 0x0000000000001122ull);
    guest_close(&g);
}

static void system_registers_pass_between_guest_and_host(void)
{
    static const uint32_t code[] = {
        A64_MRS(0, A64_REG(3, 3, 13, 0, 2)), /* TPIDR_EL0 */
        A64_ADD_IMM(0, 1),
        A64_MSR(A64_REG(3, 0, 13, 0, 4), 0), /* TPIDR_EL1 */
        A64_MSR(A64_REG(3, 0, 4, 1, 0), 0),  /* SP_EL0 */
        0x910003e2,                          /* mov x2, sp */
        A64_BRK(0),
    };
    struct guest g;

    GUEST_OPEN(&g, code);
    guest_set_sys(&g, HV_SYS_REG_TPIDR_EL0, 0x1122334455667788ull);
    guest_set_sys(&g, HV_SYS_REG_SP_EL1, 0x4000ab00ull);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_TPIDR_EL1), 0x1122334455667789ull);
    CHECK_EQ(guest_sys(&g, HV_SYS_REG_SP_EL0), 0x1122334455667789ull);
    CHECK_EQ(guest_reg(&g, HV_REG_X2), 0x4000ab00ull);
    guest_close(&g);
}

static void cpsr_shows_the_guests_flags(void)
{
    static const uint32_t code[] = {
        0xeb1f03ff, /* cmp xzr, xzr: Z and C */
        A64_BRK(0),
    };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK(guest_run_brk(&g, 0));
    CHECK_EQ(guest_reg(&g, HV_REG_CPSR), 0x60000000u | CPSR_EL1H_MASKED);
    guest_close(&g);
}

static void switches_round_trip(void)
{
    struct guest g;
    bool flag = false;
    uint64_t offset = 0;

    GUEST_OPEN(&g, no_code);
    CHECK_OK(hv_vcpu_get_trap_debug_exceptions(g.vcpu, &flag));
    CHECK(flag);
    CHECK_OK(hv_vcpu_set_vtimer_mask(g.vcpu, true));
    flag = false;
    CHECK_OK(hv_vcpu_get_vtimer_mask(g.vcpu, &flag));
    CHECK(flag);
    CHECK_OK(hv_vcpu_set_vtimer_offset(g.vcpu, 0xdeadbeefdeadbeefull));
    CHECK_OK(hv_vcpu_get_vtimer_offset(g.vcpu, &offset));
    CHECK_EQ(offset, 0xdeadbeefdeadbeefull);
    CHECK_OK(hv_vcpu_set_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, true));
    flag = false;
    CHECK_OK(hv_vcpu_get_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_IRQ, &flag));
    CHECK(flag);
    CHECK_OK(hv_vcpu_get_pending_interrupt(g.vcpu, HV_INTERRUPT_TYPE_FIQ, &flag));
    CHECK(!flag);
    guest_close(&g);
}

static void debug_register_switch_round_trips(void)
{
    struct guest g;
    bool flag = false;

    if (check_skip_on_kvm("KVM handles accesses to debug registers itself"))
        return;
    GUEST_OPEN(&g, no_code);
    CHECK_OK(hv_vcpu_set_trap_debug_reg_accesses(g.vcpu, true));
    CHECK_OK(hv_vcpu_get_trap_debug_reg_accesses(g.vcpu, &flag));
    CHECK(flag);
    guest_close(&g);
}

/* What our own provider answers, and a Mac does not: it crashes, or acts on the caller's vCPU. */
#if !(defined(__APPLE__) && defined(__arm64__))
static void null_outputs_are_refused(void)
{
    struct guest g;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    CHECK_EQ(hv_vm_get_max_vcpu_count(NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_allocate(NULL, 0x4000, HV_ALLOCATE_DEFAULT), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_config_get_ipa_size(NULL, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_config_get_max_ipa_size(NULL), HV_BAD_ARGUMENT);
    GUEST_OPEN(&g, no_code);
    CHECK_EQ(hv_vcpu_create(NULL, &exit, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_create(&vcpu, NULL, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_reg(g.vcpu, HV_REG_PC, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_sys_reg(g.vcpu, HV_SYS_REG_MIDR_EL1, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_simd_fp_reg(g.vcpu, HV_SIMD_FP_REG_Q0, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_exec_time(g.vcpu, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_get_vtimer_offset(g.vcpu, NULL), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpus_exit(NULL, 1), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_map(NULL, GUEST_MMIO, 0x4000, HV_MEMORY_READ), HV_BAD_ARGUMENT);
    guest_close(&g);
}

static void the_wrong_object_is_refused(void)
{
    hv_vm_config_t vm_config = hv_vm_config_create();
    hv_vcpu_config_t vcpu_config = hv_vcpu_config_create();
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    uint32_t bits;

    CHECK_EQ(hv_vm_create((hv_vm_config_t)(void *)vcpu_config), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_config_get_ipa_size((hv_vm_config_t)(void *)vcpu_config, &bits),
             HV_BAD_ARGUMENT);
    CHECK_OK(hv_vm_create(vm_config));
    CHECK_EQ(hv_vcpu_create(&vcpu, &exit, (hv_vcpu_config_t)(void *)vm_config), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_gic_create((hv_gic_config_t)(void *)vm_config), HV_BAD_ARGUMENT);
    CHECK_OK(hv_vm_destroy());
    os_release(vm_config);
    os_release(vcpu_config);
}

static void *use_from_thread(void *arg)
{
    struct guest *g = arg;
    uint64_t value;

    CHECK_EQ(hv_vcpu_get_reg(g->vcpu, HV_REG_PC, &value), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_set_reg(g->vcpu, HV_REG_PC, 0), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_run(g->vcpu), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_set_vtimer_mask(g->vcpu, true), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vcpu_destroy(g->vcpu), HV_BAD_ARGUMENT);
    return NULL;
}

static void a_vcpu_refuses_other_threads(void)
{
    struct guest g;
    pthread_t thread;

    GUEST_OPEN(&g, no_code);
    pthread_create(&thread, NULL, use_from_thread, &g);
    pthread_join(thread, NULL);
    CHECK(guest_run_brk(&g, 0));
    guest_close(&g);
}
#endif

static bool engine_translates(void)
{
    return strcmp(hvx_engine(), "jit") == 0 || strcmp(hvx_engine(), "check") == 0;
}

static void stolen_time_begins_at_zero(void)
{
    struct guest g;
    uint64_t place[2] = { 1, 1 };

    GUEST_OPEN(&g, no_code);
    hv_return_t result = hvx_vcpu_publish_stolen_time(g.vcpu, place);
    if (result == HV_UNSUPPORTED) {
        check_skip("the host does not tell, or not this engine");
        CHECK_EQ(place[0], 1);
    } else {
        CHECK_OK(result);
        CHECK_EQ(place[0], 0);
        CHECK_EQ(place[1], 1);
        CHECK_EQ(hvx_vcpu_publish_stolen_time(g.vcpu, NULL), HV_BAD_ARGUMENT);
        CHECK_EQ(hvx_vcpu_publish_stolen_time(g.vcpu, (uint64_t *)((char *)place + 4)),
                 HV_BAD_ARGUMENT);
        CHECK_OK(hvx_vcpu_publish_stolen_time(g.vcpu, &place[1]));
        CHECK_EQ(place[1], 0);
        CHECK(guest_run_brk(&g, 0));
    }
    guest_close(&g);
}

static void statistics_count(void)
{
    struct guest g;
    struct hvx_vcpu_stats stats;

    GUEST_OPEN(&g, no_code);
    CHECK(guest_run_brk(&g, 0));

    hv_return_t result = hvx_vcpu_get_stats(g.vcpu, &stats);

    if (result == HV_UNSUPPORTED || stats.kept == 0)
        check_skip("this engine keeps none");
    else
        CHECK(result == HV_SUCCESS && stats.exits == 1 && (stats.kept & HVX_STATS_EVENTS));
    if (engine_translates()) {
        CHECK(stats.kept & HVX_STATS_TRANSLATION);
        CHECK(stats.translation.blocks >= 1);
        CHECK(stats.translation.instructions >= 1);
        CHECK(stats.translation.hot_bytes > 0 && stats.translation.cache_used > 0 &&
              stats.translation.cache_used <= stats.translation.cache_size);
        CHECK_EQ(stats.translation.resets, 0);
    } else {
        CHECK(!(stats.kept & HVX_STATS_TRANSLATION));
        CHECK_EQ(stats.translation.blocks, 0);
    }
    guest_close(&g);
}

/* Code is kept in a folder that is ours alone, by engines that translate. */
static void translations_are_kept(void)
{
    char path[] = "/tmp/ireko-kept-XXXXXX";
    bool translates = engine_translates(), made = mkdtemp(path) != NULL;
    struct hvx_vcpu_stats stats;
    struct guest g;

    CHECK(made);
    if (!made)
        return;
    int fd = open(path, O_RDONLY | O_DIRECTORY);
    CHECK_EQ(hvx_set_code_folder(-1, false), HV_BAD_ARGUMENT);
    CHECK_EQ(fchmod(fd, 0750), 0);
    CHECK_EQ(hvx_set_code_folder(fd, false), HV_DENIED);
    CHECK_EQ(fchmod(fd, 0700), 0);
    CHECK_EQ(hvx_set_code_folder(fd, false), translates ? HV_SUCCESS : HV_UNSUPPORTED);
    for (unsigned n = 0; n < 2; n++) {
        GUEST_OPEN(&g, no_code);
        CHECK(guest_run_brk(&g, 0));
        CHECK_OK(hvx_vcpu_get_stats(g.vcpu, &stats));
        CHECK_EQ(stats.translation.loaded, translates ? n : 0);
        CHECK_EQ(stats.translation.blocks, translates ? 1 - n : 0);
        guest_close(&g);
    }
    CHECK_OK(hvx_set_code_folder(0, false));
    close(fd);
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", path);
    CHECK_EQ(system(command), 0);
}

/* What is translated is written to a descriptor, by engines that translate. */
static void translations_are_traced(void)
{
    struct guest g;
    char text[512] = "";
    FILE *f = tmpfile();
    bool translates = engine_translates();

    CHECK(f != NULL);
    if (!f)
        return;
    CHECK_EQ(hvx_set_trace(-1), HV_BAD_ARGUMENT);
    CHECK_EQ(hvx_set_trace(fileno(f)), translates ? HV_SUCCESS : HV_UNSUPPORTED);
    GUEST_OPEN(&g, no_code);
    CHECK(guest_run_brk(&g, 0));
    guest_close(&g);
    CHECK_OK(hvx_set_trace(0));
    rewind(f);
    size_t n = fread(text, 1, sizeof text - 1, f);
    if (translates)
        CHECK(strncmp(text, "block 1 va ", 11) == 0 && strstr(text, " BRK\n") &&
              strstr(text, "  hot  "));
    else
        CHECK_EQ(n, 0);
    fclose(f);
}

/* The JIT counts when it is asked to. */
static void instructions_are_counted(void)
{
    static const uint32_t code[] = {
        A64_MOVZ(0, 3),
        0xf1000400u, /* subs x0, x0, #1 */
        0x54ffffe1u, /* b.ne to it */
        A64_BRK(0),
    };
    struct guest g;
    struct hvx_vcpu_stats stats;

    setenv("IREKO_JIT", "count", 1);
    GUEST_OPEN(&g, code);
    CHECK(guest_run_brk(&g, 0));
    unsetenv("IREKO_JIT");
    if (hvx_vcpu_get_stats(g.vcpu, &stats) == HV_UNSUPPORTED || stats.kept == 0)
        check_skip("this engine keeps none");
    else
        CHECK_EQ(stats.instructions, 7);
    guest_close(&g);
}

int main(void)
{
    RUN(handles_start_at_zero_and_are_reused);
    RUN(create_takes_a_config);
    RUN(a_thread_has_one_vcpu);
    RUN(destroyed_vcpu_is_gone);
    RUN(fresh_state);
    RUN(x_registers_and_pc_hold_64_bits);
    RUN(fpcr_and_fpsr_hold_32_bits);
    RUN(cpsr_holds_32_bits);
    RUN(q_registers_hold_128_bits);
    RUN(q_register_bytes_are_in_guest_order);
    RUN(bad_register_numbers_are_refused);
    RUN(every_plain_system_register_can_be_read_and_written_back);
    RUN_SINCE(15.2, every_newer_system_register_can_be_read_and_written_back);
    RUN_SINCE(15.0, registers_without_el2_or_gic_are_unsupported);
    RUN(guest_reads_the_identity_that_was_set);
    RUN(system_registers_pass_between_guest_and_host);
    RUN(cpsr_shows_the_guests_flags);
    RUN(switches_round_trip);
    RUN(debug_register_switch_round_trips);
#if !(defined(__APPLE__) && defined(__arm64__))
    RUN(null_outputs_are_refused);
    RUN(the_wrong_object_is_refused);
    RUN(a_vcpu_refuses_other_threads);
#endif
    RUN(stolen_time_begins_at_zero);
    RUN_CANCEL(statistics_count);
    RUN(translations_are_traced);
    RUN(translations_are_kept);
    RUN(instructions_are_counted);
    return check_finish();
}
