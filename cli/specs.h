/* What the comma-separated words after an option say, for the options of one device each. */
#ifndef CLI_SPECS_H
#define CLI_SPECS_H

#include "base/compiler.h"
#include "base/err.h"
#include "vmm/vm.h"

/* "path=PATH[,cid=N]" after --vsock. 0, or -EINVAL and one sentence in `e`. */
int spec_parse_vsock(const char *text, struct vm_vsock *out, struct err *e) MUST_CHECK;

/* Cut "[,ro]" off `text`, which is what --pmem says; the rest is the path. */
int spec_parse_pmem(char *text, struct pmem_options *out, struct err *e) MUST_CHECK;

/* Cut "[,name=NAME]" off `text`, which is what --console says; the rest is where it is. */
int spec_parse_console(char *text, struct vm_console *out, struct err *e) MUST_CHECK;

#endif
