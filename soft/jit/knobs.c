/*
 * IREKO_JIT: switches of the JIT, for tests that press it hard and for measuring what a technique
 * is worth. A list of words separated by commas; one that nobody knows is ignored with a warning.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "soft/jit/runtime.h"
#include "soft/jit/translate.h"

/* Code memory: for each vCPU, and for all together. */
#define CACHE_SIZE (128u << 20)
#define CACHE_MOST (512u << 20)
#define WARM       12

static const struct {
    const char *word;
    size_t offset;
} switches[] = {
    { "baseline", offsetof(struct jit_knobs, baseline) },
    { "count", offsetof(struct jit_knobs, count) },
    { "strict", offsetof(struct jit_knobs, strict) },
    { "ungrouped", offsetof(struct jit_knobs, ungrouped) },
    { "unmixed", offsetof(struct jit_knobs, unmixed) },
    { "uncached", offsetof(struct jit_knobs, uncached) },
    { "eager", offsetof(struct jit_knobs, eager) },
    { "ungrown", offsetof(struct jit_knobs, ungrown) },
    { "narrow", offsetof(struct jit_knobs, narrow) },
    { "open", offsetof(struct jit_knobs, open) },
    { "shut", offsetof(struct jit_knobs, shut) },
    { "aliased", offsetof(struct jit_knobs, aliased) },
    { "unpaged", offsetof(struct jit_knobs, unpaged) },
    { "unfilled", offsetof(struct jit_knobs, unfilled) },
    { "unspread", offsetof(struct jit_knobs, unspread) },
    { "uncrossed", offsetof(struct jit_knobs, uncrossed) },
    { "undelayed", offsetof(struct jit_knobs, undelayed) },
    { "sixteen", offsetof(struct jit_knobs, sixteen) },
    { "high", offsetof(struct jit_knobs, high) },
    { "unstraight", offsetof(struct jit_knobs, unstraight) },
    { "unrotated", offsetof(struct jit_knobs, unrotated) },
    { "unfused", offsetof(struct jit_knobs, unfused) },
    { "uncopied", offsetof(struct jit_knobs, uncopied) },
    { "unjoined", offsetof(struct jit_knobs, unjoined) },
    { "unpaired", offsetof(struct jit_knobs, unpaired) },
    { "unlooped", offsetof(struct jit_knobs, unlooped) },
    { "unleaped", offsetof(struct jit_knobs, unleaped) },
    { "unended", offsetof(struct jit_knobs, unended) },
    { "unmerged", offsetof(struct jit_knobs, unmerged) },
    { "unnested", offsetof(struct jit_knobs, unnested) },
    { "unstreamed", offsetof(struct jit_knobs, unstreamed) },
    { "unstrided", offsetof(struct jit_knobs, unstrided) },
    { "unremade", offsetof(struct jit_knobs, unremade) },
    { "unlinked", offsetof(struct jit_knobs, unlinked) },
    { "uncloned", offsetof(struct jit_knobs, uncloned) },
    { "cloned", offsetof(struct jit_knobs, cloned) },
    { "unjumped", offsetof(struct jit_knobs, unjumped) },
    { "unpredicted", offsetof(struct jit_knobs, unpredicted) },
    { "near", offsetof(struct jit_knobs, near) },
    { "small", offsetof(struct jit_knobs, small) },
    { "late", offsetof(struct jit_knobs, late) },
    { "polls", offsetof(struct jit_knobs, polls) },
    { "slow", offsetof(struct jit_knobs, slow) },
    { "track", offsetof(struct jit_knobs, track) },
    { "checksum", offsetof(struct jit_knobs, checksum) },
    { "wrong", offsetof(struct jit_knobs, wrong) },
};

/* With a minus in front. */
static const struct {
    const char *word;
    size_t offset;
} features[] = {
    { "bmi1", offsetof(struct jit_host, bmi1) },
    { "bmi2", offsetof(struct jit_host, bmi2) },
    { "lzcnt", offsetof(struct jit_host, lzcnt) },
    { "avx", offsetof(struct jit_host, avx) },
    { "fma", offsetof(struct jit_host, fma) },
    { "aes", offsetof(struct jit_host, aes) },
    { "pclmul", offsetof(struct jit_host, pclmul) },
    { "sha", offsetof(struct jit_host, sha) },
    { "gfni", offsetof(struct jit_host, gfni) },
    { "avx2", offsetof(struct jit_host, avx2) },
    { "f16c", offsetof(struct jit_host, f16c) },
    { "avx512", offsetof(struct jit_host, avx512) },
};

static bool read_word(struct jit_knobs *k, const char *word, size_t length)
{
    if (length > 6 && strncmp(word, "cache=", 6) == 0) {
        unsigned long mib = strtoul(word + 6, NULL, 10);
        k->cache_size = k->cache_most = (mib < 1 ? 1 : mib > 1024 ? 1024 : mib) << 20;
        return true;
    }
    if (length > 6 && strncmp(word, "block=", 6) == 0) {
        unsigned long max = strtoul(word + 6, NULL, 10);
        k->max = max < 1 ? 1 : max > JIT_BLOCK_MAX ? JIT_BLOCK_MAX : (unsigned)max;
        return true;
    }
    if (length > 5 && strncmp(word, "warm=", 5) == 0) {
        unsigned long warm = strtoul(word + 5, NULL, 10);
        k->warm = warm > UINT8_MAX ? UINT_MAX : (unsigned)warm; /* jit.heat gets no higher */
        return true;
    }
    if (length > 6 && strncmp(word, "trace=", 6) == 0 && length - 6 < sizeof k->trace) {
        memcpy(k->trace, word + 6, length - 6);
        return true;
    }
    if (length > 5 && strncmp(word, "keep=", 5) == 0 && length - 5 < sizeof k->keep) {
        memcpy(k->keep, word + 5, length - 5);
        return true;
    }
    if (length == 5 && strncmp(word, "tlb=1", 5) == 0) {
        k->tlb = true;
        return true;
    }
    for (size_t n = 0; n < ARRAY_LEN(features); n++)
        if (*word == '-' && strlen(features[n].word) == length - 1 &&
            strncmp(word + 1, features[n].word, length - 1) == 0) {
            *(bool *)((char *)&k->without + features[n].offset) = true;
            return true;
        }
    for (size_t n = 0; n < ARRAY_LEN(switches); n++)
        if (strlen(switches[n].word) == length && strncmp(word, switches[n].word, length) == 0) {
            *(bool *)((char *)k + switches[n].offset) = true;
            return true;
        }
    return false;
}

struct jit_knobs jit_knobs_read(const char *text)
{
    struct jit_knobs k = {
        .cache_size = CACHE_SIZE,
        .cache_most = CACHE_MOST,
        .max = JIT_BLOCK_MAX,
        .warm = WARM,
    };

    while (text && *text) {
        size_t length = strcspn(text, ",");
        if (length && !read_word(&k, text, length))
            log_warn("jit", "IREKO_JIT: no switch '%.*s'", (int)length, text);
        text += length + (text[length] == ',');
    }
    return k;
}
