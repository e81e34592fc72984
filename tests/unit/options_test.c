/* The option table: what each spelling means, and one sentence for each mistake. */
#include "cli/options.h"

#include <errno.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/code_folder.h"
#include "cli/firmware.h"
#include "cli/suggest.h"

#define MAX_ARGS 12

static int parse(struct run_options *o, enum option_verb verb, const char *const *args,
                 struct err *e)
{
    static char words[MAX_ARGS + 1][64]; /* the options point into it, until the next call */
    char *argv[MAX_ARGS + 2] = { words[0] };
    int argc = 1;
    for (; argc <= MAX_ARGS && args[argc - 1]; argc++) {
        snprintf(words[argc], sizeof words[argc], "%s", args[argc - 1]);
        argv[argc] = words[argc];
    }
    return run_options_parse(o, verb, argc, argv, e);
}

static const struct size_case {
    const char *text;
    int result;
    uint64_t bytes;
} size_cases[] = {
    { "0", 0, 0 },
    { "1", 0, 1 },
    { "4096", 0, 4096 },
    { "1K", 0, 1024 },
    { "512M", 0, 512ull << 20 },
    { "512m", 0, 512ull << 20 },
    { "4G", 0, 4ull << 30 },
    { "2T", 0, 2ull << 40 },
    { "010", 0, 10 },
    { "18446744073709551615", 0, UINT64_MAX },
    { "18446744073709551616", -ERANGE, 0 },
    { "16777216T", -ERANGE, 0 },
    { "16777215T", 0, 16777215ull << 40 },
    { "", -EINVAL, 0 },
    { "M", -EINVAL, 0 },
    { "-1", -EINVAL, 0 },
    { "+1", -EINVAL, 0 },
    { " 1", -EINVAL, 0 },
    { "1.5G", -EINVAL, 0 },
    { "1GB", -EINVAL, 0 },
    { "1Q", -EINVAL, 0 },
    { "0x10", -EINVAL, 0 },
};

static void test_sizes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(size_cases); i++) {
        uint64_t bytes = 0;
        assert_int_equal(parse_size(size_cases[i].text, &bytes), size_cases[i].result);
        if (size_cases[i].result == 0)
            assert_int_equal(bytes, size_cases[i].bytes);
    }
}

static void test_defaults(void **state)
{
    (void)state;
    struct run_options o;
    struct err e = { "" };
    assert_int_equal(parse(&o, OPTION_RUN, (const char *[]){ "--kernel", "Image", NULL }, &e), 0);
    assert_string_equal(o.vm.kernel, "Image");
    assert_null(o.vm.initrd);
    assert_null(o.vm.cmdline);
    assert_null(o.vm.dtb);
    assert_null(o.vm.engine);
    assert_int_equal(o.vm.memory, 1ull << 30);
    assert_int_equal(o.vm.cpus, 1);
    assert_int_equal(o.vm.gic, VM_GIC_AUTO);
    assert_int_equal(o.vm.disk_count, 0);
    assert_int_equal(o.serial_count, 1);
    assert_string_equal(o.serial[0], "stdio");
    assert_int_equal(o.vm.net_count, 1);
    assert_string_equal(o.vm.net[0], "user");
    assert_true(o.vm.net_optional);
    assert_int_equal(o.log_level, LOG_WARN);
    run_options_fini(&o);
}

