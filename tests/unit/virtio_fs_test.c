/* virtio-fs: what a guest can do in a shared folder, and what it cannot do outside of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "devices/virtio/fs.h"
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
    int outside, inside; /* descriptors */
} t;

static void quiet(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void host_write(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void host_expect(int dir, const char *name, const char *text)
{
    char buffer[256] = "";
    int fd = openat(dir, name, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, buffer, sizeof buffer - 1) >= 0);
    close(fd);
    assert_string_equal(buffer, text);
}

static void remove_tree(int dir)
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

static int open_share(bool read_only)
{
    char path[80];
    struct err e;
    snprintf(path, sizeof path, "%s/share", t.base);
    const struct share_options options = { .path = path, .tag = "home", .read_only = read_only };
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

static void close_share(void)
{
    vdev_fini(&t.f.v);
    share_close(t.share);
}

static int make_folders(void)
{
    log_set_sink(quiet, NULL);
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

static int setup(void **state)
{
    (void)state;
    return make_folders() < 0 ? -1 : open_share(false);
}

static int setup_read_only(void **state)
{
    (void)state;
    return make_folders() < 0 ? -1 : open_share(true);
}

static int teardown(void **state)
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

/* ------------------------------------------------------------------ the device */

static void identity(void **state)
{
    (void)state;
    assert_int_equal(vdev_read(&t.f.v, 0x008, 4), 26);
    const char *tag = "home";
    for (unsigned i = 0; i < 36; i++)
        assert_int_equal(vdev_read(&t.f.v, VDEV_REG_CONFIG + i, 1), i < 4 ? tag[i] : 0);
    assert_int_equal(vdev_read(&t.f.v, VDEV_REG_CONFIG + 36, 4), 1);
}

static void session(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    assert_int_equal(fuse_init(f, 7, 36), 0);
    assert_int_equal(ld_le32(f->out), 7);
    assert_int_equal(ld_le32(f->out + 4), 36);
    uint32_t flags = ld_le32(f->out + 12);
    assert_false(flags & (1 << 1));  /* POSIX locks are the guest's own */
    assert_false(flags & (1 << 10)); /* and flock */
    assert_false(flags & (1 << 16)); /* no write-back cache */
    assert_int_equal(ld_le32(f->out + 20), 1 << 20);
    assert_int_equal(f->answer, 16 + 64);
    assert_int_equal(fuse_init(f, 7, 99), 0);
    assert_true(ld_le32(f->out + 4) < 99);
    assert_int_equal(fuse_init(f, 7, 30), 71);
    assert_int_equal(fuse_init(f, 6, 0), 71);
    fuse_begin(f, FUSE_STATFS, 1);
    assert_int_equal(fuse_end(f), 0);
    assert_true(ld_le64(f->out) > 0);
    assert_int_equal(ld_le32(f->out + 44), 255);
    fuse_begin(f, 4711, 1);
    assert_int_equal(fuse_end(f), 38);
}

/* A reset, and the end of a session, forget what the guest knew. */
static void reset_forgets(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t handle, node = fuse_node(f, 1, "file");
    assert_int_equal(fuse_open(f, node, G_RDONLY, &handle), 0);
    assert_int_equal(share_used(t.share), 3);
    vdev_bring_up(&f->v, 0, 2);
    assert_int_equal(share_used(t.share), 1);
    assert_int_equal(fuse_getattr(f, node), G_ESTALE);
    assert_int_equal(fuse_read(f, handle, 0, 10), G_EBADF);
    assert_int_not_equal(fuse_node(f, 1, "file"), 0);
    fuse_begin(f, FUSE_DESTROY, 0);
    assert_int_equal(fuse_end(f), 0);
    assert_int_equal(share_used(t.share), 1);
}

/* ------------------------------------------------------------------ files */

static void lookup_and_attributes(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node = fuse_node(f, 1, "file");
    assert_int_not_equal(node, 0);
    assert_int_equal(ld_le64(f->out + 16), 1); /* seconds that the name is good for */
    assert_int_equal(fuse_attr_size(f, FUSE_ENTRY_ATTR), 5);
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR), S_IFREG | 0644);
    assert_int_equal(ld_le32(f->out + FUSE_ENTRY_ATTR + 68), 0); /* ours are root's */
    assert_int_equal(ld_le32(f->out + FUSE_ENTRY_ATTR + 72), 0);
    assert_int_equal(fuse_node(f, 1, "file"), node);
    assert_int_equal(fuse_node(f, 1, "nothing"), 0);
    assert_int_equal(f->error, 0);
    assert_int_equal(ld_le64(f->out + 16), 1); /* that there is none is good, too */
    assert_int_equal(fuse_node(f, node, "file"), 0);
    assert_int_equal(f->error, ENOTDIR);
    assert_int_equal(fuse_getattr(f, 1), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ATTR_ATTR), S_IFDIR | 0755);
    assert_int_equal(share_used(t.share), 2);
    fuse_forget(f, node, 1);
    assert_int_equal(fuse_getattr(f, node), 0);
    fuse_forget(f, node, 1);
    assert_int_equal(fuse_getattr(f, node), G_ESTALE);
    uint64_t again = fuse_node(f, 1, "file");
    assert_int_not_equal(again, node); /* numbers do not come back */
    fuse_begin(f, FUSE_BATCH_FORGET, 0);
    fuse_u64(f, 2);
    fuse_u64(f, again);
    fuse_u64(f, 1000);
    fuse_u64(f, 1); /* the root is never forgotten */
    fuse_u64(f, 1);
    fuse_end(f);
    assert_int_equal(share_used(t.share), 1);
    assert_int_equal(fuse_getattr(f, 1), 0);
}

