/* Checksums by RFC 1071, segments as RFC 9293 and RFC 3168 have their flags. */
#include "devices/virtio/net_offload.h"

#include <string.h>

#include "base/bytes.h"

enum {
    ETH_SIZE = 14,
    VLAN_SIZE = 4,
    ETH_TYPE = 12,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    TYPE_VLAN = 0x8100,

    IPV4_MIN = 20,
    IPV4_LENGTH = 2,
    IPV4_ID = 4,
    IPV4_PROTOCOL = 9,
    IPV4_CHECKSUM = 10,
    IPV4_ADDRESSES = 12,
    IPV6_SIZE = 40,
    IPV6_LENGTH = 4,
    IPV6_ADDRESSES = 8,
    PROTOCOL_TCP = 6,

    TCP_MIN = 20,
    TCP_SEQUENCE = 4,
    TCP_OFFSET = 12,
    TCP_FLAGS = 13,
    TCP_CHECKSUM = 16,
    TCP_FIN = 0x01,
    TCP_PSH = 0x08,
    TCP_CWR = 0x80,
};

void net_header_load(struct net_header *h, const uint8_t *bytes)
{
    *h = (struct net_header){
        .flags = bytes[0],
        .gso_type = bytes[1],
        .hdr_len = ld_le16(bytes + 2),
        .gso_size = ld_le16(bytes + 4),
        .csum_start = ld_le16(bytes + 6),
        .csum_offset = ld_le16(bytes + 8),
    };
}

/* ------------------------------------------------------------------ checksums */

/* Add `n` bytes to a sum of 16-bit words. Words are taken in the host's order, which the sum does
 * not mind (RFC 1071, 2.B). `n` is odd only for the last part. */
static uint64_t sum_add(uint64_t sum, const uint8_t *p, size_t n)
{
    for (; n >= 4; p += 4, n -= 4)
        sum += ld_le32(p);
    if (n >= 2)
        sum += ld_le16(p);
    if (n & 1)
        sum += p[n - 1];
    return sum;
}

static uint16_t sum_finish(uint64_t sum)
{
    sum = (sum >> 32) + (uint32_t)sum;
    sum = (sum >> 32) + (uint32_t)sum;
    sum = (sum >> 16) + (uint16_t)sum;
    sum = (sum >> 16) + (uint16_t)sum;
    return (uint16_t)~sum;
}

bool net_complete_checksum(uint8_t *frame, size_t n, const struct net_header *h)
{
    size_t field = (size_t)h->csum_start + h->csum_offset;
    if (h->csum_start >= n || field + 2 > n)
        return false;
    uint16_t sum = sum_finish(sum_add(0, frame + h->csum_start, n - h->csum_start));
    /* UDP's zero means that there is none (RFC 768); for TCP both are the same number. */
    st_le16(frame + field, sum ? sum : 0xffff);
    return true;
}

/* ------------------------------------------------------------------ segments */

/* Find the IP header. */
static bool segment_find_ip(struct net_segmenter *s, bool ipv6)
{
    s->l3 = ETH_SIZE;
    if (s->n < ETH_SIZE + VLAN_SIZE + IPV4_MIN)
        return false;
    uint16_t type = ld_be16(s->frame + ETH_TYPE);
    if (type == TYPE_VLAN) {
        s->l3 += VLAN_SIZE;
        type = ld_be16(s->frame + ETH_TYPE + VLAN_SIZE);
    }
    s->ipv6 = ipv6;
    return type == (ipv6 ? TYPE_IPV6 : TYPE_IPV4);
}

/* Is what the driver calls TCP behind the IP header? IPv6's extension headers are not looked at:
 * the checksum does not cover them. */
static bool segment_check_ip(const struct net_segmenter *s)
{
    const uint8_t *ip = s->frame + s->l3;
    if (s->ipv6)
        return s->l4 >= s->l3 + IPV6_SIZE;
    return ip[0] >> 4 == 4 && (ip[0] & 15) * 4 >= IPV4_MIN && ip[IPV4_PROTOCOL] == PROTOCOL_TCP &&
           s->l4 == s->l3 + (ip[0] & 15u) * 4;
}

bool net_segment_init(struct net_segmenter *s, const uint8_t *frame, size_t n,
                      const struct net_header *h)
{
    uint8_t type = h->gso_type & (uint8_t)~NET_GSO_ECN;
    *s = (struct net_segmenter){ .frame = frame, .n = n, .l4 = h->csum_start, .size = h->gso_size };
    if ((type != NET_GSO_TCPV4 && type != NET_GSO_TCPV6) || !(h->flags & NET_HDR_NEEDS_CSUM) ||
        h->csum_offset != TCP_CHECKSUM || h->gso_size < NET_SEGMENT_MIN)
        return false;
    if (!segment_find_ip(s, type == NET_GSO_TCPV6) || s->l4 + TCP_MIN > n || !segment_check_ip(s))
        return false;
    size_t tcp = (size_t)(frame[s->l4 + TCP_OFFSET] >> 4) * 4;
    s->headers = s->l4 + tcp;
    s->at = s->headers;
    return tcp >= TCP_MIN && s->headers < n && s->headers <= NET_HEADERS_MAX;
}

static void segment_set_ip(const struct net_segmenter *s, uint8_t *out, size_t length)
{
    uint8_t *ip = out + s->l3;
    if (s->ipv6) {
        st_be16(ip + IPV6_LENGTH, (uint16_t)(length - s->l3 - IPV6_SIZE));
        return;
    }
    st_be16(ip + IPV4_LENGTH, (uint16_t)(length - s->l3));
    st_be16(ip + IPV4_ID, (uint16_t)(ld_be16(ip + IPV4_ID) + s->index));
    st_le16(ip + IPV4_CHECKSUM, 0);
    st_le16(ip + IPV4_CHECKSUM, sum_finish(sum_add(0, ip, s->l4 - s->l3)));
}

static void segment_set_tcp(const struct net_segmenter *s, uint8_t *out, size_t length, bool last)
{
    uint8_t *tcp = out + s->l4;
    st_be32(tcp + TCP_SEQUENCE, ld_be32(tcp + TCP_SEQUENCE) + (uint32_t)(s->at - s->headers));
    if (!last)
        tcp[TCP_FLAGS] &= (uint8_t)~(TCP_FIN | TCP_PSH);
    if (s->index > 0)
        tcp[TCP_FLAGS] &= (uint8_t)~TCP_CWR;
    /* The pseudo header: addresses, protocol, length. */
    const uint8_t rest[4] = { 0, PROTOCOL_TCP, (uint8_t)((length - s->l4) >> 8),
                              (uint8_t)(length - s->l4) };
    size_t addresses = s->ipv6 ? IPV6_ADDRESSES : IPV4_ADDRESSES;
    uint64_t sum = sum_add(0, out + s->l3 + addresses, s->ipv6 ? 32 : 8);
    sum = sum_add(sum, rest, sizeof rest);
    st_le16(tcp + TCP_CHECKSUM, 0);
    st_le16(tcp + TCP_CHECKSUM, sum_finish(sum_add(sum, tcp, length - s->l4)));
}

size_t net_segment_next(struct net_segmenter *s, uint8_t *out)
{
    size_t left = s->n - s->at;
    if (left == 0)
        return 0;
    size_t data = left < s->size ? left : s->size;
    size_t length = s->headers + data;
    memcpy(out, s->frame, s->headers);
    memcpy(out + s->headers, s->frame + s->at, data);
    segment_set_ip(s, out, length);
    segment_set_tcp(s, out, length, data == left);
    s->at += data;
    s->index++;
    return length;
}
