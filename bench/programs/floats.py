"""Floating point in Python: bodies that attract each other, and a function's zeros."""
import math


def advance(bodies, steps):
    for _ in range(steps):
        for i, a in enumerate(bodies):
            for b in bodies[i + 1:]:
                dx, dy = a[0] - b[0], a[1] - b[1]
                pull = 0.001 / ((dx * dx + dy * dy + 0.01) ** 1.5)
                a[2] -= dx * b[4] * pull
                a[3] -= dy * b[4] * pull
                b[2] += dx * a[4] * pull
                b[3] += dy * a[4] * pull
        for a in bodies:
            a[0] += 0.001 * a[2]
            a[1] += 0.001 * a[3]


def zero(f, low, high):
    while high - low > 1e-9:
        middle = (low + high) / 2
        if f(middle) < 0:
            low = middle
        else:
            high = middle
    return low


bodies = [[math.cos(k), math.sin(k), 0.0, 0.0, 1.0 + k] for k in range(5)]
advance(bodies, 1500)
print(" ".join(f"{a[0]:.6f}" for a in bodies))
print(sum(round(zero(lambda x, k=k: math.exp(x) - k, 0.0, 10.0), 6) for k in range(1, 200)))
