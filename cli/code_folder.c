#include "cli/code_folder.h"

#include <stdio.h>
#include <stdlib.h>

bool code_folder(char *path, size_t size)
{
    const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int n = -1;

    if (cache && cache[0] == '/')
        n = snprintf(path, size, "%s/ireko/code", cache);
    else if (home && home[0] == '/')
        n = snprintf(path, size, "%s/.cache/ireko/code", home);
    return n > 0 && (size_t)n < size;
}
