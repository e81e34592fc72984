/* Unix stream sockets by path: the little that they need besides the system calls. */
#include "host/unix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static int unix_address(const char *path, struct sockaddr_un *a)
{
    *a = (struct sockaddr_un){ .sun_family = AF_UNIX };
    if (strlen(path) > UNIX_PATH_MAX)
        return -ENAMETOOLONG;
    memcpy(a->sun_path, path, strlen(path) + 1);
    return 0;
}

static int unix_prepare(int fd)
{
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
#ifdef SO_NOSIGPIPE
    const int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return fd;
}

static int unix_socket(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    return fd < 0 ? -errno : unix_prepare(fd);
}

/* Is it the socket of a program that is gone? */
static bool unix_is_stale(const struct sockaddr_un *a)
{
    struct stat st;
    if (lstat(a->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return false;
    int fd = unix_socket();
    if (fd < 0)
        return false;
    bool refused = connect(fd, (const struct sockaddr *)a, sizeof *a) < 0 && errno == ECONNREFUSED;
    close(fd);
    return refused;
}

/* The address of `path`, and a socket for it. */
static int unix_open(const char *path, struct sockaddr_un *a)
{
    int r = unix_address(path, a);
    return r < 0 ? r : unix_socket();
}

int unix_listen(const char *path, int backlog)
{
    struct sockaddr_un a;
    int fd = unix_open(path, &a);
    if (fd < 0)
        return fd;
    if (unix_is_stale(&a))
        unlink(path);
    mode_t mask = umask(077); /* who can connect speaks to the guest */
    int r = bind(fd, (const struct sockaddr *)&a, sizeof a) < 0 ? -errno : 0;
    umask(mask);
    if (r == 0 && listen(fd, backlog) < 0) {
        r = -errno;
        unlink(path);
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

int unix_accept(int listen_fd)
{
    int fd = accept(listen_fd, NULL, NULL);
    return fd < 0 ? -errno : unix_prepare(fd);
}

int unix_connect(const char *path)
{
    struct sockaddr_un a;
    int fd = unix_open(path, &a);
    if (fd < 0)
        return fd;
    if (connect(fd, (const struct sockaddr *)&a, sizeof a) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}
