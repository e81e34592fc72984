/* Matrices of single precision, four numbers at a time in the compiler's vectors. */
#include <string.h>

#include "bench.h"

#define N 256

typedef float float4 __attribute__((vector_size(16)));

static float4 a[N][N / 4], b[N][N / 4], c[N][N / 4];

static void fill(float4 m[N][N / 4], uint64_t *state)
{
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            m[i][j / 4][j % 4] = (float)(bench_random(state) % 64);
}

int main(void)
{
    uint64_t state = 88172645463325252u, answer = 0;
    fill(a, &state);
    fill(b, &state);
    uint64_t start = bench_now();
    /* The sums are whole numbers below 2^24, so they are exact in any order, fused or not. */
    for (int i = 0; i < N; i++)
        for (int k = 0; k < N; k++)
            for (int j = 0; j < N / 4; j++)
                c[i][j] += a[i][k / 4][k % 4] * b[k][j];
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            answer = answer * 31 + (uint64_t)c[i][j / 4][j % 4];
    return bench_report(start, answer);
}
