"""What a row runs on: guests of ireko and of QEMU, and the host itself.

A guest is booted once for each run and then waits at its console for the name of a row. So all guests exist at the same
time, idle but for one, and a row can go from one to the next within seconds: what else the machine does meets all alike.
"""
import os
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from harness.console import Console, Timeout  # noqa: E402

MODELS = {"a72": "cortex-a72", "n1": "neoverse-n1", "max": "max,pauth-impdef=on"}
MEMORY = "1024M"
# With KASLR the kernel turns page table isolation on for CPU models without E0PD, which makes a system call under QEMU's
# cortex-a72 and neoverse-n1 40 times as slow. QEMU is to be at its best, so no guest has KASLR.
COMMAND_LINE = "nokaslr"
PROMPT = "ireko# "
# What the names of threads begin with that are a guest's only CPU: ireko's, and QEMU's with and without a thread for each.
VCPU_THREADS = ("vcpu 0", "CPU 0", "ALL CPUs")
# Any disk may come first; the scratch disk is neither a file system nor an archive.
SETUP = ("mkdir /t; mount -t tmpfs t /t; for d in a b c d; do mount -t ext4 -o ro /dev/vd$d /mnt || tar -x -f /dev/vd$d -C /t;"
         " done 2>/dev/null; exec sh /t/guest.sh\n")


class Sample:
    """One run of one row: seconds and what it printed, or why there are none. `share` is how much of a processor it got
    from the host: less than 1 if it waited for something, or for its turn.
    """

    def __init__(self, seconds=None, answer="", error="", skipped="", share=None):
        self.seconds, self.answer, self.error, self.skipped, self.share = seconds, answer, error, skipped, share


def cpu_seconds(pid):
    """Processor time of all threads of a process that live, and of its children's, or None where there is no /proc."""
    total = None
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*"):
        try:
            total = (total or 0) + int((task / "schedstat").read_text(encoding="ascii").split()[0]) / 1e9
            children = (task / "children").read_text(encoding="ascii").split()
        except OSError:
            continue  # the thread has just ended
        total += sum(cpu_seconds(child) or 0 for child in children)
    return total


class Clock:
    """The host's time since it was made, and the processor time of `cpu()`."""

    def __init__(self, cpu):
        self.cpu = cpu
        self.start, self.used = time.monotonic(), cpu()

    def read(self):
        """(seconds, share)"""
        seconds, used = time.monotonic() - self.start, self.cpu()
        known = used is not None and self.used is not None and seconds > 0
        return seconds, min((used - self.used) / seconds, 1) if known else None


def count_processor_time(sample):
    """Leave the time out that others had the processor. It takes waiting for a disk with it."""
    if sample.seconds and sample.share:
        sample.seconds *= sample.share
    return sample


def split_answer(output, seconds, share=None):
    """Take the line `time N` out of what a micro-kernel printed: its own measurement counts."""
    own = None
    lines = []
    for line in output.splitlines():
        if line.startswith("time ") and line[5:].strip().isdigit():
            own = int(line[5:]) / 1e9
        else:
            lines.append(line.rstrip())
    answer = "\n".join(lines).strip()
    if own is not None and own > seconds * 1.02 + 0.01:
        return Sample(answer=answer, error=f"the guest's clock counted {own:.2f} s in {seconds:.2f} s of the host's")
    return Sample(own if own is not None else seconds, answer, share=share)


