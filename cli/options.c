/* The option table of `ireko run` and `ireko dtb`. To add an option, add a row. */
#include "cli/options.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/compiler.h"
#include "cli/disk_spec.h"
#include "cli/share_spec.h"
#include "cli/specs.h"
#include "cli/suggest.h"
#include "host/net_spec.h"

enum group { GROUP_BOOT, GROUP_MACHINE, GROUP_DEVICES, GROUP_OTHER, GROUPS };

static const char *const group_names[GROUPS] = {
    [GROUP_BOOT] = "What to boot",
    [GROUP_MACHINE] = "The machine",
    [GROUP_DEVICES] = "Disks, folders, network and console",
    [GROUP_OTHER] = "Other",
};

struct option {
    const char *name;     /* without the dashes */
    const char *argument; /* what follows it, for the help; NULL: nothing */
    enum group group;
    unsigned verbs; /* enum option_verb */
    bool repeatable;
    const char *help; /* lines of at most 56 columns, separated by '\n' */
    /* `value` is NULL exactly if `argument` is. */
    int (*parse)(struct run_options *o, const struct option *option, const char *value,
                 struct err *e);
    size_t offset; /* parse_string, parse_bytes: where in struct run_options */
};

int parse_size(const char *text, uint64_t *bytes)
{
    static const char suffixes[] = "KMGT";
    if (!isdigit((unsigned char)text[0]))
        return -EINVAL;
    char *end;
    errno = 0;
    unsigned long long n = strtoull(text, &end, 10);
    if (errno)
        return -ERANGE;
    unsigned shift = 0;
    if (*end) {
        const char *suffix = strchr(suffixes, toupper((unsigned char)*end));
        if (!suffix || end[1])
            return -EINVAL;
        shift = 10 * (unsigned)(suffix - suffixes + 1);
    }
    if (n > UINT64_MAX >> shift)
        return -ERANGE;
    *bytes = (uint64_t)n << shift;
    return 0;
}

static int parse_string(struct run_options *o, const struct option *option, const char *value,
                        struct err *e)
{
    if (!value[0] && option->offset != offsetof(struct run_options, vm.cmdline))
        return err_set(e, -EINVAL, "--%s needs a %s, but it is empty", option->name,
                       option->argument);
    memcpy((char *)o + option->offset, &value, sizeof value);
    return 0;
}

static int parse_bytes(struct run_options *o, const struct option *option, const char *value,
                       struct err *e)
{
    uint64_t *bytes = (uint64_t *)(void *)((char *)o + option->offset);
    int r = parse_size(value, bytes);
    if (r == -ERANGE)
        return err_set(e, r, "--%s %s: that is more than 64 bits can count", option->name, value);
    if (r < 0)
        return err_set(e, r, "--%s %s: write a number with K, M, G or T, as in 512M", option->name,
                       value);
    return 0;
}

static int parse_firmware(struct run_options *o, const struct option *option, const char *value,
                          struct err *e)
{
    static const char word[] = ",vars=";
    const char *vars = strstr(value, word);
    if (vars == value || !value[0])
        return err_set(e, -EINVAL, "--%s needs a FILE, but it is empty", option->name);
    if (vars && !vars[strlen(word)])
        return err_set(e, -EINVAL, "--%s: ',vars=' needs a FILE for the variables after it",
                       option->name);
    o->vm.firmware = vars ? strndup(value, (size_t)(vars - value)) : strdup(value);
    o->vm.firmware_vars = vars ? vars + strlen(word) : NULL;
    return o->vm.firmware ? 0 : err_set(e, -ENOMEM, "not enough memory");
}

static int parse_cpus(struct run_options *o, const struct option *option, const char *value,
                      struct err *e)
{
    uint64_t n;
    size_t length = strlen(value);
    if (length == 0 || strspn(value, "0123456789") != length || parse_size(value, &n) < 0 ||
        n == 0 || n > UINT16_MAX)
        return err_set(e, -EINVAL, "--%s %s: write a number, 1 or more", option->name, value);
    o->vm.cpus = (unsigned)n;
    return 0;
}

