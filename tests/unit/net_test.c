/* A network on a Unix socket: frames both ways, back pressure, an end that comes back; and what
 * `--net` may say. */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "host/net.h"
#include "host/net_mac.h"
#include "tests/harness/quiet.h"

/* ------------------------------------------------------------------ --net */

static void good_specs(void **state)
{
    (void)state;
    struct net_spec s;
    struct err e;
    assert_int_equal(net_spec_parse("user", &s, &e), 0);
    assert_int_equal(s.kind, NET_USER);
    assert_int_equal(s.mtu, 65520);
    assert_false(s.has_mac);
    assert_int_equal(net_spec_parse("user,forward=tcp:2222:22,forward=udp:0.0.0.0:53:5353,"
                                    "forward=tcp:192.0.2.1:80:8080,mtu=1500,mac=52:54:00:aB:cd:09",
                                    &s, &e),
                     0);
    assert_int_equal(s.mtu, 1500);
    assert_memory_equal(s.mac, "\x52\x54\0\xab\xcd\x09", 6);
    assert_int_equal(s.forwards, 3);
    const struct sockaddr_in *in = &s.forward[0].host;
    assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    assert_int_equal(in->sin_port, htons(2222));
    assert_int_equal(s.forward[0].guest_port, 22);
    assert_false(s.forward[0].udp);
    in = &s.forward[1].host;
    assert_int_equal(in->sin_addr.s_addr, htonl(INADDR_ANY));
    assert_true(s.forward[1].udp);
    assert_int_equal(s.forward[2].host.sin_family, AF_INET);
    assert_int_equal(s.forward[2].guest_port, 8080);
    assert_int_equal(net_spec_parse("tap,name=tap0", &s, &e), 0);
    assert_string_equal(s.name, "tap0");
    assert_int_equal(net_spec_parse("unix,path=/run/x.sock,type=dgram", &s, &e), 0);
    assert_string_equal(s.path, "/run/x.sock");
    assert_true(s.datagram);
    assert_int_equal(net_spec_parse("none", &s, &e), 0);
}

