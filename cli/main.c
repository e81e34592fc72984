/* ireko: choose the verb. */
#include "cli/cli.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/compiler.h"
#include "cli/suggest.h"

const struct verb cli_verbs[] = {
    { "run", "boot an arm64 kernel in a virtual machine", cli_run },
    { "hello", "the smallest guest, two instructions, step by step", cli_hello },
    { "info", "this version, this host, and what runs guests here", cli_info },
    { "dtb", "print or write the device tree a guest would get", cli_dtb },
    { "help", "explain ireko, or a verb: ireko help run", cli_help },
    { "version", "print the version", cli_version },
};
const unsigned cli_verb_count = ARRAY_LEN(cli_verbs);

/* What people type out of habit. */
static const struct {
    const char *word, *verb;
} aliases[] = {
    { "-h", "help" },
    { "--help", "help" },
    { "-V", "version" },
    { "--version", "version" },
};

int cli_fail(enum cli_status status, const struct err *e)
{
    fprintf(stderr, "ireko: %s\n", e->text);
    return status;
}

bool cli_has_arguments(int argc, char **argv)
{
    struct err e;
    if (argc < 2)
        return false;
    err_set(&e, 0, "'%s' takes no arguments, but '%s' was given", argv[0], argv[1]);
    cli_fail(CLI_USAGE, &e);
    return true;
}

/* A standard descriptor that is closed would be given to the next file we open: guest output would
 * then go into a disk image. */
static bool open_standard_descriptors(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
    return fd >= 0;
}

static int unknown_verb(const char *word)
{
    const char *names[ARRAY_LEN(cli_verbs)];
    for (unsigned i = 0; i < cli_verb_count; i++)
        names[i] = cli_verbs[i].name;
    const char *meant = suggest(word, names, cli_verb_count);
    struct err e;
    if (meant)
        err_set(&e, 0, "there is no verb '%s'; did you mean '%s'?", word, meant);
    else
        err_set(&e, 0, "there is no verb '%s'; 'ireko help' lists what there is", word);
    return cli_fail(CLI_USAGE, &e);
}

int main(int argc, char **argv)
{
    if (!open_standard_descriptors())
        return CLI_ERROR;
    /* A reader that goes away is an error of that write, not the end of the program. */
    signal(SIGPIPE, SIG_IGN);

    const char *word = argc > 1 ? argv[1] : "help";
    for (size_t i = 0; i < ARRAY_LEN(aliases); i++) {
        if (strcmp(word, aliases[i].word) == 0)
            word = aliases[i].verb;
    }
    for (unsigned i = 0; i < cli_verb_count; i++) {
        if (strcmp(word, cli_verbs[i].name) != 0)
            continue;
        if (argc == 3 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0))
            return cli_help_verb(word);
        return cli_verbs[i].run(argc > 1 ? argc - 1 : argc, argc > 1 ? argv + 1 : argv);
    }
    return unknown_verb(word);
}
