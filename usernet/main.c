/*
 * ireko-usernet: the user-mode network of one virtual machine, in a process of its own.
 *
 * usage: ireko-usernet SPEC, started by ireko with a data and a control socket (host/net_user.h).
 *
 * It ends when the data socket does. Frames for the guest wait in a buffer; while that is behind,
 * nothing more is read from the Internet, so that TCP slows the sender down.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/net.h"
#include "host/net_user.h"
#include "usernet/usernet.h"

#define PREFIX   4
#define IN_SIZE  (512u << 10)
#define OUT_SIZE (4u << 20)
#define OUT_HIGH (512u << 10)
#define SEND_NOW 4096 /* from so many bytes on a frame is worth a system call */
#define TIMER_MS 1000 /* router advertisements are seconds apart */

struct usernet {
    struct stack *stack;
    uint8_t in[IN_SIZE], out[OUT_SIZE];
    size_t in_end, out_start, out_end;
};

static void queue_bytes(struct usernet *u, const uint8_t *bytes, size_t n)
{
    memcpy(u->out + u->out_end, bytes, n);
    u->out_end += n;
}

/* How much of a long frame went without being copied: what waits goes first, and what is short goes
 * with what comes next. */
static size_t send_now(const struct usernet *u, uint8_t prefix[PREFIX], const uint8_t *frame,
                       size_t n)
{
    struct iovec v[] = { { prefix, PREFIX }, { (void *)(uintptr_t)frame, n } };
    const struct msghdr message = { .msg_iov = v, .msg_iovlen = ARRAY_LEN(v) };
    if (n < SEND_NOW || u->out_end > u->out_start)
        return 0;
    ssize_t sent = sendmsg(NET_USER_DATA_FD, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent > 0 ? (size_t)sent : 0;
}

/* For the guest. A frame that does not fit is lost, as on any wire; OUT_HIGH makes that rare. */
static void send_frame(void *ctx, const uint8_t *frame, size_t n)
{
    struct usernet *u = ctx;
    if (n == 0 || n > NET_FRAME_MAX)
        return;
    if (OUT_SIZE - u->out_end < PREFIX + n) {
        memmove(u->out, u->out + u->out_start, u->out_end - u->out_start);
        u->out_end -= u->out_start;
        u->out_start = 0;
        if (OUT_SIZE - u->out_end < PREFIX + n)
            return;
    }
    uint8_t prefix[PREFIX] = { 0, (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n };
    size_t sent = send_now(u, prefix, frame, n);
    if (sent < PREFIX)
        queue_bytes(u, prefix + sent, PREFIX - sent);
    size_t done = sent > PREFIX ? sent - PREFIX : 0;
    queue_bytes(u, frame + done, n - done);
}

/* False when the other end is gone. */
static bool flush(struct usernet *u)
{
    while (u->out_start < u->out_end) {
        ssize_t n = send(NET_USER_DATA_FD, u->out + u->out_start, u->out_end - u->out_start,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK;
        u->out_start += (size_t)n;
    }
    u->out_start = u->out_end = 0;
    return true;
}

static bool receive(struct usernet *u)
{
    ssize_t n = recv(NET_USER_DATA_FD, u->in + u->in_end, IN_SIZE - u->in_end, MSG_DONTWAIT);
    if (n < 0)
        return errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK;
    if (n == 0)
        return false;
    u->in_end += (size_t)n;
    size_t at = 0;
    while (u->in_end - at >= PREFIX) {
        const uint8_t *p = u->in + at;
        size_t length = (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
        if (length > NET_FRAME_MAX)
            return false;
        if (u->in_end - at - PREFIX < length)
            break;
        stack_input(u->stack, p + PREFIX, length);
        at += PREFIX + length;
    }
    memmove(u->in, u->in + at, u->in_end - at);
    u->in_end -= at;
    return true;
}

static void serve(struct usernet *u)
{
    static struct poll_set set;
    for (bool connected = true; connected;) {
        uint32_t timeout = TIMER_MS;
        size_t pending = u->out_end - u->out_start;
        set.fd[0] = (struct pollfd){ .fd = NET_USER_DATA_FD,
                                     .events = (short)(POLLIN | (pending ? POLLOUT : 0)) };
        set.count = 1;
        bool behind = pending > OUT_HIGH;
        if (!behind)
            stack_fill(u->stack, &set, &timeout);
        int found = poll(set.fd, set.count, (int)timeout);
        if (found < 0 && errno == EINTR)
            continue;
        if (found > 0 && (set.fd[0].revents & (POLLIN | POLLHUP | POLLERR)))
            connected = receive(u);
        if (!behind)
            stack_poll(u->stack, &set, found < 0);
        stack_run_timers(u->stack);
        connected = connected && flush(u);
    }
}

static void report(const char *line)
{
    char text[512];
    int n = snprintf(text, sizeof text, "%s\n", line);
    while (send(NET_USER_CONTROL_FD, text, (size_t)n, MSG_NOSIGNAL) < 0 && errno == EINTR)
        ;
}

/* Each connection of the guest is a descriptor. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max < USERNET_MAX_POLL ? limit.rlim_max : USERNET_MAX_POLL;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    struct net_spec spec;
    struct err e;
    if (argc != 2 || fcntl(NET_USER_CONTROL_FD, F_GETFD) < 0) {
        fprintf(stderr, "ireko-usernet is started by ireko; try: ireko run --net user\n");
        return 2;
    }
    struct usernet *u = calloc(1, sizeof *u);
    setsid(); /* the terminal's signals are not for us */
    signal(SIGPIPE, SIG_IGN);
    raise_limits();
    int r = u ? net_spec_parse(argv[1], &spec, &e) : err_set(&e, -ENOMEM, "no memory");
    if (r == 0)
        r = stack_create(&spec, send_frame, u, &u->stack, &e);
    if (r == 0)
        r = sandbox_enter(NET_USER_CONTROL_FD, &e);
    report(r < 0 ? e.text : "");
    if (r < 0)
        return 1;
    serve(u);
    _exit(0); /* there is nobody to tidy up for */
}
