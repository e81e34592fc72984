/* A hash table of short strings, as a compiler's symbol table: FNV-1a, open addressing, comparison
 * byte by byte. */
#include "bench.h"

#define SLOTS   (1u << 16)
#define KEYS    40000u
#define LOOKUPS 5000000u
#define LENGTH  12

struct slot {
    char key[LENGTH];
    uint32_t count;
};

static struct slot table[SLOTS];

static uint32_t hash(const char *key)
{
    uint32_t h = 2166136261u;
    for (; *key; key++)
        h = (h ^ (unsigned char)*key) * 16777619u;
    return h;
}

static void make_key(char *key, uint32_t n)
{
    *key++ = 'k';
    do
        *key++ = (char)('a' + n % 26);
    while ((n /= 26) != 0);
    *key = '\0';
}

static int same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static struct slot *find(const char *key)
{
    for (uint32_t at = hash(key);; at++) {
        struct slot *s = &table[at % SLOTS];
        if (!s->key[0] || same(s->key, key))
            return s;
    }
}

int main(void)
{
    uint64_t state = 88172645463325252u, sum = 0;
    uint64_t start = bench_now();
    for (uint32_t i = 0; i < LOOKUPS; i++) {
        char key[LENGTH];
        make_key(key, (uint32_t)(bench_random(&state) % KEYS));
        struct slot *s = find(key);
        for (int c = 0; c < LENGTH && !s->count; c++)
            s->key[c] = key[c];
        sum += s->count++;
    }
    return bench_report(start, sum);
}
