/*
 * A program for the guest that gives a network card rings of another size, as ethtool -G does,
 * while the card is up: Linux then resets one queue after the other (virtio 1.2, 2.6.1).
 *
 *   rings CARD RX TX   print what the driver says of its rings afterwards: "rings RX TX"
 */
#include "call.h"

enum {
    NR_IOCTL = 29,
    NR_WRITE = 64,
    NR_SOCKET = 198,

    AF_INET = 2,
    SOCK_DGRAM = 2,
    SIOCETHTOOL = 0x8946,
    ETHTOOL_GRINGPARAM = 0x10,
    ETHTOOL_SRINGPARAM = 0x11,
};

/* linux/ethtool.h */
struct ring_param {
    unsigned command, rx_max, rx_mini_max, rx_jumbo_max, tx_max, rx, rx_mini, rx_jumbo, tx;
};

/* linux/if.h */
struct request {
    char name[16];
    struct ring_param *param;
    char rest[16];
};

static unsigned number(const char *text)
{
    unsigned n = 0;
    while (*text >= '0' && *text <= '9')
        n = n * 10 + (unsigned)(*text++ - '0');
    return n;
}

static void print(const char *before, unsigned n, char after)
{
    char text[12];
    int at = sizeof text;
    long length = 0;
    while (before[length])
        length++;
    text[--at] = after;
    do
        text[--at] = (char)('0' + n % 10);
    while ((n /= 10) > 0);
    call(NR_WRITE, 1, (long)before, length);
    call(NR_WRITE, 1, (long)text + at, (long)sizeof text - at);
}

_Noreturn void program(long argc, const char *const *argv)
{
    struct ring_param p = { .command = ETHTOOL_GRINGPARAM };
    struct request r = { .param = &p };
    if (argc < 4)
        quit(1);
    for (int i = 0; i < 15 && argv[1][i]; i++)
        r.name[i] = argv[1][i];
    long fd = call(NR_SOCKET, AF_INET, SOCK_DGRAM, 0);
    if (fd < 0 || call(NR_IOCTL, fd, SIOCETHTOOL, (long)&r) < 0)
        quit(2);
    p.command = ETHTOOL_SRINGPARAM;
    p.rx = number(argv[2]);
    p.tx = number(argv[3]);
    if (call(NR_IOCTL, fd, SIOCETHTOOL, (long)&r) < 0)
        quit(3);
    p.command = ETHTOOL_GRINGPARAM;
    if (call(NR_IOCTL, fd, SIOCETHTOOL, (long)&r) < 0)
        quit(4);
    print("rings ", p.rx, ' ');
    print("", p.tx, '\n');
    quit(0);
}
