/*
 * hv/ alone, on a back end of the test's own: which one is chosen, what becomes of its errors,
 * and that a failure leaves nothing behind. Unlike the rest of this folder it knows hv/'s inside.
 */
#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "hv/backend.h"

#define FAKE_VCPUS 3
#define NOT_MAPPED UINT64_MAX

/* What the fake does, and what was asked of it. */
static struct {
    const char *engines; /* those that probe() has, separated by spaces */
    int answer;          /* of every call that can fail */
    unsigned vms, vcpus, kicks;
    char used_engine[16];
    unsigned ipa_bits;
    hv_ipa_t mapped;
} fake;

static int fake_probe(const char *engine)
{
    return engine && strstr(fake.engines, engine) ? 0 : -ENOTSUP;
}

static unsigned fake_max_vcpus(void)
{
    return FAKE_VCPUS;
}

static void fake_ipa_bits(unsigned *standard, unsigned *maximum)
{
    *standard = 36;
    *maximum = 40;
}

static int fake_vm_create(const struct hv_vm_desc *desc, struct hv_backend_vm **vm)
{
    if (fake.answer)
        return fake.answer;
    snprintf(fake.used_engine, sizeof fake.used_engine, "%s", desc->engine);
    fake.ipa_bits = desc->ipa_bits;
    fake.vms++;
    *vm = (struct hv_backend_vm *)(void *)&fake;
    return 0;
}

static void fake_vm_destroy(struct hv_backend_vm *vm)
{
    (void)vm;
    fake.vms--;
}

static int fake_vm_map(struct hv_backend_vm *vm, void *host, hv_ipa_t ipa, size_t size,
                       hv_memory_flags_t flags)
{
    (void)vm, (void)host, (void)size, (void)flags;
    if (!fake.answer)
        fake.mapped = ipa;
    return fake.answer;
}

static int fake_vcpu_create(struct hv_backend_vm *vm, unsigned index, hv_vcpu_exit_t *exit,
                            struct hv_backend_vcpu **vcpu)
{
    (void)vm, (void)index, (void)exit;
    if (fake.answer)
        return fake.answer;
    fake.vcpus++;
    *vcpu = (struct hv_backend_vcpu *)(void *)&fake;
    return 0;
}

static void fake_vcpu_destroy(struct hv_backend_vcpu *vcpu)
{
    (void)vcpu;
    fake.vcpus--;
}

static int fake_vcpu_run(struct hv_backend_vcpu *vcpu)
{
    (void)vcpu;
    return fake.answer;
}

static void fake_vcpu_kick(struct hv_backend_vcpu *vcpu)
{
    (void)vcpu;
    fake.kicks++;
}

static int fake_get_sys_reg(struct hv_backend_vcpu *vcpu, hv_sys_reg_t reg, uint64_t *value)
{
    (void)vcpu;
    *value = (uint64_t)reg;
    return 0;
}

static const struct hv_backend fake_backend = {
    .name = "fake",
    .probe = fake_probe,
    .max_vcpus = fake_max_vcpus,
    .ipa_bits = fake_ipa_bits,
    .vm_create = fake_vm_create,
    .vm_destroy = fake_vm_destroy,
    .vm_map = fake_vm_map,
    .vcpu_create = fake_vcpu_create,
    .vcpu_destroy = fake_vcpu_destroy,
    .vcpu_run = fake_vcpu_run,
    .vcpu_kick = fake_vcpu_kick,
    .get_sys_reg = fake_get_sys_reg,
};

const struct hv_backend *const hv_backends[] = { &fake_backend, NULL };

static void fake_reset(const char *engines)
{
    memset(&fake, 0, sizeof fake);
    fake.engines = engines;
    CHECK(hvx_set_engine(NULL) == HV_SUCCESS || !*engines);
}

static void the_best_engine_is_the_default(void)
{
    static const struct {
        const char *has, *best;
    } rows[] = {
        { "interp", "interp" },
        { "interp jit", "jit" },
        { "interp jit kvm check", "kvm" },
        { "check interp", "interp" }, /* check is for those who ask */
    };

    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_reset(rows[i].has);
        CHECK(strcmp(hvx_engine(), rows[i].best) == 0);
        CHECK_EQ(hv_vm_create(NULL), HV_SUCCESS);
        CHECK(strcmp(fake.used_engine, rows[i].best) == 0);
        CHECK_EQ(hv_vm_destroy(), HV_SUCCESS);
    }
}