/* The index of `value` in `names` (ended by NULL), or -EINVAL and a sentence. */
static int choose(const struct option *option, const char *value, const char *const *names,
                  struct err *e)
{
    char list[128] = "";
    for (int i = 0; names[i]; i++) {
        if (strcmp(value, names[i]) == 0)
            return i;
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%s",
                 i == 0         ? ""
                 : names[i + 1] ? ", "
                                : " or ",
                 names[i]);
    }
    return err_set(e, -EINVAL, "--%s %s: it is %s", option->name, value, list);
}

static int parse_gic(struct run_options *o, const struct option *option, const char *value,
                     struct err *e)
{
    static const char *const names[] = { "v2", "v3", "v3,its", NULL };
    int i = choose(option, value, names, e);
    if (i < 0)
        return i;
    o->vm.gic = i == 0 ? VM_GIC_V2 : VM_GIC_V3;
    o->vm.its = i == 2;
    return 0;
}

static int parse_transport(struct run_options *o, const struct option *option, const char *value,
                           struct err *e)
{
    static const char *const names[] = { "mmio", "pci", NULL };
    int i = choose(option, value, names, e);
    if (i < 0)
        return i;
    o->vm.transport = (enum vm_transport)i; /* in the order of enum vm_transport */
    return 0;
}

static int parse_engine(struct run_options *o, const struct option *option, const char *value,
                        struct err *e)
{
    static const char *const names[] = { "jit", "interp", "check", "kvm", NULL };
    int i = choose(option, value, names, e);
    if (i < 0)
        return i;
    o->vm.engine = names[i];
    return 0;
}

static int parse_log(struct run_options *o, const struct option *option, const char *value,
                     struct err *e)
{
    static const char *const names[] = { "error", "warn", "info", "debug", NULL };
    int i = choose(option, value, names, e);
    if (i < 0)
        return i;
    o->log_level = (enum log_level)i; /* in the order of enum log_level */
    return 0;
}

static int parse_disk(struct run_options *o, const struct option *option, const char *value,
                      struct err *e)
{
    if (o->vm.disk_count == VM_MAX_DISKS)
        return err_set(e, -E2BIG, "--%s: there can be at most %d disks", option->name,
                       VM_MAX_DISKS);
    char *path = strdup(value);
    if (!path)
        return err_set(e, -ENOMEM, "not enough memory");
    return disk_spec_parse(path, &o->vm.disk[o->vm.disk_count++], e);
}

static int parse_share(struct run_options *o, const struct option *option, const char *value,
                       struct err *e)
{
    if (o->vm.share_count == VM_MAX_SHARES)
        return err_set(e, -E2BIG, "--%s: there can be at most %d folders", option->name,
                       VM_MAX_SHARES);
    char *text = strdup(value);
    if (!text)
        return err_set(e, -ENOMEM, "not enough memory");
    struct share_options *share = &o->vm.share[o->vm.share_count++];
    int r = share_spec_parse(text, share, e);
    for (unsigned i = 0; r == 0 && i + 1 < o->vm.share_count; i++)
        if (strcmp(o->vm.share[i].tag, share->tag) == 0)
            r = err_set(e, -EINVAL, "--%s: the tag '%s' is given twice", option->name, share->tag);
    return r;
}

static int parse_serial(struct run_options *o, const struct option *option, const char *value,
                        struct err *e)
{
    if (o->serial_count == SERIAL_MAX)
        return err_set(e, -E2BIG, "--%s: there can be at most %d", option->name, SERIAL_MAX);
    o->serial[o->serial_count++] = value;
    o->stdio += strcmp(value, "stdio") == 0;
    return 0;
}

