/* The back ends of this build. One that cannot run on the host says so when it is probed. */
#include "hv/backend.h"

const struct hv_backend *const hv_backends[] = {
#ifdef HV_WITH_KVM
    &hv_backend_kvm,
#endif
#ifdef HV_WITH_SOFT
    &hv_backend_soft,
#endif
    NULL,
};
