/* What one vCPU asks of others: soft/request.c. */
#ifndef SOFT_REQUEST_H
#define SOFT_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/lock.h"

struct soft_vm;
struct soft_vcpu;

enum request_kind {
    REQUEST_TLB_ALL,
    REQUEST_TLB_ASID,
    REQUEST_TLB_VA,
    REQUEST_CODE_LINE,
    REQUEST_CODE_PAGE,
    REQUEST_CODE_ALL,
    REQUEST_WRITE_PROTECT,
    REQUEST_WATCH,
};

#define REQUEST_ANY_ASID (-1)

struct request {
    enum request_kind kind;
    int asid;         /* REQUEST_ANY_ASID, or the one whose entries go */
    uint64_t address; /* virtual, of the first page; or physical, of the line or page */
    uint64_t size;    /* bytes; for REQUEST_TLB_VA */
};

#define REQUEST_RING 64

/* Ranges do not grow beyond this, so that sizes do not wrap. */
#define REQUEST_SIZE_MAX (1ull << 40)

struct requests {
    struct lock lock;
    unsigned count;
    struct request ring[REQUEST_RING];
    bool lost_tlb, lost_code; /* there was no room */
};

/* Carry out a request here, and with `broadcast` ask the other vCPUs too. They are done at
 * soft_barrier(), the DSB. The vCPU's own thread. */
void soft_request(struct soft_vcpu *v, const struct request *r, bool broadcast);
void soft_barrier(struct soft_vcpu *v);

/* Ask all vCPUs; nobody waits. Any thread, or that of a vCPU which is not in the guest. */
void soft_request_all(struct soft_vm *vm, const struct request *r);

/* Do what others asked for, between instructions or at a barrier. The vCPU's own thread. Frees
 * nothing that an instruction in progress uses. */
void request_drain(struct soft_vcpu *v);

#endif
