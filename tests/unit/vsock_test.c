/* The host's end of vsock, between a driver that is a list of packets and real Unix sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/unix.h"
#include "host/vsock_conn.h"
#include "host/vsock_thread.h"

#define CID  3
#define PEER 1000 /* the guest's port */
#define ROOM 65536u

/* A driver: packets that it sends, and what it was given. */
static struct guest {
    struct vsock_packet out[512], in[2048];
    unsigned out_at, out_end, in_at, in_end;
    unsigned room;     /* packets that it takes */
    uint32_t most;     /* bytes of payload that one of its buffers holds */
    uint32_t received; /* bytes of payload in all */
    uint8_t bytes[1 << 20];
    uint8_t junk[VSOCK_PAYLOAD_MAX];
} g;

static struct vsock *s;
static char folder[] = "/tmp/ireko-vsock-XXXXXX";
static char path[64];

int vsock_start(struct vsock *v, const struct vsock_client *client)
{
    vsock_set_client(v, client);
    return 0;
}

void vsock_stop(struct vsock *v)
{
    (void)v;
}

static bool guest_transmit(void *ctx, struct vsock_packet *p)
{
    (void)ctx;
    if (g.out_at == g.out_end)
        return false;
    uint8_t *data = p->data;
    *p = g.out[g.out_at++];
    memcpy(data, p->data ? p->data : g.junk, p->length);
    p->data = data;
    return true;
}

static long guest_receive(void *ctx, const struct vsock_packet *p)
{
    (void)ctx;
    if (g.room == 0)
        return -1;
    g.room--;
    assert_true(g.in_end < 2048);
    struct vsock_packet *in = &g.in[g.in_end++];
    *in = *p;
    in->length = p->length < g.most ? p->length : g.most;
    if (in->length > 0 && g.received + in->length <= sizeof g.bytes)
        memcpy(g.bytes + g.received, p->data, in->length);
    g.received += in->length;
    return (long)in->length;
}

static void guest_pause(void *ctx)
{
    (void)ctx;
}

static int setup(void **state)
{
    (void)state;
    struct err e;
    memset(&g, 0, sizeof g);
    g.room = 2000;
    g.most = ROOM;
    strcpy(folder, "/tmp/ireko-vsock-XXXXXX");
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/v", folder);
    if (vsock_open(path, CID, &s, &e) < 0)
        return -1;
    const struct vsock_client client = { guest_transmit, guest_receive, guest_pause, NULL };
    return vsock_start(s, &client);
}

static int teardown(void **state)
{
    (void)state;
    vsock_close(s);
    assert_int_not_equal(access(path, F_OK), 0);
    return rmdir(folder);
}

/* ------------------------------------------------------------------ the guest's side */

static void work(void)
{
    for (unsigned i = 0; i < 20; i++)
        while (vsock_step(s, false))
            ;
}

static struct vsock_packet *send_packet(uint16_t op, uint32_t port, uint32_t peer, uint32_t length)
{
    struct vsock_packet *p = &g.out[g.out_end++];
    *p = (struct vsock_packet){
        .src_cid = CID,
        .dst_cid = VSOCK_CID_HOST,
        .src_port = peer,
        .dst_port = port,
        .type = VSOCK_TYPE_STREAM,
        .op = op,
        .buf_alloc = ROOM,
        .length = length,
    };
    return p;
}

/* The next packet that the guest got, which has to be this one. */
static const struct vsock_packet *expect(uint16_t op, uint32_t port, uint32_t peer)
{
    assert_true(g.in_at < g.in_end);
    const struct vsock_packet *p = &g.in[g.in_at++];
    assert_int_equal(p->op, op);
    assert_int_equal(p->src_port, port);
    assert_int_equal(p->dst_port, peer);
    assert_int_equal(p->src_cid, VSOCK_CID_HOST);
    assert_int_equal(p->dst_cid, CID);
    assert_int_equal(p->type, VSOCK_TYPE_STREAM);
    return p;
}

static void expect_nothing(void)
{
    assert_int_equal(g.in_at, g.in_end);
}

/* ------------------------------------------------------------------ the program's side */

/* A program that listens for the guest at `port`. */
static int serve(uint32_t port)
{
    char at[80];
    snprintf(at, sizeof at, "%s_%u", path, port);
    int fd = unix_listen(at, 10);
    assert_true(fd >= 0);
    return fd;
}

