#!/usr/bin/env python3
"""Translations that outlive the run (--keep): the second run finds them and does the same, files that are not to be trusted
are not used. Two tests boot Debian's kernel, from the guest of `./dev guest` (IREKO_GUEST).
"""
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest  # noqa: E402
from harness.tap import check, run  # noqa: E402

IREKO = os.environ["IREKO"]
SECONDS = 30 * Console.patience

# A loop, and a function that it calls; prints "!" and powers off.
CODE = [
    0xD2A12001,  # movz x1, #0x900, lsl #16     the PL011
    0x52806022,  # mov  w2, #0x301              on, both ways
    0xB9003022,  # str  w2, [x1, #0x30]         CR
    0xD2800003,  # movz x3, #turns
    0x10000004,  # adr  x4, .
    0x9400000A,  # bl   function
    0xF1000463,  # subs x3, x3, #1
    0x54FFFFC1,  # b.ne the bl
    0xCB040042,  # sub  x2, x2, x4
    0xB5000002,  # cbnz x2, .                   the function counted wrongly
    0x52800420,  # mov  w0, #'!'
    0x39000020,  # strb w0, [x1]
    0x52800100,  # mov  w0, #8
    0x72B08000,  # movk w0, #0x8400, lsl #16    PSCI SYSTEM_OFF
    0xD4000002,  # hvc  #0
    # function: x2 = x4
    0x10000002,  # adr  x2, .
    0xD100B042,  # sub  x2, x2, #44
    0xD65F03C0,  # ret
]


COLD = "warm=255"  # not by chance


def count(text, label):
    return int("".join(re.search(rf"^ +{label} +([\d ]+)$", text, re.M)[1].split()))


class Box:
    """A folder for code, and a kernel."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder) / "code"
        self.kernel = pathlib.Path(folder) / "kernel"
        self.make(1000)  # so few that no engine finds it running often, which would make it anew

    def make(self, turns, shift=0):
        """`turns` times around the loop, by 65536 if `shift` is 1."""
        code = CODE[:3] + [CODE[3] | turns << 5 | shift << 21] + CODE[4:]
        header = struct.pack("<IIQQQQQQ4sI", 0x14000010, 0, 0, 64 + 4 * len(CODE), 0xA, 0, 0, 0, b"ARM\x64", 0)
        self.kernel.write_bytes(header + b"".join(struct.pack("<I", word) for word in code))

    def run(self, engine="jit", knobs=COLD, log=""):
        """(blocks translated, blocks of earlier runs). `log` is what standard error has to say, once."""
        done = subprocess.run([IREKO, "run", "--engine", engine, "--kernel", self.kernel, "--net", "none", "--stats", "--keep", self.folder],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
                              env={**os.environ, "IREKO_JIT": knobs})
        check(done.returncode == 0 and done.stdout == "!", repr(done))
        told = [line for line in done.stderr.splitlines() if "warning" in line]
        check(len(told) == bool(log) and log in "".join(told), repr(done))
        self.linked = count(done.stderr, "jumps not linked yet")
        return count(done.stderr, "blocks"), count(done.stderr, "copies from earlier runs")

    def files(self):
        return sorted(self.folder.iterdir())


def with_box(test):
    def bound():
        with tempfile.TemporaryDirectory(prefix="ireko-kept-") as folder:
            test(Box(folder))
    bound.__doc__ = test.__doc__
    return bound


@with_box
def found_again(box):
    """what one run translated the next one finds, with each engine that translates"""
    for n, engine in enumerate(("jit", "check"), 1):
        made, kept = box.run(engine)
        linked = box.linked
        check(made > 4 and kept == 0, f"{engine}: {made} made, {kept} kept")
        check(len(box.files()) == n and (box.files()[0].stat().st_mode & 0o7777) == 0o600, box.files())
        check((box.folder.stat().st_mode & 0o7777) == 0o700, "others may look into the folder")
        before = [f.stat() for f in box.files()]
        for _ in range(2):
            again, kept = box.run(engine)
            check(again == 0 and kept >= made, f"{engine}: {made} made, then {again}, and {kept} kept")
            # blocks come with those that they lead to, but in lockstep, where each leads to C
            check(engine == "check" or box.linked < linked, f"{linked} jumps were linked by C, then {box.linked}")
        check([f.stat().st_ino for f in box.files()] == [s.st_ino for s in before], "written though nothing was new")


@with_box
def warm_code(box):
    """what ran often is kept as that, and runs again"""
    box.make(0x400, shift=1)
    made, _ = box.run(knobs="warm=1")
    again, kept = box.run(knobs="warm=1")
    # the loop has three blocks; one more is where it was found running, unless it begins there
    check(kept >= 3 and again < made, f"{made} made, then {again}, and {kept} kept")


@with_box
def other_code(box):
    """what depends on the host's features, switches, or code that changed is not found"""
    made, _ = box.run()
    check(box.run(knobs=COLD + ",-avx,-bmi2,-lzcnt")[1] == 0, "features do not count")
    check(box.run(knobs=COLD + ",strict")[1] == 0, "switches do not count")
    box.make(999)
    again, kept = box.run()
    check(0 < again < made and kept > 0, f"{made} made, then {again}, and {kept} kept")


