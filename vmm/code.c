/*
 * Where translated code is kept for later runs: the folder that the user named, or the usual one,
 * which is there to be of use and never in the way. The engine runs the code that it finds there
 * (soft/jit/store.c), so the folder is the user's, and not one that the guest may write to.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/vfs.h>
#endif

#include <Hypervisor/hvx.h>

#include "base/compiler.h"
#include "base/log.h"
#include "vmm/hvcall.h"
#include "vmm/internal.h"

/* Is the open folder this one, or in it? Upwards by "..", which any name of either leads to. */
static bool is_in_folder(int fd, const char *path)
{
    struct stat outer, here, last = { 0 };
    char up[PATH_MAX] = ".";

    if (stat(path, &outer) != 0)
        return false; /* who opens it tells */
    for (size_t n = 1; n + 4 < sizeof up && fstatat(fd, up, &here, 0) == 0; n += 3) {
        if (here.st_dev == outer.st_dev && here.st_ino == outer.st_ino)
            return true;
        if (here.st_dev == last.st_dev && here.st_ino == last.st_ino)
            return false; /* the root */
        last = here;
        memcpy(up + n, "/..", 4);
    }
    return false;
}

/* What a guest may write is no code of ours. */
static int check_code_shares(const struct vm *vm, struct err *e)
{
    for (unsigned n = 0; n < vm->config.share_count; n++) {
        const struct share_options *s = &vm->config.share[n];
        if (!s->read_only && is_in_folder(vm->code_fd, s->path))
            return err_set(e, -EPERM,
                           "--keep %s: this folder is in --share %s, so the guest could write "
                           "code there that ireko runs; add ',ro' to the share, or keep code "
                           "elsewhere",
                           vm->config.code, s->path);
    }
    return 0;
}

/* Open the folder, for the next VM; it is made if need be, but not those above it. */
static int open_folder(struct vm *vm, struct err *e)
{
    const char *path = vm->config.code;

    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return err_set(e, -errno, "--keep %s: cannot make this folder: %s", path, strerror(errno));
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, -errno, "--keep %s: cannot open this folder: %s", path, strerror(errno));
    vm->code_fd = fd;
    int err = check_code_shares(vm, e);
    if (err)
        return err;
    hv_return_t r = hvx_set_code_folder(fd, vm->config.code_optional);
    if (r == HV_DENIED)
        return err_set(e, hvcall_errno(r),
                       "--keep %s: ireko runs the code that it finds there, so the folder has "
                       "to be yours, and nobody else's to look into; see 'chmod 700'",
                       path);
    if (r != HV_SUCCESS)
        return err_set(e, hvcall_errno(r),
                       "--keep: the engine %s translates nothing; --engine jit does where "
                       "'ireko info' lists it",
                       hvx_engine());
    return 0;
}

/* The usual folder's parents, at most so many, are made if the first one that is there is ours: not
 * in the home of another user, whose folder it would have to be. */
#define PARENTS 2

static bool make_parents(char *path, unsigned count)
{
    struct stat st;
    char *end = strrchr(path, '/');

    if (!end || end == path)
        return false;
    *end = '\0';
    bool ok = stat(path, &st) == 0 ? st.st_uid == geteuid()
                                   : errno == ENOENT && count && make_parents(path, count - 1) &&
                                         (mkdir(path, 0700) == 0 || errno == EEXIST);
    *end = '/';
    return ok;
}

/* A file that is mapped ends who reads it if it is gone, which another host, or a process behind
 * FUSE, may bring about. Whoever names such a folder is asked not to (docs/ireko.1). */
static bool is_remote(int fd)
{
    bool remote = false;
#ifdef __linux__
    static const uint32_t types[] = {
        /* statfs(2) */
        0x6969,                             /* NFS */
        0x517b,     0xfe534d42, 0xff534d42, /* SMB */
        0x5346414f, 0x6b414653,             /* AFS */
        0x00c36400,                         /* Ceph */
        0x01021997,                         /* 9P */
        0x0bd00bd0,                         /* Lustre */
        0x65735546,                         /* FUSE */
    };
    struct statfs fs;

    if (fstatfs(fd, &fs) != 0)
        return true;
    for (size_t n = 0; n < ARRAY_LEN(types); n++)
        remote |= (uint32_t)fs.f_type == types[n];
#else
    (void)fd;
#endif
    return remote;
}

/* Without a word if it cannot be. Other engines than this one translate nothing, or are there to
 * find mistakes of the translator. */
static void open_usual_folder(struct vm *vm)
{
    char path[PATH_MAX];
    struct err e;

    if (strcmp(hvx_engine(), "jit") != 0 || strlen(vm->config.code) >= sizeof path)
        return;
    strcpy(path, vm->config.code);
    if (!make_parents(path, PARENTS))
        log_info("vm", "translations are not kept: %s cannot be made", path);
    else if (open_folder(vm, &e) < 0)
        log_info("vm", "translations are not kept: %s", e.text);
    else if (is_remote(vm->code_fd))
        log_info("vm", "translations are not kept: %s is not on a disk of this host", path);
    else
        return;
    (void)hvx_set_code_folder(0, true);
    if (vm->code_fd)
        close(vm->code_fd);
    vm->code_fd = 0;
}

int vm_open_code(struct vm *vm, struct err *e)
{
    (void)hvx_set_code_folder(0, true); /* an earlier VM of the process may have had one */
    if (vm->config.code && vm->config.code_optional)
        open_usual_folder(vm);
    else if (vm->config.code)
        return open_folder(vm, e);
    return 0;
}
