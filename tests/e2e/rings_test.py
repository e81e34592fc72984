#!/usr/bin/env python3
"""Linux resets single queues of a network card that is in use: rings_test.py PROGRAM, where PROGRAM is guest/rings.c, which the
guest gets on a disk. Needs the guest of `./dev guest` (IREKO_GUEST).
"""
import pathlib
import shutil
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest  # noqa: E402
from harness.tap import check, run  # noqa: E402
from net_test import UNTIL, Server, check_transfer, transfer  # noqa: E402

# Meanwhile there are transfers; the last sizes stay.
RESIZE = "for n in 32 256 64 128 32 256; do /tmp/rings eth0 $n $((288 - n)); done; /tmp/rings eth0 32 64; "


def rings_of_another_size():
    """queues reset one by one under transfers both ways, on two CPUs: sizes as asked for, sums right, by messages and by wire"""
    for append in ("", "pci=nomsi"):
        with tempfile.TemporaryDirectory(prefix="ireko-rings-") as folder, Server() as s:
            disk = pathlib.Path(folder) / "program"
            shutil.copy(sys.argv[1], disk)
            with open(disk, "ab") as f:
                f.truncate(1 << 20)
            script = ("cat /dev/vda > /tmp/rings; chmod +x /tmp/rings; until_line 10.0.2.3 /etc/resolv.conf; "
                      f"{{ {transfer('10.0.2.2', *s.ports)} echo; echo first $((6 * 7)); }} & {RESIZE} wait; {RESIZE} "
                      f"{transfer('10.0.2.2', *s.ports)}")
            with Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", "--cpus", "2",
                         "--transport", "pci", "--disk", f"{disk},ro", "--append", f'{append} quiet ireko.cmd="{UNTIL}{script}"') as c:
                c.wait_for("first 42", seconds=120)
                c.wait_for("rings 32 64", seconds=120)
                check_transfer(c)
                check(c.finish() == 0, c.tail())
                check(c.log.count("  /tmp/file") == 2 and c.log.count("rings 32 256") == 4, c.tail())


if __name__ == "__main__":
    run([rings_of_another_size])
