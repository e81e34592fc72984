/*
 * virtio-fs: virtio 1.2, section 5.11. Queue 0 is for requests that must not wait behind others
 * (FORGET, INTERRUPT), queue 1 for all others; both are served alike, by the folder's workers.
 *
 * The vCPU that notifies takes the chains off the ring. What the host answers from memory it
 * answers at once, because two changes of threads take longer; all else is for a worker, which
 * raises the interrupt when it is done. One slot holds a request while it is under way, and there
 * is one for each entry of the queues.
 *
 * There is no notification queue (VIRTIO_FS_F_NOTIFICATION), which no Linux has a driver for, and
 * no DAX window.
 */
#include "devices/virtio/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "devices/virtio/fs_call.h"
#include "devices/virtio/device.h"
#include "host/workers.h"

#define FS_ID         26
#define FS_QUEUES     2
#define FS_QUEUE_SIZE 256
/* Requests that a vCPU answers itself for one notification. */
#define FS_NOW_MAX 64

/* The configuration space (5.11.4), as offsets into bytes. */
enum { CFG_TAG = 0, CFG_NUM_REQUEST_QUEUES = 36, CFG_SIZE = 40 };

struct fs_slot {
    struct work work; /* first */
    struct virtio_fs *fs;
    struct fs_slot *next_free;
    uint16_t queue;
    struct virtq_chain chain;
};

struct virtio_fs {
    struct virtio_device virtio; /* first */
    struct share *share;
    uint8_t config[CFG_SIZE];

    pthread_cond_t idle; /* in_flight fell to 0 */
    unsigned in_flight;
    unsigned used; /* of slot[], so that memory that was never needed is not touched */
    struct fs_slot *free;
    struct fs_slot slot[]; /* one to pop into when all others are in flight */
};

static struct virtio_fs *fs_of(struct virtio_device *v)
{
    return CONTAINER_OF(v, struct virtio_fs, virtio);
}

/* At most the queues' sizes can be in flight (queue.c), so there is one. */
static struct fs_slot *fs_slot_take(struct virtio_fs *f)
{
    struct fs_slot *s = f->free;
    if (s) {
        f->free = s->next_free;
    } else {
        s = &f->slot[f->used++];
        s->fs = f;
    }
    return s;
}

static void fs_slot_give_back(struct virtio_fs *f, struct fs_slot *s)
{
    s->next_free = f->free;
    f->free = s;
}

/* On a worker. */
static void fs_run(struct work *w)
{
    struct fs_slot *s = CONTAINER_OF(w, struct fs_slot, work);
    struct virtio_fs *f = s->fs;
    struct lock *lock = &f->virtio.device.lock;
    int64_t written = fs_serve(f->share, &s->chain, false);
    lock_acquire(lock);
    unsigned queue = s->queue;
    virtio_push(&f->virtio, queue, s->chain.head, (uint32_t)written);
    virtio_interrupt(&f->virtio, queue);
    fs_slot_give_back(f, s);
    if (--f->in_flight == 0)
        pthread_cond_broadcast(&f->idle);
    lock_release(lock);
}

/* Serve the chain in `s` here if `now` and it can be, else by a worker. */
static void fs_start(struct virtio_fs *f, struct fs_slot *s, bool now)
{
    int64_t written = now ? fs_serve(f->share, &s->chain, true) : -EAGAIN;
    if (written >= 0) {
        virtio_push(&f->virtio, s->queue, s->chain.head, (uint32_t)written);
        fs_slot_give_back(f, s);
        return;
    }
    f->in_flight++;
    s->work.run = fs_run;
    share_submit(f->share, &s->work);
}

static void fs_notify(struct virtio_device *v, unsigned queue)
{
    struct virtio_fs *f = fs_of(v);
    unsigned now = FS_NOW_MAX;
    int rc;
    do {
        struct fs_slot *s = fs_slot_take(f);
        s->queue = (uint16_t)queue;
        rc = virtq_pop(&v->queue[queue], &s->chain);
        if (rc > 0) {
            fs_start(f, s, now > 0);
            now -= now > 0;
        } else {
            fs_slot_give_back(f, s);
        }
        if (rc == 0)
            rc = virtq_rearm(&v->queue[queue]);
    } while (rc > 0);
    if (rc < 0)
        virtio_fail(v, rc == -EFAULT ? "a buffer is not RAM" : "malformed request");
    virtio_interrupt(v, queue);
}

static void fs_drain(struct virtio_device *v)
{
    struct virtio_fs *f = fs_of(v);
    while (f->in_flight > 0)
        lock_wait(&v->device.lock, &f->idle, UINT64_MAX);
}

static void fs_reset(struct virtio_device *v)
{
    share_reset(fs_of(v)->share);
}

static void fs_destroy(struct virtio_device *v)
{
    struct virtio_fs *f = fs_of(v);
    share_drain(f->share); /* the worker has left fs_run() */
    pthread_cond_destroy(&f->idle);
    virtio_device_fini(v);
    free(f);
}

static const struct virtio_ops fs_ops = {
    .name = "virtio-fs",
    .id = FS_ID,
    .queues = FS_QUEUES,
    .queue_size = FS_QUEUE_SIZE,
    .any_order = true,
    .notify = fs_notify,
    .drain = fs_drain,
    .reset = fs_reset,
    .destroy = fs_destroy,
};

int virtio_fs_create(const struct virtio_fs_config *config, struct device **out)
{
    size_t slots = FS_QUEUES * FS_QUEUE_SIZE + 1;
    struct virtio_fs *f = calloc(1, sizeof *f + slots * sizeof f->slot[0]);
    if (!f)
        return -ENOMEM;
    f->share = config->share;
    memcpy(f->config + CFG_TAG, config->tag, strnlen(config->tag, SHARE_TAG_MAX));
    st_le32(f->config + CFG_NUM_REQUEST_QUEUES, FS_QUEUES - 1);
    cond_init(&f->idle);
    virtio_device_init(&f->virtio, &(struct virtio_setup){ .ops = &fs_ops,
                                                           .gmem = config->gmem,
                                                           .irq = config->irq,
                                                           .config = f->config,
                                                           .config_size = sizeof f->config });
    *out = &f->virtio.device;
    return 0;
}
