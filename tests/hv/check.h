/*
 * The conformance suite's test harness: TAP on stdout, both values of a failed comparison, and a
 * deadline for every test, since a guest may hang. C library only, so that the suite runs on any
 * provider of the API; IREKO_ENGINE says on which of ireko's engines.
 */
#ifndef TESTS_HV_CHECK_H
#define TESTS_HV_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/* Begin a test with this name; end it and print its line. */
void check_start(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void check_end(void);

/* The test cannot run here, for this reason. Before check_end(). */
void check_skip(const char *reason);

/* Do runs end with CANCELED at random here (IREKO_APPLE)? A test that does not ask for it runs
 * again. */
bool check_cancels(void);

/* Is the engine Linux KVM? */
bool check_on_kvm(void);

/* Does the test ask for what Linux KVM cannot give, for this reason? True: it is skipped. */
bool check_skip_on_kvm(const char *reason);

/* Print the plan. Returns the program's exit status. */
int check_finish(void);

bool check_true(bool good, const char *text, const char *file, int line);
bool check_equal(uint64_t got, uint64_t want, const char *text, const char *file, int line);

#define CHECK(condition) check_true(condition, #condition, __FILE__, __LINE__)
#define CHECK_EQ(got, want)                                                                        \
    check_equal((uint64_t)(got), (uint64_t)(want), #got " == " #want, __FILE__, __LINE__)
#define CHECK_OK(call) CHECK_EQ(call, HV_SUCCESS)

/* A test that is a function: its name is the test's name. */
#define RUN(function)                                                                              \
    do {                                                                                           \
        check_start("%s", #function);                                                              \
        function();                                                                                \
        check_end();                                                                               \
    } while (0)

/* The same for one that waits for a cancel of its own. */
#define RUN_CANCEL(function)                                                                       \
    do {                                                                                           \
        check_start("%s", #function);                                                              \
        if (check_cancels())                                                                       \
            check_skip("cancels come at random here");                                             \
        else                                                                                       \
            function();                                                                            \
        check_end();                                                                               \
    } while (0)

/* The same for what this macOS brought; with an older one it is skipped. */
#define RUN_SINCE(version, function)                                                               \
    do {                                                                                           \
        check_start("%s", #function);                                                              \
        if (HVX_SINCE(version))                                                                    \
            function();                                                                            \
        else                                                                                       \
            check_skip("this came with macOS " #version);                                          \
        check_end();                                                                               \
    } while (0)

#endif
