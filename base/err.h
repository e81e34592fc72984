/*
 * One sentence for the user, carried up to the one place that prints it (cli/).
 *
 * A function that takes `struct err *` and fails leaves a sentence that names the option or file
 * and says what to do, and returns a negative errno. It never prints.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include "base/compiler.h"

struct err {
    char text[512];
};

/* Set the sentence and return `code` (a negative errno), so that `return err_set(e, -EINVAL, ...)`
 * reads well. Control characters in it become question marks. */
int err_set(struct err *e, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
