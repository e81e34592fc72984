"""TAP for tests in Python: each function given to run() is one point, named by the first line of its docstring."""
import os
import sys
import traceback

os.environ["XDG_CACHE_HOME"] = "/dev/null"  # a folder cannot be made there: no test finds what an earlier one, or the user, translated


class Skip(Exception):
    """raise Skip("why") in a test that cannot run here."""


def check(condition, message):
    if not condition:
        raise AssertionError(message)


def run(tests):
    print(f"1..{len(tests)}")
    failed = False
    for number, test in enumerate(tests, 1):
        name = test.__doc__.splitlines()[0].rstrip(".")
        try:
            test()
            print(f"ok {number} - {name}", flush=True)
        except Skip as why:
            print(f"ok {number} - {name} # SKIP {why}", flush=True)
        except Exception:
            failed = True
            print(f"not ok {number} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)
    sys.exit(1 if failed else 0)
