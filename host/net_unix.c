/* Networks behind a Unix socket: passt, gvproxy, socket_vmnet and their like. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "host/net_backend.h"

#define NET_SOCKET_BUFFER (1 << 20) /* a datagram must fit, and some should */

static int unix_address(const char *path, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) >= sizeof a->sun_path)
        return -ENAMETOOLONG;
    memcpy(a->sun_path, path, strlen(path) + 1);
    return 0;
}

static void unix_prepare(int fd)
{
    const int size = NET_SOCKET_BUFFER;
    fcntl(fd, F_SETFL, O_NONBLOCK);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
#ifdef SO_NOSIGPIPE
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
}

int net_unix_connect(const struct net_spec *spec)
{
    struct sockaddr_un a;
    int r = unix_address(spec->path, &a);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, spec->datagram ? SOCK_DGRAM : SOCK_STREAM, 0);
    if (fd < 0)
        return -errno;
    unix_prepare(fd);
    if (connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
        r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

/* A peer of datagrams answers to an address, so the socket gets one next to its own. */
static int unix_bind(const struct net_spec *spec, struct net_backend *b)
{
    struct sockaddr_un a;
    snprintf(b->own, sizeof b->own, "%s.%ld", spec->path, (long)getpid());
    int r = unix_address(b->own, &a);
    if (r == 0) {
        unlink(b->own);
        r = bind(b->fd, (struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
    }
    if (r < 0)
        b->own[0] = '\0';
    return r;
}

int net_open_unix(const struct net_spec *spec, struct net_backend *b, struct err *e)
{
    int fd = net_unix_connect(spec);
    if (fd < 0)
        return err_set(e, fd,
                       "--net unix: cannot connect to '%s' (%s); start what serves it first, and "
                       "say type=dgram if it wants datagrams",
                       spec->path, strerror(-fd));
    b->fd = fd;
    b->stream = !spec->datagram;
    int r = spec->datagram ? unix_bind(spec, b) : 0;
    if (r < 0)
        return err_set(e, r, "--net unix: cannot make a socket next to '%s': %s", spec->path,
                       strerror(-r));
    return 0;
}

void net_backend_close(struct net_backend *b)
{
    if (b->fd >= 0)
        close(b->fd);
    if (b->control >= 0)
        close(b->control);
    if (b->child > 0) {
        kill(b->child, SIGKILL); /* its connections end with the guest in any case */
        while (waitpid(b->child, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    if (b->own[0])
        unlink(b->own);
}
