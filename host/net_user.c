/*
 * The user-mode network: a program of its own, ireko-usernet (usernet/), at the other end of a
 * socket. It parses what the guest sends and what the Internet answers, so it has no rights but its
 * sockets; what it cannot open itself, the host's list of name servers, it gets from here.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#include "base/clock.h"
#include "host/net_backend.h"
#include "host/net_user.h"

#define USER_PATIENCE_MS 10000
#define USER_PATH_MAX    600
#define USER_HIGH_FD     16 /* above those that the child expects */

extern char **environ;

/* The folder of this program, with the '/'. */
static int own_folder(char *path, size_t size)
{
#ifdef __APPLE__
    uint32_t length = (uint32_t)size;
    if (_NSGetExecutablePath(path, &length) != 0)
        return -ENAMETOOLONG;
#else
    ssize_t n = readlink("/proc/self/exe", path, size - 1);
    if (n < 0)
        return -errno;
    path[n] = '\0';
#endif
    char *slash = strrchr(path, '/');
    if (!slash)
        return -ENOENT;
    slash[1] = '\0';
    return 0;
}

/* Where ireko-usernet is: beside this program, or where `meson install` puts it. */
static int find_program(char *path, size_t size)
{
    static const char *const places[] = { NET_USER_PROGRAM, "../libexec/ireko/" NET_USER_PROGRAM };
    char folder[512];
    int r = own_folder(folder, sizeof folder);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(places); i++) {
        snprintf(path, size, "%s%s", folder, places[i]);
        if (access(path, X_OK) == 0)
            return 0;
    }
    return r < 0 ? r : -ENOENT;
}

/* A pair of sockets that no child inherits by accident: ours, and the child's high enough that
 * moving it to its place disturbs no other. */
static int socket_pair(int pair[2])
{
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0)
        return -errno;
    int high = fcntl(pair[1], F_DUPFD_CLOEXEC, USER_HIGH_FD);
    int error = errno;
    close(pair[1]);
    pair[1] = high;
    fcntl(pair[0], F_SETFD, FD_CLOEXEC);
    if (high >= 0)
        return 0;
    close(pair[0]);
    return -error;
}

/* The program's data and control sockets become descriptors 3 and 4, the rest /dev/null. */
static int spawn(const char *path, const char *spec, int data, int control, pid_t *child)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, defaults;
    char *const argv[] = { (char *)(uintptr_t)path, (char *)(uintptr_t)spec, NULL };
    sigemptyset(&none);
    sigfillset(&defaults);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    int r = posix_spawnattr_setsigmask(&attributes, &none);
    if (r == 0)
        r = posix_spawnattr_setsigdefault(&attributes, &defaults);
    if (r == 0)
        r = posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    for (int fd = 0; r == 0 && fd < 3; fd++)
        r = posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, data, NET_USER_DATA_FD);
    if (r == 0)
        r = posix_spawn_file_actions_adddup2(&actions, control, NET_USER_CONTROL_FD);
    if (r == 0)
        r = posix_spawn(child, path, &actions, &attributes, argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return -r;
}

static int user_program(char *path, size_t size, struct err *e)
{
    int r = find_program(path, size);
    if (r < 0)
        return err_set(e, r,
                       "--net user: the program %s is not where ireko is; install it there, or "
                       "give --net none",
                       NET_USER_PROGRAM);
    return 0;
}

int net_user_check(struct err *e)
{
    char path[USER_PATH_MAX];
    return user_program(path, sizeof path, e);
}

int net_open_user(const struct net_spec *spec, struct net_backend *b, struct err *e)
{
    char path[USER_PATH_MAX];
    int data[2], control[2];
    const int size = NET_USER_SOCKET_BUFFER;
    int r = user_program(path, sizeof path, e);
    if (r < 0)
        return r;
    r = socket_pair(data);
    if (r < 0)
        return err_set(e, r, "--net user: no socket: %s", strerror(-r));
    b->fd = data[0];
    b->stream = true;
    fcntl(b->fd, F_SETFL, O_NONBLOCK);
    setsockopt(b->fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
#ifdef SO_NOSIGPIPE
    const int on = 1;
    setsockopt(b->fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    r = socket_pair(control);
    if (r == 0) {
        b->control = control[0];
        r = spawn(path, spec->text, data[1], control[1], &b->child);
        if (r < 0)
            b->child = 0;
        close(control[1]);
    }
    close(data[1]);
    if (r < 0)
        return err_set(e, r, "--net user: cannot start %s: %s", path, strerror(-r));
    return 0;
}

int net_user_ready(struct net_backend *b, struct err *e)
{
    char line[400];
    size_t n = 0;
    uint64_t deadline = clock_monotonic_ns() + USER_PATIENCE_MS * 1000000ull;
    while (n == 0 || line[n - 1] != '\n') {
        struct pollfd fd = { .fd = b->control, .events = POLLIN };
        uint64_t now = clock_monotonic_ns();
        int left = now < deadline ? (int)((deadline - now) / 1000000) : 0;
        int events = poll(&fd, 1, left);
        if (events < 0 && errno == EINTR)
            continue;
        ssize_t got = events > 0 && n < sizeof line ? read(b->control, line + n, 1) : 0;
        if (got <= 0)
            return err_set(e, -EIO, "--net user: the program %s %s", NET_USER_PROGRAM,
                           events == 0 ? "does not start" : "ended before it was ready");
        n += (size_t)got;
    }
    line[n - 1] = '\0';
    if (line[0] != '\0')
        return err_set(e, -EIO, "--net user: %s", line);
    b->working = true;
    return 0;
}

bool net_user_serve(const struct net_backend *b)
{
    char byte;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } extra = { 0 };
    ssize_t got = recv(b->control, &byte, 1, MSG_DONTWAIT);
    if (got < 0)
        return errno == EAGAIN || errno == EINTR;
    if (got == 0)
        return false;
    int fd = open("/etc/resolv.conf", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct iovec io = { &byte, 1 };
    struct msghdr message = { .msg_iov = &io, .msg_iovlen = 1 };
    if (fd >= 0) {
        message.msg_control = extra.bytes;
        message.msg_controllen = sizeof extra.bytes;
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        *c = (struct cmsghdr){ .cmsg_len = CMSG_LEN(sizeof fd),
                               .cmsg_level = SOL_SOCKET,
                               .cmsg_type = SCM_RIGHTS };
        memcpy(CMSG_DATA(c), &fd, sizeof fd);
    }
    /* One byte answers one byte, so the socket has room unless the program broke the rule. */
    ssize_t sent = sendmsg(b->control, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (fd >= 0)
        close(fd);
    return sent == 1;
}