static void create_write_read(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node, handle, other;
    assert_int_equal(fuse_create(f, 1, "new", G_RDWR | G_EXCL, 0666, &node, &handle), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR), S_IFREG | 0666); /* not our umask's */
    assert_int_equal(fuse_write(f, handle, 0, "0123456789", 0), 10);
    assert_int_equal(fuse_write(f, handle, 3, "abc", 0), 3);
    host_expect(t.inside, "new", "012abc6789");
    assert_int_equal(fuse_read(f, handle, 2, 5), 0);
    assert_int_equal(f->answer, 16 + 5);
    assert_memory_equal(f->out, "2abc6", 5);
    assert_int_equal(fuse_read(f, handle, 8, 100), 0);
    assert_int_equal(f->answer, 16 + 2);
    assert_int_equal(fuse_read(f, handle, 1000, 100), 0);
    assert_int_equal(f->answer, 16);
    assert_int_equal(fuse_create(f, 1, "new", G_RDWR | G_EXCL, 0666, &node, &other), EEXIST);
    assert_int_equal(fuse_create(f, 1, "new", G_WRONLY | G_TRUNC, 0666, &node, &other), 0);
    host_expect(t.inside, "new", "");
    assert_int_equal(fuse_read(f, other, 0, 10), G_EBADF); /* open for writing only */
    assert_int_equal(fuse_release(f, other), 0);
    assert_int_equal(fuse_release(f, other), G_EBADF);
    assert_int_equal(fuse_open(f, node, G_RDONLY, &other), 0);
    assert_true(ld_le32(f->out + 8) & NOFLUSH);
    assert_int_equal(fuse_write(f, other, 0, "x", 0), -G_EBADF);
    fuse_begin(f, FUSE_FLUSH, node);
    fuse_u64(f, handle);
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), 0);
    for (int data_only = 0; data_only < 2; data_only++) {
        fuse_begin(f, FUSE_FSYNC, node);
        fuse_u64(f, handle);
        fuse_u64(f, (uint64_t)data_only);
        assert_int_equal(fuse_end(f), 0);
    }
}

/* What is appended goes to the end, also where the guest has not seen the host's part yet; but what
 * the guest wrote through its cache has its place. */
static void native_append(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t handle, node = fuse_node(f, 1, "file");
    assert_int_equal(fuse_open(f, node, G_WRONLY | G_APPEND, &handle), 0);
    assert_int_equal(fuse_write(f, handle, 5, "+guest", 0), 6);
    host_write(t.inside, "file", "hello+guest+host");
    assert_int_equal(fuse_write(f, handle, 11, "+guest", 0), 6);
    host_expect(t.inside, "file", "hello+guest+host+guest");
    assert_int_equal(fuse_write(f, handle, 0, "HELLO", 1), 5);
    host_expect(t.inside, "file", "HELLO+guest+host+guest");
}

static void change_attributes(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t handle, node = fuse_node(f, 1, "file");
    struct stat st;
    const struct fuse_change mode = { .valid = SET_MODE, .mode = 06751 };
    assert_int_equal(fuse_setattr(f, node, &mode), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ATTR_ATTR), S_IFREG | 0751); /* no set-user-ID */
    const struct fuse_change mine = { .valid = SET_UID | SET_GID };
    assert_int_equal(fuse_setattr(f, node, &mine), 0);
    assert_int_equal(fuse_setattr(f, node, &(struct fuse_change){ .valid = SET_UID, .uid = 5 }),
                     EPERM);
    assert_int_equal(fuse_setattr(f, node, &(struct fuse_change){ .valid = SET_GID, .gid = 5 }),
                     EPERM);
    assert_int_equal(fuse_setattr(f, node, &(struct fuse_change){ .valid = SET_SIZE, .size = 2 }),
                     0);
    host_expect(t.inside, "file", "he");
    assert_int_equal(
        fuse_setattr(f, node, &(struct fuse_change){ .valid = SET_SIZE, .size = 1ull << 63 }),
        EFBIG);
    assert_int_equal(fuse_setattr(f, 1, &(struct fuse_change){ .valid = SET_SIZE }), EISDIR);
    assert_int_equal(fuse_open(f, node, G_RDWR, &handle), 0);
    const struct fuse_change by_handle = { SET_SIZE | SET_FH, .handle = handle, .size = 1 };
    assert_int_equal(fuse_setattr(f, node, &by_handle), 0);
    assert_int_equal(fuse_attr_size(f, FUSE_ATTR_ATTR), 1);
    const struct fuse_change time = { .valid = SET_MTIME, .mtime = 1000000000 };
    assert_int_equal(fuse_setattr(f, node, &time), 0);
    assert_int_equal(fstatat(t.inside, "file", &st, 0), 0);
    assert_int_equal(st.st_mtime, 1000000000);
    assert_true(st.st_atime > 1000000000);
}

