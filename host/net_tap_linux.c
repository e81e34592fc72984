/* A TAP interface of Linux (Documentation/networking/tuntap.rst), with virtio-net headers, so that
 * checksums and segments are left to whoever has the hardware for them. */
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "host/net.h"
#include "host/net_backend.h"

static int tap_attach(int fd, const char *name)
{
    struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
    const int header = NET_HEADER_SIZE;
    memcpy(request.ifr_name, name, strnlen(name, sizeof request.ifr_name - 1));
    if (ioctl(fd, TUNSETIFF, &request) < 0 || ioctl(fd, TUNSETVNETHDRSZ, &header) < 0)
        return -errno;
    return 0;
}

int net_open_tap(const struct net_spec *spec, struct net_backend *b, struct err *e)
{
    b->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (b->fd < 0)
        return err_set(e, -errno,
                       "--net tap: cannot open /dev/net/tun (%s); load the module tun, or use "
                       "--net user, which needs no rights",
                       strerror(errno));
    int r = tap_attach(b->fd, spec->name);
    if (r == -EPERM)
        return err_set(e, r,
                       "--net tap: you may not use '%s'; make it yours: sudo ip tuntap add %s mode "
                       "tap user $USER",
                       spec->name, spec->name);
    if (r == -EBUSY)
        return err_set(e, r, "--net tap: '%s' is in use by another process", spec->name);
    if (r < 0)
        return err_set(e, r, "--net tap: cannot use '%s': %s", spec->name, strerror(-r));
    b->headers = true;
    return 0;
}

void net_tap_set_offload(int fd, unsigned offload)
{
    unsigned flags = (offload & NET_OFFLOAD_CSUM ? TUN_F_CSUM : 0) |
                     (offload & NET_OFFLOAD_TSO4 ? TUN_F_TSO4 : 0) |
                     (offload & NET_OFFLOAD_TSO6 ? TUN_F_TSO6 : 0) |
                     (offload & NET_OFFLOAD_ECN ? TUN_F_TSO_ECN : 0);
    (void)ioctl(fd, TUNSETOFFLOAD, flags); /* a kernel that cannot gives us whole frames */
}
