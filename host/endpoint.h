/* One endpoint of a serial port: how it is opened, and how bytes get in and out. For serial.c. */
#ifndef HOST_ENDPOINT_H
#define HOST_ENDPOINT_H

#include <poll.h>
#include <stdbool.h>

#include "base/compiler.h"
#include "base/err.h"
#include "host/fifo.h"
#include "host/term.h"

#define ENDPOINT_CHUNK 4096 /* bytes a read or write at most; no more than PIPE_BUF */

struct endpoint_kind;

/* Descriptors are -1 when there is none. Everything belongs to the serial thread once that runs,
 * except what is marked as under the serial port's lock. */
struct endpoint {
    const struct endpoint_kind *kind;
    const char *option; /* for errors */
    const char *path;   /* the user's, or NULL */
    int in_fd;          /* read from here, until it ends */
    int out_fd;         /* write to here */
    int listen_fd;      /* a socket's */
    bool present;       /* there is someone to read what is written; under the lock */
    bool close_fds;     /* ours to close */
    bool escape_active; /* a terminal: Ctrl-A is ireko's */
    struct term_escape escape;
    struct fifo out; /* from the guest; under the lock */
    char name[64];   /* a pty's slave */
};

/* Open what `spec` ("file:PATH", ...) of `option` ("--serial") says. 0, or negative errno and one
 * sentence in `e`. */
int endpoint_open(struct endpoint *p, const char *option, const char *spec,
                  struct err *e) MUST_CHECK;

void endpoint_close(struct endpoint *p);

/* After the peer left, can another one come? */
bool endpoint_can_return(const struct endpoint *p);

/* Look whether someone opened or closed a pty, which nothing tells. Returns true if that has to be
 * asked again in a while. Lock held. */
bool endpoint_check(struct endpoint *p);

/* A client waits at the socket. Lock held. */
void endpoint_accept(struct endpoint *p);

/* The peer is gone: forget it, and wait for the next if the kind has one. Lock held. */
void endpoint_hang_up(struct endpoint *p);

/* Read once. Bytes read; 0 if there is nothing now; or -1 when the input has ended. */
long endpoint_read(struct endpoint *p, uint8_t *bytes, size_t n);

/* Write once. Bytes written; 0 if there is no room now; or negative errno. */
long endpoint_write(struct endpoint *p, const uint8_t *bytes, size_t n);

#endif
