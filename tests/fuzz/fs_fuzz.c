/*
 * virtio-fs under a driver that does anything (virtio_script.h), among it FUSE requests that make
 * sense: numbers of nodes and handles are mostly those that it was given.
 *
 * What must hold: beside the folder nothing changes, whatever its links point to; and when all is
 * over no descriptor is left.
 */
#include "tests/fuzz/virtio_script.h"

#include <assert.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "devices/virtio/fs.h"
#include "host/workers.h"

#define KNOWN 16
/* No file gets larger than this. */
#define FILE_MAX (1u << 20)

struct world {
    struct vdev v;
    struct share *share;
    uint64_t node[KNOWN], handle[KNOWN];
    unsigned nodes, handles;
    char base[64];
    int outside, inside; /* descriptors */
    struct stat secret;
};

/* ------------------------------------------------------------------ workers without threads */

struct workers {
    struct work *first, **last;
};

int workers_create(unsigned count, struct workers **out)
{
    (void)count;
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        abort();
    w->last = &w->first;
    *out = w;
    return 0;
}

void workers_drain(struct workers *w)
{
    while (w->first) {
        struct work *work = w->first;
        w->first = work->next;
        if (!w->first)
            w->last = &w->first;
        work->run(work);
    }
}

void workers_destroy(struct workers *w)
{
    free(w);
}

void workers_submit(struct workers *w, struct work *work)
{
    work->next = NULL;
    *w->last = work;
    w->last = &work->next;
}

/* ------------------------------------------------------------------ folders */

static void host_write(int dir, const char *name, const char *text)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (fd < 0 || write(fd, text, strlen(text)) < 0)
        abort();
    close(fd);
}

static void make_folders(struct world *w)
{
    /* Memory, if there is: what is synced or fills up is not a disk. */
    snprintf(w->base, sizeof w->base, "%s/ireko-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    if (!mkdtemp(w->base))
        abort();
    int base = open(w->base, O_RDONLY | O_DIRECTORY);
    if (mkdirat(base, "share", 0755) < 0 || mkdirat(base, "outside", 0755) < 0)
        abort();
    w->inside = openat(base, "share", O_RDONLY | O_DIRECTORY);
    w->outside = openat(base, "outside", O_RDONLY | O_DIRECTORY);
    close(base);
    host_write(w->outside, "secret", "secret");
    host_write(w->inside, "a", "hello");
    if (mkdirat(w->inside, "d", 0755) < 0 || symlinkat("../outside/secret", w->inside, "s") < 0 ||
        symlinkat("../outside", w->inside, "o") < 0 || mkfifoat(w->inside, "f", 0644) < 0 ||
        fstatat(w->outside, "secret", &w->secret, 0) < 0)
        abort();
    host_write(w->inside, "d/b", "there");
}

static unsigned remove_all(int dir)
{
    unsigned count = 0;
    int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY);
    DIR *d = fdopendir(copy);
    for (const struct dirent *e; d && (e = readdir(d));) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        count++;
        struct stat st;
        bool folder = fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
        if (folder && fchmodat(dir, e->d_name, 0700, 0) == 0) {
            int fd = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
            if (fd >= 0) {
                remove_all(fd);
                close(fd);
            }
        }
        unlinkat(dir, e->d_name, folder ? AT_REMOVEDIR : 0);
    }
    closedir(d);
    return count;
}

static void check_outside(const struct world *w)
{
    struct stat st;
    char text[16] = "";
    int fd = openat(w->outside, "secret", O_RDONLY);
    assert(fd >= 0 && fstat(fd, &st) == 0 && read(fd, text, sizeof text) == 6);
    close(fd);
    assert(strcmp(text, "secret") == 0 && st.st_nlink == 1 && st.st_mode == w->secret.st_mode &&
           st.st_mtime == w->secret.st_mtime && st.st_ino == w->secret.st_ino);
}

static void remove_folders(struct world *w)
{
    check_outside(w);
    unsigned outside = remove_all(w->outside);
    assert(outside == 1);
    fchmod(w->inside, 0700);
    remove_all(w->inside);
    close(w->inside);
    close(w->outside);
    int base = open(w->base, O_RDONLY | O_DIRECTORY);
    unlinkat(base, "share", AT_REMOVEDIR);
    unlinkat(base, "outside", AT_REMOVEDIR);
    close(base);
    if (rmdir(w->base) < 0)
        abort();
}

/* The lowest descriptor that is free: higher than before if one was left open. */
static int lowest_free(void)
{
    int fd = open("/dev/null", O_RDONLY);
    close(fd);
    return fd;
}

/* ------------------------------------------------------------------ requests */

