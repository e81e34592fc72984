/* macOS has no TAP; its own networks come through a helper's socket. */
#include <errno.h>

#include "host/net_backend.h"

int net_open_tap(const struct net_spec *spec, struct net_backend *b, struct err *e)
{
    (void)b;
    return err_set(e, -ENOTSUP,
                   "--net tap,name=%s: macOS has no TAP; use --net user, or --net unix with "
                   "socket_vmnet",
                   spec->name);
}

void net_tap_set_offload(int fd, unsigned offload)
{
    (void)fd;
    (void)offload;
}
