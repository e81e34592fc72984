#!/usr/bin/env python3
"""What ./dev bench makes of its samples: medians, QEMU's best model, wrong answers, rows left out, the table and picture."""
import pathlib
import sys
import tempfile
import xml.dom.minidom

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]
import budget  # noqa: E402
import payload  # noqa: E402
import plot  # noqa: E402
import report  # noqa: E402
from harness.tap import check, run  # noqa: E402
from machines import Sample, count_processor_time, split_answer  # noqa: E402
from rows import GROUPS, ROWS  # noqa: E402


def samples(*seconds, answer="answer 1"):
    return [Sample(s, answer) for s in seconds]


def one_line(**machines):
    """The line of the row `calls`; `_` stands for a dash in the machines' names."""
    return report.lines({"calls": {m.replace("_", "-"): s for m, s in machines.items()}})[0]


def best_model_counts():
    """the medians count, and of QEMU's models the best"""
    line = one_line(ireko=samples(9, 1, 2), qemu_a72=samples(5, 6, 7), qemu_max=samples(4, 4, 90), native=samples(0.5, 0.5, 0.5))
    check((line.ireko, line.qemu, line.model) == (2, 4, "qemu-max"), vars(line))
    check((line.ratio, line.ireko_native, line.qemu_native) == (2, 4, 8), vars(line))
    check(line.spread["ireko"] == (1, 9) and not line.notes, vars(line))


def wrong_answers_do_not_count():
    """a wrong answer is no time but a note"""
    line = one_line(ireko=samples(1, 1, answer="answer 2"), qemu_a72=samples(5, 5), native=samples(1, 1))
    check(line.ireko is None and line.ratio is None and line.failed, vars(line))
    check(len(line.notes) == 1 and "ireko: wrong answer 'answer 2'" in line.notes[0], line.notes)


def answers_of_the_target_differ():
    """where the host's answer differs by nature it is not compared"""
    line = report.lines({"gcc": {"ireko": samples(1), "native": samples(0.1, answer="x86")}})[0]
    check(line.ireko_native == 10 and not line.notes, vars(line))


def most_runs_must_succeed():
    """a machine that failed in half of its runs or more has no median"""
    bad = Sample(error="exit status 1: no")
    check(one_line(ireko=[bad, bad, *samples(1, 1)]).ireko is None, "half")
    line = one_line(ireko=[bad, *samples(1, 2)])
    check(line.ireko == 1.5 and line.notes == ["ireko: exit status 1: no"], vars(line))


def rows_together():
    """the means over groups are those of all rows, and of those at user level"""
    lines = report.lines({"calls": {"ireko": samples(1), "qemu-a72": samples(2), "native": samples(0.5)},
                          "python": {"ireko": samples(4), "qemu-a72": samples(32), "native": samples(0.5)},
                          "syscall": {"ireko": samples(1), "qemu-a72": samples(4), "native": samples(100)}})
    check(report.together(lines) == [
        "all 3 rows together: 4.00 times QEMU's speed (geometric mean; goal: 5), least 2.00 (recursive calls)",
        "2 rows at user level together: 4.00 times the host's time (geometric mean; goal: at most 3)"], report.together(lines))
    check(not report.together(lines[:1]), "one row is no mean")


def several_cpus_are_worth():
    """two threads with twice the work in 1.25 times the time are worth 1.6"""
    text = report.text_table(report.lines({"compute1": {"ireko": samples(1), "qemu-a72": samples(2)},
                                           "compute2": {"ireko": samples(1.25), "qemu-a72": samples(4)}}))
    check("two CPUs: 1.60 times one (least: 1.85; QEMU: 1.00, native: -)" in text, text)


def skipped_has_its_reason():
    """what was skipped is in the table's notes with its reason"""
    lines = report.lines({"lua": {"ireko": samples(1), "native": [Sample(skipped="no lua5.4 on the host")]}})
    check(not lines[0].failed, vars(lines[0]))
    check("Lua: native: no lua5.4 on the host" in report.text_table(lines), report.text_table(lines))
    check("- Lua: native: no lua5.4 on the host" in report.markdown(lines, []), report.markdown(lines, []))


def groups_are_summed_up():
    """groups have the geometric mean and the least row"""
    lines = report.lines({"calls": {"ireko": samples(1), "qemu-n1": samples(2)}, "sort": {"ireko": samples(1), "qemu-n1": samples(8)}})
    title, n, mean, least, which, _ = report.summary(lines)[0]
    check((title, n, least, which) == (GROUPS["micro"].title, 2, 2, "recursive calls") and abs(mean - 4) < 1e-9, report.summary(lines))


def earlier_runs_compare():
    """a build is compared with an earlier one, row by row"""
    now, before = ([one_line(ireko=samples(s))] for s in (1, 3))
    check("3.00 s before,   1.00 s now: 3.00 times as fast" in report.comparison(now, before), report.comparison(now, before))
    check("together -" in report.comparison(now, []), report.comparison(now, []))


