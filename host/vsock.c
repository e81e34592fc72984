/*
 * The vsock thread: virtio 1.2, section 5.10, between the driver's packets and Unix sockets.
 *
 * Bounds, because the guest is hostile and programs of the host may not read: CONN_MAX connections,
 * each with CONN_BUFFER bytes, 64 MiB in all; answers to packets of no connection wait in a ring,
 * and while that is full no packet is taken. Everything else that the guest is owed is a bit in its
 * connection, so a driver that sends and gives no room for answers costs nothing (5.10.6.1.2).
 *
 * Data for the guest is read from a socket into one buffer and goes from there in as many packets
 * as the driver's buffers make of it; nothing else is read meanwhile.
 */
#include "host/vsock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/unix.h"
#include "host/vsock_conn.h"
#include "host/vsock_thread.h"

#define CONN_MAX         512
#define VSOCK_RESETS     64
#define VSOCK_BUDGET     256         /* packets in one direction before the other has its turn */
#define VSOCK_FIRST_PORT 0x40000000u /* ports for programs that connect */

/* "<path>_<port>" has to fit. */
#define VSOCK_PATH_MAX (UNIX_PATH_MAX - sizeof "4294967295")

/* A packet that belongs to no connection. */
struct vsock_answer {
    uint64_t cid; /* that the guest spoke to */
    uint32_t port, peer;
};

struct vsock {
    uint32_t cid;
    char *path;
    struct vsock_client client;
    struct vsock_thread thread;
    int wake[2]; /* a pipe: a byte in it wakes the thread */
    atomic_bool woken;
    atomic_uint epoch_wanted; /* by vsock_reset() */

    /* The thread's. */
    int listen_fd;
    uint32_t epoch;
    struct conn *conn[CONN_MAX];
    unsigned count;
    bool full; /* the host gave no descriptor for one more */
    uint32_t next_port;
    struct vsock_answer reset[VSOCK_RESETS];
    unsigned resets;
    bool blocked;         /* the driver has no room */
    struct conn *in_conn; /* whose data is in `in`, or NULL */
    uint32_t in_start, in_end;
    struct pollfd fd[2 + CONN_MAX];
    uint8_t in[VSOCK_PAYLOAD_MAX], packet[VSOCK_PAYLOAD_MAX];
};

/* ------------------------------------------------------------------ connections */

static struct conn *vsock_find(const struct vsock *s, uint32_t port, uint32_t peer)
{
    for (unsigned i = 0; i < s->count; i++) {
        struct conn *c = s->conn[i];
        if (c->port == port && c->peer == peer &&
            (c->state == CONN_REQUESTED || c->state == CONN_OPEN))
            return c;
    }
    return NULL;
}

/* Takes `fd` over, also when there is no room. */
static struct conn *vsock_add(struct vsock *s, int fd, enum conn_state state)
{
    struct conn *c = s->count < CONN_MAX ? conn_new(fd, state) : NULL;
    if (!c) {
        close(fd);
        return NULL;
    }
    s->conn[s->count++] = c;
    return c;
}

/* Forget the dead ones. */
static void vsock_sweep(struct vsock *s)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < s->count; i++) {
        struct conn *c = s->conn[i];
        if (c->state != CONN_DEAD) {
            s->conn[kept++] = c;
            continue;
        }
        if (s->in_conn == c)
            s->in_conn = NULL;
        s->full = false;
        conn_free(c);
    }
    s->count = kept;
}

/* A port of ours that no connection has. */
static uint32_t vsock_free_port(struct vsock *s)
{
    for (;;) {
        uint32_t port = s->next_port++;
        if (s->next_port == UINT32_MAX)
            s->next_port = VSOCK_FIRST_PORT;
        unsigned i = 0;
        while (i < s->count && s->conn[i]->port != port)
            i++;
        if (i == s->count)
            return port;
    }
}

/* A new life of the driver: it knows no connection, and there is none that it was told of. */
static void vsock_new_epoch(struct vsock *s, uint32_t epoch)
{
    s->epoch = epoch;
    s->resets = 0;
    s->in_conn = NULL;
    for (unsigned i = 0; i < s->count; i++) {
        struct conn *c = s->conn[i];
        bool unknown = c->state == CONN_REQUESTED &&
                       (c->want & 1u << VSOCK_OP_REQUEST); /* it can still come */
        if (c->state == CONN_OPEN || (c->state == CONN_REQUESTED && !unknown))
            conn_detach(c);
    }
    vsock_sweep(s);
}