static int parse_console(struct run_options *o, const struct option *option, const char *value,
                         struct err *e)
{
    unsigned n = o->vm.console_count;
    if (n == VM_MAX_CONSOLES)
        return err_set(e, -E2BIG, "--%s: there can be at most %d", option->name, VM_MAX_CONSOLES);
    o->console[n] = strdup(value);
    if (!o->console[n])
        return err_set(e, -ENOMEM, "not enough memory");
    o->vm.console_count++;
    int r = spec_parse_console(o->console[n], &o->vm.console[n], e);
    o->stdio += strcmp(o->console[n], "stdio") == 0;
    return r;
}

static int parse_keep(struct run_options *o, const struct option *option, const char *value,
                      struct err *e)
{
    o->no_code = strcmp(value, "none") == 0;
    return o->no_code ? 0 : parse_string(o, option, value, e);
}

static int parse_net(struct run_options *o, const struct option *option, const char *value,
                     struct err *e)
{
    struct net_spec spec;
    int r = net_spec_parse(value, &spec, e);
    if (r < 0)
        return r;
    if (o->no_net || (spec.kind == NET_NONE && o->vm.net_count > 0))
        return err_set(e, -EINVAL, "--%s none cannot be combined with another one", option->name);
    o->no_net = spec.kind == NET_NONE;
    if (o->no_net)
        return 0;
    if (o->vm.net_count == VM_MAX_NETS)
        return err_set(e, -E2BIG, "--%s: there can be at most %d networks", option->name,
                       VM_MAX_NETS);
    o->vm.net[o->vm.net_count++] = value;
    return 0;
}

static int parse_pmem(struct run_options *o, const struct option *option, const char *value,
                      struct err *e)
{
    if (o->vm.pmem_count == VM_MAX_PMEMS)
        return err_set(e, -E2BIG, "--%s: there can be at most %d", option->name, VM_MAX_PMEMS);
    char *path = strdup(value);
    if (!path)
        return err_set(e, -ENOMEM, "not enough memory");
    return spec_parse_pmem(path, &o->vm.pmem[o->vm.pmem_count++], e);
}

static int parse_vsock(struct run_options *o, const struct option *option, const char *value,
                       struct err *e)
{
    (void)option;
    return spec_parse_vsock(value, &o->vm.vsock, e);
}

static int parse_stats(struct run_options *o, const struct option *option, const char *value,
                       struct err *e)
{
    (void)option;
    (void)value;
    (void)e;
    o->stats = true;
    return 0;
}

static int parse_help(struct run_options *o, const struct option *option, const char *value,
                      struct err *e)
{
    (void)option;
    (void)value;
    (void)e;
    o->help = true;
    return 0;
}

#define BOTH (OPTION_RUN | OPTION_DTB)

