#!/bin/sh
# Compile every header of our own alone: it must include what it uses.
set -eu
cd "$(dirname "$0")/.."
generated=$(mktemp -d)
trap 'rm -rf "$generated"' EXIT
mkdir -p "$generated/soft/interp"
python3 soft/decodegen.py --formats soft/interp/formats.c soft/a64.decode \
    "$generated/soft/interp/a64_ops.h" "$generated/soft/interp/a64_ops.c" >/dev/null
bad=0
flags=$(pkg-config --cflags libuv)
for h in $(git ls-files '*.h'); do
    case $h in kvm/*) [ "$(uname)" = Linux ] || continue ;; esac
    # shellcheck disable=SC2086  # the flags are words
    echo "#include \"$h\"" | ${CC:-cc} -std=gnu17 -D_GNU_SOURCE -Wall -Wextra -Werror -I. -Iinclude -I"$generated" $flags \
        -fsyntax-only -x c - || { echo "$h does not stand alone"; bad=1; }
done
exit $bad
