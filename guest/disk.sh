#!/bin/sh
# Build an ext4 image with Debian's arm64 programs; print its path.
# usage: guest/disk.sh CACHE [NAME PACKAGE ...]
#
# Without NAME it is the disk `programs`, for the tests that run programs. A package that Debian does not have is left out
# of a disk of the caller's, with a sentence.
#
# Packages are unpacked, not installed: no maintainer script runs, so no root and no emulator is needed, and what the
# programs need of those scripts is made here. Cached by content: the key is the list of package versions and this file.
set -eu
cache=$1
name=${2:-programs}
shift $(($# < 2 ? $# : 2))
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=guest/apt.sh
. "$here/apt.sh"

packages=${*:-'base-files base-passwd bash binutils coreutils dash diffutils findutils gawk gcc gdb golang-go grep libc-bin libc6-dev
    libpython3.11-testsuite linux-perf lua5.4 nodejs openjdk-17-jdk-headless openssl perl procps python3 sed sqlite3'}

# shellcheck disable=SC2086  # the list is words
make_tree() {
    mkdir -p "$tree/usr/bin" "$tree/usr/sbin" "$tree/usr/lib"
    ln -s usr/bin usr/sbin usr/lib "$tree"
    for deb in $debs; do
        dpkg-deb --fsys-tarfile "$deb" | tar -x --keep-directory-symlink --no-same-owner -C "$tree" ||
            fail "cannot unpack $deb"
    done
    [ -e "$tree/bin/sh" ] || ln -s dash "$tree/bin/sh"
    [ -e "$tree/usr/bin/awk" ] || ln -s gawk "$tree/usr/bin/awk"
    mkdir -p "$tree/proc" "$tree/sys" "$tree/dev" "$tree/tmp" "$tree/t" "$tree/root"
    cp "$tree/usr/share/base-passwd/passwd.master" "$tree/etc/passwd"
    cp "$tree/usr/share/base-passwd/group.master" "$tree/etc/group"
    echo '127.0.0.1 localhost' > "$tree/etc/hosts"
    rm -rf "$tree/usr/share/doc" "$tree/usr/share/man" "$tree/usr/share/locale"
}

make_image() {
    kib=$(du -sk --apparent-size "$tree" | cut -f1)
    truncate -s "$((kib * 5 / 4 / 1024 + 64))M" "$image.new"
    E2FSPROGS_FAKE_TIME=1 mke2fs -q -t ext4 -U 6972656b-6f00-4000-8000-000000000001 -O ^has_journal \
        -E root_owner=0:0,hash_seed=6972656b-6f00-4000-8000-000000000002 -d "$tree" "$image.new" ||
        fail "mke2fs failed; is the disk full?"
    mv "$image.new" "$image"
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null || ! command -v mke2fs >/dev/null; then
    echo 'guest: no disk of programs without apt-get, dpkg-deb and mke2fs; what needs it will be skipped' >&2
    exit 0
fi
apt_setup
if [ $# -gt 0 ]; then
    packages=
    for package in "$@"; do
        if [ -n "$(apt-cache --names-only search "^$package\$")" ]; then
            packages="$packages $package"
        else
            echo "guest: Debian has no package $package; the disk is without it" >&2
        fi
    done
fi
# shellcheck disable=SC2086  # the list is words
debs=$(apt_closure $packages)
key=$({ echo "$debs" | sed 's|.*/||'; cat "$0"; } | sha256sum | cut -c1-16)
image=$cache/disk/$name-$key.img
if [ ! -f "$image" ]; then
    echo "guest: building the disk $name from $(echo "$debs" | wc -l) packages" >&2
    mkdir -p "$cache/disk"
    tree=$cache/disk/tree.$$
    trap 'rm -rf "$tree" "$image.new"' EXIT
    make_tree
    make_image
fi
echo "$image"