static void test_all(void **state)
{
    (void)state;
    struct run_options o;
    struct err e = { "" };
    assert_int_equal(parse(&o, OPTION_RUN,
                           (const char *[]){ "--kernel=a=b", "--append", "-x=y --z", "--memory=2G",
                                             "--cpus", "4", "--gic=v3", "--transport=pci",
                                             "--log=debug", "--stats", NULL },
                           &e),
                     0);
    assert_true(o.stats);
    assert_string_equal(o.vm.kernel, "a=b");
    assert_string_equal(o.vm.cmdline, "-x=y --z");
    assert_int_equal(o.vm.memory, 2ull << 30);
    assert_int_equal(o.vm.cpus, 4);
    assert_int_equal(o.vm.gic, VM_GIC_V3);
    assert_int_equal(o.vm.transport, VM_TRANSPORT_PCI);
    assert_int_equal(o.log_level, LOG_DEBUG);
    run_options_fini(&o);

    assert_int_equal(
        parse(&o, OPTION_RUN,
              (const char *[]){ "--kernel=k", "--disk=a,b=c,overlay,cache=unsafe,iops=2K",
                                "--disk=ro,format=raw,bps=1M", "--disk=a,cache=none",
                                "--disk=q,format=qcow2,backing", NULL },
              &e),
        0);
    const struct disk_options *d = o.vm.disk;
    assert_string_equal(d[0].path, "a,b=c");
    assert_true(d[0].overlay && !d[0].read_only);
    assert_int_equal(d[0].format, DISK_FORMAT_DEFAULT);
    assert_int_equal(d[0].cache, DISK_CACHE_UNSAFE);
    assert_int_equal(d[0].iops, 2048);
    assert_int_equal(d[0].bps, 0);
    assert_string_equal(d[1].path, "ro");
    assert_int_equal(d[1].format, DISK_FORMAT_RAW);
    assert_int_equal(d[1].cache, DISK_CACHE_WRITEBACK);
    assert_int_equal(d[1].bps, 1 << 20);
    assert_int_equal(d[2].cache, DISK_CACHE_NONE);
    assert_true(d[3].format == DISK_FORMAT_QCOW2 && d[3].backing && !d[2].backing);
    run_options_fini(&o);

    assert_int_equal(
        parse(&o, OPTION_RUN,
              (const char *[]){ "--kernel=k", "--disk=a,ro", "--disk", "b,c", "--serial=pty",
                                "--serial=file:x", "--engine=interp", "--trace=t", "--keep=c",
                                "--net=tap,name=t0", "--net=user", NULL },
              &e),
        0);
    assert_string_equal(o.vm.trace, "t");
    assert_string_equal(o.vm.code, "c");
    assert_false(o.no_code || o.vm.code_optional);
    assert_false(o.stats);
    assert_int_equal(o.vm.disk_count, 2);
    assert_string_equal(o.vm.disk[0].path, "a");
    assert_true(o.vm.disk[0].read_only);
    assert_string_equal(o.vm.disk[1].path, "b,c");
    assert_false(o.vm.disk[1].read_only);
    assert_int_equal(o.serial_count, 2);
    assert_string_equal(o.serial[1], "file:x");
    assert_int_equal(o.vm.net_count, 2);
    assert_string_equal(o.vm.net[0], "tap,name=t0");
    assert_false(o.vm.net_optional);
    assert_string_equal(o.vm.engine, "interp");
    run_options_fini(&o);

    assert_int_equal(parse(&o, OPTION_RUN,
                           (const char *[]){ "--kernel=k", "--share=/a,b/c,ro,tag=x", "--keep=none",
                                             "--share=d,e,tag=y,uid=1000,gid=100", NULL },
                           &e),
                     0);
    assert_null(o.vm.code);
    assert_true(o.no_code);
    assert_int_equal(o.vm.share_count, 2);
    assert_string_equal(o.vm.share[0].path, "/a,b/c");
    assert_string_equal(o.vm.share[0].tag, "x");
    assert_true(o.vm.share[0].read_only);
    assert_string_equal(o.vm.share[1].path, "d,e");
    assert_string_equal(o.vm.share[1].tag, "y");
    assert_false(o.vm.share[1].read_only);
    assert_int_equal(o.vm.share[0].uid, 0);
    assert_int_equal(o.vm.share[1].uid, 1000);
    assert_int_equal(o.vm.share[1].gid, 100);
    run_options_fini(&o);

    assert_int_equal(
        parse(&o, OPTION_DTB, (const char *[]){ "--out", "x.dtb", "--gic", "v2", NULL }, &e), 0);
    assert_string_equal(o.out, "x.dtb");
    assert_int_equal(o.vm.gic, VM_GIC_V2);
    assert_false(o.vm.its);
    assert_int_equal(parse(&o, OPTION_DTB, (const char *[]){ "--gic", "v3,its", NULL }, &e), 0);
    assert_int_equal(o.vm.gic, VM_GIC_V3);
    assert_true(o.vm.its);
    run_options_fini(&o);

    assert_int_equal(parse(&o, OPTION_RUN, (const char *[]){ "-h", NULL }, &e), 0);
    assert_true(o.help);
    run_options_fini(&o);
}