static void an_engine_can_be_asked_for(void)
{
    fake_reset("interp jit");
    CHECK_EQ(hvx_set_engine("interp"), HV_SUCCESS);
    CHECK_EQ(hvx_set_engine("kvm"), HV_UNSUPPORTED);
    CHECK_EQ(hvx_set_engine("steam"), HV_UNSUPPORTED);
    CHECK(strcmp(hvx_engine(), "interp") == 0); /* still */
    CHECK_EQ(hv_vm_create(NULL), HV_SUCCESS);
    CHECK_EQ(hvx_set_engine("jit"), HV_SUCCESS);
    CHECK(strcmp(hvx_engine(), "interp") == 0); /* the VM's; jit is for the next */
    CHECK_EQ(hv_vm_destroy(), HV_SUCCESS);
    CHECK(strcmp(hvx_engine(), "jit") == 0);
}

static void without_an_engine_nothing_works(void)
{
    uint32_t n;

    fake_reset("");
    CHECK_EQ(hv_vm_create(NULL), HV_UNSUPPORTED);
    CHECK_EQ(hv_vm_get_max_vcpu_count(&n), HV_UNSUPPORTED);
    CHECK_EQ(hv_vm_config_get_max_ipa_size(&n), HV_UNSUPPORTED);
    CHECK(strcmp(hvx_engine(), "none") == 0);
}

static void every_errno_has_its_result(void)
{
    static const struct {
        int err;
        hv_return_t result;
    } rows[] = {
        { 0, HV_SUCCESS },
        { -EINVAL, HV_BAD_ARGUMENT },
        { -EBUSY, HV_BUSY },
        { -ENOMEM, HV_NO_RESOURCES },
        { -ENOSPC, HV_NO_RESOURCES },
        { -ENODEV, HV_NO_DEVICE },
        { -ENOTSUP, HV_UNSUPPORTED },
        { -EPERM, HV_DENIED },
        { -EACCES, HV_DENIED },
        { -EEXIST, HV_EXISTS },
        { -ENOENT, HV_ERROR },
        { -EIO, HV_ERROR },
    };
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    fake_reset("interp");
    CHECK_EQ(hv_vm_create(NULL), HV_SUCCESS);
    CHECK_EQ(hv_vcpu_create(&vcpu, &exit, NULL), HV_SUCCESS);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake.answer = rows[i].err;
        CHECK_EQ(hv_vcpu_run(vcpu), rows[i].result);
    }
    CHECK_EQ(hv_vcpu_destroy(vcpu), HV_SUCCESS);
    CHECK_EQ(hv_vm_destroy(), HV_SUCCESS);
}

static void a_failed_create_leaves_nothing(void)
{
    hv_vcpu_t vcpu = 77;
    hv_vcpu_exit_t *exit = NULL;

    fake_reset("interp");
    fake.answer = -ENOMEM;
    CHECK_EQ(hv_vm_create(NULL), HV_NO_RESOURCES);
    CHECK_EQ(hv_vm_destroy(), HV_NO_DEVICE);
    fake.answer = 0;
    CHECK_EQ(hv_vm_create(NULL), HV_SUCCESS);
    fake.answer = -ENOMEM;
    CHECK_EQ(hv_vcpu_create(&vcpu, &exit, NULL), HV_NO_RESOURCES);
    CHECK_EQ(vcpu, 77); /* outputs are written on success only */
    CHECK(exit == NULL);
    fake.answer = 0;
    CHECK_EQ(hv_vcpu_create(&vcpu, &exit, NULL), HV_SUCCESS);
    CHECK_EQ(vcpu, 0);
    CHECK_EQ(hv_vm_destroy(), HV_BUSY);
    CHECK_EQ(hv_vcpu_destroy(vcpu), HV_SUCCESS);
    CHECK_EQ(hv_vm_destroy(), HV_SUCCESS);
    CHECK_EQ(fake.vms, 0);
    CHECK_EQ(fake.vcpus, 0);
}

