/* A vCPU of the software CPU with a little memory, its insides in reach: for tests of soft/. */
#ifndef TESTS_UNIT_SOFT_FIXTURE_H
#define TESTS_UNIT_SOFT_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "hv/backend.h"
#include "soft/vcpu.h"

#define RAM_BASE 0x40000000ull
#define RAM_SIZE (4u << 20)

struct fixture {
    struct hv_backend_vm *vm;
    struct hv_backend_vcpu *handle;
    struct soft_vcpu *v;
    struct cpu *c;
    hv_vcpu_exit_t exit;
    uint8_t *ram;
};

/* One vCPU more, with the same `exit`, as it is not run. hv_backend_soft.vcpu_destroy() is due. */
static inline struct soft_vcpu *fixture_add_vcpu(struct fixture *f, unsigned index)
{
    struct hv_backend_vcpu *handle;

    assert_int_equal(hv_backend_soft.vcpu_create(f->vm, index, &f->exit, &handle), 0);
    struct soft_vcpu *v = (struct soft_vcpu *)(void *)handle;
    soft_map_adopt(v);
    return v;
}

static inline void fixture_end_vcpu(struct soft_vcpu *v)
{
    hv_backend_soft.vcpu_destroy((struct hv_backend_vcpu *)(void *)v);
}

static int fixture_setup_as(void **state, const struct hv_vm_desc *desc)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->ram = aligned_alloc(65536, RAM_SIZE);
    assert_non_null(f->ram);
    memset(f->ram, 0, RAM_SIZE);
    assert_int_equal(hv_backend_soft.vm_create(desc, &f->vm), 0);
    assert_int_equal(hv_backend_soft.vm_map(f->vm, f->ram, RAM_BASE, RAM_SIZE,
                                            HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
                     0);
    f->v = fixture_add_vcpu(f, 0);
    f->handle = (struct hv_backend_vcpu *)(void *)f->v;
    f->c = &f->v->cpu;
    *state = f;
    return 0;
}

static inline int fixture_setup_cpu(void **state, const char *cpu)
{
    return fixture_setup_as(state, &(struct hv_vm_desc){ .ipa_bits = 40, .cpu = cpu });
}

static inline int fixture_setup(void **state)
{
    return fixture_setup_cpu(state, NULL);
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;

    hv_backend_soft.vcpu_destroy(f->handle);
    hv_backend_soft.vm_destroy(f->vm);
    free(f->ram);
    free(f);
    return 0;
}

/* Put code at `at` and run it from there until an exit; the exception syndrome. */
static inline uint64_t fixture_run(struct fixture *f, uint64_t at, const uint32_t *code,
                                   size_t count)
{
    memcpy(f->ram + (at - RAM_BASE), code, count * 4);
    code_invalidate_all(f->v);
    f->c->pc = at;
    f->v->trap_debug_exceptions = true;
    assert_int_equal(hv_backend_soft.vcpu_run(f->handle), 0);
    assert_int_equal(f->exit.reason, HV_EXIT_REASON_EXCEPTION);
    return f->exit.exception.syndrome;
}

#define RUN(f, at, ...)                                                                            \
    fixture_run(f, at, (const uint32_t[]){ __VA_ARGS__ }, sizeof((uint32_t[]){ __VA_ARGS__ }) / 4)

/* Words. */
#define A64_BRK(n)           (0xd4200000u | (uint32_t)(n) << 5)
#define A64_MRS(t, encoding) (0xd5200000u | (uint32_t)(encoding) << 5 | (t))
#define A64_MSR(encoding, t) (0xd5000000u | (uint32_t)(encoding) << 5 | (t))
#define A64_LDR(t, n)        (0xf9400000u | (n) << 5 | (t))
#define A64_STR(t, n)        (0xf9000000u | (n) << 5 | (t))
#define A64_TLBI_VMALLE1     0xd508871fu
#define A64_TLBI_VAE1(t)     (0xd5088720u | (t))
#define A64_TLBI_ASIDE1(t)   (0xd5088740u | (t))
#define A64_AT_S1E1R(t)      (0xd5087800u | (t))
#define A64_AT_S1E0W(t)      (0xd5087860u | (t))
#define A64_ERET             0xd69f03e0u
#define A64_SVC(n)           (0xd4000001u | (uint32_t)(n) << 5)
#define SYNDROME_EC(s)       ((unsigned)((s) >> 26 & 0x3f))

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)

#endif
