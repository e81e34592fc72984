/*
 * A few threads that do what may block, in the order it came. Each owner has its own, so that who
 * stalls stalls only itself.
 */
#ifndef HOST_WORKERS_H
#define HOST_WORKERS_H

#include "base/compiler.h"

struct workers;

/* One job. The owner keeps it until `run` was called; `run` may free it or submit it again. */
struct work {
    void (*run)(struct work *w); /* on a worker, no lock held */
    struct work *next;           /* the workers' own */
};

/* Start up to `count` threads, all signals blocked; fewer if the host has no more. */
int workers_create(unsigned count, struct workers **out) MUST_CHECK;
/* Finishes what was submitted, then ends the threads. */
void workers_destroy(struct workers *w);

/* Never blocks. Any thread, with any lock of a rank below LOCK_HOST. */
void workers_submit(struct workers *w, struct work *work);

/* Wait until nothing is submitted and every `run` has returned. */
void workers_drain(struct workers *w);

#endif
