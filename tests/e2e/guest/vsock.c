/*
 * A program for the guest that speaks AF_VSOCK.
 *
 *   vsock connect PORT   standard input goes to PORT of the host, what comes back to standard
 * output; each direction ends by itself. Status 1 when nobody is there. vsock echo PORT      serve
 * PORT for ever: every connection gets back what it sends
 */

#include "call.h"

enum {
    NR_WAIT4 = 260,
    NR_CLOSE = 57,
    NR_READ = 63,
    NR_WRITE = 64,
    NR_SOCKET = 198,
    NR_BIND = 200,
    NR_LISTEN = 201,
    NR_ACCEPT = 202,
    NR_CONNECT = 203,
    NR_SHUTDOWN = 210,
    NR_CLONE = 220,

    AF_VSOCK = 40,
    SOCK_STREAM = 1,
    SHUT_WR = 1,
    SIGCHLD = 17,
    CID_ANY = -1,
    CID_HOST = 2,
};

struct sockaddr_vm {
    unsigned short family, reserved;
    unsigned port, cid;
    unsigned char zero[4];
};

/* Until the input ends. False when the output does not take it. */
static int copy(long from, long to)
{
    static char bytes[16384];
    for (long n; (n = call(NR_READ, from, (long)bytes, sizeof bytes)) != 0;) {
        if (n < 0)
            return 0;
        for (long at = 0; at < n;) {
            long put = call(NR_WRITE, to, (long)bytes + at, n - at);
            if (put <= 0)
                return 0;
            at += put;
        }
    }
    return 1;
}

static long address(const char *port, unsigned cid, long nr, long fd)
{
    struct sockaddr_vm a = { .family = AF_VSOCK, .cid = cid };
    while (*port)
        a.port = 10 * a.port + (unsigned)(*port++ - '0');
    return call(nr, fd, (long)&a, sizeof a);
}

static long fork(void)
{
    return call(NR_CLONE, SIGCHLD, 0, 0);
}

static _Noreturn void connect_to(const char *port)
{
    long fd = call(NR_SOCKET, AF_VSOCK, SOCK_STREAM, 0), status = 0;
    if (fd < 0 || address(port, CID_HOST, NR_CONNECT, fd) < 0)
        quit(1);
    if (fork() == 0)
        quit(copy(fd, 1) ? 0 : 2);
    if (!copy(0, fd))
        quit(3);
    call(NR_SHUTDOWN, fd, SHUT_WR, 0);
    call(NR_WAIT4, -1, (long)&status, 0);
    quit(status != 0);
}

static _Noreturn void echo(const char *port)
{
    long fd = call(NR_SOCKET, AF_VSOCK, SOCK_STREAM, 0);
    if (fd < 0 || address(port, (unsigned)CID_ANY, NR_BIND, fd) < 0 ||
        call(NR_LISTEN, fd, 64, 0) < 0)
        quit(1);
    for (;;) {
        long client = call(NR_ACCEPT, fd, 0, 0);
        if (client >= 0 && fork() == 0) {
            call(NR_CLOSE, fd, 0, 0);
            quit(copy(client, client) ? 0 : 2);
        }
        call(NR_CLOSE, client, 0, 0);
        while (call(NR_WAIT4, -1, 0, 1) > 0) /* WNOHANG */
            ;
    }
}

_Noreturn void program(long argc, const char *const *argv)
{
    if (argc < 3)
        quit(1);
    if (argv[1][0] == 'c')
        connect_to(argv[2]);
    echo(argv[2]);
}
