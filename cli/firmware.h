/* The UEFI firmware that boots a disk when the user names neither kernel nor firmware. */
#ifndef CLI_FIRMWARE_H
#define CLI_FIRMWARE_H

#include "base/compiler.h"
#include "base/err.h"
#include "vmm/vm.h"

/* If `vm` has a disk, but nothing that boots it, set its firmware to what is installed on this host
 * (free() it). 0, or negative errno and one sentence. */
int firmware_choose(struct vm_config *vm, struct err *e) MUST_CHECK;

/* The same, with a list of places (ended by NULL) to look in. */
int firmware_choose_from(struct vm_config *vm, const char *const *places, struct err *e) MUST_CHECK;

#endif