/* A program that the guest wrote never runs with the rights of the file's owner. */
static void set_id_is_dropped(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node, handle;
    struct stat st;
    assert_int_equal(fuse_create(f, 1, "new", G_WRONLY, 06755, &node, &handle), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR), S_IFREG | 0755);
    assert_int_equal(fchmodat(t.inside, "file", 04755, 0), 0);
    node = fuse_node(f, 1, "file");
    assert_int_equal(fuse_open(f, node, G_WRONLY, &handle), 0);
    assert_int_equal(fstatat(t.inside, "file", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0755);
    assert_int_equal(fchmodat(t.inside, "file", 04755, 0), 0);
    assert_int_equal(fuse_setattr(f, node, &(struct fuse_change){ .valid = SET_SIZE }), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ATTR_ATTR), S_IFREG | 0755);
    assert_int_equal(fuse_mkdir(f, 1, "group", 03775), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR) & 05777, 01775);
}

static void names(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t dir = fuse_node(f, 1, "dir"), file = fuse_node(f, 1, "file");
    assert_int_equal(fuse_rename2(f, 1, "file", dir, "moved", 0), 0);
    host_expect(t.inside, "dir/moved", "hello");
    assert_int_equal(fuse_getattr(f, file), 0); /* still the same file */
    assert_int_equal(fuse_link(f, file, 1, "second"), 0);
    assert_int_equal(ld_le64(f->out), file);
    assert_int_equal(ld_le32(f->out + FUSE_ENTRY_ATTR + 64), 2);
    assert_int_equal(fuse_symlink(f, dir, "link", "moved"), 0);
    uint64_t link = ld_le64(f->out);
    fuse_begin(f, FUSE_READLINK, link);
    assert_int_equal(fuse_end(f), 0);
    assert_int_equal(f->answer, 16 + 5);
    assert_memory_equal(f->out, "moved", 5);
    assert_int_equal(fuse_rename2(f, 1, "second", dir, "link", 1), EEXIST);
    assert_int_equal(fuse_rename2(f, 1, "second", dir, "link", 2), 0);
    assert_int_equal(fuse_rename2(f, 1, "second", dir, "link", 4), EINVAL);
    host_expect(t.inside, "dir/link", "hello");
    assert_int_equal(fuse_by_name(f, FUSE_RMDIR, 1, "dir"), 39); /* ENOTEMPTY */
    assert_int_equal(fuse_by_name(f, FUSE_UNLINK, 1, "dir"), EISDIR);
    assert_int_equal(fuse_by_name(f, FUSE_UNLINK, dir, "link"), 0);
    assert_int_equal(fuse_by_name(f, FUSE_UNLINK, dir, "moved"), 0);
    assert_int_equal(fuse_by_name(f, FUSE_RMDIR, 1, "dir"), 0);
    assert_int_equal(fuse_mkdir(f, 1, "dir", 0777), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR), S_IFDIR | 0777);
    fuse_begin(f, FUSE_RENAME, 1);
    fuse_u64(f, 1);
    fuse_name(f, "dir");
    fuse_name(f, "folder");
    assert_int_equal(fuse_end(f), 0);
    assert_int_equal(fuse_link(f, ld_le64(f->out), 1, "x"), G_ESTALE);
}

static void unlinked_but_open(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t handle, again, node = fuse_node(f, 1, "file");
    assert_int_equal(fuse_open(f, node, G_RDWR, &handle), 0);
    assert_int_equal(fuse_by_name(f, FUSE_UNLINK, 1, "file"), 0);
    assert_int_equal(fuse_node(f, 1, "file"), 0);
    assert_int_equal(fuse_write(f, handle, 5, " there", 0), 6);
    assert_int_equal(fuse_getattr(f, node), 0);
    assert_int_equal(fuse_attr_size(f, FUSE_ATTR_ATTR), 11);
    assert_int_equal(fuse_open(f, node, G_RDONLY, &again), 0);
    assert_int_equal(fuse_read(f, again, 0, 100), 0);
    assert_memory_equal(f->out, "hello there", 11);
    host_write(t.inside, "file", "other"); /* is another file */
    assert_int_not_equal(fuse_node(f, 1, "file"), node);
}

