"""The rows of the benchmark: what runs, where its program comes from, and which rows are judged together.

A row's script runs with sh, in the guest and, where its commands exist, on the host. $T is the folder with the files of
bench/programs. To add a micro-kernel, add programs/NAME.c (see programs/bench.h) and a line in MICRO or SIMD; to add a program, a
line in PROGRAMS and, if Debian has it in another package, that package in PACKAGES.
"""
import dataclasses

# What the guest's disk has, by Debian's package names.
PACKAGES = """base-files base-passwd bash coreutils dash diffutils findutils gcc grep gzip libc-bin libc6-dev libjpeg-turbo-progs lua5.4
    fio iperf3 make nodejs openjdk-17-jre-headless openssl perl python3 python3-numpy sed sqlite3 x264 xz-utils""".split()


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    group: str
    title: str
    script: str = ""
    needs: tuple = ()  # commands of the guest's disk
    warm: str = ""  # files to have in the page cache before: starting a program is measured, reading its disk is not
    before: str = ""  # a command to have been run before in the guest
    everywhere: bool = True  # the answer on the host is that of the guest
    scratch: bool = False  # needs the scratch disk, so it is not for the host, whose disks are left alone
    source: str = ""  # of a micro-kernel
    flags: tuple = ()  # of its compilation
    network: bool = False  # needs the user-mode network, with iperf3 on this host
    goal: float = 0  # how many times as fast as QEMU the row should be at least
    cpus: int = 1  # of the guest


# Group: its title, and how many times as fast as QEMU its rows should be together (geometric mean).
@dataclasses.dataclass(frozen=True)
class Group:
    title: str
    goal: float = 0


GROUPS = {
    "boot": Group("Boot"),
    "system": Group("System"),
    "micro": Group("Micro-kernels, integer", 3),
    "fp": Group("Floating point, one number at a time", 3),
    "simd": Group("Floating point, SIMD", 8),
    "string": Group("Strings and memory", 10),
    "crypto": Group("openssl speed"),
    "disk": Group("A raw disk", 2),
    "fio": Group("fio, raw and qcow2", 2),
    "net": Group("The user-mode network", 2),
    "program": Group("Programs", 4),
    "smp": Group("Several CPUs"),
}

BOOTS = [
    Row("boot-init", "boot", "Debian's kernel to init", goal=2),
    Row("boot-shell", "boot", "Debian's kernel to a shell"),
]

# Integer rows are to be integer code, so they are compiled without the vectors that gcc would see in them. Where a sum
# of doubles is to be the same everywhere, nothing is fused.
FLAGS = {"system": (), "micro": ("-fno-tree-vectorize",)}
UNFUSED = ("-ffp-contract=off", "-lm")

MICRO = [Row(name, group, title, f"$T/{name}", source=name + ".c", flags=FLAGS[group], goal=goal) for name, group, title, goal in (
    ("syscall", "system", "system calls", 4),
    ("pingpong", "system", "context switches", 8),
    ("forkexec", "system", "fork, exec, exit", 2),
    ("faults", "system", "page faults", 2),
    ("signals", "system", "signals", 0),
    ("pipes", "system", "pipes", 0),
    ("calls", "micro", "recursive calls", 1),
    ("sort", "micro", "sort", 1),
    ("hash", "micro", "hash table", 1),
    ("bytecode", "micro", "bytecode interpreter", 1),
    ("sieve", "micro", "sieve", 1),
    ("chase", "micro", "pointer chase, 64 KiB", 1),
    ("random64", "micro", "random reads, 64 MiB", 1),
    ("matmul", "micro", "matrices of integers", 1),
    ("core", "micro", "lists, matrices, states, CRC", 1),
    ("sha256", "micro", "SHA-256 in C", 1),
)]