static void vsock_accept(struct vsock *s)
{
    while (s->count < CONN_MAX) {
        int fd = unix_accept(s->listen_fd);
        if (fd < 0) {
            s->full = fd == -EMFILE || fd == -ENFILE || fd == -ENOMEM || fd == -ENOBUFS;
            return;
        }
        uint32_t port = vsock_free_port(s);
        struct conn *c = vsock_add(s, fd, CONN_GREETING);
        if (c)
            c->port = port;
    }
}

/* ------------------------------------------------------------------ to the guest */

/* -1: the driver has no room. */
static long vsock_give(struct vsock *s, const struct vsock_packet *p)
{
    long took = s->client.receive(s->client.ctx, p);
    s->blocked = took < 0;
    return took;
}

static struct vsock_packet vsock_packet_of(const struct vsock *s, const struct conn *c, uint16_t op)
{
    return (struct vsock_packet){
        .epoch = s->epoch,
        .src_cid = VSOCK_CID_HOST,
        .dst_cid = s->cid,
        .src_port = c->port,
        .dst_port = c->peer,
        .type = VSOCK_TYPE_STREAM,
        .op = op,
        .flags = op == VSOCK_OP_SHUTDOWN ? c->done : 0,
        .buf_alloc = CONN_BUFFER,
        .fwd_cnt = c->fwd_cnt,
    };
}

static void vsock_send_wanted(struct vsock *s, struct conn *c)
{
    for (unsigned op = VSOCK_OP_REQUEST; op <= VSOCK_OP_CREDIT_REQUEST && !s->blocked; op++) {
        if (!(c->want & 1u << op))
            continue;
        /* The end of what the program sends comes behind what it has sent. */
        if (op == VSOCK_OP_SHUTDOWN && s->in_conn == c)
            continue;
        const struct vsock_packet p = vsock_packet_of(s, c, (uint16_t)op);
        if (vsock_give(s, &p) < 0)
            return;
        c->want &= ~(1u << op);
        c->told = c->fwd_cnt;
    }
}

static void vsock_send_data(struct vsock *s)
{
    struct conn *c = s->in_conn;
    while (c && c->state == CONN_OPEN && !s->blocked && s->in_start < s->in_end) {
        struct vsock_packet p = vsock_packet_of(s, c, VSOCK_OP_RW);
        p.data = s->in + s->in_start;
        p.length = s->in_end - s->in_start;
        long took = vsock_give(s, &p);
        if (took < 0)
            return;
        s->in_start += (uint32_t)took;
        c->sent += (uint32_t)took;
        c->told = c->fwd_cnt;
    }
    if (!s->blocked)
        s->in_conn = NULL;
}

static void vsock_send_resets(struct vsock *s)
{
    while (s->resets > 0 && !s->blocked) {
        const struct vsock_answer *a = &s->reset[s->resets - 1];
        const struct vsock_packet p = {
            .epoch = s->epoch,
            .src_cid = a->cid,
            .dst_cid = s->cid,
            .src_port = a->port,
            .dst_port = a->peer,
            .type = VSOCK_TYPE_STREAM,
            .op = VSOCK_OP_RST,
        };
        if (vsock_give(s, &p) >= 0)
            s->resets--;
    }
}

/* All that waits, for as long as the driver has room. */
static void vsock_send(struct vsock *s)
{
    vsock_send_data(s);
    vsock_send_resets(s);
    for (unsigned i = 0; i < s->count && !s->blocked; i++)
        if (s->conn[i]->want && s->conn[i]->state != CONN_DRAINING)
            vsock_send_wanted(s, s->conn[i]);
}

/* ------------------------------------------------------------------ from the guest */

static void vsock_answer_reset(struct vsock *s, const struct vsock_packet *p)
{
    s->reset[s->resets++] = (struct vsock_answer){ p->dst_cid, p->dst_port, p->src_port };
}

static void vsock_requested(struct vsock *s, const struct vsock_packet *p)
{
    char path[UNIX_PATH_MAX + 1];
    snprintf(path, sizeof path, "%s_%u", s->path, p->dst_port);
    int fd = s->count < CONN_MAX ? unix_connect(path) : -EMFILE;
    struct conn *c = fd >= 0 ? vsock_add(s, fd, CONN_OPEN) : NULL;
    if (!c) {
        vsock_answer_reset(s, p);
        return;
    }
    c->port = p->dst_port;
    c->peer = p->src_port;
    c->peer_buf_alloc = p->buf_alloc;
    c->peer_fwd_cnt = p->fwd_cnt;
    c->want = 1u << VSOCK_OP_RESPONSE;
}

static void vsock_break(struct vsock *s, struct conn *c, const struct vsock_packet *p)
{
    vsock_answer_reset(s, p);
    c->state = CONN_DEAD;
}

