/* The thread that does vsock.c's work. */
#include "host/vsock_thread.h"

#include "base/thread.h"
#include "host/thread.h"

static void *vsock_main(void *arg)
{
    struct vsock *s = arg;
    thread_name("vsock");
    bool more = false;
    while (!atomic_load(&vsock_thread(s)->stop))
        more = vsock_step(s, !more);
    return NULL;
}

int vsock_start(struct vsock *s, const struct vsock_client *client)
{
    struct vsock_thread *t = vsock_thread(s);
    vsock_set_client(s, client);
    int r = thread_start(&t->thread, vsock_main, s);
    t->started = r == 0;
    return r;
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
