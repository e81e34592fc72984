/* The walls on macOS: a sandbox profile that leaves sockets and the list of name servers. */
#include <errno.h>
#include <sandbox.h>

#include "usernet/usernet.h"

static const char profile[] = "(version 1)\n"
                              "(deny default)\n"
                              "(allow network-outbound (remote ip))\n"
                              "(allow network-inbound (local ip))\n"
                              "(allow network-bind (local ip))\n"
                              "(allow file-read-metadata)\n"
                              "(allow file-read* (literal \"/etc/resolv.conf\")\n"
                              "                  (literal \"/private/etc/resolv.conf\")\n"
                              "                  (literal \"/private/var/run/resolv.conf\"))\n"
                              "(allow sysctl-read)\n";

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
int sandbox_enter(int control, struct err *e)
{
    char *why = NULL;
    (void)control;
    if (sandbox_init(profile, 0, &why) == 0)
        return 0;
    err_set(e, -EPERM, "cannot give rights away: %s", why ? why : "unknown reason");
    sandbox_free_error(why);
    return -EPERM;
}
#pragma clang diagnostic pop
