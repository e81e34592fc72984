"""What the guest is given: a kernel and initramfs (guest/fetch.sh), a disk of Debian's programs (guest/disk.sh), and a tar
archive as a second disk with the micro-kernels, the scripts and the data. The same files serve the host's own run.
"""
import io
import pathlib
import shutil
import subprocess
import tarfile

from rows import PACKAGES

HERE = pathlib.Path(__file__).resolve().parent
CROSS = ["aarch64-linux-gnu-gcc"]
FLAGS = ["-O2", "-static", "-std=gnu17"]


def text(size):
    """Something to compress: words as frequent as a language's, from a fixed sequence of random numbers."""
    state = 12345

    def random(limit):
        nonlocal state
        state = (state * 1103515245 + 12345) % 2147483648
        return (state >> 8) % limit

    words = ["".join(chr(97 + random(26)) for _ in range(2 + random(8))) for _ in range(3000)]
    out = io.StringIO()
    while out.tell() < size:
        line = [words[random(1 + random(1 + random(3000)))] for _ in range(6 + random(8))]
        out.write(" ".join(line) + (".\n" if random(4) == 0 else "\n"))
    return out.getvalue()[:size].encode()


def picture(width, height, at=0):
    """Something to look at, which moves with `at`: gradients, edges, noise. Rows of bytes."""
    state = 99
    for y in range(height):
        row = bytearray()
        for x in range(width):
            state = (state * 1103515245 + 12345) % 2147483648
            edge = 60 if (x + 3 * at) // 24 % 2 ^ y // 24 % 2 else 0
            row.append((x * 100 // width + y * 60 // height + edge + (state >> 20) % 20) % 256)
        yield bytes(row)


def image(width=512, height=256):
    """A PPM file."""
    rows = list(picture(width, height))
    pixels = b"".join(bytes(c for x in range(width) for c in (row[x], row[-x - 1], 255 - row[x])) for row in rows)
    return b"P6 %d %d 255\n" % (width, height) + pixels


def video(width=176, height=144, frames=8):
    """A YUV4MPEG2 file, grey."""
    grey = bytes([128]) * (width * height // 2)
    return b"YUV4MPEG2 W%d H%d F25:1 Ip C420jpeg\n" % (width, height) + b"".join(
        b"FRAME\n" + b"".join(picture(width, height, at)) + grey for at in range(frames))


def compile_all(compiler, rows, folder):
    """Compile the rows' sources; {source: why not} for those that do not compile."""
    folder.mkdir(parents=True, exist_ok=True)
    problems = {}
    for row in (r for r in rows if r.source):
        source = HERE / "programs" / row.source
        command = [*compiler, *FLAGS, "-o", folder / row.name, source, *row.flags]
        if source.suffix == ".java":
            command = ["javac", "--release", "17", "-d", folder, source]
        if not shutil.which(command[0]):
            problems[row.source] = f"no {command[0]} here"
            continue
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            problems[row.source] = f"{command[0]} fails: {(done.stderr.strip().splitlines() or ['without a message'])[0]}"
    return problems


def script(row):
    """The row's script; 127 and a sentence if the disk lacks a command."""
    check = "".join(f"command -v {c} >/dev/null || {{ echo no {c}; exit 127; }}\n" for c in row.needs)
    return f"cd /tmp\n{check}{row.script}\n"


class Payload:
    """The files in `folder`: guest/ for the guest, host/ for the host, and `image`, the second disk."""

    def __init__(self, folder, rows, native, port):
        self.guest, self.host = folder / "guest", folder / "host"
        self.problems = compile_all(CROSS, rows, self.guest)
        self.host_problems = compile_all(["gcc"], [r for r in rows if not (r.scratch or r.network)], self.host) if native else {}
        data = {"text": text(2 << 20), "image.ppm": image(), "video.y4m": video()}
        for tree in (self.guest, self.host):
            tree.mkdir(exist_ok=True)
            for name, content in data.items():
                (tree / name).write_bytes(content)
            for path in (HERE / "programs").iterdir():
                shutil.copy(path, tree)
        for row in rows:
            (self.guest / (row.name + ".sh")).write_text(script(row), encoding="utf-8")
            (self.guest / (row.name + ".warm")).write_text(f"cat {row.warm or '/dev/null'}\n{row.before}\n", encoding="utf-8")
        shutil.copy(HERE / "guest.sh", self.guest)
        (self.guest / "iperf.port").write_text(f"{port}\n", encoding="ascii")
        self.image = folder / "payload.tar"
        with tarfile.open(self.image, "w", format=tarfile.USTAR_FORMAT) as tar:
            for path in sorted(self.guest.iterdir()):
                tar.add(path, path.name)


# Raw, qcow2. bench/programs/disk.h knows the raw one's size and that every byte is this, fio.sh both sizes.
SCRATCH_SIZE, SCRATCH_BYTE = {"raw": 256 << 20, "qcow2": 320 << 20}, b"\x5a"


def scratch_disk(path, kind):
    """A disk that a guest may write to; just written, so that the host has it in memory. None without qemu-img."""
    if kind != "raw" and not shutil.which("qemu-img"):
        return None
    out = path.with_suffix("." + kind)
    raw = out if kind == "raw" else path.with_suffix(".source")
    with open(raw, "wb") as f:
        for _ in range(SCRATCH_SIZE[kind] >> 20):
            f.write(SCRATCH_BYTE * (1 << 20))
    if raw != out:
        subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", kind, raw, out], check=True)
        raw.unlink()
    return out


def programs_disk(cache):
    """(path, "") of the disk of Debian's programs, or (None, why there is none)."""
    done = subprocess.run([HERE.parent / "guest" / "disk.sh", cache, "bench", *PACKAGES], stdout=subprocess.PIPE, text=True)
    path = done.stdout.strip()
    return (path, "") if done.returncode == 0 and path else (None, "no disk of Debian's programs, which takes apt-get, dpkg-deb, mke2fs and a network")
