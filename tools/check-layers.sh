#!/bin/sh
# Check every #include of our own folders against tools/layers.txt; print what points the wrong way.
# usage: tools/check-layers.sh (from anywhere in the tree)
set -eu
cd "$(dirname "$0")/.."
git ls-files '*.c' '*.h' '*.S' | xargs grep -n '^[[:space:]]*#[[:space:]]*include' /dev/null | awk -v rules=tools/layers.txt '
BEGIN {
    while ((getline line < rules) > 0) {
        if (line ~ /^#/ || line ~ /^[ \t]*$/) continue
        split(line, part, ":"); gsub(/[ \t]/, "", part[1])
        known[part[1]] = 1; may[part[1]] = " " part[2] " "
    }
}
{
    split($0, where, ":"); file = where[1]
    folder = file; sub(/\/.*/, "", folder)
    if (!match($0, /["<][^">]*[">]/)) next
    target = substr($0, RSTART + 1, RLENGTH - 2)
    from = target; sub(/\/.*/, "", from)
    if (from == "Hypervisor") from = "include"
    if (!(from in known) || !(folder in known) || from == folder) next
    if (index(may[folder], " * ") || index(may[folder], " " from " ") || index(may[folder], " " target " ")) next
    print file ":" where[2] ": " folder "/ may not include " target; bad = 1
}
END { exit bad }'
