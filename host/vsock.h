/*
 * The host's end of a guest's vsock device: connections of the guest with Unix sockets, moved by a
 * thread of its own.
 *
 * A program of the host connects to PATH, sends "CONNECT port\n", and when the guest has accepted
 * it reads "OK port\n", where the port is the one it has in the guest's eyes; from there on the
 * socket is the connection. When the guest connects to port P of the host, that is the socket
 * PATH_P. This is the convention of Firecracker and others.
 */
#ifndef HOST_VSOCK_H
#define HOST_VSOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define VSOCK_CID_HOST    2u
#define VSOCK_CID_MIN     3u /* the lowest that a guest can have */
#define VSOCK_PAYLOAD_MAX 65536u

/* What a packet is about (virtio 1.2, 5.10.6). */
enum vsock_op {
    VSOCK_OP_REQUEST = 1,
    VSOCK_OP_RESPONSE,
    VSOCK_OP_RST,
    VSOCK_OP_SHUTDOWN,
    VSOCK_OP_RW,
    VSOCK_OP_CREDIT_UPDATE,
    VSOCK_OP_CREDIT_REQUEST,
};

#define VSOCK_TYPE_STREAM 1

/* The sender of a SHUTDOWN will receive or send no more. */
enum { VSOCK_NO_RECEIVE = 1, VSOCK_NO_SEND = 2, VSOCK_NO_MORE = 3 };

struct vsock_packet {
    uint32_t epoch; /* which life of the driver it is of; see vsock_reset() */
    uint64_t src_cid, dst_cid;
    uint32_t src_port, dst_port;
    uint16_t type, op;
    uint32_t flags, buf_alloc, fwd_cnt;
    uint32_t length; /* of the payload */
    uint8_t *data;
};

/* What the thread calls, with no lock held. */
struct vsock_client {
    /* The driver's next packet; `data` has room for VSOCK_PAYLOAD_MAX. False when there is none:
     * vsock_wake() says when to ask again. */
    bool (*transmit)(void *ctx, struct vsock_packet *p);
    /* Give the driver a packet: how many bytes of the payload it took, or -1 when it has no room
     * now. A packet of an earlier life is taken and thrown away. */
    long (*receive)(void *ctx, const struct vsock_packet *p);
    /* Nothing more for now: tell the driver about what was moved. */
    void (*pause)(void *ctx);
    void *ctx;
};

struct vsock;

/* Listen at `path` for a guest with `cid`. One sentence in `e`. */
int vsock_open(const char *path, uint32_t cid, struct vsock **out, struct err *e) MUST_CHECK;

/* Start and end the thread. 0 or negative errno. */
int vsock_start(struct vsock *s, const struct vsock_client *client) MUST_CHECK;
void vsock_stop(struct vsock *s);

/* The driver has packets, or room for some. Any thread, any lock below LOCK_HOST held. */
void vsock_wake(struct vsock *s);
/* The driver forgot all connections; a new life `epoch` begins. As vsock_wake(). */
void vsock_reset(struct vsock *s, uint32_t epoch);

/* Implies vsock_stop(). NULL is allowed. */
void vsock_close(struct vsock *s);

#endif
