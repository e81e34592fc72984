/*
 * Words as Linux splits them (lib/cmdline.c, next_arg): by white space outside of double quotes. A
 * word "--" ends the kernel's part; what follows is for init.
 */
#include "vmm/cmdline.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define CMDLINE_CONSOLE "console=ttyAMA0"

static bool cmdline_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n';
}

/* The next word at or behind `s`, its length in `n`; NULL at the end. */
static const char *cmdline_word(const char *s, size_t *n)
{
    while (cmdline_is_space(*s))
        s++;
    bool quoted = false;
    const char *end = s;
    for (; *end && (quoted || !cmdline_is_space(*end)); end++)
        if (*end == '"')
            quoted = !quoted;
    *n = (size_t)(end - s);
    return end == s ? NULL : s;
}

/* Where the kernel's part ends; `*console` tells whether it names one. */
static size_t cmdline_scan(const char *s, bool *console)
{
    static const char wanted[] = "console=";
    size_t n;
    *console = false;
    for (const char *w = cmdline_word(s, &n); w; w = cmdline_word(w + n, &n)) {
        if (n == 2 && memcmp(w, "--", 2) == 0)
            return (size_t)(w - s);
        const char *name = *w == '"' ? w + 1 : w;
        if (strncmp(name, wanted, sizeof wanted - 1) == 0)
            *console = true;
    }
    return strlen(s);
}

char *cmdline_compose(const char *user)
{
    if (!user)
        user = "";
    bool console;
    size_t kernel = cmdline_scan(user, &console);
    size_t all = strlen(user);
    char *out = malloc(all + sizeof CMDLINE_CONSOLE + 2);
    if (!out)
        return NULL;
    memcpy(out, user, all + 1);
    if (console)
        return out;
    char *at = out + kernel;
    if (kernel > 0 && !cmdline_is_space(at[-1]))
        *at++ = ' ';
    memcpy(at, CMDLINE_CONSOLE, sizeof CMDLINE_CONSOLE);
    at += sizeof CMDLINE_CONSOLE - 1;
    if (kernel < all) {
        *at++ = ' ';
        memcpy(at, user + kernel, all - kernel + 1);
    }
    return out;
}