@with_box
def damaged(box):
    """a file that is cut off, damaged or not the user's alone is not used, with one line, and the next is whole"""
    made, _ = box.run()
    file, = box.files()
    whole = file.read_bytes()
    for data in (b"", whole[:40], whole[:-1], b"\0" * len(whole), b"x" + whole[1:], whole[:8] + b"x" + whole[9:]):
        file.write_bytes(data)
        check(box.run(log="cut off or damaged") == (made, 0), "a damaged file was used")
        check(box.run()[0] == 0, "no good file took its place")
    table = struct.unpack_from("<Q", whole, 24)[0]  # behind the records
    file.write_bytes(whole[:table - 60] + bytes(b ^ 0x10 for b in whole[table - 60:table]) + whole[table:])  # code
    again, kept = box.run(log="what can be used is")
    check(again > 0 and again + kept >= made, f"{made} made, then {again}, and {kept} kept")
    box.run()  # what was used of it, anew
    check(box.run()[0] == 0, "no good file took its place")
    file.write_bytes(whole + b"\0" * 5000)  # of a process that was ended in the middle
    check(box.run() == (0, made), "what is before it is not used")
    file.chmod(0o640)
    check(box.run(log="not this user's alone")[1] == 0, "a file that others may read was used")
    target = box.folder / "target"
    file.rename(target)
    file.symlink_to(target)
    check(box.run(log="not used")[1] == 0, "a link was followed")


@with_box
def folders(box):
    """a folder that is not the user's alone gets a sentence, and nothing runs"""
    box.folder.mkdir()
    for mode in (0o755, 0o701, 0o720):
        box.folder.chmod(mode)
        done = subprocess.run([IREKO, "run", "--kernel", box.kernel, "--keep", box.folder], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=SECONDS, check=False)
        check(done.returncode == 1 and done.stdout == "" and "chmod 700" in done.stderr and "--keep" in done.stderr, repr(done))


@with_box
def at_once(box):
    """several processes at once: each runs, and the last leaves a whole file"""
    command = [IREKO, "run", "--engine", "jit", "--kernel", box.kernel, "--net", "none", "--keep", box.folder]
    for _ in range(2):
        running = [subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                    env={**os.environ, "IREKO_JIT": COLD}) for _ in range(4)]
        for process in running:
            with process:
                out, errors = process.communicate(timeout=SECONDS)
                check(process.returncode == 0 and out == b"!" and b"warning" not in errors, (process.returncode, out, errors))
        check(len(box.files()) == 1, box.files())
        made, kept = box.run()
        check(made == 0 and kept > 0, f"{made} made, {kept} kept")


class Usual:
    """Without --keep: the folder is in the user's cache."""

    def __init__(self, box):
        self.box, self.cache = box, box.folder.parent / "cache"
        self.folder = self.cache / "ireko" / "code"

    def run(self, *options, **env):
        """(files there are in the folder, blocks of earlier runs); standard error has the counters and nothing else."""
        done = subprocess.run([IREKO, "run", "--kernel", self.box.kernel, "--net", "none", "--stats", *options],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS, check=False,
                              env={**os.environ, "XDG_CACHE_HOME": str(self.cache), "IREKO_JIT": COLD, **env})
        told = [line for line in done.stderr.splitlines() if "ireko: " in line and "the guest never used it" not in line]
        check(done.returncode == 0 and done.stdout == "!" and not told, repr(done))
        kept = count(done.stderr, "copies from earlier runs") if "copies from earlier" in done.stderr else 0
        return len(list(self.folder.iterdir())) if self.folder.exists() else 0, kept


