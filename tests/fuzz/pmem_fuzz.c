/*
 * virtio-pmem under a driver that does anything (virtio_script.h), on a file that answers when the
 * input says so.
 *
 * What must hold: no more flushes wait than the ring has entries, and all are answered in the end.
 */
#include "base/log.h"
#include "devices/virtio/pmem.h"
#include "tests/fuzz/virtio_script.h"

#include <assert.h>
#include <stdlib.h>

struct pmem {
    struct pmem_flush *first, **last;
    unsigned waiting;
    struct vdev v;
};

uint64_t pmem_size(const struct pmem *p)
{
    (void)p;
    return PMEM_ALIGN;
}

void pmem_submit(struct pmem *p, struct pmem_flush *f)
{
    f->next = NULL;
    *p->last = f;
    p->last = &f->next;
    assert(++p->waiting <= VDEV_SIZE);
}

void pmem_drain(struct pmem *p)
{
    assert(p->waiting == 0);
}

static void answer(struct pmem *p, int result)
{
    while (p->first) {
        struct pmem_flush *f = p->first;
        p->first = f->next;
        if (!p->first)
            p->last = &p->first;
        p->waiting--;
        f->done(f, result);
    }
}

static void own(void *ctx, const struct step *s)
{
    answer(ctx, s->c & 1 ? -5 : 0);
}

/* A reset waits for the answers, and there is no thread to give them: not later than now. */
static void after(void *ctx)
{
    answer(ctx, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct pmem p;
    log_set_level(LOG_ERROR);
    p.first = NULL;
    p.last = &p.first;
    p.waiting = 0;
    vdev_init(&p.v);
    const struct virtio_pmem_config config = {
        .irq = vdev_irq(&p.v), .gmem = &p.v.gmem, .pmem = &p, .base = 0x80000000
    };
    if (virtio_pmem_create(&config, &p.v.dev) < 0)
        abort();
    const struct script script = { .v = &p.v, .queues = 1, .own = own, .after = after, .ctx = &p };
    script_run(&script, data, size);
    vdev_fini(&p.v);
    return 0;
}

static unsigned flush(uint64_t *state, uint8_t *p)
{
    memset(p, 0, 8);
    p[0] = fuzz_random(state) % 8 == 0;
    return 1;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    return script_make(seed, data, flush);
}
