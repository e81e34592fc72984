/*
 * Between queue.c and queue_packed.c: what the two layouts of a virtqueue share, and what queue.c
 * asks of the packed one. Nobody else includes this.
 */
#ifndef DEVICES_VIRTIO_QUEUE_LAYOUT_H
#define DEVICES_VIRTIO_QUEUE_LAYOUT_H

#include "devices/virtio/queue.h"

enum {
    DESC_F_NEXT = 1,
    DESC_F_WRITE = 2,
    DESC_F_INDIRECT = 4,
    DESC_SIZE = 16,
};

/* A descriptor of either layout; `last` is the next one (split) or the buffer's id (packed), and
 * the flags are where the layouts differ, too. */
struct virtq_desc {
    gpa_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t last;
};

/* Fetch descriptor `index` of a table: the bytes once. */
int virtq_desc_fetch(const struct virtq *q, gpa_t table, uint16_t index,
                     struct virtq_desc *d) MUST_CHECK;
/* Add the buffer of `d` to the chain: readable ones come first (2.7.4.2, 2.8.17). */
int virtq_chain_add(const struct virtq *q, struct virtq_chain *c,
                    const struct virtq_desc *d) MUST_CHECK;
/* The number of entries of the indirect table that `d` names, or negative errno (2.7.5.3). */
int64_t virtq_indirect_entries(const struct virtq *q, const struct virtq_desc *d) MUST_CHECK;

int virtq_packed_start(struct virtq *q) MUST_CHECK;
/* As virtq_pop(); c->head is the buffer's id, `*count` how many descriptors of the ring it has. */
int virtq_packed_pop(struct virtq *q, struct virtq_chain *c, uint16_t *count) MUST_CHECK;
/* Go back by `count` descriptors. */
void virtq_packed_unpop(struct virtq *q, uint16_t count);
/* Write the used descriptors of `n` slots, at least one; the driver sees all or none. */
int virtq_packed_give(struct virtq *q, const uint16_t *slots, unsigned n) MUST_CHECK;
int virtq_packed_rearm(struct virtq *q, unsigned enough) MUST_CHECK;
int virtq_packed_needs_interrupt(struct virtq *q) MUST_CHECK;

#endif
