#!/usr/bin/env python3
"""Boot Linux to the points that docs/milestones.md tells of. Needs the guest of `./dev guest` (IREKO_GUEST), and for
--slow the kernel of `./dev kernel` (IREKO_KERNEL).
"""
import hashlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import PROMPT, guest  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

BOOTING = "Booting Linux on physical CPU"


def own_kernel():
    path = os.environ.get("IREKO_KERNEL")
    if not path:
        raise Skip("the kernel of ./dev kernel is not built")
    return path


def boot(*args, kernel=None, initrd=True, append="", memory="512M"):
    options = ["run", "--kernel", kernel or guest("Image"), "--memory", memory]
    if initrd:
        options += ["--initrd", guest("initramfs")]
    return Console(*options, "--append", append, *args)


def earlycon_prints():
    """earlycon prints, then the console takes over cleanly"""
    with boot(append="earlycon=pl011,0x09000000", initrd=False) as c:
        c.wait_for(BOOTING)
        c.wait_for("bootconsole [pl11] enabled")
        c.wait_for("printk: console [ttyAMA0] enabled")


def debian_kernel_boots():
    """Debian's kernel says Booting Linux on physical CPU"""
    with boot(initrd=False) as c:
        c.wait_for(BOOTING)


def no_root_panics():
    """without a root the kernel panics in VFS"""
    with boot(initrd=False) as c:
        c.wait_for("Kernel panic - not syncing: VFS")


def shell_runs_a_command():
    """a shell runs a command, takes input, and powers off with exit status 0"""
    with boot() as c:
        c.wait_for(PROMPT)
        print(f"# first prompt after {time.monotonic() - c.started:.1f} s")
        c.send("echo $((6 * 7)) is the answer\n")
        c.wait_for("42 is the answer")
        c.send("poweroff -f\n")
        check(c.finish() == 0, c.tail())


def random_bytes_come_from_the_host():
    """virtio-rng is the guest's hardware generator and gives bytes"""
    with boot(append='ireko.cmd="cat /sys/class/misc/hw_random/rng_current; head -c 4096 /dev/hwrng | wc -c"') as c:
        c.wait_for("virtio_rng")
        c.wait_for("4096")
        check(c.finish() == 0, c.tail())


def its_is_found():
    """--gic v3,its: the kernel finds the ITS, gives every CPU its LPIs, and reaches the shell"""
    for cpus in (1, 4):
        with boot("--gic", "v3,its", "--cpus", cpus) as c:
            c.wait_for("ITS [mem 0x08080000-0x0809ffff]")
            c.wait_for("ITS@0x0000000008080000: allocated 8192 Devices")
            for cpu in range(cpus):
                c.wait_for(f"CPU{cpu}: using allocated LPI pending table")
            c.wait_for(PROMPT)
            c.send("dmesg | grep -c -i -E 'ITS.*(fail|timeout|invalid)|LPI.*(fail|trouble)'\n")
            check(c.wait_for("\n0\r", "\n1\r", "\n2\r") == "\n0\r", c.tail())


def options_of_the_cpu_are_found():
    """--cpu ireko-v1,pauth,bti: the kernel finds both, uses them and reaches the shell"""
    with boot("--cpu", "ireko-v1,pauth,bti") as c:
        c.wait_for("detected: Address authentication (IMP DEF algorithm)")
        c.wait_for("detected: Branch Target Identification")
        c.wait_for(PROMPT)
        c.send("poweroff -f\n")
        check(c.finish() == 0, c.tail())


def paste_loses_nothing():
    """32 KiB pasted at once arrive whole"""
    with boot() as c:
        c.wait_for(PROMPT)
        text = "".join(f"line {n:04d} {'x' * 52}\n" for n in range(512))
        c.send("stty -echo; cat > /tmp/paste <<'END'\n")
        c.send(text + "END\n")
        c.send("stty echo; md5sum < /tmp/paste\n")
        c.wait_for(hashlib.md5(text.encode()).hexdigest())


def early_input_waits():
    """what is piped in before the guest listens is not lost"""
    for length in 1, 200:
        with boot() as c:
            c.send(f"echo {'x' * length} | wc -c; poweroff -f\n")
            c.wait_for(f"\r\n{length + 1}\r\n")
            check(c.finish() == 0, c.tail())


def disk_survives(*options):
    """a file system written by the guest is clean after power-off"""
    if not shutil.which("e2fsck"):
        raise Skip("e2fsck is not installed")
    with tempfile.TemporaryDirectory() as folder:
        image = pathlib.Path(folder) / "disk.img"
        with open(image, "wb") as f:
            f.truncate(64 << 20)
        script = ("set -e; mke2fs -q /dev/vda; mount -t ext2 /dev/vda /mnt; seq 1 50000 > /mnt/numbers; sync; "
                  "umount /mnt; echo disk is done: $((6 * 7))")
        with boot("--disk", image, *options, append=f'ireko.cmd="{script}"') as c:
            c.wait_for("disk is done: 42", seconds=120)
            check(c.finish() == 0, c.tail())
        fsck = subprocess.run(["e2fsck", "-fn", image], capture_output=True, text=True, check=False)
        check(fsck.returncode == 0, fsck.stdout)
        dump = subprocess.run(["debugfs", "-R", "cat /numbers", image], capture_output=True, text=True, check=False)
        check(dump.stdout.split() == [str(n) for n in range(1, 50001)], "the file has other contents")


