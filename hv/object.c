/* os_retain() and os_release(), see hv/object.h. */
#include "hv/object.h"

#include <os/object.h>
#include <stdlib.h>

void *hv_object_create(enum hv_object_kind kind, size_t size)
{
    struct hv_object *o = calloc(1, size);

    if (!o)
        return NULL;
    atomic_init(&o->references, 1);
    o->kind = kind;
    return o;
}

bool hv_object_is(const void *object, enum hv_object_kind kind)
{
    const struct hv_object *o = object;

    return o && o->kind == kind;
}

void *os_retain(void *object)
{
    struct hv_object *o = object;

    if (o)
        atomic_fetch_add_explicit(&o->references, 1, memory_order_relaxed);
    return object;
}

void os_release(void *object)
{
    struct hv_object *o = object;

    /* Every other holder's last use comes before the free. */
    if (o && atomic_fetch_sub_explicit(&o->references, 1, memory_order_acq_rel) == 1)
        free(o);
}
