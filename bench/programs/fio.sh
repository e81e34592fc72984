# usage: fio.sh HOW BLOCK BYTES KIND: so many bytes by fio on the scratch disk that is a KIND image, around the guest's page
# cache. Prints what programs/bench.h does: the time is fio's own, as its start is not what is measured.
# shellcheck shell=sh
case $4 in
raw) sectors=524288 ;;
qcow2) sectors=655360 ;;
esac
for disk in /sys/block/vd*; do
    [ "$(cat "$disk/size")" != "$sectors" ] || name=${disk##*/}
done
[ -n "$name" ] || { echo "no scratch disk"; exit 127; }
fio --name=row --filename="/dev/$name" --direct=1 --ioengine=psync --rw="$1" --bs="$2" --size=256m --io_size="$3" --minimal > /tmp/fio || exit 1
case $1 in
*read) field=9 bytes=6 ;; # of the terse output, version 3: milliseconds, KiB
*write) field=50 bytes=47 ;;
esac
echo "time $(cut -d ';' -f "$field" /tmp/fio)000000"
echo "KiB $(cut -d ';' -f "$bytes" /tmp/fio)"
