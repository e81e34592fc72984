// What gdb steps through and perf counts.
#include <stdio.h>
#include <stdlib.h>

static int total;
static long array[4];

static int add(int n)
{
    int square = n * n;
    total += square;
    return total;
}

// Exactly 4 instructions in each turn.
__attribute__((noinline)) static void spin(long turns)
{
#ifdef __aarch64__
    asm volatile("1: subs %0, %0, #1\n\tnop\n\tnop\n\tb.ne 1b" : "+r"(turns) : : "cc");
#endif
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        spin(atol(argv[1]));
        return 0;
    }
    for (int i = 1; i <= 5; i++)
        add(i);
    for (int i = 0; i < 4; i++)
        array[i] = i * 100 + total;
    printf("total %d\n", total);
    return 0;
}