/* clang-format off */
static const struct option options[] = {
    { "kernel", "FILE", GROUP_BOOT, BOTH, false,
      "the kernel: an arm64 Image (plain, gzip or zstd), an\nEFI zboot image, or an ELF file",
      parse_string, offsetof(struct run_options, vm.kernel) },
    { "initrd", "FILE", GROUP_BOOT, BOTH, false,
      "the initial RAM disk",
      parse_string, offsetof(struct run_options, vm.initrd) },
    { "append", "TEXT", GROUP_BOOT, BOTH, false,
      "the kernel's command line; console=ttyAMA0 is added\nif it names no console",
      parse_string, offsetof(struct run_options, vm.cmdline) },
    { "firmware", "FILE", GROUP_BOOT, BOTH, false,
      "boot UEFI or U-Boot, as built for QEMU's 'virt'\nmachine, and from there a disk or the --kernel. With a\ndisk and no kernel the default is UEFI, if installed.\nAfter FILE may follow:\n"
      "vars=FILE    keep its variables there",
      parse_firmware, 0 },
    { "dtb", "FILE", GROUP_BOOT, BOTH, false,
      "a device tree to use instead of ireko's own",
      parse_string, offsetof(struct run_options, vm.dtb) },

    { "memory", "SIZE", GROUP_MACHINE, BOTH, false,
      "RAM, as in 512M or 4G (default 1G)",
      parse_bytes, offsetof(struct run_options, vm.memory) },
    { "balloon", "SIZE", GROUP_MACHINE, BOTH, false,
      "RAM that the guest leaves to the host until it runs out\n(default 0; what it has free goes back in any case)",
      parse_bytes, offsetof(struct run_options, vm.balloon) },
    { "cpus", "N", GROUP_MACHINE, BOTH, false,
      "virtual CPUs (default 1)",
      parse_cpus, 0 },
    { "cpu", "MODEL", GROUP_MACHINE, BOTH, false,
      "the guest's CPU, as in ireko-v1,pauth,bti (default\nireko-v2; 'ireko info --cpu' lists the features)",
      parse_string, offsetof(struct run_options, vm.cpu) },
    { "gic", "VERSION", GROUP_MACHINE, BOTH, false,
      "interrupt controller: v2, v3, or v3,its with an ITS\n(default: the best of v2 and v3 that this host has)",
      parse_gic, 0 },
    { "transport", "NAME", GROUP_MACHINE, BOTH, false,
      "how the guest finds disks, network and the like: mmio\n(default; virtio-mmio) or pci (virtio-pci, with MSI-X)",
      parse_transport, 0 },
    { "engine", "NAME", GROUP_MACHINE, BOTH, false,
      "what executes the guest: jit, interp, check or kvm\n(default: the fastest; 'ireko info' tells)",
      parse_engine, 0 },

    { "disk", "FILE[,...]", GROUP_DEVICES, BOTH, true,
      "an image or block device as virtio disk; repeat for\nmore: vda, vdb, ... After FILE may follow:\n"
      "ro           the guest can only read it\n"
      "overlay      changes go to a temporary file\n"
      "format=NAME  raw (default) or qcow2\n"
      "backing      a qcow2 image's backing files are read\n"
      "cache=MODE   writeback, writethrough, none or unsafe\n"
      "iops=N       at most so many requests a second\n"
      "bps=SIZE     at most so many bytes a second",
      parse_disk, 0 },
    { "net", "HOW", GROUP_DEVICES, BOTH, true,
      "the network: user (default; NAT, DHCP, DNS, no rights\nneeded), with ports of the host that lead to the guest:\nuser,forward=tcp:2222:22; tap,name=tap0;\nunix,path=SOCKET for passt and others; or none",
      parse_net, 0 },
    { "pmem", "FILE[,ro]", GROUP_DEVICES, BOTH, true,
      "a file in the guest's memory, /dev/pmem0: read and\nwritten without copies; repeat for more",
      parse_pmem, 0 },
    { "console", "WHERE", GROUP_DEVICES, BOTH, true,
      "a virtio console, where --serial could be: hvc0 in\nthe guest; repeat for more. With ',name=NAME' behind\n"
      "it a port for programs, /dev/virtio-ports/NAME",
      parse_console, 0 },
    { "vsock", "path=PATH", GROUP_DEVICES, BOTH, false,
      "sockets between host and guest: programs connect to\nPATH and send 'CONNECT port'; the guest's connections\n"
      "to port P come to PATH_P; ',cid=N' may follow",
      parse_vsock, 0 },
    { "share", "PATH,tag=T", GROUP_DEVICES, BOTH, true,
      "a folder of the host; the guest has it by\n'mount -t virtiofs T /mnt'. ',ro': only to be read;\n',uid=N,gid=N': whose your files are there",
      parse_share, 0 },
    { "serial", "WHERE", GROUP_DEVICES, OPTION_RUN, true,
      "the serial console: stdio (default), file:PATH, pty,\nunix:PATH (a socket), or none; repeat for several at\nonce",
      parse_serial, 0 },

    { "out", "FILE", GROUP_OTHER, OPTION_DTB, false,
      "write the binary tree (a .dtb) to FILE",
      parse_string, offsetof(struct run_options, out) },
    { "log", "LEVEL", GROUP_OTHER, BOTH, false,
      "how much to tell on standard error: error, warn\n(default), info or debug",
      parse_log, 0 },
    { "stats", NULL, GROUP_OTHER, OPTION_RUN, false,
      "tell at the end what the virtual machine has done",
      parse_stats, 0 },
    { "trace", "FILE", GROUP_OTHER, OPTION_RUN, false,
      "write all code that --engine jit translates to FILE,\nthe guest's instructions and the host's bytes",
      parse_string, offsetof(struct run_options, vm.trace) },
    { "keep", "FOLDER", GROUP_OTHER, OPTION_RUN, false,
      "where code that --engine jit translates is kept for\nlater runs (default ~/.cache/ireko/code); or none",
      parse_keep, offsetof(struct run_options, vm.code) },
    { "help", NULL, GROUP_OTHER, BOTH, false,
      "this help",
      parse_help, 0 },
};
/* clang-format on */

