/*
 * The global exclusive monitor (DDI 0487 B2.12): soft/exclusive.c. All functions are for the vCPU's
 * own thread.
 */
#ifndef SOFT_EXCLUSIVE_H
#define SOFT_EXCLUSIVE_H

#include <stdbool.h>
#include <stdint.h>

struct soft_vcpu;
struct exclusive_set;
struct exclusives;

struct exclusives *exclusives_create(void); /* NULL: no memory */
void exclusives_destroy(struct exclusives *x);

/* Are stores to the page with `pa` to go through exclusive_hold()? Then no TLB may let them by. */
bool exclusive_watches(const struct exclusives *x, uint64_t pa);

/* A load-exclusive from `pa`, whose value is read after this: set the vCPU's monitor. False: the
 * page is not watched, so a store-exclusive has the value to go by. */
bool exclusive_load(struct soft_vcpu *v, uint64_t pa);

/*
 * Before a store-exclusive to `pa` of a vCPU whose load-exclusive said `watched`: may it be tried,
 * by comparing and exchanging the value? Then exclusive_release() follows that. False: it has
 * failed, and other vCPUs may have had requests for this one.
 */
bool exclusive_store(struct soft_vcpu *v, uint64_t pa, bool watched, struct exclusive_set **held);

/* Before any other store or atomic access to `size` bytes at `pa`, in one page: nobody else gets at
 * the page until exclusive_release(), and monitors of other vCPUs for these bytes are cleared. NULL
 * where nothing needs that. */
struct exclusive_set *exclusive_hold(struct soft_vcpu *v, uint64_t pa, unsigned size);
void exclusive_release(struct exclusive_set *held); /* or NULL */

/* For the engine check: the monitor, to be put back. */
uint64_t exclusive_get(const struct soft_vcpu *v);
void exclusive_set(struct soft_vcpu *v, uint64_t monitor);

#endif
