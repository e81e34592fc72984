# Breakpoints, steps of both kinds, watchpoints and hardware breakpoints; lines with == or Hardware are the answer.
set pagination off
set confirm off
set breakpoint pending off
break add if n == 3
run
printf "== stopped n=%d total=%d\n", n, total
next
printf "== next square=%d\n", square
next
printf "== next total=%d\n", total
up
printf "== up i=%d\n", i
down
finish
printf "== finished i=%d total=%d\n", i, total
delete
set $sp0 = $sp
set $count = 0
while $count < 12
  stepi
  set $count = $count + 1
end
printf "== stepi %d same stack or below %d\n", $count, $sp <= $sp0
watch total
continue
printf "== watch total=%d\n", total
continue
printf "== watch total=%d\n", total
delete
watch array[2]
continue
printf "== watch array=%ld\n", array[2]
delete
rwatch array[3]
awatch array[3]
continue
printf "== awatch array=%ld\n", array[3]
delete
start
hbreak add
continue
printf "== hbreak n=%d total=%d\n", n, total
continue
printf "== hbreak n=%d total=%d\n", n, total
delete
set var total = 1000
print add(7)
printf "== called total=%d\n", total
continue