def kept_translations_compare():
    """--cold: ireko, and ireko without what an earlier run translated"""
    line = one_line(cold=samples(2, 2, 9), ireko=samples(1, 1, 1))
    check("2.00 s with --keep none,   1.00 s after an earlier run: 0.50 of it" in report.kept([line]), report.kept([line]))
    check(line.ratio is None and line.model is None, vars(line))


def own_time_counts():
    """a micro-kernel's own time counts, unless the host's clock says otherwise"""
    sample = split_answer("time 250000000\nanswer 5\n", 0.3)
    check((sample.seconds, sample.answer, sample.error) == (0.25, "answer 5", ""), vars(sample))
    check(split_answer("hello\n", 0.3).seconds == 0.3, "the host's time")
    sample = split_answer("time 900000000\nanswer 5\n", 0.3)
    check(sample.seconds is None and "clock" in sample.error, vars(sample))


def processor_time():
    """by processor time, time without the processor does not count; where it is not known all counts"""
    check(count_processor_time(Sample(4, share=0.25)).seconds == 1, "a quarter")
    check(count_processor_time(Sample(4)).seconds == 4 and count_processor_time(Sample(error="no")).seconds is None, "not known")


def table_and_picture_of_all_rows():
    """table, page and picture have every row, and the picture is XML"""
    lines = report.lines({r.name: {"ireko": samples(i + 1), "qemu-max": samples(7)} for i, r in enumerate(ROWS)})
    text, page, picture = report.text_table(lines), report.markdown(lines, [("date", "today")]), plot.svg(lines, "a & b")
    xml.dom.minidom.parseString(picture)
    for row in ROWS:
        check(all(row.title in t for t in (text, page, picture)), row.title)
    check(xml.dom.minidom.parseString(plot.svg([], "")), "no rows")


def no_compiler_is_a_sentence():
    """without a compiler each micro-kernel has a reason, and nothing fails"""
    with tempfile.TemporaryDirectory() as folder:
        problems = payload.compile_all(["no-such-gcc"], ROWS, pathlib.Path(folder))
    check(problems["calls.c"] == "no no-such-gcc here", problems)


def every_source_is_there():
    """every micro-kernel has its source, every name is there once, and the data never changes"""
    for row in ROWS:
        check(not row.source or (ROOT / "bench" / "programs" / row.source).is_file(), row.source)
        check(row.group in GROUPS, row.group)
    check(len({r.name for r in ROWS}) == len(ROWS), "names")
    check(payload.text(1000) == payload.text(2000)[:1000], "the text to compress")


SMAPS = """\
55d1c4000000-55d1c4100000 rw-p 00000000 00:00 0                          [heap]
Size:               1024 kB
Rss:                1000 kB
7fd800000000-7fd810000000 rw-p 00000000 00:00 0
Size:             262144 kB
Rss:              262144 kB
7fd820000000-7fd828000000 r-xs 00000000 00:01 7                          /memfd:ireko-code (deleted)
Rss:              131072 kB
7fd830000000-7fd830001000 rw-p 00000000 00:00 0
Rss:                  24 kB
"""

STATS = """\
  time                                110 ms
    for a guest instruction         1.25 us
  hot host code                     9.76 MiB
    for a byte of the guest's           5.49
"""


def budgets_are_read():
    """memory is all but guest RAM and code, translation is what --stats prints, and a median above its bar is told"""
    check(budget.resident_beyond(SMAPS, 256 << 20) == 1, "memory")
    check(budget.resident_beyond(SMAPS, 128 << 20) is None, "guest RAM was not found")
    check(budget.translation(STATS) == {"translation": 1250, "density": 5.49}, budget.translation(STATS))
    check(budget.translation("Virtual machine: 1 CPU") == {}, "an engine that does not translate")
    results = {"start": [4, 11, 6], "memory": [17]}
    text, page = budget.text_table(results), budget.markdown(results)
    check("6.00 ms, goal: at most 10\n" in text and text.endswith("17.00 MiB, goal: at most 16  MISSED"), text)
    check("| 6.00 ms | 10 ms | 4.00 to 11.00 |" in page and "translate" not in page, page)
    check(budget.markdown({}) == "", "nothing was measured")


def first_instructions_replace_a_kernel():
    """the kernel that only says that it runs has the header and the size of the other"""
    image = bytes(56) + b"ARM\x64" + bytes(1000)
    made = budget.make_kernel(image)
    check(len(made) == len(image) and made[56:60] == b"ARM\x64" and made[64:68] == b"\x01\x20\xa1\xd2", made[:80])
    check(budget.make_kernel(b"\x1f\x8b" + bytes(100)) is None, "a compressed kernel")


if __name__ == "__main__":
    run([best_model_counts, wrong_answers_do_not_count, answers_of_the_target_differ, most_runs_must_succeed, rows_together, several_cpus_are_worth, skipped_has_its_reason,
         groups_are_summed_up, earlier_runs_compare, kept_translations_compare, own_time_counts, processor_time, table_and_picture_of_all_rows,
         no_compiler_is_a_sentence, every_source_is_there, budgets_are_read, first_instructions_replace_a_kernel])