/* Numbers as Linux has them; where the file system has no holes there is one behind the end. */
static void sparse_files(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node, handle, copy;
    assert_int_equal(fuse_create(f, 1, "sparse", G_RDWR, 0644, &node, &handle), 0);
    assert_int_equal(fuse_write(f, handle, 1 << 20, "data", 0), 4);
    for (uint64_t whence = 3; whence <= 4; whence++) {
        fuse_begin(f, FUSE_LSEEK, node);
        fuse_u64(f, handle);
        fuse_u64(f, 1 << 20);
        fuse_u64(f, whence);
        assert_int_equal(fuse_end(f), 0);
        assert_int_equal(ld_le64(f->out), whence == 3 ? 1 << 20 : (1 << 20) + 4);
    }
    fuse_begin(f, FUSE_FALLOCATE, node);
    fuse_u64(f, handle);
    fuse_u64(f, 0);
    fuse_u64(f, 2 << 20);
    fuse_u64(f, 0);
    int rc = fuse_end(f);
    assert_true(rc == 0 || rc == 95);
    assert_int_equal(fuse_getattr(f, node), 0);
    assert_int_equal(fuse_attr_size(f, FUSE_ATTR_ATTR), rc == 0 ? 2 << 20 : (1 << 20) + 4);
    assert_int_equal(fuse_create(f, 1, "copy", G_RDWR, 0644, &node, &copy), 0);
    fuse_begin(f, FUSE_COPY_FILE_RANGE, node);
    fuse_u64(f, handle);
    fuse_u64(f, 1 << 20);
    fuse_u64(f, node);
    fuse_u64(f, copy);
    fuse_u64(f, 0);
    fuse_u64(f, 4);
    fuse_u64(f, 0);
    rc = fuse_end(f);
    assert_true(rc == 0 || rc == 18 || rc == 38 || rc == 95);
    if (rc == 0)
        host_expect(t.inside, "copy", "data");
}

static int set_xattr(struct fuse *f, uint64_t node, const char *name, const char *value)
{
    fuse_begin(f, FUSE_SETXATTR, node);
    fuse_u64(f, strlen(value));
    fuse_name(f, name);
    fuse_bytes(f, value, strlen(value));
    return fuse_end(f);
}

static int get_xattr(struct fuse *f, uint64_t node, const char *name, uint32_t size)
{
    fuse_begin(f, FUSE_GETXATTR, node);
    fuse_u64(f, size);
    fuse_name(f, name);
    return fuse_end(f);
}

static void extended_attributes(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node = fuse_node(f, 1, "file");
    assert_int_equal(get_xattr(f, node, "security.capability", 100), 95);
    assert_int_equal(set_xattr(f, node, "trusted.x", "y"), 95);
    assert_int_equal(set_xattr(f, node, "system.posix_acl_access", "y"), 95);
    int rc = set_xattr(f, node, "user.colour", "blue");
    if (rc == 95)
        skip(); /* not on this file system */
    assert_int_equal(rc, 0);
    assert_int_equal(get_xattr(f, node, "user.colour", 0), 0);
    assert_int_equal(ld_le32(f->out), 4);
    assert_int_equal(get_xattr(f, node, "user.colour", 100), 0);
    assert_int_equal(f->answer, 16 + 4);
    assert_memory_equal(f->out, "blue", 4);
    assert_int_equal(get_xattr(f, node, "user.colour", 2), ERANGE);
    fuse_begin(f, FUSE_LISTXATTR, node);
    fuse_u64(f, 100);
    assert_int_equal(fuse_end(f), 0);
    assert_int_equal(f->answer, 16 + 12);
    assert_memory_equal(f->out, "user.colour", 12);
    assert_int_equal(fuse_by_name(f, FUSE_REMOVEXATTR, node, "user.colour"), 0);
    assert_int_equal(get_xattr(f, node, "user.colour", 0), 61);
}

/* A file that nobody wrote to may stay in the guest's cache; one that the host wrote to may not. */
static void cache_follows_the_host(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t handle, node = fuse_node(f, 1, "file");
    bool keep = false;
    uint64_t end = clock_monotonic_ns() + FUSE_SECONDS * 1000000000ull;
    while (!keep && clock_monotonic_ns() < end) { /* a file just written never may */
        assert_int_equal(fuse_open(f, node, G_RDONLY, &handle), 0);
        keep = ld_le32(f->out + 8) & KEEP_CACHE;
        assert_int_equal(fuse_release(f, handle), 0);
    }
    assert_true(keep);
    host_write(t.inside, "file", "HELLO");
    assert_int_equal(fuse_open(f, node, G_RDONLY, &handle), 0);
    assert_false(ld_le32(f->out + 8) & KEEP_CACHE);
}

/* ------------------------------------------------------------------ folders */

#define MANY 300

static void mark_entries(struct fuse *f, unsigned skip, bool seen[MANY], uint64_t *offset,
                         uint64_t node[MANY])
{
    for (unsigned at = 0; at < f->answer - 16;) {
        const uint8_t *p = f->out + at + skip;
        uint32_t length = ld_le32(p + 16);
        char name[256] = "";
        memcpy(name, p + 24, length);
        unsigned n = (unsigned)strtoul(name + 1, NULL, 10);
        bool ours = name[0] == 'n' && n < MANY;
        if (ours) {
            assert_false(seen[n]);
            seen[n] = true;
        }
        if (ours && skip)
            node[n] = ld_le64(f->out + at);
        *offset = ld_le64(p + 8);
        at += skip + ((24 + length + 7) & ~7u);
    }
}

