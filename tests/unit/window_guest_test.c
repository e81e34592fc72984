/*
 * A program that goes all over pages which lie in memory in another order than in its address
 * space, and over their ends, so that the JIT maps them in a row. Then its kernel exchanges two of
 * them, and it has to find each where it is now. Then the same of columns, at a stride that leaves
 * a page every few turns.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <Hypervisor/hvx.h>

#include "tests/hv/guest.h"

#define TABLES  (GUEST_RAM + 0x4000)
#define LEAVES  (GUEST_RAM + 0x8000)
#define KERNEL  (GUEST_RAM + 0x100)
#define PROGRAM 0x50000000ull /* its code, and then PAGES pages of data */
#define DATA    (PROGRAM + 0x1000)
#define PAGES   12u
#define SIZE    0x10000u /* of the file: a page for each, and more */
#define STEP    24u      /* bytes of a node */
#define NODES   ((PAGES * 4096 - 16) / STEP)
#define TURNS   5000u

static const uint32_t program[] = {
    0xf9400000, /* loop: ldr x0, [x0] */
    0xf8409003, /* ldur x3, [x0, #9] */
    0x8b010063, /* add x3, x3, x1 */
    0xf8009003, /* stur x3, [x0, #9] */
    0xf1000421, /* subs x1, x1, #1 */
    0x54ffff61, /* b.ne loop */
    0xd42000e0, /* brk #7 */
    0xaa0003e4, /* outer: mov x4, x0 */
    0x528004a5, /* mov w5, #37 */
    0xf9400083, /* inner: ldr x3, [x4] */
    0x8b010063, /* add x3, x3, x1 */
    0xf9000083, /* str x3, [x4] */
    0x91148084, /* add x4, x4, #1312 */
    0xf10004a5, /* subs x5, x5, #1 */
    0x54ffff61, /* b.ne inner */
    0x91002000, /* add x0, x0, #8 */
    0xf1000421, /* subs x1, x1, #1 */
    0x54fffec1, /* b.ne outer */
    0xd42000e0, /* brk #7 */
};

#define COLUMNS (PROGRAM + 7 * 4)
#define STRIDE  1312u
#define ROWS    37u
#define FIRST   4u /* so that some go over the end of a page */

static const uint32_t kernel[] = {
    0xd508871f, /* tlbi vmalle1 */
    0x14000003, /* b 1f */
    0xd5088722, /* pages: tlbi vae1, x2 */
    0xd5088723, /* tlbi vae1, x3 */
    0xd5033f9f, /* 1: dsb sy */
    0xd5033fdf, /* isb */
    0xd4200100, /* brk #8 */
};

static uint8_t *file;

/* Where in the file the `n`th page of the program's data is; the code is in page 0. */
static unsigned place[PAGES] = { 7, 3, 4, 15, 1, 2, 9, 14, 5, 11, 12, 6 };

static void write_leaves(struct guest *g)
{
    uint64_t *level2 = (uint64_t *)(void *)(g->ram + (TABLES - GUEST_RAM)) + 512;
    uint64_t *leaf = (uint64_t *)(void *)(g->ram + (LEAVES - GUEST_RAM));
    const uint64_t attributes = 1u << 11 | 1u << 10 | 3u << 8 | 1u << 6 | 3; /* nG, AF, EL0 */

    level2[PROGRAM >> 21 & 511] = LEAVES | 3;
    leaf[0] = PROGRAM | attributes;
    for (unsigned n = 0; n < PAGES; n++)
        leaf[1 + n] = (PROGRAM + place[n] * 4096) | attributes;
}

/* Copy the program's data out of the file, or into it. */
static void copy(uint8_t *data, bool out)
{
    for (unsigned n = 0; n < PAGES; n++)
        if (out)
            memcpy(data + n * 4096, file + place[n] * 4096, 4096);
        else
            memcpy(file + place[n] * 4096, data + n * 4096, 4096);
}

static uint64_t get(const uint8_t *p)
{
    uint64_t value;

    memcpy(&value, p, 8);
    return value;
}

/* A ring of nodes: a prime to go on by makes it one. */
static void make_ring(uint8_t *data)
{
    for (unsigned n = 0; n < NODES; n++) {
        uint64_t next = DATA + (n + 1009) % NODES * STEP;
        memcpy(data + n * STEP, &next, 8);
    }
    copy(data, false);
}

