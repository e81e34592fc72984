/* Fourier transforms of powers of two, forth and back: of doubles, or with WIDE of four signals of
 * single precision side by side. The answer is rounded, as machines may fuse or not. */
#include <math.h>

#include "bench.h"

#ifdef WIDE
typedef float real;
typedef float number __attribute__((vector_size(16)));
#define LANE(x) (x)[1]
#define ROUNDS  120
#else
typedef double real;
typedef double number;
#define LANE(x) (x)
#define ROUNDS  150
#endif

#define SIZE 1024

struct complex {
    number re, im;
};

static struct complex signal[SIZE];
static real cosine[SIZE / 2], sine[SIZE / 2];

static void swap_bits(struct complex *s)
{
    for (unsigned i = 1, j = 0; i < SIZE; i++) {
        unsigned bit = SIZE >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j) {
            struct complex t = s[i];
            s[i] = s[j];
            s[j] = t;
        }
    }
}

static void transform(struct complex *s, real sign)
{
    swap_bits(s);
    for (unsigned half = 1; half < SIZE; half *= 2)
        for (unsigned base = 0; base < SIZE; base += 2 * half)
            for (unsigned k = 0; k < half; k++) {
                real c = cosine[k * (SIZE / 2 / half)], d = sign * sine[k * (SIZE / 2 / half)];
                struct complex *a = &s[base + k], *b = a + half;
                number re = b->re * c - b->im * d, im = b->re * d + b->im * c;
                b->re = a->re - re;
                b->im = a->im - im;
                a->re += re;
                a->im += im;
            }
}

int main(void)
{
    uint64_t state = 88172645463325252u, answer = 0;
    for (unsigned i = 0; i < SIZE / 2; i++) {
        cosine[i] = (real)cos(2 * M_PI * i / SIZE);
        sine[i] = (real)sin(2 * M_PI * i / SIZE);
    }
    for (unsigned i = 0; i < SIZE; i++) {
        signal[i].re = (number){ 0 } + (real)(bench_random(&state) % 1000);
        signal[i].im = (number){ 0 };
    }
    uint64_t start = bench_now();
    for (unsigned round = 0; round < ROUNDS; round++) {
        transform(signal, -1);
        transform(signal, 1);
        for (unsigned i = 0; i < SIZE; i++) {
            signal[i].re *= (real)1 / SIZE;
            signal[i].im *= (real)1 / SIZE;
        }
    }
    for (unsigned i = 0; i < SIZE; i++)
        answer = answer * 31 + (uint64_t)llround((double)LANE(signal[i].re));
    return bench_report(start, answer);
}
