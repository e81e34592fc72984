"""numpy: arithmetic on arrays, sums, a product of matrices, sorting, a Fourier transform."""
import numpy

n = 40000
x = numpy.arange(n, dtype=numpy.float64) / n
y = (numpy.arange(n, dtype=numpy.int64) * 7919 % n).astype(numpy.float32)
for _ in range(10):
    s = numpy.sqrt(x * x + 2 * x + 1) - x
    f = (y * 2 + 1) * numpy.float32(0.5) - y
print(round(float(s.sum()), 3), round(float(f.sum()), 3))
a = (numpy.arange(96 * 96) % 17).reshape(96, 96).astype(numpy.float64)
print(int((a @ a).sum()), int((a.T @ a).max()))
print(int(numpy.sort(y)[::1000].sum()), int((y > n / 2).sum()), int(numpy.argsort(y)[7]))
print(round(float(numpy.abs(numpy.fft.fft(x[:16384])).sum()), 1))