/* Read the folder `dir` in portions of `size` bytes: how many of the many there are. */
static unsigned read_all(struct fuse *f, uint32_t opcode, uint64_t dir, uint32_t size,
                         uint64_t node[MANY])
{
    bool seen[MANY] = { false };
    unsigned count = 0;
    fuse_begin(f, FUSE_OPENDIR, dir);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), 0);
    uint64_t handle = ld_le64(f->out), offset = 0;
    do {
        fuse_begin(f, opcode, dir);
        fuse_u64(f, handle);
        fuse_u64(f, offset);
        fuse_u64(f, size);
        fuse_u64(f, 0);
        fuse_u64(f, 0);
        assert_int_equal(fuse_end(f), 0);
        assert_true(f->answer <= 16 + size);
        mark_entries(f, opcode == FUSE_READDIRPLUS ? 128 : 0, seen, &offset, node);
    } while (f->answer > 16);
    for (unsigned i = 0; i < MANY; i++)
        count += seen[i];
    fuse_begin(f, FUSE_FSYNCDIR, dir);
    fuse_u64(f, handle);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), 0);
    assert_int_equal(fuse_release(f, handle), 0);
    return count;
}

static void read_folders(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    static const uint32_t sizes[] = { 200, 4096, 65536 };
    static uint64_t node[MANY];
    for (unsigned i = 0; i < MANY; i++) {
        char name[32];
        snprintf(name, sizeof name, "dir/n%u", i);
        host_write(t.inside, name, "x");
    }
    uint64_t dir = fuse_node(f, 1, "dir");
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(read_all(f, FUSE_READDIR, dir, sizes[i], NULL), MANY);
        assert_int_equal(share_used(t.share), 2);
        assert_int_equal(read_all(f, FUSE_READDIRPLUS, dir, sizes[i], node), MANY);
        assert_int_equal(share_used(t.share), 2 + MANY);
        for (unsigned n = 0; n < MANY; n++)
            fuse_forget(f, node[n], 1);
        assert_int_equal(share_used(t.share), 2);
    }
    assert_int_equal(read_all(f, FUSE_READDIR, dir, 4096, NULL), MANY);
}

/* ------------------------------------------------------------------ ways out */

static void bad_names(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    char long_name[300];
    memset(long_name, 'x', sizeof long_name);
    long_name[256] = 0;
    const struct {
        const char *name;
        int error;
    } bad[] = {
        { "..", EINVAL },         { ".", EINVAL },    { "", EINVAL },
        { "../outside", EINVAL }, { "/etc", EINVAL }, { "dir/../../outside", EINVAL },
        { "dir/file", EINVAL },   { "/", EINVAL },    { "file/", EINVAL },
        { long_name, 36 },
    };
    uint64_t node, handle, file = fuse_node(f, 1, "file");
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *name = bad[i].name;
        assert_int_equal(fuse_by_name(f, FUSE_LOOKUP, 1, name), bad[i].error);
        assert_int_equal(fuse_by_name(f, FUSE_UNLINK, 1, name), bad[i].error);
        assert_int_equal(fuse_by_name(f, FUSE_RMDIR, 1, name), bad[i].error);
        assert_int_equal(fuse_mkdir(f, 1, name, 0755), bad[i].error);
        assert_int_equal(fuse_mknod(f, 1, name, S_IFREG | 0644), bad[i].error);
        assert_int_equal(fuse_symlink(f, 1, name, "x"), bad[i].error);
        assert_int_equal(fuse_link(f, file, 1, name), bad[i].error);
        assert_int_equal(fuse_create(f, 1, name, G_RDWR, 0644, &node, &handle), bad[i].error);
        assert_int_equal(fuse_rename2(f, 1, name, 1, "x", 0), bad[i].error);
        assert_int_equal(fuse_rename2(f, 1, "file", 1, name, 0), bad[i].error);
    }
    long_name[255] = 0;
    assert_int_equal(fuse_mkdir(f, 1, long_name, 0755), 0);
    fuse_begin(f, FUSE_LOOKUP, 1);
    fuse_bytes(f, "file", 4); /* without its end */
    assert_int_equal(fuse_end(f), EINVAL);
}

