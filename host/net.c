/*
 * The thread that moves frames between a back end and the guest's network card.
 *
 * Frames are kept in two buffers of records: 4 bytes of length (big-endian), a virtio-net header if
 * the back end has them, the frame. That is what a stream carries (the convention of QEMU's stream
 * netdev, which passt, gvproxy and socket_vmnet speak), so a read or write of one moves as many
 * frames as there are; for datagrams and TAP the records are made and taken apart here.
 *
 * Back pressure, not loss: while the guest has no room nothing is read, while the back end has none
 * the guest is not asked. When the back end is gone the cable is unplugged: what the guest sends is
 * thrown away, and a stream socket is connected again when its peer is back.
 *
 * To wake the thread for an acknowledgement costs more than to send it: while the thread rests, the
 * vCPU that notifies may take its turn (net_claim()).
 */
#include "host/net.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"
#include "host/net_backend.h"
#include "host/thread.h"

#define NET_PREFIX   4
#define NET_IN_SIZE  (256u << 10)
#define NET_OUT_HIGH (128u << 10) /* behind by that much: write before more is asked for */
#define NET_OUT_SIZE (NET_OUT_HIGH + NET_ROOM + NET_FRAME_MAX + NET_HEADER_SIZE + NET_PREFIX)
#define NET_BUDGET   256  /* frames in one direction before the other has its turn */
#define NET_RETRY_MS 1000 /* how often a lost socket is tried */

struct net_buffer {
    uint8_t *bytes;
    size_t start, end;
};

struct net {
    struct net_spec spec;
    struct net_backend b;
    struct net_client client;
    pthread_t thread;
    bool started;
    int wake[2]; /* a pipe: a byte in it wakes the thread */
    atomic_bool woken, stop;
    atomic_bool ready;   /* the sockets are the thread's from now on */
    atomic_bool begun;   /* by net_begin() */
    atomic_uint offload; /* what net_set_offload() asks for */

    /* Held by the thread but for its poll(). Others only try it, so it has no rank. It guards what
     * follows, and `b`. */
    pthread_mutex_t turn;
    struct net_buffer in, out;
    bool stalled;          /* the client has no room */
    bool later;            /* the back end is opened when the guest begins */
    unsigned offload_done; /* what the back end was told */
};

static size_t record_overhead(const struct net *n)
{
    return NET_PREFIX + (n->b.headers ? NET_HEADER_SIZE : 0);
}

static void put_length(uint8_t *p, size_t n)
{
    p[0] = (uint8_t)(n >> 24);
    p[1] = (uint8_t)(n >> 16);
    p[2] = (uint8_t)(n >> 8);
    p[3] = (uint8_t)n;
}