def pin_vcpu(pid, cpu):
    """Let the thread of the only vCPU run on this CPU of the host. Others stay free, as on a machine whose CPUs are alike."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        if (task / "comm").read_text(encoding="utf-8").startswith(VCPU_THREADS):
            os.sched_setaffinity(int(task.name), {cpu})


class Guest:
    """A virtual machine: `name`, and the command that starts it as `arguments(disks)`, the program first."""

    is_guest = True

    def __init__(self, name, title, patience, cpus):
        self.name, self.title, self.patience, self.cpus = name, title, patience, cpus
        self.pin = None
        self.console = None
        self.hopeless = False  # it did not boot, and would not if it were tried again

    def boot(self, files):
        """Returns {row: Sample} of the boot rows. After a failure there is no console."""
        program, *arguments = self.arguments(files)
        self.console = Console(*arguments, program=program)
        pid = self.console.process.pid
        samples = {}
        try:
            for row, marker in (("boot-init", "Run /init as init process"), ("boot-shell", PROMPT)):
                self.console.wait_for(marker, seconds=60 * self.patience)
                seconds, used = time.monotonic() - self.console.started, cpu_seconds(pid)
                samples[row] = Sample(seconds, share=used and min(used / seconds, 1))
            if self.cpus == 1:
                samples["boot-one"] = Sample(seconds, share=samples["boot-shell"].share)
            else:  # the other boot rows are of one CPU
                samples = {"boot-four": samples["boot-shell"]} if self.cpus == 4 else {}
            self.console.send(SETUP)
            self.console.wait_for("@@ ready", seconds=60 * self.patience)
            if self.pin is not None:  # not before: threads that a vCPU makes would be pinned, too
                pin_vcpu(pid, self.pin)
        except (Timeout, BrokenPipeError) as e:
            print(f"bench: {self.title} does not boot: {e}", file=sys.stderr)
            self.stop()
            self.hopeless = True
            for row in ("boot-init", "boot-shell", "boot-one") if self.cpus == 1 else ("boot-four",):
                samples.setdefault(row, Sample(error="does not boot"))
        return samples

    def run(self, row):
        if not self.console:
            return Sample(error="does not boot")
        console = self.console
        try:
            console.send(row.name + "\n")
            console.wait_for("@@ begin", seconds=60 * self.patience)
            clock = Clock(lambda: cpu_seconds(console.process.pid))
            console.wait_for("@@ end ", seconds=180 * self.patience)
            seconds, share = clock.read()
            at = console.seen
            console.wait_for("@@ done")
        except (Timeout, BrokenPipeError) as e:
            self.stop()
            return Sample(error=f"no answer: {str(e).splitlines()[0]}")
        status, _, output = console.log[at:console.seen].removesuffix("@@ done").replace("\r", "").partition("\n")
        if status == "127":
            return Sample(skipped=f"{output.strip() or 'a program is missing'} in the guest")
        if status != "0":
            return Sample(error=f"exit status {status}: {' '.join(output.split())[-100:]}")
        return split_answer(output, seconds, share)

    def stop(self):
        if self.console:
            self.console.__exit__()
            self.console = None


class Ireko(Guest):
    """ireko as its user has it: with what earlier runs translated, and what is new is kept when it ends. Or `cold`."""

    def __init__(self, program, engine, patience, cpus=1, name="ireko", cold=False):
        super().__init__(name, "ireko" + (f" --engine {engine}" if engine else "") + " --keep none" * cold, patience, cpus)
        self.program, self.engine, self.cold = str(program), engine, cold

    def arguments(self, files):
        disks = [a for disk in files.disks for a in ("--disk", f"{disk},ro")]
        for kind, disk in files.scratch(self.name):
            disks += ["--disk", f"{disk},format={kind}"]
        disks += [] if files.network else ["--net", "none"]
        engine = ["--engine", self.engine] if self.engine else []
        cold = ["--keep", "none"] if self.cold else []
        return [self.program, "run", "--cpus", str(self.cpus), "--memory", MEMORY, "--kernel", files.kernel,
                "--initrd", files.initrd, "--append", COMMAND_LINE, *engine, *cold, *disks]

    def stop(self):
        if self.console and not self.cold:
            try:
                self.console.signal()
                self.console.finish()
            except Timeout as e:
                print(f"bench: {self.title} does not end: {e}", file=sys.stderr)
        super().stop()


class Qemu(Guest):
    def __init__(self, program, model, patience, cpus=1):
        super().__init__("qemu-" + model, f"QEMU -cpu {MODELS[model]}", patience, cpus)
        self.program, self.cpu = program, MODELS[model]

    def arguments(self, files):
        disks = []
        for i, disk in enumerate(files.disks):
            disks += ["-drive", f"if=none,id=d{i},format=raw,readonly=on,file={disk}", "-device", f"virtio-blk-device,drive=d{i}"]
        for kind, disk in files.scratch(self.name):
            disks += ["-drive", f"if=none,id={kind},format={kind},cache=writeback,file={disk}", "-device", f"virtio-blk-device,drive={kind}"]
        if files.network:
            disks += ["-netdev", "user,id=net", "-device", "virtio-net-device,netdev=net"]
        return [self.program, "-name", "bench,debug-threads=on", "-M", "virt", "-accel", "tcg", "-cpu", self.cpu, "-smp", str(self.cpus), "-m", MEMORY, "-nodefaults",
                "-display", "none", "-serial", "stdio", "-no-reboot", "-global", "virtio-mmio.force-legacy=false",
                "-kernel", files.kernel, "-initrd", files.initrd, "-append", COMMAND_LINE, *disks]


class Host:
    """The same programs on the host, without a guest."""

    name, title, is_guest = "native", "native", False

    def __init__(self, payload):
        self.payload = payload
        self.pin = None

    def run(self, row):
        if row.scratch or row.network:
            return Sample(skipped="only for guests")
        if row.source in self.payload.host_problems:
            return Sample(skipped=self.payload.host_problems[row.source])
        for command in row.needs:
            if not shutil.which(command):
                return Sample(skipped=f"no {command} on the host")
        with tempfile.TemporaryDirectory(prefix="ireko-bench-") as folder:
            environment = {**os.environ, "T": str(self.payload.host), "HOME": folder, "LANG": "C.UTF-8", "CCACHE_DISABLE": "1"}
            clock = Clock(self.children)
            pin = None if self.pin is None else lambda: os.sched_setaffinity(0, {self.pin})
            done = subprocess.run(["sh", "-c", row.script], cwd=folder, env=environment, stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", preexec_fn=pin)
            seconds, share = clock.read()
        if done.returncode:
            return Sample(skipped=f"on the host: exit status {done.returncode}")
        return split_answer(done.stdout, seconds, share)

    @staticmethod
    def children():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime
