/*
 * What a network card does for its driver: complete a checksum (virtio 1.2, 5.1.6.2.1), and cut a
 * long TCP segment into short ones. For back ends that take whole frames only.
 *
 * Pure functions on a copy of the frame. What the guest says about it is checked against it.
 */
#ifndef DEVICES_VIRTIO_NET_OFFLOAD_H
#define DEVICES_VIRTIO_NET_OFFLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"

/* struct virtio_net_hdr (5.1.6), without the number of buffers. */
struct net_header {
    uint8_t flags, gso_type;
    uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

enum {
    NET_HDR_NEEDS_CSUM = 1,
    NET_HDR_DATA_VALID = 2,

    NET_GSO_NONE = 0,
    NET_GSO_TCPV4 = 1,
    NET_GSO_TCPV6 = 4,
    NET_GSO_ECN = 0x80,
};

/* Segments shorter than any TCP's are refused, so that a frame makes a bounded number of them. */
#define NET_SEGMENT_MIN 48
#define NET_HEADERS_MAX 256 /* Ethernet, IP and TCP, to the first byte of data */

void net_header_load(struct net_header *h, const uint8_t *bytes);

/* Complete the checksum of bytes csum_start to the end, whose field holds the pseudo header's sum.
 * False when the field is not in the frame. */
bool net_complete_checksum(uint8_t *frame, size_t n, const struct net_header *h);

/* A walk over the segments of one frame. */
struct net_segmenter {
    const uint8_t *frame;
    size_t n, headers; /* bytes; `headers` of them are Ethernet, IP and TCP */
    size_t l3, l4;     /* where IP and TCP begin */
    size_t size;       /* of data in each segment but the last */
    size_t at;         /* where the next one's data begins */
    unsigned index;
    bool ipv6;
};

/* False when the frame is not what its header says. */
bool net_segment_init(struct net_segmenter *s, const uint8_t *frame, size_t n,
                      const struct net_header *h) MUST_CHECK;
/* Write the next segment, complete with checksums, to `out`, which has room for
 * NET_HEADERS_MAX + s->size bytes. Its length; 0 after the last one. */
size_t net_segment_next(struct net_segmenter *s, uint8_t *out) MUST_CHECK;

#endif
