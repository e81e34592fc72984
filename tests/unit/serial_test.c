/* Serial endpoints: nothing lost in either direction, whoever comes and goes. */
#include "host/serial.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "host/fifo.h"

/* A guest's UART that takes `fits` bytes, and then none until the test reads it. */
struct uart {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint8_t got[1 << 20];
    size_t n, fits;
    char notice[128];
};

static size_t uart_receive(void *ctx, const uint8_t *bytes, size_t n)
{
    struct uart *u = ctx;
    pthread_mutex_lock(&u->mutex);
    if (n > u->fits)
        n = u->fits;
    memcpy(u->got + u->n, bytes, n);
    u->n += n;
    u->fits -= n;
    pthread_cond_broadcast(&u->changed);
    pthread_mutex_unlock(&u->mutex);
    return n;
}

static void uart_notice(void *ctx, const char *line)
{
    struct uart *u = ctx;
    snprintf(u->notice, sizeof u->notice, "%s", line);
}

/* Let the UART take 16 bytes at a time until it has `total`. */
static void uart_take(struct uart *u, struct serial *s, size_t total)
{
    pthread_mutex_lock(&u->mutex);
    while (u->n < total) {
        u->fits = 16;
        pthread_mutex_unlock(&u->mutex);
        serial_room(s);
        pthread_mutex_lock(&u->mutex);
        while (u->fits == 16)
            pthread_cond_wait(&u->changed, &u->mutex);
    }
    pthread_mutex_unlock(&u->mutex);
}

static struct uart *uart_create(void)
{
    struct uart *u = calloc(1, sizeof *u);
    assert_non_null(u);
    pthread_mutex_init(&u->mutex, NULL);
    pthread_cond_init(&u->changed, NULL);
    return u;
}

static struct serial *start(struct uart *u, unsigned count, const char *const *endpoint)
{
    struct serial_config config = {
        .option = "--serial", .endpoint = endpoint, .count = count, .notice = uart_notice, .ctx = u
    };
    struct serial *s;
    struct err e = { "" };
    assert_int_equal(serial_create(&config, &s, &e), 0);
    assert_int_equal(serial_start(s, uart_receive, u), 0);
    return s;
}

static void path_in_tmp(char *path, size_t n, const char *name)
{
    snprintf(path, n, "/tmp/ireko-serial-test-%ld-%s", (long)getpid(), name);
}

static void send_pattern(struct serial *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)(i * 7 + (i >> 8));
        serial_send(s, &byte, 1);
    }
}

static void check_pattern(const uint8_t *bytes, size_t first, size_t n)
{
    for (size_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], (uint8_t)((first + i) * 7 + ((first + i) >> 8)));
}

static void read_pattern(int fd, size_t first, size_t n)
{
    uint8_t bytes[4096];
    while (n > 0) {
        ssize_t got = read(fd, bytes, n < sizeof bytes ? n : sizeof bytes);
        assert_true(got > 0);
        check_pattern(bytes, first, (size_t)got);
        first += (size_t)got;
        n -= (size_t)got;
    }
}

static int connect_to(const char *path)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void test_fifo(void **state)
{
    (void)state;
    struct fifo f = { 0 };
    size_t in = 0, out = 0;
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[200];
        size_t n = (size_t)(round * 37 % 200);
        for (size_t i = 0; i < n; i++, in++)
            bytes[i] = (uint8_t)(in * 7 + (in >> 8));
        assert_int_equal(fifo_put(&f, bytes, n), 0);
        assert_int_equal(f.used, in - out);
        size_t drop = round < 1000 ? f.used / 3 : f.used / 2;
        check_pattern(fifo_front(&f), out, drop);
        fifo_drop(&f, drop);
        out += drop;
    }
    assert_true(f.capacity <= 4096);
    fifo_fini(&f);
}

