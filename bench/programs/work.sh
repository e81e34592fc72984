# As configure scripts do: many small programs, here documents, substitutions, loops, tests.
# shellcheck shell=sh
work=$(mktemp -d)
cd "$work" || exit 1
n=0
while [ "$n" -lt 25 ]; do
    cat > "conf$n.h.in" <<END
#undef HAVE_$n
#define VERSION_$n "@version@"
END
    sed -e "s/#undef HAVE_$n/#define HAVE_$n 1/" -e "s/@version@/1.$n/" "conf$n.h.in" > "conf$n.h"
    if grep -q "VERSION_$n \"1.$n\"" "conf$n.h" && test -f "conf$n.h.in"; then
        names="$names $(basename "conf$n.h" .h | tr '[:lower:]' '[:upper:]')"
    fi
    # shellcheck disable=SC2003  # a process is wanted
    n=$(expr "$n" + 1)
done
echo "$names" | wc -w
i=0 sum=0
while [ $i -lt 15000 ]; do
    case $i in
    *7) sum=$((sum + i)) ;;
    *) sum=$((sum ^ 5)) ;;
    esac
    i=$((i + 1))
done
echo $sum
cat conf*.h | sort | cut -d' ' -f2 | head -n 3
cd / && rm -r "$work"