static const struct bad_case {
    enum option_verb verb;
    const char *args[MAX_ARGS];
    const char *says;
} bad_cases[] = {
    { OPTION_RUN, { NULL }, "--kernel FILE" },
    { OPTION_RUN, { "--kernal", "x" }, "did you mean '--kernel'?" },
    { OPTION_RUN, { "--kenrel=x" }, "did you mean '--kernel'?" },
    { OPTION_RUN, { "-kernel", "x" }, "did you mean '--kernel'?" },
    { OPTION_RUN, { "--mem=1G" }, "did you mean '--memory'?" },
    { OPTION_RUN, { "--memroy=1G" }, "did you mean '--memory'?" },
    { OPTION_RUN, { "--network=x" }, "there is no option '--network'; 'ireko run --help'" },
    { OPTION_RUN, { "-x" }, "there is no option '-x'" },
    { OPTION_RUN, { "--" }, "there is no option '--'" },
    { OPTION_RUN, { "Image" }, "did you mean '--kernel Image'?" },
    { OPTION_RUN, { "--kernel" }, "--kernel needs a FILE" },
    { OPTION_RUN, { "--kernel", "--memory", "1G" }, "but '--memory' follows" },
    { OPTION_RUN, { "--kernel=" }, "--kernel needs a FILE" },
    { OPTION_RUN, { "--kernel", "" }, "--kernel needs a FILE" },
    { OPTION_RUN, { "--kernel=a", "--kernel=a" }, "--kernel is given twice" },
    { OPTION_RUN, { "--memory", "1G", "--memory", "2G" }, "--memory is given twice" },
    { OPTION_RUN, { "--memory", "lots" }, "--memory lots: write a number" },
    { OPTION_RUN, { "--vsock", "path=,cid=4" }, "path=vm.vsock" },
    { OPTION_RUN, { "--vsock", "path=a,cid=4x" }, "cid=4x" },
    { OPTION_RUN, { "--memory", "99999999T" }, "more than 64 bits" },
    { OPTION_RUN, { "--cpus", "0" }, "--cpus 0" },
    { OPTION_RUN, { "--cpus", "-1" }, "--cpus -1" },
    { OPTION_RUN, { "--cpus", "1K" }, "--cpus 1K" },
    { OPTION_RUN, { "--cpus", "two" }, "--cpus two" },
    { OPTION_RUN, { "--cpus", "99999999999999999999" }, "--cpus 9999" },
    { OPTION_RUN, { "--firmware", "x,vars=" }, "',vars=' needs a FILE" },
    { OPTION_RUN, { "--firmware", ",vars=x" }, "--firmware needs a FILE" },
    { OPTION_RUN, { "--firmware", "x", "--append", "y" }, "--append is for a --kernel" },
    { OPTION_RUN, { "--firmware", "x", "--dtb", "y" }, "--firmware and --dtb" },
    { OPTION_RUN, { "--disk", "x", "--dtb", "y" }, "--dtb needs a --kernel" },
    { OPTION_RUN, { "--disk", "x", "--append", "y" }, "--append is for a --kernel" },
    { OPTION_RUN, { "--disk", "x", "--initrd", "y" }, "--initrd needs a --kernel" },
    { OPTION_RUN, { "--transport", "usb" }, "--transport usb: it is mmio or pci" },
    { OPTION_RUN, { "--gic", "v4" }, "--gic v4: it is v2, v3 or v3,its" },
    { OPTION_RUN, { "--engine", "fast" }, "it is jit, interp, check or kvm" },
    { OPTION_RUN, { "--log", "loud" }, "error, warn, info or debug" },
    { OPTION_RUN, { "--disk", ",ro" }, "--disk needs a FILE" },
    { OPTION_RUN, { "--share", "/x" }, "give it a name that the guest mounts" },
    { OPTION_RUN, { "--share", "/x,rot,tag=a,ro=1" }, "it has no 'ro=1'" },
    { OPTION_RUN, { "--share", "/x,tag=a,uid=me" }, "it has no 'uid=me'" },
    { OPTION_RUN, { "--share", "/x,tag=a,gid=4294967295" }, "it has no 'gid=4294967295'" },
    { OPTION_RUN, { "--share", "/x,tag=a", "--share", "/y,tag=a" }, "'a' is given twice" },
    { OPTION_RUN, { "--disk", "x,ro,overlay" }, "give ',ro' or ',overlay'" },
    { OPTION_RUN, { "--disk", "x,format=vmdk" }, "'format=vmdk': it is raw or qcow2" },
    { OPTION_RUN, { "--disk", "x,backing" }, "',backing' is for ',format=qcow2'" },
    { OPTION_RUN, { "--disk", "x,fromat=raw" }, "did you mean 'format'?" },
    { OPTION_RUN, { "--disk", "x,cache=fast,ro" }, "'cache=fast': it is writeback, writethrough" },
    { OPTION_RUN, { "--disk", "x,iops=0" }, "'iops=0': it is a number of requests" },
    { OPTION_RUN, { "--disk", "x,iops=" }, "'iops=': it is a number of requests" },
    { OPTION_RUN, { "--disk", "x,bps=1" }, "'bps=1': it is bytes a second, 4K or more" },
    { OPTION_RUN, { "--disk", "x,bps=fast" }, "'bps=fast': it is bytes a second" },
    { OPTION_RUN, { "--help=yes" }, "--help takes no value" },
    { OPTION_RUN, { "--stats=all" }, "--stats takes no value" },
    { OPTION_RUN, { "--balloon", "lots" }, "--balloon lots: write a number" },
    { OPTION_RUN, { "--append" }, "--append needs a TEXT" },
    { OPTION_RUN, { "--cpu=" }, "--cpu needs a MODEL" },
    { OPTION_RUN, { "--dtb=" }, "--dtb needs a FILE" },
    { OPTION_RUN, { "--trace=" }, "--trace needs a FILE" },
    { OPTION_RUN, { "--keep=" }, "--keep needs a FOLDER" },
    { OPTION_RUN, { "--pmem=,ro" }, "--pmem needs a FILE" },
    { OPTION_RUN, { "--console=pty,name=" }, "name=" },
    { OPTION_RUN, { "--serial" }, "--serial needs a WHERE" },
    { OPTION_DTB, { "--out=" }, "--out needs a FILE" },
    { OPTION_RUN, { "--kernel=x", "--out=y" }, "--out is not for 'ireko run'" },
    { OPTION_DTB, { "--serial", "pty" }, "--serial is not for 'ireko dtb'" },
    { OPTION_DTB, { "--net", "none", "--net=none" }, "--net none cannot be combined" },
    { OPTION_DTB, { "--net", "user", "--net=none" }, "--net none cannot be combined" },
    { OPTION_DTB, { "--net", "tape" }, "user, tap, unix or none" },
    { OPTION_DTB, { "--initrd", "x" }, "--initrd needs a --kernel" },
};

