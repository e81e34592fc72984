# Debian's arm64 packages without root: a private apt inside CACHE/apt, so the system's architectures and package lists
# stay as they are; apt checks signatures. Sourced, with $cache set.
# shellcheck shell=sh
mirror=http://deb.debian.org/debian
security=http://deb.debian.org/debian-security
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
suite=bookworm

fail() {
    echo "guest: $*" >&2
    exit 1
}

# The private apt: its configuration is $apt/apt.conf. No package counts as installed.
apt_setup() {
    # shellcheck disable=SC2154  # set by who sources this
    apt=$cache/apt
    [ -f "$keyring" ] || fail "$keyring is missing; install the package debian-archive-keyring"
    mkdir -p "$apt/state/lists/partial" "$apt/cache/archives/partial" "$apt/etc"
    : > "$apt/status"
    cat > "$apt/etc/sources.list.new" <<END
deb [signed-by=$keyring] $mirror $suite main
deb [signed-by=$keyring] $mirror $suite-backports main
deb [signed-by=$keyring] $security $suite-security main
END
    if ! cmp -s "$apt/etc/sources.list.new" "$apt/etc/sources.list"; then
        rm -rf "$apt/state/lists"
        mkdir -p "$apt/state/lists/partial"
    fi
    mv "$apt/etc/sources.list.new" "$apt/etc/sources.list"
    cat > "$apt/apt.conf" <<END
APT::Architecture "arm64";
APT::Architectures { "arm64"; };
APT::Sandbox::User "";
Dir::State "$apt/state/";
Dir::State::status "$apt/status";
Dir::Cache "$apt/cache/";
Dir::Etc::sourcelist "$apt/etc/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Acquire::Languages "none";
END
    export APT_CONFIG="$apt/apt.conf"
    if [ -z "$(find "$apt/state/lists" -name '*Packages*' -mtime -7 2>/dev/null)" ]; then
        apt-get -qq update || fail "apt-get update failed; is the network up?"
    fi
}

# Download the package $1 (newest version) into the current folder unless it is there.
apt_download() {
    apt-get -qq download "$1" || fail "cannot download the package $1"
}

# Download the packages named and all that they depend on; print the paths of the .deb files.
apt_closure() {
    apt-get -qq -y -o Debug::NoLocking=1 --no-install-recommends --download-only install "$@" >&2 ||
        fail "cannot download the packages $*"
    apt-get -qq -y -o Debug::NoLocking=1 --no-install-recommends --simulate install "$@" |
        sed -n 's/^Inst \([^ ]*\) (\([^ ]*\) .*\[\([a-z0-9]*\)\]).*$/\1_\2_\3/p' | sed 's/:/%3a/' | sort |
        sed "s|.*|$apt/cache/archives/&.deb|"
}
