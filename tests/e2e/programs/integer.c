// Integer arithmetic of every width; the output does not depend on the machine.
#include <stdint.h>
#include <stdio.h>

static uint64_t state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static uint64_t hash = 14695981039346656037u;

static void mix(uint64_t v)
{
    hash = (hash ^ v) * 1099511628211u;
}

#define ROUNDS(U, S, BITS)                                                                         \
    static void round_##BITS(void)                                                                 \
    {                                                                                              \
        for (int i = 0; i < 200000; i++) {                                                         \
            U a = (U)next(), b = (U)(next() >> (next() & 63)), r = 0;                              \
            S sa = (S)a, sb = (S)b, sr;                                                            \
            unsigned n = (unsigned)next() % BITS;                                                  \
            mix((U)(a + b)), mix((U)(a - b)), mix((U)(a * b)), mix((U)(a << n)), mix((U)(a >> n)), \
                mix((U)(sa >> n));                                                                 \
            mix((U)(a << n | a >> (BITS - n) % BITS));                                             \
            if (b)                                                                                 \
                mix((U)(a / b)), mix((U)(a % b));                                                  \
            if (sb != 0 && sb != -1)                                                               \
                mix((U)(sa / sb)), mix((U)(sa % sb));                                              \
            mix(__builtin_add_overflow(a, b, &r)), mix(r),                                         \
                mix(__builtin_add_overflow(sa, sb, &sr)), mix((U)sr);                              \
            mix(__builtin_sub_overflow(a, b, &r)), mix(r),                                         \
                mix(__builtin_sub_overflow(sa, sb, &sr)), mix((U)sr);                              \
            mix(__builtin_mul_overflow(a, b, &r)), mix(r),                                         \
                mix(__builtin_mul_overflow(sa, sb, &sr)), mix((U)sr);                              \
            mix(a < b), mix(sa < sb), mix(a > b ? a : b), mix((U)(sa > sb ? sa : sb)),             \
                mix((U)(sa < 0 ? -(U)sa : a));                                                     \
        }                                                                                          \
        printf("%d bits: %016llx\n", BITS, (unsigned long long)hash);                              \
    }
ROUNDS(uint8_t, int8_t, 8)
ROUNDS(uint16_t, int16_t, 16)
ROUNDS(uint32_t, int32_t, 32)
ROUNDS(uint64_t, int64_t, 64)

static void round_wide(void)
{
    for (int i = 0; i < 100000; i++) {
        unsigned __int128 a = (unsigned __int128)next() << 64 | next();
        unsigned __int128 b = ((unsigned __int128)next() << 64 | next()) >> (next() & 127);
        unsigned n = (unsigned)next() & 127;
        unsigned __int128 values[] = { a + b,
                                       a - b,
                                       a * b,
                                       b ? a / b : 0,
                                       b ? a % b : 0,
                                       a << n,
                                       a >> n,
                                       (unsigned __int128)((__int128)a >> n),
                                       (unsigned __int128)((__int128)a / 1000003) };
        for (unsigned k = 0; k < sizeof(values) / sizeof(values[0]); k++)
            mix((uint64_t)values[k]), mix((uint64_t)(values[k] >> 64));
    }
    printf("128 bits: %016llx\n", (unsigned long long)hash);
}

static void round_bits(void)
{
    for (int i = 0; i < 200000; i++) {
        uint64_t a = next() >> (next() & 63) | 1;
        mix((uint64_t)__builtin_clzll(a)), mix((uint64_t)__builtin_ctzll(a)),
            mix((uint64_t)__builtin_popcountll(a));
        mix((uint64_t)__builtin_clrsbll((long long)a)), mix(__builtin_bswap64(a)),
            mix(__builtin_bswap32((uint32_t)a));
        mix(__builtin_bswap16((uint16_t)a)), mix((uint64_t)__builtin_parityll(a)),
            mix((uint64_t)__builtin_ffsll((long long)a));
        struct {
            uint64_t x : 7, y : 23, z : 34;
            int64_t s : 13, t : 51;
        } f = { a, a >> 7, a >> 30, (int64_t)a, (int64_t)(a >> 13) };
        mix(f.x), mix(f.y), mix(f.z), mix((uint64_t)f.s), mix((uint64_t)f.t);
    }
    printf("bits: %016llx\n", (unsigned long long)hash);
}

int main(void)
{
    round_8(), round_16(), round_32(), round_64(), round_wide(), round_bits();
    return 0;
}
