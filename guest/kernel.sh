#!/bin/sh
# Build ireko's own guest kernel from Debian's linux-source package and guest/linux.config into CACHE/kernel/Image.
# usage: guest/kernel.sh CACHE
#
# Cached by content: the key is the hash of the source package's name and the configuration. Reproducible: fixed
# user, host, time and version strings, and the build's own paths are mapped away by the kernel's Makefiles.
# Elsewhere than on Debian the source is the kernel's own release archive, checked against the sum below.
set -eu
cache=$1
here=$(cd "$(dirname "$0")" && pwd)
jobs=$(getconf _NPROCESSORS_ONLN)

release=6.1.115
release_url=https://cdn.kernel.org/pub/linux/kernel/v6.x/linux-$release.tar.xz
release_sums=https://cdn.kernel.org/pub/linux/kernel/v6.x/sha256sums.asc

fail() {
    echo "kernel: $*" >&2
    exit 1
}

sha256() {
    if command -v sha256sum >/dev/null; then sha256sum "$1"; else shasum -a 256 "$1"; fi | cut -c1-64
}

mkdir -p "$cache/src" "$cache/kernel"
if command -v apt-get >/dev/null; then
    (
        cd "$cache/src"
        ls linux-source-6.1_*.deb >/dev/null 2>&1 || apt-get -qq -o APT::Sandbox::User= download linux-source-6.1 ||
            fail "cannot download the package linux-source-6.1; run apt-get update and try again"
    )
    package=$(ls "$cache"/src/linux-source-6.1_*.deb)
    version=$(dpkg-deb -f "$package" Version)
else
    package=$cache/src/linux-$release.tar.xz
    version=$release
    if [ ! -f "$package" ]; then
        curl -fL --retry 3 -o "$package.new" "$release_url" || fail "cannot download $release_url"
        want=$(curl -fL "$release_sums" | awk -v f="linux-$release.tar.xz" '$2 == f { print $1 }')
        [ "$(sha256 "$package.new")" = "$want" ] || fail "$package.new does not have its published checksum"
        mv "$package.new" "$package"
    fi
fi

key=$({ echo "$version"; cat "$here/linux.config" "$0"; } | { sha256sum 2>/dev/null || shasum -a 256; } | cut -c1-16)
image=$cache/kernel/Image
if [ -f "$image" ] && [ "$(cat "$cache/kernel/key" 2>/dev/null)" = "$key" ]; then
    echo "$image"
    exit 0
fi

tree=$cache/src/linux-$key
if [ ! -f "$tree/Makefile" ]; then
    echo "kernel: unpacking Linux $version" >&2
    rm -rf "$tree" "$tree.new"
    mkdir -p "$tree.new"
    case $package in
    *.deb) dpkg-deb --fsys-tarfile "$package" | tar -xO ./usr/src/linux-source-6.1.tar.xz | tar -xJ --strip-components=1 -C "$tree.new" ;;
    *) tar -xJf "$package" --strip-components=1 -C "$tree.new" ;;
    esac
    mv "$tree.new" "$tree"
fi

if command -v aarch64-linux-gnu-gcc >/dev/null; then
    set -- CROSS_COMPILE=aarch64-linux-gnu-
else
    set -- LLVM=1
fi
set -- -C "$tree" O="$tree/out" ARCH=arm64 KBUILD_BUILD_TIMESTAMP='2026-01-01 00:00:00 UTC' \
    KBUILD_BUILD_USER=ireko KBUILD_BUILD_HOST=ireko KBUILD_BUILD_VERSION=1 "$@"
mkdir -p "$tree/out"
make -s "$@" KCONFIG_ALLCONFIG="$here/linux.config" allnoconfig
# An option that the kernel dropped (a missing dependency, a new name) is an error here, not a surprise in the guest.
sed -n 's/^\(CONFIG_[A-Z0-9_]*=y\)$/\1/p' "$here/linux.config" | while read -r line; do
    grep -qx "$line" "$tree/out/.config" || fail "guest/linux.config asks for $line, but Linux $version did not take it"
done
echo "kernel: compiling Linux $version (some minutes)" >&2
make -s -j"$jobs" "$@" Image > "$tree/out/build.log" 2>&1 || fail "the build failed; see $tree/out/build.log"
cp "$tree/out/arch/arm64/boot/Image" "$image.new"
mv "$image.new" "$image"
echo "$key" > "$cache/kernel/key"
echo "$image"