/* Links that lead out are only text. */
static void links_lead_nowhere(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    struct stat before, after;
    uint64_t node, handle;
    char secret[100];
    snprintf(secret, sizeof secret, "%s/outside/secret", t.base);
    assert_int_equal(fstatat(t.outside, "secret", &before, 0), 0);
    assert_int_equal(fuse_symlink(f, 1, "etc", "/etc"), 0);
    assert_int_equal(fuse_symlink(f, 1, "out", "../outside"), 0);
    assert_int_equal(fuse_symlink(f, 1, "secret", secret), 0);
    assert_int_equal(fuse_symlink(f, 1, "new", "../outside/new"), 0);
    uint64_t etc = fuse_node(f, 1, "etc"), out = fuse_node(f, 1, "out");
    uint64_t link = fuse_node(f, 1, "secret");
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR) & S_IFMT, S_IFLNK);
    assert_int_equal(fuse_by_name(f, FUSE_LOOKUP, etc, "passwd"), ENOTDIR);
    assert_int_equal(fuse_by_name(f, FUSE_LOOKUP, out, "secret"), ENOTDIR);
    assert_int_equal(fuse_create(f, out, "x", G_RDWR, 0644, &node, &handle), ENOTDIR);
    assert_int_equal(fuse_open(f, link, G_RDONLY, &handle), 40); /* ELOOP */
    assert_int_equal(fuse_create(f, 1, "secret", G_RDWR | G_TRUNC, 0644, &node, &handle), 40);
    assert_int_equal(fuse_create(f, 1, "new", G_RDWR, 0644, &node, &handle), 40);
    assert_int_equal(fuse_create(f, 1, "new", G_RDWR | G_EXCL, 0644, &node, &handle), EEXIST);
    assert_int_equal(fuse_mknod(f, 1, "new", S_IFREG | 0644), EEXIST);
    assert_int_equal(fuse_setattr(f, link, &(struct fuse_change){ .valid = SET_SIZE }), EINVAL);
    fuse_setattr(f, link, &(struct fuse_change){ .valid = SET_MODE, .mode = 0777 });
    const struct fuse_change time = { .valid = SET_MTIME, .mtime = 1000000000 };
    assert_int_equal(fuse_setattr(f, link, &time), 0); /* the link's own */
    assert_int_equal(set_xattr(f, link, "user.x", "y"), 95);
    fuse_begin(f, FUSE_OPENDIR, etc);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), ENOTDIR);
    assert_int_equal(fuse_link(f, link, 1, "hard"), 0); /* another name of the link */
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR) & S_IFMT, S_IFLNK);
    assert_int_equal(fstatat(t.outside, "secret", &after, 0), 0);
    assert_int_equal(after.st_mode, before.st_mode);
    assert_int_equal(after.st_mtime, before.st_mtime);
    assert_int_equal(after.st_nlink, 1);
    assert_int_equal(faccessat(t.outside, "new", F_OK, 0), -1);
}

/* A folder that becomes a link on the host stays what the guest knew. */
static void swapped_for_a_link(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t dir = fuse_node(f, 1, "dir");
    host_write(t.inside, "dir/mine", "mine");
    assert_int_equal(renameat(t.inside, "dir", t.inside, "old"), 0);
    assert_int_equal(symlinkat("../outside", t.inside, "dir"), 0);
    assert_int_not_equal(fuse_node(f, dir, "mine"), 0);
    assert_int_equal(fuse_node(f, dir, "secret"), 0);
    assert_int_equal(fuse_mkdir(f, dir, "made", 0755), 0);
    assert_int_equal(faccessat(t.inside, "old/made", F_OK, 0), 0);
    assert_int_equal(faccessat(t.outside, "made", F_OK, 0), -1);
}

/* What would block, or is a device of the host, cannot be opened. */
static void special_files(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node, handle;
    assert_int_equal(fuse_mknod(f, 1, "fifo", S_IFIFO | 0644), 0);
    uint64_t fifo = ld_le64(f->out);
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR), S_IFIFO | 0644);
    for (uint32_t flags = 0; flags < 3; flags++)
        assert_int_equal(fuse_open(f, fifo, flags, &handle), EACCES);
    assert_int_equal(fuse_create(f, 1, "fifo", G_RDWR, 0644, &node, &handle), EACCES);
    assert_int_equal(fuse_setattr(f, fifo, &(struct fuse_change){ .valid = SET_SIZE }), EINVAL);
    assert_int_equal(fuse_mknod(f, 1, "socket", S_IFSOCK | 0644), 0);
    assert_int_equal(fuse_open(f, ld_le64(f->out), G_RDONLY, &handle), EACCES);
    assert_int_equal(fuse_mknod(f, 1, "null", S_IFCHR | 0666), EPERM);
    assert_int_equal(fuse_mknod(f, 1, "disk", S_IFBLK | 0666), EPERM);
    assert_int_equal(fuse_mknod(f, 1, "plain", S_IFREG | 0640), 0);
    assert_int_equal(fuse_attr_mode(f, FUSE_ENTRY_ATTR), S_IFREG | 0640);
    if (mknodat(t.inside, "device", S_IFCHR | 0666, 0x103) == 0) /* with the right to */
        assert_int_equal(fuse_open(f, fuse_node(f, 1, "device"), G_RDONLY, &handle), EACCES);
    assert_int_equal(fuse_open(f, 1, G_RDONLY, &handle), EISDIR);
    assert_int_equal(fuse_open(f, fuse_node(f, 1, "file"), 3, &handle), EINVAL);
}

