/* The distance between two words is the number of letters inserted, left out, replaced or swapped
 * with a neighbour (optimal string alignment). */
#include "cli/suggest.h"

#include <stdbool.h>
#include <string.h>

#define SUGGEST_MAX 32 /* letters; longer words are compared up to here */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;
    return m < c ? m : c;
}

static unsigned suggest_distance(const char *a, const char *b)
{
    size_t na = strnlen(a, SUGGEST_MAX), nb = strnlen(b, SUGGEST_MAX);
    unsigned d[SUGGEST_MAX + 1][SUGGEST_MAX + 1];
    for (size_t i = 0; i <= na; i++)
        d[i][0] = (unsigned)i;
    for (size_t j = 0; j <= nb; j++)
        d[0][j] = (unsigned)j;
    for (size_t i = 1; i <= na; i++) {
        for (size_t j = 1; j <= nb; j++) {
            bool same = a[i - 1] == b[j - 1];
            d[i][j] = min3(d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same);
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && !same;
            if (swapped && d[i - 2][j - 2] + 1 < d[i][j])
                d[i][j] = d[i - 2][j - 2] + 1;
        }
    }
    return d[na][nb];
}

const char *suggest(const char *word, const char *const *names, size_t n)
{
    size_t length = strlen(word);
    const char *best = NULL;
    unsigned best_distance = 3;
    for (size_t i = 0; i < n; i++) {
        if (length >= 2 && strncmp(word, names[i], length) == 0)
            return names[i];
        unsigned distance = suggest_distance(word, names[i]);
        if (distance < best_distance && distance * 2 < strlen(names[i])) {
            best_distance = distance;
            best = names[i];
        }
    }
    return best;
}
