/* ireko dtb: the device tree that a guest with these options would get. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/dts.h"
#include "cli/options.h"

static int dtb_write(const char *path, const void *fdt, size_t size, struct err *e)
{
    FILE *f = fopen(path, "wb");
    if (!f)
        return err_set(e, -errno, "--out %s: cannot write to it: %s", path, strerror(errno));
    int r = fwrite(fdt, 1, size, f) == size ? 0 : -errno;
    if (fclose(f) != 0 && r == 0)
        r = -errno;
    return r < 0 ? err_set(e, r, "--out %s: cannot write to it: %s", path, strerror(-r)) : 0;
}

static int dtb_show(const struct run_options *o, struct err *e)
{
    struct vm *vm;
    int r = vm_create(&o->vm, &vm, e);
    if (r < 0)
        return r;
    size_t size;
    const void *fdt = vm_dtb(vm, &size);
    if (o->out)
        r = dtb_write(o->out, fdt, size, e);
    else if (dts_print(stdout, fdt, size) < 0)
        r = err_set(e, -EINVAL, "--dtb %s: not a device tree", o->vm.dtb ? o->vm.dtb : "");
    else if (fflush(stdout) != 0)
        r = err_set(e, -errno, "cannot write to standard output: %s", strerror(errno));
    vm_destroy(vm);
    return r;
}

int cli_dtb(int argc, char **argv)
{
    struct run_options o;
    struct err e;
    int status = CLI_OK;
    if (run_options_parse(&o, OPTION_DTB, argc, argv, &e) < 0) {
        status = cli_fail(CLI_USAGE, &e);
    } else if (o.help) {
        status = cli_help_verb("dtb");
    } else {
        log_set_level(o.log_level);
        if (dtb_show(&o, &e) < 0)
            status = cli_fail(CLI_ERROR, &e);
    }
    run_options_fini(&o);
    return status;
}
