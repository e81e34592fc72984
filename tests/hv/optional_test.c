/*
 * What a provider may have or not: EL2 for the guest, SME, a use for the file behind memory. One
 * that has it does all of it; one that has not says HV_UNSUPPORTED at every door.
 */
#include "guest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const uint32_t no_code[] = { A64_BRK(0) };

/* --- EL2 --- */

static const uint16_t icc_regs[] = {
    HV_GIC_ICC_REG_PMR_EL1,   HV_GIC_ICC_REG_BPR0_EL1,    HV_GIC_ICC_REG_AP0R0_EL1,
    HV_GIC_ICC_REG_AP1R0_EL1, HV_GIC_ICC_REG_BPR1_EL1,    HV_GIC_ICC_REG_CTLR_EL1,
    HV_GIC_ICC_REG_SRE_EL1,   HV_GIC_ICC_REG_IGRPEN0_EL1, HV_GIC_ICC_REG_IGRPEN1_EL1,
    HV_GIC_ICC_REG_SRE_EL2,
};
static const uint16_t ich_regs[] = {
    HV_GIC_ICH_REG_AP0R0_EL2, HV_GIC_ICH_REG_AP1R0_EL2, HV_GIC_ICH_REG_HCR_EL2,
    HV_GIC_ICH_REG_VMCR_EL2,  HV_GIC_ICH_REG_LR0_EL2,   HV_GIC_ICH_REG_LR1_EL2,
    HV_GIC_ICH_REG_LR2_EL2,   HV_GIC_ICH_REG_LR3_EL2,   HV_GIC_ICH_REG_LR4_EL2,
    HV_GIC_ICH_REG_LR5_EL2,   HV_GIC_ICH_REG_LR6_EL2,   HV_GIC_ICH_REG_LR7_EL2,
};
static const uint16_t icv_regs[] = {
    HV_GIC_ICV_REG_PMR_EL1,   HV_GIC_ICV_REG_BPR0_EL1,    HV_GIC_ICV_REG_AP0R0_EL1,
    HV_GIC_ICV_REG_AP1R0_EL1, HV_GIC_ICV_REG_BPR1_EL1,    HV_GIC_ICV_REG_CTLR_EL1,
    HV_GIC_ICV_REG_SRE_EL1,   HV_GIC_ICV_REG_IGRPEN0_EL1, HV_GIC_ICV_REG_IGRPEN1_EL1,
};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static hv_return_t create_with_el2(void)
{
    hv_vm_config_t config = hv_vm_config_create();

    CHECK_OK(hv_vm_config_set_el2_enabled(config, true));

    hv_return_t result = hv_vm_create(config);

    os_release(config);
    return result;
}

/* Timers whose values move, and one whose number a macOS has wrong. */
static bool is_left_out(unsigned reg)
{
    return (reg >= HV_SYS_REG_CNTP_TVAL_EL0 && reg <= HV_SYS_REG_CNTP_CVAL_EL0) ||
           (reg >= HV_SYS_REG_CNTHP_TVAL_EL2 && reg <= HV_SYS_REG_CNTHP_CVAL_EL2) ||
           reg == HV_SYS_REG_MDCR_EL2;
}

/* Every register there is goes back as it was read. */
static void el2_vm_has_its_system_registers(void)
{
    bool supported = false;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    unsigned found = 0;

    CHECK_OK(hv_vm_config_get_el2_supported(&supported));
    hv_return_t result = create_with_el2();
    if (!supported) {
        CHECK_EQ(result, HV_UNSUPPORTED);
        return;
    }
    CHECK_OK(result);
    CHECK_OK(hv_vcpu_create(&vcpu, &exit, NULL));
    for (unsigned reg = 0x8000; reg <= 0xffff; reg++) {
        uint64_t value;

        if (is_left_out(reg) ||
            hv_vcpu_get_sys_reg(vcpu, (hv_sys_reg_t)reg, &value) == HV_BAD_ARGUMENT)
            continue;
        found++;
        CHECK_OK(hv_vcpu_get_sys_reg(vcpu, (hv_sys_reg_t)reg, &value));
        CHECK_OK(hv_vcpu_set_sys_reg(vcpu, (hv_sys_reg_t)reg, value));
    }
    CHECK(found >= 134); /* of macOS 15.0: 141 but for those */
    CHECK_OK(hv_vcpu_destroy(vcpu));
    CHECK_OK(hv_vm_destroy());
}