/* A packet of a connection that is not open yet. */
static void vsock_answered(struct vsock *s, struct conn *c, const struct vsock_packet *p)
{
    bool sent = !(c->want & 1u << VSOCK_OP_REQUEST);
    if (p->op == VSOCK_OP_RESPONSE && sent)
        conn_accepted(c);
    else if (p->op == VSOCK_OP_RST)
        c->state = CONN_DEAD;
    else
        vsock_break(s, c, p);
}

static void vsock_handle_open(struct vsock *s, struct conn *c, const struct vsock_packet *p)
{
    switch (p->op) {
    case VSOCK_OP_RW:
        if (!conn_put(c, p->data, p->length))
            vsock_break(s, c, p);
        break;
    case VSOCK_OP_SHUTDOWN:
        conn_guest_done(c, p->flags);
        if (c->guest_done == VSOCK_NO_MORE) {
            vsock_answer_reset(s, p);
            conn_detach(c);
        }
        break;
    case VSOCK_OP_CREDIT_UPDATE:
        break;
    case VSOCK_OP_CREDIT_REQUEST:
        c->want |= 1u << VSOCK_OP_CREDIT_UPDATE;
        break;
    case VSOCK_OP_RST:
        c->state = CONN_DEAD;
        break;
    default:
        vsock_break(s, c, p);
        break;
    }
}

static void vsock_handle(struct vsock *s, const struct vsock_packet *p)
{
    if (p->src_cid != s->cid)
        return;
    struct conn *c = p->dst_cid == VSOCK_CID_HOST && p->type == VSOCK_TYPE_STREAM
                         ? vsock_find(s, p->dst_port, p->src_port)
                         : NULL;
    if (!c && p->op == VSOCK_OP_REQUEST && p->dst_cid == VSOCK_CID_HOST &&
        p->type == VSOCK_TYPE_STREAM) {
        vsock_requested(s, p);
    } else if (!c) {
        if (p->op != VSOCK_OP_RST)
            vsock_answer_reset(s, p);
    } else {
        c->peer_buf_alloc = p->buf_alloc;
        c->peer_fwd_cnt = p->fwd_cnt;
        c->starved &= conn_credit(c) == 0;
        (c->state == CONN_OPEN ? vsock_handle_open : vsock_answered)(s, c, p);
    }
}

/* Take packets, each of which makes at most one answer. Is there more? */
static bool vsock_take(struct vsock *s)
{
    for (unsigned n = 0; n < VSOCK_BUDGET; n++) {
        struct vsock_packet p = { .data = s->packet };
        if (s->resets == VSOCK_RESETS)
            vsock_send_resets(s);
        if (s->resets == VSOCK_RESETS || !s->client.transmit(s->client.ctx, &p))
            return false;
        if (p.epoch != s->epoch)
            vsock_new_epoch(s, p.epoch);
        vsock_handle(s, &p);
    }
    return true;
}

/* ------------------------------------------------------------------ the thread */

static void vsock_drain_wake(struct vsock *s)
{
    char bytes[16];
    while (read(s->wake[0], bytes, sizeof bytes) == sizeof bytes)
        ;
    atomic_store(&s->woken, false);
    s->blocked = false;
    unsigned epoch = atomic_load(&s->epoch_wanted);
    if (epoch != s->epoch)
        vsock_new_epoch(s, epoch);
}

/* Ask once for credit that does not come by itself. */
static void vsock_ask_credit(struct conn *c)
{
    if (c->state != CONN_OPEN || c->starved || c->done || conn_credit(c) > 0)
        return;
    c->starved = true;
    c->want |= 1u << VSOCK_OP_CREDIT_REQUEST;
}

static void vsock_read(struct vsock *s, struct conn *c, bool hung_up)
{
    uint32_t credit = conn_credit(c);
    if (s->in_conn || credit == 0)
        return;
    s->in_start = 0;
    s->in_end = conn_read(c, s->in, credit < sizeof s->in ? credit : sizeof s->in, hung_up);
    if (s->in_end > 0)
        s->in_conn = c;
    vsock_send_data(s);
    vsock_ask_credit(c);
}

static void vsock_serve(struct vsock *s, struct conn *c, short revents)
{
    if (revents & POLLOUT)
        conn_flush(c);
    switch (c->state) {
    case CONN_GREETING:
        conn_greet(c);
        break;
    case CONN_REQUESTED:
        if (revents & (POLLHUP | POLLERR)) {
            const struct vsock_packet p = { .dst_cid = VSOCK_CID_HOST,
                                            .dst_port = c->port,
                                            .src_port = c->peer };
            if (!(c->want & 1u << VSOCK_OP_REQUEST) && s->resets < VSOCK_RESETS)
                vsock_answer_reset(s, &p);
            c->state = CONN_DEAD;
        }
        break;
    case CONN_OPEN:
        if ((revents & (POLLIN | POLLHUP | POLLERR)) && c->fd >= 0 && !(c->done & VSOCK_NO_SEND) &&
            !(c->guest_done & VSOCK_NO_RECEIVE))
            vsock_read(s, c, revents & POLLHUP);
        break;
    case CONN_DRAINING:
    case CONN_DEAD:
        break;
    }
}

