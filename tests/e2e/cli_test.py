#!/usr/bin/env python3
"""The program as a careless user meets it: every mistake gets one sentence and the right exit status, and whatever
happens the terminal is as it was. The guests are a few instructions each; nothing has to be fetched.
"""
import contextlib
import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console, Timeout  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

IREKO = os.environ["IREKO"]
SECONDS = 20 * Console.patience

WFI, B_BACK_ONE, HVC = 0xD503207F, 0x17FFFFFF, 0xD4000002
START = [
    0xD2A12001,  # movz x1, #0x900, lsl #16     the PL011
    0x52806022,  # mov  w2, #0x301              on, both ways
    0xB9003022,  # str  w2, [x1, #0x30]         CR
    0x52800420,  # mov  w0, #'!'
    0x39000020,  # strb w0, [x1]                "I run"
]
SLEEP = START + [WFI, B_BACK_ONE]
POWER_OFF = START + [
    0x52800100,  # mov  w0, #8
    0x72B08000,  # movk w0, #0x8400, lsl #16    PSCI SYSTEM_OFF
    HVC,
]
# At the reset vector: what `virt` promises firmware, a device tree at the start of RAM and nothing in x0.
FIRMWARE = [
    0xB5000000,  # cbnz x0, .
    0xD2A80003,  # movz x3, #0x4000, lsl #16    RAM
    0xB9400064,  # ldr  w4, [x3]
    0x5281BA05,  # movz w5, #0x0dd0
    0x72BDBFC5,  # movk w5, #0xedfe, lsl #16    the magic of a device tree
    0x6B05009F,  # cmp  w4, w5
    0x54000001,  # b.ne .
] + POWER_OFF
ECHO = START + [
    0xB9401822,  # ldr  w2, [x1, #0x18]         FR
    0x3727FFE2,  # tbnz w2, #4, . - 4           until something is received
    0xB9400020,  # ldr  w0, [x1]
    0xB9000020,  # str  w0, [x1]
    0x17FFFFFC,  # b    . - 16
]


def image(code, magic=b"ARM\x64", size=None):
    """A Linux Image: the header (Documentation/arch/arm64/booting.rst), then `code`."""
    body = b"".join(struct.pack("<I", word) for word in code)
    header = struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, 0, size or 64 + len(body), 0xA, 0, 0, 0, magic, 0)
    return header + body


def x86_kernel():
    """What file(1) and boot loaders take for a bzImage."""
    kernel = bytearray(8192)
    kernel[510:512] = b"\x55\xaa"
    kernel[0x202:0x206] = b"HdrS"
    return bytes(kernel)


def elf(machine):
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, 0x40080000, 64, 0, 0, 64, 56, 1, 0, 0, 0)
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, 0x40080000, 0x40080000, 4096, 4096, 4096)
    return (header + segment).ljust(4096, b"\0")


