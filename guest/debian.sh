#!/bin/sh
# Build a disk with an installed Debian (systemd, ssh, apt), which UEFI boots; print its path. The key for ssh is
# CACHE/disk/ssh-key.
# usage: guest/debian.sh CACHE IREKO
#
# No root, and no emulator but ours: the host fetches packages (checked by apt), and makes a disk of two partitions (an EFI
# system partition with GRUB, and an empty ext4) and one with the packages; a guest unpacks and configures them with
# Debian's own dpkg (guest/debian-setup), so owners, modes and what maintainer scripts do are as on any Debian. GRUB starts
# /vmlinuz, a link that Debian keeps to its newest kernel. Cached by content: the key is the list of package versions, GRUB,
# and the recipe.
set -eu
cache=$1
ireko=$2
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=guest/apt.sh
. "$here/apt.sh"

size=4096 # MiB, of the disk; what was never written takes no room
esp=32    # MiB, of the EFI system partition, which starts at the first
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
    make_target
}

# The disk that Debian is to be set up on. FAT32 needs more clusters than so small a partition has, FAT16 is fine for UEFI.
make_target() {
    truncate -s ${size}M "$image.new"
    sfdisk -q "$image.new" <<EOF || fail "sfdisk failed"
label: gpt
start=1MiB, size=${esp}MiB, type=uefi, name=esp
type=linux, name=debian
EOF
    mkdir "$tree"
    cat > "$tree/grub.cfg" <<'EOF'
search --no-floppy --label debian --set=root
set timeout=0
menuentry Debian {
    linux /vmlinuz root=LABEL=debian console=ttyAMA0
    initrd /initrd.img
}
EOF
    truncate -s ${esp}M "$tree/esp"
    mkfs.vfat -F 16 -n ESP "$tree/esp" > "$log" || fail "mkfs.vfat failed: $(cat "$log")"
    mmd -i "$tree/esp" ::/EFI ::/EFI/BOOT ::/EFI/debian
    mcopy -i "$tree/esp" "$grub" ::/EFI/BOOT/BOOTAA64.EFI
    mcopy -i "$tree/esp" "$tree/grub.cfg" ::/EFI/debian/grub.cfg
    dd if="$tree/esp" of="$image.new" bs=1M seek=1 conv=notrunc status=none || fail "no room for $image.new"
    # To the last MiB, which has the table's copy.
    mke2fs -q -t ext4 -L debian -E offset=$(((esp + 1) << 20)) "$image.new" $((size - esp - 2))M ||
        fail "mke2fs failed; is the disk full?"
    rm -rf "$tree"
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

for program in apt-get dpkg-deb mke2fs ssh-keygen sfdisk mkfs.vfat mcopy; do
    command -v $program > /dev/null || fail "building a Debian disk needs $program, which this host does not have"
done
apt_setup
required=$(apt_closure '?priority(required)')
# shellcheck disable=SC2086  # the list is words
debs=$(apt_closure '?priority(required)' $packages)
mkdir -p "$cache/disk"
key=$cache/disk/ssh-key
[ -f "$key" ] || ssh-keygen -q -t ed25519 -N '' -C ireko -f "$key"
grub=$("$here/firmware.sh" "$cache")/grubaa64.efi
id=$({ echo "$debs" | sed 's|.*/||'; cat "$0" "$here/debian-setup" "$key.pub" "$grub"; } | sha256sum | cut -c1-16)
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
