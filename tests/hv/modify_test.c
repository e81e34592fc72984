/*
 * Code that changes itself and does not tell (no IC IVAU): nothing the architecture promises, but
 * what the JIT's safety nets see all the same.
 */
#include <stdlib.h>

#include "guest.h"

#define A64_BL(words)   (0x94000000u | ((words) & 0x3ffffffu))
#define A64_MOV_X(d, m) (0xaa0003e0u | (m) << 16 | (d))
#define A64_RETURN      0xd65f03c0u
#define FUNCTION        5 /* word */

/* Call a function, change it, call it again: X4 and X0 are what it returned. */
static void change_a_function(const char *knobs, uint64_t second)
{
    static const uint32_t code[] = {
        A64_BL(FUNCTION), A64_MOV_X(4, 0), A64_STR_W(2, 3), A64_BL(FUNCTION - 3),
        A64_BRK(1),       A64_MOVZ(0, 1),  A64_RETURN,
    };
    struct guest g;

    setenv("IREKO_JIT", knobs, 1);
    GUEST_OPEN(&g, code);
    guest_set_reg(&g, HV_REG_X2, A64_MOVZ(0, 2));
    guest_set_reg(&g, HV_REG_X3, GUEST_CODE + 4 * FUNCTION);
    CHECK(guest_run_brk(&g, 1));
    CHECK_EQ(guest_reg(&g, HV_REG_X4), 1);
    CHECK_EQ(guest_reg(&g, HV_REG_X0), second);
    guest_close(&g);
    unsetenv("IREKO_JIT");
}

/* What the test is worth: without a net the old code runs on. */
static void without_a_net_the_change_is_not_seen(void)
{
    change_a_function("strict", 1);
}

static void checksums_see_the_change(void)
{
    change_a_function("checksum", 2);
}

static void tracking_sees_the_change(void)
{
    change_a_function("track", 2);
}

int main(void)
{
    RUN(without_a_net_the_change_is_not_seen);
    RUN(checksums_see_the_change);
    RUN(tracking_sees_the_change);
    return check_finish();
}
