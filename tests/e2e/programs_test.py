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
    "float": ("test_float test_math test_cmath test_complex test_strtod", 900),
    "ctypes": ("test_ctypes", 600),
    "struct": ("test_struct test_array test_memoryview test_binascii test_zlib", 1200),
    "int": ("test_int test_long test_bool test_int_literal test_index test_operator", 1800),
    "fractions": ("test_fractions test_numeric_tower test_random", 900),
    "hashlib": ("test_hashlib test_hmac test_crypt", 1200),
    "threading": ("test_threading test_thread test_queue test_signal test_faulthandler", 1800),
    "decimal": ("test_decimal", 3600),
    "text": ("test_unicode test_re test_json test_format test_bytes", 3600),
}

PERF = ("gcc -O2 -o p /t/debug.c\n"
        "perf stat -x, -e instructions:u,cycles:u,branches:u,branch-misses:u,page-faults,task-clock ./p 10000000 2>&1 | "
        "awk -F, '{ print $3, $1 } $3 == \"instructions:u\" && $1 >= 4e7 && $1 < 4.1e7 { print \"counted\" }'\n"
        "perf record -q -e instructions:u -c 100003 -o rec ./p 10000000\n"
        "perf report -q --stdio -i rec --percent-limit 50 --sort symbol")

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
    "openssl": {"openssl": ("sh /t/openssl.sh", 900, recorded("openssl.sh"))},
    "debug": {
        "gdb": ("gcc -g -O0 -o d /t/debug.c; gdb -q -nx -batch -x /t/debug.gdb ./d > log 2>&1; sed -n '/^==/p; s/^\\(Hardware.*point [0-9]*\\).*/\\1/p' log", 300, recorded("debug.gdb")),
        "perf": (PERF, 300, re.compile(r"counted.*\b(main|spin)\b", re.S)),
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
            "--disk", f"{image},ro", "--append", 'loglevel=4 ireko.cmd="mkdir /b; mount -o ro -t ext2 /dev/vdb /b; sh /b/boot.sh"')

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
