/* The escape key, and raw mode with its restore, on a pseudo-terminal of the test's own. */
#include "host/term.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

struct escape_case {
    const char *typed[3]; /* in pieces, as read(2) may return them */
    const char *guest;    /* what the guest gets */
    unsigned keys;
};

static const struct escape_case escape_cases[] = {
    { { "" }, "", 0 },
    { { "ls -l\r" }, "ls -l\r", 0 },
    { { "\x03\x1a\x1b[A" }, "\x03\x1a\x1b[A", 0 },
    { { "\x01x" }, "", TERM_KEY_QUIT },
    { { "a\x01xb" }, "a", TERM_KEY_QUIT },
    { { "\x01", "x" }, "", TERM_KEY_QUIT },
    { { "a\x01", "", "hb" }, "ab", TERM_KEY_HELP },
    { { "\x01\x01" }, "\x01", 0 },
    { { "\x01", "\x01", "x" }, "\x01x", 0 },
    { { "\x01\x01\x01x" }, "\x01", TERM_KEY_QUIT },
    { { "a\x01sb" }, "ab", TERM_KEY_STATS },
    { { "\x01p\x01h" }, "", TERM_KEY_POWER | TERM_KEY_HELP },
    { { "a\x01qb" }, "ab", TERM_KEY_HELP },
};

static void test_escape(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(escape_cases); i++) {
        const struct escape_case *c = &escape_cases[i];
        struct term_escape escape = { 0 };
        uint8_t guest[64];
        size_t n = 0;
        unsigned keys = 0;
        for (size_t j = 0; j < ARRAY_LEN(c->typed) && c->typed[j]; j++) {
            size_t length = strlen(c->typed[j]);
            memcpy(guest + n, c->typed[j], length);
            n += term_escape_filter(&escape, guest + n, length, &keys);
        }
        assert_int_equal(n, strlen(c->guest));
        assert_memory_equal(guest, c->guest, n);
        assert_int_equal(keys, c->keys);
    }
}

/* Each way out of a process with a raw terminal. */
static void leave_return(void)
{
    term_restore();
    _exit(0);
}

static void leave_exit(void)
{
    exit(0);
}

static void leave_abort(void)
{
    abort();
}

static void leave_fault(void)
{
    raise(SIGSEGV);
}

static void leave_quit(void)
{
    kill(getpid(), SIGQUIT);
    pause();
}

static const struct leave_case {
    void (*leave)(void);
    int signum; /* that the process must still die of, or 0 */
} leave_cases[] = {
    { leave_return, 0 },      { leave_exit, 0 },       { leave_abort, SIGABRT },
    { leave_fault, SIGSEGV }, { leave_quit, SIGQUIT },
};

/* A master and, with it as controlling terminal, a child in raw mode that tells `ready`. */
static pid_t start_child(int master, void (*leave)(void), int ready, int go)
{
    pid_t child = fork();
    if (child != 0)
        return child;
    setsid();
    int slave = open(ptsname(master), O_RDWR);
    ioctl(slave, TIOCSCTTY, 0);
    /* A sanitizer's report of the deliberate crash is noise. */
    for (int i = 0; i < (int)ARRAY_LEN(leave_cases); i++) {
        if (leave_cases[i].signum)
            signal(leave_cases[i].signum, SIG_DFL);
    }
    if (term_raw(slave) != 0 || !term_is_raw())
        _exit(9);
    char byte = 0;
    if (write(ready, &byte, 1) != 1 || read(go, &byte, 1) != 1)
        _exit(9);
    leave();
    _exit(9);
}

static struct termios settings_of(int fd)
{
    struct termios t;
    memset(&t, 0, sizeof t);
    assert_int_equal(tcgetattr(fd, &t), 0);
    return t;
}

static void test_raw_is_undone(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(leave_cases); i++) {
        int master = posix_openpt(O_RDWR | O_NOCTTY), ready[2], go[2], status;
        assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
        int slave = open(ptsname(master), O_RDWR | O_NOCTTY); /* keeps the settings alive */
        assert_true(slave >= 0 && pipe(ready) == 0 && pipe(go) == 0);
        struct termios before = settings_of(slave);

        pid_t child = start_child(master, leave_cases[i].leave, ready[1], go[0]);
        char byte = 0;
        assert_int_equal(read(ready[0], &byte, 1), 1);
        struct termios raw = settings_of(slave);
        assert_int_equal(raw.c_lflag & (ECHO | ICANON | ISIG), 0);
        assert_int_equal(raw.c_oflag & OPOST, 0);
        assert_int_equal(write(go[1], &byte, 1), 1);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (leave_cases[i].signum) {
            assert_true(WIFSIGNALED(status));
            assert_int_equal(WTERMSIG(status), leave_cases[i].signum);
        } else {
            assert_true(WIFEXITED(status));
            assert_int_equal(WEXITSTATUS(status), 0);
        }
        struct termios after = settings_of(slave);
        assert_memory_equal(&before, &after, sizeof before);
        for (int j = 0; j < 2; j++) {
            close(ready[j]);
            close(go[j]);
        }
        close(slave);
        close(master);
    }
}

static void test_raw_needs_a_terminal(void **state)
{
    (void)state;
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_true(term_raw(fds[0]) < 0);
    assert_false(term_is_raw());
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_raw_needs_a_terminal),
        cmocka_unit_test(test_raw_is_undone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