SIMD = [
    Row("scalar", "fp", "bodies that attract each other, doubles", "$T/scalar", source="scalar.c", flags=UNFUSED),
    Row("linpack", "fp", "equations, doubles", "$T/linpack", source="linpack.c", flags=("-lm",)),
    Row("fft", "fp", "Fourier transforms, doubles", "$T/fft", source="fft.c", flags=("-lm",)),
    Row("floats", "fp", "Python, floats", "python3 $T/floats.py", ("python3",), "/usr/bin/python3.*"),
    Row("vector", "simd", "matrices of floats, SIMD", "$T/vector", source="vector.c", flags=UNFUSED),
    Row("fft4", "simd", "Fourier transforms of floats, SIMD", "$T/fft4", source="fft.c", flags=("-DWIDE", "-lm")),
    Row("strings", "string", "strlen, strchr, strcpy", "$T/strings", source="strings.c"),
    Row("strlen", "string", "strlen, 4 KiB and words", "$T/strlen", source="strlen.c"),
    Row("copies", "string", "memcpy, memset", "$T/copies", source="copies.c"),
    Row("copy40", "string", "memcpy, 40 bytes", "$T/copy40", source="copy.c"),
    Row("copy1m", "string", "memcpy, 1 MiB", "$T/copy1m", source="copy.c", flags=("-DSIZE=1048576",)),
    Row("base64", "string", "base64, SIMD", "$T/base64", source="base64.c"),
]

# What the speed that openssl finds in a second is worth for as many bytes or operations.
CRYPTO = [Row(name, "crypto", title, f"sh $T/openssl.sh {arguments}", ("openssl", "grep"), "/usr/bin/openssl /usr/lib/*/libcrypto.so.3", goal=goal)
          for name, title, arguments, goal in (
    ("aesgcm", "AES-128-GCM, 8 MiB", "8388608 -bytes 8192 -evp aes-128-gcm", 8),
    ("sha256evp", "SHA-256, 8 MiB", "8388608 -bytes 8192 -evp sha256", 8),
    ("chacha20", "ChaCha20, 8 MiB", "8388608 -bytes 8192 -evp chacha20", 0),
    ("rsa2048", "RSA-2048, 20 signatures", "20 rsa2048", 3),
    ("x25519", "X25519, 200 keys", "200 ecdhx25519", 3),
)]

DISK = [Row(name, "disk", title, f"$T/{name}", source=name + ".c", scratch=True, goal=2) for name, title in (
    ("randread", "4 KiB random reads"),
    ("randqueue", "4 KiB random reads, 8 at once"),
    ("seqread", "sequential read, 1 MiB"),
    ("seqwrite", "sequential write, 1 MiB"),
)]

FIO = [Row(f"fio-{name}-{kind}", "fio", f"fio, {title}, {kind}", f"sh $T/fio.sh {how} {kind}", ("fio",), scratch=True, goal=2)
       for kind in ("raw", "qcow2") for name, title, how in (
    ("randread", "4 KiB random reads", "randread 4k 64m"),
    ("randwrite", "4 KiB random writes", "randwrite 4k 64m"),
    ("read", "sequential read, 1 MiB", "read 1m 1g"),
    ("write", "sequential write, 1 MiB", "write 1m 1g"),
)]

NET = [Row(name, "net", title, f"sh $T/iperf.sh 256M {way}", ("iperf3",), network=True, goal=2) for name, title, way in (
    ("net-up", "iperf3, guest to host, 256 MiB", ""),
    ("net-down", "iperf3, host to guest, 256 MiB", "-R"),
)]

# The disk has no compiled modules, and not the links that choose among libraries.
NUMPY = "PYTHONPYCACHEPREFIX=/tmp/modules LD_LIBRARY_PATH=$(echo /usr/lib/*/blas):$(echo /usr/lib/*/lapack) "

