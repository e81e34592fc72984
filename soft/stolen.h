/* Time that the host stole from a vCPU: soft/stolen.c. All for the vCPU's own thread. */
#ifndef SOFT_STOLEN_H
#define SOFT_STOLEN_H

#include <stdint.h>

struct soft_vcpu;

struct stolen {
    uint64_t *place; /* NULL: nobody asked */
    uint64_t base;   /* what the thread had lost before */
    uint64_t due;    /* when to look again, in ticks */
    int fd;          /* the thread's schedstat; with `place` */
};

/* From now on keep nanoseconds in `place`, from 0 on. -ENOTSUP: the host does not tell. */
int stolen_begin(struct soft_vcpu *v, uint64_t *place);
void stolen_end(struct soft_vcpu *v);

/* Between instructions, as often as there is attention: bring `place` up to date if it is time. */
void stolen_look(struct soft_vcpu *v);

#endif
