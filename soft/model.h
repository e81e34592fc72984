/*
 * CPU models: what `--cpu` may name, and the features that soft/features.def lists.
 *
 * A model is versioned, so that a guest finds the same CPU on every host and in every release:
 * "ireko-v1" never loses or gains a feature, and "ireko-v2", which is that with FEAT_MOPS, does not
 * either. What costs speed is an option after the name, as in "ireko-v2,pauth,bti".
 */
#ifndef SOFT_MODEL_H
#define SOFT_MODEL_H

#include <Hypervisor/hvx.h>

#include <stdint.h>

#include "soft/sysreg.h"

#define MODEL_NAME "ireko-v2" /* who asks for none gets it */

/* PMU has no name in `--cpu`: hvx_vm_enable() asks for it; nor has MOPS, which is the model's. */
enum model_option {
    MODEL_BASE = 0,
    MODEL_PAUTH = 1 << 0,
    MODEL_BTI = 1 << 1,
    MODEL_PMU = 1 << 2,
    MODEL_MOPS = 1 << 3,
};

/* The options in `cpu`, a model's name with options or NULL for the model without any. -ENOTSUP:
 * there is no such CPU. */
int model_parse(const char *cpu, unsigned *options);

/* What the features put into an identification register; 0 for every other. */
uint64_t model_register(enum sysreg r, unsigned options);

/* The feature number `index`, in the table's order. -EINVAL: there are fewer. */
int model_feature(unsigned index, unsigned options, struct hvx_cpu_feature *feature);

#endif
