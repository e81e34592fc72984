"""Arithmetic that has one right answer on every machine."""
import array, cmath, decimal, fractions, hashlib, itertools, json, math, random, re, struct, zlib

r = random.Random(20230612)
h = hashlib.sha256()


def note(name):
    print(name, h.hexdigest()[:32])


for _ in range(3000):
    a, b = r.getrandbits(r.randrange(1, 2000)) - 12345, r.getrandbits(r.randrange(1, 900)) | 1
    h.update(repr((a * b, a // b, a % b, a ^ b, a >> 7, math.gcd(a, b), math.isqrt(abs(a)), pow(a, b & 63, b + 2))).encode())
note("long")
for _ in range(20000):
    a, b = (struct.unpack("<d", struct.pack("<Q", r.getrandbits(64)))[0] for _ in range(2))
    h.update(repr((a + b, a * b, a - b, a / b if b else 0, a < b, math.copysign(a, b), abs(a))).encode())
    c, d = r.uniform(-1e6, 1e6), r.uniform(0.001, 1000)
    h.update(repr((c // d, c % d, math.fmod(c, d), math.sqrt(d), round(c, 3), int(c), math.floor(c), math.ceil(c), c.hex(), f"{c:.7e}", float(str(c)))).encode())
    h.update(repr((math.frexp(c), math.ldexp(d, 5), math.modf(c), math.remainder(c, d), math.ulp(c), math.nextafter(c, d), c.as_integer_ratio())).encode())
note("float")
print(math.fsum(r.random() for _ in range(10000)), sum(r.gauss(0, 1) > 0 for _ in range(1000)))
decimal.getcontext().prec = 120
x = decimal.Decimal(2)
for _ in range(200):
    x = (x * x + 3) / (x + decimal.Decimal("0.7")) % 1000
print(x, decimal.Decimal(2).sqrt(), decimal.Decimal(3).ln(), decimal.Decimal(1).exp())
f = fractions.Fraction(1, 3)
for i in range(1, 60):
    f = f * fractions.Fraction(i + 1, i + 2) + fractions.Fraction(i, i * i + 1)
print(hash(f), f.limit_denominator(10**12))
data = bytes(r.getrandbits(8) for _ in range(100000))
for name in sorted({"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "blake2s"}):
    print(name, hashlib.new(name, data).hexdigest()[:40])
print("crc32", zlib.crc32(data), "adler", zlib.adler32(data), zlib.decompress(zlib.compress(data, 9)) == data)
print(hashlib.pbkdf2_hmac("sha256", b"password", b"salt", 2000).hex())
print(struct.unpack("<hHiIqQfd", struct.pack("<hHiIqQfd", -2, 65535, -3, 1 << 31, -5, 1 << 63, 0.1, 0.1)), struct.pack(">e", 0.1).hex())
for _ in range(5000):
    v = r.uniform(-70000, 70000)
    h.update(struct.pack("<e", v / 2 ** r.randrange(30)) if abs(v) < 65000 else b"")
note("half")
print(len(list(itertools.permutations(range(7)))), sum(map(len, re.findall(r"[a-f]+\d*", data.hex()))))
print(array.array("d", sorted(r.random() for _ in range(5))).tobytes().hex(), json.dumps({"x": [1.1, 2**70, None]}), (3 + 4j) * (1 - 2j) / (2 + 1j), cmath.sqrt(-4))
