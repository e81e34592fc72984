/* The C library's qsort with a comparator by pointer, and a quicksort with the comparison inline.
 */
#include <string.h>

#include "bench.h"

#define N 300000

static uint32_t numbers[N], copy[N];

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Hoare's partition, the middle as the pivot; recursion into the smaller side only. */
static void quicksort(uint32_t *v, int n)
{
    while (n > 1) {
        uint32_t pivot = v[n / 2];
        int i = 0, j = n - 1;
        while (i <= j) {
            while (v[i] < pivot)
                i++;
            while (v[j] > pivot)
                j--;
            if (i <= j) {
                uint32_t t = v[i];
                v[i++] = v[j];
                v[j--] = t;
            }
        }
        if (j + 1 < n - i) {
            quicksort(v, j + 1);
            v += i;
            n -= i;
        } else {
            quicksort(v + i, n - i);
            n = j + 1;
        }
    }
}

int main(void)
{
    uint64_t state = 88172645463325252u, sum = 0;
    for (int i = 0; i < N; i++)
        numbers[i] = (uint32_t)bench_random(&state);
    uint64_t start = bench_now();
    for (int round = 0; round < 3; round++) {
        memcpy(copy, numbers, sizeof copy);
        qsort(copy, N, sizeof copy[0], compare);
        sum = sum * 31 + copy[N / 3];
        memcpy(copy, numbers, sizeof copy);
        quicksort(copy, N);
        sum = sum * 31 + copy[N / 5];
    }
    return bench_report(start, sum);
}
