#!/usr/bin/env python3
"""Locks of all kinds under contention on four CPUs: locks_test.py ENGINE MILLISECONDS PROGRAM ..., where the programs are
guest/locks.c, which the guest gets on disks, and each lock is taken for that long. Needs the guest of `./dev guest`
(IREKO_GUEST).
"""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

ENGINE, MILLISECONDS, *PROGRAMS = sys.argv[1:]
THREADS = (4, 7)  # as many as CPUs, and more: who has a lock may lose its CPU
LINES = 14  # one for each kind of lock, and the sum


def torture(c, program):
    for threads in THREADS:
        at = c.seen
        c.send(f"{program} {threads} {MILLISECONDS}\n")
        c.wait_for("\nlocks: ", seconds=int(MILLISECONDS) / 1000 * LINES * 10 + 120)
        c.wait_for(PROMPT)
        lines = [line.strip() for line in c.log[at:c.seen].splitlines() if " wrong" in line]
        print(f"# {threads} threads: " + "; ".join(lines))
        check(len(lines) == LINES and lines[-1] == "locks: 0 wrong", c.tail())


def locks_hold():
    """locks of exclusives and of LSE's atomics keep what they protect, and the kernel reports nothing"""
    with tempfile.TemporaryDirectory(prefix="ireko-locks-") as folder:
        disks = []
        for n, program in enumerate(PROGRAMS):
            disk = pathlib.Path(folder) / str(n)
            shutil.copy(program, disk)
            with open(disk, "ab") as f:
                f.truncate(1 << 20)
            disks += ["--disk", f"{disk},ro"]
        with Console("run", "--engine", ENGINE, "--cpus", "4", "--kernel", guest("Image"), "--initrd", guest("initramfs"),
                     "--memory", "512M", "--net", "none", *disks) as c:
            c.wait_for(PROMPT, seconds=240)
            for n, program in enumerate(PROGRAMS):
                print(f"# {pathlib.Path(program).name}")
                c.send(f"cat /dev/vd{'ab'[n]} > /tmp/{n}; chmod +x /tmp/{n}\n")
                torture(c, f"/tmp/{n}")
            c.send("echo reports $(dmesg | grep -c -i -E 'bug:|stall|lockup|oops|warning:').\n")
            c.wait_for("reports 0.")
            c.send("poweroff -f\n")
            check(c.finish() == 0, c.tail())


if __name__ == "__main__":
    run([locks_hold])
