#!/usr/bin/env python3
"""./dev bench: every row in the same guest under ireko and under QEMU's TCG in alternation, and on the host.

One run boots one guest of each kind (which gives the boot rows), lets each row go around all of them, short ones several
times, and ends them.
"""
import argparse
import datetime
import json
import os
import pathlib
import platform
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import budget  # noqa: E402
import machines  # noqa: E402
import payload  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
from rows import GROUPS, ROWS  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent

# What others do to the machine for a moment meets a short row whole. So a row goes around all machines at most TURNS times
# in a run, as long as it has taken less than ENOUGH seconds, but at least LEAST times, since the first turn of a program pays
# for what no earlier run had translated; and guests that boot fast boot again.
TURNS = 5
LEAST = 3
ENOUGH = 8


class Files:
    """What every guest is started with."""

    def __init__(self, guest, disks, scratch, network):
        self.kernel, self.initrd, self.disks = guest / "Image", guest / "initramfs", disks
        self.scratch = scratch  # makes disks for the machine named: (kind, path) of each
        self.network = network


def say(message):
    print("bench: " + message, file=sys.stderr, flush=True)


def choose(wanted):
    """The rows that --rows names, by row or by group, and the names of budgets."""
    budgets = [b.name for b in budget.BUDGETS]
    if not wanted:
        return ROWS, budgets
    names = wanted.split(",")
    unknown = [n for n in names if n not in GROUPS and n not in [r.name for r in ROWS] and n not in ["budget", *budgets]]
    if unknown:
        sys.exit(f"bench: --rows {','.join(unknown)}: no such row; ./dev bench --list shows them")
    return [r for r in ROWS if r.name in names or r.group in names], [b for b in budgets if b in names or "budget" in names]


def make_machines(args, files, cpus):
    found = [machines.Ireko(args.ireko, args.engine, args.patience, cpus, cold=args.no_keep)]
    if args.cold:
        found.append(machines.Ireko(args.ireko, args.engine, args.patience, cpus, name="cold", cold=True))
    if not args.no_qemu:
        qemu = shutil.which(args.qemu)
        if qemu:
            found += [machines.Qemu(qemu, model, args.patience, cpus) for model in args.models.split(",")]
        else:
            say(f"no {args.qemu} here (Debian's package qemu-system-arm), so nothing is compared with QEMU")
    found += [] if args.no_native else [machines.Host(files)]
    for machine in found if cpus == 1 else []:
        machine.pin = args.pin
    return found


def leave_out(rows, files, no_programs, results):
    """Rows that cannot run at all: into `results` with the reason, and a sentence for each reason. Returns the others."""
    reasons = {}
    for row in rows:
        reason = files.problems.get(row.source) or (no_programs if row.needs else "")
        if row.network and not shutil.which("iperf3"):
            reason = "no iperf3 here (Debian's package iperf3)"
        if reason:
            reasons.setdefault(reason, []).append(row)
            results[row.name]["guest"] = [machines.Sample(skipped=reason)]
    for reason, out in reasons.items():
        say(f"left out: {', '.join(r.name for r in out)}: {reason}")
    return [r for r in rows if not results[r.name]]


def iperf_server(wanted):
    """(port, process) of an iperf3 for the rows that need one; without iperf3 they fail by themselves."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    if not wanted or not shutil.which("iperf3"):
        return port, None
    return port, subprocess.Popen(["iperf3", "-s", "-p", str(port)], stdout=subprocess.DEVNULL)


def rotate(items, n):
    n %= len(items)
    return items[n:] + items[:n]


def take(row, machine, sample, args, results):
    if args.clock == "cpu":
        machines.count_processor_time(sample)
    results[row].setdefault(machine.name, []).append(sample)
    return f"{machine.name} " + (f"{sample.seconds:.3f}" if sample.seconds and not sample.error else "-")


def turns(args):
    """Counts until a row has had its turns."""
    begin = time.monotonic()
    for turn in range(args.turns):
        yield turn
        if turn + 1 >= LEAST and time.monotonic() - begin > ENOUGH:
            break


def one_run(number, args, rows, found, files, results):
    """Fill `results` with samples of each row on each machine; who begins changes from turn to turn."""
    guests = [m for m in found if m.is_guest]
    try:
        for turn in turns(args):
            for guest in rotate(guests, number + turn):
                guest.stop()
                for name, sample in guest.boot(files).items() if not guest.hopeless else []:
                    if name in results:
                        take(name, guest, sample, args, results)
        for i, row in enumerate(r for r in rows if r.script):
            for turn in turns(args):
                took = []
                for machine in rotate(found, number + i + turn):
                    if machine.is_guest and not machine.console and not machine.hopeless:
                        machine.boot(files)
                    took.append(take(row.name, machine, machine.run(row), args, results))
                say(f"run {number + 1} of {args.runs}: {row.name}: " + ", ".join(sorted(took)))
    finally:
        for guest in guests:
            guest.stop()


def first_line(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=HERE).stdout.strip().splitlines()[0]
    except (OSError, IndexError):
        return "unknown"


def cpu_model():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as f:
            return next((l.split(":", 1)[1].strip() for l in f if l.startswith("model name")), platform.machine())
    except OSError:
        return platform.processor() or platform.machine()


def load():
    return "{:.2f}".format(os.getloadavg()[0])


def shares(found, results):
    """How much of a processor each machine had while it was measured, as the median over all samples."""
    out = []
    for machine in found:
        known = [s.share for by in results.values() for s in by.get(machine.name, []) if s.share is not None and s.seconds]
        if known:
            out.append(f"{machine.name} {statistics.median(known):.2f}")
    return ", ".join(out) or "not known"


def is_disturbed(found, results, loads):
    """Other work was done on the machine: before the run, or in a guest's stead."""
    known = [s.share for by in results.values() for m in found if m.is_guest for s in by.get(m.name, []) if s.share is not None]
    return float(loads[0]) > 0.5 or bool(known) and statistics.median(known) < 0.9


