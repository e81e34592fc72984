/* One connection of a guest's vsock with a Unix socket. For vsock.c; its thread's. */
#ifndef HOST_VSOCK_CONN_H
#define HOST_VSOCK_CONN_H

#include <stddef.h>

#include "host/fifo.h"
#include "host/vsock.h"

/* What we tell the guest we have room for, and the most that is kept for a socket that does not
 * read. */
#define CONN_BUFFER 131072u

enum conn_state {
    CONN_GREETING,  /* the program has not yet said "CONNECT port" */
    CONN_REQUESTED, /* the guest has not yet answered */
    CONN_OPEN,
    CONN_DRAINING, /* the guest is done with it; the socket gets the rest */
    CONN_DEAD,     /* to be freed */
};

struct conn {
    enum conn_state state;
    int fd;              /* or -1: the program has closed it */
    uint32_t port, peer; /* ours, the guest's */
    unsigned want;       /* bit n: a packet with op n is to go to the guest */
    unsigned done;       /* VSOCK_NO_*: what the program will not do any more */
    unsigned guest_done; /* the same of the guest */
    struct fifo out;     /* from the guest */
    char line[32];       /* the greeting so far; "CONNECT 4294967295\n" fits */
    unsigned line_length;

    /* Credit (5.10.6.3): bytes to the guest and what it says; bytes that left `out`, and what we
     * last said. */
    uint32_t sent, peer_buf_alloc, peer_fwd_cnt;
    uint32_t fwd_cnt, told;
    bool starved; /* CREDIT_REQUEST was sent, and nothing came of it yet */
};

struct conn *conn_new(int fd, enum conn_state state);
void conn_free(struct conn *c);

/* What poll(2) is to watch; 0: nothing, not even a hang-up. `blocked`: the guest takes nothing. */
short conn_events(const struct conn *c, bool blocked);

/* How many bytes the guest has room for. */
uint32_t conn_credit(const struct conn *c);

/* Read the program's greeting. Sets `peer`, `want` and the state when it is complete. */
void conn_greet(struct conn *c);
/* The guest accepted: tell the program. */
void conn_accepted(struct conn *c);

/* Read up to `n` bytes for the guest. How many, or 0 when there are none or no more; `hung_up` is
 * whether poll(2) saw the program leave. */
uint32_t conn_read(struct conn *c, uint8_t *bytes, uint32_t n, bool hung_up);

/* Bytes from the guest; false when it has sent more than it may. */
bool conn_put(struct conn *c, const uint8_t *bytes, uint32_t n) MUST_CHECK;
/* Write what there is. */
void conn_flush(struct conn *c);
/* The guest's SHUTDOWN. */
void conn_guest_done(struct conn *c, unsigned flags);
/* The guest does not know the connection any more. */
void conn_detach(struct conn *c);

#endif
