/*
 * The host's end of a guest's serial port: the terminal, files, pseudo-terminals and Unix sockets,
 * any number of them at once. What the guest sends goes to all of them; what any of them sends goes
 * to the guest.
 *
 * Nothing is lost: input waits until the guest has room, and a guest that prints faster than an
 * endpoint takes it is slowed down. A pty or socket that nobody has opened keeps the newest
 * SERIAL_BACKLOG bytes for whoever comes.
 */
#ifndef HOST_SERIAL_H
#define HOST_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"

#define SERIAL_MAX     8
#define SERIAL_BACKLOG 65536

struct serial;

struct serial_config {
    const char *option; /* "--serial", for errors */
    /* As it takes them: "stdio", "file:PATH", "pty", "unix:PATH"; "none" alone. */
    const char *const *endpoint;
    unsigned count; /* up to SERIAL_MAX */
    /* The user pressed Ctrl-A x, Ctrl-A p or Ctrl-A s. On the serial thread; may be NULL. */
    void (*quit)(void *ctx);
    void (*power_key)(void *ctx);
    void (*stats)(void *ctx);
    /* A line for the user: the name of a pty, the escape key's help. May be NULL. */
    void (*notice)(void *ctx, const char *line);
    void *ctx;
};

/* Open every endpoint. Guest output is kept from now on, but nothing moves and the terminal is not
 * touched before serial_start(). On failure one sentence in `e` that names the endpoint. */
int serial_create(const struct serial_config *config, struct serial **out,
                  struct err *e) MUST_CHECK;

/* Put the terminal into raw mode and start to move bytes. `receive` gives input to the guest and
 * returns how many bytes it took; after it took less than offered, serial_room() says when to try
 * again. 0 or negative errno. */
int serial_start(struct serial *s, size_t (*receive)(void *ctx, const uint8_t *bytes, size_t n),
                 void *ctx) MUST_CHECK;

/* Bytes from the guest. Locks up to LOCK_DEVICE may be held. Waits at most SERIAL_SEND_WAIT_NS when
 * an endpoint is behind. `serial` is a struct serial. Any thread. */
#define SERIAL_SEND_WAIT_NS 10000000
void serial_send(void *serial, const uint8_t *bytes, size_t n);

/* The guest has room for input again. As serial_send(), but never waits. */
void serial_room(void *serial);

/* Wait until every endpoint that is there took all output, or serial_stop(). Any thread. */
void serial_flush(struct serial *s);

/* Give output that is left a second, stop moving bytes, restore the terminal. `receive` is not
 * called any more after this. */
void serial_stop(struct serial *s);

/* Close all endpoints; implies serial_stop(). NULL is allowed. */
void serial_destroy(struct serial *s);

#endif
