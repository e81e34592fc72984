/* What --disk says: "FILE[,WORD][,WORD=VALUE]...", as docs/ireko.1 lists them. */
#ifndef CLI_DISK_SPEC_H
#define CLI_DISK_SPEC_H

#include "base/compiler.h"
#include "base/err.h"
#include "host/disk.h"

/* Cut the words off the end of `text`; what is left is the path, which may have commas of its own,
 * and which `out` then points to. Looks at words only. */
int disk_spec_parse(char *text, struct disk_options *out, struct err *e) MUST_CHECK;

#endif
