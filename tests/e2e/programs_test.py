#!/usr/bin/env python3
"""Debian's arm64 programs in the guest give the right answer: compilers, interpreters, JITs, virtual machines, debuggers.

Each group is one boot with the disk of guest/disk.sh (IREKO_PROGRAMS) read-only as the programs' root and a small disk with
tests/e2e/programs and one script per case. An answer is compared with FILE.out, recorded on x86-64, or with a pattern.
`programs_test.py NAME...` runs only these groups or cases; IREKO_TIMES=1 prints what each took in the guest.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console, Timeout  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

HERE = pathlib.Path(__file__).parent / "programs"

# The first process: the programs' root is read-only, /tmp is memory. A case that dies leaves its registers in the log.
BOOT = """
mount -t ext4 -o ro /dev/vda /mnt
mount -t ext2 -o ro /dev/vdb /mnt/t
for d in dev proc sys; do mount -o bind /$d /mnt/$d; done
mount -t tmpfs tmp /mnt/tmp
echo 1 > /proc/sys/debug/exception-trace
ifconfig lo 127.0.0.1 up
chroot /mnt /bin/sh /t/cases.sh
"""

CASES = """
export PATH=/usr/bin:/usr/sbin:/usr/lib/jvm/java-17-openjdk-arm64/bin HOME=/tmp LANG=C.UTF-8 GOCACHE=/tmp/go GOFLAGS=-p=1 CGO_ENABLED=0
cd /tmp
case_run() {
    echo "@@ begin $1"
    start=$(cut -d' ' -f1 /proc/uptime)
    timeout -s KILL "$2" sh "/t/case-$1" < /dev/null > /tmp/out 2>&1
    status=$?
    cat /tmp/out
    echo "@@ end $1 $status $start $(cut -d' ' -f1 /proc/uptime)"
}
"""


def gcc(name):
    """Compile at three levels, run each; the answer is the same."""
    flags = "-w -ffp-contract=off -frounding-math -fsigned-char"
    return (f"for level in 0 2 3; do gcc -O$level {flags} -o x /t/{name}.c -lm -lpthread && "
            f"./x > out$level || echo failed at -O$level: $?; done\n"
            "cmp out0 out2 && cmp out0 out3; cat out2")


def recorded(name):
    return (HERE / (name + ".out")).read_text(encoding="utf-8")


# The modules of Python's own test suite. What each needs besides the machine (a compiler, a network) it skips itself.
PYTHON_TESTS = {
    "int": ("test_int test_long test_bool test_numeric_tower test_int_literal test_index test_operator", 600),
    "float": ("test_float test_math test_cmath test_complex test_strtod test_statistics", 900),
    "struct": ("test_struct test_array test_memoryview test_buffer test_bytes test_binascii test_zlib test_bz2 test_lzma", 1800),
    "fractions": ("test_fractions test_random test_bisect test_heapq test_sort", 900),
    "decimal": ("test_decimal", 1800),
    "hashlib": ("test_hashlib test_hmac test_crypt", 900),
    "ctypes": ("test_ctypes", 600),
    "threading": ("test_threading test_thread test_queue test_threading_local test_signal test_faulthandler", 1800),
    "text": ("test_unicode test_re test_json test_pickle test_format test_string", 1800),
}

OPENSSL = {
    "digests": (
        "for d in md5 sha1 sha224 sha256 sha384 sha512 sha512-256 sha3-256 sha3-512 blake2b512 blake2s256; do "
        "for n in 0 1 55 56 63 64 65 127 128 1000 100003; do seq 1 100000 | head -c $n | openssl dgst -$d -r; done; done | sha256sum",
        120),
    "ciphers": (
        "k=000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f; v=00112233445566778899aabbccddeeff; "
        "for c in aes-128-ecb aes-128-cbc aes-192-cbc aes-256-cbc aes-128-ctr aes-256-ctr aes-256-ofb camellia-256-cbc aria-256-ctr "
        "chacha20 des-ede3-cbc sm4-cbc aes-256-cfb8; do for n in 0 1 16 100 1000 100003; do "
        "seq 1 100000 | head -c $n | openssl enc -$c -K $k -iv $v 2>/dev/null > e; sha256sum < e; "
        "openssl enc -d -$c -K $k -iv $v 2>/dev/null < e | sha256sum; done; done | sha256sum; "
        "for m in 'hmac -digest sha256 -macopt hexkey:00' 'poly1305 -macopt hexkey:'$k "
        "'gmac -cipher aes-128-gcm -macopt hexkey:000102030405060708090a0b0c0d0e0f -macopt hexiv:000102030405060708090a0b'; do "
        "seq 1 100000 | openssl mac -macopt hexkey:00 ${m#* } -in /dev/stdin ${m%% *} 2>&1 | tail -n 1; done; "
        "openssl kdf -keylen 32 -kdfopt digest:sha512 -kdfopt pass:secret -kdfopt salt:salt -kdfopt iter:1000 PBKDF2; "
        "openssl kdf -keylen 32 -kdfopt pass:secret -kdfopt salt:salt -kdfopt n:1024 -kdfopt r:8 -kdfopt p:1 SCRYPT",
        240),
}

GROUPS = {
    "gcc": {n: (gcc(n), 600, recorded(n + ".c")) for n in
            ("integer", "floats", "structs", "sorts", "jumps", "threads", "vectors")},
    "python": {
        "compute": ("python3 /t/compute.py", 300, recorded("compute.py")),
        **{n: (f"python3 -m test -u cpu {tests} 2>&1 | tail -n 60", limit, re.compile(r"Tests? result: SUCCESS|Result: SUCCESS"))
           for n, (tests, limit) in PYTHON_TESTS.items()},
    },
    "interpreters": {
        "perl": ("perl /t/compute.pl", 300, recorded("compute.pl")),
        "sqlite": ("sqlite3 /tmp/db < /t/compute.sql", 300, recorded("compute.sql")),
        "lua": ("lua5.4 /t/compute.lua", 300, recorded("compute.lua")),
    },
    "node": {"node": ("nodejs /t/compute.js", 600, recorded("compute.js"))},
    "java": {
        "interpreter": ("javac -J-Xint -J-Xshare:off -version; java -Xint -version", 600, re.compile(r"javac 17.*openjdk version \"17", re.S)),
        "compute": ("mkdir -p c; javac -d c /t/Compute.java && java -cp c Compute", 1200, recorded("Compute.java")),
        "c2": ("java -XX:-TieredCompilation -cp c Compute", 1200, recorded("Compute.java")),
    },
    "go": {"go": ("go build -o g /t/compute.go && ./g", 1800, recorded("compute.go"))},
}


def disk(folder, cases):
    """The small disk: tests/e2e/programs, one script per case, and what calls them."""
    tree = folder / "tree"
    shutil.copytree(HERE, tree)
    calls = "".join(f"case_run {name} {limit}\n" for name, (_, limit, _) in cases.items())
    for name, (script, _, _) in cases.items():
        (tree / ("case-" + name)).write_text(script + "\n", encoding="utf-8")
    (tree / "cases.sh").write_text(CASES + calls, encoding="utf-8")
    (tree / "boot.sh").write_text(BOOT, encoding="utf-8")
    image = folder / "cases.img"
    with open(image, "wb") as f:
        f.truncate(8 << 20)
    subprocess.run(["mke2fs", "-q", "-t", "ext2", "-d", tree, image], check=True)
    return image


class Group:
    """One boot, started by the first of its cases to be asked for."""

    def __init__(self, cases):
        self.cases = cases
        self.console = None
        self.dead = None

    def start(self):
        programs = os.environ.get("IREKO_PROGRAMS", "/nonexistent")
        guest = pathlib.Path(os.environ.get("IREKO_GUEST", "/nonexistent"))
        if not os.path.isfile(programs) or not guest.exists():
            raise Skip("no disk of programs; ./dev test --slow builds it")
        self.folder = tempfile.TemporaryDirectory(prefix="ireko-programs-")
        image = disk(pathlib.Path(self.folder.name), self.cases)
        self.console = Console(
            "run", "--kernel", guest / "Image", "--initrd", guest / "initramfs", "--memory", "3G", "--disk", f"{programs},ro",
            "--disk", f"{image},ro", "--append", 'loglevel=5 ireko.cmd="mkdir /b; mount -o ro -t ext2 /dev/vdb /b; sh /b/boot.sh"')

    def answer(self, name, limit):
        """Wait for the case; its output, exit status and seconds in the guest."""
        if not self.console:
            self.start()
        if self.dead:
            raise Skip(f"the guest died in {self.dead}")
        console = self.console
        try:
            console.wait_for(f"@@ begin {name}", seconds=120)
            at = console.seen
            console.wait_for(f"@@ end {name} ", seconds=limit + 120)
            output = console.log[at:console.seen].replace("\r", "")
            console.wait_for("\n")
        except Timeout:
            self.dead = name
            self.stop()
            raise
        status, start, end = console.log[:console.seen].rsplit("@@ end ", 1)[1].split()[1:]
        return output[1:output.rindex("@@ end ")], int(status), float(end) - float(start)

    def stop(self):
        if self.console:
            self.console.__exit__()
            self.folder.cleanup()


def point(group, title, name, limit, expected, last):
    def test():
        try:
            output, status, seconds = group.answer(name, limit)
            if os.environ.get("IREKO_TIMES"):
                print(f"# {title} {name}: {seconds:.1f} s, status {status}", flush=True)
            good = expected.search(output) if isinstance(expected, re.Pattern) else output == expected
            check(status == 0 and good, f"status {status}, the answer is\n{output}")
        finally:
            if last:
                group.stop()
    test.__doc__ = f"{title}: {name}"
    return test


def main(wanted):
    tests = []
    for title, cases in GROUPS.items():
        chosen = {n: c for n, c in cases.items() if not wanted or title in wanted or n in wanted}
        group = Group(chosen)
        for i, (name, (_, limit, expected)) in enumerate(chosen.items()):
            tests.append(point(group, title, name, limit, expected, i == len(chosen) - 1))
    run(tests)


if __name__ == "__main__":
    main(sys.argv[1:])