static void bad_ranges_do_not_reach_the_back_end(void)
{
    static const struct {
        hv_ipa_t ipa;
        size_t size;
    } rows[] = {
        { 0x1000, 0x4000 },
        { 0x4000, 0x1000 },
        { 0x4000, 0 },
        { 1ull << 36, 0x4000 },
        { (1ull << 36) - 0x4000, 0x8000 },
        { -0x4000ull, 0x4000 },
        { 0x4000, -(size_t)0x4000 },
    };
    uint8_t *host = (uint8_t *)0x100000; /* never touched */

    fake_reset("interp");
    CHECK_EQ(hv_vm_map(host, 0x4000, 0x4000, 7), HV_NO_DEVICE);
    CHECK_EQ(hv_vm_create(NULL), HV_SUCCESS);
    CHECK_EQ(fake.ipa_bits, 36);
    fake.mapped = NOT_MAPPED;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK_EQ(hv_vm_map(host, rows[i].ipa, rows[i].size, 7), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_map(host, 0x4000, 0x4000, 8), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_map(host + 0x1000, 0x4000, 0x4000, 7), HV_BAD_ARGUMENT);
    CHECK_EQ(fake.mapped, NOT_MAPPED);
    CHECK_EQ(hv_vm_map(host, (1ull << 36) - 0x4000, 0x4000, 7), HV_SUCCESS);
    CHECK_EQ(fake.mapped, (1ull << 36) - 0x4000);
    CHECK_EQ(hv_vm_destroy(), HV_SUCCESS);
}

static void one_bad_handle_cancels_nobody(void)
{
    hv_vcpu_t vcpu, list[2];
    hv_vcpu_exit_t *exit;

    fake_reset("interp");
    CHECK_EQ(hv_vm_create(NULL), HV_SUCCESS);
    CHECK_EQ(hv_vcpu_create(&vcpu, &exit, NULL), HV_SUCCESS);
    list[0] = vcpu;
    list[1] = 1;
    CHECK_EQ(hv_vcpus_exit(list, 2), HV_BAD_ARGUMENT);
    CHECK_EQ(fake.kicks, 0);
    CHECK_EQ(hv_vcpus_exit(list, 1), HV_SUCCESS);
    CHECK_EQ(fake.kicks, 1);
    CHECK_EQ(hv_vcpu_destroy(vcpu), HV_SUCCESS);
    CHECK_EQ(hv_vcpus_exit(list, 1), HV_BAD_ARGUMENT);
    CHECK_EQ(hv_vm_destroy(), HV_SUCCESS);
}

static void system_registers_are_sorted_out(void)
{
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
    uint64_t value;
    unsigned known = 0, unsupported = 0;

    fake_reset("interp");
    CHECK_EQ(hv_vm_create(NULL), HV_SUCCESS);
    CHECK_EQ(hv_vcpu_create(&vcpu, &exit, NULL), HV_SUCCESS);
    for (unsigned reg = 0; reg <= 0xffff; reg++) {
        hv_return_t result = hv_vcpu_get_sys_reg(vcpu, (hv_sys_reg_t)reg, &value);

        known += result == HV_SUCCESS;
        unsupported += result == HV_UNSUPPORTED;
        CHECK(result != HV_SUCCESS || value == reg);
    }
    CHECK_EQ(known, 120);          /* as a VM of macOS 15.5 without EL2 and GIC, */
    CHECK_EQ(unsupported, 28 + 1); /* which has 28; and MDCR_EL2 under its older value */
    CHECK_EQ(hv_vcpu_destroy(vcpu), HV_SUCCESS);
    CHECK_EQ(hv_vm_destroy(), HV_SUCCESS);
}

int main(void)
{
    RUN(the_best_engine_is_the_default);
    RUN(an_engine_can_be_asked_for);
    RUN(without_an_engine_nothing_works);
    RUN(every_errno_has_its_result);
    RUN(a_failed_create_leaves_nothing);
    RUN(bad_ranges_do_not_reach_the_back_end);
    RUN(one_bad_handle_cancels_nobody);
    RUN(system_registers_are_sorted_out);
    return check_finish();
}
