#!/usr/bin/env python3
"""Nothing that the guest was told is durable is ever lost: ireko is killed with SIGKILL at random moments while the guest
writes records into ext4 and into SQLite, each with fsync before it is acknowledged on the console.

usage: powercut_test.py [ROUNDS [SEED]]

SQLite is told synchronous=EXTRA, because FULL does not sync the folder after a rollback journal was deleted: the last commit
may then be undone after a power cut, on any disk.

Every round goes on with the disk as the last one left it. After each, on a copy: e2fsck replays the journal and then finds
nothing; each acknowledged file and row is there, whole; SQLite's own check passes; qemu-img finds no error in a qcow2 image,
and after the next start no leaked cluster either. Needs IREKO_POWERCUT, the disk with sqlite3 that `./dev test` makes.
"""
import os
import pathlib
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import host, need  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

ROUNDS = int(sys.argv[1]) if len(sys.argv) > 1 else 3
SEED = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(1 << 32)
SIZE = 96 << 20
SQL_FILES = ("db", "db-journal", "db-wal")

# In the guest, on the data disk; $1 is the first number, $2 SQLite's journal mode.
SCRIPT = r"""
rm -rf /mnt/f; mkdir /mnt/f
{
    i=$1
    while seq $i $((i + i % 7 * 300)) | dd of=/mnt/f/$i bs=64k conv=fsync 2>/dev/null; do
        echo "file $i."
        i=$((i + 1))
    done
} &
{
    echo "PRAGMA journal_mode=$2; PRAGMA synchronous=EXTRA; CREATE TABLE IF NOT EXISTS r(n INTEGER PRIMARY KEY, t TEXT);"
    i=$1
    while echo "INSERT INTO r VALUES($i, printf('%0300d', $i * 7919)); SELECT 'row $i.';"; do
        i=$((i + 1))
    done
} | /t/lib/ld-linux-aarch64.so.1 --library-path /t/usr/lib/aarch64-linux-gnu /t/usr/bin/sqlite3 /mnt/db
"""


def make_disk(folder, qcow2):
    (folder / "tree").mkdir()
    (folder / "tree/run.sh").write_text(SCRIPT, encoding="ascii")
    image = folder / "disk"
    with open(image, "wb") as f:
        f.truncate(SIZE)
    host("mke2fs", "-q", "-t", "ext4", "-d", folder / "tree", image)
    if qcow2:
        host("qemu-img", "convert", "-f", "raw", "-O", "qcow2", image, folder / "new")
        os.replace(folder / "new", image)
    return image


def crash(image, options, first, dice):
    """Boot, let the guest write for a random time, kill. The numbers of the files and rows that it acknowledged."""
    guest, tools = need("IREKO_GUEST", "./dev test"), need("IREKO_POWERCUT", "./dev test")
    mode = dice.choice(("delete", "wal"))
    command = ("mkdir /t; mount -t ext4 -o ro /dev/vdb /t; mount -t ext4 -o discard /dev/vda /mnt; "
               f"echo begin $((6 * 7)); sh /mnt/run.sh {first} {mode}")
    with Console("run", "--kernel", guest / "Image", "--initrd", guest / "initramfs", "--memory", "512M",
                 "--cpus", dice.choice((1, 2)), "--disk", f"{image}{options}", "--disk", f"{tools},ro",
                 "--append", f'ireko.cmd="{command}"') as c:
        c.wait_for("begin 42", seconds=120)
        if dice.random() < 0.9:
            c.wait_for(dice.choice(("file ", "row ", "row ")), seconds=120)
        deadline = time.monotonic() + dice.uniform(0, 1.2)
        while (left := deadline - time.monotonic()) > 0:
            check(c.pump(left), "ireko ended\n" + c.tail())
        c.process.kill()
        while c.pump(60):
            pass
        check("error" not in c.log.lower() and not c.errors, c.tail())
        return [[int(n) for n in re.findall(rf"\b{kind} (\d+)\.", c.log)] for kind in ("file", "row")]


