/* What the tests of virtio-fs have in common: a folder that is shared, one beside it that is not,
 * and a guest. */
#ifndef TESTS_UNIT_FS_FOLDER_H
#define TESTS_UNIT_FS_FOLDER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "devices/virtio/fs.h"
#include "tests/harness/quiet.h"
#include "tests/unit/fuse_driver.h"

/* Linux's, as a guest numbers them. */
enum { G_RDONLY = 0, G_WRONLY = 1, G_RDWR = 2, G_EXCL = 0200, G_TRUNC = 01000, G_APPEND = 02000 };
enum { G_EBADF = 9, G_ENFILE = 23, G_ESTALE = 116 };
enum { KEEP_CACHE = 2, NOFLUSH = 32 };
enum { SET_MODE = 1, SET_UID = 2, SET_GID = 4, SET_SIZE = 8, SET_MTIME = 32, SET_FH = 64 };

/* base/share is shared; base/outside is not. */
static struct {
    struct fuse f;
    struct share *share;
    char base[64];
    const char *program; /* what runs, for a test that runs it again */
    int outside, inside; /* descriptors */
} t;

static inline void host_write(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static inline void host_expect(int dir, const char *name, const char *text)
{
    char buffer[256] = "";
    int fd = openat(dir, name, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, buffer, sizeof buffer - 1) >= 0);
    close(fd);
    assert_string_equal(buffer, text);
}

static inline void remove_tree(int dir)
{
    DIR *d = fdopendir(dup(dir));
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        int fd = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
        if (fd >= 0) {
            remove_tree(fd);
            close(fd);
        }
        unlinkat(dir, e->d_name, fd >= 0 ? AT_REMOVEDIR : 0);
    }
    closedir(d);
}

static inline int open_share(bool read_only, uint32_t uid)
{
    char path[80];
    struct err e;
    snprintf(path, sizeof path, "%s/share", t.base);
    const struct share_options options = {
        .path = path, .tag = "home", .read_only = read_only, .uid = uid, .gid = uid
    };
    if (share_open(&options, 1, &t.share, &e) < 0)
        return -1;
    vdev_init(&t.f.v);
    t.f.room = FUSE_ROOM;
    const struct virtio_fs_config config = {
        .irq = vdev_irq(&t.f.v), .gmem = &t.f.v.gmem, .share = t.share, .tag = options.tag
    };
    int rc = virtio_fs_create(&config, &t.f.v.dev);
    vdev_bring_up(&t.f.v, 0, 2);
    return rc;
}

static inline void close_share(void)
{
    vdev_fini(&t.f.v);
    share_close(t.share);
}

static inline int make_folders(void)
{
    quiet();
    strcpy(t.base, "/tmp/ireko-fs-XXXXXX");
    if (!mkdtemp(t.base))
        return -1;
    int base = open(t.base, O_RDONLY | O_DIRECTORY);
    mkdirat(base, "share", 0755);
    mkdirat(base, "outside", 0755);
    t.inside = openat(base, "share", O_RDONLY | O_DIRECTORY);
    t.outside = openat(base, "outside", O_RDONLY | O_DIRECTORY);
    close(base);
    host_write(t.outside, "secret", "secret");
    host_write(t.inside, "file", "hello");
    mkdirat(t.inside, "dir", 0755);
    return t.inside >= 0 && t.outside >= 0 ? 0 : -1;
}

static inline int setup(void **state)
{
    (void)state;
    return make_folders() < 0 ? -1 : open_share(false, 0);
}

static inline int setup_user(void **state)
{
    (void)state;
    return make_folders() < 0 ? -1 : open_share(false, 1000);
}

static inline int setup_read_only(void **state)
{
    (void)state;
    return make_folders() < 0 ? -1 : open_share(true, 0);
}

static inline int teardown(void **state)
{
    (void)state;
    close_share();
    host_expect(t.outside, "secret", "secret");
    remove_tree(t.outside);
    remove_tree(t.inside);
    close(t.outside);
    close(t.inside);
    int base = open(t.base, O_RDONLY | O_DIRECTORY);
    unlinkat(base, "share", AT_REMOVEDIR);
    unlinkat(base, "outside", AT_REMOVEDIR);
    close(base);
    rmdir(t.base);
    return 0;
}

static inline int set_xattr(struct fuse *f, uint64_t node, const char *name, const char *value)
{
    fuse_begin(f, FUSE_SETXATTR, node);
    fuse_u64(f, strlen(value));
    fuse_name(f, name);
    fuse_bytes(f, value, strlen(value));
    return fuse_end(f);
}

static inline int get_xattr(struct fuse *f, uint64_t node, const char *name, uint32_t size)
{
    fuse_begin(f, FUSE_GETXATTR, node);
    fuse_u64(f, size);
    fuse_name(f, name);
    return fuse_end(f);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
