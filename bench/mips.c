/*
 * Guest instructions per second of the engine, on four programs: a loop of arithmetic, recursive
 * calls, a walk through memory, and a mix of lists, text, matrices and checksums.
 *
 * usage: mips [ENGINE]
 *
 * Each program runs with the MMU on, for about a second of this thread's processor time, which is
 * what is divided by: a busy host does not make the engine look slower.
 */
#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernels.h"

#define RAM      0x40000000ull
#define RAM_SIZE 0x800000u
#define TABLE    (RAM + 0x100000) /* of translation */
#define STACK    (RAM + 0x200000)
#define DATA     (RAM + 0x400000)

struct kernel {
    const char *name;
    unsigned start;        /* in kernel_words */
    uint64_t instructions; /* of one iteration, as hvx_vcpu_get_stats() counts them */
};

static const struct kernel kernels[] = {
    { "arithmetic", KERNEL_ALU, 5 },
    { "calls", KERNEL_CALLS, 17755 },
    { "memory", KERNEL_MEMORY, 24580 },
    { "mix", KERNEL_MIX, 4974 },
};

struct machine {
    uint8_t *ram;
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;
};

static void check(hv_return_t r, const char *what)
{
    if (r == HV_SUCCESS)
        return;
    (void)fprintf(stderr, "mips: %s: 0x%x\n", what, (unsigned)r);
    exit(1);
}

static void set_sys(const struct machine *m, hv_sys_reg_t reg, uint64_t value)
{
    check(hv_vcpu_set_sys_reg(m->vcpu, reg, value), "hv_vcpu_set_sys_reg");
}

static void set_reg(const struct machine *m, hv_reg_t reg, uint64_t value)
{
    check(hv_vcpu_set_reg(m->vcpu, reg, value), "hv_vcpu_set_reg");
}

/* RAM at its own address, as one block of normal memory; EL1. */
static void machine_open(struct machine *m)
{
    const uint64_t block = RAM | 1u << 10 | 3u << 8 | 1;
    void *ram = NULL;

    check(hv_vm_create(NULL), "hv_vm_create");
    check(hv_vm_allocate(&ram, RAM_SIZE, HV_ALLOCATE_DEFAULT), "hv_vm_allocate");
    check(hv_vm_map(ram, RAM, RAM_SIZE, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC),
          "hv_vm_map");
    m->ram = ram;
    memcpy(m->ram, kernel_words, sizeof kernel_words);
    memcpy(m->ram + (TABLE - RAM) + 8 * (RAM >> 30), &block, sizeof block);
    check(hv_vcpu_create(&m->vcpu, &m->exit, NULL), "hv_vcpu_create");
    set_sys(m, HV_SYS_REG_MAIR_EL1, 0xff);
    set_sys(m, HV_SYS_REG_TTBR0_EL1, TABLE);
    /* T0SZ 25, write-back inner shareable tables, no TTBR1, 40-bit physical addresses. */
    set_sys(m, HV_SYS_REG_TCR_EL1, 25 | 1u << 8 | 1u << 10 | 3u << 12 | 1u << 23 | 2ull << 32);
    set_sys(m, HV_SYS_REG_SCTLR_EL1, 0x30d00800u | 1u << 12 | 1u << 2 | 1u);
}

static void machine_close(struct machine *m)
{
    check(hv_vcpu_destroy(m->vcpu), "hv_vcpu_destroy");
    check(hv_vm_unmap(RAM, RAM_SIZE), "hv_vm_unmap");
    check(hv_vm_destroy(), "hv_vm_destroy");
    check(hv_vm_deallocate(m->ram, RAM_SIZE), "hv_vm_deallocate");
}

static double thread_seconds(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Run to the HVC; seconds of processor time. */
static double run(struct machine *m, const struct kernel *k, uint64_t iterations)
{
    double start = thread_seconds();

    set_reg(m, HV_REG_X0, iterations);
    set_reg(m, HV_REG_X1, DATA);
    set_reg(m, HV_REG_PC, RAM + 4 * k->start);
    set_reg(m, HV_REG_CPSR, 0x3c5);
    set_sys(m, HV_SYS_REG_SP_EL1, STACK);
    check(hv_vcpu_run(m->vcpu), "hv_vcpu_run");
    if (m->exit->reason != HV_EXIT_REASON_EXCEPTION || m->exit->exception.syndrome >> 26 != 0x16) {
        (void)fprintf(stderr, "mips: %s: exit reason %u, syndrome 0x%llx\n", k->name,
                      (unsigned)m->exit->reason, (unsigned long long)m->exit->exception.syndrome);
        exit(1);
    }
    return thread_seconds() - start;
}

/* As many iterations as take about a second. */
static uint64_t calibrate(struct machine *m, const struct kernel *k)
{
    uint64_t iterations = 16;

    for (;; iterations *= 4) {
        double seconds = run(m, k, iterations);
        if (seconds > 0.05)
            return (uint64_t)((double)iterations / seconds) + 1;
    }
}

int main(int argc, char **argv)
{
    struct machine m;

    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        (void)fprintf(stderr, "usage: %s [ENGINE]\n", argv[0]);
        return 2;
    }
    if (argc == 2 && hvx_set_engine(argv[1]) != HV_SUCCESS) {
        (void)fprintf(stderr, "mips: no engine '%s' here\n", argv[1]);
        return 1;
    }
    machine_open(&m);
    (void)printf("engine %s, million guest instructions per second of processor time\n",
                 hvx_engine());
    for (unsigned n = 0; n < sizeof kernels / sizeof kernels[0]; n++) {
        const struct kernel *k = &kernels[n];
        uint64_t iterations = calibrate(&m, k);
        double seconds = run(&m, k, iterations);

        (void)printf("  %-12s %8.0f\n", k->name,
                     (double)(iterations * k->instructions) / seconds / 1e6);
    }
    machine_close(&m);
    return 0;
}