static void test_mistakes(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
        struct run_options o;
        struct err e = { "" };
        if (parse(&o, bad_cases[i].verb, bad_cases[i].args, &e) >= 0)
            fail_msg("case %zu is accepted", i);
        if (!strstr(e.text, bad_cases[i].says))
            fail_msg("'%s' is not in '%s'", bad_cases[i].says, e.text);
        assert_null(strchr(e.text, '\n'));
        run_options_fini(&o);
    }
}

static void set(const char *name, const char *value)
{
    assert_int_equal(value ? setenv(name, value, 1) : unsetenv(name), 0);
}

/* As the XDG Base Directory Specification has it: a relative path does not count. */
static void test_code_folder(void **state)
{
    static const struct {
        const char *cache, *home, *is;
    } cases[] = {
        { NULL, "/home/a", "/home/a/.cache/ireko/code" },
        { "", "/home/a", "/home/a/.cache/ireko/code" },
        { "cache", "/home/a", "/home/a/.cache/ireko/code" },
        { "/c", "/home/a", "/c/ireko/code" },
        { "/c", NULL, "/c/ireko/code" },
        { NULL, NULL, NULL },
        { NULL, "", NULL },
        { NULL, "a", NULL },
    };
    char path[PATH_MAX];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        set("XDG_CACHE_HOME", cases[i].cache);
        set("HOME", cases[i].home);
        assert_int_equal(code_folder(path, sizeof path), cases[i].is != NULL);
        if (cases[i].is)
            assert_string_equal(path, cases[i].is);
    }
    set("HOME", "/home/a");
    assert_false(code_folder(path, sizeof "/home/a/.cache/ireko/code" - 1));
    assert_true(code_folder(path, sizeof "/home/a/.cache/ireko/code"));
}

