/*
 * A guest that runs one loop, once on the interpreter and once on the engine under test, and what
 * is to be the same afterwards: registers, memory, and the syndrome of the exception it ends with.
 */
#ifndef TESTS_UNIT_LOOP_GUEST_H
#define TESTS_UNIT_LOOP_GUEST_H

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/hv/guest.h"

#define LOOP_TABLES (GUEST_RAM + 0x4000)

/* Behind a loop: flags are read, x2 leads to a device, whose data abort is the end. */
#define LOOP_END                                                                                   \
    0xd53b421c,     /* mrs x28, nzcv */                                                            \
        0xb9400046, /* ldr w6, [x2] */                                                             \
        0xd42000e0  /* brk #7 */

struct loop_result {
    hv_simd_fp_uchar16_t v[32];
    uint64_t x[29], pc, fpsr, syndrome;
    uint8_t ram[GUEST_RAM_SIZE];
};

/* Numbers of all sizes, few of them NaNs, in `bytes` of memory; the MMU; SIMD. */
static inline void loop_memory(struct guest *g, unsigned bytes)
{
    uint64_t state = GUEST_RANDOM;

    for (unsigned n = 0; n < bytes / 8; n++) {
        (void)guest_random(&state);
        memcpy(g->ram + (GUEST_DATA - GUEST_RAM) + 8 * n, &state, 8);
    }
    guest_write_tables(g->ram + (LOOP_TABLES - GUEST_RAM), LOOP_TABLES);
    guest_mmu_on(g->vcpu, LOOP_TABLES);
    guest_set_sys(g, HV_SYS_REG_CPACR_EL1, 3u << 20);
}

static inline void loop_vectors(struct guest *g)
{
    for (unsigned n = 0; n < 32; n++) {
        hv_simd_fp_uchar16_t value = { 0 };
        value[0] = (uint8_t)n;
        value[7] = 0x3f;
        value[15] = (uint8_t)(n * 3);
        CHECK_OK(
            hv_vcpu_set_simd_fp_reg(g->vcpu, (hv_simd_fp_reg_t)(HV_SIMD_FP_REG_Q0 + n), value));
    }
}

/* Run to the first exit, a data abort, and close the guest. */
static inline void loop_run(struct guest *g, struct loop_result *r)
{
    r->syndrome = guest_run_exception(g, EC_DABORT);
    for (unsigned n = 0; n < 32; n++)
        CHECK_OK(
            hv_vcpu_get_simd_fp_reg(g->vcpu, (hv_simd_fp_reg_t)(HV_SIMD_FP_REG_Q0 + n), &r->v[n]));
    for (unsigned n = 0; n < 29; n++)
        r->x[n] = guest_reg(g, HV_REG_X0 + n);
    r->pc = guest_reg(g, HV_REG_PC);
    r->fpsr = guest_reg(g, HV_REG_FPSR);
    memcpy(r->ram, g->ram, sizeof r->ram);
    guest_close(g);
}

static inline void loop_compare(const struct loop_result *want, const struct loop_result *got)
{
    for (unsigned n = 0; n < 32; n++)
        CHECK(memcmp(&want->v[n], &got->v[n], sizeof want->v[n]) == 0);
    for (unsigned n = 0; n < 29; n++)
        CHECK_EQ(got->x[n], want->x[n]);
    CHECK_EQ(got->pc, want->pc);
    CHECK_EQ(got->fpsr, want->fpsr);
    CHECK_EQ(got->syndrome, want->syndrome);
    CHECK(memcmp(want->ram, got->ram, sizeof want->ram) == 0);
}

static inline void *loop_stop(void *vcpu)
{
    usleep(20000);
    hv_vcpus_exit(vcpu, 1);
    return NULL;
}

/* Run code that never ends until it has been asked to for some time. */
static inline void loop_run_until_asked(struct guest *g)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, loop_stop, &g->vcpu), 0);
    guest_run(g, HV_EXIT_REASON_CANCELED);
    pthread_join(thread, NULL);
}

#endif
