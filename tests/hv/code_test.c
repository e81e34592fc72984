/*
 * Four vCPUs execute the same functions, at eight virtual addresses each, while each changes one of
 * them and tells the others: cache maintenance, DSB, and then the number that the function returns
 * from now on, in a counter. Who has read the counter and executed ISB must not see the function
 * return less (DDI 0487 B2.2.5). Functions are called by an indirect branch, and by way of a direct
 * one from another page; and they return by way of a third page.
 *
 * A JIT whose vCPUs have one cache has to lead all of them away from old code, links between blocks
 * included, and may use the memory of no code that somebody is in.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define VCPUS   4
#define ALIASES 8
#define ROUNDS  8000

#define FUNCTION(n) (GUEST_CODE + 0x8000 + (n) * 0x1000)
#define BACK(n)     (GUEST_CODE + 0xc000 + (n) * 16)
#define THERE(n)    (BACK(n) + 8)
#define COUNTER(n)  (GUEST_DATA + 0x4000 + (n) * 64)

/* X20: THERE(0), X21: COUNTER(0), X22: rounds, X26: the vCPU's function, X27: its counter. X23
 * counts what was wrong, X25 is the number. */
static const uint32_t program[] = {
    0x91000739, /* loop: add x25, x25, #1 */
    0x52ba5001, /* mov w1, #0xd2800000: movz x0, #0 */
    0x2a191421, /* orr w1, w1, w25, lsl #5 */
    0x92400b22, /* and x2, x25, #7 */
    0x8b025742, /* add x2, x26, x2, lsl #21: at one address */
    0xb9000041, /* str w1, [x2] */
    0xd50b7b22, /* dc cvau, x2 */
    0xd5033b9f, /* dsb ish */
    0xd50b7522, /* ic ivau, x2 */
    0xd5033b9f, /* dsb ish */
    0xd5033fdf, /* isb */
    0xc89fff79, /* stlr x25, [x27] */
    0xd3431723, /* ubfx x3, x25, #3, #3 */
    0x8b035743, /* add x3, x26, x3, lsl #21: at another one */
    0xd63f0060, /* blr x3 */
    0xeb19001f, /* cmp x0, x25 */
    0x9a9706f7, /* cinc x23, x23, ne */
    0xd280001c, /* mov x28, #0 */
    0x8b1c1aa5, /* each: add x5, x21, x28, lsl #6 */
    0xc8dffca4, /* ldar x4, [x5] */
    0xd5033fdf, /* isb */
    0xca1c0327, /* eor x7, x25, x28 */
    0x924008e7, /* and x7, x7, #7 */
    0x8b1c1286, /* add x6, x20, x28, lsl #4 */
    0x8b0754c6, /* add x6, x6, x7, lsl #21 */
    0xd63f00c0, /* blr x6 */
    0xeb04001f, /* cmp x0, x4 */
    0x9a9726f7, /* cinc x23, x23, lo */
    0x9100079c, /* add x28, x28, #1 */
    0xf100139f, /* cmp x28, #4 */
    0x54fffe83, /* b.lo each */
    0xf10006d6, /* subs x22, x22, #1 */
    0x54fffc01, /* b.ne loop */
    A64_HVC(0),
};

struct member {
    unsigned which;
    hv_return_t result;
    uint64_t syndrome, wrong, number;
    uint64_t resets; /* of hvx_vcpu_get_stats() */
};