@with_box
def usual_folder(box):
    """by itself the engine jit keeps code in the user's cache; no other does, nor one that is told not to"""
    usual = Usual(box)
    for options in (["--keep", "none"], ["--engine", "interp"], ["--engine", "check"]):
        check(usual.run(*options) == (0, 0) and not usual.cache.exists(), options)
    check(usual.run() == (1, 0), "nothing is kept")
    check((usual.folder.stat().st_mode & 0o7777) == 0o700, "others may look into the folder")
    files, kept = usual.run()
    check(files == 1 and kept > 4, f"{files} files, {kept} kept")
    check(usual.run("--keep", "none") == (1, 0) and usual.run("--keep", box.folder) == (1, 0), "used though another one is named")
    home = box.folder.parent / "home"
    home.mkdir()
    check(usual.run(XDG_CACHE_HOME="relative", HOME=str(home)) == (1, 0), "a relative path counts")
    check([f.name for f in (home / ".cache" / "ireko" / "code").iterdir()] == [f.name for f in usual.folder.iterdir()], "not in ~/.cache")


@with_box
def usual_folder_cannot_be(box):
    """a usual folder that cannot be made, is not the user's alone, full or shared with the guest is left out without a word"""
    usual = Usual(box)
    for cache in ("/dev/null", str(box.kernel), str(box.folder / "no" / "cache"), "/proc"):
        check(usual.run(XDG_CACHE_HOME=cache) == (0, 0), cache)
    check(usual.run() == (1, 0), "nothing is kept")
    for shared, kept in ((f"{usual.cache},tag=a", False), (f"{usual.folder},tag=a", False), (f"{usual.cache},tag=a,ro", True),
                         (f"{box.folder.parent},tag=a", False)):
        check((usual.run("--share", shared)[1] > 0) == kept, shared)
    usual.folder.chmod(0o750)
    check(usual.run() == (1, 0), "others may look into the folder")
    usual.folder.chmod(0o700)
    file, = usual.folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1])
    check(usual.run() == (1, 0) and usual.run()[1] > 0, "a damaged file was used, or stays")
    if os.geteuid() == 0:
        os.chown(usual.folder, 65534, 65534)
        check(usual.run() == (1, 0), "another user's folder was used")
        home = box.folder.parent / "home"
        home.mkdir()
        os.chown(home, 65534, 65534)
        check(usual.run(XDG_CACHE_HOME="", HOME=str(home)) == (1, 0) and not list(home.iterdir()), "made in another user's home")


def boot(folder, cpus, again=False):
    """Boot to a shell and run programs; what the guest answered, and the counters."""
    with Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", "--cpus", cpus,
                 "--net", "none", "--stats", "--keep", folder) as c:
        c.wait_for("ireko# ")
        c.send("for f in /bin/busybox /init; do md5sum $f; seq 1 99 | sort -r | md5sum; done; echo it ended $((6 * 7))\n")
        begin = c.seen
        c.wait_for("it ended 42")
        answer = re.findall(r"^[0-9a-f]{32}  .*", c.log[begin:], re.M)
        if again:  # the CPUs end, and begin anew
            c.send("reboot -f\n")
            c.wait_for("init is up")
            c.wait_for("ireko# ")
        c.send("poweroff -f\n")
        check(c.finish() == 0, c.tail())
        told = c.log[begin:] + c.errors
        check(" warning" not in c.errors, c.errors)
    return answer, told


def boots_hot():
    """a second boot of Debian's kernel translates next to nothing, also with other CPUs"""
    with tempfile.TemporaryDirectory(prefix="ireko-kept-") as folder:
        answer, _ = boot(folder, 1, again=True)
        check(len(answer) == 4, answer)
        for cpus in (1, 2):
            again, told = boot(folder, cpus)
            check(again == answer, f"{answer}\n{again}")
            made, kept = (sum(int("".join(n.split())) for n in re.findall(rf"^ +{label} +([\d ]+?)(?: {{3}}.*)?$", told.replace("\r", ""), re.M)[:1])
                          for label in ("blocks", "copies from earlier runs"))
            check(kept > 20000 and made < kept, f"{cpus} CPUs: {made} made, {kept} kept\n{told}")


if __name__ == "__main__":
    sys.exit(run([found_again, warm_code, other_code, damaged, folders, usual_folder, usual_folder_cannot_be, at_once, boots_hot]))
