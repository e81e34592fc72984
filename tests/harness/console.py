"""Run `ireko` with its console on pipes, and wait for what the guest prints. Nothing here sleeps: every wait ends
with the marker, the end of the program, or the deadline.
"""
import os
import selectors
import signal
import subprocess
import time


class Timeout(Exception):
    pass


class Console:
    """A running ireko. `log` is all that it printed so far (stdout), as text."""

    # Sanitizers and slow machines: multiplies every deadline.
    patience = float(os.environ.get("IREKO_PATIENCE", "1"))

    def __init__(self, *args, program=None):
        self.program = program or os.environ["IREKO"]
        self.args = [self.program, *map(str, args)]
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        self.log = ""
        self.errors = ""
        self.seen = 0
        self.streams = selectors.DefaultSelector()
        self.streams.register(self.process.stdout, selectors.EVENT_READ, "log")
        self.streams.register(self.process.stderr, selectors.EVENT_READ, "errors")

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            stream.close()

    def pump(self, timeout):
        """Read what there is, waiting for at most `timeout` seconds. False when both streams ended."""
        for key, _ in self.streams.select(timeout):
            data = os.read(key.fileobj.fileno(), 65536)
            if not data:
                self.streams.unregister(key.fileobj)
            text = data.decode("utf-8", "replace")
            setattr(self, key.data, getattr(self, key.data) + text)
        return bool(self.streams.get_map())

    def wait_for(self, *markers, seconds=60):
        """Wait until one of `markers` appears after the last one found; returns it."""
        deadline = time.monotonic() + seconds * self.patience
        while True:
            found = [(self.log.find(m, self.seen), m) for m in markers]
            found = [f for f in found if f[0] >= 0]
            if found:
                at, marker = min(found)
                self.seen = at + len(marker)
                return marker
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout(f"no {markers} within {seconds * self.patience:.0f} s\n{self.tail()}")
            if not self.pump(left):
                raise Timeout(f"ireko ended ({self.process.wait()}) before {markers}\n{self.tail()}")

    def send(self, text):
        self.process.stdin.write(text.encode())

    def signal(self, number=signal.SIGTERM):
        self.process.send_signal(number)

    def finish(self, seconds=60):
        """Wait for the end; returns the exit status."""
        deadline = time.monotonic() + seconds * self.patience
        while self.pump(max(0, deadline - time.monotonic())):
            if time.monotonic() > deadline:
                raise Timeout(f"ireko still runs after {seconds * self.patience:.0f} s\n{self.tail()}")
        return self.process.wait()

    def cpu_seconds(self):
        """User and system time of ireko so far."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def tail(self):
        return "--- console\n" + self.log[-3000:] + "\n--- stderr\n" + self.errors[-3000:]