def disk_survives_everywhere():
    """the same on each engine, with 1 and 2 CPUs, GICv2 and v3"""
    for engine in ("interp", "jit"):
        for gic in ("v2", "v3"):
            for cpus in (1, 2):
                disk_survives("--engine", engine, "--gic", gic, "--cpus", cpus)


def two_disks_one_read_only():
    """several disks; a read-only one cannot be written"""
    with tempfile.TemporaryDirectory() as folder:
        first, second = pathlib.Path(folder) / "a.img", pathlib.Path(folder) / "b.img"
        first.write_bytes(b"first disk".ljust(1 << 20, b"\0"))
        second.write_bytes(b"second disk".ljust(1 << 20, b"\0"))
        script = ("head -c 10 /dev/vda; echo; head -c 11 /dev/vdb; echo; cat /sys/block/vdb/ro; "
                  "echo spoiled > /dev/vdb || echo refused: $((6 * 7)); echo good > /dev/vda; sync")
        with boot("--disk", first, "--disk", f"{second},ro", append=f'ireko.cmd="{script}"') as c:
            c.wait_for("first disk")
            c.wait_for("second disk")
            c.wait_for("refused: 42")
            check(c.finish() == 0, c.tail())
        check(first.read_bytes().startswith(b"good\n"), "the first disk was not written")
        check(second.read_bytes().startswith(b"second disk"), "the read-only disk was written")


def reset_restarts():
    """a guest reset boots it again"""
    with boot() as c:
        for _ in range(2):
            c.wait_for(BOOTING)
            c.wait_for(PROMPT)
            c.send("reboot -f\n")
        c.wait_for(BOOTING)


def every_device(folder):
    """Options that add one of each device."""
    for name, size in (("disk", 1 << 20), ("pmem", 2 << 20)):
        with open(pathlib.Path(folder) / name, "wb") as f:
            f.truncate(size)
    return ["--disk", f"{folder}/disk", "--pmem", f"{folder}/pmem", "--share", f"{folder},tag=t", "--vsock", f"path={folder}/v",
            "--console", f"unix:{folder}/c", "--console", "none,name=port", "--balloon", "64M"]


def idle_is_idle():
    """an idle guest with every device costs under 1 % of a core"""
    with tempfile.TemporaryDirectory() as folder, boot(*every_device(folder)) as c:
        c.wait_for(PROMPT)
        c.send("sleep 6; echo settled: $((6 * 7))\n")
        c.wait_for("settled: 42")
        c.wait_for(PROMPT)
        before, start = c.cpu_seconds(), time.monotonic()
        c.send("sleep 10; echo woke: $((6 * 7))\n")
        c.wait_for("woke: 42")
        seconds = time.monotonic() - start
        share = (c.cpu_seconds() - before) / seconds
        print(f"# {share * 100:.2f} % of a core over {seconds:.1f} s")
        check(seconds > 10, "the guest did not sleep")
        check(Console.patience > 1 or share < 0.01, f"idle costs {share * 100:.1f} % of a core")


def own_kernel_boots():
    """our own kernel says Booting Linux on physical CPU and comes to a shell"""
    with boot(kernel=own_kernel()) as c:
        c.wait_for(BOOTING)
        c.wait_for(PROMPT)
        c.send("poweroff -f\n")
        check(c.finish() == 0, c.tail())


def own_kernel_is_small():
    """our own kernel is smaller than 10 MB"""
    size = os.path.getsize(own_kernel())
    print(f"# {size} bytes")
    check(size < 10_000_000, f"{size} bytes")


def shut_down_by_sigterm(kernel):
    with boot(kernel=kernel) as c:
        c.wait_for(PROMPT)
        c.signal(signal.SIGTERM)
        c.wait_for("Power down")
        check(c.finish() == 0, c.tail())


def sigterm_presses_the_power_key():
    """SIGTERM shuts a guest down whose init watches the power key's pin"""
    shut_down_by_sigterm(guest("Image"))


def sigterm_is_a_key_of_gpio_keys():
    """SIGTERM shuts a guest down whose kernel makes the power key an input event"""
    shut_down_by_sigterm(own_kernel())


FAST = [earlycon_prints, debian_kernel_boots, no_root_panics, shell_runs_a_command, random_bytes_come_from_the_host,
        its_is_found, options_of_the_cpu_are_found, paste_loses_nothing, early_input_waits, disk_survives,
        two_disks_one_read_only, reset_restarts, idle_is_idle, sigterm_presses_the_power_key]
SLOW = [disk_survives_everywhere, own_kernel_boots, own_kernel_is_small, sigterm_is_a_key_of_gpio_keys]

if __name__ == "__main__":
    run(SLOW if "--slow" in sys.argv else FAST)
