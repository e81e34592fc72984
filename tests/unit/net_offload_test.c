/* Checksums and segments against a plain second implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "devices/virtio/net_offload.h"

/* RFC 1071 as it is told: 16-bit words, big-endian, end-around carry. */
static uint16_t plain_sum(uint32_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum += i & 1 ? p[i] : (uint32_t)p[i] << 8;
    while (sum >> 16)
        sum = (sum >> 16) + (sum & 0xffff);
    return (uint16_t)sum;
}

static uint16_t be16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t be32(const uint8_t *p)
{
    return (uint32_t)be16(p) << 16 | be16(p + 2);
}

#define FLAGS_ALL 0x99 /* CWR, ACK, PSH, FIN */
#define SEQUENCE  0xfffffff0u

struct shape {
    bool ipv6, vlan;
    size_t ip_options, tcp_options, data;
};

static size_t l3_of(const struct shape *s)
{
    return s->vlan ? 18 : 14;
}

static size_t l4_of(const struct shape *s)
{
    return l3_of(s) + (s->ipv6 ? 40 : 20) + s->ip_options;
}

/* A long TCP segment as a driver sends it. Its length. */
static size_t make_frame(const struct shape *s, uint8_t *frame)
{
    size_t l3 = l3_of(s), l4 = l4_of(s), headers = l4 + 20 + s->tcp_options, n = headers + s->data;
    for (size_t i = 0; i < n; i++)
        frame[i] = (uint8_t)(i * 7 + (i >> 8));
    if (s->vlan)
        memcpy(frame + 12, "\x81\x00\x00\x05", 4);
    memcpy(frame + l3 - 2, s->ipv6 ? "\x86\xdd" : "\x08\x00", 2);
    uint8_t *ip = frame + l3, *tcp = frame + l4;
    if (s->ipv6) {
        ip[0] = 0x60;
        ip[6] = 6;
    } else {
        ip[0] = (uint8_t)(0x40 | (20 + s->ip_options) / 4);
        memcpy(ip + 4, "\xff\xff", 2); /* the identification wraps */
        ip[9] = 6;
    }
    memcpy(tcp + 4, "\xff\xff\xff\xf0", 4);
    tcp[12] = (uint8_t)((20 + s->tcp_options) / 4 << 4);
    tcp[13] = FLAGS_ALL;
    return n;
}

static struct net_header header_for(const struct shape *s, uint16_t size)
{
    return (struct net_header){ .flags = NET_HDR_NEEDS_CSUM,
                                .gso_type = (s->ipv6 ? NET_GSO_TCPV6 : NET_GSO_TCPV4),
                                .gso_size = size,
                                .csum_start = (uint16_t)l4_of(s),
                                .csum_offset = 16 };
}

/* One segment: its headers, and where its data is in the long one. */
static void check_segment(const struct shape *s, const uint8_t *out, size_t n, unsigned index,
                          size_t before, bool last)
{
    size_t l3 = l3_of(s), l4 = l4_of(s);
    const uint8_t *ip = out + l3, *tcp = out + l4;
    uint32_t tcp_length = (uint32_t)(n - l4);
    uint32_t pseudo = 6 + tcp_length;
    if (s->ipv6) {
        assert_int_equal(be16(ip + 4), n - l3 - 40);
        pseudo = plain_sum(pseudo, ip + 8, 32);
    } else {
        assert_int_equal(be16(ip + 2), n - l3);
        assert_int_equal(be16(ip + 4), (uint16_t)(0xffff + index));
        assert_int_equal(plain_sum(0, ip, l4 - l3), 0xffff);
        pseudo = plain_sum(pseudo, ip + 12, 8);
    }
    assert_int_equal(plain_sum(pseudo, tcp, tcp_length), 0xffff);
    assert_int_equal(be32(tcp + 4), SEQUENCE + (uint32_t)before);
    assert_int_equal(tcp[13], FLAGS_ALL & ~(last ? 0 : 0x09) & ~(index ? 0x80 : 0));
}

