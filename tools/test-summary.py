#!/usr/bin/env python3
"""Count what a Meson test run did, from its testlog.json, by TAP line where a test speaks TAP.

usage: test-summary.py TESTLOG...
Prints each skip with its reason, each failure, and last `N passed, N failed, N skipped`. Exit status 1 if anything
failed or nothing ran.
"""
import json
import re
import sys

TAP = re.compile(r"^(ok|not ok)\b[\s\d]*-?\s*(.*?)(?:\s*#\s*(skip|todo)\b\S*\s*(.*))?$", re.IGNORECASE)


def main():
    passed = failed = skipped = 0
    for path in sys.argv[1:]:
        for line in open(path, encoding="utf-8"):
            test = json.loads(line)
            points = [m for m in map(TAP.match, test.get("stdout", "").splitlines()) if m]
            if test["result"] == "SKIP" and not points:
                skipped += 1
                reason = test.get("stdout", "").strip().splitlines()
                print(f"skipped: {test['name']}: {reason[-1] if reason else 'no reason given'}")
                continue
            ok = test["result"] in ("OK", "EXPECTEDFAIL", "SKIP")
            bad_points = 0
            for m in points:
                if (m.group(3) or "").lower() == "skip":
                    skipped += 1
                    print(f"skipped: {test['name']}: {m.group(2)}: {m.group(4) or 'no reason given'}")
                elif m.group(1) == "ok":
                    passed += 1
                else:
                    bad_points += 1
                    print(f"failed: {test['name']}: {m.group(2)}")
            failed += bad_points
            if not points and ok:
                passed += 1
            if not ok and not bad_points:
                failed += 1
                print(f"failed: {test['name']}: {test['result'].lower()}, exit status {test.get('returncode')}")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


sys.exit(main())
