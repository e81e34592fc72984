// qsort, bsearch, and the string functions of the C library (written in SIMD) at every length and
// alignment.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252u, hash = 14695981039346656037u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void mix(uint64_t v)
{
    hash = (hash ^ v) * 1099511628211u;
}

static int by_int(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return (x > y) - (x < y);
}

static int by_string(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sorts(void)
{
    static int v[20000];
    static double d[20000];
    static char *s[5000];
    for (int i = 0; i < 20000; i++)
        v[i] = (int)next(), d[i] = (double)(int64_t)next() / 3;
    for (int i = 0; i < 5000; i++) {
        s[i] = malloc(40);
        unsigned long long prefix = next() % 4096, rest = next();
        snprintf(s[i], 40, "%llx-%llu", prefix, rest);
    }
    qsort(v, 20000, sizeof(v[0]), by_int), qsort(d, 20000, sizeof(d[0]), by_double),
        qsort(s, 5000, sizeof(s[0]), by_string);
    for (int i = 1; i < 20000; i++)
        mix((uint64_t)v[i]), mix((uint64_t)(int64_t)d[i]),
            mix(v[i - 1] <= v[i] && d[i - 1] <= d[i]);
    for (int i = 0; i < 5000; i++)
        mix((uint64_t)strtoull(strchr(s[i], '-') + 1, NULL, 10));
    for (int i = 0; i < 20000; i += 7)
        mix(bsearch(&v[i], v, 20000, sizeof(v[0]), by_int) != NULL);
    printf("sorts: %016llx first %d last %s\n", (unsigned long long)hash, v[0], s[4999]);
}

static void strings(void)
{
    static char a[1024], b[1024];
    for (int at = 0; at < 20; at++) {
        for (int n = 0; n < 200; n++) {
            memset(a, 'x', sizeof(a)), memset(b, 'y', sizeof(b));
            for (int i = 0; i < n; i++)
                a[at + i] = (char)('a' + (i * 5 + n) % 25);
            a[at + n] = 0;
            char *c = b + (at * 3 + n) % 17;
            strcpy(c, a + at);
            mix(strlen(c)), mix((uint64_t)(strcmp(a + at, c) == 0)), mix(strnlen(c, 50)),
                mix((unsigned char)c[n + 1]);
            if (n) {
                c[n / 2] = 'Z';
                int r = strcmp(a + at, c), m = memcmp(a + at, c, (size_t)n),
                    k = strncmp(a + at, c, (size_t)n / 2);
                mix(r > 0), mix(m > 0), mix(k == 0);
                mix((uint64_t)(strchr(c, 'Z') - c)),
                    mix((uint64_t)((char *)memchr(c, 'Z', (size_t)n) - c));
                mix((uint64_t)(strrchr(c, 'Z') - c)),
                    mix((uint64_t)((char *)memrchr(c, 'Z', (size_t)n) - c));
                mix(strspn(c, "abcdefghijklmnopqrstuvwxyz")),
                    mix((uint64_t)(strstr(a, c + n / 2) != NULL));
            }
            memmove(b + 300, b, 250), memmove(b + 2, b, 250), memmove(b, b + 5, 300);
            memset(b + 600 + at, n, (size_t)n), memset(a + at, 0, (size_t)n);
            for (int i = 0; i < 1024; i++)
                mix((unsigned char)b[i]), mix((unsigned char)a[i]);
        }
    }
    printf("strings: %016llx\n", (unsigned long long)hash);
}

int main(void)
{
    sorts();
    strings();
    return 0;
}
