"""From samples to numbers: medians, QEMU's best model, ratios; and the tables, as text and as bench/RESULTS.md."""
import collections
import math
import statistics

from rows import GROUPS, ROWS, SCALINGS


class Line:
    """What is known of one row. Seconds are medians; what was not measured is None."""

    def __init__(self, row, samples):
        self.row = row
        self.notes = []
        self.failed = False  # ireko did not end as it should have, or had another answer
        self.seconds = {}
        self.spread = {}
        expected = expected_answer(row, samples)
        for machine, taken in samples.items():
            self.take(machine, taken, expected)
        qemu = {m: s for m, s in self.seconds.items() if m.startswith("qemu-")}
        self.model = min(qemu, key=qemu.get, default=None)
        self.ireko = self.seconds.get("ireko")
        self.qemu = qemu.get(self.model)
        self.native = self.seconds.get("native")
        self.ratio = quotient(self.qemu, self.ireko)
        self.ireko_native = quotient(self.ireko, self.native)
        self.qemu_native = quotient(self.qemu, self.native)

    def take(self, machine, taken, expected):
        good = []
        for sample in taken:
            wrong = sample.error or sample.skipped
            if not wrong and expected is not None and sample.answer != expected and (machine != "native" or self.row.everywhere):
                wrong = f"wrong answer {sample.answer[:60]!r}, not {expected[:60]!r}"
            if wrong and machine == "ireko" and not sample.skipped:
                self.failed = True
            if not wrong:
                good.append(sample.seconds)
            elif (note := f"{machine}: {wrong}") not in self.notes:
                self.notes.append(note)
        if good and len(good) * 2 > len(taken):
            self.seconds[machine] = statistics.median(good)
            self.spread[machine] = (min(good), max(good))


def expected_answer(row, samples):
    """The answer that most machines but ireko agree on, or ireko's own if it is alone."""
    def answers(machines):
        return [s.answer for m in machines for s in samples[m] if s.seconds is not None and not s.error]
    others = answers([m for m in samples if m != "ireko" and (m != "native" or row.everywhere)])
    found = collections.Counter(others or answers(samples)).most_common(1)
    return found[0][0] if found else None


def quotient(a, b):
    return a / b if a and b else None


def mean(ratios):
    """Geometric."""
    return math.exp(sum(map(math.log, ratios)) / len(ratios)) if ratios else None


def number(x):
    if x is None:
        return "-"
    return f"{x:.0f}" if x >= 100 else f"{x:.1f}" if x >= 10 else f"{x:.2f}" if x >= 0.1 else f"{x:.3f}"


def lines(results):
    """`results` is {row name: {machine name: [Sample]}}."""
    return [Line(row, results[row.name]) for row in ROWS if row.name in results]


HEADER = ("", "ireko s", "QEMU s", "model", "QEMU / ireko", "goal", "native s", "ireko / native", "QEMU / native")


def cells(line):
    return (line.row.title, number(line.ireko), number(line.qemu), (line.model or "-").removeprefix("qemu-"), number(line.ratio),
            f"{line.row.goal:g}" if line.row.goal else "-", number(line.native), number(line.ireko_native), number(line.qemu_native))


def summary(all_lines):
    """For each group with a ratio: (title, rows, geometric mean, least, title of the least, the goal of the mean)."""
    out = []
    for name, group in GROUPS.items():
        known = [l for l in all_lines if l.row.group == name and l.ratio]
        if known:
            least = min(known, key=lambda l: l.ratio)
            goal = f"{group.goal:g}" if group.goal else "-"
            out.append((group.title, len(known), mean([l.ratio for l in known]), least.ratio, least.row.title, goal))
    return out


# Programs as users run them, which the host can run as well.
USER_LEVEL = ("micro", "fp", "simd", "string", "crypto", "program")


def together(all_lines):
    """Over all groups, a sentence each."""
    out = []
    known = [l for l in all_lines if l.ratio]
    if len({l.row.group for l in known}) > 1:
        least = min(known, key=lambda l: l.ratio)
        out.append(f"all {len(known)} rows together: {number(mean([l.ratio for l in known]))} times QEMU's speed (geometric mean; goal: 5), "
                   f"least {number(least.ratio)} ({least.row.title})")
    user = [l.ireko_native for l in all_lines if l.row.group in USER_LEVEL and l.ireko_native]
    if len(user) > 1:
        out.append(f"{len(user)} rows at user level together: {number(mean(user))} times the host's time (geometric mean; goal: at most 3)")
    return out


