/* Double precision, one number at a time: bodies that attract each other, with divisions and square
 * roots. */
#include <math.h>
#include <string.h>

#include "bench.h"

#define BODIES 8
#define STEPS  80000

struct body {
    double x[3], v[3], mass;
};

static void step(struct body *b)
{
    for (int i = 0; i < BODIES; i++)
        for (int j = i + 1; j < BODIES; j++) {
            double d[3], square = 0.01;
            for (int k = 0; k < 3; k++) {
                d[k] = b[i].x[k] - b[j].x[k];
                square += d[k] * d[k];
            }
            double pull = 0.001 / (square * sqrt(square));
            for (int k = 0; k < 3; k++) {
                b[i].v[k] -= d[k] * b[j].mass * pull;
                b[j].v[k] += d[k] * b[i].mass * pull;
            }
        }
    for (int i = 0; i < BODIES; i++)
        for (int k = 0; k < 3; k++)
            b[i].x[k] += 0.001 * b[i].v[k];
}

int main(void)
{
    struct body bodies[BODIES];
    uint64_t state = 88172645463325252u, answer = 0;
    for (int i = 0; i < BODIES; i++) {
        for (int k = 0; k < 3; k++) {
            bodies[i].x[k] = (double)(bench_random(&state) % 1000) / 100;
            bodies[i].v[k] = 0;
        }
        bodies[i].mass = 1 + i;
    }
    uint64_t start = bench_now();
    for (int i = 0; i < STEPS; i++)
        step(bodies);
    for (int i = 0; i < BODIES; i++) {
        uint64_t bits;
        memcpy(&bits, &bodies[i].x[0], sizeof bits);
        answer = answer * 31 + bits;
    }
    return bench_report(start, answer);
}