_Static_assert(ARRAY_LEN(options) <= 64, "run_options.given has a bit for each option");

static const char *verb_name(enum option_verb verb)
{
    return verb == OPTION_RUN ? "run" : "dtb";
}

/* The option that `word` ("--memory", "--memory=1G", "-h") names, or NULL. */
static const struct option *option_find(const char *word, unsigned verbs)
{
    if (strcmp(word, "-h") == 0)
        word = "--help";
    if (strncmp(word, "--", 2) != 0)
        return NULL;
    size_t n = strcspn(word + 2, "=");
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (options[i].verbs & verbs && strlen(options[i].name) == n &&
            memcmp(options[i].name, word + 2, n) == 0)
            return &options[i];
    }
    return NULL;
}

static int unknown_option(const char *word, enum option_verb verb, struct err *e)
{
    const char *names[ARRAY_LEN(options)];
    size_t n = 0;
    if (word[0] != '-')
        return err_set(e, -EINVAL,
                       "'%s' is not an option; did you mean '--kernel %s'? "
                       "'ireko %s --help' lists the options",
                       word, word, verb_name(verb));
    const struct option *elsewhere = option_find(word, BOTH);
    if (elsewhere)
        return err_set(e, -EINVAL, "--%s is not for 'ireko %s', only for 'ireko %s'",
                       elsewhere->name, verb_name(verb),
                       verb_name(verb == OPTION_RUN ? OPTION_DTB : OPTION_RUN));
    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (options[i].verbs & verb)
            names[n++] = options[i].name;
    }
    char name[64];
    snprintf(name, sizeof name, "%.*s", (int)strcspn(word, "="), word);
    const char *meant = suggest(name + strspn(name, "-"), names, n);
    if (meant)
        return err_set(e, -EINVAL, "there is no option '%s'; did you mean '--%s'?", name, meant);
    return err_set(e, -EINVAL, "there is no option '%s'; 'ireko %s --help' lists them", name,
                   verb_name(verb));
}

/* Parse the option at argv[*i] and move `*i` to its last word. */
static int option_parse(struct run_options *o, enum option_verb verb, int argc, char **argv, int *i,
                        struct err *e)
{
    const char *word = argv[*i];
    const struct option *option = option_find(word, verb);
    if (!option)
        return unknown_option(word, verb, e);
    uint64_t mask = 1ull << (option - options);
    if (o->given & mask && !option->repeatable)
        return err_set(e, -EINVAL, "--%s is given twice", option->name);
    o->given |= mask;

    const char *value = strchr(word, '=');
    if (!option->argument) {
        if (value)
            return err_set(e, -EINVAL, "--%s takes no value", option->name);
        return option->parse(o, option, NULL, e);
    }
    if (value)
        return option->parse(o, option, value + 1, e);
    if (*i + 1 >= argc)
        return err_set(e, -EINVAL, "--%s needs a %s after it", option->name, option->argument);
    value = argv[++*i];
    if (option_find(value, BOTH))
        return err_set(e, -EINVAL, "--%s needs a %s after it, but '%s' follows", option->name,
                       option->argument, value);
    return option->parse(o, option, value, e);
}

