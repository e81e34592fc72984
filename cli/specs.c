/* Words of options; see options.c for the table of options. */
#include "cli/specs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "host/vsock.h"

/* Cut the next word off `*text` into `word`; false when there is none left. One that is too long is
 * cut short, so nothing knows it. */
static bool next_word(const char **text, char *word, size_t size)
{
    size_t n = strcspn(*text, ",");
    if (**text == '\0')
        return false;
    size_t kept = n < size ? n : size - 1;
    memcpy(word, *text, kept);
    word[kept] = '\0';
    *text += n + ((*text)[n] == ',');
    return true;
}

/* The value of `word` if it is "<name>=value", or NULL. */
static const char *value_of(const char *word, const char *name)
{
    size_t n = strlen(name);
    return strncmp(word, name, n) == 0 && word[n] == '=' ? word + n + 1 : NULL;
}

static bool parse_cid(const char *value, uint32_t *cid)
{
    size_t n = strlen(value);
    unsigned long long number = n < 11 ? strtoull(value, NULL, 10) : 0;
    *cid = (uint32_t)number;
    return n > 0 && strspn(value, "0123456789") == n && number >= VSOCK_CID_MIN &&
           number < UINT32_MAX;
}

int spec_parse_pmem(char *text, struct pmem_options *out, struct err *e)
{
    char *comma = strrchr(text, ',');
    *out = (struct pmem_options){ .path = text };
    if (comma && strcmp(comma, ",ro") == 0) {
        out->read_only = true;
        *comma = '\0';
    }
    return text[0] ? 0 : err_set(e, -EINVAL, "--pmem needs a FILE, but it is empty");
}

int spec_parse_console(char *text, struct vm_console *out, struct err *e)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    char *comma = strrchr(text, ',');
    const char *name = comma ? value_of(comma + 1, "name") : NULL;
    if (!name)
        return 0;
    size_t n = strlen(name);
    if (n == 0 || n >= sizeof out->name || strspn(name, letters) != n)
        return err_set(e, -EINVAL,
                       "--console: 'name=%s': a name is at most %zu letters, digits and .-_", name,
                       sizeof out->name - 1);
    memcpy(out->name, name, n + 1);
    *comma = '\0';
    return 0;
}

int spec_parse_vsock(const char *text, struct vm_vsock *out, struct err *e)
{
    char word[sizeof out->path + 8];
    *out = (struct vm_vsock){ .cid = VSOCK_CID_MIN };
    while (next_word(&text, word, sizeof word)) {
        const char *path = value_of(word, "path"), *cid = value_of(word, "cid");
        if (cid && !parse_cid(cid, &out->cid))
            return err_set(e, -EINVAL, "--vsock: '%s': it is a number from %u to 4294967294", word,
                           VSOCK_CID_MIN);
        if (path && strlen(path) >= sizeof out->path)
            return err_set(e, -EINVAL, "--vsock: '%s': the path of a socket is shorter", word);
        if (path)
            strcpy(out->path, path);
        if (!path && !cid)
            return err_set(e, -EINVAL, "--vsock: it has no '%s'; write path=PATH,cid=N", word);
    }
    if (!out->path[0])
        return err_set(e, -EINVAL, "--vsock: it needs the path of a socket, as in path=vm.vsock");
    return 0;
}