def facts(args, files, found, results, loads):
    kernel = first_line("sh", "-c", f"strings -n 20 '{files.kernel}' | grep -m1 '^Linux version' | cut -d' ' -f3")
    provisional = [("provisional", "the machine did other work during this run")] * is_disturbed(found, results, loads)
    return provisional + [
        ("date", datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")),
        ("ireko", first_line("git", "describe", "--always", "--dirty") + (f", --engine {args.engine}" if args.engine else "")),
        ("QEMU", first_line(args.qemu, "--version").removeprefix("QEMU emulator version ") if any(m.name.startswith("qemu-") for m in found) else "none"),
        ("host", f"{cpu_model()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}"),
        ("guest", f"Linux {kernel}, 1 CPU (several in the last group), {machines.MEMORY[:-1]} MiB, {machines.COMMAND_LINE}, Debian's programs"),
        ("runs", f"{args.runs}, of fresh guests each; a row goes around all machines {min(LEAST, args.turns)} to {args.turns} times in a run, until that has taken {ENOUGH} s"),
        ("ireko's translations", "none of an earlier run (--keep none)" if args.no_keep else
         "as for its user from the second run on: one run of the same rows came before, unmeasured, and its translations are found"),
        *([("CPU of the host", f"{args.pin} for the vCPU of guests that have one, once they are up, and for native programs beside them")] if args.pin is not None else []),
        ("time", "processor time" if args.clock == "cpu" else "wall clock"),
        ("share of a processor that each had (1: no other work disturbed)", shares(found, results)),
        ("load average before, and after each run (about 1 is the benchmark's own)", ", ".join(loads)),
    ]


def save(folder, results, lines, costs, about):
    folder.mkdir(parents=True, exist_ok=True)
    raw = {row: {m: [vars(s) for s in taken] for m, taken in by.items()} for row, by in results.items()}
    (folder / "results.json").write_text(json.dumps({"facts": dict(about), "results": raw, "budget": costs}, indent=1), encoding="utf-8")
    (folder / "RESULTS.md").write_text(report.markdown(lines, about) + budget.markdown(costs), encoding="utf-8")
    known = dict(about)
    caption = f"{known['date']}; ireko {known['ireko']}; QEMU {known['QEMU'].split()[0]}; {known['host']}"
    caption = "PROVISIONAL, on a busy machine; " * ("provisional" in known) + caption
    (folder / "speed.svg").write_text(plot.svg(lines, caption), encoding="utf-8")


def earlier(path):
    """The lines of a results.json."""
    raw = json.loads(path.read_text(encoding="utf-8"))["results"]
    return report.lines({r: {m: [machines.Sample(**s) for s in taken] for m, taken in by.items()} for r, by in raw.items()})


def allowed_cpus():
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def parse():
    p = argparse.ArgumentParser(prog="./dev bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--rows", metavar="A,B", help="only these rows or groups")
    p.add_argument("--runs", type=int, default=3, metavar="N", help="runs, each of fresh guests (3)")
    p.add_argument("--turns", type=int, default=TURNS, metavar="N", help=f"samples of a short row in a run, at most (%(default)s); 1: every row pays for its translations")
    p.add_argument("--engine", help="run ireko with this --engine")
    p.add_argument("--models", default=",".join(machines.MODELS), metavar="A,B", help="CPU models of QEMU (%(default)s)")
    p.add_argument("--no-qemu", action="store_true", help="do not compare with QEMU")
    p.add_argument("--no-native", action="store_true", help="do not compare with the host")
    p.add_argument("--qemu", default="qemu-system-aarch64", metavar="PROGRAM", help="QEMU's program")
    p.add_argument("--patience", type=float, default=1, metavar="X", help="multiply the deadlines of 60 and 180 s; 10 for the interpreter")
    p.add_argument("--clock", choices=("wall", "cpu"), default="wall", help="cpu: leave out the time that others had the processor, "
                   "on a machine that does other work")
    p.add_argument("--pin", type=int, metavar="CPU", help="run the vCPU of guests that have one, and native programs, on this CPU of the host, "
                   "where they are not alike")
    keep = p.add_mutually_exclusive_group()
    keep.add_argument("--no-keep", action="store_true", help="run ireko with --keep none: no earlier run translated anything for it")
    keep.add_argument("--cold", action="store_true", help="compare ireko with itself with --keep none, too")
    p.add_argument("--against", type=pathlib.Path, metavar="FILE", help="compare ireko with an earlier results.json")
    p.add_argument("--publish", action="store_true", help="write bench/RESULTS.md and bench/speed.svg")
    p.add_argument("--list", action="store_true", help="list the rows and end")
    p.add_argument("--ireko", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    p.add_argument("--cache", type=pathlib.Path, required=True, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.against and not args.against.is_file():
        p.error(f"--against {args.against}: there is no such file")
    if args.runs < 1 or args.turns < 1:
        p.error("--runs and --turns need 1 or more")
    if args.pin is not None and args.pin not in allowed_cpus():
        p.error(f"--pin {args.pin}: there are {', '.join(map(str, allowed_cpus())) or 'none here (Linux only)'}")
    unknown = [m for m in args.models.split(",") if m not in machines.MODELS]
    if unknown:
        p.error(f"--models {','.join(unknown)}: there are {', '.join(machines.MODELS)}")
    return args


def main():
    args = parse()
    if args.list:
        print("\n".join([f"{b.name:21}{'budget':10}{b.title}" for b in budget.BUDGETS] +
                        [f"{r.name:21}{r.group:10}{r.title}" for r in ROWS]))
        return
    rows, budgets = choose(args.rows)
    with tempfile.TemporaryDirectory(prefix="ireko-bench-") as folder:
        os.environ["XDG_CACHE_HOME"] = str(pathlib.Path(folder) / "cache")  # where ireko keeps translations: not the user's
        os.mkdir(os.environ["XDG_CACHE_HOME"])
        port, server = iperf_server(any(r.network for r in rows))
        made = payload.Payload(pathlib.Path(folder), rows, not args.no_native, port)
        disk, no_programs = None, ""
        if any(r.needs for r in rows):
            disk, no_programs = payload.programs_disk(args.cache)
        results = {row.name: {} for row in rows}
        rows = leave_out(rows, made, no_programs, results)
        if not rows and not budgets:
            sys.exit("bench: no row is left to run")
        kinds = [k for k in payload.SCRATCH_SIZE if any(r.scratch and k in (r.name.rsplit("-", 1)[-1], "raw") for r in rows)]

        def scratch(name):
            made = [(kind, payload.scratch_disk(pathlib.Path(folder) / f"scratch-{name}", kind)) for kind in kinds]
            return [(kind, path) for kind, path in made if path]

        files = Files(args.cache / "guest", [d for d in (disk, made.image) if d], scratch, server)
        found = {cpus: make_machines(args, made, cpus) for cpus in sorted({r.cpus for r in rows})}
        loads = [load()]
        costs = budget.measure(args.ireko, args.engine, args.cache / "guest", pathlib.Path(folder), budgets, args.runs)
        try:
            for cpus, having in found.items():
                if rows and not args.no_keep:  # the run that later ones find
                    say("first a run of ireko alone, which is not measured: the others find what it translated")
                    once = argparse.Namespace(**{**vars(args), "turns": 1})
                    one_run(0, once, [r for r in rows if r.cpus == cpus], having[:1], files, {r.name: {} for r in rows})
            for number in range(args.runs if rows else 0):
                for cpus, having in found.items():
                    one_run(number, args, [r for r in rows if r.cpus == cpus], having, files, results)
                loads.append(load())
        except KeyboardInterrupt:
            say("interrupted; this is what was measured")
        lines = report.lines(results)
        print("\n\n".join(t for t in (budget.text_table(costs), report.text_table(lines) if rows else "") if t))
        if args.cold:
            print("\n" + report.kept(lines))
        if args.against:
            print("\n" + report.comparison(lines, earlier(args.against)))
        if server:
            server.kill()
            server.wait()
        about = facts(args, files, next(iter(found.values()), []), results, loads)
        save(args.cache / "bench", results, lines, costs, about)
        if args.publish:
            save(HERE, results, lines, costs, about)
            (HERE / "results.json").unlink()
        say(f"the table, the picture and every sample are in {args.cache / 'bench'}")
    if any(line.failed for line in lines):
        sys.exit(1)


if __name__ == "__main__":
    main()
