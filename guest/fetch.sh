#!/bin/sh
# Put a guest into CACHE/guest: `Image` and `initramfs`. Nothing happens if they are there and up to date.
# usage: guest/fetch.sh CACHE
#
# With apt-get: Debian's arm64 cloud kernel and static busybox, by a private apt state inside CACHE, so the system's
# architectures and package lists stay as they are; apt checks signatures. Elsewhere (macOS): Debian's netboot
# kernel and initrd by URL, checked against the sums below.
set -eu
cache=$1
here=$(cd "$(dirname "$0")" && pwd)
guest=$cache/guest

# shellcheck source=guest/apt.sh
. "$here/apt.sh"
modules='virtio_mmio virtio_pci virtio_blk virtio_rng virtio_net evdev'
# Loaded where there is such a device.
devices='virtio_balloon vmw_vsock_virtio_transport virtio_console virtio_pmem+nd_pmem virtiofs'
# mkfs.ext4 and what it is linked with, for the disk tests.
e2fs_packages='e2fsprogs libext2fs2 libcom-err2 libblkid1 libuuid1 libc6'

netboot=$mirror/dists/$suite/main/installer-arm64/current/images/netboot/debian-installer/arm64
netboot_linux_sha256=84b9c190bb4589c4a9527e3191fec051f9f115e88f0a3e8afae96ba0dfb4dfef
netboot_initrd_sha256=3b451f2098ae2e3ccf76b618ba742184d795393c25d6b229130ab106bc33ffa5

# CACHE/guest/e2fs: mke2fs and its libraries, for a disk that a guest mounts.
unpack_e2fs() {
    for package in $e2fs_packages; do
        dpkg-deb -x "$cache/debs/$package"_*.deb "$tree/e2fs"
    done
    rm -rf "$guest/e2fs"
    mkdir -p "$guest/e2fs/lib"
    cp "$tree/e2fs/sbin/mke2fs" "$tree/e2fs/etc/mke2fs.conf" "$guest/e2fs/"
    cp -P "$tree"/e2fs/lib/aarch64-linux-gnu/*.so* "$tree"/e2fs/usr/lib/aarch64-linux-gnu/*.so* "$guest/e2fs/lib/"
}

fetch_debian() {
    apt_setup
    kernel_package=$(apt-cache depends linux-image-cloud-arm64 | awk '/Depends: linux-image/ { print $2; exit }')
    [ -n "$kernel_package" ] || fail "the package list names no linux-image-cloud-arm64; remove $apt and try again"
    mkdir -p "$cache/debs" "$guest"
    (
        cd "$cache/debs"
        ls "$kernel_package"_*.deb >/dev/null 2>&1 || apt_download "$kernel_package"
        for package in busybox-static $e2fs_packages; do
            ls "$package"_*.deb >/dev/null 2>&1 || apt_download "$package"
        done
    )
    inputs=$(cat "$cache/debs/$kernel_package"_*.deb "$cache"/debs/busybox-static_*.deb \
        "$here/init" "$here/mkinitramfs.py" "$0" "$here/apt.sh" | sha256sum | cut -c1-64)
    [ "$(cat "$guest/inputs" 2>/dev/null)" = "$inputs" ] && [ -f "$guest/Image" ] && return
    echo "guest: unpacking $kernel_package" >&2
    tree=$cache/tree.$$
    trap 'rm -rf "$tree"' EXIT
    for deb in "$cache/debs/$kernel_package"_*.deb "$cache"/debs/busybox-static_*.deb; do
        dpkg-deb -x "$deb" "$tree"
    done
    # shellcheck disable=SC2086  # the module list is words
    python3 "$here/mkinitramfs.py" --busybox "$tree/bin/busybox" --init "$here/init" \
        --out "$guest/initramfs.new" --modules "$tree"/lib/modules/* $modules --devices $devices
    mv "$guest/initramfs.new" "$guest/initramfs"
    cp "$tree/bin/busybox" "$guest/busybox"
    cp "$tree"/boot/vmlinuz-* "$guest/Image.new"
    mv "$guest/Image.new" "$guest/Image"
    unpack_e2fs
    : > "$guest/append"
    echo "$inputs" > "$guest/inputs"
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -c1-64
}

# Download URL $1 to file $2 unless it is there with checksum $3.
fetch_url() {
    [ -f "$2" ] && [ "$(sha256 "$2")" = "$3" ] && return
    curl -fL --retry 3 -o "$2.new" "$1" || fail "cannot download $1; is the network up?"
    [ "$(sha256 "$2.new")" = "$3" ] || fail "$1 has another checksum than expected; it is left in $2.new"
    mv "$2.new" "$2"
}

fetch_netboot() {
    mkdir -p "$guest"
    fetch_url "$netboot/linux" "$guest/Image" $netboot_linux_sha256
    fetch_url "$netboot/initrd.gz" "$guest/initramfs" $netboot_initrd_sha256
    # The installer's initrd has a shell; start that instead of the installer.
    echo 'rdinit=/bin/sh' > "$guest/append"
}

if command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null; then
    fetch_debian
else
    fetch_netboot
fi
