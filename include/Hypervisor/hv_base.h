/*
 * What every other header of the API needs.
 */
#ifndef IREKO_HYPERVISOR_HV_BASE_H
#define IREKO_HYPERVISOR_HV_BASE_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/hv_base.h>
#else

#include <arm64/hv/hv_kern_types.h>
#include <os/object.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#endif

#endif
