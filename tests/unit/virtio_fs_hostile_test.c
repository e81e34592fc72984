/* virtio-fs: what a guest cannot do, and what it cannot break. */
#include <sys/resource.h>
#include <sys/wait.h>

#include "tests/unit/fs_folder.h"

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

#define FEW_DESCRIPTORS "few-descriptors"

/* In a process with few descriptors, which is this program again, the guest gets ENFILE, and others
 * still have some. */
static int with_few_descriptors(void)
{
    struct fuse *f = &t.f;
    struct rlimit few = { 64, 64 };
    uint64_t node[64], handle, last = 0;
    unsigned known = 0;
    setrlimit(RLIMIT_NOFILE, &few);
    if (setup(NULL) < 0)
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
    teardown(NULL);
    return 0;
}

static void native_descriptors_are_bounded(void **state)
{
    (void)state;
    int status;
    pid_t child = fork();
    if (child == 0) {
        execl(t.program, t.program, FEW_DESCRIPTORS, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* ------------------------------------------------------------------ many at once */

#define AT_ONCE 15 /* requests, each with two descriptors and 4 KiB for itself */

/* Offer request `i` of a batch: make, write to, read, look up and remove files of few names. */
static void offer(struct fuse *f, unsigned i, unsigned round)
{
    static const uint32_t opcodes[] = { FUSE_CREATE, FUSE_LOOKUP, FUSE_UNLINK, FUSE_GETATTR,
                                        FUSE_MKDIR,  FUSE_RMDIR,  FUSE_STATFS };
    uint32_t opcode = opcodes[(i + round) % 7];
    uint8_t *p = f->v.ram + FUSE_REQUEST + 0x1000 * i;
    uint32_t fixed = opcode == FUSE_CREATE || opcode == FUSE_GETATTR ? 16
                     : opcode == FUSE_MKDIR                          ? 8
                                                                     : 0;
    memset(p, 0, 0x100);
    st_le32(p, 40 + fixed + 2);
    st_le32(p + 4, opcode);
    st_le64(p + 8, i);
    st_le64(p + 16, 1);
    if (opcode == FUSE_CREATE)
        st_le64(p + 40, G_RDWR | (uint64_t)0644 << 32);
    if (opcode == FUSE_MKDIR)
        st_le32(p + 40, 0755);
    p[40 + fixed] = (uint8_t)('a' + (i + round / 3) % 5);
    vdev_desc(&f->v, 1, 2 * i, FUSE_REQUEST + 0x1000 * i, 40 + fixed + 2, VDEV_NEXT,
              (uint16_t)(2 * i + 1));
    vdev_desc(&f->v, 1, 2 * i + 1, FUSE_ANSWER + 0x1000 * i, 0x1000, VDEV_WRITE, 0);
    vdev_offer(&f->v, 1, (uint16_t)(2 * i));
}

/* Batches that the workers do in any order, each answered once and to whom it belongs; every third
 * is cut short by a reset, after which nothing of it is left. */
static void many_at_once(void **state)
{
    (void)state;
    struct fuse *f = &t.f;
    uint32_t head, written;
    for (unsigned round = 0; round < 150; round++) {
        bool seen[AT_ONCE] = { false };
        for (unsigned i = 0; i < AT_ONCE; i++)
            offer(f, i, round);
        vdev_notify(&f->v, 1);
        if (round % 3 == 2) {
            vdev_write(&f->v, VDEV_REG_STATUS, 0); /* returns when nothing is under way */
            vdev_bring_up(&f->v, 0, 2);
            assert_int_equal(share_used(t.share), 1);
            assert_false(vdev_take(&f->v, 1, &head, &written));
            continue;
        }
        for (unsigned done = 0; done < AT_ONCE;) {
            if (!vdev_take(&f->v, 1, &head, &written)) {
                sched_yield();
                continue;
            }
            const uint8_t *answer = f->v.ram + FUSE_ANSWER + 0x1000 * (head / 2);
            assert_true(head % 2 == 0 && head / 2 < AT_ONCE && !seen[head / 2]);
            assert_int_equal(ld_le32(answer), written);
            assert_int_equal(ld_le64(answer + 8), head / 2);
            seen[head / 2] = true;
            done++;
        }
    }
    vdev_bring_up(&f->v, 0, 2);
    assert_int_equal(share_used(t.share), 1);
}

int main(int argc, char **argv)
{
    t.program = argv[0];
    if (argc == 2 && strcmp(argv[1], FEW_DESCRIPTORS) == 0)
        return with_few_descriptors();
    const struct CMUnitTest tests[] = {
        TEST(bad_names),
        TEST(links_lead_nowhere),
        TEST(swapped_for_a_link),
        TEST(special_files),
        cmocka_unit_test_setup_teardown(read_only, setup_read_only, teardown),
        TEST(numbers_that_are_none),
        TEST(truncated_requests),
        TEST(huge_sizes),
        TEST(native_descriptors_are_bounded),
        TEST(many_at_once),
    };
    /* qemu-aarch64 cannot do with few descriptors itself */
    if (getenv("MESON_EXE_WRAPPER"))
        cmocka_set_skip_filter("native_*");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
