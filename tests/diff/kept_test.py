#!/usr/bin/env python3
"""The recorded programs twice, the second time with translations that the first run kept: vectors.py's answers are the same, and
what is kept stays as it is, as nothing is new. Also with a file that bytes were changed in at random; and what two processes keep,
which have all their memory elsewhere.

usage: kept_test.py REPLAY DIR
"""
import os
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
from harness.tap import check, run  # noqa: E402

REPLAY, VECTORS = sys.argv[1:]


def replay(folder, engine, *knobs):
    """(answers, standard error), with what is kept in the folder."""
    done = subprocess.run([sys.executable, HERE / "vectors.py", "replay", REPLAY, VECTORS, "--engine", engine],
                          env={**os.environ, "IREKO_JIT": ",".join([f"keep={folder}", *knobs])}, capture_output=True, text=True, check=False)
    check(done.returncode == 0, done.stdout + done.stderr)
    return done.stdout, done.stderr


def twice(engine, *knobs):
    with tempfile.TemporaryDirectory(prefix="ireko-kept-") as folder:
        seen = []
        for _ in range(2):
            answers, errors = replay(folder, engine, *knobs)
            check("warning" not in errors, errors)
            file, = pathlib.Path(folder).iterdir()
            seen.append((answers, file.stat().st_ino, file.stat().st_size))
        check(seen[0] == seen[1], seen)
        check(seen[0][2] > 1 << 20, f"{seen[0][2]} bytes are kept")


def as_usual():
    """the JIT as it is"""
    twice("jit")


def warm():
    """all code as if it ran often"""
    twice("jit", "warm=0")


def check_engine():
    """what was kept in lockstep with the interpreter"""
    twice("check")


def alike():
    """no address of the process is in what is kept: of some, two keep the same bytes"""
    kept = []
    while len(kept) < 12:  # where a block lies in the cache depends on time, on a busy machine
        with tempfile.TemporaryDirectory(prefix="ireko-kept-") as folder:
            replay(folder, "jit", "unlooped", "unpaged", "narrow")  # as do where loops are entered, and what goes far
            file, = pathlib.Path(folder).iterdir()
            kept.append(file.read_bytes())
        if kept[-1] in kept[:-1]:
            return
    check(False, "bytes " + " ".join(str(n) for n, (a, b) in enumerate(zip(*kept[:2])) if a != b)[:200])


def damaged():
    """bytes of the file changed at random: in every thousandth place, and in all that is near one"""
    dice = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="ireko-kept-") as folder:
        answers, _ = replay(folder, "jit")
        file, = pathlib.Path(folder).iterdir()
        whole = file.read_bytes()
        for _ in range(2):
            data = bytearray(whole)
            for _ in range(len(data) // 1000):
                data[dice.randrange(64, len(data))] = dice.randrange(256)  # behind the header
            at = dice.randrange(64, len(data) - 65536)
            data[at:at + 65536] = dice.randbytes(65536)
            file.write_bytes(data)
            again, errors = replay(folder, "jit")
            check(again == answers and "what can be used is" in errors, errors)
            answered, errors = replay(folder, "jit")
            check(answered == answers and "warning" not in errors, errors)


if __name__ == "__main__":
    run([as_usual, warm, check_engine, alike, damaged])
