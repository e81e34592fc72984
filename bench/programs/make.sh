# A C project of 16 files, built with $1 jobs. A first build is not timed: it is to be work that both CPUs know.
# shellcheck shell=sh
set -eu
rm -rf project
mkdir project
cd project
i=0
while [ $i -lt 16 ]; do
    sed "s/main(void)/part$i(void)/" "$T/core.c" > p$i.c
    i=$((i + 1))
done
cp "$T/bench.h" .
printf 'all: %s\n%%.o: %%.c\n\tgcc -O2 -c -o $@ $<\n' "$(echo p*.c | sed 's/\.c/.o/g')" > Makefile
make -s -j 2
rm p*.o
start=$(date +%s%N)
make -s -j "$1"
echo time $(($(date +%s%N) - start))
echo p*.o