static void test_too_many_disks(void **state)
{
    (void)state;
    struct run_options o;
    struct err e = { "" };
    char verb[] = "run", disk[] = "--disk=x";
    char *argv[VM_MAX_DISKS + 2] = { verb };
    for (int i = 1; i <= VM_MAX_DISKS + 1; i++)
        argv[i] = disk;
    assert_int_equal(run_options_parse(&o, OPTION_RUN, VM_MAX_DISKS + 2, argv, &e), -E2BIG);
    assert_int_equal(o.vm.disk_count, VM_MAX_DISKS);
    run_options_fini(&o);
}

static void test_suggestions(void **state)
{
    (void)state;
    static const char *const names[] = { "run", "hello", "info", "dtb", "help", "version" };
    static const struct {
        const char *word, *meant;
    } cases[] = {
        { "rnu", "run" },
        { "runn", "run" },
        { "helo", "hello" },
        { "ver", "version" },
        { "verison", "version" },
        { "ifno", "info" },
        { "boot", NULL },
        { "", NULL },
        { "x", NULL },
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *meant = suggest(cases[i].word, names, ARRAY_LEN(names));
        if (cases[i].meant) {
            assert_non_null(meant);
            assert_string_equal(meant, cases[i].meant);
        } else {
            assert_null(meant);
        }
    }
}

/* The help fits a terminal, and its second column is one column. */
static void test_help(void **state)
{
    (void)state;
    for (int verb = OPTION_RUN; verb <= OPTION_DTB; verb <<= 1) {
        char *text = NULL;
        size_t n = 0, lines = 0;
        FILE *f = open_memstream(&text, &n);
        assert_non_null(f);
        options_print_help(f, (enum option_verb)verb);
        fclose(f);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
            assert_in_range(strlen(line), 1, 80);
            if (line[0] != ' ')
                continue;
            assert_true(strlen(line) > 21);
            assert_int_equal(line[20], ' ');
            assert_int_not_equal(line[21], ' ');
        }
        assert_true(lines > 10);
        free(text);
    }
}

/* The names of all options, in `names`; how many. */
static size_t option_names(char names[][24], size_t room)
{
    char *text = NULL;
    size_t n = 0, count = 0;
    FILE *f = open_memstream(&text, &n);
    options_print_help(f, OPTION_RUN);
    options_print_help(f, OPTION_DTB);
    fclose(f);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        assert_true(count < room);
        if (sscanf(line, "  --%23[a-z]", names[count]) == 1)
            count++;
    }
    free(text);
    return count;
}

