/* What --share says: "PATH,tag=NAME[,ro][,uid=N][,gid=N]". */
#ifndef CLI_SHARE_SPEC_H
#define CLI_SHARE_SPEC_H

#include "base/compiler.h"
#include "base/err.h"
#include "host/share.h"

/* Cut `text` into its words, which `out` then points to. Looks at words only. */
int share_spec_parse(char *text, struct share_options *out, struct err *e) MUST_CHECK;

#endif
