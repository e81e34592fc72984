/* ireko help: what there is, and how to start. */
#include <stdio.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/cli.h"
#include "cli/options.h"

static void help_overview(FILE *f)
{
    fputs("ireko boots arm64 Linux in a virtual machine, on any host.\n"
          "\n"
          "usage: ireko VERB [options]\n"
          "\n",
          f);
    for (unsigned i = 0; i < cli_verb_count; i++)
        fprintf(f, "  %-9s %s\n", cli_verbs[i].name, cli_verbs[i].summary);
    fputs("\n"
          "Start here\n"
          "  ireko hello                                   see a guest of two instructions\n"
          "  ireko run --kernel Image --initrd initramfs   boot Linux\n"
          "  ireko help run                                every option, and examples\n"
          "\n"
          "The manual page is ireko(1).\n",
          f);
}

static void help_run(FILE *f)
{
    fputs("usage: ireko run --kernel FILE [options]\n"
          "       ireko run --firmware FILE [options]\n"
          "       ireko run --disk FILE [options]\n"
          "\n"
          "Boot an arm64 kernel, firmware, or a disk. The terminal is the guest's console.\n",
          f);
    options_print_help(f, OPTION_RUN);
    fputs("\n"
          "Keys\n"
          "  Ctrl-A x           stop the virtual machine now\n"
          "  Ctrl-A p           press its power key\n"
          "  Ctrl-A s           show what it has done so far, as --stats does at the end\n"
          "  Ctrl-A h           help\n"
          "  Ctrl-A Ctrl-A      send one Ctrl-A\n"
          "\n"
          "Examples\n"
          "  ireko run --disk debian.img --net user,forward=tcp:2222:22\n"
          "  ireko run --kernel Image --initrd initramfs\n"
          "  ireko run --kernel vmlinuz --disk root.img --append root=/dev/vda\n"
          "  ireko run --kernel Image --disk root.img --disk data.img,ro --memory 4G\n"
          "  ireko run --kernel Image --disk root.img --net user,forward=tcp:2222:22\n"
          "  ireko run --firmware AAVMF_CODE.fd,vars=my.vars --disk debian.img\n"
          "  ireko run --kernel Image --serial stdio --serial file:boot.log\n"
          "\n"
          "Exit status: 0 when the guest powers off or you quit, 1 on an error,\n"
          "2 when the options make no sense, 128 + N when signal N stopped it.\n"
          "A first SIGTERM, SIGINT or SIGHUP presses the power key; a second one, or\n"
          "two minutes, stops the guest.\n",
          f);
}

static void help_dtb(FILE *f)
{
    fputs("usage: ireko dtb [options]\n"
          "\n"
          "Print the device tree that a guest with these options would get, as source.\n",
          f);
    options_print_help(f, OPTION_DTB);
    fputs("\n"
          "Examples\n"
          "  ireko dtb\n"
          "  ireko dtb --cpus 4 --memory 2G --out machine.dtb\n",
          f);
}

static void help_info(FILE *f)
{
    fputs("usage: ireko info [--cpu]\n"
          "\n"
          "Print this version, this host, what can run guests here, and its limits.\n"
          "With --cpu, print instead what the guest's CPU has, feature by feature.\n",
          f);
}

static const struct {
    const char *verb;
    void (*print)(FILE *f);
} pages[] = {
    { "run", help_run },
    { "dtb", help_dtb },
    { "info", help_info },
};

int cli_help_verb(const char *verb)
{
    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (strcmp(verb, pages[i].verb) == 0) {
            pages[i].print(stdout);
            return CLI_OK;
        }
    }
    for (unsigned i = 0; i < cli_verb_count; i++) {
        if (strcmp(verb, cli_verbs[i].name) == 0) {
            printf("usage: ireko %s\n\n%s: %s\n", verb, verb, cli_verbs[i].summary);
            return CLI_OK;
        }
    }
    struct err e;
    err_set(&e, 0, "there is no verb '%s'; 'ireko help' lists what there is", verb);
    return cli_fail(CLI_USAGE, &e);
}

int cli_help(int argc, char **argv)
{
    if (argc > 1)
        return cli_help_verb(argv[1]);
    help_overview(stdout);
    return CLI_OK;
}
