# usage: iperf.sh BYTES [-R]: send so many bytes to the host's iperf3, or with -R receive them. Prints what programs/bench.h
# does: the time is the receiver's. The server refuses a test as long as it has not ended the one before.
# shellcheck shell=sh
for _ in 1 2 3 4 5 6 7 8 9 10; do
    # shellcheck disable=SC2086  # -R or nothing
    iperf3 -c 10.0.2.2 -p "$(cat /t/iperf.port)" -n "$1" $2 -f k > /tmp/iperf && break
    sleep 1
done
# "[  5]   0.00-1.25   sec   256 MBytes  1717986 Kbits/sec                  receiver"
line=$(grep receiver /tmp/iperf) || { cat /tmp/iperf; exit 1; }
# shellcheck disable=SC2086  # words
set -- $line
while [ "$2" != sec ]; do shift; done
seconds=${1#*-}
echo "time $(echo "$seconds" | tr -d .)0000000"
