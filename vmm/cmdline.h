/* The kernel's command line. */
#ifndef VMM_CMDLINE_H
#define VMM_CMDLINE_H

#include "base/compiler.h"

/* `user` (or NULL) with console=ttyAMA0 added when no console= is in it, so that a guest speaks
 * where we listen. In memory of malloc(), or NULL when there is none. */
char *cmdline_compose(const char *user) MUST_CHECK;

#endif
