/* What --disk says. */
#include "cli/disk_spec.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "cli/options.h"
#include "cli/suggest.h"

/* The index of `value` in `names` (ended by NULL), or -1. */
static int find_name(const char *value, const char *const *names)
{
    for (int i = 0; names[i]; i++)
        if (strcmp(value, names[i]) == 0)
            return i;
    return -1;
}

/* What may follow the FILE of --disk. Each takes what is behind the '=', or NULL where the table
 * has no `values`; false if that makes no sense. */
static bool disk_ro(struct disk_options *d, const char *value)
{
    (void)value;
    d->read_only = true;
    return true;
}

static bool disk_overlay(struct disk_options *d, const char *value)
{
    (void)value;
    d->overlay = true;
    return true;
}

static bool disk_backing(struct disk_options *d, const char *value)
{
    (void)value;
    d->backing = true;
    return true;
}

static bool disk_format(struct disk_options *d, const char *value)
{
    static const char *const names[] = { "raw", "qcow2", NULL };
    static const enum disk_format formats[] = { DISK_FORMAT_RAW, DISK_FORMAT_QCOW2 };
    int i = find_name(value, names);
    if (i >= 0)
        d->format = formats[i];
    return i >= 0;
}

static bool disk_cache(struct disk_options *d, const char *value)
{
    static const char *const names[] = { "writeback", "writethrough", "none", "unsafe", NULL };
    int i = find_name(value, names); /* in the order of enum disk_cache */
    if (i >= 0)
        d->cache = (enum disk_cache)i;
    return i >= 0;
}

static bool disk_iops(struct disk_options *d, const char *value)
{
    return parse_size(value, &d->iops) == 0 && d->iops >= 1;
}

static bool disk_bps(struct disk_options *d, const char *value)
{
    return parse_size(value, &d->bps) == 0 && d->bps >= 4096;
}

static const struct disk_word {
    const char *name;
    const char *values; /* for the user; NULL: it has none */
    bool (*set)(struct disk_options *d, const char *value);
} disk_words[] = {
    { "ro", NULL, disk_ro },
    { "overlay", NULL, disk_overlay },
    { "format", "raw or qcow2", disk_format },
    { "backing", NULL, disk_backing },
    { "cache", "writeback, writethrough, none or unsafe", disk_cache },
    { "iops", "a number of requests a second, as in 500", disk_iops },
    { "bps", "bytes a second, 4K or more, as in 20M", disk_bps },
};

/* The row that `text`, one of the comma-separated words, is about; NULL: it belongs to the path. */
static const struct disk_word *disk_word_find(const char *text)
{
    for (size_t i = 0; i < ARRAY_LEN(disk_words); i++) {
        size_t n = strlen(disk_words[i].name);
        if (strncmp(text, disk_words[i].name, n) == 0 &&
            text[n] == (disk_words[i].values ? '=' : 0))
            return &disk_words[i];
    }
    return NULL;
}

/* Is `text` a misspelled word? Then it is no part of the path. */
static const char *disk_word_meant(const char *text)
{
    const char *names[ARRAY_LEN(disk_words)];
    char name[32];
    size_t n = strcspn(text, "=");
    if (text[n] != '=' || n >= sizeof name)
        return NULL;
    memcpy(name, text, n);
    name[n] = 0;
    for (size_t i = 0; i < ARRAY_LEN(disk_words); i++)
        names[i] = disk_words[i].name;
    return suggest(name, names, ARRAY_LEN(disk_words));
}

int disk_spec_parse(char *text, struct disk_options *out, struct err *e)
{
    *out = (struct disk_options){ .path = text };
    for (char *comma; (comma = strrchr(text, ',')) != NULL; *comma = 0) {
        const struct disk_word *word = disk_word_find(comma + 1);
        const char *meant = word ? NULL : disk_word_meant(comma + 1);
        if (meant)
            return err_set(e, -EINVAL, "--disk: it has no '%s'; did you mean '%s'?", comma + 1,
                           meant);
        if (!word)
            break;
        if (!word->set(out, word->values ? strchr(comma + 1, '=') + 1 : NULL))
            return err_set(e, -EINVAL, "--disk: '%s': it is %s", comma + 1, word->values);
    }
    if (!text[0])
        return err_set(e, -EINVAL, "--disk needs a FILE, but it is empty");
    if (out->overlay && out->read_only)
        return err_set(
            e, -EINVAL,
            "--disk '%s': give ',ro' or ',overlay': what the guest cannot write needs no "
            "overlay",
            text);
    if (out->backing && out->format != DISK_FORMAT_QCOW2)
        return err_set(e, -EINVAL, "--disk '%s': ',backing' is for ',format=qcow2'", text);
    return 0;
}
