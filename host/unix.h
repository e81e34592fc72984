/* Unix stream sockets by path. Descriptors are non-blocking and closed on exec. */
#ifndef HOST_UNIX_H
#define HOST_UNIX_H

#include <sys/un.h>

#include "base/compiler.h"

#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)0)->sun_path) - 1)

/* Listen at `path`, where only this user can connect. The socket of a program that is gone is
 * replaced. The descriptor, or negative errno: -EADDRINUSE when something is there. */
int unix_listen(const char *path, int backlog) MUST_CHECK;

/* Both return the descriptor or negative errno; neither waits. */
int unix_accept(int listen_fd) MUST_CHECK;
int unix_connect(const char *path) MUST_CHECK;

#endif
