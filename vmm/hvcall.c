#include "vmm/hvcall.h"

#include <errno.h>
#include <stddef.h>

#include "base/compiler.h"

/* HV_EXISTS, which SDKs before macOS 26's do not have. */
#define HVCALL_EXISTS ((hv_return_t)0xfae94008)

/* clang-format off */
static const struct {
    hv_return_t code;
    int error;
    const char *text;
} hvcall_codes[] = {
    { HV_SUCCESS,             0,       "success" },
    { HV_ERROR,               EIO,     "the host gives no reason" },
    { HV_BUSY,                EBUSY,   "this process has a virtual machine already" },
    { HV_BAD_ARGUMENT,        EINVAL,  "the host refuses an argument; please report this" },
    { HV_ILLEGAL_GUEST_STATE, EINVAL,  "the guest's state is not one that a CPU can be in" },
    { HV_NO_RESOURCES,        ENOMEM,  "the host is out of memory or virtual CPUs; try fewer --cpus "
                                       "or less --memory" },
    { HV_NO_DEVICE,           ENODEV,  "there is no virtual machine" },
    { HV_DENIED,              EPERM,   "not permitted; on macOS sign the program with the "
                                       "entitlement com.apple.security.hypervisor" },
    { HVCALL_EXISTS,          EEXIST,  "the range is mapped already" },
    { HV_UNSUPPORTED,         ENOTSUP, "this host cannot do it; try another --engine" },
};
/* clang-format on */

const char *hvcall_text(hv_return_t r)
{
    for (size_t i = 0; i < ARRAY_LEN(hvcall_codes); i++)
        if (hvcall_codes[i].code == r)
            return hvcall_codes[i].text;
    return "the host answers with an unknown code";
}

int hvcall_errno(hv_return_t r)
{
    for (size_t i = 0; i < ARRAY_LEN(hvcall_codes); i++)
        if (hvcall_codes[i].code == r)
            return -hvcall_codes[i].error;
    return -EIO;
}

int hvcall_check(struct err *e, hv_return_t r, const char *what)
{
    if (r == HV_SUCCESS)
        return 0;
    return err_set(e, hvcall_errno(r), "%s failed: %s (0x%08x)", what, hvcall_text(r), (unsigned)r);
}