static int check_combination(const struct run_options *o, enum option_verb verb, struct err *e)
{
    if (verb == OPTION_RUN && !vm_config_boots(&o->vm) && o->vm.disk_count == 0)
        return err_set(
            e, -EINVAL,
            "say what to boot with --kernel FILE, --firmware FILE or --disk FILE; 'ireko "
            "run --help' has examples");
    if (o->stdio > 1 && o->vm.console_count > 0)
        return err_set(
            e, -EINVAL,
            "--console stdio: standard input and output are given twice; put --serial or "
            "--console elsewhere");
    if (!o->vm.kernel && o->vm.initrd)
        return err_set(e, -EINVAL, "--initrd needs a --kernel that uses it");
    bool disk_only = verb == OPTION_RUN && !vm_config_boots(&o->vm);
    if ((o->vm.firmware || disk_only) && !o->vm.kernel && o->vm.cmdline)
        return err_set(e, -EINVAL,
                       "--append is for a --kernel; what firmware finds on a disk has its command "
                       "line there");
    if (o->vm.firmware && o->vm.dtb)
        return err_set(e, -EINVAL,
                       "--firmware and --dtb: give one of them; firmware needs the "
                       "machine's own tree");
    if (disk_only && o->vm.dtb)
        return err_set(e, -EINVAL, "--dtb needs a --kernel; firmware gets the machine's own tree");
    return 0;
}

int run_options_parse(struct run_options *o, enum option_verb verb, int argc, char **argv,
                      struct err *e)
{
    *o = (struct run_options){
        .vm = { .memory = 1ull << 30, .cpus = 1, .gic = VM_GIC_AUTO },
        .log_level = LOG_WARN,
    };
    for (int i = 1; i < argc; i++) {
        int r = option_parse(o, verb, argc, argv, &i, e);
        if (r < 0)
            return r;
    }
    if (o->help)
        return 0;
    if (o->vm.net_count == 0 && !o->no_net) {
        o->vm.net[o->vm.net_count++] = "user";
        o->vm.net_optional = true;
    }
    if (o->serial_count == 0)
        o->serial[o->serial_count++] = o->stdio > 0 ? "none" : "stdio";
    return check_combination(o, verb, e);
}

void run_options_fini(struct run_options *o)
{
    for (unsigned i = 0; i < o->vm.disk_count; i++)
        free((void *)(uintptr_t)o->vm.disk[i].path); /* ours, by strdup() */
    o->vm.disk_count = 0;
    for (unsigned i = 0; i < o->vm.share_count; i++)
        free((void *)(uintptr_t)o->vm.share[i].path);
    o->vm.share_count = 0;
    for (unsigned i = 0; i < o->vm.pmem_count; i++)
        free((void *)(uintptr_t)o->vm.pmem[i].path);
    o->vm.pmem_count = 0;
    for (unsigned i = 0; i < o->vm.console_count; i++)
        free(o->console[i]);
    o->vm.console_count = 0;
    free((void *)(uintptr_t)o->vm.firmware);
    o->vm.firmware = NULL;
}

#define HELP_COLUMN 21

void options_print_help(FILE *f, enum option_verb verb)
{
    for (int group = 0; group < GROUPS; group++) {
        fprintf(f, "\n%s\n", group_names[group]);
        for (size_t i = 0; i < ARRAY_LEN(options); i++) {
            const struct option *option = &options[i];
            if (option->group != (enum group)group || !(option->verbs & verb))
                continue;
            int n = fprintf(f, "  --%s%s%s", option->name, option->argument ? " " : "",
                            option->argument ? option->argument : "");
            for (const char *line = option->help; *line;) {
                size_t length = strcspn(line, "\n");
                fprintf(f, "%*s%.*s\n", HELP_COLUMN - n, "", (int)length, line);
                n = 0;
                line += length + (line[length] == '\n');
            }
        }
    }
}
