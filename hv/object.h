/*
 * Reference-counted objects: hv_vm_config_t, hv_vcpu_config_t, hv_gic_config_t and
 * hv_gic_state_t each start with
 * one of these. They own nothing but themselves, so the last release frees them.
 */
#ifndef HV_OBJECT_H
#define HV_OBJECT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

enum hv_object_kind {
    HV_OBJECT_VM_CONFIG = 1,
    HV_OBJECT_VCPU_CONFIG,
    HV_OBJECT_GIC_CONFIG,
    HV_OBJECT_GIC_STATE
};

struct hv_object {
    atomic_uint references;
    enum hv_object_kind kind;
};

/* `size` zeroed bytes that start with a struct hv_object of one reference, or NULL. */
void *hv_object_create(enum hv_object_kind kind, size_t size);

/* Is `object` one of that kind? NULL is none. */
bool hv_object_is(const void *object, enum hv_object_kind kind);

#endif
