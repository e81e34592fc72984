#!/usr/bin/env python3
"""Debian's stress-ng with --verify on four CPUs: its checks of computation, memory, locks, signals, pipes and atomics find
nothing, and the kernel does not complain. Needs the disk of `./dev test --slow` (IREKO_STRESS).
"""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

SECONDS = 20

SETUP = r"""
stty -echo; mount -t ext4 -o ro /dev/vda /mnt
for d in dev proc sys; do mount -o bind /$d /mnt/$d; done; mount -t tmpfs tmp /mnt/tmp
mkdir -p /dev/shm; mount -t tmpfs shm /dev/shm; ifconfig lo 127.0.0.1 up; echo set''up
"""

STRESSORS = {
    "cpu": "--cpu 4",
    "vm": "--vm 4 --vm-bytes 32M",
    "mutex": "--mutex 4",
    "futex": "--futex 4",
    "fork": "--fork 4",
    "signal": "--sigrt 4 --sigfd 2 --kill 2",
    "switch": "--switch 4",
    "pipe": "--pipe 4",
    "mmap": "--mmap 4 --mmap-bytes 16M",
    "cache": "--cache 4",
    "timer": "--timer 4",
    "atomic": "--atomic 4",
}


class Machine:
    """The guest, started by the first point; one that died fails the others."""

    console = None

    def start(self):
        disk = os.environ.get("IREKO_STRESS", "/nonexistent")
        guest = pathlib.Path(os.environ.get("IREKO_GUEST", "/nonexistent"))
        if not os.path.isfile(disk) or not guest.exists():
            raise Skip("no disk with stress-ng; ./dev test --slow builds it")
        self.console = Console("run", "--cpus", "4", "--memory", "1G", "--kernel", guest / "Image", "--initrd", guest / "initramfs",
                               "--append", "loglevel=5", "--disk", f"{disk},ro")
        self.console.wait_for(PROMPT, seconds=120)
        self.console.send(SETUP.strip() + "\n")
        self.console.wait_for("setup")
        self.console.wait_for(PROMPT)

    def shell(self, command, seconds):
        """What the command printed, its exit status at the end."""
        if not self.console:
            self.start()
        at = self.console.seen
        self.console.send(command + "; echo @@ $?\n")
        self.console.wait_for("@@ ", seconds=seconds)
        self.console.wait_for(PROMPT)
        return self.console.log[at:self.console.seen - len(PROMPT)].replace("\r", "").strip()


machine = Machine()


def stressor(name, options):
    def test():
        command = f"chroot /mnt /usr/bin/stress-ng --verify -t {SECONDS} --temp-path /tmp {options} > /tmp/out 2>&1"
        output = machine.shell(f"{command} || cat /tmp/out; grep -q 'successful run completed' /tmp/out", SECONDS * 10 + 120)
        check(output.endswith("@@ 0"), output)
    test.__doc__ = f"stress-ng {options}"
    return test


def kernel_is_content():
    """the kernel reports nothing"""
    bad = machine.shell("dmesg | grep -c -i -E 'bug:|stall|lockup|oops|warning:'", 60)
    check(bad.splitlines()[0] == "0", machine.shell("dmesg | tail -n 40", 60))
    machine.console.send("poweroff -f\n")
    check(machine.console.finish() == 0, machine.console.tail())


if __name__ == "__main__":
    run([stressor(*s) for s in STRESSORS.items()] + [kernel_is_content])
