"""What tests that boot Linux need: files that a recipe made, and programs of the host."""
import os
import pathlib
import subprocess

from harness.tap import Skip, check

PROMPT = "ireko# "  # of the shell of ./dev guest


def guest(name):
    """A file of the guest of `./dev guest`, whose folder is IREKO_GUEST."""
    path = pathlib.Path(os.environ.get("IREKO_GUEST", "/nonexistent")) / name
    if not path.exists():
        raise Skip(f"no guest at {path}; ./dev guest fetches it")
    return path


def need(name, recipe="./dev test --slow"):
    """The path that an environment variable has."""
    path = os.environ.get(name, "")
    if not path or not pathlib.Path(path).exists():
        raise Skip(f"no {name}; {recipe} makes it")
    return pathlib.Path(path)


def host(*command, good=(0,)):
    """Run a host program; what it did. Any status not in `good` fails the test."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    check(done.returncode in good, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done
