/* Apple's return codes in our words. The only place of the monitor that knows them. */
#ifndef VMM_HVCALL_H
#define VMM_HVCALL_H

#include <Hypervisor/Hypervisor.h>

#include "base/err.h"

/* "not permitted: ..." */
const char *hvcall_text(hv_return_t r);

/* The same as a negative errno. */
int hvcall_errno(hv_return_t r);

/* 0 for HV_SUCCESS; else the sentence "<what> failed: <why, and what to do>" and a negative errno.
 * `what` reads like "creating the virtual machine". */
int hvcall_check(struct err *e, hv_return_t r, const char *what);

#endif
