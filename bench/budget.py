"""What ireko itself may cost: time to start, memory, translation. QEMU has no part in it; each has a bar of its own.

`start`: from before the process is made until a guest's first instructions have sent a byte to the console, which takes a
little longer than the first instruction. The guest is Debian's kernel with other instructions at its beginning.
`memory`: what is resident after the boot to a shell, but for guest RAM and code memory (Linux: /proc/PID/smaps).
`translation` and `density`: what --stats says of the same boot.
All with `--keep none`, or there would be nothing to translate.
"""
import dataclasses
import os
import re
import statistics
import struct
import subprocess
import time

from machines import COMMAND_LINE, MEMORY, PROMPT
from harness.console import Console, Timeout

STARTS = 25  # of each run


@dataclasses.dataclass(frozen=True)
class Budget:
    name: str
    title: str
    unit: str
    goal: float  # at most


BUDGETS = [
    Budget("start", "process start to the first guest instruction", "ms", 10),
    Budget("memory", "memory beyond guest RAM and code memory", "MiB", 16),
    Budget("translation", "time to translate a guest instruction", "ns", 150),
    Budget("density", "hot host code for a byte of the guest's", "bytes", 6),
]

BANG = [0xD2A12001,  # movz x1, #0x900, lsl #16     the PL011
        0x52806022,  # mov  w2, #0x301
        0xB9003022,  # str  w2, [x1, #0x30]         on
        0x52800420,  # mov  w0, #'!'
        0x39000020,  # strb w0, [x1]
        0x52800100,  # mov  w0, #8
        0x72B08000,  # movk w0, #0x8400, lsl #16    PSCI SYSTEM_OFF
        0xD4000002]  # hvc


def make_kernel(image):
    """An arm64 Image that only sends one byte and powers off, of the size of `image`, or None if that is none."""
    if image[56:60] != b"ARM\x64":
        return None
    code = struct.pack(f"<{len(BANG)}I", *BANG)
    return struct.pack("<I", 0x14000010) + image[4:64] + code + image[64 + len(code):]


def resident_beyond(smaps, ram):
    """MiB that a process has besides the mapping of `ram` bytes and code memory, from the text of its smaps, or None."""
    total, known, counts = 0, False, False
    for line in smaps.splitlines():
        head = re.match(r"([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ \S+ *(.*)", line)
        if head:
            is_file = "memfd:ireko-ram" in head[3]
            is_ram = int(head[2], 16) - int(head[1], 16) == ram and (is_file or not head[3])
            known |= is_ram
            counts = not is_ram and not is_file and "memfd:ireko-code" not in head[3]
        elif line.startswith("Rss:") and counts:
            total += int(line.split()[1])
    return total / 1024 if known else None


def number_of(stats, label, units):
    """The first number of a row of --stats, in the first of `units`; None if the row is not there."""
    row = re.search(rf"^ *{re.escape(label)} +([\d.]+)(?: (\w+))?$", stats, re.M)
    return float(row[1]) * units[row[2] or ""] if row else None


def translation(stats):
    """{budget: value} of what --stats printed."""
    found = {"translation": number_of(stats, "for a guest instruction", {"ns": 1, "us": 1000}),
             "density": number_of(stats, "for a byte of the guest's", {"": 1})}
    return {name: value for name, value in found.items() if value is not None}


def start_once(command):
    begin = time.monotonic()
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        got = os.read(process.stdout.fileno(), 1)
        return (time.monotonic() - begin) * 1000 if got == b"!" else None


def boot_once(command):
    """{budget: value} of one boot to a shell and power-off."""
    found = {}
    with Console(*command[1:], "--stats", program=command[0]) as console:
        console.wait_for(PROMPT)
        try:
            with open(f"/proc/{console.process.pid}/smaps", encoding="ascii") as f:
                found["memory"] = resident_beyond(f.read(), int(MEMORY[:-1]) << 20)
        except OSError:
            pass  # no Linux
        console.send("poweroff -f\n")
        console.finish()
        found.update(translation(console.errors))
    return {name: value for name, value in found.items() if value is not None}


def measure(ireko, engine, guest, folder, wanted, runs):
    """{budget: [values]} for the names in `wanted`; `guest` has the kernel and the initramfs."""
    results = {}
    command = [str(ireko), "run", "--memory", MEMORY, "--keep", "none", *(["--engine", engine] if engine else [])]
    files = ["--initrd", str(guest / "initramfs")]
    kernel = make_kernel((guest / "Image").read_bytes()) if "start" in wanted else None
    if kernel:
        path = folder / "first-instruction"
        path.write_bytes(kernel)
        times = [start_once([*command, "--kernel", str(path), *files]) for _ in range(STARTS * runs)]
        results["start"] = [t for t in times if t is not None]
    if any(name in wanted for name in ("memory", "translation", "density")):
        for _ in range(runs):
            try:
                found = boot_once([*command, "--kernel", str(guest / "Image"), *files, "--append", COMMAND_LINE])
            except (Timeout, BrokenPipeError):
                continue  # the boot rows tell
            for name, value in found.items():
                results.setdefault(name, []).append(value)
    return {name: values for name, values in results.items() if values and name in wanted}


def lines(results):
    """(budget, median, least, most) of each that was measured."""
    return [(b, statistics.median(results[b.name]), min(results[b.name]), max(results[b.name])) for b in BUDGETS if results.get(b.name)]


def text_table(results):
    width = max((len(b.title) for b in BUDGETS), default=0)
    return "\n".join(f"{b.title.ljust(width)}  {median:6.2f} {b.unit}, goal: at most {b.goal:g}" +
                     ("" if median <= b.goal else "  MISSED") for b, median, _, _ in lines(results))


def markdown(results):
    out = ["", "## What ireko costs", "", "| | ireko | goal, at most | least to most |", "|---|---:|---:|---:|"]
    out += [f"| {b.title} | {median:.2f} {b.unit} | {b.goal:g} {b.unit} | {least:.2f} to {most:.2f} |" for b, median, least, most in lines(results)]
    return "\n".join(out) + "\n" if lines(results) else ""
