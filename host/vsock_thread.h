/* The vsock's thread, and its work one step at a time: a test may have no thread. */
#ifndef HOST_VSOCK_THREAD_H
#define HOST_VSOCK_THREAD_H

#include <pthread.h>
#include <stdatomic.h>

#include "host/vsock.h"

struct vsock_thread {
    pthread_t thread;
    bool started;
    atomic_bool stop;
};

struct vsock_thread *vsock_thread(struct vsock *s);
void vsock_set_client(struct vsock *s, const struct vsock_client *client);

/* Wait for something to do if `wait`, and do some of it. Is there more to do at once? */
bool vsock_step(struct vsock *s, bool wait);

#endif
