/* See check.h. */
#include "check.h"

#include <Hypervisor/Hypervisor.h>
#include <Hypervisor/hvx.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Seconds that a test may take, sanitizers included. */
#define DEADLINE 60

static struct {
    char name[128];
    const char *skip;
    unsigned count, failed;
    bool good;
} now;

static void on_deadline(int signal)
{
    static const char text[] = "Bail out! a test hangs\n";

    (void)signal;
    (void)!write(STDOUT_FILENO, text, sizeof text - 1);
    _exit(99);
}

/* IREKO_ENGINE, if it is set; a test may have asked for another since. */
static void choose_engine(void)
{
    const char *engine = getenv("IREKO_ENGINE");

    if (!engine || hvx_set_engine(engine) == HV_SUCCESS)
        return;
    printf("1..0 # SKIP there is no engine '%s' here\n", engine);
    exit(0);
}

void check_start(const char *fmt, ...)
{
    va_list args;

    choose_engine();
    va_start(args, fmt);
    vsnprintf(now.name, sizeof now.name, fmt, args);
    va_end(args);
    now.good = true;
    now.skip = NULL;
    signal(SIGALRM, on_deadline);
    alarm(DEADLINE);
}

void check_end(void)
{
    alarm(0);
    now.count++;
    if (!now.good)
        now.failed++;
    printf("%s %u - %s%s%s\n", now.good ? "ok" : "not ok", now.count, now.name,
           now.skip ? " # SKIP " : "", now.skip ? now.skip : "");
    fflush(stdout);
}

void check_skip(const char *reason)
{
    now.skip = reason;
}

bool check_cancels(void)
{
    const char *mode = getenv("IREKO_APPLE");

    return mode && strstr(mode, "cancel");
}

bool check_on_kvm(void)
{
    return strcmp(hvx_engine(), "kvm") == 0;
}

bool check_skip_on_kvm(const char *reason)
{
    if (!check_on_kvm())
        return false;
    check_skip(reason);
    return true;
}

int check_finish(void)
{
    printf("1..%u\n", now.count);
    return now.failed ? 1 : 0;
}

bool check_true(bool good, const char *text, const char *file, int line)
{
    if (!good) {
        printf("# %s:%d: %s: %s\n", file, line, now.name, text);
        now.good = false;
    }
    return good;
}

bool check_equal(uint64_t got, uint64_t want, const char *text, const char *file, int line)
{
    if (got == want)
        return true;
    printf("# %s:%d: %s: %s: 0x%" PRIx64 ", not 0x%" PRIx64 "\n", file, line, now.name, text, got,
           want);
    now.good = false;
    return false;
}
