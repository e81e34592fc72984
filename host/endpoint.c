/*
 * The kinds of serial endpoints, one row each in `kinds`.
 *
 * Standard input and output are shared with whoever started us, so they are never made
 * non-blocking; poll(2) comes before each read and each short write. Descriptors that are ours are
 * non-blocking.
 */
#include "host/endpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "host/unix.h"

struct endpoint_kind {
    const char *name;
    bool has_path;
    int (*open)(struct endpoint *p, struct err *e);
};

static int endpoint_open_stdio(struct endpoint *p, struct err *e)
{
    (void)e;
    p->in_fd = STDIN_FILENO;
    p->out_fd = STDOUT_FILENO;
    p->present = true;
    p->escape_active = isatty(STDIN_FILENO);
    return 0;
}

static int endpoint_open_file(struct endpoint *p, struct err *e)
{
    p->out_fd = open(p->path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (p->out_fd < 0)
        return err_set(e, -errno, "%s file:%s: cannot write to it: %s", p->option, p->path,
                       strerror(errno));
    p->present = true;
    p->close_fds = true;
    return 0;
}

/* The slave starts raw, so that nothing is echoed back to the guest before a program that opens it
 * has set it as it wants. */
static int endpoint_pty_set_raw(const char *name)
{
    int slave = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0)
        return -errno;
    struct termios t;
    int r = tcgetattr(slave, &t);
    if (r == 0) {
        t.c_iflag &= ~(tcflag_t)(BRKINT | ICRNL | INLCR | IGNCR | ISTRIP | IXON);
        t.c_oflag &= ~(tcflag_t)OPOST;
        t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
        r = tcsetattr(slave, TCSANOW, &t);
    }
    r = r < 0 ? -errno : 0;
    close(slave);
    return r;
}

static int endpoint_open_pty(struct endpoint *p, struct err *e)
{
    int fd = posix_openpt(O_RDWR | O_NOCTTY);
    if (fd < 0)
        return err_set(e, -errno, "%s pty: this system gives us no pseudo-terminal: %s", p->option,
                       strerror(errno));
    p->in_fd = p->out_fd = fd;
    p->close_fds = true;
    int r = grantpt(fd) < 0 || unlockpt(fd) < 0 ? -errno : 0;
    if (r == 0) {
        const char *name = ptsname(fd);
        snprintf(p->name, sizeof p->name, "%s", name ? name : "");
        r = endpoint_pty_set_raw(p->name);
    }
    if (r == 0 && (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0))
        r = -errno;
    if (r < 0)
        return err_set(e, r, "%s pty: cannot set the pseudo-terminal up: %s", p->option,
                       strerror(-r));
    return 0;
}

static int endpoint_open_unix(struct endpoint *p, struct err *e)
{
    int fd = unix_listen(p->path, 1);
    if (fd == -ENAMETOOLONG)
        return err_set(e, fd, "%s unix:%s: the path of a socket has at most %zu characters",
                       p->option, p->path, UNIX_PATH_MAX);
    if (fd == -EADDRINUSE)
        return err_set(e, fd,
                       "%s unix:%s: something is there already; remove it or choose another path",
                       p->option, p->path);
    if (fd < 0)
        return err_set(e, fd, "%s unix:%s: cannot make a socket there: %s", p->option, p->path,
                       strerror(-fd));
    p->listen_fd = fd;
    p->close_fds = true;
    return 0;
}

static const struct endpoint_kind kinds[] = {
    { .name = "stdio", .open = endpoint_open_stdio },
    { .name = "file", .has_path = true, .open = endpoint_open_file },
    { .name = "pty", .open = endpoint_open_pty },
    { .name = "unix", .has_path = true, .open = endpoint_open_unix },
};

int endpoint_open(struct endpoint *p, const char *option, const char *spec, struct err *e)
{
    *p = (struct endpoint){ .in_fd = -1, .out_fd = -1, .listen_fd = -1 };
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const struct endpoint_kind *kind = &kinds[i];
        size_t n = strlen(kind->name);
        if (strncmp(spec, kind->name, n) != 0 || (spec[n] != '\0' && spec[n] != ':'))
            continue;
        if (!kind->has_path && spec[n] == ':')
            return err_set(e, -EINVAL, "%s %s: write it without ':'", option, kind->name);
        if (kind->has_path && (spec[n] == '\0' || spec[n + 1] == '\0'))
            return err_set(e, -EINVAL, "%s %s: write it with a path, as in %s:PATH", option, spec,
                           kind->name);
        p->kind = kind;
        p->option = option;
        p->path = kind->has_path ? spec + n + 1 : NULL;
        int r = kind->open(p, e);
        if (r < 0)
            endpoint_close(p);
        return r;
    }
    return err_set(e, -EINVAL, "%s %s: it is one of stdio, file:PATH, pty, unix:PATH or none",
                   option, spec);
}

void endpoint_close(struct endpoint *p)
{
    if (p->close_fds) {
        if (p->out_fd >= 0)
            close(p->out_fd);
        if (p->in_fd >= 0 && p->in_fd != p->out_fd)
            close(p->in_fd);
        if (p->listen_fd >= 0) {
            close(p->listen_fd);
            unlink(p->path);
        }
    }
    p->in_fd = p->out_fd = p->listen_fd = -1;
    fifo_fini(&p->out);
}

bool endpoint_can_return(const struct endpoint *p)
{
    return p->listen_fd >= 0 || p->name[0] != '\0';
}

/* A pty's master reports POLLHUP, without end, while nobody has the slave open; nothing tells when
 * somebody opens it. */
bool endpoint_check(struct endpoint *p)
{
    if (p->name[0] == '\0' || p->out_fd < 0)
        return false;
    struct pollfd fd = { .fd = p->out_fd };
    p->present = !(poll(&fd, 1, 0) > 0 && (fd.revents & POLLHUP));
    p->in_fd = p->present ? p->out_fd : -1;
    return !p->present;
}

void endpoint_accept(struct endpoint *p)
{
    int fd = unix_accept(p->listen_fd);
    if (fd < 0)
        return;
    p->in_fd = p->out_fd = fd;
    p->present = true;
}

void endpoint_hang_up(struct endpoint *p)
{
    if (p->name[0] != '\0') {
        p->in_fd = -1;
        p->present = false;
        return;
    }
    if (p->close_fds && p->out_fd >= 0)
        close(p->out_fd);
    p->in_fd = p->out_fd = -1;
    p->present = false;
}

long endpoint_read(struct endpoint *p, uint8_t *bytes, size_t n)
{
    ssize_t got = read(p->in_fd, bytes, n);
    if (got > 0)
        return got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return -1;
}

long endpoint_write(struct endpoint *p, const uint8_t *bytes, size_t n)
{
    ssize_t put = write(p->out_fd, bytes, n);
    if (put >= 0)
        return put;
    return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}
