/*
 * The serial port's host end: one thread that moves bytes between the guest and the endpoints.
 *
 * Guest to host: serial_send() runs on a vCPU thread with the UART's lock held. It only queues. If
 * an endpoint that somebody reads is more than SERIAL_BACKLOG behind, it also waits, at most
 * SERIAL_SEND_WAIT_NS, so a fast guest gets the endpoint's speed and ^C is seen soon. The wait is
 * bounded and the queue may grow past the mark, because others want the UART's lock: this thread,
 * to bring input; a device alarm. For the same reason nobody waits while this thread is on its way
 * into the UART (`entering`): it is the one that empties the queues.
 *
 * A UART sends byte by byte, and to wake this thread for each would cost the guest more than the
 * byte, and those who read it, too. So the first byte is written at once, and for a moment behind a
 * write output is gathered: this thread looks by itself then. Input ends the moment, as who sends
 * some may wait for the answer.
 *
 * Host to guest: bytes wait in `in` until the UART takes them; while `in` is full nothing is read,
 * so that the sender waits.
 *
 * poll(2) and blocking descriptors instead of libuv's streams: standard input and output are shared
 * with the shell, and making them non-blocking would change them for everybody. Hence a thread of
 * its own: a terminal that hangs must not hang the event loop.
 */
#include "host/serial.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/thread.h"
#include "host/endpoint.h"

#define SERIAL_INPUT_MAX  65536
#define SERIAL_OUTPUT_MAX (64u << 20) /* per endpoint; what a stalled reader costs at most */
#define SERIAL_STOP_NS    1000000000u
#define SERIAL_CHECK_MS   200 /* how often a pty that is closed is looked at */
#define SERIAL_GATHER_MS  1   /* between two writes, unless there is much to write */
#define SERIAL_GATHER_MAX (SERIAL_BACKLOG / 2)

struct serial {
    struct endpoint endpoint[SERIAL_MAX];
    unsigned count;
    struct serial_config config;
    size_t (*receive)(void *ctx, const uint8_t *bytes, size_t n);
    void *receive_ctx;
    pthread_t thread;
    struct fifo in;        /* for the guest; the thread's */
    int wake[2];           /* a pipe: a byte in it wakes the thread */
    uint64_t gather_until; /* clock_monotonic_ns(); the thread's */

    struct lock lock;
    pthread_cond_t changed; /* output left, or one of the following changed */
    bool woken;             /* a byte is in `wake` */
    bool gathers;           /* the thread looks at output without being woken */
    bool room;              /* the guest may have room for input */
    bool entering;          /* the thread is calling `receive` */
    bool started;           /* there is, or was, a thread */
    bool running;           /* it has not ended */
    bool stopping;
    uint64_t stop_deadline;
};

/* What poll(2) watches for one endpoint. */
enum { SLOT_IN, SLOT_OUT, SLOT_LISTEN, SLOTS };

static void serial_wake_locked(struct serial *s)
{
    if (s->woken)
        return;
    s->woken = true;
    while (write(s->wake[1], "", 1) < 0 && errno == EINTR)
        ;
}

static void serial_queue_locked(struct endpoint *p, const uint8_t *bytes, size_t n)
{
    if (!p->present && !endpoint_can_return(p))
        return;
    if (p->out.used + n > SERIAL_OUTPUT_MAX || fifo_put(&p->out, bytes, n) < 0) {
        log_limited(LOG_WARN, "serial", "output is lost: nobody reads it and memory is full");
        return;
    }
    if (!p->present && p->out.used > SERIAL_BACKLOG)
        fifo_drop(&p->out, p->out.used - SERIAL_BACKLOG);
}

/* The longest queue of an endpoint that somebody reads. */
static size_t serial_queued_locked(const struct serial *s)
{
    size_t most = 0;
    for (unsigned i = 0; i < s->count; i++) {
        const struct endpoint *p = &s->endpoint[i];
        if (p->present && p->out.used > most)
            most = p->out.used;
    }
    return most;
}