static void test_several_at_once(void **state)
{
    (void)state;
    char a[64], b[64], spec_a[80], spec_b[80];
    path_in_tmp(a, sizeof a, "a");
    path_in_tmp(b, sizeof b, "b");
    snprintf(spec_a, sizeof spec_a, "file:%s", a);
    snprintf(spec_b, sizeof spec_b, "file:%s", b);
    struct uart *u = uart_create();
    struct serial *s = start(u, 2, (const char *[]){ spec_a, spec_b });
    send_pattern(s, 200000);
    serial_destroy(s);
    const char *const paths[] = { a, b };
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct stat st;
        int fd = open(paths[i], O_RDONLY);
        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 200000);
        read_pattern(fd, 0, 200000);
        close(fd);
        unlink(paths[i]);
    }
    free(u);
}

/* A paste much larger than the UART, the socket and our own queue. */
static void *paste(void *arg)
{
    int fd = *(int *)arg;
    uint8_t bytes[1000];
    for (size_t sent = 0; sent < 300000; sent += sizeof bytes) {
        for (size_t i = 0; i < sizeof bytes; i++)
            bytes[i] = (uint8_t)((sent + i) * 7 + ((sent + i) >> 8));
        if (write(fd, bytes, sizeof bytes) != (ssize_t)sizeof bytes)
            break;
    }
    return NULL;
}

static void test_paste_into_socket(void **state)
{
    (void)state;
    char path[64], spec[80];
    path_in_tmp(path, sizeof path, "socket");
    snprintf(spec, sizeof spec, "unix:%s", path);
    struct uart *u = uart_create();
    struct serial *s = start(u, 1, (const char *[]){ spec });
    int fd = connect_to(path);
    pthread_t t;
    assert_int_equal(pthread_create(&t, NULL, paste, &fd), 0);
    uart_take(u, s, 300000);
    pthread_join(t, NULL);
    assert_int_equal(u->n, 300000);
    check_pattern(u->got, 0, 300000);
    close(fd);
    serial_destroy(s);
    assert_int_equal(access(path, F_OK), -1); /* cleaned up */
    free(u);
}

/* Bytes that come one by one leave together: at most one write a millisecond. */
#define GATHERED 20000

static void *count_reads(void *arg)
{
    int fd = *(int *)arg;
    uint8_t bytes[4096];
    uintptr_t reads = 0;
    for (size_t n = 0; n < GATHERED; reads++) {
        ssize_t got = read(fd, bytes, sizeof bytes);
        if (got <= 0)
            break;
        check_pattern(bytes, n, (size_t)got);
        n += (size_t)got;
    }
    return (void *)reads;
}

static void test_output_is_gathered(void **state)
{
    (void)state;
    char path[64], spec[80];
    path_in_tmp(path, sizeof path, "gathered");
    snprintf(spec, sizeof spec, "unix:%s", path);
    struct uart *u = uart_create();
    struct serial *s = start(u, 1, (const char *[]){ spec });
    int fd = connect_to(path);
    pthread_t t;
    void *reads;
    uint64_t start_ns = clock_monotonic_ns();
    assert_int_equal(pthread_create(&t, NULL, count_reads, &fd), 0);
    send_pattern(s, GATHERED);
    pthread_join(t, &reads);
    uint64_t ms = (clock_monotonic_ns() - start_ns) / 1000000;
    /* Writes and reads have 4096 bytes at most. */
    assert_in_range((uintptr_t)reads, 1, ms + 2 + 2 * (GATHERED / 4096));
    close(fd);
    serial_destroy(s);
    free(u);
}

