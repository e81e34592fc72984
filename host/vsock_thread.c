/* The thread that does vsock.c's work. */
#include "host/vsock_thread.h"

#include <signal.h>

static void *vsock_main(void *arg)
{
    struct vsock *s = arg;
    bool more = false;
    while (!atomic_load(&vsock_thread(s)->stop))
        more = vsock_step(s, !more);
    return NULL;
}

int vsock_start(struct vsock *s, const struct vsock_client *client)
{
    struct vsock_thread *t = vsock_thread(s);
    sigset_t all, old;
    vsock_set_client(s, client);
    sigfillset(&all); /* signals are for the threads that expect them */
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&t->thread, NULL, vsock_main, s);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    t->started = r == 0;
    return -r;
}

void vsock_stop(struct vsock *s)
{
    struct vsock_thread *t = vsock_thread(s);
    if (!t->started)
        return;
    atomic_store(&t->stop, true);
    vsock_wake(s);
    pthread_join(t->thread, NULL);
    t->started = false;
}