static void cut(const struct shape *s, uint16_t size)
{
    static uint8_t frame[70000], out[70000];
    size_t n = make_frame(s, frame), headers = n - s->data, before = 0, length;
    struct net_header h = header_for(s, size);
    struct net_segmenter seg;
    unsigned index = 0;
    assert_true(net_segment_init(&seg, frame, n, &h));
    while ((length = net_segment_next(&seg, out)) > 0) {
        size_t data = length - headers;
        assert_true(data <= size);
        check_segment(s, out, length, index++, before, before + data == s->data);
        assert_memory_equal(out + headers, frame + headers + before, data);
        assert_memory_equal(out, frame, l3_of(s));
        before += data;
    }
    assert_int_equal(before, s->data);
    assert_int_equal(index, (s->data + size - 1) / size);
}

static void segments(void **state)
{
    (void)state;
    static const size_t sizes[] = { 1, 47, 1460, 1461, 14600, 64000 };
    for (unsigned form = 0; form < 8; form++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct shape s = { .ipv6 = form & 1,
                               .vlan = form & 2,
                               .ip_options = form & 4 ? 8 : 0,
                               .tcp_options = form & 4 ? 12 : 0,
                               .data = sizes[i] };
            cut(&s, 1460);
            cut(&s, NET_SEGMENT_MIN);
            cut(&s, 65535);
        }
    }
}

/* Every single thing that can be wrong with a header is refused. */
static void bad_segments(void **state)
{
    (void)state;
    static uint8_t frame[4096];
    const struct shape s = { .data = 3000 };
    const struct net_header good = header_for(&s, 1000);
    struct net_segmenter seg;
    size_t n = make_frame(&s, frame);
    assert_true(net_segment_init(&seg, frame, n, &good));
    for (unsigned i = 0; i < 8; i++) {
        struct net_header h = good;
        switch (i) {
        case 0:
            h.flags = 0;
            break;
        case 1:
            h.gso_type = NET_GSO_TCPV6;
            break;
        case 2:
            h.gso_type = 3; /* UDP */
            break;
        case 3:
            h.gso_size = NET_SEGMENT_MIN - 1;
            break;
        case 4:
            h.csum_offset = 6;
            break;
        case 5:
            h.csum_start++;
            break;
        case 6:
            h.csum_start = 0xffff;
            break;
        default:
            h.csum_start = 0;
            break;
        }
        assert_false(net_segment_init(&seg, frame, n, &h));
    }
    for (size_t cut_at = 0; cut_at <= 14 + 20 + 20; cut_at++)
        assert_false(net_segment_init(&seg, frame, cut_at, &good));
    frame[14 + 20 + 12] = 0x40; /* a TCP header of 16 bytes */
    assert_false(net_segment_init(&seg, frame, n, &good));
    frame[14 + 20 + 12] = 0x50;
    frame[14] = 0x44; /* an IP header of 16 */
    assert_false(net_segment_init(&seg, frame, n, &good));
    frame[14] = 0x45;
    frame[14 + 9] = 17;
    assert_false(net_segment_init(&seg, frame, n, &good));
}

static void checksums(void **state)
{
    (void)state;
    uint8_t frame[301];
    for (size_t n = 40; n <= sizeof frame; n++) {
        for (size_t i = 0; i < n; i++)
            frame[i] = (uint8_t)(i * 31 + n);
        struct net_header h = { .csum_start = 34, .csum_offset = 4 };
        uint16_t want = (uint16_t)~plain_sum(0, frame + 34, n - 34);
        assert_true(net_complete_checksum(frame, n, &h));
        assert_int_equal(be16(frame + 38), want ? want : 0xffff);
    }
    /* A sum of zero is written as 0xffff. */
    memset(frame, 0, sizeof frame);
    frame[0] = frame[1] = 0xff;
    assert_true(net_complete_checksum(frame, 10, &(struct net_header){ .csum_offset = 6 }));
    assert_int_equal(be16(frame + 6), 0xffff);
    /* The field beyond the frame. */
    assert_false(net_complete_checksum(frame, 40,
                                       &(struct net_header){ .csum_start = 34, .csum_offset = 5 }));
    assert_false(net_complete_checksum(frame, 40,
                                       &(struct net_header){ .csum_start = 40, .csum_offset = 0 }));
    assert_false(net_complete_checksum(
        frame, 40, &(struct net_header){ .csum_start = 0xffff, .csum_offset = 0xffff }));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments),
        cmocka_unit_test(bad_segments),
        cmocka_unit_test(checksums),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
