#!/usr/bin/env python3
"""Boot Debian's kernel to a shell with the engine and the switches of the JIT (IREKO_JIT) that are given, and with the
number of CPUs if there is a third word; run commands whose output the host knows. Needs the guest of `./dev guest`
(IREKO_GUEST).
"""
import hashlib
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

ENGINE, KNOBS = sys.argv[1:3]
CPUS = sys.argv[3] if len(sys.argv) > 3 else "1"
PATIENCE = 1500  # seconds: lockstep is slow

LINES = range(1, 1001 if ENGINE == "check" else 20001)
TEXT = "".join(f"{n}\n" for n in LINES).encode()
REVERSE = "".join(f"{n}\n" for n in sorted(map(str, LINES), reverse=True)).encode()
WORK = {  # of the shell and busybox, on TEXT; what they print
    "sha256sum": hashlib.sha256(TEXT).hexdigest(),
    "sha512sum": hashlib.sha512(TEXT).hexdigest(),
    "md5sum": hashlib.md5(TEXT).hexdigest(),
    "gzip | gunzip | sha1sum": hashlib.sha1(TEXT).hexdigest(),
    "sort -r | sha1sum": hashlib.sha1(REVERSE).hexdigest(),
    "awk '{ s += $1 / 4 } END { print s \" in all\" }'": f"{sum(LINES) / 4:.0f} in all",
    "( while read n; do s=$((s + n)); done; echo $s by hand )": f"{sum(LINES)} by hand",
}


def boots_and_computes():
    """programs print what the host computes, and the guest powers off with exit status 0"""
    if KNOBS:
        os.environ["IREKO_JIT"] = KNOBS
    with Console("run", "--engine", ENGINE, "--kernel", guest("Image"), "--initrd", guest("initramfs"),
                 "--memory", "512M", "--cpus", CPUS, "--append", "console=ttyAMA0") as c:
        c.wait_for(PROMPT, seconds=PATIENCE)
        for command, answer in WORK.items():
            c.send(f"seq {LINES[0]} {LINES[-1]} | {command}\n")
            c.wait_for(answer, seconds=PATIENCE)
        c.send("poweroff -f\n")
        check(c.finish(seconds=PATIENCE) == 0, c.tail())


if __name__ == "__main__":
    sys.exit(run([boots_and_computes]))