static void test_socket_reconnect(void **state)
{
    (void)state;
    char path[64], spec[80];
    path_in_tmp(path, sizeof path, "again");
    snprintf(spec, sizeof spec, "unix:%s", path);
    struct uart *u = uart_create();
    struct serial *s = start(u, 1, (const char *[]){ spec });
    /* Nobody there: the newest SERIAL_BACKLOG bytes are kept, and the guest does not wait. */
    size_t total = SERIAL_BACKLOG + 1000;
    send_pattern(s, total);
    int first = connect_to(path);
    read_pattern(first, 1000, SERIAL_BACKLOG);
    /* The second waits until the first has left. */
    int second = connect_to(path);
    serial_send(s, (const uint8_t *)"one", 3);
    char bytes[8];
    assert_int_equal(recv(first, bytes, 3, MSG_WAITALL), 3);
    assert_memory_equal(bytes, "one", 3);
    close(first);
    u->fits = 2;
    assert_int_equal(write(second, "hi", 2), 2);
    pthread_mutex_lock(&u->mutex);
    while (u->n < 2) /* only the client that is served is read */
        pthread_cond_wait(&u->changed, &u->mutex);
    pthread_mutex_unlock(&u->mutex);
    serial_send(s, (const uint8_t *)"two", 3);
    assert_int_equal(recv(second, bytes, 3, MSG_WAITALL), 3);
    assert_memory_equal(bytes, "two", 3);
    /* Shut down for writing, it still reads. */
    assert_int_equal(shutdown(second, SHUT_WR), 0);
    serial_send(s, (const uint8_t *)"end", 3);
    assert_int_equal(recv(second, bytes, 3, MSG_WAITALL), 3);
    assert_memory_equal(bytes, "end", 3);
    serial_destroy(s);
    assert_int_equal(recv(second, bytes, 1, 0), 0);
    close(second);
    free(u);
}

static void test_pty(void **state)
{
    (void)state;
    struct uart *u = uart_create();
    struct serial *s = start(u, 1, (const char *[]){ "pty" });
    const char *name = strstr(u->notice, "/dev/");
    assert_non_null(name);
    serial_send(s, (const uint8_t *)"early\n", 6); /* before anyone opened it */
    for (int round = 0; round < 2; round++) {
        int fd = open(name, O_RDWR | O_NOCTTY);
        char bytes[16];
        assert_true(fd >= 0);
        if (round == 1)
            serial_send(s, (const uint8_t *)"later\n", 6);
        for (size_t n = 0; n < 6;) {
            ssize_t got = read(fd, bytes + n, 6 - n);
            assert_true(got > 0);
            n += (size_t)got;
        }
        assert_memory_equal(bytes, round == 0 ? "early\n" : "later\n", 6);
        pthread_mutex_lock(&u->mutex);
        u->n = 0;
        u->fits = 3;
        pthread_mutex_unlock(&u->mutex);
        serial_room(s);
        assert_int_equal(write(fd, "ab\r", 3), 3);
        pthread_mutex_lock(&u->mutex);
        while (u->n < 3)
            pthread_cond_wait(&u->changed, &u->mutex);
        assert_memory_equal(u->got, "ab\r", 3); /* no echo, no translation */
        pthread_mutex_unlock(&u->mutex);
        close(fd);
    }
    serial_destroy(s);
    free(u);
}

/* A reader that does not read slows the guest down, loses nothing, and cannot hold up the end. */
static void test_slow_reader(void **state)
{
    (void)state;
    char path[64], spec[80];
    path_in_tmp(path, sizeof path, "slow");
    snprintf(spec, sizeof spec, "unix:%s", path);
    struct uart *u = uart_create();
    struct serial *s = start(u, 1, (const char *[]){ spec });
    int fd = connect_to(path);
    uint8_t *big = malloc(1 << 20);
    for (size_t i = 0; i < 1 << 20; i++)
        big[i] = (uint8_t)(i * 7 + (i >> 8));
    serial_send(s, big, 1); /* so that the client is accepted before the rest */
    read_pattern(fd, 0, 1);
    serial_send(s, big + 1, (1 << 20) - 1);
    uint64_t before = clock_monotonic_ns();
    serial_send(s, (const uint8_t *)"x", 1); /* behind: waits, but not for long */
    uint64_t waited = clock_monotonic_ns() - before;
    assert_true(waited >= SERIAL_SEND_WAIT_NS / 2);
    read_pattern(fd, 1, (1 << 20) - 1);
    uint8_t x;
    assert_int_equal(read(fd, &x, 1), 1);
    assert_int_equal(x, 'x');
    serial_flush(s); /* returns: all was taken */
    serial_send(s, big, 1 << 20);
    before = clock_monotonic_ns();
    serial_destroy(s); /* the reader sleeps; one second is all it gets */
    assert_true(clock_monotonic_ns() - before < 10000000000ull);
    close(fd);
    free(big);
    free(u);
}