static void read_only(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node, handle, file = fuse_node(f, 1, "file");
    assert_int_equal(fuse_open(f, file, G_RDONLY, &handle), 0);
    assert_int_equal(fuse_read(f, handle, 0, 10), 0);
    assert_memory_equal(f->out, "hello", 5);
    assert_int_equal(fuse_open(f, file, G_WRONLY, &handle), EROFS);
    assert_int_equal(fuse_open(f, file, G_RDWR, &handle), EROFS);
    assert_int_equal(fuse_open(f, file, G_RDONLY | G_TRUNC, &handle), EROFS);
    assert_int_equal(fuse_create(f, 1, "new", G_RDWR, 0644, &node, &handle), EROFS);
    assert_int_equal(fuse_create(f, 1, "file", G_RDONLY, 0644, &node, &handle), EROFS);
    assert_int_equal(fuse_mknod(f, 1, "new", S_IFREG | 0644), EROFS);
    assert_int_equal(fuse_mkdir(f, 1, "new", 0755), EROFS);
    assert_int_equal(fuse_symlink(f, 1, "new", "file"), EROFS);
    assert_int_equal(fuse_link(f, file, 1, "new"), EROFS);
    assert_int_equal(fuse_by_name(f, FUSE_UNLINK, 1, "file"), EROFS);
    assert_int_equal(fuse_by_name(f, FUSE_RMDIR, 1, "dir"), EROFS);
    assert_int_equal(fuse_rename2(f, 1, "file", 1, "new", 0), EROFS);
    assert_int_equal(fuse_setattr(f, file, &(struct fuse_change){ .valid = SET_MODE }), EROFS);
    assert_int_equal(set_xattr(f, file, "user.x", "y"), EROFS);
    assert_int_equal(fuse_by_name(f, FUSE_REMOVEXATTR, file, "user.x"), EROFS);
    fuse_begin(f, FUSE_ACCESS, file);
    fuse_u64(f, 2);
    assert_int_equal(fuse_end(f), EROFS);
    fuse_begin(f, FUSE_ACCESS, file);
    fuse_u64(f, 4);
    assert_int_equal(fuse_end(f), 0);
    host_expect(t.inside, "file", "hello");
}

/* ------------------------------------------------------------------ a hostile guest */

static void numbers_that_are_none(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    static const uint64_t garbage[] = { 0,          2,          3,
                                        64,         65,         1ull << 32,
                                        UINT32_MAX, UINT64_MAX, 1ull << 32 | 1 };
    uint64_t handle;
    for (unsigned i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
        uint64_t n = garbage[i];
        assert_int_equal(fuse_getattr(f, n), G_ESTALE);
        assert_int_equal(fuse_by_name(f, FUSE_LOOKUP, n, "file"), G_ESTALE);
        assert_int_equal(fuse_open(f, n, G_RDONLY, &handle), G_ESTALE);
        assert_int_equal(fuse_mkdir(f, n, "x", 0755), G_ESTALE);
        assert_int_equal(fuse_rename2(f, 1, "file", n, "x", 0), G_ESTALE);
        assert_int_equal(fuse_link(f, n, 1, "x"), G_ESTALE);
        assert_int_equal(fuse_setattr(f, n, &(struct fuse_change){ .valid = SET_SIZE }), G_ESTALE);
        assert_int_equal(fuse_read(f, n, 0, 10), G_EBADF);
        assert_int_equal(fuse_write(f, n, 0, "x", 0), -G_EBADF);
        assert_int_equal(fuse_release(f, n), G_EBADF);
        fuse_forget(f, n, UINT64_MAX);
    }
    fuse_forget(f, 1, UINT64_MAX);
    assert_int_equal(fuse_getattr(f, 1), 0);
    /* A file's handle is no folder's, nor the other way round. */
    uint64_t file = fuse_node(f, 1, "file");
    assert_int_equal(fuse_open(f, file, G_RDONLY, &handle), 0);
    fuse_begin(f, FUSE_READDIR, 1);
    fuse_u64(f, handle);
    fuse_u64(f, 0);
    fuse_u64(f, 4096);
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), G_EBADF);
    fuse_begin(f, FUSE_OPENDIR, 1);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), 0);
    handle = ld_le64(f->out);
    assert_int_equal(fuse_read(f, handle, 0, 10), G_EBADF);
    assert_int_equal(fuse_write(f, handle, 0, "x", 0), -G_EBADF);
}

/* Every operation, cut short anywhere, and with any room for the answer: it comes back. */
static void truncated_requests(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    for (uint32_t opcode = 0; opcode < 64; opcode++) {
        for (uint32_t size = 0; size <= 160; size += size == 40 || size > 120 ? 1 : 5) {
            fuse_begin(f, opcode, 1);
            for (uint32_t i = 0; i < 30; i++)
                fuse_u32(f, 0x00780078); /* "x", "x" or numbers */
            st_le32(f->v.ram + FUSE_REQUEST, size);
            f->room = size % 3 == 0 ? FUSE_ROOM : size % 160;
            if (size > 0 && (opcode != FUSE_SYNCFS || size < 48)) /* which may take long */
                fuse_send(f, 1, size);
        }
    }
    /* A length in the header that is not the buffer's. */
    static const uint32_t lengths[] = { 0, 39, 41 + 5, 0x7fffffff, UINT32_MAX };
    for (unsigned i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        fuse_begin(f, FUSE_LOOKUP, 1);
        fuse_name(f, "file");
        st_le32(f->v.ram + FUSE_REQUEST, lengths[i]);
        fuse_send(f, 1, f->size);
        assert_int_equal(f->error, EINVAL);
    }
    assert_int_equal(vdev_read(&f->v, VDEV_REG_STATUS, 4), 15); /* a bad request is no bad queue */
    assert_int_not_equal(fuse_node(f, 1, "dir"), 0);
}

