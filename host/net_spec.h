/* What `--net` says. */
#ifndef HOST_NET_SPEC_H
#define HOST_NET_SPEC_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define NET_MAX_FORWARDS 32
#define NET_MTU_MIN      1280 /* what IPv6 needs */
#define NET_MTU_MAX      65520

enum net_kind { NET_USER, NET_TAP, NET_UNIX, NET_NONE };

/* A port of the host that leads to a port of the guest. */
struct net_forward {
    bool udp;
    struct sockaddr_in host; /* where to listen */
    uint16_t guest_port;
    const char *text; /* in net_spec.text, not terminated */
    int text_length;
};

struct net_spec {
    const char *text; /* the caller's */
    enum net_kind kind;
    char name[16];  /* tap */
    char path[100]; /* unix */
    bool datagram;  /* unix */
    bool has_mac;
    uint8_t mac[6];
    uint16_t mtu; /* user: what the guest is told */
    struct net_forward forward[NET_MAX_FORWARDS];
    unsigned forwards;
};

/* Parse "user,forward=tcp:2222:22". `text` must outlive `out`. 0, or -EINVAL and one sentence. */
int net_spec_parse(const char *text, struct net_spec *out, struct err *e) MUST_CHECK;

#endif
