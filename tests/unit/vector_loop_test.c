/*
 * SIMD and floating point in a loop, where the JIT keeps V registers in host registers from one
 * turn to the next: more of them than there is room for, results that take slow paths, accesses
 * that leave their page, and exits in the middle. All state has to be as the interpreter leaves it.
 */
#include "tests/unit/loop_guest.h"

static const uint32_t code[] = {
    0x3cc18400, /* loop: ldr q0, [x0], #24 */
    0x4ea08421, /* add v1.4s, v1.4s, v0.4s */
    0x1e632842, /* fadd d2, d2, d3 */
    0x6e20dc84, /* fmul v4.4s, v4.4s, v0.4s */
    0x6e211ca5, /* eor v5.16b, v5.16b, v1.16b */
    0x4ee584c6, /* add v6.2d, v6.2d, v5.2d */
    0x6e6684e7, /* sub v7.8h, v7.8h, v6.8h */
    0x1e602908, /* fadd d8, d8, d0 */
    0x4e278529, /* add v9.16b, v9.16b, v7.16b */
    0x3c818489, /* str q9, [x4], #24 */
    0xb4000481, /* cbz x1, out */
    0x2e29ad35, /* uminp v21.8b, v9.8b, v9.8b */
    0x6e351ed6, /* eor v22.16b, v22.16b, v21.16b */
    0x4e00012a, /* tbl v10.16b, { v9.16b }, v0.16b */
    0x4eaa856b, /* add v11.4s, v11.4s, v10.4s */
    0x4ea9875a, /* add v26.4s, v26.4s, v9.4s */
    0x5e282b1a, /* sha256su0 v26.4s, v24.4s */
    0x5e19631a, /* sha256su1 v26.4s, v24.4s, v25.4s */
    0x5e19331a, /* sha1su0 v26.4s, v24.4s, v25.4s */
    0x4e284b5c, /* aese v28.16b, v26.16b */
    0x4e286b9c, /* aesmc v28.16b, v28.16b */
    0xce1a639d, /* eor3 v29.16b, v28.16b, v26.16b, v24.16b */
    0x4eb81f17, /* mov v23.16b, v24.16b */
    0x6e3a1f7b, /* eor v27.16b, v27.16b, v26.16b */
    0x5e1a4338, /* sha256h q24, q25, v26.4s */
    0x5e1a52f9, /* sha256h2 q25, q23, v26.4s */
    0x4c40789e, /* ld1 { v30.4s }, [x4] */
    0x4eb81f17, /* mov v23.16b, v24.16b */
    0x5e1e4338, /* sha256h q24, q25, v30.4s */
    0x5e1e52f9, /* sha256h2 q25, q23, v30.4s */
    0x4eb9877b, /* add v27.4s, v27.4s, v25.4s */
    0x6e0c456c, /* mov v12.s[1], v11.s[2] */
    0x6e2c1dad, /* eor v13.16b, v13.16b, v12.16b */
    0x4ead85ce, /* add v14.4s, v14.4s, v13.4s */
    0x0e073dc5, /* umov w5, v14.b[3] */
    0x4e6e85ef, /* add v15.8h, v15.8h, v14.8h */
    0x4e0c05f0, /* dup v16.4s, v15.s[1] */
    0x4eb08631, /* add v17.4s, v17.4s, v16.4s */
    0x4e710e52, /* sqadd v18.8h, v18.8h, v17.8h */
    0xfd400013, /* ldr d19, [x0] */
    0x1e632040, /* fcmp d2, d3 */
    0x4eb28421, /* add v1.4s, v1.4s, v18.4s */
    0xd1000421, /* sub x1, x1, #1 */
    0xb5fffaa5, /* cbnz x5, loop */
    0x1e734a94, /* fmax d20, d20, d19 */
    0x17ffffd3, /* b loop */
    0xb9400046, /* out: ldr w6, [x2] */
    0xd42000e0, /* brk #7 */
};

/* Run to the first exit: the store that leaves RAM, or the load from a device. */
static void run(const char *engine, uint64_t store_at, uint64_t count, struct loop_result *r)
{
    struct guest g;

    CHECK_OK(hvx_set_engine(engine));
    GUEST_OPEN(&g, code);
    loop_memory(&g, 0x10000);
    loop_vectors(&g);
    guest_set_reg(&g, HV_REG_X0, GUEST_DATA + 4);
    guest_set_reg(&g, HV_REG_X1, count);
    guest_set_reg(&g, HV_REG_X2, GUEST_MMIO_HIGH);
    guest_set_reg(&g, HV_REG_X4, store_at);
    loop_run(&g, r);
}

static void compare(uint64_t store_at, uint64_t count)
{
    static struct loop_result want, got;

    run("interp", store_at, count, &want);
    run(getenv("IREKO_ENGINE"), store_at, count, &got);
    loop_compare(&want, &got);
}

static void to_the_end(void)
{
    compare(GUEST_STACK, 1);
    compare(GUEST_STACK, 600);
}

static void until_a_store_faults(void)
{
    compare(GUEST_RAM + GUEST_RAM_SIZE - 24 * 300, 600);
}

/* Between four rounds of SHA-256 and the next ones. */
static void until_a_load_faults(void)
{
    compare(GUEST_RAM + GUEST_RAM_SIZE - 24 * 300 - 16, 600);
}

int main(void)
{
    RUN(to_the_end);
    RUN(until_a_store_faults);
    RUN(until_a_load_faults);
    return check_finish();
}