static void huge_sizes(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t handle, file = fuse_node(f, 1, "file");
    assert_int_equal(fuse_open(f, file, G_RDWR, &handle), 0);
    assert_int_equal(fuse_read(f, handle, 0, UINT32_MAX), 0);
    assert_int_equal(f->answer, 16 + 5);
    assert_int_equal(fuse_read(f, handle, UINT64_MAX, 10), EINVAL);
    assert_int_equal(fuse_read(f, handle, INT64_MAX, 10), EINVAL);
    f->room = 16 + 3;
    assert_int_equal(fuse_read(f, handle, 0, 100), 0);
    assert_int_equal(f->answer, 16 + 3);
    assert_int_equal(fuse_write(f, handle, UINT64_MAX, "x", 0), -EFBIG);
    fuse_begin(f, FUSE_WRITE, file);
    fuse_u64(f, handle);
    fuse_u64(f, 0);
    fuse_u64(f, UINT32_MAX); /* more than there is */
    fuse_u64(f, 0);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), EINVAL);
    fuse_begin(f, FUSE_FALLOCATE, file);
    fuse_u64(f, handle);
    fuse_u64(f, INT64_MAX);
    fuse_u64(f, INT64_MAX);
    fuse_u64(f, 0);
    assert_int_equal(fuse_end(f), EINVAL);
    fuse_begin(f, FUSE_SETXATTR, file);
    fuse_u64(f, UINT32_MAX);
    fuse_name(f, "user.x");
    assert_int_equal(fuse_end(f), EINVAL);
    assert_int_not_equal(get_xattr(f, file, "user.none", UINT32_MAX), 0);
    fuse_begin(f, FUSE_BATCH_FORGET, 0);
    fuse_u64(f, UINT32_MAX);
    fuse_u64(f, file);
    fuse_u64(f, 0);
    fuse_end(f);
    assert_int_equal(fuse_getattr(f, file), 0);
    static char target[5000];
    memset(target, 'x', sizeof target - 1);
    assert_int_equal(fuse_symlink(f, 1, "long", target), 36);
    fuse_begin(f, FUSE_LOOKUP, 1);
    f->size = 0x30000; /* zeroes or not: too much to be copied */
    assert_int_equal(fuse_end(f), 7);
    /* No room: nothing is made known that the guest would never hear of. */
    unsigned used = share_used(t.share);
    f->room = 20;
    assert_int_equal(fuse_mkdir(f, 1, "unheard", 0755), EINVAL);
    f->room = 100;
    assert_int_equal(fuse_by_name(f, FUSE_LOOKUP, 1, "dir"), EINVAL);
    f->room = 16;
    assert_int_equal(fuse_open(f, file, G_RDONLY, &handle), EINVAL);
    assert_int_equal(share_used(t.share), used);
}

/* In a process with few descriptors the guest gets ENFILE, and others still have some. */
static int with_few_descriptors(void)
{
    struct fuse *f = &t.f;
    struct rlimit few = { 64, 64 };
    uint64_t node[64], handle, last = 0;
    unsigned known = 0;
    setrlimit(RLIMIT_NOFILE, &few);
    if (open_share(false) < 0)
        return 1;
    for (unsigned i = 0; i < 64; i++) {
        char name[16];
        snprintf(name, sizeof name, "f%u", i);
        int fd = openat(t.inside, name, O_WRONLY | O_CREAT, 0644);
        if (fd < 0)
            return 2;
        close(fd);
        node[i] = fuse_node(f, 1, name);
        if (node[i])
            known = i + 1;
        else if (f->error != G_ENFILE)
            return 3;
    }
    if (known < 10 || known > 60)
        return 4;
    if (fuse_open(f, node[0], G_RDONLY, &handle) != G_ENFILE)
        return 5;
    if (fuse_create(f, 1, "more", G_RDWR, 0644, &last, &handle) != G_ENFILE)
        return 6;
    fuse_forget(f, node[known - 1], 1);
    if (fuse_open(f, node[0], G_RDONLY, &handle) != 0)
        return 7;
    close_share();
    return 0;
}

static void native_descriptors_are_bounded(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0)
        _exit(with_few_descriptors());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(identity),
        TEST(session),
        TEST(reset_forgets),
        TEST(lookup_and_attributes),
        TEST(create_write_read),
        TEST(native_append),
        TEST(change_attributes),
        TEST(set_id_is_dropped),
        TEST(names),
        TEST(unlinked_but_open),
        TEST(sparse_files),
        TEST(extended_attributes),
        TEST(cache_follows_the_host),
        TEST(read_folders),
        TEST(bad_names),
        TEST(links_lead_nowhere),
        TEST(swapped_for_a_link),
        TEST(special_files),
        cmocka_unit_test_setup_teardown(read_only, setup_read_only, teardown),
        TEST(numbers_that_are_none),
        TEST(truncated_requests),
        TEST(huge_sizes),
        TEST(native_descriptors_are_bounded),
    };
    /* qemu-aarch64 drops the flags of pwritev2(), and cannot do with few descriptors itself */
    if (getenv("MESON_EXE_WRAPPER"))
        cmocka_set_skip_filter("native_*");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
