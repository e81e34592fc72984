#!/usr/bin/env python3
"""git and gcc in a shared folder: ireko's virtio-fs beside QEMU's TCG with virtiofsd, and with 9p where the guest has it.

usage: share.py IREKO GUEST DISK [--runs N] [--machines NAME,...] [--peer-guest FOLDER] [--cpus N]

GUEST is the folder that guest/fetch.sh makes, DISK the disk `share` of `./dev test --slow` (git, gcc, make). 9p needs a kernel
with it: --peer-guest is a folder with such an Image and initramfs. What is shared is a copy of this tree's history; each
machine clones it, looks at it, compiles some of it, and reads and removes all. Times are wall clock and processor time,
of the emulator and, with virtiofsd, of that.
"""
import argparse
import contextlib
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))
from harness.console import Console  # noqa: E402

VIRTIOFSD = [p for p in ("/usr/libexec/virtiofsd", "/usr/lib/qemu/virtiofsd") if os.path.exists(p)]
MEMORY = "1024M"

# In the guest. Each step is a function of the shell; the markers are what the host times.
SCRIPT = r"""
export PATH=/usr/bin:/usr/sbin HOME=/root LANG=C.UTF-8
git config --global safe.directory '*'; git config --global gc.auto 0
cd /t
clone() { git clone -q repo.git work && cd work; }
status() { git status --porcelain && git diff HEAD~3 --stat > /dev/null && git log -p -20 > /dev/null; }
build() {
    mkdir -p out && for f in base/*.c devices/virtio/queue.c devices/virtio/net_offload.c host/qcow2_[mrt]*.c gic/gicv2*.c gic/its.c gic/lpi.c; do
        gcc -O1 -std=gnu17 -D_GNU_SOURCE -I. -c "$f" -o "out/$(basename "$f" .c).o" || return 1
    done && ar rc out/all.a out/*.o
}
again() { git checkout -q HEAD~40 && git checkout -q -; }
readall() { find . -type f -print0 | xargs -0 cat | wc -c > /dev/null; }
small() { mkdir s && i=0 && while [ $i -lt 1500 ]; do echo $i > s/$i; i=$((i + 1)); done; }
big() { dd if=/dev/zero of=big bs=1M count=128 conv=fsync 2>/dev/null && dd if=big of=/dev/null bs=1M 2>/dev/null; }
remove() { cd .. && rm -rf work; }
for step in clone status build again readall small big remove; do
    echo "@@ begin $step"
    $step
    echo "@@ end $step $?"
done
echo '@@ done'
"""
STEPS = ("clone", "status", "build", "again", "readall", "small", "big", "remove")
MOUNT = {"virtiofs": "mount -t virtiofs share /mnt", "9p": "mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap share /mnt"}
BOOT = ("{mount}; mkdir /d; mount -t ext4 -o ro /dev/vda /d; for d in dev proc sys; do mount -o bind /$d /d/$d; done; "
        "mount -t tmpfs tmp /d/tmp; mount -t tmpfs tmp /d/root; mount -o bind /mnt /d/t; chroot /d /bin/sh /t/script")


def processor_time(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def children(pid):
    """`pid` and all below it."""
    found = [pid]
    with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as f:
        for child in f.read().split():
            found += children(int(child))
    return found


class Machine:
    def __init__(self, name, args):
        self.name, self.args = name, args

    def command(self, folder, socket):
        append = f"nokaslr ireko.cmd=\"{BOOT.format(mount=MOUNT['9p' if self.name == 'qemu-9p' else 'virtiofs'])}\""
        if self.name == "ireko":
            return [self.args.ireko, "run", "--memory", MEMORY, "--cpus", str(self.args.cpus), "--net", "none", "--keep", "none",
                    "--kernel", f"{self.args.guest}/Image", "--initrd", f"{self.args.guest}/initramfs",
                    "--disk", f"{self.args.disk},ro", "--share", f"{folder},tag=share", "--append", append]
        guest = self.args.peer_guest if self.name == "qemu-9p" else self.args.guest
        share = ["-virtfs", f"local,path={folder},mount_tag=share,security_model=none"]
        if self.name == "qemu-virtiofsd":
            share = ["-object", f"memory-backend-memfd,id=m,size={MEMORY},share=on", "-machine", "memory-backend=m",
                     "-chardev", f"socket,id=c,path={socket}", "-device", "vhost-user-fs-pci,chardev=c,tag=share,queue-size=1024"]
        return ["qemu-system-aarch64", "-M", "virt", "-accel", "tcg", "-cpu", "cortex-a72", "-smp", str(self.args.cpus), "-m", MEMORY,
                "-nodefaults", "-display", "none", "-serial", "stdio", "-no-reboot", "-kernel", f"{guest}/Image",
                "-initrd", f"{guest}/initramfs", "-append", append, "-drive",
                f"if=none,id=d,format=raw,readonly=on,file={self.args.disk}", "-device", "virtio-blk-pci,drive=d", *share]

    def run(self, folder):
        """{step: (wall, processor) seconds}"""
        times = {}
        with contextlib.ExitStack() as stack:
            socket, pids = folder.parent / "socket", []
            if self.name == "qemu-virtiofsd":
                daemon = subprocess.Popen([VIRTIOFSD[0], f"--socket-path={socket}", "-o", f"source={folder}", "-o", "cache=auto"],
                                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                stack.callback(daemon.wait)
                stack.callback(daemon.kill)
                while not socket.exists():
                    time.sleep(0.05)
                pids = children(daemon.pid)
            program, *arguments = self.command(folder, socket)
            console = stack.enter_context(Console(*arguments, program=program))
            pids.append(console.process.pid)
            for step in STEPS:
                console.wait_for(f"@@ begin {step}", seconds=600)
                wall, used = time.monotonic(), sum(map(processor_time, pids))
                console.wait_for(f"@@ end {step} ", seconds=3000)
                times[step] = (time.monotonic() - wall, sum(map(processor_time, pids)) - used)
                console.wait_for("\n")
                if not console.log[:console.seen].rstrip().endswith(f"{step} 0"):
                    sys.exit(f"share.py: {self.name}: {step} failed\n{console.tail()}")
            console.wait_for("@@ done")
        return times


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ireko")
    parser.add_argument("guest")
    parser.add_argument("disk")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--cpus", type=int, default=1)
    parser.add_argument("--machines", default="ireko,qemu-virtiofsd")
    parser.add_argument("--peer-guest")
    args = parser.parse_args()
    machines = [Machine(name, args) for name in args.machines.split(",")]
    results = {m.name: [] for m in machines}
    with tempfile.TemporaryDirectory(prefix="ireko-bench-share-") as base:
        folder = pathlib.Path(base) / "share"
        folder.mkdir()
        subprocess.run(["git", "clone", "-q", "--bare", ROOT, folder / "repo.git"], check=True)
        (folder / "script").write_text(SCRIPT, encoding="utf-8")
        for _ in range(args.runs):
            for machine in machines:
                shutil.rmtree(folder / "work", ignore_errors=True)
                results[machine.name].append(machine.run(folder))
    first = machines[0].name
    print("step".ljust(10) + "".join(f"{m.name + ' wall':>21}{'processor':>11}{'ratio':>7}" for m in machines))
    for step in STEPS:
        line = step.ljust(10)
        for machine in machines:
            wall, used = (statistics.median(r[step][i] for r in results[machine.name]) for i in (0, 1))
            base_used = statistics.median(r[step][1] for r in results[first])
            line += f"{wall:>19.2f} s{used:>9.2f} s{used / base_used if base_used else 0:>7.2f}"
        print(line)


if __name__ == "__main__":
    main()
