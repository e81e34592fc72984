/*
 * virtio-pmem: virtio 1.2, section 5.19.
 *
 * The memory itself is the monitor's business; the device says where it is, and knows one request:
 * bring what was written to stable storage. The host's thread does that and gives the chain back.
 */
#include "devices/virtio/pmem.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "devices/virtio/device.h"

#define PMEM_ID         27
#define PMEM_QUEUE_SIZE 64

enum { CFG_START = 0, CFG_LENGTH = 8, CFG_SIZE = 16 }; /* 5.19.4 */

/* 5.19.6: a request is a type, the answer a result. */
enum { REQUEST_FLUSH = 0, RESULT_OK = 0 };
#define RESULT_FAILED UINT32_MAX

struct virtio_pmem;

struct pmem_request {
    struct pmem_flush flush;
    struct virtio_pmem *device;
    uint8_t *answer[4]; /* its bytes in guest memory */
    uint16_t head;
};

struct virtio_pmem {
    struct virtio_device virtio; /* first */
    struct pmem *pmem;
    uint8_t config[CFG_SIZE];
    struct pmem_request request[PMEM_QUEUE_SIZE];
    struct pmem_request *idle[PMEM_QUEUE_SIZE]; /* the first `idle_count` of them */
    unsigned idle_count;
    pthread_cond_t all_idle;
    struct virtq_chain chain;
};

static struct virtio_pmem *pmem_of(struct virtio_device *v)
{
    return CONTAINER_OF(v, struct virtio_pmem, virtio);
}

static void pmem_answer(struct virtio_pmem *p, struct pmem_request *r, uint32_t result)
{
    for (unsigned i = 0; i < 4; i++)
        *r->answer[i] = (uint8_t)(result >> (8 * i));
    virtio_push(&p->virtio, 0, r->head, 4);
    p->idle[p->idle_count++] = r;
}

/* struct pmem_flush, on the host's thread. */
static void pmem_flushed(struct pmem_flush *f, int result)
{
    struct pmem_request *r = CONTAINER_OF(f, struct pmem_request, flush);
    struct virtio_pmem *p = r->device;
    lock_acquire(&p->virtio.device.lock);
    pmem_answer(p, r, result < 0 ? RESULT_FAILED : RESULT_OK);
    virtio_interrupt(&p->virtio, 0);
    if (p->idle_count == PMEM_QUEUE_SIZE)
        pthread_cond_broadcast(&p->all_idle);
    lock_release(&p->virtio.device.lock);
}

/* No more are in flight than the ring has entries. */
static int pmem_serve(struct virtio_device *v, unsigned queue)
{
    struct virtio_pmem *p = pmem_of(v);
    struct virtq_chain *c = &p->chain;
    uint8_t type[4];
    (void)queue;
    if (c->writable_bytes < 4)
        return -EPROTO; /* no room for an answer */
    bool known = virtq_chain_read(c, 0, type, sizeof type) && ld_le32(type) == REQUEST_FLUSH;
    struct pmem_request *r = p->idle[--p->idle_count];
    r->head = c->head;
    /* The answer is the first four bytes; they may lie in several pieces. */
    while (c->writable_bytes > 4)
        (void)virtq_chain_take_last(c);
    for (unsigned i = 4; i > 0; i--)
        r->answer[i - 1] = virtq_chain_take_last(c);
    if (known && p->pmem)
        pmem_submit(p->pmem, &r->flush);
    else
        pmem_answer(p, r, RESULT_FAILED);
    return 1;
}

static void pmem_notify(struct virtio_device *v, unsigned queue)
{
    virtio_serve(v, queue, &pmem_of(v)->chain, pmem_serve);
}

static void pmem_device_drain(struct virtio_device *v)
{
    struct virtio_pmem *p = pmem_of(v);
    while (p->idle_count < PMEM_QUEUE_SIZE)
        lock_wait(&v->device.lock, &p->all_idle, UINT64_MAX);
}

static void pmem_destroy(struct virtio_device *v)
{
    struct virtio_pmem *p = pmem_of(v);
    if (p->pmem)
        pmem_drain(p->pmem); /* the thread has left pmem_flushed() */
    pthread_cond_destroy(&p->all_idle);
    virtio_device_fini(v);
    free(p);
}

static const struct virtio_ops pmem_ops = {
    .name = "virtio-pmem",
    .id = PMEM_ID,
    .queues = 1,
    .queue_size = PMEM_QUEUE_SIZE,
    .notify = pmem_notify,
    .drain = pmem_device_drain,
    .destroy = pmem_destroy,
};

int virtio_pmem_create(const struct virtio_pmem_config *config, struct device **out)
{
    struct virtio_pmem *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->pmem = config->pmem;
    cond_init(&p->all_idle);
    for (unsigned i = 0; i < PMEM_QUEUE_SIZE; i++) {
        p->request[i] = (struct pmem_request){ .flush.done = pmem_flushed, .device = p };
        p->idle[p->idle_count++] = &p->request[i];
    }
    st_le64(p->config + CFG_START, config->base);
    st_le64(p->config + CFG_LENGTH, p->pmem ? pmem_size(p->pmem) : 0);
    virtio_device_init(&p->virtio, &(struct virtio_setup){ .ops = &pmem_ops,
                                                           .gmem = config->gmem,
                                                           .irq = config->irq,
                                                           .config = p->config,
                                                           .config_size = sizeof p->config });
    *out = &p->virtio.device;
    return 0;
}
