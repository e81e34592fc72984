/*
 * Results and memory permissions. Apple keeps these two here, outside of the framework, because
 * its kernel uses them too.
 */
#ifndef IREKO_ARM64_HV_HV_KERN_TYPES_H
#define IREKO_ARM64_HV_HV_KERN_TYPES_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <arm64/hv/hv_kern_types.h>
#else

#include <stdint.h>

/* A mach_error_t. */
typedef int hv_return_t;

enum {
    HV_SUCCESS = 0,
    HV_ERROR = (int)0xfae94001, /* none of the below */
    HV_BUSY = (int)0xfae94002,  /* there is a VM already; it is in use */
    HV_BAD_ARGUMENT = (int)0xfae94003,
    HV_ILLEGAL_GUEST_STATE = (int)0xfae94004,
    HV_NO_RESOURCES = (int)0xfae94005, /* no memory, or no free vCPU */
    HV_NO_DEVICE = (int)0xfae94006,    /* there is no VM */
    HV_DENIED = (int)0xfae94007,       /* the host does not let us */
    HV_EXISTS = (int)0xfae94008,
    HV_UNSUPPORTED = (int)0xfae9400f, /* this host cannot do it */
};

/* What a guest may do with a range of its memory. */
typedef uint64_t hv_memory_flags_t;

enum {
    HV_MEMORY_READ = 1,
    HV_MEMORY_WRITE = 2,
    HV_MEMORY_EXEC = 4,
};

#endif

#endif
