/*
 * A network on the host: Ethernet frames out of and into one back end, moved by a thread of its
 * own, so that no vCPU waits for the host's network.
 *
 * Whoever uses it is a `struct net_client`, which the thread asks for frames to send and gives
 * frames to. A frame starts at the Ethernet header and has no checksum at its end. With a back end
 * that takes virtio-net headers (net_has_headers()) each frame comes and goes with one.
 */
#ifndef HOST_NET_H
#define HOST_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "host/net_spec.h"

/* struct virtio_net_hdr_v1 of <linux/virtio_net.h>: what TAP speaks, too. */
#define NET_HEADER_SIZE 12
/* The longest IP packet with the longest Ethernet header. */
#define NET_FRAME_MAX (65535 + 18)
/* What net_frame() has room for while the client is asked for one frame: the segments of the
 * longest one, cut as small as net_segments.h does. */
#define NET_ROOM (1u << 20)

struct net;

/* All calls on the net's thread, no lock held. */
struct net_client {
    /* Take a frame of `n` bytes; `header` is NET_HEADER_SIZE bytes, or NULL. False when there is no
     * room: the frame is kept, and offered again after net_wake(). */
    bool (*receive)(void *ctx, const uint8_t *header, const uint8_t *frame, size_t n);
    /* Send the next frame, by net_frame() and net_frame_done(); false when there is none. */
    bool (*transmit)(void *ctx);
    /* The thread has done for now what there was to do. */
    void (*pause)(void *ctx);
    /* The cable was unplugged or plugged in. */
    void (*link)(void *ctx, bool up);
    void *ctx;
};

/* What a client takes of TAP's frames (net_set_offload()). */
enum { NET_OFFLOAD_CSUM = 1, NET_OFFLOAD_TSO4 = 2, NET_OFFLOAD_TSO6 = 4, NET_OFFLOAD_ECN = 8 };

/* Open the back end. On failure one sentence in `e` that names `--net`. A child process may have
 * been started; net_ready() waits until it works. No frame is moved before that. */
int net_open(const struct net_spec *spec, struct net **out, struct err *e) MUST_CHECK;
int net_ready(struct net *n, struct err *e) MUST_CHECK;

/* Start the thread; `client` is copied. Once. 0 or negative errno. */
int net_start(struct net *n, const struct net_client *client) MUST_CHECK;
/* End the thread: the client is called no more. */
void net_stop(struct net *n);
/* Ends the child, closes, frees. NULL is allowed. */
void net_close(struct net *n);

/* The guest has a driver. What only a guest with one needs is started now. Any thread. */
void net_begin(struct net *n);
/* There is something to send, or room to receive. Never blocks. Any thread. */
void net_wake(struct net *n);

/* Do frames have headers? Constant. */
bool net_has_headers(const struct net *n);
/* Have received frames been checked by whoever made them, on this host? Constant. */
bool net_is_local(const struct net *n);
/* Which of NET_OFFLOAD_* incoming frames may need. Only with headers. Any thread. */
void net_set_offload(struct net *n, unsigned offload);

/* Any thread, also with the client's locks held: become who sends, if the thread rests and all that
 * was sent has left; false when not, and it is the thread's to send. Until net_release() the caller
 * may use net_frame(). Never blocks. */
bool net_claim(struct net *n) MUST_CHECK;
void net_release(struct net *n);

/* On the net's thread, from inside `transmit`, or by who has claimed it: room for NET_FRAME_MAX
 * bytes, and for the header in front of them (`*header`, or NULL); then how long the frame became.
 * Several frames may be sent one after the other. */
uint8_t *net_frame(struct net *n, uint8_t **header);
void net_frame_done(struct net *n, size_t length);

#endif