static void after(void *ctx)
{
    struct world *w = ctx;
    share_drain(w->share);
}

static uint64_t pick(const uint64_t *known, unsigned n, unsigned which)
{
    if (which >= 0xf0)
        return which == 0xff ? UINT64_MAX : which;
    return n > 0 && which >= 0x20 ? known[which % (n < KNOWN ? n : KNOWN)] : 1;
}

/* Remember what an answer gave. */
static void learn(struct world *w, uint32_t opcode)
{
    const uint8_t *answer = w->v.ram + SCRIPT_IN;
    bool entry = opcode == 1 || (opcode >= 6 && opcode <= 9) || opcode == 13 || opcode == 35;
    bool handle = opcode == 14 || opcode == 27 || opcode == 35;
    if (ld_le32(answer + 4) != 0 || ld_le32(answer) < 32)
        return;
    if (entry && ld_le64(answer + 16))
        w->node[w->nodes++ % KNOWN] = ld_le64(answer + 16);
    if (handle)
        w->handle[w->handles++ % KNOWN] = ld_le64(answer + (opcode == 35 ? 16 + 128 : 16));
}

/* A FUSE request for the node that `a` chooses, whose arguments are the data; `c` is the opcode,
 * `d` the handle, if one comes first, and with its upper bits the room for the answer. */
static void fuse_request(void *ctx, const struct step *s)
{
    struct world *w = ctx;
    uint8_t *p = w->v.ram + SCRIPT_OUT;
    uint32_t opcode = s->c % 52;
    uint32_t room = s->d < 0xe0 ? 0x8000 : (s->d & 31) * 8;
    memset(p, 0, 40);
    st_le32(p, (uint32_t)(40 + s->size));
    st_le32(p + 4, opcode);
    st_le64(p + 16, pick(w->node, w->nodes, s->a));
    memcpy(p + 40, s->data, s->size);
    if (s->size >= 8 && (s->kind & 1))
        st_le64(p + 40, opcode == 12 || opcode == 13 || opcode == 45
                            ? pick(w->node, w->nodes, s->d)
                            : pick(w->handle, w->handles, s->d));
    memset(w->v.ram + SCRIPT_IN, 0xff, 16);
    vdev_desc(&w->v, 1, 0, SCRIPT_OUT, (uint32_t)(40 + s->size), room ? VDEV_NEXT : 0, 1);
    vdev_desc(&w->v, 1, 1, SCRIPT_IN, room, VDEV_WRITE, 0);
    vdev_offer(&w->v, 1, 0);
    vdev_notify(&w->v, 1);
    share_drain(w->share);
    learn(w, opcode);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    const struct rlimit small = { FILE_MAX, FILE_MAX };
    struct err e;
    char path[80];
    log_set_level(LOG_ERROR);
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    int first = lowest_free();
    memset(&w, 0, sizeof w);
    make_folders(&w);
    snprintf(path, sizeof path, "%s/share", w.base);
    const struct share_options options = { .path = path, .tag = "fuzz" };
    if (share_open(&options, 1, &w.share, &e) < 0)
        abort();
    vdev_init(&w.v);
    const struct virtio_fs_config config = {
        .irq = vdev_irq(&w.v), .gmem = &w.v.gmem, .share = w.share, .tag = options.tag
    };
    if (virtio_fs_create(&config, &w.v.dev) < 0)
        abort();
    const struct script script = {
        .v = &w.v, .queues = 2, .own = fuse_request, .after = after, .ctx = &w
    };
    script_run(&script, data, size);
    vdev_fini(&w.v);
    share_close(w.share);
    remove_folders(&w);
    assert(lowest_free() == first);
    return 0;
}

/* ------------------------------------------------------------------ made-up inputs */

/* Arguments: small numbers, then names. */
static unsigned arguments(uint64_t *state, uint8_t *p)
{
    static const char *const names[] = { "a", "d", "s", "o", "f", "x", "..", "user.n" };
    uint64_t r = fuzz_random(state);
    unsigned numbers = r % 8, n = 8 * numbers;
    for (unsigned i = 0; i < numbers; i++)
        st_le64(p + 8 * i, fuzz_random(state) >> (fuzz_random(state) % 8 * 9));
    for (unsigned i = r >> 8 & 3; i > 0; i--) {
        const char *name = names[fuzz_random(state) % 8];
        memcpy(p + n, name, strlen(name) + 1);
        n += (unsigned)strlen(name) + 1;
    }
    while (n % 8)
        p[n++] = 0;
    return n / 8;
}

size_t fuzz_make_input(uint64_t seed, uint8_t *data)
{
    return script_make(seed, data, arguments);
}
