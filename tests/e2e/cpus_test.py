#!/usr/bin/env python3
"""Linux with several CPUs on both interrupt controllers: all of them come up, are switched off and on again while
they have work, and a reset and a power-off find all of them. Needs the guest of `./dev guest` (IREKO_GUEST).
"""
import os
import pathlib
import re
import subprocess
import sys
import time

from boot_test import BOOTING, PROMPT, boot

from harness.tap import Skip, check, run

ONLINE = "cat /sys/devices/system/cpu/online\n"

# Each CPU but the first goes off and comes back, in changing orders, while two loops keep the scheduler busy. A CPU
# that does not answer leaves a line in the log.
HOTPLUG = r"""
for n in 1 2; do while :; do :; done & done
i=0; while [ $i -lt 20 ]; do
for c in 1 2 3; do echo 0 > /sys/devices/system/cpu/cpu$c/online; done
[ $(cat /sys/devices/system/cpu/online) = 0 ] && echo al''one
for c in $((i % 3 + 1)) $(((i + 1) % 3 + 1)) $(((i + 2) % 3 + 1)); do echo 1 > /sys/devices/system/cpu/cpu$c/online; done
i=$((i + 1)); done; kill %1 %2
killed=$(dmesg | grep -c -E 'psci: CPU. killed')
bad=$(dmesg | grep -c -i -E 'stall|lockup|failed|may not have shut down')
echo hotplug: killed $killed, bad $bad
"""


def online(c):
    c.send(ONLINE)
    c.wait_for("\n0-", "\n0\r")
    c.wait_for(PROMPT)
    return re.findall(r"\n(0[-0-9]*)\r", c.log)[-1]


def power_off(c):
    c.send("poweroff -f\n")
    check(c.finish() == 0, c.tail())


def comes_up(cpus, *options):
    with boot("--cpus", cpus, *options) as c:
        c.wait_for(f"Brought up 1 node, {cpus} CPUs", seconds=300)
        c.wait_for(PROMPT, seconds=300)
        print(f"# first prompt after {time.monotonic() - c.started:.1f} s")
        check(online(c) == f"0-{cpus - 1}", c.tail())
        power_off(c)


def eight_with_gicv2():
    """8 CPUs come up with a GICv2"""
    comes_up(8, "--gic", "v2")


def sixteen():
    """16 CPUs come up with a GICv3"""
    comes_up(16)


def thirty_two():
    """32 CPUs come up with a GICv3, in two clusters"""
    comes_up(32)


def sixty_four():
    """64 CPUs come up with a GICv3, in four clusters"""
    comes_up(64)


# Work, until the CPUs have lost a tenth of a second.
STEAL = r"""
read -r _ u n s i w q f before _ < /proc/stat
while read -r _ u n s i w q f now _ < /proc/stat; [ $((now - before)) -lt 25 ]; do :; done
echo sto''len $((now > before))
"""


def stolen_time():
    """a guest whose core another program of the host wants counts stolen time"""
    if not pathlib.Path("/proc/thread-self/schedstat").exists():
        raise Skip("the host does not tell what time it steals")
    core = min(os.sched_getaffinity(0))
    with boot("--cpus", 1) as c:
        c.wait_for("arm-pv: using stolen time PV")
        c.wait_for(PROMPT)
        with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
            try:
                for task in [other.pid, *(int(t.name) for t in pathlib.Path(f"/proc/{c.process.pid}/task").iterdir())]:
                    os.sched_setaffinity(task, {core})
                for line in STEAL.strip().splitlines():
                    c.send(line + "\n")
                c.wait_for("stolen 1", seconds=120)
            finally:
                other.kill()
        power_off(c)


def hotplug(version):
    with boot("--cpus", "4", "--gic", version) as c:
        c.wait_for(PROMPT)
        for line in HOTPLUG.strip().splitlines():
            c.send(line + "\n")
        c.wait_for("hotplug: killed 60, bad 0", seconds=120)
        check(c.log.count("\nalone\r") == 20, c.tail())
        check(online(c) == "0-3", c.tail())
        power_off(c)


def hotplug_v2():
    """with a GICv2 three CPUs of four go off and come back, twenty times"""
    hotplug("v2")


def hotplug_v3():
    """with a GICv3 three CPUs of four go off and come back, twenty times"""
    hotplug("v3")


def reset_with_some_off(version):
    with boot("--cpus", "4", "--gic", version) as c:
        c.wait_for(PROMPT)
        c.send("echo 0 > /sys/devices/system/cpu/cpu2/online; reboot -f\n")
        c.wait_for(BOOTING)
        c.wait_for(PROMPT)
        check(online(c) == "0-3", c.tail())
        power_off(c)


def reset_v2():
    """with a GICv2 a reset brings back the CPUs that were off"""
    reset_with_some_off("v2")


def reset_v3():
    """with a GICv3 a reset brings back the CPUs that were off"""
    reset_with_some_off("v3")


if __name__ == "__main__":
    run([eight_with_gicv2, sixteen, thirty_two, sixty_four, stolen_time, hotplug_v2, hotplug_v3, reset_v2, reset_v3])
