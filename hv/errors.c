/* What each errno of a back end is at the API. */
#include "hv/process.h"

#include <errno.h>

hv_return_t hv_return_of(int err)
{
    switch (-err) {
    case 0:
        return HV_SUCCESS;
    case EINVAL:
        return HV_BAD_ARGUMENT;
    case EBUSY:
        return HV_BUSY;
    case ENOMEM:
    case ENOSPC:
        return HV_NO_RESOURCES;
    case ENODEV:
        return HV_NO_DEVICE;
    case ENOTSUP:
        return HV_UNSUPPORTED;
    case EPERM:
    case EACCES:
        return HV_DENIED;
    case EEXIST:
        return HV_EXISTS;
    default:
        return HV_ERROR;
    }
}
