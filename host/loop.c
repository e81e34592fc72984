/*
 * The event loop on libuv.
 *
 * libuv's loop belongs to one thread; only uv_async_send() may be called from another. So whatever
 * comes from elsewhere (stop, a new deadline) is written down under `lock` or in an atomic, and one
 * async handle makes the loop look. All alarms share one uv_timer, armed for the earliest of them:
 * there is a handful of devices with an alarm, so a list is enough.
 */
#include "host/loop.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <uv.h>

#include "base/lock.h"

#define NS_PER_MS 1000000u

struct loop_signal {
    uv_signal_t handle;
    void (*fn)(void *ctx, int signum);
    void *ctx;
    struct loop_signal *next;
};

struct loop_alarm {
    struct loop *loop;
    uint64_t deadline; /* under loop->lock */
    void (*fire)(void *arg);
    void *arg;
    struct loop_alarm *next; /* constant once linked */
};

struct loop {
    uv_loop_t uv;
    uv_async_t wake;
    uv_timer_t timer;
    atomic_bool stop;
    struct loop_signal *signals; /* the owner's */
    struct lock lock;
    struct loop_alarm *alarms; /* under lock */
};

/* The next alarm that is due, taken off; or NULL and in `*earliest` the next deadline. */
static struct loop_alarm *loop_take_due_alarm(struct loop *l, uint64_t *earliest)
{
    struct loop_alarm *due = NULL;
    uint64_t now = clock_monotonic_ns();
    *earliest = ALARM_OFF;
    lock_acquire(&l->lock);
    for (struct loop_alarm *a = l->alarms; a; a = a->next) {
        if (a->deadline <= now) {
            a->deadline = ALARM_OFF;
            due = a;
            break;
        }
        if (a->deadline < *earliest)
            *earliest = a->deadline;
    }
    lock_release(&l->lock);
    return due;
}

static void loop_on_timer(uv_timer_t *timer);

static void loop_run_alarms(struct loop *l)
{
    struct loop_alarm *a;
    uint64_t earliest;
    /* A device may set its alarm again while it is called, even to a time that has come; the
     * loop must serve signals in between. */
    for (int budget = 64; (a = loop_take_due_alarm(l, &earliest)) != NULL; budget--) {
        a->fire(a->arg);
        if (budget == 0) {
            uv_async_send(&l->wake);
            return;
        }
    }
    if (earliest == ALARM_OFF) {
        uv_timer_stop(&l->timer);
        return;
    }
    uint64_t now = clock_monotonic_ns();
    uint64_t wait = earliest > now ? earliest - now : 0;
    uv_update_time(&l->uv);
    uv_timer_start(&l->timer, loop_on_timer, wait / NS_PER_MS + (wait % NS_PER_MS != 0), 0);
}

static void loop_on_timer(uv_timer_t *timer)
{
    loop_run_alarms(CONTAINER_OF(timer, struct loop, timer));
}

static void loop_on_wake(uv_async_t *wake)
{
    struct loop *l = CONTAINER_OF(wake, struct loop, wake);
    if (atomic_exchange(&l->stop, false))
        uv_stop(&l->uv);
    else
        loop_run_alarms(l);
}

int loop_create(struct loop **out)
{
    struct loop *l = calloc(1, sizeof *l);
    if (!l)
        return -ENOMEM;
    int r = uv_loop_init(&l->uv);
    if (r < 0) {
        free(l);
        return r;
    }
    lock_init(&l->lock, LOCK_HOST);
    r = uv_async_init(&l->uv, &l->wake, loop_on_wake);
    if (r < 0) {
        loop_destroy(l);
        return r;
    }
    uv_timer_init(&l->uv, &l->timer); /* cannot fail */
    *out = l;
    return 0;
}

void loop_run(struct loop *l)
{
    uv_run(&l->uv, UV_RUN_DEFAULT);
}

void loop_stop(struct loop *l)
{
    atomic_store(&l->stop, true);
    uv_async_send(&l->wake);
}

static void loop_on_uv_signal(uv_signal_t *handle, int signum)
{
    struct loop_signal *s = CONTAINER_OF(handle, struct loop_signal, handle);
    s->fn(s->ctx, signum);
}

int loop_on_signal(struct loop *l, int signum, void (*fn)(void *ctx, int signum), void *ctx)
{
    struct loop_signal *s = calloc(1, sizeof *s);
    if (!s)
        return -ENOMEM;
    int r = uv_signal_init(&l->uv, &s->handle);
    if (r < 0) {
        free(s);
        return r;
    }
    s->fn = fn;
    s->ctx = ctx;
    /* Linked before it starts: from here on the handle is the loop's, to be closed with it. */
    s->next = l->signals;
    l->signals = s;
    return uv_signal_start(&s->handle, loop_on_uv_signal, signum);
}

static void loop_alarm_set(void *ctx, uint64_t deadline_ns)
{
    struct loop_alarm *a = ctx;
    lock_acquire(&a->loop->lock);
    a->deadline = deadline_ns;
    lock_release(&a->loop->lock);
    uv_async_send(&a->loop->wake);
}

int loop_alarm_create(void *loop, void (*fire)(void *arg), void *arg, struct alarm *out)
{
    struct loop *l = loop;
    struct loop_alarm *a = calloc(1, sizeof *a);
    if (!a)
        return -ENOMEM;
    *a = (struct loop_alarm){ .loop = l, .deadline = ALARM_OFF, .fire = fire, .arg = arg };
    lock_acquire(&l->lock);
    a->next = l->alarms;
    l->alarms = a;
    lock_release(&l->lock);
    *out = (struct alarm){ .set = loop_alarm_set, .ctx = a };
    return 0;
}

static void loop_close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

void loop_destroy(struct loop *l)
{
    if (!l)
        return;
    uv_walk(&l->uv, loop_close_handle, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT); /* finishes the closing, and returns as nothing is left */
    uv_loop_close(&l->uv);
    while (l->signals) {
        struct loop_signal *s = l->signals;
        l->signals = s->next;
        free(s);
    }
    while (l->alarms) {
        struct loop_alarm *a = l->alarms;
        l->alarms = a->next;
        free(a);
    }
    lock_fini(&l->lock);
    free(l);
}
