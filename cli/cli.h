/* The verbs of the ireko program and what they share. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

#include "base/err.h"

/* Exit statuses; 128 + N when signal N stopped the program. */
enum cli_status {
    CLI_OK = 0,    /* for `run`: the guest powered off, or the user quit */
    CLI_ERROR = 1, /* it could not be done */
    CLI_USAGE = 2, /* the command line makes no sense */
};

/* A verb gets its own name as argv[0] and returns the exit status. */
struct verb {
    const char *name;
    const char *summary; /* one line of `ireko help` */
    int (*run)(int argc, char **argv);
};

extern const struct verb cli_verbs[];
extern const unsigned cli_verb_count;

int cli_run(int argc, char **argv);
int cli_hello(int argc, char **argv);
int cli_info(int argc, char **argv);
int cli_dtb(int argc, char **argv);
int cli_help(int argc, char **argv);
int cli_version(int argc, char **argv);

/* Print the page of `verb`. CLI_OK, or CLI_USAGE if there is no such verb. */
int cli_help_verb(const char *verb);

/* The one place where an error is printed: "ireko: <sentence>". Returns `status`. */
int cli_fail(enum cli_status status, const struct err *e);

/* A verb that takes no arguments got some? Then complain and return true. */
bool cli_has_arguments(int argc, char **argv);

#endif