PROGRAMS = [
    Row("python", "program", "Python", "python3 $T/work.py", ("python3",), "/usr/bin/python3.*", goal=2),
    Row("lua", "program", "Lua", "lua5.4 $T/work.lua", ("lua5.4",), goal=2),
    Row("perl", "program", "Perl", "perl $T/work.pl", ("perl",), "/usr/bin/perl", goal=2),
    Row("sqlite", "program", "SQLite", "sqlite3 :memory: < $T/work.sql", ("sqlite3",), "/usr/lib/*/libsqlite3.so.0", goal=2),
    Row("gcc", "program", "gcc -O2", "gcc -O2 -S -o - $T/core.c | cksum", ("gcc",), "/usr/lib/gcc/*/*/cc1",
        everywhere=False, goal=2),
    Row("gzip", "program", "gzip", "gzip -n $T/text -c > gz && gzip -dc gz | cksum", ("gzip",), "/usr/bin/gzip", goal=2),
    Row("xz", "program", "xz", "head -c 400000 $T/text | xz -T1 > xz && xz -dc xz | cksum", ("xz",), "/usr/lib/*/liblzma.so.5", goal=2),
    Row("node", "program", "Node.js, with its JIT", "node $T/work.js", ("node",), "/usr/bin/node /usr/lib/*/libnode.so.*", goal=2),
    Row("numpy", "program", "numpy", NUMPY + "python3 $T/arrays.py", ("python3",), before=NUMPY + "python3 -c 'import numpy.fft'", goal=2),
    Row("java", "program", "Java, numbers", "java -cp $T Numbers", ("java",), "/usr/lib/jvm/*/lib/server/libjvm.so /usr/lib/jvm/*/lib/modules",
        source="Numbers.java", goal=2),
    Row("jpeg", "program", "JPEG, there and back", "cjpeg -quality 85 $T/image.ppm > jpeg && djpeg jpeg | cksum", ("cjpeg", "djpeg"),
        "/usr/bin/djpeg /usr/lib/*/libjpeg.so.62", goal=2),
    Row("x264", "program", "x264", "x264 --quiet --no-progress --threads 1 -o h264 $T/video.y4m 2>/dev/null && cksum < h264", ("x264",), "/usr/bin/x264 /usr/lib/*/libx264.so.*",
        everywhere=False, goal=2),
    Row("shell", "program", "shell script", "sh $T/work.sh", ("sed", "grep", "expr"), goal=2),
]

# Two CPUs in the guest, so on two of the host's. The rows of a pair below are one guest's, which may be left with one CPU idle.
SMP = [
    Row("compute1", "smp", "one thread computes", "$T/compute1", source="compute.c", cpus=2),
    Row("compute2", "smp", "two threads compute, twice the work", "$T/compute2", source="compute.c", flags=("-DTHREADS=2",), cpus=2),
    Row("make1", "smp", "make -j1 of 16 C files", "sh $T/make.sh 1", ("make", "gcc"), "/usr/lib/gcc/*/*/cc1", everywhere=False, cpus=2),
    Row("make2", "smp", "make -j2 of 16 C files", "sh $T/make.sh 2", ("make", "gcc"), "/usr/lib/gcc/*/*/cc1", everywhere=False, cpus=2),
    Row("ipi", "smp", "interrupts between CPUs, there and back", "$T/ipi", source="ipi.c", goal=2, cpus=2),
    Row("pingpong2", "smp", "context switches between CPUs", "$T/pingpong2", source="pingpong.c", flags=("-DTWO_CPUS",), goal=2, cpus=2),
    Row("boot-one", "smp", "Debian's kernel to a shell, 1 CPU"),
    Row("boot-four", "smp", "Debian's kernel to a shell, 4 CPUs", cpus=4),
]


# What several CPUs are worth: `factor` times the seconds of `one` over those of `many`.
@dataclasses.dataclass(frozen=True)
class Scaling:
    title: str
    one: str
    many: str
    factor: float
    least: float


SCALINGS = [
    Scaling("compute-bound work on two CPUs", "compute1", "compute2", 2, 1.85),
    Scaling("make -j2", "make1", "make2", 1, 1.7),
    Scaling("a boot with four CPUs, speed", "boot-one", "boot-four", 1, 1 / 1.3),
]

ROWS = BOOTS + MICRO + SIMD + CRYPTO + DISK + FIO + NET + PROGRAMS + SMP
