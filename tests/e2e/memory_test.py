#!/usr/bin/env python3
"""What the guest frees the host has again, and what it has given away is zero and its own when it comes back. Needs the guest
of `./dev guest` (IREKO_GUEST) and /proc.
"""
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

MIB = 1 << 20


def boot(*options):
    return Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", *options)


def resident(c):
    """MiB that ireko has in memory."""
    path = pathlib.Path(f"/proc/{c.process.pid}/smaps_rollup")
    if not path.exists():
        raise Skip("this host has no smaps_rollup")
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith("Rss:"):
            return int(line.split()[1]) // 1024
    raise AssertionError("no Rss in smaps_rollup")


def wait_below(c, mib, seconds=60):
    """Until ireko has less than `mib` in memory; how much it is then."""
    deadline = time.monotonic() + seconds * Console.patience
    while (now := resident(c)) >= mib:
        check(time.monotonic() < deadline, f"still {now} MiB, not below {mib}\n{c.tail()}")
        c.pump(0.2)
    return now


def freed_memory_goes_back():
    """128 MiB that the guest filled and freed are the host's again, and can be used again"""
    with boot() as c:
        c.wait_for(PROMPT)
        before = resident(c)
        for _ in range(2):
            c.send("dd if=/dev/urandom of=/tmp/a bs=1M count=32 2>/dev/null; for i in 1 2 3 4; do cat /tmp/a; done > /tmp/b; "
                   "md5sum < /tmp/a > /tmp/sum; for i in 0 1 2 3; do dd if=/tmp/b bs=1M skip=$((32 * i)) count=32 2>/dev/null | "
                   "md5sum | cmp - /tmp/sum && echo part $((i + 40)) is right; done; rm /tmp/a\n")
            for part in range(40, 44):
                c.wait_for(f"part {part} is right", seconds=120)
            full = resident(c)
            check(full > before + 120, f"{before} MiB before, {full} MiB with 128 MiB in the guest")
            c.send("rm /tmp/b\n")
            after = wait_below(c, full - 100)
            print(f"# {before} MiB at the prompt, {full} MiB when full, {after} MiB after it was freed")


def balloon_takes_memory():
    """--balloon: the guest leaves that much to the host until it runs out of memory"""
    with boot("--balloon", "128M") as c:
        c.wait_for(PROMPT)
        c.send("while [ $(grep -c -i '^balloon_inflate' /proc/vmstat) = 1 ] && "
               "[ $(sed -n 's/^balloon_inflate //p' /proc/vmstat) -lt 32768 ]; do sleep 1; done; echo inflated $((6 * 7))\n")
        c.wait_for("inflated 42", seconds=120)
        c.send("grep ^MemFree /proc/meminfo; echo that was $((6 * 7))\n")
        c.wait_for("that was 42")
        free = int(re.search(r"MemFree: +([0-9]+) kB", c.log).group(1)) // 1024
        check(free < 512 - 128, f"{free} MiB are free in the guest")
        c.send("dd if=/dev/zero of=/tmp/a bs=1M count=200 2>/dev/null; rm /tmp/a; echo survived $((6 * 7))\n")
        c.wait_for("survived 42", seconds=120)


ALL = [freed_memory_goes_back, balloon_takes_memory]

if __name__ == "__main__":
    run([t for t in ALL if len(sys.argv) == 1 or t.__name__ in sys.argv[1:]])