static void test_stdio(void **state)
{
    (void)state;
    int in[2], out[2], saved_in = dup(0), saved_out = dup(1);
    assert_true(pipe(in) == 0 && pipe(out) == 0);
    fflush(stdout);
    dup2(in[0], 0);
    dup2(out[1], 1);
    struct uart *u = uart_create();
    u->fits = 100;
    struct serial *s = start(u, 1, (const char *[]){ "stdio" });
    assert_int_equal(write(in[1], "\x01x is not a key in a pipe", 25), 25);
    close(in[1]); /* the end of input is not the end of output */
    pthread_mutex_lock(&u->mutex);
    while (u->n < 25)
        pthread_cond_wait(&u->changed, &u->mutex);
    assert_memory_equal(u->got, "\x01x is not a key in a pipe", 25);
    pthread_mutex_unlock(&u->mutex);
    serial_send(s, (const uint8_t *)"still here", 10);
    char bytes[16];
    assert_int_equal(read(out[0], bytes, 10), 10);
    assert_memory_equal(bytes, "still here", 10);
    assert_int_equal(fcntl(1, F_GETFL) & O_NONBLOCK, 0);
    close(out[0]); /* nobody reads: the guest goes on */
    send_pattern(s, 100000);
    serial_flush(s);
    serial_destroy(s);
    dup2(saved_in, 0);
    dup2(saved_out, 1);
    close(saved_in);
    close(saved_out);
    close(in[0]);
    close(out[1]);
    free(u);
}

static const struct bad_case {
    const char *endpoint[2];
    const char *says;
} bad_cases[] = {
    { { "tty" }, "--serial tty: it is one of" },
    { { "" }, "--serial : it is one of" },
    { { "stdiox" }, "it is one of" },
    { { "stdio:x" }, "without ':'" },
    { { "file" }, "with a path" },
    { { "file:" }, "with a path" },
    { { "file:/nonexistent/x" }, "--serial file:/nonexistent/x: cannot write" },
    { { "file:/tmp" }, "--serial file:/tmp: cannot write" },
    { { "unix:/tmp" }, "something is there already" },
    { { "unix:/nonexistent/x" }, "cannot make a socket" },
    { { "none", "pty" }, "none cannot be combined" },
    { { "pty", "none" }, "none cannot be combined" },
    { { "stdio", "stdio" }, "given twice" },
};

static void test_bad_endpoints(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
        const struct bad_case *c = &bad_cases[i];
        struct serial_config config = { .option = "--serial",
                                        .endpoint = c->endpoint,
                                        .count = c->endpoint[1] ? 2 : 1 };
        struct serial *s = NULL;
        struct err e = { "" };
        assert_true(serial_create(&config, &s, &e) < 0);
        assert_null(s);
        if (!strstr(e.text, c->says))
            fail_msg("'%s' is not in '%s'", c->says, e.text);
        assert_null(strchr(e.text, '\n'));
    }
}

static void test_stale_socket(void **state)
{
    (void)state;
    char path[64], spec[80];
    path_in_tmp(path, sizeof path, "stale");
    snprintf(spec, sizeof spec, "unix:%s", path);
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd); /* as a killed process leaves it */
    struct uart *u = uart_create();
    struct serial *s = start(u, 1, (const char *[]){ spec });
    /* But not that of one that lives. */
    struct serial_config config = { .option = "--serial",
                                    .endpoint = (const char *[]){ spec },
                                    .count = 1 };
    struct serial *other;
    struct err e;
    assert_true(serial_create(&config, &other, &e) < 0);
    close(connect_to(path));
    serial_destroy(s);
    free(u);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fifo),
        cmocka_unit_test(test_several_at_once),
        cmocka_unit_test(test_paste_into_socket),
        cmocka_unit_test(test_output_is_gathered),
        cmocka_unit_test(test_socket_reconnect),
        cmocka_unit_test(test_pty),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_stdio),
        cmocka_unit_test(test_bad_endpoints),
        cmocka_unit_test(test_stale_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