static bool can_be_wrong(const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < ARRAY_LEN(bad_cases); i++) {
        const char *says = strstr(bad_cases[i].says, "--");
        if (says && strncmp(says + 2, name, n) == 0 &&
            !strchr("-abcdefghijklmnopqrstuvwxyz", says[2 + n]))
            return true;
        for (const char *const *arg = bad_cases[i].args; *arg; arg++)
            if (strncmp(*arg, "--", 2) == 0 && strncmp(*arg + 2, name, n) == 0 &&
                strchr("=", (*arg)[2 + n]))
                return true;
    }
    return false;
}

static void test_every_option_has_mistakes(void **state)
{
    (void)state;
    char names[128][24];
    size_t count = option_names(names, ARRAY_LEN(names));
    assert_true(count > 20);
    for (size_t i = 0; i < count; i++)
        if (!can_be_wrong(names[i]))
            fail_msg("--%s: no mistake is tried", names[i]);
}

/* The manual has every option, and every word that the help explains for one. */
static void test_manual(void **state)
{
    (void)state;
    static char manual[1 << 16];
    char names[128][24], wanted[64], *text = NULL;
    FILE *f = fopen(MANUAL, "r");
    assert_non_null(f);
    size_t n = fread(manual, 1, sizeof manual - 1, f), words = 0;
    fclose(f);
    assert_in_range(n, 1, sizeof manual - 2);
    size_t count = option_names(names, ARRAY_LEN(names));
    for (size_t i = 0; i < count; i++) {
        snprintf(wanted, sizeof wanted, ".It Fl -%.23s", names[i]);
        if (!strstr(manual, wanted))
            fail_msg("the manual has no '%s'", wanted);
    }
    f = open_memstream(&text, &n);
    options_print_help(f, OPTION_RUN);
    fclose(f);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        /* "ro           the guest can only read it", in the second column */
        size_t word = line[0] == ' ' && line[2] == ' ' ? strcspn(line + 21, " =") : 0;
        if (word == 0 || !strstr(line + 21, "  "))
            continue;
        snprintf(wanted, sizeof wanted, "Cm %.*s", (int)word, line + 21);
        if (!strstr(manual, wanted) &&
            (snprintf(wanted, sizeof wanted, "Cm ,%.*s", (int)word, line + 21),
             !strstr(manual, wanted)))
            fail_msg("the manual has no '%.*s'", (int)word, line + 21);
        words++;
    }
    assert_true(words >= 8);
    free(text);
}

static void test_firmware(void **state)
{
    (void)state;
    const char *none[] = { "/nowhere/CODE.fd", NULL },
               *some[] = { "/nowhere/CODE.fd", MANUAL, NULL };
    struct err e = { "" };
    struct vm_config vm = { .disk_count = 0 };
    assert_int_equal(firmware_choose_from(&vm, some, &e), 0);
    assert_null(vm.firmware); /* no disk */
    vm.disk_count = 1;
    vm.disk[0].path = "my.img";
    assert_int_equal(firmware_choose_from(&vm, none, &e), -ENOENT);
    assert_non_null(strstr(e.text, "--disk 'my.img': "));
    assert_non_null(strstr(e.text, "qemu-efi-aarch64"));
    assert_int_equal(firmware_choose_from(&vm, some, &e), 0);
    assert_string_equal(vm.firmware, MANUAL);
    free((void *)(uintptr_t)vm.firmware);
    vm.firmware = NULL;
    vm.kernel = "Image";
    assert_int_equal(firmware_choose_from(&vm, some, &e), 0);
    assert_null(vm.firmware); /* there is a kernel */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_code_folder),
        cmocka_unit_test(test_too_many_disks),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_every_option_has_mistakes),
        cmocka_unit_test(test_manual),
        cmocka_unit_test(test_firmware),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
