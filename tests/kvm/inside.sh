#!/bin/sh
# Runs on the arm64 host that kvm_test.py boots: one step after the other, each between two marks on the console.
# usage: inside.sh STEP ...   (see kvm_test.py)
export IREKO_ENGINE=kvm
cd /kvm || exit 1

# guest CPUS GIC TRANSPORT COMMAND: Linux, with a disk of 8 MiB and the network that there is without an option. The numbers that it
# prints it has computed, so that the echo of the command line is no answer.
guest() {
    printf 'written by the host' > /tmp/disk
    dd if=/dev/zero of=/tmp/disk bs=1M seek=8 count=0 2>/dev/null
    ./ireko run --engine kvm --cpus "$1" --gic "$2" --transport "$3" --memory 256M --kernel Image --initrd initramfs \
        --disk /tmp/disk --append "ireko.cmd=\"$4\" quiet" < /dev/null
    status=$?
    echo "on the disk: $(dd if=/tmp/disk bs=512 skip=8 count=1 2>/dev/null | tr -d '\0')"
    return $status
}

# shellcheck disable=SC2016  # the guest expands it
write='echo written by the guest | dd of=/dev/vda bs=512 seek=8 conv=sync,fsync 2>/dev/null'
# shellcheck disable=SC2016
boot='echo sum $((6 * 7)), $(nproc) CPU; head -c 19 /dev/vda; echo; '$write'; '
# shellcheck disable=SC2016
boot=$boot'while ! grep -qs 10.0.2.3 /etc/resolv.conf; do usleep 100000; done; nc 10.0.2.2 8000 < /dev/null; '
# shellcheck disable=SC2016
boot=$boot'echo interrupts by $(grep virtio /proc/interrupts | grep -o -e ITS-MSI -e [^-]MSI -e GICv3 -e GIC-0 | sort -u)'
# The first life leaves something on the disk for the second.
# shellcheck disable=SC2016
reset='dd if=/dev/vda bs=512 skip=8 count=1 2>/dev/null | grep -q guest && echo life $((1 + 1)), $(nproc) CPU && poweroff -f; '$write'; reboot -f'

for step in "$@"; do
    echo "@@ begin $step"
    case $step in
    info) ./ireko info ;;
    hv-*) ./"$step" ;;
    uboot)
        # What it writes to the flash outlives a reset. Input that comes while it restarts may be lost, hence the blank lines.
        {
            printf 'x\nmw.l 40300000 6f766572; protect off 5fc0000 +1; erase 5fc0000 +1; cp.l 40300000 5fc0000 1; reset\n'
            printf '%64s' '' | tr ' ' '\n'
            printf 'md.l 5fc0000 2; poweroff\n'
        } | ./ireko run --engine kvm --firmware u-boot.bin,vars=/tmp/vars --memory 256M --net none
        ;;
    boot-* | reset-*)
        IFS=- read -r kind cpus gic transport <<END
$step
END
        [ "$kind" = boot ] && command=$boot || command=$reset
        echo "from the host's loopback" | nc -l -p 8000 &
        guest "$cpus" "$gic" "${transport:-mmio}" "$command"
        status=$?
        kill $! 2>/dev/null
        (exit $status)
        ;;
    esac
    echo "@@ end $step $? after $(cut -d' ' -f1 /proc/uptime)"
done
