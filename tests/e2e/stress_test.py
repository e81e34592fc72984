#!/usr/bin/env python3
"""Boot Debian's kernel to a shell with the engine and the switches of the JIT (IREKO_JIT) that are given, and run a
command. Needs the guest of `./dev guest` (IREKO_GUEST).
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

ENGINE, KNOBS = sys.argv[1:]
PATIENCE = 1500  # seconds: lockstep is slow


def boots_to_a_shell():
    """the shell runs a command, and the guest powers off with exit status 0"""
    if KNOBS:
        os.environ["IREKO_JIT"] = KNOBS
    with Console("run", "--engine", ENGINE, "--kernel", guest("Image"), "--initrd", guest("initramfs"),
                 "--memory", "512M", "--append", "console=ttyAMA0") as c:
        c.wait_for("ireko# ", seconds=PATIENCE)
        c.send("echo $((6 * 7)) is the answer\n")
        c.wait_for("42 is the answer", seconds=PATIENCE)
        c.send("poweroff -f\n")
        check(c.finish(seconds=PATIENCE) == 0, c.tail())


if __name__ == "__main__":
    sys.exit(run([boots_to_a_shell]))
