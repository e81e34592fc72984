/* Matrices of 32-bit integers, multiplied as the definition has it: the columns' stride keeps SIMD
 * out. */
#include "bench.h"

#define N 320

static int32_t a[N][N], b[N][N], c[N][N];

int main(void)
{
    uint64_t state = 88172645463325252u, sum = 0;
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            a[i][j] = (int32_t)(bench_random(&state) % 1000);
            b[i][j] = (int32_t)(bench_random(&state) % 1000);
        }
    uint64_t start = bench_now();
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                int32_t s = 0;
                for (int k = 0; k < N; k++)
                    s += a[i][k] * b[k][j];
                c[i][j] = s;
            }
        a[round][round] = c[N - 1][N - 1] % 1000;
    }
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++)
            sum = sum * 31 + (uint32_t)c[i][j];
    return bench_report(start, sum);
}
