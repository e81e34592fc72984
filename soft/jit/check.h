/*
 * The engine `check`: interpreter and JIT in lockstep.
 */
#ifndef SOFT_JIT_CHECK_H
#define SOFT_JIT_CHECK_H

#include <stdbool.h>
#include <stdint.h>

struct check;
struct soft_vcpu;

/* -ENOMEM, or 0 with v->check filled. The vCPU has a JIT. */
int check_create(struct soft_vcpu *v);
void check_destroy(struct soft_vcpu *v);

/* Run one block from cpu.pc by both engines, or one instruction that cannot be executed twice. A
 * difference is logged, and ends the run with v->failed. Faults leave by cpu.unwind. */
void check_run(struct soft_vcpu *v);

/* The current vCPU is about to change `size` bytes at `host`. */
void check_note_store(struct check *k, uint8_t *host, unsigned size);

/* Device memory of the engine's own: the access has to wait until the comparison is over. Is there
 * one? Then it is to be an exit like others. */
bool check_defers(struct check *k);

/* What the guest's counter shows while a block is executed twice. 24 MHz. */
uint64_t check_ticks(const struct check *k);

#endif