def scalings(all_lines):
    """What several CPUs are worth, a sentence each: ireko's, what it should be at least, and the best of QEMU's models."""
    by_name = {l.row.name: l for l in all_lines}
    out = []
    for s in SCALINGS:
        one, many = by_name.get(s.one), by_name.get(s.many)
        if not one or not many:
            continue
        worth = {m: s.factor * quotient(one.seconds[m], many.seconds[m]) for m in one.seconds if many.seconds.get(m)}
        qemu = max((w for m, w in worth.items() if m.startswith("qemu-")), default=None)
        out.append(f"{s.title}: {number(worth.get('ireko'))} times one (least: {number(s.least)}; QEMU: {number(qemu)}, "
                   f"native: {number(worth.get('native'))})")
    return out


def text_table(all_lines):
    rows = []
    group = None
    for line in all_lines:
        if line.row.group != group:
            group = line.row.group
            rows.append(None)
            rows.append((GROUPS[group].title.upper(),) + HEADER[1:])
        rows.append(cells(line))
    widths = [max(len(r[i]) for r in rows if r) for i in range(len(HEADER))]
    out = []
    for r in rows:
        out.append("" if r is None else "  ".join([r[0].ljust(widths[0])] + [c.rjust(w) for c, w in zip(r[1:], widths[1:])]))
    out.append("")
    for title, n, average, least, which, goal in summary(all_lines):
        out.append(f"{title}: {number(average)} times QEMU's speed (geometric mean of {n}; goal: {goal}), least {number(least)} ({which})")
    out += together(all_lines) + scalings(all_lines)
    notes = [f"{l.row.title}: {note}" for l in all_lines for note in l.notes]
    return "\n".join(out + [""] * bool(notes) + notes)


def comparison(all_lines, earlier):
    """ireko now and in an earlier run, for the rows that both have."""
    before = {l.row.name: l.ireko for l in earlier}
    both = [(l.row.title, before[l.row.name], l.ireko) for l in all_lines if l.ireko and before.get(l.row.name)]
    width = max((len(title) for title, _, _ in both), default=0)
    out = [f"{title.ljust(width)}  {number(old):>6} s before, {number(new):>6} s now: {number(old / new)} times as fast"
           for title, old, new in both]
    return "\n".join(out + [f"together {number(mean([old / new for _, old, new in both]))} times as fast"])


def kept(all_lines):
    """ireko without what an earlier run translated, and with it."""
    both = [(l.row.title, l.seconds["cold"], l.ireko) for l in all_lines if l.ireko and l.seconds.get("cold")]
    width = max((len(title) for title, _, _ in both), default=0)
    out = [f"{title.ljust(width)}  {number(first):>6} s with --keep none, {number(later):>6} s after an earlier run: {number(later / first)} of it"
           for title, first, later in both]
    return "\n".join(out)


def markdown(all_lines, facts):
    out = ["# Results", "",
           "Written by `./dev bench`; README.md says how to read it. Times are of a machine that others may have used: the ratios count.",
           "", "![speed](speed.svg)", ""]
    out += [f"- {name}: {value}" for name, value in facts]
    out += ["", "| group | rows | speed against QEMU's best model, geometric mean | goal | least |", "|---|---|---|---|---|"]
    for title, n, average, least, which, goal in summary(all_lines):
        out.append(f"| {title} | {n} | {number(average)} | {goal} | {number(least)} ({which}) |")
    out += [""] + [f"- {sentence}" for sentence in together(all_lines) + scalings(all_lines)]
    group = None
    for line in all_lines:
        if line.row.group != group:
            group = line.row.group
            out += ["", f"## {GROUPS[group].title}", "",
                    "| | " + " | ".join(HEADER[1:]) + " | ireko, least to most s | every model of QEMU s |", "|---" + "|---:" * (len(HEADER) + 1) + "|"]
        spread = line.spread.get("ireko")
        models = ", ".join(f"{m.removeprefix('qemu-')} {number(s)}" for m, s in line.seconds.items() if m.startswith("qemu-"))
        out.append("| " + " | ".join(cells(line)) + f" | {number(spread[0]) + ' to ' + number(spread[1]) if spread else '-'} | {models or '-'} |")
    notes = [f"- {l.row.title}: {note}" for l in all_lines for note in l.notes]
    if notes:
        out += ["", "## Left out or wrong", ""] + notes
    return "\n".join(out) + "\n"