static void *run_member(void *arg)
{
    struct member *m = arg;
    const struct {
        hv_reg_t reg;
        uint64_t value;
    } start[] = {
        { HV_REG_X20, THERE(0) },
        { HV_REG_X21, COUNTER(0) },
        { HV_REG_X22, ROUNDS },
        { HV_REG_X26, FUNCTION(m->which) },
        { HV_REG_X27, COUNTER(m->which) },
        { HV_REG_PC, GUEST_CODE },
        { HV_REG_CPSR, CPSR_EL1H_MASKED },
    };
    hv_vcpu_t vcpu;
    hv_vcpu_exit_t *exit;

    m->result = hv_vcpu_create(&vcpu, &exit, NULL);
    if (m->result != HV_SUCCESS)
        return NULL;
    hv_vcpu_set_trap_debug_exceptions(vcpu, true);
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_VBAR_EL1, GUEST_VECTORS);
    hv_vcpu_set_sys_reg(vcpu, HV_SYS_REG_MPIDR_EL1, 0x80000000u | m->which);
    guest_mmu_on(vcpu, GUEST_DATA);
    for (unsigned n = 0; n < sizeof start / sizeof start[0]; n++)
        hv_vcpu_set_reg(vcpu, start[n].reg, start[n].value);
    do
        m->result = hv_vcpu_run(vcpu);
    while (m->result == HV_SUCCESS && exit->reason == HV_EXIT_REASON_CANCELED && check_cancels());
    m->syndrome = exit->exception.syndrome;
    hv_vcpu_get_reg(vcpu, HV_REG_X23, &m->wrong);
    hv_vcpu_get_reg(vcpu, HV_REG_X25, &m->number);
    struct hvx_vcpu_stats stats;
    if (hvx_vcpu_get_stats(vcpu, &stats) == HV_SUCCESS)
        m->resets = stats.translation.resets;
    hv_vcpu_destroy(vcpu);
    return NULL;
}

static void put(uint8_t *ram, uint64_t at, uint32_t word)
{
    memcpy(ram + (at - GUEST_RAM), &word, sizeof word);
}

static uint32_t branch(uint64_t from, uint64_t to)
{
    return A64_B((to - from) / 4);
}

/* How often was code memory full? */
static uint64_t change_code_of_all(void)
{
    uint8_t *ram = guest_memory(GUEST_RAM_SIZE);
    uint64_t *level2 = (uint64_t *)(void *)(ram + (GUEST_DATA - GUEST_RAM) + 0x1000);
    struct member m[VCPUS] = { 0 };
    uint64_t resets = 0;
    pthread_t thread[VCPUS];

    memcpy(ram, program, sizeof program);
    for (unsigned n = 0; n < 16; n++)
        put(ram, GUEST_VECTORS + 0x80 * n, A64_BRK(VECTOR_BRK(n)));
    for (unsigned n = 0; n < VCPUS; n++) {
        put(ram, FUNCTION(n), A64_MOVZ(0, 0));
        put(ram, FUNCTION(n) + 4, branch(FUNCTION(n) + 4, BACK(n)));
        put(ram, BACK(n), 0xd65f03c0 /* ret */);
        put(ram, THERE(n), branch(THERE(n), FUNCTION(n)));
    }
    guest_write_tables(ram + (GUEST_DATA - GUEST_RAM), GUEST_DATA);
    for (unsigned n = 1; n < ALIASES; n++)
        level2[n] = level2[0];
    CHECK_OK(hv_vm_create(NULL));
    CHECK_OK(hv_vm_map(ram, GUEST_RAM, GUEST_RAM_SIZE,
                       HV_MEMORY_READ | HV_MEMORY_WRITE | HV_MEMORY_EXEC));
    for (unsigned n = 0; n < VCPUS; n++) {
        m[n].which = n;
        pthread_create(&thread[n], NULL, run_member, &m[n]);
    }
    for (unsigned n = 0; n < VCPUS; n++)
        pthread_join(thread[n], NULL);
    for (unsigned n = 0; n < VCPUS; n++) {
        CHECK_OK(m[n].result);
        CHECK_EQ(SYNDROME_EC(m[n].syndrome), EC_HVC64);
        CHECK_EQ(m[n].wrong, 0);
        CHECK_EQ(m[n].number, ROUNDS);
        resets += m[n].resets;
    }
    CHECK_OK(hv_vm_destroy());
    hv_vm_deallocate(ram, GUEST_RAM_SIZE);
    return resets;
}

static void code_that_changes_is_new_for_all(void)
{
    (void)change_code_of_all();
}

/* With the JIT, code memory that is full again and again. */
static void and_so_it_is_where_memory_is_small(void)
{
    const char *engine = getenv("IREKO_ENGINE");

    if (!engine || strcmp(engine, "jit") != 0 || getenv("IREKO_JIT"))
        return;
    setenv("IREKO_JIT", "cache=1,warm=0", 1);
    CHECK(change_code_of_all() > 1);
    unsetenv("IREKO_JIT");
}

int main(void)
{
    RUN(code_that_changes_is_new_for_all);
    RUN(and_so_it_is_where_memory_is_small);
    return check_finish();
}
