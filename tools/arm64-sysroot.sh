#!/bin/sh
# Make CACHE/arm64: what the arm64 build is compiled, linked and run with. Prints the path of the Meson cross file.
# usage: tools/arm64-sysroot.sh CACHE
#
# The libraries are Debian's arm64 packages, by the private apt of guest/apt.sh, so the system's architectures stay as
# they are; C library and compiler are Debian's cross packages. Programs run here under qemu-aarch64.
set -eu
cache=$1
here=$(cd "$(dirname "$0")" && pwd)
root=$cache/arm64
libs=$root/usr/lib/aarch64-linux-gnu
libc=/usr/aarch64-linux-gnu
packages='libfdt-dev libfdt1 libuv1-dev libuv1 zlib1g-dev zlib1g libzstd-dev libzstd1 libcmocka-dev libcmocka0
libslirp-dev libslirp0 libglib2.0-dev libglib2.0-0 libpcre2-dev libpcre2-8-0'

# shellcheck source=guest/apt.sh
. "$here/../guest/apt.sh"

write_cross() {
    cat > "$root/cross.ini" <<END
[binaries]
c = 'aarch64-linux-gnu-gcc'
ar = 'aarch64-linux-gnu-ar'
strip = 'aarch64-linux-gnu-strip'
pkgconfig = 'pkg-config'
exe_wrapper = ['qemu-aarch64', '-L', '$libc', '-E', 'LD_LIBRARY_PATH=$libs']

[properties]
sys_root = '$root'
pkg_config_libdir = '$libs/pkgconfig'

[built-in options]
c_args = ['-isystem', '$root/usr/include']
c_link_args = ['-L$libs', '-Wl,-rpath-link,$libs']

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
END
}

inputs=$(sha256sum "$0" | cut -c1-64)
if [ "$(cat "$root/inputs" 2>/dev/null)" != "$inputs" ]; then
    apt_setup
    rm -rf "$root"
    mkdir -p "$cache/debs" "$root"
    (
        cd "$cache/debs"
        for package in $packages; do
            ls "$package"_*_arm64.deb >/dev/null 2>&1 || apt_download "$package"
        done
    )
    for package in $packages; do
        for deb in "$cache/debs/$package"_*_arm64.deb; do
            dpkg-deb -x "$deb" "$root"
        done
    done
    if [ -d "$root/lib" ]; then # before the merged /usr: links into it are relative
        cp -a "$root/lib/." "$root/usr/lib/"
        rm -rf "${root:?}/lib"
        find "$libs" -lname '/lib/*' | while read -r link; do
            ln -sf "$(basename "$(readlink "$link")")" "$link"
        done
    fi
    write_cross
    echo "$inputs" > "$root/inputs"
fi
echo "$root/cross.ini"
