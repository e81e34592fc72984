// The calling convention: structures by value, floating-point aggregates, variable arguments,
// unaligned and packed data.
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define NOINLINE __attribute__((noinline, noclone))

struct small {
    int8_t a;
    int16_t b;
    int32_t c;
};
struct pair {
    int64_t a, b;
};
struct big {
    int64_t v[9];
};
struct hfa {
    double a, b, c, d;
};
struct hff {
    float a, b, c;
};
struct mixed {
    float f;
    int32_t i;
    double d;
    uint8_t tail[5];
};
struct __attribute__((packed)) packed {
    uint8_t a;
    uint64_t b;
    uint16_t c;
    float d;
    double e;
};
typedef int32_t v4 __attribute__((vector_size(16)));

NOINLINE static struct small f_small(struct small s, int n)
{
    return (struct small){ (int8_t)(s.a + n), (int16_t)(s.b * n), s.c - n };
}
NOINLINE static struct pair f_pair(int x, struct pair p, struct pair q)
{
    return (struct pair){ p.a * q.b + x, p.b - q.a * x };
}
NOINLINE static struct big f_big(struct big s, int n)
{
    for (int i = 0; i < 9; i++)
        s.v[i] = s.v[(i + n) % 9] * n + i;
    return s;
}
NOINLINE static struct hfa f_hfa(struct hfa x, struct hfa y, double k)
{
    return (struct hfa){ x.a + y.d * k, x.b - y.c, x.c * y.b, x.d / (y.a + 3) };
}
NOINLINE static struct hff f_hff(struct hff x, float k)
{
    return (struct hff){ x.b + k, x.c * k, x.a - k };
}
NOINLINE static struct mixed f_mixed(struct mixed x, int n)
{
    for (int i = 0; i < 5; i++)
        x.tail[i] = (uint8_t)(x.tail[i] * 3 + n);
    return (struct mixed){
        x.f + (float)n, x.i ^ n, x.d * n, { x.tail[4], x.tail[3], x.tail[2], x.tail[1], x.tail[0] }
    };
}
NOINLINE static struct packed f_packed(const struct packed *p)
{
    return (struct packed){ p->a + 1, p->b * 3, p->c ^ 0x5555, p->d * 2, p->e - 1 };
}
NOINLINE static v4 f_vector(v4 x, v4 y)
{
    return x * y + (x >> 3) - (y << 2);
}
NOINLINE static double many(int a, double b, int c, double d, int e, double f, int g, double h,
                            int i, double j, int k, double l, int m, double n, int o, double p,
                            int q, double r, int s, double t)
{
    return a + b * 2 + c * 3 + d * 4 + e * 5 + f * 6 + g * 7 + h * 8 + i * 9 + j * 10 + k * 11 +
           l * 12 + m * 13 + n * 14 + o * 15 + p * 16 + q * 17 + r * 18 + s * 19 + t * 20;
}
NOINLINE static double sum(const char *kinds, ...)
{
    va_list ap, again;
    double total = 0;
    va_start(ap, kinds);
    va_copy(again, ap);
    for (const char *k = kinds; *k; k++) {
        switch (*k) {
        case 'i':
            total = total * 3 + va_arg(ap, int);
            break;
        case 'l':
            total = total * 3 + (double)va_arg(ap, long long);
            break;
        case 'd':
            total = total * 3 + va_arg(ap, double);
            break;
        case 's':
            total = total * 3 + (double)strlen(va_arg(ap, char *));
            break;
        case 'p': {
            struct pair p = va_arg(ap, struct pair);
            total = total * 3 + (double)(p.a - p.b);
            break;
        }
        case 'h': {
            struct hfa h = va_arg(ap, struct hfa);
            total = total * 3 + h.a + h.d;
            break;
        }
        }
    }
    total += va_arg(again, int);
    va_end(again);
    va_end(ap);
    return total;
}

int main(void)
{
    struct small s = { 1, 2, 3 };
    struct pair p = { 5, -7 };
    struct big b = { { 1, 2, 3, 4, 5, 6, 7, 8, 9 } };
    struct hfa h = { 1.5, 2.25, -3.5, 4 };
    struct hff g = { 1, 2, 3 };
    struct mixed m = { 1.5f, 77, 3.25, { 1, 2, 3, 4, 5 } };
    struct packed k = { 1, 0x123456789abcdef, 0xbeef, 1.25f, 2.5 };
    v4 v = { 1, -2, 3, -4 };
    for (int i = 1; i < 40; i++) {
        s = f_small(s, i), p = f_pair(i, p, (struct pair){ p.b % 1000, p.a % 1000 }),
        b = f_big(b, i % 5), h = f_hfa(h, (struct hfa){ h.b, h.c, .5, 1 }, .25);
        g = f_hff(g, (float)i / 4), m = f_mixed(m, i), k = f_packed(&k),
        v = f_vector(v, (v4){ i, i + 1, i + 2, i + 3 });
        p.a %= 1000000, p.b %= 1000000, m.d = m.d > 1e30 ? 1 : m.d;
        for (int j = 0; j < 9; j++)
            b.v[j] %= 1000000007;
    }
    printf("small %d %d %d\npair %lld %lld\n", s.a, s.b, s.c, (long long)p.a, (long long)p.b);
    for (int i = 0; i < 9; i++)
        printf("big %lld\n", (long long)b.v[i]);
    printf("hfa %a %a %a %a\nhff %a %a %a\n", h.a, h.b, h.c, h.d, (double)g.a, (double)g.b,
           (double)g.c);
    printf("mixed %a %d %a %d %d %d %d %d\n", (double)m.f, m.i, m.d, m.tail[0], m.tail[1],
           m.tail[2], m.tail[3], m.tail[4]);
    printf("packed %d %llu %d %a %a\nvector %d %d %d %d\n", k.a, (unsigned long long)k.b, k.c,
           (double)k.d, k.e, v[0], v[1], v[2], v[3]);
    printf("many %a\n",
           many(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20));
    printf("sum %a\n", sum("idlsphidididididlllldd", 5, 1.5, 1LL << 40, "hello", p, h, 1, 2., 3, 4.,
                           5, 6., 7, 8., 9, 10., 11LL, 12LL, 13LL, 14LL, 15., 16.));
    unsigned char bytes[300];
    for (int i = 0; i < 300; i++)
        bytes[i] = (unsigned char)(i * 7);
    uint64_t x = 0;
    for (int i = 0; i < 290; i++) {
        uint64_t a;
        uint32_t c;
        uint16_t d;
        memcpy(&a, bytes + i, 8), memcpy(&c, bytes + i, 4), memcpy(&d, bytes + i, 2);
        x = x * 31 + (a ^ c ^ d);
        memmove(bytes + i, bytes + i + 1, 9);
    }
    printf("unaligned %llu\n", (unsigned long long)x);
    return 0;
}
