/*
 * The engine `check`: the interpreter and the JIT, compared block by block. With one instruction
 * translated wrongly on purpose (IREKO_JIT=wrong: RBIT changes X9) a run that meets it fails, and
 * the others do not.
 */
#include <stdlib.h>
#include <string.h>

#include "guest.h"

#define A64_RBIT(d, n) (0xdac00000u | (n) << 5 | (d))
#define A64_REV(d, n)  (0xdac00c00u | (n) << 5 | (d))

static void a_right_translation_passes(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 1), A64_RBIT(1, 0), A64_BRK(1) };
    struct guest g;

    GUEST_OPEN(&g, code);
    CHECK(guest_run_brk(&g, 1));
    CHECK_EQ(guest_reg(&g, HV_REG_X1), 1ull << 63);
    guest_close(&g);
}

static void what_is_not_wrong_passes(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 1), A64_REV(1, 0), A64_BRK(1) };
    struct guest g;

    setenv("IREKO_JIT", "wrong", 1);
    GUEST_OPEN(&g, code);
    CHECK(guest_run_brk(&g, 1));
    CHECK_EQ(guest_reg(&g, HV_REG_X1), 1ull << 56);
    guest_close(&g);
    unsetenv("IREKO_JIT");
}

static void a_wrong_translation_fails_the_run(void)
{
    static const uint32_t code[] = { A64_MOVZ(0, 1), A64_REV(2, 0), A64_RBIT(1, 0), A64_REV(3, 0),
                                     A64_BRK(1) };
    struct guest g;

    setenv("IREKO_JIT", "wrong", 1);
    GUEST_OPEN(&g, code);
    CHECK_EQ(hv_vcpu_run(g.vcpu), HV_ERROR);
    guest_close(&g);
    unsetenv("IREKO_JIT");
}

int main(void)
{
    const char *engine = getenv("IREKO_ENGINE");

    if (!engine || strcmp(engine, "check") != 0)
        return 1;
    RUN(a_right_translation_passes);
    RUN(what_is_not_wrong_passes);
    RUN(a_wrong_translation_fails_the_run);
    return check_finish();
}