static void stop_serving(int fd, uint32_t port)
{
    char at[80];
    snprintf(at, sizeof at, "%s_%u", path, port);
    close(fd);
    unlink(at);
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void hear(int fd, const char *text)
{
    char got[64] = "";
    assert_int_equal(recv(fd, got, sizeof got - 1, 0), strlen(text));
    assert_string_equal(got, text);
}

static bool is_at_end(int fd)
{
    char byte;
    return recv(fd, &byte, 1, 0) == 0;
}

static int fd, listener; /* of the test that runs */

/* The guest connects to port 52; `fd` is the program's end. */
static void guest_connects(void)
{
    listener = serve(52);
    send_packet(VSOCK_OP_REQUEST, 52, PEER, 0);
    work();
    expect(VSOCK_OP_RESPONSE, 52, PEER);
    fd = unix_accept(listener);
    assert_true(fd >= 0);
}

static void hang_up(void)
{
    close(fd);
    stop_serving(listener, 52);
}

/* ------------------------------------------------------------------ tests */

static void program_connects(void **state)
{
    (void)state;
    fd = unix_connect(path);
    say(fd, "CONN");
    work();
    expect_nothing();
    say(fd, "ECT 1234\nhello");
    work();
    const struct vsock_packet *p = &g.in[0];
    uint32_t port = p->src_port;
    expect(VSOCK_OP_REQUEST, port, 1234);
    assert_true(p->buf_alloc >= 4096);
    expect_nothing();
    send_packet(VSOCK_OP_RESPONSE, port, 1234, 0);
    work();
    char ok[32];
    snprintf(ok, sizeof ok, "OK %u\n", port);
    hear(fd, ok);
    assert_int_equal(expect(VSOCK_OP_RW, port, 1234)->length, 5);
    assert_memory_equal(g.bytes, "hello", 5);
    send_packet(VSOCK_OP_RW, port, 1234, 5)->data = (uint8_t[]){ "world" };
    work();
    hear(fd, "world");
    close(fd);
    work();
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN, port, 1234)->flags, VSOCK_NO_MORE);
    send_packet(VSOCK_OP_RST, port, 1234, 0);
    work();
    expect_nothing();
}

static void bad_greetings(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "CONNECT\n",   "CONNECT \n",
        "CONNECT x\n", "CONNECT 1 \n",
        "connect 1\n", "CONNECT 4294967296\n",
        "\n",          "CONNECT 00000000000000000000000000000000001\n"
    };
    for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
        fd = unix_connect(path);
        say(fd, lines[i]);
        work();
        char byte;
        assert_true(recv(fd, &byte, 1, 0) <= 0);
        close(fd);
    }
    work();
    expect_nothing();
}

static void guest_refuses(void **state)
{
    (void)state;
    fd = unix_connect(path);
    say(fd, "CONNECT 5\n");
    work();
    uint32_t port = g.in[0].src_port;
    expect(VSOCK_OP_REQUEST, port, 5);
    send_packet(VSOCK_OP_RST, port, 5, 0);
    work();
    assert_true(is_at_end(fd));
    close(fd);
}

/* The guest is told, if it had been asked. */
static void program_gives_up(void **state)
{
    (void)state;
    fd = unix_connect(path);
    say(fd, "CONNECT 5\n");
    work();
    uint32_t port = g.in[0].src_port;
    expect(VSOCK_OP_REQUEST, port, 5);
    close(fd);
    work();
    expect(VSOCK_OP_RST, port, 5);
}

static void nobody_listens(void **state)
{
    (void)state;
    send_packet(VSOCK_OP_REQUEST, 77, PEER, 0);
    send_packet(VSOCK_OP_RW, 78, PEER, 10);
    send_packet(VSOCK_OP_RST, 79, PEER, 0);
    send_packet(VSOCK_OP_REQUEST, 80, PEER, 0)->type = 2;
    send_packet(VSOCK_OP_REQUEST, 81, PEER, 0)->src_cid = 4; /* not this guest's */
    work();
    unsigned seen = 0;
    while (g.in_at < g.in_end) {
        const struct vsock_packet *p = &g.in[g.in_at++];
        assert_int_equal(p->op, VSOCK_OP_RST);
        assert_int_equal(p->dst_port, PEER);
        seen |= 1u << (p->src_port - 77);
    }
    assert_int_equal(seen, 1 << 0 | 1 << 1 | 1 << 3);
}

/* Each direction ends by itself, behind its data. */
static void half_close_by_guest(void **state)
{
    (void)state;
    guest_connects();
    send_packet(VSOCK_OP_RW, 52, PEER, 4)->data = (uint8_t[]){ "last" };
    send_packet(VSOCK_OP_SHUTDOWN, 52, PEER, 0)->flags = VSOCK_NO_SEND;
    work();
    hear(fd, "last");
    assert_true(is_at_end(fd));
    say(fd, "answer");
    work();
    assert_int_equal(expect(VSOCK_OP_RW, 52, PEER)->length, 6);
    send_packet(VSOCK_OP_SHUTDOWN, 52, PEER, 0)->flags = VSOCK_NO_MORE;
    work();
    expect(VSOCK_OP_RST, 52, PEER);
    hang_up();
}

