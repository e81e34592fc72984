/* Where translations are kept if nobody says where: in the user's cache, as the XDG Base Directory
 * Specification has it, version 0.8. */
#ifndef CLI_CODE_FOLDER_H
#define CLI_CODE_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

/* $XDG_CACHE_HOME/ireko/code, or ~/.cache/ireko/code; it need not be there. false: neither variable
 * is an absolute path, or it does not fit. */
bool code_folder(char *path, size_t size);

#endif
