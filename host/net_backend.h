/* What a kind of network is to host/net.c: descriptors that speak frames. */
#ifndef HOST_NET_BACKEND_H
#define HOST_NET_BACKEND_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/net_spec.h"

struct net_backend {
    int fd;        /* non-blocking; -1: unplugged */
    bool stream;   /* a frame follows its length, 4 bytes, big-endian; else each read is one */
    bool headers;  /* a virtio-net header is in front of each frame */
    int control;   /* the child's, or -1 */
    pid_t child;   /* or 0 */
    bool working;  /* the child has said that it works */
    char own[120]; /* a socket to remove at the end, or "" */
};

/* Each: fill the backend, which is { .fd = -1, .control = -1 }. What is in it is closed by
 * net_backend_close(), also after a failure. */
int net_open_user(const struct net_spec *spec, struct net_backend *b, struct err *e) MUST_CHECK;
int net_open_unix(const struct net_spec *spec, struct net_backend *b, struct err *e) MUST_CHECK;
int net_open_tap(const struct net_spec *spec, struct net_backend *b, struct err *e) MUST_CHECK;

/* Would net_open_user() find its program? */
int net_user_check(struct err *e) MUST_CHECK;
/* Wait until the child of net_open_user() works. */
int net_user_ready(struct net_backend *b, struct err *e) MUST_CHECK;
/* Serve a request on `control`; false when it has ended. */
bool net_user_serve(const struct net_backend *b);

/* See net_set_offload(). */
void net_tap_set_offload(int fd, unsigned offload);

/* Connect to the socket again. The descriptor or negative errno. */
int net_unix_connect(const struct net_spec *spec);

void net_backend_close(struct net_backend *b);

#endif
