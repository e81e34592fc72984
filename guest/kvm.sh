#!/bin/sh
# Put the kernel of an arm64 host with KVM into CACHE/kvm: Debian's cloud kernel of the backports (Linux 6.12), which can
# hand a guest's calls to firmware to a monitor. Prints the path of its Image.
# usage: guest/kvm.sh CACHE
set -eu
cache=$1
here=$(cd "$(dirname "$0")" && pwd)
image=$cache/kvm/Image

# shellcheck source=guest/apt.sh
. "$here/apt.sh"

if [ ! -f "$image" ]; then
    apt_setup
    package=$(apt-cache -o APT::Default-Release="$suite-backports" depends linux-image-cloud-arm64 |
        awk '/Depends: linux-image/ { print $2; exit }')
    [ -n "$package" ] || fail "the package list names no linux-image-cloud-arm64 in $suite-backports"
    mkdir -p "$cache/debs" "$cache/kvm"
    (
        cd "$cache/debs"
        ls "$package"_*.deb >/dev/null 2>&1 || apt_download "$package"
    )
    dpkg-deb --fsys-tarfile "$cache/debs/$package"_*.deb | tar -xO --wildcards './boot/vmlinuz-*' > "$image.new"
    mv "$image.new" "$image"
fi
echo "$image"
