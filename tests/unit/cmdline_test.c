/* When console=ttyAMA0 is added, and where. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/compiler.h"
#include "vmm/cmdline.h"

static const struct {
    const char *user, *composed;
} cases[] = {
    { NULL, "console=ttyAMA0" },
    { "", "console=ttyAMA0" },
    { "quiet", "quiet console=ttyAMA0" },
    { "quiet ", "quiet console=ttyAMA0" },
    { "console=hvc0", "console=hvc0" },
    { "quiet console=hvc0 ro", "quiet console=hvc0 ro" },
    { "\"console=ttyS0\"", "\"console=ttyS0\"" },
    { "netconsole=1", "netconsole=1 console=ttyAMA0" },
    { "earlycon", "earlycon console=ttyAMA0" },
    { "a=\"x console=y\"", "a=\"x console=y\" console=ttyAMA0" },
    { "ro -- --console=1", "ro console=ttyAMA0 -- --console=1" },
    { "ro -- console=1", "ro console=ttyAMA0 -- console=1" },
    { "-- shell", "console=ttyAMA0 -- shell" },
    { "console=x -- shell", "console=x -- shell" },
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *s = cmdline_compose(cases[i].user);
        assert_non_null(s);
        assert_string_equal(s, cases[i].composed);
        free(s);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