def reopen(image):
    """Start a machine with the disk and stop it at once."""
    with Console("run", "--kernel", need("IREKO_GUEST", "./dev test") / "Image", "--memory", "64M", "--net", "none", "--disk",
                 f"{image},format=qcow2") as c:
        c.wait_for("Booting Linux")
        while c.process.poll() is None:  # the first one is the power key, which nobody hears here
            c.signal()
            time.sleep(0.2)
        c.finish()
        check("disk" not in c.errors, c.tail())


def inspect(image, folder, files, rows):
    """Check a raw copy of the disk; it is changed."""
    host("e2fsck", "-fp", image, good=(0, 1))  # replays the journal
    host("e2fsck", "-fn", image)
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    script = folder / "script"
    script.write_text("".join(f"dump /f/{n} {out}/{n}\n" for n in files) +
                      "".join(f"dump /{name} {out}/{name}\n" for name in SQL_FILES), encoding="ascii")
    host("debugfs", "-f", script, image)
    for n in files:
        text = "".join(f"{k}\n" for k in range(n, n + n % 7 * 300 + 1))
        there = out / str(n)
        check(there.exists() and there.read_text(encoding="ascii") == text, f"file {n} was acknowledged and is lost or damaged")
    for name in SQL_FILES[1:]:
        if (out / name).exists() and not (out / name).stat().st_size:
            (out / name).unlink()  # debugfs makes the file before it looks for its source
    database = sqlite3.connect(out / "db")
    check(database.execute("PRAGMA integrity_check").fetchall() == [("ok",)], "SQLite finds damage")
    there = dict(database.execute("SELECT n, t FROM r")) if rows else {}
    for n in rows:
        check(there.get(n) == f"{n * 7919:0300d}", f"row {n} was acknowledged and is lost or damaged")
    database.close()


def rounds(qcow2):
    for program in ("mke2fs", "debugfs") + (("qemu-img",) if qcow2 else ()):
        if not shutil.which(program):
            raise Skip(f"{program} is not installed")
    need("IREKO_GUEST", "./dev test"), need("IREKO_POWERCUT", "./dev test")
    dice = random.Random(SEED)
    counted = [0, 0]
    leaks = 0
    with tempfile.TemporaryDirectory(prefix="ireko-powercut-") as name:
        folder = pathlib.Path(name)
        image = make_disk(folder, qcow2)
        for number in range(1, ROUNDS + 1):
            files, rows = crash(image, ",format=qcow2" if qcow2 else "", number * 100000, dice)
            counted = [counted[0] + len(files), counted[1] + len(rows)]
            copy = folder / "copy"
            if qcow2:
                leaks += host("qemu-img", "check", "-f", "qcow2", image, good=(0, 3)).returncode == 3
                reopen(image)
                host("qemu-img", "check", "-f", "qcow2", image)
                host("qemu-img", "convert", "-f", "qcow2", "-O", "raw", image, copy)
            else:
                host("cp", "--sparse=always", image, copy)
            try:
                inspect(copy, folder, files, rows)
            except AssertionError as e:
                kept = shutil.copy(image, tempfile.mkdtemp(prefix="ireko-powercut-failed-"))
                raise AssertionError(f"round {number} of --seed {SEED}: {e}; the image is kept: {kept}") from e
    print(f"# {ROUNDS} rounds, seed {SEED}: {counted[0]} files and {counted[1]} rows acknowledged, all there" +
          (f"; {leaks} rounds left leaked clusters until the next start" if qcow2 else ""), flush=True)
    check(min(counted) > 0, "nothing was acknowledged")


def raw():
    """a raw disk: what was acknowledged before a kill is there, and e2fsck is clean"""
    rounds(False)


def qcow2():
    """a qcow2 disk: the same, and qemu-img check finds no error, and no leak after the next start"""
    rounds(True)


if __name__ == "__main__":
    run([raw, qcow2])