void serial_send(void *serial, const uint8_t *bytes, size_t n)
{
    struct serial *s = serial;
    lock_acquire(&s->lock);
    for (unsigned i = 0; i < s->count; i++)
        serial_queue_locked(&s->endpoint[i], bytes, n);
    if (s->running) {
        if (!s->gathers || serial_queued_locked(s) > SERIAL_GATHER_MAX)
            serial_wake_locked(s);
        uint64_t deadline = 0;
        while (serial_queued_locked(s) > SERIAL_BACKLOG && !s->entering && !s->stopping) {
            if (deadline == 0)
                deadline = clock_monotonic_ns() + SERIAL_SEND_WAIT_NS;
            if (lock_wait(&s->lock, &s->changed, deadline) == ETIMEDOUT)
                break;
        }
    }
    lock_release(&s->lock);
}

void serial_room(void *serial)
{
    struct serial *s = serial;
    lock_acquire(&s->lock);
    s->room = true;
    serial_wake_locked(s);
    lock_release(&s->lock);
}

void serial_flush(struct serial *s)
{
    lock_acquire(&s->lock);
    while (s->running && !s->stopping && serial_queued_locked(s) > 0)
        lock_wait(&s->lock, &s->changed, UINT64_MAX);
    lock_release(&s->lock);
}

/* May `receive` be called? Until it takes everything, or serial_room(), only once. */
static bool serial_enter(struct serial *s)
{
    lock_acquire(&s->lock);
    bool enter = s->room && !s->stopping;
    s->room = false;
    s->entering = enter;
    pthread_cond_broadcast(&s->changed);
    lock_release(&s->lock);
    return enter;
}

static void serial_leave(struct serial *s, bool took_all)
{
    lock_acquire(&s->lock);
    s->entering = false;
    s->room |= took_all;
    lock_release(&s->lock);
}

static void serial_feed_guest(struct serial *s)
{
    while (s->in.used > 0 && serial_enter(s)) {
        size_t n = s->in.used;
        size_t took = s->receive(s->receive_ctx, fifo_front(&s->in), n);
        fifo_drop(&s->in, took < n ? took : n);
        serial_leave(s, took >= n);
    }
}

static void serial_notice(struct serial *s, const char *lines)
{
    while (s->config.notice && *lines) {
        char line[128];
        size_t n = strcspn(lines, "\n");
        snprintf(line, sizeof line, "%.*s", (int)n, lines);
        s->config.notice(s->config.ctx, line);
        lines += n + (lines[n] == '\n');
    }
}

static void serial_do_keys(struct serial *s, unsigned keys)
{
    if (keys & TERM_KEY_HELP)
        serial_notice(s, term_escape_help());
    if (keys & TERM_KEY_STATS && s->config.stats)
        s->config.stats(s->config.ctx);
    if (keys & TERM_KEY_POWER && s->config.power_key)
        s->config.power_key(s->config.ctx);
    if (keys & TERM_KEY_QUIT && s->config.quit)
        s->config.quit(s->config.ctx);
}

static void serial_hang_up(struct serial *s, struct endpoint *p)
{
    lock_acquire(&s->lock);
    endpoint_hang_up(p);
    pthread_cond_broadcast(&s->changed);
    lock_release(&s->lock);
}

static void serial_read(struct serial *s, struct endpoint *p, bool hung_up)
{
    uint8_t bytes[ENDPOINT_CHUNK];
    unsigned keys = 0;
    long n = endpoint_read(p, bytes, sizeof bytes);
    if (n < 0) {
        /* The end of input is not the end of output: `ireko run < file`, or a socket that was shut
         * down in one direction. */
        if (p->listen_fd < 0 || !hung_up)
            p->in_fd = -1;
        else
            serial_hang_up(s, p);
        return;
    }
    if (p->escape_active)
        n = (long)term_escape_filter(&p->escape, bytes, (size_t)n, &keys);
    s->gather_until = 0;
    if (fifo_put(&s->in, bytes, (size_t)n) < 0)
        log_limited(LOG_WARN, "serial", "input is lost: no memory");
    serial_do_keys(s, keys);
}