class Files:
    """The folder the cases work in."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        (self.folder / "folder").mkdir()
        (self.folder / "folder").chmod(0o755)
        (self.folder / "link").symlink_to("folder")
        for name, data in {
            "sleep": image(SLEEP), "off": image(POWER_OFF), "echo": image(ECHO),
            "firmware": b"".join(struct.pack("<I", word) for word in FIRMWARE),
            "empty": b"", "short": image(SLEEP)[:40], "noise": bytes(range(256)) * 64, "x86": x86_kernel(),
            "x86.elf": elf(62), "cut.elf": elf(183)[:70], "cut.gz": b"\x1f\x8b\x08\0" + bytes(6) + b"\x4b\x4c",
            "huge": image(SLEEP, size=1 << 40), "disk": bytes(1 << 20), "odd": bytes(1000), "qcow2": b"QFI\xfb".ljust(512, b"\0"),
            "bad.dtb": b"\xd0\x0d\xfe\xed" + bytes(60), "not.dtb": b"no device tree at all",
            "cut.dtb": b"\xd0\x0d\xfe\xed\0\0\x10\0" + bytes(40),
        }.items():
            (self.folder / name).write_bytes(data)
        with open(self.folder / "big", "wb") as f:
            f.truncate(200 << 20)

    def __call__(self, name):
        return f"{self.folder}/{name}"


# Arguments (a word with "@" is a file of Files), exit status, and a word the sentence must have.
BAD = [
    # kernels
    ("run --kernel @missing", 1, "--kernel"),
    ("run --kernel @folder", 1, "directory"),
    ("run --kernel @empty", 1, "--kernel"),
    ("run --kernel @short", 1, "--kernel"),
    ("run --kernel @noise", 1, "--kernel"),
    ("run --kernel @x86", 1, "x86"),
    ("run --kernel @x86.elf", 1, "x86"),
    ("run --kernel @cut.elf", 1, "--kernel"),
    ("run --kernel @cut.gz", 1, "--kernel"),
    ("run --kernel @huge", 1, "--memory"),
    # what comes with them
    ("run --kernel @sleep --initrd @missing", 1, "--initrd"),
    ("run --kernel @sleep --initrd @folder", 1, "--initrd"),
    ("run --kernel @sleep --initrd @big --memory 128M", 1, "--initrd"),
    ("run --kernel @sleep --dtb @missing", 1, "--dtb"),
    ("run --kernel @sleep --dtb @folder", 1, "--dtb"),
    ("run --kernel @sleep --dtb @empty", 1, "--dtb"),
    ("run --kernel @sleep --dtb @not.dtb", 1, "--dtb"),
    ("run --kernel @sleep --dtb @bad.dtb", 1, "--dtb"),
    ("run --kernel @sleep --dtb @cut.dtb", 1, "--dtb"),
    ("dtb --dtb @not.dtb", 1, "--dtb"),
    ("dtb --out @folder", 1, "--out"),
    ("dtb --engine kvm", 1, "--engine kvm"),
    ("dtb --cpu nonsense", 1, "--cpu nonsense"),
    # firmware
    ("run --firmware", 2, "--firmware needs a FILE"),
    ("run --firmware ,vars=@new", 2, "--firmware needs a FILE"),
    ("run --firmware @firmware,vars=", 2, "',vars=' needs a FILE"),
    ("run --firmware @missing", 1, "--firmware"),
    ("run --firmware @folder", 1, "directory"),
    ("run --firmware @empty", 1, "--firmware"),
    ("run --firmware @big", 1, "--firmware"),
    ("run --firmware @firmware,vars=@folder", 1, "vars="),
    ("run --firmware @firmware,vars=@missing/vars", 1, "vars="),
    ("run --firmware @firmware,vars=@big", 1, "64 MiB"),
    ("run --firmware @firmware --append quiet", 2, "--append is for a --kernel"),
    ("run --firmware @firmware --initrd @sleep", 2, "--initrd needs a --kernel"),
    ("run --firmware @firmware --dtb @bad.dtb", 2, "--firmware and --dtb"),
    ("run --firmware @firmware --kernel @missing", 1, "--kernel"),
    # disks
    ("run --kernel @sleep --disk @missing", 1, "--disk"),
    ("run --kernel @sleep --disk @folder", 1, "--disk"),
    ("run --kernel @sleep --disk /dev/null", 1, "--disk"),
    ("run --kernel @sleep --disk @qcow2", 1, "format=qcow2"),
    ("run --kernel @sleep --disk @disk,format=qcow2", 1, "not a qcow2 image"),
    ("run --kernel @sleep --disk @qcow2,format=qcow2", 1, "qcow2"),
    ("run --kernel @sleep --disk @disk,backing", 2, "--disk"),
    ("run --kernel @sleep --disk @odd,cache=none", 1, "truncate -s %4096"),
    ("run --kernel @sleep --disk @disk,cache=fast", 2, "--disk"),
    ("run --kernel @sleep --disk @disk,format=vmdk", 2, "--disk"),
    ("run --kernel @sleep --disk @disk,iops=none", 2, "--disk"),
    ("run --kernel @sleep --disk @disk,bps=0", 2, "--disk"),
    ("run --kernel @sleep --disk @disk,ro,overlay", 2, "--disk"),
    ("run --kernel @sleep --disk @disk --disk @disk", 1, "--disk"),
    ("run --kernel @sleep" + " --disk @disk,ro" * 32, 2, "--disk"),
    # folders
    ("run --kernel @sleep --share", 2, "--share needs"),
    ("run --kernel @sleep --share @folder", 2, "',tag=home'"),
    ("run --kernel @sleep --share @folder,tag=", 2, "',tag=home'"),
    ("run --kernel @sleep --share ,tag=home", 2, "needs a PATH"),
    ("run --kernel @sleep --share @folder,tag=" + "x" * 37, 2, "too long"),
    ("run --kernel @sleep --share @folder,tag=a --share @folder,tag=a", 2, "given twice"),
    ("run --kernel @sleep --share @folder,tag=a,tag=b", 2, "it has no 'tag=a'"),
    ("run --kernel @sleep --share @folder,tag=a,cache=always", 2, "it has no 'cache=always'"),
    ("run --kernel @sleep --share @folder,rw,tag=a", 1, "no such folder"),
    ("run --kernel @sleep --share @folder,ro,rw", 2, "it has no 'rw'"),
    ("run --kernel @sleep --share @missing,tag=a", 1, "no such folder"),
    ("run --kernel @sleep --share @disk,tag=a", 1, "not a folder"),
    ("run --kernel @sleep --share /dev/null,tag=a", 1, "not a folder"),
    ("dtb --share @missing,tag=a", 1, "no such folder"),
    ("run --kernel @sleep" + "".join(f" --share @folder,tag=t{n}" for n in range(9)), 2, "at most 8"),
    # networks
    ("run --kernel @sleep --net", 2, "--net"),
    ("run --kernel @sleep --net usr", 2, "user, tap, unix or none"),
    ("run --kernel @sleep --net user,forwards=tcp:2222:22", 2, "'user' has forward, mtu, mac"),
    ("run --kernel @sleep --net user,forward=2222:22", 2, "forward=tcp:2222:22"),
    ("run --kernel @sleep --net user,forward=tcp:192.0.2.1:2222:22", 1, "cannot listen there"),
    ("run --kernel @sleep --net user,mtu=100", 2, "mtu=100"),
    ("run --kernel @sleep --net user,mac=nonsense", 2, "mac=nonsense"),
    ("run --kernel @sleep --net tap", 2, "name=tap0"),
    ("run --kernel @sleep --net tap,name=a/b", 1, "--net tap"),
    ("run --kernel @sleep --net unix", 2, "path=PATH"),
    ("run --kernel @sleep --net unix,path=@missing", 1, "--net unix"),
    ("run --kernel @sleep --net unix,path=@sleep,type=dgram", 1, "--net unix"),
    ("run --kernel @sleep --net unix,path=@sleep,type=pipe", 2, "type=pipe"),
    ("run --kernel @sleep --net none --net user", 2, "--net none"),
    ("run --kernel @sleep" + " --net user" * 9, 2, "at most 8"),
    # files in its memory
    ("run --kernel @sleep --pmem", 2, "--pmem"),
    ("run --kernel @sleep --pmem=", 2, "--pmem"),
    ("run --kernel @sleep --pmem @missing", 1, "--pmem"),
    ("run --kernel @sleep --pmem @folder", 1, "--pmem"),
    ("run --kernel @sleep --pmem @folder,ro", 1, "no regular file"),
    ("run --kernel @sleep --pmem /dev/null", 1, "no regular file"),
    ("run --kernel @sleep --pmem @odd", 1, "truncate -s %2M"),
    ("run --kernel @sleep --pmem @empty", 1, "truncate -s %2M"),
    ("run --kernel @sleep --pmem @big --pmem @big", 1, "in use"),
    ("run --kernel @sleep" + " --pmem @big,ro" * 5, 2, "at most 4"),
    # sockets of the guest
    ("run --kernel @sleep --vsock", 2, "--vsock"),
    ("run --kernel @sleep --vsock cid=3", 2, "path=vm.vsock"),
    ("run --kernel @sleep --vsock path=@v,cid=2", 2, "cid=2"),
    ("run --kernel @sleep --vsock path=@v,cid=4294967295", 2, "from 3 to"),
    ("run --kernel @sleep --vsock path=@v,port=5", 2, "port=5"),
    ("run --kernel @sleep --vsock path=@sleep", 1, "something is there already"),
    ("run --kernel @sleep --vsock path=@missing/v", 1, "--vsock"),
    ("run --kernel @sleep --vsock path=" + "x" * 99, 1, "at most"),
    ("run --kernel @sleep --vsock path=" + "x" * 200, 2, "--vsock"),
    ("run --kernel @sleep --vsock path=@v --vsock path=@w", 2, "twice"),
    # the machine
    ("run --kernel @sleep --memory 0", 1, "--memory"),
    ("run --kernel @sleep --memory 1K", 1, "--memory"),
    ("run --kernel @sleep --memory 1000001", 1, "--memory"),
    ("run --kernel @sleep --memory 512T", 1, "--memory"),
    ("run --kernel @sleep --memory 16777216T", 2, "--memory"),
    ("run --kernel @sleep --memory much", 2, "--memory"),
    ("run --kernel @sleep --balloon much", 2, "--balloon"),
    ("run --kernel @sleep --balloon 2G", 1, "--balloon 2048M"),
    ("run --kernel @sleep --cpus 0", 2, "--cpus"),
    ("run --kernel @sleep --cpus 60000", 1, "--cpus"),
    ("run --kernel @sleep --cpus 65", 1, "from 1 to 64"),
    ("run --kernel @sleep --gic v2 --cpus 9", 1, "at most 8 CPUs"),
    ("dtb --gic v2 --cpus 9", 1, "at most 8 CPUs"),
    ("run --kernel @sleep --gic v9", 2, "--gic"),
    ("run --kernel @sleep --transport isa", 2, "--transport isa: it is mmio or pci"),
    ("dtb --transport", 2, "--transport needs a NAME"),
    ("run --kernel @sleep --engine warp", 2, "--engine"),
    # the console
    ("run --kernel @sleep --serial nowhere", 2, "--serial"),
    ("run --kernel @sleep --serial none --serial stdio", 2, "--serial none"),
    ("run --kernel @sleep --serial stdio --serial stdio", 2, "twice"),
    ("run --kernel @sleep --serial file:@folder", 1, "--serial"),
    ("run --kernel @sleep --serial unix:@disk", 1, "--serial"),
    ("run --kernel @sleep --serial unix:@missing/socket", 1, "--serial"),
    ("run --kernel @sleep --console", 2, "--console"),
    ("run --kernel @sleep --console nowhere", 2, "--console nowhere"),
    ("run --kernel @sleep --console pty,name=", 2, "name="),
    ("run --kernel @sleep --console pty,name=a/b", 2, "name=a/b"),
    ("run --kernel @sleep --console pty,name=" + "x" * 32, 2, "at most 31"),
    ("run --kernel @sleep --console stdio --console stdio", 2, "given twice"),
    ("run --kernel @sleep --console stdio --serial stdio", 2, "given twice"),
    ("run --kernel @sleep --console file:@folder,name=log", 1, "--console file:"),
    ("run --kernel @sleep --console unix:@disk", 1, "--console unix:"),
    ("run --kernel @sleep" + " --console pty" * 8, 2, "at most 7"),
    # looking inside
    ("run --kernel @sleep --trace @folder", 1, "--trace"),
    ("run --kernel @sleep --trace @missing/trace", 1, "--trace"),
    ("run --kernel @sleep --trace @new --engine interp", 1, "translates nothing"),
    ("run --kernel @sleep --trace=", 2, "--trace"),
    ("run --kernel @sleep --stats=yes", 2, "--stats"),
    ("dtb --stats", 2, "--stats"),
    ("dtb --trace @new", 2, "--trace"),
    ("run --kernel @sleep --keep @disk", 1, "--keep"),
    ("run --kernel @sleep --keep @missing/code", 1, "--keep"),
    ("run --kernel @sleep --keep @code --engine interp", 1, "translates nothing"),
    ("run --kernel @sleep --keep=", 2, "--keep"),
    ("run --kernel @sleep --keep none --keep @code", 2, "twice"),
    ("run --kernel @sleep --keep @link", 1, "cannot open this folder"),
    ("run --kernel @sleep --keep @folder", 1, "chmod 700"),
    ("run --kernel @sleep --keep @folder/code --share @folder,tag=a", 1, "could write code"),
    ("run --kernel @sleep --keep @folder/code --share @folder/code,tag=a", 1, "could write code"),
    ("run --kernel @sleep --keep @folder/code --share @folder/../folder,tag=b,ro --share /,tag=a", 1, "--share /,"),
    # the command line
    ("run", 2, "--kernel"),
    ("run @sleep", 2, "did you mean '--kernel"),
    ("run --kernal @sleep", 2, "did you mean '--kernel'"),
    ("run --kernel @sleep --initrd", 2, "--initrd"),
    ("run --kernel --memory 1G", 2, "--kernel"),
    ("run --kernel @sleep --kernel @sleep", 2, "twice"),
    ("run --kernel @sleep --frobnicate", 2, "--frobnicate"),
    ("run --kernel @sleep --out @new", 2, "--out"),
    ("dtb --serial pty", 2, "--serial"),
    ("dtb --initrd @disk", 2, "--kernel"),
    ("bot", 2, "bot"),
    ("rnu --kernel @sleep", 2, "did you mean 'run'"),
    ("version please", 2, "version"),
    ("info now", 2, "'now'"),
    ("info --cpu now", 2, "'now'"),
    ("run --kernel @sleep --cpu ireko-v1,magic", 1, "--cpu ireko-v1,magic"),
    ("run --kernel @sleep --cpu=", 2, "--cpu"),
    ("help nothing", 2, "nothing"),
]


class Terminal:
    """ireko in a session of its own, with a pseudo-terminal for its standard input, output and error."""

    def __init__(self, *args, wrapper=()):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.log = b""
        self.process = subprocess.Popen(
            [*wrapper, IREKO, *args], stdin=self.slave, stdout=self.slave, stderr=self.slave,
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        os.close(self.slave)
        os.close(self.master)

    def read(self, seconds):
        if not select.select([self.master], [], [], seconds)[0]:
            return False
        self.log += os.read(self.master, 4096)
        return True

    def wait_for(self, marker):
        deadline = time.monotonic() + SECONDS
        while marker not in self.log:
            left = deadline - time.monotonic()
            if left <= 0 or not self.read(left):
                raise Timeout(f"no {marker!r} in {self.log!r}")

    def type(self, data):
        os.write(self.master, data)

    def is_raw(self):
        return not termios.tcgetattr(self.slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def finish(self):
        """The exit status; everything printed is in the log then."""
        status = self.process.wait(SECONDS)
        while self.read(0):
            pass
        check(termios.tcgetattr(self.slave) == self.before, "the terminal is not as it was")
        return status


def each_mistake(files):
    """each mistake gets one sentence, the right exit status, and leaves the terminal alone"""
    wrong = []
    for line, status, word in BAD:
        args = [a.replace("@", files("")) for a in line.split(" ")]
        with Terminal(*args) as t:
            try:
                got = t.finish()
            except subprocess.TimeoutExpired:
                wrong.append(f"{line}: still runs; {t.log!r}")
                continue
            text = t.log.decode().replace("\r\n", "\n")
            if got != status:
                wrong.append(f"{line}: exit status {got}, not {status}: {text!r}")
            elif not (text.startswith("ireko: ") and text.endswith("\n") and text.count("\n") == 1):
                wrong.append(f"{line}: not one sentence: {text!r}")
            elif word not in text:
                wrong.append(f"{line}: {word!r} is not in {text!r}")
    check(not wrong, "\n".join(wrong))
    print(f"# {len(BAD)} mistakes")


def locked_disk(files):
    """a disk that another ireko has is refused; two that only read share it"""
    disk = files("disk")
    for first, second, status in [("", "", 1), ("", ",ro", 1), (",ro", "", 1), (",ro", ",ro", 0)]:
        with Console("run", "--kernel", files("sleep"), "--disk", disk + first) as c:
            c.wait_for("!")
            with Terminal("run", "--kernel", files("off"), "--disk", disk + second) as t:
                got = t.finish()
                check(got == status, f"'{first}' then '{second}': exit status {got}: {t.log!r}")
                if status:
                    check(t.log.count(b"\n") == 1 and b"--disk" in t.log, f"not one sentence: {t.log!r}")


def port_in_use(files):
    """a port that is taken is named"""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        port = s.getsockname()[1]
        done = subprocess.run([IREKO, "run", "--kernel", files("sleep"), "--net", f"user,forward=tcp:{port}:22"],
                              capture_output=True, text=True, timeout=SECONDS, check=False)
        check(done.returncode == 1 and f"forward=tcp:{port}:22: cannot listen there (Address already in use)" in
              done.stderr and done.stderr.count("\n") == 1, done.stderr)


def program_alone(files):
    """a copy of ireko alone runs without a network, and says so; --net user needs it"""
    alone = files("ireko-alone")
    shutil.copy(IREKO, alone)
    run_it = [alone, "run", "--kernel", files("off")]
    done = subprocess.run(run_it, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL)
    check(done.returncode == 0 and "no network: --net user: the program ireko-usernet" in done.stderr, done.stderr)
    done = subprocess.run(run_it + ["--net", "user"], capture_output=True, text=True, timeout=SECONDS, check=False)
    check(done.returncode == 1 and "the program ireko-usernet" in done.stderr, done.stderr)


def power_off(files):
    """a guest that powers off: exit status 0, terminal restored"""
    with Terminal("run", "--kernel", files("off")) as t:
        check(t.finish() == 0, repr(t.log))
        check(t.log == b"!", repr(t.log))


def keys(files):
    """in raw mode keys reach the guest; Ctrl-A h helps, Ctrl-A Ctrl-A is sent, Ctrl-A x quits"""
    with Terminal("run", "--kernel", files("echo")) as t:
        t.wait_for(b"!")
        check(t.is_raw(), "the terminal is not raw")
        t.type(b"\x03\x1a\x1c<\r\n>")
        t.wait_for(b"\x03\x1a\x1c<\r\n>")
        t.type(b"\x01h")
        t.wait_for(b"Ctrl-A x")
        t.type(b"(\x01\x01)")
        t.wait_for(b"(\x01)")
        t.type(b"\x01x")
        check(t.finish() == 0, repr(t.log))


def signals(files):
    """the first signal asks the guest, the second stops it; the terminal is restored"""
    for number in (signal.SIGTERM, signal.SIGHUP):
        with Terminal("run", "--kernel", files("sleep")) as t:
            t.wait_for(b"!")
            t.process.send_signal(number)
            t.wait_for(b"power key")
            t.process.send_signal(number)
            check(t.finish() == 128 + number, repr(t.log))


def fatal_signal(files):
    """a crash restores the terminal"""
    with Terminal("run", "--kernel", files("sleep")) as t:
        t.wait_for(b"!")
        check(t.is_raw(), "the terminal is not raw")
        t.process.send_signal(signal.SIGABRT)
        check(t.finish() == -signal.SIGABRT, repr(t.log))


# A shell with one job: an orphaned process group, as ireko alone in its session is, does not stop.
SHELL = """
import os, signal, sys
signal.signal(signal.SIGTTOU, signal.SIG_IGN)
job = os.fork()
if job == 0:
    os.setpgid(0, 0)
    os.tcsetpgrp(0, os.getpid())
    signal.signal(signal.SIGTTOU, signal.SIG_DFL)
    os.execv(sys.argv[1], sys.argv[1:])
