#!/bin/sh
# Build a disk with an installed Debian (systemd, ssh, apt); print its path. The key for ssh is CACHE/disk/ssh-key.
# usage: guest/debian.sh CACHE IREKO
#
# No root, and no emulator but ours: the host fetches packages (checked by apt), and makes an empty ext4 disk and one with
# the packages; a guest unpacks and configures them with Debian's own dpkg (guest/debian-setup), so owners, modes and what
# maintainer scripts do are as on any Debian. Cached by content: the key is the list of package versions and the recipe.
set -eu
cache=$1
ireko=$2
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=guest/apt.sh
. "$here/apt.sh"

size=4G # of the disk; what was never written takes no room
packages='apt ca-certificates dbus debian-archive-keyring init iproute2 iputils-ping kmod less linux-image-cloud-arm64 nano
    netbase openssh-server procps sudo systemd-resolved systemd-sysv systemd-timesyncd udev usr-is-merged wget'

make_disks() {
    mkdir -p "$tree/debs"
    # shellcheck disable=SC2086  # the list is words
    cp $debs "$tree/debs"
    for deb in $required; do
        dpkg-deb --fsys-tarfile "$deb" > "$tree/required-$(basename "$deb" .deb).tar" || fail "cannot unpack $deb"
    done
    cp "$here/debian-setup" "$tree/setup"
    cp "$key.pub" "$tree/ssh-key.pub"
    printf 'suite=%s\nmirror=%s\nsecurity=%s\n' "$suite" "$mirror" "$security" > "$tree/apt"
    truncate -s "$(($(du -sm --apparent-size "$tree" | cut -f1) * 5 / 4 + 16))M" "$source"
    mke2fs -q -t ext2 -d "$tree" "$source" || fail "mke2fs failed; is the disk full?"
    rm -rf "$tree"
    truncate -s $size "$image.new"
    mke2fs -q -t ext4 -L debian "$image.new" || fail "mke2fs failed; is the disk full?"
}

# The guest says `debian is complete` in its own words, so that the echo of a command is none.
set_up() {
    "$ireko" run --kernel "$cache/guest/Image" --initrd "$cache/guest/initramfs" --memory 1G --cpus 2 --net none \
        --disk "$image.new,cache=unsafe" --disk "$source,ro" --serial stdio \
        --append 'quiet ireko.cmd="mkdir /s; mount -o ro -t ext2 /dev/vdb /s; sh /s/setup unpack"' < /dev/null > "$log" 2>&1 ||
        fail "the guest that sets Debian up did not end well; its console is in $log"
    grep -q '^debian is complete' "$log" || fail "Debian could not be set up in the guest; its console is in $log"
    rm -f "$log"
}

for program in apt-get dpkg-deb mke2fs ssh-keygen; do
    command -v $program > /dev/null || fail "building a Debian disk needs $program, which this host does not have"
done
apt_setup
required=$(apt_closure '?priority(required)')
# shellcheck disable=SC2086  # the list is words
debs=$(apt_closure '?priority(required)' $packages)
mkdir -p "$cache/disk"
key=$cache/disk/ssh-key
[ -f "$key" ] || ssh-keygen -q -t ed25519 -N '' -C ireko -f "$key"
id=$({ echo "$debs" | sed 's|.*/||'; cat "$0" "$here/debian-setup" "$key.pub"; } | sha256sum | cut -c1-16)
image=$cache/disk/debian-$id.img
if [ ! -f "$image" ]; then
    echo "guest: setting Debian up from $(echo "$debs" | wc -l) packages (a few minutes)" >&2
    tree=$cache/disk/tree.$$
    source=$cache/disk/source.$$
    log=$cache/disk/debian-$id.log
    trap 'rm -rf "$tree" "$source" "$image.new"' EXIT
    make_disks
    set_up
    mv "$image.new" "$image"
fi
echo "$image"
