#!/usr/bin/env python3
"""A folder of the host in the guest (--share): Linux works in it, what it does is there on the host and the other way round,
and no link leads out of it. Needs the guest of `./dev guest` (IREKO_GUEST).

`share_test.py --slow` does with git, gcc, make, SQLite and Python, from the disk of IREKO_SHARE, what people do in a folder.
"""
import contextlib
import hashlib
import os
import pathlib
import shutil
import stat
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from harness.console import Console  # noqa: E402
from harness.guest import guest  # noqa: E402
from harness.tap import Skip, check, run  # noqa: E402

DONE = "echo done $((6 * 7))"


@contextlib.contextmanager
def folder():
    """base/share, to be shared, and base/outside with a secret."""
    with tempfile.TemporaryDirectory(prefix="ireko-share-") as base:
        base = pathlib.Path(base)
        (base / "share").mkdir()
        (base / "outside").mkdir()
        (base / "outside/secret").write_text("secret\n")
        yield base
        check((base / "outside/secret").read_text() == "secret\n", "the secret changed")
        check(len(list((base / "outside").iterdir())) == 1, "there is something new outside")


def boot(script, shares, options=()):
    """Boot, run `script` (from a file of the first folder, which is mounted at /mnt), and power off."""
    shares[0].joinpath("script").write_text("set -e\n" + script)
    words = []
    for n, share in enumerate(shares):
        words += ["--share", f"{share},tag=tag{n}"]
    return Console("run", "--kernel", guest("Image"), "--initrd", guest("initramfs"), "--memory", "512M", "--net", "none", *words,
                   *options, "--append", 'ireko.cmd="mount -t virtiofs tag0 /mnt; cp /mnt/script /tmp; sh /tmp/script || echo failed $((7 * 6))"')


def finish(c, seconds=120):
    check(c.wait_for("done 42", "failed 42", seconds=seconds) == "done 42", c.tail())
    check(c.finish() == 0, c.tail())


def numbers(last):
    return "".join(f"{n}\n" for n in range(1, last + 1))


def works():
    """write, append, truncate, rename, link, symlink, modes, times, fsync, holes, FIFOs, programs, thousands of files"""
    script = """
cd /mnt
seq 1 50000 > numbers; seq 50001 60000 >> numbers; md5sum < numbers
dd if=numbers of=synced bs=4k conv=fsync 2>/dev/null; cmp numbers synced
truncate -s 10 synced; cat synced | wc -c; truncate -s 100000 synced
mkdir -p a/b/c; mv numbers a/b/c; mv a/b d; ln d/c/numbers hard; ln -s d/c/numbers soft; cmp hard soft
[ $(stat -c %h hard) = 2 ]; [ $(stat -c %u hard) = 0 ]
chmod 600 hard; touch -d '2001-02-03 04:05:06' hard
exec 3> open; rm open; echo still there >&3; [ "$(cat /proc/self/fd/3)" = 'still there' ]; exec 3>&-
mkfifo fifo; echo through the fifo > fifo & cat fifo
mkdir bin; cp /bin/busybox bin; bin/busybox echo a program $((6 * 7)) runs
mkdir many; i=0; while [ $i -lt 2000 ]; do echo $i > many/$i; i=$((i + 1)); done; ls many | wc -l
rm many/1?? ; mv many/7 many/seven
dd if=/dev/zero of=holes bs=1 count=1 seek=10000000 2>/dev/null
rmdir d 2>/dev/null && false
cd /; umount /mnt; mount -t virtiofs tag0 /mnt; md5sum < /mnt/hard; df /mnt; sync
""" + DONE
    with folder() as base, boot(script, [base / "share"]) as c:
        md5 = hashlib.md5(numbers(60000).encode()).hexdigest()
        for marker in (md5, "through the fifo", "a program 42 runs", "2000", md5):
            c.wait_for(marker, "failed 42", seconds=120)
        finish(c)
        share = base / "share"
        check((share / "d/c/numbers").read_text() == numbers(60000), "numbers")
        check((share / "synced").read_bytes() == numbers(60000)[:10].encode().ljust(100000, b"\0"), "synced")
        check(os.readlink(share / "soft") == "d/c/numbers", "soft")
        hard = (share / "hard").stat()
        check(stat.S_IMODE(hard.st_mode) == 0o600 and hard.st_nlink == 2 and hard.st_uid == os.geteuid(), f"{hard}")
        check(hard.st_mtime == 981173106, f"{hard}")
        check(stat.S_ISFIFO((share / "fifo").stat().st_mode), "fifo")
        check(not (share / "open").exists(), "open")
        check(len(list((share / "many").iterdir())) == 1900 and (share / "many/seven").read_text() == "7\n", "many")
        check((share / "holes").stat().st_size == 10000001 and (share / "holes").stat().st_blocks < 1000, "holes")