static void el2_vm_has_its_gic_registers(void)
{
    bool supported = false;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    uint64_t value;

    CHECK_OK(hv_vm_config_get_el2_supported(&supported));
    if (!supported) {
        check_skip("no EL2 for guests here");
        return;
    }
    CHECK_OK(create_with_el2());
    CHECK_OK(guest_create_gic());
    CHECK_OK(hv_vcpu_create(&vcpu, &exit, NULL));
    CHECK_OK(hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_MPIDR_EL1, 0x80000000u));
    for (unsigned i = 0; i < COUNT(icc_regs); i++) {
        CHECK_OK(hv_gic_get_icc_reg(vcpu, (hv_gic_icc_reg_t)icc_regs[i], &value));
        CHECK_OK(hv_gic_set_icc_reg(vcpu, (hv_gic_icc_reg_t)icc_regs[i], value));
    }
    for (unsigned i = 0; i < COUNT(ich_regs); i++) {
        CHECK_OK(hv_gic_get_ich_reg(vcpu, (hv_gic_ich_reg_t)ich_regs[i], &value));
        CHECK_OK(hv_gic_set_ich_reg(vcpu, (hv_gic_ich_reg_t)ich_regs[i], value));
    }
    for (unsigned i = 0; i < COUNT(icv_regs); i++) {
        CHECK_OK(hv_gic_get_icv_reg(vcpu, (hv_gic_icv_reg_t)icv_regs[i], &value));
        CHECK_OK(hv_gic_set_icv_reg(vcpu, (hv_gic_icv_reg_t)icv_regs[i], value));
    }
    CHECK_OK(hv_vcpu_destroy(vcpu));
    CHECK_OK(hv_vm_destroy());
}

/* --- SME --- */

static void sme_is_refused(struct guest *g)
{
    hv_vcpu_sme_state_t state = { true, true };
    hv_sme_zt0_uchar64_t zt0 = { 0 };
    uint8_t bytes[64] = { 0 };

    CHECK_EQ(hv_vcpu_get_sme_state(g->vcpu, &state), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_set_sme_state(g->vcpu, &state), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_get_sme_z_reg(g->vcpu, HV_SME_Z_REG_0, bytes, 64), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_set_sme_z_reg(g->vcpu, HV_SME_Z_REG_0, bytes, 64), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_get_sme_p_reg(g->vcpu, HV_SME_P_REG_0, bytes, 8), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_set_sme_p_reg(g->vcpu, HV_SME_P_REG_0, bytes, 8), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_get_sme_za_reg(g->vcpu, bytes, 64), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_set_sme_za_reg(g->vcpu, bytes, 64), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_get_sme_zt0_reg(g->vcpu, &zt0), HV_UNSUPPORTED);
    CHECK_EQ(hv_vcpu_set_sme_zt0_reg(g->vcpu, &zt0), HV_UNSUPPORTED);
}

static void fill(uint8_t *bytes, size_t size, unsigned seed)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(seed + i * 7);
}

static void sme_z_and_p_go_back(struct guest *g, size_t svl, uint8_t *in, uint8_t *out)
{
    for (unsigned i = 0; i < 32; i++) {
        fill(in, svl, i);
        CHECK_OK(hv_vcpu_set_sme_z_reg(g->vcpu, (hv_sme_z_reg_t)i, in, svl));
        CHECK_OK(hv_vcpu_get_sme_z_reg(g->vcpu, (hv_sme_z_reg_t)i, out, svl));
        CHECK(memcmp(in, out, svl) == 0);
    }
    for (unsigned i = 0; i < 16; i++) {
        fill(in, svl / 8, i);
        CHECK_OK(hv_vcpu_set_sme_p_reg(g->vcpu, (hv_sme_p_reg_t)i, in, svl / 8));
        CHECK_OK(hv_vcpu_get_sme_p_reg(g->vcpu, (hv_sme_p_reg_t)i, out, svl / 8));
        CHECK(memcmp(in, out, svl / 8) == 0);
    }
    CHECK(hv_vcpu_set_sme_z_reg(g->vcpu, HV_SME_Z_REG_0, in, svl / 2) != HV_SUCCESS);
    CHECK(hv_vcpu_get_sme_z_reg(g->vcpu, HV_SME_Z_REG_0, out, svl / 2) != HV_SUCCESS);
    CHECK(hv_vcpu_set_sme_p_reg(g->vcpu, HV_SME_P_REG_0, in, svl) != HV_SUCCESS);
    CHECK(hv_vcpu_get_sme_p_reg(g->vcpu, HV_SME_P_REG_0, out, svl) != HV_SUCCESS);
}

static void sme_za_and_zt0_go_back(struct guest *g, size_t svl, uint8_t *in, uint8_t *out)
{
    hv_sme_zt0_uchar64_t zt0, got;
    size_t size = svl * svl;

    fill(in, size, 1);
    CHECK_OK(hv_vcpu_set_sme_za_reg(g->vcpu, in, size));
    CHECK_OK(hv_vcpu_get_sme_za_reg(g->vcpu, out, size));
    CHECK(memcmp(in, out, size) == 0);
    CHECK(hv_vcpu_set_sme_za_reg(g->vcpu, in, size - 1) != HV_SUCCESS);
    CHECK(hv_vcpu_get_sme_za_reg(g->vcpu, out, size - 1) != HV_SUCCESS);
    memcpy(&zt0, in, sizeof zt0);
    memset(&got, 0, sizeof got);
    CHECK_OK(hv_vcpu_set_sme_zt0_reg(g->vcpu, &zt0));
    CHECK_OK(hv_vcpu_get_sme_zt0_reg(g->vcpu, &got));
    CHECK(memcmp(&zt0, &got, sizeof zt0) == 0);
}