/* What is wrong, and what the sentence must name. */
static void bad_specs(void **state)
{
    (void)state;
    static const struct {
        const char *text, *named;
    } cases[] = {
        { "", "user, tap, unix or none" },
        { "usr", "--net usr" },
        { "user,", "forward, mtu, mac" },
        { "user,frobnicate=1", "frobnicate" },
        { "user,name=tap0", "not for 'user'" },
        { "none,mac=52:54:00:00:00:01", "not for 'none'" },
        { "user,mtu", "needs a value" },
        { "user,mtu=1279", "1280" },
        { "user,mtu=65521", "65520" },
        { "user,mtu=9x", "number" },
        { "user,mac=52:54:00:00:00", "unicast" },
        { "user,mac=53:54:00:00:00:01", "unicast" },
        { "user,mac=52-54-00-00-00-01", "unicast" },
        { "user,forward=tcp:2222", "forward=tcp:2222:22" },
        { "user,forward=sctp:1:2", "sctp" },
        { "user,forward=tcp:0:22", "tcp:0:22" },
        { "user,forward=tcp:65536:22", "65536" },
        { "user,forward=tcp:2222:0", "tcp:2222:0" },
        { "user,forward=tcp:1.2.3:1:2", "1.2.3" },
        { "user,forward=tcp:::1:80:80", "IPv4 address" },
        { "user,forward=tcp:[::1]:80:80", "IPv4 address" },
        { "user,forward=tcp::80:80", "address" },
        { "user,forward=tcp", "tcp" },
        { "user,forward=", "forward=" },
        { "tap", "name=tap0" },
        { "tap,name=", "name=" },
        { "tap,name=abcdefghijklmnop", "15 characters" },
        { "unix", "path=PATH" },
        { "unix,path=/x,type=seqpacket", "stream or dgram" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_spec s;
        struct err e = { "" };
        assert_int_equal(net_spec_parse(cases[i].text, &s, &e), -EINVAL);
        if (!strstr(e.text, cases[i].named) || !strstr(e.text, "--net"))
            fail_msg("'%s': %s", cases[i].text, e.text);
    }
}

static void too_many_forwards(void **state)
{
    (void)state;
    char text[1024] = "user";
    struct net_spec s;
    struct err e;
    for (int i = 0; i < NET_MAX_FORWARDS; i++)
        strcat(text, ",forward=tcp:2222:22");
    assert_int_equal(net_spec_parse(text, &s, &e), 0);
    strcat(text, ",forward=tcp:2222:22");
    assert_int_equal(net_spec_parse(text, &s, &e), -EINVAL);
    assert_non_null(strstr(e.text, "at most 32"));
}

static void addresses_stay(void **state)
{
    (void)state;
    uint8_t a[6], b[6];
    net_mac("/some/disk.img", 0, a);
    net_mac("/some/disk.img", 0, b);
    assert_memory_equal(a, b, 6);
    assert_int_equal(a[0] & 3, 2); /* locally administered, unicast */
    net_mac("/some/disk.img", 1, b);
    assert_memory_not_equal(a, b, 6);
    net_mac("/other/disk.img", 0, b);
    assert_memory_not_equal(a, b, 6);
}

/* ------------------------------------------------------------------ a socket */

/* The client: sends frames of `to_send` bytes, keeps what comes. */
static struct {
    char path[64];
    struct net_spec spec;
    char text[96];
    struct net *net;
    int listener, peer;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned to_send, sent, received;
    size_t send_length, received_bytes, last_length;
    bool room, up;
} t;

static bool on_receive(void *ctx, const uint8_t *header, const uint8_t *frame, size_t n)
{
    (void)ctx;
    assert_null(header);
    pthread_mutex_lock(&t.lock);
    bool room = t.room;
    if (room) {
        t.received++;
        t.received_bytes += n;
        t.last_length = n;
        for (size_t i = 0; i < n; i++)
            if (frame[i] != (uint8_t)(t.received + i))
                t.last_length = SIZE_MAX;
        pthread_cond_broadcast(&t.changed);
    }
    pthread_mutex_unlock(&t.lock);
    return room;
}

static bool on_transmit(void *ctx)
{
    (void)ctx;
    uint8_t *header;
    pthread_mutex_lock(&t.lock);
    bool send = t.sent < t.to_send;
    if (send) {
        uint8_t *p = net_frame(t.net, &header);
        assert_null(header);
        t.sent++;
        for (size_t i = 0; i < t.send_length; i++)
            p[i] = (uint8_t)(t.sent + i);
        net_frame_done(t.net, t.send_length);
    }
    pthread_mutex_unlock(&t.lock);
    return send;
}

static void on_pause(void *ctx)
{
    (void)ctx;
}

static void on_link(void *ctx, bool up)
{
    (void)ctx;
    pthread_mutex_lock(&t.lock);
    t.up = up;
    pthread_cond_broadcast(&t.changed);
    pthread_mutex_unlock(&t.lock);
}

static void start_listening(void)
{
    struct sockaddr_un a = { .sun_family = AF_UNIX };
    strcpy(a.sun_path, t.path);
    unlink(t.path);
    t.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(t.listener, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(t.listener, 1), 0);
}

static int setup(void **state)
{
    (void)state;
    struct err e;
    memset(&t, 0, sizeof t);
    pthread_mutex_init(&t.lock, NULL);
    pthread_cond_init(&t.changed, NULL);
    quiet();
    t.room = t.up = true;
    snprintf(t.path, sizeof t.path, "/tmp/ireko-net-test.%ld", (long)getpid());
    snprintf(t.text, sizeof t.text, "unix,path=%s", t.path);
    start_listening();
    if (net_spec_parse(t.text, &t.spec, &e) < 0 || net_open(&t.spec, &t.net, &e) < 0)
        return -1;
    t.peer = accept(t.listener, NULL, NULL);
    const struct net_client client = { on_receive, on_transmit, on_pause, on_link, NULL };
    return net_start(t.net, &client) < 0 || net_ready(t.net, &e) < 0 ? -1 : 0;
}

static int teardown(void **state)
{
    (void)state;
    net_close(t.net);
    close(t.peer);
    close(t.listener);
    unlink(t.path);
    return 0;
}

static void read_all(uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t got = read(t.peer, p, n);
        assert_true(got > 0);
        p += got;
        n -= (size_t)got;
    }
}

static void write_all(const uint8_t *p, size_t n)
{
    while (n > 0) {
        ssize_t put = write(t.peer, p, n);
        assert_true(put > 0);
        p += put;
        n -= (size_t)put;
    }
}

/* The `number`-th frame of `n` bytes, from the peer. */
static void peer_sends(unsigned number, uint32_t n)
{
    static uint8_t record[4 + NET_FRAME_MAX];
    uint32_t prefix = htonl(n);
    memcpy(record, &prefix, 4);
    for (uint32_t i = 0; i < n; i++)
        record[4 + i] = (uint8_t)(number + i);
    write_all(record, 4 + n);
}

static void wait_received(unsigned count)
{
    pthread_mutex_lock(&t.lock);
    while (t.received < count)
        pthread_cond_wait(&t.changed, &t.lock);
    pthread_mutex_unlock(&t.lock);
}

static void wait_link(bool up)
{
    pthread_mutex_lock(&t.lock);
    while (t.up != up)
        pthread_cond_wait(&t.changed, &t.lock);
    pthread_mutex_unlock(&t.lock);
}

static void send_frames(unsigned count, size_t length)
{
    pthread_mutex_lock(&t.lock);
    t.to_send += count;
    t.send_length = length;
    pthread_mutex_unlock(&t.lock);
    net_wake(t.net);
}

