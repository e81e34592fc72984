/* The syntax of --net: a kind, and options of that kind, one row each in `options`. */
#include "host/net_spec.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KIND(k) (1u << (k))

static const char *const kinds[] = {
    [NET_USER] = "user",
    [NET_TAP] = "tap",
    [NET_UNIX] = "unix",
    [NET_NONE] = "none",
};

struct net_option {
    const char *name;
    unsigned kinds; /* KIND() of those that have it */
    int (*parse)(struct net_spec *s, const char *value, int n, struct err *e);
};

/* "22" of `n` characters as a port; 0 if it is none. */
static uint16_t parse_port(const char *text, size_t n)
{
    unsigned long port = 0;
    if (n == 0 || n > 5)
        return 0;
    for (size_t i = 0; i < n; i++) {
        if (!isdigit((unsigned char)text[i]))
            return 0;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    return port <= UINT16_MAX ? (uint16_t)port : 0;
}

/* IPv4 only: libslirp does not lead what comes by IPv6 to the guest's IPv4 address. */
static bool parse_address(const char *text, size_t n, uint16_t port, struct sockaddr_in *out)
{
    char address[INET_ADDRSTRLEN];
    if (n >= sizeof address)
        return false;
    memcpy(address, text, n);
    address[n] = '\0';
    *out = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons(port) };
    return inet_pton(AF_INET, address, &out->sin_addr) == 1;
}

/* The last ':' of `n` characters, or NULL. */
static const char *last_colon(const char *text, size_t n)
{
    while (n > 0)
        if (text[--n] == ':')
            return text + n;
    return NULL;
}

/* PROTOCOL:[ADDRESS:]PORT:PORT, the address 127.0.0.1 when there is none. */
static bool split_forward(struct net_forward *f, const char *value, int n)
{
    const char *end = value + n, *host = value + 4;
    const char *guest = last_colon(value, (size_t)n);
    if (n < 4 || (memcmp(value, "tcp:", 4) != 0 && memcmp(value, "udp:", 4) != 0) || guest < host)
        return false;
    f->udp = value[0] == 'u';
    f->guest_port = parse_port(guest + 1, (size_t)(end - guest - 1));
    const char *colon = last_colon(host, (size_t)(guest - host));
    const char *port = colon ? colon + 1 : host;
    uint16_t host_port = parse_port(port, (size_t)(guest - port));
    const char *address = colon ? host : "127.0.0.1";
    size_t length = colon ? (size_t)(colon - host) : strlen(address);
    return f->guest_port != 0 && host_port != 0 &&
           parse_address(address, length, host_port, &f->host);
}

static int parse_forward(struct net_spec *s, const char *value, int n, struct err *e)
{
    struct net_forward f = { .text = value, .text_length = n };
    if (s->forwards == NET_MAX_FORWARDS)
        return err_set(e, -EINVAL, "--net: there can be at most %d forwards", NET_MAX_FORWARDS);
    if (!split_forward(&f, value, n))
        return err_set(
            e, -EINVAL,
            "--net: forward=%.*s: write tcp:HOSTPORT:GUESTPORT or udp:..., as in "
            "forward=tcp:2222:22, with the host's IPv4 address in front of HOSTPORT if it "
            "is not 127.0.0.1",
            n, value);
    s->forward[s->forwards++] = f;
    return 0;
}

static int parse_mtu(struct net_spec *s, const char *value, int n, struct err *e)
{
    uint16_t mtu = parse_port(value, (size_t)n);
    if (mtu < NET_MTU_MIN || mtu > NET_MTU_MAX)
        return err_set(e, -EINVAL, "--net: mtu=%.*s: write a number from %d to %d", n, value,
                       NET_MTU_MIN, NET_MTU_MAX);
    s->mtu = mtu;
    return 0;
}

static int parse_mac(struct net_spec *s, const char *value, int n, struct err *e)
{
    bool good = n == 17;
    for (int i = 0; good && i < n; i++)
        good = i % 3 == 2 ? value[i] == ':' : isxdigit((unsigned char)value[i]) != 0;
    for (int i = 0; good && i < 6; i++)
        s->mac[i] = (uint8_t)strtoul((char[]){ value[3 * i], value[3 * i + 1], 0 }, NULL, 16);
    if (!good || (s->mac[0] & 1))
        return err_set(e, -EINVAL,
                       "--net: mac=%.*s: write a unicast address, as in mac=52:54:00:12:34:56", n,
                       value);
    s->has_mac = true;
    return 0;
}