static void half_close_by_program(void **state)
{
    (void)state;
    guest_connects();
    say(fd, "last");
    shutdown(fd, SHUT_WR);
    work();
    assert_int_equal(expect(VSOCK_OP_RW, 52, PEER)->length, 4);
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN, 52, PEER)->flags, VSOCK_NO_SEND);
    send_packet(VSOCK_OP_RW, 52, PEER, 6)->data = (uint8_t[]){ "answer" };
    work();
    hear(fd, "answer");
    hang_up();
    work();
}

/* The guest closes at once; what it had sent still arrives, though it knows nothing of it. */
static void last_words(void **state)
{
    (void)state;
    guest_connects();
    int small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    send_packet(VSOCK_OP_RW, 52, PEER, 60000);
    send_packet(VSOCK_OP_RW, 52, PEER, 60000);
    send_packet(VSOCK_OP_SHUTDOWN, 52, PEER, 0)->flags = VSOCK_NO_MORE;
    work();
    expect(VSOCK_OP_RST, 52, PEER);
    size_t total = 0;
    uint8_t bytes[4096];
    for (ssize_t n; (n = recv(fd, bytes, sizeof bytes, 0)) != 0;) {
        if (n > 0)
            total += (size_t)n;
        else
            work();
    }
    assert_int_equal(total, 120000);
    hang_up();
}

/* No more is read of the program than the guest has room for, in pieces as small as its buffers. */
static void credit_of_the_guest(void **state)
{
    (void)state;
    uint8_t text[10000];
    guest_connects();
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (uint8_t)(i * 7);
    g.most = 300;
    struct vsock_packet *p = send_packet(VSOCK_OP_CREDIT_UPDATE, 52, PEER, 0);
    p->buf_alloc = 1000;
    work();
    assert_int_equal(send(fd, text, sizeof text, 0), sizeof text);
    work();
    assert_int_equal(g.received, 1000);
    assert_int_equal(expect(VSOCK_OP_RW, 52, PEER)->length, 300);
    g.in_at = g.in_end - 1;
    expect(VSOCK_OP_CREDIT_REQUEST, 52, PEER);
    work();
    expect_nothing();
    for (uint32_t done = 1000; done < sizeof text; done += 1000) {
        p = send_packet(VSOCK_OP_CREDIT_UPDATE, 52, PEER, 0);
        p->buf_alloc = 1000;
        p->fwd_cnt = done;
        work();
        assert_int_equal(g.received, done + 1000);
    }
    assert_memory_equal(g.bytes, text, sizeof text);
    hang_up();
}

/* A program that does not read: the guest's bytes wait, and more than it was allowed break the
 * connection. Then it reads, and the guest hears of new room. */
static void credit_of_the_program(void **state)
{
    (void)state;
    guest_connects();
    send_packet(VSOCK_OP_CREDIT_REQUEST, 52, PEER, 0);
    work();
    const struct vsock_packet *update = expect(VSOCK_OP_CREDIT_UPDATE, 52, PEER);
    assert_int_equal(update->buf_alloc, CONN_BUFFER);
    uint32_t sent = 0, forwarded = update->fwd_cnt;
    while (sent - forwarded + 16384 <= CONN_BUFFER) { /* as a good driver does */
        send_packet(VSOCK_OP_RW, 52, PEER, 16384);
        sent += 16384;
        work();
        while (g.in_at < g.in_end)
            forwarded = expect(VSOCK_OP_CREDIT_UPDATE, 52, PEER)->fwd_cnt;
    }
    assert_true(sent > CONN_BUFFER);
    size_t total = 0;
    uint8_t bytes[4096];
    for (ssize_t n; total < sent; work())
        while ((n = recv(fd, bytes, sizeof bytes, 0)) > 0)
            total += (size_t)n;
    assert_true(g.in_at < g.in_end);
    while (g.in_at < g.in_end)
        forwarded = expect(VSOCK_OP_CREDIT_UPDATE, 52, PEER)->fwd_cnt;
    assert_true(sent - forwarded < CONN_BUFFER / 4);
    for (unsigned i = 0; i < 200 && g.in_at == g.in_end; i++) {
        send_packet(VSOCK_OP_RW, 52, PEER, 65536);
        work();
        while (g.in_at < g.in_end && g.in[g.in_at].op == VSOCK_OP_CREDIT_UPDATE)
            g.in_at++;
    }
    expect(VSOCK_OP_RST, 52, PEER);
    hang_up();
}

/* A driver that gives no buffers gets its answers later, and its packets wait meanwhile. */
static void no_room_for_answers(void **state)
{
    (void)state;
    g.room = 0;
    for (uint32_t i = 0; i < 300; i++)
        send_packet(VSOCK_OP_REQUEST, 9, i, 0);
    work();
    assert_true(g.out_at < 100);
    expect_nothing();
    for (unsigned i = 0; i < 300; i++) {
        g.room = 1;
        vsock_wake(s);
        work();
    }
    assert_int_equal(g.out_at, 300);
    assert_int_equal(g.in_end, 300);
}