static void frames_both_ways(void **state)
{
    (void)state;
    static const uint32_t lengths[] = { 14, 60, 1514, 65534, NET_FRAME_MAX };
    static uint8_t frame[NET_FRAME_MAX];
    for (unsigned i = 0; i < ARRAY_LEN(lengths); i++) {
        peer_sends(i + 1, lengths[i]);
        wait_received(i + 1);
        assert_int_equal(t.last_length, lengths[i]);
        uint32_t prefix;
        send_frames(1, lengths[i]);
        read_all((uint8_t *)&prefix, 4);
        assert_int_equal(ntohl(prefix), lengths[i]);
        read_all(frame, lengths[i]);
        for (uint32_t k = 0; k < lengths[i]; k++)
            assert_int_equal(frame[k], (uint8_t)(i + 1 + k));
    }
    assert_false(net_has_headers(t.net));
}

/* The peer does not read: the guest is asked for no more than fits, and nothing is lost. */
static void slow_peer(void **state)
{
    (void)state;
    static uint8_t frame[NET_FRAME_MAX];
    send_frames(2000, 30000);
    for (unsigned i = 1; i <= 2000; i++) {
        uint32_t prefix;
        read_all((uint8_t *)&prefix, 4);
        assert_int_equal(ntohl(prefix), 30000);
        read_all(frame, 30000);
        assert_int_equal(frame[0], (uint8_t)i);
        assert_int_equal(frame[29999], (uint8_t)(i + 29999));
        if (i == 1) {
            pthread_mutex_lock(&t.lock);
            assert_true(t.sent < 2000);
            pthread_mutex_unlock(&t.lock);
        }
    }
}

/* While the thread rests others send; not while something of it has not left, and nothing is lost.
 */
static void sent_by_others(void **state)
{
    (void)state;
    static uint8_t frame[30000];
    uint8_t *header;
    uint32_t prefix;
    unsigned sent = 0;
    bool claimed = true;
    while (claimed) {
        for (unsigned tries = 0; tries < 100; tries++) {
            claimed = net_claim(t.net);
            if (claimed)
                break;
            usleep(10000); /* it comes to rest, or the peer has to read first */
        }
        if (!claimed)
            break;
        uint8_t *p = net_frame(t.net, &header);
        memset(p, (int)++sent, sizeof frame);
        net_frame_done(t.net, sizeof frame);
        net_release(t.net);
    }
    assert_true(sent > 1);
    for (unsigned i = 1; i <= sent; i++) {
        read_all((uint8_t *)&prefix, 4);
        assert_int_equal(ntohl(prefix), sizeof frame);
        read_all(frame, sizeof frame);
        assert_int_equal(frame[0], (uint8_t)i);
        assert_int_equal(frame[sizeof frame - 1], (uint8_t)i);
    }
}

/* The guest has no room: the peer has to wait, and nothing is lost. */
static void slow_guest(void **state)
{
    (void)state;
    t.room = false;
    for (unsigned i = 1; i <= 4; i++)
        peer_sends(i, 50000);
    pthread_mutex_lock(&t.lock);
    assert_int_equal(t.received, 0);
    t.room = true;
    pthread_mutex_unlock(&t.lock);
    net_wake(t.net);
    wait_received(4);
    assert_int_equal(t.received_bytes, 200000);
}

static void peer_comes_back(void **state)
{
    (void)state;
    close(t.peer);
    wait_link(false);
    send_frames(10, 100); /* into nothing */
    t.peer = accept(t.listener, NULL, NULL);
    wait_link(true);
    peer_sends(1, 100);
    wait_received(1);
    assert_int_equal(t.last_length, 100);
}

/* A length that no frame has: the end of the connection, not of the process. */
static void nonsense(void **state)
{
    (void)state;
    write_all((const uint8_t *)"\xff\xff\xff\xff nonsense", 13);
    wait_link(false);
    assert_int_equal(t.received, 0);
}

static void cannot_open(void **state)
{
    (void)state;
    static const struct {
        const char *text, *named;
    } cases[] = {
        { "unix,path=/nonexistent/x", "/nonexistent/x" },
        { "unix,path=/nonexistent/x,type=dgram", "/nonexistent/x" },
        { "user", "ireko-usernet" }, /* is not beside this test */
        { "tap,name=a/b", "tap" },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct net_spec s;
        struct net *n;
        struct err e = { "" };
        assert_int_equal(net_spec_parse(cases[i].text, &s, &e), 0);
        assert_true(net_open(&s, &n, &e) < 0);
        if (!strstr(e.text, cases[i].named) || !strstr(e.text, "--net"))
            fail_msg("'%s': %s", cases[i].text, e.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_specs),
        cmocka_unit_test(bad_specs),
        cmocka_unit_test(too_many_forwards),
        cmocka_unit_test(addresses_stay),
        cmocka_unit_test_setup_teardown(frames_both_ways, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_peer, setup, teardown),
        cmocka_unit_test_setup_teardown(sent_by_others, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_guest, setup, teardown),
        cmocka_unit_test_setup_teardown(peer_comes_back, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense, setup, teardown),
        cmocka_unit_test(cannot_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
