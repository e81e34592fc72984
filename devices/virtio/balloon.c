/*
 * virtio-balloon: virtio 1.2, section 5.5.
 *
 * Its use is free page reporting (5.5.6.7): the driver says which pages nobody uses, in large
 * pieces and long after they were freed, and the host has them back at once. The balloon proper
 * takes a fixed amount that the user chose from the guest; its pages come one by one, so runs of
 * them are put together first.
 *
 * The address range stays mapped, so a software MMU does not have to know: what was given back
 * reads as zeroes and is made anew when it is written. A Mac's stage 2 is told.
 * Code that was on such a page is dropped when the guest says so after it has written new code, as
 * ever.
 *
 * The specification numbers the reporting queue 4, Linux gives the queues that there are numbers
 * without gaps. We offer neither statistics nor hints, so every queue from 2 on is the reporting
 * queue.
 */
#include "devices/virtio/balloon.h"

#include <errno.h>
#include <stdlib.h>

#include "base/bytes.h"
#include "devices/virtio/device.h"

#define BALLOON_ID         5
#define BALLOON_QUEUE_SIZE 64
/* Pages that a chain gives; Linux' have 256, and more stay the guest's. */
#define BALLOON_NUMBERS 1024

enum { INFLATE, DEFLATE, REPORTING, QUEUES = 5 };

/* Feature bits (5.5.3). */
#define BALLOON_F_DEFLATE_ON_OOM (1ull << 2)
#define BALLOON_F_REPORTING      (1ull << 5)

/* The configuration space (5.5.4), as offsets into bytes. */
enum { CFG_NUM_PAGES = 0, CFG_ACTUAL = 4, CFG_SIZE = 8 };

struct virtio_balloon {
    struct virtio_device virtio; /* first */
    const struct gmem *ram;
    uint8_t config[CFG_SIZE];
    void (*give_back)(void *ctx, void *p, size_t n);
    void *ctx;
    struct virtq_chain chain;
};

static struct virtio_balloon *balloon_of(struct virtio_device *v)
{
    return CONTAINER_OF(v, struct virtio_balloon, virtio);
}

static void balloon_give_back(const struct virtio_balloon *b, const struct iovec *piece)
{
    b->give_back(b->ctx, piece->iov_base, piece->iov_len);
}

/* Pages [first, first + count) of guest memory, if they are RAM. */
static void balloon_give_pages(const struct virtio_balloon *b, uint64_t first, uint64_t count)
{
    struct iovec piece[GMEM_MAX_REGIONS];
    int n = gmem_iov(b->ram, first * BALLOON_PAGE, count * BALLOON_PAGE, piece, GMEM_MAX_REGIONS);
    for (int i = 0; i < n; i++)
        balloon_give_back(b, &piece[i]);
}

/* The chain is an array of page numbers. Linux takes them upwards or downwards. */
static void balloon_inflate(const struct virtio_balloon *b)
{
    uint64_t first = 0, count = 0;
    uint8_t number[4];
    for (unsigned i = 0; i < BALLOON_NUMBERS; i++) {
        if (!virtq_chain_read(&b->chain, i * sizeof number, number, sizeof number))
            break;
        uint64_t page = ld_le32(number);
        if (count > 0 && page == first + count) {
            count++;
        } else if (count > 0 && page + 1 == first) {
            first = page;
            count++;
        } else {
            balloon_give_pages(b, first, count);
            first = page;
            count = 1;
        }
    }
    balloon_give_pages(b, first, count);
}

/* Is the piece of guest memory RAM, and no file? Pieces do not cross regions. */
static bool balloon_is_ram(const struct gmem *ram, const struct iovec *v)
{
    uintptr_t at = (uintptr_t)v->iov_base;
    for (unsigned i = 0; i < ram->count; i++) {
        uintptr_t base = (uintptr_t)ram->region[i].host;
        if (at >= base && at - base < ram->region[i].size)
            return true;
    }
    return false;
}

/* The chain's buffers are the pages. */
static void balloon_report(const struct virtio_balloon *b)
{
    const struct virtq_chain *c = &b->chain;
    for (int i = c->readable; i < c->readable + c->writable; i++)
        if (balloon_is_ram(b->ram, &c->iov[i]))
            balloon_give_back(b, &c->iov[i]);
}

static int balloon_serve(struct virtio_device *v, unsigned queue)
{
    const struct virtio_balloon *b = balloon_of(v);
    if (queue == INFLATE)
        balloon_inflate(b);
    else if (queue >= REPORTING && virtio_has(v, BALLOON_F_REPORTING))
        balloon_report(b);
    virtio_push(v, queue, b->chain.head, 0);
    return 1;
}

static void balloon_notify(struct virtio_device *v, unsigned queue)
{
    virtio_serve(v, queue, &balloon_of(v)->chain, balloon_serve);
}

/* How many pages the guest has given; it is for people only. */
static void balloon_config_write(struct virtio_device *v, uint64_t offset, unsigned width,
                                 uint64_t value)
{
    struct virtio_balloon *b = balloon_of(v);
    for (unsigned i = 0; i < width; i++)
        if (offset + i >= CFG_ACTUAL && offset + i < CFG_SIZE)
            b->config[offset + i] = (uint8_t)(value >> (8 * i));
}

static void balloon_reset(struct virtio_device *v)
{
    st_le32(balloon_of(v)->config + CFG_ACTUAL, 0);
}

static void balloon_destroy(struct virtio_device *v)
{
    virtio_device_fini(v);
    free(balloon_of(v));
}

static const struct virtio_ops balloon_ops = {
    .name = "virtio-balloon",
    .id = BALLOON_ID,
    .queues = QUEUES,
    .queue_size = BALLOON_QUEUE_SIZE,
    .unwritten = true,
    .notify = balloon_notify,
    .config_write = balloon_config_write,
    .reset = balloon_reset,
    .destroy = balloon_destroy,
};

int virtio_balloon_create(const struct virtio_balloon_config *config, struct device **out)
{
    struct virtio_balloon *b = calloc(1, sizeof *b);
    if (!b)
        return -ENOMEM;
    b->ram = config->ram;
    st_le32(b->config + CFG_NUM_PAGES, config->pages);
    b->give_back = config->give_back;
    b->ctx = config->ctx;
    const struct virtio_setup setup = {
        .ops = &balloon_ops,
        .gmem = config->gmem,
        .irq = config->irq,
        .features = BALLOON_F_DEFLATE_ON_OOM | BALLOON_F_REPORTING,
        .config = b->config,
        .config_size = sizeof b->config,
    };
    virtio_device_init(&b->virtio, &setup);
    *out = &b->virtio.device;
    return 0;
}