static void serial_write(struct serial *s, struct endpoint *p)
{
    uint8_t bytes[ENDPOINT_CHUNK];
    lock_acquire(&s->lock);
    size_t n = p->out.used < sizeof bytes ? p->out.used : sizeof bytes;
    if (n > 0)
        memcpy(bytes, fifo_front(&p->out), n);
    lock_release(&s->lock);
    if (n == 0)
        return;

    long put = endpoint_write(p, bytes, n);
    lock_acquire(&s->lock);
    if (put >= 0) {
        fifo_drop(&p->out, (size_t)put);
        if ((size_t)put == n && n < sizeof bytes) /* all that there was */
            s->gather_until = clock_monotonic_ns() + SERIAL_GATHER_MS * 1000000;
    } else {
        if (!endpoint_can_return(p)) {
            log_warn("serial", "no more output goes to %s: %s", p->path ? p->path : "stdout",
                     strerror((int)-put));
            fifo_drop(&p->out, p->out.used);
        }
        endpoint_hang_up(p);
    }
    pthread_cond_broadcast(&s->changed);
    lock_release(&s->lock);
}

/* Fill in what to wait for. Returns the time to wait in milliseconds, or -1 for ever. */
static int serial_prepare_poll(struct serial *s, struct pollfd *fd)
{
    int timeout = -1;
    lock_acquire(&s->lock);
    bool want_input = s->in.used < SERIAL_INPUT_MAX && !s->stopping;
    s->gathers = clock_monotonic_ns() < s->gather_until && !s->stopping &&
                 serial_queued_locked(s) <= SERIAL_GATHER_MAX;
    for (unsigned i = 0; i < s->count; i++, fd += SLOTS) {
        struct endpoint *p = &s->endpoint[i];
        if (endpoint_check(p))
            timeout = SERIAL_CHECK_MS;
        bool half_closed = p->listen_fd >= 0 && p->in_fd < 0; /* watched for its end only */
        bool want_output = p->out.used > 0 && !s->gathers;
        fd[SLOT_IN] = (struct pollfd){ .fd = want_input ? p->in_fd : -1, .events = POLLIN };
        fd[SLOT_OUT] = (struct pollfd){
            .fd = p->present && (want_output || half_closed) ? p->out_fd : -1,
            .events = want_output ? POLLOUT : 0,
        };
        fd[SLOT_LISTEN] = (struct pollfd){
            .fd = p->out_fd < 0 && !s->stopping ? p->listen_fd : -1,
            .events = POLLIN,
        };
    }
    if (s->gathers)
        timeout = SERIAL_GATHER_MS;
    if (s->stopping) {
        uint64_t now = clock_monotonic_ns();
        timeout = now < s->stop_deadline ? (int)((s->stop_deadline - now) / 1000000) + 1 : 0;
    }
    lock_release(&s->lock);
    return timeout;
}

static void serial_serve(struct serial *s, struct endpoint *p, const struct pollfd *fd)
{
    if (fd[SLOT_LISTEN].revents) {
        lock_acquire(&s->lock);
        endpoint_accept(p);
        lock_release(&s->lock);
        return;
    }
    if (fd[SLOT_OUT].revents & POLLOUT)
        serial_write(s, p);
    else if (fd[SLOT_OUT].revents && p->in_fd < 0)
        serial_hang_up(s, p);
    /* serial_write() may just have closed it. */
    if (fd[SLOT_IN].revents && p->in_fd == fd[SLOT_IN].fd)
        serial_read(s, p, fd[SLOT_IN].revents & POLLHUP);
}

/* Without the lock while it reads, which a vCPU may want meanwhile: nobody writes while `woken` is
 * set. */
static void serial_drain_wake(struct serial *s)
{
    char bytes[16];
    while (read(s->wake[0], bytes, sizeof bytes) > 0)
        ;
    lock_acquire(&s->lock);
    s->woken = false;
    lock_release(&s->lock);
}

/* Is there nothing left to do, or no time left to do it? */
static bool serial_is_done(struct serial *s)
{
    lock_acquire(&s->lock);
    bool done =
        s->stopping && (serial_queued_locked(s) == 0 || clock_monotonic_ns() >= s->stop_deadline);
    lock_release(&s->lock);
    return done;
}

static void *serial_thread(void *arg)
{
    struct serial *s = arg;
    thread_name("serial");
    while (!serial_is_done(s)) {
        struct pollfd fd[1 + SERIAL_MAX * SLOTS] = { { .fd = s->wake[0], .events = POLLIN } };
        int timeout = serial_prepare_poll(s, fd + 1);
        if (poll(fd, 1 + s->count * SLOTS, timeout) < 0)
            continue; /* EINTR */
        if (fd[0].revents)
            serial_drain_wake(s);
        for (unsigned i = 0; i < s->count; i++)
            serial_serve(s, &s->endpoint[i], fd + 1 + i * SLOTS);
        serial_feed_guest(s);
    }
    lock_acquire(&s->lock);
    s->running = false;
    pthread_cond_broadcast(&s->changed);
    lock_release(&s->lock);
    return NULL;
}