static size_t get_length(const uint8_t *p)
{
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static void buffer_compact(struct net_buffer *b)
{
    memmove(b->bytes, b->bytes + b->start, b->end - b->start);
    b->end -= b->start;
    b->start = 0;
}

/* ------------------------------------------------------------------ the cable */

static void net_unplug(struct net *n, const char *why)
{
    if (n->b.fd < 0)
        return;
    log_limited(LOG_WARN, "net", "--net %s: %s; the guest's cable is unplugged", n->spec.text, why);
    close(n->b.fd);
    n->b.fd = -1;
    n->in.start = n->in.end = n->out.start = n->out.end = 0;
    n->stalled = false;
    n->client.link(n->client.ctx, false);
}

/* Can a lost back end come back? */
static bool net_can_return(const struct net *n)
{
    return n->spec.kind == NET_UNIX && !n->spec.datagram;
}

static void net_plug_in_again(struct net *n)
{
    int fd = net_unix_connect(&n->spec);
    if (fd < 0)
        return;
    n->b.fd = fd;
    n->client.link(n->client.ctx, true);
}

/* ------------------------------------------------------------------ to the guest */

/* Read what there is and fits. */
static void net_read(struct net *n)
{
    struct net_buffer *b = &n->in;
    size_t overhead = record_overhead(n);
    buffer_compact(b);
    for (;;) {
        size_t room = NET_IN_SIZE - b->end;
        size_t skip = n->b.stream ? 0 : NET_PREFIX;
        if (room < (n->b.stream ? 1 : overhead + NET_FRAME_MAX))
            return;
        ssize_t got = read(n->b.fd, b->bytes + b->end + skip, room - skip);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (got < 0 || (got == 0 && n->b.stream)) {
            net_unplug(n, got < 0 ? strerror(errno) : "the other end has closed it");
            return;
        }
        if (skip) {
            put_length(b->bytes + b->end, (size_t)got);
            got += (ssize_t)skip;
        }
        b->end += (size_t)got;
        if (n->b.stream)
            return;
    }
}

/* Give the client the next frame. False when there is none, or no room for it. */
static bool net_deliver(struct net *n)
{
    struct net_buffer *b = &n->in;
    size_t header = n->b.headers ? NET_HEADER_SIZE : 0;
    if (n->stalled || b->end - b->start < NET_PREFIX)
        return false;
    size_t length = get_length(b->bytes + b->start);
    if (length > NET_FRAME_MAX + header) {
        net_unplug(n, "what comes from it is no frame");
        return false;
    }
    if (b->end - b->start - NET_PREFIX < length)
        return false;
    const uint8_t *record = b->bytes + b->start + NET_PREFIX;
    if (length > header && !n->client.receive(n->client.ctx, header ? record : NULL,
                                              record + header, length - header)) {
        n->stalled = true;
        return false;
    }
    b->start += NET_PREFIX + length;
    return true;
}

/* ------------------------------------------------------------------ from the guest */

uint8_t *net_frame(struct net *n, uint8_t **header)
{
    uint8_t *record = n->out.bytes + n->out.end;
    *header = n->b.headers ? record + NET_PREFIX : NULL;
    return record + record_overhead(n);
}

void net_frame_done(struct net *n, size_t length)
{
    size_t overhead = record_overhead(n);
    if (n->b.fd < 0 || n->out.end + overhead + length > NET_OUT_SIZE - NET_FRAME_MAX - overhead)
        return; /* unplugged, or more segments than NET_ROOM allows */
    put_length(n->out.bytes + n->out.end, overhead - NET_PREFIX + length);
    n->out.end += overhead + length;
}

/* Write once; the bytes that left the buffer, or negative errno. */
static ssize_t net_write_once(struct net *n)
{
    const uint8_t *p = n->out.bytes + n->out.start;
    size_t pending = n->out.end - n->out.start;
    if (n->b.stream || n->spec.kind == NET_UNIX) {
        size_t skip = n->b.stream ? 0 : NET_PREFIX;
        size_t length = n->b.stream ? pending : get_length(p);
        ssize_t put = send(n->b.fd, p + skip, length, MSG_NOSIGNAL);
        return put < 0 ? -errno : put + (ssize_t)skip;
    }
    ssize_t put = write(n->b.fd, p + NET_PREFIX, get_length(p));
    return put < 0 ? -errno : put + NET_PREFIX;
}

/* Is it only this frame that the back end does not want? An interface that is down, a peer that is
 * not there yet. */
static bool net_only_frame(const struct net *n, ssize_t error)
{
    if (n->b.stream)
        return false;
    return error == -EIO || error == -EINVAL || error == -ENOBUFS || error == -EMSGSIZE ||
           error == -ECONNREFUSED || error == -ENOTCONN;
}

/* Write until there is no more, or negative errno. */
static int net_write_all(struct net *n)
{
    while (n->out.start < n->out.end) {
        ssize_t put = net_write_once(n);
        if (put == -EINTR)
            continue;
        if (net_only_frame(n, put))
            put = NET_PREFIX + (ssize_t)get_length(n->out.bytes + n->out.start);
        if (put < 0)
            return (int)put;
        n->out.start += (size_t)put;
    }
    n->out.start = n->out.end = 0;
    return 0;
}

static void net_flush(struct net *n)
{
    int rc = n->b.fd >= 0 ? net_write_all(n) : 0;
    if (rc < 0 && rc != -EAGAIN && rc != -EWOULDBLOCK)
        net_unplug(n, strerror(-rc));
    else if (n->out.end > NET_OUT_HIGH)
        buffer_compact(&n->out);
}

bool net_claim(struct net *n)
{
    if (pthread_mutex_trylock(&n->turn) != 0)
        return false;
    if (atomic_load(&n->ready) && n->b.fd >= 0 && !n->later && n->out.end == 0)
        return true;
    pthread_mutex_unlock(&n->turn);
    return false;
}

void net_release(struct net *n)
{
    bool left = net_write_all(n) < 0;
    pthread_mutex_unlock(&n->turn);
    if (left)
        net_wake(n); /* to go on, or to find out what is wrong */
}

/* ------------------------------------------------------------------ the thread */

/* Is more to be done at once? */
static bool net_work(struct net *n)
{
    unsigned sent = 0, received = 0;
    while (received < NET_BUDGET && net_deliver(n))
        received++;
    while (sent < NET_BUDGET) {
        if (n->out.end - n->out.start > NET_OUT_HIGH)
            net_flush(n);
        if (n->out.end > NET_OUT_HIGH || !n->client.transmit(n->client.ctx))
            break;
        sent++;
    }
    net_flush(n);
    n->client.pause(n->client.ctx);
    return sent == NET_BUDGET || received == NET_BUDGET;
}

/* The guest has a driver, so it gets the network that it would have had from the start. */
static void net_open_later(struct net *n)
{
    struct err e;
    n->later = false;
    if (net_open_user(&n->spec, &n->b, &e) == 0)
        return;
    log_warn("net", "%s; the guest's cable is unplugged", e.text);
    net_backend_close(&n->b);
    n->b = (struct net_backend){ .fd = -1, .control = -1 };
    n->client.link(n->client.ctx, false);
}

static void net_drain_wake(struct net *n)
{
    char bytes[16];
    while (read(n->wake[0], bytes, sizeof bytes) == sizeof bytes)
        ;
    atomic_store(&n->woken, false);
    n->stalled = false;
    if (n->later && atomic_load(&n->begun))
        net_open_later(n);
    unsigned offload = atomic_load(&n->offload);
    if (offload != n->offload_done && n->b.headers && n->b.fd >= 0) {
        net_tap_set_offload(n->b.fd, offload);
        n->offload_done = offload;
    }
}

/* The child says that it works, or wants something. */
static void net_serve_control(struct net *n)
{
    struct err e;
    int r = n->b.working ? 0 : net_user_ready(&n->b, &e);
    if (r < 0)
        log_warn("net", "%s", e.text);
    else if (net_user_serve(&n->b))
        return;
    close(n->b.control);
    n->b.control = -1;
}

static void *net_thread(void *arg)
{
    struct net *n = arg;
    thread_name("net");
    bool more = false;
    pthread_mutex_lock(&n->turn);
    while (!atomic_load(&n->stop)) {
        bool pending = n->out.start < n->out.end, ready = atomic_load(&n->ready);
        struct pollfd fd[] = {
            { .fd = n->wake[0], .events = POLLIN },
            { .fd = ready && (pending || !n->stalled) ? n->b.fd : -1,
              .events = (short)((n->stalled ? 0 : POLLIN) | (pending ? POLLOUT : 0)) },
            { .fd = ready ? n->b.control : -1, .events = POLLIN },
        };
        int timeout = more ? 0 : n->b.fd < 0 && net_can_return(n) ? NET_RETRY_MS : -1;
        pthread_mutex_unlock(&n->turn);
        int events = poll(fd, ARRAY_LEN(fd), timeout);
        pthread_mutex_lock(&n->turn);
        if (events < 0)
            continue; /* EINTR */
        if (events == 0 && n->b.fd < 0 && net_can_return(n))
            net_plug_in_again(n);
        if (fd[0].revents)
            net_drain_wake(n);
        if (fd[2].revents)
            net_serve_control(n);
        if (!n->stalled && (fd[1].revents & (POLLIN | POLLHUP | POLLERR)))
            net_read(n);
        more = net_work(n);
    }
    pthread_mutex_unlock(&n->turn);
    return NULL;
}

void net_begin(struct net *n)
{
    atomic_store(&n->begun, true);
    net_wake(n);
}

void net_wake(struct net *n)
{
    if (atomic_exchange(&n->woken, true))
        return;
    while (write(n->wake[1], "", 1) < 0 && errno == EINTR)
        ;
}

/* ------------------------------------------------------------------ opening and closing */

static int net_open_backend(struct net *n, struct err *e)
{
    switch (n->spec.kind) {
    case NET_USER:
        /* A process that may not be needed; but the user's ports are taken now or never. */
        n->later = n->spec.forwards == 0;
        n->b.stream = true;
        return n->later ? net_user_check(e) : net_open_user(&n->spec, &n->b, e);
    case NET_TAP:
        return net_open_tap(&n->spec, &n->b, e);
    case NET_UNIX:
        return net_open_unix(&n->spec, &n->b, e);
    case NET_NONE:
        break;
    }
    return err_set(e, -EINVAL, "--net none: there is nothing to open");
}

static int net_make_pipe(struct net *n, struct err *e)
{
    if (pipe(n->wake) < 0) {
        n->wake[0] = n->wake[1] = -1;
        return err_set(e, -errno, "--net %s: no pipe: %s", n->spec.text, strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        fcntl(n->wake[i], F_SETFL, O_NONBLOCK);
        fcntl(n->wake[i], F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

int net_open(const struct net_spec *spec, struct net **out, struct err *e)
{
    struct net *n = calloc(1, sizeof *n);
    if (!n)
        return err_set(e, -ENOMEM, "--net %s: no memory", spec->text);
    n->spec = *spec;
    n->b = (struct net_backend){ .fd = -1, .control = -1 };
    n->wake[0] = n->wake[1] = -1;
    pthread_mutex_init(&n->turn, NULL);
    n->in.bytes = malloc(NET_IN_SIZE);
    n->out.bytes = malloc(NET_OUT_SIZE);
    int r =
        n->in.bytes && n->out.bytes ? 0 : err_set(e, -ENOMEM, "--net %s: no memory", spec->text);
    if (r == 0)
        r = net_make_pipe(n, e);
    if (r == 0)
        r = net_open_backend(n, e);
    if (r < 0) {
        net_close(n);
        return r;
    }
    *out = n;
    return 0;
}

int net_ready(struct net *n, struct err *e)
{
    /* Without ports there is nothing yet to wait for. */
    int r = n->spec.forwards > 0 ? net_user_ready(&n->b, e) : 0;
    if (r == 0) {
        atomic_store(&n->ready, true);
        net_wake(n);
    }
    return r;
}

int net_start(struct net *n, const struct net_client *client)
{
    n->client = *client;
    int r = thread_start(&n->thread, net_thread, n);
    n->started = r == 0;
    return r;
}

void net_stop(struct net *n)
{
    if (!n->started)
        return;
    atomic_store(&n->stop, true);
    net_wake(n);
    pthread_join(n->thread, NULL);
    n->started = false;
}

void net_close(struct net *n)
{
    if (!n)
        return;
    net_stop(n);
    net_backend_close(&n->b);
    for (int i = 0; i < 2; i++)
        if (n->wake[i] >= 0)
            close(n->wake[i]);
    pthread_mutex_destroy(&n->turn);
    free(n->in.bytes);
    free(n->out.bytes);
    free(n);
}

bool net_has_headers(const struct net *n)
{
    return n->b.headers;
}

bool net_is_local(const struct net *n)
{
    return n->spec.kind == NET_USER;
}

void net_set_offload(struct net *n, unsigned offload)
{
    atomic_store(&n->offload, offload);
    net_wake(n);
}
