/*
 * Apple's Hypervisor.framework API of arm64, on hosts that have no such framework. On a Mac this
 * header and every other one of the same name steps aside for Apple's own, so one include path
 * serves both. Names, values, widths and layouts are those of the macOS 26 SDK.
 */
#ifndef IREKO_HYPERVISOR_HYPERVISOR_H
#define IREKO_HYPERVISOR_HYPERVISOR_H

#if defined(__APPLE__) && defined(__arm64__)
#include_next <Hypervisor/Hypervisor.h>
#else

#include <Hypervisor/hv_base.h>
#include <Hypervisor/hv_gic.h>
#include <Hypervisor/hv_gic_config.h>
#include <Hypervisor/hv_gic_parameters.h>
#include <Hypervisor/hv_gic_state.h>
#include <Hypervisor/hv_gic_types.h>
#include <Hypervisor/hv_sme_config.h>
#include <Hypervisor/hv_vcpu.h>
#include <Hypervisor/hv_vcpu_config.h>
#include <Hypervisor/hv_vcpu_types.h>
#include <Hypervisor/hv_vm.h>
#include <Hypervisor/hv_vm_allocate.h>
#include <Hypervisor/hv_vm_config.h>
#include <Hypervisor/hv_vm_types.h>

#endif

#endif
