/* SHA-256 (FIPS 180-4) of 32 MiB of zeros, without the CPU's own instructions for it. */
#include "bench.h"

#define SIZE (32u << 20)

static uint32_t k[64], h[8];

/* The first 32 bits of the fractional parts of the square (2) or cube (3) roots of the primes,
 * section 4.2.2. */
static uint32_t root_fraction(uint32_t prime, int power)
{
    unsigned __int128 low = 0, high = (unsigned __int128)1 << 37;
    while (high - low > 1) {
        unsigned __int128 middle = (low + high) / 2, product = middle * middle;
        unsigned __int128 whole = (unsigned __int128)prime << (power == 2 ? 64 : 96);
        if (power == 3)
            product *= middle;
        if (product <= whole)
            low = middle;
        else
            high = middle;
    }
    return (uint32_t)low;
}

static void constants(void)
{
    uint32_t prime = 2;
    for (int i = 0; i < 64; prime++) {
        uint32_t d = 2;
        while (d < prime && prime % d != 0)
            d++;
        if (d != prime)
            continue;
        if (i < 8)
            h[i] = root_fraction(prime, 2);
        k[i++] = root_fraction(prime, 3);
    }
}

static uint32_t rotate(uint32_t x, int n)
{
    return x >> n | x << (32 - n);
}

static void block(const unsigned char *p)
{
    uint32_t w[64];
    for (int i = 0; i < 16; i++)
        w[i] = (uint32_t)p[4 * i] << 24 | (uint32_t)p[4 * i + 1] << 16 |
               (uint32_t)p[4 * i + 2] << 8 | p[4 * i + 3];
    for (int i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (rotate(x, 7) ^ rotate(x, 18) ^ x >> 3) + w[i - 7] +
               (rotate(y, 17) ^ rotate(y, 19) ^ y >> 10);
    }
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], last = h[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t1 = last + (rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)) + ((e & f) ^ (~e & g)) +
                      k[i] + w[i];
        uint32_t t2 =
            (rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
        last = g;
        g = f;
        f = e;
        e = d + t1;
        d = c;
        c = b;
        b = a;
        a = t1 + t2;
    }
    const uint32_t sums[8] = { a, b, c, d, e, f, g, last };
    for (int i = 0; i < 8; i++)
        h[i] += sums[i];
}

int main(void)
{
    unsigned char data[64] = { 0 };
    constants();
    uint64_t start = bench_now();
    for (unsigned at = 0; at < SIZE; at += sizeof data)
        block(data);
    data[0] = 0x80; /* section 5.1.1: a one bit, zeros, the length in bits */
    for (int i = 0; i < 8; i++)
        data[56 + i] = (unsigned char)((uint64_t)SIZE * 8 >> (56 - 8 * i));
    block(data);
    return bench_report(start, (uint64_t)h[0] << 32 | h[1]);
}
