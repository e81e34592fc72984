/*
 * One connection between a Unix socket and the guest: virtio 1.2, 5.10.6.
 *
 * Both ends may be slow. What the guest sends and the socket does not take waits in `out`, which
 * the guest's credit keeps below CONN_BUFFER; of the socket only so much is read as the guest has
 * room for. Each direction ends by itself: the end of the socket's input is a SHUTDOWN to the
 * guest, and the guest's SHUTDOWN ends the socket's input, behind what is in `out`.
 */
#include "host/vsock_conn.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn *conn_new(int fd, enum conn_state state)
{
    struct conn *c = calloc(1, sizeof *c);
    if (c)
        *c = (struct conn){ .fd = fd, .state = state };
    return c;
}

void conn_free(struct conn *c)
{
    if (c->fd >= 0)
        close(c->fd);
    fifo_fini(&c->out);
    free(c);
}

uint32_t conn_credit(const struct conn *c)
{
    uint32_t used = c->sent - c->peer_fwd_cnt;
    return used < c->peer_buf_alloc ? c->peer_buf_alloc - used : 0;
}

short conn_events(const struct conn *c, bool blocked)
{
    short events = c->out.used > 0 ? POLLOUT : 0;
    switch (c->state) {
    case CONN_GREETING:
        return POLLIN;
    case CONN_REQUESTED: /* whether the program is still there */
        return POLLPRI;
    case CONN_OPEN:
        if (!blocked && !(c->done & VSOCK_NO_SEND) && !(c->guest_done & VSOCK_NO_RECEIVE) &&
            conn_credit(c) > 0)
            events |= POLLIN;
        return events;
    case CONN_DRAINING:
        return events;
    case CONN_DEAD:
        break;
    }
    return 0;
}

/* The program will do that no more; when it will do nothing, its socket is of no use. */
static void conn_done(struct conn *c, unsigned flags)
{
    if ((c->done | flags) == c->done)
        return;
    c->done |= flags;
    c->want |= 1u << VSOCK_OP_SHUTDOWN;
    if (c->done & VSOCK_NO_RECEIVE) {
        c->fwd_cnt += (uint32_t)c->out.used;
        fifo_drop(&c->out, c->out.used);
    }
    if (c->done == VSOCK_NO_MORE) {
        close(c->fd);
        c->fd = -1;
    }
}

/* ------------------------------------------------------------------ the greeting */

/* "CONNECT 1234\n" of `n` bytes. */
static bool conn_parse(const char *line, size_t n, uint32_t *port)
{
    static const char verb[] = "CONNECT ";
    uint64_t value = 0;
    size_t at = sizeof verb - 1;
    if (n < sizeof verb + 1 || memcmp(line, verb, at) != 0)
        return false;
    for (; at < n - 1; at++) {
        if (line[at] < '0' || line[at] > '9' || value > UINT32_MAX)
            return false;
        value = 10 * value + (uint64_t)(line[at] - '0');
    }
    *port = (uint32_t)value;
    return value <= UINT32_MAX;
}

/* A byte at a time, because what follows the line is for the guest. */
void conn_greet(struct conn *c)
{
    while (c->state == CONN_GREETING) {
        ssize_t n = recv(c->fd, c->line + c->line_length, 1, 0);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n <= 0 || ++c->line_length == sizeof c->line) {
            c->state = CONN_DEAD;
        } else if (c->line[c->line_length - 1] == '\n') {
            bool good = conn_parse(c->line, c->line_length, &c->peer);
            c->state = good ? CONN_REQUESTED : CONN_DEAD;
            c->want = 1u << VSOCK_OP_REQUEST;
        }
    }
}

void conn_accepted(struct conn *c)
{
    char line[sizeof c->line];
    int n = snprintf(line, sizeof line, "OK %u\n", c->port);
    c->state = CONN_OPEN;
    if (send(c->fd, line, (size_t)n, MSG_NOSIGNAL) != n) /* it is the first that is sent */
        conn_done(c, VSOCK_NO_MORE);
}

/* ------------------------------------------------------------------ bytes */

uint32_t conn_read(struct conn *c, uint8_t *bytes, uint32_t n, bool hung_up)
{
    ssize_t got = recv(c->fd, bytes, n, 0);
    if (got > 0)
        return (uint32_t)got;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    conn_done(c, got < 0 || hung_up ? VSOCK_NO_MORE : VSOCK_NO_SEND);
    return 0;
}

/* Everything that the guest sent has gone: what follows from that? */
static void conn_drained(struct conn *c)
{
    if (c->state == CONN_DRAINING)
        c->state = CONN_DEAD;
    else if ((c->guest_done & VSOCK_NO_SEND) && c->fd >= 0)
        shutdown(c->fd, SHUT_WR);
}

void conn_flush(struct conn *c)
{
    while (c->fd >= 0 && c->out.used > 0) {
        ssize_t put = send(c->fd, fifo_front(&c->out), c->out.used, MSG_NOSIGNAL);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS))
            break;
        if (put < 0) {
            conn_done(c, VSOCK_NO_RECEIVE);
            break;
        }
        fifo_drop(&c->out, (size_t)put);
        c->fwd_cnt += (uint32_t)put;
    }
    if (c->fwd_cnt - c->told >= CONN_BUFFER / 4)
        c->want |= 1u << VSOCK_OP_CREDIT_UPDATE;
    if (c->out.used == 0)
        conn_drained(c);
}

bool conn_put(struct conn *c, const uint8_t *bytes, uint32_t n)
{
    if (n > CONN_BUFFER - c->out.used || (c->guest_done & VSOCK_NO_SEND))
        return false;
    if (c->done & VSOCK_NO_RECEIVE) { /* on its way when we said so */
        c->fwd_cnt += n;
        return true;
    }
    if (fifo_put(&c->out, bytes, n) < 0)
        return false;
    conn_flush(c);
    return true;
}

void conn_guest_done(struct conn *c, unsigned flags)
{
    c->guest_done |= flags & VSOCK_NO_MORE;
    if ((c->guest_done & VSOCK_NO_RECEIVE) && c->fd >= 0)
        shutdown(c->fd, SHUT_RD);
    if (c->out.used == 0)
        conn_drained(c);
}

void conn_detach(struct conn *c)
{
    c->want = 0;
    c->state = c->out.used > 0 && c->fd >= 0 ? CONN_DRAINING : CONN_DEAD;
}
