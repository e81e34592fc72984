/*
 * A fuzz target without libFuzzer: replay the files named, then make up inputs for a while.
 *
 * usage: TARGET_play [--seconds N] [--seed N] [FILE ...]
 *
 * The inputs are a function of the seed alone; the seed of the input under way is on stderr when
 * the process dies, for `--seed`.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/fuzz/fuzz.h"

static int replay(const char *path)
{
    static uint8_t data[1 << 20];
    FILE *f = fopen(path, "rb");
    if (!f) {
        perror(path);
        return -1;
    }
    size_t n = fread(data, 1, sizeof data, f);
    fclose(f);
    /* Exactly as many bytes as there are, so that a sanitizer sees a read past the end. */
    uint8_t *copy = malloc(n ? n : 1);
    if (!copy)
        return -1;
    memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
    return 0;
}

static volatile sig_atomic_t seed_index;
static uint64_t first_seed;

/* Say which input did it, then die of the signal after all. */
static void on_crash(int sig)
{
    char text[64];
    int n = snprintf(text, sizeof text, "crashed at --seed %" PRIu64 "\n",
                     first_seed + (uint64_t)seed_index);
    ssize_t ignored = write(STDERR_FILENO, text, (size_t)n);
    (void)ignored;
    signal(sig, SIG_DFL);
    raise(sig);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        { "seconds", required_argument, NULL, 's' },
        { "seed", required_argument, NULL, 'r' },
        { NULL, 0, NULL, 0 },
    };
    uint64_t seconds = 3;
    first_seed = 1;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (c == 's')
            seconds = strtoull(optarg, NULL, 0);
        else if (c == 'r')
            first_seed = strtoull(optarg, NULL, 0);
        else
            return 2;
    }
    int files = 0;
    for (int i = optind; i < argc; i++, files++)
        if (replay(argv[i]) < 0)
            return 1;
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    uint64_t end = clock_monotonic_ns() + seconds * 1000000000;
    for (; clock_monotonic_ns() < end; seed_index++) {
        uint8_t data[FUZZ_INPUT_MAX];
        size_t n = fuzz_make_input(first_seed + (uint64_t)seed_index, data);
        LLVMFuzzerTestOneInput(data, n);
    }
    printf("%d files and %d made-up inputs\n", files, (int)seed_index);
    return 0;
}
