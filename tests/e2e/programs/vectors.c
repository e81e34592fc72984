// Loops that a compiler vectorises, over every element type and odd lengths.
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static uint64_t hash = 14695981039346656037u, state = 88172645463325252u;

static uint64_t next(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static void mix(const void *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ ((const unsigned char *)p)[i]) * 1099511628211u;
}

#define KERNELS(T, W, NAME)                                                                        \
    __attribute__((noinline)) static void NAME(T *restrict d, const T *restrict a,                 \
                                               const T *restrict b, int n)                         \
    {                                                                                              \
        W sum = 0;                                                                                 \
        T low = a[0], high = a[0];                                                                 \
        for (int i = 0; i < n; i++)                                                                \
            d[i] = (T)(a[i] * b[i] + a[i]);                                                        \
        mix(d, sizeof(T) * (size_t)n);                                                             \
        for (int i = 0; i < n; i++)                                                                \
            d[i] = (T)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);                                   \
        mix(d, sizeof(T) * (size_t)n);                                                             \
        for (int i = 0; i < n; i++)                                                                \
            d[i] = a[n - 1 - i];                                                                   \
        mix(d, sizeof(T) * (size_t)n);                                                             \
        for (int i = 0; i + 3 <= n; i += 3)                                                        \
            d[i] = (T)(a[i] + b[i + 2]), d[i + 1] = a[i + 2], d[i + 2] = b[i + 1];                 \
        mix(d, sizeof(T) * (size_t)n);                                                             \
        for (int i = 0; i + 4 <= n; i += 4)                                                        \
            d[i / 4] = (T)(a[i] + a[i + 1] + a[i + 2] - b[i + 3]);                                 \
        mix(d, sizeof(T) * (size_t)n);                                                             \
        for (int i = 0; i < n; i++)                                                                \
            low = a[i] < low ? a[i] : low, high = a[i] > high ? a[i] : high;                       \
        for (int i = 0; i < n; i++)                                                                \
            sum += (W)a[i];                                                                        \
        mix(&low, sizeof(T)), mix(&high, sizeof(T)), mix(&sum, sizeof(W));                         \
        for (int i = 0; i < n; i++)                                                                \
            d[i] = (T)((W)a[i] / 3 + (W)((int)b[i] & 15));                                         \
        mix(d, sizeof(T) * (size_t)n);                                                             \
    }
KERNELS(uint8_t, uint32_t, k_u8)
KERNELS(int8_t, int64_t, k_s8)
KERNELS(uint16_t, uint64_t, k_u16)
KERNELS(int16_t, int32_t, k_s16)
KERNELS(uint32_t, uint64_t, k_u32)
KERNELS(uint64_t, uint64_t, k_u64)
KERNELS(float, double, k_f32)
KERNELS(double, double, k_f64)

#define RUN(T, NAME, VALUE)                                                                        \
    do {                                                                                           \
        static T a[300], b[300], d[300];                                                           \
        for (int n = 1; n < 260; n += 3) {                                                         \
            for (int i = 0; i < 300; i++)                                                          \
                a[i] = (T)(VALUE), b[i] = (T)(VALUE);                                              \
            NAME(d, a + n % 3, b + n % 5, n);                                                      \
        }                                                                                          \
        printf("%s %016llx\n", #NAME, (unsigned long long)hash);                                   \
    } while (0)

int main(void)
{
    RUN(uint8_t, k_u8, next());
    RUN(int8_t, k_s8, next() & 63);
    RUN(uint16_t, k_u16, next());
    RUN(int16_t, k_s16, next() & 127);
    RUN(uint32_t, k_u32, next());
    RUN(uint64_t, k_u64, next());
    RUN(float, k_f32, (int)(next() % 20001) - 10000);
    RUN(double, k_f64, (int)(next() % 20001) - 10000);
    return 0;
}
