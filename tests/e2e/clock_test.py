#!/usr/bin/env python3
"""The guest's clock against the host's by /dev/ptp0: clock_test.py PROGRAM, where PROGRAM is guest/clock.c, which the guest gets
on a disk. Needs the guest of `./dev guest` (IREKO_GUEST).
"""
import pathlib
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

LIMIT_US = 50_000


class Clock(Console):
    """A guest with /tmp/clock."""

    number = 0

    def __init__(self, folder):
        disk = pathlib.Path(folder) / "program"
        shutil.copy(sys.argv[1], disk)
        with open(disk, "ab") as f:
            f.truncate(1 << 20)
        super().__init__("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", "--net", "none",
                         "--disk", f"{disk},ro")
        self.wait_for(PROMPT)
        self.send("cat /dev/vda > /tmp/clock; chmod +x /tmp/clock\n")

    def ask(self, command):
        """The number that the guest prints."""
        Clock.number += 1
        self.send(f"echo off $({command}) us $(({Clock.number} + 4000)).\n")
        self.wait_for(f" us {Clock.number + 4000}.")
        return int(self.log[:self.seen].rsplit("off ", 1)[1].split()[0])


def clock_is_right():
    """at boot to the second; once set from /dev/ptp0 within 50 ms, also after a pause and when it had been wrong"""
    with tempfile.TemporaryDirectory(prefix="ireko-clock-") as folder, Clock(folder) as c:
        at_boot = c.ask("/tmp/clock show")
        check(at_boot < 2_000_000, f"{at_boot} us off at boot")
        after_set = c.ask("/tmp/clock set")
        check(after_set < LIMIT_US, f"{after_set} us off after it was set")
        c.signal(signal.SIGSTOP)
        time.sleep(2)
        c.signal(signal.SIGCONT)
        after_pause = c.ask("/tmp/clock show")
        check(after_pause < LIMIT_US, f"{after_pause} us off after a pause of two seconds")
        wrong = c.ask("date -s @1000000000 > /dev/null; /tmp/clock show")  # as after the host slept for years
        check(wrong > 1_000_000, f"{wrong} us off with a wrong clock")
        again = c.ask("/tmp/clock set")
        check(again < LIMIT_US, f"{again} us off after it was set again")
        print(f"# us off the host: {at_boot} at boot, {after_set} set, {after_pause} after a pause, {again} set again")


if __name__ == "__main__":
    run([clock_is_right])
