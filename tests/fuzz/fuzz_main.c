/*
 * The fuzz target without libFuzzer: replay the files named, then make up inputs for a while.
 *
 * usage: mmio_test [--seconds N] [--seed N] [FILE ...]
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

#include "base/bytes.h"
#include "base/clock.h"
#include "base/compiler.h"
#include "tests/fuzz/mmio_fuzz.h"

#define MAX_RECORDS 256

static uint64_t next_random(uint64_t *state)
{
    *state += 0x9e3779b97f4a7c15;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Offsets mostly where registers are: random ones seldom hit any. */
static uint16_t random_offset(uint64_t r)
{
    static const uint16_t hot[][2] = {
        { 0x000, 0x04c }, { 0x400, 0x424 }, { 0x000, 0x100 }, { 0x080, 0xd00 },  { 0xd00, 0xf30 },
        { 0x100, 0x140 }, { 0x000, 0x02c }, { 0x0d0, 0x100 }, { 0xfd0, 0x1004 },
    };
    unsigned i = (unsigned)(r % (ARRAY_LEN(hot) + 1));
    if (i == ARRAY_LEN(hot))
        return (uint16_t)(r >> 16);
    uint16_t offset = (uint16_t)(hot[i][0] + (r >> 16) % (uint16_t)(hot[i][1] - hot[i][0]));
    return r >> 60 ? offset & 0xfffc : offset;
}

/* Values mostly small, or a few bits: registers are made of fields. */
static uint64_t random_value(uint64_t r)
{
    switch (r >> 62) {
    case 0:
        return 1ull << (r & 63);
    case 1:
        return r & 0x3ff;
    case 2:
        return r & r << 7 & 0xffffffff;
    default:
        return r;
    }
}

static size_t make_input(uint64_t seed, uint8_t *data)
{
    uint64_t state = seed;
    size_t records = 1 + next_random(&state) % MAX_RECORDS;
    for (size_t i = 0; i < records; i++) {
        uint8_t *p = data + i * FUZZ_RECORD;
        uint64_t r = next_random(&state);
        /* Words twice as often as they would be. */
        uint8_t width = r & 0x100 ? 2 : (r >> 9 & 3);
        p[0] = (uint8_t)((r & 15) | (unsigned)width << 4);
        p[1] = (uint8_t)(r >> 16);
        st_le16(p + 2, random_offset(next_random(&state)));
        st_le64(p + 4, random_value(next_random(&state)));
    }
    return records * FUZZ_RECORD;
}

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
        uint8_t data[MAX_RECORDS * FUZZ_RECORD];
        size_t n = make_input(first_seed + (uint64_t)seed_index, data);
        LLVMFuzzerTestOneInput(data, n);
    }
    printf("%d files and %d made-up inputs\n", files, (int)seed_index);
    return 0;
}
