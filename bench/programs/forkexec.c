/* fork, exec of this same program, exit, wait. */
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

#define CHILDREN 300

int main(int argc, char **argv)
{
    if (argc > 1)
        return atoi(argv[1]);
    uint64_t start = bench_now();
    uint64_t sum = 0;
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child < 0)
            bench_fail("fork");
        if (child == 0) {
            char code[12];
            snprintf(code, sizeof code, "%d", i % 100);
            execl("/proc/self/exe", argv[0], code, (char *)NULL);
            _exit(127);
        }
        int status;
        if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
            bench_fail("waitpid");
        sum += (unsigned)WEXITSTATUS(status);
    }
    return bench_report(start, sum);
}
