#!/bin/sh
# Firmware and a boot loader for an arm64 guest, from Debian's packages; print the folder that has them: AAVMF_CODE.fd and
# AAVMF_VARS.fd (UEFI), u-boot.bin, and grubaa64.efi, which reads /EFI/debian/grub.cfg of the disk it is on.
# usage: guest/firmware.sh CACHE
#
# The packages are unpacked, not installed. Cached by content: the key is the list of package versions and this file.
set -eu
cache=$1
here=$(cd "$(dirname "$0")" && pwd)
# shellcheck source=guest/apt.sh
. "$here/apt.sh"

files='usr/share/AAVMF/AAVMF_CODE.fd usr/share/AAVMF/AAVMF_VARS.fd usr/lib/u-boot/qemu_arm64/u-boot.bin
    usr/lib/grub/arm64-efi/monolithic/grubaa64.efi'

if ! command -v apt-get >/dev/null || ! command -v dpkg-deb >/dev/null; then
    echo 'guest: no firmware without apt-get and dpkg-deb; what needs it will be skipped' >&2
    exit 0
fi
apt_setup
key=$({ apt-cache policy qemu-efi-aarch64 u-boot-qemu grub-efi-arm64-bin | grep Candidate
    cat "$0"; } | sha256sum | cut -c1-16)
folder=$cache/firmware/$key
if [ ! -d "$folder" ]; then
    echo 'guest: unpacking firmware' >&2
    tree=$cache/firmware/tree.$$
    trap 'rm -rf "$tree"' EXIT
    mkdir -p "$tree/debs" "$tree/out"
    (
        cd "$tree/debs"
        for package in qemu-efi-aarch64 u-boot-qemu grub-efi-arm64-bin; do
            apt_download "$package"
        done
    )
    for deb in "$tree"/debs/*.deb; do
        dpkg-deb -x "$deb" "$tree"
    done
    for file in $files; do
        cp "$tree/$file" "$tree/out/"
    done
    mv "$tree/out" "$folder"
fi
echo "$folder"