def confined():
    """symbolic links that lead out, .. and devices lead nowhere"""
    script = """
cd /mnt
[ -e escape ] && false; [ -e absolute/hostname ] && false; cat up/secret 2>/dev/null && false
echo overwritten 2>/dev/null > escape && false
ls -a /mnt/.. | grep outside && false
mknod null c 1 3 2>/dev/null && false
echo made > sub/../made; cat made
""" + DONE
    with folder() as base:
        share = base / "share"
        (share / "sub").mkdir()
        (share / "escape").symlink_to(base / "outside/secret")
        (share / "absolute").symlink_to("/etc")
        (share / "up").symlink_to("../outside")
        with boot(script, [share]) as c:
            finish(c)
        check((share / "made").read_text() == "made\n", "made")


def host_and_guest_see_each_other():
    """the host's changes reach the guest: contents, sizes, names that come and go"""
    script = """
cd /mnt; cat a; ls
echo ask $((1 + 0)); while [ "$(cat a)" != new ]; do sleep 0.1; done
while [ -e gone ]; do sleep 0.1; done
while ! [ -e come ]; do sleep 0.1; done; cat come
echo from the guest > b
""" + DONE
    with folder() as base:
        share = base / "share"
        (share / "a").write_text("old\n")
        (share / "gone").write_text("")
        with boot(script, [share]) as c:
            c.wait_for("ask 1")
            (share / "a").write_text("new\n")
            (share / "gone").unlink()
            (share / "come").write_text("come at last\n")
            c.wait_for("come at last")
            finish(c)
        check((share / "b").read_text() == "from the guest\n", "b")


def read_only_and_several():
    """a second folder, read-only and a user's: nothing in it can be changed"""
    script = """
mkdir /ro; mount -t virtiofs tag1 /ro; cd /ro; cat file; ls -l folder; [ $(stat -c %u:%g file) = 1000:100 ]
echo x 2>/dev/null > file && false; touch new 2>/dev/null && false; rm file 2>/dev/null && false
mv file new 2>/dev/null && false; mkdir new 2>/dev/null && false; chmod 777 file 2>/dev/null && false
cp file /mnt
mount -t virtiofs nothing /ro 2>/dev/null && false
""" + DONE
    with folder() as base:
        share = base / "share"
        second = base / "share/second"
        (second / "folder").mkdir(parents=True)
        (second / "file").write_text("to be read\n")
        with boot(script, [share, f"{second},ro,uid=1000,gid=100"]) as c:
            c.wait_for("to be read")
            finish(c)
        check((share / "file").read_text() == "to be read\n", "file")
        check(sorted(p.name for p in second.iterdir()) == ["file", "folder"], "second")


def reset_with_the_folder_mounted():
    """a guest that resets in the middle of its work finds the folder as it left it"""
    script = """
cd /mnt; echo round >> rounds
[ $(wc -l < rounds) = 2 ] && { cat rounds; echo done $((6 * 7)); exit; }
while true; do echo x > x; mv x y; done & sleep 1; reboot -f
"""
    with folder() as base, boot(script, [base / "share"], ["--cpus", "2"]) as c:
        finish(c)
        check((base / "share/rounds").read_text() == "round\nround\n", "rounds")


# ------------------------------------------------------------------ the slow part

CHROOT = """
mkdir /d; mount -t ext4 -o ro /dev/vda /d
for d in dev proc sys; do mount -o bind /$d /d/$d; done
mount -t tmpfs tmp /d/tmp; mount -t tmpfs tmp /d/root; mount -o bind /mnt /d/t
cp /mnt/inner /d/tmp/inner
chroot /d /bin/sh -e /tmp/inner
"""

INNER_START = "export PATH=/usr/bin:/usr/sbin HOME=/root LANG=C.UTF-8; cd /t\n"


def boot_programs(base, script):
    disk = os.environ.get("IREKO_SHARE", "")
    if not disk or not pathlib.Path(disk).exists():
        raise Skip("no IREKO_SHARE; ./dev test --slow makes it")
    (base / "share/inner").write_text(INNER_START + script)
    return boot(CHROOT + DONE, [base / "share"], ["--disk", f"{disk},ro"])