/* A new driver knows nothing of the connections; a program that waits for it does not lose. */
static void driver_starts_again(void **state)
{
    (void)state;
    guest_connects();
    g.room = 0;
    int waiting = unix_connect(path);
    say(waiting, "CONNECT 6\n");
    work();
    vsock_reset(s, 1);
    work();
    assert_true(is_at_end(fd));
    g.room = 100;
    vsock_wake(s);
    work();
    const struct vsock_packet *p = expect(VSOCK_OP_REQUEST, g.in[g.in_at].src_port, 6);
    assert_int_equal(p->epoch, 1);
    send_packet(VSOCK_OP_RW, 52, PEER, 1)->epoch = 1;
    work();
    expect(VSOCK_OP_RST, 52, PEER);
    close(waiting);
    hang_up();
}

static void many_connections(void **state)
{
    (void)state;
    enum { MANY = 200 };
    int fds[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        fds[i] = unix_connect(path);
        say(fds[i], "CONNECT 6\n");
        work();
        send_packet(VSOCK_OP_RESPONSE, g.in[g.in_at].src_port, 6, 0);
        expect(VSOCK_OP_REQUEST, g.in[g.in_at].src_port, 6);
    }
    work();
    for (unsigned i = 0; i < MANY; i++) {
        char got[32];
        assert_true(recv(fds[i], got, sizeof got, 0) > 3);
        say(fds[i], "x");
    }
    work();
    uint32_t ports[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        ports[i] = g.in[g.in_at].src_port;
        expect(VSOCK_OP_RW, ports[i], 6);
        for (unsigned j = 0; j < i; j++)
            assert_int_not_equal(ports[i], ports[j]);
    }
    for (unsigned i = 0; i < MANY; i++)
        close(fds[i]);
    work();
    assert_int_equal(g.in_end - g.in_at, MANY);
}

/* Never more than there may be: the next ones are refused. */
static void too_many_connections(void **state)
{
    (void)state;
    listener = serve(52);
    int fds[600];
    unsigned accepted = 0;
    for (uint32_t i = 0; i < 600; i++) {
        g.out_at = g.out_end = 0;
        send_packet(VSOCK_OP_REQUEST, 52, i, 0);
        work();
        int got = unix_accept(listener);
        if (got >= 0)
            fds[accepted++] = got;
    }
    assert_true(accepted >= 256 && accepted < 600);
    assert_int_equal(g.in_end, 600);
    assert_int_equal(g.in[599].op, VSOCK_OP_RST);
    while (accepted > 0)
        close(fds[--accepted]);
    stop_serving(listener, 52);
}

/* A program that hangs up gets nothing any more, and the guest is told. */
static void program_is_gone(void **state)
{
    (void)state;
    guest_connects();
    close(fd);
    work();
    assert_int_equal(expect(VSOCK_OP_SHUTDOWN, 52, PEER)->flags, VSOCK_NO_MORE);
    send_packet(VSOCK_OP_RW, 52, PEER, 100); /* was on its way */
    work();
    expect_nothing();
    send_packet(VSOCK_OP_SHUTDOWN, 52, PEER, 0)->flags = VSOCK_NO_MORE;
    work();
    expect(VSOCK_OP_RST, 52, PEER);
    stop_serving(listener, 52);
}

static void bad_paths(void **state)
{
    (void)state;
    struct err e;
    struct vsock *other = NULL;
    char file[80];
    snprintf(file, sizeof file, "%s/file", folder);
    close(open(file, O_CREAT | O_WRONLY, 0600));
    assert_true(vsock_open(file, CID, &other, &e) < 0);
    assert_non_null(strstr(e.text, "--vsock"));
    assert_true(vsock_open(path, CID, &other, &e) < 0); /* in use */
    assert_true(vsock_open("/nonexistent/x", CID, &other, &e) < 0);
    char name[200];
    memset(name, 'x', sizeof name);
    name[sizeof name - 1] = 0;
    assert_true(vsock_open(name, CID, &other, &e) < 0);
    assert_non_null(strstr(e.text, "at most"));
    unlink(file);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(program_connects),      TEST(bad_greetings),
        TEST(guest_refuses),         TEST(program_gives_up),
        TEST(nobody_listens),        TEST(half_close_by_guest),
        TEST(half_close_by_program), TEST(last_words),
        TEST(credit_of_the_guest),   TEST(credit_of_the_program),
        TEST(no_room_for_answers),   TEST(driver_starts_again),
        TEST(many_connections),      TEST(too_many_connections),
        TEST(program_is_gone),       TEST(bad_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
