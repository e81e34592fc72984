/*
 * Raw mode that cannot outlive us, and the escape key.
 *
 * Raw mode is a property of the terminal, not of the process: whoever dies without undoing it
 * leaves the user with a shell that does not echo. So the original settings are kept where a signal
 * handler finds them, which is the one reason for the file-level state here. tcsetattr() is
 * async-signal-safe (POSIX.1-2017 2.4.3).
 *
 * A fatal signal gets back the action it had before (a sanitizer's, an engine's, or the default)
 * after the terminal is restored, and happens again. An engine that lives on SIGSEGV must therefore
 * install its handler after term_raw() and pass what is not its own on to ours.
 */
#include "host/term.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static const int fatal_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGQUIT, SIGSYS };

static struct {
    int fd;
    struct termios saved, raw;
    struct sigaction before[ARRAY_LEN(fatal_signals)];
    atomic_bool wanted; /* between term_raw() and term_restore() */
    atomic_bool active; /* raw right now: not while stopped */
} term;

/* In the background we leave the terminal alone: it is someone else's now, and the attempt would
 * stop us (SIGTTOU). A terminal that does not control us (-1) may always be set. */
static int term_apply(const struct termios *t, bool active)
{
    pid_t foreground = tcgetpgrp(term.fd);
    if (foreground != -1 && foreground != getpgrp())
        return 0;
    if (tcsetattr(term.fd, TCSANOW, t) < 0)
        return -errno;
    atomic_store(&term.active, active);
    return 0;
}

void term_restore(void)
{
    if (!atomic_exchange(&term.wanted, false))
        return;
    term_apply(&term.saved, false);
}

bool term_size(int fd, uint16_t *cols, uint16_t *rows)
{
    struct winsize w;
    if (ioctl(fd, TIOCGWINSZ, &w) < 0 || w.ws_col == 0 || w.ws_row == 0)
        return false;
    *cols = w.ws_col;
    *rows = w.ws_row;
    return true;
}

bool term_is_raw(void)
{
    return atomic_load(&term.active);
}

static void term_on_fatal(int signum)
{
    term_restore();
    for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++) {
        if (fatal_signals[i] == signum)
            sigaction(signum, &term.before[i], NULL);
    }
    /* Blocked until the handler returns; then it comes for good. (A fault would come again by
     * itself, a signal sent by kill(2) would not.) */
    raise(signum);
}

static void term_on_stop(int signum);

static void term_catch_stop(void)
{
    struct sigaction action = { .sa_handler = term_on_stop, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    sigaction(SIGTSTP, &action, NULL);
}

static void term_on_stop(int signum)
{
    int error = errno;
    if (atomic_load(&term.wanted))
        term_apply(&term.saved, false);
    struct sigaction stop = { .sa_handler = SIG_DFL };
    sigemptyset(&stop.sa_mask);
    sigaction(signum, &stop, NULL);
    /* It is blocked in its own handler; once it is not, the process stops here until SIGCONT. */
    sigset_t unblock, before;
    sigemptyset(&unblock);
    sigaddset(&unblock, signum);
    raise(signum);
    pthread_sigmask(SIG_UNBLOCK, &unblock, &before);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    term_catch_stop();
    errno = error;
}

static void term_on_continue(int signum)
{
    (void)signum;
    int error = errno;
    if (atomic_load(&term.wanted))
        term_apply(&term.raw, true);
    errno = error;
}

static void term_catch_signals(void)
{
    struct sigaction fatal = { .sa_handler = term_on_fatal };
    sigemptyset(&fatal.sa_mask);
    for (size_t i = 0; i < ARRAY_LEN(fatal_signals); i++)
        sigaction(fatal_signals[i], &fatal, &term.before[i]);

    struct sigaction resume = { .sa_handler = term_on_continue, .sa_flags = SA_RESTART };
    sigemptyset(&resume.sa_mask);
    sigaction(SIGCONT, &resume, NULL);
    term_catch_stop();
}

int term_raw(int fd)
{
    if (tcgetattr(fd, &term.saved) < 0)
        return -errno;
    term.fd = fd;
    term.raw = term.saved;
    /* Not cfmakeraw(): it is not POSIX. The guest's own terminal driver does the echoing, the
     * editing, the signals and the "\r\n". */
    term.raw.c_iflag &=
        ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    term.raw.c_oflag &= ~(tcflag_t)OPOST;
    term.raw.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    term.raw.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    term.raw.c_cflag |= CS8;
    term.raw.c_cc[VMIN] = 1;
    term.raw.c_cc[VTIME] = 0;

    if (atexit(term_restore) != 0)
        return -ENOMEM;
    term_catch_signals();
    atomic_store(&term.wanted, true);
    return term_apply(&term.raw, true);
}

static const struct {
    uint8_t byte;
    enum term_key key;
} escape_keys[] = {
    { 'x', TERM_KEY_QUIT },
    { 'p', TERM_KEY_POWER },
    { 's', TERM_KEY_STATS },
    { 'h', TERM_KEY_HELP },
};

const char *term_escape_help(void)
{
    return "Ctrl-A x       stop the virtual machine now\n"
           "Ctrl-A p       press its power key\n"
           "Ctrl-A s       what it has done so far\n"
           "Ctrl-A Ctrl-A  send one Ctrl-A to the guest\n"
           "Ctrl-A h       this help";
}

static enum term_key term_escape_key(uint8_t byte)
{
    for (size_t i = 0; i < ARRAY_LEN(escape_keys); i++) {
        if (escape_keys[i].byte == byte)
            return escape_keys[i].key;
    }
    return TERM_KEY_HELP;
}

size_t term_escape_filter(struct term_escape *t, uint8_t *bytes, size_t n, unsigned *keys)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (!t->armed && bytes[i] == TERM_ESCAPE) {
            t->armed = true;
            continue;
        }
        if (t->armed && bytes[i] != TERM_ESCAPE) {
            enum term_key key = term_escape_key(bytes[i]);
            t->armed = false;
            *keys |= key;
            if (key == TERM_KEY_QUIT)
                break;
            continue;
        }
        t->armed = false;
        bytes[kept++] = bytes[i];
    }
    return kept;
}
