/* Which word was meant? */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

/* The one of `n` names that `word` most likely is a misspelling or a beginning of, or NULL. */
const char *suggest(const char *word, const char *const *names, size_t n);

#endif