def git():
    """git: init, add, commit, branch, merge, gc, clone, fsck, all in the folder"""
    script = """
git config --global user.name ireko; git config --global user.email ireko@example.com; git config --global init.defaultBranch main
mkdir repo; cd repo; git init -q
for i in $(seq 1 300); do mkdir -p d$((i % 10)); seq 1 $i > d$((i % 10))/f$i; done
git add .; git commit -qm first; git checkout -qb side
for i in $(seq 1 50); do echo more >> d$((i % 10))/f$i; done; git commit -qam second
git checkout -q main; echo x > x; git add x; git commit -qm third; git merge -q side -m merged
git gc -q; cd ..; git clone -q repo clone; cd clone; git fsck --strict; [ -z "$(git status --porcelain)" ]
[ "$(git log --oneline | wc -l)" = 4 ]; git rm -q x; git reset -q --hard; git worktree add -q ../tree side; cd ../tree; git status --porcelain
"""
    with folder() as base:
        with boot_programs(base, script) as c:
            finish(c, 900)
        check((base / "share/clone/d0/f50").read_text() == numbers(50) + "more\n", "clone/d0/f50")
        if shutil.which("git"):
            check(os.system(f"git -c safe.directory='*' -C {base}/share/clone fsck --strict 2>/dev/null") == 0, "git fsck on the host")


def build():
    """make and gcc: a program of 40 files, built with make -j2, rebuilt after a change by the host's clock"""
    script = """
mkdir src; cd src; export CC=gcc
for i in $(seq 1 40); do echo "#include <stdio.h>
int f$i(int x) { return x + $i; }" > f$i.c; done
{ for i in $(seq 1 40); do echo "int f$i(int);"; done; echo "#include <stdio.h>
int main(void) { int x = 0;"; for i in $(seq 1 40); do echo "x = f$i(x);"; done; echo 'printf("%d%c", x, 10); }'; } > main.c
printf 'p: $(patsubst %%.c,%%.o,$(wildcard *.c))\\n\\tgcc -o $@ $^\\n' > Makefile
make -s -j2; ./p > answer; [ "$(cat answer)" = 820 ]
make -q; echo 'int f1(int x) { return x + 2; }' > f1.c; ! make -q; make | grep -c gcc; [ "$(./p)" = 821 ]
ar rc lib.a f*.o; gcc main.c lib.a -o q; [ "$(./q)" = 821 ]; strip q; ./q
"""
    with folder() as base, boot_programs(base, script) as c:
        finish(c, 900)
        check((base / "share/src/answer").read_text() == "820\n", "the answer")


def database_and_mmap():
    """SQLite with a rollback journal and with WAL (shared memory); mmap, shared and private, in Python"""
    script = """
for mode in delete wal; do
    { echo "PRAGMA journal_mode=$mode; CREATE TABLE r(n INTEGER PRIMARY KEY, t TEXT);"
      for i in $(seq 1 200); do echo "INSERT INTO r VALUES($i, printf('%0300d', $i));"; done
      echo "PRAGMA integrity_check; SELECT count(*) FROM r;"; } | sqlite3 $mode.db > $mode.out
    tail -n 1 $mode.out; [ "$(tail -n 1 $mode.out)" = 200 ]
done
python3 - <<'PYTHON'
import fcntl, mmap, os
with open("map", "w+b") as f:
    f.truncate(1 << 20)
    m = mmap.mmap(f.fileno(), 0)
    for n in range(0, 1 << 20, 4096):
        m[n:n + 8] = b"%08d" % n
    m.flush()
    p = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_COPY)
    p[0:8] = b"private!"
    assert os.pread(f.fileno(), 8, 0) == b"00000000"
    assert os.pread(f.fileno(), 8, 8192) == b"00008192"
    os.pwrite(f.fileno(), b"by write", 4096)
    assert m[4096:4104] == b"by write"
    fcntl.lockf(f, fcntl.LOCK_EX)
    fcntl.flock(f, fcntl.LOCK_EX)
    m[8192:8200] = b"unsynced"
os.posix_fallocate(os.open("allocated", os.O_CREAT | os.O_RDWR), 0, 1 << 20)
os.setxattr("map", "user.colour", b"blue")
assert os.listxattr("map") == ["user.colour"]
assert len(os.listdir(".")) >= 5
PYTHON
"""
    with folder() as base, boot_programs(base, script) as c:
        finish(c, 900)
        data = (base / "share/map").read_bytes()
        check(data[4096:4104] == b"by write" and data[8192:8200] == b"unsynced" and data[12288:12296] == b"00012288", "map")
        check((base / "share/allocated").stat().st_size == 1 << 20, "allocated")


ALL = [works, confined, host_and_guest_see_each_other, read_only_and_several, reset_with_the_folder_mounted]
SLOW = [git, build, database_and_mmap]

if __name__ == "__main__":
    words = [w for w in sys.argv[1:] if w != "--slow"]
    tests = SLOW if "--slow" in sys.argv else ALL
    run([t for t in ALL + SLOW if t.__name__ in words] if words else tests)
