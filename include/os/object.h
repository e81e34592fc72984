/*
 * Reference counting of the API's configuration objects, under Apple's names.
 */
#ifndef IREKO_OS_OBJECT_H
#define IREKO_OS_OBJECT_H

#if defined(__APPLE__)
#include_next <os/object.h>
#else

#ifdef __cplusplus
extern "C" {
#endif

/* Add a reference and return `object`; drop one, and with the last one the object. Any thread. */
void *os_retain(void *object);
void os_release(void *object);

#ifdef __cplusplus
}
#endif

#endif

#endif