print(f"job {job}.", flush=True)
status = os.waitpid(job, os.WUNTRACED)[1]
os.tcsetpgrp(0, os.getpgrp())
print("stopped" if os.WIFSTOPPED(status) else "ended", flush=True)
input()
os.tcsetpgrp(0, job)
os.killpg(job, signal.SIGCONT)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(job, 0)[1]))
"""


def stop_and_continue(files):
    """a stop gives the terminal back, a continue takes it again"""
    with Terminal("run", "--kernel", files("sleep"), wrapper=(sys.executable, "-c", SHELL)) as t:
        t.wait_for(b"!")
        t.wait_for(b".")
        check(t.is_raw(), "the terminal is not raw")
        os.kill(int(t.log.split(b"job ")[1].split(b".")[0]), signal.SIGTSTP)
        t.wait_for(b"stopped")
        check(termios.tcgetattr(t.slave) == t.before, "the terminal is not as it was")
        t.type(b"\n")
        deadline = time.monotonic() + SECONDS
        while not t.is_raw():
            check(time.monotonic() < deadline, "the terminal is not raw again")
            select.select([], [], [], 0.01)
        t.type(b"\x01x")
        check(t.finish() == 0, repr(t.log))


def engines():
    """The engines of this build and host, by name."""
    done = subprocess.run([IREKO, "info"], capture_output=True, text=True, timeout=SECONDS, check=False)
    return {e for e in ("jit", "interp", "kvm") if re.search(rf"^(?:engines)? +(?:\* )?{e}  ", done.stdout, re.M)}


def counter(text, label):
    """The number in the first column of a row of --stats."""
    row = re.search(rf"^  {re.escape(label)} *(\d[\d ]*?)(?:  |$)", text, re.M)
    check(row, f"no row '{label}' in:\n{text}")
    return int(row[1].replace(" ", ""))


def stats_at_the_end(files):
    """--stats tells at the end what was done, on each engine, for each CPU and in sum"""
    for engine in sorted(engines() - {"kvm"}):
        done = subprocess.run([IREKO, "run", "--engine", engine, "--kernel", files("off"), "--stats"], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=SECONDS, check=False)
        text = done.stderr
        check(done.returncode == 0 and done.stdout == "!", f"{engine}: {done}")
        check(re.match(rf"Virtual machine: 1 CPU, engine {engine}; started in [\d.]+ ms, [\d.]+ s ago\n", text), text)
        check(all(len(line) <= 80 for line in text.splitlines()), "wider than 80 columns:\n" + text)
        check(counter(text, "firmware calls: HVC and SMC") == 1, text)
        check(counter(text, "device memory") == 2, text)
        if engine == "jit":
            check(counter(text, "blocks") > 0 and counter(text, "guest instructions in them") >= 8, text)
            check("instructions are with IREKO_JIT=count" in text, text)
        else:
            check(counter(text, "guest instructions") == 7, text)  # two stores are the monitor's
            check("Translation" not in text, text)
    done = subprocess.run([IREKO, "run", "--cpus", "5", "--kernel", files("off"), "--stats"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    heads = [line.split() for line in done.stderr.splitlines() if line.lstrip().startswith("CPU ")]
    check(heads == ["CPU 0 CPU 1 CPU 2 CPU 3".split(), "CPU 4 all".split()], done.stderr)
    check(all(len(line) <= 80 for line in done.stderr.splitlines()), done.stderr)


def stats_on_a_key(files):
    """Ctrl-A s tells what was done so far, with CPUs that run, wait and are off, again and again"""
    for kernel in ("echo", "sleep"):
        before = 1
        with Terminal("run", "--kernel", files(kernel), "--cpus", "2") as t:
            t.wait_for(b"!")
            for n in range(3):
                if kernel == "echo":  # it has been in the guest since
                    t.type(b"<%d>" % n)
                    t.wait_for(b"<%d>" % n)
                begin = len(t.log)
                t.type(b"\x01s")
                while b"Hits of the TLB" not in t.log[begin:] and b"counts nothing" not in t.log[begin:]:
                    check(t.read(SECONDS), repr(t.log[begin:]))
                text = t.log[begin:].decode()
                check("\n" not in text.replace("\r\n", ""), "a line ends without a return: " + repr(text))
                text = text.replace("\r", "")
                now = counter(text, "device memory")
                check(now > before if kernel == "echo" else now == 2, f"{before} before, now\n{text}")
                before = now
            t.type(b"\x01x")
            check(t.finish() == 0, repr(t.log))


def trace_of_the_jit(files):
    """--trace writes blocks with the guest's instructions by name and the host's code; jit_disasm.py reads it"""
    if "jit" not in engines():
        raise Skip("this host has no engine that translates")
    trace = files("trace")
    pathlib.Path(trace).write_text("old\n" * 1000, encoding="ascii")
    done = subprocess.run([IREKO, "run", "--engine", "jit", "--kernel", files("off"), "--trace", trace], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=SECONDS, check=False)
    check(done.returncode == 0 and done.stdout == "!" and done.stderr == "", repr(done))
    text = pathlib.Path(trace).read_text(encoding="ascii")
    check(text.startswith("block 1 va 0x40200000 "), text)
    names = re.findall(r"^  guest [0-9a-f]+: [0-9a-f]{8} (\w+)$", text, re.M)
    check(names[0] == "B" and names[-1] == "HVC" and "STRB_uimm" in names, names)
    check(re.search(r"^  hot  [0-9a-f]{8}:([0-9a-f]{2})+$", text, re.M), text)
    if shutil.which("objdump"):
        tool = pathlib.Path(__file__).parents[2] / "tools/jit_disasm.py"
        done = subprocess.run([sys.executable, tool, trace], capture_output=True, text=True, timeout=SECONDS, check=False)
        hot = "".join(re.findall(r"^  hot\n(.*?)^  cold\n", done.stdout, re.M | re.S))
        check(done.returncode == 0 and re.search(r"\t(mov|lea) ", hot) and "(bad)" not in hot, repr(done))
    if os.path.exists("/dev/full"):
        done = subprocess.run([IREKO, "run", "--engine", "jit", "--kernel", files("off"), "--trace", "/dev/full"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False)
        check(done.returncode == 0 and done.stdout == "!" and done.stderr.count("the trace ends here") == 1, repr(done))


def without_a_terminal(files):
    """standard input may be a pipe, /dev/null or closed; the guest goes on after its end"""
    with Console("run", "--kernel", files("echo")) as c:
        c.wait_for("!")
        c.send("\x01x is only text in a pipe")
        c.wait_for("\x01x is only text in a pipe")
    for redirect in ("</dev/null", "<&-", "<&- >&- 2>&-"):
        done = subprocess.run(["sh", "-c", f'exec "$0" run --kernel "$1" {redirect}', IREKO, files("off")],
                              capture_output=True, timeout=SECONDS, check=False)
        check(done.returncode == 0, f"{redirect}: exit status {done.returncode}: {done.stderr}")
        check(done.stdout == (b"" if ">&-" in redirect else b"!"), f"{redirect}: {done.stdout}")
    with open(files("disk"), "rb") as f:
        check(not any(f.read()), "the disk was written to")


def serial_elsewhere(files):
    """the console on a file, a socket and a pty at once"""
    path, log = files("console.sock"), files("console.log")
    with Console("run", "--kernel", files("echo"), "--serial", f"file:{log}", "--serial", f"unix:{path}",
                 "--serial", "pty") as c:
        while "/dev/" not in c.errors:
            check(c.pump(SECONDS), c.tail())
        name = "/dev/" + c.errors.split("/dev/")[1].split()[0]
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(SECONDS)
            s.connect(path)
            check(s.recv(1) == b"!", "the socket's client does not get what was printed before")
            s.sendall(b"a")
            check(s.recv(1) == b"a", "no echo on the socket")
            fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
            os.write(fd, b"b")
            check(s.recv(1) == b"b", "what comes from the pty is not on the socket")
            got = b""
            while len(got) < 3:
                check(select.select([fd], [], [], SECONDS)[0], f"the pty has {got!r}")
                got += os.read(fd, 16)
            check(got == b"!ab", f"the pty has {got!r}")
            os.close(fd)
        c.signal()
        c.signal(signal.SIGINT)
        check(c.finish() in (128 + signal.SIGINT, 128 + signal.SIGTERM), c.tail())
    check(pathlib.Path(log).read_bytes() == b"!ab", "the file has something else")
    check(not os.path.exists(path), "the socket is still there")


def devices_without_drivers(files):
    """a guest without a driver: every device is there, and nothing waits for one at the end"""
    pmem, share = files("pmem"), files("folder")
    with open(pmem, "wb") as f:
        f.truncate(2 << 20)
    for transport in ("mmio", "pci"):
        with Console("run", "--kernel", files("off"), "--transport", transport, "--balloon", "16M", "--disk", files("disk"),
                     "--pmem", pmem, "--share", f"{share},tag=t", "--vsock", f"path={files('v')}",
                     "--console", f"unix:{files('c')}", "--console", "pty,name=port") as c:
            check(c.finish(seconds=SECONDS) == 0, c.tail())


def help_is_pleasant(_):
    """help fits 80 columns and goes to standard output"""
    for args in ([], ["help"], ["--help"], ["-h"], ["help", "run"], ["run", "--help"], ["dtb", "-h"], ["help", "hello"],
                 ["hello", "--help"], ["info", "-h"], ["version", "--help"]):
        done = subprocess.run([IREKO, *args], capture_output=True, text=True, timeout=SECONDS, check=False)
        check(done.returncode == 0 and done.stderr == "", f"{args}: {done}")
        check("usage: ireko" in done.stdout, f"{args}: {done.stdout}")
        check(all(len(line) <= 80 for line in done.stdout.splitlines()), f"{args}: wider than 80 columns")


def info_and_version(_):
    """info names an engine, version the version"""
    done = subprocess.run([IREKO, "info"], capture_output=True, text=True, timeout=SECONDS, check=False)
    check(done.returncode == 0 and "engines   *" in done.stdout and "limits" in done.stdout, done.stdout + done.stderr)
    done = subprocess.run([IREKO, "info", "--cpu"], capture_output=True, text=True, timeout=SECONDS, check=False)
    check(done.returncode == 0 and "FEAT_LSE " in done.stdout and "--cpu ireko-v2,bti" in done.stdout,
          done.stdout + done.stderr)
    for args in (["version"], ["--version"], ["-V"]):
        done = subprocess.run([IREKO, *args], capture_output=True, text=True, timeout=SECONDS, check=False)
        check(done.stdout.startswith("ireko ") and done.stdout.count("\n") == 1, done.stdout)


def dtb_round_trip(files):
    """dtb prints source, --out writes a blob, --dtb takes it back"""
    blob = files("machine.dtb")
    done = subprocess.run([IREKO, "dtb", "--memory", "256M", "--out", blob], capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    check(done.returncode == 0 and done.stdout == done.stderr == "", done.stderr)
    check(pathlib.Path(blob).read_bytes().startswith(b"\xd0\x0d\xfe\xed"), "not a device tree blob")
    source = subprocess.run([IREKO, "dtb", "--dtb", blob], capture_output=True, text=True, timeout=SECONDS,
                            check=False)
    check(source.returncode == 0, source.stderr)
    for words in ("/dts-v1/;", 'compatible = "arm,pl011", "arm,primecell";', "memory@40000000 {", "/ {"):
        check(words in source.stdout, f"{words!r} is not in it")
    with Terminal("run", "--kernel", files("off"), "--dtb", blob) as t:
        check(t.finish() == 0, repr(t.log))


def firmware_starts(files):
    """firmware starts at address 0, with a device tree at the start of RAM; its file of variables is made and locked"""
    with Terminal("run", "--firmware", files("firmware") + ",vars=" + files("new.vars")) as t:
        check(t.finish() == 0, repr(t.log))
        check(b"!" in t.log, repr(t.log))
    check(pathlib.Path(files("new.vars")).exists(), "there is no file of variables")
    with open(files("new.vars"), "rb") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        done = subprocess.run([IREKO, "run", "--firmware", files("firmware") + ",vars=" + files("new.vars")],
                              capture_output=True, text=True, timeout=SECONDS, check=False)
        check(done.returncode == 1 and "in use by another process" in done.stderr, done.stderr)
    done = subprocess.run([IREKO, "dtb", "--firmware", files("firmware")], capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    check(done.returncode == 0 and '"cfi-flash"' in done.stdout and '"qemu,fw-cfg-mmio"' in done.stdout, done.stdout)


def unused_devices(files):
    """when the guest ends, each device that was asked for and never used is named, with its option"""
    with Console("run", "--kernel", files("off"), "--disk", files("disk"), "--net", "none", "--balloon", "1M") as c:
        check(c.finish() == 0, c.tail())
        lines = c.errors.splitlines()
        check(len(lines) == 2 and f"--disk '{files('disk')}': the guest never used it" in lines[0] and
              "virtio-blk over virtio-mmio" in lines[0] and "--balloon: the guest never used it" in lines[1], c.tail())
    with Console("run", "--kernel", files("off")) as c:
        check(c.finish() == 0 and not c.errors, c.tail())


def dtb_tells_the_gic(files):
    """the interrupt controller is the one of the tree of --dtb"""
    blob = files("v2.dtb")
    done = subprocess.run([IREKO, "dtb", "--gic", "v2", "--cpus", "2", "--out", blob], capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    check(done.returncode == 0, done.stderr)
    done = subprocess.run([IREKO, "dtb", "--dtb", blob, "--cpus", "9"], capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    check(done.returncode == 1 and "the tree of --dtb has a GICv2" in done.stderr, done.stderr)
    done = subprocess.run([IREKO, "dtb", "--dtb", blob, "--cpus", "9", "--gic", "v3"], capture_output=True, text=True,
                          timeout=SECONDS, check=False)
    check(done.returncode == 0 or "this host has no GICv3" in done.stderr, done.stderr)


TESTS = [help_is_pleasant, devices_without_drivers, info_and_version, dtb_round_trip, dtb_tells_the_gic, firmware_starts, each_mistake, locked_disk, port_in_use,
         program_alone, power_off, unused_devices, keys, stats_at_the_end,
         stats_on_a_key, trace_of_the_jit, signals,
         fatal_signal, stop_and_continue, without_a_terminal, serial_elsewhere]


def bind(test, files):
    def bound():
        test(files)
    bound.__doc__ = test.__doc__
    return bound


if __name__ == "__main__":
    with contextlib.ExitStack() as stack:
        box = Files(stack.enter_context(tempfile.TemporaryDirectory()))
        run([bind(test, box) for test in TESTS])