/* The program in C. */
static uint64_t run_model(uint8_t *data, uint64_t x0)
{
    for (uint64_t x1 = TURNS; x1; x1--) {
        x0 = get(data + (x0 - DATA));
        uint64_t sum = get(data + (x0 - DATA) + 9) + x1;
        memcpy(data + (x0 - DATA) + 9, &sum, 8);
    }
    return x0;
}

static void run_program(struct guest *g, uint64_t pc, uint64_t x0, uint64_t x1)
{
    guest_set_reg(g, HV_REG_CPSR, CPSR_EL0 | CPSR_DAIF);
    guest_set_reg(g, HV_REG_PC, pc);
    guest_set_reg(g, HV_REG_X0, x0);
    guest_set_reg(g, HV_REG_X1, x1);
    guest_run_brk(g, 7);
}

static void run_both(struct guest *g, uint8_t *data, uint8_t *got)
{
    uint64_t want = run_model(data, DATA);

    run_program(g, PROGRAM, DATA, TURNS);
    CHECK_EQ(guest_reg(g, HV_REG_X0), want);
    copy(got, true);
    CHECK(memcmp(got, data, PAGES * 4096) == 0);
}

static void run_columns(struct guest *g, uint8_t *data, uint8_t *got)
{
    for (unsigned x1 = STRIDE / 8; x1; x1--)
        for (unsigned row = 0; row < ROWS; row++) {
            uint8_t *p = data + FIRST + (STRIDE / 8 - x1) * 8 + row * STRIDE;
            uint64_t sum = get(p) + x1;
            memcpy(p, &sum, 8);
        }
    run_program(g, COLUMNS, DATA + FIRST, STRIDE / 8);
    copy(got, true);
    CHECK(memcmp(got, data, PAGES * 4096) == 0);
}

#define KERNEL_PAGES (KERNEL + 8)

static void exchange(struct guest *g, unsigned a, unsigned b, uint64_t how)
{
    unsigned n = place[a];

    place[a] = place[b];
    place[b] = n;
    write_leaves(g);
    guest_set_reg(g, HV_REG_CPSR, CPSR_EL1H_MASKED);
    guest_set_reg(g, HV_REG_PC, how);
    guest_set_reg(g, HV_REG_X2, (DATA >> 12) + a);
    guest_set_reg(g, HV_REG_X3, (DATA >> 12) + b);
    guest_run_brk(g, 8);
}

static uint64_t windows(struct guest *g)
{
    struct hvx_vcpu_stats stats;

    CHECK_OK(hvx_vcpu_get_stats(g->vcpu, &stats));
    return stats.windows;
}

static void exchange_all(struct guest *g, uint8_t *data, uint8_t *got,
                         void (*run)(struct guest *g, uint8_t *data, uint8_t *got))
{
    run(g, data, got);
    run(g, data, got);
    for (unsigned n = 0; n < 6; n++) {
        exchange(g, n, PAGES - 1 - n % 2, n % 2 ? KERNEL : KERNEL_PAGES);
        make_ring(data);
        run(g, data, got);
    }
}

static void pages_are_exchanged(void)
{
    static uint8_t data[PAGES * 4096], got[PAGES * 4096];
    char path[] = "/tmp/ireko-window-XXXXXX";
    const struct hvx_memory memory = { .fd = mkstemp(path) };
    struct guest g;

    CHECK(memory.fd >= 0 && unlink(path) == 0 && ftruncate(memory.fd, SIZE) == 0);
    file = mmap(guest_memory(SIZE), SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory.fd,
                0);
    CHECK_OK(hvx_set_engine(getenv("IREKO_ENGINE")));
    guest_open_files(&g, NULL, 0);
    CHECK_OK(hvx_vm_map_file(file, PROGRAM, SIZE, HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC,
                             &memory));
    memcpy(file, program, sizeof program);
    memcpy(g.ram + (KERNEL - GUEST_RAM), kernel, sizeof kernel);
    make_ring(data);
    guest_write_tables(g.ram + (TABLES - GUEST_RAM), TABLES);
    write_leaves(&g);
    guest_mmu_on(g.vcpu, TABLES);
    exchange_all(&g, data, got, run_both);
    exchange_all(&g, data, got, run_columns);
    const char *knobs = getenv("IREKO_JIT");
    if (knobs && strstr(knobs, "open") && strcmp(getenv("IREKO_ENGINE"), "jit") == 0)
        CHECK(windows(&g) > 6);
    CHECK_OK(hv_vm_unmap(PROGRAM, SIZE));
    guest_close(&g);
    CHECK_OK(hv_vm_deallocate(file, SIZE));
    close(memory.fd);
}

int main(void)
{
    RUN(pages_are_exchanged);
    return check_finish();
}
