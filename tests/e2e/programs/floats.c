// IEEE 754 arithmetic that has one right answer; built with -ffp-contract=off.
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
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

static void mix_d(double d)
{
    uint64_t v;
    memcpy(&v, &d, 8);
    mix(d != d ? 1 : v);
}

static void mix_f(float f)
{
    uint32_t v;
    memcpy(&v, &f, 4);
    mix(f != f ? 1 : v);
}

// A random number whose exponent is often extreme or near that of the last one.
static double rand_d(void)
{
    uint64_t v = next(), kind = next() & 7;
    if (kind < 4)
        v = (v & 0x800fffffffffffff) | (1023 + next() % 64 - 32) << 52;
    else if (kind == 4)
        v &= 0x800fffffffffffff;
    double d;
    memcpy(&d, &v, 8);
    return d;
}

static float rand_f(void)
{
    uint32_t v = (uint32_t)next(), kind = next() & 7;
    if (kind < 4)
        v = (v & 0x807fffff) | (uint32_t)(127 + next() % 32 - 16) << 23;
    else if (kind == 4)
        v &= 0x807fffff;
    float f;
    memcpy(&f, &v, 4);
    return f;
}

static void arithmetic(const char *name)
{
    for (int i = 0; i < 60000; i++) {
        volatile double a = rand_d(), b = rand_d(), c = rand_d();
        mix_d(a + b), mix_d(a - b), mix_d(a * b), mix_d(a / b), mix_d(sqrt(fabs(a))),
            mix_d(fma(a, b, c));
        mix(a < b), mix(a <= b), mix(a == b), mix(isunordered(a, b) != 0), mix_f((float)a);
        mix_d(nearbyint(a)), mix_d(floor(a)), mix_d(ceil(a)), mix_d(trunc(a)), mix_d(round(a)),
            mix_d(rint(b));
        if (fabs(a) < 1e9)
            mix((uint64_t)(int64_t)a), mix((uint64_t)lrint(a)), mix((uint64_t)(int32_t)a),
                mix((uint64_t)llround(a));
        volatile float f = rand_f(), g = rand_f(), h = rand_f();
        mix_f(f + g), mix_f(f - g), mix_f(f * g), mix_f(f / g), mix_f(sqrtf(fabsf(f))),
            mix_f(fmaf(f, g, h));
        mix_d((double)f * g), mix(f < g), mix(f >= g), mix_f(rintf(f)), mix_f(floorf(g));
        volatile uint64_t u = next() >> (next() & 63);
        mix_d((double)u), mix_d((double)(int64_t)u), mix_f((float)u), mix_f((float)(int64_t)u),
            mix_f((float)(uint32_t)u);
    }
    printf("%s: %016llx\n", name, (unsigned long long)hash);
}

static void flags(void)
{
    volatile double one = 1, three = 3, zero = 0, big = 1e308, tiny = 1e-308, r;
    feclearexcept(FE_ALL_EXCEPT),
        r = one / three, printf("1/3 %a %d\n", r, fetestexcept(FE_ALL_EXCEPT) == FE_INEXACT);
    feclearexcept(FE_ALL_EXCEPT),
        r = one / zero, printf("1/0 %a %d\n", r, fetestexcept(FE_ALL_EXCEPT) == FE_DIVBYZERO);
    feclearexcept(FE_ALL_EXCEPT), r = zero / zero,
                                  printf("0/0 %d\n", fetestexcept(FE_ALL_EXCEPT) == FE_INVALID);
    feclearexcept(FE_ALL_EXCEPT), r = big * big;
    printf("big %a %d\n", r, fetestexcept(FE_ALL_EXCEPT) == (FE_OVERFLOW | FE_INEXACT));
    feclearexcept(FE_ALL_EXCEPT), r = tiny * tiny;
    printf("tiny %a %d\n", r, fetestexcept(FE_ALL_EXCEPT) == (FE_UNDERFLOW | FE_INEXACT));
    feclearexcept(FE_ALL_EXCEPT), r = one + three,
                                  printf("1+3 %a %d\n", r, fetestexcept(FE_ALL_EXCEPT) == 0);
}

// Five bodies under gravity: a long chain of dependent arithmetic.
static void bodies(void)
{
    double p[5][3], v[5][3], m[5];
    for (int i = 0; i < 5; i++) {
        m[i] = 1.0 / (i + 1);
        for (int k = 0; k < 3; k++)
            p[i][k] = (i * 7 + k * 3) % 11 - 5.25, v[i][k] = ((i * 5 + k) % 7 - 3) * 0.01;
    }
    for (int step = 0; step < 20000; step++) {
        for (int i = 0; i < 5; i++) {
            for (int j = 0; j < 5; j++) {
                if (i == j)
                    continue;
                double d[3], r2 = 0.01;
                for (int k = 0; k < 3; k++)
                    d[k] = p[j][k] - p[i][k], r2 += d[k] * d[k];
                double pull = m[j] / (r2 * sqrt(r2)) * 0.001;
                for (int k = 0; k < 3; k++)
                    v[i][k] += d[k] * pull;
            }
        }
        for (int i = 0; i < 5; i++)
            for (int k = 0; k < 3; k++)
                p[i][k] += v[i][k] * 0.001;
    }
    for (int i = 0; i < 5; i++)
        printf("body %d: %a %a %a %.17g\n", i, p[i][0], p[i][1], p[i][2], v[i][0]);
}

int main(void)
{
    static const struct {
        const char *name;
        int mode;
    } modes[] = { { "nearest", FE_TONEAREST },
                  { "up", FE_UPWARD },
                  { "down", FE_DOWNWARD },
                  { "zero", FE_TOWARDZERO } };
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i].mode);
        arithmetic(modes[i].name);
    }
    fesetround(FE_TONEAREST);
    flags();
    bodies();
    return 0;
}
