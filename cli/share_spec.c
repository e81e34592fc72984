#include "cli/share_spec.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool parse_id(const char *text, uint32_t *id)
{
    size_t n = strlen(text);
    unsigned long long value = n < 11 ? strtoull(text, NULL, 10) : UINT32_MAX;
    *id = (uint32_t)value;
    return n > 0 && strspn(text, "0123456789") == n && value < UINT32_MAX;
}

/* Take one word, without its comma; false: it is none. */
static bool share_word(struct share_options *o, const char *word)
{
    if (strcmp(word, "ro") == 0) {
        o->read_only = true;
        return true;
    }
    if (strncmp(word, "tag=", 4) == 0 && !o->tag) {
        o->tag = word + 4;
        return true;
    }
    return (strncmp(word, "uid=", 4) == 0 && parse_id(word + 4, &o->uid)) ||
           (strncmp(word, "gid=", 4) == 0 && parse_id(word + 4, &o->gid));
}

int share_spec_parse(char *text, struct share_options *out, struct err *e)
{
    *out = (struct share_options){ .path = text };
    /* From the end, because the path may have commas of its own. */
    for (char *comma; (comma = strrchr(text, ',')) != NULL; *comma = 0) {
        if (share_word(out, comma + 1))
            continue;
        if (strchr(comma + 1, '/') || (out->tag && !strchr(comma + 1, '=')))
            break;
        return err_set(
            e, -EINVAL,
            "--share: it has no '%s'; behind PATH go tag=NAME and, if you like, ro, uid=N, gid=N",
            comma + 1);
    }
    if (!text[0])
        return err_set(e, -EINVAL, "--share needs a PATH, but it is empty");
    if (!out->tag || !out->tag[0])
        return err_set(e, -EINVAL,
                       "--share '%s': give it a name that the guest mounts, as in ',tag=home'",
                       text);
    if (strlen(out->tag) > SHARE_TAG_MAX)
        return err_set(e, -EINVAL, "--share '%s': the tag '%s' is too long; %d bytes are the most",
                       text, out->tag, SHARE_TAG_MAX);
    return 0;
}
