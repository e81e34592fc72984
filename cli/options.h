/* The options of `ireko run` and `ireko dtb`: one table of facts, from which the parser, the help
 * and the suggestions come. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/compiler.h"
#include "base/err.h"
#include "base/log.h"
#include "host/serial.h"
#include "vmm/vm.h"

enum option_verb { OPTION_RUN = 1 << 0, OPTION_DTB = 1 << 1 };

/* What the command line says. Strings are argv's, except those of disks, folders, consoles
 * and firmware. */
struct run_options {
    struct vm_config vm; /* without serial port and alarms */
    const char *serial[SERIAL_MAX];
    unsigned serial_count;
    char *console[VM_MAX_CONSOLES]; /* where each vm.console is, as for --serial */
    unsigned stdio;                 /* how many are on standard input and output */
    enum log_level log_level;
    const char *out; /* ireko dtb --out */
    bool stats;      /* ireko run --stats */
    bool no_net;     /* --net none */
    bool no_code;    /* --keep none */
    bool help;
    uint64_t given; /* bit n: the n-th option of the table */
};

/* Set `o` to the defaults and parse argv[1..]. Looks at words only: whether files exist and values
 * fit the machine is for those who use them. 0, or negative errno and one sentence in `e`; either
 * way run_options_fini() afterwards. */
int run_options_parse(struct run_options *o, enum option_verb verb, int argc, char **argv,
                      struct err *e) MUST_CHECK;
void run_options_fini(struct run_options *o);

/* Print the table's rows for `verb`, grouped and aligned, at most 80 columns. */
void options_print_help(FILE *f, enum option_verb verb);

/* "512M": a number with an optional suffix K, M, G or T (powers of 1024). 0, -EINVAL or -ERANGE. */
int parse_size(const char *text, uint64_t *bytes) MUST_CHECK;

#endif
