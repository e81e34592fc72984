"""The rows of the benchmark: what runs, where its program comes from, and which rows are judged together.

A row's script runs with sh, in the guest and, where its commands exist, on the host. $T is the folder with the files of
bench/programs. To add a micro-kernel, add programs/NAME.c (see programs/bench.h) and a line in MICRO; to add a program, a
line in PROGRAMS and, if Debian has it in another package, that package in PACKAGES.
"""
import dataclasses

# What the guest's disk has, by Debian's package names.
PACKAGES = """base-files base-passwd bash coreutils dash diffutils findutils gcc grep gzip libc-bin libc6-dev lua5.4 make nodejs perl
    python3 sed sqlite3 xz-utils""".split()


@dataclasses.dataclass(frozen=True)
class Row:
    name: str
    group: str
    title: str
    script: str = ""
    needs: tuple = ()  # commands of the guest's disk
    warm: str = ""  # files to have in the page cache before: starting a program is measured, reading its disk is not
    everywhere: bool = True  # the answer on the host is that of the guest
    scratch: bool = False  # needs the scratch disk, so it is not for the host, whose disks are left alone
    source: str = ""  # of a micro-kernel
    flags: tuple = ()  # of its compilation
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
    "simd": Group("Micro-kernels, floating point and SIMD"),
    "disk": Group("A raw disk", 2),
    "program": Group("Programs", 4),
    "smp": Group("Several CPUs"),
}

BOOTS = [
    Row("boot-init", "boot", "Debian's kernel to init", goal=2),
    Row("boot-shell", "boot", "Debian's kernel to a shell"),
]

# Integer rows are to be integer code, so they are compiled without the vectors that gcc would see in them; and a sum of
# doubles is to be the same everywhere, so nothing is fused.
FLAGS = {"system": (), "micro": ("-fno-tree-vectorize",), "simd": ("-ffp-contract=off", "-lm")}

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
    ("scalar", "simd", "doubles, one by one", 0),
    ("vector", "simd", "matrices of floats, SIMD", 0),
    ("strings", "simd", "strlen, strchr, strcpy", 0),
    ("copies", "simd", "memcpy, memset", 0),
)]

DISK = [Row(name, "disk", title, f"$T/{name}", source=name + ".c", scratch=True, goal=2) for name, title in (
    ("randread", "4 KiB random reads"),
    ("randqueue", "4 KiB random reads, 8 at once"),
    ("seqread", "sequential read, 1 MiB"),
    ("seqwrite", "sequential write, 1 MiB"),
)]

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

ROWS = BOOTS + MICRO + DISK + PROGRAMS + SMP
