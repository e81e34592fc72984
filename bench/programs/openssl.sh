# `openssl speed` as a time: what AMOUNT takes at the speed that it reports.
# shellcheck shell=sh
# usage: openssl.sh AMOUNT ARGUMENT ...   bytes of a cipher or hash, or operations; of several speeds, the first
amount=$1
shift
line=$(openssl speed -mr -seconds 1 "$@" 2>/dev/null | grep '^+F' | head -n 1)
# +F:number:name:bytes/s, +F2:number:bits:sign/s:verify/s, +F5:number:bits:op/s:s
speed=$(echo "$line" | cut -d: -f4)
speed=${speed%%.*}
[ "${speed:-0}" -gt 0 ] || exit 1
echo "time $((amount * 1000000000 / speed))"