static void sme_registers_go_back_or_are_refused(void)
{
    hv_vcpu_sme_state_t state = { true, true }, got = { false, false };
    size_t svl = 0;
    struct guest g;

    GUEST_OPEN(&g, no_code);
    if (hv_sme_config_get_max_svl_bytes(&svl) == HV_UNSUPPORTED) {
        sme_is_refused(&g);
    } else {
        uint8_t *in = malloc(svl * svl), *out = malloc(svl * svl);

        CHECK_OK(hv_vcpu_set_sme_state(g.vcpu, &state));
        CHECK_OK(hv_vcpu_get_sme_state(g.vcpu, &got));
        CHECK(got.streaming_sve_mode_enabled && got.za_storage_enabled);
        sme_z_and_p_go_back(&g, svl, in, out);
        sme_za_and_zt0_go_back(&g, svl, in, out);
        free(in);
        free(out);
    }
    guest_close(&g);
}

/* --- memory of a file --- */

#define FILE_IPA  0x80000000ull
#define FILE_PAGE 0x4000u

struct touches {
    const uint8_t *last;
    unsigned count;
};

static void note_touch(void *ctx, void *addr, size_t size)
{
    struct touches *t = ctx;

    CHECK(size > 0);
    t->last = addr;
    t->count++;
}

/* Its size is a page more than what is mapped. */
static int make_file(void)
{
    FILE *f = tmpfile();

    CHECK(f != NULL);

    int fd = dup(fileno(f));

    fclose(f);
    CHECK_EQ(ftruncate(fd, 2 * FILE_PAGE), 0);
    return fd;
}

static void files_are_refused(const struct hvx_memory *file, void *p)
{
    hv_return_t r = hvx_vm_map_file(p, FILE_IPA, FILE_PAGE, HV_MEMORY_READ, file);

    CHECK_EQ(r, HV_UNSUPPORTED);
    CHECK_EQ(hvx_vm_touch_again(), HV_UNSUPPORTED);
}

/* The engine says so before a vCPU uses memory of a file, and again when it is asked to. */
static void files_are_touched(struct guest *g, struct hvx_memory *file, const uint8_t *p)
{
    struct touches touches = { 0 };

    file->ctx = &touches;
    CHECK_EQ(hvx_vm_map_file((void *)(uintptr_t)p, FILE_IPA, FILE_PAGE, HV_MEMORY_READ, NULL),
             HV_BAD_ARGUMENT);
    CHECK_OK(hvx_vm_map_file((void *)(uintptr_t)p, FILE_IPA, FILE_PAGE,
                             HV_MEMORY_READ | HV_MEMORY_WRITE, file));
    CHECK_EQ(hvx_vm_map_file((void *)(uintptr_t)p, FILE_IPA, FILE_PAGE, HV_MEMORY_READ, file),
             HV_EXISTS);
    CHECK_EQ(touches.count, 0);
    guest_set_reg(g, HV_REG_X0, FILE_IPA + 8);
    CHECK(guest_run_brk(g, 1));
    CHECK_EQ(guest_reg(g, HV_REG_X1), 0x1234);
    CHECK(touches.count > 0);
    CHECK(touches.last >= p && touches.last < p + FILE_PAGE);

    unsigned before = touches.count;

    CHECK_OK(hvx_vm_touch_again());
    guest_set_reg(g, HV_REG_PC, GUEST_CODE);
    CHECK(guest_run_brk(g, 1));
    CHECK(touches.count > before);
    CHECK_OK(hv_vm_unmap(FILE_IPA, FILE_PAGE));
}

static void memory_of_a_file_is_touched_or_refused(void)
{
    static const uint32_t code[] = { A64_LDR_X(1, 0), A64_BRK(1) };
    struct hvx_memory file = { .fd = make_file(), .offset = FILE_PAGE, .touch = note_touch };
    void *p = guest_memory(FILE_PAGE);
    struct guest g;

    CHECK(mmap(p, FILE_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, file.fd, FILE_PAGE) ==
          p);
    ((uint64_t *)p)[1] = 0x1234;
    guest_open_files(&g, code, sizeof code / sizeof code[0]);
    if (g.good)
        files_are_touched(&g, &file, p);
    else
        files_are_refused(&file, p);
    guest_close(&g);
    CHECK_OK(hv_vm_deallocate(p, FILE_PAGE));
    close(file.fd);
}

int main(void)
{
    RUN(memory_of_a_file_is_touched_or_refused);
    RUN_SINCE(15.0, el2_vm_has_its_system_registers);
    RUN_SINCE(15.0, el2_vm_has_its_gic_registers);
    RUN_SINCE(15.2, sme_registers_go_back_or_are_refused);
    return check_finish();
}
