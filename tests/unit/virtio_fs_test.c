/* virtio-fs: what a guest can do in a shared folder. */
#include "tests/unit/fs_folder.h"

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

/* With uid= and gid= our files are those of a user of the guest. */
static void owner_in_the_guest(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint64_t node = fuse_node(f, 1, "file");
    assert_int_equal(ld_le32(f->out + FUSE_ENTRY_ATTR + 68), 1000);
    assert_int_equal(ld_le32(f->out + FUSE_ENTRY_ATTR + 72), 1000);
    const struct fuse_change same = { .valid = SET_UID | SET_GID, .uid = 1000, .gid = 1000 };
    assert_int_equal(fuse_setattr(f, node, &same), 0);
    assert_int_equal(fuse_setattr(f, node, &(struct fuse_change){ .valid = SET_UID }), EPERM);
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
        cmocka_unit_test_setup_teardown(owner_in_the_guest, setup_user, teardown),
        TEST(set_id_is_dropped),
        TEST(names),
        TEST(unlinked_but_open),
        TEST(sparse_files),
        TEST(extended_attributes),
        TEST(cache_follows_the_host),
        TEST(read_folders),
    };
    /* qemu-aarch64 drops the flags of pwritev2() */
    if (getenv("MESON_EXE_WRAPPER"))
        cmocka_set_skip_filter("native_*");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