static unsigned vsock_prepare(struct vsock *s)
{
    bool blocked = s->blocked || s->in_conn;
    s->fd[0] = (struct pollfd){ .fd = s->wake[0], .events = POLLIN };
    s->fd[1] = (struct pollfd){ .fd = s->count < CONN_MAX && !s->full ? s->listen_fd : -1,
                                .events = POLLIN };
    for (unsigned i = 0; i < s->count; i++) {
        short events = conn_events(s->conn[i], blocked);
        s->fd[2 + i] = (struct pollfd){ .fd = events ? s->conn[i]->fd : -1, .events = events };
    }
    return s->count;
}

bool vsock_step(struct vsock *s, bool wait)
{
    unsigned count = vsock_prepare(s);
    if (poll(s->fd, 2 + count, wait ? -1 : 0) < 0)
        return true; /* EINTR */
    if (s->fd[0].revents)
        vsock_drain_wake(s);
    /* A new life of the driver has made the list another one: what is ready will be so again. */
    if (s->count == count)
        for (unsigned i = 0; i < count; i++)
            if (s->fd[2 + i].revents)
                vsock_serve(s, s->conn[i], s->fd[2 + i].revents);
    vsock_sweep(s);
    if (s->fd[1].revents)
        vsock_accept(s);
    bool more = vsock_take(s);
    vsock_send(s);
    vsock_sweep(s);
    s->client.pause(s->client.ctx);
    return more;
}

void vsock_wake(struct vsock *s)
{
    if (atomic_exchange(&s->woken, true))
        return;
    while (write(s->wake[1], "", 1) < 0 && errno == EINTR)
        ;
}

void vsock_reset(struct vsock *s, uint32_t epoch)
{
    atomic_store(&s->epoch_wanted, epoch);
    vsock_wake(s);
}

/* ------------------------------------------------------------------ opening and closing */

static int vsock_listen(struct vsock *s, struct err *e)
{
    int fd = strlen(s->path) <= VSOCK_PATH_MAX ? unix_listen(s->path, 128) : -ENAMETOOLONG;
    if (fd == -ENAMETOOLONG)
        return err_set(e, fd, "--vsock path=%s: it has at most %zu characters", s->path,
                       VSOCK_PATH_MAX);
    if (fd == -EADDRINUSE)
        return err_set(
            e, fd, "--vsock path=%s: something is there already; remove it or choose another path",
            s->path);
    if (fd < 0)
        return err_set(e, fd, "--vsock path=%s: cannot make a socket there: %s", s->path,
                       strerror(-fd));
    s->listen_fd = fd;
    return 0;
}

int vsock_open(const char *path, uint32_t cid, struct vsock **out, struct err *e)
{
    struct vsock *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, -ENOMEM, "--vsock: no memory");
    s->cid = cid;
    s->listen_fd = s->wake[0] = s->wake[1] = -1;
    s->next_port = VSOCK_FIRST_PORT;
    s->path = strdup(path);
    int r = s->path ? 0 : err_set(e, -ENOMEM, "--vsock: no memory");
    if (r == 0 && pipe(s->wake) < 0)
        r = err_set(e, -errno, "--vsock: no pipe: %s", strerror(errno));
    for (int i = 0; r == 0 && i < 2; i++) {
        fcntl(s->wake[i], F_SETFL, O_NONBLOCK);
        fcntl(s->wake[i], F_SETFD, FD_CLOEXEC);
    }
    if (r == 0)
        r = vsock_listen(s, e);
    if (r < 0) {
        vsock_close(s);
        return r;
    }
    *out = s;
    return 0;
}

void vsock_set_client(struct vsock *s, const struct vsock_client *client)
{
    s->client = *client;
}

struct vsock_thread *vsock_thread(struct vsock *s)
{
    return &s->thread;
}

void vsock_close(struct vsock *s)
{
    if (!s)
        return;
    vsock_stop(s);
    for (unsigned i = 0; i < s->count; i++)
        conn_free(s->conn[i]);
    if (s->listen_fd >= 0) {
        close(s->listen_fd);
        unlink(s->path);
    }
    for (int i = 0; i < 2; i++)
        if (s->wake[i] >= 0)
            close(s->wake[i]);
    free(s->path);
    free(s);
}
