/* The parts of ireko-usernet: main.c has the sockets and the loop, stack.c the network, a
 * sandbox_*.c the walls. */
#ifndef USERNET_USERNET_H
#define USERNET_USERNET_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/compiler.h"
#include "base/err.h"
#include "host/net_spec.h"

#define USERNET_MAX_POLL 4096

struct stack;

/* What is to be polled, filled anew for each round. */
struct poll_set {
    struct pollfd fd[USERNET_MAX_POLL];
    unsigned count;
};

/* Create the network of `spec` and listen at its forwarded ports. `send` gets each frame for the
 * guest. One sentence in `e` on failure. */
int stack_create(const struct net_spec *spec,
                 void (*send)(void *ctx, const uint8_t *frame, size_t n), void *ctx,
                 struct stack **out, struct err *e) MUST_CHECK;
/* A frame from the guest. */
void stack_input(struct stack *s, const uint8_t *frame, size_t n);
/* Add what the stack waits for to `set`, and shorten `*timeout` (milliseconds). */
void stack_fill(struct stack *s, struct poll_set *set, uint32_t *timeout);
/* Act on what poll(2) found in `set`, and on timers. */
void stack_poll(struct stack *s, const struct poll_set *set, bool failed);
void stack_run_timers(struct stack *s);

/* Give everything away but the sockets that are open and the right to make more of the Internet's.
 * Where the host has less to offer, less is taken away. One sentence on failure. `control` is where
 * /etc/resolv.conf comes from (host/net_user.h). */
int sandbox_enter(int control, struct err *e) MUST_CHECK;

#endif
