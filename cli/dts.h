/* Device tree source from a flattened device tree. */
#ifndef CLI_DTS_H
#define CLI_DTS_H

#include <stddef.h>
#include <stdio.h>

#include "base/compiler.h"

/* Print the tree of `size` bytes at `fdt`. 0, or -EINVAL (nothing printed) if it is malformed. */
int dts_print(FILE *f, const void *fdt, size_t size) MUST_CHECK;

#endif
