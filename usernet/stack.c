/*
 * The network that the guest sees, by libslirp: a router with NAT, DHCP, DNS and IPv6 router
 * advertisements, whose Internet side is this host's sockets.
 *
 * 10.0.2.0/24 and fd00::/64; the router (and the host's loopback) is 10.0.2.2 and fd00::2, the name
 * server 10.0.2.3 and fd00::3, the guest 10.0.2.15. These are the addresses that everybody who has
 * used QEMU's user network knows.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libslirp.h>

#include "base/clock.h"
#include "usernet/usernet.h"

#define STACK_GUEST "10.0.2.15"

struct stack_timer {
    SlirpTimerCb fire;
    void *arg;
    uint64_t deadline; /* ns, UINT64_MAX: off */
    struct stack_timer *next;
};

struct stack {
    Slirp *slirp;
    void (*send)(void *ctx, const uint8_t *frame, size_t n);
    void *ctx;
    struct stack_timer *timers;
};

/* ------------------------------------------------------------------ libslirp's calls */

static ssize_t on_send(const void *frame, size_t n, void *opaque)
{
    struct stack *s = opaque;
    s->send(s->ctx, frame, n);
    return (ssize_t)n;
}

static void on_guest_error(const char *message, void *opaque)
{
    (void)message;
    (void)opaque; /* a guest's mistake is its own */
}

static int64_t on_clock(void *opaque)
{
    (void)opaque;
    return (int64_t)clock_monotonic_ns();
}

static void *on_timer_new(SlirpTimerCb fire, void *arg, void *opaque)
{
    struct stack *s = opaque;
    struct stack_timer *t = calloc(1, sizeof *t);
    if (!t)
        abort(); /* before the guest runs */
    *t =
        (struct stack_timer){ .fire = fire, .arg = arg, .deadline = UINT64_MAX, .next = s->timers };
    s->timers = t;
    return t;
}

static void on_timer_free(void *timer, void *opaque)
{
    struct stack *s = opaque;
    for (struct stack_timer **t = &s->timers; *t; t = &(*t)->next) {
        if (*t == timer) {
            *t = (*t)->next;
            free(timer);
            return;
        }
    }
}

static void on_timer_mod(void *timer, int64_t deadline_ms, void *opaque)
{
    (void)opaque;
    ((struct stack_timer *)timer)->deadline = (uint64_t)deadline_ms * 1000000;
}

static void on_poll_fd(int fd, void *opaque)
{
    (void)fd;
    (void)opaque; /* stack_fill() asks for all */
}

static void on_notify(void *opaque)
{
    (void)opaque; /* there is one thread */
}

static const SlirpCb callbacks = {
    .send_packet = on_send,
    .guest_error = on_guest_error,
    .clock_get_ns = on_clock,
    .timer_new = on_timer_new,
    .timer_free = on_timer_free,
    .timer_mod = on_timer_mod,
    .register_poll_fd = on_poll_fd,
    .unregister_poll_fd = on_poll_fd,
    .notify = on_notify,
};

/* ------------------------------------------------------------------ creation */

static int add_forward(struct stack *s, const struct net_forward *f, struct err *e)
{
    struct in_addr guest;
    inet_pton(AF_INET, STACK_GUEST, &guest);
    errno = 0;
    if (slirp_add_hostfwd(s->slirp, f->udp, f->host.sin_addr, ntohs(f->host.sin_port), guest,
                          f->guest_port) == 0)
        return 0;
    int code = errno;
    return err_set(e, -EADDRINUSE, "forward=%.*s: cannot listen there (%s); choose another port",
                   f->text_length, f->text, code ? strerror(code) : "unknown reason");
}

int stack_create(const struct net_spec *spec,
                 void (*send)(void *ctx, const uint8_t *frame, size_t n), void *ctx,
                 struct stack **out, struct err *e)
{
    struct stack *s = calloc(1, sizeof *s);
    SlirpConfig c = { .version = 3, .in_enabled = true, .in6_enabled = true, .vprefix_len = 64 };
    if (!s)
        return err_set(e, -ENOMEM, "no memory");
    s->send = send;
    s->ctx = ctx;
    inet_pton(AF_INET, "10.0.2.0", &c.vnetwork);
    inet_pton(AF_INET, "255.255.255.0", &c.vnetmask);
    inet_pton(AF_INET, "10.0.2.2", &c.vhost);
    inet_pton(AF_INET, "10.0.2.3", &c.vnameserver);
    inet_pton(AF_INET, STACK_GUEST, &c.vdhcp_start);
    inet_pton(AF_INET6, "fd00::", &c.vprefix_addr6);
    inet_pton(AF_INET6, "fd00::2", &c.vhost6);
    inet_pton(AF_INET6, "fd00::3", &c.vnameserver6);
    c.vhostname = "ireko";
    c.if_mtu = c.if_mru = spec->mtu;
    s->slirp = slirp_new(&c, &callbacks, s);
    int r = s->slirp ? 0 : err_set(e, -EIO, "libslirp %s does not start", slirp_version_string());
    for (unsigned i = 0; r == 0 && i < spec->forwards; i++)
        r = add_forward(s, &spec->forward[i], e);
    *out = s; /* lives as long as the process */
    return r;
}

void stack_input(struct stack *s, const uint8_t *frame, size_t n)
{
    slirp_input(s->slirp, frame, (int)n);
}

/* ------------------------------------------------------------------ waiting */

static const struct {
    int slirp;
    short poll;
} events[] = {
    { SLIRP_POLL_IN, POLLIN },   { SLIRP_POLL_OUT, POLLOUT }, { SLIRP_POLL_PRI, POLLPRI },
    { SLIRP_POLL_ERR, POLLERR }, { SLIRP_POLL_HUP, POLLHUP },
};

static int on_add_poll(int fd, int wanted, void *opaque)
{
    struct poll_set *set = opaque;
    if (set->count == USERNET_MAX_POLL)
        return -1;
    struct pollfd *p = &set->fd[set->count];
    *p = (struct pollfd){ .fd = fd };
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (wanted & events[i].slirp)
            p->events |= events[i].poll;
    return (int)set->count++;
}

static int on_revents(int index, void *opaque)
{
    const struct poll_set *set = opaque;
    int found = 0;
    if (index < 0 || (unsigned)index >= set->count)
        return 0;
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        if (set->fd[index].revents & events[i].poll)
            found |= events[i].slirp;
    return found;
}

void stack_fill(struct stack *s, struct poll_set *set, uint32_t *timeout)
{
    slirp_pollfds_fill(s->slirp, timeout, on_add_poll, set);
}

void stack_poll(struct stack *s, const struct poll_set *set, bool failed)
{
    slirp_pollfds_poll(s->slirp, failed, on_revents, (void *)(uintptr_t)set);
}

void stack_run_timers(struct stack *s)
{
    uint64_t now = clock_monotonic_ns();
    for (struct stack_timer *t = s->timers; t; t = t->next) {
        if (t->deadline > now)
            continue;
        t->deadline = UINT64_MAX;
        t->fire(t->arg);
    }
}