static int copy_value(char *to, size_t size, const char *name, const char *value, int n,
                      struct err *e)
{
    if (n == 0 || (size_t)n >= size)
        return err_set(e, -EINVAL, "--net: %s=%.*s: it must have 1 to %zu characters", name, n,
                       value, size - 1);
    memcpy(to, value, (size_t)n);
    to[n] = '\0';
    return 0;
}

static int parse_name(struct net_spec *s, const char *value, int n, struct err *e)
{
    return copy_value(s->name, sizeof s->name, "name", value, n, e);
}

static int parse_path(struct net_spec *s, const char *value, int n, struct err *e)
{
    return copy_value(s->path, sizeof s->path, "path", value, n, e);
}

static int parse_type(struct net_spec *s, const char *value, int n, struct err *e)
{
    s->datagram = n == 5 && memcmp(value, "dgram", 5) == 0;
    if (!s->datagram && (n != 6 || memcmp(value, "stream", 6) != 0))
        return err_set(e, -EINVAL, "--net: type=%.*s: it is stream or dgram", n, value);
    return 0;
}

static const struct net_option options[] = {
    { "forward", KIND(NET_USER), parse_forward },
    { "mtu", KIND(NET_USER), parse_mtu },
    { "name", KIND(NET_TAP), parse_name },
    { "path", KIND(NET_UNIX), parse_path },
    { "type", KIND(NET_UNIX), parse_type },
    { "mac", KIND(NET_USER) | KIND(NET_TAP) | KIND(NET_UNIX), parse_mac },
};

/* Parse the option of `n` characters at `text`. */
static int parse_option(struct net_spec *s, const char *text, int n, struct err *e)
{
    const char *equals = memchr(text, '=', (size_t)n);
    size_t name = equals ? (size_t)(equals - text) : (size_t)n;
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (strlen(options[i].name) != name || memcmp(options[i].name, text, name) != 0)
            continue;
        if (!(options[i].kinds & KIND(s->kind)))
            return err_set(e, -EINVAL, "--net %s: '%s' is not for '%s'", s->text, options[i].name,
                           kinds[s->kind]);
        if (!equals)
            return err_set(e, -EINVAL, "--net %s: '%s' needs a value, as in %s=...", s->text,
                           options[i].name, options[i].name);
        return options[i].parse(s, equals + 1, n - (int)name - 1, e);
    }
    char list[128] = "";
    for (size_t i = 0; i < ARRAY_LEN(options); i++)
        if (options[i].kinds & KIND(s->kind))
            snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", list[0] ? ", " : "",
                     options[i].name);
    return err_set(e, -EINVAL, "--net %s: there is no option '%.*s'; '%s' has %s", s->text, n, text,
                   kinds[s->kind], list[0] ? list : "none");
}

int net_spec_parse(const char *text, struct net_spec *out, struct err *e)
{
    size_t n = strcspn(text, ",");
    *out = (struct net_spec){ .text = text, .mtu = NET_MTU_MAX };
    size_t kind = 0;
    while (kind < ARRAY_LEN(kinds) &&
           (strlen(kinds[kind]) != n || memcmp(kinds[kind], text, n) != 0))
        kind++;
    if (kind == ARRAY_LEN(kinds))
        return err_set(e, -EINVAL, "--net %s: it is user, tap, unix or none, then options", text);
    out->kind = (enum net_kind)kind;
    while (text[n] == ',') {
        text += n + 1;
        n = strcspn(text, ",");
        int r = parse_option(out, text, (int)n, e);
        if (r < 0)
            return r;
    }
    if (out->kind == NET_TAP && !out->name[0])
        return err_set(e, -EINVAL, "--net tap: say which interface, as in --net tap,name=tap0");
    if (out->kind == NET_UNIX && !out->path[0])
        return err_set(e, -EINVAL, "--net unix: say where the socket is: --net unix,path=PATH");
    return 0;
}