static int serial_open_endpoints(struct serial *s, struct err *e)
{
    const struct serial_config *c = &s->config;
    if (c->count > SERIAL_MAX)
        return err_set(e, -E2BIG, "%s: there can be at most %d", c->option, SERIAL_MAX);
    for (unsigned i = 0; i < c->count; i++) {
        for (unsigned j = 0; j < i; j++) {
            if (strcmp(c->endpoint[i], c->endpoint[j]) == 0 && strcmp(c->endpoint[i], "pty") != 0)
                return err_set(e, -EINVAL, "%s %s is given twice", c->option, c->endpoint[i]);
        }
        if (strcmp(c->endpoint[i], "none") == 0) {
            if (c->count > 1)
                return err_set(e, -EINVAL, "%s none cannot be combined with another one",
                               c->option);
            return 0;
        }
        int r = endpoint_open(&s->endpoint[i], c->option, c->endpoint[i], e);
        if (r < 0)
            return r;
        s->count++;
    }
    return 0;
}

int serial_create(const struct serial_config *config, struct serial **out, struct err *e)
{
    struct serial *s = calloc(1, sizeof *s);
    if (!s)
        return err_set(e, -ENOMEM, "not enough memory");
    s->config = *config;
    s->room = true;
    lock_init(&s->lock, LOCK_HOST);
    cond_init(&s->changed);
    int r = pipe(s->wake) < 0 ? err_set(e, -errno, "no pipe: %s", strerror(errno)) : 0;
    if (r < 0) {
        s->wake[0] = s->wake[1] = -1;
    } else {
        for (int i = 0; i < 2; i++) {
            fcntl(s->wake[i], F_SETFL, O_NONBLOCK);
            fcntl(s->wake[i], F_SETFD, FD_CLOEXEC);
        }
        r = serial_open_endpoints(s, e);
    }
    if (r < 0) {
        serial_destroy(s);
        return r;
    }
    *out = s;
    return 0;
}

int serial_start(struct serial *s, size_t (*receive)(void *ctx, const uint8_t *bytes, size_t n),
                 void *ctx)
{
    s->receive = receive;
    s->receive_ctx = ctx;
    for (unsigned i = 0; i < s->count; i++) {
        const struct endpoint *p = &s->endpoint[i];
        int r = p->escape_active ? term_raw(p->in_fd) : 0;
        if (r < 0)
            return r;
        if (p->name[0] != '\0') {
            char line[128];
            snprintf(line, sizeof line, "%s pty is on %s", s->config.option, p->name);
            serial_notice(s, line);
        }
    }
    s->running = s->started = true;
    int r = pthread_create(&s->thread, NULL, serial_thread, s);
    if (r != 0)
        s->running = s->started = false;
    return -r;
}

void serial_stop(struct serial *s)
{
    lock_acquire(&s->lock);
    bool first = s->started && !s->stopping;
    if (first) {
        s->stopping = true;
        s->stop_deadline = clock_monotonic_ns() + SERIAL_STOP_NS;
        serial_wake_locked(s);
        pthread_cond_broadcast(&s->changed);
        uint64_t patience = s->stop_deadline + SERIAL_STOP_NS;
        while (s->running && lock_wait(&s->lock, &s->changed, patience) != ETIMEDOUT)
            ;
    }
    bool ended = !s->running;
    lock_release(&s->lock);
    if (first) {
        if (ended)
            pthread_join(s->thread, NULL);
        else
            pthread_detach(s->thread);
    }
    term_restore();
}

void serial_destroy(struct serial *s)
{
    if (!s)
        return;
    serial_stop(s);
    /* A thread that sits in a write to a terminal that hangs cannot be ended; what it uses stays
     * until the process ends. */
    if (s->running)
        return;
    for (unsigned i = 0; i < s->count; i++)
        endpoint_close(&s->endpoint[i]);
    for (int i = 0; i < 2; i++) {
        if (s->wake[i] >= 0)
            close(s->wake[i]);
    }
    fifo_fini(&s->in);
    pthread_cond_destroy(&s->changed);
    lock_fini(&s->lock);
    free(s);
}
