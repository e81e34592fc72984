/* Double precision, one number at a time: a system of equations by elimination with pivots, as
 * Linpack does it. The compiler may fuse multiplication and addition, as Debian's does. */
#include <math.h>

#include "bench.h"

#define N      160
#define ROUNDS 12

static double a[N][N], x[N];

static void add_multiple(double *to, const double *from, double factor, int count)
{
    for (int i = 0; i < count; i++)
        to[i] += factor * from[i];
}

/* x becomes the solution of a x = x; a is used up. */
static void solve(void)
{
    for (int k = 0; k < N; k++) {
        int best = k;
        for (int i = k + 1; i < N; i++)
            if (fabs(a[i][k]) > fabs(a[best][k]))
                best = i;
        for (int j = k; j < N; j++) {
            double t = a[k][j];
            a[k][j] = a[best][j];
            a[best][j] = t;
        }
        double t = x[k];
        x[k] = x[best];
        x[best] = t;
        for (int i = k + 1; i < N; i++) {
            double factor = -a[i][k] / a[k][k];
            add_multiple(&a[i][k], &a[k][k], factor, N - k);
            x[i] += factor * x[k];
        }
    }
    for (int k = N - 1; k >= 0; k--) {
        for (int j = k + 1; j < N; j++)
            x[k] -= a[k][j] * x[j];
        x[k] /= a[k][k];
    }
}

int main(void)
{
    uint64_t state = 88172645463325252u, answer = 0;
    uint64_t start = bench_now();
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < N; i++) {
            x[i] = 0;
            for (int j = 0; j < N; j++) {
                a[i][j] = (double)(bench_random(&state) % 2000) / 1000 - 1;
                x[i] += a[i][j] * (j + 1);
            }
        }
        solve();
        for (int i = 0; i < N; i++)
            answer = answer * 31 + (uint64_t)llround(x[i] * 1000);
    }
    return bench_report(start, answer);
}
