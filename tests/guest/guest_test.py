#!/usr/bin/env python3
"""Run one bare-metal guest under `ireko run` and pass its TAP on.

usage: guest_test.py ENGINE IMAGE [--answers TEXT] [ireko option ...]

The guest prints TAP itself and powers off, so what is left to check here is that ireko ends with status 0. Each time
the guest prints "# ask" it gets the next character of TEXT. IREKO names the program; with IREKO_SLOW
a guest has as long as Meson gives it, as those of the suite `slow` work for a minute.
"""
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console, Timeout  # noqa: E402

os.environ["XDG_CACHE_HOME"] = "/dev/null"  # as in harness/tap.py

ASK = "# ask\n"


def has_engine(engine):
    """Does this host have the engine? `ireko info` lists them."""
    info = subprocess.run([os.environ["IREKO"], "info"], capture_output=True, text=True, check=True)
    return engine in info.stdout.replace(",", " ").split()


def main():
    engine, image, *options = sys.argv[1:]
    answers = ""
    if options[:1] == ["--answers"]:
        answers, options = options[1], options[2:]
    if not has_engine(engine):
        print(f"1..0 # SKIP this host has no engine '{engine}'")
        return 0

    if engine != "hvf":  # a Mac's only one
        options = ["--engine", engine, *options]
    with Console("run", "--kernel", image, "--memory", "64M", *options) as c:
        try:
            for answer in answers:
                c.wait_for(ASK)
                c.send(answer)
            status = c.finish(seconds=1800 if os.environ.get("IREKO_SLOW") else 60)
        except Timeout as late:
            print(c.log)
            print("Bail out! " + str(late).replace("\n", "\n# "))
            return 1
        print(c.log.replace("\r", ""), end="")
        for line in c.errors.splitlines():
            print("# stderr: " + line)
    if status != 0:
        print(f"Bail out! ireko ended with {status}")
    return status


if __name__ == "__main__":
    sys.exit(main())
